"""Rates of the last seconds."""

from datetime import datetime, timedelta
from typing import Any

from hammerwork_cli.features.spawn.queries.rates import LEAST, SPAN, Rates, RecentRate, SharedRate
from hammerwork_cli.features.worker.models.worker import RegisteredWorker
from tests.rows import START


def test_a_few_moments_have_no_rate() -> None:
    rate = RecentRate()
    rate.add(0, 0)
    rate.add(LEAST / 2, 100)
    assert rate.per_second is None
    rate.add(LEAST, 100)
    assert rate.per_second == 100 / LEAST


def test_a_rate_forgets_what_is_long_ago() -> None:
    rate = RecentRate()
    for second in range(0, 1000, 2):
        rate.add(second, min(second, 900))
    assert rate.per_second == 0
    rate.add(1000, 930)
    assert 0 < (rate.per_second or 0) <= 30 / SPAN


def test_a_total_that_falls_starts_anew() -> None:
    rate = RecentRate()
    rate.add(0, 50)
    rate.add(10, 60)
    rate.add(11, 40)
    assert rate.per_second is None
    rate.add(21, 60)
    assert rate.per_second == 2


def test_counters_that_come_and_go_make_no_failures_of_their_own() -> None:
    rate = SharedRate()
    rate.add(0, {"a": 100})
    rate.add(5, {"a": 110, "b": 7_000})
    rate.add(10, {"b": 7_010})
    assert rate.per_second == 2
    rate.add(20, {"b": 0})
    assert rate.per_second == 1


def test_each_name_has_its_own_rate() -> None:
    rates = Rates()
    rates.add(0, [("a", 0), ("b", 0)])
    rates.add(10, [("a", 10)])
    assert (rates.of("a"), rates.of("b"), rates.of("c")) == (1, None, None)


def worker(
    started: float, heartbeat: float, silent: float, ended: float | None = None, **fields: Any
) -> RegisteredWorker:
    def at(seconds: float) -> datetime:
        return START + timedelta(seconds=seconds)

    bare = RegisteredWorker(*[None] * len(RegisteredWorker._fields))._replace(
        lease=30.0, stored_state="running", completed=30, failed=0
    )
    end = None if ended is None else at(ended)
    return bare._replace(started_at=at(started), heartbeat_at=at(heartbeat), ended_at=end, silent_for=silent, **fields)


def test_a_worker_is_up_until_now_and_has_a_rate_only_after_some_seconds() -> None:
    fresh = worker(0, 0.008, silent=2.1)
    assert (fresh.up_time, fresh.rate) == (timedelta(seconds=2.108), None)
    assert worker(0, 20, silent=2).rate == 90
    assert worker(0, 20, silent=2).up_time == timedelta(seconds=22)


def test_a_worker_that_fell_silent_or_stopped_was_up_until_then() -> None:
    assert worker(0, 20, silent=90).up_time == timedelta(seconds=20)
    assert worker(0, 20, silent=90, ended=25, stored_state="stopped").up_time == timedelta(seconds=25)
