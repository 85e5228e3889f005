"""What the verbs of ``job`` print, and jobs wherever they are printed."""

from hammerwork_cli.models import JobPriority, JobStatus
from hammerwork_cli.models.options.jobs import OPTIONS
from hammerwork_cli.render.attempts import ATTEMPT_HISTORY
from hammerwork_cli.render.callbacks import CALLBACK
from hammerwork_cli.render.formats.json import UNKNOWN
from hammerwork_cli.render.job.hold import HOLDS
from hammerwork_cli.render.schemas.words import (
    Schema,
    anything,
    count,
    counts,
    flag,
    instant,
    job_id,
    list_of,
    null_or,
    record,
    seconds,
    text,
    with_fields,
)
from hammerwork_cli.render.spawn.records import CHILD_COUNTS, REQUEST_STATES, SPAWN_OUTCOMES
from hammerwork_cli.render.tree.json import NODE

STATUS = {"type": "string", "description": f"{', '.join(JobStatus)}, or an unknown word that the row holds"}
DEPENDENCY_STATUS = null_or(text("none, waiting, satisfied or failed, or an unknown word that the row holds"))
PRIORITY = {"type": "string", "enum": [priority.word for priority in JobPriority]}
CONFIG = {"type": ["object", "null"], "description": "The stored _spawn_config"}

JOB = {
    **NODE.schema["properties"],
    "attempts": count(),
    "max_attempts": count(),
    "dependency_status": DEPENDENCY_STATUS,
    "scheduled_at": null_or(instant()),
    "recurring": flag("Whether it comes back by its schedule"),
}
NAMED = {"id": job_id(), "queue": null_or(text()), "status": null_or(STATUS)}
RELATIVE = {**NAMED, "error": null_or(text())}
FACTS = {
    "timeout_seconds": null_or(count()),
    "timed_out_at": null_or(instant()),
    "cron_schedule": null_or(text()),
    "timezone": null_or(text()),
    "next_run_at": null_or(instant()),
    "batch_id": null_or(text()),
    "result_stored_at": null_or(instant()),
    "result_expires_at": null_or(instant()),
    "trace_id": null_or(text()),
    "correlation_id": null_or(text()),
    "parent_span_id": null_or(text()),
    "span_context": null_or(text()),
    "archival_reason": null_or(text()),
    "archived_by": null_or(text()),
    "is_encrypted": flag(),
    "encryption_key_id": null_or(text()),
    "encryption_algorithm": null_or(text()),
    "encrypted_bytes": null_or(count()),
    "payload_hash": null_or(text()),
    "retention_policy": null_or(text()),
    "retention_delete_at": null_or(instant()),
    "encrypted_at": null_or(instant()),
    "retry_strategy": anything("As hammerwork (Rust) writes it; null for that of the worker"),
    "last_heartbeat_at": null_or(instant("Of the lease, which version 3 of hammerwork (Rust) looks at")),
    "lease_expires_at": null_or(instant()),
    "other_columns": anything("An object with the columns that this version does not know, but for binary ones"),
}
"""Columns; an older database does not have all of them."""
RECORDED_SPAWN = {
    "id": job_id(),
    "operation_id": null_or(text("Operation id, where the configuration names one")),
    "handler": null_or(text()),
    "outcome": text(
        "failed: the parent completed without children; repeated: it was allowed to spawn again",
        *SPAWN_OUTCOMES,
        UNKNOWN,
    ),
    "children": count(),
    "error": null_or(text("Why nothing was spawned")),
    "hook_error": null_or(text("The error of on_spawn_complete")),
    "worker_id": null_or(job_id()),
    "request_id": null_or(job_id("Id of the request that it fulfilled")),
    "started_at": null_or(instant()),
    "ended_at": null_or(instant()),
}
SPAWN_REQUEST = {
    "id": job_id(),
    "job_id": job_id(),
    "queue": text(),
    "handler": null_or(text("Null for the job's own")),
    "spawn_config": CONFIG,
    "state": text("", *REQUEST_STATES, UNKNOWN),
    "requested_at": null_or(instant()),
    "requested_by": null_or(text()),
    "worker_id": null_or(job_id("The worker that took it")),
    "ended_at": null_or(instant()),
    "children": null_or(count("Children that it spawned")),
    "error": null_or(text()),
}
JOB_DETAILS = record(
    {
        **JOB,
        **FACTS,
        "error": null_or(text("The whole of it")),
        "in_archive": flag("Read from the archive table"),
        "payload": anything("As JSON; text when it cannot be read as JSON"),
        "result": anything("As JSON; text when it cannot be read as JSON"),
        "parents": list_of(record(RELATIVE), "A deleted parent has nulls"),
        "hold": null_or(text("Why it waits; a later version may write more", *HOLDS)),
        "hold_message": null_or(text("The same in a sentence for people; its words may change")),
        "children": with_fields(
            CHILD_COUNTS.schema, {"first": list_of(record(RELATIVE), "Some of them, failures first")}
        ),
        "attempt_history": ATTEMPT_HISTORY.schema,
        "callbacks": list_of(CALLBACK.schema, "Callbacks of the job and everything below it"),
        "worker": null_or(
            record(
                {
                    "id": text(),
                    "name": text(),
                    "state": text("running, stopping, silent, lost or stopped"),
                    "silent_seconds": seconds("Since its last heartbeat"),
                    "lease_seconds": seconds("Without a heartbeat until others may rescue the job"),
                }
            )
        ),
        "spawns": list_of(record(RECORDED_SPAWN), "Recorded operations, oldest first"),
        "spawn_requests": list_of(record(SPAWN_REQUEST), "Spawn requests, newest first"),
    },
    optional=frozenset(FACTS),
)
EXPORTED = record(
    {
        **JOB,
        "error": null_or(text("The whole of it")),
        **FACTS,
        "payload": anything("As JSON; text when it cannot be read as JSON"),
        "result": anything("As JSON; text when it cannot be read as JSON"),
    },
    optional=frozenset(FACTS),
)
ENQUEUED = record(
    {
        "id": job_id(),
        "queue": text(),
        "created": flag("False when it existed already"),
        "status": STATUS,
        "priority": PRIORITY,
        "scheduled_at": null_or(instant("Null when the row holds an unreadable value")),
        "depends_on": list_of(job_id()),
        "dependency_status": DEPENDENCY_STATUS,
    }
)
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
PLAN = record(
    {"queue": text(), "status": STATUS, "jobs": count(), "changes": flag("False for jobs that are left unchanged")}
)
OUTCOME = record(
    {
        "action": text("", "retry", "cancel", "delete", "purge", "archive", "restore"),
        "dry_run": flag(),
        "changed": count("Jobs"),
        "followed": count("Dependents that changed with them"),
        "left": counts("Jobs left unchanged, by reason"),
        "plan": null_or(list_of(PLAN, "Null for one job by its id")),
    }
)
