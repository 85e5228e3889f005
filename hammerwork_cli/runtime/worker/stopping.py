"""Stops a worker, after its running jobs or at once."""

import logging
import threading

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.runtime.host.signals import Signals

log = logging.getLogger("hammerwork")


class StopSwitch:
    """Whether a worker is to stop, and how. Any thread may use it.

    Args:
        grace: seconds that running jobs have to finish once it is told to stop.
    """

    def __init__(self, grace: float | None) -> None:
        self.at_once = threading.Event()  # set when the worker stops at once: connections that retry wait no longer
        self.woken = threading.Event()  # set to wake the main thread, which clears it
        self.is_set = False  # any thread sets it, none clears it
        # Another worker is to start in its place. The threads of heartbeats, signals and source files write it.
        self.restarts = False
        self.signals = Signals(self.stop)
        self.error: HammerworkError | None = None  # why it cannot go on; the first thread that meets it writes it
        self._grace = grace

    def stop(self, *, now: bool = False) -> None:
        """Stops the worker, after its running jobs or at once."""
        is_first, self.is_set = not self.is_set, True
        if now:
            self.at_once.set()
        self.woken.set()
        if is_first and not now and self._grace is not None:
            self.signals.begin_grace(self._grace)

    def fail(self, error: HammerworkError) -> None:
        """Stops the worker at once, because of an error that every further try would meet."""
        self.error = self.error or error
        self.stop(now=True)

    def hear_signal(self, number: int) -> None:
        """Stops the worker because of a signal, without another one in its place."""
        self.restarts = False
        self.signals.hear(number)

    def restart(self, grace: float) -> None:
        """Stops the worker for another one in its place, unless it stops already.

        Args:
            grace: seconds that running jobs have to finish, unless the worker was started with others.
        """
        if self.is_set:
            return
        self.restarts = True
        self._grace = grace if self._grace is None else self._grace
        self.stop()

    def hear_request(self, request: str, grace: float | None) -> None:
        """Stops the worker because an operator requested ``stop`` or ``restart``.

        Args:
            grace: seconds that running jobs have to finish; ``None`` for those that the worker was started with.
        """
        within = "" if grace is None else f" within {grace:g} s" if grace else " at once"
        log.info("An operator asked the worker to %s%s.", request, within)
        self.restarts = request == "restart"
        if grace is not None:
            self._grace = None
            if grace:
                self.signals.begin_grace(grace)
        self.stop(now=grace == 0)
