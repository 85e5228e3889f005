"""``hammerwork workflow create``, and the changes of ``job`` to the jobs of a workflow."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    DryRunOption,
    EncryptionKeyOption,
    Format,
    FormatOption,
    NoEncryptOption,
    QueueOption,
    StatusOption,
    statuses,
)
from hammerwork_cli.database import Database
from hammerwork_cli.features.batch.commands.changes import change_within, delete_whole
from hammerwork_cli.features.callbacks.commands import Callbacks, note_upkeep
from hammerwork_cli.features.job.commands.execute import Confirmation, acceptable, nothing_more
from hammerwork_cli.features.job.commands.new_job_options import NewIdOption
from hammerwork_cli.features.job.commands.options import CancelledOption, ForceOption
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.options import json_value
from hammerwork_cli.features.job.queries.changes import RetryJobs
from hammerwork_cli.features.job.queries.encryption import refuse_plaintext
from hammerwork_cli.features.job.queries.enqueue import check_callbacks
from hammerwork_cli.features.workflow import views as shown
from hammerwork_cli.features.workflow.commands.reading import WorkflowArgument, show_graph
from hammerwork_cli.features.workflow.model import (
    FailurePolicy,
    NewWorkflow,
    WantedWorkflow,
    parsed,
    planned,
    read_workflow,
)
from hammerwork_cli.features.workflow.queries import create as creating
from hammerwork_cli.features.workflow.queries import endings, listing
from hammerwork_cli.features.workflow.queries.endings import CancelWorkflow
from hammerwork_cli.features.workflow.views import GraphFormat
from hammerwork_cli.view.text import plural


def create(
    context: Context,
    file: Annotated[
        str | None,
        typer.Option(
            "-f", "--file", metavar="FILE", help="Jobs of the workflow, in TOML or JSON: a file, or - for stdin."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="Its name. [default: the name in the file]")
    ] = None,
    failure_policy: Annotated[
        FailurePolicy | None,
        typer.Option("--failure-policy", help="Effect of a failed job on the others. [default: fail_fast]"),
    ] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON", help="A JSON object to store with the workflow.")
    ] = None,
    workflow_id: NewIdOption = None,
    *,
    callbacks: Callbacks,
    encryption_key: EncryptionKeyOption = None,
    no_encrypt: NoEncryptOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The file has a name, and a table in jobs for each job. The keys of a table are the options of `job enqueue`, and
    after: a list of the jobs that it waits for. The queue defaults to the key of the job, and the payload to an empty
    object. failure_policy and metadata are optional; options on the command line override the file.

    The workflow and its jobs, at most 100,000, are written in one transaction. With --id you can repeat the command:
    the same workflow stays as it is. --dry-run draws the jobs under their keys. Without a file the workflow is empty:
    add jobs with `job enqueue --workflow`. --on-complete, --on-success and --on-failure are those of `batch enqueue`.

    \b
    Examples:
      hammerwork workflow create --file nightly.toml --dry-run
      id=$(hammerwork workflow create --file nightly.toml) && hammerwork workflow show "$id"
      id=$(hammerwork workflow create --name repair --failure-policy manual) && \\
        hammerwork job enqueue --queue extract --payload '{}' --workflow "$id"
    """
    wanted = WantedWorkflow({}, {}, {})
    if file is not None:
        wanted = read_workflow(parsed(disk.text(file), "stdin" if file == "-" else file))
    options = wanted.options
    new = NewWorkflow.of(
        options.get("name", "") if name is None else name,
        failure_policy or options.get("failure_policy"),
        options.get("metadata") if metadata is None else json_value(metadata, "--metadata"),
        workflow_id,
    )
    new_callbacks = callbacks.new()
    keys = context.encryption_keys(encryption_key)
    database = context.database(changes=not dry_run, keys=keys, plaintext_meant=no_encrypt)
    now = context.now(database)
    jobs = {key: job.made(now) for key, job in wanted.jobs.items()}
    linked = new.linked(jobs, wanted.after)
    if dry_run:
        exists = creating.exists(database, new, linked, new_callbacks)
        if not exists:
            refuse_plaintext(database, linked)
            check_callbacks(database, new_callbacks, now)
        found, tree = planned(new, jobs)
        if form == Format.TABLE:
            show_graph(context, found, tree, GraphFormat.TEXT)
        else:
            context.answer(shown.WORKFLOW.record(found), form, list)
        if exists:
            context.note(f"Already exists; would be left unchanged: hammerwork workflow show {new.id}")
        else:
            context.note(f"Would create a workflow with {plural(len(jobs), 'job')}.")
        return
    placed = creating.create(database, new, linked, now, new_callbacks)
    context.answer(shown.WORKFLOW.record(listing.one(database, new.id)), form, lambda: [new.id])
    if not placed.created:
        context.note(f"Already exists; left unchanged: hammerwork workflow show {new.id}")
    else:
        context.note(f"Created a workflow with {plural(len(jobs), 'job')}.")
        if new_callbacks:
            note_upkeep(context, database, now)


def retry(
    context: Context,
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
    database = context.database(changes=True)
    change = RetryJobs(context.now(database), cancelled=cancelled)
    wanted = acceptable(change, statuses(status))
    full_id = listing.resolve(database, workflow)
    chosen = JobFilter(queues=tuple(queue or ()), workflows=(full_id,))
    agreed = partial(reopen, context, database, [full_id]) if cancelled else nothing_more
    change_within(context, database, chosen, wanted, change, confirmation, agreed=agreed)


def reopen(context: Context, database: Database, workflows: Sequence[str]) -> None:
    """Reopens those of the workflows that are cancelled and have no job to retry, and says so."""
    for workflow in workflows:
        if endings.reopen_without_failures(database, workflow):
            context.note(f"The workflow {workflow} is no longer cancelled: jobs can join it.")


def cancel(
    context: Context,
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


def delete(
    context: Context,
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
    database = context.database(changes=True)
    found = listing.resolve(database, workflow)
    delete_whole(context, database, JobFilter(workflows=(found,)), confirmation, creating.delete_empty, force=force)
