"""What workers recorded shows where the database itself does not tell who spawned."""

import contextlib
from collections.abc import Callable
from typing import Any

from hammerwork_cli.database import Database, connect
from hammerwork_cli.models import JobStatus
from tests.jobs import NOW, execute, identity, job, write
from tests.rows import Rows

Program = Callable[..., Any]
WITHOUT_OUR_TABLES = "DROP TABLE hammerwork_spawn_roots"


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
    from hammerwork_cli.queries import trees

    rows = Rows(database)
    root = rows.job()
    for _ in range(30):
        rows.job(rows.job(root))

    def sent() -> int:
        before = database.executed
        trees.tree(database, root)
        return database.executed - before

    sent()  # reads the schema
    without = sent()
    row = {"id": root, "parent_id": root, "root_id": root, "depth": 0, "occurrence": "1", "outcome": "spawned"}
    rows.insert("hammerwork_spawn_operations", {**row, "children": 30, "started_at": NOW, "ended_at": NOW})
    assert sent() == without + 1
