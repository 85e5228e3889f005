"""Webhooks and streams keep all that people say of them."""

from datetime import timedelta
from typing import Any

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Partitioning, Stream, StreamFormat
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook, WebhookBody
from tests.rows import START

LATER = START + timedelta(seconds=1)
SHARED: dict[str, Any] = {
    "name": "other é",
    "events": (EventType.JOB_DEAD,),
    "queues": ("é",),
    "priorities": ("high",),
    "include_payload": True,
}
OF_WEBHOOKS = SHARED | {
    "url": "https://example.org/other",
    "method": "PUT",
    "headers": {"a": "b"},
    "auth": {"bearer": "t"},
    "secret": "s",
    "old_secret": "o",
    "old_until": START,
    "body": WebhookBody.CLOUDEVENTS,
    "template": "{}",
    "allow_private": True,
    "insecure": True,
    "timeout_seconds": 3,
    "max_retries": 2,
}
OF_STREAMS = SHARED | {
    "backend": Backend.KAFKA,
    "target": {"topic": "é"},
    "partitioning": Partitioning.QUEUE_NAME,
    "format": StreamFormat.CLOUDEVENTS,
    "buffer_size": 7,
    "buffer_seconds": 1.5,
    "max_backlog": 9,
}
"""Other values of the fields between the id and ``enabled``."""


def said(one: Any, names: Any) -> dict[str, Any]:
    return {name: timestamp(found) if name == "old_until" else found for name in names if (found := getattr(one, name))}


def check(database: Database, queries: Any, one: Any, others: dict[str, Any]) -> None:
    assert {*others} == {*one._fields[1 : one._fields.index("enabled")]}
    queries.add(database, one, by="me", now=START)
    added = queries.by_id(database, one.id)
    assert said(added, others) == said(one, others)
    queries.update(database, added._replace(**others), by="you", now=LATER)
    changed = queries.by_id(database, one.id)
    assert said(changed, others) == others
    assert (changed.enabled, changed.updated_by, timestamp(changed.updated_at)) == (True, "you", LATER)
    whole = one._replace(id=new_id(), **others | {"name": "whole"})
    queries.add(database, whole, by="me", now=START)
    assert said(queries.by_id(database, whole.id), others) == others | {"name": "whole"}


def test_all_that_is_said_of_a_webhook_is_stored_and_changed(database: Database) -> None:
    check(database, webhooks, Webhook(new_id(), "one", "https://example.org"), OF_WEBHOOKS)


def test_all_that_is_said_of_a_stream_is_stored_and_changed(database: Database) -> None:
    check(database, streams, Stream(new_id(), "one", Backend.COMMAND, {"command": ["cat"]}), OF_STREAMS)
