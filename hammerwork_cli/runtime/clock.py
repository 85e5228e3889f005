"""The clock of a server, as a process can tell it."""

import time
from datetime import UTC, datetime, timedelta


class ServerClock:
    """The server's clock, as this process can tell it without asking each time."""

    def __init__(self) -> None:
        # One tuple, so that no reader sees half of what the heartbeat's thread writes.
        self._known = datetime.now(UTC), time.monotonic()

    def set(self, now: datetime) -> None:
        """Takes over the server's present time."""
        self._known = now, time.monotonic()

    def now(self) -> datetime:
        """The present, in UTC."""
        known, at = self._known
        return known + timedelta(seconds=time.monotonic() - at)
