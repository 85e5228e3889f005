"""A terminal that redraws a picture in place, and that is always restored at the end."""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

from hammerwork_cli.cli.context import Context
from hammerwork_cli.database.interrupts import before_exit, terminate
from hammerwork_cli.view.text import cut, painted_cells

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Turns the alternate screen on, the cursor off and line wrapping off."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN, END = "\x1b[?2026h\x1b[H", "\x1b[?2026l"
"""Start and end of a picture. Terminals that know synchronized output show it all at once; others ignore the mode."""
QUIT_KEYS = frozenset(b"qQ\x04")


def can_redraw(context: Context) -> bool:
    """Whether stdout is a terminal that can redraw a picture in place."""
    if not context.is_terminal or not context.environ.get("TERM"):
        return False
    try:
        import termios
    except ImportError:  # Windows
        return False
    return bool(termios)


class Screen:
    """Takes the terminal over on entry and restores it on exit, and on an error, SIGTERM, SIGHUP and Ctrl-Z as well."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._keyboard = _terminal_descriptor(sys.stdin)
        self._keyboards = [] if self._keyboard is None else [self._keyboard]
        self._modes: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        # A pipe into which Python writes the number of each signal, so that select() wakes up. See
        # signal.set_wakeup_fd.
        self._wakeup_read, self._wakeup_write = -1, -1
        # Written by signal handlers, and read between two pictures.
        self._is_stale = self._is_stopping = self._was_stopped = False

    def __enter__(self) -> Self:
        self._wakeup_read, self._wakeup_write = os.pipe()
        os.set_blocking(self._wakeup_read, False)
        os.set_blocking(self._wakeup_write, False)
        before_exit.append(self._restore_from_thread)
        try:
            for number, handler in (
                (signal.SIGWINCH, self._resized),
                (signal.SIGHUP, terminate),
                (signal.SIGTSTP, self._stop),
                (signal.SIGCONT, self._continue),
            ):
                self._handlers[number] = signal.signal(number, handler)
            self._take()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        with suppress(OSError):  # the terminal is gone
            self._restore()
        before_exit.remove(self._restore_from_thread)
        os.close(self._wakeup_read)
        os.close(self._wakeup_write)

    def _take(self) -> None:
        import termios
        import tty

        if self._keyboard is not None:
            if self._modes is None:
                self._modes = termios.tcgetattr(self._keyboard)
            # Read keys one by one without an echo. Ctrl-C and Ctrl-Z still send signals.
            tty.setcbreak(self._keyboard, termios.TCSANOW)
        self._write(ENTER)
        self._is_stale = True

    def _restore(self) -> None:
        import termios

        try:
            self._write(LEAVE)
        finally:
            if self._keyboard is not None and self._modes is not None:
                with suppress(termios.error):
                    termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._modes)

    def _restore_from_thread(self) -> None:
        """Restores the terminal from another thread without the stream, whose lock the main thread may hold."""
        import termios

        os.write(self._stdout.fileno(), LEAVE.encode())
        if self._keyboard is not None and self._modes is not None:
            termios.tcsetattr(self._keyboard, termios.TCSANOW, self._modes)

    def _write(self, text: str) -> None:
        self._stdout.write(text)
        self._stdout.flush()

    # Signals. A handler only sets a flag, because it may run in the middle of drawing; _obey() acts on the flags.

    def _resized(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_stale = True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_stopping = True

    def _continue(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._was_stopped = True

    def _obey(self) -> None:
        """Stops the process after Ctrl-Z, and takes the terminal over again when it continues."""
        if self._is_stopping:
            self._is_stopping = False
            self._restore()
            # The system's own handler stops the process within os.kill(); the next line runs after SIGCONT.
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self._stop)
            self._was_stopped = True
        if self._was_stopped:
            self._was_stopped = False
            self._take()

    # For callers.

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            size = os.get_terminal_size(self._stdout.fileno())
        except (OSError, ValueError):
            return 80, 24
        return size.columns or 80, size.lines or 24

    def draw(self, lines: Sequence[str]) -> None:
        """Shows lines from the top, as many as fit."""
        self._is_stale = False
        width, height = self.size
        # One write that clears nothing without writing it again at once does not flicker.
        shown = [self._line(line, width) for line in lines[:height]]
        if len(shown) < height:
            shown.append("\x1b[J")
        self._write(BEGIN + "\r\n".join(shown) + END)

    def _line(self, line: str, width: int) -> str:
        # In the last column, clearing to the end of the line would erase the last character.
        return f"{line}\x1b[K" if painted_cells(line) < width else cut(line, width)

    def wait(self, seconds: float) -> str | None:
        """Waits for a key or a new size. Returns ``quit``, ``keys``, ``redraw``, or ``None`` after ``seconds``."""
        end = time.monotonic() + seconds
        with self._hearing_signals():
            while not self._must_redraw():
                ready, _, _ = select.select(
                    [self._wakeup_read, *self._keyboards], [], [], max(end - time.monotonic(), 0)
                )
                if not ready:
                    return None
                if self._wakeup_read in ready:
                    os.read(self._wakeup_read, 1024)
                if self._keyboard in ready and (event := self._pressed()):
                    return event
        return "redraw"

    def _must_redraw(self) -> bool:
        self._obey()
        return self._is_stale

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """Lets signals wake up select(), only while waiting: during a statement, the driver has its own wakeup pipe."""
        before = signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def _pressed(self) -> str | None:
        assert self._keyboard is not None
        try:
            pressed = os.read(self._keyboard, 1024)
        except OSError:
            pressed = b""
        if not pressed:
            # End of file: select() would now return immediately each time.
            self._keyboards = []
        return "quit" if QUIT_KEYS & set(pressed) else "keys" if b"?" in pressed else None


def _terminal_descriptor(stdin: TextIO | None) -> int | None:
    try:
        return stdin.fileno() if stdin is not None and stdin.isatty() else None
    except (OSError, ValueError):
        return None
