"""The signals that stop a worker."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

log = logging.getLogger("hammerwork")


class Signals:
    """The signals that a worker received, and their consequences.

    The first one lets running jobs finish. SIGQUIT, or a second signal, stops the worker at once, and so does the end
    of the grace. A second SIGHUP does not: a terminal that closes sends it more than once.

    Args:
        stop: stops the worker; with ``now=True`` at once.

    Attributes:
        last: the signal that stopped it at once; ``None`` before, and when it stopped otherwise. The thread that hears
            of signals writes it, and the grace's timer.
    """

    def __init__(self, stop: Callable[..., None]) -> None:
        self._stop = stop
        self._first: int | None = None  # written as last is
        self._timer: threading.Timer | None = None  # the thread that stops the worker writes it
        self.last: int | None = None

    def hear(self, number: int) -> None:
        """Stops the worker by a signal."""
        now = number == signal.SIGQUIT or (self._first is not None and number != signal.SIGHUP)
        self._first = self._first or number
        if now:
            self.last = self.last or number
        name, again = (
            ("Ctrl-C", "Press again") if number == signal.SIGINT else (signal.Signals(number).name, "Send it again")
        )
        says = "stopping now, giving jobs back." if now else f"finishing running jobs. {again} to stop now."
        log.info("%s: %s", name, says)
        self._stop(now=now)

    def begin_grace(self, seconds: float) -> None:
        """Gives running jobs so many seconds to finish."""
        self._timer = threading.Timer(seconds, self._end_grace, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def _end_grace(self, seconds: float) -> None:
        log.warning("Running jobs have not finished within %g s: stopping now, giving jobs back.", seconds)
        self.last = self.last or self._first
        self._stop(now=True)

    def over(self) -> None:
        """Forgets the grace: the worker has stopped."""
        if self._timer is not None:
            self._timer.cancel()


@contextmanager
def listening(heard: Callable[[int], None]) -> Iterator[None]:
    """Calls ``heard`` with the number of each signal; only the main thread can listen, elsewhere it does nothing.

    It runs in another thread: a signal comes between any two steps of the main thread, which may hold the lock that
    ``heard`` wants.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers: SimpleQueue[int | None] = SimpleQueue()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        numbers.put(number)

    def tell() -> None:
        while (number := numbers.get()) is not None:
            heard(number)

    listener = threading.Thread(target=tell, name="hammerwork-signals", daemon=True)
    listener.start()
    before = {number: signal.signal(number, handle) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        numbers.put(None)
        listener.join()


def _heeded() -> Iterator[int]:
    """The signals that stop a worker; SIGHUP and SIGQUIT unless its program, or ``nohup``, handles them."""
    yield from (signal.SIGTERM, signal.SIGINT)
    yield from (n for n in (signal.SIGHUP, signal.SIGQUIT) if signal.getsignal(n) is signal.SIG_DFL)
