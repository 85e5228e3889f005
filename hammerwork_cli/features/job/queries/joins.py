"""What follows for joins when the jobs that they wait for end or run again."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hammerwork_cli.core.values import FAILED_SPELLINGS, UNSUCCESSFUL, WAITING_SPELLINGS, status_of
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
    """Join -> number of its jobs that this transaction ends, and number of those that failed."""

    ended: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, ancestry: str | None, *, failed: bool) -> None:
        """Adds a job that ends."""
        for join in joins.marks(ancestry):
            self.ended[join] += 1
            self.failed[join] += failed

    def forget_failure(self, ancestry: str | None) -> None:
        """Takes back a failed job, which is deleted."""
        for join in joins.marks(ancestry):
            self.ended[join] += 0
            self.failed[join] -= 1


@dataclass(slots=True)
class Settled:
    """What became of joins."""

    released: Counter[str] = field(default_factory=Counter)  # queue -> joins that may run now
    failed: list[str] = field(default_factory=list)
    callbacks: int = 0  # those at which a worker is to look now


def of_failed(database: Database, jobs: Collection[str]) -> Marks:
    """Reads the marks of jobs that this transaction has failed."""
    found = Marks()
    for _, ancestry, *_ in database.rows_of("tree.joins.marks", sorted(jobs), database.key_chunk):
        found.add(ancestry, failed=True)
    return found


def settle(database: Database, marks: Marks, now: datetime, parents_ended: Sequence[str] = ()) -> Settled:
    """Counts jobs that have ended, and releases or fails the joins that wait for no others. Needs a transaction.

    Args:
        parents_ended: joins whose parent has ended.
    """
    settled = Settled()
    if parents_ended:
        joins.parents_ended(database, parents_ended)
    candidates = {*parents_ended, *marks.ended}
    joins.count(database, {join: -jobs for join, jobs in marks.ended.items()}, marks.failed)
    failing = joins.failing(database, [join for join, jobs in marks.failed.items() if jobs > 0])
    while candidates:
        states, ended = joins.ready(database, candidates)
        settled.callbacks += joins.make_due(database, ended, failing, now)
        failing = []
        waiting = _waiting(database, list(states))
        release = [job for job in waiting if states[job] == "satisfied"]
        if release:
            database.run("tree.release.release", ids=database.ids(release))
            rows = database.rows("tree.joins.queues", ids=database.ids(release))
            settled.released.update(queue for _, queue in rows)
        failed = [job for job in waiting if states[job] == "failed"]
        if not failed:
            return settled
        groups.fail(database, failed, now, FAILED)
        settled.failed += failed
        outer = of_failed(database, failed)
        joins.count(database, {join: -jobs for join, jobs in outer.ended.items()}, outer.failed)
        candidates = set(outer.ended)
    return settled


def _waiting(database: Database, ids: Sequence[str]) -> list[str]:
    if not ids:
        return []
    return [str(job) for (job,) in database.rows("tree.release.lock_waiting", ids=database.ids(sorted(ids)))]


def reopened(database: Database, jobs: Iterable[tuple[str, str | None, str]], now: datetime) -> list[str]:
    """Counts jobs that had ended and run again, and lets their joins and the events of ends wait for them again.

    Returns the joins that wait again. Needs a transaction.

    Args:
        jobs: id, place and former status of each.
    """
    again, failed, ids = Counter[str](), Counter[str](), []
    for job, ancestry, status in jobs:
        ids.append(job)
        for join in joins.marks(ancestry):
            again[join] += 1
            failed[join] -= status_of(status) in UNSUCCESSFUL
    with ends.to_come_again(database, ids, now, again):
        joins.count(database, again, failed)
    waiting: list[str] = []
    for part in chunks(sorted(again), database.key_chunk):
        words = {"failed": FAILED_SPELLINGS, "pending": WAITING_SPELLINGS}
        if found := [str(job) for (job,) in database.rows("job.dependencies.to_await_again", ids=part, **words)]:
            database.run("job.dependencies.await_again", ids=found)
            events.jobs(database, EventType.JOB_RETRIED, found, now)
            waiting += found
    return waiting
