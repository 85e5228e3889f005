"""Jobs: to be written, as they are read, and which of them are meant."""

from dataclasses import dataclass, field
from datetime import datetime
from os import urandom
from typing import TYPE_CHECKING

from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import Counts, JobPriority, JobStatus, Timestamp

if TYPE_CHECKING:
    from hammerwork_cli.models.spawn import RecordedSpawn, SpawnRequest
    from hammerwork_cli.models.why import Blocker

_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def new_id() -> str:
    """A fresh job id: a random UUID (version 4), made faster than ``uuid`` does, which a million children feel."""
    digits = urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"


@dataclass(slots=True)
class NewJob:
    """A row of ``hammerwork_jobs`` that is about to be inserted.

    Attributes:
        payload: JSON text.
        depends_on: ids of the jobs that must complete first.
        dependency_status: ``none``, ``waiting`` or ``satisfied``.
        timeout_seconds: whole seconds a run may take.
        retry_strategy: JSON text; ``None`` for the worker's.
        next_run_at: of a recurring job, when it runs next.
        result_storage: ``database`` or ``none``.
        ancestry: JSON text of :class:`Ancestry`, of a job that another one spawns.
    """

    queue: str
    payload: str
    created_at: datetime
    scheduled_at: datetime
    id: str = field(default_factory=new_id)
    status: JobStatus = JobStatus.PENDING
    priority: JobPriority = JobPriority.NORMAL
    attempts: int = 0
    max_attempts: int = 3
    timeout_seconds: int | None = None
    depends_on: tuple[str, ...] = ()
    dependency_status: str = "none"
    started_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    error_message: str | None = None
    workflow_id: str | None = None
    workflow_name: str | None = None
    trace_id: str | None = None
    correlation_id: str | None = None
    parent_span_id: str | None = None
    span_context: str | None = None
    retry_strategy: str | None = None
    cron_schedule: str | None = None
    timezone: str | None = None
    recurring: bool = False
    next_run_at: datetime | None = None
    result_storage: str = "none"
    result_ttl_seconds: int | None = None
    result_max_size_bytes: int | None = None
    ancestry: str | None = None


@dataclass(frozen=True, slots=True)
class EnqueuedJob:
    """What is stored of a job after it was enqueued.

    Attributes:
        created: whether it was written now; otherwise it was there already, and is what it has become since.
        status: a status, or an unknown word that the row holds.
        priority: its word.
    """

    id: str
    queue: str
    created: bool
    status: str
    priority: str
    scheduled_at: Timestamp
    depends_on: tuple[str, ...]
    dependency_status: str | None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant; what is not given does not restrict.

    Attributes:
        since: created then or later.
        ended_before: ended before then, or created before then where no end is recorded.
        unarchived: only jobs that have not been copied to the archive.
    """

    queue: str | None = None
    statuses: tuple[JobStatus, ...] = ()
    priorities: tuple[JobPriority, ...] = ()
    since: datetime | None = None
    ended_before: datetime | None = None
    unarchived: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A job as lists show it.

    Attributes:
        node: what every reader of jobs knows.
        scheduled_at: when it may run at the earliest.
        dependency_status: ``none``, ``waiting``, ``satisfied``, ``failed`` or nothing.
    """

    node: TreeNode
    scheduled_at: Timestamp
    max_attempts: int
    dependency_status: str | None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first.

    Attributes:
        cursor: where the next page begins; ``None`` when there is nothing more.
    """

    jobs: list[Job]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class JobDetails:
    """Everything that is known about one job.

    Attributes:
        job: the job as lists show it; its error is whole here.
        in_archive: whether it was read from the archive table, being nowhere else.
        payload: JSON text; ``None`` when it cannot be read.
        result: JSON text of what its handler returned.
        facts: further columns by name, as they are stored; only those that the database has.
        parents: the jobs it depends on that exist, in that order.
        missing: ids it depends on that are nowhere in the database.
        children: the jobs that depend on it, counted by status.
        first_children: some of them, failures first.
        hold: what holds it while it waits for other jobs.
        spawns: what workers recorded of its spawning, the oldest first.
        requests: that it spawns again, the newest first.
    """

    job: Job
    in_archive: bool
    payload: str | None
    result: str | None
    facts: dict[str, object]
    parents: tuple[TreeNode, ...]
    missing: tuple[str, ...]
    children: Counts
    first_children: tuple[TreeNode, ...]
    hold: "Blocker | None" = None
    spawns: "tuple[RecordedSpawn, ...]" = ()
    requests: "tuple[SpawnRequest, ...]" = ()
