"""Whether functions of an application can be called as they will be."""

import inspect
from typing import Any

from hammerwork_cli.errors import UsageError


def check_call(function: Any, what: str, *names: str, form: str | None = None) -> None:
    """Refuses a function that cannot be called with so many arguments, before a job has to find out.

    Args:
        function: whatever can be called; one whose parameters nobody knows is accepted.
        what: what it is, to begin a sentence with.
        names: of the arguments.
        form: how it may be called besides.

    Raises:
        UsageError: it cannot; the message names its parameters.
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
    """The parameters of a function, without their types; ``None`` when nobody knows them."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    bare = [parameter.replace(annotation=parameter.empty) for parameter in found.parameters.values()]
    return found.replace(parameters=bare, return_annotation=found.empty)
