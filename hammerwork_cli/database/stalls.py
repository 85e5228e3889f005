"""Telling that a statement takes long: as a rule another session holds a lock that it waits for."""

import time
from collections.abc import Callable
from threading import Event, Thread

from hammerwork_cli.database.access import Database

PATIENCE_SECONDS = 5.0
AGAIN_SECONDS = 60.0
LOOK_SECONDS = 0.25


class Stalls:
    """A thread that looks how long a connection has been at one statement, until it is closed.

    Args:
        database: the connection, which another thread uses.
        tell: told for how many seconds, once a statement has taken :data:`PATIENCE_SECONDS`, and then each minute.
    """

    def __init__(self, database: Database, tell: Callable[[float], None]) -> None:
        self._database, self._tell = database, tell
        self._closed = Event()
        self._thread = Thread(target=self._watch, name="stalls", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        told: float | None = None
        tell_after = PATIENCE_SECONDS
        while not self._closed.wait(min(LOOK_SECONDS, PATIENCE_SECONDS)):
            since = self._database.busy_since
            if since != told:
                told, tell_after = since, PATIENCE_SECONDS
            if since is not None and (waited := time.monotonic() - since) >= tell_after:
                tell_after = waited + AGAIN_SECONDS
                self._tell(waited)
