"""Streams into Google Cloud Pub/Sub, by google-cloud-pubsub.

A request has messages of one key, which is their ordering key, and Pub/Sub stores all of them or none. The next
request of the key follows when that is stored; requests of other keys are under way meanwhile. The library also offers
a client that does the same behind a queue, which nobody can empty after a failure.
"""

import os
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

import grpc
from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.oauth2.service_account import Credentials
from google.pubsub_v1 import PublisherClient, PubsubMessage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from hammerwork_cli.features.streaming.model import Stream
from hammerwork_cli.runtime.delivery.streams.failures import LastingStreamError, StreamError, said
from hammerwork_cli.runtime.delivery.streams.messages import Message, parts, refuse_large
from hammerwork_cli.runtime.delivery.streams.targets import secret

MOST_BYTES = 9_000_000
"""Of a request; Pub/Sub takes 10 MB, with what is around the messages."""
MOST_MESSAGES = 1000
"""Of a request."""
AT_ONCE = 16
"""Requests."""
PUBLISH = "pubsub.topics.publish"
_LASTING: dict[type[Exception], str] = {
    exceptions.NotFound: "Create the topic, or name another one with --pubsub-topic.",
    exceptions.PermissionDenied: "Give the account the role roles/pubsub.publisher on the topic.",
    exceptions.Unauthenticated: "Check the key file, or the application default credentials.",
    exceptions.InvalidArgument: "Look at the settings of the topic.",
    exceptions.FailedPrecondition: "Look at the settings of the topic.",
    GoogleAuthError: "Check the key file, or the application default credentials.",
}
"""Errors that last -> the next step."""
_EXPECTED = (exceptions.GoogleAPIError, GoogleAuthError, TimeoutError)
_may_succeed = retry.if_exception_type(
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
)


class PubsubBackend:
    """Sends messages to a topic."""

    def __init__(self, stream: Stream, timeout: float) -> None:
        target = stream.target
        self._topic = f"projects/{target['project']}/topics/{target['topic']}"
        self._key_file = secret(target["key_file"], "path of the key file") if "key_file" in target else None
        self._endpoint = target.get("endpoint")
        self._timeout = timeout
        self._client: PublisherClient | None = None

    def check(self) -> None:
        """Asks whether the account may publish to the topic; if nobody says so, whether the topic exists."""
        client, deadline = self._opened(), time.monotonic() + self._timeout
        try:
            self._ask_rights(client, deadline)
        except _EXPECTED as error:
            self._explain(error, "Pub/Sub did not answer")

    def send(self, messages: Sequence[Message]) -> None:
        refuse_large(messages, MOST_BYTES, "Pub/Sub")
        client, deadline = self._opened(), time.monotonic() + self._timeout
        acknowledged: set[int] = set()
        failed: Exception | None = None
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tasks = [
                pool.submit(self._publish, client, messages, places, acknowledged, deadline)
                for places in _by_key(messages)
            ]
            for task in as_completed(tasks):
                if not task.cancelled() and (error := task.exception()):
                    if not isinstance(error, _EXPECTED):
                        raise error
                    failed = failed if failed and _hint(failed) else error  # the one that lasts says more
                    for other in tasks:
                        other.cancel()
        if failed:
            count = f"{len(acknowledged):,} of {len(messages):,} events"
            self._explain(failed, f"Pub/Sub acknowledged {count}", acknowledged)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            transport: Any = client.transport
            transport.close()

    def _opened(self) -> PublisherClient:
        if self._client is None:
            try:
                self._client = self._open()
            except (OSError, ValueError, GoogleAuthError) as error:
                raise LastingStreamError(
                    f"There are no credentials for Pub/Sub: {said(error).rstrip('.')}.",
                    hint="Give a key file: --pubsub-key-file env:NAME, or set up application default credentials.",
                ) from error
        return self._client

    def _open(self) -> PublisherClient:
        options: dict[str, Any] = {}
        if self._key_file:
            read: Callable[[str], Any] = Credentials.from_service_account_file
            options["credentials"] = read(self._key_file)
        if emulator := os.environ.get("PUBSUB_EMULATOR_HOST"):
            return PublisherClient(transport=PublisherGrpcTransport(channel=grpc.insecure_channel(emulator)))
        if self._endpoint:
            options["client_options"] = {"api_endpoint": self._endpoint}
        return PublisherClient(**options)

    def _ask_rights(self, client: PublisherClient, deadline: float) -> None:
        rights = {"resource": self._topic, "permissions": [PUBLISH]}
        find = partial(_ask, client.get_topic, {"topic": self._topic}, deadline)
        try:
            allowed = _ask(client.test_iam_permissions, rights, deadline).permissions
        except exceptions.MethodNotImplemented:  # as in emulators
            find()
            return
        if PUBLISH not in allowed:  # the topic may be missing as well
            with suppress(exceptions.PermissionDenied):
                find()
            denied: Callable[[str], Exception] = exceptions.PermissionDenied
            raise denied(f"the account lacks {PUBLISH}")

    def _publish(
        self,
        client: PublisherClient,
        messages: Sequence[Message],
        places: Sequence[int],
        acknowledged: set[int],
        deadline: float,
    ) -> None:
        """Sends the messages of a key, in a thread."""
        for part in parts(messages, places, _size, most=MOST_MESSAGES, most_bytes=MOST_BYTES):
            encoded = [
                PubsubMessage(data=message.body, ordering_key=message.key or "", attributes=dict(message.headers))
                for message in map(messages.__getitem__, part)
            ]
            _ask(client.publish, {"topic": self._topic, "messages": encoded}, deadline)
            acknowledged.update(part)

    def _explain(self, error: Exception, what: str, acknowledged: Collection[int] = ()) -> NoReturn:
        """Raises the error about what a request met."""
        self.close()
        if hint := _hint(error):
            raise LastingStreamError(
                f"Pub/Sub does not take events into {self._topic!r}: {said(error).rstrip('.')}.",
                hint=hint,
                acknowledged=acknowledged,
            ) from error
        cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause else error
        raise StreamError(
            f"{what} within {self._timeout:g} seconds ({said(cause).rstrip('.')}).",
            hint="Check the network, and the state of Pub/Sub.",
            acknowledged=acknowledged,
        ) from error


def _ask(call: Callable[..., Any], request: dict[str, Any], deadline: float) -> Any:
    """The answer to a request, which it repeats while another one may succeed in time."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("there was no time for every request")
    again = retry.Retry(_may_succeed, initial=0.1, maximum=1.0, timeout=left)
    return call(request=request, timeout=left, retry=again)


def _by_key(messages: Sequence[Message]) -> list[list[int]]:
    """The positions of each key's messages."""
    places: dict[str | None, list[int]] = {}
    for position, message in enumerate(messages):
        places.setdefault(message.key, []).append(position)
    return list(places.values())


def _size(message: Message) -> int:
    return len(message.body) + 1000  # its key and its headers are shorter


def _hint(error: Exception) -> str | None:
    return next((hint for kind, hint in _LASTING.items() if isinstance(error, kind)), None)
