"""Shares one answer between all clients that ask the same at the same time, to spare the database."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

FRESH_SECONDS = 1.0
MOST_KEPT = 200
ROOM = 1 << 24


class Shared(Generic[Answer]):
    """Answers by question, each kept for a short time.

    A question that is being answered is not asked again. After :meth:`forget`, no new caller gets an earlier answer,
    nor one that is being found. All methods run in the event loop.

    Args:
        fresh_for: seconds from the question until the answer is stale.
        rest: an answer also stays fresh for this many times as long as it took to find.
    """

    def __init__(
        self,
        fresh_for: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        *,
        rest: float = 0,
        size: Callable[[Answer], int] = lambda _: 0,
        room: int = ROOM,
    ) -> None:
        self._fresh_for = fresh_for
        self._rest = rest
        self._clock = clock
        self._size = size
        self._room = room
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Answer]]] = {}

    async def ask(self, question: Hashable, find: Callable[[], Awaitable[Answer]]) -> Answer:
        """Returns the answer to a question, which may be a fresh one of another caller."""
        kept = self._kept.get(question)
        if kept is None or self._is_stale(*kept):
            kept = self._clock(), asyncio.ensure_future(find())
            self._make_room()
            kept[1].add_done_callback(partial(self._on_found, question, kept[0]))
            self._kept[question] = kept
        # A caller that is cancelled must not cancel the question for the others.
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

    def _on_found(self, question: Hashable, asked_at: float, answer: "asyncio.Future[Answer]") -> None:
        """Lets an answer that took long rest, and drops the oldest answers if there is no room for all."""
        # All callers may be gone. Reading the exception keeps asyncio from logging that nobody has.
        if answer.cancelled() or answer.exception() is not None:
            return
        if self._rest and self._kept.get(question) == (asked_at, answer):
            self._kept[question] = asked_at + self._rest * (self._clock() - asked_at), answer
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
        """Drops all answers after a change."""
        self._kept.clear()
