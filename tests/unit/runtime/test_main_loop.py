"""The main thread of a worker, without a database: in which order it does what, and when it ends."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli.errors import BrokenInstallationError, HammerworkError, UnreachableError
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.features.worker.queries.finish import AttemptEnd
from hammerwork_cli.runtime.outcomes.failures import Failed
from hammerwork_cli.runtime.worker import loop as module
from hammerwork_cli.runtime.worker.loop import (
    CANCEL_SECONDS,
    FINISHER_SECONDS,
    LAST_SECONDS,
    LAST_TRIES_SECONDS,
    MOST_LATER,
    MainLoop,
)
from tests.conftest import each_row
from tests.unit.runtime.test_slots import claimed


class Calls(list[Any]):
    """What was called, in its order."""

    def of(self, name: str, answer: Any = None) -> Callable[..., Any]:
        """A function that answers this, or raises it."""

        def call(*arguments: Any, **named: Any) -> Any:
            self.append((name, *arguments, *named.values()) if arguments or named else name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def a(**fields: Any) -> Any:
    return SimpleNamespace(**fields)


TURN = ["expire", "overdue"]


@each_row(
    ("state", "calls", "is_over"),
    [
        ({}, ["write", "compare", "fetch", "wait"], False),
        ({"wrote": True}, ["write", "poll", "compare", "fetch", "wait"], False),
        ({"finishing": True, "wrote": True}, ["compare", "fetch", "wait"], False),
        ({"fetched": False}, ["write", "compare", "fetch", "nothing left?", "wait"], False),
        ({"fetched": False, "nothing_left": True}, ["write", "compare", "fetch", "nothing left?"], True),
        ({"past": True}, ["write", "compare", "fetch", ("stop", True), "wait"], False),
        ({"stops": True}, ["write", "compare", ("give back", "jobs"), "say why", "wait"], False),
        ({"stops": True, "empty": True}, ["write", "compare", ("give back", "jobs")], True),
        (
            {"stops": True, "empty": True, "owes": True},
            ["write", "compare", ("give back", "jobs"), "say why", "wait"],
            False,
        ),
    ],
)
def test_each_turn_of_the_main_thread_writes_before_it_claims_and_waits_at_its_end(
    state: dict[str, Any], calls: list[Any], is_over: bool
) -> None:
    made = Calls()
    loop = a(
        _timed_out="timed out",
        _tell_overdue=made.of("overdue"),
        _finishing=object() if "finishing" in state else None,
        _finisher=a(write=made.of("write", state.get("wrote", False))),
        _claimer=a(
            poll_now=made.of("poll"),
            compare=made.of("compare"),
            give_back=made.of("give back"),
            fetch=made.of("fetch", state.get("fetched", True)),
            owes=state.get("owes", False),
        ),
        _slots=a(expire=made.of("expire"), withdraw=lambda: "jobs", empty=state.get("empty", False)),
        _stop=a(is_set=state.get("stops", False), stop=made.of("stop")),
        _say_why_it_waits=made.of("say why"),
        _nothing_left=made.of("nothing left?", state.get("nothing_left", False)),
        _is_past_waiting=lambda: state.get("past", False),
        _wait=made.of("wait"),
    )
    assert MainLoop._turn(loop) == is_over
    assert made == [("expire", "timed out"), "overdue", *calls]


@each_row(
    ("state", "runs", "is_over"),
    [
        ({}, [], False),
        ({"done": True}, [], True),
        ({"done": True, "closes": False}, [], False),
        ({"drains": True, "empty": False}, [], False),
        ({"drains": True, "drained": False}, ["drained"], False),
        ({"drains": True}, ["drained", "callbacks", ("left", 0)], True),
        ({"drains": True, "left": UnreachableError("Away.")}, ["drained", "callbacks", ("left", 0)], True),
        ({"drains": True, "fired": True}, ["drained", "callbacks", "news"], False),
        ({"drains": True, "closes": False}, ["drained", "callbacks"], False),
        ({"drains": True, "of_test": True, "fired": True}, ["drained", "of a test", "news"], False),
    ],
)
def test_a_worker_ends_once_it_has_claimed_its_share_or_drained_its_queues_and_no_request_is_left(
    state: dict[str, Any], runs: list[Any], is_over: bool
) -> None:
    made = Calls()
    fired = state.get("fired", False)
    loop = a(
        _claimer=a(compare=made.of("compare"), notify=made.of("news"), done=state.get("done", False)),
        _claims_no_more_requests=lambda: state.get("closes", True),
        _options=a(
            drain=state.get("drains", False), when_drained=made.of("of a test", fired) if "of_test" in state else None
        ),
        _slots=a(empty=state.get("empty", True)),
        _connections=a(run=lambda unit, **options: unit(**options)),
        _drained=made.of("drained", state.get("drained", True)),
        _look_at_callbacks=made.of("callbacks", fired),
        _log_left=made.of("left", state.get("left")),
    )
    assert MainLoop._nothing_left(loop) == is_over
    assert made == ["compare", *runs]


@each_row(
    ("state", "drained"),
    [
        ({}, True),
        ({"empty": False}, False),
        ({"releasing": True}, False),
        ({"come_back": True}, False),
        ({"ran": False}, False),
    ],
)
def test_queues_are_drained_when_nothing_runs_waits_or_may_come_back(state: dict[str, Any], drained: bool) -> None:
    made = Calls()
    loop = a(
        _parts=a(request_claimer=a(claim=made.of("requests")), keeper=a(releasing=state.get("releasing", False))),
        _slots=a(empty=state.get("empty", True)),
        _may_come_back=lambda _: state.get("come_back", False),
        _due_ones_ran=lambda _: state.get("ran", True),
    )
    database: Any = "database"
    assert MainLoop._drained(loop, database) == drained
    assert made == [("requests", "database")], "a request counts as well"


@each_row(
    ("undecided", "held", "may_come_back"),
    [(None, False, True), (frozenset(), False, False), (frozenset("yx"), True, True), (frozenset("yx"), False, False)],
)
def test_jobs_may_come_back_until_it_is_known_which_workers_live(
    undecided: frozenset[str] | None, held: bool, may_come_back: bool
) -> None:
    made = Calls()
    loop = a(_parts=a(keeper=a(undecided=undecided)), _worker=a(queues=("work",)))
    database: Any = "database"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claim, "have_claimed", made.of("held?", held))
        assert MainLoop._may_come_back(loop, database) == may_come_back
    assert made == ([] if undecided is None else [("held?", "database", ("work",), sorted(undecided))])


@each_row(
    ("number", "waits", "is_test", "messages"),
    [
        (0, "", False, []),
        (1, "", False, ["1 job of these queues is due later."]),
        (2, "", True, ["2 jobs of these queues are due later."]),
        (MOST_LATER, "", False, ["at least 1,000 jobs of these queues are due later."]),
        (0, "2 wait", True, []),
        (
            0,
            "2 wait",
            False,
            ["No worker sends events, and 2 wait. Start one with: hammerwork worker start --upkeep-only"],
        ),
    ],
)
def test_a_worker_that_drained_its_queues_says_what_it_leaves(
    number: int, waits: str, is_test: bool, messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hammerwork")
    caplog.clear()
    made = Calls()
    loop = a(
        _worker=a(queues=("work",)), _clock=a(now=lambda: "now"), _options=a(when_drained=print if is_test else None)
    )
    database: Any = "database"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claim, "later", made.of("later", number))
        patch.setattr(module, "unsent", made.of("unsent", waits))
        MainLoop._log_left(loop, database)
    assert caplog.messages == messages
    assert made == [
        ("later", "database", ("work",), "now", MOST_LATER),
        *([] if is_test else [("unsent", "database", "now")]),
    ]


@each_row(
    ("state", "says"),
    [
        ({"unwritable": ["a"]}, 1),
        ({"unwritable": ["a"], "at_once": True}, 0),
        ({"owes": True}, 1),
        ({"owes": True, "running": 1}, 0),
        ({"owes": True, "running": 1, "unwritable": ["a"]}, 1),
        ({}, 0),
    ],
)
def test_a_worker_that_cannot_stop_says_why_once_nothing_runs(
    state: dict[str, Any], says: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    loop = a(
        _said_why=False,
        _stop=a(at_once=a(is_set=lambda: state.get("at_once", False))),
        _slots=a(unwritable=state.get("unwritable", []), running=state.get("running", 0)),
        _claimer=a(owes=state.get("owes", False)),
        _longest_wait=1.0,
    )
    for _ in range(2):
        MainLoop._say_why_it_waits(loop)
    assert len(caplog.messages) == says


def test_a_worker_bears_what_holds_it_up_for_a_lease_without_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "elapsed", lambda: now[0])
    loop = a(
        _held_up_since=None,
        _longest_wait=60.0,
        _slots=a(unwritable=["a"], empty=True),
        _stop=a(is_set=True),
        _claimer=a(owes=False, done=False),
        _lease=a(is_held=lambda _: True),
    )
    seen = []
    for second in (100, 160, 161, 162, 170, 230, 231):
        now[0] = second
        loop._slots.unwritable = [] if second == 162 else ["a"]
        seen.append(MainLoop._is_past_waiting(loop))
    assert seen == [False, False, True, False, False, False, True]


@each_row(
    ("finishes", "with_thread", "in_time", "calls"),
    [
        (True, False, True, ["rounds", "work"]),
        (False, False, True, ["rounds", "work", ("leave", True)]),
        (True, True, True, ["rounds", "start", "work", ("stop", FINISHER_SECONDS)]),
        (False, True, True, ["rounds", "start", "work", ("stop", FINISHER_SECONDS), ("leave", True)]),
        (False, True, False, ["rounds", "start", "work", ("stop", FINISHER_SECONDS), ("leave", False)]),
    ],
)
def test_the_main_thread_ends_the_one_for_outcomes_and_writes_itself_only_if_that_has_ended(
    finishes: bool, with_thread: bool, in_time: bool, calls: list[Any]
) -> None:
    made = Calls()
    loop = a(
        _parts=a(rounds=a(begin=made.of("rounds"))),
        _finishing=a(start=made.of("start"), stop=made.of("stop", in_time)) if with_thread else None,
        _work=made.of("work", finishes),
        _leave_at_once=made.of("leave"),
    )
    MainLoop.run(loop)
    assert made == calls


LEFT = "The outcome of {} is not written: other workers will take over after 30 s: a, b."


@each_row(
    ("state", "calls", "lost", "message"),
    [
        ({}, [("give back", "database", ["job"]), ("patience", LAST_SECONDS), ("write", LAST_SECONDS)], 0, None),
        ({"back": []}, [("write", LAST_SECONDS)], 0, None),
        ({"back": [], "left": 2}, [("write", LAST_SECONDS)], 2, LEFT.format("2 jobs")),
        ({"back": [], "left": 2, "may_write": False}, [], 7, LEFT.format("7 jobs")),
        (
            {"away": HammerworkError("It is away.")},
            [("give back", "database", ["job"])],
            7,
            "Jobs could not be given back; other workers will take over after 30 s. It is away.",
        ),
    ],
)
def test_a_worker_that_stops_at_once_gives_jobs_back_after_their_processes_and_coroutines_have_ended(
    state: dict[str, Any], calls: list[Any], lost: int, message: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    made = Calls()

    def run(unit: Callable[[Any], Any], *, patience: float) -> None:
        unit("database")
        made.append(("patience", patience))

    def abandon(outcome: Callable[[Any], Any]) -> None:
        made.append(("abandon", outcome(a(job="running"))))

    loop = a(
        _slots=a(
            withdraw=lambda: state.get("back", ["job"]),
            abandon=abandon,
            outcomes=a(unwritten=4, postponed=3),
            ids=lambda: {"b", "a"},
        ),
        _isolation=a(close=made.of("close")),
        _parts=a(
            outcome_policy=a(stopped=lambda job: f"{job} stopped"),
            attempt_runner=a(loop=a(cancel=made.of("cancel"))),
        ),
        _connections=a(run=run),
        _finisher=a(write_last=made.of("write", state.get("left", 0))),
        _progress=a(lost=0),
        _worker=a(lease=30.0),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "give_back", made.of("give back", state.get("away")))
        MainLoop._leave_at_once(loop, state.get("may_write", True))
    assert made == [("abandon", "running stopped"), "close", ("cancel", CANCEL_SECONDS), *calls]
    assert (loop._progress.lost, caplog.messages) == (lost, [message] if message else [])


@each_row(
    ("can_kill", "awaits", "holds_slot", "error"),
    [
        (True, None, False, "It did not end within 5 s."),
        (False, None, True, "It did not end within 5 s.\n\nthe stack"),
        (False, "coroutine", False, "It did not end within 5 s.\n\nthe stack"),
    ],
)
def test_an_attempt_that_has_timed_out_holds_its_slot_if_nothing_can_end_its_handler(
    can_kill: bool, awaits: str | None, holds_slot: bool, error: str
) -> None:
    made = Calls()
    attempt = a(job=claimed("a"), thread=7, awaits=awaits, deadline=105.0, began=100.0, holds_slot=None)
    loop = a(
        _isolation=a(kill=made.of("kill"), can_kill=can_kill),
        _parts=a(attempt_runner=a(loop=a(thread=8)), outcome_policy=a(failed=made.of("failed", "its outcome"))),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "stack_of", made.of("stack", "the stack"))
        outcome = MainLoop._timed_out(loop, attempt)
    before = [("kill", 7, attempt), *([] if can_kill else [("stack", 7, awaits, 8)])]
    assert (made, attempt.holds_slot) == (before, holds_slot)
    ended: Any = outcome()
    assert ended == "its outcome"
    assert made[-1] == ("failed", attempt.job, Failed(error, AttemptEnd.TIMED_OUT))


@each_row(
    ("upkeep", "problems", "has_fired"),
    [(True, [], False), (True, ["Broken."], False), (True, [None, "Broken."], True), (False, [None], False)],
)
def test_a_callback_that_fired_may_have_brought_jobs(upkeep: bool, problems: list[str | None], has_fired: bool) -> None:
    made = Calls()
    looks = [(f"callback {number}", problem) for number, problem in enumerate(problems)]
    loop = a(_options=a(upkeep=upkeep), _clock=a(now="clock"))
    database: Any = "database"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "look_at_due", made.of("look", looks))
        patch.setattr(module, "log_look", made.of("log"))
        assert MainLoop._look_at_callbacks(loop, database) == has_fired
    assert made == ([("look", "database", "clock"), *(("log", *look) for look in looks)] if upkeep else [])


def test_jobs_that_are_due_in_a_moment_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Calls()
    now = datetime(2026, 12, 1, tzinfo=UTC)
    loop = a(_clock=a(now=lambda: now), _options=a(drain_seconds=5.0), _worker=a(queues=("work", "more")))
    loop._soon = lambda: MainLoop._soon(loop)
    monkeypatch.setattr(claim, "drained", made.of("drained", True))
    database: Any = "database"
    assert MainLoop._due_ones_ran(loop, database)
    assert made == [("drained", "database", ["work", "more"], now + timedelta(seconds=5))]


@pytest.mark.parametrize("empty", [True, False])
def test_a_worker_that_has_claimed_its_share_waits_for_the_requests_that_it_claimed_before(empty: bool) -> None:
    made = Calls()
    loop = a(_parts=a(request_claimer=a(close=made.of("close"))), _slots=a(empty=empty))
    assert MainLoop._claims_no_more_requests(loop) == empty
    assert made == ["close"]


def test_an_error_of_a_turn_is_waited_out_and_a_broken_installation_ends_the_worker() -> None:
    made = Calls()
    turns: list[Any] = [False, UnreachableError("Away."), BrokenInstallationError("A file is missing."), True]

    def turn() -> bool:
        answer = turns.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    log = a(
        succeeded=made.of("succeeded"), recovered=made.of("recovered"), caught=lambda error: 7.0 + len(error.message)
    )
    at_once = a(is_set=lambda: False, wait=made.of("wait"))
    loop = a(_stop=a(at_once=at_once), _turn=turn, _outage_log=log, _lease=a(is_held=lambda _: False))
    assert MainLoop._work(loop) is False
    assert made == ["succeeded", ("wait", 12.0)]
    loop._stop.at_once.is_set = lambda: True
    assert MainLoop._work(loop) is False
    assert turns == [True], "a worker that stops at once takes no turn"
    assert MainLoop._longest_wait.fget(a(_worker=a(lease=30.0))) == 30.0 + LAST_TRIES_SECONDS  # type: ignore[attr-defined]
