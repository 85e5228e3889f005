"""What happens in the queues right now."""

from dataclasses import dataclass
from datetime import datetime

from hammerwork_cli.models.spawn import SpawnOperation
from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import Counts, Timestamp


@dataclass(frozen=True, slots=True)
class Flow:
    """Jobs that passed a point in a window of time.

    Attributes:
        seconds: length of the window.
        started: of these, jobs that were put back for another attempt within the window are not known.
        failed: for good: Failed, Dead, TimedOut.
    """

    seconds: float
    enqueued: int
    started: int
    completed: int
    failed: int

    def rate(self, jobs: int) -> float:
        """Jobs a second."""
        return jobs / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RunningOperation:
    """A topmost spawning parent in whose tree something has not ended, or just has.

    Attributes:
        operation: the parent and its children; only the running ones where ``counted`` is false.
        counted: whether all children were counted, which takes our indexes.
        below: all jobs of its tree but itself; ``None`` where there are too many to be counted in every look.
        running: jobs of its tree that are known to run.
        last_ended: when a job of what was counted ended last.
    """

    operation: SpawnOperation
    counted: bool
    below: Counts | None = None
    running: int = 0
    last_ended: Timestamp = None

    @property
    def parent(self) -> TreeNode:
        """The job that spawned."""
        return self.operation.parent


@dataclass(frozen=True, slots=True)
class BusyWorker:
    """A worker that has not ended.

    Attributes:
        state: ``running``, ``stopping`` or ``silent``: its last heartbeat is older than its lease.
        running: jobs that run in it now.
        concurrency: how many may.
        completed, failed: runs since it started; a run that failed is an attempt, which may be followed by others.
        silent_seconds: since its last heartbeat.
    """

    name: str
    queues: tuple[str, ...]
    state: str
    running: int
    concurrency: int
    completed: int
    failed: int
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class Activity:
    """One look at the queues.

    Attributes:
        at: when, by the server's clock.
        flow: since the look before.
        pending: jobs that have not started; no more than were counted.
        running: jobs that run; no more than were counted.
        more_pending, more_running: whether there are more.
        operations: running operations, the newest first.
        failures: the newest failures, the newest first.
        workers: that have not ended; ``None`` where the database has no table of them.
        failed_since: whether anything has failed since the watching began.
        idle: whether nothing is open; ``None`` when it was not asked for.
    """

    at: datetime
    queue: str | None
    flow: Flow
    pending: int
    running: int
    more_pending: bool
    more_running: bool
    operations: tuple[RunningOperation, ...]
    failures: tuple[TreeNode, ...]
    workers: tuple[BusyWorker, ...] | None
    failed_since: bool
    idle: bool | None = None
