"""Builds the parts of a worker, each complete, in the order in which they need each other."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from hammerwork_cli.database import PATIENT, DatabaseUrl, Timeouts
from hammerwork_cli.features.cron.model import Declared
from hammerwork_cli.features.worker.queries.registry import HeartbeatReport, Registration
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.queue import Queue
from hammerwork_cli.runtime.clock import ServerClock, elapsed
from hammerwork_cli.runtime.connections import Connections, timeouts_within
from hammerwork_cli.runtime.execution.executor import Executor
from hammerwork_cli.runtime.execution.finisher import Finisher
from hammerwork_cli.runtime.execution.isolation import Isolation
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.execution.verdicts import OutcomePolicy
from hammerwork_cli.runtime.faults import Fault, Outage, Progress
from hammerwork_cli.runtime.host.memory import memory
from hammerwork_cli.runtime.outages import OutageLog, Outages
from hammerwork_cli.runtime.worker.claimer import Claimer
from hammerwork_cli.runtime.worker.finisher_thread import FinisherThread
from hammerwork_cli.runtime.worker.health_file import HealthFile
from hammerwork_cli.runtime.worker.heartbeat import HeartbeatThread, heartbeat_timeouts
from hammerwork_cli.runtime.worker.keeper import Keeper
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.listener import Listener
from hammerwork_cli.runtime.worker.options import Options
from hammerwork_cli.runtime.worker.requests import RequestClaimer
from hammerwork_cli.runtime.worker.retention import Retention
from hammerwork_cli.runtime.worker.rounds import Rounds
from hammerwork_cli.runtime.worker.stopping import StopSwitch
from hammerwork_cli.runtime.worker.turns import TurnThread
from hammerwork_cli.runtime.worker.upkeep.endings import Endings
from hammerwork_cli.runtime.worker.upkeep.schedules import Scheduler

LOCK_SECONDS, LOCK_SECONDS_OF_SLOTS = 1.0, 5.0
"""How long the main thread, and a slot, wait for a lock before they let others go first."""
LOCK_SECONDS_OF_KEEPER, LOCK_SECONDS_OF_UPKEEP = 2.0, 5.0
"""A transaction that hangs delays nothing but the rows that it has locked."""


@dataclass(frozen=True, slots=True)
class WorkerConnections:
    """The connections of a worker. They share what they say of an outage."""

    outages: Outages
    main: Connections  # the main thread's
    finisher: Connections  # of the thread that writes outcomes
    slots: Connections  # for what attempts write themselves
    # One for each of these threads.
    heartbeat: Connections
    keeper: Connections
    scheduler: Connections
    endings: Connections
    retention: Connections
    listener: Connections
    queue: Queue  # what handlers have

    @classmethod
    def to(cls, url: DatabaseUrl, options: Options, stop: StopSwitch, progress: Progress) -> Self:
        """Connections to a database, none of which is open yet."""
        outages, give_up = Outages(), stop.at_once
        on_a_file = url.dialect == "sqlite"

        def timeouts(lock: float) -> Timeouts:
            return timeouts_within(options.lease, lock, len(url.hosts))

        def of_jobs(lock: float) -> Timeouts:
            return PATIENT if on_a_file else timeouts(lock)

        def alone(timeouts: Timeouts) -> Connections:
            return Connections(url, 1, give_up, timeouts, outages=outages)

        # A file has one lock for all: whoever waits for it waits for no job.
        patience = math.inf if on_a_file else options.lease / 2
        main, finisher = (
            Connections(url, 1, give_up, of_jobs(LOCK_SECONDS), lambda: Outage(patience).passes, outages)
            for _ in range(2)
        )
        return cls(
            outages,
            main,
            finisher,
            Connections(
                url,
                options.connections,
                give_up,
                of_jobs(LOCK_SECONDS_OF_SLOTS),
                lambda: Fault(progress.lease).passes,
                outages,
            ),
            heartbeat=alone(heartbeat_timeouts(options.lease)),
            keeper=alone(timeouts(LOCK_SECONDS_OF_KEEPER)),
            scheduler=alone(timeouts(LOCK_SECONDS_OF_UPKEEP)),
            endings=alone(timeouts(LOCK_SECONDS_OF_UPKEEP)),
            retention=alone(timeouts(LOCK_SECONDS_OF_UPKEEP)),
            listener=alone(timeouts(LOCK_SECONDS)),
            queue=Queue.of_worker(url, outages),
        )

    def close(self) -> None:
        """Closes the connections that no thread uses now."""
        upkeep = (self.scheduler, self.endings, self.retention)
        of_threads = (self.main, self.finisher, self.slots, self.heartbeat, self.keeper, *upkeep, self.listener)
        for line in (*of_threads, self.queue):
            line.close()


@dataclass(frozen=True, slots=True)
class WorkerComponents:
    """The parts of a worker."""

    lines: WorkerConnections
    slots: Slots
    executor: Executor
    verdicts: OutcomePolicy
    claimer: Claimer
    request_claimer: RequestClaimer
    finisher: Finisher
    # The thread that writes outcomes, where the database lets it work beside the main thread.
    finishing: FinisherThread | None
    keeper: Keeper
    # The others beside the slots, in the order in which they start and stop: the heartbeat goes on while the others
    # work.
    threads: tuple[TurnThread, ...]
    lease: Lease
    clock: ServerClock
    outage_log: OutageLog
    isolation: Isolation
    progress: Progress
    health_file: HealthFile
    rounds: Rounds  # whether the main loop goes round
    report: Callable[[], HeartbeatReport]  # returns the state of the worker, for a heartbeat


def assemble(
    registration: Registration,
    handlers: Handlers,
    options: Options,
    lines: WorkerConnections,
    clock: ServerClock,
    stop: StopSwitch,
    progress: Progress,
    isolation: Isolation,
) -> WorkerComponents:
    """Builds the parts of a worker; none of them does anything yet."""
    lease = Lease(options.lease, elapsed())
    on_postgres = lines.main.url.dialect == "postgresql"
    # SQLite has one lock for all writers. On MySQL, claims and completions would wait for each other's gaps.
    writing, has_ended = threading.Lock(), threading.Event() if on_postgres else stop.woken
    slots = Slots(options.concurrency, stop.woken.set, lambda: lease.is_held(elapsed()), has_ended.set)
    claimer = Claimer(
        registration,
        lines.main,
        slots,
        lease,
        clock,
        wake=stop.woken.set,
        writing=writing,
        end_handler=lambda attempt: executor.end(attempt),
        poll_interval=options.poll_interval,
        max_jobs=options.max_jobs,
        weighted=options.weighted,
    )
    called = isolation.handlers(handlers)
    verdicts = OutcomePolicy(called, options.retry, clock, stop.at_once)
    executor = Executor(
        called,
        lines.slots,
        lines.queue,
        clock,
        verdicts,
        isolation,
        counted=progress.count,
        spawned=claimer.notify,
        slots=slots,
    )
    request_claimer = RequestClaimer(registration, slots, clock, lambda: not stop.is_set)
    finisher = Finisher(lines.finisher if on_postgres else lines.main, slots, clock, progress, verdicts, writing)
    finishing = None
    if on_postgres:
        outage_log = OutageLog(lines.outages)
        finishing = FinisherThread(finisher, has_ended, stop.at_once, outage_log, claimer.outcomes_written)
    keeper = Keeper(
        lines.keeper,
        registration,
        lease,
        clock,
        claim_requests=request_claimer.claim,
        wake=claimer.notify,
        sweep=options.sweep,
        rescue_older_than=options.rescue_older_than,
    )

    health_file, rounds, patience = HealthFile(options.health_file, registration.name), Rounds(), options.lease / 2

    def state() -> str:
        return "stopping" if stop.is_set else "running"

    def stalled() -> tuple[float | None, float | None]:
        return rounds.stalled(patience), None if finishing is None else finishing.rounds.stalled(patience)

    def report() -> HeartbeatReport:
        main_stalled, finisher_stalled = stalled()
        return HeartbeatReport(
            state=state(),
            running=slots.running,
            completed=progress.completed,
            failed=progress.failed,
            memory=memory(isolation.ids()),
            held=slots.held,
            main_stalled=main_stalled,
            finisher_stalled=finisher_stalled,
            queue_counts=progress.queue_counts(slots.refused()),
        )

    def renewed() -> None:
        if lease.is_doubted:
            stop.woken.set()
        slots.go_on()
        health_file.write("stalled" if any(stalled()) else state())

    heartbeat = HeartbeatThread(
        lines.heartbeat,
        registration,
        lease,
        clock,
        report=report,
        on_request=stop.hear_request,
        on_renewed=renewed,
        under_way=slots.under_way,
        on_taken=claimer.hear_taken,
    )
    threads: tuple[TurnThread, ...] = (keeper, heartbeat)
    if options.has_upkeep:
        declared = Declared(handlers.source, handlers.schedules)
        endings = Endings(lines.endings, registration.id, clock)
        threads = (endings, Scheduler(lines.scheduler, registration.id, clock, declared), *threads)
    if options.retention and not options.drain:
        threads = (Retention(lines.retention, registration.id, clock), *threads)
    if on_postgres:
        threads = (Listener(lines.listener, registration.queues, claimer.notify, options.lease), *threads)
    return WorkerComponents(
        lines=lines,
        slots=slots,
        executor=executor,
        verdicts=verdicts,
        claimer=claimer,
        request_claimer=request_claimer,
        finisher=finisher,
        finishing=finishing,
        keeper=keeper,
        threads=threads,
        lease=lease,
        clock=clock,
        outage_log=OutageLog(lines.outages),
        isolation=isolation,
        progress=progress,
        health_file=health_file,
        rounds=rounds,
        report=report,
    )
