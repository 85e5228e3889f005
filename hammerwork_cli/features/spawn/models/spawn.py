"""Spawn operations."""

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hammerwork_cli.core.values import Counts, JobStatus, Timestamp, between
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
        named = self.parent.handler
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
        return between(self.spawned_at, self.finished_at)


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
