"""What the verbs of ``worker`` print."""

from hammerwork_cli.models.worker import LeaseState
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
    "duties": list_of(text(), "Duties that it was the last to take: schedules, workflows, retention"),
    "concurrency": count("Most jobs at once"),
    "running": count("Jobs now"),
    "held_slots": null_or(count("Slots whose handler has not returned although its attempt is over; null before 026")),
    "completed": count("Completed attempts since its start"),
    "failed": count("Failed attempts since its start, retried ones included"),
    "jobs_per_minute": null_or(number("Rate since its start")),
    "memory_bytes": null_or(count("Memory of its process and those of its handlers; null except on Linux")),
    "lease_seconds": seconds("Time without a heartbeat before others take over"),
    "silent_seconds": seconds("Seconds since its last heartbeat, by the server's clock"),
    "started_at": null_or(instant()),
    "heartbeat_at": null_or(instant()),
    "ended_at": null_or(instant()),
    "main_stalled_seconds": null_or(seconds("Seconds for which its main loop has not gone round; null if it does")),
    "finisher_stalled_seconds": null_or(seconds("The same of the thread that writes outcomes")),
    "unwritten_outcomes": count("Outcomes that it cannot write, and keeps trying to"),
    "unwritten_seconds": null_or(seconds("Seconds since which it cannot; null if it can")),
    "unwritten_error": null_or(text("The last error")),
    "up_seconds": null_or(seconds("Seconds from its start to its last heartbeat")),
    "request": null_or(text("The open request to it", *WORKER_REQUESTS, UNKNOWN)),
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
WORKER_STATUS = record({**WORKER, "jobs": list_of(RUNNING, "Its claimed jobs, longest first; at most 50")})
LEASED_JOB = record(
    {
        "id": job_id(),
        "queue": text(),
        "worker": null_or(text("Null for workers of hammerwork (Rust), which do not register")),
        "attempts": count(),
        "started_at": null_or(instant()),
        "running_seconds": null_or(seconds()),
        "heartbeat_at": null_or(instant("Of the job")),
        "lease_expires_at": null_or(instant()),
        "lease": text("Whether somebody says that the job is still run", *LeaseState),
    }
)
ASKED_WORKER = record(
    {
        "id": job_id(),
        "name": text(),
        "request": text("", "stop", "restart"),
        "running": count("Jobs that it ran when it was asked"),
        "grace_seconds": null_or(seconds("What these have to finish; null for what it was started with")),
        "state": text("", *WORKER_STATES, UNKNOWN),
        "asked": flag("False in a dry run"),
        "dry_run": flag(),
        "done": flag("Whether it has stopped or restarted (--wait)"),
        "successor": null_or(job_id("Id of the worker in its place after a restart")),
    }
)
WORKER_REPORT = record(
    {
        "completed": count("Attempts"),
        "failed": count("Attempts, timed-out ones included"),
        "restart": flag("True when somebody asked for a restart; the command starts again after this"),
        "unreturned": count("Abandoned attempts whose handlers had not returned"),
        "unwritten": count("Outcomes that could not be written; these jobs run again if they have attempts left"),
    }
)
