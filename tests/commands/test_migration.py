"""``hammerwork migration``: what it says, what it asks, how it ends."""

import contextlib
import csv
import io
import json
import os
import pty
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.cli.context import Context
from hammerwork_cli.database import Database, connect, stalls
from hammerwork_cli.database.migration_files import MigrationStep
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.migration.queries import MIGRATIONS, RUST_3, _Turn
from tests.forks import begin
from tests.rows import Rows
from tests.rust3.migrations import Migrator
from tests.terminal import everything

IDS = [migration.id for migration in MIGRATIONS]
TABLES = len(migrations.TABLES) - 1
"""hammerwork_kms_data_keys comes with version 3 of hammerwork (Rust)."""
Run = Callable[..., Any]


def test_run_makes_the_tables_and_says_which_migrations_it_applied(url: str, run: Run) -> None:
    first = run("migration", "run", "--format", "json", url=url)
    assert (first.exit_code, first.stderr) == (0, "")
    assert [row["id"] for row in first.json] == IDS
    assert {row["state"] for row in first.json} == {"applied"}
    second = run("migration", "run", "--format", "json", url=url)
    assert (second.exit_code, second.json) == (0, [])


def test_a_run_with_nothing_to_do_says_so_and_prints_nothing(migrated_url: str, run: Run) -> None:
    done = run("migration", "run", url=migrated_url)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "Nothing to do" in done.stderr


def test_a_check_of_the_status_exits_with_1_unless_every_migration_is_applied(migrated_url: str, run: Run) -> None:
    assert run("migration", "status", "--check", url=migrated_url).exit_code == 0
    with contextlib.closing(connect(migrated_url)) as database:
        database.script("DELETE FROM hammerwork_migrations WHERE migration_id = '016_recent_jobs_index'")
    assert run("migration", "status", url=migrated_url).exit_code == 0
    done = run("migration", "status", "--check", "--format", "json", url=migrated_url)
    assert done.exit_code == 1
    assert [row["id"] for row in done.json if not row["applied"]] == ["016_recent_jobs_index"]


def test_status_names_what_is_missing_of_a_recorded_migration(migrated_url: str, run: Run) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        database.script("DROP TABLE hammerwork_watches")
    done = run("migration", "status", "--check", url=migrated_url)
    assert done.exit_code == 1
    assert "025_watches is recorded, but this is missing: table hammerwork_watches." in done.stderr
    row = next(row for row in run("migration", "status", "--format", "json", url=migrated_url).json if row["missing"])
    assert (row["state"], row["applied"], row["missing"]) == ("incomplete", False, ["table hammerwork_watches"])
    checks = run("monitor", "health", "--format", "json", url=migrated_url).json["checks"]
    (check,) = [one for one in checks if one["check"] == "migrations"]
    assert check["status"] == "critical"
    assert check["message"] == "missing: 025_watches (table hammerwork_watches)"
    assert [row["id"] for row in run("migration", "run", "--format", "json", url=migrated_url).json] == ["025_watches"]
    assert run("migration", "status", "--check", url=migrated_url).exit_code == 0


def test_status_shows_every_migration_and_its_program(migrated_url: str, run: Run) -> None:
    rows = run("migration", "status", "--format", "json", url=migrated_url).json
    assert [row["id"] for row in rows] == IDS
    assert [row["owner"] for row in rows] == ["upstream"] * 14 + ["ours"] * (len(IDS) - 14)
    assert all(row["applied"] and row["executed_at"].endswith("Z") for row in rows)
    table = run("migration", "status", url=migrated_url).stdout.splitlines()
    assert table[0].split()[:4] == ["migration", "state", "defined", "by"]
    assert table[15].split()[:3] == ["015_spawn_indexes", "applied", "hammerwork-cli"]


def test_a_plan_begins_with_what_it_does_to_the_tables_and_status_names_the_next_step(
    shared_restored: Callable[[str], str], run: Run
) -> None:
    lines = run("migration", "plan", url=shared_restored("media.mariadb")).stdout.splitlines()
    assert re.fullmatch(r"-- \d+ migrations, \d+ statements\. Next: hammerwork migration run", lines[0])
    assert re.match(r"-- Makes \d+ tables", lines[1])
    jobs = "hammerwork_jobs, hammerwork_jobs_archive"
    assert lines[2] == f"-- May block writers while it alters or indexes 2 tables: {jobs}"
    assert lines[3:5] == ["", "-- 015_spawn_indexes: Indexes that find children and spawning parents"]
    plan = run("migration", "plan", url=shared_restored("media.postgresql")).stdout
    assert f"-- Without blocking writers, indexes 2 tables: {jobs}\n" in plan
    assert f"-- May block writers while it alters or indexes 2 tables: {jobs}\n" in plan
    done = run("migration", "status", url=shared_restored("media.mariadb"))
    assert re.match(r"\d+ pending\. Next: hammerwork migration run", done.stderr)


@pytest.mark.parametrize("verb", ["status", "plan"])
def test_every_format_can_be_read(url: str, run: Run, verb: str) -> None:
    run("migration", "run", url=url) if verb == "status" else run("migration", "run", "--dry-run", url=url)
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///").replace("%20", " ").replace("%C3%A9", "é")).touch()
    as_json = run("migration", verb, "--format", "json", url=url).json
    lines = run("migration", verb, "--format", "jsonl", url=url).stdout.splitlines()
    assert [json.loads(line) for line in lines] == as_json
    for form, separator in (("csv", ","), ("tsv", "\t")):
        text = run("migration", verb, "--format", form, url=url).stdout
        rows = list(csv.DictReader(io.StringIO(text), delimiter=separator))
        assert [row["id"] for row in rows] == IDS
        assert list(rows[0]) == list(as_json[0])


def test_status_of_an_empty_database_is_that_all_is_pending(postgres_url: str, mysql_url: str, run: Run) -> None:
    for url in (postgres_url, mysql_url):
        rows = run("migration", "status", "--format", "json", url=url).json
        assert {row["state"] for row in rows} == {"pending"}
        assert {(row["applied"], row["executed_at"], row["execution_time_ms"]) for row in rows} == {(False, None, None)}


def test_plan_prints_sql_and_changes_nothing(postgres_url: str, run: Run) -> None:
    plan = run("migration", "plan", url=postgres_url).stdout
    assert re.match(rf"-- {len(IDS)} migrations, \d+ statements\. ", plan)
    assert "\n\n-- 001_initial_schema: " in plan
    assert "CREATE TABLE hammerwork_jobs (" in plan
    assert "-- 015_spawn_indexes: " in plan
    assert run("migration", "run", "--dry-run", url=postgres_url).stdout == plan
    assert run("migration", "plan", url=postgres_url).stdout == plan


@pytest.mark.mysql
def test_the_plan_for_a_stuck_database_holds_only_what_is_missing(restored: Callable[[str], str], run: Run) -> None:
    plan = run("migration", "plan", "--format", "json", url=restored("stuck-at-010.mariadb")).json
    assert [row["id"] for row in plan] == IDS[9:]
    statements = plan[0]["statements"]
    assert len(statements) == 2
    assert all(statement.startswith("ALTER TABLE hammerwork_jobs\n") for statement in statements)


def test_an_sqlite_file_that_is_missing_is_not_made_by_looking(sqlite_url: str, run: Run) -> None:
    for verb in ("status", "plan"):
        done = run("migration", verb, url=sqlite_url)
        assert done.exit_code == 4
        assert "hammerwork migration run" in done.stderr
    assert run("migration", "run", url=sqlite_url).exit_code == 0


# --drop.


def test_drop_without_consent_tells_what_would_go_and_changes_nothing(migrated_url: str, hammerwork: Run) -> None:
    refused = hammerwork("migration", "run", "--drop", url=migrated_url)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "hammerwork_jobs: 0 rows" in refused.stderr
    assert f"hammerwork_migrations: {len(IDS)} rows" in refused.stderr
    assert "--yes" in refused.stderr
    as_json = hammerwork("migration", "run", "--drop", "--format", "json", url=migrated_url)
    assert (as_json.exit_code, as_json.stdout) == (2, "")
    assert hammerwork("migration", "run", "--format", "json", url=migrated_url).json == []


def test_drop_with_consent_makes_all_tables_anew(migrated_url: str, run: Run) -> None:
    done = run("migration", "run", "--drop", "--yes", "--format", "json", url=migrated_url)
    assert done.exit_code == 0
    assert [row["id"] for row in done.json] == IDS


def test_drop_on_an_empty_database_needs_no_consent(url: str, hammerwork: Run) -> None:
    assert hammerwork("migration", "run", "--drop", url=url).exit_code == 0
    assert hammerwork("migration", "run", "--drop", "--yes", url=url).exit_code == 0


def test_a_dry_run_of_drop_lists_the_tables(migrated_url: str, run: Run) -> None:
    rows = run("migration", "run", "--drop", "--dry-run", "--format", "json", url=migrated_url).json
    assert {row["table"]: row["rows"] for row in rows}["hammerwork_migrations"] == len(IDS)
    assert len(rows) == TABLES
    assert run("migration", "run", "--format", "json", url=migrated_url).json == []


@pytest.mark.parametrize(("answer", "exit_code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_terminal_is_asked(
    new_database: Callable[..., str], clean_environment: dict[str, str], answer: str, exit_code: int
) -> None:
    url = new_database("sqlite", migrated=True)
    ours, theirs = pty.openpty()
    environment = {**clean_environment, "HAMMERWORK_DATABASE_URL": url}
    asked = begin(["migration", "run", "--drop"], environment, Path.cwd(), streams={0: theirs, 2: theirs})
    os.close(theirs)
    os.write(ours, answer.encode())
    out = asked.communicate(timeout=30)[0]
    shown = everything(ours)
    assert asked.returncode == exit_code
    assert f"Remove these {TABLES} tables and 0 jobs for good? [y/N]" in shown
    assert ("015_spawn_indexes" in out) == (exit_code == 0)


def test_progress_is_drawn_on_a_terminal_and_leaves_nothing_behind(
    sqlite_url: str, clean_environment: dict[str, str]
) -> None:
    ours, theirs = pty.openpty()
    environment = {
        **clean_environment,
        "HAMMERWORK_DATABASE_URL": sqlite_url,
        "TERM": "xterm",
        "COLUMNS": "200",
    }
    with begin(["migration", "run"], environment, Path.cwd(), streams=dict.fromkeys((0, 1, 2), theirs)) as done:
        os.close(theirs)
        shown = everything(ours)
        assert done.wait(60) == 0
    assert "\x1b[2K" in shown
    assert "015_spawn_indexes" in shown


@pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
)
def test_a_run_says_that_it_waits_for_another_one(url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    other, notes = connect(url), []
    if other.dialect == "postgresql":
        other.script("BEGIN")
    assert other.plain_rows("migration.lock")[0][0]

    def note(_context: Context, text: str) -> None:
        notes.append(text)
        other.close()

    monkeypatch.setattr(Context, "note", note)
    monkeypatch.setattr(migrations, "TELL_SECONDS", 0)
    assert run("migration", "run", url=url).exit_code == 0
    assert notes == ["Another migration run is in progress. Waiting for it to end, for ten minutes at most."]


def test_a_folder_that_is_not_there_is_not_made(run: Run, tmp_path: Path) -> None:
    done = run("migration", "run", url=f"sqlite:///{tmp_path}/nope/foo.db")
    assert (done.exit_code, done.stdout) == (4, "")
    assert f"The folder {tmp_path}/nope does not exist." in done.stderr
    assert not (tmp_path / "nope").exists()


# Version 3 of hammerwork (Rust).

THEIRS = [migration.id for migration in RUST_3]


@pytest.mark.parametrize("dump", [pytest.param(f"media.{name}", id=name) for name in ("postgresql", "mariadb")])
def test_rust_3_shows_plans_and_applies_what_that_version_has_besides(
    restored: Callable[[str], str], run: Run, dump: str
) -> None:
    url = restored(dump)
    lacks = f"The tables suit hammerwork (Rust) 1.15.5. Version 3 lacks {', '.join(THEIRS)}"
    assert lacks in everything_noted(run("migration", "status", url=url))
    assert run("migration", "status", "--rust", "3", "--check", url=url).exit_code == 1
    assert run("migration", "run", url=url).exit_code == 0
    assert run("migration", "status", "--check", url=url).exit_code == 0
    assert run("migration", "status", "--rust", "3", "--check", url=url).exit_code == 1
    assert lacks in everything_noted(run("migration", "plan", "--rust", "3", url=url))
    planned = run("migration", "plan", "--rust", "3", "--format", "json", url=url).json
    assert [(row["id"], row["owner"], row["rust"]) for row in planned] == [(name, "upstream", "3") for name in THEIRS]
    text = run("migration", "run", "--rust", "3", "--dry-run", url=url).stdout
    assert all(statement in text for row in planned for statement in row["statements"])
    assert [row["id"] for row in run("migration", "run", "--rust", "3", "--format", "json", url=url).json] == THEIRS
    done = run("migration", "status", "--check", url=url)
    assert done.exit_code == 0
    assert "The tables suit hammerwork (Rust) 3." in everything_noted(done)
    assert ("does not run on MariaDB" in everything_noted(done)) == run_on_mariadb(url)
    rows = [line.split() for line in done.stdout.splitlines() if line.split()[0] in THEIRS]
    assert [row[1:4] for row in rows] == [["applied", "hammerwork", "(Rust)"]] * 4


def everything_noted(done: Any) -> str:
    """The notes without line breaks."""
    return " ".join(done.stderr.split())


def run_on_mariadb(url: str) -> bool:
    with contextlib.closing(connect(url)) as database:
        return bool(getattr(database, "is_mariadb", False))


def test_rust_3_is_refused_on_sqlite(sqlite_url: str, run: Run) -> None:
    assert run("migration", "run", url=sqlite_url).exit_code == 0
    for verb in ("run", "plan", "status"):
        done = run("migration", verb, "--rust", "3", url=sqlite_url)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "hammerwork (Rust) does not use SQLite." in done.stderr
    assert run("migration", "run", "--rust", "4", url=sqlite_url).exit_code == 2


@pytest.fixture
def with_text(new_database: Callable[..., str]) -> str:
    """A database of an earlier version of this program, which version 3 has migrated; three jobs have strategies."""
    url = new_database("postgres", migrated=True)
    with contextlib.closing(connect(url)) as database:
        database.script("ALTER TABLE hammerwork_jobs ALTER COLUMN retry_strategy TYPE TEXT")
        database.script("DELETE FROM hammerwork_migrations WHERE migration_id = 'hw_033_retry_strategy_json'")
        Migrator(database).run()
        for number, strategy in enumerate(["'{}'", "'\x1b[31mfast'", *["NULL"] * 20]):
            database.script(
                "INSERT INTO hammerwork_jobs"
                " (id, queue_name, payload, status, created_at, scheduled_at, retry_strategy)"
                f" VALUES ('00000000-0000-4000-8000-{number:012}', 'q', '{{}}', 'Pending', now(), now(), {strategy})"
            )
    return url


@pytest.mark.postgres
def test_status_warns_of_strategies_that_version_3_cannot_read_until_a_run_has_changed_them(
    with_text: str, run: Run
) -> None:
    status = run("migration", "status", url=with_text)
    assert "cannot read its column retry_strategy, which is TEXT" in everything_noted(status)
    assert "Version 3 lacks hw_033_retry_strategy_json" in everything_noted(status)
    found = run("migration", "status", "--format", "json", url=with_text).json
    assert [row["id"] for row in found if row["warnings"]] == ["hw_033_retry_strategy_json"]
    plan = run("migration", "plan", url=with_text)
    line = "-- Locks hammerwork_jobs, even for readers, until it has read the table and rewritten 2 of its 22 rows\n"
    assert line in plan.stdout
    assert "cannot read its column" in everything_noted(plan)
    (row,) = run("migration", "plan", "--format", "json", url=with_text).json
    assert row["rewrites"] == [{"table": "hammerwork_jobs", "rows": 22, "written": 2, "readers_wait": True}]
    done = run("migration", "run", url=with_text)
    assert "The retry strategy of job 00000000-0000-4000-8000-000000000001 was no JSON object" in everything_noted(done)
    assert "\x1b" not in done.stderr
    assert "cannot read" not in done.stderr
    assert "The tables suit hammerwork (Rust) 3." in everything_noted(run("migration", "status", url=with_text))


@pytest.mark.postgres
def test_a_run_says_in_json_which_strategies_it_had_to_change(with_text: str, run: Run) -> None:
    (row,) = run("migration", "run", "--format", "json", url=with_text).json
    assert row["id"] == "hw_033_retry_strategy_json"
    assert [text.partition(" was ")[0] for text in row["warnings"]] == [
        "The retry strategy of job 00000000-0000-4000-8000-000000000001"
    ]


def rebuilt(database: Database) -> int:
    """The number of the table's files, which is another one once the server has written all rows anew."""
    tables = "INNODB_SYS_TABLES" if getattr(database, "is_mariadb", False) else "INNODB_TABLES"
    name = "CONCAT(DATABASE(), '/hammerwork_jobs')"
    return int(database.query(f"SELECT SPACE FROM information_schema.{tables} WHERE NAME = {name}")[0][0])


@pytest.mark.mysql
@pytest.mark.parametrize(("last", "most"), [("014_add_queue_pause", 0), ("018_claims", 1)], ids=["of Rust", "of 0.2"])
def test_an_upgrade_rebuilds_the_jobs_once_at_most_and_says_so_before(
    mysql_url: str, run: Run, monkeypatch: pytest.MonkeyPatch, last: str, most: int
) -> None:
    with contextlib.closing(connect(mysql_url)) as database:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[: IDS.index(last) + 1])
            migrations.run(database)
        Rows(database).job()
        found, send = [rebuilt(database)], _Turn.send

        def watched(turn: _Turn, of: Database, step: MigrationStep, sql: str) -> None:
            send(turn, of, step, sql)
            found.append(rebuilt(of))

        monkeypatch.setattr(_Turn, "send", watched)
        plan = run("migration", "run", "--dry-run", "--format", "json", url=mysql_url).json
        text = run("migration", "run", "--dry-run", url=mysql_url).stdout
        notes: list[str] = []
        monkeypatch.setattr(stalls, "PATIENCE_SECONDS", 0.2)
        with contextlib.closing(connect(mysql_url)) as holder:
            holder.script("LOCK TABLES hammerwork_jobs READ")

            def note(_: Context, text: str) -> None:
                notes.append(text)
                if "running one statement" in text and "unless it waits for a lock" in text:
                    holder.script("UNLOCK TABLES")

            monkeypatch.setattr(Context, "note", note)
            assert run("migration", "run", url=mysql_url).exit_code == 0
        times = sum(before != after for before, after in pairwise(found))
        planned = [rewrite for row in plan for rewrite in row["rewrites"]]
        if not getattr(database, "is_mariadb", False):
            assert (times, planned) == (0, [])
            return
    assert times == most
    assert planned == [{"table": "hammerwork_jobs", "rows": 1, "written": 1, "readers_wait": False}] * most
    line = "Rebuilds hammerwork_jobs: writers wait until 019_attempts has rewritten all of its 1 row"
    assert (f"-- {line}\n" in text) == (f"{line}." in notes) == bool(most)
    what = line if most else "Alters or indexes a table for 015_spawn_indexes"
    assert any(f"{what}, unless it waits for a lock of another session." in text for text in notes)
