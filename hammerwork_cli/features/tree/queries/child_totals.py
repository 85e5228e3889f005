"""Counts of the children of many parents."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hammerwork_cli.core.values import Counts, Timestamp, status_of, timestamp


class ChildTotals:
    """Counts and times of the children of one parent."""

    __slots__ = ("_created", "_ended", "counts")

    def __init__(self) -> None:
        self.counts = Counts()
        self._created: list[Timestamp] = []
        self._ended: list[Timestamp] = []

    def add(self, status: str, jobs: int, first_created: Timestamp, last_ended: Timestamp) -> None:
        """Adds ``jobs`` children that have the same status."""
        self.counts.add(status, jobs)
        self._created.append(first_created)
        self._ended.append(last_ended)

    def merge(self, other: "ChildTotals") -> None:
        self.counts.merge(other.counts)
        self._created += other._created
        self._ended += other._ended

    @property
    def first_created(self) -> Timestamp:
        return earliest(self._created)

    @property
    def last_ended(self) -> Timestamp:
        """Time of the last end among the children that have ended."""
        return latest(self._ended)


@contextmanager
def no_collector() -> Iterator[None]:
    """Turns off the garbage collector: nodes form no cycles, and each collection would visit all 100,000 of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def earliest(given: Iterable[Timestamp]) -> Timestamp:
    """The first of timestamps; ``None`` if none can be read."""
    return _pick(min, given)


def latest(given: Iterable[Timestamp]) -> Timestamp:
    """The last of timestamps; ``None`` if none can be read."""
    return _pick(max, given)


def _pick(choose: Any, given: Iterable[Timestamp]) -> Timestamp:
    """``min`` or ``max`` of the timestamps, without unreadable ones: PostgreSQL can store ``infinity``."""
    return choose((one for one in given if timestamp(one) is not None), key=timestamp, default=None)  # type: ignore[no-any-return]


def collect_totals(totals: dict[str, ChildTotals], rows: Iterable[tuple[Any, ...]]) -> None:
    """Adds rows of (parent, status, jobs, first created, last ended) to ``totals``."""
    for stored_parent, status, jobs, first_created, last_ended in rows:
        parent = stored_parent.lower()  # MySQL and MariaDB group ids that differ in case, and return one spelling
        if parent not in totals:
            totals[parent] = ChildTotals()
        totals[parent].add(status_of(status), jobs, first_created, last_ended)
