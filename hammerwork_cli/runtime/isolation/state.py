"""What a handler may change of its process, and the next one must not find changed."""

import faulthandler
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_TIMERS = signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF
_SIGNALS = sorted(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
_HANDLER_OF: Callable[[int], Any] = getattr(sys.modules.get("_signal"), "getsignal", signal.getsignal)
"""That of the C module: the search for the name of each handler takes twenty times as long."""


class ProcessState:
    """The state of this process as its modules and lifespans have left it, to which each request returns.

    It covers the working directory, umask, environment and time zone, signal handlers, mask and timers, limits,
    niceness, CPU affinity, locale and user. Imports stay, and with them ``sys.path``. Only the main thread of the
    process uses it.
    """

    def __init__(self) -> None:
        # By descriptor: the folder may be renamed or deleted.
        self._folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._environment, self._variables = dict(_environment()), _Variables()
        self._handlers = list(map(_HANDLER_OF, _SIGNALS))
        self._timers = [timer for timer in _TIMERS if signal.getitimer(timer) == (0.0, 0.0)]
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._limits = list(map(resource.getrlimit, _LIMITS))
        self._niceness, self._user, self._locale, self._cpus = _niceness(), _user(), _locale(), _cpus()
        self._recursion = sys.getrecursionlimit()

    def restore(self) -> bool:
        """Undoes what a handler has changed; ``False`` if something stays, so that the process must be replaced."""
        try:
            return self._restore()
        except (OSError, ValueError):
            return False

    def _restore(self) -> bool:
        self._restore_signals()  # first: one could end the process meanwhile
        faulthandler.cancel_dump_traceback_later()
        sys.setrecursionlimit(self._recursion)
        os.fchdir(self._folder)
        os.umask(self._umask)
        if _environment() != self._environment:
            self._restore_environment()
        if self._variables.restore():
            time.tzset()
        if list(map(resource.getrlimit, _LIMITS)) != self._limits:
            for which, limits in zip(_LIMITS, self._limits, strict=True):
                resource.setrlimit(which, limits)
        if _niceness() != self._niceness:
            os.setpriority(os.PRIO_PROCESS, 0, self._niceness)
        if _cpus() != self._cpus:
            os.sched_setaffinity(0, self._cpus)
        if self._locale is not None and _locale() != self._locale:
            import locale

            with suppress(locale.Error):
                locale.setlocale(locale.LC_ALL, self._locale)
        return _user() == self._user

    def _restore_signals(self) -> None:
        for timer in self._timers:
            signal.setitimer(timer, 0)
        if (handlers := list(map(_HANDLER_OF, _SIGNALS))) != self._handlers:
            for number, before, now in zip(_SIGNALS, self._handlers, handlers, strict=True):
                if now is not before and before is not None:  # a handler that is not Python's own
                    signal.signal(number, before)
        if signal.pthread_sigmask(signal.SIG_BLOCK, ()) != self._mask:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _restore_environment(self) -> None:
        for name in _environment().keys() - self._environment.keys():
            del os.environb[name]
        for name, value in self._environment.items():
            if _environment().get(name) != value:
                os.environb[name] = value
        time.tzset()  # by the variable TZ


def _environment() -> dict[bytes, bytes]:
    """The variables as Python keeps them: to decode them all would take longer than all the rest."""
    return os.environ._data  # type: ignore[attr-defined, no-any-return]


class _Variables:
    """The variables as the C library keeps them, for ``os.putenv`` and extensions change only those."""

    def __init__(self) -> None:
        self._array: Any = None
        with suppress(ImportError, OSError, ValueError):
            import ctypes  # the guard has imported it, on Linux

            self._array = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ")
            self._string_at, self._text, self._size = ctypes.string_at, ctypes.c_char_p, ctypes.sizeof(ctypes.c_void_p)
            self._values = self._read()

    def restore(self) -> bool:
        """Whether there was something to restore."""
        # They are compared by their addresses: the C library puts what it changes elsewhere.
        if self._array is None or (
            self._array.value == self._address
            and self._string_at(self._address, len(self._addresses)) == self._addresses
        ):
            return False
        found = self._read()
        if found == self._values:
            return False
        for name in found.keys() - self._values.keys():
            os.unsetenv(name)
        for name, value in self._values.items() - found.items():
            os.putenv(name, value)
        self._read()
        return True

    def _read(self) -> dict[bytes, bytes]:
        entries: list[bytes] = []
        self._address = self._array.value
        while self._address and (text := self._text.from_address(self._address + len(entries) * self._size).value):
            entries.append(text)
        self._addresses = self._string_at(self._address, (len(entries) + 1) * self._size) if self._address else b""
        return {name: value for name, _, value in (entry.partition(b"=") for entry in reversed(entries))}


def _cpus() -> set[int]:
    """Those that the main thread may run on; empty where the system does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def _user() -> tuple[int, ...]:
    return os.getuid(), os.geteuid(), os.getgid(), os.getegid()


def _locale() -> str | None:
    """Of the C library; ``None`` while nobody can have set it."""
    known = sys.modules.get("_locale")
    return None if known is None else str(known.setlocale(known.LC_ALL))
