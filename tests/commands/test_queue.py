"""``hammerwork queue``: what is typed, what comes out, how it exits."""

import contextlib
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.views.listing import STATES
from hammerwork_cli.features.worker.queries import claim, registry
from hammerwork_cli.view.table import table_text
from tests.commands.test_contract import LEAVES
from tests.conftest import all_databases
from tests.jobs import identity, job, write
from tests.rows import START, Rows

Run = Callable[..., Any]
NOW = {"HAMMERWORK_NOW": (START + timedelta(hours=10)).isoformat()}
HOSTILE = "evil\x1b[2J\"'\n\u202e<b>[red]"
CLAIMED = "Jobs that workers have claimed still start. The queue is idle once none of its jobs is Running.\n"
WROK = "Queue 'wrok' has no jobs; did you mean 'work'?\n"


@pytest.fixture
def url(new_database: Callable[..., str]) -> str:
    return new_database("sqlite", migrated=True)


@pytest.fixture
def full(url: str) -> str:
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        for status in ("Pending", "pending", "Running", "Completed", '"Dead"', "Melted"):
            rows.job(queue="work", status=status)
        rows.job(queue=HOSTILE, status="Pending")
    return url


def left(run: Run, url: str, queue: str = "work") -> dict[str, int]:
    rows = {row["queue"]: row["by_status"] for row in run("queue", "list", "--format", "json", url=url, env=NOW).json}
    return {status: jobs for status, jobs in rows.get(queue, {}).items() if jobs}


# Reading.


def test_the_list_counts_damaged_rows_and_shows_unknown_words(run: Run, full: str) -> None:
    [evil, work] = run("queue", "list", "--format", "json", url=full, env=NOW).json
    assert evil["queue"] == HOSTILE
    assert work["total"] == 6
    assert work["by_status"]["Pending"] == 2
    assert work["by_status"]["Dead"] == 1
    assert work["by_status"]["Melted"] == 1
    assert work["by_status"]["TimedOut"] == 0
    assert work["oldest_pending_seconds"] == 10 * 3600 - 1
    table = run("queue", "list", url=full, env=NOW).stdout
    assert "9h 59m" in table
    assert "\\x1b[2J" in table


def test_the_queue_of_webhooks_is_listed_when_you_ask_and_while_it_is_paused(run: Run, url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        Rows(database).job(queue=DELIVERIES)
        Rows(database).job(queue="mail")

    def listed(*options: str) -> list[tuple[str, bool]]:
        found = run("queue", "list", "--format", "json", *options, url=url).json
        return [(one["queue"], one["internal"]) for one in found]

    assert listed() == [("mail", False)]
    assert listed("--internal") == [(DELIVERIES, True), ("mail", False)]
    assert listed("--paused") == []
    run("queue", "pause", DELIVERIES, url=url)
    assert listed("--paused") == [(DELIVERIES, True)]


def test_stats_of_one_queue_can_be_asked_for_as_hammerwork_rust_does(run: Run, full: str) -> None:
    ours = run("queue", "stats", "work", "--format", "json", env=NOW, url=full)
    assert ours.json["total"] == 6
    assert ours.json["by_priority"] is None
    theirs = run("queue", "stats", "-d", full, "-n", "work", "--format", "json", env=NOW)
    assert theirs.stdout == ours.stdout
    assert run("queue", "stats", "-q", "work", "--format", "json", env=NOW, url=full).stdout == ours.stdout


def test_naming_two_queues_is_refused(run: Run, full: str) -> None:
    assert run("queue", "stats", "work", "-n", "other", url=full).exit_code == 2


def test_details_are_shown_in_words(run: Run, full: str) -> None:
    shown = run("queue", "stats", "work", "--detailed", "--hours", "24", url=full, env=NOW).stdout
    assert "last 24 hours" in shown
    assert "By status and priority" in shown
    assert "Melted" in shown


def test_a_queue_that_does_not_exist_exits_5(run: Run, full: str) -> None:
    for verb in ("stats", "health"):
        done = run("queue", verb, "wrok", url=full)
        assert done.exit_code == 5
        assert "queue list" in done.stderr


# Health.


def test_health_exits_1_when_a_limit_is_passed_and_says_which(run: Run, full: str) -> None:
    done = run("queue", "health", "work", "--format", "json", url=full, env=NOW)
    assert done.exit_code == 1
    assert done.json["status"] == "unhealthy"
    [queue] = done.json["queues"]
    checks = {check["check"]: check for check in queue["checks"]}
    assert set(checks) == {
        "pending",
        "pending_age",
        "running_age",
        "waiting_age",
        "retrying",
        "failed",
        "failure_rate",
    }
    assert {name for name, check in checks.items() if check["status"] == "exceeded"} == {"pending_age", "running_age"}
    assert checks["pending_age"]["limit"] == 3600
    assert checks["pending_age"]["unit"] == "seconds"
    assert checks["pending"] == {
        "queue": "work", "check": "pending", "value": 2, "limit": 10000, "unit": "jobs", "status": "ok"
    }  # fmt: skip


def test_limits_decide_about_health(run: Run, full: str) -> None:
    relaxed = ("--max-pending-age", "1d", "--max-running-age", "off")
    assert run("queue", "health", "work", *relaxed, url=full, env=NOW).exit_code == 0
    assert run("queue", "health", "work", *relaxed, "--max-pending", "1", url=full, env=NOW).exit_code == 1
    assert run("queue", "health", "work", *relaxed, "--max-pending", "2", url=full, env=NOW).exit_code == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-pending", "many"),
        ("--max-pending", "-1"),
        ("--max-failed", "1.5"),
        ("--max-failure-rate", "101%"),
        ("--max-failure-rate", "2"),
        ("--max-failure-rate", "nan"),
        ("--max-running-age", "soon"),
    ],
)
def test_a_limit_that_cannot_be_read_names_its_option(run: Run, full: str, option: str, value: str) -> None:
    done = run("queue", "health", f"{option}={value}", url=full)
    assert done.exit_code == 2
    assert option in done.stderr


def test_a_rate_is_a_share_or_a_percentage(run: Run, url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        ended = START + timedelta(hours=9, minutes=30)
        rows.job(status="Dead", failed_at=ended)
        rows.job(status="Completed", completed_at=ended)
    for rate, exit_code in (("50%", 0), ("0.5", 0), ("49.9%", 1), ("0.499", 1), ("off", 0)):
        assert run("queue", "health", "--max-failure-rate", rate, url=url, env=NOW).exit_code == exit_code


def test_all_queues_are_shown_a_line_each_with_what_is_wrong(run: Run, full: str) -> None:
    lines = run("queue", "health", url=full, env=NOW).stdout.splitlines()
    assert any(line.startswith("work") and "pending age 9h 59m, running age 9h 59m" in line for line in lines)
    assert lines[-3].startswith("2 of 2 queues unhealthy. At most: pending 10,000")
    assert lines[-2] == "To find jobs that have lost their worker: hammerwork spawn doctor --older-than 1h"
    assert lines[-1].startswith("No running worker serves the ready jobs of evil")


def test_jobs_that_are_ready_without_a_worker_are_reported_though_no_limit_is_passed(run: Run, url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        Rows(database).job(queue="mail", status="Pending")
        asked = ("queue", "health", "mail")
        done = run(*asked, url=url, env={"HAMMERWORK_NOW": (START + timedelta(minutes=1)).isoformat()})
        assert done.exit_code == 0
        assert "No running worker serves the ready jobs of mail (Rust workers do not register)" in done.stdout
        silent = registry.Registration(identity(2), "w-2", "here", 1, "1", ("mail",), (), 1, -1)
        registry.register(database, silent)
        told = run(*asked, url=url).stdout
        assert "No running worker serves the ready jobs of mail" in told
        assert "w-2 has been silent for " in told
        here = registry.Registration(identity(1), "w", "here", 1, "1", ("mail",), (), 1, 30)
        registry.register(database, here)
    assert "no running worker" not in run(*asked, url=url).stdout
    assert run("queue", "health", "--format", "json", url=url).json["queues"][0]["workers"] == 1


def test_on_a_terminal_the_list_shows_that_no_worker_is_there(full: str) -> None:
    with contextlib.closing(connect(full)) as database:
        states = queues.states(database, now=START)
    lines = table_text(states, STATES, terminal=True, width=160).splitlines()
    assert lines[0].split()[-1] == "workers"
    assert lines[-1].split()[-1] == "0"
    for state in states:
        state.workers = None
    assert "workers" not in table_text(states, STATES, terminal=True, width=160)


# Pausing.


def test_pausing_says_who_and_why_and_is_there_for_rust_workers(run: Run, full: str) -> None:
    done = run("queue", "pause", "work", "--reason", "the provider is down", url=full, env=NOW)
    assert done.exit_code == 0
    assert done.stdout == "work: paused\n"
    assert done.stderr == CLAIMED
    [pause] = run("queue", "paused", "--format", "json", url=full).json
    assert pause["queue"] == "work"
    assert pause["reason"] == "the provider is down"
    assert "@" in pause["paused_by"]
    assert pause["paused_at"] == "2026-11-25T00:00:00.000000Z"
    other = run("queue", "pause", "work", "--reason", "still down", url=full).stdout
    assert other.endswith("; the reason is now: still down\n")
    again = run("queue", "pause", "work", url=full)
    assert again.stdout.endswith(": still down\n")
    assert (again.stdout.count("already paused since"), again.stderr) == (1, "")
    assert run("queue", "resume", "work", url=full).stdout == "work: resumed\n"
    assert run("queue", "resume", "work", url=full).stdout == "work: is not paused\n"
    assert run("queue", "paused", "--format", "json", url=full).json == []


def test_several_queues_are_paused_at_once(run: Run, full: str) -> None:
    done = run("queue", "pause", "a", "b", "a", "--format", "json", url=full)
    assert [(change["queue"], change["changed"]) for change in done.json] == [("a", True), ("b", True)]


def test_a_dry_run_pauses_nothing(run: Run, full: str) -> None:
    assert run("queue", "pause", "work", "--dry-run", url=full).stdout == "work: would be paused\n"
    assert run("queue", "pause", "--all", "--dry-run", url=full).exit_code == 0
    assert run("queue", "paused", "--format", "json", url=full).json == []


def test_pausing_everything_needs_a_confirmation(run: Run, full: str) -> None:
    for words in (("--all",), ("--all", "--format", "json")):
        done = run("queue", "pause", *words, url=full)
        assert (done.exit_code, done.stdout) == (2, "")
    assert run("queue", "paused", "--format", "json", url=full).json == []
    assert run("queue", "pause", "--all", "--yes", url=full).exit_code == 0
    assert len(run("queue", "paused", "--format", "json", url=full).json) == 3
    assert run("queue", "resume", "--all", url=full).exit_code == 2
    assert run("queue", "resume", "--all", "--confirm", url=full).exit_code == 0
    assert run("queue", "paused", "--format", "json", url=full).json == []
    assert run("queue", "resume", "--all", "--format", "json", url=full).json == []


def test_a_pause_of_all_queues_holds_for_those_to_come_and_is_said_by_every_view(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, JobStatus.PENDING, queue="mail"), job(2, JobStatus.PENDING, queue="report"))
    assert run("queue", "pause", "mail", "--reason", "provider down", url=migrated_url).exit_code == 0
    done = run("queue", "pause", "--all", "--reason", "upgrade", "--yes", url=migrated_url)
    lines = done.stdout.splitlines()
    assert lines[0] == "all queues, including future ones: paused"
    assert lines[1].startswith("mail: already paused since")
    assert lines[1].endswith(": provider down")
    assert lines[2:] == ["report: paused"]
    done = run("queue", "pause", "--all", "--reason", "upgrade to 3", "--yes", url=migrated_url)
    assert [line.partition("; ")[2] for line in done.stdout.splitlines()] == [
        "the reason is now: upgrade to 3",
        "",
        "the reason is now: upgrade to 3",
    ]
    again = run("queue", "pause", "--all", "--yes", url=migrated_url).stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in again] == ["upgrade to 3", "provider down", "upgrade to 3"]
    paused = run("queue", "paused", "--format", "json", url=migrated_url).json
    assert {one["reason"] for one in paused} == {"upgrade to 3", "provider down"}
    write(migrated_url, job(3, JobStatus.PENDING, queue="later"))
    with contextlib.closing(connect(migrated_url)) as database:
        now = database.now()
        for queue in ("mail", "report", "later"):
            assert claim.claim(database, queue, worker=new_id(), now=now, limit=9, slots=9) == []
            assert claim.drained(database, [queue], now)
    listed = run("queue", "list", "--format", "json", url=migrated_url).json
    assert {one["queue"]: (one["paused"], one["paused_reason"]) for one in listed} == {
        "mail": (True, "provider down"),
        "report": (True, "upgrade to 3"),
        "later": (True, "upgrade to 3"),
    }
    why = run("spawn", "why", identity(3), url=migrated_url)
    assert "the queue is paused with all queues since" in why.stdout
    assert "hammerwork queue resume --all" in why.stdout
    checks = run("monitor", "health", "--format", "json", url=migrated_url).json["checks"]
    assert next(one["about"] for one in checks if one["check"] == "paused_queues") == ["later", "mail", "report"]
    stats = run("queue", "stats", "--format", "json", url=migrated_url).json
    assert stats["paused_queues"] == ["later", "mail", "report"]
    refused = run("queue", "resume", "report", url=migrated_url)
    assert (refused.exit_code, "queue resume --all" in refused.stderr) == (6, True)
    assert run("queue", "stats", "nope", url=migrated_url).exit_code == 5


def test_the_end_of_a_pause_of_all_queues_leaves_those_that_were_paused_by_themselves(
    run: Run, migrated_url: str
) -> None:
    write(migrated_url, *(job(number, JobStatus.PENDING, queue=queue) for number, queue in enumerate("abcd")))
    assert run("queue", "pause", "a", "--reason", "before", url=migrated_url).exit_code == 0
    for _ in range(2):
        assert run("queue", "pause", "--all", "--yes", "--reason", "upgrade", url=migrated_url).exit_code == 0
    assert run("queue", "pause", "b", "--reason", "meanwhile", url=migrated_url).stdout == "b: paused\n"
    plan = run("queue", "resume", "--all", "--dry-run", url=migrated_url).stdout
    done = run("queue", "resume", "--all", "--yes", url=migrated_url).stdout.splitlines()
    assert plan.splitlines()[0] == "all queues, including future ones: would be resumed"
    assert done[0] == "all queues, including future ones: resumed"
    for line, queue, reason in zip(done[1:3], "ab", ("before", "meanwhile"), strict=True):
        assert re.fullmatch(rf"{queue}: stays paused since .* UTC by .*: {reason}", line)
    assert done[3:] == ["c: resumed", "d: resumed"]
    left = run("queue", "paused", "--format", "json", url=migrated_url).json
    assert [(one["queue"], one["reason"]) for one in left] == [("a", "before"), ("b", "meanwhile")]
    assert run("queue", "resume", "a", url=migrated_url).stdout == "a: resumed\n"
    again = run("queue", "resume", "--all", "--yes", "--format", "json", url=migrated_url).json
    assert [(one["queue"], one["paused"], one["changed"]) for one in again] == [("b", False, True)]
    assert run("queue", "pause", "*", url=migrated_url).exit_code == 2


@pytest.mark.parametrize("words", [(), ("work", "--all"), ("",)])
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_which_queue_is_meant_must_be_said(run: Run, full: str, verb: str, words: tuple[str, ...]) -> None:
    assert run("queue", verb, *words, "--yes", url=full).exit_code == 2


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--format", "csv")])
def test_a_pause_of_a_queue_that_nobody_uses_is_remarked_upon(run: Run, full: str, options: tuple[str, ...]) -> None:
    done = run("queue", "pause", "work", "wrok", *options, url=full, env=NOW)
    assert done.exit_code == 0
    assert done.stderr == (WROK if "--dry-run" in options else CLAIMED + WROK)
    told = run("queue", "pause", "work", "wrok", "--format", "json", url=full, env=NOW)
    assert [(change["queue"], change["has_jobs"]) for change in told.json] == [("work", True), ("wrok", False)]


def test_a_change_of_a_queue_that_nobody_uses_is_remarked_upon_and_does_nothing(run: Run, full: str) -> None:
    for words in (("resume", "wrok"), ("resume", "wrok", "work", "--dry-run"), ("clear", "wrok", "--yes")):
        done = run("queue", *words, url=full, env=NOW)
        assert (done.exit_code, done.stderr) == (0, WROK)
    assert run("queue", "resume", "wrok", "--format", "json", url=full).json[0]["has_jobs"] is False
    assert run("queue", "resume", "work", url=full).stderr == ""
    run("queue", "pause", "wrok", url=full)
    assert run("queue", "clear", "wrok", "--yes", url=full).stderr == ""
    assert run("queue", "resume", "wrok", url=full).stderr == ""


def test_who_asks_about_a_queue_that_nobody_uses_gets_5(run: Run, full: str) -> None:
    assert [run("queue", verb, "wrok", url=full).exit_code for verb in ("stats", "health")] == [5, 5]


# Emptying.


def test_clearing_needs_a_confirmation_and_shows_its_plan(run: Run, full: str) -> None:
    for words in ((), ("--format", "json")):
        done = run("queue", "clear", "work", *words, url=full, env=NOW)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "--yes" in done.stderr
    done = run("queue", "clear", "work", url=full, env=NOW)
    assert "To delete: 5 jobs" in done.stderr
    assert "Skipped 1 job: Running." in done.stderr
    assert sum(left(run, full).values()) == 6


def test_a_dry_run_deletes_nothing(run: Run, full: str) -> None:
    done = run("queue", "clear", "work", "--dry-run", "--yes", "--format", "json", url=full, env=NOW)
    assert done.json["dry_run"] is True
    groups = {group["status"]: group["jobs"] for group in done.json["plan"] if group["changes"]}
    assert groups == {"Completed": 1, "Dead": 1, "Melted": 1, "Pending": 2}
    assert done.json["left"] == {"Running": 1}
    assert sum(left(run, full).values()) == 6


@pytest.mark.parametrize(
    ("words", "remaining"),
    [
        (("--yes",), {"Running": 1}),
        (("--confirm",), {"Running": 1}),
        (("--pending-only", "--yes"), {"Running": 1, "Completed": 1, "Dead": 1, "Melted": 1}),
        (("--force", "--yes"), {}),
    ],
)
def test_clearing_deletes_what_its_options_say(
    run: Run, full: str, words: tuple[str, ...], remaining: dict[str, int]
) -> None:
    done = run("queue", "clear", "-n", "work", *words, url=full, env=NOW)
    skips = int(bool(remaining) and "--pending-only" not in words)
    assert done.exit_code == skips
    assert done.stdout.startswith(f"Deleted {6 - sum(remaining.values())} jobs.\n")
    assert "has no jobs" not in done.stderr
    assert left(run, full) == remaining
    assert left(run, full, HOSTILE) == {"Pending": 1}
    again = run("queue", "clear", "work", *words, url=full, env=NOW)
    assert again.exit_code == skips
    assert again.stdout.startswith("Nothing to delete")


def test_force_says_what_it_means_for_running_jobs(run: Run, full: str) -> None:
    said = "its worker interrupts the handler, unless it runs in a thread, and records nothing"
    assert said in run("queue", "clear", "work", "--force", url=full).stderr


def test_jobs_that_another_queue_waits_for_are_not_cleared(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        held = {"status": "Pending", "dependency_status": "waiting"}
        parent, free = (rows.job(queue="work", status="Pending") for _ in range(2))
        below = rows.job(parent, queue="work", **held)
        rows.job(below, queue="elsewhere", **held)
        rows.job(free, queue="elsewhere", status="Completed")
    words = ("queue", "clear", "work", "--pending-only", "--yes", "--format", "json")
    done = run(*words, url=migrated_url, env=NOW)
    assert (done.exit_code, done.json["changed"], done.json["left"]) == (1, 1, {"waited_for": 2})
    assert left(run, migrated_url) == {"Pending": 2}
    done = run(*words, "--force", url=migrated_url, env=NOW)
    assert (done.exit_code, done.json["changed"]) == (0, 2)
    assert left(run, migrated_url, "elsewhere") == {"Completed": 1, "Pending": 1}


def test_a_pause_outlives_the_jobs(run: Run, full: str) -> None:
    run("queue", "pause", "work", url=full)
    run("queue", "clear", "work", "--force", "--yes", url=full)
    [work] = [row for row in run("queue", "list", "--format", "json", url=full, env=NOW).json if row["queue"] == "work"]
    assert (work["total"], work["paused"]) == (0, True)


@pytest.mark.parametrize("words", [(), ("a", "-n", "b")])
def test_clearing_refuses_what_it_cannot_understand(run: Run, full: str, words: tuple[str, ...]) -> None:
    assert run("queue", "clear", *words, "--yes", url=full).exit_code == 2
    assert sum(left(run, full).values()) == 6


# On the jobs that hammerwork (Rust) left.


@pytest.mark.mysql
def test_a_database_that_is_stuck_half_way_is_read_and_cannot_be_paused(
    run: Run, shared_restored: Callable[[str], str]
) -> None:
    stuck = shared_restored("stuck-at-010.mariadb")
    assert len(run("queue", "list", "--format", "json", url=stuck, env=NOW).json) == 12
    assert run("queue", "paused", "--format", "json", url=stuck).json == []
    assert run("queue", "health", url=stuck, env=NOW).exit_code == 1
    done = run("queue", "pause", "mail", url=stuck)
    assert done.exit_code == 4
    assert "hammerwork migration run" in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=getattr(pytest.mark, mark))
        for name, mark in (
            ("media.postgresql", "postgres"),
            ("damaged.mariadb", "mysql"),
        )
    ],
)
def test_every_job_that_hammerwork_rust_wrote_is_counted(
    run: Run, shared_restored: Callable[[str], str], name: str
) -> None:
    url = shared_restored(name)
    with contextlib.closing(connect(url)) as database:
        stored = database.query("SELECT status, COUNT(*) FROM hammerwork_jobs GROUP BY status")
    counted = run("queue", "stats", "--format", "json", url=url).json
    assert counted["total"] == sum(jobs for _, jobs in stored)
    for status in ("Completed", "Running", "Pending", "Dead", "Failed", "TimedOut"):
        same = sum(jobs for word, jobs in stored if word.strip('"').lower() == status.lower())
        # Retrying and cancelled jobs are stored as Pending and Failed ones.
        derived = {"Pending": "Retrying", "Failed": "Cancelled"}.get(status)
        assert counted["by_status"][status] + counted["by_status"].get(derived, 0) == same
    rows = run("queue", "list", "--format", "json", url=url).json
    assert sum(row["total"] for row in rows) == counted["total"]
    assert {row["queue"] for row in rows if row["paused"]} >= {"reminder"}


@all_databases
def test_commands_mean_the_queue_of_that_name_alone(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        for name in ("orders", "Orders", "orders "):
            rows.job(queue=name, status="Pending")

    def queues_left() -> list[str]:
        return sorted(row["queue"] for row in run("queue", "list", "--format", "json", url=migrated_url, env=NOW).json)

    assert queues_left() == ["Orders", "orders", "orders "]
    run("queue", "pause", "Orders", "--yes", url=migrated_url)
    assert [row["queue"] for row in run("queue", "paused", "--format", "json", url=migrated_url).json] == ["Orders"]
    second = run("queue", "pause", "orders", "--yes", url=migrated_url)
    assert second.exit_code == (6 if migrated_url.startswith("mysql") else 0), second
    assert run("job", "delete", "--queue", "orders", "--yes", url=migrated_url).stdout == "Deleted 1 job.\n"
    assert run("queue", "clear", "orders ", "--yes", url=migrated_url).exit_code == 0
    assert "Orders" in queues_left()
    assert run("job", "list", "--queue", "Orders", "--format", "json", url=migrated_url).json != []


def test_the_name_of_a_queue_that_a_worker_serves_is_not_taken_for_a_typing_error(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        one = registry.Registration(identity(1), "w-1", "here", 1, "1", ("mail",), (), 8, 30.0)
        registry.register(database, one)
    assert "check the spelling" not in run("queue", "pause", "mail", url=migrated_url).stderr
    assert "check the spelling" in run("queue", "pause", "mails", url=migrated_url).stderr


# Notes.


@pytest.mark.parametrize("words", [("queue", "list"), ("spawn", "list", "--failed")], ids=" ".join)
def test_lists_point_to_the_doctor_when_jobs_run_for_long_with_no_live_worker(
    run: Run, migrated_url: str, words: tuple[str, ...]
) -> None:
    now = START + timedelta(hours=10)
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        rows.job(rows.job(spawns=True), queue="work", status="Dead")
        rows.job(queue="work", status="Running", started_at=now - timedelta(minutes=50))
        assert "registered worker" not in run(*words, url=migrated_url, env=NOW).stderr
        rows.job(queue="work", status="Running", started_at=now - timedelta(minutes=70))
    # The last job that a Rust worker took says whether one runs; the first one may simply take long.
    assert "registered worker" not in run(*words, url=migrated_url, env=NOW).stderr
    later = {"HAMMERWORK_NOW": (now + timedelta(minutes=20)).isoformat()}
    assert (
        "no registered worker has them. See: hammerwork spawn doctor --older-than 1h"
        in run(*words, url=migrated_url, env=later).stderr
    )
    assert run(*words, "--format", "json", url=migrated_url, env=later).stderr == ""


LIMITED = {
    **dict.fromkeys(("spawn list", "spawn stats", "spawn pending", "spawn why", "spawn doctor"), ""),
    **dict.fromkeys(("job list", "job export", "job retry", "cron list", "cron next"), ""),
    **dict.fromkeys(
        ("worker list", "monitor logs", "monitor metrics", "archive list", "archive stats", "archive policies"), ""
    ),
    **dict.fromkeys(
        ("maintenance check", "maintenance dead-jobs", "job requeue-stale", "worker status", "monitor health"), ""
    ),
    **dict.fromkeys(("job cancel", "job delete"), "--dry-run"),
    **dict.fromkeys(("archive run", "archive purge"), "--older-than 1d --dry-run"),
    "job purge": "--all --dry-run",
    **dict.fromkeys(("spawn monitor", "monitor dashboard"), "--count 1 --interval 0.1"),
    **dict.fromkeys(("batch retry", "batch cancel"), "{batch} --dry-run"),
    "batch export": "{batch}",
    "workflow retry": "{workflow} --dry-run",
    "maintenance cleanup": "--keep-completed-days 1 --dry-run",
    "backup create": "-o -",
}
"""What each verb takes beside a queue that it is limited to."""


def test_each_verb_that_is_limited_to_a_queue_names_a_similar_one_if_that_has_no_jobs(
    run: Run, new_database: Callable[..., str], tmp_path: Path
) -> None:
    url = new_database("sqlite", migrated=True)
    assert LIMITED.keys() == {
        path
        for path, verb in LEAVES.items()
        if any((getattr(param, "help", "") or "").startswith("Only these queues") for param in verb.params)
    }
    write(url, job(1, JobStatus.FAILED, queue="segment"))
    (file := tmp_path / "flow.toml").write_text('name = "night"\n[jobs.segment]\n')
    made = run("workflow", "create", "--file", str(file), url=url)
    (lines := tmp_path / "jobs.jsonl").write_text('{"queue": "segment", "payload": 1}\n')
    ids = {
        "workflow": made.stdout.strip(),
        "batch": run("batch", "enqueue", "--file", str(lines), url=url).stdout.strip(),
    }
    for path, others in LIMITED.items():
        words = [*path.split(), *others.format(**ids).split()]
        said = run(*words, "--queue", "segmnt", url=url).stderr
        assert said.endswith("Queue 'segmnt' has no jobs; did you mean 'segment'?\n"), path
        assert "check the spelling" in run(*words, "--queue", "other", url=url).stderr, path
        assert "has no jobs" not in run(*words, "--queue", "segment", url=url).stderr, path
    for path in ("job list", "spawn list", "spawn why", "spawn stats", "monitor metrics"):
        done = run(*path.split(), "--queue", "segmnt", "--format", "json", url=url)
        assert done.stderr == ""
    cleared = run("queue", "clear", "segmnt", "--dry-run", url=url)
    assert "did you mean 'segment'?" in cleared.stderr
    for verb in ("stats", "health"):
        done = run("queue", verb, "segmnt", url=url)
        assert (done.exit_code, "Did you mean 'segment'?" in done.stderr) == (5, True)
        assert "hammerwork queue list" in run("queue", verb, "other", url=url).stderr


@all_databases
def test_a_queue_that_has_no_jobs_and_that_a_list_shows_is_not_taken_for_a_typing_error(
    run: Run, migrated_url: str
) -> None:
    write(migrated_url, job(1, JobStatus.FAILED, queue="segment"))
    run("cron", "create", "--queue", "segments", "--payload", "1", "--every", "1h", url=migrated_url)
    assert run("cron", "list", "--queue", "segments", url=migrated_url).stderr == ""


# Limits.


def test_a_limit_is_set_shown_replaced_and_removed(run: Run, full: str) -> None:
    def limit(*words: str, **how: Any) -> Any:
        return run("queue", "limit", *words, url=full, **how)

    assert limit().stdout == ""
    done = limit("mail", "segment", "--rate", "10/s", "--concurrency", "2", "--per", "tenant", "--dry-run")
    assert done.stdout.splitlines() == [
        "mail: would be limited to 2 at once, 10/s per tenant",
        "segment: would be limited to 2 at once, 10/s per tenant",
    ]
    assert limit("--format", "json").json == []
    (one,) = limit("mail", "--rate", "100/m", "--format", "json").json
    assert (one["queue"], one["concurrency"], one["rate"], one["per"]) == ("mail", None, "100/m", None)
    assert limit("mail", "--rate", "100/m").stdout == "mail: already limited to 100/m\n"
    assert limit("mail", "--concurrency", "2").stdout == "mail: limited to 2 at once (before: 100/m)\n"
    run("queue", "limit", "work", "--concurrency", "7", url=full)
    assert [one["queue"] for one in limit("mail", "--format", "json").json] == ["mail"]
    rows = {row["queue"]: row for row in run("queue", "list", "--format", "json", url=full).json}
    assert (rows["work"]["limit_concurrency"], rows["work"]["limit_rate"]) == (7, None)
    assert limit("mail", "--remove").stdout == "mail: no longer limited to 2 at once\n"
    assert limit("mail", "--remove").stdout == "mail: has no limit\n"
    assert limit("nowhere", "--rate", "1/s").stderr.startswith("Queue 'nowhere' has no jobs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--rate 5/s", "No queue was given."),
        ("mail --per tenant", "--per needs --concurrency or --rate."),
        ("mail --dry-run", "--dry-run needs --concurrency or --rate."),
        ("mail --remove --rate 5/s", "--remove takes no new limit."),
        ("mail --rate 5", "--rate: '5' is not a rate."),
        ("mail --rate 5/s --per a..b", "--per: 'a..b' is not the key of a value."),
    ],
)
def test_a_limit_that_cannot_be_is_refused(run: Run, url: str, words: str, said: str) -> None:
    done = run("queue", "limit", *words.split(), url=url)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_job_that_waits_for_a_limit_says_so_wherever_it_is_asked(run: Run, url: str) -> None:
    for _ in range(3):
        run("job", "enqueue", "--queue", "mail", "--payload", '{"to": "a"}', url=url)
    run("queue", "limit", "mail", "--rate", "2/h", "--per", "to", url=url)
    with contextlib.closing(connect(url)) as database:
        assert len(claim.claim(database, "mail", worker=new_id(), now=database.now(), limit=9, slots=9)) == 2
    (waiting,) = (row["id"] for row in run("job", "list", "--status", "pending", "--format", "json", url=url).json)
    why = run("spawn", "why", waiting, url=url).stdout
    assert "waiting for the limit of its queue" in why
    assert "waits for the limit of the queue mail: 2/h per to" in why
    shown = run("job", "show", waiting, "--format", "json", url=url).json
    assert shown["hold_message"].endswith("waits for the limit of the queue mail: 2/h per to")
