"""What the verbs of ``monitor`` print."""

from hammerwork_cli.models.monitor.health import CheckName, Level
from hammerwork_cli.render.attempts import OUTCOMES
from hammerwork_cli.render.formats.json import UNKNOWN
from hammerwork_cli.render.monitor.health import UNITS
from hammerwork_cli.render.monitor.logs import KINDS
from hammerwork_cli.render.queue.listing import QUEUE
from hammerwork_cli.render.schemas.words import (
    OF_QUEUES,
    count,
    counts,
    instant,
    job_id,
    list_of,
    null_or,
    number,
    rate,
    record,
    seconds,
    text,
    with_fields,
)
from hammerwork_cli.render.spawn.records import SPAWN_STATS

_LEVEL = text("", *Level)
CHECK_OUTCOME = record(
    {
        "check": text("", *UNITS, CheckName.WRITES, CheckName.UPKEEP),
        "status": _LEVEL,
        "value": null_or(number("Null when there is nothing to measure")),
        "limit": null_or(number("Null without a limit")),
        "unit": null_or(text("Unit of value and limit", *dict.fromkeys(UNITS.values()))),
        "about": list_of(text(), "Queues, workers, migrations or jobs, the worst first"),
        "message": text("A sentence for people; its words may change"),
        "hint": null_or(text("The next step: a command, or a sentence after an error; null while it is healthy")),
    }
)
HEALTH_REPORT = record(
    {
        "status": text("The worst of the checks", *Level),
        "checked_at": instant(),
        "checks": list_of(CHECK_OUTCOME),
    }
)
METRICS = record(
    {
        "checked_at": instant(),
        "window_seconds": seconds("Length of --period"),
        **OF_QUEUES,
        "queues": list_of(
            with_fields(
                QUEUE.schema,
                {
                    "completed": count("Jobs that completed in the window"),
                    "failed": count("Jobs that failed in the window"),
                    "failure_rate": null_or(rate("Null when no job ended")),
                    "completed_per_minute": number(),
                    "backlog_seconds": null_or(
                        seconds(
                            "Until the ready jobs have ended at the rate since the first one completed in the window"
                        )
                    ),
                },
            )
        ),
        "workers": null_or(
            counts("Workers by state, with those lost in the last hour; null where workers are not recorded")
        ),
        "spawning": SPAWN_STATS.schema,
    }
)
EVENT = record(
    {
        "at": instant(),
        "event": text("", *KINDS),
        "job_id": job_id(),
        "queue": null_or(text("Null when the job is gone")),
        "attempt": null_or(count("Its number")),
        "seconds": null_or(seconds("Length of the attempt, or of the spawning")),
        "worker": null_or(text("Name of the worker, for an attempt that is followed by another")),
        "outcome": null_or(text("Outcome of such an attempt", *OUTCOMES, UNKNOWN)),
        "children": null_or(count("Spawned jobs")),
        "error": null_or(text("Its beginning")),
    }
)
