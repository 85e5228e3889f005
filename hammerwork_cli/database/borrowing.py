"""Finds the driver's connection in what an application gives, and borrows it."""

import sys
from typing import Any, Protocol

from hammerwork_cli import app_path
from hammerwork_cli.database.borrowed import Borrowed, Facts
from hammerwork_cli.errors import ConfigError, UsageError

KNOWN = "psycopg, mysql-connector-python, PyMySQL, mysqlclient, sqlite3, SQLAlchemy or Django"
_DIALECTS = {
    ("psycopg", "Connection"): "postgresql",
    ("sqlite3", "Connection"): "sqlite",
    ("mysql.connector.abstracts", "MySQLConnectionAbstract"): "mysql",
    ("pymysql.connections", "Connection"): "mysql",
    ("MySQLdb.connections", "Connection"): "mysql",
}
_ASYNCHRONOUS = ("asyncpg", "aiosqlite", "aiomysql", "asyncmy", "sqlalchemy.ext.asyncio", "mysql.connector.aio")


class HasTransaction(Protocol):
    """A connection of a driver, a ``Session`` or a ``Connection`` of SQLAlchemy, or ``django.db.connection``."""

    def commit(self) -> None:
        """Commits; only the application calls it."""

    def rollback(self) -> None:
        """Rolls back; only the application calls it."""


class IsPooled(Protocol):
    """A connection of a pool of mysql-connector-python, whose other methods no type checker sees."""

    def close(self) -> None:
        """Gives it back; only the application calls it."""

    def config(self, **options: Any) -> None:
        """Nobody may call it."""


Connection = HasTransaction | IsPooled
"""What writes jobs in a transaction of the application; :func:`borrow` finds out which it is."""


def borrow(connection: object, facts: Facts) -> Borrowed:
    """The connection for the statements of this package.

    Raises:
        UsageError: nobody knows such connections, or it cannot be used in its present state.
        ConfigError: it leads to another database.
    """
    found = _of_driver(connection)
    dialect = next((dialect for names, dialect in _DIALECTS.items() if _is_a(found, *names)), None)
    if dialect is None:
        raise _unknown(found)
    if dialect != facts.url.dialect:
        raise ConfigError(f"The connection is one to {dialect}, and the database of the queue is {facts.url}.")
    with app_path.without():
        if dialect == "postgresql":
            from hammerwork_cli.database.drivers.borrowed_postgres import BorrowedPostgres

            return BorrowedPostgres(found, facts)
        if dialect == "mysql":
            from hammerwork_cli.database.drivers.borrowed_mysql import BorrowedMysql

            return BorrowedMysql(found, facts)
        from hammerwork_cli.database.drivers.borrowed_sqlite import BorrowedSqlite

        return BorrowedSqlite(found, facts)


def _is_a(value: object, module: str, *names: str) -> bool:
    """Whether a value is of one of the classes of a module, which is not imported unless the application did so."""
    loaded = sys.modules.get(module)
    return any(isinstance(value, kind) for name in names if (kind := getattr(loaded, name, None)) is not None)


def _of_driver(given: Any) -> Any:
    """The driver's connection in one of a library above it, which begins a transaction as it does for any statement."""
    if _is_a(given, "sqlalchemy.orm", "Session", "scoped_session"):
        given = given.connection()
    if _is_a(given, "sqlalchemy", "Connection"):
        if not given.in_transaction():
            given.begin()
        return given.connection.driver_connection
    if _is_a(given, "django.db.backends.base.base", "BaseDatabaseWrapper") or _is_a(
        given, "django.utils.connection", "ConnectionProxy"
    ):
        given.validate_thread_sharing()
        given.validate_no_broken_transaction()
        given.ensure_connection()
        return given.connection
    if _is_a(given, "mysql.connector.pooling", "PooledMySQLConnection"):
        return given._cnx
    return given


def _unknown(found: object) -> UsageError:
    kind = type(found)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name.startswith(_ASYNCHRONOUS) or (name.startswith("psycopg") and "Async" in name):
        return UsageError(
            f"The connection is asynchronous: {name}.",
            hint="Send it the statement that hammerwork_cli.statement(job) returns.",
        )
    return UsageError(
        f"A connection must be one of {KNOWN}, not {name}.",
        hint="Any other can send the statement that hammerwork_cli.statement(job) returns.",
    )
