"""Finds schedules and recurring jobs that a clock that was ahead has put off, and makes them due as they should be.

No due time is legitimately later than the one that follows now. What such a clock recorded of due times that are still
to come is forgotten where it led to no job; a due time that has a job gets no other one.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.clock import SLACK, latest
from hammerwork_cli.core.cron.expressions import INTERVAL
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.cron.model import Schedule
from hammerwork_cli.features.cron.queries import recurring, schedules
from hammerwork_cli.features.job.queries import ahead as jobs_ahead

LATE = timedelta(days=1)
"""How long after a clock was wrong what it recorded is still looked for."""


DOUBTED = timedelta(days=1)
"""A recurring job that is less ahead waits: its row does not say which occurrences have run, and none runs twice."""


class _ChangedError(Exception):
    """Somebody else has changed the schedule."""


class PutOffSchedule(NamedTuple):
    """A schedule or a recurring job that a wrong clock has put off."""

    schedule: Schedule
    due: datetime  # when it should be due


def found(database: Database, now: datetime) -> list[PutOffSchedule]:
    """The schedules and the recurring jobs that a wrong clock has put off."""
    if not database.is_current:
        return []
    late = schedules.selected(database, "cron.schedules.later", until=latest(now))
    late += recurring.waiting(database, latest(now))
    return [PutOffSchedule(schedule, due) for schedule in late if (due := _due(schedule, now))]


def _due(schedule: Schedule, now: datetime) -> datetime | None:
    """When a schedule should be due, if that is earlier than what is stored."""
    created, stored = timestamp(schedule.created_at), schedule.due
    if created is not None and created > latest(now):
        schedule.created_at = now  # an interval counts from it
    try:
        due = schedule.next_after(now)
        # By the wrong clock it ran for its next occurrence, of which its row says nothing more.
        if schedule.is_in_place and due is not None and schedule.created_at != now:
            due = schedule.next_after(due)
    except UsageError:
        return None
    least = DOUBTED if schedule.is_in_place else SLACK
    return due if due is not None and stored is not None and stored > due + least else None


def put_back(database: Database, put_off: PutOffSchedule, now: datetime) -> bool:
    """Makes a schedule or a recurring job due when it should be; returns whether nobody else has changed it."""
    schedule, due = put_off
    if schedule.is_in_place:
        return recurring.put_back(database, schedule, due, now)

    def work() -> bool:
        first = forget(database, schedule, now)
        next_run = due if first is None else min(first, due)
        changed = database.run(
            "cron.schedules.put_back",
            id=schedule.id,
            revision=schedule.revision,
            due=schedule.next_run_at,
            next=next_run,
            created=now if schedule.expression.syntax == INTERVAL and schedule.created_at == now else None,
        )
        if not changed:
            raise _ChangedError
        # What it enqueued by that clock would wait until then, and keep it from running again.
        for job in database.rows("cron.schedules.jobs_ahead", **_recorded(schedule, now)):
            jobs_ahead.put_one_back(database, jobs_ahead.PutOffJob(*job), now)
        return True

    try:
        return database.transaction(work)
    except _ChangedError:
        return False


def forget(database: Database, schedule: Schedule, now: datetime) -> datetime | None:
    """Forgets what a clock that was ahead has recorded without a job; returns the first due time. In a transaction."""
    recorded = _recorded(schedule, now)
    first = timestamp(database.value("cron.schedules.first_ahead", **recorded))
    if first is not None:
        database.run("cron.schedules.forget_ahead", **recorded)
    return first


def _recorded(schedule: Schedule, now: datetime) -> dict[str, Any]:
    return {"id": schedule.id, "since": now - LATE, "latest": latest(now)}
