"""The endpoints about queues."""

from dataclasses import replace
from datetime import timedelta

from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.views.changes import PAUSE_CHANGE, Switching
from hammerwork_cli.features.queue.views.listing import QUEUE as QUEUE_SHAPE
from hammerwork_cli.features.queue.views.stats import QUEUE_STATS
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import HOURS, QUEUE_NAME, REASON, body


def queue_list(call: Call) -> Answer:
    return Answer(QUEUE_SHAPE.records(queues.states(call.database, now=call.now)))


def queue(call: Call) -> Answer:
    """Answers as ``queue stats QUEUE --detailed``."""
    window = timedelta(hours=call.values["hours"])
    found = queues.stats(call.database, now=call.now, queue=call.values["name"], window=window)
    return Answer(QUEUE_STATS.record(found))


def pause(call: Call) -> Answer:
    reason = call.body.get("reason")
    change = queues.pause(call.database, call.values["name"], by=call.operator, now=call.now, reason=reason)
    return Answer(PAUSE_CHANGE.record(Switching(change, paused=True)))


def resume(call: Call) -> Answer:
    change = queues.resume(call.database, call.values["name"])
    return Answer(PAUSE_CHANGE.record(Switching(change, paused=False)))


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
        "POST",
        "/api/queues/{name}/pause",
        pause,
        "Stops workers from claiming jobs of a queue.",
        PAUSE_CHANGE.schema,
        (QUEUE_NAME,),
        body=body(REASON),
        changes=True,
    ),
    Endpoint(
        "POST",
        "/api/queues/{name}/resume",
        resume,
        "Resumes a paused queue.",
        PAUSE_CHANGE.schema,
        (QUEUE_NAME,),
        body=body({}),
        changes=True,
    ),
)
