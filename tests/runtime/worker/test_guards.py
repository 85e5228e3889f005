"""What is looked at before something is changed: whose it is, and whether it is still so."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import WEIGHTS, timestamp
from hammerwork_cli.database import Database, Timeouts
from hammerwork_cli.errors import ConflictError, DatabaseError, RefusedValueError, RetryableError, UnreachableError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import attempts, changes, dependencies, enqueue, spawn_requests
from hammerwork_cli.features.job.queries.changes import RetryJobs
from hammerwork_cli.features.job.queries.dependencies import Following
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.tree.queries import joins, release
from hammerwork_cli.features.worker.queries import claim, finish, registry, requests, rescue, spawn
from hammerwork_cli.features.worker.queries.ancestry import LimitError
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt, Owned
from hammerwork_cli.features.worker.queries.registry import Heartbeat, HeartbeatReport, Registration
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.execution import calls
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.execution.finisher import Finisher, OutcomeBatch
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.faults import Progress
from hammerwork_cli.runtime.host.logs import named
from hammerwork_cli.runtime.outcomes.failures import Failed
from hammerwork_cli.runtime.worker.claimer import Claimer
from hammerwork_cli.runtime.worker.finisher_thread import FinisherThread
from hammerwork_cli.runtime.worker.heartbeat import HeartbeatThread, heartbeat_timeouts
from hammerwork_cli.runtime.worker.keeper import Keeper
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.loop import MainLoop
from hammerwork_cli.runtime.worker.stopping import StopSwitch
from tests.conftest import eventually
from tests.jobs import IGNORING
from tests.runtime.conftest import Stage, until
from tests.unit.runtime.test_slots import claimed
from tests.worker_context import worker_context

pytestmark = pytest.mark.sqlite


@pytest.fixture
def stage(lite: Stage) -> Stage:
    """An SQLite file: what is looked at is the same everywhere."""
    return lite


def registered(stage: Stage, name: str, concurrency: int = 1) -> Registration:
    worker = Registration(new_id(), name, "host", 1, "0", ("noop",), (), concurrency, 10.0)
    registry.register(stage.database, worker)
    return worker


def heartbeat(stage: Stage, worker: Registration) -> Heartbeat:
    return next(heartbeat for heartbeat in registry.heartbeats(stage.database) if heartbeat.id == worker.id)


def test_each_end_of_a_parent_changes_the_row_of_what_waits_for_it(stage: Stage, app: Handlers) -> None:
    one, two = Job("noop"), Job("noop")
    join = Job("noop").depends_on(one, two)
    stage.enqueue(one, two, join)
    stage.work(app, concurrency=1, max_jobs=1)
    assert stage.one(join, "releases, dependency_status") == (1, "waiting")
    stage.work(app, concurrency=1, max_jobs=1)
    assert stage.one(join, "releases, dependency_status") == (2, "satisfied")


def test_each_early_child_changes_the_row_of_its_parent(stage: Stage, app: Handlers) -> None:
    @app.job("parent")
    def early(job: Job, context: SpawnContext) -> None:
        for key in "ab":
            context.spawn(Job("noop"), key=key)

    (parent,) = stage.enqueue(Job("parent"))
    stage.work(app)
    assert stage.one(parent, "releases") == 2


def test_of_workers_with_one_name_the_one_that_has_not_ended_is_meant(stage: Stage) -> None:
    first = registered(stage, "name")
    second = registered(stage, "name")
    assert registry.rescue(stage.database, heartbeat(stage, second), stage.database.now()) == (0, 0)
    assert registry.resolve(stage.database, "name").id == first.id


def test_the_requests_of_a_lost_worker_and_no_others_wait_again(stage: Stage, app: Handlers) -> None:
    taken = {}
    for name in ("lost", "other"):
        worker = registered(stage, name)
        (job,) = stage.enqueue(Job("noop"))
        stage.work(app)
        now = stage.database.now()
        request = spawn_requests.request(stage.database, job.id, handler=None, config=None, by="x", now=now)
        assert requests.claim_request(stage.database, request, worker.id, now) is not None
        taken[name] = worker, job
    registry.rescue(stage.database, heartbeat(stage, taken["lost"][0]), stage.database.now())
    states = {name: spawn_requests.requests(stage.database, job.id)[0].state for name, (_, job) in taken.items()}
    assert states == {"lost": "pending", "other": "running"}
    claims = "SELECT state, claim_token IS NULL, claimed_by FROM hammerwork_spawn_requests ORDER BY state"
    assert stage.database.query(claims) == [("pending", 1, None), ("running", 0, taken["other"][0].id)]


def test_of_workers_with_the_same_heartbeat_only_the_observed_one_is_declared_lost(stage: Stage) -> None:
    lost, other = registered(stage, "lost"), registered(stage, "other")
    now = stage.database.json_timestamp(stage.database.now())
    stage.execute(f"UPDATE hammerwork_workers SET heartbeat_at = '{now}', beats = 7")
    assert registry.rescue(stage.database, heartbeat(stage, lost), stage.database.now()) == (0, 0)
    assert [heartbeat.id for heartbeat in registry.heartbeats(stage.database)] == [other.id]


def test_a_worker_that_beat_within_the_resolution_of_the_clock_is_not_declared_lost(stage: Stage) -> None:
    worker = registered(stage, "worker")
    seen = heartbeat(stage, worker)
    stage.execute("UPDATE hammerwork_workers SET beats = beats + 1")
    assert registry.rescue(stage.database, seen, stage.database.now()) is None
    assert registry.resolve(stage.database, "worker").state != "lost"


def test_a_job_that_waits_for_a_retried_job_does_not_fail(stage: Stage) -> None:
    parent = Job("noop")
    child = Job("noop").depends_on(parent)
    stage.enqueue(parent, child)
    dependencies.fail_next(stage.database, Following(parents=[parent.id]), stage.database.now(), "It failed.")
    assert stage.one(child, "status, dependency_status") == ("Pending", "waiting")


def ignoring_workflow(stage: Stage) -> str:
    workflow = new_id()
    stage.execute(
        "INSERT INTO hammerwork_workflows (id, name, created_at, status, failure_policy, metadata)"
        f" VALUES ('{workflow}', 'w', '2026-11-24 00:00:00', 'running', 'manual', '{IGNORING}')"
    )
    return workflow


def claimer_of(stage: Stage, slots: Slots, lease: Lease | None = None, stop: StopSwitch | None = None) -> Claimer:
    return Claimer(worker_context(stage.connections, registered(stage, "name"), lease=lease, stop=stop), slots)


def test_a_worker_whose_slots_have_enough_to_do_takes_nothing(stage: Stage) -> None:
    stage.enqueue(Job("noop"))
    slots = Slots(1, lambda: None)
    slots.put([claimed("a"), claimed("b")])
    claimer = claimer_of(stage, slots)
    assert claimer.fetch()
    assert (claimer.full, slots.waiting) == (True, 2)
    slots.withdraw()
    assert claimer.fetch()
    assert (claimer.full, slots.waiting) == (False, 1)


def test_written_outcomes_wake_the_thread_that_claims(stage: Stage) -> None:
    stop = StopSwitch(None)
    claimer_of(stage, Slots(1, lambda: None), stop=stop).outcomes_written()
    assert stop.woken.is_set()


def test_a_worker_looks_for_jobs_at_once_after_outcomes_have_been_written(stage: Stage) -> None:
    slots = Slots(1, lambda: None)
    claimer = claimer_of(stage, slots)
    assert not claimer.fetch()
    stage.enqueue(Job("noop"))
    assert not claimer.fetch(), "it looks again after the poll interval"
    claimer.outcomes_written()
    assert claimer.fetch()
    assert slots.waiting == 1


def test_a_worker_that_others_took_for_lost_claims_nothing_before_it_has_forgotten_what_went_to_them(
    stage: Stage,
) -> None:
    (job,) = stage.enqueue(Job("noop"))
    slots = Slots(1, lambda: None)
    lease = Lease(10.0, time.monotonic())
    claimer = claimer_of(stage, slots, lease)
    claimer.compare()
    slots.put([claimed("a")])
    lease.renew(time.monotonic(), time.monotonic(), was_lost=True)
    claimer.fetch()
    assert (slots.waiting, stage.one(job)) == (1, "Pending")
    claimer.compare()
    assert (slots.waiting, lease.is_held(time.monotonic())) == (0, True)
    claimer.fetch()
    assert (slots.waiting, stage.one(job)) == (1, "Running")


def test_a_job_of_a_lost_worker_is_nobodys_until_it_is_claimed_again(stage: Stage) -> None:
    worker = registered(stage, "lost")
    (job,) = stage.enqueue(Job("noop"))
    now = stage.database.now() + timedelta(seconds=1)
    assert claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=1, slots=1)
    assert claim.have_claimed(stage.database, ["x", "noop"], [worker.id])
    assert not claim.have_claimed(stage.database, ["x"], [worker.id])
    assert not claim.have_claimed(stage.database, ["noop"], [new_id()])
    assert not claim.have_claimed(stage.database, ["noop"], [])
    assert registry.rescue(stage.database, heartbeat(stage, worker), now) == (1, 0)
    assert stage.one(job, "status, claimed_by, claim_token, claim_losses") == ("Pending", None, None, 1)
    assert stage.one(job, "started_at, claimed_at") == (None, None), "it has not started again"


def test_a_worker_whose_row_somebody_removed_registers_again_and_compares_before_it_goes_on(stage: Stage) -> None:
    worker = registered(stage, "name")
    context = worker_context(stage.connections, worker)
    heartbeat = HeartbeatThread(
        context, report=lambda: HeartbeatReport("running", 7, 0, 0, None), on_renewed=lambda: None
    )
    stage.execute("DELETE FROM hammerwork_workers")
    heartbeat._send(time.monotonic())
    assert context.lease.is_doubted
    assert registry.resolve(stage.database, "name").running == 7


def test_a_worker_whose_start_cannot_be_read_has_no_successor_and_is_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "SUCCESSOR_SECONDS", 0.2)
    first, second = registered(stage, "name"), registered(stage, "name")
    report = HeartbeatReport("stopped", 0, 3, 2, None)
    registry.end(stage.database, first.id, "name", report, stage.database.now())
    asked = [registry.resolve(stage.database, first.id)]
    assert [(worker.completed, worker.failed) for worker in asked] == [(3, 2)]
    stage.execute("UPDATE hammerwork_workers SET started_at = 'yesterday'")
    watch = registry.WorkerEndWatch(stage.database, asked, successors=True)
    eventually(watch.refresh)
    assert {worker.id for worker in watch.done.values()} == {first.id} != {second.id}


def test_a_heartbeat_brings_back_the_worker_that_beats_and_no_other(stage: Stage) -> None:
    one, two = registered(stage, "one"), registered(stage, "two")
    for worker in (one, two):
        assert registry.rescue(stage.database, heartbeat(stage, worker), stage.database.now()) == (0, 0)
    assert registry.heartbeats(stage.database) == []
    assert registry.record_heartbeat(stage.database, one.id, HeartbeatReport()).was_lost
    assert [heartbeat.id for heartbeat in registry.heartbeats(stage.database)] == [one.id]
    assert not registry.record_heartbeat(stage.database, one.id, HeartbeatReport()).was_lost
    assert registry.resolve(stage.database, "two").state == "lost"


def test_a_request_to_stop_reaches_the_worker_that_is_meant_and_no_other(stage: Stage) -> None:
    one, two = registered(stage, "one"), registered(stage, "two")
    registry.ask(stage.database, registry.resolve(stage.database, "one"), "stop", "me")
    answers = [registry.record_heartbeat(stage.database, worker.id, HeartbeatReport()) for worker in (one, two)]
    assert [answer.request for answer in answers] == ["stop", None]
    seen = registry.resolve(stage.database, "two")
    stage.execute(f"UPDATE hammerwork_workers SET ended_at = heartbeat_at WHERE id = '{two.id}'")
    with pytest.raises(ConflictError, match="has stopped"):  # since it was looked at
        registry.ask(stage.database, seen, "stop", "me")


def test_whatever_becomes_of_a_worker_only_its_own_row_says_so(stage: Stage) -> None:
    one, other = registered(stage, "one"), registered(stage, "other")

    def row() -> list[Any]:
        return stage.database.query(f"SELECT * FROM hammerwork_workers WHERE id = '{other.id}'")

    before = row()
    report = HeartbeatReport("running", 3, 2, 1, 4096, queue_counts="{}")
    registry.record_heartbeat(stage.database, one.id, report)
    assert row() == before
    registry.rescue(stage.database, heartbeat(stage, one), stage.database.now())
    assert row() == before
    assert registry.record_heartbeat(stage.database, one.id, report).was_lost  # it is back
    assert row() == before
    registry.ask(stage.database, registry.resolve(stage.database, "one"), "stop", "me")
    registry.end(stage.database, one.id, "one", report, stage.database.now())
    assert row() == before
    ended = registry.resolve(stage.database, "one")
    assert (ended.running, ended.completed, ended.failed, ended.ended_at is None) == (0, 2, 1, False)


def test_workers_that_stand_still_are_counted_while_they_are_alive(stage: Stage) -> None:
    registered(stage, "fine")
    for name in ("main_stalled_seconds = 40", "finisher_stalled_seconds = 40", "main_stalled_seconds = 50"):
        one = registered(stage, name)
        stage.execute(f"UPDATE hammerwork_workers SET {name} WHERE id = '{one.id}'")
    assert registry.stalled(stage.database) == 3
    stage.execute("UPDATE hammerwork_workers SET ended_at = heartbeat_at WHERE main_stalled_seconds = 50")
    assert registry.stalled(stage.database) == 2
    stage.execute("UPDATE hammerwork_workers SET heartbeat_at = '2026-01-01 00:00:00' WHERE main_stalled_seconds = 40")
    assert registry.stalled(stage.database) == 1


def test_of_requests_a_worker_gives_back_its_own_that_it_does_not_know(stage: Stage, app: Handlers) -> None:
    mine, others = registered(stage, "mine"), registered(stage, "others")
    taken = {}
    for name, worker in (("known", mine), ("unknown", mine), ("another's", others)):
        (job,) = stage.enqueue(Job("noop"))
        stage.work(app)
        now = stage.database.now()
        taken[name] = spawn_requests.request(stage.database, job.id, handler=None, config=None, by="x", now=now)
        assert requests.claim_request(stage.database, taken[name], worker.id, now) is not None
    assert requests.return_unknown_requests(stage.database, mine.id, [taken["known"].id]) == 1
    states = {name: spawn_requests.requests(stage.database, ask.job_id)[0].state for name, ask in taken.items()}
    assert states == {"known": "running", "unknown": "pending", "another's": "running"}
    assert requests.return_unknown_requests(stage.database, mine.id, [taken["known"].id]) == 0


def test_a_spawn_is_recorded_with_its_worker(stage: Stage, app: Handlers) -> None:
    app.spawn("parent")(lambda _: [Job("noop")])
    stage.enqueue(Job("parent"))
    stage.work(app)
    ((worker,),) = stage.operations("worker_id")
    assert registry.resolve(stage.database, str(worker)).state == "stopped"


def test_a_job_that_a_rust_worker_took_is_held_by_no_other_worker(stage: Stage) -> None:
    stage.enqueue(Job("noop"), Job("noop"))
    now = stage.database.now() + timedelta(seconds=1)
    gone = new_id()
    assert len(claim.claim(stage.database, "noop", worker=gone, now=now, limit=2, slots=2)) == 2
    assert [held.id for held in registry.ended_with_jobs(stage.database)] == [gone]
    stage.execute("UPDATE hammerwork_jobs SET started_at = created_at")
    assert registry.ended_with_jobs(stage.database) == []
    ids = stage.database.ids([str(job) for (job,) in stage.rows("id")])
    assert stage.database.run("worker.registry.renew", ids=ids, worker=gone, lease=60) == 0


def test_of_the_jobs_that_a_worker_claimed_those_are_listed_that_it_still_runs(stage: Stage) -> None:
    worker, other = new_id(), new_id()
    stage.enqueue(*(Job("noop") for _ in range(4)))
    options: Any = {"now": stage.database.now() + timedelta(seconds=1), "slots": 4}
    runs, ended, taken = claim.claim(stage.database, "noop", worker=worker, limit=3, **options)
    assert len(claim.claim(stage.database, "noop", worker=other, limit=1, **options)) == 1
    finish.finish(stage.database, [EndedAttempt(ended, AttemptEnd.COMPLETED)], options["now"])
    stage.execute(f"UPDATE hammerwork_jobs SET started_at = created_at WHERE id = '{taken.id}'")
    assert [job.id for job in registry.running_jobs(stage.database, worker)] == [runs.id]


def test_a_worker_that_ends_takes_only_its_own_reports_along(stage: Stage) -> None:
    one, other = registered(stage, "one"), registered(stage, "other")
    jobs = [new_id(), new_id()]
    for worker, job in zip((one, other), jobs, strict=True):
        registry.report(stage.database, worker.id, JobProgress(job, "noop", 1, 0.5, "half", "2026-12-01T00:00:00Z"))
    registry.end(stage.database, one.id, "one", HeartbeatReport(), stage.database.now())
    left = {worker.name: registry.take_reports(stage.database, worker.id, jobs) for worker in (one, other)}
    assert {name: [report.job for report in reports] for name, reports in left.items()} == {
        "one": [],
        "other": [jobs[1]],
    }


def test_a_worker_that_is_back_when_it_would_be_forgotten_stays(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    back, gone = registered(stage, "back"), registered(stage, "gone")
    registered(stage, "new")
    before = stage.database.json_timestamp(stage.database.now() - registry.KEPT - timedelta(hours=1))
    stage.execute(f"UPDATE hammerwork_workers SET ended_at = '{before}' WHERE name <> 'new'")
    monkeypatch.setattr(registry, "WITNESS_EARLIEST", timedelta(0))
    ids, read = [back.id, gone.id], stage.database.rows

    def rows(name: str, **values: Any) -> Any:
        found = list(read(name, **values))
        if name == "worker.registry.long_ended":
            assert sorted(str(one) for (one,) in found) == sorted(ids)
            registry.record_heartbeat(stage.database, back.id, HeartbeatReport())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stage.database, "rows", rows)
        registry.forget_ended(stage.database)
    left = stage.database.query("SELECT name FROM hammerwork_workers ORDER BY name")
    assert left == [("back",), ("new",)]


def test_leases_are_renewed_once_a_third_of_them_is_over(stage: Stage) -> None:
    worker = new_id()
    stage.enqueue(*(Job("noop") for _ in range(3)))
    now = stage.database.now()
    claimed = claim.claim(stage.database, "noop", worker=worker, limit=3, slots=3, now=now + timedelta(seconds=1))
    for job, seconds in zip(claimed, (500, 300, None), strict=True):
        end = f"'{stage.database.json_timestamp(now + timedelta(seconds=seconds))}'" if seconds else "NULL"
        stage.execute(f"UPDATE hammerwork_jobs SET lease_expires_at = {end} WHERE id = '{job.id}'")
    registry.renew_leases(stage.database, worker, 600)
    left = [(stage.timestamp(job.id, "lease_expires_at") - now).total_seconds() for job in claimed]
    assert left == [pytest.approx(seconds, abs=30) for seconds in (500, 600, 600)]


def test_a_worker_that_has_registered_again_is_not_taken_for_lost(stage: Stage) -> None:
    worker = registered(stage, "back")
    stage.execute("UPDATE hammerwork_workers SET heartbeat_at = '2026-01-01 00:00:00'")
    seen = heartbeat(stage, worker)
    stage.execute("DELETE FROM hammerwork_workers")
    registry.register(stage.database, worker)  # its first heartbeat again
    assert registry.rescue(stage.database, seen, stage.database.now()) is None


def test_a_worker_that_beat_again_is_observed_anew(stage: Stage) -> None:
    worker = registered(stage, "back")
    seen = heartbeat(stage, worker)
    registry.record_heartbeat(stage.database, worker.id, HeartbeatReport("running", 0, 0, 0, None))
    context = worker_context(stage.connections, registered(stage, "own"))
    keeper = Keeper(context, claim_requests=lambda _: None, wake=lambda: None)
    keeper._observer.look([seen], time.monotonic())
    keeper._rescue_from(stage.database, seen)
    assert keeper._observer.undecided == []
    assert registry.resolve(stage.database, "back").state == "running"


def test_only_the_jobs_that_may_spawn_again_are_forgotten_to_have_spawned(stage: Stage, app: Handlers) -> None:
    @app.job("parent")
    def early(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("noop"), key="early")

    app.spawn("parent")(lambda _: [Job("noop")])
    one, two = stage.enqueue(Job("parent"), Job("parent"))
    stage.work(app)
    for job, respawn in ((one, True), (two, False)):
        now = stage.database.now()
        changes.run(stage.database, ByIds([job.id]), RetryJobs(now, force=True, respawn=respawn))
    assert {str(job): outcome for job, outcome in stage.operations("parent_id, outcome")} == {
        one.id: "repeated",
        two.id: "spawned",
    }
    stage.work(app)
    assert [len(stage.children(job)) for job in (one, two)] == [4, 2]


@pytest.mark.parametrize("spawns", [True, False])
@pytest.mark.parametrize(("at", "status"), [("before", "TimedOut"), ("after", "Completed")])
def test_the_time_of_a_parent_may_be_up_until_its_end_is_being_written_and_not_thereafter(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, spawns: bool, at: str, status: str
) -> None:
    @app.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        if not spawns:
            raise ValueError("nothing to split")
        return [Job("elsewhere")]

    decide = Attempt.decide

    def late(attempt: Attempt) -> bool:
        """The time is up just before it is decided that the end is written, or just after."""
        decided = at == "after" and decide(attempt)
        if attempt.deadline:
            attempt.deadline = time.monotonic()
            until(lambda: attempt.over)
        return decided or decide(attempt)

    monkeypatch.setattr(Attempt, "decide", late)
    config = SpawnConfig(on_error="complete")
    (parent,) = stage.enqueue(Job("parent", timeout=timedelta(hours=1)).with_spawn_config(config))
    report = stage.work(app)
    assert stage.one(parent) == status
    assert (report.completed, report.failed) == ((1, 0) if at == "after" else (0, 1))
    assert len(stage.operations()) == report.completed
    assert len(stage.children(parent)) == (report.completed if spawns else 0)


def test_a_heartbeat_gives_up_in_time_for_the_next_one() -> None:
    assert heartbeat_timeouts(60) == Timeouts(connect=20, lock=10, statement=15, network=20)
    assert heartbeat_timeouts(1) == Timeouts(connect=1, lock=1, statement=1, network=1)


def test_a_value_that_only_one_job_of_a_batch_has_is_written(stage: Stage) -> None:
    now = stage.database.now()
    plain, special = (
        Job("noop")._new_job(now),
        Job("noop", retry_strategy=RetryStrategy.fixed(timedelta(1)))._new_job(now),
    )
    special.ancestry, special.started_at = Ancestry("root", "", 1).stored(), now
    assert enqueue.insert(stage.database, [plain, special]) == 2
    columns = "retry_strategy IS NULL, started_at IS NULL, ancestry IS NULL"
    assert stage.one(plain.id, columns) == (1, 1, 1)
    assert stage.one(special.id, columns) == (0, 0, 0)
    never_started = Job("noop")._new_job(now)
    never_started.failed_at = now
    assert enqueue.insert(stage.database, [never_started]) == 1
    assert stage.timestamp(never_started.id, "failed_at") == now


def test_nothing_is_written_before_something_has_ended_and_others_may_still_end() -> None:
    connections = Connections("sqlite:///nowhere.db", 1)
    slots = Slots(1, lambda: None)
    refuse: Any = None
    idle = Finisher(connections, slots, ServerClock(), Progress(30), refuse)
    assert (idle.pause, idle.write()) == (None, False)
    slots.put([claimed("a")])
    assert idle.write() is False


def test_outcomes_that_an_outage_held_up_wait_with_all_others(stage: Stage) -> None:
    connections = stage.connections
    slots = Slots(1, lambda: None)

    def away(*_: Any, **__: Any) -> Any:
        raise UnreachableError("The server is away.")

    outcome_policy: Any = None
    finisher = Finisher(connections, slots, ServerClock(), Progress(30), outcome_policy)
    connections.run = away  # type: ignore[method-assign]
    outcomes = [EndedAttempt(claimed("a"), AttemptEnd.COMPLETED), EndedAttempt(claimed("b"), AttemptEnd.COMPLETED)]
    slots.outcomes.postpone(outcomes)  # as one of a batch that was halved
    with pytest.raises(UnreachableError):
        finisher._write(OutcomeBatch(outcomes, stage.database.now()))
    assert (slots.outcomes.postponed, slots.outcomes.pop_ended()) == (0, outcomes)


def test_a_batch_that_is_written_again_keeps_its_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[Any] = []

    def lost(database: Database, outcomes: Any, now: Any) -> Any:
        times.append(now)
        raise DatabaseError("The answer was lost.")

    monkeypatch.setattr("hammerwork_cli.runtime.execution.finisher.finish.finish", lost)
    verdicts: Any = None
    finisher = Finisher(stage.connections, Slots(1, lambda: None), ServerClock(), Progress(30), verdicts)
    batch = OutcomeBatch([EndedAttempt(claimed("a"), AttemptEnd.COMPLETED)])
    for _ in range(2):
        with pytest.raises(DatabaseError):
            finisher._finish(batch)
    assert times == [batch.now] * 2


def test_another_outcome_that_cannot_be_written_either_is_kept_for_later(stage: Stage) -> None:
    connections = stage.connections
    slots = Slots(1, lambda: None)

    def refuse(*_: Any, **__: Any) -> Any:
        raise DatabaseError("The table is locked.")

    outcome_policy: Any = None
    finisher = Finisher(connections, slots, ServerClock(), Progress(30), outcome_policy)
    stage.enqueue(Job("noop"))
    now = stage.database.now() + timedelta(seconds=1)
    (job,) = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
    connections.run = refuse  # type: ignore[method-assign]
    outcome = EndedAttempt(job, AttemptEnd.FAILED, error="It failed.")
    slots.outcomes.postpone([outcome])
    finisher._write_another(OutcomeBatch([outcome]), RefusedValueError("No."))
    assert list(slots.outcomes._postponed.values()) == [outcome]
    assert (slots.outcomes.postponed, finisher.write_last(0)) == (1, 1)


def test_of_all_workers_those_that_have_ended_are_left_out_where_only_the_living_matter(stage: Stage) -> None:
    living, ended = registered(stage, "living"), registered(stage, "ended")
    registry.end(stage.database, ended.id, "ended", HeartbeatReport(), stage.database.now())
    assert {worker.id for worker in registry.listed(stage.database)} == {living.id, ended.id}
    assert [worker.id for worker in registry.listed(stage.database, alive=True)] == [living.id]


def test_the_workers_that_started_last_are_listed_first(stage: Stage) -> None:
    names = ("first", "second", "third")
    for hours, name in zip((3, 1, 2), names, strict=True):
        at = stage.database.json_timestamp(stage.database.now() - timedelta(hours=hours))
        stage.execute(f"UPDATE hammerwork_workers SET started_at = '{at}' WHERE id = '{registered(stage, name).id}'")
    assert [worker.name for worker in registry.listed(stage.database)] == ["second", "third", "first"]


def test_a_worker_that_ends_leaves_none_of_its_jobs_running(stage: Stage) -> None:
    worker = registered(stage, "ends")
    (job,) = stage.enqueue(Job("noop"))
    now = stage.database.now() + timedelta(seconds=1)
    assert claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=1, slots=1)
    registry.end(stage.database, worker.id, "ends", HeartbeatReport(), now)
    assert stage.one(job, "status, claimed_by") == ("Pending", None)


def test_the_end_of_a_worker_is_its_last_sign_of_life(stage: Stage) -> None:
    worker = registered(stage, "ends")
    long_ago = stage.database.json_timestamp(stage.database.now() - timedelta(hours=1))
    stage.execute(f"UPDATE hammerwork_workers SET heartbeat_at = '{long_ago}'")
    registry.end(stage.database, worker.id, "ends", HeartbeatReport(), stage.database.now())
    assert registry.resolve(stage.database, worker.id).silent_for < 600


def test_a_worker_that_stops_at_once_tells_whose_queue_has_the_job_again(stage: Stage) -> None:
    worker = registered(stage, "stops")
    stage.enqueue(Job("noop"))
    now = stage.database.now() + timedelta(seconds=1)
    (job,) = claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=1, slots=1)
    report = finish.finish(stage.database, [EndedAttempt(job, AttemptEnd.STOPPED, at=now)], now)
    assert report.released == {"noop": 1}


def test_archived_jobs_are_not_due_later(stage: Stage) -> None:
    _, archived = stage.enqueue(*(Job("noop").with_delay(timedelta(hours=1)) for _ in range(2)))
    now = stage.database.now()
    stage.execute(f"UPDATE hammerwork_jobs SET archived_at = created_at WHERE id = '{archived.id}'")
    assert claim.later(stage.database, ("noop",), now, 10) == 1


def test_a_queue_is_drained_although_it_has_archived_and_recurring_jobs(stage: Stage) -> None:
    archived, recurring = stage.enqueue(Job("noop"), Job("recurs").with_cron("@yearly"))
    stage.execute(f"UPDATE hammerwork_jobs SET archived_at = created_at WHERE id = '{archived.id}'")
    now = stage.database.now() + timedelta(days=400)
    assert claim.drained(stage.database, ["noop", "recurs"], now)
    assert claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1) == []
    stage.execute(f"UPDATE hammerwork_jobs SET attempts = 1 WHERE id = '{recurring.id}'")
    assert not claim.drained(stage.database, ["recurs"], now), "an attempt of it is to be repeated"


def test_a_recurring_job_that_another_worker_has_by_now_is_not_scheduled_anew(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("recurs").with_cron("@yearly"))
    now = stage.database.now() + timedelta(days=400)
    (lost,) = claim.claim(stage.database, "recurs", worker=new_id(), now=now, limit=1, slots=1)
    stage.execute(f"UPDATE hammerwork_jobs SET claim_token = 'another' WHERE id = '{job.id}'")
    outcome = EndedAttempt(lost, AttemptEnd.COMPLETED, at=now + timedelta(days=365))
    assert finish.finish(stage.database, [outcome], now).lost == {job.id}
    assert stage.one(job) == "Running"


def test_a_job_that_fails_with_its_dependency_says_when(stage: Stage) -> None:
    parent = Job("noop")
    child = Job("noop").depends_on(parent)
    stage.enqueue(parent, child)
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Dead' WHERE id = '{parent.id}'")
    now = stage.database.now()
    dependencies.fail_next(stage.database, Following(parents=[parent.id]), now, "It failed.")
    assert stage.one(child, "status, dependency_status, error_message") == ("Failed", "failed", "It failed.")
    assert stage.timestamp(child, "failed_at") == now


def test_a_worker_gives_back_jobs_that_it_does_not_know_and_none_of_another_worker(stage: Stage) -> None:
    stage.enqueue(*(Job("noop") for _ in range(3)))
    mine, others = new_id(), new_id()
    now = stage.database.now() + timedelta(seconds=1)
    (known,), (unknown,), (another,) = (
        claim.claim(stage.database, "noop", worker=worker, now=now, limit=1, slots=1) for worker in (mine, mine, others)
    )
    owned, lost = (Owned(job.id, job.claim.token) for job in (known, another))
    assert finish.compare(stage.database, mine, [owned]) == (1, 0, frozenset())
    states = {job: (status, started is not None) for job, status, started in stage.rows("id, status, started_at")}
    running, pending = ("Running", True), ("Pending", False)
    assert states == {known.id: running, unknown.id: pending, another.id: running}
    assert finish.compare(stage.database, mine, [owned, lost]) == (0, 0, {lost})
    earlier = Owned(known.id, new_id())
    assert finish.compare(stage.database, mine, [owned, earlier]) == (0, 0, {earlier})


def test_a_heartbeat_counts_the_attempts_that_are_still_the_workers(stage: Stage) -> None:
    worker = registered(stage, "name")
    stage.enqueue(Job("noop"), Job("noop"))
    options: Any = {"worker": worker.id, "now": stage.database.now() + timedelta(seconds=1), "slots": 2}

    def owned(*attempts: claim.Claimed) -> int:
        return registry.record_heartbeat(stage.database, worker.id, HeartbeatReport(), attempts).owned

    first, other = claim.claim(stage.database, "noop", limit=2, **options)
    assert (owned(first), owned(first, other)) == (1, 2)
    # It lost the job, and has claimed it again: the attempt that still runs is not its own.
    assert finish.give_back(stage.database, [first]) == 1
    (again,) = claim.claim(stage.database, "noop", limit=1, **options)
    assert again.id == first.id
    assert (owned(first), owned(again), owned(first, other)) == (0, 1, 1)
    # The token stays on the row of a job that has ended.
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{other.id}'")
    assert owned(other) == 0


def test_all_jobs_of_a_lost_worker_come_back_however_few_fit_into_a_transaction(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue, "BATCH", 2)
    worker = registered(stage, "lost")
    # The first of them is lost in its last attempt, and no other.
    ids = sorted(new_id() for _ in range(5))
    stage.enqueue(*(Job("noop", id=job, max_attempts=1 if job == ids[0] else 3) for job in ids))
    now = stage.database.now() + timedelta(seconds=1)
    assert len(claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=5, slots=5)) == 5
    assert registry.rescue(stage.database, heartbeat(stage, worker), now) == (4, 1)


def test_of_what_depends_on_a_job_only_jobs_in_a_given_status_are_found(stage: Stage) -> None:
    parent = Job("noop")
    waiting, ended = (Job("noop").depends_on(parent) for _ in range(2))
    stage.enqueue(parent, waiting, ended)
    # Another program ended it without its dependency_status.
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{ended.id}'")
    found = dependencies.dependents(stage.database, [parent.id], "waiting", ("Pending",))
    assert found == [(parent.id, waiting.id)]


def test_a_job_that_was_retried_meanwhile_is_not_counted_among_those_that_run_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Job("noop")
    child = Job("noop").depends_on(parent)
    stage.enqueue(parent, child)
    stage.execute(f"UPDATE hammerwork_jobs SET dependency_status = 'failed' WHERE id = '{child.id}'")
    # It had failed when it was looked for.
    monkeypatch.setattr(dependencies, "dependents", lambda *_: [(parent.id, child.id)])
    following = dependencies.rearm_next(stage.database, Following(parents=[parent.id]), stage.database.now())
    assert following.changed == []


def test_a_job_without_a_strategy_of_its_own_or_its_handlers_is_retried_as_the_worker_says(
    stage: Stage, app: Handlers
) -> None:
    (job,) = stage.enqueue(Job("fails"))
    app.register_job("fails", lambda _: 1 / 0)
    outcome_policy = OutcomePolicy(app, RetryStrategy.fixed(timedelta(hours=3)), ServerClock(), threading.Event())
    now = stage.database.now() + timedelta(seconds=1)
    (found,) = claim.claim(stage.database, "fails", worker=new_id(), now=now, limit=1, slots=1)
    assert found.id == job.id
    assert outcome_policy.failed(found, Failed.by(ValueError())).pause == timedelta(hours=3)


def test_a_job_whose_retry_strategy_fails_is_tried_again_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> timedelta:
        raise ValueError

    monkeypatch.setattr(RetryStrategy, "_delay", fails)
    stage.enqueue(Job("noop"))
    now = stage.database.now() + timedelta(seconds=1)
    (found,) = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
    outcome_policy = OutcomePolicy(Handlers(), RetryStrategy.fixed(timedelta()), ServerClock(), threading.Event())
    ended = outcome_policy.failed(found, Failed.by(ValueError()))
    assert ended.pause is not None
    assert ended.at is not None
    assert ended.at - stage.database.now() > ended.pause / 2 > timedelta(seconds=1)
    assert f"The retry strategy of job {found.id} (noop) fails" in named(caplog.records[-1])


def test_a_last_attempt_that_was_lost_is_nobodys_claim_any_more(stage: Stage) -> None:
    worker = registered(stage, "lost")
    (job,) = stage.enqueue(Job("noop", max_attempts=1))
    now = stage.database.now() + timedelta(seconds=1)
    assert claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=1, slots=1)
    assert registry.rescue(stage.database, heartbeat(stage, worker), now) == (0, 1)
    assert stage.one(job, "status, claim_token, claim_losses") == ("Dead", None, 1)


def test_a_handler_may_change_its_configuration_and_nobody_elses() -> None:
    config = SpawnConfig(metadata={"list": [1]})
    own = calls.own_config(config)
    assert own == config
    own.metadata["list"].append(2)
    assert config.metadata == {"list": [1]}
    assert calls.own_config(SpawnConfig()).metadata is None


def test_a_worker_without_a_row_is_called_by_its_id(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop"))
    worker = registered(stage, "name")
    now = stage.database.now() + timedelta(seconds=1)
    assert claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=1, slots=1)
    stage.execute("DELETE FROM hammerwork_workers")
    (heartbeat,) = registry.ended_with_jobs(stage.database)
    assert (heartbeat.id, heartbeat.name) == (worker.id, worker.id)
    assert registry.rescue(stage.database, heartbeat, now) == (1, 0)
    assert stage.one(job) == "Pending"


def test_of_the_early_children_of_a_failed_parent_only_those_that_wait_fail_and_not_for_a_request(
    stage: Stage, app: Handlers
) -> None:
    @app.job("parent")
    def early(job: Job, context: SpawnContext) -> None:
        for key in "ab":
            context.spawn(Job("noop"), key=key)
        raise ValueError

    (parent,) = stage.enqueue(Job("parent").with_max_attempts(1))
    stage.work(app, concurrency=1, max_jobs=1)
    ran, waits = (child for (child,) in stage.children(parent))
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Pending' WHERE id = '{waits}'")
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{ran}'")
    assert dependencies.spawned_early(stage.database, [parent.id]) == [(parent.id, waits)]
    assert dependencies.spawned_early(stage.database, [parent.id], request="another") == []


def test_a_job_that_fails_for_two_reasons_fails_once(stage: Stage, app: Handlers) -> None:
    @app.job("parent")
    def early(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("noop"), key="a")
        raise ValueError

    parent, other = stage.enqueue(Job("parent").with_max_attempts(1), Job("noop"))
    stage.work(app, queues=("parent",))
    ((child,),) = stage.children(parent)
    stage.execute("UPDATE hammerwork_jobs SET status = 'Dead', failed_at = created_at WHERE queue_name = 'noop'")
    stage.execute(
        "UPDATE hammerwork_jobs SET status = 'Pending', dependency_status = 'waiting',"
        f" depends_on = '[\"{parent.id}\", \"{other.id}\"]' WHERE id = '{child}'"
    )
    following = dependencies.fail_next(stage.database, Following(parents=[parent.id]), stage.database.now(), "x")
    assert list(following.changed) == [child]


@pytest.mark.parametrize("exists", [False, True])
def test_workers_are_notified_of_a_child_that_is_new(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    told: list[list[str]] = []
    at_once: list[list[str]] = []
    monkeypatch.setattr(spawn.notifications, "notify", lambda _, queues: told.append(list(queues)))
    child = Job("child")
    (parent,) = stage.enqueue(Job("parent"))
    if exists:
        stage.enqueue(Job("child", id=child.id).depends_on(parent))

    @app.job("parent")
    def early(job: Job, context: SpawnContext) -> None:
        told.clear()
        context.spawn(child, key="a")
        at_once.extend(told)  # the end of the parent releases children too

    stage.work(app, queues=("parent",), max_jobs=1)
    assert at_once == ([] if exists else [["child"]])


def test_a_job_that_is_deleted_while_it_is_enqueued_again_is_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(stage.database), "run_once", lambda *_, **__: 0)
    now = stage.database.now()
    new = NewJob(queue="noop", payload="{}", created_at=now, scheduled_at=now)
    with pytest.raises(RetryableError, match=f"The job {new.id} was deleted while it was enqueued again"):
        enqueue.insert_new(stage.database, new)


def test_a_claim_that_is_tried_twice_may_have_taken_jobs_so_the_worker_compares(stage: Stage) -> None:
    claimer = claimer_of(stage, Slots(1, lambda: None))
    claimer._compare_at = later = time.monotonic() + 1000
    unit = claimer._claim_from("noop", None, 1, 0, 0)
    unit(stage.database)
    assert claimer._compare_at == later
    unit(stage.database)
    assert claimer._compare_at == 0


def test_a_recurring_job_is_nobodys_until_it_is_claimed_again(stage: Stage, app: Handlers) -> None:
    (job,) = stage.enqueue(Job("noop").with_cron("@daily"))
    due = stage.database.json_timestamp(stage.database.now() - timedelta(minutes=1))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = '{due}', next_run_at = '{due}', claim_losses = 1")
    stage.work(app, max_jobs=1)
    assert stage.one(job, "status, claimed_by, claimed_at, claim_losses") == ("Pending", None, None, None)


def test_a_claim_forgets_how_an_earlier_run_ended(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop"))
    stage.execute(
        "UPDATE hammerwork_jobs SET completed_at = created_at, failed_at = created_at, timed_out_at = created_at"
    )
    now = stage.database.now() + timedelta(seconds=1)
    assert claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
    assert stage.one(job, "completed_at, failed_at, timed_out_at") == (None, None, None)


def test_priorities_weigh_as_much_as_for_rust_workers() -> None:
    weights = {priority.name.lower(): weight for priority, weight in WEIGHTS.items()}
    assert weights == {"background": 1, "low": 2, "normal": 5, "high": 10, "critical": 20}


def test_a_limit_that_is_reached_tells_its_value_and_the_root() -> None:
    error = LimitError("max_descendants", 1_000, 1_001, "root")
    assert error.message == "max_descendants is 1,000, and this would be 1,001 (root root)."


def test_a_job_that_somebody_writes_while_it_is_enqueued_is_compared(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = stage.enqueue(Job("noop"))
    original, looks = enqueue.stored, []

    def nothing_at_first(database: Database, ids: list[str]) -> Any:
        looks.append(ids)
        return {} if len(looks) == 1 else original(database, ids)

    monkeypatch.setattr(enqueue, "stored", nothing_at_first)
    assert [one.created for one in stage.queue.enqueue_many([job])] == [False]
    assert len(stage.rows()) == 1


def test_an_outcome_that_cannot_be_written_is_refused_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def refuse(*_: Any) -> None:
        tries.append(1)
        raise RefusedValueError("It cannot.")

    monkeypatch.setattr(enqueue, "insert", refuse)
    with pytest.raises(RefusedValueError):
        stage.queue.enqueue_many([Job("noop")])
    assert len(tries) == 1


def test_where_last_attempts_fill_the_free_slots_other_jobs_are_left_to_workers_that_start_them_sooner(
    stage: Stage,
) -> None:
    last = [Job("noop", max_attempts=1) for _ in range(2)]
    others = [Job("noop") for _ in range(2)]
    stage.enqueue(*others, *last)
    now = stage.database.now() + timedelta(seconds=1)
    taken = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=4, slots=2)
    assert {job.id for job in taken} == {job.id for job in last}
    taken = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=4, slots=0)
    assert {job.id for job in taken} == {job.id for job in others}, "they may wait in a worker without a free slot"


def test_a_job_that_waited_for_jobs_that_ended_in_every_way_runs_where_its_workflow_goes_on(stage: Stage) -> None:
    workflow = ignoring_workflow(stage)
    ends = ("Completed", "Archived", "Failed", "Dead", "TimedOut")
    parents = [Job("noop") for _ in ends]
    recurring = Job("noop")
    child = Job("noop").with_workflow(workflow).depends_on_jobs([*parents, recurring])
    stage.enqueue(*parents, recurring, child)
    for parent, end in zip(parents, ends, strict=True):
        stage.execute(f"UPDATE hammerwork_jobs SET status = '{end}' WHERE id = '{parent.id}'")
    stage.execute(f"UPDATE hammerwork_jobs SET recurring = TRUE WHERE id = '{recurring.id}'")
    assert release.release(stage.database, [parents[0].id]) == {"noop": 1}


def test_a_job_waits_for_all_it_depends_on_also_where_its_workflow_goes_on_after_failures(stage: Stage) -> None:
    workflow = ignoring_workflow(stage)
    failed, pending = Job("noop"), Job("noop")
    child = Job("noop").with_workflow(workflow).depends_on_jobs([failed, pending])
    stage.enqueue(failed, pending, child)
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Dead' WHERE id = '{failed.id}'")
    assert release.release(stage.database, [failed.id]) == {}
    assert stage.one(child, "dependency_status") == "waiting"


def test_jobs_that_need_no_change_do_not_keep_those_after_them_from_being_looked_at(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "MOST_FOLLOWERS", 2)
    parent = Job("noop")
    stage.enqueue(parent, *(Job("noop").depends_on(parent) for _ in range(5)))
    following = Following(parents=[parent.id])
    left = []
    for _ in range(3):
        following = dependencies.fail_next(stage.database, following, stage.database.now(), "It failed.")
        left.append(len(following.jobs))
    assert (left, following.unfinished) == ([3, 1, 0], False), "the parent was retried meanwhile"


def test_all_jobs_that_follow_a_cancelled_one_are_counted_however_many_transactions_that_takes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "MOST_FOLLOWERS", 2)
    parent = Job("noop")
    stage.enqueue(parent, *(Job("noop").depends_on(parent) for _ in range(5)))
    outcome = changes.run(stage.database, ByIds([parent.id]), changes.CancelJobs(stage.database.now(), by="x"))
    assert (outcome.changed, outcome.followed) == (1, 5)


def test_a_worker_that_is_to_end_says_that_it_owes_jobs_to_the_others(caplog: pytest.LogCaptureFixture) -> None:
    loop = SimpleNamespace(
        _said_why=False,
        _stop=StopSwitch(None),
        _slots=SimpleNamespace(running=0, unwritable=[]),
        _claimer=SimpleNamespace(owes=True),
        _longest_wait=40.0,
    )
    for _ in range(2):
        MainLoop._say_why_it_waits(loop)  # type: ignore[arg-type]
    assert caplog.text.count("The worker cannot stop yet") == 1


def test_a_worker_that_drains_waits_for_jobs_of_workers_that_may_be_lost() -> None:
    for undecided, may in ((None, True), (frozenset[str](), False)):
        parts = SimpleNamespace(keeper=SimpleNamespace(undecided=undecided))
        loop = SimpleNamespace(_parts=parts, _worker=SimpleNamespace(queues=()))
        database = SimpleNamespace(ids=list)
        assert MainLoop._may_come_back(loop, database) is may  # type: ignore[arg-type]


def test_a_heartbeat_is_answered_with_the_time_of_the_server() -> None:
    database = SimpleNamespace(
        key_chunk=1,
        moved=lambda at: at,
        run=lambda *_, **__: 1,
        rows=lambda *_, **__: [(None, None, "2020-01-01T00:00:00Z", 0)],
    )
    answer = registry.record_heartbeat(database, "worker", HeartbeatReport())  # type: ignore[arg-type]
    assert answer.now == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_job_that_is_to_be_tried_again_tells_why_its_last_attempt_failed(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop"))
    for number in range(2):
        now = stage.database.now() + timedelta(seconds=1 + number)
        (taken,) = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
        finish.finish(
            stage.database, [EndedAttempt(taken, AttemptEnd.RETRY, error=f"It failed {number}.", at=now)], now
        )
        assert stage.one(job, "status, attempts, error_message") == ("Pending", number + 1, f"It failed {number}.")
    (taken,) = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
    finish.finish(stage.database, [EndedAttempt(taken, AttemptEnd.COMPLETED)], now)
    assert stage.one(job, "status, error_message") == ("Completed", None)


def test_outcomes_are_written_by_one_thread_which_ends_with_the_process() -> None:
    wrote: list[str] = []
    claimer = SimpleNamespace(
        poll_now=lambda: wrote.append("looks"), compare=lambda: None, fetch=lambda: True, give_back=lambda _: None
    )
    for finishing in (None, object()):
        loop = SimpleNamespace(
            _slots=SimpleNamespace(expire=lambda _: None),
            _timed_out=None,
            _finishing=finishing,
            _finisher=SimpleNamespace(write=lambda: wrote.append("main thread") or True),
            _claimer=claimer,
            _stop=SimpleNamespace(is_set=False),
            _nothing_left=lambda: False,
            _is_past_waiting=lambda: False,
            _tell_overdue=lambda: None,
            _wait=lambda: None,
        )
        assert not MainLoop._turn(loop)  # type: ignore[arg-type]
    assert wrote == ["main thread", "looks"], "the thread for outcomes writes them where there is one"
    nobody: Any = SimpleNamespace(outages=None)
    assert FinisherThread(worker_context(nobody), nobody, threading.Event(), nobody).daemon


def test_of_jobs_completed_together_only_those_that_were_still_held_release_others(stage: Stage) -> None:
    held, lost = Job("noop"), Job("noop")
    children = [Job("waits").depends_on(parent) for parent in (held, lost)]
    stage.enqueue(held, lost, *children)
    now = stage.database.now()
    claimed = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=2, slots=2)
    stage.execute(f"UPDATE hammerwork_jobs SET claim_token = 'another' WHERE id = '{lost.id}'")
    ended = [EndedAttempt(job, AttemptEnd.COMPLETED, result='{"done": true}') for job in claimed]
    assert finish.finish(stage.database, ended, now).lost == {lost.id}
    assert [stage.one(job, "status, result_data IS NULL") for job in (held, lost)] == [("Completed", 0), ("Running", 1)]
    assert [stage.one(job, "dependency_status") for job in children] == ["satisfied", "waiting"]


def test_a_result_belongs_to_the_run_that_succeeded(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop"))
    now = stage.database.now()
    (claimed,) = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
    finish.store_results(stage.database, claimed.claim, [EndedAttempt(claimed, AttemptEnd.COMPLETED, result="1")], now)
    assert stage.one(job, "status, result_data") == ("Running", None)
    stage.execute("UPDATE hammerwork_jobs SET status = 'Completed', claim_token = 'another'")
    finish.store_results(stage.database, claimed.claim, [EndedAttempt(claimed, AttemptEnd.COMPLETED, result="1")], now)
    assert stage.one(job, "result_data") is None


def test_a_recurring_job_without_a_result_keeps_none(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("recurs").with_cron("@yearly"))
    now = stage.database.now() + timedelta(days=400)
    (claimed,) = claim.claim(stage.database, "recurs", worker=new_id(), now=now, limit=1, slots=1)
    finish.finish(stage.database, [EndedAttempt(claimed, AttemptEnd.COMPLETED, at=now + timedelta(days=365))], now)
    assert stage.one(job, "status, result_data, result_stored_at") == ("Pending", None, None)


def test_a_job_that_a_worker_was_lost_with_is_claimed_alone_also_on_its_last_attempt(stage: Stage) -> None:
    fine, dangerous = Job("noop"), Job("noop", max_attempts=2)
    stage.enqueue(fine, dangerous)
    stage.execute(f"UPDATE hammerwork_jobs SET attempts = 1, claim_losses = 1 WHERE id = '{dangerous.id}'")
    now = stage.database.now() + timedelta(seconds=1)
    for expected in (fine, dangerous):
        taken = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=4, slots=4)
        assert [job.id for job in taken] == [expected.id]


def test_workers_hear_of_jobs_that_may_run_although_their_dependency_failed(stage: Stage) -> None:
    workflow = ignoring_workflow(stage)
    parent = Job("noop").with_workflow(workflow)
    stage.enqueue(parent, Job("waits").with_workflow(workflow).depends_on(parent))
    now = stage.database.now() + timedelta(seconds=1)
    (claimed,) = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=1, slots=1)
    report = finish.finish(stage.database, [EndedAttempt(claimed, AttemptEnd.FAILED, error="It failed.")], now)
    assert (report.failed, report.released) == (0, {"waits": 1})


def test_an_attempt_whose_start_nobody_knows_is_recorded_when_its_worker_is_lost(stage: Stage) -> None:
    worker = registered(stage, "lost")
    (job,) = stage.enqueue(Job("noop"))
    now = stage.database.now() + timedelta(seconds=1)
    assert claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=1, slots=1)
    stage.execute("UPDATE hammerwork_jobs SET started_at = NULL, claimed_at = NULL")
    assert registry.rescue(stage.database, heartbeat(stage, worker), now) == (1, 0)
    (attempt,) = attempts.of_jobs(stage.database, [job.id])[job.id]
    assert [timestamp(attempt.started_at), timestamp(attempt.ended_at)] == [now, now]


def test_the_end_of_a_batch_makes_its_own_callbacks_due(stage: Stage) -> None:
    ended, other = (stage.queue.enqueue_batch("batch", [Job("noop")], on_complete=Job("called")) for _ in range(2))
    later = stage.database.now() + timedelta(hours=1)
    stage.execute(f"UPDATE hammerwork_watches SET check_at = '{stage.database.json_timestamp(later)}'")
    now = stage.database.now()
    assert stage.database.transaction(lambda: joins.make_due(stage.database, [ended.id], [], now)) == 1
    checks = dict(stage.database.query("SELECT subject_id, check_at FROM hammerwork_watches"))
    assert timestamp(checks[ended.id]) == now < timestamp(checks[other.id]) == later


def test_a_handler_is_asked_for_a_pause_only_if_a_function_of_it_tells(app: Handlers) -> None:
    def pause(job: Job, _: BaseException) -> timedelta:
        return timedelta(seconds=job.attempts)

    app.register_job("function", lambda _: None, retry=pause)
    app.register_job("strategy", lambda _: None, retry=RetryStrategy.fixed(timedelta(seconds=1)))
    policy = OutcomePolicy(app, RetryStrategy.fixed(timedelta(seconds=1)), ServerClock(), threading.Event())
    queues = ("function", "strategy", "noop", "none")
    asks = {queue: policy.asks_handler(claimed("job")._replace(queue_name=queue)) for queue in queues}
    assert asks == {"function": True, "strategy": False, "noop": False, "none": False}


def test_a_worker_says_once_that_the_clock_is_behind_until_it_is_right_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    class Clock(ServerClock):
        is_behind = True

    clock = Clock()
    context = worker_context(stage.connections, registered(stage, "name"), clock=clock)
    heartbeat = HeartbeatThread(context, report=HeartbeatReport, on_renewed=lambda: None)
    for clock.is_behind in (True, True, False, True):
        heartbeat._send(time.monotonic())
    assert sum("which is in the past" in message for message in caplog.messages) == 2


def test_a_worker_that_ends_for_a_restart_keeps_the_request_and_another_one_was_to_stop(stage: Stage) -> None:
    requests_left = {}
    for restarts in (True, False):
        worker = registered(stage, f"restarts {restarts}")
        registry.ask(stage.database, registry.resolve(stage.database, worker.id), "restart", "me")
        now = stage.database.now()
        registry.end(stage.database, worker.id, worker.name, HeartbeatReport(), now, restarts=restarts)
        requests_left[restarts] = registry.resolve(stage.database, worker.id).request
    assert requests_left == {True: "restart", False: "stop"}


def test_only_jobs_that_are_not_due_yet_are_due_later(stage: Stage) -> None:
    stage.enqueue(Job("noop"), *(Job("noop", delay=timedelta(hours=hours)) for hours in (1, 2)))
    assert claim.later(stage.database, ["noop"], stage.database.now(), 10) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_workers_are_notified_of_a_child_that_another_parent_takes_on_if_it_had_failed(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    told: list[list[str]] = []
    at_once: list[list[str]] = []
    monkeypatch.setattr(spawn.notifications, "notify", lambda _, queues: told.append(list(queues)))
    child = new_id()

    @app.job("parent")
    def early(job: Job, context: SpawnContext) -> None:
        told.clear()
        context.spawn(Job("child", id=child), key="a")
        at_once.extend(told)
        if job.payload["fails"]:
            raise ValueError("It fails.")

    stage.enqueue(*(Job("parent", {"fails": first}, max_attempts=1) for first in (fails, False)))
    stage.work(app, queues=("parent",), concurrency=1, max_jobs=1)
    assert stage.one(child) == ("Failed" if fails else "Pending")
    stage.work(app, queues=("parent",), concurrency=1)
    assert stage.one(child, "status, error_message, failed_at") == ("Pending", None, None)
    assert at_once == [["child"]] * (2 if fails else 1)


def test_an_outcome_that_fails_for_long_is_tried_again_less_often_unless_there_are_many(stage: Stage) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise DatabaseError("The table is locked.")

    def pause_with(outcomes: int) -> float | None:
        outcome_policy: Any = None
        finisher = Finisher(stage.connections, Slots(1, lambda: None), ServerClock(), Progress(30), outcome_policy)
        for number in range(outcomes):
            finisher._write(OutcomeBatch([EndedAttempt(claimed(str(number)), AttemptEnd.COMPLETED)]))
        for _ in range(8):
            finisher._again_at = 0.0
            assert not finisher.write()
        return finisher.pause

    stage.connections.run = refuse  # type: ignore[method-assign]
    assert [pause_with(outcomes) for outcomes in (1, 2, 20)] == pytest.approx([5.0, 2.5, 1.0], abs=0.2)


def test_a_job_that_comes_back_is_nobodys_and_alone_whatever_brings_it_back(stage: Stage) -> None:
    """A worker claims several jobs with one token."""
    worker, database = new_id(), stage.database
    now = database.now() + timedelta(seconds=1)

    def end(how: AttemptEnd) -> Callable[[Claimed], object]:
        return lambda job: finish.finish(database, [EndedAttempt(job, how, error="It failed.", at=now)], now)

    columns = "status, attempts, started_at, claimed_by, claimed_at, claim_token IS NULL"
    nobodys = (None, None, None)
    ways: dict[Callable[[Claimed], object], tuple[int, bool]] = {
        lambda job: finish.give_back(database, [job]): (0, True),
        lambda _: finish.compare(database, worker, [Owned(kept.id, kept.claim.token)]): (0, True),
        end(AttemptEnd.STOPPED): (0, False),
        end(AttemptEnd.SNOOZED): (0, False),
        end(AttemptEnd.RETRY): (1, False),
    }
    for bring_back, (counted, is_unclaimed) in ways.items():
        stage.enqueue(Job("noop"), Job("noop"))
        job, kept = claim.claim(database, "noop", worker=worker, now=now, limit=2, slots=2)
        bring_back(job)
        assert stage.one(job.id, columns) == ("Pending", counted, *nobodys, is_unclaimed)
        assert stage.one(kept.id, "status, attempts, claimed_by") == ("Running", 1, worker)
        stage.execute("DELETE FROM hammerwork_jobs")


def test_a_worker_claims_one_request_and_leaves_the_others_to_those_with_room(stage: Stage, app: Handlers) -> None:
    worker = registered(stage, "worker")
    stage.enqueue(Job("noop"), Job("noop"))
    stage.work(app)
    now = stage.database.now()
    wanted, other = (
        spawn_requests.request(stage.database, job, handler=None, config=None, by="x", now=now)
        for job, _ in stage.rows()
    )
    job = requests.claim_request(stage.database, wanted, worker.id, now)
    assert job is not None
    rows = "SELECT id, state, claim_token, claimed_by FROM hammerwork_spawn_requests"
    assert {str(one): columns for one, *columns in stage.database.query(rows)} == {
        wanted.id: ["running", job.claim.token, worker.id],
        other.id: ["pending", None, None],
    }
    assert stage.database.row("worker.requests.lock", id=wanted.id, token=job.claim.token) is not None
    assert stage.database.row("worker.requests.lock", id=wanted.id, token=new_id()) is None
    stage.database.run("worker.requests.count", id=wanted.id, children=7)
    counted = "SELECT id, children FROM hammerwork_spawn_requests WHERE children > 0"
    assert stage.database.query(counted) == [(wanted.id, 7)]
    stale = job._replace(claim=job.claim._replace(token=new_id()))
    requests.refuse(stage.database, wanted, stale, "It failed elsewhere.", now)
    found = spawn_requests.requests(stage.database, job.id)[0]
    assert (found.state, found.error) == ("running", None)
    for error in ("It failed.", "It failed again."):
        requests.refuse(stage.database, wanted, job, error, now)
    found = spawn_requests.requests(stage.database, job.id)[0]
    assert (found.state, found.error, timestamp(found.ended_at)) == ("failed", "It failed.", now)
    assert stage.database.row("worker.requests.lock", id=wanted.id, token=job.claim.token) is None


@pytest.mark.parametrize("order", [1, -1])
def test_each_job_of_a_lost_worker_tells_why_it_comes_back_recurs_or_is_dead(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    monkeypatch.setattr(rescue, "BATCH", 1)
    worker = registered(stage, "lost")
    first, second, third = sorted(new_id() for _ in range(3))[::order]
    job, recurring, last = stage.enqueue(
        Job("noop", id=first),
        Job("noop", id=second, max_attempts=1).with_cron("@daily"),
        Job("noop", id=third, max_attempts=1),
    )
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = created_at")
    now = stage.database.now() + timedelta(seconds=1)
    assert len(claim.claim(stage.database, "noop", worker=worker.id, now=now, limit=3, slots=3)) == 3
    assert registry.rescue(stage.database, heartbeat(stage, worker), now) == (2, 1)
    columns = "status, attempts, claim_losses, error_message, started_at, claimed_by, claimed_at, claim_token"
    error, nobodys = f"The worker lost {rescue.WAS_LOST}", [None] * 4
    assert stage.one(job, columns) == ("Pending", 1, 1, error, *nobodys)
    assert stage.one(recurring, columns) == ("Pending", 0, 1, error, *nobodys)
    assert stage.timestamp(recurring, "scheduled_at") == stage.timestamp(recurring, "next_run_at") > now
    assert stage.one(last, "status, attempts, claim_losses, error_message, claim_token") == ("Dead", 1, 1, error, None)
    assert stage.timestamp(last, "failed_at") == now


def test_a_worker_is_listed_alone_by_its_id_and_by_its_name(stage: Stage) -> None:
    one, two = registered(stage, "one"), registered(stage, "two")
    assert [worker.id for worker in registry.listed(stage.database, worker=one.id)] == [one.id]
    assert [worker.id for worker in registry.listed(stage.database, name="two")] == [two.id]


def test_a_recorded_spawn_is_changed_and_forgotten_for_its_parent_alone(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "MOST_SPAWNS", 0)
    app.register_handler("parent", lambda _: [Job("noop")])
    limited = SpawnConfig(max_descendants=5)
    stage.enqueue(*(Job("parent", {}).with_spawn_config(limited) for _ in range(2)))
    stage.work(app)
    (_, earlier), (operation, later) = stage.operations("id, parent_id")
    spawn.hook_failed(stage.database, operation, "It failed.")
    assert stage.operations("parent_id, hook_error") == [(earlier, None), (later, "It failed.")]
    spawn._forget_earlier(stage.database, SimpleNamespace(id=later))  # type: ignore[arg-type]
    assert stage.operations("parent_id") == [(earlier,)]
    assert stage.database.query("SELECT root_id FROM hammerwork_spawn_trees") == [(earlier,)]
