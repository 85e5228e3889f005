"""Checks of the fields of a new job."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil, inf
from typing import TypeVar

from hammerwork_cli.core.input.reading import uuid_of
from hammerwork_cli.core.values import JobPriority, timestamp
from hammerwork_cli.errors import UsageError

Kind = TypeVar("Kind")
_PRIORITIES = {priority.word: priority for priority in JobPriority} | {
    "bg": JobPriority.BACKGROUND,
    "crit": JobPriority.CRITICAL,
    "default": JobPriority.NORMAL,
}
"""The words that hammerwork (Rust) accepts."""
LONGEST = timedelta(days=36_525)
"""A hundred years, which end within the calendar."""


def full_id(given: object) -> str:
    """A whole UUID as rows spell it."""
    from uuid import UUID  # which no start needs, and which asks for the platform

    if isinstance(given, UUID):
        return str(given)
    found = uuid_of(given) if isinstance(given, str) else None
    if found is None:
        raise UsageError(
            f"{_said(given)} is not the id of a job: Python wants the whole UUID, or the job itself.",
            hint="Only commands accept the first digits of an id. For whole ids: hammerwork job list --format json",
        )
    return found


def text(given: object, name: str) -> str:
    """Text that every database can store."""
    if not isinstance(given, str):
        raise UsageError(f"{name} must be text, not {_a(given)}.")
    if given.isascii() and "\x00" not in given:
        return given
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} has half a character (a lone surrogate): {given!r:.60}.") from error
    if "\x00" in given:
        raise UsageError(f"{name} has the character NUL: {given!r:.60}.")
    return given


def queue(given: object) -> str:
    """The name of a queue for new jobs."""
    if not isinstance(given, str) or not given or given.isspace():
        raise UsageError(f"{given!r:.60} is not the name of a queue.")
    # Most names are ASCII: check these fast, since handlers make jobs by the million.
    return given if given.isascii() and "\x00" not in given else text(given, "The queue's name")


def priority(given: object) -> JobPriority:
    """A priority by a member, its number or its word."""
    try:
        if isinstance(given, str):
            word = given.strip().lower()
            return JobPriority(int(word)) if word.isdecimal() else _PRIORITIES[word]
        return JobPriority(given if isinstance(given, int) and not isinstance(given, bool) else -1)
    except (KeyError, ValueError) as error:
        words = ", ".join(priority.word for priority in JobPriority)
        raise UsageError(f"{_said(given)} is not a priority. One of: {words} (0 to 4).") from error


def whole_number(given: object, name: str, least: int, most: int) -> int:
    """A whole number that its column can store."""
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise UsageError(f"{name} must be a whole number from {least} to {most:,}, not {_said(given)}.")
    return given


def an(given: object, kind: type[Kind], wanted: str) -> Kind:
    """A value of a class.

    Args:
        wanted: the beginning of the error's sentence, such as ``retry must be a RetryStrategy``.
    """
    if not isinstance(given, kind):
        raise UsageError(f"{wanted}, not {_said(given)}.")
    return given


def names(given: object, name: str) -> tuple[str, ...]:
    """Several names. A single text is refused: it would be taken for a list of its characters."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise UsageError(f'{name} must be a list of names such as ["mail"], not {_said(given)}.')
    return tuple(queue(one) for one in given)


def texts(given: object, name: str) -> tuple[str, ...]:
    """Several texts, with the same refusal."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise UsageError(f"{name} must be a list of texts, not {_said(given)}.")
    return tuple(text(one, name) for one in given)


def seconds(given: object, name: str, *, zero: bool = False, most: float = inf) -> float:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not (given >= 0 if zero else given > 0):  # type: ignore[operator]
        raise UsageError(
            f"{name} must be a number of seconds, {'0 or more' if zero else 'above 0'}, not {_said(given)}."
        )
    if given > most:  # type: ignore[operator]
        raise UsageError(f"{name} must be at most {most:,.0f} seconds, not {_said(given)}.")
    return given  # type: ignore[return-value]


def duration(given: object, name: str, most: timedelta = LONGEST, *, positive: bool = False) -> timedelta:
    if not isinstance(given, timedelta) or given < timedelta(0) or (positive and not given):
        wanted = "above zero" if positive else "that is not negative"
        raise UsageError(f"{name} must be a timedelta {wanted}, not {_said(given)}.")
    if given > most:
        raise UsageError(f"{name} must be at most {most.days:,} days, not {given.days:,}.")
    return given


def instant(given: object, name: str) -> datetime:
    """An aware time in UTC; a time without a zone is in UTC."""
    found = timestamp(given) if isinstance(given, datetime) else None
    if found is None:
        raise UsageError(f"{name} must be a datetime, not {_said(given)}.")
    return found


def ids(given: object) -> tuple[str, ...]:
    """Ids of jobs, each once, in their order.

    Args:
        given: jobs and ids, or a single one.
    """
    many = given if isinstance(given, Iterable) and not isinstance(given, str | bytes) else (given,)
    return tuple(dict.fromkeys(full_id(getattr(one, "id", one)) for one in many))


def whole_seconds(length: timedelta) -> int:
    """A duration for a column of seconds, rounded up, so that a short timeout does not become 0."""
    return max(1, ceil(length.total_seconds()))


def _a(thing: object) -> str:
    return f"a value of type {type(thing).__name__}"


def _said(thing: object) -> str:
    try:
        return f"{thing!r:.60}"
    except ValueError:  # a number of more digits than Python shows
        return "such a number"
