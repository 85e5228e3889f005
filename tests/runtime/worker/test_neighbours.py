"""Rows that look almost like those that are meant: each statement leaves them alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Job, SpawnConfig
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.features.worker.queries import ancestry, claim, finish, spawn
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.features.worker.queries.spawn import Operation
from tests.runtime.conftest import Stage

pytestmark = pytest.mark.sqlite
WORKER = "11111111-1111-4111-8111-111111111111"


def claimed(stage: Stage, *jobs: Job, now: datetime | None = None, **options: Any) -> list[Claimed]:
    """What a worker claims after these jobs have been enqueued in one queue."""
    stage.enqueue(*jobs)
    values: Any = {"worker": WORKER, "limit": 100, "slots": 100, "now": now or stage.database.now(), **options}
    return claim.claim(stage.database, jobs[0].queue, **values)


@pytest.mark.parametrize(
    ("end", "took"),
    [(AttemptEnd.COMPLETED, 0.0), (AttemptEnd.COMPLETED, 1.0), (AttemptEnd.FAILED, 0.0), (AttemptEnd.RETRY, 0.0)],
)
def test_an_outcome_was_written_before_where_a_row_has_all_of_it(lite: Stage, end: AttemptEnd, took: float) -> None:
    now, is_back = lite.database.now(), end == AttemptEnd.RETRY
    at = now + timedelta(hours=1) if is_back else None
    jobs = claimed(lite, *(Job("noop") for _ in range(5)))
    outcomes = [EndedAttempt(job, end, at=at, took=number * took) for number, job in enumerate(jobs)]
    for _ in range(2):
        assert finish.finish(lite.database, outcomes, now).lost == set()
    time = "scheduled_at = created_at" if is_back else "completed_at = created_at, failed_at = created_at"
    changes = [
        (f"claim_token = '{new_id()}'", True),
        ("status = 'TimedOut'", True),
        (time, True),
        (f"claimed_by = '{new_id()}'", is_back),  # the token stays on a row that version 3 of hammerwork (Rust) resets
        ("error_message = 'another'", False),
    ]
    for job, (change, _) in zip(jobs, changes, strict=True):
        lite.execute(f"UPDATE hammerwork_jobs SET {change} WHERE id = '{job.id}'")
    lost = {job.id for job, (_, is_lost) in zip(jobs, changes, strict=True) if is_lost}
    assert finish.finish(lite.database, outcomes, now).lost == lost


@pytest.mark.parametrize("spawns", [True, False])
@pytest.mark.parametrize("recurs", [True, False])
def test_a_run_that_somebody_cancelled_and_retried_leaves_no_result(lite: Stage, spawns: bool, recurs: bool) -> None:
    now = lite.database.now() + timedelta(days=400)
    (job,) = claimed(lite, Job("noop").with_cron("@yearly") if recurs else Job("noop"), now=now)
    lite.execute("UPDATE hammerwork_jobs SET status = 'Pending'")  # the token stays
    ended = EndedAttempt(job, AttemptEnd.COMPLETED, result="1", at=now + timedelta(days=365) if recurs else None)
    if spawns:
        spawner = Spawner.of(job, ancestry.of(lite.database, job), SpawnConfig())
        operation = Operation(new_id(), spawner, "noop", SpawnConfig(), now, 0)
        report = spawn.complete(lite.database, ended, operation, list, now=now)
    else:
        report = finish.finish(lite.database, [ended], now)
    assert report.lost == {job.id}
    assert lite.one(job.id, "status, result_data") == ("Pending", None)


def test_a_worker_has_the_jobs_that_it_runs_and_none_that_ended_or_went_to_a_rust_worker(lite: Stage) -> None:
    (job,) = claimed(lite, Job("noop"))

    def has() -> bool:
        return claim.have_claimed(lite.database, ["noop"], [WORKER])

    assert has()
    lite.execute("UPDATE hammerwork_jobs SET started_at = created_at")
    assert not has()
    lite.execute("UPDATE hammerwork_jobs SET started_at = claimed_at")
    finish.finish(lite.database, [EndedAttempt(job, AttemptEnd.COMPLETED)], lite.database.now())
    assert lite.one(job.id, "status, claimed_by") == ("Completed", WORKER)
    assert not has()


def test_jobs_that_wait_for_others_are_not_due_later_and_no_more_are_counted_than_wanted(lite: Stage) -> None:
    later = timedelta(hours=1)
    first = Job("one", delay=later)
    lite.enqueue(first, Job("one", delay=later).depends_on(first), *(Job("two", delay=later) for _ in range(3)))
    now, queues = lite.database.now(), ("one", "two")
    assert [claim.later(lite.database, queues, now, limit) for limit in (1, 9)] == [1, 4]


def test_the_limit_of_another_queue_is_none(lite: Stage) -> None:
    lite.queue.limit("mail", concurrency=1)
    lite.enqueue(Job("noop"))
    taken: Any = claimed(lite, Job("noop"))
    assert (len(taken), taken.is_limited, taken.no_room) == (2, False, None)


def test_jobs_of_a_queue_with_a_limit_start_by_the_clock_of_the_server(lite: Stage) -> None:
    lite.queue.limit("noop", rate="1/h")
    (job,) = claimed(lite, Job("noop"), now=lite.database.now() + timedelta(days=1))
    assert lite.timestamp(job.id, "started_at") == job.started_at < lite.database.now() + timedelta(hours=1)
