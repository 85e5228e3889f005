"""The program in processes that are forks of one that has imported it: imports are most of what a start costs.

For tests of what a process does, not of how it starts. What imports, options and files of a start do is tested by
processes that start as a user's do.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any

ROOT = Path(__file__).parent.parent
IMPORTED = (
    "hammerwork_cli.app",
    "hammerwork_cli.web.serving",
    "hammerwork_cli.runtime.worker.worker",
    *(f"hammerwork_cli.database.drivers.{name}" for name in ("sqlite", "postgres", "mysql")),
)
LONGEST_ORDER = 1 << 17


class Fork:
    """One of these processes, with what of ``subprocess.Popen`` tests use.

    Args:
        words: what follows the name of the program.
        env: its whole environment.
        cwd: its folder.
        input: all that it can read.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str], cwd: Path, input: str = "") -> None:
        output, errors, status = os.pipe(), os.pipe(), os.pipe()
        given = [_readable(input), *(pipe[1] for pipe in (output, errors, status))]
        orders, _ = _origin()
        socket.send_fds(orders, [json.dumps([list(words), dict(env), str(cwd)]).encode()], given)
        for descriptor in given:
            os.close(descriptor)
        self.pid = int(orders.recv(32))
        self.stdout: IO[str] = open(output[0], encoding="utf-8")  # noqa: SIM115, PTH123
        self.stderr: IO[str] = open(errors[0], encoding="utf-8")  # noqa: SIM115, PTH123
        self._status = status[0]
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code once it has ended; that of a signal is negative."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("hammerwork", timeout or 0)
            self.returncode = int(os.read(self._status, 32))
            os.close(self._status)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it writes until its end."""
        with ThreadPoolExecutor(2) as reading:
            output, errors = (reading.submit(stream.read) for stream in (self.stdout, self.stderr))
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.send_signal(signal.SIGKILL)
                raise
        return output.result(), errors.result()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> "Fork":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()


def _readable(text: str) -> int:
    """A file without a name that holds a text."""
    descriptor = os.memfd_create("input")
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


@cache
def _origin() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Starts the process that others are forks of. It ends with this one, and they with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        return ours, subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )


def _fork_on_order(orders: socket.socket) -> None:
    """Makes a fork for each order, and tells how it ended."""
    ends: dict[int, int] = {}  # process -> where its exit code is awaited
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    sources: list[Any] = [orders, woken]
    while True:
        ready = select.select(sources, [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            for pid in list(ends):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with contextlib.suppress(BrokenPipeError):
                        os.write(ends[pid], str(os.waitstatus_to_exitcode(status)).encode())
                    os.close(ends.pop(pid))
        if orders in ready:
            order, given, _, _ = socket.recv_fds(orders, LONGEST_ORDER, 4)
            if not order:
                break
            given_input, output, errors, end = given
            pid = os.fork()
            if not pid:
                words, env, cwd = json.loads(order)
                _become(words, env, cwd, given_input, output, errors)
            os.close(given_input)
            os.close(output)
            os.close(errors)
            ends[pid] = end
            orders.send(str(pid).encode())
    for pid in ends:
        os.kill(pid, signal.SIGKILL)


def _become(words: list[str], env: dict[str, str], cwd: str, given_input: int, output: int, errors: int) -> None:
    """Is the program, as if it had been started so."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(given_input, 0)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv[1:] = words
        from hammerwork_cli.__main__ import main

        main()
        os._exit(0)
    except BaseException:  # noqa: BLE001  it must not go on as the process that it is a fork of
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(70)


if __name__ == "__main__":
    for module in IMPORTED:
        import_module(module)
    gc.freeze()
    _fork_on_order(socket.socket(fileno=int(sys.argv[1])))
