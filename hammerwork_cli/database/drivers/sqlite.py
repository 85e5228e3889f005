"""SQLite, the embedded database for trying hammerwork and for tests."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hammerwork_cli.database.access import Database, DriverCall
from hammerwork_cli.database.driver_errors import SQLITE, ErrorMeaning, by_prefix, error_for
from hammerwork_cli.database.drivers.forks import fork_lock
from hammerwork_cli.database.drivers.sqlite_holders import (
    OwnConnection,
    holding,
    refuse_deadlock,
    refuse_own_transaction,
)
from hammerwork_cli.database.interrupts import Interruption
from hammerwork_cli.database.sqlite_texts import stored_timestamp
from hammerwork_cli.errors import AccessDeniedError, ConfigError, HammerworkError, LimitReachedError, UnreachableError

BUSY_SECONDS = 10
FIRST_SECONDS = 1.0
"""How long a statement waits for a lock before it looks for who has it."""
OLDEST = (3, 38, 0)
READ_CHUNK = 5000
OTHER_VALUES = 100
"""Room in a statement for other values beside a long list of ids."""


class SqliteDatabase(Database):
    """A file. Timestamps are RFC 3339 text of fixed width, so that they sort; JSON and ids are text."""

    dialect = "sqlite"
    placeholder = "?"

    def _connect(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed.")
        path = self.url.path
        assert path is not None
        if not path.parent.is_dir():
            raise UnreachableError(f"The folder {path.parent} does not exist.", hint="Create it, or give another file.")
        _make(path)
        connection = sqlite3.connect(
            # Only one thread uses a connection at a time, but not always the same one.
            path,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
            factory=OwnConnection,
        )
        self._wait_for(connection, FIRST_SECONDS)
        try:
            self._write_ahead(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        self._limit_chunks(connection)
        return connection

    @staticmethod
    def _write_ahead(connection: sqlite3.Connection) -> None:
        """Lets readers go on while others write, unless somebody writes now: then a later connection does so."""
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise

    @property
    def _patience(self) -> float:
        return self.timeouts.lock or BUSY_SECONDS

    def _wait_for(self, connection: sqlite3.Connection, seconds: float) -> None:
        connection.execute(f"PRAGMA busy_timeout = {round(min(seconds, self._patience) * 1000)}")

    def _when_free(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Runs a statement; if it waits for a lock, looks after a moment whether that could ever end."""
        connection: sqlite3.Connection = self._connection
        try:
            return connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            rest = self._patience - FIRST_SECONDS
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or rest <= 0:
                raise
        assert self.url.path is not None
        refuse_deadlock(self.url.path)
        self._wait_for(connection, rest)
        try:
            return connection.execute(sql, values)
        finally:
            self._wait_for(connection, FIRST_SECONDS)

    def _limit_chunks(self, connection: sqlite3.Connection) -> None:
        most_values = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) - OTHER_VALUES
        self.read_chunk, self.scan_chunk = (min(chunk, most_values) for chunk in (READ_CHUNK, self.scan_chunk))

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> sqlite3.Cursor:
        del buffered  # SQLite never reads ahead
        return self._when_free(sql, values)

    def _translated(self) -> DriverCall:
        return _SqliteCall(self, Interruption(self.cancel))

    @contextmanager
    def _held(self, begin: Callable[[], None]) -> Iterator[None]:
        with fork_lock, super()._held(begin):
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        assert self.url.path is not None
        with super().held(), holding(self.url.path):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with fork_lock, super().snapshot():
            yield

    def close(self) -> None:
        with fork_lock:
            super().close()

    def cancel(self) -> None:
        self._connection.interrupt()

    def ids(self, ids: Sequence[str]) -> str:
        """Returns one JSON array."""
        return json.dumps(list(ids))

    def times(self, times: Mapping[str, datetime]) -> str:
        """Returns one JSON object: SQLite would read an array from its start for each job."""
        return json.dumps({job: stored_timestamp(time) for job, time in times.items()})

    def _begin(self) -> None:
        assert self.url.path is not None
        refuse_own_transaction(self.url.path)
        self._when_free("BEGIN IMMEDIATE")

    def _begin_snapshot(self) -> None:
        self._connection.execute("BEGIN")

    def _adapt(self, value: datetime) -> str:
        return stored_timestamp(value)

    def _error(self, error: Exception) -> HammerworkError | None:
        if isinstance(error, MemoryError):  # as which Python's driver raises the library's own code
            return error_for(SQLITE["SQLITE_NOMEM"], self, "out of memory", sqlite="SQLITE_NOMEM")
        if not isinstance(error, sqlite3.Error):
            return None
        text, code = str(error), getattr(error, "sqlite_errorname", None)
        if code == "SQLITE_NOTADB":
            return ConfigError(f"{self.url.path} is not an SQLite database.")
        if code and code.startswith("SQLITE_CANTOPEN"):
            return UnreachableError(f"{self.url.path} cannot be opened.", hint="Check the path and its permissions.")
        meaning = self._meaning(code, text)
        if meaning == ErrorMeaning.DENIED:
            return AccessDeniedError(
                f"{self.url} refuses: {text}.", hint="Check the permissions of the file and its folder.", sqlite=code
            )
        if meaning == ErrorMeaning.LOCKED and self.timeouts.lock:
            return LimitReachedError(
                f"Another connection has a transaction open in {self.url.path} for too long: {text}.",
                hint="If it is yours, enqueue in it: queue.enqueue(job, connection=...).",
                sqlite=code,
            )
        return error_for(meaning, self, text, sqlite=code)

    def _meaning(self, code: str | None, text: str) -> ErrorMeaning:
        if "no such table" in text or "no such column" in text:
            return ErrorMeaning.MISSING
        if "malformed JSON" in text or "binding parameter" in text:
            return ErrorMeaning.REFUSED
        if "closed database" in text:
            return ErrorMeaning.LOST
        return by_prefix(SQLITE, code)

    def identity(self, schema: str = "") -> tuple[str, ...]:
        wanted = schema or "main"
        files = {name: file for _, name, file in self.query("PRAGMA database_list")}
        return (wanted, os.path.realpath(files[wanted])) if files.get(wanted) else ()

    @property
    def server(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def _server_now(self) -> datetime:
        return datetime.now(UTC)


def _make(path: Path) -> None:
    """Creates a file that only its owner can read. SQLite gives the files beside it the same permissions."""
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


class _SqliteCall(DriverCall):
    """A call of SQLite, during which no fork begins."""

    __slots__ = ()

    def __enter__(self) -> None:
        fork_lock.__enter__()
        try:
            super().__enter__()
        except BaseException:
            fork_lock.__exit__()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            fork_lock.__exit__()
