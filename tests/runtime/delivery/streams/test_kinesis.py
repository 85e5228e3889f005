"""Streams into Kinesis: moto's server and kinesis-local, in processes of their own, and one before it that refuses."""

import contextlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from hammerwork_cli.features.streaming.model import Backend
from hammerwork_cli.runtime.delivery.streams import kinesis
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.failures import EventTooLargeError, LastingStreamError, StreamError
from hammerwork_cli.runtime.delivery.streams.messages import encode
from tests.allowing import ALL
from tests.conftest import ROOT, unavailable
from tests.runtime.conftest import until
from tests.runtime.delivery.streams.batches import IN_TIME, assert_in_order, batch, record, send_all, stream
from tests.runtime.delivery.streams.test_command import accepts
from tests.servers import free_port, frozen

REGION = "eu-central-1"


@contextlib.contextmanager
def moto(port):
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with running(command, port) as process:
        yield process


@contextlib.contextmanager
def kinesis_local(port):
    folder, node = ROOT / "tests/web/node_modules/kinesis-local", shutil.which("node")
    if not node or not folder.exists():
        unavailable("kinesis-local is missing: install node, then make test")
    environment = {
        "KINESIS_MOCK_PLAIN_PORT": str(port),
        "KINESIS_MOCK_TLS_PORT": str(free_port()),
        "LOG_LEVEL": "ERROR",
    }
    with running([node, "main.js"], port, cwd=folder, env=os.environ | environment) as process:
        yield process


@contextlib.contextmanager
def running(command, port, **options):
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options) as process:
        try:
            until(lambda: process.poll() is not None or accepts(port))
            assert process.poll() is None
            yield process
        finally:
            process.kill()


class Clock:
    """Goes on only while somebody sleeps: however slow the machine is, each pause has its calls."""

    seconds = 0.0

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch):
    """The clock by which a backend knows how long it has tried; that of its calls is the machine's."""
    clock = Clock()
    monkeypatch.setattr(kinesis, "time", clock)
    return clock


@pytest.fixture(scope="module")
def server():
    """The port of a server, and its process."""
    port = free_port()
    with moto(port) as process:
        yield port, process


def client(port):
    endpoint, keys = f"http://127.0.0.1:{port}", {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    return boto3.client("kinesis", region_name=REGION, endpoint_url=endpoint, **keys)


def target(port, name, monkeypatch):
    monkeypatch.setenv("STREAM_KEY", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("STREAM_SECRET", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = {"access_key": "env:STREAM_KEY", "secret_key": "env:STREAM_SECRET"}
    return {"region": REGION, "stream": name, "endpoint": f"http://127.0.0.1:{port}", **keys}


def made(port, monkeypatch, shards=2):
    """A stream of ours into a new one there."""
    name, asked = f"events-{time.monotonic_ns()}", client(port)
    asked.create_stream(StreamName=name, ShardCount=shards)
    summary = asked.describe_stream_summary
    until(lambda: summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")
    return stream(Backend.KINESIS, target(port, name, monkeypatch))


def read(port, of):
    """The records of each shard."""
    asked, name = client(port), of.target["stream"]
    shards = []
    for shard in asked.list_shards(StreamName=name)["Shards"]:
        place = {"StreamName": name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator, records = asked.get_shard_iterator(**place)["ShardIterator"], []
        while found := asked.get_records(ShardIterator=iterator):
            records += found["Records"]
            iterator = found["NextShardIterator"]
            if not found["Records"]:
                break
        shards.append(records)
    return shards


def events(shards: Iterable):
    return [json.loads(record["Data"]) for records in shards for record in records]


@contextlib.contextmanager
def running_moto(request):
    yield request.getfixturevalue("server")[0]


@contextlib.contextmanager
def running_kinesis_local(_):
    port = free_port()
    with kinesis_local(port):
        yield port


@pytest.mark.parametrize(("start", "alone"), [(running_moto, 510), (running_kinesis_local, 3)])
def test_every_event_arrives_in_the_order_of_its_key(start, alone, request, monkeypatch):
    """More than one call takes, where that is cheap: kinesis-local takes a second for so many."""
    total = 120 + alone
    with start(request) as port:
        of = made(port, monkeypatch)
        with contextlib.closing(open_backend(of, ALL, timeout=60)) as backend:
            backend.check()
            backend.send(batch(of, range(120), keys=60))
            backend.send([encode(of, record(number, "alone"), None) for number in range(120, total)])
            backend.check()
        shards = read(port, of)
        assert all(shards)
        assert_in_order([event for event in events(shards) if event["data"]["job"]["id"] != "alone"], range(120))
        assert len(events(shards)) == total  # the checks wrote nothing
        keys = {entry["PartitionKey"] for records in shards for entry in records}
        assert keys >= {"job-0", "job-59", f"event-{total - 1}"}
        missing = of._replace(target={**of.target, "stream": "nowhere"})
        with contextlib.closing(open_backend(missing, ALL, timeout=60)) as backend:
            for call in (backend.check, lambda: backend.send(batch(missing, range(3)))):
                with pytest.raises(LastingStreamError, match="into the stream 'nowhere': ResourceNotFoundException: "):
                    call()


class Refusing(BaseHTTPRequestHandler):
    """Passes requests on, but of some records, of which it says that they were refused."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.answer(self.headers, body)
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(answer[1])))
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.end_headers()
        self.wfile.write(answer[1])

    def log_message(self, *_):
        pass


class RefusingServer(ThreadingHTTPServer):
    """Before a real server.

    Args:
        port: of that one.
        refuses: whether a record is refused.
    """

    daemon_threads = True

    def __init__(self, port, refuses):
        super().__init__(("127.0.0.1", 0), Refusing)
        self._port, self._refuses, self.calls = port, refuses, []

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def answer(self, headers, body):
        if not headers["X-Amz-Target"].endswith("PutRecords"):
            return self._pass(headers, body)
        asked = json.loads(body)
        records = asked["Records"]
        self.calls.append([entry["PartitionKey"] for entry in records])
        refused = [self._refuses(entry) for entry in records]
        if all(refused):
            return 400, b'{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}'
        taken = [entry for entry, no in zip(records, refused, strict=True) if not no]
        status, text = self._pass(headers, json.dumps(asked | {"Records": taken}).encode())
        answers = iter(json.loads(text)["Records"])
        no = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded for shard"}
        whole = {"FailedRecordCount": sum(refused), "Records": [no if bad else next(answers) for bad in refused]}
        return status, json.dumps(whole).encode()

    def _pass(self, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        connection.request("POST", "/", body, {name: headers[name] for name in names})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_the_order_of_each_key_stays_although_calls_write_only_some_records(server, monkeypatch):
    port, _ = server
    of, chance = made(port, monkeypatch), random.Random(30)
    with RefusingServer(port, lambda _: chance.random() < 0.2) as refusing:
        through = of._replace(target={**of.target, "endpoint": f"http://127.0.0.1:{refusing.server_port}"})
        with contextlib.closing(open_backend(through, ALL, timeout=30)) as backend:
            assert send_all(backend, batch(of, range(300), keys=40)) == 0
        assert len(refusing.calls) > 8
        assert all(len(set(keys)) == len(keys) for keys in refusing.calls)
    assert_in_order(events(read(port, of)), range(300))


def test_a_throttled_key_is_an_error_in_time_that_says_what_was_written(server, clock, monkeypatch):
    port, _ = server
    of = made(port, monkeypatch)
    with RefusingServer(port, lambda entry: entry["PartitionKey"] == "job-3") as refusing:
        through = of._replace(target={**of.target, "endpoint": f"http://127.0.0.1:{refusing.server_port}"})
        with contextlib.closing(open_backend(through, ALL, timeout=30)) as backend:
            with pytest.raises(StreamError, match=r"acknowledged 6 of 21 events .*Rate exceeded") as caught:
                backend.send(batch(of, range(21)))
            assert 20 <= clock.seconds <= 30  # a call may take a third
    written = events(read(port, of))
    assert {event["data"]["job"]["number"] for event in written} == caught.value.acknowledged
    assert_in_order(written)


def test_a_server_that_stands_still_is_an_error_in_time_and_takes_the_events_later(server, clock, monkeypatch):
    port, process = server
    of = made(port, monkeypatch)
    with contextlib.closing(open_backend(of, ALL, timeout=0.9)) as backend, frozen(process):
        began = time.monotonic()
        with pytest.raises(StreamError, match=r"acknowledged 0 of 7 events within 0\.9 seconds .*[Tt]ime"):
            backend.send(batch(of, range(7)))
        assert time.monotonic() - began < IN_TIME
        assert 0.6 <= clock.seconds <= 0.9  # a call may take a third
    with contextlib.closing(open_backend(of, ALL, timeout=60)) as backend:
        backend.send(batch(of, range(14)))
    assert_in_order(events(read(port, of)), range(14))


def test_a_server_that_is_away_is_an_error_in_time(clock, monkeypatch):
    of = stream(Backend.KINESIS, target(free_port(), "events", monkeypatch))
    with contextlib.closing(open_backend(of, ALL, timeout=0.9)) as backend:
        for call in (backend.check, lambda: backend.send(batch(of, range(3)))):
            with pytest.raises(StreamError, match=r"within 0\.9 seconds \(Could not connect") as caught:
                call()
            assert caught.value.retryable
    assert 1.2 <= clock.seconds <= 1.8


@contextlib.contextmanager
def checking_credentials(port):
    """The server, which has none, refuses whatever it is asked."""

    def take(requests):
        address, headers = f"http://127.0.0.1:{port}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, requests, headers, method="POST")).close()

    take(b"0")
    try:
        yield
    finally:
        take(b"inf")


def test_wrong_credentials_are_an_error_that_lasts(server, monkeypatch):
    port, _ = server
    of = made(port, monkeypatch)
    with checking_credentials(port), contextlib.closing(open_backend(of, ALL, timeout=60)) as backend:
        for call in (backend.check, lambda: backend.send(batch(of, range(3)))):
            with pytest.raises(LastingStreamError, match="InvalidClientTokenId") as caught:
                call()
            assert "wJalrXUtnFEMI" not in f"{caught.value!r} {caught.value.hint}"
            assert caught.value.hint.startswith("Check the credentials")


def test_no_credentials_are_an_error_that_lasts(server, monkeypatch):
    of = made(server[0], monkeypatch)
    own = of._replace(target={name: value for name, value in of.target.items() if not name.endswith("_key")})
    with contextlib.closing(open_backend(own, ALL, timeout=60)) as backend:
        with pytest.raises(LastingStreamError, match="There are no credentials for Kinesis: Unable to locate"):
            backend.check()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with contextlib.closing(open_backend(own, ALL, timeout=60)) as backend:
        backend.check()


def test_an_event_that_is_too_large_is_named_and_large_ones_go_in_several_calls(server, monkeypatch):
    of = made(server[0], monkeypatch)
    with contextlib.closing(open_backend(of, ALL, timeout=60)) as backend:
        with pytest.raises(EventTooLargeError, match="Kinesis takes at most 1,048,576") as caught:
            backend.send([*batch(of, range(2)), encode(of, record(2, text="x" * 1_048_576), "job-2")])
        assert caught.value.positions == (2,)
        backend.send([encode(of, record(number, text="x" * 900_000), f"job-{number}") for number in range(7)])
    assert len(events(read(server[0], of))) == 7
