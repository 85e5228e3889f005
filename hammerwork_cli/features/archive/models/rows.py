"""A job as a row of the archive, and the way back."""

import gzip
import json
import zlib
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.core.input import strategies
from hammerwork_cli.core.input.limits import LONGEST_ARCHIVER
from hammerwork_cli.core.values import WEIGHTS, JobPriority, JobStatus, priority_word, timestamp
from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.features.archive.models.policies import COMPRESSION_LEVEL
from hammerwork_cli.features.backup.models.tables import CLAIM, DEFAULTS, TABLES, OtherColumns, Record, exactly

LARGEST_PAYLOAD = 1 << 28
_SHARED = TABLES["jobs"].columns.keys() & TABLES["archive"].columns.keys()
_OWN = {"payload", "priority", "retry_strategy"}
"""Columns of both tables that hold a value in different forms."""
_PRIORITIES = {"bg": "background", "l": "low", "n": "normal", "default": "normal", "h": "high", "crit": "critical"}
"""Short words for priorities that hammerwork (Rust) reads, too."""
_STATES = ("none", "waiting", "satisfied", "failed")


_OF_RUNS = (
    "started_at",
    "run_started_at",
    "completed_at",
    "failed_at",
    "timed_out_at",
    "error_message",
    "result_data",
    "result_stored_at",
    "result_expires_at",
    "claim_losses",
    "releases",
)
"""Columns that a job gets while it runs."""
OF_THE_ARCHIVE = ("archived_at", "archival_reason", "archival_policy_applied")


class ArchivalReason(StrEnum):
    """Why jobs were archived."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    COMPLIANCE = "compliance"
    MAINTENANCE = "maintenance"


class Archival(NamedTuple):
    at: datetime  # the server's time
    reason: ArchivalReason
    by: str  # who archives them
    level: int | None = COMPRESSION_LEVEL  # of gzip, 1 to 9; `None` stores payloads as they are

    def archived(self, job: Record, others: Record, longest_strategy: int | None) -> Record:
        """The values of the archive's row for a job that :func:`tables.values` has read.

        A job that hammerwork (Rust) has copied to the archive keeps the time and the reason of that.

        Args:
            job: the job, with the values of columns that this version does not know and the archive has too.
            others: as in a file, the other values of columns that this version does not know, ``None`` too: a column
                that came later has its default when the job is restored.
            longest_strategy: characters of a retry strategy that hammerwork (Rust) can read in the archive.
        """
        # Half a surrogate pair, which SQLite takes, becomes the escape that JSON has for it.
        text = str(job["payload"]).encode(errors="backslashreplace")
        packed = text if self.level is None else gzip.compress(text, self.level, mtime=0)
        smaller = len(packed) < len(text)
        marked = job["archived_at"] is not None
        found = dict.fromkeys(TABLES["archive"].columns) | {name: job[name] for name in _SHARED - _OWN}
        found |= {name: value for name, value in job.items() if name not in TABLES["jobs"].columns}
        return found | {
            "payload": packed if smaller else text,
            "payload_compressed": smaller,
            "original_payload_size": len(text),
            "priority": priority_word(job["priority"]),
            "priority_weight": WEIGHTS.get(job["priority"], WEIGHTS[JobPriority.NORMAL]),
            "retry_strategy": _shared_strategy(job["retry_strategy"], longest_strategy),
            "own_retry_strategy": job["retry_strategy"],
            "other_columns": json.dumps(others, ensure_ascii=False) if others else None,
            "result": job["result_data"],
            "result_ttl": job["result_expires_at"],
            "result_config": _result_config(job),
            "archived_at": job["archived_at"] if marked else self.at,
            # Hammerwork (Rust) writes a capital letter.
            "archival_reason": (marked and job["archival_reason"]) or self.reason.capitalize(),
            "archived_by": ((marked and job["archival_policy_applied"]) or self.by)[:LONGEST_ARCHIVER],
            "original_table": TABLES["jobs"].name,
        }


def _result_config(job: Record) -> str | None:
    kind, ttl = job["result_storage_type"], job["result_ttl_seconds"]
    if kind is None:
        return None
    lasting = None if ttl is None else {"secs": ttl, "nanos": 0}
    return json.dumps(
        {"storage": kind.capitalize(), "ttl": lasting, "max_size_bytes": job["result_max_size_bytes"]},
        separators=(",", ":"),
    )


def _strategy(stored: str | None) -> dict[str, Any] | None:
    """A retry strategy that both programs can read."""
    return json.loads(stored) if stored is not None and strategies.is_readable(stored) else None


def _shared_strategy(stored: str | None, longest: int | None) -> str | None:
    strategy = _strategy(stored)
    if strategy is None:
        return None
    text = json.dumps(strategy, separators=(",", ":"))
    return text if longest is None or len(text) <= longest else None


def restored(row: Record, others: OtherColumns, without: Collection[str] = ()) -> Record | None:
    """The values of the job for a row of the archive, with the status in which it was archived.

    Returns ``None`` if its payload cannot be read.

    Args:
        others: the columns of the job table that this version does not know.
    """
    payload = _unpacked(row["payload"])
    if payload is None:
        return None
    word = str(row["priority"]).lower()
    word = priority_word(_PRIORITIES.get(word, word))
    theirs = _strategy(row["retry_strategy"])
    found = dict.fromkeys(TABLES["jobs"].columns) | DEFAULTS["jobs"]
    found |= {name: row[name] for name in _SHARED - _OWN if row[name] is not None}
    return found | {
        "payload": payload,
        "priority": JobPriority[word.upper()].value,
        "retry_strategy": row["own_retry_strategy"] or (row["retry_strategy"] if theirs else None),
        "result_data": row["result"],
        "result_expires_at": row["result_ttl"],
        "depends_on": row["depends_on"] or (),
        "dependents": (),
        "dependency_status": row["dependency_status"] if row["dependency_status"] in _STATES else "none",
        **_result_settings(row["result_config"]),
        **dict.fromkeys(OF_THE_ARCHIVE),
        **_others_of(row, others, without),
    }


def _others_of(row: Record, others: OtherColumns, without: Collection[str]) -> Record:
    try:
        stored = json.loads(row["other_columns"] or "{}")
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise RefusedValueError(f"The column other_columns of the archived job {row['id']} is damaged.")
    direct = {name: value for name, value in row.items() if name not in TABLES["archive"].columns}
    for name, value in sorted({**direct, **stored}.items()):
        if value is not None and name not in others and name not in without:
            raise RefusedValueError(
                f"The archived job {row['id']} has a value for the column {name!r:.60}, which hammerwork_jobs lacks.",
                hint=f"To leave it out: --without-column {name}",
            )
    found = {name: value for name, value in direct.items() if name in others}
    return found | {name: exactly(others[name].kind, name, stored) for name in stored if name in others}


def _unpacked(packed: bytes) -> str | None:
    """The whole text of a payload; ``None`` if it is damaged, or too large for any database."""
    try:
        if packed[:2] == b"\x1f\x8b":
            unpacking = zlib.decompressobj(wbits=31)
            packed = unpacking.decompress(packed, LARGEST_PAYLOAD)
            if not unpacking.eof:
                return None
        text = packed.decode()
        json.loads(text)
    except (ValueError, zlib.error, RecursionError):
        return None
    return text


def _result_settings(stored: str | None) -> Record:
    try:
        config: Any = json.loads(stored or "{}")
    except (ValueError, RecursionError):
        config = {}
    config = config if isinstance(config, Mapping) else {}
    kind, ttl, size = config.get("storage"), config.get("ttl"), config.get("max_size_bytes")
    seconds = ttl.get("secs") if isinstance(ttl, Mapping) else None
    return {
        "result_storage_type": kind.lower() if kind in ("Database", "Memory", "None") else None,
        "result_ttl_seconds": seconds if type(seconds) is int else None,
        "result_max_size_bytes": size if type(size) is int else None,
    }


def to_run_again(job: Record, now: datetime, state: str) -> Record:
    """The job as if just enqueued, with a ``dependency_status``; one that has not started keeps its due time."""
    due = now if job["started_at"] else max(now, timestamp(job["scheduled_at"]) or now)
    return (
        job
        | dict.fromkeys((*_OF_RUNS, *OF_THE_ARCHIVE, *CLAIM))
        | {
            "status": JobStatus.PENDING.value,
            "attempts": 0,
            "scheduled_at": due,
            "dependency_status": state,
            "next_run_at": due if job["recurring"] else job["next_run_at"],
        }
    )
