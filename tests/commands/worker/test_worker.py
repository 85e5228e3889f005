"""``hammerwork worker``: the program runs jobs in a process of its own, and others see and steer it."""

import contextlib
import functools
import getpass
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli import Handlers, Worker, WorkerReport
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.features.schema.views import SCHEMAS
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.queries.registry import Registration
from tests.conftest import ROOT, all_databases, each_row, eventually
from tests.forks import Begun, begin
from tests.jobs import execute, identity, job, rows, statuses, write
from tests.rows import START, Rows

HANDLERS = """
import pathlib, threading, time
from hammerwork_cli import Handlers, Job, Worker
app = Handlers()

@app.job("mail")
def mail(job):
    if "fails" in job.payload:
        raise ValueError("no\\nsuch address")
    pathlib.Path("began").touch()
    held = b"x" * job.payload.get("holds", 0)
    time.sleep(job.payload.get("sleeps", 0))
    while job.payload.get("waits") and not pathlib.Path("go_on").exists():
        time.sleep(0.02)

@app.spawn("fan")
def fan(context):
    return [Job("mail", {"number": number}) for number in range(3)]

def made():
    return app

def worker():
    return Worker("sqlite:///nowhere.db", app, concurrency=2, name="from the module")

nothing = Handlers()
number = 7
"""


WEIGHTED = """
from hammerwork_cli import Handlers, Worker
app = Handlers()

@app.job("noted")
def noted(job):
    with open("order", "a") as file:
        print(int(job.priority), file=file)

worker = Worker("sqlite:///nowhere.db", app, concurrency=1, weighted=True)
"""


LOGGING = """
import asyncio, logging
from hammerwork_cli import Handlers
app = Handlers()
log = logging.getLogger("shop")

@app.job("plain")
def plain(job):
    log.info("of plain")
    log.debug("a detail")

@app.job("coroutine")
async def coroutine(job):
    await asyncio.sleep(0.01)
    log.info("of coroutine")

@app.spawn("parent")
def children(context):
    log.info("of spawning")
    return []
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the program runs and finds the module ``handlers``."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "broken.py").write_text("import json\nraise RuntimeError('not today')\n")
    return tmp_path


Start = Callable[..., Begun]
ANEW = {"PYTHONPATH": str(ROOT)}
"""For a worker that starts its Python anew, which a fork cannot."""


@pytest.fixture
def start(folder: Path, clean_environment: dict[str, str]) -> Iterator[Start]:
    """``start(url, *options)``: ``hammerwork worker start`` that goes on; whatever happens, it is killed at last."""
    with contextlib.ExitStack() as ending:

        def start(url: str, *options: str, env: dict[str, str] | None = None) -> Begun:
            words = ["worker", "start", "--handlers", "handlers:app", *options]
            worker = begin(words, {**clean_environment, "HAMMERWORK_DATABASE_URL": url, **(env or {})}, folder)
            ending.enter_context(worker)
            ending.callback(worker.kill)
            return worker

        yield start


def has_begun(folder: Path) -> bool:
    """Whether a handler runs. A job that is Running in the database may not have begun: a signal gives it back."""
    return (folder / "began").exists()


# Running.


def test_jobs_and_what_they_spawn_run_until_nothing_is_left(
    migrated_url: str, folder: Path, hammerwork: Callable[..., Any]
) -> None:
    write(migrated_url, job(1), job(2, queue="fan"), job(3, payload='{"fails": 1}', max_attempts=1))
    done = hammerwork("worker", "start", "--handlers", "handlers:app", "--drain", "--format", "json", url=migrated_url)
    assert done.exit_code == 0, done.stderr
    assert done.json == {"completed": 5, "failed": 1, "restart": False, "unreturned": 0, "unwritten": 0}
    Draft202012Validator(SCHEMAS["worker-start"]).validate(done.json)
    assert done.stderr.splitlines()[-1].endswith("stopped. Attempts: 5 completed, 1 failed.")
    found = rows(migrated_url, "queue_name, status, error_message", "queue_name = 'mail'")
    assert sorted(status for _, status, _ in found) == ["Completed"] * 4 + ["Dead"]
    error = next(error for _, status, error in found if status == "Dead")
    assert error.startswith("ValueError: no\nsuch address")
    assert "handlers.py" in error


def test_only_the_queues_that_are_named_are_served_by_either_name_of_the_option(
    lite_url: str, folder: Path, hammerwork: Callable[..., Any], run: Callable[..., Any]
) -> None:
    write(lite_url, job(1), job(2, queue="fan"), job(3, queue="other"))
    for number, option in ((1, "-n"), (2, "--queue")):
        queue = {1: "mail", 2: "fan"}[number]
        assert statuses(lite_url)[number] == "Pending"
        words = ("--drain", "--workers", "1", option, queue, "--max-jobs", "1")
        done = hammerwork("worker", "start", "--handlers", "handlers:made", *words, url=lite_url)
        assert done.exit_code == 0, done.stderr
        assert statuses(lite_url)[number] == "Completed"
    assert statuses(lite_url)[3] == "Pending"


def test_options_count_more_than_what_a_worker_of_the_module_says(
    migrated_url: str, folder: Path, hammerwork: Callable[..., Any], run: Callable[..., Any]
) -> None:
    write(migrated_url, job(1))
    words = ("--handlers", "handlers:worker", "--drain", "-u", migrated_url)
    done = hammerwork("worker", "start", *words, "--name", "told")
    assert done.exit_code == 0, done.stderr
    worker = run("worker", "list", "--format", "json", url=migrated_url).json[0]
    assert (worker["name"], worker["concurrency"], worker["completed"]) == ("told", 2, 1)


def test_strict_priority_counts_more_than_the_weights_of_a_worker_of_the_module(
    lite_url: str, folder: Path, hammerwork: Callable[..., Any], run: Callable[..., Any]
) -> None:
    write(lite_url, *(job(number, queue="noted", priority=number % 5) for number in range(1, 26)))
    (folder / "weighted.py").write_text(WEIGHTED)
    words = ("--handlers", "weighted:worker", "--strict-priority", "--drain", "-u", lite_url)
    done = hammerwork("worker", "start", *words)
    assert done.exit_code == 0, done.stderr
    order = (folder / "order").read_text().split()
    assert order == sorted(order, reverse=True)
    assert len(order) == 25


def test_a_handler_that_never_returns_does_not_keep_the_process(
    migrated_url: str, folder: Path, hammerwork: Callable[..., Any]
) -> None:
    write(migrated_url, job(1, payload='{"sleeps": 3600}', timeout_seconds=1))
    done = hammerwork("worker", "start", "--handlers", "handlers:app", "--drain", "--format", "json", url=migrated_url)
    assert done.exit_code == 0, done.stderr
    assert done.json == {"completed": 0, "failed": 1, "restart": False, "unreturned": 1, "unwritten": 0}
    assert statuses(migrated_url) == {1: "TimedOut"}


def test_the_log_is_one_json_object_a_line(migrated_url: str, folder: Path, hammerwork: Callable[..., Any]) -> None:
    write(migrated_url, job(1, payload='{"fails": 1}', max_attempts=1))
    words = ("--drain", "--log-format", "json", "--name", "\x1b[31mred")
    done = hammerwork("worker", "start", "--handlers", "handlers:app", *words, url=migrated_url)
    assert done.exit_code == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["level"] for event in events] == ["info", "error", "info"]
    assert all({"time", "level", "logger", "message"} <= event.keys() for event in events)
    assert "\x1b" not in done.stderr


def test_the_log_level_is_that_of_the_option_else_the_configured_one(
    lite_url: str, folder: Path, hammerwork: Callable[..., Any], run: Callable[..., Any]
) -> None:
    words = ("worker", "start", "--handlers", "handlers:app", "--drain")
    quiet = hammerwork(*words, url=lite_url, env={"HAMMERWORK_LOG_LEVEL": "warn"})
    assert quiet.stderr == "0 attempts completed, 0 failed.\n"
    loud = hammerwork(*words, "--log-level", "info", url=lite_url, env={"HAMMERWORK_LOG_LEVEL": "warn"})
    assert len(loud.stderr.splitlines()) == 3
    assert hammerwork(*words, "--quiet", url=lite_url).stderr == ""


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_lines_of_handlers_name_the_job_that_they_belong_to(
    new_database: Callable[..., str], folder: Path, hammerwork: Callable[..., Any], isolation: str
) -> None:
    url = new_database("sqlite", migrated=True)
    (folder / "handlers.py").write_text(LOGGING)
    write(url, *(job(number, queue=queue) for number, queue in enumerate(("plain", "coroutine", "parent"), 1)))
    words = ("worker", "start", "--handlers", "handlers:app", "--drain", "--isolation", isolation, "-c", "1")
    done = hammerwork(*words, "--log-format", "json", "--log-level", "debug", url=url)
    assert done.exit_code == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    said = {event["message"]: event for event in events if event["logger"] == "shop"}
    for number, (message, queue) in enumerate(
        {"of plain": "plain", "of coroutine": "coroutine", "of spawning": "parent"}.items(), 1
    ):
        named = {"job_id": identity(number), "queue": queue, "attempt": 1}
        assert named.items() <= said[message].items(), said
    assert "a detail" not in said
    ours = [event for event in events if event["logger"] == "hammerwork"]
    for word in ("starts attempt 1 of 3.", "completed in attempt 1."):
        assert identity(1) in [event.get("job_id") for event in ours if event["message"].endswith(word)]
    assert "job_id" not in events[0]
    write(url, *(job(number, queue="plain") for number in (4, 5)))
    done = hammerwork(*words, "--log-level", "trace", url=url)
    assert re.search(rf" info  shop: \[plain {identity(4)[:8]}\] of plain$", done.stderr, re.MULTILINE), done.stderr
    assert re.search(rf" debug shop: \[plain {identity(5)[:8]}\] a detail$", done.stderr, re.MULTILINE)


# What cannot begin.


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("handlers", "names no handlers"),
        ("handlers:app2", "There is no app2 in the module handlers"),
        ("nowhere:app", "There is no module 'nowhere'"),
        ("broken:app", "RuntimeError: not today"),
        ("handlers:number", "is of type int"),
        ("handlers:nothing", "has no handlers"),
    ],
)
def test_handlers_that_are_none_are_an_error_before_anything_is_claimed(
    lite_url: str, folder: Path, hammerwork: Callable[..., Any], run: Callable[..., Any], target: str, says: str
) -> None:
    write(lite_url, job(1))
    done = hammerwork("worker", "start", "--handlers", target, "--drain", url=lite_url)
    assert (done.exit_code, done.stdout) == (3, "")
    assert says in done.stderr
    assert statuses(lite_url) == {1: "Pending"}
    assert run("worker", "list", "--format", "json", url=lite_url).json == []


def test_without_our_tables_a_worker_says_which_command_makes_them(
    migrated_url: str, folder: Path, hammerwork: Callable[..., Any], run: Callable[..., Any]
) -> None:
    execute(migrated_url, "DELETE FROM hammerwork_migrations WHERE migration_id > '015'")
    done = hammerwork("worker", "start", "--handlers", "handlers:app", url=migrated_url)
    assert (done.exit_code, done.stdout) == (4, "")
    assert "hammerwork migration run" in done.stderr
    assert run("worker", "list", "--format", "json", url=migrated_url).json == []
    assert run("worker", "status", url=migrated_url).exit_code == 0
    assert run("worker", "stop", "anyone", url=migrated_url).exit_code == 4


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/x", "mysql://nobody@127.0.0.1:1/x"])
def test_a_database_that_does_not_answer_is_an_error_at_the_start(
    folder: Path, hammerwork: Callable[..., Any], url: str
) -> None:
    done = hammerwork("worker", "start", "--handlers", "handlers:app", "-u", url, "--format", "json")
    assert (done.exit_code, done.stdout) == (4, "")
    assert json.loads(done.stderr)["error"]["code"] == "database_unreachable"


@each_row(
    "words",
    [
        ["--concurrency", "0"],
        ["--lease", "0s"],
        ["--poll-interval", "soon"],
        ["--isolation", "cell"],
        ["--max-memory", "2G"],
        ["--max-memory", "off", "--isolation", "process"],
        ["--max-jobs-per-process", "100", "--isolation", "thread"],
        ["--max-tasks-per-child", "100"],
        ["--drain", "--upkeep"],
        ["--drain", "--retention"],
    ],
)
def test_options_out_of_range_or_without_effect_are_usage_errors(
    lite_url: str, folder: Path, hammerwork: Callable[..., Any], words: list[str]
) -> None:
    assert hammerwork("worker", "start", "--handlers", "handlers:app", *words, url=lite_url).exit_code == 2


# Signals.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_lets_what_runs_end(
    lite_url: str, folder: Path, start: Start, run: Any, number: signal.Signals
) -> None:
    write(lite_url, job(1, payload='{"sleeps": 2}'))
    worker = start(lite_url, "--format", "json")
    eventually(lambda: has_begun(folder))
    write(lite_url, job(2))
    worker.send_signal(number)
    stdout, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0, stderr
    assert json.loads(stdout)["completed"] >= 1
    assert statuses(lite_url)[1] == "Completed"
    assert run("worker", "list", "--format", "json", url=lite_url).json[0]["state"] == "stopped"


@pytest.mark.parametrize(
    ("kind", "first", "second", "code"),
    [
        pytest.param("sqlite", signal.SIGTERM, signal.SIGTERM, 143),
        pytest.param("sqlite", signal.SIGTERM, signal.SIGINT, 130),
    ],
)
def test_a_second_signal_gives_the_jobs_back_and_ends_now_with_an_exit_code_of_its_own(
    new_database: Callable[..., str],
    folder: Path,
    start: Start,
    kind: str,
    first: signal.Signals,
    second: signal.Signals,
    code: int,
) -> None:
    url = new_database(kind, migrated=True)
    write(url, job(1, payload='{"sleeps": 3600}'))
    worker = start(url, "--format", "json")
    eventually(lambda: has_begun(folder))
    worker.send_signal(first)
    eventually(lambda: _state(url) == "stopping")
    worker.send_signal(second)
    stdout, stderr = worker.communicate(timeout=60)
    assert worker.returncode == code, stderr
    assert json.loads(stdout) == {"completed": 0, "failed": 0, "restart": False, "unreturned": 1, "unwritten": 0}
    assert statuses(url) == {1: "Pending"}
    assert (
        "1 handler is still running in a thread, which cannot be killed: it goes on until this process ends" in stderr
    )
    assert _state(url) == "stopped"


def _state(url: str) -> str:
    with contextlib.closing(connect(url)) as database:
        return str(database.query("SELECT state FROM hammerwork_workers")[0][0])


# Seeing and steering.


def test_a_worker_is_seen_and_stopped_from_another_process(
    migrated_url: str, folder: Path, start: Start, run: Callable[..., Any]
) -> None:
    write(migrated_url, job(1, payload='{"waits": true}'))
    worker = start(migrated_url, "--name", "w-1", "--lease", "3s", "--format", "jsonl")
    eventually(lambda: has_begun(folder))
    look = functools.partial(run, "worker", "status", "w-1", "--format", "json", url=migrated_url)
    status = look().json[0]
    assert (status["state"], status["pid"], status["queues"], status["handlers"]) == (
        "running",
        worker.pid,
        ["fan", "mail"],
        ["fan"],
    )
    assert [running["queue"] for running in status["jobs"]] == ["mail"]
    assert status["running"] == 1, "as its jobs say, before a heartbeat does"
    if sys.platform == "linux":
        assert eventually(lambda: look().json[0]["memory_bytes"]) > 1_000_000
    text = run("worker", "status", status["id"][:8], url=migrated_url).stdout
    assert text.startswith(f"w-1 {status['id'][:8]} · running")
    assert "attempt 1" in text
    assert "1 job." in run("worker", "stop", "w-1", "--dry-run", url=migrated_url).stdout

    threading.Timer(0.5, (folder / "go_on").touch).start()
    stopped = run("worker", "stop", "--all", "--yes", "--wait", "--format", "json", url=migrated_url)
    assert [(one["id"], one["done"]) for one in stopped.json] == [(status["id"], True)]
    stdout, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0, stderr
    assert [json.loads(line)["restart"] for line in stdout.splitlines()] == [False]
    assert statuses(migrated_url) == {1: "Completed"}


def test_a_worker_is_restarted_from_another_process(
    lite_url: str, folder: Path, start: Start, run: Callable[..., Any]
) -> None:
    write(lite_url, job(1, payload='{"waits": true}'))
    worker = start(lite_url, "--name", "w-1", "--lease", "3s", "--format", "jsonl", env=ANEW)
    eventually(lambda: has_begun(folder))
    [before] = run("worker", "list", "--format", "json", url=lite_url).json
    threading.Timer(0.5, (folder / "go_on").touch).start()
    again = run("worker", "restart", "w-1", "--wait", "--timeout", "60s", "--format", "json", url=lite_url)
    assert again.exit_code == 0, again.stderr
    assert statuses(lite_url) == {1: "Completed"}
    successor = again.json[0]["successor"]
    listed = run("worker", "list", "--format", "json", url=lite_url).json
    assert [(one["id"], one["state"], one["pid"]) for one in listed] == [
        (successor, "running", worker.pid),
        (before["id"], "stopped", worker.pid),
    ]
    assert (listed[1]["request"], listed[1]["requested_by"].partition("@")[0]) == ("restart", getpass.getuser())

    stopped = run("worker", "stop", "--all", "--yes", "--wait", "--format", "json", url=lite_url)
    assert [(one["id"], one["done"]) for one in stopped.json] == [(successor, True)]
    stdout, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0, stderr
    assert [json.loads(line)["restart"] for line in stdout.splitlines()] == [True, False]


def test_a_first_signal_after_a_request_to_restart_lets_what_runs_end_and_ends_the_worker(
    lite_url: str, folder: Path, start: Start, run: Any
) -> None:
    write(lite_url, job(1, payload='{"sleeps": 3}'))
    worker = start(lite_url, "--lease", "1s")
    eventually(lambda: has_begun(folder))
    assert run("worker", "restart", "--all", "--yes", url=lite_url).exit_code == 0
    eventually(lambda: _state(lite_url) == "stopping")
    os.kill(worker.pid, signal.SIGTERM)
    worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert statuses(lite_url) == {1: "Completed"}
    assert len(run("worker", "list", "--format", "json", url=lite_url).json) == 1


def register(url: str, number: int, **columns: Any) -> str:
    """A worker's row; its heartbeat is long ago."""
    identity = f"{number:08x}-0000-4000-8000-00000000000a"
    row = {
        "id": identity,
        "name": f"w-{number}",
        "host": "elsewhere",
        "pid": 1000 + number,
        "version": "1",
        "queues": '["mail"]',
        "handlers": "[]",
        "concurrency": 4,
        "lease_seconds": 30.0,
        "state": "running",
        "started_at": START,
        "heartbeat_at": START,
        **columns,
    }
    with contextlib.closing(connect(url)) as database:
        Rows(database).insert("hammerwork_workers", row)
        database._connection.commit()
    return identity


@all_databases
def test_a_worker_whose_heart_stopped_is_silent_until_another_one_takes_it_for_lost(
    migrated_url: str, run: Callable[..., Any]
) -> None:
    identity = register(migrated_url, 1)

    def states() -> list[tuple[str, str]]:
        listed = run("worker", "list", "--all", "--format", "json", url=migrated_url).json
        return [(one["id"], one["state"]) for one in listed]

    assert states() == [(identity, "silent")]
    assert "silent" in run("worker", "status", url=migrated_url).stdout
    with contextlib.closing(connect(migrated_url)) as database:
        assert registry.rescue(database, registry.heartbeats(database)[0], database.now()) == (0, 0)
    assert states() == [(identity, "lost")]


def test_a_worker_that_fell_silent_more_than_a_day_ago_is_listed_on_demand(
    migrated_url: str, run: Callable[..., Any]
) -> None:
    recent = register(migrated_url, 1, heartbeat_at=datetime.now(UTC) - timedelta(hours=20))
    old = register(migrated_url, 2, heartbeat_at=datetime.now(UTC) - timedelta(hours=30))

    def listed(*options: str) -> set[str]:
        return {one["id"] for one in run("worker", "list", *options, "--format", "json", url=migrated_url).json}

    assert listed() == {recent}
    assert listed("--since", "2d") == listed("--all") == {recent, old}


def test_a_silent_worker_cannot_be_asked(migrated_url: str, run: Callable[..., Any]) -> None:
    register(migrated_url, 1)
    for verb in ("stop", "restart"):
        done = run("worker", verb, "w-1", url=migrated_url)
        assert done.exit_code == 6
        assert re.search(r"The worker w-1 has been silent for [\d,]+ s; its lease is \S+ s\.", done.stderr)
        done = run("worker", verb, "--all", "--yes", url=migrated_url)
        assert done.exit_code == 0
        assert "1 silent worker was not asked." in done.stderr


def test_waiting_for_workers_judges_them_by_its_own_clock(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SUCCESSOR_SECONDS", 3600.0)  # for which a worker that is silent has none
    long_ago, silent = register(migrated_url, 1), register(migrated_url, 2, lease_seconds=0.05)
    with contextlib.closing(connect(migrated_url)) as database:
        asked = {worker.id: worker for worker in registry.listed(database)}
        assert {worker.state for worker in asked.values()} == {"silent"}  # as the server's clock has it
        living = registry.WorkerEndWatch(database, [asked[long_ago]], successors=False)
        assert (living.refresh(), living.done) == (False, {})
        for successors in (False, True):
            watch = registry.WorkerEndWatch(database, [asked[silent]], successors=successors)
            eventually(watch.refresh)
            assert watch.done[silent].state == "silent"


@all_databases
def test_waiting_for_a_restart_ends_when_nobody_takes_the_place(
    migrated_url: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(migrated_url, 1, heartbeat_at=datetime.now(UTC))
    monkeypatch.setattr(registry, "SUCCESSOR_SECONDS", 0.5)
    ask = registry.ask

    def hears(database: Any, *arguments: Any) -> None:
        ask(database, *arguments)
        execute(migrated_url, "UPDATE hammerwork_workers SET state = 'stopped', ended_at = heartbeat_at")

    monkeypatch.setattr(registry, "ask", hears)
    done = run("worker", "restart", "w-1", "--wait", "--format", "json", url=migrated_url)
    assert done.exit_code == 1
    assert [(one["state"], one["done"], one["successor"]) for one in done.json] == [("stopped", False, None)]
    assert "1 worker stopped, and no other took its place." in done.stderr


def test_only_workers_that_ended_lately_are_listed_unless_all_are_wanted(
    migrated_url: str, run: Callable[..., Any]
) -> None:
    register(migrated_url, 1, state="stopped", ended_at=START)
    assert run("worker", "list", "--format", "json", url=migrated_url).json == []
    assert len(run("worker", "list", "--all", "--format", "json", url=migrated_url).json) == 1
    assert len(run("worker", "list", "--all", "-n", "mail", "--format", "json", url=migrated_url).json) == 1
    assert run("worker", "list", "--all", "-n", "other", "--format", "json", url=migrated_url).json == []
    refused = run("worker", "stop", "w-1", url=migrated_url)
    assert (refused.exit_code, refused.stderr.splitlines()[0]) == (6, "Error: The worker w-1 has stopped.")


def test_whom_to_ask_must_be_clear(lite_url: str, run: Callable[..., Any]) -> None:
    first, second = register(lite_url, 1, name="same"), register(lite_url, 2, name="same")
    codes = {
        ("stop",): 2,
        ("stop", first, "--all"): 2,
        ("stop", "nobody"): 5,
        ("status", "nobody"): 5,
        ("stop", "same"): 6,
        ("stop", "0000"): 6,
        ("stop", first, "--timeout", "1s"): 2,
        ("status", first[:8], "--worker-id", second): 0,
    }
    assert {words: run("worker", *words, url=lite_url).exit_code for words in codes} == codes
    assert "To list them: hammerwork worker list" in run("worker", "stop", url=lite_url).stderr


def test_stopping_all_needs_consent_and_shows_who_is_meant(
    migrated_url: str, folder: Path, start: Start, run: Any
) -> None:
    # An idle one can end before the command has looked whether its time is up.
    write(migrated_url, job(1, payload='{"waits": true}'))
    worker = start(migrated_url, "--name", "w-1", "--lease", "3s")
    eventually(lambda: has_begun(folder))
    refused = run("worker", "stop", "--all", url=migrated_url)
    assert refused.exit_code == 2
    assert "Stop: w-1" in refused.stderr
    assert "Would ask w-1" in run("worker", "stop", "--all", "--dry-run", url=migrated_url).stdout
    late = run("worker", "stop", "--all", "--yes", "--wait", "--timeout", "0.001s", url=migrated_url)
    assert late.exit_code == 124
    for way in (
        "worker status",
        "worker stop NAME --now",
        "a second SIGTERM",
        "kill -9",
        "--grace",
        "--isolation process",
    ):
        assert way in late.stderr
    (folder / "go_on").touch()
    worker.communicate(timeout=60)
    assert worker.returncode == 0


def test_a_stop_counts_the_jobs_that_a_worker_has_now_and_not_those_of_its_last_heartbeat(
    migrated_url: str, run: Any
) -> None:
    worker = register(migrated_url, 1, heartbeat_at=datetime.now(UTC), running=2)
    done = run("worker", "stop", "w-1", url=migrated_url)
    assert done.stdout == "Asked w-1 00000001 to stop; it runs no job.\n"
    write(migrated_url, job(1, status="Running"))
    execute(migrated_url, f"UPDATE hammerwork_jobs SET claimed_by = '{worker}'")
    done = run("worker", "stop", "w-1", "--grace", "90", url=migrated_url)
    assert done.stdout == (
        "Asked w-1 00000001 to stop; it first finishes 1 running job, or gives it back after 1m 30s.\n"
    )
    done = run("worker", "stop", "w-1", "--now", "--format", "json", url=migrated_url)
    assert [(one["running"], one["grace_seconds"]) for one in done.json] == [(1, 0.0)]
    for wrong in (("--now", "--grace", "5"), ("--grace", "0")):
        assert run("worker", "stop", "w-1", *wrong, url=migrated_url).exit_code == 2


@pytest.mark.parametrize(("grace", "seconds"), [("--now", 0.0), ("--grace", 0.4)])
def test_a_worker_that_somebody_asks_to_stop_gives_back_what_it_has_no_time_for(
    migrated_url: str, folder: Path, start: Start, run: Any, grace: str, seconds: float
) -> None:
    write(migrated_url, job(1, payload='{"sleeps": 600}'))
    worker = start(migrated_url, "--lease", "3s")
    eventually(lambda: has_begun(folder))
    words = (grace,) if grace == "--now" else (grace, str(seconds))
    # One that is already stopping is asked once more.
    assert run("worker", "stop", "--all", "--yes", url=migrated_url).exit_code == 0
    eventually(lambda: _state(migrated_url) == "stopping")
    asked = run("worker", "stop", "--all", "--yes", "--wait", "--timeout", "60", *words, url=migrated_url)
    assert asked.exit_code == 0, asked.stderr
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert f"An operator asked the worker to stop{' at once' if not seconds else ' within 0.4 s'}." in said
    with contextlib.closing(connect(migrated_url)) as database:
        assert database.query("SELECT status, attempts FROM hammerwork_jobs") == [("Pending", 0)]


def test_waiting_for_a_restart_ends_at_once_when_the_worker_says_that_none_follows(lite_url: str, run: Any) -> None:
    app = Handlers()
    app.register_job("mail", lambda _: None)
    worker = Worker(lite_url, app, name="w-1", lease=2, poll_interval=0.05)
    reports: list[WorkerReport] = []
    thread = threading.Thread(target=lambda: reports.append(worker.run()))
    thread.start()
    eventually(lambda: run("worker", "list", "--format", "json", url=lite_url).json)
    began = time.monotonic()
    done = run("worker", "restart", "w-1", "--wait", url=lite_url)
    assert time.monotonic() - began < 20
    assert done.exit_code == 1
    assert "1 worker stopped, and no other took its place." in done.stderr
    thread.join(60)
    assert reports[0].restart


def test_a_queue_tells_how_many_living_workers_serve_it(migrated_url: str, run: Any) -> None:
    write(migrated_url, job(1), job(2, queue="other"))
    register(migrated_url, 1)
    register(migrated_url, 2, heartbeat_at=datetime.now(UTC))

    def workers() -> dict[str, Any]:
        return {one["queue"]: one["workers"] for one in run("queue", "list", "--format", "json", url=migrated_url).json}

    assert workers() == {"mail": 1, "other": 0}
    execute(migrated_url, "DELETE FROM hammerwork_migrations WHERE migration_id > '015'")
    assert workers() == {"mail": None, "other": None}


# In processes.


def test_a_handler_in_a_process_is_killed_when_its_time_is_up(
    lite_url: str, folder: Path, hammerwork: Callable[..., Any], run: Callable[..., Any]
) -> None:
    write(lite_url, job(1, payload='{"sleeps": 600}', timeout_seconds=1), job(2), job(3, queue="fan"))
    for number, handlers in enumerate(("handlers:app", "handlers:made", "handlers:worker")):
        words = ("worker", "start", "--handlers", handlers, "--isolation", "process", "--concurrency", "1")
        done = hammerwork(*words, "--drain", "--format", "json", "-u", lite_url)
        assert done.exit_code == 0, done.stderr
        assert done.json == {
            "completed": 0 if number else 5,
            "failed": int(not number),
            "restart": False,
            "unreturned": 0,
            "unwritten": 0,
        }
        write(lite_url)
    assert statuses(lite_url)[1] == "TimedOut"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory processes hold")
def test_the_memory_of_a_worker_is_also_that_of_its_processes(
    lite_url: str, start: Start, run: Callable[..., Any]
) -> None:
    write(lite_url, job(1, payload='{"holds": 200000000, "sleeps": 600}'))
    worker = start(lite_url, "--isolation", "process", "--concurrency", "1", "--lease", "1s")

    def held() -> int:
        status = run("worker", "status", "--format", "json", url=lite_url).json
        return (status and status[0]["memory_bytes"]) or 0

    assert eventually(lambda: held() > 200_000_000)
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
    assert pages * os.sysconf("SC_PAGE_SIZE") < 150_000_000


def test_ctrl_c_lets_what_runs_in_processes_end_and_a_second_one_kills_it(
    lite_url: str, folder: Path, start: Start, run: Callable[..., Any]
) -> None:
    write(lite_url, job(1, payload='{"sleeps": 600}'))
    worker = start(lite_url, "--isolation", "process", "--concurrency", "1")
    eventually(lambda: has_begun(folder))
    worker.send_signal(signal.SIGINT)
    assert worker.stderr is not None
    eventually(lambda: "Press again to stop now" in worker.stderr.readline())
    worker.send_signal(signal.SIGINT)
    assert worker.wait(60) == 130
    assert statuses(lite_url) == {1: "Pending"}


@pytest.mark.parametrize(
    ("handlers", "queue", "code", "says"),
    [
        (["mails:app"], "mails", 2, "No handler is registered for the queue 'mails'"),
        (["mails:app"], "mails", 2, "Did you mean mail?"),
        (["mails:app"], "mail,more", 2, "for the queue 'more'"),
        (["mails:app", "handlers:app"], "mail", 2, "app.include"),
        (["mails:app,handlers:app"], "mail", 3, "app.include"),
    ],
)
def test_a_queue_without_a_handler_and_a_second_application_are_refused_before_anything_is_claimed(
    lite_url: str,
    folder: Path,
    hammerwork: Callable[..., Any],
    run: Callable[..., Any],
    handlers: list[str],
    queue: str,
    code: int,
    says: str,
) -> None:
    (folder / "mails.py").write_text(HANDLERS.partition("@app.spawn")[0])
    write(lite_url, job(1))
    given = [word for name in handlers for word in ("--handlers", name)]
    done = hammerwork("worker", "start", *given, "--queue", queue, "--queue", "mail", "--drain", url=lite_url)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr
    assert statuses(lite_url) == {1: "Pending"}


def test_a_worker_whose_thread_stands_still_is_stalled_and_says_since_when(migrated_url: str, run: Any) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        now = database.now()
    register(migrated_url, 1, heartbeat_at=now, main_stalled_seconds=40.0, held_slots=2)
    register(migrated_url, 2, heartbeat_at=now, finisher_stalled_seconds=90.0, state="stopping")
    register(migrated_url, 3, heartbeat_at=now, finisher_stalled_seconds=90.0, state="stopped", ended_at=now)
    listed = run("worker", "list", "--sort", "name", "--format", "json", url=migrated_url).json
    assert [(one["name"], one["state"]) for one in listed] == [
        ("w-1", "stalled"),
        ("w-2", "stalled"),
        ("w-3", "stopped"),
    ]
    stalled = [(one["main_stalled_seconds"], one["finisher_stalled_seconds"], one["held_slots"]) for one in listed]
    assert 40 <= stalled[0][0] < 80
    assert stalled[0][1:] == (None, 2)
    assert stalled[1][0] is None
    assert 90 <= stalled[1][1] < 130
    assert stalled[2] == (None, None, None)
    shown = run("worker", "status", "w-1", "w-2", url=migrated_url).stdout
    assert re.search(r"stalled +the main loop for 4\d", shown)
    assert re.search(r"stalled +the finisher for 1m 3\ds", shown)
    assert "2 slots: the handlers have not returned although their attempts are over" in shown
    # A worker gives up what is not answered for a lease, which is 30 s: the second one does not help itself.
    health = run("monitor", "health", "--only", "stalled_workers", "--format", "json", url=migrated_url)
    (check,) = health.json["checks"]
    assert (health.exit_code, check["status"], check["value"], check["about"]) == (1, "critical", 2, ["w-2", "w-1"])
    assert check["hint"] == "hammerwork worker status w-2"
    probes = [run("monitor", "health", "--worker", name, url=migrated_url).exit_code for name in ("w-1", "w-2")]
    assert probes == [0, 1]


def test_a_job_that_a_rust_worker_took_over_has_no_worker_of_hammerwork_cli(
    run: Callable[..., Any], lite_url: str, sqlite_rows: Rows
) -> None:
    now, jobs = sqlite_rows.database.now(), {}
    for name in ("alive", "silent"):
        worker = Registration(new_id(), name, "host", 1, "1", ("mail",), (), 1, 3600.0)
        registry.register(sqlite_rows.database, worker)
        claim = {"claimed_by": worker.id, "claimed_at": now - timedelta(hours=2), "status": "Running"}
        jobs[sqlite_rows.job(started_at=claim["claimed_at"], **claim)] = name
        jobs[sqlite_rows.job(started_at=now - timedelta(hours=1), **claim)] = None
    silent = "UPDATE hammerwork_workers SET heartbeat_at = ? WHERE name = 'silent'"
    sqlite_rows.run(silent, [sqlite_rows.adapted(now - timedelta(hours=2))])
    shown = {job: run("job", "show", job, "--format", "json", url=lite_url).json["worker"] for job in jobs}
    assert {job: worker and worker["name"] for job, worker in shown.items()} == jobs
    listed = run("worker", "status", "--jobs", "--format", "json", url=lite_url).json
    assert {job["id"]: job["worker"] for job in listed} == jobs
    # The row of a job says when it was claimed, or renewed for Rust workers; the worker's heartbeat is what counts.
    table = run("worker", "status", "--jobs", url=lite_url).stdout
    assert [line for line in table.splitlines() if re.search(r" alive .* \d+ m?s ago ", line)], table
    (lost,) = run("monitor", "health", "--only", "lost_jobs", "--format", "json", url=lite_url).json["checks"]
    assert lost["value"] == 1
