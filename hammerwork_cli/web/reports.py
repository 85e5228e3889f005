"""Errors on stderr, at most as many as a person can read."""

import time
from collections.abc import Callable

from hammerwork_cli.view.text import visible_lines

MINUTE = 60.0
MOST_A_MINUTE = 10
LONGEST = 20_000


class Reports:
    """Prints each error at most once per minute, and at most ten different ones."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._started_at = clock()
        self._printed: set[str] = set()
        self._left_out = 0

    def __call__(self, text: str) -> None:
        """Prints an error unless it was printed within this minute."""
        text = text[-LONGEST:]
        now = self._clock()
        if now - self._started_at >= MINUTE:
            self._start_minute(now)
        if text in self._printed:
            return
        if len(self._printed) >= MOST_A_MINUTE:
            self._left_out += 1
            return
        self._printed.add(text)
        self._write(visible_lines(text))  # a traceback may contain stored text with control characters

    def _start_minute(self, now: float) -> None:
        if self._left_out:
            self._write(f"{self._left_out:,} further errors were left out.")
        self._started_at, self._left_out = now, 0
        self._printed.clear()
