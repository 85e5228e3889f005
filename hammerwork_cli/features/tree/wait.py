"""Jobs that wait for others, and the result of ``spawn wait``."""

from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.core.values import FINISHED, UNSUCCESSFUL, Counts
from hammerwork_cli.features.tree.model import TreeNode


class BlockerReason(StrEnum):
    """Reasons why a waiting job does not run."""

    UNFINISHED = "unfinished"
    """A dependency has not ended yet."""
    PARENT_FAILED = "parent_failed"
    PARENT_MISSING = "parent_missing"
    NOT_RELEASED = "not_released"
    """All dependencies have completed, and no worker has released the job."""
    STUCK_ABOVE = "stuck_above"
    """A dependency can never run itself, or the job and its dependency wait for each other."""


class Blocker(NamedTuple):
    job: str  # id of the waiting job
    parents: dict[str, str]  # id -> status of each dependency; `missing` if the job does not exist
    reason: BlockerReason
    awaited: int = (
        0  # open jobs that it waits for, apart from its dependencies: it runs after all children of its parent
    )

    @property
    def is_stuck(self) -> bool:
        """Whether the job can never run unless an operator steps in."""
        return self.reason != BlockerReason.UNFINISHED

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """Ids of the dependencies that keep the job from running."""
        if self.reason == BlockerReason.PARENT_FAILED:
            return tuple(parent for parent, status in self.parents.items() if status in UNSUCCESSFUL)
        if self.reason == BlockerReason.PARENT_MISSING:
            return tuple(parent for parent, status in self.parents.items() if status == "missing")
        if self.reason == BlockerReason.NOT_RELEASED:
            return tuple(self.parents)
        return tuple(parent for parent, status in self.parents.items() if status not in FINISHED)


class WaitOutcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    STUCK = "stuck"
    TIMEOUT = "timeout"


class WaitResult(NamedTuple):
    """The state of a tree when waiting for it ended."""

    job: str
    roots: tuple[str, ...]  # ids of the jobs from which the tree was read
    outcome: WaitOutcome
    counts: Counts  # all jobs of the tree by status
    failed: tuple[TreeNode, ...]  # some of the failed jobs
    stuck: tuple[Blocker, ...]  # jobs that can never run
    waited: timedelta  # length of the wait
