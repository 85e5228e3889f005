"""What an answer means, and when to try again."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Protocol

from hammerwork_cli.features.webhook.model import is_accepted

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=12)
JITTER = 0.2
LONGEST_OBEYED = timedelta(hours=1)
"""The longest pause that a receiver may ask for."""
_AGAIN = frozenset({408, 425, 429})


class Verdict(Enum):
    """What becomes of a delivery after an answer."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GONE = "gone"
    """The receiver wants no more: the webhook is disabled."""
    REFUSED = "refused"
    """Another attempt would get the same answer."""


class _HasStatus(Protocol):
    @property
    def status(self) -> int | None: ...


def verdict(answer: _HasStatus, *, has_delivered: bool = True) -> Verdict:
    """Returns what an answer, or its absence, means. Redirects are refusals: they may lead anywhere.

    Args:
        has_delivered: whether the receiver has ever taken a request. If not, 401 says that it does not know the secret
            yet, or that its clock is wrong.
    """
    status = answer.status
    if status is None or status in _AGAIN or status >= 500 or (status == 401 and not has_delivered):
        return Verdict.RETRY
    if status == 410:
        return Verdict.GONE
    return Verdict.DELIVERED if is_accepted(status) else Verdict.REFUSED


def backoff(attempt: int, retry_after: timedelta | None = None) -> timedelta:
    """Returns the pause before the next attempt: 5 s, then four times as long each, at most 12 h, give or take a fifth.

    It is no shorter than the receiver asks for, up to an hour.

    Args:
        attempt: number of the failed attempt, from 1.
    """
    own = min(FIRST_PAUSE * 4.0 ** min(max(attempt, 1) - 1, 20), LONGEST_PAUSE) * _spread(1 - JITTER)
    if retry_after is None:
        return own
    return max(own, min(retry_after, LONGEST_OBEYED) * _spread(1.0))


def _spread(least: float) -> float:
    return random.uniform(least, 1 + JITTER)  # noqa: S311  spreads requests, no secret


def retry_after_of(header: str | None, now: datetime) -> timedelta | None:
    """Reads ``Retry-After``: seconds or a date. ``None`` without it, and for what cannot be read."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=int(text)) if len(text) < 10 else LONGEST_OBEYED
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(date.replace(tzinfo=date.tzinfo or UTC) - now, timedelta(0))
