"""Prints changes for ``spawn monitor``, for programs and for terminals that cannot redraw."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.models import WAITING, JobStatus, TreeNode, rfc3339
from hammerwork_cli.models.monitor import BusyWorker, MonitorSnapshot, RunningOperation
from hammerwork_cli.models.queue import QueueState
from hammerwork_cli.render.formats import names
from hammerwork_cli.render.formats.json import WORKER_STATES, Record, known, seconds
from hammerwork_cli.render.formats.text import count, first_line, plural, visible
from hammerwork_cli.render.spawn.records import CHILD_COUNTS


def snapshot_record(snapshot: MonitorSnapshot, failures: Sequence[TreeNode]) -> Record:
    """One refresh.

    Keys: ``at``, ``queue``, ``queue_names``, ``seconds`` (the window of the figures), ``enqueued``, ``started``,
    ``completed``, ``failed`` (jobs in the window), ``pending``, ``retrying`` (the part of pending that waits for
    another attempt, as far as it was read), ``running``, ``more_pending``, ``more_running`` (whether there are more
    than were counted), ``failed_attempts_per_second`` (of the recorded workers lately, null at first), ``operations``
    (the topmost running ones, with counts of their ``children`` and, in ``below``, of their whole trees; also those
    that ended since the last refresh), ``failures`` (those that were not printed before), ``retries`` (the retrying
    jobs that are due first), ``workers`` (null if the database does not record workers), ``queues`` (those with open
    jobs, and paused ones, when they were last counted: the keys of ``monitor metrics`` that need no count of all jobs).
    """
    flow = snapshot.flow
    return {
        "at": rfc3339(snapshot.at),
        **names.record_of(snapshot.queues),
        "seconds": round(flow.seconds, 3),
        "enqueued": flow.enqueued,
        "started": flow.started,
        "completed": flow.completed,
        "failed": flow.failed,
        "pending": snapshot.pending,
        "retrying": snapshot.retrying,
        "failed_attempts_per_second": _rounded(snapshot.failed_attempts),
        "running": snapshot.running,
        "more_pending": snapshot.more_pending,
        "more_running": snapshot.more_running,
        "operations": [_operation_record(one) for one in snapshot.operations],
        "failures": [
            {
                "id": node.id,
                "queue": node.queue,
                "status": node.status,
                "error": node.error,
                "failed_at": rfc3339(node.failed_at),
            }
            for node in failures
        ],
        "retries": [
            {"id": node.id, "queue": node.queue, "status": node.status, "attempts": node.attempts, "error": node.error}
            for node in snapshot.retries
        ],
        "workers": None if snapshot.workers is None else [_worker_record(worker) for worker in snapshot.workers],
        "queues": [_queue_record(state, snapshot.window) for state in snapshot.states],
    }


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 3)


def _operation_record(one: RunningOperation) -> Record:
    children, parent = one.operation.children, one.parent
    known: Callable[[int], int | None] = lambda number: number if one.counted else None  # noqa: E731
    return {
        "parent_id": parent.id,
        "queue": parent.queue,
        "status": parent.status,
        "operation_id": parent.operation_id,
        "spawned_at": rfc3339(one.operation.spawned_at),
        "children": {
            "total": known(children.total),
            "completed": known(children.of(JobStatus.COMPLETED)),
            "failed": known(children.failed),
            "running": children.of(JobStatus.RUNNING),
            "pending": known(children.of(*WAITING)),
            "retrying": known(children.retrying),
            "cancelled": known(children.cancelled),
        },
        "running": one.running,
        "seconds_left": None if one.left is None else round(one.left.total_seconds(), 1),
        "below": None if one.below is None else CHILD_COUNTS.record(one.below),
    }


def _worker_record(worker: BusyWorker) -> Record:
    return {
        "name": worker.name,
        "queues": list(worker.queues),
        "state": known(worker.state, WORKER_STATES),
        "running": worker.running,
        "concurrency": worker.concurrency,
        "completed": worker.completed,
        "failed": worker.failed,
    }


def _queue_record(state: QueueState, window: timedelta) -> Record:
    return {
        "queue": state.name,
        "counted_at": rfc3339(state.at),
        "paused": state.pause is not None,
        "ready": state.ready,
        "scheduled": state.scheduled,
        "waiting": state.waiting,
        "running": state.running,
        "workers": state.workers,
        "completed": state.completed,
        "failed": state.failed,
        "failure_rate": state.failure_rate,
        "completed_per_minute": state.per_minute(window),
        "backlog_seconds": seconds(state.backlog(window)),
    }


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
    record = snapshot_record(snapshot, ())
    return {key: record[key] for key in ("pending", "retrying", "running", "operations", "workers")}


def record_lines(snapshot: MonitorSnapshot, failures: Sequence[TreeNode]) -> Iterator[str]:
    """Yields one JSON object."""
    from hammerwork_cli.render.formats.json import document

    yield document(snapshot_record(snapshot, failures))


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
    for node in reversed(failures):
        error = first_line(node.error or "") or "no error recorded"
        yield f"  failed: {visible(node.queue)} {node.id} {visible(node.status)}: {error}"
