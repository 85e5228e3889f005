"""The other end of ``--isolation process``: a process that runs handlers and is told by its worker which."""

import inspect
import os
import signal
import threading
import traceback
from collections.abc import AsyncIterable, Callable, Iterator
from dataclasses import replace
from itertools import islice
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.models import SpawnConfig
from hammerwork_cli.runtime import logs
from hammerwork_cli.runtime.children import iterable
from hammerwork_cli.runtime.handlers import Handlers, takes_context
from hammerwork_cli.runtime.job import Job
from hammerwork_cli.runtime.loading import load_handlers
from hammerwork_cli.runtime.results import result_text
from hammerwork_cli.runtime.spawning import SpawnContext, SpawnError, SpawnFailedError, SpawnLimitError, SpawnResult

if TYPE_CHECKING:
    from hammerwork_cli.queries.claims import Claimed
    from hammerwork_cli.runtime.queue import Queue

BATCH = 200
"""Children that go through the pipe at once."""


class Start(NamedTuple):
    """What a process is told at its start.

    Attributes:
        target: the handlers as ``module:attribute``.
        url: of the database.
        log: level, and whether it is JSON; ``None`` where the worker's log is not ours.
    """

    target: str
    url: str
    log: tuple[str, bool] | None


class Answer(NamedTuple):
    """What the worker hears.

    Attributes:
        kind: ``ready``, ``value`` (the last one), ``jobs`` (children), ``write`` (one to be written now), ``error``.
        value: what it is about.
    """

    kind: str
    value: Any = None


class Failure(NamedTuple):
    """An error of a handler; errors themselves cannot always be sent.

    Attributes:
        first: type and message, or the message alone of an error of ours.
        message: the error's own text.
        trace: where it arose; empty for errors of ours without a cause.
        spawn: whether it is a :class:`SpawnError`.
        refused: whether it is what the worker answered to ``context.spawn``.
    """

    first: str
    message: str
    trace: str
    spawn: bool = False
    refused: bool = False


def serve(pipe: Connection, start: Start) -> None:
    """Runs what it is told to until the pipe is closed."""
    _leave_signals_alone()
    _end_with_parent()
    if start.log is not None:
        logs.configure(start.log[0], as_json=start.log[1])
    try:
        handlers = load_handlers(start.target)
    except BaseException as error:  # noqa: BLE001  told to the worker
        pipe.send(Answer("error", failure(error)))
        return
    pipe.send(Answer("ready"))
    _Server(pipe, handlers, start.url).run()


def _leave_signals_alone() -> None:
    """Ctrl-C is the worker's; what a handler starts is killed with it, as a group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.setpgid(0, 0)


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="hammerwork-parent", daemon=True).start()


def failure(error: BaseException) -> Failure:
    """An error as it is sent."""
    if isinstance(error, HammerworkError):
        cause = error.__cause__
        trace = "" if cause is None or isinstance(cause, HammerworkError) else _trace(cause)
        return Failure(error.message, error.message, trace, isinstance(error, SpawnError), "refused" in error.details)
    first = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(first, str(error), _trace(error))


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


class _Server:
    """Runs one thing after the other."""

    def __init__(self, pipe: Connection, handlers: Handlers, url: str) -> None:
        self._pipe, self._handlers, self._url = pipe, handlers, url
        self._asking = threading.Lock()
        self._turn = 0
        self._loop: Any = None
        self._queue: Queue | None = None
        self._verbs: dict[str, Callable[..., Any]] = {
            "job": self._job,
            "validate": self._validate,
            "spawn": self._spawn,
            "complete": self._complete,
        }

    def run(self) -> None:
        """Until nobody asks any more."""
        while True:
            try:
                verb, arguments = self._pipe.recv()
            except (EOFError, OSError):
                return
            try:
                answer = Answer("value", self._verbs[verb](*arguments))
            except BaseException as error:  # noqa: BLE001  whatever a handler raises is told to the worker
                answer = Answer("error", failure(error))
            with self._asking:
                self._turn += 1
                self._pipe.send(answer)

    def _job(self, queue: str, row: "Claimed", config: SpawnConfig) -> str | None:
        handler = self._handlers.job_handler(queue)
        assert handler is not None
        job = Job.of(row)
        arguments = (job, self._context(job, config)) if takes_context(handler.function) else (job,)
        return result_text(self._settled(handler.function(*arguments)))

    def _validate(self, name: str, row: "Claimed", config: SpawnConfig) -> None:
        self._settled(self._handlers.named(name).validate_spawn(Job.of(row), config))

    def _complete(self, name: str, result: SpawnResult) -> None:
        self._settled(self._handlers.named(name).on_spawn_complete(result))

    def _spawn(self, name: str, row: "Claimed", config: SpawnConfig) -> None:
        produced: Any = self._handlers.named(name).spawn_jobs(self._context(Job.of(row), config))
        if not isinstance(produced, AsyncIterable):
            produced = self._settled(produced)
        children = self._steps(produced) if isinstance(produced, AsyncIterable) else iter(iterable(produced))
        try:
            while batch := list(islice(children, BATCH)):
                if self._ask(Answer("jobs", batch)) == "stop":
                    return
        finally:
            for closing in (children, produced):
                if inspect.isgenerator(closing):
                    closing.close()
            if inspect.isasyncgen(produced):
                self._settled(produced.aclose())

    def _steps(self, produced: AsyncIterable[Job]) -> Iterator[Job]:
        steps = produced.__aiter__()
        while True:
            try:
                yield self._settled(steps.__anext__())
            except StopAsyncIteration:
                return

    def _settled(self, value: Any) -> Any:
        """What an awaitable comes to; anything else as it is."""
        if not inspect.isawaitable(value):
            return value
        if self._loop is None:
            import asyncio

            self._loop = asyncio.Runner()
        return self._loop.run(_awaited(value))

    def _context(self, job: Job, config: SpawnConfig) -> SpawnContext:
        from hammerwork_cli.runtime.queue import Queue

        if self._queue is None:
            self._queue = Queue(self._url)
        turn = self._turn

        def spawn(job: Job, *, key: str) -> Job:
            answer = self._ask(Answer("write", (job, key)), turn)
            if isinstance(answer, SpawnError):
                raise answer
            written, queue = answer
            return replace(job, id=written, queue=queue)

        return SpawnContext(job, config, self._queue, spawn)

    def _ask(self, question: Answer, turn: int | None = None) -> Any:
        """Says something in the course of a run, and returns the answer."""
        with self._asking:
            if turn is not None and turn != self._turn:
                raise SpawnFailedError("The run that this context belongs to has ended.")
            self._pipe.send(question)
            kind, value = self._pipe.recv()
        return _refusal(*value) if kind == "refused" else value


def _refusal(message: str, limit: tuple[str, int, int, str] | None) -> SpawnError:
    error: SpawnError = SpawnFailedError(message) if limit is None else SpawnLimitError(*limit)
    error.details["refused"] = True
    return error


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
