"""The children of many parents, counted."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hammerwork_cli.models import Counts, Timestamp, status_of, timestamp


class ChildTotals:
    """The children of one parent, counted."""

    __slots__ = ("_created", "_ended", "counts")

    def __init__(self) -> None:
        self.counts = Counts()
        self._created: list[Timestamp] = []
        self._ended: list[Timestamp] = []

    def add(self, status: str, jobs: int, first_created: Timestamp, last_ended: Timestamp) -> None:
        """Adds the children in one status."""
        self.counts.add(status, jobs)
        self._created.append(first_created)
        self._ended.append(last_ended)

    def merge(self, other: "ChildTotals") -> None:
        """Adds the children of another parent."""
        self.counts.merge(other.counts)
        self._created += other._created
        self._ended += other._ended

    @property
    def first_created(self) -> Timestamp:
        """When the first was created."""
        return _pick(min, self._created)

    @property
    def last_ended(self) -> Timestamp:
        """When the last of those that ended did."""
        return _pick(max, self._ended)


@contextmanager
def no_collector() -> Iterator[None]:
    """Jobs make no cycles, and looking for some among 100,000 of them takes longer than to read them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _pick(choose: Any, given: Iterable[Timestamp]) -> Timestamp:
    """``min`` or ``max`` of the moments that can be read: PostgreSQL also holds ``infinity``."""
    return choose((one for one in given if timestamp(one) is not None), key=timestamp, default=None)  # type: ignore[no-any-return]


def collect_totals(totals: dict[str, ChildTotals], rows: Iterable[tuple[Any, ...]]) -> None:
    """Adds rows of (parent, status, jobs, first created, last ended) to ``totals``."""
    for stored_parent, status, jobs, first_created, last_ended in rows:
        parent = stored_parent.lower()  # MySQL and MariaDB group spellings, and give one of them
        if parent not in totals:
            totals[parent] = ChildTotals()
        totals[parent].add(status_of(status), jobs, first_created, last_ended)
