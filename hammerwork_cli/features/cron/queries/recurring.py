"""Recurring jobs, which hammerwork (Rust) knows too: one row that comes back after each occurrence.

hammerwork (Rust) disables such a job by ``recurring = FALSE`` alone. Its workers before version 3 run it once more all
the same, and a job that runs meanwhile stays Running for ever. Here a disabled job is parked as well: it is due in
2038, the last whole year of MySQL's timestamps, so that no worker of either program takes it.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hammerwork_cli.core.cron.rust import next_run
from hammerwork_cli.core.cron.translation import to_rust
from hammerwork_cli.core.values import JobStatus, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Columns
from hammerwork_cli.errors import ConflictError, UsageError
from hammerwork_cli.features.cron.model import NewSchedule, Schedule, ScheduleKind
from hammerwork_cli.features.cron.options import ENABLED, OWN_OPTIONS, STORED, job_options
from hammerwork_cli.features.job.models.new_job import COLUMNS, NewJob
from hammerwork_cli.features.job.queries import enqueue

log = logging.getLogger("hammerwork")
PARKED = datetime(2038, 1, 1, 0, 0, 0, 2038, tzinfo=UTC)
"""Not a whole second, in which a schedule may be due."""
_OPTIONS = Columns(f"j.{COLUMNS[field]}" for field in STORED.values())


def recurring_jobs(database: Database, *, queues: Sequence[str] = ()) -> list[Schedule]:
    """Recurring jobs as schedules, by queue. They never overlap, and run once after an outage."""
    found = _jobs(database, "cron.recurring.list", queues=queues)
    in_queue = Counter(job.queue for job in found)  # of several in a queue, the names have the beginnings of their ids
    return [replace(job, name=f"{job.queue}-{job.id[:8]}") if in_queue[job.queue] > 1 else job for job in found]


def find(database: Database, job: str) -> Schedule | None:
    """A recurring job by its whole id; ``None`` for any other job."""
    return next(iter(_jobs(database, "cron.recurring.one", id=job)), None)


def _jobs(database: Database, statement: str, **values: Any) -> list[Schedule]:
    return [_schedule(row) for row in database.rows(statement, options=_OPTIONS, **values)]


def _schedule(row: Sequence[Any]) -> Schedule:
    job, text, zone, *stored, recurring, status, due, error, created = row
    of_jobs = dict(zip(STORED.values(), stored, strict=True))
    payload = of_jobs["payload"]
    of_jobs["payload"] = payload if isinstance(payload, str) else _text(payload)
    enabled = bool(recurring) and timestamp(due) != PARKED
    return Schedule(
        str(job),
        name=of_jobs["queue"],
        text=text,
        timezone=zone or "UTC",
        **of_jobs,
        enabled=enabled,
        next_run_at=due if enabled else None,
        last_error=error,
        created_at=created,
        updated_at=created,
        kind=str(ScheduleKind.IN_PLACE),
        state=status_of(status),
    )


def _text(payload: Any) -> str:
    import json

    return payload.decode() if isinstance(payload, (bytes, bytearray)) else json.dumps(payload, ensure_ascii=False)


def create(database: Database, new: NewSchedule, now: datetime) -> Schedule:
    """Enqueues a recurring job."""
    of_job = {field: getattr(new, field) for field in STORED.values()}
    plain = NewSchedule(name=new.name, expression=new.expression, **of_job)
    fields = {option.name: option.field or option.name for option in OWN_OPTIONS if option.read}
    refused = [name for name, field in fields.items() if getattr(new, field) != getattr(plain, field)]
    if refused:
        flags = [f"--{'disabled' if name == ENABLED.name else name.replace('_', '-')}" for name in refused]
        raise UsageError(
            "A recurring job starts enabled, never overlaps, runs once after an outage, and has no end.",
            hint=f"Leave out {', '.join(flags)}.",
        )
    text = to_rust(new.expression)
    job = NewJob.of(
        new.queue,
        new.payload,
        now,
        **job_options(new),
        cron_schedule=text,
        timezone=new.expression.timezone,
    )
    enqueue.once(database, job)
    found = find(database, job.id)
    assert found is not None  # it has just been written
    return found


def switch(database: Database, job: Schedule, now: datetime, *, enabled: bool) -> Schedule:
    """Parks a recurring job, or lets it recur again.

    Raises:
        ConflictError: it runs now, or has changed meanwhile.
    """
    if enabled:
        due = _next(job, now)
        done = database.run("cron.recurring.unpark", id=job.id, parked=PARKED, next=due)
    else:
        _check_waits(job)
        done = database.run("cron.recurring.park", id=job.id, parked=PARKED)
    return _after(database, job, done)


def change(
    database: Database, job: Schedule, new: NewSchedule, old: NewSchedule, now: datetime, *, dry_run: bool = False
) -> Schedule:
    """Changes the schedule, the time zone or the priority of a recurring job.

    Args:
        job: as it was read; a row in another state stays unchanged.
        dry_run: whether to return what it would become, and write nothing.

    Raises:
        ConflictError: it runs now, or has changed meanwhile.
    """
    if replace(new, expression=old.expression, priority=old.priority) != old:
        raise UsageError(
            "Only the cron expression, the time zone and the priority of a recurring job can be changed.",
            hint=f"To turn it into a schedule: hammerwork cron convert {job.id} --name NAME",
        )
    _check_waits(job)
    moves = new.expression != old.expression
    text = to_rust(new.expression) if moves else job.text
    due = next_run(text, new.expression.timezone, now)
    if due is None:
        raise UsageError(f"The cron expression {text!r:.120} is never due.")
    starts = due if job.enabled and moves else None
    wanted = replace(
        job,
        text=text,
        timezone=new.expression.timezone,
        priority=int(new.priority),
        next_run_at=starts or job.next_run_at,
    )
    if dry_run:
        return wanted

    def work() -> Schedule:
        done = database.run(
            "cron.recurring.change",
            id=job.id,
            seen=job.text,
            enabled=job.enabled,
            disabled=not job.enabled,
            expression=wanted.text,
            timezone=wanted.timezone,
            priority=wanted.priority,
            next=starts,
        )
        return _after(database, job, done)

    return database.transaction(work)


def trigger(database: Database, job: Schedule, now: datetime) -> None:
    """Makes a recurring job due now, in place of its next due time.

    Raises:
        ConflictError: it runs now, is disabled, or has changed meanwhile.
    """
    _check_waits(job)
    _after(database, job, database.run("cron.recurring.trigger", id=job.id, now=now))


def waiting(database: Database, until: datetime) -> list[Schedule]:
    """Recurring jobs that a worker made due after a time, or that were created after it."""
    return _jobs(database, "cron.recurring.later", until=until, parked=PARKED)


def put_back(database: Database, job: Schedule, due: datetime, now: datetime) -> bool:
    """Makes a waiting job due at another time; returns whether it still waited for the same one."""
    return bool(database.run("cron.recurring.put_back", id=job.id, due=job.next_run_at, next=due, now=now))


def unpark_enabled(database: Database, now: datetime) -> int:
    """Lets the parked jobs recur that hammerwork (Rust) has enabled, which leaves them parked; returns their number."""
    done = 0
    for job in _jobs(database, "cron.recurring.stranded", parked=PARKED):
        try:
            due = next_run(job.text, job.timezone, now)
        except UsageError as error:
            log.warning("The recurring job %s stays disabled: %s", job.id, error.message)
            continue
        if due is not None:
            done += database.run("cron.recurring.unpark", id=job.id, parked=PARKED, next=due)
    return done


def _next(job: Schedule, now: datetime) -> datetime:
    due = next_run(job.text, job.timezone, now)
    if due is None:
        raise UsageError(f"The cron expression {job.text!r:.120} is never due again.")
    return due


def _check_waits(job: Schedule) -> None:
    if job.state == JobStatus.RUNNING:
        raise ConflictError(
            f"The recurring job {job.id} is Running, and its worker would overwrite the change.",
            hint="Try again after it has ended.",
        )
    if job.state != JobStatus.PENDING:
        raise ConflictError(f"The recurring job {job.id} is {job.state}.", hint=f"See: hammerwork job show {job.id}")


def _after(database: Database, job: Schedule, done: int) -> Schedule:
    found = find(database, job.id)
    if not done or found is None:
        raise ConflictError(f"The recurring job {job.id} changed meanwhile.", hint="Try again.")
    return found
