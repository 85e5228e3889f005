"""Coroutines on the event loop of a worker, by themselves: who ends them, and who hears of it."""

import asyncio
import inspect
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from hammerwork_cli.runtime.execution import event_loop as module
from hammerwork_cli.runtime.execution.event_loop import LAST_SECONDS, EventLoop
from hammerwork_cli.runtime.outcomes.failures import JobError, OutOfTimeError
from tests.unit.runtime.test_slots import PATIENCE, until

FAR = 3600.0


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    made = EventLoop()
    yield made
    made.cancel(PATIENCE)
    made.close()


class Ends:
    """How coroutines have ended, in their order."""

    def __init__(self) -> None:
        self.of: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        def done(value: Any, error: BaseException | None) -> None:
            assert name not in self.of, "it is handed over once"
            self.of[name] = value if error is None else type(error)

        return done


async def here() -> int:
    return threading.get_ident()


async def sleeps(begun: threading.Event) -> None:
    begun.set()
    await asyncio.sleep(FAR)


def test_the_thread_of_a_loop_is_known_and_ends_with_the_program(loop: EventLoop) -> None:
    assert loop.thread is None
    assert loop.result(here(), None) == loop.thread
    assert loop._turning is not None
    assert loop._turning._deadlines is None, "it needs no thread for deadlines yet"
    loop.result(here(), time.monotonic() + FAR)
    names = {"hammerwork-loop", "hammerwork-deadlines"}
    assert {thread.name for thread in threading.enumerate() if thread.daemon} >= names


def test_a_loop_is_waited_for_when_nothing_runs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[Any] = []
    monkeypatch.setattr(module._Loop, "join", lambda _, seconds: joined.append(seconds))
    EventLoop().close()
    assert joined == []
    idle, busy, ends = EventLoop(), EventLoop(), Ends()
    idle.result(here(), None)
    idle.close()
    assert joined == [LAST_SECONDS]
    begun = threading.Event()
    busy.start(sleeps(begun), None, ends("sleeps"))
    assert begun.wait(PATIENCE)
    busy.close()
    assert joined == [LAST_SECONDS]
    busy.cancel(PATIENCE)
    assert ends.of == {"sleeps": asyncio.CancelledError}


def test_the_coroutine_of_one_owner_is_cancelled_as_at_its_deadline(loop: EventLoop) -> None:
    loop.cancel_of("nobody")  # without a loop
    ends = Ends()
    for owner, deadline in (("a", None), ("b", time.monotonic() + FAR), ("c", None)):
        loop.start(asyncio.sleep(FAR), deadline, ends(owner), owner)
    loop.cancel_of("b")
    until(lambda: ends.of)
    assert ends.of == {"b": OutOfTimeError}
    loop.cancel_of("a")
    until(lambda: len(ends.of) == 2)
    assert ends.of == {"b": OutOfTimeError, "a": OutOfTimeError}


def test_a_coroutine_that_cannot_start_is_closed_with_the_one_that_it_waits_for(
    loop: EventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    outer, inner = here(), here()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            loop.start(outer, None, Ends()("never"), None, inner)
    assert [inspect.getcoroutinestate(one) for one in (outer, inner)] == [inspect.CORO_CLOSED] * 2


def test_a_loop_that_is_over_takes_no_coroutine_and_fails_those_that_it_has(loop: EventLoop) -> None:
    ends, begun = Ends(), threading.Event()
    loop.start(sleeps(begun), None, ends("sleeps"))
    assert begun.wait(PATIENCE)
    turning: Any = loop._turning
    turning.end("It is over.")
    assert ends.of == {"sleeps": JobError}
    refused = here()
    with pytest.raises(JobError, match=r"It is over\."):
        turning.submit(module._Run(refused, math.inf, ends("refused"), None, None))
    refused.close()
    assert loop.result(here(), None) != turning.ident, "the next one runs in another loop"
    turning.finish()


def test_a_coroutine_sees_the_context_variables_of_its_caller_and_its_end_sees_none(loop: EventLoop) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    async def sees() -> str:
        seen.append(variable.get())
        variable.set("of the coroutine")
        return "done"

    async def starts() -> None:
        variable.set("of the other")
        loop.start(sees(), None, lambda *_: seen.append(variable.get()))

    loop.result(starts(), None)
    until(lambda: len(seen) == 2)
    assert seen == ["of the other", "unset"]


def test_a_loop_goes_on_after_a_coroutine_that_exits_or_stops_it(
    loop: EventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def exits() -> None:
        raise SystemExit(3)

    async def stops() -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return "done"

    async def raises() -> None:
        asyncio.get_running_loop().call_soon(exit_now)
        await asyncio.sleep(0.01)

    def exit_now() -> None:
        raise SystemExit(4)

    with pytest.raises(SystemExit):
        loop.result(exits(), None)
    thread = loop.thread
    assert loop.result(stops(), None) == "done"
    loop.result(raises(), None)
    assert loop.result(here(), None) == thread
    assert caplog.messages == ["A coroutine raised SystemExit in the event loop, which goes on."]


def test_a_loop_that_a_coroutine_closes_fails_the_others_and_the_next_one_runs_in_another(loop: EventLoop) -> None:
    ends = Ends()

    async def closes() -> None:
        inner: Any = asyncio.get_running_loop()
        for task in asyncio.all_tasks():
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio would say so once it is deleted
        inner.run_forever = inner.close
        inner.stop()

    loop.start(asyncio.sleep(FAR), None, ends("sleeps"))
    first = loop._turning
    loop.start(closes(), None, ends("closes"))
    until(lambda: len(ends.of) == 2)
    assert ends.of == {"closes": None, "sleeps": JobError}
    assert loop.result(here(), None) == loop.thread
    assert loop._turning is not first


@pytest.mark.parametrize("with_task", [True, False])
def test_tasks_and_generators_that_coroutines_leave_behind_end_with_the_loop(
    monkeypatch: pytest.MonkeyPatch, with_task: bool
) -> None:
    monkeypatch.setattr(module, "LAST_SECONDS", PATIENCE)
    kept: list[Any] = []
    ended: list[str] = []

    async def task() -> None:
        try:
            await asyncio.sleep(FAR)
        finally:
            await asyncio.sleep(0.01)
            ended.append("task")

    async def generator() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("generator")

    async def leaves() -> None:
        left = generator()
        kept.append(left)
        async for _ in left:
            break
        if with_task:
            kept.append(asyncio.create_task(task()))
            await asyncio.sleep(0)

    loop = EventLoop()
    loop.result(leaves(), None)
    loop.close()
    assert ended == ["task"] * with_task + ["generator"]


def test_a_coroutine_that_blocks_the_loop_fails_the_others_and_the_log_says_where_it_is(
    loop: EventLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(module, "BLOCKED_SECONDS", 0.05)
    ends, begun, blocks, released = Ends(), threading.Event(), threading.Event(), threading.Event()

    async def blocks_here() -> None:
        blocks.set()
        released.wait(PATIENCE)

    loop.start(sleeps(begun), None, ends("sleeps"))
    assert begun.wait(PATIENCE)
    first: Any = loop._turning
    loop.start(blocks_here(), None, ends("blocks"), "owner")
    assert blocks.wait(PATIENCE)
    unstarted = here()
    loop.start(unstarted, None, ends("unstarted"))
    loop.cancel_of("owner")
    until(lambda: len(ends.of) == 3)
    assert ends.of == {"sleeps": JobError, "blocks": OutOfTimeError, "unstarted": JobError}
    assert inspect.getcoroutinestate(unstarted) == inspect.CORO_CLOSED
    until(lambda: caplog.messages)
    (said,) = caplog.messages
    assert said.startswith("A coroutine does not yield and blocks the others")
    assert "in blocks_here" in said
    assert isinstance(loop.result(here(), None), int)
    assert loop._turning is not first
    released.set()
    first.join(PATIENCE)
    assert not first.is_alive()
