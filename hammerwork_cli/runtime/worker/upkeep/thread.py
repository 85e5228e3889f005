"""A thread that acts for the whole database on rows that are due."""

import time
from datetime import datetime, timedelta

from hammerwork_cli.database import Database
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.runtime.worker.context import LOCK_SECONDS_OF_UPKEEP, WorkerContext
from hammerwork_cli.runtime.worker.turns import TurnThread

LONGEST_PAUSE = 5.0
"""Seconds between two turns, unless a row is due earlier."""
AGAIN = 60.0
"""Seconds after which a row whose job the database has refused is tried again."""
HISTORY_SECONDS = 3600.0
"""Seconds between two deletions of rows that are older than :data:`KEPT`."""
KEPT = timedelta(days=90)
"""Time for which runs of schedules, and callbacks that are done, are kept."""


class UpkeepThread(TurnThread):
    """A thread for rows that are due, of any queue. Rows that fail are put aside, so that they stop no others."""

    def __init__(self, name: str, context: WorkerContext) -> None:
        super().__init__(name, context.connections.for_thread(LOCK_SECONDS_OF_UPKEEP))
        self.worker, self.clock = context.registration.id, context.clock
        # This thread alone uses the rest. By the monotonic clock:
        self._aside: dict[str, float] = {}  # id of a row -> when to try it again
        self._next_history = 0.0

    def _count_aside(self) -> int:
        """Takes back the rows whose time aside is over; returns the number of the others."""
        self._aside = {row: at for row, at in self._aside.items() if at > time.monotonic()}
        return len(self._aside)

    def _takes(self, database: Database, duty: str, seconds: float, longest: float | None = None) -> bool:
        """Takes a duty for ``seconds`` if it is due; returns whether it was, and nobody else was faster."""
        times, length = duties.times(database), timedelta(seconds=seconds)
        most = timedelta(seconds=longest or seconds)
        return duties.take_due(database, duty, self.worker, times, now=self.clock.now(), length=length, longest=most)

    def _takes_history(self, database: Database, duty: str) -> datetime | None:
        """Takes the duty to delete rows older than :data:`KEPT` once an hour; returns the time before which those are.

        A clock that may be ahead does not count: all would be old.
        """
        if time.monotonic() < self._next_history or (now := self.clock.proven_now()) is None:
            return None
        self._next_history = time.monotonic() + HISTORY_SECONDS
        return now - KEPT if self._takes(database, duty, HISTORY_SECONDS) else None
