"""Rates of the last seconds, from totals that are read again and again."""

from collections import deque
from collections.abc import Iterable, Mapping

SPAN = 30.0
"""Seconds that a rate looks back."""
LEAST = 4.0
"""Seconds below which there is no rate: a few jobs in a moment say nothing about the next minute."""


class RecentRate:
    """The growth of one total per second, over the last :data:`SPAN` seconds.

    A total that falls starts anew: what was counted has gone back, such as jobs that somebody retries.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, at: float, total: int) -> None:
        """Adds the total at a time in seconds."""
        if self._seen and total < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at, total))
        while len(self._seen) > 2 and self._seen[1][0] <= at - SPAN:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """The rate; ``None`` before the totals are :data:`LEAST` seconds apart."""
        if not self._seen or self._seen[-1][0] - self._seen[0][0] < LEAST:
            return None
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start)


class SharedRate:
    """The growth per second of counters that come and go, such as those of workers."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._total = 0
        self._rate = RecentRate()

    def add(self, at: float, counters: Mapping[str, int]) -> None:
        """Adds the counters at a time in seconds. A new counter counts from then on."""
        self._total += sum(max(count - self._last.get(name, count), 0) for name, count in counters.items())
        self._last = dict(counters)
        self._rate.add(at, self._total)

    @property
    def per_second(self) -> float | None:
        """The rate; ``None`` at first."""
        return self._rate.per_second


class Rates:
    """A rate for each of some changing names."""

    def __init__(self) -> None:
        self._rates: dict[str, RecentRate] = {}

    def add(self, at: float, totals: Iterable[tuple[str, int]]) -> None:
        """Adds the totals at a time in seconds, and forgets names without one."""
        rates = {}
        for name, total in totals:
            rates[name] = self._rates.get(name) or RecentRate()
            rates[name].add(at, total)
        self._rates = rates

    def of(self, name: str) -> float | None:
        """The rate of a name; ``None`` before there is one."""
        known = self._rates.get(name)
        return known.per_second if known else None
