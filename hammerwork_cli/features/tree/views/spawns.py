"""The shapes of the children of a job: their counts, and a spawn as its worker recorded it."""

from hammerwork_cli.core.values import WAITING, Counts, JobStatus
from hammerwork_cli.features.tree.model import RecordedSpawn
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape

SPAWN_OUTCOMES = ("spawned", "failed", "repeated")
CHILD_COUNTS = Shape[Counts](
    {
        "total": key.count("All, including Archived jobs and unknown statuses, which are in no other count"),
        "completed": key.count().of(lambda counts: counts.of(JobStatus.COMPLETED)),
        "failed": key.count("Failed, Dead and TimedOut"),
        "running": key.count().of(lambda counts: counts.of(JobStatus.RUNNING)),
        "pending": key.count("Pending and Retrying").of(lambda counts: counts.of(*WAITING)),
        "retrying": key.count("The part of pending that waits for another attempt after one failed"),
        "cancelled": key.count(),
    }
)
RECORDED_SPAWN = Shape[RecordedSpawn](
    {
        "id": key.uuid(),
        "operation_id": key.null_or(key.text("Operation id, where the configuration names one")),
        "handler": key.null_or(key.text()),
        "outcome": key.word(
            "failed: the parent completed without children; repeated: it was allowed to spawn again", *SPAWN_OUTCOMES
        ),
        "children": key.count(),
        "error": key.null_or(key.text("Why nothing was spawned")),
        "hook_error": key.null_or(key.text("The error of on_spawn_complete")),
        "worker_id": key.null_or(key.uuid()),
        "request_id": key.null_or(key.uuid("Id of the request that it fulfilled")),
        "started_at": key.null_or(key.instant()),
        "ended_at": key.null_or(key.instant()),
    }
)
