"""Reads batches and counts their jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hammerwork_cli.core.values import Counts, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.features.batch.model import BatchDetails, StoredBatch
from hammerwork_cli.features.batch.queries.reader import EndWatch, RowReader
from hammerwork_cli.features.callbacks.model import Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of
from hammerwork_cli.features.job.models.plan import JobGroup
from hammerwork_cli.features.job.queries.groups import archives_groups
from hammerwork_cli.features.job.queries.selections import groups_of
from hammerwork_cli.features.spawn.queries.failures import failures


def find(
    database: Database, *, since: datetime | None = None, limit: int, cursor: str | None = None
) -> Iterator[StoredBatch]:
    """Yields batches, newest first.

    Raises UsageError if the cursor is not valid. Raises NotFoundError if the cursor is the id of a batch that does not
    exist.

    Args:
        cursor: ``CREATED_AT/ID`` of the last batch of the page before, or its id.
    """
    return _READER.find(database, limit=limit, cursor=cursor, since=since)


def watch(database: Database, text: str) -> EndWatch[StoredBatch]:
    """Watches the batch with this id or unique prefix until all of its jobs have ended.

    Raises UsageError, NotFoundError or AmbiguousIdError: see :func:`resolve`.
    """
    return EndWatch(database, _READER, text, lambda found: not found.counts.open)


def details(database: Database, batch: str, *, limit: int) -> BatchDetails:
    """Everything about a batch, in one snapshot.

    Raises NotFoundError if it does not exist.
    """
    with database.snapshot():
        found, metadata = _READER.with_metadata(database, batch)
        return BatchDetails(
            batch=found,
            groups=groups(database, batch=batch),
            failures=failures(database, limit=limit, batch=batch),
            metadata=metadata,
            callbacks=callbacks_of(database, Subject.BATCH, batch),
        )


def groups(database: Database, *, batch: str | None = None, workflow: str | None = None) -> list[JobGroup]:
    """The jobs of a batch or a workflow by queue and status, archived ones too."""
    queues: dict[str, Counts] = {}
    archived = ("batch.listing.archived_groups",) if archives_groups(database, workflow) else ()
    for statement in ("batch.listing.groups", *archived):
        for queue, status, jobs in database.rows(statement, batch=batch, workflow=workflow):
            queues.setdefault(queue, Counts()).add(status_of(status), jobs)
    return groups_of(queues)


def _counted(database: Database, rows: Sequence[Sequence[Any]]) -> list[StoredBatch]:
    batches = [_batch(row) for row in rows]
    counts: dict[str, Counts] = {batch.id: Counts() for batch in batches}
    archived = ("batch.listing.archived_counts",) if "archive" in database.tags else ()
    for statement in ("batch.listing.counts", *archived) if counts else ():
        for batch, status, jobs in database.rows(statement, ids=list(counts)):
            counts[str(batch)].add(status_of(status), jobs)
    return [replace(batch, counts=counts[batch.id]) for batch in batches]


def _batch(row: Sequence[Any]) -> StoredBatch:
    batch, name, total, failure_mode, created_at = row
    return StoredBatch(str(batch), name, total, failure_mode.strip('"'), created_at)


_READER = RowReader(
    noun="batch",
    table="hammerwork_batches",
    listing="batch.listing.list",
    row="batch.listing.one",
    prefix="batch.listing.by_prefix",
    counted=_counted,
)
one, resolve = _READER.one, _READER.resolve
