"""``hammerwork worker``: runs jobs, and sees and steers the workers of a database from anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.given import is_given
from hammerwork_cli.cli.lists import Listing, ListOptions, Order, show_list
from hammerwork_cli.cli.options import (
    Format,
    FormatOption,
    GiveUpOption,
    LimitOption,
    QueueOption,
    YesOption,
    duration_as_given,
    several_names,
    since_option,
)
from hammerwork_cli.cli.outages import OutageNotes
from hammerwork_cli.core.input.reading import duration_of, since_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.waiting import Wait
from hammerwork_cli.errors import AnswerIsNoError, TimedOutError, UsageError
from hammerwork_cli.features.worker import views
from hammerwork_cli.features.worker.models.worker import RegisteredWorker
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.views import AskedWorker, LeasedNow, WorkerStatus
from hammerwork_cli.view.text import count, plural, visible

WorkersArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORKER]...", help="Names, or at least the first 4 hex digits of ids."),
]
START = "Start one with: hammerwork worker start --handlers my_app:app"
RUST = "Rust workers do not register (what they run: hammerwork worker status --jobs)."
LATE = (
    "To see what it runs: hammerwork worker status. To give its jobs back now: hammerwork worker {} NAME --now. "
    "On its host a second SIGTERM ends the process within 5 s, and kill -9 always does. worker start --grace 5m limits "
    "the wait, and --isolation process lets timeouts end handlers."
)

MOST_JOBS = 1000
"""Running jobs that `worker status --jobs` lists."""

NamedOption = Annotated[list[str] | None, typer.Option("--worker-id", callback=several_names, hidden=True)]


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """Whom to ask, and whether to wait for it."""

    worker: WorkersArgument = None
    every: Annotated[bool, typer.Option("--all", help="All running workers; asks for confirmation.")] = False
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they have stopped or restarted.")] = False
    timeout: GiveUpOption = None
    grace: Annotated[
        str | None,
        typer.Option("--grace", metavar="DURATION", help="Give running jobs back after 90 (seconds), 15m."),
    ] = None
    now: Annotated[bool, typer.Option("--now", help="Give running jobs back at once, with their attempts.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the workers and change nothing.")] = False
    yes: YesOption = False
    named: NamedOption = None
    form: FormatOption = Format.TABLE

    def workers(self, database: Database) -> list[RegisteredWorker]:
        """Whom to ask."""
        named = _named(database, self.worker, self.named)
        if self.every and named:
            raise UsageError("Give names of workers or --all, not both.")
        if not self.every and not named:
            raise UsageError("No worker was named.", hint=registry.LIST_WORKERS)
        return named or [one for one in registry.listed(database, alive=True) if one.is_alive and one.serves(())]

    @property
    def grace_seconds(self) -> float | None:
        """Seconds that running jobs have to finish; ``None`` for what the workers were started with."""
        from hammerwork_cli.runtime.worker.options import LONGEST_SECONDS

        if self.grace is None:
            return 0.0 if self.now else None
        if self.now:
            raise UsageError("Give --grace or --now, not both.")
        seconds = duration_of(self.grace).total_seconds()
        if not 0 < seconds <= LONGEST_SECONDS:
            raise UsageError("--grace must be more than 0 seconds and at most 30 days.", hint="Write 90, 15m or --now.")
        return seconds

    def silent(self, database: Database) -> list[RegisteredWorker]:
        """Those of all who have not ended that would not hear it, as the server's clock has it."""
        found = registry.listed(database, alive=True) if self.every else ()
        return [worker for worker in found if not worker.is_alive and worker.serves(())]


def _named(database: Database, worker: list[str] | None, named: list[str] | None) -> list[RegisteredWorker]:
    words = dict.fromkeys([*(worker or ()), *(named or ())])
    return list({found.id: found for found in (registry.resolve(database, word) for word in words)}.values())


def list_(
    ctx: typer.Context,
    queue: QueueOption = None,
    since: Annotated[str, since_option("Only those that stopped")] = "1h",
    every: Annotated[
        bool, typer.Option("--all", help="Include workers that stopped earlier or have long been silent.")
    ] = False,
    limit: LimitOption = 100,
    *,
    options: ListOptions,
) -> None:
    """
    A worker that has missed three heartbeats is silent. It is lost once another worker has rescued its jobs, which
    cannot happen while the server takes no writes or no other worker runs. --all also shows workers that have been
    silent for more than a day. Stopped workers are forgotten after 7 days. With --queue hammerwork-webhooks, it lists
    what delivers to webhooks: a part of each process with upkeep.

    \b
    Examples:
      hammerwork worker list
      hammerwork worker list --queue mail --since 7d
      hammerwork worker list --watch --sort -running
      hammerwork worker list --format json | jq '.[] | select(.state == "lost" or .state == "silent")'
    """
    context: Context = ctx.obj
    if every and is_given(ctx, "since"):
        raise UsageError("--all cannot be combined with --since.", hint="Give one of them.")
    order = Order.of(options.sort, views.WORKER.columns)

    def read(database: Database) -> list[RegisteredWorker]:
        now = database.now()
        found = registry.listed(database, since=None if every else since_of(since, now), now=now)
        chosen = [worker for worker in found if worker.serves(queue or ())]
        return (chosen if order is None else order.sorted(chosen, views.WORKER.record))[:limit]

    shown = Listing(
        name="worker list",
        read=read,
        columns=lambda: views.WORKERS,
        shape=views.WORKER,
        empty=f"No worker is running, and none stopped recently. {RUST} {START}",
        is_sorted=True,
    )
    show_list(context, shown, options)


def status(
    context: Context,
    worker: WorkersArgument = None,
    queue: QueueOption = None,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="List running jobs and their leases, those of Rust workers too.")
    ] = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Without WORKER, the command shows all running workers.

    Memory covers the worker's process and, with --isolation process, those of its handlers; on Linux only.

    With --jobs, the lease of a job is active while its worker says that it still runs the job, and expired once it no
    longer does. It is none without such a worker: workers of hammerwork (Rust) 1.15.5 have no leases.

    \b
    Examples:
      hammerwork worker status
      hammerwork worker status web-1-4242
      hammerwork worker status --jobs --queue mail
      hammerwork worker status --format json | jq '.[].jobs[] | select(.running_seconds > 60)'
    """
    database = context.database()
    found = _named(database, worker, named)
    if jobs:
        _show_leases(context, database, found, queue or (), form)
        return
    if queue or not found:
        found = [one for one in found or registry.listed(database, alive=True) if one.serves(queue or ())]
    now = database.now()
    with_jobs = (registry.with_jobs(database, one) for one in found)
    shown = [WorkerStatus(one, tuple(running), now) for one, running in with_jobs]
    if form is not Format.TABLE:
        context.data(map(views.WORKER_STATUS.record, shown), form, views.WORKER_STATUS.columns)
        return
    for one in shown:
        context.lines(views.status_text(one, colour=context.colour))
    if not shown:
        context.note(f"No worker {'serves these queues' if queue else 'is running'}. {RUST} {START}")


def _show_leases(
    context: Context, database: Database, workers: Sequence[RegisteredWorker], queues: Sequence[str], form: Format
) -> None:
    ids = [one.id for one in workers]
    found = registry.leased_jobs(database, queues=queues, workers=ids, limit=MOST_JOBS + 1)
    now = database.now()
    context.show(
        [LeasedNow(one, now) for one in found[:MOST_JOBS]],
        form,
        columns=views.LEASED,
        shape=views.LEASED_JOB,
        empty="No job is Running.",
    )
    if len(found) > MOST_JOBS:
        context.note(f"More than {count(MOST_JOBS)} jobs are Running. All: hammerwork job list --status running")


def stop(context: Context, asking: ControlOptions) -> None:
    """
    A handler that never returns keeps its worker from stopping, unless --grace or --now gives its job back. The job
    then runs again, or becomes Dead if it may run only once. On the worker's host, a second SIGTERM ends the process
    within 5 s. Exit code 124 when --timeout passes.

    \b
    Examples:
      hammerwork worker stop web-1-4242
      hammerwork worker stop web-1-4242 --grace 30s --wait
      hammerwork worker stop web-1-4242 --now
      hammerwork worker stop --all --yes
    """
    _ask(context, "stop", asking)


def restart(context: Context, asking: ControlOptions) -> None:
    """
    Only a worker of `worker start` can start again; one in your own Python program stops, and its report says why. Exit
    code 124 when --timeout passes, 1 when --wait saw a worker stop without a successor.

    \b
    Examples:
      hammerwork worker restart web-1-4242
      hammerwork worker restart --all --yes --wait --timeout 5m
    """
    _ask(context, "restart", asking)


def _ask(context: Context, request: str, asking: ControlOptions) -> None:
    database = context.database(changes=True)
    found, grace = asking.workers(database), asking.grace_seconds
    silent = asking.silent(database)
    running = {one.id: registry.unfinished(database, one) for one in found}
    asked = [AskedWorker(one, request, running[one.id], grace, asking.dry_run) for one in found]
    if found and not asking.dry_run:
        if asking.every:
            _agree(context, request, found, asking)
        for worker in found:
            registry.ask(database, worker, request, context.operator, grace)
        if asking.wait:
            asked = _waited(context, database, asked, asking.timeout)
    if asking.form is Format.TABLE:
        context.lines(map(views.asked_text, asked))
    else:
        context.data(map(views.ASKED_WORKER.record, asked), asking.form, views.ASKED_WORKER.columns)
    if not found:
        context.note("No worker is running.")
    if silent:
        were = "was" if len(silent) == 1 else "were"
        context.note(
            f"{plural(len(silent), 'silent worker')} {were} not asked. After an outage, or when the "
            "server's clock was set, heartbeats come back within seconds: hammerwork worker list"
        )
    late = [one for one in asked if one.now is None]
    if asking.wait and late and not asking.dry_run:
        raise TimedOutError(
            f"{plural(len(late), 'worker')} did not {request} within {duration_as_given(asking.timeout)}.",
            hint=LATE.format(request),
        )
    unreplaced = [one for one in asked if one.unreplaced]
    if unreplaced:
        whose = "its" if len(unreplaced) == 1 else "their"
        raise AnswerIsNoError(
            f"{plural(len(unreplaced), 'worker')} stopped, and no other took {whose} place.",
            hint=START,
        )


def _agree(context: Context, request: str, found: list[RegisteredWorker], asking: ControlOptions) -> None:
    names = [visible(worker.name) for worker in found]
    context.note(f"{request.capitalize()}: {', '.join(names)}")
    context.confirm(
        f"{request.capitalize()} {plural(len(names), 'worker')}?", yes=asking.yes, form=asking.form, plan=names
    )


def _waited(context: Context, database: Database, asked: list[AskedWorker], timeout: str | None) -> list[AskedWorker]:
    context.note(f"Waiting for {plural(len(asked), 'worker')}.")
    limit = duration_of(timeout).total_seconds() if timeout is not None else None
    watch = registry.WorkerEndWatch(database, [one.worker for one in asked], successors=asked[0].request == "restart")
    waiting = Wait(context.database, OutageNotes(context), interval=registry.POLL_SECONDS, timeout=limit)
    waiting.until(watch.refresh, watch.connected)
    return [one._replace(now=watch.done.get(one.worker.id)) for one in asked]
