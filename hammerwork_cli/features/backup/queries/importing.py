"""Imports the tree of a file: all of it or nothing."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import IO, Any

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.problems import Problems, RecordsError
from hammerwork_cli.core.payloads import unpacked
from hammerwork_cli.core.values import Counts, numbered, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import batched
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.errors import ConflictError, HammerworkError, MissingTablesError, UsageError
from hammerwork_cli.features.backup.models.plan import Import
from hammerwork_cli.features.backup.models.tables import OF_A_JOB, Record, values
from hammerwork_cli.features.backup.queries.arriving import ImportOptions, IncomingRecords, spawn_record
from hammerwork_cli.features.backup.queries.files import BackupReader, DamagedFileError, FileLine
from hammerwork_cli.features.backup.queries.fitting import ColumnLimits
from hammerwork_cli.features.backup.queries.rows import Rows
from hammerwork_cli.features.job.queries import notifications
from hammerwork_cli.features.job.queries.dependencies import compare_join
from hammerwork_cli.features.tree.queries.joins import counts

MOST_TOGETHER = 500
MOST_RECORDS = 5_000_000
"""Records whose ids are kept in memory: a tree has far fewer."""
SHOWN_IDS = 3
RESTORE = "For backups, use: hammerwork backup restore"
JOBS = ("jobs", "archive")
CONFIG = '"_spawn_config"'


class TreeImport:
    """An import of a file, which is checked to its last line when this is made.

    Raises RecordsError if the database cannot store a record.

    Args:
        file: a file that can be read several times.
    """

    def __init__(self, database: Database, file: IO[bytes], options: ImportOptions, now: datetime) -> None:
        database.check_current()
        self._database = database
        self._options = options
        self._now = now
        self._reader = BackupReader(file)
        if self._reader.header.get("kind") != "tree":
            raise DamagedFileError("This file has no tree.", hint=RESTORE)
        others = self._reader.others
        self._rows = Rows.of_all(database, options.without, others)
        self._others = {word: rows.accept(others.get(word, {})) for word, rows in self._rows.items()}
        of_this_database = {word: rows.others for word, rows in self._rows.items()}
        self._arriving = IncomingRecords(options, now, of_this_database, database.url.keys)
        self._outside: set[str] = set()
        self._children: dict[str, int] = {}
        self._configured: set[str] = set()
        self._spawned: set[str] = set()
        self._problems = Problems(RecordsError)
        self._collect()
        self._plan = self._check()

    @property
    def plan(self) -> Import:
        """What :meth:`run` does."""
        return self._plan

    # The first reading: which ids there are.

    def _collect(self) -> None:
        for line, row in self._valid(check=False):
            if line.word in JOBS:
                self._collect_job(line, row)
            elif line.word == "pauses":
                raise DamagedFileError(f"Line {line.number} does not belong to a tree.")
            elif line.word in OF_A_JOB:
                self._collect_record(line, row)
            if "id" in row:
                self._arriving.known.add(row["id"])
            if len(self._arriving.known) > MOST_RECORDS:
                raise DamagedFileError(f"The file has more than {MOST_RECORDS:,} jobs and records.", hint=RESTORE)
        if not self._arriving.jobs:
            raise DamagedFileError("The file has no jobs.")
        self._outside = self._children.keys() - self._arriving.jobs

    def _collect_job(self, line: FileLine, row: Record) -> None:
        if row["id"] in self._arriving.jobs:
            raise DamagedFileError(f"Line {line.number} repeats a job of the file.")
        self._arriving.jobs.add(row["id"])
        for parent in row["depends_on"] or ():
            self._children[parent] = self._children.get(parent, 0) + 1
        if self._options.pending and CONFIG in _payload(line.word, row):
            self._configured.add(row["id"])

    def _collect_record(self, line: FileLine, row: Record) -> None:
        job = row[OF_A_JOB[line.word]]
        if job not in self._arriving.jobs:
            raise DamagedFileError(f"Line {line.number} belongs to a job that does not come before it in the file.")
        if line.word == "operations":
            has_spawned = row["outcome"] == "spawned" and row["occurrence"] == ""
            (self._spawned if has_spawned else self._configured).add(job)

    # The second: whether all fits.

    def _check(self) -> Import:
        queues: dict[str, Counts] = {}
        records: dict[str, int] = {}
        fits = {word: ColumnLimits(rows) for word, rows in self._rows.items()}
        for number, word, row in self._arrivals():
            if word in JOBS:
                queues.setdefault(row["queue_name"] or "", Counts()).add(status_of(row["status"]))
            else:
                records[word] = records.get(word, 0) + 1
            if word not in self._rows:
                raise MissingTablesError(f"This database has no table for the {word} of the file.", hint=MIGRATE)
            problem = incomplete(word, row) or self._rows[word].lacking(row) or fits[word].problem(row)
            if problem:
                self._problems.add(number, problem)
        self._problems.refuse()
        self._refuse_existing()
        asked = self._reader.header.get("filter")
        top = asked.get("job") if isinstance(asked, dict) else None
        arriving = self._arriving
        return Import(
            top=arriving.id(top) if isinstance(top, str) and top in arriving.jobs else None,
            queues=queues,
            records=records,
            outside=frozenset(self._outside),
            unscheduled=arriving.unscheduled,
            mentioned=len(arriving.mentioned),
        )

    def _valid(self, *, check: bool) -> Iterator[tuple[FileLine, Record]]:
        """Yields the records whose values have the right kinds."""
        for line in self._reader.records():
            try:
                row = self._row(line)
            except UsageError as error:
                self._problems.add(line.number, error)
                continue
            yield line, row
        if not check:
            self._problems.refuse()

    def _row(self, line: FileLine) -> Record:
        if line.word not in self._rows:
            return values(line.word, line.record, self._reader.others.get(line.word, {}))
        return self._rows[line.word].values(line.record, self._others[line.word])

    def _arrivals(self) -> Iterator[tuple[int, str, Record]]:
        """Yields the rows to insert: number of the line, word of the table, values."""
        self._arriving.unscheduled = 0
        for line, row in self._valid(check=True):
            if line.word == "attempts" and self._options.pending:
                continue  # the jobs begin anew
            try:
                word, changed = self._arriving.changed(line.word, row)
            except HammerworkError as error:
                self._problems.add(line.number, error)
                continue
            yield line.number, word, changed
        if self._options.pending:
            again = (self._configured & self._children.keys() & self._arriving.jobs) - self._spawned
            for job in sorted(again):
                yield 0, "operations", spawn_record(self._arriving.id(job), self._now, new_id(), self._children[job])

    def _refuse_existing(self) -> None:
        ids = [{"id": self._arriving.id(job)} for job in self._arriving.jobs]
        existing = sorted(key[0] for word in JOBS if word in self._rows for key in self._rows[word].existing(ids))
        if existing:
            shown = ", ".join(existing[:SHOWN_IDS]) + (" and more" if existing[SHOWN_IDS:] else "")
            raise ConflictError(
                f"{numbered(len(existing), 'job of the file exists', 'jobs of the file exist')} in this database:"
                f" {shown}.",
                hint="Add --new-ids to import them beside these.",
            )

    # The third: writing.

    def run(self) -> Import:
        """Imports everything in one transaction."""

        def work() -> None:
            arrived: list[str] = []
            self._refuse_existing()
            for word, rows in groupby(self._arrivals(), key=lambda arrival: arrival[1]):
                for part in batched((row for _, _, row in rows), MOST_TOGETHER):
                    self._insert(word, part)
                    arrived.extend(row["job_id"] for row in part if word == "joins")
            if self._options.pending:  # otherwise they stay as they were
                for join in counts(self._database, arrived).values():
                    compare_join(self._database, join, lambda: self._now)
            notifications.notify(self._database, self._plan.queues)

        self._database.transaction(work)
        return self._plan

    def _insert(self, word: str, part: list[Record]) -> None:
        rows = self._rows[word]
        if word not in JOBS:
            # A workflow or a batch may have come with another tree.
            existing = rows.existing(part)
            part = [one for one in part if rows.key_of(one) not in existing]
        if part:
            rows.insert(part)


NEEDED = {
    "jobs": ("queue_name", "status", "payload", "created_at", "scheduled_at"),
    "archive": ("queue_name", "status", "payload", "created_at", "scheduled_at", "archived_at"),
    **{word: (owner,) for word, owner in OF_A_JOB.items()},
}


def incomplete(word: str, row: Record) -> str | None:
    """Says which column is missing without which no database takes a row."""
    missing = [name for name in NEEDED.get(word, ()) if row[name] is None]
    return f"{missing[0]} is missing" if missing else None


def _payload(word: str, row: Record) -> str:
    payload: Any = row["payload"]
    return (unpacked(payload) if word == "archive" and payload is not None else payload) or ""
