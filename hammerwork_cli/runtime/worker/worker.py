"""The worker: its options, its start and its end."""

import logging
import os
import shlex
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from hammerwork_cli import app_path
from hammerwork_cli.core.codecs import Codecs
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.near import did_you_mean
from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.errors import HammerworkError, LimitReachedError, MissingTablesError, UsageError
from hammerwork_cli.features.job.queries import encryption as encryption_queries
from hammerwork_cli.features.job.queries import limits
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.migration.model import UNREADABLE_STRATEGY, MigrationState
from hammerwork_cli.features.worker.models.worker import WRONG_CLOCK
from hammerwork_cli.features.worker.queries import limits as queue_limits
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.queries.ancestry import MOST_DESCENDANTS
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.runtime.api import importing
from hammerwork_cli.runtime.api.absent import Translated, deprecated, hinting
from hammerwork_cli.runtime.api.encryption import EncryptionKeys
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.queue import Queue, url_of, with_keys
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.api.spawn import SpawnManager
from hammerwork_cli.runtime.clock import ServerClock, elapsed
from hammerwork_cli.runtime.execution.isolation import InThreads, Isolation, Source, in_processes
from hammerwork_cli.runtime.faults import Progress
from hammerwork_cli.runtime.host import logs, secrets
from hammerwork_cli.runtime.host.loading import load_handlers
from hammerwork_cli.runtime.host.signals import listening
from hammerwork_cli.runtime.worker.assembly import WorkerComponents, assemble
from hammerwork_cli.runtime.worker.context import WorkerConnections, WorkerContext
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.loop import CANCEL_SECONDS, LAST_SECONDS, MainLoop
from hammerwork_cli.runtime.worker.options import DEFAULT_RETRY, Options
from hammerwork_cli.runtime.worker.stopping import StopSwitch
from hammerwork_cli.version import __version__
from hammerwork_cli.view.text import duration, plural

UNUSED = ("hammerwork_encryption_keys", "hammerwork_key_audit_log", "hammerwork_kms_data_keys")
"""Tables of hammerwork (Rust) that no statement of a worker names."""

log = logging.getLogger("hammerwork")
_naming = threading.Lock()
_names: set[str] = set()
"""Names of the workers that run in this process; any thread writes it, under the lock."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker did.

    Attributes:
        completed: attempts that completed.
        failed: attempts that failed or timed out, without those that a stop gave back.
        restart: whether an operator asked to restart it, or :meth:`Worker.restart` was called.
        unreturned: abandoned attempts whose handlers have not returned: their threads or coroutines go on until the
            process ends, while others may run the jobs.
        signal: the signal that stopped it at once, or after which its grace ran out; ``None`` when it ended otherwise.
        unwritten: outcomes that could not be written before it stopped at once; these jobs run again if they have
            attempts left.
    """

    completed: int
    failed: int
    restart: bool
    unreturned: int
    signal: int | None = None
    unwritten: int = 0


class Worker(Translated):
    """Runs the jobs of some queues.

    Args:
        queue: the database: a :class:`Queue` or its URL.
        handlers: a :class:`Handlers`, its name (``module:attribute``), or one function for the jobs of all
            ``queues``.
        queues: names; by default those of the ``handlers``. ``{"api": 10, "load": 2}`` also says how many jobs of each
            this worker runs at once; :meth:`Queue.limit` limits all workers together.
        concurrency: jobs that run at once.
        pool_size: connections for what attempts write themselves; the worker uses up to eight more, ten on PostgreSQL.
        poll_interval: seconds between claims from empty queues.
        lease: seconds without a heartbeat after which others take over; see docs/explain/liveness.md.
        max_jobs: stops after this many jobs.
        max_descendants: the most jobs below the root of a tree whose spawn configurations set no ``max_descendants``.
        drain: stops once no job of its queues is due within a minute, and logs how many are due later.
        weighted: draws the next priority by weight, so that low ones do not starve; otherwise, it claims strictly by
            priority.
        sweep: releases or fails jobs of all queues that still wait although their dependencies have ended, as jobs of
            Rust workers do.
        upkeep: enqueues the jobs of schedules and callbacks, and ends workflows; with ``drain`` it does so for
            callbacks alone, at its end.
        upkeep_only: does nothing but upkeep, and needs neither queues nor handlers.
        retention: archives and deletes jobs as policies say; with ``drain`` it leaves that to others.
        rescue_older_than: seconds after which it rescues a Running job of any queue that no worker of hammerwork-cli
            has claimed: workers of hammerwork (Rust) before version 3 keep no leases. It must be longer than their
            longest job.
        retry: for jobs and handlers without a strategy of their own.
        name: for people; host and process by default.
        isolation: ``thread``, or ``process``: that runs handlers in processes, one for each concurrent job. A process
            is killed when its time is up, and its death fails one attempt. Or any :class:`concurrent.futures.Executor`
            or a function that makes one, such as Dask's ``client.get_executor``; ``{"render": make}`` chooses it for
            some queues, and the others run in threads. Processes and executors find the handlers by name.
        max_jobs_per_process: attempts after which a process is replaced, its resources closed.
        max_memory: bytes of a process's memory: above it, the process is replaced after an attempt; during one, it is
            killed, and the attempt fails. Linux only.
        grace: seconds that running jobs have to finish once the worker is asked to stop; then it gives them back.
        health_file: a file for probes, which gets a line with each heartbeat and is removed when the worker stops.
        allowed_programs: commands that streams may run on this host, word for word: ``["python3 to_nats.py jobs"]``.
        allowed_env: variables of this host that streams and webhooks may send.
        allow_private_addresses: lets streams and webhooks reach addresses that are not public.
        allow_insecure: lets streams and webhooks send without TLS, or to hosts whose certificate is not checked.
        encryption: keys that decrypt payloads; by default those of ``queue``. If none fits, the attempt fails.

    Attributes:
        id: a UUID, anew for each run.
        name: as ``hammerwork worker list`` shows it.
        queues: the names of those that it serves.

    Raises:
        UsageError: an argument is out of range, or there is no queue.
    """

    @hinting("Worker")
    def __init__(
        self,
        queue: Queue | str | DatabaseUrl,
        handlers: Handlers | Callable[[Job], Any] | str | None = None,
        *,
        queues: Sequence[str] | Mapping[str, int] = (),
        concurrency: int = 4,
        pool_size: int | None = None,
        poll_interval: float = 1.0,
        lease: float = 30.0,
        max_jobs: int | None = None,
        max_descendants: int = MOST_DESCENDANTS,
        drain: bool = False,
        weighted: bool = False,
        sweep: bool = True,
        upkeep: bool = True,
        upkeep_only: bool = False,
        retention: bool = True,
        rescue_older_than: float | None = None,
        retry: RetryStrategy = DEFAULT_RETRY,
        name: str | None = None,
        isolation: "str | Source | Mapping[str, Source] | Isolation" = "thread",
        max_jobs_per_process: int | None = None,
        max_memory: int | None = None,
        grace: float | None = None,
        health_file: str | Path | None = None,
        allowed_programs: Sequence[str] = (),
        allowed_env: Sequence[str] = (),
        allow_private_addresses: bool = False,
        allow_insecure: bool = False,
        encryption: EncryptionKeys | None = None,
    ) -> None:
        self._url = with_keys(queue.url if isinstance(queue, Queue) else url_of(queue), encryption)
        self._target = handlers if isinstance(handlers, str) else None
        self._handlers, self.queues = _handlers(
            load_handlers(handlers) if isinstance(handlers, str) else handlers, fields.names(queues, "queues")
        )
        self._options = Options(
            concurrency=concurrency,
            pool_size=pool_size,
            poll_interval=poll_interval,
            lease=lease,
            max_jobs=max_jobs,
            max_descendants=max_descendants,
            drain=drain,
            weighted=weighted,
            sweep=sweep,
            upkeep=upkeep,
            upkeep_only=upkeep_only,
            retention=retention,
            rescue_older_than=rescue_older_than,
            retry=retry,
            name=name,
            isolation=isolation,
            max_jobs_per_process=max_jobs_per_process,
            max_memory=max_memory,
            grace=grace,
            health_file=None if health_file is None else Path(health_file),
            allowed_programs=allowed_programs,
            allowed_env=allowed_env,
            allow_private_addresses=allow_private_addresses,
            allow_insecure=allow_insecure,
            most_of=queues if isinstance(queues, Mapping) else {},
        )
        self._running, self._has_run = threading.Lock(), False
        # Whether its program starts another one in its place when an operator asks for it: ``worker start`` does.
        self._starts_again = False
        self._introduce()
        self._set_up()

    def _introduce(self) -> None:
        # A forked process is another worker.
        self.id, self._process = new_id(), os.getpid()
        self.name = self._options.name or f"{socket.gethostname()}-{self._process}"

    def _claim_name(self) -> None:
        """Gives one of several workers of a process another name, unless its application has named it."""
        if self._options.name:
            return
        with _naming:
            number = 1
            while self.name in _names:
                number += 1
                self.name = f"{socket.gethostname()}-{self._process}-{number}"
            _names.add(self.name)

    def _set_up(self) -> None:
        self._stop = StopSwitch(self._options.grace)
        self._progress = Progress(self._options.lease, self._options.on_progress, logs.show_ends)

    @property
    def completed(self) -> int:
        """Attempts that completed so far."""
        return self._progress.completed

    @property
    def failed(self) -> int:
        """Attempts that failed so far."""
        return self._progress.failed

    def with_spawn_manager(self, manager: SpawnManager) -> Self:
        """Adds the spawn handlers of a manager.

        Raises:
            UsageError: a name is taken, or handlers run in processes, which do not know this manager.
        """
        if self._options.isolation != "thread":
            raise UsageError(
                "Processes know only the handlers that were named.", hint="Include the manager where they are made."
            )
        self._handlers.include(manager)
        return self

    def _with_queues(self, *queues: str) -> Self:
        self.queues = fields.names(queues, "queues")
        return self

    def with_queues(self, *queues: str) -> Self:
        """Deprecated: ``Worker(queues=...)``."""
        deprecated("Worker.with_queues", "Worker(queues=...)")
        return self._with_queues(*queues)

    def with_options(self, **options: Any) -> Self:
        """Deprecated: the arguments of the constructor."""
        deprecated("Worker.with_options", "the arguments of Worker")
        return self._with_options(**options)

    def _with_options(self, **options: Any) -> Self:
        """Changes options before it runs: those of its constructor, and ``on_progress``.

        The worker calls ``on_progress`` after each write of outcomes, in the thread that wrote them.
        """
        self._options = replace(self._options, **options)
        self._introduce()
        self._set_up()
        return self

    def _with_url(self, url: DatabaseUrl) -> Self:
        self._url = url
        return self

    def build(self) -> Self:
        """The worker itself: the last word of a chain of ``with_`` methods."""
        return self

    def run(self) -> WorkerReport:
        """Works until it is stopped, has drained its queues, or has run ``max_jobs``.

        In the main thread, it handles signals. The first SIGTERM, SIGHUP or Ctrl-C lets running jobs finish and gives
        the rest back. A second one, SIGQUIT, or the end of the grace gives all jobs back with their attempts, stops the
        worker, and appears in the report; a running job that may be tried only once becomes Dead.

        A worker that has run may run again: it starts afresh, with a new id and a new report.

        Raises:
            UsageError: there is no queue to serve, or no job of a queue could run; it is already running; or a module
                starts it while it is imported for its handlers.
            UnreachableError, AccessDeniedError: the database does not answer at the start.
            OutputError: the health file cannot be written.
            MissingTablesError: a migration is missing, or a table or column of one that is recorded as applied.
            BrokenInstallationError: files of hammerwork-cli are missing, or were replaced while it ran.
        """
        importing.check(importing.START)
        if self._process != os.getpid():
            self._running = threading.Lock()  # the old one belongs to another process
        if not self._running.acquire(blocking=False):
            raise UsageError("The worker runs already.", hint="Make another Worker.")
        try:
            return self._run()
        finally:
            self._running.release()

    async def arun(self) -> WorkerReport:
        """Works as :meth:`run` does, in a thread beside the event loop.

        A cancellation stops the worker after its running jobs, a second one at once; then it goes on.
        """
        with app_path.without():
            import asyncio
        running = asyncio.ensure_future(asyncio.to_thread(self.run))
        cancelled: asyncio.CancelledError | None = None
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError as error:
                self.stop(now=cancelled is not None)
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return running.result()

    def _run(self) -> WorkerReport:
        if self._has_run:  # it starts afresh, as another worker
            self._introduce()
            self._set_up()
        if self.queues and self._options.upkeep_only:
            raise UsageError("A worker with --upkeep-only serves no queue.", hint="Leave out one of the two.")
        if not self.queues and not self._options.upkeep_only:
            raise UsageError("The worker has no queue.", hint="Name queues, or register handlers for some.")
        self._check_handlers()
        self._use_codecs()
        isolation = self._isolation()
        self._url.check_file()
        if self._process != os.getpid():
            self._introduce()
        secrets.keep(self._url)
        self._has_run = True
        self._claim_name()
        try:
            return self._work(isolation)
        finally:
            _names.discard(self.name)

    def _work(self, isolation: Isolation) -> WorkerReport:
        connections = WorkerConnections(self._url, self._options, self._stop)
        with ExitStack() as opened:
            opened.callback(connections.close)
            opened.callback(isolation.finish)
            parts = self._prepare(connections, isolation)
            opened.callback(parts.resources.close)
            if not self._options.upkeep_only:
                parts.resources.begin()
            with listening(self._stop.hear_signal):
                # From here on, others see it: whoever does may send a signal.
                self._register(parts)
                opened.pop_all()
                opened.callback(self._stop.signals.ended)
                opened.callback(self._end, parts)
                does = f"serves {', '.join(self.queues)}, {self._options.concurrency} at once"
                if self._options.upkeep_only:
                    does = "runs no jobs: it serves schedules, callbacks, workflows, webhooks and streams"
                log.info("Worker %s (%s) %s.", self.name, self.id, does)
                parts.slots.start(parts.attempt_runner.run, parts.attempt_runner.coroutines)
                for thread in parts.threads:
                    thread.start()
                MainLoop(parts).run()
        _log_unreturned(parts.slots.running)
        if self._stop.error is not None:
            raise self._stop.error
        return WorkerReport(
            self._progress.completed,
            self._progress.failed,
            self._stop.restarts,
            parts.slots.running,
            self._stop.signals.last,
            self._progress.lost,
        )

    def _check_handlers(self) -> None:
        self._handlers._check_payloads()
        without = set(self._handlers.queues) - set(self._handlers.handler_names)
        for name in sorted(set(self._handlers.handler_names) - set(self._handlers.queues)):
            if close := did_you_mean(name, without, cutoff=0.8):
                log.warning("No queue with a handler has the name of the spawn handler %r. %s", name, close)
        known = sorted({*self._handlers.queues, *self._handlers.handler_names})
        for what, queues in (("limit", self._handlers._limits), ("codec", self._handlers._codecs)):
            for queue in sorted(queues.keys() - {*known}):
                if close := did_you_mean(queue, known, cutoff=0.8):
                    log.warning("No handler is registered for the queue %r, which has a %s. %s", queue, what, close)
        for queue in self.queues:
            if queue in known:
                continue
            mistake = did_you_mean(queue, known, cutoff=0.8)
            if not mistake and self._handlers.handler_names:
                log.warning(
                    "No handler is registered for the queue %r: only jobs that name a spawn handler run; others fail.",
                    queue,
                )
                continue
            raise UsageError(
                f"No handler is registered for the queue {queue!r:.100}: its jobs would fail."
                f" There are handlers for: {', '.join(known) or 'none'}.",
                hint=mistake or did_you_mean(queue, known) or "Register one, or leave the queue to other workers.",
            )

    def _use_codecs(self) -> None:
        """Adds the codecs of its handlers to those of its queue."""
        own = Codecs(self._handlers.codecs)
        others = self._url.codecs.by_queue.keys() - own.by_queue.keys() if self._url.codecs else set()
        if others and self._options.isolation != "thread":
            raise UsageError(
                f"Other processes know only the codecs of their handlers, and {min(others)!r:.100} has another one.",
                hint=f'Name it there: app.codec("{min(others)[:100]}", codec)',
            )
        if own.by_queue:
            self._url = replace(self._url, codecs=own.including(self._url.codecs))

    def _isolation(self) -> Isolation:
        isolation = self._options.isolation
        if isolation == "thread":
            return InThreads()
        if not isinstance(isolation, str | Mapping | Executor) and not callable(isolation):
            return isolation
        if self._target is None:
            raise UsageError(
                "Processes find handlers by name, but this worker was given the handlers themselves.",
                hint='Name them: Worker(queue, "my_app:app", isolation=...).',
            )
        return self._isolation_of(self._target)

    def _isolation_of(self, target: str) -> Isolation:
        """Where handlers of this name run, by its options."""
        options, isolation = self._options, self._options.isolation
        if isinstance(isolation, Mapping | Executor) or callable(isolation):
            with app_path.without():
                from hammerwork_cli.runtime.execution.engines import on_executors
            return on_executors(target, self._url, isolation)
        return in_processes(target, self._url, max_jobs=options.max_jobs_per_process, max_memory=options.max_memory)

    def with_encryption(self, keys: EncryptionKeys) -> Self:
        """Lets it decrypt payloads with these keys."""
        return self._with_url(with_keys(self._url, keys))

    def _registration(self) -> Registration:
        return Registration(
            id=self.id,
            name=self.name[:LONGEST_NAME],
            host=socket.gethostname()[:LONGEST_NAME],
            pid=os.getpid(),
            version=__version__,
            queues=tuple(self.queues),
            handlers=self._handlers.handler_names,
            concurrency=self._options.concurrency,
            lease=self._options.lease,
        )

    def _prepare(self, connections: WorkerConnections, isolation: Isolation) -> WorkerComponents:
        registration, main, clock = self._registration(), connections.main, ServerClock()

        def check(database: Database) -> int:
            database.check_current()
            states = migrations.known(database)
            _check_tables(states)
            if migrations.harms_rust(database, states):
                log.warning(UNREADABLE_STRATEGY)
            for queue in self.queues:
                limits.check_name(database, queue)
            _look_for_encrypted(database, self.queues)
            self._declare_limits(database)
            clock.set(database.now())
            clock.know(migrations.newest(states))
            return database.migrations

        recorded = main.run(check, patience=0)
        if self._url.ahead is None:  # no test has put the database's forward
            _log_wrong_clock(clock.host_ahead)
        lease = Lease(self._options.lease, elapsed())
        parts = assemble(
            WorkerContext(
                *(registration, self._options, self._handlers, isolation, connections, clock, lease),
                stop=self._stop,
                progress=self._progress,
                migrations=recorded,
            ),
            self._sibling,
        )
        with suppress(LimitReachedError):  # others have locked the rows: the next worker that starts forgets them
            main.run(registry.forget_ended, patience=0)
        return parts

    def _register(self, parts: WorkerComponents) -> None:
        main, registration = parts.context.connections.main, parts.context.registration
        parts.health_file.begin()
        try:
            # It registers last: from now on, others wait for its heartbeat.
            main.run(lambda database: registry.register(database, registration), patience=0)
        except BaseException:
            parts.health_file.remove()
            raise
        with suppress(HammerworkError):
            main.run(self._look_for_namesakes, patience=0)

    def _sibling(
        self,
        handlers: Handlers,
        *,
        concurrency: int,
        name: str,
        grace: float,
        left_webhooks: Callable[[], Sequence[str]],
    ) -> "Worker":
        return Worker(
            self._url,
            handlers,
            concurrency=concurrency,
            name=name,
            grace=grace,
            pool_size=1,
            poll_interval=self._options.poll_interval,
            lease=self._options.lease,
            upkeep=False,
            sweep=False,
            retention=False,
        )._with_options(left_webhooks=left_webhooks)

    def _declare_limits(self, database: Database) -> None:
        """Writes the limits of the application, and leaves those of others alone."""
        source = self._handlers._source
        known = {limit.queue: limit for limit in queue_limits.listed(database)}
        for limit in self._handlers._limits.values():
            before = known.pop(limit.queue, None)
            if before is None or before.changed_by == source:
                queue_limits.set_limit(database, limit, by=source, now=database.now())
            elif before.terms != limit.terms:
                log.warning(
                    "The queue %s is limited to %s by %s, not to %s as %s declares. To use that: hammerwork queue limit"
                    " %s --remove",
                    *(limit.queue, before, before.changed_by, limit, source, shlex.quote(limit.queue)),
                )
        for limit in known.values():
            if limit.changed_by == source != "code":
                log.warning(
                    "The queue %s is still limited to %s, although %s no longer declares it. To remove that: hammerwork"
                    " queue limit %s --remove",
                    *(limit.queue, limit, source, shlex.quote(limit.queue)),
                )

    def _look_for_namesakes(self, database: Database) -> None:
        for other in registry.listed(database, alive=True, name=self.name[:LONGEST_NAME]):
            if other.id != self.id and other.is_alive:
                log.warning(
                    "Worker %s (%s) on %s has the same name. `worker stop` and `worker status` will need its id.",
                    *(other.name, other.id, other.host),
                )

    def stop(self, *, now: bool = False) -> None:
        """Stops the worker. Any thread or signal handler may call it.

        Args:
            now: stops it at once, and gives its running jobs back; otherwise it stops after them, within the grace.
        """
        self._stop.stop(now=now)

    def restart(self, *, grace: float) -> None:
        """Stops the worker as :meth:`stop` does, with a report whose ``restart`` asks for another one in its place.

        Args:
            grace: seconds that running jobs have to finish, unless the worker was made with others.
        """
        self._stop.restart(grace)

    def _end(self, parts: WorkerComponents) -> None:
        self._stop.signals.over()
        context = parts.context
        for thread in parts.threads:
            thread.end()
        for thread in parts.threads:
            if thread.ident is not None:  # it was started; others may go on behind it
                thread.join(LAST_SECONDS)
        self._stop.at_once.set()
        parts.attempt_runner.loop.cancel(CANCEL_SECONDS)  # what is left there is decided
        context.isolation.finish()  # a process ends with the thread of its slot
        parts.slots.close()
        if context.isolation.can_kill:
            parts.slots.join(LAST_SECONDS)
            context.isolation.forget()
        parts.resources.close()
        parts.attempt_runner.loop.close()
        with suppress(HammerworkError):
            context.connections.main.run(
                lambda database: registry.end(
                    database,
                    self.id,
                    self.name,
                    parts.report(),
                    context.clock.now(),
                    restarts=self._stop.restarts and self._starts_again,
                ),
                patience=LAST_SECONDS,
            )
        context.connections.close()
        parts.health_file.remove()
        logs.tell_more()
        log.info(
            "Worker %s stopped. Attempts: %d completed, %d failed.",
            self.name,
            self._progress.completed,
            self._progress.failed,
        )
        if lost := self._progress.lost:
            has = "the job runs again if it has" if lost == 1 else "the jobs run again if they have"
            log.error("%s could not be written: %s attempts left.", plural(lost, "outcome"), has)


def _check_tables(states: Sequence[MigrationState]) -> None:
    """Stops a worker that would repeat the same error for ever, and names what is missing."""
    unapplied = [state for state in states if not state.applied]
    missing = [name for state in unapplied for name in state.missing]
    needed = [name for name in missing if name.startswith(("table ", "column ")) and not name.endswith(UNUSED)]
    if needed:
        raise MissingTablesError(
            f"Migrations are recorded as applied, but this is missing: {', '.join(dict.fromkeys(needed))}.",
            hint="Run: hammerwork migration run",
        )
    for state in unapplied:
        if state.state == "partial":
            log.warning(
                "Migration %s was interrupted, or is running. Run: hammerwork migration run", state.migration.id
            )
    if missing:
        log.warning("Missing in the database: %s. Run: hammerwork migration run", ", ".join(dict.fromkeys(missing)))


def _look_for_encrypted(database: Database, queues: Sequence[str]) -> None:
    """Warns of jobs whose attempts would fail."""
    if database.url.keys is None:
        for queue in encryption_queries.with_open_jobs(database, queues):
            log.warning("The queue %r has encrypted jobs. Without a key, each attempt fails: --encryption-key", queue)


def _log_wrong_clock(ahead: timedelta) -> None:
    if abs(ahead) > WRONG_CLOCK:
        log.warning(
            "The clock of this host is %s %s that of the database. Workers go by the database's; handlers and checks of"
            " certificates do not. Set it.",
            *(duration(abs(ahead)), "ahead of" if ahead > timedelta() else "behind"),
        )


def _log_unreturned(number: int) -> None:
    if number:
        log.warning(
            "%s still running in a thread, which cannot be killed: %s until this process ends, even while another"
            ' worker runs the job. End the process, or run handlers with isolation="process".',
            "1 handler is" if number == 1 else f"{number} handlers are",
            "it goes on" if number == 1 else "they go on",
        )


def _handlers(given: Handlers | Callable[[Job], Any] | None, queues: Sequence[str]) -> tuple[Handlers, tuple[str, ...]]:
    if isinstance(given, Handlers):
        return given, tuple(queues) or tuple(sorted({*given.queues, *given.handler_names}))
    handlers = Handlers()
    for queue in queues if given is not None else ():
        assert given is not None
        handlers.register_job(queue, given)
    return handlers, tuple(queues)
