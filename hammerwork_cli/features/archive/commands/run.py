"""``hammerwork archive run``."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.option_sets import expand_option_groups
from hammerwork_cli.cli.options import QueueOption, StatusOption, age, statuses
from hammerwork_cli.features.archive.commands.ages import (
    BatchOption,
    By,
    ByOption,
    days,
    days_option,
    note_uncounted,
    selection,
)
from hammerwork_cli.features.archive.models.ages import Ages
from hammerwork_cli.features.archive.models.rows import Archival, ArchivalReason
from hammerwork_cli.features.archive.queries import moving
from hammerwork_cli.features.job.commands.execute import Confirmation, execute
from hammerwork_cli.features.job.queries.selections import BATCH


class ArchiveReason(StrEnum):
    """Why jobs are archived."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    COMPLIANCE = "compliance"
    MAINTENANCE = "maintenance"


def _days(status: str, default: int) -> Any:
    return days_option(f"{status} jobs that ended more than DAYS days ago. [default: {default}]")


@expand_option_groups
def run(
    ctx: typer.Context,
    queue: QueueOption = None,
    status: StatusOption = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="DURATION", help="Jobs of any status that ended longer ago than this: 30d."
        ),
    ] = None,
    completed_after_days: Annotated[float | None, _days("Completed", 7)] = None,
    failed_after_days: Annotated[float | None, _days("Failed", 30)] = None,
    dead_after_days: Annotated[float | None, _days("Dead", 30)] = None,
    timed_out_after_days: Annotated[float | None, _days("TimedOut", 30)] = None,
    by: ByOption = By.TREE,
    compress: Annotated[bool, typer.Option("--compress/--no-compress", help="Compress payloads with gzip.")] = True,
    compression_level: Annotated[
        int, typer.Option("--compression-level", metavar="LEVEL", min=1, max=9, help="Compression level.")
    ] = 6,
    batch_size: BatchOption = BATCH,
    reason: Annotated[
        ArchiveReason, typer.Option("--reason", case_sensitive=False, help="Reason to record.")
    ] = ArchiveReason.MANUAL,
    archived_by: Annotated[
        str | None,
        typer.Option("--archived-by", metavar="NAME", help="Name to record (default: yours)."),
    ] = None,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Archives whole trees once all of their jobs have ended and are old enough: the lowest jobs first and the root last,
    so that you can run the command again after an interruption. Keeps a job that is retried meanwhile, and everything
    above it. Also keeps recurring jobs, jobs that others wait for, and jobs with a retention_delete_at in the future.
    `job show` and `spawn tree` find archived jobs too, and `archive restore` brings them back.

    \b
    Examples:
      hammerwork archive run --older-than 30d --dry-run
      hammerwork archive run --queue mail --completed-after-days 7 --yes
      hammerwork archive run --status completed --by job --yes
    """
    context: Context = ctx.obj
    default = None if older_than is None else age(older_than) / timedelta(days=1)
    ages = Ages(
        completed=days(completed_after_days, default, 7),
        failed=days(failed_after_days, default, 30),
        dead=days(dead_after_days, default, 30),
        timed_out=days(timed_out_after_days, default, 30),
    )
    wanted = statuses(status)
    database = context.database(changes=True)
    now = context.now(database)
    how = Archival(
        now, ArchivalReason[reason.name], archived_by or context.operator, compression_level if compress else None
    )
    chosen = selection(database, now, ages, queues=queue or (), wanted=wanted, by=by, batch=batch_size)
    change = moving.Archive(how, whole=by is By.TREE)
    execute(context, database, chosen, change, confirmation, always_ask=True)
    note_uncounted(context, database)
