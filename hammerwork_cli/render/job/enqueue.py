"""An enqueued job as a record."""

from hammerwork_cli.models import EnqueuedJob, rfc3339
from hammerwork_cli.render.formats.json import Record

ENQUEUED_KEYS = (
    "id",
    "queue",
    "created",
    "status",
    "priority",
    "scheduled_at",
    "depends_on",
    "dependency_status",
)


def enqueued_record(job: EnqueuedJob) -> Record:
    """An enqueued job as it is stored.

    Keys: ``id``, ``queue``, ``created`` (false if it existed before), ``status``, ``priority``, ``scheduled_at``,
    ``depends_on``, ``dependency_status``.
    """
    return {
        "id": job.id,
        "queue": job.queue,
        "created": job.created,
        "status": job.status,
        "priority": job.priority,
        "scheduled_at": rfc3339(job.scheduled_at),
        "depends_on": list(job.depends_on),
        "dependency_status": job.dependency_status,
    }
