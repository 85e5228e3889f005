"""Letting jobs run that waited for others, when those have ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.models import FAILURES, JobStatus, id_list, status_of
from hammerwork_cli.queries.kinship import GIN_CHUNK, chunks, live_or_archived

DONE = frozenset({JobStatus.COMPLETED, JobStatus.ARCHIVED})


class _Waiting(NamedTuple):
    parents: tuple[str, ...]
    queue: str
    workflow: str | None


def release(database: Database, ended: Sequence[str]) -> dict[str, int]:
    """Lets the jobs run that waited for one of ``ended`` and have no more to wait for. Needs a transaction.

    That is so when all of their parents have completed; in a workflow that goes on after a failure, when all have
    ended. Each waiting job is really changed, in the order of ids, before its parents are counted: of two parents that
    end at once, on one server or on two nodes, the later one sees the other as ended.

    Returns:
        Queue -> how many jobs may run now.
    """
    waiting: dict[str, _Waiting] = {}
    size = GIN_CHUNK if database.dialect == "postgresql" else database.key_chunk
    for part in chunks(ended, size):
        for job, parents, queue, workflow in database.rows("claims.waiting_on", ids=database.ids(part)):
            waiting[str(job)] = _Waiting(id_list(parents), queue, workflow)
    released: dict[str, int] = {}
    for ids in chunks(sorted(waiting), database.key_chunk):
        for job in _release(database, ids, waiting):
            queue = waiting[job].queue
            released[queue] = released.get(queue, 0) + 1
    return released


def _release(database: Database, ids: Sequence[str], waiting: dict[str, _Waiting]) -> list[str]:
    locked = [str(row[0]) for row in database.rows("claims.lock_waiting", ids=database.ids(ids))]
    if not locked:
        return []
    database.run("claims.stamp", ids=database.ids(locked))
    statuses = _statuses(database, sorted({parent for job in locked for parent in waiting[job].parents}))
    ready, doubtful = [], []
    for job in locked:
        found = {statuses.get(parent) for parent in waiting[job].parents}
        if found <= DONE:
            ready.append(job)
        elif found <= DONE | FAILURES and waiting[job].workflow:
            doubtful.append(job)
    if doubtful:
        workflows = sorted({str(waiting[job].workflow) for job in doubtful})
        going_on = {str(row[0]) for row in database.rows("claims.going_on", ids=workflows)}
        ready += [job for job in doubtful if waiting[job].workflow in going_on]
    if ready:
        database.run("claims.release", ids=database.ids(ready))
    return ready


def _statuses(database: Database, parents: Sequence[str]) -> dict[str, str]:
    stored = live_or_archived(database, "claims.statuses", "jobs.archived_statuses", parents)
    return {job: status_of(status) for job, status in stored.items()}


def fail_spawned(database: Database, failed: Sequence[str], now: datetime) -> int:
    """Fails what jobs spawned while they ran and that has not begun, now that these jobs failed for good."""
    error = "The job that spawned it failed."
    return sum(
        database.run("spawning.fail_spawned", ids=database.ids(part), now=now, error=error)
        for part in chunks(failed, database.key_chunk)
    )
