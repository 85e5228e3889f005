"""Opens the backend of a stream."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.runtime.delivery.allowed import Allowed
from hammerwork_cli.runtime.delivery.streams import targets
from hammerwork_cli.runtime.delivery.streams.messages import Message

TIMEOUT_SECONDS = 30.0
"""How long a backend has for a whole batch."""


class OpenBackend(Protocol):
    """A backend that takes events. One thread uses it."""

    def check(self) -> None:
        """Asks whether the target exists and may be written to, and writes nothing.

        Raises:
            StreamError: it does not answer in time.
            LastingStreamError: it is not there, or refuses the credentials.
        """

    def send(self, messages: Sequence[Message]) -> None:
        """Sends messages, and returns when all are acknowledged.

        Messages with the same key are written in order: a later one never before the first copy of an earlier one,
        whatever fails. Some may be written even if the call fails, and twice if they are sent again.

        Raises:
            StreamError: some were not acknowledged in time.
            LastingStreamError: some were refused, and would be again.
        """

    def close(self) -> None:
        """Ends what is open, and waits some seconds at most."""


def open_backend(stream: Stream, allowed: Allowed, *, timeout: float = TIMEOUT_SECONDS) -> OpenBackend:
    """Opens the backend of a stream. A connection is made when it is first used.

    Args:
        allowed: what it may use of this host.
        timeout: seconds for each call.

    Raises:
        UsageError: its target is not valid, or its client library is not installed.
        NotAllowedError: it wants something of this host that is not allowed.
        StreamError: a name of its target cannot be resolved.
        LastingStreamError: a variable that holds a secret of it is not set.
    """
    targets.validate(stream)
    targets.check_allowed(stream, allowed)
    with _needed(stream.backend):
        match stream.backend:
            case Backend.KAFKA:
                from hammerwork_cli.runtime.delivery.streams.kafka import KafkaBackend

                return KafkaBackend(stream, timeout)
            case Backend.KINESIS:
                from hammerwork_cli.runtime.delivery.streams.kinesis import KinesisBackend

                return KinesisBackend(stream, timeout)
            case Backend.PUBSUB:
                from hammerwork_cli.runtime.delivery.streams.pubsub import PubsubBackend

                return PubsubBackend(stream, timeout)
            case Backend.COMMAND:
                from hammerwork_cli.runtime.delivery.streams.command import CommandBackend

                return CommandBackend(stream, timeout)


@contextmanager
def _needed(backend: Backend) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        library = (error.name or "a library").partition(".")[0]
        raise UsageError(
            f"A stream into {targets.TITLES[backend]} needs {library}, which is not installed.",
            hint=f"Install it: pip install 'hammerwork-cli[{backend}]'",
        ) from error
