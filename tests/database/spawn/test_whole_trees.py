"""Operations at the tops of their trees, and counts of whole trees."""

from datetime import timedelta
from uuid import uuid4

import pytest

from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.queries import failed, whole_trees
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from tests.database.conftest import one_way_on_servers, readable_on_sqlite
from tests.rows import START, Rows


def tree(rows: Rows, *statuses: str, minutes: int = 0) -> tuple[str, list[str]]:
    """A parent, two children that spawned too, and what each of these spawned, in these statuses."""
    created = {"created_at": START + timedelta(minutes=minutes)}
    top = rows.job(queue="ingest", spawns=True, **created)
    middle = [rows.job(top, queue="transcode", spawns=True, **created) for _ in range(2)]
    for parent in middle:
        for status in statuses:
            rows.job(parent, queue="segment", status=status, **created)
    return top, middle


def test_an_operation_below_another_is_not_a_top(readable: Database, rows: Rows) -> None:
    first, _ = tree(rows, "Completed")
    second, _ = tree(rows, "Dead", minutes=1)
    plain = rows.job(queue="plain", created_at=START + timedelta(minutes=2))
    third, _ = rows.job(plain, queue="after", spawns=True, created_at=START + timedelta(minutes=3)), rows.job(plain)
    page, cursor = whole_trees.page(readable, limit=2)
    assert [one.parent.id for one in page] == [third, second]
    assert page[1].children.total == 2
    assert cursor is not None
    page, cursor = whole_trees.page(readable, limit=2, cursor=cursor)
    assert [one.parent.id for one in page] == [first]
    assert cursor is None
    assert [one.parent.id for one in whole_trees.page(readable, limit=9, queues=["after"])[0]] == [third]


@readable_on_sqlite
def test_a_page_goes_on_after_many_parents_that_are_no_tops(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_trees, "PARENTS_AT_ONCE", 2)
    monkeypatch.setattr(whole_trees, "MOST_ROUNDS", 1)
    tops = [tree(rows, "Completed", minutes=minutes)[0] for minutes in (1, 2)]
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page, cursor = whole_trees.page(readable, limit=5, cursor=cursor)
        found += [one.parent.id for one in page]
        pages += 1
    assert sorted(found) == sorted(tops)
    assert pages > 1


@one_way_on_servers
def test_failed_trees_are_listed_once_by_their_top_with_their_number(readable: Database, rows: Rows) -> None:
    old, _ = tree(rows, "Dead")
    new, _ = tree(rows, "TimedOut", minutes=1)
    tree(rows, "Completed", minutes=2)
    every = failed.operations(readable, limit=1)
    assert every.total == 6
    tops = failed.operations(readable, limit=1, topmost=True)
    assert tops.total == 2
    assert [one.parent.id for one in failed.operations(readable, limit=9, topmost=True).operations] == [new, old]


@readable_on_sqlite
def test_a_circle_of_damaged_rows_is_a_top_of_its_own(readable: Database, rows: Rows) -> None:
    one, other = str(uuid4()), str(uuid4())
    rows.job(other, id=one, spawns=True)
    rows.job(one, id=other, spawns=True)
    rows.job(other, status="Dead")
    found = failed.operations(readable, limit=9, topmost=True).operations
    assert {operation.parent.id for operation in found} == {one, other}


def test_operations_know_the_counts_of_their_whole_trees(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(database)
    top, _ = tree(rows, "Completed", "Dead", "Pending")
    childless = rows.job(queue="empty", spawns=True)
    operations, _ = whole_trees.page(database, limit=9)
    by_id = {one.parent.id: one.tree for one in whole_trees.with_counts(database, operations)}
    whole = by_id[top]
    assert whole is not None
    assert (whole.counts.by_status, whole.more) == ({"Completed": 4, "Dead": 2, "Pending": 2}, False)
    assert by_id[childless] is None

    monkeypatch.setattr(whole_trees, "MOST_COUNTED", 3)
    [large] = whole_trees.with_counts(database, [one for one in operations if one.parent.id == top])
    assert large.tree is not None
    assert (large.tree.counts.by_status, large.tree.more) == ({"Completed": 2}, True)


@readable_on_sqlite
def test_without_our_indexes_only_children_are_counted_in_a_list(readable: Database, rows: Rows) -> None:
    tree(rows, "Completed")
    counted = whole_trees.with_counts(readable, operations_queries.operations(readable, limit=1))
    assert (counted[0].tree is None) is not readable.is_current


def test_the_jobs_below_one_are_counted_once_each(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, middle = tree(rows, "Completed", "Dead")
    rows.job(*middle, status="Pending")
    counts = whole_trees.counts(readable, top)
    assert (counts.counts.by_status, counts.more) == ({"Completed": 4, "Dead": 2, "Pending": 1}, False)
    monkeypatch.setattr(whole_trees, "LARGEST_TREE", 3)
    assert whole_trees.counts(readable, top).more
    assert whole_trees.counts(readable, middle[0]).counts.total == 3
