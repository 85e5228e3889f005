"""A terminal that is drawn over in place: pictures, keys, changes of its size; and always given back as it was."""

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
from hammerwork_cli.render.formats.text import cut, painted_cells

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""The alternate screen, no cursor, and no line that runs over into the next."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN, END = "\x1b[?2026h\x1b[H", "\x1b[?2026l"
"""Of a picture. Terminals that know the mode show all of it at once, others ignore it."""
QUIT_KEYS = frozenset(b"qQ\x04")


def can_redraw(context: Context) -> bool:
    """Whether stdout is a terminal on which a picture can be drawn over."""
    if not context.is_terminal or not context.environ.get("TERM"):
        return False
    try:
        import termios
    except ImportError:  # Windows
        return False
    return bool(termios)


class Screen:
    """Takes the terminal on entry and gives it back on exit: also on an error, SIGTERM, SIGHUP and Ctrl-Z."""

    def __init__(self, stdout: TextIO, stdin: TextIO | None = None) -> None:
        self._stdout = stdout
        self._keyboard = _terminal_descriptor(stdin or sys.stdin)
        self._listened_to = [] if self._keyboard is None else [self._keyboard]
        self._modes: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._ear, self._mouth = -1, -1
        self._is_stale = self._is_stopping = self._was_stopped = False

    def __enter__(self) -> Self:
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._ear, False)
        os.set_blocking(self._mouth, False)
        before_exit.append(self._give_back_at_once)
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
        # A terminal that is gone cannot be given back.
        with suppress(OSError):
            self._give_back()
        before_exit.remove(self._give_back_at_once)
        os.close(self._ear)
        os.close(self._mouth)

    def _take(self) -> None:
        import termios
        import tty

        if self._keyboard is not None:
            if self._modes is None:
                self._modes = termios.tcgetattr(self._keyboard)
            # Keys come one by one and are not shown; Ctrl-C and Ctrl-Z stay what they are.
            tty.setcbreak(self._keyboard, termios.TCSANOW)
        self._write(ENTER)
        self._is_stale = True

    def _give_back(self) -> None:
        import termios

        try:
            self._write(LEAVE)
        finally:
            if self._keyboard is not None and self._modes is not None:
                with suppress(termios.error):
                    termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._modes)

    def _give_back_at_once(self) -> None:
        """The same from another thread, past a stream that the main thread may hold."""
        import termios

        os.write(self._stdout.fileno(), LEAVE.encode())
        if self._keyboard is not None and self._modes is not None:
            termios.tcsetattr(self._keyboard, termios.TCSANOW, self._modes)

    def _write(self, text: str) -> None:
        self._stdout.write(text)
        self._stdout.flush()

    # Signals. What they ask for is done between two pictures: a handler may come in the midst of writing one.

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
        """Lets itself be stopped, and takes the terminal again after it was."""
        if self._is_stopping:
            self._is_stopping = False
            self._give_back()
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self._stop)
            self._was_stopped = True
        if self._was_stopped:
            self._was_stopped = False
            self._take()

    # What callers use.

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            size = os.get_terminal_size(self._stdout.fileno())
        except (OSError, ValueError):
            return 80, 24
        return size.columns or 80, size.lines or 24

    def draw(self, lines: Sequence[str]) -> None:
        """Shows lines from the top; what has no room is left out."""
        self._is_stale = False
        width, height = self.size
        # In one write, and nothing is cleared that is not written again at once: so it does not flicker.
        shown = [self._line(line, width) for line in lines[:height]]
        if len(shown) < height:
            shown.append("\x1b[J")
        self._write(BEGIN + "\r\n".join(shown) + END)

    def _line(self, line: str, width: int) -> str:
        # At the last column, clearing to the end would clear the last character.
        return f"{line}\x1b[K" if painted_cells(line) < width else cut(line, width)

    def wait(self, seconds: float) -> str | None:
        """Waits for a key or a new size, at most so long.

        Returns:
            ``quit``, ``redraw``, or ``None`` when the time has passed.
        """
        end = time.monotonic() + seconds
        with self._hearing_signals():
            while not self._must_redraw():
                ready, _, _ = select.select([self._ear, *self._listened_to], [], [], max(end - time.monotonic(), 0))
                if not ready:
                    return None
                if self._ear in ready:
                    os.read(self._ear, 1024)
                if self._keyboard in ready and self._asks_to_quit():
                    return "quit"
        return "redraw"

    def _must_redraw(self) -> bool:
        self._obey()
        return self._is_stale

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """Only while nothing else is done: in a statement, the driver wants to hear of them."""
        before = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def _asks_to_quit(self) -> bool:
        assert self._keyboard is not None
        try:
            pressed = os.read(self._keyboard, 1024)
        except OSError:
            pressed = b""
        if not pressed:
            # The terminal has nothing more to say.
            self._listened_to = []
        return bool(QUIT_KEYS & set(pressed))


def _terminal_descriptor(stdin: TextIO | None) -> int | None:
    try:
        return stdin.fileno() if stdin is not None and stdin.isatty() else None
    except (OSError, ValueError):
        return None
