"""Renders what happened to jobs: a line for each event, for people and for programs."""

from datetime import timedelta

from hammerwork_cli.features.job.views.attempts import OUTCOMES
from hammerwork_cli.features.monitor.models.log import EventKind, JobEvent
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import NOTHING, cells, duration, first_line, plural, short_id, shorten, visible

KINDS = tuple(EventKind)
_WIDTH = max(map(len, KINDS))
_COLOURS = {
    EventKind.STARTED: "cyan",
    EventKind.COMPLETED: "green",
    EventKind.ATTEMPT_FAILED: "yellow",
    EventKind.SPAWN_FAILED: "red",
    EventKind.FAILED: "red",
    EventKind.DEAD: "red",
    EventKind.TIMED_OUT: "red",
}


EVENT = Shape[JobEvent](
    {
        "at": key.instant(),
        "event": key.text("", *KINDS).of("kind"),
        "job_id": key.job_id().of("job"),
        "queue": key.null_or(key.text("Null when the job is gone")),
        "attempt": key.null_or(key.count("Its number")),
        "seconds": key.null_or(key.seconds("Length of the attempt, or of the spawning")),
        "worker": key.null_or(key.text("Name of the worker, for an attempt that is followed by another")),
        "outcome": key.null_or(key.word("Outcome of such an attempt", *OUTCOMES)),
        "children": key.null_or(key.count("Spawned jobs")),
        "error": key.null_or(key.text("Its beginning")),
    }
)


def event_text(event: JobEvent, *, width: int | None, colour: bool) -> str:
    """One line: time, event, queue and id, details; cut to the width of a terminal."""
    kind = event.kind.replace("_", " ")
    queue = visible(event.queue) if event.queue is not None else NOTHING
    lead = f"{event.at:%Y-%m-%d %H:%M:%S}.{event.at.microsecond // 1000:03}  "
    rest = f"{' ' * (_WIDTH - len(kind))}  {queue} {short_id(event.job)}"
    details = _details(event)
    room = None if width is None else max(width - cells(lead) - _WIDTH - 2, 0)
    text = shorten(f"{rest}  {details}" if details else rest, None if room is None else room + _WIDTH - len(kind))
    return f"{lead}{paint(kind, _COLOURS.get(EventKind(event.kind)), colour)}{text}"


def _details(event: JobEvent) -> str:
    parts = []
    if event.children is not None:
        parts.append(plural(event.children, "child", "children"))
    if event.attempt is not None and (event.attempt > 1 or event.kind == EventKind.ATTEMPT_FAILED):
        parts.append(f"attempt {event.attempt}{_ending(event.outcome)}")
    if event.seconds is not None:
        parts.append(f"in {duration(timedelta(seconds=event.seconds))}")
    if event.worker is not None:
        parts.append(f"on {visible(event.worker)}")
    text = ", ".join(parts)
    if event.error:
        text = f"{text}: {first_line(event.error)}" if text else first_line(event.error)
    return text


def _ending(outcome: str | None) -> str:
    return "" if outcome in {None, "failed"} else f" {visible(str(outcome)).replace('_', ' ')}"
