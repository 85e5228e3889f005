"""Finds operations with failed descendants: from the newest failed jobs upward, a level at a time."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from hammerwork_cli.core.values import FAILED_SPELLINGS, ODDLY_FAILED, JobStatus, id_list, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import JobNotFoundError
from hammerwork_cli.features.job.models.job import StoredJob
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.spawn.models.spawn import FailedBelow, SpawnOperation
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from hammerwork_cli.features.spawn.queries.error_texts import error_texts, headline
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import cursors, records
from hammerwork_cli.features.tree.queries.relatives import Relatives

MOST_FAILED = 2000
"""Failed jobs from which the search goes upward: the newest."""
MOST_ANCESTORS = 20_000
LEVELS = 100

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class _FailedOperation(NamedTuple):
    parents: tuple[str, ...]
    at: datetime
    has_config: bool


class FailedOperations(NamedTuple):
    """Operations that failed or have failed descendants, the newest failure first."""

    operations: list[SpawnOperation]
    total: int  # number of all operations that the search found
    more: bool  # whether there may be other operations, since the search reached a limit
    cursor: str | None  # cursor of the next page, if there is one


def operations(
    database: Database,
    *,
    limit: int,
    queues: Sequence[str] = (),
    statuses: Iterable[JobStatus] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    operations: Sequence[str] = (),
    roots: bool = False,
    cursor: str | None = None,
    topmost: bool = False,
) -> FailedOperations:
    """Returns the operations that failed or have failed descendants, in one snapshot.

    Raises UsageError if the cursor is not valid.

    Args:
        operations: operation ids in the parent's configuration or in a worker's record, or ids of the record.
        roots: only parents that depend on no other job.
        topmost: only operations that no other operation stands above.
    """
    after = cursors.split(cursor) if cursor else None
    with database.snapshot():
        climb = _Climb(Relatives(database), _newest_failed(database, since))
        spawners = climb.tops(climb.spawners()) if topmost else climb.spawners()
        found = [node for node in spawners if _fits(node, queues, statuses, since, until)]
        if roots:
            found = [node for node in found if not node.depends_on]
        if operations:
            found = _of_operations(database, found, operations)
        found.sort(key=climb.newest_first, reverse=True)
        start = _start([(climb.newest(node), node.id) for node in found], after)
        page = found[start : start + limit]
        counted = operations_queries.counted(database, page)
        errors = _errors(climb, page)
    last = cursors.at(climb.newest(page[-1]), page[-1].id) if start + limit < len(found) else None
    listed = [one._replace(below=climb.below(one.parent, errors)) for one in counted]
    return FailedOperations(listed, len(found), climb.more, last)


def with_failures(database: Database, listed: Sequence[SpawnOperation]) -> list[SpawnOperation]:
    """Returns the operations with the failures on all levels below them, without their errors."""
    created = [timestamp(one.parent.created_at) for one in listed]
    since = None if None in created else min(filter(None, created), default=None)
    with database.snapshot():
        climb = _Climb(Relatives(database), _newest_failed(database, since))
    return [one._replace(below=climb.below(one.parent, {})) if climb.knows(one.parent) else one for one in listed]


def _newest_failed(
    database: Database, since: datetime | None, *, queues: Sequence[str] = (), limit: int | None = None
) -> dict[str, _FailedOperation]:
    """Job -> what the search needs of it, the newest failure first; by default one job more than it looks at."""
    rows = database.rows(
        "tree.failed.newest",
        place=None,
        failed=FAILED_SPELLINGS,
        oddly_failed=ODDLY_FAILED,
        queues=queues,
        since=since,
        limit=MOST_FAILED + 1 if limit is None else limit,
    )
    return {
        job: _FailedOperation(id_list(parents), timestamp(at) or _LONG_AGO, bool(config))
        for job, parents, at, config in rows
    }


def latest(
    database: Database, *, limit: int, queues: Sequence[str] = (), since: datetime | None = None
) -> list[StoredJob]:
    """Returns the jobs that failed last, the newest failure first."""
    with database.snapshot():
        ids = list(_newest_failed(database, since, queues=queues, limit=limit))
        jobs = map(listing.listed, database.rows("job.listing.by_ids", ids=database.ids(ids)) if ids else ())
        found = {job.node.id: job for job in jobs}
    return [found[job] for job in ids if job in found]


def _errors(climb: "_Climb", operations: Iterable[TreeNode]) -> dict[str, str]:
    """Headline by id, of the newest failure of each operation."""
    nodes = climb.relatives.jobs(sorted({climb.newest_job(node) for node in operations}))
    return {job: headline(error) for job, error in error_texts(climb.relatives.database, nodes).items()}


def _fits(
    node: TreeNode,
    queues: Sequence[str],
    statuses: Iterable[JobStatus] | None,
    since: datetime | None,
    until: datetime | None,
) -> bool:
    created = timestamp(node.created_at) or _LONG_AGO
    return (
        (not queues or node.queue in queues)
        and (statuses is None or node.status in set(statuses))
        and (since is None or created >= since)
        and (until is None or created < until)
    )


def _of_operations(database: Database, nodes: Sequence[TreeNode], operations: Sequence[str]) -> list[TreeNode]:
    recorded = records.of_jobs(database, [node.id for node in nodes])
    return [
        node
        for node in nodes
        if node.operation_id in operations
        or any(not {record.id, record.operation_id}.isdisjoint(operations) for record in recorded.get(node.id, ()))
    ]


def _start(order: Sequence[tuple[datetime, str]], after: tuple[datetime | None, str] | None) -> int:
    """Start of the next page. The last job of the previous page may stand elsewhere if it has failed again since."""
    if after is None:
        return 0
    instant, last = after
    for place, (at, job) in enumerate(order):
        if job == last and instant in {None, at}:
            return place + 1
        if instant is not None and at < instant:
            return place
    if instant is None:
        raise JobNotFoundError(last, "to continue after")
    return len(order)


class _Climb:
    """The ancestors of failed jobs, and the failed jobs below each of them."""

    def __init__(self, relatives: Relatives, failed: dict[str, _FailedOperation]) -> None:
        self.relatives = relatives  # reads jobs
        self.more = len(failed) > MOST_FAILED  # whether the search reached a limit
        self._failed = dict(list(failed.items())[:MOST_FAILED])
        self._parents = {job: one.parents for job, one in self._failed.items()}
        self._ancestors: dict[str, TreeNode] = {}
        self._heights = dict.fromkeys(self._failed, 0)
        self._climb()
        self._counts: dict[str, int] = {}
        self._newest = {job: (one.at, job) for job, one in self._failed.items()}
        self._count()

    def _climb(self) -> None:
        asked: set[str] = set()
        frontier = set(chain.from_iterable(self._parents.values()))
        for height in range(1, LEVELS + 1):
            level = sorted(frontier)[: MOST_ANCESTORS - len(asked)]
            if not level:
                break
            asked.update(level)
            found = self.relatives.jobs(level)
            self._ancestors.update((node.id, node) for node in found)
            self._heights.update((node.id, height) for node in found)
            self._parents.update((node.id, node.depends_on) for node in found)
            frontier = frontier.union(*(node.depends_on for node in found)) - asked
        self.more = self.more or bool(frontier)

    def _count(self) -> None:
        """Counts each failed job for all of its ancestors, once for all jobs with the same parents."""
        alike: dict[tuple[str, ...], list[tuple[datetime, str]]] = {}
        for job, one in self._failed.items():
            alike.setdefault(one.parents, []).append((one.at, job))
        for parents, failed in alike.items():
            newest = max(failed)
            for job in self._above(parents):
                self._counts[job] = self._counts.get(job, 0) + len(failed)
                self._newest[job] = max(self._newest.get(job, newest), newest)

    def _above(self, parents: Iterable[str]) -> set[str]:
        above: set[str] = set()
        stack = list(parents)
        while stack:
            job = stack.pop()
            if job not in above:
                above.add(job)
                stack += self._parents.get(job, ())
        return above

    def spawners(self) -> list[TreeNode]:
        """Returns the ancestors and the failed jobs that have spawned, or have a spawn configuration."""
        unconfigured = [job for job, node in self._ancestors.items() if not node.has_spawn_config]
        unconfigured += [job for job, one in self._failed.items() if not one.has_config and job not in self._ancestors]
        recorded = records.parents(self.relatives.database, unconfigured)
        own = [job for job, one in self._failed.items() if one.has_config or job in recorded]
        unread = self.relatives.jobs(job for job in own if job not in self._ancestors)
        above = [node for job, node in self._ancestors.items() if node.has_spawn_config or job in recorded]
        return above + unread

    def tops(self, spawners: Sequence[TreeNode]) -> list[TreeNode]:
        """Returns those spawners that no other one stands above; of damaged rows that form a circle, all of it."""
        ids = {node.id for node in spawners}
        return [
            node
            for node in spawners
            if all(node.id in self._above(self._parents[one]) for one in self._above(node.depends_on) & ids)
        ]

    def knows(self, node: TreeNode) -> bool:
        """Whether a failure is at or below a job."""
        return node.id in self._newest

    def newest(self, node: TreeNode) -> datetime:
        """Time of the last failure at or below a job."""
        return self._newest[node.id][0]

    def newest_job(self, node: TreeNode) -> str:
        """Id of the job that failed last at or below a job."""
        return self._newest[node.id][1]

    def newest_first(self, node: TreeNode) -> tuple[datetime, int, int, str]:
        """Sort key that puts a tree before the trees within it."""
        return self.newest(node), self._counts.get(node.id, 0), self._heights[node.id], node.id

    def below(self, node: TreeNode, errors: dict[str, str]) -> FailedBelow:
        """Number of the failures below a job, and the newest one at or below it."""
        error = errors.get(self.newest_job(node))
        return FailedBelow(self._counts.get(node.id, 0), self.more, self.newest(node), error)
