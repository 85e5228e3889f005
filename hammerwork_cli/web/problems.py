"""Errors as ``application/problem+json`` (RFC 9457), and which HTTP status each one is."""

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
from hammerwork_cli.render.formats import json
from hammerwork_cli.render.schemas.words import Schema, count, record, text

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
"""HTTP status by error; for a class that is not here that of its nearest base, and 500 for the root."""

PUBLIC_WORDS: dict[type[HammerworkError], str] = {
    UnreachableError: "The database cannot be reached.",
    AccessDeniedError: "The database refuses this server.",
    ConnectionLostError: "The connection to the database was lost; whether a change took place is not known.",
    LimitReachedError: "The database reached a limit of time or space, which the server's stderr tells.",
    DatabaseError: "The database answered with an error, which the server's stderr tells.",
    ConfigError: "The server is not set up as it should be: its stderr says more.",
}
"""What callers are told instead of the words of an error that can name the database."""
SAYABLE = (MissingTablesError, RetryableError)

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

SCHEMA: Schema = record(
    {
        "title": text("Of the status"),
        "status": count("HTTP status"),
        "detail": text("What happened, in a sentence"),
        "code": text("Stable, as in the errors of the command line"),
        "hint": text("The next step"),
    },
    "An error (RFC 9457), and further facts",
    optional=frozenset({"hint"}),
)


class RequestError(HammerworkError):
    """A request that is refused before anything is asked of the database.

    Args:
        status: HTTP status.
        code: stable word.
        message: what is wrong, in a sentence.
        hint: what to do next.
    """

    def __init__(self, status: int, code: str, message: str, *, hint: str | None = None, **headers: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.word = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def status_of(error: HammerworkError) -> int:
    """The HTTP status that says what an error says."""
    if isinstance(error, RequestError):
        return error.status
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def is_internal(error: HammerworkError) -> bool:
    """Whether its words say where the database is, or what was sent there: they are for the server's stderr."""
    nearest = next((kind for kind in type(error).__mro__ if kind in PUBLIC_WORDS or kind in SAYABLE), None)
    return nearest in PUBLIC_WORDS


def problem(error: HammerworkError) -> Response:
    """The answer to a request that failed."""
    status = status_of(error)
    detail, hint, details = error.message, error.hint, error.details
    if is_internal(error):
        detail, hint = next(PUBLIC_WORDS[kind] for kind in type(error).__mro__ if kind in PUBLIC_WORDS), None
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
    """The answer when something happened that nobody foresaw; what it was is told on stderr only."""
    return problem(RequestError(500, "bug", "This is a bug in hammerwork: the server's stderr says more."))
