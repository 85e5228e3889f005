"""Says schedules of five fields in the six fields of hammerwork (Rust), for recurring jobs."""

from hammerwork_cli.core.cron import unix
from hammerwork_cli.core.cron.expressions import INTERVAL, RUST, Expression
from hammerwork_cli.errors import UsageError

_WORDS = {"@annually": "@yearly", "@midnight": "@daily"}
_INSTEAD = "Leave out --in-place, or give six fields, seconds first."


def to_rust(expression: Expression) -> str:
    """The schedule in six or seven fields."""
    text = expression.text
    if expression.syntax == RUST:
        return text
    if expression.syntax == INTERVAL:
        raise UsageError("A recurring job takes a cron expression, not an interval.", hint=_INSTEAD)
    if text.startswith("@"):
        return _WORDS.get(text.lower(), text.lower())
    parsed = unix.parse(text)
    if not parsed.both_days:
        raise UsageError("Six fields cannot say that a day of the month or of the week is enough.", hint=_INSTEAD)
    minute, hour, day, month, _ = text.split()
    # By name: there, days count from 1, Sunday.
    every = len(parsed.weekdays) == len(unix.DAYS)
    weekdays = "*" if every else ",".join(unix.DAYS[number].capitalize() for number in sorted(parsed.weekdays))
    return f"0 {minute} {hour} {day} {month} {weekdays}"
