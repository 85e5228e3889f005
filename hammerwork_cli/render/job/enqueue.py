"""The shape of an enqueued job."""

from hammerwork_cli.models import EnqueuedJob
from hammerwork_cli.render.formats import key
from hammerwork_cli.render.formats.shape import Shape

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
