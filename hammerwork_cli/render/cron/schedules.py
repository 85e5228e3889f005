"""Renders schedules: records for programs, tables and sentences for people."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import UNSUCCESSFUL, JobStatus, priority_word, rfc3339
from hammerwork_cli.models.cron.expressions import Expression
from hammerwork_cli.models.cron.rust import zone_of
from hammerwork_cli.models.cron.schedule import ListedSchedule, Schedule, ScheduleRun, Switched
from hammerwork_cli.models.cron.words import notes_on, words_of
from hammerwork_cli.render.cron import runs
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import NOTHING, duration, instant, visible

SCHEDULE_KEYS = (
    "id",
    "name",
    "kind",
    "queue",
    "schedule",
    "syntax",
    "words",
    "timezone",
    "enabled",
    "changed_by",
    "reason",
    "next_run_at",
    "priority",
    "max_attempts",
    "timeout_seconds",
    "overlap",
    "catch_up",
    "grace_seconds",
    "jitter_seconds",
    "starts_at",
    "ends_at",
    "last_run",
    "last_error",
    "description",
    "source",
    "created_at",
    "updated_at",
)


NO_UPKEEP = "no worker does upkeep: hammerwork worker start --upkeep-only"


class DueTime(NamedTuple):
    """A time at which a schedule is due."""

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
    """Whether the job of a run did not succeed."""
    return run is not None and run.status in UNSUCCESSFUL


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
        Column("queue", lambda row: row.schedule.queue, cuts=True, leaves=2),
        Column("due", lambda row: words(row.schedule) or row.schedule.text, cuts=True),
        Column("zone", lambda row: row.schedule.timezone, leaves=1),
        Column("next (UTC)", lambda row: _next(row.schedule, now)),
        Column("last (UTC)", lambda row: row.last_run and instant(row.last_run.due_at), optional=True, leaves=3),
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


def schedule_record(schedule: Schedule, last_run: ScheduleRun | None) -> Record:
    """A schedule.

    Keys: ``id``, ``name``, ``kind``, ``queue``, ``schedule`` and its ``syntax`` (``unix``, ``rust`` or ``every``;
    null if this version cannot read it), ``words``, ``timezone``, ``enabled``, ``changed_by`` and ``reason`` (of the
    last change), ``next_run_at``, ``last_run`` (as in ``cron history``; null before the first, and in answers to
    changes), ``last_error`` (why its job could not be enqueued) and its policies.
    """
    expression = _expression(schedule)
    return {
        "id": schedule.id,
        "name": schedule.name,
        "kind": schedule.kind,
        "queue": schedule.queue,
        "schedule": schedule.text,
        "syntax": expression and expression.syntax,
        "words": expression and words_of(expression),
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "changed_by": schedule.changed_by,
        "reason": schedule.reason,
        "next_run_at": rfc3339(schedule.next_run_at) if schedule.enabled else None,
        "priority": priority_word(schedule.priority),
        "max_attempts": schedule.max_attempts,
        "timeout_seconds": schedule.timeout_seconds,
        "overlap": schedule.overlap,
        "catch_up": schedule.catch_up,
        "grace_seconds": schedule.grace_seconds,
        "jitter_seconds": schedule.jitter_seconds,
        "starts_at": rfc3339(schedule.starts_at),
        "ends_at": rfc3339(schedule.ends_at),
        "last_run": runs.run_record(last_run) if last_run else None,
        "last_error": schedule.last_error,
        "description": schedule.description,
        "source": schedule.source,
        "created_at": rfc3339(schedule.created_at),
        "updated_at": rfc3339(schedule.updated_at),
    }


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
    old, new = schedule_record(before, None), schedule_record(after, None)
    old["payload"], new["payload"] = before.payload, after.payload
    skipped = {"id", "changed_by", "updated_at", "created_at", "last_run", "last_error", "words", "syntax", "source"}
    changed = [key for key in new if key not in skipped and old[key] != new[key]]
    for key in changed:
        yield f"{key}: {_shown(old[key])} -> {_shown(new[key])}"
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


def triggered_record(schedule: Schedule, job: str) -> Record:
    """The job that `cron trigger` enqueued."""
    return {"name": schedule.name, "job_id": job, "queue": schedule.queue}


# Due times.

DUE_TIMES: Sequence[Column[DueTime]] = (
    Column("due (UTC)", lambda row: instant(row.due)),
    Column("local time", lambda row: f"{row.due.astimezone(zone_of(row.timezone)):%a %Y-%m-%d %H:%M:%S %Z}", leaves=1),
    Column("schedule", lambda row: row.name, cuts=True),
    Column("queue", lambda row: row.queue, cuts=True, leaves=2),
)
DUE_KEYS = ("due_at", "local", "timezone", "name", "queue")


def due_record(row: DueTime) -> Record:
    """A due time: ``due_at`` in UTC, ``local`` with the offset of its time zone."""
    return {
        "due_at": rfc3339(row.due),
        "local": row.due.astimezone(zone_of(row.timezone)).isoformat(),
        "timezone": row.timezone,
        "name": row.name,
        "queue": row.queue,
    }


def check_record(expression: Expression, dates: Sequence[datetime]) -> Record:
    """What a schedule means."""
    return {
        "schedule": expression.text,
        "syntax": expression.syntax,
        "words": words_of(expression),
        "timezone": expression.timezone,
        "next": [rfc3339(due) for due in dates],
        "notes": notes_on(expression),
    }


def check_text(expression: Expression, dates: Sequence[datetime]) -> Iterator[str]:
    """What a schedule means, its due times, and notes."""
    yield f"{words_of(expression)} ({expression.timezone})"
    for due in dates:
        yield f"  {local_text(due, expression.timezone)}"
    if not dates:
        yield "  It is never due."
    yield from notes_on(expression)
