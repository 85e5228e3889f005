"""Handlers in processes that can be killed: one for each slot, replaced when it dies.

The worker keeps the database to itself: what handlers return, produce and ask for comes through a pipe.
"""

import atexit
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.models import SpawnConfig
from hammerwork_cli.runtime import logs
from hammerwork_cli.runtime.failures import JobError, RemoteError
from hammerwork_cli.runtime.handlers import Handlers
from hammerwork_cli.runtime.isolated import Answer, Failure, Start, serve
from hammerwork_cli.runtime.job import Job
from hammerwork_cli.runtime.results import StoredResult
from hammerwork_cli.runtime.spawning import (
    SpawnContext,
    SpawnError,
    SpawnFailedError,
    SpawnHandler,
    SpawnLimitError,
    SpawnResult,
)

LOOK_SECONDS = 1.0
"""Between looks whether a silent process lives: what it has started may hold the pipe open."""
LAST_SECONDS = 5.0
_starting = threading.Lock()


class ProcessDiedError(SpawnError):
    """The process that ran a handler is gone."""

    code = "process_died"


class _Process:
    """One process, used by one thread; another may kill it."""

    def __init__(self, start: Start) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._lock = threading.Lock()
        self._process = context.Process(target=serve, args=(theirs, start), name="hammerwork-handlers")
        try:
            with _starting:
                # Ctrl-C reaches all that the terminal has started, and is none of this one's business.
                before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                try:
                    self._process.start()
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
        finally:
            theirs.close()

    def wait_until_ready(self) -> None:
        """Until it has loaded the handlers.

        Raises:
            JobError: it cannot.
        """
        answer = self.hear()
        if answer.kind == "error":
            self.end()
            raise JobError(answer.value.first) from _cause(answer.value)

    def say(self, *words: object) -> None:
        """Sends something.

        Raises:
            ProcessDiedError: nobody is there.
        """
        try:
            self._pipe.send(words)
        except OSError as error:
            raise self._died() from error

    def hear(self) -> Answer:
        """The next answer, however long it takes.

        Raises:
            ProcessDiedError: none will come.
        """
        try:
            while not self._pipe.poll(LOOK_SECONDS):
                if not self._process.is_alive() and not self._pipe.poll():
                    raise EOFError
            answer: Answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        return answer

    def _died(self) -> ProcessDiedError:
        self._process.join(LAST_SECONDS)
        return ProcessDiedError(f"The process that ran the handler ended: {_ending(self._process.exitcode)}.")

    @property
    def is_alive(self) -> bool:
        """Whether it is there."""
        return self._process.is_alive()

    @property
    def id(self) -> int | None:
        """The system's; ``None`` when it is let go of."""
        with suppress(ValueError):
            return self._process.pid
        return None

    def kill(self) -> None:
        """Ends it at once, and whatever it has started."""
        with self._lock, suppress(OSError, ValueError):
            if not self._process.is_alive():
                return
            try:
                os.killpg(self._process.pid or 0, signal.SIGKILL)
            except ProcessLookupError:
                self._process.kill()  # it has not come to have a group of its own

    def end(self) -> None:
        """Ends it, and forgets it."""
        self.kill()
        self._process.join(LAST_SECONDS)
        with self._lock, suppress(OSError, ValueError):
            self._pipe.close()
            self._process.close()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    return f"exit code {code}"


class Processes:
    """A process for each thread that runs jobs.

    Args:
        start: what each is told.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._by_thread: dict[int, _Process] = {}
        self._closed = False
        # Before multiprocessing's own, which waits for them.
        atexit.register(self.close)

    def ready(self) -> None:
        """Sees to it that this thread has a process which has loaded the handlers.

        Raises:
            JobError: they cannot be loaded.
            ProcessDiedError: it died at once.
        """
        self._mine()

    def _mine(self) -> _Process:
        thread = threading.get_ident()
        process = self._by_thread.get(thread)
        if process is not None and process.is_alive:
            return process
        if process is not None:
            process.end()
        if self._closed:
            raise ProcessDiedError("The worker ends.")
        process = self._by_thread[thread] = _Process(self._start)
        process.wait_until_ready()
        return process

    def ids(self) -> list[int]:
        """The system's ids of those that there are."""
        return [found for process in tuple(self._by_thread.values()) if (found := process.id) is not None]

    def kill(self, thread: int) -> None:
        """Ends what a thread runs, at once."""
        process = self._by_thread.get(thread)
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Ends all of them."""
        self._closed = True
        atexit.unregister(self.close)
        for process in tuple(self._by_thread.values()):
            process.kill()

    def forget(self) -> None:
        """Lets go of those that have ended; nobody may use them any more."""
        for process in self._by_thread.values():
            process.end()
        self._by_thread.clear()

    def handlers(self, real: Handlers) -> Handlers:
        """What a runner takes for the handlers: each hands over to the process of its thread."""
        remote = Handlers()
        for queue in real.queues:
            handler = real.job_handler(queue)
            assert handler is not None
            remote.register_job(queue, _RemoteJob(self, queue), retry=handler.retry, timeout=handler.timeout)
        for name in real.handler_names:
            remote.register_handler(name, _RemoteSpawner(self, name))
        return remote

    def call(self, verb: str, *arguments: object, context: SpawnContext | None = None) -> Iterator[Any]:
        """Runs something in the process of this thread: yields children as they come, then what it returned.

        Raises:
            ProcessDiedError: the process died.
            _Failed: what was run failed.
        """
        process = self._mine()
        process.say(verb, arguments)
        refusal: HammerworkError | None = None
        while True:
            kind, value = process.hear()
            if kind == "jobs":
                go_on = False
                try:
                    yield from value
                    go_on = True
                finally:
                    if not go_on:
                        process.say("next", "stop")
                        _ = process.hear()
                process.say("next", "more")
            elif kind == "write":
                assert context is not None
                refusal = self._write(process, context, *value)
            elif kind == "error":
                if value.refused and refusal is not None:
                    raise refusal
                raise _Failed(value)
            else:
                yield value
                return

    def _write(self, process: _Process, context: SpawnContext, job: Job, key: str) -> HammerworkError | None:
        try:
            written = context.spawn(job, key=key)
        except HammerworkError as error:
            limit = None
            if isinstance(error, SpawnLimitError):
                limit = (error.limit, error.value, error.attempted, error.root)
            process.say("refused", (error.message, limit))
            return error
        process.say("written", (written.id, written.queue))
        return None


def processes(target: str, url: DatabaseUrl) -> Processes:
    """Those of a worker whose handlers have this name, and which log as it does."""
    return Processes(Start(target, url.raw, logs.settings()))


class _Failed(Exception):  # noqa: N818  never leaves this module
    """A handler raised."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.first)
        self.failure = failure


def _cause(failure: Failure) -> RemoteError | None:
    return RemoteError(failure.message, failure.first, failure.trace) if failure.trace else None


class _RemoteJob:
    """A job's handler, elsewhere."""

    def __init__(self, processes: Processes, queue: str) -> None:
        self._processes, self._queue = processes, queue

    def __call__(self, job: Job, context: SpawnContext) -> StoredResult | None:
        call = self._processes.call("job", self._queue, job._row, context.config, context=context)
        try:
            text = next(call)
        except _Failed as error:
            raise JobError(error.failure.first) from _cause(error.failure)
        return None if text is None else StoredResult(text)


class _RemoteSpawner(SpawnHandler):
    """A spawn handler, elsewhere."""

    def __init__(self, processes: Processes, name: str) -> None:
        self._processes, self._name = processes, name

    def validate_spawn(self, parent_job: Job, config: SpawnConfig, /) -> None:
        """Raises what it raised."""
        self._run("validate", parent_job._row, config)

    def on_spawn_complete(self, result: SpawnResult, /) -> None:
        """Tells it."""
        self._run("complete", result)

    def _run(self, verb: str, *arguments: object) -> None:
        try:
            next(self._processes.call(verb, self._name, *arguments))
        except _Failed as error:
            failure = error.failure
            if failure.spawn:
                raise SpawnError(failure.message) from _cause(failure)
            raise RemoteError(failure.message, failure.first, failure.trace) from None

    def spawn_jobs(self, context: SpawnContext, /) -> Iterator[Job]:
        """The children as they come."""
        call = self._processes.call("spawn", self._name, context.parent_job._row, context.config, context=context)
        last: list[Any] = []
        try:
            for child in call:
                # What comes last is what the call itself returned.
                if last:
                    yield last.pop()
                last.append(child)
        except _Failed as error:
            failure = error.failure
            if failure.spawn:
                raise SpawnFailedError(failure.message) from _cause(failure)
            raise SpawnFailedError(f"The spawn handler failed: {failure.first} Nothing was spawned.") from _cause(
                failure
            )
        finally:
            call.close()  # type: ignore[attr-defined]
