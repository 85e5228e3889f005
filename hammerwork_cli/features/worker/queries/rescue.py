"""Rescues the jobs of lost workers: they become Pending, wait for their next occurrence, or become Dead."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.clock import latest
from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.job import AttemptOutcome, PastAttempt
from hammerwork_cli.features.job.queries import attempts, limits
from hammerwork_cli.features.job.queries.cron import next_due
from hammerwork_cli.features.worker.queries import finish
from hammerwork_cli.features.worker.queries.finish import FinishReport

BATCH = 500
"""Jobs in one transaction."""
BARELY = timedelta(microseconds=1)
"""A lease that was put back begins this much after a start in the future; that of a claim begins with its start."""
WAS_LOST = "was lost while it ran this job."
"""The end of the first sentence in the error of a rescued job."""


class Lost(NamedTuple):
    """A running job whose worker was lost."""

    id: str
    attempts: int
    max_attempts: int
    recurring: bool
    cron_schedule: str | None
    timezone: str | None
    next_run_at: Timestamp = None
    started_at: Timestamp = None
    worker: str | None = None  # id of the worker; `None` for a Rust worker


class LeaseAhead(NamedTuple):
    """A lease whose last renewal lies in the future."""

    id: str
    queue: str
    started_at: Timestamp
    renewed_at: Timestamp
    ends_at: Timestamp

    @property
    def was_put_back(self) -> bool:
        """Whether :func:`put_leases_back` wrote it, for a start that lies in the future as well."""
        started = timestamp(self.started_at)
        return started is not None and timestamp(self.renewed_at) == started + BARELY


def return_lost(database: Database, worker: str, name: str, now: datetime) -> tuple[int, int]:
    """Rescues the jobs of a lost worker.

    Jobs with attempts left become Pending. After a last attempt, a job becomes Dead, or waits for its next occurrence
    if it recurs, as after any other failure. A job whose row another transaction has locked keeps its claim until the
    next call, so that one transaction that hangs does not delay the other jobs.

    Returns:
        Number of jobs that may run again, and number of Dead jobs.
    """
    total_back = total_dead = 0
    while True:
        back, dead = database.transaction(lambda: _return_lost(database, worker, name, now))
        total_back, total_dead = total_back + back, total_dead + dead
        if back + dead < BATCH:
            return total_back, total_dead


def _return_lost(database: Database, worker: str, name: str, now: datetime) -> tuple[int, int]:
    jobs = [
        Lost(str(job), *rest) for job, *rest in database.rows("worker.rescue.lock_jobs", worker=worker, limit=BATCH)
    ]
    error = f"The worker {name} {WAS_LOST}"
    record(database, jobs, error, now)
    back = [job.id for job in jobs if job.attempts < job.max_attempts]
    if back:
        database.run("worker.rescue.retry", ids=database.ids(back), worker=worker, error=error)
        events.jobs(database, EventType.JOB_RETRIED, back, now)
    last = [job for job in jobs if job.attempts >= job.max_attempts]
    write_events(database, last, error, now)
    coming = next_runs(database, last, now)
    for at, ids in coming.items():
        database.run("worker.rescue.schedule_next_run", ids=database.ids(ids), worker=worker, error=error, at=at)
    dead = without(last, coming.values())
    if dead:
        database.run("worker.rescue.discard", ids=database.ids(dead), worker=worker, error=error, now=now)
        events.ended(database, dead, now)
        finish.update_dependents(database, (), dead, now, FinishReport())
    return len(jobs) - len(dead), len(dead)


def leases_ahead(database: Database, now: datetime) -> list[LeaseAhead]:
    """Leases of hammerwork (Rust) that a clock that was ahead has written: they would end far too late."""
    rows = database.rows("worker.rescue.leases_ahead", latest=latest(now), limit=BATCH)
    found = (LeaseAhead(str(job), *rest) for job, *rest in rows)
    return [lease for lease in found if not lease.was_put_back]


def put_leases_back(database: Database, now: datetime) -> int:
    """Lets the leases of :func:`leases_ahead` begin now; returns their number. A living worker renews its own.

    Hammerwork (Rust) trusts no lease that is older than the start of its run, which may lie in the future, too. Such a
    lease is put back once: its row no longer tells its length.
    """
    total = 0
    for lease in leases_ahead(database, now):
        started, begun, end = map(timestamp, (lease.started_at, lease.renewed_at, lease.ends_at))
        if started and begun and end:
            values = {"renewed": now if started <= now else started + BARELY, "until": now + (end - begun)}
            total += database.run("worker.rescue.put_lease_back", id=lease.id, seen=lease.renewed_at, **values)
    return total


def some_abandoned(database: Database, now: datetime) -> bool:
    """Whether version 3 of hammerwork (Rust) has abandoned a job. An index of that program makes the look cheap."""
    return database.row("worker.rescue.abandoned", now=now) is not None


def record(database: Database, jobs: Iterable[Lost], error: str, now: datetime) -> None:
    """Records the attempts of jobs that this transaction has locked and is about to rescue."""
    lost = [
        PastAttempt(job.id, timestamp(job.started_at) or now, now, job.attempts, AttemptOutcome.LOST, job.worker, error)
        for job in jobs
    ]
    attempts.record(database, lost)


def write_events(database: Database, jobs: Iterable[Lost], error: str, now: datetime) -> None:
    """Writes that the last attempts of recurring jobs were lost, in the transaction of the rescue."""
    for job in jobs:
        if job.recurring:
            events.run_failed(database, job.id, now, due_at=job.next_run_at, reason=error)


def next_runs(database: Database, jobs: Iterable[Lost], now: datetime) -> dict[datetime, list[str]]:
    """Next due time -> the jobs that recur then; other jobs are left out."""
    coming: dict[datetime, list[str]] = defaultdict(list)
    for job in jobs:
        at = next_due(
            job.id,
            recurring=job.recurring,
            cron_schedule=job.cron_schedule,
            timezone=job.timezone,
            last=job.next_run_at,
            now=now,
            catches_up="rust_3" in database.tags,
        )
        if at is not None and limits.can_store(database, at):
            coming[at].append(job.id)
    return coming


def without(jobs: Iterable[Lost], coming: Iterable[Sequence[str]]) -> list[str]:
    """Returns the ids of the jobs that are not among ``coming``."""
    back = {job for ids in coming for job in ids}
    return [job.id for job in jobs if job.id not in back]
