"""The tables that migrations make, whatever they find: nothing, a half, or all of it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.database.migration_files import steps
from hammerwork_cli.errors import AccessDeniedError, DatabaseError, UnreachableError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.migration.model import PlannedMigration
from tests.conftest import on_servers
from tests.database.introspection import TRACKING, Schema, expected_schema, read_schema, without_ours
from tests.rows import START

IDS = [migration.id for migration in migrations.MIGRATIONS]
OURS = [migration.id for migration in migrations.MIGRATIONS if migration.owner == "ours"]
ONLY_RUST_3 = {"hammerwork_kms_data_keys"}


def states(database: Database) -> dict[str, str]:
    return {state.migration.id: state.state for state in migrations.status(database)}


def applied(found: list[Any]) -> list[str]:
    return [migration.id for migration in found]


def original_jobs(database: Database) -> list[tuple[Any, ...]]:
    """Every job, in the columns that a database stopped at 009 has."""
    names = [
        clause.makes.partition(".")[2]
        for migration in IDS[1:9]
        for step in steps(migration, database.dialect)
        for clause in step.clauses
        if clause.makes.startswith("column hammerwork_jobs.")
    ]
    return database.query(
        "SELECT id, queue_name, payload, status, attempts, max_attempts, created_at, scheduled_at, started_at,"
        f" completed_at, failed_at, error_message, {', '.join(names)} FROM hammerwork_jobs ORDER BY id"
    )


def watched(database: Database) -> list[str]:
    """The statements of migrations that it will be sent from now on."""
    sent: list[str] = []
    send = database.script

    def script(sql: str) -> None:
        sent.append(sql)
        send(sql)

    database.script = script  # type: ignore[method-assign]
    return sent


@dataclass
class FirstRun:
    """A run in an empty database, and the database after it, only to be read."""

    database: Database
    planned: list[str]
    before: Schema
    sent: list[str]
    told: list[tuple[str, int, int]]
    began: datetime
    applied: list[str]
    ended: datetime


@pytest.fixture(scope="module")
def first_runs(makers: Any) -> Iterator[Callable[[str], FirstRun]]:
    """``first_runs(dialect)``: one for all tests."""
    with contextlib.ExitStack() as closing:

        @cache
        def run(dialect: str) -> FirstRun:
            url = makers[dialect].empty()
            closing.callback(makers[dialect].drop, url)
            database = closing.enter_context(contextlib.closing(connect(url)))
            planned = [sql for row in migrations.plan(database) for sql in row.statements]
            before, began, told = read_schema(database), database.now(), list[tuple[str, int, int]]()
            sent = watched(database)
            done = migrations.run(database, lambda one, number, total: told.append((one.id, number, total)))
            return FirstRun(database, planned, before, sent, told, began, applied(done), database.now())

        yield run


@pytest.fixture
def first_run(dialect: str, first_runs: Callable[[str], FirstRun]) -> FirstRun:
    return first_runs(dialect)


# The schema.


def test_the_tables_equal_those_of_hammerwork_rust_column_for_column(first_run: FirstRun) -> None:
    database = first_run.database
    schema = without_ours(read_schema(database), database)
    if database.dialect == "sqlite":
        assert_same_columns(schema, database)
        return
    expected = expected_schema(database)
    assert schema.keys() == expected.keys()
    for table, parts in expected.items():
        for kind, entries in parts.items():
            assert schema[table][kind] == entries, f"{kind} of {table}"


def assert_same_columns(schema: Schema, database: Database) -> None:
    """SQLite has the same columns, as optional as in MySQL, in types of its own."""
    expected = expected_schema(database)
    assert schema.keys() == expected.keys()
    for table, parts in expected.items():
        found = {column["name"]: column["nullable"] for column in schema[table]["columns"]}
        assert found == {column["name"]: column["nullable"] for column in parts["columns"]}
        wanted = {check["name"] for check in parts["checks"] if not check["definition"].startswith("json_valid")}
        assert wanted <= {check["name"] for check in schema[table]["checks"]}


@pytest.mark.parametrize(
    "dump",
    [
        pytest.param("media.postgresql", marks=pytest.mark.postgres),
        pytest.param("damaged.mariadb", marks=pytest.mark.mysql),
    ],
)
def test_a_complete_database_is_accepted_and_only_tables_of_hammerwork_cli_are_added(
    restored: Callable[[str], str], dump: str
) -> None:
    with contextlib.closing(connect(restored(dump))) as database:
        before = {state.migration.id: state for state in migrations.status(database)}
        schema, jobs = read_schema(database), original_jobs(database)
        assert states(database) == dict.fromkeys(IDS[:14], "applied") | dict.fromkeys(OURS, "pending")
        assert applied(migrations.run(database)) == OURS
        after = {state.migration.id: state for state in migrations.status(database)}
        assert [after[name] for name in IDS[:14]] == [before[name] for name in IDS[:14]]
        assert without_ours(read_schema(database), database) == schema
        assert original_jobs(database) == jobs


def test_a_second_run_changes_nothing(first_run: FirstRun) -> None:
    assert first_run.applied == IDS
    database = first_run.database
    schema, record, sent = read_schema(database), migrations.status(database), len(first_run.sent)
    assert migrations.run(database) == []
    assert len(first_run.sent) == sent
    assert migrations.plan(database) == []
    assert read_schema(database) == schema
    assert migrations.status(database) == record


def test_every_migration_is_recorded_one_by_one_with_its_time(first_run: FirstRun) -> None:
    found = migrations.status(first_run.database)
    assert [state.migration.id for state in found] == IDS
    assert [state.migration.owner for state in found] == ["upstream"] * 14 + ["ours"] * len(OURS)
    moments = [executed for state in found if (executed := timestamp(state.executed_at))]
    assert len(moments) == len(IDS)
    assert moments == sorted(moments)
    assert first_run.began <= moments[0]
    assert moments[-1] <= first_run.ended
    assert all(state.execution_time_ms is not None and 0 <= state.execution_time_ms < 60_000 for state in found)


def test_an_id_that_is_recorded_and_not_known_is_shown(database: Database) -> None:
    database.plain_run(
        "migration.record", migration_id="016_of_tomorrow", executed_at=database.now(), execution_time_ms=3
    )
    last = migrations.status(database)[-1]
    assert (last.migration.id, last.migration.owner, last.state) == ("016_of_tomorrow", "other", "applied")
    assert migrations.run(database) == []


def test_each_migration_has_statements_for_each_database() -> None:
    every = (*migrations.MIGRATIONS, *migrations.RUST_3)
    assert len({one.id for one in every}) == len([*(files("hammerwork_cli.sql") / "migrations").glob("*/*")])
    for one in every:
        for dialect in ("postgresql", "mysql", *(() if one in migrations.RUST_3 else ("sqlite",))):
            steps(one.id, dialect)


def test_hammerwork_rust_can_never_take_the_id_of_a_new_migration() -> None:
    """The original numbers on after 014, as ours did until 025. Both take an id of the other as unknown to them."""
    assert IDS[14:25] == OURS[:11]
    assert [name[:3] for name in IDS[:25]] == [f"{number:03}" for number in range(1, 26)]
    new = [re.fullmatch(r"hw_(\d{3})_[a-z_]+", name) for name in IDS[25:]]
    numbers = [int(found[1]) for found in new if found]
    assert len(numbers) == len(new)
    assert numbers == sorted({number for number in numbers if number > 25})


def test_the_plan_is_what_a_run_sends(first_run: FirstRun) -> None:
    table, *planned = first_run.planned
    assert first_run.before == {}
    assert [table.split("\n")[0], *first_run.sent] == ["CREATE TABLE IF NOT EXISTS hammerwork_migrations (", *planned]


def test_progress_is_reported_step_by_step(first_run: FirstRun) -> None:
    assert [name for name, done, _ in first_run.told if done == 0] == IDS
    assert [name for name, done, total in first_run.told if done == total] == IDS


def test_a_paused_queue_shows_when_it_was_changed(database: Database) -> None:
    database.script(
        "INSERT INTO hammerwork_queue_pause (queue_name, updated_at) VALUES ('mail', '2020-01-01 00:00:00')"
    )
    database.script("UPDATE hammerwork_queue_pause SET reason = 'stop'")
    ((changed,),) = database.query("SELECT updated_at FROM hammerwork_queue_pause")
    assert str(changed) > "2026"


# Databases that something left half made.


@pytest.mark.mysql
def test_a_database_stuck_at_010_is_finished_and_its_jobs_stay(restored: Callable[[str], str]) -> None:
    with contextlib.closing(connect(restored("stuck-at-010.mariadb"))) as database:
        assert states(database) == {
            **dict.fromkeys(IDS[:9], "applied"),
            "010_add_archival": "partial",
            **dict.fromkeys(IDS[10:], "pending"),
        }
        jobs = original_jobs(database)
        assert len(jobs) == 73
        assert applied(migrations.run(database)) == IDS[9:]
        assert original_jobs(database) == jobs
        assert without_ours(read_schema(database), database) == expected_schema(database)


@pytest.mark.mysql
def test_columns_that_somebody_added_by_hand_are_kept(restored: Callable[[str], str]) -> None:
    with contextlib.closing(connect(restored("stuck-at-010.mariadb"))) as database:
        database.script(
            "ALTER TABLE hammerwork_jobs"
            " ADD COLUMN archival_reason VARCHAR(50) NULL, ADD COLUMN payload_hash VARCHAR(255) NULL,"
            " ADD INDEX idx_hammerwork_jobs_archival_failed (failed_at, status)"
        )
        database.script("UPDATE hammerwork_jobs SET archival_reason = 'kept', payload_hash = 'kept'")
        migrations.run(database)
        assert database.query("SELECT DISTINCT archival_reason, payload_hash FROM hammerwork_jobs") == [
            ("kept", "kept")
        ]
        assert without_ours(read_schema(database), database) == expected_schema(database)


@pytest.mark.mysql
def test_new_tables_get_the_collation_of_the_old_ones(restored: Callable[[str], str]) -> None:
    with contextlib.closing(connect(restored("stuck-at-010.mariadb"))) as database:
        migrations.run(database)
        found = database.query(
            "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
            " AND collation_name IS NOT NULL"
            " AND (column_name IN ('id', 'batch_id', 'key_id', 'first_parent', 'queue_name', 'workflow_id'))"
        )
        assert found == [("utf8mb4_general_ci",)]


@pytest.mark.mysql
def test_a_database_that_is_latin1_gets_tables_that_hold_any_character(mysql_url: str) -> None:
    with contextlib.closing(connect(mysql_url)) as database:
        database.script("ALTER DATABASE CHARACTER SET latin1")
    with contextlib.closing(connect(mysql_url)) as database:
        migrations.run(database)
        assert enqueue.once(
            database, NewJob(queue="日本 😀", payload="{}", created_at=START, scheduled_at=START)
        ).created
    with contextlib.closing(connect(mysql_url)) as database:
        database.script("INSERT INTO hammerwork_queue_pause (queue_name) VALUES ('日本 😀')")
        assert database.query("SELECT queue_name FROM hammerwork_queue_pause") == [("日本 😀",)]


@pytest.mark.mysql
def test_a_server_that_changes_timestamps_makes_the_same_tables(mysql_url: str) -> None:
    with contextlib.closing(connect(mysql_url)) as database:
        database.script("SET SESSION explicit_defaults_for_timestamp = 0")
        migrations.run(database)
        assert without_ours(read_schema(database), database) == expected_schema(database)
        extra = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        assert database.query(extra + " AND extra LIKE '%on update%'") == [("hammerwork_queue_pause", "updated_at")]


def test_a_database_whose_record_was_lost_is_recognised(database: Database) -> None:
    schema = read_schema(database)
    database.script(f"DELETE FROM {TRACKING}")
    found = states(database)
    nothing_to_see = {
        name for name in IDS if not any(c.makes for s in steps(name, database.dialect) for c in s.clauses)
    }
    assert {name for name, state in found.items() if state == "pending"} == nothing_to_see
    assert applied(migrations.run(database)) == IDS
    assert read_schema(database) == schema


@on_servers
def test_tables_that_hammerwork_rust_left_after_any_migration_are_reported_and_finished(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 001 and 007 make indexes that its 002 and 012 take away."""
    database = empty_database
    on_postgres = database.dialect == "postgresql"
    indexes = {
        1: ["idx_hammerwork_jobs_queue_status" if on_postgres else "idx_queue_status", "(queue_name, status)"],
        7: ["idx_hammerwork_jobs_depends_on", "USING GIN (depends_on)"],
    }
    for last in (1, 7) if on_postgres else (1,):
        migrations.drop(database)
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:last])
            migrations.run(database)
        name, on = indexes[last]
        database.script(f"CREATE INDEX {name} ON hammerwork_jobs {on}")
        assert list(states(database).values()) == ["applied"] * last + ["pending"] * (len(IDS) - last)
        migrations.run(database)
        assert without_ours(read_schema(database), database) == expected_schema(database)


# Objects that are gone although the migrations that make them are recorded.


def made(database: Database, kind: str, owner: str = "ours") -> list[str]:
    """The columns that the migrations of an owner add to tables, or all of their indexes."""
    clauses = [
        clause
        for migration in migrations.MIGRATIONS
        if migration.owner == owner
        for step in steps(migration.id, database.dialect)
        for clause in step.clauses
        if clause.sql.startswith(("CREATE", "ADD"))
    ]
    with_tables = {part for clause in clauses for part in clause.parts if part.startswith("column ")}
    return [
        clause.makes.removeprefix(f"{kind} ")
        for clause in clauses
        if clause.makes.startswith(f"{kind} ") and clause.makes not in with_tables
    ]


def incomplete(database: Database) -> dict[str, tuple[str, ...]]:
    return {state.migration.id: state.missing for state in migrations.status(database) if state.state == "incomplete"}


def strangers(tables: Iterable[str], database: Database) -> list[list[str]]:
    """The tables in groups: no migration makes or changes two tables of one."""
    groups: list[list[str]] = []
    changed = [
        {clause.table for step in steps(name, database.dialect) for clause in step.clauses if clause.table in tables}
        for name in IDS
    ]
    for table in sorted(tables):
        known = set().union(*(those for those in changed if table in those))
        for group in groups:
            if known.isdisjoint(group):
                group.append(table)
                break
        else:
            groups.append([table])
    return groups


def test_every_table_that_is_gone_is_named_and_made_again_as_it_was(database: Database) -> None:
    schema, record = read_schema(database), migrations.status(database)
    for tables in strangers(schema.keys() - {TRACKING}, database):
        for table in tables:
            database.script(f"DROP TABLE {table}")
        gone = {f"table {table}" for table in tables}
        assert {name for names in incomplete(database).values() for name in names} == gone
        planned = [sql for row in migrations.plan(database) for sql in row.statements]
        sent = watched(database)
        assert migrations.run(database) != []
        assert sent == planned
    assert read_schema(database) == schema
    assert migrations.status(database) == record


def test_columns_and_indexes_that_are_gone_are_named_and_made_again_as_they_were(database: Database) -> None:
    schema, gone = read_schema(database), set()
    on = {"postgresql": "", "sqlite": "", "mysql": " ON {table}"}[database.dialect]
    of = {index["name"]: table for table, parts in schema.items() for index in parts["indexes"]}
    for name in made(database, "index"):
        database.script(f"DROP INDEX {name}{on.format(table=of[name])}")
        gone.add(f"index {name}")
    columns = [*made(database, "column"), "hammerwork_duties.claimed_by", "hammerwork_jobs.error_message"]
    for column in columns:
        table, _, name = column.partition(".")
        with contextlib.suppress(DatabaseError):  # SQLite keeps a column that another one is computed from
            database.script(f"ALTER TABLE {table} DROP COLUMN {name}")
            gone.add(f"column {column}")
    assert len(gone) > 20
    assert {name for names in incomplete(database).values() for name in names} >= gone
    migrations.run(database)
    assert incomplete(database) == {}
    assert read_schema(database) == schema


def test_a_database_of_an_earlier_form_of_a_migration_gets_what_was_added_to_it(database: Database) -> None:
    """018 got a column, a table, indexes and a wider column after databases had it recorded."""
    schema = read_schema(database)
    on = " ON {}" if database.dialect == "mysql" else ""
    for sql in (
        f"DROP INDEX idx_hammerwork_spawned_children_root{on.format('hammerwork_spawned_children')}",
        f"DROP INDEX idx_hammerwork_spawn_operations_root{on.format('hammerwork_spawn_operations')}",
        "ALTER TABLE hammerwork_spawned_children DROP COLUMN root_id",
        "ALTER TABLE hammerwork_jobs DROP COLUMN ancestry",
        "DROP TABLE hammerwork_spawn_trees",
        *(["ALTER TABLE hammerwork_spawn_requests MODIFY COLUMN config TEXT NULL"] if on else []),
    ):
        database.script(sql)
    assert incomplete(database).keys() == {"018_claims"}
    assert applied(migrations.run(database)) == ["018_claims"]
    assert read_schema(database) == schema


def test_two_runs_at_once_make_what_is_gone_once(database: Database) -> None:
    schema, url, start = read_schema(database), database.url, threading.Barrier(2)
    database.script("DROP TABLE hammerwork_watches")

    def run(_: int) -> list[str]:
        with contextlib.closing(connect(url)) as other:
            start.wait()
            return applied(migrations.run(other))

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run, range(2)))
    assert [name for names in done for name in names] == ["025_watches"]
    assert read_schema(database) == schema


@on_servers
def test_an_index_that_a_later_version_of_hammerwork_rust_replaced_is_not_missed(database: Database) -> None:
    index = made(database, "index", "upstream")[-1]
    table = next(table for table, parts in read_schema(database).items() if index in str(parts["indexes"]))
    database.script(f"DROP INDEX {index}" + (f" ON {table}" if database.dialect == "mysql" else ""))
    assert list(incomplete(database).values()) == [(f"index {index}",)]
    database.plain_run(
        "migration.record", migration_id="016_of_theirs", executed_at=database.now(), execution_time_ms=3
    )
    assert incomplete(database) == {}


# Runs that are broken off.


class Crash(BaseException):
    """What nobody catches."""


def crash_after(database: Database, wanted: str) -> None:
    """Ends the run, and the connection with it, when ``wanted`` was executed."""
    send = database.script

    def script(sql: str) -> None:
        send(sql)
        if sql == wanted:
            database.close()
            raise Crash

    database.script = script  # type: ignore[method-assign]


def unrecorded(planned: Sequence[PlannedMigration]) -> list[str]:
    """The statements of a plan but the one that makes the table of its records."""
    return [sql for row in planned for sql in row.statements if f"TABLE IF NOT EXISTS {TRACKING} (" not in sql]


def deaths(database: Database) -> Iterator[str]:
    """Statements of a first run after which it dies.

    Where a migration is one transaction, its last statement leaves most to undo, and stands for the others; on a server
    only if there are many. Elsewhere it dies early and half way: after the last statement, nothing but the record is
    missing, and a database without its record is recognised.
    """
    many = 1 if database.dialect == "sqlite" else 6
    for row in migrations.plan(database):
        statements = unrecorded([row])
        piecemeal = database.dialect == "mysql" or any("CONCURRENTLY" in sql for sql in statements)
        for number, sql in enumerate(statements, 1):
            last = len(statements)
            if number in {1, last // 2} - {last} if piecemeal else many <= number == last:
                yield sql


def test_a_run_that_dies_between_statements_is_completed_by_the_next(first_run: FirstRun, url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        dying_after, deaths_seen = [*deaths(database)], 0
    for statement in dying_after:
        with contextlib.closing(connect(url)) as database:
            todo = unrecorded(migrations.plan(database))
        if statement not in todo:
            continue  # MySQL adds the columns of all migrations at once to tables that are there
        dying = connect(url)
        sent = watched(dying)
        crash_after(dying, statement)
        with pytest.raises(Crash):
            migrations.run(dying)
        # Some may be sent again that make nothing whose absence would tell.
        left = todo[: todo.index(statement) + 1]
        assert [sql for sql in sent if sql in left] == left
        deaths_seen += 1
    assert deaths_seen > len(dying_after) / 2
    with contextlib.closing(connect(url)) as database:
        migrations.run(database)
        assert read_schema(database) == read_schema(first_run.database)
        assert set(states(database).values()) == {"applied"}


KILLED = """
import os, signal, sys
from hammerwork_cli.database import connect
from hammerwork_cli.features.migration import queries as migrations
database = connect(sys.argv[1])
send = database.script
def script(sql):
    send(sql)
    if "hammerwork_jobs_archive" in sql:
        os.kill(os.getpid(), signal.SIGKILL)
database.script = script
migrations.run(database)
"""


def test_a_process_that_is_killed_leaves_no_lock_behind(url: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, url], check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    with contextlib.closing(connect(url)) as database:
        assert states(database)["009_add_tracing"] == "applied"
        assert states(database)["010_add_archival"] == ("partial" if database.dialect == "mysql" else "pending")
        assert applied(migrations.run(database)) == IDS[9:]


def test_a_failing_statement_after_a_drop_is_reported_with_its_migration_and_can_be_fixed(database: Database) -> None:
    """A view of somebody else's takes the name of a table."""
    schema = read_schema(database)
    for _ in range(2):
        migrations.drop(database)
        assert read_schema(database) == {}
    database.script("CREATE VIEW hammerwork_queue_pause AS SELECT 1 AS one")
    with pytest.raises(DatabaseError, match="Migration 014_add_queue_pause: "):
        migrations.run(database)
    assert states(database)["013_add_key_audit"] == "applied"
    database.script("DROP VIEW hammerwork_queue_pause")
    assert applied(migrations.run(database)) == IDS[13:]
    assert read_schema(database) == schema


# Two runs at once.


def test_two_programs_at_once_do_not_collide(url: str, hammerwork: Callable[..., Any]) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(hammerwork, "migration", "run", "--format", "json", url=url) for _ in range(2)]
        done = [run.result() for run in runs]
    assert [run.exit_code for run in done] == [0, 0], [run.stderr for run in done]
    assert sorted(row["id"] for run in done for row in run.json) == IDS
    with contextlib.closing(connect(url)) as database:
        if database.dialect != "sqlite":
            assert without_ours(read_schema(database), database) == expected_schema(database)


@pytest.mark.postgres
@pytest.mark.parametrize("last", [0, 1, 7], ids=["the record", "001", "007"])
def test_a_run_goes_on_when_hammerwork_rust_which_takes_no_lock_was_faster(
    postgres_url: str, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(connect(postgres_url)) as theirs, contextlib.closing(connect(postgres_url)) as ours:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[: max(last - 1, 0)])
            if last:
                migrations.run(theirs)
        theirs.script("BEGIN")
        if last:
            present = frozenset[str]()
            for step in steps(IDS[last - 1], "postgresql"):
                theirs.script(step.statement(present) or "SELECT 1")
                present = step.after(present)
        else:
            theirs.plain_run("migration.tracking_table")
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(migrations.run, ours)
            blocked = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality("
            while not theirs.query(f"{blocked}pg_blocking_pids(pid)) > 0")[0][0]:
                assert not run.done()
                time.sleep(0.01)
            theirs.script("COMMIT")
            assert applied(run.result(60)) == IDS[max(last - 1, 0) :]
        assert without_ours(read_schema(ours), ours) == expected_schema(ours)


@pytest.mark.mysql
def test_two_runs_on_nodes_that_share_no_lock_end_well(mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a cluster each node has its own GET_LOCK: what holds must hold without."""
    monkeypatch.setattr(migrations, "_alone", lambda database, work, told: work(migrations._Turn(database, told)))
    start = threading.Barrier(2)

    def run(_: int) -> list[str]:
        with contextlib.closing(connect(mysql_url)) as database:
            start.wait()
            return applied(migrations.run(database))

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run, range(2)))
    assert sorted(name for names in done for name in names) == IDS
    with contextlib.closing(connect(mysql_url)) as database:
        assert without_ours(read_schema(database), database) == expected_schema(database)


# Taking it away.


@pytest.fixture
def neighbour(database: Database) -> Database:
    """Our tables beside somebody else's."""
    database.script("CREATE TABLE hammerwork_notes (id INTEGER)")
    database.script("CREATE TABLE invoices (id INTEGER)")
    database.script("INSERT INTO invoices VALUES (7)")
    return database


def test_drop_removes_everything_of_hammerwork_and_nothing_else(neighbour: Database) -> None:
    migrations.drop(neighbour)
    assert read_schema(neighbour).keys() == {"hammerwork_notes"}
    assert neighbour.query("SELECT id FROM invoices") == [(7,)]
    if neighbour.dialect == "postgresql":
        assert neighbour.query("SELECT proname FROM pg_proc WHERE proname LIKE '%%hammerwork%%'") == []
    assert migrations.contents(neighbour) == []


def test_a_drop_that_dies_half_way_is_not_taken_for_complete(database: Database) -> None:
    url = database.url

    def die_after(database: Database, number: int) -> None:
        run, sent = database.plain_run, iter(range(1, 100))

        def plain_run(statement: str, /, **values: Any) -> int:
            changed = run(statement, **values)
            if statement.startswith("migration.drop") and next(sent) == number:
                database.close()
                raise Crash
            return changed

        database.plain_run = plain_run  # type: ignore[method-assign]

    for number in range(1, 1 + {"postgresql": 1, "mysql": 2, "sqlite": len(migrations.TABLES)}[database.dialect]):
        dying = connect(url)
        migrations.run(dying)
        die_after(dying, number)
        with pytest.raises(Crash):
            migrations.drop(dying)
    with contextlib.closing(connect(url)) as mended:
        migrations.run(mended)
        assert {state.state for state in migrations.status(mended)} == {"applied"}
        assert {row.table for row in migrations.contents(mended)} == {*migrations.TABLES} - ONLY_RUST_3


def test_drop_counts_the_rows_that_it_would_remove(database: Database) -> None:
    database.script("INSERT INTO hammerwork_queue_pause (queue_name) VALUES ('mail'), ('video')")
    found = {row.table: row.rows for row in migrations.contents(database)}
    assert found.keys() == read_schema(database).keys()
    assert (found["hammerwork_queue_pause"], found[TRACKING], found["hammerwork_jobs"]) == (2, len(IDS), 0)


READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


def assert_that_a_run_is_refused(database: Database) -> None:
    database.script(READ_ONLY[database.dialect])
    with pytest.raises((UnreachableError, AccessDeniedError)):
        migrations.run(database)


@pytest.mark.parametrize("made", ["nothing", "the record alone"])
def test_a_run_where_nothing_can_be_written_says_so(empty_database: Database, made: str) -> None:
    if made == "the record alone":
        empty_database.plain_run("migration.tracking_table")
    assert_that_a_run_is_refused(empty_database)


def test_a_run_that_could_write_nothing_of_what_is_left_says_so(database: Database) -> None:
    database.script("DELETE FROM hammerwork_migrations WHERE migration_id = '018_claims'")
    assert_that_a_run_is_refused(database)


def test_a_run_finds_nothing_to_do_where_nothing_can_be_written(database: Database) -> None:
    database.script(READ_ONLY[database.dialect])
    assert migrations.run(database) == []
