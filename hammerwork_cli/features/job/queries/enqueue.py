"""Inserts new jobs, in a form that Rust workers can read."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

from hammerwork_cli.core.input.limits import MOST_PARENTS
from hammerwork_cli.core.values import FAILURES, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Names
from hammerwork_cli.database.unconnected import Unconnected
from hammerwork_cli.errors import (
    ConflictError,
    JobNotFoundError,
    LastingConflictError,
    RefusedValueError,
    RetryableError,
)
from hammerwork_cli.features.callbacks.model import CallbackState, NewCallback, Subject, announcing, writes_event
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.job import EnqueuedJob
from hammerwork_cli.features.job.models.new_job import COLUMNS, NewJob
from hammerwork_cli.features.job.options import wanted_job
from hammerwork_cli.features.job.queries import limits, unique
from hammerwork_cli.features.job.queries.dependencies import parent_statuses, reopen, state_of
from hammerwork_cli.features.job.queries.encryption import encoded_payload, refuse_plaintext, sealed_columns
from hammerwork_cli.features.job.queries.stored import IDENTITY, ExistingJob, compare, stored
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.tree.queries.release import RECURRING

ROWS_PER_STATEMENT = 500


def insert(database: Database, jobs: Sequence[NewJob]) -> int:
    """Inserts jobs, all or none, with many rows per statement. Returns their number."""

    def work() -> int:
        refuse_plaintext(database, jobs)  # before the encrypted ones among them are there
        _announce_trees(database, jobs)
        _count_for_own(database, jobs)
        written = 0
        for start in range(0, len(jobs), ROWS_PER_STATEMENT):
            rows, columns = _rows(database, jobs[start : start + ROWS_PER_STATEMENT])
            if len(rows) > 1:
                written += database.insert("job.enqueue.insert", rows, columns=columns)
            else:
                written += database.run("job.enqueue.insert", rows=rows, columns=columns)
        _add_callbacks(database, jobs)
        reopen(database, (job.workflow_id for job in jobs))
        events.jobs(database, EventType.JOB_ENQUEUED, [job.id for job in jobs])
        return written

    return database.transaction(work)


def many(database: Database, jobs: Sequence[NewJob]) -> dict[str, EnqueuedJob]:
    """Inserts jobs that may depend on each other, all or none. Those whose ids exist stay unchanged.

    Returns id -> the job as it is now.
    """
    by_id: dict[str, NewJob] = {}
    for job in jobs:
        limits.check(database, job)
        if by_id.setdefault(job.id, job) != job:
            raise LastingConflictError(f"Two different jobs have the id {job.id}.")
    _refuse_circles(by_id.values())

    unknown = {job.id for job in by_id.values() if job.is_new}

    def work() -> dict[str, EnqueuedJob]:
        known = stored(database, [one for one in by_id if one not in unknown])
        unknown.clear()  # another try looks for all
        for job, row in known.items():
            # In place of a parent that was not written, it may depend on the holder of its key.
            may_differ = any(by_id[one].unique for one in by_id[job].depends_on if one in by_id)
            compare(database, by_id[job], row, but={"depends_on"} if may_differ else frozenset())
        wanted = [job for job in by_id.values() if job.id not in known]
        held = unique.hold(database, wanted)
        new = unique.without(wanted, held) if held else wanted
        if held:
            _refuse_circles(new)
        written = {job.id for job in new}
        resolve_dependencies(database, new, {parent for job in new for parent in job.depends_on} - written)
        insert(database, new)
        unique.replace(database, wanted, held)
        placed = {job.id: _written(job) for job in new}
        placed.update((job, _found(job, row)) for job, row in known.items())
        placed.update(_holders(database, held))
        return placed

    return database.transaction(work)


def _refuse_circles(jobs: Collection[NewJob]) -> None:
    ids = {job.id for job in jobs}
    stuck = in_circle({job.id: ids.intersection(job.depends_on) for job in jobs})
    if stuck:
        raise LastingConflictError(f"Jobs wait for each other, among them {stuck}: none of them could run.")


def written(database: Unconnected, job: NewJob, style: str) -> tuple[str, tuple[Any, ...]]:
    """Returns a statement that inserts a job unless its id exists, and its parameters in the style of a driver."""
    limits.check(database, job)
    rows, columns = _rows(database, [job])
    return database.written("job.enqueue.insert_and_notify", style, job.payload, rows=rows, columns=columns)


def in_circle(waits: Mapping[str, Collection[str]]) -> str | None:
    """Returns the first job that waits for itself, directly or through others.

    Args:
        waits: id -> ids of the jobs that it waits for.
    """
    left = {job: set(others) for job, others in waits.items()}
    dependents: dict[str, list[str]] = {}
    for job, others in left.items():
        for other in others:
            dependents.setdefault(other, []).append(job)
    free = [job for job in {*dependents, *left} if not left.get(job)]
    while free:
        done = free.pop()
        for job in dependents.get(done, ()):
            left[job].discard(done)
            if not left[job]:
                free.append(job)
    return min((job for job, others in left.items() if others), default=None)


def resolve_dependencies(database: Database, jobs: Sequence[NewJob], external: Collection[str]) -> None:
    """Sets the ``dependency_status`` of jobs that are about to be inserted together.

    Args:
        database: an open transaction, which locks the parents.
        jobs: changed in place; they may depend on each other.
        external: ids of their other parents.
    """
    statuses = living_parents(database, external)
    siblings = {job.id: RECURRING if job.recurring else JobStatus.PENDING for job in jobs}
    for job in jobs:
        if job.depends_on:
            _refuse_recurring(parent for parent in job.depends_on if siblings.get(parent) == RECURRING)
            job.dependency_status = state_of(job.depends_on, statuses | siblings)


def living_parents(database: Database, parents: Collection[str]) -> dict[str, str]:
    """Locks the jobs that others are about to depend on; returns their statuses by id."""
    statuses = parent_statuses(database, parents) if parents else {}
    check_parents(parents, statuses)
    return statuses


def check_parents(parents: Collection[str], statuses: Mapping[str, str]) -> None:
    """Checks whether jobs may depend on others.

    Args:
        statuses: their statuses by id; recurring ones have :data:`RECURRING`, and missing ones none.
    """
    _refuse_recurring(parent for parent in parents if statuses.get(parent) == RECURRING)
    for parent in parents:
        status = statuses.get(parent)
        if status is None:
            raise JobNotFoundError(parent, "to depend on")
        if status in FAILURES:
            raise ConflictError(
                f"The job {parent} is {status}: a job that depends on it could not run.",
                hint=f"Retry it first: hammerwork job retry {parent}",
            )


def name_child(error: JobNotFoundError, children: Iterable[NewJob]) -> JobNotFoundError:
    """Returns an error of :func:`check_parents` that names the child that depends on the missing job."""
    for number, child in enumerate(children, 1):
        if error.job in child.depends_on:
            purpose = f"to depend on, as child {number} ({child.queue}) does: it is not among the children, either"
            return JobNotFoundError(error.job, purpose)
    return error


def _refuse_recurring(parents: Iterable[str]) -> None:
    for parent in parents:
        raise LastingConflictError(
            f"The job {parent} recurs and never completes: a job that depends on it could not run.",
            hint="Let each occurrence spawn the job instead.",
        )


def once(database: Database, job: NewJob) -> EnqueuedJob:
    """Inserts a job unless its id exists; an existing job stays unchanged.

    The transaction locks the parents, so that none can complete between the read of its status and the insert: the job
    is ``waiting`` only if one of them is still open.
    """
    limits.check(database, job)
    return database.transaction(lambda: _once(database, job))


def _once(database: Database, job: NewJob) -> EnqueuedJob:
    row = None if job.is_new else stored(database, [job.id]).get(job.id)
    if row is None:
        held = unique.hold(database, [job])
        if held:
            unique.replace(database, [job], held)
            return _holders(database, held)[job.id]
        job = _resolved(database, job)
        row = _insert_or_find(database, job)
        if row is None:
            return _written(job)
    compare(database, job, row)
    return _found(job.id, row)


def insert_new(database: Database, job: NewJob) -> bool:
    """Inserts a job unless its id exists; an existing job must have the same queue and payload.

    Returns whether it was inserted. Raises ConflictError if another job has its id.
    """
    row = _insert_or_find(database, job)
    if row is not None:
        compare(database, job, row, only=IDENTITY)
    return row is None


def _insert_or_find(database: Database, job: NewJob) -> ExistingJob | None:
    """Inserts a job, or returns the job that has its id. Wakes workers if the transaction is an application's."""
    refuse_plaintext(database, [job])
    _announce_trees(database, [job])
    _count_for_own(database, [job])
    rows, columns = _rows(database, [job])
    statement = "job.enqueue.insert_and_notify" if "borrowed" in database.tags else "job.enqueue.insert_once"
    if database.run_once(statement, rows=rows, columns=columns):
        _add_callbacks(database, [job])
        reopen(database, [job.workflow_id])
        events.jobs(database, EventType.JOB_ENQUEUED, [job.id])
        return None
    row = stored(database, [job.id], latest=True).get(job.id)
    if row is None:
        raise RetryableError(f"The job {job.id} was deleted while it was enqueued again.", hint="Try again.")
    return row


def _written(job: NewJob) -> EnqueuedJob:
    return EnqueuedJob(
        job.id,
        job.queue,
        created=True,
        status=job.status,
        priority=job.priority.word,
        scheduled_at=job.scheduled_at,
        depends_on=job.depends_on,
        dependency_status=job.dependency_status,
    )


def _holders(database: Database, held: Mapping[str, str]) -> dict[str, EnqueuedJob]:
    """The holders of keys, by the ids of the jobs that they keep from being written."""
    if not held:
        return {}
    rows = stored(database, sorted(set(held.values())), latest="borrowed" in database.tags)
    for holder in held.values():
        if holder not in rows:
            raise RetryableError(f"The job {holder} was deleted while another one wanted its key.", hint="Try again.")
    return {job: _found(holder, rows[holder]) for job, holder in held.items()}


def _found(job: str, row: ExistingJob) -> EnqueuedJob:
    return EnqueuedJob(
        job,
        row.queue,
        created=False,
        status=row.status,
        priority=row.priority,
        scheduled_at=row.scheduled_at,
        depends_on=row.depends_on,
        dependency_status=row.dependency_status,
    )


def _resolved(database: Database, job: NewJob) -> NewJob:
    """Returns the job with the ``dependency_status`` that follows from its parents."""
    if not job.depends_on:
        return job
    return replace(job, dependency_status=state_of(job.depends_on, living_parents(database, job.depends_on)))


_MADE = ("id", "queue", "payload", "status", "priority", "depends_on")
"""Fields whose values :func:`_row` converts."""
_USUAL = ("attempts", "max_attempts", "created_at", "scheduled_at", "dependency_status")
"""The other fields that every row has."""
_DEFAULTS = {one.name: one.default for one in fields(NewJob) if one.name in COLUMNS.keys() - {*_MADE, *_USUAL}}
"""Fields that few jobs fill -> their defaults, which are those of the table."""
_rare = attrgetter(*_DEFAULTS)
_NOTHING = {tuple(_DEFAULTS.values())}


def _rows(database: Database, jobs: Sequence[NewJob]) -> tuple[list[tuple[Any, ...]], Names]:
    """The rows to insert, and their columns: one that few jobs fill is there only if one of these does."""
    columns, others = _plain(_filled(jobs))
    encrypted = any(job.encryption for job in jobs)
    if encrypted:
        from hammerwork_cli.core.encryption import EncryptedColumns

        columns = Names((*columns, *EncryptedColumns._fields))
    nobody = stored_ids(database, ())
    return [_row(database, job, nobody, others, encrypted=encrypted) for job in jobs], columns


def _filled(jobs: Iterable[NewJob]) -> tuple[str, ...]:
    found = set(map(_rare, jobs))  # in C, since jobs may be many
    if found == _NOTHING:
        return ()
    fields_of_all = zip(_DEFAULTS.items(), zip(*found, strict=True), strict=True)
    return tuple([name for (name, usual), values in fields_of_all if {*values} != {usual}])


@cache
def _plain(few: tuple[str, ...]) -> tuple[Names, Callable[[NewJob], tuple[Any, ...]]]:
    """The columns of rows that fill these rare fields, and a reader of the values that are stored as they are."""
    plain = (*_USUAL, *few)
    columns = Names((*(COLUMNS[name] for name in _MADE), "dependents", *(COLUMNS[name] for name in plain)))
    return columns, attrgetter(*plain)


def _announce_trees(database: Database, jobs: Iterable[NewJob]) -> None:
    """Adds a callback to the roots of new trees that writes an event at the end of the tree, if somebody wants it."""
    for event in events.wanted(database, (EventType.TREE_COMPLETED, EventType.TREE_FAILED)):
        for job in jobs:
            is_root = not (job.depends_on or job.recurring or Ancestry.parse(job.ancestry))
            about = {"queue": job.queue, "priority": job.priority.word}
            if is_root and events.is_wanted(database, event, **about):
                new = announcing(event, **about)
                if not any(one.job == new.job for one in job.callbacks):  # the transaction may run again
                    job.callbacks = (*job.callbacks, new)


def announced(database: Database, event: EventType, name: str, jobs: Collection[NewJob]) -> list[NewCallback]:
    """The callback that writes an event at the end of a batch or a workflow of jobs, if somebody wants it.

    A batch or workflow with a recurring job never ends.
    """
    if any(job.recurring for job in jobs):
        return []
    about = {
        "queue": _only({job.queue for job in jobs}),
        "priority": _only({job.priority.word for job in jobs}),
    }
    return [announcing(event, name=name, **about)] if events.is_wanted(database, event, **about) else []


def _only(values: set[str]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None


def _add_callbacks(database: Database, jobs: Sequence[NewJob]) -> None:
    for job in jobs:
        if job.callbacks:
            add_callbacks(database, Subject.TREE, job.id, job.callbacks, job.created_at, jobs=1)


def _count_for_own(database: Database, jobs: Iterable[NewJob]) -> None:
    for job in jobs:
        if job.callbacks:
            count_for(database, job.id, [job])


def count_for(database: Database, subject_id: str, jobs: Iterable[NewJob], *, below: bool = True) -> None:
    """Lets whoever ends one of these jobs, which are about to be inserted, count it for callbacks.

    Args:
        below: whether to count what they spawn, too.
    """
    if not database.is_current:
        return
    counter = joins.counter_of(subject_id)
    for job in jobs:
        place = Ancestry.unplaced(job.ancestry)
        if counter not in place.joins + place.joined:
            inherited = place._replace(joins=(*place.joins, counter))
            job.ancestry = (inherited if below else place._replace(joined=(*place.joined, counter))).stored()


def add_callbacks(
    database: Database,
    subject: Subject,
    subject_id: str,
    callbacks: Sequence[NewCallback],
    now: datetime,
    *,
    jobs: int | None = None,
) -> None:
    """Adds callbacks in the transaction of the caller, which inserts their subject or has read it.

    Raises RefusedValueError if the database cannot store one of the jobs.

    Args:
        database: an open transaction.
        subject_id: the id of the batch or the workflow, or of the top of the tree.
        jobs: number of its jobs, all inserted after :func:`count_for`; by default, nobody counts them, and workers
            look now and then.
    """
    if not callbacks:
        return
    check_callbacks(database, callbacks, now)
    rows = [
        (one.id, str(subject), subject_id, str(one.event), one.job, str(CallbackState.OPEN), now, now, now)
        for one in callbacks
    ]
    database.insert("job.enqueue.add_callbacks", rows)
    if jobs is not None and database.is_current:
        joins.add_counter(database, subject_id, jobs, now)


def check_callbacks(database: Database, callbacks: Sequence[NewCallback], now: datetime) -> None:
    """Checks the jobs of new callbacks.

    Raises ConflictError: see :func:`refuse_plaintext`. Raises RefusedValueError if the database cannot store one.
    """
    for one in callbacks:
        if writes_event(one.job):
            continue
        job = wanted_job(json.loads(one.job)).made(now)
        job.plaintext_meant = one.plaintext_meant
        limits.check(database, job)
        refuse_plaintext(database, [job])


def _row(
    database: Database,
    job: NewJob,
    nobody: Sequence[str] | str,
    others: Callable[[NewJob], tuple[Any, ...]],
    *,
    encrypted: bool,
) -> tuple[Any, ...]:
    if len(job.depends_on) > MOST_PARENTS:
        raise RefusedValueError(f"A job can depend on at most {MOST_PARENTS:,} jobs, not on {len(job.depends_on):,}.")
    payload, sealed = sealed_columns(database, job) if encrypted else (encoded_payload(database, job), ())
    return (
        job.id,
        job.queue,
        payload,
        str(job.status),
        int(job.priority),
        stored_ids(database, job.depends_on),
        nobody,
        *others(job),
        *sealed,
    )


def stored_ids(database: Database, ids: Sequence[str]) -> Sequence[str] | str:
    """A list of ids as ``depends_on`` stores it: ``uuid[]`` or a JSON array."""
    if database.dialect == "postgresql":
        return database.ids(ids)
    # Ids have no characters that JSON escapes.
    return '["' + '","'.join(ids) + '"]' if ids else "[]"
