"""Arguments and options that the commands of webhooks and streams share."""

from typing import Annotated, Any

import typer

from hammerwork_cli.cli.options import one_name, several_names
from hammerwork_cli.errors import UsageError

QueuesOption = Annotated[
    list[str] | None,
    typer.Option("-q", "--queue", metavar="QUEUE", callback=several_names, help="Only events of these queues."),
]
IncludePayloadOption = Annotated[
    bool | None,
    typer.Option("--include-payload/--no-include-payload", help="Send the payloads of jobs. [default: no]"),
]
WantedOption = Annotated[bool, typer.Option("--enable/--disable", help="Enable it, or disable it.")]
# Of tests.
EventTypeOption = Annotated[str, typer.Option("--event-type", metavar="EVENT", help="Type of the event.")]
AboutJobOption = Annotated[
    str | None, typer.Option("--job", metavar="JOB", help="A job that the event is about. [default: an example]")
]
ExampleQueueOption = Annotated[
    str, typer.Option("-q", "--queue", metavar="QUEUE", callback=one_name, help="Queue of the example.")
]


def events_option(about: str) -> Any:
    """``--events``: the types that a webhook or a stream gets."""
    return typer.Option("--events", metavar="EVENTS", callback=several_names, help=about)


def chosen(name: str | None, named: str | None, *, thing: str, group: str) -> str:
    """The webhook or stream by its argument, or by the option that hammerwork (Rust) has."""
    if name is not None and named is not None and name != named:
        raise UsageError(f"Two {thing}s were given.", hint="Give one.")
    if not (found := name or named):
        raise UsageError(f"No {thing} was given.", hint=f"To list them: hammerwork {group} list")
    return found
