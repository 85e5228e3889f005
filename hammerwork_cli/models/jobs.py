"""Jobs to be written."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from hammerwork_cli.models.values import JobPriority, JobStatus


def new_id() -> str:
    """A fresh job id."""
    return str(uuid4())


@dataclass(slots=True)
class NewJob:
    """A row of ``hammerwork_jobs`` that is about to be inserted.

    Attributes:
        payload: JSON text.
        depends_on: ids of the jobs that must complete first.
        dependency_status: ``none``, ``waiting`` or ``satisfied``.
        timeout_seconds: whole seconds a run may take.
    """

    queue: str
    payload: str
    created_at: datetime
    scheduled_at: datetime
    id: str = field(default_factory=new_id)
    status: JobStatus = JobStatus.PENDING
    priority: JobPriority = JobPriority.NORMAL
    attempts: int = 0
    max_attempts: int = 3
    timeout_seconds: int | None = None
    depends_on: tuple[str, ...] = ()
    dependency_status: str = "none"
    started_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    error_message: str | None = None
    workflow_id: str | None = None
    workflow_name: str | None = None
    trace_id: str | None = None
    correlation_id: str | None = None
    parent_span_id: str | None = None
    span_context: str | None = None
