"""Guards of a database: they are asked before anything in it changes."""

import re
from typing import Protocol

_READING = r"(?i)\s*(?:SELECT|SHOW|SET|WITH|EXPLAIN|PRAGMA|VALUES)\b"
_CHANGE_WITHIN = r"(?i)\b(?:INSERT\s+INTO|DELETE\s+FROM|(?<!FOR )UPDATE\s+\w+\s+(?:AS\s+\w+\s+)?SET)\b"


class ChangeGuard(Protocol):
    """Refuses changes, by an exception, or lets them pass."""

    def before_transaction(self) -> None:
        """Called before a transaction that may change something, while nothing is locked."""

    def before_change(self) -> None:
        """Called before a statement that changes something."""


def is_change(sql: str) -> bool:
    """Whether a statement changes something: every statement that is not known to read."""
    return re.match(_READING, sql) is None or re.search(_CHANGE_WITHIN, sql) is not None
