"""Deletes encrypted jobs whose retention has passed: those that have ended, and those in the archive."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.values import UNSUCCESSFUL, JobStatus, Timestamp, spellings
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.archive.models.lists import ArchiveFilter
from hammerwork_cli.features.archive.queries.listing import Archived
from hammerwork_cli.features.archive.queries.moving import PurgeArchive
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import ChangeOutcome, ChangePlan
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.finished_trees import PurgeJobs
from hammerwork_cli.features.job.queries.selections import BATCH, ByFilter, ChangeBatch, Selection

ENDED = tuple(sorted(UNSUCCESSFUL | {JobStatus.COMPLETED}))
PAGE = 10_000


class Expired(NamedTuple):
    """What became of them, or would."""

    jobs: ChangePlan | ChangeOutcome  # of the table of jobs
    archived: ChangePlan | ChangeOutcome  # of the archive


def exist(database: Database, now: datetime) -> bool:
    """Whether there are any."""
    return any(
        database.rows(statement, **values, at=None, after=None, limit=1) for statement, values in _statements(now)
    )


def plan(database: Database, now: datetime) -> Expired:
    """What :func:`purge` would delete, to the job."""
    return Expired(*(_plan(database, *one) for one in _changes(now, lambda: False)))


def _plan(database: Database, selection: Selection, change: PurgeJobs | PurgeArchive) -> ChangePlan:
    plan = changes.plan(database, selection, change)
    kept = sum(change.kept(database, batch.ids, selection.wanted) for batch in selection.batches(database))
    return plan._replace(changed=plan.changed - kept)


def purge(database: Database, now: datetime, is_over: Callable[[], bool] = lambda: False) -> Expired:
    """Deletes them for good, those first whose time passed first. Jobs stay that others wait for.

    Args:
        is_over: called between two transactions; returns whether the rest waits for the next run.
    """
    return Expired(*(changes.run(database, *one) for one in _changes(now, is_over)))


def _statements(now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "archive.policies.expired", {"now": now, "statuses": spellings(ENDED)}
    yield "archive.policies.expired_in_archive", {"now": now}


def _changes(now: datetime, is_over: Callable[[], bool]) -> Iterator[tuple[Selection, PurgeJobs | PurgeArchive]]:
    yield _LiveExpired(now, is_over), PurgeJobs(now)
    yield _InArchive(now, is_over), PurgeArchive(now, now + timedelta(days=1))


def _batches(
    database: Database, statement: str, is_over: Callable[[], bool], values: dict[str, Any]
) -> Iterator[ChangeBatch]:
    at: Timestamp = None
    after: str | None = None
    while True:
        rows = database.rows(statement, **values, at=at, after=after, limit=PAGE)
        for part in chunks([str(job) for job, _ in rows], BATCH):
            if is_over():
                return
            yield ChangeBatch(part)
        if len(rows) < PAGE:
            return
        after, at = rows[-1]


class _LiveExpired(ByFilter):
    def __init__(self, now: datetime, is_over: Callable[[], bool]) -> None:
        super().__init__(JobFilter(statuses=ENDED, expired=now))
        self._now, self._is_over = now, is_over

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        """See :class:`Selection`."""
        values = {"now": self._now, "statuses": spellings(ENDED)}
        return _batches(database, "archive.policies.expired", self._is_over, values)


class _InArchive(Archived):
    def __init__(self, now: datetime, is_over: Callable[[], bool]) -> None:
        super().__init__(ArchiveFilter(expired=now))
        self._now, self._is_over = now, is_over

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        """See :class:`Selection`."""
        return _batches(database, "archive.policies.expired_in_archive", self._is_over, {"now": self._now})
