"""What workers recorded shows where the database itself does not tell who spawned."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database, connect
from tests.conftest import all_databases
from tests.jobs import CLOCK, NOW, execute, identity, job, write
from tests.rows import START, Rows

Program = Callable[..., Any]
WITHOUT_OUR_TABLES = "DELETE FROM hammerwork_migrations WHERE migration_id > '015'"


def record(url: str, parent: int, number: int = 1, **columns: Any) -> str:
    """Writes that job ``parent`` spawned."""
    spawn = f"{number:08x}-0000-4000-8000-0000000000aa"
    row = {
        "id": spawn,
        "parent_id": identity(parent),
        "root_id": identity(parent),
        "depth": 0,
        "occurrence": "first",
        "handler": "by queue",
        "outcome": "spawned",
        "children": 1,
        "started_at": NOW,
        "ended_at": NOW,
        **columns,
    }
    with contextlib.closing(connect(url)) as database:
        database.transaction(lambda: Rows(database).insert("hammerwork_spawn_operations", row))
    return spawn


def below(parent: int) -> dict[str, Any]:
    return {"depends_on": (identity(parent),), "dependency_status": "satisfied"}


# spawn tree.


def test_edges_below_a_parent_whose_spawning_was_recorded_are_spawns(migrated_url: str, run: Program) -> None:
    write(migrated_url, job(9, JobStatus.COMPLETED), job(8, **below(9)), job(7, **below(8)))
    record(migrated_url, 9)

    def kinds() -> list[str]:
        tree = run("spawn", "tree", identity(7), "--format", "json", url=migrated_url)
        assert tree.exit_code == 0, tree.stderr
        return [edge["type"] for edge in tree.json["edges"]]

    assert kinds() == ["spawn", "dependency"]
    dot = run("spawn", "tree", identity(7), "--format", "dot", url=migrated_url).stdout
    assert dot.count("style=dashed") == 1
    execute(migrated_url, WITHOUT_OUR_TABLES)
    assert kinds() == ["dependency", "dependency"]


def test_a_tree_asks_once_for_what_was_recorded(database: Database) -> None:
    from hammerwork_cli.features.tree.queries import tree as tree_queries

    rows = Rows(database)
    root = rows.job()
    for _ in range(30):
        rows.job(rows.job(root))

    def sent() -> int:
        before = database.executed
        tree_queries.tree(database, root)
        return database.executed - before

    sent()  # reads the schema
    without = sent()
    row = {"id": root, "parent_id": root, "root_id": root, "depth": 0, "occurrence": "1", "outcome": "spawned"}
    rows.insert("hammerwork_spawn_operations", {**row, "children": 30, "started_at": NOW, "ended_at": NOW})
    assert sent() == without + 1


# spawn list.


def listed(run: Program, url: str, *words: str) -> dict[int, Any]:
    """Job number -> what ``spawn list`` says, in its order."""
    done = run("spawn", "list", *words, "--format", "json", url=url, env=CLOCK)
    assert done.exit_code == 0, done.stderr
    return {int(operation["parent_id"][:8], 16): operation for operation in done.json}


@all_databases
def test_parents_that_spawned_without_configuration_are_listed_among_the_others(
    migrated_url: str, run: Program
) -> None:
    config = '{"_spawn_config": {"operation_id": "night-1"}}'
    write(
        migrated_url,
        job(50, JobStatus.COMPLETED),
        job(40, JobStatus.COMPLETED, payload=config),
        job(30, JobStatus.COMPLETED, queue="other"),
        job(20, **below(50)),
        job(19, **below(40)),
        job(18, **below(30)),
    )
    first = record(migrated_url, 50, operation_id="by name")
    record(migrated_url, 40, 2)
    record(migrated_url, 30, 3, children=0, outcome="repeated")
    last = record(migrated_url, 30, 4, hook_error="ValueError: hook")
    found = listed(run, migrated_url)
    assert list(found) == [30, 40, 50]
    assert [found[number]["children"]["total"] for number in found] == [1, 1, 1]
    assert (found[50]["operation_id"], found[50]["handler"], found[50]["recorded"]["id"]) == (
        "by name",
        "by queue",
        first,
    )
    assert (found[40]["operation_id"], found[40]["spawn_config"]) == ("night-1", {"operation_id": "night-1"})
    assert (found[30]["recorded"]["id"], found[30]["recorded"]["hook_error"]) == (last, "ValueError: hook")
    assert list(listed(run, migrated_url, "--limit", "2")) == [30, 40]
    assert list(listed(run, migrated_url, "--queue", "other")) == [30]
    assert list(listed(run, migrated_url, "--operation", "by name")) == [50]
    assert list(listed(run, migrated_url, "--operation", last)) == [30]
    assert list(listed(run, migrated_url, "--operation", "night-1")) == [40]
    assert list(listed(run, migrated_url, "--since", "45m")) == [30, 40]
    assert listed(run, migrated_url, "--status", "failed") == {}
    execute(migrated_url, WITHOUT_OUR_TABLES)
    assert list(listed(run, migrated_url)) == [40]


def test_the_error_of_a_spawn_that_failed_is_listed_with_its_parent(migrated_url: str, run: Program) -> None:
    write(migrated_url, job(9, JobStatus.COMPLETED))
    record(migrated_url, 9, children=0, outcome="failed", error_message="ValueError: no idea\n\nTraceback")
    assert listed(run, migrated_url)[9]["recorded"]["outcome"] == "failed"
    assert "ValueError: no idea" in run("spawn", "list", url=migrated_url, env=CLOCK).stdout


# spawn stats.


@all_databases
def test_figures_count_what_was_recorded_too(migrated_url: str, run: Program) -> None:
    config = '{"_spawn_config": {"operation_id": "night-1"}}'
    ended = {"depends_on": (identity(50),), "dependency_status": "satisfied"}
    write(
        migrated_url,
        job(50, JobStatus.COMPLETED, queue="bare"),
        job(40, JobStatus.COMPLETED, payload=config),
        job(30, JobStatus.COMPLETED, queue="idle"),
        job(20, JobStatus.COMPLETED, **ended),
        job(19, JobStatus.DEAD, **ended),
        job(18, **below(40)),
        job(60, JobStatus.COMPLETED, payload='["_spawn_config"]'),
        job(17, **below(60)),
    )

    def figures() -> Any:
        words = ("spawn", "stats", "--detailed", "--format", "json")
        return run(*words, url=migrated_url, env=CLOCK).json

    before = figures()
    assert (before["operations"], before["children"], before["empty"]) == (1, 1, 0)
    for number, parent in enumerate((50, 40, 30)):
        record(migrated_url, parent, number)
    after = figures()
    assert (after["operations"], after["children"], after["empty"]) == (2, 3, 1)
    assert {group["name"]: group["children"] for group in after["by_queue"]} == {"bare": 2, "mail": 1}
    assert round(after["p50_seconds"], 3) == 1
    assert {one["parent_id"] for one in after["slowest"]} == {identity(50)}
    assert after["slowest"][0]["recorded"]["outcome"] == "spawned"


# spawn pending, spawn doctor.


@all_databases
def test_who_spawned_nothing_by_a_record_is_not_called_a_parent_that_never_spawned(
    migrated_url: str, run: Program
) -> None:
    config = '{"_spawn_config": {"max_spawn_count": 5}}'
    write(migrated_url, *(job(number, JobStatus.COMPLETED, payload=config) for number in (1, 2, 3)))
    write(migrated_url, job(4, payload=config), job(5, payload=config))
    record(migrated_url, 1, 1, children=0)
    record(migrated_url, 2, 2, children=0, outcome="failed")
    record(migrated_url, 4, 4, children=0, outcome="repeated")
    record(migrated_url, 5, 5, children=0)

    def pending() -> dict[int, str]:
        found = run("spawn", "pending", "--format", "json", url=migrated_url).json
        return {int(one["id"][:8], 16): one["reason"] for one in found}

    def damage() -> list[tuple[str, int]]:
        found = run("spawn", "doctor", "--format", "json", url=migrated_url).json
        return [(one["kind"], one["jobs"]) for one in found]

    assert pending() == {3: "never_spawned", 4: "will_spawn"}
    assert damage() == [("never_spawned", 1)]
    execute(migrated_url, WITHOUT_OUR_TABLES)
    assert len(pending()) == 5
    assert damage() == [("never_spawned", 3)]


def test_lists_and_figures_take_two_statements_more_for_what_was_recorded(database: Database) -> None:
    from hammerwork_cli.features.spawn.queries import operations, pending, stats

    rows = Rows(database)

    def parents(count: int) -> None:
        for _ in range(count):
            parent = rows.job()
            rows.job(parent)
            row = {"id": parent, "parent_id": parent, "root_id": parent, "depth": 0, "occurrence": "1"}
            row |= {"outcome": "spawned", "children": 1, "started_at": START, "ended_at": NOW}
            rows.insert("hammerwork_spawn_operations", row)

    def sent() -> tuple[int, int, int]:
        counts = []
        for ask in (
            lambda: operations.operations(database, limit=1000),
            lambda: stats.stats(database, since=START, recent=START, detailed=True),
            lambda: pending.pending(database, limit=1000),
        ):
            before = database.executed
            ask()
            counts.append(database.executed - before)
        return counts[0], counts[1], counts[2]

    parents(1)
    sent()  # reads the schema
    few = sent()
    database.transaction(lambda: parents(60))
    assert sent() == few
    assert max(few) <= 10


def test_jobs_of_a_worker_that_has_not_ended_are_left_to_workers_however_silent_it_is(
    database: Database, run: Program
) -> None:
    rows = Rows(database)
    alive, gone = "00000000-0000-4000-8000-0000000000a1", "00000000-0000-4000-8000-0000000000a2"
    for worker, heartbeat in ((alive, datetime.now(UTC)), (gone, START)):
        row = {"id": worker, "name": worker, "host": "h", "pid": 1, "version": "1", "queues": "[]", "handlers": "[]"}
        row |= {"concurrency": 1, "lease_seconds": 30.0, "state": "running", "started_at": START}
        rows.insert("hammerwork_workers", {**row, "heartbeat_at": heartbeat})
    for worker in (alive, gone, None):
        rows.job(status="Running", started_at=START, max_attempts=3, attempts=1, claimed_by=worker)
    rows.job(status="Running", started_at=START, max_attempts=3, attempts=3, claimed_by=gone)
    looked = run("spawn", "doctor", url=database.url.raw)
    assert looked.exit_code == 0
    assert "3 jobs are Running" in looked.stderr
    takes = "2 jobs belong to silent workers: another worker rescues them once it has run for a lease"
    assert takes in looked.stderr
    fixing = ("spawn", "doctor", "--older-than", "1m", "--fix", "--yes")
    fixed = run(*fixing, url=database.url.raw)
    assert fixed.exit_code == 0, fixed.stderr
    assert takes in fixed.stderr
    statuses = "SELECT status FROM hammerwork_jobs WHERE {} ORDER BY attempts"
    assert database.query(statuses.format("claimed_by IS NULL")) == [("Pending",)]
    assert database.query(statuses.format("claimed_by IS NOT NULL")) == [("Running",)] * 3
    rows.run(f"UPDATE hammerwork_workers SET ended_at = heartbeat_at WHERE id = '{gone}'")
    assert "silent workers" not in run("spawn", "doctor", url=database.url.raw).stderr
    assert run(*fixing, url=database.url.raw).exit_code == 0
    assert database.query(statuses.format(f"claimed_by = '{gone}'")) == [("Pending",), ("Dead",)]
    assert database.query(statuses.format(f"claimed_by = '{alive}'")) == [("Running",)]
