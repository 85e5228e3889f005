"""What a handler raises to decide itself how its attempt ends."""

from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.input import fields

LONGEST = timedelta(days=366)
"""The longest delay, well within the times that every database stores."""


class Wanted(NamedTuple):
    """The end that a handler wants for its attempt, in a form that can be sent to another process."""

    end: str  # `snoozed`, `retry`, `failed` or `cancelled`
    delay: timedelta | None  # before the job runs again; `None` if it does not
    reason: str  # text for the job's row


class WantedOutcome(Exception):  # noqa: N818  not an error, though it is raised like one
    """The end of an attempt, as its handler wants it."""

    _wanted: Wanted
    _is_logged = False  # whether the handler has logged it, in better words


class Snooze(WantedOutcome):
    """Ends an attempt without counting it, and runs the job again later.

    Args:
        delay: at most 366 days.

    Raises:
        UsageError: the delay is negative, too long, or not a timedelta.
    """

    def __init__(self, delay: timedelta) -> None:
        self._wanted = Wanted("snoozed", fields.duration(delay, "The delay of a snooze", LONGEST), "")
        super().__init__(f"The job runs again in {delay}.")


class Retry(WantedOutcome):
    """Fails an attempt. If attempts are left, the next one starts after this delay, not that of the retry strategy.

    Args:
        delay: at most 366 days.
        reason: why it failed, for the job's row.

    Raises:
        UsageError: the delay is negative, too long, or not a timedelta; or the reason is not text.
    """

    def __init__(self, delay: timedelta, reason: str = "The handler asked for another attempt.") -> None:
        delay = fields.duration(delay, "The delay of a retry", LONGEST)
        self._wanted = Wanted("retry", delay, fields.text(reason, "The reason of a retry"))
        super().__init__(reason)


class Discard(WantedOutcome):
    """Ends a job as Dead at once, however many attempts are left.

    Args:
        reason: why, for the job's row.

    Raises:
        UsageError: the reason is not text.
    """

    def __init__(self, reason: str) -> None:
        self._wanted = Wanted("failed", None, fields.text(reason, "The reason of a discard"))
        super().__init__(reason)


class Cancel(WantedOutcome):
    """Ends a job as Cancelled at once: nobody needs it any more. It does not count as a failure.

    Args:
        reason: why, for the job's row.

    Raises:
        UsageError: the reason is not text.
    """

    def __init__(self, reason: str) -> None:
        self._wanted = Wanted("cancelled", None, fields.text(reason, "The reason of a cancellation"))
        super().__init__(reason)
