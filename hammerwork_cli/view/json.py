"""JSON: records with stable keys, and fast pieces for trees of 100,000 jobs.

Characters outside ASCII are escaped, so that data cannot control a terminal. Times are RFC 3339 in UTC, ids are full,
durations are seconds, and rates are from 0 to 1.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from hammerwork_cli.core.values import Counts, Timestamp, rfc3339

Record = dict[str, Any]

SCHEMA_VERSION = 1
WORKER_STATES = ("running", "stopping", "stopped", "silent", "stalled", "lost")
WORKER_REQUESTS = ("stop", "restart")
UNKNOWN = "unknown"


def document(value: object, *, pretty: bool = False) -> str:
    """Writes a JSON document without a line end: compact, or indented for people."""
    encode = _PRETTY.encode if pretty else _COMPACT.encode
    try:
        return encode(value)
    except (ValueError, RecursionError):
        # The encoders refuse infinity (a stored 1e999), and overflow on deeply nested values.
        return "".join(_pieces(value, pretty=pretty))


def lines(records: Iterable[object]) -> Iterator[str]:
    """Writes one compact document for each record, without line ends."""
    return map(document, records)


def array(records: Iterable[object]) -> Iterator[str]:
    """Writes a compact array piece by piece; nothing before its first record is there."""
    before = "["
    for record in records:
        yield before + document(record)
        before = ","
    yield "[]\n" if before == "[" else "]\n"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Counts):
        return value.by_status
    return str(value)


_COMPACT = json.JSONEncoder(separators=(",", ":"), default=_plain, allow_nan=False)
_PRETTY = json.JSONEncoder(indent=2, default=_plain, allow_nan=False)
_PLAIN_TYPES = (str, int, float, dict, list, tuple, type(None))
_DEEPEST_INDENT = 100
"""Levels of indentation; 10,000 indented levels would take 100 MB."""


def _pieces(value: object, *, pretty: bool) -> Iterator[str]:
    """Writes a document like the encoders, but at any depth and with infinite numbers as text."""
    colon = ": " if pretty else ":"
    # The open objects and arrays: the members that are left, each after its key, and the closing bracket.
    stack: list[tuple[Iterator[tuple[str, object]], str]] = [(iter([("", value)]), "")]
    separator = ""
    while stack:
        members, bracket = stack[-1]
        found = next(members, None)
        if found is None:
            stack.pop()
            yield _line(len(stack), pretty) + bracket if stack else ""
        else:
            key, member = found
            member = member if isinstance(member, _PLAIN_TYPES) else _plain(member)
            yield separator + key
            if inner := _members(member, colon):
                opening, bracket = "{}" if isinstance(member, dict) else "[]"
                stack.append((iter(inner), bracket))
                yield opening
                separator = _line(len(stack), pretty)
                continue
            yield _COMPACT.encode(str(member) if _is_infinite(member) else member)
        separator = "," + _line(len(stack), pretty)


def _members(value: object, colon: str) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [(quoted(str(name)) + colon, member) for name, member in value.items()]
    return [("", member) for member in value] if isinstance(value, (list, tuple)) else []


def _line(depth: int, pretty: bool) -> str:
    return "\n" + "  " * min(depth - 1, _DEEPEST_INDENT) if pretty else ""


def _is_infinite(value: object) -> bool:
    return isinstance(value, float) and value - value != 0


def known(stored: str | None, words: Sequence[str]) -> str | None:
    """Returns a word of a fixed list, or ``unknown`` if another program has written another word into the row."""
    return stored if stored is None or stored in words else UNKNOWN


def parsed(text: str | None) -> object:
    """The value of a JSON text; the text itself if it is not JSON or nested too deeply."""
    if text is None:
        return None
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


# Trees.


def instant(value: Timestamp) -> str:
    """RFC 3339 as a JSON string, without parsing the formats that the databases usually return."""
    if value is None:
        return "null"
    if isinstance(value, str):
        if len(value) == 29 and value[10] == " " and value[26:] == "+00":
            return quoted(f"{value[:10]}T{value[11:26]}Z")
        if 22 < len(value) < 29 and value[10] == " " and value[19] == "." and value[-3:] == "+00":
            return quoted(f"{value[:10]}T{value[11:-3]:0<15}Z")
        if len(value) == 27 and value[10] == "T" and value[26] == "Z":
            return quoted(value)
    elif isinstance(value, datetime) and value.tzinfo is None:
        return f'"{value.isoformat(timespec="microseconds")}Z"'
    return document(rfc3339(value))


# Records.


def seconds(length: timedelta | None) -> float | None:
    return length.total_seconds() if length is not None else None
