"""The thread that writes outcomes while the main thread claims further jobs."""

import threading
from collections.abc import Callable

from hammerwork_cli.errors import BrokenInstallationError
from hammerwork_cli.runtime.execution.finisher import Finisher
from hammerwork_cli.runtime.outages import OutageLog
from hammerwork_cli.runtime.worker.context import WorkerContext
from hammerwork_cli.runtime.worker.rounds import Rounds

IDLE_SECONDS = 1.0


class FinisherThread(threading.Thread):
    """Writes outcomes as soon as they are worth a transaction.

    Args:
        finisher: used by this thread alone until it ends.
        woken: set when there are outcomes.
        written: called after each transaction.
    """

    def __init__(
        self, context: WorkerContext, finisher: Finisher, woken: threading.Event, written: Callable[[], None]
    ) -> None:
        super().__init__(name="hammerwork-finisher", daemon=True)
        self._finisher, self._woken, self._written = finisher, woken, written
        self._stopped_at_once, self._outage_log = context.stop.at_once, OutageLog(context.connections.outages)
        self.rounds = Rounds()
        self._stopped = False  # the main thread sets it

    def stop(self, seconds: float) -> bool:
        """Lets the thread end after its transaction; returns whether it ended in time."""
        self._stopped = True
        self._woken.set()
        self.join(seconds)
        return not self.is_alive()

    def run(self) -> None:
        """Writes until it is stopped, whatever happens."""
        while not (self._stopped or self._stopped_at_once.is_set()):
            self.rounds.begin()
            try:
                if self._finisher.write():
                    self._written()
                self._outage_log.recovered()
                self.rounds.end()
            except BrokenInstallationError:  # it has stopped the worker
                break
            except Exception as error:  # noqa: BLE001  it stops only when it is told to
                self._stopped_at_once.wait(self._outage_log.caught(error))
            pause = self._finisher.pause
            self._woken.wait(IDLE_SECONDS if pause is None else pause)
            self._woken.clear()
