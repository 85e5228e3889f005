"""Arguments and options that the commands of webhooks and streams share."""

from datetime import datetime
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.options import one_name, several_names
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.event.model import Event, event_types

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


def setting(of: type[Any], field: str, about: str, *names: str, **more: Any) -> Any:
    """An option for a field of a webhook or a stream; its help tells the field's default."""
    default = of._field_defaults[field]
    text = f"{default:g}s" if field.endswith("_seconds") else default
    return typer.Option(*names, help=f"{about} [default: {text}]", **more)


def filters_of(settings: Any) -> dict[str, Any]:
    """What somebody says of the events of a webhook or a stream, as its fields; ``None`` for what is not given."""
    from hammerwork_cli.features.job.commands.options import priorities

    events, queues, wanted = settings.events, settings.queue, settings.priority
    return {
        "events": None if events is None else event_types(events),
        "queues": None if queues is None else tuple(queues),
        "priorities": None if wanted is None else tuple(one.word for one in priorities(wanted)),
        "include_payload": settings.include_payload,
    }


def event_to_try(
    database: Database, event_type: str, job: str | None, queue: str, now: datetime, *, payload: bool
) -> Event:
    """What ``test`` sends: an event about a job, or an example."""
    from hammerwork_cli.features.event import queries as events
    from hammerwork_cli.features.event.samples import sample
    from hammerwork_cli.features.job.queries.listing import resolve

    (event,) = event_types([event_type])
    if job is None:
        return sample(event, now, queue=queue, payload=payload)
    return events.about(database, event, resolve(database, job), now, payload=payload)


def chosen(name: str | None, named: str | None, *, thing: str, group: str) -> str:
    """The webhook or stream by its argument, or by the option that hammerwork (Rust) has."""
    if name is not None and named is not None and name != named:
        raise UsageError(f"Two {thing}s were given.", hint="Give one.")
    if not (found := name or named):
        raise UsageError(f"No {thing} was given.", hint=f"To list them: hammerwork {group} list")
    return found
