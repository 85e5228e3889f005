"""The children of a job say what failed below them, and no page reads a whole tree."""

from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import children, failing
from hammerwork_cli.features.tree.queries import tree as tree_queries
from tests.database.conftest import current_only, readable_on_sqlite
from tests.rows import START, Rows

DEAD: dict[str, Any] = {"status": "Dead", "failed_at": START, "error_message": "no such file"}


def wide_tree(rows: Rows, *, mids: int, leaves: int, failing: int = 0) -> tuple[str, list[str]]:
    """A root, its children, and theirs; the last ones have a dead grandchild of the root's children."""
    root = rows.job(spawns=True)
    place = Ancestry(root, depth=1).stored()
    with rows.at_once():
        found = [rows.job(root, queue="line", ancestry=place) for _ in range(mids)]
        below = [[rows.job(mid, queue="segment", ancestry=place) for _ in range(leaves)] for mid in found]
    with rows.at_once():
        for family in below[mids - failing :]:
            rows.job(family[0], queue="frame", ancestry=place, **DEAD)
    return root, found


@current_only
def test_children_with_failures_at_any_depth_below_them_are_apart_and_come_first(
    readable: Database, rows: Rows
) -> None:
    root, mids = wide_tree(rows, mids=67, leaves=2, failing=4)
    running = rows.job(root, queue="line", status="Running")
    dead = rows.job(root, queue="line", **DEAD)
    other, _ = wide_tree(rows, mids=3, leaves=2, failing=3)

    counted = [(one.status, one.jobs, one.failed_below) for one in children.groups(readable, root)]
    assert counted == [("Dead", 1, 0), ("Completed", 4, 4), ("Running", 1, 0), ("Completed", 63, 0)]

    first = children.page(readable, root, limit=3)
    rest = children.page(readable, root, limit=100, cursor=first.cursor)
    listed = [one.node.id for one in (*first.children, *rest.children)]
    assert listed == [dead, *mids[-4:], running, *mids[:-4]]
    assert [one.failed_below for one in (*first.children, *rest.children)] == [0, 1, 1, 1, 1, 0] + [0] * 63

    for wanted, expected in ((True, mids[-4:]), (False, mids[:-4])):
        page = children.page(readable, root, limit=100, statuses=[JobStatus.COMPLETED], failed_below=wanted)
        assert [one.node.id for one in page.children] == expected
    assert [one.failed_below for one in children.groups(readable, other)] == [3]


def test_rows_without_a_place_and_joined_children_lead_up_to_their_ancestors(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True)
    one, other = rows.job(root), rows.job(root)
    middle = rows.job(one)
    rows.job(middle, other, **DEAD)
    assert failing.below(children.Relatives(readable), children.Relatives(readable).job(root)).jobs == {
        one: 1,
        other: 1,
    }


@current_only
def test_a_search_that_reaches_its_limit_says_so(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = wide_tree(rows, mids=5, leaves=1, failing=5)
    monkeypatch.setattr(failing, "MOST_FAILED", 3)
    assert {one.more_failed_below for one in children.groups(readable, root)} == {True}
    assert sum(one.failed_below for one in children.groups(readable, root)) >= 3


def test_a_page_of_descendants_has_each_job_once_after_its_first_parent(readable: Database, rows: Rows) -> None:
    root, mids = wide_tree(rows, mids=4, leaves=3, failing=1)
    joined = rows.job(mids[1], mids[0])
    whole = children.descendants(readable, root, depth=9, limit=500).children
    tree = tree_queries.tree(readable, root)
    assert {one.node.id for one in whole} == tree.nodes.keys() - {root}
    assert len({one.node.id for one in whole}) == len(whole)
    assert all(
        one.depth == tree.depths[one.node.id] and one.children.total == tree.child_total(one.node.id) for one in whole
    )
    seen = [root]
    for one in whole:
        assert one.node.depends_on[0] in seen
        seen.append(one.node.id)
    assert seen.index(joined) > seen.index(mids[1])
    paged: list[str] = []
    cursor = None
    while cursor is not None or not paged:
        page = children.descendants(readable, root, depth=9, limit=2, cursor=cursor)
        paged += [one.node.id for one in page.children]
        cursor = page.cursor
    assert paged == seen[1:]
    two = children.descendants(readable, root, depth=2, limit=500).children
    assert [one.node.id for one in two] == [one.node.id for one in whole if one.depth <= 2]


@readable_on_sqlite
def test_a_circle_ends_and_a_cursor_whose_job_is_gone_is_refused(readable: Database, rows: Rows) -> None:
    root = rows.job()
    one = rows.job(root)
    other = rows.job(one)
    rows.run(f"UPDATE hammerwork_jobs SET depends_on = '{rows.ids([other])}' WHERE id = '{root}'")
    page = children.descendants(readable, root, depth=9, limit=1)
    assert [child.node.id for child in page.children] == [one]
    assert [child.node.id for child in children.descendants(readable, root, depth=9, limit=9).children] == [one, other]
    rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{one}'")
    with pytest.raises(NotFoundError, match="no longer in this list"):
        children.descendants(readable, root, depth=9, limit=1, cursor=page.cursor)


@current_only
def test_a_page_reads_no_more_of_a_larger_tree(readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    rows_of_a_statement = readable.rows

    def counted(*statement: Any, **values: Any) -> Any:
        nonlocal read
        found = rows_of_a_statement(*statement, **values)
        read += len(found)
        return found

    monkeypatch.setattr(readable, "rows", counted)
    sizes = []
    for mids in (20, 200):
        root, _ = wide_tree(rows, mids=mids, leaves=20, failing=3)
        middle = children.descendants(readable, root, depth=4, limit=40).cursor
        read = 0
        children.groups(readable, root)
        children.page(readable, root, limit=10)
        children.descendants(readable, root, depth=4, limit=10, cursor=middle)
        sizes.append(read)
    assert sizes[1] <= sizes[0] + 2 * children.SIBLINGS
    assert sizes[1] < 500
