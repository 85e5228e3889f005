"""A stream and a webhook that nobody sends: what they would get."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import DELIVERIES, EventType, event_types
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from tests.runtime.conftest import Stage


class Listening:
    """What somebody who wants events is told.

    Attributes:
        stream: takes all events, but for those of ``but``.
    """

    def __init__(self, stage: Stage, but: Sequence[str] = (), name: str = "all") -> None:
        self.stage = stage
        wanted = tuple(event for event in EventType if event not in but)
        self.stream = Stream(new_id(), name, Backend.COMMAND, {"command": ["true"]}, events=wanted)
        streams.add(stage.database, self.stream, by="test", now=stage.database.now())

    def add_webhook(self, *events_: str, **values: Any) -> Webhook:
        found = Webhook(new_id(), new_id(), "https://example.com/", events=event_types(events_), **values)
        webhooks.add(self.stage.database, found, by="test", now=self.stage.database.now())
        return found

    def records(self) -> list[dict[str, Any]]:
        """The events of the stream, in their order."""
        return [one.record for one in streams.unsent(self.stage.database, self.stream, 100_000)]

    def told(self) -> list[tuple[str, str]]:
        """Their types, and the queue or the status that they are about."""
        return [(one["type"], one["data"].get("status") or one["data"].get("queue")) for one in self.records()]

    def types(self, job: str | None = None) -> list[str]:
        """The types of the events, or of those about a job."""
        return [one["type"] for one in self.records() if job is None or one["data"].get("id") == job]

    def deliveries(self) -> list[dict[str, Any]]:
        """The payloads of deliveries."""
        sql = f"SELECT payload FROM hammerwork_jobs WHERE queue_name = '{DELIVERIES}' ORDER BY created_at, id"
        rows = self.stage.database.query(sql)
        return [one if isinstance(one, dict) else json.loads(one) for (one,) in rows]

    def clear(self) -> None:
        self.stage.database.script("DELETE FROM hammerwork_stream_events")


def forget_readers(database: Database) -> None:
    """Lets a connection notice at once who wants events."""
    database.forget(events.READERS)


ENDS = ("tree.completed", "tree.failed", "batch.ended", "workflow.ended")


@pytest.fixture
def listening(stage: Stage) -> Listening:
    """All events but for the ends of trees, batches and workflows."""
    return Listening(stage, ENDS)
