"""``hammerwork monitor logs``: what happened to jobs."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli.features.monitor.queries.logs import Log
from hammerwork_cli.features.schema.views import SCHEMAS
from tests.conftest import all_databases
from tests.forks import begin
from tests.rows import START, Rows
from tests.terminal import PATIENCE

Run = Callable[..., Any]


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def events(run: Run, rows: Rows, *words: str) -> list[dict[str, Any]]:
    done = run("monitor", "logs", "--format", "jsonl", *words, url=rows.url)
    assert done.exit_code == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for event in found:
        Draft202012Validator(SCHEMAS["monitor-logs"]).validate(event)
    assert [event["at"] for event in found] == sorted(event["at"] for event in found)
    return found


def told(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["event"], event["queue"]) for event in found]


@pytest.fixture
def night(rows: Rows) -> dict[str, str]:
    """A parent that spawned two jobs, one of which is dead after two attempts; jobs in other states."""
    parent = rows.job(queue="ingest", created_at=at(1), started_at=at(2), completed_at=at(4), attempts=1)
    ids = {
        "parent": parent,
        "done": rows.job(parent, queue="segment", created_at=at(4), started_at=at(5), completed_at=at(6), attempts=1),
        "dead": rows.job(
            parent,
            queue="segment",
            status="Dead",
            created_at=at(4),
            started_at=at(7),
            failed_at=at(8),
            attempts=2,
            error_message="moov atom\x1b not found\nTraceback",
        ),
        "running": rows.job(queue="mail", status="Running", created_at=at(0), started_at=at(9), attempts=1),
        "cancelled": rows.job(
            queue="mail",
            status="Failed",
            created_at=at(0.5),
            failed_at=at(10),
            error_message="cancelled by me@here through hammerwork-cli",
        ),
        "late": rows.job(queue="mail", status="TimedOut", created_at=at(0.6), timed_out_at=at(11)),
    }
    spawn = {"id": str(uuid4()), "parent_id": parent, "root_id": parent, "depth": 0, "occurrence": ""}
    spawn |= {"outcome": "spawned", "children": 2, "started_at": at(3), "ended_at": at(4), "handler": "ingest"}
    rows.insert("hammerwork_spawn_operations", spawn)
    return ids


@all_databases
def test_events_of_all_jobs_are_shown_in_their_order(run: Run, rows: Rows, night: dict[str, str]) -> None:
    found = events(run, rows)
    assert told(found) == [
        ("created", "mail"),
        ("created", "mail"),
        ("created", "mail"),
        ("created", "ingest"),
        ("started", "ingest"),
        ("created", "segment"),
        ("created", "segment"),
        ("spawned", "ingest"),
        ("completed", "ingest"),
        ("started", "segment"),
        ("completed", "segment"),
        ("started", "segment"),
        ("dead", "segment"),
        ("started", "mail"),
        ("cancelled", "mail"),
        ("timed_out", "mail"),
    ]
    dead = next(event for event in found if event["event"] == "dead")
    assert (dead["job_id"], dead["attempt"], dead["seconds"]) == (night["dead"], 2, 60)
    assert dead["error"].startswith("moov atom")
    spawned = next(event for event in found if event["event"] == "spawned")
    assert (spawned["children"], spawned["seconds"]) == (2, 60)


@all_databases
def test_the_newest_lines_of_a_queue_a_job_or_a_tree_are_chosen(run: Run, rows: Rows, night: dict[str, str]) -> None:
    assert told(events(run, rows, "--lines", "2")) == [("cancelled", "mail"), ("timed_out", "mail")]
    assert {queue for _, queue in told(events(run, rows, "--queue", "segment"))} == {"segment"}
    assert told(events(run, rows, "-n", "ingest", "-l", "2")) == [("spawned", "ingest"), ("completed", "ingest")]
    assert told(events(run, rows, "--job", night["done"][:8])) == [
        ("created", "segment"),
        ("started", "segment"),
        ("completed", "segment"),
    ]
    below = events(run, rows, "--tree", night["parent"])
    assert {event["job_id"] for event in below} == {night["parent"], night["done"], night["dead"]}
    assert sum(event["event"] == "spawned" for event in below) == 1
    assert [event["job_id"] for event in events(run, rows, "--tree", night["dead"])] == [night["dead"]] * 3


def test_events_since_a_time_are_all_of_them_up_to_a_number_of_lines(
    run: Run, rows: Rows, night: dict[str, str]
) -> None:
    del night
    every, start = events(run, rows), f"{at(5):%Y-%m-%d %H:%M}"  # as lists print it
    later = [event for event in every if event["at"] >= at(5).strftime("%Y-%m-%dT%H:%M")]
    assert 0 < len(later) < len(every)
    assert events(run, rows, "--since", start) == later
    done = run("monitor", "logs", "--since", start, "--lines", "2", url=rows.url)
    assert (len(done.stdout.splitlines()), "newest 2; there may be more" in done.stderr) == (2, True)
    log = Log(rows.database, lines=10_000, since=at(5))
    assert len(log.refresh()) == len(later)
    assert log.refresh() == []
    rows.database.script("DELETE FROM hammerwork_jobs")
    for number in range(60):
        rows.job(created_at=at(10 + number))
    assert [len(events(run, rows, *words)) for words in ((), ("--since", start))] == [50, 60]


def test_attempts_that_another_one_followed_have_events_of_their_own(
    run: Run, rows: Rows, night: dict[str, str]
) -> None:
    worker = str(uuid4())
    facts = {"host": "here", "pid": 1, "version": "1", "queues": "[]", "handlers": "[]", "concurrency": 4}
    facts |= {"lease_seconds": 30.0, "state": "running", "started_at": at(0), "heartbeat_at": at(1)}
    rows.insert("hammerwork_workers", {"id": worker, "name": "render-1", **facts})
    retrying = rows.job(
        queue="mail", status="Pending", created_at=at(0.7), attempts=1, error_message="refused", scheduled_at=at(90)
    )
    past = {"worker_id": worker, "error_message": "first\nline"}
    for job, number, start, end, outcome in (
        (night["dead"], 1, 4.5, 5.5, "failed"),
        (night["dead"], 2, 7, 8, "failed"),
        (retrying, 1, 20, 21, "lost"),
    ):
        times = {"started_at": at(start), "ended_at": at(end)}
        row = {**past, "job_id": job, **times, "attempt": number, "outcome": outcome}
        rows.insert("hammerwork_attempts", row)
    assert [(event["event"], event["attempt"]) for event in events(run, rows, "--job", night["dead"])] == [
        ("created", None),
        ("started", 1),
        ("attempt_failed", 1),
        ("started", 2),
        ("dead", 2),
    ]
    *_, started, lost = events(run, rows)
    assert (started["event"], started["job_id"]) == ("started", retrying)
    assert (lost["event"], lost["outcome"], lost["worker"], lost["seconds"]) == (
        "attempt_failed",
        "lost",
        "render-1",
        60,
    )
    shown = run("monitor", "logs", url=rows.url).stdout.splitlines()
    assert shown[-1].endswith(f"mail {retrying[:8]}  attempt 1 lost, in 1m 00s, on render-1: first")
    assert run("job", "retry", night["dead"], url=rows.url).exit_code == 0
    for option, job in (("--job", night["dead"]), ("--tree", night["parent"])):
        found = [event for event in events(run, rows, option, job) if event["job_id"] == night["dead"]]
        assert [(event["event"], event["attempt"]) for event in found if event["event"] != "retried"] == [
            ("created", None),
            ("started", 1),
            ("attempt_failed", 1),
            ("started", 2),
            ("attempt_failed", 2),
        ]


def test_people_get_a_line_for_each_event_without_control_characters(
    run: Run, rows: Rows, night: dict[str, str]
) -> None:
    shown = run("monitor", "logs", url=rows.url).stdout
    [dead] = [line for line in shown.splitlines() if "  dead " in line]
    assert dead == (
        f"2026-11-24 14:08:00.000  dead            segment {night['dead'][:8]}  "
        "attempt 2, in 1m 00s: moov atom\\x1b not found"
    )
    assert f"spawned         ingest {night['parent'][:8]}  2 children, in 1m 00s" in shown


def test_a_database_of_rust_workers_has_events_too(run: Run, shared_restored: Callable[[str], str]) -> None:
    for name in ("media.postgresql", "media.mariadb"):
        done = run("monitor", "logs", "--format", "jsonl", "--lines", "1000", url=shared_restored(name))
        assert done.exit_code == 0, done.stderr
        kinds = {json.loads(line)["event"] for line in done.stdout.splitlines()}
        assert {"created", "started", "completed", "dead"} <= kinds


@pytest.mark.parametrize(
    "words",
    [("--queue", "mail", "--job", "0000"), ("--interval", "1"), ("--lines", "0"), ("--follow", "--interval", "0")],
    ids=" ".join,
)
def test_options_that_make_no_sense_are_refused(run: Run, migrated_url: str, words: tuple[str, ...]) -> None:
    assert run("monitor", "logs", *words, url=migrated_url).exit_code == 2


def test_a_job_that_does_not_exist_exits_5(run: Run, migrated_url: str) -> None:
    assert run("monitor", "logs", "--job", "ffffffff", url=migrated_url).exit_code == 5
    done = run("monitor", "logs", url=migrated_url)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "No events.\n")


@pytest.mark.parametrize("option", ["--follow", "--tail"])
def test_following_tells_each_event_once(rows: Rows, clean_environment: dict[str, str], option: str) -> None:
    first = rows.job(queue="mail", status="Pending", created_at=at(0))
    words = ["monitor", "logs", option, "--interval", "0.2", "--format", "jsonl", "-u", rows.url]
    with begin(words, clean_environment, Path.cwd()) as program:
        assert program.stdout is not None
        try:
            assert json.loads(program.stdout.readline())["job_id"] == first
            second = rows.job(queue="mail", created_at=at(1), started_at=at(2), completed_at=at(3))
            found = [json.loads(program.stdout.readline()) for _ in range(3)]
            assert [(event["job_id"], event["event"]) for event in found] == [
                (second, "created"),
                (second, "started"),
                (second, "completed"),
            ]
        finally:
            program.terminate()
        assert program.wait(PATIENCE) == 143


def test_following_does_not_tell_older_events_than_the_lines_that_it_began_with(rows: Rows) -> None:
    for number in range(5):
        rows.job(queue="mail", status="Pending", created_at=START + timedelta(seconds=number))
    log = Log(rows.database, lines=2)
    assert len(log.refresh()) == 2
    assert log.refresh() == []
    new = rows.job(queue="mail", status="Pending", created_at=START + timedelta(seconds=9))
    assert [event.job for event in log.refresh()] == [new]
