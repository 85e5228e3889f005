"""Requests to spawn again: a worker's keeper takes them, its slots fulfil them."""

import logging
import threading

from hammerwork_cli.database import Database
from hammerwork_cli.queries.worker import requests
from hammerwork_cli.queries.worker.registry import Registration
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.worker.slots import ClaimedRequest, Slots

log = logging.getLogger("hammerwork")


class RequestClaimer:
    """Takes the requests that a worker can fulfil.

    Args:
        worker: who takes them.
        slots: where they are fulfilled.
        clock: the server's.
    """

    def __init__(self, worker: Registration, slots: Slots, clock: ServerClock) -> None:
        self.worker, self._slots, self._clock = worker, slots, clock
        self._claiming_lock = threading.Lock()
        self._closed = False

    def take(self, database: Database) -> None:
        """Takes requests that wait for somebody, and gives back those that the worker has without knowing.

        It does not know a request when its commit was not answered, when the server forgot that it had ended, or when
        its end could not be written.
        """
        with self._claiming_lock:
            if returned := requests.return_unknown_requests(database, self.worker.id, self._slots.request_ids()):
                log.warning("%d requests that this worker had without knowing wait again.", returned)
            for request in requests.pending_requests(database, self.worker):
                if self._closed:
                    return
                job = requests.take_request(database, request, self.worker.id, self._clock.now())
                if job is not None:
                    self._slots.put([ClaimedRequest(request, job)])

    def close(self) -> None:
        """From now on none is taken; who is just taking some has put them into the slots."""
        with self._claiming_lock:
            self._closed = True
