"""Payloads and results as JSON text, also of values that JSON does not know."""

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from hammerwork_cli.errors import UsageError

IS_NO_VALUE = "_instead_of_json"
"""An attribute of classes that JSON must not hold; it says what to do instead."""
_INSTEAD: dict[type, str] = {
    set: "sorted(...)",
    frozenset: "sorted(...)",
    bytes: "its .hex()",
    bytearray: "its .hex()",
}
JSON_TYPES = (dict, list, tuple, str, int, float, bool, type(None))
"""The types of values that JSON knows itself."""


def _known(value: Any) -> Any:
    """A JSON value for one that JSON does not know."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    kind = type(value)
    if hasattr(kind, "model_dump"):  # a pydantic model: only its program imports pydantic
        return value.model_dump(mode="json", by_alias=True)
    if (serializer := getattr(kind, "__pydantic_serializer__", None)) is not None:
        return serializer.to_python(value, mode="json", by_alias=True)
    if is_dataclass(value) and not isinstance(value, type) and not hasattr(value, IS_NO_VALUE):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"a value of type {type(value).__name__} has no place in it")


def _checked(value: Any) -> Any:
    known = _known(value)
    _check_keys(known)
    return known


_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_checked).encode


def json_text(value: Any, verb: str = "Give") -> str:
    """A payload or a result as JSON text.

    Besides JSON values it accepts dates and times (ISO 8601), UUIDs and Decimals (text), a ``timedelta`` (seconds),
    members of an Enum (their value), dataclasses and pydantic models (objects), and named tuples (arrays).

    Args:
        verb: what the reader of an error does with the value.

    Raises:
        UsageError: JSON cannot hold it; the message has the reason, the place, and what to do instead.
    """
    try:
        text = _encoded(value)
        _check_keys(value)
        if not text.isascii():
            text.encode()
    except Exception as error:  # the value's own code may raise anything
        where, instead = _culprit(value, verb)
        raise UsageError(f"JSON cannot hold this value: {_said(error)[:200]}{where}.{instead}") from error
    return text


def as_json(value: Any) -> Any:
    """A payload as JSON reads it back; one of JSON's own types stays as it is.

    Raises:
        UsageError: see :func:`json_text`.
    """
    return value if isinstance(value, JSON_TYPES) else json.loads(json_text(value))


_TEXT, _CONTAINERS = frozenset({str}), (dict, list, tuple)


def _check_keys(value: Any) -> None:
    """Refuses an object with keys that are one in JSON, so that a part of it would be lost."""
    if isinstance(value, dict):
        if not _TEXT.issuperset(map(type, value)) and (same := _same_keys(value)):  # most objects have texts alone
            raise ValueError(f"the keys {same[0]!r:.60} and {same[1]!r:.60} are the same in JSON")
        value = value.values()
    elif not isinstance(value, _CONTAINERS):
        return
    for part in value:
        if isinstance(part, _CONTAINERS):
            _check_keys(part)


def _same_keys(value: dict[Any, Any]) -> tuple[Any, Any] | None:
    known: dict[str, Any] = {}
    for key in value:
        (text,) = json.loads(_encoded({key: None}))
        if text in known:
            return known[text], key
        known[text] = key
    return None


def _culprit(value: Any, verb: str) -> tuple[str, str]:
    """Where the first part is that JSON cannot hold, and what to do instead, both as parts of a sentence."""
    try:
        found = _refused(value, "$")
    except Exception:  # noqa: BLE001  the value's own code may raise anything; or it contains itself
        found = None
    if found is None:
        return "", ""
    path, part = found
    name = next((instead for kind, instead in _INSTEAD.items() if isinstance(part, kind)), None)
    instead = getattr(part, IS_NO_VALUE, None) or (f"{verb} {name}." if name else "")
    return "" if path == "$" else f" (in {path[:100]})", instead and f" {instead}"


def _refused(value: Any, path: str) -> tuple[str, Any] | None:
    """The first part that JSON cannot hold: its path, and itself."""
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str | int | float | bool | None):
                return path, key
            if found := _unwritable(key, path) or _refused(part, f"{path}.{key}"):
                return found
        return (path, value) if _same_keys(value) else None
    if isinstance(value, list | tuple):
        parts = (_refused(part, f"{path}[{number}]") for number, part in enumerate(value))
        return next(filter(None, parts), None)
    if isinstance(value, str | int | float | bool | None):
        return _unwritable(value, path)
    try:
        return _refused(_known(value), path)
    except TypeError:
        return path, value


def _unwritable(value: Any, path: str) -> tuple[str, Any] | None:
    try:
        _encoded(value).encode()
    except ValueError:
        return path, value
    return None


_OUT_OF_RANGE = "Out of range float values are not JSON compliant"


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return "it has text with half a character, a lone surrogate"
    try:
        said = str(error).rstrip(".") or type(error).__name__
        # Python 3.13 adds the value. The message names its place already.
        return _OUT_OF_RANGE if said.startswith(_OUT_OF_RANGE) else said
    except Exception:  # noqa: BLE001  the error's own code may raise anything
        return type(error).__name__
