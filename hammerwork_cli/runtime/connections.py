"""Connections that threads share, and that outlive a server's restart."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from hammerwork_cli import app_path
from hammerwork_cli.database import PATIENT, Database, DatabaseUrl, Timeouts, connect
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConnectionLostError,
    HammerworkError,
    MissingTablesError,
    RetryableError,
    UnreachableError,
)
from hammerwork_cli.runtime.faults import is_an_outage
from hammerwork_cli.runtime.outages import Outages, Trouble

Result = TypeVar("Result")
Passes = Callable[[HammerworkError], bool]

LONGEST_PAUSE = 5.0
SHORTEST_WAIT = 2.0
"""For a host, a lock or a place in the pool, also where nobody is patient: what is well takes a moment, too."""
SHORTEST_ANSWER = 5.0
LONGEST_WAIT = PATIENT.connect
ENDLESS = 86_400.0
log = logging.getLogger("hammerwork")


class _NoPlaceError(RetryableError):
    """Others have had all connections for as long as somebody was patient."""


def timeouts_of(patience: float, hosts: int) -> Timeouts:
    """How long connections wait for somebody who is patient for so many seconds.

    Args:
        patience: in seconds.
        hosts: of the database's URL, which are asked one after the other.
    """
    if patience > ENDLESS:
        return PATIENT
    return Timeouts(
        connect=_between(SHORTEST_WAIT, patience / max(hosts, 1), LONGEST_WAIT),
        lock=_between(SHORTEST_WAIT, patience / 3, LONGEST_WAIT),
        network=max(SHORTEST_ANSWER, patience),
    )


def _between(least: float, value: float, most: float) -> float:
    return max(least, min(value, most))


def impatient(url: DatabaseUrl, lock: float) -> Timeouts:
    """To wait no longer than that for what others have locked; on SQLite, where one lock is all, as long as ever."""
    return PATIENT if url.dialect == "sqlite" else Timeouts(lock=lock)


class Connections:
    """At most ``size`` connections to one database, each used by one thread at a time.

    A process that was forked leaves the connections it inherited alone, and opens its own.

    Args:
        url: where.
        size: most connections that are open at once.
        given_up: set when nobody wants to wait any longer; waiting ends with the last error.
        timeouts: of each connection.
        passes: gives, for each unit that failed, what says of its errors whether to try it again.
        outages: shared by all who say the same of an outage.
    """

    def __init__(
        self,
        url: str | DatabaseUrl,
        size: int,
        given_up: threading.Event | None = None,
        timeouts: Timeouts = PATIENT,
        passes: Callable[[], Passes] = lambda: is_an_outage,
        outages: Outages | None = None,
    ) -> None:
        self.url = DatabaseUrl.parse(url) if isinstance(url, str) else url
        self.timeouts = timeouts
        self.outages = outages or Outages()
        self._size, self._passes = size, passes
        self._begin(given_up or threading.Event())

    def _begin(self, given_up: threading.Event) -> None:
        self.given_up = given_up
        self._free: list[Database] = []  # under the lock
        self._places = threading.Semaphore(self._size)
        self._lock = threading.Lock()
        self._process = os.getpid()

    def _begin_anew_after_a_fork(self) -> None:
        """Another process has these connections, and threads that are not here may have held the lock."""
        if self._process == os.getpid():
            return
        with app_path.without():
            import ctypes
        # To forget them would close them, and the driver of MySQL would say goodbye for the other process.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._free))
        self._begin(threading.Event())

    def run(
        self,
        unit: Callable[[Database], Result],
        *,
        patience: float | None = None,
        over: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Runs ``unit`` with a connection; again, with a new one, when it fails by what passes.

        Whether a commit whose answer was lost took place is not known: ``unit`` must be written so that running it
        again finds out.

        Args:
            unit: what to do, as one transaction or one statement.
            patience: seconds to go on trying while it fails by what passes, and to wait for one of the connections;
                for ever when it is not given. What a try may take is said by the timeouts.
            over: whether nobody wants it any more; asked after each failure.

        Raises:
            UnreachableError, ConnectionLostError, RetryableError: patience ended, or everybody gave up.
            DatabaseError: the database refuses what ``unit`` does.
        """
        self._begin_anew_after_a_fork()
        began, tries, passes = time.monotonic(), 0, None
        trouble = Trouble(self.outages, shared=True)
        give_up = None if patience is None else began + patience
        while True:
            try:
                result = self._once(unit, give_up)
            except _NoPlaceError:
                raise
            except HammerworkError as error:
                passes = passes or self._passes()
                tries += 1
                ended = self.given_up.is_set() or (give_up is not None and time.monotonic() >= give_up) or over()
                if ended or not passes(error):
                    raise
                # The first time at once: a connection may have been closed long ago by a server that is up again.
                if tries == 1 and isinstance(error, ConnectionLostError):
                    log.debug("%s Trying again.", error.message)
                else:
                    self._say(error, tries, trouble)
                    self.given_up.wait(random.uniform(0, min(LONGEST_PAUSE, 0.05 * 2 ** min(tries, 10))))  # noqa: S311
            else:
                trouble.over()
                return result

    @staticmethod
    def _say(error: HammerworkError, tries: int, trouble: Trouble) -> None:
        if not isinstance(error, RetryableError):
            trouble.failed(f"{error.message} Trying again.")
        elif tries == 1 or tries % 10 == 0:
            log.warning("%s Trying again.", error.message)

    def _once(self, unit: Callable[[Database], Result], give_up: float | None) -> Result:
        with self._place(give_up):
            database = self._take()
            database.give_up = give_up
            try:
                result = unit(database)
            except (ConnectionLostError, UnreachableError, AccessDeniedError, MissingTablesError):
                # MySQL looks at rights, SQLite at a file's, and we at the tables, once for each connection.
                self._drop(database)
                raise
            except BaseException:
                self._return(database)
                raise
            self._return(database)
            return result

    @contextmanager
    def _place(self, give_up: float | None) -> Iterator[None]:
        places = self._places
        wait = None if give_up is None else min(max(SHORTEST_WAIT, give_up - time.monotonic()), ENDLESS)
        if not places.acquire(timeout=wait):
            raise _NoPlaceError(
                f"All {self._size} connections are in use.", hint="Other threads have them: a larger pool_size helps."
            )
        try:
            yield
        finally:
            places.release()

    def _take(self) -> Database:
        with self._lock:
            if self._free:
                return self._free.pop()
        return connect(self.url, self.timeouts)

    def _return(self, database: Database) -> None:
        with self._lock:
            self._free.append(database)

    def _drop(self, database: Database) -> None:
        with suppress(Exception):
            database.close()
        # Its neighbours were connected to the same server.
        self.close()

    def close(self) -> None:
        """Closes the connections that nobody uses now."""
        self._begin_anew_after_a_fork()
        with self._lock:
            free, self._free = self._free, []
        for database in free:
            with suppress(Exception):
                database.close()
