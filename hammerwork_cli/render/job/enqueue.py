"""A job that was enqueued, as a record."""

from hammerwork_cli.models import EnqueuedJob, rfc3339
from hammerwork_cli.render.formats.json import Record


def enqueued_record(job: EnqueuedJob) -> Record:
    """A job that was enqueued, as it is stored.

    Keys: ``id``, ``queue``, ``created`` (false when it was there already), ``status``, ``priority``,
    ``scheduled_at``, ``depends_on``, ``dependency_status``.
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
