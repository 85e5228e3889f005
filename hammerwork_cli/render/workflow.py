"""Workflows: records for programs, columns and lines for people."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from hammerwork_cli.models import WAITING, JobStatus, SpawnTree, rfc3339
from hammerwork_cli.models.workflow.workflows import Workflow, WorkflowDetails
from hammerwork_cli.render.batch import contents_record, contents_text, counts_record
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record, seconds
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import brief_instant, count, duration, instant, short_id, statuses, visible
from hammerwork_cli.render.tree.json import tree_record


class GraphFormat(StrEnum):
    """Formats of the graph of a workflow."""

    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"
    DOT = "dot"


KEYS = (
    "id",
    "name",
    "status",
    "failure_policy",
    "needs_decision",
    "jobs",
    "completed",
    "failed",
    "running",
    "pending",
    "waiting",
    "created_at",
    "ended_at",
    "seconds",
)
COLUMNS: Sequence[Column[Workflow]] = (
    Column("workflow", lambda row: short_id(row.id)),
    Column("name", lambda row: row.name, cuts=True),
    Column("status", lambda row: status_text(row), is_status=True),
    Column("jobs", lambda row: count(row.counts.total), "right", is_count=True),
    Column("completed", lambda row: count(row.counts.of(JobStatus.COMPLETED)), "right", is_count=True),
    Column("failed", lambda row: count(row.counts.unsuccessful), "right", is_count=True),
    Column("running", lambda row: count(row.counts.of(JobStatus.RUNNING)), "right", is_count=True, leaves=3),
    Column("pending", lambda row: count(row.counts.of(*WAITING)), "right", is_count=True, leaves=2),
    Column("took", lambda row: None if row.took is None else duration(row.took), "right", optional=True, leaves=1),
    Column(
        "created at (UTC)",
        lambda row: instant(row.created_at),
        narrow=lambda row: brief_instant(row.created_at),
        narrow_header="created UTC",
        leaves=4,
    ),
)


def workflow_record(workflow: Workflow) -> Record:
    """A workflow of a list.

    Keys: ``id``, ``name``, ``status`` (``running``, ``completed``, ``failed``, ``cancelled`` or ``gone``),
    ``failure_policy``, ``needs_decision``, ``jobs``, ``completed``, ``failed`` (Failed, Dead, TimedOut and Cancelled),
    ``running``, ``pending`` (Pending and Retrying), ``waiting`` (the part of them that waits for other jobs),
    ``created_at``, ``ended_at``, ``seconds`` (from its creation to its end).
    """
    return {
        "id": workflow.id,
        "name": workflow.name,
        "status": workflow.status,
        "failure_policy": workflow.failure_policy,
        "needs_decision": workflow.needs_decision,
        "jobs": workflow.counts.total,
        **counts_record(workflow.counts),
        "waiting": workflow.waiting,
        "created_at": rfc3339(workflow.created_at),
        "ended_at": rfc3339(workflow.ended_at),
        "seconds": seconds(workflow.took),
    }


def details_record(details: WorkflowDetails) -> Record:
    """Everything about a workflow but its graph: the keys of a workflow and of :func:`contents_record`."""
    return {**workflow_record(details.workflow), **contents_record(details)}


def graph_record(workflow: Workflow, tree: SpawnTree) -> Record:
    """The graph of a workflow.

    Keys: ``id``, ``name``, ``roots``, ``nodes`` and ``edges`` (as those of a tree), ``truncated``.
    """
    drawn = tree_record(tree)
    return {
        "id": workflow.id,
        "name": workflow.name,
        **{key: drawn[key] for key in ("roots", "nodes", "edges")},
        "truncated": is_cut(workflow, tree),
    }


def is_cut(workflow: Workflow, tree: SpawnTree) -> bool:
    """Whether a workflow has more jobs than were read in order to draw it."""
    return len(tree.nodes) < workflow.counts.total


def status_text(workflow: Workflow) -> str:
    """The status, and what people have to know with it."""
    if workflow.needs_decision:
        return f"{workflow.status}, needs a decision"
    return f"{workflow.status}, empty" if not workflow.total and not workflow.counts.total else workflow.status


def outcome_text(workflow: Workflow) -> str:
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
