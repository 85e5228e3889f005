"""Arguments of the verbs of ``webhook``."""

from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.features.event.commands import chosen

NameArgument = Annotated[str | None, typer.Argument(metavar="WEBHOOK", help="A webhook's name or id.")]
OptionalNameArgument = Annotated[str | None, typer.Argument(metavar="[WEBHOOK]", help="A webhook's name or id.")]
NamedOption = Annotated[str | None, typer.Option("-w", "--webhook", metavar="WEBHOOK", hidden=True)]
required = partial(chosen, thing="webhook", group="webhook")
"""The webhook by its argument, or by the option that hammerwork (Rust) has."""
