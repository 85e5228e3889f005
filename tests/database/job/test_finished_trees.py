"""Whole finished trees, as ``job purge --tree`` deletes them."""

from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.database import Database
from hammerwork_cli.models import FINISHED, JobFilter, JobStatus
from hammerwork_cli.queries.job import changes, finished_trees
from hammerwork_cli.queries.job.finished_trees import FinishedTrees, Purge
from tests.rows import START, Rows

OLD, NOW = START + timedelta(hours=1), START + timedelta(days=10)
BEFORE = START + timedelta(days=1)


@pytest.fixture
def rows(database: Database) -> Rows:
    """Writes jobs into ``database``."""
    return Rows(database)


def purged(database: Database, *statuses: JobStatus, **wanted: Any) -> set[str]:
    """What a purge deletes, and its plan has counted."""
    selection = FinishedTrees(JobFilter(statuses=statuses or tuple(FINISHED), ended_before=BEFORE, **wanted))
    change = Purge(NOW, whole=True)
    before = {row[0] for row in database.query("SELECT id FROM hammerwork_jobs")}
    plan = changes.plan(database, selection, change)
    outcome = changes.run(database, selection, change)
    gone = {str(job) for job in before - {row[0] for row in database.query("SELECT id FROM hammerwork_jobs")}}
    assert (plan.changed, outcome.changed, outcome.left.total) == (len(gone), len(gone), 0)
    return gone


def ended(rows: Rows, *parents: str, status: str = "Completed", at: Any = OLD, **columns: Any) -> str:
    times = {"completed_at": at} if status == "Completed" else {"failed_at": at}
    return rows.job(*parents, status=status, **times, **columns)


def test_a_tree_goes_as_a_whole_or_not_at_all(database: Database, rows: Rows) -> None:
    old = [ended(rows)]
    old += [ended(rows, old[0]), ended(rows, old[0], status="Dead")]
    old.append(ended(rows, old[1], status="TimedOut"))
    waits = ended(rows)
    rows.job(ended(rows, waits), status="Pending")
    recent = ended(rows)
    ended(rows, recent, at=NOW)
    alone = ended(rows)
    assert purged(database) == {*old, alone}


def test_each_job_of_the_tree_has_one_of_the_statuses(database: Database, rows: Rows) -> None:
    clean, broken = ended(rows), ended(rows)
    child = ended(rows, clean)
    ended(rows, broken, status="Dead")
    assert purged(database, JobStatus.COMPLETED) == {clean, child}


def test_the_queue_is_that_of_the_root(database: Database, rows: Rows) -> None:
    root = ended(rows, queue="ingest")
    child = ended(rows, root, queue="mail")
    ended(rows, queue="mail")
    assert purged(database, queue="ingest") == {root, child}


def test_a_join_makes_one_tree_of_several_roots(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one_by_one in (False, True):
        monkeypatch.setattr(finished_trees, "ROOTS", 1 if one_by_one else 200)
        left, right = ended(rows), ended(rows)
        joined = ended(rows, left, right)
        assert purged(database) == {left, right, joined}
        left, right = ended(rows), ended(rows)
        still = rows.job(left, right, status="Running")
        assert purged(database) == set()
        rows.run(f"DELETE FROM hammerwork_jobs WHERE id IN ('{left}', '{right}', '{still}')")


def test_an_interrupted_purge_leaves_the_top_for_the_next_one(database: Database, rows: Rows) -> None:
    root = ended(rows)
    child = ended(rows, root)
    grandchild = ended(rows, child)
    [batch] = FinishedTrees(JobFilter(statuses=tuple(FINISHED), ended_before=BEFORE)).batches(database)
    assert batch.ids == [grandchild, child, root]
