"""Jobs as queries read them, and the filter that chooses jobs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hammerwork_cli.core.values import WAITING, Counts, JobPriority, JobStatus, Timestamp, timestamp
from hammerwork_cli.features.tree.model import RecordedSpawn, TreeNode
from hammerwork_cli.features.tree.wait import Blocker

if TYPE_CHECKING:
    from hammerwork_cli.features.callbacks.model import Callback
    from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
    from hammerwork_cli.features.tree.progress import JobProgress

FACTS = (
    "timeout_seconds",
    "timed_out_at",
    "cron_schedule",
    "timezone",
    "recurring",
    "next_run_at",
    "batch_id",
    "result_stored_at",
    "result_expires_at",
    "trace_id",
    "correlation_id",
    "parent_span_id",
    "span_context",
)
"""Columns of a job that lists leave out."""
ARCHIVAL_FACTS = ("archival_reason", "archived_by")
"""The same, of migration 010."""
ENCRYPTION_FACTS = (
    "is_encrypted",
    "encryption_key_id",
    "encryption_algorithm",
    "encrypted_bytes",
    "payload_hash",
    "retention_policy",
    "retention_delete_at",
    "encrypted_at",
)
"""The same, of migration 011."""
LATER_FACTS = ("retry_strategy", "last_heartbeat_at", "lease_expires_at")
"""The same, which migrations of either program add."""


PUNCTUAL = timedelta(seconds=60)
"""Time after which a job that could run is called overdue."""


class EnqueuedJob(NamedTuple):
    """An enqueued job as it is stored."""

    id: str
    queue: str
    created: bool  # whether it was inserted now; otherwise it existed, and may have changed since
    status: str  # a status, or an unknown word in the row
    priority: str  # its word
    scheduled_at: Timestamp
    depends_on: tuple[str, ...]
    dependency_status: str | None


class AttemptOutcome(StrEnum):
    """How an attempt ended that did not complete."""

    FAILED = "failed"
    """Its handler raised an exception, or its end could not be written."""
    TIMED_OUT = "timed_out"
    LOST = "lost"
    """Its worker was lost, and another one, or the doctor, rescued the job; or somebody took the job from it."""
    STOPPED = "stopped"
    """Its worker stopped at once and gave the job back, with the attempt."""


class PastAttempt(NamedTuple):
    """An attempt that did not complete, as it is stored."""

    job_id: str
    started_at: Timestamp  # when the job was claimed. No other attempt at the job has this time.
    ended_at: Timestamp
    attempt: int  # its number. A job that is given back or retried has several attempts of the same number.
    outcome: str  # an `AttemptOutcome`, or an unknown word of a later version
    worker_id: str | None  # `None` for a Rust worker
    error: str | None  # of a long one, the beginning and the end
    worker: str | None = None  # name of the worker; `None` if it is not known any more


class JobFilter(NamedTuple):
    """A filter of jobs; a field that is not given does not restrict."""

    queues: tuple[str, ...] = ()  # takes jobs of these queues
    statuses: tuple[JobStatus, ...] = ()
    priorities: tuple[JobPriority, ...] = ()
    since: datetime | None = None  # takes jobs created then or later
    until: datetime | None = None  # takes jobs created before then
    # Takes jobs with all of their times before then: created, due if it has started, started, ended.
    ended_before: datetime | None = None
    unarchived: bool = False  # takes only jobs that have no copy in the archive
    # Takes jobs with this text in their error, in any letter case; `*` in it stands for any text.
    error: str | None = None
    failed_since: datetime | None = None  # takes jobs that failed then or later
    exhausted: bool = False  # takes jobs that have used all of their attempts
    # Takes jobs that ended before the time of their status.
    ended: tuple[tuple[JobStatus, datetime], ...] = ()
    # Takes jobs whose payload has one of the texts at each of these paths of keys.
    payload: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    # Leaves out jobs that their program keeps beyond then (`retention_delete_at`) or for ever.
    kept_until: datetime | None = None
    but_queues: tuple[str, ...] = ()  # leaves out jobs of these queues
    batches: tuple[str, ...] = ()  # takes jobs of the batches with these full ids
    workflows: tuple[str, ...] = ()  # takes jobs of the workflows with these full ids
    once: bool = False  # leaves out recurring jobs: their rows are their schedules
    expired: datetime | None = None  # takes encrypted jobs that their program keeps until then at most


class StoredJob(NamedTuple):
    """A job of a list."""

    node: TreeNode
    scheduled_at: Timestamp  # the earliest time of its next attempt
    max_attempts: int
    dependency_status: str | None  # `none`, `waiting`, `satisfied`, `failed` or `None`
    recurring: bool = False  # whether it comes back by its schedule
    enabled: bool = True  # `False` if its schedule is disabled, so that nobody runs it

    def overdue(self, now: datetime) -> timedelta | None:
        """How long it could have run already; ``None`` for :data:`PUNCTUAL` after its due time, and for other jobs."""
        due = timestamp(self.scheduled_at)
        ready = self.enabled and self.node.status in WAITING and self.dependency_status not in {"waiting", "failed"}
        return now - due if ready and due is not None and now - due > PUNCTUAL else None


class JobWorker(NamedTuple):
    """The worker that has claimed a Running job."""

    id: str
    name: str
    state: str  # as in `RegisteredWorker.state`
    silent_for: float  # seconds since the last heartbeat
    lease: float  # seconds without a heartbeat after which others may rescue the job


class WholeJob(NamedTuple):
    """A job with all its columns but the binary ones."""

    job: StoredJob  # the job, with its whole error
    payload: str | None  # JSON text; `None` if it cannot be read
    result: str | None  # JSON text
    facts: dict[str, object]  # further columns by name, as they are stored, as far as the database has them
    others: dict[str, object]  # columns that this version does not know, as JSON values


class JobPage(NamedTuple):
    """A page of a list, newest first."""

    jobs: list[StoredJob]
    cursor: str | None  # the start of the next page; `None` on the last one


class JobDetails(NamedTuple):
    job: StoredJob  # the job, with its whole error
    in_archive: bool  # whether it is only in the archive
    payload: str | None  # JSON text; `None` if it cannot be read
    result: str | None  # JSON text
    facts: dict[str, object]  # further columns by name, as they are stored, as far as the database has them
    parents: tuple[TreeNode, ...]  # its dependencies that exist, in the order of `depends_on`
    missing: tuple[str, ...]  # ids of its dependencies that do not exist
    children: Counts  # the jobs that depend on it, counted by status
    first_children: tuple[TreeNode, ...]  # some of them, failures first
    blocker: Blocker | None = None  # the reason why it waits, if it waits for other jobs
    spawns: tuple[RecordedSpawn, ...] = ()  # the recorded operations, the oldest first
    requests: "tuple[SpawnRequest, ...]" = ()  # its spawn requests, the newest first
    attempts: tuple[PastAttempt, ...] = ()  # its attempts that did not complete, the oldest first
    callbacks: "tuple[Callback, ...]" = ()  # of the job and everything below it
    worker: JobWorker | None = None  # the registered worker that has it, if it is Running
    progress: "JobProgress | None" = None  # how far it is, if it is Running and has reported it
    others: Mapping[str, object] = {}  # columns that this version does not know, as JSON values
    unique_key: str | None = None  # the key that it holds, or was the last to hold
