"""The clock of a server, and the seconds that pass."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from hammerwork_cli.core.clock import SLACK, is_behind

_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)
STEP = timedelta(seconds=1)
"""A smaller difference is no step: answers take their time."""
STEADY_SECONDS = 600.0
"""Time after which a clock that was put forward or back is taken to be right."""
PROVEN_SECONDS = 60.0
"""Time after which a process has seen enough of a clock to take it to be right when nobody has set it."""


elapsed: Callable[[], float] = time.monotonic if _BOOT is None else partial(time.clock_gettime, _BOOT)
"""Seconds since some moment, those of a suspended machine included.

On Linux the monotonic clock stands still meanwhile: a worker would believe in a lease that others saw end. Each job
asks it, hence no function of ours.
"""


class ServerClock:
    """The server's clock, which this process carries on between two answers. Threads share it."""

    def __init__(self) -> None:
        # In a worker the heartbeat's thread writes it, and at the start the main thread; in a queue any thread. One
        # tuple, so that no reader sees half of it.
        self._known = datetime.now(UTC), elapsed()
        self._is_set, self._first_set = False, self._known[1]
        # How far it was put forward or back since it was first set, and when that happened last.
        self._stepped = timedelta(), self._known[1]
        self._past: datetime | None = None
        self.host_ahead = timedelta()
        """By how much the clock of this host was ahead when the server's was last heard."""

    def set(self, now: datetime) -> bool:
        """Sets it to the server's present time; whether somebody had put that forward or back."""
        at, step = elapsed(), now - self.now()
        has_stepped = self._is_set and abs(step) > STEP
        if not self._is_set:
            self._first_set = at
        elif has_stepped:
            self._stepped = self._stepped[0] + step, at
        self._known, self._is_set = (now, at), True
        self.host_ahead = datetime.now(UTC) - now
        return has_stepped

    def now(self) -> datetime:
        """The present, in UTC."""
        known, at = self._known
        return known + timedelta(seconds=elapsed() - at)

    def know(self, past: datetime | None) -> None:
        """Tells it a time by which something has happened."""
        self._past = past

    @property
    def is_behind(self) -> bool:
        """Whether it shows a time that is over. Then nothing is due by it, and nothing is too far ahead.

        A clock that has been steady for a while is believed rather than the one that has stored the known time.
        """
        return is_behind(self.now(), None if self._is_steady else self._past)

    # What is stored is changed, or deleted, by these alone. They read the time before they ask whether it is right:
    # another thread may set the clock at any moment, and whoever asked first would go by what was set afterwards.

    def trusted_now(self) -> datetime | None:
        """The present, if no step has moved the clock or the last one was a while ago; else ``None``."""
        now = self.now()
        return now if self._is_trusted else None

    def proven_now(self) -> datetime | None:
        """The present, if it is trusted, and not only because this process has just started; else ``None``."""
        now = self.now()
        is_proven = self._is_trusted and elapsed() - self._first_set >= PROVEN_SECONDS
        return now if is_proven else None

    @property
    def _is_trusted(self) -> bool:
        return not self.is_behind and (abs(self._stepped[0]) <= SLACK or self._is_steady)

    @property
    def _is_steady(self) -> bool:
        return elapsed() - self._stepped[1] > STEADY_SECONDS
