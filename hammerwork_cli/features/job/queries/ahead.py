"""Finds jobs that a clock that was ahead has put off, and lets them wait from now on.

A job waits from its creation, or from the end of its last attempt. If that lies in the future, so does its next start,
and the distance of the two is how long it was to wait.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from hammerwork_cli.core.clock import SLACK, latest
from hammerwork_cli.core.values import Timestamp, between
from hammerwork_cli.database import Database
from hammerwork_cli.features.event import queries as events

PAGE = 500
"""Jobs in one transaction."""
DOUBTED = timedelta(days=1)
"""The end of a job that is less ahead stays: if this clock is behind, policies would delete the job too early."""


class PutOffJob(NamedTuple):
    """A job that waits for a time that a wrong clock has stored."""

    id: str
    queue: str
    status: Any
    since: Timestamp  # when its pause began, by that clock
    scheduled_at: Timestamp  # when it ends, as the row has it

    @property
    def pause(self) -> timedelta:
        """How long it was to wait."""
        return between(self.since, self.scheduled_at) or timedelta()


def found(database: Database, now: datetime, *, queues: Sequence[str] = (), limit: int = PAGE) -> list[PutOffJob]:
    """The jobs that a wrong clock has put off, at most ``limit``."""
    if not database.is_current:
        return []
    values = {"latest": latest(now), "queues": queues, "limit": limit}
    rows = [*database.rows("job.ahead.created", **values), *database.rows("job.ahead.retried", **values)]
    by_id = {str(job): PutOffJob(str(job), *rest) for job, *rest in rows}  # an attempt is later than the creation
    return list(by_id.values())[:limit]


def put_back(database: Database, now: datetime, *, queues: Sequence[str] = ()) -> int:
    """Lets the jobs that a wrong clock has put off wait from now on; returns their number."""
    total = 0
    while jobs := found(database, now, queues=queues):
        done = database.transaction(partial(_put_all_back, database, jobs, now))
        total += done
        if not done:  # others have changed all of them
            break
    return total


def put_ends_back(database: Database, now: datetime) -> int:
    """Lets the jobs that ended by a clock that was ahead have ended just now; returns their number.

    They would count as ended lately until then, and be kept for longer than policies say. They ended too long ago to be
    noticed as new failures.
    """
    at, total = now - events.NOTICED_WITHIN - SLACK, 0
    while rows := database.rows("job.ahead.ended", latest=latest(now, DOUBTED), limit=PAGE):
        ids = database.ids(sorted(str(job) for (job,) in rows))
        done = database.transaction(partial(database.run, "job.ahead.put_ends_back", ids=ids, at=at))
        total += done
        if not done:
            break
    return total


def _put_all_back(database: Database, jobs: list[PutOffJob], now: datetime) -> int:
    return sum(put_one_back(database, job, now) for job in jobs)


def put_one_back(database: Database, job: PutOffJob, now: datetime) -> int:
    """Lets a job wait from now on; returns 0 if others have changed it. In a transaction."""
    done = database.run("job.ahead.put_back", id=job.id, seen=job.scheduled_at, at=now + job.pause, now=now)
    if done:
        database.run("job.ahead.put_attempts_back", id=job.id, now=now)
    return done
