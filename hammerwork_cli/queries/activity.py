"""What happens right now: looks that cost as much in a large table as in a small one."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.models import FAILURES, FINISHED, WAITING, Counts, JobStatus, SpawnOperation, TreeNode, moment
from hammerwork_cli.models.activity import Activity, BusyWorker, Flow, RunningOperation
from hammerwork_cli.queries import workers
from hammerwork_cli.queries.kinship import FAILED_SPELLINGS, ChildTotals, collect_totals

MOST_PENDING = 10_000
"""Pending jobs that are counted; of more it is only known that there are more."""
MOST_RUNNING = 1000
"""Running jobs that are read: the last created, of all queues."""
MOST_OPERATIONS = 30
NEWEST_SPAWNERS = 50
SPAWNERS_LOOKED_AT = 500
MOST_FAILURES = 10
LAG = timedelta(seconds=1)
"""A window ends so long before the look: what is just being committed, or was written by a clock that is a little
behind, is counted by the next one."""
OVERLAP = timedelta(minutes=1)
"""Failures are looked for so far back each time, since the clocks of those who write them may differ."""
FIRST_FAILURES = timedelta(days=1)
SETTLING = timedelta(seconds=10)
"""How long after a parent's end the original may still be inserting its children, one by one."""
OPERATIONS_REMEMBERED = 10_000

_USUALLY_PENDING = {"Pending", "Retrying"}
_ODDLY_PENDING = tuple(word for status in sorted(WAITING) for word in status.spellings if word not in _USUALLY_PENDING)
_OPEN = tuple(word for status in JobStatus if status not in FINISHED for word in status.spellings)
_FIGURES = 7
_KIND, _CHILDREN, _NODE = 7, 8, 9


class ActivityWatch:
    """Looks at the queues again and again.

    Args:
        database: an open connection.
        queue: only this queue, and the operations whose parent or running children are in it.
        window: what the first look's figures are about; later ones are about the time since the look before.
        until_idle: whether to ask, each time, if nothing is open any more.
    """

    def __init__(
        self, database: Database, *, queue: str | None = None, window: timedelta, until_idle: bool = False
    ) -> None:
        self._queue = queue
        self._until_idle = until_idle
        self.connected(database)
        self._began = self._now()
        self._until = self._began - LAG
        self._since = self._until - window
        self._failures: dict[str, TreeNode] = {}
        self._failures_since = self._began - FIRST_FAILURES
        self._operations: dict[str, TreeNode] = {}
        self._ended: dict[str, None] = {}
        self._has_failed = False

    def connected(self, database: Database) -> None:
        """Goes on with another connection."""
        self._database = database
        self._ahead = database.now() - _local_now()

    @property
    def counts_children(self) -> bool:
        """Whether the children of an operation can be counted at the cost of reading them."""
        return "by_first_parent" in self._database.tags

    def _now(self) -> datetime:
        """The server's clock, which is asked once a connection."""
        return _local_now() + self._ahead

    def look(self) -> Activity:
        """One look, as of one moment: a statement, or four with our indexes."""
        now = self._now()
        until = max(now - LAG, self._until)
        if self.counts_children:
            with self._database.snapshot():
                rows = self._look(until)
                operations = self._counted(_parents(rows), now)
                idle = self._is_idle(rows[0])
        else:
            rows = self._look(until)
            operations = _uncounted(rows)
            idle = self._is_idle(rows[0])
        activity = self._activity(rows, now, until, operations, idle)
        # Only now: a look that was broken off is made again, for a window that goes on.
        self._since = self._until = until
        self._failures_since = now - OVERLAP
        return activity

    def _look(self, until: datetime) -> list[Row]:
        return self._database.rows(
            "activity.look",
            queue=self._queue,
            since=self._since,
            until=until,
            failures_since=self._failures_since,
            known_failures=tuple(self._failures),
            known_parents=tuple(self._operations),
            completed=JobStatus.COMPLETED.spellings,
            failed=FAILED_SPELLINGS,
            oddly_pending=_ODDLY_PENDING,
            most_pending=MOST_PENDING + 1,
            most_running=MOST_RUNNING,
            most_failures=MOST_FAILURES,
            most_parents=MOST_OPERATIONS,
        )

    def _is_idle(self, figures: Row) -> bool | None:
        if not self._until_idle:
            return None
        if figures[0] or figures[1]:
            return False
        return self._database.row("activity.any_open", queue=self._queue, open=_OPEN) is None

    def _activity(
        self,
        rows: Sequence[Row],
        now: datetime,
        until: datetime,
        operations: tuple[RunningOperation, ...],
        idle: bool | None,
    ) -> Activity:
        pending, running, running_anywhere, *flow = map(int, rows[0][:_FIGURES])
        failures = _newest_failures(rows)
        self._failures = {node.id: node for node in failures}
        self._has_failed = self._has_failed or any(_ended_at(node) >= self._began for node in failures)
        return Activity(
            at=now,
            queue=self._queue,
            flow=Flow((until - self._since).total_seconds(), *flow),
            pending=min(pending, MOST_PENDING),
            running=running,
            more_pending=pending > MOST_PENDING,
            more_running=running_anywhere >= MOST_RUNNING,
            operations=operations,
            failures=failures,
            workers=self._workers(),
            failed_since=self._has_failed,
            idle=idle,
        )

    def _workers(self) -> tuple[BusyWorker, ...] | None:
        """The workers that have not ended; with a queue, those that serve it."""
        if "hammerwork_workers" not in self._database.schema:
            return None
        alive = workers.listed(self._database, alive=True)
        return tuple(
            BusyWorker(
                worker.name,
                worker.queue_names,
                worker.state,
                worker.running,
                worker.concurrency,
                worker.completed,
                worker.failed,
                worker.silent_for,
            )
            for worker in alive
            if self._queue is None or self._queue in worker.queue_names
        )

    # Operations.

    def _counted(self, busy: dict[str, TreeNode], now: datetime) -> tuple[RunningOperation, ...]:
        """The operations that run, and those that did at the look before."""
        parents = self._spawners(busy)
        totals = self._child_totals(parents)
        found = {job: _operation(node, totals[job]) for job, node in parents.items() if job in totals}
        open_now = {job for job, operation in found.items() if _open_children(operation)}
        self._remember_ended(parents, open_now, now)
        shown = [found[job] for job in found if job in open_now or job in self._operations]
        self._operations = {job: parents[job] for job in open_now}
        return tuple(
            RunningOperation(operation, counted=True)
            for operation in sorted(shown, key=_newest_operation, reverse=True)[:MOST_OPERATIONS]
        )

    def _child_totals(self, parents: Iterable[str]) -> dict[str, ChildTotals]:
        """The children whose first parent it is, counted, for those that have any."""
        totals: dict[str, ChildTotals] = {}
        if ids := list(parents):
            collect_totals(totals, self._database.rows("spawns.child_totals", ids=self._database.ids(ids)))
        return totals

    def _spawners(self, busy: dict[str, TreeNode]) -> dict[str, TreeNode]:
        """Parents that may have open children: those of running jobs, and the newest."""
        window = NEWEST_SPAWNERS if self._queue is None else SPAWNERS_LOOKED_AT
        newest = self._database.rows("activity.spawners", queue=self._queue, window=window, limit=NEWEST_SPAWNERS)
        found = {node.id: node for node in map(TreeNode._make, newest) if node.id not in self._ended}
        bare = [job for job, node in busy.items() if not node.has_spawn_config]
        recorded = self._recorded(bare) if bare else frozenset()
        return found | {job: node for job, node in busy.items() if node.has_spawn_config or job in recorded}

    def _recorded(self, jobs: Sequence[str]) -> frozenset[str]:
        """Those of some jobs without spawn configuration that have spawned: a handler was found by their queue."""
        if "workers" not in self._database.tags:
            return frozenset()
        return frozenset(str(row[0]) for row in self._database.rows("activity.recorded", ids=jobs))

    def _remember_ended(self, parents: dict[str, TreeNode], open_now: set[str], now: datetime) -> None:
        """Jobs whose children need not be counted again unless one of them runs."""
        for job, node in parents.items():
            if job in open_now:
                self._ended.pop(job, None)
            elif node.status in FINISHED and _ended_at(node) < now - SETTLING:
                self._ended[job] = None
        for job in list(islice(self._ended, max(len(self._ended) - OPERATIONS_REMEMBERED, 0))):
            del self._ended[job]


def _local_now() -> datetime:
    # Steady, also when the clock of this machine is set: only differences are taken.
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=time.monotonic())


def _nodes(rows: Iterable[Row], kind: str) -> dict[str, TreeNode]:
    return {row[_NODE]: TreeNode._make(row[_NODE:]) for row in rows if row[_KIND] == kind and row[_NODE] is not None}


def _parents(rows: Iterable[Row]) -> dict[str, TreeNode]:
    return _nodes(rows, "parent")


def _uncounted(rows: Sequence[Row]) -> tuple[RunningOperation, ...]:
    """Operations of which only the running children are known."""
    found: dict[str, RunningOperation] = {}
    running = {row[_NODE]: int(row[_CHILDREN]) for row in rows if row[_KIND] == "parent" and row[_CHILDREN]}
    for job, node in _parents(rows).items():
        if node.has_spawn_config and job in running:
            counts = Counts({JobStatus.RUNNING.value: running[job]})
            found[job] = RunningOperation(SpawnOperation(node, counts, None, None), counted=False)
    return tuple(sorted(found.values(), key=lambda one: _newest_operation(one.operation), reverse=True))


def _operation(parent: TreeNode, total: ChildTotals) -> SpawnOperation:
    ended = total.counts.of(*FINISHED) == total.counts.total
    return SpawnOperation(parent, total.counts, total.first_created, total.last_ended if ended else None)


def _open_children(operation: SpawnOperation) -> int:
    return operation.children.total - operation.children.of(*FINISHED)


def _newest_operation(operation: SpawnOperation) -> tuple[datetime, str]:
    return moment(operation.parent.created_at) or datetime.min.replace(tzinfo=UTC), operation.parent.id


def _newest_failures(rows: Sequence[Row]) -> tuple[TreeNode, ...]:
    failures = [node for node in _nodes(rows, "failure").values() if node.status in FAILURES]
    return tuple(sorted(failures, key=lambda node: (_ended_at(node), node.id), reverse=True)[:MOST_FAILURES])


def _ended_at(node: TreeNode) -> datetime:
    return moment(node.failed_at or node.completed_at) or datetime.min.replace(tzinfo=UTC)
