"""Applies retention policies in small transactions until its time is up."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import ENDS
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.retrying import is_away
from hammerwork_cli.database.statements import Names
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.archive.models.lists import ArchiveFilter
from hammerwork_cli.features.archive.models.policies import Policy, PolicyAction
from hammerwork_cli.features.archive.models.rows import Archival, ArchivalReason
from hammerwork_cli.features.archive.queries import policies
from hammerwork_cli.features.archive.queries.listing import Archived
from hammerwork_cli.features.archive.queries.moving import Archive, PurgeArchive
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import ChangePlan
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.changes import Change
from hammerwork_cli.features.job.queries.finished_trees import ROOTS, FinishedTrees, PurgeJobs
from hammerwork_cli.features.job.queries.selections import BATCH, ByFilter, ChangeBatch, Selection
from hammerwork_cli.features.queue.model import EVERY_QUEUE

DUTY = "retention"
BY = "retention"
"""Who archives jobs, by a policy."""


class CarriedOut(NamedTuple):
    policy: Policy
    jobs: int  # that were archived or deleted
    purged: int = 0  # archived jobs that were deleted
    error: str | None = None  # why it failed; `None` if it did not


def run_policies(
    database: Database, wanted: Sequence[Policy], now: datetime, is_over: Callable[[], bool]
) -> Iterator[CarriedOut]:
    """Carries out policies, those first that have waited longest, and notes each. An error of one does not stop others.

    Yields what became of each policy.

    Args:
        wanted: all policies: that of all other queues leaves out the queues of the others.
        is_over: called between two transactions, and may pause; returns whether the time is over. Then the rest of the
            jobs waits for the next run.
    """
    named = tuple(policy.queue for policy in wanted if policy.queue != EVERY_QUEUE)
    for policy in sorted(wanted, key=lambda policy: (policy.last_run_at is not None, policy.last_run_at)):
        if policy.is_in_force(now) and policy.action in set(PolicyAction):
            if is_over():
                return
            done = _run_policy(database, policy, now, is_over, named if policy.queue == EVERY_QUEUE else ())
            policies.note(database, policy.queue, now=now, jobs=done.jobs + done.purged, error=done.error)
            yield done


def _run_policy(
    database: Database, policy: Policy, now: datetime, is_over: Callable[[], bool], others: tuple[str, ...]
) -> CarriedOut:
    jobs = purged = 0
    try:
        if policy.ages:
            jobs = changes.run(database, selection(policy, now, others, is_over), change(policy, now)).changed
        if policy.purge_after is not None:
            purged = changes.run(database, *_purge(policy, now, policy.purge_after, others, is_over)).changed
    except HammerworkError as error:
        if is_away(error):
            raise
        return CarriedOut(policy, jobs, purged, error.message)
    except Exception as error:  # noqa: BLE001  a row that nobody foresaw stops its own policy alone
        return CarriedOut(policy, jobs, purged, f"{type(error).__name__}: {error}")
    return CarriedOut(policy, jobs, purged)


def change(policy: Policy, now: datetime) -> Change:
    """What a policy does with jobs."""
    if policy.action == PolicyAction.DELETE:
        return PurgeJobs(now, whole=policy.by_tree)
    return Archive(Archival(now, ArchivalReason.AUTOMATIC, BY, policy.level), whole=policy.by_tree)


def plans(database: Database, policy: Policy, now: datetime) -> list[ChangePlan]:
    """What a policy would do now: with jobs by their ages, and with archived jobs by the time in the archive."""
    others: tuple[str, ...] = ()
    if policy.queue == EVERY_QUEUE:
        others = tuple(one.queue for one in policies.all_policies(database))
    found = []
    if policy.ages:
        found.append(changes.plan(database, selection(policy, now, others), change(policy, now)))
    if policy.purge_after is not None:
        found.append(changes.plan(database, *_purge(policy, now, policy.purge_after, others)))
    return found


def _purge(
    policy: Policy,
    now: datetime,
    after: timedelta,
    others: tuple[str, ...],
    is_over: Callable[[], bool] = lambda: False,
) -> tuple[Selection, Change]:
    before = now - after
    archived = ArchiveFilter(queues=_queues(policy), before=before, kept_until=now, but_queues=others)
    return Archived(archived, is_over=is_over), PurgeArchive(now, before)


def _queues(policy: Policy) -> tuple[str, ...]:
    return () if policy.queue == EVERY_QUEUE else (policy.queue,)


def selection(
    policy: Policy, now: datetime, others: tuple[str, ...] = (), is_over: Callable[[], bool] = lambda: False
) -> Selection:
    """The jobs that a policy takes now.

    Args:
        others: queues that it leaves out.
    """
    wanted = JobFilter(
        queues=_queues(policy),
        ended=tuple((status, now - age) for status, age in policy.ages.items()),
        once=True,
        kept_until=now,
        but_queues=others,
    )
    return (_OldTrees if policy.by_tree else _OldJobs)(wanted, is_over=is_over)


def _oldest(
    database: Database, wanted: JobFilter, is_over: Callable[[], bool], size: int, *, rooted: bool
) -> Iterator[list[str]]:
    """Yields jobs that are old enough, ``size`` at a time, the oldest first, by the indexes of ended jobs."""
    for status, before in wanted.ended:
        jobs = policies.pages(
            database,
            "archive.policies.old",
            status=status.value,
            ended=Names((ENDS[status],)),
            before=before,
            queues=wanted.queues,
            but_queues=wanted.but_queues,
            rooted=rooted,
        )
        for page in jobs:
            for part in chunks(page, size):
                if is_over():
                    return
                yield list(part)


class _OldTrees(FinishedTrees):
    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        for batch in super().batches(database):
            yield batch
            if self._is_over():
                return

    def _pages(self, database: Database) -> Iterator[list[str]]:
        return _oldest(database, self._roots, self._is_over, ROOTS, rooted=True)


class _OldJobs(ByFilter):
    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        return map(ChangeBatch, _oldest(database, self.wanted, self._is_over, BATCH, rooted=False))
