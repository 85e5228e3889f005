"""Streams into Pub/Sub, into a server of another process that speaks gRPC."""

import contextlib
import json
import time

import pytest

from hammerwork_cli.features.streaming.model import Backend
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.failures import EventTooLargeError, LastingStreamError, StreamError
from hammerwork_cli.runtime.delivery.streams.messages import encode
from tests.allowing import ALL
from tests.pubsub_server import PubsubServer
from tests.runtime.delivery.streams.batches import IN_TIME, assert_in_order, batch, record, send_all, stream

OF = stream(Backend.PUBSUB, {"project": "shop", "topic": "events"})


@pytest.fixture(scope="module")
def running():
    with PubsubServer() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
    running.refuse(0)
    running.read()
    return running


@contextlib.contextmanager
def opened(of=OF, timeout=60.0):
    with contextlib.closing(open_backend(of, ALL, timeout=timeout)) as backend:
        yield backend


def events(messages):
    return [json.loads(message["body"]) for message in messages]


def test_every_event_arrives_with_its_key_in_the_order_of_it(server):
    with opened() as backend:
        backend.check()
        backend.send(batch(OF, range(300), keys=40))
        backend.send([encode(OF, record(300), None)])
    found = server.read()
    assert_in_order(events(found)[:-1], range(300))
    assert found[-1] == {
        "key": "",
        "body": json.dumps(record(300), separators=(",", ":")),
        "attributes": {"event-id": "event-300", "event-type": "job.completed", "content-type": "application/json"},
    }
    assert {message["key"] for message in found} == {*(f"job-{number}" for number in range(40)), ""}


def test_the_order_of_each_key_stays_although_some_requests_fail_for_a_while(server):
    server.refuse(0.3, "UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED")
    with opened() as backend:
        assert send_all(backend, batch(OF, range(200), keys=20)) == 0
    found = events(server.read())
    assert len(found) > 200
    assert_in_order(found, range(200))


def test_after_an_event_that_is_refused_no_later_one_of_its_key_is_written(server):
    server.refuse(0.05, "INVALID_ARGUMENT")
    failures = 0
    with opened() as backend:
        for first in range(0, 400, 100):
            failures += send_all(backend, batch(OF, range(first, first + 100), keys=20), tries=50)
    assert failures
    assert_in_order(events(server.read()), range(400))


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "UNAUTHENTICATED"])
def test_an_account_that_is_refused_is_an_error_that_lasts(server, code):
    server.refuse(1, code)
    with (
        opened() as backend,
        pytest.raises(LastingStreamError, match=r"'projects/shop/topics/events': 40[13] ") as caught,
    ):
        backend.send(batch(OF, range(3)))
    assert not caught.value.retryable
    assert "account" in caught.value.hint or "key file" in caught.value.hint


def test_a_topic_that_is_not_there_is_an_error_that_lasts(server):
    nowhere = OF._replace(target={**OF.target, "topic": "nowhere"})
    with opened(nowhere) as backend:
        for call in (backend.check, lambda: backend.send(batch(nowhere, range(3)))):
            with pytest.raises(LastingStreamError, match="'projects/shop/topics/nowhere': 404 Resource not found"):
                call()


def test_the_check_asks_what_the_account_may_do(monkeypatch):
    with PubsubServer() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        server.allow("pubsub.topics.publish")
        with opened() as backend:
            backend.check()
        server.allow("pubsub.topics.get")
        with opened() as backend, pytest.raises(LastingStreamError, match=r"lacks pubsub\.topics\.publish"):
            backend.check()


def test_a_server_that_stands_still_or_dies_is_an_error_in_time(monkeypatch):
    with PubsubServer() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        with opened(timeout=1.0) as backend:
            send_all(backend, batch(OF, range(7)))
            with server.frozen():
                began = time.monotonic()
                with pytest.raises(StreamError, match=r"acknowledged 0 of 14 events within 1 seconds"):
                    backend.send(batch(OF, range(7, 21)))
                assert time.monotonic() - began < IN_TIME
            send_all(backend, batch(OF, range(7, 28)))
            assert_in_order(events(server.read()), range(28))
            server.kill()
            for call in (backend.check, lambda: backend.send(batch(OF, range(3)))):
                began = time.monotonic()
                with pytest.raises(StreamError, match=r"within 1 seconds .*refused") as caught:
                    call()
                assert time.monotonic() - began < IN_TIME
                assert caught.value.retryable


def test_an_event_that_is_too_large_is_named(server):
    with opened() as backend, pytest.raises(EventTooLargeError, match="Pub/Sub takes at most") as caught:
        backend.send([*batch(OF, range(2)), encode(OF, record(2, text="x" * 10_000_000), "job-2")])
    assert caught.value.positions == (2,)
    assert server.read() == []


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_a_key_file_that_cannot_be_read_is_an_error_that_lasts(tmp_path, content, monkeypatch):
    path = tmp_path / "key.json"
    if content:
        path.write_text(content, encoding="utf-8")
    of = OF._replace(target={**OF.target, "key_file": "env:KEY_FILE"})
    monkeypatch.setenv("KEY_FILE", str(path))
    with opened(of) as backend, pytest.raises(LastingStreamError, match="There are no credentials for Pub/Sub: "):
        backend.check()
