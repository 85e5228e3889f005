"""``hammerwork job list`` and ``show``."""

from collections.abc import Iterator
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.option_sets import spread
from hammerwork_cli.cli.options import (
    CursorOption,
    FieldsOption,
    Format,
    FormatOption,
    JobArgument,
    LimitOption,
)
from hammerwork_cli.commands.job.filters import Filters
from hammerwork_cli.models import Job
from hammerwork_cli.queries.job import listing
from hammerwork_cli.render.job import listing as listed


@spread
def list_(
    ctx: typer.Context,
    filters: Filters,
    *,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    fields: FieldsOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Jobs, newest first.

    The next page starts at --cursor with the id of the last job, or with its CREATED_AT/ID, which works even if
    that job is deleted meanwhile. A note says when there are more. A page after the last one is empty. Lists show
    the first 500 characters of an error in every format; `job show` has all of it. --error looks at whole errors,
    in any letter case. All formats but table are written while jobs are read, so that a long list takes little
    memory. `job export` has payloads.

    \b
    Examples:
      hammerwork job list --failed --last-hours 24
      hammerwork job list --error "connection refused" --failed-since 2h
      hammerwork job list --queue video_ingest --status running,pending --priority high,critical
      hammerwork job list --failed --fields id,queue,error --limit 100000 --format csv >failed.csv
      hammerwork job list --cursor "$(hammerwork job list --format json | jq -r '.[-1].id')"
    """
    context: Context = ctx.obj
    chosen = filters.chosen(context.now())  # mistakes in options are found before the database is opened
    pages = listing.pages(context.database(), chosen, limit=limit, cursor=cursor)
    more = None

    def jobs() -> Iterator[Job]:
        nonlocal more
        for page in pages:
            yield from page.jobs
            more = page.cursor

    context.show(
        jobs(),
        form,
        columns=lambda: listed.columns(context.now()),
        record=listed.job_record,
        keys=listed.LIST_KEYS,
        empty="No job matches.",
        fields=fields,
    )
    if more:
        context.note(f"There are more: --cursor {more}")


def show(
    ctx: typer.Context,
    job: JobArgument,
    full: Annotated[
        bool, typer.Option("--full", help="Show the whole payload, result and error on a terminal too.")
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show everything about a job: payload, result, dependencies and dependents.

    \b
    Examples:
      hammerwork job show 178ebfc3
      hammerwork job show 178ebfc3 --format json | jq .payload
    """
    # Lists start faster without these.
    from hammerwork_cli.queries.job.details import details
    from hammerwork_cli.render.job import details as shown

    context: Context = ctx.obj
    database = context.database()
    found = details(database, listing.resolve(database, job))
    context.answer(
        shown.details_record(found),
        form,
        lambda: shown.details_text(found, now=context.now(), width=context.width, colour=context.colour, full=full),
    )
