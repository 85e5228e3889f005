"""Workflows: their shapes, columns and lines for people."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Self

from hammerwork_cli.features.batch.views import CONTENTS, COUNTS, contents_text
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.json import TREE, tree_record
from hammerwork_cli.features.workflow.model import FailurePolicy, StoredWorkflow, WorkflowDetails, WorkflowStatus
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.json import Record
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column, time_column
from hammerwork_cli.view.text import count, duration, instant, short_id, statuses, visible


class GraphFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"
    DOT = "dot"


class Graph(NamedTuple):
    """A workflow, its jobs as they were read, and their record."""

    workflow: StoredWorkflow
    tree: SpawnTree
    drawn: Record

    @classmethod
    def of(cls, workflow: StoredWorkflow, tree: SpawnTree) -> Self:
        return cls(workflow, tree, tree_record(tree))


WORKFLOW = Shape[StoredWorkflow](
    {
        "id": key.uuid(),
        "name": key.text(),
        "status": key.text("", *WorkflowStatus),
        "failure_policy": key.text("", *FailurePolicy),
        "needs_decision": key.flag("Whether a job has failed and the policy leaves the decision to people"),
        "jobs": key.count().of("counts.total"),
        **COUNTS.within("counts"),
        "waiting": key.count("The part of pending that waits for other jobs"),
        "created_at": key.null_or(key.instant()),
        "ended_at": key.null_or(key.instant("When the last job ended; null while one is open")),
        "seconds": key.null_or(key.seconds("From its creation to its end")).of("took"),
    }
)
WORKFLOW_DETAILS = Shape[WorkflowDetails]({**WORKFLOW.within("workflow"), **CONTENTS.parts})
WORKFLOW_GRAPH = Shape[Graph](
    {
        **WORKFLOW.within("workflow", "id", "name"),
        **TREE.within("drawn", "roots", "nodes", "edges"),
        "roots": key.list_of(key.job_id(), "Jobs that depend on no other job of it").of(lambda one: one.drawn["roots"]),
        "truncated": key.flag("Whether it has more jobs than were read").of(lambda one: is_cut(one.workflow, one.tree)),
    }
)
COLUMNS: Sequence[Column[StoredWorkflow]] = (
    Column("workflow", lambda row: short_id(row.id)),
    column(WORKFLOW, "name", cuts=True),
    Column("status", lambda row: status_text(row), is_status=True),
    column(WORKFLOW, "jobs"),
    column(WORKFLOW, "completed"),
    column(WORKFLOW, "failed"),
    column(WORKFLOW, "running", drop_order=3),
    column(WORKFLOW, "pending", drop_order=2),
    Column("took", lambda row: None if row.took is None else duration(row.took), "right", optional=True, drop_order=1),
    time_column("created", lambda row: row.created_at, drop_order=4),
)


def is_cut(workflow: StoredWorkflow, tree: SpawnTree) -> bool:
    """Whether a workflow has more jobs than were read in order to draw it."""
    return len(tree.nodes) < workflow.counts.total


def status_text(workflow: StoredWorkflow) -> str:
    """The status, and what people have to know with it."""
    if workflow.needs_decision:
        return f"{workflow.status}, needs a decision"
    return f"{workflow.status}, empty" if not workflow.total and not workflow.counts.total else workflow.status


def outcome_text(workflow: StoredWorkflow) -> str:
    """A workflow in a line."""
    facts = (status_text(workflow), statuses(workflow.counts))
    return f"{visible(workflow.name)} {short_id(workflow.id)}: {', '.join(filter(None, facts))}"


def details_text(details: WorkflowDetails, *, colour: bool = False) -> Iterator[str]:
    """A workflow, a line a fact, then its queues and its errors."""
    workflow = details.workflow
    waiting = f", {count(workflow.waiting)} waiting for others" if workflow.waiting else ""
    yield f"{paint(visible(workflow.name), 'bold', colour)} {workflow.id}"
    yield f"  status          {visible(status_text(workflow))}"
    yield f"  jobs            {count(workflow.counts.total)}{waiting}"
    yield f"  failure policy  {visible(workflow.failure_policy)}"
    yield f"  created         {instant(workflow.created_at)} UTC"
    if workflow.took is not None:
        yield f"  ended           {instant(workflow.ended_at)} UTC, after {duration(workflow.took)}"
    yield from contents_text(details, colour=colour)
