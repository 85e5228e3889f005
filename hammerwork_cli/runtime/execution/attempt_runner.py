"""Makes attempts at jobs: calls their handlers, spawns their children, and decides their outcomes."""

import inspect
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from hammerwork_cli import app_path
from hammerwork_cli.core.codecs import CodecError, decoded, may_be_coded
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.database import Database
from hammerwork_cli.errors import DatabaseError, HammerworkError
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.job.queries import results
from hammerwork_cli.features.worker.queries import finish, requests, spawn
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt, FinishReport
from hammerwork_cli.features.worker.queries.spawn import LostClaimError, Operation, SpawnedBeforeError
from hammerwork_cli.runtime.api.around import Around, Done, Waiting, makes_coroutines, never_waits, surrounded
from hammerwork_cli.runtime.api.handlers import Handlers, JobHandler
from hammerwork_cli.runtime.api.job import Job, may_have_config
from hammerwork_cli.runtime.api.resources import OpenResources
from hammerwork_cli.runtime.api.spawn import (
    FoundHandler,
    SpawnContext,
    SpawnError,
    SpawnFailedError,
    SpawnRefusedError,
    SpawnResult,
    UnknownSpawnHandlerError,
    config_of,
)
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.execution.attempts import STILL_RUNNING, Attempt, StillRunning
from hammerwork_cli.runtime.execution.calls import in_own_context, log_start, own_config
from hammerwork_cli.runtime.execution.event_loop import EventLoop
from hammerwork_cli.runtime.execution.isolation import Elsewhere, Isolation
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.execution.parents import Parent, named_limits
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.faults import Progress
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.runtime.outcomes.children import Children, drain, drain_async, produced_by
from hammerwork_cli.runtime.outcomes.failures import JobError, OutOfTimeError, described, for_log, message_of, wanted_by
from hammerwork_cli.runtime.outcomes.results import result_text
from hammerwork_cli.view.text import plural

if TYPE_CHECKING:
    from hammerwork_cli.runtime.api.queue import Queue

Result = TypeVar("Result")
LOST = "The job was taken from this worker while it ran: it spawned nothing."
log = logging.getLogger("hammerwork")


class _UndoneError(Exception):
    """Rolls a transaction back."""


class AttemptRunner:
    """Makes attempts at jobs and spawn requests, each in the thread of its slot.

    The coroutines of all attempts share one event loop. No thread waits for a handler that is a coroutine function.
    Nothing here changes after construction.

    Args:
        resources: for handlers that run here.
        queue: what handlers get.
        connections: for what attempts write themselves.
        slots: where attempts go on, and end, after their coroutines.
        callbacks_due: called when somebody is to look at callbacks.
        spawned: called when there are new jobs.
    """

    def __init__(
        self,
        handlers: Handlers,
        isolation: Isolation,
        resources: OpenResources,
        queue: "Queue",
        connections: Connections,
        slots: Slots,
        clock: ServerClock,
        progress: Progress,
        outcome_policy: OutcomePolicy,
        *,
        callbacks_due: Callable[[], None],
        spawned: Callable[[], None],
    ) -> None:
        self._handlers, self._isolation, self._resources, self._queue = handlers, isolation, resources, queue
        self._connections, self._slots, self._clock = connections, slots, clock
        self._progress, self._outcome_policy = progress, outcome_policy
        self._callbacks_due, self._spawned = callbacks_due, spawned
        self._codecs = queue.url.codecs
        self._priorities = handlers._priorities
        self._arounds = tuple(handlers._arounds)
        self.loop = EventLoop()

    @property
    def coroutines(self) -> frozenset[str]:
        """The queues whose handlers are coroutine functions: :meth:`run` never waits for their jobs."""
        handlers = ((queue, self._handlers._job_handler(queue)) for queue in self._handlers.queues)
        return frozenset(
            queue for queue, handler in handlers if handler and never_waits(self._around(handler), handler.function)
        )

    def _around(self, handler: JobHandler) -> tuple[Around, ...]:
        return () if isinstance(handler.function, Elsewhere) else self._arounds

    def run(self, attempt: Attempt) -> EndedAttempt | StillRunning | None:
        """Runs a job or fulfils a request, or does the rest after a coroutine. Raises nothing.

        Returns:
            The outcome; ``None`` when that is written already; ``STILL_RUNNING`` while a coroutine runs: the slots hear
            of the attempt again when that ends.
        """
        try:
            ended = self._work_on(attempt)
            self._isolation.done(attempt)
        except BaseException as error:  # noqa: BLE001  a thread of the worker outlives every error
            return self._end_after(attempt, error)
        return ended

    def end(self, attempt: Attempt) -> str:
        """Ends the handler of an attempt whose outcome is decided, if it can; says in words what becomes of it."""
        if self._isolation.can_kill:
            self._isolation.kill(attempt.thread, attempt)
            return "Its process is killed."
        if attempt.awaits is not None:
            self.loop.cancel_of(attempt)
            handler = self._handlers._job_handler(attempt.job.queue_name)
            if handler is not None and isinstance(handler.function, Elsewhere):
                return "Its task is cancelled; if its executor runs that already, nobody waits for the end."
            return "Its coroutine is cancelled."
        attempt.holds_slot = True
        return "Its thread cannot be killed: it holds its slot until the handler returns."

    def _end_after(self, attempt: Attempt, error: BaseException) -> EndedAttempt | None:
        # The error came from the worker itself, or from a handler of its log.
        try:
            said = "An attempt at the job ended with an error in the worker itself."
            log.error(said, exc_info=error, extra=handled(attempt.job))
            return None if attempt.request else self._outcome_policy.failed_by(attempt.job, error)
        except BaseException:  # noqa: BLE001  whatever a handler of the log raises
            return None if attempt.request else EndedAttempt(attempt.job, AttemptEnd.FAILED, error=described(error))

    def _work_on(self, attempt: Attempt) -> EndedAttempt | StillRunning | None:
        if attempt.request is not None:
            self._fulfil(attempt, attempt.request)
            return None
        rest = attempt.take_rest()
        return self._run_job(attempt, attempt.job) if rest is None else rest()

    def _run_job(self, attempt: Attempt, claimed: Claimed) -> EndedAttempt | StillRunning | None:
        try:
            self._isolation.ready(attempt)
            attempt.began = time.monotonic()
            if not isinstance(claimed.payload, str) or may_be_coded(claimed.payload):
                claimed = attempt.job = self._readable(claimed)
            job = Job._of(claimed)
            handler = self._handlers._job_handler(claimed.queue_name)
            # It has a payload of its own: the handler may change that of its job.
            config = config_of(Job._of(claimed)) if may_have_config(claimed.payload) else None
            spawner = self._handlers._spawn_handler(job, config)
            config = config or self._handlers._default_config(claimed.queue_name)
            if handler is None and spawner is None:
                raise JobError(self._unhandled(claimed.queue_name))
            attempt.deadline = _deadline(attempt, handler)
            log_start(claimed)
            called = in_own_context(claimed, self._call, attempt, job, handler, config, spawner) if handler else None
        except BaseException as error:  # noqa: BLE001  whatever a handler raises fails its attempt
            return self._failed(attempt, claimed, error)
        return called if isinstance(called, StillRunning) else self._returned(attempt, claimed, called, spawner, config)

    def _readable(self, claimed: Claimed) -> Claimed:
        with app_path.without():
            from hammerwork_cli.runtime.api.decryption import readable
        return readable(claimed, self._queue.url)

    def _failed(self, attempt: Attempt, claimed: Claimed, error: BaseException) -> EndedAttempt | None:
        return None if attempt.over else self._outcome_policy.failed_by(claimed, error)

    def _returned(
        self,
        attempt: Attempt,
        claimed: Claimed,
        result: str | None,
        spawner: FoundHandler | None,
        config: SpawnConfig | None,
    ) -> EndedAttempt | None:
        stored = result
        if self._codecs is not None and result is not None:
            try:
                stored = self._codecs.encoded(result, claimed.queue_name)
            except CodecError as error:
                return self._failed(attempt, claimed, error)
        completed = self._outcome_policy.completed(claimed, stored)
        if spawner is None:
            return completed
        return self._spawn(attempt, completed, spawner, config or SpawnConfig(), result)

    def _unhandled(self, queue: str) -> str:
        known = ", ".join(self._handlers.queues) or "none"
        return f"This worker has no handler for the queue {queue!r:.100}. It has handlers for: {known:.1000}."

    def _call(
        self,
        attempt: Attempt,
        job: Job,
        handler: JobHandler,
        config: SpawnConfig | None,
        spawner: FoundHandler | None,
    ) -> str | StillRunning | None:
        """Calls a job's handler; returns its result, unless a coroutine goes on."""
        arguments: tuple[Any, ...] = (job,)
        arounds = self._arounds and self._around(handler)
        if handler.takes_context or arounds:
            context = self._context(attempt, job, config or SpawnConfig())
            arguments = (job, context) if handler.takes_context else arguments
        if arounds:
            returned = self._surrounded(attempt, handler, arguments, context)
        else:
            if handler.reader is not None:
                handler.reader.read(job)
            returned = handler.function(*arguments)
        if returned is not None and inspect.isawaitable(returned):
            return self._go_on(attempt, attempt.job, returned, config, spawner)
        return result_text(returned, most=attempt.job.result_max_size_bytes)

    def _surrounded(
        self, attempt: Attempt, handler: JobHandler, arguments: tuple[Any, ...], context: SpawnContext
    ) -> Any:
        runner = _InLoop(self.loop, attempt, is_coroutine=makes_coroutines(handler.function))
        return surrounded(self._arounds, handler, arguments, context, runner)

    def _go_on(
        self,
        attempt: Attempt,
        claimed: Claimed,
        awaitable: Awaitable[Any],
        config: SpawnConfig | None,
        spawner: FoundHandler | None,
    ) -> StillRunning:
        def done(result: str | None, error: BaseException | None) -> None:
            # The loop's thread or that of deadlines calls this. They run no code of handlers and ask no database.
            if attempt.over:
                self._slots.end(attempt, None)
            elif error is None and spawner is None and not claimed.recurring and self._codecs is None:
                self._slots.end(attempt, EndedAttempt(claimed, AttemptEnd.COMPLETED, result))
            elif error is None:
                attempt.rest = lambda: self._returned(attempt, claimed, result, spawner, config)
                self._slots.resume(attempt, blocks=spawner is not None)
            else:
                attempt.rest = lambda: self._failed(attempt, claimed, error)
                self._slots.resume(attempt, blocks=self._outcome_policy.asks_handler(claimed))

        attempt.awaits = _encoded(awaitable, claimed.result_max_size_bytes)
        self.loop.start(attempt.awaits, attempt.deadline, done, attempt, awaitable)
        return STILL_RUNNING

    def _result_of(self, value: Any, attempt: Attempt | None = None) -> Any:
        """Returns the result of an awaitable, which ends with its attempt, or any other value as it is."""
        deadline = attempt.deadline if attempt else None
        return self.loop.result(value, deadline, attempt) if value is not None and inspect.isawaitable(value) else value

    # Spawning.

    def _context(self, attempt: Attempt, job: Job, config: SpawnConfig, result: str | None = None) -> SpawnContext:
        parent = self._parent(attempt, config)
        return SpawnContext(
            *(job, own_config(config), self._queue, parent.spawn, result),
            self._time_of(attempt.deadline),
            lambda: parent.place,
            lambda: attempt.over,
            self._resources,
            attempt.hand_down,
            lambda share, text: attempt.report(share, text, self._clock.now()),
            lambda: parent.room,
        )

    def _time_of(self, deadline: float | None) -> datetime | None:
        """A deadline by the server's clock; ``None`` for one that no time can hold."""
        if deadline is not None:
            with suppress(OverflowError):
                return self._clock.now() + timedelta(seconds=deadline - time.monotonic())
        return None

    def _parent(self, attempt: Attempt, config: SpawnConfig) -> Parent:
        return Parent(self._connections, self._clock, attempt, config, self._priorities)

    def _spawn(
        self,
        attempt: Attempt,
        completed: EndedAttempt,
        found: FoundHandler,
        config: SpawnConfig,
        result: str | None,
    ) -> EndedAttempt | None:
        claimed, began = completed.job, self._clock.now()
        if claimed.has_spawned:
            return self._spawned_before(completed)
        try:
            operation, children = self._produce(attempt, found, config, result, began)
        except BaseException as error:  # noqa: BLE001  whatever a handler raises fails its attempt
            return self._not_spawned(attempt, completed, found, config, error, began)
        with children:
            while attempt.decide():
                try:
                    self._commit(attempt, completed, operation, children)
                except SpawnedBeforeError:
                    return self._spawned_before(completed)
                except HammerworkError as error:
                    ended = self._not_spawned(attempt, completed, found, config, error, began)
                    is_unknown = type(error) is DatabaseError and not self._connections.stopped_at_once.is_set()
                    if ended is None or not is_unknown or self._accepts(ended):
                        return ended
                else:
                    self._announce(found, operation, claimed, children)
                    return None
        return None

    def _accepts(self, ended: EndedAttempt) -> bool:
        """Whether the database accepts an outcome, which it writes and undoes."""

        def unit(database: Database) -> None:
            finish.finish(database, [ended], max(self._clock.now(), ended.job.claim.started_at))
            raise _UndoneError

        def undone(database: Database) -> None:
            database.transaction(lambda: unit(database))

        try:
            self._connections.run(undone, patience=0)
        except _UndoneError:
            return True
        except DatabaseError:
            return False
        return True

    @staticmethod
    def _spawned_before(completed: EndedAttempt) -> EndedAttempt:
        job = completed.job
        log.info("The job has spawned before, and does not spawn again.", extra=handled(job))
        return completed

    def _produce(
        self, attempt: Attempt, found: FoundHandler, config: SpawnConfig, result: str | None, began: datetime
    ) -> tuple[Operation, Children]:
        """Calls the spawn handler. Each step may change the job and the configuration that it gets."""
        parent = self._parent(attempt, config)
        in_own_context(attempt.job, self._validate, attempt, found, config)
        context = self._context(attempt, Job._of(attempt.job), config, result)
        children = in_own_context(attempt.job, self._drained, attempt, found, context, began, parent)
        return Operation(new_id(), parent.spawner, found.name, config, began, len(children)), children

    def _drained(
        self, attempt: Attempt, found: FoundHandler, context: SpawnContext, began: datetime, parent: Parent
    ) -> Children:
        root = parent.place.root
        produced = produced_by(found.handler, context)
        job, config, also = Job._of(attempt.job), context.config, (self._priorities, parent.check_depth)
        if inspect.isawaitable(produced) or isinstance(produced, AsyncIterable):
            attempt.awaits = produced
            children: Children = self.loop.result(
                drain_async(job, config, produced, began, root, *also), attempt.deadline, attempt, produced
            )
            attempt.awaits = None
            return children
        return drain(job, config, produced, began, root, *also)

    def _validate(self, attempt: Attempt, found: FoundHandler, config: SpawnConfig) -> None:
        try:
            self._result_of(found.handler.validate_spawn(Job._of(attempt.job), own_config(config)), attempt)
        except (SpawnError, OutOfTimeError):
            raise
        except BaseException as error:
            raise SpawnRefusedError(f"validate_spawn of {found.name} refused: {message_of(error)}") from error

    def _commit(self, attempt: Attempt, completed: EndedAttempt, operation: Operation, children: Children) -> None:
        completed.took = time.monotonic() - attempt.began

        def unit(database: Database) -> FinishReport:
            return spawn.complete(
                database,
                completed,
                operation,
                children.batches,
                external=children.external,
                are_unique=children.are_unique,
                now=max(self._clock.now(), attempt.job.claim.started_at),
            )

        with named_limits():
            report = self._connections.run(unit, told=attempt.refuse)
        attempt.refuse(None)
        completed.took = time.monotonic() - attempt.began
        self._progress.count([] if report.lost else [completed])
        if report.lost:
            raise LostClaimError(f"Job {attempt.job.id} belongs to another worker now: it spawned nothing.")
        if report.callbacks:
            self._callbacks_due()
        children.drop(report.held)

    def _not_spawned(
        self,
        attempt: Attempt,
        completed: EndedAttempt,
        found: FoundHandler,
        config: SpawnConfig,
        error: BaseException,
        began: datetime,
    ) -> EndedAttempt | None:
        if isinstance(error, LostClaimError):
            log.warning(LOST, extra=handled(completed.job))
            return None
        if attempt.over:
            return None
        self._mention_kept(attempt, config, error)
        text = described(error)
        final = (
            isinstance(error, OutOfTimeError)
            or wanted_by(error) is not None
            or self._outcome_policy.is_of_the_stop(error)
        )
        if final or config.on_error != "complete" or not attempt.decide():
            return self._outcome_policy.failed_by(completed.job, error)
        said, first = "The job completes although it could not spawn: %s", text.partition("\n")[0]
        log.warning(said, first, exc_info=for_log(error), extra=handled(completed.job))
        operation = Operation(new_id(), self._parent(attempt, config).spawner, found.name, config, began, 0, error=text)
        try:
            self._commit(attempt, completed, operation, Children(completed.job.id))
        except LostClaimError:
            log.warning(LOST, extra=handled(completed.job))
        except HammerworkError as another:  # the database may refuse the result of the job
            return self._outcome_policy.failed_by(completed.job, another)
        return None

    def _mention_kept(self, attempt: Attempt, config: SpawnConfig, error: BaseException) -> None:
        if isinstance(error, SpawnError):
            error._with_kept(self._parent(attempt, config).kept(), early=False)

    def _announce(self, found: FoundHandler, operation: Operation, claimed: Claimed, children: Children) -> None:
        self._spawned()
        spawned = plural(len(children), "job")
        log.info("The job spawned %s by %s.", spawned, found.name, extra=handled(claimed))
        name = operation.config.operation_id or operation.id
        result = SpawnResult(claimed.id, name, found.name, len(children), tuple(children.first_ids), self._clock.now())
        try:
            in_own_context(claimed, lambda: self._result_of(found.handler.on_spawn_complete(result)))
        except BaseException as error:
            log.exception(
                "on_spawn_complete of %s failed; the children of the job stay.", found.name, extra=handled(claimed)
            )
            text = described(error)
            self._record(lambda database: spawn.hook_failed(database, operation.id, text))

    def _record(self, unit: Callable[[Database], None]) -> None:
        """Writes a failure for operators. Nothing depends on it."""
        try:
            self._connections.run(unit)
        except HammerworkError as error:
            log.error("A failure could not be recorded: %s", error.message)

    def _fulfil(self, attempt: Attempt, request: SpawnRequest) -> None:
        claimed, began = attempt.job, self._clock.now()
        try:
            self._isolation.ready(attempt)
            if not isinstance(claimed.payload, str) or may_be_coded(claimed.payload):
                claimed = attempt.job = self._readable(claimed)
            job = Job._of(claimed)
            config = SpawnConfig._parse(request.config) if request.config else config_of(job)
            config = config or self._handlers._default_config(claimed.queue_name) or SpawnConfig()
            named = replace(config, handler=request.handler or config.handler)
            found = self._handlers._spawn_handler(job, named)
            if found is None:
                raise UnknownSpawnHandlerError(claimed.queue_name, self._handlers.handler_names)
            stored = self._connections.run(lambda database: results.texts(database, [claimed.id]).get(claimed.id))
            result = None if stored is None else decoded(stored, self._codecs)
            operation, children = self._produce(attempt, found, named, result, began)
            with children:
                self._commit_request(attempt, request, operation, children)
                self._announce(found, operation, claimed, children)
        except BaseException as error:
            if self._outcome_policy.is_of_the_stop(error) or (
                self._isolation.can_kill and self._connections.stopped_at_once.is_set()
            ):
                return  # its process was killed with the worker: another worker claims the request
            self._mention_kept(attempt, SpawnConfig(), error)
            text, now = described(error), self._clock.now()
            said, first = "The spawn request for the job failed: %s", text.partition("\n")[0]
            log.warning(said, first, exc_info=for_log(error), extra=handled(claimed))
            self._record(lambda database: requests.refuse(database, request, claimed, text, now))

    def _commit_request(
        self, attempt: Attempt, request: SpawnRequest, operation: Operation, children: Children
    ) -> None:
        def unit(database: Database) -> FinishReport:
            return requests.fulfil(
                database,
                request,
                attempt.job,
                operation,
                children.batches,
                external=children.external,
                are_unique=children.are_unique,
                now=self._clock.now(),
            )

        with named_limits():
            report = self._connections.run(unit, told=attempt.refuse)
        if report.lost:
            raise SpawnFailedError("Another worker has the request now, or the job was deleted.")
        children.drop(report.held)


class _InLoop(Waiting):
    """Lets the thread of a slot wait for what is around a handler, or for the handler itself.

    Args:
        is_coroutine: whether the handler is one: what holds the attempt up can then be cancelled.
    """

    def __init__(self, loop: EventLoop, attempt: Attempt, *, is_coroutine: bool) -> None:
        def start(awaitable: Any, done: Done) -> None:
            loop.start(awaitable, attempt.deadline, done, attempt)

        super().__init__(start)
        self._attempt, self._is_coroutine = attempt, is_coroutine

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        before = self._attempt.awaits
        if self._is_coroutine:
            self._attempt.awaits = awaitable
        try:
            return super().wait(awaitable)
        finally:
            self._attempt.awaits = before


async def _encoded(awaitable: Awaitable[Any], most: int | None) -> str | None:
    return result_text(await awaitable, most=most)


def _deadline(attempt: Attempt, handler: JobHandler | None) -> float | None:
    """When an attempt, its spawning included, has taken too long; ``None`` without a limit."""
    timeout: float | None = attempt.job.timeout_seconds
    if timeout is None or timeout <= 0:  # another program may have written a negative one
        timeout = handler.timeout.total_seconds() if handler and handler.timeout else None
    return attempt.began + timeout if timeout else None
