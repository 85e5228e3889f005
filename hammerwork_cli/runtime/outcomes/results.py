"""Results of jobs, as they are stored."""

import sys
from typing import Any

from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.api.encoding import json_text
from hammerwork_cli.runtime.outcomes.failures import FinalError

LARGEST = 16 << 20
"""Bytes of a result unless its job says otherwise: writing a larger one takes time that the worker's lease may lack."""
UNLIMITED = sys.maxsize


class StoredResult(str):
    """A result that is JSON text already."""

    __slots__ = ()


def result_text(value: Any, most: int | None = None) -> str | None:
    """Writes a result as JSON text.

    Args:
        most: bytes that the text may have; ``None`` for :data:`LARGEST`.

    Raises:
        FinalError: JSON cannot hold it, or it is too large.
    """
    text = value if value is None or isinstance(value, StoredResult) else _json(value)
    size = 0 if text is None else len(text.encode())
    allowed = LARGEST if most is None else most
    if size > allowed:
        advice = " Keep it elsewhere and return where, or give the job a result_max_size." if most is None else ""
        raise FinalError(f"The result has {size:,} bytes, and the job allows {allowed:,}.{advice}")
    return text


def _json(value: Any) -> str:
    try:
        return json_text(value, "Return")
    except UsageError as error:
        raise FinalError(f"The result cannot be stored. {error.message}") from error
