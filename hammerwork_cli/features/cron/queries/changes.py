"""Changes to schedules: adds, changes, switches and deletes them, and starts no run at once."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from shlex import quote
from typing import Any, NamedTuple

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Assignments, Names
from hammerwork_cli.errors import ConflictError, RefusedValueError, UsageError
from hammerwork_cli.features.cron.model import CatchUp, NewSchedule, Overlap, RunKind, RunOutcome, Schedule
from hammerwork_cli.features.cron.queries import ahead, recurring, ticks
from hammerwork_cli.features.cron.queries.schedules import all_schedules, known_runs, selected
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import limits
from hammerwork_cli.features.job.queries.encryption import refuse_plaintext

CHANGED = "the schedule was changed or disabled before a worker ran"


class Author(NamedTuple):
    """Who changes a schedule, and why."""

    by: str
    reason: str | None = None


def check(
    database: Database,
    new: NewSchedule,
    now: datetime,
    old: NewSchedule | None = None,
    *,
    plaintext_meant: bool = False,
) -> None:
    """Checks the values of a schedule; ``old`` are those that it has. It may be over already unless its end changes.

    Raises:
        ConflictError: see :func:`refuse_plaintext`.
    """
    if not 0 < len(new.name) <= LONGEST_NAME:
        raise RefusedValueError(f"A schedule's name has 1 to {LONGEST_NAME} characters, not {len(new.name)}.")
    limits.check_name(database, new.name)
    job = NewJob.of(new.queue, new.payload, now)
    limits.check(database, job)
    job.plaintext_meant = plaintext_meant or (old and (old.queue, old.payload)) == (new.queue, new.payload)
    refuse_plaintext(database, [job])
    if new.catch_up is CatchUp.ALL and new.overlap is not Overlap.ALLOW:
        raise UsageError(
            "--catch-up all opens several jobs at once, which this --overlap forbids.",
            hint="Add --overlap allow.",
        )
    same_end = old is not None and (old.starts_at, old.ends_at) == (new.starts_at, new.ends_at)
    if new.ends_at is not None and not same_end and new.ends_at <= max(new.starts_at or now, now):
        raise UsageError("The schedule ends before it starts.")


def preview(new: NewSchedule, now: datetime) -> Schedule:
    """The schedule as it would be stored now, with the first due time after ``now``."""
    schedule = Schedule(id=new_id(), name=new.name, **new.stored, revision=1, created_at=now, updated_at=now)
    schedule.next_run_at = schedule.next_after(now)
    if schedule.next_run_at is None:
        raise UsageError(f"The cron expression {new.expression.text!r:.120} is never due.")
    return schedule


def add(
    database: Database, new: NewSchedule, author: Author, now: datetime, *, plaintext_meant: bool = False
) -> Schedule:
    """Adds a schedule, whose first due time is after ``now``.

    Raises:
        ConflictError: the name is taken, or see :func:`check`.
    """
    check(database, new, now, plaintext_meant=plaintext_meant)
    schedule = preview(new, now)

    def work() -> Schedule:
        if selected(database, "cron.schedules.named", name=new.name):
            raise ConflictError(
                f"There is already a schedule {new.name!r:.80}.",
                hint=f"Change it with: hammerwork cron update {quote(new.name)}",
            )
        database.run(
            "cron.schedules.add",
            id=schedule.id,
            name=new.name,
            columns=Names(new.columns),
            values=[*new.columns.values()],
            by=author.by[:LONGEST_NAME],
            next=schedule.next_run_at,
            now=now,
        )
        return schedule

    return database.transaction(work)


def free_name(database: Database, new: NewSchedule) -> str:
    """The name of the schedule's queue, or with a number if a schedule has it.

    Raises:
        ConflictError: a schedule enqueues the same job at the same times already.
    """
    found = all_schedules(database)
    for schedule in found:
        if _duty(schedule.queue, schedule.payload, schedule.text, schedule.timezone) == _duty(
            new.queue, new.payload, new.expression.text, new.expression.timezone
        ):
            raise ConflictError(
                f"The schedule {schedule.name!r:.80} enqueues the same job at the same times.",
                hint="To create another one, give it a --name.",
            )
    taken = {schedule.name for schedule in found}
    names = (new.queue if number == 1 else f"{new.queue}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _duty(queue: str, payload: str, expression: str, timezone: str) -> tuple[str, ...]:
    """The job that a schedule enqueues, and when, in one spelling."""
    with suppress(ValueError, RecursionError):  # another program may have stored it
        payload = json.dumps(json.loads(payload), sort_keys=True)
    return queue, payload, expression, timezone


def change(
    database: Database,
    schedule: Schedule,
    alter: Callable[[NewSchedule], NewSchedule],
    author: Author,
    now: datetime,
    *,
    dry_run: bool = False,
) -> Schedule:
    """Changes a schedule, and starts no run at once. A dry run returns the same schedule, and writes nothing.

    If it is due at other times from now on, times that have passed without a run are recorded as missed. Else it
    keeps its next due time, also one that has passed.

    Raises:
        ConflictError: somebody else has changed it meanwhile.
    """
    old = NewSchedule.of(schedule)
    new = alter(old)
    if not new.enabled:  # why it is disabled stays
        author = author._replace(reason=author.reason or schedule.reason)
    if schedule.is_in_place:
        return recurring.change(database, schedule, new, old, now, dry_run=dry_run)
    check(database, new, now, old)
    changed = replace(
        schedule,
        **new.stored,
        changed_by=author.by,
        reason=author.reason,
        last_error=None,
        updated_at=now,
    )
    moves = _times(old) != _times(new) or old.enabled != new.enabled

    def work() -> Schedule:
        if moves:
            changed.next_run_at = _next(database, changed, now)
        if dry_run:
            return changed
        if moves:
            ahead.forget(database, schedule, now)
        done = database.run(
            "cron.schedules.change",
            options=Assignments(new.columns),
            **_change(schedule, author, now),
            moves=moves,
            next=changed.next_run_at if moves else None,
        )
        return _after(database, schedule, changed, now, done, missed=moves)

    # A protected profile lets no transaction begin that may change something.
    return work() if dry_run else database.transaction(work)


def switch(database: Database, schedule: Schedule, author: Author, now: datetime, *, enabled: bool) -> Schedule:
    """Enables or disables a schedule. Due times in between are not caught up.

    Raises:
        ConflictError: somebody else has changed it meanwhile.
    """
    changed = replace(schedule, enabled=enabled, changed_by=author.by, reason=author.reason, last_error=None)
    changed.updated_at, changed.next_run_at = now, None

    def work() -> Schedule:
        if enabled:
            changed.next_run_at = _next(database, changed, now)
            ahead.forget(database, schedule, now)
        done = database.run(
            "cron.schedules.switch", **_change(schedule, author, now), enabled=enabled, next=changed.next_run_at
        )
        return _after(database, schedule, changed, now, done, missed=True)

    return database.transaction(work)


def _times(new: NewSchedule) -> tuple[object, ...]:
    return new.expression, new.starts_at, new.ends_at


def _change(schedule: Schedule, author: Author, now: datetime) -> dict[str, Any]:
    named = {"by": author.by[:LONGEST_NAME], "reason": author.reason, "now": now}
    return {"id": schedule.id, "revision": schedule.revision, **named}


def _next(database: Database, changed: Schedule, now: datetime) -> datetime:
    """The first due time after now that has no job, also where a clock that was ahead recorded later runs."""
    due = changed.next_after(now)
    while due is not None and known_runs(database, changed, due, due).job(due) is not None:
        due = changed.next_after(due)
    if due is None:
        raise UsageError(f"The cron expression {changed.text!r:.120} is never due.")
    return due


def _after(
    database: Database, before: Schedule, changed: Schedule, now: datetime, done: int, *, missed: bool
) -> Schedule:
    """Completes a change in its transaction, which has locked the row."""
    if not done:
        raise changed_meanwhile(before)
    if missed and before.enabled:
        found = _passed(before, now)
        if found:
            known = known_runs(database, before, found[0].missed_from or found[0].at, found[-1].at)
            ticks.add_runs(database, before, ticks.unknown(found, known), {}, RunKind.SCHEDULED, now)
    changed.revision = before.revision + 1
    return changed


def changed_meanwhile(schedule: Schedule) -> ConflictError:
    """The error for a schedule that somebody else has changed since it was read."""
    return ConflictError(f"The schedule {schedule.name!r:.80} was changed meanwhile.", hint="Try again.")


def _passed(schedule: Schedule, now: datetime) -> list[ticks.Due]:
    """Due times that passed and that no tick has seen: the newest, the first of which stands for all before."""
    if schedule.due is None or schedule.due > now:
        return []
    try:
        found, more = schedule.passed(schedule.due, now, ticks.CHUNK)
    except UsageError:
        found, more = [schedule.due], 0
    passed = [ticks.Due(at, RunOutcome.MISSED, CHANGED) for at in found]
    if more:
        passed[0] = passed[0]._replace(missed=more, missed_from=schedule.due)
    return passed


def delete(database: Database, schedule: Schedule, *, revision: int | None = None) -> bool:
    """Deletes a schedule and its history; its jobs stay. Returns whether it was there, in a given revision.

    Raises:
        ConflictError: it is a recurring job.
    """
    if schedule.is_in_place:
        raise ConflictError(
            f"{schedule.name!r:.80} is a recurring job.", hint=f"Delete it with: hammerwork job delete {schedule.id}"
        )

    def work() -> bool:
        gone = database.run("cron.schedules.delete", id=schedule.id, revision=revision)
        if gone or revision is None:
            database.run("cron.schedules.forget_runs", id=schedule.id, before=None)
        return bool(gone)

    return database.transaction(work)
