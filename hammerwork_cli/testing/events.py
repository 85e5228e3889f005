"""The events that an attempt would write, for webhooks and streams that want them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.features.event.model import OF_STATUS, Event, EventJob, EventType, event_id
from hammerwork_cli.features.event.queries import cron_data, of_job
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import EndedAttempt

_LONGEST_ERROR = 500


def events_of(
    row: Claimed,
    ended: EndedAttempt | None,
    status: JobStatus,
    *,
    at: datetime,
    written: Sequence[NewJob],
    children: Sequence[NewJob],
) -> tuple[Mapping[str, Any], ...]:
    """The records of the events of an attempt, in their order.

    Args:
        row: the job.
        ended: how the attempt ended; ``None`` if somebody has cancelled the job meanwhile.
        status: that the job has then.
        at: when it ended.
        written: the jobs that it has written meanwhile.
        children: those that it writes at the end.
    """
    found = [of_job(EventType.JOB_STARTED, _job(row, JobStatus.RUNNING, row.started_at), row.started_at)]
    found += map(_enqueued, written)
    found += _end(row, ended, status, at)
    found += map(_enqueued, children)
    return tuple(event.record() for event in found)


def _end(row: Claimed, ended: EndedAttempt | None, status: JobStatus, at: datetime) -> Iterator[Event]:
    if status is JobStatus.PENDING and ended is not None and ended.at is not None and ended.pause is None:
        yield _recurs(row, ended, at)
    elif status is not JobStatus.PENDING:  # that of a snoozed job: nothing happened
        event = OF_STATUS.get(status, EventType.JOB_RETRIED)
        yield of_job(event, _job(row, status, at, ended), at)


def _recurs(row: Claimed, ended: EndedAttempt, at: datetime) -> Event:
    """What happened to a job that waits for its next run."""
    if ended.error is None:
        return of_job(EventType.JOB_COMPLETED, _job(row._replace(attempts=0), JobStatus.PENDING, at, ended), at)
    data = cron_data(job_id=row.id, queue=row.queue_name, due_at=row.next_run_at, reason=ended.error)
    return Event(event_id(EventType.CRON_FAILED, row.id, at), EventType.CRON_FAILED, at, data, row.queue_name)


def _job(row: Claimed, status: JobStatus, at: datetime, ended: EndedAttempt | None = None) -> EventJob:
    is_over, is_due_again = status in OF_STATUS, ended is not None and ended.at is not None
    start = None if is_due_again else row.started_at
    return EventJob(
        id=row.id,
        queue=row.queue_name,
        stored_status=str(status),
        stored_priority=row.priority,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        created_at=row.created_at,
        scheduled_at=ended.at if ended is not None and is_due_again else row.scheduled_at,
        started_at=start,
        completed_at=at if status is JobStatus.COMPLETED else None,
        failed_at=at if is_over and status is not JobStatus.COMPLETED else None,
        error=ended.error[:_LONGEST_ERROR] if ended is not None and ended.error else None,
        run_start=start,
        stored_parents=row.depends_on,
        batch_id=row.batch_id,
        workflow_id=row.workflow_id,
        trace_id=row.trace_id,
        correlation_id=row.correlation_id,
        ancestry=row.ancestry,
    )


def _enqueued(job: NewJob) -> Event:
    made = EventJob(
        id=job.id,
        queue=job.queue,
        stored_status=str(job.status),
        stored_priority=int(job.priority),
        attempts=0,
        max_attempts=job.max_attempts,
        created_at=job.created_at,
        scheduled_at=job.scheduled_at,
        stored_parents=list(job.depends_on),
        batch_id=job.batch_id,
        workflow_id=job.workflow_id,
        trace_id=job.trace_id,
        correlation_id=job.correlation_id,
        ancestry=job.ancestry,
    )
    return of_job(EventType.JOB_ENQUEUED, made, job.created_at)
