"""Makes attempts at jobs: calls their handlers, and goes on after those that are coroutines."""

import inspect
import logging
import time
from collections.abc import Awaitable
from typing import Any

from hammerwork_cli.core.codecs import CodecError, may_be_coded
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.api.around import Around, Done, Waiting, makes_coroutines, never_waits, surrounded
from hammerwork_cli.runtime.api.handlers import Handlers, JobHandler
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.spawn import FoundHandler, SpawnContext, config_of
from hammerwork_cli.runtime.execution.attempts import STILL_RUNNING, Attempt, StillRunning
from hammerwork_cli.runtime.execution.calls import in_own_context, log_start, readable
from hammerwork_cli.runtime.execution.child_spawner import ChildSpawner
from hammerwork_cli.runtime.execution.event_loop import EventLoop
from hammerwork_cli.runtime.execution.isolation import Elsewhere, Isolation
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.runtime.outcomes.failures import JobError, described
from hammerwork_cli.runtime.outcomes.results import result_text

log = logging.getLogger("hammerwork")


class AttemptRunner:
    """Makes attempts at jobs, each in the thread of its slot.

    The coroutines of all attempts share one event loop. No thread waits for a handler that is a coroutine function.
    Nothing here changes after construction.

    Args:
        slots: where attempts go on, and end, after their coroutines.
        url: has the keys and codecs of payloads and results.
        child_spawner: makes the contexts of handlers, spawns the children of jobs, and fulfils spawn requests.
    """

    def __init__(
        self,
        handlers: Handlers,
        isolation: Isolation,
        slots: Slots,
        loop: EventLoop,
        url: DatabaseUrl,
        outcome_policy: OutcomePolicy,
        child_spawner: ChildSpawner,
    ) -> None:
        self._handlers, self._isolation, self._slots, self.loop = handlers, isolation, slots, loop
        self._url, self._codecs = url, url.codecs
        self._outcome_policy, self._child_spawner = outcome_policy, child_spawner
        self._arounds = tuple(handlers._arounds)

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
        ended: EndedAttempt | StillRunning | None = None
        try:
            if attempt.request is not None:
                self._child_spawner.fulfil(attempt, attempt.request)
            elif attempt.rest is None:
                ended = self._run_job(attempt, attempt.job)
            else:
                ended = attempt.take_rest()()
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

    def _run_job(self, attempt: Attempt, claimed: Claimed) -> EndedAttempt | StillRunning | None:
        try:
            self._isolation.ready(attempt)
            attempt.began = time.monotonic()
            if not isinstance(claimed.payload, str) or may_be_coded(claimed.payload):
                claimed = attempt.job = readable(claimed, self._url)
            job = Job._of(claimed)
            handler = self._handlers._job_handler(claimed.queue_name)
            config = config_of(job)
            found = self._handlers._spawn_handler(job, config)
            config = config or self._handlers._default_config(claimed.queue_name)
            if handler is None and found is None:
                raise JobError(self._unhandled(claimed.queue_name))
            attempt.deadline = _deadline(attempt, handler)
            log_start(claimed)
            called = in_own_context(claimed, self._call, attempt, job, handler, config, found) if handler else None
        except BaseException as error:  # noqa: BLE001  whatever a handler raises fails its attempt
            return self._failed(attempt, claimed, error)
        return called if isinstance(called, StillRunning) else self._returned(attempt, claimed, called, found, config)

    def _failed(self, attempt: Attempt, claimed: Claimed, error: BaseException) -> EndedAttempt | None:
        return None if attempt.over else self._outcome_policy.failed_by(claimed, error)

    def _returned(
        self,
        attempt: Attempt,
        claimed: Claimed,
        result: str | None,
        found: FoundHandler | None,
        config: SpawnConfig | None,
    ) -> EndedAttempt | None:
        stored = result
        if self._codecs is not None and result is not None:
            try:
                stored = self._codecs.encoded(result, claimed.queue_name)
            except CodecError as error:
                return self._failed(attempt, claimed, error)
        completed = self._outcome_policy.completed(claimed, stored)
        if found is None:
            return completed
        return self._child_spawner.spawn(attempt, completed, found, config or SpawnConfig(), result)

    def _unhandled(self, queue: str) -> str:
        known = ", ".join(self._handlers.queues) or "none"
        return f"This worker has no handler for the queue {queue!r:.100}. It has handlers for: {known:.1000}."

    def _call(
        self,
        attempt: Attempt,
        job: Job,
        handler: JobHandler,
        config: SpawnConfig | None,
        found: FoundHandler | None,
    ) -> str | StillRunning | None:
        """Calls a job's handler; returns its result, unless a coroutine goes on."""
        arguments: tuple[Any, ...] = (job,)
        arounds = self._arounds and self._around(handler)
        if handler.takes_context or arounds:
            context = self._child_spawner.context(attempt, job, config or SpawnConfig())
            arguments = (job, context) if handler.takes_context else arguments
        if arounds:
            returned = self._surrounded(attempt, handler, arguments, context)
        else:
            if handler.reader is not None:
                handler.reader.read(job)
            returned = handler.function(*arguments)
        if returned is not None and inspect.isawaitable(returned):
            return self._go_on(attempt, attempt.job, returned, config, found)
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
        found: FoundHandler | None,
    ) -> StillRunning:
        def done(result: str | None, error: BaseException | None) -> None:
            # The loop's thread or that of deadlines calls this. They run no code of handlers and ask no database.
            if attempt.over:
                self._slots.end(attempt, None)
            elif error is None and found is None and not claimed.recurring and self._codecs is None:
                self._slots.end(attempt, EndedAttempt(claimed, AttemptEnd.COMPLETED, result))
            elif error is None:
                attempt.rest = lambda: self._returned(attempt, claimed, result, found, config)
                self._slots.resume(attempt, blocks=found is not None)
            else:
                attempt.rest = lambda: self._failed(attempt, claimed, error)
                self._slots.resume(attempt, blocks=self._outcome_policy.asks_handler(claimed))

        attempt.awaits = _encoded(awaitable, claimed.result_max_size_bytes)
        self.loop.start(attempt.awaits, attempt.deadline, done, attempt, awaitable)
        return STILL_RUNNING


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
