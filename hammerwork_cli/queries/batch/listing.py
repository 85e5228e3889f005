"""Reads batches and counts their jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.models import Counts, JobGroup, status_of
from hammerwork_cli.models.batch.batches import Batch, BatchDetails
from hammerwork_cli.models.batch.watches import Subject, Watch
from hammerwork_cli.queries.graph import cursors
from hammerwork_cli.queries.job.listing import by_prefix
from hammerwork_cli.queries.job.selections import groups_of
from hammerwork_cli.queries.spawn.failures import failures

PAGE = 100
"""Batches whose jobs are counted by one statement."""
LIST_BATCHES = "List them with: hammerwork batch list"


def find(
    database: Database, *, since: datetime | None = None, limit: int, cursor: str | None = None
) -> Iterator[Batch]:
    """Yields batches, newest first.

    Args:
        since: takes batches created then or later.
        limit: the most batches.
        cursor: ``CREATED_AT/ID`` of the last batch of the page before, or its id.

    Raises:
        UsageError: the cursor is not valid.
        NotFoundError: the cursor is the id of a batch that does not exist.
    """
    if "hammerwork_batches" not in database.schema:
        return
    at, after = cursors.split(cursor) if cursor else (None, None)
    if after is not None and at is None:
        at = one(database, after).created_at  # type: ignore[assignment]  # a driver's time is a value of a statement
    while limit > 0:
        rows = database.rows("batch.listing.list", since=since, at=at, after=after, limit=min(limit, PAGE))
        page = counted(database, [_batch(row) for row in rows])
        yield from page
        limit -= len(page)
        if len(page) < PAGE:
            return
        at, after = rows[-1][4], page[-1].id


def one(database: Database, batch: str) -> Batch:
    """A batch by its full id.

    Raises:
        NotFoundError: it does not exist.
    """
    *columns, _ = _row(database, batch)
    return counted(database, [_batch(columns)])[0]


def details(database: Database, batch: str, *, limit: int) -> BatchDetails:
    """Everything about a batch, in one snapshot.

    Args:
        batch: a full id.
        limit: the most errors.

    Raises:
        NotFoundError: it does not exist.
    """
    with database.snapshot():
        *columns, metadata = _row(database, batch)
        return BatchDetails(
            batch=counted(database, [_batch(columns)])[0],
            groups=groups(database, batch=batch),
            failures=failures(database, limit=limit, batch=batch),
            metadata=metadata,
            watches=watches_of(database, Subject.BATCH, batch),
        )


def groups(database: Database, *, batch: str | None = None, workflow: str | None = None) -> list[JobGroup]:
    """The jobs of a batch or a workflow by queue and status, archived ones too."""
    queues: dict[str, Counts] = {}
    archived = "archive" in database.tags and (workflow is None or "retention" in database.tags)
    for statement in ("batch.listing.groups", *(("batch.listing.archived_groups",) if archived else ())):
        for queue, status, jobs in database.rows(statement, batch=batch, workflow=workflow):
            queues.setdefault(queue, Counts()).add(status_of(status), jobs)
    return groups_of(queues)


def counted(database: Database, batches: Sequence[Batch]) -> list[Batch]:
    """Batches with their jobs counted, in the same order."""
    counts: dict[str, Counts] = {batch.id: Counts() for batch in batches}
    if counts:
        archived = ("batch.listing.archived_counts",) if "archive" in database.tags else ()
        for statement in ("batch.listing.counts", *archived):
            for batch, status, jobs in database.rows(statement, ids=list(counts)):
                counts[str(batch)].add(status_of(status), jobs)
    return [replace(batch, counts=counts[batch.id]) for batch in batches]


def watches_of(database: Database, subject: Subject, of: str) -> list[Watch]:
    """The watches of a batch or a tree; none without migration 025."""
    if "watches" not in database.tags:
        return []
    return [read_watch(row) for row in database.rows("batch.watches.of_subject", subject=str(subject), id=of)]


def read_watch(row: Sequence[Any]) -> Watch:
    """The watch in a row."""
    watch = Watch._make(row)
    return watch._replace(id=str(watch.id), subject_id=str(watch.subject_id))


def resolve(database: Database, text: str) -> str:
    """The full id of a batch, by its id or a unique prefix.

    Raises:
        UsageError: the text is not 4 to 32 hex digits.
        NotFoundError: no batch has such an id.
        AmbiguousIdError: several batches have; the details list them.
    """
    statements = ["batch.listing.by_prefix"] if "hammerwork_batches" in database.schema else []
    return by_prefix(database, text, statements, noun="batch", hint=LIST_BATCHES)


def _row(database: Database, batch: str) -> tuple[Any, ...]:
    known = "hammerwork_batches" in database.schema
    row = database.row("batch.listing.one", id=batch) if known else None
    if row is None:
        raise NotFoundError(f"The batch {batch} does not exist.", hint=LIST_BATCHES)
    return row


def _batch(row: Sequence[Any]) -> Batch:
    batch, name, total, failure_mode, created_at = row
    return Batch(str(batch), name, total, failure_mode.strip('"'), created_at)
