"""Makes an attempt at a job in a process of an executor, on whatever node that is.

The process loads the handlers by name when the first task for them comes, and keeps them and their resources. Several
threads may run tasks in it.
"""

import inspect
import multiprocessing
import os
import pickle
import signal
import threading
import time
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.util import Finalize
from typing import Any, NamedTuple, Self

from hammerwork_cli.core.codecs import Codecs
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.worker.queries import ancestry, registry
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.runtime.api.around import Waiting, surrounded
from hammerwork_cli.runtime.api.handlers import JobHandler
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.queue import Queue
from hammerwork_cli.runtime.api.spawn import SpawnContext, SpawnFailedError
from hammerwork_cli.runtime.api.tracing import TraceColumns
from hammerwork_cli.runtime.execution.event_loop import EventLoop
from hammerwork_cli.runtime.host import logs, secrets
from hammerwork_cli.runtime.host.loading import reload_handlers
from hammerwork_cli.runtime.isolation.child import failure, judged
from hammerwork_cli.runtime.isolation.protocol import ContextRecord, Reply, Start
from hammerwork_cli.runtime.outcomes.failures import JobError
from hammerwork_cli.runtime.outcomes.results import UNLIMITED, result_text
from hammerwork_cli.version import __version__

LOOK_SECONDS = 1.0
NO_EARLY_CHILDREN = (
    "A handler on an executor cannot spawn before it has returned. Return what the children need, and yield them from"
    " a function with @app.spawn, which runs in the worker and gets context.result."
)


@dataclass(frozen=True, slots=True)
class Task:
    """An attempt, as it is sent. Dashboards and logs of an engine show no secret of it."""

    job: str  # its queue and id
    version: str  # of the worker
    data: bytes = field(repr=False)  # the rest, pickled: another version could not read it

    @classmethod
    def of(cls, start: Start, record: ContextRecord) -> Self:
        job = record.job
        return cls(f"{job.queue_name} {job.id}", __version__, pickle.dumps((start, record), pickle.HIGHEST_PROTOCOL))


class TaskAnswer(NamedTuple):
    reply: Reply
    trace: TraceColumns | None = None  # what the children of the attempt inherit, if its handler has said so


def run(task: Task) -> TaskAnswer:
    """Runs the handler of a job. Raises nothing, since not every error could be sent back."""
    record = handler = None
    handed_down: list[TraceColumns] = []
    try:
        if task.version != __version__:
            raise JobError(f"The node has hammerwork-cli {__version__}, and its worker {task.version}: install that.")
        start, record = pickle.loads(task.data)  # noqa: S301  the executor has unpickled the task itself
        node = _node(start)
        handler = node.handlers._job_handler(record.job.queue_name)
        if handler is None:
            raise JobError(f"{start.target} on the node has no handler for the queue {record.job.queue_name!r:.100}.")
        text = copy_context().run(node.call, handler, record, handed_down)
    except BaseException as error:  # noqa: BLE001  the worker gets whatever a handler raises
        failed = failure(error)
        return TaskAnswer(Reply("error", failed if record is None else judged(failed, error, handler, record.job)))
    return TaskAnswer(Reply("value", text), handed_down[-1] if handed_down else None)


class _Node:
    """The handlers of one application in this process."""

    def __init__(self, start: Start) -> None:
        url = replace(DatabaseUrl.parse(start.url), keys=start.keys, refuse_plaintext=start.refuse_plaintext)
        secrets.keep(url)
        if multiprocessing.current_process().name != "MainProcess":
            with suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for the worker
            threading.Thread(target=_end_with_parent, name="hammerwork-parent", daemon=True).start()
        self.handlers = copy_context().run(reload_handlers, start.target, start.folders)
        self.resources = self.handlers._open_resources()
        self.resources.begin()
        self.queue = Queue._of_worker(replace(url, codecs=Codecs(self.handlers.codecs)))
        self.loop = EventLoop()
        self.reports = _Reports(self.queue)
        # Processes of multiprocessing end without atexit; this works in them, and in others.
        Finalize(None, self.close, exitpriority=10)

    def close(self) -> None:
        """Closes the resources, at the end of the process."""
        self.resources.close()
        self.loop.close()

    def call(self, handler: JobHandler, record: ContextRecord, handed_down: list[TraceColumns]) -> str | None:
        """Calls the handler with what is around it; returns its result."""
        logs.HANDLED.set(record.job)
        context = SpawnContext(
            parent_job=Job._of(record.job),
            config=record.config,
            queue=self.queue,
            spawn=_refuse,
            deadline=record.deadline,
            _place=lambda: self._place(record),
            _resources=self.resources,
            _handed_down=handed_down.append,
            _room=lambda: self._room(record),
            _reported=lambda share, text: self.reports.put(record.job, share, text),
        )
        arguments = (context.parent_job, context) if handler.takes_context else (context.parent_job,)
        waiting = Waiting(lambda awaitable, done: self.loop.start(awaitable, None, done))
        returned = surrounded(self.handlers._arounds, handler, arguments, context, waiting)
        returned = waiting.wait(returned) if inspect.isawaitable(returned) else returned
        return result_text(returned, most=UNLIMITED)  # the worker knows what the job allows

    def _place(self, record: ContextRecord) -> Ancestry:
        return self.queue._connections.run(lambda database: ancestry.of(database, record.job))

    def _room(self, record: ContextRecord) -> int | None:
        spawner = Spawner.of(record.job, self._place(record), record.config, None)
        return self.queue._connections.run(lambda database: ancestry.room(database, spawner))


class _Reports:
    """Writes the reports of handlers to the database for their workers, once a second, however many there are."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()  # guards the others
        self._newest: dict[str, tuple[str, JobProgress]] = {}  # job -> its worker, what it has reported
        self._thread: threading.Thread | None = None

    def put(self, job: Claimed, share: float, text: str) -> None:
        """Takes a report of a job, in place of one that is not written yet."""
        report = JobProgress(job.id, job.queue_name, job.attempts, share, text, "")
        with self._lock:
            self._newest[job.id] = job.claim.worker, report
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="hammerwork-progress", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        """Writes until there is nothing new for a second. A report that cannot be written is lost: another follows."""
        while True:
            with self._lock:
                newest, self._newest = self._newest, {}
                if not newest:
                    self._thread = None
                    return
            for worker, report in newest.values():
                with suppress(HammerworkError):
                    self._queue._connections.run(partial(registry.report, worker=worker, progress=report), patience=0)
            time.sleep(LOOK_SECONDS)


def _end_with_parent() -> None:
    """Ends this process of a pool soon after the one that started it, which Python's own pools do not do."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def _refuse(job: Job, *, key: str | None = None) -> Any:  # noqa: ARG001  as a SpawnFunction has them
    error = SpawnFailedError(NO_EARLY_CHILDREN)
    error.retryable = False
    raise error


_loading = threading.Lock()
_nodes: dict[tuple[int, str, str], _Node] = {}
"""The keys have the process, since one may be forked, the name of the handlers and the URL. Any thread writes it, under
the lock."""


def _node(start: Start) -> _Node:
    key = (os.getpid(), start.target, start.url)
    with _loading:
        if key not in _nodes:
            _nodes[key] = _Node(start)
        return _nodes[key]
