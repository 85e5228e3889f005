"""What the errors of the drivers mean, provoked on real servers: what is tried again, what is refused, what is lost."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from chaos.servers import HALT, START, CrashingServer
from hammerwork_cli import Handlers, Job, Queue, Worker
from hammerwork_cli.database import Database, Timeouts, connect
from hammerwork_cli.database.driver_errors import MYSQL, POSTGRES, SQLITE, ErrorMeaning, by_prefix
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConnectionLostError,
    DatabaseError,
    DuplicateError,
    HammerworkError,
    LimitReachedError,
    MissingTablesError,
    RefusedValueError,
    RetryableError,
    UnreachableError,
)
from tests.conftest import Outcome, each_row
from tests.database.introspection import is_mysql_proper
from tests.databases import database_of, with_database

Run = Callable[..., Outcome]
SERVERS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
LONG_TEXT = "UPDATE hammerwork_queue_pause SET queue_name = repeat('x', 300)"
PAUSE = "INSERT INTO hammerwork_queue_pause (queue_name) VALUES ('a')"
FILL_A_SQLITE_FILE = (
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    " INSERT INTO hammerwork_queue_pause (queue_name) SELECT hex(randomblob(500)) FROM n"
)
SORT_ON_DISK = "SELECT DISTINCT n || repeat('x', 200) FROM generate_series(1, 20000) AS n"

PROVOKED: list[tuple[str, str, list[str], str, type[HammerworkError]]] = [
    ("postgres", "statement_timeout", ["SET statement_timeout = 50"], "SELECT pg_sleep(9)", LimitReachedError),
    ("postgres", "temp_file_limit", ["SET temp_file_limit = 64", "SET work_mem = 64"], SORT_ON_DISK, LimitReachedError),
    ("postgres", "full_disk", [], "COPY (SELECT 1) TO '/dev/full'", LimitReachedError),
    ("postgres", "read_only", ["SET default_transaction_read_only = on"], PAUSE, UnreachableError),
    ("postgres", "too_long", [PAUSE], LONG_TEXT, RefusedValueError),
    ("postgres", "twice", [PAUSE], PAUSE, DuplicateError),
    ("postgres", "too_deep", [], f"SELECT CAST('{'[' * 20000}' AS jsonb)", RefusedValueError),
    ("postgres", "no_table", [], "SELECT 1 FROM hammerwork_nothing", MissingTablesError),
    ("postgres", "no_column", [], "SELECT nowhere FROM hammerwork_jobs", MissingTablesError),
    (
        "mysql",
        "table_full",
        ["SET SESSION max_heap_table_size = 16384", "CREATE TEMPORARY TABLE heap (a CHAR(200)) ENGINE=MEMORY"],
        "INSERT INTO heap SELECT REPEAT('x', 200) FROM information_schema.collations",
        LimitReachedError,
    ),
    ("mysql", "read_only", ["SET SESSION TRANSACTION READ ONLY"], PAUSE, UnreachableError),
    ("mysql", "too_long", [PAUSE], LONG_TEXT, RefusedValueError),
    ("mysql", "twice", [PAUSE], PAUSE, DuplicateError),
    ("mysql", "no_table", [], "SELECT 1 FROM hammerwork_nothing", MissingTablesError),
    ("mysql", "no_column", [], "SELECT nowhere FROM hammerwork_jobs", MissingTablesError),
    ("sqlite", "full", ["PRAGMA max_page_count = 1"], FILL_A_SQLITE_FILE, LimitReachedError),
    ("sqlite", "twice", [PAUSE], PAUSE, DuplicateError),
    ("sqlite", "null", [], "INSERT INTO hammerwork_queue_pause (queue_name) VALUES (NULL)", RefusedValueError),
    ("sqlite", "no_json", [], "SELECT json_extract('{', '$')", RefusedValueError),
    ("sqlite", "read_only", ["PRAGMA query_only = ON"], PAUSE, AccessDeniedError),
    ("sqlite", "no_table", [], "SELECT 1 FROM hammerwork_nothing", MissingTablesError),
    ("sqlite", "no_column", [], "SELECT nowhere FROM hammerwork_jobs", MissingTablesError),
]


@pytest.mark.parametrize(
    ("kind", "before", "statement", "error"),
    [
        pytest.param(kind, before, statement, error, marks=getattr(pytest.mark, kind), id=f"{kind}-{name}")
        for kind, name, before, statement, error in PROVOKED
    ],
)
def test_an_error_of_a_server_says_what_to_do_next(
    new_database: Callable[..., str], kind: str, before: list[str], statement: str, error: type[HammerworkError]
) -> None:
    with contextlib.closing(connect(new_database(kind, migrated=True))) as database:
        for sql in before:
            database.script(sql)
        tries = 0

        def work() -> None:
            nonlocal tries
            tries += 1
            database.script(statement)

        with pytest.raises(HammerworkError) as caught:
            database.script(statement)
        assert type(caught.value) is error, caught.value.message
        if error is not MissingTablesError:
            with pytest.raises(error):
                database.transaction(work)
            assert tries <= 1 + (error is DuplicateError)  # any other one would happen again at once
            assert database.query("SELECT 1") == [(1,)]


OWN_NUMBER = {"postgres": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
SLEEP = {"postgres": "SELECT pg_sleep(20)", "mysql": "SELECT SLEEP(20) FROM hammerwork_migrations"}
BUSY = {
    "postgres": "SELECT 1 FROM pg_stat_activity WHERE pid = {} AND query LIKE 'SELECT pg_sleep%'",
    "mysql": "SELECT 1 FROM information_schema.processlist WHERE id = {} AND info LIKE 'SELECT SLEEP%'",
}
END_STATEMENT = {"postgres": "SELECT pg_cancel_backend({})", "mysql": "KILL QUERY {}"}
END_SESSION = {"postgres": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


@pytest.mark.parametrize("kind", SERVERS)
def test_an_administrator_ends_a_statement_and_then_the_session(kind: str, new_database: Callable[..., str]) -> None:
    url = new_database(kind, migrated=True)
    with contextlib.closing(connect(url)) as database, contextlib.closing(connect(url)) as administrator:
        ((number,),) = database.query(OWN_NUMBER[kind])

        def end(order: str) -> None:
            while not administrator.query(BUSY[kind].format(number)):
                pass
            administrator.script(order.format(number))

        for order, error in ((END_STATEMENT[kind], LimitReachedError), (END_SESSION[kind], ConnectionLostError)):
            assert database.query("SELECT 1") == [(1,)]
            ending = Thread(target=end, args=[order])
            ending.start()
            with pytest.raises(error):
                database.query(SLEEP[kind])
            ending.join()
        with pytest.raises(ConnectionLostError):
            database.query("SELECT 1")


@pytest.mark.sqlite
def test_a_file_that_another_one_writes_is_busy_and_one_that_is_closed_is_lost(
    new_database: Callable[..., str],
) -> None:
    url = new_database("sqlite", migrated=True)
    holder, other = connect(url), connect(url, Timeouts(lock=0.05))
    with contextlib.closing(holder):

        def hold() -> None:
            holder.script(PAUSE)
            with pytest.raises(RetryableError):
                other.script(PAUSE)

        holder.transaction(hold)
    other.close()
    with pytest.raises(ConnectionLostError):
        other.query("SELECT 1")


# Servers that end, or are full.


def as_stranger(database: Database, server: str) -> str:
    """The URL of a user who may do everything in one database and nothing else."""
    parts = urlsplit(server)
    if database.dialect == "postgresql":
        database.script("CREATE ROLE stranger LOGIN PASSWORD 'x'")
        database.script("GRANT ALL ON SCHEMA public TO stranger")
    else:
        database.script("CREATE USER stranger@'127.0.0.1' IDENTIFIED BY 'x'")
        database.script("CREATE DATABASE strange")
        database.script("GRANT ALL ON strange.* TO stranger@'127.0.0.1'")
        server = with_database(server, "strange")
    return urlsplit(server)._replace(netloc=f"stranger:x@{parts.hostname}:{parts.port}").geturl()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_without_a_free_place_one_that_takes_no_writes_and_one_that_is_stopped(
    own_server: Callable[[str], CrashingServer], run: Run, kind: str
) -> None:
    server = own_server(kind)
    with contextlib.closing(connect(server.url)) as administrator, contextlib.ExitStack() as others:
        url = as_stranger(administrator, server.url)
        stranger = others.enter_context(contextlib.closing(connect(url)))
        if kind == "mysql":
            administrator.script("SET GLOBAL read_only = ON")
            with pytest.raises(UnreachableError, match="does not accept writes"):
                stranger.script("CREATE TABLE written (number INTEGER)")
            administrator.script("SET GLOBAL read_only = OFF")
            administrator.script("SET GLOBAL max_connections = 10")
        with pytest.raises(UnreachableError, match="does not accept more connections"):
            [others.enter_context(contextlib.closing(connect(url))) for _ in range(10)]
        with pytest.raises(UnreachableError, match="does not accept more connections"):
            [others.enter_context(contextlib.closing(connect(server.url))) for _ in range(10)]
        done = run("job", "list", "--format", "json", url=url)
        assert (done.exit_code, done.stdout) == (4, "")
        assert json.loads(done.stderr)["error"]["code"] == "database_unreachable"
        assert "does not accept more connections" in done.stderr
        server.order(HALT)
        with pytest.raises(ConnectionLostError):
            stranger.query("SELECT 1")
        with pytest.raises(UnreachableError, match="answers"):
            connect(url)
    server.order(START)


@pytest.mark.mysql
def test_reading_a_table_that_is_newer_than_the_snapshot_can_be_repeated(mysql_url: str) -> None:
    with contextlib.closing(connect(mysql_url)) as reader, contextlib.closing(connect(mysql_url)) as other:
        with reader.snapshot():
            other.script("CREATE TABLE newer (number INTEGER PRIMARY KEY)")
            with pytest.raises(RetryableError) as caught:
                reader.query("SELECT * FROM newer")
        assert type(caught.value) is RetryableError
        assert reader.query("SELECT * FROM newer") == []


@pytest.mark.mysql
def test_a_statement_for_which_there_is_no_temporary_space_says_so(mysql_url: str) -> None:
    with contextlib.closing(connect(mysql_url)) as database:
        if not database.query("SHOW VARIABLES LIKE 'max_tmp_session_space_usage'"):
            pytest.skip("only MariaDB from 11.5 on limits temporary space")
        database.script("SET SESSION max_tmp_session_space_usage = 65536")
        database.script("SET SESSION tmp_memory_table_size = 1024")
        with pytest.raises(LimitReachedError, match="temporary space"):
            database.query("SELECT DISTINCT CONCAT(seq, REPEAT('x', 200)) FROM seq_1_to_20000")
        assert database.query("SELECT 1") == [(1,)]


@pytest.mark.mysql
def test_accounts_that_may_not_log_in_are_refused_and_servers_that_let_nobody_in_take_no_more_connections(
    own_server: Callable[[str], CrashingServer],
) -> None:
    server = own_server("mysql")
    parts = urlsplit(server.url)
    guest = parts._replace(netloc=f"guest:x@{parts.hostname}:{parts.port}", path="/mysql").geturl()
    with contextlib.closing(connect(server.url)) as administrator:
        administrator.script("CREATE USER guest@'127.0.0.1' IDENTIFIED BY 'x' ACCOUNT LOCK")
        with pytest.raises(AccessDeniedError, match="locked"):
            connect(guest)
        if is_mysql_proper(administrator):
            administrator.script(
                "ALTER USER guest@'127.0.0.1' ACCOUNT UNLOCK FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1"
            )
            with pytest.raises(AccessDeniedError, match="blocked"):
                connect(guest.replace(":x@", ":wrong@"))
            administrator.script("ALTER USER guest@'127.0.0.1' ACCOUNT UNLOCK")
            administrator.script("SET GLOBAL offline_mode = ON")
            with pytest.raises(UnreachableError, match="does not accept more connections"):
                connect(guest)
            administrator.script("SET GLOBAL offline_mode = OFF")
        else:
            administrator.script("ALTER USER guest@'127.0.0.1' ACCOUNT UNLOCK")
            administrator.script("SET GLOBAL max_password_errors = 1")
            for _ in range(2):
                with pytest.raises(AccessDeniedError):
                    connect(guest.replace(":x@", ":wrong@"))
            with pytest.raises(AccessDeniedError, match="blocked"):
                connect(guest)
            administrator.script("SET GLOBAL max_password_errors = DEFAULT")


@pytest.mark.mysql
def test_a_database_of_mysql_proper_that_is_read_only_takes_no_writes(mysql_url: str) -> None:
    with contextlib.closing(connect(mysql_url)) as database:
        if not is_mysql_proper(database):
            pytest.skip("MariaDB has no database that is read-only")
        name = database_of(mysql_url)
        database.script(f"ALTER DATABASE {name} READ ONLY = 1")
        with pytest.raises(UnreachableError, match="does not accept writes"):
            database.script("CREATE TABLE written (number INTEGER)")
        database.script(f"ALTER DATABASE {name} READ ONLY = 0")


# Values that no database, or not this one, can hold.

SURROGATE = os.fsdecode(b"caf\xe9.jpg")


@pytest.mark.parametrize(
    ("column", "value"),
    [("t", SURROGATE), ("t", {"a": 1}), ("t", object()), ("n", 10**40)],
    ids=["surrogate", "dict", "object", "number"],
)
def test_a_value_that_cannot_be_sent_is_refused_and_the_connection_stays(
    empty_database: Database, column: str, value: Any
) -> None:
    empty_database.script("CREATE TABLE odd (t VARCHAR(20), n INTEGER)")
    with pytest.raises(RefusedValueError):
        empty_database.query(f"INSERT INTO odd ({column}) VALUES ({empty_database.placeholder})", [value])
    assert empty_database.query("SELECT count(*) FROM odd") == [(0,)]


def test_a_driver_s_own_complaint_is_not_a_lost_connection(empty_database: Database) -> None:
    two = ", ".join([empty_database.placeholder] * 2)
    with pytest.raises(HammerworkError) as caught:
        empty_database.query(f"SELECT {two}", ["one"])
    assert type(caught.value) is DatabaseError
    assert empty_database.query("SELECT 1") == [(1,)]


def test_half_a_character_in_a_name_or_a_payload_is_bad_usage(run: Run, migrated_url: str) -> None:
    for words in (("-q", SURROGATE, "-j", "1"), ("-q", "mail", "-j", "1", "--trace-id", SURROGATE)):
        done = run("job", "enqueue", *words, "--format", "json", url=migrated_url)
        assert (done.exit_code, done.stdout) == (2, ""), done.stderr
    assert run("job", "list", "-q", SURROGATE, url=migrated_url).exit_code == 2


@pytest.mark.postgres
def test_the_character_nul_in_a_name_is_bad_usage_on_postgresql(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("postgres", migrated=True)
    for words in (
        ("job", "enqueue", "-q", "a\0b", "-j", "1"),
        ("queue", "pause", "a\0b"),
        ("job", "list", "-q", "a\0b"),
    ):
        done = run(*words, url=url)
        assert (done.exit_code, done.stdout) == (2, ""), done.stderr
        assert "NUL" in done.stderr


@pytest.fixture
def encoded(postgres_url: str) -> Iterator[Callable[[str], str]]:
    """``encoded(encoding)``: the URL of an empty database with an encoding of PostgreSQL."""
    with contextlib.ExitStack() as closing:
        administrator = closing.enter_context(contextlib.closing(connect(postgres_url)))

        def make(encoding: str) -> str:
            name = f"hammerwork_test_{uuid4().hex[:12]}"
            administrator.script(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
            closing.callback(administrator.script, f"DROP DATABASE {name} WITH (FORCE)")
            return with_database(postgres_url, name)

        yield make


def fail(job: Job) -> None:
    raise ValueError("é 日")


@pytest.mark.postgres
@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_a_database_of_another_encoding_holds_what_it_can_and_refuses_the_rest(
    run: Run, encoded: Callable[[str], str], encoding: str
) -> None:
    url = encoded(encoding)
    assert run("migration", "run", "--yes", url=url).exit_code == 0
    assert run("job", "enqueue", "-q", "Zoé", "-j", "1", url=url).exit_code == 0
    done = run("job", "enqueue", "-q", "€5", "-j", "1", url=url)
    if encoding == "SQL_ASCII":
        with contextlib.closing(connect(url)) as database:
            database.script("INSERT INTO hammerwork_queue_pause (queue_name) VALUES (E'caf\\xe9')")
    else:
        assert (done.exit_code, done.stdout) == (2, "")
        assert encoding in done.stderr
    app = Handlers()
    app.register_job("fails", fail)
    app.register_job("Zoé", lambda job: f"{job.payload} é")
    queue = Queue(url)
    failing, says = queue.enqueue(Job("fails", 1, max_attempts=1)), queue.enqueue(Job("Zoé", "Zoé"))
    Worker(queue, app, drain=True, poll_interval=0.05).run()
    failed, said = queue.get(failing), queue.get(says)
    assert said is not None
    assert (said.status, queue.results([says])[says.id]) == ("Completed", "Zoé é")
    queue.close()
    assert failed is not None
    assert str(failed.error).startswith(
        {"LATIN1": r"ValueError: é \u65e5", "EUC_JP": "ValueError: é 日", "SQL_ASCII": "ValueError: é 日"}[encoding]
    )
    run("job", "delete", failing.id, "--yes", url=url)
    listed = run("queue", "list", "--format", "json", url=url)
    assert listed.exit_code == 0, listed.stderr
    assert {queue["queue"] for queue in listed.json} == (
        {"Zoé", "€5", "caf\ufffd"} if encoding == "SQL_ASCII" else {"Zoé"}
    )


# What cannot be provoked here.


@each_row(
    ("found", "meaning"),
    [
        (by_prefix(POSTGRES, "53100"), ErrorMeaning.NO_ROOM),
        (by_prefix(POSTGRES, "53200"), ErrorMeaning.LIMIT),
        (by_prefix(POSTGRES, "53300"), ErrorMeaning.FULL),
        (by_prefix(POSTGRES, "58030"), ErrorMeaning.LIMIT),
        (by_prefix(POSTGRES, "25P03"), ErrorMeaning.LOST),
        (by_prefix(POSTGRES, "40001"), ErrorMeaning.CONFLICT),
        (by_prefix(POSTGRES, "40P01"), ErrorMeaning.CONFLICT),
        (by_prefix(POSTGRES, "40003"), ErrorMeaning.LOST),
        (by_prefix(POSTGRES, "57P03"), ErrorMeaning.LOST),
        (by_prefix(POSTGRES, "08P01"), ErrorMeaning.LOST),
        (by_prefix(POSTGRES, "42601"), ErrorMeaning.UNKNOWN),
        (by_prefix(POSTGRES, "55006"), ErrorMeaning.LOCKED),
        (by_prefix(POSTGRES, "XX000"), ErrorMeaning.UNKNOWN),
        (by_prefix(POSTGRES, None), ErrorMeaning.UNKNOWN),
        *((MYSQL[number], ErrorMeaning.LIMIT) for number in (1, 3, 5, 23, 200, 202)),
        (MYSQL[20], ErrorMeaning.NO_ROOM),
        (MYSQL[1021], ErrorMeaning.NO_ROOM),
        (MYSQL[1030], ErrorMeaning.LIMIT),
        (MYSQL[1105], ErrorMeaning.UNKNOWN),
        (MYSQL[1197], ErrorMeaning.REFUSED),
        (MYSQL[1412], ErrorMeaning.CONFLICT),
        (MYSQL[1878], ErrorMeaning.LIMIT),
        (MYSQL[3032], ErrorMeaning.FULL),
        (MYSQL[1053], ErrorMeaning.LOST),
        (MYSQL[1836], ErrorMeaning.READ_ONLY),
        (by_prefix(SQLITE, "SQLITE_IOERR_WRITE"), ErrorMeaning.LOST),
        (by_prefix(SQLITE, "SQLITE_READONLY_DBMOVED"), ErrorMeaning.LOST),
        (by_prefix(SQLITE, "SQLITE_READONLY_DIRECTORY"), ErrorMeaning.DENIED),
        (by_prefix(SQLITE, "SQLITE_CORRUPT"), ErrorMeaning.UNKNOWN),
    ],
)
def test_the_longest_entry_that_fits_counts(found: ErrorMeaning, meaning: ErrorMeaning) -> None:
    """Full disks (3, 20, 1021, 1030) among them: the disk of a server cannot be filled simply."""
    assert found == meaning
