"""Reads workflows, counts their jobs, and reads the graph that these form."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hammerwork_cli.core.values import FAILED_SPELLINGS, FAILURES, FINISHED, Counts, Timestamp, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import LastingConflictError
from hammerwork_cli.features.batch.queries.listing import groups
from hammerwork_cli.features.batch.queries.reader import EndWatch, RowReader
from hammerwork_cli.features.callbacks.model import Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of
from hammerwork_cli.features.job.queries.listing import containing
from hammerwork_cli.features.spawn.queries.failures import failures
from hammerwork_cli.features.tree.queries import tree
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.workflow.model import StoredWorkflow, WorkflowDetails, WorkflowStatus, own_metadata

MOST_JOBS = 100_000
"""Jobs of a workflow that are read in order to draw it."""


def find(
    database: Database,
    *,
    statuses: Collection[str] = (),
    name: str | None = None,
    since: datetime | None = None,
    limit: int,
    cursor: str | None = None,
) -> Iterator[StoredWorkflow]:
    """Yields workflows, newest first.

    Raises UsageError if the cursor is not valid. Raises NotFoundError if the cursor is the id of a workflow that does
    not exist.

    Args:
        statuses: takes workflows in one of these statuses, which are counted; empty for all.
        name: takes workflows with this text in their name, in any letter case; ``*`` in it stands for any text.
        cursor: ``CREATED_AT/ID`` of the last workflow of the page before, or its id.
    """
    pattern = None if name is None else containing(name)
    accepts = (lambda found: found.status in statuses) if statuses else None
    return _READER.find(database, limit=limit, cursor=cursor, accepts=accepts, name=pattern, since=since)


def joinable(database: Database, text: str) -> StoredWorkflow:
    """The workflow that a job may join, by its id or a unique prefix.

    Raises UsageError, NotFoundError or AmbiguousIdError: see :func:`resolve`. Raises ConflictError if it is cancelled.
    """
    found = one(database, resolve(database, text))
    if found.stored_status == WorkflowStatus.CANCELLED:
        raise LastingConflictError(
            f"The workflow {found.id} is cancelled, so no job can join it.",
            hint=f"To let it run again: hammerwork job retry --workflow {found.id} --cancelled",
        )
    return found


def watch(database: Database, text: str) -> EndWatch[StoredWorkflow]:
    """Watches the workflow with this id or unique prefix until it has ended, or only a decision is missing.

    Raises UsageError, NotFoundError or AmbiguousIdError: see :func:`resolve`.
    """
    return EndWatch(database, _READER, text, _has_ended)


def _has_ended(found: StoredWorkflow) -> bool:
    if found.status == WorkflowStatus.CANCELLED:
        return not found.counts.open
    only_waiting = found.counts.open == found.waiting
    return found.status != WorkflowStatus.RUNNING or (found.needs_decision and only_waiting)


def details(database: Database, workflow: str, *, limit: int) -> WorkflowDetails:
    """Everything about a workflow except its graph, in one snapshot.

    Raises NotFoundError if it does not exist.
    """
    with database.snapshot():
        found, metadata = _READER.with_metadata(database, workflow)
        return WorkflowDetails(
            workflow=found,
            groups=groups(database, workflow=workflow),
            failures=failures(database, limit=limit, workflow=workflow),
            metadata=own_metadata(metadata),
            callbacks=callbacks_of(database, Subject.WORKFLOW, workflow),
        )


def graph(database: Database, workflow: str) -> SpawnTree:
    """The jobs of a workflow, at most :data:`MOST_JOBS`, as the trees that they form among themselves."""
    with database.snapshot():
        values = {"id": workflow, "failed": FAILED_SPELLINGS, "limit": MOST_JOBS}
        statements = ("workflow.listing.jobs", *(("workflow.listing.archived_jobs",) if database.is_current else ()))
        jobs = [str(job) for statement in statements for (job,) in database.rows(statement, **values)]
        return tree.among(database, jobs[:MOST_JOBS])


def counted(database: Database, workflows: Sequence[StoredWorkflow]) -> list[StoredWorkflow]:
    """Workflows with their jobs counted, in the same order."""
    counts: dict[str, Counts] = {one.id: Counts() for one in workflows}
    waiting: dict[str, int] = {}
    ends: dict[str, list[Timestamp]] = {}
    failed: dict[str, list[Timestamp]] = {}
    archived = ("workflow.listing.archived_counts",) if database.is_current else ()
    for statement in ("workflow.listing.counts", *archived) if counts else ():
        for workflow, stored, state, jobs, end in database.rows(statement, ids=list(counts)):
            of, status = str(workflow), status_of(stored)
            counts[of].add(status, jobs)
            if status in FINISHED:
                ends.setdefault(of, []).append(end)
                if status in FAILURES and state != "failed":
                    failed.setdefault(of, []).append(end)
            elif state == "waiting":
                waiting[of] = waiting.get(of, 0) + jobs
    return [
        replace(
            one,
            counts=counts[one.id],
            waiting=waiting.get(one.id, 0),
            last_end=_last(ends.get(one.id, ())),
            last_failure=_last(failed.get(one.id, ())),
        )
        for one in workflows
    ]


def read(row: Sequence[Any]) -> StoredWorkflow:
    """The workflow in a row, whose jobs are not counted yet."""
    workflow, *columns = row
    return StoredWorkflow(str(workflow), *columns)


def _last(ends: Sequence[Timestamp]) -> datetime | None:
    return max((known for end in ends if (known := timestamp(end))), default=None)


_READER = RowReader(
    noun="workflow",
    table="hammerwork_workflows",
    listing="workflow.listing.list",
    row="workflow.listing.one",
    prefix="workflow.listing.by_prefix",
    counted=lambda database, rows: counted(database, [read(row) for row in rows]),
)
one, resolve = _READER.one, _READER.resolve
