"""How long a failed job waits."""

from datetime import timedelta

import pytest

from hammerwork_cli import Jitter, RetryStrategy
from hammerwork_cli.errors import UsageError
from tests.conftest import each_row

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("strategy", "seconds"),
    [
        (RetryStrategy.fixed(30 * SECOND), [30, 30, 30, 30, 30, 30, 30]),
        (RetryStrategy.linear(10 * SECOND, 5 * SECOND, 40 * SECOND), [15, 20, 25, 30, 35, 40, 40]),
        (RetryStrategy.linear(10 * SECOND, 5 * SECOND), [15, 20, 25, 30, 35, 40, 45]),
        (RetryStrategy.exponential(SECOND, 2.0, 60 * SECOND), [1, 2, 4, 8, 16, 32, 60]),
        (RetryStrategy.fibonacci(2 * SECOND, 25 * SECOND), [2, 2, 4, 6, 10, 16, 25]),
    ],
)
def test_delays_are_those_of_hammerwork_rust(strategy, seconds):
    assert [strategy._delay(attempt).total_seconds() for attempt in range(1, 8)] == seconds


@pytest.mark.parametrize("attempt", [0, -3])
def test_there_is_no_attempt_before_the_first(attempt):
    assert RetryStrategy.exponential(SECOND)._delay(attempt) == SECOND


@pytest.mark.parametrize(
    "strategy",
    [
        RetryStrategy.exponential(SECOND, 10.0),
        RetryStrategy.fibonacci(SECOND),
        RetryStrategy.linear(SECOND, timedelta(days=300_000)),
        RetryStrategy.fixed(timedelta(days=365), jitter=Jitter(factor=1e300)),
        RetryStrategy.fixed(timedelta(days=365), jitter=timedelta.max),
    ],
)
def test_a_delay_never_overflows(strategy):
    assert max(strategy._delay(5000) for _ in range(20)) == timedelta(days=365)


def test_a_delay_is_at_least_a_millisecond():
    assert RetryStrategy.fixed(timedelta(0))._delay(1) == timedelta(milliseconds=1)
    assert RetryStrategy.fixed(timedelta(0), jitter=0.5)._delay(1) == timedelta(milliseconds=1)


def test_jitter_by_time_stays_within_it_and_differs():
    strategy = RetryStrategy.fixed(60 * SECOND, jitter=10 * SECOND)
    delays = {strategy._delay(1).total_seconds() for _ in range(200)}
    assert 50 <= min(delays) <= max(delays) <= 70
    assert len(delays) > 100


def test_jitter_by_share_stays_within_it():
    strategy = RetryStrategy.exponential(SECOND, 2.0, 100 * SECOND, jitter=0.2)
    delays = [strategy._delay(20).total_seconds() for _ in range(200)]
    assert 80 <= min(delays) <= max(delays) <= 120


@pytest.mark.parametrize(
    ("strategy", "stored"),
    [
        (RetryStrategy.fixed(30 * SECOND), {"type": "Fixed", "duration_ms": 30000}),
        (
            RetryStrategy.linear(SECOND, 2 * SECOND),
            {"type": "Linear", "base_ms": 1000, "increment_ms": 2000, "max_delay_ms": None},
        ),
        (
            RetryStrategy.exponential(SECOND, 1.5, 9 * SECOND, jitter=SECOND),
            {
                "type": "Exponential",
                "base_ms": 1000,
                "multiplier": 1.5,
                "max_delay_ms": 9000,
                "jitter": {"type": "Additive", "duration_ms": 1000},
            },
        ),
        (RetryStrategy.fibonacci(SECOND), {"type": "Fibonacci", "base_ms": 1000, "max_delay_ms": None}),
    ],
)
def test_a_strategy_is_stored_in_the_form_of_hammerwork_rust_and_read_back(strategy, stored):
    assert strategy._stored() == stored
    assert RetryStrategy._parse(stored) == strategy


def test_jitter_is_read_back():
    for strategy in (
        RetryStrategy.fixed(SECOND, jitter=Jitter(factor=0.1)),
        RetryStrategy.fibonacci(SECOND, jitter=SECOND),
    ):
        assert RetryStrategy._parse(strategy._stored()) == strategy


@each_row(
    "stored",
    [
        None,
        "",
        "[]",
        "{",
        '{"type": "Custom"}',
        {"type": "Fixed"},
        {"type": "Fixed", "duration_ms": "soon"},
        {"type": "Fixed", "duration_ms": 10**30},
        {"type": "Exponential", "base_ms": 1, "multiplier": None},
        {"type": "Exponential", "base_ms": 1, "multiplier": 2, "jitter": 7},
        '{"type": "Exponential", "base_ms": 1, "multiplier": NaN}',
        '{"type": "Exponential", "base_ms": 1, "multiplier": Infinity}',
        '{"type": "Exponential", "base_ms": 1, "multiplier": -1}',
        '{"type": "Fixed", "duration_ms": NaN}',
        '{"type": "Fixed", "duration_ms": -5}',
        '{"type": "Fixed", "duration_ms": 5, "jitter": {"type": "Multiplicative", "factor": NaN}}',
        '{"type": "Linear", "base_ms": 5, "increment_ms": 1e400}',
    ],
)
def test_text_that_is_not_a_strategy_reads_as_none(stored):
    assert RetryStrategy._parse(stored) is None


@each_row(
    "wrong",
    [
        lambda: RetryStrategy.fixed(5),  # type: ignore[arg-type]
        lambda: RetryStrategy.fixed(-SECOND),
        lambda: RetryStrategy.exponential(SECOND, float("nan")),
        lambda: RetryStrategy.linear(SECOND, SECOND, "1h"),  # type: ignore[arg-type]
        lambda: RetryStrategy.fixed(SECOND, jitter=-0.5),
        lambda: RetryStrategy.fixed(SECOND, jitter="some"),  # type: ignore[arg-type]
    ],
)
def test_a_strategy_that_cannot_be_is_refused_when_it_is_made(wrong):
    with pytest.raises(UsageError):
        wrong()
