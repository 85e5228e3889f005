"""Reading never sends a statement a job: counts do not grow with what is read."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from hammerwork_cli.database import Database
from hammerwork_cli.queries import spawns, trees
from hammerwork_cli.queries.kinship import GIN_LIST, GIN_LISTS
from tests.rows import START, Rows

ASCENT = 3
"""Statements above a tree: the job, the first level's parent, the parents that do not exist."""
CONSTANT = 12


def statements(database: Database, ask: Callable[[], object]) -> int:
    """How many statements ``ask`` sends."""
    before = database.executed
    ask()
    return database.executed - before


def chunk(database: Database) -> int:
    if "by_gin" in database.tags:
        return GIN_LIST * GIN_LISTS
    return database.scan_chunk if "by_scan" in database.tags else database.read_chunk


def spawning_parents(database: Database, rows: Rows, count: int, children: int) -> list[str]:
    parents: list[str] = []

    def write() -> None:
        for number in range(count):
            parents.append(rows.job(spawns=True, created_at=START + timedelta(seconds=number)))
            for _ in range(children):
                rows.job(parents[-1])

    database.transaction(write)
    return parents


@pytest.mark.parametrize("width", [1, 30])
def test_a_tree_takes_a_statement_a_level_and_list_of_ids(readable: Database, rows: Rows, width: int) -> None:
    root = rows.job(spawns=True)
    levels, level = 4, [root]

    def write() -> None:
        nonlocal level
        for _ in range(levels):
            level = [rows.job(parent) for parent in level for _ in range(width if len(level) == 1 else 2)]

    readable.transaction(write)
    assert len(level) < chunk(readable)
    sent = statements(readable, lambda: trees.tree(readable, root))
    assert sent <= 2 * (levels + 1) + CONSTANT


def test_lists_longer_than_a_statement_holds_are_sent_in_parts(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("read_chunk", "scan_chunk"):
        monkeypatch.setattr(readable, name, 10)
    monkeypatch.setattr("hammerwork_cli.queries.kinship.GIN_LIST", 5)
    monkeypatch.setattr("hammerwork_cli.queries.kinship.GIN_LISTS", 2)
    root = rows.job(spawns=True)
    middle = [rows.job(root) for _ in range(25)]
    for parent in middle:
        rows.job(parent)
    sent = statements(readable, lambda: trees.tree(readable, root))
    # One list of the root, three of its children, three of theirs, which have none.
    assert 7 <= sent <= 7 + CONSTANT
    assert len(trees.tree(readable, root).nodes) == 51


def test_a_chain_takes_a_statement_a_level_upward(readable: Database, rows: Rows) -> None:
    job = rows.job(spawns=True)
    for _ in range(20):
        job = rows.job(job)
    sent = statements(readable, lambda: trees.lineage(readable, job, ancestors=True, descendants=False, depth=100))
    assert sent <= 20 + ASCENT + CONSTANT


def test_lists_and_figures_take_as_many_statements_for_many_operations_as_for_few(
    readable: Database, rows: Rows
) -> None:
    questions: dict[str, Callable[[], object]] = {
        "operations": lambda: spawns.operations(readable, limit=1000),
        "stats": lambda: spawns.stats(readable, since=START, recent=START, detailed=True),
        "pending": lambda: spawns.pending(readable, limit=1000),
    }

    def counted() -> dict[str, int]:
        return {name: statements(readable, ask) for name, ask in questions.items()}

    spawning_parents(readable, rows, 2, 2)
    readable.transaction(lambda: [rows.job(spawns=True, status="Pending") for _ in range(2)])
    few = counted()
    spawning_parents(readable, rows, 60, 3)
    readable.transaction(lambda: [rows.job(spawns=True, status="Pending") for _ in range(60)])
    assert counted() == few
    assert max(few.values()) <= CONSTANT
