"""Reads workflows, counts their jobs, and reads the graph that these form."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import LastingConflictError, NotFoundError
from hammerwork_cli.models import FAILURES, FINISHED, Counts, SpawnTree, Timestamp, status_of, timestamp
from hammerwork_cli.models.batch.watches import Subject
from hammerwork_cli.models.values import FAILED_SPELLINGS
from hammerwork_cli.models.workflow.workflows import Workflow, WorkflowDetails, WorkflowStatus
from hammerwork_cli.queries.batch.listing import groups, watches_of
from hammerwork_cli.queries.graph import cursors, tree
from hammerwork_cli.queries.job.listing import by_prefix, containing
from hammerwork_cli.queries.spawn.failures import failures

PAGE = 100
"""Workflows whose jobs are counted by one statement."""
MOST_JOBS = 100_000
"""Jobs of a workflow that are read in order to draw it."""
LIST_WORKFLOWS = "List them with: hammerwork workflow list"


def find(
    database: Database,
    *,
    statuses: Collection[str] = (),
    name: str | None = None,
    since: datetime | None = None,
    limit: int,
    cursor: str | None = None,
) -> Iterator[Workflow]:
    """Yields workflows, newest first.

    Args:
        statuses: takes workflows in one of these statuses, which are counted; empty for all.
        name: takes workflows with this text in their name, in any letter case; ``*`` in it stands for any text.
        since: takes workflows created then or later.
        limit: the most workflows.
        cursor: ``CREATED_AT/ID`` of the last workflow of the page before, or its id.

    Raises:
        UsageError: the cursor is not valid.
        NotFoundError: the cursor is the id of a workflow that does not exist.
    """
    if "hammerwork_workflows" not in database.schema:
        return
    at, after = cursors.split(cursor) if cursor else (None, None)
    if after is not None and at is None:
        at = one(database, after).created_at  # type: ignore[assignment]  # a driver's time is a value of a statement
    pattern = None if name is None else containing(name)
    while limit > 0:
        size = PAGE if statuses else min(limit, PAGE)
        rows = database.rows("workflow.listing.list", name=pattern, since=since, at=at, after=after, limit=size)
        page = counted(database, [read(row) for row in rows])
        wanted = [one for one in page if not statuses or one.status in statuses][:limit]
        yield from wanted
        limit -= len(wanted)
        if len(page) < size:
            return
        at, after = page[-1].created_at, page[-1].id  # type: ignore[assignment]  # as above


def one(database: Database, workflow: str) -> Workflow:
    """A workflow by its full id.

    Raises:
        NotFoundError: it does not exist.
    """
    *columns, _ = _row(database, workflow)
    return counted(database, [read(columns)])[0]


def joinable(database: Database, text: str) -> Workflow:
    """The workflow that a job may join, by its id or a unique prefix.

    Raises:
        UsageError, NotFoundError, AmbiguousIdError: see :func:`resolve`.
        ConflictError: it is cancelled.
    """
    found = one(database, resolve(database, text))
    if found.stored_status == WorkflowStatus.CANCELLED:
        raise LastingConflictError(
            f"The workflow {found.id} is cancelled, so no job can join it.",
            hint=f"To let it run again: hammerwork workflow retry {found.id} --cancelled",
        )
    return found


class WorkflowWatch:
    """Watches a workflow until it has ended.

    Attributes:
        found: the workflow as last read.
    """

    def __init__(self, database: Database, text: str) -> None:
        self._database = database
        self.found = one(database, resolve(database, text))

    def connected(self, database: Database) -> None:
        """Continues with another connection."""
        self._database = database

    def look(self) -> bool:
        """Reads the workflow; returns whether nothing more can happen unless somebody steps in."""
        self.found = found = one(self._database, self.found.id)
        if found.status == WorkflowStatus.CANCELLED:
            return not found.open
        only_waiting = found.open == found.waiting
        return found.status != WorkflowStatus.RUNNING or (found.needs_decision and only_waiting)


def details(database: Database, workflow: str, *, limit: int) -> WorkflowDetails:
    """Everything about a workflow but its graph, in one snapshot.

    Args:
        workflow: a full id.
        limit: the most errors.

    Raises:
        NotFoundError: it does not exist.
    """
    with database.snapshot():
        *columns, metadata = _row(database, workflow)
        return WorkflowDetails(
            workflow=counted(database, [read(columns)])[0],
            groups=groups(database, workflow=workflow),
            failures=failures(database, limit=limit, workflow=workflow),
            metadata=metadata,
            watches=watches_of(database, Subject.WORKFLOW, workflow),
        )


def graph(database: Database, workflow: str) -> SpawnTree:
    """The jobs of a workflow, at most :data:`MOST_JOBS`, as the trees that they form among themselves.

    Args:
        workflow: a full id.
    """
    with database.snapshot():
        values = {"id": workflow, "failed": FAILED_SPELLINGS, "limit": MOST_JOBS}
        statements = ("workflow.listing.jobs", *(("workflow.listing.archived_jobs",) if _archives(database) else ()))
        jobs = [str(job) for statement in statements for (job,) in database.rows(statement, **values)]
        return tree.among(database, jobs[:MOST_JOBS])


def counted(database: Database, workflows: Sequence[Workflow]) -> list[Workflow]:
    """Workflows with their jobs counted, in the same order."""
    counts: dict[str, Counts] = {one.id: Counts() for one in workflows}
    waiting: dict[str, int] = {}
    ends: dict[str, list[Timestamp]] = {}
    failed: dict[str, list[Timestamp]] = {}
    archived = ("workflow.listing.archived_counts",) if _archives(database) else ()
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


def resolve(database: Database, text: str) -> str:
    """The full id of a workflow, by its id or a unique prefix.

    Raises:
        UsageError: the text is not 4 to 32 hex digits.
        NotFoundError: no workflow has such an id.
        AmbiguousIdError: several workflows have; the details list them.
    """
    statements = ["workflow.listing.by_prefix"] if "hammerwork_workflows" in database.schema else []
    return by_prefix(database, text, statements, noun="workflow", hint=LIST_WORKFLOWS)


def _row(database: Database, workflow: str) -> tuple[Any, ...]:
    known = "hammerwork_workflows" in database.schema
    row = database.row("workflow.listing.one", id=workflow) if known else None
    if row is None:
        raise NotFoundError(f"The workflow {workflow} does not exist.", hint=LIST_WORKFLOWS)
    return row


def read(row: Sequence[Any]) -> Workflow:
    """The workflow in a row, whose jobs are not counted yet."""
    workflow, *columns = row
    return Workflow(str(workflow), *columns)


def _archives(database: Database) -> bool:
    """Whether archived jobs tell their workflow: since migration 023."""
    return {"archive", "retention"} <= database.tags


def _last(ends: Sequence[Timestamp]) -> datetime | None:
    return max((known for end in ends if (known := timestamp(end))), default=None)
