"""Runs a handler in a test as a worker would, without a database."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NoReturn, TypeVar

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.event.model import OF_STATUS, Event, EventJob, EventType, event_id
from hammerwork_cli.features.event.queries import cron_data, of_job
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.features.worker.queries.spawn import LostClaimError
from hammerwork_cli.runtime.api.around import Done, Waiting, surrounded
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job, checked
from hammerwork_cli.runtime.api.queue import JobId, id_of
from hammerwork_cli.runtime.api.spawn import SpawnContext, SpawnError, config_of
from hammerwork_cli.runtime.api.stored_jobs import parsed
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.execution.calls import in_own_context, own_config, result_of
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.outcomes.failures import described, wanted_by
from hammerwork_cli.runtime.outcomes.results import result_text
from hammerwork_cli.runtime.rehearsal.collecting_queue import CollectingQueue
from hammerwork_cli.runtime.rehearsal.spawn_step import SpawnStep, claimed
from hammerwork_cli.runtime.worker.options import DEFAULT_RETRY

__all__ = ["Outcome", "run"]
_LONGEST_ERROR = 500

MOST = 100_000
"""Children after which a spawn handler is stopped: one that never ends would fill the memory."""
_STATUSES = {
    AttemptEnd.COMPLETED: JobStatus.COMPLETED,
    AttemptEnd.RETRY: JobStatus.RETRYING,
    AttemptEnd.SNOOZED: JobStatus.PENDING,
    AttemptEnd.FAILED: JobStatus.DEAD,
    AttemptEnd.CANCELLED: JobStatus.CANCELLED,
}
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt at a job would lead to.

    Attributes:
        status: of the job: Completed; Retrying or Pending, if it would run again; Dead; Cancelled.
        result: of the handler, as other jobs would read it.
        error: text for the job's row if the attempt failed, or with ``on_error="complete"`` for the record of its
            operation.
        delay: until the job would run again; ``None`` unless it would.
        children: the jobs that the spawn handler would spawn at the end.
        early: key -> job that ``context.spawn`` would write. It stays whatever the outcome is.
        joins: key -> job that ``context.after_all`` would write, the same.
        enqueued: the jobs that ``context.queue`` would enqueue. They stay, too.
        progress: share and text that ``context.progress`` has reported last.
        events: of the attempt, as webhooks and streams get them, without payloads: that the job started, what it
            enqueued, how it ended, and its children. Those of other jobs that fail or run because of it are left out.
    """

    status: JobStatus
    result: Any = None
    error: str | None = None
    delay: timedelta | None = None
    children: tuple[Job, ...] = ()
    early: Mapping[str, Job] = field(default_factory=dict)
    joins: Mapping[str, Job] = field(default_factory=dict)
    enqueued: tuple[Job, ...] = ()
    progress: tuple[float, str] | None = None
    events: tuple[Mapping[str, Any], ...] = ()


def run(
    app: Handlers,
    job: Job,
    *,
    results: "Mapping[JobId, Any] | None" = None,
    use: Mapping[Callable[..., Any], Any] | None = None,
    attempt: int = 1,
    spawn: bool = True,
    cancel_after: int | None = None,
) -> Outcome:
    """Makes an attempt at a job, in this thread: calls its handler, and then its spawn handler.

    What they raise is part of the outcome. Nothing is written, and no timeout is enforced.

    Args:
        app: has the handlers.
        job: is taken as new, and as the root of its tree.
        results: of the jobs that it depends on, or waited for, for ``context.results()``.
        use: resource -> what ``context.use`` returns instead. Others are opened, and closed at the end. Lifespans do
            not run.
        attempt: number of the attempt, from 1.
        spawn: whether to call the spawn handler.
        cancel_after: how often ``context.cancelled`` is false before the job is cancelled: from then on it is true, and
            ``context.spawn`` raises an error. The outcome is Cancelled if a handler looked often enough to see that.

    Raises:
        UsageError: the job cannot be enqueued, or the application has no handler for it, or no such resource.
    """
    if not isinstance(app, Handlers):
        raise UsageError(f"run takes a Handlers, not {app!r:.60}.")
    fields.whole_number(attempt, "attempt", 1, 2**31 - 1)
    if cancel_after is not None:
        fields.whole_number(cancel_after, "cancel_after", 0, 2**31 - 1)
    now = datetime.now(UTC)
    row = claimed(checked(job)._new_job(now), now)._replace(attempts=attempt)
    if row.queue_name not in {*app.queues, *app.handler_names} and Job._of(row)._stored_config is None:
        raise UsageError(f"The application has no handler for the queue {row.queue_name!r:.100}.")
    queue, policy = _Queue(results or {}, now), OutcomePolicy(app, DEFAULT_RETRY, ServerClock(), threading.Event())
    resources = app._open_resources(use)
    step = _Step(app, queue, now, row, Ancestry(row.id), None, resources)
    step.cancel_after = cancel_after
    children: list[NewJob] = []
    try:
        error = _call(app, step, queue, children, spawn=spawn)
        ended = replace(policy.completed(row, step.result), error=error)
    except (KeyboardInterrupt, _StoppedError):
        raise
    except BaseException as raised:  # noqa: BLE001  whatever a handler raises is the outcome
        ended = policy.failed_by(row, raised)
    finally:
        resources.close()
    is_cancelled, recurs = step.is_cancelled, ended.at is not None and ended.pause is None
    status = JobStatus.CANCELLED if is_cancelled else JobStatus.PENDING if recurs else _STATUSES[ended.end]
    events = events_of(
        step.job,
        None if is_cancelled else replace(ended, error=None) if ended.end == AttemptEnd.COMPLETED else ended,
        status,
        at=datetime.now(UTC),
        written=[*map(step.placed, step.early.values()), *(one._new_job(now) for one in queue.collected)],
        children=[] if is_cancelled else [*map(step.placed, children)],
    )
    early = {key: _written(child, now) for key, child in step.early.items()}
    joins = {key: child for key, child in early.items() if child._join is not None}
    stay: Any = {
        "early": {key: child for key, child in early.items() if key not in joins},
        "joins": joins,
        "enqueued": tuple(queue.collected),
        "progress": step.progress,
        "events": events,
    }
    if is_cancelled:
        return Outcome(status, **stay)
    return Outcome(
        status=status,
        result=parsed(ended.result),
        error=ended.error,
        delay=ended.pause,
        children=tuple(_written(child, now) for child in children),
        **stay,
    )


def _written(child: NewJob, now: datetime) -> Job:
    job = Job._of(claimed(child, now))
    job.unique, job._join = child.unique, child.join  # which no row holds
    return job


def _call(app: Handlers, step: "_Step", queue: "_Queue", children: list[NewJob], *, spawn: bool) -> str | None:
    """Calls both handlers, as :meth:`AttemptRunner.run` does; see :func:`_spawn`."""
    row, handler = step.job, app._job_handler(step.job.queue_name)
    step.config = config_of(Job._of(row)) or app._default_config(row.queue_name) or SpawnConfig()
    if handler is not None:
        job = Job._of(row)
        context = SpawnContext(
            *(job, own_config(step.config), queue, step.spawn),
            _place=lambda: step.place,
            _resources=step.resources,
            _handed_down=step.hand_down,
            _is_over=step.look,
            _reported=step.report,
            _room=lambda: step.room,
        )
        arguments = (job, context) if handler.takes_context else (job,)
        call = partial(surrounded, app._arounds, handler, arguments, context, Waiting(_start))
        returned = in_own_context(row, lambda: result_of(call()))
        step.result = result_text(returned, most=row.result_max_size_bytes)
    return _spawn(step, children) if spawn else None


def _start(awaitable: Any, done: Done) -> None:
    """Runs a coroutine while this thread waits for it."""

    def run() -> None:
        try:
            done(result_of(awaitable), None)
        except BaseException as error:  # noqa: BLE001  whoever waits raises it
            done(None, error)

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()


def _spawn(step: SpawnStep, children: list[NewJob]) -> str | None:
    """Collects the children; what the spawn handler raised, if the job completes all the same."""
    try:
        with step.run(MOST) as late:
            if step.was_stopped:
                raise _StoppedError(f"The spawn handler spawned {MOST:,} jobs, and testing.run stopped it.")
            children += [child for batch in late.batches() for child in batch]
        step.check_descendants(len(step.early) + len(children))
    except _StoppedError:
        raise
    except BaseException as error:
        children.clear()
        if isinstance(error, SpawnError):
            error._with_kept(len(step.early), early=False)
        if step.config.on_error != "complete" or wanted_by(error) is not None:
            raise
        return described(error)
    return None


class _StoppedError(UsageError):
    """A spawn handler goes on for too long for a test."""


class _Step(SpawnStep):
    """An attempt whose job is cancelled once it has looked often enough."""

    cancel_after: int | None = None
    _looks = 0

    def look(self) -> bool:
        """Whether the job is cancelled by now: ``context.cancelled``."""
        self._looks += 1
        return self.is_cancelled

    def placed(self, child: NewJob) -> NewJob:
        """A child with its place in the tree, as a row has it."""
        return replace(child, ancestry=self.place.child().stored())

    @property
    def is_cancelled(self) -> bool:
        return self.cancel_after is not None and self._looks > self.cancel_after

    def spawn(self, job: Job, *, key: str | None = None) -> Job:
        """Collects a child by key, unless the job is cancelled, as a worker would."""
        if self.is_cancelled:
            raise LostClaimError(f"The job {self.job.id} is cancelled: nothing is spawned for it.")
        return super().spawn(job, key=key)


class _Queue(CollectingQueue):
    """A queue that collects jobs, and knows the results that a test gives it."""

    def __init__(self, known: "Mapping[JobId, Any]", now: datetime) -> None:
        super().__init__(_no_database, now)
        self._known = {id_of(job): result for job, result in known.items()}

    def _awaited(self, job: Job) -> list[str]:
        return list(job.dependencies) or list(self._known)

    def _as_they_are(self, ids: "Iterable[str]", at_once: int = 0) -> "Iterator[Job]":
        del at_once
        for job in ids:
            if job in self._known:
                ended = Job(id=job)
                ended.status, ended.result = JobStatus.COMPLETED, self._known[job]
                yield ended

    def results(self, jobs: "Iterable[JobId]") -> dict[str, Any]:
        """Returns those of the given results."""
        wanted = dict.fromkeys(map(id_of, jobs))
        return {job: self._known[job] for job in wanted if job in self._known}

    def _run(self, unit: Callable[[Database], _Result]) -> _Result:
        del unit
        _no_database()


def _no_database() -> NoReturn:
    raise UsageError(
        "testing.run has no database to read from.",
        hint='Give it results=, or run a worker on Queue("sqlite:///:memory:").',
    )


def events_of(
    row: Claimed,
    ended: EndedAttempt | None,
    status: JobStatus,
    *,
    at: datetime,
    written: Sequence[NewJob],
    children: Sequence[NewJob],
) -> tuple[Mapping[str, Any], ...]:
    """The records of the events of an attempt, in their order.

    Args:
        row: the job.
        ended: how the attempt ended; ``None`` if somebody has cancelled the job meanwhile.
        status: that the job has then.
        at: when it ended.
        written: the jobs that it has written meanwhile.
        children: those that it writes at the end.
    """
    found = [of_job(EventType.JOB_STARTED, _job(row, JobStatus.RUNNING, row.started_at), row.started_at)]
    found += map(_enqueued, written)
    found += _end(row, ended, status, at)
    found += map(_enqueued, children)
    return tuple(event.record() for event in found)


def _end(row: Claimed, ended: EndedAttempt | None, status: JobStatus, at: datetime) -> Iterator[Event]:
    if status is JobStatus.PENDING and ended is not None and ended.at is not None and ended.pause is None:
        yield _recurs(row, ended, at)
    elif status is not JobStatus.PENDING:  # that of a snoozed job: nothing happened
        event = OF_STATUS.get(status, EventType.JOB_RETRIED)
        yield of_job(event, _job(row, status, at, ended), at)


def _recurs(row: Claimed, ended: EndedAttempt, at: datetime) -> Event:
    """What happened to a job that waits for its next run."""
    if ended.error is None:
        return of_job(EventType.JOB_COMPLETED, _job(row._replace(attempts=0), JobStatus.PENDING, at, ended), at)
    data = cron_data(job_id=row.id, queue=row.queue_name, due_at=row.next_run_at, reason=ended.error)
    return Event(event_id(EventType.CRON_FAILED, row.id, at), EventType.CRON_FAILED, at, data, row.queue_name)


def _job(row: Claimed, status: JobStatus, at: datetime, ended: EndedAttempt | None = None) -> EventJob:
    is_over, is_due_again = status in OF_STATUS, ended is not None and ended.at is not None
    start = None if is_due_again else row.started_at
    return EventJob(
        id=row.id,
        queue=row.queue_name,
        stored_status=str(status),
        stored_priority=row.priority,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        created_at=row.created_at,
        scheduled_at=ended.at if ended is not None and is_due_again else row.scheduled_at,
        started_at=start,
        completed_at=at if status is JobStatus.COMPLETED else None,
        failed_at=at if is_over and status is not JobStatus.COMPLETED else None,
        error=ended.error[:_LONGEST_ERROR] if ended is not None and ended.error else None,
        run_start=start,
        stored_parents=row.depends_on,
        batch_id=row.batch_id,
        workflow_id=row.workflow_id,
        trace_id=row.trace_id,
        correlation_id=row.correlation_id,
        ancestry=row.ancestry,
    )


def _enqueued(job: NewJob) -> Event:
    made = EventJob(
        id=job.id,
        queue=job.queue,
        stored_status=str(job.status),
        stored_priority=int(job.priority),
        attempts=0,
        max_attempts=job.max_attempts,
        created_at=job.created_at,
        scheduled_at=job.scheduled_at,
        stored_parents=list(job.depends_on),
        batch_id=job.batch_id,
        workflow_id=job.workflow_id,
        trace_id=job.trace_id,
        correlation_id=job.correlation_id,
        ancestry=job.ancestry,
    )
    return of_job(EventType.JOB_ENQUEUED, made, job.created_at)
