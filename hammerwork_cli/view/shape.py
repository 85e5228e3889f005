"""Shapes: what an output holds, declared once.

From a shape follow its records, its JSON schema, the columns of its CSV, its type in ``client.d.ts`` and its part of
the reference. The words to write keys with are in :mod:`hammerwork_cli.view.key`.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from hammerwork_cli.cached import cached
from hammerwork_cli.view.json import Record

Schema = dict[str, Any]
Model = TypeVar("Model")

MISSING = object()
"""What an optional key reads where there is nothing: then the record does not have it."""


class Key(NamedTuple):
    """A key of an output."""

    schema: Schema
    convert: Callable[[Any], Any] | None = None
    """Makes JSON of a value; null stays null."""
    get: "str | Callable[[Any], Any] | None" = None
    """How the value is read from the model: an attribute (``a.b`` is that of an attribute), or a function. By default,
    the attribute that is named like the key."""
    inner: "Key | Shape[Any] | None" = None
    """What a list or an object holds."""
    typescript: str = ""
    """Its type in ``client.d.ts``, where the schema does not say all."""
    is_optional: bool = False

    def of(self, get: "str | Callable[[Any], Any]") -> "Key":
        """The same, read otherwise."""
        return self._replace(get=get)

    def about(self, about: str) -> "Key":
        """The same, described otherwise."""
        return self._replace(schema=described(self.schema, about))

    @property
    def optional(self) -> "Key":
        """The same, and a record may be without it."""
        return self._replace(is_optional=True)


class Shape(Generic[Model]):
    """The keys of an object, in their order.

    Args:
        keys: key by name; a shape stands for an object.
        columns: those of CSV and TSV, if they are not the keys; ``a.b`` is the key ``b`` of the object ``a``.
    """

    def __init__(self, keys: "Mapping[str, Key | Shape[Any]]", *, columns: Iterable[str] = ()) -> None:
        self.parts = {name: one.key() if isinstance(one, Shape) else one for name, one in keys.items()}
        self.columns = tuple(columns) or tuple(keys)

    def within(self, get: str, *names: str) -> dict[str, Key]:
        """All keys, or some, for a model that has this one in an attribute."""
        return {name: self.parts[name].of(_within(get, self.parts[name].get or name)) for name in names or self.parts}

    def without(self, *names: str) -> dict[str, Key]:
        """The keys but for some."""
        return {name: key for name, key in self.parts.items() if name not in names}

    def key(self, about: str = "") -> Key:
        """An object of this shape."""
        return Key(described(self.schema, about), self.record, inner=self)

    @cached
    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {name: key.schema for name, key in self.parts.items()},
            "required": [name for name, key in self.parts.items() if not key.is_optional],
        }

    def record(self, model: Model) -> Record:
        """What the output says about a model."""
        record: Record = {}
        for name, get, convert in self._reading:
            value = get(model)
            if value is not MISSING:
                record[name] = value if convert is None or value is None else convert(value)
        return record

    def records(self, models: Iterable[Model]) -> list[Record]:
        """What the output says about each of some models."""
        return [self.record(model) for model in models]

    def reader(self, name: str) -> Callable[[Model], Any]:
        """Reads the value of a key from a model, before it is converted."""
        get = self.parts[name].get or name
        return attrgetter(get) if isinstance(get, str) else get

    @cached
    def _reading(self) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], Any] | None]]:
        return [(name, self.reader(name), key.convert) for name, key in self.parts.items()]


class EditedShape(Shape[Model]):
    """A shape whose records are changed before anybody gets them, such as by leaving out what is secret."""

    def __init__(self, shape: Shape[Model], edit: Callable[[Record], Record]) -> None:
        super().__init__(shape.parts, columns=shape.columns)
        self._edit = edit

    def record(self, model: Model) -> Record:
        return self._edit(super().record(model))


def _within(outer: str, inner: "str | Callable[[Any], Any]") -> "str | Callable[[Any], Any]":
    if isinstance(inner, str):
        return f"{outer}.{inner}"
    reached, get = attrgetter(outer), inner
    return lambda model: get(reached(model))


def described(schema: Schema, about: str) -> Schema:
    """A schema with a description, if there is one."""
    return {**schema, "description": about} if about else schema
