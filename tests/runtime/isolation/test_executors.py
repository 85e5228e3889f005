"""Handlers on executors that a team has already: Dask's, loky's, those of Python, and any other."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from hammerwork_cli import Job, JobStatus, RetryStrategy, SpawnConfig, Worker
from hammerwork_cli.errors import ConfigError, UsageError
from hammerwork_cli.features.tree.queries.progress import reported
from hammerwork_cli.runtime.execution import node
from tests.forks import Fork
from tests.runtime.conftest import PATIENCE, Stage, until

pytestmark = pytest.mark.sqlite

HANDLERS = """
import multiprocessing, os, signal, time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import loky
from hammerwork_cli import Cancel, Discard, Handlers, Job, Retry, Snooze

app = Handlers()
nothing = 7

def made():
    with open(os.environ["EVENTS"], "a") as file:
        print("made", file=file)

def pool():
    made()
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

def lokys():
    made()
    return loky.ProcessPoolExecutor(1)

def fails():
    raise OSError("no scheduler")

def client():
    return Path()

@app.resource
def greeting():
    yield f"hello from {os.getpid()}"

@app.around
def outside(job, context, call):
    context._hand_down({"traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"})
    result = call()
    return {**result, "around": os.getpid()} if isinstance(result, dict) else result

@app.job("where")
def where(job, context):
    stored = context.queue.get(job)
    return {
        "pid": os.getpid(), "text": (job.payload or {}).get("text"), "status": stored.status, "depth": context.depth,
        "ignores Ctrl-C": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "room": context.room, "deadline": context.deadline is not None, "greeting": context.use(greeting),
    }

@app.job("async")
async def asynchronous(job, context):
    return {"sum": sum(context.results().values())}

@app.job("ends")
def ends(job):
    if job.attempts > 1:
        return job.attempts
    raise {
        "retry": Retry(timedelta(0), "later"), "discard": Discard("bad"), "cancel": Cancel("nobody needs it"),
        "error": ValueError("no such thing"),
    }[job.payload]

@app.job("dies")
def dies(job):
    if job.attempts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return job.attempts

@app.job("reports")
def reports(job, context):
    for number in range(1000):
        context.progress(number / 2000, f"part {number}")
    waited = 0
    while not os.path.exists(job.payload):
        time.sleep(0.02)
        waited += 1
        if waited % 250 == 0:  # a report that cannot be written is lost
            context.progress(number / 2000, f"part {number}")

@app.job("hangs")
def hangs(job):
    Path(f"{job.payload}.new").write_text(str(os.getpid()))
    os.rename(f"{job.payload}.new", job.payload)
    time.sleep(30)

@app.job("parent")
def parent(job):
    return 3

@app.spawn("parent")
def children(context):
    for number in range(context.result):
        yield Job("number", number + 1)

@dataclass
class Amount:
    cents: int

@app.job("number")
def number(job):
    return job.payload

@app.job("typed")
def typed(job: Job[Amount]):
    return job.payload.cents

@app.job("early")
def early(job, context):
    context.spawn(Job("number", 1), key="one")

@app.job("here")
def here(job):
    return os.getpid()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("executors")
    (made / "engine_app.py").write_text(textwrap.dedent(HANDLERS))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(made))
        patch.setenv("PYTHONPATH", str(made))
        patch.setenv("EVENTS", str(made / "events"))
        yield made
    sys.modules.pop("engine_app", None)


CLUSTER = """
import sys
import dask
from distributed import LocalCluster

if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    options = {"dashboard_address": None, "silence_logs": 50, "local_directory": "."}
    with LocalCluster(n_workers=1, threads_per_worker=4, **options) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Executor]:
    """Dask's executor, on one node of four threads, in a process of its own: Dask changes the environment."""
    (folder / "cluster.py").write_text(CLUSTER)
    command, pipe = [sys.executable, "cluster.py"], subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, process_group=0
    ) as made:
        try:
            assert made.stdout is not None
            with Client(made.stdout.readline().strip()) as client:
                yield client.get_executor()
        finally:
            os.killpg(made.pid, signal.SIGKILL)  # at its end, it would wait for the tasks that hang


@pytest.fixture(params=["pool", "loky", "dask"])
def engine(request: pytest.FixtureRequest, folder: Path) -> Any:
    if request.param == "dask":
        return request.getfixturevalue("cluster")
    import engine_app

    return engine_app.pool if request.param == "pool" else engine_app.lokys


pool_and_dask = pytest.mark.parametrize("engine", ["pool", "dask"], indirect=True)
"""For what loky's processes have in common with those of a pool."""


@pytest.fixture
def work(lite: Stage, folder: Path) -> Callable[..., Any]:
    def run(isolation: Any, *jobs: Job, **options: Any) -> Any:
        lite.enqueue(*jobs)
        settings = {"drain": True, "poll_interval": 0.05, "concurrency": 4, **options}
        retry = RetryStrategy.fixed(timedelta(0))
        return Worker(lite.queue, "engine_app:app", retry=retry, isolation=isolation, **settings).run()

    return run


def result(stage: Stage, job: Job | str) -> Any:
    return json.loads(stage.one(job, "result_data"))


def test_a_handler_on_an_executor_has_what_it_has_elsewhere(lite: Stage, work: Any, engine: Any) -> None:
    where = Job("where", {"text": "東京"}, timeout=timedelta(minutes=1))
    where = where.with_spawn_config(SpawnConfig(max_descendants=7))
    parent, one, two, amount = Job("parent"), Job("number", 1), Job("number", 2), Job("typed", {"cents": 7})
    total = Job("async", dependencies=[one, two])
    ends = {word: Job("ends", word, max_attempts=2) for word in ("retry", "discard", "cancel", "error")}
    early = Job("early", max_attempts=2)
    work(engine, where, parent, one, two, amount, total, early, *ends.values())
    found = result(lite, where)
    pid = found.pop("pid")
    assert pid != os.getpid()
    assert found == {
        "text": "東京",
        "status": "Running",
        "depth": 0,
        "room": 7,
        "ignores Ctrl-C": callable(engine),  # a process of the worker's own pool
        "deadline": True,
        "greeting": f"hello from {pid}",
        "around": pid,
    }
    assert (result(lite, total)["sum"], result(lite, amount)) == (3, 7)
    children = lite.children(parent, "id, trace_id")
    assert sorted(result(lite, str(child)) for child, _ in children) == [1, 2, 3]
    assert {trace for _, trace in children} == {"ab" * 16}
    assert [lite.queue.get(job).status for job in ends.values()] == ["Completed", "Dead", "Cancelled", "Completed"]
    assert result(lite, ends["error"]) == 2
    assert lite.one(early) == "Dead"
    assert "A handler on an executor cannot spawn before it has returned." in lite.one(early, "error_message")


def test_a_handler_on_an_executor_reports_how_far_it_is(
    lite: Stage, work: Any, cluster: Executor, folder: Path
) -> None:
    job = Job("reports", str(folder / "goes on"))
    working = threading.Thread(target=work, args=(cluster, job), kwargs={"lease": 2.0})
    working.start()
    until(lambda: [(one.share, one.text) for one in reported(lite.database)] == [(999 / 2000, "part 999")])
    assert reported(lite.database)[0].reported_at >= lite.timestamp(job, "started_at").isoformat()[:19]
    (folder / "goes on").touch()
    working.join(PATIENCE)
    (folder / "goes on").unlink()
    assert lite.database.query("SELECT * FROM hammerwork_progress") == []


@pool_and_dask
def test_the_death_of_a_node_fails_one_attempt_and_another_executor_is_made(
    lite: Stage, work: Any, engine: Any, folder: Path
) -> None:
    (folder / "events").write_text("")
    dies, after = Job("dies", max_attempts=2), Job("number", 5).as_low_priority()
    report = work(engine, dies, after, concurrency=1)
    assert (report.completed, report.failed) == (2, 1)
    assert (result(lite, dies), result(lite, after)) == (2, 5)
    errors = lite.database.query("SELECT error_message FROM hammerwork_attempts")
    assert len(errors) == 1
    assert str(errors[0][0]).startswith("The executor lost the job: ")
    if callable(engine):
        assert (folder / "events").read_text().split() == ["made", "made"]


@pool_and_dask
def test_a_task_that_takes_too_long_is_given_up_and_holds_up_nothing(
    lite: Stage, work: Any, engine: Any, tmp_path: Path
) -> None:
    first = Job("number", 1)  # which waits until the handlers are loaded
    late = Job("hangs", str(tmp_path / "pid"), timeout=timedelta(seconds=1), dependencies=[first])
    began = time.monotonic()
    report = work(engine, first, late, concurrency=1)
    assert (report.completed, report.failed, report.unreturned) == (1, 1, 0)
    assert lite.one(late, "status, error_message") == (JobStatus.TIMED_OUT, "It did not end within 1 s.")
    assert time.monotonic() - began < 15
    if callable(engine):  # it was made by the worker, which ends what is left
        pid = int((tmp_path / "pid").read_text())
        until(lambda: not is_there(pid))


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_worker_start_names_the_executor_and_its_processes_end_with_a_worker_that_is_killed(
    lite: Stage, folder: Path, tmp_path: Path
) -> None:
    lite.enqueue(Job("hangs", str(tmp_path / "pid")))
    words = ("worker", "start", "--handlers", "engine_app:app", "--executor", "engine_app:pool", "-u", lite.url)
    with Fork(words, os.environ, folder) as worker:
        try:
            until((tmp_path / "pid").exists)
            assert int((tmp_path / "pid").read_text()) != worker.pid
        finally:
            worker.kill()
    until(lambda: not is_there(int((tmp_path / "pid").read_text())))


class Gathers(Executor):
    """Runs its tasks once so many have been submitted."""

    def __init__(self, number: int) -> None:
        self.number, self.threads = number, 0
        self.tasks: list[tuple[Future[Any], Callable[..., Any], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks.append((future, fn, args))
        if len(self.tasks) == self.number:
            self.threads = threading.active_count()
            threading.Thread(target=self.run).start()
        return future

    def run(self) -> None:
        for future, fn, args in self.tasks:
            future.set_result(fn(*args))


def test_a_thousand_tasks_of_one_worker_need_no_thread_each(lite: Stage, work: Any) -> None:
    gathers = Gathers(1000)
    report = work(gathers, *(Job("number", number) for number in range(1000)), concurrency=1000)
    assert report.completed == 1000
    assert 0 < gathers.threads < 40


def test_some_queues_run_on_an_executor_and_the_others_in_threads(lite: Stage, work: Any, cluster: Executor) -> None:
    where, here = Job("where"), Job("here")
    work({"where": cluster}, where, here)
    assert result(lite, where)["pid"] != os.getpid() == result(lite, here)


def test_the_worker_ends_its_attempts_when_a_job_is_cancelled(lite: Stage, cluster: Executor, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    (job,) = lite.enqueue(Job("hangs", str(file)))
    worker = Worker(lite.queue, "engine_app:app", isolation=cluster, lease=1.0, poll_interval=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(file.exists)
        lite.queue.cancel(job, force=True)
        until(lambda: lite.database.query("SELECT running FROM hammerwork_workers")[0][0] == 0)
    finally:
        worker.stop()
        thread.join(30)
    assert not thread.is_alive()
    assert lite.queue.get(job).status == "Cancelled"


def test_anything_but_an_executor_is_refused(lite: Stage, work: Any, folder: Path) -> None:
    import engine_app

    with pytest.raises(ConfigError, match="The executor cannot be made: OSError: no scheduler"):
        work(engine_app.fails)
    with pytest.raises(UsageError, match=r"must be a concurrent\.futures\.Executor, not \w*Path") as caught:
        work(engine_app.client)
    assert caught.value.hint == "A client of Dask has one: client.get_executor()."
    with pytest.raises(UsageError, match="'wheres', which has no handler"):
        work({"wheres": engine_app.pool})
    with pytest.raises(UsageError, match="must be an executor or a function that makes one, not 7"):
        work({"where": 7})
    with pytest.raises(UsageError, match="isolation must be thread, process or an executor, not int"):
        work(7)
    with pytest.raises(UsageError, match="runs handlers on executors"):
        work(engine_app.pool, max_memory=2 << 30)
    with pytest.raises(UsageError, match="find handlers by name"):
        Worker(lite.queue, print, queues=["where"], isolation=engine_app.pool).run()


class Cancels(Executor):
    """Cancels each task, as a scheduler does that has lost it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future


def test_a_task_that_the_executor_cancels_fails_its_attempt(lite: Stage, work: Any) -> None:
    job = Job("number", 1, max_attempts=1)
    assert work(Cancels(), job).failed == 1
    assert lite.one(job, "error_message") == "The executor cancelled the job."


def test_another_executor_is_made_when_one_takes_no_job_and_the_attempt_goes_on(lite: Stage, work: Any) -> None:
    with ThreadPoolExecutor(1) as closed:
        pass
    made = iter([closed, Gathers(1)])
    job = Job("number", 1, max_attempts=1)
    assert work(lambda: next(made), job).completed == 1


def test_an_executor_that_was_shut_down_is_named_in_the_error_of_each_attempt(lite: Stage, work: Any) -> None:
    with ThreadPoolExecutor(1) as closed:
        pass
    job = Job("number", 1, max_attempts=1)
    work(closed, job)
    assert lite.one(job, "error_message").startswith(
        "The executor takes no job, and the worker was not given a function that makes another one: RuntimeError: "
    )


def test_a_task_shows_no_secret_and_a_node_with_another_version_says_so() -> None:
    task = node.Task("mail 7", "0.0.1", b"password")
    assert "password" not in repr(task)
    assert node.run(task).reply.value.message.endswith(", and its worker 0.0.1: install that.")


def test_worker_start_names_the_executor_of_a_queue(lite: Stage, folder: Path, hammerwork: Callable[..., Any]) -> None:
    where, here = lite.enqueue(Job("where"), Job("here"))
    words = ("--handlers", "engine_app:app", "--app-dir", str(folder), "--executor", "where=engine_app:pool")
    done = hammerwork("worker", "start", *words, "--drain", url=lite.url, env={"EVENTS": str(folder / "events")})
    assert done.exit_code == 0, done.stderr
    assert result(lite, where)["pid"] != result(lite, here)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["engine_app:nothing"], 3, "engine_app:nothing is of type int, not an executor."),
        (["engine_app"], 3, "'engine_app' names no executor."),
        (["engine_app:pool", "where=engine_app:pool"], 2, "--executor is given for all queues"),
        (["engine_app:pool", "--isolation", "process"], 2, "--executor cannot be combined with --isolation."),
        (["engine_app:fails"], 3, "The executor cannot be made: OSError: no scheduler"),
    ],
)
def test_worker_start_refuses_what_is_no_executor(
    lite: Stage, folder: Path, hammerwork: Callable[..., Any], words: list[str], code: int, said: str
) -> None:
    first, *others = words
    given = ["--executor", first, *(["--executor"] if others and "=" in others[0] else []), *others]
    command = ("worker", "start", "--handlers", "engine_app:app", "--app-dir", str(folder), "--drain", *given)
    done = hammerwork(*command, url=lite.url, env={"EVENTS": str(folder / "events")})
    assert done.exit_code == code
    assert said in done.stderr
