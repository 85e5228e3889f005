"""The checks of ``monitor health``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.models.queue import HealthLimits, Measure
from hammerwork_cli.models.queue_counts import Unwritten


class CheckName(StrEnum):
    """The checks, in the order in which they are made and shown."""

    DATABASE = "database"
    WRITES = "writes"
    MIGRATIONS = "migrations"
    WORKERS = "workers"
    LOST_WORKERS = "lost_workers"
    STALLED_WORKERS = "stalled_workers"
    STOPPING_WORKERS = "stopping_workers"
    HELD_SLOTS = "held_slots"
    UNWRITTEN_OUTCOMES = "unwritten_outcomes"
    UPKEEP = "upkeep"
    UNSERVED_QUEUES = "unserved_queues"
    ENCRYPTED_JOBS = "encrypted_jobs"
    PAUSED_QUEUES = "paused_queues"
    PENDING = "pending"
    PENDING_AGE = "pending_age"
    RUNNING_AGE = "running_age"
    WAITING_AGE = "waiting_age"
    LOST_JOBS = "lost_jobs"
    UNCLAIMED_JOBS = "unclaimed_jobs"
    OVERDUE_JOBS = "overdue_jobs"
    OVERDUE_SCHEDULES = "overdue_schedules"
    RETRYING = "retrying"
    FAILED = "failed"
    FAILURE_RATE = "failure_rate"
    RETENTION = "retention"
    TIMES_IN_THE_FUTURE = "times_in_the_future"


class Level(StrEnum):
    """How bad a check is."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    """The database does not record what the check is about: workers, for example."""
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def severity(self) -> int:
        """0 to 3, the worst last."""
        return list(Level).index(self)


class MonitorLimits(NamedTuple):
    """Limits of the checks.

    Attributes:
        queues: those of ``queue health``, which hold for each queue.
        overdue: how late a recurring job, or the job of a schedule, may be; ``None`` turns the check off.
    """

    queues: HealthLimits
    overdue: timedelta | None = None


USUAL_LIMITS = MonitorLimits(
    HealthLimits(
        pending=10_000,
        pending_age=timedelta(hours=1),
        running_age=timedelta(hours=1),
        waiting_age=timedelta(hours=24),
        retrying=10,
        failed=10,
        failure_rate=0.15,
    ),
    overdue=timedelta(minutes=10),
)
"""Those of the commands without options, and of the web server."""


class Check(NamedTuple):
    """One check and its outcome.

    Attributes:
        name: a :class:`CheckName`, or ``worker`` for the check of one worker.
        value: a number of things, which is the sum over the things that the check is about, or the largest of their
            shares or lengths of time; ``None`` if there is nothing to measure.
        limit: the most that may be, of each of several things; ``None`` without a limit.
        about: the queues, workers, migrations or jobs that the check is about, the worst first.
        more: whether ``value`` is where the count stopped.
        since: the start of the time that ``value`` is about; ``None`` for the last hour.
        error: the error because of which the check failed.
        unwritten: the outcomes that the check is about, all together.
        advice: the next step, in words; ``None`` if there is none, or a command is better.
        command: the next step, if it is not the usual one.
        lacking: objects that migrations which are recorded lack: ``column hammerwork_jobs.claimed_at``.
    """

    name: str
    status: Level
    value: Measure | None = None
    limit: Measure | None = None
    about: tuple[str, ...] = ()
    more: bool = False
    since: datetime | None = None
    error: str | None = None
    unwritten: Unwritten | None = None
    advice: str | None = None
    command: str | None = None
    lacking: tuple[str, ...] = ()


class HealthReport(NamedTuple):
    """The checks of a database.

    Attributes:
        at: when they were made.
    """

    at: datetime
    checks: Sequence[Check]

    @property
    def status(self) -> Level:
        """The worst of the checks."""
        return max((check.status for check in self.checks), key=lambda level: level.severity, default=Level.HEALTHY)

    def count(self, level: Level) -> int:
        return sum(check.status is level for check in self.checks)


class ReadyJobs(NamedTuple):
    """The jobs of a queue that workers may claim now.

    Attributes:
        jobs: their number, up to a limit.
        since: the time since which the first has been due.
    """

    queue: str
    jobs: int
    since: datetime | None


class RunningJobs(NamedTuple):
    """The running jobs of a queue.

    Attributes:
        since: the start of the first.
        first_unclaimed: the start of the first that no worker of hammerwork-cli has claimed, and for which no Rust
            worker keeps a lease.
        last_unclaimed: the start of the last of these.
        last_by_rust: the start of the last that a Rust worker runs.
        lost: those whose worker is no longer running: one of hammerwork-cli, or a Rust worker whose lease is over.
        lost_since: the start of the first of these.
    """

    queue: str
    jobs: int
    since: datetime | None
    first_unclaimed: datetime | None
    last_unclaimed: datetime | None
    last_by_rust: datetime | None
    lost: int
    lost_since: datetime | None
