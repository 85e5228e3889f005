import sys
import unicodedata
from datetime import timedelta

from hammerwork_cli.core.values import Counts
from hammerwork_cli.view import text
from tests.conftest import each_row
from tests.unit.views.trees import HOSTILE


@each_row(
    ("raw", "shown"),
    [
        ("plain words, and more: 100%", "plain words, and more: 100%"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31m\x07\x00\x7f", "\\x1b[31m\\x07\\x00\\x7f"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("\u202eabc\u2069\u200f", "\\u202eabc\\u2069\\u200f"),
        ("a\u200bb\ufeffc\u2060d", "a\\u200bb\\ufeffc\\u2060d"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\ud800 \udfff", "\\ud800 \\udfff"),
        ("\U000e0041", "\\U000e0041"),
        ("日本語 é ñ עברית", "日本語 é ñ עברית"),
        ("👩‍🚀 ❤️‍🔥 👨‍👩‍👧", "👩‍🚀 ❤️‍🔥 👨‍👩‍👧"),
        ("a\u200db", "a\\u200db"),
    ],
)
def test_characters_that_a_terminal_would_obey_or_hide_are_written_out(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown


def test_no_control_format_or_separator_character_of_unicode_gets_through() -> None:
    harmful = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    through = [
        hex(point)
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) in harmful and text.visible(f"a{chr(point)}b") == f"a{chr(point)}b"
    ]
    assert through == []


@each_row("raw", HOSTILE)
def test_visible_text_is_one_line_that_can_be_printed(raw: str) -> None:
    shown = text.visible(raw)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert text.visible(shown) == shown
    assert text.ascii_only(shown).isascii()


@each_row(
    ("raw", "width", "shown"),
    [
        ("short", 5, "short"),
        ("longer than that", 10, "longer th…"),
        ("日本語の行列", 12, "日本語の行列"),
        ("日本語の行列", 8, "日本語…"),
        ("anything", None, "anything"),
        ("anything", 1, "…"),
    ],
)
def test_text_is_cut_by_the_columns_it_takes(raw: str, width: int | None, shown: str) -> None:
    assert text.shorten(raw, width) == shown
    assert width is None or text.cells(shown) <= width


@each_row(
    ("length", "shown"),
    [
        (timedelta(0), "0 ms"),
        (timedelta(milliseconds=820), "820 ms"),
        (timedelta(seconds=1.43), "1.4 s"),
        (timedelta(seconds=59.999), "59.9 s"),
        (timedelta(seconds=60), "1m 00s"),
        (timedelta(minutes=3, seconds=12), "3m 12s"),
        (timedelta(hours=2, minutes=5), "2h 05m"),
        (timedelta(days=4, hours=3), "4d 3h"),
        (timedelta(days=4000), "4,000d 0h"),
        (timedelta(seconds=-5), "0 ms"),
        (None, "-"),
    ],
)
def test_lengths_of_time_are_short_and_never_rounded_up(length: timedelta | None, shown: str) -> None:
    assert text.duration(length) == shown


@each_row(
    ("rate", "shown"),
    [
        (None, "-"),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.99999, "99.9%"),
        (0.00001, "0.1%"),
        (0.9268, "92.7%"),
        (0.9375, "93.8%"),
        (0.9325, "93.3%"),
        (0.98, "98.0%"),
    ],
)
def test_a_rate_is_whole_only_when_it_is(rate: float | None, shown: str) -> None:
    assert text.percent(rate) == shown


def test_counts_name_the_good_first_and_unknown_words_last() -> None:
    counts = Counts({"weird\x1b": 1, "Dead": 4, "TimedOut": 1, "Completed": 4770, "Pending": 0})
    assert text.statuses(counts) == '4,770 completed, 1 timed out, 4 dead, 1 "weird\\x1b"'


def test_many_unknown_words_are_summed_up() -> None:
    counts = Counts({"Completed": 1} | {f"word{number}": 2 for number in range(9)} | {"": 1})
    assert text.statuses(counts) == '1 completed, 1 "", 2 "word0", 2 "word1", 14 in other words'


def test_the_first_line_of_an_error_is_the_first_that_says_something() -> None:
    assert text.first_line("\n  \nerror: \x1b[1mdisk full\r\nat line 3") == "error: \\x1b[1mdisk full"


def test_a_sentence_is_broken_between_words_and_what_fits_stays() -> None:
    table = "a   b\nc   d"
    assert text.fitted(table, 5) == table
    assert text.fitted("  Retry that job, or else.", 14) == "  Retry that\n    job, or\n    else."
    assert text.fitted("x" * 30, 10) == "x" * 30
    assert text.fitted("\x1b[1mbold and long\x1b[0m", 4) == "\x1b[1mbold and long\x1b[0m"
    assert text.fitted("any length", None) == "any length"
    assert text.fitted("  hammerwork job list", 12) == "  hammerwork job list"
    said = "Jobs have no worker. See: hammerwork spawn doctor --older-than 1h (or not)"
    assert text.fitted(said, 48) == "Jobs have no worker. See:\n  hammerwork spawn doctor --older-than 1h (or\n  not)"
    assert text.fitted("See: hammerwork job list.", 12) == "See:\n  hammerwork\n  job list."
