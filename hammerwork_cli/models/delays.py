"""Why jobs that wait for no other job have not ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.models.values import Moment


class DelayReason(StrEnum):
    """Why a job has not ended, in the order in which they are told."""

    LONG_RUNNING = "long_running"
    """It has been Running for long, and no living worker is known to have it."""
    SILENT_WORKER = "silent_worker"
    """It is Running, and the last heartbeat of its worker is older than the worker's lease."""
    MISSPELT_STATUS = "misspelt_status"
    """No worker takes a status that is spelt like this."""
    BARRED = "barred"
    """No worker takes a job with this dependency status."""
    RETRYING = "retrying"
    """An attempt failed, and it waits for the next."""
    READY = "ready"
    """It is due, and waits for a worker."""
    SCHEDULED = "scheduled"
    """It is not due yet."""
    RUNNING = "running"


class OpenJob(NamedTuple):
    """A job that has not ended.

    Attributes:
        at: when it may run, or has been running since.
        worker: the name of the worker of ours that has claimed it.
        silent_for: seconds since that worker's last heartbeat.
        lease: seconds that it may be silent.
    """

    id: str
    status: str
    attempts: int
    max_attempts: int
    at: Moment
    worker: str | None
    silent_for: float | None = None
    lease: float | None = None


@dataclass(slots=True)
class Delay:
    """Jobs of a queue that have not ended for the same reason.

    Attributes:
        error: what the last attempt of the first failed with.
        jobs: how many they are.
        first: the one with the earliest instant.
        serving: living workers of ours that serve the queue; ``None`` where workers are not recorded.
    """

    reason: DelayReason
    queue: str
    error: str | None
    jobs: int
    first: OpenJob
    is_paused: bool
    serving: int | None

    @property
    def is_waiting(self) -> bool:
        """Whether it takes a worker to go on."""
        return self.reason in {DelayReason.READY, DelayReason.RETRYING}

    @property
    def is_taken_later(self) -> bool:
        """Whether a worker takes it now or later."""
        return self.is_waiting or self.reason == DelayReason.SCHEDULED

    @property
    def has_no_worker(self) -> bool:
        """Whether it takes a worker, and none of ours is there."""
        return self.is_waiting and self.serving == 0


@dataclass(frozen=True, slots=True)
class Marks:
    """What the picture of a tree says of jobs that have not started, besides their status.

    Attributes:
        stuck: jobs that wait, although all they depend on has ended.
        due: id -> when it may run, for jobs that are not due yet.
    """

    stuck: frozenset[str] = frozenset()
    due: Mapping[str, datetime] = field(default_factory=dict)


class NeverSpawned(NamedTuple):
    """A job that completed with spawn configuration and has no children.

    Attributes:
        why: what is known of the reason.
    """

    id: str
    queue: str
    why: str | None
