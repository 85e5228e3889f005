"""Batches of ids, each for one statement."""

from collections.abc import Iterator, Sequence

GIN_CHUNK = 300
"""Most ids in one ``&&`` of PostgreSQL, whose cost per id grows with their number: it is double at 1,000."""


def chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yields lists of at most ``size`` ids."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
