"""Reads durations, times and ids from text: the one way for the command line, the web, Python and cursors."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeVar

from hammerwork_cli.core.input.limits import LARGEST_INTEGER, LONGEST_NAME
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.errors import UsageError

UUID_PATTERN = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
BEGINNING_PATTERN = "([0-9A-Fa-f]-?){4,32}"
DURATION_PATTERN = "([0-9]{1,10}(?:[.][0-9]{1,3})?) *([mM][sS]|[smhdwSMHDW])?"
TIME_PATTERN = "[0-9]{4}-[-0-9TtZz:.+ ]{1,40}"
"""Patterns for Python and for JSON Schema. The last one tells a time from a duration, and does not check it."""
TIME_HINT = "Write 2026-12-24T18:00:00Z."
WINDOW_HINT = (
    "Write 15m, 2h, 7d (ago), 14:00, yesterday 14:00, 2026-12-24 (UTC), 2026-12-24T18:00+01:00 or 14:00 Europe/Oslo."
)

NO_LIMIT = frozenset({"off", "none", "never"})
"""Words instead of a limit."""
Value = TypeVar("Value")

_BEGINNING = "[0-9a-f]{4,32}"
_DATE = "[0-9]{4}-"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}|20[0-9]{6}"
"""A date, or the digits of one: as seconds, they would be some 230 days."""
_RATE = r"(?P<number>[0-9]{1,3}(?:[.][0-9]{1,9})?)(?P<percent>\s*%)?"
_SIZE = "([0-9]{1,15}(?:[.][0-9]{1,3})?) *(?:([KMGTkmgt])(?:i?[Bb])?|[Bb])?"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CLOCK = "(?i)(?:(today|yesterday)(?: +|$))?(?:([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?(?: UTC|Z)?)?"
"""A time of today or of yesterday."""
_UTC = " UTC$"
_IN_ZONE = r"(.*\S) +([A-Za-z]+(?:/[A-Za-z0-9_+-]+)+)"
_ENDS_IN_ZONE = "(?i)(?:Z| UTC|[+-][0-9]{2}:?[0-9]{2})$"
_INSTANT = (
    "(?:[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-?W[0-9]{2}-?[0-9])"
    "(?:[Tt ] *[0-9][0-9:.,]*(?: *[Zz]| *[+-][0-9]{2}[0-9:.]*)?)?"
)
"""A date, or a time with at most one zone. For Python, the sign of a zone may also stand between a date and a time."""
_ZONE = r"[Tt ].*(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})$"


def uuid_of(text: str) -> str | None:
    """Reads a whole UUID with hyphens, in the spelling of the tables; ``None`` for any other text."""
    found = re.fullmatch(UUID_PATTERN, text.strip())
    return found and found.group().lower()


def ids_from(text: str) -> tuple[str, str] | None:
    """The lowest and the highest UUID that begin with a text: 4 to 32 hex digits, with hyphens, in braces or as a URN.

    ``None`` for any other text.
    """
    digits = text.strip().lower().removeprefix("urn:uuid:").strip("{}").replace("-", "")
    if not re.fullmatch(_BEGINNING, digits):
        return None
    low, high = (digits.ljust(32, filler) for filler in "0f")
    return _hyphenated(low), _hyphenated(high)


def _hyphenated(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def duration_of(text: str) -> timedelta:
    """Reads a duration such as ``500ms``, ``90`` (seconds), ``90s``, ``15m``, ``2h``, ``7d``."""
    found = re.fullmatch(DURATION_PATTERN, text.strip())
    if not found:
        raise UsageError(f"{text[:40]!r} is not a duration.", hint="Write 90 (seconds), 15m, 2h or 7d.")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[(found[2] or "s").lower()])
    except OverflowError as error:
        raise UsageError(f"The duration {text[:40]!r} is too long.") from error


def keys_of(text: str) -> list[str]:
    """Reads the key of a value in a payload: ``tenant``, or ``customer.id`` for a key in an object."""
    keys = text.split(".")
    if len(text) > LONGEST_NAME or not all(keys) or any(character in text for character in '"\\\0'):
        raise UsageError(f"{text[:60]!r} is not the key of a value.", hint="Write tenant, or customer.id.")
    return keys


def limit_of(text: str, read: Callable[[str], Value]) -> Value | None:
    """A limit as it was given; ``None`` if it is off."""
    return None if text.strip().lower() in NO_LIMIT else read(text)


def number_of(text: str) -> int:
    """Reads a limit that is a whole number."""
    if not re.fullmatch("[0-9]{1,18}", text):
        raise UsageError(f"{text[:40]!r} is not a whole number.", hint="Write a whole number, or off.")
    return int(text)


def size_of(text: str) -> int:
    """Reads a size such as ``512M``, ``2G``, ``2GiB`` as bytes; all units are powers of 1024."""
    found = re.fullmatch(_SIZE, text.strip())
    if not found:
        raise UsageError(f"{text[:40]!r} is not a size.", hint="Write 512M or 2G.")
    return int(float(found[1]) * 1024 ** "BKMGT".index((found[2] or "B").upper()))


def rate_of(text: str) -> float:
    """Reads a limit that is a share, ``15%`` or ``0.15``, as 0 to 1."""
    found = re.fullmatch(_RATE, text.strip())
    share = float(found["number"]) / (100 if found["percent"] else 1) if found else 2.0
    if share > 1:
        raise UsageError(f"{text[:40]!r} is not a rate.", hint="Write 15%, 0.15 or off.")
    return share


def timeout_of(text: str) -> timedelta:
    length = duration_of(text)
    if length.microseconds or not 1 <= length.total_seconds() <= LARGEST_INTEGER:
        raise UsageError(
            f"A timeout must be 1 to {LARGEST_INTEGER:,} whole seconds, not {text[:40]!r}.", hint="Write 2s, 15m or 2h."
        )
    return length


def instant_of(text: str) -> datetime:
    """Reads an RFC 3339 time with its zone, which may also be ``UTC`` after a space; returns it in UTC."""
    spelled = re.sub(_UTC, "Z", text.strip())
    instant = timestamp(spelled) if re.fullmatch(_INSTANT, spelled) else None
    if instant is None or not re.search(_ZONE, spelled):
        raise UsageError(f"{text[:60]!r} is not an RFC 3339 time.", hint=TIME_HINT)
    return instant


def before(now: datetime, length: timedelta) -> datetime:
    """The time that long ago."""
    try:
        return now - length
    except OverflowError as error:
        raise UsageError("That is before the year 1.") from error


def since_of(text: str, now: datetime) -> datetime:
    """The start of a window of time: a time or a date (also 20261224), or a duration before now.

    ``14:00`` is the last time that it was 14:00; ``yesterday`` is a date. A time without a zone is in UTC, as lists
    print it. The name of a zone may follow: ``14:00 Europe/Oslo``. :func:`instant_of` refuses a time without a zone,
    because it reads times at which something is to happen.
    """
    text = text.strip()
    if in_zone := re.fullmatch(_IN_ZONE, text):
        from hammerwork_cli.core.input.zones import zone_of

        at = _time_of(in_zone[1], now, zone_of(in_zone[2]))
        if at is None or re.search(_ENDS_IN_ZONE, in_zone[1]):
            raise UsageError(f"{in_zone[1][:60]!r} is not a time without a zone.", hint=WINDOW_HINT)
        return at
    if (at := _time_of(text, now, UTC)) is not None:
        return at
    if not re.fullmatch(DURATION_PATTERN, text):
        raise UsageError(f"{text[:40]!r} is not a duration or a time.", hint=WINDOW_HINT)
    return before(now, duration_of(text))


def _time_of(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """A time or a date of a zone, in UTC; ``None`` for a text that does not look like one."""
    try:
        if (at := _day_of(text, zone) or _clock_of(text, now, zone)) is not None:
            return at.astimezone(UTC)
        if not re.match(_DATE, text):
            return None
        spelled = re.sub(_UTC, "Z", text)
        instant = timestamp(spelled) if re.fullmatch(_INSTANT, spelled) else None
        if instant is None:
            raise UsageError(f"{text[:60]!r} is not an RFC 3339 time.", hint=WINDOW_HINT)
        return instant if re.search(_ZONE, spelled) else instant.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError as error:
        raise UsageError("That is before the year 1.") from error


def _clock_of(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """A time of today or of yesterday; ``None`` for any other text."""
    found = re.fullmatch(_CLOCK, text)
    if not text or found is None:
        return None
    word, *clock = found.groups()
    today = now.astimezone(zone).date()
    hour, minute, second = (int(part or 0) for part in clock)
    at = datetime.combine(today, time(hour, minute, second), zone)
    is_before = (word or "").lower() == "yesterday" or (not word and at > now)
    return datetime.combine(today - timedelta(days=1), at.timetz()) if is_before else at


def _day_of(text: str, zone: tzinfo) -> datetime | None:
    """The beginning of a date; ``None`` for any other text."""
    try:
        return datetime.combine(date.fromisoformat(text), time.min, zone) if re.fullmatch(_DAY, text) else None
    except ValueError:
        return None
