"""What events say, as JSON: from these follow their schema and the reference."""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from hammerwork_cli.features.event.model import EventJob, EventType
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import MISSING, Key, Shape
from hammerwork_cli.view.text import plural

DEEPEST = 24
"""Levels of a payload that goes along with an event: MariaDB knows 32."""


class Ended(NamedTuple):
    """A tree, a batch or a workflow that has ended."""

    id: str
    queue: str | None  # of the root of a tree, or of all jobs
    jobs: int
    completed: int
    failed: int
    name: str | None = None  # of a batch or a workflow

    @property
    def reason(self) -> str | None:
        return f"{self.failed:,} of {plural(self.jobs, 'job')} failed" if self.failed else None


def _read(keys: Mapping[str, Key]) -> Shape[Mapping[str, Any]]:
    """A shape of what is JSON already."""
    return Shape({name: one._replace(get=itemgetter(name), convert=None) for name, one in keys.items()})


def _payload(job: EventJob) -> Any:
    if job.stored_payload is None or job.is_encrypted:
        return MISSING
    try:
        found = json.loads(job.stored_payload)
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        return MISSING
    return MISSING if _is_deep(found) else found


def _is_deep(value: Any) -> bool:
    """Whether a database may not take the JSON one inside another."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


JOB = Shape[EventJob](
    {
        "id": key.job_id(),
        "queue": key.text(),
        "status": key.status(),
        "priority": key.priority(),
        "attempts": key.count("Attempts so far"),
        "max_attempts": key.count(),
        "created_at": key.null_or(key.instant()),
        "scheduled_at": key.null_or(key.instant("When it is due, or was")),
        "started_at": key.null_or(key.instant("When its last attempt was claimed")),
        "ended_at": key.null_or(key.instant()),
        "run_seconds": key.null_or(key.seconds("How long its handler ran in the last attempt")),
        "error": key.null_or(key.text("Its first 500 characters, with the beginning of a traceback")),
        "reason": key.null_or(key.text("The first line of the error")),
        "depends_on": key.list_of(key.text(), "Ids of its parents"),
        "root_id": key.null_or(key.job_id("The root of its tree, if a worker has spawned it")),
        "batch_id": key.null_or(key.uuid()),
        "workflow_id": key.null_or(key.uuid()),
        "trace_id": key.null_or(key.text()),
        "correlation_id": key.null_or(key.text()),
        "payload": key.anything("Only with --include-payload, and never of an encrypted job").of(_payload).optional,
    }
)
"""The data of ``job.*``."""
_COUNTS = {
    "jobs": key.count(),
    "completed": key.count(),
    "failed": key.count("Failed for good, or cancelled"),
    "reason": key.null_or(key.text("How many failed, in a line; null if none did")),
}
_GROUP = {"name": key.text(), "queue": key.null_or(key.text("Queue of all jobs; null if they have several"))}
TREE = Shape[Ended]({"id": key.job_id("The root"), "queue": key.null_or(key.text("Queue of the root")), **_COUNTS})
"""The data of ``tree.*``."""
BATCH = Shape[Ended]({"id": key.uuid("The batch"), **_GROUP, **_COUNTS})
"""The data of ``batch.ended``."""
WORKFLOW = Shape[Ended]({"id": key.uuid("The workflow"), **_GROUP, **_COUNTS})
"""The data of ``workflow.ended``."""
CRON = _read(
    {
        "schedule": key.null_or(key.text("Name of the schedule; null for a recurring job")),
        "job_id": key.null_or(key.job_id("The recurring job; null for a schedule")),
        "queue": key.null_or(key.text()),
        "due_at": key.null_or(key.instant()),
        "reason": key.null_or(key.text("Why there was no run, or why it failed")),
    }
)
"""The data of ``cron.*``."""
WORKER = _read(
    {
        "id": key.uuid(),
        "name": key.text(),
        "jobs_retried": key.count("Jobs that may run again"),
        "jobs_dead": key.count("Jobs that had no attempt left"),
    }
)
"""The data of ``worker.lost``."""
QUEUE = _read(
    {
        "queue": key.text("* stands for all queues"),
        "paused_by": key.text(),
        "reason": key.null_or(key.text()),
    }
)
"""The data of ``queue.paused``."""
MEANINGS: Mapping[EventType, str] = {
    EventType.JOB_ENQUEUED: "a job was enqueued, or spawned",
    EventType.JOB_STARTED: "a worker has claimed a job",
    EventType.JOB_COMPLETED: "a job completed",
    EventType.JOB_FAILED: "a job failed with attempts left: one that it depends on failed, or a Rust worker gave it up",
    EventType.JOB_RETRIED: "an attempt failed and another one is due, or somebody retried a job",
    EventType.JOB_DEAD: "a job failed, and has no attempt left",
    EventType.JOB_TIMED_OUT: "a job timed out, and has no attempt left",
    EventType.JOB_CANCELLED: "a job was cancelled",
    EventType.JOB_ARCHIVED: "a job was archived",
    EventType.JOB_RESTORED: "a job was restored from the archive",
    EventType.TREE_COMPLETED: "a tree completed: a job and everything below it, or a single job",
    EventType.TREE_FAILED: "a tree ended, and some of its jobs failed",
    EventType.BATCH_ENDED: "all jobs of a batch ended",
    EventType.WORKFLOW_ENDED: "all jobs of a workflow ended",
    EventType.CRON_FAILED: "a schedule could not enqueue a job, or a recurring job failed in all attempts",
    EventType.CRON_MISSED: "a due time of a schedule passed without a job, because no worker was there",
    EventType.CRON_SKIPPED: "a due time of a schedule was skipped, because the previous run is not over",
    EventType.WORKER_LOST: "a worker was lost, and others have rescued its jobs",
    EventType.QUEUE_PAUSED: "a queue was paused",
}
"""What has happened, by the type of the event."""
_SHAPES: Mapping[str, Shape[Any]] = {
    "job": JOB,
    "tree": TREE,
    "batch": BATCH,
    "workflow": WORKFLOW,
    "cron": CRON,
    "worker": WORKER,
    "queue": QUEUE,
}


def data_of(event: EventType) -> Shape[Any]:
    return _SHAPES[event.partition(".")[0]]


EVENT = _read(
    {
        "id": key.uuid("The same at every repetition"),
        "type": key.text("What happened", *EventType),
        "timestamp": key.instant("When it happened"),
        "data": Key({"anyOf": [shape.schema for shape in _SHAPES.values()], "description": "What it happened to"}),
    }
)
"""An event, as it is stored and sent."""
