"""The thread that wakes an idle worker by notifications of new jobs, where the database has them."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial

from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import Backoff
from hammerwork_cli.features.job.queries.notifications import CHANNEL
from hammerwork_cli.runtime.worker.context import LOCK_SECONDS, WorkerContext
from hammerwork_cli.runtime.worker.turns import Task, Turn, TurnThread

LISTEN_SECONDS = 0.2
"""How often it checks whether to stop."""
LONGEST_PAUSE = 5.0
BACKOFF = Backoff(0.1, LONGEST_PAUSE, least=1.0)
log = logging.getLogger("hammerwork")


class Listener(TurnThread):
    """Hears of new jobs in the queues of its worker, which would find them at its next poll.

    Args:
        wake: called with a queue that may have new jobs, or without one.
    """

    harmless = ()

    def __init__(self, context: WorkerContext, wake: Callable[..., None]) -> None:
        super().__init__("listener", context.connections.for_thread(LOCK_SECONDS))
        self.wake = wake
        # This thread alone uses the rest.
        self._queues = frozenset(context.registration.queues)
        # It asks now and then: it would wait for ever for what a dead connection does not deliver.
        self._ask_every = context.lease.seconds / 2
        self._asked = 0.0
        self._listening: Database | None = None
        self._hears = True

    def tasks(self) -> Mapping[str, Task]:
        return {
            "Listening for new jobs": lambda: self.connections.run(
                partial(self._listen, seconds=LISTEN_SECONDS), patience=0
            )
        }

    def pause(self) -> float | None:
        """No seconds while it hears; ``None``, which ends the thread, if the database sends no notifications."""
        if not self._hears:
            return None
        return 0.0 if self.turn is Turn.DONE else BACKOFF.pause(max(1, self.failures))

    def _listen(self, database: Database, seconds: float) -> None:
        if self._listening is not database:
            self._hears = database.listen(CHANNEL)
            self._listening, self._asked = database, time.monotonic()
            self.wake()  # for jobs that came before it listened
            if not self._hears:
                log.warning(
                    "A connection pooler blocks notifications of new jobs: this worker polls at every --poll-interval."
                )
            return
        if time.monotonic() - self._asked > self._ask_every:
            database.now()
            self._asked = time.monotonic()
        for queue in self._queues.intersection(database.notifications(seconds)):
            self.wake(queue)
