"""The streams of a worker, its log and its handlers: writing never fails, and never waits for long."""

import io
import os
import select
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

LIMIT = 1_000_000
"""Bytes that wait for a reader; beyond them, lines are dropped and counted."""
PATIENCE = 1.0
"""Seconds that a direct write waits for a reader."""
LAST_SECONDS = 2.0
"""For the last lines, when no program reads."""


class Tolerant(io.RawIOBase):
    """Writes to a descriptor. A write never fails, and never waits for long.

    Args:
        descriptor: a pipe, a file or a terminal.
        note: makes the line about dropped lines, once lines can be written again.
        behind: another thread writes, so that no write waits at all. Else a write to a pipe waits for a reader for a
            second, and its text is out even if the process dies at once.
    """

    def __init__(self, descriptor: int, note: Callable[[int], str], *, behind: bool = False) -> None:
        super().__init__()
        self._descriptor, self._note = descriptor, note
        self._direct = _unblocking(descriptor)
        self._changed = threading.Condition()
        # Any thread writes these, under the lock of the condition.
        self._waiting: list[bytes] = []
        self._size = self._dropped = 0
        self._full = self._busy = False
        self._behind = behind
        if behind:
            os.register_at_fork(after_in_child=self._forked)
            threading.Thread(target=self._pour, name="hammerwork-stderr", daemon=True).start()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Leaves it open: it is the whole worker's, and a handler may close ``sys.stderr``."""

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Writes data now or later, or drops it."""
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

    def flush_behind(self) -> None:
        """Writes the waiting data as far as it is read, and all later data directly: the process ends soon."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._busy), LAST_SECONDS)
            self._behind = False

    def _write_now(self, piece: bytes) -> None:
        patience = 0 if self._dropped else PATIENCE
        self._put(self._direct, piece, *self._taken(), patience)

    def _taken(self) -> tuple[int, bytes]:
        lost, self._dropped = self._dropped, 0
        return lost, self._note(lost).encode() if lost else b""

    def _put(self, descriptor: int, data: bytes, lost: int, note: bytes, patience: float = 0) -> None:
        rest = note + data
        try:
            while rest:
                try:
                    rest = rest[os.write(descriptor, rest) :]
                except BlockingIOError:
                    if not select.select([], [descriptor], [], patience)[1]:
                        raise
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
            self._put(self._descriptor, data, lost, note)

    def _forked(self) -> None:
        self._changed = threading.Condition()
        self._waiting, self._dropped, self._behind = [], 0, False


def _unblocking(descriptor: int) -> int:
    """Another descriptor of a pipe, in which a write does not wait; the descriptor itself if it is not a pipe."""
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    return descriptor


class _Text(io.TextIOWrapper):
    def close(self) -> None:
        """See :meth:`Tolerant.close`."""
        self.flush()


def text(raw: Tolerant) -> io.TextIOWrapper:
    """A stream of text that writes each line when it is complete."""
    return _Text(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[arg-type]


def tolerate(note: Callable[[int], str]) -> None:
    """Makes writes to this process's streams tolerant."""
    sys.stdout, sys.stderr = text(Tolerant(1, note)), text(Tolerant(2, note))
