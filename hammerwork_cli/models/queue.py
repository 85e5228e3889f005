"""Queues: what is in them, whether they are paused, and whether they are well."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hammerwork_cli.models.values import WAITING, Counts, JobStatus, Timestamp, timestamp
from hammerwork_cli.models.worker import Worker


@dataclass(frozen=True, slots=True)
class QueuePause:
    """A queue from which workers take nothing.

    Attributes:
        paused_by: ``user@host``, or what another program calls itself.
    """

    queue: str
    paused_at: Timestamp
    paused_by: str | None
    reason: str | None


@dataclass(slots=True)
class QueueState:
    """What is in a queue, or in all of them.

    Attributes:
        name: ``None`` for all queues.
        at: when it was looked at.
        counts: jobs by status.
        ready: pending jobs that a worker may take now.
        scheduled: pending jobs whose time has not come.
        waiting: pending jobs that wait for other jobs.
        ready_since: when the first of the ready jobs became due.
        running_since: when the first of the running jobs started, where it was asked for.
        waiting_since: when the first of the waiting jobs was created, where it was asked for.
        completed, failed: jobs that ended in the window that was asked for.
        workers: of ours that are alive and serve it; ``None`` where that is not known.
        silent: workers that serve it and have fallen silent: they may be alive.
    """

    name: str | None
    at: datetime
    counts: Counts = field(default_factory=Counts)
    ready: int = 0
    scheduled: int = 0
    waiting: int = 0
    ready_since: Timestamp = None
    running_since: Timestamp = None
    waiting_since: Timestamp = None
    completed: int = 0
    failed: int = 0
    pause: QueuePause | None = None
    workers: int | None = None
    silent: tuple[Worker, ...] = ()

    @property
    def pending(self) -> int:
        """Jobs that have not started: Pending and Retrying."""
        return self.counts.of(*WAITING)

    @property
    def running(self) -> int:
        """Jobs in the status Running."""
        return self.counts.of(JobStatus.RUNNING)

    @property
    def is_unserved(self) -> bool:
        """Whether jobs are ready, and no living worker of ours is there for them although workers are recorded."""
        return bool(self.ready) and self.workers == 0 and self.pause is None

    @property
    def failure_rate(self) -> float | None:
        """Failed jobs among those that ended in the window, 0 to 1; ``None`` when none ended."""
        ended = self.completed + self.failed
        return self.failed / ended if ended else None

    def age(self, since: Timestamp) -> timedelta | None:
        """How long ago something was, never less than nothing."""
        instant = timestamp(since)
        return max(self.at - instant, timedelta()) if instant else None

    def add(self, other: "QueueState") -> None:
        """Adds another queue's jobs to these."""
        self.counts.merge(other.counts)
        self.ready += other.ready
        self.scheduled += other.scheduled
        self.waiting += other.waiting
        self.completed += other.completed
        self.failed += other.failed
        self.ready_since = earliest(self.ready_since, other.ready_since)
        self.running_since = earliest(self.running_since, other.running_since)
        self.waiting_since = earliest(self.waiting_since, other.waiting_since)


def earliest(*instants: Timestamp) -> Timestamp:
    """The first of some instants; what cannot be read does not count."""
    readable = [instant for instant in map(timestamp, instants) if instant]
    return min(readable, default=None)


@dataclass(frozen=True, slots=True)
class PriorityCount:
    """Jobs of one status and one priority, a word."""

    status: str
    priority: str
    jobs: int


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of a queue, or of all of them.

    Attributes:
        paused: the queues among them that are paused.
        window: the time that ``state.completed`` and ``state.failed`` look back; ``None`` without details.
        p50, p95: run time of the jobs that completed in the window.
    """

    state: QueueState
    paused: tuple[QueuePause, ...]
    window: timedelta | None = None
    by_priority: tuple[PriorityCount, ...] = ()
    p50: timedelta | None = None
    p95: timedelta | None = None

    @property
    def per_minute(self) -> float | None:
        """Completed jobs a minute in the window."""
        return self.state.completed / (self.window / timedelta(minutes=1)) if self.window else None


Measure = int | float | timedelta
"""A number of jobs, a rate of 0 to 1, or a length of time."""


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """What a healthy queue does not pass; ``None`` is not looked at.

    Attributes:
        pending: jobs that are ready and not taken.
        pending_age: how long a ready job is not taken.
        running_age: how long a job runs.
        waiting_age: how long a job waits for other jobs.
        failed: failures in the last hour.
        failure_rate: failures among the jobs that ended in the last hour, 0 to 1.
    """

    pending: int | None = None
    pending_age: timedelta | None = None
    running_age: timedelta | None = None
    waiting_age: timedelta | None = None
    failed: int | None = None
    failure_rate: float | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One look at a queue.

    Attributes:
        name: such as ``pending_age``.
        value: ``None`` when there is nothing to measure.
        limit: ``None`` when it is not looked at.
    """

    queue: str
    name: str
    value: Measure | None
    limit: Measure | None

    @property
    def status(self) -> str:
        """``ok``, ``exceeded``, or ``off`` without a limit."""
        if self.limit is None:
            return "off"
        if self.value is None:
            return "ok"
        return "exceeded" if self.value > self.limit else "ok"  # type: ignore[operator]  # both of one kind


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """How a queue is."""

    state: QueueState
    checks: tuple[HealthCheck, ...]

    @classmethod
    def of(cls, state: QueueState, limits: HealthLimits) -> "QueueHealth":
        """Measures a queue."""
        measured: dict[str, tuple[Measure | None, Measure | None]] = {
            "pending": (state.ready, limits.pending),
            "pending_age": (state.age(state.ready_since), limits.pending_age),
            "running_age": (state.age(state.running_since), limits.running_age),
            "waiting_age": (state.age(state.waiting_since), limits.waiting_age),
            "failed": (state.failed, limits.failed),
            "failure_rate": (state.failure_rate, limits.failure_rate),
        }
        name = state.name or ""
        return cls(state, tuple(HealthCheck(name, check, *pair) for check, pair in measured.items()))

    @property
    def exceeded(self) -> tuple[HealthCheck, ...]:
        """What passes its limit."""
        return tuple(check for check in self.checks if check.status == "exceeded")

    @property
    def healthy(self) -> bool:
        """Whether nothing passes its limit."""
        return not self.exceeded


@dataclass(frozen=True, slots=True)
class PauseChange:
    """What pausing or resuming a queue did.

    Attributes:
        pause: the pause that is there now, or was until now.
        changed: whether the queue was in the other state before.
        has_jobs: whether a job is in the queue: where none is, its name may be mistyped.
    """

    queue: str
    pause: QueuePause | None
    changed: bool
    has_jobs: bool
