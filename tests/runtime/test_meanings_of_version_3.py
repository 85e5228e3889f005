"""What a job's end means in a database that version 3 of hammerwork (Rust) uses, and that the others notice nothing."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, Workflow
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import changes, selections
from hammerwork_cli.features.spawn.queries.doctor import Doctor
from hammerwork_cli.features.worker.queries import claim, finish, rescue
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.features.workflow.queries.endings import CancelWorkflow
from hammerwork_cli.runtime.outcomes.failures import taken
from tests.conftest import all_databases, one_case_on_servers
from tests.runtime.conftest import Crew, Stage, mariadb_too, until
from tests.rust3 import outcomes

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@all_databases
def test_one_statement_tells_who_uses_a_database(stage: Stage) -> None:
    assert "rust_3" not in stage.database.tags
    outcomes.use(stage.database)
    assert {"rust_3", "current"} <= stage.database.tags


@pytest.mark.parametrize("is_used", [False, True], ids=["version 1", "version 3"])
def test_a_run_that_timed_out_is_tried_again_only_where_version_3_would(
    stage: Stage, app: Handlers, is_used: bool
) -> None:
    """While attempts are left. ``max_attempts`` is the limit, and TimedOut the end of the last attempt."""
    if is_used:
        outcomes.use(stage.database)

    @app.job("slow", retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    async def slow(job: Job) -> None:
        import asyncio

        await asyncio.sleep(60)

    (job,) = stage.enqueue(Job("slow", {}, max_attempts=2, timeout=SECOND))
    stage.work(app)
    assert stage.one(job, "status, attempts") == ("TimedOut", 2 if is_used else 1)
    assert stage.timestamp(job, "timed_out_at")
    told = stage.database.query("SELECT outcome FROM hammerwork_attempts ORDER BY attempt")
    assert told == [("timed_out",)] * (2 if is_used else 1)


@mariadb_too
def test_a_worker_that_runs_while_the_database_is_migrated_goes_by_what_it_is_from_then_on(
    stage: Stage, crew: Crew
) -> None:
    database = stage.database

    @crew.handlers.job("slow", retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    async def slow(job: Job) -> None:
        await asyncio.sleep(60)

    crew.begin(lease=3.0)
    stage.enqueue(Job("counted"))
    until(lambda: stage.rows("status") == [("Completed",)])
    outcomes.use(database)
    crew.wait_for_heartbeats(2)
    (timed,) = stage.enqueue(Job("slow", {}, max_attempts=2, timeout=SECOND))
    until(lambda: stage.one(timed, "status, attempts") == ("TimedOut", 2))


def test_a_run_that_timed_out_tells_when_until_its_next_attempt(stage3: Stage, app: Handlers) -> None:
    @app.job("slow", retry=RetryStrategy.fixed(HOUR))
    async def slow(job: Job) -> None:
        import asyncio

        await asyncio.sleep(60)

    (job,) = stage3.enqueue(Job("slow", {}, timeout=SECOND))
    stage3.work(app)
    assert stage3.one(job, "status, attempts, started_at") == ("Pending", 1, None)
    assert stage3.timestamp(job, "timed_out_at")
    assert stage3.timestamp(job, "scheduled_at") > stage3.database.now() + HOUR / 2


UNIT = 3_600_000
STORED = [
    ({"type": "Fixed", "duration_ms": 5 * UNIT}, [5, 5, 5]),
    ({"type": "Linear", "base_ms": UNIT, "increment_ms": 2 * UNIT, "max_delay_ms": None}, [5, 7, 9]),
    ({"type": "Linear", "base_ms": UNIT, "increment_ms": 2 * UNIT}, [5, 7, 9]),
    ({"type": "Linear", "base_ms": UNIT, "increment_ms": 2 * UNIT, "max_delay_ms": 8 * UNIT}, [5, 7, 8]),
    ({"type": "Exponential", "base_ms": UNIT, "multiplier": 3.0, "max_delay_ms": None, "jitter": None}, [3, 9, 27]),
    ({"type": "Exponential", "base_ms": UNIT, "multiplier": 3, "max_delay_ms": 10 * UNIT}, [3, 9, 10]),
    ({"type": "Fibonacci", "base_ms": UNIT, "max_delay_ms": None}, [1, 2, 3]),
    ({"type": "Fibonacci", "base_ms": UNIT}, [1, 2, 3]),
    ({"type": "Fixed", "duration_ms": 10**15}, [365 * 24] * 3),
]
"""Strategies as version 3 stores them (section 6), and hours after each failure: the first counts as 2 (section 3)."""
JITTERS = [
    ({"type": "Additive", "duration_ms": UNIT // 2}, 2.5, 3.5),
    ({"type": "Multiplicative", "factor": 0.1}, 2.7, 3.3),
]


def fail(stage: Stage, app: Handlers, *stored: object, attempts: int) -> list[list[float]]:
    """Lets jobs with these stored strategies fail so often; of each, the hours from each end to the next attempt."""
    jobs = stage.enqueue(*(Job("fails", {}, max_attempts=attempts + 1) for _ in stored))
    for job, strategy in zip(jobs, stored, strict=True):
        text = strategy if isinstance(strategy, str) else json.dumps(strategy)
        stage.execute(f"UPDATE hammerwork_jobs SET retry_strategy = '{text}' WHERE id = '{job.id}'")
    pauses: list[list[float]] = [[] for _ in jobs]
    for _ in range(attempts):
        stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
        stage.work(app)
        for job, found in zip(jobs, pauses, strict=True):
            last = f"SELECT MAX(ended_at) FROM hammerwork_attempts WHERE job_id = '{job.id}'"
            ((ended,),) = stage.database.query(last)
            at = timestamp(ended)
            assert at
            found.append((stage.timestamp(job, "scheduled_at") - at) / HOUR)
    return pauses


@pytest.fixture
def failing(app: Handlers) -> Handlers:
    app.register_job("fails", lambda _: 1 / 0, retry=RetryStrategy.fixed(timedelta(days=30)))
    return app


def test_a_stored_strategy_gives_the_pauses_of_version_3(lite: Stage, failing: Handlers) -> None:
    outcomes.use(lite.database)
    found = fail(lite, failing, *(stored for stored, _ in STORED), attempts=3)
    for (stored, wanted), pauses in zip(STORED, found, strict=True):
        assert pauses == pytest.approx(wanted, abs=0.1), stored


def test_a_stored_jitter_stays_in_its_bounds(lite: Stage, failing: Handlers) -> None:
    outcomes.use(lite.database)
    exponential = {"type": "Exponential", "base_ms": UNIT, "multiplier": 3.0, "max_delay_ms": None}
    found = fail(lite, failing, *({**exponential, "jitter": jitter} for jitter, _, _ in JITTERS), attempts=1)
    for (jitter, least, most), (pause,) in zip(JITTERS, found, strict=True):
        assert least - 0.1 <= pause <= most + 0.1, jitter


def test_without_version_3_the_first_failure_counts_as_the_first(stage: Stage, failing: Handlers) -> None:
    stored = {"type": "Exponential", "base_ms": UNIT, "multiplier": 3.0, "max_delay_ms": None, "jitter": None}
    assert fail(stage, failing, stored, attempts=2) == [pytest.approx([1, 3], abs=0.1)]


UNREADABLE = ['{"type": "Custom"}', '{"type": "Fixed"}', "[5]", '"soon"', '{"type": "Fixed", "duration_ms": "5 s"}']


@pytest.mark.parametrize("stored", UNREADABLE)
def test_a_strategy_that_cannot_be_read_is_named_and_the_handlers_applies(
    stage3: Stage, failing: Handlers, stored: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="hammerwork"):
        ((pause,),) = fail(stage3, failing, stored, attempts=1)
    assert pause == pytest.approx(30 * 24, abs=0.1)
    (said,) = (record.getMessage() for record in caplog.records if "retry strategy" in record.getMessage())
    assert "cannot be read" in said


@pytest.mark.parametrize("is_used", [False, True], ids=["version 1", "version 3"])
def test_missed_occurrences_become_one_run_where_version_3_would_make_it(
    stage: Stage, app: Handlers, is_used: bool
) -> None:
    """The next slot is counted from the run's own (section 3); elsewhere what has passed is left out."""
    if is_used:
        outcomes.use(stage.database)
    runs: list[Any] = []
    app.register_job("yearly", lambda job: runs.append(job.scheduled_at))
    (job,) = stage.enqueue(Job("yearly", {}).with_cron("0 0 0 1 1 *"))
    missed = stage.database.json_timestamp(datetime(stage.database.now().year - 3, 1, 1, tzinfo=UTC))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = '{missed}', next_run_at = '{missed}', attempts = 0")
    for _ in range(3):  # a worker that drains its queues does not wait for recurring jobs
        stage.work(app)
    assert len(runs) == (2 if is_used else 1)
    assert stage.one(job, "status, attempts") == ("Pending", 0)
    assert stage.timestamp(job, "next_run_at") == stage.timestamp(job, "scheduled_at") > stage.database.now()


@mariadb_too
def test_a_claim_knows_the_meanings_of_its_database(stage3: Stage) -> None:
    stage3.enqueue(Job("noop"))
    now = stage3.database.now() + SECOND
    (found,) = claim.claim(stage3.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
    assert found.claim.rust_3


def test_a_lost_last_attempt_of_a_recurring_job_is_made_up_for_where_version_3_would(stage: Stage) -> None:
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    lost = rescue.Lost(new_id(), 1, 1, True, "0 0 3 * * *", None, now - timedelta(days=3))
    assert rescue.next_runs(stage.database, [lost], now) == {now + 15 * HOUR: [lost.id]}
    outcomes.use(stage.database)
    assert rescue.next_runs(stage.database, [lost], now) == {now: [lost.id]}


@pytest.mark.parametrize("is_used", [False, True], ids=["version 1", "version 3"])
def test_an_abandoned_last_attempt_is_dead_with_all_that_follows_where_version_3_would_say_so(
    stage: Stage, is_used: bool
) -> None:
    """Its reaper fails what depends on the job in the same transaction, and so does a rescue here."""
    if is_used:
        outcomes.use(stage.database)
    workflow = Workflow("night", failure_policy="fail_fast").add("lost", Job("lost", max_attempts=1))
    workflow.add("after", Job("after"), after=["lost"]).add("other", Job("other"))
    jobs = stage.queue.enqueue_workflow(workflow)
    now = stage.database.now()
    theirs = outcomes.Outcomes(stage.database, lambda: now - HOUR)
    theirs.claim_job(jobs["lost"].id)
    assert Doctor(stage.database, now=now, lost_before=now - HOUR / 2).rescue() == 1
    assert stage.status(*jobs.values()) == ["Dead", "Failed", "Failed" if is_used else "Pending"]
    told = stage.database.query("SELECT status, completed_jobs, failed_jobs FROM hammerwork_workflows")
    assert [tuple(row) for row in told] == [("failed", 0, 3) if is_used else ("running", 0, 0)]


def test_a_worker_says_that_version_3_cancelled_the_workflow_of_its_job() -> None:
    assert taken(("Cancelled", "Workflow cancelled")) == "its workflow was cancelled through hammerwork (Rust)"
    assert taken(("Cancelled", "cancelled by ada through hammerwork")) == "it was cancelled by ada through hammerwork"


def test_a_job_that_version_3_lets_wait_for_a_later_one_waits_here_too(stage3: Stage, app: Handlers) -> None:
    """Unknown ids keep it waiting (section 3, Enqueue): no sweep of a worker takes them for deleted jobs."""
    theirs, later = outcomes.Outcomes(stage3.database), new_id()
    early = theirs.enqueue("noop", later)
    for _ in range(2):
        stage3.work(app, lease=1)
        assert stage3.one(early, "status, dependency_status") == ("Pending", "waiting")
    stage3.enqueue(Job("noop", {}, id=later))
    stage3.work(app)
    assert stage3.one(early, "status, dependency_status") == ("Completed", "satisfied")


@all_databases
def test_both_kinds_enqueue_jobs_after_completed_ones_alike(stage3: Stage, app: Handlers) -> None:
    """Also after archived ones, and with one that is still open."""
    theirs = outcomes.Outcomes(stage3.database)
    done, archived = stage3.enqueue(Job("noop"), Job("noop"))
    stage3.work(app)
    (still,) = stage3.enqueue(Job("noop"))
    columns = "id, queue_name, payload, payload_compressed, status, attempts, max_attempts, created_at, scheduled_at"
    kinds = {"postgresql": "CAST('{}' AS BYTEA)", "sqlite": "CAST('{}' AS BLOB)", "mysql": "'{}'"}
    packed = kinds[stage3.database.dialect]
    values = f"id, queue_name, {packed}, FALSE, status, attempts, max_attempts, created_at, scheduled_at"
    where = f"FROM hammerwork_jobs WHERE id = '{archived.id}'"
    stage3.execute(f"INSERT INTO hammerwork_jobs_archive ({columns}, archived_at) SELECT {values}, created_at {where}")
    stage3.execute(f"DELETE {where}")
    for parents in ([done], [done, archived], [done, still]):
        (ours,) = stage3.enqueue(Job("after").depends_on(*parents))
        other = theirs.enqueue("after", *(job.id for job in parents))
        assert stage3.one(ours, "status, dependency_status") == stage3.one(other, "status, dependency_status")
        assert stage3.one(ours, "dependency_status") == ("waiting" if still in parents else "satisfied")


def test_a_recurring_job_that_version_3_disables_and_enables_again_runs_here_only_while_it_is_enabled(
    stage3: Stage, app: Handlers
) -> None:
    theirs, runs = outcomes.Outcomes(stage3.database), list[str]()
    app.register_job("yearly", lambda job: runs.append(job.id))
    (job,) = stage3.enqueue(Job("yearly", {}).with_cron("0 0 0 1 1 *"))
    theirs.disable(job.id)
    stage3.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    stage3.work(app)
    assert (runs, stage3.one(job)) == ([], "Pending")
    theirs.enable(job.id)
    slot = stage3.timestamp(job, "next_run_at")
    stage3.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    stage3.work(app)
    assert (runs, stage3.one(job, "status, attempts")) == ([job.id], ("Pending", 0))
    assert stage3.timestamp(job, "next_run_at").year == slot.year + 1


@all_databases
@one_case_on_servers
@pytest.mark.parametrize("jobs", [1, 50])
def test_the_end_of_jobs_without_a_workflow_or_a_batch_takes_no_statement_more(stage: Stage, jobs: int) -> None:
    def statements() -> int:
        stage.enqueue(*(Job("noop") for _ in range(jobs)))
        now = stage.database.now() + SECOND
        claimed = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=jobs, slots=jobs)
        before = stage.database.executed
        finish.finish(stage.database, [EndedAttempt(job, AttemptEnd.COMPLETED) for job in claimed], now + SECOND)
        return stage.database.executed - before

    alone = statements()
    outcomes.use(stage.database)
    _ = stage.database.tags
    assert statements() == alone


@all_databases
def test_the_end_of_many_jobs_of_a_workflow_and_a_batch_takes_as_many_statements_as_that_of_few(stage3: Stage) -> None:
    def statements(jobs: int) -> int:
        batch = [Job("noop") for _ in range(jobs)]
        stage3.queue.enqueue_batch("batch", [*batch, Job("other")])
        workflow = Workflow("night")
        for number in range(jobs):
            workflow.add(f"job {number}", Job("noop"))
        stage3.queue.enqueue_workflow(workflow)
        now = stage3.database.now() + SECOND
        claimed = claim.claim(stage3.database, "noop", worker=new_id(), now=now, limit=2 * jobs, slots=2 * jobs)
        before = stage3.database.executed
        finish.finish(stage3.database, [EndedAttempt(job, AttemptEnd.COMPLETED) for job in claimed], now + SECOND)
        return stage3.database.executed - before

    assert statements(40) == statements(2)


def test_the_first_job_that_ends_begins_its_own_batch(stage3: Stage) -> None:
    for name in ("one", "beside"):
        stage3.queue.enqueue_batch(name, [Job(name), Job("later")])
    now = stage3.database.now() + SECOND
    (job,) = claim.claim(stage3.database, "one", worker=new_id(), now=now, limit=1, slots=1)
    finish.finish(stage3.database, [EndedAttempt(job, AttemptEnd.COMPLETED)], now + SECOND)
    found = dict(stage3.database.query("SELECT batch_name, status FROM hammerwork_batches"))
    assert (found["one"].strip('"'), found["beside"].strip('"')) == ("Processing", "Pending")


@all_databases
def test_a_workflow_that_is_cancelled_as_a_whole_has_the_operators_words_in_all_of_its_jobs(
    stage3: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy fail_fast of its first cancelled job fails none of the others meanwhile."""
    monkeypatch.setattr(selections, "BATCH", 2)
    workflow = Workflow("night", failure_policy="fail_fast")
    for number in range(7):
        workflow.add(f"job {number}", Job("noop"), after=["job 0"] if number == 6 else [])
    jobs = stage3.queue.enqueue_workflow(workflow)
    ((found,),) = stage3.database.query("SELECT id FROM hammerwork_workflows")
    change = CancelWorkflow(str(found), stage3.database.now(), by="ada")
    wanted = JobFilter(workflows=(str(found),), statuses=tuple(sorted(change.in_trees)), unarchived=True)
    outcome = changes.run(stage3.database, selections.ByFilter(wanted), change)
    assert outcome.changed + outcome.followed == len(jobs)
    assert all("cancelled by ada" in error for (error,) in stage3.rows("error_message"))
    assert stage3.database.query("SELECT status FROM hammerwork_workflows") == [("cancelled",)]


@all_databases
def test_a_cancelled_job_fails_the_rest_of_its_workflow_at_once(stage3: Stage) -> None:
    workflow = Workflow("night", failure_policy="fail_fast").add("one", Job("noop")).add("other", Job("noop"))
    jobs = stage3.queue.enqueue_workflow(workflow)
    change = changes.CancelJobs(stage3.database.now(), by="ada")
    outcome = changes.run(stage3.database, selections.ByIds([jobs["one"].id]), change)
    assert (outcome.changed, outcome.followed) == (1, 1)
    assert stage3.status(*jobs.values()) == ["Failed", "Failed"]
