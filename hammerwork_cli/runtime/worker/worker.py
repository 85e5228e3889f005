"""The worker: its arguments, its beginning and end, its loop, and what it hears from outside."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from hammerwork_cli import __version__, app_path
from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.errors import DatabaseError, HammerworkError, LimitReachedError, MissingTablesError, UsageError
from hammerwork_cli.models import new_id
from hammerwork_cli.queries.job import limits
from hammerwork_cli.queries.worker import claim, finish, registry
from hammerwork_cli.queries.worker.finish import End, Ended
from hammerwork_cli.queries.worker.registry import HeartbeatReport, Registration
from hammerwork_cli.render.formats.text import plural
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.queue import Queue
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.api.spawn import SpawnManager
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections, impatient
from hammerwork_cli.runtime.faults import Fault, Progress, is_an_outage_for_all
from hammerwork_cli.runtime.host import secrets
from hammerwork_cli.runtime.host.loading import load_handlers
from hammerwork_cli.runtime.host.memory import memory
from hammerwork_cli.runtime.host.signals import Signals, listening
from hammerwork_cli.runtime.outages import Outages, Trouble
from hammerwork_cli.runtime.outcomes.failures import Failed
from hammerwork_cli.runtime.worker.claimer import Claimer
from hammerwork_cli.runtime.worker.executor import Executor
from hammerwork_cli.runtime.worker.finisher import Finisher
from hammerwork_cli.runtime.worker.heartbeat import HeartbeatThread, heartbeat_timeouts
from hammerwork_cli.runtime.worker.keeper import PATIENCE_OF_KEEPER, Keeper
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.listener import Listener
from hammerwork_cli.runtime.worker.requests import RequestClaimer
from hammerwork_cli.runtime.worker.slots import Attempt, Slots

if TYPE_CHECKING:
    from hammerwork_cli.runtime.isolation.parent import Processes

STALE_SECONDS = 1.0
"""After so long, jobs that have not begun go back to the others."""
DRAIN_SECONDS = 60
"""With ``drain``, jobs that are due within this time are waited for."""
MOST_LATER = 1000
"""So many jobs of a queue that wait for their time are counted when a worker has drained it."""
LONGEST_PAUSE = 5.0
"""After an error that the worker survives."""
LOCK_SECONDS, LOCK_SECONDS_OF_SLOTS = 1.0, 5.0
"""How long the main thread, and a slot, wait for what others have locked, before they let others go first."""
LAST_SECONDS = 10.0
"""For giving jobs back when the worker ends at once."""
DEFAULT_RETRY = RetryStrategy.exponential(timedelta(seconds=1), 2.0, timedelta(minutes=5), jitter=0.1)
log = logging.getLogger("hammerwork")


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker did.

    Attributes:
        completed: runs that completed.
        failed: runs that failed, timed out ones included; not those that a stop gave back.
        restart: somebody asked for another worker in its place.
        unreturned: runs that were given up and whose handlers have not returned: their threads go on until the process
            ends, while others may run the jobs.
        signal: what ended it at once, or began the grace that was over; ``None`` when it ended in any other way.
    """

    completed: int
    failed: int
    restart: bool
    unreturned: int
    signal: int | None = None


class Worker:
    """Runs the jobs of some queues.

    Args:
        queue: the database: a :class:`Queue` or its URL.
        handlers: a :class:`Handlers`, one by its name (``module:attribute``), or one function for the jobs of all
            ``queues``.
        queues: names; by default those that ``handlers`` knows.
        concurrency: jobs that run at once.
        pool_size: connections for what runs write by themselves; three more are the worker's own, four on PostgreSQL.
        poll_interval: seconds between looks at queues that were empty.
        lease: seconds without a heartbeat after which others take its jobs; see docs/explain/liveness.md.
        max_jobs: ends after so many jobs.
        drain: ends when its queues have nothing more to do within a minute, and says what waits for a later time.
        weighted: draws the next priority by weight, so that low ones are not starved; else strictly by priority.
        retry: for jobs and handlers without a strategy of their own.
        name: for people; host and process by default.
        isolation: ``process`` runs handlers in processes, one for each job at once, which are killed when their time is
            up, and whose death fails one attempt; they find the handlers by name. Else ``thread``.
        grace: seconds that what runs has to end in once the worker is told to end; then it goes back to the others.

    Raises:
        UsageError: an argument is out of range, or there is no queue.
    """

    def __init__(
        self,
        queue: Queue | str | DatabaseUrl,
        handlers: Handlers | Callable[[Job], Any] | str | None = None,
        *,
        queues: Sequence[str] = (),
        concurrency: int = 4,
        pool_size: int | None = None,
        poll_interval: float = 1.0,
        lease: float = 30.0,
        max_jobs: int | None = None,
        drain: bool = False,
        weighted: bool = False,
        retry: RetryStrategy = DEFAULT_RETRY,
        name: str | None = None,
        isolation: str = "thread",
        grace: float | None = None,
    ) -> None:
        self.url = queue.url if isinstance(queue, Queue) else Queue(queue).url
        self.named = handlers if isinstance(handlers, str) else None
        self.handlers, self.queues = _handlers(
            load_handlers(handlers) if isinstance(handlers, str) else handlers, queues
        )
        if isolation not in ("thread", "process"):
            raise UsageError(f"isolation is thread or process, not {isolation!r:.60}.")
        self.isolation = isolation
        self._processes: Processes | None = None
        for value, what, least in (
            (concurrency, "concurrency", 1),
            (max_jobs, "max_jobs", 1),
            (pool_size, "pool_size", 1),
        ):
            if value is not None and value < least:
                raise UsageError(f"{what} is at least {least}, not {value}.")
        for seconds, what in ((poll_interval, "poll_interval"), (lease, "lease"), (grace, "grace")):
            if seconds is not None and seconds <= 0:
                raise UsageError(f"{what} is more than 0 seconds, not {seconds}.")
        self.concurrency, self.pool_size = concurrency, pool_size or min(concurrency, 4)
        self.poll_interval, self.lease, self.grace = poll_interval, lease, grace
        self.max_jobs, self.drain, self.weighted, self.retry = max_jobs, drain, weighted, retry
        self._given_name = name
        self._introduce()
        self.on_progress: Callable[[Worker], None] | None = None
        self.completed = self.failed = 0
        self._clock = ServerClock()
        self._given_up = threading.Event()
        self._woken = threading.Event()
        self._stopping = self._restart = self._said_why = False
        self._signals = Signals(self.stop)
        self._counting = threading.Lock()

    def _introduce(self) -> None:
        """Gives it an id, and a name unless it was given one: to a process that was forked, others than before."""
        self.id, self._process = new_id(), os.getpid()
        self.name = self._given_name or f"{socket.gethostname()}-{self._process}"

    def with_spawn_manager(self, manager: SpawnManager) -> Self:
        """Adds the spawn handlers of a manager.

        Raises:
            UsageError: a name is taken, or handlers run in processes, which do not know this manager.
        """
        if self.isolation == "process":
            raise UsageError(
                "Processes know only the handlers that were named.", hint="Include the manager where they are made."
            )
        self.handlers.include(manager)
        return self

    def with_queues(self, *queues: str) -> Self:
        """Serves these queues."""
        self.queues = queues
        return self

    def build(self) -> Self:
        """The worker itself: the last word of a chain of ``with_`` methods."""
        return self

    def run(self) -> WorkerReport:
        """Works until it is stopped, drained, or has done ``max_jobs``. In the main thread it listens to signals.

        A first SIGTERM, SIGHUP or Ctrl-C lets what runs end and gives the rest back. A second one, SIGQUIT, or a grace
        that is over gives all back with its attempts, ends it, and is in the report; what runs and may be tried once
        only is Dead.

        Raises:
            UsageError: there is no queue to serve.
            UnreachableError, AccessDeniedError: the database does not answer at the start.
            MissingTablesError: our migration of workers is missing.
        """
        if not self.queues:
            raise UsageError("The worker has no queue.", hint="Name queues, or register handlers for some.")
        if self.isolation == "process" and self.named is None:
            raise UsageError(
                "Processes find handlers by name, and this worker was given the handlers themselves.",
                hint='Name them: Worker(queue, "my_app:app", isolation="process").',
            )
        self.url.check_file()
        if self._process != os.getpid():
            self._introduce()
        try:
            self._begin()
        except BaseException:
            self._close()
            raise
        try:
            with listening(self._signalled):
                self._slots.start()
                for thread in self._threads():
                    thread.start()
                # Whoever reads this may send a signal.
                served = ", ".join(self.queues)
                log.info("Worker %s (%s) serves %s, %d at once.", self.name, self.id, served, self.concurrency)
                self._work()
        finally:
            self._end()
        self._say_unreturned()
        return WorkerReport(self.completed, self.failed, self._restart, self._slots.running, self._signals.last)

    def _say_unreturned(self) -> None:
        if number := self._slots.running:
            log.warning(
                "%s not returned, and nobody can end a thread: %s until this process ends, also while another worker"
                ' runs the job. End the process, or run handlers with isolation="process".',
                "1 handler has" if number == 1 else f"{number} handlers have",
                "it goes on" if number == 1 else "they go on",
            )

    def stop(self, *, now: bool = False) -> None:
        """Ends the worker: after what runs, or at once. Safe to call from anywhere."""
        begins, self._stopping = not self._stopping, True
        if now:
            self._given_up.set()
        self._woken.set()
        if begins and not now and self.grace is not None:
            self._signals.begin_grace(self.grace)

    def _close(self) -> None:
        for connections in (self._connections, self._pool, *self._others):
            connections.close()

    def _begin(self) -> None:
        secrets.keep(self.url)
        self._progress = Progress(self.lease)
        self._connections = Connections(
            self.url, 1, self._given_up, impatient(self.url, LOCK_SECONDS), lambda: is_an_outage_for_all
        )
        self._pool = Connections(
            self.url,
            self.pool_size,
            self._given_up,
            impatient(self.url, LOCK_SECONDS_OF_SLOTS),
            lambda: Fault(self._progress).passes,
        )
        for_heartbeat = Connections(self.url, 1, self._given_up, heartbeat_timeouts(self.lease))
        for_keeper = Connections(self.url, 1, self._given_up, PATIENCE_OF_KEEPER)
        for_listener = Connections(self.url, 1, self._given_up)
        for_handlers = Queue.of_worker(self.url)
        self._others = [for_heartbeat, for_keeper, for_listener, for_handlers.connections]
        outages = Outages()
        for connections in (self._connections, self._pool, *self._others):
            connections.outages = outages
        self._trouble = Trouble(outages)
        self._connections.run(self._look, patience=0)
        handlers = self.handlers
        if self.isolation == "process" and self.named is not None:
            with app_path.without():
                from hammerwork_cli.runtime.isolation.parent import processes
            self._processes = processes(self.named, self.url)
            handlers = self._processes.handlers(handlers)
        self._executor = Executor(handlers, self._pool, for_handlers, self._clock, self.retry)
        self._executor.counted, self._executor.spawned = self._count, self._wake
        self._executor.processes = self._processes
        self._lease = Lease(self.lease, time.monotonic())
        self._slots = Slots(self.concurrency, self._executor.execute, self._woken.set, self._is_held)
        self._executor.slots = self._slots
        registration = Registration(
            id=self.id,
            name=self.name[:255],
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            version=__version__,
            queues=tuple(self.queues),
            handlers=self.handlers.handler_names,
            concurrency=self.concurrency,
            lease=self.lease,
        )
        self._claimer = Claimer(
            registration,
            self._connections,
            self._slots,
            self._lease,
            self._clock,
            poll_interval=self.poll_interval,
            max_jobs=self.max_jobs,
            weighted=self.weighted,
        )
        self._request_claimer = RequestClaimer(registration, self._slots, self._clock)
        self._finisher = Finisher(
            self._connections, self._slots, self._clock, self._progress, self._executor.failed, self._count
        )
        with suppress(LimitReachedError):  # others have locked them: whoever begins next forgets them
            self._connections.run(registry.forget_ended, patience=0)
        # Last of all: from here on, others wait for its heartbeat.
        self._connections.run(lambda database: registry.register(database, registration), patience=0)
        self._heartbeat = HeartbeatThread(
            for_heartbeat,
            registration,
            self._lease,
            self._clock,
            report=self._report,
            on_request=self._asked,
            on_renewed=self._renewed,
        )
        self._keeper = Keeper(
            for_keeper, registration, self._lease, self._clock, take_requests=self._take_requests, wake=self._wake
        )
        self._listener = Listener(for_listener, registration.queues, self._wake)

    def _threads(self) -> list[HeartbeatThread | Keeper | Listener]:
        """Those beside the slots; the heart is last, since it is to beat as long as the others work."""
        listeners = [self._listener] if self.url.dialect == "postgresql" else []
        return [*listeners, self._keeper, self._heartbeat]

    def _look(self, database: Database) -> None:
        if not {"workers", "claim_times"} <= database.tags:
            raise MissingTablesError(
                "The tables of workers (017, 018) are missing.", hint="Run: hammerwork migration run"
            )
        for queue in self.queues:
            limits.check_name(database, queue)
        self._clock.set(database.now())

    def _sign_off(self, database: Database) -> None:
        registry.end(database, self.id, self.name, self._report(), self._clock.now())

    def _end(self) -> None:
        self._signals.over()
        for thread in self._threads():
            thread.stopped.set()
        for thread in self._threads():
            if thread.is_alive():  # one that could not be started is not
                thread.join(LAST_SECONDS)
        self._slots.close()
        self._given_up.set()
        if self._processes is not None:
            self._processes.close()
            self._slots.join(LAST_SECONDS)
            self._processes.forget()
        self._executor.close()
        with suppress(HammerworkError):
            self._connections.run(self._sign_off, patience=LAST_SECONDS)
        self._close()
        log.info("Worker %s ended: %d completed, %d failed.", self.name, self.completed, self.failed)

    def _signalled(self, number: int) -> None:
        self._restart = False  # who sends signals wants it to end
        self._signals.hear(number)

    def _work(self) -> None:
        troubled = 0
        while not self._given_up.is_set():
            try:
                if self._turn():
                    return
                troubled = 0
                if self._is_held():
                    self._trouble.over()
            except Exception as error:  # noqa: BLE001  it ends only when it is told to
                troubled += 1
                self._say_trouble(error)
                self._given_up.wait(min(LONGEST_PAUSE, 0.1 * 2 ** min(troubled, 10)))
        self._leave_at_once()

    def _say_trouble(self, error: Exception) -> None:
        if isinstance(error, DatabaseError):
            self._trouble.failed(f"{error.message} The worker waits and tries again.", logging.ERROR)
        else:
            log.exception("An error of the worker itself. It goes on.")

    def _turn(self) -> bool:
        """Writes, claims, waits; whether there is nothing left to do."""
        self._slots.expire(self._timed_out)  # also while the rest of every turn fails
        if self._finisher.write():
            self._claimer.look_now()
        self._claimer.compare()
        if self._stopping:
            self._claimer.give_back(self._slots.take_back())
            if self._slots.empty and not self._claimer.owes:
                return True
            self._say_why_it_waits()
        elif not self._claimer.fetch() and self._nothing_left():
            return True
        self._wait()
        return False

    def _say_why_it_waits(self) -> None:
        if self._said_why or self._slots.running or not (self._slots.held_up or self._claimer.owes):
            return
        self._said_why = True
        log.warning(
            "The worker cannot end yet: what %s came to cannot be written, or jobs cannot be given back. "
            "It goes on trying; told to end once more, it ends at once.",
            plural(self._slots.held_up, "job"),
        )

    def _wait(self) -> None:
        due = self._slots.expire(self._timed_out)
        # A slot that gets free wakes it.
        idle = self._stopping or self._claimer.full
        pause = self.poll_interval if idle else self._claimer.pause
        if due is not None:
            pause = min(pause, max(0.0, due - time.monotonic()))
        if self._slots.waiting or self._slots.running:
            # What has just begun may have a deadline, and what waits may have become stale.
            pause = min(pause, STALE_SECONDS)
        if (write_in := self._finisher.pause) is not None:
            pause = min(pause, write_in)
        self._woken.wait(pause)
        self._woken.clear()
        stale = self._slots.take_back(STALE_SECONDS)
        self._claimer.give_back(stale)

    def _nothing_left(self) -> bool:
        self._claimer.compare()
        if self._claimer.done:
            return self._takes_no_more_requests()
        if not self.drain or not self._slots.empty:
            return False
        if not self._connections.run(self._drained) or not self._takes_no_more_requests():
            return False
        with suppress(HammerworkError):
            self._connections.run(self._say_what_is_later, patience=0)
        return True

    def _say_what_is_later(self, database: Database) -> None:
        if number := claim.later(database, self.queues, self._clock.now(), MOST_LATER):
            most = "at least " if number >= MOST_LATER else ""
            waits = "waits" if number == 1 else "wait"
            log.info("%s%s of these queues %s for a later time.", most, plural(number, "job"), waits)

    def _drained(self, database: Database) -> bool:
        soon = self._clock.now() + timedelta(seconds=DRAIN_SECONDS)
        self._take_requests(database)
        return (
            self._slots.empty and not self._may_come_back(database) and claim.drained(database, list(self.queues), soon)
        )

    def _may_come_back(self, database: Database) -> bool:
        """Whether jobs of its queues are with workers that may be lost: their jobs come back within a lease."""
        undecided = self._keeper.undecided
        return undecided is None or claim.are_held(database, self.queues, sorted(undecided))

    def _takes_no_more_requests(self) -> bool:
        """Whether there is none that the keeper took meanwhile."""
        self._request_claimer.close()
        return self._slots.empty

    def _count(self, completed: int, failed: int) -> None:
        self._progress.count()
        with self._counting:
            self.completed += completed
            self.failed += failed
        if self.on_progress:
            self.on_progress(self)

    def _timed_out(self, attempt: Attempt) -> Ended:
        if self._processes is not None:
            self._processes.kill(attempt.thread, attempt)
        took = (attempt.deadline or 0) - attempt.began
        return self._executor.failed(attempt.job, Failed(f"It did not end within {took:g} s.", End.TIMED_OUT))

    def _leave_at_once(self) -> None:
        """Everything goes back with its attempt, but for what runs and must not run twice."""
        back = self._slots.take_back()
        self._slots.abandon(lambda attempt: self._executor.stopped(attempt.job))
        if self._processes is not None:
            self._processes.close()  # before others take what runs there
        try:
            if back:
                self._connections.run(lambda database: finish.give_back(database, back), patience=LAST_SECONDS)
            if left := self._finisher.write_last(LAST_SECONDS):
                jobs = plural(left, "job")
                log.error("What %s came to is not written: others will run them after %g s.", jobs, self.lease)
        except HammerworkError as error:
            log.error("Jobs could not be given back; others will take them after %g s. %s", self.lease, error.message)

    def _report(self) -> HeartbeatReport:
        return HeartbeatReport(
            state="stopping" if self._stopping else "running",
            running=self._slots.running,
            completed=self.completed,
            failed=self.failed,
            memory=memory(self._processes.ids() if self._processes else ()),
        )

    def _asked(self, request: str) -> None:
        log.info("Somebody asks the worker to %s.", request)
        self._restart = request == "restart"
        self.stop()

    def _is_held(self) -> bool:
        return self._lease.is_held(time.monotonic())

    def _renewed(self) -> None:
        if self._lease.is_doubted:
            self._woken.set()
        self._slots.go_on()

    def _wake(self) -> None:
        self._claimer.wake()
        # While jobs wait here there is time: who has worked them off wakes it.
        if not self._slots.waiting:
            self._woken.set()

    def _take_requests(self, database: Database) -> None:
        if not self._stopping:
            self._request_claimer.take(database)


def _handlers(given: Handlers | Callable[[Job], Any] | None, queues: Sequence[str]) -> tuple[Handlers, tuple[str, ...]]:
    if isinstance(given, Handlers):
        return given, tuple(queues) or tuple(sorted({*given.queues, *given.handler_names}))
    handlers = Handlers()
    for queue in queues if given is not None else ():
        assert given is not None
        handlers.register_job(queue, given)
    return handlers, tuple(queues)
