"""Payloads and results as JSON text, and what becomes of values that JSON does not know."""

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from hammerwork_cli.errors import UsageError


def _known(value: Any) -> Any:
    """What stands in JSON for a value that JSON does not know.

    Raises:
        TypeError: nobody would agree on what that is.
    """
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"a value of type {type(value).__name__} has no place in it")


_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_known).encode


def json_text(value: Any) -> str:
    """A payload or a result as JSON text.

    Besides what JSON knows it takes dates and times (ISO 8601), UUIDs and Decimals (text), members of an Enum (their
    value), dataclasses (objects) and named tuples (arrays).

    Raises:
        UsageError: JSON cannot hold it; the message says what.
    """
    try:
        text = _encoded(value)
        if not text.isascii():
            text.encode()
    except Exception as error:  # the value's own code may raise anything
        raise UsageError(f"JSON cannot hold this value: {_said(error)}."[:300]) from error
    return text


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return "it has text with half a character, a lone surrogate"
    try:
        return str(error).rstrip(".") or type(error).__name__
    except Exception:  # noqa: BLE001  an error whose text cannot be had
        return type(error).__name__
