"""Numbered messages between a worker and a process that runs its handlers."""

import pickle
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LOOK_SECONDS = 1.0
"""Between checks whether the other end lives: a process that it has forked may keep the pipe open."""
_MARK = b"hmwk"
_HEADER = struct.Struct("!4sQQ")
_CHUNK = 1 << 16


class BadMessageError(Exception):
    """The other end sent something that is not a message, or not one expected now."""


class Pipe:
    """One end of a pipe, used by one thread at a time. Each message carries the number of its request.

    Objects are pickled. The worker has imported the handlers' modules itself, so it trusts them already.

    Args:
        end: one of a pair of sockets.
        lives: whether the other end lives; without it, only the end of the pipe says so.
    """

    def __init__(self, end: socket.socket, lives: Callable[[], bool] | None = None) -> None:
        self._end, self._lives = end, lives
        self._read = bytearray()
        end.settimeout(None if lives is None else LOOK_SECONDS)

    def send(self, number: int, message: object) -> None:
        """Sends a message.

        Raises:
            OSError: the other end is closed.
        """
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        rest = memoryview(_HEADER.pack(_MARK, number, len(data)) + data)
        while rest:
            try:
                rest = rest[self._end.send(rest) :]
            except TimeoutError:
                self._look()

    def receive(self) -> tuple[int, Any]:
        """The next message and its number, however long it takes.

        Raises:
            OSError, EOFError: none will come.
            BadMessageError: the other end sent something else.
        """
        mark, number, size = _HEADER.unpack(self._receive_bytes(_HEADER.size))
        if mark != _MARK:
            raise BadMessageError("its answer is not a message")
        data = self._receive_bytes(size)
        try:
            return number, pickle.loads(data)  # noqa: S301  see above
        except Exception as error:
            raise BadMessageError(f"its answer cannot be read, {type(error).__name__}: {error}") from error

    def _receive_bytes(self, size: int) -> bytes:
        while len(self._read) < size:
            try:
                chunk = self._end.recv(_CHUNK)
            except TimeoutError:
                self._look()
                continue
            if not chunk:
                raise EOFError
            self._read += chunk
        found = bytes(self._read[:size])
        del self._read[:size]
        return found

    def _look(self) -> None:
        if self._lives is not None and not self._lives():
            raise EOFError

    def finish(self) -> None:
        """Says that no further message will come."""
        with suppress(OSError):  # the other end is gone
            self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._end.close()
