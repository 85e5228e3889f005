"""Spawning: a parent's completion, its children and the record of it are one guarded transaction."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, NotFoundError
from hammerwork_cli.models import JobStatus, NewJob, SpawnConfig, SpawnRequest, id_list, new_id
from hammerwork_cli.queries import claims, enqueue, limits, notices
from hammerwork_cli.queries.claims import Claim, Claimed, Ended, Settled
from hammerwork_cli.queries.dependencies import hold, parent_statuses, state_of
from hammerwork_cli.queries.kinship import chunks, live_or_archived
from hammerwork_cli.queries.workers import Registration

Batches = Callable[[], Iterable[Sequence[NewJob]]]
"""The children in lists; called again when the transaction has to be run again."""


class Ancestry(NamedTuple):
    """Where a job stands in its tree.

    Attributes:
        root: the topmost ancestor, by first parents.
        depth: levels above the job; one more than the bound when there are more.
    """

    root: str
    depth: int


@dataclass(frozen=True, slots=True)
class Operation:
    """A spawn as it is recorded.

    Attributes:
        id: of the record.
        error: why nothing was spawned, where the parent completes all the same.
        max_descendants: most jobs below the root, where that is limited.
    """

    id: str
    ancestry: Ancestry
    handler: str
    config: SpawnConfig
    started_at: datetime
    children: int
    error: str | None = None
    request: str | None = None


class DescendantsError(ConflictError):
    """More jobs below a root than its configuration allows."""

    code = "too_many_descendants"


class LostClaimError(ConflictError):
    """The job is not this worker's any more."""

    code = "claim_lost"


def spawned_before(database: Database, job: Claimed) -> bool:
    """Whether this run of a job has spawned: an earlier attempt completed it, and somebody retried it."""
    return database.row("spawning.spawned_before", id=job.id, occurrence=job.occurrence) is not None


def ancestry(database: Database, job: Claimed, bound: int) -> Ancestry:
    """Walks up from a job, through parents of any program, archived ones too, at most ``bound`` + 1 levels."""
    root, seen = job.id, {job.id}
    level: Sequence[str] = id_list(job.depends_on)
    depth = 0
    while level and depth <= bound:
        above = _above(database, [parent for parent in level if parent not in seen])
        if not above:
            break
        depth += 1
        root = next((parent for parent in level if parent in above), root)
        seen |= above.keys()
        level = list(dict.fromkeys(parent for member in level for parent in above.get(member, ())))
    return Ancestry(root, depth)


def _above(database: Database, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    stored = live_or_archived(database, "spawning.above", "spawning.archived_above", ids)
    return {job: id_list(parents) for job, parents in stored.items()}


def complete(
    database: Database,
    run: Ended,
    operation: Operation,
    batches: Batches,
    *,
    external: Iterable[str] = (),
    now: datetime,
) -> Settled:
    """Completes a parent, or moves a recurring one to its next run, with all of its children, or changes nothing.

    Running it again after its outcome was lost finds that it was done.

    Args:
        database: where.
        run: the parent's run; it must have completed.
        operation: what to record.
        batches: the children; they name their parent and carry their ``dependency_status``.
        external: ids that children depend on, other than the parent and each other.
        now: the server's clock.

    Raises:
        NotFoundError, ConflictError: a job in ``external`` does not exist, or failed.
        DescendantsError: the root has too many descendants.
        RefusedValueError: the database refuses a child or the result.
    """

    def work() -> Settled:
        settled = Settled()
        if not _complete_parent(database, run, now):
            if database.row("spawning.is_recorded", id=operation.id) is None:
                settled.lost.add(run.job.id)
            return settled
        _insert(database, batches, external, settled)
        _record(database, run.job, operation, now)
        claims.finish(database, [run.job.id] if run.at is None else [], [], now, settled)
        _count_descendants(database, operation)
        return settled

    return database.transaction(work)


def _complete_parent(database: Database, run: Ended, now: datetime) -> bool:
    """Whether the parent was completed by this very statement."""
    claim = run.job.claim
    if run.at is not None:
        changed = int(claims.write(database, run, now))
    else:
        ids = database.ids([run.job.id])
        changed = database.run("claims.complete", ids=ids, token=claim.token, started=claim.started_at, now=now)
        if changed and run.result is not None:
            claims.store_results(database, claim, [run], now)
    return bool(changed)


def _insert(database: Database, batches: Batches, external: Iterable[str], settled: Settled) -> None:
    enqueue.living_parents(database, sorted(set(external)))
    for batch in batches():
        for job in batch:
            limits.check(database, job)
        enqueue.insert(database, batch)
        for job in batch:
            if job.dependency_status != "waiting":
                settled.released[job.queue] = settled.released.get(job.queue, 0) + 1


def _count_descendants(database: Database, operation: Operation) -> None:
    """Counts them where they are limited: last, since all spawns of a tree wait for this one row."""
    most, root = operation.config.max_descendants, operation.ancestry.root
    if most is None or not operation.children:
        return
    database.run("spawning.add_descendants", root=root, children=operation.children)
    total = int(database.rows("spawning.descendants", root=root)[0][0])
    if total > most:
        raise DescendantsError(f"max_descendants is {most:,}: job {root} would have {total:,}.", total=total)


def _record(database: Database, job: Claimed, operation: Operation, now: datetime) -> None:
    database.run(
        "spawning.record",
        id=operation.id,
        parent=job.id,
        root=operation.ancestry.root,
        depth=operation.ancestry.depth,
        occurrence=job.occurrence,
        operation=operation.config.operation_id,
        handler=operation.handler,
        config=json.dumps(operation.config.stored()),
        outcome="spawned" if operation.error is None else "failed",
        children=operation.children,
        error=operation.error,
        worker=job.claim.worker or None,
        request=operation.request,
        started=operation.started_at,
        ended=now,
    )


def hook_failed(database: Database, operation: str, error: str) -> None:
    """Notes that ``on_spawn_complete`` raised, which undoes nothing."""
    database.run("spawning.hook_failed", id=operation, error=error)


def spawn_now(
    database: Database, parent: Claimed, key: str, child: NewJob, *, most: int | None, now: datetime
) -> tuple[str, bool]:
    """Inserts a child of a job that is still running, unless this run of it has one under the same key.

    Args:
        database: where.
        parent: the running job.
        key: names the child among those of this run, over all of its attempts.
        child: depends on the parent already.
        most: most children by key; ``None`` for no limit.
        now: the server's clock.

    Returns:
        The child's id, and whether it was inserted now.

    Raises:
        LostClaimError: the parent is not this worker's any more.
        ConflictError: there are as many children as allowed.
        RefusedValueError: the database refuses the child.
    """
    limits.check(database, child)
    known = {"parent": parent.id, "occurrence": parent.occurrence}

    def work() -> tuple[str, bool]:
        held = {"token": parent.claim.token, "started": parent.claim.started_at}
        if not database.run("claims.touch", id=parent.id, **held):
            raise LostClaimError(f"Job {parent.id} is not this worker's any more: nothing is spawned for it.")
        row = database.row("spawning.child_by_key", key=key, **known)
        if row:
            return str(row[0]), False
        if most is not None and database.rows("spawning.count_keys", **known)[0][0] >= most:
            raise ConflictError(f"max_spawn_count is {most:,}: job {parent.id} may not spawn more.")
        others = [other for other in child.depends_on if other != parent.id]
        if others:
            child.dependency_status = state_of(others, enqueue.living_parents(database, others))
        enqueue.insert(database, [child])
        notices.notify(database, [child.queue])
        database.run("spawning.record_key", key=key, child=child.id, now=now, **known)
        return child.id, True

    return database.transaction(work)


# Requests to spawn again.


def request(
    database: Database, job: str, *, handler: str | None, config: SpawnConfig | None, by: str, now: datetime
) -> SpawnRequest:
    """Asks the workers to spawn for a job that has completed.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: it has not completed, or such a request is open.
    """

    def work() -> str:
        statuses = parent_statuses(database, [job])
        row = database.row("spawning.job", id=job)
        if job not in statuses or row is None:
            raise NotFoundError(f"There is no job {job} that could spawn.")
        if statuses[job] != JobStatus.COMPLETED:
            raise ConflictError(
                f"The job {job} is {statuses[job]}: only a completed job spawns again.",
                hint=f"What it spawns comes when it completes: hammerwork job show {job}",
            )
        if database.row("spawning.open_request", job=job):
            raise ConflictError(
                f"There is a request for job {job} that no worker has fulfilled yet.",
                hint=f"Its state: hammerwork job show {job}",
            )
        made = new_id()
        stored = None if config is None else json.dumps(config.stored())
        database.run("spawning.request", id=made, job=job, queue=row[1], handler=handler, config=stored, now=now, by=by)
        return made

    made = database.transaction(work)
    return SpawnRequest._make(database.rows("spawning.request_by_id", id=made)[0])


def pending_requests(database: Database, worker: Registration, limit: int = 20) -> list[SpawnRequest]:
    """The oldest requests that no worker has taken and that this one serves.

    It serves those that name one of its spawn handlers, and those that name none, for jobs of its queues.
    """
    handlers, served = json.dumps(worker.handlers), json.dumps([*worker.handlers, *worker.queues])
    rows = database.rows("spawning.pending_requests", handlers=handlers, served=served, limit=limit)
    return [SpawnRequest._make(row) for row in rows]


def requests(database: Database, job: str) -> list[SpawnRequest]:
    """All requests for a job, the newest first."""
    return [SpawnRequest._make(row) for row in database.rows("spawning.requests", job=job)]


def take_request(database: Database, wish: SpawnRequest, worker: str, now: datetime) -> Claimed | None:
    """Takes a request; the job that is to spawn, or ``None`` when another worker was faster or the job is gone."""
    token = new_id()

    def work() -> Claimed | None:
        if not database.run("spawning.take_request", id=wish.id, token=token, worker=worker):
            return None
        row = database.row("spawning.job", id=wish.job_id)
        if row is None:
            values = {"state": "failed", "now": now, "children": 0, "error": "The job is gone."}
            database.run("spawning.end_request", id=wish.id, token=token, **values)
            return None
        return Claimed._make((*row, Claim(token, worker, now)))

    return database.transaction(work)


def fulfil(
    database: Database,
    wish: SpawnRequest,
    job: Claimed,
    operation: Operation,
    batches: Batches,
    *,
    external: Iterable[str] = (),
    now: datetime,
) -> Settled:
    """Inserts what a request asked for, once; the arguments and errors are those of :func:`complete`."""

    def work() -> Settled:
        settled = Settled()
        # Locked before its request, as whoever deletes the job does; who deleted it has taken the request along.
        hold(database, [job.id])
        if not _end_request(database, wish, job, "done", now, operation.children, None):
            settled.lost.add(job.id)
            return settled
        _insert(database, batches, external, settled)
        _record(database, job, operation, now)
        claims.finish(database, [job.id], [], now, settled)
        _count_descendants(database, operation)
        return settled

    return database.transaction(work)


def refuse(database: Database, wish: SpawnRequest, job: Claimed, error: str, now: datetime) -> None:
    """Ends a request that could not be fulfilled."""
    database.transaction(lambda: _end_request(database, wish, job, "failed", now, 0, error))


def _end_request(
    database: Database, wish: SpawnRequest, job: Claimed, state: str, now: datetime, children: int, error: str | None
) -> bool:
    values: dict[str, Any] = {"state": state, "now": now, "children": children, "error": error}
    return database.run("spawning.end_request", id=wish.id, token=job.claim.token, **values) == 1


def allow_again(database: Database, ids: Sequence[str]) -> None:
    """Lets jobs spawn again when they complete again: ``job retry --respawn``. Needs a transaction."""
    for part in chunks(ids, database.key_chunk):
        database.run("spawning.forget_spawned", ids=part)
        database.run("spawning.forget_children", ids=part)
