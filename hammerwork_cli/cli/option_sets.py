"""Verbs as Typer takes them, and options that several of them share, as one parameter."""

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, NamedTuple

import typer

_CTX = Parameter("ctx", Parameter.KEYWORD_ONLY, annotation=typer.Context)


class OptionGroup(NamedTuple):
    """The options in place of one parameter, whose type is ``Annotated`` with this, or a dataclass."""

    options: Sequence[Parameter]
    value: Callable[..., Any]
    """Makes the parameter's value of theirs."""


def for_typer(verb: Callable[..., None]) -> Callable[..., None]:
    """Wraps a verb so that Typer sees the options of a group instead of the parameter that it stands for.

    The verb gets the :class:`~hammerwork_cli.cli.context.Context` of the command as ``context``, or Typer's as ``ctx``.
    """
    parts = signature(verb).parameters
    groups = {name: group for name, part in parts.items() if (group := _group(part.annotation))}
    parameters = [
        one.replace(kind=Parameter.KEYWORD_ONLY)
        for name, part in parts.items()
        for one in (groups[name].options if name in groups else [_CTX if name == "context" else part])
    ]

    @wraps(verb)
    def call(**given: Any) -> None:
        if "context" in parts:
            given["context"] = given.pop("ctx").obj
        for name, group in groups.items():
            given[name] = group.value(**{option.name: given.pop(option.name) for option in group.options})
        verb(**given)

    call.__dict__["__signature__"] = Signature(parameters)
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


def _group(annotation: Any) -> OptionGroup | None:
    if isinstance(annotation, type) and is_dataclass(annotation):
        return OptionGroup([*signature(annotation).parameters.values()], annotation)
    return next((one for one in getattr(annotation, "__metadata__", ()) if isinstance(one, OptionGroup)), None)
