"""Values as the SQLite tables have them."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=16)  # the rows of a statement mostly share their times
def stored_timestamp(value: datetime) -> str:
    """Returns the text for a time in the SQLite tables."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
