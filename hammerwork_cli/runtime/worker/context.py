"""What all parts of one worker share."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from hammerwork_cli.database import PATIENT, DatabaseUrl, Timeouts
from hammerwork_cli.database.retrying import is_an_outage
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.queue import Queue
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections, Passes, timeouts_within
from hammerwork_cli.runtime.execution.isolation import Isolation
from hammerwork_cli.runtime.faults import Fault, Outage, Progress
from hammerwork_cli.runtime.outages import Outages
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.options import Options
from hammerwork_cli.runtime.worker.stopping import StopSwitch

LOCK_SECONDS, LOCK_SECONDS_OF_SLOTS = 1.0, 5.0
"""How long the main thread, and a slot, wait for a lock before they let others go first."""
LOCK_SECONDS_OF_KEEPER, LOCK_SECONDS_OF_UPKEEP = 2.0, 5.0
"""A transaction that hangs delays nothing but the rows that it has locked."""


class WorkerConnections:
    """Gives each part of a worker connections of its own, and closes them all. None is open before it is used.

    Together they log an outage once.
    """

    def __init__(self, url: DatabaseUrl, options: Options, stop: StopSwitch) -> None:
        self.url, self.outages = url, Outages()
        self._options, self._stop = options, stop
        self._on_a_file = url.dialect == "sqlite"
        self._given: list[Connections] = []
        self.main = self.for_outcomes()  # the main thread's
        self.queue = Queue._of_worker(url, self.outages)  # what handlers have

    def for_outcomes(self) -> Connections:
        """Gives connections to a thread that claims jobs, or writes outcomes."""
        # A file has one lock for all: whoever waits for it does not wait for a job.
        patience = math.inf if self._on_a_file else self._options.lease / 2
        return self.give(self._timeouts_of_jobs(LOCK_SECONDS), passes=lambda: Outage(patience).passes)

    def for_slots(self) -> Connections:
        """Gives connections for what attempts write themselves."""
        timeouts, size = self._timeouts_of_jobs(LOCK_SECONDS_OF_SLOTS), self._options.connections
        return self.give(timeouts, size, lambda: Fault(self._options.lease).passes)

    def for_thread(self, lock_seconds: float) -> Connections:
        """Gives connections to a thread beside those that run jobs."""
        return self.give(self._timeouts(lock_seconds))

    def give(
        self, timeouts: Timeouts, size: int = 1, passes: Callable[[], Passes] = lambda: is_an_outage
    ) -> Connections:
        """Gives connections that nobody else has."""
        stop = self._stop
        given = Connections(self.url, size, stop.at_once, timeouts, passes, self.outages, stop.fail)
        self._given.append(given)
        return given

    def _timeouts(self, lock_seconds: float) -> Timeouts:
        return timeouts_within(self._options.lease, lock_seconds, len(self.url.hosts))

    def _timeouts_of_jobs(self, lock_seconds: float) -> Timeouts:
        return PATIENT if self._on_a_file else self._timeouts(lock_seconds)

    def close(self) -> None:
        """Closes the connections that no thread uses now."""
        self.queue.close()
        for connections in self._given:
            connections.close()


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What all parts of one worker share."""

    registration: Registration
    options: Options
    handlers: Handlers
    isolation: Isolation
    connections: WorkerConnections
    clock: ServerClock
    lease: Lease
    stop: StopSwitch
    progress: Progress
    migrations: int | None = None  # how many were recorded at its start
