"""Renders the figures of one queue, or of all queues together."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.models import Counts, rfc3339
from hammerwork_cli.models.queue import (
    PriorityCount,
    QueueState,
    QueueStats,
)
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record, seconds
from hammerwork_cli.render.formats.table import Column, table_text
from hammerwork_cli.render.formats.text import NOTHING, count, duration, percent, statuses, visible
from hammerwork_cli.render.queue.listing import pending_record
from hammerwork_cli.render.queue.service import pause_text

_PRIORITIES: Sequence[Column[PriorityCount]] = (
    Column("status", lambda row: row.status, is_status=True),
    Column("priority", lambda row: row.priority),
    Column("jobs", lambda row: count(row.jobs), "right"),
)


def stats_record(stats: QueueStats) -> Record:
    """The figures of a queue, or of all queues.

    Keys: ``queue`` (null for all), ``checked_at``, those of :func:`state_record` about jobs, ``paused_queues``, and
    with details, else null: ``window_seconds``, ``completed`` and ``failed`` in the window, ``failure_rate`` (0 to 1,
    null if no job ended), ``completed_per_minute``, ``backlog_seconds`` (until the ready jobs have ended at the rate
    since the first one completed in the window), ``p50_seconds`` and ``p95_seconds`` (run times of the jobs that
    completed in the window), ``mean_seconds`` (run time of handlers, as running workers measured it), ``by_priority``
    (list of ``status``, ``priority``, ``jobs``).
    """
    state, detailed = stats.state, stats.window is not None
    priorities = [{"status": row.status, "priority": row.priority, "jobs": row.jobs} for row in stats.by_priority]
    return {
        "queue": state.name,
        "checked_at": rfc3339(state.at),
        **pending_record(state),
        "paused_queues": [pause.queue for pause in stats.paused],
        "window_seconds": seconds(stats.window),
        "completed": state.completed if detailed else None,
        "failed": state.failed if detailed else None,
        "failure_rate": state.failure_rate if detailed else None,
        "completed_per_minute": stats.per_minute,
        "backlog_seconds": seconds(stats.backlog),
        "p50_seconds": seconds(stats.p50),
        "p95_seconds": seconds(stats.p95),
        "mean_seconds": seconds(stats.mean),
        "by_priority": priorities if detailed else None,
    }


def stats_text(stats: QueueStats, *, terminal: bool, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """The figures in lines, and with details the table by status and priority."""
    state = stats.state
    title = "All queues" if state.name is None else f"Queue {visible(state.name)}"
    yield paint(title, "bold", colour)
    figures = {"jobs": _with_total(state.counts), "pending": _pending(state), "oldest pending": _oldest(state)}
    if stats.paused:
        figures["paused"] = _paused(stats)
    if stats.window is not None:
        figures[f"last {_window(stats.window)}"] = _ended(stats)
        if stats.backlog is not None:
            figures["backlog"] = f"done in {duration(stats.backlog)} at the present rate, if nothing is added"
        figures["run time"] = NOTHING if stats.p50 is None else f"p50 {duration(stats.p50)}, p95 {duration(stats.p95)}"
        if stats.mean is not None:
            figures["mean run time"] = f"{duration(stats.mean)}, as running workers measured it"
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
    return pause_text(stats.paused[0])


def _window(window: timedelta) -> str:
    hours = window / timedelta(hours=1)
    return "hour" if hours == 1 else f"{hours:g} hours"


def _ended(stats: QueueStats) -> str:
    state = stats.state
    rate = "" if state.failure_rate is None else f" ({percent(state.failure_rate)} of those that ended)"
    speed = f", {stats.per_minute:,.1f} completed per minute" if stats.per_minute else ""
    return f"{count(state.completed)} completed, {count(state.failed)} failed{rate}{speed}"
