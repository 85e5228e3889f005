"""What a worker does when the worker itself fails, or when what it works on is gone: nothing is lost, nothing hangs."""

import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext, SpawnError, SpawnHandler, Worker
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.errors import (
    ConflictError,
    DatabaseError,
    HammerworkError,
    NotFoundError,
    RefusedValueError,
    UnreachableError,
)
from hammerwork_cli.features.job.queries import enqueue, spawn_requests
from hammerwork_cli.features.worker.queries import registry, requests
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.features.worker.queries.spawn import LostClaimError
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.execution import attempt_runner
from hammerwork_cli.runtime.execution.attempt_runner import AttemptRunner
from hammerwork_cli.runtime.execution.attempts import Attempt, ClaimedRequest
from hammerwork_cli.runtime.execution.child_spawner import ChildSpawner
from hammerwork_cli.runtime.execution.finisher import FIRST_PAUSE, Finisher, OutcomeBatch
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.faults import Progress
from hammerwork_cli.runtime.outages import SURVIVED, Outages
from hammerwork_cli.runtime.outcomes.failures import Failed
from hammerwork_cli.runtime.worker import loop
from hammerwork_cli.runtime.worker.finisher_thread import IDLE_SECONDS, FinisherThread
from hammerwork_cli.runtime.worker.requests import RequestClaimer
from tests.runtime.conftest import Stage, until
from tests.unit.runtime.test_slots import claimed
from tests.worker_context import worker_context

pytestmark = pytest.mark.sqlite


@pytest.fixture
def stage(lite: Stage) -> Stage:
    """An SQLite file: these ends are the same everywhere."""
    return lite


@pytest.fixture
def open_requests(stage: Stage, app: Handlers) -> list[Any]:
    """Two open requests to spawn the children of a completed job."""
    jobs = stage.enqueue(Job("noop"), Job("noop"))
    stage.work(app)
    now = stage.database.now()
    return [spawn_requests.request(stage.database, job.id, handler=None, config=None, by="x", now=now) for job in jobs]


def states(stage: Stage) -> list[tuple[Any, ...]]:
    return stage.database.query(
        "SELECT r.state, r.children, r.error_message FROM hammerwork_spawn_requests r ORDER BY r.state"
    )


POLL = 0.05


class Mixed:
    """A worker with one slot that has claimed jobs ahead, and holds the first of them until the block ends."""

    def __init__(self, stage: Stage, **options: Any) -> None:
        self.stage, self.handlers = stage, Handlers()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.handlers.register_job("mixed", self.run)
        self.worker = Worker(stage.url, self.handlers, concurrency=1, poll_interval=POLL, **options)
        self.thread = threading.Thread(target=self.worker.run)

    def run(self, job: Job) -> None:
        if job.payload == "held":
            self.begun.set()
            self.go_on.wait(20)

    def __enter__(self) -> "Mixed":
        self.stage.enqueue(Job("mixed", "quick"))  # so the worker knows how long they take, and claims ahead
        self.thread.start()
        until(lambda: self.stage.rows("status") == [("Completed",)])
        self.held = self.stage.enqueue(*(Job("mixed", "held") for _ in range(4)))
        assert self.begun.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()
        self.go_on.set()
        self.thread.join(60)


# The thread that runs a job.


@pytest.mark.parametrize("log_fails", [False, True])
def test_an_error_of_the_worker_itself_ends_the_attempt_as_one_of_the_handler_does(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, *, log_fails: bool
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("A defect.")

    monkeypatch.setattr(AttemptRunner, "_run_job", fail)
    if log_fails:
        monkeypatch.setattr(attempt_runner.log, "error", fail)
    (job,) = stage.enqueue(Job("noop").with_max_attempts(1))
    stage.work(app)
    status, error = stage.one(job, "status, error_message")
    assert (status, error.partition("\n")[0]) == ("Dead", "RuntimeError: A defect.")


@pytest.mark.parametrize("log_fails", [False, True])
def test_after_an_error_of_the_worker_itself_a_request_has_no_outcome_to_write(
    monkeypatch: pytest.MonkeyPatch, *, log_fails: bool
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("A defect.")

    if log_fails:
        monkeypatch.setattr(attempt_runner.log, "error", fail)
    request: Any = object()
    made = AttemptRunner.__new__(AttemptRunner)
    assert made._end_after(Attempt(ClaimedRequest(request, claimed("a")), threading.Lock()), RuntimeError()) is None


@pytest.mark.parametrize(
    ("raised", "told"), [(SpawnError("Not these."), "Not these."), (ValueError("7"), "refused: 7")]
)
def test_the_error_of_a_validation_is_reported_once(stage: Stage, app: Handlers, raised: Exception, told: str) -> None:
    class Checked(SpawnHandler):
        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            return [Job("noop")]

        def validate_spawn(self, parent_job: Job, config: SpawnConfig) -> None:
            raise raised

    app.register_handler("checked", Checked())
    (parent,) = stage.enqueue(Job("checked").with_max_attempts(1))
    stage.work(app)
    status, error = stage.one(parent, "status, error_message")
    assert status == "Dead"
    assert told in error.partition("\n")[0]
    assert error.count("refused") == (0 if isinstance(raised, SpawnError) else 1)


def test_an_error_of_the_database_ends_no_attempt_of_a_worker_that_stops_at_once() -> None:
    stopped_at_once = threading.Event()
    retry: Any = None
    outcome_policy = OutcomePolicy(Handlers(), retry, ServerClock(), stopped_at_once)
    job = claimed("a")._replace(max_attempts=2)
    stopped_at_once.set()
    assert outcome_policy.failed_by(job, UnreachableError("The server is away.")).end == AttemptEnd.STOPPED


def test_a_job_that_is_stopped_is_due_again_when_it_was_due(stage: Stage) -> None:
    retry: Any = None
    outcome_policy = OutcomePolicy(Handlers(), retry, ServerClock(), threading.Event())
    due = stage.database.now() - timedelta(hours=1)
    job = claimed("a")._replace(max_attempts=2, scheduled_at=due)
    assert outcome_policy.stopped(job) == EndedAttempt(job, AttemptEnd.STOPPED, at=due)


COMPLETES = SpawnConfig(on_error="complete")


def fail_to_spawn(context: SpawnContext) -> list[Job]:
    raise ValueError


def refuse_commits(monkeypatch: pytest.MonkeyPatch, error: HammerworkError) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(ChildSpawner, "_commit", refuse)


def test_a_job_that_completes_although_it_could_not_spawn_fails_with_what_the_database_refuses(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.register_handler("parent", fail_to_spawn)
    refuse_commits(monkeypatch, RefusedValueError("No such text."))
    (parent,) = stage.enqueue(Job("parent").with_spawn_config(COMPLETES).with_max_attempts(1))
    stage.work(app)
    assert stage.status(parent) == ["Dead"]
    assert "No such text." in stage.one(parent, "error_message")


def test_a_job_that_completes_although_it_could_not_spawn_is_left_to_who_has_it_now(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.register_handler("parent", fail_to_spawn)
    refuse_commits(monkeypatch, LostClaimError("It went to another."))
    (parent,) = stage.enqueue(Job("parent"))
    retry: Any = None
    made = ChildSpawner.__new__(ChildSpawner)
    made._outcome_policy = OutcomePolicy(app, retry, ServerClock(), threading.Event())
    made._connections, made._queue, made._clock = stage.connections, stage.queue, ServerClock()
    made._priorities, made._most_descendants = {}, 1
    job = claimed(parent.id)
    found: Any = app._spawn_handler(parent, None)
    completed = EndedAttempt(job, AttemptEnd.COMPLETED)
    now = stage.database.now()
    assert made._not_spawned(Attempt(job, threading.Lock()), completed, found, COMPLETES, ValueError(), now) is None


# The thread that writes outcomes.


@pytest.fixture
def finisher(stage: Stage) -> Finisher:
    outcome_policy: Any = SimpleNamespace(failed=lambda job, failure: (job, failure))
    return Finisher(stage.connections, Slots(1, lambda: None), ServerClock(), Progress(30), outcome_policy)


def test_an_outage_while_another_outcome_is_written_leaves_the_first_to_be_written_later(finisher: Finisher) -> None:
    def away(*_: Any) -> Any:
        raise UnreachableError("The server is away.")

    outcome = EndedAttempt(claimed("a"), AttemptEnd.TIMED_OUT, error="late")
    finisher._slots.outcomes.postpone([outcome])
    finisher._finish = away  # type: ignore[method-assign]
    with pytest.raises(UnreachableError):
        finisher._write_another(OutcomeBatch([outcome]), RefusedValueError("No."))
    assert (finisher._slots.outcomes.postponed, finisher._slots.outcomes.pop_ended()) == (0, [outcome])


def test_writing_another_outcome_in_place_of_one_that_is_refused_counts_as_writing(finisher: Finisher) -> None:
    asked: list[AttemptEnd] = []

    def refuse(batch: Any) -> None:
        asked.append(batch.outcomes[0].end)
        if len(asked) < 3:
            raise RefusedValueError("No.")

    finisher._finish = refuse  # type: ignore[method-assign]
    finisher._slots.outcomes.put_back([EndedAttempt(claimed("a"), AttemptEnd.TIMED_OUT, error="é")])
    wrote = [finisher.write() for _ in range(3) if finisher.pause is not None]
    assert len(asked) == 3
    assert any(wrote)


def test_an_outcome_that_is_tried_once_more_still_belongs_to_the_worker(finisher: Finisher) -> None:
    outcome = EndedAttempt(claimed("a"), AttemptEnd.COMPLETED)
    assert finisher._not_written(OutcomeBatch([outcome]), KeyError("A defect.")) is False
    assert finisher._slots.ids() == {"a"}
    assert finisher.pause == 0


def test_a_batch_that_cannot_be_written_is_halved_and_still_belongs_to_the_worker(finisher: Finisher) -> None:
    outcomes = [EndedAttempt(claimed(name), AttemptEnd.COMPLETED) for name in "abc"]
    assert finisher._not_written(OutcomeBatch(outcomes), KeyError("A defect.")) is False
    assert finisher._slots.ids() == {"a", "b", "c"}
    assert [[ended.job.id for ended in part.outcomes] for part in finisher._parts] == [["a"], ["b", "c"]]


def test_a_finisher_waits_before_it_tries_again_what_cannot_be_written(finisher: Finisher) -> None:
    finisher._not_written(
        OutcomeBatch([EndedAttempt(claimed("a"), AttemptEnd.COMPLETED)]), DatabaseError("The table is locked.")
    )
    assert finisher.pause is not None
    assert 0 < finisher.pause <= FIRST_PAUSE


def test_of_an_outcome_that_cannot_be_written_what_replaces_it_says_the_same_as_far_as_possible(
    finisher: Finisher,
) -> None:
    job = claimed("a")

    def others(end: AttemptEnd, **values: Any) -> list[Any]:
        return list(finisher._other_outcomes(EndedAttempt(job, end, **values), RefusedValueError("No.")))

    assert others(AttemptEnd.RETRY, error="é") == [
        EndedAttempt(job, AttemptEnd.RETRY, error="\\xe9"),
        EndedAttempt(job, AttemptEnd.FAILED, error="\\xe9"),
    ]
    assert [other.end for other in others(AttemptEnd.TIMED_OUT)] == [AttemptEnd.TIMED_OUT, AttemptEnd.TIMED_OUT]
    first, second = others(AttemptEnd.COMPLETED)
    text = "The database cannot hold the result of the job. No."
    assert first == (job, Failed(text, retryable=False))
    assert second == EndedAttempt(job, AttemptEnd.FAILED, error=text)


NO_CONNECTIONS = SimpleNamespace(outages=Outages())


def test_a_finisher_survives_its_errors_with_ever_longer_pauses_and_tells_what_it_wrote() -> None:
    answers: Any = iter([RuntimeError(), RuntimeError(), True, False, RuntimeError()])
    waited: list[float] = []
    told: list[None] = []

    def write() -> bool:
        answer = next(answers, None)
        if answer is None:
            thread._stopped = True
            return False
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    stopped_at_once: Any = SimpleNamespace(is_set=lambda: False, wait=waited.append)
    context = worker_context(NO_CONNECTIONS, stop=SimpleNamespace(at_once=stopped_at_once))
    writing: Any = SimpleNamespace(write=write, pause=0.0)
    thread = FinisherThread(context, writing, threading.Event(), lambda: told.append(None))
    thread.run()
    assert len(told) == 1
    # The pauses are drawn at random below a bound that doubles.
    bounds = [SURVIVED.first * 2 ** (failures - 1) for failures in (1, 2, 1)]
    assert all(0 <= pause <= bound for pause, bound in zip(waited, bounds, strict=True))


def test_the_thread_that_writes_rests_between_its_turns_and_ends_when_the_worker_stops_at_once() -> None:
    turns: list[None] = []
    context = worker_context(NO_CONNECTIONS)
    stopped_at_once = context.stop.at_once
    woken = threading.Event()
    writing: Any = SimpleNamespace(write=lambda: turns.append(None), pause=None)
    thread = FinisherThread(context, writing, woken, lambda: None)
    thread.start()
    until(lambda: turns)
    woken.set()
    until(lambda: len(turns) > 1 and not woken.is_set())
    before = len(turns)
    assert not stopped_at_once.wait(0.3)
    assert len(turns) <= before + 1 + 0.3 / IDLE_SECONDS
    stopped_at_once.set()
    woken.set()
    thread.join(20)
    assert not thread.is_alive()


# Requests.


def test_a_worker_sees_open_requests_however_many_have_ended(stage: Stage, open_requests: list[Any]) -> None:
    ended, pending = open_requests
    stage.execute(f"UPDATE hammerwork_spawn_requests SET state = 'done' WHERE id = '{ended.id}'")
    worker = Registration(new_id(), "name", "host", 1, "0", ("noop",), (), 1, 10.0)
    assert [one.id for one in requests.pending_requests(stage.database, worker)] == [pending.id]


def test_a_claim_takes_one_of_several_requests(stage: Stage, open_requests: list[Any]) -> None:
    assert requests.claim_request(stage.database, open_requests[0], new_id(), stage.database.now()) is not None
    assert [state for state, *_ in states(stage)] == ["pending", "running"]


def test_a_request_whose_job_is_gone_fails_and_one_that_is_gone_itself_ends_the_wait(
    stage: Stage, open_requests: list[Any]
) -> None:
    one, _ = open_requests
    stage.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{one.job_id}'")
    assert requests.claim_request(stage.database, one, new_id(), stage.database.now()) is None
    assert states(stage)[0] == ("failed", 0, "The job no longer exists.")
    stage.execute("DELETE FROM hammerwork_spawn_requests")
    with pytest.raises(NotFoundError, match=f"The spawn request {one.id} no longer exists"):
        requests.RequestWatch(stage.database, one).refresh()


@pytest.mark.usefixtures("open_requests")
def test_a_request_for_jobs_that_spawn_nothing_says_so(stage: Stage, app: Handlers) -> None:
    stage.work(app)
    (error,) = {error for *_, error in states(stage)}
    assert error.startswith("There is no spawn handler 'noop'. Registered:")


@pytest.mark.usefixtures("open_requests")
def test_a_request_that_another_worker_has_by_now_spawns_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = Handlers()

    @handlers.spawn("noop")
    def late(context: SpawnContext) -> list[Job]:
        stage.execute("UPDATE hammerwork_spawn_requests SET state = 'running', claim_token = 'x', claimed_by = 'other'")
        return [Job("noop")]

    stage.work(handlers)
    assert len(stage.rows()) == 2
    assert [state for state, *_ in states(stage)] == ["running"] * 2
    assert "failed: Another worker has the request now, or the job was deleted." in caplog.text


def test_no_request_is_claimed_once_a_worker_ends(stage: Stage, open_requests: list[Any]) -> None:
    worker = Registration(new_id(), "name", "host", 1, "0", ("noop",), (), 1, 10.0)
    slots = Slots(1, lambda: None)
    claimer = RequestClaimer(worker_context(stage.connections, worker), slots)
    claimer.close()
    claimer.claim(stage.database)
    assert (slots.waiting, len(open_requests)) == (0, 2)
    assert {state for state, *_ in states(stage)} == {"pending"}


def test_a_worker_that_is_silent_serves_no_request(stage: Stage, open_requests: list[Any]) -> None:
    worker = Registration(new_id(), "name", "host", 1, "0", ("noop",), (), 1, 10.0)
    registry.register(stage.database, worker)
    assert requests.has_worker(stage.database, open_requests[0])
    past = stage.database.json_timestamp(stage.database.now() - timedelta(minutes=1))
    stage.execute(f"UPDATE hammerwork_workers SET heartbeat_at = '{past}'")
    assert not requests.has_worker(stage.database, open_requests[0])


# Refusals.


def test_a_job_that_depends_on_too_many_is_refused(stage: Stage) -> None:
    many = [str(uuid4()) for _ in range(enqueue.MOST_PARENTS + 1)]
    now = stage.database.now()
    with pytest.raises(RefusedValueError, match=f"at most {enqueue.MOST_PARENTS:,} jobs, not on {len(many):,}"):
        enqueue.insert(stage.database, [Job("noop").depends_on(*many)._new_job(now)])
    assert stage.rows() == []
    assert enqueue.insert(stage.database, [Job("noop").depends_on(*many[1:])._new_job(now)]) == 1


def test_a_lost_worker_cannot_be_asked_for_anything(stage: Stage) -> None:
    registry.register(stage.database, Registration(new_id(), "gone", "host", 1, "0", ("noop",), (), 1, 10.0))
    (heartbeat,) = registry.heartbeats(stage.database)
    assert registry.rescue(stage.database, heartbeat, stage.database.now()) == (0, 0)
    (worker,) = registry.listed(stage.database)
    with pytest.raises(ConflictError, match="The worker gone is lost and cannot see the request"):
        registry.ask(stage.database, worker, "stop", "x")


def test_a_worker_is_found_by_its_id_among_others(stage: Stage) -> None:
    ids = [new_id(), new_id()]
    for worker in ids:
        registry.register(stage.database, Registration(worker, "same", "host", 1, "0", ("noop",), (), 1, 10.0))
    assert [[found.id for found in registry.listed(stage.database, worker=worker)] for worker in ids] == [
        [worker] for worker in ids
    ]


# Jobs that have not begun.


def test_jobs_that_wait_in_a_worker_for_too_long_go_back_to_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STALE_SECONDS", 0.05)
    with Mixed(stage) as mixed:
        until(lambda: stage.status(*mixed.held) == ["Running"] + ["Pending"] * 3)


def test_a_worker_that_is_busy_gives_back_what_it_holds_without_knowing_it(stage: Stage) -> None:
    with Mixed(stage, lease=0.6) as mixed:
        (unknown,) = stage.enqueue(Job("elsewhere"))
        stage.execute(
            "UPDATE hammerwork_jobs SET status = 'Running', started_at = created_at, claimed_at = created_at,"
            f" claim_token = 'x', claimed_by = '{mixed.worker.id}' WHERE id = '{unknown.id}'"
        )
        until(lambda: stage.one(unknown) == "Pending")
        assert not mixed.go_on.is_set()


def test_a_worker_that_waits_for_its_last_job_rests_between_its_turns(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[None] = []
    turn = loop.MainLoop._turn

    def counted(self: loop.MainLoop) -> bool:
        turns.append(None)
        return turn(self)

    monkeypatch.setattr(loop.MainLoop, "_turn", counted)
    with Mixed(stage) as mixed:
        until(lambda: stage.status(*mixed.held) == ["Running"] * 4)
        mixed.worker.stop()
        until(lambda: stage.status(*mixed.held) == ["Running"] + ["Pending"] * 3)
        before, began = len(turns), time.monotonic()
        assert not mixed.go_on.wait(0.5)
        more = len(turns) - before
        assert more <= 2 + (time.monotonic() - began) / POLL


# A stop at once.


def test_claimed_jobs_that_have_not_started_go_back_when_the_worker_stops_at_once(stage: Stage) -> None:
    with Mixed(stage) as mixed:
        until(lambda: stage.status(*mixed.held) == ["Running"] * 4)
        mixed.worker.stop(now=True)
        mixed.thread.join(60)
    assert [stage.one(job, "status, attempts") for job in mixed.held] == [("Pending", 0)] * 4
