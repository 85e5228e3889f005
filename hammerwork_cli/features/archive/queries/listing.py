"""Finds archived jobs: lists, sums, and the selections of ``archive restore`` and ``archive purge``."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hammerwork_cli.core.values import UNSUCCESSFUL, Counts, Timestamp, derived_words, spellings, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.errors import JobNotFoundError
from hammerwork_cli.features.archive.models.lists import ArchivedJob, ArchivedSum, ArchiveFilter
from hammerwork_cli.features.job.models.plan import JobGroup
from hammerwork_cli.features.job.queries.dependencies import EVERY_JOB
from hammerwork_cli.features.job.queries.selections import BATCH, ChangeBatch, Snapshot, any_waiting, grouped, groups_of
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import cursors, tree

PAGE = 1000


def chosen(wanted: ArchiveFilter) -> dict[str, Any]:
    """The values of the fragment ``{filtered}``."""
    return wanted._asdict() | {"statuses": spellings(wanted.statuses), "derived": derived_words(wanted.statuses)}


def find(
    database: Database, wanted: ArchiveFilter, *, limit: int, cursor: str | None = None, offset: int = 0
) -> Iterator[ArchivedJob]:
    """Yields the archived jobs that fit a filter, most recently archived first.

    Raises UsageError if the cursor is not valid.

    Args:
        cursor: ``ARCHIVED_AT/ID`` of the last job of the page before.
    """
    if "archive" not in database.tags:
        return
    at: Timestamp = None
    job: str | None = None
    if cursor:
        at, job = cursors.split(cursor)
    if job is not None and at is None:
        row = database.row("archive.listing.archived_at", id=job)
        if row is None:
            raise JobNotFoundError(job, "to continue after")
        (at,) = row
    while limit > 0:
        rows = database.rows(
            "archive.listing.list", **chosen(wanted), at=at, after=job, limit=min(limit, PAGE), offset=offset
        )
        page = list(map(ArchivedJob._make, rows))
        yield from page
        limit -= len(page)
        if len(page) < PAGE:
            return
        at, job, offset = page[-1].archived_at, page[-1].id, 0


def sums(database: Database, queues: Sequence[str] = ()) -> list[ArchivedSum]:
    """The archived jobs by queue and reason."""
    if "archive" not in database.tags:
        return []
    return [
        ArchivedSum(queue, reason, jobs, int(stored), int(before), oldest, newest)
        for queue, reason, jobs, stored, before, oldest, newest in database.rows("archive.listing.sums", queues=queues)
    ]


def groups(database: Database, wanted: ArchiveFilter) -> list[JobGroup]:
    """The archived jobs that fit a filter, by queue and status."""
    found: dict[str, Counts] = {}
    for queue, status, jobs in database.rows("archive.listing.groups", **chosen(wanted)):
        found.setdefault(queue, Counts()).add(status_of(status), jobs)
    return groups_of(found)


class Archived:
    """Archived jobs by a filter, least recently archived first.

    Args:
        is_over: called after each batch; returns whether to stop.
    """

    named: Sequence[str] = ()
    wanted = EVERY_JOB

    def __init__(self, chosen: ArchiveFilter, *, is_over: Callable[[], bool] = lambda: False) -> None:
        self._chosen, self._is_over = chosen, is_over

    def read(self, database: Database) -> Snapshot:
        return Snapshot(groups(database, self._chosen))

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        at, job = None, None
        while True:
            rows = database.rows("archive.listing.ids", **chosen(self._chosen), at=at, after=job, limit=BATCH)
            if rows:
                job, at = rows[-1]
                yield ChangeBatch([str(one) for one, _ in rows])
                if self._is_over():
                    return
            if len(rows) < BATCH:
                return

    def has_failed_parents(self, database: Database, found: Snapshot) -> bool:
        del database, found
        return False

    def has_dependents(self, database: Database, found: Snapshot) -> bool:
        """True if any job waits for others."""
        del found
        return any_waiting(database)


class NamedArchived(Archived):
    """Archived jobs by their ids."""

    def __init__(self, jobs: Sequence[str]) -> None:
        super().__init__(ArchiveFilter())
        self.named = jobs

    def read(self, database: Database) -> Snapshot:
        found: dict[str, Counts] = {}
        for queue, status in database.rows_of("archive.listing.states", self.named):
            found.setdefault(queue, Counts()).add(status_of(status))
        return Snapshot(groups_of(found))

    def have_failed(self, database: Database) -> bool:
        return all(group.status in UNSUCCESSFUL for group in self.read(database).groups)

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        del database
        return map(ChangeBatch, chunks(self.named, BATCH))


class ArchivedTree(Archived):
    """A job and everything below it, as far as it is in the archive, from the top down."""

    def __init__(self, job: str) -> None:
        super().__init__(ArchiveFilter())
        self._top = job

    def _nodes(self, database: Database) -> list[TreeNode]:
        nodes = tree.tree(database, self._top, whole=False).nodes.values()
        return [node for node in nodes if node.archived_at is not None]

    def read(self, database: Database) -> Snapshot:
        return Snapshot(grouped(self._nodes(database)))

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        return map(ChangeBatch, chunks([node.id for node in self._nodes(database)], BATCH))
