"""Ctrl-C and SIGTERM while a driver waits in C, where Python hears of a signal only when the statement is done."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NoReturn

GRACE_SECONDS = 1
"""For a statement to end once it was aborted: a server that is stuck never answers."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: it ends a command as Ctrl-C does."""


def terminate(*_: object) -> NoReturn:
    """The handler of SIGTERM.

    Raises:
        Terminated: always.
    """
    raise Terminated


before_exit: list[Callable[[], None]] = []
"""What must be done although the main thread hangs: a terminal is given back."""

ENDING = (signal.default_int_handler, terminate)
"""Handlers that end the program. One of somebody else may want the statement finished."""


@contextmanager
def interruptible(abort: Callable[[], None]) -> Iterator[None]:
    """Calls ``abort``, in a thread of its own, when a signal that ends the program arrives within the block.

    The process ends where that does not help within :data:`GRACE_SECONDS`. Signals are the main thread's:
    in any other nothing is done, nor where somebody listens to them already.
    """
    watch = _watch(os.getpid())
    if not watch.begin():
        yield
        return
    watch.call = call = _Call(abort)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        watch.call = None
        call.ended.set()


class _Call:
    """A block that may be aborted."""

    def __init__(self, abort: Callable[[], None]) -> None:
        from threading import Event

        self.abort = abort
        self.ended = Event()


class _Watch:
    """The thread that hears of signals while the main thread cannot."""

    def __init__(self) -> None:
        from threading import Thread

        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        self.call: _Call | None = None
        Thread(target=self._listen, name="interrupts", daemon=True).start()

    def begin(self) -> bool:
        """Whether signals are heard from now on."""
        try:
            before = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        except ValueError:  # not the main thread
            return False
        if before != -1:
            signal.set_wakeup_fd(before)
        return before == -1

    def _listen(self) -> None:
        while True:
            number = os.read(self._ear, 1)[0]
            call = self.call
            if call is None or signal.getsignal(number) not in ENDING:
                continue
            with suppress(Exception):
                call.abort()
            if not call.ended.wait(GRACE_SECONDS):
                _say_goodbye()
                os._exit(128 + number)


def _say_goodbye() -> None:
    for work in before_exit:
        with suppress(Exception):
            work()


@cache
def _watch(process: int) -> _Watch:
    """The thread of this process: one that was forked has none yet."""
    del process
    return _Watch()
