"""Events as a backend gets them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hammerwork_cli.features.streaming.model import Stream, StreamFormat
from hammerwork_cli.runtime.delivery.cloudevents import CONTENT_TYPE, cloud_event
from hammerwork_cli.runtime.delivery.streams.failures import EventTooLargeError
from hammerwork_cli.view.json import document


class Message(NamedTuple):
    key: str | None  # within which the order is kept; `None` where nobody asks for an order
    body: bytes  # a JSON object in one line
    headers: Mapping[str, str]  # `event-id`, `event-type` and `content-type`

    @property
    def id(self) -> str:
        """Of its event."""
        return self.headers["event-id"]


def encode(stream: Stream, record: Mapping[str, Any], key: str | None) -> Message:
    """Encodes an event in the format of a stream.

    Args:
        record: the event, as ``Event.record`` makes it.
        key: of the event, by the partitioning of the stream.
    """
    content, made = "application/json", record
    if stream.format is StreamFormat.CLOUDEVENTS:
        content, made = CONTENT_TYPE, cloud_event(record) | ({} if key is None else {"partitionkey": key})
    headers = {"event-id": record["id"], "event-type": record["type"], "content-type": content}
    return Message(key, document(made).encode(), headers)


def parts(
    messages: Sequence[Message],
    positions: Sequence[int],
    size_of: Callable[[Message], int],
    *,
    most: int,
    most_bytes: int,
) -> Iterator[list[int]]:
    """Yields positions of messages in parts that one request takes."""
    part: list[int] = []
    size = 0
    for position in positions:
        more = size_of(messages[position])
        if part and (len(part) == most or size + more > most_bytes):
            yield part
            part, size = [], 0
        part.append(position)
        size += more
    yield part


def rounds(messages: Sequence[Message]) -> list[list[int]]:
    """Positions of messages in rounds: the first message of each key, then the second ones, and so on.

    A backend that may write a part of a round keeps the order if it begins the next one when all of a round is written.
    Messages without a key have no order, and are all in the first round.
    """
    made: list[list[int]] = []
    earlier: Counter[str] = Counter()
    for position, message in enumerate(messages):
        number = 0 if message.key is None else earlier[message.key]
        if message.key is not None:
            earlier[message.key] += 1
        if number == len(made):
            made.append([])
        made[number].append(position)
    return made


def refuse_large(messages: Sequence[Message], most: int, backend: str) -> None:
    """Raises an error for messages that a backend would refuse, before any is sent.

    Args:
        most: bytes of a message with its key and headers.
    """
    large = [position for position, message in enumerate(messages) if _size(message) > most]
    if large:
        first = messages[large[0]]
        raise EventTooLargeError(
            large, f"The event {first.id} has {len(first.body):,} bytes; {backend} takes at most {most:,} with its key."
        )


def _size(message: Message) -> int:
    headers = sum(len(name) + len(value.encode()) for name, value in message.headers.items())
    return len(message.body) + len((message.key or message.id).encode()) + headers
