"""Reasons why jobs failed or have not ended, and failures by error: the answers of ``spawn why``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.core.values import FAILURES, Counts, JobStatus, Timestamp, cancellation
from hammerwork_cli.features.job.models.job import AttemptOutcome, PastAttempt
from hammerwork_cli.features.queue.model import Service
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.wait import Blocker
from hammerwork_cli.features.worker.models.limits import QueueLimit


class DelayReason(StrEnum):
    """Reasons why a job has not ended, in the order of the report."""

    LONG_RUNNING = "long_running"
    """The job has been Running for over an hour, and no running worker has claimed it."""
    SILENT_WORKER = "silent_worker"
    """The job is Running, and its worker has missed heartbeats."""
    MISSPELT_STATUS = "misspelt_status"
    """No worker claims a job whose status has this spelling, or only a worker of hammerwork-cli finishes it."""
    BARRED = "barred"
    """No worker claims a job with this dependency status."""
    """The job is due, and only a worker that has the key can read the payload."""
    DISABLED = "disabled"
    """The job recurs, and its schedule is disabled."""
    WEBHOOK_DISABLED = "webhook_disabled"
    """The job is a delivery to a webhook that is disabled."""
    RETRYING = "retrying"
    """An attempt failed, or its worker was lost, and the job waits for the next one."""
    READY = "ready"
    """The job is due and waits for a worker."""
    SCHEDULED = "scheduled"
    """The job is not due yet."""
    RUNNING = "running"


class OpenJob(NamedTuple):
    """A job that has not ended."""

    id: str
    status: str
    attempts: int
    max_attempts: int
    at: Timestamp  # due time, or the start if it runs
    worker: str | None  # name of the worker that has claimed it; `None` for a Rust worker
    silent_for: float | None = None  # seconds since that worker's last heartbeat
    lease: float | None = None  # that worker's lease in seconds


class LastAttempt(NamedTuple):
    """How the last attempt at a job ended that waits for another one."""

    outcome: AttemptOutcome | None = None  # `None` if it is not known, as after an attempt by a Rust worker
    worker: str | None = None  # name of the worker, if it is known


@dataclass(slots=True)
class Delay:
    """Jobs of a queue that have not ended for the same reason."""

    reason: DelayReason
    queue: str
    error: str | None  # error of the last attempt of the first job
    jobs: int  # number of jobs
    first: OpenJob  # the job with the earliest `at`
    service: Service  # who serves the queue
    is_due: bool = False  # whether the jobs wait for a worker and are due
    last_attempt: AttemptOutcome | None = None  # how their last attempts ended, if they wait for another one
    last_worker: str | None = None  # name of the worker of the first job's last attempt
    limit: QueueLimit | None = None  # the limit of their queue, if it lets none of them start now
    webhook: str | None = None  # name of the webhook that is disabled

    @property
    def is_paused(self) -> bool:
        return self.service.pause is not None

    @property
    def serving(self) -> int | None:
        """Workers that serve the queue; ``None`` if the database does not record workers."""
        return self.service.serving

    @property
    def is_waiting(self) -> bool:
        """Whether the jobs wait for a worker."""
        return self.reason in {DelayReason.READY, DelayReason.RETRYING}

    @property
    def is_taken_later(self) -> bool:
        """Whether the jobs wait for a worker, or will do so when they are due."""
        return self.is_waiting or self.reason == DelayReason.SCHEDULED

    @property
    def has_no_worker(self) -> bool:
        """Whether the jobs wait for a worker and none claims jobs of their queue."""
        return self.is_waiting and self.serving == 0


class NeverSpawned(NamedTuple):
    """A job that completed with a spawn configuration and has no children."""

    id: str
    queue: str
    why: str | None  # the reason, as far as it is known


LIMITS = ("max_spawn_count", "max_depth", "max_descendants")
"""Limits of spawning. The errors of a limit start with its name."""


class FailedJob(NamedTuple):
    job: TreeNode
    path: tuple[TreeNode, ...]  # the jobs from the topmost ancestor down to the job itself


def limit_of(error: str | None) -> str | None:
    """Returns the name of the limit of spawning that an error is about."""
    words = (error or "").split(maxsplit=2)
    return words[0] if words[1:2] == ["allows"] and words[0] in LIMITS else None


@dataclass(slots=True)
class FailureGroup:
    """Failed or cancelled jobs whose errors differ only in ids and numbers."""

    error: str | None  # error of the first job; `None` if the jobs have no error
    statuses: Counts = field(default_factory=Counts)
    queues: Counts = field(default_factory=Counts)
    jobs: list[FailedJob] = field(default_factory=list)  # the first of the jobs
    archived: int = 0  # number of archived jobs among them, which cannot be retried
    pattern: str | None = None  # the error with `*` for what differs between the jobs; `None` if nothing does

    @property
    def text(self) -> str | None:
        """The error of all jobs."""
        return self.pattern or self.error

    @property
    def total(self) -> int:
        return self.statuses.total

    @property
    def is_cancelled(self) -> bool:
        """Whether operators cancelled all of these jobs, and none failed by itself."""
        return self.statuses.of(JobStatus.CANCELLED) == self.total

    @property
    def is_cancelled_by_handlers(self) -> bool:
        """Whether the handlers themselves decided that nobody needs these jobs."""
        return self.is_cancelled and (self.error or "").startswith(cancellation("its handler"))

    @property
    def limit(self) -> str | None:
        """The limit of spawning that the jobs reached. Another attempt fails again unless the limit is raised."""
        return limit_of(self.error)


class UnderWay(NamedTuple):
    """Jobs of a queue that have not ended and do not wait for another job."""

    queue: str
    counts: Counts
    service: Service  # who serves the queue


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The reasons why the jobs of a tree failed or have not ended."""

    job: TreeNode  # the job that the caller asked about
    counts: Counts  # the job and its descendants by status
    groups: tuple[FailureGroup, ...]  # the deepest failures, the largest group first
    consequences: int  # number of other jobs that failed only because of these
    above: tuple[FailedJob, ...]  # failed ancestors because of which the job failed or waits, the causes first
    blockers: tuple[Blocker, ...]  # jobs that wait for others, the stuck ones first
    under_way: tuple[UnderWay, ...]  # open jobs that wait for no other job, by queue
    delays: tuple[Delay, ...]  # the reasons why these have not ended
    never_spawned: tuple[NeverSpawned, ...]  # completed jobs with a spawn configuration and no children
    nodes: dict[str, TreeNode]  # id -> job, for the ids in `blockers` that exist
    # Id -> attempts that did not complete, the oldest first, of the jobs in `groups` and `above`.
    attempts: Mapping[str, Sequence[PastAttempt]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether a job failed or was cancelled, below or above."""
        return bool(self.groups or self.consequences or self.above)


@dataclass(slots=True)
class ErrorGroup:
    """Jobs whose last attempts failed with the same error."""

    pattern: str | None  # the error with `*` for what may differ; `None` if the jobs have no error
    error: str | None = None  # the headline of the newest one
    statuses: Counts = field(default_factory=Counts)  # the jobs by status; Retrying ones have attempts left
    queues: Counts = field(default_factory=Counts)  # the jobs by queue
    first_at: datetime | None = None  # when an attempt at one of the jobs first failed with it
    last_at: datetime | None = None
    newest: str = ""  # id of the job that failed last
    trees: int | None = None  # number of trees that the jobs belong to; `None` if these are too many to look at
    example: FailedJob | None = None  # the newest job with its path
    differs: bool = False  # whether the errors of two jobs are different texts

    @property
    def text(self) -> str | None:
        """The error of all jobs, with ``*`` for what does differ."""
        return self.pattern if self.differs else self.error

    @property
    def total(self) -> int:
        return self.statuses.total

    @property
    def can_be_retried(self) -> bool:
        """Whether some of the jobs have no attempts left."""
        return self.statuses.of(*FAILURES) > 0

    def add(self, job: str, queue: str, status: str, at: datetime | None, error: str) -> None:
        self.differs = self.differs or (self.total > 0 and (error or None) != self.error)
        self.statuses.add(status)
        self.queues.add(queue)
        self.begin(at)
        if not self.newest or (at is not None and (self.last_at is None or at > self.last_at)):
            self.newest, self.error, self.last_at = job, error or None, at

    def begin(self, at: datetime | None) -> None:
        """Takes the time of an attempt with this error, which may be the first."""
        if at is not None and (self.first_at is None or at < self.first_at):
            self.first_at = at


class Failures(NamedTuple):
    queues: tuple[str, ...]  # the queues that they belong to; empty for all
    since: datetime | None  # the start of the window in which the attempts failed; `None` for no start
    groups: tuple[ErrorGroup, ...]  # the largest groups, the largest first
    more: int  # number of smaller groups
    counts: Counts  # the jobs of all groups by status
    consequences: int  # number of other jobs, which failed only because a job that they depend on failed
    archived: int  # number of archived jobs that failed, which no group has


def path_of(node: TreeNode, nodes: dict[str, TreeNode]) -> tuple[TreeNode, ...]:
    """The path from the topmost ancestor in ``nodes`` to a job, by first parents."""
    path, seen = [node], {node.id}
    while True:
        above = [parent for parent in path[-1].depends_on if parent in nodes and parent not in seen]
        if not above:
            return tuple(reversed(path))
        path.append(nodes[above[0]])
        seen.add(path[-1].id)
