"""The shapes of an enqueued job, and of a line of a file that enqueues jobs."""

from typing import Any

from hammerwork_cli.features.job.models.job import EnqueuedJob
from hammerwork_cli.features.job.options import OPTION, OPTIONS
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Schema, Shape

ENQUEUED = Shape[EnqueuedJob](
    {
        "id": key.job_id(),
        "queue": key.text(),
        "created": key.flag("False when it existed already"),
        "status": key.status(),
        "priority": key.priority(),
        "scheduled_at": key.null_or(key.instant("Null when the row holds an unreadable value")),
        "depends_on": key.list_of(key.job_id()),
        "dependency_status": key.dependency_status(),
    }
)
JOB_LINE: Schema = {
    **Shape[Any]({name: one.optional for name in OPTIONS if (one := OPTION[name].kind.line)}).schema,
    "additionalProperties": False,
}
