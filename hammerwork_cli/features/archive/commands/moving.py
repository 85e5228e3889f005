"""``hammerwork archive run``, ``restore`` and ``purge``."""

from datetime import timedelta
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    MOST_DAYS,
    JobArgument,
    QueueOption,
    StatusOption,
    WithoutColumnOption,
    age,
    statuses,
)
from hammerwork_cli.core.input.reading import before
from hammerwork_cli.core.values import ENDS, JobStatus
from hammerwork_cli.errors import LIST_ARCHIVED, UsageError
from hammerwork_cli.features.archive.commands.policies import (
    AgesInDays,
    BatchOption,
    HiddenByOption,
    OlderThanOption,
    ages_by_status,
    days,
    note_uncounted,
    selection,
)
from hammerwork_cli.features.archive.models.lists import ArchiveFilter
from hammerwork_cli.features.archive.models.policies import COMPRESSION_LEVEL, By
from hammerwork_cli.features.archive.models.rows import Archival, ArchivalReason
from hammerwork_cli.features.archive.queries import moving
from hammerwork_cli.features.archive.queries.listing import Archived, ArchivedTree, NamedArchived
from hammerwork_cli.features.job.commands.execute import Confirmation, execute
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.job.queries.selections import BATCH

USUAL = dict.fromkeys(ENDS, timedelta(days=30)) | {JobStatus.COMPLETED: timedelta(days=7)}
"""The ages of ``archive run``, unless others are given."""


def run(
    context: Context,
    queue: QueueOption = None,
    status: StatusOption = None,
    older_than: OlderThanOption = None,
    tree: Annotated[
        bool, typer.Option("--tree/--no-tree", help="Take whole trees (QUEUE is the root's), or single jobs.")
    ] = True,
    by: HiddenByOption = None,
    compress: Annotated[bool, typer.Option("--compress/--no-compress", help="Compress payloads with gzip.")] = True,
    compression_level: Annotated[
        int, typer.Option("--compression-level", metavar="LEVEL", min=1, max=9, help="Compression level.")
    ] = COMPRESSION_LEVEL,
    batch_size: BatchOption = BATCH,
    reason: Annotated[
        ArchivalReason, typer.Option("--reason", case_sensitive=False, help="Reason to record.")
    ] = ArchivalReason.MANUAL,
    archived_by: Annotated[
        str | None,
        typer.Option("--archived-by", metavar="NAME", help="Name to record (default: yours)."),
    ] = None,
    *,
    in_days: AgesInDays,
    confirmation: Confirmation,
) -> None:
    """
    Without --older-than, Completed jobs are old enough after 7 days and others after 30. A tree is archived once all of
    its jobs have ended and are old enough. The lowest jobs go first and the root last, so you can run the command again
    after an interruption. A job that is retried meanwhile stays, with everything above it. So do recurring jobs, jobs
    that others wait for, and jobs with a retention_delete_at in the future. `job show` and `spawn tree` find archived
    jobs too, and `archive restore` brings them back.

    \b
    Examples:
      hammerwork archive run --older-than 30d --dry-run
      hammerwork archive run --queue mail --older-than 90d,completed=7d --yes
      hammerwork archive run --status completed --no-tree --yes
    """
    asked = {status: age(length) for status, length in ages_by_status(older_than).items()}
    ages = USUAL | asked | in_days.given()
    if by is not None:
        tree = by is By.TREE
    wanted = statuses(status)
    database = context.database(changes=True)
    now = context.now(database)
    how = Archival(now, reason, archived_by or context.operator, compression_level if compress else None)
    chosen = selection(database, now, ages, queues=queue or (), wanted=wanted, whole=tree, batch=batch_size)
    change = moving.Archive(how, whole=tree)
    execute(context, database, chosen, change, confirmation, always_ask=True)
    note_uncounted(context, database)


def restore(
    context: Context,
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
    parents that must run first. A job that has spawned does not spawn again. Jobs that hammerwork (Rust) has archived
    are restored too. Exit code 5 if the job is not in the archive, 6 if it also exists outside of it.

    \b
    Examples:
      hammerwork archive restore 178ebfc3
      hammerwork archive restore 178ebfc3 --as-was
      hammerwork archive restore 178ebfc3 --tree --run-again --yes
    """
    if run_again and as_was:
        raise UsageError("Give --run-again or --as-was, not both.")
    database = context.database(changes=True)
    top = listing.resolve(database, job, hint=LIST_ARCHIVED)
    named = NamedArchived([top])
    how = "run_again" if run_again else "as_was" if as_was else None
    again = moving.runs_again(database, named, how, tree=tree, hint="Add --run-again or --as-was.")
    change = moving.RestoreArchived(context.now(database), again=again, without=without_column or ())
    execute(context, database, ArchivedTree(top) if tree else named, change, confirmation)


def purge(
    context: Context,
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
    lengths = [age(older_than)] if older_than is not None else []
    lengths += [days(older_than_days)] if older_than_days is not None else []
    if not lengths:
        raise UsageError("No age was given.", hint="Add --older-than 365d.")
    database = context.database(changes=True)
    now = context.now(database)
    start = before(now, max(lengths))
    wanted = ArchiveFilter(queues=tuple(queue or ()), before=start, kept_until=now)
    execute(context, database, Archived(wanted), moving.PurgeArchive(now, start), confirmation, always_ask=True)
