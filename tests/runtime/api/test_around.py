"""Functions around handlers: each kind around each kind of handler, wherever that runs."""

import asyncio
import importlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Discard, Handlers, Job, Queue, SpawnContext, UsageError, Worker
from hammerwork_cli.testing import run
from tests.runtime.conftest import Stage, until

KINDS = ("ss", "aa", "sa", "as", "sas", "asa")
"""Functions around a handler, the first outermost: a ``def`` or an ``async def``."""
APPS = """
import asyncio
from contextvars import ContextVar
from hammerwork_cli import Cancel, Discard, Handlers, Retry, Snooze
from datetime import timedelta

seen = ContextVar("seen", default="")
LATER = timedelta(hours=1)
ENDS = {"retry": Retry(LATER), "snooze": Snooze(LATER), "discard": Discard("no"), "cancel": Cancel("no")}
saw = []

def answer(job):
    if job.payload in ENDS:
        raise ENDS[job.payload]
    return [seen.get()]

def sync(name):
    def around(job, context, call):
        seen.set(f"{seen.get()}{name}(")
        try:
            return [*call(), f"{name})"]
        except Exception as error:
            saw.append(error)
            raise
    return around

def coroutine(name):
    async def around(job, context, call):
        seen.set(f"{seen.get()}{name}(")
        await asyncio.sleep(0)
        try:
            return [*await call(), f"{name})"]
        except Exception as error:
            saw.append(error)
            raise
    return around

def made(kinds):
    app = Handlers()
    for number, kind in enumerate(kinds):
        app.around({"s": sync, "a": coroutine}[kind](f"{kind}{number}"))

    @app.job("sync")
    def sync_handler(job):
        asyncio.run(asyncio.sleep(0))  # as some do
        return answer(job)

    @app.job("async")
    async def later(job, context):
        await asyncio.sleep(0)
        return answer(job)

    app.register_job("hidden", lambda job: later(job, None))
    return app
"""
exec(compile(APPS, "apps", "exec"), namespace := {"__name__": "apps"})  # noqa: S102  processes import it as well
made: Callable[[str], Handlers] = namespace["made"]


def wanted(kinds: str) -> list[str]:
    names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
    return ["".join(f"{name}(" for name in names), *(f"{name})" for name in reversed(names))]


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.sqlite
@pytest.mark.parametrize("kinds", KINDS)
def test_each_kind_is_around_each_kind_of_handler_in_threads_processes_and_tests(
    kinds: str, lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"apps_{kinds}"
    (tmp_path / f"{module}.py").write_text(f"{APPS}\napp = made({kinds!r})\n")
    monkeypatch.chdir(tmp_path)
    queues = ("sync", "async", "hidden")
    for queue in queues:
        assert run(made(kinds), Job(queue)).result == wanted(kinds)
    # A process calls them as a thread does: the longest two are enough there.
    for isolation in ("thread", *(["process"] if len(kinds) == 3 else [])):
        jobs = lite.enqueue(*(Job(queue) for queue in queues))
        report = Worker(Queue(lite.url), f"{module}:app", drain=True, concurrency=1, isolation=isolation).run()
        assert (report.completed, report.failed) == (3, 0)
        assert [lite.queue.get(job).result for job in jobs] == [wanted(kinds)] * 3


@pytest.mark.sqlite
@pytest.mark.parametrize("kinds", ["s", "a"])
def test_it_sees_every_end_that_a_handler_wants(kinds: str, lite: Stage) -> None:
    ends = {"retry": "Retrying", "snooze": "Pending", "discard": "Dead", "cancel": "Cancelled"}
    app = made(kinds)
    for queue in ("sync", "async"):
        for end, status in ends.items():
            assert run(app, Job(queue, end)).status == status
    jobs = lite.enqueue(*(Job(queue, end) for queue in ("sync", "async") for end in ends))
    lite.work(app)
    assert lite.status(*jobs) == ["Pending", "Pending", "Dead", "Failed"] * 2
    assert Counter(type(error).__name__.lower() for error in namespace["saw"]) == dict.fromkeys(ends, 4)
    namespace["saw"].clear()


TYPED = """
from dataclasses import dataclass
from hammerwork_cli import Handlers, Job, UsageError

app = Handlers()

@dataclass
class Paid:
    order: int

@app.around
def around(job, context, call):
    try:
        return [type(job.payload).__name__, call()]
    except UsageError as error:
        return [type(job.payload).__name__, error.message]

@app.job("sync")
def sync(job: Job[Paid]):
    return job.payload.order

@app.job("async")
async def later(job: Job[Paid]):
    return job.payload.order
"""


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.sqlite
def test_it_sees_the_payload_as_the_handler_and_the_error_of_one_that_cannot_be_read(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "typed_around.py").write_text(TYPED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    handlers = importlib.import_module("typed_around").app
    cases = [(queue, {"order": order}) for queue in ("sync", "async") for order in (7, "x")]
    refused = ["dict", "The payload of the job is no Paid: order must be a whole number, not text."]
    assert [run(handlers, Job(*case)).result for case in cases] == [["Paid", 7], refused] * 2
    for isolation in ("thread", "process"):
        jobs = lite.enqueue(*(Job(*case) for case in cases))
        Worker(Queue(lite.url), "typed_around:app", drain=True, concurrency=1, isolation=isolation).run()
        assert [lite.queue.get(job).result for job in jobs] == [["Paid", 7], refused] * 2


def test_it_calls_a_handler_once_or_gives_a_result_of_its_own(app: Handlers) -> None:
    calls: list[str] = []

    @app.job("sync")
    def sync(job: Job) -> str:
        calls.append("sync")
        return "the handler's"

    @app.job("async")
    async def later(job: Job) -> str:
        return sync(job)

    @app.around
    def twice(job: Job, context: SpawnContext, call: Callable[[], Any]) -> Any:
        if job.payload == "never":
            return {"cached": True}
        return [call() for _ in range(2 if job.payload == "twice" else 1)]

    @app.around
    async def atwice(job: Job, context: SpawnContext, call: Callable[[], Awaitable[Any]]) -> Any:
        return [await call() for _ in range(2 if job.payload == "atwice" else 1)]

    for queue in ("sync", "async"):
        assert run(app, Job(queue, "never")).result == {"cached": True}
        assert calls == []
        assert run(app, Job(queue)).result == [["the handler's"]]
        for payload in ("twice", "atwice"):
            assert "calls it twice" in (run(app, Job(queue, payload)).error or "")
        assert calls == ["sync"] * 3
        calls.clear()


@pytest.mark.sqlite
def test_a_timeout_cancels_a_coroutine_around_a_handler_and_is_seen_where_a_thread_waits_for_one(
    lite: Stage, app: Handlers
) -> None:
    seen: list[str] = []
    go_on = threading.Event()

    @app.around
    def outside(job: Job, context: SpawnContext, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BaseException as error:
            seen.append(f"{job.queue}: {type(error).__name__}")
            raise

    @app.around
    async def inside(job: Job, context: SpawnContext, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except asyncio.CancelledError:
            seen.append(f"{job.queue}: cancelled")
            if job.queue == "sync":
                go_on.set()
            raise

    @app.job("sync", timeout=timedelta(milliseconds=300))
    def sync(job: Job) -> None:
        go_on.wait(20)

    @app.job("async", timeout=timedelta(milliseconds=300))
    async def later(job: Job) -> None:
        await asyncio.sleep(60)

    jobs = lite.enqueue(Job("async"), Job("sync"))
    report = lite.work(app)
    assert report.failed == 2
    assert lite.status(*jobs) == ["TimedOut", "TimedOut"]
    until(lambda: len(seen) == 4)  # the outcomes are written while the thread still returns
    assert sorted(seen) == [
        "async: OutOfTimeError",
        "async: cancelled",
        "sync: OutOfTimeError",
        "sync: cancelled",
    ]


@pytest.mark.sqlite
def test_coroutines_around_coroutines_need_no_thread_each(lite: Stage, app: Handlers) -> None:
    begun: list[int] = []
    threads: list[int] = []
    name: ContextVar[int] = ContextVar("name")

    @app.around
    async def around(job: Job, context: SpawnContext, call: Callable[[], Awaitable[Any]]) -> Any:
        name.set(job.payload)
        return await call()

    @app.job("sleeps")
    async def sleeps(job: Job) -> int:
        begun.append(name.get())
        while len(begun) < 500:
            await asyncio.sleep(0.05)
        threads.append(threading.active_count())
        return name.get()

    before = threading.active_count()
    jobs = lite.enqueue(*(Job("sleeps", number) for number in range(500)))
    assert lite.work(app, concurrency=500).completed == 500
    assert max(threads) - before < 20
    assert lite.queue.results([jobs[7]]) == {jobs[7].id: 7}


def test_it_has_the_context_and_is_merged_once_with_the_applications_own(app: Handlers) -> None:
    part = Handlers()
    order: list[str] = []

    @app.around
    def outer(job: Job, context: SpawnContext, call: Callable[[], Any]) -> Any:
        order.append(f"outer {context.parent_job is job} {context.depth}")
        return call()

    @part.around
    def inner(job: Job, context: SpawnContext, call: Callable[[], Any]) -> Any:
        order.append("inner")
        return call()

    @part.job("part")
    def handler(job: Job) -> None:
        raise Discard("no")

    again = Handlers()
    again.around(inner)
    app.include(part)
    app.include(again)
    assert run(app, Job("part")).error == "no"
    assert order == ["outer True 0", "inner"]


def test_a_function_that_cannot_be_around_a_handler_is_refused(app: Handlers) -> None:
    def yields(job: Job, context: SpawnContext, call: Callable[[], Any]) -> Any:
        yield call()

    for function, said in ((lambda job: job, r"called with \(job, context, call\)"), (yields, "cannot be a generator")):
        with pytest.raises(UsageError, match=said):
            app.around(function)  # type: ignore[type-var]


def test_an_error_keeps_the_traceback_from_the_function_around_it_on(app: Handlers) -> None:
    @app.around
    async def around(job: Job, context: SpawnContext, call: Callable[[], Awaitable[Any]]) -> Any:
        return await call()

    @app.job("fails")
    def fails(job: Job) -> None:
        raise OSError("no")

    error = run(app, Job("fails")).error or ""
    assert error.startswith("OSError: no\n\nTraceback")
    assert [line.split()[-1] for line in error.splitlines() if "test_around.py" in line] == ["around", "fails"]
