"""Lists of jobs: their shape, columns for people."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hammerwork_cli.core.values import UNSUCCESSFUL, WAITING, JobStatus, timestamp
from hammerwork_cli.features.job.models.job import StoredJob
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.views.json import NODE
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import age, brief_age, duration, first_line, instant, plural, short_id

JOB = Shape[StoredJob](
    {
        **NODE.within("node", "id", "queue", "status", "priority"),
        "attempts": key.count().of("node.attempts"),
        "max_attempts": key.count(),
        **NODE.within("node", "depends_on"),
        "dependency_status": key.dependency_status(),
        **NODE.within("node", "has_spawn_config", "spawn_config", "operation_id", "created_at"),
        "scheduled_at": key.null_or(key.instant()),
        "recurring": key.flag("Whether it is a recurring job"),
        **NODE.within("node"),
    }
)


def columns(now: datetime, *, ages: bool = False) -> Sequence[Column[StoredJob]]:
    """The columns of a table of jobs; with ``ages``, times are relative to now."""
    return (
        Column("job", lambda row: short_id(row.node.id)),
        column(JOB, "queue", cuts=True),
        column(JOB, "status", is_status=True),
        column(JOB, "priority", drop_order=2),
        Column(
            "attempts",
            lambda row: f"{row.node.attempts}/{row.max_attempts}",
            "right",
            narrow_header="tries",
            drop_order=1,
        ),
        _created(now) if ages else _CREATED,
        Column("run time", lambda row: _ran(row.node, now), "right", optional=True, drop_order=4),
        Column("note", lambda row: note(row, now, ages=ages), cuts=True),
    )


_CREATED: Column[StoredJob] = Column("created at (UTC)", lambda row: instant(row.node.created_at), drop_order=3)


def _created(now: datetime) -> Column[StoredJob]:
    return Column(
        "created",
        lambda row: age(row.node.created_at, now),
        "right",
        narrow=lambda row: brief_age(row.node.created_at, now),
        drop_order=3,
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
