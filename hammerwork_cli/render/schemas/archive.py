"""What the verbs of ``archive`` and ``maintenance`` print."""

from hammerwork_cli.render.schemas.jobs import PRIORITY, STATUS
from hammerwork_cli.render.schemas.words import count, flag, instant, job_id, null_or, record, seconds, text

ARCHIVED = record(
    {
        "id": job_id(),
        "queue": text(),
        "status": STATUS,
        "priority": PRIORITY,
        "attempts": count(),
        "created_at": null_or(instant()),
        "ended_at": null_or(instant()),
        "archived_at": null_or(instant()),
        "archival_reason": text("Automatic, Manual, Compliance or Maintenance; other programs may write more"),
        "archived_by": null_or(text()),
        "stored_bytes": count("Bytes of its payload in the archive"),
        "payload_bytes": null_or(count("Bytes of its payload before it was archived; null if unknown")),
        "error": null_or(text("The first 500 characters of its error")),
    }
)
PURGED = record(
    {
        "action": text("purge-encrypted"),
        "dry_run": flag(),
        "jobs": count("Deleted jobs, or with --dry-run those that would be"),
        "archived_jobs": count("The same of archived ones"),
    }
)
ARCHIVED_SUM = record(
    {
        "queue": text(),
        "archival_reason": text(),
        "jobs": count(),
        "stored_bytes": count("Bytes of their payloads in the archive"),
        "payload_bytes": count("Bytes of their payloads before they were archived"),
        "oldest": null_or(instant("When the first of them was archived")),
        "newest": null_or(instant()),
    }
)
_AGE = null_or(seconds("Seconds since the end of a job; null: never"))
POLICY = record(
    {
        "queue": text("Queue of the root; * stands for queues without a policy"),
        "action": text("archive or delete; a later version may write more"),
        "completed_seconds": _AGE,
        "failed_seconds": _AGE,
        "dead_seconds": _AGE,
        "timed_out_seconds": _AGE,
        "purge_seconds": null_or(seconds("Seconds in the archive; null: never")),
        "by": text("", "tree", "job"),
        "compression_level": null_or(count("Null: payloads are not compressed")),
        "enabled": flag(),
        "updated_at": null_or(instant()),
        "updated_by": null_or(text()),
        "last_run_at": null_or(instant("Null before the first run")),
        "last_jobs": null_or(count("Jobs that the last run archived or deleted")),
        "last_error": null_or(text("Why the last run failed")),
    }
)
SIZE = record(
    {
        "name": text("Name of the table or index"),
        "table": text(),
        "kind": text("", "table", "index"),
        "rows": null_or(count("An estimate, exact on SQLite; null for an index")),
        "bytes": null_or(count("Bytes of a table without its indexes; null where the server does not report them")),
        "dead_rows": null_or(count("Null where the server does not count them")),
        "valid": flag("False for an index whose build was interrupted"),
        "vacuumed_at": null_or(instant()),
    }
)
WORK = record(
    {
        "name": text("Name of the table or index"),
        "work": text("", "vacuum", "analyze", "optimize", "reindex", "drop"),
        "seconds": seconds(),
    }
)
