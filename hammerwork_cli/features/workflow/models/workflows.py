"""Workflows: jobs that depend on each other, share an id, and fail as a policy says."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from hammerwork_cli.core.values import Counts, Timestamp, timestamp
from hammerwork_cli.features.batch.model import Contents


class WorkflowStatus(StrEnum):
    """The statuses of workflows, in the words of hammerwork (Rust)."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    """All jobs have ended, and one has failed."""
    CANCELLED = "cancelled"
    """Somebody has cancelled it; jobs of it may still run."""
    GONE = "gone"
    """All jobs were deleted before they had ended. Rows do not hold this word."""


class FailurePolicy(StrEnum):
    """The effect of a failed job on the others of its workflow."""

    FAIL_FAST = "fail_fast"
    """All that have not started fail."""
    CONTINUE = "continue_on_failure"
    """Its dependents fail, and theirs; the others go on."""
    IGNORE = "ignore_failures"
    """Its dependents run once all of their dependencies have ended. hammerwork (Rust) does not know it."""
    MANUAL = "manual"
    """Its dependents stay Pending; the others go on."""


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A workflow whose jobs are counted: hammerwork (Rust) never changes the counters of its row."""

    id: str
    name: str
    stored_status: str  # a `WorkflowStatus`; may be stale
    failure_policy: str  # a `FailurePolicy`
    total: int  # the number of jobs that the row holds
    created_at: Timestamp
    # Its jobs by the status that the rows hold, archived ones too: Cancelled ones are Failed there, and Retrying ones
    # Pending.
    counts: Counts = field(default_factory=Counts)
    waiting: int = 0  # jobs that wait for other jobs
    last_end: Timestamp = None  # when the last of the ended jobs ended
    last_failure: Timestamp = None  # when the last job failed by itself, and not because of others

    @property
    def status(self) -> str:
        if self.stored_status == WorkflowStatus.CANCELLED:
            return WorkflowStatus.CANCELLED
        if self.counts.open:
            return WorkflowStatus.RUNNING
        if not self.counts.total:  # nothing else tells any more
            was_filled = self.stored_status == WorkflowStatus.RUNNING and self.total
            return WorkflowStatus.GONE if was_filled else self.stored_status
        return WorkflowStatus.FAILED if self.counts.unsuccessful else WorkflowStatus.COMPLETED

    @property
    def needs_decision(self) -> bool:
        """Whether a job has failed, and the policy leaves the jobs that wait to people."""
        is_running = self.status == WorkflowStatus.RUNNING
        return is_running and self.failure_policy == FailurePolicy.MANUAL and self.counts.unsuccessful > 0

    @property
    def ended_at(self) -> Timestamp:
        """When the last job ended; ``None`` while one is open."""
        return None if self.counts.open else self.last_end

    @property
    def took(self) -> timedelta | None:
        """Time from its creation to its end; ``None`` until it has ended."""
        start, end = timestamp(self.created_at), timestamp(self.ended_at)
        return max(end - start, timedelta()) if start and end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDetails(Contents):
    """Everything about a workflow but the graph of its jobs."""

    workflow: StoredWorkflow
