"""The signals that end a worker, while it runs."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

log = logging.getLogger("hammerwork")


class Signals:
    """What a worker has heard, and what follows from it.

    The first one lets what runs end. SIGQUIT, and a second one but SIGHUP, which a terminal that goes sends more than
    once, ends it at once; so does a grace that is over.

    Args:
        stop: called when it is to end; with ``now=True`` at once.

    Attributes:
        last: the signal that ended it at once; ``None`` before, and when it ended in any other way.
    """

    def __init__(self, stop: Callable[..., None]) -> None:
        self._stop = stop
        self._first: int | None = None  # set by the thread that is told of signals, as last is
        self._timer: threading.Timer | None = None
        self.last: int | None = None

    def hear(self, number: int) -> None:
        """A signal has come."""
        now = number == signal.SIGQUIT or (self._first is not None and number != signal.SIGHUP)
        self._first = self._first or number
        if now:
            self.last = self.last or number
        says = "gives its jobs back and ends now" if now else "ends after what runs; once more ends it now"
        log.info("Signal %d: the worker %s.", number, says)
        self._stop(now=now)

    def begin_grace(self, seconds: float) -> None:
        """From now on what runs has so many seconds to end."""
        self._timer = threading.Timer(seconds, self._end_grace, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def _end_grace(self, seconds: float) -> None:
        log.warning("What runs has not ended within %g s: the worker gives its jobs back and ends now.", seconds)
        self.last = self.last or self._first
        self._stop(now=True)

    def over(self) -> None:
        """The worker has ended."""
        if self._timer is not None:
            self._timer.cancel()


@contextmanager
def listening(heard: Callable[[int], None]) -> Iterator[None]:
    """Calls ``heard`` with the number of each signal; only the main thread can listen, elsewhere it does nothing.

    It is called in a thread of its own: a signal comes between any two steps of the main thread, which may just hold
    the lock that ``heard`` wants.
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
    """Those that end a worker; SIGHUP and SIGQUIT unless its program, or ``nohup``, has arranged for them."""
    yield from (signal.SIGTERM, signal.SIGINT)
    yield from (n for n in (signal.SIGHUP, signal.SIGQUIT) if signal.getsignal(n) is signal.SIG_DFL)
