"""Notices statements that take long, usually because another session has a lock."""

import time
from collections.abc import Callable
from threading import Event, Thread

from hammerwork_cli.database.access import Database

PATIENCE_SECONDS = 5.0
AGAIN_SECONDS = 60.0
CHECK_SECONDS = 0.25


class SlowStatementWatch:
    """A thread that watches how long the statements of a connection take, until it is closed.

    Args:
        database: the connection, which another thread uses.
        report: called with the seconds so far, once a statement has taken :data:`PATIENCE_SECONDS`, and then each
            minute.
    """

    def __init__(self, database: Database, report: Callable[[float], None]) -> None:
        self._database, self._report = database, report
        self._closed = Event()
        self._thread = Thread(target=self._watch, name="stalls", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        watched: float | None = None  # the start of a statement also identifies it
        report_after = PATIENCE_SECONDS
        while not self._closed.wait(min(CHECK_SECONDS, PATIENCE_SECONDS)):
            since = self._database.busy_since
            if since != watched:
                watched, report_after = since, PATIENCE_SECONDS
            if since is not None and (waited := time.monotonic() - since) >= report_after:
                report_after = waited + AGAIN_SECONDS
                self._report(waited)
