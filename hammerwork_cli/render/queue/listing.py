"""Renders lists of queues and pauses: records for programs, tables for people."""

from collections.abc import Sequence

from hammerwork_cli.models import Counts, JobStatus, rfc3339
from hammerwork_cli.models.queue import (
    QueuePause,
    QueueState,
)
from hammerwork_cli.render.formats.json import Record, seconds
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import count, duration, instant
from hammerwork_cli.render.queue.service import others_text

_KNOWN = frozenset(status.value for status in JobStatus)
_NAMED = 5
_BY_STATUS = tuple(f"by_status.{status.value}" for status in JobStatus)


STATES: Sequence[Column[QueueState]] = (
    Column("queue", lambda row: row.name, cuts=True),
    Column("paused", lambda row: "yes" if row.pause else None, optional=True),
    Column("total", lambda row: count(row.counts.total), "right", is_count=True, leaves=1),
    Column("pending", lambda row: count(row.pending), "right", is_count=True),
    Column("retrying", lambda row: count(row.counts.retrying), "right", optional=True, is_count=True, leaves=5),
    Column("running", lambda row: count(row.running), "right", is_count=True),
    Column(
        "completed",
        lambda row: count(row.counts.of(JobStatus.COMPLETED)),
        "right",
        is_count=True,
        narrow_header="done",
        leaves=4,
    ),
    Column("failed", lambda row: count(row.counts.of(JobStatus.FAILED)), "right", is_count=True),
    Column("dead", lambda row: count(row.counts.of(JobStatus.DEAD)), "right", is_count=True),
    Column(
        "timed out",
        lambda row: count(row.counts.of(JobStatus.TIMED_OUT)),
        "right",
        optional=True,
        is_count=True,
        narrow_header="timeout",
    ),
    Column("cancelled", lambda row: count(row.counts.cancelled), "right", optional=True, is_count=True, leaves=6),
    Column("other", lambda row: count(row.counts.other), "right", optional=True, is_count=True),
    Column(
        "oldest pending",
        lambda row: duration(row.age(row.ready_since)),
        "right",
        optional=True,
        narrow_header="oldest",
        leaves=3,
    ),
    Column(
        "workers",
        lambda row: _workers(row),
        "right",
        optional=True,
        leaves=2,
    ),
)
STATE_KEYS = (
    "queue",
    "paused",
    "total",
    *_BY_STATUS,
    "ready",
    "scheduled",
    "waiting",
    "oldest_pending_at",
    "oldest_pending_seconds",
    "workers",
    "paused_at",
    "paused_by",
    "paused_reason",
)
"""Columns of CSV and TSV; a dot leads into a nested object."""

ALL_QUEUES = "all queues"

PAUSES: Sequence[Column[QueuePause]] = (
    Column("queue", lambda row: ALL_QUEUES if row.is_of_all else row.queue, wraps=True),
    Column("paused at (UTC)", lambda row: instant(row.paused_at), wraps=True),
    Column("by", lambda row: row.paused_by, wraps=True),
    Column("reason", lambda row: row.reason, wraps=True),
)
PAUSE_KEYS = ("queue", "paused_at", "paused_by", "reason")


def _workers(state: QueueState) -> str | None:
    """The workers that claim its jobs, and those that do not: "1, 1 stopping"."""
    if state.workers is None:
        return None
    return ", ".join(filter(None, [count(state.workers), others_text(state.others)]))


def by_status(counts: Counts) -> dict[str, int]:
    """Status -> number of jobs: every known status, then the unknown words in the rows."""
    unknown = sorted(counts.by_status.keys() - _KNOWN)
    return {status: counts.of(status) for status in (*(known.value for known in JobStatus), *unknown)}


def pending_record(state: QueueState) -> Record:
    """The jobs of a queue by status, and its pending jobs by the reason for the wait."""
    return {
        "total": state.counts.total,
        "by_status": by_status(state.counts),
        "ready": state.ready,
        "scheduled": state.scheduled,
        "waiting": state.waiting,
        "oldest_pending_at": rfc3339(state.ready_since),
        "oldest_pending_seconds": seconds(state.age(state.ready_since)),
    }


def state_record(state: QueueState) -> Record:
    """A queue.

    Keys: ``queue``, ``paused``, ``total``, ``by_status`` (status -> jobs); of the pending jobs ``ready`` (a worker may
    claim them now), ``scheduled`` (due later, or with a disabled schedule), ``waiting`` (for other jobs);
    ``oldest_pending_at`` and ``oldest_pending_seconds`` (of the ready job that has been due for longest); ``workers``
    (running ones that serve it, null if the database does not record workers); ``paused_at``, ``paused_by`` and
    ``paused_reason``, null if the queue is not paused.
    """
    pause = state.pause
    return {
        "queue": state.name,
        "paused": pause is not None,
        **pending_record(state),
        "workers": state.workers,
        "paused_at": rfc3339(pause.paused_at) if pause else None,
        "paused_by": pause.paused_by if pause else None,
        "paused_reason": pause.reason if pause else None,
    }


def pause_record(pause: QueuePause) -> Record:
    return {
        "queue": pause.queue,
        "paused_at": rfc3339(pause.paused_at),
        "paused_by": pause.paused_by,
        "reason": pause.reason,
    }
