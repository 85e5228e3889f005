"""Claims spawn requests: the keeper's thread claims them, the slots fulfil them."""

import logging
import threading

from hammerwork_cli.database import Database
from hammerwork_cli.features.worker.queries import requests
from hammerwork_cli.runtime.execution.attempts import ClaimedRequest
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.worker.context import WorkerContext

log = logging.getLogger("hammerwork")


class RequestClaimer:
    """Claims the spawn requests that a worker can fulfil. The keeper's thread and the main thread use it."""

    def __init__(self, context: WorkerContext, slots: Slots) -> None:
        self._worker, self._clock, self._stop, self._slots = context.registration, context.clock, context.stop, slots
        self._claiming = threading.Lock()
        self._closed = False  # the main thread writes it, under the lock

    def claim(self, database: Database) -> None:
        """Claims open requests, and gives back those that the worker holds without knowing them.

        It does not know a request when the answer to a commit was lost, when the server forgot the request's end, or
        when that end could not be written.
        """
        if self._stop.is_set:
            return
        with self._claiming:
            if returned := requests.return_unknown_requests(database, self._worker.id, self._slots.request_ids()):
                log.warning(
                    "Gave back %d spawn requests that this worker did not know, although the database had assigned "
                    "them.",
                    returned,
                )
            for request in requests.pending_requests(database, self._worker):
                if self._closed:
                    return
                job = requests.claim_request(database, request, self._worker.id, self._clock.now())
                if job is not None:
                    self._slots.put([ClaimedRequest(request, job)])

    def close(self) -> None:
        """Ends the claims. When it returns, the slots have all requests that were claimed before."""
        with self._claiming:
            self._closed = True
