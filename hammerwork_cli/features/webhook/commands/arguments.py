"""Arguments of the verbs of ``webhook``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.options import several_names
from hammerwork_cli.errors import UsageError

NameArgument = Annotated[str | None, typer.Argument(metavar="WEBHOOK", help="A webhook's name or id.")]
OptionalNameArgument = Annotated[str | None, typer.Argument(metavar="[WEBHOOK]", help="A webhook's name or id.")]
NamedOption = Annotated[str | None, typer.Option("-w", "--webhook", metavar="WEBHOOK", hidden=True)]
EventsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--events",
        metavar="EVENTS",
        callback=several_names,
        help="Types of events: dead,failed,tree.failed.",
    ),
]
QueuesOption = Annotated[
    list[str] | None,
    typer.Option("-q", "--queue", metavar="QUEUE", callback=several_names, help="Only events of these queues."),
]


def required(name: str | None, named: str | None) -> str:
    """The webhook by its argument, or by the option that hammerwork (Rust) has."""
    if name is not None and named is not None and name != named:
        raise UsageError("Two webhooks were given.", hint="Give one.")
    if not (found := name or named):
        raise UsageError("No webhook was given.", hint="To list them: hammerwork webhook list")
    return found
