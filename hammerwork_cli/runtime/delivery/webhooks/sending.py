"""Checks a webhook, and sends one request."""

import json
import re
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

from hammerwork_cli.core.values import MASK
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.webhook.model import LONGEST_ANSWER, METHODS, Webhook, WebhookBody
from hammerwork_cli.runtime.delivery.allowed import Allowed, NotAllowedError
from hammerwork_cli.runtime.delivery.webhooks import bodies, headers, secrets, signature, templates
from hammerwork_cli.runtime.delivery.webhooks.addresses import kind_of, literal
from hammerwork_cli.runtime.delivery.webhooks.connecting import (
    LARGEST_HEAD,
    Deadline,
    DeliveryError,
    Wire,
    connected,
    said,
    send_all,
)
from hammerwork_cli.runtime.delivery.webhooks.receivers import Receiver, receiver
from hammerwork_cli.runtime.delivery.webhooks.verdicts import retry_after_of
from hammerwork_cli.version import __version__

LARGEST_ANSWER = 1 << 16
"""Bytes of an answer that are read."""
LONGEST_TIMEOUT = 300
MOST_RETRIES = 50
SHORTEST_OF_PATH = 12
"""Characters of a part of the path that may be a secret, as with chats, and that an answer is searched for."""
SHORTEST_SECRET = 4
"""Characters of a secret that an answer is searched for: too many words contain a shorter one."""


class DeliveryAnswer(NamedTuple):
    """What became of a request. It holds no secret of the webhook."""

    status: int | None  # of the answer; `None` without one
    text: str = ""  # the beginning of the answer's body
    retry_after: timedelta | None = None  # how long the receiver asks to wait
    error: str | None = None  # why there is no answer, in a sentence; `None` with a status
    is_allowed: bool = True  # whether the host lets the webhook have what it asks for
    seconds: float = 0.0  # how long the exchange took
    request_line: str = ""  # as it was sent, but for masked parts of the path; empty if no request could be made
    # As they were sent, but for masked secrets; empty if no request could be made.
    request_headers: Mapping[str, str] = {}
    request_body: str = ""


def validate(webhook: Webhook) -> None:
    """Checks whether requests of a webhook can be made. Resolves no name and reads no variable.

    Raises:
        UsageError: says what is wrong, without secrets.
    """
    _check(webhook, bodies.fields(webhook.body, webhook.events))


def _check(webhook: Webhook, fields: templates.Fields) -> None:
    _check_receiver(webhook)
    if webhook.method not in METHODS:
        raise UsageError(f"{webhook.method!r:.40} is not a method of webhooks.", hint=f"One of: {', '.join(METHODS)}.")
    if not 0 < webhook.timeout_seconds <= LONGEST_TIMEOUT:
        raise UsageError(f"The timeout of a webhook is 1 to {LONGEST_TIMEOUT} seconds.")
    if not 0 <= webhook.max_retries <= MOST_RETRIES:
        raise UsageError(f"A webhook has 0 to {MOST_RETRIES} retries.")
    headers.check(webhook)
    for secret in (webhook.secret, webhook.old_secret):
        if secret is not None:
            secrets.check(secret)
            if webhook.body != WebhookBody.ORIGINAL and not secret.startswith("env:"):
                secrets.key_of(secret)
    if webhook.template is not None:
        templates.check(webhook.template, fields)


def _check_receiver(webhook: Webhook) -> None:
    place = receiver(webhook.url)
    if not (place.is_tls or place.is_local or webhook.insecure):
        raise UsageError(
            "The URL begins with http:, which is not encrypted.", hint="Use https:, or the option --insecure."
        )
    address = literal("127.0.0.1") if place.is_local else literal(place.host)
    kind = kind_of(address) if address is not None else None
    if kind and not webhook.allow_private:
        raise UsageError(
            f"{place.host} is not a public address ({kind}).", hint="The option --allow-private permits it."
        )


class _Request(NamedTuple):
    receiver: Receiver
    content: bytes  # head and body
    line: str  # its first line, as it may be shown
    shown: Mapping[str, str]
    body: bytes
    secrets: tuple[str, ...]


def send(
    webhook: Webhook,
    event_record: Mapping[str, Any],
    allowed: Allowed,
    *,
    delivery_id: str,
    now: datetime,
    context: ssl.SSLContext | None = None,
) -> DeliveryAnswer:
    """Sends one event to a webhook. Whatever the receiver, the network or the webhook's row do, it returns an answer.

    The webhook's timeout is that of the whole exchange, the resolution of the name included. Redirects are not
    followed, and cookies are not kept.

    Args:
        event_record: as ``Event.record()`` makes it.
        allowed: what it may use of this host.
        delivery_id: tells the receiver repeats.
        now: an aware time, which is signed.
        context: trusts other authorities than the default.

    Raises:
        ValueError: the id of the delivery cannot be a header.
    """
    started = time.monotonic()
    try:
        request = _request(webhook, event_record, allowed, delivery_id, now)
        answer = _exchanged(webhook, request, allowed, now, context)
    except HammerworkError as error:
        return DeliveryAnswer(None, error=_sentence(error), is_allowed=not isinstance(error, NotAllowedError))
    return answer._replace(
        text=_without(answer.text, request.secrets)[:LONGEST_ANSWER],
        seconds=time.monotonic() - started,
        request_line=request.line,
        request_headers=request.shown,
        request_body=request.body.decode(),
    )


def _request(
    webhook: Webhook, record: Mapping[str, Any], allowed: Allowed, delivery_id: str, now: datetime
) -> _Request:
    # SQL may have changed the row. A stored template may name what no event has, which is null.
    _check(webhook, bodies.FIELDS[webhook.body])
    allowed.check_variables([*_secrets(webhook, now), *webhook.headers.values(), *webhook.auth.values()])
    place = receiver(webhook.url)
    body = bodies.body(webhook, record)
    keys = [secrets.resolved(secret) for secret in _secrets(webhook, now)]
    if webhook.body == WebhookBody.ORIGINAL:
        signed = signature.original(keys[0], body) if keys else {}
    else:
        signed = signature.standard(keys, delivery_id, now, body)
    added = headers.added(webhook)
    ours = {
        "Host": place.authority,
        "User-Agent": f"hammerwork/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Type": bodies.content_type(webhook),
        "Content-Length": str(len(body)),
        **signed,
    }
    replaced = {name.lower() for name in added.headers}
    kept = {name: value for name, value in ours.items() if name.lower() not in replaced}
    start = headers.head(f"{webhook.method} {place.target} HTTP/1.1", {**kept, **added.headers})
    hidden = {*keys, *(key.removeprefix(secrets.PREFIX) for key in keys), *added.secrets}
    parts = {part for part in re.split(r"[/?&=]", place.target) if len(part) >= SHORTEST_OF_PATH}
    hidden |= {part for part in (place.target, *parts) if len(part) >= SHORTEST_OF_PATH}
    return _Request(
        place,
        start + body,
        f"{webhook.method} {_without(place.target, tuple(sorted(parts, key=len, reverse=True)))} HTTP/1.1",
        {**kept, **added.shown},
        body,
        tuple(sorted((secret for secret in hidden if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)),
    )


def _secrets(webhook: Webhook, now: datetime) -> list[str]:
    """The secrets that sign a request: the old one, too, while it is valid."""
    old = webhook.old_secret if webhook.signs_twice(now) else None
    return [secret for secret in (webhook.secret, old) if secret is not None]


def _exchanged(
    webhook: Webhook, request: _Request, allowed: Allowed, now: datetime, context: ssl.SSLContext | None
) -> DeliveryAnswer:
    place = request.receiver
    try:
        deadline = Deadline(webhook.timeout_seconds)
        rules = {"allow_private": webhook.allow_private, "insecure": webhook.insecure}
        with connected(place, deadline, allowed, **rules, context=context) as connection:
            return _answer(connection, request, webhook.method, deadline, now)
    except DeliveryError as error:
        problem = _sentence(error)
    except TimeoutError:
        problem = f"{place.authority} did not answer within {webhook.timeout_seconds} s."
    except ssl.SSLCertVerificationError as error:
        problem = f"The certificate of {place.authority} is not valid: {error.verify_message}."
    except ssl.SSLError as error:
        problem = f"TLS with {place.authority} failed: {error.reason or said(error)}."
    except ConnectionRefusedError:
        problem = f"{place.authority} accepts no connections."
    except ConnectionError:
        problem = f"{place.authority} closed the connection without a whole answer."
    except OSError as error:
        problem = f"{place.authority} cannot be reached: {said(error)}."
    except (HTTPException, ValueError) as error:
        problem = f"{place.authority} did not answer in HTTP ({type(error).__name__})."
    return DeliveryAnswer(None, error=problem)


def _answer(connection: Any, request: _Request, method: str, deadline: Deadline, now: datetime) -> DeliveryAnswer:
    unsent: OSError | None = None
    try:
        send_all(connection, request.content, deadline)
    except TimeoutError:
        raise
    except OSError as error:  # it may have answered before it had read everything, with 413 say
        unsent = error
    try:
        response = Wire(connection, deadline, LARGEST_HEAD + LARGEST_ANSWER).answered(method)
    except ConnectionError as error:
        raise unsent or error from None
    text = _read(response).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return DeliveryAnswer(response.status, text, retry_after_of(response.headers.get("Retry-After"), now))


def _read(response: HTTPResponse) -> bytes:
    """The beginning of an answer's body, as far as it comes: the status counts without it."""
    found = bytearray()
    left = LARGEST_ANSWER if response.length is None else min(response.length, LARGEST_ANSWER)
    with suppress(OSError, HTTPException, ValueError, DeliveryError):
        while len(found) < left and (piece := response.read1(left - len(found))):
            found += piece
    return bytes(found)


def _sentence(error: HammerworkError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message


def _without(text: str, hidden: tuple[str, ...]) -> str:
    """The text without secrets, which receivers that show what they got repeat."""
    for secret in hidden:
        for form in (secret, json.dumps(secret)[1:-1]):
            text = text.replace(form, MASK)
    return text
