"""What a worker does for others, without a database: when it looks, and whom it wakes."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli.errors import RefusedValueError, RetryableError
from hammerwork_cli.features.spawn.queries.doctor import FixedJobs
from hammerwork_cli.features.worker.queries import duties, registry, rescue
from hammerwork_cli.features.worker.queries.registry import Heartbeat
from hammerwork_cli.runtime.worker import keeper as module
from hammerwork_cli.runtime.worker.keeper import BETWEEN_LOOKS, IDLE_SWEEP, Keeper
from tests.conftest import each_row
from tests.unit.runtime.test_worker_threads import Line, away
from tests.worker_context import WORKER, Clock, worker_context

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(1000.0)
    monkeypatch.setattr(module, "time", made)
    return made


def keeper(calls: list[Any], trusted: datetime | None = NOW, **options: Any) -> Keeper:
    clock: Any = SimpleNamespace(trusted_now=lambda: trusted, now=lambda: NOW)
    context = worker_context(Line(away), clock=clock, **options)
    return Keeper(context, claim_requests=lambda _: None, wake=lambda: calls.append("wake"))


ABANDONED = "Rescued 1 job of hammerwork (Rust) whose lease was over"
AN_HOUR = 3600.0
LOOKS_FOR_LONG = ("doctor", NOW - timedelta(hours=1))


@each_row(
    ("option", "state", "calls", "message"),
    [
        (None, {}, [], None),
        (None, {"rust": True}, ["due?", "put back", "abandoned?", ("doctor", None), "wake"], f"{ABANDONED}."),
        (None, {"rust": True, "abandoned": False}, ["due?", "put back", "abandoned?"], None),
        (None, {"rust": True, "rescued": 0}, ["due?", "put back", "abandoned?", ("doctor", None)], None),
        (None, {"rust": True, "due": False}, ["due?"], None),
        (None, {"rust": True, "trusted": None}, [], None),
        (
            AN_HOUR,
            {},
            ["due?", LOOKS_FOR_LONG, "wake"],
            f"{ABANDONED}, or that had been Running for longer than 1:00:00.",
        ),
        (AN_HOUR, {"rust": True, "abandoned": False, "rescued": 0}, ["due?", "put back", LOOKS_FOR_LONG], None),
        (AN_HOUR, {"trusted": None}, [], None),
        (AN_HOUR, {"due": False}, ["due?"], None),
    ],
)
def test_one_worker_a_minute_looks_for_jobs_of_rust_workers_that_are_gone(
    option: float | None,
    state: dict[str, Any],
    calls: list[Any],
    message: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.clear()
    made: list[Any] = []
    clock = Clock(1000.0)
    database: Any = SimpleNamespace(tags={"rust_3"} if "rust" in state else set())

    def doctor(_: Any, *, now: datetime, lost_before: datetime | None) -> Any:
        made.append(("doctor", lost_before))
        assert now == NOW
        return SimpleNamespace(rescue=lambda: state.get("rescued", 1))

    def take_due(_: Any, name: str, worker: str, due: Any, *, now: datetime, length: timedelta) -> bool:
        made.append("due?")
        assert (name, worker, due) == ("leases" if option is None else "rescue", WORKER.id, {"times": NOW})
        assert (now, length) == (NOW, BETWEEN_LOOKS)
        return bool(state.get("due", True))

    def put_back(_: Any, now: datetime) -> None:
        assert now == NOW
        made.append("put back")

    def abandoned(_: Any, now: datetime) -> bool:
        assert now == NOW
        made.append("abandoned?")
        return bool(state.get("abandoned", True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        patch.setattr(module, "Doctor", doctor)
        patch.setattr(duties, "times", lambda _: {"times": NOW})
        patch.setattr(duties, "take_due", take_due)
        patch.setattr(rescue, "put_leases_back", put_back)
        patch.setattr(rescue, "some_abandoned", abandoned)
        keeping = keeper(made, state.get("trusted", NOW), rescue_older_than=option)
        keeping._rescue_from_rust(database)
        assert (made, caplog.messages) == (calls, [message] if message else [])
        # The next look is a minute later.
        clock.now += BETWEEN_LOOKS.total_seconds() - 1
        keeping._rescue_from_rust(database)
        assert made == calls
        clock.now += 1
        keeping._rescue_from_rust(database)
        assert made == calls * 2


@each_row(("counts", "wakes"), [((1, 0), True), ((0, 1), True), ((0, 0), False), (None, False)])
def test_a_keeper_wakes_its_worker_for_jobs_that_it_rescued(counts: tuple[int, int] | None, wakes: bool) -> None:
    made: list[Any] = []
    keeping, database = keeper(made), Line(away)
    lost = Heartbeat("id", "far", 1, None, 30.0)
    keeping._observer.look([lost], 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "rescue", lambda *arguments: made.append(arguments) or counts)  # type: ignore[func-returns-value]
        keeping._rescue_from(database, lost)  # type: ignore[arg-type]
    assert made == [(database, lost, NOW), *(["wake"] * wakes)]
    assert keeping._observer.undecided == ([] if counts is None else ["id"]), "one that lives is observed anew"


def test_a_lost_worker_whose_jobs_cannot_be_rescued_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Any] = []
    keeping = keeper(made)
    lost = [Heartbeat(name, name, 1, None, 30.0) for name in ("locked", "refused", "fine")]
    errors: dict[str, Exception] = {"locked": RetryableError("A lock."), "refused": RefusedValueError("No such text.")}

    def rescue_from(_: Any, heartbeat: Heartbeat, now: datetime) -> tuple[int, int]:
        made.append((heartbeat.id, now))
        if error := errors.get(heartbeat.id):
            raise error
        return 0, 0

    monkeypatch.setattr(registry, "heartbeats", lambda _: lost[:2])
    monkeypatch.setattr(registry, "ended_with_jobs", lambda _: lost[2:])
    monkeypatch.setattr(registry, "rescue", rescue_from)
    monkeypatch.setattr(keeping._observer, "_is_lost", lambda *_: True)
    database: Any = None
    keeping._rescue(database)
    assert made == [("locked", NOW), ("refused", NOW), ("fine", NOW), "wake"]
    assert keeping.undecided == frozenset(("locked", "refused", "fine"))
    assert caplog.messages == ["The jobs of worker refused cannot be rescued: No such text."]


class Pages:
    """Stands for a doctor who finds this many jobs on each page, and takes this long."""

    def __init__(self, clock: Clock, seconds: float, *fixes: int) -> None:
        self.clock, self.seconds = clock, seconds
        self.fixes = [*fixes]
        self.begun: list[str | None] = []

    def __call__(self, *_: Any, **__: Any) -> "Pages":
        return self

    def fix_waiting_page(self, after: str | None) -> tuple[str | None, FixedJobs]:
        self.begun.append(after)
        self.clock.now += self.seconds
        fixed = FixedJobs(("1",) * self.fixes.pop(0))
        return f"after {len(self.fixes)}" if self.fixes else None, fixed


def test_a_sweep_that_finds_jobs_goes_on_for_an_interval_and_one_that_finds_none_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    database: Any = None
    for fixes, seconds, begun, wakes in (
        ((1, 1, 1, 1, 1), 1.1, [None, "after 4", "after 3"], 3),
        ((0, 0, 0, 0), IDLE_SWEEP * 0.6, [None, "after 3"], 0),
        ((1, 0, 0, 0), IDLE_SWEEP * 1.1, [None, "after 3"], 1),
    ):
        made: list[Any] = []
        keeping, pages = keeper(made), Pages(clock, seconds, *fixes)
        assert keeping.interval == 3.0
        monkeypatch.setattr(module, "Doctor", pages)
        keeping._sweep(database)
        assert (pages.begun, made) == (begun, ["wake"] * wakes)
        keeping._sweep(database)
        assert pages.begun[len(begun)] == f"after {len(fixes) - len(begun)}", "the next one goes on there"


def test_the_next_sweep_is_half_a_lease_later_unless_this_one_found_jobs_on_any_page(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    database: Any = None
    keeping, pages = keeper([]), Pages(clock, 0.0, 1, 0)
    monkeypatch.setattr(module, "Doctor", pages)
    looks = []
    for second in range(1000, 1100):
        clock.now = float(second)
        before = len(pages.begun)
        keeping._sweep(database)
        if len(pages.begun) > before:
            looks.append(second)
            pages.fixes = [0, 0]
    assert looks == [1000, 1001, 1031, 1061, 1091]


def test_a_sweep_ends_with_its_worker(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    keeping, pages = keeper([]), Pages(clock, 0.0, 0, 0)
    monkeypatch.setattr(module, "Doctor", pages)
    keeping.stopped.set()
    database: Any = None
    keeping._sweep(database)
    assert pages.begun == []
