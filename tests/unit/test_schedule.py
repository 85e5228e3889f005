"""When recurring jobs are due."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from hammerwork_cli.core.cron import next_run, parse
from hammerwork_cli.errors import UsageError
from tests.conftest import each_row

TUESDAY = datetime(2026, 11, 24, 14, 18, 25, 393217, tzinfo=UTC)


def runs(schedule: str, after: datetime, count: int, timezone: str | None = None) -> list[str]:
    """The next ``count`` times, in UTC."""
    found: list[str] = []
    instant: datetime | None = after
    for _ in range(count):
        instant = next_run(schedule, timezone, instant) if instant else None
        found.append(f"{instant:%Y-%m-%d %H:%M:%S}" if instant else "never")
    return found


@each_row(
    ("schedule", "first", "second"),
    [
        ("* * * * * *", "2026-11-24 14:18:26", "2026-11-24 14:18:27"),
        ("0 * * * * *", "2026-11-24 14:19:00", "2026-11-24 14:20:00"),
        ("*/20 * * * * *", "2026-11-24 14:18:40", "2026-11-24 14:19:00"),
        ("5/20 * * * * *", "2026-11-24 14:18:45", "2026-11-24 14:19:05"),
        ("0 0-30/15 * * * *", "2026-11-24 14:30:00", "2026-11-24 15:00:00"),
        ("0 30 2 * * *", "2026-11-25 02:30:00", "2026-11-26 02:30:00"),
        ("0 0 6,18 * * ?", "2026-11-24 18:00:00", "2026-11-25 06:00:00"),
        ("0 0 0 1 Jan,JULY *", "2027-01-01 00:00:00", "2027-07-01 00:00:00"),
        ("0 0 0 31 * *", "2026-12-31 00:00:00", "2027-01-31 00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00", "2032-02-29 00:00:00"),
        ("0 0 12 24 12 ? 2030-2040/5", "2030-12-24 12:00:00", "2035-12-24 12:00:00"),
        ("25 18 14 24 11 *", "2027-11-24 14:18:25", "2028-11-24 14:18:25"),
        ("59 59 23 31 12 * 2026", "2026-12-31 23:59:59", "never"),
        ("0 0 0 30 2 *", "never", "never"),
        ("@hourly", "2026-11-24 15:00:00", "2026-11-24 16:00:00"),
        ("@daily", "2026-11-25 00:00:00", "2026-11-26 00:00:00"),
        ("@weekly", "2026-11-29 00:00:00", "2026-12-06 00:00:00"),
        ("@monthly", "2026-12-01 00:00:00", "2027-01-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00", "2028-01-01 00:00:00"),
    ],
)
def test_the_next_two_runs(schedule, first, second):
    assert runs(schedule, TUESDAY, 2) == [first, second]


@each_row(
    ("number", "name", "day"),
    [
        (1, "Sun", 29),
        (2, "monday", 30),
        (3, "TUES", 1),
        (4, "wed", 25),
        (5, "Thurs", 26),
        (6, "fri", 27),
        (7, "SAT", 28),
    ],
)
def test_days_of_the_week_count_from_sunday_as_one(number, name, day):
    by_number, by_name = (runs(f"0 0 0 * * {which}", TUESDAY, 1)[0] for which in (number, name))
    assert by_number == by_name
    assert int(by_name[8:10]) == day


def test_from_one_to_five_is_sunday_to_thursday():
    days = [datetime.fromisoformat(run).strftime("%a") for run in runs("0 0 9 * * 1-5", TUESDAY, 6)]
    assert days == ["Wed", "Thu", "Sun", "Mon", "Tue", "Wed"]
    named = [datetime.fromisoformat(run).strftime("%a") for run in runs("0 0 9 * * Mon-Fri", TUESDAY, 5)]
    assert named == ["Wed", "Thu", "Fri", "Mon", "Tue"]


def test_a_day_must_fit_both_the_month_and_the_week():
    assert runs("0 0 0 13 * Fri", TUESDAY, 3) == ["2027-08-13 00:00:00", "2028-10-13 00:00:00", "2029-04-13 00:00:00"]


def test_a_time_zone_moves_it():
    assert runs("0 30 2 * * *", TUESDAY, 1, "Asia/Tokyo") == ["2026-11-24 17:30:00"]
    assert runs("0 30 2 * * *", TUESDAY, 1, "America/New_York") == ["2026-11-25 07:30:00"]


def test_a_time_that_the_clock_skips_in_spring_is_left_out_that_day():
    friday = datetime(2026, 3, 27, 12, tzinfo=UTC)
    assert runs("0 30 2 * * *", friday, 3, "Europe/Berlin") == [
        "2026-03-28 01:30:00",
        "2026-03-30 00:30:00",
        "2026-03-31 00:30:00",
    ]


def test_a_time_that_the_clock_shows_twice_in_autumn_is_due_once():
    saturday = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert runs("0 30 2 * * *", saturday, 2, "Europe/Berlin") == ["2026-10-25 00:30:00", "2026-10-26 01:30:00"]
    assert runs("0 0/30 2,3 * * *", saturday, 5, "Europe/Berlin") == [
        "2026-10-25 00:00:00",
        "2026-10-25 00:30:00",
        "2026-10-25 02:00:00",
        "2026-10-25 02:30:00",
        "2026-10-26 01:00:00",
    ]


@each_row("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@each_row("minutes", [10, 30])
def test_a_schedule_of_every_few_minutes_goes_on_while_the_clock_changes(zone, minutes):
    for start in (datetime(2026, 10, 3), datetime(2026, 10, 24), datetime(2026, 10, 31), datetime(2027, 4, 3)):
        instant: datetime | None = start.replace(tzinfo=UTC) + timedelta(hours=10)
        times = []
        for _ in range(26 * 60 // minutes):
            assert instant is not None
            instant = next_run(f"0 */{minutes} * * * *", zone, instant)
            times.append(instant)
        gaps = {later - earlier for earlier, later in pairwise(times) if earlier and later}
        assert gaps == {timedelta(minutes=minutes)}


def test_every_run_is_later_than_the_one_before_in_every_zone():
    for zone in ("Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo", "Europe/London"):
        instant: datetime | None = datetime(2011, 12, 28, tzinfo=UTC)
        for _ in range(400):
            assert instant is not None
            following = next_run("0 0 */7 * * *", zone, instant)
            assert following is not None
            assert instant < following <= instant + timedelta(hours=33)
            instant = following


@each_row(
    ("schedule", "field"),
    [
        ("61 * * * * *", "second"),
        ("* 60 * * * *", "minute"),
        ("* * 24 * * *", "hour"),
        ("* * ? * * *", "hour"),
        ("* * * 0 * *", "day of the month"),
        ("* * * L * *", "day of the month"),
        ("* * * * 13 *", "month"),
        ("* * * * Foo *", "month"),
        ("* * * * * 0", "day of the week"),
        ("* * * * * 8", "day of the week"),
        ("* * * * * Fri-Mon", "day of the week"),
        ("* * * * * * 1969", "year"),
        ("*/0 * * * * *", "second"),
        ("5-1 * * * * *", "second"),
        ("1,,2 * * * * *", "second"),
        ("-5 * * * * *", "second"),
        ("٣ * * * * *", "second"),
    ],
)
def test_a_wrong_field_is_named(schedule, field):
    with pytest.raises(UsageError, match=f" is not a valid {field}") as caught:
        parse(schedule)
    assert caught.value.hint


@each_row(
    "schedule",
    [
        "0 0 0 * * sun/1",
        "0 0 0 1 jul/2 *",
        "0 0 0 1 Sept *",
        "0 0 0 * * Mon-5",
        "0 0 0 * * 2-Fri",
        "0 0 0 1 Jan-Juli *",
        "0 0 0 * * Mo",
        "0 0 0 * * Mon-Fri-Sat",
        "0 0 0 1 2/ *",
        "0 0 0 1 */+2 *",
        "0 */٢ * * * *",
        "0 0 0 * * \uff2don",
        "0 0 0 * * \u017fun",
        "0 */4294967296 * * * *",
        "0 * /5 * * * *",
        "0\x0b0\x0b0 * * *",
        "0 0 0\u00a0* * *",
        "@Daily",
        "@DAILY",
        "@annually",
        "@midnight",
        "@reboot",
        "@every 5m",
        "@daily *",
        "TZ=UTC 0 0 0 * * *",
        "0 0 0 L * *",
        "0 0 0 15W * *",
        "0 0 0 * * Fri#1",
        "0 0 0 * * 5L",
        "0 0 0 ? ? *",
        "0 0 0 1-5/0 * *",
    ],
)
def test_schedules_that_hammerwork_rust_cannot_read_are_refused(schedule):
    with pytest.raises(UsageError, match=r"^(The|In the) cron expression"):
        parse(schedule)


@each_row(
    ("schedule", "same"),
    [
        ("0 0 0 * * MON-Friday/2", "0 0 0 * * 2,4,6"),
        ("0 0 0 * * Mon - Fri", "0 0 0 * * 2-6"),
        ("0 0, 30 9 , 18 * * *", "0 0,30 9,18 * * *"),
        ("0 */ 20 5 / 6 * * *", "0 0,20,40 5,11,17,23 * * *"),
        ("0 0 0 ?/10 * ?", "0 0 0 1,11,21,31 * *"),
        ("\t0 0 0\r\n* * *\n", "0 0 0 * * *"),
        (" @weekly\n", "0 0 0 * * 1"),
        ("00 000 0 01 january 2 2026-2028", "0 0 0 1 1 2 2026,2027,2028"),
        ("0 0 0 1 *,2 *", "0 0 0 1 * *"),
    ],
)
def test_schedules_mean_the_same_as_in_hammerwork_rust(schedule, same):
    assert parse(schedule) == parse(same)


@pytest.mark.parametrize("schedule", ["", "* * * * *", "* * * * * * * *", "@fortnightly", "0 0 0"])
def test_a_schedule_has_six_fields_or_seven(schedule):
    with pytest.raises(UsageError, match="fields, not 6 or 7"):
        parse(schedule)


@each_row(
    "zone", ["Europe/Atlantis", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "+01:00", "posix/UTC", "localtime"]
)
def test_a_time_zone_that_is_not_there_is_an_error(zone):
    with pytest.raises(UsageError, match="is not a time zone"):
        parse("* * * * * *", zone)
