"""The next due time of a schedule in the five fields of Unix cron.

Minute first; days of the week from 0, Sunday, to 7, Sunday again. When both days are given, either one is enough. The
changes of the clock are those of Debian's cron: a schedule whose minute and hour are fixed is due once on each day, in
spring at the end of the hour that the clock skips, in autumn in the first of the two hours; any other one follows the
clock on the wall.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from hammerwork_cli.errors import UsageError

SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LAST_YEAR = 2100
MINUTE = timedelta(minutes=1)
_PART = re.compile(
    r"(?:\*|(?P<first>[0-9]{1,2}|[a-z]{3})(?:-(?P<last>[0-9]{1,2}|[a-z]{3}))?)(?:/(?P<step>[0-9]{1,2}))?"
)


class UnixField(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS = (
    UnixField("minute", 0, 59),
    UnixField("hour", 0, 23),
    UnixField("day of the month", 1, 31),
    UnixField("month", 1, 12, MONTHS),
    UnixField("day of the week", 0, 7, DAYS),
)


class UnixSchedule(NamedTuple):
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday, 6 Saturday
    both_days: bool  # whether a day must fit both the month and the week; else one of them is enough
    is_fixed: bool  # whether minute and hour do not begin with `*`

    def fits(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (by_month and by_week) if self.both_days else (by_month or by_week)


@lru_cache(maxsize=256)
def parse(text: str) -> UnixSchedule:
    """Reads five fields, or a word such as ``@daily``."""
    parts = SHORTHANDS.get(text.strip().lower(), text).split()
    if len(parts) != len(FIELDS):
        plural = "" if len(parts) == 1 else "s"
        raise UsageError(f"The cron expression {text!r:.120} has {len(parts)} field{plural}, not 5.")
    minutes, hours, days, months, weekdays = (
        _values(part, field, text) for part, field in zip(parts, FIELDS, strict=True)
    )
    return UnixSchedule(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(day % 7 for day in weekdays),
        both_days=parts[2].startswith("*") or parts[4].startswith("*"),
        is_fixed=not parts[0].startswith("*") and not parts[1].startswith("*"),
    )


def _values(text: str, field: UnixField, schedule: str) -> set[int]:
    allowed: set[int] = set()
    for part in text.lower().split(","):
        found = _PART.fullmatch(part)
        values = _part(found, field) if found else None
        if not values:
            raise UsageError(
                f"In the cron expression {schedule!r:.120}, {part!r:.60} is not a valid {field.name}.",
                hint=_hint(part, field),
            )
        allowed.update(values)
    return allowed


def _hint(part: str, field: UnixField) -> str:
    if part == "?":
        return "Write * for every day."
    if "#" in part or re.fullmatch("[0-9]*[lw]+", part):
        return "Name more days, such as 28-31, and let the handler look at the date."
    return f"Give a number from {field.low} to {field.high}, *, */5, 5-10, 5-10/2, or several with commas."


def _part(found: "re.Match[str]", field: UnixField) -> range | None:
    step = int(found["step"] or 1)
    low, high = field.low, field.high
    if found["first"]:
        first = _number(found["first"], field)
        last = _number(found["last"], field) if found["last"] else (field.high if found["step"] else first)
        if first is None or last is None:
            return None
        low, high = first, last
    if step < 1 or not field.low <= low <= high <= field.high:
        return None
    return range(low, high + 1, step)


def _number(text: str, field: UnixField) -> int | None:
    if text.isdigit():
        return int(text)
    return field.low + field.names.index(text) if text in field.names else None


def next_run(text: str, zone: tzinfo, after: datetime) -> datetime | None:
    """Returns the first due time after ``after``, in UTC; ``None`` if there is none before the year 2101."""
    return next(instants(text, zone, after), None)


def instants(text: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yields the due times after ``after``; see :func:`next_run`."""
    parsed = parse(text)
    today = after.astimezone(zone).date()
    yesterday = today - timedelta(days=1)
    # A time of yesterday that the clock skips may be due today.
    for day in _days(parsed, today if is_plain(zone, yesterday) and is_plain(zone, today) else yesterday):
        for instant in _instants(parsed, zone, day, after):
            if instant > after:
                yield instant
                after = instant


def _days(parsed: UnixSchedule, first: date) -> Iterator[date]:
    day, one = first, timedelta(days=1)
    while day.year <= LAST_YEAR:
        if day.month not in parsed.months:
            day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            continue
        if parsed.fits(day):
            yield day
        day += one


def _offset(zone: tzinfo, day: date) -> timedelta:
    return datetime.combine(day, time()).replace(tzinfo=zone).utcoffset() or timedelta()


@lru_cache(maxsize=1 << 14)
def is_plain(zone: tzinfo, day: date) -> bool:
    """Whether the clock does not change on a day."""
    return _offset(zone, day) == _offset(zone, day + timedelta(days=1))


def _instants(parsed: UnixSchedule, zone: tzinfo, day: date, after: datetime) -> Iterator[datetime]:
    """The due times on a day of the clock on the wall, in order, in UTC; those before ``after`` may be left out."""
    midnight = datetime.combine(day, time())
    if not is_plain(zone, day):
        readings = [midnight.replace(hour=hour, minute=minute) for hour in parsed.hours for minute in parsed.minutes]
        yield from sorted({instant for reading in readings for instant in _meant(parsed, zone, reading)})
        return
    start = (midnight - _offset(zone, day)).replace(tzinfo=UTC)
    passed = int((after - start).total_seconds() // 3600)
    for hour in parsed.hours[bisect_left(parsed.hours, passed) :]:
        yield from (start + timedelta(hours=hour, minutes=minute) for minute in parsed.minutes)


def _meant(parsed: UnixSchedule, zone: tzinfo, reading: datetime) -> Iterator[datetime]:
    """The instants that a time on the wall means on a day on which the clock changes."""
    instants = [reading.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    real = [instant for instant in instants if instant.astimezone(zone).replace(tzinfo=None, fold=0) == reading]
    if real:
        yield from real[:1] if parsed.is_fixed else real
    elif parsed.is_fixed:
        while not real:
            reading += MINUTE
            instant = reading.replace(tzinfo=zone).astimezone(UTC)
            real = [instant] if instant.astimezone(zone).replace(tzinfo=None, fold=0) == reading else []
        yield real[0]
