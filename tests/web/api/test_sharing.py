"""What many who ask and watch share, without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hammerwork_cli.errors import RetryableError
from hammerwork_cli.web.events import WAITING_EVENTS, Hub, Watcher, written
from hammerwork_cli.web.reports import Reports
from hammerwork_cli.web.sending import PATIENCE_SECONDS, Transit
from hammerwork_cli.web.sharing import MOST_KEPT, Shared


class Source:
    """Something to ask, which counts how often it is."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.shared: Shared[str] = Shared(1.0, lambda: self.now)

    def ask(self, question: str) -> Awaitable[str]:
        async def find() -> str:
            self.asked.append(question)
            await self.free.wait()
            if question == "bad":
                raise LookupError(question)
            return f"{question} {len(self.asked)}"

        return self.shared.ask(question, find)


def run(test: Callable[[Source], Awaitable[Any]]) -> None:
    async def begin() -> None:
        await test(Source())

    asyncio.run(begin())


def test_a_question_in_progress_is_not_asked_twice() -> None:
    async def test(source: Source) -> None:
        source.free.clear()
        waiting = [asyncio.ensure_future(source.ask("one")) for _ in range(10)]
        await asyncio.sleep(0)
        source.free.set()
        assert set(await asyncio.gather(*waiting)) == {"one 1"}
        assert source.asked == ["one"]

    run(test)


def test_an_answer_serves_for_a_moment_from_when_it_was_asked_for() -> None:
    async def test(source: Source) -> None:
        assert await source.ask("one") == "one 1"
        source.now = 0.9
        assert await source.ask("one") == "one 1"
        assert await source.ask("two") == "two 2"
        source.now = 1.0
        assert await source.ask("one") == "one 3"

    run(test)


def test_after_a_change_nobody_is_given_what_was_found_before_or_is_being_found() -> None:
    async def test(source: Source) -> None:
        await source.ask("old")
        source.free.clear()
        under_way = asyncio.ensure_future(source.ask("one"))
        await asyncio.sleep(0)
        source.shared.forget()
        later = asyncio.ensure_future(source.ask("one"))
        await asyncio.sleep(0)
        source.free.set()
        assert (await under_way, await later) == ("one 3", "one 3")
        assert source.asked == ["old", "one", "one"]
        assert await source.ask("old") == "old 4"

    run(test)


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    async def test(source: Source) -> None:
        source.free.clear()
        waiting = [asyncio.ensure_future(source.ask("bad")) for _ in range(3)]
        await asyncio.sleep(0)
        source.free.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in found] == [LookupError] * 3
        with pytest.raises(LookupError):
            await source.ask("bad")
        assert source.asked == ["bad", "bad"]

    run(test)


def test_one_who_goes_away_leaves_the_answer_to_the_others() -> None:
    async def test(source: Source) -> None:
        source.free.clear()
        leaving, staying = (asyncio.ensure_future(source.ask("one")) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        source.free.set()
        assert await staying == "one 1"

    run(test)


def test_no_more_answers_are_kept_than_there_is_room_for() -> None:
    async def test(source: Source) -> None:
        for number in range(3 * MOST_KEPT):
            await source.ask(str(number))
        assert len(source.shared._kept) <= MOST_KEPT
        before = len(source.asked)
        await source.ask(str(3 * MOST_KEPT - 1))
        assert len(source.asked) == before

    run(test)


def test_answers_that_are_kept_are_bounded_in_bytes_too() -> None:
    async def test() -> None:
        asked: list[str] = []
        shared: Shared[str] = Shared(size=len, room=100)

        async def ask(question: str) -> str:
            async def find() -> str:
                asked.append(question)
                return question[0] * int(question[1:])

            return await shared.ask(question, find)

        for question in ("a60", "b30", "b30", "c30", "b30", "c30", "a60", "d101", "d101"):
            assert set(await ask(question)) == {question[0]}
        # c made a go, and what is larger than the room is never kept.
        assert asked == ["a60", "b30", "c30", "a60", "d101", "d101"]

    asyncio.run(test())


def test_large_answers_take_a_bounded_room_and_who_does_not_read_makes_way() -> None:
    async def test() -> None:
        now = 0.0
        transit = Transit(100, lambda: now)
        ended: list[str] = []

        async def send(name: str, content: object, size: int) -> None:
            try:
                with transit.place(content, size):
                    await asyncio.sleep(3600)
            finally:
                ended.append(name)

        same = object()
        tasks = [asyncio.create_task(send(name, same, 60)) for name in ("one", "two", "three")]
        await asyncio.sleep(0)
        assert not ended, "the same for several takes its room once"
        other = asyncio.create_task(send("other", object(), 60))
        await asyncio.sleep(0)
        assert ended == ["other"]
        assert isinstance(other.exception(), RetryableError)
        now += PATIENCE_SECONDS
        other = asyncio.create_task(send("other", object(), 60))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ended == ["other", "one", "two", "three"]
        other.cancel()
        await asyncio.gather(other, *tasks, return_exceptions=True)
        with transit.place(object(), 1000):
            """Alone it may be as large as it is."""

    asyncio.run(test())


def test_errors_are_logged_once_a_minute_and_ten_at_most() -> None:
    now = 0.0
    told: list[str] = []
    reports = Reports(told.append, lambda: now)
    for number in range(30):
        reports(f"error {number % 15}\n\x1b]0;title\x07")
    assert told == [f"error {number}\n\\x1b]0;title\\x07" for number in range(10)]
    now += 61
    reports("error 1")
    assert told[10:] == ["10 further errors were left out.", "error 1"]


def test_a_hub_that_has_stopped_takes_nobody_new() -> None:
    async def test() -> None:
        async def ask(work: Any) -> Any:
            raise AssertionError(work)

        hub = Hub(ask, on_change=list, record=lambda _: {}, report=print)
        hub.stop()
        with pytest.raises(RetryableError, match="stopping"):
            await hub.watch("127.0.0.1", (), None)
        assert not hub.watchers

    asyncio.run(test())


def test_a_slow_reader_is_reset() -> None:
    async def test() -> None:
        watcher = Watcher()
        for number in range(WAITING_EVENTS + 5):
            watcher.send(written("jobs", {"number": number}))
        waiting = [watcher.events.get_nowait() for _ in range(watcher.events.qsize())]
        assert waiting[0] == written("reset", {"reason": "too_slow"})
        assert waiting[1:] == [written("jobs", {"number": WAITING_EVENTS + number}) for number in range(1, 5)]
        for _ in range(2 * WAITING_EVENTS):
            watcher.send("event")
        watcher.close()
        last = [watcher.events.get_nowait() for _ in range(watcher.events.qsize())][-1]
        assert last is None

    asyncio.run(test())


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    text = written("jobs", {"queue": "a\nb\r\n\x00data: x\u2028"}, 7)
    assert text.startswith("event: jobs\nid: 7\ndata: {")
    assert text.endswith("}\n\n")
    assert text.count("\n") == 4
    assert "\r" not in text
