"""What events say, as JSON: from these follow their schema and the reference."""

from hammerwork_cli.features.event.model import EventJob, EventType
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape

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
        "error": key.null_or(key.text("Its first 500 characters")),
        "depends_on": key.list_of(key.text(), "Ids of its parents"),
        "root_id": key.null_or(key.job_id("The root of its tree, if a worker has spawned it")),
        "batch_id": key.null_or(key.uuid()),
        "workflow_id": key.null_or(key.uuid()),
        "trace_id": key.null_or(key.text()),
        "correlation_id": key.null_or(key.text()),
        "payload": key.anything("Only with --include-payload, and never of an encrypted job").optional,
    }
)
"""The data of ``job.*``."""
EVENT = Shape[object](
    {
        "id": key.uuid("The same at every repetition"),
        "type": key.text("What happened", *EventType),
        "timestamp": key.instant("When it happened"),
        "data": key.anything("What it happened to"),
    }
)
