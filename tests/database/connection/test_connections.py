"""Connections: which server of several they lead to, and what becomes of a transaction whose connection is cut."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from chaos.servers import CRASH, CrashingServer, crashing_server
from hammerwork_cli.database import Database, connect
from hammerwork_cli.database.statements import Names
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConnectionLostError,
    DatabaseError,
    RefusedValueError,
    UnreachableError,
)
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.runtime.connections import Connections
from tests.conftest import needed, on_postgres
from tests.databases import database_of
from tests.rows import Rows
from tests.servers import PASSWORD

SERVERS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
OWN_NUMBER = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
CUT = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def cut(database: Database) -> None:
    """Ends a connection, from another one."""
    ((number,),) = database.query(OWN_NUMBER[database.dialect])
    with contextlib.closing(connect(database.url)) as other:
        other.script(CUT[database.dialect].format(number))


@pytest.mark.parametrize("kind", SERVERS)
def test_a_transaction_whose_connection_is_cut_fails_and_nothing_of_it_stays(
    kind: str, new_database: Callable[..., str]
) -> None:
    url = new_database(kind)
    database = connect(url)
    database.script("CREATE TABLE stay (number INTEGER)")
    tries = 0

    def work() -> None:
        nonlocal tries
        tries += 1
        database.script("INSERT INTO stay VALUES (1)")
        cut(database)
        database.script("INSERT INTO stay VALUES (2)")

    with pytest.raises(ConnectionLostError):
        database.transaction(work)
    with pytest.raises(ConnectionLostError):
        database.script("INSERT INTO stay VALUES (3)")
    with contextlib.closing(connect(url)) as other:
        assert other.query("SELECT number FROM stay") == []
    assert tries == 1


@pytest.mark.mysql
def test_a_transaction_sends_nothing_but_its_statements(new_database: Callable[..., str]) -> None:
    database = connect(new_database("mysql"))
    database.script("CREATE TABLE stay (number INTEGER)")

    def sent() -> dict[str, int]:
        rows = database.query("SHOW SESSION STATUS WHERE Variable_name IN ('Questions', 'Com_admin_commands')")
        return {name: int(value) for name, value in rows}

    def work() -> dict[str, int]:
        before = sent()
        for number in range(3):
            database.script(f"INSERT INTO stay VALUES ({number})")
        assert len(database.query("SELECT number FROM stay")) == 3
        after = sent()
        return {name: after[name] - before[name] for name in before}

    assert database.transaction(work) == {"Questions": 5, "Com_admin_commands": 0}
    database.close()


def among_others(url: str, *others: str) -> str:
    """The URL with these hosts before its own."""
    user, _, host = urlsplit(url).netloc.rpartition("@")
    return urlsplit(url)._replace(netloc=f"{user}@{','.join([*others, host])}").geturl()


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """A host where nobody answers."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{kept.getsockname()[1]}"


@pytest.mark.parametrize("kind", SERVERS)
def test_of_several_hosts_the_first_that_answers_is_used(kind: str, new_database: Callable[..., str]) -> None:
    with nobody() as down, contextlib.closing(connect(among_others(new_database(kind), down))) as database:
        assert database.query("SELECT 1") == [(1,)]


@pytest.mark.parametrize("kind", SERVERS)
def test_when_no_host_answers_all_are_named_and_no_password(kind: str, new_database: Callable[..., str]) -> None:
    with nobody() as one, nobody() as two:
        url = urlsplit(among_others(new_database(kind), one))
        url = url._replace(netloc=f"{url.netloc.rpartition(',')[0]},{two}")
        with pytest.raises(UnreachableError, match=f"{one},{two}") as caught:
            connect(url.geturl())
    assert PASSWORD not in str(caught.value)
    assert "***" in caught.value.message


@pytest.mark.mysql
def test_who_is_refused_by_one_host_does_not_ask_the_next(new_database: Callable[..., str]) -> None:
    url = urlsplit(new_database("mysql"))
    host = url.netloc.rpartition("@")[2]
    with pytest.raises(AccessDeniedError):
        connect(url._replace(netloc=f"nobody:wrong@{host},{host}").geturl())


@pytest.mark.mysql
def test_all_connections_of_a_process_go_to_the_host_that_answered(new_database: Callable[..., str]) -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        url = among_others(new_database("mysql"), f"127.0.0.1:{late.getsockname()[1]}")
        connect(url).close()
        late.listen()
        late.settimeout(0)
        connect(url).close()
        with pytest.raises(BlockingIOError):
            late.accept()


@pytest.fixture
def pair() -> Iterator[list[CrashingServer]]:
    """Two servers of PostgreSQL, the first of which takes no writes."""
    with contextlib.ExitStack() as closing:
        with needed():
            servers = [closing.enter_context(crashing_server("postgres")) for _ in range(2)]
        let_write(servers[0], False)
        yield servers


def let_write(server: CrashingServer, may: bool) -> None:
    read_only = "off" if may else "on"
    with contextlib.closing(connect(server.url)) as database:
        database.script("SET default_transaction_read_only = off")
        database.script(f"ALTER SYSTEM SET default_transaction_read_only = {read_only}")
        database.script("SELECT pg_reload_conf()")
    shown = None
    while shown != [(read_only,)]:
        with contextlib.closing(connect(server.url)) as database:
            shown = database.query("SHOW default_transaction_read_only")


@pytest.mark.postgres
def test_connections_follow_the_server_that_takes_writes(pair: list[CrashingServer]) -> None:
    standby, primary = pair
    host = urlsplit(standby.url).netloc.rpartition("@")[2]
    connections = Connections(f"{among_others(primary.url, host)}?target_session_attrs=read-write", 1)

    def write(database: Database) -> list[Any]:
        database.script("CREATE TABLE IF NOT EXISTS written (number INTEGER)")
        return database.query("SHOW port")

    assert connections.run(write) == [(str(urlsplit(primary.url).port),)]
    primary.order(CRASH)
    let_write(standby, True)
    assert connections.run(write, patience=20) == [(str(urlsplit(standby.url).port),)]
    connections.close()


@pytest.mark.postgres
def test_a_write_on_a_standby_says_how_to_name_the_primary(postgres_url: str) -> None:
    with contextlib.closing(connect(postgres_url)) as database:
        name = database_of(postgres_url)
        database.script(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with (
        contextlib.closing(connect(postgres_url)) as database,
        pytest.raises(UnreachableError, match="does not accept writes") as caught,
    ):
        database.script("CREATE TABLE written (number INTEGER)")
    assert "target_session_attrs=read-write" in (caught.value.hint or "")


@pytest.mark.postgres
def test_a_transaction_begins_with_its_first_statement_of_whatever_kind(new_database: Callable[..., str]) -> None:
    url = new_database("postgres", migrated=True)
    level = "SELECT current_query(), current_setting('transaction_isolation')"
    counted = "SELECT COUNT(*) FROM hammerwork_queue_pause"
    pause = "INSERT INTO hammerwork_queue_pause (queue_name, paused_at, paused_by) VALUES (%s, now(), 'x')"
    with contextlib.closing(connect(url)) as database, contextlib.closing(connect(url)) as other:
        # A transaction without statements leaves none open.
        database.transaction(lambda: None)
        database.query(f"{pause} RETURNING 1", ["alone"])
        assert other.query(counted) == [(1,)]

        def first() -> Any:
            ((sent, isolation),) = database.query(level)
            assert sent.startswith("BEGIN ISOLATION LEVEL READ COMMITTED;")
            assert isolation == "read committed"
            return database.query(level)[0][0]

        assert database.transaction(first) == level
        with database.snapshot():
            assert database.query(level)[0][1] == "repeatable read"
            other.query(f"{pause} RETURNING 1", ["meanwhile"])
            assert database.query(counted) == [(1,)]

        now = database.now()

        def copy_and_fail() -> None:
            assert enqueue.insert(database, [NewJob.of("q", "{}", now) for _ in range(2)]) == 2
            assert database.query("SELECT COUNT(*) FROM hammerwork_jobs") == [(2,)]
            raise KeyError

        with pytest.raises(KeyError):
            database.transaction(copy_and_fail)
        assert other.query("SELECT COUNT(*) FROM hammerwork_jobs") == [(0,)]
        with pytest.raises(RefusedValueError):
            database.transaction(lambda: database.query("SELECT CAST('x' AS INTEGER)"))
        assert database.query(counted) == [(2,)]


class CuttingRows(list[Any]):
    """Rows during which a connection is cut."""

    def __init__(self, database: Database, number: int) -> None:
        super().__init__([("row",)] * number)
        self.database = database

    def __iter__(self) -> Iterator[Any]:
        copying = "FROM pg_stat_activity WHERE query LIKE 'COPY %' AND datname = current_database()"
        with contextlib.closing(connect(self.database.url)) as other:
            assert other.query(f"SELECT pg_terminate_backend(pid) {copying}")
            while other.query(f"SELECT 1 {copying}"):
                time.sleep(0.01)
        return super().__iter__()


@pytest.mark.postgres
@pytest.mark.parametrize("number", [1, 100_000])
def test_a_connection_that_is_cut_while_rows_are_copied_is_a_lost_one(
    new_database: Callable[..., str], number: int
) -> None:
    database = connect(new_database("postgres", migrated=True))
    with pytest.raises(ConnectionLostError):
        database.insert(
            "job.enqueue.insert",
            CuttingRows(database, number),
            columns=Names(["id"]),
        )


def test_a_connection_that_hangs_while_it_reads_the_schema_holds_up_no_other(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, other = connect(migrated_url), connect(migrated_url)
    begun, go_on, seen = threading.Event(), threading.Event(), list[frozenset[str]]()

    def read_late(*arguments: Any) -> list[Any]:
        begun.set()
        assert go_on.wait(20)
        return Database._rows(hangs, *arguments)

    monkeypatch.setattr(hangs, "_rows", read_late)
    asking = threading.Thread(target=lambda: seen.append(other.tags))
    hanging = threading.Thread(target=lambda: hangs.tags)
    hanging.start()
    assert begun.wait(20)
    asking.start()
    asking.join(5)
    answered = len(seen)
    go_on.set()
    hanging.join()
    asking.join()
    for database in (hangs, other):
        database.close()
    assert answered == 1


@on_postgres
def test_an_old_libpq_sends_rows_in_parts_too(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psycopg.capabilities.has_stream_chunked", lambda: False)
    test_rows_come_in_parts_and_the_next_statement_follows_them(database)


def test_rows_come_in_parts_and_the_next_statement_follows_them(database: Database) -> None:
    ids = [Rows(database).job() for _ in range(5)]
    parts = list(database.row_parts("tree.relatives.states", 2, ids=database.ids(ids)))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert {row[0] for part in parts for row in part} == set(ids)
    assert len(database.rows("tree.relatives.states", ids=database.ids(ids))) == 5


@pytest.mark.postgres
def test_an_error_between_two_parts_is_translated_and_the_connection_stays(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(connect(postgres_url)) as database:
        migrations.run(database)
        broken = "SELECT 1 / (3000 - number) FROM generate_series(1, 4000) AS number"
        assert "postgresql" in database.tags
        with monkeypatch.context() as patch:
            patch.setattr(database, "_bound", lambda *_: (broken, []))
            with pytest.raises((DatabaseError, RefusedValueError)) as caught:
                list(database.row_parts("tree.relatives.states", 1000))
            assert "division by zero" in str(caught.value)
            left = database.row_parts("tree.relatives.states", 10)
            assert len(next(left)) == 10
            left.close()  # type: ignore[attr-defined]  a generator has it
        assert database.query("SELECT 1") == [(1,)]
