"""What the verbs of ``cron`` print."""

from hammerwork_cli.render.schemas.jobs import PRIORITY, STATUS
from hammerwork_cli.render.schemas.words import (
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
)

RUN = record(
    {
        "due_at": instant("Due time; for a triggered run, the time of the request"),
        "kind": text("", "scheduled", "triggered", "backfill"),
        "outcome": text("", "enqueued", "skipped", "missed"),
        "reason": null_or(text("Why there is no job")),
        "job_id": null_or(job_id()),
        "status": null_or(STATUS),
        "waited_seconds": null_or(seconds("Seconds from when its job could start to its last start")),
        "seconds": null_or(seconds("Run time of the last attempt")),
        "missed": count("Earlier due times without a run that this one stands for"),
        "missed_from": null_or(instant("The first of them")),
    }
)
SYNTAX = text("", "unix", "rust", "every")
_SCHEDULE = {
    "id": job_id(),
    "name": text(),
    "kind": text("", "schedule", "in_place"),
    "queue": text(),
    "schedule": text("Five fields, six or seven, a word such as @daily, or @every 2700s"),
    "syntax": null_or(SYNTAX),
    "words": null_or(text("The schedule in English")),
    "timezone": text(),
    "enabled": flag(),
    "changed_by": null_or(text()),
    "reason": null_or(text("Reason of the last change")),
    "next_run_at": null_or(instant("Null while it is disabled, and after its end")),
    "priority": PRIORITY,
    "max_attempts": count(),
    "timeout_seconds": null_or(count()),
    "overlap": text("skip, skip-tree or allow"),
    "catch_up": text("last, none or all"),
    "grace_seconds": count(),
    "jitter_seconds": count(),
    "starts_at": null_or(instant()),
    "ends_at": null_or(instant()),
    "last_run": null_or(RUN),
    "last_error": null_or(text("Why it could not enqueue a job")),
    "description": null_or(text()),
    "source": text("cli, file:NAME, code:MODULE:ATTRIBUTE, job:ID after cron convert, or job for a recurring job"),
    "created_at": null_or(instant()),
    "updated_at": null_or(instant()),
}
SCHEDULE = record(_SCHEDULE)
SCHEDULE_DETAILS = record(
    {
        **_SCHEDULE,
        "payload": anything(),
        "notes": list_of(text(), "Common mistakes that the expression may contain"),
        "next": list_of(instant()),
        "runs": record({"by_status": counts("Jobs of runs"), "skipped": count(), "missed": count()}),
        "last_runs": list_of(RUN),
    }
)
DUE = record(
    {
        "due_at": instant(),
        "local": text("Local time with its UTC offset"),
        "timezone": text(),
        "name": text(),
        "queue": text(),
    }
)
CHECKED = record(
    {
        "schedule": text(),
        "syntax": SYNTAX,
        "words": text(),
        "timezone": text(),
        "next": list_of(instant()),
        "notes": list_of(text()),
    }
)
STEP = record(
    {
        "name": text(),
        "action": text("", "create", "change", "keep", "remove"),
        "changes": list_of(record({"option": text(), "old": anything(), "new": anything()})),
        "kept": list_of(
            record({"option": text(), "declared": anything(), "value": anything()}),
            "Options that somebody changed by hand",
        ),
        "taken_from": null_or(text("The source that had the schedule")),
    }
)
GAP = record(
    {
        "due_at": instant(),
        "outcome": null_or(text("What had become of it: skipped, missed, or null without a run")),
        "job_id": null_or(job_id("Its new job; null with --dry-run")),
    }
)
TRIGGERED = record({"name": text(), "job_id": job_id(), "queue": text()})
