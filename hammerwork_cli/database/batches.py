"""Batches of ids or rows, each for one statement."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Value = TypeVar("Value")

GIN_CHUNK = 300
"""Most ids in one ``&&`` of PostgreSQL, whose cost per id grows with their number: it is double at 1,000."""


def chunks(ids: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    """Yields lists of at most ``size`` ids."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def batched(values: Iterable[Value], size: int) -> Iterator[list[Value]]:
    """Yields lists of ``size`` values, the last of which may be shorter."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
