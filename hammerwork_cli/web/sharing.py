"""One answer for all who ask the same at the same time: many who watch cost the database no more than one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

FRESH_SECONDS = 1.0
MOST_KEPT = 200
ROOM = 1 << 24


class Shared(Generic[Answer]):
    """Answers by question, each kept for a moment.

    A question that is being asked is not asked twice. After :meth:`forget`, nobody is given what was found before, nor
    what is being looked for now.

    Args:
        fresh_for: seconds, from the moment of the asking.
        size: bytes that an answer takes.
        room: bytes that all the answers together may take that were found and are kept.
    """

    def __init__(
        self,
        fresh_for: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        *,
        size: Callable[[Answer], int] = lambda _: 0,
        room: int = ROOM,
    ) -> None:
        self._fresh_for = fresh_for
        self._clock = clock
        self._size = size
        self._room = room
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Answer]]] = {}

    async def ask(self, question: Hashable, find: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a question, found now or a moment ago."""
        kept = self._kept.get(question)
        if kept is None or self._is_stale(*kept):
            kept = self._clock(), asyncio.ensure_future(find())
            self._make_room()
            kept[1].add_done_callback(self._on_found)
            self._kept[question] = kept
        # One who goes away leaves the others waiting for the answer.
        return await asyncio.shield(kept[1])

    def _is_stale(self, asked_at: float, answer: "asyncio.Future[Answer]") -> bool:
        if not answer.done():
            return False
        return self._clock() - asked_at >= self._fresh_for or answer.cancelled() or answer.exception() is not None

    def _make_room(self) -> None:
        for question in [question for question, kept in self._kept.items() if self._is_stale(*kept)]:
            del self._kept[question]
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]

    def _on_found(self, answer: "asyncio.Future[Answer]") -> None:
        """Forgets the oldest answers where there is no room for all."""
        # Nobody may be there any more to be told of an error, so it is looked at here.
        if answer.cancelled() or answer.exception() is not None:
            return
        sizes = {
            question: self._size(found.result())
            for question, (_, found) in self._kept.items()
            if found.done() and not found.cancelled() and found.exception() is None
        }
        excess = sum(sizes.values()) - self._room
        for question, size in sizes.items():
            if excess <= 0:
                return
            del self._kept[question]
            excess -= size

    def forget(self) -> None:
        """Begins anew: something has changed."""
        self._kept.clear()
