"""Whose a job is while others change it, which jobs a worker takes, and what one odd value costs."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnContext, SpawnHandler
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import AccessDeniedError, RefusedValueError
from hammerwork_cli.features.worker.queries import claim as claim_queries
from hammerwork_cli.features.worker.queries import finish, registry
from hammerwork_cli.features.worker.queries.finish import EndedAttempt, FinishReport
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.execution import finisher
from hammerwork_cli.runtime.host.logs import named
from hammerwork_cli.runtime.worker import claimer
from tests.conftest import all_databases, on_servers
from tests.runtime.conftest import Crew, Stage, mariadb_too, until
from tests.rust_worker import RustWorker

SQLITE = pytest.mark.parametrize("dialect", [pytest.param("sqlite", marks=pytest.mark.sqlite)])


class Spawning(SpawnHandler):
    """Waits, before it names its children, until others have changed its parent."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.told: list[str] = []

    def spawn_jobs(self, context: SpawnContext) -> list[Job]:
        self.begun.release()
        assert self.go_on.wait(60)
        return [Job("counted"), Job("counted")]

    def on_spawn_complete(self, result: Any) -> None:
        self.told.append(result.parent_id)


@all_databases
def test_a_parent_that_others_change_while_it_spawns_has_no_children_and_reports_none(
    stage: Stage, crew: Crew, run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    handler = Spawning()
    crew.handlers.register_job("parent", crew.count)
    crew.handlers.register_handler("parent", handler)
    jobs = stage.enqueue(*(Job("parent") for _ in range(6)))
    cancelled, retried, completed, failed, tried_again, untouched = jobs
    crew.begin(concurrency=6, lease=600)  # no heartbeat tells the worker before its handler returns
    for _ in jobs:
        assert handler.begun.acquire(timeout=60)
    assert run("queue", "pause", "parent", "--yes", url=stage.url).exit_code == 0
    assert run("job", "cancel", cancelled.id, "--force", "--yes", url=stage.url).exit_code == 0
    assert run("job", "retry", retried.id, "--force", "--yes", url=stage.url).exit_code == 0
    with contextlib.closing(connect(stage.url)) as database:
        rust = RustWorker(database)
        rust.complete(completed.id)
        stage.execute(f"UPDATE hammerwork_jobs SET attempts = 3 WHERE id = '{failed.id}'")
        assert (rust.fail(failed.id), rust.fail(tried_again.id)) == ("Dead", "Pending")
    handler.go_on.set()
    until(lambda: len(stage.children(untouched, "status")) == 2 and handler.told)
    until(lambda: caplog.text.count("it spawned nothing") == 5)
    assert handler.told == [untouched.id]
    changed = (cancelled, retried, completed, failed, tried_again)
    assert [stage.children(job) for job in changed] == [[]] * 5
    assert [row[0] for row in stage.operations()] == [untouched.id]
    assert stage.status(*jobs) == ["Failed", "Pending", "Completed", "Dead", "Pending", "Completed"]
    assert stage.one(failed, "error_message") == "no space"
    said = {named(record) for record in caplog.records}
    for job in changed:
        assert f"Job {job.id} (parent) was taken from this worker while it ran: it spawned nothing." in said


@all_databases
def test_by_weight_a_priority_that_nobody_knows_is_claimed_too(stage: Stage, app: Handlers) -> None:
    jobs = stage.enqueue(Job("noop"), Job("noop"))
    stage.execute(f"UPDATE hammerwork_jobs SET priority = 7 WHERE id = '{jobs[0].id}'")
    assert stage.work(app, weighted=True).completed == 2


@mariadb_too
def test_no_occurrence_of_a_recurring_job_runs_twice_when_the_server_puts_its_clock_back(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, back = ServerClock.now, timedelta()
    monkeypatch.setattr(ServerClock, "now", lambda clock: now(clock) - back)

    @app.job("yearly")
    def yearly(job: Job) -> None:
        nonlocal back
        back = timedelta(days=2)

    (job,) = stage.enqueue(Job("yearly").with_cron("0 0 3 1 1 *"))
    first = stage.timestamp(job, "next_run_at")
    # The clock says that the occurrence is due, and goes back while it runs.
    due = stage.database.json_timestamp(stage.database.now() - timedelta(hours=1))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = '{due}' WHERE id = '{job.id}'")
    stage.work(app, max_jobs=1)
    assert stage.one(job, "status, attempts") == ("Pending", 0)
    assert stage.timestamp(job, "next_run_at") > first
    assert stage.timestamp(job, "scheduled_at") > first


@all_databases
def test_a_last_attempt_after_a_loss_is_not_claimed_without_a_free_slot(stage: Stage) -> None:
    lost, neighbour = Job("noop").with_max_attempts(2), Job("noop")
    stage.enqueue(lost, neighbour)
    stage.execute(f"UPDATE hammerwork_jobs SET claim_losses = 1, attempts = 1, priority = 4 WHERE id = '{lost.id}'")
    now = stage.database.now() + timedelta(seconds=1)
    options: Any = {"worker": "11111111-1111-4111-8111-111111111111", "now": now, "limit": 5}
    claim_queries.claim(stage.database, "noop", slots=0, **options)
    assert stage.one(lost) == "Pending"
    assert [job.id for job in claim_queries.claim(stage.database, "noop", slots=1, **options)] == [lost.id]


@all_databases
def test_a_count_at_the_end_of_its_integer_stops_no_neighbour(
    stage: Stage, app: Handlers, new_database: Callable[..., str]
) -> None:
    """Of attempts, of lost workers and of releases, in a claim, a rescue, a spawn and a release."""

    @app.job("broken")
    def broken(job: Job) -> None:
        raise ValueError("broken")

    class Childless(SpawnHandler):
        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            return [Job("noop")]

    app.register_handler("parent", Childless())
    end = 2**31 - 1
    odd = [end, end - 1, *([2**63 - 1] if stage.database.dialect == "sqlite" else [])]
    worn = stage.enqueue(*(Job("broken") for _ in odd))
    for job, attempts in zip(worn, odd, strict=True):
        stage.execute(f"UPDATE hammerwork_jobs SET attempts = {attempts} WHERE id = '{job.id}'")
    good = stage.enqueue(*(Job("noop") for _ in range(5)), *(Job("broken").with_max_attempts(1) for _ in range(5)))
    parent = Job("parent")
    waiting = [Job("noop").depends_on(parent) for _ in range(2)]
    stage.enqueue(parent, *waiting)
    lost = stage.enqueue(Job("lost"), Job("lost").with_max_attempts(1), Job("lost"))
    worker, now = new_id(), stage.database.now()
    registry.register(stage.database, registry.Registration(worker, "w", "here", 1, "1", ("lost",), (), 8, 30.0))
    claim_queries.claim(stage.database, "lost", worker=worker, now=now, limit=3, slots=3)
    for column, ends in (("releases", (parent, waiting[0])), ("claim_losses", lost[:2])):
        for job in ends:
            stage.execute(f"UPDATE hammerwork_jobs SET {column} = {end} WHERE id = '{job.id}'")
    assert stage.rescue() == [("w", 2, 1)]
    app.register_job("lost", lambda job: None)  # noqa: ARG005  it does nothing
    stage.work(app, max_jobs=40, sweep=False, retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    assert stage.status(parent, *waiting) == ["Completed"] * 3
    assert stage.status(*good) == ["Completed"] * 5 + ["Dead"] * 5
    assert stage.status(*lost) == ["Completed", "Dead", "Completed"]
    assert stage.status(*worn) == ["Dead"] * len(worn)


class Claims:
    """How often jobs were claimed and given back, by worker."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.taken: dict[str, int] = {}
        self.returned = 0
        claim, give_back = claim_queries.claim, finish.give_back

        def counting(database: Database, queue: str, **options: Any) -> Any:
            got = claim(database, queue, **options)
            self.taken[options["worker"]] = self.taken.get(options["worker"], 0) + len(got)
            return got

        def returning(database: Database, jobs: Any) -> int:
            self.returned += len(jobs)
            return give_back(database, jobs)

        patch.setattr(claim_queries, "claim", counting)
        patch.setattr(finish, "give_back", returning)


def test_a_worker_without_a_free_slot_leaves_jobs_to_an_idle_one_and_takes_none_to_give_them_back(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a queue whose jobs it knows to be short, and of queues that are new to it."""
    counted = Claims(monkeypatch)
    for number in range(6):
        crew.handlers.register_job(f"queue {number}", crew.count)
    busy = crew.begin(concurrency=2)
    (known,) = stage.enqueue(Job("counted"))
    until(lambda: stage.one(known) == "Completed")
    long = stage.enqueue(Job("held"), Job("held"))
    until(lambda: len(crew.runs) == 3)
    crew.wait_for_heartbeats(2)
    idle = Handlers()
    for queue in ("counted", *(f"queue {number}" for number in range(6))):
        idle.register_job(queue, crew.count)
    crew.begin(concurrency=1, handlers=idle)
    short = stage.enqueue(*(Job(f"queue {number % 6}") for number in range(24)), *(Job("counted") for _ in range(8)))
    until(lambda: stage.status(*short) == ["Completed"] * len(short))
    assert stage.status(*long) == ["Running", "Running"]
    assert counted.taken[busy.id] == 3
    assert counted.returned == 0
    assert set(stage.rows("attempts")) == {(1,)}


@pytest.mark.parametrize(
    "change",
    [
        lambda database, worker: finish.compare(database, worker, []),
        lambda database, worker: registry.renew_leases(database, worker, 3600),
    ],
    ids=["gives back", "renews"],
)
@on_servers
def test_a_job_that_another_worker_takes_between_a_look_and_its_lock_stays_that_workers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: Callable[[Database, str], object]
) -> None:
    (job,) = stage.enqueue(Job("noop"))
    mine, others, unlocked = new_id(), new_id(), finish.unlocked
    options: Any = {"now": stage.database.now() + timedelta(seconds=1), "limit": 1, "slots": 1}
    taken = claim_queries.claim(stage.database, "noop", worker=mine, **options)
    columns, seen = "status, attempts, claimed_by, claim_token, lease_expires_at", []

    def overtaken(*given: Any) -> Iterator[list[str]]:
        monkeypatch.setattr(finish, "unlocked", unlocked)
        with contextlib.closing(connect(stage.url)) as other:
            assert finish.give_back(other, taken) == 1
            assert len(claim_queries.claim(other, "noop", worker=others, **options)) == 1
            seen.append(other.query(f"SELECT {columns} FROM hammerwork_jobs")[0])
        return unlocked(*given)

    monkeypatch.setattr(finish, "unlocked", overtaken)
    change(stage.database, mine)
    assert [stage.one(job, columns)] == seen


@pytest.mark.parametrize("dialect", [pytest.param("postgres", marks=pytest.mark.postgres)])
def test_jobs_that_a_worker_gives_back_wake_an_idle_one(stage: Stage, crew: Crew) -> None:
    jobs, now = stage.enqueue(*(Job("counted") for _ in range(3))), stage.database.now() + timedelta(seconds=1)
    options: Any = {"worker": new_id(), "now": now, "limit": 3, "slots": 3}
    taken = claim_queries.claim(stage.database, "counted", **options)
    assert len(taken) == 3
    crew.begin(poll_interval=600, lease=600)
    (last,) = stage.enqueue(Job("counted"))
    until(lambda: stage.one(last) == "Completed")
    time.sleep(2 * claimer.EAGER_SECONDS)  # it has looked for the last time
    assert finish.give_back(stage.database, taken) == 3
    until(lambda: stage.status(*jobs) == ["Completed"] * 3)


@SQLITE
def test_of_a_hundred_results_the_one_that_cannot_be_stored_costs_its_own_job_alone(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.register_job("echo", lambda job: job.payload)
    jobs = stage.enqueue(*(Job("echo", number) for number in range(100)))
    real, batches = finish.finish, []

    def refusing(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        batches.append(len(ended))
        if any(run.result == "50" for run in ended):
            raise RefusedValueError("It is too odd.")
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", refusing)
    monkeypatch.setattr(finisher, "WRITE_SECONDS", 30)
    report = stage.work(app, concurrency=1)
    assert max(batches) > 10
    assert (report.completed, report.failed) == (99, 1)
    assert stage.one(jobs[50], "status, attempts") == ("Dead", 1)
    assert len(stage.rows(where="status = 'Completed' AND attempts = 1")) == 99


@SQLITE
def test_an_error_that_is_nobodys_fault_loses_nothing(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app.register_job("echo", lambda job: job.payload)
    jobs = stage.enqueue(*(Job("echo", number).with_max_attempts(1) for number in range(20)))
    real, tries = finish.finish, []

    def denied(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
        tries.append(len(ended))
        if 1 not in tries[:-1] or len(tries) < 4:  # until one has been alone
            raise AccessDeniedError("Nobody may write now.")
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", denied)
    report = stage.work(app)
    assert (report.completed, report.failed) == (20, 0)
    assert stage.status(*jobs) == ["Completed"] * 20
    assert "cannot be written yet: Nobody may write now." in caplog.text
