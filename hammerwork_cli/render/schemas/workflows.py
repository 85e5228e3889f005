"""What the verbs of ``workflow`` print."""

from hammerwork_cli.render.schemas.batches import CONTENTS
from hammerwork_cli.render.schemas.jobs import IN_TREE
from hammerwork_cli.render.schemas.spawning import EDGE
from hammerwork_cli.render.schemas.words import (
    count,
    flag,
    instant,
    job_id,
    list_of,
    null_or,
    record,
    seconds,
    text,
    with_fields,
)

WORKFLOW = record(
    {
        "id": job_id(),
        "name": text(),
        "status": text("", "running", "completed", "failed", "cancelled", "gone"),
        "failure_policy": text("", "fail_fast", "continue_on_failure", "ignore_failures", "manual"),
        "needs_decision": flag("Whether a job has failed and the policy leaves what follows to people"),
        "jobs": count(),
        "completed": count(),
        "failed": count("Failed, Dead, TimedOut and Cancelled"),
        "running": count(),
        "pending": count("Pending and Retrying"),
        "waiting": count("The part of pending that waits for other jobs"),
        "created_at": null_or(instant()),
        "ended_at": null_or(instant("When the last job ended; null while one is open")),
        "seconds": null_or(seconds("From its creation to its end")),
    }
)
WORKFLOW_DETAILS = with_fields(WORKFLOW, CONTENTS)
WORKFLOW_GRAPH = record(
    {
        "id": job_id(),
        "name": text(),
        "roots": list_of(job_id(), "Jobs that depend on no other job of it"),
        "nodes": list_of(record(IN_TREE), "Parents first"),
        "edges": list_of(EDGE),
        "truncated": flag("Whether it has more jobs than were read"),
    }
)
