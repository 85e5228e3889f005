"""``--error`` and ``--failed-since`` of the verbs that choose jobs, and ``--tree`` of several jobs."""

from collections.abc import Callable, Sequence

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.features.job.models.new_job import NewJob
from tests.conftest import Outcome, all_databases
from tests.jobs import CLOCK, NOW, execute, identity, job, statuses, write

Run = Callable[..., Outcome]
D, F, P = JobStatus.DEAD, JobStatus.FAILED, JobStatus.PENDING


def listed(run: Run, url: str, *words: str) -> set[int]:
    """The numbers of the jobs that ``job list`` finds."""
    found = run("job", "list", *words, "--format", "json", url=url, env=CLOCK)
    assert found.exit_code == 0, found
    return {int(record["id"][:8], 16) for record in found.json}


def write_errors(url: str, *errors: str | None, status: JobStatus = D) -> None:
    """Writes jobs 1, 2, ... with these errors."""
    started = {"started_at": NOW}
    write(url, *(job(number, status, error_message=error, **started) for number, error in enumerate(errors, 1)))


FOUND = [
    ("refused", {1, 2, 3}),
    ("CONNECTION refused", {1, 2}),
    ("connection*refused after", {3}),
    ("*after*5*", {3}),
    ("100%", {4}),
    ("0%d", set()),
    ("a_b", {5}),
    ("!", {6}),
    ("c:\\temp\\", {7}),
    ("'; --", {8}),
    ("cafe", set()),
    ("café", {9}),
    ("second line", {10}),
    ("*", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}),
]


@all_databases
def test_the_text_of_error_is_found_anywhere_to_the_letter_except_for_its_case(run: Run, migrated_url: str) -> None:
    errors = ("connection refused", "Connection Refused", "connection to db refused after 5 s", "100% done", "a_b")
    write_errors(migrated_url, *errors, "Oh!", "no c:\\temp\\x", "x'; -- y", "café", "first line\nsecond line", None)
    assert [(text, listed(run, migrated_url, "--error", text)) for text, _ in FOUND] == FOUND


@all_databases
def test_a_change_takes_only_jobs_with_the_error(run: Run, migrated_url: str) -> None:
    for verb in ("retry", "cancel", "delete", "purge"):
        status = P if verb == "cancel" else D
        execute(migrated_url, "DELETE FROM hammerwork_jobs")
        write_errors(migrated_url, "no codec in 1.mov", "no codec in 2.mov", "timed out", None, status=status)
        more = ("--dead",) if verb == "purge" else ()
        done = run("job", verb, "--error", "no codec in *.mov", *more, "--yes", "--format", "json", url=migrated_url)
        left = statuses(migrated_url)
        assert (verb, done.json["changed"]) == (verb, 2)
        assert (verb, left.get(3), left.get(4)) == (verb, status.value, status.value)


@pytest.mark.parametrize("text", ["", "  ", "x" * 1001])
@pytest.mark.parametrize("verb", [("list",), ("retry",), ("purge", "--dead")])
def test_an_empty_or_endless_text_is_refused(run: Run, sqlite_url: str, verb: Sequence[str], text: str) -> None:
    assert run("job", *verb, "--error", text, url=sqlite_url).exit_code == 2


@all_databases
def test_failed_since_is_about_the_failure_and_takes_a_duration_or_a_time(run: Run, migrated_url: str) -> None:
    for since, numbers in {
        "10m": {5, 6},
        "2026-11-24T11:54:00Z": {5, 6},
        "5m": {5},
        "1d": {5, 6, 90},
    }.items():
        execute(migrated_url, "DELETE FROM hammerwork_jobs")
        write(migrated_url, job(5, D), job(6, JobStatus.TIMED_OUT), job(90, F), job(3))
        # Job 6 was created long before it failed, and has no failed_at, as hammerwork (Rust) leaves it.
        execute(
            migrated_url,
            "UPDATE hammerwork_jobs SET timed_out_at = failed_at, failed_at = NULL, created_at = '2026-11-01 00:00:00'"
            f" WHERE id = '{identity(6)}'",
        )
        assert (since, listed(run, migrated_url, "--failed-since", since)) == (since, numbers)
        retried = run("job", "retry", "--failed-since", since, "--yes", url=migrated_url, env=CLOCK)
        assert retried.exit_code == 0, retried
        pending = {number for number, status in statuses(migrated_url).items() if status == "Pending"}
        assert (since, pending) == (since, numbers | {3})


def test_the_rust_name_of_failed_since_is_understood(run: Run, lite_url: str) -> None:
    write(lite_url, job(5, D), job(90, D))
    assert run("job", "retry", "--failed-since-hours", "1", "--yes", url=lite_url, env=CLOCK).exit_code == 0
    assert statuses(lite_url) == {5: "Pending", 90: "Dead"}


@pytest.mark.parametrize("since", ["soon", "2026-13-01T00:00:00Z", "999999999d"])
def test_a_window_that_is_neither_a_duration_nor_a_time_is_refused(run: Run, sqlite_url: str, since: str) -> None:
    assert run("job", "list", "--failed-since", since, url=sqlite_url).exit_code == 2


# Trees.


def child(number: int, parent: int, status: JobStatus) -> NewJob:
    return job(number, status, depends_on=(identity(parent),), dependency_status="satisfied")


def test_tree_takes_several_jobs_and_each_job_once(run: Run, migrated_url: str) -> None:
    write(
        migrated_url,
        job(1, JobStatus.COMPLETED),
        *(child(2, 1, D), child(3, 2, D)),
        job(4, JobStatus.COMPLETED),
        *(child(5, 4, D), job(6, D)),
    )
    ids = [identity(number) for number in (2, 1, 4)]
    done = run("job", "retry", *ids, "--tree", "--yes", "--format", "json", url=migrated_url)
    assert (done.exit_code, done.json["changed"]) == (0, 3)
    assert {number for number, status in statuses(migrated_url).items() if status == "Dead"} == {6}


def test_tree_without_a_job_is_refused(run: Run, lite_url: str) -> None:
    refused = run("job", "retry", "--tree", "--error", "x", url=lite_url)
    assert (refused.exit_code, "--tree needs JOB" in refused.stderr) == (2, True)
