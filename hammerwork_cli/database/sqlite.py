"""SQLite: the embedded database for those who want to try, and for tests."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from hammerwork_cli.database.access import MIGRATE, Database
from hammerwork_cli.database.interrupts import interruptible
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConfigError,
    DatabaseError,
    MissingTablesError,
    RetryableError,
    UnreachableError,
)

BUSY_SECONDS = 10
OLDEST = (3, 38, 0)
READ_CHUNK = 5000
OTHER_VALUES = 100
"""Room beside a long list of ids for the other values of a statement."""


class SqliteDatabase(Database):
    """A file. Instants are RFC 3339 text of fixed width, so that they sort; JSON and ids are text."""

    dialect = "sqlite"
    placeholder = "?"

    def _connect(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed.")
        path = self.url.path
        assert path is not None
        if not path.parent.is_dir():
            raise UnreachableError(f"The folder {path.parent} does not exist.", hint="Create it, or name another file.")
        connection = sqlite3.connect(
            # Whoever uses a connection has it alone, but not always in the same thread.
            path,
            timeout=self.timeouts.lock or BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        most_values = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) - OTHER_VALUES
        self.read_chunk, self.scan_chunk = (min(chunk, most_values) for chunk in (READ_CHUNK, self.scan_chunk))
        return connection

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> sqlite3.Cursor:
        del buffered  # never are
        cursor: sqlite3.Cursor = self._connection.execute(sql, values)
        return cursor

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with interruptible(self._abort), super()._translated():
            yield

    def _abort(self) -> None:
        self._connection.interrupt()

    def ids(self, ids: Sequence[str]) -> str:
        """One JSON text."""
        return json.dumps(list(ids))

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def _begin_snapshot(self) -> None:
        self._connection.execute("BEGIN")

    def _adapt(self, value: datetime) -> str:
        return stored_moment(value)

    def _error(self, error: Exception) -> Exception | None:
        if not isinstance(error, sqlite3.Error):
            return None
        text = str(error)
        if "no such table" in text or "no such column" in text:
            return MissingTablesError(f"The database lacks something: {text}.", hint=MIGRATE)
        if "locked" in text or "busy" in text:
            return RetryableError("Another process holds the SQLite file.", hint="Try again in a moment.")
        if "unable to open" in text:
            return UnreachableError(f"{self.url.path} cannot be opened.", hint="Check the path and its permissions.")
        if "readonly" in text:
            return AccessDeniedError(f"{self.url.path} may not be written.", hint="Check its permissions.")
        if "not a database" in text:
            return ConfigError(f"{self.url.path} is not an SQLite database.")
        return DatabaseError(f"SQLite says: {text}.")

    @property
    def server(self) -> str:
        """Product and version."""
        return f"SQLite {sqlite3.sqlite_version}"

    def now(self) -> datetime:
        """The server's clock, in UTC."""
        return datetime.now(UTC)


def stored_moment(value: datetime) -> str:
    """An instant as our SQLite tables hold it."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
