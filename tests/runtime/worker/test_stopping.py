"""What becomes of what runs when its worker ends at once: a stop costs nothing, and what may run once runs once."""

import os
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Worker, WorkerReport
from hammerwork_cli.database import statements
from hammerwork_cli.errors import BrokenInstallationError
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.changes import RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.worker.queries import claim, finish, registry
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from tests.conftest import all_databases, one_case_on_servers
from tests.runtime.conftest import Crew, Stage, mariadb_too, until

ONCE = "Its worker was stopped while it ran, and max_attempts = 1 says that it must not run twice."


def test_a_running_job_goes_back_with_its_attempt_unless_it_must_not_run_twice(
    stage: Stage, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    first, last, once = Job("held"), Job("held"), Job("held", max_attempts=1)
    daily = Job("held", max_attempts=1).with_cron("@daily")
    stage.enqueue(first, last, once, daily)
    (child,) = stage.enqueue(Job("counted").depends_on(once))
    due = stage.database.json_timestamp(stage.database.now() - timedelta(minutes=1))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = '{due}', next_run_at = '{due}' WHERE id = '{daily.id}'")
    stage.execute(f"UPDATE hammerwork_jobs SET attempts = 2, error_message = 'before' WHERE id = '{last.id}'")
    order = [stage.timestamp(job, "scheduled_at") for job in (first, last)]
    reports: list[WorkerReport] = []
    worker = Worker(stage.url, crew.handlers, poll_interval=0.05)
    thread = threading.Thread(target=lambda: reports.append(worker.run()))
    thread.start()
    until(lambda: len(crew.runs) == 4)
    worker.stop(now=True)
    thread.join(60)
    assert reports == [WorkerReport(completed=0, failed=2, restart=False, unreturned=4)]
    assert "4 handlers are still running in a thread, which cannot be killed: they go on until" in caplog.text
    assert stage.one(first, "status, attempts, error_message") == ("Pending", 0, None)
    assert stage.one(last, "status, attempts, error_message") == ("Pending", 2, "before")
    assert [stage.timestamp(job, "scheduled_at") for job in (first, last)] == order
    assert stage.status(once, daily, child) == ["Dead", "Pending", "Failed"]
    assert stage.one(once, "attempts, error_message") == (1, f"{ONCE} To run it again: hammerwork job retry {once.id}")
    assert stage.one(daily, "error_message").startswith(ONCE)
    assert stage.timestamp(daily, "scheduled_at") > stage.database.now()
    crew.go_on.set()
    changes.run(stage.database, ByIds([once.id]), RetryJobs(stage.database.now()))
    stage.work(crew.handlers, queues=("held",))
    assert [stage.one(job, "status, attempts") for job in (first, last, once)] == [
        ("Completed", 1),
        ("Completed", 3),
        ("Completed", 1),
    ]


def test_a_signal_stops_a_worker_as_soon_as_others_see_it(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    health, register, missed, seen = tmp_path / "health", registry.register, list[int](), list[bool]()
    worker = Worker(lite.url, print, queues=["queue"], health_file=health)

    def registered(*given: Any) -> None:
        register(*given)
        seen.append(health.exists())
        os.kill(os.getpid(), signal.SIGTERM)

    def miss(number: int, _: object) -> None:
        missed.append(number)
        worker.stop()

    monkeypatch.setattr(registry, "register", registered)
    before = signal.signal(signal.SIGTERM, miss)
    try:
        worker.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (seen, missed, health.exists()) == ([True], [], False)
    assert lite.database.query("SELECT COUNT(*) FROM hammerwork_workers WHERE ended_at IS NULL") == [(0,)]


@all_databases
def test_a_stop_that_is_written_twice_costs_no_attempt_more(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop"))
    stage.execute("UPDATE hammerwork_jobs SET attempts = 1")
    now = stage.database.now() + timedelta(seconds=1)
    worker = "11111111-1111-4111-8111-111111111111"
    (taken,) = claim.claim(stage.database, "noop", worker=worker, now=now, limit=1, slots=1)
    for _ in range(2):
        stopped = EndedAttempt(taken, AttemptEnd.STOPPED, at=stage.timestamp(job, "scheduled_at"))
        report = finish.finish(stage.database, [stopped], now)
        assert not report.lost
        assert stage.one(job, "status, attempts, started_at, claimed_by") == ("Pending", 1, None, None)
    claim.claim(stage.database, "noop", worker=worker, now=now, limit=1, slots=1)
    assert finish.finish(stage.database, [stopped], now).lost == {job.id}
    assert stage.one(job, "status, attempts") == ("Running", 2)


def test_a_worker_of_ones_own_that_leaves_handlers_behind_says_so(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    began, go_on = threading.Event(), threading.Event()

    @app.job("long")
    def long(job: Job) -> None:
        began.set()
        go_on.wait(60)

    (job,) = lite.enqueue(Job("long"))
    worker = Worker(lite.queue, app, grace=0.1)
    threading.Thread(target=lambda: (began.wait(60), worker.stop())).start()
    report = worker.run()
    assert (report.failed, report.unreturned) == (0, 1)
    assert "1 handler is still running" in caplog.text
    assert "End the process" in caplog.text
    assert lite.one(job, "status, attempts") == ("Pending", 0)
    go_on.set()


def test_a_worker_warns_of_one_that_runs_with_its_name(
    lite: Stage, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    first = Worker(lite.url, crew.handlers, name="dup", poll_interval=0.05)
    thread = threading.Thread(target=first.run)
    thread.start()
    until(lambda: registry.listed(lite.database, name="dup"))
    lite.work(crew.handlers, name="other")
    assert "has the same name" not in caplog.text
    lite.work(crew.handlers, name="dup")
    first.stop()
    thread.join(60)
    assert f"Worker dup ({first.id}) on" in caplog.text
    assert caplog.text.count("has the same name") == 1


@mariadb_too
@one_case_on_servers
@pytest.mark.parametrize(
    "missing", ["worker.claim.ready", "worker.spawn.record", "worker.finish.complete", "worker.registry.heartbeat"]
)
def test_a_worker_that_lacks_a_statement_of_its_own_ends_with_an_error_and_fails_no_job(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    """As after an upgrade while it ran: it is the installation that is broken, and not the job."""
    crew.handlers.register_job("parent", crew.count)
    crew.handlers.register_handler("parent", lambda _: [Job("counted")])
    stage.enqueue(Job("parent"), Job("counted"))
    load = statements.load

    def loaded(name: str, tags: frozenset[str]) -> statements.Statement:
        if name == missing:
            raise LookupError(f"no statement {name}")
        return load(name, tags)

    monkeypatch.setattr(statements, "load", loaded)
    worker, errors = Worker(stage.url, crew.handlers, poll_interval=0.05), []

    def work() -> None:
        try:
            worker.run()
        except BrokenInstallationError as error:
            errors.append(error.message)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert errors == [f"The statement {missing} of hammerwork-cli cannot be used: no statement {missing}."]
    assert {status for (status,) in stage.rows("status")} <= {"Pending", "Running", "Completed"}
    assert "The worker cannot stop yet" not in caplog.text
