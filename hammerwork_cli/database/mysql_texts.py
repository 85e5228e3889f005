"""Statements for sessions of MySQL and MariaDB whose settings are those of somebody else."""

from datetime import UTC, datetime
from typing import Any

STRICT = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
"""The SQL mode in which a value is stored as it is or refused."""


def settled(sql: str, *, mariadb: bool) -> str:
    """The statement with settings for it alone: UTC, in which all times are written, and strict."""
    settings = "time_zone = '+00:00'", f"sql_mode = '{STRICT}'"
    if mariadb:
        return f"SET STATEMENT {', '.join(settings)} FOR {sql}"
    verb, _, rest = sql.lstrip().partition(" ")
    return f"{verb} /*+ SET_VAR({') SET_VAR('.join(settings)}) */ {rest}"


def utc(value: datetime) -> str:
    """A time as these statements have it."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def literal(value: Any) -> str:
    """A value as a literal that means the same in every character set and SQL mode."""
    if value is None:
        return "NULL"
    if isinstance(value, (bool, int)):
        return str(int(value))
    if isinstance(value, datetime):
        return f"'{utc(value)}'"
    if isinstance(value, (bytes, bytearray)):
        return f"x'{value.hex()}'"
    assert isinstance(value, str), f"no literal for {type(value)}"
    return f"_utf8mb4 x'{value.encode().hex()}'"
