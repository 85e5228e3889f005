"""A worker writes the ends of many runs at once: what the database refuses costs only the job that it belongs to."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from hammerwork_cli import Handlers, Job, Retry, Snooze
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import AccessDeniedError, ConfigError, DatabaseError, RefusedValueError
from hammerwork_cli.features.worker.queries import finish
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt, FinishReport
from hammerwork_cli.runtime.execution import finisher
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.outcomes.failures import Failed
from hammerwork_cli.runtime.worker import claimer, context
from tests.runtime.conftest import Crew, Stage, until

SQLITE = pytest.mark.parametrize("dialect", [pytest.param("sqlite", marks=pytest.mark.sqlite)])
BLOCKED = """SELECT COUNT(*) FROM pg_stat_activity
WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"""
UNKNOWN = "Got error 28 from something that nobody knows."


@pytest.mark.sqlite
def test_of_a_batch_that_the_database_refuses_only_the_run_with_the_refused_result_fails(
    new_database: Callable[..., str], app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(new_database("sqlite", migrated=True))
    app.register_job("echo", lambda job: job.payload["says"])
    jobs = stage.enqueue(*(Job("echo", {"says": says}) for says in ("a", "b", "refused", "c")))
    real, batches = finish.finish, []

    # SQLite takes every result that is JSON.
    def refusing(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        batches.append(len(ended))
        if any(run.end == AttemptEnd.COMPLETED and run.result == '"refused"' for run in ended):
            raise RefusedValueError("It is too odd.")
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", refusing)
    monkeypatch.setattr(finisher, "WRITE_SECONDS", 30)
    report = stage.work(app, concurrency=1)
    assert max(batches) > 1
    assert stage.status(*jobs) == ["Completed", "Completed", "Dead", "Completed"]
    assert [stage.one(job, "result_data") for job in jobs] == ['"a"', '"b"', None, '"c"']
    assert stage.one(jobs[2], "error_message") == "The database cannot hold the result of the job. It is too odd."
    assert (report.completed, report.failed) == (3, 1)
    stage.close()


@pytest.mark.sqlite
def test_a_database_that_takes_nothing_amid_a_refused_batch_fails_no_job(
    new_database: Callable[..., str], app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(new_database("sqlite", migrated=True))
    jobs = stage.enqueue(*(Job("noop") for _ in range(4)))
    real, errors = finish.finish, [AccessDeniedError("Not now."), RefusedValueError("It is too odd.")]

    def losing(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        if len(errors) == 1 or (len(errors) == 2 and len(ended) > 1):
            raise errors.pop()
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", losing)
    monkeypatch.setattr(finisher, "WRITE_SECONDS", 30)
    assert stage.work(app, concurrency=1, poll_interval=0.05).completed == 4
    assert not errors
    assert stage.status(*jobs) == ["Completed"] * 4
    stage.close()


@SQLITE
@pytest.mark.parametrize("wanted", [Retry(timedelta(hours=1)), Snooze(timedelta(hours=1))], ids=["retry", "snooze"])
def test_a_pause_begins_when_the_outcome_is_written_although_a_clock_was_ahead_when_it_was_judged(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, wanted: Exception
) -> None:
    judged = OutcomePolicy.failed

    def ahead(self: OutcomePolicy, claimed: Claimed, failure: Failed) -> EndedAttempt:
        ended = judged(self, claimed, failure)
        assert ended.at is not None
        return replace(ended, at=ended.at + timedelta(days=3650))

    @app.job("waits")
    def wait(job: Job) -> None:
        raise wanted

    monkeypatch.setattr(OutcomePolicy, "failed", ahead)
    (job,) = stage.enqueue(Job("waits"))
    stage.work(app)
    pause = stage.timestamp(job, "scheduled_at") - stage.database.now()
    assert timedelta(minutes=50) < pause <= timedelta(hours=1)


@SQLITE
@pytest.mark.parametrize("error", [DatabaseError(UNKNOWN), ConfigError("The server is too old now.")])
def test_an_error_of_the_server_that_nobody_knows_and_that_passes_costs_no_job_its_success(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    jobs = stage.enqueue(*(Job("noop").with_max_attempts(1) for _ in range(3)))
    real, errors = finish.finish, [error, error]

    def failing(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        if errors:
            raise errors.pop()
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", failing)
    report = stage.work(app)
    assert not errors
    assert (report.completed, report.failed) == (3, 0)
    assert [stage.one(job, "status, attempts") for job in jobs] == [("Completed", 1)] * 3


@SQLITE
def test_an_error_that_all_meet_for_longer_than_a_lease_is_waited_out(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = stage.enqueue(*(Job("counted").with_max_attempts(1) for _ in range(5)))
    real, tried = finish.finish, []

    def failing(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        tried.append(time.monotonic())
        if tried[-1] - tried[0] < 2:
            raise DatabaseError(UNKNOWN)
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", failing)
    crew.begin(lease=0.5)
    until(lambda: stage.status(*jobs) == ["Completed"] * 5)
    assert set(crew.runs.values()) == {1}
    assert set(stage.rows("attempts")) == {(1,)}


@SQLITE
def test_a_job_that_alone_meets_an_error_for_longer_than_a_lease_ends_with_it_and_holds_up_nobody(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, last = stage.enqueue(Job("counted").with_max_attempts(3), Job("counted"))
    real, tries = finish.finish, []

    def failing(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        if any(run.job.id == odd.id and run.end == AttemptEnd.COMPLETED for run in ended):
            tries.append(len(ended))
            raise DatabaseError(UNKNOWN)
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", failing)
    crew.begin(lease=0.5)

    def is_over() -> bool:
        nonlocal last
        if stage.one(last) == "Completed":
            (last,) = stage.enqueue(Job("counted"))
        return bool(stage.one(odd) == "Dead")

    until(is_over)
    assert len(tries) > 3
    assert stage.one(odd, "attempts, error_message") == (
        1,
        f"The database refuses the outcome of the job. {UNKNOWN}",
    )
    until(lambda: stage.one(last) == "Completed")
    assert set(crew.runs.values()) == {1}


@SQLITE
def test_a_worker_that_can_write_no_end_takes_no_more_jobs_after_a_while(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.enqueue(*(Job("counted").with_max_attempts(1) for _ in range(200)))
    real, broken = finish.finish, [True]

    def failing(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        if broken:
            raise DatabaseError(UNKNOWN)
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", failing)
    monkeypatch.setattr(claimer, "MOST_POSTPONED", 10)
    monkeypatch.setattr(claimer, "MOST_PREFETCHED", 20)
    crew.begin(concurrency=1)
    until(lambda: len(crew.runs) >= 10)
    crew.wait_for_heartbeats(6)
    assert stage.rows(where="status = 'Pending'")
    assert not stage.rows(where="status = 'Dead'")
    broken.clear()
    until(lambda: len(stage.rows(where="status = 'Completed'")) == 200)
    assert set(crew.runs.values()) == {1}


@pytest.mark.parametrize("dialect", [pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_worker_claims_and_runs_further_jobs_while_an_outcome_waits_for_a_lock(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "LOCK_SECONDS", 60)
    (held,) = stage.enqueue(Job("held"))
    crew.begin()
    until(lambda: crew.runs[held.id] == 1)
    with contextlib.closing(connect(stage.url)) as other:
        other.script("BEGIN")
        other.script("SELECT 1 FROM hammerwork_jobs FOR UPDATE")
        crew.go_on.set()
        until(lambda: stage.database.query(BLOCKED)[0][0] > 0)
        (further,) = stage.enqueue(Job("counted"))
        until(lambda: crew.runs[further.id] == 1)
        assert stage.status(held) == ["Running"]
        other.script("ROLLBACK")
    until(lambda: stage.status(held, further) == ["Completed"] * 2)
    assert crew.runs == {held.id: 1, further.id: 1}
