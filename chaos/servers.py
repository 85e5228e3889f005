"""Private servers that can be crashed and started again: ``python -m chaos.servers postgres`` reads orders from stdin.

What they acknowledge, they have handed to the operating system, so that it outlives their processes, unless they are
told to be forgetful.
"""

import contextlib
import os
import random
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from chaos.clocks import Clock
from hammerwork_cli.database import connect
from tests.servers import PACKAGES, PrivateMySQL, PrivatePostgres, ServerMissingError

ROOT = Path(__file__).parent.parent
CRASH, HALT, START, FORGETFUL, CLOCK, FREEZE, THAW = "crash", "halt", "start", "forgetful", "clock", "freeze", "thaw"
STEPS = "--clock-steps"
_TRIES = 40


class Postgres(PrivatePostgres):
    tuning: ClassVar[dict[str, object]] = {
        **{key: value for key, value in PrivatePostgres.tuning.items() if key != "synchronous_commit"},
        "full_page_writes": "on",
        "autovacuum": "on",
        "wal_buffers": "64MB",  # room for what is to be forgotten
    }
    forgetful: ClassVar = ("ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()")
    mindful: ClassVar = ("ALTER SYSTEM RESET synchronous_commit", "SELECT pg_reload_conf()")
    writers: ClassVar[str | None] = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
    backends: ClassVar[str | None] = (
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    clock: Clock | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stopped: list[int] = []
        self.frozen_backends: list[int] = []

    def _command(self, *command: str | Path) -> dict[str, Any]:
        return _with_clock(super()._command(*command), self.clock)

    def _ready(self) -> bool:
        # A postmaster that was killed leaves its file behind.
        with contextlib.suppress(OSError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().split()
            return self._process is not None and lines[:1] == [str(self._process.pid)] and lines[-1:] == ["ready"]
        return False


class MySQL(PrivateMySQL):
    # MariaDB takes a log in /dev/shm for persistent memory, and would not forget a commit.
    needs_disk = True
    tuning: ClassVar[dict[str, object]] = {
        **PrivateMySQL.tuning,
        "innodb-flush-log-at-trx-commit": 2,
        "innodb-flush-log-at-timeout": 10,
        "innodb-doublewrite": "ON",
    }
    forgetful: ClassVar = ("SET GLOBAL innodb_flush_log_at_trx_commit = 0",)
    mindful: ClassVar = ("SET GLOBAL innodb_flush_log_at_trx_commit = 2",)
    writers: ClassVar[str | None] = None  # its setting says when it writes
    backends: ClassVar[str | None] = None  # they are threads of one process
    clock: Clock | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stopped: list[int] = []
        self.frozen_backends: list[int] = []

    def _command(self, *command: str | Path) -> dict[str, Any]:
        return _with_clock(super()._command(*command), self.clock)


KINDS: dict[str, type[Postgres] | type[MySQL]] = {"postgres": Postgres, "mysql": MySQL}


def _with_clock(started: dict[str, Any], clock: Clock | None) -> dict[str, Any]:
    if clock is not None:
        started["env"] |= clock.environment
    return started


def _crash(server: Postgres | MySQL) -> None:
    assert server._process is not None
    server._process.kill()
    server._process.wait()
    for pid in server.stopped:
        os.kill(pid, signal.SIGKILL)
    server.stopped.clear()


def _forget(server: Postgres | MySQL) -> None:
    """What it acknowledges from now on is gone when it crashes, until it starts again."""
    _say(server, server.forgetful)
    if server.writers is None:
        return
    database = connect(server.url)
    server.stopped = [pid for (pid,) in database.query(server.writers)]
    database.close()
    for pid in server.stopped:
        os.kill(pid, signal.SIGSTOP)


def _freeze(server: Postgres | MySQL) -> None:
    """Some of the processes that serve the workers stand still, or else the whole server."""
    if server.backends is None:
        assert server._process is not None
        server.frozen_backends = [server._process.pid]
    else:
        database = connect(server.url)
        found = [pid for (pid,) in database.query(server.backends)]
        database.close()
        server.frozen_backends = random.sample(found, random.randint(min(1, len(found)), len(found)))
    for pid in server.frozen_backends:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


def _thaw(server: Postgres | MySQL) -> None:
    for pid in server.frozen_backends:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    server.frozen_backends.clear()


def _say(server: Postgres | MySQL, statements: Iterable[str]) -> None:
    database = connect(server.url)
    for statement in statements:
        database.script(statement)
    database.close()


def _put_clock(server: Postgres | MySQL, seconds: str) -> None:
    assert server.clock is not None
    server.clock.put(float(seconds))


def _start(server: Postgres | MySQL) -> None:
    # As long as sessions of a killed postmaster are about, another one refuses to start.
    for last in [*[False] * _TRIES, True]:
        try:
            server.go_on()
            _say(server, server.mindful)
        except ServerMissingError:
            if last:
                raise
            time.sleep(0.25)
        else:
            return


class Server(Protocol):
    """What can be ended and started again.

    Attributes:
        lives_in_workers: it is a library, which forgets nothing that a worker knows.
        has_clock: its clock may step.
    """

    lives_in_workers: bool
    has_clock: bool

    def order(self, what: str) -> None:
        """Does one of :data:`CRASH` and its neighbours, or ``clock SECONDS``; returns when it is done."""


class GivenServers:
    """Servers that are not ours; a command ends and starts them: it is called with the order as its last word."""

    lives_in_workers = has_clock = False

    def __init__(self, command: str) -> None:
        self._command = shlex.split(command)

    def order(self, what: str) -> None:
        subprocess.run([*self._command, what], check=True)


class SqliteFile:
    """A file that can be locked, or put back: ``forgetful`` copies it, and the next ``crash`` brings the copy back.

    Nobody may have the file open then.
    """

    lives_in_workers, has_clock = True, False

    def __init__(self, path: Path) -> None:
        self.path, self._copy = path, path.with_suffix(".copy")
        self._lock: sqlite3.Connection | None = None

    def order(self, what: str) -> None:
        if what == FORGETFUL:
            with contextlib.closing(sqlite3.connect(self.path)) as source:
                source.execute("VACUUM INTO ?", (str(self._copy),))
        elif what == START:
            if self._lock is not None:
                self._lock.close()
                self._lock = None
        elif self._copy.exists():
            for left in ("-wal", "-shm"):
                Path(f"{self.path}{left}").unlink(missing_ok=True)
            self._copy.replace(self.path)
        else:
            self._lock = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._lock.execute("BEGIN IMMEDIATE")


class CrashingServer:
    """A server in the hands of a process of its own, which ends it whatever becomes of this one."""

    lives_in_workers = False

    def __init__(self, kind: str, settings: Mapping[str, str], *, clock: bool = False) -> None:
        self.has_clock = clock
        words = [*map("=".join, settings.items()), *([STEPS] if clock else [])]
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "chaos.servers", kind, *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self.url = self._answer()

    def _answer(self) -> str:
        assert self._keeper.stdout is not None
        answer = self._keeper.stdout.readline().strip()
        if not answer:
            raise ServerMissingError("The server did not start.")
        return answer

    def order(self, what: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(what + "\n")
        self._keeper.stdin.flush()
        self._answer()

    def close(self) -> None:
        """Ends it and removes what it held."""
        self._keeper.communicate()


@contextlib.contextmanager
def crashing_server(
    kind: str, settings: Mapping[str, str] | None = None, *, clock: bool = False
) -> Iterator[CrashingServer]:
    """A server of that kind, with settings of its own, and a clock that may step.

    Raises:
        ServerMissingError: it is not installed, or did not start.
    """
    server = CrashingServer(kind, settings or {}, clock=clock)
    try:
        yield server
    finally:
        server.close()


def _keep(server: Postgres | MySQL) -> None:
    orders: dict[str, Callable[..., None]] = {
        CRASH: _crash,
        HALT: type(server).halt,
        START: _start,
        FORGETFUL: _forget,
        CLOCK: _put_clock,
        FREEZE: _freeze,
        THAW: _thaw,
    }
    try:
        server.start()
        print(server.url, flush=True)
        for line in sys.stdin:
            what, *values = line.split()
            orders[what](server, *values)
            print("done", flush=True)
    finally:
        _thaw(server)
        server.stop()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: sys.exit(128 + caught))
    try:
        kept = KINDS[sys.argv[1]](settings=dict(word.split("=", 1) for word in sys.argv[2:] if word != STEPS))
        if STEPS in sys.argv:
            kept.clock = Clock(kept.folder / "clock")
        _keep(kept)
    except ServerMissingError as error:
        sys.exit(f"{error}\nInstall {PACKAGES[sys.argv[1]]}.")
