"""The shapes of an enqueued job, and of a line of a file that enqueues jobs."""

from typing import Any

from hammerwork_cli.features.job.models.job import EnqueuedJob
from hammerwork_cli.features.job.options import OPTIONS
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Schema, Shape

ENQUEUED = Shape[EnqueuedJob](
    {
        "id": key.job_id(),
        "queue": key.text(),
        "created": key.flag("False when it existed already"),
        "status": key.status(),
        "priority": key.priority(),
        "scheduled_at": key.null_or(key.instant("Null when the row holds an unreadable value")),
        "depends_on": key.list_of(key.job_id()),
        "dependency_status": key.dependency_status(),
    }
)
_DURATION = Key({"type": ["string", "number", "null"], "description": "15m, 2h, or a number of seconds"})
_WORDS = Key({"type": ["string", "array", "null"], "items": {"type": "string"}})
_LINE = {
    "queue": key.null_or(key.text("Default: that of the command line, or default_queue")),
    "payload": key.anything("Any JSON; needed unless --payload gives a default"),
    "id": key.null_or(key.job_id("A job that exists stays unchanged")),
    "priority": Key({"type": ["string", "integer", "null"], "description": "A word, or 0 to 4"}),
    "delay": _DURATION,
    "at": key.null_or(key.instant("Earliest start")),
    "max_attempts": key.null_or(key.count()),
    "timeout": _DURATION,
    "depends_on": _WORDS.about("Whole ids, in a list or with commas between them"),
    "trace_id": key.null_or(key.text()),
    "correlation_id": key.null_or(key.text()),
    "spawn_handler": key.null_or(key.text()),
    "spawn_config": key.spawn_config(),
    "max_spawn_count": key.null_or(key.count()),
    "operation_id": key.null_or(key.text()),
    "spawn_delay": _DURATION,
    "batch_size": key.null_or(key.count()),
    "inherit": _WORDS.about("priority, queue, retry, timeout, trace or none"),
    "encrypt": key.null_or(key.flag("Whether its payload is encrypted")),
    "pii_fields": _WORDS.about("Paths of the only fields to encrypt"),
}
JOB_LINE: Schema = {
    **Shape[Any]({name: one.optional if name in OPTIONS else one for name, one in _LINE.items()}).schema,
    "additionalProperties": False,
}
