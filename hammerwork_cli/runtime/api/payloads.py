"""Payloads as the annotations of handlers name them: ``job: Job[OrderPaid]``."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from hammerwork_cli.cached import cached
from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.api.conversion import Converter, UnreadableTypeError, converter_of, read
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.signatures import called_function


class PayloadReader:
    """Reads the payloads of jobs as the type that a handler names. Any thread may use it.

    The type is looked up at the first use: a module may define it after the handler.

    Args:
        annotation: of the handler's parameter, perhaps as text.
        function: the handler itself, in whose module the names of the annotation are.
        kinds: the generic classes that have the type of a payload as their parameter.
        what: the subject of an error's sentence.
    """

    def __init__(self, annotation: Any, function: Any, kinds: tuple[type, ...], what: str) -> None:
        self._annotation, self._function, self._kinds, self._what = annotation, function, kinds, what

    @cached
    def _converter(self) -> tuple[Any, Converter] | None:
        kind = _payload_of(self._resolved(), self._kinds)
        try:
            return None if kind is None else (kind, converter_of(kind))
        except UnreadableTypeError as error:
            raise UnreadableTypeError(
                f"{self._what} cannot get its payload. {error.message}", hint=error.hint
            ) from None
        except NameError as error:
            raise self._unknown(error) from None

    def _resolved(self) -> Any:
        function = self._function
        while isinstance(function, partial):
            function = function.func
        function = getattr(function, "__func__", function)

        def annotated() -> None: ...

        annotated.__annotations__ = {"it": self._annotation}
        try:
            return get_type_hints(annotated, getattr(function, "__globals__", {}))["it"]
        except NameError as error:
            if _is_about_payload(self._annotation, self._kinds):
                raise self._unknown(error) from None
            return None
        except Exception:  # noqa: BLE001  an annotation may mean something else, and raise anything
            return None

    def _unknown(self, error: NameError) -> UsageError:
        return UnreadableTypeError(
            f"{self._what} names the type of its payload, and {error.name or 'a name in it'} is not defined where the"
            " annotation is read.",
            hint="Define or import it in the module itself, not in a function or under `if TYPE_CHECKING`.",
        )

    def check(self) -> None:
        """Looks up the type.

        Raises:
            UsageError: a name in it is unknown, or JSON cannot be read as this type.
        """
        self._converter  # noqa: B018  it is computed once

    def read(self, job: Job) -> None:
        """Gives a job its payload as the type.

        Raises:
            UsageError: see :meth:`check`; or the payload is another one, and the message names the field.
        """
        if self._converter is not None:
            kind, converter = self._converter
            job.payload = read(job.payload, converter, kind, "The payload of the job")


def reader_of(function: Callable[..., Any], kinds: tuple[type, ...], what: str) -> PayloadReader | None:
    """What reads the payloads for a handler; ``None`` if it names no type of them: see :class:`PayloadReader`."""
    function, signature = called_function(function)
    for parameter in signature.parameters.values() if signature else ():
        annotation = parameter.annotation
        if annotation is parameter.empty or annotation in kinds:
            continue
        if isinstance(annotation, str):
            may_say = annotation.rpartition(".")[2] not in _names(kinds)
        else:
            may_say = _payload_of(annotation, kinds) is not None
        if may_say:
            return PayloadReader(annotation, function, kinds, what)
    return None


def _names(kinds: tuple[type, ...]) -> list[str]:
    return [kind.__name__ for kind in kinds]


def _is_about_payload(annotation: Any, kinds: tuple[type, ...]) -> bool:
    """Whether an annotation names the type of a payload, perhaps as text."""
    return not isinstance(annotation, str) or bool(re.search(rf"\b({'|'.join(_names(kinds))})\[", annotation))


def _payload_of(annotation: Any, kinds: tuple[type, ...]) -> Any:
    """The type of the payload in an annotation; ``None`` if it does not say."""
    named = get_args(annotation) if get_origin(annotation) in kinds else ()
    return None if not named or named[0] is Any or isinstance(named[0], TypeVar) else named[0]
