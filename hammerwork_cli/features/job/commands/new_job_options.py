"""The options of new jobs, which follow from their table."""

from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.option_sets import OptionGroup
from hammerwork_cli.cli.options import one_name, several_names
from hammerwork_cli.core.input import names
from hammerwork_cli.features.job.commands.options import text_from
from hammerwork_cli.features.job.options import ENQUEUE, JOB_OPTIONS, OPTION, Option, Spelling, json_value

_TYPES: dict[Spelling, Any] = {
    "number": int | None,
    "switch": bool | None,
    "names": list[str] | None,
    "words": list[str] | None,
}
_CALLBACKS: dict[Spelling, Any] = {"name": one_name, "names": several_names}


def _check(option: Option) -> Callable[[list[str] | None], list[str] | None]:
    """The callback of an option whose words are checked before the command begins."""

    def check(given: list[str] | None) -> list[str] | None:
        if given and option.spawns:
            option.spawns(names.split(given), option.name)
        return given

    return check


def flag_of(name: str) -> str:
    """The flag of an option that names no other."""
    return f"--{name.replace('_', '-')}"


def job_option(name: str, verb: str) -> Any:
    """What Typer knows of an option of :data:`JOB_OPTIONS`, as a verb has it."""
    option = OPTION[name]
    line, metavar, spelling = option.kind
    limits = line.schema if line and spelling == "number" else {}
    return typer.Option(
        *(option.flags or [flag_of(name)]),
        metavar=metavar,
        callback=_check(option) if spelling == "words" else _CALLBACKS.get(spelling),
        min=limits.get("minimum"),
        max=limits.get("maximum"),
        help=option.help[verb],
    )


PayloadOption = Annotated[str | None, job_option("payload", ENQUEUE)]
NewIdOption = Annotated[str | None, job_option("id", ENQUEUE)]


def job_annotation(name: str, verb: str) -> Any:
    kind: Any = _TYPES.get(OPTION[name].kind.spelling, str | None)
    return Annotated[kind, job_option(name, verb)]


def job_options(verb: str) -> OptionGroup:
    """The options of jobs that a verb has, as one parameter: option -> value, for :func:`wanted_job`.

    ``--payload`` is apart: its text is stored as it is.
    """
    parameters = [
        Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default, annotation=job_annotation(one.name, verb))
        for one in JOB_OPTIONS
        if verb in one.help and one.name != "payload"
    ]
    return OptionGroup(parameters, _values)


def _values(**given: Any) -> dict[str, Any]:
    return {name: value_of(name, value) for name, value in given.items()}


def value_of(name: str, given: Any) -> Any:
    """The value of an option of :data:`JOB_OPTIONS` as files have it."""
    spelling = OPTION[name].kind.spelling
    if spelling == "json" and given is not None:
        return json_value(text_from(given), flag_of(name))
    return names.split(given) if spelling == "words" and given else given
