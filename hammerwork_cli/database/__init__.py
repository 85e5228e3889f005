"""From a URL to a :class:`Database`; the driver is imported only when its scheme is used."""

from hammerwork_cli.database.access import Database
from hammerwork_cli.database.url import DatabaseUrl, redact

__all__ = ["Database", "DatabaseUrl", "connect", "redact"]


def connect(url: str | DatabaseUrl) -> Database:
    """Opens a connection.

    Raises:
        ConfigError: the URL cannot be used, or its driver is not installed.
        UnreachableError, AccessDeniedError: the server does not answer, or not to this user.
    """
    parsed = DatabaseUrl.parse(url) if isinstance(url, str) else url
    if parsed.dialect == "postgresql":
        from hammerwork_cli.database.postgres import PostgresDatabase

        return PostgresDatabase(parsed)
    if parsed.dialect == "mysql":
        from hammerwork_cli.database.mysql import MySQLDatabase

        return MySQLDatabase(parsed)
    from hammerwork_cli.database.sqlite import SqliteDatabase

    return SqliteDatabase(parsed)
