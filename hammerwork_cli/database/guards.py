"""Guards of a database: they are asked before anything in it changes."""

import re
from typing import Protocol

_READING = re.compile(r"\s*(?:SELECT|SHOW|SET|WITH|EXPLAIN|PRAGMA|VALUES)\b", re.IGNORECASE)
_CHANGE_WITHIN = re.compile(r"\b(?:INSERT\s+INTO|DELETE\s+FROM|(?<!FOR )UPDATE\s+\w+\s+(?:AS\s+\w+\s+)?SET)\b", re.I)


class ChangeGuard(Protocol):
    """Refuses changes, by an exception, or lets them pass."""

    def before_transaction(self) -> None:
        """Called before a transaction that may change something, while nothing is locked."""

    def before_change(self) -> None:
        """Called before a statement that changes something."""


def is_change(sql: str) -> bool:
    """Whether a statement changes something: every statement that is not known to read."""
    return _READING.match(sql) is None or _CHANGE_WITHIN.search(sql) is not None
