"""The thread of the event loop ends with its worker."""

import asyncio
import contextlib
import gc
import inspect
import threading
import time
from concurrent.futures import CancelledError
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Worker, WorkerReport
from hammerwork_cli.runtime.execution import event_loop
from hammerwork_cli.runtime.execution.attempt_runner import _InLoop
from hammerwork_cli.runtime.execution.event_loop import EventLoop
from hammerwork_cli.runtime.outcomes.failures import OutOfTimeError
from tests.runtime.conftest import Stage, until


def loops() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "hammerwork-loop"}


@pytest.mark.sqlite
def test_a_worker_that_ends_leaves_no_thread_of_its_event_loop(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "LAST_SECONDS", 60.0)  # the machine may be busy
    during: list[int] = []
    left: list[str] = []

    async def left_behind() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            left.append("cleaned up")

    @app.job("async")
    async def later(job: Job) -> None:
        during.append(len(loops() - before))
        tasks.append(asyncio.create_task(left_behind()))
        await asyncio.sleep(0)

    before = loops()
    tasks: list[asyncio.Task[None]] = []
    for _ in range(3):
        lite.enqueue(Job("async"), Job("async"))
        lite.work(app)
    assert during == [1] * 6
    assert left == ["cleaned up"] * 6
    assert loops() - before == set()


def test_of_a_coroutine_that_nothing_ends_no_line_of_asyncio_reaches_the_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_loop, "LAST_SECONDS", 0.05)

    async def goes_on() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    before, loop = loops(), EventLoop()
    with pytest.raises(OutOfTimeError):
        loop.result(goes_on(), time.monotonic())
    loop.close()
    until(lambda: loops() == before)
    del loop
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


def test_a_coroutine_that_an_abandoned_attempt_starts_after_the_end_of_the_worker_leaves_no_thread() -> None:
    before, loop = loops(), EventLoop()
    loop.close()
    assert loop.result(asyncio.sleep(0, "done"), None) == "done"
    until(lambda: loops() == before)


def test_a_coroutine_does_not_wait_for_a_loop_that_is_ending() -> None:
    before, loop = loops(), EventLoop()
    ending, ends = threading.Event(), threading.Event()

    def hold() -> None:
        ending.set()
        ends.wait(60)

    async def last() -> None:
        asyncio.get_running_loop().call_soon(hold)

    seen: list[str] = []
    loop.close()
    loop.result(last(), None)
    assert ending.wait(60)
    loop.start(asyncio.sleep(0, "done"), None, lambda value, _: seen.append(value))
    until(lambda: seen == ["done"])
    ends.set()
    until(lambda: loops() == before)


@pytest.mark.parametrize("is_coroutine", [True, False])
def test_a_function_around_a_handler_can_be_cancelled_where_the_handler_is_a_coroutine(is_coroutine: bool) -> None:
    loop, seen = EventLoop(), list[bool]()
    attempt: Any = SimpleNamespace(deadline=None, awaits=None)

    async def around() -> str:
        seen.append(attempt.awaits is awaitable)
        return "done"

    awaitable = around()
    assert _InLoop(loop, attempt, is_coroutine=is_coroutine).wait(awaitable) == "done"
    assert (seen, attempt.awaits) == ([is_coroutine], None)
    loop.close()


def test_a_coroutine_that_another_one_cancels_before_its_first_step_has_an_end() -> None:
    ended: list[BaseException | None] = []
    loop = EventLoop()

    async def second() -> None:
        await asyncio.sleep(3600)

    cancelled = second()

    async def first() -> None:
        loop.start(cancelled, None, lambda _, error: ended.append(error))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    loop.result(first(), None)
    until(lambda: ended)
    assert isinstance(ended[0], CancelledError)
    assert inspect.getcoroutinestate(cancelled) == inspect.CORO_CLOSED
    loop.close()


def test_a_loop_whose_thread_the_system_refuses_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start, refused = threading.Thread.start, ["hammerwork-loop", "hammerwork-deadlines"]

    def refusing(thread: threading.Thread) -> None:
        if thread.name in refused:
            refused.remove(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    async def one() -> int:
        return 1

    monkeypatch.setattr(threading.Thread, "start", refusing)
    loop = EventLoop()
    asked = one()
    with pytest.raises(RuntimeError):
        loop.result(asked, None)
    asked.close()
    far = time.monotonic() + 3600
    assert [loop.result(one(), far) for _ in range(2)] == [1, 1]
    assert refused == []
    loop.close()


def test_each_coroutine_ends_at_its_own_deadline_whatever_came_before() -> None:
    ended: list[tuple[str, BaseException | None]] = []
    loop = EventLoop()

    def start(name: str, seconds: float) -> None:
        loop.start(asyncio.sleep(3600), time.monotonic() + seconds, lambda _, error: ended.append((name, error)))

    start("far", 3600)
    start("near", 0.1)  # the thread of deadlines waits for the far one already
    until(lambda: [name for name, _ in ended] == ["near"])
    start("next", 0.1)  # after a deadline
    until(lambda: [name for name, _ in ended] == ["near", "next"])
    loop.cancel(60)
    assert [name for name, _ in ended] == ["near", "next", "far"]
    start("last", 0.1)  # after a time without any
    until(lambda: len(ended) == 4)
    kinds = [OutOfTimeError, OutOfTimeError, asyncio.CancelledError, OutOfTimeError]
    assert [type(error) for _, error in ended] == kinds
    loop.close()


def test_a_coroutine_that_has_timed_out_says_so_although_its_worker_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "GRACE_SECONDS", 3600)
    errors: list[BaseException | None] = []
    loop = EventLoop()
    for since in (-1, 60):
        loop.start(asyncio.sleep(3600), time.monotonic() + since, lambda _, error: errors.append(error))
    loop.cancel(60)
    assert {type(error).__name__ for error in errors} == {"OutOfTimeError", "CancelledError"}
    loop.close()


def test_cancelling_waits_for_coroutines_as_long_as_they_run_or_as_it_may() -> None:
    ended: list[object] = []
    loop, begun, go_on = EventLoop(), threading.Event(), threading.Event()

    async def refuses() -> str:
        begun.set()
        while not go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return "ended"

    def slowly(_: object, error: BaseException | None) -> None:
        time.sleep(0.1)
        ended.append(type(error).__name__)

    loop.cancel(3600)  # nothing runs
    loop.start(asyncio.sleep(3600), None, slowly)
    loop.cancel(3600)
    assert ended == ["CancelledError"]
    loop.start(refuses(), None, lambda value, _: ended.append(value))
    assert begun.wait(60)
    loop.cancel(0.05)
    assert ended == ["CancelledError"]
    go_on.set()
    until(lambda: ended == ["CancelledError", "ended"])
    loop.close()


@pytest.mark.sqlite
def test_a_loop_that_a_coroutine_blocks_ends_when_that_returns(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "BLOCKED_SECONDS", 0.1)
    released = threading.Event()

    @app.job("blocks")
    async def blocks(job: Job) -> None:
        released.wait(60)

    before = loops()
    (job,) = lite.enqueue(Job("blocks").with_timeout(timedelta(seconds=1)))
    lite.work(app)
    assert lite.status(job) == ["TimedOut"]
    assert len(loops() - before) == 1
    released.set()
    until(lambda: loops() - before == set())


@pytest.mark.sqlite
def test_a_worker_that_stops_at_once_cancels_coroutines_before_it_gives_their_jobs_back(
    lite: Stage, app: Handlers
) -> None:
    begun, cleaned = threading.Event(), []

    @app.job("long")
    async def long(job: Job) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.2)
            cleaned.extend(lite.status(job))

    before = loops()
    (job,) = lite.enqueue(Job("long"))
    reports: list[WorkerReport] = []
    worker = Worker(lite.queue, app, poll_interval=0.05)
    thread = threading.Thread(target=lambda: reports.append(worker.run()))
    thread.start()
    assert begun.wait(60)
    worker.stop(now=True)
    thread.join(60)
    assert cleaned == ["Running"]
    assert lite.one(job, "status, attempts") == ("Pending", 0)
    assert [report.unreturned for report in reports] == [0]
    until(lambda: loops() - before == set())


@pytest.mark.sqlite
def test_a_coroutine_that_refuses_to_end_with_its_worker_goes_on_and_its_thread_ends_with_it(
    lite: Stage, app: Handlers
) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    @app.job("long")
    async def long(job: Job) -> None:
        begun.set()
        while not go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        ended.set()

    before = loops()
    lite.enqueue(Job("long"))
    worker = Worker(lite.queue, app, poll_interval=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert begun.wait(60)
    worker.stop(now=True)
    thread.join(60)
    assert not thread.is_alive()
    assert len(loops() - before) == 1
    go_on.set()
    assert ended.wait(60)
    until(lambda: loops() - before == set())
