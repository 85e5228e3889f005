"""Words to write schemas with. Each takes what there is to say about the value."""

from typing import Any

Schema = dict[str, Any]


def text(about: str = "", *words: str) -> Schema:
    """Text, or one of some words."""
    return _described({"type": "string", **({"enum": list(words)} if words else {})}, about)


def number(about: str = "") -> Schema:
    """Any number."""
    return _described({"type": "number"}, about)


def count(about: str = "") -> Schema:
    """How many."""
    return _described({"type": "integer", "minimum": 0}, about)


def seconds(about: str = "") -> Schema:
    """A length of time."""
    return _described({"type": "number", "minimum": 0}, about)


def rate(about: str = "") -> Schema:
    """A part of a whole, 0 to 1."""
    return _described({"type": "number", "minimum": 0, "maximum": 1}, about)


def flag(about: str = "") -> Schema:
    """Yes or no."""
    return _described({"type": "boolean"}, about)


def job_id(about: str = "") -> Schema:
    """An id, in full."""
    return _described({"type": "string", "format": "uuid"}, about)


def instant(about: str = "") -> Schema:
    """A time, RFC 3339 in UTC."""
    return _described({"type": "string", "format": "date-time"}, about)


def anything(about: str = "") -> Schema:
    """Any JSON."""
    return _described({}, about)


def null_or(schema: Schema) -> Schema:
    """That, or null."""
    kind = schema.get("type")
    if kind is None or "enum" in schema:
        bare = {key: value for key, value in schema.items() if key != "description"}
        return _described({"anyOf": [bare, {"type": "null"}]}, schema.get("description", ""))
    return {**schema, "type": [kind, "null"]}


def list_of(items: Schema, about: str = "") -> Schema:
    """A list."""
    return _described({"type": "array", "items": items}, about)


def counts(about: str) -> Schema:
    """An object whose keys are words of the data."""
    return _described({"type": "object", "additionalProperties": count()}, about)


def record(fields: dict[str, Schema], about: str = "", *, optional: frozenset[str] = frozenset()) -> Schema:
    """An object whose keys are known; all but the optional ones are always there."""
    required = [name for name in fields if name not in optional]
    return _described({"type": "object", "properties": fields, "required": required}, about)


def with_fields(schema: Schema, fields: dict[str, Schema]) -> Schema:
    """A record with further fields, which are always there."""
    return {
        **schema,
        "properties": {**schema["properties"], **fields},
        "required": [*schema["required"], *fields],
    }


def without(fields: dict[str, Schema], *names: str) -> dict[str, Schema]:
    """Fields but for some."""
    return {name: schema for name, schema in fields.items() if name not in names}


def _described(schema: Schema, about: str) -> Schema:
    return {**schema, "description": about} if about else schema


OF_QUEUES = {
    "queue": null_or(text("Null for all and for several")),
    "queue_names": list_of(text(), "Those of --queue; empty for all"),
}
"""The queues that a record is about."""
