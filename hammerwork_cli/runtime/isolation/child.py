"""The process of ``--isolation process``: it runs the handlers that its worker asks for."""

import inspect
import os
import socket
import threading
from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import suppress
from contextvars import Context, copy_context
from copy import copy
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from hammerwork_cli import app_path
from hammerwork_cli.core.codecs import Codecs
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.runtime.api.around import HandedOver, surrounded
from hammerwork_cli.runtime.api.encoding import JSON_TYPES, as_json
from hammerwork_cli.runtime.api.handlers import Handlers, JobHandler
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.resources import OpenResources
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.api.spawn import SpawnContext, SpawnError, SpawnFailedError, SpawnResult
from hammerwork_cli.runtime.host import logs, secrets, streams
from hammerwork_cli.runtime.host.loading import reload_handlers
from hammerwork_cli.runtime.isolation.leftovers import Leftovers
from hammerwork_cli.runtime.isolation.pipe import Pipe
from hammerwork_cli.runtime.isolation.protocol import BATCH, ContextRecord, Failure, Reply
from hammerwork_cli.runtime.isolation.state import ProcessState
from hammerwork_cli.runtime.outcomes.backoff import own_strategy, pause
from hammerwork_cli.runtime.outcomes.children import iterable
from hammerwork_cli.runtime.outcomes.failures import is_retryable, message_of, raised_by_handler, told, wanted_by
from hammerwork_cli.runtime.outcomes.results import UNLIMITED, result_text

if TYPE_CHECKING:
    from hammerwork_cli.runtime.api.queue import Queue

LAST_SECONDS = 1.0
"""For tasks that nobody awaits, at the end of the process."""
URL_VARIABLE = "HAMMERWORK_DATABASE_URL"


def main(descriptor: int) -> None:
    """Serves its worker until the pipe is closed."""
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)
    # Otherwise a process that a handler forks would keep the pipe open.
    os.register_at_fork(after_in_child=end.close)
    with suppress(EOFError, BrokenPipeError):  # the worker may die at any moment
        _begin(Pipe(end))


def _begin(pipe: Pipe) -> None:
    number, start = pipe.receive()
    url = replace(DatabaseUrl.parse(start.url), keys=start.keys, refuse_plaintext=start.refuse_plaintext)
    secrets.keep(url)
    streams.tolerate(logs.dropped_note(as_json=start.log is not None and start.log[1]))
    if start.log is not None:
        logs.configure(start.log[0], as_json=start.log[1])
    try:
        # Handlers do not see the context variables that modules set while they are imported, as in threads.
        handlers = copy_context().run(reload_handlers, start.target, start.folders)
        url = replace(url, codecs=Codecs(handlers.codecs))
        resources = handlers._open_resources()
        resources.begin()
    except BaseException as error:  # noqa: BLE001  the worker gets it
        pipe.send(number, Reply("error", failure(error)))
        return
    # Modules may have read it while they were imported. Handlers have context.queue; their programs get no URL.
    os.environ.pop(URL_VARIABLE, None)
    pipe.send(number, Reply("ready", os.getpid()))
    server = _JobServer(pipe, handlers, url, resources)
    server.run()
    resources.close()
    server.close_loop()
    # Python ends the process as any other: with its atexit functions.


def failure(error: BaseException, refusal: BaseException | None = None) -> Failure:
    """An error as it is sent.

    Args:
        refusal: the last error that the worker answered to ``context.spawn``.
    """
    first, trace = told(error)
    wanted = wanted_by(error)
    if not isinstance(error, HammerworkError):
        return Failure(first, message_of(error), trace, wanted=wanted)
    is_spawn = isinstance(error, SpawnError)
    return Failure(first, error.message, trace, is_spawn, error is refusal, is_retryable(error), wanted)


def judged(failed: Failure, error: BaseException, handler: JobHandler | None, job: Claimed) -> Failure:
    """What follows an error as the handler of the job says: only this process has the error itself."""
    raised = raised_by_handler(error)
    if handler is None or raised is None:
        return failed
    if handler.gives_up(raised):
        return failed._replace(retryable=False)
    if handler.retry is None or isinstance(handler.retry, RetryStrategy) or job.last_attempt or own_strategy(job):
        return failed
    return failed._replace(pause=pause(handler.retry, job, job.attempts, raised))


class _JobServer:
    """Serves one request after the other. A handler's threads may ask the worker, too."""

    def __init__(self, pipe: Pipe, handlers: Handlers, url: DatabaseUrl, resources: OpenResources) -> None:
        self._pipe, self._handlers, self._url, self._resources = pipe, handlers, url, resources
        # The main thread writes these two, under the lock; a handler's threads read the number and write the refusal.
        self._asking = threading.Lock()
        self._number = 0
        self._refusal: HammerworkError | None = None
        # The main thread alone uses the rest.
        self._state, self._leftovers = ProcessState(), Leftovers(resources)
        self._loop: Any = None
        self._handed: list[HandedOver] = []
        self._queue: Queue | None = None
        self._verbs: dict[str, Callable[..., Any]] = {
            "job": self._job,
            "validate": self._validate,
            "spawn": self._spawn,
            "complete": self._complete,
        }

    def run(self) -> None:
        """Serves until the worker closes the pipe."""
        while True:
            try:
                number, (verb, arguments) = self._pipe.receive()
            except (EOFError, OSError):
                return
            with self._asking:
                self._number = number
            try:
                # Context variables last as long as the request.
                answer = Reply("value", copy_context().run(self._verbs[verb], *arguments))
            except BaseException as error:  # noqa: BLE001  the worker gets whatever a handler raises
                failed = failure(error, self._refusal)
                if isinstance(record := arguments[-1], ContextRecord):
                    failed = judged(failed, error, self._handlers._job_handler(record.job.queue_name), record.job)
                answer = Reply("error", failed)
            spent, left = not self._state.restore(), self._leftovers.names(self._loop)
            if left:
                left = self._leftovers.names_after_grace(self._loop)
                spent = not self._state.restore() or spent or bool(left)
            if spent:
                answer = answer._replace(spent=True, left=" and ".join(left))
            with self._asking:
                self._number = 0
                self._refusal = None
                self._pipe.send(number, answer)

    def close_loop(self) -> None:
        """Ends the tasks that nobody awaits, and the event loop."""
        if self._loop is None or self._loop.is_closed():
            return
        import asyncio

        async def end(tasks: set[asyncio.Task[Any]]) -> None:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=LAST_SECONDS)
            await self._loop.shutdown_asyncgens()

        self._loop.run_until_complete(end(asyncio.all_tasks(self._loop)))
        self._loop.close()

    def _job(self, queue: str, record: ContextRecord) -> str | None:
        handler = self._handlers._job_handler(queue)
        assert handler is not None
        context = self._context(record)
        arguments = (context.parent_job, context) if handler.takes_context else (context.parent_job,)
        returned = surrounded(self._handlers._arounds, handler, arguments, context, self)
        return result_text(self._result_of(returned), most=UNLIMITED)  # the worker knows what the job allows

    def wait(self, awaitable: Any) -> Any:
        return self._result_of(awaitable)

    async def hand_over(self, function: Callable[[], Any]) -> Any:
        """See :class:`Runner`: calls it between two turns of the event loop, which it may need itself."""
        handed = HandedOver(function)
        self._handed.append(handed)
        self._loop.stop()
        return await handed.result()

    def _validate(self, name: str, record: ContextRecord) -> None:
        logs.HANDLED.set(record.job)
        self._result_of(self._handlers._named(name).validate_spawn(Job._of(record.job), record.config))

    def _complete(self, name: str, result: SpawnResult) -> None:
        self._result_of(self._handlers._named(name).on_spawn_complete(result))

    def _spawn(self, name: str, record: ContextRecord) -> None:
        produced: Any = self._handlers._named(name).spawn_jobs(self._context(record))
        if not isinstance(produced, AsyncIterable) and not inspect.isawaitable(produced):
            self._hand_over(iter(iterable(produced)))
            return
        # As in one coroutine that awaits it and iterates over the children.
        variables = copy_context()
        if not isinstance(produced, AsyncIterable):
            produced = self._result_of(produced, variables)
        if not isinstance(produced, AsyncIterable):
            variables.run(self._hand_over, iter(iterable(produced)))
            return
        try:
            self._hand_over(self._steps(produced, variables))
        finally:
            if inspect.isasyncgen(produced):
                self._result_of(produced.aclose(), variables)

    def _hand_over(self, children: Iterator[Job]) -> None:
        """Sends children as they come, until they end or the worker wants no further ones."""
        try:
            while batch := list(map(_sendable, islice(children, BATCH))):
                if self._ask(Reply("jobs", batch), self._number) == "stop":
                    return
        finally:
            if inspect.isgenerator(children):
                children.close()

    def _steps(self, produced: AsyncIterable[Job], variables: Context) -> Iterator[Job]:
        steps = produced.__aiter__()
        while True:
            try:
                yield self._result_of(steps.__anext__(), variables)
            except StopAsyncIteration:
                return

    def _result_of(self, value: Any, variables: Context | None = None) -> Any:
        """The result of an awaitable; any other value itself.

        Its coroutine gets ``variables``; by default, a copy of the present ones.
        """
        if not inspect.isawaitable(value):
            return value
        if self._loop is None or self._loop.is_closed():
            with app_path.without():
                import asyncio

            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(_coroutine(value), context=variables or copy_context())
        while not task.done():
            # A task that exits, or that stops the loop, would end the wait for another one, and for the next job's too.
            with suppress(SystemExit, KeyboardInterrupt, RuntimeError):
                self._loop.run_until_complete(task)
            while self._handed:
                self._handed.pop().run()
        return task.result()

    def _context(self, record: ContextRecord) -> SpawnContext:
        logs.HANDLED.set(record.job)
        with app_path.without():
            from hammerwork_cli.runtime.api.queue import Queue
        if self._queue is None:
            self._queue = Queue._of_worker(self._url)
        number = self._number

        def spawn(job: Job, *, key: str | None = None) -> Job:
            sent = _sendable(job._traced() if isinstance(job, Job) else job)
            answer: Job = self._ask(Reply("write", (sent, key)), number)
            if answer.created:
                answer.payload = job.payload
            return answer

        def place() -> Ancestry:
            depth, root = self._ask(Reply("place"), number)
            return Ancestry(root, depth=depth)

        return SpawnContext(
            *(Job._of(record.job), record.config, self._queue, spawn, record.result, record.deadline, place),
            _resources=self._resources,
            _handed_down=lambda columns: self._ask(Reply("trace", columns), number),
            _reported=lambda share, text: self._tell(Reply("progress", (share, text)), number),
            _room=lambda: self._ask(Reply("room"), number),
        )

    def _tell(self, report: Reply, number: int) -> None:
        """Tells the worker something during a request, and waits for no answer."""
        with self._asking:
            if number == self._number:
                self._pipe.send(number, report)

    def _ask(self, question: Reply, number: int) -> Any:
        """Asks the worker something during a request; its answer, which is raised if it is an error."""
        with self._asking:
            if number != self._number:
                raise SpawnFailedError("The attempt that this context belongs to has ended.")
            self._pipe.send(number, question)
            answered, value = self._pipe.receive()
            if answered != number:
                os._exit(1)
        if isinstance(value, HammerworkError):
            self._refusal = value
            raise value
        return value


def _sendable(job: Any) -> Any:
    """A child without objects of classes that the worker may not find: those of its main module, say."""
    if isinstance(job, Job) and not isinstance(job.payload, JSON_TYPES):
        with suppress(UsageError):  # the worker refuses it too, and says so
            payload, job = as_json(job.payload), copy(job)
            job.payload = payload
    return job


async def _coroutine(awaitable: Any) -> Any:
    return await awaitable
