"""``hammerwork cron enable``, ``disable``, ``trigger``, ``convert`` and ``delete``."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    DryRunOption,
    Format,
    FormatOption,
    GiveUpOption,
    NoEncryptOption,
    ReasonOption,
    YesOption,
)
from hammerwork_cli.core.input.reading import instant_of
from hammerwork_cli.errors import AnswerIsNoError, HammerworkError, UsageError
from hammerwork_cli.features.cron.commands.arguments import ScheduleArgument, ShowOnlyOption, note_meaning
from hammerwork_cli.features.cron.model import Schedule
from hammerwork_cli.features.cron.queries import changes, manual, schedules
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.cron.views import schedules as views
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.options import json_value
from hammerwork_cli.features.job.queries import changes as job_changes
from hammerwork_cli.features.job.queries.changes import Delete
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.job.views.changes import raise_refusal
from hammerwork_cli.features.spawn.commands.wait import require_completed, waiter_of
from hammerwork_cli.features.spawn.views.wait import wait_text
from hammerwork_cli.view.text import plural, visible

SchedulesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[SCHEDULE]...", help="Names, or at least the first 4 hex digits of ids.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All schedules; asks for confirmation.")]


def enable(
    context: Context,
    names: SchedulesArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork cron enable report
      hammerwork cron enable --all --yes
    """
    _switch(context, names, every=every, yes=yes, dry_run=dry_run, form=form, enabled=True, reason=None)


def disable(
    context: Context,
    names: SchedulesArgument = None,
    reason: ReasonOption = None,
    every: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    A recurring job becomes due in 2038, so that no worker claims it. The command refuses a Running one (exit code 6),
    because its worker would overwrite the change.

    \b
    Examples:
      hammerwork cron disable report --reason "the warehouse is down"
      hammerwork cron disable --all --yes
    """
    _switch(context, names, every=every, yes=yes, dry_run=dry_run, form=form, enabled=False, reason=reason)


def _switch(
    context: Context,
    names: list[str] | None,
    *,
    every: bool,
    yes: bool,
    dry_run: bool,
    form: Format,
    enabled: bool,
    reason: str | None,
) -> None:
    if every == bool(names):
        raise UsageError("Give names of schedules, or --all.")
    database = context.database(changes=not dry_run)
    found = (
        schedules.all_schedules(database)
        if every
        else list({one.id: one for one in (schedules.find(database, name) for name in names or ())}.values())
    )
    wanted = [schedule for schedule in found if schedule.enabled != enabled]
    if dry_run:
        state = "enabled" if enabled else "disabled"
        lines = (f"{visible(one.name)} {'would be' if one in wanted else 'was already'} {state}." for one in found)
        _show(context, [replace(one, enabled=enabled) for one in found], form, lines)
        return
    if every and wanted:
        verb = "Enable" if enabled else "Disable"
        context.confirm(
            f"{verb} {plural(len(wanted), 'schedule')}?", yes=yes, form=form, plan=[one.name for one in wanted]
        )
    author, now = Author(context.operator, reason), context.now(database)
    switched, failed = [], 0
    for one in found:
        try:
            switched.append(manual.switch(database, one, author, now, enabled=enabled))
        except HammerworkError as error:
            if not every:
                raise
            failed += 1
            context.note(f"{visible(one.name)} was not changed: {error.message}")
    _show(context, [one.after for one in switched], form, map(views.switched_text, switched))
    if failed:
        raise AnswerIsNoError(f"{plural(failed, 'schedule')} could not be {'enabled' if enabled else 'disabled'}.")


def _show(context: Context, after: Iterable[Schedule], form: Format, lines: Iterable[str]) -> None:
    if form is Format.TABLE:
        context.text(lines)
    else:
        context.data(map(views.changed_record, after), form, views.SCHEDULE.columns)


def trigger(
    context: Context,
    name: ScheduleArgument,
    payload: Annotated[
        str | None,
        typer.Option("-j", "--payload", metavar="JSON", help="Keys to replace in the payload: JSON, @FILE, or -."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Earliest start: 2026-12-24T18:00:00Z. [default: now]")
    ] = None,
    no_encrypt: NoEncryptOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job and all jobs below it have ended.")] = False,
    timeout: GiveUpOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    This works for a disabled schedule too. Due times do not change. With --wait, the exit code is that of `spawn wait`:
    1 when jobs failed, 124 when --timeout passes.

    \b
    Examples:
      hammerwork cron trigger report
      hammerwork cron trigger report --payload '{"day": "2026-11-24"}'
      hammerwork cron trigger report --wait --timeout 15m
    """
    waiter = waiter_of(context, timeout)
    start = None if at is None else instant_of(at)
    merged = None if payload is None else json_value(read.text_from(payload), "The payload")
    database = context.database(changes=True, plaintext_meant=no_encrypt)
    schedule = schedules.find(database, name)
    if wait and schedule.is_in_place:
        raise UsageError("--wait is for schedules: a recurring job does not end.")
    job = manual.trigger(database, schedule, context.now(database), at=start, payload=merged)
    context.answer(views.TRIGGERED.record(views.Triggered(schedule, job)), form, lambda: [job])
    if wait:
        result = waiter.wait(database, job, whole=False, now=context.now(database))
        for line in wait_text(result, width=context.width):
            context.note(line)
        require_completed(result, timeout)


def convert(
    context: Context,
    name: ScheduleArgument,
    new: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the schedule.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Exit code 6 if it has been converted before.

    \b
    Examples:
      hammerwork cron convert 178ebfc3 --name nightly
    """
    database = context.database(changes=True)
    now, job = context.now(database), schedules.find(database, name)
    schedule = manual.convert(database, job, new, Author(context.operator), now)
    note_meaning(context, database, schedule, now)
    context.answer(views.changed_record(schedule), form, lambda: [visible(schedule.name)])


def delete(
    context: Context,
    name: ScheduleArgument,
    dry_run: ShowOnlyOption = False,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    If NAME is a recurring job, the command deletes the job itself, unless it is Running. Asks for confirmation.

    \b
    Examples:
      hammerwork cron delete report
      hammerwork cron delete report --yes
    """
    database = context.database(changes=True)
    schedule = schedules.find(database, name)
    named = f"the {'recurring job' if schedule.is_in_place else 'schedule'} {visible(schedule.name)}"
    job, change = ByIds([schedule.id]), Delete(context.now(database))
    if schedule.is_in_place:
        raise_refusal(job_changes.refused(database, change, job_changes.plan(database, job, change)))
    if not dry_run:
        history = "" if schedule.is_in_place else " and its history"
        context.confirm(f"Delete {named}{history}?", yes=yes, form=form, plan=[schedule.name])
        if schedule.is_in_place:
            raise_refusal(job_changes.refused(database, change, job_changes.run(database, job, change)))
        else:
            changes.delete(database, schedule)
    would = "Would delete" if dry_run else "Deleted"
    context.answer(views.changed_record(schedule), form, lambda: [f"{would} {named}."])
