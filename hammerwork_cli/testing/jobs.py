"""A database of jobs for a test, which runs them and moves their time forward."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.values import WAITING, JobPriority
from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.cron.model import Declared, Schedule
from hammerwork_cli.features.cron.queries import declaring, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.event.model import EventType, event_types
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.worker.queries import claim
from hammerwork_cli.features.workflow.queries import endings
from hammerwork_cli.runtime.api.encoding import json_text
from hammerwork_cli.runtime.api.encryption import EncryptionKeys
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.queue import IN_MEMORY, CodecsOfQueues, Queue, url_of
from hammerwork_cli.runtime.worker.worker import Worker, WorkerReport
from hammerwork_cli.testing.databases import Files, lend
from hammerwork_cli.view.text import duration, plural, shorten, visible

DRAIN_SECONDS = 1.0
"""A drain waits for jobs that are due so soon: MySQL rounds the time of one that is due now to a whole second."""
POLL_SECONDS = 0.02
MOST_LATER = 1000
MOST_RUNS = 10_000
"""Runs of schedules within one step of the time: more would take minutes."""
MOST_EVENTS = 1_000_000
STREAM = "hammerwork_cli.testing"
"""Name of the stream that keeps events. No worker that drains its queues sends any."""
MOST_LISTED = 20
"""Jobs that a failed assertion lists."""
_NEAR = timedelta(seconds=1)
_ANY: Any = object()
_Result = TypeVar("_Result")


class JobFields(TypedDict, total=False):
    """What :meth:`Jobs.enqueued` also compares.

    Attributes:
        priority: ``"high"``, a number or a :class:`JobPriority`.
        delay: from the enqueue to the first attempt, to the second.
        max_attempts, timeout, correlation_id, trace_id, status: see :class:`Job`.
    """

    priority: JobPriority | int | str
    delay: timedelta
    max_attempts: int
    timeout: timedelta | None
    correlation_id: str | None
    trace_id: str | None
    status: str


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a drain did.

    Attributes:
        completed: attempts that completed.
        failed: attempts that failed or timed out.
        later: jobs of the application's queues that are due later, counted up to 1,000.
        errors: what the failed attempts raised: ``raise report.errors[0]`` shows where.
    """

    completed: int
    failed: int
    later: int
    errors: tuple[BaseException, ...] = field(default=(), compare=False)


class Jobs:
    """A database of jobs for a test: the fixture ``jobs``, or in a ``with`` statement.

    The test has the database for itself: at the end, all jobs are deleted.

    Args:
        url: of a database without jobs; in memory by default. Tables are created if it has none, and a file of SQLite
            if there is none.
        encryption: see :class:`Queue`, as the next one.
        codecs: for ``jobs.queue``: ``app.codecs``.

    Attributes:
        queue: the queue.

    Raises:
        UsageError: the database has something that no test wrote, or another test has used it for a minute.
    """

    def __init__(
        self,
        url: str | DatabaseUrl = IN_MEMORY,
        *,
        encryption: EncryptionKeys | None = None,
        codecs: CodecsOfQueues | None = None,
    ) -> None:
        self._ahead = timedelta()
        self._stream: Stream | None = None
        with ExitStack() as closing:
            if url == IN_MEMORY:
                files = Files(Path(closing.enter_context(TemporaryDirectory(prefix="hammerwork-"))))
                where = closing.enter_context(files.lend())
            else:
                where = url_of(url)
                closing.enter_context(lend(where))
            self.queue = Queue(replace(where, ahead=lambda: self._ahead), encryption=encryption, codecs=codecs)
            closing.callback(self.queue.close)
            self._closing = closing.pop_all()

    @property
    def now(self) -> datetime:
        """The present time of the database: the real one, and what :meth:`advance` has added."""
        return self._run(lambda database: database.now())

    def enqueued(self, queue: str | None = None, payload: Any = _ANY, **options: Unpack[JobFields]) -> list[Job]:
        """The jobs that wait to run, those that are due later included, in the order in which they were enqueued.

        Args:
            queue: only jobs of this queue.
            payload: only jobs with this payload. Of an object, those with these keys and values, at any depth.
            options: only jobs with these values: see :class:`JobFields`.

        Raises:
            UsageError: an argument has no such name, or cannot be compared.
        """
        wanted = _Wanted(queue, payload, options)
        waiting = [*self.queue.jobs(queue, status=WAITING)]
        return [job for job in reversed(waiting) if wanted.is_like(job)]

    def assert_enqueued(
        self, queue: str | None = None, payload: Any = _ANY, *, count: int | None = None, **options: Unpack[JobFields]
    ) -> Job:
        """Fails unless a job waits that is like this: see :meth:`enqueued`.

        Args:
            queue: its queue.
            payload: its payload, or a part of it.
            count: how many there must be; at least one by default.
            options: its other values: see :class:`JobFields`.

        Returns:
            The first of them.

        Raises:
            AssertionError: there is none, or another number; it lists what is enqueued.
        """
        __tracebackhide__ = True
        if count is not None:
            fields.whole_number(count, "count", 1, 2**31 - 1)
        found = self.enqueued(queue, payload, **options)
        if found and count in {None, len(found)}:
            return found[0]
        many = f"{plural(len(found), 'job')}, not {count:,}," if found else "No job"
        raise AssertionError(self._said(many, len(found), _Wanted(queue, payload, options)))

    def refute_enqueued(self, queue: str | None = None, payload: Any = _ANY, **options: Unpack[JobFields]) -> None:
        """Fails if a job waits that is like this: see :meth:`enqueued`.

        Raises:
            AssertionError: there is one.
        """
        __tracebackhide__ = True
        if found := self.enqueued(queue, payload, **options):
            raise AssertionError(self._said(plural(len(found), "job"), len(found), _Wanted(queue, payload, options)))

    def _said(self, many: str, number: int, wanted: "_Wanted") -> str:
        which = "are enqueued that are" if number > 1 else "is enqueued that is"
        return f"{many} {which} like this: {wanted}\n{self._listed()}"

    def _listed(self) -> str:
        jobs, now = self.enqueued(), self.now
        if not jobs:
            return "Nothing is enqueued."
        lines = [f"  {_line(job, now)}" for job in jobs[:MOST_LISTED]]
        more = [f"  and {len(jobs) - MOST_LISTED:,} more"] if len(jobs) > MOST_LISTED else []
        return "\n".join(["Enqueued:", *lines, *more])

    def drain(
        self,
        app: Handlers,
        *,
        queues: Sequence[str] = (),
        retry_at_once: bool = True,
        use: Mapping[Callable[..., Any], Any] | None = None,
        concurrency: int = 1,
        max_jobs: int = 10_000,
    ) -> DrainReport:
        """Runs a worker until no job is due, those included that other jobs, joins and callbacks enqueue.

        Callbacks fire, and workflows end, as soon as their jobs have ended. A job that is due later stays, and so does
        a snoozed one: see :meth:`advance`. Limits of the application do not apply.

        Args:
            app: has the handlers.
            queues: only jobs of these queues; by default those of all handlers.
            retry_at_once: makes the next attempts at once, without the pause before them.
            use: resource -> what ``context.use`` returns instead.
            concurrency: jobs that run at once.
            max_jobs: stops after this many attempts: jobs may enqueue each other without end.

        Raises:
            UsageError: an argument is not valid, or it ran ``max_jobs`` and others are due.
        """
        fields.an(app, Handlers, "drain takes the Handlers")
        worker = Worker(
            self.queue,
            app._without_limits(),
            queues=queues,
            concurrency=concurrency,
            max_jobs=max_jobs,
            drain=True,
            poll_interval=POLL_SECONDS,
        )
        ending, errors = _Endings(worker), list[BaseException]()
        worker._with_options(
            drain_seconds=DRAIN_SECONDS,
            when_drained=ending.follow,
            is_alone=True,
            retry_at_once=retry_at_once,
            on_failure=errors.append,
            fakes=use,
        )
        report = _beside(worker)
        if ending.error is not None:
            raise ending.error

        def left(database: Database) -> tuple[list[str], int]:
            now = database.now()
            due = claim.with_jobs(database, worker.queues, before=now, once=True)
            return due, claim.later(database, worker.queues, now, MOST_LATER)

        due, later = self._run(left)
        if due and report.completed + report.failed >= max_jobs:
            raise UsageError(
                f"The drain has run {plural(max_jobs, 'job')}, and others are due in: {visible(', '.join(due))}.",
                hint="Does a job enqueue itself again and again? If not, raise max_jobs.",
            )
        return DrainReport(report.completed, report.failed, later, tuple(errors))

    def advance(self, period: timedelta, app: Handlers | None = None, *, outage: bool = False) -> list[Job]:
        """Moves the time forward, and enqueues the jobs of schedules that are due meanwhile.

        Nothing sleeps, and the clock of the process stays: the connections of :attr:`queue`, of :meth:`drain` and of
        the handlers' ``context.queue`` add the period to the time of the database. So jobs that were enqueued for later
        become due. No job runs: a schedule with ``overlap="skip"`` skips a run while the job of the one before waits,
        so drain between two of its runs.

        Args:
            period: how far.
            app: has the schedules, which are written first; without it, only those of the database.
            outage: as if no worker had run meanwhile: each schedule catches up at the end as ``catch_up`` says.

        Returns:
            The jobs that schedules have enqueued, in their order.

        Raises:
            UsageError: the period is negative, or schedules would run more than 10,000 times.
        """
        fields.duration(period, "period")
        declared = (
            None
            if app is None
            else Declared(fields.an(app, Handlers, _SCHEDULED)._source, tuple(app._schedules.values()))
        )
        before = self._ahead

        def unit(database: Database) -> list[str]:
            database.check_current()
            self._ahead = before  # also when it is tried again
            began = database.now()
            if declared is not None and declared.schedules:
                steps = declaring.plan(database, declared, began)
                declaring.apply(database, steps, Author(declared.source), began)
            if outage:
                self._move(period)
                now = began + period
                return [job for schedule in _due(database, now) for job in _tick(database, schedule, now)]
            _check_number(database, began, began + period)
            jobs: list[str] = []
            for schedule in _due(database, began + period):
                jobs += _tick(database, schedule, max(began, schedule.due or began))
            self._move(period)
            return jobs

        return [self.queue.get(job) for job in self._run(unit)]

    def listen(self, *events: str) -> None:
        """Keeps the events of the database from now on, as for a stream: see :attr:`events`.

        Args:
            events: their types, such as ``"dead"`` or ``"tree.completed"``; by default all.

        Raises:
            UsageError: there is no such event.
        """
        wanted, before = event_types(events) or tuple(EventType), self._stream
        stream = Stream(new_id(), STREAM, Backend.COMMAND, {"command": ["true"]}, events=wanted)

        def unit(database: Database) -> None:
            if before is not None:
                streams.remove(database, before)
            streams.add(database, stream, by=STREAM, now=database.now())

        self._run(unit)
        self._stream = stream

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """The events since the last :meth:`listen`, as webhooks and streams get them, without payloads.

        Raises:
            UsageError: nobody has listened.
        """
        stream = self._stream
        if stream is None:
            raise UsageError("Nobody keeps events yet.", hint="Call jobs.listen() before what makes them.")
        return [one.record for one in self._run(lambda database: streams.unsent(database, stream, MOST_EVENTS))]

    def _move(self, period: timedelta) -> None:
        self._ahead += period
        self.queue._clock_set = -math.inf  # it asks for the time again

    def _run(self, unit: Callable[[Database], _Result]) -> _Result:
        return self.queue._connections.run(unit, patience=self.queue._patience)

    def close(self) -> None:
        """Deletes all jobs, and closes the connections."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_SCHEDULED = "advance takes the Handlers that declare schedules"


class _Endings:
    """What follows from the end of jobs: workflows end, and callbacks fire."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.error: Exception | None = None  # why that failed; a worker would try again and again

    def follow(self, database: Database) -> bool:
        """Whether there may be more jobs to run."""
        try:
            now = database.now()
            has_changed = False
            for _, done in endings.bring_up_to_date(database, lambda: now):
                if isinstance(done, Exception):
                    raise done
                has_changed = True
            return bool(callbacks.fire_ended(database, now)) or has_changed
        except Exception as error:  # noqa: BLE001  the test gets it
            self.error = error
            self._worker.stop()
            return False


def _beside(worker: Worker) -> WorkerReport:
    """Runs a worker in a thread, so that Ctrl-C and a time limit of the test end it at once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "hammerwork-drain") as pool:
        running = pool.submit(worker.run)
        try:
            return running.result()
        except BaseException:
            worker.stop(now=True)
            raise


def _check_number(database: Database, since: datetime, until: datetime) -> None:
    """Raises UsageError if schedules are due too often within a period."""
    runs = sum(schedule.count(since, until) for schedule in ticks.upcoming(database, until, MOST_RUNS))
    if runs > MOST_RUNS:
        raise UsageError(
            f"Schedules are due {runs:,} times within {duration(until - since)}; at most {MOST_RUNS:,} are enqueued.",
            hint="Advance by less, or with outage=True.",
        )


def _due(database: Database, until: datetime) -> Iterator[Schedule]:
    """Yields the schedule that is due first, until none is left: its tick moves it on."""
    while found := ticks.upcoming(database, until, 1):
        yield found[0]


def _tick(database: Database, schedule: Schedule, now: datetime) -> tuple[str, ...]:
    """Enqueues the jobs of a due schedule, and returns their ids."""
    done = ticks.tick(database, schedule, now)
    if done is None:
        raise UsageError(f"The schedule {schedule.name!r:.80} was changed meanwhile.")
    return done.jobs


class _Wanted:
    """What a job must be like."""

    def __init__(self, queue: str | None, payload: Any, others: JobFields) -> None:
        self._queue, self._others = queue, dict(others)
        # As a job would store it: a tuple is a list.
        self._payload = payload if payload is _ANY else json.loads(json_text(payload))
        if queue is not None:
            fields.queue(queue)
        if unknown := sorted(others.keys() - JobFields.__annotations__):
            known = ", ".join(JobFields.__annotations__)
            raise UsageError(f"Jobs cannot be compared by {unknown[0]!r:.60}, but by: queue, payload, {known}.")
        if "priority" in self._others:
            self._others["priority"] = fields.priority(self._others["priority"])
        if "delay" in self._others:
            fields.duration(self._others["delay"], "delay")

    def is_like(self, job: Job) -> bool:
        if self._payload is not _ANY and not _is_part(self._payload, job.payload):
            return False
        return all(_has(job, name, value) for name, value in self._others.items())

    def __str__(self) -> str:
        said = [] if self._queue is None else [visible(self._queue)]
        said += [] if self._payload is _ANY else [_text(self._payload)]
        said += [f"{name}={value!r:.60}" for name, value in self._others.items()]
        return " ".join(said) or "any"


def _is_part(wanted: Any, payload: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(payload, dict):
        return all(key in payload and _is_part(value, payload[key]) for key, value in wanted.items())
    return bool(wanted == payload)


def _has(job: Job, name: str, value: Any) -> bool:
    if name == "delay":
        due, made = job.scheduled_at, job.created_at
        return due is not None and made is not None and abs(due - made - value) <= _NEAR
    return bool(getattr(job, name) == value)


def _text(payload: Any) -> str:
    return shorten(visible(json.dumps(payload, ensure_ascii=False)), 200)


def _line(job: Job, now: datetime) -> str:
    due = job.scheduled_at
    later = f", due in {duration(due - now)}" if due is not None and due - now > _NEAR else ""
    return f"{visible(job.queue or '')} {_text(job.payload)} {visible(str(job.status))}{later}"
