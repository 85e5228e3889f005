"""Enqueues the jobs of due schedules: one run for each due time, and one job for each run that is to have one.

A tick is one transaction. Its guard moves the next due time of the schedule, which is unique for each due time: of
several workers one changes the row, and after a commit whose answer was lost the guard finds nothing to do.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from hammerwork_cli.core.input.limits import LONGEST_ERROR
from hammerwork_cli.core.payloads import SCHEDULE_KEY
from hammerwork_cli.core.values import FINISHED, RUNNING_SPELLINGS, WAITING_SPELLINGS, rfc3339, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.texts import cut
from hammerwork_cli.features.cron.model import CatchUp, Overlap, RunKind, RunOutcome, Schedule
from hammerwork_cli.features.cron.options import job_options
from hammerwork_cli.features.cron.queries import schedules
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue, notifications
from hammerwork_cli.features.tree.queries.relatives import Relatives

CHUNK = 500
"""Due times for which one tick enqueues jobs; and missed ones that get a run each, the first for all before it."""
MOST_CAUGHT_UP = 100
"""Due times that ``--catch-up all`` makes up for, the newest ones."""
TREES_TOGETHER = 1000
"""Runs whose trees are looked at together."""
TAKEN_OVER = "no worker enqueued its job in time, and a later run replaced it"
_OPEN = WAITING_SPELLINGS + RUNNING_SPELLINGS
_INSTANT = timedelta(microseconds=1)

_EVENTS = {RunOutcome.MISSED: EventType.CRON_MISSED, RunOutcome.SKIPPED: EventType.CRON_SKIPPED}


class Due(NamedTuple):
    """A due time, and what is to become of it; without a reason, a job."""

    at: datetime
    outcome: RunOutcome
    reason: str | None = None
    missed: int | None = None  # the number of earlier ones that it stands for
    missed_from: datetime | None = None  # the first of them


class Tick(NamedTuple):
    """What a tick did: ids of jobs, and due times that got none."""

    jobs: tuple[str, ...]
    without_job: tuple[Due, ...]


def upcoming(database: Database, until: datetime, limit: int) -> list[Schedule]:
    """The schedules that are due until a time, the longest due first."""
    return schedules.selected(database, "cron.schedules.upcoming", until=until, limit=limit)


def tick(database: Database, schedule: Schedule, now: datetime) -> Tick | None:
    """Enqueues the jobs of a due schedule, and records its runs.

    Returns ``None`` if another worker was faster, or the schedule was changed or is not due.
    """
    first = schedule.due
    if first is None or first > now:
        return None
    overlap, start, created = Overlap(schedule.overlap), first, timestamp(schedule.created_at)
    if created is not None and first < created <= now:  # the clock was behind for a while
        after = schedule.next_after(created)
        start = first if after is None or after > now else after
    found, following = _due_times(schedule, start, now)
    ids = {due.at: job_id(schedule, due.at) for due in found if due.outcome is RunOutcome.ENQUEUED}

    def work() -> Tick | None:
        if not database.run(
            "cron.schedules.advance", id=schedule.id, due=first, next=following, revision=schedule.revision
        ):
            return None
        # The clock was put back, somebody filled a gap, or the job outlived the record of its run.
        known = schedules.known_runs(database, schedule, start, found[-1].at)
        decided = unknown(found, known)
        exist = existing(database, [ids[due.at] for due in decided if due.at in ids])
        new: dict[datetime, NewJob] = {}
        reason = None
        for place, due in enumerate(decided):
            if due.outcome is not RunOutcome.ENQUEUED or ids[due.at] in exist:
                continue
            if overlap is not Overlap.ALLOW:
                reason = f"the job {next(iter(new.values())).id} is open" if new else why_open(database, schedule, now)
            if reason is None:
                new[due.at] = job_of(schedule, due.at, RunKind.SCHEDULED, now)
            else:
                decided[place] = due._replace(outcome=RunOutcome.SKIPPED, reason=reason)
        record(database, schedule, decided, new, RunKind.SCHEDULED, now)
        return Tick(
            tuple(job.id for job in new.values()),
            tuple(due for due in decided if due.outcome is not RunOutcome.ENQUEUED),
        )

    return database.transaction(work)


def unknown(found: Sequence[Due], known: schedules.KnownRuns) -> list[Due]:
    """Those of some due times of which nothing is known. The first stands for earlier ones that are not known either.

    If all of them are known, the newest earlier one of which nothing is known stands for those before it.
    """
    left = [due._replace(missed=None, missed_from=None) for due in found if due.at not in known]
    start, since = found[0], found[0].missed_from
    missed = known.unknown(since, start.at) if since is not None else 0
    if since is not None and missed:
        if not left:
            missed -= 1
            left = [Due(known.newest_unknown(since, start.at), RunOutcome.MISSED, start.reason)]
        left[0] = left[0]._replace(missed=missed or None, missed_from=since if missed else None)
    return left


def _due_times(schedule: Schedule, first: datetime, now: datetime) -> tuple[list[Due], datetime | None]:
    """The due times of a tick with what is to become of them, and the due time after them."""
    catch_up, grace = CatchUp(schedule.catch_up), timedelta(seconds=schedule.grace_seconds)
    if catch_up is CatchUp.NONE:
        wanted: list[datetime] = []
        due = first if now - first <= grace else schedule.next_after(now - grace - _INSTANT)
        while due is not None and due <= now and len(wanted) < CHUNK:
            wanted.append(due)
            due = schedule.next_after(due)
    else:
        wanted, _ = schedule.passed(first, now, {CatchUp.LAST: 1, CatchUp.ALL: MOST_CAUGHT_UP}[catch_up])
    missed, more = schedule.passed(first, wanted[0] - _INSTANT if wanted else now, CHUNK)
    decided = [Due(at, RunOutcome.MISSED, _why_missed(catch_up, at, now)) for at in missed]
    if more:
        decided[0] = decided[0]._replace(missed=more, missed_from=first)
    decided += [Due(at, RunOutcome.ENQUEUED) for at in wanted]
    return decided, schedule.next_after(decided[-1].at)


def _why_missed(catch_up: CatchUp, at: datetime, now: datetime) -> str:
    late = int((now - at).total_seconds())
    return f"no worker got to it until {late:,} s later" if catch_up is CatchUp.NONE else TAKEN_OVER


def why_open(database: Database, schedule: Schedule, now: datetime) -> str | None:
    """Why the next run of a schedule has to be skipped; ``None`` if it has not.

    Any open job of the schedule is a reason, also one that somebody triggered or retried, and one between two attempts.
    A triggered job that is to start later stops nobody before.
    """
    row = database.row("cron.schedules.open_job", id=schedule.id, now=now, open=_OPEN)
    if row is not None:
        return f"the job {row[0]} of an earlier run is {status_of(row[1])}"
    if schedule.overlap != Overlap.SKIP_TREE:
        return None
    # The root may be archived or deleted while its tree runs on.
    while rows := database.rows("cron.schedules.open_trees", id=schedule.id, limit=TREES_TOGETHER):
        why = _why_trees_are_open(database, [str(job) for job, _ in rows])
        if why is not None:
            return why
        database.run("cron.schedules.end_trees", id=schedule.id, first=rows[-1][1], last=rows[0][1])
    return None


def _why_trees_are_open(database: Database, jobs: list[str]) -> str | None:
    relatives, seen, level = Relatives(database), set(jobs), jobs
    while level:
        rows = list(relatives.child_states(level))
        for child, status, *_ in rows:
            if status_of(status) not in FINISHED:
                return f"the job {child} below an earlier run is open"
        level = list(dict.fromkeys(str(child) for child, *_ in rows if str(child) not in seen))
        seen.update(level)
    for (job,) in database.rows("spawn.wait.requested"):
        if str(job) in seen:
            return f"the job {job} of an earlier run is to spawn again"
    return None


def job_id(schedule: Schedule, due: datetime) -> str:
    """The id of the job of a due time: always the same one, so that no due time runs twice."""
    return str(uuid5(UUID(schedule.id), rfc3339(due) or ""))


def existing(database: Database, ids: Sequence[str]) -> set[str]:
    """Those of some jobs that exist, also in the archive."""
    if not ids:
        return set()
    return {str(job) for (job,) in database.rows("cron.schedules.existing", ids=database.ids(ids))}


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
        payload: in place of that of the schedule.
        start: the earliest start, in place of the due time.
    """
    text = placed(schedule.payload if payload is None else payload, schedule.name, due, kind)
    job = NewJob.of(
        schedule.queue,
        text,
        now,
        **job_options(schedule),
        scheduled_at=start or (due + schedule.delay if kind is RunKind.SCHEDULED else due),
    )
    job.plaintext_meant = payload is None or payload == schedule.payload
    if kind is not RunKind.TRIGGERED:
        job.id = job_id(schedule, due)
    return job


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
    enqueued = [due.at for due in found if due.outcome is RunOutcome.ENQUEUED]
    ids = {at: jobs[at].id if at in jobs else job_id(schedule, at) for at in enqueued}
    add_runs(database, schedule, found, ids, kind, now)
    if jobs:
        insert = enqueue.many if any(job.depends_on for job in jobs.values()) else enqueue.insert
        insert(database, list(jobs.values()))
        notifications.notify(database, [schedule.queue])


def add_runs(
    database: Database,
    schedule: Schedule,
    found: Sequence[Due],
    jobs: Mapping[datetime, str],
    kind: RunKind,
    now: datetime,
) -> None:
    """Records what becomes of due times, and their jobs."""
    rows = [
        (schedule.id, at, str(kind), str(outcome), reason, jobs.get(at), now, missed, missed_from)
        for at, outcome, reason, missed, missed_from in found
    ]
    if rows:
        database.insert("cron.schedules.add_runs", rows)
    for due in found:
        event = _EVENTS.get(due.outcome)
        if event is not None:
            subject, about = f"{schedule.id}/{rfc3339(due.at)}", _about(schedule, due.at, due.reason)
            events.happened(database, event, subject, now, about, queue=schedule.queue)


def _about(schedule: Schedule, due_at: datetime | None, reason: str | None) -> dict[str, str | None]:
    return events.cron_data(schedule=schedule.name, queue=schedule.queue, due_at=due_at, reason=reason)


def fail(database: Database, schedule: Schedule, error: str, now: datetime) -> None:
    """Records why the job of a schedule could not be enqueued."""
    text = cut(database.message(error) or "", LONGEST_ERROR)
    about = _about(schedule, schedule.due, text)

    def work() -> None:
        database.run("cron.schedules.fail", id=schedule.id, revision=schedule.revision, error=text)
        events.happened(database, EventType.CRON_FAILED, schedule.id, now, about, queue=schedule.queue)

    database.transaction(work)
