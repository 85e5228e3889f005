"""The figures of ``spawn monitor``."""

from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import Counts, Timestamp
from hammerwork_cli.features.queue.model import QueueState
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.progress import JobProgress


class Flow(NamedTuple):
    """Jobs that were enqueued, started or ended in a window of time."""

    seconds: float  # length of the window
    enqueued: int
    started: int  # without the jobs that went back to the queue within the window for another attempt
    completed: int
    failed: int  # jobs that became Failed, Dead or TimedOut

    def rate(self, jobs: int) -> float:
        """Jobs per second."""
        return jobs / self.seconds if self.seconds > 0 else 0.0


class RunningOperation(NamedTuple):
    """The topmost operation of a tree that has an open job, or one that has just ended."""

    operation: SpawnOperation  # the parent and its children; only the running children unless `counted`
    counted: bool  # whether all children were counted, which is fast only with the indexes of hammerwork-cli
    below: Counts | None = None  # all descendants; `None` if they are too many to be counted at every refresh
    running: int = 0  # descendants that are known to run
    last_ended: Timestamp = None  # the end of the counted job that ended last
    # Jobs of the whole tree that ended per second lately; `None` before there is a rate.
    per_second: float | None = None

    @property
    def left(self) -> timedelta | None:
        """Time until the tree has ended at the present rate; ``None`` if that is unknown."""
        if self.below is None or not self.per_second:
            return None
        return timedelta(seconds=self.below.open / self.per_second)

    @property
    def parent(self) -> TreeNode:
        return self.operation.parent


class BusyWorker(NamedTuple):
    """A worker that has not stopped."""

    name: str
    queues: tuple[str, ...]
    state: str  # `running`, `stopping`, `stalled` or `silent`: see `RegisteredWorker.state`
    running: int  # jobs that it runs now
    concurrency: int  # jobs that it may run at a time
    # `completed` and `failed`: attempts since its start.
    completed: int
    failed: int
    silent_seconds: float  # time since its last heartbeat


class MonitorSnapshot(NamedTuple):
    """The state of the queues at one refresh."""

    at: datetime  # time of the refresh by the server's clock
    queues: tuple[str, ...]
    flow: Flow  # jobs since the refresh before
    pending: int  # jobs that have not started, up to the limit of the count
    running: int  # running jobs, up to the limit of the count
    # `more_pending` and `more_running`: whether the count reached its limit.
    more_pending: bool
    more_running: bool
    operations: tuple[RunningOperation, ...]  # running operations, those with running jobs first, then the newest
    failures: tuple[TreeNode, ...]  # the newest failures, the newest first
    # Workers that have not stopped; `None` if the database does not record workers.
    workers: tuple[BusyWorker, ...] | None
    failed_since: bool  # whether a job has failed since the monitor started
    idle: bool | None = None  # whether no job is open; `None` if the caller did not ask
    retrying: int = 0  # number of retrying jobs among the pending jobs that were read
    more_retrying: bool = False  # whether there may be more
    retries: tuple[TreeNode, ...] = ()  # the retrying jobs that are due first
    # Failed attempts per second lately, of the workers that are recorded; `None` at first, and if none is.
    failed_attempts: float | None = None
    states: tuple[QueueState, ...] = ()  # the queues with open jobs, and paused ones, when they were last counted
    progress: tuple[JobProgress, ...] = ()  # what jobs that run have reported, the furthest first
    window: timedelta = timedelta(hours=1)  # the time in which jobs of these had ended
