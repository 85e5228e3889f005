"""A worker with thousands of queues asks those that have jobs, or of which it heard."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Worker
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.worker.queries import claim
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.worker import claimer as claimer_module
from hammerwork_cli.runtime.worker.claimer import Claimer
from tests.conftest import all_databases
from tests.runtime.conftest import PATIENCE, Stage, until
from tests.worker_context import worker_context

MANY = 3000
QUEUES = tuple(f"q{number}" for number in range(MANY))


def claimer_of(stage: Stage, concurrency: int = 2, *, poll_interval: float = 60, weighted: bool = False) -> Claimer:
    registration = Registration(new_id(), "name", "host", 1, "0", QUEUES, (), concurrency, 10.0)
    clock = ServerClock()
    clock.set(stage.database.now() + timedelta(seconds=1))  # what is enqueued now is due to it at once
    slots = Slots(concurrency, lambda: None)
    how = {"poll_interval": poll_interval, "weighted": weighted}
    return Claimer(worker_context(stage.connections, registration, clock=clock, **how), slots)


def sent(stage: Stage, work: Callable[[], Any]) -> int:
    """How many statements a part of a worker sends."""
    count = lambda: stage.connections.run(lambda database: database.executed)  # noqa: E731
    before = count()
    work()
    return count() - before


def waiting(claimer: Claimer) -> list[str]:
    return [job.queue_name for job in claimer._slots.withdraw()]


@all_databases
def test_a_look_at_thousands_of_idle_queues_is_one_statement(stage: Stage) -> None:
    claimer = claimer_of(stage)
    stage.connections.run(lambda database: database.tags)
    assert sent(stage, claimer.fetch) == 1
    assert claimer.pause > 1
    assert sent(stage, claimer.fetch) == 0


@pytest.mark.sqlite
def test_it_looks_at_all_queues_as_soon_as_it_may_after_somebody_has_called_it(lite: Stage) -> None:
    """A slow look keeps it from another one for longer than it remembers a call."""
    claimer = claimer_of(lite, poll_interval=600)
    claimer.fetch()
    claimer._poll_not_before = time.monotonic() + 2 * claimer_module.EAGER_SECONDS
    lite.enqueue(Job("q7"))
    claimer.notify()
    until(claimer.fetch)
    assert waiting(claimer) == ["q7"]


@pytest.mark.sqlite
@pytest.mark.parametrize("limited_first", [True, False])
def test_a_queue_without_room_is_asked_again_once_a_job_of_it_ends(lite: Stage, limited_first: bool) -> None:
    """Whether it was empty at the last claim, or its limit is newer."""
    claimer = claimer_of(lite, poll_interval=600)
    if limited_first:
        lite.queue.limit("q7", concurrency=1)
    lite.enqueue(Job("q7"))
    until(claimer.fetch)
    claimer.notify("q7")
    assert not claimer.fetch()
    lite.queue.limit("q7", concurrency=1)
    second = lite.enqueue(Job("q7"))
    claimer.notify("q7")
    until(lambda: claimer.fetch() or claimer.pause > 1)
    lite.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE status = 'Running'")
    assert waiting(claimer) == ["q7"]
    until(claimer.fetch)
    assert [job.id for job in claimer._slots.withdraw()] == [job.id for job in second]


@all_databases
def test_only_queues_with_jobs_are_asked(stage: Stage) -> None:
    stage.enqueue(Job("q7"), Job("q2999"), Job("elsewhere"))
    queues.pause(stage.database, "q2999", by="me", now=stage.database.now())
    claimer = claimer_of(stage)
    stage.connections.run(lambda database: (database.tags, events.readers(database)))
    assert sent(stage, claimer.fetch) == 3  # the look, and a claim
    assert waiting(claimer) == ["q7"]


def test_while_a_queue_waits_for_a_slot_nothing_is_asked(stage: Stage) -> None:
    stage.enqueue(Job("q1"), Job("q1"), Job("q2"))
    claimer = claimer_of(stage, 1)
    claimer.fetch()
    claimer.fetch()  # finds no room
    claimer._poll_at = claimer._poll_not_before = 0.0
    assert sent(stage, claimer.fetch) == 0
    assert claimer.full


def test_a_queue_of_which_it_heard_is_asked_at_once_and_alone(stage: Stage) -> None:
    claimer = claimer_of(stage)
    claimer.fetch()
    stage.enqueue(Job("q5"), Job("q6"))
    claimer.notify("q6")
    stage.connections.run(events.readers)
    assert sent(stage, claimer.fetch) == 2
    assert waiting(claimer) == ["q6"]
    claimer._poll_not_before = 0.0
    claimer.notify()  # of no queue by its name
    claimer.fetch()
    assert waiting(claimer) == ["q5"]


def test_a_queue_without_end_leaves_the_others_their_turns(stage: Stage) -> None:
    stage.enqueue(*(Job("q0") for _ in range(30)))
    claimer = claimer_of(stage)
    claimer._slots.seconds.update(dict.fromkeys(QUEUES, 60.0))  # it claims none ahead
    taken: list[str] = []
    for turn in range(8):
        if turn == 2:
            stage.enqueue(Job("q1"), Job("q2"), Job("q3"))
            claimer._poll_at = claimer._poll_not_before = 0.0
        claimer.fetch()
        taken += waiting(claimer)
    assert {"q1", "q2", "q3"} < set(taken)
    assert taken.count("q0") >= 8


def test_a_claim_that_ran_out_of_time_goes_on_at_once_also_if_it_found_nothing_yet(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimer_module, "CLAIM_SECONDS", -1.0)  # it asks one queue
    claimer = claimer_of(stage)
    claimer.fetch()
    stage.enqueue(Job("q1"))
    claimer._due.update(dict.fromkeys(("q3", "q2", "q1")))
    claimer.poll_now()
    asked = [claimer.fetch() for _ in range(3) if claimer.pause == 0]
    assert asked == [False, False, True]


def test_weights_hold_within_each_queue(stage: Stage) -> None:
    stage.enqueue(*(Job(queue, priority=priority) for queue in ("q1", "q2") for priority in ("low", "critical")))
    claimer = claimer_of(stage, 4, weighted=True)
    taken: list[str] = []
    while claimer.fetch():  # one call may run out of time
        taken += waiting(claimer)
    assert sorted(taken) == ["q1", "q1", "q2", "q2"]


def test_a_worker_of_thousands_of_queues_starts_a_job_and_stops_soon(stage: Stage) -> None:
    hears = stage.database.dialect == "postgresql"
    started = threading.Event()
    app = Handlers()
    for queue in QUEUES:
        app.register_job(queue, lambda _: started.set())
    worker = Worker(stage.url, app, poll_interval=PATIENCE if hears else 0.1)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: stage.database.query("SELECT 1 FROM hammerwork_workers"))
        if hears:
            sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            until(lambda: stage.database.query(sessions))
        for number in (1, 2998):
            started.clear()
            stage.enqueue(Job(f"q{number}"))
            assert started.wait(PATIENCE / 4)
    finally:
        began = time.monotonic()
        worker.stop()
        thread.join()
    assert time.monotonic() - began < PATIENCE / 4


@all_databases
def test_jobs_that_are_due_later_are_counted_in_the_queues_that_have_some(stage: Stage) -> None:
    stage.enqueue(
        *(Job("q9", delay=timedelta(hours=1)) for _ in range(3)), Job("q8", delay=timedelta(hours=1)), Job("q7")
    )
    now = stage.database.now()
    assert claim.later(stage.database, QUEUES, now, 100) == 4
    assert claim.later(stage.database, QUEUES, now, 2) >= 2
    assert claim.with_jobs(stage.database, QUEUES, before=now) == ["q7"]
    assert claim.with_jobs(stage.database, QUEUES, after=now) == ["q8", "q9"]
    assert claim.with_jobs(stage.database, (), before=now) == []


@pytest.mark.parametrize(("weighted", "seconds"), [(False, 0.1), (True, 0.1), (True, -1.0)])
def test_a_queue_whose_jobs_need_a_free_slot_gets_one_beside_a_queue_that_never_ends(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, weighted: bool, seconds: float
) -> None:
    monkeypatch.setattr(claimer_module, "CLAIM_SECONDS", seconds)  # after less than nothing, it asks one queue
    monkeypatch.setattr(claimer_module, "MOST_AHEAD_BYTES", 100_000)
    claimer = claimer_of(stage, weighted=weighted)
    slots, started = claimer._slots, list[str]()
    slots.seconds |= dict.fromkeys(("q0", "q2", "q3"), 0.01)  # it keeps 40 jobs ready; nothing is known of q1
    stage.enqueue(*(Job("q0") for _ in range(300)))
    claimer.fetch()
    stage.enqueue(Job("q1"), Job("q2", max_attempts=1), Job("q3", {"text": "x" * 100_000}))
    for queue in ("q1", "q2", "q3"):
        claimer.notify(queue)
    while slots.waiting or claimer.pause == 0:  # one call may run out of time
        if slots.waiting:
            started += [job.queue_name for job, _ in (slots._waiting.popleft(),) if isinstance(job, claim.Claimed)]
        claimer.fetch()
    assert max(started.index(queue) for queue in ("q1", "q2", "q3")) < 150
    assert len(started) == 303
