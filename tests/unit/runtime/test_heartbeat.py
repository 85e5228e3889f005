"""A heartbeat, without a database: what it makes of the answer."""

import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli.database import Timeouts
from hammerwork_cli.errors import NotFoundError, UnreachableError
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.queries.registry import HeartbeatAnswer
from hammerwork_cli.runtime.clock import elapsed
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.outages import Outages
from hammerwork_cli.runtime.worker import heartbeat
from hammerwork_cli.runtime.worker.heartbeat import HeartbeatThread, heartbeat_timeouts
from hammerwork_cli.runtime.worker.turns import Turn
from tests.conftest import each_row
from tests.unit.runtime.test_slots import claimed, requested
from tests.unit.runtime.test_worker_threads import Line
from tests.worker_context import WORKER, worker_context

NOW = datetime(2026, 12, 1, tzinfo=UTC)


class Beating:
    """A heartbeat whose answers a test gives.

    Attributes:
        calls: of the worker's other parts.
    """

    def __init__(self, **options: Any) -> None:
        self.calls: list[Any] = []
        self.attempts: list[Attempt] = []
        self.answer: Any = HeartbeatAnswer(None, False, NOW)
        line: Any = SimpleNamespace(
            stopped_at_once=threading.Event(),
            outages=Outages(),
            run=self._run,
            read_tables_anew=lambda: self.calls.append("tables"),
        )
        self.is_moved = False
        clock: Any = SimpleNamespace(set=lambda _: self.is_moved, is_behind=False, now=lambda: NOW)
        self.clock = clock
        lease: Any = SimpleNamespace(seconds=60.0, renew=lambda *_, was_lost: self.calls.append(f"renewed {was_lost}"))
        self.thread = HeartbeatThread(
            worker_context(line, lease=lease, clock=clock),
            report=lambda: "report",  # type: ignore[arg-type,return-value]
            under_way=lambda: [one for one in self.attempts if one.is_under_way],
            on_renewed=lambda: self.calls.append("heartbeat"),
            on_taken=lambda: self.calls.append("taken"),
            **options,
        )

    def _run(self, unit: Any, *, patience: float) -> Any:
        assert patience == 0, "the next one comes soon enough"
        database: Any = "database"
        return unit(database)

    def send(self, **answer: Any) -> list[Any]:
        """What was called."""
        self.calls.clear()
        self.answer = self.answer._replace(**answer)
        self.thread._send(elapsed())
        return [*self.calls]


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> Beating:
    made = Beating(on_nodes=True)
    monkeypatch.setattr(registry, "record_heartbeat", lambda *_: made.answer)
    monkeypatch.setattr(registry, "take_reports", lambda *_: [])
    return made


def test_a_heartbeat_waits_for_no_answer_so_long_that_there_is_no_time_for_another_one() -> None:
    assert heartbeat_timeouts(60.0) == Timeouts(connect=20.0, lock=10.0, statement=15.0, network=20.0)
    assert heartbeat_timeouts(2.0) == Timeouts(connect=1.0, lock=1.0, statement=1.0, network=1.0)


def test_a_worker_hears_that_a_running_job_is_no_longer_its_own(beating: Beating) -> None:
    assert beating.send() == ["renewed False", "heartbeat"]
    beating.attempts = [Attempt(claimed(name), threading.RLock()) for name in "ab"]
    assert beating.send(owned=2) == ["renewed False", "heartbeat"]
    assert beating.send(owned=1) == ["renewed False", "heartbeat", "taken"]


def test_a_job_that_ended_while_its_heartbeat_was_under_way_is_not_missed(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (Attempt(claimed(name), threading.RLock()) for name in "ab")
    beating.attempts = [one, two]

    def record(*_: Any) -> Any:
        one.over = True
        return beating.answer

    monkeypatch.setattr(registry, "record_heartbeat", record)
    assert beating.send(owned=1) == ["renewed False", "heartbeat"]


def test_an_attempt_is_under_way_until_somebody_decides_it_and_one_at_a_request_never_is() -> None:
    lock = threading.RLock()
    runs, over, writes, request = (
        Attempt(work, lock) for work in (claimed("a"), claimed("b"), claimed("c"), requested("d"))
    )
    over.over = True
    assert writes.decide()
    assert not over.decide()
    assert [one.is_under_way for one in (runs, over, writes, request)] == [True, False, False, False]


def test_a_worker_inspects_its_tables_again_when_they_were_migrated(
    beating: Beating, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hammerwork")
    seen = [beating.send(migrations=number).count("tables") for number in (7, 7, 8, 8, 9)]
    assert seen == [0, 0, 1, 0, 1]
    assert len(caplog.messages) == 2


def test_a_worker_says_that_it_is_back_and_that_its_clock_is_behind_once(
    beating: Beating, caplog: pytest.LogCaptureFixture
) -> None:
    assert beating.send(was_lost=True) == ["renewed True", "heartbeat"]
    assert caplog.messages == ["Other workers treated this worker as lost and rescued its jobs. It is back."]
    caplog.clear()
    beating.send(was_lost=False)
    for is_behind in (True, True, False, True):
        beating.clock.is_behind = is_behind
        beating.send()
    assert [message[:61] for message in caplog.messages] == [
        "The clock shows 2026-12-01 00:00:00 UTC, which is in the past"
    ] * 2


@each_row(("is_moved", "failures", "looks"), [(False, 0, False), (True, 0, True), (False, 1, True)])
def test_leases_of_jobs_are_looked_at_when_a_clock_was_moved_or_after_a_failure(
    is_moved: bool, failures: int, looks: bool
) -> None:
    seen: list[Any] = []
    made = Beating()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "record_heartbeat", lambda *_: made.answer)
        patch.setattr(registry, "renew_leases", lambda *arguments: seen.append(arguments))
        patch.setattr(heartbeat, "elapsed", lambda: 0.5)  # as on a machine that has just started
        made.send()
        made.thread._renew()
        assert seen == [("database", WORKER.id, 300.0)]
        made.is_moved, made.thread.failures = is_moved, failures
        made.send()
        made.thread._renew()
    assert (len(seen) == 2) == looks


def test_a_report_of_a_handler_on_a_node_belongs_to_the_attempt_that_runs(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = [Attempt(claimed(name)._replace(attempts=2), threading.RLock()) for name in "ab"]
    reports = [JobProgress(name, "queue", number, 0.5, "half", "") for name, number in (("a", 2), ("b", 1))]
    asked: list[Any] = []
    monkeypatch.setattr(registry, "take_reports", lambda *arguments: asked.append(arguments) or reports)  # type: ignore[func-returns-value]
    beating.attempts = attempts
    beating.send(owned=2)
    assert [attempt.progress for attempt in attempts] == [reports[0], None]
    ((database, worker, jobs),) = asked
    assert (database, worker, {*jobs}) == ("database", WORKER.id, {*"ab"})


def test_a_worker_without_nodes_asks_for_none_of_their_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Beating()
    monkeypatch.setattr(registry, "record_heartbeat", lambda *_: made.answer)
    monkeypatch.setattr(registry, "take_reports", lambda *_: pytest.fail("there are none"))
    assert made.send() == ["renewed False", "heartbeat"]


def test_a_worker_whose_row_is_gone_registers_and_counts_as_lost(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Any] = []

    def record(database: Any, worker: str, report: Any, jobs: Any) -> Any:
        if not rows:
            raise NotFoundError("There is no such worker.")
        assert (database, worker, report, jobs) == ("database", WORKER.id, "report", [])
        return beating.answer

    monkeypatch.setattr(registry, "record_heartbeat", record)
    monkeypatch.setattr(registry, "register", lambda _, worker: rows.append(worker))
    assert beating.send() == ["renewed True", "heartbeat"]
    assert rows == [WORKER]


def test_no_lease_of_a_job_is_renewed_after_a_heartbeat_that_failed(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise UnreachableError("Away.")

    seen: list[Any] = []
    monkeypatch.setattr(registry, "renew_leases", lambda *_: seen.append("renewed"))
    beating.send()
    monkeypatch.setattr(registry, "record_heartbeat", away)
    with pytest.raises(UnreachableError):
        beating.send()
    beating.thread._renew()
    assert seen == []


def test_after_a_heartbeat_that_failed_the_pause_is_a_second_or_an_interval_if_that_is_shorter() -> None:
    pauses = {}
    for lease in (60.0, 1.2):
        thread = HeartbeatThread(
            worker_context(Line(lambda: None), WORKER._replace(lease=lease)),
            report=lambda: None,  # type: ignore[arg-type,return-value]
            on_renewed=lambda: None,
        )
        thread.turn = Turn.FAILED
        pauses[lease] = [thread.pause() for _ in range(200)]
    assert 0.8 < max(pauses[60.0]) <= 1.0
    assert 0.15 < max(pauses[1.2]) <= 0.2
    assert min(pauses[60.0]) >= 0.1
