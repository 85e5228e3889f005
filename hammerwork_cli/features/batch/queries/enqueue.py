"""Enqueues batches: a row and all of its jobs in one transaction."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import IO, Any

from hammerwork_cli.core.input.problems import Problems
from hammerwork_cli.database import Database
from hammerwork_cli.errors import LastingConflictError, UsageError
from hammerwork_cli.features.batch.model import NewBatch
from hammerwork_cli.features.batch.queries.callbacks import delete_with_callbacks
from hammerwork_cli.features.callbacks.model import NewCallback, Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.job import EnqueuedJob
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue as enqueueing
from hammerwork_cli.features.job.queries import enqueue_lines, notifications
from hammerwork_cli.features.job.queries.stored import stored

MOST_JOBS = 100_000
"""Jobs of a batch, which are written in one transaction."""


def enqueue(
    database: Database,
    batch: NewBatch,
    jobs: Sequence[NewJob],
    now: datetime,
    callbacks: Sequence[NewCallback] = (),
) -> dict[str, EnqueuedJob]:
    """Inserts a batch with its jobs, all or none. A batch with the same id that exists stays unchanged.

    Returns id of a job -> the job as it is now; empty if the batch existed. Raises NotFoundError if a job depends on
    one that does not exist. Raises ConflictError: see :func:`many` of job/queries/enqueue; or a job already
    exists, or another batch has the id. Raises RefusedValueError if the database cannot store a job. Raises
    MissingTablesError if there are callbacks, and migration 025 is missing.

    Args:
        jobs: they may depend on each other.
    """
    if not 1 <= len(jobs) <= MOST_JOBS:
        raise UsageError(f"A batch has 1 to {MOST_JOBS:,} jobs, not {len(jobs):,}.")
    if repeated := [job for job, times in Counter(job.id for job in jobs).items() if times > 1]:
        raise UsageError(
            f"The job {repeated[0]} is in the batch twice.", hint="It would be stored once. Make a job for each."
        )
    if callbacks and any(job.recurring for job in jobs):
        raise UsageError("A recurring job never ends, so its batch cannot have callbacks.")
    ours = [replace(job, batch_id=batch.id) for job in jobs]

    def work() -> dict[str, EnqueuedJob]:
        row = {"id": batch.id, "name": batch.name, "total": len(ours), "now": now}
        if not database.run_once("batch.enqueue.insert", **row):
            _compare(database, batch, len(ours), callbacks)
            return {}
        every = (*callbacks, *enqueueing.announced(database, EventType.BATCH_ENDED, batch.name, ours))
        if every:
            enqueueing.count_for(database, batch.id, ours, below=False)
        placed = enqueueing.many(database, ours)
        for job in placed.values():
            if not job.created:
                raise LastingConflictError(f"The job {job.id} already exists, outside of this batch.")
        enqueueing.add_callbacks(database, Subject.BATCH, batch.id, every, now, jobs=len(ours))
        notifications.notify(database, {job.queue for job in ours})
        return placed

    return database.transaction(work)


def written(database: Database, batch: NewBatch, jobs: Sequence[NewJob]) -> dict[str, EnqueuedJob]:
    """The jobs if they are those of the batch that exists, else none: a try whose answer was lost has written them."""
    ids = {job.id for job in jobs}
    if stored(database, list(ids)).keys() != ids:
        return {}
    return enqueueing.many(database, [replace(job, batch_id=batch.id) for job in jobs])


def jobs_of(
    database: Database,
    file: IO[bytes],
    defaults: Mapping[str, Any],
    now: datetime,
    problems: Problems,
    report: Callable[[int], None] = lambda _: None,
) -> list[NewJob]:
    """Reads the jobs of a file of JSON lines; :func:`enqueue_lines.valid` has the arguments and further errors.

    Args:
        report: called after each job with the number of those that were read.
    """
    jobs: list[NewJob] = []
    for _, job in enqueue_lines.valid(database, file, defaults, now, problems):
        if len(jobs) == MOST_JOBS:
            raise UsageError(f"The file has more than {MOST_JOBS:,} jobs.", hint="Make several batches of it.")
        jobs.append(job)
        report(len(jobs))
    return jobs


def _compare(database: Database, batch: NewBatch, jobs: int, callbacks: Sequence[NewCallback]) -> None:
    row = database.rows("batch.enqueue.stored", id=batch.id)[0]
    compare_rows(Subject.BATCH, batch.id, row, {"name": batch.name, "number of jobs": jobs})
    compare_callbacks(database, Subject.BATCH, batch.id, callbacks)


def compare_rows(subject: Subject, subject_id: str, row: Sequence[Any], wanted: Mapping[str, Any]) -> None:
    """Compares the row of a batch or a workflow that exists with the one that it is to have.

    Raises ConflictError if one differs.

    Args:
        wanted: name of a value -> the value, in the order of the row.
    """
    differs = [name for (name, value), stored in zip(wanted.items(), row, strict=True) if value != stored]
    if differs:
        raise LastingConflictError(
            f"There is another {subject} {subject_id}, with a different {', '.join(differs)}.",
            hint=f"See: hammerwork {subject} show {subject_id}",
        )


def compare_callbacks(database: Database, subject: Subject, subject_id: str, callbacks: Sequence[NewCallback]) -> None:
    """Compares the callbacks of a batch or a workflow that exists with those that it is to have.

    Raises ConflictError if one is missing.
    """
    has = callbacks_of(database, subject, subject_id)
    for callback in callbacks:
        if not any(one.is_same(callback) for one in has):
            raise LastingConflictError(
                f"The {subject} {subject_id} already exists, without this callback on {callback.event}.",
                hint=f"See: hammerwork {subject} show {subject_id}",
            )


def delete_empty(database: Database, batch: str) -> bool:
    """Deletes the row of a batch unless it has jobs that are not archived; returns whether it did."""
    return delete_with_callbacks(database, "batch.enqueue.delete", Subject.BATCH, batch)
