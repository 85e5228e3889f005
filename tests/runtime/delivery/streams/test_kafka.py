"""Streams into Kafka, into a cluster of another process, which a third one reads."""

import random
import time

import pytest

from hammerwork_cli.features.streaming.model import Backend, StreamFormat
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.failures import EventTooLargeError, LastingStreamError, StreamError
from hammerwork_cli.runtime.delivery.streams.messages import encode
from tests.allowing import ALL
from tests.kafka_cluster import Cluster
from tests.runtime.delivery.streams import kafka_broker
from tests.runtime.delivery.streams.batches import IN_TIME, assert_in_order, batch, numbers, record, send_all, stream
from tests.runtime.delivery.webhooks.receivers import Authority

INVALID_RECORD, NOT_LEADER, TIMED_OUT, TOO_LARGE, TOO_FEW_REPLICAS = 87, 6, 7, 10, 19


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def kafka(cluster):
    return stream(Backend.KAFKA, {"brokers": cluster.brokers, "topic": cluster.topic()})


@pytest.fixture
def in_small_requests(kafka):
    """The same; several requests for a partition are under way at once."""
    return kafka._replace(target={**kafka.target, "config": {"batch.num.messages": 10}})


@pytest.fixture
def opened():
    """``opened(stream, timeout=)``: its backend, closed at the end."""
    backends = []

    def make(of, timeout=60.0):
        backends.append(open_backend(of, ALL, timeout=timeout))
        return backends[-1]

    yield make
    for backend in backends:
        backend.close()


def test_another_program_reads_every_event_in_the_order_of_its_key(cluster, kafka, opened):
    backend = opened(kafka)
    backend.check()
    for first in range(0, 1500, 500):
        backend.send(batch(kafka, range(first, first + 500)))
    found = cluster.read(kafka.target["topic"], 1500)
    assert len(found) == 1500
    assert_in_order([message.event for message in found], range(1500))
    assert len({message.partition for message in found}) > 1
    assert {message.key: message.partition for message in found}.items() == {
        (message.key, message.partition) for message in found
    }
    first = next(message for message in found if message.event["id"] == "event-0")
    assert first.event == record(0, "job-0")
    assert first.key == "job-0"
    assert first.headers == {"event-id": "event-0", "event-type": "job.completed", "content-type": "application/json"}


def test_a_key_goes_to_the_partition_that_java_clients_choose(cluster, kafka, opened):
    # The hashes are those that the tests of Kafka's own client expect of Utils.murmur2.
    hashes = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107}
    opened(kafka).send([encode(kafka, record(0), key) for key in hashes])
    found = {message.key: message.partition for message in cluster.read(kafka.target["topic"], len(hashes))}
    assert found == {key: (value & 0x7FFFFFFF) % 4 for key, value in hashes.items()}


def test_events_without_a_key_and_cloudevents_arrive_too(cluster, kafka, opened):
    clouds = kafka._replace(format=StreamFormat.CLOUDEVENTS)
    opened(clouds).send([encode(clouds, record(0), None), encode(clouds, record(1, "job-1"), "job-1")])
    first, second = sorted(cluster.read(kafka.target["topic"], 2), key=lambda message: message.event["id"])
    assert first.key is None
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert second.event == {
        "specversion": "1.0",
        "id": "event-1",
        "source": "/hammerwork",
        "type": "hammerwork.job.completed",
        "time": "2026-11-30T12:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": "job-1",
        "data": record(1, "job-1")["data"],
    }


@pytest.mark.parametrize("code", [INVALID_RECORD, TOO_LARGE])
def test_after_an_event_that_is_refused_no_later_one_of_its_key_is_written(cluster, in_small_requests, opened, code):
    kafka = in_small_requests
    topic, messages = kafka.target["topic"], batch(kafka, range(2000))
    backend = opened(kafka)
    backend.send(messages[:20])
    cluster.refuse(0, code)
    with pytest.raises(LastingStreamError) as caught:
        backend.send(messages[20:])
    written = [message.event for message in cluster.read(topic, 20 + len(caught.value.acknowledged))]
    assert len(written) < 2000
    assert_in_order(written)
    assert {numbers([event])[0] for event in written} >= {20 + position for position in caught.value.acknowledged}
    send_all(backend, [m for position, m in enumerate(messages[20:]) if position not in caught.value.acknowledged])
    assert_in_order([message.event for message in cluster.read(topic, 2000)], range(2000))


def test_whatever_brokers_answer_the_order_of_each_key_stays(cluster, in_small_requests, opened):
    kafka = in_small_requests
    chance, backend = random.Random(30), opened(kafka)
    failures = 0
    for first in range(0, 3000, 500):
        cluster.refuse(
            *chance.choices([0, NOT_LEADER, TOO_FEW_REPLICAS, TIMED_OUT, INVALID_RECORD], [5, 2, 2, 2, 1], k=8)
        )
        failures += send_all(backend, batch(kafka, range(first, first + 500)))
    assert failures
    assert_in_order([message.event for message in cluster.read(kafka.target["topic"], 3000)], range(3000))


def test_a_broker_that_is_away_is_an_error_in_time_and_takes_the_events_when_it_is_back(cluster, kafka, opened):
    backend, messages = opened(kafka, timeout=1.0), batch(kafka, range(500))
    with cluster.away():
        began = time.monotonic()
        with pytest.raises(StreamError, match=r"acknowledged 0 of 500 events within 1 seconds .*refused") as caught:
            backend.send(messages)
        assert time.monotonic() - began < IN_TIME
        assert caught.value.retryable
        assert cluster.brokers in caught.value.hint
        with pytest.raises(StreamError, match="No broker of Kafka answered within 1 seconds"):
            backend.check()
    assert send_all(backend, messages) <= 5
    assert_in_order([message.event for message in cluster.read(kafka.target["topic"], 500)], range(500))


def test_a_cluster_that_stands_still_is_an_error_in_time_and_keeps_the_order_afterwards(cluster, kafka, opened):
    backend = opened(kafka, timeout=1.0)
    send_all(backend, batch(kafka, range(100)))
    with cluster.frozen():
        began = time.monotonic()
        with pytest.raises(StreamError, match=r"acknowledged 0 of 100 events within 1 seconds\."):
            backend.send(batch(kafka, range(100, 200)))
        assert time.monotonic() - began < IN_TIME
    send_all(backend, batch(kafka, range(100, 300)))
    assert_in_order([message.event for message in cluster.read(kafka.target["topic"], 300)], range(300))


def test_a_cluster_that_is_killed_meanwhile_is_an_error(opened):
    with Cluster() as cluster:
        kafka = stream(Backend.KAFKA, {"brokers": cluster.brokers, "topic": cluster.topic()})
        backend = opened(kafka, timeout=1.0)
        send_all(backend, batch(kafka, range(10)))
        cluster.kill()
        with pytest.raises(StreamError, match="acknowledged 0 of 10 events within 1 seconds"):
            backend.send(batch(kafka, range(10)))


def test_a_topic_that_is_not_there_is_an_error_that_lasts_and_is_not_made(cluster, kafka, opened):
    nowhere = kafka._replace(target={**kafka.target, "topic": "nowhere"})
    backend = opened(nowhere, timeout=2.0)
    for call in (backend.check, lambda: backend.send(batch(nowhere, range(3)))) * 2:
        with pytest.raises(LastingStreamError, match=r"the topic 'nowhere': Broker: Unknown topic") as caught:
            call()
        assert not caught.value.retryable
        assert caught.value.hint.startswith("Create the topic")


def test_an_event_that_is_too_large_is_named_before_anything_is_sent(cluster, kafka, opened):
    messages = [*batch(kafka, range(2)), encode(kafka, record(2, text="x" * 1_000_000), "job-2")]
    with pytest.raises(EventTooLargeError, match=r"The event event-2 has 1,000,1.. bytes") as caught:
        opened(kafka).send(messages)
    assert caught.value.positions == (2,)
    assert caught.value.acknowledged == frozenset()
    opened(kafka).send([encode(kafka, record(0, text="x" * 990_000), "job-0")])
    assert numbers(message.event for message in cluster.read(kafka.target["topic"], 1)) == [0]


def test_a_property_with_a_value_that_it_does_not_take_is_an_error_that_lasts(kafka, opened):
    wrong = kafka._replace(target={**kafka.target, "config": {"compression.type": "tar"}})
    with pytest.raises(LastingStreamError, match='Invalid value "tar"'):
        opened(wrong).check()


def test_a_wrong_password_is_an_error_that_lasts_at_once_and_is_not_printed(opened, monkeypatch):
    monkeypatch.setenv("STREAM_PASSWORD", "s3cr3t")
    with kafka_broker.Broker(kafka_broker.WRITE) as broker:
        of = stream(Backend.KAFKA, kafka_broker.target(broker.port))
        for call in (lambda backend: backend.check(), lambda backend: backend.send(batch(of, range(3)))):
            began = time.monotonic()
            with pytest.raises(LastingStreamError, match="Invalid username or password") as caught:
                call(opened(of))
            assert time.monotonic() - began < IN_TIME
            assert caught.value.hint.startswith("Correct security.protocol, sasl.mechanism, sasl.username")
            assert "s3cr3t" not in f"{caught.value!r} {caught.value.hint}"


def test_the_check_asks_whether_the_user_may_write(opened, monkeypatch):
    monkeypatch.setenv("STREAM_PASSWORD", "right")
    with kafka_broker.Broker(kafka_broker.DESCRIBE, kafka_broker.READ) as broker:
        with pytest.raises(LastingStreamError, match="'events': Broker: Topic authorization failed") as caught:
            opened(stream(Backend.KAFKA, kafka_broker.target(broker.port))).check()
        assert caught.value.hint == "Allow the user to describe the topic and to write to it."
    with kafka_broker.Broker(kafka_broker.DESCRIBE, kafka_broker.WRITE) as broker:
        opened(stream(Backend.KAFKA, kafka_broker.target(broker.port))).check()


def test_a_certificate_of_an_unknown_authority_is_an_error_that_lasts(opened, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("STREAM_PASSWORD", "right")
    known, unknown = (Authority(tmp_path_factory.mktemp(name)) for name in ("known", "unknown"))
    with kafka_broker.Broker(kafka_broker.WRITE, context=known.serving("127.0.0.1")) as broker:

        def trusting(authority):
            target = kafka_broker.target(broker.port)
            tls = {"security.protocol": "SASL_SSL", "ssl.ca.location": "env:AUTHORITY"}
            monkeypatch.setenv("AUTHORITY", str(authority.file))
            return opened(stream(Backend.KAFKA, target | {"config": target["config"] | tls}))

        trusting(known).check()
        with pytest.raises(LastingStreamError, match="certificate verify failed") as caught:
            trusting(unknown).check()
        assert caught.value.hint == "Check the certificates, and set ssl.ca.location with --kafka-config KEY=VALUE."
