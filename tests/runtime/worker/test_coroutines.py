"""Coroutines run without a thread each, and keep every promise that handlers in threads have."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnContext, Worker
from hammerwork_cli.runtime.api.around import makes_coroutines
from hammerwork_cli.runtime.execution import event_loop
from tests.runtime.conftest import Stage, until

AT_ONCE = RetryStrategy.fixed(timedelta(0))
PATIENCE = 60.0


def slots() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("hammerwork-slot")}


@pytest.mark.sqlite
def test_thousands_of_coroutines_sleep_at_once_in_a_handful_of_threads(lite: Stage, app: Handlers) -> None:
    begun: list[int] = []
    threads: list[int] = []

    class Sleeps:
        async def __call__(self, job: Job) -> int:
            begun.append(job.payload)
            while len(begun) < 3_000:
                await asyncio.sleep(1)
            threads.append(threading.active_count())
            return 2 * int(job.payload)

    app.register_job("sleeps", Sleeps())
    jobs = lite.enqueue(*(Job("sleeps", number) for number in range(3_000)))
    before = threading.active_count()
    report = lite.work(app, concurrency=3_000)
    assert (report.completed, report.failed, report.unreturned) == (3_000, 0, 0)
    assert max(threads) - before < 20
    assert lite.queue.results([jobs[0], jobs[2_999]]) == {jobs[0].id: 0, jobs[2_999].id: 2 * 2_999}


@pytest.mark.sqlite
def test_no_more_jobs_run_at_once_than_the_concurrency_says_be_they_coroutines_or_not(
    lite: Stage, app: Handlers
) -> None:
    running, most, go_on = Counter[str](), Counter[str](), threading.Event()

    def count(queue: str, by: int) -> None:
        with lock:
            running[queue] += by
            most[queue] = max(most[queue], running[queue])
            most["all"] = max(most["all"], sum(running.values()))

    @app.job("async")
    async def later(job: Job) -> None:
        count("async", 1)
        await asyncio.sleep(0.001)
        count("async", -1)
        if job.payload == "last":
            go_on.set()

    @app.job("sync")
    def now(job: Job) -> None:
        count("sync", 1)
        assert go_on.wait(PATIENCE)
        count("sync", -1)

    lock = threading.Lock()
    # The first two keep their threads until the last coroutine has run beside them.
    blocking = [Job("sync").with_priority("critical") for _ in range(2)]
    lite.enqueue(*blocking, *(Job("async") for _ in range(200)), Job("async", "last").with_priority("low"))
    report = lite.work(app, concurrency=4)
    assert (report.completed, most["sync"]) == (203, 2)
    assert most["all"] == 4
    lite.enqueue(*(Job("sync") for _ in range(8)), *(Job("async") for _ in range(8)))
    assert lite.work(app, concurrency=4).completed == 16
    assert most["all"] == 4


@pytest.mark.sqlite
def test_a_coroutine_that_runs_out_of_time_is_cancelled_and_frees_its_slot_even_if_it_goes_on(
    lite: Stage, app: Handlers
) -> None:
    cleaned: list[str] = []
    released = threading.Event()

    @app.job("slow")
    async def slow(job: Job) -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cleaned.append(job.payload)
            while job.payload == "stubborn" and not released.is_set():
                await asyncio.sleep(0.01)
        return "too late"

    @app.job("fails", retry=AT_ONCE)
    async def fails(job: Job) -> int:
        await asyncio.sleep(0.001)
        return 1 // (job.attempts - 1)

    @app.job("own")
    async def own(job: Job) -> None:
        raise TimeoutError("its own")

    second, own_ones = timedelta(seconds=1), [Job("own", max_attempts=1).with_timeout(timedelta(hours=1))]
    late = [Job("slow", "stubborn").with_timeout(second), *(Job("slow", "a").with_timeout(second) for _ in range(5))]
    again = [Job("fails").with_timeout(timedelta(hours=1)) for _ in range(5)]
    lite.enqueue(*late, *again, *own_ones)
    lite.work(app, concurrency=3)
    released.set()
    assert set(lite.status(*late)) == {"TimedOut"}
    # A coroutine that ends before its timeout is written gets the second sentence.
    said = {"It did not end within 1 s.", "It took too long and was cancelled."}
    assert {lite.one(job, "error_message").partition("\n")[0] for job in late} <= said
    until(lambda: sorted(cleaned) == ["a"] * 5 + ["stubborn"])  # the worker may end before the last one notices
    assert [lite.one(job, "status, attempts") for job in again] == [("Completed", 2)] * 5
    assert lite.status(*own_ones) == ["Dead"]
    assert lite.one(own_ones[0], "error_message").startswith("TimeoutError: its own")


@pytest.mark.sqlite
def test_jobs_that_follow_one_that_blocks_the_loop_run_in_another_loop_at_their_first_attempt(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "BLOCKED_SECONDS", 0.5)
    released = threading.Event()

    @app.job("blocks")
    async def blocks(job: Job) -> None:
        released.wait(PATIENCE)

    @app.job("follows")
    async def follows(job: Job) -> int:
        await asyncio.sleep(0)
        return job.attempts

    blocking = Job("blocks").with_timeout(timedelta(seconds=1)).with_priority("critical")
    following = [Job("follows") for _ in range(3)]
    lite.enqueue(blocking, *following)
    try:
        lite.work(app, concurrency=1)
        assert lite.status(blocking) == ["TimedOut"]
        assert lite.queue.results(following) == {job.id: 1 for job in following}
    finally:
        released.set()


@pytest.mark.parametrize("now", [True, False])
def test_a_worker_that_stops_while_coroutines_sleep_gives_back_or_waits(stage: Stage, app: Handlers, now: bool) -> None:
    begun, go_on, before = threading.Semaphore(0), threading.Event(), slots()

    @app.job("sleeps")
    async def sleeps(job: Job) -> str:
        begun.release()
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        return "woke"

    running = [Job("sleeps") for _ in range(30)]
    once, waiting = Job("sleeps", max_attempts=1), [Job("sleeps").with_priority("low") for _ in range(5)]
    stage.enqueue(*running, once, *waiting)
    worker = Worker(stage.queue, app, poll_interval=0.05, concurrency=31)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(worker.run()))
    thread.start()
    for _ in range(31):
        assert begun.acquire(timeout=PATIENCE)
    assert len(slots() - before) < 10
    worker.stop(now=now)
    if not now:
        time.sleep(0.3)
        assert set(stage.status(*running, once)) == {"Running"}
        go_on.set()
    thread.join(PATIENCE)
    go_on.set()
    (report,) = reports
    assert {stage.one(job, "status, attempts") for job in waiting} == {("Pending", 0)}
    if now:
        assert {stage.one(job, "status, attempts") for job in running} == {("Pending", 0)}
        assert (stage.one(once), report.completed, report.unreturned) == ("Dead", 0, 0)
    else:
        assert set(stage.status(*running, once)) == {"Completed"}
        assert (report.completed, report.unreturned) == (31, 0)
    until(lambda: not slots() - before)


@pytest.mark.sqlite
def test_spawn_handlers_that_wait_run_side_by_side_after_their_coroutines(lite: Stage, app: Handlers) -> None:
    together = threading.Barrier(2, timeout=20)

    @app.job("parent")
    async def ran(job: Job) -> None:
        await asyncio.sleep(0)

    @app.spawn("parent")
    def children(context: SpawnContext) -> list[Job]:
        together.wait()
        return [Job("noop")]

    lite.enqueue(Job("parent"), Job("parent"))
    report = lite.work(app, concurrency=2)
    assert (report.completed, report.failed) == (4, 0)


def test_parents_that_are_coroutines_spawn_once_they_have_ended(stage: Stage, app: Handlers) -> None:
    begun: list[str] = []
    threads: list[int] = []
    before = slots()

    @app.job("parent")
    async def parent(job: Job, context: SpawnContext) -> int:
        begun.append(job.id)
        while len(begun) < 40:
            await asyncio.sleep(0.01)
        threads.append(len(slots() - before))
        return int(job.payload)

    @app.spawn("parent")
    def children(context: SpawnContext) -> Iterator[Job]:
        yield from (Job("child", number) for number in range(context.result))

    @app.job("child")
    async def child(job: Job) -> None:
        await asyncio.sleep(0)

    parents = stage.enqueue(*(Job("parent", number % 3) for number in range(40)))
    report = stage.work(app, concurrency=40)
    assert (report.completed, report.failed) == (40 + 39, 0)
    assert [len(stage.children(job)) for job in parents] == [number % 3 for number in range(40)]
    assert min(threads) < 10


@pytest.mark.sqlite
def test_a_coroutine_shares_neither_variables_nor_errors_with_the_one_that_it_follows(
    lite: Stage, app: Handlers
) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    @app.job("sets", retry=AT_ONCE)
    async def sets(job: Job) -> None:
        seen.append(variable.get())
        variable.set(job.id)
        if job.payload % 5 == 4:
            raise ValueError(f"of job {job.payload}")

    jobs = lite.enqueue(*(Job("sets", number) for number in range(100)))
    lite.work(app, concurrency=1)
    assert set(seen) == {"unset"}
    errors = [lite.one(job, "error_message") for job in jobs[4::5]]
    assert all(
        error.startswith(f"ValueError: of job {number}") for number, error in zip(range(4, 100, 5), errors, strict=True)
    )
    assert not any("During handling" in error for error in errors)


@pytest.mark.sqlite
def test_a_worker_that_gets_no_further_thread_runs_its_jobs_in_those_it_has(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = threading.Thread.start
    at_once: list[int] = []
    before = slots()

    def start(thread: threading.Thread) -> None:
        if thread.name == "hammerwork-slot-2":
            raise RuntimeError("can't start new thread")
        real(thread)

    def sync(job: Job) -> None:
        at_once.append(len(slots() - before))
        time.sleep(0.01)

    monkeypatch.setattr(threading.Thread, "start", start)
    app.register_job("sync", sync)
    lite.enqueue(*(Job("sync") for _ in range(20)))
    assert lite.work(app, concurrency=5).completed == 20
    assert max(at_once) == 2
    assert caplog.text.count("The system refuses another thread: 2 run handlers.") == 1


def test_a_handler_is_a_coroutine_function_or_an_object_that_is_called_like_one() -> None:
    class Called:
        async def __call__(self, job: Job) -> None: ...

    async def function(job: Job) -> None: ...

    handlers: list[Any] = [function, Called(), print, lambda job: function(job)]
    assert [makes_coroutines(handler) for handler in handlers] == [True, True, False, False]
