"""Logs outages of the database: the threads of a worker log each one once, and once that it is over."""

import logging
import math
import threading
import time

from hammerwork_cli.database.pool import Invalidation
from hammerwork_cli.database.retrying import Backoff
from hammerwork_cli.errors import DatabaseError

AGAIN = 10
"""Failures of which a thread logs one, beside the first."""
QUIET_SECONDS = 10.0
"""Time in which threads that meet the same failure log it once."""
SURVIVED = Backoff(0.2, 5.0, least=1.0)
"""Pauses of a thread after errors that it survives."""
log = logging.getLogger("hammerwork")


class Outages:
    """Outages that the threads of one worker, or the callers of one queue, meet together."""

    def __init__(self) -> None:
        self.invalidation = Invalidation()  # of their connections
        self._lock = threading.Lock()
        # Any thread writes these, under the lock.
        self._over_at = -math.inf
        self._logged: dict[str, float] = {}

    def log(self, line: str, level: int) -> None:
        """Logs a line unless another thread has just logged it."""
        now = time.monotonic()
        with self._lock:
            if now - self._logged.get(line, -math.inf) < QUIET_SECONDS:
                return
            self._logged[line] = now
        log.log(level, "%s", line)

    def over(self, began: float, last: float) -> None:
        """Logs the end of an outage, unless another thread has logged it since the last failure."""
        now = time.monotonic()
        with self._lock:
            if last <= self._over_at:
                return
            self._over_at = now
            self._logged.clear()
        seconds = now - began
        log.warning("The database answers again, after %s s.", f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}")


class OutageLog:
    """Counts the failures of one thread until it succeeds. Only that thread uses it.

    Args:
        shared: whether other threads may log the same lines.
    """

    def __init__(self, outages: Outages, *, shared: bool = False) -> None:
        self._outages, self._shared = outages, shared
        self._failures = 0
        self._in_a_row = 0  # errors survived
        self._began = self._last = 0.0

    def failed(self, line: str, level: int = logging.WARNING) -> None:
        """Notes a failure that passes, and logs the first one and each tenth."""
        self._last = time.monotonic()
        if not self._failures:
            self._began = self._last
        self._failures += 1
        if self._failures != 1 and self._failures % AGAIN:
            return
        if self._shared:
            self._outages.log(line, level)
        else:
            log.log(level, "%s", line)

    def caught(self, error: Exception) -> float:
        """Notes an error after which the thread goes on; returns the seconds to pause."""
        self._in_a_row += 1
        if isinstance(error, DatabaseError):
            self.failed(f"{error.message} The worker waits and tries again.", logging.ERROR)
        else:
            log.error("An error in the worker itself; it goes on.", exc_info=error)
        return SURVIVED.pause(self._in_a_row)

    def succeeded(self) -> None:
        """Notes a turn without an error, which does not yet say that an outage is over."""
        self._in_a_row = 0

    def recovered(self) -> None:
        """Notes a success, and logs the end of the outage if there was one."""
        self._in_a_row = 0
        if self._failures:
            self._failures = 0
            self._outages.over(self._began, self._last)
