"""What follows for joins when the jobs that they wait for end or run again."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.core.values import FAILED_SPELLINGS, FINISHED, UNSUCCESSFUL, WAITING_SPELLINGS, JobStatus, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.queries import ends, groups
from hammerwork_cli.features.tree.queries import joins

FAILED = "A job that it waited for failed."
"""The error of a join."""


@dataclass(slots=True)
class Marks:
    """What a transaction changes for joins and counters, by id: how many more of their jobs are open, and have failed.

    Whatever creates or ends a job, lets it run again or deletes it says so here: nothing else computes these numbers.
    """

    open: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def add(
        self, ancestry: str | None, before: str | None, after: str | None, *, recurring: bool = False, jobs: int = 1
    ) -> None:
        """Adds jobs in one place by their statuses before and after the change; ``None`` if there is no such job.

        Recurring jobs are not counted: they never end.
        """
        for join in () if recurring else joins.marks(ancestry):
            self.open[join] += jobs * (_is_open(after) - _is_open(before))
            self.failed[join] += jobs * ((after in UNSUCCESSFUL) - (before in UNSUCCESSFUL))


def _is_open(status: str | None) -> bool:
    return status is not None and status not in FINISHED


@dataclass(slots=True)
class Settled:
    """What became of joins."""

    released: Counter[str] = field(default_factory=Counter)  # queue -> joins that may run now
    failed: list[str] = field(default_factory=list)
    callbacks: int = 0  # those at which a worker is to look now


def of_failed(database: Database, jobs: Collection[str]) -> Marks:
    """The marks of open jobs that this transaction has failed."""
    found = Marks()
    for _, ancestry, _, recurring in database.rows_of("tree.joins.marks", sorted(jobs), database.key_chunk):
        found.add(ancestry, JobStatus.PENDING, JobStatus.FAILED, recurring=recurring)
    return found


def settle(database: Database, marks: Marks, now: datetime, parents_ended: Sequence[str] = ()) -> Settled:
    """Counts jobs that have ended, and releases or fails the joins that wait for no others. Needs a transaction.

    Args:
        parents_ended: joins whose parent has ended.
    """
    settled = Settled()
    if parents_ended:
        joins.parents_ended(database, parents_ended)
    candidates = {*parents_ended, *marks.open}
    while candidates:
        joins.count(database, marks.open, marks.failed)
        failing = joins.failing(database, [join for join, jobs in marks.failed.items() if jobs > 0])
        states, ended = joins.ready(database, candidates)
        settled.callbacks += joins.make_due(database, ended, failing, now)
        waiting = _waiting(database, list(states))
        release = [job for job in waiting if states[job] == "satisfied"]
        if release:
            database.run("tree.release.release", ids=database.ids(release))
            rows = database.rows("tree.joins.queues", ids=database.ids(release))
            settled.released.update(queue for _, queue in rows)
        failed = [job for job in waiting if states[job] == "failed"]
        if not failed:
            break
        groups.fail(database, failed, now, FAILED)
        settled.failed += failed
        marks = of_failed(database, failed)
        candidates = set(marks.open)
    return settled


def _waiting(database: Database, ids: Sequence[str]) -> list[str]:
    rows = database.rows_of("tree.joins.lock_waiting", sorted(ids), database.key_chunk, waiting=WAITING_SPELLINGS)
    return [str(job) for (job,) in rows]


class Again(NamedTuple):
    """A job that had ended, or had been released, and runs or waits again."""

    id: str
    ancestry: str | None
    before: str  # its status until now
    recurring: bool
    workflow: str | None


def reopened(database: Database, jobs: Sequence[Again], now: datetime) -> list[Again]:
    """Counts jobs that had ended and run again, and lets their joins and the events of ends wait for them again.

    Returns the joins that wait again, with those of the joins that had failed, and so on upward. Needs a transaction.
    """
    marks = Marks()
    for job in jobs:
        marks.add(job.ancestry, status_of(job.before), JobStatus.PENDING, recurring=job.recurring)
    completed = [job.id for job in jobs if status_of(job.before) == JobStatus.COMPLETED and not job.recurring]
    for join in joins.parents_again(database, completed):
        marks.open[join] += 0
    return count_more(database, marks, [job.id for job in jobs], now)


def count_more(
    database: Database, marks: Marks, jobs: Collection[str], now: datetime, *, only_below: bool = False
) -> list[Again]:
    """Does what :func:`reopened` does for jobs that somebody has already added to the marks.

    Args:
        only_below: the jobs themselves do not run again, but get children.
    """
    with ends.to_come_again(database, jobs, now, marks.open, only_below=only_below):
        joins.count(database, marks.open, marks.failed)
    waiting: list[Again] = []
    for part in chunks(sorted(marks.open), database.key_chunk):
        words = {"failed": FAILED_SPELLINGS, "pending": WAITING_SPELLINGS}
        if rows := database.rows("job.dependencies.to_await_again", ids=part, **words):
            waiting += (Again(str(job), *rest) for job, *rest in rows)
            database.run("job.dependencies.await_again", ids=[str(row[0]) for row in rows])
            events.jobs(database, EventType.JOB_RETRIED, [str(row[0]) for row in rows], now)
    joins.note_parents(database, [join.id for join in waiting])
    failed = [join for join in waiting if status_of(join.before) in FINISHED]
    return waiting + (reopened(database, failed, now) if failed else [])
