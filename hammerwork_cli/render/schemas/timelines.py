"""What ``spawn timeline`` and ``spawn compare`` print."""

from hammerwork_cli.models.spawning.timeline import PARTS
from hammerwork_cli.render.schemas.jobs import STATUS
from hammerwork_cli.render.schemas.words import (
    Schema,
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

_ABOUT = {
    "spawning": "Its parent had ended, and it was not created yet",
    "blocked": "It waited for other jobs",
    "delayed": "It waited for its date",
    "queued": "It waited for a worker",
    "retrying": "From its first attempt to its last",
    "running": "The last attempt",
    "unknown": "Times that are missing or contradict each other",
}


def _parts(about: str) -> Schema:
    return record({part: seconds(_ABOUT[part]) for part in PARTS}, about)


_QUEUE = record(
    {
        "queue": text(),
        "jobs": count(),
        "failed": count(),
        "ran_seconds": seconds("All jobs together"),
        "queued_p50_seconds": null_or(seconds("Median time until the first attempt, where it is known")),
        "queued_p95_seconds": null_or(seconds()),
        "ran_p50_seconds": null_or(seconds("Jobs that have ended")),
        "ran_p95_seconds": null_or(seconds()),
    }
)
TIMELINE = record(
    {
        "root": job_id("The first root"),
        "job": job_id("The job that was asked for"),
        "jobs": count(),
        "open": count("Jobs that have not ended"),
        "unknown": count("Jobs that are left out: their times are missing or contradict each other"),
        "started_at": null_or(instant("Creation of the root; null if no time is known")),
        "ended_at": null_or(instant("The last end; the present while jobs are open")),
        "seconds": seconds("Seconds from the one to the other"),
        "parts": _parts("Seconds of the critical path; they add up to the whole"),
        "without_queueing_seconds": seconds("Seconds with a worker for every job"),
        "job_seconds": _parts("Seconds of all jobs together"),
        "critical_path": list_of(
            record(
                {
                    "id": null_or(job_id("Null for the time that is unknown")),
                    "queue": null_or(text()),
                    "status": null_or(STATUS),
                    "seconds": seconds("Seconds until it hands over to the next"),
                    "parts": _parts("Parts of the time until it hands over to the next"),
                    "started_at": null_or(instant("Start of its last attempt")),
                    "ended_at": null_or(instant()),
                }
            ),
            "The jobs from the root to the one that ended last",
        ),
        "by_queue": list_of(_QUEUE, "The longest run time first"),
        "siblings": null_or(
            list_of(
                record(
                    {
                        "parent": null_or(job_id("Null for roots")),
                        "queue": text(),
                        "depth": count("Levels below the root"),
                        "jobs": count(),
                        "failed": count(),
                        "open": flag("Whether one of them has not ended"),
                        "ran_seconds": seconds("All together"),
                        "ready_at": null_or(instant("The first to be ready")),
                        "started_at": null_or(instant("The first start")),
                        "ended_at": null_or(instant("The last end, or the present")),
                    }
                ),
                "The children of each parent in each queue (--all)",
            )
        ),
    }
)
_COMPARED = record(
    {
        "root": job_id("The first root"),
        "job": job_id("The job that was asked for"),
        "jobs": count(),
        "counts": counts("Jobs by status"),
        "failed": count(),
        "open": count("Jobs that have not ended"),
        "unknown": count("Jobs that are left out"),
        "started_at": null_or(instant()),
        "ended_at": null_or(instant()),
        "seconds": seconds(),
        "without_queueing_seconds": seconds(),
        "parts": _parts("Seconds of the critical path"),
        "job_seconds": _parts("Seconds of all jobs together"),
        "path": list_of(null_or(text()), "Queues along the critical path; null for time that is unknown"),
    }
)
COMPARISON = record(
    {
        "a": _COMPARED,
        "b": _COMPARED,
        "change": null_or(number("How much longer B took: 0.2 for 20%; null if A took no time")),
        "fail_above": null_or(number("As given")),
        "exceeded": flag("Whether B took longer than A by more than that"),
        "difference_seconds": record({part: number() for part in PARTS}, "What B's critical path has more"),
        "by_queue": list_of(
            record(
                {
                    "queue": text(),
                    "state": text("new in B, gone from it, or in both", "both", "new", "gone"),
                    "a": null_or(_QUEUE),
                    "b": null_or(_QUEUE),
                }
            ),
            "The largest difference of run times first",
        ),
    }
)
