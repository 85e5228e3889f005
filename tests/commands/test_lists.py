"""What lists share: ``--watch``, ``--sort``, ``--fields``, and ages on a terminal."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.view.text import age, brief_age
from tests.conftest import all_databases, each_row
from tests.forks import PROGRAM, Begun, begin
from tests.rows import START, Rows
from tests.terminal import PATIENCE, Terminal

QUICK = ("--watch", "--interval", "0.2")
Run = Callable[..., Any]


def worker(rows: Rows, name: str, **columns: Any) -> None:
    now = datetime.now(UTC)
    facts = {"host": "here", "pid": 1, "version": "1", "queues": '["mail"]', "handlers": "[]", "concurrency": 4}
    times = {"started_at": now - timedelta(hours=1), "heartbeat_at": now}
    row = {"id": str(uuid4()), "name": name, "lease_seconds": 30.0, "state": "running", **facts, **times, **columns}
    rows.insert("hammerwork_workers", row)


# Sorting.


def jobs(rows: Rows) -> dict[str, str]:
    """Jobs by a letter."""
    minutes = [START + timedelta(minutes=number) for number in range(4)]
    return {
        "a": rows.job(queue="b", status="Failed", failed_at=minutes[2], priority=4, attempts=2),
        "b": rows.job(queue="a", status="TimedOut", timed_out_at=minutes[3], started_at=minutes[1]),
        "c": rows.job(queue="c", status="Running", started_at=minutes[0], scheduled_at=minutes[3], priority=0),
        "d": rows.job(queue="a", status="Completed", started_at=minutes[2], completed_at=minutes[2], attempts=3),
    }


SORTED = [
    ("created_at", "abcd"),
    ("-created_at", "dcba"),
    ("-scheduled_at", "cdba"),
    ("started_at", "cbda"),
    ("-started_at", "dbca"),
    ("failed_at", "abdc"),
    ("-failed_at", "badc"),
    ("-completed_at", "dcba"),
    ("priority", "cdba"),
    ("-priority", "adbc"),
    ("-attempts", "dacb"),
    ("queue", "dbac"),
    ("status", "dacb"),
]


@all_databases
def test_jobs_are_sorted_by_the_database_and_those_without_a_value_come_last(run: Run, rows: Rows) -> None:
    ids = {job: letter for letter, job in jobs(rows).items()}

    def listed(*words: str) -> str:
        found = run("job", "list", *words, "--format", "json", url=rows.url).json
        return "".join(ids[job["id"]] for job in found)

    assert [(order, listed("--sort", order)) for order, _ in SORTED] == SORTED
    some = [(order, listed("--sort", order, "--limit", "2", "--queue", "a")) for order, _ in SORTED]
    assert some == [(order, re.sub("[ac]", "", first)) for order, first in SORTED]


def test_every_order_that_the_help_names_is_there() -> None:
    from hammerwork_cli.features.job.commands.reading import list_

    for name in listing.SORTS:
        assert name in (list_.__doc__ or "")


def test_queues_and_workers_are_sorted_by_any_of_their_fields(run: Run, sqlite_rows: Rows) -> None:
    url = sqlite_rows.url
    for queue, number in (("few", 1), ("Many", 3), ("some", 2)):
        for _ in range(number):
            sqlite_rows.job(queue=queue, status="Pending")
    for order, first in (
        ("-ready", "Many some few"),
        ("queue", "few Many some"),
        ("by_status.Pending", "few some Many"),
    ):
        found = run("queue", "list", "--sort", order, "--format", "json", url=url).json
        assert [row["queue"] for row in found] == first.split()
    worker(sqlite_rows, "w1", running=2)
    worker(sqlite_rows, "w2", running=4, memory_bytes=7)
    worker(sqlite_rows, "w3", running=1)
    for order, first in (("-running", "w2 w1 w3"), ("memory_bytes", "w2"), ("-name", "w3 w2 w1")):
        found = run("worker", "list", "--sort", order, "--limit", "3", "--format", "json", url=url).json
        assert " ".join(row["name"] for row in found).startswith(first)


@each_row(
    "words",
    [
        ("job", "list", "--sort", "error"),
        ("job", "list", "--sort", "-"),
        ("job", "list", "--sort", "queue", "--cursor", "2026-11-24T14:00:00Z/00000000-0000-4000-8000-000000000000"),
        ("queue", "list", "--sort", "nothing"),
        ("queue", "list", "--interval", "1"),
        ("queue", "list", "--count", "1"),
        ("worker", "list", "--watch", "--format", "csv"),
        ("worker", "list", "--watch", "--interval", "0"),
        ("worker", "list", "--fields", "nothing"),
    ],
)
def test_options_that_make_no_sense_are_refused(run: Run, sqlite_rows: Rows, words: tuple[str, ...]) -> None:
    done = run(*words, url=sqlite_rows.url)
    assert done.exit_code == 2
    assert done.stdout == ""


def test_queues_and_workers_show_chosen_fields(run: Run, sqlite_rows: Rows) -> None:
    url = sqlite_rows.url
    sqlite_rows.job(queue="mail", status="Pending")
    worker(sqlite_rows, "w1")
    assert run("queue", "list", "--fields", "queue,ready", "--format", "csv", url=url).stdout == "queue,ready\nmail,1\n"
    assert run("worker", "list", "--fields", "name,queues", "--format", "json", url=url).json == [
        {"name": "w1", "queues": ["mail"]}
    ]


# Watching.


@pytest.fixture
def env(clean_environment: dict[str, str]) -> dict[str, str]:
    return {**clean_environment, "TERM": "xterm-256color"}


@pytest.mark.parametrize("words", [("queue", "list"), ("job", "list"), ("worker", "list")], ids=" ".join)
def test_a_terminal_redraws_a_list_in_place_until_a_key_is_pressed(
    sqlite_rows: Rows, env: dict[str, str], words: tuple[str, ...]
) -> None:
    sqlite_rows.job(queue="mail", status="Pending")
    worker(sqlite_rows, "mail-1")
    command = [*PROGRAM, *words, *QUICK, "-u", sqlite_rows.url]
    with Terminal(command, env) as terminal:
        picture = terminal.shows(f"hammerwork · {' '.join(words)}")
        assert picture[0].endswith("q quits")
        assert any("mail" in line for line in picture)
        sqlite_rows.job(queue="report", status="Pending")
        worker(sqlite_rows, "report-1")
        terminal.shows("report")
        terminal.press("?")
        assert "q quits, Ctrl-Z pauses until fg, ? hides this line" in terminal.shows("Ctrl-Z")[0]
        terminal.press("?")
        terminal.shows(f"hammerwork · {' '.join(words)}")
        terminal.press("q")
        assert terminal.end() == 0
        assert "report" in terminal.left_behind


def test_a_long_list_keeps_to_the_lines_of_a_terminal_and_counts_the_rest(
    sqlite_rows: Rows, env: dict[str, str]
) -> None:
    for number in range(30):
        sqlite_rows.job(queue=f"q{number}", status="Pending")
    with Terminal([*PROGRAM, "queue", "list", *QUICK, "-u", sqlite_rows.url], env, lines=12) as terminal:
        picture = terminal.shows("more")
        assert len([line for line in picture if line.strip()]) <= 12
        assert any("22 more" in line for line in picture)


def watched(sqlite_rows: Rows, env: dict[str, str], *words: str) -> Begun:
    return begin([*words, *QUICK, "-u", sqlite_rows.url], env, Path.cwd())


def test_a_pipe_gets_the_queues_that_changed(sqlite_rows: Rows, env: dict[str, str]) -> None:
    sqlite_rows.job(queue="mail", status="Pending")
    sqlite_rows.job(queue="still", status="Pending")
    with watched(sqlite_rows, env, "queue", "list", "--format", "jsonl") as program:
        assert program.stdout is not None
        try:
            assert {json.loads(program.stdout.readline())["queue"] for _ in range(2)} == {"mail", "still"}
            sqlite_rows.job(queue="mail", status="Pending")
            changed = json.loads(program.stdout.readline())
            assert (changed["queue"], changed["ready"]) == ("mail", 2)
        finally:
            program.terminate()
        assert program.wait(PATIENCE) == 143


def test_a_list_that_does_not_change_is_written_once(run: Run, rows: Rows) -> None:
    url = rows.url
    rows.job(queue="mail", status="Pending")
    for form in ("table", "json"):
        done = run("queue", "list", *QUICK, "--count", "3", "--format", form, url=url)
        assert done.exit_code == 0, done.stderr
        assert len(done.stdout.splitlines()) == {"table": 3, "json": 1}[form]
    shown = run("job", "list", *QUICK, "--count", "2", "--fields", "queue,status", url=url).stdout
    assert shown.splitlines()[1].split() == ["queue", "status"]


# Ages.


def test_a_terminal_shows_ages_and_everything_else_times(run: Run, sqlite_rows: Rows, env: dict[str, str]) -> None:
    url = sqlite_rows.url
    created = datetime.now(UTC) - timedelta(minutes=3)
    sqlite_rows.job(queue="mail", status="Pending", created_at=created, scheduled_at=created + timedelta(hours=2))
    with Terminal([*PROGRAM, "job", "list", "-u", url], env, columns=120) as terminal:
        assert terminal.end() == 0
        assert re.search(r"3m \d\ds ago +due in 1h 5", terminal.left_behind)
    piped = run("job", "list", url=url).stdout
    assert f"{created:%Y-%m-%d %H:%M:%S}" in piped
    assert " ago" not in piped


def test_ages_are_never_negative_and_an_unreadable_time_has_none() -> None:
    assert age(START, START + timedelta(seconds=75)) == "1m 15s ago"
    assert age(START, START - timedelta(seconds=75)) == "0 ms ago"
    assert age("soon", START) == brief_age("soon", START) == "-"
    lengths = {timedelta(seconds=59): "59s", timedelta(minutes=59): "59m", timedelta(hours=23): "23h"}
    lengths |= {timedelta(days=1200): "1,200d", timedelta(seconds=-9): "0s"}
    assert {length: brief_age(START, START + length) for length in lengths} == lengths
