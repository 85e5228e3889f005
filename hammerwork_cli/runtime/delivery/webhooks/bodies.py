"""Bodies of requests: an event as Standard Webhooks, CloudEvents or hammerwork (Rust) have it, or by a template."""

import json
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.event.shapes import data_of
from hammerwork_cli.features.webhook.model import Webhook, WebhookBody
from hammerwork_cli.runtime.delivery import cloudevents
from hammerwork_cli.runtime.delivery.webhooks import templates

JSON = "application/json"
_OWN_FIELDS = frozenset({"id", "queue", "priority", "error", "reason", "payload", "run_seconds"})
"""Keys of the data of a job that have another place in the original body."""

FIELDS: dict[WebhookBody, templates.Fields] = {
    WebhookBody.STANDARD: {"id": False, "type": False, "timestamp": False, "data": True},
    WebhookBody.CLOUDEVENTS: {
        **dict.fromkeys(("specversion", "id", "source", "type", "time", "subject", "datacontenttype"), False),
        "data": True,
    },
    WebhookBody.ORIGINAL: {
        **dict.fromkeys(
            ("event_id", "job_id", "queue_name", "event_type", "priority", "timestamp", "processing_time_ms"), False
        ),
        "error": dict.fromkeys(("message", "error_type", "details", "retry_attempt"), False),
        "payload": True,
        "metadata": True,
    },
}
"""What a template may name, by the body that it stands for, whatever the event."""


def fields(form: WebhookBody, events: Iterable[EventType]) -> templates.Fields:
    """What a template may name in place of a body, for a webhook of these types of events."""
    data: dict[str, templates.Fields | bool] = {}
    for event in events:
        for name, schema in data_of(event).schema["properties"].items():
            data[name] = not _SCALARS.issuperset(_types(schema))
    return {name: data if name == "data" and data else below for name, below in FIELDS[form].items()}


_SCALARS = frozenset({"string", "number", "integer", "boolean", "null"})


def _types(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("type", "any")
    return found if isinstance(found, list) else [found]


def content_type(webhook: Webhook) -> str:
    if webhook.template is None and webhook.body == WebhookBody.CLOUDEVENTS:
        return cloudevents.CONTENT_TYPE
    return JSON


def body(webhook: Webhook, record: Mapping[str, Any]) -> bytes:
    """Returns the body of a request: the template, filled from the event in the webhook's form, or that form.

    Args:
        record: as ``Event.record()`` makes it.

    Raises:
        UsageError: the template is not valid.
    """
    if webhook.template is not None:
        return encoded(templates.filled(webhook.template, event(webhook.body, record)))
    if webhook.body == WebhookBody.STANDARD:  # its id is a header
        return encoded({key: record[key] for key in ("type", "timestamp", "data")})
    return encoded(event(webhook.body, record))


def event(form: WebhookBody, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns an event in the form of a body, which is what ``event`` is in a template."""
    if form == WebhookBody.CLOUDEVENTS:
        return cloudevents.cloud_event(record)
    if form == WebhookBody.ORIGINAL:
        return _original(record)
    return record


def _original(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of hammerwork (Rust). Its events are those of jobs, so that others have no job and no queue."""
    data = record["data"]
    of_job = record["type"].startswith("job.")
    seconds, priority = data.get("run_seconds"), data.get("priority")
    return {
        "event_id": _uuid(record["id"]),
        "job_id": data.get("id") if of_job else data.get("job_id"),
        "queue_name": data.get("queue"),
        "event_type": record["type"].removeprefix("job."),
        "priority": priority.capitalize() if isinstance(priority, str) else "Normal",
        "timestamp": record["timestamp"],
        "processing_time_ms": None if seconds is None else round(seconds * 1000),
        "error": _error(data),
        "payload": data.get("payload"),
        "metadata": {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in data.items()
            if not (value is None or (of_job and key in _OWN_FIELDS) or isinstance(value, dict | list))
        },
    }


def _uuid(event_id: str) -> str:
    """The id of an event: a UUID for receivers that are written in Rust, and the same one each time."""
    try:
        return str(UUID(event_id))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, event_id))


def _error(data: Mapping[str, Any]) -> dict[str, Any] | None:
    error = data.get("error")
    if error is None:
        return None
    attempts = data.get("attempts")
    return {
        "message": error if isinstance(error, str) else json.dumps(error),
        "error_type": None,
        "details": None,
        "retry_attempt": attempts if isinstance(attempts, int) else None,
    }


def encoded(value: Any) -> bytes:
    """Returns compact JSON in UTF-8. What JSON or UTF-8 cannot hold, such as NaN, is null or a question mark."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not isfinite(value) else value
