"""The next due time of a recurring job.

Schedules are in the dialect of Rust's ``cron`` crate, which hammerwork (Rust) uses. It differs from Unix cron: a
schedule has six or seven fields, seconds first and a year last; days of the week count from 1, Sunday, to 7, Saturday;
a day must match both the day of the month and the day of the week. This module refuses everything that the crate
refuses: a Rust worker would run such a job once more and leave it Completed.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from hammerwork_cli.core.input.zones import zone_of
from hammerwork_cli.errors import UsageError

_MONTHS = "january february march april may june july august september october november december"
_DAYS = "sunday monday tuesday wednesday thursday friday saturday"
_SHORTER = {"tues": "tue", "thurs": "thu"}
_SHORTHANDS = {
    "@yearly": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 1",
    "@daily": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_SPACE = " \t\r\n"
_WITHIN = re.compile(rf"(?<=\w)[{_SPACE}]+(?=[-,/])|(?<=[-,/])[{_SPACE}]+(?=\w)")
"""Space within a field: ``Mon - Fri``, ``1, 2``."""
_PART = re.compile(
    r"(?:(?P<all>[*?])|(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?|(?P<from>[a-z]+)-(?P<to>[a-z]+))"
    r"(?:/(?P<step>[0-9]{1,9}))?|(?P<only>[a-z]+)",
    re.ASCII | re.IGNORECASE,
)
"""Both ends of a range are numbers, or both are names. A single name takes no step."""


class RustField(NamedTuple):
    """The numbers that a field of a schedule accepts, and their names; ``any`` says whether it accepts ``?``."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    any: bool = False


FIELDS = (
    RustField("second", 0, 59),
    RustField("minute", 0, 59),
    RustField("hour", 0, 23),
    RustField("day of the month", 1, 31, any=True),
    RustField("month", 1, 12, tuple(_MONTHS.split())),
    RustField("day of the week", 1, 7, tuple(_DAYS.split()), any=True),
    RustField("year", 1970, 2100),
)


class RustSchedule(NamedTuple):
    """A parsed schedule: the sorted values that each field allows, with 1 for Sunday."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    years: tuple[int, ...]


def next_run(schedule: str, timezone: str | None, after: datetime) -> datetime | None:
    """Returns the first due time after ``after``.

    A time in the hour that the clock skips in spring is left out on that day. A time in the hour that the clock repeats
    in autumn is due once, or twice if the schedule allows every hour of the day. Returns a time in UTC; ``None`` if the
    schedule is not due before the year 2101.
    """
    parsed, zone = parse(schedule, timezone)
    local = after.astimezone(zone)
    first = next(_instants(parsed, zone, local, after), None)
    if first is None or len(parsed.hours) < 24:
        return first
    # After the clock has gone back, _instants() leaves out the repeated hour, because the clock has shown it before. A
    # schedule of every hour is due in it too: read the clock as if it had kept its present offset.
    for second in _instants(parsed, _fixed(local), local, after):
        if second >= first:
            break
        if _fits(parsed, second.astimezone(zone)):
            return second
    return first


def parse(schedule: str, timezone: str | None = None) -> tuple[RustSchedule, tzinfo]:
    """Reads a schedule and its time zone as :func:`next_run` does, with the same errors."""
    return _schedule(schedule), zone_of(timezone or "UTC")


@lru_cache(maxsize=256)
def _schedule(text: str) -> RustSchedule:
    stripped = text.strip(_SPACE)
    parts = re.findall(rf"[^{_SPACE}]+", _SHORTHANDS.get(stripped, _WITHIN.sub("", stripped)))
    if not 6 <= len(parts) <= 7:
        raise UsageError(
            f"The cron expression {text!r:.120} has {len(parts)} fields, not 6 or 7.",
            hint="Give second, minute, hour, day of the month, month, day of the week (1 is Sunday) and maybe a year.",
        )
    parts += ["*"] * (7 - len(parts))
    return RustSchedule(*(_values(part, field, text) for part, field in zip(parts, FIELDS, strict=True)))


def _values(text: str, field: RustField, schedule: str) -> tuple[int, ...]:
    allowed: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part)
        values = _part(found, field) if found else None
        if not values:
            raise UsageError(
                f"In the cron expression {schedule!r:.120}, {part!r:.60} is not a valid {field.name}.",
                hint=f"Give a number from {field.low} to {field.high}, *, 5-10, 5-10/2, or several with commas.",
            )
        allowed.update(values)
    return tuple(sorted(allowed))


def _part(found: re.Match[str], field: RustField) -> range | None:
    """The values of ``*``, ``5``, ``5-10``, ``*/5``, ``5/5`` or ``5-10/2``; ``None`` if one is out of range."""
    step = int(found["step"] or 1)
    if found["all"]:
        low, high = (None, None) if found["all"] == "?" and not field.any else (field.low, field.high)
    elif found["first"]:
        low = int(found["first"])
        high = int(found["last"] or (field.high if found["step"] else low))
    else:
        low, high = _named(found["from"] or found["only"], field), _named(found["to"] or found["only"], field)
    if low is None or high is None or step < 1 or not field.low <= low <= high <= field.high:
        return None
    return range(low, high + 1, step)


def _named(text: str, field: RustField) -> int | None:
    word = text.lower()
    word = _SHORTER.get(word, word)
    for place, name in enumerate(field.names):
        if word in (name, name[:3]):
            return field.low + place
    return None


def _fixed(local: datetime) -> tzinfo:
    return timezone(local.utcoffset() or timedelta(0))


def _instants(parsed: RustSchedule, zone: tzinfo, local: datetime, after: datetime) -> Iterator[datetime]:
    """The times after ``after``, in UTC, at which a clock in ``zone`` shows a due time for the first time."""
    for shown in _readings(parsed, local.replace(tzinfo=None)):
        # Python gives a time that the clock skips the offset before the change; back in the zone, it reads differently.
        instant = shown.replace(tzinfo=zone).astimezone(UTC)
        if instant > after and instant.astimezone(zone).replace(tzinfo=None) == shown:
            yield instant


def _readings(parsed: RustSchedule, start: datetime) -> Iterator[datetime]:
    """The due times from ``start`` on as a clock on the wall shows them, without a time zone."""
    today = start.date()
    years = (year for year in parsed.years if year >= today.year)
    for year, month, day in product(years, parsed.months, parsed.days):
        if (year, month, day) < (today.year, today.month, today.day):
            continue
        try:
            midnight = datetime(year, month, day)
        except ValueError:
            continue
        if midnight.isoweekday() % 7 + 1 not in parsed.weekdays:
            continue
        least = start.time() if midnight.date() == today else midnight.time()
        for hour in parsed.hours:
            if hour < least.hour:
                continue
            for minute, second in product(parsed.minutes, parsed.seconds):
                if (hour, minute, second) >= (least.hour, least.minute, least.second):
                    yield midnight.replace(hour=hour, minute=minute, second=second)


def _fits(parsed: RustSchedule, local: datetime) -> bool:
    return (
        local.second in parsed.seconds
        and local.minute in parsed.minutes
        and local.day in parsed.days
        and local.month in parsed.months
        and local.isoweekday() % 7 + 1 in parsed.weekdays
        and local.year in parsed.years
    )
