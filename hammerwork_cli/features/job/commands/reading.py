"""``hammerwork job list`` and ``show``."""

from collections.abc import Iterator
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import Listing, ListOptions, Order, show_list
from hammerwork_cli.cli.options import CursorOption, Format, FormatOption, FullOption, LimitOption
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.commands.filters import Filters
from hammerwork_cli.features.job.models.job import StoredJob
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.job.views import listing as listed

JobsArgument = Annotated[
    list[str], typer.Argument(metavar="JOB...", help="Ids of jobs, or at least their first 4 hex digits.")
]


def list_(
    context: Context,
    filters: Filters,
    *,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    options: ListOptions,
) -> None:
    """
    For the next page, give --cursor the id of the last job, or its CREATED_AT/ID, which works even if that job is
    deleted meanwhile. A note says when there are more jobs. A page after the last one is empty. Lists show the first
    500 characters of an error in every format; `job show` has all of it. --error searches whole errors and ignores
    case. All formats but table are written while jobs are read, so a long list takes little memory. `job export` has
    payloads. --sort takes created_at, scheduled_at, started_at, completed_at, failed_at, priority, attempts, queue or
    status; it reads all jobs that match, so it takes longer and has no cursor.

    \b
    Examples:
      hammerwork job list --failed --failed-since 24h
      hammerwork job list --error "connection refused" --failed-since 2h
      hammerwork job list --queue video_ingest --status running,pending --priority high,critical
      hammerwork job list --failed --fields id,queue,error --limit 100000 --format csv >failed.csv
      hammerwork job list --status running --sort started_at --watch
      hammerwork job list --cursor "$(hammerwork job list --format json | jq -r '.[-1].id')"
    """
    chosen = filters.chosen(context.now())  # mistakes in options are found before the database is opened
    if options.sort is not None and cursor is not None:
        raise UsageError("--cursor cannot be combined with --sort: it continues the list by creation.")
    order, more = Order.of(options.sort, tuple(listing.SORTS)), None

    def read(database: Database) -> Iterator[StoredJob]:
        nonlocal more
        wanted = filters.within(database, chosen)
        if order is not None:
            yield from listing.sorted_by(database, wanted, order.field, descending=order.descending, limit=limit)
            return
        for page in listing.pages(database, wanted, limit=limit, cursor=cursor):
            yield from page.jobs
            more = page.cursor

    shown = Listing(
        name="job list",
        read=read,
        columns=lambda: listed.columns(context.now(), ages=context.is_terminal),
        shape=listed.JOB,
        empty="No job matches.",
        is_sorted=True,
    )
    show_list(context, shown, options)
    if more and not options.watch:
        context.note(f"There are more: --cursor {more}")


def show(
    context: Context,
    jobs: JobsArgument,
    full: FullOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    With several jobs, json has a list of them.

    \b
    Examples:
      hammerwork job show 178ebfc3
      hammerwork job show 178ebfc3 2e16ca09
      hammerwork job show 178ebfc3 --format json | jq .payload
    """
    # Lists start faster without these.
    from hammerwork_cli.features.job.queries.details import details
    from hammerwork_cli.features.job.views import details as shown
    from hammerwork_cli.features.spawn.queries import delays
    from hammerwork_cli.features.spawn.views.hold import hold_of

    database = context.database()
    found = [details(database, job) for job in dict.fromkeys(listing.resolve(database, job) for job in jobs)]
    now = context.now()
    holds = [hold_of(one, delays.of_job(database, one, now=now), now) for one in found]
    records = [shown.JOB_DETAILS.record(shown.DetailedJob(*one)) for one in zip(found, holds, strict=True)]
    if len(jobs) > 1 and form is not Format.TABLE:
        context.data(records, form, list(records[0]))
        return

    def text() -> Iterator[str]:
        for number, one in enumerate(zip(found, holds, strict=True)):
            yield from [""] * min(number, 1)
            yield from shown.details_text(*one, now=now, width=context.width, colour=context.colour, full=full)

    context.answer(records[0], form, text)
