"""A terminal for tests: a real pseudo-terminal with the program on it, and what a person would see."""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from tests.forks import OWN_TERMINAL, PROGRAM, Fork, is_read_by_interpreter

PATIENCE = 30
"""Seconds for what takes a part of one."""

_TOKEN = re.compile(
    r"\x1b\[(?P<arguments>[?0-9;]*)(?P<command>[A-Za-z])|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])|(?P<text>[^\x00-\x1f\x7f]+)"
)
_MODES = {"25": "cursor", "7": "wrap"}


def everything(ours: int) -> str:
    """What programs have written to the other end of a terminal, which everybody has closed. Closes this end."""
    shown = b""
    # One read may return a part only, however long ago the programs ended.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    return shown.decode()


class Display:
    """What the characters that a program writes make visible. It knows little, and refuses what it does not know.

    Attributes:
        printed: lines of the ordinary screen.
        is_alternate: whether the alternate screen is shown.
        modes: whether the cursor is shown and lines wrap.
        frames: whole pictures that were drawn on the alternate screen.
        picture: the lines of the last one, without what is empty at its end.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.is_alternate = False
        self.modes = {"cursor": True, "wrap": True}
        self.frames = 0
        self.picture: list[str] = []
        self.printed: list[str] = [""]
        self.grid = [""] * lines
        self.row, self.column = 0, 0

    def resize(self, columns: int, lines: int) -> None:
        """Another size; what was there is cut or stays."""
        self.columns, self.lines = columns, lines
        self.grid = [line[:columns] for line in self.grid[:lines]] + [""] * (lines - len(self.grid))

    def feed(self, text: str) -> None:
        """What the program has written."""
        end = 0
        for token in _TOKEN.finditer(text):
            assert token.start() == end, f"not understood: {text[end : token.start() + 10]!r}"
            end = token.end()
            if token["text"]:
                self._write(token["text"])
            elif token["control"]:
                self._control(token["control"])
            else:
                self._command(token["command"], token["arguments"])
        assert end == len(text), f"not understood: {text[end:]!r}"

    def _write(self, text: str) -> None:
        if not self.is_alternate:
            self.printed[-1] += text
            return
        assert self.row < self.lines, f"below the screen: {text!r}"
        line = self.grid[self.row].ljust(self.column)
        self.grid[self.row] = (line[: self.column] + text + line[self.column + len(text) :])[: self.columns]
        self.column += len(text)
        assert self.column <= self.columns, f"beyond the last column: {self.grid[self.row]!r}"

    def _control(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n" and self.is_alternate:
            self.row += 1
        elif character == "\n":
            self.printed.append("")
        else:
            raise AssertionError(f"not understood: {character!r}")

    def _command(self, command: str, arguments: str) -> None:
        if command in "hl" and arguments[:1] == "?":
            self._mode(arguments[1:], command == "h")
        elif command == "H":
            self.row, self.column = 0, 0
        elif command == "K":
            self.grid[self.row] = self.grid[self.row][: self.column]
        elif command == "J":
            first = 0 if arguments == "2" else self.row + (self.column > 0)
            self.grid[first:] = [""] * (self.lines - first)
        else:
            assert command == "m", f"not understood: ESC[{arguments}{command}"

    def _mode(self, number: str, value: bool) -> None:
        if number == "1049":
            self.is_alternate = value
            self.row, self.column = 0, 0
        elif number == "2026":
            self._finish_frame(value)
        else:
            self.modes[_MODES[number]] = value

    def _finish_frame(self, begins: bool) -> None:
        if begins:
            return
        self.frames += 1
        self.picture = [line.rstrip() for line in self.grid]
        while self.picture and not self.picture[-1]:
            self.picture.pop()


class Terminal:
    """A program that is started on a terminal of its own; what begins with ``PROGRAM`` is a fork, if one will do."""

    def __init__(self, command: Sequence[str], env: dict[str, str], *, columns: int = 80, lines: int = 24) -> None:
        self.raw = ""
        self._pending = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.display = Display(columns, lines)
        self._ours, self._theirs = pty.openpty()
        self._set_size(columns, lines)
        self.modes_before = self.modes
        environment = {"TERM": "xterm-256color", **env}
        self.process: Fork | subprocess.Popen[bytes]
        if tuple(command[: len(PROGRAM)]) == PROGRAM and not is_read_by_interpreter(environment):
            streams = dict.fromkeys(range(3), self._theirs)
            words = command[len(PROGRAM) :]
            self.process = Fork(words, environment, Path.cwd(), before=OWN_TERMINAL, streams=streams)
            return
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C needs it
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def modes(self) -> list[Any]:
        """How the terminal treats what is typed."""
        return termios.tcgetattr(self._theirs)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """Pulls at the corner of the window, once the picture stands still."""
        while self.read(0.3):
            pass
        self.display.resize(columns, lines)
        self._set_size(columns, lines)

    def press(self, keys: str) -> None:
        """Types."""
        os.write(self._ours, keys.encode())

    def signal(self, number: signal.Signals) -> None:
        """Sends the program a signal."""
        self.process.send_signal(number)

    def read(self, seconds: float = 0) -> bool:
        """Takes what was written; whether it was anything."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        self._pending += self._decoder.decode(os.read(self._ours, 65536))
        # A picture is written at once, and may be read in pieces.
        last = self._pending.rfind("\x1b")
        whole = len(self._pending) if last < 0 or _TOKEN.match(self._pending, last) else last
        text, self._pending = self._pending[:whole], self._pending[whole:]
        self.raw += text
        self.display.feed(text)
        return True

    def until(self, condition: Callable[[list[str]], object]) -> list[str]:
        """Reads until the picture fits; returns it."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.display.picture):
            self.read(0.1)
            assert time.monotonic() < deadline, "\n".join(self.display.picture) or self.raw
            if self.process.poll() is not None and not self.read():
                assert condition(self.display.picture), self.raw
        return self.display.picture

    def shows(self, text: str) -> list[str]:
        """Reads until a text is somewhere in the picture."""
        return self.until(lambda picture: any(text in line for line in picture))

    def end(self) -> int:
        """Reads to the end, and returns the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read(0.05)
            assert time.monotonic() < deadline, self.raw[-2000:]
        while self.read():
            pass
        return self.process.wait()

    @property
    def left_behind(self) -> str:
        """What stands on the ordinary screen."""
        return "\n".join(self.display.printed)

    def assert_given_back(self) -> None:
        """The terminal is as it was."""
        assert not self.display.is_alternate
        assert self.display.modes == {"cursor": True, "wrap": True}
        assert self.modes == self.modes_before
