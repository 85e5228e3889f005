"""The shapes of figures of spawn operations."""

from hammerwork_cli.features.spawn.models.stats import SpawnGroup, SpawnStats
from hammerwork_cli.features.spawn.views.records import OPERATION
from hammerwork_cli.view import key, names
from hammerwork_cli.view.shape import Shape

GROUP = Shape[SpawnGroup](
    {
        "name": key.text("Name of the queue or handler"),
        "operations": key.count(),
        "children": key.count(),
        "average": key.null_or(key.number("Children per operation")),
        "largest": key.count("Children of the largest operation"),
        "completed": key.count(),
        "ended": key.count(),
        "success_rate": key.null_or(key.rate()),
        "failed": key.count("Failed, Dead and TimedOut"),
        "cancelled": key.count(),
        "retrying": key.count("Children that wait for another attempt after one failed"),
    }
)
SPAWN_STATS = Shape[SpawnStats](
    {
        "since": key.null_or(key.instant()),
        **names.OF_QUEUES,
        **GROUP.within("overall", *GROUP.without("name")),
        "empty": key.count("Completed parents without a child"),
        "recent": key.count("Operations of the last hour"),
        "depth": key.count("Levels below the topmost parent"),
        "p50_seconds": key.null_or(
            key.seconds("Run time of completed children; of more than 2,000, that of a sample")
        ).of("p50"),
        "p95_seconds": key.null_or(key.seconds()).of("p95"),
        "timed": key.count("Children from which p50_seconds and p95_seconds come"),
        "by_queue": key.null_or(key.list_of(GROUP, "Figures of each queue (--detailed)")),
        "by_handler": key.null_or(key.list_of(GROUP, "Figures of each handler (--detailed)")),
        "slowest": key.null_or(key.list_of(OPERATION, "The slowest operations (--detailed)")),
    }
)
