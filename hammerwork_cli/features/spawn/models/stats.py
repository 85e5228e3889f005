"""Figures of spawn operations."""

from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.features.spawn.models.spawn import SpawnOperation


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
