"""Requests to spawn again: a worker's keeper takes them, its slots fulfil them."""

import threading
from collections.abc import Iterable

from hammerwork_cli.database import Database
from hammerwork_cli.models import SpawnRequest
from hammerwork_cli.queries import spawning
from hammerwork_cli.queries.workers import Registration
from hammerwork_cli.runtime.pulse import ServerClock
from hammerwork_cli.runtime.slots import Slots, Wish


class Wishes:
    """Takes the requests that a worker can fulfil.

    Args:
        worker: who takes them.
        slots: where they are fulfilled.
        clock: the server's.
    """

    def __init__(self, worker: Registration, slots: Slots, clock: ServerClock) -> None:
        self.worker, self._slots, self._clock = worker, slots, clock
        self._taking = threading.Lock()
        self._closed = False

    def take(self, database: Database, requests: Iterable[SpawnRequest]) -> None:
        """Takes those that no other worker was faster to take."""
        with self._taking:
            for request in requests:
                if self._closed:
                    return
                job = spawning.take_request(database, request, self.worker.id, self._clock.now())
                if job is not None:
                    self._slots.put([Wish(request, job)])

    def close(self) -> None:
        """From now on none is taken; who is just taking some has put them into the slots."""
        with self._taking:
            self._closed = True
