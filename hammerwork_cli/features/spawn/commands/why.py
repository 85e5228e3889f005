"""``hammerwork spawn why``."""

from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, OptionalJobArgument, QueueOption, since_option
from hammerwork_cli.core.input.reading import since_of
from hammerwork_cli.errors import ShownAnswerError, UsageError

JOBS, ERRORS = 3, 20
"""Jobs of each error, and errors, that are listed by default."""


def why(
    context: Context,
    job: OptionalJobArgument = None,
    queue: QueueOption = None,
    since: Annotated[str | None, since_option("Only failures")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "-l", "--limit", metavar="N", min=1, max=10_000, help="Jobs for each error (3), or errors without JOB (20)."
        ),
    ] = None,
    exit_code: Annotated[
        bool | None,
        typer.Option("--exit-code/--no-exit-code", help="Exit with 1 when a failure was found. [default: with JOB]"),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    With JOB, the command shows failures by error, deepest first, each with its path. It also searches upward for the
    cause or the blocker. If nothing blocks the job, it says whether the job is not due, is between two attempts, has no
    worker, is in a paused queue, or has been Running for over an hour with no live worker.

    --no-exit-code makes the exit code 0, for scripts with `set -e`. Without it, the exit code is 1 when the command
    finds a failure.

    Without JOB, it groups the failed and retrying jobs of a queue or of the database by error, most frequent first,
    with the number of trees, an example, and the command that retries them. Numbers, ids and quoted words in errors
    count as equal and appear as *, which `job retry --error` understands.

    \b
    Examples:
      hammerwork spawn why 178ebfc3
      hammerwork spawn why 178ebfc3 --format json | jq -r '.next[]'
      hammerwork spawn why --queue segment --since 2h
      hammerwork spawn why --since 1d --format json | jq -r '.groups[].retry'
    """
    if job is None:
        _all(context, queue, since, limit or ERRORS, form, exits=exit_code is True)
    elif queue is not None or since is not None:
        raise UsageError("Give JOB, or --queue and --since, not both.")
    else:
        _one(context, job, limit or JOBS, form, exits=exit_code is not False)


def _one(context: Context, job: str, limit: int, form: Format, *, exits: bool) -> None:
    from hammerwork_cli.features.job.queries import listing
    from hammerwork_cli.features.spawn.queries import why as why_queries
    from hammerwork_cli.features.spawn.views import why as why_views

    database = context.database()
    now = context.now()
    found = why_queries.diagnose(database, listing.resolve(database, job), limit=limit, now=now)
    style: dict[str, Any] = {"charset": context.charset, "width": context.width, "colour": context.colour, "now": now}
    context.answer(
        why_views.WHY.record(why_views.Explained(found, limit, now)),
        form,
        lambda: why_views.diagnosis_text(found, limit, **style),
    )
    if exits and found.failed:
        raise ShownAnswerError(why_views.summary(found))


def _all(
    context: Context, queue: list[str] | None, since: str | None, limit: int, form: Format, *, exits: bool
) -> None:
    from hammerwork_cli.features.spawn.queries import failures as failures_queries
    from hammerwork_cli.features.spawn.views import failures as failures_views

    start = None if since is None else since_of(since, context.now())
    database = context.database()
    found = failures_queries.failures(database, limit=limit, queues=queue or (), since=start)
    if form in {Format.TABLE, Format.JSON}:
        style: dict[str, Any] = {"charset": context.charset, "width": context.width, "colour": context.colour}
        context.answer(failures_views.ERRORS.record(found), form, lambda: failures_views.failures_text(found, **style))
    else:
        context.data(
            map(failures_views.ERROR_GROUP.record, failures_views.reported(found)),
            form,
            failures_views.ERROR_GROUP.columns,
        )
    if exits and found.groups:
        raise ShownAnswerError(failures_views.summary(found))
