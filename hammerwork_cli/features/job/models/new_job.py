"""Jobs that are about to be inserted: the one maker of them, for commands, the web and handlers."""

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from hammerwork_cli.core import cron
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.fields import whole_seconds
from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.errors import UsageError

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Encryption
    from hammerwork_cli.features.callbacks.model import NewCallback
    from hammerwork_cli.features.job.models.unique import Unique


NO_COLUMN = {"column": None}


@dataclass(slots=True)
class NewJob:
    """A row to insert into ``hammerwork_jobs``. A field has the name of its column, unless its metadata says more."""

    queue: str = field(metadata={"column": "queue_name"})
    payload: str  # JSON text, in plaintext
    created_at: datetime
    scheduled_at: datetime
    id: str = field(default_factory=new_id)
    status: JobStatus = JobStatus.PENDING
    priority: JobPriority = JobPriority.NORMAL
    attempts: int = 0
    max_attempts: int = 3
    timeout_seconds: int | None = None  # whole seconds that an attempt may take
    depends_on: tuple[str, ...] = ()  # ids of the jobs that must complete first
    dependency_status: str = "none"  # `none`, `waiting` or `satisfied`
    started_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    error_message: str | None = None
    workflow_id: str | None = None
    workflow_name: str | None = None
    batch_id: str | None = None
    trace_id: str | None = None
    correlation_id: str | None = None
    parent_span_id: str | None = None
    span_context: str | None = None
    retry_strategy: str | None = None  # JSON text; `None` for the worker's strategy
    cron_schedule: str | None = None
    timezone: str | None = None
    recurring: bool = False
    next_run_at: datetime | None = None  # next due time of a recurring job
    # `database` or `none`
    result_storage: str = field(default="none", metadata={"column": "result_storage_type"})
    result_ttl_seconds: int | None = None
    result_max_size_bytes: int | None = None
    ancestry: str | None = None  # JSON text of `Ancestry`, for a child
    # Scope and `on_failure` of a child that waits for its siblings.
    join: tuple[str, str] | None = field(default=None, compare=False, metadata=NO_COLUMN)
    # How the payload is encrypted when the row is written; `None` for plaintext.
    encryption: "Encryption | None" = field(default=None, metadata=NO_COLUMN)
    # What keeps it from being written beside another job.
    unique: "Unique | None" = field(default=None, metadata=NO_COLUMN)
    # What to do at the end of the tree below it; each making of a row has ids of its own.
    callbacks: "tuple[NewCallback, ...]" = field(default=(), compare=False, metadata=NO_COLUMN)
    # Nobody else knows its id, so that no look for it is needed before it is written.
    is_new: bool = field(default=False, compare=False, metadata=NO_COLUMN)
    # Somebody has said so, or the payload is stored in plaintext already.
    plaintext_meant: bool = field(default=False, compare=False, metadata=NO_COLUMN)

    @classmethod
    def of(
        cls,
        queue: str,
        payload: str,
        now: datetime,
        *,
        id: str | None = None,
        priority: JobPriority | None = None,
        max_attempts: int = 3,
        depends_on: tuple[str, ...] = (),
        **rare: Any,
    ) -> Self:
        """Makes a row of checked values. A child then inherits from its parent.

        Raises UsageError if the schedule is never due.

        Args:
            payload: JSON text.
            rare: arguments of :meth:`_add`, which few jobs have; ``None`` is a default too.
        """
        new = cls(queue, payload, now, now, id or new_id())
        new.max_attempts, new.is_new = max_attempts, id is None
        if priority is not None:
            new.priority = priority
        if depends_on:
            new.depends_on, new.dependency_status = depends_on, "waiting"
        if rare:
            new._add(**rare)
        return new

    def _add(
        self,
        *,
        timeout: timedelta | None = None,
        delay: timedelta | None = None,
        scheduled_at: datetime | None = None,
        cron_schedule: str | None = None,
        timezone: str | None = None,
        result_ttl: timedelta | None = None,
        result_max_size: int | None = None,
        **copied: Any,
    ) -> None:
        """Fills fields that few jobs fill.

        Args:
            timeout: stored in whole seconds, rounded up.
            delay: the shortest time until its first attempt.
            scheduled_at: the earliest time of its first attempt; the later one counts if ``delay`` is given too.
            cron_schedule: makes the job recur.
            timezone: of the schedule; UTC by default.
            result_ttl: how long its result is kept.
            result_max_size: bytes of JSON that its result may have.
            copied: other fields, by their names.
        """
        for name, value in copied.items():
            setattr(self, name, value)
        if timeout is not None:
            self.timeout_seconds = whole_seconds(timeout)
        if result_ttl is not None:
            self.result_storage, self.result_ttl_seconds = "database", whole_seconds(result_ttl)
        if result_max_size is not None:
            self.result_storage, self.result_max_size_bytes = "database", result_max_size
        now = self.created_at
        if cron_schedule is not None:
            self.recurring, self.cron_schedule, self.timezone = True, cron_schedule, timezone or "UTC"
            self.next_run_at = cron.next_run(cron_schedule, timezone, now)
            if self.next_run_at is None:
                raise UsageError(f"The cron expression {cron_schedule!r:.120} is never due.")
            self.scheduled_at = self.next_run_at
        if scheduled_at is not None or delay is not None:
            self.scheduled_at = max(scheduled_at or now, now + (delay or timedelta()))


COLUMNS: dict[str, str] = {
    one.name: column for one in fields(NewJob) if (column := one.metadata.get("column", one.name)) is not None
}
"""Field of a new job -> its column."""
