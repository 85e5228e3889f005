"""``spawn wait``, ``why`` and ``doctor`` through the user's door: exit codes, formats, consent, stderr."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.features.spawn.queries import why as why_queries
from hammerwork_cli.features.spawn.views.why import diagnosis_text
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.runtime.api.spawn import SpawnLimitError
from hammerwork_cli.view.text import fitted
from tests.forks import Begun, begin
from tests.rows import START, Rows
from tests.terminal import everything

Run = Callable[..., Any]
Start = Callable[..., Begun]
NOW = {"HAMMERWORK_NOW": "2026-11-24T20:00:00Z"}
NOWHERE = "00000000-0000-4000-8000-000000000000"
HELD = {"status": "Pending", "dependency_status": "waiting"}
HOSTILE = 'x\x1b[2J[red]"\n=1+1\u202e'


@pytest.fixture
def url(new_database: Callable[..., str]) -> str:
    return new_database("sqlite", migrated=True)


@pytest.fixture
def rows(url: str) -> Iterator[Rows]:
    with contextlib.closing(connect(url)) as database:
        yield Rows(database)


@pytest.fixture
def start(url: str, clean_environment: dict[str, str]) -> Iterator[Start]:
    """Starts the program and does not wait for its end."""
    with contextlib.ExitStack() as ending:

        def program(*words: str) -> Begun:
            process = begin(words, {**clean_environment, "HAMMERWORK_DATABASE_URL": url}, Path.cwd())
            ending.enter_context(process)
            ending.callback(process.kill)
            return process

        yield program


def finish(rows: Rows, job: str, status: str = "Completed") -> None:
    rows.run(f"UPDATE hammerwork_jobs SET status = '{status}' WHERE id = '{job}'")


# wait


def test_wait_for_a_tree_that_is_finished_already(run: Run, rows: Rows, url: str) -> None:
    root = rows.job()
    rows.job(root)
    done = run("spawn", "wait", root[:8], url=url, env=NOW)
    assert done.exit_code == 0
    assert done.stdout.startswith("Completed · 2 jobs: 2 completed · waited ")
    assert done.stderr == ""


def test_wait_says_which_jobs_failed(run: Run, rows: Rows, url: str) -> None:
    root = rows.job()
    dead = rows.job(root, queue="segment", status="Dead", error_message="moov atom not found")
    done = run("spawn", "wait", root, url=url, env=NOW)
    assert done.exit_code == 1
    assert f"segment {dead[:8]} Dead · moov atom not found" in done.stdout
    assert f"hammerwork spawn why {root[:8]}" in done.stdout
    assert done.stderr == ""
    done = run("spawn", "wait", root, "--format", "json", url=url, env=NOW)
    assert done.exit_code == 1
    assert done.json["outcome"] == "failed"
    assert done.json["counts"] == {"Completed": 1, "Dead": 1}
    assert [job["id"] for job in done.json["failed"]] == [dead]
    error = json.loads(done.stderr)["error"]
    assert (error["code"], error["message"]) == ("no", "1 of 2 jobs failed.")
    assert error["hint"] == "Details are on stdout."


def test_wait_gives_up_after_the_timeout(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(status="Running")
    done = run("spawn", "wait", root, "--timeout", "0.1s", "--interval", "0.01s", "--format", "json", url=url)
    assert done.exit_code == 124
    assert (done.json["outcome"], done.json["open"]) == ("timeout", 1)
    assert json.loads(done.stderr)["error"]["code"] == "timeout"
    quiet = run("spawn", "wait", root, "--timeout", "0.1s", "--quiet", url=url)
    assert quiet.exit_code == 124
    assert "not finished within 0.1s" in quiet.stderr
    assert "Waiting for" not in quiet.stderr


def test_a_timeout_of_0_looks_once_and_a_bare_number_is_seconds(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(status="Running")
    done = run("spawn", "wait", root, "--timeout", "0", "--interval", "500ms", url=url, env=NOW)
    assert done.exit_code == 124
    assert "The tree has not finished within 0 s: 1 job is open." in done.stderr
    assert run("spawn", "wait", root, "--timeout", "0.1", url=url, env=NOW).exit_code == 124
    finish(rows, root)
    assert run("spawn", "wait", root, "--timeout", "0", url=url, env=NOW).exit_code == 0


def test_wait_knows_no_such_job_and_no_such_duration(run: Run, rows: Rows, url: str) -> None:
    assert run("spawn", "wait", NOWHERE, url=url).exit_code == 5
    assert run("spawn", "wait", rows.job(), "--timeout", "soon", url=url).exit_code == 2
    assert run("spawn", "wait", rows.job(), "--interval", "0s", url=url).exit_code == 2


def test_wait_says_that_a_job_is_stuck_and_stops_when_asked_to(run: Run, rows: Rows, url: str) -> None:
    root = rows.job()
    held = rows.job(root, **HELD)
    done = run("spawn", "wait", root, "--fail-stuck", url=url, env=NOW)
    assert done.exit_code == 1
    assert f"{held[:8]} still waits" in done.stderr
    assert "hammerwork spawn doctor --fix" in done.stderr
    assert "can never run" in done.stdout
    assert run("spawn", "wait", root, "--timeout", "0.05s", url=url, env=NOW).exit_code == 124


def test_wait_in_one_process_while_another_finishes_the_jobs(start: Start, rows: Rows) -> None:
    root = rows.job(status="Running", spawns=True)
    process = start("spawn", "wait", root, "--interval", "0.05s", "--timeout", "60s", "--format", "csv")
    assert process.stderr
    assert process.stderr.readline() == "Waiting for 1 job: 1 running\n"
    with contextlib.closing(connect(rows.database.url)) as worker:
        mine = Rows(worker)
        child = worker.transaction(lambda: (finish(mine, root), mine.job(root, status="Pending"))[1])
        assert process.poll() is None
        finish(mine, child, "Running")
        finish(mine, child)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert json.loads(next(csv.DictReader(stdout.splitlines()))["counts"]) == {"Completed": 2}
    assert len(stdout.splitlines()) == 2


def test_wait_ends_with_130_on_ctrl_c(start: Start, rows: Rows) -> None:
    process = start("spawn", "wait", rows.job(status="Running"), "--interval", "60s")
    assert process.stderr
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert "Traceback" not in stderr


# why


def test_why_names_errors_paths_and_what_to_type(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(queue="ingest")
    middle = rows.job(root, queue="transcode")
    leaves = [rows.job(middle, queue="segment", status="Dead", attempts=3, error_message="boom 1") for _ in range(5)]
    done = run("spawn", "why", root[:8], "--limit", "2", url=url)
    assert done.exit_code == 1
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"ingest {root[:8]} · Completed · 7 jobs: 2 completed, 5 dead",
        "",
        "5 dead · segment · boom 1",
        *(
            f"  ingest {root[:8]} → transcode {middle[:8]} → segment {leaf[:8]} · Dead after 3 attempts"
            for leaf in leaves[:2]
        ),
        "  … 3 more",
        "",
        "Next",
        f"  hammerwork job retry {root[:8]} --tree --only failed",
        f"  hammerwork job show {leaves[0][:8]}",
    ]
    done = run("spawn", "why", root, "--format", "json", url=url)
    assert done.exit_code == 1
    assert [group["count"] for group in done.json["groups"]] == [5]
    assert [step["id"] for step in done.json["groups"][0]["jobs"][0]["path"]] == [root, middle, leaves[0]]
    assert done.json["next"][0] == f"hammerwork job retry {root[:8]} --tree --only failed"


def test_why_shows_of_errors_that_differ_in_a_number_the_pattern(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(queue="ingest")
    for number in (3, 5):
        rows.job(root, queue="segment", status="Dead", error_message=f"Codec error in segment {number}")
    assert "2 dead · segment · Codec error in segment *" in run("spawn", "why", root, url=url).stdout
    (group,) = run("spawn", "why", root, "--format", "json", url=url).json["groups"]
    assert (group["error"], group["pattern"]) == ("Codec error in segment 3", "Codec error in segment *")


def test_why_says_what_a_job_waits_for_when_nothing_failed(run: Run, rows: Rows, url: str) -> None:
    running = rows.job(queue="extract", status="Running")
    job = rows.job(running, queue="merge", **HELD)
    done = run("spawn", "why", job, url=url)
    assert done.exit_code == 0
    assert f"Nothing failed at or below {job[:8]}." in done.stdout
    assert f"merge {job[:8]} waits for extract {running[:8]} (running)" in done.stdout
    assert run("spawn", "why", running, "--format", "json", url=url).json["failed"] is False
    assert run("spawn", "why", NOWHERE, url=url).exit_code == 5


LONG = "Processing error: " + "the segment could not be read because its header names a codec that nobody knows, " * 3


@pytest.mark.parametrize("columns", [40, 80])
def test_why_breaks_errors_and_shortens_paths_on_a_narrow_terminal(rows: Rows, columns: int) -> None:
    path = [rows.job(queue="a_queue_with_a_long_name")]
    for level in range(3):
        path.append(rows.job(path[-1], queue=f"another_queue_of_level_{level}"))
    dead = rows.job(path[-1], queue="segment", status="Dead", attempts=3, error_message=LONG)
    again = LONG.replace("segment", "frame").strip()
    rows.job(path[-1], queue="segment", status="Pending", attempts=1, error_message=again)
    found = why_queries.diagnose(rows.database, path[0], limit=3, now=START)
    drawn = diagnosis_text(found, 3, now=START, width=columns)
    lines = [part for line in drawn for part in fitted(line, columns).split("\n")]
    assert max(len(line) for line in lines[1:] if not line.startswith("  hammerwork ")) <= columns
    told = " ".join(" ".join(lines).split())
    assert LONG.strip() in told
    assert again in told
    assert f"segment {dead[:8]}" in told
    assert "Dead after 3 attempts" in told
    assert not any(line.endswith("…") for line in lines)


def test_why_tells_a_cancelled_job_from_a_failed_one(run: Run, rows: Rows, url: str) -> None:
    job = rows.job(status="Pending")
    assert run("job", "cancel", job, "--reason", "wrong file", url=url).exit_code == 0
    done = run("spawn", "why", job, url=url)
    assert done.exit_code == 1
    assert "1 cancelled · work · cancelled by " in done.stdout
    assert "through hammerwork: wrong file" in " ".join(done.stdout.split())
    assert f"hammerwork job retry {job[:8]} --tree --cancelled" in done.stdout
    assert run("spawn", "why", job, "--no-exit-code", url=url).exit_code == 0
    told = run("spawn", "wait", job, "--format", "json", url=url)
    assert (told.exit_code, json.loads(told.stderr)["error"]["message"]) == (1, "1 of 1 job was cancelled.")


def test_without_a_job_the_exit_code_is_0_unless_it_is_asked_for(run: Run, rows: Rows, url: str) -> None:
    assert run("spawn", "why", "--exit-code", url=url).exit_code == 0
    rows.job(status="Dead", error_message="boom")
    assert run("spawn", "why", url=url).exit_code == 0
    assert run("spawn", "why", "--exit-code", url=url).exit_code == 1


def test_why_looks_for_the_cause_above(run: Run, rows: Rows, url: str) -> None:
    cause = rows.job(queue="extract", status="Dead", error_message="disk full")
    job = rows.job(cause, queue="merge", status="Failed", dependency_status="failed")
    done = run("spawn", "why", job, url=url)
    assert done.exit_code == 1
    assert f"extract {cause[:8]} · Dead · disk full" in done.stdout
    assert f"hammerwork job retry {cause[:8]}" in done.stdout


@pytest.mark.parametrize("limit", ["max_spawn_count", "max_depth"])
def test_why_says_what_helps_where_a_retry_would_meet_the_same_limit(
    run: Run, rows: Rows, url: str, limit: str
) -> None:
    root = rows.job(queue="ingest")
    error = SpawnLimitError(limit, 100, 101, root).message
    job = rows.job(root, queue="split", status="Dead", error_message=error)
    done = run("spawn", "why", root, url=url)
    assert done.exit_code == 1
    assert f"A retry would hit {limit} again. Enqueue the job again, with a higher limit in the spawn" in done.stdout
    assert next_of(done) == [f"hammerwork job show {job[:8]}"]
    merge = rows.job(job, queue="merge", status="Failed", dependency_status="failed")
    assert next_of(run("spawn", "why", merge, url=url)) == [f"hammerwork job show {job[:8]}"]
    rows.job(root, queue="split", status="Dead", error_message="boom")
    assert f"hammerwork job retry {root[:8]} --tree --only failed" in next_of(run("spawn", "why", root, url=url))


def test_why_says_how_many_waiting_jobs_are_stuck(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(status="Dead", error_message="boom")
    rows.job(root, **HELD)
    assert "\n1 job waits for others and is stuck\n" in run("spawn", "why", root, url=url).stdout
    rows.job(root, **HELD)
    assert "\n2 jobs wait for others and are stuck\n" in run("spawn", "why", root, url=url).stdout


def test_why_counts_what_failed_because_of_these(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(status="Dead", error_message="late")
    rows.job(root, status="Dead", error_message="boom")
    assert "\n1 more job failed because of these.\n" in run("spawn", "why", root, url=url).stdout


def test_why_and_show_say_what_releases_a_job_and_what_waits_for_it(run: Run, rows: Rows, url: str) -> None:
    root = rows.job()
    held = rows.job(root, queue="held", **HELD)
    after = rows.job(held, queue="after", **HELD)
    done = run("spawn", "why", root, url=url, env=NOW).stdout
    assert f"after {after[:8]} is stuck behind held {held[:8]}" in done
    assert done.count("hammerwork spawn doctor --fix\n") == 1
    assert "never run" not in done
    assert "To release it: hammerwork spawn doctor --fix\n" in run("job", "show", held, url=url).stdout


def test_why_does_not_propose_to_retry_what_has_been_archived(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(queue="ingest")
    dead = rows.job(root, queue="segment", status="Dead", error_message="boom", archived_at=START)
    done = run("spawn", "why", root, url=url)
    assert done.exit_code == 1
    assert "1 of them archived" in done.stdout
    assert "job retry" not in done.stdout
    assert f"hammerwork job show {dead[:8]}" in done.stdout
    rows.job(root, queue="segment", status="Dead", error_message="boom")
    assert f"hammerwork job retry {root[:8]} --tree" in run("spawn", "why", root, url=url).stdout


def serve(rows: Rows, *queues: str, lease: float = 30) -> str:
    """A worker that lives as long as its lease."""
    worker = str(uuid4())
    registry.register(rows.database, registry.Registration(worker, "w-1", "here", 1, "1", tuple(queues), (), 8, lease))
    return worker


def test_why_says_after_a_retry_who_would_take_the_jobs(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(queue="ingest")
    for _ in range(2):
        rows.job(root, queue="segment", status="Dead", error_message="boom")
    run("job", "retry", root, "--tree", "--yes", url=url)
    done = run("spawn", "why", root, url=url)
    assert done.exit_code == 0
    assert "2 jobs are due, and waiting for a worker\n  segment \N{MULTIPLICATION SIGN}2 · the first, " in done.stdout
    assert "no running worker serves this queue (Rust workers do not register)" in done.stdout
    assert next_of(done) == [
        "hammerwork worker start --queue segment --handlers my_app:app",
        "hammerwork worker list",
    ]
    serve(rows, "segment")
    assert next_of(run("spawn", "why", root, url=url)) == [f"hammerwork spawn wait {root[:8]}"]
    run("queue", "pause", "segment", url=url)
    done = run("spawn", "why", root, url=url)
    assert " · the queue is paused since " in done.stdout
    assert next_of(done) == ["hammerwork queue resume segment"]
    record = run("spawn", "why", root, "--format", "json", url=url).json
    assert record["under_way"] == [{"queue": "segment", "counts": {"Pending": 2}, "paused": True, "workers": 1}]


def next_of(done: Any) -> list[str]:
    return [line.strip() for line in done.stdout.partition("\nNext\n")[2].splitlines()]


def test_why_names_the_date_of_what_is_not_due_and_does_not_propose_to_wait(run: Run, rows: Rows, url: str) -> None:
    serve(rows, "reminder")
    job = rows.job(queue="reminder", status="Pending", scheduled_at=START + timedelta(days=3650))
    run("queue", "pause", "reminder", url=url)
    done = run("spawn", "why", job, url=url, env=NOW)
    assert "1 job is not due yet\n" in done.stdout
    assert f"  reminder {job[:8]} · due 2036-11-21 14:00:00 UTC (in 3,649d 18h) · the queue is paused" in done.stdout
    assert next_of(done) == ["hammerwork queue resume reminder", f"hammerwork job show {job[:8]}"]
    (delay,) = run("spawn", "why", job, "--format", "json", url=url, env=NOW).json["delays"]
    assert (delay["reason"], delay["at"], delay["paused"]) == ("scheduled", "2036-11-21T14:00:00.000000Z", True)


def test_why_says_how_long_jobs_run_whose_worker_nobody_knows(run: Run, rows: Rows, url: str) -> None:
    root = rows.job()
    rows.job(root, queue="chunk", status="Running", started_at=START)
    rows.job(root, queue="chunk", status="Running", started_at=START + timedelta(hours=5, minutes=59))
    done = run("spawn", "why", root, url=url, env=NOW)
    assert "1 job has been Running for over 1 h with no live worker\n  chunk " in done.stdout
    assert " · for 6h 00m\n" in done.stdout
    assert "1 job is running\n  chunk " in done.stdout
    assert next_of(done) == [
        "hammerwork spawn doctor --older-than 1h",
        "hammerwork worker start --upkeep-only --rescue-older-than 1h",
    ]


def test_why_knows_whose_worker_lives_and_whose_is_silent(run: Run, rows: Rows, url: str) -> None:
    living, silent = serve(rows, "work"), serve(rows, "work", lease=-1)
    rows.run("UPDATE hammerwork_workers SET running = 1")
    job = rows.job(status="Running", started_at=START, claimed_by=living)
    done = run("spawn", "why", job, url=url, env=NOW)
    assert f"1 job is running\n  work {job[:8]} · for 6h 00m · on w-1\n" in done.stdout
    assert next_of(done) == [f"hammerwork spawn wait {job[:8]}"]
    job = rows.job(status="Running", started_at=START, claimed_by=silent)
    done = run("spawn", "why", job, url=url, env=NOW)
    assert "1 job is Running on a silent worker; if it stays silent, another worker rescues it\n" in done.stdout
    assert re.search(r" · w-1 has been silent for \S+.*; its lease is -1 s\n", done.stdout)
    assert next_of(done) == ["hammerwork worker list"]


def test_why_tells_the_error_of_jobs_between_two_attempts(run: Run, rows: Rows, url: str) -> None:
    serve(rows, "segment")
    root = rows.job()
    for minutes in (12, 5):
        rows.job(
            root,
            queue="segment",
            status="Pending",
            attempts=1,
            max_attempts=3,
            error_message=f"HTTP 503 in {minutes} ms\nbusy",
            scheduled_at=START + timedelta(hours=6, minutes=minutes),
        )
    done = run("spawn", "why", root, url=url, env=NOW)
    assert done.exit_code == 0
    assert f"Nothing failed for good at or below {root[:8]}.\n" in done.stdout
    assert (
        "2 jobs are waiting for the next attempt after a failure\n  segment \N{MULTIPLICATION SIGN}2 · the "
        in done.stdout
    )
    assert "next 2026-11-24 20:05:00 UTC (in 5m 00s) · after attempt 1 of 3 · HTTP 503 in 12 ms\n" in done.stdout
    done = run("spawn", "why", root, url=url, env={"HAMMERWORK_NOW": "2026-11-24T20:10:00Z"})
    assert "1 job is due, and waiting for a worker; the last attempt failed\n  segment " in done.stdout
    assert " · due 5m 00s ago · after attempt 1 of 3 · HTTP 503 in 5 ms\n" in done.stdout
    assert "1 job is waiting for the next attempt after a failure\n  segment " in done.stdout
    assert next_of(done) == [f"hammerwork spawn wait {root[:8]}"]
    late = rows.job(
        root,
        queue="segment",
        status="Pending",
        attempts=2,
        error_message="boom",
        scheduled_at=START + timedelta(days=1),
    )
    assert next_of(run("spawn", "why", late, url=url, env=NOW)) == [f"hammerwork job show {late[:8]}"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"status": "pending"},
            "1 job is in a misspelt status: on PostgreSQL and SQLite no worker claims it, and on MySQL and MariaDB"
            " a Rust worker that claims it leaves it Running",
        ),
        (
            {"status": "Pending", "dependency_status": "failed"},
            "1 job is Pending with a dependency status that no worker accepts",
        ),
    ],
)
def test_why_sends_to_the_doctor_what_no_worker_takes(
    run: Run, rows: Rows, url: str, columns: dict[str, str], said: str
) -> None:
    job = rows.job(**columns)
    done = run("spawn", "why", job, url=url, env=NOW)
    assert f"{said}\n  work {job[:8]}\n" in done.stdout
    assert next_of(done) == ["hammerwork spawn doctor --fix"]


def test_why_and_doctor_say_that_unfinished_tables_block_a_job(run: Run, rows: Rows, url: str) -> None:
    due = rows.job(status="Pending", scheduled_at=START)
    rows.run("DELETE FROM hammerwork_migrations WHERE migration_id > '014'")
    rows.run("DROP TABLE hammerwork_queue_pause")
    doctor = run("spawn", "doctor", url=url, env=NOW).stdout
    assert "1 job blocked by unfinished tables" in doctor
    assert "Run: hammerwork migration run" in doctor
    why = run("spawn", "why", due, url=url, env=NOW).stdout
    assert "Rust workers claim nothing until the tables are finished" in why
    assert why.endswith("\nNext\n  hammerwork migration run\n")
    shown = run("job", "show", due, "--format", "json", url=url, env=NOW).json
    assert shown["hold_message"].endswith("Rust workers claim nothing until the tables are finished")


def test_why_names_jobs_that_completed_and_never_spawned(run: Run, rows: Rows, url: str) -> None:
    job = rows.job(queue="dataset", spawns={"max_spawn_count": 20})
    done = run("spawn", "why", job, url=url, env=NOW)
    assert done.exit_code == 0
    assert (
        "1 job completed and spawned nothing, though it carries a spawn configuration\n"
        f"  dataset {job[:8]} · Rust workers ignore its short form\n"
    ) in done.stdout
    assert next_of(done) == [f"hammerwork spawn again {job[:8]}"]
    record = run("spawn", "why", job, "--format", "json", url=url, env=NOW).json
    assert record["never_spawned"] == [{"id": job, "queue": "dataset", "why": "Rust workers ignore its short form"}]


def test_a_very_deep_path_shows_its_ends(run: Run, rows: Rows, url: str) -> None:
    with rows.at_once():
        chain = [rows.job(queue="crawl")]
        for _ in range(1500):
            chain.append(rows.job(chain[-1], queue="crawl"))
        dead = rows.job(chain[-1], queue="crawl", status="Dead", error_message="boom")
    done = run("spawn", "why", chain[0], url=url)
    assert done.exit_code == 1
    assert max(map(len, done.stdout.splitlines())) < 200
    assert "1,497 more" in done.stdout
    assert dead[:8] in done.stdout


# doctor


def test_doctor_has_nothing_to_say_about_a_healthy_database(run: Run, rows: Rows, url: str) -> None:
    rows.job()
    done = run("spawn", "doctor", url=url)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "No damage found.\n")
    assert run("spawn", "doctor", "--format", "json", url=url).json == []
    assert run("spawn", "doctor", "--fix", url=url).exit_code == 0


def test_doctor_looks_and_changes_nothing_without_fix(run: Run, rows: Rows, url: str) -> None:
    bad = rows.job(queue="ingest", status="pending")
    for options in ((), ("--dry-run",), ("--fix", "--dry-run", "--yes")):
        done = run("spawn", "doctor", *options, url=url)
        assert done.exit_code == 1
        assert f"{bad[:8]}  ingest  pending" in done.stdout
        assert "--fix corrects the spelling." in done.stdout
    assert "Fix 1 job with: hammerwork spawn doctor --fix\n" in run("spawn", "doctor", url=url).stdout
    done = run("spawn", "doctor", "--older-than", "2h", "--queue", "ingest", url=url)
    assert "Fix 1 job with: hammerwork spawn doctor --older-than 2h --queue ingest --fix\n" in done.stdout
    assert rows.database.query("SELECT status FROM hammerwork_jobs") == [("pending",)]


def test_doctor_needs_confirmation(run: Run, rows: Rows, url: str) -> None:
    rows.job(status="pending")
    for options in ((), ("--format", "json")):
        done = run("spawn", "doctor", "--fix", *options, url=url)
        assert done.exit_code == 2
        assert done.stdout == ""
        assert "--yes" in done.stderr
    assert "1 job with a misspelt status: corrects the spelling" in run("spawn", "doctor", "--fix", url=url).stderr
    assert rows.database.query("SELECT status FROM hammerwork_jobs") == [("pending",)]


def test_doctor_asks_on_a_terminal(rows: Rows, url: str, clean_environment: dict[str, str]) -> None:
    rows.job(status="pending")
    environment = {**clean_environment, "HAMMERWORK_DATABASE_URL": url}
    for answer, exit_code, status in ((b"no\n", 2, "pending"), (b"y\n", 0, "Pending")):
        controller, terminal = pty.openpty()
        process = begin(["spawn", "doctor", "--fix"], environment, Path.cwd(), streams={0: terminal, 2: terminal})
        os.close(terminal)
        os.write(controller, answer)
        process.communicate(timeout=60)
        said = everything(controller)
        assert ("Nothing was changed." in said) == (exit_code == 2)
        assert "Error" not in said
        assert process.returncode == exit_code
        assert rows.database.query("SELECT status FROM hammerwork_jobs") == [(status,)]


def test_pending_names_the_doctor_for_what_is_stuck(run: Run, rows: Rows, url: str) -> None:
    root = rows.job(spawns=True)
    job = rows.job(root, status="Running", spawns=True)
    rows.job(job, **HELD)
    assert "doctor" not in run("spawn", "pending", url=url).stderr
    finish(rows, job)
    assert "hammerwork spawn doctor" in run("spawn", "pending", url=url).stderr
    assert run("spawn", "pending", "--format", "json", url=url).stderr == ""


def test_doctor_claims_no_more_than_it_found(run: Run, rows: Rows, url: str) -> None:
    rows.job(status="pending")
    rows.job(status="Running", started_at=START, attempts=1)
    done = run("spawn", "doctor", "--fix", "--yes", url=url, env=NOW)
    fixed, doubt = done.stderr.splitlines()
    assert fixed == "All damage is fixed."
    assert doubt.startswith("1 job is Running, the first since ")


def test_doctor_fixes_and_says_what_is_left(run: Run, rows: Rows, url: str) -> None:
    rows.job(status="pending")
    rows.job(status="Running", started_at=START, attempts=1)
    rows.job(queue="odd", status="Gone fishing")
    done = run("spawn", "doctor", "--fix", "--yes", "--older-than", "2h", url=url, env=NOW)
    assert done.exit_code == 1
    assert "Fixed 1 job with a misspelt status: corrected\n" in done.stdout
    assert "Fixed 1 lost job: set to Retrying" in done.stdout
    assert "Left 1 job with an unknown status" in done.stdout
    assert "  Its status is unknown.\n" in run("spawn", "doctor", url=url, env=NOW).stdout
    again = run("spawn", "doctor", "--format", "json", url=url, env=NOW)
    assert [(finding["kind"], finding["mendable"]) for finding in again.json] == [("unknown_status", False)]
    rows.run("DELETE FROM hammerwork_jobs WHERE status = 'Gone fishing'")
    rows.job(status='"Dead"')
    done = run("spawn", "doctor", "--fix", "--yes", "--format", "json", url=url, env=NOW)
    assert done.exit_code == 0
    assert [(finding["kind"], finding["mended"], finding["left"]) for finding in done.json] == [
        ("misspelt_status", 1, 0)
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("media.postgresql", marks=pytest.mark.postgres),
        pytest.param("damaged.mariadb", marks=pytest.mark.mysql),
    ],
)
def test_after_doctor_has_fixed_the_damage_of_rust_workers_none_is_left(
    run: Run, restored: Callable[[str], str], name: str
) -> None:
    url = restored(name)
    look = ("spawn", "doctor", "--older-than", "2h")
    assert run(*look, url=url, env=NOW).exit_code == 1
    assert run("migration", "run", url=url).exit_code == 0
    fixed = run(*look, "--fix", "--yes", url=url, env=NOW)
    assert fixed.exit_code == 0, fixed
    assert "Note: 5 jobs that never spawned" in fixed.stdout
    again = run(*look, url=url, env=NOW)
    found = run(*look, "--format", "json", url=url, env=NOW).json
    assert {finding["severity"] for finding in found} == {"note"}
    strict = run(*look, "--strict", url=url, env=NOW)
    kinds = len({finding["kind"] for finding in found})
    notes = "1 note" if kinds == 1 else f"{kinds} notes"
    assert (again.exit_code, again.stderr) == (0, f"No damage found; {notes}.\n")
    assert run(*look, "--fix", "--yes", url=url, env=NOW).stderr == f"No damage found; {notes}.\n"
    assert strict.exit_code == 1
    assert strict.stderr == f"No damage, but --strict counts {notes}: exit code 1.\n"
    assert re.search(r"If they should have: hammerwork spawn again [0-9a-f]{8}\n", strict.stdout)


def test_doctor_asks_for_an_age_where_jobs_are_running(run: Run, rows: Rows, url: str) -> None:
    rows.job(status="Running", started_at=START)
    done = run("spawn", "doctor", url=url, env=NOW)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "1 job is Running, the first since 2026-11-24 14:00:00 UTC" in done.stderr
    assert "--older-than 2h" in done.stderr
    assert run("spawn", "doctor", "--older-than", "2h", url=url, env=NOW).exit_code == 1
    assert run("spawn", "doctor", "--older-than", "long", url=url, env=NOW).exit_code == 2


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "tsv"])
def test_every_format_can_be_read_whatever_the_rows_say(run: Run, rows: Rows, url: str, form: str) -> None:
    root = rows.job(queue=HOSTILE)
    rows.job(root, queue=HOSTILE, status="dead", error_message=HOSTILE)
    rows.job(root, queue=HOSTILE, status=HOSTILE)
    rows.job(root, queue=HOSTILE, **HELD)
    verbs = (("doctor", "--older-than", "1s"), ("why", root), ("wait", root, "--timeout", "0s"))
    for verb in verbs:
        done = run("spawn", *verb, "--format", form, url=url, env=NOW)
        assert done.exit_code in {1, 124}, done.stderr
        assert "\x1b" not in done.stdout
        if form in {"json", "jsonl"}:
            documents = [done.json] if form == "json" else [json.loads(line) for line in done.stdout.splitlines()]
            assert documents
            assert all(documents)
        else:
            read = list(csv.DictReader(io.StringIO(done.stdout), delimiter="," if form == "csv" else "\t"))
            assert read
            assert all(None not in record for record in read)
        if form == "json":
            text = run("spawn", *verb, url=url, env=NOW).stdout
            assert "\x1b" not in text
            assert "\u202e" not in text
