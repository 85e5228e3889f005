"""A worker's threads beside its slots, without a database: when they try again, and when they look."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import BrokenInstallationError, RetryableError, UnreachableError
from hammerwork_cli.features.job.queries.notifications import CHANNEL
from hammerwork_cli.features.spawn.queries.doctor import FixedJobs
from hammerwork_cli.features.worker.models.worker import heartbeat_interval
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.features.worker.queries.registry import Heartbeat, HeartbeatAnswer
from hammerwork_cli.runtime.clock import elapsed
from hammerwork_cli.runtime.execution import attempt_runner
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.outages import OutageLog, Outages
from hammerwork_cli.runtime.worker import heartbeat as heartbeats
from hammerwork_cli.runtime.worker import keeper, listener, turns
from hammerwork_cli.runtime.worker.assembly import assemble
from hammerwork_cli.runtime.worker.claimer import EAGER_PAUSE, Claimer
from hammerwork_cli.runtime.worker.context import WorkerConnections
from hammerwork_cli.runtime.worker.finisher_thread import IDLE_SECONDS, FinisherThread
from hammerwork_cli.runtime.worker.heartbeat import HeartbeatThread
from hammerwork_cli.runtime.worker.keeper import Keeper
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.listener import LONGEST_PAUSE, Listener
from hammerwork_cli.runtime.worker.loop import STALE_SECONDS, MainLoop
from hammerwork_cli.runtime.worker.options import Options
from hammerwork_cli.runtime.worker.stopping import StopSwitch
from hammerwork_cli.runtime.worker.turns import Task, Turn, TurnThread
from hammerwork_cli.view.text import NAMED
from tests.conftest import each_row
from tests.unit.runtime.test_slots import PATIENCE, claimed
from tests.worker_context import WORKER, worker_context


class Line:
    """A connection that answers what it is told to, or raises it."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.stopped_at_once = threading.Event()
        self.outages = Outages()
        self.patience: set[float | None] = set()
        self._answer = answer

    def run(self, *_: Any, patience: float | None = None) -> Any:
        self.patience.add(patience)
        return self._answer()


class Waits:
    """Stands for the event that ends a thread: remembers how long was waited, and is set after so many times."""

    def __init__(self, times: int) -> None:
        self.seconds: list[float] = []
        self._times = times

    def is_set(self) -> bool:
        return len(self.seconds) >= self._times

    def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.mark.parametrize(
    ("url", "count"), [("sqlite:///jobs.db", 10), ("mysql://u@h/jobs", 10), ("postgresql://u@h/jobs", 12)]
)
def test_no_two_parts_of_a_worker_share_connections_and_all_are_closed(url: str, count: int) -> None:
    connections = WorkerConnections(DatabaseUrl.parse(url), Options(), StopSwitch(None))
    parts = assemble(replace(worker_context(connections.main), connections=connections), lambda *_, **__: None)  # type: ignore[arg-type,misc]
    spawning = parts.attempt_runner._child_spawner._connections
    of_parts = [connections.main, spawning, *(thread.connections for thread in parts.threads)]
    if parts.finishing is not None:  # otherwise the main thread writes outcomes
        of_parts.append(parts.finisher._connections)
    assert sorted(map(id, connections._given)) == sorted(map(id, of_parts))
    assert all(thread.daemon for thread in (*parts.threads, parts.finishing) if thread), "none outlives the program"
    pools = {id(one._pool) for one in (*of_parts, connections.queue._connections)}
    assert len(pools) == len(of_parts) + 1 == count
    connections.close()


def away() -> Any:
    raise UnreachableError("The server is away.")


def heartbeat(
    answer: Callable[[], Any], lease: Any, on_request: Callable[..., None] = lambda *_: None
) -> HeartbeatThread:
    """One without jobs whose leases it would renew."""
    beating = HeartbeatThread(
        worker_context(Line(answer), lease=lease, stop=SimpleNamespace(hear_request=on_request)),
        report=lambda: None,  # type: ignore[arg-type,return-value]
        on_renewed=lambda: None,
    )
    made: Any = beating
    made._renew = lambda: None
    return beating


def answered(request: str | None = None) -> HeartbeatAnswer:
    return HeartbeatAnswer(request, False, datetime.now(UTC))


def test_a_worker_beats_six_times_a_lease_and_every_three_seconds_at_least() -> None:
    assert {lease: heartbeat_interval(lease) for lease in (1.2, 6, 18, 60)} == {
        1.2: pytest.approx(0.2),
        6: 1,
        18: 3,
        60: 3,
    }


@pytest.mark.parametrize(("answer", "least"), [(answered, 2.5), (away, 0.1)])
def test_between_heartbeats_is_an_interval_and_after_one_that_failed_a_part_of_it(
    answer: Callable[[], Any], least: float
) -> None:
    beating = heartbeat(answer, Lease(60.0, 0.0))
    stopped: Any = Waits(40)
    beating.stopped, beating.on_nodes = stopped, True
    beating.run()
    assert all(least <= seconds <= 3 for seconds in stopped.seconds), stopped.seconds
    line: Any = beating.connections
    assert line.patience == {0}, "the next one comes soon enough"


def test_a_request_is_heard_once_however_long_it_stands() -> None:
    requests = iter(
        [("stop", None), ("stop", None), ("restart", None), ("restart", None), ("restart", 0.0), (None, None)]
    )
    heard: list[tuple[str, float | None]] = []
    beating = heartbeat(
        lambda: answered(None)._replace(**dict(zip(("request", "grace"), next(requests), strict=True))),
        Lease(60.0, 0.0),
        lambda request, grace: heard.append((request, grace)),
    )
    for _ in range(6):
        beating._send(0.0)
    assert heard == [("stop", None), ("restart", None), ("restart", 0.0)]


def test_a_lease_counts_from_when_its_heartbeat_was_sent() -> None:
    renewed = []
    lease = SimpleNamespace(
        seconds=60.0, renew=lambda sent, answered, was_lost: renewed.append((sent, answered - sent > 0, was_lost))
    )
    heartbeat(lambda: HeartbeatAnswer(None, True, datetime.now(UTC)), lease)._send(-1.0)
    assert renewed == [(-1.0, True, True)]


def test_the_first_failed_heartbeat_of_an_outage_is_logged_and_each_tenth(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([*[away] * 21, lambda: HeartbeatAnswer(None, False, datetime.now(UTC))] * 2)
    beating = heartbeat(lambda: next(answers)(), Lease(60.0, 0.0))
    stopped: Any = Waits(44)
    beating.stopped = stopped
    beating.run()
    failed = "The heartbeat failed and will be retried: The server is away."
    told = [*[failed] * 3, "The database answers again, after a while."]
    assert [re.sub(r"after \d+\.\d s", "after a while", line) for line in caplog.messages] == told * 2


def test_leases_of_jobs_are_looked_at_six_times_a_lease_at_once_after_an_outage_and_never_without_a_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first heartbeats are a second apart, and a lease is 300 s."""
    now, looks = [0.0], list[float]()
    monkeypatch.setattr(heartbeats, "elapsed", lambda: now[0])
    monkeypatch.setattr(heartbeats.registry, "renew_leases", lambda *_: looks.append(now[0]))
    fails = {60.0, 61.0, 62.0, 113.0, 114.0, 115.0}

    beating = heartbeat(lambda: None, Lease(60.0, 0.0))
    made: Any = beating
    del made._renew  # this time it looks for jobs
    made.connections.run = lambda unit, patience: unit(patience)
    made._record = lambda *_: away() if now[0] in fails else answered()
    for second in range(120):
        now[0] = float(second)
        turn = beating._take(beating.tasks())
        beating.failures = beating.failures + 1 if turn is Turn.FAILED else 0
    assert looks == [0.0, 50.0, 63.0, 116.0]


def test_of_several_threads_that_meet_an_outage_one_says_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    outages = Outages()
    threads = [OutageLog(outages, shared=True) for _ in range(4)]
    for _ in range(12):
        for thread in threads:
            thread.failed("The server is away. Trying again.")
    for thread in threads:
        thread.recovered()
    assert caplog.messages == ["The server is away. Trying again.", "The database answers again, after 0.0 s."]
    caplog.clear()
    threads[0].failed("The server is away. Trying again.")
    threads[0].recovered()
    threads[0].recovered()
    assert len(caplog.messages) == 2, "and of the next outage again"


def test_a_keeper_says_once_an_outage_which_duty_fails(caplog: pytest.LogCaptureFixture) -> None:
    answers: Any = iter([*[UnreachableError("The server is away.")] * 36, *[None] * 4])

    def answer() -> None:
        if (found := next(answers)) is not None:
            raise found

    line: Any = Line(answer)
    keeper = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    stopped: Any = Waits(10)
    keeper.stopped = stopped
    keeper.run()
    assert caplog.messages == [
        "Releasing waiting jobs failed and will be retried: The server is away.",
        "The database answers again, after 0.0 s.",
    ]


def test_a_listener_without_a_connection_tries_again_after_ever_longer_pauses() -> None:
    line: Any = Line(away)
    listener = Listener(worker_context(line), lambda: None)
    stopped: Any = Waits(8)
    listener.stopped = stopped
    listener.run()
    assert stopped.seconds == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_PAUSE, LONGEST_PAUSE])
    assert line.patience == {0}, "it looks in between whether it is to stop"


def test_a_listener_that_heard_something_pauses_as_briefly_as_at_first() -> None:
    answers = iter([away, away, lambda: None, away])
    line: Any = Line(lambda: next(answers)())
    listener = Listener(worker_context(line), lambda: None)
    stopped: Any = Waits(3)
    listener.stopped = stopped
    listener.run()
    assert stopped.seconds == pytest.approx([0.1, 0.2, 0.1])


def test_a_listener_that_hears_again_after_an_outage_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = [away] * 12
    answers = iter([*outage, lambda: None, lambda: None, *outage, lambda: None, away])
    line: Any = Line(lambda: next(answers)())
    listener = Listener(worker_context(line), lambda: None)
    stopped: Any = Waits(len(outage) * 2 + 1)
    listener.stopped = stopped
    listener.run()
    failed = "Listening for new jobs failed and will be retried: The server is away."
    of_each = [failed, failed, "The database answers again, after 0.0 s."]
    assert caplog.messages == [*of_each * 2, failed]


def test_a_listener_wakes_its_worker_for_jobs_of_its_queues_alone() -> None:
    heard = iter([[], ["other"], ["other", "work"]])
    database: Any = SimpleNamespace(listen=lambda _: True, notifications=lambda _: next(heard))
    woken: list[tuple[str, ...]] = []
    context = worker_context(Line(away), WORKER._replace(queues=("work", "more"), lease=30.0))
    listener = Listener(context, lambda *queue: woken.append(queue))
    counts = []
    for _ in range(4):
        listener._listen(database, 1)
        counts.append(len(woken))
    assert counts == [1, 1, 1, 2]
    assert woken == [(), ("work",)]


def test_a_listener_that_nothing_tells_of_jobs_ends(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []
    database: Any = SimpleNamespace(listen=asked.append)  # false, as behind a pooler
    line: Any = SimpleNamespace(
        outages=Outages(), stopped_at_once=threading.Event(), run=lambda unit, **_: unit(database)
    )
    woken: list[bool] = []
    listener = Listener(worker_context(line), lambda: woken.append(True))
    stopped: Any = Waits(1)
    listener.stopped = stopped
    listener.run()
    assert (asked, woken) == ([CHANNEL], [True])
    assert caplog.messages == [
        "A connection pooler blocks notifications of new jobs: this worker polls at every --poll-interval."
    ]


def test_a_sweep_that_found_nothing_begins_again_after_half_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([(None, FixedJobs()), (None, FixedJobs(("1",), failed=("2",))), (None, FixedJobs())])
    looks = []

    class Doctor:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def fix_waiting_page(self, after: str | None) -> tuple[str | None, FixedJobs]:
            looks.append(after)
            return next(found)

    monkeypatch.setattr(keeper, "Doctor", Doctor)
    line: Any = Line(away)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    database: Any = None
    for _ in range(3):
        keeping._sweep(database)
    assert len(looks) == 1
    keeping._next_sweep = 0.0
    for _ in range(3):
        keeping._sweep(database)
    assert len(looks) == 3, "one that mended something is repeated at once"


def test_a_keeper_is_releasing_until_a_sweep_that_found_jobs_has_reached_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages: Any = iter([("a", True), ("b", False), (None, True), ("a", False), ("c", True), ("d", False)])

    class Doctor:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def fix_waiting_page(self, _: str | None) -> tuple[str | None, FixedJobs]:
            after, fixes = next(pages)
            return after, FixedJobs(("1",) if fixes else ())

    monkeypatch.setattr(keeper, "Doctor", Doctor)
    monkeypatch.setattr(keeper, "IDLE_SWEEP", -1.0)
    line: Any = Line(away)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    database: Any = None
    seen = [keeping.releasing]
    for _ in range(4):
        keeping._sweep(database)
        seen.append(keeping.releasing)
    assert seen == [True, True, False, False, True], (
        "one that finds nothing at first may take long, and nobody waits for it"
    )
    assert next(pages, "all") == "all", "one that finds jobs looks at the next page at once"


@pytest.mark.parametrize(("option", "duty"), [(None, "leases"), (60.0, "rescue")])
def test_a_look_for_what_no_lease_covers_does_not_put_off_one_for_what_runs_for_long(
    monkeypatch: pytest.MonkeyPatch, option: float | None, duty: str
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(keeper.duties, "times", lambda _: {})
    monkeypatch.setattr(keeper.duties, "take_due", lambda _database, name, *_, **__: taken.append(name))
    line: Any = Line(away)
    context = worker_context(line, rescue_older_than=option)
    keeping = Keeper(context, claim_requests=lambda _: None, wake=lambda: None)
    database: Any = SimpleNamespace(tags={"rust_3"})
    keeping._rescue_from_rust(database)
    assert taken == [duty]


def test_a_sweep_goes_over_all_pages_at_once_where_they_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter(["a", "b", None])

    class Doctor:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def fix_waiting_page(self, _: str | None) -> tuple[str | None, FixedJobs]:
            return next(pages), FixedJobs()

    monkeypatch.setattr(keeper, "Doctor", Doctor)
    monkeypatch.setattr(keeper, "IDLE_SWEEP", PATIENCE)
    line: Any = Line(away)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    database: Any = None
    keeping._sweep(database)
    assert next(pages, "all") == "all"


@pytest.mark.parametrize(
    ("error", "waits"), [(RetryableError("A deadlock."), keeper.COLLISIONS), (UnreachableError("No rights."), 1)]
)
def test_a_keeper_whose_sweep_is_broken_off_by_locks_is_releasing_for_some_more_sweeps(
    monkeypatch: pytest.MonkeyPatch, error: Exception, waits: int
) -> None:
    class Doctor:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def fix_waiting_page(self, _: str | None) -> tuple[str | None, FixedJobs]:
            if looks.pop(0) == "page":
                return "the next one follows", FixedJobs()
            raise error

    looks = [*["error"] * (waits - 1), "page", *["error"] * waits]  # a page that succeeds forgets the errors before
    monkeypatch.setattr(keeper, "Doctor", Doctor)
    line: Any = Line(away)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    database: Any = None
    while keeping.releasing:
        with pytest.raises(type(error)):
            keeping._sweep(database)
    assert looks == []


def test_a_sweep_logs_which_jobs_it_released_and_which_it_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = tuple(map(str, range(NAMED + 2)))

    class Doctor:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def fix_waiting_page(self, after: str | None) -> tuple[str | None, FixedJobs]:
            return after, FixedJobs(released, ("a", "b"))

    caplog.set_level("INFO", "hammerwork")
    monkeypatch.setattr(keeper, "Doctor", Doctor)
    line: Any = Line(away)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    database: Any = None
    keeping._sweep(database)
    names = ", ".join(released[:NAMED])
    assert caplog.messages == [
        f"Released 22 waiting jobs whose dependencies had completed: {names} and 2 more.",
        "Failed 2 waiting jobs whose dependencies had failed or are missing: a, b.",
    ]


@pytest.mark.parametrize("sweep", [True, False])
def test_a_keeper_sweeps_unless_an_option_forbids_it(monkeypatch: pytest.MonkeyPatch, *, sweep: bool) -> None:
    line: Any = Line(lambda: None)
    keeping = Keeper(worker_context(line, sweep=sweep), claim_requests=lambda _: None, wake=lambda: None)
    done: list[str] = []
    monkeypatch.setattr(keeping, "_do", lambda name, _: done.append(name))
    stopped: Any = Waits(1)
    keeping.stopped = stopped
    keeping.run()
    assert keeping.releasing == sweep
    others = ["Looking for lost workers", "Claiming spawn requests", "Rescuing jobs of Rust workers"]
    assert done == (["Releasing waiting jobs", *others] if sweep else others)


def test_a_keeper_does_its_duties_once_a_heartbeat() -> None:
    line: Any = Line(lambda: None)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    stopped: Any = Waits(3)
    keeping.stopped = stopped
    keeping.run()
    assert all(2.5 < seconds <= 3 for seconds in stopped.seconds), stopped.seconds
    assert line.patience == {0}, "the next round comes soon, and other tasks wait"


@pytest.mark.parametrize(
    ("counts", "said"), [((1, 1), "1 job may run again, 1 is dead."), ((2, 0), "2 jobs may run again, 0 are dead.")]
)
def test_of_a_lost_worker_the_log_says_what_becomes_of_its_jobs(
    counts: tuple[int, int], said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper.registry, "rescue", lambda *_: counts)
    line: Any = Line(away)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: None)
    database: Any = None
    keeping._rescue_from(database, Heartbeat("id", "far", 1, None, 30.0))
    assert caplog.messages == [f"Worker far is lost: {said}"]


def test_a_keeper_wakes_its_worker_once_it_has_looked_for_lost_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("heartbeats", "ended_with_jobs"):
        monkeypatch.setattr(keeper.registry, name, lambda _: [])
    woken: list[str] = []
    line: Any = Line(away)
    keeping = Keeper(worker_context(line), claim_requests=lambda _: None, wake=lambda: woken.append("first look"))
    database: Any = None
    for _ in range(3):
        keeping._rescue(database)
    assert woken == ["first look"]


@pytest.mark.parametrize("waiting", [True, False])
def test_news_wakes_a_worker_unless_jobs_wait_in_it_already(waiting: bool) -> None:
    line: Any = Line(claim.ClaimedBatch)
    slots, stop = Slots(1, lambda: None), StopSwitch(None)
    slots.put([claimed("a")] if waiting else [])
    Claimer(worker_context(line, stop=stop), slots).notify()
    assert stop.woken.is_set() != waiting


def test_a_worker_whose_slots_are_half_empty_claims_again() -> None:
    line: Any = Line(claim.ClaimedBatch)
    slots = Slots(2, lambda: None)
    slots.put([claimed("a")])
    claimer = Claimer(worker_context(line, WORKER._replace(concurrency=2), poll_interval=60), slots)
    claimer._no_prefetch_until = float("inf")
    assert claimer._wanted() == 1
    slots.put([claimed("b")])
    assert claimer._wanted() == 0


def test_a_comparison_does_not_wait_for_an_outcome_that_a_server_keeps_and_is_made_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hammerwork_cli.runtime.worker.claimer.PATIENCE_SECONDS", 0.01)
    compared: list[None] = []
    line: Any = Line(lambda: compared.append(None) or finish.Compared(0, 0, frozenset()))  # type: ignore[func-returns-value]
    slots = Slots(1, lambda: None)
    claimer = Claimer(worker_context(line, poll_interval=0.01), slots)
    claimer._compare_at = 0.0
    with slots.outcomes.writing:
        claimer.compare()
    assert not compared
    while not compared:
        claimer.compare()
    assert claimer._compare_at > time.monotonic() + 10
    assert slots.outcomes.writing.acquire(timeout=1)


def test_news_is_looked_at_once() -> None:
    looks: list[None] = []
    line: Any = Line(lambda: looks.append(None) or claim.ClaimedBatch())  # type: ignore[func-returns-value]
    claimer = Claimer(worker_context(line, poll_interval=60), Slots(1, lambda: None))
    claimer.notify()
    claimer._eager.clear()
    for _ in range(3):
        claimer.fetch()
    assert len(looks) == 1


def test_a_slot_that_runs_a_job_is_not_free_for_one_of_an_unknown_queue() -> None:
    line: Any = Line(claim.ClaimedBatch)
    slots = Slots(2, lambda: None)
    claimer = Claimer(worker_context(line, WORKER._replace(concurrency=2), poll_interval=60), slots)
    assert claimer._free(0) == 2
    slots._running.add(Attempt(claimed("a"), threading.Lock()))
    assert (claimer._free(0), claimer._free(1)) == (1, 0)


def test_a_worker_that_gave_jobs_back_claims_none_ahead_for_a_poll_interval() -> None:
    line: Any = Line(lambda: 1)
    slots = Slots(2, lambda: None)
    slots.seconds["work"] = 0.001
    claimer = Claimer(worker_context(line, WORKER._replace(concurrency=2), poll_interval=60), slots)
    assert claimer._wanted() > 2
    claimer.give_back([])
    assert claimer._wanted() > 2
    claimer.give_back([claimed("a")])
    assert claimer._wanted() == 2
    claimer._no_prefetch_until -= 60  # as much time passes
    assert claimer._wanted() > 2


def test_a_worker_that_was_woken_and_finds_nothing_looks_again_soon() -> None:
    line: Any = Line(claim.ClaimedBatch)
    slots = Slots(1, lambda: None)
    claimer = Claimer(worker_context(line, poll_interval=60), slots)
    claimer.fetch()
    assert claimer.pause > EAGER_PAUSE
    claimer.notify()
    before = time.monotonic()
    claimer.fetch()
    assert 0 <= claimer.pause <= EAGER_PAUSE
    assert claimer._look_at > before


def test_each_queue_has_as_many_jobs_ahead_as_its_own_take_little_time_and_room() -> None:
    slots = Slots(2, lambda: None)
    claimer = Claimer(worker_context(Line(claim.ClaimedBatch), WORKER._replace(concurrency=2)), slots)  # type: ignore[arg-type]
    slots.seconds |= {"quick": 0.0001, "slow": 0.1}
    claimer._sizes = {"quick": 100.0}
    assert claimer._limit("quick", 500, 2, 1 << 20, 0.4) == 500
    assert claimer._limit("quick", 500, 2, 1000, 0.4) == 12
    assert claimer._limit("slow", 500, 2, 1 << 20, 0.35) == 5
    assert claimer._limit("unknown", 500, 2, 1 << 20, 0.4) == 2
    assert claimer._wanted() > 100
    slots.put([claimed(str(number))._replace(queue_name="slow") for number in range(3)])
    assert claimer._wanted() == 0  # more than half of the time is taken


def test_a_worker_asks_again_at_once_where_it_took_little_since_it_knew_nothing_of_the_queue() -> None:
    line: Any = Line(lambda: claim.ClaimedBatch([claimed("a")]))
    slots = Slots(2, lambda: None)
    claimer = Claimer(worker_context(line, WORKER._replace(concurrency=2), poll_interval=60), slots)
    claimer.fetch()
    assert claimer.pause == 0
    slots.seconds["work"] = 0.1
    claimer.fetch()
    assert claimer.pause > 0


@pytest.mark.parametrize(("taken", "at_once"), [(2, True), (1, False)])
def test_a_worker_asks_again_at_once_where_it_got_as_many_jobs_as_it_wanted(taken: int, at_once: bool) -> None:
    line: Any = Line(lambda: claim.ClaimedBatch(claimed(str(number)) for number in range(taken)))
    slots = Slots(2, lambda: None)
    slots.seconds[claimed("a").queue_name] = slots.seconds["work"] = 60.0  # so slow that it claims none ahead
    claimer = Claimer(worker_context(line, WORKER._replace(concurrency=2), poll_interval=60), slots)
    claimer.fetch()
    assert (claimer.pause == 0) == at_once


@pytest.mark.parametrize("sorts", [True, False])
def test_where_the_server_sorts_what_it_claims_it_is_asked_for_each_priority_alone(sorts: bool) -> None:
    database: Any = SimpleNamespace(sorts_to_claim=sorts)
    every = [priority.value for priority in sorted(JobPriority, reverse=True)]
    assert list(claim._one_by_one(database, None)) == (every if sorts else [None])
    assert list(claim._one_by_one(database, 3)) == [3]


def test_a_finisher_that_waits_for_outcomes_ends_when_it_is_stopped() -> None:
    finisher: Any = SimpleNamespace(write=lambda: False, pause=None)
    idle = threading.Event()

    class Woken(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == IDLE_SECONDS
            idle.set()
            return super().wait(PATIENCE)  # as if nothing else would wake it

    finishing = FinisherThread(worker_context(Line(away)), finisher, Woken(), lambda: None)
    finishing.start()
    idle.wait()
    assert finishing.stop(PATIENCE / 2)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "hammerwork")


class Two(TurnThread):
    """Has two tasks."""

    def __init__(self, line: Any, first: Callable[[], None], second: Callable[[], None]) -> None:
        super().__init__("two", line)
        self._two: dict[str, Task] = {"First": first, "Second": second}
        self.turns: list[tuple[Turn, int]] = []

    def tasks(self) -> dict[str, Task]:
        return self._two

    def pause(self) -> float | None:
        self.turns.append((self.turn, self.failures))
        return None if len(self.turns) == 6 else 0.0


def test_a_thread_goes_on_with_its_other_duties_whatever_one_of_them_meets(caplog: pytest.LogCaptureFixture) -> None:
    def raises(error: Exception) -> Callable[[], None]:
        def task() -> None:
            raise error

        return task

    troubles = [UnreachableError("Away."), ValueError("odd"), UnreachableError("Away.")]
    ends = [None, RetryableError("locked"), *troubles, None]
    first = iter([raises(end) if end else lambda: None for end in ends])
    done: list[bool] = []
    thread = Two(Line(away), lambda: next(first)(), lambda: done.append(True))
    thread.run()
    assert [turn.name for turn, _ in thread.turns] == ["DONE", "WAITED", "FAILED", "FAILED", "FAILED", "DONE"]
    assert [failures for _, failures in thread.turns] == [0, 0, 1, 2, 3, 0]
    assert len(done) == 6
    *failed, over = caplog.messages
    assert failed == ["First failed and will be retried: Away.", "First failed and will be retried."]
    assert over.startswith("The database answers again")


@pytest.mark.parametrize("last", [away, lambda: None], ids=["fails", "succeeds"])
def test_a_thread_of_a_worker_that_stops_at_once_begins_no_duty_and_says_nothing(
    caplog: pytest.LogCaptureFixture, last: Callable[[], None]
) -> None:
    line: Any = Line(away)

    def stops() -> None:
        line.stopped_at_once.set()
        last()

    thread = Two(line, stops, lambda: pytest.fail("a task after the end"))
    thread.run()
    assert (thread.turns, caplog.messages) == ([], [])


def test_a_thread_that_does_not_end_at_once_goes_on_until_a_turn_fails(caplog: pytest.LogCaptureFixture) -> None:
    class GoesOn(Two):
        ends_at_once = False

    line: Any = Line(away)
    line.stopped_at_once.set()
    ends: Any = iter([lambda: None, lambda: None, away])
    done: list[bool] = []
    thread = GoesOn(line, lambda: next(ends)(), lambda: done.append(True))
    thread.run()
    assert (thread.turns, len(done), caplog.messages) == ([(Turn.DONE, 0)] * 2, 3, [])


def test_a_turn_in_which_a_thread_is_stopped_is_not_done(caplog: pytest.LogCaptureFixture) -> None:
    line: Any = Line(away)
    thread = Two(line, lambda: None, away)
    thread.end()
    assert thread._do("First", lambda: pytest.fail("it has ended")) is Turn.WAITED
    assert thread._take(thread.tasks()) is Turn.WAITED
    line.stopped_at_once.set()
    assert thread._after("First", UnreachableError("Away.")) is Turn.WAITED
    assert caplog.messages == []


def test_a_thread_rests_between_its_turns_if_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = [1000.0], list[float]()
    pauses: Any = iter([2.0, 0.0, -1.0, 0.5, None])
    seen: list[float] = []

    class Rests(Two):
        def pause(self) -> float | None:
            assert self.turn is Turn.DONE
            seen.append(self.began)
            now[0] += 1
            return next(pauses)  # type: ignore[no-any-return]

    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: now[0]))
    thread = Rests(Line(away), lambda: None, lambda: None)
    stopped: Any = SimpleNamespace(is_set=lambda: False, wait=rests.append)
    thread.stopped = stopped
    thread.run()
    assert rests == [2.0, 0.5]
    assert seen == [1000.0, 1001.0, 1002.0, 1003.0, 1004.0]
    assert Two(Line(away), print, print).name == "hammerwork-two"


def test_a_thread_for_outcomes_ends_with_an_installation_that_is_broken() -> None:
    class Woken(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pytest.fail(f"It waits for {timeout} s.")

    def write() -> bool:
        raise BrokenInstallationError("A file is missing.")

    finisher: Any = SimpleNamespace(write=write, pause=None)
    FinisherThread(worker_context(Line(away)), finisher, Woken(), lambda: None).run()


def test_a_listener_asks_twice_a_lease_whether_its_connection_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [0.0], list[float]()
    monkeypatch.setattr(listener, "time", SimpleNamespace(monotonic=lambda: now[0]))
    database: Any = SimpleNamespace(listen=lambda _: True, notifications=lambda _: [], now=lambda: asked.append(now[0]))
    listening = Listener(worker_context(Line(away), WORKER._replace(lease=30.0)), lambda: None)
    for second in range(40):
        now[0] = float(second)
        listening._listen(database, 1)
    assert asked == [16.0, 32.0]


def test_the_size_of_recent_payloads_follows_those_that_a_worker_claims() -> None:
    sizes = iter([(100,), (100, 500), (0,)])
    line: Any = Line(lambda: claim.ClaimedBatch(claimed("a")._replace(payload="x" * size) for size in next(sizes, ())))
    claimer = Claimer(worker_context(line, WORKER._replace(concurrency=9), poll_interval=60), Slots(9, lambda: None))
    seen = []
    for _ in range(3):
        claimer.poll_now()
        claimer.fetch()
        seen.append(claimer._sizes["work"])
    assert seen == [100, 200, 100]


@each_row(
    ("state", "waits"),
    [
        ({}, 60.0),
        ({"look": 7.0}, 7.0),
        ({"look": 7.0, "full": True}, 60.0),
        ({"look": 7.0, "stops": True}, 60.0),
        ({"due": 5.0}, 5.0),
        ({"due": -5.0}, 0.0),
        ({"due": 70.0}, 60.0),
        ({"running": 1}, STALE_SECONDS),
        ({"waiting": 1}, STALE_SECONDS),
        ({"running": 1, "look": 0.5}, 0.5),
        ({"write_in": 0.25}, 0.25),
        ({"write_in": 99.0}, 60.0),
        ({"write_in": 0.25, "finishing": object()}, 60.0),
    ],
)
def test_the_main_thread_waits_until_the_first_of_what_is_to_be_done(state: dict[str, Any], waits: float) -> None:
    seconds: list[float] = []
    rounds: list[str] = []
    stale: list[float] = []
    due = state.get("due")
    loop = SimpleNamespace(
        _timed_out=None,
        _stop=SimpleNamespace(
            is_set=state.get("stops", False),
            woken=SimpleNamespace(wait=seconds.append, clear=lambda: rounds.append("clear")),
        ),
        _slots=SimpleNamespace(
            expire=lambda _: None if due is None else time.monotonic() + due,
            running=state.get("running", 0),
            waiting=state.get("waiting", 0),
            withdraw=lambda older_than: older_than,
        ),
        _options=SimpleNamespace(poll_interval=60.0),
        _claimer=SimpleNamespace(full=state.get("full", False), pause=state.get("look", 60.0), give_back=stale.append),
        _finishing=state.get("finishing"),
        _finisher=SimpleNamespace(pause=state.get("write_in")),
        _parts=SimpleNamespace(
            rounds=SimpleNamespace(begin=lambda: rounds.append("begin"), end=lambda: rounds.append("end"))
        ),
    )
    MainLoop._wait(loop)  # type: ignore[arg-type]
    goes_on = due is not None and due > 0  # the clock, meanwhile
    assert seconds == [pytest.approx(waits, abs=2.0 if goes_on else 0.0)]
    assert rounds == ["end", "clear", "begin"]
    assert stale == [STALE_SECONDS]


@each_row(
    ("of_job", "of_handler", "deadline"),
    [
        (None, None, None),
        (5, None, 105.0),
        (5, timedelta(seconds=9), 105.0),
        (None, timedelta(seconds=9), 109.0),
        (0, timedelta(seconds=9), 109.0),
        (-1, timedelta(seconds=9), 109.0),
        (0, None, None),
        (-1, None, None),
    ],
)
def test_an_attempt_has_the_time_of_its_job_or_else_of_its_handler(
    of_job: int | None, of_handler: timedelta | None, deadline: float | None
) -> None:
    attempt: Any = SimpleNamespace(job=SimpleNamespace(timeout_seconds=of_job), began=100.0)
    handler: Any = SimpleNamespace(timeout=of_handler)
    assert attempt_runner._deadline(attempt, handler) == deadline
    assert attempt_runner._deadline(attempt, None) == (deadline if of_job and of_job > 0 else None)


@each_row(
    ("state", "gives_up"),
    [
        ({}, True),
        ({"since": 960.0}, False),
        ({"unwritable": []}, False),
        ({"unwritable": [], "owes": True}, True),
        ({"unwritable": [], "owes": True, "empty": False}, False),
        ({"unwritable": [], "owes": True, "stops": False, "done": True}, False),
        ({"is_held": False}, False),
        ({"stops": False}, False),
        ({"stops": False, "done": True}, True),
        ({"stops": False, "drains": True}, False),
        ({"stops": False, "drains": True, "ran": True}, True),
        ({"stops": False, "ran": True}, False),
    ],
)
def test_a_worker_gives_up_what_is_refused_for_long_once_nothing_else_is_left(
    state: dict[str, Any], gives_up: bool
) -> None:
    loop = SimpleNamespace(
        _held_up_since=elapsed() - 1000.0 + state.get("since", 0.0),
        _longest_wait=60.0,
        _slots=SimpleNamespace(unwritable=state.get("unwritable", ["a"]), empty=state.get("empty", True)),
        _stop=SimpleNamespace(is_set=state.get("stops", True)),
        _claimer=SimpleNamespace(owes=state.get("owes", False), done=state.get("done", False)),
        _lease=SimpleNamespace(is_held=lambda _: state.get("is_held", True)),
        _options=SimpleNamespace(drain=state.get("drains", False)),
        _connections=SimpleNamespace(run=lambda _: state.get("ran", False)),
        _due_ones_ran=None,
    )
    assert MainLoop._is_past_waiting(loop) == gives_up  # type: ignore[arg-type]


@pytest.mark.parametrize("is_held", [True, False], ids=["alive", "lease is over"])
def test_the_main_thread_says_that_an_outage_is_over_once_its_heart_beats(
    is_held: bool, caplog: pytest.LogCaptureFixture
) -> None:
    turns = iter([away, lambda: False, lambda: True])
    loop = SimpleNamespace(
        _stop=SimpleNamespace(at_once=SimpleNamespace(is_set=lambda: False, wait=lambda _: None)),
        _turn=lambda: next(turns)(),
        _outage_log=OutageLog(Outages()),
        _lease=SimpleNamespace(is_held=lambda _: is_held),
    )
    assert MainLoop._work(loop)  # type: ignore[arg-type]
    failed, *over = caplog.messages
    assert failed == "The server is away. The worker waits and tries again."
    assert [line.partition(",")[0] for line in over] == ["The database answers again"] * is_held


def test_a_thread_for_outcomes_that_was_woken_waits_again_and_stands_nowhere_meanwhile() -> None:
    waits: list[tuple[bool, float | None]] = []

    class Woken(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            del timeout
            waits.append((self.is_set(), finishing.rounds.stalled(0.0)))
            self.set()
            finishing._stopped = len(waits) == 2
            return True

    finisher: Any = SimpleNamespace(write=lambda: False, pause=None)
    finishing = FinisherThread(worker_context(Line(away)), finisher, Woken(), lambda: None)
    finishing.run()
    assert waits == [(False, None)] * 2


def test_a_worker_looks_again_when_the_limit_of_a_queue_leaves_room_however_rarely_it_polls() -> None:
    line: Any = Line(claim.ClaimedBatch)
    claimer = Claimer(worker_context(line, poll_interval=60), Slots(1, lambda: None))
    now = time.monotonic()
    claimer._poll_at = now + 60
    claimer._hold("work", 5.0, 0)
    assert claimer._next_look() == pytest.approx(now + 5, abs=1)
