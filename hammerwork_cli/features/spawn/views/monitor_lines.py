"""Prints changes for ``spawn monitor``, for programs and for terminals that cannot redraw."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.features.queue.views.listing import PAUSED, QUEUE_JOBS, SERVING, QueueInWindow, rate_keys
from hammerwork_cli.features.spawn.models.monitor import BusyWorker, MonitorSnapshot, RunningOperation
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.tree.views.json import NAMED, PROGRESS, RELATIVE
from hammerwork_cli.features.tree.views.spawns import CHILD_COUNTS
from hammerwork_cli.view import key, names
from hammerwork_cli.view.json import WORKER_STATES
from hammerwork_cli.view.shape import Key, Shape
from hammerwork_cli.view.text import count, first_line, percent, plural, visible


class Refresh(NamedTuple):
    """A snapshot, and the failures that were not printed before."""

    snapshot: MonitorSnapshot
    failures: Sequence[TreeNode]


def _counted(name: str) -> Key:
    """Counts of children, where all of them were counted."""
    read = CHILD_COUNTS.reader(name)
    return key.null_or(CHILD_COUNTS.parts[name]).of(lambda one: read(one.operation.children) if one.counted else None)


_CHILDREN = Shape[RunningOperation](
    {
        "total": _counted("total").about("Null, like the others, without the indexes of `migration run`"),
        "completed": _counted("completed"),
        "failed": _counted("failed"),
        "running": CHILD_COUNTS.within("operation.children")["running"],
        "pending": _counted("pending"),
        "retrying": _counted("retrying"),
        "cancelled": _counted("cancelled"),
    }
)
_OPERATION = Shape[RunningOperation](
    {
        "parent_id": key.job_id().of("parent.id"),
        "queue": key.text().of("parent.queue"),
        "status": key.status().of("parent.status"),
        "operation_id": key.null_or(key.text()).of("parent.operation_id"),
        "spawned_at": key.null_or(key.instant("The first child")).of("operation.spawned_at"),
        "children": _CHILDREN.key().of(lambda one: one),
        "running": key.count("Jobs of its tree that are known to run"),
        "seconds_left": key.null_or(key.number("At the present rate; null while that is unknown"))._replace(
            get="left", convert=lambda left: round(left.total_seconds(), 1)
        ),
        "below": key.null_or(CHILD_COUNTS.key("All jobs of its tree except itself; null where there are too many")),
    }
)
_WORKER = Shape[BusyWorker](
    {
        "name": key.text(),
        "queues": key.list_of(key.text()),
        "state": key.word("", *WORKER_STATES),
        "running": key.count("Jobs"),
        "concurrency": key.count(),
        "completed": key.count("Jobs that it has completed since it started"),
        "failed": key.count("Failed attempts since its start, retried ones included"),
    }
)
_QUEUE = Shape[QueueInWindow](
    {
        "queue": key.text().of("state.name"),
        "counted_at": key.instant("A large database is not counted at each refresh").of("state.at"),
        "paused": PAUSED.of(lambda one: one.state.pause is not None),
        **QUEUE_JOBS.within("state", "ready", "scheduled", "waiting"),
        "running": key.count().of("state.running"),
        "workers": SERVING.of("state.workers"),
        **rate_keys("last hour"),
    }
)
_FAILURE = Shape[TreeNode]({**RELATIVE.parts, "failed_at": key.null_or(key.instant())})
_RETRY = Shape[TreeNode]({**NAMED.parts, "attempts": key.count(), "error": key.null_or(key.text())})
_PROGRESS = Shape[JobProgress](
    {"id": key.job_id().of("job"), "queue": key.text(), "attempt": key.count(), **PROGRESS.parts}
)
_FLOW = {
    "enqueued": key.count("Jobs"),
    "started": key.count("Jobs, without those that already wait for another attempt"),
    "completed": key.count("Jobs"),
    "failed": key.count("Failed, Dead and TimedOut jobs"),
}
MONITOR = Shape[Refresh](
    {
        "at": key.instant("The time of the server's clock").of("snapshot.at"),
        **Shape[MonitorSnapshot](names.OF_QUEUES).within("snapshot"),
        "seconds": key.seconds("Window of the next four", digits=3).of("snapshot.flow.seconds"),
        **{name: one.of(f"snapshot.flow.{name}") for name, one in _FLOW.items()},
        "pending": key.count("Pending and Retrying; above 10,000 as of the last count by queue").of("snapshot.pending"),
        "retrying": key.count("The part of pending that waits for another attempt, as far as it was read").of(
            "snapshot.retrying"
        ),
        "failed_attempts_per_second": key.null_or(
            key.number("Rate of the recorded workers lately; null at first", digits=3)
        ).of("snapshot.failed_attempts"),
        "running": key.count("Counts at most 1,000").of("snapshot.running"),
        "more_pending": key.flag("Whether the count is a lower bound").of("snapshot.more_pending"),
        "more_running": key.flag("The same").of("snapshot.more_running"),
        "operations": key.list_of(
            _OPERATION, "Topmost operations with unfinished jobs, and once more after the last has finished"
        ).of("snapshot.operations"),
        "failures": key.list_of(_FAILURE, "The newest, without those of earlier documents"),
        "retries": key.list_of(_RETRY, "The retrying jobs that are due first").of("snapshot.retries"),
        "workers": key.null_or(key.list_of(_WORKER, "Null where the database has no table of them")).of(
            "snapshot.workers"
        ),
        "progress": key.list_of(_PROGRESS, "Running jobs that report it, the furthest first; at most 30").of(
            "snapshot.progress"
        ),
        "queues": key.list_of(
            _QUEUE,
            "Those with open jobs, and paused ones, the most ready jobs first; at most 1,000,000 open jobs are counted",
        ).of(lambda one: [QueueInWindow(state, one.snapshot.window) for state in one.snapshot.states]),
    }
)


class Changes:
    """Prints only the changes between refreshes.

    Args:
        tell: (snapshot, failures that were not printed before) -> lines.
    """

    def __init__(self, tell: Callable[[MonitorSnapshot, Sequence[TreeNode]], Iterator[str]]) -> None:
        self._tell = tell
        self._last: object = None
        self._told: frozenset[tuple[str, str | None]] = frozenset()

    def lines(self, snapshot: MonitorSnapshot) -> Iterator[str]:
        """Yields the output of one refresh; nothing if nothing has changed."""
        told = frozenset((node.id, rfc3339(node.failed_at)) for node in snapshot.failures)
        fresh = [node for node in snapshot.failures if (node.id, rfc3339(node.failed_at)) not in self._told]
        state = _state(snapshot)
        flow = snapshot.flow
        if self._last == state and not (fresh or flow.enqueued or flow.started or flow.completed or flow.failed):
            return
        self._last, self._told = state, told
        yield from self._tell(snapshot, fresh)


def _state(snapshot: MonitorSnapshot) -> object:
    record = MONITOR.record(Refresh(snapshot, ()))
    return {name: record[name] for name in ("pending", "retrying", "running", "operations", "progress", "workers")}


def record_lines(snapshot: MonitorSnapshot, failures: Sequence[TreeNode]) -> Iterator[str]:
    """Yields one JSON object."""
    from hammerwork_cli.view.json import document

    yield document(MONITOR.record(Refresh(snapshot, failures)))


def plain_lines(snapshot: MonitorSnapshot, failures: Sequence[TreeNode]) -> Iterator[str]:
    """Yields sentences, for logs and for terminals that only print."""
    flow = snapshot.flow
    parts = [
        f"{count(number)} {word}"
        for number, word in (
            (flow.enqueued, "enqueued"),
            (flow.started, "started"),
            (flow.completed, "completed"),
            (flow.failed, "failed"),
        )
        if number
    ]
    parts.append(f"{count(snapshot.pending)}{'+' * snapshot.more_pending} pending")
    if snapshot.retrying:
        parts.append(f"{count(snapshot.retrying)}{'+' * snapshot.more_retrying} retrying")
    parts.append(f"{count(snapshot.running)}{'+' * snapshot.more_running} running")
    if snapshot.operations:
        parts.append(f"{plural(len(snapshot.operations), 'operation')} running")
    yield f"{snapshot.at:%Y-%m-%d %H:%M:%S} {', '.join(parts)}"
    for one in snapshot.progress:
        text = f", {visible(first_line(one.text))}" if one.text else ""
        yield f"  running: {visible(one.queue)} {visible(one.job)}: {percent(one.share)}{text}"
    for node in reversed(failures):
        error = first_line(node.error or "") or "no error recorded"
        yield f"  failed: {visible(node.queue)} {node.id} {visible(node.status)}: {error}"
