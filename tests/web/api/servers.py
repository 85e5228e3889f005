"""``hammerwork web serve`` in a process of its own, and a client to ask it."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests import surroundings
from tests.conftest import ROOT
from tests.forks import Fork

ENDS_WITHIN = 20
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)
"""A new connection for each request. A client that keeps an idle connection may close it, or the server may, when
another thread has just taken it."""
PATIENT = """
from hammerwork_cli.web import protocol
protocol.CLIENT_SECONDS = {}
from hammerwork_cli.__main__ import main
main()
"""


@dataclass
class Server:
    """A server that runs.

    Attributes:
        errors: what it said on stderr.
    """

    url: str
    process: "Fork | subprocess.Popen[str]"
    client: httpx.Client
    errors: list[str] = field(default_factory=list)

    @property
    def authority(self) -> str:
        """``HOST:PORT``."""
        return self.url.partition("://")[2]

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.client.get(path, **arguments)

    def json(self, path: str, **parameters: Any) -> Any:
        """The answer to a question that must be answered."""
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, value: Any = None, **arguments: Any) -> httpx.Response:
        """A change, as the server's own page asks for it."""
        headers = {"origin": self.url, **arguments.pop("headers", {})}
        return self.client.post(path, json={} if value is None else value, headers=headers, **arguments)

    def raw(self, request: str) -> str:
        """The answer to a request that no client would write, and that asks for the connection to be closed."""
        host, _, port = self.authority.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 10) as connection:
            connection.sendall(request.replace("\n", "\r\n").encode())
            answer = b""
            with contextlib.suppress(ConnectionResetError):  # of what was not read to its end
                while piece := connection.recv(65536):
                    answer += piece
            return answer.decode()

    @contextlib.contextmanager
    def events(self, **parameters: str) -> Iterator["Events"]:
        """The stream of changes."""
        with self.client.stream("GET", "/api/events", params=parameters, timeout=30) as response:
            assert response.status_code == 200, response.read()
            yield Events(response.iter_lines())

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal, and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN)

    @property
    def complaints(self) -> str:
        return "".join(self.errors)


@dataclass
class Events:
    """Server-sent events as they come."""

    lines: Iterator[str]

    def next(self, *names: str) -> tuple[str, Any]:
        """The next event, of these names where some are given: its name and data. It must come within a minute."""
        name, data, end = "message", "", time.monotonic() + 60
        for line in self.lines:
            assert time.monotonic() < end, f"no event {' or '.join(names)}"  # a line keeps the stream alive
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and data:
                if not names or name in names:
                    return name, json.loads(data)
                name, data = "message", ""
        raise EOFError

    def jobs(self, count: int) -> list[Any]:
        """The next changes, until there are so many."""
        found: list[Any] = []
        while len(found) < count:
            found += self.next("jobs")[1]["jobs"]
        return found


def started(
    words: Sequence[str],
    environment: dict[str, str],
    home: Path,
    files: int | None = None,
    patience: float | None = None,
) -> "Fork | subprocess.Popen[str]":
    """The program with these words, in a folder; a fork unless its start is part of the matter."""
    if files is None and patience is None and not any(name.startswith("COVERAGE_") for name in environment):
        return Fork(words, environment, home)
    program = ["-P", "-m", "hammerwork_cli"] if patience is None else ["-P", "-c", PATIENT.format(patience)]
    limit = [] if files is None else ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    return subprocess.Popen([*limit, sys.executable, *program, *words], env=environment, cwd=home, **pipes)


@contextlib.contextmanager
def serving(
    url: str,
    *options: str,
    env: dict[str, str] | None = None,
    home: Path,
    token: str | None = None,
    files: int | None = None,
    patience: float | None = None,
) -> Iterator[Server]:
    """A server on a database, on a free port; it must have nothing to complain about a bug when it ends.

    Args:
        files: how many it may open.
        patience: seconds that it gives a client, instead of its own.
    """
    environment = {**surroundings.passed_on(), "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    secret = {"HAMMERWORK_WEB_TOKEN": token} if token else {}
    environment |= {"HAMMERWORK_DATABASE_URL": url, **secret, **(env or {})}
    process = started(("web", "serve", "--port", "0", *options), environment, home, files, patience)
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().strip()
    if not address:
        raise AssertionError(process.stderr.read())
    headers = {"authorization": f"Bearer {token}"} if token else {}
    # Without TLS: reading the certificates of authorities takes as long as fifty answers.
    client_settings: dict[str, Any] = {"headers": headers, "timeout": 30, "limits": LIMITS, "verify": False}
    with process, httpx.Client(base_url=address, **client_settings) as client:
        server = Server(address, process, client)
        reader = threading.Thread(target=server.errors.extend, args=(process.stderr,))
        reader.start()
        try:
            yield server
        finally:
            if process.poll() is None:
                server.end()
            reader.join()
        assert "bug" not in server.complaints, server.complaints
        assert "Traceback" not in server.complaints, server.complaints
