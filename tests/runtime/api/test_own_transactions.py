"""Enqueueing in a transaction of the application: by its connection, by one of the queue, or by a statement."""

import asyncio
import pickle
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote

import psycopg
import pymysql
import pytest
import sqlalchemy
from psycopg.types.string import StrDumper
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from hammerwork_cli import (
    AccessDeniedError,
    ConfigError,
    ConflictError,
    EncryptionKeys,
    HammerworkError,
    Handlers,
    Job,
    MissingTablesError,
    Queue,
    RetryableError,
    RetryStrategy,
    UsageError,
    Worker,
    Workflow,
    statement,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from tests import callers
from tests.callers import Caller, calling
from tests.conftest import all_databases, each_row
from tests.databases import with_database
from tests.jobs import identity, move_to_archive
from tests.runtime.conftest import until

WORDS = {"text": "é😀 \\ \" ' % %s \n"}
SECOND = timedelta(seconds=1)


def each(kinds: tuple[type[Caller], ...]) -> Any:
    return pytest.mark.parametrize(
        "kind", [pytest.param(kind, marks=getattr(pytest.mark, kind.dialect), id=kind.__name__) for kind in kinds]
    )


@pytest.fixture(scope="module")
def urls(makers: Any) -> Iterator[Callable[[str], str]]:
    """``urls(dialect)``: a database with tables, and one for orders, that the tests of this file share."""
    made: dict[str, str] = {}

    def url(dialect: str) -> str:
        if dialect not in made:
            made[dialect] = makers[dialect].migrated(None)
            with closing(connect(made[dialect])) as database:
                database.script("CREATE TABLE orders (number INTEGER)")
        return made[dialect]

    yield url
    for dialect, one in made.items():
        makers[dialect].drop(one)


@pytest.fixture
def queue(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> Iterator[Queue]:
    params = request.node.callspec.params
    with Queue(urls(params.get("dialect") or params["kind"].dialect)) as made:
        yield made


@pytest.fixture
def caller(kind: type[Caller], queue: Queue) -> Iterator[Caller]:
    with calling(kind, queue.url.raw) as made:
        yield made


def orders(queue: Queue, number: int) -> int:
    with queue.transaction() as tx:
        return int(tx.execute(f"SELECT count(*) FROM orders WHERE number = {number}")[0][0])


# What every library does.


@each((*callers.DRIVERS, *callers.ABOVE))
def test_a_job_and_an_order_commit_together_or_not_at_all(caller: Caller, queue: Queue) -> None:
    number = time.monotonic_ns() % 10**9
    lost, undone, kept = (Job("mail", WORDS) for _ in range(3))
    caller.execute(f"INSERT INTO orders VALUES ({number})")
    caller.enqueue(queue, lost)
    caller.rollback()
    caller.execute(f"INSERT INTO orders VALUES ({number})")
    caller.execute("SAVEPOINT s")
    caller.enqueue(queue, undone)
    caller.execute("ROLLBACK TO SAVEPOINT s")
    written = caller.enqueue(queue, kept)
    assert (written.created, written.status) == (True, "Pending")
    assert caller.enqueue(queue, kept).created is False
    assert queue.find(kept) is None  # nobody sees it yet
    caller.commit()
    assert [queue.find(job) for job in (lost, undone)] == [None, None]
    assert queue.get(kept).payload == WORDS
    assert orders(queue, number) == 1


@each((*callers.DRIVERS, *callers.ABOVE))
def test_a_unique_job_is_written_in_the_transaction_unless_another_one_is_committed(
    caller: Caller, queue: Queue
) -> None:
    key = f"é {time.monotonic_ns()}"

    def unique(payload: Any) -> Job:
        return Job("mail", payload).with_unique(key)

    caller.enqueue(queue, unique("lost"))
    caller.rollback()
    assert caller.enqueue(queue, Job("mail")).created  # whatever its isolation, the transaction has begun
    if caller.dialect == "sqlite":
        caller.commit()  # nobody else writes before
    first = queue.enqueue(unique(WORDS))
    assert first.created
    try:
        found = caller.enqueue(queue, unique("second"))
    except RetryableError as error:  # MariaDB, whose transaction began before the other one was committed
        assert "Roll your transaction back" in str(error.hint)  # noqa: PT017
        caller.rollback()
        found = caller.enqueue(queue, unique("second"))
    assert (found.created, found.id, found.payload, found.status) == (False, first.id, WORDS, "Pending")
    caller.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{first.id}'")
    third = caller.enqueue(queue, unique("third"))
    assert third.created
    caller.commit()
    assert queue.enqueue(unique("fourth")).id == third.id


STATEMENTS_OF_ITS_OWN = re.compile(
    r"\b(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET (?!STATEMENT)|DEALLOCATE)\b", re.I
)
COUNTED = ("begin", "commit", "rollback", "savepoint", "set_option", "change_db", "lock_tables")


def state(caller: Caller) -> dict[str, Any]:
    """What a session is set to, and how often it was told to do what only the application does."""
    if caller.dialect == "postgres":
        settings = dict(caller.connection.execute("SELECT name, setting FROM pg_settings").fetchall())
        return settings | {"rows": caller.connection.row_factory, "own": caller.connection.autocommit}
    if caller.dialect == "sqlite":
        pragmas = ("foreign_keys", "busy_timeout", "synchronous", "query_only")
        return {name: caller.connection.execute(f"PRAGMA {name}").fetchone() for name in pragmas}
    cursor = caller.connection.cursor()
    cursor.execute("SHOW SESSION STATUS LIKE 'Com\\_%'")
    counts = {name[4:].lower(): value for name, value in cursor.fetchall()}
    cursor.execute("SHOW SESSION VARIABLES")
    passing = {"timestamp", "rand_seed1", "rand_seed2", "statement_id"}
    settings = {name: value for name, value in cursor.fetchall() if name not in passing and "gtid" not in name}
    return settings | {name: counts[name] for name in COUNTED}


@each(callers.DRIVERS)
def test_nothing_is_set_begun_or_ended_on_the_connection(caller: Caller, queue: Queue) -> None:
    parent = queue.enqueue(Job("mail"))
    caller.execute("INSERT INTO orders VALUES (0)")
    caller.enqueue(queue, Job("mail"))  # and whatever happens once
    sent: list[str] = []
    before = state(caller)
    with TemporaryFile() as trace:
        if caller.dialect == "postgres":
            caller.connection.pgconn.trace(trace.fileno())
        elif caller.dialect == "sqlite":
            caller.connection.set_trace_callback(sent.append)
        caller.enqueue(queue, Job("mail").depends_on(parent).with_callbacks(on_complete=Job("done")))
        queue.enqueue_many([Job("mail") for _ in range(3)], connection=caller.connection)
        queue.enqueue_batch("three", [Job("mail")], connection=caller.connection)
        queue.enqueue_workflow(Workflow("one").add("a", Job("mail")), connection=caller.connection)
        if caller.dialect == "postgres":
            caller.connection.pgconn.untrace()
            trace.seek(0)
            sent = [line for line in trace.read().decode().splitlines() if "\tF\t" in line]
        elif caller.dialect == "sqlite":
            caller.connection.set_trace_callback(None)
    assert [text for text in sent if STATEMENTS_OF_ITS_OWN.search(text)] == []
    assert caller.dialect == "mysql" or len(sent) > 10
    assert {name for name, value in state(caller).items() if value != before[name]} == set()
    caller.rollback()


def estrange(caller: Caller) -> None:
    """Sets a session as no session of hammerwork is set, and makes its connection return other things."""
    connection: Any = caller.connection
    if isinstance(connection, psycopg.Connection):
        for setting in (
            "client_encoding = LATIN1",
            "standard_conforming_strings = off",
            "search_path = pg_catalog",
            "datestyle = 'SQL, DMY'",
            "timezone = 'Asia/Tokyo'",
        ):
            connection.execute(f"SET {setting}")  # type: ignore[call-overload,unused-ignore]
        connection.row_factory = psycopg.rows.dict_row
        connection.adapters.register_dumper(str, StrDumper)
        connection.prepare_threshold = 0
    elif isinstance(connection, sqlite3.Connection):
        connection.row_factory = lambda *_: None
        connection.text_factory = bytes
    else:
        caller.execute("SET time_zone = '+05:00', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
        caller.execute("SET NAMES latin1")
        caller.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        if isinstance(connection, pymysql.connections.Connection):
            connection.cursorclass = pymysql.cursors.SSDictCursor
            connection.encoding = "cp1252"
        caller.execute("USE information_schema")
    caller.commit()


@each(callers.DRIVERS)
def test_a_session_may_be_set_to_anything(caller: Caller, queue: Queue) -> None:
    estrange(caller)
    due = datetime(2031, 10, 26, 0, 30, tzinfo=UTC)
    job = Job(
        "mail",
        WORDS,
        scheduled_at=due,
        priority="high",
        timeout=90 * SECOND,
        max_attempts=7,
        retry_strategy=RetryStrategy.fixed(SECOND),
        result_ttl=SECOND,
        trace_id="é",
    )
    wanted = [job, Job("é", [], id=job.id[:-4] + "aaaa").depends_on(job)]
    assert [one.created for one in queue.enqueue_many(wanted, connection=caller.connection)] == [True, True]
    assert [one.created for one in queue.enqueue_many(wanted, connection=caller.connection)] == [False, False]
    with pytest.raises(ConflictError, match="payload"):
        caller.enqueue(queue, Job("mail", "another", id=job.id, scheduled_at=due, max_attempts=7))
    caller.enqueue(queue, Job("mail").with_callbacks(on_complete=Job("done")))
    caller.commit()
    found = queue.get(job)
    assert (found.payload, found.scheduled_at, found.timeout, found.trace_id) == (WORDS, due, 90 * SECOND, "é")
    assert found.created_at is not None
    assert abs(found.created_at - datetime.now(UTC)) < 60 * SECOND
    with closing(connect(queue.url)) as database:
        rows = database.query("SELECT check_at FROM hammerwork_watches ORDER BY check_at DESC")
    assert "05:00" not in str(rows[0][0])


@each(callers.DRIVERS)
def test_an_error_leaves_the_transaction_as_it_is(caller: Caller, queue: Queue) -> None:
    number = time.monotonic_ns() % 10**9
    known = queue.enqueue(Job("mail", 1))
    caller.execute(f"INSERT INTO orders VALUES ({number})")
    for wrong, error in (
        (Job("mail", {1, 2}), UsageError),
        (Job("mail", 2, id=known.id), ConflictError),
        (Job("mail").depends_on(Job("mail")), HammerworkError),
        (Job("m" * 300), HammerworkError),
        (Job("mail", encryption=Job("mail").with_encryption().encryption), UsageError),
    ):
        with pytest.raises(error):
            caller.enqueue(queue, wrong)
    caller.commit()
    assert orders(queue, number) == 1


@each(callers.DRIVERS)
def test_threads_with_connections_of_their_own_enqueue_at_the_same_time(kind: type[Caller], queue: Queue) -> None:
    def work(number: int) -> list[Job]:
        made = [Job("mail", [number, turn]) for turn in range(3)]
        with calling(kind, queue.url.raw) as caller:
            for turn, job in enumerate(made):
                if kind.dialect == "sqlite":
                    caller.execute("BEGIN IMMEDIATE")
                caller.enqueue(queue, job)
                caller.rollback() if turn == number % 3 else caller.commit()
        return [job for turn, job in enumerate(made) if turn != number % 3]

    with ThreadPoolExecutor(8) as pool:
        kept = [job for some in pool.map(work, range(8)) for job in some]
    assert {job.id for job in kept} == {job.id for job in kept if queue.find(job)}


# PostgreSQL wakes workers.


@each((callers.Psycopg, callers.DjangoOnPsycopg))
def test_a_waiting_worker_starts_the_job_at_the_commit_and_not_before(caller: Caller, queue: Queue) -> None:
    app, started = Handlers(), threading.Event()
    name = f"woken-{type(caller).__name__.lower()}"

    @app.job(name)
    def run(job: Job) -> None:
        started.set()

    worker = Worker(queue, app, poll_interval=60)
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        until(lambda: any(thread.name.startswith("hammerwork") for thread in threading.enumerate()))
        time.sleep(0.5)  # it has claimed nothing, and waits
        caller.enqueue(queue, Job(name))
        assert not started.wait(0.3)
        caller.commit()
        began = time.monotonic()
        assert started.wait(30)
        assert time.monotonic() - began < 5  # it polls once a minute
    finally:
        worker.stop()
        running.join()


# The tables are found where the queue has them.


@pytest.fixture
def strange_names(urls: Callable[[str], str]) -> Iterator[dict[str, tuple[str, str]]]:
    """Dialect -> the URL of a queue whose tables are in a schema or database with a strange name, and its sibling's."""
    postgres, mysql = urls("postgres"), urls("mysql")
    options = quote('-c search_path="My\\ ""%s\\\\1"')
    with closing(psycopg.connect(postgres, autocommit=True)) as inside:
        inside.execute('CREATE SCHEMA "My ""%s\\1"')
        with calling(callers.MysqlConnector, mysql) as server:
            server.execute("CREATE DATABASE `my-``%s\\\\1` CHARACTER SET utf8mb4".replace("\\\\", "\\"))
            yield {
                "postgres": (f"{postgres}?options={options}", postgres),
                "mysql": (with_database(mysql, quote("my-`%s\\1", safe="")), mysql),
            }
            server.execute("DROP DATABASE `my-``%s\\1`")
        inside.execute('DROP SCHEMA "My ""%s\\1" CASCADE')


def test_statements_name_the_schema_or_the_database_of_the_queue(strange_names: dict[str, tuple[str, str]]) -> None:
    for kind in (callers.Psycopg, callers.PyMySQL):
        url, sibling = strange_names[kind.dialect]
        with Queue(url) as queue, calling(kind, sibling) as caller:
            queue.migrate()
            job = Job("mail", WORDS)
            caller.enqueue(queue, job)
            assert caller.enqueue(queue, job).created is False
            queue.enqueue_many([Job("mail"), Job("mail").depends_on(job)], connection=caller.connection)
            caller.commit()
            assert len(list(queue.jobs())) == 3


def test_the_user_of_the_connection_needs_few_privileges(urls: Callable[[str], str]) -> None:
    url = urls("postgres")
    with closing(psycopg.connect(url, autocommit=True)) as admin, Queue(url) as queue:
        admin.execute("DROP ROLE IF EXISTS hammerwork_test_shop")
        admin.execute("CREATE ROLE hammerwork_test_shop")
        admin.execute("GRANT SELECT, INSERT ON hammerwork_jobs TO hammerwork_test_shop")
        admin.execute("GRANT INSERT ON hammerwork_watches, hammerwork_joins TO hammerwork_test_shop")
        admin.execute("GRANT SELECT ON hammerwork_jobs_archive TO hammerwork_test_shop")
        with closing(psycopg.connect(url)) as connection:
            connection.execute("SET ROLE hammerwork_test_shop")
            queue.enqueue(Job("mail").with_callbacks(on_complete=Job("done")), connection=connection)
            connection.commit()
            admin.execute("GRANT SELECT, INSERT, UPDATE ON hammerwork_unique TO hammerwork_test_shop")
            connection.execute("SET ROLE hammerwork_test_shop")
            for number in range(2):
                unique = Job("mail").with_unique(f"few privileges {connection.info.backend_pid}")
                assert queue.enqueue(unique, connection=connection).created == (number == 0)
            connection.commit()
            connection.execute("SET ROLE hammerwork_test_shop")
            admin.execute("REVOKE INSERT ON hammerwork_jobs FROM hammerwork_test_shop")
            with pytest.raises(AccessDeniedError, match=r"^The database refuses: permission denied"):
                queue.enqueue(Job("mail"), connection=connection)
        admin.execute("DROP OWNED BY hammerwork_test_shop")
        admin.execute("DROP ROLE hammerwork_test_shop")


# What is refused, before anything is sent.


def refusal(queue: Queue, connection: Any, *, many: bool = False) -> str:
    with pytest.raises((UsageError, ConfigError)) as raised:
        queue.enqueue_many([Job("mail")], connection=connection) if many else queue.enqueue(
            Job("mail"), connection=connection
        )
    return f"{raised.value.message} {raised.value.hint}"


@all_databases
def test_another_database_is_refused(queue: Queue, dialect: str, new_database: Callable[..., str]) -> None:
    kind = next(kind for kind in callers.DRIVERS if kind.dialect == dialect)
    other = new_database(dialect, migrated=True)
    with calling(kind, other) as caller:
        if dialect == "mysql":  # statements name the database of the queue, which is one on the same server
            job = caller.enqueue(queue, Job("mail"))
            caller.commit()
            assert queue.find(job)
        else:
            assert "does not lead to the database of the queue" in refusal(queue, caller.connection)
            caller.execute("SELECT 1")
    with Queue(other) as elsewhere, calling(kind, queue.url.raw) as caller:
        caller.enqueue(elsewhere, Job("mail")) if dialect == "mysql" else refusal(elsewhere, caller.connection)


def test_a_connection_in_no_state_for_it_is_refused(urls: Callable[[str], str]) -> None:
    with Queue(urls("postgres")) as queue, calling(callers.Psycopg, queue.url.raw) as caller:
        connection = caller.connection
        with suppress(psycopg.Error):
            caller.execute("SELECT 1/0")
        assert "has failed. Roll it back" in refusal(queue, connection)
        caller.rollback()
        with connection.pipeline():
            assert "pipeline mode" in refusal(queue, connection)
        caller.execute("SET TRANSACTION READ ONLY")
        assert "read-only" in refusal(queue, connection)
        caller.rollback()
        connection.close()
        assert "closed" in refusal(queue, connection)
    with Queue(urls("mysql")) as queue:
        for kind in (callers.MysqlConnector, callers.PyMySQL):
            with calling(kind, queue.url.raw) as caller:
                unbuffered = {"cursor": pymysql.cursors.SSCursor} if kind is callers.PyMySQL else {}
                cursor = caller.connection.cursor(**unbuffered)
                cursor.execute("SELECT 1 UNION SELECT 2")
                assert "unread rows" in refusal(queue, caller.connection)
                assert len(cursor.fetchall()) == 2
                caller.enqueue(queue, Job("mail"))


@all_databases
def test_without_a_transaction_a_single_statement_is_all(queue: Queue, dialect: str) -> None:
    kind = next(kind for kind in callers.DRIVERS if kind.dialect == dialect)
    with calling(kind, queue.url.raw) as caller:
        connection: Any = caller.connection
        if dialect == "sqlite":
            connection.isolation_level = None
        else:
            connection.autocommit = True
        job = caller.enqueue(queue, Job("mail"))
        assert queue.find(job)
        assert "Begin a transaction first" in refusal(queue, connection, many=True)
        for one in (Job("mail").depends_on(job), Job("mail").with_unique("several statements")):
            with pytest.raises(UsageError, match="several"):
                caller.enqueue(queue, one)
        caller.execute("START TRANSACTION" if dialect == "mysql" else "BEGIN")
        queue.enqueue_many([Job("mail").depends_on(job)], connection=connection)
        caller.execute("COMMIT")


def test_anything_but_a_known_connection_is_refused_with_another_way(urls: Callable[[str], str]) -> None:
    with Queue(urls("sqlite")) as queue:
        engine = sqlalchemy.create_engine(f"sqlite:///{queue.url.path}")
        asynchronous = create_async_engine(f"sqlite+aiosqlite:///{queue.url.path}")
        assert "asynchronous: sqlalchemy.ext.asyncio" in refusal(queue, asynchronous.connect())
        for wrong in (engine, 7, queue):
            assert "must be one of psycopg" in refusal(queue, wrong)
        scoped = scoped_session(sessionmaker(engine))
        job = queue.enqueue(Job("mail"), connection=scoped)
        scoped.commit()
        scoped.remove()
        engine.dispose()
        assert queue.find(job)
        with closing(psycopg.connect(urls("postgres"))) as other:
            assert "is one to postgresql" in refusal(queue, other)

    async def refused() -> str:
        async with await psycopg.AsyncConnection.connect(urls("postgres")) as connection:
            return refusal(queue, connection)

    with Queue(urls("postgres")) as queue:
        assert "hammerwork_cli.statement(job)" in asyncio.run(refused())


# What else the normal path does.


@each((callers.Psycopg, callers.Sqlite3, callers.PyMySQL))
def test_payloads_are_encrypted_and_plaintext_refused_as_ever(kind: type[Caller], new_database: Any) -> None:
    keys = EncryptionKeys({"default": b"k" * 32})
    url = new_database(kind.dialect, migrated=True)
    with Queue(url, encryption=keys, refuse_plaintext=True) as queue, calling(kind, url) as caller:
        secret = Job("paid", {"card": "4111"}).with_encryption()
        caller.enqueue(queue, secret)
        assert caller.enqueue(queue, secret).created is False
        with pytest.raises(ConflictError, match="plaintext"):
            caller.enqueue(queue, Job("paid"))
        caller.commit()
        assert queue.get(secret).payload == {"card": "4111"}
        with closing(connect(url)) as database:
            assert "4111" not in str(database.query("SELECT payload FROM hammerwork_jobs"))


@each((callers.Psycopg, callers.Sqlite3, callers.MysqlConnector))
def test_an_archived_job_is_not_written_again(caller: Caller, queue: Queue) -> None:
    job = Job("mail", 1, id=identity(0x77))
    queue.enqueue(job)
    move_to_archive(queue.url.raw, 0x77, b"1")
    assert caller.enqueue(queue, job).created is False


@each((callers.MysqlConnector, callers.PyMySQL))
def test_a_job_that_another_transaction_wrote_after_the_snapshot_is_found(caller: Caller, queue: Queue) -> None:
    caller.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    with suppress(Exception):  # of MariaDB alone, where the application would have to run its transaction again
        caller.execute("SET SESSION innodb_snapshot_isolation = OFF")
    with caller.connection.cursor() as cursor:  # the snapshot begins
        cursor.execute("SELECT * FROM orders")
        cursor.fetchall()
    job, another = queue.enqueue_many([Job("mail", 1), Job("mail", 2)])
    assert caller.enqueue(queue, job).created is False
    with pytest.raises(RetryableError, match="Another transaction has enqueued one of the jobs"):
        queue.enqueue_many([another, Job("mail")], connection=caller.connection)
    caller.rollback()


# What it costs.


def statements(caller: Caller, send: Callable[[], object]) -> int:
    """How many statements the server gets of the connection meanwhile, by the driver or by the server itself."""
    connection: Any = caller.connection
    if caller.dialect == "sqlite":
        texts: list[str] = []
        connection.set_trace_callback(texts.append)
        send()
        connection.set_trace_callback(None)
        return len([text for text in texts if not text.startswith("PRAGMA")])  # no program answers these
    if caller.dialect == "postgres":
        with TemporaryFile() as trace:
            connection.pgconn.trace(trace.fileno())
            send()
            connection.pgconn.untrace()
            trace.seek(0)
            sent = [line.split("\t")[3] for line in trace.read().decode().splitlines() if "\tF\t" in line]
        return sent.count("Query") + sent.count("Parse")

    def asked() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
            return int(cursor.fetchall()[0][1])

    before = asked()
    send()
    return asked() - before - 1


@each(callers.DRIVERS)
def test_a_new_job_takes_one_statement_and_is_looked_for_only_if_its_id_may_be_known(
    caller: Caller, queue: Queue
) -> None:
    caller.execute("INSERT INTO orders VALUES (0)")
    caller.enqueue(queue, Job("mail"))  # and whatever happens once

    def counted(*jobs: Job) -> list[int]:
        return [statements(caller, lambda job=job: caller.enqueue(queue, job)) for job in jobs]  # type: ignore[misc]

    job = Job("mail", WORDS)
    assert counted(Job("mail"), Job("mail").with_priority("high").with_delay(SECOND), job) == [1, 1, 1]
    named, sent = Job("mail"), pickle.loads(pickle.dumps(Job("mail")))  # noqa: S301  its own
    named.id = new_id()
    assert counted(Job("mail", id=new_id()), named, copy(Job("mail")), sent) == [3] * 4
    many = [Job("mail") for _ in range(3)]
    assert statements(caller, lambda: queue.enqueue_many(many, connection=caller.connection)) == 1 + (
        caller.dialect == "postgres"  # which wakes workers
    )
    caller.commit()
    assert queue.get(job).payload == WORDS


@all_databases
def test_a_new_job_takes_one_statement_in_a_transaction_of_the_queue(queue: Queue, dialect: str) -> None:
    with queue.transaction() as tx:
        tx.enqueue(Job("mail"))  # and whatever happens once
        before = tx._database.executed
        tx.enqueue(Job("mail"))
        assert tx._database.executed == before + 1
        tx.enqueue_many([Job("mail"), Job("mail").with_timeout(SECOND)])
        assert tx._database.executed == before + 2


@all_databases
def test_a_job_is_new_only_once(queue: Queue, dialect: str) -> None:
    first = Job("mail", 1)
    second = first.with_max_attempts(3)  # the same job
    with Queue(queue.url.raw) as other:
        assert other.enqueue(second).created
        move_to_archive(queue.url.raw, first.id, b"1")
        for job in (second, first, second.with_max_attempts(3), copy(first)):
            assert queue.enqueue(job).created is False
            assert queue.enqueue_many([job])[0].created is False


# A transaction on a connection of the queue.


@all_databases
def test_a_transaction_of_the_queue_holds_rows_and_jobs(queue: Queue, dialect: str) -> None:
    place, number = "?" if dialect == "sqlite" else "%s", time.monotonic_ns() % 10**9
    first, second, lost = Job("mail", WORDS), Job("mail"), Job("mail")
    with queue.transaction() as tx:
        assert tx.execute(f"INSERT INTO orders VALUES ({place})", (number,)) == []
        assert tx.execute(f"SELECT number FROM orders WHERE number = {place}", [number]) == [(number,)]
        assert tx.enqueue(first).created
        assert [job.created for job in tx.enqueue_many([first, second.depends_on(first)])] == [False, True]
        assert queue.find(first) is None
    with pytest.raises(UsageError, match="has ended"):
        tx.enqueue(lost)
    with suppress(KeyError), queue.transaction() as tx:
        tx.enqueue(lost)
        raise KeyError
    assert [queue.find(job) is not None for job in (first, second, lost)] == [True, True, False]
    assert orders(queue, number) == 1


def test_a_transaction_reads_the_types_of_the_driver(urls: Callable[[str], str]) -> None:
    with Queue(urls("postgres")) as queue, queue.transaction() as tx:
        ((when, what, which),) = tx.execute("SELECT now(), '{\"a\": 1}'::jsonb, ARRAY[gen_random_uuid()]")
    assert (type(when), what, type(which[0]).__name__) == (datetime, {"a": 1}, "UUID")


@all_databases
def test_a_transaction_begins_on_a_connection_that_answers(queue: Queue, dialect: str) -> None:
    queue.enqueue(Job("mail"))
    for free, _ in queue._connections._pool._free:
        free._connection.close()
    with queue.transaction() as tx:
        job = tx.enqueue(Job("mail"))
    assert queue.find(job)


# A statement, for other drivers.


def test_asyncpg_sends_a_statement_whatever_its_codecs_are(urls: Callable[[str], str]) -> None:
    import json

    import asyncpg

    jobs = [Job("mail", WORDS, timeout=SECOND, delay=SECOND, result_ttl=SECOND).with_cron("0 0 3 * * *") for _ in "ab"]

    async def send(queue: Queue) -> None:
        connection = await asyncpg.connect(queue.url.raw)
        for job in jobs:
            with suppress(ZeroDivisionError):
                async with connection.transaction():
                    sql, parameters = statement(Job("mail", id=job.id))
                    await connection.execute(sql, *parameters)
                    raise ZeroDivisionError
            async with connection.transaction():
                sql, parameters = statement(job)
                assert len(await connection.fetch(sql, *parameters)) == 1
                assert await connection.fetch(sql, *parameters) == []
                assert queue.find(job) is None
            await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await connection.close()

    with Queue(urls("postgres")) as queue, closing(connect(queue.url)) as listening:
        listening.listen("hammerwork")
        asyncio.run(send(queue))
        assert listening.notifications(1)[0] == "mail"
        for job in jobs:
            assert queue.get(job).payload == WORDS
            assert queue.enqueue(job).created is False


def test_aiosqlite_sends_a_statement(urls: Callable[[str], str]) -> None:
    import aiosqlite

    job = Job("mail", WORDS, delay=SECOND)

    async def send(queue: Queue) -> None:
        async with aiosqlite.connect(queue.url.path) as connection:
            for _ in range(2):
                await connection.execute(*statement(job, "sqlite"))
            assert queue.find(job) is None
            await connection.commit()

    with Queue(urls("sqlite")) as queue:
        asyncio.run(send(queue))
        found = queue.get(job)
        assert found.payload == WORDS
        assert found.scheduled_at is not None
        assert found.created_at is not None
        assert timedelta() < found.scheduled_at - found.created_at < 60 * SECOND


def test_a_statement_serves_mysql_in_any_time_zone(urls: Callable[[str], str]) -> None:
    with Queue(urls("mysql")) as queue, calling(callers.PyMySQL, queue.url.raw) as caller:
        caller.execute("SET time_zone = '+05:00'")
        job = Job("mail", WORDS, scheduled_at=datetime(2030, 1, 1, tzinfo=UTC))
        with closing(connect(queue.url)) as database:
            dialect = "mariadb" if database.server.startswith("MariaDB") else "mysql"
        for _ in range(2):
            caller.connection.cursor().execute(*statement(job, dialect))
        caller.commit()
        found = queue.get(job)
        assert (found.payload, found.scheduled_at) == (WORDS, job.scheduled_at)
        assert found.created_at is not None
        assert abs(found.created_at - datetime.now(UTC)) < 60 * SECOND


@each_row(
    ("job", "options", "message"),
    [
        (Job("mail").depends_on(Job("mail")), {}, "dependencies: use a Queue"),
        (Job("mail").with_callbacks(on_complete=Job("done")), {}, "callbacks: use a Queue"),
        (Job("mail").with_encryption(), {}, "encryption: use a Queue"),
        (Job("mail").with_workflow(identity(1)), {}, "a workflow: use a Queue"),
        (Job("mail"), {"dialect": "postgres"}, "dialect 'postgres'"),
        (Job("mail"), {"paramstyle": "named"}, "paramstyle 'named'"),
        (Job("mail", "\0"), {}, "NUL"),
        (Job(), {}, "no queue"),
    ],
)
def test_a_statement_that_would_not_be_enough_is_refused(job: Job, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        statement(job, **options)


# The deadlock of SQLite with oneself.


def seconds_of(refused: Callable[[], object], message: str) -> float:
    began = time.monotonic()
    with pytest.raises(UsageError) as raised:
        refused()
    assert message in f"{raised.value.message} {raised.value.hint}"
    return time.monotonic() - began


@each((callers.Sqlite3, callers.DjangoOnSqlite))
def test_a_thread_that_would_wait_for_its_own_transaction_fails_soon(caller: Caller, queue: Queue) -> None:
    end = threading.Event()
    other = threading.Thread(target=end.wait)  # which could use some connections, too
    other.start()
    try:
        caller.execute("INSERT INTO orders VALUES (1)")
        took = seconds_of(lambda: queue.enqueue(Job("mail")), "queue.enqueue(job, connection=...)")
        assert took < 10
        assert caller.enqueue(queue, Job("mail")).created
        caller.commit()
        with queue.transaction() as tx:
            assert seconds_of(lambda: queue.enqueue(Job("mail")), "tx.enqueue(job)") < 1
            tx.enqueue(Job("mail"))
    finally:
        end.set()
        other.join()


def test_a_thread_that_waits_for_somebody_else_goes_on_waiting(urls: Callable[[str], str]) -> None:
    with Queue(urls("sqlite")) as queue, calling(callers.Sqlite3, queue.url.raw) as mine:
        mine.execute("INSERT INTO orders VALUES (1)")
        mine.commit()
        mine.execute("BEGIN")  # only reads
        writing = (
            "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); c.execute('INSERT INTO orders VALUES (1)');"
            "print(flush=True); time.sleep(1.5); c.commit()"
        )
        command = [sys.executable, "-c", writing, str(queue.url.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert queue.enqueue(Job("mail")).created


def test_a_file_without_tables_is_named_although_its_transaction_is_open(tmp_path: Path) -> None:
    began = time.monotonic()
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        connection.execute("CREATE TABLE orders (number INTEGER)")
        connection.execute("INSERT INTO orders VALUES (7)")
        with Queue(f"sqlite:///{tmp_path}/jobs.db") as queue, pytest.raises(MissingTablesError):
            queue.enqueue(Job("mail"), connection=connection)
    assert time.monotonic() - began < 10
