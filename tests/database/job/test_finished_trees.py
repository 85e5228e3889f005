"""Whole finished trees, as ``job purge --tree`` deletes them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import FINISHED, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.features.callbacks.model import CallbackEvent, Subject
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import Reason
from hammerwork_cli.features.job.options import new_callback
from hammerwork_cli.features.job.queries import changes, enqueue, finished_trees, spawn_requests
from hammerwork_cli.features.job.queries.finished_trees import FinishedTrees, PurgeJobs
from hammerwork_cli.features.job.queries.selections import ByFilter
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.worker.queries import ancestry, requests, spawn
from tests.conftest import on_sqlite
from tests.rows import START, Rows

ENDED = JobFilter(statuses=tuple(FINISHED), ended_before=START + timedelta(days=1))
OLD, NOW = START + timedelta(hours=1), START + timedelta(days=10)
BEFORE = START + timedelta(days=1)


@pytest.fixture
def rows(database: Database) -> Rows:
    """Writes jobs into ``database``."""
    return Rows(database)


def purged(database: Database, *statuses: JobStatus, **wanted: Any) -> set[str]:
    """What a purge deletes, and its plan has counted."""
    selection = FinishedTrees(JobFilter(statuses=statuses or tuple(FINISHED), ended_before=BEFORE, **wanted))
    change = PurgeJobs(NOW, whole=True)
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
    assert purged(database, queues=("ingest",)) == {root, child}


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


def test_every_root_of_a_tree_is_of_the_queue(database: Database, rows: Rows) -> None:
    tmp, audit = ended(rows, queue="tmp"), ended(rows, queue="audit")
    tree = {tmp, audit, ended(rows, tmp, audit, queue="tmp"), ended(rows, audit, queue="audit")}
    alone = ended(rows, queue="tmp")
    assert purged(database, but_queues=("audit",)) == {alone}
    assert purged(database, queues=("tmp",)) == set()
    assert purged(database) == tree


def test_a_job_is_as_old_as_the_last_of_its_times(database: Database, rows: Rows) -> None:
    retried = rows.job(status="TimedOut", failed_at=OLD, timed_out_at=NOW)
    rows.job(status="Failed", completed_at=OLD, failed_at=NOW)
    declared = rows.job(status="Dead", started_at=NOW, scheduled_at=NOW)
    parent = ended(rows)
    rows.job(parent, status="Dead", started_at=OLD, scheduled_at=NOW)
    never = rows.job(status="Failed", scheduled_at=NOW + timedelta(days=9), failed_at=OLD)
    assert purged(database) == {never}
    for days, old in ((1, set()), (11, {retried, declared})):
        before = START + timedelta(days=days)
        by_status = JobFilter(ended=((JobStatus.TIMED_OUT, before), (JobStatus.DEAD, before)))
        assert {job for batch in FinishedTrees(by_status).batches(database) for job in batch.ids} == old


def test_a_job_that_is_still_to_spawn_stays_with_its_tree(database: Database, rows: Rows) -> None:
    root = ended(rows)
    asked = ended(rows, root)
    request = spawn_requests.request(database, asked, handler=None, config=None, by="ada", now=NOW)
    job = None
    for _ in ("pending", "running"):
        child = ended(rows, asked)
        assert purged(database) == set()
        outcome = changes.run(database, ByFilter(ENDED), PurgeJobs(NOW, whole=True))
        assert (outcome.changed, outcome.refused) == (1, 0)
        assert outcome.left.by_status == {Reason.SPAWN_REQUESTED: 1, Reason.HAS_CHILDREN: 1}
        assert database.query(f"SELECT 1 FROM hammerwork_jobs WHERE id = '{child}'") == []
        job = job or requests.claim_request(database, request, new_id(), NOW)
    assert job is not None
    rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{asked}'")
    spawner = ancestry.Spawner.of(job, ancestry.of(database, job), SpawnConfig(), request.id)
    operation = spawn.Operation(new_id(), spawner, "work", SpawnConfig(), NOW, 0)
    assert requests.fulfil(database, request, job, operation, list, now=NOW).lost == {asked}
    assert spawn_requests.requests(database, asked)[0].state == "running"


@pytest.mark.parametrize("subject", list(Subject))
def test_a_job_that_is_still_to_be_counted_for_a_callback_stays_with_its_tree(
    database: Database, rows: Rows, subject: Subject
) -> None:
    of = new_id()
    columns: dict[str, str] = {Subject.BATCH: {"batch_id": of}, Subject.WORKFLOW: {"workflow_id": of}}.get(subject, {})
    root = ended(rows)
    top = ended(rows, root, **columns)
    counted = of if columns else top
    database.transaction(
        lambda: enqueue.add_callbacks(
            database, subject, counted, [new_callback(CallbackEvent.SUCCESS, {"queue": "done"})], NOW
        )
    )
    ended(rows, top)
    assert purged(database) == set()
    outcome = changes.run(database, ByFilter(ENDED), PurgeJobs(NOW, whole=True))
    assert (outcome.changed, outcome.left.by_status) == (1, {Reason.AWAITED: 1, Reason.HAS_CHILDREN: 1})
    rows.run(f"UPDATE hammerwork_watches SET ended_at = '{NOW:%Y-%m-%d %H:%M:%S}'")
    assert purged(database) == {root, top}


def test_a_job_below_an_uncounted_tree_stays_even_when_jobs_go_one_by_one(database: Database, rows: Rows) -> None:
    root = ended(rows)
    middle = ended(rows, root)
    low, free = ended(rows, middle), ended(rows)
    database.transaction(
        lambda: enqueue.add_callbacks(
            database, Subject.TREE, root, [new_callback(CallbackEvent.SUCCESS, {"queue": "done"})], NOW
        )
    )
    rows.run(f"UPDATE hammerwork_jobs SET queue_name = 'apart' WHERE id IN ('{low}', '{free}')")
    outcome = changes.run(database, ByFilter(ENDED._replace(queues=("apart",))), PurgeJobs(NOW))
    assert (outcome.changed, outcome.left.by_status) == (1, {Reason.AWAITED: 1})
    rows.run(f"UPDATE hammerwork_watches SET ended_at = '{NOW:%Y-%m-%d %H:%M:%S}'")
    assert changes.run(database, ByFilter(ENDED), PurgeJobs(NOW)).changed == 3


def test_a_tree_whose_root_is_only_in_the_archive_is_counted_and_read_once(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished_trees, "ROOTS", 2)
    root = new_id()
    children = {ended(rows, root) for _ in range(9)}
    row = {"id": root, "queue_name": "work", "payload": b"{}", "status": "Completed", "priority": "Normal"}
    rows.insert("hammerwork_jobs_archive", row | dict.fromkeys(("created_at", "scheduled_at", "archived_at"), START))
    asked = levels_read(monkeypatch)
    found = FinishedTrees(ENDED).read(database)
    assert (sum(group.jobs for group in found.groups), len(asked)) == (9, 3)
    assert purged(database) == children


@on_sqlite
def test_only_so_many_jobs_are_read_before_the_first_go(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished_trees, "MOST_TOGETHER", 25)
    monkeypatch.setattr(finished_trees, "BATCH", 10)
    everything = set()
    with rows.at_once():
        for size in (0, 9, 60, 9, 9, 9, 0, 0, 30, 9, 9):
            root = ended(rows)
            everything |= {root, *(ended(rows, root) for _ in range(size))}
    forests: list[int] = []
    trees = finished_trees._Forest.trees

    def noted(forest: finished_trees._Forest) -> Any:
        forests.append(len(forest.parents))
        return trees(forest)

    monkeypatch.setattr(finished_trees._Forest, "trees", noted)
    next(FinishedTrees(ENDED).batches(database))
    assert sum(forests) < 100
    assert list(FinishedTrees(ENDED, is_over=lambda: True).batches(database)) == []
    forests.clear()
    assert purged(database) == everything
    assert [jobs for jobs in sorted(forests) if jobs > 25] == [31, 31, 61, 61]


def levels_read(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Collects the jobs whose children are read."""
    asked: list[Sequence[str]] = []
    children = Relatives.children

    def reading(self: Relatives, parents: Sequence[str], limit: int | None = None) -> Any:
        asked.append(parents)
        return children(self, parents, limit)

    monkeypatch.setattr(Relatives, "children", reading)
    return asked
