"""Tables and texts of the ``spawn`` commands that read operations."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from math import ceil
from typing import Any

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import FAILURES, FINISHED, WAITING, Counts, JobStatus, Timestamp, timestamp
from hammerwork_cli.features.spawn.models.pending import PendingSpawn
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.spawn.models.stats import SpawnGroup, SpawnStats
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.view import names
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.json import document
from hammerwork_cli.view.table import Column, table_text, time_column
from hammerwork_cli.view.text import (
    NOTHING,
    brief_instant,
    count,
    duration,
    first_line,
    instant,
    percent,
    plural,
    short_id,
    shorten,
    statuses,
    visible,
)

_PARENT: Sequence[Column[SpawnOperation]] = (
    Column("parent", lambda row: short_id(row.parent.id)),
    Column("queue", lambda row: row.parent.queue, cuts=True),
    Column("status", lambda row: row.parent.status, is_status=True),
    Column("children", lambda row: count(row.children.total), "right", is_count=True, drop_order=3),
    Column("spawned", lambda row: _spawned(row), "right", optional=True, drop_order=2),
    Column(
        "completed",
        lambda row: count(row.children.of(JobStatus.COMPLETED)),
        "right",
        is_count=True,
        narrow_header="done",
    ),
)
_UNFINISHED: Sequence[Column[SpawnOperation]] = (
    Column("running", lambda row: count(row.children.of(JobStatus.RUNNING)), "right", is_count=True),
    Column("pending", lambda row: count(row.children.of(*WAITING)), "right", is_count=True),
    Column("retrying", lambda row: count(row.children.retrying), "right", optional=True, is_count=True, drop_order=5),
    Column("cancelled", lambda row: count(row.children.cancelled), "right", optional=True, is_count=True, drop_order=6),
    Column("other", lambda row: count(row.children.other), "right", optional=True, is_count=True),
)
_ORIGIN: Sequence[Column[SpawnOperation]] = (
    Column("operation", lambda row: row.operation_id, optional=True, cuts=True, drop_order=2),
    Column("workflow", lambda row: _workflow(row.parent), optional=True, cuts=True, drop_order=1),
    Column("not spawned", lambda row: first_line(row.error) if row.error else None, optional=True, cuts=True),
)

OPERATIONS: Sequence[Column[SpawnOperation]] = (
    *_PARENT,
    Column("failed", lambda row: count(row.children.failed), "right", is_count=True),
    Column("failed below", lambda row: _failed_deeper(row), "right", optional=True),
    *_UNFINISHED,
    time_column("spawned", lambda row: row.spawned_at, drop_order=4),
    *_ORIGIN,
)

FAILED_OPERATIONS: Sequence[Column[SpawnOperation]] = (
    *_PARENT,
    Column(
        "failed children",
        lambda row: count(row.children.failed),
        "right",
        is_count=True,
        narrow_header="failed",
    ),
    Column("failed below", lambda row: _failed_below(row), "right", is_count=True),
    *_UNFINISHED,
    Column(
        "last failed (UTC)",
        lambda row: instant(row.below.newest_at) if row.below else NOTHING,
        narrow=lambda row: brief_instant(row.below.newest_at) if row.below else NOTHING,
        narrow_header="last failed",
        drop_order=4,
    ),
    *_ORIGIN,
    Column("newest error", lambda row: row.below and row.below.newest_error, cuts=True),
)

_DETAILS: Sequence[Column[SpawnOperation]] = (
    Column("handler", lambda row: row.handler, optional=True, cuts=True),
    Column("record", lambda row: short_id(row.recorded.id) if row.recorded else None, optional=True),
    Column("limits", lambda row: limits(row.config), wraps=True),
    Column("inherits", lambda row: inheritance(row.config), wraps=True),
    Column("success", lambda row: percent(row.success_rate), "right"),
    Column("wall time", lambda row: duration(row.wall_time), "right"),
)
OPERATIONS_DETAILED = (*OPERATIONS, *_DETAILS)
FAILED_OPERATIONS_DETAILED = (*FAILED_OPERATIONS, *_DETAILS)

PENDING: Sequence[Column[PendingSpawn]] = (
    Column("job", lambda row: short_id(row.job.id)),
    Column("queue", lambda row: row.job.queue, cuts=True),
    Column("status", lambda row: row.job.status, is_status=True),
    Column("priority", lambda row: row.job.priority, drop_order=1),
    time_column("created", lambda row: row.job.created_at, drop_order=2),
    Column("why", lambda row: reason(row), cuts=True),
)

PENDING_WITH_CONFIG: Sequence[Column[PendingSpawn]] = (
    *PENDING,
    Column("spawn config", lambda row: config_text(row.job), wraps=True),
)


def _spawned(row: SpawnOperation) -> str | None:
    """The number of jobs that a worker recorded, where it differs: some wait for each other, not for the parent."""
    recorded = row.recorded.children if row.recorded and row.recorded.outcome == "spawned" else None
    return None if recorded in {None, row.children.total} else count(recorded or 0)


def _failed_below(row: SpawnOperation) -> str:
    if row.below is None:
        return NOTHING
    itself = row.parent.status in FAILURES
    below = f"{count(row.below.jobs)}{'+' * row.below.more}"
    return below if not itself else "itself" if below == "0" else f"{below} and itself"


def _failed_deeper(row: SpawnOperation) -> str | None:
    """The number of failures below, where some of them are below the children."""
    if row.below is None or row.below.jobs <= row.children.failed:
        return None
    return f"{count(row.below.jobs)}{'+' * row.below.more}"


def _workflow(node: TreeNode) -> str | None:
    return node.workflow_name or (short_id(node.workflow_id) if node.workflow_id else None)


def limits(config: SpawnConfig | None) -> str:
    """The limits of a spawn configuration: ``at most 100 children``."""
    if config is None:
        return NOTHING
    most = config.max_spawn_count
    parts = ["no limit" if most is None else f"at most {plural(most, 'child', 'children')}"]
    if config.max_depth is not None:
        parts.append(plural(config.max_depth, "level"))
    if config.batch_size is not None:
        parts.append(f"batches of {count(config.batch_size)}")
    if config._spawn_delay_ms is not None:
        parts.append(f"{count(config._spawn_delay_ms)} ms apart")
    return ", ".join(parts)


def inheritance(config: SpawnConfig | None) -> str:
    """The fields that children inherit from their parent."""
    if config is None:
        return NOTHING
    inherited = {
        "priority": config.inherit_priority,
        "queue": config.inherit_queue,
        "retries": config.inherit_retry_strategy,
        "timeout": config.inherit_timeout,
        "trace": config.inherit_trace_context,
    }
    return ", ".join(name for name, taken in inherited.items() if taken) or "nothing"


def config_text(node: TreeNode) -> str:
    """The spawn configuration as JSON; an unreadable one as it is stored."""
    if node.stored_config is None:
        return NOTHING
    config = node.spawn_config
    return document(config) if config is not None else f"unreadable: {shorten(visible(node.stored_config), 60)}"


def reason(pending: PendingSpawn) -> str:
    """The reason why a job is listed as pending, and its dependencies."""
    waits = _waits(pending.waits_for)
    config = SpawnConfig._parse(pending.job.stored_config)
    by = f" by {visible(config.handler)}" if config and config.handler else ""
    if pending.reason == "will_spawn":
        unreadable = pending.job.has_spawn_config and config is None
        text = "its spawn configuration cannot be read" if unreadable else f"will spawn{by}"
        return f"{text}; depends on {waits}" if waits else text
    if pending.reason == "asked_again":
        return "asked to spawn again"
    if pending.reason == "never_spawned":
        return f"spawned nothing{by}"
    if pending.reason == "waiting":
        return f"waiting on {waits}"
    if pending.reason == "stuck":
        ended = statuses(pending.waits_for)
        return f"stuck: waiting on {ended}" if ended else "stuck: dependencies missing"
    return visible(pending.reason)


def _waits(counts: Counts) -> str:
    """``1 pending (2 completed)``: open dependencies, then those that have ended."""
    over = Counts({status: jobs for status, jobs in counts.by_status.items() if status in FINISHED})
    ahead = Counts({status: jobs for status, jobs in counts.by_status.items() if status not in FINISHED})
    if not (over.total and ahead.total):
        return statuses(counts)
    return f"{statuses(ahead)} ({statuses(over)})"


def _pairs(pairs: dict[str, str]) -> Iterator[str]:
    longest = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        yield f"  {name:<{longest}}  {value}"


# Figures.


def _group_columns(name: str) -> Sequence[Column[SpawnGroup]]:
    return (
        Column(name, lambda group: group.name, wraps=True),
        Column("operations", lambda group: count(group.operations), "right"),
        Column("children", lambda group: count(group.children), "right"),
        Column("average", lambda group: _average(group), "right"),
        Column("largest", lambda group: count(group.largest), "right"),
        Column("success", lambda group: percent(group.success_rate), "right"),
    )


SLOWEST: Sequence[Column[SpawnOperation]] = (
    Column("parent", lambda row: short_id(row.parent.id)),
    Column("queue", lambda row: row.parent.queue, wraps=True),
    Column("children", lambda row: count(row.children.total), "right"),
    Column("failed", lambda row: count(row.children.failed), "right"),
    Column("wall time", lambda row: duration(row.wall_time), "right"),
    Column("spawned at (UTC)", lambda row: instant(row.spawned_at), wraps=True),
)


def _average(group: SpawnGroup) -> str:
    return NOTHING if group.average is None else f"{group.average:,.1f}"


def stats_text(stats: SpawnStats, *, terminal: bool, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Draws the figures of a window of time, and the tables with details if there are any."""
    where = f", {names.words_of(stats.queues)}" if stats.queues else ""
    yield paint(f"Spawning since {instant(stats.since)} UTC{where}", "bold", colour)
    yield from _pairs(_figures(stats))

    def table(title: str, rows: Sequence[Any] | None, columns: Sequence[Column[Any]]) -> Iterator[str]:
        if rows:
            yield ""
            yield paint(title, "bold", colour)
            yield table_text(rows, columns, terminal=terminal, width=width, colour=colour)

    yield from table("By queue", stats.by_queue, _group_columns("queue"))
    yield from table("By handler", stats.by_handler, _group_columns("handler"))
    yield from table("Slowest", stats.slowest, SLOWEST)


def only_older(stats: SpawnStats, newest: Timestamp, *, now: datetime) -> Iterator[str]:
    """Says that all operations are older than the window, and which window has the newest one."""
    created = timestamp(newest)
    hours = ceil((now - created).total_seconds() / 3600) if created else 1_000_000
    of_queue = f" of {names.words_of(stats.queues)}" if stats.queues else ""
    words = names.queue_option(stats.queues) if names.can_be_typed(stats.queues) else ""
    yield f"No operation{of_queue} since {instant(stats.since)} UTC. The newest one is from {instant(newest)} UTC:"
    yield f"  hammerwork spawn stats --since {max(hours, 1)}h{words}"


def _failures(group: SpawnGroup) -> str:
    parts = ((group.failed, "failed"), (group.cancelled, "cancelled"), (group.retrying, "retrying"))
    return ", ".join(f"{count(number)} {word}" for number, word in parts if number) or "none"


def _run_time(stats: SpawnStats) -> str:
    if stats.p50 is None:
        return NOTHING
    of = f" (of {plural(stats.timed, 'child', 'children')})" if stats.timed < stats.overall.completed else ""
    return f"p50 {duration(stats.p50)}, p95 {duration(stats.p95)}{of}"


def _figures(stats: SpawnStats) -> dict[str, str]:
    overall = stats.overall
    ended = f"{count(overall.completed)} of {plural(overall.ended, 'ended child', 'ended children')}"
    return {
        "operations": f"{count(overall.operations)} ({count(stats.recent)} in the last hour)",
        "children": f"{count(overall.children)} ({_average(overall)} on average, {count(overall.largest)} at most)",
        "success rate": f"{percent(overall.success_rate)} ({ended})" if overall.ended else NOTHING,
        "failures": _failures(overall),
        "run time": _run_time(stats),
        "depth": plural(stats.depth, "level"),
        "spawned nothing": plural(stats.empty, "completed parent"),
    }


# Lineage.
