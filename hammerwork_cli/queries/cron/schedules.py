"""Schedules: finds, adds, changes and deletes them, and reads their runs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.errors import (
    AmbiguousIdError,
    ConflictError,
    MissingTablesError,
    NotFoundError,
    RefusedValueError,
    UsageError,
)
from hammerwork_cli.models import Counts, JobPriority, NewJob, new_id, timestamp
from hammerwork_cli.models.cron.schedule import (
    CatchUp,
    ListedSchedule,
    NewSchedule,
    Outcome,
    Overlap,
    RunTotals,
    Schedule,
    ScheduleRun,
)
from hammerwork_cli.models.input.limits import LONGEST_NAME
from hammerwork_cli.queries.cron import recurring
from hammerwork_cli.queries.job import limits
from hammerwork_cli.queries.worker import duties

LIST = "List the names with: hammerwork cron list"
DUTY = "schedules"
"""The duty by which others see that some worker makes jobs of schedules."""
DUTY_SECONDS = 60.0
MOST_CANDIDATES = 10
_PREFIX = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a schedule, and why."""

    by: str
    reason: str | None = None


def check_tables(database: Database) -> None:
    """Checks that there are tables of schedules.

    Raises:
        MissingTablesError: migration 022 is missing.
    """
    if "schedules" not in database.tags:
        raise MissingTablesError("This database has no table of schedules yet (migration 022).", hint=MIGRATE)


def all_schedules(database: Database, *, queue: str | None = None, source: str | None = None) -> list[Schedule]:
    """Lists schedules by name; none without migration 022."""
    if "schedules" not in database.tags:
        return []
    return [read(row) for row in database.rows("cron.schedules.list", queue=queue, source=source)]


def listed(database: Database, *, queue: str | None = None) -> list[ListedSchedule]:
    """Lists schedules by name with their last runs, and recurring jobs; of the former none without migration 022."""
    found = all_schedules(database, queue=queue)
    last = {str(row[0]): _run(row[1:]) for row in database.rows("cron.schedules.last_runs")} if found else {}
    jobs = recurring.recurring_jobs(database, queue=queue)
    return [ListedSchedule(schedule, last.get(schedule.id)) for schedule in [*found, *jobs]]


def find(database: Database, text: str) -> Schedule:
    """The schedule with a name, an id or the beginning of an id; or the recurring job with such an id.

    Raises:
        NotFoundError: there is none.
        AmbiguousIdError: several have such an id.
    """
    rows: list[Row] = []
    digits = text.strip().lower().replace("-", "")
    bounds = {"low": _uuid(digits.ljust(32, "0")), "high": _uuid(digits.ljust(32, "f"))}
    if "schedules" in database.tags:
        rows = database.rows("cron.schedules.named", name=text)
        if not rows and _PREFIX.fullmatch(digits):
            rows = database.rows("cron.schedules.by_prefix", **bounds, limit=MOST_CANDIDATES)
    found = [read(row) for row in rows]
    if not found:
        found = [job for job in recurring.recurring_jobs(database) if _is_meant(job, text, digits)]
    if not found:
        raise NotFoundError(f"There is no schedule {text[:60]!r}.{_near(database, text)}", hint=LIST)
    if len(found) > 1:
        names = ", ".join(f"{one.name!r} {one.id}" for one in found[:MOST_CANDIDATES])
        raise AmbiguousIdError(f"Several schedules are meant by {text[:60]!r}: {names}.", hint="Give more of the id.")
    return found[0]


def _is_meant(job: Schedule, text: str, digits: str) -> bool:
    begins = bool(_PREFIX.fullmatch(digits)) and job.id.replace("-", "").startswith(digits)
    return begins or job.name == text


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _near(database: Database, text: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text, [schedule.name for schedule in all_schedules(database)], 3)
    return f" Did you mean {', '.join(map(repr, near))}?" if near else ""


def read(row: Row) -> Schedule:
    """The schedule in a row of ``cron.schedules.columns``."""
    schedule = Schedule(*row)
    return replace(schedule, id=str(schedule.id), enabled=bool(schedule.enabled))


def wanted(schedule: Schedule) -> NewSchedule:
    """What is said of a schedule, to change a part of it.

    Raises:
        UsageError: it has words that this version does not know.
    """
    return NewSchedule(
        name=schedule.name,
        queue=schedule.queue,
        payload=schedule.payload,
        expression=schedule.expression,
        priority=JobPriority(schedule.priority),
        max_attempts=schedule.max_attempts,
        timeout_seconds=schedule.timeout_seconds,
        starts_at=timestamp(schedule.starts_at),
        ends_at=timestamp(schedule.ends_at),
        overlap=Overlap(schedule.overlap),
        catch_up=CatchUp(schedule.catch_up),
        grace_seconds=schedule.grace_seconds,
        jitter_seconds=schedule.jitter_seconds,
        enabled=schedule.enabled,
        description=schedule.description,
        source=schedule.source,
    )


def check(database: Database, new: NewSchedule, now: datetime) -> None:
    """Checks what is said of a schedule.

    Raises:
        UsageError: values contradict each other.
        RefusedValueError: the database cannot store the jobs.
    """
    if not 0 < len(new.name) <= LONGEST_NAME:
        raise RefusedValueError(f"A schedule's name has 1 to {LONGEST_NAME} characters, not {len(new.name)}.")
    limits.check_name(database, new.name)
    limits.check(database, NewJob.of(new.queue, new.payload, now))
    if new.catch_up is CatchUp.ALL and new.overlap is not Overlap.ALLOW:
        raise UsageError(
            "With --catch-up all, several jobs are open at once, which this --overlap forbids.",
            hint="Add --overlap allow.",
        )
    if new.ends_at is not None and new.ends_at <= max(new.starts_at or now, now):
        raise UsageError("The schedule ends before it starts.")


def preview(new: NewSchedule, now: datetime) -> Schedule:
    """The schedule as it would be stored now, with the first due time after ``now``.

    Raises:
        UsageError: it is never due.
    """
    values = _values(new)
    schedule = Schedule(
        id=new_id(),
        **{("text" if name == "expression" else name): value for name, value in values.items()},
        name=new.name,
        changed_by=None,
        reason=None,
        next_run_at=None,
        last_error=None,
        revision=1,
        created_at=now,
        updated_at=now,
    )
    schedule.next_run_at = schedule.next_after(now)
    if schedule.next_run_at is None:
        raise UsageError(f"The schedule {new.expression.text!r:.120} is never due.")
    return schedule


def _values(new: NewSchedule) -> dict[str, Any]:
    return {
        "queue": new.queue,
        "payload": new.payload,
        "priority": int(new.priority),
        "max_attempts": new.max_attempts,
        "timeout_seconds": new.timeout_seconds,
        "expression": new.expression.text,
        "timezone": new.expression.timezone,
        "starts_at": new.starts_at,
        "ends_at": new.ends_at,
        "overlap": str(new.overlap),
        "catch_up": str(new.catch_up),
        "grace_seconds": new.grace_seconds,
        "jitter_seconds": new.jitter_seconds,
        "enabled": new.enabled,
        "source": new.source,
        "description": new.description,
    }


def add(database: Database, new: NewSchedule, author: Author, now: datetime) -> Schedule:
    """Adds a schedule, whose first due time is after ``now``.

    Raises:
        ConflictError: the name is taken.
        UsageError, RefusedValueError: see :func:`check` and :func:`preview`.
    """
    check_tables(database)
    check(database, new, now)
    schedule = preview(new, now)

    def work() -> Schedule:
        if database.rows("cron.schedules.named", name=new.name):
            raise ConflictError(
                f"There is already a schedule {new.name!r:.80}.", hint="Change it with: hammerwork cron update NAME"
            )
        database.run(
            "cron.schedules.add",
            **_values(new),
            id=schedule.id,
            name=new.name,
            by=author.by[:LONGEST_NAME],
            next=schedule.next_run_at,
            now=now,
        )
        return schedule

    return database.transaction(work)


def free_name(database: Database, queue: str) -> str:
    """The queue's name, or with a number if a schedule has it."""
    taken = {schedule.name for schedule in all_schedules(database)}
    names = (queue if number == 1 else f"{queue}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def change(
    database: Database, schedule: Schedule, alter: Callable[[NewSchedule], NewSchedule], author: Author, now: datetime
) -> Schedule:
    """Changes a schedule. Its next due time is after ``now`` and after every due time that has a run.

    Raises:
        ConflictError: somebody else has changed it meanwhile.
        UsageError, RefusedValueError: see :func:`check`; or it is never due.
    """
    new = alter(wanted(schedule))
    if schedule.is_in_place:
        return recurring.change(database, schedule, new, now)
    check(database, new, now)

    def work() -> Schedule:
        known = database.row("cron.schedules.last_due", id=schedule.id)
        last = timestamp(known[0]) if known else None
        values = _values(new)
        changed = replace(
            schedule,
            **{("text" if name == "expression" else name): value for name, value in values.items()},
            changed_by=author.by,
            reason=author.reason,
            revision=schedule.revision + 1,
            last_error=None,
            updated_at=now,
        )
        changed.next_run_at = changed.next_after(max(now, last or now))
        if changed.next_run_at is None and new.enabled:
            raise UsageError(f"The schedule {new.expression.text!r:.120} is never due.")
        done = database.run(
            "cron.schedules.change",
            **values,
            id=schedule.id,
            revision=schedule.revision,
            by=author.by[:LONGEST_NAME],
            reason=author.reason,
            next=changed.next_run_at,
            now=now,
        )
        if not done:
            raise ConflictError(f"The schedule {schedule.name!r:.80} was changed meanwhile.", hint="Try again.")
        return changed

    return database.transaction(work)


def delete(database: Database, schedule: Schedule) -> bool:
    """Deletes a schedule and its history; its jobs stay. Returns whether it was there.

    Raises:
        ConflictError: it is a recurring job.
    """
    if schedule.is_in_place:
        raise ConflictError(
            f"{schedule.name!r:.80} is a recurring job.", hint=f"Delete it with: hammerwork job delete {schedule.id}"
        )

    def work() -> bool:
        gone = database.run("cron.schedules.delete", id=schedule.id)
        database.run("cron.schedules.forget_runs", id=schedule.id, before=None)
        return bool(gone)

    return database.transaction(work)


# Runs.


def runs(
    database: Database, schedule: Schedule, *, since: datetime | None = None, limit: int = 50
) -> list[ScheduleRun]:
    """Lists the runs of a schedule, the last due one first; none of a recurring job."""
    if schedule.is_in_place:
        return []
    return [_run(row) for row in database.rows("cron.schedules.runs", id=schedule.id, since=since, limit=limit)]


def totals(database: Database, schedule: Schedule) -> RunTotals:
    """Counts the runs of a schedule that are remembered."""
    jobs, skipped, missed = Counts(), 0, 0
    if schedule.is_in_place:
        return RunTotals(jobs, skipped, missed)
    for outcome, status, number in database.rows("cron.schedules.totals", id=schedule.id):
        if outcome == Outcome.ENQUEUED:
            jobs.add(status or "Deleted", number)
        elif outcome == Outcome.SKIPPED:
            skipped += number
        else:
            missed += number
    return RunTotals(jobs, skipped, missed)


def _run(row: Sequence[Any]) -> ScheduleRun:
    run = ScheduleRun(*row)
    return replace(run, job_id=None if run.job_id is None else str(run.job_id))


def forget_runs(database: Database, schedule: Schedule, before: datetime) -> None:
    """Forgets the runs of a schedule that were due before a time."""
    database.run("cron.schedules.forget_runs", id=schedule.id, before=before)


def somebody_keeps(database: Database, now: datetime) -> bool:
    """Whether a worker makes jobs of schedules now."""
    if "upkeep" not in database.tags:
        return False
    until = duties.times(database).get(DUTY)
    return until is not None and (now - until).total_seconds() < 2 * DUTY_SECONDS
