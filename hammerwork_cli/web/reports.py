"""What goes wrong, told on stderr: no more of it than a person can read, however often it happens."""

import time
from collections.abc import Callable

from hammerwork_cli.render.formats.text import visible_lines

MINUTE = 60.0
MOST_A_MINUTE = 10
LONGEST = 20_000


class Reports:
    """Tells of errors, each of them once a minute, and of ten different ones at most.

    Args:
        tell: writes a text.
        clock: in seconds.
    """

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._began = clock()
        self._told: set[str] = set()
        self._left_out = 0

    def __call__(self, text: str) -> None:
        """Tells of an error, unless that was told of just now; a traceback may quote what is stored."""
        text = text[-LONGEST:]
        now = self._clock()
        if now - self._began >= MINUTE:
            self._begin(now)
        if text in self._told:
            return
        if len(self._told) >= MOST_A_MINUTE:
            self._left_out += 1
            return
        self._told.add(text)
        self._tell(visible_lines(text))

    def _begin(self, now: float) -> None:
        if self._left_out:
            self._tell(f"{self._left_out:,} further errors were not told.")
        self._began, self._left_out = now, 0
        self._told.clear()
