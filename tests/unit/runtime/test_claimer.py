"""Which jobs a worker claims, and when it looks for them, without a database and by a clock that the test moves."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.errors import UnreachableError
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.features.worker.queries.claim import ClaimedBatch
from hammerwork_cli.features.worker.queries.finish import Compared, Owned
from hammerwork_cli.features.worker.queries.limits import NoRoom
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.execution.slots import Ahead, Slots
from hammerwork_cli.runtime.outages import Outages
from hammerwork_cli.runtime.worker import claimer as module
from hammerwork_cli.runtime.worker.claimer import (
    LOOK_SHARE,
    MOST_AHEAD_BYTES,
    MOST_POSTPONED,
    MOST_PREFETCHED,
    MOST_UNWRITTEN,
    Claimer,
    priorities,
)
from tests.conftest import each_row
from tests.unit.runtime.test_slots import claimed
from tests.worker_context import WORKER, Clock, worker_context

NOW = datetime(2026, 12, 1, tzinfo=UTC)
LEASE, POLL = 60.0, 16.0
SLOW = 1000.0
"""Seconds of a job that is not claimed ahead."""


class Claiming:
    """A claimer of a worker whose queues a test fills.

    Attributes:
        ready: queue -> its jobs that are due.
        answers: queue -> what a claim from it says beside the jobs.
        asked: the claims and looks.
        seconds: that each of them takes.
    """

    def __init__(self, *queues: str, concurrency: int = 2, slots: Any = None, **options: Any) -> None:
        self.clock, self.seconds = Clock(0.0), 0.0
        self.ready: dict[str, list[Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[Any] = []
        self.calls: list[Any] = []
        self.slots = slots or Slots(concurrency, lambda: None)
        self.lease: Any = SimpleNamespace(is_held=lambda _: True, doubts=0, compared=0, is_doubted=False)
        line: Any = SimpleNamespace(outages=Outages(), run=self._run)
        clock: Any = SimpleNamespace(now=lambda: NOW)
        woken: Any = SimpleNamespace(woken=SimpleNamespace(set=lambda: self.calls.append("woken")))
        worker = WORKER._replace(queues=queues or ("work",), concurrency=concurrency, lease=LEASE)
        context = worker_context(
            line, worker, clock=clock, lease=self.lease, stop=woken, **{"poll_interval": POLL, **options}
        )
        self.tries = 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "time", self.clock)
            self.claimer = Claimer(context, self.slots, self._end_handler)

    def _end_handler(self, attempt: Attempt) -> str:
        self.calls.append(f"ended {attempt.job.id}")
        return "It is ended."

    def _run(self, unit: Callable[[Any], Any], **options: Any) -> Any:
        self.options = options
        for _ in range(self.tries - 1):
            unit("database")
        return unit("database")

    def claim(self, database: Any, queue: str, **how: Any) -> ClaimedBatch:
        assert database == "database"
        self.how = how
        self.clock.now += self.seconds
        self.asked.append(queue)
        ready = self.ready.setdefault(queue, [])
        batch = ClaimedBatch(ready[: how["limit"]])
        del ready[: how["limit"]]
        for name, value in self.answers.get(queue, {}).items():
            setattr(batch, name, value)
        return batch

    def look(self, database: Any, queues: Any, *, before: datetime) -> list[str]:
        assert (database, queues, before) == ("database", self.claimer.worker.queues, NOW)
        self.clock.now += self.seconds
        self.asked.append("look")
        return [queue for queue in queues if self.ready.get(queue)]

    def fill(self, queue: str, names: str, seconds: float | None = SLOW, payload: str = "") -> None:
        self.ready.setdefault(queue, []).extend(
            claimed(name)._replace(queue_name=queue, payload=payload) for name in names
        )
        if seconds is not None:
            self.slots.seconds[queue] = seconds

    def fetch(self) -> tuple[bool, list[Any]]:
        """What a call returns, and what it asked."""
        self.asked.clear()
        return self.claimer.fetch(), [*self.asked]

    def taken(self) -> str:
        """The names of the jobs that it has claimed, which now run elsewhere."""
        return "".join(job.id for job in self.slots.withdraw())


Make = Callable[..., Claiming]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes what is claimed from; the last one answers."""

    def make_one(*queues: str, **options: Any) -> Claiming:
        made = Claiming(*queues, **options)
        monkeypatch.setattr(module, "time", made.clock)
        monkeypatch.setattr(claim, "claim", made.claim)
        monkeypatch.setattr(claim, "with_jobs", made.look)
        return made

    def uniform(least: float, most: float) -> float:
        assert (least, most) == (0.8, 1.2)
        return 1.0

    monkeypatch.setattr(module, "random", SimpleNamespace(uniform=uniform, random=lambda: 0.5))
    return make_one


# When it looks.


def test_a_worker_looks_once_a_poll_interval_and_at_once_when_outcomes_are_written(make: Make) -> None:
    made = make()
    assert made.fetch() == (False, ["work"])
    assert made.claimer.pause == POLL
    made.clock.now += POLL - 1
    assert (made.fetch(), made.claimer.pause) == ((False, []), 1.0)
    made.clock.now += 1
    assert made.claimer.pause == 0.0
    assert made.fetch() == (False, ["work"])
    made.clock.now += 2 * POLL
    assert made.claimer.pause == 0.0
    assert made.fetch() == (False, ["work"])
    made.claimer.outcomes_written()
    assert made.calls == ["woken"]
    assert [made.fetch() for _ in range(2)] == [(False, ["work"]), (False, [])]
    made.claimer.poll_now()
    assert [made.fetch() for _ in range(2)] == [(False, ["work"]), (False, [])]


def test_a_worker_that_heard_of_a_job_looks_for_it_again_and_again_for_a_moment(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EAGER_SECONDS", 0.25)
    monkeypatch.setattr(module, "EAGER_PAUSE", 0.0625)
    made = make("work", "other")
    made.fetch()
    made.clock.now += 1
    began, looks = made.clock.now, list[Any]()
    made.claimer.notify("other")
    assert made.calls == ["woken"]
    for _ in range(64):
        looks += [(made.clock.now - began, what) for what in made.fetch()[1]]
        made.clock.now += 1 / 64
    assert looks == [(0.0, "other"), (0.0625, "other"), (0.125, "other"), (0.1875, "other"), (0.25, "look")]
    assert made.claimer.pause == began - 1 + POLL - made.clock.now


@each_row(
    ("seconds", "is_alone", "pause"),
    [(0.0, False, POLL), (1.0, False, POLL), (4.0, False, LOOK_SHARE * 4.0), (4.0, True, POLL - 4.0)],
)
def test_a_long_look_at_all_queues_is_followed_by_a_longer_pause(seconds: float, is_alone: bool, pause: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        made = Claiming("work", "other", is_alone=is_alone)
        made.seconds = seconds
        patch.setattr(module, "time", made.clock)
        patch.setattr(module, "random", SimpleNamespace(uniform=lambda *_: 1.0))
        patch.setattr(claim, "with_jobs", made.look)
        assert made.fetch() == (False, ["look"])
        assert made.claimer.pause == (pause if seconds != 1.0 else POLL - 1.0)
        made.clock.now += made.claimer.pause
        assert made.fetch() == (False, ["look"])


def test_a_worker_that_heard_of_some_queue_looks_at_all_as_soon_as_it_may(make: Make) -> None:
    made = make("work", "other")
    made.seconds = 1.0
    made.fetch()
    made.seconds = 0.0
    until = made.claimer._poll_not_before
    assert until == made.clock.now + LOOK_SHARE
    made.claimer.notify()
    assert made.fetch() == (False, [])
    made.clock.now += 1  # it no longer looks eagerly
    assert made.fetch() == (False, [])
    made.clock.now = until
    assert made.fetch() == (False, ["look"])


def test_queues_of_which_a_worker_heard_come_first_and_those_with_jobs_keep_their_places(make: Make) -> None:
    made = make("a", "b", "c", "d")
    for queue in "abc":
        made.fill(queue, queue.upper() * 2)
    made.fetch()
    assert made.taken() == "AA"
    assert list(made.claimer._due) == ["b", "c", "a"]
    made.claimer.notify("d")
    made.fill("d", "D")
    assert made.fetch() == (True, ["d", "b"])
    assert made.taken() == "DB"
    made.clock.now += 1
    assert made.fetch() == (True, ["c"]), "those of which it knows have more jobs than it wants"


def test_a_worker_that_is_busy_with_a_queue_looks_at_the_others_once_a_poll_interval(make: Make) -> None:
    made = make("a", "b")
    made.fill("a", "A" * 20)
    seen = [made.fetch()[1]]
    for wait in (1.0, POLL - 1.0, 1.0):
        made.taken()
        made.clock.now += wait
        seen.append(made.fetch()[1])
    assert seen == [["look", "a"], ["a"], ["look", "a"], ["a"]]


def test_a_worker_whose_slots_are_taken_gives_the_next_free_one_to_a_queue_of_which_it_knows_nothing(
    make: Make,
) -> None:
    made = make("a", "b", concurrency=1)
    made.fill("a", "A" * 9, 0.0001)
    made.fill("b", "B", None)
    made.claimer._due.update({"b": None, "a": None})
    running = Attempt(claimed("r"), made.slots._lock)
    made.slots._running.add(running)
    assert made.fetch() == (True, ["look"])
    assert (made.claimer.full, made.claimer.pause) == (True, 0.0)
    assert made.fetch() == (True, []), "it claims nothing ahead"
    made.slots._running.clear()
    assert made.fetch() == (True, ["b"])
    assert made.taken() == "B"
    assert made.fetch() == (True, ["a"]), "and then as before"
    assert made.taken() == "A" * 9


# How many it wants.


@each_row(
    ("state", "wanted"),
    [
        ({}, 2 + MOST_PREFETCHED),
        ({"postponed": MOST_POSTPONED - 1}, 2 + MOST_PREFETCHED),
        ({"postponed": MOST_POSTPONED}, 0),
        ({"unwritten": MOST_UNWRITTEN - 1}, 2 + MOST_PREFETCHED),
        ({"unwritten": MOST_UNWRITTEN}, 0),
        ({"is_clogged": True}, 0),
        ({"longest": 0.1, "running": 1}, 1 + MOST_PREFETCHED),
        ({"longest": 0.2, "running": 1}, 3),
        ({"longest": 0.3, "running": 1}, 2),
        ({"longest": 9.0, "running": 1}, 1),
        ({"longest": 0.25, "running": 1, "concurrency": 10_000}, 9_999 + MOST_PREFETCHED),
        ({"running": 2, "waiting": MOST_PREFETCHED // 2 - 1}, MOST_PREFETCHED // 2 + 1),
        ({"running": 2, "waiting": MOST_PREFETCHED // 2}, 0),
        ({"running": 1, "waiting": MOST_PREFETCHED // 2 + 2}, 0),
        ({"waiting": 1, "bytes": MOST_AHEAD_BYTES // 2}, 1 + MOST_PREFETCHED),
        ({"waiting": 1, "bytes": MOST_AHEAD_BYTES // 2 + 1}, 1),
        ({"waiting": 1, "seconds": 0.2}, 1 + MOST_PREFETCHED),
        ({"waiting": 1, "seconds": 0.201}, 1),
        ({"waiting": 0, "seconds": 0.201}, 2 + MOST_PREFETCHED),
        ({"awaits": True}, 2),
        ({"gave_back": 1.0}, 2),
        ({"gave_back": 0.0}, 2 + MOST_PREFETCHED),
        ({"max_jobs": 7, "claimed": 4}, 3),
        ({"max_jobs": 7, "claimed": 4, "awaits": True}, 2),
    ],
)
def test_a_worker_wants_jobs_for_its_free_slots_and_as_many_ahead_as_take_a_moment(
    state: dict[str, Any], wanted: int
) -> None:
    slots = SimpleNamespace(
        outcomes=SimpleNamespace(
            postponed=state.get("postponed", 0),
            unwritten=state.get("unwritten", 0),
            is_clogged=state.get("is_clogged", False),
        ),
        running=state.get("running", 0),
        waiting=state.get("waiting", 0),
        longest=lambda: state.get("longest", 0.0),
        ahead=lambda: Ahead(state.get("bytes", 0), state.get("seconds", 0.0)),
    )
    made = Claiming(slots=slots, concurrency=state.get("concurrency", 2), max_jobs=state.get("max_jobs"))
    claimer = made.claimer
    claimer._claimed, claimer._awaits_slot = state.get("claimed", 0), state.get("awaits", False)
    claimer._no_prefetch_until = made.clock.now + state.get("gave_back", 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", made.clock)
        assert claimer._wanted() == wanted


def test_a_worker_without_a_lease_or_that_has_claimed_its_share_claims_nothing(make: Make) -> None:
    assert not make().claimer.done
    made = make(max_jobs=2)
    made.fill("work", "abc")
    made.lease.is_held = lambda _: False
    assert made.fetch() == (True, [])
    assert made.claimer.full
    made.lease.is_held = lambda _: True
    assert made.fetch() == (True, ["work"])
    assert (made.taken(), made.claimer.done) == ("ab", True)
    assert made.fetch() == (False, [])
    assert made.claimer.full
    made.claimer.give_back([])
    assert made.claimer.done


@each_row(
    ("most", "free", "room", "seconds", "limit"),
    [
        (500, 2, 1000, 100.0, 12),
        (9, 2, 1000, 100.0, 9),
        (500, 2, 1000, 0.25, 4),
        (500, 2, 0, 100.0, 2),
        (500, 2, -1000, -5.0, 2),
        (1, 2, -1000, -5.0, 1),
    ],
)
def test_a_claim_is_limited_by_the_bytes_and_the_seconds_that_jobs_ahead_take(
    most: int, free: int, room: int, seconds: float, limit: int
) -> None:
    made = Claiming()
    made.slots.seconds["work"] = 0.125
    made.claimer._sizes["work"] = 100.0
    assert made.claimer._limit("work", most, free, room, seconds) == limit
    made.claimer._limited.add("work")
    assert made.claimer._limit("work", most, free, room, seconds) == min(most, free)
    # Payloads without a byte, and jobs without a second, count a little.
    made.claimer._limited.clear()
    made.slots.seconds["work"] = made.claimer._sizes["work"] = 0.0
    assert made.claimer._limit("work", 10**9, 0, 1000, 100.0) == 1000
    assert made.claimer._limit("work", 10**9, 0, 10**12, 1.0) == 10**6


# What it asks, and of which queue next.


def test_a_claim_says_what_the_worker_may_and_which_jobs_are_its_own(make: Make) -> None:
    made = make(concurrency=3)
    made.fill("work", "a")
    made.slots.put([claimed("z")])
    made.slots.seconds["queue"] = SLOW
    made.fetch()
    assert made.how == {
        "worker": WORKER.id,
        "now": NOW,
        "limit": 2,
        "slots": 2,
        "room": MOST_AHEAD_BYTES,
        "priority": None,
        "spawning": False,
        "lease": 300.0,
        "behind": True,
        "left_webhooks": (),
    }
    assert made.claimer._compare_at == LEASE / 2
    made.tries = 2
    made.claimer.poll_now()
    made.fetch()
    assert made.claimer._compare_at <= 0, "the first try may have claimed jobs of which it does not know"


def test_a_worker_that_may_look_at_jobs_behind_others_does_so_at_intervals(make: Make) -> None:
    made = make()
    made.fill("work", "")
    made.answers["work"] = {"no_room": NoRoom(0.0, 0.5), "is_limited": True}
    made.fetch()
    made.answers["work"]["no_room"] = NoRoom(0.0)
    seen = []
    for _ in range(6):
        made.clock.now += 1
        made.fetch()
        seen.append(made.how["behind"])
    assert seen == [False, False, False, False, True, True]


def test_a_worker_that_leaves_deliveries_to_others_does_not_read_them_all_the_time(make: Make) -> None:
    made = make(left_webhooks=lambda: ["w"], poll_interval=0.1)
    made.seconds = 0.5
    made.fetch()
    assert made.how["left_webhooks"] == ["w"]
    assert made.claimer.pause == 0.5 * LOOK_SHARE


def test_a_queue_without_room_is_left_alone_until_its_limit_leaves_some_or_one_of_its_jobs_has_ended(
    make: Make,
) -> None:
    made = make(concurrency=4)
    made.fill("work", "ab")
    made.answers["work"] = {"no_room": NoRoom(3.0), "is_limited": True}
    assert made.fetch() == (True, ["work"])
    assert made.claimer.pause == 0.0, "a limit that was not known is asked again with its jobs counted"
    assert made.fetch() == (False, ["work"])
    assert made.claimer.pause == 3.0
    made.clock.now += 2
    assert made.fetch() == (False, [])
    made.clock.now += 1
    assert made.fetch() == (False, ["work"])
    made.slots.withdraw()
    assert made.fetch() == (False, ["work"]), "its jobs have ended"
    made.answers["work"] = {"no_room": NoRoom(None), "is_limited": True}
    made.clock.now += 3
    assert made.fetch() == (False, ["work"])
    assert made.claimer.pause == POLL, "somebody may change the limit"
    made.answers["work"] = {"is_limited": True}
    made.fill("work", "cdefghi", 0.001)
    made.clock.now += POLL
    assert made.fetch() == (True, ["work"])
    assert made.taken() == "cdef", "none ahead"
    made.answers["work"] = {}
    assert made.fetch() == (True, ["work"])
    assert made.taken() == "ghi"
    assert made.claimer._limited == set()


def test_a_queue_that_was_left_alone_is_asked_again_without_a_look_at_all_queues(make: Make) -> None:
    made = make("a", "b")
    made.claimer._due["a"] = None
    made.claimer._poll_at = made.clock.now + POLL
    made.claimer._limited.add("a")
    made.answers["a"] = {"no_room": NoRoom(3.0), "is_limited": True}
    assert made.fetch() == (False, ["a"])
    assert made.claimer.pause == 3.0
    made.clock.now += 3
    assert made.fetch() == (False, ["a"])


def test_an_empty_queue_does_not_say_whether_it_has_a_limit(make: Make) -> None:
    made = make()
    made.claimer._limited.add("work")
    made.fetch()
    assert made.claimer._limited == {"work"}


def test_a_worker_runs_no_more_jobs_of_a_queue_than_it_may(make: Make) -> None:
    made = make("work", "other", concurrency=5, most_of={"work": 2})
    made.fill("work", "abcd", 0.0001)
    assert made.fetch() == (True, ["look", "work"])
    assert made.slots.waiting == 2
    assert made.fetch() == (False, [])
    assert made.claimer.pause == POLL
    made.fill("other", "z")
    made.clock.now += POLL
    assert made.fetch() == (True, ["look", "other"])
    assert made.taken() == "abz"
    made.fetch()
    assert made.taken() == "cd", "as soon as its jobs have ended"


def test_payloads_that_are_claimed_together_leave_less_room_for_others(make: Make) -> None:
    made = make("a", "b", concurrency=2)
    size = MOST_AHEAD_BYTES // 4
    made.fill("a", "A", 0.001, "x" * size)
    made.fill("b", "B", 0.001)
    made.fetch()
    assert made.how["room"] == MOST_AHEAD_BYTES - size
    assert made.how["slots"] == 1


def test_jobs_that_a_claim_left_since_they_were_too_large_are_asked_for_again(make: Make) -> None:
    made = make()
    made.fill("work", "a")
    made.answers["work"] = {"is_cut": True}
    assert made.fetch() == (True, ["work"])
    assert made.claimer.pause == 0.0
    made.answers.clear()
    assert made.fetch() == (False, ["work"])
    assert made.claimer.pause > 0


def test_by_weight_each_priority_is_asked_for_and_then_all(make: Make) -> None:
    made = make(weighted=True, concurrency=4)
    made.fill("work", "")
    wanted: list[int | None] = []
    real = made.claim

    def claim_one(*arguments: Any, **how: Any) -> ClaimedBatch:
        wanted.append(how["priority"])
        return real(*arguments, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claim, "claim", claim_one)
        made.fetch()
    order = [priority.value for priority in sorted(JobPriority, reverse=True)]
    assert wanted == [*order, None]
    assert list(priorities(weighted=True)) == [*order, None], "with the same luck, the heaviest comes first"
    assert list(priorities(weighted=False)) == [None]


def test_claims_from_many_queues_leave_time_for_outcomes(make: Make) -> None:
    made = make(*"abcd", concurrency=9)
    made.seconds = 0.0625
    for queue in "abcd":
        made.fill(queue, queue.upper())
    assert made.fetch() == (True, ["look", "a", "b"])
    assert made.claimer.pause == 0.0
    assert made.fetch() == (True, ["c", "d"])
    assert made.claimer.pause > 0, "the last of them came when the time was up"
    assert made.taken() == "ABCD"


# What it gives back, and what others took.


@each_row(
    ("state", "compares"),
    [({}, False), ({"due": True}, True), ({"suspects": True}, True), ({"is_doubted": True}, True)],
)
def test_a_worker_compares_its_jobs_twice_a_lease_and_when_it_suspects_a_loss(
    state: dict[str, Any], compares: bool
) -> None:
    made = Claiming()
    made.clock.now += LEASE / 2 if "due" in state else LEASE / 2 - 1
    made.lease.is_doubted = state.get("is_doubted", False)
    if "suspects" in state:
        made.claimer.jobs_taken()
        assert made.calls == ["woken"]
    asked: list[Any] = []

    def compare(*arguments: Any) -> Compared:
        asked.append(arguments)
        return Compared(0, 0, frozenset())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", made.clock)
        patch.setattr(finish, "compare", compare)
        made.slots.put([claimed("a")])
        made.claimer.compare()
        assert asked == [("database", WORKER.id, {Owned("a", "token")})] * compares
        made.lease.is_doubted = False
        made.claimer.compare()
        assert len(asked) == compares
        if compares:
            assert made.claimer._compare_at == made.clock.now + LEASE / 2
    assert made.slots.outcomes.writing.acquire(blocking=False)


def test_jobs_that_a_comparison_finds_are_logged_and_no_longer_count(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = make(max_jobs=3)
    made.fill("work", "ab")
    made.fetch()
    running = Attempt(claimed("r"), made.slots._lock)
    made.slots._running.add(running)
    went_on: list[bool] = []
    monkeypatch.setattr(made.slots, "go_on", lambda: went_on.append(True))
    found = Compared(2, 1, frozenset({Owned("a", "token"), Owned("r", "token")}))
    monkeypatch.setattr(finish, "compare", lambda *_: found)
    monkeypatch.setattr(made.claimer, "_end", lambda attempts: made.calls.extend(one.job.id for one in attempts))
    made.lease.doubts = 5
    made.lease.is_doubted = True
    made.claimer._look_at = made.clock.now + 9
    made.claimer.compare()
    assert caplog.messages == [
        "Gave back 2 jobs that this worker did not know, although the database had assigned it.",
        "Other workers rescued 1 job that had not started here.",
    ]
    assert (made.claimer.owes, made.claimer.pause, made.claimer._claimed, made.calls) == (True, 0.0, 1, ["r"])
    assert made.claimer._compare_at == made.clock.now + POLL, "what others had locked is looked at soon"
    assert (made.lease.compared, went_on) == (5, [True])
    caplog.clear()
    made.claimer._look_at = made.clock.now + 9
    found = Compared(0, 0, frozenset())
    made.claimer.compare()
    assert (caplog.messages, made.claimer.owes, made.claimer.pause, made.claimer._claimed) == ([], False, 9.0, 1)
    assert (made.calls, went_on) == (["r"], [True])


@each_row(("given", "owes", "compare_in"), [(2, False, LEASE / 2), (1, True, POLL)])
def test_jobs_that_a_worker_gave_back_although_others_had_locked_some_are_compared_soon(
    given: int, owes: bool, compare_in: float
) -> None:
    made = Claiming()
    made.claimer._claimed = 5
    asked: list[Any] = []
    jobs = [claimed("a"), claimed("b")]

    def give_back(*arguments: Any) -> int:
        assert made.claimer.owes
        asked.append(arguments)
        return given

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", made.clock)
        patch.setattr(finish, "give_back", give_back)
        made.claimer.give_back([])
        assert asked == []
        made.claimer.give_back(jobs)
    assert asked == [("database", jobs)]
    assert (made.claimer.owes, made.claimer._claimed) == (owes, 3)
    assert made.claimer._compare_at == made.clock.now + compare_in
    assert made.claimer._no_prefetch_until == made.clock.now + POLL


@each_row("away", [False, True])
def test_a_handler_whose_job_was_taken_is_ended_and_the_log_says_what_became_of_the_job(
    away: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    made = Claiming()
    made.tries = 1

    def record(database: Any, jobs: Any, now: datetime) -> dict[str, tuple[str, str]]:
        assert ([job.id for job in jobs], now) == (["a", "b"], NOW)
        if away:
            raise UnreachableError("Away.")
        return {"b": ("Cancelled", "Cancelled by me.")}

    def run(unit: Callable[[Any], Any], *, patience: float) -> Any:
        assert patience == 0
        return unit(SimpleNamespace(transaction=lambda work: work()))

    made.claimer._connections.run = run  # type: ignore[method-assign,assignment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "record_taken", record)
        made.claimer._end([Attempt(claimed(name), made.slots._lock) for name in "ab"])
    assert made.calls == ["ended a", "ended b"]
    second = "it was deleted" if away else "it was Cancelled by me"
    assert caplog.messages == [
        "The job was taken from this worker while it ran: it was deleted. It is ended.",
        f"The job was taken from this worker while it ran: {second}. It is ended.",
    ]
