"""Which jobs a change is for: named ones, those that a filter chooses, or everything below one."""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import FAILURES, Counts, JobFilter, JobGroup, JobStatus, TreeNode, status_of
from hammerwork_cli.queries.graph import tree
from hammerwork_cli.queries.graph.relatives import Relatives
from hammerwork_cli.queries.job.listing import chosen

BATCH = 1000
"""Jobs a transaction."""
PATIENCE = 30.0
"""Seconds for which a tree is read again while jobs are being inserted into it."""


class Selection(Protocol):
    """Jobs that are to be changed.

    Attributes:
        wanted: what they must still be like when their turn comes.
        unreached: jobs that went on coming until the last batch was given up.
        archived: jobs that would be meant, were they not archived, as far as the selection has looked.
    """

    wanted: JobFilter
    unreached: int
    archived: int

    def groups(self, database: Database) -> list[JobGroup]:
        """How many they are now, by queue and status."""

    def batches(self, database: Database) -> Iterator[Sequence[str]]:
        """Their ids, a transaction's worth at a time, each job once."""

    def has_failed_parents(self, database: Database) -> bool:
        """Whether one of them may depend on a failed or missing job that is none of them."""


class Named:
    """Jobs whose ids were given."""

    unreached = 0
    archived = 0

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = list(dict.fromkeys(ids))
        self.wanted = JobFilter()

    def groups(self, database: Database) -> list[JobGroup]:
        """See :class:`Selection`."""
        return _grouped(Relatives(database).jobs(self.ids))

    def batches(self, database: Database) -> Iterator[Sequence[str]]:
        """See :class:`Selection`."""
        del database
        return chunks(self.ids, BATCH)

    def has_failed_parents(self, database: Database) -> bool:
        """See :class:`Selection`."""
        return _has_failed_parents(database, Relatives(database).jobs(self.ids))


class Chosen:
    """Jobs that a filter chooses, in the order of their ids: a second run goes on where a first was stopped."""

    unreached = 0
    archived = 0

    def __init__(self, wanted: JobFilter) -> None:
        self.wanted = wanted

    def groups(self, database: Database) -> list[JobGroup]:
        """See :class:`Selection`."""
        found: dict[str, Counts] = {}
        for queue, status, jobs in database.rows("job.selections.groups", **chosen(self.wanted)):
            found.setdefault(queue, Counts()).add(status_of(status), jobs)
        return _groups(found)

    def batches(self, database: Database) -> Iterator[Sequence[str]]:
        """See :class:`Selection`."""
        after: str | None = None
        while True:
            ids = [
                str(row[0])
                for row in database.rows("job.selections.ids", **chosen(self.wanted), after=after, limit=BATCH)
            ]
            if ids:
                yield ids
            if len(ids) < BATCH:  # what is inserted from now on was not meant
                return
            after = ids[-1]

    def has_failed_parents(self, database: Database) -> bool:
        """See :class:`Selection`. True where any depends on a job that has not completed, whichever that is."""
        return database.row("job.selections.any_blocked", **chosen(self.wanted)) is not None


class Below:
    """A job and everything below it, from the top down.

    The tree is read again until that finds nothing new, or for :data:`PATIENCE`: a worker may be inserting children
    meanwhile.
    """

    unreached = 0
    archived = 0

    def __init__(self, job: str, statuses: Collection[JobStatus]) -> None:
        self.job = job
        self.wanted = JobFilter(statuses=tuple(sorted(statuses)), unarchived=True)
        self._last: list[TreeNode] = []

    def groups(self, database: Database) -> list[JobGroup]:
        """See :class:`Selection`."""
        return _grouped(self._read(database))

    def _read(self, database: Database) -> list[TreeNode]:
        nodes = tree.tree(database, self.job, whole=False).nodes.values()
        meant = [node for node in nodes if node.status in self.wanted.statuses]
        self._last = [node for node in meant if node.archived_at is None]
        self.archived = len(meant) - len(self._last)
        return self._last

    def has_failed_parents(self, database: Database) -> bool:
        """See :class:`Selection`. Of the jobs as they were read last."""
        return _has_failed_parents(database, self._last)

    def batches(self, database: Database) -> Iterator[Sequence[str]]:
        """See :class:`Selection`."""
        seen: set[str] = set()
        end: float | None = None
        while fresh := [node.id for node in self._read(database) if node.id not in seen]:
            if end and time.monotonic() > end:
                self.unreached = len(fresh)
                return
            seen.update(fresh)
            yield from chunks(fresh, BATCH)
            end = end or time.monotonic() + PATIENCE


def failed_below(database: Database, job: str) -> bool:
    """Whether a job failed below another one that is not archived, among the first that are read of its tree."""
    nodes = tree.tree(database, job, whole=False, max_jobs=BATCH).nodes.values()
    return any(node.status in FAILURES and node.archived_at is None for node in nodes)


def _has_failed_parents(database: Database, nodes: Sequence[TreeNode]) -> bool:
    chosen_ids = {node.id for node in nodes}
    outside = {parent for node in nodes for parent in node.depends_on} - chosen_ids
    parents = Relatives(database).jobs(sorted(outside))
    return len(parents) < len(outside) or any(parent.status in FAILURES for parent in parents)


def _grouped(nodes: Iterable[TreeNode]) -> list[JobGroup]:
    found: dict[str, Counts] = {}
    for node in nodes:
        found.setdefault(node.queue, Counts()).add(node.status)
    return _groups(found)


def _groups(found: dict[str, Counts]) -> list[JobGroup]:
    return [
        JobGroup(queue, status, jobs)
        for queue, counts in sorted(found.items())
        for status, jobs in sorted(counts.by_status.items())
    ]
