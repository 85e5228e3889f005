"""Private servers that can be crashed and started again: ``python -m chaos.servers postgres`` reads orders from stdin.

What they acknowledge, they have handed to the operating system, so that it outlives their processes.
"""

import contextlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from tests.servers import PACKAGES, PrivateMySQL, PrivatePostgres, ServerMissingError

ROOT = Path(__file__).parent.parent
CRASH, HALT, START = "crash", "halt", "start"
_TRIES = 40


class Postgres(PrivatePostgres):
    tuning: ClassVar[dict[str, object]] = {
        **PrivatePostgres.tuning,
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "autovacuum": "on",
    }

    def _ready(self) -> bool:
        # A postmaster that was killed leaves its file behind.
        with contextlib.suppress(OSError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().split()
            return self._process is not None and lines[:1] == [str(self._process.pid)] and lines[-1:] == ["ready"]
        return False


class MySQL(PrivateMySQL):
    tuning: ClassVar[dict[str, object]] = {
        **PrivateMySQL.tuning,
        "innodb-flush-log-at-trx-commit": 2,
        "innodb-doublewrite": "ON",
    }


KINDS: dict[str, type[Postgres] | type[MySQL]] = {"postgres": Postgres, "mysql": MySQL}


def _crash(server: Postgres | MySQL) -> None:
    assert server._process is not None
    server._process.kill()
    server._process.wait()


def _start(server: Postgres | MySQL) -> None:
    # As long as sessions of a killed postmaster are about, another one refuses to start.
    for last in [*[False] * _TRIES, True]:
        try:
            server.go_on()
        except ServerMissingError:
            if last:
                raise
            time.sleep(0.25)
        else:
            return


class Server(Protocol):
    """What can be ended and started again."""

    def order(self, what: str) -> None:
        """``crash``, ``halt`` or ``start``; returns when it is done."""


class GivenServers:
    """Servers that are not ours; a command ends and starts them: it is called with the order as its last word."""

    def __init__(self, command: str) -> None:
        self._command = shlex.split(command)

    def order(self, what: str) -> None:
        subprocess.run([*self._command, what], check=True)


class CrashingServer:
    """A server in the hands of a process of its own, which ends it whatever becomes of this one."""

    def __init__(self, kind: str, settings: Mapping[str, str]) -> None:
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "chaos.servers", kind, *map("=".join, settings.items())],
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
def crashing_server(kind: str, settings: Mapping[str, str] | None = None) -> Iterator[CrashingServer]:
    """A server of that kind, with settings of its own.

    Raises:
        ServerMissingError: it is not installed, or did not start.
    """
    server = CrashingServer(kind, settings or {})
    try:
        yield server
    finally:
        server.close()


def _keep(server: Postgres | MySQL) -> None:
    orders: dict[str, Callable[[], None]] = {
        CRASH: partial(_crash, server),
        HALT: server.halt,
        START: partial(_start, server),
    }
    try:
        server.start()
        print(server.url, flush=True)
        for line in sys.stdin:
            orders[line.strip()]()
            print("done", flush=True)
    finally:
        server.stop()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: sys.exit(128 + caught))
    try:
        _keep(KINDS[sys.argv[1]](settings=dict(word.split("=", 1) for word in sys.argv[2:])))
    except ServerMissingError as error:
        sys.exit(f"{error}\nInstall {PACKAGES[sys.argv[1]]}.")
