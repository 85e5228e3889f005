"""Where streams go: the fields of a target, and the secrets that it names."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hammerwork_cli.core.input.near import did_you_mean
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.streaming.model import Backend, Stream, StreamFormat
from hammerwork_cli.runtime.delivery.allowed import VARIABLE, Allowed, is_own
from hammerwork_cli.runtime.delivery.streams.failures import LastingStreamError, StreamError
from hammerwork_cli.runtime.delivery.webhooks.addresses import LOOPBACK, kind_of
from hammerwork_cli.runtime.delivery.webhooks.connecting import Deadline, DeliveryError, resolved

TITLES = {Backend.KAFKA: "Kafka", Backend.KINESIS: "Kinesis", Backend.PUBSUB: "Pub/Sub", Backend.COMMAND: "a program"}
WITH_SCHEMAS = ("avro", "protobuf", "msgpack")
"""Formats of hammerwork (Rust) that are refused."""
RESOLVE_SECONDS = 5.0
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_URL = r"https?://[^\s/?#@]+(/\S*)?"


class _TargetField(NamedTuple):
    option: str  # which gives it on the command line
    thing: str  # with its article
    pattern: str  # of the whole value
    rule: str  # what the pattern allows, after "it takes"
    example: str
    is_needed: bool = True
    is_variable: bool = False  # env:NAME: a secret, or the path of a file of the host


FIELDS: Mapping[Backend, Mapping[str, _TargetField]] = {
    Backend.KAFKA: {
        "brokers": _TargetField(
            "--kafka-brokers",
            "brokers",
            r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?(,(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?)*",
            "hosts with or without a port, separated by commas",
            "kafka-1:9092,kafka-2:9092",
        ),
        "topic": _TargetField(
            "--kafka-topic",
            "a topic",
            r"(?!\.\.?$)[A-Za-z0-9._-]{1,249}",
            "1 to 249 letters, digits, dots, hyphens and underscores, but not . or ..",
            "job-events",
        ),
    },
    Backend.KINESIS: {
        "region": _TargetField(
            "--kinesis-region",
            "a region",
            r"[a-z0-9-]{1,50}",
            "1 to 50 lowercase letters, digits and hyphens",
            "eu-central-1",
        ),
        "stream": _TargetField(
            "--kinesis-stream",
            "a stream",
            r"[A-Za-z0-9_.-]{1,128}",
            "1 to 128 letters, digits, dots, hyphens and underscores",
            "job-events",
        ),
        "endpoint": _TargetField(
            "--kinesis-endpoint",
            "an endpoint",
            _URL,
            "a URL that begins with http:// or https://",
            "http://localhost:4567",
            is_needed=False,
        ),
        "access_key": _TargetField(
            "--kinesis-access-key", "an access key", ".+", "", "", is_needed=False, is_variable=True
        ),
        "secret_key": _TargetField(
            "--kinesis-secret-key", "a secret key", ".+", "", "", is_needed=False, is_variable=True
        ),
    },
    Backend.PUBSUB: {
        "project": _TargetField(
            "--pubsub-project",
            "a project",
            r"[a-z][a-z0-9.:-]{0,99}",
            "1 to 100 lowercase letters, digits, dots, colons and hyphens, the first of them a letter",
            "my-project",
        ),
        "topic": _TargetField(
            "--pubsub-topic",
            "a topic",
            r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}",
            "3 to 255 letters, digits and . _ ~ + % -, the first of them a letter",
            "job-events",
        ),
        "key_file": _TargetField(
            "--pubsub-key-file", "the path of the key file", ".+", "", "", is_needed=False, is_variable=True
        ),
        "endpoint": _TargetField(  # another host would get the token of the worker's account
            "--pubsub-endpoint",
            "an endpoint",
            r"([\w-]+\.)+googleapis\.com(:\d{1,5})?",
            "a host below googleapis.com, with or without a port",
            "europe-west3-pubsub.googleapis.com",
            is_needed=False,
        ),
    },
    Backend.COMMAND: {},
}
"""Fields of targets that are text."""
_OTHERS = {Backend.KAFKA: ("config",), Backend.COMMAND: ("command",)}
"""Fields that are not."""

CONFIG = frozenset(
    [
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.scope",
        "sasl.oauthbearer.extensions",
        "sasl.oauthbearer.token.endpoint.url",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.crl.location",
        "ssl.certificate.location",
        "ssl.certificate.pem",
        "ssl.key.location",
        "ssl.key.pem",
        "ssl.key.password",
        "ssl.keystore.location",
        "ssl.keystore.password",
        "ssl.cipher.suites",
        "ssl.curves.list",
        "ssl.sigalgs.list",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
        "https.ca.location",
        "client.id",
        "client.rack",
        "client.dns.lookup",
        "broker.address.family",
        "socket.timeout.ms",
        "socket.connection.setup.timeout.ms",
        "compression.type",
        "compression.level",
        "message.max.bytes",
        "linger.ms",
        "batch.size",
        "batch.num.messages",
        "partitioner",
        "request.timeout.ms",
        "metadata.max.age.ms",
    ]
)
"""Properties of librdkafka that a target may set. Others run programs, such as those of Kerberos, load libraries, or
decide on the guarantees."""
_VARIABLE_CONFIG = frozenset(
    {
        *(name for name in CONFIG if name.endswith(".location")),
        "sasl.password",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "ssl.key.pem",
        "ssl.key.password",
        "ssl.keystore.password",
    }
)


def validate(stream: Stream) -> None:
    """Checks the format and the target of a stream, without asking anybody.

    Raises:
        UsageError: something is missing, unknown or not valid, or a secret is given literally.
    """
    format_of(stream.format)
    fields, others = FIELDS[stream.backend], _OTHERS.get(stream.backend, ())
    title = TITLES[stream.backend]
    for name in stream.target:
        if name not in fields and name not in others:
            known = [*fields, *others]
            hint = did_you_mean(name, known) or f"It has: {', '.join(known)}."
            raise UsageError(f"The target of a stream into {title} has no {name[:50]!r}.", hint=hint)
    for name, field in fields.items():
        _check(field, stream.target.get(name), title)
    if stream.backend is Backend.KAFKA:
        _check_config(stream.target.get("config"))
    elif stream.backend is Backend.KINESIS:
        _check_keys(stream.target)
    elif stream.backend is Backend.COMMAND:
        _check_command(stream.target.get("command"))


def check_allowed(stream: Stream, allowed: Allowed) -> None:
    """Checks what a valid stream would use of this host. The names of its hosts are resolved unless any is allowed.

    Raises:
        NotAllowedError: the host does not allow something.
        StreamError: a name cannot be resolved.
    """
    target = stream.target
    if stream.backend is Backend.COMMAND:
        allowed.check_program(target["command"])
    allowed.check_variables([*target.values(), *(target.get("config") or {}).values()])
    deadline = Deadline(RESOLVE_SECONDS)
    for host, port, is_open in _places(stream):
        if allowed.private_addresses and (allowed.insecure or not is_open):
            continue
        try:
            kinds = [kind_of(endpoint.address) for endpoint in resolved(host, port, deadline)]
        except (DeliveryError, TimeoutError) as error:
            raise StreamError(getattr(error, "message", f"The name {host} was not resolved in time.")) from error
        for kind in filter(None, kinds):
            allowed.check_private(host, kind)
        if is_open and set(kinds) != {LOOPBACK}:
            allowed.check_insecure(host)


def _places(stream: Stream) -> Iterator[tuple[str, int, bool]]:
    """The hosts and ports that a target names, and whether TLS does not protect what goes there."""
    target = stream.target
    if endpoint := target.get("endpoint"):
        if stream.backend is Backend.KINESIS:
            yield _place(endpoint, 443)
    elif stream.backend is Backend.KAFKA:
        config: Mapping[str, Any] = target.get("config") or {}

        def has(name: str, usual: str, *words: str) -> bool:
            return secret(str(config.get(name, usual)), f"property {name}").strip().lower() in words

        is_safe = (
            has("security.protocol", "plaintext", "ssl", "sasl_ssl")
            and has("enable.ssl.certificate.verification", "true", "true", "t", "1")
            and has("ssl.endpoint.identification.algorithm", "https", "https")
        )
        for broker in target["brokers"].split(","):
            yield *_place(f"//{broker}", 9092)[:2], not is_safe
        if token_url := config.get("sasl.oauthbearer.token.endpoint.url"):
            yield _place(secret(str(token_url), "URL of tokens"), 443)


def _place(url: str, usual_port: int) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or usual_port, parts.scheme != "https"
    except ValueError:
        raise LastingStreamError("The host or the port of a URL of the stream cannot be read.") from None


def format_of(word: str) -> StreamFormat:
    """The format that a word names.

    Raises:
        UsageError: it names none, or one that needs a schema registry.
    """
    if word.lower() in WITH_SCHEMAS:
        raise UsageError(f"The format {word.lower()} needs a schema registry.", hint="Use json or cloudevents.")
    try:
        return StreamFormat(word.lower())
    except ValueError:
        raise UsageError(f"There is no format {word[:50]!r}.", hint="Use json or cloudevents.") from None


def secret(value: str, noun: str) -> str:
    """The text that ``env:NAME`` names, or another text as it is.

    Raises:
        LastingStreamError: the variable is not set.
    """
    if not value.startswith(VARIABLE):
        return value
    variable = value.removeprefix(VARIABLE)
    text = os.environ.get(variable, "").rstrip("\r\n")  # one that came from a file ends with a line break
    if not text:
        raise LastingStreamError(
            f"The variable {variable[:60]} is not set: it should hold the {noun} of the stream.",
            hint="Set it where the stream is sent: for the worker, and for the commands that test a stream.",
        )
    return text


def _check(field: _TargetField, value: Any, title: str) -> None:
    example = f"{field.option} {field.example}"
    if value is None:
        if field.is_needed:
            raise UsageError(f"A stream into {title} needs {field.thing}.", hint=f"For example: {example}")
    elif field.is_variable:
        _check_variable(value, field.thing.partition(" ")[2], f"{field.option} env:NAME")
    elif not isinstance(value, str) or not re.fullmatch(field.pattern, value):
        raise UsageError(
            f"{field.option} {str(value)[:100]!r} is not valid: it takes {field.rule}.", hint=f"For example: {example}"
        )


def _check_variable(value: Any, noun: str, hint: str) -> None:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):  # it may be the secret itself: do not repeat it
        raise UsageError(f"Name the variable that holds the {noun}, not the {noun} itself.", hint=f"Write {hint}")
    _check_own(value)


def _check_own(value: str) -> None:
    if is_own(name := value.removeprefix(VARIABLE)):
        raise UsageError(f"The variable {name[:60]} opens the database or hammerwork, and is not sent.")


def _check_config(config: Any) -> None:
    if config is None:
        return
    if not isinstance(config, Mapping):
        raise UsageError(
            "The config of a stream into Kafka is not an object.", hint="Give properties: --kafka-config KEY=VALUE"
        )
    for name, value in config.items():
        if name not in CONFIG:
            raise UsageError(
                f"A stream into Kafka cannot set the property {str(name)[:80]!r}.",
                hint=did_you_mean(str(name), CONFIG) or f"It can set: {', '.join(sorted(CONFIG))}.",
            )
        if name in _VARIABLE_CONFIG:
            _check_variable(value, f"property {name}", f"--kafka-config {name}=env:NAME")
        elif not isinstance(value, str | int) or (
            str(value).startswith(VARIABLE) and not _VARIABLE.fullmatch(str(value))
        ):
            raise UsageError(f"The property {name} must be a text, a number, true or false, or env:NAME.")
        elif str(value).startswith(VARIABLE):
            _check_own(str(value))


def _check_keys(target: Mapping[str, Any]) -> None:
    if ("access_key" in target) != ("secret_key" in target):
        raise UsageError(
            "An access key and a secret key go together.",
            hint="Give both, or neither: then the AWS library looks for them itself.",
        )


def _check_command(command: Any) -> None:
    if not isinstance(command, list | tuple) or not command or not command[0]:
        raise UsageError(
            "A stream into a program needs its command.", hint="For example: --command 'python3 to_nats.py jobs'"
        )
    if not all(isinstance(part, str) and "\0" not in part for part in command):
        raise UsageError("The command of a stream is a list of texts without NUL.")
