"""Reads what happened to jobs, from their rows, the recorded spawns, and the attempts that did not complete."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from hammerwork_cli.core.values import UNSUCCESSFUL, JobStatus, Timestamp, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.models.job import PastAttempt
from hammerwork_cli.features.job.queries import attempts
from hammerwork_cli.features.monitor.models.log import EventKind, JobEvent
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import tree as trees
from hammerwork_cli.features.tree.queries.relatives import Relatives

MOST_RUNNING = 1000
MOST_PENDING = 1000
"""Pending jobs among which those are searched that wait for another attempt."""
LOOKED_AT = 10_000
"""Newest jobs of each kind that are looked at for those of one queue."""
MOST_IN_TREE = 10_000
OVERLAP = timedelta(minutes=1)
"""Each refresh reads this far back: a transaction may commit late, and the clocks of hosts differ."""
SHOWN_ERROR = 500
MOST_AT_ONCE = 1000
"""Maximum events of one refresh of :class:`Log`."""

_ENDS: Mapping[str, EventKind] = {
    JobStatus.COMPLETED: EventKind.COMPLETED,
    JobStatus.FAILED: EventKind.FAILED,
    JobStatus.DEAD: EventKind.DEAD,
    JobStatus.TIMED_OUT: EventKind.TIMED_OUT,
    JobStatus.CANCELLED: EventKind.CANCELLED,
}


def latest(database: Database, *, lines: int, queues: Sequence[str] = ()) -> list[JobEvent]:
    """Returns the newest events of all jobs, or of those of some queues, the oldest first.

    Args:
        queues: only jobs of these queues, among the newest :data:`LOOKED_AT`.
    """
    window = lines if not queues else max(lines, LOOKED_AT)
    rows = database.rows(
        "monitor.logs.newest", queues=queues, window=window, most_running=MOST_RUNNING, most_pending=MOST_PENDING
    )
    found = _of_jobs(database, [TreeNode._make(row) for row in rows])
    if database.is_current:
        for *operation, of_queue in database.rows("monitor.logs.last_operations", queues=queues, window=window):
            found += _spawned(of_queue, *operation)
    return _newest(found, lines)


def of_jobs(database: Database, jobs: Sequence[str], *, lines: int) -> list[JobEvent]:
    """Returns the newest events of some jobs. Raises JobNotFoundError if one of them does not exist."""
    relatives = Relatives(database)
    return _of_some(database, [relatives.job(job) for job in jobs], lines)


def of_tree(database: Database, job: str, *, lines: int) -> list[JobEvent]:
    """Returns the newest events of a job and of everything below it, of 10,000 jobs at most.

    Raises JobNotFoundError if there is no such job.
    """
    found = trees.tree(database, job, whole=False, max_jobs=MOST_IN_TREE)
    return _of_some(database, list(found.nodes.values()), lines)


def _of_some(database: Database, nodes: Sequence[TreeNode], lines: int) -> list[JobEvent]:
    found = _of_jobs(database, nodes)
    if database.is_current:
        queues = {node.id: node.queue for node in nodes}
        for operation in database.rows_of("monitor.logs.operations_of", list(queues)):
            found += _spawned(queues.get(str(operation[0])), *operation)
    return _newest(found, lines)


def _newest(found: Iterable[JobEvent], lines: int) -> list[JobEvent]:
    return sorted(set(found), key=lambda event: event.place)[-lines:]


def _of_jobs(database: Database, nodes: Sequence[TreeNode]) -> list[JobEvent]:
    found = [event for node in nodes for event in _events(node)]
    # Not only of those with attempts: `job retry` resets their number, and leaves the history.
    known = {node.id: node for node in nodes}
    for job, past in attempts.of_jobs(database, known).items():
        for attempt in past:
            found += _attempted(known[job], attempt)
    return found


def _attempted(node: TreeNode, past: PastAttempt) -> Iterator[JobEvent]:
    """The start and the end of an attempt that did not complete; the end of the job itself tells that of the last."""
    started, ended = timestamp(past.started_at), timestamp(past.ended_at)
    if started:
        yield JobEvent(started, EventKind.STARTED, node.id, node.queue, past.attempt)
    is_last = node.status in UNSUCCESSFUL and started == timestamp(node.started_at)
    if ended and not is_last:
        yield JobEvent(
            ended,
            EventKind.ATTEMPT_FAILED,
            node.id,
            node.queue,
            past.attempt,
            _length(started, ended),
            worker=past.worker,
            outcome=past.outcome,
            error=past.error and past.error[:SHOWN_ERROR],
        )


def _events(node: TreeNode) -> Iterator[JobEvent]:
    """The events that the row of a job tells of."""
    created, started = timestamp(node.created_at), timestamp(node.started_at)
    if created:
        yield JobEvent(created, EventKind.CREATED, node.id, node.queue)
    if started:
        yield JobEvent(started, EventKind.STARTED, node.id, node.queue, node.attempts)
    kind = _ENDS.get(node.status)
    if kind is None:
        return
    ended = timestamp(node.completed_at if kind is EventKind.COMPLETED else node.failed_at)
    if ended:
        attempt = node.attempts if started else None
        error = None if kind is EventKind.COMPLETED else node.error
        yield JobEvent(
            ended, kind, node.id, node.queue, attempt, _length(timestamp(node.run_start), ended), error=error
        )


def _spawned(
    queue: str | None,
    job: object,
    outcome: str,
    children: int,
    started_at: Timestamp,
    ended_at: Timestamp,
    error: str | None,
) -> Iterator[JobEvent]:
    ended = timestamp(ended_at)
    if ended:
        kind = EventKind.SPAWN_FAILED if outcome == "failed" else EventKind.SPAWNED
        length = _length(timestamp(started_at), ended)
        yield JobEvent(ended, kind, str(job), queue, seconds=length, children=int(children), error=error)


def _length(started: datetime | None, ended: datetime) -> float | None:
    return max((ended - started).total_seconds(), 0.0) if started else None


class Log:
    """Reads the events that are new since the last refresh."""

    def __init__(
        self,
        database: Database,
        *,
        lines: int,
        since: datetime | None = None,
        queues: Sequence[str] = (),
        jobs: Sequence[str] = (),
        tree: str | None = None,
    ) -> None:
        self._database, self._lines, self._since = database, lines, since
        self._queues, self._jobs, self._tree = queues, jobs, tree
        self._told: dict[JobEvent, None] | None = None

    def connected(self, database: Database) -> None:
        """Continues with another connection."""
        self._database = database

    def refresh(self) -> list[JobEvent]:
        """Returns the new events, the oldest first."""
        if self._told is None:
            # Events that the next refreshes read again, and that are older than the printed lines, are not new either.
            found = self._read(max(self._lines, MOST_AT_ONCE))
            self._told = dict.fromkeys(found)
            return [event for event in found if self._since is None or event.at >= self._since][-self._lines :]
        told = self._told
        newest = max((event.at for event in told), default=None)
        since = None if newest is None else newest - OVERLAP
        found = [event for event in self._read(max(self._lines, MOST_AT_ONCE)) if since is None or event.at >= since]
        fresh = [event for event in found if event not in told]
        self._told = dict.fromkeys([event for event in told if since is None or event.at >= since] + fresh)
        return fresh

    def _read(self, lines: int) -> list[JobEvent]:
        if self._jobs:
            return of_jobs(self._database, self._jobs, lines=lines)
        if self._tree is not None:
            return of_tree(self._database, self._tree, lines=lines)
        return latest(self._database, lines=lines, queues=self._queues)
