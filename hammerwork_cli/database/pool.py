"""Connections that threads share."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from weakref import finalize

from hammerwork_cli import app_path
from hammerwork_cli.database import PATIENT, Database, DatabaseUrl, Timeouts, connect
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConnectionLostError,
    HammerworkError,
    MissingTablesError,
    SilentConnectionError,
    UnreachableError,
)

Result = TypeVar("Result")

SPOILING = (ConnectionLostError, UnreachableError, AccessDeniedError, MissingTablesError)
"""Errors that a fresh connection may not meet: MySQL looks at rights, SQLite at a file's, and hammerwork at the tables,
once for each connection."""

IDLE_SHARE = 0.75
"""Part of the time that a server keeps an idle session, after which a free connection is not trusted. A heartbeat comes
after half of that time.
"""


class Invalidation:
    """When all connections were last invalidated: those of before are not used again. Pools to one server share it.

    A connection was silent, and what swallows one swallows others; or the tables changed, and each connection knows
    them as they were. Any thread writes it, one number.
    """

    def __init__(self) -> None:
        self.at = -math.inf


class Pool:
    """Connections to one database, each used by one thread at a time and opened when none is free.

    The caller limits how many threads use it at once. A process that was forked leaves the connections that it
    inherited alone, and opens its own. A pool that nobody closes closes its free connections when nobody refers to it,
    or when the program ends: a server would wait for them, and Python warns of them.

    Args:
        spoiling: errors after which neither the connection is used again, nor the free ones, which lead to the same
            server.
        invalidation: of all pools that lead to the same server.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        timeouts: Timeouts = PATIENT,
        spoiling: tuple[type[Exception], ...] = SPOILING,
        invalidation: Invalidation | None = None,
    ) -> None:
        self._invalidation = invalidation or Invalidation()
        self._url, self._spoiling = url, spoiling
        self._timeouts = timeouts
        self._begin()

    def _begin(self) -> None:
        # With the time since when it is free; any thread writes it, under the lock.
        self._free: list[tuple[Database, float]] = []
        self._orphans: list[object] = []  # sessions of connections that were silent; under the lock
        self._lock = threading.Lock()
        self._process = os.getpid()
        finalize(self, _close_forgotten, self._free, self._process)

    def leave_to_parent(self) -> bool:
        """Starts without connections if this process was forked since; whether it was."""
        if self._process == os.getpid():
            return False
        with app_path.without():
            import ctypes
        # To forget them would close them, and the driver of MySQL would say goodbye for the other process. Threads that
        # do not exist here may have held the lock.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._free))
        self._begin()
        return True

    def use(
        self, work: Callable[[Database], Result], give_up: float | None = None, timeouts: Timeouts | None = None
    ) -> Result:
        """Runs work with a connection of its own.

        Args:
            work: may leave the connection broken, but not in a transaction.
            timeouts: of this work alone, which then has a new connection that nobody uses afterwards.
        """
        with self.lend(give_up, timeouts) as database:
            return work(database)

    @contextmanager
    def lend(self, give_up: float | None = None, timeouts: Timeouts | None = None) -> Iterator[Database]:
        """A connection, as :meth:`use` gives it to its work."""
        began = time.monotonic()
        database = self._take() if timeouts is None else self._connect(timeouts)
        database.give_up = give_up
        try:
            yield database
        except BaseException as error:
            if isinstance(error, SilentConnectionError):
                self._invalidation.at = time.monotonic()
                with self._lock:
                    self._orphans.append(database.session)
            if isinstance(error, self._spoiling):
                self._drop(database)
            else:
                self._give_back(database, timeouts, began)
            raise
        self._give_back(database, timeouts, began)

    def _give_back(self, database: Database, timeouts: Timeouts | None, began: float) -> None:
        if timeouts is None and began > self._invalidation.at:
            self._return(database)
        else:
            _close(database)

    def _take(self) -> Database:
        with self._lock:
            # The last one has been free for the shortest time: when it is not trusted, none is.
            if self._free:
                database, since = self._free[-1]
                is_kept = time.monotonic() - since < IDLE_SHARE * database.idle_limit
                if is_kept and since > self._invalidation.at:
                    self._free.pop()
                    return database
        self.close()
        return self._connect(self._timeouts)

    def _connect(self, timeouts: Timeouts) -> Database:
        """Opens a connection, and ends the sessions whose connections were silent: they would keep their locks.

        The server ends them too, after a while, but by its clock, which somebody may have set.
        """
        database = connect(self._url, timeouts)
        with self._lock:
            orphans, self._orphans = self._orphans, []
        for session in orphans:
            with suppress(HammerworkError):
                database.end_session(session)
        return database

    def _return(self, database: Database) -> None:
        database.look_again()
        with self._lock:
            self._free.append((database, time.monotonic()))

    def _drop(self, database: Database) -> None:
        _close(database)
        self.close()

    def close(self) -> None:
        """Closes the connections that no thread uses now."""
        self.leave_to_parent()
        with self._lock:
            free = [*self._free]
            self._free.clear()
        for database, _ in free:
            _close(database)


def _close(database: Database) -> None:
    with suppress(Exception):
        database.close()


def _close_forgotten(free: list[tuple[Database, float]], process: int) -> None:
    """Closes the free connections of a pool that is gone, in the process that opened them."""
    while free and os.getpid() == process:
        _close(free.pop()[0])
