"""Webhooks of ``webhooks.json``, in which version 3 of hammerwork (Rust) keeps those of its command line."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.documents import json_of
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.webhook.model import Webhook, WebhookBody
from hammerwork_cli.runtime.delivery.webhooks.addresses import kind_of, literal
from hammerwork_cli.runtime.delivery.webhooks.receivers import receiver
from hammerwork_cli.runtime.delivery.webhooks.sending import LONGEST_TIMEOUT, MOST_RETRIES, validate

_EVENTS = {event.removeprefix("job."): event for event in EventType if event.is_of_job}
_PRIORITIES = frozenset(priority.word for priority in JobPriority)
_RETRY_STATUSES = {408, 429, 500, 502, 503, 504}
_USUAL_PAUSES = {"initial_delay_secs": 1, "max_delay_secs": 300, "backoff_multiplier": 2.0}
_USUAL_RETRIES = 3
_USUAL_TIMEOUT = 30


class TakenOver(NamedTuple):
    """What a ``webhooks.json`` holds for us.

    Attributes:
        webhooks: send the body and the signature of hammerwork (Rust), so that receivers notice no difference.
        notes: sentences about what differs, and about webhooks that cannot be taken over.
    """

    webhooks: list[Webhook]
    notes: list[str]


def taken_over(text: str) -> TakenOver:
    """Reads the content of a ``webhooks.json``.

    Raises:
        UsageError: it is not such a file.
    """
    try:
        found = json_of(text) if text.strip() else []
    except ValueError as error:
        raise UsageError(f"The file {error}.") from None
    if not isinstance(found, list):
        raise UsageError("The file is not a webhooks.json: it has no list.")
    webhooks: list[Webhook] = []
    notes: list[str] = []
    for number, entry in enumerate(found, 1):
        name = entry.get("name") if isinstance(entry, dict) else None
        called = f"{name!r:.80}" if isinstance(name, str) else f"Number {number}"
        try:
            if name in [webhook.name for webhook in webhooks]:
                raise UsageError("the file has the name twice.")
            webhook, differences = _webhook(entry)
            validate(webhook)
        except HammerworkError as error:
            notes.append(f"{called} is not taken over: {error.message}")
        except (KeyError, TypeError, ValueError, AttributeError):  # what it is, might be a secret
            notes.append(f"{called} is not taken over: it is not written as version 3 does.")
        else:
            webhooks.append(webhook)
            notes += [f"{called}: {difference}" for difference in differences]
    return TakenOver(webhooks, notes)


def _webhook(entry: Mapping[str, Any]) -> tuple[Webhook, list[str]]:
    filters, retries = entry["filter"], entry["retry_policy"]
    place = receiver(_text(entry["url"]))
    address = literal("127.0.0.1") if place.is_local else literal(place.host)
    is_special = address is not None and kind_of(address) is not None
    is_open = not (place.is_tls or place.is_local)
    auth, authorizing = _auth(entry.get("auth"))
    webhook = Webhook(
        id=str(UUID(entry["id"])),
        name=names.of_receiver(_text(entry["name"]), "webhook"),
        url=_text(entry["url"]),
        method=_text(entry["method"]),
        # It had no other events than these, even where it took all.
        events=tuple(_EVENTS[event] for event in filters["event_types"] or _EVENTS),
        queues=tuple(_text(queue) for queue in filters["queue_names"]),
        priorities=tuple(_priority(word) for word in filters["priorities"]),
        headers=_literals({**entry["headers"], **authorizing}),
        auth=_literals(auth),
        secret=_literal(entry["secret"]) if entry.get("secret") else None,
        body=WebhookBody.ORIGINAL,
        template=entry.get("payload_template"),
        include_payload=bool(filters["include_payload"]),
        allow_private=is_special,
        insecure=is_open,
        timeout_seconds=min(int(entry.get("timeout_secs") or _USUAL_TIMEOUT), LONGEST_TIMEOUT),
        max_retries=_retries(retries["max_attempts"]),
        enabled=bool(entry["enabled"]),
    )
    return webhook, list(_differences(entry, webhook))


def _differences(entry: Mapping[str, Any], webhook: Webhook) -> Iterable[str]:
    filters, retries = entry["filter"], entry["retry_policy"]
    if filters.get("min_processing_time_ms") is not None or filters.get("max_processing_time_ms") is not None:
        yield "it gets events whatever the time that the job took: webhooks have no such filter."
    if filters.get("metadata_filters"):
        yield "it gets events whatever their metadata: webhooks have no such filter."
    if retries["max_attempts"] != webhook.max_retries:
        yield f"it has {webhook.max_retries} retries instead of {retries['max_attempts']}."
    if any(retries.get(key, usual) != usual for key, usual in _USUAL_PAUSES.items()):
        yield "its pauses between retries are those of all webhooks: 5 seconds to 12 hours."
    if set(retries.get("retry_on_status_codes", _RETRY_STATUSES)) != _RETRY_STATUSES:
        yield "it tries again after the statuses 408, 425, 429 and 500 to 599."
    if (entry.get("timeout_secs") or 0) > LONGEST_TIMEOUT:
        yield f"its timeout is {LONGEST_TIMEOUT} seconds."
    if webhook.allow_private:
        yield "it may reach addresses that are not public, since its URL is one (--allow-private)."
    if webhook.insecure:
        yield "it may use http: to other machines, as its URL does (--insecure)."


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _literal(value: Any) -> str:
    """A secret, which version 3 took as it is."""
    if _text(value).startswith("env:"):
        raise UsageError("one of its secrets or headers begins with env:, which would name a variable here.")
    return str(value)


def _literals(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _literal(value) for name, value in values.items()}


def _auth(auth: Mapping[str, Any] | None) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """How requests prove who sends them, and further headers that do."""
    if auth is None:
        return {}, {}
    kind = auth["type"]
    if kind == "Bearer":
        return {"bearer": auth["token"]}, {}
    if kind == "Basic":
        return {"basic": f"{_text(auth['username'])}:{_text(auth['password'])}"}, {}
    if kind == "ApiKey":
        return {"header": auth["header_name"], "key": auth["api_key"]}, {}
    if kind == "Custom":
        return {}, auth["headers"]
    raise ValueError(kind)


def _priority(word: Any) -> str:
    if _text(word).lower() not in _PRIORITIES:
        raise ValueError
    return str(word).lower()


def _retries(attempts: Any) -> int:
    """How often a request is repeated: as often as all are, if nobody chose it."""
    usual = Webhook._field_defaults["max_retries"]
    return int(usual) if attempts == _USUAL_RETRIES else min(int(attempts), MOST_RETRIES)
