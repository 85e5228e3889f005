"""Events: what happened, in one shape for every reader."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.core.values import rfc3339


class EventType(StrEnum):
    """What happened."""

    JOB_ENQUEUED = "job.enqueued"
    JOB_STARTED = "job.started"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    """It failed for good with attempts left: a job that it depends on failed, or a Rust worker gave it up."""
    JOB_RETRIED = "job.retried"
    """An attempt failed and another one is due, or somebody retried the job."""
    JOB_DEAD = "job.dead"
    JOB_TIMED_OUT = "job.timed_out"
    JOB_CANCELLED = "job.cancelled"
    JOB_ARCHIVED = "job.archived"
    JOB_RESTORED = "job.restored"
    TREE_COMPLETED = "tree.completed"
    TREE_FAILED = "tree.failed"
    BATCH_ENDED = "batch.ended"
    WORKFLOW_ENDED = "workflow.ended"
    CRON_FAILED = "cron.failed"
    CRON_MISSED = "cron.missed"
    CRON_SKIPPED = "cron.skipped"
    WORKER_LOST = "worker.lost"
    QUEUE_PAUSED = "queue.paused"

    @property
    def is_of_job(self) -> bool:
        return self.startswith("job.")


class Event(NamedTuple):
    """One event."""

    id: str  # the same whoever notices it, and however often
    type: EventType
    at: datetime
    data: Mapping[str, Any]  # JSON: what it happened to, such as the job
    queue: str | None = None  # of the job; `None` if it has to do with no queue
    priority: str | None = None  # word of the priority of the job
    job_id: str | None = None
    root_id: str | None = None  # id of the root of the job's tree

    def record(self) -> dict[str, Any]:
        """The event as JSON, as it is stored and sent."""
        return {"id": self.id, "type": str(self.type), "timestamp": rfc3339(self.at), "data": dict(self.data)}
