"""Words to write the keys of shapes with. Each takes what there is to say about the value."""

from datetime import timedelta
from typing import Any

from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.core.values import Counts, JobPriority, JobStatus, rfc3339
from hammerwork_cli.view.commands import Step
from hammerwork_cli.view.json import UNKNOWN, known, parsed
from hammerwork_cli.view.shape import Key, Schema, Shape, described


def text(about: str = "", *words: str) -> Key:
    """Text, or one of some words."""
    return Key(described({"type": "string", **({"enum": list(map(str, words))} if words else {})}, about))


def step(about: str = "") -> Key:
    """Text of ours that may name commands, which whoever reads it runs next."""
    return text(about)._replace(convert=Step)


def word(about: str, *words: str) -> Key:
    """One of some words, or ``unknown`` in place of another one that a row holds."""
    return text(about, *words, UNKNOWN)._replace(convert=lambda stored: known(stored, words))


WITHOUT_NUL = "^[^\\u0000]*$"


def line(shortest: int, longest: int, about: str = "") -> Key:
    """Text without NUL, which not every database can hold."""
    return Key(
        described({"type": "string", "minLength": shortest, "maxLength": longest, "pattern": WITHOUT_NUL}, about)
    )


def number(about: str = "", digits: int | None = None) -> Key:
    """Any number."""
    return Key(described({"type": "number"}, about), _rounding(digits))


def count(about: str = "") -> Key:
    """How many."""
    return Key(described({"type": "integer", "minimum": 0}, about))


def whole(least: int, about: str = "", most: int | None = LARGEST_INTEGER) -> Key:
    """A whole number, by default one that a column can hold."""
    limits = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return Key(described({"type": "integer", **limits}, about))


def seconds(about: str = "", digits: int | None = None) -> Key:
    """A length of time, or a number of seconds."""
    convert = _seconds if digits is None else lambda length: round(_seconds(length), digits)
    return Key(described({"type": "number", "minimum": 0}, about), convert)


def measure(about: str = "") -> Key:
    """A number, or a length of time in seconds."""
    return Key(described({"type": "number"}, about), _seconds)


def rate(about: str = "") -> Key:
    """A part of a whole, 0 to 1."""
    return Key(described({"type": "number", "minimum": 0, "maximum": 1}, about))


def flag(about: str = "") -> Key:
    """Yes or no."""
    return Key(described({"type": "boolean"}, about))


def uuid(about: str = "") -> Key:
    """An id, in full."""
    return Key(described({"type": "string", "format": "uuid"}, about))


def job_id(about: str = "") -> Key:
    """The id of a job."""
    return uuid(about)._replace(typescript="JobId")


def instant(about: str = "") -> Key:
    """A time, RFC 3339 in UTC."""
    return Key(described({"type": "string", "format": "date-time"}, about), rfc3339)


def anything(about: str = "") -> Key:
    """Any JSON."""
    return Key(described({}, about))


def stored_json(about: str = "") -> Key:
    """Any JSON, of a text that is not always JSON: then that text."""
    return anything(about)._replace(convert=parsed)


def list_of(items: Key | Shape[Any], about: str = "") -> Key:
    """A list."""
    convert = items.record if isinstance(items, Shape) else items.convert
    return Key(described({"type": "array", "items": items.schema}, about), _each(convert), inner=items)


def counts(about: str, *, in_order: bool = False) -> Key:
    """An object whose keys are words of the data: ``Counts``, in their order or in that of the words, or a mapping."""
    schema = {"type": "object", "additionalProperties": count().schema}
    return Key(described(schema, about), _in_order if in_order else _counts)


def null_or(one: Key | Shape[Any]) -> Key:
    """That, or null."""
    key = one.key() if isinstance(one, Shape) else one
    return key._replace(schema=nullable(key.schema))


# Words of jobs.


def status() -> Key:
    """The status of a job."""
    about = f"{', '.join(JobStatus)}, or an unknown word that the row holds"
    return text(about)._replace(typescript="Status")


def priority() -> Key:
    """The priority of a job."""
    return text("", *(one.word for one in JobPriority))._replace(typescript="Priority")


def spawn_config() -> Key:
    """The spawn configuration of a job."""
    schema = {"type": ["object", "null"], "description": "The stored _spawn_config"}
    return Key(schema, typescript="SpawnConfig")


def dependency_status() -> Key:
    """Whether a job waits for others."""
    return null_or(text("none, waiting, satisfied or failed, or an unknown word that the row holds"))


# How they are made.


def nullable(schema: Schema) -> Schema:
    kind = schema.get("type")
    if kind is None or "enum" in schema:
        bare = {key: value for key, value in schema.items() if key != "description"}
        return described({"anyOf": [bare, {"type": "null"}]}, schema.get("description", ""))
    return {**schema, "type": [kind, "null"]}


def _rounding(digits: int | None) -> Any:
    return None if digits is None else lambda value: round(value, digits)


def _seconds(length: Any) -> Any:
    return length.total_seconds() if isinstance(length, timedelta) else length


def _each(convert: Any) -> Any:
    return list if convert is None else lambda values: [convert(value) for value in values]


def _counts(counted: Any) -> dict[str, int]:
    return dict(counted.by_status if isinstance(counted, Counts) else counted)


def _in_order(counted: Any) -> dict[str, int]:
    return dict(sorted(_counts(counted).items()))
