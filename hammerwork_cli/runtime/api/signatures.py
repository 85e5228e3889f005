"""Checks that functions of an application accept the arguments that they will get."""

import inspect
from typing import Any

from hammerwork_cli.errors import UsageError


def check_call(function: Any, what: str, *names: str, form: str | None = None) -> None:
    """Refuses a function that does not accept so many arguments, before a job fails by it.

    Args:
        function: a callable; one with unknown parameters is accepted.
        what: the subject of the error's sentence.
        names: of the arguments.
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
        name = getattr(function, "__name__", type(function).__name__)
        raise UsageError(
            f"{what} is called with {form or '(' + ', '.join(names) + ')'}, and {name} has the parameters"
            f" {parameters!s:.200}."
        ) from error


def signature(function: Any) -> inspect.Signature | None:
    """The parameters of a function, without their types; ``None`` when they are unknown."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    bare = [parameter.replace(annotation=parameter.empty) for parameter in found.parameters.values()]
    return found.replace(parameters=bare, return_annotation=found.empty)
