"""Sends and receives large bodies and answers in pieces, and limits the memory that all of them take."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from hammerwork_cli.errors import RetryableError

PIECE = 1 << 16
"""Most bytes that are sent at once."""
ROOM = 1 << 27
PATIENCE_SECONDS = 2.0
"""A client that has sent or read nothing for this long is disconnected if others need the room."""


@dataclass(eq=False, slots=True)
class Parcel:
    """A body or an answer in transit."""

    content: object  # the body or answer; several clients may get the same answer
    size: int  # bytes that it takes
    moved_at: float  # time when the client sent or read the last piece


class Transit:
    """All bodies and answers in transit, whose size is limited. A single larger one may pass when it is alone."""

    def __init__(self, room: int = ROOM, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = room
        self._clock = clock
        self._sending: dict[asyncio.Task[object], Parcel] = {}

    @contextmanager
    def place(self, content: object, size: int) -> Iterator[Callable[[], None]]:
        """Reserves room for the current task, and yields a function to call after each piece."""
        task = asyncio.current_task()
        assert task is not None
        parcel = Parcel(content, size, self._clock())

        def moved() -> None:
            parcel.moved_at = self._clock()

        self._make_room(parcel)
        self._sending[task] = parcel
        try:
            yield moved
        finally:
            self._sending.pop(task, None)

    def _make_room(self, parcel: Parcel) -> None:
        while self._sending and self._size(parcel) > self._room:
            task, slowest = min(self._sending.items(), key=lambda sending: sending[1].moved_at)
            if self._clock() - slowest.moved_at < PATIENCE_SECONDS:
                raise RetryableError("The server is busy with other large requests.", hint="Try again in a moment.")
            del self._sending[task]
            task.cancel()

    def _size(self, parcel: Parcel) -> int:
        """Returns the bytes that everything takes; shared content counts once."""
        return sum({id(sent.content): sent.size for sent in (*self._sending.values(), parcel)}.values())


class LargeAnswer(StreamingResponse):
    """An answer that is sent in pieces once there is room for it."""

    def __init__(
        self,
        transit: Transit,
        content: bytes | Iterable[str],
        size: int,
        *,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        whole = isinstance(content, bytes)
        length = {"content-length": str(size)} if whole else {}
        pieces = _pieces(content) if isinstance(content, bytes) else content
        super().__init__(pieces, status, {**headers, **length}, media_type)
        self._transit = transit
        self._content = content
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._transit.place(self._content, self._size) as moved:

            async def sending(message: Message) -> None:
                await send(message)
                moved()

            await super().__call__(scope, receive, sending)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]
