"""The signals that stop a worker."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from hammerwork_cli.database import interrupts

END_SECONDS = 3.5
"""For a worker that a signal stops at once; then its process ends, whatever hangs."""
WORDS_SECONDS = 0.5
"""For its last words, which may hang too."""
log = logging.getLogger("hammerwork")


def end_process_after(seconds: float, status: int, words: str | None = None) -> threading.Timer:
    """Ends the process after a time unless the timer is cancelled, whatever its threads wait for.

    Args:
        words: what to log before, if anything.
    """

    def say() -> None:
        if words:
            log.error(words)
        interrupts.prepare_exit()

    def end() -> None:
        last = threading.Thread(target=say, daemon=True)
        last.start()
        last.join(WORDS_SECONDS)
        os._exit(status)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


class Signals:
    """The signals that a worker received, and their consequences.

    The first one lets running jobs finish. SIGQUIT, or a second signal, stops the worker at once, and so does the end
    of the grace; then the process ends within 5 s, whatever hangs. A second SIGHUP does not: a terminal that closes
    sends it more than once.

    Args:
        stop: stops the worker; with ``now=True`` at once.
    """

    def __init__(self, stop: Callable[..., None]) -> None:
        self._stop = stop
        self._first: int | None = None  # written as last is
        # The thread that stops the worker writes these.
        self._timer: threading.Timer | None = None
        self._exit: threading.Timer | None = None
        # The signal that stopped it at once; `None` before, and when it stopped otherwise. The thread that hears of
        # signals writes it, and the grace's timer.
        self.last: int | None = None

    def hear(self, number: int) -> None:
        """Stops the worker by a signal."""
        now = number == signal.SIGQUIT or (self._first is not None and number != signal.SIGHUP)
        self._first = self._first or number
        if now:
            self.last = self.last or number
            self._begin_to_exit(self.last)
        name, again = (
            ("Ctrl-C", "Press again") if number == signal.SIGINT else (signal.Signals(number).name, "Send it again")
        )
        says = "stopping now, giving jobs back." if now else f"finishing running jobs. {again} to stop now."
        log.info("%s: %s", name, says)
        self._stop(now=now)

    def begin_grace(self, seconds: float) -> None:
        """Gives running jobs a new time to finish, in place of an earlier one."""
        self.over()
        self._timer = threading.Timer(seconds, self._end_grace, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def _end_grace(self, seconds: float) -> None:
        log.warning("Running jobs have not finished within %g s: stopping now, giving jobs back.", seconds)
        self.last = self.last or self._first
        if self.last is not None:
            self._begin_to_exit(self.last)
        self._stop(now=True)

    def _begin_to_exit(self, number: int) -> None:
        self._exit = self._exit or end_process_after(
            END_SECONDS, 128 + number, "The worker hangs: its process ends now, and its jobs come back after the lease."
        )

    def over(self) -> None:
        """Forgets the grace: the worker has stopped."""
        if self._timer is not None:
            self._timer.cancel()

    def ended(self) -> None:
        """Lets the process go on: nothing of the worker hangs."""
        if self._exit is not None:
            self._exit.cancel()


@contextmanager
def listening(heard: Callable[[int], None]) -> Iterator[None]:
    """Calls ``heard`` with the number of each signal; only the main thread can listen, elsewhere it does nothing.

    It runs in another thread: a signal comes between any two steps of the main thread, which may hold the lock that
    ``heard`` wants. The number comes by Python's wakeup pipe, if nobody else has one: while the main thread waits in C
    code, as that of MySQL's driver, Python's handlers would not run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded, process = tuple(_heeded()), os.getpid()
    read, write = os.pipe()
    os.set_blocking(write, False)

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if not wakes and os.getpid() == process:
            os.write(write, bytes((number,)))

    def tell() -> None:
        while number := os.read(read, 1)[0]:
            if number in heeded:
                heard(number)

    listener = threading.Thread(target=tell, name="hammerwork-signals", daemon=True)
    try:
        listener.start()
        try:
            with interrupts.left_to(write) as wakes:
                before = {number: signal.signal(number, handle) for number in heeded}
                try:
                    yield
                finally:
                    for number, handler in before.items():
                        signal.signal(number, handler)
        finally:
            os.write(write, b"\0")
            listener.join()
    finally:
        os.close(read)
        os.close(write)


def _heeded() -> Iterator[int]:
    """The signals that stop a worker; SIGHUP and SIGQUIT unless its program, or ``nohup``, handles them."""
    yield from (signal.SIGTERM, signal.SIGINT)
    yield from (n for n in (signal.SIGHUP, signal.SIGQUIT) if signal.getsignal(n) is signal.SIG_DFL)
