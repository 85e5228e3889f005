"""Processes of handlers are replaced in time, and a job finds nothing that another one has changed of its process."""

import json
import os
import textwrap
from collections.abc import Callable
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, Worker
from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.isolation import parent
from tests.runtime.conftest import Stage

pytestmark = pytest.mark.sqlite

HANDLERS = """
import asyncio, atexit, ctypes, locale, os, resource, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from hammerwork_cli import Handlers

app = Handlers()
kept = []
over = threading.Event()

def note(event):
    with open("events", "a") as file:
        print(os.getpid(), event, file=file)

@app.lifespan
def life():
    atexit.register(note, "atexit")
    yield
    note("end")
    over.set()

@app.resource
def pool():
    yield
    note("close pool")

@app.job("plain")
def plain(job, context):
    context.use(pool)
    note("job")
    return os.getpid()

@app.job("grows")
def grows(job):
    kept.append(bytearray(os.urandom(1 << 20)) * job.payload)
    while job.payload > 300:
        time.sleep(60)
    return os.getpid()

def state():
    umask = os.umask(0)
    os.umask(umask)
    return {
        "cwd": os.path.exists("recycled_app.py"),
        "umask": umask,
        "variable": [os.environ.get(name) for name in ("ADDED", "HOME", "LANG")],
        "soft limit": resource.getrlimit(resource.RLIMIT_NOFILE),
        "handler": str(signal.getsignal(signal.SIGUSR1)),
        "mask": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "niceness": os.nice(0),
        "locale": locale.setlocale(locale.LC_ALL),
        "time zone": time.strftime("%Z"),
        "recursion": sys.getrecursionlimit(),
        "variable of C": [bool(ctypes.CDLL(None).getenv(name)) for name in (b"BY_PUTENV", b"PATH")],
        "affinity": sorted(getattr(os, "sched_getaffinity", bool)(0) or ()),
    }

def change(axis):
    if axis == "cwd":
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
    elif axis == "umask":
        os.umask(0o123)
    elif axis == "variable":
        os.environ.update(ADDED="1", HOME="/elsewhere")
        os.environ.pop("LANG", None)
    elif axis == "soft limit":
        resource.setrlimit(resource.RLIMIT_NOFILE, (77, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    elif axis == "handler":
        signal.signal(signal.SIGUSR1, print)
    elif axis == "mask":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    elif axis == "alarm":
        signal.alarm(100)
    elif axis == "niceness":
        os.nice(3)
    elif axis == "locale":
        locale.setlocale(locale.LC_ALL, "C")
    elif axis == "time zone":
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()
    elif axis == "recursion":
        sys.setrecursionlimit(1234)
    elif axis == "variable of C":
        os.putenv("BY_PUTENV", "1")
        os.unsetenv("PATH")
    elif axis == "affinity":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

@app.job("changes")
def changes(job):
    before = state()
    change(job.payload)
    return [before, state()]

@app.job("for_good")
def for_good(job):
    found = [os.getpid(), os.getuid(), resource.getrlimit(resource.RLIMIT_CORE)]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getuid() == 0:
        os.setuid(65534)
    return found

def run_on():
    over.wait()
    note("end of thread")

@app.job("leaves thread")
def leaves_thread(job):
    note("job")
    threading.Thread(target=run_on, name="mailer").start()
    return os.getpid()

@app.job("leaves task")
async def leaves_task(job):
    note("job")
    kept.append(asyncio.create_task(asyncio.sleep(60)))
    return os.getpid()

@app.job("leaves work")
def leaves_work(job):
    note("job")
    ThreadPoolExecutor().submit(run_on)
    return os.getpid()

pool_of_module = ThreadPoolExecutor(2)

@app.resource
def ticker():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield
    over.set()
    thread.join()

@app.resource
async def beat():
    task = asyncio.create_task(asyncio.sleep(60))
    yield
    task.cancel()

@app.job("keeps threads")
def keeps_threads(job, context):
    context.use(ticker)
    threading.Thread(target=time.sleep, args=[60], daemon=True).start()
    pool_of_module.submit(time.sleep, 0).result()
    threading.Thread(target=time.sleep, args=[0.005]).start()  # is about to end
    return os.getpid()

@app.job("keeps tasks")
async def keeps_tasks(job, context):
    await context.use(beat)
    await asyncio.to_thread(time.sleep, 0)
    asyncio.create_task(asyncio.sleep(60)).cancel()
    return os.getpid()
"""


@pytest.fixture
def work(lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs jobs by handlers of a module, in one process at a time, until there is nothing more to do."""
    (tmp_path / "recycled_app.py").write_text(textwrap.dedent(HANDLERS))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*jobs: Job, **options: Any) -> Any:
        lite.enqueue(*jobs)
        retry = RetryStrategy.fixed(timedelta(0))
        settings = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "isolation": "process", **options}
        return Worker(lite.queue, "recycled_app:app", retry=retry, **settings).run()

    return run


def result(stage: Stage, job: Job) -> Any:
    return json.loads(stage.one(job, "result_data"))


def _cpus() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def events(folder: Path) -> list[list[str]]:
    return [line.split(maxsplit=1) for line in (folder / "events").read_text().splitlines()]


def test_a_process_is_replaced_after_so_many_jobs_and_ends_as_any_program(
    lite: Stage, work: Any, tmp_path: Path
) -> None:
    jobs = [Job("plain") for _ in range(3)]
    assert work(*jobs, max_jobs_per_process=2).completed == 3
    first, second = dict.fromkeys(result(lite, job) for job in jobs)
    ends = ["close pool", "end", "atexit"]
    assert [event for pid, event in events(tmp_path) if pid == str(first)] == ["job", "job", *ends]
    assert [event for pid, event in events(tmp_path) if pid == str(second)] == ["job", *ends]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_process_that_keeps_too_much_memory_is_replaced_between_two_jobs(
    lite: Stage, work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "MEMORY_SECONDS", 600)  # it is not looked at while it runs a handler
    small, large, after = Job("grows", 1), Job("grows", 250).as_low_priority(), Job("grows", 1).as_background()
    work(small, large, after, max_memory=200 << 20)
    assert result(lite, small) == result(lite, large) != result(lite, after)
    assert [event for pid, event in events(tmp_path) if pid == str(result(lite, large))] == ["end", "atexit"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_process_that_grows_too_large_is_killed_and_its_attempt_fails_with_the_reason(lite: Stage, work: Any) -> None:
    large, after = Job("grows", 350, max_attempts=1), Job("grows", 1).as_low_priority()
    report = work(large, after, max_memory=300 << 20)
    assert (report.completed, report.failed) == (1, 1)
    said = lite.one(large, "error_message")
    start, end = "The process that ran the handler was killed: it used ", " MiB of memory, and max_memory is 300 MiB."
    assert said.startswith(start)
    assert said.endswith(end)
    assert 300 < int(said.removeprefix(start).removesuffix(end)) < 2000


@pytest.mark.usefixtures("forked_processes")
def test_a_job_finds_its_process_as_if_no_other_had_run_in_it(lite: Stage, work: Any) -> None:
    axes = ("cwd", "umask", "variable", "soft limit", "handler", "mask", "alarm", "locale", "time zone", "recursion")
    axes += ("variable of C",) + (("affinity",) if len(_cpus()) > 1 else ())
    axes += ("niceness",) if os.nice(0) < 17 else ()
    jobs = {axis: Job("changes", axis) for axis in axes}
    assert work(*jobs.values()).failed == 0
    found = {axis: result(lite, job) for axis, job in jobs.items()}
    before = found["cwd"][0]
    assert [axis for axis in axes if found[axis][0] != before] == []
    assert [axis for axis in axes if found[axis][1][axis] == before[axis]] == []


@pytest.mark.usefixtures("forked_processes")
def test_a_process_that_a_handler_has_changed_for_good_is_replaced(lite: Stage, work: Any) -> None:
    first, second = Job("for_good"), Job("for_good")
    work(first, second)
    (pid, *before), (other, *after) = result(lite, first), result(lite, second)
    assert before == after
    assert (pid != other) == (os.getuid() == 0 or before[1] != [0, 0])


def test_a_process_in_which_a_handler_leaves_something_running_ends_before_the_next_job(
    lite: Stage, work: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = {
        "leaves thread": "the thread 'mailer'",
        "leaves task": "the task 'sleep'",
        "leaves work": "the thread 'ThreadPoolExecutor-1_0'",
    }
    jobs = [*map(Job, left)]
    assert work(*jobs).completed == 3
    pids = {str(result(lite, job)): job.queue for job in jobs}
    assert len(pids) == 3
    lives = [(pid, [event for _, event in some]) for pid, some in groupby(events(tmp_path), lambda event: event[0])]
    thread = ["job", "end", "end of thread", "atexit"]
    assert dict(lives) == {
        pid: ["job", "end", "atexit"] if queue == "leaves task" else thread for pid, queue in pids.items()
    }
    assert len(lives) == 3  # one after the other
    said = [record.getMessage() for record in caplog.records if " running, so " in record.getMessage()]
    assert sorted(said) == sorted(
        f"The handler of {queue!r} leaves {names} running, so another process runs the next job. Wait for its end, or "
        "start it in an @app.resource."
        for queue, names in left.items()
    )


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("queue", ["keeps threads", "keeps tasks"])
def test_threads_that_libraries_and_resources_keep_running_stays_and_so_does_the_process(
    queue: str, lite: Stage, work: Any
) -> None:
    jobs = [Job(queue) for _ in range(3)]
    assert work(*jobs).completed == 3
    assert len({result(lite, job) for job in jobs}) == 1


def test_limits_for_processes_are_refused_where_handlers_run_in_threads(lite: Stage) -> None:
    for options in ({"max_memory": 2 << 30}, {"max_jobs_per_process": 100}):
        with pytest.raises(UsageError, match="runs handlers in threads") as caught:
            Worker(lite.queue, Handlers(), queues=["a"], **options)  # type: ignore[arg-type]
        assert caught.value.hint == 'Set isolation="process" (--isolation process) too.'
    with pytest.raises(UsageError, match="max_memory must be a whole number from 1048576"):
        Worker(lite.queue, Handlers(), queues=["a"], isolation="process", max_memory=2)


def test_names_of_celery_lead_to_the_options(lite: Stage) -> None:
    with pytest.raises(TypeError, match=r"'max_tasks_per_child'\. Use max_jobs_per_process=\.\.\.\."):
        Worker(lite.queue, Handlers(), max_tasks_per_child=100)  # type: ignore[call-arg]
