"""Outcomes until they are written, without a database: which a call takes, and when it tries them again."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli.database.retrying import is_away
from hammerwork_cli.errors import AccessDeniedError, DatabaseError, UnreachableError
from hammerwork_cli.features.worker.queries import finish
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt, FinishReport
from hammerwork_cli.runtime import faults
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import LONGEST_PAUSE
from hammerwork_cli.runtime.execution import finisher as module
from hammerwork_cli.runtime.execution import unwritten_outcomes
from hammerwork_cli.runtime.execution.finisher import (
    AGAIN_SECONDS,
    FIRST_PAUSE,
    SHORTEST_PAUSE,
    WRITE_SECONDS,
    Finisher,
)
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.execution.unwritten_outcomes import UnwrittenOutcomes
from hammerwork_cli.runtime.faults import Progress
from tests.conftest import each_row
from tests.unit.runtime.test_slots import claimed
from tests.worker_context import Clock

LEASE = 30.0


def outcome(name: str) -> EndedAttempt:
    return EndedAttempt(claimed(name), AttemptEnd.COMPLETED)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(0.5)  # as on a machine that has just started
    monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(unwritten_outcomes, "time", made)
    monkeypatch.setattr(faults, "time", made)
    return made


class Writing:
    """A finisher whose database refuses completions by the names of their jobs, and takes a while for each transaction.

    Attributes:
        refuses_all: it refuses other outcomes of these jobs as well.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock, self.seconds = clock, 0.0
        self.refused: set[str] = set()
        self.refuses_all = False
        self.error: Exception = AccessDeniedError("Not now.")
        self.tried: list[str] = []
        self.said: str | None = None
        nothing: Any = None
        self.slots = Slots(1, lambda: None)
        self.outcomes = self.slots.outcomes
        policy: Any = SimpleNamespace(
            failed=lambda job, failure: EndedAttempt(job, AttemptEnd.FAILED, error=failure.error)
        )
        self.finisher = Finisher(nothing, self.slots, ServerClock(), Progress(LEASE), policy)
        self.finisher._finish = self._finish  # type: ignore[method-assign]

    def _finish(self, batch: Any) -> None:
        self.clock.now += self.seconds
        self.tried.append("".join(one.job.id for one in batch.outcomes))
        self.said = batch.outcomes[-1].error
        completes = all(one.end == AttemptEnd.COMPLETED for one in batch.outcomes)
        if self.refused & {*self.tried[-1]} and (completes or self.refuses_all):
            raise self.error

    def end(self, names: str) -> None:
        self.outcomes.put_back([outcome(name) for name in names])

    def pause(self) -> float | None:
        return self.finisher.pause

    def write(self) -> tuple[bool, list[str]]:
        self.tried.clear()
        return self.finisher.write(), [*self.tried]


@pytest.fixture
def writing(clock: Clock) -> Writing:
    return Writing(clock)


def test_a_call_that_wrote_some_outcomes_says_so_whatever_it_could_not_write(writing: Writing) -> None:
    assert writing.write() == (False, [])
    writing.refused = {"b"}
    writing.end("ab")
    assert writing.write() == (True, ["ab", "a", "b"])
    assert writing.write() == (False, []), "it is too early for another try"
    assert writing.outcomes.postponed_ids == ["b"]
    writing.clock.now += 1
    refused = writing.slots.refused()
    assert refused is not None
    assert (refused.outcomes, refused.error) == (1, "Not now.")
    writing.clock.now -= 1
    writing.end("c")
    assert writing.pause() == 0
    assert writing.write() == (True, ["c"])


def test_while_jobs_wait_an_outcome_waits_for_others_for_a_moment(writing: Writing) -> None:
    writing.slots.put([claimed("z")])
    assert writing.pause() is None
    writing.end("a")
    assert writing.pause() == pytest.approx(WRITE_SECONDS)
    assert writing.write() == (False, [])
    writing.clock.now += WRITE_SECONDS * 1.01
    assert writing.pause() == 0
    assert writing.write() == (True, ["a"])


def test_an_error_that_nobody_knows_is_the_jobs_when_it_has_lasted_for_a_lease(writing: Writing) -> None:
    writing.refused, writing.error = {"a"}, DatabaseError("Error 28.")
    writing.end("a")
    for _ in range(3):
        assert writing.write() == (False, ["a"])
        writing.clock.now += LEASE / 3
    writing.clock.now += LEASE / 3
    writing.refuses_all = True
    assert writing.write() == (False, ["a", "a"]), "it is not, if the database does not accept its failure either"
    assert writing.outcomes.postponed_ids == ["a"]
    writing.clock.now += LEASE
    writing.refuses_all = False
    assert writing.write() == (True, ["a", "a"])
    assert writing.said == "The database refuses the outcome of the job. Error 28."
    assert writing.outcomes.is_empty


def test_an_outcome_that_nothing_can_write_is_tried_twice_and_then_forgotten(writing: Writing) -> None:
    writing.refused, writing.error = {"b"}, KeyError("A defect.")
    writing.end("abc")
    assert writing.write() == (True, ["abc", "a", "bc", "b", "c", "b", "b"])
    assert writing.said == "The database cannot hold the result of the job. KeyError: 'A defect.'"
    assert writing.outcomes.is_empty
    writing.end("b")
    writing.refuses_all = True
    assert writing.write() == (False, [*"bbbb"])
    assert writing.outcomes.is_empty


def test_a_call_leaves_the_rest_of_what_was_refused_to_the_next_one_after_a_while(writing: Writing) -> None:
    writing.refused, writing.seconds = {"a"}, AGAIN_SECONDS * 0.4
    writing.end("abcdefgh")
    calls: list[list[str]] = []
    kept: list[set[str]] = []
    while writing.finisher._parts or not calls:
        calls.append(writing.write()[1])
        assert writing.pause() is not None
        assert (writing.pause() == 0) == bool(writing.finisher._parts), "the next one follows at once"
        kept.append({job.id for job in writing.outcomes.jobs()})
    assert calls == [["abcdefgh", "abcd", "efgh", "ab"], ["cd", "a", "b"]]
    assert kept == [{*"abcd"}, {"a"}], "their jobs are still this worker's"


def test_an_outcome_that_cannot_be_written_is_tried_after_ever_longer_pauses_and_logged_now_and_then(
    writing: Writing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hammerwork")
    writing.refused = {"a"}
    writing.end("a")
    writing.write()
    pauses = []
    for _ in range(20):
        pause = writing.pause()
        assert pause is not None
        pauses.append(pause)
        writing.clock.now += pause * 0.99
        assert writing.write() == (False, []), "it is too early"
        writing.clock.now += pause * 0.02
        assert writing.pause() == 0
        assert writing.write() == (False, ["a"])
    doubled = [min(LONGEST_PAUSE, FIRST_PAUSE * 2**number) for number in range(20)]
    assert pauses == pytest.approx(doubled)
    assert caplog.messages == ["The outcome of the job cannot be written yet: Not now."] * 3
    # Once one of them is written, the fault of the others may be over.
    writing.end("b")
    writing.refused = {"a", "b"}
    writing.write()
    writing.refused = {"a"}
    writing.clock.now += LONGEST_PAUSE
    assert writing.write() == (False, ["a"])
    writing.clock.now += LONGEST_PAUSE
    assert writing.write() == (True, ["b", "a"])
    assert writing.pause() == pytest.approx(FIRST_PAUSE)


def test_once_an_outcome_is_written_the_others_are_tried_at_once(writing: Writing) -> None:
    writing.refused = {"a", "b"}
    writing.end("ab")
    writing.write()
    writing.refused.clear()
    writing.clock.now += 2 * FIRST_PAUSE
    assert writing.write() == (True, ["a", "b"])


def test_one_of_many_outcomes_that_cannot_be_written_is_tried_each_second(writing: Writing) -> None:
    writing.refused = {*"abcdefghij"}
    writing.end("abcdefghij")
    assert not writing.write()[0]
    assert writing.pause() == pytest.approx(max(SHORTEST_PAUSE, LONGEST_PAUSE / 10))
    seen = []
    for _ in range(20):
        pause = writing.pause()
        assert pause is not None
        writing.clock.now += pause
        seen += writing.write()[1]
    assert sorted(seen) == sorted("abcdefghij" * 2)


def test_the_last_try_takes_each_outcome_once_and_ends_in_time(writing: Writing) -> None:
    writing.refused = {"a", "c"}
    writing.end("ab")
    writing.write()
    writing.tried.clear()
    writing.end("cde")
    writing.seconds = 1.0
    assert writing.finisher.write_last(0.5) == 4, "a, and the parts of what was refused together"
    assert writing.tried == ["cde"], "what has just ended is tried in any case"
    writing.tried.clear()
    assert writing.finisher.write_last(60) == 2
    assert writing.tried == ["a", "c", "de"]
    assert writing.outcomes.postponed_ids == ["a", "c"]
    writing.refused.clear()
    assert writing.finisher.write_last(60) == 0
    assert writing.outcomes.is_empty


def test_while_no_server_answers_outcomes_wait_in_their_order_and_none_counts_as_refused(writing: Writing) -> None:
    writing.refused, writing.error = {"a"}, UnreachableError("The server is away.")
    writing.end("ab")
    with pytest.raises(UnreachableError):
        writing.write()
    assert (writing.outcomes.postponed, writing.outcomes.unwritten) == (0, 2)
    writing.error = AccessDeniedError("Not now.")
    writing.write()
    assert writing.outcomes.postponed_ids == ["a"]
    writing.error = UnreachableError("The server is away.")
    writing.clock.now += LONGEST_PAUSE
    with pytest.raises(UnreachableError):
        writing.write()
    assert (writing.outcomes.postponed, writing.outcomes.unwritten) == (0, 1)
    writing.refused.clear()
    assert writing.write() == (True, ["a"])
    assert writing.pause() is None


class Transactions:
    """Connections whose transactions answer what a test says, or raise it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, policy: Any = None) -> None:
        self.answers: list[Any] = []
        self.asked: list[Any] = []
        self.options: list[dict[str, Any]] = []
        self.due: list[bool] = []
        self.counted: list[list[str]] = []
        slots = Slots(1, lambda: None)
        connections: Any = SimpleNamespace(run=self._run)
        progress: Any = SimpleNamespace(
            lease=LEASE, count=lambda ended: self.counted.append([one.job.id for one in ended])
        )
        clock: Any = SimpleNamespace(now=lambda: NOW)
        self.finisher = Finisher(
            connections,
            slots,
            clock,
            progress,
            policy,
            lambda: self.due.append(True),
        )
        monkeypatch.setattr(finish, "finish", self._finish)
        monkeypatch.setattr(finish, "fates", self._fates)

    def _run(self, unit: Callable[[Any], Any], **options: Any) -> Any:
        self.options.append(options)
        return unit("database")

    def _finish(self, database: Any, outcomes: Any, now: datetime) -> FinishReport:
        self.asked.append((database, [one.job.id for one in outcomes], now))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, FinishReport)
        return answer

    def _fates(self, database: Any, jobs: Any) -> dict[str, tuple[str, str]]:
        assert (database, jobs) == ("database", ["b", "c"])
        return {"b": ("Cancelled", "Cancelled by me.")}

    def write(self, *outcomes: EndedAttempt) -> bool:
        self.finisher._outcomes.put_back(outcomes)
        return self.finisher.write()


NOW = datetime(2030, 12, 1, tzinfo=UTC)


@each_row(("callbacks", "failed", "due"), [(0, 0, False), (1, 0, True), (0, 1, True)])
def test_a_worker_looks_at_callbacks_once_jobs_that_they_wait_for_have_ended(
    callbacks: int, failed: int, due: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        made = Transactions(patch)
        made.answers = [FinishReport(callbacks=callbacks, failed=failed)]
        assert made.write(outcome("a"))
        assert made.due == [True] * due
        assert made.counted == [["a"]]


def test_outcomes_of_jobs_that_others_have_do_not_count_and_the_log_says_who_has_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hammerwork")
    made = Transactions(monkeypatch)
    made.answers = [FinishReport(lost={"b", "c"})]
    failed = [EndedAttempt(claimed(name)._replace(attempts=3, max_attempts=3), AttemptEnd.FAILED) for name in "bd"]
    assert made.write(outcome("a"), failed[0], outcome("c"), failed[1])
    assert made.counted == [["a", "d"]]
    said = "The job was taken from this worker: {}. Its outcome here is not written."
    assert caplog.messages == [
        said.format("it was Cancelled by me"),
        said.format("it was deleted"),
        "The job failed in attempt 3 of 3 and is Dead now: ",
    ]
    assert made.options[1] == {"patience": 0}


def test_each_failure_is_logged_once_with_what_follows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logged = ValueError("7")
    logged._is_logged = True  # type: ignore[attr-defined]
    job = claimed("a")._replace(attempts=1, max_attempts=3)
    pause, cause = timedelta(seconds=5), ValueError("7")
    made = Transactions(monkeypatch)
    outcomes = [
        EndedAttempt(job, AttemptEnd.RETRY, error="One.\n\nThere.", at=NOW, pause=pause, cause=cause),
        EndedAttempt(job, AttemptEnd.FAILED, error="Two.", at=NOW),
        EndedAttempt(job, AttemptEnd.FAILED, error="Three."),
        EndedAttempt(job, AttemptEnd.TIMED_OUT, error="Four."),
        EndedAttempt(job, AttemptEnd.FAILED, error="Five.", cause=logged),
        EndedAttempt(job, AttemptEnd.COMPLETED),
        EndedAttempt(job, AttemptEnd.CANCELLED),
        EndedAttempt(job, AttemptEnd.STOPPED),
        EndedAttempt(job, AttemptEnd.SNOOZED, at=NOW),
    ]
    failures = [
        ("WARNING", "The job failed in attempt 1 of 3 and will be tried again in 5.0 s: One."),
        ("WARNING", "The job failed in attempt 1 of 3 and recurs at 2030-12-01 00:00:00: Two."),
        ("ERROR", "The job failed in attempt 1 of 3 and is Dead now: Three."),
        ("ERROR", "The job failed in attempt 1 of 3 and is TimedOut now: Four."),
    ]
    others = [
        ("DEBUG", "The job completed in attempt 1."),
        ("DEBUG", "The job was cancelled in attempt 1."),
        ("DEBUG", "The job stopped in attempt 1."),
        ("DEBUG", "The job snoozed in attempt 1 until 2030-12-01 00:00:00."),
    ]
    for level, said in ((logging.INFO, failures), (logging.DEBUG, failures + others)):
        caplog.clear()
        caplog.set_level(level, "hammerwork")
        made.answers = [FinishReport()]
        assert made.write(*outcomes)
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == said
        words = [getattr(record, "outcome", None) for record in caplog.records[:4]]
        assert words == ["retry", "recurs", "dead", "dead"]
        assert [record.exc_info and record.exc_info[1] for record in caplog.records[:2]] == [cause, None]


def test_an_error_of_the_log_loses_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("The disk is full.")

    made = Transactions(monkeypatch)
    made.answers = [FinishReport()]
    monkeypatch.setattr(module.log, "log", fail)
    assert made.write(EndedAttempt(claimed("a"), AttemptEnd.FAILED))
    assert made.counted == [["a"]]


def test_each_try_at_an_outcome_has_the_same_time_and_only_the_first_waits_for_more_than_a_server(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    made = Transactions(monkeypatch)
    late = claimed("b")
    late = late._replace(claim=late.claim._replace(started_at=NOW + timedelta(hours=1)))
    made.answers = [AccessDeniedError("Not now."), FinishReport(), FinishReport(), FinishReport()]
    assert made.write(outcome("a")) is False
    clock.now += LONGEST_PAUSE
    made.finisher._clock = SimpleNamespace(now=lambda: NOW + timedelta(minutes=1))  # type: ignore[assignment]
    assert made.finisher.write()
    assert made.write(outcome("a"), EndedAttempt(late, AttemptEnd.COMPLETED))
    assert made.asked == [
        ("database", ["a"], NOW),
        ("database", ["a"], NOW),
        ("database", ["a", "b"], NOW + timedelta(hours=1)),
    ], "and no job ends before it starts"
    passes = [options["passes"] for options in made.options]
    assert passes == [None, is_away, None]
    made.options[0]["told"](AccessDeniedError("Not yet."))
    assert made.finisher._outcomes._refusal == "Not yet."


@pytest.fixture
def kept() -> tuple[UnwrittenOutcomes, list[str]]:
    """Outcomes, and what was called."""
    calls: list[str] = []
    return UnwrittenOutcomes(threading.Lock(), lambda: calls.append("wake"), lambda: calls.append("room")), calls


Kept = tuple[UnwrittenOutcomes, list[str]]


def test_outcomes_that_cannot_be_written_are_reported_with_those_that_wait_for_them(kept: Kept, clock: Clock) -> None:
    outcomes, _ = kept

    def refused(*spawning: tuple[float, str]) -> Any:
        found = outcomes.refused(spawning)
        return found and (found.outcomes, found.seconds, found.error)

    assert refused() is None
    outcomes.put_back([outcome("a"), outcome("b")])
    outcomes.pop_ended()
    clock.now += 5
    assert refused() is None, "a long transaction is not refused"
    outcomes.refuse("Not now.")
    assert refused() == (2, 5.0, "Not now.")
    outcomes.put_back([outcome("c")])
    assert refused() == (3, 5.0, "Not now."), "what has ended meanwhile waits for them"
    outcomes.postpone([outcome("a"), outcome("b")])
    assert refused() == (3, 5.0, "Not now."), "each counts once"
    outcomes.clear_writing()
    clock.now += 2
    assert refused() == (2, 7.0, "Not now.")
    assert refused((clock.now - 9, "No spawn.")) == (3, 9.0, "Not now.")
    outcomes.clear_postponed([outcome("a")])
    assert refused() == (1, 7.0, "Not now.")
    outcomes.clear_postponed([outcome("b")])
    assert refused() is None
    assert refused((clock.now - 0.5, "No spawn.")) is None, "that is not long"
    outcomes.clear_writing()
    assert refused((clock.now - 1, "No spawn."), (clock.now - 0.25, "Another.")) == (2, 1.0, "No spawn.")
    assert refused((clock.now - 1.23456, "No spawn.")) == (1, 1.235, "No spawn.")


def test_outcomes_that_are_postponed_before_any_was_written_are_refused_since_then(kept: Kept, clock: Clock) -> None:
    outcomes, _ = kept
    outcomes.postpone([outcome("a")])
    clock.now += 1.5
    outcomes.postpone([outcome("b")])
    found = outcomes.refused(())
    assert found is not None
    assert (found.outcomes, found.seconds, found.error) == (2, 1.5, "")


@pytest.mark.parametrize("way", ["written", "postponed"])
def test_when_large_outcomes_are_written_jobs_may_start_again(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(unwritten_outcomes, "MOST_UNWRITTEN_BYTES", 10)
    outcomes, calls = kept
    large = EndedAttempt(claimed("a"), AttemptEnd.COMPLETED, result="x" * 6)
    other = EndedAttempt(claimed("b"), AttemptEnd.COMPLETED, result="x" * 4)
    small = EndedAttempt(claimed("c"), AttemptEnd.COMPLETED)
    forget: Callable[[EndedAttempt], None]
    if way == "written":

        def keep(*ended: EndedAttempt) -> None:
            outcomes.put_back(ended)

        def forget(_: EndedAttempt) -> None:
            outcomes.pop_ended()
            assert not outcomes.is_empty
            outcomes.clear_writing()
    else:

        def keep(*ended: EndedAttempt) -> None:
            outcomes.postpone(ended)
            outcomes.postpone(ended)  # it counts once

        def forget(ended: EndedAttempt) -> None:
            outcomes.clear_postponed([ended, small])
            outcomes.clear_postponed([ended])  # it is gone

    keep(large)
    assert (outcomes.size, outcomes.is_clogged) == (6, False)
    forget(large)
    assert (outcomes.size, calls) == (0, []), "there was room before"
    keep(large, other)
    assert (outcomes.size, outcomes.is_clogged, outcomes.is_empty) == (10, True, False)
    forget(large)
    if way == "postponed":
        assert (outcomes.size, calls) == (4, ["room"])
        forget(other)
    assert (outcomes.size, calls, outcomes.is_empty) == (0, ["room"], True)
    outcomes.postpone([other, EndedAttempt(claimed("d"), AttemptEnd.COMPLETED, result="x" * 10)])
    outcomes.clear_postponed([other])
    assert (outcomes.size, calls) == (10, ["room"]), "there is none yet"


def test_the_writer_of_outcomes_is_woken_when_there_are_some_and_in_a_hurry(kept: Kept) -> None:
    outcomes, calls = kept
    outcomes.hurry()
    assert calls == []
    outcomes.add(outcome("a"))
    assert calls == ["wake"]
    outcomes.add(outcome("b"))
    assert calls == ["wake"]
    outcomes.hurry()
    assert calls == ["wake"] * 2
    outcomes.put_back([outcome("c"), outcome("d")])
    assert [one.job.id for one in outcomes.pop_ended()] == ["c", "d", "a", "b"], "they come first again"
    assert {job.id for job in outcomes.jobs()} == {*"abcd"}


def test_outcomes_are_worth_a_transaction_after_some_patience_or_at_once_when_no_other_follows(
    kept: Kept, clock: Clock
) -> None:
    outcomes, _ = kept
    assert outcomes.worth_writing(5.0, alone=True) == 5.0
    outcomes.add(outcome("a"))
    clock.now += 2
    outcomes.add(outcome("b"))
    assert outcomes.worth_writing(5.0, alone=False) == 3.0
    assert outcomes.worth_writing(5.0, alone=True) == 0.0
    clock.now += 8
    assert outcomes.worth_writing(5.0, alone=False) == 0.0
    outcomes.put_back(outcomes.pop_ended())
    assert outcomes.worth_writing(5.0, alone=False) == 5.0, "those wait anew"
