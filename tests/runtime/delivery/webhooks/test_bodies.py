"""Bodies of requests, and templates."""

import json

import pytest

from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.webhook.model import WebhookBody
from hammerwork_cli.runtime.delivery.webhooks import bodies
from hammerwork_cli.runtime.delivery.webhooks.sending import send, validate
from hammerwork_cli.runtime.delivery.webhooks.templates import filled
from tests.allowing import ALL
from tests.conftest import each_row
from tests.runtime.delivery.webhooks.conftest import DATA, EVENT, JOB, NOW, record, webhook


def body(event=None, **fields):
    return json.loads(bodies.body(webhook(**fields), event or record()))


def test_a_standard_body_has_type_time_and_data():
    assert body() == {"type": "job.dead", "timestamp": "2026-11-30T12:00:00.000000Z", "data": DATA}


def test_a_cloud_event_is_structured():
    hook = webhook(body=WebhookBody.CLOUDEVENTS)
    assert bodies.content_type(hook) == "application/cloudevents+json"
    assert body(body=WebhookBody.CLOUDEVENTS) == {
        "specversion": "1.0",
        "id": EVENT,
        "source": "/hammerwork",
        "type": "hammerwork.job.dead",
        "subject": JOB,
        "time": "2026-11-30T12:00:00.000000Z",
        "datacontenttype": "application/json",
        "data": DATA,
    }


def test_a_cloud_event_about_nothing_with_an_id_has_no_subject():
    event = {"id": "cron:x", "type": "cron.missed", "timestamp": "2026", "data": {"name": "nightly"}}
    assert "subject" not in body(event, body=WebhookBody.CLOUDEVENTS)


def test_the_body_of_version_3_has_its_fields():
    event = record(payload={"to": "ada"})
    assert body(event, body=WebhookBody.ORIGINAL) == {
        "event_id": EVENT,
        "job_id": JOB,
        "queue_name": "mail",
        "event_type": "dead",
        "priority": "High",
        "timestamp": "2026-11-30T12:00:00.000000Z",
        "processing_time_ms": 2500,
        "error": {
            "message": 'ValueError: no "address"',
            "error_type": None,
            "details": None,
            "retry_attempt": 3,
        },
        "payload": {"to": "ada"},
        "metadata": {
            "status": "Dead",
            "attempts": "3",
            "max_attempts": "3",
            "created_at": "2026-11-30T11:00:00.000000Z",
            "scheduled_at": "2026-11-30T11:00:00.000000Z",
            "started_at": "2026-11-30T11:59:00.000000Z",
            "ended_at": "2026-11-30T11:59:02.500000Z",
        },
    }


def test_the_body_of_version_3_for_a_job_that_has_just_come_lacks_what_has_not_happened():
    event = record(EventType.JOB_ENQUEUED, error=None, run_seconds=None, priority="background", started_at=None)
    made = body(event, body=WebhookBody.ORIGINAL)
    assert (made["event_type"], made["priority"]) == ("enqueued", "Background")
    assert (made["error"], made["processing_time_ms"], made["payload"]) == (None, None, None)
    assert "started_at" not in made["metadata"]


def test_the_body_of_version_3_for_other_events_has_their_data_as_metadata():
    event = {
        "id": "cron:x",
        "type": "cron.missed",
        "timestamp": "2026",
        "data": {"name": "nightly", "missed": 2, "runs": []},
    }
    made = body(event, body=WebhookBody.ORIGINAL)
    assert made["event_type"] == "cron.missed"
    assert (made["job_id"], made["queue_name"], made["priority"]) == (None, None, "Normal")
    assert made["metadata"] == {"name": "nightly", "missed": "2"}


def test_an_event_id_in_the_body_of_version_3_is_a_uuid_and_stays_the_same():
    first, second = (body(record(id="job.dead:1"), body=WebhookBody.ORIGINAL)["event_id"] for _ in range(2))
    other = body(record(id="job.dead:2"), body=WebhookBody.ORIGINAL)["event_id"]
    assert first == second != other
    assert len(first) == 36


def test_a_template_is_filled():
    template = """{
        "text": "Job {{event.data.id}} on {{ event.data.queue }} is {{event.type}}: {{event.data.error}}",
        "attempts": "{{event.data.attempts}}",
        "all": "{{event.data.payload}}",
        "first": "{{event.data.payload.items.0.name}}",
        "list": ["{{event.id}}", 1, null, true, "plain"],
        "with": "<{{event.data.payload.items}}|{{event.data.run_seconds}}|{{event.data.nothing}}>",
        "nothing": "{{event.data.payload.items.7}}",
        "deeper": "{{event.data.id.deeper}}"
    }"""
    payload = {"items": [{"name": "ä"}], "n": None}
    assert body(record(payload=payload), template=template) == {
        "text": f'Job {JOB} on mail is job.dead: ValueError: no "address"',
        "attempts": 3,
        "all": payload,
        "first": "ä",
        "list": [EVENT, 1, None, True, "plain"],
        "with": '<[{"name":"ä"}]|2.5|>',
        "nothing": None,
        "deeper": None,
    }


def test_a_template_of_version_3_is_filled_from_its_fields():
    template = """{
        "text": "Job {{event.job_id}} on {{event.queue_name}} {{event.event_type}}: {{event.error.message}}",
        "metadata": {"attempt": "{{event.error.retry_attempt}}", "payload": "{{event.payload}}",
                     "status": "{{event.metadata.status}}", "priority": "{{event.priority}}"}
    }"""
    fields = {"template": template, "body": WebhookBody.ORIGINAL}
    validate(webhook(**fields))
    assert body(**fields) == {
        "text": f'Job {JOB} on mail dead: ValueError: no "address"',
        "metadata": {"attempt": 3, "payload": None, "status": "Dead", "priority": "High"},
    }


@pytest.mark.parametrize("form", WebhookBody)
def test_a_template_that_is_the_event_is_the_body(form):
    whole = body(body=form, template='"{{event}}"')
    assert body(body=form).items() <= whole.items()
    assert bodies.content_type(webhook(body=form, template='"{{event}}"')) == "application/json"


@pytest.mark.parametrize("form", WebhookBody)
def test_templates_may_name_each_field_of_the_body(form):
    made = bodies.event(form, record(payload=1))
    assert set(made) == set(bodies.FIELDS[form])
    for name in made:
        template = json.dumps({"x": f"{{{{event.{name}}}}}"})
        validate(webhook(body=form, template=template))
        assert body(record(payload=1), body=form, template=template) == {"x": made[name]}


def test_text_of_an_event_makes_no_json_and_no_placeholder():
    evil = 'q", "admin": true, "x": "{{event.id}}'
    assert body(record(queue=evil), template='{"q": "<{{event.data.queue}}>", "p": "{{event.data.queue}}"}') == {
        "q": f"<{evil}>",
        "p": evil,
    }


@each_row(
    ("template", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("{{event}}", "is not JSON"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[" * 60_000, "nested too deeply"),
        ('{"{{event.id}}": 1}', "placeholder in a key"),
        ('[{"a": {"x {{event.id}}": 1}}]', "placeholder in a key"),
        ('{"a": "{{event.id"}', "has no end"),
        ('{"a": "{{event.id}} {{"}', "has no end"),
        ('{"a": "{{event.nope}}"}', "names no field"),
        ('{"a": ["x {{event.dat.id}}"]}', "names no field"),
        ('{"a": "{{job.id}}"}', "is not a path"),
        ('{"a": "{{}}"}', "is not a path"),
        ('{"a": "{{event.}}"}', "is not a path"),
        ('{"a": "{{event..id}}"}', "is not a path"),
        ('{"a": "{{event.id.x}}"}', "leads into a text"),
        (json.dumps("x" * 70_000), "65,536 characters"),
    ],
)
def test_a_template_is_checked(template, message):
    with pytest.raises(UsageError, match=message):
        validate(webhook(template=template))


@pytest.mark.parametrize("path", ["queue_name.x", "error.nope", "error.message.x", "type", "data.id"])
def test_a_template_of_version_3_is_checked(path):
    with pytest.raises(UsageError, match=r"names no field|leads into"):
        validate(webhook(body=WebhookBody.ORIGINAL, template=json.dumps({"a": f"{{{{event.{path}}}}}"})))


DEAD, FAILED_TREE = EventType.JOB_DEAD, EventType.TREE_FAILED


@pytest.mark.parametrize("form", [WebhookBody.STANDARD, WebhookBody.CLOUDEVENTS])
@pytest.mark.parametrize(
    ("path", "events", "hint"),
    [
        ("quue", [DEAD], "Did you mean queue?"),
        ("zzz", [FAILED_TREE], "data has: completed, failed, id, jobs, "),
        ("error", [FAILED_TREE], "data has: completed, failed, id, jobs, "),
        ("queue.name", [DEAD, FAILED_TREE], "Write {{event.data.queue}}."),
        ("run_seconds.x", [DEAD], "Write {{event.data.run_seconds}}."),
    ],
)
def test_a_template_names_no_data_that_the_events_of_the_webhook_lack(form, path, events, hint):
    with pytest.raises(UsageError, match="in the template") as refused:
        validate(webhook(body=form, events=events, template=f'"{{{{event.data.{path}}}}}"'))
    assert refused.value.hint.startswith(hint)


@pytest.mark.parametrize("path", ["error", "jobs", "payload.order.7.id", "depends_on.0", "queue"])
def test_a_template_names_the_data_of_any_event_of_the_webhook_and_what_is_below_a_payload(path):
    validate(webhook(events=[DEAD, FAILED_TREE], template=f'"{{{{event.data.{path}}}}}"'))


def test_a_stored_template_with_a_wrong_name_is_still_sent(receiving):
    receiver = receiving()
    hook = webhook(receiver.url, events=[DEAD], template='"hello {{event.data.quue}}"')
    assert send(hook, record(), ALL, delivery_id="evt_1", now=NOW).status == 200
    assert receiver.arrived[0].body == b'"hello "'


def test_a_misspelt_field_has_a_hint():
    with pytest.raises(UsageError) as refused:
        validate(webhook(template='{"a": "{{event.dta.id}}"}'))
    assert refused.value.hint == "Did you mean data?"


def test_two_placeholders_are_text_and_not_one():
    assert filled('"{{event.a}}{{event.b}}"', {"a": 1, "b": 2}) == "12"
    assert filled('" {{event.a}} "', {"a": 1}) == " 1 "
