"""Limits of queues: how many of their jobs run at once, and how many start within a period."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LARGEST_INTEGER, LONGEST_NAME
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.core.values import Timestamp
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


def _no_rate(text: str) -> UsageError:
    return UsageError(f"{text[:40]!r} is not a rate.", hint="Write 10/s, 100/m, 1000/h or 5/30s.")


@dataclass(frozen=True, slots=True)
class QueueLimit:
    """The limit of a queue. It has a concurrency, a rate, or both.

    Attributes:
        queue: the queue.
        concurrency: the most jobs that run at once, in all workers.
        rate: the most jobs that start within a period, in all workers.
        by: a key of payloads, such as ``tenant`` or ``customer.id``: each of its values has the limit for itself.
            ``None`` if all jobs of the queue share it.
        changed_by: who wrote it: ``user@host``, or the application that declares it.
        changed_at: when.
    """

    queue: str
    concurrency: int | None = None
    rate: Rate | None = None
    by: str | None = None
    changed_by: str = ""
    changed_at: Timestamp = None

    @classmethod
    def of(
        cls, queue: str, concurrency: int | None = None, rate: str | None = None, by: str | None = None
    ) -> "QueueLimit":
        """Reads a limit.

        Raises:
            UsageError: it limits nothing, or a value is out of range.
        """
        fields.queue(queue)
        if concurrency is None and rate is None:
            raise UsageError("A limit needs a concurrency, a rate, or both.")
        if concurrency is not None:
            fields.whole_number(concurrency, "A concurrency", 1, LARGEST_INTEGER)
        if by is not None:
            _check_keys(fields.text(by, "by"))
        return cls(queue, concurrency, None if rate is None else Rate.parse(fields.text(rate, "rate")), by)

    @property
    def keys(self) -> list[str]:
        """The keys that lead to the value in a payload that it goes by; none if all jobs share it."""
        return [] if self.by is None else self.by.split(".")

    @property
    def terms(self) -> tuple[int | None, Rate | None, str | None]:
        """What it says, without who wrote it."""
        return self.concurrency, self.rate, self.by

    def __str__(self) -> str:
        """Such as "2 at once, 10/s by tenant"."""
        parts = [f"{self.concurrency:,} at once"] if self.concurrency is not None else []
        parts += [str(self.rate)] if self.rate is not None else []
        return ", ".join(parts) + (f" by {self.by}" if self.by is not None else "")


def _check_keys(by: str) -> None:
    keys = by.split(".")
    if len(by) > LONGEST_NAME or not all(keys) or any(character in by for character in '"\\\0'):
        raise UsageError(
            f"{by[:60]!r} is no key of a payload.", hint="Write tenant, or customer.id for a key within one."
        )
