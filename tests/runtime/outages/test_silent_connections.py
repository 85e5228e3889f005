"""Connections that die without a word: nothing comes, nothing goes, and new ones work."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hammerwork_cli import Job, Queue
from hammerwork_cli.database import Database, DatabaseUrl, Timeouts, connect
from hammerwork_cli.errors import SilentConnectionError
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.runtime.connections import Connections
from tests.database.introspection import is_mysql_proper
from tests.proxies import Proxy
from tests.runtime.conftest import Crew, Stage, until

LEASE = 2.0
SLACK = 6.0
"""Seconds for a machine that is busy."""
POSTGRES = pytest.mark.parametrize("dialect", [pytest.param("postgres", marks=pytest.mark.postgres)])
SERVERS = pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
)


@pytest.fixture
def proxy(stage: Stage) -> Iterator[Proxy]:
    with Proxy.to(stage.url) as made:
        yield made


@contextlib.contextmanager
def within_two_leases() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began <= 2 * LEASE + SLACK


@SERVERS
def test_connections_that_are_swallowed_cost_two_leases_at_most_and_no_job(
    stage: Stage, proxy: Proxy, crew: Crew, tmp_path: Path
) -> None:
    file, states, written = tmp_path / "health", set(), set()
    worker = crew.begin(url=proxy.url(stage.url), lease=LEASE, concurrency=3, health_file=file)
    held, before = [Job("held") for _ in range(2)], [Job("counted") for _ in range(5)]
    stage.enqueue(*held, *before)
    until(lambda: stage.status(*before) == ["Completed"] * 5 and all(crew.runs[job.id] for job in held))
    assert proxy.swallow() > 2
    after = stage.enqueue(*(Job("counted") for _ in range(30)))

    def have_ended() -> bool:
        states.update(one.state for one in registry.listed(stage.database))
        written.add(file.read_text().split()[2])
        return stage.status(*held, *after) == ["Completed"] * 32

    with within_two_leases():
        crew.go_on.set()
        until(have_ended, longest_pause=0.02)  # it has to see a state that passes
    # The heartbeat goes on sooner than the thread that waits for an answer, and tells of it.
    assert {"running", "stalled"} == states - {"silent"} == written
    assert set(crew.runs.values()) == {1}
    assert set(stage.rows("attempts, claim_losses")) == {(1, None)}
    crew.wait_for_heartbeats(2)
    assert [(one.state, one.stalled) for one in registry.listed(stage.database)] == [("running", {})]
    assert worker.completed == 37


@POSTGRES
def test_backends_that_stand_still_cost_two_leases_at_most_and_no_job(stage: Stage, crew: Crew) -> None:
    crew.begin(lease=LEASE, concurrency=3)
    held, before = [Job("held") for _ in range(2)], [Job("counted") for _ in range(5)]
    stage.enqueue(*held, *before)
    until(lambda: stage.status(*before) == ["Completed"] * 5 and all(crew.runs[job.id] for job in held))
    with frozen_backends(stage):
        after = stage.enqueue(*(Job("counted") for _ in range(30)))
        with within_two_leases():
            crew.go_on.set()
            until(lambda: stage.status(*held, *after) == ["Completed"] * 32)
    assert set(crew.runs.values()) == {1}
    crew.wait_for_heartbeats(2)


@contextlib.contextmanager
def frozen_backends(stage: Stage) -> Iterator[None]:
    """The processes of the server that serve the others stand still, unless one of them is in a transaction."""
    mine = _pid(stage.database), stage.queue._connections.run(_pid)
    with contextlib.closing(connect(stage.url)) as other:
        found = other.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
            f" AND pid NOT IN {(*mine, _pid(other))}"
        )
    pids = [pid for (pid,) in found]
    assert len(pids) > 2
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _pid(database: Database) -> int:
    return int(database.query("SELECT pg_backend_pid()")[0][0])


@POSTGRES
def test_a_worker_whose_listening_connection_died_hears_of_new_jobs_again(
    stage: Stage, proxy: Proxy, crew: Crew
) -> None:
    crew.begin(url=proxy.url(stage.url), lease=LEASE, poll_interval=60)
    (first,) = stage.enqueue(Job("counted"))
    until(lambda: stage.one(first) == "Completed")
    proxy.swallow()
    # The worker looks for jobs when it listens anew, and hears of those that come later.
    (second,) = stage.enqueue(Job("counted"))
    with within_two_leases():
        until(lambda: stage.one(second) == "Completed")
    (third,) = stage.enqueue(Job("counted"))
    until(lambda: stage.one(third) == "Completed")


@SERVERS
def test_a_queue_whose_connection_died_enqueues_once_with_a_new_one(
    stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hammerwork_cli.runtime.connections.SHORTEST_ANSWER", 1.0)
    with Queue(proxy.url(stage.url), patience=1) as queue:
        queue.enqueue(Job("first"))
        proxy.swallow()
        job = queue.enqueue(Job("second"))
    assert [row[0] for row in stage.rows("id", "queue_name = 'second'")] == [job.id]


@SERVERS
def test_the_next_connection_ends_the_transaction_of_the_silent_one(stage: Stage, proxy: Proxy) -> None:
    """By the clock of the server, its own limit may lie years ahead."""
    (job,) = stage.enqueue(Job("counted"))
    limit = "idle_in_transaction_session_timeout = 0"
    if stage.database.dialect == "mysql":
        is_proper = is_mysql_proper(stage.database)
        limit = "SESSION " + ("wait_timeout = 28800" if is_proper else "idle_transaction_timeout = 0")
    lock = f"SELECT id FROM hammerwork_jobs WHERE id = '{job.id}' FOR UPDATE"
    tries: list[int] = []

    def unit(database: Database) -> int:
        tries.append(1)
        database.script(f"SET {limit}")
        database.script("START TRANSACTION")
        found = len(database.query(lock))
        if len(tries) == 1:
            proxy.swallow()
            database.query("SELECT 1")
        database.script("ROLLBACK")
        return found

    connections = Connections(DatabaseUrl.parse(proxy.url(stage.url)), 1, timeouts=Timeouts(lock=5, network=1))
    assert connections.run(unit, patience=20) == 1
    assert len(tries) == 2
    connections.close()


@SERVERS
def test_the_server_ends_a_transaction_whose_client_is_gone_without_a_word(stage: Stage, proxy: Proxy) -> None:
    (job,) = stage.enqueue(Job("counted"))
    lock = f"SELECT id FROM hammerwork_jobs WHERE id = '{job.id}' FOR UPDATE"
    with contextlib.closing(connect(proxy.url(stage.url), Timeouts(lock=1, network=1))) as dying:
        dying.script("START TRANSACTION")
        assert len(dying.query(lock)) == 1
        proxy.swallow()
        with contextlib.closing(connect(stage.url, Timeouts(lock=10))) as other:
            assert other.transaction(lambda: other.query(lock), tries=1)


@SERVERS
def test_a_statement_that_needs_longer_than_its_connection_waits_gets_twice_the_time_again_and_again(
    stage: Stage,
) -> None:
    connections, tries = Connections(stage.url, 2, timeouts=Timeouts(network=1)), []
    sleep = "SELECT pg_sleep({})" if stage.database.dialect == "postgresql" else "SELECT SLEEP({})"

    def takes_long(database: Database) -> None:
        tries.append(database.timeouts.network)
        # What others do quickly meanwhile says nothing about this statement.
        connections.run(lambda other: other.query(sleep.format(0)))
        database.query(sleep.format(2.5))

    connections.run(takes_long)
    assert tries == [1, 2, 4]
    # A connection that needs no patience any more makes room for one that notices sooner when it dies.
    assert connections.run(lambda database: database.timeouts.network) == 1
    with pytest.raises(SilentConnectionError, match="has not answered for 1 s: the connection is given up") as said:
        connections.run(lambda database: database.query(sleep.format(1.5)), patience=0)
    assert stage.url not in str(said.value)
    connections.close()


@POSTGRES
def test_a_copy_whose_rows_never_arrive_keeps_no_lock(stage: Stage, proxy: Proxy) -> None:
    (job,) = stage.enqueue(Job("counted"))
    lost = connect(proxy.url(stage.url), Timeouts(connect=1, lock=1, network=1))
    lock = f"UPDATE hammerwork_jobs SET priority = priority WHERE id = '{job.id}'"

    def rows() -> Iterator[tuple[object, ...]]:
        assert proxy.swallow()
        yield (None,) * 7

    def work() -> None:
        lost.script(lock)
        lost.insert("cron.schedules.add_runs", rows())  # type: ignore[arg-type]  # COPY takes an iterator

    with pytest.raises(SilentConnectionError):
        lost.transaction(work, tries=1)
    with contextlib.closing(connect(stage.url, Timeouts(lock=5))) as other:
        other.script(lock)
