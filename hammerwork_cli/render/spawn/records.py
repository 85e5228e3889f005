"""JSON records of spawn operations."""

from collections.abc import Iterable
from typing import Any

from hammerwork_cli.models import (
    WAITING,
    Counts,
    JobStatus,
    PendingSpawn,
    RecordedSpawn,
    SpawnGroup,
    SpawnOperation,
    SpawnStats,
    rfc3339,
)
from hammerwork_cli.models.spawn import TreeCounts
from hammerwork_cli.render.formats import key, names
from hammerwork_cli.render.formats.json import Record, known, seconds
from hammerwork_cli.render.formats.shape import Shape
from hammerwork_cli.render.tree.json import NODE

SPAWN_OUTCOMES = ("spawned", "failed", "repeated")


REQUEST_STATES = ("pending", "running", "done", "failed")


CHILD_COUNTS = Shape[Counts](
    {
        "total": key.count("All, including Archived jobs and unknown statuses, which no other count has"),
        "completed": key.count().of(lambda counts: counts.of(JobStatus.COMPLETED)),
        "failed": key.count("Failed, Dead and TimedOut"),
        "running": key.count().of(lambda counts: counts.of(JobStatus.RUNNING)),
        "pending": key.count("Pending and Retrying").of(lambda counts: counts.of(*WAITING)),
        "retrying": key.count("The part of pending that waits for another attempt after one failed"),
        "cancelled": key.count(),
    }
)
TREE_COUNTS = Shape[TreeCounts](
    {**CHILD_COUNTS.within("counts"), "more": key.flag("Whether there are more than were counted")}
)
"""All jobs below one."""


def failed_record(operation: SpawnOperation) -> Record:
    """An operation with its failures.

    Keys: those of :func:`operation_record`, ``failed_below`` (failed descendants), ``more_failed_below`` (whether there
    may be more), ``newest_failure_at`` and ``newest_error`` (of the parent or a descendant).
    """
    assert operation.below
    jobs, more, newest, error = operation.below
    told = {"failed_below": jobs, "more_failed_below": more, "newest_failure_at": rfc3339(newest)}
    return operation_record(operation) | told | {"newest_error": error}


def operation_record(operation: SpawnOperation) -> Record:
    """An operation.

    Keys: ``parent_id``, ``queue``, ``status``, ``priority``, ``children`` (an object: ``total``, ``completed``,
    ``failed`` for Failed, Dead and TimedOut, ``running``, ``pending`` for Pending and Retrying, ``retrying``,
    ``cancelled``), ``success_rate`` (completed among the ended ones, null before one has), ``spawned_at`` (first
    child), ``finished_at`` and ``wall_time_seconds`` (null until all have ended), ``operation_id``, ``handler``,
    ``recorded`` (its last recorded spawn, see :func:`spawn_record`), ``spawn_config``, ``workflow_id``,
    ``workflow_name``, ``created_at`` and ``completed_at`` (of the parent).
    """
    parent, children = operation.parent, operation.children
    return {
        "parent_id": parent.id,
        "queue": parent.queue,
        "status": parent.status,
        "priority": parent.priority,
        "children": CHILD_COUNTS.record(children),
        "success_rate": operation.success_rate,
        "spawned_at": rfc3339(operation.spawned_at),
        "finished_at": rfc3339(operation.finished_at),
        "wall_time_seconds": seconds(operation.wall_time),
        "operation_id": operation.operation_id,
        "handler": operation.handler,
        "recorded": spawn_record(operation.recorded) if operation.recorded else None,
        "spawn_config": parent.spawn_config,
        "workflow_id": parent.workflow_id,
        "workflow_name": parent.workflow_name,
        "created_at": rfc3339(parent.created_at),
        "completed_at": rfc3339(parent.completed_at),
    }


def spawn_record(spawn: RecordedSpawn) -> Record:
    """A recorded spawn.

    Keys: ``id``, ``operation_id``, ``handler``, ``outcome`` (``spawned``; ``failed`` if the parent completed without
    children because of an error; ``repeated`` if the parent was allowed to spawn again), ``children``, ``error`` (the
    reason for ``failed``), ``hook_error``, ``worker_id``, ``request_id``, ``started_at``, ``ended_at``.
    """
    return {
        "id": spawn.id,
        "operation_id": spawn.operation_id,
        "handler": spawn.handler,
        "outcome": known(spawn.outcome, SPAWN_OUTCOMES),
        "children": spawn.children,
        "error": spawn.error,
        "hook_error": spawn.hook_error,
        "worker_id": spawn.worker_id,
        "request_id": spawn.request_id,
        "started_at": rfc3339(spawn.started_at),
        "ended_at": rfc3339(spawn.ended_at),
    }


OPERATION_KEYS = (
    "parent_id",
    "queue",
    "status",
    "priority",
    "children.total",
    "children.completed",
    "children.failed",
    "children.running",
    "children.pending",
    "success_rate",
    "spawned_at",
    "finished_at",
    "wall_time_seconds",
    "operation_id",
    "handler",
    "recorded.id",
    "recorded.outcome",
    "recorded.error",
    "recorded.hook_error",
    "spawn_config",
    "workflow_id",
    "workflow_name",
    "created_at",
    "completed_at",
    "children.retrying",
    "children.cancelled",
)
"""Columns of CSV and TSV; a dot leads into a nested object."""


FAILED_KEYS = (*OPERATION_KEYS, "failed_below", "more_failed_below", "newest_failure_at", "newest_error")


def group_record(group: SpawnGroup) -> Record:
    """Figures of operations that share a queue or a handler.

    Keys: ``name`` (of the queue or handler), ``operations``, ``children``, ``average`` and ``largest`` (children of an
    operation), ``completed``, ``ended``, ``success_rate``, ``failed`` (Failed, Dead and TimedOut), ``cancelled``,
    ``retrying``.
    """
    return {
        "name": group.name,
        "operations": group.operations,
        "children": group.children,
        "average": group.average,
        "largest": group.largest,
        "completed": group.completed,
        "ended": group.ended,
        "success_rate": group.success_rate,
        "failed": group.failed,
        "cancelled": group.cancelled,
        "retrying": group.retrying,
    }


def stats_record(stats: SpawnStats) -> Record:
    """Figures of the operations in a window of time.

    Keys: ``since``, ``queue`` and ``queue_names`` (the filter), ``operations``, ``children``, ``average``, ``largest``,
    ``completed``, ``ended``, ``success_rate``, ``failed``, ``cancelled``, ``retrying``, ``empty`` (completed parents
    without a child), ``recent`` (operations of the last hour), ``depth`` (levels below the topmost parent),
    ``p50_seconds`` and ``p95_seconds`` (run time of completed children; of more than 2,000, that of a sample),
    ``timed`` (number of children that they are of), ``by_queue`` and ``by_handler`` (lists of :func:`group_record`),
    ``slowest`` (list of :func:`operation_record`); the last three are null without details.
    """
    overall = group_record(stats.overall)
    del overall["name"]
    return {
        "since": rfc3339(stats.since),
        **names.record_of(stats.queues),
        **overall,
        "empty": stats.empty,
        "recent": stats.recent,
        "depth": stats.depth,
        "p50_seconds": seconds(stats.p50),
        "p95_seconds": seconds(stats.p95),
        "timed": stats.timed,
        "by_queue": _list(group_record, stats.by_queue),
        "by_handler": _list(group_record, stats.by_handler),
        "slowest": _list(operation_record, stats.slowest),
    }


def _list(record: Any, models: Iterable[Any] | None) -> list[Record] | None:
    return None if models is None else [record(model) for model in models]


PENDING_KEYS = ("reason", "waits_for", *NODE.columns)
"""Columns of CSV and TSV."""


def pending_record(pending: PendingSpawn) -> Record:
    """A job that will spawn, waits to do so, or completed without spawning.

    Keys: ``reason`` (``asked_again``, ``will_spawn``, ``never_spawned``, ``waiting``, ``stuck``), ``waits_for`` (status
    -> number of the jobs that it depends on), and those of :data:`NODE`.
    """
    return {
        "reason": pending.reason,
        "waits_for": dict(sorted(pending.waits_for.by_status.items())),
        **NODE.record(pending.job),
    }
