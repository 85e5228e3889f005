"""Webhooks of ``webhooks.json``, in which version 3 of hammerwork (Rust) keeps those of its command line."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar
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

Value = TypeVar("Value")
_EVENTS = {event.removeprefix("job."): event for event in EventType if event.is_of_job}
_PRIORITIES = frozenset(priority.word for priority in JobPriority)
_RETRY_STATUSES = {408, 429, 500, 502, 503, 504}
_USUAL_PAUSES = {"initial_delay_secs": 1, "max_delay_secs": 300, "backoff_multiplier": 2.0}
_USUAL_TIMEOUT = 30


class TakenOver(NamedTuple):
    """What a ``webhooks.json`` holds for us."""

    # With sentences about what differs. They send the body and the signature of hammerwork (Rust), so that receivers
    # notice no difference.
    webhooks: list[tuple[Webhook, list[str]]]
    refused: list[str]  # sentences about the others, which cannot be taken over


def taken_over(text: str) -> TakenOver:
    """Reads the content of a ``webhooks.json``."""
    try:
        found = json_of(text) if text.strip() else []
    except ValueError as error:
        raise UsageError(f"The file {error}.") from None
    if not isinstance(found, list):
        raise UsageError("The file is not a webhooks.json: it has no list.")
    webhooks: list[tuple[Webhook, list[str]]] = []
    refused: list[str] = []
    for number, entry in enumerate(found, 1):
        name = entry.get("name") if isinstance(entry, dict) else None
        called = f"{name!r:.80}" if isinstance(name, str) else f"Number {number}"
        try:
            if name in [webhook.name for webhook, _ in webhooks]:
                raise UsageError("the file has the name twice.")
            fields = _Fields(entry)
            webhook = _webhook(fields)
            if webhook.id in [other.id for other, _ in webhooks]:
                raise UsageError("the file has the id twice.")
            validate(webhook)
            webhooks.append((webhook, [f"{called}: {one}" for one in _differences(fields, webhook)]))
        except HammerworkError as error:
            refused.append(f"{called} was not imported: {error.message}")
    return TakenOver(webhooks, refused)


class _Fields:
    """An object of the file. An error names the field and not what it holds, which might be a secret.

    Its ``path`` ends with a dot.
    """

    def __init__(self, found: Any, path: str = "") -> None:
        if not isinstance(found, dict):
            raise UsageError(f"{path.rstrip('.') or 'it'} is not an object.")
        self._found, self._path = found, path

    def has(self, name: str) -> bool:
        return self._found.get(name) is not None

    def of(self, name: str, read: Callable[[Any], Value]) -> Value:
        """The value of a field, as ``read`` returns it; an error of ``read`` becomes one that names the field."""
        if name not in self._found:
            raise UsageError(f"{self._path}{name} is missing.")
        try:
            return read(self._found[name])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UsageError(f"{self._path}{name} is not written as version 3 writes it.") from None

    def below(self, name: str) -> "_Fields":
        return self.of(name, lambda value: _Fields(value, f"{self._path}{name}."))


def _webhook(entry: _Fields) -> Webhook:
    filters = entry.below("filter")
    url = entry.of("url", _text)
    place = receiver(url)
    address = literal("127.0.0.1") if place.is_local else literal(place.host)
    is_special = address is not None and kind_of(address) is not None
    is_open = not (place.is_tls or place.is_local)
    auth, authorizing = entry.of("auth", _auth) if entry.has("auth") else ({}, {})
    return Webhook(
        id=entry.of("id", lambda value: str(UUID(value))),
        name=names.of_receiver(entry.of("name", _text), "webhook"),
        url=url,
        method=entry.of("method", _text),
        # It had no other events than these, even where it took all.
        events=filters.of("event_types", lambda words: tuple(_EVENTS[word] for word in words or _EVENTS)),
        queues=filters.of("queue_names", lambda queues: tuple(map(_text, queues))),
        priorities=filters.of("priorities", lambda words: tuple(map(_priority, words))),
        headers={**entry.of("headers", _literals), **authorizing},
        auth=auth,
        secret=(entry.of("secret", _literal) or None) if entry.has("secret") else None,
        body=WebhookBody.ORIGINAL,
        template=entry.of("payload_template", _text) if entry.has("payload_template") else None,
        include_payload=filters.of("include_payload", bool),
        allow_private=is_special,
        insecure=is_open,
        timeout_seconds=entry.of("timeout_secs", _timeout) if entry.has("timeout_secs") else _USUAL_TIMEOUT,
        max_retries=entry.below("retry_policy").of("max_attempts", lambda number: min(_number(number), MOST_RETRIES)),
        enabled=entry.of("enabled", bool),
    )


def _differences(entry: _Fields, webhook: Webhook) -> Iterable[str]:
    filters, retries = entry.below("filter"), entry.below("retry_policy")
    if filters.has("min_processing_time_ms") or filters.has("max_processing_time_ms"):
        yield "it gets events however long the job took: webhooks have no such filter."
    if filters.has("metadata_filters") and filters.of("metadata_filters", len):
        yield "it gets events whatever their metadata: webhooks have no such filter."
    if (attempts := retries.of("max_attempts", _number)) > MOST_RETRIES:
        yield f"it has {MOST_RETRIES} retries, the most there are, instead of {attempts}."
    if any(retries.has(name) and retries.of(name, float) != usual for name, usual in _USUAL_PAUSES.items()):
        yield "its pauses between retries are those of all webhooks: 5 seconds to 12 hours."
    if retries.has("retry_on_status_codes") and retries.of("retry_on_status_codes", set) != _RETRY_STATUSES:
        yield "it tries again after the statuses 408, 425, 429 and 500 to 599."
    if entry.has("timeout_secs") and entry.of("timeout_secs", _number) > LONGEST_TIMEOUT:
        yield f"its timeout is {LONGEST_TIMEOUT} seconds."
    if webhook.allow_private:
        yield "it may reach addresses that are not public, since its URL has one (--allow-private)."
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


def _auth(auth: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """How requests prove who sends them, and further headers that do."""
    found, headers = _authorizing(auth)
    return _literals(found), _literals(headers)


def _authorizing(auth: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
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


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value


def _timeout(seconds: Any) -> int:
    return min(_number(seconds) or _USUAL_TIMEOUT, LONGEST_TIMEOUT)
