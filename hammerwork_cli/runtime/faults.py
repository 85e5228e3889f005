"""Tells faults of one job from those of the database, which pass."""

import threading
import time
from collections.abc import Callable

from hammerwork_cli.database.retrying import is_an_outage
from hammerwork_cli.errors import ConfigError, DatabaseError, LimitReachedError

TIMES_ALONE = 3
"""An unknown error is the job's own once others were written so often between its failures."""


class Progress:
    """Counts what a worker writes: so an error of one job alone differs from one that all jobs meet.

    Args:
        lease: of the worker; a job may fail alone for so long.
        counted: called after each count, by the thread that counts.

    Attributes:
        written: transactions.
        completed: attempts that completed.
        failed: attempts that failed or timed out.
        lost: outcomes that were not written when the worker stopped at once; the main thread writes it.
    """

    def __init__(self, lease: float, counted: Callable[[], None] = lambda: None) -> None:
        self.lease = lease
        self._counted = counted
        self._lock = threading.Lock()
        # The thread that writes outcomes (the main thread, or the finisher's) and the slots write these under the lock;
        # each may be read without it.
        self.written = self.completed = self.failed = 0
        self.lost = 0

    def count(self, completed: int, failed: int) -> None:
        """Counts a transaction and the outcomes that it wrote."""
        with self._lock:
            self.written += 1
            self.completed += completed
            self.failed += failed
        self._counted()


class Fault:
    """Judges the errors that one job, or one batch, meets when it is written again and again. One thread uses it.

    Args:
        progress: of the worker.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress, self._seen = progress, progress.written
        self._began: float | None = None
        self._alone = 0

    def is_the_jobs(self, error: BaseException) -> bool:
        """Whether an error is the job's own: the database refuses its values, or its values cannot be sent.

        All other answers of a server pass: it may deny, lack or not know something for any time. But an unknown error
        that one job meets for longer than a lease, while others are written, is that job's.
        """
        if not is_of_the_database(error):
            return True
        if type(error) is not DatabaseError:
            return False
        now = time.monotonic()
        self._began = self._began or now
        if self._progress.written > self._seen:
            self._seen = self._progress.written
            self._alone += 1
        return self._alone >= TIMES_ALONE and now - self._began > self._progress.lease

    def passes(self, error: BaseException) -> bool:
        """Whether another try may succeed."""
        return not self.is_the_jobs(error)


def is_of_the_database(error: BaseException) -> bool:
    """Whether an error is about the database or the way to it, and not about the values to write."""
    return isinstance(error, (DatabaseError, ConfigError))


def is_an_outage_for_all(error: BaseException) -> bool:
    """Whether it is an outage for all jobs. A single job may meet a lock or a limit alone."""
    return is_an_outage(error) and not isinstance(error, LimitReachedError)
