"""Handlers on executors that an application names: pools of processes, and clusters such as Dask's."""

import logging
import os
import signal
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from concurrent.futures import Executor as FutureExecutor
from contextlib import suppress
from typing import Any, ClassVar

from hammerwork_cli import app_path
from hammerwork_cli.core.input.near import did_you_mean
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import ConfigError, UsageError
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.resources import CLOSE_SECONDS
from hammerwork_cli.runtime.api.spawn import SpawnContext
from hammerwork_cli.runtime.execution.isolation import Elsewhere, InThreads, Source
from hammerwork_cli.runtime.execution.node import Task, TaskAnswer, run
from hammerwork_cli.runtime.isolation.parent import record_of
from hammerwork_cli.runtime.isolation.process import job_error, start_of
from hammerwork_cli.runtime.isolation.protocol import Start
from hammerwork_cli.runtime.outcomes.failures import JobError, first_line
from hammerwork_cli.runtime.outcomes.results import StoredResult

log = logging.getLogger("hammerwork")


class Engine:
    """An executor. If the application has given a function that makes it, another one takes its place when it breaks.

    The thread that submits and the main thread use it.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        # Submitting a task may take long: it starts processes, or talks to a scheduler. An event loop must not wait.
        self._submitting = ThreadPoolExecutor(1, "hammerwork-submit")
        # This lock guards the two below.
        self._lock = threading.Lock()
        self._executor: FutureExecutor | None = None
        self._tasks: set[Future[TaskAnswer]] = set()

    @property
    def _is_made(self) -> bool:
        """Whether this object makes its executors, and so ends them."""
        return not isinstance(self._source, FutureExecutor)

    def begin(self) -> None:
        """Makes the executor.

        Raises:
            ConfigError: the function fails.
            UsageError: it returns something else.
        """
        self._current()

    def _current(self) -> FutureExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = self._made()
            return self._executor

    def _made(self) -> FutureExecutor:
        if isinstance(self._source, FutureExecutor):
            return self._source
        try:
            made: Any = self._source()
        except Exception as error:
            raise ConfigError(f"The executor cannot be made: {first_line(error)}") from error
        if not isinstance(made, FutureExecutor):
            raise UsageError(
                f"An executor must be a concurrent.futures.Executor, not {type(made).__name__}.",
                hint="A client of Dask has one: client.get_executor().",
            )
        return made

    async def run(self, task: Task) -> TaskAnswer:
        """Runs a task, and returns its answer. If this coroutine is cancelled, so is the task, unless it runs already.

        Raises:
            JobError: the executor did not run it to its end.
        """
        with app_path.without():
            import asyncio
        submitting = self._submitting.submit(self._submit, task)
        try:
            executor, future = await asyncio.wrap_future(submitting)
        except asyncio.CancelledError:
            submitting.add_done_callback(_cancel_submitted)
            raise
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise
            raise JobError("The executor cancelled the job.") from None
        except Exception as error:  # noqa: BLE001  whatever the executor, or a node of it, raises
            if isinstance(error, BrokenExecutor):
                self._discard(executor)
            raise JobError(f"The executor lost the job: {first_line(error)}") from None

    def _submit(self, task: Task) -> "Submitted":
        executor = self._current()
        try:
            future = executor.submit(run, task)
        except Exception as error:  # noqa: BLE001  see above
            if not self._is_made:
                said = "The executor takes no job, and the worker was not given a function that makes another one"
                raise JobError(f"{said}: {first_line(error)}") from None
            self._discard(executor)
            executor = self._current()
            try:
                future = executor.submit(run, task)
            except Exception as again:  # noqa: BLE001  see above
                raise JobError(f"The executor takes no job: {first_line(again)}") from None
        with self._lock:
            self._tasks.add(future)
        future.add_done_callback(self._forget)
        return executor, future

    def _forget(self, future: "Future[TaskAnswer]") -> None:
        with self._lock:
            self._tasks.discard(future)

    def _discard(self, executor: FutureExecutor) -> None:
        """Lets another executor be made, unless that has happened."""
        if not self._is_made:
            return
        with self._lock:
            if self._executor is executor:
                self._executor = None
        with suppress(Exception):
            executor.shutdown(wait=False)

    def end(self) -> None:
        """Ends the executor, if it was made here, and the tasks for which nobody waits any longer."""
        self._submitting.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            executor, is_busy = self._executor, bool(self._tasks)
        if executor is None or not self._is_made:
            return
        # The pools of Python and loky would wait for such a task before they end.
        processes = [*(getattr(executor, "_processes", None) or ())]
        if is_busy:
            _kill(processes)
        ending = threading.Thread(target=_shut_down, args=(executor, bool(processes) or not is_busy), daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)
        if ending.is_alive():
            log.error("An executor did not end within %g s.", CLOSE_SECONDS)
            _kill(processes)


def _shut_down(executor: FutureExecutor, wait: bool) -> None:
    try:
        executor.shutdown(wait=wait)
    except Exception as error:  # noqa: BLE001  whatever it raises
        log.warning("An executor could not be shut down: %s", first_line(error))


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)


Submitted = tuple[FutureExecutor, "Future[TaskAnswer]"]


def _cancel_submitted(submitting: "Future[Submitted]") -> None:
    """Cancels a task that was submitted after its attempt had ended."""
    if not submitting.cancelled() and submitting.exception() is None:
        submitting.result()[1].cancel()


class OnExecutors(InThreads):
    """Runs the handlers of some queues on executors, and those of the others in the slots' threads.

    Args:
        start: what each task needs to find the handlers.
        sources: queue -> its executor, or a function that makes it; one for all queues.
    """

    has_nodes: ClassVar[bool] = True

    def __init__(self, start: Start, sources: Source | Mapping[str, Source]) -> None:
        self._start, self._sources = start, sources
        self._engines: dict[int, Engine] = {}  # by id of their source: queues may share one

    def handlers(self, real: Handlers) -> Handlers:
        """Returns handlers, some of which run on an executor.

        Raises:
            UsageError: a queue has no handler, or a function makes no executor.
            ConfigError: a function that makes an executor fails.
        """
        sources = self._sources
        if not isinstance(sources, Mapping):
            sources = dict.fromkeys(real.queues, sources)
        for queue in sources:
            if queue not in real.queues:
                hint = did_you_mean(queue, real.queues) or f"There are handlers for: {', '.join(real.queues)}."
                raise UsageError(f"There is an executor for the queue {queue!r:.100}, which has no handler.", hint=hint)
        for source in sources.values():
            self._engines.setdefault(id(source), Engine(source))
        for engine in self._engines.values():
            engine.begin()
        return real._with_functions(
            {queue: _OnEngine(self._engines[id(source)], self._start) for queue, source in sources.items()}
        )

    def finish(self) -> None:
        for engine in self._engines.values():
            engine.end()


class _OnEngine(Elsewhere):
    """The handler of a queue, on an executor."""

    def __init__(self, engine: Engine, start: Start) -> None:
        self._engine, self._start = engine, start

    async def __call__(self, job: Job, context: SpawnContext) -> StoredResult | None:  # noqa: ARG002  the context has it
        reply, trace = await self._engine.run(Task.of(self._start, record_of(context)))
        if trace is not None and context._handed_down is not None:
            context._handed_down(trace)
        if reply.kind == "error":
            raise job_error(reply.value)
        return None if reply.value is None else StoredResult(reply.value)


def on_executors(target: str, url: DatabaseUrl, sources: Source | Mapping[str, Source]) -> OnExecutors:
    """Makes the executors for handlers of this name."""
    start = start_of(target, url.raw, None)
    return OnExecutors(start._replace(keys=url.keys, refuse_plaintext=url.refuse_plaintext), sources)
