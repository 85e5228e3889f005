"""Operations with failures on any level below them: on every database, with our indexes and without."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.core.values import JobStatus, rfc3339
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.queries import failed as failed_queries
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from tests.database.conftest import current_only, one_way_on_servers, readable_on_sqlite
from tests.database.spawn.test_monitor import change
from tests.rows import CONFIG, START, Rows


def listed(database: Database, limit: int = 100, **filters: Any) -> list[tuple[str, int]]:
    """Parent and what failed below it."""
    found = failed_queries.operations(database, limit=limit, **filters)
    return [(one.parent.id, one.below.jobs) for one in found.operations if one.below]


def failed(rows: Rows, *parents: str, minutes: int = 1, status: str = "Dead", **columns: Any) -> str:
    return rows.job(*parents, status=status, failed_at=START + timedelta(minutes=minutes), **columns)


def three_levels(rows: Rows, minutes: int = 1, queue: str = "ingest") -> tuple[str, str, str]:
    """A healthy looking parent, a child that spawned too, and a job of that which failed."""
    top = rows.job(spawns=True, queue=queue)
    middle = rows.job(top, spawns=True)
    rows.job(top)
    rows.job(middle)
    return top, middle, failed(rows, middle, minutes=minutes)


def test_a_failure_two_levels_down_leads_to_all_that_spawned_above_it(readable: Database, rows: Rows) -> None:
    old = three_levels(rows, minutes=5)
    new = three_levels(rows, minutes=9)
    failed(rows, old[1], minutes=4, status="failed")
    healthy = rows.job(spawns=True)
    rows.job(healthy)
    failed(rows, minutes=20)
    [first, *_] = failed_queries.operations(readable, limit=1).operations
    assert (first.parent.id, first.children.total, first.children.failed) == (new[0], 2, 0)
    assert first.below == (1, False, START + timedelta(minutes=9), None)
    assert listed(readable) == [(new[0], 1), (new[1], 1), (old[0], 2), (old[1], 2)]


def test_the_plain_list_knows_the_failures_below_the_children_of_what_it_lists(readable: Database, rows: Rows) -> None:
    top, middle, _ = three_levels(rows)
    healthy = rows.job(spawns=True)
    rows.job(healthy)
    page, _ = operations_queries.page(readable, limit=10)
    found = failed_queries.with_failures(readable, page)
    assert {one.parent.id: one.below and one.below.jobs for one in found} == {top: 1, middle: 1, healthy: None}
    assert [one._replace(below=None) for one in found] == page
    assert failed_queries.with_failures(readable, []) == []


@one_way_on_servers
def test_an_operation_that_failed_itself_is_listed_and_every_spelling_of_failure_counts(
    readable: Database, rows: Rows
) -> None:
    parent = rows.job(spawns=True)
    for status in ("Failed", "Dead", '"Dead"', "timed_out"):
        failed(rows, parent, status=status)
    rows.job(parent, status="TimedOut", timed_out_at=START + timedelta(minutes=7))
    untimed = rows.job(spawns=True)
    rows.job(untimed, status="Failed")
    rows.job(untimed, status="Failed", completed_at=START + timedelta(minutes=3))
    own = failed(rows, spawns=True, minutes=6)
    assert listed(readable) == [(parent, 5), (own, 0), (untimed, 2)]


def test_an_operation_has_the_error_of_the_newest_failure_at_or_below_it(readable: Database, rows: Rows) -> None:
    top, middle, _ = three_levels(rows)
    failed(rows, middle, minutes=3, error_message="Traceback (most recent call last):\n  File x\nKeyError: 'title'\n")
    failed(rows, top, minutes=2, error_message="older")
    own = failed(rows, spawns=True, minutes=1, error_message="its own\nand more")
    found = failed_queries.operations(readable, limit=10).operations
    errors = {one.parent.id: one.below and one.below.newest_error for one in found}
    assert errors == {top: "KeyError: 'title'", middle: "KeyError: 'title'", own: "its own"}


@readable_on_sqlite
def test_the_topmost_operations_and_a_window_can_be_asked_for(readable: Database, rows: Rows) -> None:
    old = three_levels(rows, minutes=5)
    new = three_levels(rows, minutes=9)
    assert listed(readable, roots=True) == [(new[0], 1), (old[0], 1)]
    created = START + timedelta(seconds=6)
    assert listed(readable, until=created) == [(old[0], 1), (old[1], 1)]
    assert listed(readable, since=created, roots=True) == [(new[0], 1)]


def test_the_filters_are_about_the_operation_not_about_what_failed(readable: Database, rows: Rows) -> None:
    top, middle, _ = three_levels(rows)
    assert listed(readable, queues=["ingest"]) == [(top, 1)]
    assert listed(readable, queues=["work"]) == [(middle, 1)]
    assert listed(readable, statuses=[JobStatus.DEAD]) == []
    assert listed(readable, since=START + timedelta(seconds=2)) == [(middle, 1)]
    assert listed(readable, operations=["op-1"]) == [(top, 1), (middle, 1)]
    assert listed(readable, operations=["op-2"]) == []


@readable_on_sqlite
def test_the_next_page_begins_after_the_last_operation_seen(readable: Database, rows: Rows) -> None:
    every = [job for minutes in (3, 2, 1) for job in three_levels(rows, minutes)[:2]]
    seen: list[str] = []
    cursor = None
    while len(seen) < len(every):
        page = failed_queries.operations(readable, limit=4, cursor=cursor)
        seen += [one.parent.id for one in page.operations]
        cursor = page.cursor
    assert seen == every
    assert cursor is None
    gone = f"{rfc3339(START + timedelta(minutes=2, seconds=30))}/{uuid4()}"
    assert listed(readable, cursor=gone) == [(job, 1) for job in every[2:]]


def test_joins_cycles_and_parents_that_are_nowhere_do_not_stop_it(readable: Database, rows: Rows) -> None:
    left, right = rows.job(spawns=True), rows.job(spawns=True)
    middle = rows.job(left, right)
    failed(rows, middle, left, str(uuid4()))
    first = rows.job(spawns=True)
    second = failed(rows, first, spawns=True, minutes=-1)
    change(rows, first, depends_on=rows.ids([second]))
    assert dict(listed(readable)) == {left: 1, right: 1, first: 1, second: 1}


def test_ancestors_that_are_only_in_the_archive_are_listed(readable: Database, rows: Rows) -> None:
    top = str(uuid4())
    payload = json.dumps({"_spawn_config": CONFIG}).encode()
    row = {"id": top, "queue_name": "ingest", "payload": payload, "status": "Completed", "created_at": START}
    row |= {"scheduled_at": START, "archived_at": START, "attempts": 1, "max_attempts": 3}
    rows.insert("hammerwork_jobs_archive", row)
    middle = rows.job(top, spawns=True)
    failed(rows, middle)
    assert listed(readable) == [(top, 1), (middle, 1)]


@current_only
def test_a_parent_without_configuration_is_known_by_the_record_of_its_spawning(readable: Database, rows: Rows) -> None:
    parent = rows.job()
    failed(rows, parent)
    assert listed(readable) == []
    record = {"id": str(uuid4()), "parent_id": parent, "root_id": parent, "depth": 0, "occurrence": ""}
    times = {"started_at": START, "ended_at": START}
    rows.insert("hammerwork_spawn_operations", {**record, "outcome": "spawned", "children": 1, **times})
    assert listed(readable) == [(parent, 1)]
    assert listed(readable, operations=[record["id"]]) == [(parent, 1)]


@readable_on_sqlite
def test_where_a_bound_is_reached_it_says_that_there_may_be_more(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = [rows.job(spawns=True) for _ in range(3)]
    for minutes, parent in enumerate(parents):
        failed(rows, parent, minutes=minutes)
    assert not failed_queries.operations(readable, limit=1).more
    for name in ("MOST_FAILED", "MOST_ANCESTORS"):
        with monkeypatch.context() as patched:
            patched.setattr(failed_queries, name, 2)
            found = failed_queries.operations(readable, limit=100)
        assert found.more
        assert len(found.operations) == 2
    monkeypatch.setattr(failed_queries, "MOST_FAILED", 1)
    assert listed(readable) == [(parents[2], 1)]
    monkeypatch.undo()
    three_levels(rows)
    monkeypatch.setattr(failed_queries, "LEVELS", 1)
    assert failed_queries.operations(readable, limit=100).more


@readable_on_sqlite
def test_it_takes_as_many_statements_for_many_failures_as_for_few(readable: Database, rows: Rows) -> None:
    def sent() -> int:
        before = readable.executed
        assert failed_queries.operations(readable, limit=1000).operations
        return readable.executed - before

    three_levels(rows)
    few = sent()
    readable.transaction(lambda: [three_levels(rows, minutes) for minutes in range(40)])
    assert sent() == few
    assert few <= 12


def test_the_latest_failures_are_those_that_failed_last_whenever_they_were_created(
    readable: Database, rows: Rows
) -> None:
    late = failed(rows, minutes=9, status="failed", queue="old")
    timed_out = rows.job(status="TimedOut", timed_out_at=START + timedelta(minutes=8))
    early = failed(rows, minutes=1)
    declared_dead = rows.job(status="Dead")
    rows.job(status="Completed", completed_at=START + timedelta(minutes=10))

    assert [job.node.id for job in failed_queries.latest(readable, limit=9)] == [late, timed_out, early, declared_dead]
    assert [job.node.id for job in failed_queries.latest(readable, limit=2)] == [late, timed_out]
    assert [job.node.id for job in failed_queries.latest(readable, limit=9, queues=["old"])] == [late]
    since = START + timedelta(minutes=2)
    assert [job.node.id for job in failed_queries.latest(readable, limit=9, since=since)] == [late, timed_out]
