"""The thread that wakes an idle worker by notifications of new jobs, where the database has them."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import Backoff
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.queries.job.notifications import CHANNEL
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.outages import Trouble

LISTEN_SECONDS = 0.2
"""How often it checks whether to stop."""
LONGEST_PAUSE = 5.0
BACKOFF = Backoff(0.1, LONGEST_PAUSE, least=1.0)
log = logging.getLogger("hammerwork")


class Listener(threading.Thread):
    """Hears of new jobs in some queues. Without it a worker finds them at its next poll.

    Args:
        connections: used by this thread alone.
        queues: names.
        wake: called when there may be new jobs.
    """

    def __init__(self, connections: Connections, queues: tuple[str, ...], wake: Callable[[], None]) -> None:
        super().__init__(name="hammerwork-listener", daemon=True)
        self.connections, self.wake = connections, wake
        self.stopped = threading.Event()  # the main thread sets it
        # This thread alone uses the rest.
        self._queues = frozenset(queues)
        self._listening: Database | None = None
        self._hears = True
        self._trouble = Trouble(connections.outages)

    def run(self) -> None:
        """Listens until it is stopped, or until it finds that the database sends no notifications."""
        failures = 0
        while self._hears and not self.stopped.is_set():
            try:
                self.connections.run(partial(self._listen, seconds=LISTEN_SECONDS), patience=0)
                failures = 0
                self._trouble.over()
            except Exception as error:
                if self.connections.given_up.is_set():
                    return
                if isinstance(error, HammerworkError):
                    self._trouble.failed(f"Listening for new jobs failed: {error.message}")
                else:
                    log.exception("Listening for new jobs failed.")
                failures += 1
                self.stopped.wait(BACKOFF.pause(failures))

    def _listen(self, database: Database, seconds: float) -> None:
        if self._listening is not database:
            self._hears = database.listen(CHANNEL)
            self._listening = database
            self.wake()  # for jobs that came before it listened
            if not self._hears:
                log.warning(
                    "A pooler keeps notifications of new jobs from this worker: it polls at every --poll-interval."
                )
        elif not self._queues.isdisjoint(database.notifications(seconds)):
            self.wake()
