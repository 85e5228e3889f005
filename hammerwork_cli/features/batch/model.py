"""Batches: jobs that were enqueued together, and what became of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self
from uuid import UUID

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.reading import uuid_of
from hammerwork_cli.core.values import Counts, JobStatus, Timestamp
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.plan import JobGroup

if TYPE_CHECKING:
    from hammerwork_cli.features.callbacks.model import Callback
    from hammerwork_cli.features.spawn.models.why import Failures


class BatchStatus(StrEnum):
    """The statuses of batches, in the words of hammerwork (Rust)."""

    PENDING = "Pending"
    """No job has started."""
    PROCESSING = "Processing"
    COMPLETED = "Completed"
    PARTIALLY_FAILED = "PartiallyFailed"
    """All jobs have ended, and some have completed."""
    FAILED = "Failed"
    """All jobs have ended, and none has completed."""
    GONE = "Gone"
    """All jobs were deleted."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch whose jobs are counted: nothing that hammerwork (Rust) writes in its row changes after the insert."""

    id: str
    name: str
    total: int  # the number of jobs that it was enqueued with
    failure_mode: str  # as the row has it, without its quotes
    created_at: Timestamp
    # Its jobs by the status that the rows hold, archived ones too: Cancelled ones are Failed there, and Retrying ones
    # Pending.
    counts: Counts = field(default_factory=Counts)

    @property
    def gone(self) -> int:
        """Jobs that somebody has deleted."""
        return max(0, self.total - self.counts.total)

    @property
    def status(self) -> str:
        completed = self.counts.of(JobStatus.COMPLETED)
        if self.gone and not self.counts.total:
            return BatchStatus.GONE
        if self.counts.open:
            started = self.counts.open < self.counts.total or self.counts.of(JobStatus.RUNNING)
            return BatchStatus.PROCESSING if started else BatchStatus.PENDING
        if completed == self.counts.total:
            return BatchStatus.COMPLETED
        return BatchStatus.PARTIALLY_FAILED if completed else BatchStatus.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What there is in a batch or a workflow."""

    groups: list[JobGroup]  # its jobs by queue and status
    failures: "Failures"  # its failed attempts by error
    metadata: str | None  # JSON text
    callbacks: "list[Callback]"  # what happens at its end


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDetails(Contents):
    batch: StoredBatch


class NewBatch(NamedTuple):
    """A batch that is about to be inserted."""

    name: str
    id: str

    @classmethod
    def of(cls, name: str, id: str | UUID | None = None) -> Self:
        """Checks a name and an id; without an id, makes a new one."""
        fields.text(name, "The batch's name")
        if len(name) > LONGEST_NAME:
            raise UsageError(f"The batch's name has at most {LONGEST_NAME} characters, not {len(name):,}.")
        found = new_id() if id is None else uuid_of(str(id))
        if found is None:
            raise UsageError(f"{str(id)[:60]!r} is not a UUID.", hint="Write all of it; uuidgen makes one.")
        return cls(name, found)
