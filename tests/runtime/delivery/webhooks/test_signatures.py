"""Signatures, as the libraries of receivers verify them, and what ``verify`` says of others."""

import hashlib
import hmac
import json
import shutil
import subprocess
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks

from hammerwork_cli.errors import AnswerIsNoError, UsageError
from hammerwork_cli.features.webhook.model import WebhookBody
from hammerwork_cli.runtime.delivery.webhooks import signature
from hammerwork_cli.runtime.delivery.webhooks.secrets import new_secret
from hammerwork_cli.runtime.delivery.webhooks.sending import send
from tests.allowing import ALL
from tests.conftest import ROOT, each_row, unavailable
from tests.runtime.delivery.webhooks.conftest import NOW, SECRET, record, webhook

OLD = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
TEXT = "s3cret text, ü"


def arrived(receiving, now=None, **fields):
    """The request that a receiver got, signed now: the libraries look at the clock."""
    receiver = receiving()
    hook = webhook(receiver.url, **{"secret": SECRET, **fields})
    odd = record(error="ü 日本 \U0001f600 \ud800", at=0.1)
    assert send(hook, odd, ALL, delivery_id="evt_1", now=now or datetime.now(UTC)).status == 200
    return receiver.arrived[0]


@pytest.mark.parametrize("form", [WebhookBody.STANDARD, WebhookBody.CLOUDEVENTS])
def test_the_library_of_python_verifies_a_request(receiving, form):
    got = arrived(receiving, body=form)
    assert standardwebhooks.Webhook(SECRET).verify(got.body, got.headers) == json.loads(got.body)


def test_the_library_of_python_refuses_another_body_and_another_secret(receiving):
    got = arrived(receiving)
    for secret, body in ((SECRET, got.body + b" "), (OLD, got.body)):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret).verify(body, got.headers)


def test_a_new_secret_is_that_of_the_library(receiving):
    secret = new_secret()
    assert len(b64decode(secret.removeprefix("whsec_"))) == 32
    assert new_secret() != secret
    got = arrived(receiving, secret=secret)
    standardwebhooks.Webhook(secret).verify(got.body, got.headers)


def test_a_secret_that_is_a_text_is_the_key_itself(receiving):
    got = arrived(receiving, secret=TEXT)
    standardwebhooks.Webhook(TEXT.encode()).verify(got.body, got.headers)


def test_a_secret_in_a_variable_is_read_when_it_signs(receiving, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    got = arrived(receiving, secret="env:HOOK_SECRET")
    standardwebhooks.Webhook(SECRET).verify(got.body, got.headers)


def test_while_a_secret_is_changed_both_sign(receiving):
    until = datetime.now(UTC) + timedelta(hours=1)
    got = arrived(receiving, old_secret=OLD, old_until=until)
    for secret in (SECRET, OLD):
        standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    late = arrived(receiving, old_secret=OLD, old_until=datetime.now(UTC).isoformat())
    assert len(late.headers["webhook-signature"].split()) == 1


def test_without_a_secret_a_request_has_an_id_and_no_signature(receiving):
    got = arrived(receiving, secret=None)
    assert got.headers["webhook-id"] == "evt_1"
    assert "webhook-signature" not in got.headers


def test_the_example_of_standard_webhooks_has_its_signature():
    at = datetime.fromtimestamp(1614265330, UTC)
    made = signature.standard([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", [SECRET, TEXT])
def test_the_signature_of_version_3_is_that_of_the_body(receiving, secret):
    got = arrived(receiving, secret=secret, body=WebhookBody.ORIGINAL)
    wanted = hmac.new(secret.encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-hammerwork-signature"] == f"sha256={wanted}"
    assert "webhook-signature" not in got.headers


def test_a_template_is_signed_as_it_is_sent(receiving):
    got = arrived(receiving, template='{"text": "{{event.data.queue}}"}')
    assert standardwebhooks.Webhook(SECRET).verify(got.body, got.headers) == {"text": "mail"}


def test_the_library_of_node_verifies_a_request(receiving):
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        unavailable("node is missing: install nodejs and npm")
    if not (ROOT / "tests" / "web" / "node_modules" / "standardwebhooks").is_dir():
        unavailable("standardwebhooks is missing: run 'npm ci' in tests/web, or 'make test'")
    got = [arrived(receiving), arrived(receiving, secret=TEXT), arrived(receiving, body=WebhookBody.CLOUDEVENTS)]
    cases = [
        {"secret": secret, "raw": secret == TEXT, "headers": dict(one.headers), "body": one.body.decode()}
        for one, secret in zip(got, (SECRET, TEXT, SECRET), strict=True)
    ]
    cases.append({**cases[0], "body": cases[0]["body"] + " "})
    program = """
        import { Webhook } from "standardwebhooks";
        import { readFileSync } from "node:fs";
        const verdicts = JSON.parse(readFileSync(0, "utf8")).map(({ secret, raw, headers, body }) => {
            const webhook = raw ? new Webhook(Buffer.from(secret), { format: "raw" }) : new Webhook(secret);
            try { return webhook.verify(body, headers).type; } catch (error) { return error.message; }
        });
        console.log(JSON.stringify(verdicts));
    """
    done = subprocess.run(
        [node, "--input-type=module", "--eval", program],
        cwd=ROOT / "tests" / "web",
        input=json.dumps(cases),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert json.loads(done.stdout) == ["job.dead", "job.dead", "hammerwork.job.dead", "No matching signature found"]


# Verifying.


def verify(headers, body=b"{}", secret=SECRET, now=NOW):
    signature.verify(headers, body, secret, now)


def signed(body=b"{}", secrets=(SECRET,), at=NOW):
    return signature.standard(secrets, "evt_1", at, body)


def test_verify_accepts_what_arrives(receiving):
    for fields in (
        {},
        {"secret": TEXT},
        {"body": WebhookBody.ORIGINAL},
        {"old_secret": OLD, "old_until": NOW + timedelta(1)},
    ):
        got = arrived(receiving, now=NOW, **fields)
        verify({name.upper(): value for name, value in got.headers.items()}, got.body, fields.get("secret", SECRET))
    verify(got.headers, got.body, OLD)


def test_verify_accepts_what_the_library_has_signed():
    made = standardwebhooks.Webhook(SECRET).sign("evt_1", NOW, "{}")
    verify(
        {"webhook-id": "evt_1", "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": f"v1a,x {made}"}
    )


@each_row(
    ("headers", "message"),
    [
        ({}, "not signed"),
        ({**signed(), "webhook-id": ""}, "webhook-id is missing"),
        ({"webhook-id": "evt_1", "webhook-signature": "v1,abc"}, "webhook-timestamp is missing"),
        ({**signed(), "webhook-timestamp": "now"}, "not a number of seconds"),
        ({**signed(), "webhook-timestamp": "٣"}, "not a number of seconds"),
        ({**signed(), "webhook-signature": "v2,abc"}, "no signature of version v1"),
        ({**signed(), "webhook-signature": "v1,ü"}, "does not match this body, id, timestamp or secret"),
        ({**signed(), "webhook-signature": "v1"}, "does not match this body, id, timestamp or secret"),
        ({**signed(), "webhook-id": "evt_2"}, "does not match this body, id, timestamp or secret"),
        (signed(b"{} "), "does not match this body, id, timestamp or secret"),
        (signed(secrets=(OLD,)), "does not match this body, id, timestamp or secret"),
        (signed(at=NOW - timedelta(hours=1)), "3,600 s old"),
        (signed(at=NOW + timedelta(minutes=6)), "360 s in the future"),
        ({"X-Hammerwork-Signature": "abc"}, "sha256="),
        ({"X-Hammerwork-Signature": "sha256=abc"}, "does not match this body, id, timestamp or secret"),
        ({"X-Hammerwork-Signature": "sha256=ü"}, "does not match this body, id, timestamp or secret"),
    ],
)  # fmt: skip
def test_verify_says_what_is_wrong(headers, message):
    with pytest.raises(AnswerIsNoError, match=message) as refused:
        verify(headers)
    assert SECRET[6:] not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("headers", [signed(), signature.original(SECRET, b"{}")])
def test_verify_knows_a_line_break_that_an_editor_has_added(headers, end):
    with pytest.raises(AnswerIsNoError, match="without the line break"):
        verify(headers, b"{}" + end)


def test_verify_accepts_five_minutes_either_way():
    for minutes in (-5, 5):
        verify(signed(at=NOW + timedelta(minutes=minutes)))


@pytest.mark.parametrize("secret", ["whsec_", "whsec_abc", "whsec_!!!!", "whsec_ü"])
def test_a_secret_that_was_copied_in_part_is_refused(secret):
    with pytest.raises(UsageError, match="not base64"):
        verify(signed(), secret=secret)


def test_headers_are_read_from_files():
    wanted = {"webhook-id": "evt_1", "Host": "a:1"}
    for text in (
        "webhook-id: evt_1\nHost: a:1\n",
        "POST /hook HTTP/1.1\r\nwebhook-id: evt_1\r\nHost: a:1\r\n\r\n",
        "> POST /hook HTTP/1.1\n> webhook-id: evt_1\n> Host: a:1\n>\n",
        json.dumps(wanted),
    ):
        assert signature.headers_of(text) == wanted


@pytest.mark.parametrize("text", ["", "what is this", "{", '{"a": 1}', "[" * 9999, "a: b\nand more"])
def test_other_files_hold_no_headers(text):
    with pytest.raises(UsageError, match="cannot be read"):
        signature.headers_of(text)
