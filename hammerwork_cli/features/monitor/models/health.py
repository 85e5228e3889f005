"""The checks of ``monitor health``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.features.queue.model import HealthLimits, Measure
from hammerwork_cli.features.worker.models.counts import Unwritten


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
    PAUSED_QUEUES = "paused_queues"
    PENDING = "pending"
    PENDING_AGE = "pending_age"
    RUNNING_AGE = "running_age"
    WAITING_AGE = "waiting_age"
    LOST_JOBS = "lost_jobs"
    UNCLAIMED_JOBS = "unclaimed_jobs"
    OVERDUE_JOBS = "overdue_jobs"
    OVERDUE_SCHEDULES = "overdue_schedules"
    GROWING_TREES = "growing_trees"
    RETRYING = "retrying"
    FAILED = "failed"
    FAILURE_RATE = "failure_rate"
    RETENTION = "retention"
    WEBHOOKS = "webhooks"
    STREAMS = "streams"
    CLOCKS = "clocks"
    TIMES_IN_THE_FUTURE = "times_in_the_future"


class Level(StrEnum):
    """How bad a check is."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    """A migration is missing, without which the tables do not tell: of workers, for example."""
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def severity(self) -> int:
        """0 to 3, the worst last."""
        return list(Level).index(self)


class MonitorLimits(NamedTuple):
    queues: HealthLimits  # those of `queue health`, which hold for each queue
    # How late a recurring job, or the job of a schedule, may be; `None` turns the check off.
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


class Trouble(NamedTuple):
    """What is wrong with a webhook, a stream or a tree."""

    name: str
    what: str  # `disabled`, `failing`, `undelivered` (there is nobody who delivers), `unsent` (a stream), or `growing`
    said: str | None = None  # why, in words that may be a receiver's
    length: timedelta | None = None  # for how long


class Check(NamedTuple):
    name: str  # a `CheckName`, or `worker` for the check of one worker
    status: Level
    # A number of things, which is the sum over the things that the check is about, or the largest of their shares or
    # lengths of time; `None` if there is nothing to measure.
    value: Measure | None = None
    limit: Measure | None = None  # the most that may be, of each of several things; `None` without a limit
    about: tuple[str, ...] = ()  # the queues, workers, migrations or jobs that the check is about, the worst first
    more: bool = False  # whether `value` is where the count stopped
    since: datetime | None = None  # the start of the time that `value` is about; `None` for the last hour
    error: str | None = None  # the error because of which the check failed
    unwritten: Unwritten | None = None  # the outcomes that the check is about, all together
    advice: str | None = None  # the next step, in words; `None` if there is none, or a command is better
    command: str | None = None  # the next step, if it is not the usual one
    troubles: tuple["Trouble", ...] = ()  # of webhooks, streams and trees, in the order of `about`
    # Objects that migrations which are recorded lack: `column hammerwork_jobs.claimed_at`.
    lacking: tuple[str, ...] = ()


class HealthReport(NamedTuple):
    """The checks of a database."""

    at: datetime  # when they were made
    checks: Sequence[Check]

    @property
    def status(self) -> Level:
        """The worst of the checks."""
        return max((check.status for check in self.checks), key=lambda level: level.severity, default=Level.HEALTHY)

    def count(self, level: Level) -> int:
        return sum(check.status is level for check in self.checks)


class ReadyJobs(NamedTuple):
    """The jobs of a queue that workers may claim now."""

    queue: str
    jobs: int  # their number, up to a limit
    since: datetime | None  # the time since which the first has been due


class RunningJobs(NamedTuple):
    queue: str
    jobs: int
    since: datetime | None  # the start of the first
    # The start of the first that no worker of hammerwork-cli has claimed, and for which no Rust worker keeps a lease.
    first_unclaimed: datetime | None
    last_unclaimed: datetime | None  # the start of the last of these
    last_by_rust: datetime | None  # the start of the last that a Rust worker runs
    lost: int  # those whose worker is no longer running: one of hammerwork-cli, or a Rust worker whose lease is over
    lost_since: datetime | None  # the start of the first of these
