"""Waiting for something to happen in the database, also across a restart of the server."""

import time
from collections.abc import Callable

from hammerwork_cli.database.access import Database
from hammerwork_cli.database.retrying import OUTAGES, OutageListener, read_through_outages

OUTAGE = 60.0
"""Seconds without a server before a wait fails."""
NAP = 0.5


class Wait:
    """One wait, which begins now.

    Args:
        timeout: seconds after which to give up; ``None`` to wait without limit.
        stopped: asked whether to give up earlier.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        listener: OutageListener,
        *,
        interval: float,
        timeout: float | None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connect = connect
        self._listener = listener
        self._interval, self._stopped = interval, stopped
        self._end = None if timeout is None else time.monotonic() + timeout

    def until(self, look: Callable[[], bool], connected: Callable[[Database], None]) -> bool:
        """Looks at least once, and until there is nothing more to wait for; returns whether that came in time.

        Raises UnreachableError, ConnectionLostError or RetryableError if the server did not come back.

        Args:
            look: reads, and returns whether there is nothing more to wait for.
            connected: gives ``look`` another connection.
        """
        while True:
            try:
                over = read_through_outages(
                    look,
                    lambda: connected(self._connect()),
                    self._listener,
                    patience=OUTAGE,
                    ended=self._is_late,
                    wait=self._sleep,
                )
            except OUTAGES:
                if not self._is_late():
                    raise
                return False
            if over:
                return True
            if self._is_late():
                return False
            self._sleep(self._interval)

    def _is_late(self) -> bool:
        return self._stopped() or (self._end is not None and time.monotonic() >= self._end)

    def _sleep(self, seconds: float) -> None:
        """Sleeps, but not beyond the timeout."""
        end = time.monotonic() + seconds
        if self._end is not None:
            end = min(end, self._end)
        # In short naps: a Ctrl-C that arrives just before a sleep is noticed only after it.
        while (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, NAP))
