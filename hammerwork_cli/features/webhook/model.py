"""Webhooks as they are stored."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from hammerwork_cli.core.values import Timestamp, status_of, timestamp
from hammerwork_cli.features.event.model import EventType

NOT_SENT = "Nothing was sent. "
"""Begins the error of a delivery whose request could not be made: a variable is not set, for example."""
_ANSWER_LINE = re.compile(r"([1-5][0-9]{2})(?: (.*))?", re.DOTALL)
METHODS = ("POST", "PUT", "PATCH")
LONGEST_ANSWER = 1000
"""Characters of an answer that are kept."""


class WebhookBody(StrEnum):
    """What a request holds."""

    STANDARD = "standard"
    """``{"type", "timestamp", "data"}``, as Standard Webhooks recommends."""
    CLOUDEVENTS = "cloudevents"
    """CloudEvents 1.0, structured."""
    ORIGINAL = "original"
    """The fields and the signature of version 3 of hammerwork (Rust)."""


class Webhook(NamedTuple):
    """A webhook: its columns."""

    id: str
    name: str
    url: str
    method: str = "POST"  # one of `METHODS`
    events: tuple[EventType, ...] = ()
    queues: tuple[str, ...] = ()  # empty: events of all queues
    priorities: tuple[str, ...] = ()  # words; empty: events of all priorities
    headers: Mapping[str, str] = {}  # further headers; a value may be `env:NAME`
    # How it proves to the receiver who it is: `{"bearer": TOKEN}`, `{"basic": "USER:PASSWORD"}` or
    # `{"header": NAME, "key": KEY}`; a secret may be `env:NAME`.
    auth: Mapping[str, str] = {}
    secret: str | None = None  # `whsec_...`, any other text, or `env:NAME`; `None`: requests are not signed
    old_secret: str | None = None  # signs too, until `old_until`
    old_until: Timestamp = None
    body: WebhookBody = WebhookBody.STANDARD
    template: str | None = None  # JSON text whose strings hold `{{event.path}}`, instead of a body
    include_payload: bool = False
    allow_private: bool = False  # may reach loopback, private, link-local and multicast addresses
    insecure: bool = False  # may use http: beyond loopback
    timeout_seconds: int = 30
    max_retries: int = 8
    enabled: bool = True
    disabled_reason: str | None = None
    enabled_at: Timestamp = None  # events before it are not delivered
    delivered: int = 0
    failed: int = 0  # deliveries that were given up
    failing_since: Timestamp = None  # the first failed attempt since the last success
    last_success_at: Timestamp = None
    last_failure_at: Timestamp = None
    last_answer: str | None = None  # status and beginning of the last answer, or the error
    created_at: Timestamp = None
    updated_at: Timestamp = None
    updated_by: str | None = None

    @property
    def cannot_send(self) -> bool:
        """Whether its last request could not even be made: that does not pass by itself."""
        return self.failing_since is not None and (self.last_answer or "").startswith(NOT_SENT)

    @property
    def old_secret_until(self) -> datetime | None:
        """Until when the old secret signs, too; ``None`` if there is none, or a request has room for one signature."""
        return None if self.old_secret is None or self.body is WebhookBody.ORIGINAL else timestamp(self.old_until)

    def signs_twice(self, now: datetime) -> bool:
        """Whether the old secret signs, too."""
        return self.secret is not None and self.old_secret_until is not None and now < self.old_secret_until

    def __repr__(self) -> str:
        """Shows no secret: tracebacks and logs have it."""
        return f"Webhook(id={self.id!r}, name={self.name!r})"


class Delivery(NamedTuple):
    """The delivery of an event to a webhook: a job."""

    job_id: str
    status: str
    attempts: int
    max_attempts: int
    created_at: Timestamp
    answered_at: Timestamp  # the end of the last attempt; `None` before the first one
    due_at: Timestamp  # when it is tried next, if it is
    event: Mapping[str, Any]  # empty if the payload cannot be read
    http_status: int | None  # of the last answer
    answer: str | None  # beginning of the last answer, or why there is none
    webhook_id: str | None
    webhook: str | None  # its name, which may have changed since

    @classmethod
    def of(
        cls,
        job: Any,
        status: str,
        attempts: int,
        max_attempts: int,
        created_at: Timestamp,
        answered_at: Timestamp,
        due_at: Timestamp,
        payload: Any,
        result: Any,
        error: str | None,
    ) -> Self:
        """Reads the row of a job."""
        told, stored = _object(payload), _object(result)
        event = told.get("event")
        code, said = stored.get("status"), stored.get("answer")
        if said is None and error is not None:
            code, said = _answered(error)
        return cls(
            str(job),
            status_of(status),
            attempts,
            max_attempts,
            created_at,
            answered_at if attempts else None,
            due_at,
            event if isinstance(event, dict) else {},
            code if isinstance(code, int) else None,
            None if said is None else str(said),
            *(found if isinstance(found := told.get(name), str) else None for name in ("webhook", "name")),
        )

    @property
    def event_type(self) -> str | None:
        found = self.event.get("type")
        return found if found in set(EventType) else None


def is_accepted(status: int | None) -> bool:
    """Whether a receiver has taken a request, by the status of its answer."""
    return status is not None and 200 <= status < 300


def answer_line(status: int | None, text: str) -> str:
    """An answer as the error of a delivery; without a status, why there is none."""
    return text if status is None else f"{status} {text}".strip()


def _answered(error: str) -> tuple[int | None, str]:
    """Status and text of an answer, from the error of a delivery."""
    found = _ANSWER_LINE.fullmatch(error)
    return (int(found[1]), found[2] or "") if found else (None, error)


def _object(stored: Any) -> dict[str, Any]:
    try:
        found = json.loads(stored) if isinstance(stored, (str, bytes)) else stored
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
