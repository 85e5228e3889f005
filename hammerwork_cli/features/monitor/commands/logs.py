"""``hammerwork monitor logs``."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import QueueOption, seconds_between, several_names, since_option
from hammerwork_cli.core.input.reading import since_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.queries.listing import resolve
from hammerwork_cli.features.monitor.models.log import JobEvent
from hammerwork_cli.features.monitor.queries.logs import Log
from hammerwork_cli.features.monitor.views import logs as views

FEW_LINES = 50
MOST_LINES = 10_000


class EventFormat(StrEnum):
    TEXT = "text"
    JSONL = "jsonl"


def logs(
    context: Context,
    limit: Annotated[
        int | None,
        typer.Option(
            "-l",
            "--limit",
            metavar="N",
            min=1,
            max=MOST_LINES,
            help="Number of newest events to start with. [default: 50]",
        ),
    ] = None,
    since: Annotated[str | None, since_option("Start with events")] = None,
    queue: QueueOption = None,
    job: Annotated[
        list[str] | None, typer.Option("--job", metavar="JOB", callback=several_names, help="Only these jobs: ids.")
    ] = None,
    tree: Annotated[
        str | None, typer.Option("--tree", metavar="JOB", help="Only this job and everything below it.")
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow new events until you press Ctrl-C.")] = False,
    interval: Annotated[
        str | None,
        typer.Option("--interval", metavar="SECONDS", help="With --follow: refresh interval. [default: 1]"),
    ] = None,
    form: Annotated[
        EventFormat, typer.Option("--format", help="Output format: text, or one JSON object per line.")
    ] = EventFormat.TEXT,
) -> None:
    """
    Events come from the jobs and the history of their attempts, which `job retry` keeps. Rust workers record no
    attempts: a job that they retried shows only its last one. A recurring job shows its current occurrence. Handlers
    write their output to their worker's stderr, as part of its log. --queue reads the newest 10,000 jobs of each kind
    of event; --tree reads at most 10,000 jobs. With --since, the command starts with at most 10,000 events, or as many
    as --limit says.

    \b
    Examples:
      hammerwork monitor logs --limit 20
      hammerwork monitor logs --since 30m
      hammerwork monitor logs --tree 178ebfc3 --follow
      hammerwork monitor logs --queue mail --format jsonl | jq -r 'select(.event == "dead") | .error'
    """
    if sum(value is not None for value in (queue, job, tree)) > 1:
        raise UsageError("Give only one of --queue, --job and --tree.")
    seconds = seconds_between(interval or "1")
    start = None if since is None else since_of(since, context.now())
    most = limit or (FEW_LINES if start is None else MOST_LINES)
    database = context.database()
    log = Log(
        database,
        lines=most,
        since=start,
        queues=queue or (),
        jobs=list(dict.fromkeys(resolve(database, one) for one in job or ())),
        tree=None if tree is None else resolve(database, tree),
    )
    if not follow:
        found = log.refresh()
        context.lines(_told(context, found, form))
        if not found:
            context.note("No events.")
        elif start is not None and len(found) == most:
            context.note(f"These are the newest {most:,}; there may be more since then.")
        return
    from hammerwork_cli.cli.live import Pace, follow_in_lines

    follow_in_lines(context, log, _never, lambda found: _told(context, found, form), Pace(seconds))


def _told(context: Context, found: list[JobEvent], form: EventFormat) -> Iterator[str]:
    if form is EventFormat.JSONL:
        from hammerwork_cli.view import json

        return json.lines(map(views.EVENT.record, found))
    return (views.event_text(event, width=context.width, colour=context.colour) for event in found)


def _never(found: list[JobEvent]) -> None:
    """No event ends the following."""
    del found
