"""The result of ``spawn wait``."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from hammerwork_cli.models.blocker import Blocker
from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import FINISHED, Counts


class WaitOutcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    STUCK = "stuck"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The state of a tree when waiting for it ended.

    Attributes:
        roots: ids of the jobs from which the tree was read.
        counts: all jobs of the tree by status.
        failed: some of the failed jobs.
        stuck: jobs that can never run.
        waited: length of the wait.
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
        """Number of jobs that have not ended."""
        return self.counts.total - self.counts.of(*FINISHED)
