"""Every job that waits says why: in ``job show``, in ``spawn why``, and over REST by the same record."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.conftest import all_databases
from tests.rows import Rows

Run = Callable[..., Any]


def ago(**length: float) -> datetime:
    return datetime.now(UTC) - timedelta(**length)


def worker(rows: Rows, name: str = "render-1", **columns: Any) -> None:
    row = {"id": str(uuid4()), "name": name, "host": "here", "pid": 1, "version": "1", "queues": json.dumps(["mail"])}
    row |= {"handlers": "[]", "concurrency": 1, "lease_seconds": 30.0, "state": "running", "started_at": ago(hours=1)}
    rows.insert("hammerwork_workers", {**row, "heartbeat_at": ago(), **columns})


def hold(run: Run, rows: Rows, job: str) -> tuple[str, str]:
    shown = run("job", "show", job, "--format", "json", url=rows.database.url.raw).json
    return shown["hold"], shown["hold_message"]


def mail(rows: Rows, *parents: str, **columns: Any) -> str:
    at = ago(minutes=5)
    return rows.job(*parents, queue="mail", **{"status": "Pending", "created_at": at, "scheduled_at": at, **columns})


def test_a_job_of_a_paused_queue_says_who_paused_it_and_why(run: Run, rows: Rows) -> None:
    url = rows.database.url.raw
    worker(rows)
    job = mail(rows)
    assert run("queue", "pause", "mail", "--reason", "the provider is down", url=url).exit_code == 0
    word, message = hold(run, rows, job)
    assert word == "paused"
    assert "the queue is paused since" in message
    assert message.endswith(": the provider is down")
    assert message in run("job", "show", job, url=url).stdout
    why = run("spawn", "why", job, url=url).stdout
    assert ": the provider is down" in why
    assert "hammerwork queue resume mail" in why


def test_a_job_without_a_worker_says_so_and_names_one_that_stops_or_stands_still(run: Run, rows: Rows) -> None:
    job = mail(rows)
    word, message = hold(run, rows, job)
    assert (word, "no running worker serves this queue" in message) == ("no_worker", True)
    worker(rows, "leaving", state="stopping", running=1)
    worker(rows, "stuck", finisher_stalled_seconds=90.0)
    word, message = hold(run, rows, job)
    assert word == "no_worker"
    assert "leaving is stopping and claims no jobs, and still runs 1 job" in message
    assert "stuck is stalled: the finisher for 1m 3" in message
    why = run("spawn", "why", job, url=rows.database.url.raw).stdout
    assert "hammerwork worker status leaving" in why
    assert "spawn wait" not in why


def test_a_running_job_leads_to_its_worker_if_that_stands_still_or_cannot_write_its_outcome(
    run: Run, rows: Rows
) -> None:
    job = mail(rows, status="Running", started_at=ago(minutes=2))
    ids = {name: str(uuid4()) for name in ("stuck", "other", "unable")}
    worker(rows, "stuck", id=ids["stuck"], finisher_stalled_seconds=90.0)
    worker(rows, "other", id=ids["other"], running=1)
    worker(rows, "unable", id=ids["unable"], running=0)
    said = {}
    for name, has_it in ids.items():
        rows.run(f"UPDATE hammerwork_jobs SET claimed_by = '{has_it}', claimed_at = started_at")
        said[name] = run("spawn", "why", job, url=rows.database.url.raw).stdout
    assert "on stuck · stuck is stalled: the finisher for 1m 3" in said["stuck"]
    assert "hammerwork worker status stuck" in said["stuck"]
    assert "spawn wait" not in said["stuck"]
    assert "on unable · it runs none: the outcome of the job is not written yet" in said["unable"]
    assert "hammerwork worker status unable" in said["unable"]
    assert "spawn wait" not in said["unable"]
    assert "for 2m 00s · on other\n" in said["other"]
    assert "spawn wait" in said["other"]


def test_a_job_behind_a_slot_that_is_held_says_so(run: Run, rows: Rows) -> None:
    worker(rows, running=1)
    job = mail(rows)
    word, message = hold(run, rows, job)
    assert (word, message.partition(", ")[2]) == ("busy", "the slot of its worker is taken")
    rows.run("UPDATE hammerwork_workers SET running = 0, held_slots = 1")
    word, message = hold(run, rows, job)
    assert word == "busy"
    assert "1 slot of render-1: the handler has not returned although its attempt is over" in message
    why = run("spawn", "why", job, url=rows.database.url.raw).stdout
    assert "hammerwork worker status render-1" in why
    assert "spawn wait" not in why


def test_jobs_that_are_due_later_retry_or_join_say_when_and_for_whom(run: Run, rows: Rows) -> None:
    worker(rows)
    word, message = hold(run, rows, mail(rows))
    assert (word, message.endswith("waits for a worker")) == ("ready", True)
    word, message = hold(run, rows, mail(rows, scheduled_at=ago(hours=-3)))
    assert (word, message.startswith("due "), "(in 2h 5" in message) == ("scheduled", True, True)
    failed = {"attempts": 1, "error_message": "refused"}
    word, message = hold(run, rows, mail(rows, scheduled_at=ago(minutes=-9), **failed))
    assert word == "retrying"
    assert message.startswith("waits for another attempt: next ")
    assert message.endswith("after attempt 1 of 3")
    parent = mail(rows)
    word, message = hold(run, rows, mail(rows, parent, dependency_status="waiting"))
    assert (word, message) == ("unfinished", f"waits for mail {parent[:8]} (pending)")


@all_databases
def test_a_job_that_runs_or_has_ended_waits_for_nothing(run: Run, rows: Rows) -> None:
    for status in ("Running", "Completed", "Dead"):
        assert hold(run, rows, mail(rows, status=status, started_at=ago(minutes=1))) == (None, None)
