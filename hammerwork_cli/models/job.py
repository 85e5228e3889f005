"""Jobs as queries read them, and the filter that chooses jobs."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import Counts, JobPriority, JobStatus, Timestamp

if TYPE_CHECKING:
    from hammerwork_cli.models.spawn import RecordedSpawn, SpawnRequest
    from hammerwork_cli.models.why import Blocker


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
        blocker: what it waits for, while it waits for other jobs.
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
    blocker: "Blocker | None" = None
    spawns: "tuple[RecordedSpawn, ...]" = ()
    requests: "tuple[SpawnRequest, ...]" = ()
