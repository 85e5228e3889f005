"""How version 3 decodes the row of a job: an undecodable column is an error of the whole row (sections 6 and 9.10).

The types are those of 1.15.5 and of section 2. Section 9.10: without a dependency status, a job is never claimed.
"""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from hammerwork_cli.core import cron
from hammerwork_cli.core.values import id_list, timestamp
from hammerwork_cli.database import Database

SMALL, LARGE, UNSIGNED = 1 << 31, 1 << 63, 1 << 64
STATUSES = ("Pending", "Running", "Completed", "Failed", "Dead", "TimedOut", "Retrying", "Archived")
DEPENDENCIES = ("none", "waiting", "satisfied", "failed")
ALGORITHMS = ("AES256GCM", "ChaCha20Poly1305")

Decode = Callable[[Any], bool]


def or_null(decode: Decode) -> Decode:
    return lambda value: value is None or decode(value)


def text(longest: int | None = None) -> Decode:
    return lambda value: isinstance(value, str) and (longest is None or len(value) <= longest)


def one_of(*words: str) -> Decode:
    return lambda value: value in words


def number(least: int, end: int) -> Decode:
    return lambda value: type(value) is int and least <= value < end


def flag(value: Any) -> bool:
    return value in (0, 1)


def time(value: Any) -> bool:
    return timestamp(value) is not None


def uuid(value: Any) -> bool:
    return str(UUID(str(value))) == str(value)


def ids(value: Any) -> bool:
    """Never NULL, which a plain vector is not."""
    return value is not None and all(map(uuid, id_list(value)))


def parsed(value: Any) -> Any:
    """JSON, which drivers deliver as text or as a value."""
    return json.loads(value) if isinstance(value, (str, bytes)) else value


def any_json(value: Any) -> bool:
    return value is not None and (parsed(value), True)[1]


def strategy(value: Any) -> bool:
    """Section 6: an object with ``type``; numbers of milliseconds are unsigned; max_delay_ms may be absent or null."""
    found = parsed(value)
    count, factor = number(0, UNSIGNED), lambda given: isinstance(given, (int, float)) and not isinstance(given, bool)
    limit = or_null(count)(found.get("max_delay_ms"))
    base = found["type"] == "Fixed" or count(found["base_ms"])
    jitter = found.get("jitter") if found["type"] == "Exponential" else None
    if jitter is not None:
        known = {"Additive": lambda: count(jitter["duration_ms"]), "Multiplicative": lambda: factor(jitter["factor"])}
        limit = limit and known[jitter["type"]]()
    own = {
        "Fixed": lambda: count(found["duration_ms"]),
        "Linear": lambda: count(found["increment_ms"]),
        "Exponential": lambda: factor(found["multiplier"]),
        "Fibonacci": lambda: True,
    }
    return bool(limit and base and own[found["type"]]())


def schedule(value: Any) -> bool:
    return len(value) <= 100 and cron.parse(value, None) is not None


COLUMNS: dict[str, Decode] = {
    "id": uuid,
    "queue_name": text(255),
    "payload": any_json,
    "status": one_of(*STATUSES),
    "priority": number(0, 5),
    "attempts": number(0, SMALL),
    "max_attempts": number(1, SMALL),
    "timeout_seconds": or_null(number(0, SMALL)),
    "created_at": time,
    "scheduled_at": time,
    **dict.fromkeys(("started_at", "completed_at", "failed_at", "timed_out_at"), or_null(time)),
    **dict.fromkeys(("next_run_at", "archived_at", "result_stored_at", "result_expires_at"), or_null(time)),
    **dict.fromkeys(("last_heartbeat_at", "lease_expires_at", "retention_delete_at", "encrypted_at"), or_null(time)),
    "error_message": or_null(text()),
    "cron_schedule": or_null(schedule),
    "recurring": flag,
    "timezone": or_null(text(50)),
    "batch_id": or_null(uuid),
    "result_data": or_null(any_json),
    "result_storage_type": one_of("none", "memory", "database"),
    "result_ttl_seconds": or_null(number(0, LARGE)),
    "result_max_size_bytes": or_null(number(0, LARGE)),
    "depends_on": ids,
    "dependents": ids,
    "dependency_status": one_of(*DEPENDENCIES),
    "workflow_id": or_null(uuid),
    "workflow_name": or_null(text(255)),
    **dict.fromkeys(("trace_id", "correlation_id", "parent_span_id"), or_null(text(128))),
    "span_context": or_null(text()),
    "archival_reason": or_null(one_of("Automatic", "Manual", "Compliance", "Maintenance")),
    "archival_policy_applied": or_null(text(100)),
    "is_encrypted": flag,
    "encryption_key_id": or_null(text(255)),
    "encryption_algorithm": or_null(one_of(*ALGORITHMS)),
    "encryption_metadata": or_null(any_json),
    "payload_hash": or_null(text(255)),
    "retry_strategy": or_null(strategy),
}


def undecodable(database: Database) -> list[tuple[str, str, Any]]:
    """(queue, column, value) of what version 3 could not decode, of all jobs."""
    stored = database.jobs_columns()
    names = [name for name in COLUMNS if name in stored]
    found = []
    for row in database.query(f"SELECT {', '.join(names)} FROM hammerwork_jobs ORDER BY queue_name, id"):
        values = dict(zip(names, row, strict=True))
        found += [
            (values["queue_name"], name, value) for name, value in values.items() if not _decodes(COLUMNS[name], value)
        ]
    return found


def _decodes(decode: Decode, value: Any) -> bool:
    try:
        return decode(value)
    except Exception:  # noqa: BLE001  whatever a decoder stumbles over
        return False
