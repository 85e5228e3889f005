"""The parameters of endpoints, declared once: they read requests, and the OpenAPI document lists them."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, ValidationError
from starlette.datastructures import QueryParams

from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.reading import DURATION_PATTERN, TIME_PATTERN, UUID_PATTERN, since_of
from hammerwork_cli.core.values import JobStatus, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Schema

SHOWN = 80
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query or of the path."""

    name: str
    # A string, an integer, a number, a boolean, or an array of strings, which is written with commas or as several
    # parameters (`core.input.names`). The members of its enum are accepted in any letter case.
    schema: Schema
    about: str
    default: Any = None
    in_path: bool = False
    is_a: str = ""  # the noun in "'x' is not a duration.", as on the command line
    # Finds the full id of a text, so that all spellings of an id are the same request.
    resolve: Callable[[Database, str], str] | None = None


def read_query(parameters: Sequence[Parameter], given: QueryParams, fields: Sequence[str] = ()) -> dict[str, Any]:
    """Values by name, defaults included.

    Args:
        fields: names in the body, which a client may have put here.
    """
    known = {parameter.name: parameter for parameter in parameters if not parameter.in_path}
    values = {name: parameter.default for name, parameter in known.items()}
    for name in given:
        if name not in known:
            raise _unknown(name, known, fields)
        texts = given.getlist(name)
        if known[name].schema["type"] != "array" and len(texts) > 1:
            raise UsageError(f"The parameter {name!r} is given twice.")
        values[name] = _read(known[name], *texts)
    return values


def _unknown(name: str, known: Collection[str], fields: Collection[str]) -> UsageError:
    what = f"There is no parameter {name[:SHOWN]!r} here."
    if name in fields:
        return UsageError(what, hint=f'Put it into the JSON body: {{"{name}": ...}}')
    body = f"; in the JSON body: {', '.join(fields)}" if fields else ""
    return UsageError(what, hint=f"There are: {', '.join(known) or 'none'}{body}.")


def read_path(parameters: Sequence[Parameter], given: Mapping[str, str]) -> dict[str, Any]:
    """Values by name, of a path that is encoded yet: a queue's name may hold a slash."""
    return {
        parameter.name: _read(parameter, unquote(given[parameter.name]))
        for parameter in parameters
        if parameter.in_path
    }


def _read(parameter: Parameter, text: str, *more: str) -> Any:
    value = _value(parameter.schema, text, *more)
    if parameter.is_a and not _validator(_Key(parameter.schema)).is_valid(value):
        raise UsageError(f"{text[:SHOWN]!r} is not {parameter.is_a}.", hint=parameter.about)
    check(parameter.schema, value, f"The parameter {parameter.name!r}")
    return value


def _value(schema: Schema, text: str, *more: str) -> Any:
    """The value that a text means; the text itself where it means none, which no schema accepts then."""
    kind = schema["type"]
    if kind == "array":
        known = {word.lower(): word for word in schema["items"].get("enum", ())}
        return [known.get(word.lower(), word) for word in names.split([text, *more])]
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?", text):
        return float(text) if isfinite(float(text)) else text
    return text


def check(schema: Schema, value: Any, what: str) -> None:
    """Compares a value with its schema."""
    errors = _validator(_Key(schema)).iter_errors(value)
    first = next(iter(errors), None)
    if first is not None:
        place = "".join(f"[{step!r}]" for step in first.absolute_path)
        raise UsageError(f"{what}{place} is not valid: {_said(first)}.", hint="See /openapi.json.")


def with_whole_numbers(given: dict[str, Any], *, but: str) -> dict[str, Any]:
    """The same fields, with 3 for JSON's 3.0 in those whose schema allows no other numbers: all ``but`` one."""
    return given | {key: int(value) for key, value in given.items() if isinstance(value, float) and key != but}


class _Key:
    """A schema as a key: the object itself, which nobody changes."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.schema is other.schema


@lru_cache(maxsize=256)
def _validator(key: _Key) -> Draft202012Validator:
    return Draft202012Validator(key.schema)


def _said(error: ValidationError) -> str:
    message = error.message
    if error.validator_value == key.WITHOUT_NUL:
        message = f"{error.instance!r} contains NUL, which not every database can store"
    elif error.validator == "pattern":
        message = f"{error.instance!r} has another form"
    return message if len(message) <= 3 * SHOWN else f"{message[: 3 * SHOWN]}…"


# Parameters that several endpoints take.

MOST_ROWS = 500
"""Of a page."""
MOST_HOURS = 1_000_000
MOST_QUEUES = 16
"""Of a filter."""

QUEUE_TEXT = key.line(1, LONGEST_NAME).schema

QUEUE_NAME = Parameter("name", QUEUE_TEXT, "The queue's name.", in_path=True)
QUEUE = Parameter(
    "queue",
    {"type": "array", "items": QUEUE_TEXT, "minItems": 1, "maxItems": MOST_QUEUES},
    "Only these queues: separated by commas (a backslash before a comma in a name), or one per parameter.",
    default=(),
)
STATUS = Parameter(
    "status",
    {
        "type": "array",
        "items": {"type": "string", "enum": [status.value for status in JobStatus]},
        "minItems": 1,
        "maxItems": 2 * len(JobStatus),
    },
    "Only jobs in one of these statuses.",
)
CURSOR = Parameter(
    "cursor",
    {"type": "string", "pattern": f"^([-0-9TZ:. +]{{1,40}}/)?{UUID_PATTERN}$", "maxLength": 80},
    "Next-Cursor of the previous page, or the id of its last job.",
    is_a="a cursor",
)
HOURS = Parameter(
    "hours", {"type": "number", "minimum": 0.01, "maximum": MOST_HOURS}, "How far to look back.", default=24.0
)


def within(about: str, default: str | None = None) -> Parameter:
    """The start of a window of time that ends now, for :func:`start_of`; ``about`` says what is within."""
    return Parameter(
        "since",
        {
            "type": "string",
            "anyOf": [{"pattern": f"^{DURATION_PATTERN}$"}, {"pattern": f"^{TIME_PATTERN}$", "format": "date-time"}],
        },
        f"{about} since this: 15m (15 minutes ago), or a time such as 2026-12-24T18:00Z.",
        default,
        is_a="a duration or a time",
    )


SINCE = within("Only jobs created")


def limit(default: int) -> Parameter:
    """How many rows a page has."""
    return Parameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}, "Maximum number of rows.", default
    )


def statuses(words: Sequence[str] | None) -> list[JobStatus] | None:
    """Statuses by their words; ``None`` for no filter."""
    return [JobStatus(status_of(word)) for word in dict.fromkeys(words)] if words else None


def start_of(now: datetime, since: str | None) -> datetime | None:
    """The start of a window of time. It is never before 1970, when there were no jobs."""
    if since is None:
        return None
    try:
        return max(since_of(since, now), EPOCH)
    except UsageError:
        if "-" in since:
            raise
        return EPOCH  # the schema has checked the spelling of a duration: it is too long for any calendar


# Bodies.

LONGEST_REASON = 1000
REASON = {"reason": key.null_or(key.line(0, LONGEST_REASON, "Reason to show to others"))}


def body(members: Mapping[str, Key | Schema], *required: str) -> Schema:
    """An object with these fields and no others."""
    fields = {name: one.schema if isinstance(one, Key) else one for name, one in members.items()}
    schema: Schema = {"type": "object", "properties": fields, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema
