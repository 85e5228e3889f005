"""``hammerwork workflow list`` and ``show``."""

from collections.abc import Iterator
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import Listing, ListOptions, Order, show_list
from hammerwork_cli.cli.option_sets import expand_option_groups
from hammerwork_cli.cli.options import CursorOption, ErrorLimitOption, Format, LimitOption
from hammerwork_cli.core.input.reading import since_of
from hammerwork_cli.database import Database
from hammerwork_cli.features.workflow import views as shown
from hammerwork_cli.features.workflow.commands.arguments import WorkflowArgument
from hammerwork_cli.features.workflow.commands.graph import GraphFormatOption, draw
from hammerwork_cli.features.workflow.models.workflows import StoredWorkflow, WorkflowStatus
from hammerwork_cli.features.workflow.queries import listing
from hammerwork_cli.features.workflow.views import GraphFormat


@expand_option_groups
def list_(
    ctx: typer.Context,
    running: Annotated[bool, typer.Option("--running", help="Only running workflows.")] = False,
    completed: Annotated[bool, typer.Option("--completed", help="Only completed workflows.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed workflows.")] = False,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="Only cancelled workflows.")] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="Only with this text in the name; * is any text.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only workflows created since this: 7d (ago) or 2026-12-24T18:00Z.",
        ),
    ] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    *,
    options: ListOptions,
) -> None:
    """
    The status comes from the jobs, also from those that hammerwork (Rust) has enqueued or run. Several of --running,
    --completed, --failed and --cancelled add up. A running workflow needs a decision where a job has failed and the
    policy is manual. The next page starts at --cursor with the id of the last workflow, or with its CREATED_AT/ID.

    \b
    Examples:
      hammerwork workflow list
      hammerwork workflow list --failed --since 7d
      hammerwork workflow list --name 'nightly*' --format json | jq -r '.[] | select(.needs_decision) | .id'
    """
    context: Context = ctx.obj
    start = None if since is None else since_of(since, context.now())
    asked = {
        WorkflowStatus.RUNNING: running,
        WorkflowStatus.COMPLETED: completed,
        WorkflowStatus.FAILED: failed,
        WorkflowStatus.CANCELLED: cancelled,
    }
    statuses = [status for status, is_asked in asked.items() if is_asked]

    def read(database: Database, order: Order | None) -> Iterator[StoredWorkflow]:
        del order
        return listing.find(database, statuses=statuses, name=name, since=start, limit=limit, cursor=cursor)

    show_list(
        context,
        Listing(
            name="workflow list",
            read=read,
            columns=lambda: shown.COLUMNS,
            shape=shown.WORKFLOW,
            empty="No workflow matches.",
        ),
        options,
    )


def show(
    ctx: typer.Context,
    workflow: WorkflowArgument,
    limit: ErrorLimitOption = 10,
    form: GraphFormatOption = GraphFormat.TEXT,
) -> None:
    """
    JSON has everything but the graph, which `workflow graph --format json` has; mermaid and dot have the graph alone.

    \b
    Examples:
      hammerwork workflow show 178ebfc3
      hammerwork workflow show 178ebfc3 --format json | jq .by_status
      hammerwork workflow show 178ebfc3 --format mermaid > diagram.mmd
    """
    context: Context = ctx.obj
    database = context.database()
    found = listing.resolve(database, workflow)
    if form in {GraphFormat.MERMAID, GraphFormat.DOT}:
        draw(context, database, found, form)
        return
    details = listing.details(database, found, limit=limit)
    kind = Format.TABLE if form == GraphFormat.TEXT else Format.JSON
    record = shown.WORKFLOW_DETAILS.record(details)
    context.answer(record, kind, lambda: shown.details_text(details, colour=context.colour))
    if form == GraphFormat.TEXT and details.workflow.counts.total:
        context.lines(["", "Graph"])
        draw(context, database, found, form)
