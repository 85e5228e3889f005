"""The database is away, or refuses what workers want, for longer than their lease: it costs time and nothing else."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from chaos.servers import HALT, START, CrashingServer, crashing_server
from hammerwork_cli import Job
from hammerwork_cli.database import connect
from hammerwork_cli.database.drivers.sqlite import SqliteDatabase
from hammerwork_cli.errors import HammerworkError
from tests.conftest import needed
from tests.databases import database_of, migrate, names, with_database
from tests.runtime.conftest import Crew, Stage, until
from tests.rust3.runs import Version3

LEASE = 2.0
NAMES = names()
TABLES = """
    SELECT table_name FROM information_schema.tables
    WHERE table_name LIKE 'hammerwork%' AND table_name <> 'hammerwork_migrations'
"""
DIALECTS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("sqlite", "postgres", "mysql")]


class Place:
    """A database whose server is our own, and an administrator of it."""

    def __init__(self, url: str, server: CrashingServer | None) -> None:
        self.url, self.server = url, server
        self.admin = connect(url)

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Nobody can write."""
        if self.server is None:
            self.admin.script("BEGIN IMMEDIATE")
            yield
            self.admin.script("ROLLBACK")
            return
        self.admin.close()
        self.server.order(HALT)
        try:
            yield
        finally:
            self.server.order(START)
            self.admin = connect(self.url)


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], tuple[CrashingServer, str]]]:
    """``servers(kind)``: a server, and the URL of its only database, which has tables without rows."""
    with contextlib.ExitStack() as closing:
        made: dict[str, tuple[CrashingServer, str]] = {}

        def server(kind: str) -> tuple[CrashingServer, str]:
            if kind in made:
                with contextlib.closing(connect(made[kind][1])) as admin:
                    for (table,) in admin.query(TABLES):
                        admin.script(f"DELETE FROM {table}")
                return made[kind]
            with needed():
                started = closing.enter_context(crashing_server(kind))
            url = with_database(started.url, next(NAMES))
            with contextlib.closing(connect(started.url)) as admin:
                admin.script(f"CREATE DATABASE {database_of(url)}")
            migrate(url)
            made[kind] = started, url
            return made[kind]

        yield server


@pytest.fixture(params=DIALECTS)
def place(
    request: pytest.FixtureRequest,
    servers: Callable[[str], tuple[CrashingServer, str]],
    new_database: Callable[..., str],
) -> Iterator[Place]:
    if request.param == "sqlite":
        made = Place(new_database("sqlite", migrated=True), None)
    else:
        server, url = servers(request.param)
        made = Place(url, server)
    yield made
    made.admin.close()


@pytest.fixture
def stage(place: Place) -> Iterator[Stage]:
    made = Stage(place.url)
    yield made
    made.close()


@pytest.mark.long
def test_after_an_outage_longer_than_the_lease_nobody_counts_as_lost_and_no_job_runs_twice(
    place: Place, stage: Stage, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that the database was away, and that it answers again."""
    jobs = stage.enqueue(*(Job("held").with_max_attempts(1) for _ in range(6)))
    crew.begin(2, concurrency=3, lease=LEASE)
    until(lambda: len(crew.runs) == len(jobs))
    stage.close()
    with place.outage():
        time.sleep(1.5 * LEASE)  # it must be that long
        until(lambda: "The heartbeat failed" in caplog.text)
        assert "answers again" not in caplog.text
    stage.database = connect(place.url)
    reaper = Version3(stage.database)
    assert reaper.reap(timedelta()) == {}, "version 3 may come back before the workers do"
    crew.wait_for_heartbeats(8)
    assert crew.alive
    until(
        lambda: _last(caplog.messages, "The database answers again, after ") > _last(caplog.messages, "eartbeat failed")
    )
    assert reaper.reap(timedelta()) == {}
    assert stage.rows("status, claim_losses") == [("Running", None)] * len(jobs)
    crew.go_on.set()
    until(lambda: set(stage.status(*jobs)) == {"Completed"})
    assert set(crew.runs.values()) == {1}
    assert stage.rows("attempts, claim_losses") == [(1, None)] * len(jobs)


@pytest.mark.parametrize("place", DIALECTS[2:], indirect=True)
def test_a_worker_that_ends_at_once_in_an_outage_says_how_many_outcomes_are_not_written(
    place: Place, stage: Stage, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    stage.enqueue(*(Job("held") for _ in range(3)))
    crew.begin(concurrency=3)
    until(lambda: len(crew.runs) == 3)
    stage.close()
    with place.outage():
        crew.go_on.set()
        until(lambda: "will be retried" in caplog.text)
        crew.workers[0].stop(now=True)
        until(lambda: not crew.alive)
    assert "3 outcomes could not be written: the jobs run again if they have attempts left." in caplog.text


def _last(messages: list[str], words: str) -> int:
    return max((number for number, message in enumerate(messages) if words in message), default=-1)


class Faults:
    """What an administrator, or a full disk, does to a worker's connections."""

    def __init__(self, place: Place, caplog: pytest.LogCaptureFixture) -> None:
        self.admin, self.url, self.caplog = place.admin, place.url, caplog
        self.settings: tuple[str, ...] = ()  # on SQLite: written by the test, read by the threads of the worker
        self.go_on = threading.Event()  # what runs may end

    def script(self, *statements: str) -> None:
        for sql in statements:
            self.admin.script(sql)

    def with_settings(self, *settings: str) -> None:
        """On SQLite: settings of all connections of the worker, which it makes itself before its next statement.

        Another thread must not touch its connections: if it closes one meanwhile, the process crashes.
        """
        self.settings = settings

    @property
    def can_time_out(self) -> bool:
        """MySQL proper limits the time of nothing but SELECT."""
        return self.admin.dialect != "mysql" or "mariadb" in self.admin.server.lower()

    def sessions(self) -> list[int]:
        """The worker's, by their numbers."""
        if self.admin.dialect == "postgresql":
            sql = "SELECT pid FROM pg_stat_activity WHERE usename = 'plain'"
        else:
            sql = "SELECT id FROM information_schema.processlist WHERE user = 'plain'"
        return [row[0] for row in self.admin.query(sql)]

    def each_session(self, order: str) -> None:
        for number in self.sessions():
            with contextlib.suppress(HammerworkError):  # one that is closed
                self.admin.script(order.format(number))

    def until_said(self, words: str, each: str = "") -> None:
        """Lets what runs end, and waits until the worker's log says so.

        Args:
            words: in the log.
            each: an order that goes to each of the worker's sessions again and again.
        """
        self.go_on.set()

        def is_said() -> bool:
            if each:
                self.each_session(each)
            return words in self.caplog.text

        until(is_said)


@pytest.fixture
def plain_url(place: Place) -> str:
    """The database, as a user without privileges of an administrator sees it."""
    admin = place.admin
    if admin.dialect == "sqlite":
        return place.url
    if admin.dialect == "postgresql":
        admin.script("DROP ROLE IF EXISTS plain")
        admin.script("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        admin.script("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain")
    else:
        admin.script("DROP USER IF EXISTS plain@'127.0.0.1'")
        admin.script("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'plain'")
        admin.script(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {database_of(place.url)}.* TO plain@'127.0.0.1'")
    return re.sub(r"//[^@]*@", "//plain:plain@", place.url)


@contextlib.contextmanager
def read_only(faults: Faults) -> Iterator[None]:
    if faults.admin.dialect == "sqlite":
        faults.with_settings("PRAGMA query_only = ON")
        yield faults.until_said("refuses: attempt to write a readonly database")
        faults.with_settings("PRAGMA query_only = OFF")
    elif faults.admin.dialect == "mysql":
        faults.script("SET GLOBAL read_only = ON")
        yield faults.until_said("does not accept writes")
        faults.script("SET GLOBAL read_only = OFF")
    else:
        faults.script("SET default_transaction_read_only = off")
        faults.script("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        yield faults.until_said("does not accept writes")
        faults.script("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@contextlib.contextmanager
def full_disk(faults: Faults) -> Iterator[None]:
    faults.with_settings("PRAGMA max_page_count = 1")
    yield faults.until_said("There is no room left for the database: database or disk is full")
    faults.with_settings("PRAGMA max_page_count = 1000000")


@contextlib.contextmanager
def ended_statements(faults: Faults) -> Iterator[None]:
    with locked_tables(faults):
        each = "SELECT pg_cancel_backend({})" if faults.admin.dialect == "postgresql" else "KILL QUERY {}"
        yield faults.until_said("The database gave up", each=each)


@contextlib.contextmanager
def ended_sessions(faults: Faults) -> Iterator[None]:
    with locked_tables(faults):
        each = "SELECT pg_terminate_backend({})" if faults.admin.dialect == "postgresql" else "KILL {}"
        yield faults.until_said("was lost", each=each)


@contextlib.contextmanager
def locked_tables(faults: Faults) -> Iterator[None]:
    """So that every statement that writes is under way."""
    with contextlib.closing(connect(faults.url)) as other:
        if other.dialect == "postgresql":
            other.script("BEGIN")
            other.script("LOCK TABLE hammerwork_jobs, hammerwork_workers IN SHARE MODE")
        else:
            other.script("LOCK TABLES hammerwork_jobs READ, hammerwork_workers READ")
        yield


@contextlib.contextmanager
def statement_timeout(faults: Faults) -> Iterator[None]:
    with contextlib.closing(connect(faults.url)) as other:
        # A lock of a row: MariaDB notices late that a statement has waited too long for a table.
        other.script("START TRANSACTION")
        other.script("UPDATE hammerwork_jobs SET priority = 3")
        if faults.admin.dialect == "postgresql":
            faults.script("ALTER ROLE plain SET statement_timeout = 500")
            faults.each_session("SELECT pg_terminate_backend({})")
        else:
            faults.script("SET GLOBAL max_statement_time = 0.5")
            faults.each_session("KILL {}")
        yield faults.until_said("The database gave up")
    if faults.admin.dialect == "postgresql":
        faults.script("ALTER ROLE plain RESET statement_timeout")
        faults.each_session("SELECT pg_terminate_backend({})")
    else:
        faults.script("SET GLOBAL max_statement_time = 0")
        faults.each_session("KILL {}")


@contextlib.contextmanager
def renamed_table(faults: Faults) -> Iterator[None]:
    faults.script("ALTER TABLE hammerwork_jobs RENAME TO elsewhere")
    yield faults.until_said("A table or column is missing")
    faults.script("ALTER TABLE elsewhere RENAME TO hammerwork_jobs")


@contextlib.contextmanager
def revoked_rights(faults: Faults) -> Iterator[None]:
    if faults.admin.dialect == "postgresql":
        what, whom = "UPDATE ON ALL TABLES IN SCHEMA public", "plain"
    else:
        what, whom = f"UPDATE ON {database_of(faults.url)}.*", "plain@'127.0.0.1'"
    faults.script(f"REVOKE {what} FROM {whom}")
    if faults.admin.dialect == "mysql":
        faults.each_session("KILL {}")  # rights of a database are read when it is chosen
    yield faults.until_said("refuses")
    faults.script(f"GRANT {what} TO {whom}")
    if faults.admin.dialect == "mysql":
        faults.each_session("KILL {}")


@contextlib.contextmanager
def locked_rows(faults: Faults) -> Iterator[None]:
    """For longer than the worker waits for them."""
    with contextlib.closing(connect(faults.url)) as other:
        other.script("START TRANSACTION")
        other.script("UPDATE hammerwork_jobs SET priority = 3")
        yield faults.until_said("cannot be written yet: The database gave up")


@contextlib.contextmanager
def too_many_connections(faults: Faults) -> Iterator[None]:
    if faults.admin.dialect == "postgresql":
        limit, end = "ALTER ROLE plain CONNECTION LIMIT {}", "SELECT pg_terminate_backend({})"
        few, many = "1", "-1"
    else:
        limit, end = "ALTER USER plain@'127.0.0.1' WITH MAX_USER_CONNECTIONS {}", "KILL {}"
        few, many = "1", "0"
    faults.script(limit.format(few))
    yield faults.until_said("does not accept more connections", each=end)
    faults.script(limit.format(many))


@contextlib.contextmanager
def unknown_errors(faults: Faults) -> Iterator[None]:
    """What a trigger raises is in no table of errors."""
    on = "TRIGGER broken BEFORE UPDATE ON hammerwork_jobs"
    if faults.admin.dialect == "postgresql":
        faults.script(
            "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'error 28'; END $$",
            f"CREATE {on} FOR EACH ROW EXECUTE FUNCTION breaks()",
        )
    elif faults.admin.dialect == "mysql":
        faults.script(f"CREATE {on} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'error 28'")
    else:
        faults.script(f"CREATE {on} BEGIN SELECT RAISE(ABORT, 'error 28'); END")
    yield faults.until_said("The database reported an error: error 28")
    faults.script("DROP TRIGGER broken" + (" ON hammerwork_jobs" if faults.admin.dialect == "postgresql" else ""))


OF_SERVERS = (
    read_only,
    ended_statements,
    ended_sessions,
    statement_timeout,
    locked_rows,
    too_many_connections,
    renamed_table,
    revoked_rights,
    unknown_errors,
)
FAULTS = {
    "sqlite": (read_only, full_disk, renamed_table, unknown_errors),
    "postgresql": OF_SERVERS,
    "mysql": OF_SERVERS,
}


def test_a_worker_survives_whatever_a_server_answers_says_it_and_loses_and_doubles_nothing(
    place: Place,
    plain_url: str,
    stage: Stage,
    crew: Crew,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk of a server cannot be had simply: that its numbers are sorted is in test_driver_errors.py."""
    faults = Faults(place, caplog)
    if faults.admin.dialect == "sqlite":
        execute = SqliteDatabase._execute

        def with_settings(self: SqliteDatabase, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
            if threading.current_thread() is not threading.main_thread():
                for setting in faults.settings:
                    self._connection.execute(setting)
            return execute(self, sql, values, buffered=buffered)

        monkeypatch.setattr(SqliteDatabase, "_execute", with_settings)
    chosen = [fault for fault in FAULTS[faults.admin.dialect] if fault is not statement_timeout or faults.can_time_out]
    goes_on = {fault.__name__: threading.Event() for fault in chosen}

    @crew.handlers.job("large")
    def large(job: Job) -> str:
        crew.count(job)
        assert goes_on[job.payload].wait(60)
        return "x" * 300_000  # which needs new pages

    crew.handlers.register_job("parent", large)
    crew.handlers.register_handler("parent", lambda _: [Job("counted").with_max_attempts(1)])
    crew.begin(url=plain_url, concurrency=2)
    jobs: list[Job] = []
    for fault in chosen:
        name = fault.__name__
        running, parent = stage.enqueue(*(Job(queue, name).with_max_attempts(1) for queue in ("large", "parent")))
        until(lambda running=running, parent=parent: crew.runs[running.id] and crew.runs[parent.id])
        caplog.clear()
        stage.close()
        # The end of the one and the children of the other cannot be written.
        faults.go_on = goes_on[name]
        with fault(faults):
            assert crew.alive, name
        stage.database = connect(place.url)
        jobs += [running, parent, *stage.enqueue(Job("counted").with_max_attempts(1))]
        until(lambda: not stage.rows(where="status <> 'Completed'"))
        assert len(stage.children(parent)) == 1, name
    assert crew.alive
    assert len(stage.rows()) == 4 * len(chosen)
    assert [crew.runs[job.id] for job in jobs] == [1] * len(jobs)
    assert set(stage.rows("attempts, claim_losses")) == {(1, None)}


@pytest.mark.mysql
def test_a_value_larger_than_a_packet_of_the_server_fails_only_its_job(
    servers: Callable[[str], tuple[CrashingServer, str]], crew_at: Callable[[str], Crew]
) -> None:
    server, url = servers("mysql")
    with contextlib.closing(connect(server.url)) as admin:
        ((before,),) = admin.query("SELECT @@GLOBAL.max_allowed_packet")
        admin.script(f"SET GLOBAL max_allowed_packet = {2**20}")
        try:
            crew = crew_at(url)
            large = "x" * (2 * 2**20)
            crew.handlers.register_job("large", lambda job: large if job.payload else None)
            crew.handlers.register_handler("parent", lambda _: [Job("counted"), Job("counted", large)])
            result, parent, *others = crew.stage.enqueue(
                Job("large", 1), Job("parent"), *(Job("large", 0) for _ in range(5))
            )
            crew.begin(concurrency=2)
            until(lambda: set(crew.stage.status(result, parent, *others)) <= {"Completed", "Dead"})
            assert crew.stage.status(result, parent, *others) == ["Dead", "Dead"] + ["Completed"] * 5
            assert [crew.stage.one(job, "attempts") for job in (result, parent)] == [1, 1]
            for job in (result, parent):
                assert "max_allowed_packet" in crew.stage.one(job, "error_message")
            assert crew.stage.children(parent) == []
            assert crew.alive
        finally:
            admin.script(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.fixture
def crew_at() -> Iterator[Callable[[str], Crew]]:
    """``crew_at(url)``: workers of that database."""
    with contextlib.ExitStack() as ending:

        def make(url: str) -> Crew:
            stage = Stage(url)
            ending.callback(stage.close)
            made = Crew(stage)
            ending.callback(made.end)
            return made

        yield make
