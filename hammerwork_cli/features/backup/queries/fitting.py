"""Whether a database can store the values of a file: servers refuse late, unclearly or not at all."""

import re
from datetime import datetime
from typing import Any

from hammerwork_cli.cached import cached
from hammerwork_cli.core.input.limits import LARGEST_INTEGER, MOST_PARENTS
from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.features.backup.models.tables import ColumnKind, Record
from hammerwork_cli.features.backup.queries.rows import Rows
from hammerwork_cli.features.job.queries import limits

_BYTES = {"tiny": 255, "": 65_535, "medium": (1 << 24) - 1}
_BYTES = {f"{size}{kind}": most for size, most in _BYTES.items() for kind in ("text", "blob")}
"""Bytes in types of MySQL."""
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32}


class ColumnLimits:
    """Tells whether rows fit into a table."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._database = rows.database
        self._types = rows.types

    def problem(self, values: Record) -> str | None:
        """Why a row cannot be stored; ``None`` if nothing speaks against it."""
        for name, kind in self._rows.kinds.items():
            value = values.get(name)
            if value is None:
                continue
            found = self._of_other(name, kind, value) if name in self._rows.others else None
            found = found or self._problem(name, kind, value)
            if found:
                return f"{name}: {found}"
        return None

    def _problem(self, name: str, kind: ColumnKind, value: Any) -> str | None:
        if kind is ColumnKind.TIME:
            return self._of_a_time(name, value)
        if kind is ColumnKind.NUMBER and abs(value) > LARGEST_INTEGER and not self._types[name].startswith("bigint"):
            return None if self._database.dialect == "sqlite" else f"{value} is too large for this database"
        if kind is ColumnKind.IDS and len(value) > MOST_PARENTS:
            return f"a job can depend on at most {MOST_PARENTS:,} jobs"
        if kind is ColumnKind.JSON:
            return self._of_json(value)
        if kind is ColumnKind.BYTES:
            return self._of_length(name, len(value), len(value))
        return self._of_text(name, value) if kind is ColumnKind.TEXT else None

    def _of_a_time(self, name: str, value: datetime) -> str | None:
        if self._types[name].startswith("datetime") or limits.can_store(self._database, value):
            return None
        return f"{self._database.server} cannot store {value:%Y-%m-%d}"

    def _digits(self, name: str) -> int:
        """Of the fraction of a second in a column of times."""
        found = re.match(r"\w+\((\d)\)", self._types[name])
        return int(found[1]) if found else 0 if self._database.dialect == "mysql" else 6

    def _of_json(self, text: str) -> str | None:
        try:
            limits.check_json(self._database, text)
        except RefusedValueError as error:
            return error.message.rstrip(".")
        return _of_characters(text)

    def _of_text(self, name: str, text: str) -> str | None:
        if "\0" in text and self._database.dialect == "postgresql":
            return "PostgreSQL cannot store the character NUL"
        if self._database.charset and self._database.message(text) != text:
            return f"the tables are in {self._database.charset}, which lacks a character of it"
        return _of_characters(text) or self._of_length(name, len(text), len(text.encode()))

    def _of_length(self, name: str, characters: int, size: int) -> str | None:
        most = self._lengths[name]
        if most is not None and characters > most:
            return f"it has {characters:,} characters, and this database stores {most:,}"
        most = _BYTES.get(self._types[name])
        if most is not None and self._database.dialect == "mysql" and size > most:
            return f"it has {size:,} bytes, and this database stores {most:,}"
        return None

    def _of_other(self, name: str, kind: ColumnKind, value: Any) -> str | None:
        """Whether a column that this version does not know would take a value and change it, or refuse it late."""
        stored = self._types[name]
        if kind is ColumnKind.NUMBER and not self._is_in_range(name, value):
            return f"{value} is out of the range of {stored}"
        if kind is ColumnKind.TIME and value.microsecond % 10 ** (6 - self._digits(name)):
            return f"the type {stored} has no room for its fraction of a second"
        is_padded = re.match(r"binary\(|character(\(|$)", stored) and len(value) != (self._lengths[name] or 1)
        if is_padded or (stored.startswith("char(") and value.endswith(" ")):
            return f"the type {stored} would change its end"
        return None

    def _is_in_range(self, name: str, value: int) -> bool:
        bits = _BITS.get(self._types[name].partition("(")[0].partition(" ")[0], 64)
        if self._database.dialect == "sqlite":
            return True
        if self._types[name].endswith("unsigned"):
            return 0 <= value < 1 << bits
        return -(1 << bits - 1) <= value < 1 << bits - 1

    @cached
    def _lengths(self) -> dict[str, int | None]:
        return {name: self._rows.longest(name) for name in self._rows.kinds}


def _of_characters(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it has half a character (a lone surrogate)"
    return None
