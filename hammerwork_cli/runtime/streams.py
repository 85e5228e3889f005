"""Where a worker, its log and its handlers write: to no reader's harm, and never to their own."""

import io
import os
import select
import sys
import threading
from collections.abc import Callable

LIMIT = 1_000_000
"""Bytes that wait for a reader; beyond them, lines are dropped and counted."""
LAST_SECONDS = 2.0
"""For the last lines, when nobody reads."""


def _plain(lines: int) -> str:
    return f"{lines:,} lines were dropped: nobody read them, or they could not be written.\n"


class Tolerant(io.RawIOBase):
    """Writes to a descriptor; who writes never fails, and never waits for long.

    Args:
        descriptor: a pipe, a file or a terminal.
        note: the line that says how many were dropped, once lines can be written again.
        behind: a thread of its own writes, so that nobody waits at all. Else a writer waits for a reader for a second,
            and what it wrote is out even if the process dies at once.
    """

    def __init__(self, descriptor: int, note: Callable[[int], str] = _plain, *, behind: bool = False) -> None:
        super().__init__()
        self._descriptor, self._note = descriptor, note
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._size = self._dropped = 0
        self._full = self._busy = False
        self._behind = behind
        if behind:
            os.register_at_fork(after_in_child=self._forked)
            threading.Thread(target=self._pour, name="hammerwork-stderr", daemon=True).start()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Writes it, now or later, or drops it."""
        piece = bytes(data)
        with self._changed:
            if not self._behind:
                self._write_now(piece)
            elif self._full or self._size + len(piece) > LIMIT:
                self._full = True
                self._dropped += piece.count(b"\n")
            else:
                self._waiting.append(piece)
                self._size += len(piece)
                self._changed.notify_all()
        return len(piece)

    def settle(self) -> None:
        """Writes what waits, as far as somebody reads it, and from now on directly: the process ends soon."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._busy), LAST_SECONDS)
            self._behind = False

    def _write_now(self, piece: bytes) -> None:
        patience = 0 if self._dropped else 1000
        if _has_room(self._descriptor, patience):
            self._put(piece, *self._taken())
        else:
            self._dropped += piece.count(b"\n")

    def _taken(self) -> tuple[int, bytes]:
        lost, self._dropped = self._dropped, 0
        return lost, self._note(lost).encode() if lost else b""

    def _put(self, data: bytes, lost: int, note: bytes) -> None:
        rest = note + data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            with self._changed:
                self._dropped += lost + data.count(b"\n")

    def _pour(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._full)
                data, self._waiting, self._size = b"".join(self._waiting), [], 0
                if not data:
                    self._full = False  # all that came before the dropped lines is written
                lost, note = (0, b"") if self._full else self._taken()
                self._busy = True
            self._put(data, lost, note)

    def _forked(self) -> None:
        self._changed = threading.Condition()
        self._waiting, self._behind = [], False


def _has_room(descriptor: int, milliseconds: int) -> bool:
    look = select.poll()
    look.register(descriptor, select.POLLOUT)
    try:
        return bool(look.poll(milliseconds))
    except OSError:
        return True


def text(raw: Tolerant) -> io.TextIOWrapper:
    """A stream of text that hands over each line when it is complete."""
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[arg-type]


def tolerate() -> None:
    """Lets this process's streams do no harm to who writes to them."""
    sys.stdout, sys.stderr = text(Tolerant(1)), text(Tolerant(2))
