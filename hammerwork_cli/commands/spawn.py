"""``hammerwork spawn``: what jobs spawned."""

from datetime import datetime, timedelta
from math import isfinite
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hammerwork_cli.commands import spawn_again, spawn_health, spawn_monitor
from hammerwork_cli.commands.options import (
    CursorOption,
    Format,
    FormatOption,
    JobArgument,
    LimitOption,
    QueueOption,
    StatusOption,
    before,
    duration,
    statuses,
)
from hammerwork_cli.commands.verb import Verb, group
from hammerwork_cli.context import Context
from hammerwork_cli.errors import UsageError
from hammerwork_cli.queries import spawns
from hammerwork_cli.render import json
from hammerwork_cli.render.pictures import Charset, Limits, TreeFormat, picture

if TYPE_CHECKING:
    from hammerwork_cli.database import Database
    from hammerwork_cli.models import SpawnTree
    from hammerwork_cli.models.delays import Marks

app = group("spawn", "What was spawned.", "spawn list --recent", "spawn tree 178ebfc3", "spawn why 178ebfc3")


def tables() -> ModuleType:
    """``render.tables``, imported for people only: a script's start does without."""
    from hammerwork_cli.render import tables

    return tables


DepthOption = Annotated[int | None, typer.Option("--depth", min=0, max=100_000, help="Levels below the top.")]


@app.command("list", cls=Verb)
def list_(
    ctx: typer.Context,
    recent: Annotated[bool, typer.Option("--recent", help="Only parents created in the last hour.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Only parents created since: 90s, 15m, 2h, 7d.")
    ] = None,
    limit: LimitOption = 20,
    cursor: CursorOption = None,
    queue: QueueOption = None,
    status: StatusOption = None,
    operation: Annotated[
        str | None,
        typer.Option("--operation", metavar="ID", help="Only this operation id, or id of a worker's record."),
    ] = None,
    detailed: Annotated[
        bool, typer.Option("--detailed", help="Also handler, limit, inheritance, success rate, wall time.")
    ] = False,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Only with a failure at or anywhere below them, the newest failure first."),
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Parents that spawned children, newest first, with their children counted.

    A parent that ended without a child is listed with 0 children, and with the error where it completed although
    it could not spawn; one that has yet to spawn is in `spawn pending`. Only children are counted, and --status is
    the parent's own: with --failed also what failed on the levels below them, found from the newest failed jobs upward.
    The next page begins at --cursor with the parent_id of the last one.

    \b
    Examples:
      hammerwork spawn list --recent
      hammerwork spawn list --failed --queue video_ingest
      hammerwork spawn list --queue video_ingest --status failed,dead --detailed
      hammerwork spawn list --since 7d --format json | jq '.[] | select(.children.failed > 0)'
    """
    context: Context = ctx.obj
    if recent and since is not None:
        raise UsageError("--recent is the last hour, and --since says another time.", hint="Give one of them.")
    window = duration(since) if since is not None else timedelta(hours=1) if recent else None
    wanted: dict[str, Any] = {
        "limit": limit,
        "cursor": cursor,
        "queue": queue,
        "statuses": statuses(status),
        "since": None if window is None else before(context.now(), window),
        "operation": operation,
    }
    if failed:
        _list_failed(context, form, detailed=detailed, **wanted)
        return
    found, following = spawns.page(context.database(), **wanted)
    context.show(
        found,
        form,
        columns=lambda: tables().OPERATIONS_DETAILED if detailed else tables().OPERATIONS,
        record=json.operation_record,
        keys=json.OPERATION_KEYS,
        empty="No parent that spawned matches. Jobs that will spawn are in: hammerwork spawn pending",
    )
    _note_following(context, following)


def _note_following(context: Context, cursor: str | None) -> None:
    if cursor:
        context.note(f"There are more: --cursor {cursor}")


def _list_failed(context: Context, form: Format, *, detailed: bool, **wanted: Any) -> None:
    from hammerwork_cli.queries import failed_below

    found = failed_below.operations(context.database(), **wanted)
    context.show(
        found.operations,
        form,
        columns=lambda: tables().FAILED_OPERATIONS_DETAILED if detailed else tables().FAILED_OPERATIONS,
        record=json.failed_record,
        keys=json.FAILED_KEYS,
        empty="No operation that matches has failed, or has a failure below it.",
    )
    _note_following(context, found.cursor)
    if found.more:
        context.note(f"There may be more: only the newest {failed_below.MOST_FAILED:,} failed jobs are looked at.")


@app.command("tree", cls=Verb)
def tree(
    ctx: typer.Context,
    job: JobArgument,
    form: Annotated[
        TreeFormat, typer.Option("--format", help="text for people; json, jsonl and dot are complete; mermaid folds.")
    ] = TreeFormat.TEXT,
    depth: DepthOption = None,
    max_children: Annotated[
        int | None, typer.Option("--max-children", min=1, help="Children drawn for each parent (text: 20).")
    ] = None,
    max_nodes: Annotated[int | None, typer.Option("--max-nodes", min=1, help="Jobs drawn (text: 500).")] = None,
    full: Annotated[bool, typer.Option("--full", help="No limits.")] = False,
    children_only: Annotated[bool, typer.Option("--children-only", help="Only the part below JOB.")] = False,
    status: StatusOption = None,
    charset: Annotated[Charset | None, typer.Option("--charset", help="Characters to draw with.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw it again and again until all has finished, or q is pressed.")
    ] = False,
    interval: Annotated[
        str | None, typer.Option("--interval", metavar="SECONDS", help="Between two looks of --watch: 5, 0.5 (1).")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="End --watch after: 90s, 15m, 2h (exit 124).")
    ] = None,
) -> None:
    """The whole tree that a job belongs to, failures first.

    Text shows 10 levels, 20 children a parent and 500 jobs unless told otherwise; what is cut is counted, and on a
    terminal lines end at its edge. A job that waits although all it depends on has ended is stuck: `spawn why`. With
    --watch a pipe gets a document for each change, as JSON on one line, or as JSONL the jobs that changed; exit
    code 1 when it has finished and jobs failed.

    \b
    Examples:
      hammerwork spawn tree 178ebfc3
      hammerwork spawn tree 178ebfc3 --status failed,dead
      hammerwork spawn tree 178ebfc3 --watch --interval 2
      hammerwork spawn tree 178ebfc3 --format json | jq '.nodes[] | select(.status == "Dead")'
      hammerwork spawn tree 178ebfc3 --format mermaid > diagram.mmd
    """
    from hammerwork_cli.queries import jobs, trees

    context: Context = ctx.obj
    wanted = statuses(status)
    limits = Limits.of(form, depth, max_children, max_nodes, full=full)
    if watch:
        from hammerwork_cli.commands.spawn_watch import watch_tree
        from hammerwork_cli.render.watch_views import Style

        style = Style(limits, wanted, charset or context.charset, context.colour)
        watch_tree(context, job, form, style, whole=not children_only, interval=interval or "1", timeout=timeout)
        return
    spawn_monitor.refuse_without_watch(interval=interval, timeout=timeout)
    database = context.database()
    found = trees.tree(
        database,
        jobs.resolve(database, job),
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
        marks=_marks(database, found, now) if form == TreeFormat.TEXT else None,
    )
    context.write(shown.parts)
    for note in shown.notes:
        context.note(note)


def _marks(database: "Database", tree: "SpawnTree", now: datetime) -> "Marks":
    from hammerwork_cli.queries.marks import marks

    return marks(database, tree, now)


@app.command("stats", cls=Verb)
def stats(
    ctx: typer.Context,
    hours: Annotated[
        float, typer.Option("--hours", min=0.01, max=1_000_000, help="Parents created in the last so many hours.")
    ] = 24,
    queue: QueueOption = None,
    detailed: Annotated[bool, typer.Option("--detailed", help="Also by queue, by handler, and the slowest.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Figures of what was spawned: operations, children, success rate, depth, run times.

    \b
    Examples:
      hammerwork spawn stats
      hammerwork spawn stats --hours 168 --queue video_ingest --detailed
      hammerwork spawn stats --format json | jq .success_rate
    """
    if not isfinite(hours):
        raise UsageError("--hours must be a number.", hint="For example --hours 24.")
    context: Context = ctx.obj
    now = context.now()
    figures = spawns.stats(
        context.database(),
        since=now - timedelta(hours=hours),
        recent=now - timedelta(hours=1),
        queue=queue,
        detailed=detailed,
    )
    context.answer(
        json.stats_record(figures),
        form,
        lambda: tables().stats_text(figures, terminal=context.is_terminal, width=context.width, colour=context.colour),
    )


@app.command("lineage", cls=Verb)
def lineage(
    ctx: typer.Context,
    job: JobArgument,
    ancestors: Annotated[bool, typer.Option("--ancestors", help="Only where it comes from.")] = False,
    descendants: Annotated[bool, typer.Option("--descendants", help="Only what came from it.")] = False,
    depth: Annotated[int, typer.Option("--depth", min=1, max=100_000, help="Levels up and down.")] = 10,
    form: FormatOption = Format.TABLE,
) -> None:
    """Where a job comes from, up to every root, and what came from it.

    \b
    Examples:
      hammerwork spawn lineage 1c22a0f1
      hammerwork spawn lineage 1c22a0f1 --ancestors --depth 100
      hammerwork spawn lineage 1c22a0f1 --format json | jq '.ancestors[].id'
    """
    from hammerwork_cli.queries import jobs, trees

    context: Context = ctx.obj
    database = context.database()
    both = ancestors == descendants
    found = trees.lineage(
        database,
        jobs.resolve(database, job),
        ancestors=ancestors or both,
        descendants=descendants or both,
        depth=depth,
        max_jobs=Limits.of(TreeFormat.TEXT, depth, None, None, full=False).max_jobs if form == Format.TABLE else None,
    )
    if form in {Format.TABLE, Format.JSON}:
        context.answer(
            json.lineage_record(found),
            form,
            lambda: tables().lineage_text(found, charset=context.charset, width=context.width, colour=context.colour),
        )
    else:
        context.data(json.lineage_rows(found), form, json.LINEAGE_KEYS)


@app.command("pending", cls=Verb)
def pending(
    ctx: typer.Context,
    queue: QueueOption = None,
    show_config: Annotated[bool, typer.Option("--show-config", help="Also the spawn configuration.")] = False,
    limit: LimitOption = 50,
    form: FormatOption = Format.TABLE,
) -> None:
    """Jobs that will spawn and have not yet, that completed and never did, and jobs that wait for others.

    A job for which `spawn again` was accepted is listed until a worker has spawned for it.

    \b
    Examples:
      hammerwork spawn pending
      hammerwork spawn pending --queue video_ingest --show-config
      hammerwork spawn pending --format json | jq '.[] | select(.reason == "stuck")'
    """
    context: Context = ctx.obj
    found = spawns.pending(context.database(), limit=limit, queue=queue)
    context.show(
        found,
        form,
        columns=lambda: tables().PENDING_WITH_CONFIG if show_config else tables().PENDING,
        record=json.pending_record,
        keys=json.PENDING_KEYS,
        empty="Nothing is about to spawn, and nothing waits.",
    )
    if form == Format.TABLE and any(row.reason == "stuck" for row in found):
        context.note("What is stuck never runs by itself. What would mend it says: hammerwork spawn doctor")


spawn_again.register(app)
spawn_health.register(app)
spawn_monitor.register(app)
