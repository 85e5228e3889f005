"""``batch enqueue``, ``retry``, ``cancel`` and ``delete``, and ``Queue.enqueue_batch``, on every database."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import ConflictError, Job, Queue, UsageError
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.batch.queries import enqueue as enqueueing
from tests.conftest import Outcome, all_databases
from tests.jobs import CLOCK, execute, job, rows, statuses, write

Run = Callable[..., Outcome]
BATCH = "00000000-0000-4000-8000-0000000000b1"


@pytest.fixture
def batch(run: Run, migrated_url: str) -> Callable[..., Outcome]:
    """``batch(*words)`` runs a verb of the group."""
    return lambda *words: run("batch", *words, url=migrated_url, env=CLOCK)


def file(folder: Path, *lines: Any) -> str:
    path = folder / "jobs.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return str(path)


@all_databases
def test_a_file_becomes_one_batch_once(batch: Any, migrated_url: str, tmp_path: Path) -> None:
    letters = file(tmp_path, {"payload": 1}, "", {"payload": [2], "queue": "other", "priority": "high"})
    words = ("enqueue", "-f", letters, "-n", "mail", "--batch-size", "1")
    for _ in range(2):
        done = batch(*words, "--name", "letters", "--id", BATCH.upper())
        assert (done.exit_code, done.stdout) == (0, f"{BATCH}\n"), done
    assert sorted(rows(migrated_url, "queue_name, batch_id")) == [("mail", BATCH), ("other", BATCH)]
    shown = batch("show", BATCH, "--format", "json").json
    assert (shown["name"], shown["status"], shown["jobs"], shown["pending"]) == ("letters", "Pending", 2, 2)
    for name, batch_id in (("other", BATCH), ("letters", "b1")):
        refused = batch(*words, "--name", name, "--id", batch_id)
        assert (refused.exit_code, refused.stdout) == (6 if name == "other" else 2, ""), refused
    refused = batch(*words, "--name", "other", "--id", BATCH)
    assert f"There is another batch {BATCH}, with a different name." in refused.stderr
    assert len(rows(migrated_url)) == 2


def test_a_batch_that_exists_is_not_said_to_have_a_callback_that_it_lacks(batch: Any, tmp_path: Path) -> None:
    words = ("enqueue", "-f", file(tmp_path, {"payload": 1}), "-q", "mail", "--id", BATCH)
    for report in ('{"queue": "report", "delay": "1m"}', '{"delay": "1m", "queue": "report"}'):
        assert batch(*words, "--on-complete", report).exit_code == 0
    refused = batch(*words, "--on-success", "report")
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "already exists, without this callback on success" in refused.stderr
    for text in ("[1]", '"report"', "{"):
        assert batch(*words, "--on-complete", text).exit_code == 2


def test_a_bad_line_leaves_nothing_or_is_left_out(batch: Any, migrated_url: str, tmp_path: Path) -> None:
    bad = [{"payload": 1, "priority": "odd"}] * 25
    letters = file(tmp_path, {"payload": 1}, *bad, "{", {"payload": 2})
    refused = batch("enqueue", "-f", letters, "-q", "mail")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Line 2: 'odd' is not a priority." in refused.stderr
    assert rows(migrated_url) == []
    done = batch("enqueue", "-f", letters, "-q", "mail", "--continue-on-error", "--format", "json")
    assert (done.exit_code, done.json["jobs"]) == (1, 2)
    error = json.loads(done.stderr)["error"]
    assert (error["message"], len(error["lines"])) == ("26 lines left out.", 20)
    told = batch("enqueue", "-f", letters, "-q", "mail", "--continue-on-error").stderr.splitlines()
    assert [told[1], told[-3], told[-2]] == [
        "Line 2: 'odd' is not a priority. One of: background, low, normal, high, critical (0 to 4).",
        "Line 21: 'odd' is not a priority. One of: background, low, normal, high, critical (0 to 4).",
        "And 6 more.",
    ]
    assert told[-1] == "Error: 26 lines left out."
    nothing = batch("enqueue", "-f", file(tmp_path, "{"), "-q", "mail", "--continue-on-error")
    assert (nothing.exit_code, nothing.stdout, len(rows(migrated_url))) == (2, "", 4)


@all_databases
def test_jobs_of_a_batch_are_listed_retried_cancelled_and_deleted(
    batch: Any, run: Run, migrated_url: str, tmp_path: Path
) -> None:
    lines = [{"payload": number, "queue": f"q{number % 2}"} for number in range(6)]
    found = batch("enqueue", "--jobs", file(tmp_path, *lines)).stdout.strip()
    other = batch("enqueue", "--jobs", file(tmp_path, *lines)).stdout.strip()
    execute(migrated_url, "UPDATE hammerwork_jobs SET status = 'Dead', attempts = 3 WHERE queue_name = 'q0'")

    def counts(of: str) -> dict[str, int]:
        return dict(batch("show", of, "--format", "json").json["by_status"])

    listed = run("job", "list", "--batch", found[:13], "--status", "dead", "--format", "json", url=migrated_url).json
    assert {job["queue"] for job in listed} == {"q0"}
    assert len(listed) == 3
    assert batch("retry", found, "--format", "json").exit_code == 2  # not confirmed
    assert batch("retry", found, "--confirm", "--format", "json").json["changed"] == 3
    assert counts(found) == {"Pending": 6}
    assert batch("cancel", found, "-n", "q1", "--reason", "late", "--yes", "--format", "json").json["changed"] == 3
    assert counts(found) == {"Pending": 3, "Cancelled": 3}
    assert counts(other) == {"Pending": 3, "Dead": 3}

    execute(migrated_url, "UPDATE hammerwork_jobs SET status = 'Running' WHERE queue_name = 'q0'")
    assert batch("delete", found, "--yes").exit_code == 1
    assert counts(found) == {"Running": 3}
    with closing(connect(migrated_url)) as database:
        assert not enqueueing.delete_empty(database, found), "a job has joined it meanwhile"
    assert {row["id"] for row in batch("list", "--format", "json").json} == {found, other}
    passed = batch("cancel", found, "--yes", "--format", "json")
    assert (passed.exit_code, json.loads(passed.stdout)["left"]) == (1, {"Running": 3})
    assert batch("cancel", found, "--force", "--dry-run").exit_code == 0
    assert batch("cancel", found, "--force", "--yes", "--format", "json").json["changed"] == 3
    assert counts(found) == {"Cancelled": 3}
    execute(migrated_url, "UPDATE hammerwork_jobs SET status = 'Running' WHERE queue_name = 'q0'")
    assert batch("delete", found, "--force", "--dry-run").exit_code == 0
    assert batch("delete", found, "--force", "--yes").exit_code == 0
    assert batch("show", found).exit_code == 5
    assert len(rows(migrated_url)) == 6
    assert [row["id"] for row in batch("list", "--format", "json").json] == [other]


@all_databases
def test_whole_jobs_of_a_batch_are_exported(batch: Any, tmp_path: Path) -> None:
    found = batch("enqueue", "--jobs", file(tmp_path, {"payload": {"to": "a"}}, {"payload": 2}), "-q", "mail")
    other = batch("create", "--jobs", file(tmp_path, {"payload": 3, "queue": "mail"}))
    written = batch("export", found.stdout.strip(), "--format", "json").json
    assert sorted(json.dumps(job["payload"]) for job in written) == ["2", '{"to": "a"}']
    lines = batch("export", other.stdout.strip(), "--fields", "queue,payload", "--redact", "payload").stdout
    assert json.loads(lines) == {"queue": "mail", "payload": "[redacted]"}
    assert batch("export", found.stdout.strip(), "--status", "dead").stdout == ""


@all_databases
def test_retry_and_cancel_without_a_batch_take_the_options_of_rust(batch: Any, migrated_url: str) -> None:
    day = 24 * 60
    write(
        migrated_url,
        job(1, JobStatus.FAILED),
        job(2, JobStatus.FAILED, attempts=1),
        job(day + 60, JobStatus.DEAD),
        job(4, JobStatus.DEAD, queue="other"),
        job(5),
        job(day + 61),
    )
    for verb in ("retry", "cancel"):
        assert "No batch was given." in batch(verb, "--yes").stderr
    words = ("-n", "mail", "--failed-since-hours", "24", "--max-attempts-reached", "--confirm")
    assert batch("retry", *words, "--format", "json").json["changed"] == 1
    assert batch("retry", "-n", "mail", "-t", "dead,failed", "--confirm", "--format", "json").json["changed"] == 2
    words = ("-n", "mail", "--older-than-hours", "24", "--confirm")
    assert batch("cancel", *words, "--format", "json").json["changed"] == 2
    assert statuses(migrated_url) == {
        1: "Pending",
        2: "Pending",
        day + 60: "Failed",
        4: "Dead",
        5: "Pending",
        day + 61: "Failed",
    }


@all_databases
def test_python_enqueues_a_batch(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Queue(migrated_url) as queue:
        first = Job("mail", 1)
        made = queue.enqueue_batch("letters", [first, Job("mail", 2).depends_on(first)], id=BATCH)
        assert (made.id, made.created, [job.status for job in made.jobs]) == (BATCH, True, ["Pending"] * 2)
        again = queue.enqueue_batch("letters", [Job("mail"), Job("mail")], id=BATCH)
        assert (again.created, again.jobs) == (False, ())
        with pytest.raises(ConflictError, match="already exists, outside"):
            queue.enqueue_batch("letters", [first])
        monkeypatch.setattr(enqueueing, "MOST_JOBS", 1)
        for jobs in ([], [Job("mail")] * 2):
            with pytest.raises(UsageError, match="1 to 1 jobs"):
                queue.enqueue_batch("letters", jobs)
        with pytest.raises(UsageError, match="at most 255"):
            queue.enqueue_batch("x" * 256, [first])
    assert len(rows(migrated_url)) == 2
