"""Spawn operations and their figures."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from hammerwork_cli.core.values import Counts, JobStatus, Timestamp, timestamp
from hammerwork_cli.features.tree.model import RecordedSpawn, TreeNode

if TYPE_CHECKING:
    from hammerwork_cli.core.input.spawn_config import SpawnConfig

QUIET_TIME = timedelta(seconds=10)
"""Time after a parent's end in which a Rust worker may still insert its children, one by one."""


class SpawnOperation(NamedTuple):
    """A parent and the counts of its children; a parent that completed without any counts too."""

    parent: TreeNode
    children: Counts
    spawned_at: Timestamp  # creation of the first child
    finished_at: Timestamp  # end of the last child; `None` while a child is open
    recorded: "RecordedSpawn | None" = None  # the last spawn, if a worker of hammerwork-cli recorded it
    below: "FailedBelow | None" = None  # failed descendants, if the caller asked for them
    tree: "TreeCounts | None" = None  # counts of all descendants, if the caller asked for them and they can be counted

    @property
    def config(self) -> "SpawnConfig | None":
        """The parent's spawn configuration; ``None`` if it is absent or unreadable."""
        from hammerwork_cli.core.input.spawn_config import SpawnConfig  # which lists start faster without

        return SpawnConfig._parse(self.parent.stored_config)

    @property
    def handler(self) -> str | None:
        """The handler that the configuration names, or else the one that the worker recorded."""
        config = self.config
        named = config.handler if config else None
        return self.recorded.handler if named is None and self.recorded else named

    @property
    def operation_id(self) -> str | None:
        """The id that the configuration names, or else the one that the worker recorded."""
        own = self.parent.operation_id
        return self.recorded.operation_id if own is None and self.recorded else own

    @property
    def error(self) -> str | None:
        """The error of a spawn that failed after its parent had completed."""
        return self.recorded.error if self.recorded and self.recorded.outcome == "failed" else None

    @property
    def success_rate(self) -> float | None:
        """Share of completed children among those that have ended, 0 to 1; ``None`` before the first end."""
        ended = self.children.ended
        return self.children.of(JobStatus.COMPLETED) / ended if ended else None

    @property
    def wall_time(self) -> timedelta | None:
        """Time from the creation of the first child to the end of the last; ``None`` while a child is open."""
        start, end = timestamp(self.spawned_at), timestamp(self.finished_at)
        return max(end - start, timedelta()) if start and end else None


class TreeCounts(NamedTuple):
    """Jobs on all levels below a job."""

    counts: Counts
    more: bool  # whether there are more than were counted


class FailedBelow(NamedTuple):
    """Failed jobs on all levels below an operation."""

    jobs: int
    more: bool  # whether there may be more. The query follows only the newest failures of a database upward.
    newest_at: Timestamp  # time of the newest failure among the parent and its descendants
    newest_error: str | None  # the headline of its error


class SpawnGroup(NamedTuple):
    """Figures of the operations that share a queue or a handler; the last five count children."""

    name: str | None
    operations: int
    children: int
    largest: int
    completed: int
    ended: int
    failed: int = 0
    cancelled: int = 0
    retrying: int = 0

    @property
    def average(self) -> float | None:
        """Children per operation."""
        return self.children / self.operations if self.operations else None

    @property
    def success_rate(self) -> float | None:
        """Share of completed children among those that have ended, 0 to 1."""
        return self.completed / self.ended if self.ended else None


class SpawnStats(NamedTuple):
    """Figures of the operations whose parents were created in a window of time."""

    since: datetime  # start of the window
    queues: tuple[str, ...]  # those of the parents; empty for all
    overall: SpawnGroup
    empty: int  # parents that completed and spawned nothing
    recent: int  # operations of the last hour
    depth: int  # levels of spawning below the topmost parent
    # `p50` and `p95`: run time of the children that completed; of very many, that of a sample.
    p50: timedelta | None
    p95: timedelta | None
    timed: int = 0  # number of children that they are of
    by_queue: tuple[SpawnGroup, ...] | None = None
    by_handler: tuple[SpawnGroup, ...] | None = None
    slowest: tuple[SpawnOperation, ...] | None = None


class PendingSpawn(NamedTuple):
    """A job that has not spawned yet, or that completed without a child."""

    job: TreeNode
    # `asked_again` (a spawn request is open), `will_spawn`, `never_spawned` (completed without a child), `waiting` (a
    # dependency has not ended) or `stuck` (waits although all of its dependencies have ended or no longer exist).
    reason: str
    waits_for: Counts  # its dependencies by status
