"""JSON values as what an annotation names: dataclasses, pydantic models, and what these are made of."""

import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum, Flag
from functools import lru_cache, partial
from typing import Any, Literal, NewType, TypeAlias, TypeVar, get_args, get_origin
from uuid import UUID

from hammerwork_cli.core.payloads import without_own_keys
from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.api.encoding import json_text

Converter: TypeAlias = Callable[[Any], Any]
Wanted = TypeVar("Wanted")
_Arguments: TypeAlias = Mapping[Any, Any]
"""Type variable of a generic class -> type."""
_SEQUENCES, _MAPPINGS = (list, Sequence, typing.Sequence), (dict, Mapping, typing.Mapping)
_QUALIFIERS = (
    typing.Annotated,
    typing.Required,
    typing.NotRequired,
    typing.Final,
    getattr(typing, "ReadOnly", typing.Final),
)
_INSTEAD: dict[object, str] = {set: "list", frozenset: "list", bytes: "str", bytearray: "str"}
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


class _MismatchError(Exception):
    """A value is not of its type. What contains it adds its own place to the path."""

    def __init__(self, problem: str, *path: str | int) -> None:
        super().__init__(problem)
        self.problem, self.path = problem, list(path)

    def __str__(self) -> str:
        path = re.sub(r"\.(?=\[)", "", ".".join(f"[{step}]" if isinstance(step, int) else step for step in self.path))
        return f"{path[:200] or 'it'} {self.problem}"


class UnreadableTypeError(UsageError):
    """JSON cannot be read as a type, or a name in an annotation is not known."""


def convert(value: Any, kind: type[Wanted]) -> Wanted:
    """Reads a JSON value, such as ``job.result``, as a dataclass or a pydantic model.

    Args:
        value: as JSON has it.
        kind: the class, or any other type that JSON can hold, such as ``list[Receipt]``. Dataclasses ignore keys that
            they do not have.

    Raises:
        UsageError: the value is not of that type, and the message names the field; or JSON cannot be read as the type.
    """
    hashable: Any = kind
    found: Wanted = read(value, _kept_converter(hashable), kind, "The value")
    return found


def read(value: Any, converter: Converter, kind: object, what: str) -> Any:
    """A JSON value as a type.

    Args:
        converter: of :func:`converter_of`.
        what: the subject of the error's sentence.

    Raises:
        UsageError: see :func:`convert`.
    """
    try:
        return converter(value)
    except _MismatchError as error:
        raise UsageError(f"{what} is no {name_of(kind)}: {error}.") from error.__cause__


def converter_of(kind: Any) -> Converter:
    """What reads JSON values as a type.

    Raises:
        UnreadableTypeError: JSON cannot be read as the type.
    """
    return _of(kind, {}, {})


@lru_cache(128)
def _kept_converter(kind: Any) -> Converter:
    return converter_of(kind)


def name_of(kind: Any) -> str:
    """The name of a type, for people."""
    if isinstance(kind, type) and not get_args(kind):
        return kind.__name__
    return re.sub(r"[\w.<>]+\.(?=\w)", "", str(kind))[:100]


def _of(kind: Any, arguments: _Arguments, known: dict[Any, Converter]) -> Converter:
    """See :func:`converter_of`; ``known`` has the converters of classes, which may contain themselves."""
    kind = _bare(kind, arguments)
    inner = partial(_of, arguments=arguments, known=known)
    origin, parts = get_origin(kind), get_args(kind)
    if kind in (Any, object) or isinstance(kind, TypeVar):
        return _unchanged
    if origin is typing.Union or origin is types.UnionType:
        return _union(parts, inner)
    if origin is Literal:
        return partial(_literal, parts)
    base = origin or kind
    if base in _SEQUENCES:
        return _list(inner(parts[0]) if parts else _unchanged)
    if base is tuple:
        return _tuple(parts, inner)
    if base in _MAPPINGS:
        return _dict(parts, inner)
    return _SIMPLE.get(base) or _of_class(kind, base, known)


def _bare(kind: Any, arguments: _Arguments) -> Any:
    """A type without aliases, qualifiers and type variables around it."""
    while True:
        if isinstance(kind, TypeVar) and kind in arguments:
            return arguments[kind]
        if isinstance(kind, NewType):
            kind = kind.__supertype__
        elif hasattr(kind, "__value__"):  # an alias of Python 3.12
            kind = kind.__value__
        elif get_origin(kind) in _QUALIFIERS:
            kind = get_args(kind)[0]
        elif get_args(kind) and any(one in arguments for one in getattr(kind, "__parameters__", ())):
            return kind[tuple(arguments.get(one, one) for one in kind.__parameters__)]
        else:
            return kind


def _of_class(kind: Any, base: Any, known: dict[Any, Converter]) -> Converter:
    if not isinstance(base, type):
        raise _unreadable(kind)
    if hasattr(base, "model_validate_json"):
        return partial(_pydantic, kind.model_validate_json)
    if (validator := getattr(base, "__pydantic_validator__", None)) is not None:
        return partial(_pydantic, validator.validate_json)
    if issubclass(base, Enum):
        return _enum(base)
    if is_dataclass(base):
        return _dataclass(kind, base, known)
    if typing.is_typeddict(base):
        return _typed_dict(kind, base, known)
    raise _unreadable(kind)


def _unreadable(kind: Any) -> UnreadableTypeError:
    instead = _INSTEAD.get(get_origin(kind) or kind)
    return UnreadableTypeError(
        f"{name_of(kind)} cannot be read from JSON.",
        hint=f"Use {instead}." if instead else "Use a dataclass or a pydantic model.",
    )


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def _must(be: str, value: Any) -> _MismatchError:
    return _MismatchError(f"must be {be}, not {_kind(value)}")


def _unchanged(value: Any) -> Any:
    return value


def _none(value: Any) -> None:
    if value is not None:
        raise _must("null", value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _must("a boolean", value)
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _must("a whole number", value)
    return value


def _number(value: Any) -> int | float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _must("a number", value)
    return value


def _float(value: Any) -> float:
    try:
        return float(_number(value))
    except OverflowError:
        raise _MismatchError("must be a number that a float can hold") from None


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise _must("text", value)
    return value


def _decimal(value: Any) -> Decimal:
    try:
        return Decimal(value if isinstance(value, str) else repr(_number(value)))
    except InvalidOperation:
        raise _MismatchError("must be a number, or text with one") from None


def _timedelta(value: Any) -> timedelta:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return timedelta(seconds=value)
        except OverflowError:
            raise _MismatchError("must be a number of seconds that a timedelta can hold") from None
    raise _must("a number of seconds", value)


def _parsed(parse: Callable[[str], Any], be: str) -> Converter:
    def convert_text(value: Any) -> Any:
        if not isinstance(value, str):
            raise _must(be, value)
        try:
            return parse(value)
        except ValueError:
            raise _MismatchError(f"must be {be}") from None

    return convert_text


_SIMPLE: dict[Any, Converter] = {
    type(None): _none,
    None: _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    Decimal: _decimal,
    timedelta: _timedelta,
    UUID: _parsed(UUID, "a UUID"),
    datetime: _parsed(datetime.fromisoformat, "a date and time of ISO 8601"),
    date: _parsed(date.fromisoformat, "a date of ISO 8601"),
    time: _parsed(time.fromisoformat, "a time of ISO 8601"),
}


def _enum(kind: type[Enum]) -> Converter:
    # By what is stored: the value of a member need not be one of JSON.
    stored = {json_text(member.value): member for member in kind}

    def member_of(value: Any) -> Enum:
        if (found := stored.get(json_text(value))) is not None:
            return found
        if issubclass(kind, Flag) and isinstance(value, int) and not isinstance(value, bool):
            with suppress(ValueError):
                return kind(value)
        raise _MismatchError(f"must be one of {', '.join(stored):.100}")

    return member_of


def _literal(values: Sequence[Any], value: Any) -> Any:
    for one in values:
        stored = one.value if isinstance(one, Enum) else one
        if type(stored) is type(value) and stored == value:
            return one
    raise _MismatchError(f"must be {' or '.join(map(repr, values)):.100}")


@contextmanager
def _at(step: str | int) -> Iterator[None]:
    try:
        yield
    except _MismatchError as error:
        error.path.insert(0, step)
        raise


def _list(item: Converter) -> Converter:
    def convert_list(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise _must("a list", value)
        if item is _unchanged:
            return list(value)
        done: list[Any] = []
        try:
            for one in value:
                done.append(item(one))  # noqa: PERF401  the error needs their number
        except _MismatchError as error:
            error.path.insert(0, len(done))
            raise
        return done

    return convert_list


def _tuple(parts: Sequence[Any], inner: Callable[[Any], Converter]) -> Converter:
    if not parts or parts[1:] == (...,):
        of_list = _list(inner(parts[0]) if parts else _unchanged)
        return lambda value: tuple(of_list(value))
    items = [inner(part) for part in parts]

    def convert_tuple(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise _must("a list", value)
        if len(value) != len(items):
            raise _MismatchError(f"must have {len(items)} items, not {len(value)}")
        done = []
        for number, (item, one) in enumerate(zip(items, value, strict=True)):
            with _at(number):
                done.append(item(one))
        return tuple(done)

    return convert_tuple


def _dict(parts: Sequence[Any], inner: Callable[[Any], Converter]) -> Converter:
    of_key, of_value = map(inner, parts) if parts else (_unchanged, _unchanged)
    if of_key is _int:
        of_key = _parsed(int, "a whole number")
    elif of_key in (_bool, _float, _none, _timedelta):
        raise UnreadableTypeError(f"An object in JSON cannot have {name_of(parts[0])} as its keys.", hint="Use str.")

    def convert_dict(value: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise _must("an object", value)
        done = {}
        for key, one in value.items():
            with _at(str(key)[:60]):
                done[of_key(key)] = of_value(one)
        return done

    return convert_dict


def _union(parts: Sequence[Any], inner: Callable[[Any], Converter]) -> Converter:
    """Those types that fit are tried in their order; for an object, first the class that knows most of its keys."""
    items = [(inner(part), _names(part)) for part in parts if part is not type(None)]
    is_optional = len(items) < len(parts)
    be = " or ".join("null" if part is type(None) else name_of(part) for part in parts)

    def convert_union(value: Any) -> Any:
        if value is None and is_optional:
            return None
        tried, is_object = items, isinstance(value, dict)
        if is_object and len(items) > 1:
            tried = sorted(items, key=lambda item: -len(item[1].intersection(value)))
        closest: _MismatchError | None = None
        for item, names in tried:
            try:
                return item(value)
            except _MismatchError as error:
                if closest is None and (len(items) == 1 or (is_object and names)):
                    closest = error
        raise closest or _must(be, value)

    return convert_union


def _names(kind: Any) -> frozenset[str]:
    """The keys that a class knows."""
    base = get_origin(kind) or kind
    if (known := getattr(base, "model_fields", None)) is not None:
        return frozenset({*known, *(field.alias for field in known.values() if field.alias)})
    if is_dataclass(base):
        return frozenset(field.name for field in fields(base))
    return frozenset(base.__annotations__) if typing.is_typeddict(base) else frozenset()


class _Members:
    """The keys of an object, each with its converter; some are required."""

    def __init__(self) -> None:
        self.converters: dict[str, Converter] = {}
        self.required: list[str] = []

    def add(self, kind: Any, names: Iterable[str], hints: Mapping[str, Any], known: dict[Any, Converter]) -> None:
        arguments = dict(zip(getattr(get_origin(kind), "__parameters__", ()), get_args(kind), strict=False))
        for name in names:
            try:
                self.converters[name] = _of(hints[name], arguments, known)
            except UnreadableTypeError as error:
                raise UnreadableTypeError(f"{name_of(kind)}.{name}: {error.message}", hint=error.hint) from None

    def read(self, value: Any) -> dict[str, Any]:
        """Those that an object has."""
        if not isinstance(value, dict):
            raise _must("an object", value)
        done: dict[str, Any] = {}
        for name, converter in self.converters.items():
            if name in value:
                try:
                    done[name] = converter(value[name])
                except _MismatchError as error:
                    error.path.insert(0, name)
                    raise
        for name in self.required:
            if name not in done:
                raise _MismatchError("is missing", name)
        return done


def _dataclass(kind: Any, base: Any, known: dict[Any, Converter]) -> Converter:
    """It ignores keys that it does not have: a newer program may have added them."""
    if kind in known:
        return known[kind]
    members = _Members()

    def convert_dataclass(value: Any) -> Any:
        given = members.read(value)
        with _own_errors():
            return base(**given)

    known[kind] = convert_dataclass
    own = [field for field in fields(base) if field.init]
    members.required += [one.name for one in own if one.default is MISSING and one.default_factory is MISSING]
    members.add(kind, [one.name for one in own], typing.get_type_hints(base, include_extras=True), known)
    return convert_dataclass


def _typed_dict(kind: Any, base: Any, known: dict[Any, Converter]) -> Converter:
    if kind in known:
        return known[kind]
    members = _Members()

    def convert_typed_dict(value: Any) -> dict[str, Any]:
        return value | members.read(value) if isinstance(value, dict) else members.read(value)

    known[kind] = convert_typed_dict
    hints = typing.get_type_hints(base, include_extras=True)
    members.required += sorted(base.__required_keys__)
    members.add(kind, hints, hints, known)
    return convert_typed_dict


@contextmanager
def _own_errors() -> Iterator[None]:
    """Refuses a value that a class itself refuses."""
    try:
        yield
    except Exception as error:
        if callable(getattr(error, "errors", None)):
            raise _of_pydantic(error) from None
        raise _MismatchError(f"is refused: {str(error).rstrip('.') or type(error).__name__}") from error


def _pydantic(validate: Callable[[str], Any], value: Any) -> Any:
    """Pydantic reads JSON otherwise than Python's values: text as a date, say, also where it is strict."""
    try:
        return validate(json.dumps(without_own_keys(value)))
    except ValueError as error:
        if callable(getattr(error, "errors", None)):
            raise _of_pydantic(error) from None
        raise


def _of_pydantic(error: Any) -> _MismatchError:
    """The first problem that pydantic found. Its own text would show the value."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return _MismatchError(f"is refused: {found[0]['msg']}{more}", *found[0]["loc"])
