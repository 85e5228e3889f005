"""What the verbs of ``worker`` print."""

from hammerwork_cli.render.formats.json import UNKNOWN, WORKER_REQUESTS, WORKER_STATES
from hammerwork_cli.render.schemas.words import (
    count,
    flag,
    instant,
    job_id,
    list_of,
    null_or,
    number,
    record,
    seconds,
    text,
)

WORKER = {
    "id": job_id(),
    "name": text(),
    "state": text("", *WORKER_STATES, UNKNOWN),
    "host": text(),
    "pid": count(),
    "version": text(),
    "queues": list_of(text()),
    "handlers": list_of(text(), "Spawn handlers"),
    "concurrency": count("Most jobs at once"),
    "running": count("Jobs now"),
    "completed": count("Runs since its start"),
    "failed": count("Runs that failed since its start: attempts, which may have been made again"),
    "jobs_per_minute": null_or(number("Since its start")),
    "memory_bytes": null_or(count("Of its process and of those that run its handlers; null where it is not Linux")),
    "lease_seconds": seconds("Without a heartbeat, after which others take its jobs"),
    "silent_seconds": seconds("Since its last heartbeat, by the server's clock"),
    "started_at": null_or(instant()),
    "heartbeat_at": null_or(instant()),
    "ended_at": null_or(instant()),
    "up_seconds": null_or(seconds("From its start to its last heartbeat")),
    "request": null_or(text("What somebody asked it to do", *WORKER_REQUESTS, UNKNOWN)),
    "requested_by": null_or(text()),
}
RUNNING = record(
    {
        "id": job_id(),
        "queue": text(),
        "attempts": count(),
        "started_at": null_or(instant()),
        "running_seconds": null_or(seconds()),
    }
)
WORKER_STATUS = record({**WORKER, "jobs": list_of(RUNNING, "What it has taken, the longest first; at most 50")})
ASKED_WORKER = record(
    {
        "id": job_id(),
        "name": text(),
        "request": text("", "stop", "restart"),
        "state": text("", *WORKER_STATES, UNKNOWN),
        "asked": flag("False in a dry run"),
        "dry_run": flag(),
        "done": flag("It was waited for, and has ended or been restarted"),
        "successor": null_or(job_id("Who runs in its place after a restart")),
    }
)
WORKER_REPORT = record(
    {
        "completed": count("Runs"),
        "failed": count("Runs, timed out ones included"),
        "restart": flag("Somebody asked for it; the command begins again after this"),
        "unreturned": count("Runs that were given up and whose handlers had not returned"),
    }
)
