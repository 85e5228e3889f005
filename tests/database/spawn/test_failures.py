"""Failures by error over a queue or the whole database: on every database, with our indexes and without."""

from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.models.why import Failures
from hammerwork_cli.features.spawn.queries import failures as failures_queries
from hammerwork_cli.features.spawn.queries.failures import failures
from hammerwork_cli.features.tree.ancestry import Ancestry
from tests.database.conftest import one_way_on_servers, readable_on_sqlite
from tests.database.tree.test_tree import archive
from tests.rows import START, Rows


def failed(rows: Rows, *parents: str, error: str | None = "boom", minutes: int = 1, **columns: Any) -> str:
    at = START + timedelta(minutes=minutes)
    return rows.job(*parents, **{"status": "Dead", "failed_at": at, "error_message": error, **columns})


def shapes(found: Failures) -> list[tuple[str | None, int, int | None]]:
    """Pattern, jobs and trees of each error."""
    return [(group.pattern, group.total, group.trees) for group in found.groups]


def test_errors_that_differ_in_numbers_ids_and_quoted_words_are_one(readable: Database, rows: Rows) -> None:
    for number, title in enumerate(("Nordlichter", "1 b", "c d")):
        failed(rows, rows.job(), error=f'cannot open "{title}" on host {number}: 0x{number}f')
    frames = "  File x\n" * 100
    failed(rows, error=f"Traceback (most recent call last):\n{frames}KeyError: 'a 1'\n")
    failed(
        rows, error=f"Traceback (most recent call last):\n{frames}  File y, line 7\nKeyError: 'b 2'", status="Failed"
    )
    failed(rows, error=None, status="TimedOut", failed_at=None, timed_out_at=START)
    rows.job(error_message="a Completed job is left out")
    found = failures(readable, limit=10)
    assert shapes(found) == [('cannot open "*" on host *: *', 3, 3), ("KeyError: '*'", 2, 2), (None, 1, 1)]
    assert found.counts.by_status["TimedOut"] == 1


@readable_on_sqlite
def test_equal_errors_are_shown_as_they_are_and_codes_tell_errors_apart(readable: Database, rows: Rows) -> None:
    errors = {
        "ValueError: amount of 'acme' is 17": 4,
        "KeyError: 'vat_id'": 3,
        "HTTP 404": 2,
        "HTTP 503": 1,
    }
    for error, jobs in errors.items():
        for _ in range(jobs):
            failed(rows, error=error)
    for name in ("acme", "beta", "gamma", "delta", "epsilon"):
        failed(rows, error=f"mailbox unavailable: {name}@example.com")
    groups = failures(readable, limit=10).groups
    assert [(group.text, group.total) for group in groups] == [("mailbox unavailable: *", 5), *errors.items()]
    failed(rows, error="ValueError: amount of 'acme' is 18")
    groups = failures(readable, limit=10).groups
    assert ("ValueError: amount of '*' is *", 5) in [(group.text, group.total) for group in groups]


@one_way_on_servers
def test_a_group_knows_its_times_its_queues_and_the_path_to_its_newest_job(readable: Database, rows: Rows) -> None:
    root = rows.job(queue="ingest")
    middle = rows.job(root, queue="transcode")
    failed(rows, middle, minutes=5, queue="segment")
    newest = failed(rows, middle, minutes=9, queue="segment")
    failed(rows, root, minutes=2, queue="thumbnail", status="failed")
    [group] = failures(readable, limit=10).groups
    assert (group.first_at, group.last_at) == (START + timedelta(minutes=2), START + timedelta(minutes=9))
    assert group.queues.by_status == {"segment": 2, "thumbnail": 1}
    assert group.statuses.by_status == {"Dead": 2, "Failed": 1}
    assert group.newest == newest
    assert group.example is not None
    assert [node.id for node in group.example.path] == [root, middle, newest]
    assert group.trees == 1


@readable_on_sqlite
def test_parents_that_are_gone_are_looked_for_once(readable: Database, rows: Rows) -> None:
    gone = ["99999999-9999-4999-8999-99999999999" + digit for digit in "12"]
    failed(rows, gone[0], error="one")
    failed(rows, rows.job(gone[1]), error="two")
    before = readable.executed
    assert len(failures(readable, limit=10).groups) == 2
    assert readable.executed - before < 40


def test_trees_are_counted_by_their_roots_on_any_level(readable: Database, rows: Rows) -> None:
    for _ in range(2):
        root = rows.job()
        middle = rows.job(root)
        deep = rows.job(middle)
        for parent in (root, middle, deep, deep):
            failed(rows, parent)
    failed(rows)
    gone = "00000000-0000-4000-8000-00000000dead"
    failed(rows, gone)
    failed(rows, gone)
    circle = "00000000-0000-4000-8000-0000000c0c1e"
    failed(rows, circle, id=circle)
    assert shapes(failures(readable, limit=10)) == [("boom", 12, 5)]


def test_the_root_that_a_row_names_is_believed(database: Database) -> None:
    rows = Rows(database)
    root = rows.job()
    place = Ancestry(root).child().stored()
    middle = rows.job(root, ancestry=place)
    failed(rows, middle, ancestry=place)
    failed(rows, rows.job(middle, ancestry=place), ancestry="unreadable")
    failed(rows, root)
    assert shapes(failures(database, limit=10)) == [("boom", 3, 1)]


@readable_on_sqlite
def test_trees_are_not_counted_where_there_are_too_many_jobs(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        failed(rows, rows.job())
    monkeypatch.setattr(failures_queries, "MOST_ANCESTORS", 2)
    assert shapes(failures(readable, limit=10)) == [("boom", 3, None)]


def test_a_queue_and_a_window_of_failures_choose(readable: Database, rows: Rows) -> None:
    failed(rows, queue="mail", minutes=5, error="new")
    failed(rows, queue="mail", minutes=1, error="old")
    failed(rows, queue="Mail", minutes=5, error="elsewhere")
    for minutes in (2, 7):
        failed(rows, queue="mail", error="lost", failed_at=None, timed_out_at=START + timedelta(minutes=minutes))
        failed(rows, queue="mail", error="odd", status="dead", minutes=minutes)
    failed(rows, queue="Mail", error="odd", status="dead")
    since = START + timedelta(minutes=4)
    every = [("lost", 2, 2), ("odd", 2, 2), ("new", 1, 1), ("old", 1, 1)]
    assert shapes(failures(readable, limit=10, queues=["mail"])) == every
    lately = [(error, 1, 1) for error in ("lost", "odd", "new")]
    assert sorted(shapes(failures(readable, limit=10, queues=["mail"], since=since))) == sorted(lately)
    assert failures(readable, limit=10, queues=["nowhere"]).groups == ()


def test_jobs_with_attempts_left_are_retrying_and_those_that_failed_with_others_are_only_counted(
    readable: Database, rows: Rows
) -> None:
    waiting: dict[str, Any] = {"failed_at": None, "started_at": START}
    failed(rows, status="Pending", attempts=1, **waiting)
    failed(rows, status="Retrying", attempts=2, **waiting)
    failed(rows, status="Pending", attempts=0, **waiting)
    top = failed(rows)
    failed(rows, top, error="a job that it depends on failed", dependency_status="failed")
    found = failures(readable, limit=10)
    assert [group.statuses.by_status for group in found.groups] == [{"Dead": 1, "Retrying": 2}]
    assert found.consequences == 1
    assert failures(readable, limit=10, since=START + timedelta(seconds=30)).counts.by_status == {"Dead": 1}


@readable_on_sqlite
def test_the_largest_groups_come_first_and_the_rest_is_counted(readable: Database, rows: Rows) -> None:
    for error, times in (("once", 1), ("thrice", 3), ("twice", 2)):
        for _ in range(times):
            failed(rows, error=error)
    found = failures(readable, limit=2)
    assert shapes(found) == [("thrice", 3, 3), ("twice", 2, 2)]
    assert (found.more, found.counts.total) == (1, 6)


def test_archived_rows_are_left_out_and_archived_parents_are_found(database: Database) -> None:
    rows = Rows(database)
    root = archive(rows)
    for _ in range(2):
        failed(rows, archive(rows, root))
    failed(rows, error="archived", archived_at=START)
    assert shapes(failures(database, limit=10)) == [("boom", 2, 1)]
