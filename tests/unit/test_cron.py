"""Schedules of five fields, intervals, and what they mean in words."""

import random
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError

from hammerwork_cli.core.cron import unix
from hammerwork_cli.core.cron.expressions import Expression
from hammerwork_cli.core.cron.words import notes_on, words_of
from hammerwork_cli.errors import UsageError
from tests.conftest import each_row

ZONES = ("UTC", "Europe/Oslo", "America/New_York", "Australia/Sydney", "America/St_Johns")
EXPRESSIONS, DATES = 200, 4
"""For each zone."""
CHANGES = (
    *(datetime(2026, 3, 7, 12), datetime(2026, 3, 28, 12), datetime(2026, 4, 4, 2), datetime(2026, 9, 5, 12)),
    *(datetime(2026, 10, 3, 2), datetime(2026, 10, 24, 12), datetime(2026, 10, 31, 12), datetime(2026, 12, 30)),
)
"""Shortly before clocks change, and before a year ends."""
NAMES = {3: unix.MONTHS, 4: unix.DAYS}


def expression(draw: random.Random) -> str:
    """Five random fields."""

    def number(place: int) -> int:
        return draw.randint((0, 0, 1, 1, 0)[place], (59, 23, 31, 12, 7)[place])

    def part(place: int) -> str:
        kind = draw.random()
        if kind < 0.25:
            return f"*/{draw.randint(1, 20)}"
        one, other = sorted((number(place), number(place)))
        if kind < 0.45 and one < other:  # cronsim takes 5-5/2 for 5/2
            return f"{one}-{other}{draw.choice(['', f'/{draw.randint(1, 9)}'])}"
        return draw.choice(NAMES[place]) if place in NAMES and kind < 0.6 else str(one)

    def field(place: int) -> str:
        if draw.random() < (0.2, 0.3, 0.6, 0.7, 0.6)[place]:
            return "*"
        return ",".join(part(place) for _ in range(draw.choice((1, 1, 2))))

    return " ".join(map(field, range(5)))


@pytest.mark.parametrize("zone", ZONES)
def test_due_times_are_those_of_another_implementation_through_both_changes_of_the_clock(zone: str) -> None:
    draw, compared = random.Random(zone), 0
    for _ in range(EXPRESSIONS):
        text = expression(draw)
        start = draw.choice(CHANGES) + timedelta(minutes=draw.randrange(0, 6 * 60))
        local = start.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        if zone != "UTC" and local.replace(fold=1).utcoffset() != local.replace(fold=0).utcoffset():
            continue  # the other one forgets which of the two hours it started in
        try:
            theirs = [due.astimezone(UTC) for due in islice(CronSim(text, local), DATES)]
        except CronSimError:
            theirs = []  # it refuses dates such as 31 February
        found = Expression.of(text, zone)
        ours = list(islice(found.dates(start.replace(tzinfo=UTC), start.replace(tzinfo=UTC)), DATES))
        distinct = list(dict.fromkeys(theirs))
        assert ours[: len(distinct)] == distinct, (text, local)
        compared += len(distinct)
    assert compared > EXPRESSIONS


def test_a_fixed_time_is_due_once_on_each_day_and_an_hourly_one_in_each_hour() -> None:
    nightly = Expression.of("30 2 * * *", "Europe/Oslo")
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert [f"{due:%d %H:%M}" for due in islice(nightly.dates(spring, spring), 2)] == ["29 01:00", "30 00:30"]
    assert [f"{due:%d %H:%M}" for due in islice(nightly.dates(autumn, autumn), 2)] == ["25 00:30", "26 01:30"]
    hourly = Expression.of("@hourly", "Europe/Oslo")
    for change in (spring, autumn):
        found = list(islice(hourly.dates(change, change), 30))
        assert {later - due for due, later in pairwise(found)} == {timedelta(hours=1)}


def test_where_the_clock_skips_midnight_a_fixed_time_is_due_at_the_end_of_the_gap() -> None:
    before = datetime(2026, 9, 5, 12, tzinfo=UTC)  # on the 6th, clocks in Chile show 01:00 after 23:59
    fixed, wildcard = (Expression.of(f"{minute} 0 * * *", "America/Santiago") for minute in ("0,30", "*/30"))
    assert [f"{due:%d %H:%M}" for due in islice(fixed.dates(before, before), 2)] == ["06 04:00", "07 03:00"]
    assert [f"{due:%d %H:%M}" for due in islice(wildcard.dates(before, before), 2)] == ["07 03:00", "07 03:30"]


def test_an_interval_counts_from_its_anchor_whatever_happens_between() -> None:
    anchor = datetime(2026, 11, 24, 14, 0, 7, tzinfo=UTC)
    found = Expression.of("@every 45m")
    assert found.next_after(anchor - timedelta(days=1), anchor) == anchor
    assert found.next_after(anchor, anchor) == anchor + timedelta(minutes=45)
    for days in ("12d", "14d", "3660d"):
        long = Expression.of(f"@every {days}")
        assert Expression.of(long.text) == long
        assert long.next_after(anchor, anchor) == anchor + timedelta(days=int(days[:-1]))
    assert Expression.of("@every 1234567s").text == "@every 1234567s"
    assert Expression.of("@every 3660d").next_after(datetime(9999, 1, 1, tzinfo=UTC), anchor) is None
    later = anchor + timedelta(minutes=45) * 1000
    assert found.next_after(later - timedelta(seconds=1), anchor) == later


@each_row(
    ("text", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("@hourly", "every hour"),
        ("0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00"),
        ("30 2 * * Mon-Fri", "at 02:30 from Monday to Friday"),
        ("0 9 1,15 * *", "at 09:00 on days 1 and 15 of the month"),
        ("0 9 1 * Mon", "at 09:00 on day 1 of the month or on Monday"),
        ("0 9 * jan-mar *", "at 09:00 from January to March"),
        ("5 9-17 * * *", "at minute 5 of the hours 9 to 17"),
        ("3-59/15 * * * *", "every 15 minutes from minute 3"),
        ("0 */2 * * *", "every 2 hours"),
        ("30 1-23/2 * * *", "every 2 hours from 01:30"),
        ("*/15 9-17 * * *", "every 15 minutes of the hours 9 to 17"),
        ("*/2 * * * * *", "every 2 seconds"),
        ("*/30 * * * * *", "every 30 seconds"),
        ("1-59/2 * * * * *", "every 2 seconds from second 1"),
        ("* * * * * *", "every second"),
        ("*/2 * 9-17 * * Mon-Fri", "every 2 seconds of the hours 9 to 17 from Monday to Friday"),
        ("*/2 */5 * * * *", "every 5 minutes, every 2 seconds of the minute"),
        ("*/20 0 9 * * *", "at 09:00, every 20 seconds of the minute"),
        ("5 * * * * *", "every minute, at second 5"),
        ("*/7 * * * * *", "every minute, at second 0, 7, 14, 21, 28, 35, 42, 49 and 56"),
        ("0 0 6 * * 1-5", "at 06:00 from Sunday to Thursday"),
        ("@every 90m", "every 90 minutes"),
        ("@every 7d", "every 7 days"),
    ],
)
def test_a_schedule_is_said_in_words(text: str, words: str) -> None:
    assert words_of(Expression.of(text)) == words


def test_notes_tell_what_is_often_meant_otherwise() -> None:
    assert "1-5 is Sunday to Thursday" in notes_on(Expression.of("0 0 6 * * 1-5"))[0]
    assert notes_on(Expression.of("0 0 2 * * 1"))[0].startswith("With six or seven fields, 1 is Sunday. Names")
    skips = notes_on(Expression.of("0 30 2 * * Mon-Fri", "Europe/Oslo"))
    assert skips[0].startswith(
        "With six or seven fields, a time that the clock skips in spring is left out on that day"
    )
    assert notes_on(Expression.of("0 30 * * * *", "Europe/Oslo")) == []
    for text, says in (
        ("*/61 * * * *", "*/61 leads past the last minute, 59: only 0 is due"),
        ("0 5-10/20 * * * *", "5-10/20 leads past the last minute, 10: only 5 is due"),
        ("0 0 20/4 * * *", "20/4 leads past the last hour, 23: only 20 is due"),
    ):
        assert says in notes_on(Expression.of(text))[0]
    assert notes_on(Expression.of("*/30 */12 1-31/30 * *")) == []
    assert "either one is due" in notes_on(Expression.of("0 0 1 * Mon"))[0]
    assert notes_on(Expression.of("0 0 6 * * Mon-Fri")) == notes_on(Expression.of("0 6 * * 1-5")) == []


@each_row(
    ("text", "hint"),
    [
        ("60 * * * *", "from 0 to 59"),
        ("* * * *", "Give minute, hour"),
        ("* * 0 * *", "from 1 to 31"),
        ("* * L * *", "28-31"),
        ("* * 15W * *", "28-31"),
        ("* * * * Mon#1", "28-31"),
        ("* * ? * *", "Write *"),
        ("5-1 * * * *", "5-10"),
        ("* * * * fri-mon", "5-10"),
        ("@reboot", "application starts"),
        ("@sometimes", "@daily"),
        ("@every 0s", None),
        ("@every soon", "15m"),
        ("0 0 99 * * *", "from 0 to 23"),
        ("", "Give minute"),
        ("x" * 1000, None),
    ],
)
def test_no_schedule_is_refused_with_what_to_write_instead(text: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as refused:
        Expression.of(text)
    assert hint is None or hint in (refused.value.hint or ""), refused.value.hint


def test_a_date_that_never_comes_is_never_due() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert Expression.of("0 0 31 2 *").next_after(now, now) is None
    assert Expression.of("0 0 29 2 *").next_after(now, now) == datetime(2028, 2, 29, tzinfo=UTC)
