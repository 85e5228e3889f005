"""``spawn why`` tells how the last attempt of a job ended that waits for another one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.worker.queries import claim, finish, registry
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.view.text import TIMES
from tests.conftest import all_databases
from tests.rows import START, Rows

Run = Callable[..., Any]
NOW = START + timedelta(hours=6)
CLOCK = {"HAMMERWORK_NOW": "2026-11-24T20:00:00Z"}
WORKER = "11111111-1111-4111-8111-111111111111"
OVERDUE = "4 jobs are due, and waiting for a worker; the last "


def four(rows: Rows, **columns: Any) -> tuple[str, list[str]]:
    """A root and four jobs below it."""
    root = rows.job(queue="ingest")
    return root, [rows.job(root, queue="encode", max_attempts=3, **columns) for _ in range(4)]


def claimed(rows: Rows, now: datetime) -> list[Claimed]:
    registry.register(rows.database, registry.Registration(WORKER, "w-1", "here", 1, "1", ("encode",), (), 8, 30.0))
    taken = claim.claim(rows.database, "encode", worker=WORKER, now=now, limit=9, slots=9)
    assert len(taken) == 4
    return taken


def end_worker(rows: Rows) -> None:
    registry.end(rows.database, WORKER, "w-1", registry.HeartbeatReport(), NOW)


def why(run: Run, url: str, root: str) -> tuple[str, dict[str, Any]]:
    """What it prints, and the only delay of its JSON."""
    shown = run("spawn", "why", root, url=url, env=CLOCK)
    assert shown.exit_code == 0, shown.stderr
    (delay,) = run("spawn", "why", root, "--format", "json", url=url, env=CLOCK).json["delays"]
    return shown.stdout, delay


def test_jobs_that_the_doctor_rescued_are_due_since_their_worker_was_lost(
    run: Run, migrated_url: str, rows: Rows
) -> None:
    root, jobs = four(rows, status="Running", started_at=START, attempts=1, error_message="HTTP 503")
    assert run("spawn", "doctor", "--older-than", "2h", "--fix", "--yes", url=migrated_url, env=CLOCK).exit_code == 0
    text, delay = why(run, migrated_url, root)
    assert f"{OVERDUE}worker was lost\n  encode {TIMES}4 · the first, {jobs[0][:8]}, due 5h 59m ago" in text
    assert " · no running worker serves this queue " in text
    assert "HTTP 503" not in text
    assert (delay["reason"], delay["jobs"], delay["last_attempt"], delay["last_worker"]) == (
        "retrying",
        4,
        "lost",
        None,
    )


def test_jobs_that_a_worker_rescued_are_due_since_theirs_was_lost(run: Run, migrated_url: str, rows: Rows) -> None:
    root, _ = four(rows, status="Pending")
    claimed(rows, NOW - timedelta(hours=1))
    for heartbeat in registry.heartbeats(rows.database):
        assert registry.rescue(rows.database, heartbeat, NOW) == (4, 0)
    text, delay = why(run, migrated_url, root)
    assert f"{OVERDUE}worker was lost\n" in text
    assert "The worker w-1 was lost while it ran this job." in text
    assert (delay["last_attempt"], delay["last_worker"]) == ("lost", "w-1")
    # Without the history the error tells.
    rows.run("DELETE FROM hammerwork_attempts")
    text, delay = why(run, migrated_url, root)
    assert f"{OVERDUE}worker was lost\n" in text
    assert (delay["last_attempt"], delay["last_worker"]) == ("lost", None)


@pytest.mark.parametrize("before", [0, 1])
def test_jobs_whose_worker_was_stopped_have_not_failed(run: Run, migrated_url: str, rows: Rows, before: int) -> None:
    error = {"error_message": "HTTP 503"} if before else {}
    root, _ = four(rows, status="Pending", attempts=before, **error)
    then = NOW - timedelta(hours=1)
    stopped = [EndedAttempt(job, AttemptEnd.STOPPED, at=timestamp(job.scheduled_at)) for job in claimed(rows, then)]
    finish.finish(rows.database, stopped, then)
    end_worker(rows)
    text, delay = why(run, migrated_url, root)
    assert f"{OVERDUE}worker was stopped\n  encode {TIMES}4 · the first, " in text
    assert "HTTP 503" not in text
    assert (delay["reason"], delay["last_attempt"], delay["last_worker"]) == ("ready", "stopped", "w-1")
    # Jobs that have completed since, and run again, have not been stopped.
    then += timedelta(minutes=1)
    again = claim.claim(rows.database, "encode", worker=WORKER, now=then, limit=9, slots=9)
    finish.finish(rows.database, [EndedAttempt(job, AttemptEnd.COMPLETED) for job in again], then)
    again_now = {"HAMMERWORK_NOW": "2026-11-24T19:59:00Z"}
    words = ("job", "retry", "--queue", "encode", "--status", "completed", "--force", "--yes")
    assert run(*words, url=migrated_url, env=again_now).exit_code == 0
    text, delay = why(run, migrated_url, root)
    assert "4 jobs are due, and waiting for a worker\n" in text
    assert (delay["reason"], delay["last_attempt"]) == ("ready", None)


@all_databases
def test_an_attempt_by_a_rust_worker_after_those_in_the_history_is_not_mistaken_for_them(
    run: Run, migrated_url: str, rows: Rows
) -> None:
    root, _ = four(rows, status="Pending")
    then = NOW - timedelta(hours=1)
    stopped = [EndedAttempt(job, AttemptEnd.STOPPED, at=timestamp(job.scheduled_at)) for job in claimed(rows, then)]
    finish.finish(rows.database, stopped, then)
    end_worker(rows)
    # It counts the attempt, and stores no error of it.
    rows.run("UPDATE hammerwork_jobs SET attempts = 1 WHERE queue_name = 'encode'")
    _, delay = why(run, migrated_url, root)
    assert (delay["reason"], delay["last_attempt"], delay["last_worker"]) == ("ready", None, None)
