"""``hammerwork spawn why``."""

from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    Format,
    FormatOption,
    JobArgument,
)
from hammerwork_cli.errors import ShownAnswerError


def why(
    ctx: typer.Context,
    job: JobArgument,
    limit: Annotated[
        int, typer.Option("-l", "--limit", metavar="N", min=1, max=10_000, help="Jobs to list for each error.")
    ] = 3,
    form: FormatOption = Format.TABLE,
) -> None:
    """Explain why a job, or a job below it, failed or waits: failures by error, deepest first, each with its path.

    Also searches upward for the cause, or for the blocker. For a job without a blocker it says whether the job is
    not due, between two attempts, without a worker, in a paused queue, or Running for over an hour with no live
    worker. Exit code 1 when a failure was found, else 0.

    \b
    Examples:
      hammerwork spawn why 178ebfc3
      hammerwork spawn why 178ebfc3 --limit 20
      hammerwork spawn why 178ebfc3 --format json | jq -r '.next[]'
    """
    from hammerwork_cli.queries.job import listing
    from hammerwork_cli.queries.spawn import why as why_queries
    from hammerwork_cli.render.formats.text import failed_of
    from hammerwork_cli.render.spawn import why as why_views

    context: Context = ctx.obj
    database = context.database()
    now = context.now()
    found = why_queries.diagnose(database, listing.resolve(database, job), limit=limit, now=now)
    style: dict[str, Any] = {"charset": context.charset, "width": context.width, "colour": context.colour, "now": now}
    context.answer(
        why_views.diagnosis_record(found, limit, now),
        form,
        lambda: why_views.diagnosis_text(found, limit, **style),
    )
    if found.failed:
        raise ShownAnswerError(
            f"{failed_of(found.counts)} failed." if found.counts.failed else "A job above this one failed."
        )
