"""Clients that are many, slow, silent or greedy. SQLite serves: nothing here depends on the database.

With ``SIEGE_SECONDS`` each siege lasts at least so long, against the server's own deadlines: see ``make siege``.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.features.monitor.views import metrics
from hammerwork_cli.web.guard import LARGEST_BODY
from hammerwork_cli.web.protocol import CLIENT_SECONDS
from hammerwork_cli.web.sending import ROOM
from tests.rows import Rows
from tests.web.api.servers import Server, serving

pytestmark = pytest.mark.sqlite

FILES = 512
"""That the server may open: less than half of the connections that are made to it."""
CONNECTIONS = 1100
LARGE = 10_000_000
MOST_MEMORY = 500 << 20
"""Bytes that the server takes at its highest; a hundred copies of the large job alone are twice as many."""
LASTS = float(os.environ.get("SIEGE_SECONDS", "0"))
QUEUES = 100_000 if LASTS else 20_000
MOST_BODIES = ROOM // LARGEST_BODY
PATIENCE = CLIENT_SECONDS if LASTS else 5.0


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def besieged(makers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server that may open few files, on a database with a job of 10 MB and many queues; and the job."""
    url = makers["sqlite"].migrated()
    with closing(connect(url)) as database:
        job = Rows(database).job(payload={"text": "x" * LARGE}, priority=1)
    fill(url)
    with serving(url, home=tmp_path_factory.mktemp("home"), files=FILES, patience=PATIENCE) as server:
        yield server, job
        assert len(server.complaints) < 10_000
        assert highest_memory(server) < MOST_MEMORY
    makers["sqlite"].drop(url)


def fill(url: str) -> None:
    with closing(connect(url)) as database:
        rows = Rows(database)
        job = rows.job(queue="q-0")
        columns = "payload, status, priority, attempts, max_attempts, created_at, scheduled_at"
        raw = database._connection  # type: ignore[attr-defined]
        raw.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            f"INSERT INTO hammerwork_jobs (id, queue_name, {columns}) "
            f"SELECT printf('00000000-0000-4000-8000-%012d', i), 'q-' || i, {columns} "
            "FROM n, hammerwork_jobs WHERE id = ?",
            (QUEUES, job),
        )
        raw.commit()


def highest_memory(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) << 10


def target(server: Server) -> tuple[str, int]:
    host, _, port = server.authority.rpartition(":")
    return host, int(port)


def open_connection(server: Server, room: int | None = None) -> socket.socket:
    connection = socket.socket()
    if room is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.settimeout(20)
    connection.connect(target(server))
    return connection


def head(server: Server, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {server.authority}\r\n\r\n".encode()


@contextlib.contextmanager
def crowd() -> Iterator[list[socket.socket]]:
    """Connections that are closed in the end."""
    connections: list[socket.socket] = []
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def assert_healthy(server: Server, seconds: float = LASTS) -> None:
    """It answers those who come anew, for as long as the siege lasts, and at least five of them."""
    end = time.monotonic() + seconds
    asked = 0
    while asked < 5 or time.monotonic() < end:
        assert '"status":"ok"' in server.raw(f"GET /health HTTP/1.1\nHost: {server.authority}\nConnection: close\n\n")
        asked += 1


@pytest.mark.long
def test_half_open_connections_stop_nobody(besieged: tuple[Server, str]) -> None:
    server, _ = besieged
    with crowd() as connections:
        for number in range(CONNECTIONS):
            connections.append(open_connection(server))
            if number % 100 == 0:
                assert_healthy(server, 0)
        assert_healthy(server)
        assert server.get("/api/about").status_code == 200


def test_who_writes_a_head_slowly_is_given_a_time_and_stops_nobody(besieged: tuple[Server, str]) -> None:
    server, _ = besieged
    began = time.monotonic()
    with crowd() as connections:
        connections += [open_connection(server) for _ in range(FILES // 4)]
        for connection in connections:
            connection.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        while open_ones := [connection for connection in connections if is_open(connection, b"x")]:
            assert time.monotonic() - began < PATIENCE + LASTS + 30, len(open_ones)
            assert_healthy(server)
            time.sleep(0.5)


def is_open(connection: socket.socket, piece: bytes) -> bool:
    try:
        connection.sendall(piece)
    except OSError:
        return False
    return True


def test_who_does_not_read_costs_little_and_is_given_a_time(besieged: tuple[Server, str]) -> None:
    server, job = besieged
    spellings = [job[:length] for length in range(4, 37) if job[length - 1] != "-"]
    spellings += [spelling.upper() for spelling in spellings] + [job.replace("-", "")] * 34
    began = time.monotonic()
    with crowd() as connections:
        for spelling in (spellings * 2)[:100]:
            connections.append(open_connection(server, room=4096))
            connections[-1].sendall(head(server, f"/api/jobs/{spelling}"))
            if len(connections) % 25 == 0:
                assert_healthy(server, 0)
        assert_healthy(server)
        large = server.get(f"/api/jobs/{job}")
        assert len(large.json()["payload"]["text"]) == LARGE
        # All that came is read when the server has given up sending it: less than the whole.
        while sockets(server) > 10:
            assert time.monotonic() - began < PATIENCE + LASTS + 30
            assert_healthy(server)
            time.sleep(0.5)
    assert highest_memory(server) < MOST_MEMORY


def test_bodies_that_never_end_take_a_bounded_room(besieged: tuple[Server, str]) -> None:
    server, _ = besieged
    start = (
        f"POST /api/jobs HTTP/1.1\r\nHost: {server.authority}\r\nOrigin: {server.url}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {LARGEST_BODY}\r\n\r\n"
    )
    with crowd() as connections:
        for _ in range(MOST_BODIES + 10):
            connections.append(open_connection(server))
            connections[-1].sendall(start.encode() + b"[" * (LARGEST_BODY // 2))
        # The last ones are refused, or where they came late the first ones were given up for them.
        deadline = time.monotonic() + 20
        while len(select.select(connections, (), (), 1)[0]) < 10:
            assert time.monotonic() < deadline
        assert_healthy(server)
    assert highest_memory(server) < MOST_MEMORY


def sockets(server: Server) -> int:
    """That the server has open."""
    names = []
    for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(str(file.readlink()))
    return sum(name.startswith("socket:") for name in names)


def test_metrics_of_very_many_queues_are_bounded_and_hold_up_nobody(besieged: tuple[Server, str]) -> None:
    server, _ = besieged
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(httpx.get(f"{server.url}/metrics", timeout=120)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert_healthy(server)
    assert len(answers) == 20
    for answer in answers:
        assert answer.status_code == 200
        assert answer.text.count("hammerwork_queue_paused{") == metrics.MOST_QUEUES + 1
        # Every queue has one job.
        other = QUEUES + 2 - metrics.MOST_QUEUES
        assert f'hammerwork_jobs{{queue="other",status="Completed"}} {other}.0' in answer.text
        assert len(answer.content) < 2 << 20


def test_when_no_file_can_be_opened_the_server_waits_and_says_so_once(
    serve: Callable[..., Server], empty_url: str
) -> None:
    server = serve(empty_url)
    with no_file_to_open(server):
        time.sleep(2.5)  # it tries again each second
    assert_healthy(server)
    assert server.end(signal.SIGTERM) == 0
    assert server.complaints.count("out of system resource") == 1


def test_a_server_that_stops_while_no_file_can_be_opened_prints_no_traceback(empty_url: str, tmp_path: Path) -> None:
    token = "a-token-of-more-than-sixteen"
    with serving(empty_url, token=token, home=tmp_path) as server, closing(open_connection(server)) as slow:
        headers = f"Host: {server.authority}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json"
        slow.sendall(f"POST /api/jobs HTTP/1.1\r\n{headers}\r\nContent-Length: 9\r\n\r\n{{".encode())
        with no_file_to_open(server):
            server.process.terminate()
            time.sleep(2.5)  # it waits for the request, and asyncio tries each second to accept connections again
            assert server.process.poll() is None
        assert server.process.wait(20) == 0


@contextlib.contextmanager
def no_file_to_open(server: Server) -> Iterator[None]:
    """Meanwhile the server can open no file, and has said so."""
    assert server.json("/health") == {"status": "ok", "stalled_workers": 0}
    held = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
    before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (held, before[1]))
    with crowd() as connections:
        connections += [open_connection(server) for _ in range(50)]
        deadline = time.monotonic() + 30
        while "out of system resource" not in server.complaints:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
        if server.process.poll() is None:
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
