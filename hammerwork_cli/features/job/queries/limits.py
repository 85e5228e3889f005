"""Checks a new job against the limits of its database: servers refuse late, unclearly or not at all."""

import re
from datetime import UTC, datetime

from hammerwork_cli.core.input.limits import LONGEST_NAME, LONGEST_TRACE
from hammerwork_cli.database import Database
from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.features.job.models.new_job import NewJob

_FIRST_TIMESTAMP = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
_LAST_TIMESTAMP = datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)
_LAST_UNSIGNED_TIMESTAMP = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
_DEPTHS = {"MariaDB": 31, "MySQL": 100, "PostgreSQL": 127, "SQLite": 127}
"""Levels of nested JSON. PostgreSQL and SQLite accept more, but Rust workers cannot read it (serde_json stops at
128)."""

_FEWEST_LEVELS = min(_DEPTHS.values())

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def check(database: Database, job: NewJob) -> None:
    """Checks whether the database can store a new job. Raises UsageError if the payload lacks a field to encrypt."""
    if not 0 < len(job.queue) <= LONGEST_NAME:
        raise RefusedValueError(f"A queue's name has 1 to {LONGEST_NAME} characters, not {len(job.queue)}.")
    if not job.queue.isascii():
        check_name(database, job.queue)
    if job.trace_id or job.correlation_id or job.parent_span_id:
        _check_trace(job)
    check_json(database, job.payload, "the payload")
    _check_instant(database, job.scheduled_at)
    if job.encryption is not None:
        job.encryption.check(job.payload)
        if (delete_at := job.encryption.delete_at(job.created_at)) is not None:
            _check_instant(database, delete_at)


def _check_trace(job: NewJob) -> None:
    for text, name in (
        (job.trace_id, "trace id"),
        (job.correlation_id, "correlation id"),
        (job.parent_span_id, "parent span id"),
    ):
        if text is not None and len(text) > LONGEST_TRACE:
            raise RefusedValueError(f"A {name} has at most {LONGEST_TRACE} characters, not {len(text)}.")


def check_name(database: Database, name: str) -> None:
    """Checks whether the tables can store the characters of a name."""
    if database.message(name) != name:
        raise RefusedValueError(f"The tables of this database are in {database.charset} and cannot store {name!r}.")


def check_json(database: Database, payload: str, what: str = "it") -> None:
    """Checks whether the database can store a JSON text."""
    # Most payloads have too few brackets to be too deep: do not parse these.
    if payload.count("[") + payload.count("{") > _FEWEST_LEVELS:
        product = database.server.partition(" ")[0]
        limit, depth = _DEPTHS[product], nesting(payload)
        if depth > limit:
            raise RefusedValueError(f"{product} accepts at most {limit} levels of nested JSON; {what} has {depth}.")
    if database.dialect == "postgresql" and "u0000" in payload and _NUL.search(payload):
        raise RefusedValueError(f"PostgreSQL cannot store the character NUL (\\u0000), and {what} has one.")


def nesting(text: str) -> int:
    """The levels of a JSON text: 0 for a number, 1 for ``{}``."""
    depth = deepest = 0
    for sign in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def can_store(database: Database, instant: datetime) -> bool:
    if database.dialect != "mysql":
        return True
    # Each server can store most times: do not parse its version for these.
    return instant >= _FIRST_TIMESTAMP and (instant <= _LAST_TIMESTAMP or instant <= _last_timestamp(database.server))


def _last_timestamp(server: str) -> datetime:
    product, _, version = server.partition(" ")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return _LAST_UNSIGNED_TIMESTAMP if product == "MariaDB" and numbers >= (11, 5) else _LAST_TIMESTAMP


def _check_instant(database: Database, instant: datetime) -> None:
    if not can_store(database, instant):
        server = database.server
        raise RefusedValueError(
            f"{server} stores times from 1970 to {_last_timestamp(server):%Y-%m-%d}, not {instant:%Y-%m-%d}.",
            hint="Choose a time within these.",
        )
