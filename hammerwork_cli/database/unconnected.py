"""Statements for a database to which somebody else connects."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from hammerwork_cli.database import statements
from hammerwork_cli.database.access import Database
from hammerwork_cli.database.mysql_texts import settled, utc
from hammerwork_cli.database.sqlite_texts import stored_timestamp
from hammerwork_cli.database.url import DatabaseUrl

STYLES: dict[str, Callable[[int], str]] = {
    "numeric": lambda number: f"${number}",
    "qmark": lambda _: "?",
    "format": lambda _: "%s",
}
"""Placeholders of a value by its number, as drivers want them."""
SERVERS = {"postgresql": "PostgreSQL 13", "mysql": "MySQL 8.0", "mariadb": "MariaDB 10.6", "sqlite": "SQLite 3.38"}
"""The servers by whose limits a value is judged."""
NOW = {
    "postgresql": "statement_timestamp()",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
}
"""The server's clock, the same in the whole of a statement."""
_VALUE = "\0"


class _Term(str):
    """A term that stands in place of a value."""

    __slots__ = ()


class Unconnected(Database):
    """A database with all migrations, of which only statements and values are made.

    Args:
        dialect: a key of :data:`SERVERS`.
        now: the time for which statements ask the server's clock.
    """

    placeholder = _VALUE

    def __init__(self, dialect: str, now: datetime) -> None:  # there is nothing to connect to
        self.dialect = "mysql" if dialect == "mariadb" else dialect  # type: ignore[misc]  # of a class elsewhere
        self._name, self._now = dialect, now
        self.url = DatabaseUrl(self.dialect, f"{self.dialect}://")
        self.__dict__["tags"] = frozenset({self.dialect, "current", *statements.GROWN})

    @property
    def server(self) -> str:
        return SERVERS[self._name]

    def ids(self, ids: Sequence[str]) -> Sequence[str]:
        return list(ids)

    def _adapt(self, value: datetime) -> Any:
        if value is self._now:  # the clock of this machine may be wrong
            return _Term(NOW[self.dialect])
        if self.dialect == "postgresql":
            return value
        return utc(value) if self.dialect == "mysql" else stored_timestamp(value)

    def written(self, statement: str, style: str, json_value: str, /, **values: Any) -> tuple[str, tuple[Any, ...]]:
        """A statement and its parameters.

        Args:
            style: a key of :data:`STYLES`.
            json_value: the value that is JSON, which drivers of PostgreSQL may convert in their own way.
        """
        sql, bound = self._bound(statement, self.tags, values)
        if self.dialect == "mysql":
            sql = settled(sql, mariadb=self._name == "mariadb")
        first, *rest = sql.replace("%", "%%" if style == "format" else "%").split(_VALUE)
        pieces, parameters = [first], []
        for value, text in zip(bound, rest, strict=True):
            if isinstance(value, _Term):
                pieces += [value, text]
                continue
            parameters.append(value)
            place = STYLES[style](len(parameters))
            as_json = self.dialect == "postgresql" and value is json_value
            pieces += [f"CAST(CAST({place} AS text) AS jsonb)" if as_json else place, text]
        return "".join(pieces).strip(), tuple(parameters)
