"""``job retry``, ``cancel``, ``delete`` and ``purge``, on every database."""

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import dependencies, selections
from hammerwork_cli.features.job.queries.changes import RetryJobs
from hammerwork_cli.features.job.queries.selections import ByFilter, ChangeBatch, Subtrees
from tests.commands.test_contract import LEAVES
from tests.conftest import Outcome, all_databases, one_case_on_servers
from tests.jobs import CLOCK, IGNORING, NOW, execute, identity, job, move_to_archive, rows, statuses, write
from tests.terminal import everything

Run = Callable[..., Outcome]
P, R, C, F, D, T = (
    JobStatus.PENDING,
    JobStatus.RUNNING,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.DEAD,
    JobStatus.TIMED_OUT,
)


def child(number: int, parent: int | tuple[int, ...], status: JobStatus = P, state: str = "waiting") -> NewJob:
    """Job ``number``, which depends on others."""
    parents = parent if isinstance(parent, tuple) else (parent,)
    return job(number, status, depends_on=tuple(map(identity, parents)), dependency_status=state)


def changed(run: Run, url: str, *words: str, code: int = 0) -> Any:
    """What a verb says as JSON."""
    outcome = run("job", *words, "--format", "json", url=url, env=CLOCK)
    assert outcome.exit_code == code, outcome
    return outcome.json if outcome.stdout else json.loads(outcome.stderr)["error"]


def states(url: str) -> dict[int, tuple[str, str]]:
    """Job number -> status and ``dependency_status``."""
    found = rows(url, "id, status, dependency_status")
    return {int(str(id_)[:8], 16): (status, state) for id_, status, state in found}


# Retry.


@one_case_on_servers
@pytest.mark.parametrize("status", [F, D, T])
@all_databases
def test_a_retried_job_is_as_if_it_had_just_been_enqueued(run: Run, migrated_url: str, status: JobStatus) -> None:
    write(migrated_url, job(5, status), job(6, status))
    execute(
        migrated_url,
        "UPDATE hammerwork_jobs SET timed_out_at = created_at, completed_at = created_at, result_data = '{}',"
        " result_stored_at = created_at, result_expires_at = created_at",
    )
    assert run("job", "retry", identity(5)[:8], url=migrated_url, env=CLOCK).stdout == "Retried 1 job.\n"
    columns = (
        "status, attempts, dependency_status, started_at, completed_at, failed_at, timed_out_at, error_message,"
        " result_data, result_stored_at, result_expires_at"
    )
    assert rows(migrated_url, columns, f"id = '{identity(5)}'") == [("Pending", 0, "none", *[None] * 8)]
    due = rows(migrated_url, "scheduled_at", f"id = '{identity(5)}'")[0][0]
    assert str(due)[:19].replace("T", " ") == "2026-11-24 12:00:00"
    assert statuses(migrated_url)[6] == status.value


def test_statuses_in_quotes_and_in_lower_case_are_retried(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, D), job(6, F))
    execute(migrated_url, f"UPDATE hammerwork_jobs SET status = '\"Dead\"' WHERE id = '{identity(5)}'")
    execute(migrated_url, f"UPDATE hammerwork_jobs SET status = 'failed' WHERE id = '{identity(6)}'")
    assert changed(run, migrated_url, "retry", "--all", "--yes")["changed"] == 2
    assert statuses(migrated_url) == {5: "Pending", 6: "Pending"}


@pytest.mark.parametrize(
    ("status", "code", "word"), [(P, 6, "Only Failed, Dead"), (R, 6, "twice at once"), (C, 6, "spawns again")]
)
def test_jobs_that_have_not_failed_are_not_retried(
    run: Run, migrated_url: str, status: JobStatus, code: int, word: str
) -> None:
    write(migrated_url, job(5, status))
    outcome = run("job", "retry", identity(5), url=migrated_url)
    assert outcome.exit_code == code
    assert f"is {status.value}" in outcome.stderr
    assert word in outcome.stderr
    assert statuses(migrated_url) == {5: status.value}


@pytest.mark.parametrize("status", [R, C])
def test_force_retries_what_runs_and_what_has_completed(run: Run, migrated_url: str, status: JobStatus) -> None:
    write(migrated_url, job(5, status))
    outcome = run("job", "retry", identity(5), "--force", url=migrated_url)
    assert outcome.exit_code == 0
    assert ("twice at once" in outcome.stderr) == (status is R)
    assert statuses(migrated_url) == {5: "Pending"}
    again = run("job", "retry", identity(5), "--force", url=migrated_url)
    assert (again.exit_code, "is Pending" in again.stderr) == (6, True)


def test_retrying_a_job_rearms_what_failed_only_because_of_it(run: Run, migrated_url: str) -> None:
    write(
        migrated_url,
        job(1, D),
        child(2, 1, F, "failed"),
        child(3, 2, F, "failed"),
        job(4, D),
        child(5, (1, 4), F, "failed"),
        child(6, 1, F, "satisfied"),
        child(7, 1, P, "waiting"),
        child(8, (1, 99), F, "failed"),
        child(9, 1, F, "failed"),
    )
    execute(migrated_url, f"UPDATE hammerwork_jobs SET archived_at = failed_at WHERE id = '{identity(9)}'")
    record = changed(run, migrated_url, "retry", identity(1))
    assert (record["changed"], record["followed"]) == (1, 2)
    assert states(migrated_url) == {
        1: ("Pending", "none"),
        2: ("Pending", "waiting"),
        3: ("Pending", "waiting"),
        4: ("Dead", "none"),
        5: ("Failed", "failed"),
        6: ("Failed", "satisfied"),
        7: ("Pending", "waiting"),
        8: ("Failed", "failed"),
        9: ("Failed", "failed"),
    }
    assert changed(run, migrated_url, "retry", identity(4))["followed"] == 1
    assert states(migrated_url)[5] == ("Pending", "waiting")


def test_a_job_that_failed_because_of_another_is_not_retried_alone(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, D), child(2, 1, F, "failed"))
    error = changed(run, migrated_url, "retry", identity(2), code=6)
    assert error["reason"] == "parent_failed"
    assert changed(run, migrated_url, "retry", identity(2), "--force")["changed"] == 1
    assert states(migrated_url)[2] == ("Pending", "satisfied")


def test_a_job_whose_parents_have_completed_since_is_ready_to_run(run: Run, migrated_url: str) -> None:
    write(
        migrated_url, job(1, C), child(2, 1, F, "failed"), child(3, 1, F, "waiting"), job(4), child(5, 4, F, "waiting")
    )
    assert changed(run, migrated_url, "retry", "--all", "--yes")["changed"] == 3
    assert [states(migrated_url)[number][1] for number in (2, 3, 5)] == ["satisfied", "satisfied", "waiting"]


@all_databases
def test_a_plan_says_what_may_be_left(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, D, queue="other"), child(2, 1, F, "failed"))
    caveat = "Jobs that depend on one that stays failed will be skipped."
    words = ("job", "retry", "--queue", "mail", "--dry-run")
    assert caveat in run(*words, url=migrated_url).stdout
    assert caveat not in run(*words, "--force", url=migrated_url).stdout
    tree = ("job", "retry", identity(1), "--tree", "--dry-run")
    assert caveat not in run(*tree, url=migrated_url).stdout
    assert caveat in run("job", "retry", identity(2), "--tree", "--dry-run", url=migrated_url).stdout
    assert caveat not in run("job", "retry", "--all", "--dry-run", url=migrated_url).stdout
    assert "will be kept" not in run("job", "purge", "--all", "--dry-run", url=migrated_url).stdout
    assert caveat not in run("job", "retry", "--queue", "other", "--dry-run", url=migrated_url).stdout


def test_a_completed_job_below_which_jobs_failed_names_the_command_for_these(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, C), child(2, 1, C, "satisfied"), child(3, 2, D, "satisfied"), job(4, C))
    hint = f"Jobs below it failed: hammerwork job retry {identity(1)[:8]} --tree --only failed."
    assert hint in run("job", "retry", identity(1), url=migrated_url).stderr
    assert "Jobs below it failed" not in run("job", "retry", identity(4), url=migrated_url).stderr
    assert "Jobs below it failed" not in run("job", "cancel", identity(1), url=migrated_url).stderr


def test_a_tree_whose_failed_jobs_are_archived_says_so(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, C), child(2, 1, D, "satisfied"))
    execute(migrated_url, f"UPDATE hammerwork_jobs SET archived_at = created_at WHERE id = '{identity(2)}'")
    words = ("job", "retry", identity(1), "--tree", "--only", "failed")
    left = "Skipped 1 job: archived. Archived jobs stay unchanged.\n"
    done = run(*words, "--yes", url=migrated_url)
    assert (done.exit_code, done.stdout) == (0, f"Nothing to retry.\n{left}")
    assert run(*words, "--dry-run", url=migrated_url).stdout == f"Nothing to retry.\n{left}"
    assert changed(run, migrated_url, *words[1:], "--yes")["left"] == {"archived": 1}


def test_a_filter_retries_parents_and_dependents_whatever_their_order(run: Run, migrated_url: str) -> None:
    write(migrated_url, child(1, 2, F, "failed"), child(2, 3, F, "failed"), job(3, D), child(4, 99, F, "failed"))
    record = changed(run, migrated_url, "retry", "--all", "--yes", code=1)
    assert (record["changed"], record["followed"], record["left"]) == (1, 2, {"parent_failed": 1})
    assert states(migrated_url)[1] == states(migrated_url)[2] == ("Pending", "waiting")


def test_jobs_that_followed_another_are_not_tried_again(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "BATCH", 1)
    write(migrated_url, job(1, D), child(2, 1, F, "failed"))
    record = changed(run, migrated_url, "retry", identity(1), identity(2), "--yes")
    assert (record["changed"], record["followed"], record["left"]) == (1, 1, {})


RETRIED = [
    (["--all"], [2, 3, 4]),
    (["--queue", "mail"], [3, 4]),
    (["-n", "mail", "--status", "dead"], [3]),
    (["--status", "timed_out,failed"], [2, 4]),
    (["--since", "3m"], [2, 3]),
    (["--priority", "low"], []),
]
RETRIED_IN_OTHER_WORDS = [
    (["--failed"], [2, 3, 4]),
    (["--failed", "--queue", "mail"], [3, 4]),
    (["--last-hours", "0.04"], [2]),
]
"""What asks a database for the same as one above."""


@all_databases
def test_filters_choose_what_is_retried(run: Run, migrated_url: str) -> None:
    found = []
    mine = RETRIED + RETRIED_IN_OTHER_WORDS * migrated_url.startswith("sqlite")
    for options, expected in mine:
        execute(migrated_url, "DELETE FROM hammerwork_jobs")
        write(migrated_url, job(1), job(2, F, queue="report"), job(3, D), job(4, T), job(5, C), job(6, R))
        before = statuses(migrated_url)
        assert changed(run, migrated_url, "retry", *options, "--confirm")["changed"] == len(expected), options
        after = statuses(migrated_url)
        found.append((options, [number for number in before if before[number] != after[number]]))
    assert found == mine


def test_archived_jobs_are_not_run_again_and_can_be_deleted(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, D), job(2, D))
    execute(migrated_url, f"UPDATE hammerwork_jobs SET archived_at = created_at WHERE id = '{identity(1)}'")
    assert changed(run, migrated_url, "retry", identity(1), code=6)["reason"] == "archived"
    assert changed(run, migrated_url, "retry", "--all", "--yes")["changed"] == 1
    assert statuses(migrated_url) == {1: "Dead", 2: "Pending"}
    assert changed(run, migrated_url, "delete", identity(1), "--yes")["changed"] == 1
    assert statuses(migrated_url) == {2: "Pending"}


def test_a_job_that_is_in_the_archive_only_cannot_be_changed(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, C))
    move_to_archive(migrated_url, 5, b"{}")
    for words in (["retry", identity(5)], ["cancel", identity(5)], ["delete", identity(5), "--yes"]):
        assert run("job", *words, "--force", url=migrated_url).exit_code in {5, 6}


# Trees.


@pytest.fixture
def tree(migrated_url: str) -> str:
    """Job 1 has completed; below it 2 (Completed) with 4 (Dead) and 5 (Completed), and 3 (Failed) with 6 (Pending)."""
    write(
        migrated_url,
        job(1, C),
        child(2, 1, C, "none"),
        child(3, 1, F, "none"),
        child(4, 2, D, "none"),
        child(5, 2, C, "none"),
        child(6, 3, P, "waiting"),
        job(7, D),
    )
    return migrated_url


def test_a_tree_is_retried_where_it_failed(run: Run, tree: str) -> None:
    record = changed(run, tree, "retry", identity(1), "--tree", "--only", "failed", "--yes")
    assert (record["changed"], record["left"]) == (2, {})
    assert {(group["status"], group["jobs"], group["changes"]) for group in record["plan"]} == {
        ("Dead", 1, True),
        ("Failed", 1, True),
    }
    assert statuses(tree) == {
        1: "Completed",
        2: "Completed",
        3: "Pending",
        4: "Pending",
        5: "Completed",
        6: "Pending",
        7: "Dead",
    }


def test_only_the_statuses_that_are_asked_for_are_retried(run: Run, tree: str) -> None:
    assert changed(run, tree, "retry", identity(1), "--tree", "--only", "dead", "--yes")["changed"] == 1
    assert statuses(tree)[3] == "Failed"
    assert run("job", "retry", identity(1), "--tree", "--only", "completed", "--yes", url=tree).exit_code == 2
    assert changed(run, tree, "retry", identity(2), "--tree", "--only", "completed", "--force", "--yes")["changed"] == 2


def test_a_tree_is_cancelled_from_the_top_down(run: Run, tree: str) -> None:
    write(tree, child(8, 2, R, "none"), child(9, 8, P, "none"), child(10, 5, P, "none"))
    record = changed(run, tree, "cancel", identity(1), "--tree", "--yes", code=1)
    assert (record["changed"], record["left"]) == (3, {"Running": 1})
    assert {number: status for number, status in statuses(tree).items() if number in {6, 8, 9, 10}} == {
        6: "Failed",
        8: "Running",
        9: "Failed",
        10: "Failed",
    }
    assert changed(run, tree, "cancel", identity(1), "--tree", "--force", "--yes")["changed"] == 1


def test_children_that_a_worker_inserts_meanwhile_are_cancelled_too(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, late = Subtrees.batches, [child(4, 3, P, "none"), child(3, 1, P, "none")]

    def while_a_worker_spawns(self: Subtrees, database: Database) -> Iterator[ChangeBatch]:
        for batch in batches(self, database):
            yield batch
            if late:
                write(migrated_url, late.pop())

    monkeypatch.setattr(Subtrees, "batches", while_a_worker_spawns)
    write(migrated_url, job(1, R), child(2, 1, P, "none"))
    record = changed(run, migrated_url, "cancel", identity(1), "--tree", "--yes", code=1)
    assert (record["changed"], record["left"]) == (3, {"Running": 1})
    assert statuses(migrated_url) == {1: "Running", 2: "Failed", 3: "Failed", 4: "Failed"}


@pytest.mark.parametrize(("verb", "status"), [("retry", D), ("cancel", P)])
def test_a_tree_that_keeps_growing_is_given_up(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch, verb: str, status: JobStatus
) -> None:
    batches = Subtrees.batches

    def while_a_worker_spawns(self: Subtrees, database: Database) -> Iterator[ChangeBatch]:
        for number, batch in enumerate(batches(self, database), start=2):
            yield batch
            if batch.ids:
                write(migrated_url, child(number, 1, status, "none"))

    monkeypatch.setattr(Subtrees, "batches", while_a_worker_spawns)
    monkeypatch.setattr(selections, "PATIENCE", 0.2)
    write(migrated_url, job(1, status))
    outcome = run("job", verb, identity(1), "--tree", "--yes", url=migrated_url)
    assert outcome.exit_code == 1
    assert "Skipped 1 job: newly inserted. Stop the program that inserts them" in outcome.stdout
    left = [number for number, word in statuses(migrated_url).items() if word == status.value]
    assert left == [max(statuses(migrated_url))]


def test_a_deep_tree_is_changed_without_recursion(run: Run, lite_url: str) -> None:
    write(lite_url, job(1, D), *(child(number, number - 1, D, "none") for number in range(2, 1500)))
    assert changed(run, lite_url, "retry", identity(1), "--tree", "--yes")["changed"] == 1499


def test_a_cycle_is_changed_once(run: Run, migrated_url: str) -> None:
    write(migrated_url, child(1, 2, P), child(2, 1, P), child(3, 3, P))
    assert changed(run, migrated_url, "cancel", identity(1), "--tree", "--yes")["left"] == {}
    assert changed(run, migrated_url, "cancel", identity(3))["changed"] == 1
    assert set(statuses(migrated_url).values()) == {"Failed"}
    assert changed(run, migrated_url, "retry", "--all", "--force", "--cancelled", "--yes")["changed"] == 3


@pytest.mark.parametrize(
    "words",
    [["--tree"], [identity(1), "--tree", "--queue", "a"], ["--tree", "--all"], [identity(1), "--only", "pending"]],
)
def test_a_tree_needs_a_job_and_no_filter(run: Run, tree: str, words: list[str]) -> None:
    assert run("job", "cancel", *words, "--yes", url=tree).exit_code == 2


# Cancel.


def test_a_retry_says_that_no_worker_serves_the_queue_and_how_to_watch(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, D), job(2, D), job(3, D))
    done = run("job", "retry", identity(1), url=migrated_url, env=CLOCK)
    assert done.stdout == "Retried 1 job.\n"
    assert done.stderr.splitlines() == [
        "No running worker serves mail; the jobs wait until one starts (Rust workers do not register).",
        "To watch: hammerwork spawn tree 00000001 --watch",
    ]
    done = run("job", "retry", "--all", "--yes", "--quiet", url=migrated_url, env=CLOCK)
    assert (done.stdout, done.stderr) == ("Retried 2 jobs.\n", "")


def test_cancelled_jobs_are_retried_only_when_they_are_asked_for(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, C), child(2, 1, P, "none"), child(3, 1, F, "none"), job(4, P), job(5, D))
    for number in (2, 4):
        changed(run, migrated_url, "cancel", identity(number), "--reason", "wrong file")
    for words in (("--failed",), ("--all",), ("--queue", "mail")):
        plan = changed(run, migrated_url, "retry", *words, "--dry-run")
        assert (plan["changed"], plan["left"]) == (2, {"Cancelled": 2})
    told = run("job", "retry", identity(1), "--tree", "--dry-run", url=migrated_url, env=CLOCK).stdout
    assert "Skipped 1 job: Cancelled. Add --cancelled to retry them too." in told
    for words, jobs in (
        (("--failed", "--cancelled"), 4),
        (("--queue", "mail", "--cancelled"), 2),
        (("--status", "cancelled"), 2),
        ((identity(1), "--tree", "--cancelled"), 2),
        ((identity(1), "--tree", "--only", "cancelled"), 1),
        ((identity(2), identity(4)), 2),
    ):
        plan = changed(run, migrated_url, "retry", *words, "--dry-run")
        assert (plan["changed"], plan["left"]) == (jobs, {}), words
    listed = run("job", "list", "--status", "cancelled", "--format", "json", url=migrated_url, env=CLOCK).json
    assert {one["status"] for one in listed} == {"Cancelled"}
    assert all(one["error"].startswith("cancelled by ") for one in listed)
    assert changed(run, migrated_url, "retry", identity(4))["changed"] == 1


WEEK = timedelta(days=7)
DUE = "2026-12-01 12:00:00 UTC"


def due(url: str) -> dict[int, timedelta]:
    """Job number -> how long after :data:`NOW` it is due."""
    return {int(str(id_)[:8], 16): (timestamp(at) or NOW) - NOW for id_, at in rows(url, "id, scheduled_at")}


@all_databases
def test_the_undo_of_a_cancel_keeps_due_times(run: Run, migrated_url: str) -> None:
    later = {"scheduled_at": NOW + WEEK}
    recurring = job(5, queue="post", cron_schedule="0 0 12 * * *", recurring=True, next_run_at=NOW + WEEK, **later)
    write(migrated_url, job(1, **later), job(2, **later), job(3), recurring)
    write(migrated_url, replace(child(4, 1), scheduled_at=NOW + 2 * WEEK))
    before = {**due(migrated_url), 3: timedelta()}  # the only one that is due
    changed(run, migrated_url, "cancel", "--all", "--yes")
    words = ("retry", "--queue", "mail", "--cancelled")
    planned = changed(run, migrated_url, *words, "--dry-run")
    assert (planned["changed"], planned["due_later"], planned["due_at"]) == (4, 3, "2026-12-01T12:00:00.000000Z")
    at_once = changed(run, migrated_url, *words, "--now", "--dry-run")
    assert (at_once["changed"], at_once["due_later"], at_once["due_at"]) == (4, 0, None)
    text = run("job", *words, "--dry-run", url=migrated_url, env=CLOCK).stdout
    assert f"3 jobs keep their due times, the first {DUE}. To run all at once, add --now." in text
    assert changed(run, migrated_url, *words, "--yes")["due_later"] == 3
    text = run("job", "retry", identity(5), url=migrated_url, env=CLOCK).stdout
    assert f"It keeps its due time, {DUE}. To run it at once, add --now." in text
    assert due(migrated_url) == before
    assert rows(migrated_url, "next_run_at", "recurring") == rows(migrated_url, "scheduled_at", "recurring")
    # Or all of them run now, and so does what follows them.
    assert changed(run, migrated_url, "cancel", identity(1))["followed"] == 1
    assert changed(run, migrated_url, "retry", identity(1), "--now")["followed"] == 1
    assert due(migrated_url) == {**before, 1: timedelta(), 4: timedelta()}
    changed(run, migrated_url, "cancel", "--all", "--yes")
    assert changed(run, migrated_url, "retry", "--all", "--cancelled", "--now", "--yes")["due_later"] == 0
    assert due(migrated_url) == dict.fromkeys(before, timedelta())


def test_failed_means_the_same_statuses_to_every_verb(run: Run, migrated_url: str) -> None:
    every = dict(enumerate(JobStatus, start=1))
    write(migrated_url, *(job(number, status) for number, status in every.items() if status is not JobStatus.CANCELLED))
    write(migrated_url, job(20, P))
    changed(run, migrated_url, "cancel", identity(20))
    meant = {JobStatus.FAILED, JobStatus.DEAD, JobStatus.TIMED_OUT}
    for verb in ("list", "export"):
        found = run("job", verb, "--failed", "--format", "json", url=migrated_url).json
        assert {one["status"] for one in found} == meant, verb
    for verb in ("retry", "delete", "purge"):
        plan = changed(run, migrated_url, verb, "--failed", "--dry-run")
        assert {one["status"] for one in plan["plan"] if one["changes"]} == meant, verb


def test_a_script_that_purges_failed_jobs_says_which_so_that_it_deletes_no_more_than_it_did(
    run: Run, migrated_url: str
) -> None:
    write(migrated_url, job(1, P), job(2, F), job(3, D), job(4, T), job(5, C))
    changed(run, migrated_url, "cancel", identity(1))
    refused = run("job", "purge", "--failed", "--yes", url=migrated_url)
    assert (refused.exit_code, refused.stdout, len(rows(migrated_url))) == (2, "", 5)
    assert "--status failed,cancelled or --status failed,dead,timedout" in refused.stderr
    assert run("job", "purge", "--status", "failed,running", "--yes", url=migrated_url).exit_code == 2
    assert changed(run, migrated_url, "purge", "--status", "failed,cancelled", "--yes")["changed"] == 2
    assert changed(run, migrated_url, "purge", "--failed", "--dead", "--timed-out", "--yes")["changed"] == 2
    assert statuses(migrated_url) == {5: "Completed"}


def test_cancelled_jobs_are_purged_alone(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, P), job(2, F))
    changed(run, migrated_url, "cancel", identity(1))
    assert changed(run, migrated_url, "purge", "--cancelled", "--yes")["changed"] == 1
    assert statuses(migrated_url) == {2: "Failed"}


def test_a_cancelled_job_says_by_whom_and_why(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5), job(6))
    assert run("job", "cancel", identity(5), "--reason", "wrong file", url=migrated_url).stdout == "Cancelled 1 job.\n"
    status, failed_at, error = rows(migrated_url, "status, failed_at, error_message", f"id = '{identity(5)}'")[0]
    assert status == "Failed"
    assert failed_at is not None
    assert error.startswith("cancelled by ")
    assert error.endswith(" through hammerwork: wrong file")
    assert "@" in error
    assert len(rows(migrated_url)) == 2


@pytest.mark.parametrize("status", [R, C, D])
def test_jobs_that_have_started_are_not_cancelled(run: Run, migrated_url: str, status: JobStatus) -> None:
    write(migrated_url, job(5, status))
    outcome = run("job", "cancel", identity(5), url=migrated_url)
    assert outcome.exit_code == 6
    assert statuses(migrated_url) == {5: status.value}


def test_force_cancels_what_runs_and_says_what_that_means(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, R))
    outcome = run("job", "cancel", identity(5), "--force", url=migrated_url)
    assert outcome.exit_code == 0
    assert "its worker interrupts the handler, unless it runs in a thread" in outcome.stderr
    assert statuses(migrated_url) == {5: "Failed"}


def test_jobs_that_wait_for_a_cancelled_job_fail_with_it(run: Run, migrated_url: str) -> None:
    write(
        migrated_url,
        job(1),
        child(2, 1),
        child(3, 2),
        child(4, (1, 99)),
        child(5, 1, P, "none"),
        child(6, 1, C, "waiting"),
    )
    record = changed(run, migrated_url, "cancel", identity(1))
    assert (record["changed"], record["followed"]) == (1, 3)
    assert states(migrated_url) == {
        1: ("Failed", "none"),
        2: ("Failed", "failed"),
        3: ("Failed", "failed"),
        4: ("Failed", "failed"),
        5: ("Pending", "none"),
        6: ("Completed", "waiting"),
    }
    assert (
        "a job that it depends on was cancelled by"
        in rows(migrated_url, "error_message", f"id = '{identity(3)}'")[0][0]
    )


@all_databases
def test_a_workflow_says_what_becomes_of_what_waited_for_a_cancelled_job(run: Run, migrated_url: str) -> None:
    patient, strict, asking = (identity(number) for number in (100, 101, 102))
    policies = ((patient, "manual", IGNORING), (strict, "continue_on_failure", "{}"), (asking, "manual", "{}"))
    for workflow, policy, own in policies:
        execute(
            migrated_url,
            "INSERT INTO hammerwork_workflows (id, name, failure_policy, created_at, metadata)"
            f" VALUES ('{workflow}', 'w', '{policy}', '2026-11-24 12:00:00', '{own}')",
        )
    waiting = {"depends_on": (identity(1),), "dependency_status": "waiting"}
    of_workflows = (job(2 + number, workflow_id=one, **waiting) for number, (one, *_) in enumerate(policies))
    write(migrated_url, job(1), *of_workflows)
    assert changed(run, migrated_url, "cancel", identity(1))["followed"] == 1
    assert states(migrated_url) == {
        1: ("Failed", "none"),
        2: ("Pending", "satisfied"),
        3: ("Failed", "failed"),
        4: ("Pending", "waiting"),
    }


def test_a_cancelled_job_can_be_retried_with_all_that_waited(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1), child(2, 1), child(3, 2))
    before = states(migrated_url)
    changed(run, migrated_url, "cancel", identity(1))
    assert changed(run, migrated_url, "retry", identity(1))["followed"] == 2
    assert states(migrated_url) == before


def test_all_pending_is_hammerwork_rusts_name_for_all(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1), job(2, R), job(3, C))
    assert changed(run, migrated_url, "cancel", "--all-pending", "--confirm")["changed"] == 1
    assert statuses(migrated_url) == {1: "Failed", 2: "Running", 3: "Completed"}


def test_job_id_is_hammerwork_rusts_name_for_the_argument(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1), job(2, D))
    assert changed(run, migrated_url, "cancel", "--job-id", identity(1))["changed"] == 1
    assert changed(run, migrated_url, "retry", "--job-id", identity(2))["changed"] == 1


# Delete and purge.


def test_even_one_job_is_deleted_only_with_a_confirmation(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, C), job(2, C))
    refused = run("job", "delete", identity(1), url=migrated_url)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "To delete: 1 job" in refused.stderr
    assert len(rows(migrated_url)) == 2
    assert run("job", "delete", identity(1), "--yes", url=migrated_url).stdout == "Deleted 1 job.\n"
    assert list(statuses(migrated_url)) == [2]


def test_a_running_job_is_deleted_only_by_force(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, R))
    assert changed(run, migrated_url, "delete", identity(1), "--yes", code=6)["reason"] == "Running"
    assert changed(run, migrated_url, "delete", identity(1), "--yes", "--force")["changed"] == 1


def test_a_job_that_others_wait_for_is_deleted_only_with_them_or_by_force(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1), child(2, 1), child(3, 2), job(4), child(5, 4))
    assert changed(run, migrated_url, "delete", identity(1), "--yes", code=6)["reason"] == "waited_for"
    assert changed(run, migrated_url, "delete", identity(1), identity(2), "--yes", code=1)["left"] == {"waited_for": 2}
    assert changed(run, migrated_url, "delete", *map(identity, (1, 2, 3)), "--yes")["changed"] == 3
    assert changed(run, migrated_url, "delete", identity(4), "--yes", "--force")["changed"] == 1
    assert list(statuses(migrated_url)) == [5]


def test_jobs_that_wait_for_each_other_are_deleted_together(run: Run, migrated_url: str) -> None:
    write(migrated_url, child(1, 2), child(2, 1), child(3, 2))
    assert changed(run, migrated_url, "delete", *map(identity, (1, 2)), "--yes", code=1)["left"] == {"waited_for": 2}
    assert changed(run, migrated_url, "delete", *map(identity, (1, 2, 3)), "--yes")["changed"] == 3


def test_a_deletion_speaks_of_waiting_where_waiting_counts(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, C), child(2, 1, C, "satisfied"))
    done = run("job", "delete", identity(1), "--yes", url=migrated_url)
    assert (done.exit_code, done.stdout) == (0, "Deleted 1 job.\n")
    assert "1 job depends on it and loses its place in the tree if you delete it.\n" in done.stderr
    assert "will be kept" not in done.stderr
    write(migrated_url, job(5), child(6, 5))
    kept = run("job", "delete", identity(5), "--yes", url=migrated_url)
    assert "Jobs that a remaining job depends on will be kept.\n" in kept.stderr
    forced = run("job", "delete", identity(5), "--yes", "--force", url=migrated_url)
    assert (forced.exit_code, "will be kept" in forced.stderr) == (0, False)


def test_deleting_a_parent_tells_of_its_children(run: Run, tree: str) -> None:
    outcome = run("job", "delete", identity(2), "--yes", url=tree)
    assert outcome.exit_code == 0
    assert "2 jobs depend on it and lose their place in the tree if you delete it." in outcome.stderr
    assert 4 in statuses(tree)


def test_filters_choose_what_is_deleted(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1), job(2, C, queue="test"), job(3, D, queue="test"), job(4, R, queue="test"))
    record = changed(run, migrated_url, "delete", "--queue", "test", "--yes", code=1)
    assert (record["changed"], record["left"]) == (2, {"Running": 1})
    assert list(statuses(migrated_url)) == [1, 4]


PURGED = [
    (["--completed"], [3]),
    (["--dead", "--status", "failed"], [4, 5]),
    (["--all", "--older-than", "270s"], [5, 6]),
    (["--all", "--queue", "elsewhere"], []),
]
PURGED_IN_OTHER_WORDS = [
    (["--timed-out"], [6]),
    (["--all"], [3, 4, 5, 6]),
    (["--all", "--older-than-days", "0.003"], [5, 6]),
]
"""What asks a database for the same as one above."""


@all_databases
def test_purge_deletes_what_has_finished(run: Run, migrated_url: str) -> None:
    found = []
    mine = PURGED + PURGED_IN_OTHER_WORDS * migrated_url.startswith("sqlite")
    for options, expected in mine:
        execute(migrated_url, "DELETE FROM hammerwork_jobs")
        write(migrated_url, job(1), job(2, R), job(3, C), job(4, F), job(5, D), job(6, T))
        assert changed(run, migrated_url, "purge", *options, "--confirm")["changed"] == len(expected), options
        found.append((options, sorted({1, 2, 3, 4, 5, 6} - statuses(migrated_url).keys())))
    assert found == mine


@all_databases
def test_the_age_of_a_finished_job_counts_from_its_end(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(500, C, completed_at=job(1).created_at), job(5, C))
    assert changed(run, migrated_url, "purge", "--completed", "--older-than", "3m", "--yes")["changed"] == 1
    assert list(statuses(migrated_url)) == [500]


def test_purge_keeps_what_others_wait_for(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, C), child(2, 1), job(3, C))
    record = changed(run, migrated_url, "purge", "--completed", "--yes")
    assert (record["changed"], record["left"]) == (1, {"waited_for": 1})
    assert list(statuses(migrated_url)) == [1, 2]


def test_purge_wants_to_know_what(run: Run, migrated_url: str) -> None:
    assert run("job", "purge", "--older-than", "1d", "--yes", url=migrated_url).exit_code == 2


# Consent.


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
def test_many_jobs_are_changed_only_with_a_confirmation(run: Run, migrated_url: str, verb: str) -> None:
    status = D if verb == "retry" else P
    write(migrated_url, job(1, status), job(2, status))
    for form in ("table", "json"):
        for words in (["--all"], ["--queue", "mail"], [identity(1), identity(2)], [identity(1), "--tree"]):
            if verb == "delete" and "--tree" in words:
                continue
            outcome = run("job", verb, *words, "--format", form, url=migrated_url)
            assert (outcome.exit_code, outcome.stdout) == (2, ""), words
            if form == "json":
                plan = json.loads(outcome.stderr)["error"]["plan"]
                assert plan == [{"queue": "mail", "status": status.value, "jobs": plan[0]["jobs"], "changes": True}]
            else:
                assert f"To {verb}: " in outcome.stderr
    assert set(statuses(migrated_url).values()) == {status.value}


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
def test_without_a_filter_all_must_be_said(run: Run, migrated_url: str, verb: str) -> None:
    outcome = run("job", verb, "--yes", url=migrated_url)
    assert outcome.exit_code == 2
    assert "--all" in outcome.stderr
    assert run("job", verb, identity(1), "--queue", "mail", "--yes", url=migrated_url).exit_code == 5
    write(migrated_url, job(1))
    assert run("job", verb, identity(1), "--queue", "mail", "--yes", url=migrated_url).exit_code == 2


@pytest.mark.parametrize("words", [["retry", "--all"], ["cancel", "--all"], ["delete", "--all"], ["purge", "--all"]])
def test_a_dry_run_shows_the_plan_and_changes_nothing(run: Run, migrated_url: str, words: list[str]) -> None:
    write(migrated_url, job(1), job(2, D), job(3, R))
    before = statuses(migrated_url)
    record = changed(run, migrated_url, *words, "--dry-run")
    assert record["dry_run"] is True
    assert record["changed"] == sum(group["jobs"] for group in record["plan"] if group["changes"]) >= 1
    assert f"To {words[0]}: " in run("job", *words, "--dry-run", url=migrated_url).stdout
    assert statuses(migrated_url) == before


def test_nothing_to_do_is_no_failure(run: Run, migrated_url: str) -> None:
    assert changed(run, migrated_url, "retry", "--all")["changed"] == 0


def test_some_of_several_that_could_not_be_changed_is_exit_1(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, D), job(2, C))
    record = changed(run, migrated_url, "retry", identity(1), identity(2), "--yes", code=1)
    assert (record["changed"], record["left"]) == (1, {"Completed": 1})


def test_statuses_that_a_verb_leaves_alone_are_usage_errors(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, R))
    for words in (
        ["retry", "--status", "pending"],
        ["cancel", "--status", "running"],
        ["delete", "--status", "running"],
    ):
        assert run("job", *words, "--yes", url=migrated_url).exit_code == 2
    assert changed(run, migrated_url, "cancel", "--status", "running", "--force", "--yes")["changed"] == 1


def test_a_second_run_changes_nothing(run: Run, migrated_url: str) -> None:
    write(migrated_url, *(job(number, D) for number in range(1, 40)))
    assert changed(run, migrated_url, "retry", "--all", "--yes")["changed"] == 39
    assert changed(run, migrated_url, "retry", "--all", "--yes")["changed"] == 0


def test_a_change_that_is_interrupted_is_finished_by_the_same_command(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "BATCH", 10)
    write(migrated_url, *(job(number, D) for number in range(1, 36)))
    step, steps = RetryJobs.step, [1, 1]

    def step_until_ctrl_c(self: RetryJobs, database: Database, ids: Sequence[str], wanted: JobFilter) -> Any:
        if not steps:
            raise KeyboardInterrupt
        steps.pop()
        return step(self, database, ids, wanted)

    with monkeypatch.context() as patching:
        patching.setattr(RetryJobs, "step", step_until_ctrl_c)
        outcome = run("job", "retry", "--all", "--yes", url=migrated_url)
    assert outcome.exit_code == 130
    assert "Stopped after 20 jobs. Run the same command again for the rest." in outcome.stderr
    assert list(statuses(migrated_url).values()).count("Pending") == 20
    assert changed(run, migrated_url, "retry", "--all", "--yes")["changed"] == 15


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_many_dependents_are_changed_along_in_bounded_transactions(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(dependencies, "MOST_FOLLOWERS", 10)
    status, state = (F, "failed") if verb == "retry" else (P, "waiting")
    write(
        migrated_url,
        job(1, D if verb == "retry" else P),
        *(child(number, 1, status, state) for number in range(2, 27)),
        *(child(number, number - 25, status, state) for number in range(27, 52)),
    )
    transaction, sizes = Database.transaction, []

    def measured(self: Database, work: Callable[[], Any]) -> Any:
        before = statuses(migrated_url)
        result = transaction(self, work)
        after = statuses(migrated_url)
        sizes.append(sum(before[number] != after[number] for number in before))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(Database, "transaction", measured)
    stopped = run("job", verb, identity(1), url=migrated_url)
    assert stopped.exit_code == 130
    assert sizes == [11, 10, 10]
    if verb == "retry":
        assert f"hammerwork job {verb} JOB --tree" in stopped.stderr
        changed(run, migrated_url, verb, identity(1), "--tree", "--yes")
    else:
        assert "hammerwork spawn doctor --fix" in stopped.stderr
        assert run("spawn", "doctor", "--fix", "--yes", url=migrated_url).exit_code == 0
    assert set(statuses(migrated_url).values()) == {"Pending" if verb == "retry" else "Failed"}


@all_databases
def test_a_job_that_changed_since_it_was_chosen_is_skipped(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = ByFilter.batches

    def while_somebody_else_acts(self: ByFilter, database: Database) -> Iterator[ChangeBatch]:
        for batch in batches(self, database):
            execute(migrated_url, f"UPDATE hammerwork_jobs SET status = 'Pending' WHERE id = '{identity(1)}'")
            execute(migrated_url, f"UPDATE hammerwork_jobs SET queue_name = 'other' WHERE id = '{identity(2)}'")
            yield batch

    monkeypatch.setattr(ByFilter, "batches", while_somebody_else_acts)
    write(migrated_url, job(1, D), job(2, D), job(3, D))
    record = changed(run, migrated_url, "delete", "--status", "dead", "--queue", "mail", "--yes")
    assert (record["changed"], record["left"]) == (1, {"changed_meanwhile": 2})
    assert statuses(migrated_url) == {1: "Pending", 2: "Dead"}


def test_names_of_queues_in_a_plan_cannot_hurt_a_terminal(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, D, queue="a\x1b[31m\n\u202e"))
    for words in (["--dry-run"], ["--yes"]):
        outcome = run("job", "retry", "--all", *words, url=migrated_url)
        assert not {"\x1b", "\u202e"} & set(outcome.stdout + outcome.stderr)


def test_a_terminal_breaks_sentences_between_words(
    new_database: Callable[..., str], clean_environment: dict[str, str]
) -> None:
    url = new_database("sqlite", migrated=True)
    write(url, job(1, D), child(2, 1, F, "failed"), child(3, 1, F, "failed"))
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 70))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hammerwork_cli", "job", "retry", identity(2), identity(3), "--yes"],
        env={**os.environ, **clean_environment, "HAMMERWORK_DATABASE_URL": url, "TERM": "xterm", "NO_COLOR": "1"},
        stdout=terminal,
        stderr=terminal,
        check=False,
    )
    os.close(terminal)
    shown = everything(controller)
    assert done.returncode == 1
    assert "dependent on a job that failed or is missing. Retry that job first, or" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 70


@pytest.mark.mysql
def test_jobs_of_a_database_that_is_stuck_can_be_changed_once_it_is_migrated(
    run: Run, restored: Callable[[str], str]
) -> None:
    url = restored("stuck-at-010.mariadb")
    refused = run("job", "cancel", "--all", "--yes", url=url)
    assert (refused.exit_code, "hammerwork migration run" in refused.stderr) == (4, True)
    assert run("migration", "run", url=url).exit_code == 0
    # Two had been cancelled before, with their workflow.
    for words, jobs in ((("cancel",), 71), (("retry", "--cancelled"), 73)):
        record = changed(run, url, *words, "--all", "--yes")
        assert record["changed"] + record["followed"] == jobs
    assert changed(run, url, "delete", "--all", "--yes")["changed"] == 73


@pytest.mark.mysql
def test_jobs_that_hammerwork_rust_left_running_run_again_by_force(run: Run, restored: Callable[[str], str]) -> None:
    url = restored("damaged.mariadb")
    assert run("migration", "run", url=url).exit_code == 0
    before = len(rows(url, where="queue_name = 'segment' AND status = 'Running'"))
    record = changed(run, url, "retry", "--queue", "segment", "--status", "running", "--force", "--yes")
    assert record["changed"] == before > 0
    assert rows(url, where="queue_name = 'segment' AND status = 'Running'") == []


def test_the_time_of_a_cancellation_is_called_so(run: Run, lite_url: str) -> None:
    write(lite_url, job(1, P))
    changed(run, lite_url, "cancel", identity(1))
    words = [line.split()[:1] for line in run("job", "show", identity(1), url=lite_url).stdout.splitlines()]
    assert ["cancelled"] in words
    assert ["failed"] not in words


OF_PARENTS = {"spawn list"}
"""Verbs whose --status is that of a parent and whose --failed asks for failures below it."""


def test_no_verb_takes_both_the_status_and_the_failed_jobs(run: Run, lite_url: str) -> None:
    both = {
        path
        for path, verb in LEAVES.items()
        if {"--failed", "--status"} <= {name for param in verb.params for name in param.opts}
    }
    assert both >= {"job list", "job export", "job retry", "job delete", "job purge"}
    write(lite_url, job(1, C), job(2, D))
    for path in both - OF_PARENTS:
        yes = () if path in {"job list", "job export"} else ("--yes",)
        refused = run(*path.split(), "--failed", "--status", "dead,completed", *yes, url=lite_url)
        assert (refused.exit_code, refused.stdout) == (2, ""), path
        assert "--status failed,dead,timedout" in refused.stderr, path
    assert statuses(lite_url) == {1: "Completed", 2: "Dead"}
