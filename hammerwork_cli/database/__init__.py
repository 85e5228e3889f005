"""Connects to the database of a URL. A driver is imported only for a URL with its scheme."""

import sys

from hammerwork_cli import app_path
from hammerwork_cli.database.access import Database
from hammerwork_cli.database.timeouts import PATIENT, Timeouts
from hammerwork_cli.database.url import DatabaseUrl, redact
from hammerwork_cli.errors import ConfigError
from hammerwork_cli.late_imports import late, state_versions

UNUSED = (
    *("asyncio.sslproto", "base64", "ipaddress", "linecache", "locale", "random", "shutil", "ssl", "tempfile"),
    *("traceback", "zoneinfo"),
)
"""Modules that psycopg needs only for TLS of asyncio, shuffled hosts, two-phase commits, time zones and errors."""

__all__ = ["PATIENT", "Database", "DatabaseUrl", "Timeouts", "connect", "driver", "redact"]


def connect(url: str | DatabaseUrl, timeouts: Timeouts = PATIENT) -> Database:
    """Opens a connection.

    Raises UnreachableError or AccessDeniedError if the server does not answer, or refuses the user.

    Args:
        timeouts: timeouts of the connection. Those for locks and statements have no effect behind PgBouncer, which
            gives each transaction any of its server's sessions.
    """
    parsed = DatabaseUrl.parse(url) if isinstance(url, str) else url
    with app_path.without():
        return driver(parsed)(parsed, timeouts)


def driver(url: DatabaseUrl) -> type[Database]:
    """Imports the driver of a database."""
    with app_path.without():
        if url.dialect == "postgresql":
            state_versions("psycopg", "psycopg_binary")
            with late(*UNUSED):
                _require("psycopg", "psycopg[binary]")
            from hammerwork_cli.database.drivers.postgres import PostgresDatabase

            return PostgresDatabase
        if url.dialect == "mysql":
            _require("mysql.connector", "mysql-connector-python")
            from hammerwork_cli.database.drivers.mysql import MySQLDatabase

            return MySQLDatabase
        from hammerwork_cli.database.drivers.sqlite import SqliteDatabase

        return SqliteDatabase


def _require(driver: str, package: str) -> None:
    try:
        __import__(driver)  # -X importtime does not list the imports of import_module
    except ImportError as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"The driver {driver} cannot be used: {why}.", hint=f"Run: {sys.executable} -m pip install '{package}'"
        ) from error
