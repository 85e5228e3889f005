"""A run that the other kind of worker has taken over ends without effect, in both directions, and its worker says so.

Version 3 compares the number of attempts and ``started_at`` (section 3 of the facts), ours the token of the claim and
``started_at``. Each claim changes what the other kind compares.
"""

import logging
import threading
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnContext, Worker
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.features.worker.queries import claim, finish, rescue
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.host.logs import named
from tests.conftest import all_databases
from tests.runtime.conftest import PATIENCE, Stage, mariadb_too, until
from tests.rust3 import outcomes
from tests.rust3.runs import LEASE, Run

COLUMNS = "id, status, attempts, started_at, scheduled_at, error_message, result_data, completed_at, failed_at"
SECOND = timedelta(seconds=1)
KINDS = ("returns", "raises", "ends", "spawns", "recurs")


@pytest.fixture
def stage(stage3: Stage) -> Stage:
    return stage3


class Held:
    """Handlers that wait for a word before they end, each in its way."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.handlers = Handlers()
        for kind in KINDS:
            self.handlers.register_job(kind, self.hold, retry=RetryStrategy.fixed(timedelta(hours=1)))
        self.handlers.spawn("spawns")(self.spawn)

    def hold(self, job: Job) -> str:
        self.begun.release()
        assert self.go_on.wait(PATIENCE)
        if job.queue in ("raises", "ends"):
            raise OSError("no space")
        return "ours"

    def spawn(self, context: SpawnContext) -> list[Job]:
        return [Job("child", context.parent_job.payload)]


def stored(stage: Stage) -> dict[str, tuple[Any, ...]]:
    return {str(row[0]): row for row in stage.rows(COLUMNS)}


@mariadb_too
def test_an_attempt_that_version_3_took_over_ends_here_without_effect(
    stage: Stage, theirs: outcomes.Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    jobs = stage.enqueue(
        *(Job(kind, {}, max_attempts=1 if kind == "ends" else 3) for kind in KINDS[:-1]),
        Job("recurs", {}).with_cron("@yearly"),
    )
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE recurring")
    worker = Worker(stage.url, held.handlers, concurrency=len(KINDS), lease=60, poll_interval=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        for _ in KINDS:
            assert held.begun.acquire(timeout=PATIENCE)
        # By its clock, every lease has ended. The job without a further attempt is retried by hand.
        theirs.now = lambda: (
            theirs.database.now() + timedelta(days=40_000 if stage.database.dialect != "mysql" else 900)
        )
        assert sorted(theirs.reap()) == sorted(job.id for job in jobs)
        last = next(job for job in jobs if job.queue == "ends")
        assert theirs.by_hand("retry dead", last.id)
        theirs.now = theirs.database.now
        runs = [theirs.claim_job(job.id) for job in jobs]
        before = stored(stage)
        with caplog.at_level(logging.WARNING, logger="hammerwork"):
            held.go_on.set()
            until(lambda: sum("taken from this worker" in named(record) for record in caplog.records) >= len(KINDS))
    finally:
        held.go_on.set()
        worker.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert stored(stage) == before
    assert stage.operations() == []
    assert all(theirs.complete(run, "theirs") for run in runs)
    assert {row[1] for row in stored(stage).values()} == {"Completed", "Pending"}
    assert all("theirs" in str(row[6]) for row in stored(stage).values())


def test_an_attempt_of_version_3_that_was_taken_over_here_ends_without_effect(
    stage: Stage, theirs: outcomes.Outcomes
) -> None:
    for end, how in product(("complete", "fail", "recur"), ("reaped", "rescued", "by hand")):
        _end_late(stage, outcomes.Outcomes(theirs.database), end, how)  # its clock may have been put on
        stage.execute("DELETE FROM hammerwork_jobs")


def _end_late(stage: Stage, theirs: outcomes.Outcomes, end: str, how: str) -> None:
    job = Job("taken", {}, max_attempts=3)
    (job,) = stage.enqueue(job.with_cron("@yearly") if end == "recur" else job)
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    late = theirs.claim_job(job.id)
    assert _take_back(stage, theirs, job.id, how)
    now = stage.database.now() + SECOND
    (ours,) = claim.claim(stage.database, "taken", worker=new_id(), now=now, limit=1, slots=1)
    before = stored(stage)
    assert not (theirs.complete(late) if end in ("complete", "recur") else theirs.fail(late))
    assert stored(stage) == before
    assert not finish.finish(stage.database, [EndedAttempt(ours, AttemptEnd.COMPLETED, '"ours"')], now + SECOND).lost
    assert stage.one(job, "status") == "Completed"
    assert not theirs.complete(late)
    assert stage.one(job, "result_data") == '"ours"'


@all_databases
def test_a_late_result_of_version_3_overwrites_a_newer_one_as_the_page_says(
    stage: Stage, theirs: outcomes.Outcomes
) -> None:
    """It stores results by the id alone: docs/explain/version-3.md says so. Nothing else of the row changes."""
    (job,) = stage.enqueue(Job("taken", {}).with_result_ttl(timedelta(days=1)))
    late = theirs.claim_job(job.id)
    assert theirs.by_hand("retry", job.id)
    now = stage.database.now() + SECOND
    (ours,) = claim.claim(stage.database, "taken", worker=new_id(), now=now, limit=1, slots=1)
    assert not finish.finish(stage.database, [EndedAttempt(ours, AttemptEnd.COMPLETED, '"ours"')], now + SECOND).lost
    columns = "status, attempts, started_at, completed_at, error_message, result_expires_at"
    before = stage.one(job, columns)
    assert not theirs.complete(late, "theirs")
    assert stage.one(job, columns) == before
    assert stage.one(job, "result_data") == '"theirs"'


def _take_back(stage: Stage, theirs: outcomes.Outcomes, job: str, how: str) -> bool:
    """Takes the run of version 3 back, so that anybody may claim the job."""
    if how == "reaped":
        theirs.now = lambda: theirs.database.now() + 2 * LEASE
        assert list(theirs.reap()) == [job]
        stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    elif how == "rescued":  # as if a worker of ours had claimed it before, whose columns are still there
        worker = new_id()
        stage.execute(f"UPDATE hammerwork_jobs SET claimed_by = '{worker}', claimed_at = started_at")
        assert rescue.return_lost(stage.database, worker, "lost", stage.database.now()) == (1, 0)
    else:
        assert theirs.by_hand("retry", job)
        stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    return True


@all_databases
def test_a_claim_stores_the_start_that_both_kinds_compare(stage: Stage, theirs: outcomes.Outcomes) -> None:
    """To the microsecond on each database: what a worker knows, what the row says, and what version 3 would compare."""
    (job,) = stage.enqueue(Job("exact", {}))
    now = (stage.database.now() + SECOND).replace(microsecond=123_457)
    (ours,) = claim.claim(stage.database, "exact", worker=new_id(), now=now, limit=1, slots=1)
    assert stage.timestamp(job, "started_at") == ours.started_at == now
    assert theirs._finish(Run(job.id, ours.attempts, 3, now + timedelta(microseconds=900), None), "Completed", None)
    assert finish.finish(stage.database, [EndedAttempt(ours, AttemptEnd.COMPLETED)], now + SECOND).lost == {job.id}


@all_databases
def test_a_run_of_version_3_that_starts_within_the_same_millisecond_is_still_another_one(
    stage: Stage, theirs: outcomes.Outcomes
) -> None:
    """The number of attempts tells them apart for version 3, and the token or the microsecond for ours."""
    (job,) = stage.enqueue(Job("close", {}))
    now = stage.database.now() + SECOND
    theirs.now = lambda: now
    late = theirs.claim_job(job.id)
    assert theirs.by_hand("retry", job.id)
    later = now + timedelta(microseconds=1)
    (ours,) = claim.claim(stage.database, "close", worker=new_id(), now=later, limit=1, slots=1)
    assert not theirs.complete(late)
    assert theirs.by_hand("retry", job.id)
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    theirs.now = lambda: later + timedelta(microseconds=1)
    newer = theirs.claim_job(job.id)
    assert finish.finish(stage.database, [EndedAttempt(ours, AttemptEnd.COMPLETED)], later).lost == {job.id}
    assert theirs.complete(newer)
