"""Schedules: each of their runs is a separate job. Some are declared by a file or an application."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from hashlib import sha256
from typing import Any, NamedTuple, Self

from hammerwork_cli.core.cron import counting, rust
from hammerwork_cli.core.cron.expressions import INTERVAL, RUST, Expression
from hammerwork_cli.core.values import Counts, JobPriority, Timestamp, between, timestamp
from hammerwork_cli.errors import UsageError

GRACE_SECONDS = 60
"""How late a run may be unless its schedule says otherwise."""


class ScheduleKind(StrEnum):
    """How the runs of a schedule are kept."""

    SCHEDULE = "schedule"
    """Each is a separate job."""
    IN_PLACE = "in_place"
    """All are the same row of a recurring job, as in hammerwork (Rust)."""


class Overlap(StrEnum):
    """What a schedule does while its last job is open."""

    SKIP = "skip"
    SKIP_TREE = "skip-tree"
    ALLOW = "allow"


class CatchUp(StrEnum):
    """What a schedule does about due times that no worker was there for."""

    LAST = "last"
    NONE = "none"
    ALL = "all"


class RunKind(StrEnum):
    """Why there is a run."""

    SCHEDULED = "scheduled"
    TRIGGERED = "triggered"
    BACKFILL = "backfill"


class RunOutcome(StrEnum):
    """What became of a due time."""

    ENQUEUED = "enqueued"
    SKIPPED = "skipped"
    MISSED = "missed"


@dataclass(slots=True)
class NewSchedule:
    """What a person or an application says of a schedule."""

    name: str
    queue: str
    payload: str  # JSON text
    expression: Expression
    priority: JobPriority = JobPriority.NORMAL
    max_attempts: int = 3
    timeout_seconds: int | None = None
    starts_at: datetime | None = None  # the first due time is not earlier; an interval counts from it
    ends_at: datetime | None = None
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    grace_seconds: int = GRACE_SECONDS  # how late a run may be with `catch_up` `none`
    jitter_seconds: int = 0  # the longest delay of its jobs, which is always the same one
    enabled: bool = True
    description: str | None = None
    # Who keeps it: `cli`, `file:NAME` or `code:MODULE:ATTRIBUTE`; `job:ID` of a recurring job that became a schedule.
    source: str = "cli"

    @classmethod
    def of(cls, schedule: "Schedule") -> Self:
        """What is said of a schedule, to change a part of it.

        Raises:
            UsageError: this version cannot read it.
        """
        try:
            stored = {name: getattr(schedule, name) for name in _SHARED}
            read = {name: read(stored[name]) for name, read in _READ.items()}
            return cls(name=schedule.name, expression=schedule.expression, **stored | read)
        except ValueError as error:
            raise UsageError(f"This version cannot read the schedule {schedule.name!r:.80}: {error}.") from error

    @property
    def stored(self) -> dict[str, Any]:
        """All but the name, by attribute of :class:`Schedule`."""
        options = {name: getattr(self, name) for name in _SHARED}
        plain = {name: value.value if isinstance(value, Enum) else value for name, value in options.items()}
        return {"text": self.expression.text, "timezone": self.expression.timezone, **plain}

    @property
    def columns(self) -> dict[str, Any]:
        """The same by column."""
        return {column_of(name): value for name, value in self.stored.items()}


_SHARED = [field.name for field in fields(NewSchedule) if field.name not in {"name", "expression"}]
"""The fields that :class:`Schedule` has, too."""
_READ: dict[str, Callable[[Any], Any]] = {
    "priority": JobPriority,
    "starts_at": timestamp,
    "ends_at": timestamp,
    "overlap": Overlap,
    "catch_up": CatchUp,
}
"""How fields are read that a row has as plain values, perhaps of another version."""


class Gap(NamedTuple):
    """A due time that had no job."""

    due_at: datetime
    outcome: str | None  # what had become of it: a `RunOutcome`, or `None` without a run
    job: str | None = None  # the one that it has now


@dataclass(slots=True)
class Schedule:
    """A row of ``hammerwork_schedules``, as it is stored, perhaps by a version that knows further words.

    A recurring job is one, too. The fields before ``kind`` are columns.
    """

    id: str
    name: str
    text: str
    timezone: str
    queue: str
    payload: str
    priority: int
    max_attempts: int
    timeout_seconds: int | None
    # Recurring jobs have none of these.
    starts_at: Timestamp = None
    ends_at: Timestamp = None
    overlap: str = Overlap.SKIP.value
    catch_up: str = CatchUp.LAST.value
    grace_seconds: int = 0
    jitter_seconds: int = 0
    enabled: bool = True
    description: str | None = None
    source: str = "job"
    changed_by: str | None = None
    reason: str | None = None
    next_run_at: Timestamp = None
    last_error: str | None = None
    revision: int = 0
    created_at: Timestamp = None
    updated_at: Timestamp = None
    kind: str = ScheduleKind.SCHEDULE.value
    state: str | None = None  # the status of a recurring job

    @property
    def is_in_place(self) -> bool:
        """Whether it is a recurring job."""
        return self.kind == ScheduleKind.IN_PLACE

    @property
    def expression(self) -> Expression:
        """The checked schedule. Raises UsageError if another program has stored what this one cannot read."""
        if not self.is_in_place:
            return Expression.of(self.text, self.timezone)
        rust.parse(self.text, self.timezone)
        return Expression(self.text, RUST, self.timezone)

    @property
    def is_readable(self) -> bool:
        """Whether this version can read its schedule."""
        try:
            return bool(self.expression)
        except UsageError:
            return False

    @property
    def due(self) -> datetime | None:
        return timestamp(self.next_run_at)

    @property
    def anchor(self) -> datetime:
        """The time from which an interval counts."""
        found = timestamp(self.starts_at) or timestamp(self.created_at)
        assert found is not None  # a column that is never NULL
        return found

    @property
    def delay(self) -> timedelta:
        """The delay of its jobs: a part of the jitter that follows from the id."""
        if not self.jitter_seconds:
            return timedelta(0)
        part = int.from_bytes(sha256(self.id.encode()).digest()[:6]) / 2**48
        return timedelta(seconds=round(part * self.jitter_seconds, 3))

    def next_after(self, after: datetime) -> datetime | None:
        """The first due time after ``after`` that lies between its start and its end; ``None`` without one."""
        ends, due = timestamp(self.ends_at), self.expression.next_after(self._within(after), self.anchor)
        return None if due is None or (ends is not None and due > ends) else due

    def _within(self, after: datetime) -> datetime:
        starts = timestamp(self.starts_at)
        if starts is not None:  # nothing precedes the first instant of the year 1
            return starts - timedelta(microseconds=1) if after < starts else after
        # An interval counts from its creation, at which it is not due.
        return max(after, self.anchor) if self.expression.syntax == INTERVAL else after

    def count(self, after: datetime, until: datetime) -> int:
        """The number of due times after ``after`` and up to ``until``, as :meth:`next_after` has them."""
        ends = timestamp(self.ends_at)
        until = until if ends is None else min(until, ends)
        return counting.count(self.expression, self._within(after), until, self.anchor)

    def passed(self, first: datetime, until: datetime, most: int) -> tuple[list[datetime], int]:
        """The due times from ``first``, one of them, up to ``until``: the newest, and the number of those before."""
        if first > until:
            return [], 0
        found = [first]
        while len(found) <= most and (due := self.next_after(found[-1])) is not None and due <= until:
            found.append(due)
        if len(found) <= most:
            return found, 0
        total, back = 1 + self.count(first, until), timedelta(seconds=1)
        while self.count(max(first, until - back), until) < most and until - back > first:
            back *= 2
        found = []
        due = self.next_after(max(first, until - back))
        while due is not None and due <= until:
            found.append(due)
            due = self.next_after(due)
        found = found[-most:]
        return found, total - len(found)


def column_of(name: str) -> str:
    """The column of an attribute of :class:`Schedule`."""
    return {"text": "expression", "queue": "queue_name"}.get(name, name)


@dataclass(slots=True)
class ScheduleRun:
    """What became of a due time, and of its job."""

    due_at: Timestamp
    kind: str
    outcome: str
    reason: str | None  # why there is no job
    job_id: str | None
    created_at: Timestamp
    status: str | None = None  # of the job; `None` without one, or if it has been deleted
    scheduled_at: Timestamp = None
    started_at: Timestamp = None
    ended_at: Timestamp = None
    error: str | None = None
    missed: int | None = None  # how many earlier due times without a run the row stands for
    missed_from: Timestamp = None  # the first of them

    @property
    def waited(self) -> timedelta | None:
        """From when its job was due, or from its enqueue, to the start of its last attempt."""
        return between(self.scheduled_at, self.started_at)

    @property
    def ran(self) -> timedelta | None:
        """How long the last attempt of its job took."""
        return between(self.started_at, self.ended_at)


class ListedSchedule(NamedTuple):
    schedule: Schedule
    last_run: ScheduleRun | None


class RunTotals(NamedTuple):
    """How many runs of a schedule are remembered: jobs by status, and due times without a job."""

    jobs: Counts
    skipped: int
    missed: int


class Switched(NamedTuple):
    """A schedule before and after it was enabled or disabled."""

    before: Schedule
    after: Schedule


OPTIONS = tuple(field.name for field in fields(NewSchedule) if field.name not in {"name", "source"})
"""The attributes of :class:`NewSchedule` that a declaration sets."""


class DeclarationAction(StrEnum):
    """What is to become of a schedule."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    REMOVE = "remove"


class Declared(NamedTuple):
    """All schedules of a source: ``file:NAME`` or ``code:MODULE:ATTRIBUTE``."""

    source: str
    schedules: Sequence[NewSchedule]


class Difference(NamedTuple):
    """An option of a schedule, and two of its values."""

    option: str
    old: object
    new: object


class DeclarationStep(NamedTuple):
    """What is to become of a schedule."""

    action: DeclarationAction
    name: str
    before: Schedule | None  # as it is stored; `None` if it is new
    after: NewSchedule | None  # as it is to be; `None` if it is to be removed
    said: str | None = None  # what its source says of it, to be remembered
    changes: tuple[Difference, ...] = ()  # options that change, from the present to the next value
    # Options that somebody changed by hand and that stay, from what the source says to the present value.
    by_hand: tuple[Difference, ...] = ()

    @property
    def taken_from(self) -> str | None:
        """The source that had the schedule, if it gets another one."""
        if self.before is None or self.after is None or self.before.source == self.after.source:
            return None
        return self.before.source


def options_of(new: NewSchedule) -> dict[str, Any]:
    """The options of a schedule as JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps({name: getattr(new, name) for name in OPTIONS}, default=str))
    return found
