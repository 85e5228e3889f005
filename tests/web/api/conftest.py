"""Servers to ask, on databases of all kinds."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.event.samples import sample
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from tests.commands.test_contract import ENVIRONMENT, Asked, fill
from tests.conftest import EACH_DIALECT
from tests.rows import Rows
from tests.web.api.servers import Server, serving

SECRET = "s3cret-of-the-receiver"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """``serve(url, *options, env=None)``: a server that runs until the test ends, and must end well."""
    with contextlib.ExitStack() as stack:

        def start(url: str, *options: str, env: dict[str, str] | None = None) -> Server:
            return stack.enter_context(serving(url, *options, env=env, home=tmp_path))

        yield start


@pytest.fixture
def empty_url(new_database: Callable[..., str]) -> str:
    """An SQLite file with empty tables."""
    return new_database("sqlite", migrated=True)


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def dialect(request: pytest.FixtureRequest) -> str:
    """``sqlite``; with ``@all_databases`` each in turn, as in ``tests/commands``."""
    return str(request.param)


def event_readers(database_url: str, /, **values: Any) -> dict[str, str]:
    """Adds a webhook and a stream that have secrets everywhere, and a delivery; returns their names.

    Args:
        values: of the webhook.
    """
    with contextlib.closing(connect(database_url)) as database:
        now, everything = database.now(), tuple(EventType)
        secrets: dict[str, Any] = {
            "url": f"https://chat.example:8443/{SECRET}?token={SECRET}",
            "headers": {"x-place": SECRET},
            "auth": {"bearer": SECRET},
            "secret": SECRET,
            "template": f'{{"text": "{SECRET}"}}',
            "disabled_reason": SECRET,
        }
        hook = Webhook(new_id(), "the chat", events=everything, **{**secrets, **values})
        webhooks.add(database, hook, by=f"{SECRET}@laptop", now=now)
        config = {"sasl.username": SECRET, "sasl.password": "env:KAFKA_PASSWORD"}
        target = {"brokers": "kafka:9092", "topic": "job-events", "config": config}
        stream = Stream(new_id(), "the lake", Backend.KAFKA, target, events=everything)
        streams.add(database, stream, by=f"{SECRET}@laptop", now=now)
        delivery = {"webhook": hook.id, "event": sample(EventType.JOB_DEAD, now).record()}
        ended = {"attempts": 9, "max_attempts": 9, "failed_at": now, "error_message": "503 closed", "created_at": now}
        Rows(database).job(queue=DELIVERIES, status="Dead", payload=delivery, **ended)
    return {"webhook": hook.name, "stream": stream.name}


everywhere = pytest.mark.parametrize("full", EACH_DIALECT, indirect=True)
"""For a test of a question whose statements no command sends."""


@pytest.fixture(scope="module", params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def full(request: pytest.FixtureRequest, makers: Any) -> Iterator[Asked]:
    """A database full of what healthy and unhealthy programs write; nobody changes it."""
    maker = makers[request.param]
    url = maker.migrated()
    yield Asked(url, fill(url))
    maker.drop(url)


@pytest.fixture(scope="module")
def served(full: Asked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on it, at the moment of the contract's tests."""
    with serving(full.url, env=ENVIRONMENT, home=tmp_path_factory.mktemp("home")) as server:
        yield server
