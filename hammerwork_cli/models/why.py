"""Why jobs failed, and what they wait for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import FAILURES, FINISHED, Counts, Timestamp


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
    at: Timestamp
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
class Annotations:
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


LIMITS = ("max_spawn_count", "max_depth", "max_descendants")
"""Limits of spawning; their errors begin with their names."""


class BlockerReason(StrEnum):
    """Why a waiting job does not run."""

    UNFINISHED = "unfinished"
    """What it depends on has not ended yet."""
    PARENT_FAILED = "parent_failed"
    PARENT_MISSING = "parent_missing"
    NOT_RELEASED = "not_released"
    """All it depends on has completed, and nobody told it."""
    STUCK_ABOVE = "stuck_above"
    """What it depends on can never run itself, or waits for it in turn."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A job that waits, and what holds it.

    Attributes:
        job: its id.
        parents: id -> status of what it depends on; ``missing`` when there is no such job.
    """

    job: str
    parents: dict[str, str]
    reason: BlockerReason

    @property
    def is_stuck(self) -> bool:
        """Whether it can never run unless somebody steps in."""
        return self.reason != BlockerReason.UNFINISHED

    @property
    def holders(self) -> tuple[str, ...]:
        """The parents that hold it."""
        if self.reason == BlockerReason.PARENT_FAILED:
            return tuple(parent for parent, status in self.parents.items() if status in FAILURES)
        if self.reason == BlockerReason.PARENT_MISSING:
            return tuple(parent for parent, status in self.parents.items() if status == "missing")
        if self.reason == BlockerReason.NOT_RELEASED:
            return tuple(self.parents)
        return tuple(parent for parent, status in self.parents.items() if status not in FINISHED)


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that failed, and the way to it.

    Attributes:
        path: from the topmost ancestor to the job itself.
    """

    job: TreeNode
    path: tuple[TreeNode, ...]


def limit_of(error: str | None) -> str | None:
    """The name of the limit of spawning that an error is of."""
    words = (error or "").split(maxsplit=2)
    return words[0] if words[1:2] == ["allows"] and words[0] in LIMITS else None


@dataclass(slots=True)
class FailureGroup:
    """Jobs that failed with what is the same error but for ids and numbers.

    Attributes:
        error: the error of the first; ``None`` when they carry none.
        jobs: the first of them.
        archived: how many are archived, and stay as they are.
    """

    error: str | None
    statuses: Counts = field(default_factory=Counts)
    queues: Counts = field(default_factory=Counts)
    jobs: list[FailedJob] = field(default_factory=list)
    archived: int = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return self.statuses.total

    @property
    def limit(self) -> str | None:
        """The limit of spawning that they met: without another one, another attempt meets it again."""
        return limit_of(self.error)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Jobs of a queue that have not ended and wait for no other job.

    Attributes:
        serving: living workers of ours that serve the queue; ``None`` where workers are not recorded.
    """

    queue: str
    counts: Counts
    is_paused: bool
    serving: int | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why the jobs of a tree failed, or what they wait for.

    Attributes:
        job: the job that was asked about.
        counts: the job and everything below it, by status.
        groups: the deepest failures, the largest group first.
        consequences: further jobs that failed only because of others.
        above: failed jobs above the job that made it fail or hold it, the causes first.
        holds: jobs that wait for others, the stuck ones first.
        under_way: those of the rest that have not ended, by queue.
        delays: why these have not ended.
        never_spawned: completed jobs that carry a spawn configuration and have no children.
        nodes: id -> job, for the ids in ``holds``, as far as they exist.
    """

    job: TreeNode
    counts: Counts
    groups: tuple[FailureGroup, ...]
    consequences: int
    above: tuple[FailedJob, ...]
    holds: tuple[Blocker, ...]
    under_way: tuple[UnderWay, ...]
    delays: tuple[Delay, ...]
    never_spawned: tuple[NeverSpawned, ...]
    nodes: dict[str, TreeNode]

    @property
    def failed(self) -> bool:
        """Whether a failure was found, below or above."""
        return bool(self.groups or self.consequences or self.above)
