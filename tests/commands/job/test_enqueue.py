"""``job enqueue``, on every database."""

import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus, id_list
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.queries.limits import nesting
from tests.conftest import Outcome, all_databases, each_row, on_servers
from tests.jobs import CLOCK, identity, job, move_to_archive, rows, write

Run = Callable[..., Outcome]
ID = "11111111-1111-4111-8111-111111111111"


def enqueued(run: Run, url: str, *options: str) -> str:
    """The id that an enqueue prints, alone on stdout."""
    outcome = run("job", "enqueue", *options, url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.count("\n") == 1
    return outcome.stdout.strip()


def payload_of(url: str, job_id: str) -> Any:
    """What is stored as the payload."""
    return json.loads(rows(url, "payload", f"id = '{job_id}'")[0][0])


@all_databases
def test_a_rust_worker_can_read_an_enqueued_job(run: Run, migrated_url: str) -> None:
    new = enqueued(run, migrated_url, "-q", "mail", "--payload", '{"to": "ada"}', "-r", "HIGH", "--timeout", "2m")
    columns = "status, priority, attempts, max_attempts, timeout_seconds, dependency_status, depends_on, dependents"
    *plain, depends_on, dependents = rows(migrated_url, columns, f"id = '{new}'")[0]
    assert plain == ["Pending", 3, 0, 3, 120, "none"]
    assert depends_on is not None
    assert dependents is not None
    assert id_list(depends_on) == id_list(dependents) == ()
    assert payload_of(migrated_url, new) == {"to": "ada"}


def test_the_names_of_hammerwork_rust_are_accepted(run: Run, migrated_url: str) -> None:
    new = enqueued(run, migrated_url, "-n", "mail", "-j", "1", "-r", "low", "--delay", "60", "--timeout", "5")
    due, created = rows(migrated_url, "scheduled_at, created_at", f"id = '{new}'")[0]
    assert str(due)[11:19] == "12:01:00"
    assert str(created)[11:19] == "12:00:00"


@all_databases
def test_a_time_in_another_zone_is_stored_in_utc(run: Run, migrated_url: str) -> None:
    new = enqueued(run, migrated_url, "-q", "mail", "-j", "1", "--at", "2026-12-24T18:00:00+02:00")
    assert str(rows(migrated_url, "scheduled_at", f"id = '{new}'")[0][0])[:16].replace("T", " ") == "2026-12-24 16:00"


def test_json_says_what_was_enqueued(run: Run, migrated_url: str) -> None:
    outcome = run(
        "job", "enqueue", "-q", "mail", "-j", "1", "--id", ID, "--format", "json", url=migrated_url, env=CLOCK
    )
    assert outcome.json == {
        "id": ID,
        "queue": "mail",
        "created": True,
        "status": "Pending",
        "priority": "normal",
        "scheduled_at": "2026-11-24T12:00:00.000000Z",
        "depends_on": [],
        "dependency_status": "none",
    }


def test_a_payload_comes_from_a_file_or_from_stdin(
    hammerwork: Callable[..., Outcome], lite_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"title": "東京"}', encoding="utf-8-sig")
    from_file = hammerwork("job", "enqueue", "-q", "a", "--payload", f"@{file}", url=lite_url).stdout.strip()
    from_stdin = hammerwork("job", "enqueue", "-q", "a", "-j", "-", url=lite_url, input="[1]").stdout.strip()
    assert payload_of(lite_url, from_file) == {"title": "東京"}
    assert payload_of(lite_url, from_stdin) == [1]
    for given in (["-j", "-"], ["-j", ""], []):
        refused = hammerwork("job", "enqueue", "-q", "a", *given, url=lite_url, input="")
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "'{}'" in refused.stderr
        assert ("The payload is empty." in refused.stderr) == bool(given)


@all_databases
def test_a_second_run_with_the_same_id_changes_nothing(run: Run, migrated_url: str) -> None:
    assert enqueued(run, migrated_url, "-q", "mail", "-j", '{"a": 1.0, "b": [2]}', "--id", ID.upper()) == ID
    again = run("job", "enqueue", "-q", "mail", "-j", '{"b":[2],"a":1}', "--id", ID, url=migrated_url)
    assert (again.exit_code, again.stdout) == (0, ID + "\n")
    assert "Already exists; left unchanged" in again.stderr
    assert len(rows(migrated_url)) == 1


@pytest.mark.parametrize("later", [(), ("--delay", "15m"), ("--at", "2027-01-01T00:00:00Z")])
def test_a_second_run_with_the_same_id_is_answered_with_what_is_stored(
    run: Run, migrated_url: str, later: tuple[str, ...]
) -> None:
    write(migrated_url, job(5))
    words = ("-q", "mail", "-j", "1", "--id", ID, "--priority", "high", "--depends-on", identity(5))
    first = run("job", "enqueue", *words, "--delay", "1h", "--format", "json", url=migrated_url, env=CLOCK).json
    assert first["scheduled_at"] == "2026-11-24T13:00:00.000000Z"
    assert run("job", "enqueue", *words, *later, "--format", "json", url=migrated_url).json == {
        **first,
        "created": False,
    }
    run("job", "cancel", ID, url=migrated_url)
    assert run("job", "enqueue", *words, "--format", "json", url=migrated_url).json["status"] == "Failed"


CONFLICTS = [
    (("-q", "mail", "-j", "2"), "payload"),
    (("-q", "post", "-j", "1"), "queue"),
    (("-q", "post", "-j", "2"), "queue, payload"),
    (("-q", "mail", "-j", "1", "--priority", "high"), "priority"),
    (("-q", "mail", "-j", "1", "--max-attempts", "5", "--timeout", "90"), "max_attempts, timeout"),
    (("-q", "mail", "-j", "1", "--trace-id", "t", "--correlation-id", "c"), "trace_id, correlation_id"),
    (("-q", "mail", "-j", "1", "--depends-on", identity(5)), "depends_on"),
]


@all_databases
def test_another_job_under_the_same_id_is_a_conflict(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5))
    enqueued(run, migrated_url, "-q", "mail", "-j", "1", "--id", ID)
    for words, differs in CONFLICTS:
        outcome = run("job", "enqueue", *words, "--id", ID, url=migrated_url)
        assert (words, outcome.exit_code) == (words, 6)
        assert f"with a different {differs}." in outcome.stderr
    assert payload_of(migrated_url, ID) == 1


def test_a_job_that_has_been_archived_is_not_enqueued_again(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, JobStatus.COMPLETED))
    move_to_archive(migrated_url, 5, b'{"a": 1}')
    outcome = run("job", "enqueue", "-q", "mail", "-j", '{"a":1}', "--id", identity(5), url=migrated_url)
    assert (outcome.exit_code, outcome.stdout.strip()) == (0, identity(5))
    assert rows(migrated_url) == []


@all_databases
def test_many_at_once_with_one_id_enqueue_one_job(hammerwork: Callable[..., Outcome], migrated_url: str) -> None:
    outcomes: list[Outcome] = []
    arguments = ("job", "enqueue", "-q", "mail", "-j", "{}", "--id", ID, "--format", "json")
    threads = [
        threading.Thread(target=lambda: outcomes.append(hammerwork(*arguments, url=migrated_url))) for _ in "123"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.exit_code for outcome in outcomes] == [0, 0, 0], outcomes
    assert sorted(outcome.json["created"] for outcome in outcomes) == [False, False, True]
    assert len(rows(migrated_url)) == 1


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ([JobStatus.COMPLETED], "satisfied"),
        ([JobStatus.COMPLETED, JobStatus.COMPLETED], "satisfied"),
        ([JobStatus.PENDING], "waiting"),
        ([JobStatus.COMPLETED, JobStatus.RUNNING], "waiting"),
    ],
)
def test_a_job_waits_only_for_parents_that_have_yet_to_complete(
    run: Run, migrated_url: str, parents: list[JobStatus], expected: str
) -> None:
    write(migrated_url, *(job(number, status) for number, status in enumerate(parents, start=1)))
    prefixes = [identity(number)[:8] for number in range(1, len(parents) + 1)]
    new = enqueued(run, migrated_url, "-q", "next", "-j", "{}", "--depends-on", ",".join(prefixes))
    state, depends_on = rows(migrated_url, "dependency_status, depends_on", f"id = '{new}'")[0]
    assert state == expected
    assert id_list(depends_on) == tuple(identity(number) for number in range(1, len(parents) + 1))


def test_an_archived_parent_counts_as_what_it_ended_in(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, JobStatus.COMPLETED))
    move_to_archive(migrated_url, 5, b"{}")
    new = enqueued(run, migrated_url, "-q", "next", "-j", "{}", "--depends-on", identity(5))
    assert rows(migrated_url, "dependency_status", f"id = '{new}'")[0][0] == "satisfied"


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.DEAD, JobStatus.TIMED_OUT])
def test_a_failed_parent_is_a_conflict_that_names_it(run: Run, migrated_url: str, status: JobStatus) -> None:
    write(migrated_url, job(5, status))
    outcome = run("job", "enqueue", "-q", "next", "-j", "{}", "--depends-on", identity(5), url=migrated_url)
    assert outcome.exit_code == 6
    assert f"{identity(5)} is {status.value}" in outcome.stderr
    assert len(rows(migrated_url)) == 1


def test_a_missing_parent_is_not_found(run: Run, migrated_url: str) -> None:
    outcome = run("job", "enqueue", "-q", "next", "-j", "{}", "--depends-on", identity(5), url=migrated_url)
    assert outcome.exit_code == 5
    assert rows(migrated_url) == []


@on_servers
def test_a_parent_that_completes_in_the_same_moment_leaves_no_job_waiting(
    run: Run, migrated_url: str, dialect: str
) -> None:
    """A worker completes the parent, and releases what waits, in one transaction; the enqueue comes in between."""
    write(migrated_url, job(5, JobStatus.RUNNING))
    outcomes: list[Outcome] = []
    arguments = ("job", "enqueue", "-q", "next", "-j", "{}", "--depends-on", identity(5))
    enqueue = threading.Thread(target=lambda: outcomes.append(run(*arguments, url=migrated_url)))
    with contextlib.closing(connect(migrated_url)) as worker:

        def complete() -> None:
            worker.script(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{identity(5)}'")
            worker.script(
                "UPDATE hammerwork_jobs SET dependency_status = 'satisfied' WHERE dependency_status = 'waiting'"
            )
            enqueue.start()
            # It must be seen to wait for the row, and not to go by what it read before.
            enqueue.join(0.5)
            assert enqueue.is_alive()

        worker.transaction(complete)
    enqueue.join(20)
    assert [outcome.exit_code for outcome in outcomes] == [0]
    assert rows(migrated_url, "dependency_status", "queue_name = 'next'") == [("satisfied",)]


def test_options_about_spawning_make_a_configuration_that_rust_can_parse(run: Run, migrated_url: str) -> None:
    options = ["--spawn-handler", "frames", "--max-spawn-count", "7", "--operation-id", "op", "--spawn-delay", "1.5s"]
    more = ["--batch-size", "5", "--inherit", "priority,queue", "--spawn-config", '{"max_depth": 3, "ours": 1}']
    new = enqueued(run, migrated_url, "-q", "ingest", "-j", '{"a": 1}', *options, *more)
    assert payload_of(migrated_url, new) == {
        "a": 1,
        "_spawn_config": {
            "handler": "frames",
            "max_spawn_count": 7,
            "operation_id": "op",
            "spawn_delay_ms": 1500,
            "batch_size": 5,
            "inherit_priority": True,
            "inherit_queue": True,
            "inherit_retry_strategy": False,
            "inherit_timeout": False,
            "inherit_trace_context": False,
            "max_depth": 3,
            "ours": 1,
        },
    }


def test_a_short_configuration_in_the_payload_is_completed(run: Run, migrated_url: str) -> None:
    new = enqueued(run, migrated_url, "-q", "ingest", "-j", '{"_spawn_config": {"handler": "h"}}')
    assert payload_of(migrated_url, new)["_spawn_config"] == {
        "handler": "h",
        "max_spawn_count": 100,
        "inherit_priority": True,
        "inherit_retry_strategy": True,
        "inherit_timeout": False,
        "inherit_trace_context": True,
    }


@each_row(
    "options",
    [
        ["-j", "{"],
        ["-j", "NaN"],
        ["-j", "@/nowhere/payload.json"],
        ["-j", "[" * 5000 + "]" * 5000],
        ["-j", "[]", "--spawn-handler", "h"],
        ["-j", '{"_spawn_config": 1}'],
        ["-j", "{}", "--spawn-config", '{"max_spawn_count": "ten"}'],
        ["-j", "{}", "--spawn-config", "[]"],
        ["-j", "{}", "--spawn-config", ""],
        ["-j", "{}", "--spawn-config", '{"max_spawn_cuont": 1}'],
        ["-j", "{}", "--inherit", "eyes"],
        ["-j", "{}", "--priority", "urgent"],
        ["-j", "{}", "--at", "tomorrow"],
        ["-j", "{}", "--at", "2026-12-24"],
        ["-j", "{}", "--at", "2026-12-24T18:00:00"],
        ["-j", "{}", "--at", "2026-12-24T18:00:00Z", "--delay", "5"],
        ["-j", "{}", "--delay", "999999999w"],
        ["-j", "{}", "--timeout", "0"],
        ["-j", "{}", "--timeout", "1.5s"],
        ["-j", "{}", "--timeout", "99999999999"],
        ["-j", "{}", "--max-attempts", "0"],
        ["-j", "{}", "--id", "123"],
        ["-j", "{}", "--depends-on", "xyz"],
        ["-j", "{}", "--trace-id", "x" * 129],
        ["-j", "{}", "-q", ""],
        ["-j", "{}", "-q", "q" * 256],
        ["-j", "{}", "-q", "\udcff"],
        ["-j", "\udcff"],
    ],
)
def test_options_that_no_job_can_have_are_usage_errors(run: Run, migrated_url: str, options: list[str]) -> None:
    outcome = run("job", "enqueue", "-q", "mail", *options, url=migrated_url)
    assert outcome.exit_code == 2, outcome
    assert rows(migrated_url) == []


@pytest.mark.postgres
def test_postgres_refuses_the_character_nul_with_a_clear_message(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("postgres", migrated=True)
    outcome = run("job", "enqueue", "-q", "mail", "-j", r'{"a": "\u0000"}', url=url)
    assert outcome.exit_code == 2
    assert "NUL" in outcome.stderr
    assert payload_of(url, enqueued(run, url, "-q", "mail", "-j", r'{"a": "\\u0000"}')) == {"a": "\\u0000"}


@pytest.mark.mysql
def test_mysql_takes_json_to_its_depth_and_says_which_limit_was_hit(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("mysql", migrated=True)
    with contextlib.closing(connect(url)) as database:
        deepest = 31 if database.server.startswith("MariaDB") else 100
    enqueued(run, url, "-q", "mail", "-j", "[" * deepest + "]" * deepest)
    outcome = run("job", "enqueue", "-q", "mail", "-j", "[" * (deepest + 1) + "]" * (deepest + 1), url=url)
    assert outcome.exit_code == 2
    assert f"at most {deepest} levels of nested JSON; the payload has {deepest + 1}" in outcome.stderr


@pytest.mark.mysql
def test_mysql_says_to_when_it_can_store_times(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("mysql", migrated=True)
    outcome = run("job", "enqueue", "-q", "mail", "-j", "{}", "--at", "2107-01-01T00:00:00Z", url=url)
    assert outcome.exit_code == 2
    assert "stores times from 1970 to 2" in outcome.stderr
    assert rows(url) == []


@pytest.mark.mysql
def test_callbacks_are_enqueued_with_a_job_and_shown_with_it(run: Run, migrated_url: str, tmp_path: Path) -> None:
    words = ("--queue", "video", "--payload", "{}", "--id", ID)
    first = run(
        "job", "enqueue", *words, "--on-success", "publish", "--on-failure", '{"queue": "alert"}', url=migrated_url
    )
    assert (first.exit_code, first.stdout) == (0, f"{ID}\n"), first
    assert "hammerwork worker start --upkeep-only" in first.stderr
    again = run("job", "enqueue", *words, "--on-complete", "late", url=migrated_url)
    assert (again.exit_code, "left unchanged, without a new callback" in again.stderr) == (0, True)
    shown = run("job", "show", ID, "--format", "json", url=migrated_url).json["callbacks"]
    expected = [("failure", "alert", "open", None), ("success", "publish", "open", None)]
    assert [(one["event"], one["queue"], one["state"], one["job_id"]) for one in shown] == expected
    assert (
        "Callbacks\n  failure: alert, open\n  success: publish, open\n"
        in run("job", "show", ID, url=migrated_url).stdout
    )
    assert f"2 open callbacks: hammerwork spawn on-end {ID[:8]}" in run("spawn", "tree", ID, url=migrated_url).stderr
    lines = tmp_path / "jobs.jsonl"
    lines.write_text('{"payload": 1}\n', encoding="utf-8")
    for bad in (
        ("--file", str(lines), "--on-success", "publish"),
        ("--payload", "{}", "--on-success", '{"nothing": "x"}'),
    ):
        refused = run("job", "enqueue", "-q", "video", *bad, url=migrated_url)
        assert (refused.exit_code, refused.stdout, len(rows(migrated_url))) == (2, "", 1)


@pytest.mark.parametrize(("text", "depth"), [("1", 0), ("{}", 1), ('["[[["]', 1), (r'["\"[", {"a": [1]}]', 3)])
def test_nesting_is_counted_outside_of_strings(text: str, depth: int) -> None:
    assert nesting(text) == depth
