"""``hammerwork job retry | cancel | delete | purge``: changes to jobs, one by its id or many."""

from collections.abc import Collection
from typing import Annotated

import typer

from hammerwork_cli.commands import job_options as read
from hammerwork_cli.commands.carry_out import Manner, carry_out
from hammerwork_cli.commands.job_options import (
    AllOption,
    DryRunOption,
    ForceOption,
    JobIdOption,
    JobsArgument,
    LastHoursOption,
    PriorityOption,
    SinceOption,
    TreeOption,
)
from hammerwork_cli.commands.options import (
    Format,
    FormatOption,
    QueueOption,
    StatusOption,
    YesOption,
    duration,
    statuses,
)
from hammerwork_cli.context import Context
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import FAILURES, FINISHED, WAITING, JobFilter, JobStatus
from hammerwork_cli.queries import jobs
from hammerwork_cli.queries.job_changes import Cancel, Change, Delete, Retry
from hammerwork_cli.queries.job_selections import Below, Chosen, Named, Selection
from hammerwork_cli.render import job_outcomes as shown

OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="STATUS", help="With --tree: only these; failed means Failed, Dead and TimedOut."),
]
OlderThanOption = Annotated[
    str | None, typer.Option("--older-than", metavar="DURATION", help="Only jobs that ended longer ago: 12h, 30d.")
]
OlderThanDaysOption = Annotated[float | None, typer.Option("--older-than-days", min=0, max=100_000, hidden=True)]


def retry(
    ctx: typer.Context,
    job: JobsArgument = None,
    queue: QueueOption = None,
    status: StatusOption = None,
    priority: PriorityOption = None,
    since: SinceOption = None,
    last_hours: LastHoursOption = None,
    all_: AllOption = False,
    tree: TreeOption = False,
    only: OnlyOption = None,
    force: ForceOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
    job_id: JobIdOption = None,
) -> None:
    """Runs jobs again that are Failed, Dead or TimedOut: Pending, attempts 0, due now, the error and result cleared.

    Jobs that failed only because of these run again after them. With --tree it acts on everything below JOB,
    JOB included. --force also takes a Running job, which a worker may then run twice at once; a Completed one,
    whose children stay; and one that depends on a failed job. More than one job by its id needs consent. A tree
    into which jobs are inserted for ever is given up after half a minute, with exit code 1.

    \b
    Examples:
      hammerwork job retry 1c22a0f1
      hammerwork job retry 178ebfc3 --tree --only failed
      hammerwork job retry --queue mail --status dead --since 2h --dry-run
      hammerwork job retry --all --yes
    """
    context: Context = ctx.obj
    change = Retry(context.now(), force=force)
    wanted = _acceptable(change, statuses(status)) or FAILURES
    chosen = JobFilter(
        queue=queue,
        statuses=tuple(sorted(wanted)),
        priorities=read.priorities(priority),
        since=read.start_of_window(context.now(), since, last_hours),
        unarchived=True,
    )
    database = context.database()
    ids = _ids(database, job, job_id)
    below = _acceptable(change, _only(only)) or FAILURES
    selection = _selection(
        ids,
        chosen,
        below if tree else None,
        filtered=_is_given(queue, status, priority, since, last_hours),
        everything=all_,
    )
    carry_out(context, database, selection, change, Manner(shown.RETRY, form, yes, dry_run))


def cancel(
    ctx: typer.Context,
    job: JobsArgument = None,
    queue: QueueOption = None,
    status: StatusOption = None,
    priority: PriorityOption = None,
    since: SinceOption = None,
    last_hours: LastHoursOption = None,
    all_: AllOption = False,
    tree: TreeOption = False,
    only: OnlyOption = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the job's error.")] = None,
    force: ForceOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
    job_id: JobIdOption = None,
) -> None:
    """Cancels jobs that have not begun: Failed, and the error says by whom. Jobs that wait for them fail too.

    Nothing is deleted, so what was cancelled can be seen, and run with `job retry`; to get the row removed:
    `job delete`. With --tree it acts on JOB and everything below. --force also takes a Running job; its worker
    is not stopped, and a Rust worker overwrites the status when it ends. More than one job by its id needs
    consent.

    \b
    Examples:
      hammerwork job cancel 1c22a0f1 --reason "wrong file"
      hammerwork job cancel 178ebfc3 --tree --yes
      hammerwork job cancel --queue mail --dry-run
    """
    context: Context = ctx.obj
    change = Cancel(context.now(), by=context.operator, reason=reason, force=force)
    wanted = _acceptable(change, statuses(status)) or WAITING
    chosen = JobFilter(
        queue=queue,
        statuses=tuple(sorted(wanted)),
        priorities=read.priorities(priority),
        since=read.start_of_window(context.now(), since, last_hours),
        unarchived=True,
    )
    database = context.database()
    ids = _ids(database, job, job_id)
    # What runs is counted among what is left, since it can still spawn.
    below = _acceptable(change, _only(only)) or WAITING | {JobStatus.RUNNING}
    selection = _selection(
        ids,
        chosen,
        below if tree else None,
        filtered=_is_given(queue, status, priority, since, last_hours),
        everything=all_,
    )
    carry_out(context, database, selection, change, Manner(shown.CANCEL, form, yes, dry_run))


def delete(
    ctx: typer.Context,
    job: JobsArgument = None,
    queue: QueueOption = None,
    status: StatusOption = None,
    priority: PriorityOption = None,
    since: SinceOption = None,
    last_hours: LastHoursOption = None,
    older_than: OlderThanOption = None,
    all_: AllOption = False,
    force: ForceOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
    job_id: JobIdOption = None,
) -> None:
    """Deletes jobs for good, after consent even for one. Copies in the archive stay.

    A Running job, and one that others wait for, is deleted only with --force. Jobs that a deleted one spawned
    stay, and lose their place in its tree.

    \b
    Examples:
      hammerwork job delete 1c22a0f1
      hammerwork job delete --queue test --all --yes
      hammerwork job delete --status dead --older-than 30d --dry-run
    """
    context: Context = ctx.obj
    change = Delete(context.now(), force=force)
    chosen = JobFilter(
        queue=queue,
        statuses=tuple(_acceptable(change, statuses(status))),
        priorities=read.priorities(priority),
        since=read.start_of_window(context.now(), since, last_hours),
        ended_before=read.before(context.now(), duration(older_than)) if older_than else None,
    )
    database = context.database()
    ids = _ids(database, job, job_id)
    given = _is_given(queue, status, priority, since, last_hours, older_than)
    selection = _selection(ids, chosen, None, filtered=given, everything=all_)
    if len(ids) == 1:
        _warn_of_children(context, database, ids[0])
    carry_out(context, database, selection, change, Manner(shown.DELETE, form, yes, dry_run), always_ask=True)


def purge(
    ctx: typer.Context,
    completed: Annotated[bool, typer.Option("--completed", help="Completed ones.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Dead ones.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Failed ones.")] = False,
    timed_out: Annotated[bool, typer.Option("--timed-out", help="TimedOut ones.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="All of these.")] = False,
    older_than: OlderThanOption = None,
    older_than_days: OlderThanDaysOption = None,
    queue: QueueOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Deletes finished jobs for good, after consent; the age counts from when they ended.

    Finished jobs that others wait for stay. Copies in the archive stay.

    \b
    Examples:
      hammerwork job purge --completed --older-than 30d --dry-run
      hammerwork job purge --completed --dead --queue mail --yes
      hammerwork job purge --all --older-than 365d --yes
    """
    context: Context = ctx.obj
    asked = {
        JobStatus.COMPLETED: completed,
        JobStatus.DEAD: dead,
        JobStatus.FAILED: failed,
        JobStatus.TIMED_OUT: timed_out,
    }
    wanted = FINISHED if all_ else {status for status, given in asked.items() if given}
    if not wanted:
        raise UsageError("Which finished jobs?", hint="Add --completed, --dead, --failed, --timed-out or --all.")
    lengths = [duration(older_than)] if older_than else []
    lengths += [duration(f"{older_than_days:.3f}d")] if older_than_days is not None else []
    chosen = JobFilter(
        queue=queue,
        statuses=tuple(sorted(wanted)),
        ended_before=read.before(context.now(), max(lengths)) if lengths else None,
    )
    manner = Manner(shown.PURGE, form, yes, dry_run)
    carry_out(context, context.database(), Chosen(chosen), Delete(context.now()), manner)


# Which jobs.


def _ids(database: Database, named: list[str] | None, named_by_option: list[str] | None) -> list[str]:
    words = [word for value in (*(named or ()), *(named_by_option or ())) for word in value.split(",") if word.strip()]
    return list(dict.fromkeys(jobs.resolve(database, word) for word in words))


def _is_given(*options: object) -> bool:
    return any(option is not None and option != [] for option in options)


def _only(given: list[str] | None) -> Collection[JobStatus]:
    found = set(statuses(given) or ())
    return found | FAILURES if JobStatus.FAILED in found else found


def _acceptable(change: Change, wanted: Collection[JobStatus] | None) -> set[JobStatus]:
    """The statuses, provided that the change accepts them."""
    refused = sorted(status for status in wanted or () if not change.accepts(status))
    if refused:
        accepted = ", ".join(status.lower() for status in JobStatus if change.accepts(status))
        raise UsageError(
            f"{refused[0].value} jobs are left alone.", hint=f"Taken: {accepted}; --force may add to these."
        )
    return set(wanted or ())


def _selection(
    ids: list[str], chosen: JobFilter, below: Collection[JobStatus] | None, *, filtered: bool, everything: bool
) -> Selection:
    if ids and (filtered or everything):
        raise UsageError("Name jobs or choose them by filters, not both.")
    if below is not None:
        if len(ids) != 1:
            raise UsageError("--tree needs one JOB, at the top of what is meant.")
        return Below(ids[0], below)
    if ids:
        return Named(ids)
    if not filtered and not everything:
        raise UsageError("Which jobs?", hint="Name some, add a filter, or say --all.")
    return Chosen(chosen)


def _warn_of_children(context: Context, database: Database, job: str) -> None:
    children = jobs.details(database, job).children.total
    if children:
        context.note(f"Jobs that depend on it: {children:,}. They stay, and lose their place in its tree.")
