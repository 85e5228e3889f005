"""Arguments of the verbs of ``webhook``."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.features.event.commands import chosen
from hammerwork_cli.runtime.delivery.webhooks import secrets

NameArgument = Annotated[str | None, typer.Argument(metavar="WEBHOOK", help="A webhook's name or id.")]
OptionalNameArgument = Annotated[str | None, typer.Argument(metavar="[WEBHOOK]", help="A webhook's name or id.")]
NamedOption = Annotated[str | None, typer.Option("-w", "--webhook", metavar="WEBHOOK", hidden=True)]
required = partial(chosen, thing="webhook", group="webhook")
"""The webhook by its argument, or by the option that hammerwork (Rust) has."""


def note_plain(context: Context, options: Mapping[str, str | None]) -> None:
    """Notes which options hold a secret itself, which others can read."""
    if said := secrets.warning(options):
        context.note(said)
