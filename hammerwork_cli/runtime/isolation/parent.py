"""Handlers in processes that can be killed: one for each slot, replaced when it dies.

Only the worker uses the database: results, children and requests of handlers come through a pipe.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.spawn import SpawnContext, SpawnError, SpawnFailedError, SpawnHandler, SpawnResult
from hammerwork_cli.runtime.api.tracing import TraceColumns
from hammerwork_cli.runtime.host import logs
from hammerwork_cli.runtime.host.memory import resident
from hammerwork_cli.runtime.isolation.process import Process, ProcessDiedError, cause, job_error, start_of
from hammerwork_cli.runtime.isolation.protocol import ContextRecord, Failure, Start
from hammerwork_cli.runtime.outcomes.failures import FinalError, RemoteError, spawn_failure
from hammerwork_cli.runtime.outcomes.results import StoredResult

MEMORY_SECONDS = 0.2
"""Between two looks at the memory of processes that run handlers."""
MIB = 1 << 20
log = logging.getLogger("hammerwork")


class Processes:
    """A process for each slot.

    Args:
        start: what each process is sent first.
        max_jobs: attempts after which a process is replaced.
        max_memory: bytes above which it is replaced after an attempt, and killed during one.
    """

    has_nodes: ClassVar[bool] = False
    can_kill: ClassVar[bool] = True

    def __init__(self, start: Start, *, max_jobs: int | None = None, max_memory: int | None = None) -> None:
        self._start, self._max_jobs, self._max_memory = start, max_jobs, max_memory
        self._watch: threading.Thread | None = None  # under the lock
        self._ended = threading.Event()  # the main thread sets it
        # Guards the three below. A slot's thread writes the entries of its own; the main thread clears an attempt that
        # it kills, and closes.
        self._changing = threading.Lock()
        self._by_thread: dict[int, Process] = {}
        self._attempts: dict[int, object] = {}
        self._closed = False
        self._leaving: set[str] = set()  # what the log has named; slots' threads add to it

    def ready(self, attempt: object) -> None:
        """Gives an attempt of this thread a process that has loaded the handlers."""
        with self._changing:
            self._attempts[threading.get_ident()] = attempt
        self._mine()

    def _mine(self) -> Process:
        thread = threading.get_ident()
        process = self._by_thread.get(thread)
        if process is not None and process.is_usable:
            return process
        if process is not None:
            process.wait_for_end()
            process.end()
        with self._changing:
            if self._closed or self._attempts[thread] is None:
                raise ProcessDiedError("Nobody waits for this attempt any longer.")
            process = self._by_thread[thread] = Process(self._start)
            if self._max_memory is not None and self._watch is None:
                self._watch = threading.Thread(target=self._watch_memory, name="hammerwork-memory", daemon=True)
                self._watch.start()
        process.wait_until_ready()
        return process

    def done(self, attempt: object) -> None:
        """Retires the process of this thread if it has served its time: the next attempt has another one."""
        thread = threading.get_ident()
        process = self._by_thread.get(thread)
        if process is None or not process.is_idle or self._attempts.get(thread) is not attempt:
            return  # it is killed, or could not begin
        process.attempts += 1
        served = self._max_jobs is not None and process.attempts >= self._max_jobs
        if (process.is_spent or served or self._excess(process)) and process.is_usable:
            process.retire()

    def _excess(self, process: Process) -> int | None:
        """The bytes of a process, if they are too many."""
        if self._max_memory is None or process.pid is None:
            return None
        bytes_ = resident(process.pid)
        return bytes_ if bytes_ is not None and bytes_ > self._max_memory else None

    def _watch_memory(self) -> None:
        """Kills a process that grows too large while it runs a handler."""
        assert self._max_memory is not None
        while not self._ended.wait(MEMORY_SECONDS):
            for thread, process in tuple(self._by_thread.items()):
                attempt = self._attempts.get(thread)
                if process.is_idle or attempt is None or (excess := self._excess(process)) is None:
                    continue
                with self._changing:
                    if process.is_idle or self._attempts.get(thread) is not attempt:
                        continue  # it has ended meanwhile
                    used, most = excess / MIB, self._max_memory / MIB
                    process.reason = f"it used {used:,.0f} MiB of memory, and max_memory is {most:,.0f} MiB"
                    process.doom()

    def ids(self) -> list[int]:
        """Process ids of those that run handlers."""
        return [process.pid for process in tuple(self._by_thread.values()) if process.pid is not None]

    def kill(self, thread: int, attempt: object) -> None:
        """Kills the process of a thread, unless that has started another attempt since."""
        with self._changing:
            if self._attempts.get(thread) is attempt:
                self._attempts[thread] = None
                if thread in self._by_thread:
                    self._by_thread[thread].doom()

    def close(self) -> None:
        """Kills the processes that run a handler, and lets none start."""
        self._close()

    def _close(self) -> list[Process]:
        """The others, which close their resources, and run what handlers have registered for the end."""
        with self._changing:
            self._closed = True
            idle = [one for one in self._by_thread.values() if one.is_idle]
            for process in self._by_thread.values():
                if process not in idle:
                    process.doom()
        return idle

    def finish(self) -> None:
        """Kills all processes; those that run no handler may close their resources first."""
        self._ended.set()
        idle = self._close()
        for process in idle:
            process.retire()
        for process in idle:
            process.wait_for_end()

    def forget(self) -> None:
        """Frees what the processes held. No thread may use them any longer."""
        for process in self._by_thread.values():
            process.end()
        self._by_thread.clear()

    def handlers(self, real: Handlers) -> Handlers:
        """Handlers for the executor, each of which calls the real one in the process of its thread."""
        remote = Handlers()
        remote._configs.update(real._configs)
        for queue in real.queues:
            handler = real._job_handler(queue)
            assert handler is not None
            remote.register_job(queue, _RemoteJob(self, queue), **handler.options)
        for name in real.handler_names:
            remote.register_spawn(name, _RemoteSpawner(self, name))
        return remote

    def call(self, verb: str, *arguments: object, context: SpawnContext | None = None) -> Iterator[Any]:
        """Runs something in the process of this thread: yields lists of children as they come, then the result.

        A process that does anything but answer is killed, and the next call has another one.

        Raises:
            ProcessDiedError: the process died.
            _Failed: the handler raised.
        """
        process = self._mine()
        answered, refusal = False, None
        try:
            process.request(verb, arguments)
            while not answered:
                kind, value = self._hear(process, arguments)
                answered = process.is_idle
                if kind == "value":
                    yield value
                elif kind == "jobs" and verb == "spawn":
                    yield value
                    process.say("more")
                elif kind in _ANSWERS and context is not None:
                    refusal = _answer(process, context, kind, value) or refusal
                elif kind == "error":
                    raise _raised(value, refusal)
                else:
                    raise ProcessDiedError(
                        "The process that ran the handler was killed: it sent an answer that nobody had asked for."
                    )
        except GeneratorExit:
            if not answered:
                with suppress(ProcessDiedError):
                    process.say("stop")
                    self._hear(process, arguments)
                    answered = process.is_idle
            raise
        finally:
            if not answered:
                process.doom()

    def _hear(self, process: Process, arguments: tuple[object, ...]) -> tuple[str, Any]:
        """The kind and the value of the next answer to a request."""
        kind, value, spent, left = process.hear()
        process.is_idle = kind in ("value", "error")
        process.is_spent = process.is_spent or spent
        handler = str(arguments[0])
        if left and handler not in self._leaving:
            self._leaving.add(handler)
            record = arguments[-1]
            log.warning(
                "The handler of %r leaves %s running, so another process runs the next job. Wait for its end, or start "
                "it in an @app.resource.",
                handler,
                left,
                extra=logs.handled(record.job) if isinstance(record, ContextRecord) else None,
            )
        return kind, value


def _answer(process: Process, context: SpawnContext, kind: str, value: Any) -> HammerworkError | None:
    """Answers a handler's request; the error, if that is the answer."""
    try:
        _ANSWERS[kind](process, context, value)
    except HammerworkError as error:
        process.say(error)
        return error
    return None


def _write(process: Process, context: SpawnContext, child: tuple[Job, str]) -> None:
    job, key = child
    written = context.spawn(job, key=key)
    if written.created:
        written.payload = None  # the process has it
    process.say(written)


def _say_place(process: Process, context: SpawnContext, _: None) -> None:
    process.say((context.depth, context.root_id))


def _say_room(process: Process, context: SpawnContext, _: None) -> None:
    process.say(context.room)


def _hand_down(process: Process, context: SpawnContext, columns: TraceColumns) -> None:
    if context._handed_down is not None:
        context._handed_down(columns)
    process.say(None)


def _report(_: Process, context: SpawnContext, report: tuple[float, str]) -> None:
    context.progress(*report)


_ANSWERS: dict[str, Callable[[Process, SpawnContext, Any], None]] = {
    "write": _write,
    "place": _say_place,
    "room": _say_room,
    "trace": _hand_down,
    "progress": _report,
}
"""What follows a request of a handler while it runs."""


def processes(
    target: str, url: DatabaseUrl, *, max_jobs: int | None = None, max_memory: int | None = None
) -> Processes:
    """Processes for handlers of this name, which log as the worker does."""
    start = start_of(target, url.raw, logs.settings())
    start = start._replace(keys=url.keys, refuse_plaintext=url.refuse_plaintext)
    return Processes(start, max_jobs=max_jobs, max_memory=max_memory)


class _Failed(Exception):  # noqa: N818  never leaves this module
    """A handler raised."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.first)
        self.failure = failure


def _raised(failure: Failure, refusal: HammerworkError | None) -> Exception:
    """The error of a handler: the worker's own answer to it, or another one."""
    if not failure.refused or refusal is None:
        return _Failed(failure)
    refusal.__cause__ = cause(failure)
    return refusal


class _RemoteJob:
    """A job's handler in a process."""

    def __init__(self, processes: Processes, queue: str) -> None:
        self._processes, self._queue = processes, queue

    def __call__(self, job: Job, context: SpawnContext) -> StoredResult | None:  # noqa: ARG002  the context has the job
        try:
            text = next(self._processes.call("job", self._queue, record_of(context), context=context))
        except _Failed as error:
            raise job_error(error.failure) from cause(error.failure)
        return None if text is None else StoredResult(text)


class _RemoteSpawner(SpawnHandler):
    """A spawn handler in a process."""

    def __init__(self, processes: Processes, name: str) -> None:
        self._processes, self._name = processes, name

    def validate_spawn(self, parent_job: Job, config: SpawnConfig, /) -> None:
        """Raises the error that it raised."""
        self._run("validate", ContextRecord(parent_job._row, config))

    def on_spawn_complete(self, result: SpawnResult, /) -> None:
        self._run("complete", result)

    def _run(self, verb: str, argument: object) -> None:
        try:
            next(self._processes.call(verb, self._name, argument))
        except _Failed as error:
            failure = error.failure
            if failure.spawn:
                raise _as_final(SpawnError(failure.message), failure) from cause(failure)
            if not failure.retryable:
                raise FinalError(failure.message) from cause(failure)
            raise RemoteError(failure.message, failure.first, failure.trace, failure.wanted, failure.pause) from None

    def spawn_jobs(self, context: SpawnContext, /) -> Iterator[Job]:
        """The children as they come."""
        call = self._processes.call("spawn", self._name, record_of(context), context=context)
        try:
            for children in call:
                yield from children or ()
        except _Failed as error:
            failure = error.failure
            text = failure.message if failure.spawn else spawn_failure(failure.first)
            raise _as_final(SpawnFailedError(text), failure) from cause(failure)
        finally:
            call.close()  # type: ignore[attr-defined]


def _as_final(error: HammerworkError, failure: Failure) -> HammerworkError:
    """Marks an error as final if the one in the process was."""
    error.retryable = failure.retryable
    return error


def record_of(context: SpawnContext) -> ContextRecord:
    """The parts of a context that are sent."""
    return ContextRecord(context.parent_job._row, context.config, context.result_text, context.deadline)
