"""Webhooks and their deliveries: shapes, tables and sentences for people. None of them shows a secret."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hammerwork_cli.core.values import MASK, Counts, Timestamp, timestamp
from hammerwork_cli.features.event.views import filter_keys, lines, note, note_column
from hammerwork_cli.features.webhook.model import METHODS, Delivery, Webhook, WebhookBody, is_accepted
from hammerwork_cli.view import key
from hammerwork_cli.view.json import Record
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import age, brief_age, count, first_line, instant, plural, short_id, visible

_VARIABLE = "env:"
_PROOFS = ("bearer", "basic", "header")


def masked(secret: str) -> str:
    """A secret as it may be shown: the name of a variable is none."""
    return secret if secret.startswith(_VARIABLE) else MASK


def shown_url(url: str) -> str:
    """A URL as it may be shown: the scheme and the host. Its path may be a secret, as with chats."""
    try:
        found = urlsplit(url)
        path = f"/{MASK}" if found.path.strip("/") or found.query else ""
        return f"{found.scheme}://{found.hostname}{f':{found.port}' if found.port else ''}{path}"
    except ValueError:
        return MASK


def _auth(webhook: Webhook) -> Record | None:
    if not webhook.auth:
        return None
    return {name: value if name == "header" else masked(value) for name, value in webhook.auth.items()}


WEBHOOK = Shape[Webhook](
    {
        "id": key.uuid(),
        "name": key.text(),
        "url": key.text("Its path is ***: it may be a secret").of(lambda one: shown_url(one.url)),
        "method": key.text("", *METHODS),
        **filter_keys(),
        "headers": key.anything("Further headers, without their values").of(
            lambda one: {name: masked(value) for name, value in one.headers.items()}
        ),
        "auth": key.null_or(key.anything("How it proves who it is, without secrets")).of(_auth),
        "signed": key.flag("Whether requests are signed").of(lambda one: one.secret is not None),
        "secret": key.null_or(key.text("env:NAME, or *** for a stored one; whole only from the verb that made it")).of(
            lambda one: None if one.secret is None else masked(one.secret)
        ),
        "old_secret_until": key.null_or(key.instant("Until then, the former secret signs too")).of("old_secret_until"),
        "body": key.text("", *WebhookBody).of(lambda one: str(one.body)),
        "template": key.null_or(key.stored_json("What requests hold in place of the body")),
        "include_payload": key.flag(),
        "allow_private": key.flag("Whether it may reach addresses that are not public"),
        "insecure": key.flag("Whether http: is allowed"),
        "timeout_seconds": key.count(),
        "max_retries": key.count(),
        "enabled": key.flag(),
        "disabled_reason": key.null_or(key.text()),
        "delivered": key.count("Deliveries so far"),
        "failed": key.count("Deliveries that were given up"),
        "failing_since": key.null_or(key.instant("The first failed attempt since the last success")),
        "last_success_at": key.null_or(key.instant()),
        "last_failure_at": key.null_or(key.instant()),
        "last_answer": key.null_or(key.text("The last answer, or why there is none")),
        "created_at": key.null_or(key.instant()),
        "updated_at": key.null_or(key.instant()),
        "updated_by": key.null_or(key.text()),
    }
)
PUBLIC = Shape[Webhook](
    {
        **WEBHOOK.without("secret", "template"),
        "headers": key.list_of(key.text(), "Names of further headers").of(lambda one: list(one.headers)),
        "auth": key.null_or(key.text("How it proves who it is", *_PROOFS)).of(
            lambda one: next((word for word in _PROOFS if word in one.auth), None)
        ),
    }
)
"""A webhook for those who may not see its secrets: clients of the web server."""
DELIVERY = Shape[Delivery](
    {
        "job_id": key.job_id("The job that delivers; its id is the id that the receiver gets"),
        "type": key.null_or(key.text("Type of the event")).of("event_type"),
        "status": key.status(),
        "attempts": key.count(),
        "answered_at": key.null_or(key.instant("End of the last attempt")),
        "answer": key.null_or(key.text("Beginning of the last answer, or why there is none")),
        "http_status": key.null_or(key.count("Of the last answer; null if there was none")),
        "max_attempts": key.count(),
        "created_at": key.null_or(key.instant()),
        "due_at": key.null_or(key.instant("When it is tried next, if it is")),
        "event": key.anything("The event"),
        "webhook": key.null_or(key.text("Its name, or the last one of a webhook that was removed")),
    },
    columns=("job_id", "type", "status", "attempts", "answered_at", "answer", "http_status", "created_at", "webhook"),
)


class WebhookStats(NamedTuple):
    """The deliveries of a webhook whose events happened since a time."""

    hook: Webhook
    counts: Counts


STATS = Shape[WebhookStats](
    {
        "name": key.text().of("hook.name"),
        "enabled": key.flag().of("hook.enabled"),
        "deliveries": key.count("Of the time that was asked for").of("counts.total"),
        "delivered": key.count().of(lambda one: one.counts.of("Completed")),
        "open": key.count("Not delivered yet").of("counts.open"),
        "given_up": key.count().of("counts.unsuccessful"),
        "all_delivered": key.count("Since the webhook was added").of("hook.delivered"),
        "all_failed": key.count("Since the webhook was added").of("hook.failed"),
        "failing_since": key.null_or(key.instant()).of("hook.failing_since"),
    }
)
STATS_COLUMNS: Sequence[Column[WebhookStats]] = (
    Column("webhook", lambda one: one.hook.name, cuts=True),
    *(column(STATS, name, is_count=False) for name in ("deliveries", "delivered", "open", "given_up")),
    Column("failing since (UTC)", lambda one: instant(one.hook.failing_since), optional=True),
)


class Exchange(NamedTuple):
    """What a request for a test sent and got."""

    webhook: str
    event: Mapping[str, Any]
    status: int | None
    answer: str | None
    seconds: float
    request_line: str
    request_headers: Mapping[str, str]
    request_body: str


EXCHANGE = Shape[Exchange](
    {
        "webhook": key.text(),
        "event": key.anything("The event that was sent"),
        "status": key.null_or(key.count("HTTP status of the answer")),
        "answer": key.null_or(key.text("Beginning of the answer, or why there is none")),
        "seconds": key.number("Length of the exchange", 3),
        "request_line": key.text("Without parts of the path that may be secret; empty if no request could be made"),
        "request_headers": key.anything("Without secrets"),
        "request_body": key.text(),
    }
)


class TriedWebhook(NamedTuple):
    """What a test by HTTP tells: neither what was sent, which is signed, nor the text of the answer."""

    webhook: str
    event: Mapping[str, Any]
    http_status: int | None
    error: str | None
    seconds: float


TRIED = Shape[TriedWebhook](
    {
        "webhook": key.text(),
        "event": key.anything("The event that was sent"),
        "accepted": key.flag("Whether the receiver answered with 2xx").of(lambda one: is_accepted(one.http_status)),
        "http_status": key.null_or(key.count("Of the answer")),
        "error": key.null_or(key.text("Why there is no answer")),
        "seconds": key.number("Length of the exchange", 3),
    }
)
REPLAYED = Shape[Mapping[str, Any]](
    {
        "webhook": key.text().of(lambda one: one["webhook"]),
        "deliveries": key.count("To be made again").of(lambda one: one["deliveries"]),
    }
)
VERIFIED = Shape[Mapping[str, Any]]({"valid": key.flag().of(lambda one: one["valid"])})


def columns(now: datetime, *, detailed: bool) -> Sequence[Column[Webhook]]:
    more: Sequence[Column[Webhook]] = (
        Column("queues", lambda one: ", ".join(one.queues) or "all", cuts=True, drop_order=4),
        Column("body", lambda one: "template" if one.template else str(one.body), drop_order=5),
        Column("retries", lambda one: str(one.max_retries), "right", drop_order=6),
    )
    return (
        Column("webhook", lambda one: one.name, cuts=True),
        Column("receiver", lambda one: shown_url(one.url), cuts=True, keeps=20, drop_order=3),
        Column("events", lambda one: _events(one), cuts=True, drop_order=1),
        *(more if detailed else ()),
        column(WEBHOOK, "delivered", is_count=False, drop_order=2),
        column(WEBHOOK, "failed", is_count=False),
        note_column(lambda one: note(one, now, one.last_answer)),
    )


def _events(webhook: Webhook) -> str:
    return ", ".join(map(str, webhook.events))


def text(webhook: Webhook, now: datetime) -> Iterator[str]:
    """Everything about a webhook, for people."""
    rows: list[tuple[str, str | None]] = [
        ("webhook", webhook.name),
        ("id", webhook.id),
        ("url", f"{webhook.method} {shown_url(webhook.url)}"),
        ("events", _events(webhook)),
        ("queues", ", ".join(webhook.queues) or "all"),
        ("priorities", ", ".join(webhook.priorities) or "all"),
        ("headers", ", ".join(f"{name}: {masked(value)}" for name, value in webhook.headers.items()) or None),
        ("auth", ", ".join(f"{name} {value}" for name, value in (_auth(webhook) or {}).items()) or None),
        ("secret", "none: requests are not signed" if webhook.secret is None else masked(webhook.secret)),
        ("old secret", f"signs too, until {_when(webhook.old_secret_until)}" if webhook.signs_twice(now) else None),
        ("body", "a template" if webhook.template else str(webhook.body)),
        ("template", webhook.template),
        ("payload", "included" if webhook.include_payload else None),
        ("network", _network(webhook)),
        ("timeout", f"{webhook.timeout_seconds} s, {plural(webhook.max_retries, 'retry', 'retries')}"),
        ("deliveries", f"{count(webhook.delivered)} succeeded, {count(webhook.failed)} given up"),
        ("last success", _when(webhook.last_success_at)),
        ("last failure", _when(webhook.last_failure_at)),
        ("last answer", webhook.last_answer and first_line(webhook.last_answer)),
        ("failing since", _when(webhook.failing_since)),
    ]
    return lines(webhook, rows)


def _when(at: Timestamp) -> str | None:
    return None if at is None else f"{instant(at)} UTC"


def _network(webhook: Webhook) -> str | None:
    allowed = (("http:", webhook.insecure), ("private addresses", webhook.allow_private))
    return ", ".join(what for what, is_allowed in allowed if is_allowed) or None


def delivery_columns(now: datetime, *, of_all: bool) -> Sequence[Column[Delivery]]:
    """The columns of a table of deliveries.

    Args:
        of_all: whether it has those of several webhooks.
    """
    first: Sequence[Column[Delivery]] = (Column("webhook", lambda one: one.webhook, cuts=True),) if of_all else ()
    return (
        *first,
        Column("job", lambda one: short_id(one.job_id)),
        Column("event", lambda one: one.event_type, cuts=True),
        column(DELIVERY, "status", is_status=True),
        Column("attempts", lambda one: f"{one.attempts}/{one.max_attempts}", "right", narrow_header="tries"),
        Column("created", lambda one: age(one.created_at, now), "right", drop_order=1),
        Column("answer", lambda one: _answer(one, now), cuts=True),
    )


def _answer(delivery: Delivery, now: datetime) -> str | None:
    said = first_line(delivery.answer) if delivery.answer else None
    code = str(delivery.http_status) if delivery.http_status else None
    due = timestamp(delivery.due_at)
    again = f"again in {brief_age(now, due)}" if delivery.status == "Retrying" and due and due > now else None
    return "; ".join(filter(None, (again, " ".join(filter(None, (code, said)))))) or None


def exchange_text(answer: Exchange) -> Iterator[str]:
    """Yields the request and the answer of a test."""
    if not answer.request_line:  # the error says why
        return
    yield f"> {visible(answer.request_line)}"
    for name, value in answer.request_headers.items():
        yield f"> {visible(name)}: {visible(value)}"
    if answer.request_body:
        yield f"> {visible(answer.request_body)}"
    code = "no answer" if answer.status is None else str(answer.status)
    yield f"< {code} after {answer.seconds:.2f} s"
    if answer.answer and answer.status is not None:  # the error says why there is none
        yield from (f"< {visible(line)}" for line in answer.answer.splitlines()[:20])
