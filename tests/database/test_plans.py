"""With our indexes, what a Rust worker spawns afterwards is found without reading the whole table."""

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.core.values import COMPLETED_SPELLINGS, ENDED_SPELLINGS, FAILED_SPELLINGS, JobStatus
from hammerwork_cli.database import Database, connect, statements
from hammerwork_cli.database.migration_files import steps
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes, schedules
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.job.models.job import JobFilter, PastAttempt
from hammerwork_cli.features.job.queries import attempts, listing
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.spawn.queries import operations
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from hammerwork_cli.features.tree.queries import records
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.worker.queries import claim
from tests.conftest import EACH_DIALECT, Makers, on_mariadb
from tests.database.conftest import one_way_on_servers
from tests.rows import START, Rows
from tests.rust3.outcomes import use

pytestmark = pytest.mark.fresh_database

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN ", "mysql": "EXPLAIN FORMAT=JSON "}
VERSION_2 = '"json_schema_version": "2'
"""In the plans of MySQL 9.7, which says things in other words."""
ANALYZE = {"sqlite": "ANALYZE", "postgresql": "ANALYZE", "mysql": "ANALYZE TABLE"}

WHOLE_TABLE = re.compile(
    r'SCAN [jc]\b|Seq Scan on hammerwork_jobs\b|"table_name": "[jc]",\s+"access_type": "(?:ALL|index)"'
)


INDEXES = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
MOST_OF_SCANS = 0.7
"""How much a plan with indexes may cost of one without. Where they cost almost the same, random ids choose."""


def bound(database: Database, statement: str, values: dict[str, Any]) -> tuple[str, list[Any]]:
    """A statement and its values, as the driver wants them."""
    lines = statements.load(statement, database.tags)
    sql, found = statements.bind(lines, values, database.placeholder, database.percent)
    return sql, [database._adapt(value) if isinstance(value, datetime) else value for value in found]


def plan(database: Database, statement: str, *, either_will_do: bool = False, **values: Any) -> str:
    """What the database would do, in its own words; on PostgreSQL, not by chance, unless ``either_will_do``."""
    sql, adapted = bound(database, statement, values)
    rows = database.query(EXPLAIN[database.dialect] + sql, adapted)
    told = "\n".join(str(row[-1] if database.dialect == "sqlite" else row[0]) for row in rows)
    if database.dialect == "postgresql" and not either_will_do:
        share = share_of_scans(database, sql, adapted)
        assert share == 1 or share <= MOST_OF_SCANS, f"{share:.0%} of the cost without indexes:\n{told}"
    return told


def share_of_scans(database: Database, sql: str, values: list[Any]) -> float:
    """What PostgreSQL expects a statement to cost, of what it would cost without indexes; 1 if it uses none."""

    def cost() -> float:
        told = "\n".join(row[0] for row in database.query(f"EXPLAIN {sql}", values))
        # Until 17 this alone costs ten thousand million.
        uses_what_is_off = "Disabled: true" in told
        return math.inf if uses_what_is_off else float(re.findall(r"cost=[\d.]+\.\.([\d.]+)", told)[0])

    by_indexes = cost()
    for setting in INDEXES:
        database.script(f"SET {setting} = off")
    by_scans = cost()
    for setting in INDEXES:
        database.script(f"RESET {setting}")
    return by_indexes / by_scans


NEWEST: dict[str, Any] = {
    **dict.fromkeys(("statuses", "derived", "since", "until", "cursor_at", "cursor_id")),
    "queues": (),
    "roots": False,
    "operations": (),
    "ended": operations.ENDED_SPELLINGS,
    "limit": 5,
}
"""What `spawn list --limit 5` asks for."""


@pytest.fixture(scope="module", params=EACH_DIALECT)
def spawned(request: pytest.FixtureRequest, makers: Makers) -> Iterator[tuple[Database, str]]:
    """What :func:`spawn` leaves; nobody here changes it."""
    url = makers[request.param].migrated(fresh=True)
    with contextlib.closing(connect(url)) as database:
        yield database, spawn(database)
    makers[request.param].drop(url)


ONE_GROUP = "00000000-0000-4000-8000-000000000000"
"""The batch and the workflow of one job; each of the others is in one of its own, too."""


def spawn(database: Database) -> str:
    """3,060 jobs, 40 of them a parent and its children, written as the original writes them; the newest parent's id."""
    rows = Rows(database)
    parents: list[str] = []

    def job(*given: str, of: str | None = None, **columns: Any) -> str:
        group = of or str(uuid4())
        return rows.job(*given, batch_id=group, workflow_id=group, **columns)

    with rows.at_once():
        for _ in range(2960):
            job(payload={"text": "x" * 50})
        for number in range(20):
            lately = START + timedelta(days=1, seconds=number)
            parents.append(job(spawns=True, created_at=lately, of=None if number else ONE_GROUP))
            job(parents[-1])
            # Were all late jobs parents, the index of times would do as well, and MySQL 9.7 takes that.
            for _ in range(3):
                job(created_at=lately)
    analyze(database, "hammerwork_jobs")
    return parents[-1]


def fill(database: Database, **columns: Any) -> None:
    """3,000 jobs that are alike."""
    rows = Rows(database)
    with rows.at_once():
        for _ in range(3000):
            rows.job(payload={"text": "x" * 50}, **columns)
    analyze(database, "hammerwork_jobs")


def analyze(database: Database, table: str) -> None:
    """Brings the statistics of a table up to date."""
    statement = f"{ANALYZE[database.dialect]} {table}"
    database.query(statement) if database.dialect == "mysql" else database.script(statement)


def test_the_newest_operations_are_read_from_our_index(spawned: tuple[Database, str]) -> None:
    database, newest = spawned
    assert operations.operations(database, limit=1)[0].parent.id == newest
    assert "idx_hammerwork_jobs_spawn_config" in plan(database, "spawn.operations.list", **NEWEST)


@pytest.mark.parametrize("more", [{}, {"since": START}, {"roots": True}, {"cursor_at": START, "cursor_id": "0"}])
def test_sqlite_reads_the_newest_operations_from_our_index_without_statistics(
    new_database: Callable[..., str], more: dict[str, Any]
) -> None:
    with contextlib.closing(connect(new_database("sqlite", migrated=True))) as database:
        told = plan(database, "spawn.operations.list", **NEWEST | more)
    assert "idx_hammerwork_jobs_spawn_config" in told


@pytest.mark.parametrize("unconfigured", [False, True], ids=["configured", "recorded"])
def test_the_figures_of_a_window_are_read_from_our_indexes(spawned: tuple[Database, str], unconfigured: bool) -> None:
    database, _ = spawned
    since = START + timedelta(days=1)
    assert stats_queries.stats(database, since=since, recent=since).overall.operations == 20
    window = {"queues": (), "since": since, "unconfigured": unconfigured, "configured": not unconfigured}
    statuses = {"completed": COMPLETED_SPELLINGS, "ended": ENDED_SPELLINGS, "failed": FAILED_SPELLINGS}
    alone = {"detailed": False, "all_alone": False, "ids": None}
    told = plan(database, "spawn.operations.window", recent=since, **statuses, **alone, **window)
    assert "idx_hammerwork_jobs_first_parent" in told
    assert unconfigured or "idx_hammerwork_jobs_spawn_config" in told
    assert not WHOLE_TABLE.search(told), told


def test_children_are_read_from_our_index(spawned: tuple[Database, str]) -> None:
    database, parent = spawned
    assert len(tree_queries.tree(database, parent).nodes) == 2
    bounds = {"dated": False, "limit": None, "failed": FAILED_SPELLINGS, "running": ()}
    told = plan(database, "tree.relatives.children", ids=database.ids([parent]), **bounds)
    assert "idx_hammerwork_jobs_first_parent" in told


MANY = 4_000
ONE_CHILD_EACH = """
INSERT INTO {table} (id, queue_name, payload, status, created_at, scheduled_at, depends_on)
SELECT md5('child' || n)::uuid, 'work', '{payload}', 'Completed', now(), now(), ARRAY[md5('parent' || n)::uuid]
FROM generate_series(1, {many}) AS n
"""


@pytest.mark.postgres
@pytest.mark.parametrize("version", [13, None], ids=["indexes before 14", "statistics since 14"])
def test_the_children_of_many_parents_are_estimated_and_read_from_our_index(
    postgres_url: str, version: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version:
        monkeypatch.setattr(migrations, "_version", lambda _: version)
    with contextlib.closing(connect(postgres_url)) as database:
        migrations.run(database)
        for table, statement, payload in (
            ("hammerwork_jobs", "tree.relatives.children", json.dumps({"text": "x" * 1000})),
            ("hammerwork_jobs_archive", "tree.relatives.archived_children", "x" * 1000),
        ):
            database.script(ONE_CHILD_EACH.format(table=table, payload=payload, many=MANY))
            database.script(f"ANALYZE {table}")
            bounds = {"dated": False, "limit": None, "failed": FAILED_SPELLINGS, "running": ()}
            for parents in (80, 400):
                ids = database.ids(
                    [job for (job,) in database.query(f"SELECT depends_on[1] FROM {table} LIMIT {parents}")]
                )
                # 80 are found by our index. Of 400, each tenth job is read, which may as well be the whole table.
                told = plan(database, statement, either_will_do=parents == 400, ids=ids, **bounds)
                assert parents / 2 <= int(re.findall(r"rows=(\d+)", told)[0]) <= parents * 2, told
                if parents == 80:
                    assert f"idx_{table}_" in told


def test_the_planner_gets_statistics_or_indexes_by_the_version_of_the_server() -> None:
    kinds = {
        version: {clause.makes.split()[0] for step in found for clause in step.clauses if clause.makes}
        for version in (13, 14)
        if (found := steps("020_tree_statistics", "postgresql", version=version))
    }
    assert kinds == {13: {"index"}, 14: {"statistics"}}


def test_the_levels_of_running_trees_are_read_from_our_index(spawned: tuple[Database, str]) -> None:
    database, parent = spawned
    ids = database.ids([parent])
    for statement, values in (("spawn.monitor.parents_below", {}), ("spawn.monitor.level_totals", {"limit": 10})):
        assert "idx_hammerwork_jobs_first_parent" in plan(database, statement, ids=ids, **values)


def test_the_newest_failures_are_read_from_the_end_of_an_index(spawned: tuple[Database, str]) -> None:
    database, _ = spawned
    odd = tuple(word for word in FAILED_SPELLINGS if word.islower())
    values = {"failed": FAILED_SPELLINGS, "oddly_failed": odd, "queues": (), "since": None, "place": None, "limit": 5}
    told = plan(database, "tree.failed.newest", **values)
    # MySQL 9.7 would rather sort what another index on statuses has of them, since it need not look at rows for that.
    index = r"status_failed_at|archival_candidates" if VERSION_2 in told else "status_failed_at"
    assert len(re.findall(index, told)) >= 3
    assert not re.search(r"SCAN j\b|Seq Scan on hammerwork_jobs", told)


@pytest.mark.parametrize("spawned", EACH_DIALECT[2:], indirect=True)  # only InnoDB keeps rows in the order of their ids
def test_the_ids_of_the_children_of_many_come_out_of_the_index_alone(spawned: tuple[Database, str]) -> None:
    database, parent = spawned
    told = json.dumps(json.loads(plan(database, "tree.relatives.child_ids", parents=json.dumps([parent]))))
    # MariaDB's words and those of MySQL 8; MySQL 9.7 tells plans in version 2 of its format, with others.
    key, alone = ("index_name", "covering") if VERSION_2 in told else ("key", "using_index")
    assert f'"{key}": "idx_hammerwork_jobs_first_parent"' in told
    assert f'"{alone}": true' in told


def test_the_last_attempts_of_jobs_are_read_by_their_keys(database: Database) -> None:
    jobs = [str(uuid4()) for _ in range(3000)]
    for start in range(0, len(jobs), 500):
        rows = [PastAttempt(job, START, START, 1, "failed", None, "boom") for job in jobs[start : start + 500]]
        database.transaction(lambda rows=rows: attempts.record(database, rows))
    if database.dialect == "postgresql":
        database.script("ANALYZE hammerwork_attempts")
    assert len(attempts.last_of(database, jobs[:2])) == 2
    for statement, values in (("last", {}), ("of_jobs", {}), ("surplus", {"kept": 50})):
        told = plan(database, f"job.attempts.{statement}", ids=database.ids(jobs[:2]), **values)
        whole = r'SCAN r\b|Seq Scan on hammerwork_attempts|"table_name": "r",\s+"access_type": "(?:ALL|index)"'
        assert not re.search(whole, told), told


@on_mariadb  # only InnoDB locks, and waits for, the rows that it merely looks at
def test_forgetting_what_was_recorded_of_jobs_locks_nothing_that_was_recorded_of_others(database: Database) -> None:
    gone = [str(uuid4()) for _ in range(database.key_chunk)]
    for statement in records.FORGETTING:
        told = plan(database, statement, ids=gone, listed=json.dumps(gone))
        looked_up = r'"index_access_type": "index_lookup"' if VERSION_2 in told else r'"access_type": "(eq_)?ref"'
        assert re.search(looked_up, told), told


@one_way_on_servers
def test_a_level_of_many_parents_is_read_as_one_of_few(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = rows.job(spawns=True)
    parents = [rows.job(root) for _ in range(12)]
    for parent in parents:
        rows.job(parent)
    rows.job(parents[0], parents[11])
    rows.job(parents[3].upper())
    few = tree_queries.tree(readable, root)
    for name, size in (("FEW_PARENTS", 0), ("LISTED_PARENTS", 5)):
        monkeypatch.setattr(f"hammerwork_cli.features.tree.queries.relatives.{name}", size)
    monkeypatch.setattr(readable, "read_chunk", 4)
    many = tree_queries.tree(readable, root)
    assert len(many.nodes) == 27
    assert (list(many.nodes.items()), many.children) == (list(few.nodes.items()), few.children)


def test_the_newest_jobs_are_read_from_our_index(spawned: tuple[Database, str]) -> None:
    database, _ = spawned
    told = plan(database, "job.listing.list", limit=5, cursor_at=None, **listing.chosen(JobFilter()))
    assert "idx_hammerwork_jobs_created" in told
    assert "AUTOMATIC" not in told, "SQLite looks each job up in the page"


def test_a_look_for_changes_is_read_from_indexes(spawned: tuple[Database, str]) -> None:
    database, _ = spawned
    later = START + timedelta(days=2)
    told = plan(database, "spawn.revisions.jobs", since=later, until=later + timedelta(seconds=6), most=2000)
    assert "idx_hammerwork_jobs_created" in told
    assert "idx_hammerwork_jobs_archival_candidates" in told
    assert "failed_at" in told
    if database.dialect == "postgresql":
        assert "Seq Scan" not in told
    if database.dialect == "sqlite":
        assert "SCAN j" not in told


def test_names_that_are_compared_to_the_letter_are_looked_up_in_an_index(database: Database) -> None:
    fill(database, status="Pending", dependency_status="none")
    now = START + timedelta(days=3)
    asked = {"queue": "work", "now": now, "priority": None, "limit": 10, "large": 100, "spawning": True}
    others = {"per": None, "full": None, "left_webhooks": None}
    told = plan(database, "worker.claim.ready", columns=claim.CLAIMED_COLUMNS, **others, **asked)
    assert "idx_hammerwork_jobs_claimable" in told
    assert not re.search(r"filesort|Sort|TEMP B-TREE", told), told
    if database.dialect == "mysql":  # where the other databases have only indexes of some jobs
        assert not WHOLE_TABLE.search(plan(database, "queue.any_job", queue="elsewhere"))


HEALTH = {
    "monitor.health.queues_with_ready_jobs": {},
    "monitor.health.ready": {"queue": "work", "now": START + timedelta(days=2)},
    "monitor.health.waiting": {},
    "monitor.health.running": {"now": START + timedelta(days=2)},
    "monitor.health.retrying": {"most_pending": 100, "queues": ()},
    "monitor.health.overdue": {"before": START, "pending": ("Pending",)},
    "queue.completed": {"queues": (), "since": START + timedelta(days=1), "oddly_completed": ("completed",)},
    "queue.failed": {
        "queues": (),
        "failed": FAILED_SPELLINGS,
        "since": START,
        "recently": START,
        "most_timed_out": 100,
    },
}


@pytest.mark.parametrize("statement", HEALTH)
def test_the_checks_of_health_read_ends_of_indexes(spawned: tuple[Database, str], statement: str) -> None:
    database, _ = spawned
    told = plan(database, statement, limit=100, **HEALTH[statement])
    assert "idx_" in told or "USING INDEX" in told, told
    # SQLite calls a look at the first entries of an index a scan of it, and at all those of Running jobs.
    assert not WHOLE_TABLE.search(re.sub("SCAN j USING INDEX idx_hammerwork_jobs_(scheduled|claimed)", "", told)), told


def test_waiting_deliveries_are_counted_by_an_index_whatever_else_there_is(spawned: tuple[Database, str]) -> None:
    database, _ = spawned
    told = plan(database, "webhook.waiting", queue=DELIVERIES, limit=100)
    assert "idx_" in told, told
    assert not WHOLE_TABLE.search(told), told


def test_the_newest_events_are_read_from_the_ends_of_indexes(spawned: tuple[Database, str]) -> None:
    database, _ = spawned
    told = plan(database, "monitor.logs.newest", window=50, most_running=50, most_pending=50, queues=())
    # In its order, an index may be read from its end. For the rows themselves, PostgreSQL scans a table of this size.
    whole = r'SCAN j(?! USING)|Seq Scan on hammerwork_jobs j_|"table_name": "j",\s+"access_type": "ALL"'
    assert not re.search(whole, told), told


def test_due_schedules_are_read_from_the_end_of_an_index(database: Database) -> None:
    options = {"queue": "work", "payload": {}, "name": "one", "schedule": "0 3 * * *"}
    changes.add(database, read_schedule(options), Author("me"), START)
    names = [*database.schema["hammerwork_schedules"]]
    (row,) = database.query(f"SELECT {', '.join(names)} FROM hammerwork_schedules")
    rows = Rows(database)
    with rows.at_once():
        for number in range(1000):
            other = {"id": str(uuid4()), "name": f"s{number}", "next_run_at": START + timedelta(minutes=number)}
            rows.insert("hammerwork_schedules", dict(zip(names, row, strict=True)) | other)
    analyze(database, "hammerwork_schedules")
    told = plan(
        database, "cron.schedules.upcoming", columns=schedules.COLUMNS, until=START + timedelta(minutes=5), limit=100
    )
    assert "idx_hammerwork_schedules_next_run" in told, told


def test_the_jobs_of_batches_and_workflows_are_counted_from_an_index(spawned: tuple[Database, str]) -> None:
    database, _ = spawned
    for statement, index in (("batch", "batch_id"), ("workflow", "workflow")):
        told = plan(database, f"{statement}.listing.counts", ids=[ONE_GROUP])
        assert re.search(f"idx_(?:hammerwork_jobs_)?{index}", told), told
        assert not WHOLE_TABLE.search(told), told


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (
            "archive.policies.expired",
            {"now": START, "statuses": ENDED_SPELLINGS, "at": None, "after": None, "limit": 1},
        ),
        ("job.encryption.is_used", {"queue": "work"}),
    ],
)
def test_encrypted_jobs_are_found_by_their_index_where_there_are_none(
    spawned: tuple[Database, str], statement: str, values: dict[str, Any]
) -> None:
    database, _ = spawned
    told = plan(database, statement, **values)
    assert re.search("idx_hammerwork_jobs_(encrypted|retention_cleanup)", told), told


def test_leases_ahead_are_found_by_the_index_of_version_3_whatever_was_analysed(database: Database) -> None:
    use(database)
    fill(database, status="Running")
    database.script("UPDATE hammerwork_jobs SET status = 'Completed'")
    told = plan(database, "worker.rescue.leases_ahead", latest=START, limit=5)
    if database.dialect != "sqlite":  # version 3 does not know it
        assert re.search("idx_hammerwork_jobs_(running|status)_lease", told), told


def test_retention_reads_only_an_index_when_nothing_is_old(spawned: tuple[Database, str]) -> None:
    database, _ = spawned
    old = JobFilter(ended=((JobStatus.COMPLETED, START - timedelta(days=9)),))
    told = plan(database, "job.selections.root_ids", **listing.chosen(old), after=None, limit=200)
    if database.dialect == "sqlite":  # it reads the table in the order of its key
        assert "TEMP B-TREE" not in told, told
    else:
        assert "idx_hammerwork_jobs_created" in told, told
        assert not WHOLE_TABLE.search(told), told
