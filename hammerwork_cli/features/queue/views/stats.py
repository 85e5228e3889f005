"""Renders the figures of one queue, or of all queues together."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from operator import attrgetter

from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.queue.model import PriorityCount, QueueState, QueueStats
from hammerwork_cli.features.queue.views.listing import QUEUE_JOBS
from hammerwork_cli.features.queue.views.service import pause_text
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column, table_text
from hammerwork_cli.view.text import NOTHING, count, duration, percent, statuses, visible

_PRIORITY_COUNT = Shape[PriorityCount]({"status": key.status(), "priority": key.priority(), "jobs": key.count()})
_PRIORITIES: Sequence[Column[PriorityCount]] = (
    column(_PRIORITY_COUNT, "status", is_status=True),
    column(_PRIORITY_COUNT, "priority"),
    column(_PRIORITY_COUNT, "jobs", is_count=False),
)


def _detail(name: str) -> Callable[[QueueStats], object]:
    """Reads what only a question with a window is answered with."""
    get = attrgetter(name)
    return lambda stats: None if stats.window is None else get(stats)


QUEUE_STATS = Shape[QueueStats](
    {
        "queue": key.null_or(key.text("Null for all")).of("state.name"),
        "checked_at": key.instant().of("state.at"),
        **QUEUE_JOBS.within("state"),
        "paused_queues": key.list_of(key.text()).of(lambda stats: [pause.queue for pause in stats.paused]),
        "window_seconds": key.null_or(
            key.seconds("Length of the window; this key and those below only with --detailed")
        ).of("window"),
        "completed": key.null_or(key.count("Jobs that completed in the window")).of(_detail("state.completed")),
        "failed": key.null_or(key.count("Jobs that failed in the window")).of(_detail("state.failed")),
        "failure_rate": key.null_or(key.rate()).of(_detail("state.failure_rate")),
        "completed_per_minute": key.null_or(key.number()).of("per_minute"),
        "backlog_seconds": key.null_or(
            key.seconds("Until the ready jobs have ended at the rate since the first one completed in the window")
        ).of("backlog"),
        "p50_seconds": key.null_or(key.seconds("Run time of the jobs that completed in the window")).of("p50"),
        "p95_seconds": key.null_or(key.seconds()).of("p95"),
        "mean_seconds": key.null_or(key.seconds("Average run time of handlers, as measured by running workers")).of(
            "mean"
        ),
        "by_priority": key.null_or(key.list_of(_PRIORITY_COUNT)).of(_detail("by_priority")),
    }
)


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
            figures["mean run time"] = f"{duration(stats.mean)}, as measured by running workers"
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
