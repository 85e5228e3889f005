"""Arguments of the verbs of ``streaming``."""

from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.features.event.commands import chosen

NameArgument = Annotated[str | None, typer.Argument(metavar="STREAM", help="A stream's name or id.")]
OptionalNameArgument = Annotated[str | None, typer.Argument(metavar="[STREAM]", help="A stream's name or id.")]
NamedOption = Annotated[str | None, typer.Option("-s", "--stream", metavar="STREAM", hidden=True)]
required = partial(chosen, thing="stream", group="streaming")
"""The stream by its argument, or by the option that hammerwork (Rust) has."""
