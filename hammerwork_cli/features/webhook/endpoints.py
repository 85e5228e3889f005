"""The endpoints of webhooks. Nobody adds or changes one by HTTP: a page that can is a way into the network."""

from datetime import datetime
from functools import partial

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import Event, EventType
from hammerwork_cli.features.event.samples import sample
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.queries.listing import resolve
from hammerwork_cli.features.webhook import queries, views
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.features.webhook.views import TriedWebhook
from hammerwork_cli.runtime.delivery.allowed import Allowed
from hammerwork_cli.runtime.delivery.webhooks.sending import send
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Schema
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import QUEUE_TEXT, REASON, Parameter, body, limit, start_of, within

NAME = Parameter("name", QUEUE_TEXT, "A webhook's name, or its id.", in_path=True)
SINCE = within("Only deliveries of events")
TEST_SECONDS = 10
"""How long a test by HTTP waits, at most."""
TEST: dict[str, Key | Schema] = {
    "event_type": key.text("By default job.completed", *EventType),
    "job_id": {**JOB.schema, "description": "An event about this job; by default, an example"},
    "queue": key.line(1, LONGEST_NAME, "Queue of the example"),
}
"""What a test sends."""


def webhook_list(call: Call) -> Answer:
    return Answer(views.PUBLIC.records(queries.listed(call.database)))


def one_webhook(call: Call) -> Answer:
    """Answers as ``webhook show``."""
    return Answer(views.PUBLIC.record(queries.named(call.database, call.values["name"])))


def deliveries(call: Call) -> Answer:
    webhook, wanted = queries.named(call.database, call.values["name"]), call.values
    since = start_of(call.now, wanted["since"])
    found = queries.deliveries(call.database, webhook, failed=wanted["failed"], since=since, limit=wanted["limit"])
    return Answer(views.DELIVERY.records(found))


def test(call: Call) -> Answer:
    """Sends an event as ``webhook test`` does, but does not tell what the receiver answered."""
    webhook = queries.named(call.database, call.values["name"])
    event = event_of(call, payload=webhook.include_payload)
    hasty = webhook._replace(timeout_seconds=min(webhook.timeout_seconds, TEST_SECONDS))
    return Answer(later=partial(_tried, hasty, event, call.settings.allowed, call.now))


def _tried(webhook: Webhook, event: Event, allowed: Allowed, now: datetime) -> Answer:
    record = event.record()
    answer = send(webhook, record, allowed, delivery_id=new_id(), now=now)
    return Answer(views.TRIED.record(TriedWebhook(webhook.name, record, answer.status, answer.error, answer.seconds)))


def event_of(call: Call, *, payload: bool) -> Event:
    """The event that a test sends."""
    given, event = call.body, EventType(call.body.get("event_type", EventType.JOB_COMPLETED))
    if "job_id" in given:
        return events.about(call.database, event, resolve(call.database, given["job_id"]), call.now, payload=payload)
    return sample(event, call.now, queue=given.get("queue", "test"), payload=payload)


def enable(call: Call) -> Answer:
    return _switch(call, enabled=True)


def disable(call: Call) -> Answer:
    return _switch(call, enabled=False)


def _switch(call: Call, *, enabled: bool) -> Answer:
    database, webhook = call.database, queries.named(call.database, call.values["name"])
    reason = call.body.get("reason")
    queries.switch(database, webhook, enabled=enabled, by=call.operator, now=call.now, reason=reason)
    return Answer(views.PUBLIC.record(queries.present(database, webhook.id)))


def replay(call: Call) -> Answer:
    webhook, whole = queries.named(call.database, call.values["name"]), call.body.get("all", False)
    since = start_of(call.now, call.body.get("since", "24h"))
    ids = queries.replayable(call.database, webhook, whole=whole, since=since)
    made = queries.replay(call.database, ids, whole=whole, now=call.now)
    return Answer(views.REPLAYED.record({"webhook": webhook.name, "deliveries": made}))


ENDPOINTS = (
    Endpoint(
        "GET", "/api/webhooks", webhook_list, "Webhooks by name, without secrets.", key.list_of(views.PUBLIC).schema
    ),
    Endpoint(
        "GET",
        "/api/webhooks/{name}",
        one_webhook,
        "A webhook, without secrets.",
        views.PUBLIC.schema,
        (NAME,),
        refusals=(404,),
    ),
    Endpoint(
        "GET",
        "/api/webhooks/{name}/deliveries",
        deliveries,
        "The newest deliveries of a webhook.",
        "webhook-deliveries",
        (
            NAME,
            limit(50),
            Parameter("failed", {"type": "boolean"}, "Only those that were given up.", default=False),
            SINCE,
        ),
        refusals=(404,),
    ),
    Endpoint(
        "POST",
        "/api/webhooks/{name}/test",
        test,
        f"Sends an event now, and waits {TEST_SECONDS} s at most. It tells the status of the answer, not its text.",
        views.TRIED.schema,
        (NAME,),
        body=body(TEST),
        changes=True,
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/webhooks/{name}/enable",
        enable,
        "Enables a webhook; events of the time before are not delivered.",
        views.PUBLIC.schema,
        (NAME,),
        body=body({}),
        changes=True,
        refusals=(404,),
    ),
    Endpoint(
        "POST",
        "/api/webhooks/{name}/disable",
        disable,
        "Disables a webhook: its deliveries wait until it is enabled.",
        views.PUBLIC.schema,
        (NAME,),
        body=body(REASON),
        changes=True,
        refusals=(404,),
    ),
    Endpoint(
        "POST",
        "/api/webhooks/{name}/replay",
        replay,
        "Makes deliveries again that were given up.",
        "webhook-replay",
        (NAME,),
        body=body(
            {
                "since": {**SINCE.schema, "description": "Those of events since this; by default 24h"},
                "all": key.flag("Also what was delivered"),
            }
        ),
        changes=True,
        refusals=(404,),
    ),
)
"""The endpoints of the REST API."""
