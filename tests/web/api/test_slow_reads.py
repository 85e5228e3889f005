"""A read that takes too long is cancelled on the server, and says so."""

import asyncio
import contextlib
import threading
import time
from typing import Any

import httpx
import pytest

from hammerwork_cli.cli.context import Context
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import ConnectionLostError, TimedOutError
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.spawn.queries import stats
from hammerwork_cli.web import connections
from hammerwork_cli.web.application import Server
from hammerwork_cli.web.connections import WebConnections
from hammerwork_cli.web.endpoints.settings import ServerSettings
from tests.conftest import all_databases

ENDLESS = {
    "postgresql": "SELECT pg_sleep(3600)",
    "mysql": "SELECT SLEEP(3600)",
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n",
}
RUNNING = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(3600)'",
    "mysql": "SELECT 1 FROM information_schema.processlist WHERE info = 'SELECT SLEEP(3600)'",
}


def endless(database: Database, *_: Any, **__: Any) -> Any:
    if database.dialect == "mysql":
        # MySQL lets SLEEP return 1 if it is killed; a table of it is an error, as of any statement.
        return database.query("SELECT COUNT(*) FROM (SELECT SLEEP(3600) UNION ALL SELECT SLEEP(3600)) AS slept")
    return database.query(ENDLESS[database.dialect])


@pytest.fixture
def served(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.5)
    monkeypatch.setattr(connections, "CANCEL_AGAIN_SECONDS", 0.1)
    with contextlib.closing(connect(migrated_url)) as database:
        reports: list[str] = []
        server = Server(
            WebConnections(database.url, 2),
            ServerSettings(),
            health=WebConnections(database.url, 1),
            now=Context({}).now,
            operator="me@here",
            report=reports.append,
        )
        yield database, server, reports
        server.connections.close()
        server.health.close()


def ask(server: Server, method: str, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(server.application())
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, headers={"Origin": "http://127.0.0.1"})

    return asyncio.run(send())


@all_databases
def test_a_read_that_takes_too_long_is_cancelled_and_says_what_to_narrow(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, server, reports = served
    monkeypatch.setattr(stats, "stats", endless)
    answer = ask(server, "GET", "/api/spawn/stats?hours=87600&detailed=true")
    assert answer.status_code == 504
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert (said["title"], said["code"]) == ("Gateway Timeout", "timeout")
    assert said["detail"] == "This takes longer than 0.5 s, so it was cancelled."
    assert said["hint"] == "Narrow it by hours, queue, detailed."
    assert reports == []
    monkeypatch.undo()
    assert ask(server, "GET", "/api/spawn/stats").status_code == 200


@all_databases
def test_no_statement_goes_on_after_its_answer(served: Any) -> None:
    database, server, _ = served
    threads = threading.active_count()
    with pytest.raises(TimedOutError):
        asyncio.run(server.connections.ask(endless))
    assert asyncio.run(server.connections.ask(lambda other: other.query("SELECT 1"))) == [(1,)]
    end = time.monotonic() + 20
    while database.dialect in RUNNING and database.query(RUNNING[database.dialect]):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert threading.active_count() <= threads + 2


def test_a_change_is_not_cancelled(served: Any) -> None:
    def work(database: Database) -> Any:
        time.sleep(1.0)
        return database.query("SELECT 1")

    assert asyncio.run(served[1].connections.ask(work, repeatable=False)) == [(1,)]


def test_only_a_change_whose_connection_is_lost_is_said_to_be_uncertain(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, server, _ = served

    def lose(*_: Any, **__: Any) -> Any:
        raise ConnectionLostError("postgresql://user@host/secret is gone")

    monkeypatch.setattr(stats, "stats", lose)
    monkeypatch.setattr(queues, "resume", lose)
    read, changed = ask(server, "GET", "/api/spawn/stats"), ask(server, "POST", "/api/queues/mail/resume")
    assert (read.status_code, read.json()["detail"]) == (503, "The connection to the database was lost.")
    assert (changed.status_code, changed.json()["detail"]) == (
        503,
        "The connection to the database was lost. Whether a change succeeded is unknown.",
    )
