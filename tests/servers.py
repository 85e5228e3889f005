"""Private database servers for the tests: a temporary folder, a free port, gone at the end.

``python -m tests.servers`` starts both, prints the variables that make tests and benchmarks use them, and stops them
when its input ends or on Ctrl-C. The tests run it the same way, one process a server: whatever becomes of the test
run, the pipe closes, and nothing is left behind.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

VARIABLES = {
    "postgres": "HAMMERWORK_TEST_POSTGRES_URL",
    "mysql": "HAMMERWORK_TEST_MYSQL_URL",
    "pgbouncer": "HAMMERWORK_TEST_PGBOUNCER_URL",
}
MYSQLD = "HAMMERWORK_TEST_MYSQLD"
"""The server program of MySQL proper, which is then started instead of MariaDB."""
PACKAGES = {
    "postgres": "postgresql",
    "mysql": "mariadb-server-core mariadb-client-core",
    "pgbouncer": "pgbouncer",
}
USER = "hammerwork"
PASSWORD = "p@ss:w/rd%21é"
"""Has every sign that must be encoded in a URL, so that nothing prints it by luck."""
START_SECONDS = 60
UNTUNED = "--default-settings"
SOCKET_PATH_LENGTH = 90
DISKS = ("/tmp", "/var/tmp")  # noqa: S108  mkdtemp makes folders private


class ServerMissingError(Exception):
    """The programs of a server are not on this machine, or it did not start."""


PORTS = range(15_000, 32_000)


class PrivateServer:
    """A server of our own, from :meth:`start` to :meth:`stop`.

    Args:
        tuned: made small and quick for tests; otherwise it keeps its default settings, for benchmarks.
        settings: of the server, by name, besides.
    """

    system_users: Sequence[str] = ()
    """Whose process it becomes, the first that exists, when root runs the tests: these servers refuse root."""
    stop_signal = signal.SIGTERM
    needs_disk = False
    """Whether its files must not be in memory."""

    def __init__(self, *, tuned: bool = True, settings: Mapping[str, str] | None = None) -> None:
        self._tuned = tuned
        self._settings = settings or {}
        self._owner = owner(self.system_users) if os.geteuid() == 0 else None
        self.folder = _folder(self._owner, DISKS if self.needs_disk else [tempfile.gettempdir(), *DISKS])
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._served: Sequence[str | Path] = ()

    def start(self) -> None:
        """Returns when it takes connections.

        Raises:
            ServerMissingError: it is not installed, or did not start.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Ends the server and removes its folder."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def halt(self) -> None:
        """Ends the server; :meth:`go_on` starts it again with what it holds."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Its first process stands still: connections stay, and a server of one process answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def go_on(self) -> None:
        """Starts a server again that was halted; returns when it takes connections."""
        self._serve(*self._served)

    @property
    def url(self) -> str:
        raise NotImplementedError

    def _command(self, *command: str | Path) -> dict[str, Any]:
        """Arguments for ``subprocess``: the owner's process, out of reach of the terminal's Ctrl-C."""
        owner = self._owner
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        return {
            "args": [str(part) for part in command],
            "cwd": self.folder,
            "env": environment,
            "start_new_session": True,
            **identity,
        }

    def _run(self, *command: str | Path, text: str | None = None) -> None:
        done = subprocess.run(
            **self._command(*command), input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        if done.returncode:
            raise ServerMissingError(f"{command[0]} failed:\n{done.stdout[-2000:]}")

    def _serve(self, *command: str | Path) -> None:
        self._served = command
        log = self.folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                **self._command(*command), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerMissingError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        raise NotImplementedError

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        if self._owner:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        return path


class PrivatePostgres(PrivateServer):
    """PostgreSQL, the newest that is installed."""

    system_users = ("postgres", "nobody")
    stop_signal = signal.SIGINT  # ends sessions instead of waiting for them
    tuning: ClassVar[dict[str, object]] = {
        "max_connections": 200,
        "shared_buffers": "32MB",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_wal_size": "256MB",
        "autovacuum": "off",
        "jit": "off",
    }

    def start(self) -> None:
        programs = _postgres_programs()
        password = self._write("password", f"{_scram_verifier(PASSWORD) if self._tuned else PASSWORD}\n")
        data = self.folder / "data"
        self._run(
            programs / "initdb",
            *("-D", data, "-U", USER, "--pwfile", password, "-A", "scram-sha-256"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            **(self.tuning if self._tuned else {}),
            **self._settings,
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._serve(programs / "postgres", "-D", data, *options)

    def _ready(self) -> bool:
        # The last line of this file says that the server takes connections.
        with contextlib.suppress(OSError):
            return (self.folder / "data" / "postmaster.pid").read_text().split()[-1:] == ["ready"]
        return False

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres"


class PrivateMySQL(PrivateServer):
    """MariaDB, or MySQL proper where :data:`MYSQLD` names it or only that is installed."""

    system_users = ("mysql", "nobody")
    tuning: ClassVar[dict[str, object]] = {
        "max-connections": 200,
        "max-allowed-packet": "64M",
        "innodb-buffer-pool-size": "64M",
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-doublewrite": "OFF",
        "performance-schema": "OFF",
    }

    def start(self) -> None:
        server, install = _mysql_programs()
        data = self.folder / "data"
        data.mkdir()
        if self._owner:
            os.chown(data, self._owner.pw_uid, self._owner.pw_gid)
        self._run(*install, f"--datadir={data}", f"--tmpdir={self.folder}")
        accounts = [f"'{USER}'@'{host}'" for host in ("127.0.0.1", "localhost")]
        statements = [f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}';" for account in accounts]
        statements += [f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION;" for account in accounts]
        settings = {
            "datadir": data,
            "tmpdir": self.folder,
            "init-file": self._write("init.sql", "\n".join(statements) + "\n"),
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "skip-name-resolve": "ON",
            "character-set-server": "utf8mb4",
            **(self.tuning if self._tuned else {}),
            **self._settings,
            **({"skip-ssl": "ON"} if server.name == "mariadbd" and not self._speaks_tls else {}),
            **({"debug-no-sync": "ON"} if server.name == "mariadbd" and self._tuned else {}),
            **({"mysqlx": "OFF", "secure-file-priv": "NULL"} if server.name != "mariadbd" else {}),
            **({"skip-log-bin": "ON"} if server.name != "mariadbd" and "log-bin" not in self._settings else {}),
        }
        self._serve(server, "--no-defaults", *(f"--{key}={value}" for key, value in settings.items()))

    def _ready(self) -> bool:
        # Both write it when they take connections, after the init file.
        return (self.folder / "pid").exists() and (self.folder / "socket").exists() and _listens(self.port)

    @property
    def _speaks_tls(self) -> bool:
        """A handshake takes four times as long as the rest of a connection; the tests of TLS have their own servers."""
        return not self._tuned or "ssl-cert" in self._settings

    @property
    def url(self) -> str:
        return f"mysql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/mysql"


class PrivatePgBouncer(PrivateServer):
    """A pooler that hands out transactions, before the server that ``HAMMERWORK_TEST_POSTGRES_URL`` names."""

    system_users = ("postgres", "nobody")

    def start(self) -> None:
        program = shutil.which("pgbouncer", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
        if program is None:
            raise ServerMissingError("PgBouncer is not installed")
        behind = urlsplit(os.environ[VARIABLES["postgres"]])
        user, password = unquote(behind.username or ""), unquote(behind.password or "").replace("'", "''")
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": 2,
        }
        target = f"* = host={behind.hostname} port={behind.port or 5432} user={user} password='{password}'"
        lines = ["[databases]", target, "[pgbouncer]", *(f"{key} = {value}" for key, value in settings.items())]
        self._serve(program, self._write("pgbouncer.ini", "\n".join(lines) + "\n"))

    def _ready(self) -> bool:
        return _listens(self.port)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"


KINDS: dict[str, type[PrivatePostgres] | type[PrivateMySQL]] = {"postgres": PrivatePostgres, "mysql": PrivateMySQL}


def _postgres_programs() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not places:
        raise ServerMissingError("PostgreSQL is not installed")
    return max(places, key=lambda place: float(place.parent.name))


def _mysql_programs() -> tuple[Path, Sequence[str]]:
    mysql = os.environ.get(MYSQLD)
    places = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    mariadb, install = shutil.which("mariadbd", path=places), shutil.which("mariadb-install-db", path=places)
    if mariadb and install and not mysql:
        options = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        return Path(mariadb), [install, *options]
    mysql = shutil.which(mysql or "mysqld", path=places)
    if mysql:
        return Path(mysql), [mysql, "--no-defaults", "--initialize-insecure", "--secure-file-priv=NULL"]
    raise ServerMissingError("neither MariaDB nor MySQL is installed")


def _scram_verifier(password: str) -> str:
    """A password as PostgreSQL stores it, by one round instead of 4,096: those take half the time of a connection."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    parts = (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))
    encoded = [base64.b64encode(part).decode() for part in parts]
    return f"SCRAM-SHA-256$1:{encoded[0]}${encoded[1]}:{encoded[2]}"


def owner(names: Sequence[str]) -> pwd.struct_passwd:
    """The first of these users that exists.

    Raises:
        ServerMissingError: none does.
    """
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerMissingError(f"none of the users {', '.join(names)} exists, and the server refuses to run as root")


def _folder(owner: pwd.struct_passwd | None, places: Sequence[str]) -> Path:
    """A new folder that the owner reaches, with a path that is short enough for a socket."""
    for place in dict.fromkeys(places):
        folder = Path(tempfile.mkdtemp(prefix="hammerwork-test-", dir=place))
        if owner is None:
            return folder
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        reached = subprocess.run(
            ["test", "-w", folder], user=owner.pw_uid, group=owner.pw_gid, extra_groups=[], check=False
        )
        if reached.returncode == 0 and len(str(folder)) < SOCKET_PATH_LENGTH:
            return folder
        folder.rmdir()
    raise ServerMissingError(f"no temporary folder is open to the user {owner.pw_name if owner else '?'}")


@contextlib.contextmanager
def frozen(process: subprocess.Popen[Any]) -> Iterator[None]:
    """A process of ours stands still, with all its threads: connections stay, and nobody answers."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # on a busy machine its threads run on for a while
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def free_port() -> int:
    """Below the ports that the system gives to whoever asks for any: nobody gets it before the server listens."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerMissingError("no port is free")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def server_url(kind: str, *, tuned: bool = True) -> Iterator[str]:
    """The URL of a server of that kind with the right to create databases: a given one, or a private one.

    Args:
        kind: ``postgres``, ``mysql`` or ``pgbouncer``.
        tuned: for tests; otherwise with its default settings, or the one that ``HAMMERWORK_BENCH_*_URL`` names.

    Raises:
        ServerMissingError: none is given and none can be started; the message says what to do.
    """
    variable = VARIABLES[kind] if tuned else VARIABLES[kind].replace("_TEST_", "_BENCH_")
    given = os.environ.get(variable)
    if given:
        yield given
        return
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.servers", kind, *([] if tuned else [UNTUNED])],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    assert keeper.stdout is not None
    answer = re.search(r"='(.+)'$", keeper.stdout.readline().strip())
    if answer is None:
        raise ServerMissingError(keeper.communicate()[1].strip())
    try:
        yield answer[1]
    finally:
        keeper.communicate()


def _keep(kinds: Sequence[str], *, tuned: bool) -> None:
    """Starts servers, tells their URLs, and stops them when the input ends."""
    running: list[PrivateServer] = []
    try:
        for kind in kinds:
            running.append({**KINDS, "pgbouncer": PrivatePgBouncer}[kind](tuned=tuned))
            running[-1].start()
            print(f"export {VARIABLES[kind]}='{running[-1].url}'", flush=True)  # noqa: T201  this is its answer
        sys.stdin.read()
    finally:
        for server in running:
            server.stop()


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    for stop in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(stop, _leave)
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers", description="Starts private servers until its input ends, and says where."
    )
    known = ", ".join(VARIABLES)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{known}; {', '.join(KINDS)} where none is named")
    parser.add_argument(
        UNTUNED, dest="untuned", action="store_true", help="as they are, for benchmarks; else small and quick for tests"
    )
    asked = parser.parse_args()
    if unknown := set(asked.kinds) - VARIABLES.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}, only {known}")
    wanted = asked.kinds or list(KINDS)
    try:
        _keep(wanted, tuned=not asked.untuned)
    except ServerMissingError as error:
        todo = " ".join(f"Install {PACKAGES[kind]} or set {VARIABLES[kind]}." for kind in wanted)
        sys.exit(f"{error}\n{todo}")
