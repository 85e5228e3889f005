"""``hammerwork workflow graph``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.models.why import Annotations
from hammerwork_cli.features.spawn.queries.annotations import annotations
from hammerwork_cli.features.tree.model import SpawnTree
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat, picture
from hammerwork_cli.features.tree.views.prune import prune
from hammerwork_cli.features.workflow import views as shown
from hammerwork_cli.features.workflow.commands.arguments import WorkflowArgument
from hammerwork_cli.features.workflow.models.workflows import StoredWorkflow
from hammerwork_cli.features.workflow.queries import listing
from hammerwork_cli.features.workflow.views import GraphFormat
from hammerwork_cli.view.text import count

GraphFormatOption = Annotated[GraphFormat, typer.Option("--format", help="Output format.")]


def graph(
    ctx: typer.Context,
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
    context: Context = ctx.obj
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
