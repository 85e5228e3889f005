"""Events: what happened, in one shape for every reader."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from hammerwork_cli.core.input.near import did_you_mean
from hammerwork_cli.core.values import JobStatus, Timestamp, between, id_list, priority_word, rfc3339, status_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.tree.ancestry import Ancestry

DELIVERIES = "hammerwork-webhooks"
"""The queue of deliveries to webhooks. Its jobs make no events."""
_NAMESPACE = UUID("7d1b6a52-0f0c-4d0c-9b4e-6f5a1b9f3c21")


class EventType(StrEnum):
    JOB_ENQUEUED = "job.enqueued"
    JOB_STARTED = "job.started"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_RETRIED = "job.retried"
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


OF_ENDS = (EventType.TREE_COMPLETED, EventType.TREE_FAILED, EventType.BATCH_ENDED, EventType.WORKFLOW_ENDED)
"""Events at the end of what is watched for it from the start."""
USUAL = tuple(event for event in EventType if event not in {EventType.TREE_COMPLETED, EventType.TREE_FAILED})
"""Events that a stream takes unless it is told which: those of trees cost a counter for each job that is enqueued."""
OF_STATUS = {
    JobStatus.COMPLETED: EventType.JOB_COMPLETED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.DEAD: EventType.JOB_DEAD,
    JobStatus.TIMED_OUT: EventType.JOB_TIMED_OUT,
    JobStatus.CANCELLED: EventType.JOB_CANCELLED,
}
"""How a job has ended -> what has happened to it."""


def event_types(words: Iterable[str]) -> tuple[EventType, ...]:
    """The types that words name; those of jobs without their prefix, too, in any letter case."""
    known = {str(one): one for one in EventType}
    found = []
    for word in words:
        text = word.strip().lower().replace("-", "_")
        event = known.get(text) or known.get(f"job.{text}") or known.get(f"job.{_RUST.get(text, text)}")
        if event is None:
            short = [str(one).removeprefix("job.") for one in EventType]
            hint = did_you_mean(text.removeprefix("job."), short, cutoff=0.75) or f"One of: {', '.join(short)}."
            raise UsageError(f"There is no event {word[:40]!r}.", hint=hint)
        found.append(event)
    return tuple(dict.fromkeys(found))


_RUST = {"timedout": "timed_out"}


class Event(NamedTuple):
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


class EventJob(NamedTuple):
    """A job as an event tells of it, in the order of the statement's columns."""

    id: str
    queue: str
    stored_status: str
    stored_priority: int | str
    attempts: int
    max_attempts: int
    created_at: Timestamp
    scheduled_at: Timestamp
    started_at: Timestamp = None
    completed_at: Timestamp = None
    failed_at: Timestamp = None
    error: str | None = None
    run_start: Timestamp = None
    stored_parents: Any = ()
    batch_id: str | None = None
    workflow_id: str | None = None
    trace_id: str | None = None
    correlation_id: str | None = None
    ancestry: str | None = None
    is_encrypted: bool = False
    stored_payload: str | None = None  # JSON text, if it was read

    @property
    def status(self) -> str:
        return status_of(self.stored_status)

    @property
    def priority(self) -> str:
        return priority_word(self.stored_priority)

    @property
    def ended_at(self) -> Timestamp:
        return self.completed_at or self.failed_at

    @property
    def reason(self) -> str | None:
        return next(iter(self.error.strip().splitlines()), "") if self.error is not None else None

    @property
    def run_seconds(self) -> timedelta | None:
        return between(self.run_start, self.ended_at)

    @property
    def depends_on(self) -> tuple[str, ...]:
        return id_list(self.stored_parents)

    @property
    def root_id(self) -> str | None:
        place = Ancestry.parse(self.ancestry)
        return place.root if place else None


def event_id(event: EventType, subject: str, at: datetime) -> str:
    """The id of an event: the same whoever notices that this happened to the subject then."""
    return str(uuid5(_NAMESPACE, f"{event}/{subject}/{rfc3339(at)}"))
