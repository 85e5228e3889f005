"""What surrounds ``hammerwork worker start``: its streams, its folder, its environment, its signals."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Worker
from hammerwork_cli.database import connect
from hammerwork_cli.runtime.host.signals import listening
from tests import forks, surroundings
from tests.conftest import ROOT, Outcome, eventually
from tests.forks import NO_STREAMS, Begun
from tests.jobs import identity, job, rows, statuses, write
from tests.proxies import Proxy

HANDLERS = """
import os, pathlib, queue, subprocess, sys, time
from hammerwork_cli import Handlers
app = Handlers()

@app.job("mail")
def mail(job):
    print("a line of a handler")
    print("and one on stderr", file=sys.stderr)
    subprocess.run(["echo", "a line of a program"])

@app.job("floods")
def floods(job):
    for number in range(30_000):
        print("x" * 100)
    pathlib.Path("flooded").touch()
    while not pathlib.Path("go_on").exists():
        time.sleep(0.02)
    print("behind the flood")

@app.job("looks")
def looks(job):
    return [queue.__file__, sorted(name for name in os.environ if "TOKEN" in name)]

@app.job("leaves")
def leaves(job):
    import threading
    threading.Thread(target=time.sleep, args=[600]).start()
    pathlib.Path("began").touch()
    time.sleep(600)

@app.job("closes")
def closes(job):
    getattr(sys, job.payload).close()
    print("after that")

@app.job("waits")
def waits(job):
    pathlib.Path("began").touch()
    time.sleep(job.payload)
"""
FAMILY = """
from hammerwork_cli import Handlers, Job
app = Handlers()

@app.job("parents")
def parents(job):
    return None

@app.spawn("parents")
def children(context):
    context.queue.enqueue(Job("a", {"by": "queue"}))
    yield Job("a", {"by": "spawning"})

@app.job("fails")
def fails(job):
    raise ValueError("broken")

@app.job("a")
async def a(job):
    return {"a": 1}

@app.spawn("refuses")
def refuses(context):
    raise ValueError("broken")

@app.cron("@daily", timezone="Europe/Vienna")
def nightly(job):
    return None
"""
SEES = """
import os
from hammerwork_cli import Handlers
app = Handlers()

@app.cron("@daily", name=f"sees {[name for name in os.environ if 'TOKEN' in name]}")
def nightly(job):
    return None
"""
RECORDER = """
import os, sys

class Recorder:
    def find_spec(self, name, path=None, target=None):
        if path is None:
            with open(os.environ["RECORD"], "a") as record:
                record.write(name + " ")

sys.meta_path.append(Recorder())
"""
"""Asked last: it hears of what nobody has found."""
HANGS = 20.0
"""Seconds after which a worker did not end at once, on a machine that is busy; it would hang for minutes."""
PLANTED = "raise SystemExit('planted')\n"
Start = Callable[..., subprocess.Popen[str]]
StartFork = Callable[..., Begun]
isolated = pytest.mark.parametrize("isolation", ["thread", "process"])


@pytest.fixture
def url(new_database: Callable[..., str]) -> str:
    return new_database("sqlite", migrated=True)


@pytest.fixture
def begin(url: str, tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Start]:
    """``begin(*words)``: the program, which goes on; whatever happens, it is killed at last."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    with contextlib.ExitStack() as ending:

        def begin(*words: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
            environment = surroundings.uncovered(clean_environment)
            environment |= {"PYTHONPATH": str(ROOT), "HAMMERWORK_DATABASE_URL": url, **(env or {})}
            files = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
            program = [sys.executable, "-m", "hammerwork_cli", *words]
            begun = subprocess.Popen(program, cwd=tmp_path, env=environment, text=True, **files)
            ending.enter_context(begun)
            ending.callback(begun.kill)
            return begun

        yield begin


WORKER = ("worker", "start", "--handlers", "handlers:app")


@pytest.fixture
def start(url: str, tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[StartFork]:
    """``start(*options)``: a worker, which is a fork."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    with contextlib.ExitStack() as ending:

        def start(*options: str, env: dict[str, str] | None = None, streams: Mapping[int, int] = NO_STREAMS) -> Begun:
            environment = surroundings.uncovered(clean_environment) | {"HAMMERWORK_DATABASE_URL": url, **(env or {})}
            begun = forks.begin([*WORKER, *options], environment, tmp_path, streams=streams)
            ending.enter_context(begun)
            ending.callback(begun.kill)
            return begun

        yield start


# Streams.


@isolated
def test_only_the_report_is_on_stdout(start: StartFork, url: str, isolation: str) -> None:
    write(url, job(1), job(2))
    worker = start("--drain", "--format", "json", "-c", "1", "--isolation", isolation)
    stdout, stderr = worker.communicate(timeout=60)
    assert json.loads(stdout) == {"completed": 2, "failed": 0, "restart": False, "unreturned": 0, "unwritten": 0}
    for line in ("a line of a handler", "and one on stderr", "a line of a program"):
        assert stderr.splitlines().count(line) == 2


@pytest.mark.parametrize(("isolation", "ending", "code"), [("thread", "closed", 0), ("process", "full", 74)])
def test_streams_that_cannot_be_written_fail_no_job(
    start: StartFork, url: str, isolation: str, ending: str, code: int
) -> None:
    write(url, *(job(number, max_attempts=1) for number in range(1, 4)))
    with contextlib.ExitStack() as files:
        if ending == "full":
            full = files.enter_context(Path("/dev/full").open("w"))
            streams = dict.fromkeys((1, 2), full.fileno())
            worker = start("--drain", "--format", "json", "-c", "1", "--isolation", isolation, streams=streams)
        else:
            worker = start("--drain", "--format", "json", "-c", "1", "--isolation", isolation)
            for stream in (worker.stdout, worker.stderr):
                assert stream is not None
                stream.close()
        assert worker.wait(60) == code
    assert set(statuses(url).values()) == {"Completed"}


@isolated
def test_a_log_that_nobody_reads_stops_nobody_and_says_later_how_much_of_it_was_dropped(
    start: StartFork, url: str, tmp_path: Path, isolation: str
) -> None:
    write(url, job(1, queue="floods"), job(2, queue="looks"))
    worker = start("--drain", "--concurrency", "1", "--isolation", isolation)
    eventually((tmp_path / "flooded").exists)
    assert worker.stderr is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(worker.stderr or ()))
    reader.start()
    if isolation == "thread":
        eventually(lambda: any("lines were dropped" in line for line in tuple(lines)))
    (tmp_path / "go_on").touch()
    assert worker.wait(60) == 0
    reader.join(60)
    dropped = next(number for number, line in enumerate(lines) if "lines were dropped" in line)
    assert "warn" in lines[dropped]
    assert any("behind the flood" in line for line in lines[dropped:])
    assert set(statuses(url).values()) == {"Completed"}


def test_a_worker_ends_although_nobody_reads_its_log(start: StartFork, url: str, tmp_path: Path) -> None:
    (tmp_path / "go_on").touch()
    write(url, job(1, queue="floods"))
    assert start("--drain").wait(60) == 0
    assert statuses(url) == {1: "Completed"}


# The folder and the environment.


@isolated
def test_modules_in_the_folder_replace_no_others_and_handlers_do_not_see_the_web_token(
    begin: Start, url: str, tmp_path: Path, isolation: str
) -> None:
    for name in ("queue", "json", "sqlite3", "socket", "typer"):
        (tmp_path / f"{name}.py").write_text(PLANTED)
    write(url, job(1, queue="looks"))
    words = (*WORKER, "--drain", "-c", "1", "--isolation", isolation)
    worker = begin(*words, env={"HAMMERWORK_WEB_TOKEN": "secret"})
    _, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 0, stderr
    [[result]] = rows(url, "result_data")
    looked_at, tokens = json.loads(result)
    assert not looked_at.startswith(str(tmp_path))
    assert tokens == []


def test_an_application_whose_schedules_are_applied_does_not_see_the_web_token(begin: Start, tmp_path: Path) -> None:
    (tmp_path / "sees.py").write_text(SEES)
    command = begin(
        *("cron", "apply", "--handlers", "sees:app", "--format", "json"), env={"HAMMERWORK_WEB_TOKEN": "secret"}
    )
    stdout, stderr = command.communicate(timeout=60)
    assert command.returncode == 0, stderr
    assert [step["name"] for step in json.loads(stdout)] == ["sees []"]


@pytest.fixture
def twice_recorded_and_planted(tmp_path: Path) -> Callable[..., None]:
    """Calls a function with an environment, twice: what nothing provides the first time lies in the folder then."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(RECORDER)
    (tmp_path / "family.py").write_text(FAMILY)
    record, executed = tmp_path / "missed", tmp_path / "executed"
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)]), "RECORD": str(record)}

    def call(once: Callable[[dict[str, str]], None]) -> None:
        for _ in ("recorded", "planted"):
            once(path)
            missed = set(record.read_text().split()) - {"sitecustomize", "usercustomize"}
            assert "nt" in missed
            for name in missed:
                (tmp_path / f"{name}.py").write_text(f"open({str(executed)!r}, 'a').write({name!r} + ' ')\n")
        assert not executed.exists(), executed.read_text()

    return call


@pytest.mark.parametrize(
    ("isolation", "kind"),
    [
        pytest.param("process", "postgres", marks=pytest.mark.postgres),
        pytest.param("thread", "mysql", marks=pytest.mark.mysql),
    ],
)
def test_no_optional_import_of_a_worker_finds_what_lies_in_the_folder(
    begin: Start,
    new_database: Callable[..., str],
    twice_recorded_and_planted: Callable[..., None],
    isolation: str,
    kind: str,
) -> None:
    def works(path: dict[str, str]) -> None:
        url = new_database(kind, migrated=True)
        write(url, job(1, queue="parents"), job(2, queue="fails", max_attempts=1), job(3, queue="a"))
        words = ("worker", "start", "--handlers", "family:app", "--drain", "-c", "1", "--isolation", isolation)
        worker = begin(*words, env={**path, "HAMMERWORK_DATABASE_URL": url})
        _, stderr = worker.communicate(timeout=60)
        assert worker.returncode == 0, stderr
        assert sorted(statuses(url).values()) == ["Completed"] * 4 + ["Dead"]

    twice_recorded_and_planted(works)


def test_no_optional_import_of_a_command_that_loads_handlers_finds_what_lies_in_the_folder(
    begin: Start, url: str, twice_recorded_and_planted: Callable[..., None]
) -> None:
    """With the driver of SQLite; those of servers are loaded by the workers above."""
    write(url, job(1, queue="parents"), job(2, queue="refuses"))
    apply, rehearse = ("cron", "apply", "--handlers", "family:app"), ("spawn", "rehearse", "--handlers", "family:app")

    def commands(path: dict[str, str]) -> None:
        for code, *words in (
            (0, *apply, "--prune", "--yes"),
            (0, *rehearse, identity(1), "--levels", "2"),
            (4, *apply, "--debug", "--database-url", "sqlite:///nowhere.db"),
            (1, *rehearse, identity(2), "--format", "json"),
            (2, *rehearse, "--queue", "nobody", "--debug"),
        ):
            command = begin(*words, env=path)
            _, stderr = command.communicate(timeout=60)
            assert command.returncode == code, (words, stderr)

    twice_recorded_and_planted(commands)


def test_another_folder_may_have_the_handlers(
    begin: Start, hammerwork: Callable[..., Outcome], url: str, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "elsewhere.py").write_text(HANDLERS)
    write(url, job(1))
    words = ("worker", "start", "--handlers", "elsewhere:app", "--drain", "-c", "1", "--isolation", "process")
    assert hammerwork(*words, url=url).exit_code == 3
    assert hammerwork(*words, "--app-dir", "nowhere", url=url).exit_code == 2
    worker = begin(*words, "--app-dir", "app")
    assert worker.wait(60) == 0, worker.stderr
    assert statuses(url) == {1: "Completed"}


# Signals.


def ended(
    start: StartFork, url: str, folder: Path, seconds: float, *options: str, signals: list[signal.Signals]
) -> int:
    """The exit code of a worker that gets signals while a job of so many seconds runs."""
    write(url, job(1, queue="waits", payload=str(seconds)))
    worker = start(*options)
    eventually((folder / "began").exists)
    assert worker.stderr is not None
    for number in signals:
        worker.send_signal(number)
        eventually(lambda number=number: f"{number.name}: " in worker.stderr.readline())
    worker.communicate(timeout=60)
    return worker.returncode


def test_hanging_up_lets_what_runs_end_however_often_it_comes(start: StartFork, url: str, tmp_path: Path) -> None:
    assert ended(start, url, tmp_path, 1.5, signals=[signal.SIGHUP, signal.SIGHUP]) == 0
    assert statuses(url) == {1: "Completed"}


def attempts(url: str) -> list[tuple[str, int]]:
    with contextlib.closing(connect(url)) as database:
        return database.query("SELECT status, attempts FROM hammerwork_jobs")


def test_sigquit_ends_a_worker_at_once(start: StartFork, url: str, tmp_path: Path) -> None:
    assert ended(start, url, tmp_path, 600, signals=[signal.SIGQUIT]) == 131
    assert attempts(url) == [("Pending", 0)]


@pytest.mark.parametrize(
    ("dialect", "signals"),
    [
        pytest.param("postgres", [signal.SIGTERM, signal.SIGTERM], marks=pytest.mark.postgres),
        pytest.param("mysql", [signal.SIGQUIT], marks=pytest.mark.mysql),
    ],
)
def test_a_worker_whose_threads_wait_for_dead_connections_ends_all_the_same(
    start: StartFork, new_database: Callable[..., str], dialect: str, signals: list[signal.Signals]
) -> None:
    url = new_database(dialect, migrated=True)
    with Proxy.to(url) as proxy:
        worker = start("--lease", "10m", "--poll-interval", "50ms", env={"HAMMERWORK_DATABASE_URL": proxy.url(url)})
        assert worker.stderr is not None
        eventually(lambda: " serves " in worker.stderr.readline())
        proxy.swallow()
        time.sleep(0.5)  # its threads have asked something meanwhile
        for number in signals:
            worker.send_signal(number)
            eventually(lambda number=number: f"{number.name}: " in worker.stderr.readline())
        began = time.monotonic()
        _, said = worker.communicate(timeout=60)
        assert time.monotonic() - began < HANGS
    assert "The worker hangs: its process ends now, and its jobs come back after the lease." in said
    assert worker.returncode == 128 + signals[0]


def test_a_thread_of_an_application_holds_no_worker_that_a_signal_ends_at_once(
    start: StartFork, url: str, tmp_path: Path
) -> None:
    write(url, job(1, queue="leaves"))
    worker = start()
    eventually((tmp_path / "began").exists)
    began = time.monotonic()
    worker.send_signal(signal.SIGQUIT)
    worker.communicate(timeout=60)
    assert time.monotonic() - began < HANGS
    assert worker.returncode == 131
    assert attempts(url) == [("Pending", 0)]


def test_jobs_that_have_not_ended_within_the_grace_are_given_back(start: StartFork, url: str, tmp_path: Path) -> None:
    words = ("--grace", "0.3s", "--isolation", "process")
    assert ended(start, url, tmp_path, 600, *words, signals=[signal.SIGTERM]) == 143
    assert attempts(url) == [("Pending", 0)]


def test_hanging_up_stays_what_it_was_where_it_was_arranged_for() -> None:
    for arranged in (signal.SIG_IGN, lambda *_: None):
        before = signal.signal(signal.SIGHUP, arranged)
        try:
            with listening(lambda _: None):
                assert signal.getsignal(signal.SIGHUP) is arranged
                assert signal.getsignal(signal.SIGQUIT) is not signal.SIG_DFL
        finally:
            signal.signal(signal.SIGHUP, before)


def test_a_worker_that_cannot_start_one_of_its_threads_leaves_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start, begun = threading.Thread.start, 0

    def starts(thread: threading.Thread) -> None:
        nonlocal begun
        begun += 1
        if begun == fails:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starts)
    before = set(threading.enumerate())
    for fails in range(1, 20):  # noqa: B007  read by starts
        begun = 0
        try:
            Worker(url, lambda _: None, queues=["mail"], concurrency=2, drain=True).run()
        except RuntimeError as error:
            assert "new thread" in str(error)  # noqa: PT017  the last one goes well
            eventually(lambda: set(threading.enumerate()) <= before)
        else:
            break
    assert begun < fails
    assert fails > 3
    with contextlib.closing(connect(url)) as database:
        assert {row[0] for row in database.query("SELECT state FROM hammerwork_workers")} == {"stopped"}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_handler_that_closes_a_stream_closes_nothing_of_the_worker(begin: Start, url: str, stream: str) -> None:
    write(url, job(1, queue="closes", payload=json.dumps(stream)), job(2, queue="mail"))
    worker = begin("worker", "start", "--handlers", "handlers:app", "--concurrency", "1", "--drain", "--format", "json")
    out, err = worker.communicate(timeout=60)
    assert (worker.returncode, json.loads(out)["completed"]) == (0, 2), err
    assert statuses(url) == {1: "Completed", 2: "Completed"}
    assert "after that" in err
    assert " stopped. Attempts: 2 completed, 0 failed." in err
