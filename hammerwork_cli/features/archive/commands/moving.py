"""``hammerwork archive restore`` and ``purge``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.option_sets import expand_option_groups
from hammerwork_cli.cli.options import MOST_DAYS, JobArgument, QueueOption, WithoutColumnOption, age
from hammerwork_cli.core.input.reading import before
from hammerwork_cli.errors import LIST_ARCHIVED, UsageError
from hammerwork_cli.features.archive.commands.ages import days
from hammerwork_cli.features.archive.models.lists import ArchiveFilter
from hammerwork_cli.features.archive.queries import moving
from hammerwork_cli.features.archive.queries.listing import Archived, ArchivedTree, NamedArchived
from hammerwork_cli.features.job.commands.execute import Confirmation, execute
from hammerwork_cli.features.job.queries import listing


@expand_option_groups
def restore(
    ctx: typer.Context,
    job: JobArgument,
    tree: Annotated[bool, typer.Option("--tree", help="JOB and everything below it.")] = False,
    run_again: Annotated[
        bool, typer.Option("--run-again", help="The jobs become Pending with 0 attempts, due now.")
    ] = False,
    as_was: Annotated[
        bool, typer.Option("--as-was", help="The jobs keep the status in which they were archived.")
    ] = False,
    without_column: WithoutColumnOption = None,
    *,
    confirmation: Confirmation,
) -> None:
    """
    A failed job runs again. For a completed job, or a tree, add --run-again or --as-was. Jobs that run again wait for
    their parents, if these have to run first. A job that has spawned does not spawn again. Jobs that hammerwork (Rust)
    has archived are restored too. Exit code 5 if the job is not in the archive, 6 if it also exists outside of it.

    \b
    Examples:
      hammerwork archive restore 178ebfc3
      hammerwork archive restore 178ebfc3 --as-was
      hammerwork archive restore 178ebfc3 --tree --run-again --yes
    """
    context: Context = ctx.obj
    if run_again and as_was:
        raise UsageError("Give --run-again or --as-was, not both.")
    database = context.database(changes=True)
    top = listing.resolve(database, job, hint=LIST_ARCHIVED)
    named = NamedArchived([top])
    how = "run_again" if run_again else "as_was" if as_was else None
    again = moving.runs_again(database, named, how, tree=tree, hint="Add --run-again or --as-was.")
    change = moving.RestoreArchived(context.now(database), again=again, without=without_column or ())
    execute(context, database, ArchivedTree(top) if tree else named, change, confirmation)


@expand_option_groups
def purge(
    ctx: typer.Context,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help="Only jobs archived longer ago than this: 365d."),
    ] = None,
    older_than_days: Annotated[
        float | None, typer.Option("--older-than-days", min=0, max=MOST_DAYS, hidden=True)
    ] = None,
    queue: QueueOption = None,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Archived jobs that others wait for stay, and so do jobs that their program keeps (retention_delete_at).

    \b
    Examples:
      hammerwork archive purge --older-than 365d --dry-run
      hammerwork archive purge --older-than 90d --queue mail --yes
    """
    context: Context = ctx.obj
    lengths = [age(older_than)] if older_than is not None else []
    lengths += [days(older_than_days)] if older_than_days is not None else []
    if not lengths:
        raise UsageError("No age was given.", hint="Add --older-than 365d.")
    database = context.database(changes=True)
    now = context.now(database)
    start = before(now, max(lengths))
    wanted = ArchiveFilter(queues=tuple(queue or ()), before=start, kept_until=now)
    execute(context, database, Archived(wanted), moving.PurgeArchive(now, start), confirmation, always_ask=True)
