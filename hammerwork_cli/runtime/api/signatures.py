"""Checks that functions of an application accept the arguments that they will get."""

import inspect
from functools import partial
from types import MethodType
from typing import Any

from hammerwork_cli.errors import UsageError


def check_call(function: Any, what: str, *names: str, form: str | None = None) -> None:
    """Refuses a function that does not accept these arguments, before a job fails by it.

    Args:
        function: a callable; one with unknown parameters is accepted.
        what: the subject of the error's sentence.
        form: the accepted calls, for the error.

    Raises:
        UsageError: it does not accept them; the message has its parameters.
    """
    parameters = signature(function)
    if parameters is None:
        return
    try:
        parameters.bind(*names)
    except TypeError as error:
        raise refusal(function, what, form or f"({', '.join(names)})") from error


def refusal(function: Any, what: str, form: str, hint: str | None = None) -> UsageError:
    """The error for a function with other parameters; see :func:`check_call`."""
    name = getattr(function, "__name__", type(function).__name__)
    return UsageError(
        f"{what} is called with {form}, and {name} has the parameters {signature(function)!s:.200}.", hint=hint
    )


def is_typed(parameter: inspect.Parameter, kind: type) -> bool:
    """Whether a parameter is annotated with a class, perhaps by its name."""
    annotation = parameter.annotation
    return annotation is kind or str(annotation).rpartition(".")[2] == kind.__name__


def signature(function: Any) -> inspect.Signature | None:
    """The parameters of a function, without their types; ``None`` when they are unknown."""
    found = typed_signature(function)
    if found is None:
        return None
    bare = [parameter.replace(annotation=parameter.empty) for parameter in found.parameters.values()]
    return found.replace(parameters=bare, return_annotation=found.empty)


def typed_signature(function: Any) -> inspect.Signature | None:
    """The parameters that a call of a function meets; ``None`` when they are unknown: see :func:`called_function`."""
    return called_function(function)[1]


def called_function(function: Any) -> tuple[Any, inspect.Signature | None]:
    """The function that gets the arguments of a call, and its parameters; ``None`` when they are unknown.

    Those of a decorated function are the wrapper's own, unless the wrapper passes on whatever it gets (``*args``).
    """
    while True:
        if not (inspect.isroutine(function) or isinstance(function, (type, partial))):
            function = getattr(function, "__call__", function)  # noqa: B004  that of an object, which may be decorated
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None and isinstance(function, MethodType):
            wrapped = MethodType(wrapped, function.__self__)
        try:
            found = inspect.signature(function, follow_wrapped=False)
        except (TypeError, ValueError):
            if wrapped is None:
                return function, None
        else:
            passes_on = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in found.parameters.values())
            if wrapped is None or not passes_on:
                return function, found
        function = wrapped
