"""Lines about jobs on a terminal, as many as somebody can read."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TextIO

LINES = 20
"""About jobs, in a second."""


class TerminalHandler(logging.StreamHandler[TextIO]):
    """Leaves out records about the ends of attempts while they are too many, and counts them.

    Args:
        tell: called once a second with the number of those that were left out, and how many of them failed.
    """

    def __init__(self, stream: TextIO, tell: Callable[[int, int], None]) -> None:
        super().__init__(stream)
        self._tell = tell
        # Any thread writes these, under the lock of the counts.
        self._counting = threading.Lock()
        self._until, self._left = 0.0, LINES
        self._more = self._failed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record, unless it is about an attempt and there is no room."""
        if record.name != "hammerwork" or not hasattr(record, "outcome") or self._takes(record):
            super().emit(record)

    def leaves_out(self, attempts: int) -> bool:
        """Whether there is no room for a record of each of these attempts; then it counts them."""
        with self._counting:
            if self._left or time.monotonic() >= self._until:
                return False
            self._more += attempts
        return True

    def _takes(self, record: logging.LogRecord) -> bool:
        with self._counting:
            now = time.monotonic()
            if now >= self._until:
                self._until, self._left = now + 1, LINES
            if self._left:
                self._left -= 1
                if not self._left:
                    self._tell_later(self._until - now)
                return True
            self._more += 1
            self._failed += record.levelno > logging.INFO
            return False

    def _tell_later(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.tell)
        timer.daemon = True
        timer.start()

    def tell(self) -> None:
        """Says how many were left out, if any."""
        with self._counting:
            more, failed, self._more, self._failed = self._more, self._failed, 0, 0
        if more:
            self._tell(more, failed)
