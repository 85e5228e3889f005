"""Jobs for authors of handlers."""

import json
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from datetime import datetime, timedelta
from functools import partial, wraps
from inspect import iscoroutinefunction
from operator import attrgetter
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar
from uuid import UUID

from hammerwork_cli.core import cron
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.fields import full_id
from hammerwork_cli.core.input.limits import LARGEST_BIGINT, LARGEST_INTEGER
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.payloads import CONFIG_KEY, check_names, refuse_config
from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.callbacks.model import NewCallback
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.models.unique import USUAL as WHILE_OPEN
from hammerwork_cli.features.job.models.unique import Holding, Replaced, Unique
from hammerwork_cli.runtime.api import tracing
from hammerwork_cli.runtime.api.absent import explained, instead_of, no_attribute, no_keyword
from hammerwork_cli.runtime.api.callbacks import callbacks_of
from hammerwork_cli.runtime.api.columns import READERS
from hammerwork_cli.runtime.api.encoding import as_json, json_text
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.api.retry import check as checked_strategy

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Encryption
    from hammerwork_cli.features.worker.queries.claim import Claimed


def _encryption(given: object) -> "Encryption":
    from hammerwork_cli.core.encryption import Encryption

    return fields.an(given, Encryption, "encryption must be made by with_encryption or with_pii_fields")


def _spawn_config(given: object) -> SpawnConfig:
    return fields.an(given, SpawnConfig, "spawn_config must be a SpawnConfig")


def _unique(given: object) -> Unique:
    return fields.an(given, Unique, "unique must be made by with_unique")


def _level_of_caller() -> int:
    """The level of the line that a warning is about: the innermost one that is not of this package."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("hammerwork_cli."):
        frame, level = frame.f_back, level + 1
    return level


def _callbacks(given: object) -> tuple[NewCallback, ...]:
    many = fields.an(given, tuple, _WANTED_CALLBACKS)
    return tuple(fields.an(one, NewCallback, _WANTED_CALLBACKS) for one in many)


def replace(job: "AnyJob", **changes: Any) -> "AnyJob":
    """A changed copy of a job, which takes over an id that nobody else knows."""
    new = replaced(job, **changes)
    new._own_id, job._own_id = job._own_id, ""
    return new


Parameters = ParamSpec("Parameters")
AnyJob = TypeVar("AnyJob", bound="Job[Any]")
Result = TypeVar("Result")
if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    Payload = TypeVarWithDefault("Payload", default=Any, covariant=True)
else:
    Payload = TypeVar("Payload")
_TEXTS = ("trace_id", "correlation_id", "parent_span_id", "span_context", "workflow_name")
_COPIED = ("workflow_id", "encryption", "unique", *_TEXTS)
_CONVERTED = ("timeout", "delay", "scheduled_at", "retry_strategy", "cron_schedule", "result_ttl", "result_max_size")
_rare = attrgetter(*_COPIED, *_CONVERTED, "callbacks")
"""Fields that few jobs set, read at once: handlers make jobs by the million."""
_NOTHING = (*(None,) * (len(_COPIED) + len(_CONVERTED)), ())
_settings = attrgetter("priority", "max_attempts", "dependencies", "spawn_config", *_COPIED, *_CONVERTED, "callbacks")
_USUAL = (None, 3, (), None, *_NOTHING)
_LONGEST_TIMEOUT = timedelta(seconds=LARGEST_INTEGER)
_WANTED_CALLBACKS = "callbacks must be made by with_callbacks"
_as_rows_spell = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
"""A quick look at an id: handlers make jobs by the million."""
_CHECKS: dict[str, Callable[[Any], Any]] = {
    "id": full_id,
    "priority": fields.priority,
    "timeout": partial(fields.duration, name="timeout", most=_LONGEST_TIMEOUT, positive=True),
    "delay": partial(fields.duration, name="delay"),
    "scheduled_at": partial(fields.instant, name="scheduled_at"),
    "dependencies": fields.ids,
    "retry_strategy": checked_strategy,
    "result_ttl": partial(fields.duration, name="result_ttl"),
    "result_max_size": partial(fields.whole_number, name="result_max_size", least=0, most=LARGEST_BIGINT),
    "workflow_id": full_id,
    "encryption": _encryption,
    "unique": _unique,
    "spawn_config": _spawn_config,
    "callbacks": _callbacks,
    **{name: partial(fields.text, name=name) for name in (*_TEXTS, "cron_schedule", "timezone")},
}
"""Field -> check of its value, which returns the value to keep."""
_NEVER_NONE = {"id", "dependencies", "callbacks"}


class _Rowed(Generic[Payload]):
    """Keeps the row of a claimed job. Each column is parsed when it is first read."""

    __slots__ = ("_own_id", "_row")
    _row: "Claimed"
    _own_id: str  # the id that was made for it, until others may know it
    _instead_of_json = "Spawn it with context.spawn or from a spawn handler, or enqueue it and give its id."


if TYPE_CHECKING:
    LockedJob = TypeVar("LockedJob")
    Given = TypeVar("Given")

    class _Field(Generic[LockedJob, Given]):
        """A field that accepts more types than it returns, for type checkers."""

        def __get__(self, job: object, owner: object = None) -> LockedJob: ...

        def __set__(self, job: object, value: Given) -> None: ...


@dataclass(slots=True, eq=False)
class Job(_Rowed[Payload]):
    """A unit of work: to enqueue, to spawn, or passed to a handler.

    The ``with_*`` methods, the ``as_*`` methods and :meth:`depends_on` return a changed copy with the same id, and
    raise what the constructor raises. A field may also be assigned, and is checked when the job is written. Jobs are
    equal if they have the same id.

    Attributes:
        queue: its queue; ``None`` lets a child inherit that of its parent if ``inherit_queue`` is set.
        payload: any JSON value, or what is stored as one: a dataclass or a pydantic model, say. A handler that names
            its type (``job: Job[OrderPaid]``) gets it as that. It never has what hammerwork stores beside it.
        id: a UUID.
        priority: ``None`` lets a child inherit it; otherwise it is normal.
        max_attempts: number of attempts until it is Dead.
        timeout: time limit of an attempt; stored in whole seconds, rounded up.
        delay: shortest time between the enqueue and its first attempt.
        scheduled_at: earliest time of its first attempt.
        dependencies: ids of the jobs that must complete first.
        retry_strategy: time between attempts; by default that of the handler or the worker.
        cron_schedule: six or seven fields, seconds first; makes the job recur.
        timezone: of the schedule, an IANA name; UTC by default.
        encryption: how its payload is encrypted: see :meth:`with_encryption`; ``None`` for plaintext.
        result_ttl: how long its result is kept; ``None`` keeps it with the job.
        result_max_size: maximum size of its result, in bytes of JSON; ``None`` for 16 MiB.
        callbacks: what to enqueue at the end of it and everything below it: see :meth:`with_callbacks`.
        unique: its unique key: see :meth:`with_unique`; a job that was read has none.
        spawn_config: how it spawns: see :meth:`with_spawn_config`.
        trace_id, correlation_id, parent_span_id, span_context: for tracing; children inherit them.
        workflow_id, workflow_name: the workflow to which it belongs.
        status, created_at, started_at: as they are stored; workers and queues set them.
        attempts: number of attempts, the present one included.
        error: error of the last failed attempt.
        created: after :meth:`Queue.enqueue`, ``enqueue_many`` or ``context.spawn``, whether that inserted it;
            otherwise it existed before, or is the job that holds its unique key.
        result: after :meth:`Queue.get`, its result; ``None`` if that has expired.

    Raises:
        UsageError: a value is not valid; the message names the field.
    """

    queue: str | None = None
    if TYPE_CHECKING:
        payload: _Field[Payload, Any] = _Field()
        id: _Field[str, str | UUID] = _Field()
        priority: _Field[JobPriority | None, JobPriority | int | str | None] = _Field()
    else:
        payload: Any = None
        id: str = ""
        priority: JobPriority | None = None
    max_attempts: int = 3
    timeout: timedelta | None = None
    delay: timedelta | None = None
    scheduled_at: datetime | None = None
    if TYPE_CHECKING:
        dependencies: _Field[tuple[str, ...], "Job | str | UUID | Iterable[Job | str | UUID]"] = _Field()
    else:
        dependencies: tuple[str, ...] = ()
    retry_strategy: RetryStrategy | None = None
    cron_schedule: str | None = None
    timezone: str | None = None
    trace_id: str | None = None
    correlation_id: str | None = None
    parent_span_id: str | None = None
    span_context: str | None = None
    if TYPE_CHECKING:
        workflow_id: _Field[str | None, str | UUID | None] = _Field()
    else:
        workflow_id: str | None = None
    workflow_name: str | None = None
    encryption: "Encryption | None" = None
    result_ttl: timedelta | None = None
    result_max_size: int | None = None
    status: str = JobStatus.PENDING
    attempts: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    error: str | None = None
    callbacks: tuple[NewCallback, ...] = ()
    unique: Unique | None = None
    spawn_config: SpawnConfig | None = None
    _join: "tuple[str, str] | None" = field(default=None, init=False, repr=False)  # see SpawnContext.after_all
    created: bool | None = field(default=None, init=False)
    result: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._own_id = "" if self.id else new_id()  # type: ignore[misc]  # the base class has the slot
        self.id = self._own_id or full_id(self.id)
        if self.queue is not None:
            fields.queue(self.queue)
        if type(self.payload) is dict:
            refuse_config(self.payload)
        if _settings(self) != _USUAL or type(self.max_attempts) is not int:
            self._check()

    def _check(self) -> None:
        fields.whole_number(self.max_attempts, "max_attempts", 1, LARGEST_INTEGER)
        for name, check in _CHECKS.items():
            given = getattr(self, name)
            if given is not None or name in _NEVER_NONE:
                setattr(self, name, check(given))
        if self.id in self.dependencies:
            raise UsageError(f"The job {self.id} depends on itself, and would never run.")
        if self.cron_schedule is not None:
            cron.parse(self.cron_schedule, self.timezone)
        if self.spawn_config is not None and not isinstance(as_json(self.payload), dict | None):
            raise UsageError("Only a job whose payload is a JSON object can carry a spawn configuration.")

    @classmethod
    def _of(cls, row: "Claimed") -> Self:
        """The job of a claimed row, whose columns are parsed later."""
        job = object.__new__(cls)
        job._row = row  # type: ignore[misc]  # the base class has the slot
        job.id = row.id
        job.queue = row.queue_name
        return job

    if not TYPE_CHECKING:  # a type checker would take every misspelt attribute for a known one

        def __getattr__(self, name: str) -> Any:
            read = READERS.get(name)
            if read is None and name not in Job.__dataclass_fields__:
                raise no_attribute(type(self), name)
            value = read(self._row) if read else getattr(self._row, name)
            setattr(self, name, value)
            return value

    def __getstate__(self) -> object:
        # Of a copy, and of a job in another process.
        state: Any = super(Job, self).__getstate__()
        others, slots = state
        return others, {**slots, "_own_id": ""}

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Job) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Job({self.queue!r}, id={self.id!r})"

    @property
    def recurring(self) -> bool:
        """Whether it has a schedule."""
        return self.cron_schedule is not None

    @property
    def _stored_config(self) -> object:
        """``_spawn_config`` of the stored payload, parsed but not checked; ``None`` if there is none."""
        row = getattr(self, "_row", None)
        return None if row is None else READERS["_stored_config"](row)

    @property
    def _stored_payload(self) -> Any:
        """The payload as it is stored: with what hammerwork keeps in it."""
        row = getattr(self, "_row", None)
        return self.payload if row is None else READERS["_stored_payload"](row)

    # Builders.

    def with_priority(self, priority: JobPriority | int | str | None) -> Self:
        """Sets the priority: a member, its number (0 to 4) or its word. ``None`` unsets it."""
        return replace(self, priority=priority)

    def as_critical(self) -> Self:
        """Sets the priority to critical: before all other jobs."""
        return replace(self, priority=JobPriority.CRITICAL)

    def as_high_priority(self) -> Self:
        """Sets the priority to high: before normal jobs."""
        return replace(self, priority=JobPriority.HIGH)

    def as_low_priority(self) -> Self:
        """Sets the priority to low: after normal jobs."""
        return replace(self, priority=JobPriority.LOW)

    def as_background(self) -> Self:
        """Sets the priority to background: after all other jobs."""
        return replace(self, priority=JobPriority.BACKGROUND)

    def with_timeout(self, timeout: timedelta | None) -> Self:
        """Limits the time of an attempt; ``None`` removes the limit.

        Whole seconds are stored: 300 milliseconds become 1 second, with a warning.
        """
        return replace(self, timeout=timeout)

    def with_delay(self, delay: timedelta | None) -> Self:
        """Sets the shortest time between the enqueue and the first attempt; ``None`` unsets it."""
        return replace(self, delay=delay)

    def with_scheduled_at(self, instant: datetime | None) -> Self:
        """Sets the earliest time of the first attempt, in UTC if it has no zone; ``None`` unsets it."""
        return replace(self, scheduled_at=instant)

    def with_max_attempts(self, attempts: int) -> Self:
        """Sets the number of attempts until it is Dead: at least 1."""
        return replace(self, max_attempts=attempts)

    def with_retry_strategy(self, strategy: RetryStrategy | None) -> Self:
        """Sets the time between attempts; ``None`` uses the strategy of the handler or the worker."""
        return replace(self, retry_strategy=strategy)

    def with_exponential_backoff(
        self, base: timedelta, multiplier: float = 2.0, max_delay: timedelta | None = None
    ) -> Self:
        """Sets :meth:`RetryStrategy.exponential` as its strategy: ``base * multiplier ** (attempt - 1)``.

        Args:
            base: the pause after the first failed attempt.
            multiplier: how many times as long the next pause is.
            max_delay: the longest pause; a year by default.
        """
        return replace(self, retry_strategy=RetryStrategy.exponential(base, multiplier, max_delay))

    def with_linear_backoff(self, base: timedelta, increment: timedelta, max_delay: timedelta | None = None) -> Self:
        """Sets :meth:`RetryStrategy.linear` as its strategy: ``base + increment * attempt``.

        Args:
            base: what each pause has in common; the one after the first failed attempt is ``base + increment``.
            increment: how much longer the next pause is.
            max_delay: the longest pause; a year by default.
        """
        return replace(self, retry_strategy=RetryStrategy.linear(base, increment, max_delay))

    def with_fibonacci_backoff(self, base: timedelta, max_delay: timedelta | None = None) -> Self:
        """Sets :meth:`RetryStrategy.fibonacci` as its strategy: ``base`` times 1, 1, 2, 3, 5, 8 ...

        Args:
            base: the pauses after the first two failed attempts.
            max_delay: the longest pause; a year by default.
        """
        return replace(self, retry_strategy=RetryStrategy.fibonacci(base, max_delay))

    def with_timezone(self, timezone: str | None) -> Self:
        """Sets the time zone of its schedule, an IANA name; ``None`` stands for UTC."""
        return replace(self, timezone=timezone)

    def with_cron(self, cron_schedule: str, timezone: str | None = None) -> Self:
        """Makes it recur.

        Args:
            cron_schedule: six or seven fields, seconds first: ``0 30 2 * * *`` is half past two every night.
            timezone: an IANA name; by default the job's own, or UTC.

        Raises:
            UsageError: the schedule or the time zone is not valid.
        """
        return replace(self, cron_schedule=cron_schedule, timezone=timezone or self.timezone)

    def depends_on(self, *others: "Job | str | UUID") -> Self:
        """Adds dependencies: jobs or their ids."""
        return self.depends_on_jobs(others)

    def depends_on_jobs(self, others: "Job | str | UUID | Iterable[Job | str | UUID]") -> Self:
        """Adds dependencies: a job, an id, or a list of these."""
        return replace(self, dependencies=(*self.dependencies, *fields.ids(others)))

    def with_spawn_handler(self, name: str) -> Self:
        """Lets it spawn children with the spawn handler of that name when it completes.

        Raises:
            UsageError: its payload is not a JSON object, which alone can carry a configuration; or the name is not
                text, or too long.
        """
        return replace(self, spawn_config=(self.spawn_config or SpawnConfig()).with_handler(name))

    def with_spawn_config(self, config: SpawnConfig) -> Self:
        """Lets it spawn children when it completes. An earlier handler stays unless the new configuration names one.

        Raises:
            UsageError: its payload is not a JSON object, which alone can carry a configuration.
        """
        earlier = self.spawn_config
        if config.handler is None and earlier is not None and earlier.handler is not None:
            config = config.with_handler(earlier.handler)
        return replace(self, spawn_config=config)

    def with_trace_id(self, trace_id: str | None) -> Self:
        """Sets the id of its trace; ``None`` unsets it."""
        return replace(self, trace_id=trace_id)

    def with_trace(self, carrier: Mapping[str, str]) -> Self:
        """Adds it to the trace of a span.

        Args:
            carrier: of W3C Trace Context, such as the headers of a request: ``traceparent``, and ``tracestate`` and
                ``baggage`` if they are there. Nothing else of it is stored; without a valid ``traceparent``, nothing.

        Raises:
            UsageError: that is not a mapping.
        """
        if not isinstance(carrier, Mapping):
            raise UsageError(f"A carrier must be a mapping, such as the headers of a request, not {carrier!r:.60}.")
        return replace(self, **tracing.columns(carrier))

    @property
    def carrier(self) -> dict[str, str]:
        """The span to whose trace it belongs, as :meth:`with_trace` takes it; empty if there is none."""
        return tracing.carrier(self.trace_id, self.parent_span_id, self.span_context)

    def _traced(self) -> Self:
        """The job in the trace of the present span, if an integration knows one, and it has no trace of its own."""
        present = tracing.carrier_of_present_span
        if present is None or self.trace_id or self.parent_span_id or self.span_context:
            return self
        columns = tracing.columns(present())
        return replace(self, **columns) if columns else self

    def with_correlation_id(self, correlation_id: str | None) -> Self:
        """Sets the id that it shares with related jobs; ``None`` unsets it."""
        return replace(self, correlation_id=correlation_id)

    def with_parent_span_id(self, span_id: str | None) -> Self:
        """Sets the id of the span that it belongs to; ``None`` unsets it."""
        return replace(self, parent_span_id=span_id)

    def with_span_context(self, context: str | None) -> Self:
        """Sets the serialized context of its span; ``None`` unsets it."""
        return replace(self, span_context=context)

    def with_workflow(self, workflow_id: str | UUID, name: str | None = None) -> Self:
        """Adds it to a workflow.

        Args:
            workflow_id: the id of the workflow, a UUID.
            name: its name, which is stored with the job.
        """
        return replace(self, workflow_id=workflow_id, workflow_name=name)

    def with_encryption(self, algorithm: str = "AES256GCM", key_id: str | None = None) -> Self:
        """Encrypts its payload when it is written, so that only programs with the key read it.

        Args:
            algorithm: ``AES256GCM`` or ``ChaCha20Poly1305``.
            key_id: of the key; by default the first one of the queue.

        Raises:
            UsageError: no such algorithm.
        """
        return self._encrypted(algorithm=algorithm, key_id=key_id)

    def with_pii_fields(self, *paths: str) -> Self:
        """Encrypts only these fields of its payload, such as ``customer.email``; refuses a payload that lacks one."""
        return self._encrypted(pii_fields=tuple(fields.text(path, "a path") for path in paths))

    def with_retention_policy(self, policy: timedelta | datetime | str) -> Self:
        """Sets when it is deleted once it has ended; its payload is encrypted.

        Args:
            policy: a time since its enqueue, an instant, ``DeleteImmediately`` or ``KeepIndefinitely``.

        Raises:
            UsageError: it is none of these.
        """
        from hammerwork_cli.core.encryption import retention_of

        kind, keep = retention_of(policy)
        return self._encrypted(policy=kind, keep=keep)

    def _encrypted(self, **changes: Any) -> Self:
        from hammerwork_cli.core.encryption import Encryption

        return replace(self, encryption=replaced(self.encryption or Encryption(), **changes))

    def with_callbacks(
        self, *, on_complete: "Job | None" = None, on_success: "Job | None" = None, on_failure: "Job | None" = None
    ) -> Self:
        """Enqueues other jobs, each once, depending on how this job and all jobs below it end.

        The callbacks that it had are replaced.

        Args:
            on_complete: enqueued when all of them have ended.
            on_success: enqueued when all of them have completed.
            on_failure: enqueued when the first of them has failed for good or was cancelled.

        Raises:
            UsageError: a callback is not a job or has no queue; or it sets more than a queue, a payload, a priority, a
                delay, limits of attempts, a trace id and a correlation id.
        """
        return replace(self, callbacks=callbacks_of(on_complete, on_success, on_failure))

    def with_unique(
        self,
        key: str,
        *,
        within: timedelta | None = None,
        while_: Iterable[Holding] = WHILE_OPEN,
        replace: Iterable[Replaced] = (),
    ) -> Self:
        """Keeps it from being written while another job of its queue holds the key; you get that job instead.

        Programs that enqueue at the same moment write one job. A job that was deleted, archived or cancelled holds no
        key. If a job that has ended is retried, it may run beside the next holder of its key.

        Args:
            key: text, for example ``invoice-17``.
            within: how long the other job holds the key, counted from its enqueue; ``None`` for no limit.
            while_: in which of these it holds the key: ``waiting``, ``running``, ``completed``, ``failed``.
            replace: what this job changes in the other one if that still waits: ``payload``, ``priority``,
                ``scheduled_at``.

        Raises:
            UsageError: the key is empty or too long, or a word is not known.
        """
        return self._unique(Unique.of(key, within, while_, replace))

    def _unique(self, unique: Unique) -> Self:
        return replace(self, unique=unique)

    def with_result_ttl(self, ttl: timedelta | None) -> Self:
        """Sets how long its result is kept; ``None`` keeps it with the job."""
        return replace(self, result_ttl=ttl)

    # To be written.

    def _new_job(self, now: datetime) -> NewJob:
        """The row to insert.

        Raises UsageError if it has no queue, a payload that JSON cannot hold, or a schedule that is never due.
        """
        if tracing.carrier_of_present_span is not None and (traced := self._traced()) is not self:
            return traced._new_job(now)
        if self.queue is None:
            raise UsageError("The job has no queue.")
        fields.queue(self.queue)
        if _settings(self) != _USUAL or type(self.id) is not str or not _as_rows_spell(self.id):
            self._check()
        usual = self.queue, self._payload_text(), now
        is_new = self._own_id == self.id
        self._own_id = ""  # type: ignore[misc]  # the base class has the slot
        if _rare(self) == _NOTHING:
            new = NewJob.of(
                *usual,
                id=self.id,
                priority=self.priority,
                max_attempts=self.max_attempts,
                depends_on=self.dependencies,
            )
            new.is_new = is_new
            return new
        if self.callbacks and self.recurring:
            raise UsageError("A recurring job never ends, so it cannot have callbacks.")
        if self.timeout is not None and self.timeout.microseconds:
            stored = fields.whole_seconds(self.timeout)
            warnings.warn(
                f"A timeout is stored in whole seconds: {self.timeout.total_seconds():g} s becomes {stored} s.",
                stacklevel=_level_of_caller(),
            )
        strategy = self.retry_strategy
        new = NewJob.of(
            *usual,
            id=self.id,
            priority=self.priority,
            max_attempts=self.max_attempts,
            depends_on=self.dependencies,
            timeout=self.timeout,
            delay=self.delay,
            scheduled_at=self.scheduled_at,
            cron_schedule=self.cron_schedule,
            timezone=self.timezone,
            result_ttl=self.result_ttl,
            result_max_size=self.result_max_size,
            retry_strategy=None if strategy is None else json.dumps(strategy._stored()),
            **{name: getattr(self, name) for name in _COPIED},
        )
        new.is_new = is_new
        new.callbacks = tuple(one._replace(id=new_id()) for one in self.callbacks)  # jobs may share callbacks
        return new

    def _payload_text(self) -> str:
        """The payload to store, with its spawn configuration; what is raised: see :meth:`_new_job`."""
        text = json_text(self.payload)
        if CONFIG_KEY in text:
            refuse_config(json.loads(text))  # of a model, say
        if self.spawn_config is None:
            return text
        stored = self.spawn_config._stored()
        check_names(stored)
        config = json_text({CONFIG_KEY: stored})
        return config if text in {"null", "{}"} else f"{text[:-1]},{config[1:]}"


_made = Job.__init__


@wraps(_made)
def _init(job: Job, queue: Any = None, payload: Any = None, *others: Any, **named: Any) -> None:
    # The first two are spelled out because a call with a tuple and a dictionary takes longer, and jobs are many.
    try:
        _made(job, queue, payload, *others, **named)
    except TypeError as error:
        if named.keys() <= Job.__dataclass_fields__.keys():
            raise
        raise no_keyword(error, instead_of("Job", named)) from None


Job.__init__ = _init  # type: ignore[assignment, method-assign]  # type checkers know the one of the fields


def checked(given: object, what: str = "A job") -> Job:
    """The job itself. Raises UsageError if it is none; ``what`` is the subject of its sentence."""
    return fields.an(given, Job, f'{what} must be a Job such as Job("mail", {{"to": "you"}})')


def takes_a_job(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorates a method whose callers may give it what belongs to the job."""

    def instead(given: tuple[Any, ...], named: Mapping[str, Any]) -> str | None:
        own = "enqueue(Job(queue, payload))" if given[2:] else instead_of("enqueue", named)
        of_job = next((f"Job({name}=...)" for name in named if name in Job.__dataclass_fields__), None)
        return own or of_job or instead_of("Job", named)

    called = explained(call, instead)

    @wraps(call)
    async def awaited(*given: Parameters.args, **named: Parameters.kwargs) -> Any:
        answer: Any = called(*given, **named)
        return await answer

    return awaited if iscoroutinefunction(call) else called  # type: ignore[return-value]  # the same for a coroutine
