"""Guards a process that runs handlers: no program that they started outlives them.

A worker starts a guard, which forks the process before either has a thread. The guard kills everything when the worker
ends, even by SIGKILL, when it receives SIGTERM, and when the process has ended. Orphans become its children, so that it
also finds those that have left the process's group. That needs Linux; elsewhere it kills the group. A guard that is
killed takes the process along, but not the programs that the process started.
"""

import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_HEARD = {signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM}
_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_SECONDS = 1.0


def stand(descriptor: int) -> None:
    """Becomes a guard, and returns in the guarded process.

    Args:
        descriptor: of the process's pipe.
    """
    worker = os.getppid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        # The signal comes when the thread that started the guard ends: the one thread that uses the process.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    guard = os.getpid()
    process = os.fork()
    if process == 0:
        _be_guarded(guard)
        return
    _let_go_of_files(descriptor)
    status = _watch(process, worker)
    _end_children(process)
    _leave(os.waitstatus_to_exitcode(status))


def _be_guarded(guard: int) -> None:
    os.setpgid(0, 0)
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value))


def _let_go_of_files(descriptor: int) -> None:
    """Closes the files of the process: whoever reads them, above all its worker, learns of its end by their end."""
    os.close(descriptor)
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)


def _watch(process: int, worker: int) -> int:
    """Waits for the process, and returns its status."""
    while True:
        if os.getppid() != worker:
            _kill(process)
        number = signal.sigwait(_HEARD)
        if number == signal.SIGTERM:
            _kill(process)
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == process:
                return status
            if not ended:
                break


def _kill(process: int) -> None:
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)
    with suppress(OSError):
        os.killpg(process, signal.SIGKILL)


def _end_children(process: int) -> None:
    """Kills the programs that the process started, in its group and outside, until none is left."""
    with suppress(OSError):
        os.killpg(process, signal.SIGKILL)
    while _LINUX:
        for child in _children():
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _children() -> list[int]:
    found, own = [], str(os.getpid()).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            if (folder / "stat").read_bytes().rpartition(b")")[2].split()[1] == own:
                found.append(int(folder.name))
    return found


def _leave(code: int) -> None:
    """Ends as the process has ended: its worker sees only the guard."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it may come now
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)
