"""What is wrong with jobs, why they failed, and what they wait for."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from hammerwork_cli.models.delays import Delay, NeverSpawned
from hammerwork_cli.models.trees import TreeNode
from hammerwork_cli.models.values import FAILURES, FINISHED, Counts, Moment


class Damage(StrEnum):
    """The kinds of damage that the doctor knows, in the order in which it mends and tells them."""

    MISSPELT_STATUS = "misspelt_status"
    NULL_LISTS = "null_lists"
    BARRED = "barred"
    LOST = "lost"
    LOST_LAST_ATTEMPT = "lost_last_attempt"
    NOT_RELEASED = "not_released"
    NOT_RELEASED_AFTER_FAILURE = "not_released_after_failure"
    PARENT_FAILED = "parent_failed"
    PARENT_FAILED_MANUAL = "parent_failed_manual"
    PARENT_MISSING = "parent_missing"
    CYCLE = "cycle"
    UNKNOWN_STATUS = "unknown_status"
    UNFINISHED_TABLES = "unfinished_tables"
    CRON_STOPPED = "cron_stopped"
    RAN_EARLY = "ran_early"
    NEVER_SPAWNED = "never_spawned"
    GONE_BUT_RECORDED = "gone_but_recorded"


MENDABLE = frozenset(
    {
        Damage.MISSPELT_STATUS,
        Damage.NULL_LISTS,
        Damage.BARRED,
        Damage.LOST,
        Damage.LOST_LAST_ATTEMPT,
        Damage.NOT_RELEASED,
        Damage.NOT_RELEASED_AFTER_FAILURE,
        Damage.PARENT_FAILED,
        Damage.GONE_BUT_RECORDED,
    }
)
"""What has one right end. The rest is told, with what a person can do."""
NOTES = frozenset({Damage.RAN_EARLY, Damage.NEVER_SPAWNED, Damage.GONE_BUT_RECORDED})
"""What has happened and holds no job: worth knowing. It is past mending, or only takes room."""


@dataclass(frozen=True, slots=True)
class FoundJob:
    """One job with damage.

    Attributes:
        queue: ``None`` of a job that is gone.
        status: as the row spells it.
        detail: what the damage is about: a parent's id, an instant, a handler.
    """

    id: str
    queue: str | None
    status: str
    detail: Moment = None


@dataclass(frozen=True, slots=True)
class Finding:
    """All jobs with one kind of damage.

    Attributes:
        jobs: how many were found.
        examples: the oldest of them.
        mended: how many were mended, also such as came to light on the way.
        left: how many there are now.
    """

    kind: Damage
    jobs: int
    examples: tuple[FoundJob, ...]
    left: int
    mended: int = 0

    @property
    def mendable(self) -> bool:
        """Whether the doctor can mend it."""
        return self.kind in MENDABLE

    @property
    def is_note(self) -> bool:
        """Whether it only tells what has happened."""
        return self.kind in NOTES


LIMITS = ("max_spawn_count", "max_depth", "max_descendants")
"""Limits of spawning; their errors begin with their names."""


class HoldReason(StrEnum):
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
class Hold:
    """A job that waits, and what holds it.

    Attributes:
        job: its id.
        parents: id -> status of what it depends on; ``missing`` when there is no such job.
    """

    job: str
    parents: dict[str, str]
    reason: HoldReason

    @property
    def is_stuck(self) -> bool:
        """Whether it can never run unless somebody steps in."""
        return self.reason != HoldReason.UNFINISHED

    @property
    def holders(self) -> tuple[str, ...]:
        """The parents that hold it."""
        if self.reason == HoldReason.PARENT_FAILED:
            return tuple(parent for parent, status in self.parents.items() if status in FAILURES)
        if self.reason == HoldReason.PARENT_MISSING:
            return tuple(parent for parent, status in self.parents.items() if status == "missing")
        if self.reason == HoldReason.NOT_RELEASED:
            return tuple(self.parents)
        return tuple(parent for parent, status in self.parents.items() if status not in FINISHED)


class WaitOutcome(StrEnum):
    """How waiting for a tree ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    STUCK = "stuck"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class WaitResult:
    """What a tree looked like when waiting for it ended.

    Attributes:
        roots: where its reading began.
        counts: all its jobs by status.
        failed: ids of the first that failed.
        stuck: jobs that can never run.
        waited: how long it took.
    """

    job: str
    roots: tuple[str, ...]
    outcome: WaitOutcome
    counts: Counts
    failed: tuple[TreeNode, ...]
    stuck: tuple[Hold, ...]
    waited: timedelta

    @property
    def open(self) -> int:
        """Jobs that have not ended."""
        return self.counts.total - self.counts.of(*FINISHED)


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
    holds: tuple[Hold, ...]
    under_way: tuple[UnderWay, ...]
    delays: tuple[Delay, ...]
    never_spawned: tuple[NeverSpawned, ...]
    nodes: dict[str, TreeNode]

    @property
    def failed(self) -> bool:
        """Whether a failure was found, below or above."""
        return bool(self.groups or self.consequences or self.above)
