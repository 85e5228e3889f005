"""The attributes of a claimed job, each read from its row."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hammerwork_cli.core.codecs import unreadable
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.payloads import CONFIG_KEY, without_own_keys
from hammerwork_cli.core.values import JobPriority, id_list, status_of, timestamp
from hammerwork_cli.runtime.api.retry import RetryStrategy

if TYPE_CHECKING:
    from hammerwork_cli.features.worker.queries.claim import Claimed


def _seconds(stored: int | None) -> timedelta | None:
    try:
        return None if stored is None else timedelta(seconds=stored)
    except (TypeError, ValueError, OverflowError):
        return None  # too long, or not a number: ignore it


def _timeout(stored: int | None) -> timedelta | None:
    found = _seconds(stored)
    return found if found is not None and found > timedelta(0) else None


def _payload(text: Any) -> Any:
    if text is None:
        return None
    if not isinstance(text, str):
        from hammerwork_cli.runtime.api.decryption import unreadable

        raise unreadable(text)
    return json.loads(text)


def _stored_payload(row: "Claimed") -> Any:
    value = _payload(row.payload)
    if error := unreadable(value):
        raise getattr(row, "payload_error", None) or error
    return value


def _stored_config(row: "Claimed") -> object:
    text = row.payload
    if text is None or (isinstance(text, str) and CONFIG_KEY not in text):
        return None  # quick, for most jobs have none
    payload = _stored_payload(row)
    return payload.get(CONFIG_KEY) if isinstance(payload, dict) else None


def _result(row: "Claimed") -> Any:
    if error := getattr(row, "result_error", None):  # see stored_jobs.UnreadJob
        raise error
    return None


READERS: dict[str, Callable[["Claimed"], Any]] = {
    "payload": lambda row: without_own_keys(_stored_payload(row)),
    "_stored_payload": _stored_payload,
    "_stored_config": _stored_config,
    "spawn_config": lambda row: SpawnConfig._parse(_stored_config(row)),
    "priority": lambda row: JobPriority(row.priority) if row.priority in range(5) else JobPriority.NORMAL,
    "timeout": lambda row: _timeout(row.timeout_seconds),
    "delay": lambda _: None,
    "scheduled_at": lambda row: timestamp(row.scheduled_at),
    "dependencies": lambda row: id_list(row.depends_on),
    "retry_strategy": lambda row: RetryStrategy._parse(row.retry_strategy),
    "cron_schedule": lambda row: row.cron_schedule if row.recurring else None,
    "result_ttl": lambda row: _seconds(row.result_ttl_seconds),
    "result_max_size": lambda row: row.result_max_size_bytes,
    "status": lambda row: status_of(row.status),
    "created_at": lambda row: timestamp(row.created_at),
    "started_at": lambda row: timestamp(row.started_at),
    "error": lambda _: None,
    "callbacks": lambda _: (),
    "unique": lambda _: None,
    "created": lambda _: None,
    "result": _result,
    "_own_id": lambda _: "",
    "_join": lambda _: None,
}
"""Attribute of a job -> its value in the row of a claimed one, if that is not the column of the same name."""
