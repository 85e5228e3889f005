"""Says a schedule in words, and what in it is often meant otherwise."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.core.cron import rust, unix
from hammerwork_cli.core.cron.expressions import EVERY, INTERVAL, RUST, UNIX, Expression

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_NAMED = 4
"""Times of a day that are named one by one."""


def words_of(expression: Expression) -> str:
    """A schedule in words: ``at 02:30 from Monday to Friday``."""
    if expression.syntax == INTERVAL:
        return f"every {_length(int(expression.text[len(EVERY) : -1]))}"
    if expression.syntax == RUST:
        read, _ = rust.parse(expression.text)
        weekdays = [day - 1 for day in read.weekdays]
        days = _both(" and", _month_days(read.days), _week_days(weekdays))
        years = "" if len(read.years) > 100 else f" in {_list(map(str, read.years), 131)}"
        return _times(read.minutes, read.hours, read.seconds) + days + _months(read.months) + years
    parsed = unix.parse(expression.text)
    joint = " and" if parsed.both_days else " or"
    days = _both(joint, _month_days(sorted(parsed.days)), _week_days(sorted(parsed.weekdays)))
    return _times(parsed.minutes, parsed.hours) + days + _months(sorted(parsed.months))


def notes_on(expression: Expression) -> list[str]:
    """Sentences about what a schedule means and its author may not."""
    notes = list(_long_steps(expression))
    if expression.syntax == RUST:
        if expression.timezone != "UTC" and len(rust.parse(expression.text)[0].hours) < 24:
            notes.append(
                "With six or seven fields, a time that the clock skips in spring is left out on that day; with five"
                " fields, it is due at the end of the gap."
            )
        weekday = ([*expression.text.split(), ""] * 6)[5] if expression.text[:1] != "@" else ""
        if any(character.isdigit() for character in weekday.partition("/")[0]):
            read, _ = rust.parse(expression.text)
            meant = "every day" if len(read.weekdays) == 7 else _names([day - 1 for day in read.weekdays])
            meaning = "" if weekday == "1" else f": {weekday} is {meant}"
            notes.append(f"With six or seven fields, 1 is Sunday{meaning}. Names, such as Mon-Fri, are clear.")
    elif expression.syntax != INTERVAL:
        parsed = unix.parse(expression.text)
        if not parsed.both_days:
            notes.append("A day of the month or a day of the week is enough: with both given, either one is due.")
        if parsed.is_fixed and expression.timezone != "UTC":
            notes.append(
                "A time that the clock skips in spring is due at the end of the gap. A time that it shows twice is due "
                "once."
            )
    return notes


def _long_steps(expression: Expression) -> Iterator[str]:
    """Steps that lead past the end of their field, such as ``*/61``."""
    fields: Sequence[unix.UnixField | rust.RustField] = ()
    if expression.syntax != INTERVAL:
        fields = unix.FIELDS if expression.syntax == UNIX else rust.FIELDS
    for text, field in zip(expression.text.split(), fields, strict=False):
        for part in text.split(","):
            first, _, step = part.partition("/")
            low, _, high = first.partition("-")
            if step.isdigit() and (first in {"*", "?"} or low.isdigit()):
                start = int(low) if low.isdigit() else field.low
                end = int(high) if high.isdigit() else field.high
                if int(step) > end - start:
                    yield f"The step of {part} leads past the last {field.name}, {end}: only {start} is due."


def _length(seconds: int) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0:
            number = seconds // size
            return unit if number == 1 else f"{number:,} {unit}s"
    return f"{timedelta(seconds=seconds)}"


def _times(minutes: Sequence[int], hours: Sequence[int], seconds: Sequence[int] = (0,)) -> str:
    steps = _steps(seconds, "second")
    within = f"{steps} of the minute" if steps else f"at second {_list(map(str, seconds), 60)}"
    within = "" if seconds == (0,) else f", {within}"
    if len(minutes) * len(hours) <= _NAMED:
        return f"at {_list([f'{hour:02}:{minute:02}' for hour in hours for minute in minutes], _NAMED)}{within}"
    if len(minutes) == 60 and steps:
        every, within = steps, ""
    else:
        every = _steps(minutes, "minute") or f"at minute {_list(map(str, minutes), 12)} of every hour"
    if len(hours) == 24:
        return f"{'every hour' if minutes == (0,) else every}{within}"
    if len(minutes) == 1 and (steps := _steps(hours, "hour", 24, f"{hours[0]:02}:{minutes[0]:02}")):
        return f"{steps.removesuffix(' from 00:00')}{within}"
    return f"{every.removesuffix(' of every hour')} of the hours {_spans(hours, str)}{within}"


def _steps(values: Sequence[int], unit: str, size: int = 60, start: str = "") -> str | None:
    """Values that lie evenly around the clock: ``every 15 minutes from minute 5``."""
    step = values[1] - values[0] if len(values) > 1 else size
    if step == size or size % step or [*values] != [*range(values[0], size, step)] or values[0] >= step:
        return None
    start = start or (f"{unit} {values[0]}" if values[0] else "")
    return f"every {unit if step == 1 else f'{step} {unit}s'}{f' from {start}' if start else ''}"


def _month_days(days: Sequence[int]) -> str:
    return "" if len(days) == 31 else f" on {'day' if len(days) == 1 else 'days'} {_spans(days, str)} of the month"


def _week_days(days: Sequence[int]) -> str:
    return "" if len(days) == 7 else f" {'from' if _is_range(days) else 'on'} {_names(days)}"


def _names(days: Sequence[int]) -> str:
    return _spans(days, lambda day: _DAYS[day])


def _is_range(values: Sequence[int]) -> bool:
    return len(values) > 2 and values[-1] - values[0] == len(values) - 1


def _both(joint: str, one: str, other: str) -> str:
    return f"{one}{joint}{other}" if one and other else one + other


def _months(months: Sequence[int]) -> str:
    names = _spans(months, lambda month: _MONTHS[month - 1])
    return "" if len(months) == 12 else f" {'from' if _is_range(months) else 'in'} {names}"


def _spans(values: Sequence[int], name: Callable[[int], str]) -> str:
    """Values with those in a row as ranges: ``Monday to Friday``."""
    spans: list[list[int]] = []
    for value in values:
        if spans and value == spans[-1][-1] + 1:
            spans[-1].append(value)
        else:
            spans.append([value])
    said = [
        part
        for span in spans
        for part in ([f"{name(span[0])} to {name(span[-1])}"] if len(span) > 2 else [name(value) for value in span])
    ]
    return _list(said, 31)


def _list(words: Iterable[str], most: int) -> str:
    found = list(words)
    shown = found[:most]
    more = [f"{len(found) - most:,} more"] if len(found) > most else []
    parts = shown + more
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
