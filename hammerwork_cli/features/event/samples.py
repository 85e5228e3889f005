"""An example of each event: for tests of receivers, and for the reference."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hammerwork_cli.core.values import JobStatus, rfc3339
from hammerwork_cli.features.event.model import OF_STATUS, Event, EventJob, EventType, event_id
from hammerwork_cli.features.event.shapes import BATCH, CRON, JOB, QUEUE, TREE, WORKER, WORKFLOW, Ended

JOB_ID, OTHER_ID = "0d7c21a4-5c1e-4c7c-9a55-3f6f5d0b7e11", "5b1f9d52-7a40-4b7e-8b57-1f0f5d8d2a42"
PAYLOAD = '{"to": "ada@example.org"}'
_STATUSES: Mapping[EventType, JobStatus] = {event: status for status, event in OF_STATUS.items()} | {
    EventType.JOB_ENQUEUED: JobStatus.PENDING,
    EventType.JOB_STARTED: JobStatus.RUNNING,
    EventType.JOB_RETRIED: JobStatus.RETRYING,
    EventType.JOB_ARCHIVED: JobStatus.COMPLETED,
    EventType.JOB_RESTORED: JobStatus.COMPLETED,
}
_RAISED = """ConnectionError: the mail server closed the connection

Traceback (most recent call last):
  File "/srv/shop/mail.py", line 24, in send
    connection.sendmail(sender, recipients, text)
ConnectionError: the mail server closed the connection"""
_ERRORS = {
    JobStatus.RETRYING: _RAISED,
    JobStatus.DEAD: _RAISED,
    JobStatus.FAILED: f"It depends on job {OTHER_ID}, which failed.",
    JobStatus.TIMED_OUT: "The job took longer than 60 s.",
    JobStatus.CANCELLED: "cancelled by ada@laptop through hammerwork",
}


def sample(event: EventType, now: datetime, *, queue: str = "mail", payload: bool = False) -> Event:
    """An event of a type, about a job, a batch or whatever it is about."""
    if event.is_of_job:
        status = _STATUSES[event]
        job = _job(status, now, queue)._replace(stored_payload=PAYLOAD if payload else None)
        return Event(event_id(event, job.id, now), event, now, JOB.record(job), queue, job.priority, job.id, job.id)
    data = _data(event, now, queue)
    return Event(event_id(event, JOB_ID, now), event, now, data, data.get("queue"))


def _job(status: JobStatus, now: datetime, queue: str) -> EventJob:
    began, has_begun = now - timedelta(seconds=2.5), status is not JobStatus.PENDING
    has_ended = status in OF_STATUS
    error = _ERRORS.get(status)
    return EventJob(
        id=JOB_ID,
        queue=queue,
        stored_status=str(status),
        stored_priority=2,
        attempts=3 if status is JobStatus.DEAD else int(has_begun),
        max_attempts=3,
        created_at=now - timedelta(minutes=1),
        scheduled_at=now + timedelta(seconds=10) if status is JobStatus.RETRYING else now - timedelta(minutes=1),
        started_at=began if has_begun and status is not JobStatus.RETRYING else None,
        completed_at=now if status is JobStatus.COMPLETED else None,
        failed_at=now if has_ended and status is not JobStatus.COMPLETED else None,
        error=error,
        run_start=began if has_begun else None,
        stored_parents=[OTHER_ID] if status is JobStatus.FAILED else [],
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )


def _data(event: EventType, now: datetime, queue: str) -> Mapping[str, Any]:
    if event in {EventType.TREE_COMPLETED, EventType.TREE_FAILED}:
        failed = 2 if event is EventType.TREE_FAILED else 0
        return TREE.record(Ended(JOB_ID, queue, 41, 41 - failed, failed))
    if event is EventType.BATCH_ENDED:
        return BATCH.record(Ended(JOB_ID, queue, 100, 97, 3, "newsletter"))
    if event is EventType.WORKFLOW_ENDED:
        return WORKFLOW.record(Ended(JOB_ID, None, 5, 5, 0, "nightly import"))
    if event is EventType.WORKER_LOST:
        return WORKER.record({"id": JOB_ID, "name": "host-4711", "jobs_retried": 3, "jobs_dead": 1})
    if event is EventType.QUEUE_PAUSED:
        return QUEUE.record({"queue": queue, "paused_by": "ada@laptop", "reason": "the mail server is down"})
    reason = {
        EventType.CRON_FAILED: "The queue name has more than 255 characters.",
        EventType.CRON_MISSED: "no worker enqueued its job in time",
        EventType.CRON_SKIPPED: "the previous run is not over",
    }[event]
    due = rfc3339(now - timedelta(minutes=5))
    return CRON.record({"schedule": "nightly", "job_id": None, "queue": queue, "due_at": due, "reason": reason})
