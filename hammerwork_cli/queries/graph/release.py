"""Letting jobs run that waited for others, when those have ended."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import GIN_CHUNK, chunks
from hammerwork_cli.models import FAILURES, Ancestry, JobStatus, id_list, status_of
from hammerwork_cli.queries.graph.relatives import live_or_archived

RECURRING = "recurring"
"""What stands for the status of a recurring job that others depend on. It never completes: its children come when a run
of it has ended, and nobody waits for it or fails with it."""
DONE = frozenset({JobStatus.COMPLETED, JobStatus.ARCHIVED, RECURRING})


class _Waiting(NamedTuple):
    parents: tuple[str, ...]
    queue: str
    workflow: str | None
    ancestry: str | None

    def found(self, statuses: Mapping[str, str]) -> set[str | None]:
        """The statuses of those that it waits for."""
        found = {statuses.get(parent) for parent in self.parents}
        return found if found <= DONE else awaited(self.parents, statuses, spawner_of(self.ancestry))


def spawner_of(ancestry: str | None) -> str | None:
    """Who spawned a job before its own end."""
    place = Ancestry.parse(ancestry) if ancestry else None
    return place.spawner if place else None


def awaited(parents: Iterable[str], statuses: Mapping[str, str], spawner: str | None) -> set[str | None]:
    """The statuses of a job's parents, but for the one that spawned it early, unless that failed."""
    return {status for parent in parents if (status := statuses.get(parent)) in FAILURES or parent != spawner}


def release(database: Database, ended: Sequence[str]) -> dict[str, int]:
    """Lets the jobs run that waited for one of ``ended`` and have no more to wait for. Needs a transaction.

    That is so when all of their parents have completed, recurring ones and the one that spawned them before its end
    apart; in a workflow that goes on after a failure, when all have ended. Each waiting job is really changed, in the
    order of ids, before its parents are counted: of two parents that end at once, on one server or on two nodes, the
    later one sees the other as ended. Where our migration of workers is missing, the original's are left to it.

    Returns:
        Queue -> how many jobs may run now.
    """
    if "workers" not in database.tags:
        return {}
    waiting: dict[str, _Waiting] = {}
    size = GIN_CHUNK if database.dialect == "postgresql" else database.key_chunk
    for part in chunks(ended, size):
        for job, parents, *rest in database.rows("graph.release.waiting_for", ids=database.ids(part)):
            waiting[str(job)] = _Waiting(id_list(parents), *rest)
    released: dict[str, int] = {}
    for ids in chunks(sorted(waiting), database.key_chunk):
        for job in _release(database, ids, waiting):
            queue = waiting[job].queue
            released[queue] = released.get(queue, 0) + 1
    return released


def _release(database: Database, ids: Sequence[str], waiting: dict[str, _Waiting]) -> list[str]:
    locked = [str(row[0]) for row in database.rows("graph.release.lock_waiting", ids=database.ids(ids))]
    if not locked:
        return []
    database.run("graph.release.touch_waiting", ids=database.ids(locked))
    statuses = _statuses(database, sorted({parent for job in locked for parent in waiting[job].parents}))
    ready, doubtful = [], []
    for job in locked:
        found = waiting[job].found(statuses)
        if found <= DONE:
            ready.append(job)
        elif found <= DONE | FAILURES and waiting[job].workflow:
            doubtful.append(job)
    if doubtful:
        workflows = sorted({str(waiting[job].workflow) for job in doubtful})
        going_on = {str(row[0]) for row in database.rows("graph.release.continuing_workflows", ids=workflows)}
        ready += [job for job in doubtful if waiting[job].workflow in going_on]
    if ready:
        database.run("graph.release.release", ids=database.ids(ready))
    return ready


def _statuses(database: Database, parents: Sequence[str]) -> dict[str, str]:
    stored = live_or_archived(database, "graph.release.statuses", "graph.release.archived_statuses", parents)
    return {job: status_of(status) for job, status in stored.items()}
