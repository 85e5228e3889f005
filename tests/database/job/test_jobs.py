"""Jobs and what depends on them, on every database and in every state of its tables."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from hammerwork_cli.core.values import FAILED_SPELLINGS, JobStatus, timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.models.plan import Reason, Refusal
from hammerwork_cli.features.job.queries import changes, dependencies, enqueue, listing
from hammerwork_cli.features.job.queries import details as details_queries
from hammerwork_cli.features.job.queries.changes import CancelJobs, Delete, RetryJobs
from hammerwork_cli.features.job.queries.dependencies import WAITING_SPELLINGS
from hammerwork_cli.features.job.queries.finished_trees import PurgeJobs
from hammerwork_cli.features.job.queries.selections import ByFilter, ByIds, Subtrees
from hammerwork_cli.features.tree.queries.release import RECURRING
from tests.conftest import each_row
from tests.database.conftest import current_only, params
from tests.jobs import NOW, identity, job

P, D = JobStatus.PENDING, JobStatus.DEAD
CANCEL = CancelJobs(NOW, by="ada@host")


def below(number: int, *parents: int, status: JobStatus = P, state: str = "waiting") -> NewJob:
    """A job that depends on others."""
    return job(number, status, depends_on=tuple(map(identity, parents)), dependency_status=state)


def states(database: Database) -> list[tuple[int, str, str]]:
    """Number, status and ``dependency_status`` of all jobs."""
    found = database.query("SELECT id, status, dependency_status FROM hammerwork_jobs ORDER BY id")
    return [(int(str(row[0])[:8], 16), row[1], row[2]) for row in found]


@current_only
def test_dependents_are_found_under_each_of_their_parents(readable: Database) -> None:
    enqueue.insert(readable, [job(1), job(2), below(3, 1), below(4, 2, 1), below(5, 1, state="none"), below(6, 9, 2)])
    pairs = dependencies.dependents(readable, [identity(1), identity(2)], ("waiting",), WAITING_SPELLINGS)
    expected = {(1, 3), (2, 4), (1, 4), (2, 6)}
    assert {(parent, child) for parent, child in pairs} == {(identity(a), identity(b)) for a, b in expected}
    assert dependencies.dependents(readable, [identity(1)], "failed", FAILED_SPELLINGS) == []


@current_only
def test_cancel_and_retry_take_what_waits_along_and_back(readable: Database) -> None:
    enqueue.insert(readable, [job(1), below(2, 1), below(3, 9, 2), below(4, 3)])
    before = states(readable)
    outcome = changes.run(readable, ByIds([identity(1)]), CANCEL)
    assert (outcome.changed, outcome.followed) == (1, 3)
    assert {status for _, status, _ in states(readable)} == {"Failed"}
    outcome = changes.run(readable, ByIds([identity(1)]), RetryJobs(NOW, cancelled=True))
    # Job 3 also depends on a job that is gone, so it cannot run, and neither can what waits for it.
    assert (outcome.changed, outcome.followed) == (1, 1)
    assert states(readable)[:2] == before[:2]


@current_only
def test_a_retried_recurring_job_leaves_failed_what_failed_with_its_occurrence(readable: Database) -> None:
    daily = job(1, JobStatus.FAILED, recurring=True, cron_schedule="0 0 3 * * *")
    enqueue.insert(readable, [daily, below(2, 1, status=JobStatus.FAILED, state="failed")])
    outcome = changes.run(readable, ByIds([identity(1)]), RetryJobs(NOW, cancelled=True))
    assert (outcome.changed, outcome.followed) == (1, 0)
    assert states(readable) == [(1, "Pending", "none"), (2, "Failed", "failed")]


@pytest.mark.parametrize("readable", params("sqlite"), indirect=True)
def test_dependents_that_changed_since_they_were_found_are_not_reset(readable: Database) -> None:
    found = [
        below(2, 1, status=JobStatus.FAILED, state="satisfied"),
        below(3, 1, status=JobStatus.RUNNING, state="failed"),
        below(4, 1, status=JobStatus.FAILED, state="failed"),
    ]
    enqueue.insert(readable, [job(1), *found])
    following = dependencies.Following(jobs=[one.id for one in found])
    assert dependencies.rearm_next(readable, following, NOW).changed == [identity(4)]


@each_row(
    ("parents", "state"),
    [
        ((), "satisfied"),
        ((JobStatus.COMPLETED, JobStatus.ARCHIVED, RECURRING), "satisfied"),
        ((JobStatus.COMPLETED, P), "waiting"),
        ((P, D), "failed"),
        ((P, None), "failed"),
    ],
)
def test_the_state_of_a_job_follows_from_its_parents(parents: tuple[str | None, ...], state: str) -> None:
    statuses = {str(number): status for number, status in enumerate(parents) if status is not None}
    assert dependencies.state_of(map(str, range(len(parents))), statuses) == state


@current_only
def test_a_plan_counts_the_jobs_that_a_change_would_make_and_skip(readable: Database) -> None:
    enqueue.insert(readable, [job(1, D), job(2, D, queue="other"), job(3, JobStatus.RUNNING), below(4, 9, status=D)])
    every = ByFilter(JobFilter())
    plan = changes.plan(readable, every, RetryJobs(NOW))
    assert [(group.queue, group.status, group.jobs, group.changes) for group in plan.groups] == [
        ("mail", "Dead", 2, True),
        ("mail", "Running", 1, False),
        ("other", "Dead", 1, True),
    ]
    assert (plan.changed, plan.left.by_status, plan.cautious, plan.job) == (3, {"Running": 1}, True, None)
    assert changes.refused(readable, RetryJobs(NOW), plan) is None
    forced = changes.plan(readable, every, RetryJobs(NOW, force=True))
    assert (forced.changed, forced.cautious, forced.touches_running) == (4, False, True)
    assert {status for _, status, _ in states(readable)} == {"Dead", "Running"}


@current_only
def test_the_only_job_that_was_named_is_refused_with_a_reason(readable: Database) -> None:
    enqueue.insert(readable, [job(1, JobStatus.COMPLETED), below(2, 1, status=D), below(3, 2, status=D)])
    first, last, missing = (ByIds([identity(number)]) for number in (1, 3, 9))
    plan = changes.plan(readable, first, RetryJobs(NOW))
    assert changes.refused(readable, RetryJobs(NOW), plan) == Refusal(
        "retry", identity(1), "Completed", failed_below=True
    )
    outcome = changes.run(readable, last, RetryJobs(NOW))
    assert (outcome.changed, outcome.refused) == (0, 1)
    assert changes.refused(readable, RetryJobs(NOW), outcome) == Refusal("retry", identity(3), Reason.PARENT_FAILED)
    gone = changes.refused(readable, CANCEL, changes.plan(readable, missing, CANCEL))
    assert gone == Refusal("cancel", identity(9), Reason.GONE)


@current_only
def test_jobs_that_a_filter_chose_are_refused_only_for_reasons_of_the_change(readable: Database) -> None:
    enqueue.insert(readable, [job(1, D), below(2, 1), job(3, JobStatus.RUNNING)])
    skipped = {Delete: 2, PurgeJobs: 1}
    for kind, refused in skipped.items():
        outcome = changes.run(readable, ByFilter(JobFilter(statuses=(D, JobStatus.RUNNING))), kind(NOW))
        assert (outcome.left.by_status, outcome.refused) == ({"Running": 1, "waited_for": 1}, refused), kind


@current_only
def test_trees_are_changed_to_the_bottom(readable: Database) -> None:
    enqueue.insert(
        readable, [job(1, D), below(2, 1, state="none"), below(3, 2, state="none"), below(4, 1, 3, state="none")]
    )
    statuses = JobFilter(statuses=(P,)).statuses
    assert changes.run(readable, Subtrees([identity(1)], statuses), CANCEL).changed == 3
    all_of_them = Subtrees([identity(1)], (D, JobStatus.CANCELLED))
    assert changes.run(readable, all_of_them, RetryJobs(NOW, cancelled=True)).changed == 4


@current_only
def test_jobs_are_found_shown_and_enqueued(readable: Database) -> None:
    enqueue.insert(readable, [job(1, JobStatus.COMPLETED)])
    new = job(2, depends_on=(identity(1),))
    placed = enqueue.once(readable, new)
    assert (placed.dependency_status, placed.created) == ("satisfied", True)
    again = enqueue.once(readable, replace(new, scheduled_at=NOW + timedelta(hours=1)))
    assert again.created is False
    assert timestamp(again.scheduled_at) == new.scheduled_at
    assert [found.node.id for found in listing.find(readable, JobFilter(), limit=5).jobs] == [identity(1), identity(2)]
    details = details_queries.details(readable, identity(2))
    assert [parent.id for parent in details.parents] == [identity(1)]
    assert details_queries.details(readable, identity(1)).children.total == 1


def test_a_change_is_a_few_statements_a_thousand_jobs(database: Database) -> None:
    enqueue.insert(database, [job(number, D) for number in range(1, 1201)])
    chosen = ByFilter(JobFilter(statuses=(D,), unarchived=True))
    before = database.executed
    assert changes.run(database, chosen, RetryJobs(NOW)).changed == 1200
    # A batch: its ids, the lock, the update, and the dependents in chunks of at least 200.
    assert database.executed - before <= 2 * (3 + 5) + 1


def test_a_job_that_a_worker_claims_meanwhile_is_not_cancelled(database: Database, migrated_url: str) -> None:
    enqueue.insert(database, [job(1), job(2)])
    outcomes = []
    with _worker(migrated_url) as worker:

        def cancel() -> None:
            with contextlib.closing(connect(migrated_url)) as operator:
                outcomes.append(changes.run(operator, ByFilter(JobFilter(statuses=(P,))), CANCEL))

        thread = threading.Thread(target=cancel)

        def claim() -> None:
            worker.script(f"UPDATE hammerwork_jobs SET status = 'Running' WHERE id = '{identity(1)}'")
            thread.start()
            thread.join(0.5)
            assert thread.is_alive()

        worker.transaction(claim)
        thread.join(20)
    assert (outcomes[0].changed, outcomes[0].left.by_status) == (1, {"changed_meanwhile": 1})
    assert [status for _, status, _ in states(database)] == ["Running", "Failed"]


def test_nothing_comes_to_wait_for_a_job_while_it_is_deleted(database: Database, migrated_url: str) -> None:
    enqueue.insert(database, [job(1)])
    results: list[object] = []
    with _worker(migrated_url) as operator:

        def enqueue_below() -> None:
            with contextlib.closing(connect(migrated_url)) as other:
                try:
                    results.append(enqueue.once(other, job(2, depends_on=(identity(1),))))
                except Exception as error:  # noqa: BLE001  the test looks at it
                    results.append(error)

        thread = threading.Thread(target=enqueue_below)

        def delete() -> None:
            step = Delete(NOW).step(operator, [identity(1)], JobFilter())
            assert step.changed == 1
            thread.start()
            thread.join(0.5)
            assert thread.is_alive()

        operator.transaction(delete)
        thread.join(20)
    assert "There is no job" in str(results[0])
    assert states(database) == []


@contextlib.contextmanager
def _worker(url: str) -> Iterator[Database]:
    with contextlib.closing(connect(url)) as connected:
        yield connected
