"""What happened to jobs: the lines of ``monitor logs``."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class EventKind(StrEnum):
    """What happened, in the order in which it happens to a job at one time."""

    CREATED = "created"
    STARTED = "started"
    ATTEMPT_FAILED = "attempt_failed"
    SPAWNED = "spawned"
    SPAWN_FAILED = "spawn_failed"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD = "dead"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


KIND_ORDER = {kind: place for place, kind in enumerate(EventKind)}


class JobEvent(NamedTuple):
    """Something that happened to a job."""

    at: datetime
    kind: str  # an `EventKind`
    job: str
    queue: str | None  # `None` if the job is gone
    attempt: int | None = None  # the number of the attempt; `None` where there is none
    seconds: float | None = None  # how long the attempt, or the spawning, took
    worker: str | None = None  # name of the worker; `None` if it is not known
    # How an attempt ended that another one follows: `failed`, `timed_out`, `lost` or `stopped`.
    outcome: str | None = None
    children: int | None = None  # number of spawned jobs
    error: str | None = None  # the beginning of the error

    @property
    def place(self) -> tuple[datetime, int, str]:
        """Sorts events by time; of one time, as they happen to a job."""
        return self.at, KIND_ORDER.get(EventKind(self.kind), 0), self.job
