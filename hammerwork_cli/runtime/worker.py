"""The worker: it claims jobs, runs them in slots, and writes what came of them."""

import logging
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from hammerwork_cli import __version__
from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.errors import HammerworkError, MissingTablesError, RefusedValueError, UsageError
from hammerwork_cli.models import JobPriority, SpawnRequest, new_id
from hammerwork_cli.queries import claims, spawning, workers
from hammerwork_cli.queries.claims import Claimed, End, Ended
from hammerwork_cli.queries.workers import Pulse, Registration
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.failures import Failed, cleaned
from hammerwork_cli.runtime.handlers import Handlers
from hammerwork_cli.runtime.job import Job
from hammerwork_cli.runtime.pulse import Heart, ServerClock
from hammerwork_cli.runtime.queue import Queue
from hammerwork_cli.runtime.retry import RetryStrategy
from hammerwork_cli.runtime.runs import Runner
from hammerwork_cli.runtime.slots import Run, Slots, Wish
from hammerwork_cli.runtime.spawning import SpawnManager

if TYPE_CHECKING:
    from hammerwork_cli.runtime.isolation import Processes

MOST_PREFETCHED = 500
PREFETCH_SECONDS = 0.2
"""Work that a worker keeps ready, by what its runs have taken lately: what it keeps, no other worker can do."""
WRITE_SECONDS = 0.005
"""How long the end of a job waits for others, to be written with them."""
STALE_SECONDS = 1.0
"""After so long, jobs that have not begun go back to the others."""
DRAIN_SECONDS = 60
"""With ``drain``, jobs that are due within this time are waited for."""
EAGER_SECONDS, EAGER_PAUSE = 0.3, 0.02
"""After it was woken, a worker that finds nothing looks again so long, so often."""
LAST_SECONDS = 10.0
"""For giving jobs back when the worker ends at once."""
WEIGHTS = {
    JobPriority.BACKGROUND: 1,
    JobPriority.LOW: 2,
    JobPriority.NORMAL: 5,
    JobPriority.HIGH: 10,
    JobPriority.CRITICAL: 20,
}
DEFAULT_RETRY = RetryStrategy.exponential(timedelta(seconds=1), 2.0, timedelta(minutes=5), jitter=0.1)
log = logging.getLogger("hammerwork")


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker did.

    Attributes:
        completed: runs that completed.
        failed: runs that failed, timed out ones included.
        restart: somebody asked for another worker in its place.
        unreturned: runs that were given up and whose handlers have not returned: their threads are still there.
        signal: the second signal, which ended it at once; ``None`` when it ended in any other way.
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
        pool_size: connections for what runs write by themselves; two more are the worker's own.
        poll_interval: seconds between looks at queues that were empty.
        lease: seconds without a heartbeat after which others take its jobs.
        max_jobs: ends after so many jobs.
        drain: ends when its queues have nothing more to do within a minute.
        weighted: draws the next priority by weight, so that low ones are not starved; else strictly by priority.
        retry: for jobs and handlers without a strategy of their own.
        name: for people; host and process by default.
        isolation: ``process`` runs handlers in processes, one for each job at once, which are killed when their time is
            up, and whose death fails one attempt; they find the handlers by name. Else ``thread``.

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
    ) -> None:
        self.url = queue.url if isinstance(queue, Queue) else Queue(queue).url
        self.named = handlers if isinstance(handlers, str) else None
        self.handlers, self.queues = _handlers(_loaded(handlers) if isinstance(handlers, str) else handlers, queues)
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
        for seconds, what in ((poll_interval, "poll_interval"), (lease, "lease")):
            if seconds <= 0:
                raise UsageError(f"{what} is more than 0 seconds, not {seconds}.")
        self.concurrency, self.pool_size = concurrency, pool_size or min(concurrency, 4)
        self.poll_interval, self.lease = poll_interval, lease
        self.max_jobs, self.drain, self.weighted, self.retry = max_jobs, drain, weighted, retry
        self.id = new_id()
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.on_progress: Callable[[Worker], None] | None = None
        self.completed = self.failed = 0
        self._clock = ServerClock()
        self._given_up = threading.Event()
        self._woken = threading.Event()
        self._stopping = self._restart = self._full = False
        self._signals_heard: list[int] = []
        self._claimed = 0
        self._look_at = 0.0
        self._turn = self._heard = self._seen = 0
        self._eager_until = 0.0
        self._doubts: list[float] = []
        self._counting = threading.Lock()
        self._wishing = threading.Lock()
        self._leaving = False

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

    # Running.

    def run(self) -> WorkerReport:
        """Works until it is stopped, drained, or has done ``max_jobs``. In the main thread it listens to signals.

        A first SIGTERM or Ctrl-C lets what runs end and gives the rest back; a second one gives all back, ends, and is
        in the report.

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
        try:
            self._begin()
        except BaseException:
            self._close()
            raise
        try:
            with self._signals():
                # Whoever reads this may send a signal.
                served = ", ".join(self.queues)
                log.info("Worker %s (%s) serves %s, %d at once.", self.name, self.id, served, self.concurrency)
                self._work()
        finally:
            self._end()
        second = self._signals_heard[1] if len(self._signals_heard) > 1 else None
        return WorkerReport(self.completed, self.failed, self._restart, self._slots.running, second)

    def stop(self, *, now: bool = False) -> None:
        """Ends the worker: after what runs, or at once. Safe to call from anywhere."""
        self._stopping = True
        if now:
            self._given_up.set()
        self._woken.set()

    def _close(self) -> None:
        for connections in (self._connections, self._pool, self._hearts):
            connections.close()

    def _begin(self) -> None:
        self._connections = Connections(self.url, 1, self._given_up)
        self._pool = Connections(self.url, self.pool_size, self._given_up)
        self._hearts = Connections(self.url, 1, self._given_up)
        self._connections.run(self._look, patience=0)
        handlers = self.handlers
        if self.isolation == "process" and self.named is not None:
            self._processes = _processes(self.named, self.url)
            handlers = self._processes.handlers(handlers)
        self._runner = Runner(handlers, self._pool, Queue(self.url), self._clock, self.retry)
        self._runner.counted, self._runner.processes = self._count, self._processes
        self._slots = Slots(self.concurrency, self._runner.execute, self._woken.set)
        self._runner.slots = self._slots
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
        self._connections.run(lambda database: workers.register(database, registration), patience=0)
        self._heart = Heart(
            self._hearts,
            registration,
            self._clock,
            pulse=self._pulse,
            on_request=self._asked,
            on_wishes=self._wishes,
            wake=self._wake,
        )
        self._slots.start()
        self._heart.start()

    def _look(self, database: Database) -> None:
        if "workers" not in database.tags:
            raise MissingTablesError("The tables of workers (017) are missing.", hint="Run: hammerwork migration run")
        self._clock.set(database.now())

    def _sign_off(self, database: Database) -> None:
        workers.end(database, self.id, self.name, self._pulse(), self._clock.now())

    def _end(self) -> None:
        self._heart.stop()
        self._slots.close()
        self._given_up.set()
        if self._processes is not None:
            self._processes.close()
            self._slots.join(LAST_SECONDS)
            self._processes.forget()
        with suppress(HammerworkError):
            self._connections.run(self._sign_off, patience=LAST_SECONDS)
        self._close()
        log.info("Worker %s ended: %d completed, %d failed.", self.name, self.completed, self.failed)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def heard(number: int, frame: FrameType | None) -> None:
            del frame
            self._signals_heard.append(number)
            again = len(self._signals_heard) > 1
            self._restart = False  # who sends signals wants it to end
            self.stop(now=again)
            says = "gives its jobs back and ends now" if again else "ends after what runs; once more ends it now"
            log.info("Signal %d: the worker %s.", number, says)

        before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _work(self) -> None:
        while not self._given_up.is_set():
            self._write()
            self._settle_doubts()
            if self._stopping:
                self._give_back(self._slots.take_back())
                if self._slots.empty:
                    return
            elif not self._fetch() and self._nothing_left():
                return
            self._wait()
        self._leave_at_once()

    def _wait(self) -> None:
        due = self._slots.expire(self._timed_out)
        # A slot that gets free wakes it.
        idle = self._stopping or self._full
        pause = self.poll_interval if idle else max(0.0, self._look_at - time.monotonic())
        if due is not None:
            pause = min(pause, max(0.0, due - time.monotonic()))
        if self._slots.waiting or self._slots.running:
            # What has just begun may have a deadline, and what waits may have become stale.
            pause = min(pause, STALE_SECONDS)
        self._woken.wait(self._pause_to_write(pause))
        self._woken.clear()
        stale = self._slots.take_back(STALE_SECONDS)
        if stale:
            self._slots.seconds.clear()
            self._give_back(stale)

    def _pause_to_write(self, pause: float) -> float:
        return min(pause, self._slots.worth_writing(WRITE_SECONDS)) if self._slots.has_ended else pause

    # Claiming.

    def _fetch(self) -> bool:
        """Whether there is work, or there may be."""
        wanted = self._wanted()
        self._full = wanted <= 0
        if self._full:
            return self.max_jobs is None or self._claimed < self.max_jobs
        if self._seen == self._heard and time.monotonic() < self._look_at:
            return self._slots.running + self._slots.waiting > 0
        self._seen = self._heard
        got = self._claim(wanted)
        self._claimed += len(got)
        # What was not all that there is is asked for again at once; an empty queue after a while.
        hungry = len(got) >= wanted or (got and self._news(got))
        self._look_at = 0.0 if hungry else self._next_look()
        if got:
            self._slots.put(got)
        return bool(got) or not self._slots.empty

    def _next_look(self) -> float:
        now = time.monotonic()
        if now < self._eager_until:
            # A job that has just been written may be due in a moment, by a clock that goes a little before ours.
            return now + EAGER_PAUSE
        return now + self.poll_interval * random.uniform(0.8, 1.2)  # noqa: S311  jitter is no secret

    def _news(self, got: list[Claimed]) -> bool:
        """Whether there was a queue of which little was taken because nobody knew its jobs."""
        return any(job.queue_name not in self._slots.seconds for job in got)

    def _wanted(self) -> int:
        slots = self._slots
        took = max(slots.seconds.values(), default=PREFETCH_SECONDS)
        ahead = min(MOST_PREFETCHED, int(self.concurrency * PREFETCH_SECONDS / max(took, 1e-6)))
        room = self.concurrency + ahead - slots.running - slots.waiting
        if slots.waiting and room < (self.concurrency + ahead) // 2:
            return 0
        return room if self.max_jobs is None else min(room, self.max_jobs - self._claimed)

    def _claim(self, wanted: int) -> list[Claimed]:
        found: list[Claimed] = []
        self._turn += 1
        for queue in _from(self.queues, self._turn):
            for priority in self._priorities():
                limit = wanted - len(found)
                if limit <= 0:
                    return found
                found += self._connections.run(self._claiming(queue, priority, limit, len(found)))
        return found

    def _claiming(
        self, queue: str, priority: int | None, limit: int, taken: int
    ) -> Callable[[Database], list[Claimed]]:
        free = max(0, self.concurrency - self._slots.running - self._slots.waiting - taken)
        # Nobody knows how long the jobs of a new queue take.
        limit = limit if queue in self._slots.seconds else max(1, min(limit, free))
        tries = 0

        def unit(database: Database) -> list[Claimed]:
            nonlocal tries
            tries += 1
            if tries > 1:
                # The first try may have taken jobs that this worker knows nothing of, or may yet take them.
                self._doubts = [0.0, time.monotonic() + self.lease]
            return claims.claim(
                database,
                queue,
                worker=self.id,
                now=self._clock.now(),
                limit=limit,
                slots=free,
                priority=priority,
            )

        return unit

    def _settle_doubts(self) -> None:
        """Gives back what was taken by a claim whose commit was not answered."""
        if not self._doubts or time.monotonic() < self._doubts[0]:
            return
        back = self._connections.run(lambda database: claims.give_back_unknown(database, self.id, self._slots.ids))
        self._doubts.pop(0)
        if back:
            log.info("%d jobs of a claim whose answer was lost may run again.", back)
            self._look_at = 0.0

    def _priorities(self) -> Iterable[int | None]:
        if not self.weighted:
            return (None,)
        # A random order in which each priority comes first as often as its weight says.
        return sorted(WEIGHTS, key=lambda priority: random.random() ** (1 / WEIGHTS[priority]), reverse=True)  # noqa: S311

    def _nothing_left(self) -> bool:
        self._settle_doubts()
        if self.max_jobs is not None and self._claimed >= self.max_jobs:
            return self._takes_no_more_wishes()
        if not self.drain or not self._slots.empty:
            return False
        return self._connections.run(self._drained) and self._takes_no_more_wishes()

    def _drained(self, database: Database) -> bool:
        soon = self._clock.now() + timedelta(seconds=DRAIN_SECONDS)
        self._wishes(database, spawning.pending_requests(database))
        return self._slots.empty and claims.drained(database, list(self.queues), soon)

    def _takes_no_more_wishes(self) -> bool:
        """From now on the heart takes none; whether there is none that it took meanwhile."""
        with self._wishing:
            self._leaving = True
        return self._slots.empty

    def _give_back(self, jobs: list[Claimed]) -> None:
        if jobs:
            self._claimed -= len(jobs)
            self._connections.run(lambda database: claims.give_back(database, jobs))

    # Writing.

    def _write(self) -> None:
        if not self._slots.has_ended or self._slots.worth_writing(WRITE_SECONDS) > 0:
            return
        ended = self._slots.take_ended()
        try:
            self._settle(ended)
        except RefusedValueError:
            for run in ended:
                self._settle_one(run)
        self._look_at = 0.0

    def _settle_one(self, run: Ended) -> None:
        try:
            self._settle([run])
        except RefusedValueError as error:
            # Its result, or a next run that the database cannot hold.
            failure = Failed(cleaned(f"The database refuses what the job returned. {error.message}"))
            self._settle([self._runner.failed(run.job, failure)])

    def _settle(self, ended: list[Ended]) -> None:
        settled = self._connections.run(lambda database: claims.settle(database, ended, self._now(ended)))
        for job in settled.lost:
            log.warning("Job %s is not this worker's any more: what it did is not written.", job)
        completed = sum(1 for run in ended if run.end == End.COMPLETED and run.job.id not in settled.lost)
        self._count(completed, len(ended) - completed - len(settled.lost))

    def _now(self, ended: list[Ended]) -> datetime:
        # A job does not end before it has begun, even when the server's clock was put back.
        return max(self._clock.now(), *(run.job.claim.started_at for run in ended))

    def _count(self, completed: int, failed: int) -> None:
        with self._counting:
            self.completed += completed
            self.failed += failed
        if self.on_progress:
            self.on_progress(self)

    def _timed_out(self, run: Run) -> Ended:
        if self._processes is not None:
            self._processes.kill(run.thread)
        took = (run.deadline or 0) - run.began
        return self._runner.failed(run.job, Failed(f"It did not end within {took:g} s.", End.TIMED_OUT))

    def _leave_at_once(self) -> None:
        """Everything goes back: what has not begun as it was, what runs for another attempt."""
        back = self._slots.take_back()
        self._slots.abandon(
            lambda run: Ended(run.job, End.RETRY, error="Its worker was stopped.", at=self._clock.now())
        )
        ended = self._slots.take_ended()
        try:
            if back:
                self._connections.run(lambda database: claims.give_back(database, back), patience=LAST_SECONDS)
            if ended:
                self._settle(ended)
        except HammerworkError as error:
            log.error("Jobs could not be given back; others will take them after %g s. %s", self.lease, error.message)

    # What others ask for.

    def _pulse(self) -> Pulse:
        return Pulse(
            state="stopping" if self._stopping else "running",
            running=self._slots.running,
            completed=self.completed,
            failed=self.failed,
            memory=_memory(),
        )

    def _asked(self, request: str) -> None:
        log.info("Somebody asks the worker to %s.", request)
        self._restart = request == "restart"
        self.stop()

    def _wake(self) -> None:
        # Counted: a claim that is under way may have looked before the job was there.
        self._heard += 1
        self._eager_until = time.monotonic() + EAGER_SECONDS
        self._woken.set()

    def _wishes(self, database: Database, wishes: list[SpawnRequest]) -> None:
        with self._wishing:
            for wish in wishes:
                if self._stopping or self._leaving or not self._serves(wish):
                    continue
                job = spawning.take_request(database, wish, self.id, self._clock.now())
                if job is not None:
                    self._slots.put([Wish(wish, job)])

    def _serves(self, wish: SpawnRequest) -> bool:
        known = self.handlers.handler_names
        return wish.handler in known if wish.handler else wish.queue in known or wish.queue in self.queues


def _handlers(given: Handlers | Callable[[Job], Any] | None, queues: Sequence[str]) -> tuple[Handlers, tuple[str, ...]]:
    if isinstance(given, Handlers):
        return given, tuple(queues) or tuple(sorted({*given.queues, *given.handler_names}))
    handlers = Handlers()
    for queue in queues if given is not None else ():
        assert given is not None
        handlers.register_job(queue, given)
    return handlers, tuple(queues)


def _loaded(name: str) -> Handlers:
    from hammerwork_cli.runtime.loading import load

    found = load(name)
    return found if isinstance(found, Handlers) else found.handlers


def _processes(name: str, url: DatabaseUrl) -> "Processes":
    from hammerwork_cli.runtime import logs
    from hammerwork_cli.runtime.isolated import Start
    from hammerwork_cli.runtime.isolation import Processes

    return Processes(Start(name, url.raw, logs.settings()))


def _from(queues: Sequence[str], turn: int) -> Iterator[str]:
    """All queues, each time beginning with another one."""
    for number in range(len(queues)):
        yield queues[(turn + number) % len(queues)]


def _memory() -> int | None:
    """Bytes that this process holds; ``None`` where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  read with every heartbeat
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
