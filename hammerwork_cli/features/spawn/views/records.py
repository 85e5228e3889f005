"""The shapes of spawn operations."""

from collections.abc import Callable
from operator import attrgetter

from hammerwork_cli.features.spawn.models.spawn import SpawnOperation, TreeCounts
from hammerwork_cli.features.tree.views.spawns import CHILD_COUNTS, RECORDED_SPAWN
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import MISSING, Shape

TREE_COUNTS = Shape[TreeCounts](
    {**CHILD_COUNTS.within("counts"), "more": key.flag("Whether there are more than were counted")}
)
"""All jobs below one."""


def _below(name: str) -> Callable[[SpawnOperation], object]:
    get = attrgetter(name)
    return lambda operation: get(operation.below) if operation.below else MISSING


_FAILED_BELOW = {
    "failed_below": key.count("Failed jobs on all levels below (--failed)").of(_below("jobs")),
    "more_failed_below": key.flag(
        "Whether there may be more failed jobs, because only the newest are read (--failed)"
    ).of(_below("more")),
    "newest_failure_at": key.null_or(key.instant("When the parent or a job below failed last (--failed)")).of(
        _below("newest_at")
    ),
    "newest_error": key.null_or(key.text("Error of that job (--failed)")).of(_below("newest_error")),
}
OPERATION = Shape[SpawnOperation](
    {
        "parent_id": key.job_id().of("parent.id"),
        "queue": key.text().of("parent.queue"),
        "status": key.status().of("parent.status"),
        "priority": key.priority().of("parent.priority"),
        "children": CHILD_COUNTS,
        "success_rate": key.null_or(key.rate("Completed among the ended children")),
        "spawned_at": key.null_or(key.instant("The first child")),
        "finished_at": key.null_or(key.instant("Null until all have ended")),
        "wall_time_seconds": key.null_or(key.measure()).of("wall_time"),
        "operation_id": key.null_or(key.text()),
        "handler": key.null_or(key.text()),
        "recorded": key.null_or(RECORDED_SPAWN.key("Its last spawn as a worker recorded it")),
        "spawn_config": key.spawn_config().of("parent.spawn_config"),
        "workflow_id": key.null_or(key.uuid()).of("parent.workflow_id"),
        "workflow_name": key.null_or(key.text()).of("parent.workflow_name"),
        "created_at": key.null_or(key.instant("When the parent was created")).of("parent.created_at"),
        "completed_at": key.null_or(key.instant("When the parent completed")).of("parent.completed_at"),
        **{name: one.optional for name, one in _FAILED_BELOW.items()},
        "tree": key.null_or(TREE_COUNTS.key("All jobs below it")).of(lambda _: MISSING).optional,
    },
    columns=(
        "parent_id",
        "queue",
        "status",
        "priority",
        "children.total",
        "children.completed",
        "children.failed",
        "children.running",
        "children.pending",
        "success_rate",
        "spawned_at",
        "finished_at",
        "wall_time_seconds",
        "operation_id",
        "handler",
        "recorded.id",
        "recorded.outcome",
        "recorded.error",
        "recorded.hook_error",
        "spawn_config",
        "workflow_id",
        "workflow_name",
        "created_at",
        "completed_at",
        "children.retrying",
        "children.cancelled",
    ),
)
TOPMOST_OPERATION = Shape[SpawnOperation]({**OPERATION.parts, "tree": OPERATION.parts["tree"].of("tree")})
"""The same with the counts of its whole tree."""
FAILED_OPERATION = Shape[SpawnOperation](OPERATION.parts, columns=(*OPERATION.columns, *_FAILED_BELOW))
"""The same with the columns of failures."""
