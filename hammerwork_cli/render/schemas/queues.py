"""What the verbs of ``queue`` print."""

from hammerwork_cli.render.schemas.jobs import PRIORITY, STATUS
from hammerwork_cli.render.schemas.words import (
    count,
    counts,
    flag,
    instant,
    list_of,
    null_or,
    number,
    rate,
    record,
    seconds,
    text,
)

QUEUE_JOBS = {
    "total": count(),
    "by_status": counts("Every known status, then unknown words"),
    "ready": count("Pending jobs that a worker may claim now"),
    "scheduled": count("Pending jobs that are not due yet, or whose schedule is disabled"),
    "waiting": count("Pending jobs that wait for other jobs"),
    "oldest_pending_at": null_or(instant("Time at which the first ready job became due")),
    "oldest_pending_seconds": null_or(seconds()),
}
SERVING = null_or(
    count("Running workers that serve the queue, without Rust workers; null where workers are not recorded")
)
QUEUE = record(
    {
        "queue": text(),
        "paused": flag(),
        **QUEUE_JOBS,
        "workers": SERVING,
        "paused_at": null_or(instant()),
        "paused_by": null_or(text()),
        "paused_reason": null_or(text()),
    }
)
QUEUE_STATS = record(
    {
        "queue": null_or(text("Null for all")),
        "checked_at": instant(),
        **QUEUE_JOBS,
        "paused_queues": list_of(text()),
        "window_seconds": null_or(seconds("Length of the window; this key and those below only with --detailed")),
        "completed": null_or(count("Jobs that completed in the window")),
        "failed": null_or(count("Jobs that failed in the window")),
        "failure_rate": null_or(rate()),
        "completed_per_minute": null_or(number()),
        "backlog_seconds": null_or(
            seconds("Until the ready jobs have ended at the rate since the first one completed in the window")
        ),
        "p50_seconds": null_or(seconds("Run time of the jobs that completed in the window")),
        "p95_seconds": null_or(seconds()),
        "mean_seconds": null_or(seconds("Run time of handlers on average, as running workers measured it")),
        "by_priority": null_or(list_of(record({"status": STATUS, "priority": PRIORITY, "jobs": count()}))),
    }
)
CHECK = record(
    {
        "queue": text(),
        "check": text("", "pending", "pending_age", "running_age", "waiting_age", "retrying", "failed", "failure_rate"),
        "value": null_or(number("Null when there is nothing to measure")),
        "limit": null_or(number("Null when the check is off")),
        "unit": text("", "jobs", "seconds", "rate"),
        "status": text("", "ok", "exceeded", "off"),
    }
)
VERDICT = text("", "ok", "unhealthy")
HEALTH = record(
    {
        "status": VERDICT,
        "checked_at": instant(),
        "queues": list_of(
            record(
                {
                    "queue": text(),
                    "status": VERDICT,
                    "paused": flag(),
                    "workers": SERVING,
                    "checks": list_of(CHECK),
                }
            ),
        ),
    }
)
PAUSE = {
    "queue": text(),
    "paused_at": null_or(instant()),
    "paused_by": null_or(text()),
    "reason": null_or(text()),
}
PAUSE_CHANGE = record(
    {
        "paused": flag("Afterwards"),
        "changed": flag(),
        "has_jobs": flag("False may mean that the name is misspelled"),
        "dry_run": flag(),
        **PAUSE,
    }
)
