"""``hammerwork job retry | cancel | delete | purge``."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import MOST_DAYS, QueueOption, StatusOption, age, statuses
from hammerwork_cli.core.input.reading import before, duration_of
from hammerwork_cli.core.values import FAILURES, FINISHED, UNSUCCESSFUL, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.commands.execute import Confirmation, acceptable, execute, nothing_more
from hammerwork_cli.features.job.commands.options import (
    AllOption,
    BatchOption,
    CancelledOption,
    ErrorOption,
    FailedOption,
    FailedSinceHoursOption,
    FailedSinceOption,
    ForceOption,
    InPayloadOption,
    JobIdOption,
    JobsArgument,
    LastHoursOption,
    PriorityOption,
    SinceOption,
    TreeOption,
    UntilOption,
    WorkflowOption,
)
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.job.queries.changes import CancelJobs, Change, Delete, RetryJobs
from hammerwork_cli.features.job.queries.finished_trees import FinishedTrees, PurgeJobs
from hammerwork_cli.features.job.queries.selections import ByFilter, ByIds, Selection, Subtrees
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.view.text import plural

STDIN = "-"
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="STATUS", help="With --tree: only these (failed: Failed, Dead and TimedOut)."),
]
OlderThanOption = Annotated[
    str | None,
    typer.Option(
        "--older-than", metavar="DURATION", help="Only jobs that ended longer ago than this: 12h, 30d (with a unit)."
    ),
]
OlderThanDaysOption = Annotated[float | None, typer.Option("--older-than-days", min=0, max=MOST_DAYS, hidden=True)]


@dataclass(frozen=True, slots=True)
class Targets:
    """Jobs by their ids, or by filters."""

    job: JobsArgument = None
    queue: QueueOption = None
    status: StatusOption = None
    priority: PriorityOption = None
    since: SinceOption = None
    until: UntilOption = None
    last_hours: LastHoursOption = None
    error: ErrorOption = None
    payload: InPayloadOption = None
    batch: BatchOption = None
    workflow: WorkflowOption = None
    all_: AllOption = False
    job_id: JobIdOption = None

    def filter(self, change: Change, more: Collection[JobStatus] = ()) -> JobFilter:
        """The filters as one value.

        Args:
            change: must accept the statuses.
        """
        wanted = acceptable(change, statuses(self.status)) | set(more)
        return JobFilter(
            queues=tuple(self.queue or ()),
            statuses=tuple(sorted(wanted)),
            priorities=read.priorities(self.priority),
            since=self.start(change.now),
            until=read.end_of_window(change.now, self.until),
            error=read.error_text(self.error),
            payload=read.in_payload(self.payload),
            batches=tuple(self.batch or ()),
            workflows=tuple(self.workflow or ()),
        )

    def start(self, now: datetime) -> datetime | None:
        """The earliest time at which the jobs may have been created."""
        return read.start_of_window(now, self.since, self.last_hours)

    @property
    def is_named(self) -> bool:
        """Whether there are ids."""
        return bool(self.job or self.job_id)

    @property
    def is_filtered(self) -> bool:
        return self._is_narrowed or bool(self.batch or self.workflow)

    @property
    def _is_narrowed(self) -> bool:
        """Whether there is a filter besides those by batch and workflow."""
        given = (
            self.queue,
            self.status,
            self.priority,
            self.since,
            self.until,
            self.last_hours,
            self.error,
            self.payload,
        )
        return any(option is not None and option != [] for option in given)

    def whole(self, groups: Sequence[str] | None) -> str | None:
        """The batch or the workflow that is meant as a whole, because nothing else says which jobs."""
        narrowed = self.is_named or self.all_ or self._is_narrowed or (self.batch and self.workflow)
        if not groups or narrowed:
            return None
        if len(groups) > 1:
            raise UsageError("Give one batch or workflow.", hint="For jobs of several, add --status.")
        return groups[0]

    def selection(
        self,
        database: Database,
        chosen: JobFilter,
        now: datetime,
        *,
        filtered: bool,
        below: Collection[JobStatus] | None = None,
    ) -> Selection:
        """The jobs.

        Args:
            filtered: whether an option of the verb is a filter too.
            below: statuses of the jobs of trees, with ``--tree``.
        """
        ids = self._ids(database)
        filtered |= self.is_filtered
        if self.is_named and (filtered or self.all_):
            raise UsageError("Give job ids or filters, not both.")
        if below is not None:
            if not ids:
                raise UsageError("--tree needs JOB, the top of a tree.")
            return Subtrees(ids, below)
        if ids or STDIN in self._words:  # an empty list has nothing to change
            return ByIds(ids)
        if not filtered and not self.all_:
            raise UsageError("No jobs were selected.", hint="Give job ids or a filter, or add --all.")
        chosen = chosen._replace(since=self.start(now), until=read.end_of_window(now, self.until))
        return ByFilter(read.within(database, chosen, self.batch, self.workflow))

    @property
    def _words(self) -> list[str]:
        given = (word.strip() for value in (*(self.job or ()), *(self.job_id or ())) for word in value.split(","))
        return [word for word in given if word]

    def _ids(self, database: Database) -> list[str]:
        resolve = partial(listing.resolve, database)
        found = ((resolve(word),) if word != STDIN else read.ids_of_stdin(resolve) for word in self._words)
        return list(dict.fromkeys(chain.from_iterable(found)))


@dataclass(frozen=True, slots=True)
class Subtree:
    """Jobs and everything below them."""

    tree: TreeOption = False
    only: OnlyOption = None

    def statuses(self, change: Change) -> Collection[JobStatus] | None:
        """Statuses of its jobs; ``None`` without ``--tree``."""
        only = set(statuses(self.only) or ())
        wanted = acceptable(change, only | FAILURES if JobStatus.FAILED in only else only)
        return (wanted or change.in_trees) if self.tree else None


def retry(
    context: Context,
    which: Targets,
    *,
    failed: FailedOption = False,
    failed_since: FailedSinceOption = None,
    failed_since_hours: FailedSinceHoursOption = None,
    subtree: Subtree,
    force: ForceOption = False,
    respawn: Annotated[bool, typer.Option("--respawn", help="Let jobs that have spawned spawn again.")] = False,
    cancelled: CancelledOption = False,
    at_once: Annotated[
        bool, typer.Option("--now", help="Run at once also jobs that were cancelled before they were due.")
    ] = False,
    confirmation: Confirmation,
) -> None:
    """
    The command clears their errors and results. Jobs that failed only because of these run again after them. --tree
    includes everything below each JOB. Filters and --tree skip Cancelled jobs unless you add --cancelled, which also
    takes the failed ones in a batch or a workflow. A Cancelled job that you name is retried.
    Jobs that were cancelled before they were due are due when they were, unless you add --now. --error selects jobs by
    their error and ignores case; `spawn why` lists the errors. --force also retries a Running job (in a thread, it may
    then run twice at once), a Completed one (its children stay), and one that depends on a failed job. A job that has
    spawned does not spawn again unless you add --respawn; to spawn without running it, use `spawn again`. With several
    ids, the command asks for confirmation. It gives up after 30 s with exit code 1 if the tree keeps growing.

    \b
    Examples:
      hammerwork job retry 1c22a0f1
      hammerwork job retry 178ebfc3 --tree --only failed
      hammerwork job retry --error "connection refused" --failed-since 2h
      hammerwork job retry --queue mail --failed --since 2h --dry-run
      hammerwork job retry --queue mail --cancelled --since 1h
      hammerwork job retry --batch 178ebfc3 --status dead
      hammerwork job retry 178ebfc3 --force --respawn
      hammerwork job retry --all --yes
    """
    asked = {*(statuses(which.status) or ()), *(statuses(subtree.only) or ())}
    cancelled_too = cancelled or JobStatus.CANCELLED in asked or (which.is_named and not subtree.tree)

    def change(now: datetime) -> RetryJobs:
        return RetryJobs(now, force=force, respawn=respawn, cancelled=cancelled_too, at_once=at_once)

    def failing(now: datetime) -> datetime | None:
        return read.start_of_window(now, failed_since, failed_since_hours)

    only_cancelled = cancelled and not (which.is_named or which.all_ or which.batch or which.workflow)
    more = UNSUCCESSFUL if read.failures(failed, which.status) else {JobStatus.CANCELLED} if only_cancelled else ()

    def reopen(database: Database, workflows: Sequence[str]) -> None:
        from hammerwork_cli.features.workflow.commands import changes as of_workflows

        of_workflows.reopen(context, database, workflows)

    _execute(
        context,
        change,
        confirmation,
        which,
        subtree,
        more=more,
        failing=failing,
        agreed=reopen if cancelled else None,
    )


def cancel(
    context: Context,
    which: Targets,
    subtree: Subtree,
    *,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Reason to write into the job's error.")
    ] = None,
    force: ForceOption = False,
    confirmation: Confirmation,
) -> None:
    """
    Jobs that wait for these are cancelled too. Nothing is deleted: `job retry` runs a cancelled job, and `job delete`
    removes it. --tree includes everything below each JOB. --force also cancels a Running job: within a heartbeat, its
    worker cancels a coroutine or kills a process. A handler in a thread or in a Rust worker goes on; a worker of Rust
    1.15.5 then overwrites the status at its end. A cancelled recurring job stays off its schedule until you retry it.
    With no other filter, --workflow also marks the workflow cancelled: no job can join it, and workers cancel what it
    still spawns. With several ids, the command asks for confirmation.

    \b
    Examples:
      hammerwork job cancel 1c22a0f1 --reason "wrong file"
      hammerwork job cancel 178ebfc3 --tree --yes
      hammerwork job cancel --queue mail --dry-run
      hammerwork job cancel --queue mail --payload customer=acme
      hammerwork job cancel --workflow 178ebfc3 --reason "wrong day"
      jq -r 'select(.payload.items > 100).id' jobs.jsonl | hammerwork job cancel - --yes
    """
    operator = context.operator
    if (workflow := which.whole(which.workflow)) and not subtree.tree:
        from hammerwork_cli.features.workflow.commands.changes import cancel as cancel_workflow

        cancel_workflow(context, workflow, reason, force, confirmation=confirmation)
        return

    def change(now: datetime) -> CancelJobs:
        return CancelJobs(now, by=operator, reason=reason, force=force)

    _execute(context, change, confirmation, which, subtree)


def _execute(
    context: Context,
    make: Callable[[datetime], Change],
    options: Confirmation,
    which: Targets,
    subtree: Subtree,
    *,
    more: Collection[JobStatus] = (),
    failing: Callable[[datetime], datetime | None] = lambda _: None,
    agreed: Callable[[Database, Sequence[str]], None] | None = None,
) -> None:
    """Makes a change, which ``make`` makes for a time, to jobs that are not archived.

    An option of the verb adds ``more`` statuses to the filter. ``failing`` returns the start of the window in which the
    jobs failed, for a time. ``agreed`` changes the workflows that are named, before their jobs.
    """
    change = make(context.now())  # mistakes in options are found before the database is asked
    chosen = change.filter(which.filter(change, more))
    filtered = bool(more) or failing(change.now) is not None
    wanted, database = subtree.statuses(change), context.database(changes=True)
    change = make(context.now(database))
    chosen = chosen._replace(failed_since=failing(change.now))
    selection = which.selection(database, chosen, change.now, filtered=filtered, below=wanted)
    workflows = selection.wanted.workflows if isinstance(selection, ByFilter) else ()
    more_agreed = partial(agreed, database, workflows) if agreed else nothing_more
    execute(context, database, selection, change, options, agreed=more_agreed)


def delete(
    context: Context,
    which: Targets,
    *,
    failed: FailedOption = False,
    older_than: OlderThanOption = None,
    force: ForceOption = False,
    confirmation: Confirmation,
) -> None:
    """
    Archived jobs that still have a row here are deleted too. --force also deletes Running jobs and jobs that others
    wait for. Children of a deleted job stay, and lose their place in its tree. With no other filter, --batch and
    --workflow also delete the batch or the workflow, unless some of its jobs stay.

    \b
    Examples:
      hammerwork job delete 1c22a0f1
      hammerwork job delete --queue test --all --yes
      hammerwork job delete --error "no such tenant" --dry-run
      hammerwork job delete --status dead --older-than 30d --dry-run
      hammerwork job delete --batch 178ebfc3 --dry-run
    """
    if not failed and older_than is None and _delete_whole(context, which, confirmation, force=force):
        return
    lengths = [age(older_than)] if older_than is not None else []
    more = read.failures(failed, which.status)
    chosen, database = which.filter(Delete(context.now(), force=force), more), context.database(changes=True)
    change = Delete(context.now(database), force=force)
    chosen = chosen._replace(ended_before=_earliest(change.now, lengths))
    selection = which.selection(database, chosen, change.now, filtered=failed or older_than is not None)
    if len(selection.named) == 1:
        _warn_of_children(context, database, selection.named[0])
    execute(context, database, selection, change, confirmation, always_ask=True)


def _delete_whole(context: Context, which: Targets, confirmation: Confirmation, *, force: bool) -> bool:
    """Deletes a batch or a workflow, if one is meant as a whole; returns whether it is."""
    if batch := which.whole(which.batch):
        from hammerwork_cli.features.batch.commands.changes import delete as delete_batch

        delete_batch(context, batch, force, confirmation=confirmation)
    elif workflow := which.whole(which.workflow):
        from hammerwork_cli.features.workflow.commands.changes import delete as delete_workflow

        delete_workflow(context, workflow, force, confirmation=confirmation)
    else:
        return False
    return True


def purge(
    context: Context,
    status: StatusOption = None,
    completed: Annotated[bool, typer.Option("--completed", help="Completed jobs.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Dead jobs.")] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Failed, Dead and TimedOut jobs; with --yes, see above.")
    ] = False,
    timed_out: Annotated[bool, typer.Option("--timed-out", help="TimedOut jobs.")] = False,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="Cancelled jobs.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="All of these.")] = False,
    older_than: OlderThanOption = None,
    older_than_days: OlderThanDaysOption = None,
    queue: QueueOption = None,
    error: ErrorOption = None,
    *,
    tree: Annotated[
        bool, typer.Option("--tree", help="Only whole trees whose jobs all match; QUEUE is the root's.")
    ] = False,
    confirmation: Confirmation,
) -> None:
    """
    Finished jobs that others wait for stay, and those that their program keeps (retention_delete_at). So do recurring
    jobs, whose rows are their schedules: `cron delete` deletes one. --tree keeps trees whole: it deletes one when all
    of its jobs have these statuses and ended that long ago. Archived jobs that still have a row here are deleted too;
    copies in the archive stay. In earlier versions, --failed meant Failed and Cancelled jobs. So that no script deletes
    more than before, --failed --yes is refused: name the statuses instead (--status failed,dead,timedout).

    \b
    Examples:
      hammerwork job purge --completed --older-than 30d --dry-run
      hammerwork job purge --completed --dead --queue mail --yes
      hammerwork job purge --status failed,cancelled --older-than 90d --yes
      hammerwork job purge --all --tree --older-than 365d --yes
    """
    asked = {
        JobStatus.COMPLETED: completed,
        JobStatus.DEAD: dead,
        JobStatus.TIMED_OUT: timed_out,
        JobStatus.CANCELLED: cancelled,
    }
    named = {*(statuses(status) or ()), *(one for one, given in asked.items() if given)}
    unfinished = sorted(named - FINISHED)
    if unfinished:
        raise UsageError(f"{unfinished[0]} jobs have not finished.", hint="To delete them: hammerwork job delete")
    wanted = FINISHED if all_ else named | set(read.failures(failed, status))
    if failed and confirmation.yes and not confirmation.dry_run and wanted - named - {JobStatus.FAILED} and not all_:
        raise UsageError(
            "--failed meant Failed and Cancelled jobs here, and now means Failed, Dead and TimedOut ones.",
            hint="With --yes, say which: --status failed,cancelled or --status failed,dead,timedout.",
        )
    if not wanted:
        raise UsageError(
            "No status was given.", hint="Add --completed, --dead, --failed, --timed-out, --cancelled or --all."
        )
    lengths = [age(older_than)] if older_than is not None else []
    lengths += [duration_of(f"{older_than_days:.3f}d")] if older_than_days is not None else []
    words = read.error_text(error)
    if tree and words is not None:
        raise UsageError("Give --tree or --error, not both: a tree has jobs without that error.")
    database = context.database(changes=True)
    change = PurgeJobs(context.now(database), whole=tree)
    chosen = JobFilter(
        queues=tuple(queue or ()),
        statuses=tuple(sorted(wanted)),
        ended_before=_earliest(change.now, lengths),
        error=words,
        once=True,
        kept_until=change.now if "retention_delete_at" in database.jobs_columns() else None,
    )
    execute(context, database, FinishedTrees(chosen) if tree else ByFilter(chosen), change, confirmation)


def _earliest(now: datetime, lengths: Collection[timedelta]) -> datetime | None:
    return before(now, max(lengths)) if lengths else None


def _warn_of_children(context: Context, database: Database, job: str) -> None:
    counted = Relatives(database).child_counts([job]).get(job)
    if counted:
        jobs = plural(counted.counts.total, "job depends on it", "jobs depend on it")
        lose = "loses its" if counted.counts.total == 1 else "lose their"
        context.note(f"{jobs} and {lose} place in the tree if you delete it.")
