"""Migrations of version 3 of hammerwork (Rust) and ours on one database: any order, either program, one at a time."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Queue, RetryStrategy, Worker
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import ConflictError, DatabaseError, UsageError
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.migration.model import RustVersion, TableRewrite
from tests.conftest import needed
from tests.database.introspection import Schema, dump, expected_schema, made_by, read_schema, without_ours
from tests.databases import database_of, with_database
from tests.rows import Rows
from tests.rust3 import migrations as rust3
from tests.rust3.migrations import Migrator
from tests.rust3.runs import Version3
from tests.servers import VARIABLES, server_url

V3 = RustVersion.V3
THEIRS = [migration.id for migration in migrations.RUST_3]
ALL = (*migrations.MIGRATIONS, *migrations.RUST_3)
LEASES = {"column hammerwork_jobs.last_heartbeat_at", "column hammerwork_jobs.lease_expires_at"}
STRATEGY = "column hammerwork_jobs.retry_strategy"
FIXED = '{"type": "Fixed", "duration_ms": 1000}'


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, new_database: Callable[..., str]) -> str:
    """An empty database of a kind that the original knows."""
    return new_database(kind)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with contextlib.closing(connect(url)) as connected:
        yield connected


def until(database: Database, last: str) -> None:
    """Runs our migrations up to one, as an earlier version of this program did."""
    names = [migration.id for migration in migrations.MIGRATIONS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[: names.index(last) + 1])
        migrations.run(database)


def of_1_15_5(database: Database) -> None:
    until(database, "014_add_queue_pause")


def of_both(database: Database) -> None:
    """A single run with theirs."""
    migrations.run(database, rust=V3)


Make = Callable[[Database], None]


@pytest.fixture(scope="module")
def made(makers: Any) -> Iterator[Callable[[str, Make], str]]:
    """``made(kind, make)``: the URL of a database with the tables that ``make`` made, to read and copy."""
    urls: dict[tuple[str, Make], str] = {}
    with contextlib.ExitStack() as dropping:

        def url(kind: str, make: Make) -> str:
            if (kind, make) not in urls:
                urls[kind, make] = makers[kind].empty()
                dropping.callback(makers[kind].drop, urls[kind, make])
                with contextlib.closing(connect(urls[kind, make])) as database:
                    make(database)
            return urls[kind, make]

        yield url


@pytest.fixture
def copied(makers: Any, made: Callable[[str, Make], str]) -> Iterator[Callable[[str, Make], Database]]:
    """``copied(kind, make)``: a connection to a copy of that database."""
    with contextlib.ExitStack() as closing:

        def copy(kind: str, make: Make) -> Database:
            url = makers[kind].copy(made(kind, make))
            closing.callback(makers[kind].drop, url)
            return closing.enter_context(contextlib.closing(connect(url)))

        yield copy


@pytest.fixture
def theirs(kind: str, copied: Callable[[str, Make], Database]) -> Database:
    """A database of 1.15.5."""
    return copied(kind, of_1_15_5)


@pytest.fixture
def both(kind: str, copied: Callable[[str, Make], Database]) -> Database:
    """A database after a run with their migrations."""
    return copied(kind, of_both)


def recorded(database: Database) -> list[str]:
    return sorted(str(row[0]) for row in database.query("SELECT migration_id FROM hammerwork_migrations"))


def normal(schema: Schema, database: Database) -> Schema:
    """On MySQL, retry_strategy is TEXT if ours made it and JSON if theirs did: both programs read both."""
    if database.dialect == "mysql":
        jobs = schema["hammerwork_jobs"]
        jobs["checks"] = [check for check in jobs["checks"] if check["name"] != "retry_strategy"]
        for column in jobs["columns"]:
            if column["name"] == "retry_strategy":
                assert column["type"] in ("text", "longtext", "json")
                column["type"] = "text or JSON"
    return schema


# The same tables, whoever makes them, in whatever order.


def test_the_migrations_of_version_3_make_the_tables_of_the_dump(
    theirs: Database, request: pytest.FixtureRequest
) -> None:
    """``--rewrite-expected`` writes the dump."""
    assert Migrator(theirs).run() == THEIRS
    schema = read_schema(theirs)
    if request.config.getoption("--rewrite-expected"):
        dump(theirs, "018").write_text(json.dumps(schema, indent=1, sort_keys=True), encoding="utf-8")
    assert schema == expected_schema(theirs, "018")


def test_a_run_with_rust_3_makes_the_same_tables_column_for_column(both: Database) -> None:
    assert {*THEIRS} <= {*recorded(both)}
    schema = normal(without_ours(read_schema(both), both, ALL), both)
    expected = normal(expected_schema(both, "018"), both)
    assert schema.keys() == expected.keys()
    for table, parts in expected.items():
        for what, entries in parts.items():
            assert schema[table][what] == entries, f"{what} of {table}"
    assert Migrator(both).run() == []


# With 015 and 018 both programs make the same columns, our hw_032 and hw_033. What else one makes, the other does not
# know: whether it is there already changes nothing.
ORDERS = {
    "theirs until 015, ours, theirs": [THEIRS[0], "ours", THEIRS[-1]],
    "theirs until 015, ours with theirs": [THEIRS[0], "both"],
    "ours, theirs": ["ours", THEIRS[-1]],
    "ours until hw_031, theirs, ours": ["until hw_031_run_starts", THEIRS[-1], "ours"],
    "ours until 017, ours with theirs": ["until 017_workers", "both"],
}


@pytest.fixture(scope="module")
def made_at_once(made: Callable[[str, Make], str]) -> Callable[[str], Schema]:
    """The tables that a single run with theirs makes in a database of that kind."""

    @cache
    def schema(kind: str) -> Schema:
        with contextlib.closing(connect(made(kind, of_both))) as database:
            return normal(read_schema(database), database)

    return schema


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_every_order_of_both_programs_makes_the_same_tables(
    kind: str, theirs: Database, order: list[str], made_at_once: Callable[[str], Schema]
) -> None:
    database = theirs
    for part in order:
        if part in THEIRS:
            Migrator(database).run(last=part)
        elif part.startswith("until "):
            until(database, part.removeprefix("until "))
        else:
            migrations.run(database, rust=V3 if part == "both" else None)
    assert {state.state for state in migrations.status(database, V3)} == {"applied"}
    assert recorded(database) == sorted(migration.id for migration in ALL)
    assert migrations.rust_fit(database).version == V3
    assert normal(read_schema(database), database) == made_at_once(kind)
    assert (migrations.run(database), migrations.plan(database, V3), Migrator(database).run()) == ([], [], [])


def test_no_name_is_used_by_both_programs_but_those_of_the_columns_that_both_read(database: Database) -> None:
    shared = made_by(database, ALL, "ours") & made_by(database, migrations.RUST_3, "upstream")
    assert STRATEGY in shared
    assert shared - {""} <= {*LEASES, STRATEGY}
    assert {migration.id for migration in migrations.MIGRATIONS}.isdisjoint(THEIRS)
    assert list(rust3.MIGRATIONS) == THEIRS


def test_after_a_run_with_rust_3_keys_have_versions_and_the_audit_log_takes_updates(both: Database) -> None:
    key = {"algorithm": "AES256GCM", "key_material": b"k", "key_source": "Static", "key_strength": 256, "key_id": "a"}
    for version in (1, 2):
        Rows(both).insert("hammerwork_encryption_keys", {**key, "key_version": version})
    Rows(both).insert("hammerwork_key_audit_log", {"key_id": "a", "operation": "Update", "success": True})


# What status, plan and run say.


def test_a_database_of_1_15_5_suits_it_and_lacks_their_new_ones(theirs: Database) -> None:
    fit = migrations.rust_fit(theirs)
    assert (fit.version, fit.lacking, fit.uses, fit.unreadable) == (RustVersion.V1, tuple(THEIRS), False, False)
    migrations.run(theirs)
    assert migrations.rust_fit(theirs) == fit
    assert not {state.migration.id for state in migrations.status(theirs)} & set(THEIRS)
    assert [row.migration.id for row in migrations.plan(theirs, V3)] == THEIRS


def test_migrations_of_version_3_are_known_and_what_they_lack_is_made_again(theirs: Database) -> None:
    Migrator(theirs).run()
    migrations.run(theirs)
    found = {state.migration.id: state.migration for state in migrations.status(theirs)}
    assert [(found[name].owner, found[name].rust) for name in THEIRS] == [("upstream", V3)] * 4
    schema = read_schema(theirs)
    theirs.script("DROP TABLE hammerwork_kms_data_keys")
    theirs.script("ALTER TABLE hammerwork_jobs DROP COLUMN last_heartbeat_at")
    lost = {
        name: state.missing for state in migrations.status(theirs) for name in [state.migration.id] if state.missing
    }
    assert lost["017_add_kms_data_keys"] == ("table hammerwork_kms_data_keys",)
    assert "column hammerwork_jobs.last_heartbeat_at" in lost["015_add_job_leases"]
    assert migrations.rust_fit(theirs).version == RustVersion.V1
    migrations.run(theirs)
    assert read_schema(theirs) == schema


def test_a_column_that_version_3_made_is_not_taken_for_an_interrupted_migration(theirs: Database) -> None:
    Migrator(theirs).run()
    states = {state.migration.id: state.state for state in migrations.status(theirs)}
    assert set(states.values()) == {"applied", "pending"}
    assert states["017_workers"] == "pending"


def test_jobs_that_version_3_abandoned_are_found_before_our_migrations_have_run(
    theirs: Database, run: Callable[..., Any]
) -> None:
    url = theirs.url.raw
    Migrator(theirs).run()
    version3, rows = Version3(theirs), Rows(theirs)
    for _ in range(2):
        rows.job(queue="mail", status="Pending")
    alive, gone = version3.claim("mail"), version3.claim("mail")
    assert alive is not None
    assert gone is not None
    rows.run("UPDATE hammerwork_jobs SET lease_expires_at = started_at WHERE id = %s", [gone.job])
    checks = run("monitor", "health", "--format", "json", url=url).json["checks"]
    found = {check["check"]: check for check in checks}
    assert (found["lost_jobs"]["value"], found["unclaimed_jobs"]["status"]) == (1, "healthy")
    assert {one["kind"]: one["jobs"] for one in run("spawn", "doctor", "--format", "json", url=url).json} == {"lost": 1}


def test_drop_removes_the_table_of_version_3_too(both: Database) -> None:
    assert {row.table for row in migrations.contents(both)} == {*migrations.TABLES}
    migrations.drop(both)
    assert read_schema(both) == {}


def test_a_plan_with_rust_3_is_what_a_run_sends(theirs: Database) -> None:
    planned = [sql for row in migrations.plan(theirs, V3) for sql in row.statements]
    sent, send = list[str](), theirs.script

    def script(sql: str) -> None:
        sent.append(sql)
        send(sql)

    theirs.script = script  # type: ignore[method-assign]
    migrations.run(theirs, rust=V3)
    assert sent == planned


@pytest.mark.parametrize("act", [migrations.run, migrations.plan])
def test_sqlite_is_not_a_database_of_version_3(sqlite_url: str, act: Callable[..., Any]) -> None:
    with contextlib.closing(connect(sqlite_url)) as database, pytest.raises(UsageError, match="does not use SQLite"):
        act(database, rust=V3)


@pytest.mark.mysql
def test_a_run_of_version_3_that_ended_on_mariadb_is_finished(mysql_url: str) -> None:
    with contextlib.closing(connect(mysql_url)) as database:
        if not getattr(database, "is_mariadb", False):
            pytest.skip("MySQL knows DROP CHECK")
        migrations.run(database)
        with pytest.raises(DatabaseError):
            Migrator(database, as_mysql=True).run()
        assert set(THEIRS) & set(recorded(database)) == {"015_add_job_leases"}
        fit = migrations.rust_fit(database)
        assert (fit.version, fit.lacking, fit.uses, fit.runs_here) == (RustVersion.V1, tuple(THEIRS[1:]), True, False)
        assert [migration.id for migration in migrations.run(database, rust=V3)] == THEIRS[1:]
        schema = without_ours(read_schema(database), database, ALL)
        assert normal(schema, database) == normal(expected_schema(database, "018"), database)


@pytest.mark.mysql
def test_a_run_of_version_3_that_ended_between_two_statements_is_finished(
    copied: Callable[[str, Make], Database],
) -> None:
    """It drops the check of the audit log, and adds the new one with a statement of its own."""
    database = copied("mysql", of_both)
    database.script("ALTER TABLE hammerwork_key_audit_log DROP CONSTRAINT check_operation")
    database.script(f"DELETE FROM hammerwork_migrations WHERE migration_id = '{THEIRS[1]}'")
    assert [migration.id for migration in migrations.run(database, rust=V3)] == [THEIRS[1]]
    schema = without_ours(read_schema(database), database, ALL)
    assert normal(schema, database) == normal(expected_schema(database, "018"), database)


# One at a time.


def hold(database: Database) -> contextlib.AbstractContextManager[None]:
    """Their lock, as a run of theirs holds it."""
    return Migrator(database).locked()


@pytest.mark.postgres
def test_a_pooler_of_transactions_keeps_the_lock_for_the_whole_run(postgres_url: str, reached: str) -> None:
    free = f"SELECT pg_try_advisory_xact_lock({rust3.LOCK})"
    found = list[bool]()
    with contextlib.closing(connect(postgres_url)) as other, contextlib.closing(connect(reached)) as ours:
        migrations.run(ours, on_progress=lambda *_: found.append(other.query(free)[0][0]))
        assert found == [False] * len(found)
        assert len(found) > len(migrations.MIGRATIONS)
        assert other.query(free) == [(True,)]


def test_a_run_waits_for_one_of_version_3_and_says_so(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TELL_SECONDS", 0)
    told, waits = list[str](), threading.Event()

    def on_wait(who: str) -> None:
        told.append(who)
        waits.set()

    with contextlib.closing(connect(url)) as ours, ThreadPoolExecutor(1) as pool:
        with hold(database):
            run = pool.submit(migrations.run, ours, on_wait=on_wait)
            assert waits.wait(60)
            session = session_of(database)
            assert not run.done()
        assert len(run.result(60)) == len(migrations.MIGRATIONS)
    assert told == [f"A migration run of hammerwork (Rust), in session {session} of the server,"]


def session_of(database: Database) -> int:
    sql = "SELECT pg_backend_pid()" if database.dialect == "postgresql" else "SELECT CONNECTION_ID()"
    return int(database.query(sql)[0][0])


def test_a_run_waits_for_ten_minutes_at_most_and_names_the_session_that_holds_the_lock(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a pooler of transactions, their lock may stay with a session of the pooler."""
    monkeypatch.setattr(migrations, "PATIENCE_SECONDS", 0.3)
    with contextlib.closing(connect(url)) as ours, hold(database):
        with pytest.raises(ConflictError, match=f"session {session_of(database)} of the server, has not ended") as told:
            migrations.run(ours)
        assert str(session_of(database)) in str(told.value.hint)
        assert read_schema(ours) == {}


def test_a_run_of_version_3_waits_for_one_of_hammerwork_cli(theirs: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    apply = migrations._apply

    def slowly(*given: Any) -> bool:
        begun.set()
        assert go_on.wait(60)
        return apply(*given)

    monkeypatch.setattr(migrations, "_apply", slowly)
    with contextlib.closing(connect(theirs.url)) as other, ThreadPoolExecutor(2) as pool:
        ours = pool.submit(migrations.run, theirs)
        assert begun.wait(60)
        run = pool.submit(Migrator(other).run)
        time.sleep(0.3)
        assert not run.done()
        assert not set(THEIRS) & set(recorded_by(theirs))
        go_on.set()
        assert ours.result(60)
        assert run.result(60) == THEIRS


def recorded_by(other: Database) -> list[str]:
    with contextlib.closing(connect(other.url)) as looking:
        return recorded(looking)


@pytest.fixture(params=["direct", "behind PgBouncer"])
def reached(request: pytest.FixtureRequest, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same database, by a URL for our runs."""
    if request.param == "direct":
        yield postgres_url
        return
    monkeypatch.setenv(VARIABLES["postgres"], postgres_url)
    with needed(), server_url("pgbouncer") as pooler:
        yield with_database(pooler, database_of(postgres_url))


@pytest.mark.postgres
def test_a_run_of_version_3_that_waits_does_not_keep_an_index_from_being_built(
    postgres_url: str, reached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CREATE INDEX CONCURRENTLY waits for their statement, which waits for our lock: no server ends that."""
    with contextlib.closing(connect(postgres_url)) as theirs, contextlib.closing(connect(reached)) as ours:
        until(ours, "014_add_queue_pause")
        with ThreadPoolExecutor(1) as pool:
            waiting: list[Future[list[str]]] = []
            send = migrations._Turn.send

            def with_theirs_waiting(turn: migrations._Turn, database: Database, step: Any, sql: str) -> None:
                if sql.startswith("CREATE INDEX CONCURRENTLY") and not waiting:
                    waiting.append(pool.submit(Migrator(theirs).run))
                    blocked = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    while not database.query(blocked)[0][0]:
                        time.sleep(0.01)
                send(turn, database, step, sql)

            monkeypatch.setattr(migrations._Turn, "send", with_theirs_waiting)
            assert migrations.run(ours)
            assert waiting[0].result(60) == THEIRS
        assert {state.state for state in migrations.status(ours, V3)} == {"applied"}


def test_both_programs_at_once_take_turns_and_apply_each_migration_once(
    theirs: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among statements that change tables; several of theirs wait at once."""
    role, active, overlaps = threading.local(), list[str](), list[list[str]]()
    send = Database.script

    def script(database: Database, sql: str) -> None:
        active.append(role.name)
        if len(set(active)) > 1:
            overlaps.append([*active, sql])
        try:
            send(database, sql)
        finally:
            active.remove(role.name)

    monkeypatch.setattr(Database, "script", script)
    start = threading.Barrier(5)

    def run(number: int) -> list[str]:
        role.name = "ours" if number < 2 else "theirs"
        with contextlib.closing(connect(theirs.url)) as database:
            start.wait()
            if role.name == "theirs":
                return Migrator(database).run()
            return [migration.id for migration in migrations.run(database, rust=V3)]

    with ThreadPoolExecutor(5) as pool:
        done = list(pool.map(run, range(5)))
    assert overlaps == []
    assert sorted(name for names in done for name in names) == sorted(migration.id for migration in ALL[14:])
    assert {state.state for state in migrations.status(theirs, V3)} == {"applied"}


# Retry strategies as JSONB.


@pytest.fixture
def with_text(new_database: Callable[..., str]) -> Iterator[Database]:
    """A database of an earlier version of this program, whose strategies are TEXT."""
    with contextlib.closing(connect(new_database("postgres", migrated=True))) as database:
        database.script("ALTER TABLE hammerwork_jobs ALTER COLUMN retry_strategy TYPE TEXT")
        Rows(database).run(f"DELETE FROM hammerwork_migrations WHERE migration_id = '{migrations.READABLE_MIGRATION}'")
        yield database


def type_of_strategy(database: Database) -> str:
    sql = "SELECT data_type FROM information_schema.columns WHERE table_name = 'hammerwork_jobs' AND column_name = "
    return str(database.query(f"{sql}'retry_strategy'")[0][0])


def identity(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def put(database: Database, *strategies: str | None) -> None:
    for number, strategy in enumerate(strategies):
        now = database.now()
        row = {"id": identity(number), "queue_name": "q", "payload": "{}", "status": "Pending"}
        Rows(database).insert(
            "hammerwork_jobs", {**row, "created_at": now, "scheduled_at": now, "retry_strategy": strategy}
        )


def strategies(database: Database) -> list[Any]:
    rows = database.query("SELECT retry_strategy FROM hammerwork_jobs ORDER BY id")
    return [row[0] and json.loads(row[0]) for row in rows]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("given", "rewrite"),
    [
        pytest.param([], (), id="no job"),
        pytest.param([None] * 3, (TableRewrite("hammerwork_jobs", 3, 0),), id="no strategy"),
        pytest.param([FIXED, *[None] * 11], (TableRewrite("hammerwork_jobs", 12, 1),), id="few"),
        pytest.param([FIXED, None, FIXED], (TableRewrite("hammerwork_jobs", 3, 3),), id="many"),
    ],
)
def test_strategies_become_jsonb_and_the_plan_says_what_is_written_again(
    with_text: Database, given: list[str | None], rewrite: tuple[TableRewrite, ...]
) -> None:
    put(with_text, *given)
    files = "SELECT pg_relation_filenode('hammerwork_jobs')"
    before, file = strategies(with_text), with_text.query(files)
    (planned,) = [row for row in migrations.plan(with_text) if row.migration.id == migrations.READABLE_MIGRATION]
    assert planned.rewrites == rewrite
    migrations.run(with_text)
    assert (type_of_strategy(with_text), strategies(with_text)) == ("jsonb", before)
    assert (with_text.query(files) != file) == any(one.rows == one.written for one in rewrite)
    assert migrations.plan(with_text) == []


@pytest.mark.postgres
def test_strategies_that_are_not_json_objects_are_named_and_stop_nothing(with_text: Database) -> None:
    bad = ["fast", "", '"Fixed"', "[1]", '{"a": NaN}', '{"a": "\\u0000"}', "[" * 100_000, "null", '{"a": 1}}', "fast"]
    put(with_text, FIXED, None, *bad)
    told: list[tuple[str, str]] = []
    migrations.run(with_text, on_warning=lambda migration, text: told.append((migration.id, text)))
    assert strategies(with_text) == [json.loads(FIXED), *[None] * (len(bad) + 1)]
    assert {migration for migration, _ in told} == {migrations.READABLE_MIGRATION}
    assert sorted(text for _, text in told) == [
        f"The retry strategy of job {identity(number)} was no JSON object, so workers ignored it. It is gone now:"
        f" {value[:200]}"
        for number, value in enumerate(bad, 2)
    ]


@pytest.mark.postgres
def test_views_that_read_strategies_are_named(with_text: Database) -> None:
    with_text.script("CREATE VIEW everything AS SELECT * FROM hammerwork_jobs")
    with_text.script("CREATE MATERIALIZED VIEW patient AS SELECT id FROM everything WHERE retry_strategy IS NULL")
    with_text.script("CREATE VIEW ids AS SELECT id FROM hammerwork_jobs")
    with pytest.raises(DatabaseError, match=r"create them again: everything\.?$"):
        migrations.run(with_text)
    with_text.script("DROP VIEW everything CASCADE")
    migrations.run(with_text)


@pytest.mark.postgres
def test_a_column_that_is_text_again_is_missed_and_changed_again(with_text: Database) -> None:
    migrations.run(with_text)
    with_text.script("ALTER TABLE hammerwork_jobs ALTER COLUMN retry_strategy TYPE TEXT")
    (state,) = [state for state in migrations.status(with_text) if state.missing]
    assert (state.migration.id, state.missing) == (migrations.READABLE_MIGRATION, (migrations.READABLE_STRATEGY,))
    assert [migration.id for migration in migrations.run(with_text)] == [migrations.READABLE_MIGRATION]
    assert type_of_strategy(with_text) == "jsonb"


@pytest.mark.postgres
def test_strategies_as_text_harm_version_3_until_a_run_has_changed_them(with_text: Database) -> None:
    assert not migrations.harms_rust(with_text, migrations.known(with_text))
    Migrator(with_text).run()
    assert type_of_strategy(with_text) == "text"
    assert migrations.harms_rust(with_text, migrations.known(with_text))
    fit = migrations.rust_fit(with_text)
    assert (fit.version, fit.lacking, fit.unreadable) == (RustVersion.V1, (migrations.READABLE_MIGRATION,), True)
    migrations.run(with_text)
    assert not migrations.harms_rust(with_text, migrations.known(with_text))
    assert migrations.rust_fit(with_text).version == V3


def of_theirs_and_ours(database: Database) -> None:
    of_1_15_5(database)
    Migrator(database).run()
    migrations.run(database, rust=V3)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        pytest.param("postgres", of_both, id="JSONB", marks=pytest.mark.postgres),
        pytest.param("mysql", of_theirs_and_ours, id="JSON", marks=pytest.mark.mysql),
        pytest.param("mysql", of_both, id="TEXT", marks=pytest.mark.mysql),
    ],
)
def test_strategies_go_through_work_archive_and_backup(
    kind: str,
    make: Make,
    copied: Callable[[str, Make], Database],
    run: Callable[..., Any],
    new_database: Callable[..., str],
    tmp_path: Path,
) -> None:
    """The column is JSONB on PostgreSQL; on MySQL it is JSON if version 3 made it, else TEXT."""
    theirs = copied(kind, make)
    handlers = Handlers()

    @handlers.job("q")
    def work(job: Job) -> None:
        if job.attempts == 1:
            raise ValueError("not yet")

    strategy = RetryStrategy.exponential(timedelta(milliseconds=1), 1.5, timedelta(milliseconds=3))
    with Queue(theirs.url) as queue:
        jobs = [queue.enqueue(Job("q").with_retry_strategy(strategy)).id for _ in range(3)]
    Worker(theirs.url, handlers, drain=True).run()
    assert theirs.query("SELECT status, attempts FROM hammerwork_jobs") == [("Completed", 2)] * 3
    stored = [strategy._stored()] * 3
    assert strategies(theirs) == stored
    assert run("archive", "run", "--older-than", "0s", "--yes", url=theirs.url.raw).exit_code == 0
    assert strategies(theirs) == []
    for job in jobs:
        assert run("archive", "restore", str(job), "--as-was", url=theirs.url.raw).exit_code == 0
    assert strategies(theirs) == stored
    assert run("backup", "create", "-o", str(tmp_path / "b"), url=theirs.url.raw).exit_code == 0
    for other in (kind, "sqlite"):
        url = new_database(other, migrated=True)
        assert run("backup", "restore", "-i", str(tmp_path / "b"), "--yes", url=url).exit_code == 0
        with contextlib.closing(connect(url)) as database:
            assert strategies(database) == stored
