"""A worker's heartbeat, what it hears with it, and the looking after workers that have none any more."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, NotFoundError
from hammerwork_cli.models import SpawnRequest
from hammerwork_cli.queries import spawning, workers
from hammerwork_cli.queries.doctor import Doctor
from hammerwork_cli.queries.notices import CHANNEL
from hammerwork_cli.queries.workers import Pulse, Registration
from hammerwork_cli.runtime.connections import Connections

SLOWEST_BEAT = 3.0
log = logging.getLogger("hammerwork")


class ServerClock:
    """The server's clock, as this process can tell it without asking each time."""

    def __init__(self) -> None:
        self._known, self._at = datetime.now(UTC), time.monotonic()

    def set(self, now: datetime) -> None:
        """What the server says now."""
        self._known, self._at = now, time.monotonic()

    def now(self) -> datetime:
        """The present, in UTC."""
        return self._known + timedelta(seconds=time.monotonic() - self._at)


class Heart(threading.Thread):
    """The thread that keeps a worker's row alive, listens for new jobs, and takes jobs from workers that are lost.

    Args:
        connections: of its own: a long transaction of the worker must not stop the heart.
        worker: who it is.
        clock: set with every beat.
        pulse: what to say of the worker.
        on_request: called with ``stop`` or ``restart`` when somebody asks for it.
        on_wishes: called with requests to spawn that wait for somebody.
        wake: called when there may be new jobs.
    """

    def __init__(
        self,
        connections: Connections,
        worker: Registration,
        clock: ServerClock,
        *,
        pulse: Callable[[], Pulse],
        on_request: Callable[[str], None],
        on_wishes: Callable[[Database, list[SpawnRequest]], None],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name="hammerwork-heart", daemon=True)
        self.connections = connections
        self.worker = worker
        self.clock = clock
        self.pulse, self.on_request, self.on_wishes, self.wake = pulse, on_request, on_wishes, wake
        self.interval = min(worker.lease / 6, SLOWEST_BEAT)
        self.stopped = threading.Event()
        self._sweep_after: str | None = None
        self._next_sweep = 0.0
        self._told: str | None = None
        self._listening: Database | None = None
        self._hears = connections.url.dialect == "postgresql"

    def run(self) -> None:
        """Beats until it is stopped."""
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                self.connections.run(self._beat)
                self._wait(began + self.interval)
            except HammerworkError as error:
                if self.connections.given_up.is_set():
                    return
                log.error("The heartbeat failed: %s", error.message)
                self.stopped.wait(self.interval)

    def _beat(self, database: Database) -> None:
        try:
            asked = workers.beat(database, self.worker.id, self.pulse())
        except NotFoundError:
            # Somebody removed the row, or the tables.
            workers.register(database, self.worker)
            return
        self.clock.set(asked.now)
        if asked.was_lost:
            log.warning("This worker was taken for lost: its heartbeat was late. Its jobs went to others.")
        if asked.request and asked.request != self._told:
            self._told = asked.request
            self.on_request(asked.request)
        self._bury(database, asked.now)
        wishes = spawning.pending_requests(database, self.worker)
        if wishes:
            self.on_wishes(database, wishes)
        self._sweep(database)

    def _bury(self, database: Database, now: datetime, *, leftovers: bool = False) -> None:
        for name, back, dead in workers.bury_lost(database, now, leftovers=leftovers):
            log.warning("Worker %s is lost: %d of its jobs may run again, %d are dead.", name, back, dead)
            self.wake()

    def _sweep(self, database: Database) -> None:
        """Releases, page by page, jobs that other programs left waiting although what they wait for has ended."""
        if time.monotonic() < self._next_sweep:
            return
        self._bury(database, self.clock.now(), leftovers=True)
        doctor = Doctor(database, now=self.clock.now())
        self._sweep_after, mended = doctor.mend_waiting_page(self._sweep_after)
        if mended:
            log.info("%d jobs that waited for jobs that had ended were released or failed.", mended)
            self.wake()
        if self._sweep_after is None:
            self._next_sweep = time.monotonic() + self.worker.lease / 2

    def _wait(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0 and not self.stopped.is_set():
            if self._hears:
                self.connections.run(partial(self._listen, seconds=left), patience=0)
            else:
                self.stopped.wait(left)

    def _listen(self, database: Database, seconds: float) -> None:
        if self._listening is not database:
            self._begin_to_listen(database)
        elif self._is_ours(database.notices(min(seconds, 0.2))):
            self.wake()

    def _begin_to_listen(self, database: Database) -> None:
        self._hears = database.listen(CHANNEL)
        self._listening = database
        self.wake()  # for what came before anybody listened
        if not self._hears:
            log.warning("Nothing tells this worker of new jobs behind a pooler: it looks at every --poll-interval.")

    def _is_ours(self, queues: list[str]) -> bool:
        return not set(self.worker.queues).isdisjoint(queues)

    def stop(self) -> None:
        """Ends it."""
        self.stopped.set()
        with suppress(RuntimeError):
            self.join(timeout=5)
