"""Enqueues the jobs of due schedules: one run for each due time, and one job for each run that is to have one.

A tick is one transaction. Its guard moves the next due time of the schedule, which is unique for each due time: of
several workers one changes the row, and after a commit whose answer was lost the guard finds nothing to do.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.database.texts import cut
from hammerwork_cli.models import FINISHED, JobPriority, NewJob, rfc3339, status_of, timestamp
from hammerwork_cli.models.cron.schedule import CatchUp, Outcome, Overlap, RunKind, Schedule
from hammerwork_cli.models.input.limits import LONGEST_ERROR
from hammerwork_cli.models.payloads import SCHEDULE_KEY
from hammerwork_cli.models.values import length_of
from hammerwork_cli.queries.cron import schedules
from hammerwork_cli.queries.graph.relatives import Relatives
from hammerwork_cli.queries.job import enqueue, notifications

CHUNK = 500
"""Due times of a schedule that one tick deals with."""
MOST_CAUGHT_UP = 100
"""Due times that ``--catch-up all`` makes up for, the newest ones."""
LOOKED_AT = 20
"""Jobs of earlier runs that a run must not overlap."""
TAKEN_OVER = "no worker enqueued its job in time, and a later run replaced it"


class Due(NamedTuple):
    """A due time, and what is to become of it; without a reason, a job."""

    at: datetime
    outcome: Outcome
    reason: str | None = None


class Tick(NamedTuple):
    """What a tick did: ids of jobs, and due times that got none."""

    jobs: tuple[str, ...]
    without_job: tuple[Due, ...]


def upcoming(database: Database, until: datetime, limit: int) -> list[Schedule]:
    """The schedules that are due until a time, the longest due first."""
    return [schedules.read(row) for row in database.rows("cron.schedules.upcoming", until=until, limit=limit)]


def tick(database: Database, schedule: Schedule, now: datetime) -> Tick | None:
    """Enqueues the jobs of a due schedule, and records its runs.

    Returns:
        What it did; ``None`` if another worker was faster, or the schedule was changed or is not due.

    Raises:
        UsageError: the schedule has words that this version does not know.
        RefusedValueError: the database refuses the job.
    """
    first = schedule.due
    if first is None or first > now:
        return None
    overlap = Overlap(schedule.overlap)
    # Where the clock was put back, what came before the last run was dealt with.
    last = timestamp(database.value("cron.schedules.last_scheduled", id=schedule.id, now=now))
    found, following = _due_times(schedule, max(first, last or first), now)

    def work() -> Tick | None:
        if not database.run(
            "cron.schedules.advance", id=schedule.id, due=first, next=following, revision=schedule.revision
        ):
            return None
        # The clock was put back, or somebody filled a gap.
        known = schedules.known_runs(database, schedule, found[0].at, found[-1].at)
        decided = [due for due in found if due.at not in known]
        new: dict[datetime, NewJob] = {}
        reason = None
        for place, due in enumerate(decided):
            if due.outcome is not Outcome.ENQUEUED:
                continue
            if overlap is not Overlap.ALLOW:
                reason = f"the job {next(iter(new.values())).id} is open" if new else why_open(database, schedule, now)
            if reason is None:
                new[due.at] = job_of(schedule, due.at, RunKind.SCHEDULED, now)
            else:
                decided[place] = due._replace(outcome=Outcome.SKIPPED, reason=reason)
        record(database, schedule, decided, new, RunKind.SCHEDULED, now)
        return Tick(tuple(job.id for job in new.values()), tuple(due for due in decided if due.at not in new))

    return database.transaction(work)


def _due_times(schedule: Schedule, first: datetime, now: datetime) -> tuple[list[Due], datetime | None]:
    """The due times of a tick with what is to become of them, and the due time after them."""
    found: list[datetime] = []
    due: datetime | None = first
    while due is not None and due <= now and len(found) < CHUNK + MOST_CAUGHT_UP:
        found.append(due)
        due = schedule.next_after(due)
    catch_up, grace = CatchUp(schedule.catch_up), timedelta(seconds=schedule.grace_seconds)
    newest = {CatchUp.LAST: 1, CatchUp.ALL: MOST_CAUGHT_UP, CatchUp.NONE: len(found)}[catch_up]
    decided = []
    for place, at in enumerate(found[:CHUNK]):
        if len(found) - place > newest:
            decided.append(Due(at, Outcome.MISSED, TAKEN_OVER))
        elif catch_up is CatchUp.NONE and now - at > grace:
            late = int((now - at).total_seconds())
            decided.append(Due(at, Outcome.MISSED, f"no worker got to it until {late:,} s later"))
        else:
            decided.append(Due(at, Outcome.ENQUEUED))
    return decided, (found[CHUNK] if len(found) > CHUNK else due)


def why_open(database: Database, schedule: Schedule, now: datetime) -> str | None:
    """Why the next run of a schedule has to be skipped; ``None`` if it has not.

    The last jobs are looked at, and not the last one alone: a job that somebody triggered must not hide an open one. A
    triggered job that is to start later stops nobody.
    """
    last = schedules.last_jobs(database, schedule, LOOKED_AT)
    for job in last:
        start = timestamp(job.starts_at)
        later = job.kind == RunKind.TRIGGERED and start is not None and start > now
        if job.status is not None and status_of(job.status) not in FINISHED and not later:
            return f"the job {job.id} of an earlier run is {status_of(job.status)}"
    if schedule.overlap != Overlap.SKIP_TREE or not last:
        return None
    # The root may be archived or deleted while its tree runs on.
    below = _open_below(database, str(last[0].id))
    return below and f"the job {below} below the last run is open"


def _open_below(database: Database, job: str) -> str | None:
    relatives, seen, level = Relatives(database), {job}, [job]
    while level:
        rows = list(relatives.child_states(level))
        for child, status, *_ in rows:
            if status_of(status) not in FINISHED:
                return str(child)
        level = list(dict.fromkeys(str(child) for child, *_ in rows if str(child) not in seen))
        seen.update(level)
    return None


def job_of(
    schedule: Schedule,
    due: datetime,
    kind: RunKind,
    now: datetime,
    *,
    payload: str | None = None,
    start: datetime | None = None,
) -> NewJob:
    """A job of a schedule for a due time.

    Args:
        schedule: whose job it is.
        due: the due time, which its payload names.
        kind: why there is a run.
        payload: in place of that of the schedule.
        start: the earliest start, in place of the due time.
    """
    text = placed(schedule.payload if payload is None else payload, schedule.name, due, kind)
    return NewJob.of(
        schedule.queue,
        text,
        now,
        priority=JobPriority(schedule.priority),
        max_attempts=schedule.max_attempts,
        timeout=length_of(schedule.timeout_seconds),
        scheduled_at=start or (due + schedule.delay if kind is RunKind.SCHEDULED else due),
    )


def placed(payload: str, name: str, due: datetime, kind: RunKind) -> str:
    """The payload with the due time of its run, if it is an object. The rest of the text stays as it is."""
    text = payload.strip()
    if not text.startswith("{"):
        return payload
    placing = {"name": name, "due_at": rfc3339(due), "kind": str(kind)}
    if f'"{SCHEDULE_KEY}"' in text:  # one that somebody copied from a job
        return json.dumps({**json.loads(text), SCHEDULE_KEY: placing}, ensure_ascii=False)
    place = json.dumps(placing, ensure_ascii=False)
    body = text[:-1].rstrip()
    return f'{body}{"" if body == "{" else ", "}"{SCHEDULE_KEY}": {place}}}'


def record(
    database: Database,
    schedule: Schedule,
    found: Sequence[Due],
    jobs: dict[datetime, NewJob],
    kind: RunKind,
    now: datetime,
) -> None:
    """Records what becomes of due times, and inserts the jobs, in the transaction of the caller."""
    rows = [
        (schedule.id, due.at, str(kind), str(due.outcome), due.reason, jobs[due.at].id if due.at in jobs else None, now)
        for due in found
    ]
    if rows:
        database.insert("cron.schedules.add_runs", rows)
    if jobs:
        insert = enqueue.many if any(job.depends_on for job in jobs.values()) else enqueue.insert
        insert(database, list(jobs.values()))
        notifications.notify(database, [schedule.queue])


def fail(database: Database, schedule: Schedule, error: str) -> None:
    """Records why the job of a schedule could not be enqueued."""
    text = cut(database.message(error) or "", LONGEST_ERROR)
    database.run("cron.schedules.fail", id=schedule.id, revision=schedule.revision, error=text)
