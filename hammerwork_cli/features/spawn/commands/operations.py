"""``hammerwork spawn list``."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    CursorOption,
    Format,
    FormatOption,
    LimitOption,
    QueueOption,
    StatusOption,
    several_names,
    since_option,
    statuses,
    until_option,
)
from hammerwork_cli.core.input.reading import before, since_of
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from hammerwork_cli.features.spawn.views import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
    from hammerwork_cli.view.table import Column


def _columns(*, failed: bool, detailed: bool) -> "Sequence[Column[SpawnOperation]]":
    # Imported for people only: a script's start does without.
    from hammerwork_cli.features.spawn.views import operations

    if failed:
        return operations.FAILED_OPERATIONS_DETAILED if detailed else operations.FAILED_OPERATIONS
    return operations.OPERATIONS_DETAILED if detailed else operations.OPERATIONS


def list_(
    context: Context,
    recent: Annotated[bool, typer.Option("--recent", hidden=True)] = False,
    since: Annotated[str | None, since_option("Only parents created")] = None,
    until: Annotated[str | None, until_option("Only parents created")] = None,
    limit: LimitOption = 20,
    cursor: CursorOption = None,
    queue: QueueOption = None,
    status: StatusOption = None,
    operation: Annotated[
        list[str] | None,
        typer.Option(
            "--operation",
            metavar="ID",
            callback=several_names,
            help="Only these operation ids, or record ids (see --detailed).",
        ),
    ] = None,
    detailed: Annotated[
        bool, typer.Option("--detailed", help="Also handler, limit, inheritance, success rate, wall time.")
    ] = False,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Only failed parents, or those with failures below them, newest first."),
    ] = False,
    roots: Annotated[bool, typer.Option("--roots", help="Only parents that depend on no other job.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    A parent that ended without children shows 0, and an error if it could not spawn. `spawn pending` lists parents that
    have yet to spawn. --status is the parent's own status. The table also counts failures below the children, starting
    from the newest failed jobs; the other formats have that number with --failed. For the next page, give --cursor the
    last parent_id.

    \b
    Examples:
      hammerwork spawn list --since 1h
      hammerwork spawn list --failed --roots --queue video_ingest
      hammerwork spawn list --queue video_ingest --status failed,dead --detailed
      hammerwork spawn list --failed --since 7d --format json | jq '.[] | select(.failed_below > 100)'
    """
    now = context.now()
    start = since_of(since, now) if since is not None else before(now, timedelta(hours=1)) if recent else None
    wanted: dict[str, Any] = {
        "limit": limit,
        "cursor": cursor,
        "queues": queue or (),
        "statuses": statuses(status),
        "since": start,
        "until": None if until is None else since_of(until, now),
        "roots": roots,
        "operations": operation or (),
    }
    if failed:
        _list_failed(context, form, detailed=detailed, **wanted)
        return
    database = context.database()
    found, following = operations_queries.page(database, **wanted)
    if found and form == Format.TABLE:
        from hammerwork_cli.features.spawn.queries import failed as failed_queries

        found = failed_queries.with_failures(database, found)
    context.show(
        found,
        form,
        columns=lambda: _columns(failed=False, detailed=detailed),
        shape=records.OPERATION,
        empty=f"{_nobody(wanted)} Jobs that will spawn: hammerwork spawn pending",
    )
    childless = sum(not one.children.total for one in found)
    if form == Format.TABLE and not roots and childless > len(found) / 2:
        # In a queue whose jobs spawn jobs of the same queue, the leaves are newer than all parents.
        context.note(f"{childless:,} of these have no children. The tops of trees alone: --roots")
    _note_following(context, following)


def _nobody(wanted: dict[str, Any]) -> str:
    filtered = any(wanted[name] for name in ("cursor", "queues", "statuses", "since", "until", "operations", "roots"))
    return "No matching parent has spawned." if filtered else "No parent has spawned."


def _note_following(context: Context, cursor: str | None) -> None:
    if cursor:
        context.note(f"There are more: --cursor {cursor}")


def _list_failed(context: Context, form: Format, *, detailed: bool, **wanted: Any) -> None:
    from hammerwork_cli.cli.lists import note_lost_jobs
    from hammerwork_cli.features.spawn.queries import failed as failed_queries

    database = context.database()
    found = failed_queries.operations(database, **wanted)
    context.show(
        found.operations,
        form,
        columns=lambda: _columns(failed=True, detailed=detailed),
        shape=records.FAILED_OPERATION,
        empty="No matching operation has failed or has a failure below it.",
    )
    _note_following(context, found.cursor)
    if form == Format.TABLE:
        note_lost_jobs(context)
    if found.more:
        context.note(f"There may be more: only the newest {failed_queries.MOST_FAILED:,} failed jobs are looked at.")
