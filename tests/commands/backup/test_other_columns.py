"""Columns that this version does not know, as the next version of hammerwork (Rust) may add them to any table."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.archive.models.rows import Archival, ArchivalReason
from hammerwork_cli.features.archive.queries.moving import Archive
from hammerwork_cli.features.backup.models.tables import LEASES, ONLY_COPIED, TABLES
from hammerwork_cli.features.job.models.job import JobFilter
from tests.commands.test_profiles import CHANGES
from tests.conftest import DIALECTS, Outcome, all_databases, one_case_on_servers
from tests.jobs import CLOCK, execute, identity, job, write
from tests.rows import START
from tests.whole_tree import ROOT, fill

Run = Callable[..., Outcome]
IN_FILES = [word for word in TABLES if word not in ONLY_COPIED]
Stored = dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]
"""Word of a table -> key -> the values of its other columns."""

PORTABLE = {
    "postgresql": {
        "Order": ("TEXT", "'é🎬 \"''\\\n'"),
        "new_uuid": ("UUID", f"'{identity(7)}'"),
        "new_short": ("VARCHAR(20)", "'  padded '"),
        "new_number": ("BIGINT", "-9007199254740993"),
        "new_flag": ("BOOLEAN NOT NULL DEFAULT TRUE", "FALSE"),
        "new_time": ("TIMESTAMPTZ", "'2026-02-03 04:05:06.123457+00'"),
        "new_json": ("JSONB", '\'{"a": [1, 2.5, null, "é"], "b": {"": true}}\''),
        "new_null": ("JSONB", "'null'"),
        "new_text": ("JSONB", "'\"text\"'"),
        "new_bytes": ("BYTEA", r"'\x00ff2761'"),
        "new_ids": ("UUID[]", f"ARRAY['{identity(1)}','{identity(2)}']::uuid[]"),
        "new_texts": ("TEXT[]", "ARRAY['a,b', '\"é\"', '']"),
    },
    "mysql": {
        "Order": ("TEXT", "'é🎬 \"''\\\\\n'"),
        "new_uuid": ("CHAR(36)", f"'{identity(7)}'"),
        "new_short": ("VARCHAR(20)", "'  padded '"),
        "new_number": ("BIGINT", "-9007199254740993"),
        "new_flag": ("BOOLEAN NOT NULL DEFAULT TRUE", "FALSE"),
        "new_time": ("TIMESTAMP(6) NULL", "'2026-02-03 04:05:06.123457'"),
        "new_bytes": ("LONGBLOB", "x'00ff2761'"),
    },
    "sqlite": {
        "Order": ("TEXT", "'é🎬 \"''\\\n'"),
        "new_number": ("INTEGER", "-9007199254740993"),
        "new_bytes": ("BLOB", "x'00ff2761'"),
    },
}
"""Kind of database -> columns of types that other kinds have too: their types and values."""
OWN = {
    "postgresql": {
        "new_json_text": ("JSON", '\'{"b":1,"a":  1.50}\''),
        "new_small": ("SMALLINT", "-7"),
        "new_long": ("INTEGER NOT NULL DEFAULT 5", "6"),
        "new_padded": ("CHAR(5)", "'ab'"),
        "new_seconds": ("TIMESTAMPTZ(3)", "'2026-02-03 04:05:06.123+00'"),
        "new_local": ("TIMESTAMP", "'2026-02-03 04:05:06.123457'"),
        "new_date": ("DATE", "'0044-03-15 BC'"),
        "new_clock": ("TIME", "'23:59:59.999999'"),
        "new_interval": ("INTERVAL", "'1 month 3 days 00:00:01.5'"),
        "new_double": ("DOUBLE PRECISION", "0.1::float8 + 0.2"),
        "new_nan": ("DOUBLE PRECISION", "'NaN'"),
        "new_real": ("REAL", "0.1"),
        "new_numeric": ("NUMERIC(40,20)", "12345678901234567890.12345678901234567891"),
        "new_network": ("INET", "'10.1.0.0/16'"),
        "new_mood": ("mood", "'sad'"),
        "new_range": ("INT4RANGE", "'[1,5)'"),
        "new_bits": ("BIT(5)", "B'10110'"),
        "new_numbers": ("INTEGER[]", "'{{1,2},{3,NULL}}'"),
        "new_words": ("TSVECTOR", "'a:1 cat:2'"),
        "new_counter": ("BIGINT GENERATED ALWAYS AS IDENTITY", None),
        "new_derived": ("TEXT GENERATED ALWAYS AS ('x') STORED", None),
    },
    "mysql": {
        "new_long": ("INT NOT NULL DEFAULT 5", "6"),
        "new_unsigned": ("BIGINT UNSIGNED", "9007199254740993"),
        "new_large": ("LONGTEXT", "REPEAT('é', 70000)"),
        "new_local": ("DATETIME(3)", "'2026-02-03 04:05:06.123'"),
        "new_whole": ("DATETIME", "'9999-12-31 23:59:59'"),
        "new_date": ("DATE", "'1000-01-01'"),
        "new_clock": ("TIME(6)", "'-123:59:59.999999'"),
        "new_year": ("YEAR", "2026"),
        "new_double": ("DOUBLE", "0.1e0 + 0.2e0"),
        "new_float": ("FLOAT", "0.1"),
        "new_precise": ("FLOAT", "16777217.25"),
        "new_decimal": ("DECIMAL(40,20)", "12345678901234567890.12345678901234567891"),
        "new_mood": ("ENUM('sad','it''s')", "'it''s'"),
        "new_set": ("SET('a','b','c')", "'a,c'"),
        "new_hash": ("BINARY(4)", "x'00ff0000'"),
        "new_derived": ("INT GENERATED ALWAYS AS (7) VIRTUAL", None),
    },
    "sqlite": {
        "new_real": ("REAL", "0.1 + 0.2"),
        "new_long": ("INTEGER NOT NULL DEFAULT 5", "6"),
        "new_derived": ("INTEGER GENERATED ALWAYS AS (7) VIRTUAL", None),
    },
}
"""The same, of types that only this kind has, or whose values are carried to this kind alone."""


def named(database: Database, column: str) -> str:
    return f"`{column}`" if database.dialect == "mysql" else f'"{column}"'


def add_columns(url: str, *, own: bool = True, tables: Iterable[str] = IN_FILES, only: str = "") -> None:
    """Adds columns to tables, and fills them in every second row."""
    make_columns(url, own=own, tables=tables, only=only)
    fill_columns(url, own=own, tables=tables, only=only)


def make_columns(url: str, *, own: bool, tables: Iterable[str] = IN_FILES, only: str = "") -> None:
    with contextlib.closing(connect(url)) as database:
        if (
            database.dialect == "postgresql"
            and own
            and not database.query("SELECT 1 FROM pg_type WHERE typname = 'mood'")
        ):
            database.script("CREATE TYPE mood AS ENUM ('sad', 'glad')")
        mine = columns_of(database, own=own, only=only)
        added = [f"ADD COLUMN {named(database, name)} {kind}" for name, (kind, _) in mine.items()]
        for word in tables:
            for part in added if database.dialect == "sqlite" else [", ".join(added)] if added else []:
                database.script(f"ALTER TABLE {TABLES[word].name} {part}")


def fill_columns(url: str, *, own: bool, tables: Iterable[str] = IN_FILES, only: str = "") -> None:
    with contextlib.closing(connect(url)) as database:
        mine = columns_of(database, own=own, only=only)
        values = [f"{named(database, name)} = {value}" for name, (_, value) in mine.items() if value is not None]
        for word in tables if values else ():
            table, key = TABLES[word].name, TABLES[word].key[0]
            half = f"WHERE {key} >= (SELECT k FROM (SELECT MAX(CAST({key} AS CHAR(255))) AS k FROM {table}) AS m)"
            half = half.replace(f"WHERE {key}", f"WHERE CAST({key} AS CHAR(255))")
            database.script(f"UPDATE {table} SET {', '.join(values)} {half}")


def columns_of(database: Database, *, own: bool, only: str) -> dict[str, tuple[str, str | None]]:
    columns = PORTABLE[database.dialect] | (OWN[database.dialect] if own else {})
    return {name: column for name, column in columns.items() if only in ("", name)}


def with_every_column(url: str) -> None:
    """A change of databases, which are lent again with it."""
    make_columns(url, own=True)


def with_portable_columns(url: str) -> None:
    """A change of databases, which are lent again with it."""
    make_columns(url, own=False)


def stored(url: str, words: Iterable[str] = IN_FILES) -> Stored:
    """What the other columns of some tables hold, by SQL alone."""
    found: Stored = {}
    with contextlib.closing(connect(url)) as database:
        for word in words:
            table = TABLES[word]
            mine = sorted(name for name in database.schema[table.name] if name.startswith(("Order", "new_", "odd")))
            names = [named(database, name) for name in (*table.key, *mine)]
            if database.dialect == "postgresql":
                names = [f"CAST({name} AS text)" for name in names]
            rows = database.query(f"SELECT {', '.join(names)} FROM {table.name}")
            size = len(table.key)
            found[word] = {tuple(map(str, row[:size])): tuple(row[size:]) for row in rows}
    return found


def is_filled(found: Stored, word: str) -> bool:
    """Whether a table has a row with every value, and one of which some are missing."""
    return any(None not in values for values in found[word].values())


@pytest.fixture
def filled(migrated_url: str) -> str:
    """A database with a row in every table."""
    return with_rows(migrated_url)


def with_rows(url: str) -> str:
    fill(url)
    with contextlib.closing(connect(url)) as database:
        database.script(f"INSERT INTO hammerwork_spawn_roots (root_id, descendants) VALUES ('{ROOT}', 3)")
        database.script(
            "INSERT INTO hammerwork_queue_pause (queue_name, paused_at, created_at, updated_at)"
            " VALUES ('mail', '2026-01-01', '2026-01-01', '2026-01-01')"
        )
    return url


def dialect_of(url: str) -> str:
    return url.partition(":")[0]


def another(new_database: Callable[..., str], url: str) -> str:
    """A database of the same kind."""
    return new_database({"postgresql": "postgres"}.get(dialect_of(url), dialect_of(url)), migrated=True)


def done(outcome: Outcome) -> Outcome:
    assert outcome.exit_code == 0, outcome.stderr
    return outcome


# Verbs that move rows: each returns a database in which the rows are afterwards.


def backed_up(run: Run, url: str, new: str, path: Path, *options: str) -> Outcome:
    done(run("backup", "create", "-o", str(path), url=url, env=CLOCK))
    done(run("backup", "verify", str(path)))
    return run("backup", "restore", "-i", str(path), "--yes", *options, url=new, env=CLOCK)


def copied(run: Run, url: str, new: str, path: Path, *options: str) -> Outcome:
    return run("backup", "copy", "--to", new, "--yes", "--force", *options, url=url, env=CLOCK)


def imported(run: Run, url: str, new: str, path: Path, *options: str) -> Outcome:
    done(run("job", "export", ROOT, "--tree", "-o", str(path), url=url, env=CLOCK))
    return run("job", "import", str(path), *options, url=new, env=CLOCK)


VERBS = {"backup restore": backed_up, "backup copy": copied, "job import": imported}
"""Verbs that write rows into another database. ``archive run`` and ``restore`` move them within one."""
WITHIN = {"archive run", "archive restore"}


def test_every_verb_that_moves_rows_is_tried_here() -> None:
    assert VERBS.keys() | WITHIN <= CHANGES.keys()
    package = Path(__file__).parents[3] / "hammerwork_cli"
    writers = {
        path.stem
        for path in (package / "features").rglob("queries/*.py")
        if "backup.queries.rows import" in (text := path.read_text()) and re.search(r"\.insert\(", text)
    }
    assert writers == {"restoring", "importing", "moving"}, "let VERBS or WITHIN have the new verb, too"
    for path in (package / "features").rglob("*.sql"):
        for statement in path.read_text().split("-- name: "):
            copies = re.search(r"INSERT INTO hammerwork_(jobs|batches|workflows)\w*[\s\S]*\bSELECT\b", statement)
            assert not copies, f"{path.name} copies rows by the names of columns: let backup/queries/rows.py do it"


@one_case_on_servers
@pytest.mark.parametrize("verb", VERBS)
@all_databases
def test_every_value_of_every_type_arrives(
    run: Run, dialect: str, new_database: Callable[..., str], tmp_path: Path, verb: str
) -> None:
    filled, new = (new_database(dialect, migrated=True, change=with_every_column) for _ in range(2))
    with_rows(filled)
    fill_columns(filled, own=True)
    before = stored(filled)
    assert all(is_filled(before, word) for word in before), before
    done(VERBS[verb](run, filled, new, tmp_path / "file"))
    after = stored(new)
    for word, rows in before.items():
        if verb == "job import":  # it takes a tree, with what belongs to its jobs
            rows = {key: values for key, values in rows.items() if key in after[word]}
        assert after[word] == rows, word
    assert is_filled(after, "jobs" if verb != "job import" else "archive")


@pytest.mark.parametrize("tables", [("jobs", "archive"), ("jobs",)], ids=["archive_has_them", "archive_lacks_them"])
@all_databases
def test_an_archived_job_comes_back_with_every_value(run: Run, migrated_url: str, tables: tuple[str, ...]) -> None:
    write(migrated_url, *(job(number, JobStatus.COMPLETED) for number in (1, 2)))
    add_columns(migrated_url, tables=tables)
    before = stored(migrated_url)
    assert is_filled(before, "jobs")
    done(run("archive", "run", "--older-than", "0s", "--yes", url=migrated_url))
    with contextlib.closing(connect(migrated_url)) as database:
        [(held,)] = database.query("SELECT COUNT(other_columns) FROM hammerwork_jobs_archive")
    assert held == (0 if "archive" in tables else 2)  # NULL is a value, too
    moved = stored(migrated_url)
    assert not moved["jobs"]
    if "archive" in tables:
        assert moved["archive"] == before["jobs"]
    for number in (1, 2):
        done(run("archive", "restore", identity(number), "--as-was", url=migrated_url))
    assert stored(migrated_url) == before


@one_case_on_servers
@pytest.mark.parametrize("verb", VERBS)
@all_databases
def test_a_column_that_the_target_lacks_is_refused_by_name_or_left_out_on_request(
    run: Run, filled: str, new_database: Callable[..., str], tmp_path: Path, verb: str
) -> None:
    new = another(new_database, filled)
    empty = stored(new)
    add_columns(filled, own=False, only="Order")
    refused = VERBS[verb](run, filled, new, tmp_path / "file")
    assert refused.exit_code == 2
    assert (
        "has the column 'Order', which this version does not know: this database has no such column" in refused.stderr
    )
    assert stored(new) == empty
    assert "--without-column Order" in refused.stderr
    done(VERBS[verb](run, filled, new, tmp_path / "file", "--without-column", "Order"))
    assert stored(new)["jobs"]


@all_databases
def test_a_column_that_only_the_target_has_gets_its_default(
    run: Run, filled: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    new = another(new_database, filled)
    execute(new, "ALTER TABLE hammerwork_jobs ADD COLUMN new_long INTEGER NOT NULL DEFAULT 5")
    done(backed_up(run, filled, new, tmp_path / "file"))
    assert {str(value) for (value,) in stored(new)["jobs"].values()} == {"5"}


@pytest.mark.parametrize("pair", [(one, other) for one in DIALECTS for other in DIALECTS if one != other], ids="-".join)
def test_a_copy_to_another_kind_is_exact_or_names_the_column(
    run: Run, new_database: Callable[..., str], tmp_path: Path, pair: tuple[str, str], request: pytest.FixtureRequest
) -> None:
    source, target = (new_database(one, migrated=True, change=with_portable_columns) for one in pair)
    fill(source)
    fill_columns(source, own=False)
    kinds = PORTABLE[dialect_of(source)].keys(), PORTABLE[dialect_of(target)].keys()
    missing = sorted(kinds[0] - kinds[1])
    for name in missing[:1]:
        refused = copied(run, source, target, tmp_path / "file")
        assert refused.exit_code == 2
        assert re.search("has the column '(" + "|".join(missing) + ")'", refused.stderr), name
        assert not stored(target)["jobs"]
    left_out = [word for name in missing for word in ("--without-column", name)]
    outcome = done(copied(run, source, target, tmp_path / "file", *left_out, "--format", "json"))
    assert outcome.json["equal"] is True
    with contextlib.closing(connect(target)) as database:
        column = named(database, "Order")
        database.script(f"UPDATE hammerwork_jobs SET {column} = 'changed' WHERE {column} IS NOT NULL")
    differs = run("backup", "copy", "--to", target, "--verify-only", *left_out, "--format", "json", url=source)
    assert (differs.exit_code, differs.json["different"]) == (1, {"jobs": 1})
    assert differs.json["columns"] == {"jobs": ["Order"]}


REFUSED = [
    ("DATE", "'2026-01-01'", "VARCHAR(20)", "cannot hold it"),
    ("NUMERIC(9,2)", "1.50", "NUMERIC(8,2)", "cannot hold it"),
    ("VARCHAR(20)", "'hello'", "VARCHAR(3)", "has 5 characters, and this database stores 3"),
    ("TEXT", "'hello'", "INTEGER", "cannot hold it"),
    ("INTEGER", "40000", "SMALLINT", "40000 is out of the range of smallint"),
    ("VARCHAR(20)", "'hello '", "CHAR(9)", "would change its end"),
]
"""A type, a value of it, the type of the target, and why that is none for the value."""


@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
def test_a_column_of_another_type_is_refused_by_name(
    run: Run, new_database: Callable[..., str], tmp_path: Path, dialect: str
) -> None:
    old, new = (new_database(dialect, migrated=True) for _ in range(2))
    write(old, job(1))
    wrong = []
    for theirs, value, ours, why in REFUSED:
        for url, kind in ((old, theirs), (new, ours)):
            execute(url, f"ALTER TABLE hammerwork_jobs ADD COLUMN odd {kind}")
        execute(old, f"UPDATE hammerwork_jobs SET odd = {value}")
        refused = backed_up(run, old, new, tmp_path / "file")
        named = "odd" in refused.stderr and why in refused.stderr
        if (refused.exit_code, named, stored(new)["jobs"]) != (2, True, {}):
            wrong.append((theirs, ours, refused))
        for url in (old, new):
            execute(url, "ALTER TABLE hammerwork_jobs DROP COLUMN odd")
    assert wrong == []


def test_a_time_that_would_lose_its_fraction_is_refused(
    run: Run, new_database: Callable[..., str], tmp_path: Path
) -> None:
    old, new = (new_database("mysql", migrated=True) for _ in range(2))
    write(old, job(1))
    for url, kind in ((old, "DATETIME(6)"), (new, "DATETIME(3)")):
        execute(url, f"ALTER TABLE hammerwork_jobs ADD COLUMN odd {kind}")
    for value, code in (("2026-01-01 00:00:00.123456", 2), ("2026-01-01 00:00:00.123", 0)):
        execute(old, f"UPDATE hammerwork_jobs SET odd = '{value}'")
        outcome = backed_up(run, old, new, tmp_path / "file")
        assert outcome.exit_code == code, outcome.stderr
        assert ("odd: the type datetime(3) has no room for its fraction" in outcome.stderr) == (code == 2)


@pytest.mark.parametrize(
    ("dialect", "kind", "value"),
    [("mysql", "BIT(3)", "5"), ("mysql", "TINYINT(1)", "5"), ("sqlite", "ANY", "5"), ("mysql", "POINT", "POINT(1, 2)")],
)
def test_a_type_that_no_file_can_carry_is_named_before_anything_is_written(
    run: Run, new_database: Callable[..., str], tmp_path: Path, dialect: str, kind: str, value: str
) -> None:
    url = new_database(dialect, migrated=True)
    write(url, job(1, JobStatus.COMPLETED))
    execute(url, f"ALTER TABLE hammerwork_jobs ADD COLUMN odd {kind}")
    execute(url, f"UPDATE hammerwork_jobs SET odd = {value}")
    path = tmp_path / "file"
    for words in (
        ("backup", "create", "-o", str(path)),
        ("job", "export", identity(1), "--tree", "-o", str(path)),
        ("archive", "run", "--older-than", "0s", "--yes"),
    ):
        refused = run(*words, url=url)
        assert refused.exit_code == 2, refused
        assert "hammerwork_jobs has the column 'odd', which this version does not know" in refused.stderr
    assert not path.exists()
    assert len(stored(url)["jobs"]) == 1
    done(run("backup", "create", "-o", str(path), "--without-column", "odd", url=url))


def test_the_name_of_a_column_is_data(run: Run, lite_url: str, tmp_path: Path) -> None:
    write(lite_url, job(1))
    execute(lite_url, 'ALTER TABLE hammerwork_jobs ADD COLUMN "a"" FROM x; --\x1b[31m" TEXT')
    refused = run("backup", "create", "-o", str(tmp_path / "file"), url=lite_url)
    assert refused.exit_code == 2
    assert "\x1b" not in refused.stderr
    assert "cannot be carried" in refused.stderr


@pytest.mark.parametrize(
    "columns", [5, [], {"jobs": 5}, {"jobs": {"odd": {}}}, {"nothing": {}}, {"jobs": {"odd": {"kind": "x"}}}]
)
def test_a_header_that_describes_no_columns_is_refused(run: Run, sqlite_url: str, tmp_path: Path, columns: Any) -> None:
    path = tmp_path / "file"
    path.write_text(
        json.dumps({"format": "hammerwork-backup", "version": 1, "kind": "backup", "columns": columns}) + "\n"
    )
    outcome = run("backup", "verify", str(path))
    assert outcome.exit_code == 1
    assert "does not describe columns" in outcome.stdout


LEASE = {"postgresql": "TIMESTAMPTZ", "mysql": "TIMESTAMP(6) NULL", "sqlite": "TEXT"}


def add_leases(url: str) -> None:
    """Adds the columns of leases, as version 3 makes them, where no migration has."""
    with contextlib.closing(connect(url)) as database:
        for name in sorted(LEASES["jobs"] - database.schema["hammerwork_jobs"].keys()):
            database.script(f"ALTER TABLE hammerwork_jobs ADD COLUMN {name} {LEASE[database.dialect]}")


@pytest.mark.parametrize(
    ("verb", "options"),
    [("backup restore", ()), ("backup restore", ("--running", "as-was")), ("backup copy", ()), ("job import", ())],
)
def test_no_lease_and_no_claim_arrives_in_another_database(
    run: Run, filled: str, new_database: Callable[..., str], tmp_path: Path, verb: str, options: tuple[str, ...]
) -> None:
    """A worker would go on renewing the lease of a copy with its claim, which nobody runs."""
    new = another(new_database, filled)
    for url in (filled, new):
        add_leases(url)
    never = "'2038-01-19 03:14:07'"
    names = ("last_heartbeat_at", "lease_expires_at", "claim_token", "claimed_by", "claimed_at")
    worker, times = f"'{identity(9)}'", f"last_heartbeat_at = {never}, lease_expires_at = {never}, started_at = {never}"
    execute(
        filled,
        f"UPDATE hammerwork_jobs SET status = 'Running', {times}, claimed_at = {never}, claimed_by = {worker},"
        f" claim_token = {worker} WHERE id = '{ROOT}'",
    )
    done(VERBS[verb](run, filled, new, tmp_path / "file", *options))
    with contextlib.closing(connect(new)) as database:
        [row] = database.query(f"SELECT status, {', '.join(names)} FROM hammerwork_jobs WHERE id = '{ROOT}'")
    waits = verb == "backup restore" and not options
    assert row == ("Pending" if waits else "Running", *[None] * len(names))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_backup_of_the_rust_program_is_refused_in_words(
    run: Run, migrated_url: str, tmp_path: Path, version: str, indent: int | None
) -> None:
    """Their files are one JSON object (facts, section 7), of whose keys little is known."""
    path = tmp_path / "theirs.json"
    theirs = {"version": version, "created_at": "2026-10-01T00:00:00Z", "total_jobs": 1, "jobs": [{"id": identity(1)}]}
    path.write_text(json.dumps(theirs, indent=indent))
    for words in (("backup", "restore", "-i", str(path), "--yes"), ("job", "import", str(path))):
        refused = run(*words, url=migrated_url)
        assert refused.exit_code == 3
        assert (
            f"a backup of hammerwork (Rust), in its format {version}, which only that program restores"
            in refused.stderr
        )
        assert "hammerwork backup copy" in refused.stderr


@all_databases
def test_a_job_shows_what_this_version_does_not_know(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, JobStatus.COMPLETED))
    add_columns(migrated_url, tables=["jobs"])
    add_leases(migrated_url)
    beat = "'2026-02-03 04:05:06'" if "sqlite" not in migrated_url else "'2026-02-03T04:05:06.000000Z'"
    execute(
        migrated_url, f'UPDATE hammerwork_jobs SET last_heartbeat_at = {beat}, retry_strategy = \'{{"type": "x"}}\''
    )
    shown = done(run("job", "show", identity(1), "--format", "json", url=migrated_url)).json
    assert (shown["retry_strategy"], shown["last_heartbeat_at"]) == ({"type": "x"}, "2026-02-03T04:05:06.000000Z")
    assert shown["lease_expires_at"] is None
    others = shown["other_columns"]
    assert (others["new_number"], others["Order"], others["new_long"]) == (-9007199254740993, "é🎬 \"'\\\n", 6)
    if "postgresql" in migrated_url:
        assert others["new_json"] == {"a": [1, 2.5, None, "é"], "b": {"": True}}
        assert others["new_numeric"] == "12345678901234567890.12345678901234567891"
    assert "new_bytes" not in others
    [exported] = run("job", "export", url=migrated_url).stdout.splitlines()
    assert json.loads(exported)["other_columns"] == others
    [hidden] = run("job", "export", "--redact", "error", url=migrated_url).stdout.splitlines()
    assert json.loads(hidden)["other_columns"] == "[redacted]"
    lines = done(run("job", "show", identity(1), url=migrated_url)).stdout.splitlines()
    assert any(re.match(r"  new_number\s+-9007199254740993$", line) for line in lines), lines
    done(run("archive", "run", "--older-than", "0s", "--yes", url=migrated_url))
    archived = done(run("job", "show", identity(1), "--format", "json", url=migrated_url)).json
    kept = {name: value for name, value in others.items() if value is not None and name != "new_derived"}
    assert archived["other_columns"] == kept | ({"new_null": None} if "new_null" in others else {})
    assert archived["retry_strategy"] == {"type": "x"}


@all_databases
def test_a_column_that_another_program_adds_meanwhile_is_archived_too(run: Run, migrated_url: str) -> None:
    """A worker may carry out a policy with a connection that is older than the column."""
    write(migrated_url, job(1, JobStatus.COMPLETED))
    with contextlib.closing(connect(migrated_url)) as database:
        assert "new_number" not in database.schema["hammerwork_jobs"]
        add_columns(migrated_url, tables=["jobs"], only="new_number")
        change = Archive(Archival(START, ArchivalReason.AUTOMATIC, "retention"))
        assert database.transaction(lambda: change.step(database, [identity(1)], JobFilter())).changed == 1
    before = {(identity(1),): (-9007199254740993,)}
    done(run("archive", "restore", identity(1), "--as-was", url=migrated_url))
    assert {key: tuple(map(int, row)) for key, row in stored(migrated_url)["jobs"].items()} == before


def test_an_archived_value_whose_column_is_gone_is_refused_by_name(
    run: Run, migrated_url: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    write(migrated_url, job(1, JobStatus.COMPLETED))
    add_columns(migrated_url, tables=["jobs"], only="new_number")
    done(run("archive", "run", "--older-than", "0s", "--yes", url=migrated_url))
    new, path = another(new_database, migrated_url), tmp_path / "tree"
    done(run("job", "export", identity(1), "--tree", "-o", str(path), url=migrated_url))
    execute(migrated_url, "ALTER TABLE hammerwork_jobs DROP COLUMN new_number")
    for url, words in (
        (migrated_url, ("archive", "restore", identity(1), "--as-was")),
        (new, ("job", "import", str(path), "--as", "pending")),
    ):
        refused = run(*words, url=url)
        assert refused.exit_code == 2
        assert "a value for the column 'new_number', which hammerwork_jobs lacks" in refused.stderr
        assert not stored(url)["jobs"]
        done(run(*words, "--without-column", "new_number", url=url))
        assert stored(url)["jobs"].keys() == {(identity(1),)}


@all_databases
def test_a_table_that_this_version_does_not_know_is_named(run: Run, migrated_url: str, tmp_path: Path) -> None:
    for name in ("hammerwork_empty", "hammerwork_news"):
        execute(migrated_url, f"CREATE TABLE {name} (id INTEGER)")
    execute(migrated_url, "INSERT INTO hammerwork_news VALUES (1), (2)")
    made = done(run("backup", "create", "-o", str(tmp_path / "file"), url=migrated_url))
    assert "hammerwork_news, which this version does not know, is left out: 2 rows." in made.stderr
    assert "hammerwork_empty" not in made.stderr


def test_a_column_that_cannot_be_left_out_is_refused(run: Run, lite_url: str, tmp_path: Path) -> None:
    write(lite_url, job(1, JobStatus.COMPLETED))
    path = str(tmp_path / "file")
    done(run("backup", "create", "-o", path, url=lite_url))
    done(run("archive", "run", "--older-than", "0s", "--yes", url=lite_url))
    for name in ("payload", "misspelt"):
        for words in (
            ("backup", "create", "-o", str(tmp_path / "other")),
            ("backup", "restore", "-i", path, "--yes"),
            ("job", "export", identity(1), "--tree", "-o", str(tmp_path / "other")),
            ("archive", "restore", identity(1), "--as-was"),
        )[: 4 if name == "payload" else 3]:
            refused = run(*words, "--without-column", name, url=lite_url)
            assert refused.exit_code == 2, words
            assert name in refused.stderr
    assert not (tmp_path / "other").exists()
    assert "needs --tree" in run("job", "export", "--without-column", "x", url=lite_url).stderr


@pytest.mark.parametrize("verb", ["backup restore", "job import"])
def test_a_spawn_request_that_a_worker_had_is_open_again_elsewhere(
    run: Run, new_database: Callable[..., str], tmp_path: Path, verb: str
) -> None:
    url, new = (new_database("sqlite", migrated=True) for _ in range(2))
    fill(url)
    claim = f"claim_token = '{identity(8)}', claimed_by = '{identity(9)}'"
    execute(url, f"UPDATE hammerwork_spawn_requests SET state = 'running', {claim}")
    done(VERBS[verb](run, url, new, tmp_path / "file"))
    with contextlib.closing(connect(new)) as database:
        found = database.query("SELECT state, claim_token, claimed_by FROM hammerwork_spawn_requests")
    assert found == [("pending", None, None)]


@pytest.mark.parametrize(("kind", "code"), [("text", 0), ("number", 2)])
def test_a_later_version_knows_what_an_earlier_one_did_not(
    run: Run, new_database: Callable[..., str], tmp_path: Path, kind: str, code: int
) -> None:
    """The file describes a column that this version knows, as an earlier version would."""
    url, new = (new_database("sqlite", migrated=True) for _ in range(2))
    write(url, job(1, trace_id="t é"))
    path = tmp_path / "file"
    done(run("backup", "create", "-o", str(path), url=url))
    header, *records = path.read_text().splitlines(keepends=True)[:-1]
    described = json.dumps({**json.loads(header), "columns": {"jobs": {"trace_id": {"kind": kind}}}}) + "\n"
    body = "".join([described, *records]).encode()
    trailer = {"counts": {"jobs": 1}, "sha256": hashlib.sha256(body).hexdigest()}
    path.write_bytes(body + json.dumps(trailer).encode() + b"\n")
    outcome = run("backup", "restore", "-i", str(path), "--yes", url=new)
    assert outcome.exit_code == code
    assert ("trace_id is not" in outcome.stderr) == (code == 2)
    with contextlib.closing(connect(new)) as database:
        assert database.query("SELECT trace_id FROM hammerwork_jobs") == ([("t é",)] if code == 0 else [])


@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
def test_an_archive_whose_column_could_not_hold_the_value_keeps_it_elsewhere(
    run: Run, new_database: Callable[..., str], dialect: str
) -> None:
    url = new_database(dialect, migrated=True)
    write(url, *(job(number, JobStatus.COMPLETED) for number in (1, 2)))
    narrow = {"postgres": ("TIMESTAMPTZ", "TIMESTAMPTZ(0)"), "mysql": ("DATETIME(6)", "DATETIME")}[dialect]
    for table, time, size in (("jobs", narrow[0], 20), ("jobs_archive", narrow[1], 3)):
        execute(url, f"ALTER TABLE hammerwork_{table} ADD COLUMN new_time {time}")
        execute(url, f"ALTER TABLE hammerwork_{table} ADD COLUMN new_text VARCHAR({size}) DEFAULT 'x'")
    values = "new_time = '2026-01-01 00:00:00.123456', new_text = 'long enough'"
    execute(url, f"UPDATE hammerwork_jobs SET {values} WHERE id = '{identity(1)}'")
    execute(url, f"UPDATE hammerwork_jobs SET new_text = NULL WHERE id = '{identity(2)}'")
    before = stored(url)
    done(run("archive", "run", "--older-than", "0s", "--yes", url=url))
    for number in (1, 2):
        done(run("archive", "restore", identity(number), "--as-was", url=url))
    assert stored(url) == before


@all_databases
def test_a_column_that_came_after_a_job_was_archived_has_its_default(run: Run, migrated_url: str) -> None:
    write(migrated_url, *(job(number, JobStatus.COMPLETED) for number in (1, 2)))
    execute(
        migrated_url,
        "ALTER TABLE hammerwork_jobs ADD COLUMN new_text VARCHAR(20) DEFAULT 'x'"
        if "sqlite" not in migrated_url
        else "ALTER TABLE hammerwork_jobs ADD COLUMN new_text TEXT DEFAULT 'x'",
    )
    execute(migrated_url, f"UPDATE hammerwork_jobs SET new_text = NULL WHERE id = '{identity(2)}'")
    done(run("archive", "run", "--older-than", "0s", "--yes", url=migrated_url))
    execute(migrated_url, "ALTER TABLE hammerwork_jobs ADD COLUMN new_long INTEGER NOT NULL DEFAULT 5")
    for number in (1, 2):
        done(run("archive", "restore", identity(number), "--as-was", url=migrated_url))
    found = {key: tuple(map(str, row)) for key, row in stored(migrated_url)["jobs"].items()}
    assert found == {(identity(1),): ("5", "x"), (identity(2),): ("5", "None")}
