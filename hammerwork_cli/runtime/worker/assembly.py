"""Builds the parts of a worker in the order in which they need each other."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hammerwork_cli.database import driver
from hammerwork_cli.features.tree import progress as reports
from hammerwork_cli.features.worker.queries.registry import HeartbeatReport
from hammerwork_cli.runtime.api.resources import OpenResources
from hammerwork_cli.runtime.clock import elapsed
from hammerwork_cli.runtime.execution.attempt_runner import AttemptRunner
from hammerwork_cli.runtime.execution.child_spawner import ChildSpawner
from hammerwork_cli.runtime.execution.event_loop import EventLoop
from hammerwork_cli.runtime.execution.finisher import Finisher
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.host.memory import memory
from hammerwork_cli.runtime.worker.claimer import Claimer
from hammerwork_cli.runtime.worker.context import WorkerContext
from hammerwork_cli.runtime.worker.deliveries import Deliverer, MakeSibling
from hammerwork_cli.runtime.worker.finisher_thread import FinisherThread
from hammerwork_cli.runtime.worker.health_file import HealthFile
from hammerwork_cli.runtime.worker.heartbeat import HeartbeatThread
from hammerwork_cli.runtime.worker.keeper import Keeper
from hammerwork_cli.runtime.worker.listener import Listener
from hammerwork_cli.runtime.worker.requests import RequestClaimer
from hammerwork_cli.runtime.worker.retention import Retention
from hammerwork_cli.runtime.worker.rounds import Rounds
from hammerwork_cli.runtime.worker.streams import StreamSenders
from hammerwork_cli.runtime.worker.turns import TurnThread
from hammerwork_cli.runtime.worker.upkeep.endings import Endings
from hammerwork_cli.runtime.worker.upkeep.schedules import Scheduler


@dataclass(frozen=True, slots=True)
class WorkerComponents:
    context: WorkerContext
    slots: Slots
    attempt_runner: AttemptRunner
    resources: OpenResources  # those of handlers that run in this process
    outcome_policy: OutcomePolicy
    claimer: Claimer
    request_claimer: RequestClaimer
    finisher: Finisher
    # The thread that writes outcomes, where the database lets it work beside the main thread.
    finishing: FinisherThread | None
    keeper: Keeper
    # The other threads beside the slots, in the order in which they start and stop: the heartbeat goes on while the
    # others work.
    threads: tuple[TurnThread, ...]
    health_file: HealthFile
    rounds: Rounds  # whether the main loop goes round
    report: Callable[[], HeartbeatReport]  # returns the state of the worker, for a heartbeat


def assemble(context: WorkerContext, sibling: MakeSibling) -> WorkerComponents:
    """Builds the parts of a worker; none of them does anything yet."""
    options, connections, isolation = context.options, context.connections, context.isolation
    clock, lease, stop, progress = context.clock, context.lease, context.stop, context.progress
    database = driver(connections.url)
    beside = database.writes_beside_claims
    has_ended = threading.Event() if beside else stop.woken
    slots = Slots(options.concurrency, stop.woken.set, lambda: lease.is_held(elapsed()), has_ended.set)
    claimer = Claimer(context, slots, lambda attempt: attempt_runner.end(attempt))
    handlers = isolation.handlers(context.handlers)
    outcome_policy = OutcomePolicy(
        handlers, options.retry, clock, stop.at_once, retry_at_once=options.retry_at_once, told=options.on_failure
    )
    resources = handlers._open_resources(options.fakes)
    endings = Endings(context) if options.has_upkeep else None
    callbacks_due = endings.woken.set if endings else lambda: None
    loop = EventLoop()
    child_spawner = ChildSpawner(
        handlers,
        isolation,
        resources,
        connections.queue,
        connections.for_slots(),
        loop,
        clock,
        progress,
        outcome_policy,
        most_descendants=options.max_descendants,
        callbacks_due=callbacks_due,
        spawned=claimer.notify,
    )
    attempt_runner = AttemptRunner(
        handlers, isolation, slots, loop, connections.queue.url, outcome_policy, child_spawner
    )
    request_claimer = RequestClaimer(context, slots)
    writes = connections.for_outcomes() if beside else connections.main
    finisher = Finisher(writes, slots, clock, progress, outcome_policy, callbacks_due)
    finishing = FinisherThread(context, finisher, has_ended, claimer.outcomes_written) if beside else None
    keeper = Keeper(context, claim_requests=request_claimer.claim, wake=claimer.notify)
    health_file = HealthFile(options.health_file, context.registration.name)
    rounds, patience = Rounds(), lease.seconds / 2

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
            clock_ahead=clock.host_ahead.total_seconds(),
            job_progress=reports.stored(one.progress for one in slots.under_way() if one.progress),
        )

    def renewed() -> None:
        if lease.is_doubted:
            stop.woken.set()
        slots.go_on()
        health_file.write("stalled" if any(stalled()) else state())

    heartbeat = HeartbeatThread(
        context,
        report=report,
        on_renewed=renewed,
        under_way=slots.under_way,
        on_taken=claimer.jobs_taken,
        on_nodes=isolation.has_nodes,
    )
    threads: tuple[TurnThread, ...] = (keeper, heartbeat)
    if endings is not None:
        threads = (endings, Scheduler(context), Deliverer(context, sibling), StreamSenders(context), *threads)
    if options.retention and not options.drain:
        threads = (Retention(context), *threads)
    if database.has_notifications:
        threads = (Listener(context, claimer.notify), *threads)
    return WorkerComponents(
        context=context,
        slots=slots,
        attempt_runner=attempt_runner,
        resources=resources,
        outcome_policy=outcome_policy,
        claimer=claimer,
        request_claimer=request_claimer,
        finisher=finisher,
        finishing=finishing,
        keeper=keeper,
        threads=threads,
        health_file=health_file,
        rounds=rounds,
        report=report,
    )
