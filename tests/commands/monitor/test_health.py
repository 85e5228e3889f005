"""``hammerwork monitor health``: each check in its states, exit codes, and the file that a worker writes."""

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.database.drivers import sqlite
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.monitor.models.health import USUAL_LIMITS, CheckName
from hammerwork_cli.features.monitor.queries import health
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from tests.conftest import all_databases, eventually, on_postgres, own_server
from tests.forks import Begun, begin
from tests.rows import Rows
from tests.servers import PASSWORD, PrivateServer

Run = Callable[..., Any]


def ago(**length: float) -> datetime:
    return datetime.now(UTC) - timedelta(**length)


def ready(rows: Rows, queue: str = "mail", **length: float) -> str:
    at = ago(**(length or {"seconds": 1}))
    return rows.job(queue=queue, status="Pending", created_at=at, scheduled_at=at)


def worker(rows: Rows, name: str = "render-1", queues: tuple[str, ...] = ("mail",), **columns: Any) -> str:
    """A worker whose last heartbeat is of now, by the clock that the server shares with this machine."""
    row = {
        "id": str(uuid4()),
        "name": name,
        "host": "here",
        "pid": 1,
        "version": "1",
        "queues": json.dumps(queues),
        "handlers": "[]",
        "concurrency": 4,
        "lease_seconds": 30.0,
        "state": "running",
        "started_at": ago(hours=1),
        "heartbeat_at": ago(),
        **columns,
    }
    rows.insert("hammerwork_workers", row)
    return str(row["id"])


def checks(run: Run, rows: Rows, *words: str) -> dict[str, dict[str, Any]]:
    done = run("monitor", "health", "--format", "json", *words, url=rows.url)
    assert done.stdout, done.stderr
    return {check["check"]: check for check in done.json["checks"]}


def states(run: Run, rows: Rows, *words: str) -> dict[str, str]:
    """The checks that are not healthy."""
    return {name: check["status"] for name, check in checks(run, rows, *words).items() if check["status"] != "healthy"}


# Checks.


def test_an_idle_database_with_a_worker_is_healthy(run: Run, rows: Rows) -> None:
    worker(rows)
    done = run("monitor", "health", url=rows.url)
    assert done.exit_code == 0, done.stdout
    assert done.stdout.startswith(f"healthy: {len(CheckName)} checks\n")
    assert "  workers" in done.stdout
    assert states(run, rows) == {}


def test_a_queue_without_a_worker_is_critical_once_its_jobs_have_been_ready_for_a_minute(run: Run, rows: Rows) -> None:
    worker(rows, queues=("other",))
    ready(rows, "mail")
    assert states(run, rows) == {"unserved_queues": "warning"}
    ready(rows, "mail", minutes=2)
    found = checks(run, rows)["unserved_queues"]
    assert (found["status"], found["value"], found["about"]) == ("critical", 1, ["mail"])
    assert found["hint"] == "hammerwork worker list --since 7d --queue mail"
    worker(rows, "second")
    assert states(run, rows) == {}


def test_the_statements_of_health_do_not_grow_with_the_queues(rows: Rows) -> None:
    def made(number: int) -> int:
        names = tuple(f"queue {place}" for place in range(number))
        with rows.at_once():
            for name in names:
                rows.job(queue=name, status="Pending", scheduled_at=ago(minutes=3))
        worker(rows, f"render-{number}", queues=names)
        before = rows.database.executed
        health.report(rows.database, USUAL_LIMITS, now=rows.database.now())
        return rows.database.executed - before

    made(1)  # it reads the tables
    assert made(2) == made(90)


def test_checks_of_unrecorded_things_are_unknown_and_no_reason_to_fail(
    run: Run, shared_restored: Callable[[str], str]
) -> None:
    url = shared_restored("media.postgresql")
    done = run("monitor", "health", "--only", "workers,retention", "--strict", url=url)
    assert done.exit_code == 0
    migrate = f"{'':10}hammerwork migration run\n"
    reason = "not known without all migrations of hammerwork-cli"
    assert done.stdout == f"unknown: 2 checks\nunknown   2 checks   {reason}: workers, retention\n{migrate}"
    done = run("monitor", "health", "--only", "workers,writes", url=url)
    assert f"unknown   workers  {reason}\n{migrate}" in done.stdout


def test_a_worker_that_misses_heartbeats_is_named_long_before_its_lease_is_over(run: Run, rows: Rows) -> None:
    """Its queues stay served: until the end of the lease, no other worker takes its jobs."""
    worker(rows, heartbeat_at=ago(seconds=2))
    ready(rows)
    assert states(run, rows) == {}
    worker(rows, "render-2", heartbeat_at=ago(seconds=12))
    found = checks(run, rows)["lost_workers"]
    assert (found["status"], found["about"]) == ("warning", ["render-2"])
    listed = run("worker", "list", "--format", "json", url=rows.url).json
    assert {one["name"]: one["state"] for one in listed} == {"render-1": "running", "render-2": "silent"}
    assert "unserved_queues" not in states(run, rows)


def test_a_worker_that_stands_still_or_stops_serves_no_queue(run: Run, rows: Rows) -> None:
    ready(rows, minutes=2)
    worker(rows, "stuck", main_stalled_seconds=45.0)
    found = checks(run, rows)
    assert (found["stalled_workers"]["status"], found["stalled_workers"]["about"]) == ("warning", ["stuck"])
    assert found["unserved_queues"]["status"] == "critical"
    worker(rows, "leaving", state="stopping")
    assert checks(run, rows)["unserved_queues"]["status"] == "critical"
    [queue] = run("queue", "list", "--format", "json", url=rows.url).json
    assert queue["workers"] == 0
    shown = " ".join(run("queue", "list", url=rows.url).stdout.split())
    assert re.search("0, (1 stalled, 1 stopping|1 stopping, 1 stalled)", shown)


@all_databases
def test_a_worker_that_stops_and_does_not_end_is_named(run: Run, rows: Rows) -> None:
    leaving = worker(rows, "leaving", state="stopping")
    worker(rows, "idle", state="stopping")
    worker(rows)
    for minutes in (30, 2):
        at = ago(minutes=minutes)
        rows.job(queue="mail", status="Running", started_at=at, claimed_at=at, claimed_by=leaving)
    assert states(run, rows) == {}  # it may have claimed the last job just before it was asked to stop
    rows.run("DELETE FROM hammerwork_jobs")
    at = ago(minutes=30)
    rows.job(queue="mail", status="Running", started_at=at, claimed_at=at, claimed_by=leaving)
    found = checks(run, rows)["stopping_workers"]
    assert (found["status"], found["about"], found["limit"]) == ("warning", ["leaving"], 300)
    assert found["value"] == pytest.approx(1800, abs=60)
    assert found["hint"] == "hammerwork worker status leaving"


def test_slots_of_attempts_that_are_over_are_named_and_critical_when_none_is_left(run: Run, rows: Rows) -> None:
    worker(rows, held_slots=1)
    found = checks(run, rows)["held_slots"]
    assert (found["status"], found["value"], found["about"]) == ("warning", 1, ["render-1"])
    worker(rows, "render-2", held_slots=4)
    found = checks(run, rows)["held_slots"]
    assert (found["status"], found["value"], found["about"]) == ("critical", 5, ["render-2", "render-1"])
    assert found["message"].startswith("5 slots of render-2, render-1: the handlers have not returned")
    assert found["hint"] == "hammerwork worker status render-2"


def test_outcomes_that_cannot_be_written_are_counted_with_the_last_error(run: Run, rows: Rows) -> None:
    worker(rows, "fine", queue_counts='{"mail":[1,0,0,0,1,0.5]}')
    worker(rows, queue_counts='{"":[2,5.0,"locked"],"mail":[1,0,0,0,1,0.5]}')
    found = checks(run, rows)["unwritten_outcomes"]
    assert (found["status"], found["value"], found["about"]) == ("warning", 2, ["render-1"])
    worker(rows, "render-2", queue_counts=json.dumps({"": [3, 600, "no \x1b[2Jspace"]}))
    worker(rows, "gone", queue_counts='{"":[9,600,"locked"]}', ended_at=ago(minutes=1), state="stopped")
    found = checks(run, rows)["unwritten_outcomes"]
    assert (found["status"], found["value"], found["about"]) == ("critical", 5, ["render-2", "render-1"])
    assert found["hint"] == "hammerwork worker status render-2"
    url = rows.url
    probes = {name: run("monitor", "health", "--worker", name, url=url) for name in ("fine", "render-1", "render-2")}
    assert [probe.exit_code for probe in probes.values()] == [0, 0, 1]
    said = "3 outcomes cannot be written, for 10m 00s: no \\x1b[2Jspace"
    assert said in probes["render-2"].stdout
    assert said in run("worker", "status", "render-2", url=url).stdout
    listed = {one["name"]: one for one in run("worker", "list", "--format", "json", url=url).json}
    figures = [(one["unwritten_outcomes"], one["unwritten_error"]) for one in map(listed.get, probes) if one]
    assert figures == [(0, None), (2, "locked"), (3, "no \x1b[2Jspace")]
    assert "UNWRITTEN" in run("worker", "list", url=url).stdout.upper()


def schedule(rows: Rows, name: str, *, enabled: bool = True, **age: float) -> None:
    facts = {"queue_name": "mail", "payload": "{}", "priority": 2, "max_attempts": 3, "expression": "* * * * *"}
    facts |= {"timezone": "UTC", "overlap": "skip", "catch_up": "last", "grace_seconds": 60, "jitter_seconds": 0}
    facts |= {"source": "cli", "revision": 1, "created_at": ago(hours=1), "updated_at": ago(hours=1)}
    facts |= {"id": str(uuid4()), "name": name, "enabled": enabled, "next_run_at": ago(**age)}
    rows.insert("hammerwork_schedules", facts)


def test_upkeep_that_nobody_does_is_a_warning_where_something_waits_for_it(run: Run, rows: Rows) -> None:
    name = worker(rows)
    schedule(rows, "off", enabled=False, minutes=15)
    assert states(run, rows) == {}
    schedule(rows, "fine", minutes=-1)
    found = checks(run, rows)["upkeep"]
    assert (found["status"], found["about"]) == ("warning", ["schedules"])
    assert found["hint"] == "hammerwork worker start --upkeep-only"
    rows.insert("hammerwork_duties", {"name": "schedules", "due_at": ago(seconds=-30), "claimed_by": name})
    assert states(run, rows) == {}


@pytest.mark.parametrize("status", ["Completed", "Running"])
def test_a_queue_of_which_a_job_ran_just_now_is_served_by_a_rust_worker(run: Run, rows: Rows, status: str) -> None:
    worker(rows, queues=("other",))
    ready(rows, "mail", minutes=8)
    end = {"completed_at": ago(minutes=6)} if status == "Completed" else {}
    rows.job(queue="mail", status=status, started_at=ago(minutes=6, seconds=1), **end)
    assert states(run, rows) == {"unserved_queues": "critical"}
    end = {"completed_at": ago(minutes=4)} if status == "Completed" else {}
    start = ago(minutes=4, seconds=1)
    ours = worker(rows, "ours", state="stopped", ended_at=ago(minutes=3), queues=("mail",))
    rows.job(queue="mail", status=status, started_at=start, claimed_at=start, claimed_by=ours, **end)
    assert states(run, rows)["unserved_queues"] == "critical"
    rows.job(queue="mail", status=status, started_at=start, **end)
    assert "unserved_queues" not in states(run, rows)


def test_no_worker_is_critical_where_some_have_worked_and_else_a_warning(run: Run, rows: Rows) -> None:
    ready(rows, minutes=2)
    assert states(run, rows) == {"workers": "warning", "unserved_queues": "warning"}
    worker(rows, state="stopped", ended_at=ago(minutes=5))
    assert states(run, rows) == {"workers": "critical", "unserved_queues": "critical"}


def test_silent_and_lost_workers_are_a_warning(run: Run, rows: Rows) -> None:
    worker(rows)
    worker(rows, "silent", heartbeat_at=ago(minutes=2))
    worker(rows, "lost", state="lost", ended_at=ago(minutes=30))
    worker(rows, "lost long ago", state="lost", ended_at=ago(hours=3))
    found = checks(run, rows)["lost_workers"]
    assert (found["status"], found["value"]) == ("warning", 2)
    assert sorted(found["about"]) == ["lost", "silent"]
    assert states(run, rows) == {"lost_workers": "warning"}


@all_databases
def test_ready_jobs_beyond_the_limits_are_critical(run: Run, rows: Rows) -> None:
    worker(rows)
    for _ in range(4):
        ready(rows, hours=2)
    rows.job(queue="mail", status="Pending", scheduled_at=ago(hours=-1))
    found = checks(run, rows, "--max-pending", "3")
    assert (found["pending"]["status"], found["pending"]["value"], found["pending"]["limit"]) == ("critical", 4, 3)
    assert found["pending_age"]["status"] == "critical"
    assert found["pending_age"]["value"] == pytest.approx(7200, abs=60)
    assert found["pending_age"]["hint"] == "hammerwork queue stats mail --detailed"
    assert states(run, rows, "--max-pending-age", "off", "--max-pending", "4") == {}


def test_jobs_that_are_released_count_as_ready_and_the_first_of_all_has_the_age(run: Run, rows: Rows) -> None:
    worker(rows)
    ready(rows, minutes=10)
    at = ago(minutes=40)
    rows.job(queue="mail", status="Pending", dependency_status="satisfied", scheduled_at=at)
    found = checks(run, rows)
    assert found["pending"]["value"] == 2
    assert found["pending_age"]["value"] == pytest.approx(2400, abs=60)


def test_ready_jobs_of_a_paused_queue_are_a_warning_and_nothing_more(run: Run, rows: Rows) -> None:
    worker(rows, queues=("other",))
    ready(rows, "mail", hours=3)
    assert run("queue", "pause", "mail", url=rows.url).exit_code == 0
    assert states(run, rows) == {"paused_queues": "warning"}
    assert checks(run, rows)["paused_queues"]["about"] == ["mail"]


@all_databases
def test_long_runs_and_long_waits_are_warnings(run: Run, rows: Rows) -> None:
    worker(rows)
    parent = rows.job(queue="mail", status="Running", created_at=ago(hours=3), started_at=ago(hours=2))
    rows.job(
        parent,
        queue="slow",
        status="Pending",
        dependency_status="waiting",
        created_at=ago(hours=3),
        scheduled_at=ago(hours=3),
    )
    assert states(run, rows, "--max-waiting-age", "1h") == {
        "running_age": "warning",
        "waiting_age": "warning",
        "unclaimed_jobs": "warning",
    }
    found = checks(run, rows)
    assert found["running_age"]["value"] == pytest.approx(7200, abs=60)
    assert (found["waiting_age"]["about"], found["waiting_age"]["status"]) == (["slow"], "healthy")


def test_running_jobs_whose_worker_is_gone_are_found_at_once(run: Run, rows: Rows) -> None:
    alive = worker(rows)
    gone = worker(rows, "gone", state="lost", ended_at=ago(hours=2))
    for claimed_by, start in ((alive, ago(minutes=2)), (gone, ago(minutes=2)), (None, ago(minutes=2))):
        rows.job(queue="mail", status="Running", created_at=start, started_at=start, claimed_by=claimed_by)
    found = checks(run, rows)["lost_jobs"]
    assert (found["status"], found["value"], found["about"]) == ("warning", 1, ["mail"])
    rows.job(queue="mail", status="Running", started_at=ago(hours=2), claimed_by=str(uuid4()))
    found = checks(run, rows)["lost_jobs"]
    assert (found["status"], found["value"]) == ("critical", 2)
    assert found["hint"] == "hammerwork spawn doctor"


def test_running_jobs_that_no_worker_of_hammerwork_cli_has_claimed_are_named_once_they_run_for_long(
    run: Run, rows: Rows
) -> None:
    claimed = worker(rows)
    start = ago(hours=3)
    rows.job(queue="mail", status="Running", started_at=start, claimed_by=claimed, claimed_at=start)
    rows.job(queue="mail", status="Running", started_at=ago(minutes=30))
    assert checks(run, rows)["unclaimed_jobs"]["status"] == "healthy"
    rows.job(queue="video", status="Running", started_at=ago(hours=2))
    found = checks(run, rows)["unclaimed_jobs"]
    assert (found["status"], found["about"]) == ("warning", ["video"])
    assert found["value"] == pytest.approx(7200, abs=60)
    assert found["hint"] == "hammerwork spawn doctor --older-than 2h --queue video"


@all_databases
def test_a_recurring_job_that_is_late_is_critical(run: Run, rows: Rows) -> None:
    worker(rows)
    at = ago(minutes=15)
    cron = {"recurring": True, "cron_schedule": "0 * * * * *", "next_run_at": at}
    late = rows.job(queue="mail", status="Pending", scheduled_at=at, created_at=at, **cron)
    # This one waits for its next attempt.
    rows.job(queue="mail", status="Pending", scheduled_at=ago(minutes=-1), created_at=at, attempts=1, **cron)
    found = checks(run, rows)["overdue_jobs"]
    assert (found["status"], found["about"], found["hint"]) == ("critical", [late], f"hammerwork job show {late}")
    told = run("monitor", "health", url=rows.url).stdout
    assert f"  hammerwork job show {late[:8]}\n" in told
    assert late not in told
    assert states(run, rows, "--max-overdue", "20m") == states(run, rows, "--max-overdue", "off") == {}


def test_a_late_schedule_is_critical_and_leads_to_a_worker_where_none_does_upkeep(run: Run, rows: Rows) -> None:
    name = worker(rows)
    for one, enabled, minutes in (("late", True, 15), ("off", False, 15), ("fine", True, -1)):
        schedule(rows, one, enabled=enabled, minutes=minutes)
    found = checks(run, rows)["overdue_schedules"]
    assert (found["status"], found["about"]) == ("critical", ["late"])
    assert found["message"].endswith("; no worker does upkeep")
    assert found["hint"] == "hammerwork worker start --upkeep-only"
    rows.insert("hammerwork_duties", {"name": "schedules", "due_at": ago(seconds=-30), "claimed_by": name})
    assert checks(run, rows)["overdue_schedules"]["hint"] == "hammerwork cron show late"


def test_attempts_that_fail_are_a_warning_before_the_jobs_have_failed(run: Run, rows: Rows) -> None:
    worker(rows)
    for _ in range(3):
        rows.job(queue="mail", status="Pending", attempts=1, error_message="refused", scheduled_at=ago(minutes=-1))
    assert states(run, rows) == {}
    assert states(run, rows, "--max-retrying", "2") == {"retrying": "warning"}
    found = checks(run, rows, "--max-retrying", "2")["retrying"]
    assert (found["value"], found["about"]) == (3, ["mail"])
    assert found["hint"] == "hammerwork spawn why --queue mail"


def test_cancelled_jobs_are_no_failures(run: Run, rows: Rows) -> None:
    worker(rows)
    error = "cancelled by ann@desk through hammerwork"
    for _ in range(20):
        rows.job(queue="mail", status="Failed", failed_at=ago(minutes=5), error_message=error)
    assert states(run, rows) == {}


def test_failures_are_a_warning_and_many_of_what_ended_are_critical(run: Run, rows: Rows) -> None:
    worker(rows)
    for status in ("Failed", "Dead", '"dead"'):
        rows.job(queue="mail", status=status, failed_at=ago(minutes=5))
    rows.job(queue="mail", status="TimedOut", timed_out_at=ago(minutes=5))
    rows.job(queue="mail", status="Dead", failed_at=ago(hours=5))
    rows.job(queue="other", status="Dead", failed_at=ago(minutes=5))
    for _ in range(16):
        rows.job(queue="mail", completed_at=ago(minutes=5))
    assert states(run, rows) == {}
    assert states(run, rows, "--max-failed", "3", "--max-failure-rate", "20%") == {"failed": "warning"}
    found = checks(run, rows, "--max-failed", "3", "--max-failure-rate", "19%")
    assert (found["failed"]["value"], found["failed"]["about"]) == (4, ["mail"])
    assert (found["failure_rate"]["status"], found["failure_rate"]["value"]) == ("critical", 0.2)
    found = checks(run, rows, "--max-failed", "0", "--queue", "other")
    assert (found["failed"]["value"], found["failed"]["about"]) == (1, ["other"])


def test_every_view_has_the_failures_of_a_queue_beside_thousands_of_jobs_of_another(run: Run, rows: Rows) -> None:
    """The rate of a queue is that of its own hour, however many jobs of others ended since."""
    url = rows.url
    worker(rows)
    with rows.at_once():
        for number in range(40):
            end = {"status": "Dead", "failed_at": ago(minutes=50)} if number < 30 else {"completed_at": ago(minutes=50)}
            rows.job(queue="invoice", **end)
        for _ in range(6000):
            rows.job(queue="mail", completed_at=ago(minutes=2))
        for _ in range(20):
            rows.job(queue="mail", status="Failed", failed_at=ago(minutes=1))
    found = checks(run, rows, "--max-failed", "10", "--max-failure-rate", "50%")
    rate = found["failure_rate"]
    assert (rate["status"], rate["value"], rate["about"]) == ("critical", 0.75, ["invoice"])
    assert rate["message"] == "invoice: 75.0% of the jobs that ended in the last hour failed (at most 50.0%)"
    failed = found["failed"]
    assert (failed["status"], failed["value"], failed["about"]) == ("warning", 50, ["invoice", "mail"])
    assert failed["message"] == "invoice, mail: 50 failed in the last hour (at most 10 each)"

    [invoice, _] = run("queue", "health", "--format", "json", url=url).json["queues"]
    assert {check["check"]: check["value"] for check in invoice["checks"]}["failure_rate"] == 0.75
    stats = run("queue", "stats", "invoice", "--detailed", "--format", "json", url=url).json
    assert (stats["completed"], stats["failed"], stats["failure_rate"]) == (10, 30, 0.75)
    [invoice, mail] = run("monitor", "metrics", "--format", "json", url=url).json["queues"]
    assert (invoice["failure_rate"], mail["completed"], mail["failed"]) == (0.75, 6000, 20)


def test_a_rate_of_less_than_the_hour_says_since_when(run: Run, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hammerwork_cli.features.monitor.queries.health.MOST_ENDED", 10)
    worker(rows)
    ends = [ago(minutes=number + 1) for number in range(20)]
    for end in ends:
        rows.job(queue="mail", completed_at=end)
    for number in (5, 15, 25):
        rows.job(queue="mail", status="Dead", failed_at=ago(minutes=number, seconds=30))
    found = checks(run, rows, "--max-failed", "2", "--max-failure-rate", "off")
    assert found["failed"]["value"] == 3
    assert found["failure_rate"]["value"] == pytest.approx(1 / 11)
    first = ends[9].strftime("%Y-%m-%d %H:%M:%S")
    assert found["failure_rate"]["message"] == f"mail: 9.1% of the jobs that ended since {first} UTC failed"


def test_missing_migrations_of_hammerwork_cli_are_a_warning_and_of_rust_critical(run: Run, rows: Rows) -> None:
    worker(rows)
    rows.run("DELETE FROM hammerwork_migrations WHERE migration_id = '018_claims'")
    found = checks(run, rows)["migrations"]
    assert (found["status"], found["about"], found["hint"]) == ("warning", ["018_claims"], "hammerwork migration run")
    rows.run("DELETE FROM hammerwork_migrations WHERE migration_id = '014_add_queue_pause'")
    assert checks(run, rows)["migrations"]["status"] == "critical"


@all_databases
def test_an_empty_database_is_critical_for_its_tables(run: Run, url: str) -> None:
    if url.startswith("sqlite"):
        connect_and_close(url)
    done = run("monitor", "health", "--format", "json", url=url)
    assert done.exit_code == 1
    [check] = done.json["checks"]
    assert (check["check"], check["status"], check["hint"]) == ("migrations", "critical", "hammerwork migration run")


def connect_and_close(url: str) -> None:
    from hammerwork_cli.database import DatabaseUrl

    path = DatabaseUrl.parse(url).path
    assert path is not None
    path.touch()


@pytest.mark.parametrize("name", ["media.postgresql", "media.mariadb"])
def test_a_database_of_rust_workers_alone_is_checked(
    run: Run, shared_restored: Callable[[str], str], name: str
) -> None:
    done = run("monitor", "health", "--format", "json", url=shared_restored(name))
    found = {check["check"]: check for check in done.json["checks"]}
    assert found["migrations"]["status"] == "warning"
    assert found["workers"]["value"] is None
    unknown = {name for name, check in found.items() if check["status"] == "unknown"}
    of_workers = {"workers", "lost_workers", "stalled_workers", "stopping_workers", "held_slots", "unserved_queues"}
    of_workers |= {"unwritten_outcomes", "webhooks", "clocks", "streams", "growing_trees"}
    assert unknown == {*of_workers, "lost_jobs", "unclaimed_jobs", "upkeep", "overdue_schedules", "retention"}
    assert {found[name]["message"] for name in unknown} == {"not known without all migrations of hammerwork-cli"}
    assert {found[name]["hint"] for name in unknown} == {"hammerwork migration run"}
    assert found["pending_age"]["status"] == "critical"


def test_a_database_that_does_not_answer_is_critical_and_its_password_unseen(run: Run) -> None:
    done = run("monitor", "health", "--format", "json", url=f"postgresql://us:{quote(PASSWORD, safe='')}@127.0.0.1:1/x")
    assert done.exit_code == 1
    [check] = done.json["checks"]
    assert (check["check"], check["status"]) == ("database", "critical")
    assert check["hint"] == "Is it running? Is the host right?"
    assert PASSWORD not in done.stdout + done.stderr
    assert quote(PASSWORD, safe="") not in done.stdout + done.stderr


def test_a_file_in_which_another_program_writes_for_long_is_critical(
    run: Run, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1)
    worker(rows)
    rows.run("BEGIN IMMEDIATE")
    try:
        assert states(run, rows, "--only", "writes") == {"writes": "critical"}
    finally:
        rows.run("ROLLBACK")


@on_postgres
def test_a_database_that_takes_no_writes_is_critical(run: Run, rows: Rows) -> None:
    worker(rows)
    name = rows.database.url.raw.rpartition("/")[2].partition("?")[0]
    healthy = checks(run, rows)["writes"]
    assert (healthy["status"], healthy["message"]) == ("healthy", "the database is not read-only")
    rows.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    found = checks(run, rows)["writes"]
    assert (found["status"], found["message"]) == ("critical", "The server is read-only")


@pytest.fixture
def server() -> Iterator[PrivateServer]:
    """A MariaDB or MySQL of this test alone."""
    with own_server("mysql") as server:
        yield server


@pytest.mark.mysql
def test_a_replica_of_mysql_is_critical_and_so_is_a_server_that_has_gone(run: Run, server: PrivateServer) -> None:
    url = server.url.replace("/mysql", "/test_health")
    with contextlib.closing(connect(server.url)) as database:
        database.script("CREATE DATABASE test_health")
    assert run("migration", "run", url=url).exit_code == 0
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        assert states(run, rows, "--only", "writes") == {}
        rows.run("SET GLOBAL read_only = 1")
        assert states(run, rows, "--only", "writes") == {"writes": "critical"}
    server.halt()
    done = run("monitor", "health", "--only", "writes", "--format", "json", url=url)
    assert done.exit_code == 1
    assert [check["check"] for check in done.json["checks"]] == ["database"]


# Options and formats.


def test_strict_fails_for_a_warning_and_the_error_says_which(run: Run, rows: Rows) -> None:
    url = rows.url
    assert run("monitor", "health", url=url).exit_code == 0
    done = run("monitor", "health", "--strict", "--format", "json", url=url)
    assert done.exit_code == 1
    assert "warning: workers: none is running" in json.loads(done.stderr)["error"]["message"]


def test_only_and_skip_choose_checks_and_unknown_names_are_refused(run: Run, rows: Rows) -> None:
    assert [*checks(run, rows, "--only", "workers,pending-age")] == ["workers", "pending_age"]
    assert "workers" not in checks(run, rows, "--skip", "workers")
    url = rows.url
    for words in (("--only", "worker"), ("--skip", ""), ("--only", "writes", "--skip", "writes")):
        done = run("monitor", "health", *words, url=url)
        assert done.exit_code == 2
        assert "unserved_queues" in done.stderr


def test_a_hostile_name_is_shown_escaped_and_never_in_a_command(run: Run, rows: Rows) -> None:
    worker(rows, queues=("mail",))
    ready(rows, "evil\x1b[2J", hours=2)
    ready(rows, "; rm -rf ~", hours=2)
    done = run("monitor", "health", url=rows.url)
    assert "\x1b" not in done.stdout
    hints = {check["hint"] for check in checks(run, rows).values() if check["hint"]}
    assert not any("\x1b" in hint for hint in hints)
    assert not any("rm -rf" in hint and "'; rm -rf ~'" not in hint for hint in hints)


def test_it_reads_a_bounded_number_of_statements(rows: Rows) -> None:
    from hammerwork_cli.features.monitor.models.health import MonitorLimits
    from hammerwork_cli.features.monitor.queries import health
    from hammerwork_cli.features.queue.model import HealthLimits

    worker(rows)
    for number in range(50):
        ready(rows, f"queue {number % 3}")
    database = rows.database
    before = database.executed
    health.health(lambda: database, MonitorLimits(HealthLimits()), now=lambda database: database.now())
    assert database.executed - before <= 31


# Webhooks and streams.


def add_webhook(rows: Rows, name: str, **columns: Any) -> str:
    """A webhook to which something happened."""
    hook = Webhook(new_id(), name, "https://example.com/hook", events=(EventType.JOB_DEAD,))
    webhooks.add(rows.database, hook, by="ada@laptop", now=ago(days=9))
    change(rows, "hammerwork_webhooks", hook.id, columns)
    return hook.id


def add_stream(rows: Rows, name: str, events: int = 0, max_backlog: int = 1_000_000, **columns: Any) -> str:
    """A stream with events that have waited for 10 minutes."""
    values = {"target": {"command": ["true"]}, "events": (EventType.JOB_DEAD,), "max_backlog": max_backlog}
    stream = Stream(new_id(), name, Backend.COMMAND, **values)
    streams.add(rows.database, stream, by="ada@laptop", now=ago(days=9))
    change(rows, "hammerwork_streams", stream.id, columns)
    with rows.at_once():
        for _ in range(events):
            event = {"stream_id": stream.id, "event_type": "job.dead", "body": "[]", "created_at": ago(minutes=10)}
            rows.insert("hammerwork_stream_events", event)
    return stream.id


def change(rows: Rows, table: str, row: str, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        adapted = rows.database._adapt(value) if isinstance(value, datetime) else value
        rows.run(f"UPDATE {table} SET {name} = ? WHERE id = ?", [adapted, row])


def test_a_webhook_that_fails_for_an_hour_is_a_warning_with_the_last_answer(run: Run, rows: Rows) -> None:
    worker(rows)
    add_webhook(rows, "fine", delivered=9)
    add_webhook(rows, "shortly", failing_since=ago(minutes=59), last_answer="503")
    found = checks(run, rows)["webhooks"]
    assert (found["status"], found["value"], found["about"]) == ("healthy", 0, ["shortly"])
    assert found["message"].startswith("shortly: has failed for 59m")
    assert "failing for 59m" in run("webhook", "list", url=rows.url).stdout
    add_webhook(rows, "chat", failing_since=ago(hours=3), last_answer="503 try\x1b[2J later\nagain")
    add_webhook(rows, "shop", failing_since=ago(hours=30), last_answer="It did not answer within 30 s.")
    found = checks(run, rows)["webhooks"]
    assert (found["status"], found["value"], found["about"]) == ("warning", 2, ["shop", "chat", "shortly"])
    assert found["message"].startswith(
        "shop: has failed for 1d 6h: It did not answer within 30 s; chat: has failed for"
    )
    assert "503 try\\x1b[2J later; shortly: has failed for 59m" in found["message"]
    assert found["hint"] == "hammerwork webhook show shop"
    assert run("monitor", "health", "--only", "webhooks", "--strict", url=rows.url).exit_code == 1


def test_the_failures_of_deliveries_lead_to_the_answers_of_webhooks(run: Run, rows: Rows) -> None:
    worker(rows)
    rows.job(queue=DELIVERIES, status="Pending", attempts=1, error_message="503", scheduled_at=ago(minutes=-1))
    found = checks(run, rows, "--max-retrying", "0")["retrying"]
    assert (found["status"], found["hint"]) == ("warning", "hammerwork webhook deliveries")
    rows.job(queue=DELIVERIES, status="Dead", attempts=3, error_message="404", failed_at=ago(minutes=1))
    found = checks(run, rows, "--max-failed", "0")["failed"]
    assert (found["status"], found["hint"]) == ("warning", "hammerwork webhook deliveries --failed --since 1h")


def test_a_webhook_that_hammerwork_disabled_is_critical_until_a_person_does_something(run: Run, rows: Rows) -> None:
    worker(rows)
    add_webhook(rows, "by hand", enabled=False, disabled_reason="the chat moves")
    assert states(run, rows) == {}
    gone = add_webhook(rows, "gone", failing_since=ago(days=6))
    with contextlib.closing(connect(rows.url)) as other:
        webhooks.note_failure(other, webhooks.named(other, "gone"), "404 not here", ago(), given_up=True)
        webhooks.disable_failing(other, ago())
    done = run("monitor", "health", url=rows.url)
    assert done.exit_code == 1
    assert "gone: disabled: No delivery has succeeded for 5 days" in " ".join(done.stdout.split())
    assert "hammerwork webhook show gone" in done.stdout
    webhooks.switch(rows.database, webhooks.named(rows.database, gone), enabled=True, by="ada", now=ago())
    assert states(run, rows) == {}


def test_deliveries_that_nobody_makes_lead_to_a_worker_with_upkeep(run: Run, rows: Rows) -> None:
    worker(rows)
    ready(rows, DELIVERIES, minutes=5)
    assert states(run, rows) == {}, "of a webhook that was removed"
    add_webhook(rows, "chat")
    found = checks(run, rows)
    assert (found["webhooks"]["status"], found["webhooks"]["about"]) == ("warning", [DELIVERIES])
    assert found["webhooks"]["message"].startswith("deliveries have been due for 5m 0")
    assert found["webhooks"]["hint"] == "hammerwork worker start --upkeep-only"
    assert found["unserved_queues"]["status"] == "healthy", "said once"
    worker(rows, "render-1-webhooks", queues=(DELIVERIES,))
    assert states(run, rows) == {}


def test_a_process_that_also_delivers_to_webhooks_is_one_worker_in_every_count(run: Run, rows: Rows) -> None:
    worker(rows, "render-1")
    worker(rows, "render-1-webhooks", queues=(DELIVERIES,))
    found = checks(run, rows)["workers"]
    assert (found["value"], found["about"]) == (1, ["render-1"])
    names = lambda *words: [one["name"] for one in run(*words, "--format", "json", url=rows.url).json]  # noqa: E731
    assert names("worker", "list") == names("worker", "status") == ["render-1"]
    assert names("worker", "list", "--queue", DELIVERIES) == ["render-1-webhooks"]
    assert names("worker", "status", "render-1-webhooks") == ["render-1-webhooks"]
    assert names("worker", "stop", "--all", "--dry-run") == ["render-1"]
    assert (
        'hammerwork_workers{state="running"} 1.0'
        in run("monitor", "metrics", "--format", "prometheus", url=rows.url).stdout
    )
    rows.database.script("UPDATE hammerwork_workers SET state = 'lost', ended_at = heartbeat_at")
    assert checks(run, rows)["lost_workers"]["value"] == 1


def test_a_stream_that_sends_nothing_is_a_warning_and_critical_before_it_drops_events(run: Run, rows: Rows) -> None:
    worker(rows)
    add_stream(rows, "idle")
    add_stream(rows, "off", events=3, enabled=False)
    assert states(run, rows) == {}
    add_stream(rows, "lake", events=2)
    add_stream(rows, "nats", failing_since=ago(minutes=2), last_error="The broker\x1b[2J is away.")
    found = checks(run, rows)["streams"]
    assert (found["status"], found["value"], found["about"]) == ("warning", 2, ["lake", "nats"])
    assert found["message"] == (
        "lake: 2 events wait, and no worker sends them; nats: Events cannot be sent: The broker\\x1b[2J is away"
    )
    assert found["hint"] == "hammerwork streaming show lake"
    add_stream(rows, "full", events=8, max_backlog=10, failing_since=ago(days=2), last_error="Away.", dropped=7)
    done = run("monitor", "health", "--only", "streams", url=rows.url)
    assert done.exit_code == 1
    assert "full: 8 events wait, of at most 10. 7 were dropped. Away; lake: " in " ".join(done.stdout.split())


@all_databases
def test_a_large_backlog_is_estimated_from_the_part_that_is_counted(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_COUNTED", 40)
    ids = [add_stream(rows, name) for name in ("all", "half", "few", "none")]
    with rows.at_once():
        for number in range(400):
            stream = ids[2] if number < 39 else ids[number % 2]
            at = ago(seconds=1000 - number)
            event = {"stream_id": stream, "event_type": "job.dead", "body": "[]", "created_at": at}
            rows.insert("hammerwork_stream_events", event)
    found = {one.stream.name: one for one in streams.states(rows.database, ago())}
    exact = {name: streams.state(rows.database, one.stream, one.now) for name, one in found.items()}
    for name in ("all", "half"):
        assert abs(found[name].backlog - exact[name].backlog) <= 6, name
    assert (found["few"].backlog, found["none"].backlog) == (39, 0)
    assert {name: one.oldest_at for name, one in found.items()} == {name: one.oldest_at for name, one in exact.items()}
    assert found["none"].oldest_seconds is None


# One worker.


@pytest.mark.parametrize(
    ("columns", "exit_code"),
    [
        ({}, 0),
        ({"state": "stopping"}, 0),
        ({"heartbeat_at": timedelta(minutes=2)}, 1),
        ({"state": "lost", "ended_at": timedelta(0)}, 1),
        ({"state": "stopped", "ended_at": timedelta(0)}, 1),
    ],
    ids=["running", "stopping", "silent", "lost", "stopped"],
)
def test_one_worker_is_checked_by_its_name(run: Run, rows: Rows, columns: dict[str, Any], exit_code: int) -> None:
    worker(rows, state="stopped", ended_at=ago(minutes=30), started_at=ago(hours=3))
    past = {
        name: ago(seconds=value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in columns.items()
    }
    worker(rows, **past)
    done = run("monitor", "health", "--worker", "render-1", "--format", "json", url=rows.url)
    assert done.exit_code == exit_code, done.stdout
    [check] = done.json["checks"]
    assert (check["check"], check["limit"]) == ("worker", 30)


def test_of_several_workers_with_a_name_the_worst_counts(run: Run, rows: Rows) -> None:
    url = rows.url
    worker(rows, host="a", heartbeat_at=ago(minutes=2), started_at=ago(minutes=9))
    newest = worker(rows, host="a", started_at=ago(minutes=1))
    assert run("monitor", "health", "--worker", "render-1", url=url).exit_code == 0, "a container that came back"
    other = worker(rows, host="b", heartbeat_at=ago(minutes=2), started_at=ago(minutes=9))
    done = run("monitor", "health", "--worker", "render-1", url=url)
    assert (done.exit_code, "silent" in done.stdout) == (1, True)
    stopped = run("worker", "stop", "render-1", url=url)
    assert stopped.exit_code == 6
    assert {newest[:8], other[:8]} <= set(re.findall(r"\b[0-9a-f]{8}\b", stopped.stderr))


def test_a_worker_that_does_not_exist_exits_5(run: Run, rows: Rows) -> None:
    url = rows.url
    assert run("monitor", "health", "--worker", "nobody", url=url).exit_code == 5
    assert run("monitor", "health", "--worker", "nobody", "--only", "writes", url=url).exit_code == 2


# The file.

HANDLERS = "from hammerwork_cli import Handlers\napp = Handlers()\n@app.job('mail')\ndef mail(job):\n    pass\n"


@pytest.fixture
def start(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Callable[..., Begun]]:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    with contextlib.ExitStack() as ending:

        def start(url: str, *options: str) -> Begun:
            words = ["worker", "start", "--handlers", "handlers:app", "--name", "render 1\x1b", *options]
            begun = begin(words, {**clean_environment, "HAMMERWORK_DATABASE_URL": url}, tmp_path)
            ending.enter_context(begun)
            ending.callback(begun.kill)
            return begun

        yield start


def test_a_worker_writes_a_line_with_each_heartbeat_none_while_it_is_stopped_and_removes_the_file_at_its_end(
    new_database: Callable[..., str], tmp_path: Path, start: Callable[..., Begun]
) -> None:
    url, path = new_database("sqlite", migrated=True), tmp_path / "health"
    begun = start(url, "--health-file", "health", "--lease", "1s")
    eventually(path.exists)
    seconds, moment, state, name = path.read_text().rstrip("\n").split(" ", 3)
    assert abs(int(seconds) - time.time()) < 60
    assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (state, name) == ("running", "render 1\\x1b")
    first = path.read_text()
    eventually(lambda: path.read_text() != first)
    os.kill(begun.pid, signal.SIGSTOP)
    eventually(lambda: Path(f"/proc/{begun.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    stopped = path.read_text()
    time.sleep(0.6)  # three heartbeats
    assert path.read_text() == stopped
    os.kill(begun.pid, signal.SIGCONT)
    eventually(lambda: path.read_text() != stopped)
    begun.terminate()
    assert begun.wait(30) == 0
    assert [file.name for file in tmp_path.iterdir() if "health" in file.name] == []


def test_a_health_file_that_cannot_be_written_stops_the_start(
    new_database: Callable[..., str], start: Callable[..., Begun]
) -> None:
    begun = start(new_database("sqlite", migrated=True), "--health-file", "no such folder/health")
    _, stderr = begun.communicate(timeout=30)
    assert begun.returncode == 74
    assert "health file" in stderr
