"""Batches of events, and what a reader may expect of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from hammerwork_cli.features.streaming.model import Backend, Stream, StreamFormat
from hammerwork_cli.runtime.delivery.streams.backends import OpenBackend
from hammerwork_cli.runtime.delivery.streams.failures import StreamError
from hammerwork_cli.runtime.delivery.streams.messages import Message, encode

IN_TIME = 40
"""Seconds. Shorter than what the libraries wait without our timeout, and long enough for a busy machine."""


def stream(backend: Backend, target: dict[str, Any], format: StreamFormat = StreamFormat.JSON) -> Stream:
    return Stream("1", "lake", backend, target, format=format)


def record(number: int, key: str | None = None, text: str = "") -> dict[str, Any]:
    data = {"job": {"id": key, "number": number, "text": text}}
    return {"id": f"event-{number}", "type": "job.completed", "timestamp": "2026-11-30T12:00:00Z", "data": data}


def batch(of: Stream, numbers: Iterable[int], keys: int = 7) -> list[Message]:
    """Events with these numbers, the keys of which take turns."""
    return [encode(of, record(number, f"job-{number % keys}"), f"job-{number % keys}") for number in numbers]


def numbers(events: Iterable[Any]) -> list[int]:
    return [event["data"]["job"]["number"] for event in events]


def assert_in_order(events: Sequence[Any], expected: Iterable[int] | None = None) -> None:
    """Of each key, the first copies of its events are there without a gap and in order.

    Args:
        events: as they were read.
        expected: numbers of all events that must be there.
    """
    by_key = defaultdict(list)
    for event in events:
        job = event["data"]["job"]
        if job["number"] not in by_key[job["id"]]:
            by_key[job["id"]].append(job["number"])
    for key, found in by_key.items():
        step = found[1] - found[0] if found[1:] else 1
        assert found == list(range(found[0], found[0] + step * len(found), step)), key
    if expected is not None:
        assert sorted(number for found in by_key.values() for number in found) == sorted(expected)


def send_all(backend: OpenBackend, messages: Sequence[Message], tries: int = 20) -> int:
    """Sends as a sender does, again what was not acknowledged; how many calls failed."""
    left = list(messages)
    for failures in range(tries):
        try:
            backend.send(left)
        except StreamError as error:
            left = [message for position, message in enumerate(left) if position not in error.acknowledged]
        else:
            return failures
    raise AssertionError(f"{len(left)} messages were not acknowledged in {tries} tries")
