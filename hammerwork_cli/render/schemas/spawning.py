"""What the verbs of ``spawn`` print."""

from hammerwork_cli.render.attempts import ATTEMPT_HISTORY, OUTCOMES
from hammerwork_cli.render.formats.json import UNKNOWN, WORKER_STATES
from hammerwork_cli.render.formats.shape import described
from hammerwork_cli.render.queue.listing import QUEUE_JOBS, SERVING
from hammerwork_cli.render.schemas.jobs import (
    CONFIG,
    NAMED,
    PRIORITY,
    RECORDED_SPAWN,
    RELATIVE,
    STATUS,
)
from hammerwork_cli.render.schemas.words import (
    OF_QUEUES,
    count,
    counts,
    flag,
    instant,
    job_id,
    list_of,
    null_or,
    number,
    rate,
    record,
    seconds,
    text,
    without,
)
from hammerwork_cli.render.spawn.records import CHILD_COUNTS, TREE_COUNTS
from hammerwork_cli.render.tree.json import NODE

FAILED_BELOW = {
    "failed_below": count("Failed jobs on all levels below (--failed)"),
    "more_failed_below": flag("Whether there may be more failed jobs, because only the newest are read (--failed)"),
    "newest_failure_at": null_or(instant("When the parent or a job below failed last (--failed)")),
    "newest_error": null_or(text("Error of that job (--failed)")),
}
OPERATION = record(
    {
        "parent_id": job_id(),
        "queue": text(),
        "status": STATUS,
        "priority": PRIORITY,
        "children": CHILD_COUNTS.schema,
        "success_rate": null_or(rate("Completed among the ended children")),
        "spawned_at": null_or(instant("The first child")),
        "finished_at": null_or(instant("Null until all have ended")),
        "wall_time_seconds": null_or(number()),
        "operation_id": null_or(text()),
        "handler": null_or(text()),
        "recorded": null_or(record(RECORDED_SPAWN, "Its last spawn as a worker recorded it")),
        "spawn_config": CONFIG,
        "workflow_id": null_or(job_id()),
        "workflow_name": null_or(text()),
        "created_at": null_or(instant("When the parent was created")),
        "completed_at": null_or(instant("When the parent completed")),
        **FAILED_BELOW,
        "tree": null_or(described(TREE_COUNTS.schema, "All jobs below it")),
    },
    optional=frozenset({*FAILED_BELOW, "tree"}),
)
GROUP = {
    "name": text("Name of the queue or handler"),
    "operations": count(),
    "children": count(),
    "average": null_or(number("Children per operation")),
    "largest": count("Children of the largest operation"),
    "completed": count(),
    "ended": count(),
    "success_rate": null_or(rate()),
    "failed": count("Failed, Dead and TimedOut"),
    "cancelled": count(),
    "retrying": count("Children that wait for another attempt after one failed"),
}
SPAWN_STATS = record(
    {
        "since": null_or(instant()),
        **OF_QUEUES,
        **without(GROUP, "name"),
        "empty": count("Completed parents without a child"),
        "recent": count("Operations of the last hour"),
        "depth": count("Levels below the topmost parent"),
        "p50_seconds": null_or(seconds("Run time of completed children; of more than 2,000, that of a sample")),
        "p95_seconds": null_or(seconds()),
        "timed": count("Children that p50_seconds and p95_seconds are of"),
        "by_queue": null_or(list_of(record(GROUP), "Figures of each queue (--detailed)")),
        "by_handler": null_or(list_of(record(GROUP), "Figures of each handler (--detailed)")),
        "slowest": null_or(list_of(OPERATION, "The slowest operations (--detailed)")),
    }
)
PENDING = record(
    {
        "reason": text("", "asked_again", "will_spawn", "never_spawned", "waiting", "stuck"),
        "waits_for": counts("The jobs it depends on, by status"),
        **NODE.schema["properties"],
    }
)
HOLD = {
    "id": job_id(),
    "reason": text("Why it waits"),
    "parents": {"type": "object", "additionalProperties": {"type": ["string", "null"]}, "description": "Id -> status"},
}
WAIT = record(
    {
        "job": job_id(),
        "roots": list_of(job_id()),
        "outcome": text("", "completed", "failed", "stuck", "timeout"),
        "jobs": count(),
        "counts": counts("Jobs by status"),
        "open": count("Unfinished jobs"),
        "failed": list_of(record(RELATIVE), "The first of them"),
        "stuck": count("Jobs that can never run"),
        "holds": list_of(record(HOLD), "The first of these"),
        "waited_seconds": seconds(),
    }
)
FAILED = record(
    {
        **NAMED,
        "attempts": count(),
        "error": null_or(text()),
        "path": list_of(record(NAMED), "The jobs from the root to this one"),
        "attempt_history": ATTEMPT_HISTORY.schema,
    }
)
FAILURES = record(
    {
        "error": null_or(text()),
        "count": count(),
        "archived": count("Archived jobs among them"),
        "statuses": counts("Jobs by status"),
        "queues": counts("Jobs by queue"),
        "jobs": list_of(FAILED, "The first of them"),
    }
)
DELAY = record(
    {
        "reason": text(
            "",
            "long_running",
            "silent_worker",
            "misspelt_status",
            "barred",
            "encrypted",
            "disabled",
            "retrying",
            "ready",
            "scheduled",
            "running",
        ),
        "queue": text(),
        "jobs": count(),
        "at": null_or(instant("Earliest time at which one of them may run, or has been running since")),
        "error": null_or(text("Error of the last attempt")),
        "last_attempt": null_or(
            text("How the last attempt ended, where a job waits for another one, as far as it is known", *OUTCOMES)
        ),
        "last_worker": null_or(text("The worker of the last attempt, while its name is known")),
        "paused": flag(),
        "workers": SERVING.schema,
        "first": record(
            {
                **NAMED,
                "attempts": count(),
                "max_attempts": count(),
                "worker": null_or(text("The worker that has claimed it; null for a Rust worker")),
            },
            "The job with the earliest time",
        ),
    }
)
WHY = record(
    {
        "job": record(NAMED),
        "jobs": count("The job and its descendants"),
        "counts": counts("The jobs by status"),
        "failed": flag("Whether a failure was found"),
        "groups": list_of(FAILURES, "The deepest failures by error"),
        "consequences": count("Further failed jobs"),
        "above": list_of(FAILED, "Failures outside the tree that affect it"),
        "waiting": count(),
        "stuck": count("Those that can never run"),
        "holds": list_of(record({**HOLD, "queue": null_or(text())}), "The first waiting jobs"),
        "under_way": list_of(
            record({"queue": text(), "counts": counts("Jobs by status"), "paused": flag(), "workers": SERVING.schema}),
            "Unfinished jobs that wait for no other job, by queue",
        ),
        "delays": list_of(DELAY, "Unfinished jobs by reason, queue and error; most serious first"),
        "never_spawned": list_of(
            record({"id": job_id(), "queue": text(), "why": null_or(text("As far as known"))}),
            "The first completed jobs that carry a spawn configuration and have no children",
        ),
        "next": list_of(text(), "Commands"),
    }
)
ERROR_GROUP = record(
    {
        "error": null_or(text("Error of the newest job")),
        "pattern": null_or(text("The error with * for what differs: numbers, ids, quoted texts, addresses")),
        "jobs": count(),
        "by_status": counts("The jobs by status; those that are Retrying have attempts left"),
        "queues": list_of(text(), "Queues, the one with the most jobs first"),
        "trees": null_or(count("Null if these are too many to count")),
        "first_at": null_or(instant()),
        "last_at": null_or(instant()),
        "job_id": job_id("The newest job"),
        "path": list_of(record(NAMED), "The jobs from the root to the newest job"),
        "retry": null_or(text("The command that retries the jobs")),
    }
)
ERRORS = record(
    {
        **OF_QUEUES,
        "since": null_or(instant("Null for no limit")),
        "jobs": count("Jobs whose last attempt failed"),
        "by_status": counts("The jobs by status"),
        "consequences": count("Further jobs that failed only because of these"),
        "archived": count("Archived jobs that failed, which no group has"),
        "groups": list_of(ERROR_GROUP, "The most frequent errors"),
        "more_groups": count("Further errors"),
    }
)
MONITOR = record(
    {
        "at": instant("The time of the server's clock"),
        **OF_QUEUES,
        "seconds": seconds("Window of the next four"),
        "enqueued": count("Jobs"),
        "started": count("Jobs, without those that already wait for another attempt"),
        "completed": count("Jobs"),
        "failed": count("Failed, Dead and TimedOut jobs"),
        "pending": count("Pending and Retrying; above 10,000 as of the last count by queue"),
        "retrying": count("The part of pending that waits for another attempt, as far as it was read"),
        "failed_attempts_per_second": null_or(number("Rate of the recorded workers lately; null at first")),
        "running": count("Counts at most 1,000"),
        "more_pending": flag("Whether the count is a lower bound"),
        "more_running": flag("The same"),
        "operations": list_of(
            record(
                {
                    "parent_id": job_id(),
                    "queue": text(),
                    "status": STATUS,
                    "operation_id": null_or(text()),
                    "spawned_at": null_or(instant("The first child")),
                    "children": record(
                        {
                            "total": null_or(count("Null, like the others, without the indexes of `migration run`")),
                            "completed": null_or(count()),
                            "failed": null_or(count("Failed, Dead and TimedOut")),
                            "running": count(),
                            "pending": null_or(count("Pending and Retrying")),
                            "retrying": null_or(count()),
                            "cancelled": null_or(count()),
                        }
                    ),
                    "running": count("Jobs of its tree that are known to run"),
                    "seconds_left": null_or(number("At the present rate; null while that is unknown")),
                    "below": null_or(
                        described(
                            CHILD_COUNTS.schema, "All jobs of its tree except itself; null where there are too many"
                        )
                    ),
                }
            ),
            "Topmost operations with unfinished jobs, and once more after the last has finished",
        ),
        "failures": list_of(
            record({**RELATIVE, "failed_at": null_or(instant())}), "The newest, without those of earlier documents"
        ),
        "retries": list_of(
            record({**NAMED, "attempts": count(), "error": null_or(text())}), "The retrying jobs that are due first"
        ),
        "workers": null_or(
            list_of(
                record(
                    {
                        "name": text(),
                        "queues": list_of(text()),
                        "state": text("", *WORKER_STATES, UNKNOWN),
                        "running": count("Jobs"),
                        "concurrency": count(),
                        "completed": count("Jobs that it has completed since it started"),
                        "failed": count("Failed attempts since its start, retried ones included"),
                    }
                ),
                "Null where the database has no table of them",
            )
        ),
        "queues": list_of(
            record(
                {
                    "queue": text(),
                    "counted_at": instant("A large database is not counted at each refresh"),
                    "paused": flag(),
                    "ready": QUEUE_JOBS.schema["properties"]["ready"],
                    "scheduled": QUEUE_JOBS.schema["properties"]["scheduled"],
                    "waiting": QUEUE_JOBS.schema["properties"]["waiting"],
                    "running": count(),
                    "workers": SERVING.schema,
                    "completed": count("Jobs that completed in the last hour"),
                    "failed": count("Jobs that failed in the last hour"),
                    "failure_rate": null_or(rate("Null when no job ended")),
                    "completed_per_minute": number(),
                    "backlog_seconds": null_or(
                        seconds("Until the ready jobs have ended at the rate since the first one completed in the hour")
                    ),
                }
            ),
            "Those with open jobs, and paused ones, the most ready jobs first; at most 1,000,000 open jobs are counted",
        ),
    }
)
FINDING = record(
    {
        "kind": text("The kind of damage"),
        "jobs": count(),
        "severity": text("", "damage", "note"),
        "mendable": flag("Whether --fix repairs it"),
        "mended": count(),
        "left": count(),
        "what": text(),
        "remedy": text(),
        "examples": list_of(
            record({**NAMED, "queue": null_or(text("Null of a job that is gone")), "detail": null_or(text())}),
            "The oldest; status as the row spells it",
        ),
    }
)
