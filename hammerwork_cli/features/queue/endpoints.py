"""The endpoints that read queues, workers and the server itself."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hammerwork_cli.features.monitor.models.health import USUAL_LIMITS
from hammerwork_cli.features.monitor.queries import health as checks
from hammerwork_cli.features.monitor.views.health import HEALTH_REPORT
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.views.listing import QUEUE as QUEUE_SHAPE
from hammerwork_cli.features.queue.views.stats import QUEUE_STATS
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.views import WORKER
from hammerwork_cli.version import __version__
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import (
    HOURS,
    QUEUE,
    QUEUE_NAME,
    limit,
    start_of,
    within,
)


def queue_list(call: Call) -> Answer:
    """Answers as ``queue list``."""
    return Answer(QUEUE_SHAPE.records(queues.states(call.database, now=call.now)))


def queue(call: Call) -> Answer:
    """Answers as ``queue stats QUEUE --detailed``."""
    window = timedelta(hours=call.values["hours"])
    found = queues.stats(call.database, now=call.now, queue=call.values["name"], window=window)
    return Answer(QUEUE_STATS.record(found))


def worker_list(call: Call) -> Answer:
    """Answers as ``worker list``."""
    wanted = call.values
    now = call.database.now()
    found = registry.listed(call.database, since=start_of(now, wanted["since"]), now=now)
    chosen = [worker for worker in found if worker.serves(wanted["queue"])]
    return Answer(WORKER.records(chosen[: wanted["limit"]]))


def health(call: Call) -> Answer:
    """Answers as ``monitor health``."""
    now = call.database.now()
    return Answer(HEALTH_REPORT.record(checks.report(call.database, USUAL_LIMITS, now=now)))


def about(call: Call) -> Answer:
    """Answers with the version and the options of the server."""
    return Answer(
        {
            "version": __version__,
            "database": call.database.server,
            "read_only": call.settings.read_only,
            "redacted": call.settings.redact,
        }
    )


ENDPOINTS = (
    Endpoint("GET", "/api/queues", queue_list, "Every queue that has jobs or is paused.", "queue-list"),
    Endpoint(
        "GET",
        "/api/queues/{name}",
        queue,
        "Statistics of a queue.",
        "queue-stats",
        (QUEUE_NAME, replace(HOURS, default=1.0)),
        refusals=(404,),
    ),
    Endpoint(
        "GET",
        "/api/workers",
        worker_list,
        "Workers that run or stopped recently, newest first.",
        "worker-list",
        (
            limit(100),
            QUEUE,
            within("Of stopped workers, only those", "1h"),
        ),
    ),
    Endpoint(
        "GET",
        "/api/health",
        health,
        "What is wrong now: each check with the next step.",
        "monitor-health",
        is_kept=True,
    ),
    Endpoint(
        "GET",
        "/api/about",
        about,
        "The version and the options of this server.",
        Shape[Any](
            {
                "version": key.text("Version of the server"),
                "database": key.text("Product and version of the database"),
                "read_only": key.flag("Whether the server refuses changes"),
                "redacted": key.flag("Whether payloads, results, errors and the like are hidden"),
            }
        ).schema,
    ),
)
