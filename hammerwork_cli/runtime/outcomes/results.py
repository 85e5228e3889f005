"""Results of jobs, as they are stored."""

from typing import Any

from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.api.encoding import json_text
from hammerwork_cli.runtime.outcomes.failures import FinalError


class StoredResult(str):
    """A result that is JSON text already."""

    __slots__ = ()


def result_text(value: Any, most: int | None = None) -> str | None:
    """Writes a result as JSON text.

    Args:
        most: bytes that the text may have.

    Raises:
        FinalError: JSON cannot hold it, or it is too large.
    """
    text = value if value is None or isinstance(value, StoredResult) else _json(value)
    size = 0 if text is None else len(text.encode())
    if most is not None and size > most:
        raise FinalError(f"The result has {size:,} bytes, and the job allows {most:,}.")
    return text


def _json(value: Any) -> str:
    try:
        return json_text(value, "Return")
    except UsageError as error:
        raise FinalError(f"The result cannot be stored. {error.message}") from error
