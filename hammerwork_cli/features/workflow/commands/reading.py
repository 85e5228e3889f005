"""``hammerwork workflow list``, ``show``, ``graph`` and ``wait``."""

from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import Listing, ListOptions, show_list
from hammerwork_cli.cli.options import CursorOption, Format, FormatOption, JobArgument, LimitOption, since_option
from hammerwork_cli.cli.waiting import GiveUpOption, IntervalOption, wait_until_ended
from hammerwork_cli.core.input.reading import since_of
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ShownAnswerError
from hammerwork_cli.features.spawn.commands.tree import lineage
from hammerwork_cli.features.spawn.queries.annotations import annotations
from hammerwork_cli.features.tree.spawn_tree import Annotations, SpawnTree
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat, picture
from hammerwork_cli.features.tree.views.prune import prune
from hammerwork_cli.features.workflow import views as shown
from hammerwork_cli.features.workflow.model import StoredWorkflow, WorkflowStatus
from hammerwork_cli.features.workflow.queries import listing
from hammerwork_cli.features.workflow.views import GraphFormat
from hammerwork_cli.view.text import count

WorkflowArgument = Annotated[
    str, typer.Argument(metavar="WORKFLOW", help="A workflow's id, or at least its first 4 hex digits.")
]


GraphFormatOption = Annotated[GraphFormat, typer.Option("--format", help="Output format.")]


def graph(
    context: Context,
    workflow: WorkflowArgument,
    max_nodes: Annotated[
        int | None, typer.Option("--max-nodes", metavar="N", min=1, help="Jobs drawn (text: 500).")
    ] = None,
    form: GraphFormatOption = GraphFormat.TEXT,
) -> None:
    """
    Draws only jobs of the workflow, including those that they spawned into it. A job with several parents is drawn
    below the first of them, and is marked (*) below the others. json and dot are complete up to 100,000 jobs, mermaid
    folds.

    \b
    Examples:
      hammerwork workflow graph 178ebfc3
      hammerwork workflow graph 178ebfc3 --format dot | dot -Tsvg > graph.svg
      hammerwork workflow graph 178ebfc3 --format json | jq '.edges[] | [.from, .to]'
    """
    database = context.database()
    draw(context, database, listing.resolve(database, workflow), form, max_nodes)


def draw(context: Context, database: Database, workflow: str, form: GraphFormat, max_nodes: int | None = None) -> None:
    """Draws the graph of the workflow with this full id."""
    with database.snapshot():
        found, tree = listing.one(database, workflow), listing.graph(database, workflow)
    late = annotations(database, tree, context.now()) if form == GraphFormat.TEXT else None
    show_graph(context, found, tree, form, max_nodes, late)


def show_graph(
    context: Context,
    found: StoredWorkflow,
    tree: SpawnTree,
    form: GraphFormat,
    max_nodes: int | None = None,
    late: Annotations | None = None,
) -> None:
    """Shows a workflow as a graph, with the reasons why jobs do not start."""
    if form == GraphFormat.JSON:
        graph = shown.Graph.of(found, prune(tree, nodes=max_nodes))
        context.answer(shown.WORKFLOW_GRAPH.record(graph), Format.JSON, list)
        return
    if form == GraphFormat.TEXT and not tree.nodes:
        context.note("The workflow has no jobs.")
        return
    drawn = picture(
        tree,
        TreeFormat(form),
        Limits(None, 20, max_nodes or 500) if form == GraphFormat.TEXT else Limits(nodes=max_nodes),
        charset=context.charset,
        width=context.width,
        colour=context.colour,
        now=context.now(),
        annotations=late,
    )
    context.write(drawn.parts)
    for note in drawn.notes:
        context.note(note)
    if shown.is_cut(found, tree):
        context.note(f"Only {count(len(tree.nodes))} of its {count(found.counts.total)} jobs were read.")


def dependencies(
    context: Context,
    job: JobArgument,
    dependents: Annotated[bool, typer.Option("--dependents", help="Only jobs that wait for it.")] = False,
    depth: Annotated[int, typer.Option("--depth", metavar="N", min=1, max=100_000, help="Levels up and down.")] = 10,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork workflow dependencies 1c22a0f1
      hammerwork workflow dependencies 1c22a0f1 --dependents --depth 100
    """
    lineage(context, job, descendants=dependents, depth=depth, form=form)


def list_(
    context: Context,
    running: Annotated[bool, typer.Option("--running", help="Only running workflows.")] = False,
    completed: Annotated[bool, typer.Option("--completed", help="Only completed workflows.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed workflows.")] = False,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="Only cancelled workflows.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="TEXT", help="Only workflows with this text in the name; * is any text."),
    ] = None,
    since: Annotated[str | None, since_option("Only workflows created")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    *,
    options: ListOptions,
) -> None:
    """
    The status comes from the jobs, including those that hammerwork (Rust) has enqueued or run. You can combine
    --running, --completed, --failed and --cancelled. A running workflow needs a decision when a job has failed and the
    policy is manual. For the next page, give --cursor the id of the last workflow, or its CREATED_AT/ID.

    \b
    Examples:
      hammerwork workflow list
      hammerwork workflow list --failed --since 7d
      hammerwork workflow list --name 'nightly*' --format json | jq -r '.[] | select(.needs_decision) | .id'
    """
    start = None if since is None else since_of(since, context.now())
    asked = {
        WorkflowStatus.RUNNING: running,
        WorkflowStatus.COMPLETED: completed,
        WorkflowStatus.FAILED: failed,
        WorkflowStatus.CANCELLED: cancelled,
    }
    statuses = [status for status, is_asked in asked.items() if is_asked]
    show_list(
        context,
        Listing(
            name="workflow list",
            read=partial(listing.find, statuses=statuses, name=name, since=start, limit=limit, cursor=cursor),
            columns=lambda: shown.COLUMNS,
            shape=shown.WORKFLOW,
            empty="No workflow matches.",
        ),
        options,
    )


def show(
    context: Context,
    workflow: WorkflowArgument,
    limit: Annotated[
        int,
        typer.Option(
            "-l",
            "--limit",
            metavar="N",
            min=1,
            max=100_000,
            help="With --format text or json: maximum number of errors.",
        ),
    ] = 10,
    form: GraphFormatOption = GraphFormat.TEXT,
) -> None:
    """
    JSON has everything but the graph, for which there is `workflow graph --format json`; mermaid and dot have only the
    graph.

    \b
    Examples:
      hammerwork workflow show 178ebfc3
      hammerwork workflow show 178ebfc3 --format json | jq .by_status
      hammerwork workflow show 178ebfc3 --format mermaid > diagram.mmd
    """
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


def wait(
    context: Context,
    workflow: WorkflowArgument,
    timeout: GiveUpOption = None,
    interval: IntervalOption = "1s",
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Exit code 0 when all completed, 1 when one failed or was cancelled, or only jobs are left that wait for a decision,
    and 124 when --timeout passes. Survives database restarts.

    \b
    Examples:
      hammerwork workflow wait 178ebfc3
      hammerwork workflow wait 178ebfc3 --timeout 15m && ./publish.sh
    """
    found = wait_until_ended(
        context,
        "workflow",
        lambda database: listing.watch(database, workflow),
        lambda one: context.answer(shown.WORKFLOW.record(one), form, lambda: [shown.outcome_text(one)]),
        interval=interval,
        timeout=timeout,
    )
    if found.status != WorkflowStatus.COMPLETED:
        raise ShownAnswerError(f"The workflow is {shown.status_text(found)}: hammerwork workflow show {found.id}")
