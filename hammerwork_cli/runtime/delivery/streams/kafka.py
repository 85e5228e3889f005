"""Streams into Kafka, by librdkafka.

The producer is idempotent, so a broker takes what it sends into a partition once and in order. The gapless guarantee
stops the producer at the first message that fails, before a later one of its partition is written. Whatever fails, the
producer with all that it holds is thrown away, and the next batch has a new one.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AclOperation, AdminClient  # type: ignore[attr-defined]  # its types leave it out

from hammerwork_cli.features.streaming.model import Stream
from hammerwork_cli.runtime.delivery.streams.failures import LastingStreamError, StreamError, said
from hammerwork_cli.runtime.delivery.streams.messages import Message, refuse_large
from hammerwork_cli.runtime.delivery.streams.targets import secret

SLICE_SECONDS = 0.1
"""How often a wait looks at what went wrong."""
PROPAGATION_SECONDS = 5.0
"""How long a topic may be unknown to the brokers after it was made."""
REPORT_SECONDS = 0.5
"""For the reports about messages that are thrown away, the first of which may say what failed."""
DEFAULT_MOST = 1_000_000
"""Bytes of a message that librdkafka takes."""
OVERHEAD_BYTES = 512
"""Of a batch with one message."""
_LASTING = {
    getattr(KafkaError, name): hint
    for hint, names in {
        "Create the topic, or name another one with --kafka-topic.": (
            "UNKNOWN_TOPIC_OR_PART",
            "_UNKNOWN_TOPIC",
            "_UNKNOWN_PARTITION",
            "TOPIC_EXCEPTION",
        ),
        "Correct security.protocol, sasl.mechanism, sasl.username or sasl.password with --kafka-config KEY=VALUE.": (
            "_AUTHENTICATION",
            "SASL_AUTHENTICATION_FAILED",
            "UNSUPPORTED_SASL_MECHANISM",
            "ILLEGAL_SASL_STATE",
        ),
        "Check the certificates, and set ssl.ca.location with --kafka-config KEY=VALUE.": ("_SSL",),
        "Allow the user to describe the topic and to write to it.": (
            "TOPIC_AUTHORIZATION_FAILED",
            "CLUSTER_AUTHORIZATION_FAILED",
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        ),
        "Raise message.max.bytes of the topic, or leave the payloads out.": (
            "MSG_SIZE_TOO_LARGE",
            "RECORD_LIST_TOO_LARGE",
        ),
        "Look at the settings of the topic.": ("INVALID_RECORD", "POLICY_VIOLATION", "INVALID_CONFIG"),
    }.items()
    for name in names
}
"""Codes of errors that last -> the next step."""
_log = logging.getLogger("hammerwork.librdkafka")
_log.addHandler(logging.NullHandler())
_log.propagate = False  # what matters is in the errors that are raised


class KafkaBackend:
    """Sends messages into a topic."""

    def __init__(self, stream: Stream, timeout: float) -> None:
        self._topic = stream.target["topic"]
        self._check_brokers = f"Check that the brokers run: {stream.target['brokers'][:200]}"
        self._timeout = timeout
        given = {
            name: secret(value, f"property {name}") if isinstance(value, str) else value
            for name, value in (stream.target.get("config") or {}).items()
        }
        most = str(given.get("message.max.bytes", ""))
        self._most = (int(most) if most.isdecimal() else DEFAULT_MOST) - OVERHEAD_BYTES
        self._config = {
            "client.id": "hammerwork",
            "partitioner": "murmur2_random",  # that of Java's clients: a key goes where theirs send it
            "socket.keepalive.enable": True,
            **given,
            "bootstrap.servers": stream.target["brokers"],
            "acks": "all",
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,
            "message.timeout.ms": 0,  # a message that was given up alone would leave a gap
            "allow.auto.create.topics": False,
            "topic.metadata.propagation.max.ms": int(min(PROPAGATION_SECONDS, timeout / 2) * 1000),
            "reconnect.backoff.max.ms": 1000,
            "log.connection.close": False,
            "error_cb": self._heard,
            "logger": _log,
        }
        self._producer: Producer | None = None
        self._last: KafkaError | None = None  # what librdkafka said last about its connections
        self._lasting: KafkaError | None = None  # the first of it that lasts

    def check(self) -> None:
        """Asks for the topic, and for what the user may do with it."""
        deadline = self._begin()
        producer = self._opened()
        while True:
            try:
                left = deadline - time.monotonic()
                found = producer.list_topics(self._topic, timeout=max(SLICE_SECONDS, min(1.0, left)))
                break
            except KafkaException as error:
                producer.poll(0)
                if not self._lasting and time.monotonic() < deadline:
                    continue
                self._drop()
                if self._lasting:
                    self._fail(self._lasting)
                raise self._unanswered("No broker of Kafka answered") from error
        if problem := found.topics[self._topic].error:
            self._fail(problem)
        if found.controller_id in found.brokers:  # it answers the next question
            self._check_rights(max(1.0, deadline - time.monotonic()))

    def send(self, messages: Sequence[Message]) -> None:
        refuse_large(messages, self._most, "Kafka")
        deadline = self._begin()
        sent = _Sent()
        try:
            producer = self._opened()
            for position, message in enumerate(messages):
                self._produce(producer, message, partial(sent.reported, position), deadline)
                if sent.error is not None:
                    break
            while producer.flush(SLICE_SECONDS):
                if sent.error or self._lasting or time.monotonic() > deadline:
                    break
        except KafkaException as error:  # the gapless guarantee stopped it; what failed is reported after that
            self._lasting = self._lasting or error.args[0]
        finally:
            if len(sent.acknowledged) < len(messages):
                self._drop()
        if len(sent.acknowledged) == len(messages):
            return
        if problem := sent.error or self._lasting:
            self._fail(problem, sent.acknowledged)
        count = f"{len(sent.acknowledged):,} of {len(messages):,} events"
        raise self._unanswered(f"Kafka acknowledged {count}", sent.acknowledged)

    def close(self) -> None:
        """Ends the connections. Messages that are not acknowledged are thrown away."""
        self._drop()

    def _begin(self) -> float:
        self._last = self._lasting = None
        return time.monotonic() + self._timeout

    def _opened(self) -> Producer:
        if self._producer is None:
            try:
                self._producer = Producer(self._config)
            except KafkaException as error:  # such as a value that a property does not take
                raise LastingStreamError(
                    f"The Kafka client refuses its configuration: {said(error.args[0].str())}.",
                    hint="Correct it with --kafka-config KEY=VALUE.",
                ) from error
        return self._producer

    def _produce(
        self, producer: Producer, message: Message, report: Callable[[KafkaError | None, Any], None], deadline: float
    ) -> None:
        while True:
            try:
                producer.produce(
                    self._topic,
                    message.body,
                    message.key,
                    on_delivery=report,
                    headers=[(name, value.encode()) for name, value in message.headers.items()],
                )
                producer.poll(0)
                return
            except BufferError:  # its queue is full of messages that no broker takes
                if self._lasting or time.monotonic() > deadline:
                    raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from None
                producer.poll(SLICE_SECONDS)

    def _heard(self, error: KafkaError) -> None:
        """What librdkafka says about its connections, while it is polled."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN or self._last is None:  # others say why
            self._last = error
        if error.code() in _LASTING or error.fatal():
            self._lasting = self._lasting or error

    def _drop(self) -> None:
        """Throws the producer away, with all that was not acknowledged."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaException):
                producer.purge()
            end = time.monotonic() + REPORT_SECONDS
            while len(producer) and time.monotonic() < end:
                with suppress(KafkaException):  # that it has been stopped
                    producer.poll(0.01)

    def _check_rights(self, seconds: float) -> None:
        """Asks whether the user may write. Brokers without access control allow everything, or do not say."""
        quiet = {name: value for name, value in self._config.items() if name not in _OF_PRODUCERS}
        admin = AdminClient(quiet)
        try:
            asked = admin.describe_topics(
                TopicCollection([self._topic]), include_authorized_operations=True, request_timeout=seconds
            )
            allowed = asked[self._topic].result(timeout=seconds + 1).authorized_operations
        except (KafkaException, TimeoutError):
            return  # an old broker: the topic is there, and the first event will tell
        if allowed and not {AclOperation.WRITE, AclOperation.ALL} & set(allowed):
            self._fail(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    def _unanswered(self, what: str, acknowledged: Collection[int] = ()) -> StreamError:
        reason = f" ({said(self._last.str())})" if self._last else ""
        return StreamError(
            f"{what} within {self._timeout:g} seconds{reason}.", hint=self._check_brokers, acknowledged=acknowledged
        )

    def _fail(self, error: KafkaError, acknowledged: Collection[int] = ()) -> NoReturn:
        kind = LastingStreamError if error.code() in _LASTING else StreamError
        raise kind(
            f"Kafka does not take events into the topic {self._topic!r}: {said(error.str())}.",
            hint=_LASTING.get(error.code()) or self._check_brokers,
            acknowledged=acknowledged,
        )


_OF_PRODUCERS = frozenset(
    [
        "partitioner",
        "acks",
        "enable.idempotence",
        "enable.gapless.guarantee",
        "message.timeout.ms",
        "compression.type",
        "compression.level",
        "linger.ms",
        "batch.size",
        "batch.num.messages",
        "request.timeout.ms",
        "topic.metadata.propagation.max.ms",
    ]
)
"""Properties that other clients do not have."""


_CONSEQUENCES = frozenset(
    {KafkaError._GAPLESS_GUARANTEE, KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}
)
"""Codes of errors of messages that failed because another one did."""


class _Sent:
    """What became of the messages of a batch."""

    def __init__(self) -> None:
        self.acknowledged: set[int] = set()
        self.error: KafkaError | None = None  # the first one

    def reported(self, position: int, error: KafkaError | None, _: KafkaMessage) -> None:
        if error is None:
            self.acknowledged.add(position)
        elif self.error is None and error.code() not in _CONSEQUENCES:
            self.error = error
