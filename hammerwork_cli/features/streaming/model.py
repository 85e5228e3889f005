"""Streams as they are stored."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.features.event.model import EventType

NEARLY_FULL = 0.8
"""The part of its largest backlog above which a stream is not well."""
MOST_TOGETHER = 500
"""The largest buffer of a stream, in events."""
LATE = timedelta(minutes=5)
"""Age of the first event that waits above which a stream is not well."""


class Backend(StrEnum):
    KAFKA = "kafka"
    KINESIS = "kinesis"
    PUBSUB = "pubsub"
    COMMAND = "command"


class Partitioning(StrEnum):
    """What the key of an event is, within which its order is kept."""

    NONE = "none"
    JOB_ID = "job_id"
    QUEUE_NAME = "queue_name"
    PRIORITY = "priority"
    EVENT_TYPE = "event_type"
    ROOT_ID = "root_id"


class StreamFormat(StrEnum):
    JSON = "json"
    CLOUDEVENTS = "cloudevents"


class Stream(NamedTuple):
    """A stream: its columns."""

    id: str
    name: str
    backend: Backend
    # Where it goes: of Kafka `brokers`, `topic` and `config`; of Kinesis `region`, `stream`, `endpoint`, `access_key`
    # and `secret_key`; of Pub/Sub `project`, `topic`, `key_file` and `endpoint`; of a program `command`, its words.
    # A secret is `env:NAME`.
    target: Mapping[str, Any] = {}
    events: tuple[EventType, ...] = ()
    queues: tuple[str, ...] = ()  # empty: events of all queues
    priorities: tuple[str, ...] = ()  # words; empty: events of all priorities
    partitioning: Partitioning = Partitioning.JOB_ID
    format: StreamFormat = StreamFormat.JSON
    include_payload: bool = False
    buffer_size: int = MOST_TOGETHER  # most events that are sent together
    buffer_seconds: float = 0.0  # how long the sender waits for that many
    max_backlog: int = 1_000_000  # events; above it, further ones are dropped and counted
    enabled: bool = True
    disabled_reason: str | None = None
    enabled_at: Timestamp = None  # events before it are not sent
    sent: int = 0
    failed: int = 0  # attempts to send that failed
    dropped: int = 0
    failing_since: Timestamp = None  # the first failed attempt since the last success
    last_sent_at: Timestamp = None
    last_error: str | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None
    updated_by: str | None = None


class StreamState(NamedTuple):
    """A stream, and the events of it that wait."""

    stream: Stream
    backlog: int  # exact where one stream is asked for
    oldest_at: Timestamp
    now: datetime

    @property
    def oldest_seconds(self) -> float | None:
        """Age of the first event that waits."""
        oldest = timestamp(self.oldest_at)
        return max((self.now - oldest).total_seconds(), 0.0) if oldest else None

    @property
    def is_nearly_full(self) -> bool:
        """Whether events will be dropped soon, or are."""
        return self.backlog >= NEARLY_FULL * self.stream.max_backlog

    @property
    def problem(self) -> str | None:
        """What is wrong with it, in a sentence."""
        stream, oldest = self.stream, self.oldest_seconds
        if not stream.enabled:
            return None
        if self.is_nearly_full:
            dropped = f" {stream.dropped:,} were dropped." if stream.dropped else ""
            why = f" {stream.last_error}" if stream.failing_since is not None else ""
            return f"{self.backlog:,} events wait, of at most {stream.max_backlog:,}.{dropped}{why}"
        if stream.failing_since is not None:
            return f"Events cannot be sent: {stream.last_error}"
        if oldest is not None and oldest > LATE.total_seconds():
            if self.backlog == 1:
                return "1 event waits, and no worker sends it."
            return f"{self.backlog:,} events wait, and no worker sends them."
        return None
