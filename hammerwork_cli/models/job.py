"""Jobs as queries read them, and the filter that chooses jobs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hammerwork_cli.models.tree import TreeNode
from hammerwork_cli.models.values import WAITING, Counts, JobPriority, JobStatus, Timestamp, timestamp
from hammerwork_cli.models.wait import Blocker

if TYPE_CHECKING:
    from hammerwork_cli.models.callbacks import Callback
    from hammerwork_cli.models.spawn import RecordedSpawn, SpawnRequest
    from hammerwork_cli.models.worker import JobWorker

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
    """An enqueued job as it is stored.

    Attributes:
        created: whether it was inserted now; otherwise it existed, and may have changed since.
        status: a status, or an unknown word in the row.
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
    """An attempt that did not complete, as it is stored.

    Attributes:
        started_at: when the job was claimed. No other attempt at the job has this time.
        attempt: its number. A job that is given back or retried has several attempts of the same number.
        outcome: an :class:`AttemptOutcome`, or an unknown word of a later version.
        worker_id: ``None`` for a Rust worker.
        error: of a long one, the beginning and the end.
        worker: name of the worker; ``None`` if it is not known any more.
    """

    job_id: str
    started_at: Timestamp
    ended_at: Timestamp
    attempt: int
    outcome: str
    worker_id: str | None
    error: str | None
    worker: str | None = None


class JobFilter(NamedTuple):
    """A filter of jobs; a field that is not given does not restrict.

    Attributes:
        queues: takes jobs of these queues.
        since: takes jobs created then or later.
        until: takes jobs created before then.
        ended_before: takes jobs with all of their times before then: created, due if it has started, started, ended.
        unarchived: takes only jobs that have no copy in the archive.
        error: takes jobs with this text in their error, in any letter case; ``*`` in it stands for any text.
        failed_since: takes jobs that failed then or later.
        exhausted: takes jobs that have used all of their attempts.
        ended: takes jobs, recurring ones aside, that ended before the time of their status.
        but_queues: leaves out jobs of these queues.
        batches: takes jobs of the batches with these full ids.
        workflows: takes jobs of the workflows with these full ids.
        payload: takes jobs whose payload has one of the texts at each of these paths of keys.
        kept_until: leaves out jobs that their program keeps beyond then (``retention_delete_at``) or for ever.
        expired: takes encrypted jobs that their program keeps until then at most.
    """

    queues: tuple[str, ...] = ()
    statuses: tuple[JobStatus, ...] = ()
    priorities: tuple[JobPriority, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    ended_before: datetime | None = None
    unarchived: bool = False
    error: str | None = None
    failed_since: datetime | None = None
    exhausted: bool = False
    ended: tuple[tuple[JobStatus, datetime], ...] = ()
    payload: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    kept_until: datetime | None = None
    but_queues: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    expired: datetime | None = None


class StoredJob(NamedTuple):
    """A job of a list.

    Attributes:
        scheduled_at: the earliest time of its next attempt.
        dependency_status: ``none``, ``waiting``, ``satisfied``, ``failed`` or ``None``.
        recurring: whether it comes back by its schedule.
        enabled: ``False`` if its schedule is disabled, so that nobody runs it.
    """

    node: TreeNode
    scheduled_at: Timestamp
    max_attempts: int
    dependency_status: str | None
    recurring: bool = False
    enabled: bool = True

    def overdue(self, now: datetime) -> timedelta | None:
        """How long it could have run already; ``None`` for :data:`PUNCTUAL` after its due time, and for other jobs."""
        due = timestamp(self.scheduled_at)
        ready = self.enabled and self.node.status in WAITING and self.dependency_status not in {"waiting", "failed"}
        return now - due if ready and due is not None and now - due > PUNCTUAL else None


class WholeJob(NamedTuple):
    """A job with all its columns but the binary ones.

    Attributes:
        job: the job, with its whole error.
        payload: JSON text; ``None`` if it cannot be read.
        result: JSON text.
        facts: further columns by name, as they are stored, as far as the database has them.
        others: columns that this version does not know, as JSON values.
    """

    job: StoredJob
    payload: str | None
    result: str | None
    facts: dict[str, object]
    others: dict[str, object]


class JobPage(NamedTuple):
    """A page of a list, newest first.

    Attributes:
        cursor: the start of the next page; ``None`` on the last one.
    """

    jobs: list[StoredJob]
    cursor: str | None


class JobDetails(NamedTuple):
    """Everything about one job.

    Attributes:
        job: the job, with its whole error.
        in_archive: whether it is only in the archive.
        payload: JSON text; ``None`` if it cannot be read.
        result: JSON text.
        facts: further columns by name, as they are stored, as far as the database has them.
        others: columns that this version does not know, as JSON values.
        parents: its dependencies that exist, in the order of ``depends_on``.
        missing: ids of its dependencies that do not exist.
        children: the jobs that depend on it, counted by status.
        first_children: some of them, failures first.
        blocker: the reason why it waits, if it waits for other jobs.
        spawns: the recorded operations, the oldest first.
        requests: its spawn requests, the newest first.
        attempts: its attempts that did not complete, the oldest first.
        callbacks: of the job and everything below it.
        worker: the registered worker that has it, if it is Running.
    """

    job: StoredJob
    in_archive: bool
    payload: str | None
    result: str | None
    facts: dict[str, object]
    parents: tuple[TreeNode, ...]
    missing: tuple[str, ...]
    children: Counts
    first_children: tuple[TreeNode, ...]
    blocker: Blocker | None = None
    spawns: "tuple[RecordedSpawn, ...]" = ()
    requests: "tuple[SpawnRequest, ...]" = ()
    attempts: tuple[PastAttempt, ...] = ()
    callbacks: "tuple[Callback, ...]" = ()
    worker: "JobWorker | None" = None
    others: Mapping[str, object] = {}
