"""Events into Kafka, a cluster in another process, against its client library alone."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from benchmarks.measuring import FULL_SIZE, Result, compare, goal_at
from benchmarks.workload import NOW
from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.features.event.model import Event, EventType
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.messages import Message, encode
from tests.allowing import ALL
from tests.kafka_cluster import Cluster

BATCH = 500
EVENTS_A_JOB = 3
LEAST_RATE = 5000
"""Events a second."""
_TIME = rfc3339(NOW)


def measure(jobs: int, runs: int) -> Iterator[Result]:
    """Encoded and sent in batches, each of which is acknowledged before the next one is sent."""
    from confluent_kafka import Producer

    number = min(jobs, FULL_SIZE)
    with Cluster() as cluster:
        stream = Stream("1", "lake", Backend.KAFKA, {"brokers": cluster.brokers, "topic": cluster.topic()})
        messages = [_message(stream, place) for place in range(number)]
        bare, topic = Producer({"bootstrap.servers": cluster.brokers, "acks": "all"}), cluster.topic()
        with closing(open_backend(stream, ALL)) as backend:

            def ours() -> None:
                for first in range(0, number, BATCH):
                    backend.send([_message(stream, place) for place in range(first, min(first + BATCH, number))])

            def peer() -> None:
                for first in range(0, number, BATCH):
                    for message in messages[first : first + BATCH]:
                        bare.produce(topic, message.body, message.key)
                    bare.flush()

            name, against = f"send {number:,} events into Kafka", f"confluent-kafka, {BATCH} encoded events at once"
            found = compare(ours, peer, runs, measure=name, database="", jobs=0, against=against)
    assert found.ours
    assert found.peer
    yield replace(found, note=f"{number / found.ours:,.0f} and {number / found.peer:,.0f} events/s")
    goal = goal_at(jobs, number / LEAST_RATE)
    yield Result(f"{name}: time", "", 0, found.ours, "s", goal, against=f"{LEAST_RATE:,} events/s")


def _message(stream: Stream, number: int) -> Message:
    job = f"ba7c4000-0000-4000-8000-{number // EVENTS_A_JOB:012}"
    data = {
        "id": job,
        "queue_name": "emails",
        "status": "Completed",
        "priority": "normal",
        "attempts": 1,
        "error": None,
    }
    event = Event(f"{job}-{number}", EventType.JOB_COMPLETED, NOW, {**data, "created_at": _TIME, "completed_at": _TIME})
    return encode(stream, event.record(), job)
