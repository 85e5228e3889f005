"""Our own migration, 015: it finds children and spawning parents, whoever wrote them, and never stops an insert."""

import contextlib
import json
import threading
import time
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.migration import queries as migrations
from tests.conftest import each_row
from tests.database.introspection import expected_schema, read_schema, without_ours

PARENT = "178ebfc3-6b7e-4d38-9d3c-5a1c0b0f6d11"
OTHER = "5fe1dcfd-2a57-4a5c-8f1e-0f7d4c3b2a19"

HOSTILE_DEPENDENCIES = [
    [],
    [PARENT],
    [PARENT, OTHER],
    None,
    0,
    "text",
    {"a": 1, "b": 2},
    [None],
    [7],
    [1.5e300],
    [True],
    [[PARENT]],
    [{"id": PARENT}],
    [""],
    ["x" * 36],
    ["x" * 37],
    ["é" * 36],
    ["é" * 18],
    ["😀"],
    ["日本" * 1000],
    ["\x00\x01\n\t\\\"'"],
    ["\u2028" * 36],
    ["x" * 70_000],
    [PARENT.upper()],
    [PARENT] * 1000,
]

HOSTILE_PAYLOADS: list[tuple[Any, bool]] = [
    ({"_spawn_config": {}}, True),
    ({"_spawn_config": None}, True),
    ({"_spawn_config": "yes please"}, True),
    ({"_spawn_config": [1, 2]}, True),
    ({"a": {"_spawn_config": {}}}, False),
    ({}, False),
    ([{"_spawn_config": {}}], False),
    (["_spawn_config"], False),
    ("_spawn_config", False),
    (42, False),
    (None, False),
    (True, False),
    ({"_spawn_config\x01": 1, "": 2, "$._spawn_config": 3}, False),
    ({"x": "y" * 200_000, "_spawn_config": {}}, True),
]


def insert(database: Database, payload: object = None, depends_on: object = None) -> str:
    """A job as the Rust original inserts one: naming its own columns, and no others."""
    job = str(uuid4())
    names = [column["name"] for column in expected_schema(database)["hammerwork_jobs"]["columns"]]
    values: dict[str, object] = dict.fromkeys(names) | {
        "id": job,
        "queue_name": "q",
        "payload": json.dumps(payload),
        "status": "Pending",
        "attempts": 0,
        "max_attempts": 3,
        "created_at": "2026-11-24 14:18:25",
        "scheduled_at": "2026-11-24 14:18:25",
        "priority": 2,
        "recurring": False,
        "is_encrypted": False,
        "dependency_status": "none",
        "depends_on": depends_on if database.dialect == "postgresql" else json.dumps(depends_on),
    }
    marks = ", ".join([database.placeholder] * len(values))
    database._execute(f"INSERT INTO hammerwork_jobs ({', '.join(values)}) VALUES ({marks})", list(values.values()))
    return job


def one(database: Database, sql: str) -> Any:
    ((value,),) = database.query(sql)
    return value


def plan_of(database: Database, sql: str) -> str:
    """How the database would answer a query, an index forced upon PostgreSQL's tiny table."""
    if database.dialect == "postgresql":
        database.script("SET enable_seqscan = off")
        database.script("SET enable_bitmapscan = off")
    words = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    return str(database.query(f"{words} {sql}"))


@each_row("depends_on", HOSTILE_DEPENDENCIES)
@pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("sqlite", "mysql")]
)
def test_no_dependencies_stop_an_insert(database: Database, depends_on: object) -> None:
    job = insert(database, {}, depends_on)
    stored = json.loads(one(database, "SELECT depends_on FROM hammerwork_jobs"))
    assert stored == depends_on
    if database.dialect == "mysql":
        first = depends_on[0] if isinstance(depends_on, list) and depends_on else None
        usable = isinstance(first, str) and first.isascii() and len(first) <= 36
        assert one(database, "SELECT first_parent FROM hammerwork_jobs") == (first if usable else None)
    database._execute(f"UPDATE hammerwork_jobs SET depends_on = '[\"{PARENT}\"]' WHERE id = '{job}'", [])
    database._execute(f"DELETE FROM hammerwork_jobs WHERE id = '{job}'", [])


@pytest.mark.mysql
def test_parents_are_counted(mysql_url: str) -> None:
    with contextlib.closing(connect(mysql_url)) as database:
        migrations.run(database)
        for parents in ([], [PARENT], [PARENT, OTHER], [PARENT] * 1000):
            insert(database, {}, parents)
        database.script("UPDATE hammerwork_jobs SET depends_on = NULL WHERE parent_count = 0")
        found = database.query("SELECT parent_count FROM hammerwork_jobs ORDER BY parent_count")
    assert found == [(None,), (1,), (2,), (1000,)]


def test_the_key_of_a_spawn_configuration_is_seen_in_any_payload(database: Database) -> None:
    wanted = {insert(database, payload, []): has_key for payload, has_key in HOSTILE_PAYLOADS}
    condition = {
        # The operator also finds the word as a whole text or as a list's member.
        "postgresql": "payload ? '_spawn_config' AND jsonb_typeof(payload) = 'object'",
        "mysql": "has_spawn_config = 1",
        "sqlite": "json_type(payload, '$._spawn_config') IS NOT NULL",
    }[database.dialect]
    found = database.query(f"SELECT id FROM hammerwork_jobs WHERE {condition}")
    assert {job for (job,) in found} == {job for job, has_key in wanted.items() if has_key}


def test_the_archive_takes_hostile_dependencies_too(database: Database) -> None:
    mark = database.placeholder
    for depends_on in HOSTILE_DEPENDENCIES if database.dialect != "postgresql" else [[], None, [PARENT]]:
        database._execute(
            "INSERT INTO hammerwork_jobs_archive"
            " (id, queue_name, payload, status, created_at, scheduled_at, depends_on)"
            f" VALUES ({mark}, 'q', {mark}, 'Completed', '2026-11-24 14:18:25', '2026-11-24 14:18:25', {mark})",
            [str(uuid4()), b"{}", depends_on if database.dialect == "postgresql" else json.dumps(depends_on)],
        )
    assert one(database, "SELECT count(*) FROM hammerwork_jobs_archive") >= 3


@pytest.mark.fresh_database
def test_children_spawners_and_joins_are_found_through_the_indexes(database: Database) -> None:
    for _ in range(20):
        insert(database, {"_spawn_config": {}}, [PARENT])
    first_parent, joins, spawners = {
        "postgresql": (
            "depends_on[1]",
            "cardinality(depends_on) > 1",
            "payload ? '_spawn_config' AND jsonb_typeof(payload) = 'object'",
        ),
        "mysql": ("first_parent", "parent_count > 1", "has_spawn_config = 1"),
        "sqlite": (
            "lower(json_extract(depends_on, '$[0]'))",
            "json_array_length(depends_on) > 1",
            "json_type(payload, '$._spawn_config') IS NOT NULL",
        ),
    }[database.dialect]
    join_index = "parent_count" if database.dialect == "mysql" else "joins"
    for table in ("hammerwork_jobs", "hammerwork_jobs_archive"):
        children = f"SELECT id FROM {table} WHERE {first_parent} IN ('{OTHER}', '{uuid4()}')"
        assert f"idx_{table}_first_parent" in plan_of(database, children)
    assert f"idx_hammerwork_jobs_{join_index}" in plan_of(database, f"SELECT id FROM hammerwork_jobs WHERE {joins}")
    newest = f"SELECT id FROM hammerwork_jobs WHERE {spawners} ORDER BY created_at DESC, id LIMIT 2"
    assert "idx_hammerwork_jobs_spawn_config" in plan_of(database, newest)


# PostgreSQL: dependencies that were JSON, and indexes that are built while others work.


@pytest.fixture
def before_012(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A PostgreSQL database that stands at 011."""
    with contextlib.closing(connect(postgres_url)) as database:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:11])
            migrations.run(database)
        database.script("CREATE INDEX idx_hammerwork_jobs_depends_on ON hammerwork_jobs USING gin (depends_on)")
        database.script("CREATE INDEX of_somebody ON hammerwork_jobs USING gin (dependents jsonb_path_ops)")
        yield database


JSON_DEPENDENCIES = [
    ("[]", []),
    (None, []),
    (json.dumps([PARENT, OTHER]), [PARENT, OTHER]),
    (json.dumps([OTHER, PARENT, OTHER]), [OTHER, PARENT, OTHER]),
    (json.dumps([PARENT.upper()]), [PARENT]),
    (json.dumps(["no id", PARENT, 7, None, [OTHER], {"id": OTHER}, PARENT + "0", ""]), [PARENT]),
    (json.dumps({"a": PARENT}), []),
    (json.dumps(PARENT), []),
    ("null", []),
    ("17", []),
    (json.dumps(["%s :name $1 ?", "'; DROP TABLE hammerwork_jobs; --"]), []),
]


@pytest.mark.postgres
def test_json_dependencies_become_ids_and_junk_is_left_out(before_012: Database) -> None:
    jobs = {}
    for stored, ids in JSON_DEPENDENCIES:
        job = str(uuid4())
        jobs[job] = ids
        before_012._execute(
            "INSERT INTO hammerwork_jobs"
            " (id, queue_name, payload, status, created_at, scheduled_at, depends_on, dependents)"
            " VALUES (%s, 'q', '{}', 'Pending', now(), now(), %s, %s)",
            [job, stored, stored],
        )
    assert migrations.run(before_012)[0].id == "012_optimize_dependencies"
    found = before_012.query("SELECT id, depends_on::text, dependents::text FROM hammerwork_jobs")
    as_text = {job: "{" + ",".join(ids) + "}" for job, ids in jobs.items()}
    assert {job: depends_on for job, depends_on, _ in found} == as_text
    assert {job: dependents for job, _, dependents in found} == as_text
    assert without_ours(read_schema(before_012), before_012) == expected_schema(before_012)


@pytest.mark.postgres
def test_an_archive_with_json_dependencies_is_converted_too(before_012: Database) -> None:
    before_012.script("ALTER TABLE hammerwork_jobs_archive DROP COLUMN depends_on, ADD COLUMN depends_on jsonb")
    before_012._execute(
        "INSERT INTO hammerwork_jobs_archive (id, queue_name, payload, status, created_at, scheduled_at, depends_on)"
        " VALUES (%s, 'q', '', 'Dead', now(), now(), %s)",
        [str(uuid4()), json.dumps([PARENT, "junk"])],
    )
    migrations.run(before_012)
    assert one(before_012, "SELECT depends_on::text FROM hammerwork_jobs_archive") == "{" + PARENT + "}"
    assert without_ours(read_schema(before_012), before_012) == expected_schema(before_012)


@pytest.mark.postgres
def test_an_index_whose_build_was_broken_off_is_built_again(postgres_url: str) -> None:
    with contextlib.closing(connect(postgres_url)) as database:
        migrations.run(database)
        database.script("DELETE FROM hammerwork_migrations WHERE migration_id = '015_spawn_indexes'")
        database.script(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_hammerwork_jobs_first_parent'::regclass"
        )
        planned = migrations.plan(database)[0].statements
        assert [sql.split()[0] for sql in planned] == ["DROP", "CREATE"]
        assert all("idx_hammerwork_jobs_first_parent" in sql for sql in planned)
        migrations.run(database)
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert one(database, invalid) == 0


@pytest.mark.postgres
def test_workers_go_on_while_the_indexes_are_built(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(connect(postgres_url)) as worker, contextlib.closing(connect(postgres_url)) as other:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:14])
            migrations.run(worker)
        applied: list[str] = []

        def build() -> None:
            with contextlib.closing(connect(postgres_url)) as database:
                applied.extend(migration.id for migration in migrations.run(database))

        worker.script("BEGIN")
        insert(worker, {"_spawn_config": {}}, [])
        building = threading.Thread(target=build)
        building.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE 'CREATE INDEX%%' AND wait_event_type = 'Lock'"
        )
        deadline = time.monotonic() + 30
        while not one(other, waiting):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        other.script("SET lock_timeout = '2s'")
        insert(other, {"_spawn_config": {}}, [PARENT])
        worker.script("COMMIT")
        building.join(30)
        assert applied == [migration.id for migration in migrations.MIGRATIONS if migration.owner == "ours"]
        assert one(other, "SELECT count(*) FROM hammerwork_jobs WHERE payload ? '_spawn_config'") == 2
