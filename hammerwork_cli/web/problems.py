"""Errors as ``application/problem+json`` (RFC 9457), and their HTTP statuses."""

from typing import Any

from starlette.responses import Response

from hammerwork_cli.database import redact
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConfigError,
    ConflictError,
    ConnectionLostError,
    DatabaseError,
    HammerworkError,
    LimitReachedError,
    MissingTablesError,
    NotFoundError,
    RefusedValueError,
    RetryableError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from hammerwork_cli.view import json, key
from hammerwork_cli.view.shape import Shape, described

MEDIA_TYPE = "application/problem+json"

STATUSES: dict[type[HammerworkError], int] = {
    UsageError: 400,
    RefusedValueError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    UnreachableError: 503,
    AccessDeniedError: 503,
    MissingTablesError: 503,
    RetryableError: 503,
    ConnectionLostError: 503,
    TimedOutError: 504,
}
"""HTTP status by class of error. A class that is not here has the status of its nearest base, or else 500."""

PUBLIC_MESSAGES: dict[type[HammerworkError], str] = {
    UnreachableError: "The database is unreachable.",
    AccessDeniedError: "The database refuses this server.",
    ConnectionLostError: "The connection to the database was lost. Whether a change succeeded is unknown.",
    LimitReachedError: "The database reached a limit of time or space. See the stderr of the server.",
    DatabaseError: "The database reported an error. See the stderr of the server.",
    ConfigError: "The configuration of the server is not valid. See the stderr of the server.",
}
"""Messages for clients instead of those of errors that may contain the address of the database."""
READING_MESSAGES: dict[type[HammerworkError], str] = {
    ConnectionLostError: "The connection to the database was lost.",
}
"""Those for requests that change nothing."""
HARMLESS = (MissingTablesError, RetryableError)
"""Errors whose own messages never contain the address."""

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

SCHEMA = described(
    Shape[Any](
        {
            "title": key.text("Name of the status"),
            "status": key.count("HTTP status"),
            "detail": key.text("The problem in a sentence"),
            "code": key.text("A stable word, as in the errors of the command line"),
            "hint": key.text("The next step").optional,
        }
    ).schema,
    "An error (RFC 9457) with further facts",
)


class RequestError(HammerworkError):
    """The server refuses a request before it queries the database.

    Args:
        headers: headers of the answer, with underscores for hyphens.
    """

    def __init__(self, status: int, code: str, message: str, *, hint: str | None = None, **headers: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.word = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def status_of(error: HammerworkError) -> int:
    if isinstance(error, RequestError):
        return error.status
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def is_internal(error: HammerworkError) -> bool:
    """Whether the message may contain the address of the database or stored values, and belongs on stderr only."""
    nearest = next((kind for kind in type(error).__mro__ if kind in PUBLIC_MESSAGES or kind in HARMLESS), None)
    return nearest in PUBLIC_MESSAGES


def problem(error: HammerworkError, *, reading: bool = False) -> Response:
    """Makes the answer to a request that failed; ``reading`` is one that changes nothing."""
    status = status_of(error)
    detail, hint, details = error.message, error.hint, error.details
    if is_internal(error):
        messages = PUBLIC_MESSAGES | (READING_MESSAGES if reading else {})
        detail, hint = next(messages[kind] for kind in type(error).__mro__ if kind in messages), None
        details = {}
    body = {
        **details,
        "title": TITLES[status],
        "status": status,
        "detail": redact(detail),
        "code": error.word if isinstance(error, RequestError) else error.code,
    }
    if hint:
        body["hint"] = redact(hint)
    headers = dict(error.headers) if isinstance(error, RequestError) else {}
    if status == 503:
        headers["retry-after"] = "1"
    return Response(json.document(body), status, headers, MEDIA_TYPE)


def bug() -> Response:
    """Makes the answer to a request that met a bug. Only stderr gets the traceback."""
    return problem(RequestError(500, "bug", "This is a bug in hammerwork-cli. See the stderr of the server."))
