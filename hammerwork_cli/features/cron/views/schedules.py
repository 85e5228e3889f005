"""Schedules: their shapes, tables and sentences for people."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.cron.expressions import Expression
from hammerwork_cli.core.cron.words import notes_on, words_of
from hammerwork_cli.core.input.zones import zone_of
from hammerwork_cli.core.values import FAILURES, JobStatus, priority_word
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.cron.model import ListedSchedule, Schedule, ScheduleKind, ScheduleRun, Switched
from hammerwork_cli.features.cron.views import runs
from hammerwork_cli.view import key
from hammerwork_cli.view.json import Record
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import NOTHING, count, duration, instant, visible

NO_UPKEEP = "no worker does upkeep: hammerwork worker start --upkeep-only"


class DueTime(NamedTuple):
    name: str
    queue: str
    due: datetime
    timezone: str


def _expression(schedule: Schedule) -> Expression | None:
    """The schedule; ``None`` if another version has stored what this one cannot read."""
    try:
        return schedule.expression
    except UsageError:
        return None


def words(schedule: Schedule) -> str | None:
    """The schedule in words, if it can be read."""
    found = _expression(schedule)
    return words_of(found) if found else None


def has_failed(run: ScheduleRun | None) -> bool:
    """Whether the job of a run has failed for good."""
    return run is not None and run.status in FAILURES


def payload_of(schedule: Schedule) -> object:
    """The payload as a value; as text, if it is too deep."""
    try:
        return json.loads(schedule.payload)
    except (ValueError, RecursionError):
        return schedule.payload


# Lists.


def columns(now: datetime, *, upkeep: bool) -> Sequence[Column[ListedSchedule]]:
    """The columns of a table of schedules; ``upkeep``: whether a worker enqueues their jobs."""
    return (
        Column("schedule", lambda row: row.schedule.name, cuts=True),
        Column("recurring job", lambda row: row.schedule.id[:8] if row.schedule.is_in_place else None, optional=True),
        column(SCHEDULE, "queue", cuts=True, drop_order=2),
        Column("due", lambda row: words(row.schedule) or row.schedule.text, cuts=True),
        Column("zone", lambda row: row.schedule.timezone, drop_order=1),
        Column("next (UTC)", lambda row: _next(row.schedule, now)),
        Column("last (UTC)", lambda row: row.last_run and instant(row.last_run.due_at), optional=True, drop_order=3),
        Column("last run", lambda row: _last(row), optional=True, is_status=True),
        Column("note", lambda row: _note(row, now, upkeep=upkeep), optional=True, cuts=True),
    )


def _next(schedule: Schedule, now: datetime) -> str:
    if not schedule.enabled:
        return "disabled"
    if schedule.due is None:
        return "ended"
    overdue = f" overdue by {duration(now - schedule.due)}" if is_overdue(schedule, now) else ""
    return f"{instant(schedule.due)}{overdue}"


def is_overdue(schedule: Schedule, now: datetime) -> bool:
    """Whether an enabled schedule should have run more than a minute ago."""
    return schedule.enabled and schedule.due is not None and now - schedule.due > timedelta(minutes=1)


def no_upkeep(schedule: Schedule, now: datetime, *, upkeep: bool) -> str | None:
    """Why an overdue schedule does not run, if no worker enqueues the jobs of schedules."""
    return NO_UPKEEP if not upkeep and not schedule.is_in_place and is_overdue(schedule, now) else None


def _last(row: ListedSchedule) -> str | None:
    run = row.last_run
    if row.schedule.is_in_place:  # Pending until its first run
        return None if row.schedule.state == JobStatus.PENDING else row.schedule.state
    return None if run is None else (run.status or (run.outcome if run.job_id is None else "deleted"))


def _note(row: ListedSchedule, now: datetime, *, upkeep: bool) -> str | None:
    schedule = row.schedule
    if note := no_upkeep(schedule, now, upkeep=upkeep):
        return note
    if schedule.last_error:
        return visible(schedule.last_error)
    if not schedule.enabled and (schedule.reason or schedule.changed_by):
        return visible(f"{schedule.reason or ''} ({schedule.changed_by})".strip())
    return runs.note(row.last_run) if row.last_run else None


def _understood(row: ListedSchedule, tell: Callable[[Expression], object]) -> object:
    found = _expression(row.schedule)
    return found and tell(found)


_SYNTAX = key.text("", "unix", "rust", "every")
SCHEDULE = Shape[ListedSchedule](
    {
        "id": key.uuid().of("schedule.id"),
        "name": key.text().of("schedule.name"),
        "kind": key.text("", *ScheduleKind).of("schedule.kind"),
        "queue": key.text().of("schedule.queue"),
        "schedule": key.text("Five fields, six or seven, a word such as @daily, or @every 2700s").of("schedule.text"),
        "syntax": key.null_or(_SYNTAX).of(lambda row: _understood(row, lambda found: found.syntax)),
        "words": key.null_or(key.text("The schedule in English")).of(lambda row: _understood(row, words_of)),
        "timezone": key.text().of("schedule.timezone"),
        "enabled": key.flag().of("schedule.enabled"),
        "changed_by": key.null_or(key.text()).of("schedule.changed_by"),
        "reason": key.null_or(key.text("Reason of the last change")).of("schedule.reason"),
        "next_run_at": key.null_or(key.instant("Null while it is disabled, and after its end")).of(
            lambda row: row.schedule.next_run_at if row.schedule.enabled else None
        ),
        "priority": key.priority().of(lambda row: priority_word(row.schedule.priority)),
        "max_attempts": key.count().of("schedule.max_attempts"),
        "timeout_seconds": key.null_or(key.count()).of("schedule.timeout_seconds"),
        "overlap": key.text("skip, skip-tree or allow").of("schedule.overlap"),
        "catch_up": key.text("last, none or all").of("schedule.catch_up"),
        "grace_seconds": key.count().of("schedule.grace_seconds"),
        "jitter_seconds": key.count().of("schedule.jitter_seconds"),
        "starts_at": key.null_or(key.instant()).of("schedule.starts_at"),
        "ends_at": key.null_or(key.instant()).of("schedule.ends_at"),
        "last_run": key.null_or(runs.RUN),
        "last_error": key.null_or(key.text("Why it could not enqueue a job")).of("schedule.last_error"),
        "description": key.null_or(key.text()).of("schedule.description"),
        "source": key.text(
            "cli, file:NAME, code:MODULE:ATTRIBUTE, job:ID after cron convert, or job for a recurring job"
        ).of("schedule.source"),
        "created_at": key.null_or(key.instant()).of("schedule.created_at"),
        "updated_at": key.null_or(key.instant()).of("schedule.updated_at"),
    }
)


def changed_record(schedule: Schedule) -> Record:
    """A schedule in the answer to a change, which names no run."""
    return SCHEDULE.record(ListedSchedule(schedule, None))


# Single schedules.


def facts(schedule: Schedule) -> Iterator[tuple[str, str]]:
    """Facts about a schedule, by name."""
    state = "enabled" if schedule.enabled else "disabled"
    because = f": {visible(schedule.reason)}" if schedule.reason else ""
    by = f" by {visible(schedule.changed_by)}" if schedule.changed_by else ""
    yield "state", f"{state}{by}{because}"
    yield "queue", visible(schedule.queue)
    meaning = words(schedule)
    yield "schedule", f"{visible(schedule.text)}{f' ({meaning})' if meaning else ''}, {visible(schedule.timezone)}"
    yield "priority", priority_word(schedule.priority)
    yield "max attempts", count(schedule.max_attempts)
    if schedule.timeout_seconds is not None:
        yield "timeout", f"{schedule.timeout_seconds} s"
    if not schedule.is_in_place:
        yield "overlap", visible(schedule.overlap)
        grace = f", at most {schedule.grace_seconds} s late" if schedule.catch_up == "none" else ""
        yield "catch-up", f"{visible(schedule.catch_up)}{grace}"
    if schedule.jitter_seconds:
        yield "jitter", f"{schedule.delay.total_seconds():g} s of {schedule.jitter_seconds} s"
    for name, at in (("starts", schedule.starts_at), ("ends", schedule.ends_at)):
        if at is not None:
            yield name, f"{instant(at)} UTC"
    if schedule.description:
        yield "description", visible(schedule.description)
    if schedule.last_error:
        yield "error", visible(schedule.last_error)
    yield "source", visible(schedule.source)


def local_text(due: datetime, timezone: str) -> str:
    """A due time in its time zone, and in UTC."""
    if timezone == "UTC":
        return f"{instant(due)} UTC"
    local = due.astimezone(zone_of(timezone))
    return f"{local:%a %Y-%m-%d %H:%M:%S %Z}, {instant(due)} UTC"


def meaning_text(schedule: Schedule, dates: Sequence[datetime]) -> str:
    """What a schedule means, with its next due times."""
    due = ", ".join(local_text(one, schedule.timezone) for one in dates)
    when = f"next {due}" if dates else "disabled" if not schedule.enabled else "never due again"
    return f"{visible(schedule.name)} is due {words(schedule) or visible(schedule.text)} ({schedule.timezone}): {when}."


def changes_text(before: Schedule, after: Schedule) -> Iterator[str]:
    """What a change made different."""
    old, new = changed_record(before), changed_record(after)
    old["payload"], new["payload"] = before.payload, after.payload
    skipped = {"id", "changed_by", "updated_at", "created_at", "last_run", "last_error", "words", "syntax", "source"}
    changed = [name for name in new if name not in skipped and old[name] != new[name]]
    for name in changed:
        yield f"{name}: {_shown(old[name])} -> {_shown(new[name])}"
    if not changed:
        yield "Nothing changed."


def _shown(value: object) -> str:
    return NOTHING if value is None else visible(str(value))


def switched_text(switched: Switched) -> str:
    """What enabling or disabling a schedule changed."""
    schedule = switched.after
    # Recurring jobs are named after their queue, which may have several.
    name = f"{visible(schedule.name)} {schedule.id[:8]}" if schedule.is_in_place else visible(schedule.name)
    state = "enabled" if schedule.enabled else "disabled"
    if switched.before.enabled == schedule.enabled:
        return f"{name} was already {state}."
    due = f" Next: {local_text(schedule.due, schedule.timezone)}." if schedule.enabled and schedule.due else ""
    return f"{name} is {state}.{due}"


class Triggered(NamedTuple):
    """A schedule and the job that `cron trigger` enqueued."""

    schedule: Schedule
    job: str


TRIGGERED = Shape[Triggered](
    {"name": key.text().of("schedule.name"), "job_id": key.job_id().of("job"), "queue": key.text().of("schedule.queue")}
)


# Due times.

DUE = Shape[DueTime](
    {
        "due_at": key.instant().of("due"),
        "local": key.text("Local time with its UTC offset").of(
            lambda row: row.due.astimezone(zone_of(row.timezone)).isoformat()
        ),
        "timezone": key.text(),
        "name": key.text(),
        "queue": key.text(),
    }
)
DUE_TIMES: Sequence[Column[DueTime]] = (
    Column("due (UTC)", lambda row: instant(row.due)),
    Column(
        "local time", lambda row: f"{row.due.astimezone(zone_of(row.timezone)):%a %Y-%m-%d %H:%M:%S %Z}", drop_order=1
    ),
    Column("schedule", lambda row: row.name, cuts=True),
    column(DUE, "queue", cuts=True, drop_order=2),
)


class Meaning(NamedTuple):
    """An expression and its next due times."""

    expression: Expression
    dates: Sequence[datetime]


MEANING = Shape[Meaning](
    {
        "schedule": key.text().of("expression.text"),
        "syntax": _SYNTAX.of("expression.syntax"),
        "words": key.text().of(lambda one: words_of(one.expression)),
        "timezone": key.text().of("expression.timezone"),
        "next": key.list_of(key.instant()).of("dates"),
        "notes": key.list_of(key.text()).of(lambda one: notes_on(one.expression)),
    }
)


def check_text(expression: Expression, dates: Sequence[datetime]) -> Iterator[str]:
    """What a schedule means, its due times, and notes."""
    yield f"{words_of(expression)} ({expression.timezone})"
    for due in dates:
        yield f"  {local_text(due, expression.timezone)}"
    if not dates:
        yield "  It is never due."
    yield from notes_on(expression)
