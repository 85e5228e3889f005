"""What ``spawn rehearse`` prints."""

from hammerwork_cli.render.schemas.jobs import PRIORITY
from hammerwork_cli.render.schemas.words import (
    anything,
    count,
    counts,
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

_BY_QUEUE = record({"queue": text(), "jobs": count(), "bytes": count("Bytes of their payloads")})

REHEARSAL = record(
    {
        "job": null_or(job_id("Null for a job that was only described")),
        "queue": text(),
        "handler": null_or(text("Name of the spawn handler; null if none was found")),
        "children": count("Children on all levels"),
        "early": count("Children of the job by key"),
        "bytes": count("Bytes of all payloads"),
        "complete": flag("Whether the handlers were read to their end"),
        "seconds": seconds("Run time of the handlers"),
        "levels": list_of(
            record(
                {
                    "level": count("1 for the children of the job"),
                    "parents": count("Jobs whose spawn handlers ran"),
                    "children": count(),
                    "by_queue": list_of(_BY_QUEUE),
                }
            )
        ),
        "shape": record(
            {
                "after_parent": count("Children of the job that wait for no sibling"),
                "after_siblings": count("Those that do"),
                "after_others": count("Those that wait for other jobs too"),
                "longest_chain": count("Most children that run one after the other"),
            }
        ),
        "limits": list_of(
            record(
                {
                    "limit": text("", "max_spawn_count", "max_depth", "max_descendants"),
                    "allowed": null_or(number("Null without a limit")),
                    "used": count(),
                    "left": null_or(number("Negative if it would be passed")),
                }
            ),
            "The parent with the least room",
        ),
        "enqueued": counts("Jobs that are not children, by queue"),
        "first": list_of(
            record(
                {
                    "id": job_id(),
                    "queue": text(),
                    "key": null_or(text("Key of an early child")),
                    "priority": PRIORITY,
                    "scheduled_at": null_or(instant()),
                    "depends_on": list_of(job_id()),
                    "payload": anything(),
                }
            ),
            "The first 20 children of the job",
        ),
        "failures": list_of(
            record(
                {
                    "level": count("1 for the job itself"),
                    "queue": text("Queue of the parent"),
                    "parents": count("Jobs that failed so"),
                    "code": text(),
                    "message": text(),
                    "hint": null_or(text()),
                }
            ),
            "10 at most",
        ),
    }
)
