"""Lists of jobs: records for programs, columns for people."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hammerwork_cli.models import (
    WAITING,
    JobStatus,
    StoredJob,
    TreeNode,
    rfc3339,
    timestamp,
)
from hammerwork_cli.models.values import UNSUCCESSFUL
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import (
    age,
    brief_age,
    duration,
    first_line,
    instant,
    plural,
    short_id,
)
from hammerwork_cli.render.tree import json as json_views

LIST_KEYS = (
    "id",
    "queue",
    "status",
    "priority",
    "attempts",
    "max_attempts",
    "depends_on",
    "dependency_status",
    "has_spawn_config",
    "spawn_config",
    "operation_id",
    "created_at",
    "scheduled_at",
    "recurring",
    "started_at",
    "completed_at",
    "failed_at",
    "error",
    "workflow_id",
    "workflow_name",
    "archived_at",
    "run_started_at",
)
"""Columns of CSV and TSV."""


def job_record(job: StoredJob) -> Record:
    """A job of a list.

    Keys: those of a tree's node (see ``render.tree.json.node_record``), and ``attempts``, ``max_attempts``,
    ``dependency_status`` (``none``, ``waiting``, ``satisfied``, ``failed`` or null), ``scheduled_at``, ``recurring``.
    """
    node = json_views.NODE.record(job.node)
    own = {
        "attempts": job.node.attempts,
        "max_attempts": job.max_attempts,
        "dependency_status": job.dependency_status,
        "scheduled_at": rfc3339(job.scheduled_at),
        "recurring": job.recurring,
    }
    return {key: own[key] if key in own else node[key] for key in LIST_KEYS}


def columns(now: datetime, *, ages: bool = False) -> Sequence[Column[StoredJob]]:
    """The columns of a table of jobs; with ``ages``, times are relative to now."""
    return (
        Column("job", lambda row: short_id(row.node.id)),
        Column("queue", lambda row: row.node.queue, cuts=True),
        Column("status", lambda row: row.node.status, is_status=True),
        Column("priority", lambda row: row.node.priority, leaves=2),
        Column(
            "attempts",
            lambda row: f"{row.node.attempts}/{row.max_attempts}",
            "right",
            narrow_header="tries",
            leaves=1,
        ),
        _created(now) if ages else _CREATED,
        Column("run time", lambda row: _ran(row.node, now), "right", optional=True, leaves=4),
        Column("note", lambda row: note(row, now, ages=ages), cuts=True),
    )


_CREATED: Column[StoredJob] = Column("created at (UTC)", lambda row: instant(row.node.created_at), leaves=3)


def _created(now: datetime) -> Column[StoredJob]:
    return Column(
        "created",
        lambda row: age(row.node.created_at, now),
        "right",
        narrow=lambda row: brief_age(row.node.created_at, now),
        leaves=3,
    )


def note(job: StoredJob, now: datetime, *, ages: bool = False) -> str | None:
    """The fact that matters to an operator about a job in its status."""
    archived = "archived" if job.node.archived_at is not None else None
    return (
        "; ".join(filter(None, (archived, "recurring" if job.recurring else None, _note(job, now, ages=ages)))) or None
    )


def _note(job: StoredJob, now: datetime, *, ages: bool) -> str | None:
    node = job.node
    if node.status in UNSUCCESSFUL:
        return first_line(node.error) if node.error else None
    if node.status not in WAITING:
        return None
    waits = _what_it_waits_for(job, now, ages=ages)
    error = first_line(node.error) if node.status == JobStatus.RETRYING and node.error else None
    return "; ".join(filter(None, (waits, error))) or None


def _what_it_waits_for(job: StoredJob, now: datetime, *, ages: bool) -> str | None:
    if job.dependency_status in {"waiting", "failed"}:
        return f"{job.dependency_status}: depends on {plural(len(job.node.depends_on), 'job')}"
    if not job.enabled:
        return "its schedule is disabled"
    due, late = timestamp(job.scheduled_at), job.overdue(now)
    if late is not None:
        return f"{'overdue by' if job.recurring else 'ready for'} {duration(late)}"
    if due is None or due <= now:
        return None
    return f"due in {duration(due - now)}" if ages else f"due {instant(due)}"


def _ran(node: TreeNode, now: datetime) -> str | None:
    """The length of the last attempt; of a running job, until now."""
    began = timestamp(node.started_at)
    if node.status == JobStatus.RUNNING:
        return duration(max(now - began, timedelta())) if began else None
    return duration(node.run_time) if node.run_time is not None else None
