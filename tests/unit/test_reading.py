"""Durations, times and ids are read in one way, whoever asks."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from hammerwork_cli.core.input.fields import priority
from hammerwork_cli.core.input.reading import (
    DURATION_PATTERN,
    WINDOW_HINT,
    duration_of,
    ids_from,
    instant_of,
    since_of,
    timeout_of,
    uuid_of,
)
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.web.endpoints.parameters import EPOCH, SINCE, start_of
from tests.conftest import each_row
from tests.jobs import NOW

UUID = "178ebfc3-24d7-4b8f-8f3b-6a2d3a3c1f0e"


@each_row(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), (" 1.5 H ", 5400), ("500ms", 0.5), ("2MS", 0.002), ("7d", 604800), ("1w", 604800)],
)
def test_a_duration_is_a_number_with_or_without_a_unit(text: str, seconds: float) -> None:
    assert duration_of(text) == timedelta(seconds=seconds)
    assert re.fullmatch(DURATION_PATTERN, text.strip())


@each_row("text", ["", "soon", "-1", "1 year", "٣s", "1.2345", "999999999w", "1e3"])
def test_other_text_is_not_a_duration(text: str) -> None:
    with pytest.raises(UsageError):
        duration_of(text)


@pytest.mark.parametrize("text", ["0", "1.5s", "99999999999", "500ms"])
def test_a_timeout_is_whole_seconds(text: str) -> None:
    assert timeout_of("1.5m") == timedelta(seconds=90)
    with pytest.raises(UsageError):
        timeout_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-24T18:00:00Z",
        "2026-12-24t19:00+01:00",
        "2026-12-24 13:00:00-0500",
        " 20261224T180000Z ",
        "2026-12-24 18:00:00 UTC",
    ],
)
def test_a_time_has_a_zone_and_is_returned_in_utc(text: str) -> None:
    assert instant_of(text) == datetime(2026, 12, 24, 18, tzinfo=UTC)
    assert instant_of(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-12-24", "2026-12-24T18:00:00", "2026-13-24T18:00:00Z"])
def test_other_text_is_not_a_time(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not an RFC 3339 time\."):
        instant_of(text)


def test_a_whole_uuid_is_read_in_lower_case() -> None:
    assert uuid_of(f" {UUID.upper()}\n") == UUID
    assert [uuid_of(text) for text in ("", "178ebfc3", UUID.replace("-", ""), f"{UUID}0")] == [None] * 4


def test_the_beginning_of_an_id_has_4_to_32_digits_in_any_form_of_a_uuid() -> None:
    between = "abce0000-1000-0000-0000-000000000000", "abce0000-1fff-ffff-ffff-ffffffffffff"
    for text in ("abce00001", " ABCE0000-1 ", "{abce0000-1}", "urn:uuid:abce0000-1"):
        assert ids_from(text) == between
    assert ids_from(UUID.upper()) == (UUID, UUID)
    assert {ids_from(text) for text in ("abc", "a" * 33, "abcg", "", "é" * 4)} == {None}


def test_a_priority_has_the_words_of_hammerwork_rust() -> None:
    words = {"bg": JobPriority.BACKGROUND, "Default": JobPriority.NORMAL, " crit ": JobPriority.CRITICAL}
    assert {word: priority(word) for word in words} == words


def test_a_window_of_the_web_takes_the_durations_of_the_command_line_and_begins_after_1970() -> None:
    assert {"pattern": f"^{DURATION_PATTERN}$"} in SINCE.schema["anyOf"]
    assert start_of(NOW, "1.5h") == NOW - timedelta(minutes=90)
    assert start_of(NOW, "99999w") == start_of(NOW, "1066-10-14T09:00Z") == EPOCH
    assert start_of(NOW, "2026-11-24T15:00+01:00") == datetime(2026, 11, 24, 14, tzinfo=UTC)
    with pytest.raises(UsageError, match="is not an RFC 3339 time"):
        start_of(NOW, "2026-02-30T00:00Z")
    assert start_of(NOW, None) is None


def test_a_window_begins_with_a_duration_a_time_or_a_date_and_one_hint_names_them_all() -> None:
    assert since_of(" 2026-11-23 ", NOW) == since_of("20261123", NOW) == datetime(2026, 11, 23, tzinfo=UTC)
    assert since_of(f"{NOW - timedelta(minutes=1):%H:%M}", NOW) == NOW.replace(second=0) - timedelta(minutes=1)
    later = NOW.replace(second=0) + timedelta(minutes=1)
    assert since_of(f"{later:%H:%M}", NOW) == later - timedelta(days=1)
    midnight = NOW.replace(hour=0, minute=0, second=0)
    assert (since_of("today", NOW), since_of("Yesterday", NOW)) == (midnight, midnight - timedelta(days=1))
    assert since_of("yesterday 9:05:07", NOW) == midnight - timedelta(days=1) + timedelta(hours=9, minutes=5, seconds=7)
    # Oslo is an hour ahead in November, and two in summer.
    assert since_of("2026-11-23 Europe/Oslo", NOW) == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert since_of("2026-07-01 14:00 Europe/Oslo", NOW) == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert since_of("yesterday 14:00 Europe/Oslo", NOW) == midnight - timedelta(hours=11)
    assert since_of("00:00 Etc/GMT+12", NOW) in {midnight - timedelta(hours=12), midnight + timedelta(hours=12)}
    for text in ("2h Europe/Oslo", "14:00 Europe/Olso", "2026-11-23+02:00", "2026-11-23-0200"):
        with pytest.raises(UsageError):
            since_of(text, NOW)
    assert since_of("20269999", NOW) == NOW - timedelta(seconds=20269999)
    hints = set()
    for text in ("tomorrow", "yesterday14:00", "25:00", "2026-02-30", "2026-11-23 25:00", "20 minutes"):
        with pytest.raises(UsageError) as raised:
            since_of(text, NOW)
        hints.add(raised.value.hint)
    assert hints == {WINDOW_HINT}


def test_a_time_has_one_zone_at_most() -> None:
    zones = ("Z", "z", " UTC", " utc", " Z", "+02:00", "-0500", " +02:00", " Europe/Oslo", " Etc/GMT+5")
    for text in ("14:00Z", "14:00 utc", "14:00 Europe/Oslo", "2026-11-01 14:00 +02:00", "2026-11-01T14:00-0500"):
        assert since_of(text, NOW) < NOW
    for time in ("14:00", "yesterday 14:00", "2026-11-01", "20261101", "2026-11-01 14:00", "2026-11-01T14:00:00.5"):
        for both in (one + other for one in zones for other in zones):
            for read in (partial(since_of, now=NOW), instant_of):
                with pytest.raises(UsageError):
                    read(time + both)


@pytest.mark.parametrize("text", ["2026-11-23 18:00", "2026-11-23T18:00:00", "2026-11-23 18:00:00 UTC"])
def test_a_window_begins_with_a_time_as_lists_print_it(text: str) -> None:
    assert since_of(text, NOW) == datetime(2026, 11, 23, 18, tzinfo=UTC)


def test_a_new_job_gets_what_its_maker_leaves_out() -> None:
    new = NewJob.of("mail", "{}", NOW, timeout=timedelta(seconds=1.2), delay=None, trace_id=None)
    assert (new.created_at, new.scheduled_at, new.priority, new.max_attempts) == (NOW, NOW, JobPriority.NORMAL, 3)
    assert (new.timeout_seconds, new.dependency_status, uuid_of(new.id)) == (2, "none", new.id)
