"""What ``queue`` shows: columns and lines for people, records for programs."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.models import Counts, JobStatus, rfc3339
from hammerwork_cli.models.queue import (
    HealthCheck,
    Measure,
    PauseChange,
    PriorityCount,
    QueueHealth,
    QueuePause,
    QueueState,
    QueueStats,
)
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record, seconds
from hammerwork_cli.render.formats.table import Column, table_text
from hammerwork_cli.render.formats.text import NOTHING, count, duration, instant, percent, plural, statuses, visible
from hammerwork_cli.render.worker import silence_text

_KNOWN = frozenset(status.value for status in JobStatus)
_NAMED = 5
_BY_STATUS = tuple(f"by_status.{status.value}" for status in JobStatus)


def _some(number: int) -> str | None:
    return count(number) if number else None


# Lists.

STATES: Sequence[Column[QueueState]] = (
    Column("queue", lambda row: row.name, cuts=True),
    Column("paused", lambda row: "yes" if row.pause else None, optional=True),
    Column("total", lambda row: count(row.counts.total), "right", is_count=True, leaves=1),
    Column("pending", lambda row: count(row.pending), "right", is_count=True),
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
        lambda row: _some(row.counts.of(JobStatus.TIMED_OUT)),
        "right",
        optional=True,
        narrow_header="timeout",
    ),
    Column("other", lambda row: _some(row.counts.other), "right", optional=True),
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
        lambda row: None if row.workers is None else count(row.workers),
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
"""Columns of csv and tsv; a dot leads into a nested object."""

PAUSES: Sequence[Column[QueuePause]] = (
    Column("queue", lambda row: row.queue, wraps=True),
    Column("paused at (UTC)", lambda row: instant(row.paused_at), wraps=True),
    Column("by", lambda row: row.paused_by, wraps=True),
    Column("reason", lambda row: row.reason, wraps=True),
)
PAUSE_KEYS = ("queue", "paused_at", "paused_by", "reason")

_PRIORITIES: Sequence[Column[PriorityCount]] = (
    Column("status", lambda row: row.status, is_status=True),
    Column("priority", lambda row: row.priority),
    Column("jobs", lambda row: count(row.jobs), "right"),
)


def by_status(counts: Counts) -> dict[str, int]:
    """Status -> jobs: every known status, then the unknown words that rows hold."""
    unknown = sorted(counts.by_status.keys() - _KNOWN)
    return {status: counts.of(status) for status in (*(known.value for known in JobStatus), *unknown)}


def _pending_record(state: QueueState) -> Record:
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
    take them now), ``scheduled`` (their time has not come), ``waiting`` (for other jobs); ``oldest_pending_at`` and
    ``oldest_pending_seconds`` (since when the first of the ready jobs is due); ``workers`` (of ours that are alive and
    serve it, null where nobody knows); ``paused_at``, ``paused_by`` and
    ``paused_reason``, null for a queue that is not paused.
    """
    pause = state.pause
    return {
        "queue": state.name,
        "paused": pause is not None,
        **_pending_record(state),
        "workers": state.workers,
        "paused_at": rfc3339(pause.paused_at) if pause else None,
        "paused_by": pause.paused_by if pause else None,
        "paused_reason": pause.reason if pause else None,
    }


def pause_record(pause: QueuePause) -> Record:
    """A paused queue."""
    return {
        "queue": pause.queue,
        "paused_at": rfc3339(pause.paused_at),
        "paused_by": pause.paused_by,
        "reason": pause.reason,
    }


# Figures.


def stats_record(stats: QueueStats) -> Record:
    """Figures of a queue, or of all.

    Keys: ``queue`` (null for all), ``checked_at``, those of :func:`state_record` about jobs, ``paused_queues``, and
    null unless details were asked for: ``window_seconds``, ``completed`` and ``failed`` in the window,
    ``failure_rate`` (0 to 1, null when nothing ended), ``completed_per_minute``, ``p50_seconds`` and ``p95_seconds``
    (run time of what completed in the window), ``by_priority`` (list of ``status``, ``priority``, ``jobs``).
    """
    state, detailed = stats.state, stats.window is not None
    priorities = [{"status": row.status, "priority": row.priority, "jobs": row.jobs} for row in stats.by_priority]
    return {
        "queue": state.name,
        "checked_at": rfc3339(state.at),
        **_pending_record(state),
        "paused_queues": [pause.queue for pause in stats.paused],
        "window_seconds": seconds(stats.window),
        "completed": state.completed if detailed else None,
        "failed": state.failed if detailed else None,
        "failure_rate": state.failure_rate if detailed else None,
        "completed_per_minute": stats.per_minute,
        "p50_seconds": seconds(stats.p50),
        "p95_seconds": seconds(stats.p95),
        "by_priority": priorities if detailed else None,
    }


def stats_text(stats: QueueStats, *, terminal: bool, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Lines: the figures, and the table by status and priority where details were asked for."""
    state = stats.state
    title = "All queues" if state.name is None else f"Queue {visible(state.name)}"
    yield paint(title, "bold", colour)
    figures = {"jobs": _with_total(state.counts), "pending": _pending(state), "oldest pending": _oldest(state)}
    if stats.paused:
        figures["paused"] = _paused(stats)
    if stats.window is not None:
        figures[f"last {_window(stats.window)}"] = _ended(stats)
        figures["run time"] = NOTHING if stats.p50 is None else f"p50 {duration(stats.p50)}, p95 {duration(stats.p95)}"
    longest = max(map(len, figures))
    for name, value in figures.items():
        yield f"  {name:<{longest}}  {value}"
    if stats.by_priority:
        yield ""
        yield paint("By status and priority", "bold", colour)
        yield table_text(stats.by_priority, _PRIORITIES, terminal=terminal, width=width, colour=colour)


def _with_total(counts: Counts) -> str:
    return f"{count(counts.total)}: {statuses(counts)}" if counts.total else "none"


def _pending(state: QueueState) -> str:
    kinds = (
        (state.ready, "ready"),
        (state.scheduled, "scheduled for later"),
        (state.waiting, "waiting for other jobs"),
    )
    return ", ".join(f"{count(number)} {words}" for number, words in kinds if number) or "none"


def _oldest(state: QueueState) -> str:
    age = state.age(state.ready_since)
    return NOTHING if age is None else f"ready for {duration(age)}"


def _paused(stats: QueueStats) -> str:
    if stats.state.name is None:
        return ", ".join(visible(pause.queue) for pause in stats.paused)
    return _pause_text(stats.paused[0])


def _pause_text(pause: QueuePause) -> str:
    by = f" by {visible(pause.paused_by)}" if pause.paused_by else ""
    reason = f": {visible(pause.reason)}" if pause.reason else ""
    return f"since {instant(pause.paused_at)} UTC{by}{reason}"


def _window(window: timedelta) -> str:
    hours = window / timedelta(hours=1)
    return "hour" if hours == 1 else f"{hours:g} hours"


def _ended(stats: QueueStats) -> str:
    state = stats.state
    rate = "" if state.failure_rate is None else f" ({percent(state.failure_rate)} of what ended)"
    speed = f", {stats.per_minute:,.1f} completed a minute" if stats.per_minute else ""
    return f"{count(state.completed)} completed, {count(state.failed)} failed{rate}{speed}"


# Health.

CHECK_KEYS = ("queue", "check", "value", "limit", "unit", "status")


def _words(check: HealthCheck) -> str:
    return check.name.replace("_", " ")


def _in_full(check: HealthCheck) -> str:
    return f"{_words(check)}{' in the last hour' if check.name.startswith('fail') else ''}"


def _measure(value: Measure | None) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, timedelta):
        return duration(value)
    return percent(value) if isinstance(value, float) else count(value)


CHECKS: Sequence[Column[HealthCheck]] = (
    Column("check", _in_full),
    Column("value", lambda row: _measure(row.value), "right"),
    Column("at most", lambda row: _measure(row.limit), "right"),
    Column("status", lambda row: row.status),
)


HEALTH: Sequence[Column[QueueHealth]] = (
    Column("queue", lambda row: row.state.name, wraps=True),
    Column("health", lambda row: "ok" if row.healthy else "unhealthy"),
    Column("paused", lambda row: "yes" if row.state.pause else None, optional=True),
    Column("running", lambda row: count(row.state.running), "right"),
    Column("ready", lambda row: count(row.state.ready), "right"),
    Column(
        "what is wrong",
        lambda row: ", ".join(f"{_words(check)} {_measure(check.value)}" for check in row.exceeded),
        wraps=True,
    ),
)


def check_record(check: HealthCheck) -> Record:
    """One look at a queue.

    Keys: ``queue``; ``check``: ``pending`` (ready jobs), ``pending_age`` (of the first of them), ``running_age``,
    ``waiting_age`` (for other jobs), ``failed`` and ``failure_rate`` (in the last hour); ``value`` (null when there is
    nothing to measure) and ``limit`` (null when it is off) in ``unit``: ``jobs``, ``seconds`` or ``rate`` (0 to 1);
    ``status``: ``ok``, ``exceeded`` or ``off``.
    """
    unit = "seconds" if check.name.endswith("_age") else "rate" if check.name.endswith("_rate") else "jobs"
    return {
        "queue": check.queue,
        "check": check.name,
        "value": _plain(check.value),
        "limit": _plain(check.limit),
        "unit": unit,
        "status": check.status,
    }


def _plain(value: Measure | None) -> float | int | None:
    return value.total_seconds() if isinstance(value, timedelta) else value


def health_record(found: Sequence[QueueHealth], checked_at: str | None) -> Record:
    """How queues are.

    Keys: ``status`` (``ok`` or ``unhealthy``), ``checked_at``, ``queues``: a list of ``queue``, ``status``, ``paused``,
    ``workers`` (of ours that are alive and serve it, null where nobody knows) and ``checks`` (:func:`check_record`).
    """
    return {
        "status": "ok" if all(health.healthy for health in found) else "unhealthy",
        "checked_at": checked_at,
        "queues": [
            {
                "queue": health.state.name,
                "status": "ok" if health.healthy else "unhealthy",
                "paused": health.state.pause is not None,
                "workers": health.state.workers,
                "checks": [check_record(check) for check in health.checks],
            }
            for health in found
        ],
    }


def health_text(
    found: Sequence[QueueHealth], *, one: bool, terminal: bool, width: int | None = None, colour: bool = False
) -> Iterator[str]:
    """Lines: every check of one queue, or a line a queue with the limits below."""
    if not found:
        yield "There are no queues."
        return
    if one:
        health = found[0]
        verdict = paint("ok", "green", colour) if health.healthy else paint("unhealthy", "red", colour)
        paused = ", paused" if health.state.pause else ""
        yield f"{paint(f'Queue {visible(health.state.name or NOTHING)}', 'bold', colour)}: {verdict}{paused}"
        yield table_text(health.checks, CHECKS, terminal=terminal, width=width, colour=colour)
        yield from _health_hints(found)
        return
    worst_first = sorted(found, key=lambda health: health.healthy)
    yield table_text(worst_first, HEALTH, terminal=terminal, width=width, colour=colour)
    yield ""
    unhealthy = sum(1 for health in found if not health.healthy)
    limits = ", ".join(
        f"{_in_full(check)} {_measure(check.limit)}" for check in found[0].checks if check.limit is not None
    )
    yield f"{unhealthy} of {plural(len(found), 'queue')} unhealthy. At most: {limits or 'all limits are off'}"
    yield from _health_hints(found)


def _health_hints(found: Sequence[QueueHealth]) -> Iterator[str]:
    """Lines: what to look at where jobs run or wait for long, or nobody takes them."""
    exceeded = {check.name: check for health in found for check in health.exceeded}
    running = exceeded.get("running_age")
    if running and isinstance(running.limit, timedelta):
        doctor = f"hammerwork spawn doctor --older-than {_short(running.limit)}"
        yield f"What runs for long may have lost its worker: {doctor}"
    if "waiting_age" in exceeded:
        yield "What waits for long may be stuck: hammerwork spawn doctor"
    idle = [visible(health.state.name or NOTHING) for health in found if health.state.is_unserved]
    if idle:
        more = f" and {count(len(idle) - _NAMED)} more" if len(idle) > _NAMED else ""
        yield (
            f"Ready jobs, and no living worker here that serves them: {', '.join(idle[:_NAMED])}{more} "
            "(the original's workers do not register): hammerwork worker list"
        )
    silent = {worker.id: worker for health in found if health.state.is_unserved for worker in health.state.silent}
    yield from (f"{silence_text(worker)}." for worker in list(silent.values())[:_NAMED])


def _short(length: timedelta) -> str:
    """A length of time as options take it: ``2h``, ``90s``."""
    seconds = length.total_seconds()
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


# Changes.


CHANGE_KEYS = ("queue", "paused", "changed", "has_jobs", "dry_run", "paused_at", "paused_by", "reason")


def change_record(change: PauseChange, *, paused: bool, dry_run: bool) -> Record:
    """What pausing or resuming did, or would do.

    Keys: ``queue``, ``paused`` (afterwards), ``changed``, ``has_jobs``, ``dry_run``, and ``paused_at``, ``paused_by``
    and ``reason`` of the pause that is there, or was until now.
    """
    pause = change.pause
    return {
        "queue": change.queue,
        "paused": paused,
        "changed": change.changed,
        "has_jobs": change.has_jobs,
        "dry_run": dry_run,
        "paused_at": rfc3339(pause.paused_at) if pause else None,
        "paused_by": pause.paused_by if pause else None,
        "reason": pause.reason if pause else None,
    }


CLAIMED_TEXT = "Jobs that workers claimed before still begin; none is left when no job of the queue is Running."


def stranger_text(queue: str) -> str:
    """The remark on a queue without jobs that was named to be changed."""
    return f"{visible(queue)} has no jobs. Is that its name? See: hammerwork queue list"


def change_text(change: PauseChange, *, paused: bool, dry_run: bool) -> str:
    """What pausing or resuming did, or would do, as a line."""
    if change.changed:
        done = "paused" if paused else "resumed"
        what = f"would be {done}" if dry_run else done
    elif paused and change.pause:
        what = f"is paused already, {_pause_text(change.pause)}"
    else:
        what = "is not paused"
    return f"{visible(change.queue)}: {what}"
