"""Connections of applications to SQLite, by Python's ``sqlite3``."""

import sqlite3
from typing import Any

from hammerwork_cli.database.borrowed import Borrowed, text_of
from hammerwork_cli.database.drivers.sqlite import SqliteDatabase
from hammerwork_cli.errors import HammerworkError

LEGACY = -1
"""The attribute ``autocommit``, which Python has since 3.12, of a connection that goes by its ``isolation_level``."""


class BorrowedSqlite(Borrowed, SqliteDatabase):
    """A ``sqlite3.Connection``."""

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = super()._connect()
        self._limit_chunks(connection)
        return connection

    @property
    def commits_each_statement(self) -> bool:
        connection = self._connection
        if connection.in_transaction:
            return False
        mode = getattr(connection, "autocommit", LEGACY)
        return connection.isolation_level is None if mode == LEGACY else bool(mode)

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> sqlite3.Cursor:
        del buffered
        cursor = _PlainCursor(self._connection)
        cursor.row_factory = None
        return cursor.execute(sql, values)

    def _error(self, error: Exception) -> HammerworkError | None:
        return self._in_our_words(super()._error(error))


class _PlainCursor(sqlite3.Cursor):
    """A cursor that returns text as ``str``, whatever the connection makes of it."""

    def fetchall(self) -> list[Any]:
        rows = super().fetchall()
        return rows if self.connection.text_factory is str else [tuple(map(text_of, row)) for row in rows]
