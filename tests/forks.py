"""The program in processes that are forks of one that has imported it: imports are most of what a start costs.

For tests of what a process does, not of how it starts. What imports, options and files of a start do is tested by
processes that start as a user's do.
"""

import atexit
import contextlib
import ctypes
import gc
import io
import marshal
import os
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO

ROOT = Path(__file__).parent.parent
IMPORTED = (
    "hammerwork_cli.__main__",
    "hammerwork_cli.app",
    *(f"hammerwork_cli.features.{group}.commands" for group in ("job", "spawn", "worker", "monitor", "queue")),
    *(f"hammerwork_cli.features.job.commands.{name}" for name in ("enqueue", "reading", "changes")),
    *("hammerwork_cli.features.spawn.commands.operations", "hammerwork_cli.features.spawn.commands.tree"),
    *("hammerwork_cli.features.worker.commands.control", "hammerwork_cli.features.worker.commands.start"),
    *("hammerwork_cli.cli.printed_commands", "hammerwork_cli.view.table", "tabulate"),
    "hammerwork_cli.web.serving",
    "hammerwork_cli.runtime.worker.worker",
    *(f"hammerwork_cli.runtime.isolation.{name}" for name in ("guard", "child")),
    *(f"hammerwork_cli.database.drivers.{name}" for name in ("sqlite", "postgres", "mysql")),
)
LONGEST_ORDER = 1 << 17
MADV_COLLAPSE = 25
"""Of Linux 6.1 and later: moves memory into pages of 2 MiB."""
PROGRAM = (sys.executable, "-P", "-m", "hammerwork_cli")
"""What starts the program in the place of a fork, where that would not do."""
NO_STREAMS: Mapping[int, int] = MappingProxyType({})
OWN_TERMINAL = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
"""Statements before the program is one for which Ctrl-C and new sizes of its terminal are signals."""
_ordering = threading.Lock()
"""Held from an order to its answer, and while the first one starts the process: threads of a test order, too."""


class Fork:
    """One of these processes, with what of ``subprocess.Popen`` tests use.

    Args:
        words: what follows the name of the program.
        env: its whole environment.
        cwd: its folder.
        input: all that it can read: a text, or an open file.
        before: statements that it runs before it is the program.
        streams: descriptors that it has, instead of the pipes to this process: 0, 1 or 2 -> ours.
    """

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        input: str | IO[bytes] = "",
        before: str = "",
        streams: Mapping[int, int] = NO_STREAMS,
    ) -> None:
        output, errors = os.pipe(), os.pipe()
        given = [_readable(input), output[1], errors[1]]
        for number, descriptor in streams.items():
            os.dup2(descriptor, given[number])
        self._begin((words, env, cwd, before), given)
        self.stdout: IO[str] = open(output[0], encoding="utf-8")  # noqa: SIM115, PTH123
        self.stderr: IO[str] = open(errors[0], encoding="utf-8")  # noqa: SIM115, PTH123

    def _begin(self, order: tuple[Sequence[str], Mapping[str, str], Path | str, str], streams: list[int]) -> None:
        """Orders it. The streams are for it alone: they are closed here."""
        words, env, cwd, before = order
        status = os.pipe()
        given = [*streams, status[1]]
        with _ordering:
            orders, _, _ = _origin()
            socket.send_fds(orders, [marshal.dumps((list(words), dict(env), str(cwd), before))], given)
            self.pid = int(orders.recv(32))
        for descriptor in given:
            os.close(descriptor)
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
        """What it writes until its end, and then its streams are closed."""
        with ThreadPoolExecutor(2) as reading:
            output, errors = (reading.submit(stream.read) for stream in (self.stdout, self.stderr))
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.send_signal(signal.SIGKILL)
                raise
        self.stdout.close()
        self.stderr.close()
        return output.result(), errors.result()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Fork":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()


IN_ITS_PLACE = """
import atexit, os, sys, threading, traceback
os.setpgid(0, 0)
os.dup2(0, 3)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
program, sys.argv[:], code = sys.argv[1], ["-c", "3", *sys.argv[2:]], 0
try:
    exec(program, {"__name__": "__main__"})
except SystemExit as error:
    code = error.code or 0
except BaseException:
    traceback.print_exc()
    code = 1
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
os._exit(code)
"""


class ForkForHandlers(Fork):
    """In the place of ``subprocess.Popen`` where a worker starts a process for handlers.

    It ends when its pipe does, but does not notice that the thread that uses it has ended, because that is not its
    parent: tests of that start processes as a worker does.
    """

    def __init__(self, command: list[str], *, pass_fds: tuple[int], env: Mapping[str, str], **_: object) -> None:
        place = command.index("-c")
        words = [command[place + 1], *command[place + 3 :]]
        streams = [os.dup(number) for number in (pass_fds[0], 1, 2)]
        self._begin((words, env, Path.cwd(), IN_ITS_PLACE), streams)


Begun = Fork | subprocess.Popen[str]


def begin(
    words: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    input: str | IO[bytes] = "",
    streams: Mapping[int, int] = NO_STREAMS,
) -> Begun:
    """A fork, or a process that starts as a user's does, where the interpreter has to read variables."""
    if is_read_by_interpreter(env):
        path = {"PYTHONPATH": str(ROOT)}
        with open(_readable(input), "rb") as stdin:
            return subprocess.Popen(
                [*PROGRAM, *words],
                cwd=cwd,
                env={**path, **env},
                stdin=streams.get(0, stdin),
                stdout=streams.get(1, subprocess.PIPE),
                stderr=streams.get(2, subprocess.PIPE),
                encoding="utf-8",
            )
    return Fork(words, env, cwd, input, streams=streams)


def is_read_by_interpreter(env: Mapping[str, str]) -> bool:
    """Whether a fork, whose interpreter has started, would not do what an environment asks for."""
    return any(name.startswith(("COVERAGE_", "PYTHON")) for name in env)


def _readable(text: str | IO[bytes]) -> int:
    """A file without a name that holds a text, or the file that is given."""
    if not isinstance(text, str):
        return os.dup(text.fileno())
    descriptor = os.memfd_create("input")
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def as_fork(folder: Path, program: Path) -> None:
    """Writes a ``hammerwork`` into a folder that a shell starts like the installed program.

    What it starts is a fork, which gets the signals that it gets, and ends with it.
    """
    written = folder / "hammerwork"
    written.write_text(f'#!/bin/sh\nexec {fork_command(program)} "$@"\n', encoding="utf-8")
    written.chmod(0o755)


def fork_command(program: Path) -> str:
    """What a shell runs in the place of the installed program."""
    _, address, _ = _origin()
    return shlex.join([sys.executable, "-IS", str(ROOT / "tests" / "fork_client.py"), address, str(program)])


@cache
def _origin() -> tuple[socket.socket, str, subprocess.Popen[bytes]]:
    """Starts the process that others are forks of. It ends with this one, and they with it.

    Besides the socket for this process's orders, it has an address where others order.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind("")  # the system gives it an address that vanishes with it
    listening.listen()
    with theirs, listening:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(listening.fileno())],
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno(), listening.fileno()],
            start_new_session=True,
        )
        atexit.register(_end, ours, process)
        return ours, listening.getsockname()[1:].decode(), process


def _end(orders: socket.socket, process: subprocess.Popen[bytes]) -> None:
    orders.shutdown(socket.SHUT_RDWR)  # close() would leave it open to forks of this process
    orders.close()
    process.wait()


class _Origin:
    """Makes a fork for each order, and tells how it ended.

    Args:
        orders: of the process that started this one.
        listening: where others come to order one fork each.
    """

    def __init__(self, orders: socket.socket, listening: socket.socket) -> None:
        self._orders, self._listening = orders, listening
        self._ends: dict[int, int] = {}  # process -> where its exit code is awaited
        self._clients: dict[socket.socket, int] = {}  # who came to order -> the process; 0 before the order

    def serve(self) -> None:
        """Goes on until the process that started this one ends, and ends all forks then."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        while True:
            sources = [woken, *(source.fileno() for source in (self._orders, self._listening, *self._clients))]
            ready = set(select.select(sources, [], [])[0])
            if woken in ready:
                os.read(woken, 4096)
                self._tell_ends()
            if self._listening.fileno() in ready:
                client, _ = self._listening.accept()
                if _user_of(client) == os.geteuid():
                    self._clients[client] = 0
                else:
                    client.close()
            for client in [client for client in self._clients if client.fileno() in ready]:
                self._serve_client(client)
            if self._orders.fileno() in ready and not self._obey(self._orders):
                break
        for pid in self._ends:
            os.kill(pid, signal.SIGKILL)

    def _tell_ends(self) -> None:
        for pid in list(self._ends):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with contextlib.suppress(BrokenPipeError):
                    os.write(self._ends[pid], str(os.waitstatus_to_exitcode(status)).encode())
                os.close(self._ends.pop(pid))

    def _serve_client(self, client: socket.socket) -> None:
        pid = self._obey(client)
        if pid:
            self._clients[client] = pid
            return
        pid = self._clients.pop(client)
        client.close()
        if pid in self._ends:  # the client was killed
            os.kill(pid, signal.SIGKILL)

    def _obey(self, source: socket.socket) -> int:
        """The process of a fork that was ordered; 0 when nobody orders any more."""
        order, given, _, _ = socket.recv_fds(source, LONGEST_ORDER, 4)
        if not order:
            return 0
        pid = os.fork()
        if not pid:
            _become(given[:3], *marshal.loads(order))  # noqa: S302  our own order
        for descriptor in given[:3]:
            os.close(descriptor)
        self._ends[pid] = given[3]
        with contextlib.suppress(BrokenPipeError):
            source.send(str(pid).encode())
        return pid


def _user_of(client: socket.socket) -> int:
    """Whose process the other end is: the address is open to everybody on the machine."""
    credentials = struct.Struct("3i")
    return int(credentials.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size))[1])


def _become(streams: Sequence[int], words: list[str], env: dict[str, str], cwd: str, before: str = "") -> None:
    """Is the program, as if it had been started so."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        # As those of an interpreter: whoever replaces one does not close what programs that it starts write to.
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv[1:] = words
        exec(before)  # noqa: S102  our own order
        from hammerwork_cli.__main__ import main

        main()
        os._exit(0)
    except BaseException:  # noqa: BLE001  it must not go on as the process that it is a fork of
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(70)


def _warm_up() -> None:
    """Calls commands that are refused before they open anything: what they find out the first time need no fork do."""
    from hammerwork_cli.app import main
    from hammerwork_cli.cli.context import Context

    environment = {"HAMMERWORK_DATABASE_URL": "sqlite:///:memory:"}
    for words in (("job", "list"), ("spawn", "list", "--format", "json")) * 2:
        output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        if not main(words, Context(environment, output, output)) or threading.active_count() > 1:
            raise AssertionError(f"{words} did more than what every fork may share")


def _use_large_pages() -> None:
    """Moves what every fork shares into large pages: half of what a fork costs is its table of pages.

    Where the system does not do that, nothing changes.
    """
    madvise = ctypes.CDLL(None).madvise
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        addresses, access, _, _, file, *name = line.split(maxsplit=5)
        if access == "rw-p" and file == "0" and name in ([], ["[heap]"]):
            begin, end = (int(address, 16) for address in addresses.split("-"))
            madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_COLLAPSE)


if __name__ == "__main__":
    for module in IMPORTED:
        import_module(module)
    _warm_up()
    gc.freeze()
    _use_large_pages()
    _Origin(*(socket.socket(fileno=int(descriptor)) for descriptor in sys.argv[1:])).serve()
