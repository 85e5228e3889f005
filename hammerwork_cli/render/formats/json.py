"""Models as JSON: plain records with stable keys, and the fast way for trees of 100,000 jobs.

Everything outside ASCII is escaped, so that no character of the data reaches a terminal raw.
Times are RFC 3339 in UTC, ids are full, lengths of time are seconds, rates run from 0 to 1.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from hammerwork_cli.models import (
    Counts,
    Timestamp,
    rfc3339,
)

Record = dict[str, Any]

SCHEMA_VERSION = 1
WORKER_STATES = ("running", "stopping", "stopped", "silent", "lost")
WORKER_REQUESTS = ("stop", "restart")
UNKNOWN = "unknown"


def document(value: object, *, pretty: bool = False) -> str:
    """One JSON document without a line end: compact, or indented for people."""
    encode = _PRETTY.encode if pretty else _COMPACT.encode
    try:
        return encode(value)
    except (ValueError, RecursionError):
        # A stored 1e999 reads as infinity, which JSON cannot say; or it is nested deeper than the encoders can go.
        return "".join(_pieces(value, pretty=pretty))


def lines(records: Iterable[object]) -> Iterator[str]:
    """One compact document a record, without line ends."""
    return map(document, records)


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
"""Levels; otherwise the indents of a value of 10,000 levels would take 100 MB."""


def _pieces(value: object, *, pretty: bool) -> Iterator[str]:
    """A document as the encoders write it, with any depth and with infinite numbers as text."""
    colon = ": " if pretty else ":"
    # What is open: the members that are left, each after its key, and the bracket that closes it.
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
    """A word of a fixed list; ``unknown`` where a row of ours holds another one, which only somebody else wrote."""
    return stored if stored is None or stored in words else UNKNOWN


# Trees.


def instant(value: Timestamp) -> str:
    """RFC 3339 as a JSON string. What the databases usually deliver needs no parsing."""
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
    """A length of time in seconds."""
    return length.total_seconds() if length is not None else None
