"""Enqueues jobs for due times that passed without one."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError, UsageError
from hammerwork_cli.features.cron.model import Gap, RunKind, RunOutcome, Schedule
from hammerwork_cli.features.cron.queries import schedules, ticks
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import limits

MOST = 10_000
"""Jobs that are enqueued at once, in one transaction."""


def gaps(database: Database, schedule: Schedule, start: datetime, end: datetime, most: int) -> list[Gap]:
    """The due times from ``start`` until before ``end`` that have no job, the earliest first.

    Args:
        schedule: also a disabled one.
        start: also before the schedule was created.
        end: not later than now.

    Raises:
        UsageError: it is a recurring job, or there are more.
    """
    if schedule.is_in_place:
        raise UsageError("A recurring job has one row for all runs, so past ones cannot be enqueued.")
    known = schedules.known_runs(database, schedule, start, end)
    found: list[Gap] = []
    due = schedule.next_after(start - timedelta(microseconds=1))
    while due is not None and due < end:
        run = known.get(due)
        if run is None or run.job is None:
            found.append(Gap(due, run and run.outcome))
        if len(found) > most:
            raise UsageError(
                f"More than {most:,} due times have no job, the first at {found[0].due_at:%Y-%m-%d %H:%M:%S} UTC.",
                hint="Give a later --since, an earlier --until, or a higher --max.",
            )
        due = schedule.next_after(due)
    return _without_jobs(database, schedule, found)


def _without_jobs(database: Database, schedule: Schedule, found: Sequence[Gap]) -> list[Gap]:
    """Leaves out the gaps whose jobs exist although nothing remembers their runs any more."""
    ids = {gap.due_at: ticks.job_id(schedule, gap.due_at) for gap in found}
    exist = ticks.existing(database, list(ids.values()))
    return [gap for gap in found if ids[gap.due_at] not in exist]


def fill(
    database: Database, schedule: Schedule, wanted: Sequence[Gap], now: datetime, *, one_at_a_time: bool = False
) -> list[Gap]:
    """Enqueues a job for each gap that still is one, in one transaction; returns them with their jobs.

    Args:
        one_at_a_time: each job waits for the one before.
    """

    def work() -> list[Gap]:
        # A tick changes this row first: no due time gets two jobs.
        if database.row("cron.schedules.lock", id=schedule.id) is None:
            raise NotFoundError(f"The schedule {schedule.name} has been deleted.")
        known = schedules.known_runs(database, schedule, wanted[0].due_at, wanted[-1].due_at)
        left = _without_jobs(database, schedule, [gap for gap in wanted if known.job(gap.due_at) is None])
        jobs: dict[datetime, NewJob] = {}
        before: tuple[str, ...] = ()
        for gap in left:
            job = ticks.job_of(schedule, gap.due_at, RunKind.BACKFILL, now)
            limits.check(database, job)
            job.depends_on = before
            before = (job.id,) if one_at_a_time else ()
            jobs[gap.due_at] = job
        new, fewer = [], Counter[datetime]()
        for gap in left:
            run = known.get(gap.due_at)
            if run is None or run.stands_for_it is not None:
                new.append(ticks.Due(gap.due_at, RunOutcome.ENQUEUED))
                fewer.update([run.stands_for_it] if run and run.stands_for_it else [])
            else:
                database.run("cron.schedules.refill", id=schedule.id, due=gap.due_at, job=jobs[gap.due_at].id, now=now)
        for due, number in fewer.items():
            database.run("cron.schedules.fewer_missed", id=schedule.id, due=due, number=number)
        ticks.record(database, schedule, new, jobs, RunKind.BACKFILL, now)
        return [gap._replace(job=jobs[gap.due_at].id) for gap in left]

    return database.transaction(work) if wanted else []
