"""``hammerwork workflow retry | cancel | delete``: the changes of ``job`` to the jobs of a workflow."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.option_sets import expand_option_groups
from hammerwork_cli.cli.options import QueueOption, StatusOption, statuses
from hammerwork_cli.features.batch.commands.changes import change_within, delete_whole
from hammerwork_cli.features.job.commands.changes import acceptable
from hammerwork_cli.features.job.commands.execute import Confirmation
from hammerwork_cli.features.job.commands.options import CancelledOption, ForceOption
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries.changes import RetryJobs
from hammerwork_cli.features.workflow.commands.arguments import WorkflowArgument
from hammerwork_cli.features.workflow.queries import create, endings, listing
from hammerwork_cli.features.workflow.queries.endings import CancelWorkflow


@expand_option_groups
def retry(
    ctx: typer.Context,
    workflow: WorkflowArgument,
    queue: QueueOption = None,
    status: StatusOption = None,
    cancelled: CancelledOption = False,
    *,
    confirmation: Confirmation,
) -> None:
    """
    The workflow runs again, even if it was cancelled. Cancelled jobs stay unless you add --cancelled. Asks for
    confirmation.

    \b
    Examples:
      hammerwork workflow retry 178ebfc3
      hammerwork workflow retry 178ebfc3 --cancelled --yes
    """
    context: Context = ctx.obj
    database = context.database(changes=True)
    change = RetryJobs(context.now(database), cancelled=cancelled)
    wanted = acceptable(change, statuses(status))
    full_id = listing.resolve(database, workflow)
    if cancelled and not confirmation.dry_run and endings.reopen_without_failures(database, full_id):
        context.note(f"The workflow {full_id} is no longer cancelled: jobs can join it.")
    chosen = JobFilter(queues=tuple(queue or ()), workflows=(full_id,))
    change_within(context, database, chosen, wanted, change, confirmation)


@expand_option_groups
def cancel(
    ctx: typer.Context,
    workflow: WorkflowArgument,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Reason to write into the errors of the jobs.")
    ] = None,
    force: ForceOption = False,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Nothing is deleted. Running jobs go on, and workers cancel what they still spawn; the exit code is 1 then. --force
    also cancels Running jobs, but does not stop their workers. Asks for confirmation.

    \b
    Examples:
      hammerwork workflow cancel 178ebfc3 --reason "wrong day"
      hammerwork workflow cancel 178ebfc3 --dry-run
    """
    context: Context = ctx.obj
    database = context.database(changes=True)
    found = endings.cancellable(database, listing.resolve(database, workflow))
    change = CancelWorkflow(found.id, context.now(database), by=context.operator, reason=reason, force=force)
    if not confirmation.dry_run and not any(change.accepts(status) for status in found.counts.by_status):
        context.confirm(
            f"Cancel the workflow {found.id}? None of its jobs can be cancelled.",
            yes=confirmation.yes,
            form=confirmation.form,
        )
        endings.cancel(database, found.id)
        context.note(f"The workflow {found.id} is cancelled: no job can join it.")
    chosen = JobFilter(workflows=(found.id,))
    change_within(context, database, chosen, acceptable(change, None), change, confirmation)


@expand_option_groups
def delete(
    ctx: typer.Context,
    workflow: WorkflowArgument,
    force: ForceOption = False,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Jobs in the archive stay. --force also deletes Running jobs and jobs that others wait for; without it, a workflow
    with such jobs keeps them, and its row.

    \b
    Examples:
      hammerwork workflow delete 178ebfc3 --dry-run
      hammerwork workflow delete 178ebfc3 --yes
    """
    context: Context = ctx.obj
    database = context.database(changes=True)
    found = listing.resolve(database, workflow)
    delete_whole(context, database, JobFilter(workflows=(found,)), confirmation, create.delete_empty, force=force)
