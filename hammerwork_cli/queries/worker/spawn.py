"""Spawning: a parent's completion, its children and the record of it are one guarded transaction."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.errors import ConflictError, LastingConflictError, RefusedValueError
from hammerwork_cli.models import NewJob, SpawnConfig, timestamp
from hammerwork_cli.models.limits import LONGEST_NAME
from hammerwork_cli.queries.job import enqueue, limits, notifications
from hammerwork_cli.queries.job.dependencies import lock_jobs, state_of
from hammerwork_cli.queries.job.stored import stored
from hammerwork_cli.queries.worker import ancestry, finish
from hammerwork_cli.queries.worker.ancestry import Spawner
from hammerwork_cli.queries.worker.claim import Claimed
from hammerwork_cli.queries.worker.finish import Ended, Settled

MOST_SPAWNS = 100
"""So many of its spawns are remembered of a recurring parent."""
Batches = Callable[[], Iterable[Sequence[NewJob]]]
"""The children in lists; called again when the transaction has to be run again."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A spawn as it is recorded.

    Attributes:
        id: of the record.
        error: why nothing was spawned, where the parent completes all the same.
    """

    id: str
    spawner: Spawner
    handler: str
    config: SpawnConfig
    started_at: datetime
    children: int
    error: str | None = None


class LostClaimError(ConflictError):
    """The job is not this worker's any more."""

    code = "claim_lost"


def spawned_before(database: Database, job: Claimed) -> bool:
    """Whether this run of a job has spawned: an earlier attempt completed it, and somebody retried it."""
    return database.row("worker.spawn.spawned_before", id=job.id, occurrence=job.occurrence) is not None


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
        ConflictError: a child has the id of another job.
        LimitError: there are too many children, or descendants of the root.
        RefusedValueError: the database refuses a child or the result.
    """

    def work() -> Settled:
        settled = Settled()
        if not _complete_parent(database, run, now):
            if database.row("worker.spawn.is_recorded", id=operation.id) is None:
                settled.lost.add(run.job.id)
            return settled
        write_children(database, operation, batches, external, now, settled)
        if run.at is not None:
            _forget_earlier(database, run.job)
        return settled

    return naming_doubles(database, batches, work)


def _complete_parent(database: Database, run: Ended, now: datetime) -> bool:
    """Whether the parent was completed by this very statement."""
    claim = run.job.claim
    if run.at is not None:
        changed = int(finish.write(database, run, now))
    else:
        ids = database.ids([run.job.id])
        changed = database.run("worker.finish.complete", ids=ids, token=claim.token, started=claim.started_at, now=now)
        if changed and run.result is not None:
            finish.store_results(database, claim, [run], now)
    return bool(changed)


def write_children(
    database: Database,
    operation: Operation,
    batches: Batches,
    external: Iterable[str],
    now: datetime,
    settled: Settled,
) -> None:
    """Writes the children, releases the dependents of the parent, records the spawn, and checks the limits last."""
    enqueue.living_parents(database, sorted(set(external)))
    place = operation.spawner.ancestry.child().stored()
    for batch in batches():
        for job in batch:
            limits.check(database, job)
            job.ancestry = place
        enqueue.insert(database, batch)
        for job in batch:
            if job.dependency_status != "waiting":
                settled.released[job.queue] = settled.released.get(job.queue, 0) + 1
    finish.finish(database, [operation.spawner.job.id], [], now, settled)
    counted = _record(database, operation, now)
    if operation.children:
        ancestry.count(database, operation.spawner, operation.children, late=operation.children, counted=counted)


def naming_doubles(database: Database, batches: Batches, work: Callable[[], Settled]) -> Settled:
    """Runs a transaction; a database that refuses two jobs with one id does not say which."""
    try:
        return database.transaction(work)
    except RefusedValueError as error:
        for batch in batches():
            known = min(stored(database, [job.id for job in batch]), default=None)
            if known is not None:
                raise LastingConflictError(
                    f"The child {known} cannot be written: there is a job with this id already.",
                    hint="context.spawn(job, key=...) takes a job that is there for the child.",
                ) from error
        raise


def _forget_earlier(database: Database, job: Claimed) -> None:
    """Forgets what was recorded of a recurring parent, but for its last spawns."""
    old = database.row("worker.spawn.old_operation", parent=job.id, kept=MOST_SPAWNS)
    if old is not None:
        database.run("worker.spawn.forget_earlier_operations", parent=job.id, ended=timestamp(old[0]))
        database.run("worker.spawn.forget_earlier_trees", parent=job.id, occurrence=old[1])


def _record(database: Database, operation: Operation, now: datetime) -> Row | None:
    """Records a spawn and returns the counters for :func:`ancestry.count`, which MySQL cannot return."""
    spawner = operation.spawner
    values = {
        **ancestry.counted_of(spawner),
        "id": operation.id,
        "depth": spawner.ancestry.depth,
        "occurrence": spawner.job.occurrence,
        "operation": _name(database, operation.config.operation_id),
        "handler": _name(database, operation.handler),
        "config": json.dumps(operation.config.bounded().stored()),
        "outcome": "spawned" if operation.error is None else "failed",
        "children": operation.children,
        "error": database.message(operation.error),
        "worker": spawner.job.claim.worker or None,
        "request": spawner.request,
        "started": operation.started_at,
        "ended": now,
    }
    if database.dialect == "mysql":
        database.run("worker.spawn.record", **values)
        return None
    return database.row("worker.spawn.record", **values)


def _name(database: Database, name: str | None) -> str | None:
    """A name as its record can hold it: the job has it to the letter, and would fail for it after its handler ran."""
    text = database.message(name)
    return text and text[:LONGEST_NAME]


def hook_failed(database: Database, operation: str, error: str) -> None:
    """Notes that ``on_spawn_complete`` raised, which undoes nothing."""
    database.run("worker.spawn.record_hook_error", id=operation, error=database.message(error))


def spawn_now(database: Database, spawner: Spawner, key: str, child: NewJob, *, now: datetime) -> tuple[str, bool]:
    """Inserts a child of a job that is still running, unless this run of it has one under the same key.

    A job that has the child's id already, and is the same but for what it depends on, is taken for the child.

    Args:
        database: where.
        spawner: the running job.
        key: names the child among those of this run, over all of its attempts.
        child: depends on the parent already.
        now: the server's clock.

    Returns:
        The child's id, and whether it was inserted now.

    Raises:
        LostClaimError: the parent, or the request, is not this worker's any more.
        LimitError: there are too many children, or descendants of the root.
        ConflictError: another job has the child's id, or the child depends on a job that failed.
        NotFoundError: the child depends on a job that does not exist.
        RefusedValueError: the database refuses the child.
    """
    limits.check(database, child)
    parent, place = spawner.job.id, spawner.ancestry
    run = {"parent": parent, "occurrence": spawner.occurrence}
    child.ancestry = place.child(spawner=parent).stored()

    def work() -> tuple[str, bool]:
        if not _holds(database, spawner):
            raise LostClaimError(f"Job {parent} is not this worker's any more: nothing is spawned for it.")
        row = database.row("worker.spawn.child_by_key", key=key, **run)
        if row:
            return str(row[0]), False
        others = [other for other in child.depends_on if other != parent]
        if others:
            child.dependency_status = state_of(others, enqueue.living_parents(database, others))
        is_new = enqueue.insert_new(database, child, but="depends_on")
        if is_new:
            notifications.notify(database, [child.queue])
        if spawner.job.recurring and not spawner.request:
            database.run("worker.spawn.forget_earlier_keys", **run)
        # A job that is there already is no descendant once more.
        database.run(
            "worker.spawn.record_key", key=key, child=child.id, now=now, root=place.root if is_new else None, **run
        )
        ancestry.count(database, spawner, int(is_new), late=0)
        return child.id, is_new

    return database.transaction(work)


def keys(database: Database, job: Claimed, request: str | None) -> int:
    """How many children by key there are of a run of a job, or of a request that it spawns again for."""
    return int(database.rows("worker.spawn.count_keys", parent=job.id, occurrence=request or job.occurrence)[0][0])


def _holds(database: Database, spawner: Spawner) -> bool:
    """Locks what a job spawns for: its run, or the request; whether it is still ours."""
    claim = spawner.job.claim
    if spawner.request is None:
        return (
            database.run("worker.spawn.touch_parent", id=spawner.job.id, token=claim.token, started=claim.started_at)
            == 1
        )
    lock_jobs(database, [spawner.job.id])
    return database.row("worker.requests.lock", id=spawner.request, token=claim.token) is not None


# Requests to spawn again.
