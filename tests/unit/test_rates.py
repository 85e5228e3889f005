"""Rates of the last seconds."""

from hammerwork_cli.queries.spawn.rates import LEAST, SPAN, Rates, RecentRate, SharedRate


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
