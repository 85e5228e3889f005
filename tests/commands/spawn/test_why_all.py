"""``spawn why`` without a job: failures by error, and commands that retry exactly these."""

import contextlib
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.features.spawn.views.failures import error_filter
from hammerwork_cli.features.worker.queries import claim, finish, registry
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from tests.conftest import all_databases
from tests.rows import START, Rows

Run = Callable[..., Any]
NOW = {"HAMMERWORK_NOW": "2026-11-24T20:00:00Z"}
HOSTILE = 'x\x1b[2J[red]"\n=1+1\u202e'


def fill(url: str, *errors: str, queue: str = "segment", **columns: Any) -> list[str]:
    """Writes a tree with a failed job for each error; returns their ids."""
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        root = rows.job(queue="ingest")
        values = {"status": "Dead", "queue": queue, "failed_at": START + timedelta(hours=5), **columns}
        return [rows.job(root, error_message=error, **values) for error in errors]


def pending(url: str) -> set[str]:
    with contextlib.closing(connect(url)) as database:
        return {str(job) for (job,) in database.query("SELECT id FROM hammerwork_jobs WHERE status = 'Pending'")}


def why(run: Run, url: str, *words: str) -> Any:
    done = run("spawn", "why", *words, "--format", "json", url=url, env=NOW)
    assert done.exit_code == 0, done
    return done.json


ALIKE = [
    (["connection to db1 refused after 5 ms", "connection to db22 refused after 61 ms"], ["connection refused"]),
    (["100% of 'a_b' lost!", "100% of 'it' lost!"], ["100% of it lost!"]),
    (['no "\\d" in c:\\temp', 'no "x" in c:\\temp'], ['no "x" in c:/temp']),
    (["Traceback (most recent call last):\n  File x\nKeyError: 'a 1'\n", "KeyError: 'b 2'"], ["KeyError"]),
    (["KeyError: 'vat_id'"] * 3, ["KeyError: 'email'", "KeyError: 7"]),
    (["mailbox unavailable: ada@example.org", "mailbox unavailable: bob@example.org"], ["mailbox ada@example.org"]),
    (["-rf is \x1b[1m not\u202e ok" + "!" * 300], ["-rf is ok"]),
]


@all_databases
def test_the_command_of_an_error_retries_just_its_jobs(run: Run, migrated_url: str) -> None:
    for alike, others in ALIKE:
        with contextlib.closing(connect(migrated_url)) as database:
            database.script("DELETE FROM hammerwork_jobs")
        wanted = set(fill(migrated_url, *alike))
        fill(migrated_url, *others)
        fill(migrated_url, *alike, queue="Segment")
        fill(migrated_url, *alike, failed_at=START)
        [group] = [
            group
            for group in why(run, migrated_url, "--queue", "segment", "--since", "4h")["groups"]
            if group["job_id"] in wanted
        ]
        assert (alike, group["jobs"], group["trees"]) == (alike, len(alike), 1)
        program, *words = shlex.split(group["retry"])
        assert program == "hammerwork"
        assert run(*words, "--yes", url=migrated_url, env=NOW).exit_code == 0
        assert (alike, pending(migrated_url)) == (alike, wanted)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("boom", "boom"),
        ("*: no host *, port *", ": no host *, port"),
        ("", None),
        ("* * (*)", None),
        ("oh*", None),
        ("a\x1b[1mb\nword", "a*[1mb*word"),
        ("x" * 400, "x" * 160),
    ],
)
def test_a_filter_can_be_typed_and_tells_errors_apart(pattern: str, text: str | None) -> None:
    assert error_filter(pattern) == text


def test_the_answer_for_people_has_counts_an_example_and_commands(run: Run, lite_url: str) -> None:
    jobs = fill(lite_url, "moov atom 1 not found", "moov atom 2 not found", "42")
    done = run("spawn", "why", "--since", "2026-11-24T16:00:00Z", url=lite_url, env=NOW)
    lines = done.stdout.splitlines()
    assert (done.exit_code, done.stderr) == (0, "")
    assert lines[:4] == [
        "3 jobs: 3 dead · since 2026-11-24 16:00:00 UTC",
        "",
        "2 dead · moov atom * not found",
        "  in 1 tree · queue segment · at 2026-11-24 19:00:00 UTC",
    ]
    assert lines[4].startswith("  such as ingest ")
    assert lines[5] == "  hammerwork job retry --error 'moov atom * not found' --failed-since 2026-11-24T16:00:00Z"
    assert lines[7:9] == ["1 dead · 42", "  in 1 tree · queue segment · at 2026-11-24 19:00:00 UTC"]
    assert lines[-1] == f"  hammerwork job show {jobs[2][:8]}"


def test_without_failures_it_says_so(run: Run, lite_url: str) -> None:
    done = run("spawn", "why", "--queue", "mail", url=lite_url)
    assert (done.exit_code, done.stdout) == (0, "No failed jobs · queue mail\n")


WORKER = "11111111-1111-4111-8111-111111111111"


def fail(rows: Rows, queue: str, error: str, at: datetime, end: AttemptEnd = AttemptEnd.RETRY) -> None:
    """Lets a worker claim the jobs of a queue that are due, and fail a second later."""
    taken = claim.claim(rows.database, queue, worker=WORKER, now=at, limit=9, slots=9)
    again = at + timedelta(minutes=5) if end is AttemptEnd.RETRY else None
    ends = [EndedAttempt(job, end, error=error, at=again, timed_out=error == "HTTP 503") for job in taken]
    assert len(ends) == 2
    assert not finish.finish(rows.database, ends, at + timedelta(seconds=1)).lost


def dated(run: Run, url: str, *words: str) -> list[tuple[str, int, str, str]]:
    """The errors with their jobs, first and last times, the newest error last."""
    groups = why(run, url, *words)["groups"]
    found = [(one["error"], one["jobs"], one["first_at"][11:19], one["last_at"][11:19]) for one in groups]
    return sorted(found, key=lambda one: one[2])


@all_databases
def test_failures_are_those_of_attempts_while_their_jobs_are_retried(run: Run, migrated_url: str, rows: Rows) -> None:
    registry.register(rows.database, registry.Registration(WORKER, "w-1", "here", 1, "1", ("mail",), (), 8, 30.0))
    for queue in ("mail", "mail", "post", "post"):
        rows.job(queue=queue, status="Pending", max_attempts=9)
    fail(rows, "mail", "HTTP 503", START + timedelta(hours=4))
    fail(rows, "mail", "no answer", START + timedelta(hours=5))
    fail(rows, "mail", "HTTP 503", START + timedelta(hours=5, minutes=30))
    fail(rows, "post", "no such host", START + timedelta(hours=5, minutes=52))
    # The jobs are as old as each other, and so is an error that is older than a deployment at 19:00.
    old, new = ("HTTP 503", 2, "18:00:01", "19:30:01"), ("no such host", 2, "19:52:01", "19:52:01")
    assert dated(run, migrated_url) == [old, new]
    assert dated(run, migrated_url, "--since", "10m") == [new]
    assert dated(run, migrated_url, "--since", "1h") == [("HTTP 503", 2, "19:30:01", "19:30:01"), new]
    for since, jobs in {"7m": 0, "10m": 2, "1h": 4}.items():
        listed = run("job", "list", "--failed-since", since, "--format", "json", url=migrated_url, env=NOW).json
        assert (since, [job["status"] for job in listed]) == (since, ["Retrying"] * jobs)
    fail(rows, "post", "no such host", START + timedelta(hours=5, minutes=59), AttemptEnd.FAILED)
    assert dated(run, migrated_url, "--since", "5m") == [("no such host", 2, "19:59:01", "19:59:01")]
    assert dated(run, migrated_url) == [old, ("no such host", 2, "19:52:01", "19:59:01")]
    # A Rust worker keeps no history.
    rows.run("UPDATE hammerwork_jobs SET attempts = attempts + 1 WHERE queue_name = 'mail'")
    assert dated(run, migrated_url, "--since", "30m")[0] == ("HTTP 503", 2, "19:30:01", "19:35:00")


@all_databases
def test_archived_failures_are_counted_beside_the_others(run: Run, migrated_url: str) -> None:
    fill(migrated_url, "lost", archived_at=START + timedelta(hours=6))
    fill(migrated_url, "lost", archived_at=START + timedelta(hours=6), queue="mail")
    assert [why(run, migrated_url, *words)["archived"] for words in ((), ("--queue", "mail"), ("--since", "1m"))] == [
        *(2, 1, 0)
    ]
    found = run("spawn", "why", "--queue", "mail", url=migrated_url).stdout
    assert "1 archived job that failed is not shown: hammerwork job list --failed --queue mail" in found
    assert found.startswith("No failed jobs outside the archive · queue mail\n")
    assert run("job", "list", "--failed", "--queue", "mail", "--format", "json", url=migrated_url).json


def test_hostile_names_and_errors_do_no_harm(run: Run, lite_url: str) -> None:
    fill(lite_url, HOSTILE, queue=HOSTILE)
    text = run("spawn", "why", "--queue", HOSTILE, url=lite_url).stdout
    assert not {character for character in text if not character.isprintable()} - {"\n"}
    assert why(run, lite_url, "--queue", HOSTILE)["groups"][0]["retry"] is None


@pytest.mark.parametrize(
    "words", [("ab12", "--queue", "mail"), ("ab12", "--since", "2h"), ("--since", "soon"), ("--limit", "0")]
)
def test_options_that_do_not_fit_are_refused(run: Run, sqlite_url: str, words: tuple[str, ...]) -> None:
    assert run("spawn", "why", *words, url=sqlite_url).exit_code == 2
