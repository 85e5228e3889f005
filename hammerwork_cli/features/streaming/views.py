"""Streams: shapes, tables and sentences for people."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from hammerwork_cli.core.values import MASK, timestamp
from hammerwork_cli.features.event.model import USUAL
from hammerwork_cli.features.event.views import filter_keys, lines, note, note_column
from hammerwork_cli.features.streaming.model import Backend, Partitioning, Stream, StreamFormat, StreamState
from hammerwork_cli.view import key
from hammerwork_cli.view.json import Record
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import count, duration, first_line, instant, shorten, visible

LONGEST_TARGET = 40
"""Characters of a target in a table: a command may be of any length."""


def _of(name: str) -> str:
    return f"stream.{name}"


STREAM = Shape[StreamState](
    {
        "id": key.uuid().of(_of("id")),
        "name": key.text().of(_of("name")),
        "backend": key.text("", *Backend).of(lambda one: str(one.stream.backend)),
        "target": key.anything("Where it goes; secrets by their variables").of(lambda one: dict(one.stream.target)),
        **filter_keys(attrgetter("stream")),
        "partitioning": key.text("What the key of an event is", *Partitioning).of(
            lambda one: str(one.stream.partitioning)
        ),
        "format": key.text("", *StreamFormat).of(lambda one: str(one.stream.format)),
        "include_payload": key.flag().of(_of("include_payload")),
        "buffer_size": key.count("Most events that are sent together").of(_of("buffer_size")),
        "buffer_seconds": key.number("How long events wait until there are so many", 3).of(_of("buffer_seconds")),
        "max_backlog": key.count("Most events that wait; further ones are dropped").of(_of("max_backlog")),
        "enabled": key.flag().of(_of("enabled")),
        "disabled_reason": key.null_or(key.text()).of(_of("disabled_reason")),
        "backlog": key.count("Events that wait"),
        "oldest_seconds": key.null_or(key.number("Age of the first event that waits", 3)),
        "sent": key.count("Events so far").of(_of("sent")),
        "failed": key.count("Attempts to send that failed").of(_of("failed")),
        "dropped": key.count("Events that are lost: the backlog was full, or they were too large").of(_of("dropped")),
        "failing_since": key.null_or(key.instant("The first failed attempt since the last success")).of(
            _of("failing_since")
        ),
        "last_sent_at": key.null_or(key.instant()).of(_of("last_sent_at")),
        "last_error": key.null_or(key.text()).of(_of("last_error")),
        "created_at": key.null_or(key.instant()).of(_of("created_at")),
        "updated_at": key.null_or(key.instant()).of(_of("updated_at")),
        "updated_by": key.null_or(key.text()).of(_of("updated_by")),
    }
)


_PUBLIC = frozenset({"brokers", "topic", "region", "stream", "project"})


def _public_target(state: StreamState) -> Record:
    return {name: value if name in _PUBLIC else MASK for name, value in state.stream.target.items()}


PUBLIC = Shape[StreamState](
    {**STREAM.parts, "target": key.anything("Where it goes; what may hold a secret is ***").of(_public_target)}
)
"""A stream for those who may not see its secrets: clients of the web server."""


class SentTest(NamedTuple):
    """An event that was sent for a test."""

    stream: str
    event: Mapping[str, Any]
    key: str | None
    seconds: float


SENT = Shape[SentTest](
    {
        "stream": key.text(),
        "event": key.anything("The event that was sent"),
        "key": key.null_or(key.text("By the partitioning of the stream")),
        "seconds": key.number("Until the backend had acknowledged it", 3),
    }
)


class TriedStream(NamedTuple):
    """What a test by HTTP tells."""

    stream: str
    event: Mapping[str, Any]
    key: str | None
    error: str | None
    seconds: float


TRIED = Shape[TriedStream](
    {
        **SENT.without("seconds"),
        "accepted": key.flag("Whether the backend has acknowledged the event").of(lambda one: one.error is None),
        "error": key.null_or(key.text("Why it has not")),
        "seconds": key.number("", 3),
    }
)
REPLAYED = Shape[Mapping[str, Any]](
    {
        "stream": key.text().of(lambda one: one["stream"]),
        "events": key.count("Events to be sent again").of(lambda one: one["events"]),
    }
)


def columns(*, detailed: bool) -> Sequence[Column[StreamState]]:
    more: Sequence[Column[StreamState]] = (
        Column("queues", lambda one: ", ".join(one.stream.queues) or "all", cuts=True, drop_order=5),
        Column("key", lambda one: str(one.stream.partitioning), drop_order=6),
        Column("format", lambda one: str(one.stream.format), drop_order=7),
    )
    return (
        Column("stream", lambda one: one.stream.name, cuts=True),
        Column("target", lambda one: shorten(target(one.stream), LONGEST_TARGET), cuts=True, keeps=20, drop_order=4),
        Column("events", lambda one: _events(one.stream), cuts=True, drop_order=1),
        *(more if detailed else ()),
        column(STREAM, "sent", is_count=False, drop_order=2),
        column(STREAM, "backlog", is_count=False),
        column(STREAM, "dropped", is_count=False, drop_order=3),
        note_column(lambda one: note(one.stream, one.now, one.stream.last_error) or one.problem),
    )


def target(stream: Stream) -> str:
    """Where a stream goes, in short."""
    place = stream.target.get("topic") or stream.target.get("stream")
    if place is None:
        place = " ".join(map(str, stream.target.get("command", ())))
    return f"{stream.backend} {place}"


def _events(stream: Stream) -> str:
    if set(stream.events) == set(USUAL):
        return "all but trees"
    return ", ".join(map(str, stream.events))


def text(state: StreamState) -> Iterator[str]:
    """Everything about a stream, for people."""
    stream = state.stream
    oldest = state.oldest_seconds
    waits = (
        "" if oldest is None else f", the oldest for {duration(state.now - (timestamp(state.oldest_at) or state.now))}"
    )
    rows: list[tuple[str, str | None]] = [
        ("stream", stream.name),
        ("id", stream.id),
        ("backend", str(stream.backend)),
        *((name, _value(value)) for name, value in stream.target.items()),
        ("events", _events(stream)),
        ("queues", ", ".join(stream.queues) or "all"),
        ("priorities", ", ".join(stream.priorities) or "all"),
        ("key", str(stream.partitioning)),
        ("format", str(stream.format)),
        ("payload", "included" if stream.include_payload else None),
        ("buffer", f"{count(stream.buffer_size)} events, {stream.buffer_seconds:g} s"),
        ("sent", count(stream.sent)),
        ("backlog", f"{count(state.backlog)} of at most {count(stream.max_backlog)}{waits}"),
        ("dropped", count(stream.dropped) if stream.dropped else None),
        ("last sent", stream.last_sent_at and f"{instant(stream.last_sent_at)} UTC"),  # type: ignore[list-item]
        ("failing since", stream.failing_since and f"{instant(stream.failing_since)} UTC"),  # type: ignore[list-item]
        ("last error", stream.last_error and first_line(stream.last_error)),
    ]
    return lines(stream, rows)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={one}" for name, one in value.items())
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def sent_lines(sent: SentTest) -> Iterator[str]:
    """Yields what became of an event that was sent for a test."""
    named = f" with the key {visible(sent.key)}" if sent.key else ""
    yield f"The backend acknowledged a {sent.event['type']} event{named} after {sent.seconds:.2f} s."
