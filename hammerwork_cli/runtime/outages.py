"""What the threads of a worker say of the database's outages: that each has begun, and once that it is over."""

import logging
import math
import threading
import time

AGAIN = 10
"""Of the failures of one thread the first is told, and each that has this number."""
QUIET_SECONDS = 10.0
"""For so long many threads that meet the same are heard once."""
log = logging.getLogger("hammerwork")


class Outages:
    """Those that the threads of one worker, or the callers of one queue, meet together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over_at = -math.inf
        self._told: dict[str, float] = {}

    def tell(self, line: str, level: int) -> None:
        """Says something that other threads may be saying."""
        now = time.monotonic()
        with self._lock:
            if now - self._told.get(line, -math.inf) < QUIET_SECONDS:
                return
            self._told[line] = now
        log.log(level, "%s", line)

    def over(self, began: float, last: float) -> None:
        """Says that an outage is over, unless somebody has said so since it was last met."""
        now = time.monotonic()
        with self._lock:
            if last <= self._over_at:
                return
            self._over_at = now
            self._told.clear()
        seconds = now - began
        log.warning("The database answers again, after %s s.", f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}")


class Trouble:
    """What one thread meets again and again, until it succeeds.

    Args:
        outages: of all threads.
        shared: whether others do the same and would say the same.
    """

    def __init__(self, outages: Outages, *, shared: bool = False) -> None:
        self._outages, self._shared = outages, shared
        self._failures = 0
        self._began = self._last = 0.0

    def failed(self, line: str, level: int = logging.WARNING) -> None:
        """It failed by what will pass; the first time is told, and each tenth."""
        self._last = time.monotonic()
        if not self._failures:
            self._began = self._last
        self._failures += 1
        if self._failures != 1 and self._failures % AGAIN:
            return
        if self._shared:
            self._outages.tell(line, level)
        else:
            log.log(level, "%s", line)

    def over(self) -> None:
        """It succeeded."""
        if self._failures:
            self._failures = 0
            self._outages.over(self._began, self._last)
