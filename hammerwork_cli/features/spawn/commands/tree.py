"""``hammerwork spawn tree`` and ``lineage``."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, JobArgument, StatusOption, statuses
from hammerwork_cli.features.spawn.commands.arguments import charset_option
from hammerwork_cli.features.tree.views.picture import Charset, Limits, TreeFormat, picture

if TYPE_CHECKING:
    from hammerwork_cli.database import Database
    from hammerwork_cli.features.tree.spawn_tree import Annotations, SpawnTree

DepthOption = Annotated[
    int | None, typer.Option("--depth", metavar="N", min=0, max=100_000, help="Levels below the top.")
]


def tree(
    ctx: typer.Context,
    job: JobArgument,
    form: Annotated[
        TreeFormat, typer.Option("--format", help="Output format; json, jsonl and dot are complete, mermaid folds.")
    ] = TreeFormat.TEXT,
    depth: DepthOption = None,
    max_children: Annotated[
        int | None,
        typer.Option("--max-children", metavar="N", min=1, help="Children drawn for each parent (text: 20)."),
    ] = None,
    max_nodes: Annotated[
        int | None, typer.Option("--max-nodes", metavar="N", min=1, help="Jobs drawn (text: 500).")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="No limits.")] = False,
    children_only: Annotated[bool, typer.Option("--children-only", help="Only the part below JOB.")] = False,
    status: StatusOption = None,
    charset: Annotated[Charset | None, charset_option("text")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw until the tree has finished or you press q.")] = False,
    interval: Annotated[
        str | None,
        typer.Option("--interval", metavar="SECONDS", help="With --watch: refresh interval: 5, 0.5. [default: 1]"),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="With --watch: stop after 90s, 15m, 2h (exit 124)."),
    ] = None,
) -> None:
    """
    Text shows 10 levels, 20 children per parent and 500 jobs by default, counts the rest, and cuts lines at the
    edge of the terminal. A job that waits although its dependencies have ended is stuck: see `spawn why`. With
    --watch a pipe gets one document per change (JSON on one line; JSONL: the jobs that changed), and the exit code
    is 1 when the tree has finished with failures.

    \b
    Examples:
      hammerwork spawn tree 178ebfc3
      hammerwork spawn tree 178ebfc3 --status failed,dead
      hammerwork spawn tree 178ebfc3 --watch --interval 2
      hammerwork spawn tree 178ebfc3 --format json | jq '.nodes[] | select(.status == "Dead")'
      hammerwork spawn tree 178ebfc3 --format mermaid > diagram.mmd
    """
    from hammerwork_cli.features.job.queries import listing
    from hammerwork_cli.features.tree.queries import tree as tree_queries
    from hammerwork_cli.features.tree.queries.child_totals import no_collector

    context: Context = ctx.obj
    wanted = statuses(status)
    limits = Limits.of(form, depth, max_children, max_nodes, full=full)
    if watch:
        from hammerwork_cli.features.spawn.commands.tree_watch import watch_tree
        from hammerwork_cli.features.tree.views.screen import Style

        style = Style(limits, wanted, charset or context.charset, context.colour)
        watch_tree(context, job, form, style, whole=not children_only, interval=interval or "1", timeout=timeout)
        return
    ctx.with_resource(no_collector())
    database = context.database()
    found = tree_queries.tree(
        database,
        listing.resolve(database, job),
        whole=not children_only,
        depth=limits.depth,
        max_jobs=limits.max_jobs,
    )
    now = context.now()
    shown = picture(
        found,
        form,
        limits,
        statuses=wanted,
        charset=charset or context.charset,
        width=context.width,
        colour=context.colour,
        now=now,
        annotations=_marks(database, found, now) if form == TreeFormat.TEXT else None,
    )
    context.write(shown.parts)
    for note in shown.notes:
        context.note(note)
    if form == TreeFormat.TEXT:
        _note_callbacks(context, database, found)


def _note_callbacks(context: Context, database: "Database", tree: "SpawnTree") -> None:
    """Notes the open callbacks of the first root, and of the job that was asked for."""
    if not database.is_current:
        return
    from hammerwork_cli.features.callbacks.model import Subject
    from hammerwork_cli.features.callbacks.queries import callbacks_of
    from hammerwork_cli.view.text import plural, short_id

    for job in dict.fromkeys((*tree.roots[:1], tree.target)):
        coming = [one for one in callbacks_of(database, Subject.TREE, job) if one.is_open]
        if coming:
            context.note(f"{plural(len(coming), 'open callback')}: hammerwork spawn on-end {short_id(job)}")


def _marks(database: "Database", tree: "SpawnTree", now: datetime) -> "Annotations":
    from hammerwork_cli.features.spawn.queries.annotations import annotations

    return annotations(database, tree, now)


def lineage(
    context: Context,
    job: JobArgument,
    ancestors: Annotated[bool, typer.Option("--ancestors", help="Only ancestors.")] = False,
    descendants: Annotated[bool, typer.Option("--descendants", help="Only descendants.")] = False,
    depth: Annotated[int, typer.Option("--depth", metavar="N", min=1, max=100_000, help="Levels up and down.")] = 10,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork spawn lineage 1c22a0f1
      hammerwork spawn lineage 1c22a0f1 --ancestors --depth 100
      hammerwork spawn lineage 1c22a0f1 --format json | jq '.ancestors[].id'
    """
    from hammerwork_cli.features.job.queries import listing
    from hammerwork_cli.features.tree.queries import tree as tree_queries
    from hammerwork_cli.features.tree.views.lineage import LINEAGE, LINEAGE_LINE, lineage_text, related

    database = context.database()
    both = ancestors == descendants
    found = tree_queries.lineage(
        database,
        listing.resolve(database, job),
        ancestors=ancestors or both,
        descendants=descendants or both,
        depth=depth,
        max_jobs=Limits.of(TreeFormat.TEXT, depth, None, None, full=False).max_jobs if form == Format.TABLE else None,
    )
    if form in {Format.TABLE, Format.JSON}:
        context.answer(
            LINEAGE.record(found),
            form,
            lambda: lineage_text(found, charset=context.charset, width=context.width, colour=context.colour),
        )
    else:
        context.data(map(LINEAGE_LINE.record, related(found)), form, LINEAGE_LINE.columns)
