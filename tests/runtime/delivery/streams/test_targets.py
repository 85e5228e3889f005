"""Where a stream may go, and what is refused before anybody is asked."""

import subprocess
import sys

import pytest

from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.streaming.model import Backend, StreamFormat
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.failures import LastingStreamError
from hammerwork_cli.runtime.delivery.streams.targets import format_of, validate
from tests.allowing import ALL
from tests.conftest import each_row
from tests.runtime.delivery.streams.batches import stream

KAFKA = {"brokers": "kafka-1:9092,[::1]:9092,10.0.0.1", "topic": "job-events"}
KINESIS = {"region": "eu-central-1", "stream": "job-events"}
PUBSUB = {"project": "my-project", "topic": "job-events"}
SECRET = "s3cr3t-and-literal"


def test_targets_with_all_that_they_may_have_are_valid():
    config = {"security.protocol": "SASL_SSL", "sasl.username": "env:USER", "sasl.password": "env:P", "linger.ms": 20}
    validate(stream(Backend.KAFKA, {**KAFKA, "config": config}))
    keys = {"endpoint": "http://localhost:4567", "access_key": "env:KEY", "secret_key": "env:SECRET"}
    validate(stream(Backend.KINESIS, KINESIS | keys))
    more = {"key_file": "env:KEY_FILE", "endpoint": "europe-west3-pubsub.googleapis.com:443"}
    validate(stream(Backend.PUBSUB, PUBSUB | more))
    validate(stream(Backend.COMMAND, {"command": ["python3", "to_nats.py", ""]}))


@each_row(
    ("backend", "target", "problem", "hint"),
    [
        (Backend.KAFKA, {"topic": "t"}, "A stream into Kafka needs brokers.", "--kafka-brokers kafka-1:9092,"),
        (Backend.KAFKA, {"brokers": "k"}, "A stream into Kafka needs a topic.", "--kafka-topic job-events"),
        (Backend.KAFKA, KAFKA | {"brokers": "http://k:9092"}, "--kafka-brokers 'http://k:9092' is not", "kafka-1:9092"),
        (
            Backend.KAFKA,
            KAFKA | {"topic": ".."},
            "--kafka-topic '..' is not valid: it takes 1 to 249 ",
            "--kafka-topic job-events",
        ),
        (Backend.KAFKA, KAFKA | {"topic": 7}, "--kafka-topic '7' is not valid: it takes", "--kafka-topic job-events"),
        (Backend.KAFKA, KAFKA | {"topics": "t"}, "into Kafka has no 'topics'.", "Did you mean topic?"),
        (Backend.KAFKA, KAFKA | {"config": ["x"]}, "config of a stream into Kafka is not an object", "KEY=VALUE"),
        (
            Backend.KAFKA,
            KAFKA | {"config": {"sasl.passwort": "x"}},
            "cannot set the property 'sasl.passwort'",
            "Did you mean sasl.password?",
        ),
        (Backend.KAFKA, KAFKA | {"config": {"acks": "0"}}, "cannot set the property 'acks'", "It can set: batch."),
        (
            Backend.KAFKA,
            KAFKA | {"config": {"plugin.library.paths": "evil"}},
            "cannot set the property 'plugin.library.paths'",
            "It can set",
        ),
        (
            Backend.KAFKA,
            KAFKA | {"config": {"sasl.password": SECRET}},
            "Name the variable that holds the property sasl.password",
            "--kafka-config sasl.password=env:NAME",
        ),
        (Backend.KAFKA, KAFKA | {"config": {"linger.ms": [1]}}, "The property linger.ms must be a text", ""),
        (Backend.KAFKA, KAFKA | {"config": {"sasl.username": "env:1"}}, "The property sasl.username must be", ""),
        (Backend.KINESIS, {"stream": "s"}, "A stream into Kinesis needs a region.", "--kinesis-region eu-central-1"),
        (Backend.KINESIS, {"region": "r"}, "A stream into Kinesis needs a stream.", "--kinesis-stream job-events"),
        (Backend.KINESIS, KINESIS | {"endpoint": "ftp://x"}, "--kinesis-endpoint 'ftp://x' is not valid", "http://"),
        (
            Backend.KINESIS,
            KINESIS | {"access_key": "env:KEY", "secret_key": SECRET},
            "Name the variable that holds the secret key, not the secret key itself.",
            "--kinesis-secret-key env:NAME",
        ),
        (Backend.KINESIS, KINESIS | {"access_key": "env:KEY"}, "An access key and a secret key go together.", "both"),
        (Backend.PUBSUB, {"topic": "events"}, "A stream into Pub/Sub needs a project.", "--pubsub-project my-project"),
        (Backend.PUBSUB, {"project": "p"}, "A stream into Pub/Sub needs a topic.", "--pubsub-topic job-events"),
        (
            Backend.PUBSUB,
            PUBSUB | {"key_file": "key.json"},
            "Name the variable that holds the path of the key file, not the path of the key file itself.",
            "--pubsub-key-file env:NAME",
        ),
        (Backend.PUBSUB, PUBSUB | {"endpoint": "evil.example"}, "it takes a host below googleapis.com", "europe-west3"),
        (Backend.PUBSUB, PUBSUB | {"endpoint": "x.googleapis.com.evil.example"}, "a host below googleapis.com", ""),
        (
            Backend.KAFKA,
            KAFKA | {"config": {"sasl.kerberos.principal": "x; touch /tmp/x"}},
            "cannot set the property 'sasl.kerberos.principal'",
            "It can set",
        ),
        (
            Backend.KAFKA,
            KAFKA | {"config": {"ssl.key.location": "/root/.ssh/id_ed25519"}},
            "Name the variable that holds the property ssl.key.location",
            "--kafka-config ssl.key.location=env:NAME",
        ),
        (Backend.COMMAND, {}, "A stream into a program needs its command.", "--command 'python3"),
        (Backend.COMMAND, {"command": "to_nats jobs"}, "A stream into a program needs its command.", "--command"),
        (Backend.COMMAND, {"command": ["x", "a\0b"]}, "a list of texts without NUL", ""),
    ],
)
def test_a_target_that_cannot_work_is_refused_with_the_next_step(backend, target, problem, hint):
    with pytest.raises(UsageError) as caught:
        open_backend(stream(backend, target), ALL)
    assert problem in caught.value.message
    assert hint in (caught.value.hint or "")
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("word", ["avro", "Protobuf", "msgpack"])
def test_formats_that_need_a_schema_registry_are_refused(word):
    with pytest.raises(UsageError, match=f"The format {word.lower()} needs a schema registry") as caught:
        validate(stream(Backend.KINESIS, KINESIS, word))
    assert caught.value.hint == "Use json or cloudevents."


def test_formats_are_read_in_any_letter_case():
    assert [format_of("JSON"), format_of("cloudevents")] == [StreamFormat.JSON, StreamFormat.CLOUDEVENTS]
    with pytest.raises(UsageError, match="There is no format 'xml'"):
        format_of("xml")


def test_a_secret_whose_variable_is_not_set_is_an_error_that_lasts(monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    config = {"sasl.password": "env:NOWHERE"}
    with pytest.raises(LastingStreamError, match="The variable NOWHERE is not set: it should hold the property sasl"):
        open_backend(stream(Backend.KAFKA, {**KAFKA, "config": config}), ALL)


def test_a_library_that_is_not_installed_is_named_with_its_extra():
    code = f"""
import sys
sys.modules |= dict.fromkeys(["confluent_kafka", "boto3", "grpc"])  # importing these fails
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from tests.allowing import ALL
for backend, target in (("kafka", {KAFKA}), ("kinesis", {KINESIS}), ("pubsub", {PUBSUB})):
    try:
        open_backend(Stream("1", "lake", Backend(backend), target), ALL)
    except UsageError as error:
        print(error, error.hint, error.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"A stream into {title} needs {library}, which is not installed. "
        f"Install it: pip install 'hammerwork-cli[{extra}]' 2"
        for title, library, extra in (
            ("Kafka", "confluent_kafka", "kafka"),
            ("Kinesis", "boto3", "kinesis"),
            ("Pub/Sub", "grpc", "pubsub"),
        )
    ]


def test_no_client_library_is_imported_before_a_stream_is_opened():
    code = """
import sys
from hammerwork_cli.runtime.delivery.streams import backends, messages, targets
print([name for name in ("confluent_kafka", "boto3", "google", "grpc", "subprocess") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
