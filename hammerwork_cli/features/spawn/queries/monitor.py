"""Figures of the present, at a cost that does not grow with the table."""

import time
from collections import Counter
from collections.abc import Container, Iterable, Sequence, Set
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple, Self

from hammerwork_cli.core.values import (
    COMPLETED_SPELLINGS,
    FAILED_SPELLINGS,
    FAILURES,
    FINISHED,
    WAITING_SPELLINGS,
    Counts,
    JobStatus,
    spellings,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.features.queue.model import QueueState
from hammerwork_cli.features.queue.queries import HEALTH_WINDOW, open_states
from hammerwork_cli.features.spawn.models.monitor import BusyWorker, Flow, MonitorSnapshot, RunningOperation
from hammerwork_cli.features.spawn.models.spawn import QUIET_TIME, SpawnOperation
from hammerwork_cli.features.spawn.queries.rates import Rates, SharedRate
from hammerwork_cli.features.spawn.queries.running_trees import RunningTrees
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.tree.queries import progress
from hammerwork_cli.features.tree.queries.child_totals import ChildTotals
from hammerwork_cli.features.worker.queries import registry

MOST_PENDING = 10_000
"""Pending jobs that are counted at each refresh."""
MOST_OPEN = 1_000_000
"""Open jobs that are counted by queue."""
SHARE = 20
"""A count by queue is as old as this many counts take, at most, so that it has a twentieth of the time."""
MOST_RUNNING = 1000
"""Running jobs that are read: the newest of all queues."""
MOST_OPERATIONS = 30
NEWEST_SPAWNERS = 50
SPAWNERS_LOOKED_AT = 500
MOST_FAILURES = 10
MOST_PROGRESS = 30
"""Running jobs whose progress is shown."""
LAG = timedelta(seconds=1)
"""A window ends this long before the refresh. Changes that are just being committed, or carry the time of a clock that
is slightly behind, count in the next window.
"""
OVERLAP = timedelta(minutes=1)
"""Each refresh reads failures this far back, since the clocks of workers differ."""
FIRST_FAILURES = timedelta(days=1)
OPERATIONS_REMEMBERED = 10_000

_USUALLY_PENDING = {"Pending", "Retrying"}
_ODDLY_PENDING = tuple(word for word in WAITING_SPELLINGS if word not in _USUALLY_PENDING)
_OPEN = spellings(set(JobStatus) - FINISHED)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class _Figures(NamedTuple):
    """The first columns of ``spawn.monitor.figures``, the same in each of its rows."""

    pending: int
    running: int
    running_anywhere: int
    enqueued: int
    started: int
    completed: int
    failed: int


class _Beside(NamedTuple):
    """The other columns of such a row."""

    kind: str | None  # `failure`, `retry` or `parent`; `None` if there is nothing beside the figures
    jobs: int  # the running children of a parent, or the number of all retrying jobs
    place: int  # of a retrying job among those that are due first
    node: TreeNode | None  # `None` if the job is gone

    @classmethod
    def of(cls, kind: str | None, jobs: Any, place: Any, *node: Any) -> Self:
        return cls(kind, int(jobs or 0), int(place or 0), None if node[0] is None else TreeNode._make(node))


class MonitorWatch:
    """Reads the figures of the queues, refresh after refresh.

    Args:
        queues: only these queues, with the operations that have a running job of them in their trees, or are among
            their newest; without any, all queues.
        window: window of the first figures; later ones are about the time since the previous refresh.
        until_idle: whether each refresh checks that no job is open.
    """

    def __init__(
        self, database: Database, *, queues: Sequence[str] = (), window: timedelta, until_idle: bool = False
    ) -> None:
        self._queues = tuple(queues)
        self._until_idle = until_idle
        self._trees = RunningTrees(database)
        self.connected(database)
        self._began = self._now()
        self._until = self._began - LAG
        self._since = self._until - window
        self._failures: dict[str, TreeNode] = {}
        self._failures_since = self._began - FIRST_FAILURES
        self._operations: dict[str, TreeNode] = {}
        self._ended: dict[str, None] = {}
        self._has_failed = False
        self._failed_attempts = SharedRate()
        self._progress = Rates()
        self._states: tuple[QueueState, ...] = ()
        self._next_count = 0.0

    def connected(self, database: Database) -> None:
        """Continues with another connection."""
        self._database = self._trees.database = database
        self._ahead = database.now() - _local_now()

    def _now(self) -> datetime:
        """The server's time, from this machine's clock and the difference that was measured once per connection."""
        return _local_now() + self._ahead

    def refresh(self) -> MonitorSnapshot:
        """Reads the figures in one snapshot.

        It takes one statement, in a current database one or two more for each level of the running trees, and now and
        then some that count the open jobs of each queue.
        """
        now = self._now()
        until = max(now - LAG, self._until)
        # Only their indexes allow counting the children of an operation at the cost of reading them.
        is_current = self._database.is_current
        with self._database.snapshot() if is_current else nullcontext():
            figures, beside = self._figures(until)
            operations = self._counted(beside, now) if is_current else _uncounted(beside)
            idle = self._is_idle(figures)
            self._count_queues(now)
        snapshot = self._snapshot(figures, beside, now, until, operations, idle)
        # Not before: after an error, the next refresh must cover the whole time since the last success.
        self._since = self._until = until
        self._failures_since = now - OVERLAP
        return snapshot

    def _figures(self, until: datetime) -> tuple[_Figures, list[_Beside]]:
        rows = self._database.rows(
            "spawn.monitor.figures",
            queues=self._queues,
            since=self._since,
            until=until,
            failures_since=self._failures_since,
            known_failures=tuple(self._failures),
            known_parents=tuple(self._operations),
            completed=COMPLETED_SPELLINGS,
            failed=FAILED_SPELLINGS,
            oddly_pending=_ODDLY_PENDING,
            most_pending=MOST_PENDING + 1,
            most_running=MOST_RUNNING,
            most_failures=MOST_FAILURES,
            most_parents=MOST_OPERATIONS,
        )
        width = len(_Figures._fields)
        return _Figures(*map(int, rows[0][:width])), [_Beside.of(*row[width:]) for row in rows]

    def _count_queues(self, now: datetime) -> None:
        began = time.monotonic()
        if began < self._next_count:
            return
        states = open_states(self._database, now=now, window=HEALTH_WINDOW, limit=MOST_OPEN, queues=self._queues)
        self._states = tuple(sorted(states, key=lambda state: (-state.ready, -state.running, state.name or "")))
        ended = time.monotonic()
        self._next_count = ended + SHARE * (ended - began)

    def _is_idle(self, figures: _Figures) -> bool | None:
        if not self._until_idle:
            return None
        if figures.pending or figures.running:
            return False
        return self._database.row("spawn.monitor.any_open", queues=self._queues, open=_OPEN) is None

    def _snapshot(
        self,
        figures: _Figures,
        beside: Sequence[_Beside],
        now: datetime,
        until: datetime,
        operations: tuple[RunningOperation, ...],
        idle: bool | None,
    ) -> MonitorSnapshot:
        pending, running, running_anywhere, *flow = figures
        more = pending > MOST_PENDING
        counted = sum(state.pending for state in self._states)
        if more and counted > MOST_PENDING:  # unless there were fewer at that count
            pending, more = counted, sum(state.counts.total for state in self._states) >= MOST_OPEN
        else:
            pending = min(pending, MOST_PENDING)
        failures = _newest_failures(beside)
        retries = sorted((one for one in beside if one.kind == "retry"), key=lambda one: one.place)
        self._failures = {node.id: node for node in failures}
        self._has_failed = self._has_failed or any(_ended_at(node) >= self._began for node in failures)
        return MonitorSnapshot(
            at=now,
            queues=self._queues,
            flow=Flow((until - self._since).total_seconds(), *flow),
            pending=pending,
            running=running,
            more_pending=more,
            more_running=running_anywhere >= MOST_RUNNING,
            operations=operations,
            failures=failures,
            workers=self._workers(),
            failed_since=self._has_failed,
            idle=idle,
            retrying=max((one.jobs for one in retries), default=0),
            more_retrying=figures.pending > MOST_PENDING,
            retries=tuple(one.node for one in retries if one.node)[:MOST_FAILURES],
            failed_attempts=self._failed_attempts.per_second,
            states=self._states,
            progress=self._reported(),
            window=HEALTH_WINDOW,
        )

    def _reported(self) -> tuple[JobProgress, ...]:
        found = [one for one in progress.reported(self._database) if not self._queues or one.queue in self._queues]
        return tuple(found[:MOST_PROGRESS])

    def _workers(self) -> tuple[BusyWorker, ...] | None:
        """Returns the workers that have not ended; with queues, only those that serve one."""
        if not self._database.is_current:
            return None
        alive = registry.listed(self._database, alive=True)
        serving = [worker for worker in alive if worker.serves(self._queues)]
        if serving:
            self._failed_attempts.add(time.monotonic(), {worker.id: worker.failed for worker in serving})
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
            for worker in serving
        )

    # Operations.

    def _counted(self, beside: Sequence[_Beside], now: datetime) -> tuple[RunningOperation, ...]:
        """Returns the topmost operations with open jobs in their trees, now or at the previous refresh."""
        running = _running(beside)
        jobs = self._newest_spawners() | _nodes(beside, "parent")
        tops = self._trees.tops(jobs)
        parents = self._nodes_of(tops, jobs, running)
        children = self._trees.children(list(parents))
        below = self._trees.below(children)
        busy = Counter(dict.fromkeys(parents, 0))
        for job, number in running.items():
            busy[tops.get(job, "")] += number
        found = {top: _operation(parents[top], children[top], below.get(top), busy[top]) for top in children}
        open_now = {top for top, one in found.items() if _open_jobs(one)}
        # Trees that are too large to count whole: look for open children of the parents in them that are known.
        open_now |= self._open_inside(tops, found.keys() - below.keys() - open_now)
        self._remember_ended(parents, found, open_now, now)
        # Show a tree once more after its end, so that its last figures are seen.
        shown = [found[top] for top in found if top in open_now or top in self._operations]
        self._progress.add(
            time.monotonic(), ((one.parent.id, one.below.ended) for one in shown if one.below is not None)
        )
        shown = [one._replace(per_second=self._progress.of(one.parent.id)) for one in shown]
        self._operations = {top: parents[top] for top in open_now}
        return tuple(sorted(shown, key=_busiest, reverse=True)[:MOST_OPERATIONS])

    def _newest_spawners(self) -> dict[str, TreeNode]:
        window = SPAWNERS_LOOKED_AT if self._queues else NEWEST_SPAWNERS
        newest = self._database.rows(
            "spawn.monitor.spawners",
            queues=self._queues,
            window=window,
            limit=NEWEST_SPAWNERS,
            most_running=MOST_RUNNING,
        )
        return {node.id: node for node in map(TreeNode._make, newest)}

    def _nodes_of(
        self, tops: dict[str, str], jobs: dict[str, TreeNode], running: Container[str]
    ) -> dict[str, TreeNode]:
        """Reads the tops of trees that may have open jobs."""
        wanted = dict.fromkeys(top for job, top in tops.items() if job in running or top not in self._ended)
        unread = [top for top in wanted if top not in jobs]
        read = {node.id: node for node in self._trees.jobs(unread)}
        return {top: node for top in wanted if (node := jobs.get(top) or read.get(top))}

    def _open_inside(self, tops: dict[str, str], large: Set[str]) -> set[str]:
        """Returns those trees, among the ones too large to count, in which a known parent has open children."""
        inner = [job for job, top in tops.items() if top in large and job != top]
        totals = self._trees.children(inner)
        return {tops[job] for job, total in totals.items() if total.counts.open}

    def _remember_ended(
        self, parents: dict[str, TreeNode], found: dict[str, RunningOperation], open_now: set[str], now: datetime
    ) -> None:
        """Remembers jobs whose trees need no count until a job in them runs again."""
        for job, node in parents.items():
            last = timestamp(found[job].last_ended) if job in found else None
            if job in open_now:
                self._ended.pop(job, None)
            elif node.status in FINISHED and max(_ended_at(node), last or _LONG_AGO) < now - QUIET_TIME:
                self._ended[job] = None
        for job in list(islice(self._ended, max(len(self._ended) - OPERATIONS_REMEMBERED, 0))):
            del self._ended[job]


def _local_now() -> datetime:
    # Monotonic, in case this machine's clock is set: only differences count.
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=time.monotonic())


def _nodes(beside: Iterable[_Beside], kind: str) -> dict[str, TreeNode]:
    return {one.node.id: one.node for one in beside if one.kind == kind and one.node}


def _running(beside: Iterable[_Beside]) -> dict[str, int]:
    """Parent -> number of its running children, for the parents that have any."""
    return {one.node.id: one.jobs for one in beside if one.kind == "parent" and one.node and one.jobs}


def _uncounted(beside: Sequence[_Beside]) -> tuple[RunningOperation, ...]:
    """Returns operations of which only the running children are known."""
    found: dict[str, RunningOperation] = {}
    running = _running(beside)
    for job, node in _nodes(beside, "parent").items():
        if node.has_spawn_config and job in running:
            counts = Counts({JobStatus.RUNNING.value: running[job]})
            operation = SpawnOperation(node, counts, None, None)
            found[job] = RunningOperation(operation, counted=False, running=running[job])
    return tuple(sorted(found.values(), key=_newest_operation, reverse=True))


def _operation(parent: TreeNode, children: ChildTotals, below: ChildTotals | None, running: int) -> RunningOperation:
    finished = None if children.counts.open else children.last_ended
    operation = SpawnOperation(parent, children.counts, children.first_created, finished)
    whole = below.counts if below else None
    running = whole.of(JobStatus.RUNNING) if whole is not None else max(running, children.counts.of(JobStatus.RUNNING))
    return RunningOperation(
        operation, counted=True, below=whole, running=running, last_ended=(below or children).last_ended
    )


def _open_jobs(one: RunningOperation) -> int:
    """Number of jobs in its tree that are known to be open."""
    return one.below.open if one.below is not None else one.operation.children.open + one.running


def _busiest(one: RunningOperation) -> tuple[bool, datetime, str]:
    return one.running > 0, *_newest_operation(one)


def _newest_operation(one: RunningOperation) -> tuple[datetime, str]:
    return timestamp(one.parent.created_at) or _LONG_AGO, one.parent.id


def _newest_failures(beside: Sequence[_Beside]) -> tuple[TreeNode, ...]:
    failures = [node for node in _nodes(beside, "failure").values() if node.status in FAILURES]
    return tuple(sorted(failures, key=lambda node: (_ended_at(node), node.id), reverse=True)[:MOST_FAILURES])


def _ended_at(node: TreeNode) -> datetime:
    return timestamp(node.failed_at or node.completed_at) or _LONG_AGO
