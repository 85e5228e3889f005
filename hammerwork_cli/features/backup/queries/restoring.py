"""Restores a file into a database."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import IO, NamedTuple

from hammerwork_cli.core.input.problems import Problems, RecordsError
from hammerwork_cli.core.values import Counts, JobStatus, numbered, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.errors import ConflictError, MissingTablesError, UsageError
from hammerwork_cli.features.backup.models.plan import Restored
from hammerwork_cli.features.backup.models.tables import Record, given_back, unclaimed
from hammerwork_cli.features.backup.queries.files import BackupReader, FileLine
from hammerwork_cli.features.backup.queries.fitting import ColumnLimits
from hammerwork_cli.features.backup.queries.importing import JOBS, MOST_TOGETHER, incomplete
from hammerwork_cli.features.backup.queries.rows import Rows
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.worker.queries import registry

BATCHES_TOGETHER = 10
"""Parts of a transaction."""
MOST_BYTES = 1 << 24
"""Bytes of the lines after which a part, or a transaction, ends: rows may be large."""


class Existing(StrEnum):
    """How to treat records that already exist."""

    FAIL = "fail"
    SKIP = "skip"
    REPLACE = "replace"


class RestoreOptions(NamedTuple):
    existing: Existing = Existing.FAIL
    keep_running: bool = False  # Running jobs stay Running; otherwise they become Pending, because no worker has them
    paused: bool = False  # all queues of the file are paused before their jobs are written
    without: tuple[str, ...] = ()  # see `Rows`
    copied: bool = False  # the file may have what only a copy has


class BackupRestore:
    """A restore of a file, which is checked to its last line when this is made.

    Raises DamagedFileError if the file was cut or changed. Raises RecordsError if the database cannot store a record.
    Raises RefusedValueError if the database lacks a column that this version does not know.

    Args:
        file: a file that can be read several times.
    """

    def __init__(self, database: Database, file: IO[bytes], options: RestoreOptions) -> None:
        database.check_current()
        self._database = database
        self._options = options
        self._reader = BackupReader(file)
        others = self._reader.others
        self._rows = Rows.of_all(database, options.without, others, copied=options.copied)
        self._others = {word: rows.accept(others.get(word, {})) for word, rows in self._rows.items()}
        self._problems = Problems(RecordsError)
        self.plan = self._check()

    def _check(self) -> Restored:
        found: dict[str, Counts] = {}
        reset = existed = 0
        fits = {word: ColumnLimits(rows) for word, rows in self._rows.items()}
        names: dict[str, dict[str, int]] = {}
        for word, part, _ in self._parts():
            taken = self._rows[word].taken([row for _, row in part])
            for number, row in part:
                problem = incomplete(word, row) or self._rows[word].lacking(row) or fits[word].problem(row)
                if self._rows[word].key_of(row) in taken:
                    other = f"name: this database has another {word.removesuffix('s')} {row['name'][:60]!r}"
                    problem = problem or f"{other}; rename one of them"
                if problem:
                    self._problems.add(number, problem)
                if self._rows[word].is_named:
                    names.setdefault(word, {})[str(self._rows[word].key_of(row)[0])] = number
                if word in JOBS:
                    reset += self._is_reset(word, row)
                    status = JobStatus.PENDING if self._is_reset(word, row) else status_of(row["status"])
                    found.setdefault(row["queue_name"] or "", Counts()).add(status)
            existed += len(self._existing(word, [row for _, row in part]))
        for word, lines in names.items():
            self._check_names(word, lines)
        self._problems.refuse()
        if existed and self._options.existing is Existing.FAIL:
            raise ConflictError(
                f"{numbered(existed, 'record of the file exists', 'records of the file exist')} in this database.",
                hint="Add --existing skip to keep these, or --existing replace.",
            )
        return Restored(found, self._reader.counts, existed=existed, reset=reset)

    def _check_names(self, word: str, lines: Mapping[str, int]) -> None:
        rows = self._rows[word]
        key = rows.table.key[0]
        for pair in rows.alike(lines.keys() | {str(record[key]) for record in rows.all()}):
            other, name = pair if pair[1] in lines else reversed(pair)
            if name in lines:
                self._problems.add(
                    lines[name],
                    f"{key}: this database cannot tell {name[:60]!r} from {other[:60]!r}; rename one of them",
                )

    def _parts(self) -> Iterator[tuple[str, list[tuple[int, Record]], int]]:
        """Yields neighbouring records of one table together: its word, their lines and values, and their bytes."""
        for word, lines in groupby(self._reader.records(), key=lambda line: line.word):
            if word not in self._rows:
                raise MissingTablesError(f"This database has no table for the {word} of the file.", hint=MIGRATE)
            part: list[tuple[int, Record]] = []
            size = 0
            for line in lines:
                row = self._values(line)
                if row is not None:
                    part.append((line.number, row))
                    size += line.size
                if len(part) == MOST_TOGETHER or size >= MOST_BYTES:
                    yield word, part, size
                    part, size = [], 0
            if part:
                yield word, part, size

    def _values(self, line: FileLine) -> Record | None:
        try:
            return self._rows[line.word].values(line.record, self._others[line.word])
        except UsageError as error:
            self._problems.add(line.number, error)
            return None

    def _is_reset(self, word: str, row: Record) -> bool:
        return word == "jobs" and not self._options.keep_running and status_of(row["status"]) == JobStatus.RUNNING

    def _existing(self, word: str, rows: Sequence[Record]) -> set[tuple[object, ...]]:
        return self._rows[word].existing(rows)

    def refuse_workers(self) -> None:
        """See :func:`refuse_workers`. With paused queues, workers may go on."""
        if not self._options.paused:
            refuse_workers(self._database, "Or add --paused, and resume the queues later.")

    def run(self, by: str, now: datetime, report: Callable[[int], None] = lambda _: None) -> Restored:
        """Writes the records, some thousands a transaction. If it stops half-way, ``existing='skip'`` goes on.

        Args:
            report: called with the number of records so far.
        """
        if self._options.paused:
            for queue in sorted(self.plan.queues):
                queues.pause(self._database, queue, by=by, now=now, reason="restored", keep=True)
        done = self.plan._replace(existed=0)
        waiting: list[tuple[str, list[Record]]] = []

        def write() -> None:
            nonlocal done, waiting
            batches = waiting
            written, existed, replaced = self._database.transaction(lambda: self._write(batches))
            done = done._replace(
                written=done.written + written, existed=done.existed + existed, replaced=done.replaced + replaced
            )
            waiting = []
            report(done.written + done.existed)

        together = 0
        for word, part, size in self._parts():
            waiting.append((word, [self._arriving(word, row) for _, row in part]))
            together += size
            if len(waiting) == BATCHES_TOGETHER or together >= MOST_BYTES:
                write()
                together = 0
        if waiting:
            write()
        return done

    def _arriving(self, word: str, row: Record) -> Record:
        if word == "requests" and not self._options.keep_running:
            return given_back(row)
        row = unclaimed(row) if word == "jobs" else row
        if not self._is_reset(word, row):
            return row
        return row | {"started_at": None, "status": JobStatus.PENDING.value}

    def _write(self, batches: Sequence[tuple[str, list[Record]]]) -> tuple[int, int, int]:
        written = existed = replaced = 0
        for word, part in batches:
            rows = self._rows[word]
            known = rows.existing(part)
            new = [row for row in part if rows.key_of(row) not in known]
            if known and self._options.existing is Existing.REPLACE:
                rows.remove([row for row in part if rows.key_of(row) in known])
                replaced, new = replaced + len(part) - len(new), part
            else:
                existed += len(part) - len(new)
            written += rows.insert(new) if new else 0
        return written, existed, replaced


def orphans(database: Database) -> int:
    """Counts the deliveries that wait although the database does not have their webhooks."""
    known = {one.id for one in webhooks.listed(database)}
    return sum(jobs for webhook, jobs in webhooks.waiting(database).items() if webhook not in known)


def refuse_workers(database: Database, more: str) -> None:
    """Refuses to write beside workers, which would run jobs before all of their tree is there."""
    found = registry.listed(database, alive=True)
    alive = [worker.name for worker in found if worker.is_alive and worker.serves(())]
    if alive:
        raise ConflictError(
            f"{numbered(len(alive), 'worker is', 'workers are')} running in {database.url},"
            f" for example {alive[0][:60]}.",
            hint=f"Stop them: hammerwork worker stop --all --wait. {more}",
        )
