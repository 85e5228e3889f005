"""Streams into a program: small ones that go wrong, and those of the examples, which write into Redis and NATS."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hammerwork_cli.features.streaming.model import Backend
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.failures import LastingStreamError, StreamError
from hammerwork_cli.runtime.delivery.streams.messages import encode
from tests.allowing import ALL
from tests.conftest import ROOT, unavailable
from tests.runtime.conftest import until
from tests.runtime.delivery.streams.batches import IN_TIME, assert_in_order, batch, record, send_all, stream
from tests.servers import free_port


@pytest.fixture
def opened(tmp_path):
    """``opened(code, timeout=)``: the backend whose program is this Python, and its stream."""
    backends = []

    def make(code, timeout=60.0):
        program = tmp_path / "program.py"
        program.write_text(f"import json, os, subprocess, sys, time\n{code}", encoding="utf-8")
        of = stream(Backend.COMMAND, {"command": [sys.executable, "-S", str(program), str(tmp_path / "written")]})
        backends.append(open_backend(of, ALL, timeout=timeout))
        return backends[-1], of

    yield make
    for backend in backends:
        backend.close()


def written(tmp_path):
    return [json.loads(line) for line in (tmp_path / "written").read_text(encoding="utf-8").splitlines()]


WRITES = """
def write(line):
    with open(sys.argv[1], "a") as file:
        file.write(line)
"""


def test_a_program_gets_a_line_for_each_event_and_keeps_running(opened, tmp_path):
    backend, of = opened(WRITES + 'for line in sys.stdin: write(line); print("ok", flush=True)')
    backend.check()
    backend.send(batch(of, range(700)))
    backend.send([encode(of, record(700, text="schön\n"), None)])
    lines = written(tmp_path)
    assert lines[0] == {"key": "job-0", "event": record(0, "job-0")}
    assert lines[-1] == {"key": None, "event": record(700, text="schön\n")}
    assert_in_order([line["event"] for line in lines[:-1]], range(700))


def test_a_program_that_answers_late_gets_no_event_before_it_has_acknowledged_the_earlier_one_of_the_key(opened):
    code = """
waiting = set()
for line in sys.stdin:
    key = json.loads(line)["key"]
    if key in waiting:
        sys.exit(f"{key} is not acknowledged")
    waiting.add(key)
    if len(waiting) == 7:
        print("ok\\n" * 7, end="", flush=True)
        waiting.clear()
"""
    backend, of = opened(code)
    backend.send(batch(of, range(70)))


def test_more_than_a_pipe_holds_passes_in_both_directions(opened):
    backend, of = opened(
        'lines = [sys.stdin.readline() for _ in range(2000)]; print("ok\\n" * 2000, end="", flush=True)'
    )
    backend.send([encode(of, record(number, text="x" * 1000), None) for number in range(2000)])


def test_after_an_event_that_is_refused_no_later_one_of_its_key_is_sent(opened, tmp_path):
    code = """
for line in sys.stdin:
    number = json.loads(line)["event"]["data"]["job"]["number"]
    refused = number == 17 and not os.path.exists(sys.argv[1] + ".once")
    if refused:
        open(sys.argv[1] + ".once", "w")
    else:
        write(line)
    print("error no room\\033[2J" if refused else "ok", flush=True)
"""
    backend, of = opened(WRITES + code)
    messages = batch(of, range(100))
    with pytest.raises(StreamError, match=r"refused the event event-17: no room") as caught:
        backend.send(messages)
    assert caught.value.acknowledged == set(range(21)) - {17}
    assert_in_order([line["event"] for line in written(tmp_path)])
    backend.send([message for position, message in enumerate(messages) if position not in caught.value.acknowledged])
    events = [line["event"] for line in written(tmp_path)]
    assert len(events) == 100
    assert_in_order(events, range(100))


def test_a_program_that_dies_is_started_again_and_the_order_stays(opened, tmp_path):
    code = """
for number, line in enumerate(sys.stdin):
    write(line)
    if number == 150:
        print("Traceback: it broke", file=sys.stderr)
        sys.exit(3)
    print("ok", flush=True)
"""
    backend, of = opened(WRITES + code)
    with pytest.raises(StreamError, match=r"ended with status 3\. Its stderr: Traceback: it broke") as caught:
        backend.send(batch(of, range(500)))
    assert len(caught.value.acknowledged) == 150
    assert caught.value.retryable
    assert send_all(backend, batch(of, range(500))) == 3
    assert_in_order([line["event"] for line in written(tmp_path)], range(500))


def test_a_program_that_ended_between_two_batches_is_started_again_without_an_error(opened):
    backend, of = opened('print(sys.stdin.readline() and "ok", flush=True)')
    backend.send(batch(of, [0]))
    until(lambda: backend._program.has_ended_within(0))
    backend.send(batch(of, [1]))


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("time.sleep(60)", "did not answer 7 events within 0.3 seconds"),
        ("for line in sys.stdin: pass", "did not answer 7 events within 0.3 seconds"),
        ('for line in sys.stdin: print("okay", flush=True)', "answered 'okay' instead of ok or error TEXT"),
        ('for line in sys.stdin: print("ok\\nok", flush=True)', "answers more often than it gets events"),
        (
            'sys.stdin.readline(); print("x" * 300_000, flush=True); time.sleep(60)',
            "answered a line of more than 65,536 bytes",
        ),
        ("sys.stdin.readline(); os.kill(os.getpid(), 9)", "was killed by signal 9"),
        ("os.close(1); time.sleep(60)", "closed its input or its output"),
        ("os.close(0); sys.exit('no input')", r"ended with status 1\. Its stderr: no input"),
    ],
)
def test_a_program_that_breaks_the_rules_is_an_error_and_another_one_is_started(opened, code, problem):
    backend, of = opened(code, timeout=0.3 if "answer 7" in problem else 60.0)
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(StreamError, match=problem) as caught:
            backend.send(batch(of, range(700)))
        assert not isinstance(caught.value, LastingStreamError)
        assert backend._program is None
    assert time.monotonic() - began < IN_TIME


def test_a_program_that_does_not_read_is_an_error_in_time(opened):
    backend, of = opened("time.sleep(60)", timeout=0.3)
    with pytest.raises(StreamError, match=r"did not answer 1 event within 0\.3 seconds"):
        backend.send([encode(of, record(0, text="x" * 1_000_000), None)])


def test_an_answer_before_the_event_acknowledges_nothing(opened):
    backend, of = opened('sys.stdin.read(1); print("ok\\nok", flush=True); time.sleep(60)')
    with pytest.raises(StreamError, match="answers an event before it has got it") as caught:
        backend.send([encode(of, record(number, text="x" * 1_000_000), None) for number in range(2)])
    assert caught.value.acknowledged == frozenset()


def test_closing_kills_what_the_program_started_and_lets_it_end_by_itself(opened, tmp_path):
    code = """
child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
for line in sys.stdin:
    print("ok", flush=True)
open(sys.argv[1], "w").write(str(child.pid))
"""
    backend, of = opened(code)
    backend.send(batch(of, [0]))
    backend.close()
    until(lambda: (tmp_path / "written").read_text())
    child = Path(f"/proc/{(tmp_path / 'written').read_text()}/stat")
    until(lambda: not child.exists() or " Z " in child.read_text())


def test_a_program_that_ignores_the_end_of_its_input_is_killed(opened, monkeypatch):
    monkeypatch.setattr("hammerwork_cli.runtime.delivery.streams.command.END_SECONDS", 0.2)
    code = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(sys.stdin.readline() and "ok", flush=True)
time.sleep(60)
"""
    backend, of = opened(code)
    backend.send(batch(of, [0]))
    process = backend._program._process
    backend.close()
    assert process.returncode == -signal.SIGKILL


def test_a_program_that_is_not_there_is_an_error_that_lasts():
    of = stream(Backend.COMMAND, {"command": ["/nowhere/to-nats", "jobs"]})
    for call in (open_backend(of, ALL).check, lambda: open_backend(of, ALL).send(batch(of, [0]))):
        with pytest.raises(
            LastingStreamError, match="'/nowhere/to-nats' of the stream cannot be started: No such file"
        ):
            call()


def test_the_check_finds_a_program_that_ends_at_once(opened, monkeypatch):
    monkeypatch.setattr("hammerwork_cli.runtime.delivery.streams.command.START_SECONDS", 30.0)  # for a busy machine
    backend, _ = opened("sys.exit('Usage: program HOST')")
    with pytest.raises(StreamError, match=r"ended with status 1 at once\. Its stderr: Usage: program HOST"):
        backend.check()


# Real servers.


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """The port of a server."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with server(command, port, tmp_path_factory.mktemp("redis"), "redis-server"):
        yield port


@pytest.fixture(scope="module")
def nats(tmp_path_factory):
    """The port of a server with JetStream."""
    port, folder = free_port(), tmp_path_factory.mktemp("nats")
    with server(
        ["nats-server", "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", str(folder)], port, folder, "nats-server"
    ):
        yield port


@contextlib.contextmanager
def server(command, port, folder, package):
    program = shutil.which(command[0], path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        unavailable(f"{command[0]} is missing: apt-get install {package}")
    with subprocess.Popen(
        [program, *command[1:]], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: process.poll() is not None or accepts(port))
            yield process
        finally:
            process.kill()


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True


def example(name, *arguments):
    return stream(Backend.COMMAND, {"command": [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]})


def redis_says(port, *words):
    done = subprocess.run(["redis-cli", "-p", str(port), "--json", *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_events_arrive_in_redis_in_the_order_of_their_keys_although_connections_break(redis):
    of = example("to_redis.py", "jobs", "127.0.0.1", redis)
    backend = open_backend(of, ALL, timeout=60)
    try:
        backend.check()
        failures = 0
        for first in range(0, 300, 100):
            failures += send_all(backend, batch(of, range(first, first + 100)))
            redis_says(redis, "CLIENT", "KILL", "TYPE", "normal")
        assert failures == 2
        redis_says(redis, "SET", "text", "no stream")
    finally:
        backend.close()
    entries = redis_says(redis, "XRANGE", "jobs", "-", "+")
    assert_in_order([json.loads(dict(zip(f[::2], f[1::2], strict=True))["event"]) for _, f in entries], range(300))
    wrong = example("to_redis.py", "text", "127.0.0.1", redis)
    backend = open_backend(wrong, ALL, timeout=60)
    with contextlib.closing(backend), pytest.raises(StreamError, match="refused the event event-0: -WRONGTYPE"):
        backend.send(batch(wrong, range(3)))


def test_events_arrive_in_nats_once_although_they_are_sent_twice(nats):
    of = example("to_nats.py", "jobs", "127.0.0.1", nats)
    backend = open_backend(of, ALL, timeout=60)
    with contextlib.closing(backend):
        with pytest.raises(StreamError, match="refused the event event-0: no stream of JetStream has the subject"):
            backend.send(batch(of, range(3)))
        assert not asked(nats, "$JS.API.STREAM.CREATE.JOBS", {"name": "JOBS", "subjects": ["jobs.>"]}).get("error")
        for _ in range(2):
            backend.send(batch(of, range(100)))
    state = asked(nats, "$JS.API.STREAM.INFO.JOBS", {})["state"]
    assert state["messages"] == 100
    found = [asked(nats, "$JS.API.STREAM.MSG.GET.JOBS", {"seq": number})["message"] for number in range(1, 101)]
    assert {message["subject"] for message in found} == {"jobs.job.completed"}
    assert_in_order([json.loads(base64.b64decode(message["data"])) for message in found], range(100))


def asked(port, subject, question):
    """The answer of the server to a request."""
    body = json.dumps(question)
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
        answers.readline()
        request = f'CONNECT {{"verbose":false}}\r\nSUB mine 1\r\nPUB {subject} mine {len(body)}\r\n{body}\r\n'
        connection.sendall(request.encode())
        while not (line := answers.readline()).startswith(b"MSG"):
            assert line
        return json.loads(answers.read(int(line.split()[-1])))
