"""Arguments of the verbs of ``streaming``."""

from typing import Annotated

import typer

from hammerwork_cli.errors import UsageError

NameArgument = Annotated[str | None, typer.Argument(metavar="STREAM", help="A stream's name or id.")]
OptionalNameArgument = Annotated[str | None, typer.Argument(metavar="[STREAM]", help="A stream's name or id.")]
NamedOption = Annotated[str | None, typer.Option("-s", "--stream", metavar="STREAM", hidden=True)]


def required(name: str | None, named: str | None) -> str:
    """The stream by its argument, or by the option that hammerwork (Rust) has."""
    if name is not None and named is not None and name != named:
        raise UsageError("Two streams were given.", hint="Give one.")
    if not (found := name or named):
        raise UsageError("No stream was given.", hint="To list them: hammerwork streaming list")
    return found
