"""``hammerwork batch retry | cancel | delete``: the changes of ``job`` to the jobs of a batch."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import QueueOption, StatusOption, statuses
from hammerwork_cli.core.input.reading import before
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import AnswerIsNoError, UsageError
from hammerwork_cli.features.batch.commands.reading import BatchArgument, OptionalBatchArgument
from hammerwork_cli.features.batch.queries import enqueue, listing
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.commands.execute import Confirmation, acceptable, execute, nothing_more
from hammerwork_cli.features.job.commands.options import CancelledOption, FailedSinceHoursOption, ForceOption
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries.changes import CancelJobs, Change, Delete, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByFilter


def retry(
    context: Context,
    batch: OptionalBatchArgument = None,
    queue: QueueOption = None,
    status: StatusOption = None,
    cancelled: CancelledOption = False,
    failed_since_hours: FailedSinceHoursOption = None,
    max_attempts_reached: Annotated[bool, typer.Option("--max-attempts-reached", hidden=True)] = False,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Cancelled jobs stay unless you add --cancelled. Asks for confirmation. Without BATCH, retries the jobs that fit the
    options, of any batch or none, as scripts for hammerwork (Rust) expect.

    \b
    Examples:
      hammerwork batch retry 178ebfc3
      hammerwork batch retry 178ebfc3 --queue mail --status dead --yes
    """
    database = context.database(changes=True)
    change = RetryJobs(context.now(database), cancelled=cancelled)
    chosen = JobFilter(
        queues=tuple(queue or ()),
        failed_since=read.start_of_window(change.now, None, failed_since_hours),
        exhausted=max_attempts_reached,
    )
    _execute(context, database, batch, chosen, status, change, confirmation)


def cancel(
    context: Context,
    batch: OptionalBatchArgument = None,
    queue: QueueOption = None,
    status: StatusOption = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Reason to write into the errors of the jobs.")
    ] = None,
    force: ForceOption = False,
    older_than_hours: Annotated[
        float | None, typer.Option("--older-than-hours", min=0, max=1_000_000, hidden=True)
    ] = None,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Nothing is deleted. --force also cancels Running jobs, but does not stop their workers. Asks for confirmation.
    Without BATCH, cancels the jobs that fit the options, of any batch or none, as scripts for hammerwork (Rust) expect.

    \b
    Examples:
      hammerwork batch cancel 178ebfc3 --reason "wrong file"
      hammerwork batch cancel 178ebfc3 --dry-run
    """
    database = context.database(changes=True)
    change = CancelJobs(context.now(database), by=context.operator, reason=reason, force=force)
    until = None if older_than_hours is None else before(change.now, timedelta(hours=older_than_hours))
    chosen = JobFilter(queues=tuple(queue or ()), until=until)
    _execute(context, database, batch, chosen, status, change, confirmation)


def delete(
    context: Context,
    batch: BatchArgument,
    force: ForceOption = False,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Jobs in the archive stay. --force also deletes Running jobs and jobs that others wait for; without it, a batch with
    such jobs keeps them, and its row.

    \b
    Examples:
      hammerwork batch delete 178ebfc3 --dry-run
      hammerwork batch delete 178ebfc3 --yes
    """
    database = context.database(changes=True)
    found = listing.resolve(database, batch)
    delete_whole(context, database, JobFilter(batches=(found,)), confirmation, enqueue.delete_empty, force=force)


def delete_whole(
    context: Context,
    database: Database,
    chosen: JobFilter,
    confirmation: Confirmation,
    delete_empty: Callable[[Database, str], bool],
    *,
    force: bool,
) -> None:
    """Deletes the jobs of a batch or a workflow, and then its row.

    Args:
        delete_empty: deletes the row unless it still has jobs; returns whether it did.

    Raises:
        AnswerIsNoError: some of its jobs stay.
    """
    change = Delete(context.now(database), force=force)
    change_within(context, database, chosen, acceptable(change, None), change, confirmation)
    if confirmation.dry_run:
        return
    context.confirm_profile()
    noun, (subject_id,) = ("batch", chosen.batches) if chosen.batches else ("workflow", chosen.workflows)
    if not delete_empty(database, subject_id):
        raise AnswerIsNoError(
            f"The {noun} stays, because some of its jobs do.",
            hint=f"See them: hammerwork job list --{noun} {subject_id}",
        )


def _execute(
    context: Context,
    database: Database,
    batch: str | None,
    chosen: JobFilter,
    status: list[str] | None,
    change: Change,
    confirmation: Confirmation,
) -> None:
    """Makes a change to the jobs of a batch, or to those that fit the filter."""
    wanted = acceptable(change, statuses(status))
    if batch is not None:
        chosen = chosen._replace(batches=(listing.resolve(database, batch),))
    elif chosen == JobFilter() and not wanted:
        raise UsageError(
            "No batch was given.",
            hint="To list them: hammerwork batch list. Without a batch: hammerwork job retry --all --dry-run",
        )
    change_within(context, database, chosen, wanted, change, confirmation)


def change_within(
    context: Context,
    database: Database,
    chosen: JobFilter,
    wanted: Collection[JobStatus],
    change: Change,
    confirmation: Confirmation,
    *,
    agreed: Callable[[], None] = nothing_more,
) -> None:
    """Makes a change to the jobs of a batch or a workflow."""
    selection = ByFilter(change.filter(chosen._replace(statuses=tuple(sorted(wanted)))))
    execute(context, database, selection, change, confirmation, agreed=agreed)
