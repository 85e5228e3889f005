"""What the verbs of ``batch`` print."""

from hammerwork_cli.render.schemas.jobs import CALLBACK
from hammerwork_cli.render.schemas.words import (
    anything,
    count,
    counts,
    instant,
    job_id,
    list_of,
    null_or,
    record,
    text,
    with_fields,
)

BATCH = record(
    {
        "id": job_id(),
        "name": text(),
        "status": text("", "Pending", "Processing", "Completed", "PartiallyFailed", "Failed", "Gone"),
        "jobs": count("Jobs that it was enqueued with"),
        "completed": count(),
        "failed": count("Failed, Dead, TimedOut and Cancelled"),
        "running": count(),
        "pending": count("Pending and Retrying"),
        "gone": count("Deleted"),
        "failure_mode": text("ContinueOnError, FailFast or CollectErrors; other programs may write more"),
        "created_at": null_or(instant()),
    }
)
CONTENTS = {
    "by_status": counts("Jobs by status, archived ones too"),
    "queues": list_of(record({"queue": text(), "by_status": counts("Jobs by status")})),
    "errors": list_of(
        record(
            {
                "error": null_or(text("Error of the newest job; null without one")),
                "pattern": null_or(text("The error with * for what varies")),
                "jobs": count(),
                "by_status": counts("Jobs by status"),
                "job_id": job_id("The newest job"),
            }
        ),
        "The largest first",
    ),
    "more_errors": count("Further errors"),
    "consequences": count("Other jobs, which failed because a job that they depend on failed"),
    "metadata": anything("Any JSON"),
    "callbacks": list_of(CALLBACK, "What is enqueued at its end"),
}
BATCH_DETAILS = with_fields(BATCH, CONTENTS)
