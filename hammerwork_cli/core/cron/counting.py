"""Counts the due times of a span without going over all of them: on most days they are the same times of the clock."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple

from hammerwork_cli.core.cron import rust, unix
from hammerwork_cli.core.cron.expressions import INTERVAL, UNIX, Expression
from hammerwork_cli.core.input.zones import zone_of

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


class _Times(NamedTuple):
    """The due times of a day on which the clock does not change."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    fits: Callable[[date], bool]

    def until(self, passed: timedelta) -> int:
        """How many there are in the part of the day that has passed."""
        if passed < timedelta():
            return 0
        of_hour = len(self.minutes) * len(self.seconds)
        if passed >= _DAY:
            return len(self.hours) * of_hour
        hour, rest = divmod(int(passed.total_seconds()), 3600)
        minute, second = divmod(rest, 60)
        number = bisect_left(self.hours, hour) * of_hour
        if hour in self.hours:
            number += bisect_left(self.minutes, minute) * len(self.seconds)
            if minute in self.minutes:
                number += bisect_right(self.seconds, second)
        return number


def count(expression: Expression, after: datetime, until: datetime, anchor: datetime) -> int:
    """The number of due times after ``after`` and up to ``until``.

    Args:
        anchor: the time from which an interval counts.
    """
    if until <= after:
        return 0
    if expression.syntax == INTERVAL:
        length = expression.interval
        return max((until - anchor) // length, -1) - max((after - anchor) // length, -1)
    zone, times = zone_of(expression.timezone), _times(expression)
    day, number, walked = after.astimezone(zone).date(), 0, after
    last = until.astimezone(zone).date()
    while day <= last:
        if all(unix.is_plain(zone, day + near * _DAY) for near in (-1, 0)):
            start = datetime.combine(day, time(), zone).astimezone(UTC)
            # What came before, on days on which the clock changes, is gone over.
            number += _walk(expression, walked, min(until, start - _INSTANT), anchor)
            if times.fits(day):
                number += times.until(min(until - start, _DAY)) - times.until(after - start)
            walked = max(after, min(until, start + _DAY - _INSTANT))
        day += _DAY
    return number + _walk(expression, walked, until, anchor)


def _walk(expression: Expression, after: datetime, until: datetime, anchor: datetime) -> int:
    if after >= until:
        return 0
    dates = expression.dates(after, anchor)
    if expression.syntax == UNIX:  # on a day on which the clock changes, each of them is looked for anew
        dates = unix.instants(expression.text, zone_of(expression.timezone), after)
    return sum(1 for _ in takewhile(lambda due: due <= until, dates))


@lru_cache(maxsize=256)
def _times(expression: Expression) -> _Times:
    if expression.syntax == UNIX:
        read = unix.parse(expression.text)
        return _Times(read.hours, read.minutes, (0,), read.fits)
    fields, _ = rust.parse(expression.text)

    def fits(day: date) -> bool:
        parts = (day.year, fields.years), (day.month, fields.months), (day.day, fields.days)
        return all(part in allowed for part, allowed in parts) and day.isoweekday() % 7 + 1 in fields.weekdays

    return _Times(fields.hours, fields.minutes, fields.seconds, fits)
