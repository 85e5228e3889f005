"""Renders the health of queues: checks against limits."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.features.queue.model import HealthCheck, Measure, QueueHealth
from hammerwork_cli.features.queue.views.listing import PAUSED, SERVING
from hammerwork_cli.features.queue.views.service import obstacle_text
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, table_text
from hammerwork_cli.view.text import NOTHING, count, duration, percent, plural, short_duration, visible

_NAMED = 5


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
        "exceeded",
        lambda row: ", ".join(f"{_words(check)} {_measure(check.value)}" for check in row.exceeded),
        wraps=True,
    ),
)


def _unit(check: HealthCheck) -> str:
    return "seconds" if check.name.endswith("_age") else "rate" if check.name.endswith("_rate") else "jobs"


class Checked(NamedTuple):
    """The health of queues at a time."""

    queues: Sequence[QueueHealth]
    at: datetime


def _verdict(healthy: bool) -> str:
    return "ok" if healthy else "unhealthy"


_VERDICT = key.text("", "ok", "unhealthy")
_NAMES = ("pending", "pending_age", "running_age", "waiting_age", "retrying", "failed", "failure_rate")
CHECK = Shape[HealthCheck](
    {
        "queue": key.text(),
        "check": key.text("", *_NAMES).of("name"),
        "value": key.null_or(key.measure("Null when there is nothing to measure")),
        "limit": key.null_or(key.measure("Null when the check is off")),
        "unit": key.text("", "jobs", "seconds", "rate").of(_unit),
        "status": key.text("", "ok", "exceeded", "off"),
    }
)
_QUEUE = Shape[QueueHealth](
    {
        "queue": key.text().of("state.name"),
        "status": _VERDICT.of(lambda health: _verdict(health.healthy)),
        "paused": PAUSED.of(lambda health: health.state.pause is not None),
        "workers": SERVING.of("state.workers"),
        "checks": key.list_of(CHECK),
    }
)
QUEUE_HEALTH = Shape[Checked](
    {
        "status": _VERDICT.of(lambda checked: _verdict(all(health.healthy for health in checked.queues))),
        "checked_at": key.instant().of("at"),
        "queues": key.list_of(_QUEUE),
    }
)


def health_text(
    found: Sequence[QueueHealth], *, one: bool, terminal: bool, width: int | None = None, colour: bool = False
) -> Iterator[str]:
    """Lines: every check of one queue, or a line per queue with the limits below."""
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
    """Lines: commands for jobs that run or wait for long, and queues that no worker serves."""
    exceeded = {check.name: check for health in found for check in health.exceeded}
    running = exceeded.get("running_age")
    if running and isinstance(running.limit, timedelta):
        doctor = f"hammerwork spawn doctor --older-than {short_duration(running.limit)}"
        yield f"To find jobs that have lost their worker: {doctor}"
    if "waiting_age" in exceeded:
        yield "To find stuck jobs: hammerwork spawn doctor"
    idle = [visible(health.state.name or NOTHING) for health in found if health.state.is_unserved]
    if idle:
        more = f" and {count(len(idle) - _NAMED)} more" if len(idle) > _NAMED else ""
        yield (
            f"No running worker serves the ready jobs of {', '.join(idle[:_NAMED])}{more} "
            "(Rust workers do not register): hammerwork worker list"
        )
    others = {worker.id: worker for health in found if health.state.is_unserved for worker in health.state.others}
    yield from (f"{obstacle_text(worker)}." for worker in list(others.values())[:_NAMED])
