"""Writes a database, or some queues of it, into a file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

from hammerwork_cli.core.values import derived_words, rfc3339, spellings
from hammerwork_cli.database import Database
from hammerwork_cli.features.backup.models.tables import OF_A_COPY, Record
from hammerwork_cli.features.backup.queries.files import BackupWriter
from hammerwork_cli.features.backup.queries.headers import header
from hammerwork_cli.features.backup.queries.rows import Rows
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries.selections import ByFilter

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Extent:
    jobs: JobFilter = field(default_factory=JobFilter)  # the jobs, and the archived jobs that fit alike
    archive: bool = True  # whether archived jobs are written too

    @property
    def is_all(self) -> bool:
        """Whether no filter leaves jobs out. Then pauses and all workflows and batches are written too."""
        return self.jobs == JobFilter()


def create(
    database: Database,
    stream: IO[bytes],
    now: datetime,
    extent: Extent,
    without: Collection[str] = (),
    *,
    copied: bool = False,
) -> dict[str, int]:
    """Writes jobs and everything that belongs to them, read in one snapshot.

    Returns records by the word of their table.

    Args:
        copied: what only a copy has, too: nobody else may read the file.
    """
    wanted = extent.jobs
    filters = {
        "queues": list(wanted.queues) or None,
        "statuses": [str(status) for status in wanted.statuses] or None,
        "since": rfc3339(wanted.since),
        "archive": None if extent.archive else False,
    }
    with database.snapshot():
        tables = Rows.of_all(database, without, copied=copied)
        if not extent.archive:
            tables.pop("archive", None)
        writer = BackupWriter(stream, header(database, now, "backup", tables.values(), **filters))
        if extent.is_all:
            for word, rows in tables.items():
                for record in rows.all():
                    writer.add(word, record)
        else:
            _Some(database, writer, tables).write(extent)
        writer.end()
    return writer.counts


class _Some:
    """Writes the jobs that fit a filter, a batch at a time, each with its records."""

    def __init__(self, database: Database, writer: BackupWriter, tables: Mapping[str, Rows]) -> None:
        self._database = database
        self._writer = writer
        self._rows = tables
        self._named: dict[str, set[str]] = {"workflows": set(), "batches": set()}

    def write(self, extent: Extent) -> None:
        for batch in ByFilter(extent.jobs).batches(self._database):
            self._add_jobs("jobs", batch.ids)
        if "archive" in self._rows:
            for ids in self._archived(extent.jobs):
                self._add_jobs("archive", ids)
        for word, named in self._named.items():
            if word in self._rows:
                self._add(word, "id", sorted(named))

    def _add_jobs(self, word: str, ids: Sequence[str]) -> None:
        for record in self._add(word, "id", ids):
            for name, column in (("workflows", "workflow_id"), ("batches", "batch_id")):
                if column in record:
                    self._named[name].add(record[column])
        for other, owner in OF_A_COPY.items():
            if other in self._rows:
                self._add(other, owner, ids)

    def _add(self, word: str, owner: str, ids: Sequence[str]) -> list[Record]:
        records = list(self._rows[word].of(owner, ids))
        for record in records:
            self._writer.add(word, record)
        return records

    def _archived(self, wanted: JobFilter) -> Iterator[list[str]]:
        after: str | None = None
        chosen = {
            "queues": wanted.queues,
            "statuses": spellings(wanted.statuses),
            "derived": derived_words(wanted.statuses),
            "since": wanted.since,
        }
        while True:
            rows = self._database.rows("backup.archived_ids", **chosen, after=after, limit=PAGE)
            ids = [str(one) for (one,) in rows]
            if ids:
                yield ids
            if len(ids) < PAGE:
                return
            after = ids[-1]
