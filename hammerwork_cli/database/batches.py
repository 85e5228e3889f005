"""Ids in portions that a statement can take."""

from collections.abc import Iterator, Sequence

GIN_CHUNK = 300
"""More ids in one ``&&`` cost PostgreSQL more for each of them: twice as much at 1,000."""


def chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """``ids`` in lists of at most ``size``."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
