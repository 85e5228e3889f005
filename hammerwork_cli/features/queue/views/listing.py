"""Lists of queues and pauses: their shapes, tables for people."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import NamedTuple

from hammerwork_cli.core.values import Counts, JobStatus
from hammerwork_cli.features.queue.model import QueuePause, QueueState
from hammerwork_cli.features.queue.views.limits import LIMIT_TERMS
from hammerwork_cli.features.queue.views.service import others_text
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import count, duration, instant

_KNOWN = frozenset(status.value for status in JobStatus)
_NAMED = 5
_BY_STATUS = tuple(f"by_status.{status.value}" for status in JobStatus)


STATES: Sequence[Column[QueueState]] = (
    Column("queue", lambda row: row.name, cuts=True),
    Column("paused", lambda row: "yes" if row.pause else None, optional=True),
    Column("limit", lambda row: row.limit and str(row.limit), optional=True, wraps=True, drop_order=7),
    Column("total", lambda row: count(row.counts.total), "right", is_count=True, drop_order=1),
    Column("pending", lambda row: count(row.pending), "right", is_count=True),
    Column("retrying", lambda row: count(row.counts.retrying), "right", optional=True, is_count=True, drop_order=5),
    Column("running", lambda row: count(row.running), "right", is_count=True),
    Column(
        "completed",
        lambda row: count(row.counts.of(JobStatus.COMPLETED)),
        "right",
        is_count=True,
        narrow_header="done",
        drop_order=4,
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
    Column("cancelled", lambda row: count(row.counts.cancelled), "right", optional=True, is_count=True, drop_order=6),
    Column("other", lambda row: count(row.counts.other), "right", optional=True, is_count=True),
    Column(
        "oldest pending",
        lambda row: duration(row.age(row.ready_since)),
        "right",
        optional=True,
        narrow_header="oldest",
        drop_order=3,
    ),
    Column(
        "workers",
        lambda row: _workers(row),
        "right",
        optional=True,
        drop_order=2,
    ),
)
PAUSE = Shape[QueuePause](
    {
        "queue": key.text(),
        "paused_at": key.null_or(key.instant()),
        "paused_by": key.null_or(key.text()),
        "reason": key.null_or(key.text()),
    }
)


class QueueInWindow(NamedTuple):
    """A queue whose ended jobs are those of a window."""

    state: QueueState
    window: timedelta


def rate_keys(window: str) -> Mapping[str, Key]:
    """The keys of the rates of a :class:`QueueInWindow`, whose window has this name."""
    return {
        "completed": key.count(f"Jobs that completed in the {window}").of("state.completed"),
        "failed": key.count(f"Jobs that failed in the {window}").of("state.failed"),
        "failure_rate": key.null_or(key.rate("Null when no job ended")).of("state.failure_rate"),
        "completed_per_minute": key.number().of(lambda one: one.state.per_minute(one.window)),
        "backlog_seconds": key.null_or(
            key.seconds(
                f"Until the ready jobs have ended at the rate since the first one completed in the "
                f"{window.removeprefix('last ')}"
            )
        ).of(lambda one: one.state.backlog(one.window)),
    }


QUEUE_JOBS = Shape[QueueState](
    {
        "total": key.count().of("counts.total"),
        "by_status": key.counts("Every known status, then unknown words").of(lambda state: by_status(state.counts)),
        "ready": key.count("Pending jobs that a worker may claim now"),
        "scheduled": key.count("Pending jobs that are not due yet, or whose schedule is disabled"),
        "waiting": key.count("Pending jobs that wait for other jobs"),
        "oldest_pending_at": key.null_or(key.instant("Time at which the first ready job became due")).of("ready_since"),
        "oldest_pending_seconds": key.null_or(key.seconds()).of(lambda state: state.age(state.ready_since)),
    }
)
PAUSED_STATES: Sequence[Column[QueueState]] = (
    Column("queue", lambda row: row.name, wraps=True),
    Column("pending", lambda row: count(row.pending), "right", is_count=True),
    Column("paused at (UTC)", lambda row: row.pause and instant(row.pause.paused_at), wraps=True),
    Column("by", lambda row: row.pause and row.pause.paused_by, wraps=True),
    Column("reason", lambda row: row.pause and row.pause.reason, wraps=True),
)
SERVING = key.null_or(
    key.count("Running workers that serve the queue, without Rust workers; null where workers are not recorded")
)
PAUSED = key.flag().of(lambda state: state.pause is not None)


def _of_limit(term: Key, name: str) -> Callable[[QueueState], object]:
    get = term.get if callable(term.get) else attrgetter(name)
    return lambda state: None if state.limit is None else get(state.limit)


_QUEUE = {
    "queue": key.text().of("name"),
    "paused": PAUSED,
    **QUEUE_JOBS.parts,
    "workers": SERVING,
    "paused_at": PAUSE.parts["paused_at"].of(lambda state: state.pause and state.pause.paused_at),
    "paused_by": PAUSE.parts["paused_by"].of(lambda state: state.pause and state.pause.paused_by),
    "paused_reason": PAUSE.parts["reason"].of(lambda state: state.pause and state.pause.reason),
    **{f"limit_{name}": term.of(_of_limit(term, name)) for name, term in LIMIT_TERMS.items()},
    "internal": key.flag("Whether its jobs are those of hammerwork itself: deliveries to webhooks").of("is_internal"),
}
QUEUE = Shape[QueueState](
    _QUEUE, columns=[column for name in _QUEUE for column in (_BY_STATUS if name == "by_status" else (name,))]
)

ALL_QUEUES = "all queues"

PAUSES: Sequence[Column[QueuePause]] = (
    Column("queue", lambda row: ALL_QUEUES if row.is_of_all else row.queue, wraps=True),
    Column("paused at (UTC)", lambda row: instant(row.paused_at), wraps=True),
    Column("by", lambda row: row.paused_by, wraps=True),
    column(PAUSE, "reason", wraps=True),
)


def _workers(state: QueueState) -> str | None:
    """The workers that claim its jobs, and those that do not: "1, 1 stopping"."""
    if state.workers is None:
        return None
    return ", ".join(filter(None, [count(state.workers), others_text(state.others)]))


def by_status(counts: Counts) -> dict[str, int]:
    """Status -> number of jobs: every known status, then the unknown words in the rows."""
    unknown = sorted(counts.by_status.keys() - _KNOWN)
    return {status: counts.of(status) for status in (*(known.value for known in JobStatus), *unknown)}
