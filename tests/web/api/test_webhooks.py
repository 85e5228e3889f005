"""Webhooks and streams through the REST API: what people change, and what nobody gets to see."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from tests.rows import Rows
from tests.runtime.delivery.webhooks.receivers import Receiving, answer
from tests.web.api.conftest import SECRET, event_readers
from tests.web.api.servers import Server

Serve = Callable[..., Server]
HOOK, LAKE = "/api/webhooks/the%20chat", "/api/streams/the%20lake"
ALLOWING = {"HAMMERWORK_ALLOW_PRIVATE_ADDRESSES": "true"}
READS = ("/api/webhooks", HOOK, f"{HOOK}/deliveries", "/api/streams", LAKE)


def test_no_answer_has_a_secret_of_a_webhook_or_a_stream(serve: Serve, empty_url: str) -> None:
    event_readers(empty_url)
    server = serve(empty_url)
    hook, stream = server.json(HOOK), server.json(LAKE)
    assert (hook["url"], hook["headers"], hook["auth"]) == ("https://chat.example:8443/***", ["x-place"], "bearer")
    assert hook["signed"] is True
    assert not {"secret", "template"} & hook.keys()
    assert stream["target"] == {"brokers": "kafka:9092", "topic": "job-events", "config": "***"}
    assert (stream["backlog"], stream["oldest_seconds"]) == (0, None)
    for record in (hook, stream):
        assert record.pop("updated_by") == f"{SECRET}@laptop"
    assert SECRET not in str((hook, stream))
    assert "KAFKA_PASSWORD" not in server.get(LAKE).text
    (delivery,) = server.json(f"{HOOK}/deliveries", failed="true")
    assert (delivery["type"], delivery["status"]) == ("job.dead", "Dead")
    assert (delivery["http_status"], delivery["answer"]) == (503, "closed")
    assert server.json(f"{HOOK}/deliveries", since="2037-01-01T00:00Z") == []
    for path in READS:
        assert server.get(path.replace("the%20", "no%20")).status_code == (200 if path.count("/") == 2 else 404)


def test_redact_hides_receivers_answers_and_people(serve: Serve, empty_url: str) -> None:
    event_readers(empty_url)
    server = serve(empty_url, "--redact")
    texts = [server.get(path).text for path in READS]
    for hidden in (SECRET, "chat.example", "503 closed", "kafka:9092", "job-events"):
        assert not [text for text in texts if hidden in text], hidden
    (delivery,) = server.json(f"{HOOK}/deliveries")
    assert delivery["answer"] == "[redacted]"
    hook, stream = server.json(HOOK), server.json(LAKE)
    assert (hook["name"], hook["url"], hook["method"], hook["body"]) == ("the chat", "[redacted]", "POST", "standard")
    assert (stream["name"], stream["backend"], stream["format"]) == ("the lake", "kafka", "json")


def test_a_webhook_is_disabled_enabled_and_delivers_again(serve: Serve, empty_url: str) -> None:
    event_readers(empty_url)
    server = serve(empty_url)
    off = server.post(f"{HOOK}/disable", {"reason": "the chat moves"}).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "the chat moves")
    assert server.post(f"{HOOK}/disable").json() == off
    assert server.post(f"{HOOK}/enable").json()["enabled"] is True
    assert server.post(f"{HOOK}/replay").json() == {"webhook": "the chat", "deliveries": 1}
    assert server.json(f"{HOOK}/deliveries")[0]["status"] == "Pending"
    assert server.post(f"{HOOK}/replay", {"all": True, "since": "1h"}).json()["deliveries"] == 0
    assert server.post(f"{HOOK}/replay", {"since": "at two"}).status_code == 400
    assert server.post("/api/webhooks/nothing/enable").status_code == 404


def test_a_webhook_cannot_be_added_changed_or_removed_by_http(serve: Serve, empty_url: str) -> None:
    event_readers(empty_url)
    server = serve(empty_url)
    before = server.json(HOOK)
    headers = {"origin": server.url}
    for path in ("/api/webhooks", HOOK, "/api/streams", LAKE):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answered = server.client.request(method, path, json={"url": "http://169.254.169.254/"}, headers=headers)
            assert answered.status_code == 405, (method, path)
    for path in (f"{HOOK}/test", f"{HOOK}/enable"):
        assert server.post(path, {"url": "http://169.254.169.254/"}).status_code == 400
    assert server.json(HOOK) == before


def test_a_test_tells_whether_the_receiver_accepts_and_nothing_that_it_says(serve: Serve, empty_url: str) -> None:
    page = b"the page of an internal program"
    with Receiving(answer("200 OK", page), answer("404 Not Found", page)) as receiver:
        event_readers(empty_url, url=receiver.url, allow_private=True, auth={}, headers={}, secret=None, template=None)
        server = serve(empty_url, env=ALLOWING)
        done = server.post(f"{HOOK}/test", {"event_type": "job.dead", "queue": "mail"})
        assert done.status_code == 200, done.text
        told = done.json()
        assert (told["accepted"], told["http_status"], told["error"]) == (True, 200, None)
        assert (told["event"]["type"], told["event"]["data"]["queue"]) == ("job.dead", "mail")
        assert b'"job.dead"' in receiver.arrived[0].body
        job = server.post("/api/jobs", {"queue": "paint", "payload": {}}).json()["id"]
        refused = server.post(f"{HOOK}/test", {"job_id": job[:8]})
        assert (refused.json()["accepted"], refused.json()["http_status"]) == (False, 404)
        assert job.encode() in receiver.arrived[1].body
        assert page.decode() not in done.text + refused.text + server.get(HOOK).text
    gone = server.post(f"{HOOK}/test").json()
    assert (gone["accepted"], gone["http_status"]) == (False, None)
    assert "accepts no connections" in gone["error"]
    assert server.post(f"{HOOK}/test", {"job_id": "ffffffff"}).status_code == 404
    assert server.post(f"{HOOK}/test", {"event_type": "exploded"}).status_code == 400
    assert server.post(f"{HOOK}/test", {"event_type": "batch.ended", "job_id": job[:8]}).status_code == 400


def test_an_address_of_the_own_network_is_not_tried_unless_the_webhook_may(serve: Serve, empty_url: str) -> None:
    with Receiving() as receiver:
        event_readers(empty_url, url=receiver.url, auth={}, headers={}, secret=None, template=None)
        told = serve(empty_url).post(f"{HOOK}/test").json()
        assert (told["accepted"], told["http_status"]) == (False, None)
        assert "is not a public address" in told["error"]
        with closing(connect(empty_url)) as database:
            database.transaction(lambda: Rows(database).run("UPDATE hammerwork_webhooks SET allow_private = TRUE"))
        told = serve(empty_url).post(f"{HOOK}/test").json()
        assert "--allow-private-addresses" in told["error"]
        assert receiver.connections == 0


def test_no_client_has_an_event_of_its_own_signed_and_delivered(serve: Serve, empty_url: str) -> None:
    event_readers(empty_url)
    server = serve(empty_url)
    job = {"queue": DELIVERIES, "payload": {"webhook": server.json(HOOK)["id"], "event": {"type": "job.completed"}}}
    refused = server.post("/api/jobs", job)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert len(server.json(f"{HOOK}/deliveries")) == 1


def test_receivers_that_hang_hold_up_nobody_else(serve: Serve, empty_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with Receiving(lambda _: hanging.over.wait(60) and None) as hanging:
        values: dict[str, Any] = {"auth": {}, "headers": {}, "secret": None, "template": None, "timeout_seconds": 2}
        event_readers(empty_url, url=hanging.url, allow_private=True, **values)
        server = serve(empty_url, env=ALLOWING)
        with ThreadPoolExecutor(8) as pool:
            tests = [pool.submit(server.post, f"{HOOK}/test") for _ in range(8)]
            for _ in range(20):
                assert server.get("/api/queues").elapsed.total_seconds() < 1
            answers = [test.result() for test in tests]
        assert sorted(one.status_code for one in answers) == [200] * 4 + [503] * 4
        told = next(one.json() for one in answers if one.status_code == 200)
        assert "did not answer within 2 s" in told["error"]


def test_a_stream_is_disabled_enabled_and_sends_the_ends_of_jobs_again(serve: Serve, empty_url: str) -> None:
    event_readers(empty_url)
    with closing(connect(empty_url)) as database:
        now = database.now()
        Rows(database).job(queue="mail", status="Dead", failed_at=now, created_at=now)
    server = serve(empty_url)
    assert server.post(f"{LAKE}/disable", {"reason": "it moves"}).json()["disabled_reason"] == "it moves"
    refused = server.post(f"{LAKE}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert server.post(f"{LAKE}/enable").json()["enabled"] is True
    assert server.post(f"{LAKE}/replay", {"since": "1h"}).json() == {"stream": "the lake", "events": 1}
    assert server.json(LAKE)["backlog"] == 1


def test_the_web_server_runs_no_program_of_a_stream_and_says_why_others_fail(
    serve: Serve, empty_url: str, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    with closing(connect(empty_url)) as database:
        for backend, target in (
            (Backend.COMMAND, {"command": ["touch", str(ran), SECRET]}),
            (Backend.KAFKA, {"brokers": "localhost:1", "topic": "t", "config": {"sasl.password": "env:NO_SUCH"}}),
        ):
            stream = Stream(new_id(), str(backend), backend, target, events=(EventType.JOB_DEAD,))
            streams.add(database, stream, by="me", now=database.now())
    server = serve(empty_url)
    assert SECRET not in server.get("/api/streams").text
    refused = server.post("/api/streams/command/test")
    assert (refused.status_code, "runs no programs" in refused.json()["detail"]) == (409, True)
    assert not ran.exists()
    told = server.post("/api/streams/kafka/test", {"event_type": "job.dead"}).json()
    assert (told["accepted"], told["event"]["type"]) == (False, "job.dead")
    assert told["error"]
