"""Rates: a number within a period."""

import re
from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import UsageError

SHORTEST_PERIOD, LONGEST_PERIOD = timedelta(milliseconds=100), timedelta(days=31)
_RATE = re.compile(r"\s*(?P<number>[0-9]{1,10})\s*/\s*(?P<period>[0-9.]*\s*[A-Za-z]+|[0-9.]+)\s*")
_UNITS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "day": "d"}
_SHORT = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "m"), (timedelta(seconds=1), "s"))


class Rate(NamedTuple):
    """The most jobs that start within a period, in whatever moment it begins."""

    number: int
    period: timedelta

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Reads ``10/s``, ``100/minute`` or ``5/30s``.

        Raises:
            UsageError: it is nothing of that kind, or the period is shorter than 100 ms or longer than 31 days.
        """
        found = _RATE.fullmatch(text)
        if found is None:
            raise _no_rate(text)
        period = found["period"]
        period = _UNITS.get(period.lower(), period)
        try:
            length = duration_of(f"1{period}" if period[0].isalpha() else period)
        except UsageError as error:
            raise _no_rate(text) from error
        number = int(found["number"])
        if not 1 <= number <= LARGEST_INTEGER or not SHORTEST_PERIOD <= length <= LONGEST_PERIOD:
            raise UsageError(
                f"A rate is 1 to {LARGEST_INTEGER:,} jobs in 100ms to 31d, not {text[:40]!r}.",
                hint="To start no jobs at all: hammerwork queue pause",
            )
        return cls(number, length)

    @property
    def per_second(self) -> float:
        return self.number / self.period.total_seconds()

    def __str__(self) -> str:
        for unit, word in _SHORT:
            if self.period % unit == timedelta():
                times = self.period // unit
                return f"{self.number}/{times if times > 1 else ''}{word}"
        return f"{self.number}/{self.period / timedelta(milliseconds=1):g}ms"


def is_rate(text: str) -> bool:
    """Whether a text looks like a rate."""
    return _RATE.fullmatch(text) is not None


def _no_rate(text: str) -> UsageError:
    return UsageError(f"{text[:40]!r} is not a rate.", hint="Write 10/s, 100/m, 1000/h or 5/30s.")
