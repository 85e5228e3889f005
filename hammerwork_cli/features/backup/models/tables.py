"""Files of jobs: their tables, the values of their columns, and the header of a file."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from hammerwork_cli.core.input.limits import LARGEST_BIGINT
from hammerwork_cli.core.input.reading import uuid_of
from hammerwork_cli.core.values import JobStatus, id_list, rfc3339, status_of, timestamp
from hammerwork_cli.errors import UsageError

FORMAT, VERSION = "hammerwork-backup", 1
TEXT_OF = "_text"
"""Ends the name of a JSON column whose text is kept as text: it would not survive being parsed, or is large."""
LONGEST_PARSED = 1 << 20
"""Characters of JSON that a record holds as values: they take up to 30 times as much memory as their text."""


class ColumnKind(StrEnum):
    """What a column holds, whatever its type in a database."""

    ID = "id"
    TEXT = "text"
    NUMBER = "number"
    REAL = "real"
    FLAG = "flag"
    TIME = "time"
    JSON = "json"
    IDS = "ids"
    TEXTS = "texts"
    BYTES = "bytes"
    OTHER = "other"
    """A value of a type of one kind of database, as the text that the database writes for it and reads."""


class OtherColumn(NamedTuple):
    """A column that this version does not know: the next version of hammerwork (Rust) may add one to any table."""

    kind: ColumnKind
    type: str = ""  # for `ColumnKind.OTHER`, the kind of database and the type: only such a column takes the text

    def takes(self, other: "OtherColumn") -> bool:
        """Whether this column can hold every value of another one exactly, or tells that it cannot."""
        return self == other or {self.kind, other.kind} == {ColumnKind.ID, ColumnKind.TEXT}  # MySQL has UUIDs as texts


OtherColumns = Mapping[str, OtherColumn]


class Table(NamedTuple):
    name: str  # of the table in a database
    key: tuple[str, ...]  # the columns of its primary key
    columns: Mapping[str, ColumnKind]  # column -> kind
    unique: str | None = None  # another column whose values are unique, if there is one


def _columns(**kinds: str) -> dict[str, ColumnKind]:
    """Kind -> names, as column -> kind."""
    return {name: ColumnKind(kind) for kind, names in kinds.items() for name in names.split()}


_SHARED = {
    "id": "batch_id",
    "text": """queue_name status error_message cron_schedule timezone dependency_status trace_id correlation_id
        parent_span_id span_context archival_reason encryption_key_id encryption_algorithm payload_hash retention_policy
        retry_strategy""",
    "number": "attempts max_attempts timeout_seconds",
    "flag": "recurring is_encrypted",
    "time": """created_at scheduled_at started_at completed_at failed_at timed_out_at next_run_at archived_at
        retention_delete_at encrypted_at run_started_at""",
    "json": "encryption_metadata",
    "ids": "depends_on",
    "texts": "pii_fields",
    "bytes": "encrypted_payload encryption_nonce encryption_tag",
}


def _jobs(**own: str) -> dict[str, ColumnKind]:
    return _columns(**{kind: f"{own.get(kind, '')} {_SHARED.get(kind, '')}" for kind in ColumnKind})


_OF_RECEIVERS = "name events queues priorities disabled_reason updated_by"

TABLES = {
    "workflows": Table(
        "hammerwork_workflows",
        ("id",),
        _columns(
            id="id",
            text="name status failure_policy",
            time="created_at completed_at failed_at",
            number="total_jobs completed_jobs failed_jobs",
            json="metadata",
        ),
    ),
    "batches": Table(
        "hammerwork_batches",
        ("id",),
        _columns(
            id="id",
            text="batch_name status failure_mode error_summary",
            number="total_jobs completed_jobs failed_jobs pending_jobs",
            time="created_at completed_at",
            json="metadata",
        ),
    ),
    "jobs": Table(
        "hammerwork_jobs",
        ("id",),
        _jobs(
            id="id workflow_id claim_token claimed_by",
            text="workflow_name result_storage_type archival_policy_applied ancestry",
            number="priority result_ttl_seconds result_max_size_bytes claim_losses releases",
            time="result_stored_at result_expires_at claimed_at",
            json="payload result_data",
            ids="dependents",
        ),
    ),
    "archive": Table(
        "hammerwork_jobs_archive",
        ("id",),
        _jobs(
            id="id workflow_id",
            text="priority archived_by original_table workflow_name ancestry own_retry_strategy other_columns",
            number="original_payload_size priority_weight claim_losses",
            flag="payload_compressed",
            time="result_ttl result_stored_at",
            json="result result_config",
            bytes="payload",
        ),
    ),
    "unique_keys": Table("hammerwork_unique", ("id",), _columns(id="id job_id", text="queue_name unique_key")),
    "operations": Table(
        "hammerwork_spawn_operations",
        ("id",),
        _columns(
            id="id parent_id root_id worker_id request_id",
            text="occurrence operation_id handler config outcome error_message hook_error",
            number="depth children",
            time="started_at ended_at",
        ),
    ),
    "children": Table(
        "hammerwork_spawned_children",
        ("parent_id", "occurrence", "spawn_key"),
        _columns(id="parent_id child_id root_id", text="occurrence spawn_key", time="spawned_at"),
    ),
    "joins": Table(
        "hammerwork_joins",
        ("job_id",),
        _columns(
            id="job_id parent_id",
            text="scope on_failure",
            number="open_jobs failed_jobs",
            flag="parent_ended",
            time="checked_at",
        ),
    ),
    "requests": Table(
        "hammerwork_spawn_requests",
        ("id",),
        _columns(
            id="id job_id claim_token claimed_by",
            text="queue_name handler config state requested_by error_message",
            number="children",
            time="requested_at ended_at",
        ),
    ),
    "attempts": Table(
        "hammerwork_attempts",
        ("job_id", "started_at"),
        _columns(id="job_id worker_id", text="outcome error_message", number="attempt", time="started_at ended_at"),
    ),
    "roots": Table("hammerwork_spawn_roots", ("root_id",), _columns(id="root_id", number="descendants")),
    "trees": Table(
        "hammerwork_spawn_trees",
        ("root_id", "occurrence"),
        _columns(id="root_id", text="occurrence", number="descendants"),
    ),
    "schedules": Table(
        "hammerwork_schedules",
        ("id",),
        _columns(
            id="id",
            text="""name queue_name payload expression timezone overlap catch_up changed_by reason last_error source
                description declared""",
            number="priority max_attempts timeout_seconds grace_seconds jitter_seconds revision",
            flag="enabled",
            time="starts_at ends_at next_run_at created_at updated_at",
        ),
        unique="name",
    ),
    "runs": Table(
        "hammerwork_schedule_runs",
        ("schedule_id", "due_at"),
        _columns(
            id="schedule_id job_id",
            text="kind outcome reason",
            number="missed",
            flag="tree_ended",
            time="due_at created_at missed_from",
        ),
    ),
    "callbacks": Table(
        "hammerwork_watches",
        ("id",),
        _columns(id="id subject_id", text="subject event job state", time="check_at ended_at created_at changed_at"),
    ),
    "policies": Table(
        "hammerwork_retention",
        ("queue_name",),
        _columns(
            text="queue_name action updated_by last_error",
            number="""completed_seconds failed_seconds dead_seconds timed_out_seconds archive_seconds compression_level
                last_jobs""",
            flag="by_tree enabled",
            time="updated_at last_run_at",
        ),
    ),
    "pauses": Table(
        "hammerwork_queue_pause",
        ("queue_name",),
        _columns(text="queue_name paused_by reason", time="paused_at created_at updated_at"),
    ),
    "limits": Table(
        "hammerwork_queue_limits",
        ("queue_name",),
        _columns(text="queue_name per_key changed_by", number="concurrency rate period_ms claims", time="changed_at"),
    ),
    "webhooks": Table(
        "hammerwork_webhooks",
        ("id",),
        _columns(
            id="id",
            text=f"{_OF_RECEIVERS} url method headers auth secret old_secret body template last_answer",
            number="timeout_seconds max_retries delivered failed",
            flag="include_payload allow_private insecure enabled",
            time="old_until enabled_at failing_since last_success_at last_failure_at created_at updated_at",
        ),
        unique="name",
    ),
    "streams": Table(
        "hammerwork_streams",
        ("id",),
        _columns(
            id="id",
            text=f"{_OF_RECEIVERS} backend target partitioning format last_error",
            number="buffer_size max_backlog sent failed dropped",
            real="buffer_seconds",
            flag="include_payload enabled",
            time="enabled_at failing_since last_sent_at created_at updated_at",
        ),
        unique="name",
    ),
}
"""The tables of a file or a copy by their words, in the order in which they are written."""
ONLY_COPIED = frozenset({"webhooks", "streams"})
"""Words of the tables with secrets, which a copy takes along, and which no file of a user has."""
NOT_IN_FILES = frozenset(
    f"hammerwork_{name}"
    for name in (
        *("migrations", "workers", "progress", "duties", "limit_starts", "encryption_keys", "key_audit_log"),
        *("kms_data_keys", "stream_events"),
    )
)
"""Tables that belong to one database, or to the keeper of its keys and of other secrets."""
OF_A_JOB = {
    "operations": "parent_id",
    "children": "parent_id",
    "joins": "job_id",
    "requests": "job_id",
    "attempts": "job_id",
    "roots": "root_id",
    "trees": "root_id",
}
"""Tables of records of jobs -> the column with the job."""
OF_A_COPY = OF_A_JOB | {"unique_keys": "job_id"}
"""The same of a job that is copied. One that is imported holds no key: in its new place, another job may hold it."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "jobs": {
        "attempts": 0,
        "max_attempts": 3,
        "priority": 2,
        "recurring": False,
        "is_encrypted": False,
        # Hammerwork (Rust) never claims a job without a dependency status, nor reads one without lists on PostgreSQL.
        "dependency_status": "none",
        "depends_on": (),
        "dependents": (),
    },
    "archive": {
        "attempts": 0,
        "max_attempts": 3,
        "priority": "Normal",
        "payload_compressed": True,
        "recurring": False,
        "is_encrypted": False,
        "archival_reason": "Automatic",
        "original_table": "hammerwork_jobs",
    },
}
"""Columns that are never NULL, and that an older database may lack: their values in a record without them."""

LEASES = {"jobs": frozenset({"last_heartbeat_at", "lease_expires_at"})}
"""Columns that no file has: a lease is that of a living worker, and holds a job back from all others."""

CLAIM = ("claim_token", "claimed_by", "claimed_at")
"""Columns with the claim of a worker, which would keep the lease of a copy of its job, too, for as long as it lives."""

GENERATED = frozenset({"first_parent", "parent_count", "has_spawn_config", "claimable"})
"""Columns that MySQL calculates from others, for indexes."""

Record = dict[str, Any]
NO_OTHERS: OtherColumns = {}


# Columns of other versions.

_TYPES = {
    "postgresql": {
        ColumnKind.ID: "uuid",
        ColumnKind.TEXT: r"text|(character varying|character)(\(\d+\))?",
        ColumnKind.NUMBER: "smallint|integer|bigint",
        ColumnKind.FLAG: "boolean",
        ColumnKind.TIME: r"timestamp(\(\d\))? with time zone",
        ColumnKind.JSON: "jsonb?",
        ColumnKind.IDS: r"uuid\[\]",
        ColumnKind.TEXTS: r"(text|character varying(\(\d+\))?)\[\]",
        ColumnKind.BYTES: "bytea",
        ColumnKind.OTHER: ".*",
    },
    "mysql": {
        ColumnKind.TEXT: r"(var)?char\(\d+\)|(tiny|medium|long)?text",
        ColumnKind.FLAG: r"tinyint\(1\)",
        ColumnKind.NUMBER: r"(tiny|small|medium|big)?int(\(\d+\))?( unsigned)?",
        ColumnKind.TIME: r"(datetime|timestamp)(\(\d\))?",
        ColumnKind.JSON: "json",
        ColumnKind.BYTES: r"(var)?binary\(\d+\)|(tiny|medium|long)?blob",
        ColumnKind.OTHER: r"(decimal|double|float|enum|set|time|year)\b.*|date|inet[46]|uuid",
    },
    "sqlite": {
        ColumnKind.TEXT: "text",
        ColumnKind.NUMBER: "integer",
        ColumnKind.BYTES: "blob",
        ColumnKind.OTHER: "real",
    },
}
"""Kind of database -> kind -> its types, as a regular expression."""


def other_column(dialect: str, name: str, stored_type: str) -> OtherColumn | None:
    """A column by its type in a database; ``None`` if no file can carry its values."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return None
    for kind, types in _TYPES[dialect].items():
        if re.fullmatch(types, stored_type, re.IGNORECASE):
            return OtherColumn(kind, f"{dialect} {stored_type}" if kind is ColumnKind.OTHER else "")
    return None


def described(columns: OtherColumns) -> dict[str, Any]:
    """Other columns in the header of a file."""
    return {name: {key: value for key, value in one._asdict().items() if value} for name, one in columns.items()}


def other_columns(header: Mapping[str, Any]) -> dict[str, dict[str, OtherColumn]]:
    """Word of a table -> the columns that the header of a file describes, and that this version does not know."""
    try:
        return {
            word: {name: one for name, one in map(_described, columns.items()) if _is_other(word, name, one)}
            for word, columns in header.get("columns", {}).items()
            if TABLES[word]
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def _described(entry: tuple[str, Any]) -> tuple[str, OtherColumn]:
    name, one = entry
    return name, OtherColumn(ColumnKind(one["kind"]), str(one.get("type", "")))


def _is_other(word: str, name: str, column: OtherColumn) -> bool:
    """Whether this version, which may be later than that of the file, does not know the column."""
    known = TABLES[word].columns.get(name)
    return known is None or not OtherColumn(known).takes(column)


def unclaimed(job: Record) -> Record:
    """The values of a job that arrives in a database: no worker has it there, even if it is Running."""
    return job | dict.fromkeys(CLAIM) if status_of(job["status"]) == JobStatus.RUNNING else job


def given_back(request: Record) -> Record:
    """The values of a spawn request that arrives: a worker that ran it does not go on here, so another one takes it."""
    unclaimed_request = {"state": "pending", "claim_token": None, "claimed_by": None}
    return request | unclaimed_request if request["state"] == "running" else request


# From a database into a file.


def written(kind: ColumnKind, name: str, stored: Any) -> Record:
    """The column of a row as it stands in a file: one name with its value, none for NULL."""
    if stored is None:
        return {}
    if kind is ColumnKind.JSON:
        return _json_written(name, _text(stored))
    return {name: _written(kind, stored)}


def other_written(kind: ColumnKind, name: str, stored: Any) -> Record:
    """The same of a column that this version does not know. JSON stays the text that it is."""
    return written(ColumnKind.TEXT if kind is ColumnKind.JSON else kind, name, stored)


def _written(kind: ColumnKind, stored: Any) -> Any:
    if kind is ColumnKind.TIME:
        return rfc3339(stored) or str(stored)
    if kind is ColumnKind.FLAG:
        return bool(stored)
    if kind is ColumnKind.REAL:
        return float(stored)
    if kind is ColumnKind.NUMBER:
        return stored if isinstance(stored, int) else _text(stored)
    if kind is ColumnKind.IDS:
        return list(id_list(stored))
    if kind is ColumnKind.TEXTS:
        return list(stored) if isinstance(stored, (list, tuple)) else json.loads(_text(stored))
    if kind is ColumnKind.BYTES:
        return base64.b64encode(stored.encode() if isinstance(stored, str) else bytes(stored)).decode()
    return _text(stored)


def _text(stored: Any) -> str:
    return stored.decode("utf-8", "backslashreplace") if isinstance(stored, (bytes, bytearray)) else str(stored)


def _json_written(name: str, text: str) -> Record:
    exact = len(text) <= LONGEST_PARSED

    def number(digits: str) -> float:
        nonlocal exact
        value = float(digits)
        # Other values of a number would be another payload: PostgreSQL and SQLite keep every digit.
        exact = exact and value - value == 0 and Decimal(repr(value)) == Decimal(digits)
        return value

    def constant(word: str) -> None:
        raise ValueError(word)  # NaN and infinities, which SQLite keeps in a text, are no JSON

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal exact
        found = dict(members)
        exact = exact and len(found) == len(members)  # a text may have a key twice
        return found

    value = None
    try:
        if exact:
            value = json.loads(text, parse_float=number, parse_constant=constant, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        exact = False
    return {name: value} if exact else {f"{name}{TEXT_OF}": text}


# From a file into a database.


def read(kind: ColumnKind, name: str, record: Mapping[str, Any]) -> Any:
    """The value of a column in a record: a text, number, flag, aware ``datetime``, tuple of ids or texts, or bytes."""
    if kind is ColumnKind.JSON:
        return _json_read(name, record)
    value = record.get(name)
    if value is None:
        return None
    try:
        found = _READERS[kind](value)
    except (ValueError, TypeError, OverflowError, binascii.Error):
        found = None
    if found is None:
        raise UsageError(f"{name} is not a value of the kind {kind}: {value!r:.60}.")
    return found


def exactly(kind: ColumnKind, name: str, record: Mapping[str, Any]) -> Any:
    """The value of a column that this version does not know, as :func:`read` makes it; the text of JSON."""
    found = read(ColumnKind.TEXT if kind is ColumnKind.JSON else kind, name, record)
    again = other_written(kind, name, list(found) if isinstance(found, tuple) else found)
    if again.get(name) != record.get(name):
        raise UsageError(f"{name} is not exactly a value of the kind {kind}.")
    return found


def _json_read(name: str, record: Mapping[str, Any]) -> str | None:
    text = record.get(f"{name}{TEXT_OF}")
    if text is not None:
        if not isinstance(text, str):
            raise UsageError(f"{name}{TEXT_OF} is not text.")
        return text
    if record.get(name) is None and name not in record:
        return None
    try:
        return _ENCODER.encode(record[name])
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} cannot be stored as JSON: {error}.") from error


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _number(value: Any) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_BIGINT
    return value if fits else None


def _when(kind: type, made: Callable[[Any], Any] = lambda value: value) -> Callable[[Any], Any]:
    return lambda value: made(value) if isinstance(value, kind) else None


def _each(read_one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def all_of(value: Any) -> tuple[Any, ...] | None:
        found = [*map(read_one, value)] if isinstance(value, list) else [None]
        return None if None in found else tuple(found)

    return all_of


_READERS = {
    ColumnKind.ID: _when(str, uuid_of),
    ColumnKind.TEXT: _when(str),
    ColumnKind.NUMBER: _number,
    ColumnKind.REAL: _when(float),
    ColumnKind.FLAG: _when(bool),
    ColumnKind.TIME: _when(str, timestamp),
    ColumnKind.IDS: _each(_when(str, uuid_of)),
    ColumnKind.TEXTS: _each(_when(str)),
    ColumnKind.BYTES: _when(str, partial(base64.b64decode, validate=True)),
    ColumnKind.OTHER: _when(str),
}


def values(word: str, record: Mapping[str, Any], others: OtherColumns = NO_OTHERS) -> Record:
    """The values of a record by column, as :func:`read` makes them.

    Columns that the record lacks have a default, or are ``None``.
    """
    table = TABLES[word]
    json_texts = {f"{name}{TEXT_OF}" for name, kind in table.columns.items() if kind is ColumnKind.JSON}
    unknown = sorted(record.keys() - table.columns.keys() - json_texts - others.keys())
    if unknown:
        raise UsageError(f"{word} has no column {unknown[0]!r:.60}.")
    found = {name: read(kind, name, record) for name, kind in table.columns.items()}
    found |= {name: exactly(other.kind, name, record) for name, other in others.items()}
    found |= {name: value for name, value in DEFAULTS.get(word, {}).items() if found[name] is None}
    missing = [name for name in table.key if found[name] is None]
    if missing:
        raise UsageError(f"A record of {word} has no {missing[0]}.")
    return found
