"""Connections of applications to MySQL and MariaDB, by mysql-connector-python, PyMySQL or mysqlclient."""

import re
import sys
from collections.abc import Mapping
from typing import Any

from mysql.connector.abstracts import MySQLConnectionAbstract
from mysql.connector.connection import MySQLConnection
from mysql.connector.cursor import MySQLCursorBuffered

from hammerwork_cli.database.access import Row
from hammerwork_cli.database.borrowed import Borrowed, Facts, text_of
from hammerwork_cli.database.driver_errors import ErrorMeaning, error_for
from hammerwork_cli.database.drivers.mysql import MySQLDatabase
from hammerwork_cli.database.mysql_texts import literal, settled
from hammerwork_cli.errors import ConfigError, DuplicateError, HammerworkError, MissingTablesError, UsageError

IN_TRANSACTION = 1
"""``SERVER_STATUS_IN_TRANS`` of the protocol."""
OLDEST = (8, 0, 17)
"""The first MySQL that has a time zone for one statement."""
VALUE = "\0"
"""Stands for a value until it is written into the statement."""


class BorrowedMysql(Borrowed, MySQLDatabase):
    """A connection of one of these libraries, in any character set, time zone, SQL mode and isolation.

    They escape values for the settings of a session as they know them, so literals are written here instead.
    """

    placeholder = VALUE

    def __init__(self, connection: Any, facts: Facts) -> None:
        self.version = facts.known["version"]
        if not self.is_mariadb and tuple(map(int, re.findall(r"\d+", self.version)[:3])) < OLDEST:
            raise ConfigError(f"{self.server} is too old for `connection=`: 8.0.17 or newer is needed.")
        super().__init__(connection, facts)

    @property
    def commits_each_statement(self) -> bool:
        alone = "@@autocommit AND NOT @@in_transaction" if self.is_mariadb else "@@autocommit"
        return not self._is_in_transaction and bool(int(self.query(f"SELECT {alone}")[0][0]))

    @property
    def _is_in_transaction(self) -> bool:
        connection = self._connection
        if isinstance(connection, MySQLConnectionAbstract):
            return bool(connection.in_transaction)
        # mysqlclient does not say: with it, the server decides.
        return bool(getattr(connection, "server_status", 0) & IN_TRANSACTION)

    def _check_state(self) -> None:
        connection = self._connection
        unread = getattr(connection, "unread_result", False)
        result = getattr(connection, "_result", None)  # of PyMySQL, which would throw the rest of it away
        if unread or getattr(result, "unbuffered_active", False):
            raise UsageError("The connection has unread rows of another statement.", hint="Fetch all of them first.")

    def _check_identity(self) -> None:
        try:
            super()._check_identity()
        except MissingTablesError:
            raise self._elsewhere() from None

    def identity(self, schema: str = "") -> tuple[str, ...]:
        ((_, made),) = self._rows("shared.identity", frozenset({self.dialect}), {})
        return (schema, str(made))

    def run_once(self, statement: str, /, **values: Any) -> int:
        try:
            return self.run(statement, **values)
        except DuplicateError:
            return 0

    def _bound(self, statement: str, tags: frozenset[str], values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        sql, bound = super()._bound(statement, tags, values)
        first, *rest = sql.split(VALUE)
        return first + "".join([literal(value) + text for value, text in zip(bound, rest, strict=True)]), []

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
        del values, buffered
        text = settled(sql, mariadb=self.is_mariadb)
        if self.packet is not None and len(text) >= self.packet:  # the server would end the session
            why = f"{len(text)} bytes exceed max_allowed_packet, which is {self.packet}"
            raise error_for(ErrorMeaning.REFUSED, self, why)
        cursor = self._new_cursor()
        cursor.execute(text)
        return cursor

    def _new_cursor(self) -> Any:
        # Not the connection's own kind, whose rows may be anything.
        connection = self._connection
        if isinstance(connection, MySQLConnection):
            return MySQLCursorBuffered(connection)
        if isinstance(connection, MySQLConnectionAbstract):
            from mysql.connector import cursor_cext

            return cursor_cext.CMySQLCursorBuffered(connection)  # type: ignore[arg-type]  # the other of two kinds
        return connection.cursor(sys.modules[f"{type(connection).__module__.partition('.')[0]}.cursors"].Cursor)

    def _rows(self, statement: str, tags: frozenset[str], values: Mapping[str, Any]) -> list[Row]:
        return [tuple(map(text_of, row)) for row in super()._rows(statement, tags, values)]

    def _is_alive(self) -> bool:
        return True  # as far as anybody may ask

    def _numbered(self, error: Exception) -> tuple[int | None, str] | None:
        if type(error).__module__.partition(".")[0] in {"pymysql", "MySQLdb"}:
            number, *texts = (*error.args, "")
            return (number, str(texts[0])) if isinstance(number, int) and number else (None, str(error))
        return super()._numbered(error)

    def _error(self, error: Exception) -> HammerworkError | None:
        return self._in_our_words(super()._error(error))
