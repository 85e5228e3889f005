"""Queues: their jobs, pauses, statistics and health."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import WAITING, Counts, JobStatus, Timestamp, between, timestamp
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.features.worker.models.worker import RegisteredWorker

EVERY_QUEUE = "*"
"""Stands for all queues: in a pause also for those to come, in a policy for those without one of their own."""


class QueuePause(NamedTuple):
    """The pause of a queue, from which workers claim no jobs meanwhile."""

    queue: str  # its name, or `EVERY_QUEUE`
    paused_at: Timestamp
    paused_by: str | None  # `user@host`, or the name of another program
    reason: str | None

    @property
    def is_of_all(self) -> bool:
        """Whether it is the pause of all queues, also of those to come."""
        return self.queue == EVERY_QUEUE

    def began_with(self, other: "QueuePause | None") -> bool:
        """Whether the same command has written both."""
        return other is not None and (timestamp(self.paused_at), self.paused_by) == (
            timestamp(other.paused_at),
            other.paused_by,
        )


class Pauses:
    def __init__(self, found: Iterable[QueuePause]) -> None:
        self.by_queue = {pause.queue: pause for pause in found}  # the pauses of single queues, by name
        # The pause of all queues, if they are paused: hammerwork (Rust) does not know it, so its command also pauses
        # each queue that there is.
        self.of_all = self.by_queue.pop(EVERY_QUEUE, None)

    def of(self, queue: str | None) -> QueuePause | None:
        """The pause that holds for a queue: its own, or that of all. It is that of all if both began together."""
        own = self.by_queue.get(queue or "")
        return self.of_all if own is None or own.began_with(self.of_all) else own

    def __contains__(self, queue: object) -> bool:
        return self.of_all is not None or queue in self.by_queue

    def __bool__(self) -> bool:
        return self.of_all is not None or bool(self.by_queue)


class Service(NamedTuple):
    """Who serves a queue."""

    pause: QueuePause | None = None  # the pause of the queue, during which nobody serves it
    # The workers of the queue that claim jobs; `None` if the database does not record workers.
    workers: tuple[RegisteredWorker, ...] | None = None
    # Workers of the queue that have not ended and claim none: they stop, stand still, or their lease is over.
    others: tuple[RegisteredWorker, ...] = ()
    is_unfinished: bool = False  # whether nobody can claim a job, because the tables lack migrations

    @property
    def serving(self) -> int | None:
        return None if self.workers is None else len(self.workers)

    @property
    def held(self) -> tuple[RegisteredWorker, ...]:
        """The workers with slots that an attempt has which is over, and whose handler has not returned."""
        return tuple(worker for worker in self.workers or () if worker.held)

    @property
    def stalled(self) -> tuple[RegisteredWorker, ...]:
        """The workers of which a thread stands still: what they run may have ended long ago, unwritten."""
        return tuple(worker for worker in self.others if worker.state == "stalled")

    @property
    def is_busy(self) -> bool:
        """Whether all slots of its workers are taken."""
        return bool(self.workers) and all(worker.is_full for worker in self.workers or ())


SHORTEST_PACE = timedelta(seconds=10)
"""Least work by which the end of a backlog is estimated."""


@dataclass(slots=True)
class QueueState:
    """The jobs of a queue, or of all queues."""

    name: str | None  # `None` for all queues
    at: datetime  # time of the counts
    counts: Counts = field(default_factory=Counts)  # jobs by status
    ready: int = 0  # pending jobs that a worker may claim now
    scheduled: int = 0  # pending jobs that are due later, or whose schedule is disabled
    waiting: int = 0  # pending jobs that wait for other jobs
    ready_since: Timestamp = None  # due time of the ready job that has been due longest
    running_since: Timestamp = None  # start of the job that has been running longest, if the caller asked for it
    waiting_since: Timestamp = None  # creation of the job that has been waiting longest, if the caller asked for it
    # `completed` and `failed`: jobs that ended in the caller's window of time.
    completed: int = 0
    failed: int = 0
    first_completed: Timestamp = None  # when the first of them did
    pause: QueuePause | None = None
    # Workers that serve the queue: they run, and claim its jobs; `None` if the database does not record workers.
    workers: int | None = None
    # Workers of the queue that have not ended and claim no jobs: they stop, stand still, or their lease is over.
    others: tuple[RegisteredWorker, ...] = ()
    limit: QueueLimit | None = None  # of its jobs, over all workers

    @property
    def pending(self) -> int:
        """Number of Pending and Retrying jobs."""
        return self.counts.of(*WAITING)

    @property
    def running(self) -> int:
        return self.counts.of(JobStatus.RUNNING)

    @property
    def is_internal(self) -> bool:
        """Whether its jobs are those of hammerwork itself."""
        return self.name == DELIVERIES

    @property
    def is_unserved(self) -> bool:
        """Whether jobs are ready that no running worker serves. Rust workers are unknown: they do not register."""
        return bool(self.ready) and self.workers == 0 and self.pause is None

    @property
    def failure_rate(self) -> float | None:
        """Share of failed jobs among those that ended in the window, 0 to 1; ``None`` if none ended."""
        return share_of(self.failed, self.completed + self.failed)

    def per_minute(self, window: timedelta) -> float:
        """Completed jobs per minute in the window."""
        return self.completed / (window / timedelta(minutes=1))

    def backlog(self, window: timedelta) -> timedelta | None:
        """Time until the ready jobs have ended, if none are added, at the rate since one completed first in the window.

        ``None`` without ready jobs, without any that ended, and for a paused queue.
        """
        ended = self.completed + self.failed
        if not ended or not self.ready or self.pause is not None:
            return None
        since_first = self.age(self.first_completed)
        span = window if since_first is None else min(window, max(since_first, SHORTEST_PACE))
        return span * (self.ready / ended)

    def age(self, since: Timestamp) -> timedelta | None:
        """Time from ``since`` to the counts."""
        return between(since, self.at)

    def add(self, other: "QueueState") -> None:
        """Adds the jobs of another queue."""
        self.counts.merge(other.counts)
        self.ready += other.ready
        self.scheduled += other.scheduled
        self.waiting += other.waiting
        self.completed += other.completed
        self.failed += other.failed
        self.first_completed = earliest(self.first_completed, other.first_completed)
        self.ready_since = earliest(self.ready_since, other.ready_since)
        self.running_since = earliest(self.running_since, other.running_since)
        self.waiting_since = earliest(self.waiting_since, other.waiting_since)


class EndedJobs(NamedTuple):
    """The jobs of a queue that ended in a window of time."""

    queue: str
    completed: int
    failed: int
    failed_in_window: int  # failures in the whole window
    # The start of the part of the window that the other figures are about. It is later than the start of the window if
    # more jobs completed in it than were counted.
    since: datetime
    first: datetime | None = None  # the end of the first job that completed
    last_by_rust: datetime | None = None  # the end of the last job that a Rust worker completed

    @property
    def failure_rate(self) -> float | None:
        """Share of failures, 0 to 1; ``None`` if none ended."""
        return share_of(self.failed, self.completed + self.failed)


def share_of(failed: int, ended: int) -> float | None:
    return failed / ended if ended else None


def earliest(*instants: Timestamp) -> Timestamp:
    """Returns the earliest of the timestamps that can be read."""
    readable = [instant for instant in map(timestamp, instants) if instant]
    return min(readable, default=None)


class PriorityCount(NamedTuple):
    status: str
    priority: str
    jobs: int


class QueueStats(NamedTuple):
    state: QueueState
    paused: tuple[QueuePause, ...]  # pauses of these queues
    # Length of the window of `state.completed` and `state.failed`; `None` without details.
    window: timedelta | None = None
    by_priority: tuple[PriorityCount, ...] = ()
    # `p50` and `p95`: run time of the jobs that completed in the window, from the claim where no worker recorded the
    # start of the handler.
    p50: timedelta | None = None
    p95: timedelta | None = None
    # Run time of a handler on average, of the attempts that running workers have measured; `None` where they have
    # measured none.
    mean: timedelta | None = None

    @property
    def per_minute(self) -> float | None:
        """Completed jobs per minute in the window."""
        return self.state.per_minute(self.window) if self.window else None

    @property
    def backlog(self) -> timedelta | None:
        """See :meth:`QueueState.backlog`."""
        return self.state.backlog(self.window) if self.window else None


Measure = int | float | timedelta
"""A number of jobs, a rate of 0 to 1, or a length of time."""


class HealthLimits(NamedTuple):
    """Limits that a healthy queue stays within; ``None`` turns a check off."""

    pending: int | None = None  # most ready jobs
    pending_age: timedelta | None = None  # longest time that a ready job may wait for a worker
    running_age: timedelta | None = None  # longest time that a job may run
    waiting_age: timedelta | None = None  # longest time that a job may wait for other jobs
    retrying: int | None = None  # most jobs that wait for another attempt after one failed
    failed: int | None = None  # most failed jobs in the last hour
    failure_rate: float | None = None  # highest share of failed jobs among those that ended in the last hour, 0 to 1


class HealthCheck(NamedTuple):
    """A measured value beside its limit."""

    queue: str
    name: str  # name of the limit, for example `pending_age`
    value: Measure | None  # `None` if there is nothing to measure
    limit: Measure | None  # `None` if the check is off

    @property
    def status(self) -> str:
        """``ok``, ``exceeded`` or ``off``."""
        if self.limit is None:
            return "off"
        if self.value is None:
            return "ok"
        return "exceeded" if self.value > self.limit else "ok"  # type: ignore[operator]  # both of one kind


class QueueHealth(NamedTuple):
    state: QueueState
    checks: tuple[HealthCheck, ...]

    @classmethod
    def of(cls, state: QueueState, limits: HealthLimits) -> "QueueHealth":
        """Measures a queue against the limits."""
        measured: dict[str, tuple[Measure | None, Measure | None]] = {
            "pending": (state.ready, limits.pending),
            "pending_age": (state.age(state.ready_since), limits.pending_age),
            "running_age": (state.age(state.running_since), limits.running_age),
            "waiting_age": (state.age(state.waiting_since), limits.waiting_age),
            "retrying": (state.counts.retrying, limits.retrying),
            "failed": (state.failed, limits.failed),
            "failure_rate": (state.failure_rate, limits.failure_rate),
        }
        name = state.name or ""
        return cls(state, tuple(HealthCheck(name, check, *pair) for check, pair in measured.items()))

    @property
    def exceeded(self) -> tuple[HealthCheck, ...]:
        return tuple(check for check in self.checks if check.status == "exceeded")

    @property
    def healthy(self) -> bool:
        return not self.exceeded


class PauseChange(NamedTuple):
    queue: str
    pause: QueuePause | None  # the pause that began or ended
    changed: bool  # whether the queue was in the other state before
    has_jobs: bool  # whether the queue has a job; if not, its name may be mistyped
    new_reason: bool = False  # whether a queue that was paused before has another reason now
