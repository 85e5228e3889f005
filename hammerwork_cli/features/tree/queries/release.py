"""Releases jobs whose dependencies have ended."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hammerwork_cli.core.values import FAILURES, JobStatus, id_list, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import GIN_CHUNK, chunks
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries.joins import is_join
from hammerwork_cli.features.tree.queries.relatives import live_or_archived

RECURRING = "recurring"
"""Stands for the status of a recurring job that others depend on. Such a job never completes: it spawns children after
each attempt, and no job waits for it or fails with it.
"""
DONE = frozenset({JobStatus.COMPLETED, JobStatus.ARCHIVED, RECURRING})


class _Waiting(NamedTuple):
    parents: tuple[str, ...]
    queue: str
    workflow: str | None
    ancestry: str | None

    def found(self, statuses: Mapping[str, str]) -> set[str | None]:
        """Returns the statuses of its blockers."""
        found = {statuses.get(parent) for parent in self.parents}
        return found if found <= DONE else awaited(self.parents, statuses, self.ancestry)


def spawner_of(ancestry: str | None) -> str | None:
    """Returns the parent of an early child, which the parent spawned before its own end."""
    return Ancestry.unplaced(ancestry).spawner


def is_shared(ancestry: str | None) -> bool:
    """Whether several parents have spawned a job, so that it fails with none of them."""
    return Ancestry.unplaced(ancestry).shared


def awaited(parents: Iterable[str], statuses: Mapping[str, str], ancestry: str | None) -> set[str | None]:
    """Returns the statuses of a job's parents.

    The parent of an early child counts only if it failed, and not even then if other parents share the child.
    """
    place = Ancestry.unplaced(ancestry)
    alone, found = not place.shared, {parent: statuses.get(parent) for parent in parents}
    return {status for parent, status in found.items() if parent != place.spawner or (alone and status in FAILURES)}


def release(database: Database, ended: Sequence[str], awaiting: list[str] | None = None) -> dict[str, int]:
    """Releases the jobs that wait for one of ``ended`` and have no other blocker. Needs a transaction.

    A job is released when all its parents have completed; a recurring parent and the parent of an early child do not
    count. In a workflow that ignores failures, all parents must have ended.

    Each waiting job is updated, in the order of ids, before its parents are counted. The update makes transactions on
    one server wait for each other, and conflict on two nodes of a cluster: if two parents end at once, the later
    transaction sees that the other parent has ended. Returns queue -> number of released jobs.

    Args:
        awaiting: gets the joins among them, which wait for more than their parents.
    """
    waiting: dict[str, _Waiting] = {}
    size = GIN_CHUNK if database.dialect == "postgresql" else database.key_chunk
    for job, parents, *rest in database.rows_of("tree.release.waiting_for", ended, size):
        one = _Waiting(id_list(parents), *rest)
        if not is_join(one.ancestry):
            waiting[str(job)] = one
        elif awaiting is not None:
            awaiting.append(str(job))
    released: dict[str, int] = {}
    for ids in chunks(sorted(waiting), database.key_chunk):
        for job in _release(database, ids, waiting):
            queue = waiting[job].queue
            released[queue] = released.get(queue, 0) + 1
    return released


def _release(database: Database, ids: Sequence[str], waiting: dict[str, _Waiting]) -> list[str]:
    locked = [str(one) for (one,) in database.rows("tree.release.lock_waiting", ids=database.ids(ids))]
    if not locked:
        return []
    database.run("tree.release.touch_waiting", ids=database.ids(locked))
    found = statuses(database, sorted({parent for job in locked for parent in waiting[job].parents}))
    ready, maybe_ready = [], []
    for job in locked:
        blockers = waiting[job].found(found)
        if blockers <= DONE:
            ready.append(job)
        elif blockers <= DONE | FAILURES and waiting[job].workflow:
            maybe_ready.append(job)
    if maybe_ready:
        workflows = sorted({str(waiting[job].workflow) for job in maybe_ready})
        ignoring = {str(one) for (one,) in database.rows("tree.release.ignoring_workflows", ids=workflows)}
        ready += [job for job in maybe_ready if waiting[job].workflow in ignoring]
    if ready:
        database.run("tree.release.release", ids=database.ids(ready))
    return ready


def statuses(database: Database, parents: Sequence[str]) -> dict[str, str]:
    """Reads the statuses of jobs as they count for those that depend on them: see :data:`RECURRING`."""
    stored = live_or_archived(database, "tree.release.statuses", "tree.release.archived_statuses", parents)
    return {job: status_of(status) for job, status in stored.items()}
