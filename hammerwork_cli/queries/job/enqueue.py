"""Writing new jobs, the way the original's workers want to read them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import eq
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.errors import (
    ConflictError,
    JobNotFoundError,
    LastingConflictError,
    RefusedValueError,
    RetryableError,
)
from hammerwork_cli.models import FAILURES, EnqueuedJob, JobStatus, NewJob, id_list, priority_word, status_of
from hammerwork_cli.models.limits import MOST_PARENTS
from hammerwork_cli.models.payloads import unpacked
from hammerwork_cli.queries.graph.release import RECURRING
from hammerwork_cli.queries.job import limits
from hammerwork_cli.queries.job.dependencies import parent_statuses, state_of

ROWS_A_STATEMENT = 500
_COMPARED = ("queue", "max_attempts", "timeout", "trace_id", "correlation_id", "cron_schedule", "timezone")
"""Columns in which a second enqueue under the same id must be like the first; the due time changes with attempts."""


def insert(database: Database, jobs: Sequence[NewJob]) -> int:
    """Inserts jobs, many rows a statement, all or none.

    Returns:
        How many.

    Raises:
        RefusedValueError: a job has too many parents, or the database refuses a value.
    """

    def work() -> int:
        written = 0
        for start in range(0, len(jobs), ROWS_A_STATEMENT):
            written += _insert(database, "job.enqueue.insert", jobs[start : start + ROWS_A_STATEMENT])
        return written

    return database.transaction(work)


def many(database: Database, jobs: Sequence[NewJob]) -> dict[str, EnqueuedJob]:
    """Inserts jobs that may depend on each other, all or none; those that are there already stay as they are.

    Returns:
        Each as it is now, by its id.

    Raises:
        JobNotFoundError: one depends on a job that does not exist.
        ConflictError: one depends on a job that failed or recurs, or on itself by way of others; or another job has its
            id, here or in the database.
        RefusedValueError: the database cannot hold one.
    """
    by_id: dict[str, NewJob] = {}
    for job in jobs:
        limits.check(database, job)
        if by_id.setdefault(job.id, job) != job:
            raise LastingConflictError(f"Two different jobs have the id {job.id}.")
    stuck = in_circle({job.id: {*job.depends_on} & by_id.keys() for job in by_id.values()})
    if stuck:
        raise LastingConflictError(f"Jobs wait for each other, among them {stuck}: none of them would ever run.")

    def work() -> dict[str, EnqueuedJob]:
        known = stored(database, list(by_id))
        for job, row in known.items():
            _compare(by_id[job], row)
        new = [job for job in by_id.values() if job.id not in known]
        written = {job.id for job in new}
        settle(database, new, {parent for job in new for parent in job.depends_on} - written)
        insert(database, new)
        return {job.id: _found(job, known[job.id]) if job.id in known else _written(job) for job in by_id.values()}

    try:
        return database.transaction(work)
    except RefusedValueError:
        # Perhaps somebody wrote one of them meanwhile: now it is there, and is compared.
        if not stored(database, list(by_id)):
            raise
        return database.transaction(work)


def in_circle(waits: Mapping[str, Collection[str]]) -> str | None:
    """The first of the jobs that wait, directly or not, for themselves; of each, what it waits for is given."""
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


def settle(database: Database, jobs: Sequence[NewJob], external: Collection[str]) -> None:
    """Gives jobs that are about to be inserted together the ``dependency_status`` that their parents give them.

    Args:
        database: where, in a transaction: the parents are locked.
        jobs: changed in place; they may depend on each other.
        external: what they depend on besides.

    Raises:
        JobNotFoundError: a job in ``external`` does not exist.
        ConflictError: it failed; or one that recurs is waited for, here or there.
    """
    statuses = living_parents(database, external)
    siblings = {job.id: RECURRING if job.recurring else JobStatus.PENDING for job in jobs}
    for job in jobs:
        if job.depends_on:
            _refuse_recurring(parent for parent in job.depends_on if siblings.get(parent) == RECURRING)
            job.dependency_status = state_of(job.depends_on, statuses | siblings)


def living_parents(database: Database, parents: Collection[str]) -> dict[str, str]:
    """Status by id of jobs that others are about to depend on, locked.

    Raises:
        JobNotFoundError: one does not exist.
        ConflictError: one failed, or recurs.
    """
    statuses = parent_statuses(database, parents) if parents else {}
    _refuse_recurring(parent for parent in parents if statuses.get(parent) == RECURRING)
    for parent in parents:
        status = statuses.get(parent)
        if status is None:
            raise JobNotFoundError(parent, "to depend on")
        if status in FAILURES:
            raise ConflictError(
                f"The job {parent} is {status}: what depends on it would never run.",
                hint=f"Run it again first: hammerwork job retry {parent}",
            )
    return statuses


def _refuse_recurring(parents: Iterable[str]) -> None:
    for parent in parents:
        raise LastingConflictError(
            f"The job {parent} recurs and never completes: what depends on it would never run.",
            hint="Let each of its runs spawn the job instead.",
        )


def once(database: Database, job: NewJob) -> EnqueuedJob:
    """Inserts a job unless there is one with its id, which is then left as it is.

    The parents are locked while it happens: the job is ``waiting`` only if one of them has yet to complete,
    and none can complete unnoticed.

    Raises:
        JobNotFoundError: it depends on a job that does not exist.
        ConflictError: it depends on a job that failed or recurs, or another job has its id.
        RefusedValueError: the database cannot hold it.
    """
    limits.check(database, job)
    return database.transaction(lambda: _once(database, job))


def _once(database: Database, job: NewJob) -> EnqueuedJob:
    row = stored(database, [job.id]).get(job.id)
    if row is None:
        job = _settled(database, job)
        row = _insert_or_find(database, job)
        if row is None:
            return _written(job)
    _compare(job, row)
    return _found(job, row)


def insert_new(database: Database, job: NewJob, *, but: str) -> bool:
    """Inserts a job unless there is one with its id, which must be the same in all ``but`` one field.

    Returns:
        Whether it was inserted.

    Raises:
        ConflictError: another job has its id.
    """
    row = _insert_or_find(database, job)
    if row is not None:
        _compare(job, row, but=but)
    return row is None


def _insert_or_find(database: Database, job: NewJob) -> Row | None:
    """What is stored under a job's id; nothing if it was inserted."""
    if _insert(database, "job.enqueue.insert_once", [job]):
        return None
    row = stored(database, [job.id]).get(job.id)
    if row is None:
        raise RetryableError(f"The job {job.id} was there and was deleted at the same moment.", hint="Try again.")
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


def _found(job: NewJob, row: Row) -> EnqueuedJob:
    status, _, parents, priority, scheduled_at, dependency_status, queue, *_ = row
    return EnqueuedJob(
        job.id,
        queue,
        created=False,
        status=status_of(status),
        priority=priority_word(priority),
        scheduled_at=scheduled_at,
        depends_on=id_list(parents),
        dependency_status=dependency_status,
    )


def stored(database: Database, jobs: Sequence[str]) -> dict[str, Row]:
    """The statement's columns, the last of which are ``_COMPARED``, of those jobs that exist, archived or not."""
    found: dict[str, Row] = {}
    for part in chunks(sorted(jobs), database.key_chunk):
        found |= {str(job): tuple(row) for job, *row in database.rows("job.enqueue.stored", ids=database.ids(part))}
        missing = [job for job in part if job not in found]
        if missing and "archive" in database.tags:
            for job, status, payload, *rest in database.rows("job.enqueue.archived_stored", ids=missing):
                found[str(job)] = (status, unpacked(payload), *rest)
    return found


def _compare(job: NewJob, row: Row, *, but: str = "") -> None:
    status, payload, parents, priority, _, _, *facts, cron_schedule, timezone = row
    columns = (*facts, *_recurrence(cron_schedule, timezone))
    recurrence = _recurrence(job.cron_schedule, job.timezone)
    asked = (job.queue, job.max_attempts, job.timeout_seconds, job.trace_id, job.correlation_id, *recurrence)
    same = dict(zip(_COMPARED, map(eq, columns, asked), strict=True))
    same["priority"] = priority_word(priority) == job.priority.word
    same |= {"payload": _same_json(payload, job.payload), "depends_on": {*id_list(parents)} == {*job.depends_on}}
    differs = ", ".join(name for name, is_same in same.items() if not is_same and name != but)
    if differs:
        raise LastingConflictError(
            f"There is another job {job.id} ({columns[0]}, {status_of(status)}) with a different {differs}.",
            hint=f"See: hammerwork job show {job.id}",
        )


def _recurrence(cron_schedule: str | None, timezone: str | None) -> tuple[str | None, str | None]:
    return (cron_schedule, timezone or "UTC") if cron_schedule else (None, None)


def _same_json(one: str | None, other: str) -> bool:
    if one is None:
        return False
    try:
        same: bool = json.loads(one) == json.loads(other)
    except (ValueError, RecursionError):
        return one == other
    return same


def _settled(database: Database, job: NewJob) -> NewJob:
    """The job with the ``dependency_status`` that its parents give it."""
    if not job.depends_on:
        return job
    return replace(job, dependency_status=state_of(job.depends_on, living_parents(database, job.depends_on)))


def _insert(database: Database, statement: str, jobs: Sequence[NewJob]) -> int:
    rare = any(_is_rare(job) for job in jobs)
    strategies = any(job.retry_strategy is not None for job in jobs)
    if strategies:
        _check_strategies(database)
    columns = {"rare": rare, "strategies": strategies, "ancestries": any(job.ancestry for job in jobs)}
    nobody = stored_ids(database, ())
    rows = [_row(database, job, nobody, **columns) for job in jobs]
    if len(rows) > 1:
        return database.insert(statement, rows, **columns)
    return database.run(statement, rows=rows, **columns)


def _check_strategies(database: Database) -> None:
    if "workers" in database.tags:
        return
    database.forget_schema()  # it may have been migrated since
    if "workers" not in database.tags:
        raise RefusedValueError(
            "This database has no place yet for the retry strategy of a job (017).",
            hint=f"{MIGRATE}, or leave it to the worker.",
        )


def _is_rare(job: NewJob) -> bool:
    """Whether a job fills columns that few do: the fewer columns are sent, the faster many jobs are written."""
    return job.recurring or job.result_storage != "none" or (job.started_at or job.failed_at) is not None


def _row(
    database: Database, job: NewJob, nobody: str, *, rare: bool, strategies: bool, ancestries: bool
) -> tuple[Any, ...]:
    if len(job.depends_on) > MOST_PARENTS:
        raise RefusedValueError(f"A job may depend on {MOST_PARENTS:,} jobs at most, not on {len(job.depends_on):,}.")
    row: tuple[Any, ...] = (
        job.id,
        job.queue,
        job.payload,
        str(job.status),
        int(job.priority),
        job.attempts,
        job.max_attempts,
        job.timeout_seconds,
        job.created_at,
        job.scheduled_at,
        stored_ids(database, job.depends_on),
        nobody,
        job.dependency_status,
        job.workflow_id,
        job.workflow_name,
        job.trace_id,
        job.correlation_id,
        job.parent_span_id,
        job.span_context,
    )
    if rare:
        row += (
            job.started_at,
            job.completed_at,
            job.failed_at,
            job.error_message,
            job.cron_schedule,
            job.timezone,
            job.recurring,
            job.next_run_at,
            job.result_storage,
            job.result_ttl_seconds,
            job.result_max_size_bytes,
        )
    if strategies:
        row += (job.retry_strategy,)
    return (*row, job.ancestry) if ancestries else row


def stored_ids(database: Database, ids: Sequence[str]) -> str:
    """A list of ids as ``depends_on`` wants it: ``uuid[]`` or a JSON array."""
    if database.dialect == "postgresql" and "jsonb" not in database.tags:
        return "{" + ",".join(ids) + "}"
    # Ids hold nothing that JSON escapes.
    return '["' + '","'.join(ids) + '"]' if ids else "[]"
