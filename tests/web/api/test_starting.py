"""Starting, outliving its database, and ending."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.web.serving import listen
from tests import surroundings
from tests.conftest import EACH_DIALECT, ROOT, on_servers
from tests.databases import migrate
from tests.rows import Rows
from tests.web.api.relay import relay
from tests.web.api.servers import Server, serving

Serve = Callable[..., Server]
LIBRARIES = ("starlette", "uvicorn", "prometheus_client", "jsonschema")


# Starting.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_address_is_printed_on_stdout_and_answers(serve: Serve, empty_url: str, host: str) -> None:
    server = serve(empty_url, "--host", host)
    assert server.url.startswith("http://[::1]:" if host == "::1" else f"http://{host}:")
    assert server.json("/health") == {"status": "ok", "stalled_workers": 0}
    assert server.get("/").headers["content-type"].startswith("text/html")
    assert server.get("/client.js").headers["content-type"].startswith("text/javascript")


def test_small_answers_are_not_held_back_on_the_line() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_without_its_libraries_it_says_how_to_install_them(empty_url: str) -> None:
    # A child for each, of a process that has loaded none of them.
    script = f"""
import os, sys
from hammerwork_cli.app import main
for library in {LIBRARIES}:
    if not (child := os.fork()):
        sys.modules[library] = None
        os._exit(main(["web", "serve", "--port", "0", "-u", {empty_url!r}]))
    print("exit code", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=True
    )
    *said, rest = done.stderr.split("exit code 3\n")
    assert (len(said), rest) == (len(LIBRARIES), "")
    for library, text in zip(LIBRARIES, said, strict=True):
        assert library in text
        assert "pip install '.[web]'" in text


def test_a_port_that_is_taken_is_refused(run: Callable[..., Any], empty_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("web", "serve", "--port", port, url=empty_url)
    assert done.exit_code == 2
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr


def test_a_database_that_cannot_be_used_is_said_at_the_start(run: Callable[..., Any], sqlite_url: str) -> None:
    done = run("web", "serve", "--port", "0", url=sqlite_url)
    assert done.exit_code == 4
    assert "migration run" in done.stderr
    assert run("web", "serve", url="nonsense://x").exit_code == 3


def test_starting_other_commands_loads_no_web_library(clean_environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-P", "-m", "hammerwork_cli", "web", "serve", "--help"],
        env={**surroundings.uncovered(clean_environment), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "hammerwork_cli.web.endpoints.settings" in modules
    assert not modules & {*LIBRARIES, "asyncio", "socket"}


# The database.


@on_servers
def test_a_server_outlives_its_database(new_database: Callable[..., str], dialect: str, tmp_path: Path) -> None:
    url = new_database(dialect, migrated=True)
    with closing(connect(url)) as database:
        job = Rows(database).job(status="Dead")
    with relay(url) as line, serving(line.url, home=tmp_path) as server:
        ask_at_once(server, 8)
        line.cut()
        for path in ("/api/queues", "/health", "/metrics", "/api/jobs"):
            answer = server.get(path)
            assert answer.status_code == 503, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"]
            assert answer.json()["code"] in {"database_unreachable", "connection_lost"}
        assert server.post(f"/api/jobs/{job}/retry").status_code == 503
        assert server.complaints.count("Error: ") <= 3, "the same is told again and again"
        line.mend()
        # Every connection of the pool was broken; none of them may show it to who asks now.
        assert ask_at_once(server, 8) == {200}
        assert server.post(f"/api/jobs/{job}/retry").json()["changed"] == 1


@on_servers
def test_a_connection_that_broke_while_nobody_used_it_is_replaced_unnoticed(
    new_database: Callable[..., str], dialect: str, tmp_path: Path
) -> None:
    url = new_database(dialect, migrated=True)
    with closing(connect(url)) as database:
        job = Rows(database).job(status="Dead")
    with relay(url) as line, serving(line.url, home=tmp_path) as server:
        ask_at_once(server, 8)
        line.cut()
        line.mend()
        assert server.post(f"/api/jobs/{job}/retry").status_code == 200
        assert ask_at_once(server, 8) == {200}


def ask_at_once(server: Server, count: int) -> set[int]:
    """The statuses of different questions that are asked at the same time, so that no answer serves for two."""
    with ThreadPoolExecutor(count) as pool:
        return set(pool.map(lambda number: server.get(f"/api/jobs?limit={number + 1}").status_code, range(count)))


# After an error, PostgreSQL asks for another transaction. MariaDB knows nothing that SQLite does not.
@pytest.mark.parametrize("dialect", EACH_DIALECT[:2])
def test_tables_that_are_made_later_are_found(serve: Serve, new_database: Callable[..., str], dialect: str) -> None:
    from hammerwork_cli.features.migration import queries as migrations

    url = new_database(dialect)
    with closing(connect(url)) as database:
        server = serve(url)
        assert server.get("/api/jobs").status_code == 503
        migrations.run(database)
    assert server.json("/api/jobs") == []


def test_no_more_connections_are_made_than_allowed(serve: Serve, new_database: Callable[..., str]) -> None:
    url = new_database("postgres")  # one with tables would keep a connection of the tests
    migrate(url)
    server = serve(url)
    ask_at_once(server, 30)
    with closing(connect(url)) as own:
        counted = own.query("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()")[0][0]
    assert int(counted) - 1 <= 4


def test_a_database_of_hammerwork_rust_is_served_without_our_tables(
    serve: Serve, restored: Callable[[str], str]
) -> None:
    for name in ("media.postgresql", "media.mariadb"):
        server = serve(restored(name))
        (newest, *_) = server.json("/api/spawn/operations", limit=5)
        assert server.json(f"/api/jobs/{newest['parent_id']}/children", limit=500)
        assert server.json("/api/workers") == []
        assert server.json("/api/queues")
        with server.events() as events:
            events.next("ready")


# Ending.


def test_a_request_that_is_under_way_is_answered_before_the_end(new_database: Callable[..., str], serve: Serve) -> None:
    url = new_database("postgres", migrated=True)
    server = serve(url)
    server.json("/api/jobs")
    with closing(connect(url)) as own, ThreadPoolExecutor(1) as pool:
        own.script("BEGIN")
        own.script("LOCK TABLE hammerwork_jobs IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(server.get, "/api/jobs?limit=7")
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        own._connection.rollback()
        assert answer.result(10).status_code == 200
    assert server.process.wait(10) == 0


@pytest.mark.long
def test_a_statement_that_hangs_does_not_keep_the_server_from_ending(
    new_database: Callable[..., str], serve: Serve
) -> None:
    url = new_database("postgres", migrated=True)
    server = serve(url)
    server.json("/api/jobs")
    with closing(connect(url)) as own, ThreadPoolExecutor(1) as pool:
        own.script("BEGIN")
        own.script("LOCK TABLE hammerwork_jobs IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(server.get, "/api/jobs?limit=7")
        time.sleep(0.5)
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < 19
        own._connection.rollback()
        assert answer.exception(10) or answer.result().status_code >= 500
