"""Ctrl-C and SIGTERM while a driver waits in C code: Python's handlers would run only after the statement."""

import os
import signal
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NoReturn

GRACE_SECONDS = 1
"""Time for an aborted statement to return: a server that hangs would never answer."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which stops a command as Ctrl-C does."""


def terminate(*_: object) -> NoReturn:
    """Handles SIGTERM."""
    raise Terminated


before_exit: list[Callable[[], None]] = []
"""Functions to call before the process exits although its main thread hangs, such as restoring the terminal."""

STOPPING = (signal.default_int_handler, terminate)
"""Signal handlers that stop the program. An application's own handler may want the statement to finish."""


_left: list[int] = []
"""Who has the signals instead, if somebody has."""


@contextmanager
def left_to(pipe: int) -> Iterator[bool]:
    """Lets Python write the numbers of signals into another pipe, as they come; only the main thread may call it.

    Yields whether it does: not if the program has such a pipe of its own.
    """
    before = signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
        yield False
        return
    _left.append(pipe)
    try:
        yield True
    finally:
        _left.remove(pipe)
        signal.set_wakeup_fd(-1)


def _after_fork() -> None:
    # The child would write into the pipe of its parent.
    if _left:
        _left.clear()
        with suppress(ValueError):
            signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_after_fork)


class Interruption:
    """Calls ``abort`` in another thread if a signal that stops the program arrives between its begin and its end.

    If it has not ended after :data:`GRACE_SECONDS`, the process exits. Only the main thread gets signals: in other
    threads, and under another wakeup pipe, this does nothing.
    """

    __slots__ = ("_call", "_watch", "abort")

    def __init__(self, abort: Callable[[], None]) -> None:
        self.abort = abort
        self._watch = _watch(os.getpid())
        self._call: _Call | None = None

    def begin(self) -> None:
        """Watches for signals from now on."""
        if self._watch.start():
            self._watch.call = self._call = _Call(self.abort)

    def end(self) -> None:
        """Watches no longer."""
        if self._call is not None:
            signal.set_wakeup_fd(-1)
            self._watch.call = None
            self._call.running.release()
            self._call = None


class _Call:
    """What may be interrupted."""

    __slots__ = ("abort", "running")

    def __init__(self, abort: Callable[[], None]) -> None:
        self.abort = abort
        # Held until it has ended. Each statement makes one, and an event takes twenty times as long.
        self.running = allocate_lock()
        self.running.acquire()


class _Watch:
    """A thread that reads the numbers of signals from Python's wakeup pipe, while the main thread waits in C code."""

    def __init__(self) -> None:
        from threading import Thread, main_thread

        self._main = main_thread().ident
        self._wakeup_read, self._wakeup_write = os.pipe()
        os.set_blocking(self._wakeup_write, False)
        self.call: _Call | None = None  # written by the main thread, read by the watching one
        Thread(target=self._listen, name="interrupts", daemon=True).start()

    def start(self) -> bool:
        """Starts to read signals; false outside the main thread, or if there is another wakeup pipe."""
        if get_ident() != self._main or _left:
            return False
        before = signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
        return before == -1

    def _listen(self) -> None:
        while True:
            number = os.read(self._wakeup_read, 1)[0]
            call = self.call
            if call is None or signal.getsignal(number) not in STOPPING:
                continue
            with suppress(Exception):
                call.abort()
            if not call.running.acquire(timeout=GRACE_SECONDS):
                prepare_exit()
                os._exit(128 + number)


def prepare_exit() -> None:
    """Does what has to be done before the process exits although threads of it hang."""
    for work in before_exit:
        with suppress(Exception):
            work()


@cache
def _watch(process: int) -> _Watch:
    """Returns the watch of this process. A forked process makes its own, because threads do not survive a fork."""
    del process
    return _Watch()
