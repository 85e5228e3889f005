"""Spawn operations and their figures."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.models.spawn_config import SpawnConfig
from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import FINISHED, Counts, JobStatus, Timestamp, timestamp


@dataclass(frozen=True, slots=True)
class SpawnOperation:
    """A parent that spawned, or had its chance to, with its children counted.

    Attributes:
        spawned_at: when its first child was created.
        finished_at: when the last of its children ended, once all have ended.
        recorded: its last spawn, where a worker of ours did it.
        below: what failed anywhere below it, where that was asked for.
    """

    parent: TreeNode
    children: Counts
    spawned_at: Timestamp
    finished_at: Timestamp
    recorded: "RecordedSpawn | None" = None
    below: "FailedBelow | None" = None

    @property
    def config(self) -> SpawnConfig | None:
        """The parent's spawn configuration, where it can be read."""
        return SpawnConfig.parse(self.parent.stored_config)

    @property
    def handler(self) -> str | None:
        """The handler that the configuration names, else the one that a worker used."""
        config = self.config
        named = config.handler if config else None
        return self.recorded.handler if named is None and self.recorded else named

    @property
    def operation_id(self) -> str | None:
        """That of the configuration, else what a worker recorded."""
        own = self.parent.operation_id
        return self.recorded.operation_id if own is None and self.recorded else own

    @property
    def error(self) -> str | None:
        """Why nothing was spawned although the parent completed."""
        return self.recorded.error if self.recorded and self.recorded.outcome == "failed" else None

    @property
    def success_rate(self) -> float | None:
        """Completed children among those that have ended, 0 to 1; ``None`` before one has."""
        ended = self.children.of(*FINISHED)
        return self.children.of(JobStatus.COMPLETED) / ended if ended else None

    @property
    def wall_time(self) -> timedelta | None:
        """From the first child's creation to the last child's end, once all have ended."""
        start, end = timestamp(self.spawned_at), timestamp(self.finished_at)
        return max(end - start, timedelta()) if start and end else None


class FailedBelow(NamedTuple):
    """Failed jobs on all levels below an operation.

    Attributes:
        more: whether there may be more: only the newest failures of a database are followed upward.
        newest_at: when it, or a job below it, failed last.
    """

    jobs: int
    more: bool
    newest_at: Timestamp


@dataclass(frozen=True, slots=True)
class SpawnGroup:
    """Figures of the operations that share a queue or a handler."""

    name: str | None
    operations: int
    children: int
    largest: int
    completed: int
    ended: int

    @property
    def average(self) -> float | None:
        """Children an operation."""
        return self.children / self.operations if self.operations else None

    @property
    def success_rate(self) -> float | None:
        """Completed children among those that have ended, 0 to 1."""
        return self.completed / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class SpawnStats:
    """What was spawned in a window of time.

    Attributes:
        since: start of the window; operations count by their parent's creation.
        operations: parents with at least one child.
        empty: parents that completed and spawned nothing.
        recent: operations of the last hour.
        depth: levels of spawning below the topmost parent.
        p50, p95: run time of the children that completed.
    """

    since: datetime
    queue: str | None
    overall: SpawnGroup
    empty: int
    recent: int
    depth: int
    p50: timedelta | None
    p95: timedelta | None
    by_queue: tuple[SpawnGroup, ...] | None = None
    by_handler: tuple[SpawnGroup, ...] | None = None
    slowest: tuple[SpawnOperation, ...] | None = None


@dataclass(frozen=True, slots=True)
class PendingSpawn:
    """A job with spawning still ahead of it, or behind it without effect.

    Attributes:
        reason: ``asked_again`` (a request to spawn again is open), ``will_spawn``,
            ``never_spawned`` (completed without a child), ``waiting`` (depends on jobs
            that have not ended) or ``stuck`` (waits although everything it depends on
            has ended or is gone).
        waits_for: statuses of the jobs it depends on.
    """

    job: TreeNode
    reason: str
    waits_for: Counts


class RecordedSpawn(NamedTuple):
    """A spawn as the worker that did it recorded it.

    Attributes:
        operation_id: of the configuration, where that named one.
        outcome: ``spawned``; ``failed`` where the parent completed all the same; ``repeated`` where it spawned and was
            allowed to do so again.
        error: why nothing was spawned.
        hook_error: what ``on_spawn_complete`` raised.
        request_id: of the request that it fulfilled.
    """

    id: str
    parent_id: str
    operation_id: str | None
    handler: str | None
    outcome: str
    children: int
    error: str | None
    hook_error: str | None
    worker_id: str | None
    request_id: str | None
    started_at: Timestamp
    ended_at: Timestamp


class SpawnRequest(NamedTuple):
    """Somebody's wish that a job spawns (again).

    Attributes:
        state: ``pending``, ``running``, ``done`` or ``failed``.
        config: JSON text that replaces the job's configuration, or nothing.
    """

    id: str
    job_id: str
    queue: str
    handler: str | None
    config: str | None
    state: str
    requested_at: Timestamp
    requested_by: str | None
    claimed_by: str | None
    ended_at: Timestamp
    children: int | None
    error: str | None

    @property
    def is_open(self) -> bool:
        """Whether no worker has fulfilled or refused it yet."""
        return self.state in {"pending", "running"}
