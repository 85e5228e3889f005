"""Renders what happened to jobs: a line for each event, for people and for programs."""

from datetime import timedelta

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.monitor.log import EventKind, JobEvent
from hammerwork_cli.render.attempts import OUTCOMES
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record, known
from hammerwork_cli.render.formats.text import NOTHING, cells, duration, first_line, plural, short_id, shorten, visible

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


def event_record(event: JobEvent) -> Record:
    """An event.

    Keys: ``at``, ``event`` (one of :data:`KINDS`), ``job_id``, ``queue`` (null if the job is gone), ``attempt`` (its
    number), ``seconds`` (length of the attempt or of the spawning), ``worker`` (its name) and ``outcome`` of
    an attempt that another one follows, ``children`` (of a spawn),
    ``error`` (its beginning); each is null where it does not apply.
    """
    return {
        "at": rfc3339(event.at),
        "event": known(event.kind, KINDS),
        "job_id": event.job,
        "queue": event.queue,
        "attempt": event.attempt,
        "seconds": event.seconds,
        "worker": event.worker,
        "outcome": known(event.outcome, OUTCOMES),
        "children": event.children,
        "error": event.error,
    }


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
