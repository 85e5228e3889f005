"""``webhooks.json`` of version 3 of hammerwork (Rust)."""

import json

import pytest

from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.webhook.model import WebhookBody
from hammerwork_cli.runtime.delivery.webhooks.sending import send
from hammerwork_cli.runtime.delivery.webhooks.taking_over import taken_over
from tests.allowing import ALL
from tests.conftest import each_row
from tests.runtime.delivery.webhooks.conftest import NOW, record

ID = "6f1f2b4e-58a7-4b70-9d7e-0c6f2a6f6a11"


def hook(**fields):
    """A webhook as ``webhook add`` of version 3 writes it."""
    filters = {
        "event_types": [],
        "queue_names": [],
        "priorities": [],
        "min_processing_time_ms": None,
        "max_processing_time_ms": None,
        "metadata_filters": {},
        "include_payload": False,
        **fields.pop("filter", {}),
    }
    retries = {
        "max_attempts": 3,
        "initial_delay_secs": 1,
        "max_delay_secs": 300,
        "backoff_multiplier": 2.0,
        "retry_on_status_codes": [408, 429, 500, 502, 503, 504],
        **fields.pop("retry_policy", {}),
    }
    return {
        "id": ID,
        "name": "ci",
        "url": "https://hooks.example/ci",
        "method": "POST",
        "headers": {},
        "filter": filters,
        "retry_policy": retries,
        "auth": None,
        "timeout_secs": 30,
        "enabled": True,
        "secret": None,
        "payload_template": None,
        **fields,
    }


def taken(*hooks):
    return taken_over(json.dumps(hooks))


def test_a_webhook_is_taken_over_whole():
    template = '{"text": "{{event.job_id}} {{event.error.message}}"}'
    found = taken(
        hook(
            method="PUT",
            headers={"X-Env": "prod", "X-Token": "abc=="},
            filter={
                "event_types": ["failed", "timed_out"],
                "queue_names": ["a", "b"],
                "priorities": ["High", "Critical"],
                "include_payload": True,
            },
            retry_policy={"max_attempts": 5},
            auth={"type": "Bearer", "token": "t0k3n"},
            timeout_secs=7,
            enabled=False,
            secret="s3cret",
            payload_template=template,
        )
    )
    ((made, differences),) = found.webhooks
    assert (differences, found.refused) == ([], [])
    assert (made.id, made.name, made.url, made.method) == (ID, "ci", "https://hooks.example/ci", "PUT")
    assert made.events == (EventType.JOB_FAILED, EventType.JOB_TIMED_OUT)
    assert (made.queues, made.priorities) == (("a", "b"), ("high", "critical"))
    assert made.headers == {"X-Env": "prod", "X-Token": "abc=="}
    assert (made.auth, made.secret, made.template) == ({"bearer": "t0k3n"}, "s3cret", template)
    assert (made.body, made.include_payload, made.enabled) == (WebhookBody.ORIGINAL, True, False)
    assert (made.timeout_seconds, made.max_retries) == (7, 5)
    assert (made.allow_private, made.insecure) == (False, False)


@pytest.mark.parametrize(
    ("auth", "ours", "headers"),
    [
        ({"type": "Basic", "username": "ada", "password": "p:w"}, {"basic": "ada:p:w"}, {}),
        ({"type": "ApiKey", "header_name": "X-Key", "api_key": "k"}, {"header": "X-Key", "key": "k"}, {}),
        ({"type": "Custom", "headers": {"X-A": "1"}}, {}, {"X-A": "1"}),
    ],
)
def test_every_authorization_is_taken_over(auth, ours, headers):
    ((made, _),) = taken(hook(auth=auth)).webhooks
    assert (made.auth, made.headers) == (ours, headers)


def test_a_webhook_for_all_events_gets_those_that_version_3_has():
    ((made, _),) = taken(hook()).webhooks
    assert {*made.events} == {event for event in EventType if event.is_of_job}


def test_a_webhook_keeps_its_number_of_retries():
    ((made, differences),) = taken(hook()).webhooks
    assert (made.max_retries, differences) == (3, [])


@each_row(
    ("fields", "note"),
    [
        ({"filter": {"min_processing_time_ms": 5}}, "however long the job took"),
        ({"filter": {"metadata_filters": {"a": "b"}}}, "whatever their metadata"),
        ({"retry_policy": {"max_attempts": 1000}}, "50 retries, the most there are, instead of 1000"),
        ({"retry_policy": {"initial_delay_secs": 60}}, "pauses between retries"),
        ({"retry_policy": {"retry_on_status_codes": [404]}}, "tries again after the statuses"),
        ({"timeout_secs": 9000}, "its timeout is 300 seconds"),
        ({"url": "http://hooks.example/"}, "--insecure"),
        ({"url": "http://localhost:9/"}, "--allow-private"),
        ({"url": "https://10.0.0.1/"}, "--allow-private"),
    ],
)
def test_differences_are_said(fields, note):
    found = taken(hook(**{**fields, "retry_policy": {"max_attempts": 2, **fields.get("retry_policy", {})}}))
    ((_, (said,)),) = found.webhooks
    assert note in said


@each_row(
    ("fields", "note"),
    [
        ({"url": "ftp://hooks.example"}, "neither https: nor http:"),
        ({"url": "https://ada:s3cret@hooks.example"}, "user or a password"),
        ({"method": "s3cret"}, "not a method"),
        ({"secret": "env:s3cret"}, "begins with env:"),
        ({"headers": {"Host": "s3cret"}}, "cannot set the header Host"),
        ({"headers": {"X": "s3cret\n"}}, "control character"),
        ({"headers": {"X": 1}}, ": headers is not written as version 3 writes it."),
        ({"auth": {"type": "Other", "s3cret": 1}}, ": auth is not written as version 3 writes it."),
        ({"auth": {"type": "Bearer"}}, ": auth is not written as version 3 writes it."),
        ({"auth": {"type": "Custom", "headers": {"X": 1}}}, ": auth is not written"),
        ({"id": "s3cret"}, ": id is not written as version 3 writes it."),
        ({"name": 7}, "Number 1 was not imported: name is not written as version 3 writes it."),
        ({"filter": {"event_types": ["exploded"]}}, ": filter.event_types is not written"),
        ({"filter": {"priorities": ["urgent"]}}, ": filter.priorities is not written"),
        ({"filter": {"metadata_filters": 7}}, ": filter.metadata_filters is not written"),
        ({"retry_policy": {"max_attempts": "many"}}, ": retry_policy.max_attempts is not written"),
        ({"retry_policy": {"retry_on_status_codes": 7}}, ": retry_policy.retry_on_status_codes is not written"),
        ({"retry_policy": {"max_delay_secs": "s3cret"}}, ": retry_policy.max_delay_secs is not written"),
        ({"timeout_secs": "s3cret"}, ": timeout_secs is not written"),
        ({"payload_template": 7}, ": payload_template is not written"),
        ({"payload_template": "{{event.id}}"}, "not JSON"),
    ],
)
def test_a_webhook_that_cannot_be_taken_over_is_said_and_the_rest_is_taken(fields, note):
    other = hook(name="other")
    found = taken(hook(**fields), other, 7, None, [])
    assert [webhook.name for webhook, _ in found.webhooks] == ["other"]
    assert note in found.refused[0]
    assert "was not imported" in found.refused[0]
    assert "s3cret" not in "".join(found.refused).replace("'s3cret' is not a method", "")
    assert len(found.refused) == 4
    assert [line.partition(": ")[2] for line in found.refused[1:]] == [
        "it is not an object.",
        "it is not an object.",
        "it is not an object.",
    ]


@pytest.mark.parametrize("name", ["id", "url", "filter", "retry_policy", "enabled", "headers"])
def test_a_field_that_is_missing_is_named(name):
    entry = hook()
    del entry[name]
    assert taken(entry).refused == [f"'ci' was not imported: {name} is missing."]


def test_a_name_that_comes_twice_is_taken_over_once():
    found = taken(hook(), hook(url="https://elsewhere.example/"))
    assert [webhook.url for webhook, _ in found.webhooks] == ["https://hooks.example/ci"]
    assert "twice" in found.refused[-1]


@pytest.mark.parametrize("text", ["", " \n", "[]"])
def test_an_empty_file_holds_no_webhook(text):
    assert taken_over(text) == ([], [])


@pytest.mark.parametrize("text", ["{not json", "{}", '"x"', "[" * 9999])
def test_another_file_is_refused(text):
    with pytest.raises(UsageError, match="The file"):
        taken_over(text)


def test_a_receiver_of_version_3_notices_no_difference(receiving):
    receiver = receiving()
    auth = {"type": "ApiKey", "header_name": "X-Key", "api_key": "k3y"}
    ((made, _),) = taken(hook(url=receiver.url, auth=auth, secret="s3cret")).webhooks
    assert send(made, record(), ALL, delivery_id="evt_1", now=NOW).status == 200
    (arrived,) = receiver.arrived
    assert arrived.headers["x-key"] == "k3y"
    assert arrived.headers["x-hammerwork-signature"].startswith("sha256=")
    assert set(json.loads(arrived.body)) == {
        "event_id", "job_id", "queue_name", "event_type", "priority", "timestamp", "processing_time_ms", "error",
        "payload", "metadata",
    }  # fmt: skip
