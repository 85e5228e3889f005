"""Workers behind PgBouncer, which hands out the server's connections a transaction at a time."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Thread

import psycopg
import pytest

from hammerwork_cli import Handlers, Job, Worker
from hammerwork_cli.database import Timeouts, connect
from hammerwork_cli.database.statements import Names
from hammerwork_cli.errors import ConnectionLostError
from tests.conftest import needed
from tests.database.connection.test_connections import CuttingRows
from tests.databases import database_of, with_database
from tests.runtime.conftest import Stage
from tests.servers import VARIABLES, server_url

pytestmark = pytest.mark.postgres


@pytest.fixture
def pooled(new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A migrated database through PgBouncer."""
    url = new_database("postgres", migrated=True)
    monkeypatch.setenv(VARIABLES["postgres"], url)
    with needed(), server_url("pgbouncer") as pooler:
        stage = Stage(with_database(pooler, database_of(url)))
        yield stage
        stage.close()


def test_a_worker_behind_a_pooler_says_that_it_looks_for_jobs_itself_and_finds_them(
    pooled: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="hammerwork")
    worker = Worker(pooled.url, app, poll_interval=0.2, lease=1, max_jobs=40)
    thread = Thread(target=worker.run)
    thread.start()
    jobs = [job for _ in range(4) for job in pooled.enqueue(*(Job("noop", {}) for _ in range(10)))]
    thread.join(30)
    assert not thread.is_alive()
    assert pooled.status(*jobs) == ["Completed"] * 40
    assert [record.message for record in caplog.records] == [
        "A connection pooler blocks notifications of new jobs: this worker polls at every --poll-interval."
    ]


def test_a_connection_behind_a_pooler_leaves_nothing_for_those_who_get_it_next(pooled: Stage) -> None:
    assert not pooled.database.listen("hammerwork")
    hasty = connect(pooled.url, Timeouts(lock=1, statement=1, network=5))
    assert hasty.query("SELECT 1") == [(1,)]
    others = [connect(pooled.url) for _ in range(2)]
    for database in others:
        assert database.query("SELECT pg_listening_channels()") == []
        mine = "name IN ('lock_timeout', 'statement_timeout', 'jit')"
        assert database.query(f"SELECT name FROM pg_settings WHERE source = 'session' AND {mine}") == []
    for database in (*others, hasty):
        database.close()


def test_an_application_behind_a_pooler_enqueues_in_transactions_that_get_any_session(pooled: Stage) -> None:
    with closing(psycopg.connect(pooled.url)) as one, closing(psycopg.connect(pooled.url)) as other:
        for number in range(6):  # psycopg prepares what it sends for the sixth time
            for connection in (one, other):
                job = pooled.queue.enqueue(Job("mail", number), connection=connection)
                pooled.queue.enqueue_many([Job("mail").depends_on(job)], connection=connection)
                connection.commit()
    assert len(list(pooled.queue.jobs("mail"))) == 24


@pytest.mark.parametrize("number", [1, 100_000])
def test_a_connection_that_is_cut_behind_a_pooler_while_rows_are_copied_is_a_lost_one(
    pooled: Stage, number: int
) -> None:
    rows = CuttingRows(pooled.database, number)
    with pytest.raises(ConnectionLostError):
        pooled.database.insert("job.enqueue.insert", rows, columns=Names(["id"]))
