"""Options that several verbs share, as one parameter: a dataclass whose fields are the options."""

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any


def expand_option_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Wraps a verb so that Typer sees the fields of a dataclass instead of the parameter that has it as its type."""
    parts = signature(verb).parameters
    sets: dict[str, Any] = {name: part.annotation for name, part in parts.items() if is_dataclass(part.annotation)}
    fields = {name: list(signature(kind).parameters.values()) for name, kind in sets.items()}
    parameters = [
        one.replace(kind=Parameter.KEYWORD_ONLY) for name, part in parts.items() for one in fields.get(name, [part])
    ]

    @wraps(verb)
    def call(**given: Any) -> None:
        for name, kind in sets.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields[name]})
        verb(**given)

    call.__dict__["__signature__"] = Signature(parameters)
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call
