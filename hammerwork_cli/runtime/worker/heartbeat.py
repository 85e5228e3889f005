"""The thread that records a worker's heartbeat, and sets the server's clock by the answer."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from hammerwork_cli.database import Database, Timeouts
from hammerwork_cli.database.retrying import Backoff
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.worker.models.worker import heartbeat_interval, job_lease
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.registry import HeartbeatReport
from hammerwork_cli.runtime.clock import elapsed
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.worker.context import WorkerContext
from hammerwork_cli.runtime.worker.turns import Task, Turn, TurnThread
from hammerwork_cli.view.text import instant

RENEWALS = 6
"""How often the thread looks for leases to renew in the time of one lease."""
LONGEST_PAUSE = 1.0
"""Seconds after a failed heartbeat; a short lease allows less."""
log = logging.getLogger("hammerwork")


def heartbeat_timeouts(lease: float) -> Timeouts:
    """Returns timeouts of a heartbeat that leave time for another one before the lease is over."""
    return Timeouts(
        connect=max(1.0, lease / 3),
        lock=max(1.0, lease / 6),
        statement=max(1.0, lease / 4),
        network=max(1.0, lease / 3),
    )


class HeartbeatThread(TurnThread):
    """Keeps a worker's row alive. It does nothing else, so that nothing else can delay it.

    Each heartbeat renews the lease, sets the clock, and hears what an operator requests.

    Args:
        under_way: the attempts whose handlers run.
        on_renewed: called after each heartbeat.
        on_taken: called when an attempt that runs is no longer the worker's.
        on_nodes: whether handlers run on nodes, and leave their reports in the database.
    """

    harmless = ()
    ends_at_once = False  # it goes on while the main thread gives jobs back

    def __init__(
        self,
        context: WorkerContext,
        *,
        report: Callable[[], HeartbeatReport],
        on_renewed: Callable[[], None],
        under_way: Callable[[], Sequence[Attempt]] = tuple,
        on_taken: Callable[[], None] = lambda: None,
        on_nodes: bool = False,
    ) -> None:
        super().__init__("heartbeat", context.connections.give(heartbeat_timeouts(context.lease.seconds)))
        self.worker, self.lease = context.registration, context.lease
        self.clock, self.stop = context.clock, context.stop
        self.report, self.under_way, self.on_renewed, self.on_taken = report, under_way, on_renewed, on_taken
        self.on_nodes = on_nodes
        self.interval = heartbeat_interval(self.worker.lease)
        longest = min(self.interval, LONGEST_PAUSE)
        self._backoff = Backoff(longest, longest, least=0.1)
        self._said_behind = False
        self._is_recorded, self._renew_at = False, 0.0  # this thread alone, as the next one
        self._heard: tuple[str, float | None] | None = None  # this thread alone
        self._migrations = context.migrations  # this thread alone

    def tasks(self) -> Mapping[str, Task]:
        """The heartbeat, and then the renewal of leases, which only a living worker may do."""
        return {"The heartbeat": lambda: self._send(elapsed()), "Renewing the leases of jobs": self._renew}

    def pause(self) -> float:
        """The rest of an interval; after a failure a part of it."""
        return self.began + self.interval - time.monotonic() if self.turn is Turn.DONE else self._backoff.pause(1)

    def _send(self, sent: float) -> None:
        # It tries once: the next heartbeat comes soon, with a newer report.
        self._is_recorded = False
        attempts = self.under_way()
        jobs = [attempt.job for attempt in attempts]
        if self.on_nodes:
            self.connections.run(lambda database: self._hear_nodes(database, attempts), patience=0)
        answer = self.connections.run(lambda database: self._record(database, jobs), patience=0)
        self.lease.renew(sent, elapsed(), was_lost=answer.was_lost)
        if self.clock.set(answer.now) or self.failures:
            self._renew_at = 0.0  # leases may have ended meanwhile, by the server's clock
        self._is_recorded = True
        if self._migrations not in {None, answer.migrations}:
            log.info("The database was migrated. This worker inspects its tables again.")
            self.connections.read_tables_anew()
        self._migrations = answer.migrations
        self._say_whether_behind()
        if answer.was_lost:
            log.warning("Other workers treated this worker as lost and rescued its jobs. It is back.")
        self.on_renewed()
        if answer.request and (answer.request, answer.grace) != self._heard:
            self._heard = answer.request, answer.grace
            self.stop.hear_request(answer.request, answer.grace)
        # An attempt that ended meanwhile may be written, and no longer counts.
        if answer.owned < sum(attempt.is_under_way for attempt in attempts):
            self.on_taken()

    def _hear_nodes(self, database: Database, attempts: Sequence[Attempt]) -> None:
        """Takes over what handlers on nodes have reported, so that the heartbeat writes it."""
        running = {attempt.job.id: attempt for attempt in attempts}
        for report in registry.take_reports(database, self.worker.id, running):
            if running[report.job].job.attempts == report.attempt:
                running[report.job].progress = report

    def _renew(self) -> None:
        """Renews the leases of all jobs that the worker has, whatever its other threads do."""
        now = elapsed()
        if self._is_recorded and now >= self._renew_at:
            lease = job_lease(self.worker.lease)
            self.connections.run(lambda database: registry.renew_leases(database, self.worker.id, lease), patience=0)
            self._renew_at = now + lease / RENEWALS

    def _say_whether_behind(self) -> None:
        if self.clock.is_behind and not self._said_behind:
            log.warning(
                "The clock shows %s UTC, which is in the past. Until it is right, this worker enqueues no jobs of"
                " schedules and applies no retention policies.",
                instant(self.clock.now()),
            )
        self._said_behind = self.clock.is_behind

    def _record(self, database: Database, jobs: Sequence[Claimed]) -> registry.HeartbeatAnswer:
        try:
            return registry.record_heartbeat(database, self.worker.id, self.report(), jobs)
        except NotFoundError:
            # Somebody deleted the row, or the tables.
            registry.register(database, self.worker)
            return registry.record_heartbeat(database, self.worker.id, self.report(), jobs)._replace(was_lost=True)
