"""``hammerwork queue``: list, check, pause, limit and clear queues."""

from collections import Counter
from datetime import datetime
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.limits import LimitOptions
from hammerwork_cli.cli.lists import Listing, ListOptions, note_lost_jobs, show_list
from hammerwork_cli.cli.options import (
    DryRunOption,
    Format,
    FormatOption,
    ReasonOption,
    YesOption,
    one_name,
    several_names,
    since_option,
    start_of,
)
from hammerwork_cli.cli.verb import ONLY_QUEUES, group
from hammerwork_cli.core.input.rates import is_rate
from hammerwork_cli.core.values import WAITING
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ShownAnswerError, UsageError
from hammerwork_cli.features.job.commands.execute import Confirmation, execute
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries.changes import Delete
from hammerwork_cli.features.job.queries.selections import ByFilter
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.model import EVERY_QUEUE, PauseChange
from hammerwork_cli.features.queue.views import changes as changes_views
from hammerwork_cli.features.queue.views import health as health_views
from hammerwork_cli.features.queue.views import limits as limit_views
from hammerwork_cli.features.queue.views import listing
from hammerwork_cli.features.queue.views import stats as stats_views
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.features.worker.queries import limits
from hammerwork_cli.view.text import plural, visible

app = group(
    "queue list",
    "queue stats video_ingest --detailed",
    "queue pause video_ingest --reason 'disk full'",
    "queue limit video_ingest --concurrency 2",
)

QueueArgument = Annotated[str | None, typer.Argument(metavar="QUEUE", help="The queue's name.")]
OptionalQueueArgument = Annotated[str | None, typer.Argument(metavar="[QUEUE]", help="The queue's name.")]
QueuesArgument = Annotated[list[str] | None, typer.Argument(metavar="[QUEUE]...", help="Names of queues.")]
NamedOption = Annotated[str | None, typer.Option("-q", "--queue", callback=one_name, hidden=True)]
AllNamedOption = Annotated[list[str] | None, typer.Option("-q", "--queue", callback=several_names, hidden=True)]
AllOption = Annotated[bool, typer.Option("--all", help="All queues; asks for confirmation.")]


@app.verb("list")
def list_(
    context: Context,
    *,
    paused: Annotated[bool, typer.Option("--paused", help="Only paused queues.")] = False,
    internal: Annotated[
        bool, typer.Option("--internal", help="Also queues of hammerwork itself: deliveries to webhooks.")
    ] = False,
    options: ListOptions,
) -> None:
    """List queues that have jobs or are paused, with counts of their jobs and of the workers that serve them.

    The oldest pending job is the one that has been due for longest; jobs that wait for other jobs do not count.
    Archived jobs whose rows are still in hammerwork_jobs count by their status. In a pipe, --watch writes the list
    again whenever it changes; jsonl has only the queues that changed. The queue of webhooks is listed with --internal,
    and with --paused while it is paused.

    \b
    Examples:
      hammerwork queue list
      hammerwork queue list --watch --sort -ready
      hammerwork queue list --paused --format json | jq -r '.[].queue'
    """
    shown = Listing(
        name="queue list",
        read=lambda database: [
            row
            for row in queues.states(database, now=context.now())
            if (row.pause if paused else internal or not row.is_internal)
        ],
        columns=lambda: listing.PAUSED_STATES if paused else listing.STATES,
        shape=listing.QUEUE,
        empty="No queue with jobs is paused." if paused else "There are no jobs, and no queue is paused.",
    )
    show_list(context, shown, options)
    if options.form == Format.TABLE and not options.watch:
        if paused and (of_all := queues.pauses(context.database()).of_all):
            context.note(changes_views.all_paused_text(of_all))
        note_lost_jobs(context)


@app.verb("stats")
def stats(
    context: Context,
    queue: OptionalQueueArgument = None,
    detailed: Annotated[
        bool, typer.Option("--detailed", help="Also by priority, with throughput, failure rate and run times.")
    ] = False,
    since: Annotated[str, since_option("With --detailed: ended jobs")] = "1h",
    hours: Annotated[
        float | None,
        typer.Option("--hours", min=0.01, max=1_000_000, hidden=True, help="With --detailed: ended jobs."),
    ] = None,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Count the jobs of one queue, or of all, by status. Archived jobs count while their rows are in hammerwork_jobs.

    \b
    Examples:
      hammerwork queue stats
      hammerwork queue stats video_ingest --detailed --since 24h
      hammerwork queue stats video_ingest --format json | jq .by_status.Pending
    """
    now = context.now()
    window = now - start_of(now, since, hours) if detailed else None
    found = queues.stats(context.database(), now=now, queue=_one(queue, named), window=window)
    context.answer(
        stats_views.QUEUE_STATS.record(found),
        form,
        lambda: stats_views.stats_text(found, terminal=context.is_terminal, width=context.width, colour=context.colour),
    )


@app.verb("health")
def health(
    context: Context,
    queue: OptionalQueueArgument = None,
    *,
    named: NamedOption = None,
    most: LimitOptions,
    form: FormatOption = Format.TABLE,
) -> None:
    """Check queues against limits: exit code 0, or 1 when one exceeds a limit. 'off' disables a check.

    A job that has been Running for long may have lost its worker.

    \b
    Examples:
      hammerwork queue health
      hammerwork queue health mail --max-pending 500 --max-pending-age 5m --max-failure-rate off
      hammerwork queue health --format json | jq '.queues[].checks[] | select(.status == "exceeded")'
    """
    one, now = _one(queue, named), context.now()
    found = queues.health(context.database(), most.limits(), now=now, queue=one)
    if form in {Format.TABLE, Format.JSON}:
        context.answer(
            health_views.QUEUE_HEALTH.record(health_views.Checked(found, now)),
            form,
            lambda: health_views.health_text(
                found, one=one is not None, terminal=context.is_terminal, width=context.width, colour=context.colour
            ),
        )
    else:
        records = [health_views.CHECK.record(check) for row in found for check in row.checks]
        context.data(records, form, health_views.CHECK.columns)
    unhealthy = sum(not row.healthy for row in found)
    if unhealthy:
        raise ShownAnswerError(f"{unhealthy:,} of {plural(len(found), 'queue')} exceeded a limit.")


@app.verb("paused")
def paused(context: Context, form: FormatOption = Format.TABLE) -> None:
    """List paused queues: since when, by whom and why.

    \b
    Examples:
      hammerwork queue paused
      hammerwork queue paused --format json | jq -r '.[].queue'
    """
    context.show(
        queues.all_paused(context.database()),
        form,
        columns=listing.PAUSES,
        shape=listing.PAUSE,
        empty="No queue is paused.",
    )


@app.verb("pause")
def pause(
    context: Context,
    names: QueuesArgument = None,
    reason: ReasonOption = None,
    every: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    named: AllNamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Stop workers from claiming jobs of a queue. Running jobs continue, and you can add jobs.

    Jobs that a worker has claimed still start: workers claim short ones ahead, up to 200 ms of work, and these count as
    Running. Once `queue stats` shows no Running jobs, nothing in the queue runs.

    Pausing again changes only the reason, if you give one. You may pause a queue before it has jobs; a note then asks
    you to check the spelling.

    --all pauses for maintenance, and pauses future queues too. A queue that is already paused keeps its reason, and
    stays paused after `queue resume --all`. Rust workers respect such a pause only for queues that exist now.

    \b
    Examples:
      hammerwork queue pause mail --reason "the provider is down"
      hammerwork queue pause transcode thumbnail
      hammerwork queue pause --all --yes
    """
    database = context.database(changes=True)
    now = context.now(database)
    wanted = _several(names, named, every)
    if every:
        changes = queues.foresee_all(database, now=now, paused=True)
        if not dry_run:
            _agree(context, "Pause", changes, yes=yes, form=form)
            changes = queues.pause_all(database, by=context.operator, now=now, reason=reason)
    elif dry_run:
        changes = queues.foresee(database, wanted, paused=True)
    else:
        changes = [queues.pause(database, name, by=context.operator, now=now, reason=reason) for name in wanted]
    _show_changes(context, database, changes, form, paused=True, dry_run=dry_run)


@app.verb("resume")
def resume(
    context: Context,
    names: QueuesArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    named: AllNamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Resume a paused queue.

    A queue that is not paused stays unchanged; a note says so when it has no jobs either. --all ends a pause of all
    queues; queues that were paused individually stay paused. Without such a pause, it resumes every paused queue.

    \b
    Examples:
      hammerwork queue resume mail
      hammerwork queue resume --all --yes
    """
    database = context.database(changes=True)
    wanted = _several(names, named, every)
    if every:
        now = context.now(database)
        changes = queues.foresee_all(database, now=now, paused=False)
        if not dry_run:
            _agree(context, "Resume", changes, yes=yes, form=form)
            changes = queues.resume_all(database, now=now)
    elif dry_run:
        changes = queues.foresee(database, wanted, paused=False)
    else:
        changes = [queues.resume(database, name) for name in wanted]
    _show_changes(context, database, changes, form, paused=False, dry_run=dry_run)


@app.verb("limit")
def limit(
    context: Context,
    names: QueuesArgument = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", metavar="N", min=1, help="Most jobs that run at once, in all workers."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="N/PERIOD", help="Most jobs that start within a period: 10/s, 5/30s."),
    ] = None,
    per: Annotated[
        str | None, typer.Option("--per", metavar="KEY", help="A limit for each value of this key of payloads.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the limits.")] = False,
    dry_run: DryRunOption = False,
    named: AllNamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Limit the jobs of a queue that run at once, or that start within a period, over all workers of the database.

    Without options it lists limits. A new limit replaces the old one and applies from the next claim. Jobs beyond it
    wait as Pending and use no attempt; `spawn why` says so. Rust workers do not know limits: their running jobs count,
    but nothing limits them.

    --per gives each value of a key of payloads its own limit: `--per tenant`, or `--per customer.id` for a key in an
    object.

    \b
    Examples:
      hammerwork queue limit api --rate 10/s
      hammerwork queue limit load --concurrency 2 --per tenant
      hammerwork queue limit api --remove
    """
    wanted = list(dict.fromkeys([*(names or ()), *(named or ())]))
    if concurrency is None and rate is None and not remove:
        if unused := [name for name, given in (("--per", per), ("--dry-run", dry_run)) if given]:
            raise UsageError(f"{unused[0]} needs --concurrency or --rate.")
        if mistaken := next((name for name in wanted if is_rate(name)), None):
            raise UsageError(f"{mistaken!r} is a rate, not a queue.", hint=f"Write --rate {mistaken}.")
        found = limits.listed(context.database(), wanted)
        empty = "None of these queues has a limit." if wanted else "No queue has a limit."
        context.show(found, form, columns=limit_views.LIMITS, shape=limit_views.LIMIT, empty=empty)
        return
    if remove and any(given is not None for given in (concurrency, rate, per)):
        raise UsageError("--remove takes no new limit.", hint="Leave it out: a new limit replaces the old one.")
    chosen = [_required(name) for name in wanted or [""]]
    new = {} if remove else {name: QueueLimit.of(name, concurrency, rate, per) for name in chosen}
    database = context.database(changes=True)
    now = context.now(database)
    before = {limit.queue: limit for limit in limits.listed(database, chosen)}
    after = new if dry_run else _set_limits(database, chosen, new, by=context.operator, now=now)
    if form is Format.TABLE:
        changes = (limit_views.LimitChange(name, before.get(name), after.get(name)) for name in chosen)
        context.text(limit_views.change_text(change, dry_run=dry_run) for change in changes)
    else:
        context.data(map(limit_views.LIMIT.record, after.values()), form, limit_views.LIMIT.columns)
    _note_strange(context, database, list(new))


@app.verb("clear")
def clear(
    ctx: typer.Context,
    queue: QueueArgument = None,
    pending_only: Annotated[
        bool, typer.Option("--pending-only", help="Only jobs that have not started: Pending and Retrying.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Include Running jobs, and jobs that others wait for.")
    ] = False,
    *,
    named: NamedOption = None,
    confirmation: Confirmation,
) -> None:
    """Delete the jobs of a queue for good. A pause stays.

    Keeps Running jobs, and jobs that a remaining job waits for, here or in another queue, and exits with 1 then, as
    `job delete` does. If interrupted, run it again. A note asks you to check the spelling when there is neither a job
    nor a pause.

    \b
    Examples:
      hammerwork queue clear mail --dry-run
      hammerwork queue clear mail --pending-only
      hammerwork queue clear mail --yes
    """
    context: Context = ctx.obj
    name, database = _required(_one(queue, named)), context.database(changes=True)
    chosen = JobFilter(queues=(name,), statuses=tuple(sorted(WAITING)) if pending_only else ())
    ctx.meta[ONLY_QUEUES] = [name]
    execute(context, database, ByFilter(chosen), Delete(context.now(database), force=force), confirmation)


def _agree(context: Context, what: str, changes: list[PauseChange], *, yes: bool, form: Format) -> None:
    affected = [change.queue for change in changes if change.changed]
    if not affected:
        return
    named = [visible(name) for name in affected if name != EVERY_QUEUE]
    if EVERY_QUEUE in affected:
        named.insert(0, listing.ALL_QUEUES)
        question = f"{what} all queues?"
    else:
        question = f"{what} {plural(len(affected), 'queue')}?"
    context.note(f"{what}: {', '.join(named)}")
    context.confirm(question, yes=yes, form=form, plan=affected)


def _show_changes(
    context: Context, database: Database, changes: list[PauseChange], form: Format, *, paused: bool, dry_run: bool
) -> None:
    if form is Format.TABLE:
        context.text(changes_views.change_text(change, paused=paused, dry_run=dry_run) for change in changes)
    else:
        switchings = [changes_views.Switching(change, paused, dry_run) for change in changes]
        shape = changes_views.PAUSE_CHANGE
        context.data(map(shape.record, switchings), form, shape.columns)
    if paused and not dry_run and any(change.changed and change.has_jobs for change in changes):
        context.note(changes_views.CLAIMED_TEXT)
    # The name of a queue that was paused is not a typing error.
    _note_strange(context, database, [change.queue for change in changes if change.changed == paused])


def _set_limits(
    database: Database, queues: list[str], new: dict[str, QueueLimit], *, by: str, now: datetime
) -> dict[str, QueueLimit]:
    """Sets the limits of some queues, and removes those of the others; returns those that are there then."""
    for name in queues:
        if name in new:
            limits.set_limit(database, new[name], by=by, now=now)
        else:
            limits.remove(database, name)
    return {limit.queue: limit for limit in limits.listed(database, queues)}


def _note_strange(context: Context, database: Database, names: list[str]) -> None:
    """Names queues without jobs that no worker serves: their names may be misspelt."""
    strange = [name for name in names if name != EVERY_QUEUE and not queues.has_jobs(database, name)]
    served = (queues.serving_workers(database) if strange else None) or Counter[str]()
    for queue in strange:
        if not served.get(queue):
            context.note(changes_views.unknown_queue_text(queue, queues.similar(database, queue)))


# Reading arguments.


def _one(queue: str | None, named: str | None) -> str | None:
    """The queue by its argument, or by the option that hammerwork (Rust) has."""
    if queue is not None and named is not None and queue != named:
        raise UsageError("Two queues were given.", hint="Give one.")
    return named if queue is None else queue


def _required(queue: str | None) -> str:
    if not queue:
        raise UsageError("No queue was given.", hint="To list them: hammerwork queue list")
    return queue


def _several(names: list[str] | None, named: list[str] | None, every: bool) -> list[str]:
    wanted = [*(names or ()), *(named or ())]
    if every and wanted:
        raise UsageError("Give names of queues or --all, not both.")
    if every:
        return []
    return [_required(name) for name in dict.fromkeys(wanted or [""])]
