"""The figures of ``spawn monitor``."""

from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.models.queue import QueueState
from hammerwork_cli.models.spawn import SpawnOperation
from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import FINISHED, Counts, Timestamp


class Flow(NamedTuple):
    """Jobs that were enqueued, started or ended in a window of time.

    Attributes:
        seconds: length of the window.
        started: without the jobs that went back to the queue within the window for another attempt.
        failed: jobs that became Failed, Dead or TimedOut.
    """

    seconds: float
    enqueued: int
    started: int
    completed: int
    failed: int

    def rate(self, jobs: int) -> float:
        """Jobs per second."""
        return jobs / self.seconds if self.seconds > 0 else 0.0


class RunningOperation(NamedTuple):
    """The topmost operation of a tree that has an open job, or one that has just ended.

    Attributes:
        operation: the parent and its children; only the running children unless ``counted``.
        counted: whether all children were counted, which is fast only with the indexes of hammerwork-cli.
        below: all descendants; ``None`` if they are too many to be counted at every refresh.
        running: descendants that are known to run.
        last_ended: the end of the counted job that ended last.
        per_second: jobs of the whole tree that ended per second lately; ``None`` before there is a rate.
    """

    operation: SpawnOperation
    counted: bool
    below: Counts | None = None
    running: int = 0
    last_ended: Timestamp = None
    per_second: float | None = None

    @property
    def left(self) -> timedelta | None:
        """Time until the tree has ended at the present rate; ``None`` if that is unknown."""
        if self.below is None or not self.per_second:
            return None
        return timedelta(seconds=(self.below.total - self.below.of(*FINISHED)) / self.per_second)

    @property
    def parent(self) -> TreeNode:
        return self.operation.parent


class BusyWorker(NamedTuple):
    """A worker that has not stopped.

    Attributes:
        state: ``running``, ``stopping``, ``stalled`` or ``silent``: see :attr:`Worker.state`.
        running: jobs that it runs now.
        concurrency: jobs that it may run at a time.
        completed, failed: attempts since its start.
        silent_seconds: time since its last heartbeat.
    """

    name: str
    queues: tuple[str, ...]
    state: str
    running: int
    concurrency: int
    completed: int
    failed: int
    silent_seconds: float


class MonitorSnapshot(NamedTuple):
    """The state of the queues at one refresh.

    Attributes:
        at: time of the refresh by the server's clock.
        flow: jobs since the refresh before.
        pending: jobs that have not started, up to the limit of the count.
        running: running jobs, up to the limit of the count.
        more_pending, more_running: whether the count reached its limit.
        operations: running operations, those with running jobs first, then the newest.
        failures: the newest failures, the newest first.
        retrying: number of retrying jobs among the pending jobs that were read.
        more_retrying: whether there may be more.
        retries: the retrying jobs that are due first.
        failed_attempts: failed attempts per second lately, of the workers that are recorded; ``None`` at first, and if
            none is.
        workers: workers that have not stopped; ``None`` if the database does not record workers.
        failed_since: whether a job has failed since the monitor started.
        idle: whether no job is open; ``None`` if the caller did not ask.
        states: the queues with open jobs, and paused ones, when they were last counted.
        window: the time in which jobs of these had ended.
    """

    at: datetime
    queues: tuple[str, ...]
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
    retrying: int = 0
    more_retrying: bool = False
    retries: tuple[TreeNode, ...] = ()
    failed_attempts: float | None = None
    states: tuple[QueueState, ...] = ()
    window: timedelta = timedelta(hours=1)
