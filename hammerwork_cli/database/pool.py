"""Connections that threads share."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from hammerwork_cli import app_path
from hammerwork_cli.database import PATIENT, Database, DatabaseUrl, Timeouts, connect
from hammerwork_cli.errors import AccessDeniedError, ConnectionLostError, MissingTablesError, UnreachableError

Result = TypeVar("Result")

SPOILING = (ConnectionLostError, UnreachableError, AccessDeniedError, MissingTablesError)
"""Errors that a fresh connection may not meet: MySQL looks at rights, SQLite at a file's, and hammerwork at the tables,
once for each connection."""


class Pool:
    """Connections to one database, each used by one thread at a time and opened when none is free.

    The caller limits how many threads use it at once. A process that was forked leaves the connections that it
    inherited alone, and opens its own.

    Args:
        url: of the database.
        timeouts: of each connection.
        spoiling: errors after which neither the connection is used again, nor the free ones, which lead to the same
            server.
    """

    def __init__(
        self, url: DatabaseUrl, timeouts: Timeouts = PATIENT, spoiling: tuple[type[Exception], ...] = SPOILING
    ) -> None:
        self._url, self._timeouts, self._spoiling = url, timeouts, spoiling
        self._begin()

    def _begin(self) -> None:
        self._free: list[Database] = []  # any thread writes it, under the lock
        self._lock = threading.Lock()
        self._process = os.getpid()

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

    def use(self, work: Callable[[Database], Result], give_up: float | None = None) -> Result:
        """Runs work with a connection of its own.

        Args:
            work: may leave the connection broken, but not in a transaction.
            give_up: see :attr:`Database.give_up`.
        """
        database = self._take()
        database.give_up = give_up
        try:
            result = work(database)
        except BaseException as error:
            if isinstance(error, self._spoiling):
                self._drop(database)
            else:
                self._return(database)
            raise
        self._return(database)
        return result

    def _take(self) -> Database:
        with self._lock:
            if self._free:
                return self._free.pop()
        return connect(self._url, self._timeouts)

    def _return(self, database: Database) -> None:
        with self._lock:
            self._free.append(database)

    def _drop(self, database: Database) -> None:
        with suppress(Exception):
            database.close()
        self.close()

    def close(self) -> None:
        """Closes the connections that no thread uses now."""
        self.leave_to_parent()
        with self._lock:
            free, self._free = self._free, []
        for database in free:
            with suppress(Exception):
                database.close()
