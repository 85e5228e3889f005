"""Deletes encrypted jobs whose retention has passed: those that have ended, and those in the archive."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.values import UNSUCCESSFUL, JobStatus, spellings
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.archive.models.lists import ArchiveFilter
from hammerwork_cli.features.archive.queries import policies
from hammerwork_cli.features.archive.queries.listing import Archived
from hammerwork_cli.features.archive.queries.moving import PurgeArchive
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import ChangeOutcome, ChangePlan
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.finished_trees import PurgeJobs
from hammerwork_cli.features.job.queries.selections import BATCH, ByFilter, ChangeBatch, Selection

ENDED = tuple(sorted(UNSUCCESSFUL | {JobStatus.COMPLETED}))
_LIVE, _ARCHIVED = "archive.policies.expired", "archive.policies.expired_in_archive"


class Expired(NamedTuple):
    """What became of them, or would."""

    jobs: ChangePlan | ChangeOutcome  # of the table of jobs
    archived: ChangePlan | ChangeOutcome  # of the archive


def exist(database: Database, now: datetime) -> bool:
    """Whether there are any."""
    return any(
        database.rows(statement, **_values(now), at=None, after=None, limit=1) for statement in (_LIVE, _ARCHIVED)
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


def _values(now: datetime | None) -> dict[str, Any]:
    return {"now": now, "statuses": spellings(ENDED)}


def _changes(now: datetime, is_over: Callable[[], bool]) -> Iterator[tuple[Selection, PurgeJobs | PurgeArchive]]:
    yield _LiveExpired(JobFilter(statuses=ENDED, expired=now), is_over=is_over), PurgeJobs(now)
    yield _InArchive(ArchiveFilter(expired=now), is_over=is_over), PurgeArchive(now, now + timedelta(days=1))


def _batches(
    database: Database, statement: str, now: datetime | None, is_over: Callable[[], bool]
) -> Iterator[ChangeBatch]:
    for page in policies.pages(database, statement, **_values(now)):
        for part in chunks(page, BATCH):
            if is_over():
                return
            yield ChangeBatch(part)


class _LiveExpired(ByFilter):
    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        return _batches(database, _LIVE, self.wanted.expired, self._is_over)


class _InArchive(Archived):
    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        return _batches(database, _ARCHIVED, self._chosen.expired, self._is_over)
