"""Jobs to change: by their ids, by a filter, or a job and its descendants."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from hammerwork_cli.core.values import (
    FAILURES,
    UNSUCCESSFUL,
    WAITING_SPELLINGS,
    Counts,
    JobStatus,
    id_list,
    status_of,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import DueLater, JobGroup, Reason
from hammerwork_cli.features.job.queries import dependencies
from hammerwork_cli.features.job.queries.listing import chosen
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import tree
from hammerwork_cli.features.tree.queries.relatives import Relatives

BATCH = 1000
"""Jobs per transaction."""
PATIENCE = 30.0
"""Seconds for which a tree is read again while jobs are inserted into it."""


class Snapshot(NamedTuple):
    """The jobs that a selection has at one time."""

    groups: list[JobGroup]  # counts of the jobs
    archived: int = 0  # jobs that it would have if they were not archived
    nodes: Sequence[TreeNode] = ()  # the jobs themselves, of trees


class ChangeBatch(NamedTuple):
    """Jobs to change in one transaction."""

    ids: Sequence[str] = ()  # ids of the jobs
    left: Mapping[str, int] = {}  # reason -> number of jobs that are in no batch; only in the last batch


class Selection(Protocol):
    wanted: JobFilter  # a filter that the jobs must still match when they are locked
    named: Sequence[str]  # the ids, for a selection by ids

    def read(self, database: Database) -> Snapshot:
        """Reads the jobs as they are now."""

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        """Yields each job once."""

    def has_failed_parents(self, database: Database, found: Snapshot) -> bool:
        """Whether one of the jobs that were found may depend on a failed or missing job outside the selection."""

    def has_dependents(self, database: Database, found: Snapshot) -> bool:
        """Whether a job outside the selection may wait for one of the jobs that were found."""


class ByIds:
    """Jobs by their ids, of which there may be a million: rows are read in parts."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.named: Sequence[str] = list(dict.fromkeys(ids))
        self.wanted = JobFilter()

    def read(self, database: Database) -> Snapshot:
        found: dict[str, Counts] = {}
        for nodes in self._parts(database):
            _count(nodes, found)
        return Snapshot(groups_of(found))

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        del database
        return map(ChangeBatch, chunks(self.named, BATCH))

    def has_failed_parents(self, database: Database, found: Snapshot) -> bool:
        del found
        ours = set(self.named)
        return any(_has_failed_parents(database, nodes, ours) for nodes in self._parts(database))

    def has_dependents(self, database: Database, found: Snapshot) -> bool:
        del found
        ours = set(self.named)
        return any(_has_dependents(database, nodes, ours) for nodes in self._parts(database))

    def _parts(self, database: Database) -> Iterator[list[TreeNode]]:
        relatives = Relatives(database)
        return (relatives.jobs(part) for part in chunks(self.named, BATCH))


class ByFilter:
    """Jobs by a filter, in the order of their ids: a second run continues where a first one stopped."""

    named: Sequence[str] = ()

    def __init__(
        self, wanted: JobFilter, *, batch: int | None = None, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self.wanted = wanted
        self._batch = batch or BATCH
        self._is_over = is_over  # of a subclass that may stop early

    def read(self, database: Database) -> Snapshot:
        found: dict[str, Counts] = {}
        for queue, status, jobs in database.rows("job.selections.groups", **chosen(self.wanted)):
            found.setdefault(queue, Counts()).add(status_of(status), jobs)
        return Snapshot(groups_of(found))

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        after: str | None = None
        while True:
            rows = database.rows("job.selections.ids", **chosen(self.wanted), after=after, limit=self._batch)
            ids = [str(job) for (job,) in rows]
            if ids:
                yield ChangeBatch(ids)
            if len(ids) < self._batch:  # leave out jobs that are inserted from now on
                return
            after = ids[-1]

    def has_failed_parents(self, database: Database, found: Snapshot) -> bool:
        """True if more jobs than :data:`BATCH` depend on others that have not completed."""
        del found
        filtered = chosen(self.wanted)
        rows = database.rows("job.selections.blocked", **filtered, limit=BATCH + 1)
        if len(rows) > BATCH:
            return True
        above = sorted({parent for (parents,) in rows for parent in id_list(parents)})
        known = {node.id: node.status for node in Relatives(database).jobs(above)}
        failed = [parent for parent in above if known.get(parent) in UNSUCCESSFUL]
        ours = len(list(database.rows_of("job.selections.chosen_among", failed, **filtered)))
        return len(known) < len(above) or ours < len(failed)

    def has_dependents(self, database: Database, found: Snapshot) -> bool:
        """True if any job waits for others, selected or not."""
        del found
        return any_waiting(database)


class Subtrees:
    """Jobs and their descendants, from the top down.

    A worker may insert children in the meantime: the tree is read again until there are no new jobs, or for
    :data:`PATIENCE`.
    """

    named: Sequence[str] = ()

    def __init__(self, jobs: Sequence[str], statuses: Collection[JobStatus]) -> None:
        self.jobs = jobs
        self.wanted = JobFilter(statuses=tuple(sorted(statuses)), unarchived=True)

    def read(self, database: Database) -> Snapshot:
        nodes: dict[str, TreeNode] = {}
        for job in self.jobs:
            if job not in nodes:
                # The jobs that were read before may be below this one.
                nodes = tree.tree(database, job, whole=False).nodes | nodes
        meant = [node for node in nodes.values() if node.status in self.wanted.statuses]
        present = [node for node in meant if node.archived_at is None]
        return Snapshot(grouped(present), len(meant) - len(present), present)

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        seen: set[str] = set()
        end: float | None = None
        while True:
            found = self.read(database)
            fresh = [node.id for node in found.nodes if node.id not in seen]
            if not fresh or (end and time.monotonic() > end):
                yield ChangeBatch(left={Reason.ARCHIVED: found.archived, Reason.STILL_COMING: len(fresh)})
                return
            seen.update(fresh)
            yield from map(ChangeBatch, chunks(fresh, BATCH))
            end = end or time.monotonic() + PATIENCE

    def has_failed_parents(self, database: Database, found: Snapshot) -> bool:
        return _has_failed_parents(database, found.nodes, {node.id for node in found.nodes})

    def has_dependents(self, database: Database, found: Snapshot) -> bool:
        return _has_dependents(database, found.nodes, {node.id for node in found.nodes})


def due_later(
    database: Database, selection: Selection, found: Snapshot, now: datetime, accepted: Sequence[str]
) -> DueLater:
    """The jobs in one of the ``accepted`` statuses, as they are shown, that are due later than now."""
    statement, values = "job.selections.due_later", {"now": now, "accepted": accepted, **chosen(selection.wanted)}
    if isinstance(selection, ByFilter):
        rows: Iterable[Sequence[Any]] = database.rows(statement, ids=None, **values)
    else:
        rows = database.rows_of(statement, selection.named or [node.id for node in found.nodes], **values)
    counted = [(int(jobs), timestamp(first)) for jobs, first in rows]
    return DueLater(sum(jobs for jobs, _ in counted), min((first for _, first in counted if first), default=None))


def any_waiting(database: Database) -> bool:
    return database.row("job.selections.any_waiting", waiting=WAITING_SPELLINGS) is not None


def _has_dependents(database: Database, nodes: Sequence[TreeNode], ours: Collection[str]) -> bool:
    pairs = dependencies.dependents(database, sorted(node.id for node in nodes), ("waiting",), WAITING_SPELLINGS)
    return any(job not in ours for _, job in pairs)


def failed_below(database: Database, job: str) -> bool:
    """Whether a descendant that is not archived has failed, among the first that are read."""
    nodes = tree.tree(database, job, whole=False, max_jobs=BATCH).nodes.values()
    return any(node.status in FAILURES and node.archived_at is None for node in nodes)


def _has_failed_parents(database: Database, nodes: Sequence[TreeNode], ours: Collection[str]) -> bool:
    outside = {parent for node in nodes for parent in node.depends_on if parent not in ours}
    parents = Relatives(database).jobs(sorted(outside))
    return len(parents) < len(outside) or any(parent.status in UNSUCCESSFUL for parent in parents)


def grouped(nodes: Iterable[TreeNode]) -> list[JobGroup]:
    """Counts jobs by queue and status."""
    found: dict[str, Counts] = {}
    _count(nodes, found)
    return groups_of(found)


def _count(nodes: Iterable[TreeNode], found: dict[str, Counts]) -> None:
    for node in nodes:
        found.setdefault(node.queue, Counts()).add(node.status)


def groups_of(found: dict[str, Counts]) -> list[JobGroup]:
    return [
        JobGroup(queue, status, jobs)
        for queue, counts in sorted(found.items())
        for status, jobs in sorted(counts.by_status.items())
    ]
