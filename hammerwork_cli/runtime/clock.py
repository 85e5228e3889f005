"""The clock of a server."""

import time
from datetime import UTC, datetime, timedelta


class ServerClock:
    """The server's clock, which this process carries on between two answers. Threads share it."""

    def __init__(self) -> None:
        # In a worker the heartbeat's thread writes it, and at the start the main thread; in a queue any thread. One
        # tuple, so that no reader sees half of it.
        self._known = datetime.now(UTC), time.monotonic()

    def set(self, now: datetime) -> None:
        """Sets it to the server's present time."""
        self._known = now, time.monotonic()

    def now(self) -> datetime:
        """The present, in UTC."""
        known, at = self._known
        return known + timedelta(seconds=time.monotonic() - at)
