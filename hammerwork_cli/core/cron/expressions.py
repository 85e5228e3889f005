"""The schedules that people write: Unix cron, the fields of hammerwork (Rust), and intervals."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from hammerwork_cli.core.cron import rust, unix
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.core.input.zones import zone_of
from hammerwork_cli.errors import UsageError

EVERY = "@every "
UNIX, RUST, INTERVAL = "unix", "rust", "every"
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=3660)
LONGEST_TEXT = 250


class Expression(NamedTuple):
    """A schedule whose spelling has been checked."""

    text: str  # as it is stored
    syntax: str  # `unix` (five fields), `rust` (six or seven, seconds first) or `every` (an interval)
    timezone: str = "UTC"  # an IANA name

    @classmethod
    def of(cls, text: str, timezone: str | None = None) -> Self:
        """Reads a schedule.

        Args:
            text: ``30 2 * * *``, ``0 30 2 * * *``, ``@daily`` or ``@every 45m``.
        """
        found, zone = " ".join(text.split()), "UTC" if timezone is None else timezone
        zone_of(zone)
        if len(found) > LONGEST_TEXT:
            raise UsageError(f"A cron expression has at most {LONGEST_TEXT} characters.")
        if found.lower().startswith(EVERY):
            length = _interval(found[len(EVERY) :])
            return cls(f"{EVERY}{round(length.total_seconds())}s", INTERVAL, zone)
        if found.lower() == "@reboot":
            raise UsageError(
                "@reboot is not a time: workers may start at any time.",
                hint="Enqueue the job where the application starts.",
            )
        if found.startswith("@") and found.lower() not in unix.SHORTHANDS:
            words = ", ".join(unix.SHORTHANDS)
            raise UsageError(f"{found!r:.60} is not a cron expression.", hint=f"Write {words} or @every 45m.")
        fields = len(found.split())
        if fields in {6, 7}:
            rust.parse(found)
            return cls(found, RUST, zone)
        if fields != 5 and not found.startswith("@"):
            raise UsageError(
                f"The cron expression {found!r:.120} has {fields} field{'' if fields == 1 else 's'}, not 5.",
                hint='Give minute, hour, day of the month, month and day of the week: "30 2 * * Mon-Fri".',
            )
        unix.parse(found)
        return cls(found, UNIX, zone)

    @property
    def interval(self) -> timedelta:
        return _interval(self.text[len(EVERY) :])

    def next_after(self, after: datetime, anchor: datetime) -> datetime | None:
        """Returns the first due time after ``after``, in UTC; ``None`` if there is none before the year 2101.

        Args:
            anchor: the time from which an interval counts.
        """
        if after.year > unix.LAST_YEAR:
            return None
        if self.syntax == INTERVAL:
            length = self.interval
            due = anchor if after < anchor else after + (length - (after - anchor) % length)
            return due if due.year <= unix.LAST_YEAR else None
        if self.syntax == UNIX:
            return unix.next_run(self.text, zone_of(self.timezone), after)
        return rust.next_run(self.text, self.timezone, after)

    def dates(self, after: datetime, anchor: datetime) -> Iterator[datetime]:
        """Yields the due times after ``after``."""
        due = self.next_after(after, anchor)
        while due is not None:
            yield due
            due = self.next_after(due, anchor)


def _interval(text: str) -> timedelta:
    length = duration_of(text)
    if not SHORTEST <= length <= LONGEST or length.microseconds:
        raise UsageError(f"An interval must be 1 second to {LONGEST.days:,} days, in whole seconds, not {text[:40]!r}.")
    return length
