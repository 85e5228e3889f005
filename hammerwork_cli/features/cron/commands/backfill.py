"""``hammerwork cron backfill``."""

from datetime import datetime
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, YesOption, since_option, until_option
from hammerwork_cli.core.input.reading import since_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.cron.commands.arguments import ScheduleArgument
from hammerwork_cli.features.cron.model import Gap
from hammerwork_cli.features.cron.queries import backfill as filling
from hammerwork_cli.features.cron.queries import schedules
from hammerwork_cli.features.cron.views import runs as views
from hammerwork_cli.view.text import instant, plural, visible


def backfill(
    context: Context,
    name: ScheduleArgument,
    start: Annotated[str, since_option("Due times")],
    end: Annotated[str | None, until_option("Due times")] = None,
    most: Annotated[
        int, typer.Option("--max", metavar="N", min=1, max=filling.MOST, help="Refuse to enqueue more jobs than this.")
    ] = 1_000,
    one_at_a_time: Annotated[
        bool,
        typer.Option("--one-at-a-time", help="Let each job wait for the previous one; if one fails, so do the rest."),
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    A due time has no job if no worker was running, the schedule was disabled or did not exist yet, or its run was
    skipped or missed. Each job knows its due time: `_schedule` in its payload. The command enqueues all of these jobs
    or none. You can repeat it: a due time that has a job does not get another one. Asks for confirmation.

    \b
    Examples:
      hammerwork cron backfill report --since 7d --dry-run
      hammerwork cron backfill report --since 2026-11-01 --until 2026-11-08 --one-at-a-time
    """
    database = context.database(changes=not dry_run)
    schedule, now = schedules.find(database, name), context.now(database)
    first, before = since_of(start, now), now if end is None else since_of(end, now)
    _check(first, before, now)
    found = filling.gaps(database, schedule, first, before, most)
    if found and not dry_run:
        context.confirm(
            f"Enqueue {plural(len(found), 'job')} of the schedule {visible(schedule.name)}?",
            yes=yes,
            form=form,
            plan=[f"{instant(gap.due_at)} UTC" for gap in found],
        )
        found = filling.fill(database, schedule, found, now, one_at_a_time=one_at_a_time)
    _show(context, found, form)
    if found:
        context.note(f"{'Would enqueue' if dry_run else 'Enqueued'} {plural(len(found), 'job')}.")


def _check(first: datetime, before: datetime, now: datetime) -> None:
    if before > now:
        raise UsageError("--until is in the future.", hint="Leave it out to enqueue what is due until now.")
    if first >= before:
        raise UsageError("--since is in the future." if first >= now else "--since is not before --until.")


def _show(context: Context, found: list[Gap], form: Format) -> None:
    context.show(
        found,
        form,
        columns=views.GAPS,
        shape=views.GAP,
        empty="No due time in that span lacks a job.",
    )
