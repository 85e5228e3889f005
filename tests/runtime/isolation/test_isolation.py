"""Handlers in processes: what hangs is killed, what crashes fails alone, and all else is as in threads."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, JobStatus, RetryStrategy, SpawnConfig, Worker
from hammerwork_cli.database import DatabaseUrl, connect
from hammerwork_cli.errors import ConfigError, HammerworkError, UsageError
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.tree.queries import progress
from hammerwork_cli.runtime.api.spawn import SpawnResult
from hammerwork_cli.runtime.host.loading import load_handlers
from hammerwork_cli.runtime.isolation.parent import processes
from tests.runtime.conftest import PATIENCE, Stage, until

HANDLERS = """
import asyncio, ctypes, os, pickle, re, signal, socket, subprocess, time
from pathlib import Path
from hammerwork_cli import Handlers, Job, SpawnHandler, SpawnLimitError

app = Handlers()
nothing = 7

@app.job("where")
def where(job):
    handled = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return {"pid": os.getpid(), "signals": [one.name for one in handled], "blocked": len(signal.pthread_sigmask(0, []))}

@app.job("hang")
def hang(job):
    Path(job.payload["file"]).write_text(f"{os.getpid()} {programs()}")
    while True:
        time.sleep(60)

def programs():
    # One in our group, one that has left it, and one that has no parent any more, either.
    near = subprocess.Popen(["sleep", "600"])
    far = subprocess.Popen(["sleep", "600"], start_new_session=True)
    shell = ["sh", "-c", "sleep 600 >&2 & echo $!"]
    orphan = subprocess.run(shell, start_new_session=True, stdout=subprocess.PIPE, check=True, text=True).stdout
    return f"{near.pid} {far.pid} {orphan}"

@app.job("holds_the_gil")
def holds_the_gil(job):
    Path("pids.new").write_text(f"{os.getpid()} {programs()}")
    os.rename("pids.new", "pids")
    re.match("(a+)+$", "a" * 60 + "b")

def pipe():
    for number in map(int, os.listdir("/proc/self/fd")):
        if os.path.exists(f"/proc/self/fd/{number}") and "socket" in os.readlink(f"/proc/self/fd/{number}"):
            return number

@app.job("forges")
def forges(job):
    from hammerwork_cli.runtime.isolation.protocol import Reply
    from hammerwork_cli.runtime.isolation.pipe import _HEADER
    data = pickle.dumps(Reply("value", '"forged"'))
    forged = {"late": _HEADER.pack(b"hmwk", 77, len(data)) + data, "noise": b"Hello, world" * 10, "half": b"hmwk"}
    os.write(pipe(), forged[job.payload])
    if job.payload == "half":
        if ctypes.CDLL(None).fork() == 0:
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)
    return "true"

@app.job("asks")
def asks(job, context):
    errors = []
    for key in ("", "one", "two", "three"):
        try:
            context.spawn(Job("leaf"), key=key)
        except Exception as error:
            errors.append([type(error).__name__, str(error), getattr(error, "hint", None)])
    return errors

@app.job("reports")
def reports(job, context):
    for number in range(1000):
        context.progress(number / 2000, f"part {number}")
    while not os.path.exists("go_on"):
        time.sleep(0.02)
    return context.room

@app.job("environment")
def environment(job, context):
    return [name for name in os.environ if "HAMMERWORK" in name], os.environ.get("DATABASE_URL"), context.queue.url.raw

@app.job("crash")
def crash(job):
    if "signal" in job.payload:
        os.kill(os.getpid(), job.payload["signal"])
    os._exit(3)

@app.job("fails")
def fails(job):
    raise ValueError("no such thing")

@app.job("odd")
def odd(job):
    return {1, 2}

@app.job("async")
async def asynchronous(job):
    await asyncio.sleep(0.01)
    return {"text": job.payload["text"]}

@app.job("leaf")
def leaf(job):
    pass

@app.spawn("fan")
def fan(context):
    for number in range(context.parent_job.payload["count"]):
        yield Job("leaf", {"number": number})

@app.spawn("async_fan")
async def async_fan(context):
    for number in range(3):
        await asyncio.sleep(0)
        yield Job("leaf", {"number": number})

@app.spawn("keyed")
def keyed(context):
    again = context.spawn(Job("leaf", {"number": 1}), key="one")
    assert context.spawn(Job("leaf", {"number": 1}), key="one").id == again.id
    if context.parent_job.attempts == 1:
        os._exit(4)
    return [Job("leaf", {"number": 3})]

@app.job("limited")
def limited(job, context):
    context.spawn(Job("leaf"), key="1")
    try:
        context.spawn(Job("leaf"), key="2")
    except SpawnLimitError as error:
        return error.message

@app.spawn("rooted")
def rooted(context):
    return [Job("placed")]

@app.job("placed")
def placed(job, context):
    return [context.depth, context.root_id]

@app.spawn("broken")
def broken(context):
    yield Job("leaf")
    raise KeyError("half way")

@app.spawn("crashing")
def crashing(context):
    yield Job("leaf")
    os._exit(5)

@app.spawn("no_jobs")
def no_jobs(context):
    return "text"

class Told(SpawnHandler):
    def spawn_jobs(self, context):
        return ()

    def on_spawn_complete(self, result):
        Path(result.operation_id).write_text(str(os.getpid()))

app.register_handler("told", Told)

class Careful(SpawnHandler):
    def validate_spawn(self, parent, config):
        if "refuse" in parent.payload:
            raise ValueError("not this one")

    async def spawn_jobs(self, context):
        return [Job("leaf")]

    def on_spawn_complete(self, result):
        raise RuntimeError(f"told of {result.children}")

app.register_handler("careful", Careful)
"""

on_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])
"""For what the database has nothing to do with."""


forked = pytest.mark.usefixtures("forked_processes")


@pytest.fixture
def work(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs jobs by handlers of a module, in processes, until there is nothing more to do."""
    (tmp_path / "isolated_app.py").write_text(textwrap.dedent(HANDLERS))
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*jobs: Job, **options: Any) -> Any:
        stage.enqueue(*jobs)
        settings = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "isolation": "process", **options}
        retry = RetryStrategy.fixed(timedelta(0))
        return Worker(stage.queue, "isolated_app:app", retry=retry, **settings).run()

    return run


def result(stage: Stage, job: Job | str) -> Any:
    return json.loads(stage.one(job, "result_data"))


@on_sqlite
def test_jobs_run_one_after_the_other_in_a_process_without_our_signal_handlers(stage: Stage, work: Any) -> None:
    first, second, talk = Job("where"), Job("where"), Job("async", {"text": "東京"})
    work(first, second, talk)
    one, two = result(stage, first), result(stage, second)
    assert one == two
    assert one["pid"] != os.getpid()
    assert one["signals"] == ["SIG_IGN", "SIG_DFL"]
    assert one["blocked"] == 0
    assert result(stage, talk) == {"text": "東京"}
    assert not is_there(one["pid"])


def is_there(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@on_sqlite
def test_a_hanging_handler_is_killed_with_all_it_has_started_and_its_slot_goes_on(
    stage: Stage, work: Any, tmp_path: Path
) -> None:
    hanging = Job("hang", {"file": str(tmp_path / "pids")}, timeout=timedelta(seconds=1))
    after = Job("where").as_low_priority()
    report = work(hanging, after)
    assert stage.status(hanging, after) == [JobStatus.TIMED_OUT, JobStatus.COMPLETED]
    assert stage.one(hanging, "error_message") == "It did not end within 1 s."
    assert (report.completed, report.failed, report.unreturned) == (1, 1, 0)
    assert_gone((tmp_path / "pids").read_text())


def assert_gone(pids: str) -> None:
    """Soon none of these processes is there."""
    give_up = time.monotonic() + 30
    while any(is_there(int(pid)) for pid in pids.split()):
        assert time.monotonic() < give_up, pids
        time.sleep(0.01)


@forked
@on_sqlite
def test_a_process_that_dies_fails_its_attempt_only(stage: Stage, work: Any) -> None:
    said = ["exit code 3", "killed by SIGSEGV", "killed by SIGKILL"]
    payloads: list[dict[str, int]] = [{}, {"signal": 11}, {"signal": 9}]
    crashes = [Job("crash", payload, max_attempts=1) for payload in payloads]
    crashes[0].max_attempts, after = 2, Job("where").as_low_priority()
    report = work(*crashes, after)
    assert stage.status(*crashes, after) == [JobStatus.DEAD] * 3 + [JobStatus.COMPLETED]
    assert [stage.one(crash, "attempts") for crash in crashes] == [2, 1, 1]
    errors = [stage.one(crash, "error_message") for crash in crashes]
    assert [words in error for words, error in zip(said, errors, strict=True)] == [True] * 3, errors
    assert (report.completed, report.failed) == (1, 4)


@forked
@on_sqlite
def test_a_process_is_killed_only_for_the_run_that_it_serves(
    work: Any, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del work  # its module is there
    answer = tmp_path / "answer"
    monkeypatch.syspath_prepend(str(tmp_path))
    both = processes("isolated_app:app", DatabaseUrl.parse(sqlite_url))
    told = both.handlers(load_handlers("isolated_app:app"))._named("told")

    def served(run: object) -> str:
        both.ready(run)
        told.on_spawn_complete(SpawnResult("", str(answer), "told", 0, (), datetime.now(UTC)))
        return answer.read_text()

    thread = threading.get_ident()
    first = served(1)
    both.kill(thread, 1)
    second = served(2)
    both.kill(thread, 1)
    assert first != second == served(3)
    both.kill(thread, 3)
    with pytest.raises(HammerworkError, match="Nobody waits"):  # such a run gets no other process, either
        told.on_spawn_complete(SpawnResult("", str(answer), "told", 0, (), datetime.now(UTC)))
    both.close()
    both.forget()
    with pytest.raises(HammerworkError, match="Nobody waits"):
        both.ready(4)


@forked
@on_sqlite
def test_an_answer_that_nobody_asked_for_ends_the_process_and_half_an_answer_stops_nobody(
    stage: Stage, work: Any
) -> None:
    forged = [Job("forges", kind, max_attempts=1) for kind in ("late", "noise", "half")]
    after = Job("where").as_background()
    report = work(*forged, after)
    assert stage.status(*forged, after) == [JobStatus.DEAD] * 3 + [JobStatus.COMPLETED]
    errors = [stage.one(job, "error_message") for job in forged]
    assert ["not asked" in errors[0], "not a message" in errors[1], "SIGKILL" in errors[2]] == [True] * 3, errors
    assert "pid" in result(stage, after)
    assert (report.completed, report.failed) == (1, 3)


@forked
@on_sqlite
def test_errors_of_context_spawn_are_the_same_in_threads_and_in_processes(stage: Stage, work: Any) -> None:
    told = []
    for isolation in ("thread", "process"):
        asks = Job("asks", {"count": 0}).with_spawn_config(SpawnConfig(handler="fan", max_spawn_count=1))
        work(asks, isolation=isolation)
        told.append(json.loads(stage.one(asks, "result_data").replace(asks.id, "ID")))
    assert told[0] == told[1]
    assert [kind for kind, _, _ in told[0]].count("UsageError") == 1


@forked
@on_sqlite
def test_handlers_in_processes_report_how_far_they_are(
    stage: Stage, work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = Job("reports", {}).with_spawn_config(SpawnConfig(max_spawn_count=7))
    working = threading.Thread(target=work, args=(job,), kwargs={"lease": 2.0})
    working.start()
    until(lambda: [(one.share, one.text) for one in progress.reported(stage.database)] == [(999 / 2000, "part 999")])
    (tmp_path / "go_on").touch()
    working.join(PATIENCE)
    assert result(stage, job) == 7


@on_sqlite
def test_handlers_in_processes_inherit_neither_the_web_token_nor_the_url(
    stage: Stage, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("HAMMERWORK_")]:
        monkeypatch.delenv(name)
    for name in ("HAMMERWORK_WEB_TOKEN", "HAMMERWORK_DATABASE_URL", "DATABASE_URL", "HAMMERWORK_LOG_LEVEL"):
        monkeypatch.setenv(name, "theirs")
    environment = Job("environment")
    work(environment)
    assert result(stage, environment) == [["HAMMERWORK_LOG_LEVEL"], "theirs", stage.queue.url.raw]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what has left the process's group goes on")
def test_nothing_goes_on_when_a_worker_is_killed_whatever_its_handlers_hold(
    sqlite_url: str, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    with contextlib.closing(connect(sqlite_url)) as database:
        migrations.run(database)
    (tmp_path / "script.py").write_text(
        textwrap.dedent(HANDLERS) + "if __name__ == '__main__':\n    from hammerwork_cli import Queue, Worker\n"
        f"    Queue({sqlite_url!r}).enqueue(Job('holds_the_gil'))\n"
        f"    Worker({sqlite_url!r}, '__main__:app', isolation='process').run()\n"
    )
    environment = {**clean_environment, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, env=environment) as worker:
        try:
            give_up = time.monotonic() + 60
            while not (tmp_path / "pids").exists():
                assert time.monotonic() < give_up
                assert worker.poll() is None
                time.sleep(0.05)
        finally:
            worker.kill()
    assert_gone((tmp_path / "pids").read_text())


@forked
@on_sqlite
def test_errors_come_with_the_place_where_they_arose(stage: Stage, work: Any) -> None:
    fails, odd = Job("fails", max_attempts=1), Job("odd", max_attempts=1)
    work(fails, odd)
    error = stage.one(fails, "error_message")
    assert error.startswith("ValueError: no such thing\n\nTraceback")
    assert "isolated_app.py" in error.splitlines()[3]
    assert stage.one(odd, "error_message").startswith("The result cannot be stored.")


@forked
def test_children_come_in_batches_whoever_makes_them(stage: Stage, work: Any) -> None:
    fan = Job("fan", {"count": 401}).with_spawn_config(SpawnConfig(max_spawn_count=2000))
    other, empty = Job("async_fan"), Job("fan", {"count": 0})
    work(fan, other, empty, concurrency=2)
    assert stage.status(fan, other, empty) == [JobStatus.COMPLETED] * 3
    assert [len(stage.children(parent)) for parent in (fan, other, empty)] == [401, 3, 0]
    assert stage.rows(where="status <> 'Completed'") == []


@forked
def test_a_limit_stops_the_handler_and_its_process_goes_on(stage: Stage, work: Any) -> None:
    fan = Job("fan", {"count": 1000}, max_attempts=1).with_spawn_config(SpawnConfig(max_spawn_count=250))
    limited = Job("limited").with_spawn_config(SpawnConfig(handler="fan", max_spawn_count=1, on_error="complete"))
    root = Job("rooted")
    work(fan, limited, root)
    ((placed,),) = stage.children(root)
    assert result(stage, placed) == [1, root.id]
    assert "max_spawn_count allows 250" in stage.one(fan, "error_message")
    assert stage.children(fan) == []
    assert "max_spawn_count allows 1" in result(stage, limited)
    assert len(stage.children(limited)) == 1


@forked
def test_children_by_key_are_found_again_after_a_crash(stage: Stage, work: Any) -> None:
    keyed = Job("keyed")
    work(keyed)
    assert stage.one(keyed, "status, attempts") == (JobStatus.COMPLETED, 2)
    assert len(stage.children(keyed)) == 2


@forked
@on_sqlite
def test_spawn_handlers_that_fail_say_why_and_spawn_nothing(stage: Stage, work: Any) -> None:
    names = ("broken", "crashing", "no_jobs")
    jobs = [Job(name, max_attempts=1) for name in names]
    refused, told = Job("careful", {"refuse": 1}, max_attempts=1), Job("careful", {})
    work(*jobs, refused, told)
    errors = [stage.one(job, "error_message") for job in (*jobs, refused)]
    assert errors[0].startswith("The spawn handler failed: KeyError: 'half way'. Nothing was spawned.\n\nTraceback")
    assert "exit code 5" in errors[1]
    assert errors[2].startswith("The spawn handler returned a value of type str")
    assert errors[3].startswith("validate_spawn of careful refused: not this one")
    assert stage.status(*jobs, refused, told) == [JobStatus.DEAD] * 4 + [JobStatus.COMPLETED]
    assert [len(stage.children(job)) for job in (*jobs, refused, told)] == [0, 0, 0, 0, 1]
    [hook] = stage.database.query("SELECT hook_error FROM hammerwork_spawn_operations WHERE hook_error IS NOT NULL")
    assert hook[0].startswith("RuntimeError: told of 1\n\nTraceback")


@on_sqlite
def test_handlers_without_a_name_are_refused(stage: Stage, work: Any, app: Handlers) -> None:
    with pytest.raises(UsageError, match="by name"):
        stage.work(app, isolation="process")
    with pytest.raises(UsageError, match="thread, process or an executor"):
        stage.work(app, isolation="fibre")
    with pytest.raises(UsageError, match="named"):
        Worker(stage.queue, "isolated_app:app", isolation="process").with_spawn_manager(Handlers())
    for name in ("isolated_app:nothing", "isolated_app:other", "isolated_other:app", "app"):
        with pytest.raises(ConfigError) as caught:
            Worker(stage.queue, name)
        assert isinstance(caught.value, HammerworkError)


@forked
@on_sqlite
def test_a_request_to_spawn_again_is_fulfilled_in_a_process(stage: Stage, work: Any) -> None:
    parent = Job("careful", {}).with_spawn_handler("careful")
    work(parent)
    for _ in range(2):
        spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
        work()
    assert [request.state for request in spawn_requests.requests(stage.database, parent.id)] == ["done"] * 2
    assert len(stage.children(parent)) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Worker(URL, 'unguarded:app', isolation='process', drain=True).run()", "must not start a worker"),
        ("Queue(URL).enqueue(Job('where'))", "must not enqueue jobs"),
    ],
)
def test_a_module_without_the_guard_starts_no_worker_and_writes_no_job_in_the_processes_that_import_it(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    (tmp_path / "guarded.py").write_text(textwrap.dedent(HANDLERS))
    imports = "import sys\nfrom hammerwork_cli import Job, Queue, Worker\nfrom guarded import app"
    last = f"if 'pytest' not in sys.modules:\n    {line}"
    # The process of the worker below has imported it: only those that it starts run the last line.
    (tmp_path / "unguarded.py").write_text(f"{imports}\nURL = {lite.url!r}\n{last}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "unguarded", raising=False)
    (job,) = lite.enqueue(Job("where", max_attempts=1))
    Worker(lite.queue, "unguarded:app", isolation="process", drain=True, poll_interval=0.05).run()
    error = lite.one(job, "error_message")
    assert said in error
    assert 'put that below `if __name__ == "__main__":`' in error
    assert "importlib" not in error
    assert len(lite.rows()) == 1


def test_a_module_that_starts_a_worker_while_it_is_imported_for_its_handlers_is_refused(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"Worker({lite.url!r}, app, drain=True).run()\n"
    (tmp_path / "starting.py").write_text(f"{textwrap.dedent(HANDLERS)}\nfrom hammerwork_cli import Worker\n{line}")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="must not start a worker"):
        Worker(lite.queue, "starting:app", drain=True)
