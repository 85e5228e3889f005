"""``hammerwork spawn stats`` and ``pending``."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    Format,
    FormatOption,
    HoursOption,
    LimitOption,
    QueueOption,
    since_option,
    start_of,
)
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from hammerwork_cli.features.spawn.queries import pending as pending_queries
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from hammerwork_cli.features.spawn.views.pending_records import PENDING
from hammerwork_cli.features.spawn.views.stats_records import SPAWN_STATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hammerwork_cli.core.values import Timestamp
    from hammerwork_cli.features.spawn.models.pending import PendingSpawn
    from hammerwork_cli.features.spawn.models.stats import SpawnStats
    from hammerwork_cli.view.table import Column


def stats(
    context: Context,
    since: Annotated[str, since_option("Only parents created")] = "24h",
    queue: QueueOption = None,
    detailed: Annotated[bool, typer.Option("--detailed", help="Also by queue, by handler, and the slowest.")] = False,
    hours: HoursOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork spawn stats
      hammerwork spawn stats --since 7d --queue video_ingest --detailed
      hammerwork spawn stats --format json | jq .success_rate
    """
    now = context.now()
    start = start_of(now, since, hours)
    database = context.database()
    figures = stats_queries.stats(
        database,
        since=start,
        recent=now - timedelta(hours=1),
        queues=queue or (),
        detailed=detailed,
    )
    nothing = not (figures.overall.operations or figures.empty)
    older = operations_queries.parents(database, limit=1, queues=queue or ()) if nothing else []
    context.answer(
        SPAWN_STATS.record(figures),
        form,
        lambda: _text(context, figures, older[0].created_at if older else None, now),
    )


def pending(
    context: Context,
    queue: QueueOption = None,
    show_config: Annotated[bool, typer.Option("--show-config", help="Also the spawn configuration.")] = False,
    limit: LimitOption = 50,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    A job with an open request of `spawn again` is listed until a worker has spawned for it.

    \b
    Examples:
      hammerwork spawn pending
      hammerwork spawn pending --queue video_ingest --show-config
      hammerwork spawn pending --format json | jq '.[] | select(.reason == "stuck")'
    """
    found = pending_queries.pending(context.database(), limit=limit, queues=queue or ())
    context.show(
        found,
        form,
        columns=lambda: _pending_columns(show_config=show_config),
        shape=PENDING,
        empty="No job is about to spawn, and none waits.",
    )
    if form == Format.TABLE and any(row.reason == "stuck" for row in found):
        context.note("Stuck jobs never run by themselves. See: hammerwork spawn doctor")


# Tables are imported for people only: a script's start does without.


def _text(context: Context, figures: "SpawnStats", older: "Timestamp", now: datetime) -> "Iterator[str]":
    from hammerwork_cli.features.spawn.views import operations

    if older is not None:
        return operations.only_older(figures, older, now=now)
    return operations.stats_text(figures, terminal=context.is_terminal, width=context.width, colour=context.colour)


def _pending_columns(*, show_config: bool) -> "Sequence[Column[PendingSpawn]]":
    from hammerwork_cli.features.spawn.views import operations

    return operations.PENDING_WITH_CONFIG if show_config else operations.PENDING
