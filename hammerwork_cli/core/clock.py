"""Times that are stored for later, and clocks that were wrong when somebody stored them."""

from datetime import UTC, datetime, timedelta

SLACK = timedelta(minutes=1)
"""How far the clocks of those who store times and of those who read them may be apart."""
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""An earlier time is wrong: hammerwork is younger."""


def latest(now: datetime, longest: timedelta = timedelta()) -> datetime:
    """The latest time that a right clock can have stored until now.

    Args:
        longest: the longest pause with which such times are stored; none for what has happened already.
    """
    return now + longest + SLACK


def is_behind(now: datetime, past: datetime | None) -> bool:
    """Whether a clock shows a time that is over.

    Args:
        past: when something happened that is done, such as a migration; ``None`` if nothing is known.
    """
    return latest(now) < max(EPOCH, past or EPOCH)


def is_due(at: datetime, now: datetime, longest: timedelta) -> bool:
    """Whether a time has come. One beyond :func:`latest` has, too: the clock that stored it was wrong."""
    return at <= now or at > latest(now, longest)
