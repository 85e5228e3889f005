"""Jobs that are about to be inserted: the one maker of them, for commands, the web and handlers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from hammerwork_cli.core import cron
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.fields import whole_seconds
from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.errors import UsageError

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Encryption
    from hammerwork_cli.features.callbacks.model import NewCallback
    from hammerwork_cli.features.job.models.unique import Unique


class PassedThrough(TypedDict, total=False):
    """Columns that a maker of jobs gives as they are."""

    workflow_id: str | None
    workflow_name: str | None
    trace_id: str | None
    correlation_id: str | None
    parent_span_id: str | None
    span_context: str | None
    retry_strategy: str | None
    encryption: "Encryption | None"
    unique: "Unique | None"


class OptionalFields(PassedThrough, total=False):
    """Values that few jobs have: most of them are made faster without."""

    timeout: timedelta | None  # stored in whole seconds, rounded up
    delay: timedelta | None  # the shortest time until its first attempt
    # The earliest time of its first attempt; the later one counts if `delay` is given too.
    scheduled_at: datetime | None
    cron_schedule: str | None  # makes the job recur
    timezone: str | None  # of the schedule; UTC by default
    result_ttl: timedelta | None  # how long its result is kept
    result_max_size: int | None  # bytes of JSON that its result may have


@dataclass(slots=True)
class NewJob:
    """A row to insert into ``hammerwork_jobs``."""

    queue: str
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
    result_storage: str = "none"  # `database` or `none`
    result_ttl_seconds: int | None = None
    result_max_size_bytes: int | None = None
    ancestry: str | None = None  # JSON text of `Ancestry`, for a child
    # Scope and `on_failure` of a child that waits for its siblings.
    join: tuple[str, str] | None = field(default=None, compare=False)
    encryption: "Encryption | None" = None  # how the payload is encrypted when the row is written; `None` for plaintext
    unique: "Unique | None" = None  # what keeps it from being written beside another job
    # What to do at the end of the tree below it.
    callbacks: "tuple[NewCallback, ...]" = field(default=(), compare=False)  # each making of a row has ids of its own
    # Nobody else knows its id, so that no look for it is needed before it is written.
    is_new: bool = field(default=False, compare=False)
    # Somebody has said so, or the payload is stored in plaintext already.
    plaintext_meant: bool = field(default=False, compare=False)

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
        **rare: Unpack[OptionalFields],
    ) -> Self:
        """Makes a row of checked values. A child then inherits from its parent.

        Raises UsageError if the schedule is never due.

        Args:
            payload: JSON text.
            rare: see :class:`OptionalFields`; ``None`` is a default too.
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
        **copied: Unpack[PassedThrough],
    ) -> None:
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
