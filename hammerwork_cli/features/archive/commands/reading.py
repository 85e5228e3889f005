"""``hammerwork archive list``, ``show`` and ``stats``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    FieldsOption,
    Format,
    FormatOption,
    FullOption,
    JobArgument,
    LimitOption,
    QueueOption,
    StatusOption,
    since_option,
    statuses,
)
from hammerwork_cli.core.input.reading import since_of
from hammerwork_cli.errors import LIST_ARCHIVED
from hammerwork_cli.features.archive import views as shown
from hammerwork_cli.features.archive.models.lists import ArchiveFilter
from hammerwork_cli.features.archive.queries import listing
from hammerwork_cli.features.job.queries.listing import resolve


def list_(
    context: Context,
    queue: QueueOption = None,
    status: StatusOption = None,
    since: Annotated[str | None, since_option("Only jobs archived")] = None,
    limit: LimitOption = 100,
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", metavar="CURSOR", help="Start after this: the last row's id, or ARCHIVED_AT/ID."),
    ] = None,
    offset: Annotated[int, typer.Option("-o", "--offset", min=0, hidden=True)] = 0,
    fields: FieldsOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    For the next page, give --cursor the id of the last job, or its ARCHIVED_AT/ID.

    \b
    Examples:
      hammerwork archive list --queue mail --status dead
      hammerwork archive list --since 7d --format csv >archived.csv
    """
    wanted = ArchiveFilter(
        queues=tuple(queue or ()),
        statuses=tuple(statuses(status) or ()),
        since=None if since is None else since_of(since, context.now()),
    )
    context.show(
        listing.find(context.database(), wanted, limit=limit, cursor=cursor, offset=offset),
        form,
        columns=shown.COLUMNS,
        shape=shown.ARCHIVED,
        empty="No archived job matches.",
        fields=fields,
    )


def show(
    context: Context,
    job: JobArgument,
    full: FullOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork archive show 178ebfc3
      hammerwork archive show 178ebfc3 --format json | jq .archival_reason
    """
    # Lists start faster without these.
    from hammerwork_cli.features.job.queries.details import details
    from hammerwork_cli.features.job.views import details as shown_details

    database = context.database()
    found = details(database, resolve(database, job, hint=LIST_ARCHIVED), archived=True)
    context.answer(
        shown_details.JOB_DETAILS.record(shown_details.DetailedJob(found)),
        form,
        lambda: shown_details.details_text(
            found, now=context.now(), width=context.width, colour=context.colour, full=full
        ),
    )


def stats(context: Context, queue: QueueOption = None, form: FormatOption = Format.TABLE) -> None:
    """
    \b
    Examples:
      hammerwork archive stats
      hammerwork archive stats --queue mail --format json
    """
    context.show(
        listing.sums(context.database(), queue or ()),
        form,
        columns=shown.SUM_COLUMNS,
        shape=shown.ARCHIVED_SUM,
        empty="The archive is empty." if not queue else "No archived job matches.",
    )
