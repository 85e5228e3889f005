"""Two operators at once, each a process of its own, on every server: nothing is lost, nothing is doubled."""

import threading
from collections import Counter
from collections.abc import Callable

from hammerwork_cli.core.values import JobStatus
from tests.conftest import Outcome
from tests.jobs import identity, job, rows, write

JOBS = 1600
Hammerwork = Callable[..., Outcome]


def at_once(hammerwork: Hammerwork, url: str, *commands: tuple[str, ...]) -> list[Outcome]:
    """Runs commands side by side; their outcomes in the same order."""
    outcomes: dict[int, Outcome] = {}

    def run(number: int, words: tuple[str, ...]) -> None:
        outcomes[number] = hammerwork("job", *words, "--yes", "--format", "json", url=url, timeout=120)

    threads = [threading.Thread(target=run, args=numbered) for numbered in enumerate(commands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes[number] for number in range(len(commands))]


def total(outcomes: list[Outcome]) -> int:
    """Jobs that all of them changed."""
    assert [outcome.exit_code for outcome in outcomes] == [0] * len(outcomes), outcomes
    return sum(outcome.json["changed"] for outcome in outcomes)


def test_two_who_retry_the_same_jobs_retry_each_once(hammerwork: Hammerwork, migrated_url: str) -> None:
    write(migrated_url, *(job(number, JobStatus.DEAD) for number in range(1, JOBS + 1)))
    assert total(at_once(hammerwork, migrated_url, ("retry", "--all"), ("retry", "--all"))) == JOBS
    assert Counter(rows(migrated_url, "status, attempts")) == {("Pending", 0): JOBS}


def test_two_who_retry_what_many_depend_on_rearm_each_once(hammerwork: Hammerwork, migrated_url: str) -> None:
    failed = {"depends_on": (identity(1), identity(2)), "dependency_status": "failed"}
    write(migrated_url, job(1, JobStatus.DEAD), job(2, JobStatus.DEAD))
    write(migrated_url, *(job(number, JobStatus.FAILED, **failed) for number in range(3, 1203)))
    outcomes = at_once(hammerwork, migrated_url, ("retry", "--all"), ("retry", "--queue", "mail", "--failed"))
    assert sum(outcome.json["changed"] + outcome.json["followed"] for outcome in outcomes) == 1202, outcomes
    assert Counter(rows(migrated_url, "status, dependency_status")) == {
        ("Pending", "waiting"): 1200,
        ("Pending", "none"): 2,
    }


def test_two_who_cancel_the_same_jobs_cancel_each_once(hammerwork: Hammerwork, migrated_url: str) -> None:
    waiting = {"depends_on": (identity(1),), "dependency_status": "waiting"}
    ready = [job(number) for number in range(1, JOBS)]
    write(migrated_url, *ready, *(job(number, **waiting) for number in range(JOBS, JOBS + 50)))
    outcomes = at_once(hammerwork, migrated_url, ("cancel", "--all"), ("cancel", "--all"))
    followed = sum(outcome.json["followed"] for outcome in outcomes)
    assert total(outcomes) + followed == JOBS + 49
    assert Counter(rows(migrated_url, "status")) == {("Failed",): JOBS + 49}


def test_two_who_purge_the_same_jobs_delete_each_once(hammerwork: Hammerwork, migrated_url: str) -> None:
    write(migrated_url, *(job(number, JobStatus.COMPLETED) for number in range(1, JOBS + 1)), job(JOBS + 1))
    assert total(at_once(hammerwork, migrated_url, ("purge", "--all"), ("purge", "--completed"))) == JOBS
    assert rows(migrated_url) == [(identity(JOBS + 1), "Pending")]


def test_one_retries_while_another_deletes(hammerwork: Hammerwork, migrated_url: str) -> None:
    write(migrated_url, *(job(number, JobStatus.DEAD) for number in range(1, JOBS + 1)))
    commands = ("retry", "--all"), ("delete", "--status", "dead")
    assert total(at_once(hammerwork, migrated_url, *commands)) == JOBS
    left = rows(migrated_url, "status")
    assert set(left) <= {("Pending",)}
    outcomes = at_once(hammerwork, migrated_url, ("cancel", "--all"), ("cancel", "--queue", "mail"))
    assert total(outcomes) == len(left)


def test_two_who_retry_and_cancel_trees_that_share_a_job_end_in_one_of_both(
    hammerwork: Hammerwork, migrated_url: str
) -> None:
    dead = [job(number, JobStatus.DEAD, depends_on=(identity(1), identity(2))) for number in range(3, 503)]
    write(migrated_url, job(1, JobStatus.COMPLETED), job(2, JobStatus.COMPLETED), *dead)
    commands = ("retry", identity(1), "--tree"), ("retry", identity(2), "--tree")
    assert total(at_once(hammerwork, migrated_url, *commands)) == 500
    commands = ("cancel", identity(1), "--tree"), ("cancel", identity(2), "--tree")
    assert total(at_once(hammerwork, migrated_url, *commands)) == 500
    assert Counter(status for _, status in rows(migrated_url)) == {"Completed": 2, "Failed": 500}
