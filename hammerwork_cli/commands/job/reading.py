"""``hammerwork job list`` and ``show``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    CursorOption,
    Format,
    FormatOption,
    JobArgument,
    LimitOption,
    QueueOption,
    StatusOption,
    statuses,
)
from hammerwork_cli.commands.job import options as read
from hammerwork_cli.commands.job.options import (
    FailedOption,
    LastHoursOption,
    PriorityOption,
    SinceOption,
)
from hammerwork_cli.models import FAILURES, JobFilter, JobStatus
from hammerwork_cli.queries.job import listing
from hammerwork_cli.render.job import listing as listed


def list_(
    ctx: typer.Context,
    queue: QueueOption = None,
    status: StatusOption = None,
    priority: PriorityOption = None,
    failed: FailedOption = False,
    completed: Annotated[bool, typer.Option("--completed", help="Only Completed jobs.")] = False,
    since: SinceOption = None,
    last_hours: LastHoursOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Jobs, newest first.

    The next page starts at --cursor with the id of the last job, or with its CREATED_AT/ID, which works even if
    that job is deleted meanwhile. A note says when there are more. A page after the last one is empty. Lists show
    the first 500 characters of an error in every format; `job show` has all of it.

    \b
    Examples:
      hammerwork job list --failed --last-hours 24
      hammerwork job list --queue video_ingest --status running,pending --priority high,critical
      hammerwork job list --cursor "$(hammerwork job list --format json | jq -r '.[-1].id')"
    """
    context: Context = ctx.obj
    wanted = {*(statuses(status) or ()), *(FAILURES if failed else ()), *((JobStatus.COMPLETED,) if completed else ())}
    chosen = JobFilter(
        queue=queue,
        statuses=tuple(sorted(wanted)),
        priorities=read.priorities(priority),
        since=read.start_of_window(context.now(), since, last_hours),
    )
    page = listing.find(context.database(), chosen, limit=limit, cursor=cursor)
    context.show(
        page.jobs,
        form,
        columns=listed.columns(context.now()),
        record=listed.job_record,
        keys=listed.LIST_KEYS,
        empty="No job matches.",
    )
    if page.cursor:
        context.note(f"There are more: --cursor {page.cursor}")


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
