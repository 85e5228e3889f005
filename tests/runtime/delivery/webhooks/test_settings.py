"""What a webhook may be, where its secrets come from, and when it tries again."""

import io
from datetime import timedelta
from typing import NamedTuple

import pytest

from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.webhook.model import WebhookBody
from hammerwork_cli.runtime.delivery.webhooks import secrets
from hammerwork_cli.runtime.delivery.webhooks.sending import validate
from hammerwork_cli.runtime.delivery.webhooks.verdicts import Verdict, backoff, verdict
from tests.conftest import each_row
from tests.runtime.delivery.webhooks.conftest import SECRET, webhook


def test_a_secret_is_taken_from_where_it_is(tmp_path, monkeypatch):
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\nmore"))
    monkeypatch.setenv("HOOK_SECRET", "from a variable")
    assert secrets.given(f"@{file}", "--secret") == "from a file"
    assert secrets.given("-", "--secret") == "from stdin"
    assert secrets.given("env:HOOK_SECRET", "--secret") == "env:HOOK_SECRET"
    assert secrets.resolved("env:HOOK_SECRET") == "from a variable"
    assert secrets.resolved("literal") == "literal"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "is empty"),
        ("env:", "names no variable"),
        ("env:1A", "names no variable"),
        ("env:A B", "names no variable"),
        ("a s3cret\nb", "control character"),
        ("@/nowhere/at/all", "cannot be read"),
    ],
)
def test_a_secret_is_refused_without_being_repeated(value, message):
    with pytest.raises(UsageError, match=message) as refused:
        secrets.given(value, "--secret")
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a s3cret\nb", "--secret holds a control character"),
        ("a s3cret\x85b", "--secret holds a control character"),
        ("s3cret" * 600 + "x" * 497, "--secret has more than 4,096 characters"),
        ("\n", "--secret is empty"),
    ],
)
def test_the_secret_in_a_file_is_refused_without_being_repeated(tmp_path, content, message):
    (tmp_path / "secret").write_text(content)
    with pytest.raises(UsageError, match=message) as refused:
        secrets.given(f"@{tmp_path / 'secret'}", "--secret")
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "is not set"), ("", "is not set"), ("s3cret\nx", "control character"), ("s3cret" * 1000, "characters")],
)
def test_a_variable_is_named_and_its_value_is_not(monkeypatch, value, message):
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("HOOK_SECRET", value)
    with pytest.raises(HammerworkError, match=f"The variable HOOK_SECRET .*{message}") as refused:
        secrets.resolved("env:HOOK_SECRET")
    assert "s3cret" not in repr(refused.value) + str(refused.value.__notes__)


@pytest.mark.parametrize("name", ["HAMMERWORK_DATABASE_URL", "DATABASE_URL", "HAMMERWORK_ENCRYPTION_KEY", "PGPASSWORD"])
def test_a_variable_that_opens_the_database_is_not_sent(name):
    for fields in ({"headers": {"X": f"env:{name}"}}, {"auth": {"bearer": f"env:{name}"}}, {"secret": f"env:{name}"}):
        with pytest.raises(UsageError, match=f"{name}, which opens the database"):
            validate(webhook(**fields))


def test_a_webhook_shows_no_secret():
    hook = webhook("https://hooks.example/s3cret", secret="s3cret", auth={"bearer": "s3cret"}, headers={"X": "s3cret"})
    assert "s3cret" not in f"{hook!r} {hook} {[hook]}"


@each_row(
    "fields",
    [
        {},
        {"method": "PATCH", "timeout_seconds": 300, "max_retries": 0},
        {"headers": {"X-Team": "ü", "Content-Type": "application/x-own"}},
        {"auth": {"bearer": "env:TOKEN"}},
        {"auth": {"basic": "user:"}},
        {"auth": {"basic": "env:USER_AND_PASSWORD"}},
        {"auth": {"header": "X-Api-Key", "key": "k"}},
        {"secret": SECRET, "old_secret": "any other text"},
        {"secret": "whsec_text", "body": WebhookBody.ORIGINAL},
    ],
)
def test_a_webhook_is_valid(fields):
    validate(webhook(**fields))


@each_row(
    ("fields", "message"),
    [
        ({"method": "GET"}, "not a method"),
        ({"method": "post"}, "not a method"),
        ({"timeout_seconds": 0}, "1 to 300 seconds"),
        ({"timeout_seconds": 301}, "1 to 300 seconds"),
        ({"max_retries": -1}, "0 to 50 retries"),
        ({"max_retries": 51}, "0 to 50 retries"),
        ({"headers": {"": "x"}}, "not the name of a header"),
        ({"headers": {"X Y": "x"}}, "not the name of a header"),
        ({"headers": {"X:": "x"}}, "not the name of a header"),
        ({"headers": {"X\r\nY": "x"}}, "not the name of a header"),
        ({"headers": {"Ü": "x"}}, "not the name of a header"),
        ({"headers": {"Host": "x"}}, "cannot set the header Host"),
        ({"headers": {"content-length": "1"}}, "cannot set"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "cannot set"),
        ({"headers": {"Webhook-Id": "1"}}, "cannot set"),
        ({"headers": {"x-hammerwork-signature": "1"}}, "cannot set"),
        ({"headers": {"Proxy-Authorization": "1"}}, "cannot set"),
        ({"headers": {"X": "s3cret\r\nY: 1"}}, "The header X holds a control character"),
        ({"headers": {"X": "s3cret\0"}}, "control character"),
        ({"headers": {"X": "env:no name"}}, "The header X names no variable"),
        ({"headers": {"X": "1", "x": "2"}}, "comes twice"),
        ({"headers": {"authorization": "1"}, "auth": {"bearer": "t"}}, "comes twice"),
        ({"headers": {f"X-{n}": "1" for n in range(51)}}, "at most 50"),
        ({"auth": {"bearer": "s3cret", "basic": "u:s3cret"}}, "not several"),
        ({"auth": {"header": "X"}}, "not several"),
        ({"auth": {"key": "s3cret"}}, "not several"),
        ({"auth": {"header": "Host", "key": "s3cret"}}, "cannot set"),
        ({"auth": {"header": "X Y", "key": "s3cret"}}, "not the name"),
        ({"auth": {"bearer": "s3cret\r\nX: 1"}}, "The token holds a control character"),
        ({"auth": {"bearer": ""}}, "The token is empty"),
        ({"auth": {"basic": "s3cret"}}, "no colon"),
        ({"auth": {"basic": ":s3cret"}}, "no colon"),
        ({"secret": ""}, "empty"),
        ({"secret": "whsec_s3cret!"}, "not base64"),
        ({"secret": "env:"}, "no variable"),
        ({"secret": SECRET, "old_secret": "whsec_s3cret!"}, "not base64"),
    ],
)
def test_a_webhook_is_refused_without_its_secrets(fields, message):
    with pytest.raises(UsageError, match=message) as refused:
        validate(webhook(**fields))
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


# When it tries again.


class Status(NamedTuple):
    status: int | None


def test_every_status_has_a_verdict():
    found = {status: verdict(Status(status)) for status in [None, *range(100, 1000)]}
    assert [status for status, what in found.items() if what is Verdict.DELIVERED] == [*range(200, 300)]
    assert [status for status, what in found.items() if what is Verdict.GONE] == [410]
    assert [status for status, what in found.items() if what is Verdict.RETRY] == [
        None,
        408,
        425,
        429,
        *range(500, 1000),
    ]


def test_eight_retries_take_about_twenty_hours():
    pauses = [{backoff(attempt) for _ in range(200)} for attempt in range(1, 9)]
    for wanted, found in zip([5, 20, 80, 320, 1280, 5120, 20_480, 43_200], pauses, strict=True):
        assert timedelta(seconds=0.8 * wanted) <= min(found) < max(found) <= timedelta(seconds=1.2 * wanted)
    assert backoff(10**9) <= timedelta(hours=12 * 1.2)


def test_a_receiver_may_ask_for_an_hour():
    def pauses(attempt, asked):
        return [backoff(attempt, asked) for _ in range(200)]

    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    assert minute <= min(pauses(1, minute)) < max(pauses(1, minute)) <= minute * 1.2
    assert hour <= min(pauses(1, timedelta(days=9))) <= max(pauses(1, timedelta(days=9))) <= hour * 1.2
    assert min(pauses(1, timedelta(0))) >= timedelta(seconds=4)  # it does not use up its retries at once
    assert min(pauses(8, minute)) > hour
