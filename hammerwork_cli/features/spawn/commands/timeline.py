"""``hammerwork spawn timeline``."""

from enum import StrEnum
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import JobArgument
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.features.spawn.commands.arguments import charset_option
from hammerwork_cli.features.tree.views.picture import Charset


class TimelineFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"


def timeline(
    context: Context,
    job: JobArgument,
    form: Annotated[
        TimelineFormat, typer.Option("--format", help="Output format; mermaid is a Gantt chart.")
    ] = TimelineFormat.TEXT,
    siblings: Annotated[bool, typer.Option("--all", help="Add every group of siblings.")] = False,
    least: Annotated[
        str | None,
        typer.Option(
            "--min", metavar="DURATION", help="With --format text or mermaid: fold shorter jobs and groups (1s)."
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option("--width", metavar="COLUMNS", min=40, max=1000, help="With --format text: columns to draw in."),
    ] = None,
    charset: Annotated[Charset | None, charset_option("text or mermaid")] = None,
) -> None:
    """
    The critical path leads from the root to the job that ended last; its parts add up to the whole. A job is blocked
    until its dependencies have ended, delayed until its scheduled time, then queued until a worker claims it. In a tree
    with open jobs, time counts until now.

    \b
    Examples:
      hammerwork spawn timeline 178ebfc3
      hammerwork spawn timeline 178ebfc3 --all --min 1s
      hammerwork spawn timeline 178ebfc3 --format json | jq .parts
      hammerwork spawn timeline 178ebfc3 --format mermaid > timeline.mmd
    """
    from hammerwork_cli.features.job.queries import listing
    from hammerwork_cli.features.spawn.queries import timeline as timeline_queries
    from hammerwork_cli.features.spawn.views import timeline as timeline_views

    style = timeline_views.TimelineStyle(
        width=width or context.width,
        charset=charset or context.charset,
        colour=context.colour,
        least=None if least is None else round(duration_of(least).total_seconds() * 1_000_000),
    )
    database = context.database()
    found = timeline_queries.timeline(
        database, listing.resolve(database, job), now=context.now(database), siblings=siblings
    )
    if form == TimelineFormat.MERMAID:
        from hammerwork_cli.features.spawn.views.gantt import gantt

        chart, notes = gantt(found, style)
        context.write([chart])
        for note in notes:
            context.note(note)
    elif form == TimelineFormat.JSON:
        from hammerwork_cli.features.spawn.views.timeline_records import TIMELINE

        context.answer(TIMELINE.record(found), form, lambda: ())
    else:
        context.lines(timeline_views.timeline_text(found, style))
