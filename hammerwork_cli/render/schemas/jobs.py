"""What the verbs of ``job`` print, and jobs wherever they are printed."""

from hammerwork_cli.models import JobPriority, JobStatus
from hammerwork_cli.models.options.jobs import OPTIONS
from hammerwork_cli.render.schemas.words import (
    Schema,
    anything,
    count,
    flag,
    instant,
    job_id,
    null_or,
    record,
    text,
)

STATUS = {"type": "string", "description": f"{', '.join(JobStatus)}, or an unknown word that the row holds"}
PRIORITY = {"type": "string", "enum": [priority.word for priority in JobPriority]}
CONFIG = {"type": ["object", "null"], "description": "The stored _spawn_config"}

_DURATION: Schema = {"type": ["string", "number", "null"], "description": "15m, 2h, or a number of seconds"}
_WORDS: Schema = {"type": ["string", "array", "null"], "items": text()}
JOB_LINE = {
    **record(
        {
            "queue": null_or(text("Default: that of the command line, or default_queue")),
            "payload": anything("Any JSON; needed unless --payload gives a default"),
            "id": null_or(job_id("A job that exists stays unchanged")),
            "priority": {"type": ["string", "integer", "null"], "description": "A word, or 0 to 4"},
            "delay": _DURATION,
            "at": null_or(instant("Earliest start")),
            "max_attempts": null_or(count()),
            "timeout": _DURATION,
            "depends_on": {**_WORDS, "description": "Whole ids, in a list or with commas between them"},
            "trace_id": null_or(text()),
            "correlation_id": null_or(text()),
            "spawn_handler": null_or(text()),
            "spawn_config": CONFIG,
            "max_spawn_count": null_or(count()),
            "operation_id": null_or(text()),
            "spawn_delay": _DURATION,
            "batch_size": null_or(count()),
            "inherit": {**_WORDS, "description": "priority, queue, retry, timeout, trace or none"},
            "encrypt": null_or(flag("Whether its payload is encrypted")),
            "pii_fields": {**_WORDS, "description": "Paths of the only fields to encrypt"},
        },
        optional=frozenset(OPTIONS),
    ),
    "additionalProperties": False,
}
