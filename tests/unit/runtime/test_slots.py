"""Threads that take jobs from one list, and wake the worker when there is something for it to do."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.worker.queries.claim import Claim, Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt, Owned
from hammerwork_cli.runtime.execution import slots as slots_module
from hammerwork_cli.runtime.execution import unwritten_outcomes
from hammerwork_cli.runtime.execution.attempts import STILL_RUNNING, Attempt, ClaimedRequest, StillRunning
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.execution.unwritten_outcomes import FULL
from tests.conftest import each_row

PATIENCE = 20.0
LATER = 1000.0


def claimed(name: str) -> Claimed:
    return Claimed._make([None] * len(Claimed._fields))._replace(
        id=name, queue_name="queue", claim=Claim("token", "worker", datetime.now(UTC))
    )


def requested(name: str) -> ClaimedRequest:
    request: Any = object()
    return ClaimedRequest(request, claimed(name))


def completed(attempt: Attempt) -> EndedAttempt:
    return EndedAttempt(attempt.job, AttemptEnd.COMPLETED)


def timed_out(attempt: Attempt) -> EndedAttempt:
    return EndedAttempt(attempt.job, AttemptEnd.TIMED_OUT)


def expired(attempt: Attempt) -> Callable[[], EndedAttempt]:
    return lambda: timed_out(attempt)


class Stopping:
    """Runs stop in the middle until they may go on."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.runs: list[Attempt] = []

    def __call__(self, attempt: Attempt) -> EndedAttempt:
        self.runs.append(attempt)
        self.begun.release()
        self.go.wait(PATIENCE)
        return completed(attempt)


@pytest.fixture
def slots() -> Iterator[Callable[..., Slots]]:
    """``slots(count, execute, wake, may_start)``: threads that run."""
    made: list[Slots] = []

    def make(count: int, execute: Callable[[Attempt], EndedAttempt | None], *others: Any) -> Slots:
        made.append(Slots(count, *others or [lambda: None]))
        made[-1].start(execute)
        return made[-1]

    yield make
    for one in made:
        one.close()
        one.join(1)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def names(ended: list[EndedAttempt]) -> list[tuple[str, AttemptEnd]]:
    return sorted((attempt.job.id, attempt.end) for attempt in ended)


def test_the_worker_is_woken_when_a_run_ends_although_others_wait(slots: Callable[..., Slots]) -> None:
    woken, second, go = threading.Event(), threading.Event(), threading.Event()

    def execute(attempt: Attempt) -> EndedAttempt:
        if attempt.job.id == "second":
            second.set()
            go.wait(PATIENCE)
        return completed(attempt)

    one = slots(1, execute, woken.set)
    assert woken.wait(PATIENCE)  # it has nothing to do
    woken.clear()
    one.put([claimed("first"), claimed("second")])
    assert second.wait(PATIENCE)
    assert woken.is_set()
    go.set()


def test_as_many_run_as_there_are_slots_and_the_others_wait_in_their_order(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    two = slots(2, execute)
    two.put(claimed(name) for name in "abcd")
    for _ in range(2):
        assert execute.begun.acquire(timeout=PATIENCE)
    assert (two.running, two.waiting, two.empty, two.ids()) == (2, 2, False, set("abcd"))
    execute.go.set()
    until(lambda: two.running + two.waiting == 0)
    assert {attempt.job.id for attempt in execute.runs[:2]} == {"a", "b"}
    assert (two.outcomes.has_ended, two.empty, two.ids()) == (True, False, set("abcd"))
    assert names(two.outcomes.pop_ended()) == [(name, AttemptEnd.COMPLETED) for name in "abcd"]
    # Until somebody says that they are written, they are this worker's.
    assert (two.outcomes.has_ended, two.outcomes.unwritten, two.empty, two.ids()) == (False, 4, False, set("abcd"))
    two.outcomes.clear_writing()
    assert (two.outcomes.unwritten, two.empty, two.ids(), two.outcomes.pop_ended()) == (0, True, set(), [])


def test_the_worker_is_woken_once_half_of_its_jobs_have_started_and_the_finisher_by_what_has_ended(
    slots: Callable[..., Slots],
) -> None:
    woken, finisher_woken = threading.Semaphore(0), threading.Event()
    execute = Stopping()
    one = slots(1, execute, woken.release, lambda: True, finisher_woken.set)
    assert woken.acquire(timeout=PATIENCE)  # it is idle
    one.put(claimed(name) for name in "abcd")
    assert execute.begun.acquire(timeout=PATIENCE)
    assert not woken.acquire(blocking=False)
    execute.go.set()
    assert woken.acquire(timeout=PATIENCE)
    assert finisher_woken.wait(PATIENCE)


def test_jobs_that_have_not_started_are_taken_back_without_the_spawn_requests() -> None:
    idle = Slots(1, lambda: None)
    assert idle.withdraw() == []
    assert idle.empty
    idle.put([claimed("a"), requested("b"), claimed("c")])
    assert not idle.empty
    assert idle.withdraw(older_than=LATER) == []
    assert idle.ids() == {"a", "c"}
    assert [job.id for job in idle.withdraw()] == ["a", "c"]
    assert (idle.waiting, idle.ids()) == (1, set())


def test_jobs_that_the_worker_has_lost_are_dropped_before_they_start() -> None:
    idle = Slots(1, lambda: None)
    idle.put([claimed("a"), requested("b"), claimed("c")])
    assert idle.drop({Owned(name, "token") for name in "abx"} | {Owned("c", "earlier")}) == 1
    assert (idle.waiting, idle.ids()) == (2, {"c"})
    assert idle._threads == []  # nobody has started them


def test_nothing_begins_while_it_may_not(slots: Callable[..., Slots]) -> None:
    may = threading.Event()
    asked = threading.Event()

    def may_start() -> bool:
        asked.set()
        return may.is_set()

    one = slots(1, completed, lambda: None, may_start)
    one.put([claimed("a")])
    assert asked.wait(PATIENCE)
    assert (one.waiting, one.running) == (1, 0)
    may.set()
    one.go_on()
    until(lambda: one.outcomes.has_ended)


def test_the_finisher_is_woken_by_the_first_outcome_and_by_a_full_batch(slots: Callable[..., Slots]) -> None:
    woken: list[None] = []
    execute = Stopping()
    three = slots(3, execute, lambda: None, lambda: True, lambda: woken.append(None))
    three.put([claimed("a"), claimed("b"), claimed("c")])
    for _ in range(3):
        assert execute.begun.acquire(timeout=PATIENCE)
    three.outcomes.put_back(EndedAttempt(claimed(str(number)), AttemptEnd.COMPLETED) for number in range(FULL - 2))
    woken.clear()
    three.abandon(timed_out)
    assert len(woken) == 1  # by the second of three
    assert len(three.outcomes.pop_ended()) == FULL + 1
    execute.go.set()


def test_outcomes_are_written_at_once_when_there_are_many_or_nothing_waits(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    one = slots(1, execute)
    assert one.worth_writing(LATER) == LATER
    one.put([claimed("a")])
    one.outcomes.put_back([EndedAttempt(claimed("b"), AttemptEnd.COMPLETED)])
    assert execute.begun.acquire(timeout=PATIENCE)
    assert one.worth_writing(LATER) == 0
    one.put([claimed("c")])
    assert 0 < one.worth_writing(LATER) <= LATER
    assert one.worth_writing(0) == 0
    one.outcomes.put_back([EndedAttempt(claimed(str(number)), AttemptEnd.COMPLETED) for number in range(FULL - 1)])
    assert one.worth_writing(LATER) == 0
    assert [attempt.job.id for attempt in one.outcomes.pop_ended()] == [*map(str, range(FULL - 1)), "b"]
    execute.go.set()


def test_an_outcome_waits_for_others_from_its_end_on(slots: Callable[..., Slots]) -> None:
    go, begun = threading.Event(), threading.Event()

    def execute(attempt: Attempt) -> EndedAttempt:
        if attempt.job.id == "b":
            begun.set()
            go.wait(PATIENCE)
        return completed(attempt)

    one = slots(1, execute)
    one.put([claimed("a"), claimed("b"), claimed("c")])
    assert begun.wait(PATIENCE)
    assert LATER - PATIENCE < one.worth_writing(LATER) <= LATER
    go.set()


def test_the_application_is_asked_for_the_outcome_of_a_timeout_while_the_slots_go_on(
    slots: Callable[..., Slots],
) -> None:
    execute = Stopping()
    two = slots(2, execute)
    two.put([claimed("a"), claimed("b")])
    for _ in range(2):
        assert execute.begun.acquire(timeout=PATIENCE)
    next(one for one in execute.runs if one.job.id == "a").deadline = time.monotonic()
    free = list[bool]()

    def asked(attempt: Attempt) -> Callable[[], EndedAttempt]:
        def outcome() -> EndedAttempt:
            other = threading.Thread(target=lambda: free.append(two.ids() == {"b"}), daemon=True)
            other.start()
            other.join(PATIENCE)
            return timed_out(attempt)

        return outcome

    two.expire(asked)
    assert free == [True]
    assert names(two.outcomes.pop_ended()) == [("a", AttemptEnd.TIMED_OUT)]
    execute.go.set()


def test_a_run_whose_time_is_up_has_ended_and_what_it_does_later_does_not_count(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    three = slots(3, execute)
    three.put([claimed("a"), claimed("b"), claimed("c")])
    for _ in range(3):
        assert execute.begun.acquire(timeout=PATIENCE)
    assert three.expire(expired) is None
    attempts = {attempt.job.id: attempt for attempt in execute.runs}
    now = time.monotonic()
    attempts["a"].deadline, attempts["b"].deadline = now, now + LATER
    assert three.expire(expired) == now + LATER
    assert (three.ids(), three.running) == ({"a", "b", "c"}, 3)
    assert names(three.outcomes.pop_ended()) == [("a", AttemptEnd.TIMED_OUT)]
    three.outcomes.clear_writing()
    assert three.ids() == {"b", "c"}
    attempts["c"].deadline = now + 2 * LATER
    assert three.expire(expired) == now + LATER
    attempts["c"].deadline = None
    assert [attempts[name].decide() for name in "ab"] == [False, True]
    assert three.expire(expired) is None
    assert three.outcomes.pop_ended() == []
    assert not three.empty
    execute.go.set()
    until(lambda: not three.running)
    assert names(three.outcomes.pop_ended()) == [("b", AttemptEnd.COMPLETED), ("c", AttemptEnd.COMPLETED)]


@pytest.mark.parametrize("large", ["payload", "result", "error"])
def test_an_outcome_that_is_written_makes_room_whatever_of_it_was_large(
    slots: Callable[..., Slots], monkeypatch: pytest.MonkeyPatch, large: str
) -> None:
    monkeypatch.setattr(unwritten_outcomes, "MOST_UNWRITTEN_BYTES", 10)
    parts = dict.fromkeys(("payload", "result", "error"), "") | {large: "x" * 10}
    payload = parts.pop("payload")
    one = slots(1, lambda attempt: EndedAttempt(attempt.job, AttemptEnd.COMPLETED, **parts))
    one.put([claimed("a")._replace(payload=payload)])
    until(lambda: one.outcomes.has_ended)
    assert len(one.outcomes.pop_ended()) == 1
    assert one.outcomes.is_clogged
    one.outcomes.clear_writing()
    assert not one.outcomes.is_clogged


def test_a_worker_that_ends_at_once_abandons_its_jobs_and_not_its_requests(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    two = slots(2, execute)
    two.put([claimed("a"), requested("b")])
    for _ in range(2):
        assert execute.begun.acquire(timeout=PATIENCE)
    two.abandon(timed_out)
    assert names(two.outcomes.pop_ended()) == [("a", AttemptEnd.TIMED_OUT)]
    two.outcomes.clear_writing()
    assert two.ids() == {"b"}
    two.abandon(timed_out)
    assert two.outcomes.pop_ended() == []
    execute.go.set()


def test_how_long_runs_take_is_known_from_those_that_ended_and_those_that_run_long(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    one = slots(1, execute)
    assert one.longest() == 0
    one.put([claimed("a"), claimed("b")._replace(payload="1234")])
    assert execute.begun.acquire(timeout=PATIENCE)
    assert one.ahead([claimed("c")._replace(payload="12")]) == (6, 0.0)
    execute.runs[0].began -= 50
    assert 50 <= one.longest() < 50 + PATIENCE
    execute.go.set()
    until(lambda: not one.running and len(one.ids()) == 2)
    assert one.longest() == 0
    assert 40 <= one.seconds["queue"] < 40 + PATIENCE
    assert one.ahead([claimed("c"), claimed("d")._replace(queue_name="unknown")]) == (0, one.seconds["queue"])


def test_outcomes_share_a_transaction_as_long_as_they_are_small(
    slots: Callable[..., Slots], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten_outcomes, "MOST_WRITTEN_BYTES", 10)
    one = slots(1, completed)
    one.put([claimed(name)._replace(payload="1234") for name in "abcd"])
    until(lambda: one.outcomes.unwritten == 4)
    assert [names(one.outcomes.pop_ended()) for _ in range(2) if one.outcomes.clear_writing() is None] == [
        [("a", AttemptEnd.COMPLETED), ("b", AttemptEnd.COMPLETED)],
        [("c", AttemptEnd.COMPLETED), ("d", AttemptEnd.COMPLETED)],
    ]


def test_an_outcome_that_alone_is_too_large_has_a_transaction_of_its_own(
    slots: Callable[..., Slots], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten_outcomes, "MOST_WRITTEN_BYTES", 10)
    one = slots(1, completed)
    one.put([claimed("a")._replace(payload="1" * 11), claimed("b")])
    until(lambda: one.outcomes.unwritten == 2)
    assert names(one.outcomes.pop_ended()) == [("a", AttemptEnd.COMPLETED)]


def test_an_attempt_whose_outcome_is_decided_is_not_taken_away_again(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    one, lost = slots(1, execute), {Owned("a", "token")}
    one.put([claimed("a")])
    assert execute.begun.acquire(timeout=PATIENCE)
    assert one.under_way() == execute.runs
    assert one.take_away(lost) == execute.runs
    assert one.take_away(lost) == one.under_way() == []
    execute.go.set()


def test_refused_outcomes_are_named_once_nothing_else_is_under_way(
    slots: Callable[..., Slots], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = Stopping()
    one = slots(2, execute)
    one.put([claimed("a"), claimed("b")])
    assert execute.begun.acquire(timeout=PATIENCE)
    assert execute.begun.acquire(timeout=PATIENCE)
    first, second = execute.runs
    assert first.decide()
    first.refuse(HammerworkError("No."))
    assert one.unwritable == []  # the other one runs
    assert second.decide()
    assert one.unwritable == []  # and is written for the first time
    second.refuse(HammerworkError("No."))
    assert sorted(one.unwritable) == ["a", "b"]
    monkeypatch.setattr(unwritten_outcomes, "REFUSED_SECONDS", 0.0)
    refused = one.refused()
    assert refused is not None
    assert (refused.outcomes, refused.error) == (2, "No.")
    one.outcomes.refuse("A table is missing.")
    refused = one.refused()
    assert refused is not None
    assert (refused.outcomes, refused.error) == (2, "A table is missing.")
    first.refuse(None)
    second.refuse(None)
    assert one.unwritable == []
    assert one.refused() is None
    execute.go.set()


def test_refused_outcomes_are_named_once_the_others_are_written(slots: Callable[..., Slots]) -> None:
    stopping = Stopping()
    two = slots(2, lambda attempt: stopping(attempt) if attempt.job.id == "a" else completed(attempt))
    two.put([claimed("a"), claimed("b")])
    assert stopping.begun.acquire(timeout=PATIENCE)
    until(lambda: two.outcomes.has_ended)
    (attempt,) = stopping.runs
    assert attempt.decide()
    attempt.refuse(HammerworkError("No."))
    assert two.unwritable == []
    assert names(two.outcomes.pop_ended()) == [("b", AttemptEnd.COMPLETED)]
    assert two.unwritable == []
    two.outcomes.clear_writing()
    assert two.unwritable == ["a"]
    stopping.go.set()


def test_nobody_waits_longer_for_threads_than_he_wants(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    one = slots(1, execute)
    one.put([claimed("a")])
    assert execute.begun.acquire(timeout=PATIENCE)
    one.close()
    began = time.monotonic()
    one.join(0.0)
    assert time.monotonic() - began < 0.9
    execute.go.set()


def test_the_threads_end_when_they_have_nothing_more_to_do() -> None:
    one = Slots(2, lambda: None)
    one.start(completed)
    one.put([claimed(str(number)) for number in range(10)])
    one.close()
    one.join(PATIENCE)
    assert len(one.outcomes.pop_ended()) == 10
    assert not any(thread.is_alive() for thread in one._threads)


def test_threads_that_wait_end_when_the_slots_close() -> None:
    slots = Slots(3, lambda: None)
    slots.start(completed)
    slots.close()
    slots.join(PATIENCE)
    assert not any(thread.is_alive() for thread in slots._threads)


def test_attempts_that_go_on_without_a_thread_keep_their_places_and_the_next_start_where_they_end() -> None:
    begun: list[tuple[str, str]] = []
    attempts: dict[str, Attempt] = {}

    def execute(attempt: Attempt) -> EndedAttempt | StillRunning:
        if attempt.rest is not None:
            return completed(attempt)
        attempts[attempt.job.id] = attempt
        begun.append((attempt.job.id, threading.current_thread().name))
        return STILL_RUNNING

    woken = threading.Event()
    two = Slots(2, woken.set)
    two.start(execute, frozenset({"queue"}))
    two.put(claimed(name) for name in "abcd")
    until(lambda: len(begun) == 2)
    assert (two.running, two.waiting) == (2, 2)
    two.end(attempts["a"], completed(attempts["a"]))
    assert begun[2:] == [("c", threading.current_thread().name)]
    # The rest of an attempt is done by a thread, in the place that it has; then another one may start there.
    attempts["b"].rest = lambda: None
    two.resume(attempts["b"], blocks=True)
    until(lambda: len(begun) == 4)
    assert begun[3][1].startswith("hammerwork-slot-")
    assert (two.running, two.waiting, names(two.outcomes.pop_ended())) == (
        2,
        0,
        [("a", AttemptEnd.COMPLETED), ("b", AttemptEnd.COMPLETED)],
    )
    two.outcomes.clear_writing()
    woken.clear()
    attempts["c"].over = True  # its outcome is decided already
    for name in "cd":
        two.end(attempts[name], completed(attempts[name]))
    assert woken.is_set()
    assert names(two.outcomes.pop_ended()) == [("d", AttemptEnd.COMPLETED)]
    two.outcomes.clear_writing()
    assert two.empty
    two.close()
    two.join(PATIENCE)


def test_a_job_that_blocks_begins_in_a_thread_once_the_coroutine_before_it_has_ended() -> None:
    attempts: dict[str, Attempt] = {}
    begun: list[str] = []

    def execute(attempt: Attempt) -> EndedAttempt | StillRunning:
        attempts[attempt.job.id] = attempt
        begun.append(threading.current_thread().name)
        return STILL_RUNNING if attempt.job.id == "coroutine" else completed(attempt)

    one = Slots(1, lambda: None)
    one.start(execute, frozenset({"queue"}))
    one.put([claimed("coroutine"), claimed("blocks")._replace(queue_name="other")])
    until(lambda: "coroutine" in attempts)
    one.end(attempts["coroutine"], completed(attempts["coroutine"]))
    until(lambda: "blocks" in attempts)
    assert begun[1].startswith("hammerwork-slot-")
    until(lambda: not one.running)
    one.close()
    one.join(PATIENCE)


def test_threads_become_as_many_as_attempts_that_block_and_no_more(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    five = slots(5, execute)
    execute.go.set()
    five.put([claimed("earlier")])
    until(lambda: five.outcomes.has_ended and execute.begun.acquire(blocking=False))
    assert len(five._threads) == 1
    execute.go.clear()
    five.put(claimed(name) for name in "abc")
    for _ in range(3):
        assert execute.begun.acquire(timeout=PATIENCE)
    five.put(claimed(name) for name in "defgh")
    for _ in range(2):
        assert execute.begun.acquire(timeout=PATIENCE)
    assert (len(five._threads), five.running, five.waiting) == (5, 5, 3)
    execute.go.set()
    until(lambda: len(execute.runs) == 9)
    assert len(five._threads) == 5


def asked_for(name: str) -> ClaimedRequest:
    request: Any = SimpleNamespace(id=f"request {name}")
    return ClaimedRequest(request, claimed(name))


def test_jobs_and_requests_are_counted_apart_whether_they_wait_run_or_have_ended() -> None:
    idle = Slots(9, lambda: None)
    other = claimed("e")._replace(queue_name="other")
    idle.put([claimed("a"), asked_for("b"), asked_for("d"), claimed("c"), other])
    assert [idle.number(queue) for queue in ("queue", "other", "none")] == [2, 1, 0]
    assert idle.request_ids() == {"request b", "request d"}
    for _ in range(3):
        assert idle._take() is not None
    assert (idle.running, idle.waiting) == (3, 2)
    assert [idle.number(queue) for queue in ("queue", "other", "none")] == [2, 1, 0]
    assert idle.request_ids() == {"request b", "request d"}
    idle.outcomes.add(EndedAttempt(claimed("f"), AttemptEnd.COMPLETED))
    assert [idle.number("queue", unwritten=unwritten) for unwritten in (False, True)] == [2, 3]
    assert idle.ahead() == (0, 0.0), "a request has no payload"


def test_of_attempts_that_are_over_a_handler_may_hold_a_slot_and_nothing_else_counts() -> None:
    idle = Slots(9, lambda: None)
    idle.put([claimed(name) for name in "abc"])
    first, second, over = (idle._take() for _ in range(3))
    assert first is not None
    assert second is not None
    assert over is not None
    now = time.monotonic()
    first.began, second.began, over.began = now - 50, now - 100, now - 500
    over.over = True
    assert 100 <= idle.longest() < 100 + PATIENCE
    assert idle.held == 1
    for attempt in (first, second, over):
        attempt.writes = True
        attempt.refusal = (now - 50, "No.")
    assert sorted(idle.unwritable) == ["a", "b"]
    refused = idle.refused()
    assert refused is not None
    assert refused.outcomes == 2
    idle.put([claimed("d")])
    assert idle.unwritable == []


def test_the_time_that_an_attempt_took_is_known_whoever_ended_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(slots_module, "time", SimpleNamespace(monotonic=lambda: now))
    idle = Slots(9, lambda: None)
    idle.put([claimed(name) for name in "ab"])
    late, left = idle._take(), idle._take()
    assert late is not None
    assert left is not None
    late.began, left.began, late.deadline = 900.0, 950.0, 1000.0
    idle.expire(expired)
    now = 1010.0
    idle.abandon(timed_out)
    assert [(ended.job.id, ended.took) for ended in idle.outcomes.pop_ended()] == [("a", 100.0), ("b", 60.0)]


def test_handlers_that_hold_their_slots_after_a_timeout_are_named_once_while_they_run() -> None:
    idle = Slots(9, lambda: None)
    assert idle.pop_overdue() == []
    idle.put([claimed(name) for name in "abc"])
    attempts = [attempt for _ in range(3) if (attempt := idle._take())]
    for attempt in attempts:
        attempt.deadline = time.monotonic()
        attempt.holds_slot = attempt.job.id != "a"
    idle.expire(expired)
    idle._running.discard(attempts[1])
    assert idle.pop_overdue() == [attempts[2]]
    assert idle.pop_overdue() == []


def test_jobs_go_back_once_the_first_of_them_has_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(slots_module, "time", SimpleNamespace(monotonic=lambda: now))
    idle = Slots(9, lambda: None)
    idle.put([claimed("a")])
    now = 1004.0
    assert idle.withdraw(older_than=5.0) == []
    idle.put([claimed("b")])
    now = 1005.0
    assert [job.id for job in idle.withdraw(older_than=5.0)] == ["a", "b"]


def test_running_attempts_whose_jobs_are_lost_are_taken_away() -> None:
    idle = Slots(9, lambda: None)
    idle.put([claimed("a"), claimed("b")])
    one, other = idle._take(), idle._take()
    assert one is not None
    assert other is not None
    assert idle.take_away({Owned("b", "token"), Owned("a", "earlier")}) == [other]
    assert (one.over, other.over) == (False, True)


@pytest.mark.parametrize("number", [1, 2, 7, 8])
def test_the_worker_is_woken_when_half_of_what_it_put_has_started(number: int) -> None:
    woken: list[None] = []
    idle = Slots(99, lambda: woken.append(None))
    idle.put([claimed(str(one)) for one in range(number)])
    seen = [len(woken) for _ in range(number) if idle._take()]
    assert seen == [int(number - started <= number // 2) for started in range(1, number + 1)]


def test_nothing_starts_while_outcomes_are_large_or_all_slots_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwritten_outcomes, "MOST_UNWRITTEN_BYTES", 10)
    may_start = [True]
    idle = Slots(2, lambda: None, lambda: may_start[0])
    idle.put([claimed(name) for name in "abc"])
    idle.outcomes.postpone([EndedAttempt(claimed("z"), AttemptEnd.COMPLETED, result="x" * 10)])
    assert idle._take() is None
    idle.outcomes.size = 9
    may_start[0] = False
    assert idle._take() is None
    may_start[0] = True
    assert idle._take() is not None
    assert idle._take() is not None
    assert idle._take() is None


def test_a_system_that_refuses_threads_is_asked_again_once_the_worker_goes_on_and_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        asked.append(thread.name)
        raise RuntimeError("can't start new thread")

    three = Slots(3, lambda: None)
    three.go_on()  # before there are threads, which the system is not asked for
    three._threads, three._most_threads = [threading.current_thread()], 3
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for name in "ab":
        three.put([claimed(name)])
    assert asked == ["hammerwork-slot-1"]
    three.go_on()
    assert asked == ["hammerwork-slot-1"] * 2
    assert caplog.messages == ["The system refuses another thread: 1 run handlers."]


@each_row(
    ("state", "call"),
    [
        ({}, None),
        ({"waiting": 1}, "thread"),
        ({"waiting": 1, "running": 1}, "thread"),
        ({"waiting": 1, "running": 2}, None),
        ({"resumed": 1, "running": 2}, "thread"),
        ({"waiting": 1, "idle": 1}, "notify"),
        ({"waiting": 1, "ready": 1}, None),
        ({"waiting": 1, "threads": 2}, None),
    ],
)
def test_another_thread_is_made_where_none_is_idle_or_soon_will_be(state: dict[str, int], call: str | None) -> None:
    calls: list[str] = []
    two: Any = SimpleNamespace(
        count=2,
        _resumed=[1] * state.get("resumed", 0),
        _waiting=[1] * state.get("waiting", 0),
        _running=[1] * state.get("running", 0),
        _idle=state.get("idle", 0),
        _ready=state.get("ready", 0),
        _threads=[1] * state.get("threads", 1),
        _most_threads=2,
        _changed=SimpleNamespace(notify=lambda: calls.append("notify")),
        _add_thread=lambda: calls.append("thread"),
    )
    Slots._call_thread(two)
    assert calls == ([call] if call else [])


def test_a_coroutine_that_ends_starts_none_before_what_others_left_to_do() -> None:
    begun: list[str] = []
    woken: list[str] = []
    one = Slots(1, lambda: woken.append("worker"), lambda: True, lambda: woken.append("finisher"))
    one._coroutines = frozenset({"queue"})
    one._run = lambda attempt: begun.append(attempt.job.id) or STILL_RUNNING  # type: ignore[func-returns-value]
    one.put([claimed("a"), claimed("b")])
    first = one._take()
    assert first is not None
    before = first.blocks
    one.resume(first, blocks=True)
    assert (before, first.blocks) == (False, True)
    woken.clear()
    one.end(first, completed(first))
    assert (begun, one.waiting, woken) == ([], 1, ["finisher"])
    assert one._take() is first, "what is left to do of it comes first"
    one.end(first, None)
    assert (begun, one.waiting) == (["b"], 0)
    second = next(iter(one._running))
    woken.clear()
    one.end(second, completed(second))
    assert woken == ["worker", "finisher"], "there is room, and no outcome is to wait for another"


def test_every_thread_of_the_slots_ends_with_the_program(slots: Callable[..., Slots]) -> None:
    assert [thread.daemon for thread in slots(1, completed)._threads] == [True]


def test_an_attempt_keeps_what_its_handler_says_of_it() -> None:
    attempt = Attempt(claimed("a")._replace(attempts=2, trace_id="old", span_context="kept"), threading.RLock())
    now = datetime.now(UTC)
    attempt.report(0.5, "half", now)
    assert attempt.progress == JobProgress("a", "queue", 2, 0.5, "half", now.isoformat())
    attempt.hand_down({"trace_id": "new"})
    assert (attempt.job.trace_id, attempt.job.span_context) == ("new", "kept")


def test_the_thread_that_takes_on_an_attempt_is_that_of_the_attempt() -> None:
    attempt, seen = Attempt(claimed("a"), threading.RLock()), list[Any]()
    assert attempt.thread == threading.get_ident()
    attempt.awaits, attempt.rest = "coroutine", lambda: None
    rest = attempt.rest

    def take() -> None:
        seen.append((attempt.take_rest(), attempt.thread == threading.get_ident(), attempt.awaits, attempt.rest))

    other = threading.Thread(target=take)
    other.start()
    other.join(PATIENCE)
    assert seen == [(rest, True, None, None)]


def test_an_attempt_that_has_ended_is_over(slots: Callable[..., Slots]) -> None:
    execute = Stopping()
    execute.go.set()
    one = slots(1, execute)
    one.put([claimed("a")])
    until(lambda: one.outcomes.has_ended)
    until(lambda: execute.runs[0].over)  # a thread that it has left behind spawns nothing more


def test_a_request_blocks_its_thread_and_so_does_a_job_that_is_no_coroutine() -> None:
    idle = Slots(9, lambda: None)
    idle.put([asked_for("a"), claimed("b"), claimed("c")._replace(queue_name="other")])
    idle._coroutines = frozenset({"queue"})
    assert [attempt.blocks for _ in range(3) if (attempt := idle._take())] == [True, False, True]
