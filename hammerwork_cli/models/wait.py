"""How waiting for a tree ends."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import FINISHED, Counts
from hammerwork_cli.models.why import Blocker


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
    stuck: tuple[Blocker, ...]
    waited: timedelta

    @property
    def open(self) -> int:
        """Jobs that have not ended."""
        return self.counts.total - self.counts.of(*FINISHED)
