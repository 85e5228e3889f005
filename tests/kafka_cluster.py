"""A Kafka cluster: that of librdkafka's own tests, in a process of its own.

``python -m tests.kafka_cluster BROKERS`` prints the addresses of its brokers and obeys the lines of its input, and
``python -m tests.kafka_cluster read BROKERS TOPIC NUMBER`` prints messages as JSON lines. The library has the functions
for both, and confluent-kafka brings the library.
"""

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.servers import frozen

ROOT = Path(__file__).parent.parent


class Read(NamedTuple):
    """A message, as a consumer got it."""

    partition: int
    key: str | None
    body: str
    headers: dict[str, str]

    @property
    def event(self) -> Any:
        return json.loads(self.body)


class Cluster:
    """A running cluster.

    Attributes:
        brokers: their addresses.
    """

    def __init__(self, brokers: int = 1) -> None:
        self._process = _program(str(brokers))
        assert self._process.stdout
        self.brokers = json.loads(self._process.stdout.readline())
        self._topics = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def topic(self, partitions: int = 4) -> str:
        """The name of a new topic."""
        self._topics += 1
        self._say(f"topic events-{self._topics} {partitions}")
        return f"events-{self._topics}"

    def refuse(self, *codes: int) -> None:
        """Answers the next requests to write with these errors of the protocol; 0 is none."""
        self._say(f"refuse {' '.join(map(str, codes))}")

    @contextlib.contextmanager
    def away(self, broker: int = 1) -> Iterator[None]:
        """A broker closes its connections and takes no new ones."""
        self._say(f"down {broker}")
        try:
            yield
        finally:
            self._say(f"up {broker}")

    def frozen(self) -> contextlib.AbstractContextManager[None]:
        """Connections stay, and nobody answers."""
        return frozen(self._process)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, topic: str, number: int) -> list[Read]:
        """What another process reads from the beginning: so many messages, and what is there besides."""
        reader = _program("read", self.brokers, topic, str(number))
        output, _ = reader.communicate(timeout=60)
        assert reader.returncode == 0
        return [Read(*json.loads(line)) for line in output.splitlines()]

    def _say(self, line: str) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "0\n"


def _program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.kafka_cluster", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the library writes what a client does wrong there
        text=True,
    )


def main(brokers: int) -> None:
    """Is a cluster, until the input ends."""
    library = _library()
    library.rd_kafka_new.restype = library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    client = ctypes.c_void_p(library.rd_kafka_new(0, None, None, ctypes.c_size_t(0)))
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, brokers))
    _say(library.rd_kafka_mock_cluster_bootstraps(cluster).decode())
    for line in sys.stdin:
        match line.split():
            case "topic", name, partitions:
                done = library.rd_kafka_mock_topic_create(cluster, name.encode(), int(partitions), 1)
            case "refuse", *codes:
                errors = [ctypes.c_int(int(code)) for code in codes]
                library.rd_kafka_mock_push_request_errors(
                    cluster, ctypes.c_int16(0), ctypes.c_size_t(len(errors)), *errors
                )
                done = 0
            case ("down" | "up") as change, broker:
                done = getattr(library, f"rd_kafka_mock_broker_set_{change}")(cluster, ctypes.c_int32(int(broker)))
            case _:
                raise ValueError(line)
        _say(done)


def _library() -> ctypes.CDLL:
    """The very file that confluent-kafka has loaded."""
    import confluent_kafka  # noqa: F401

    for line in Path("/proc/self/maps").read_text().splitlines():
        if "librdkafka" in line:
            return ctypes.CDLL(line.split()[-1])
    raise OSError("confluent-kafka has no library of its own")


def read(brokers: str, topic: str, number: int) -> None:
    """Prints messages from the beginning of a topic: so many at least, in 20 seconds, and all that are there."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "reader", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    found, end = 0, time.monotonic() + 20
    while (messages := consumer.consume(1000, timeout=0.2)) or (found < number and time.monotonic() < end):
        for message in messages:
            assert not message.error()
            key, body = message.key(), message.value()
            headers: Any = message.headers() or []
            assert isinstance(body, bytes)
            texts = {name: value.decode() for name, value in headers}
            _say([message.partition(), key.decode() if isinstance(key, bytes) else None, body.decode(), texts])
        found += len(messages)
    sys.stdout.flush()
    os._exit(found < number)  # closing the consumer takes a while


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201  the other process reads it


if __name__ == "__main__":
    if sys.argv[1] == "read":
        read(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(int(sys.argv[1]))
