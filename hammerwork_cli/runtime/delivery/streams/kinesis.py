"""Streams into Amazon Kinesis, by boto3.

A call may write some records and refuse others, and Kinesis promises no order within it. So a call has one record of a
key at most, and the next one of the key follows when that is written.
"""

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, NoReturn

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from hammerwork_cli.features.streaming.model import Stream
from hammerwork_cli.runtime.delivery.streams.failures import LastingStreamError, StreamError, said
from hammerwork_cli.runtime.delivery.streams.messages import Message, parts, refuse_large, rounds
from hammerwork_cli.runtime.delivery.streams.targets import secret

MOST_RECORDS = 500
"""Of a call."""
MOST_BYTES = 5 * 1024 * 1024
"""Of a call."""
MOST_OF_A_RECORD = 1024 * 1024
"""Bytes, with the key."""
LONGEST_KEY = 256
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds before another try; the last one again and again."""
NO_HASH = "9" * 39
"""Of an explicit hash key: larger than any."""
_CREDENTIALS = "Check the credentials that the AWS library finds, or name others: --kinesis-access-key env:NAME."
_LASTING = {
    "ResourceNotFoundException": "Create the stream, or correct --kinesis-stream or --kinesis-region.",
    "AccessDeniedException": "Allow kinesis:PutRecords on the stream, and kinesis:DescribeStreamSummary for the check.",
    "UnrecognizedClientException": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "InvalidSignatureException": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "IncompleteSignature": _CREDENTIALS,
    "IncompleteSignatureException": _CREDENTIALS,
    "MissingAuthenticationToken": _CREDENTIALS,
    "MissingAuthenticationTokenException": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "OptInRequired": "Enable the region for the account.",
    "InvalidArgumentException": "Look at the settings of the stream.",
    "ValidationException": "Look at the settings of the stream.",
    "KMSAccessDeniedException": "Allow the use of the key that encrypts the stream.",
    "KMSDisabledException": "Enable the key that encrypts the stream.",
    "KMSNotFoundException": "Restore the key that encrypts the stream.",
}
"""Codes of errors that last -> the next step."""


class KinesisBackend:
    """Sends messages into a stream of Kinesis. A message without a key gets its event's id as the key."""

    def __init__(self, stream: Stream, timeout: float) -> None:
        target = stream.target
        self._stream, self._timeout = target["stream"], timeout
        self._call_seconds = timeout / 3  # a part for the connection, and one for the answer
        keys: dict[str, str] = {}
        if "access_key" in target:
            keys["aws_access_key_id"] = secret(target["access_key"], "access key")
            keys["aws_secret_access_key"] = secret(target["secret_key"], "secret key")
        self._settings: dict[str, Any] = {
            **keys,
            "region_name": target["region"],
            "endpoint_url": target.get("endpoint"),
            "config": Config(
                connect_timeout=self._call_seconds / 2,
                read_timeout=self._call_seconds / 2,
                retries={"total_max_attempts": 1},
                user_agent_extra="hammerwork",
            ),
        }
        self._client: Any = None

    def check(self) -> None:
        """Asks for the state of the stream, and whether it would take a record.

        Raises:
            StreamError: Kinesis does not answer in time, or makes or deletes the stream now.
            LastingStreamError: the stream does not exist, or refuses the credentials.
        """
        client, deadline = self._opened(), time.monotonic() + self._timeout
        # The hash key is not valid, so nothing is written. Who may not write hears that first.
        record = {"StreamName": self._stream, "Data": b"{}", "PartitionKey": "check", "ExplicitHashKey": NO_HASH}
        try:
            state = self._state(client, deadline)
            if state not in {None, "ACTIVE", "UPDATING"}:
                raise StreamError(
                    f"The stream {self._stream!r} of Kinesis takes no events: it is {said(state)}.",
                    hint="Wait until it is ACTIVE: aws kinesis describe-stream-summary",
                )
            self._ask(partial(client.put_record, **record), deadline)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"InvalidArgumentException", "ValidationException"}:
                self._fail(error)
        except _LateError as error:
            raise self._overdue("Kinesis did not answer", error) from error

    def send(self, messages: Sequence[Message]) -> None:
        refuse_large(messages, MOST_OF_A_RECORD, "Kinesis")
        client, deadline = self._opened(), time.monotonic() + self._timeout
        acknowledged: set[int] = set()
        try:
            for positions in rounds(messages):
                for part in parts(messages, positions, _size, most=MOST_RECORDS, most_bytes=MOST_BYTES):
                    self._put(client, messages, part, acknowledged, deadline)
        except ClientError as error:
            self._fail(error, acknowledged)
        except _LateError as error:
            count = f"{len(acknowledged):,} of {len(messages):,} events"
            raise self._overdue(f"Kinesis acknowledged {count}", error, acknowledged) from error

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _state(self, client: Any, deadline: float) -> str | None:
        """The state of the stream, or nothing if the credentials do not allow the question."""
        try:
            summary = self._ask(partial(client.describe_stream_summary, StreamName=self._stream), deadline)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            return None
        return str(summary["StreamDescriptionSummary"]["StreamStatus"])

    def _put(
        self,
        client: Any,
        messages: Sequence[Message],
        positions: Sequence[int],
        acknowledged: set[int],
        deadline: float,
    ) -> None:
        left, tries, reason = list(positions), 0, ""
        while left:
            records = [{"Data": messages[place].body, "PartitionKey": _key(messages[place])} for place in left]
            put = partial(client.put_records, StreamName=self._stream, Records=records)
            answers = self._ask(put, deadline, reason)["Records"]
            refused = [answer for answer in answers if answer.get("ErrorCode")]
            acknowledged.update(
                place for place, answer in zip(left, answers, strict=True) if not answer.get("ErrorCode")
            )
            left = [place for place in left if place not in acknowledged]
            if refused:
                reason = f"{refused[0]['ErrorCode']}: {refused[0].get('ErrorMessage')}"
                _pause(tries, deadline)
                tries += 1

    def _opened(self) -> Any:
        if self._client is None:
            try:
                self._client = Session().client("kinesis", **self._settings)
            except (BotoCoreError, ValueError) as error:
                raise LastingStreamError(
                    f"The AWS library refuses the target of the stream: {said(error)}.",
                    hint="Correct --kinesis-region or --kinesis-endpoint.",
                ) from error
        return self._client

    def _ask(self, call: Callable[[], Any], deadline: float, reason: str = "") -> Any:
        """The answer to a request, which it repeats while another one may succeed.

        Raises ClientError if Kinesis refuses it and will again, LastingStreamError without credentials, and _LateError
        if it did not succeed in time.
        """
        tries = 0
        while time.monotonic() + self._call_seconds < deadline:
            try:
                return call()
            except ClientError as error:
                if _hint(error):
                    raise
                reason = str(error)
            except (NoCredentialsError, PartialCredentialsError) as error:
                raise LastingStreamError(
                    f"There are no credentials for Kinesis: {_sentence(error)}", hint=_CREDENTIALS
                ) from error
            except BotoCoreError as error:
                reason = str(error)
            _pause(tries, deadline)
            tries += 1
        raise _LateError(reason)

    def _overdue(self, what: str, error: "_LateError", acknowledged: Collection[int] = ()) -> StreamError:
        reason = f" ({_sentence(error).rstrip('.')})" if str(error) else ""
        return StreamError(
            f"{what} within {self._timeout:g} seconds{reason}.",
            hint="Check the network, and that the stream has enough shards.",
            acknowledged=acknowledged,
        )

    def _fail(self, error: ClientError, acknowledged: Collection[int] = ()) -> NoReturn:
        problem = error.response["Error"]
        raise LastingStreamError(
            f"Kinesis does not take events into the stream {self._stream!r}: "
            f"{said(problem['Code'])}: {_sentence(problem.get('Message'))}",
            hint=_hint(error),
            acknowledged=acknowledged,
        ) from error


def _hint(error: ClientError) -> str | None:
    """The next step about an error that lasts."""
    refused = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {401, 403}
    return _LASTING.get(error.response["Error"]["Code"], _CREDENTIALS if refused else None)


class _LateError(Exception):
    """No request succeeded in time. Its text says what the last one met."""


def _size(message: Message) -> int:
    return len(message.body) + len(_key(message).encode())


def _key(message: Message) -> str:
    return (message.key or message.id)[:LONGEST_KEY]


def _pause(tries: int, deadline: float) -> None:
    time.sleep(max(0.0, min(PAUSES[min(tries, len(PAUSES) - 1)], deadline - time.monotonic())))


def _sentence(text: object) -> str:
    return f"{said(text).rstrip('.')}."
