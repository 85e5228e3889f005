"""Spawns: one guarded transaction completes the parent, inserts its children and records the spawn."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import WAITING, JobStatus, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.errors import ConflictError, JobNotFoundError, LastingConflictError, RefusedValueError
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue, groups, joins, limits, notifications, unique
from hammerwork_cli.features.job.queries.dependencies import (
    Following,
    LockedJob,
    lock_jobs,
    parent_statuses,
    rearm_next,
    rerun,
    state_of,
)
from hammerwork_cli.features.job.queries.stored import IDENTITY, compare, stored
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import joins as tree_joins
from hammerwork_cli.features.worker.queries import ancestry, finish
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import EndedAttempt, FinishReport

MOST_SPAWNS = 100
"""Spawns of a recurring parent whose records are kept."""
Batches = Callable[[], Iterable[Sequence[NewJob]]]
"""The children in lists; called again if the transaction has to run again."""


class Operation(NamedTuple):
    id: str
    spawner: Spawner
    handler: str
    config: SpawnConfig
    started_at: datetime
    children: int
    error: str | None = None  # the reason why a parent that completes spawned nothing


class LostClaimError(ConflictError):
    """The worker has lost its claim on the job."""

    code = "claim_lost"


class SpawnedBeforeError(ConflictError):
    """This run of the job has spawned already."""

    code = "spawned_before"


def complete(
    database: Database,
    attempt: EndedAttempt,
    operation: Operation,
    batches: Batches,
    *,
    external: Iterable[str] = (),
    are_unique: bool = False,
    now: datetime,
) -> FinishReport:
    """Completes a parent and inserts all of its children, or changes nothing.

    A recurring parent gets its next due time instead. If the answer to the commit got lost, the function may run again:
    it finds its own changes.

    Args:
        batches: the children, with their parents and their ``dependency_status``.
        external: ids that children depend on, other than the parent and each other.
        are_unique: whether any child has a unique key.

    Raises:
        NotFoundError, ConflictError: a job in ``external`` does not exist, or failed.
        ConflictError: the id of a child belongs to another job.
        LimitError: there are too many children, or descendants of the root.
        SpawnedBeforeError: a spawn request has spawned for this run of the job since the worker claimed it.
    """

    def work() -> FinishReport:
        report = FinishReport()
        if not _complete_parent(database, attempt, now):
            if database.row("worker.spawn.is_recorded", id=operation.id) is None:
                report.lost.add(attempt.job.id)
                finish.record_taken(database, [attempt.job], now)
            return report
        marks = joins.Marks()
        if attempt.at is None:
            marks.add(attempt.job.ancestry, JobStatus.RUNNING, JobStatus.COMPLETED, recurring=attempt.job.recurring)
        write_children(database, operation, batches, external, now, report, are_unique=are_unique, marks=marks)
        if attempt.at is not None:
            _forget_earlier(database, attempt.job)
        return report

    return naming_duplicates(database, batches, work)


def _complete_parent(database: Database, attempt: EndedAttempt, now: datetime) -> bool:
    """Completes the parent if its claim is valid; returns whether it did."""
    claim = attempt.job.claim
    if attempt.at is not None:
        changed = int(finish.write(database, attempt, now))
    else:
        changed = finish.set_completed(database, claim, [attempt], now)
        if changed and attempt.result is not None:
            finish.store_results(database, claim, [attempt], now)
    if changed:
        events.jobs(database, EventType.JOB_COMPLETED, [attempt.job.id], now)
    return bool(changed)


def write_children(
    database: Database,
    operation: Operation,
    batches: Batches,
    external: Iterable[str],
    now: datetime,
    report: FinishReport,
    *,
    are_unique: bool = False,
    marks: joins.Marks | None = None,
) -> None:
    """Writes the children, releases the dependents of the parent, records the spawn, and checks the limits last.

    Children whose unique keys other jobs hold are not written, and not counted.

    Args:
        marks: the joins that wait for the parent, if it ends.
    """
    if operation.spawner.job.workflow_id:
        # Children that join the workflow lock it less: two parents would then wait for each other.
        groups.Groups.locked(database, [operation.spawner.job.id])
    held = unique.hold(database, chain.from_iterable(batches())) if are_unique else {}
    report.held.update(held)
    operation = operation._replace(children=operation.children - len(held))
    try:
        enqueue.living_parents(database, sorted({*external, *_awaited_holders(batches, held)}))
    except JobNotFoundError as error:
        raise enqueue.name_child(error, chain.from_iterable(batches())) from None
    spawner = operation.spawner
    place, apart = spawner.place_of_child().stored(), spawner.place_of_child(counts=False).stored()
    uncounted = _after_joins(spawner, batches)
    places = Counter[str | None]()
    for produced in batches():
        batch = _without_held(produced, held, spawner.job.id)
        for job in batch:
            limits.check(database, job)
            job.ancestry = apart if job.id in uncounted or job.recurring else place
        places.update([job.ancestry for job in batch if not job.recurring])
        enqueue.insert(database, batch)
        unique.replace(database, produced, held)
        report.released.update([job.queue for job in batch if job.dependency_status != "waiting"])
    awaited = joins.Marks()
    for of_child, number in places.items():
        awaited.add(of_child, None, JobStatus.PENDING, jobs=number)
    _count(database, spawner, awaited, now, new=operation.children > 0)
    finish.update_dependents(database, [spawner.job.id], [], now, report, marks=marks)
    earlier, *counters = _record(database, operation, now)
    if operation.children:
        if earlier and spawner.request is None:
            raise SpawnedBeforeError(f"Job {spawner.job.id} has spawned already.")
        ancestry.count(database, spawner, operation.children, late=operation.children, counted=counters)


def _count(database: Database, spawner: Spawner, children: joins.Marks, now: datetime, *, new: bool) -> None:
    """Counts new children. What had ended before a spawn request ends again with them: see :func:`joins.count_more`."""
    if new and spawner.request is not None:
        joins.count_more(database, children, [spawner.job.id], now, only_below=True)
    else:
        tree_joins.count(database, children.open, children.failed)


def _after_joins(spawner: Spawner, batches: Batches) -> set[str]:
    """The children that run after a join of this attempt, directly or through others: it must not wait for them."""
    found = {join.job for join in spawner.joins}
    if not found:
        return found
    parent = (spawner.job.id,)
    waits = [(job.id, job.depends_on) for batch in batches() for job in batch if job.depends_on != parent]
    before = 0
    while len(found) > before:
        before = len(found)
        found.update(job for job, others in waits if not found.isdisjoint(others))
    return found


def _awaited_holders(batches: Batches, held: Mapping[str, str]) -> set[str]:
    """The jobs, other than children, that children wait for because they hold the keys of siblings."""
    holders, own, awaited = set(held.values()), set[str](), set[str]()
    for child in chain.from_iterable(batches()) if held else ():
        if child.id not in held:
            own.update(holders & {child.id})
            awaited.update(held[other] for other in child.depends_on if other in held)
    return awaited - own


def _without_held(children: Sequence[NewJob], held: Mapping[str, str], parent: str) -> Sequence[NewJob]:
    if not held:
        return children
    kept, holders = unique.without(children, held), set(held.values())
    for child in kept:
        if parent not in child.depends_on and not holders.isdisjoint(child.depends_on):
            # The sibling that is not written connected it with its parent.
            child.depends_on = (parent, *child.depends_on)
    return kept


def naming_duplicates(database: Database, batches: Batches, work: Callable[[], FinishReport]) -> FinishReport:
    """Runs a transaction. If it fails because a child's id already exists, names that id, which databases do not do."""
    try:
        return database.transaction(work)
    except RefusedValueError as error:
        for batch in batches():
            known = min(stored(database, [job.id for job in batch]), default=None)
            if known is not None:
                raise LastingConflictError(
                    f"The child {known} cannot be written: a job with this id already exists.",
                    hint="context.spawn(job, key=...) takes an existing job as the child.",
                ) from error
        raise


def _forget_earlier(database: Database, job: Claimed) -> None:
    """Deletes the records of a recurring parent, except for its last spawns."""
    old = database.row("worker.spawn.old_operation", parent=job.id, kept=MOST_SPAWNS)
    if old is not None:
        database.run("worker.spawn.forget_earlier_operations", parent=job.id, ended=timestamp(old[0]))
        database.run("worker.spawn.forget_earlier_trees", parent=job.id, occurrence=old[1])


def _record(database: Database, operation: Operation, now: datetime) -> Row:
    """Records a spawn. Returns the number of earlier spawns of this run, and the counters for ancestry.count."""
    spawner = operation.spawner
    values = {
        **ancestry.counted_of(spawner),
        "id": operation.id,
        "depth": spawner.ancestry.depth,
        "occurrence": spawner.job.occurrence,
        "operation": _name(database, operation.config.operation_id),
        "handler": _name(database, operation.handler),
        "config": json.dumps(operation.config._bounded()._stored()),
        "outcome": "spawned" if operation.error is None else "failed",
        "children": operation.children,
        "error": database.message(operation.error),
        "worker": spawner.job.claim.worker or None,
        "request": spawner.request,
        "started": operation.started_at,
        "ended": now,
    }
    if database.dialect != "mysql":
        return database.rows("worker.spawn.record", **values)[0]
    database.run("worker.spawn.record", **values)
    read = {name: values[name] for name in ("id", "occurrence", *ancestry.counted_of(spawner))}
    return database.rows("worker.spawn.counters", **read)[0]


def _name(database: Database, name: str | None) -> str | None:
    """Makes a name fit its column. The job has the full name, and must not fail for it after its handler has run."""
    text = database.message(name)
    return text and text[:LONGEST_NAME]


def hook_failed(database: Database, operation: str, error: str) -> None:
    """Records that ``on_spawn_complete`` raised an exception; the spawn stays as it is."""
    database.run("worker.spawn.record_hook_error", id=operation, error=database.message(error))


def spawn_now(database: Database, spawner: Spawner, key: str, child: NewJob, *, now: datetime) -> tuple[str, bool]:
    """Inserts a child of a running job, unless this occurrence of the job has a child with the same key.

    If a job with the child's id exists and has its queue and payload, it becomes the child, and fails with none of its
    parents any more. If it failed already because the parent that spawned it early failed, it gets the new parent in
    place of the old one and may run. A job that holds the child's unique key does not become the child.

    Args:
        key: identifies the child within this occurrence of the job, over all of its attempts.
        child: depends on the parent already.

    Returns:
        The id of the child or of the holder of its key, and whether it was inserted now.

    Raises:
        LostClaimError: the worker has lost its claim on the parent, or on the request.
        LimitError: there are too many children, or descendants of the root.
        ConflictError: the child's id belongs to another job, or the child depends on a job that failed.
        NotFoundError: the child depends on a job that does not exist.
    """
    limits.check(database, child)
    parent, place = spawner.job.id, spawner.ancestry
    scope = {"parent": parent, "occurrence": spawner.occurrence}
    mark = spawner.place_of_child(early=True, counts=child.join is None)
    child.ancestry = mark._replace(awaits=child.join is not None).stored()

    def work() -> tuple[str, bool]:
        if not _lock_claim(database, spawner):
            raise LostClaimError(f"This worker has lost its claim on job {parent}: nothing is spawned for it.")
        row = database.row("worker.spawn.child_by_key", key=key, **scope)
        if row:
            return str(row[0]), False
        others = [other for other in child.depends_on if other != parent]
        if others:
            child.dependency_status = state_of(others, enqueue.living_parents(database, others))
        if child.unique is not None and not stored(database, [child.id]):
            held = unique.hold(database, [child])
            if held:
                unique.replace(database, [child], held)
                notifications.notify(database, [child.queue])
                return held[child.id], False  # no child of this parent: the next attempt asks again
        is_new = _insert(database, child, spawner, now)
        if is_new or _join(database, child, parent, now):
            notifications.notify(database, [child.queue])
        if spawner.job.recurring and not spawner.request:
            database.run("worker.spawn.forget_earlier_keys", **scope)
        # A job that existed already is counted as a descendant already.
        database.run(
            "worker.spawn.record_key", key=key, child=child.id, now=now, root=place.root if is_new else None, **scope
        )
        ancestry.count(database, spawner, int(is_new), late=0)
        return child.id, is_new

    return database.transaction(work)


def _insert(database: Database, child: NewJob, spawner: Spawner, now: datetime) -> bool:
    """Inserts an early child unless its id exists; returns whether it did."""
    if child.join is not None:
        child.dependency_status = "waiting"
    marks = joins.Marks()
    marks.add(child.ancestry, None, JobStatus.PENDING)  # before its own callbacks add theirs
    is_new = enqueue.insert_new(database, child)
    if is_new and child.join is not None:
        tree_joins.add(database, child.id, spawner.job.id, *child.join, now)
    if is_new:
        _count(database, spawner, marks, now, new=True)
    return is_new


def _join(database: Database, child: NewJob, parent: str, now: datetime) -> bool:
    """Gives an early child of another job one more parent; returns whether it may run now because of that.

    Pages of a crawl link to each other: a page must not be lost because the first one that links to it fails, before
    or after the others link to it.
    """
    found = lock_jobs(database, [child.id])
    place = Ancestry.parse(found[0].ancestry) if found else None
    if place is None or place.spawner in (None, parent):
        return False
    (job,) = found
    if job.status in WAITING and not place.shared:
        database.run("worker.spawn.share", id=job.id, ancestry=place._replace(shared=True).stored())
    if job.shown_status != JobStatus.FAILED or job.dependency_status != "failed" or job.archived_at is not None:
        return False
    return _adopt(database, job, str(place.spawner), child, parent, now)


def _adopt(database: Database, job: LockedJob, spawner: str, child: NewJob, parent: str, now: datetime) -> bool:
    """Lets a job run if it failed because ``spawner`` failed; returns whether that was the reason."""
    others = [other for other in job.depends_on if other != parent]
    if spawner not in others:
        return False
    others.remove(spawner)
    state = state_of(others, parent_statuses(database, others)) if others else "satisfied"
    if state == "failed":
        return False
    parents = enqueue.stored_ids(database, (parent, *others))
    database.run("worker.spawn.adopt", id=job.id, parents=parents, state=state, ancestry=child.ancestry, now=now)
    events.jobs(database, EventType.JOB_RETRIED, [job.id], now)
    marks = joins.Marks()
    marks.add(job.ancestry, job.status, None)
    marks.add(child.ancestry, None, JobStatus.PENDING)
    again = joins.count_more(database, marks, [job.id], now)
    rerun(database, [job.workflow, *(join.workflow for join in again)])
    following = Following(parents=[job.id, *(join.id for join in again)])
    while following.unfinished:
        following = rearm_next(database, following, now)
    return True


def exists(database: Database, child: NewJob) -> bool:
    """Whether a job with the id of a child exists and is the same.

    Raises:
        ConflictError: the id belongs to another job.
    """
    row = stored(database, [child.id]).get(child.id)
    if row is not None:
        compare(database, child, row, only=IDENTITY)
    return row is not None


def keys(database: Database, job: Claimed, request: str | None) -> int:
    """Counts the children with a key of an occurrence of a job, or of a spawn request."""
    return int(database.value("worker.spawn.count_keys", parent=job.id, occurrence=request or job.occurrence))


def _lock_claim(database: Database, spawner: Spawner) -> bool:
    """Locks the attempt or the request that a job spawns for; returns whether the worker's claim on it is valid."""
    claim = spawner.job.claim
    if spawner.request is None:
        return (
            database.run("worker.spawn.touch_parent", id=spawner.job.id, token=claim.token, started=claim.started_at)
            == 1
        )
    lock_jobs(database, [spawner.job.id])
    return database.row("worker.requests.lock", id=spawner.request, token=claim.token) is not None
