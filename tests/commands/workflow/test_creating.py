"""``workflow create``, ``job enqueue --workflow`` and ``Queue.enqueue_workflow``: all jobs or none, each once."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import ConflictError, Handlers, Job, Queue, UsageError, Worker, Workflow
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.queries import notifications
from tests.conftest import ROOT, Outcome, all_databases, each_row
from tests.jobs import execute

Run = Callable[..., Outcome]
ID = "178ebfc3-22de-4678-a178-65e1b8b2b001"
NIGHTLY = str(ROOT / "tests" / "data" / "nightly.toml")


def shown(run: Run, url: str, *words: str) -> Any:
    outcome = run("workflow", *words, "--format", "json", url=url)
    assert outcome.exit_code == 0, outcome
    return outcome.json


def jobs_of(run: Run, url: str, workflow: str) -> dict[str, Any]:
    """Queue -> job."""
    listed = run("job", "list", "--workflow", workflow, "--format", "json", url=url)
    return {job["queue"]: job for job in listed.json}


def test_a_file_becomes_a_workflow_once(run: Run, migrated_url: str, tmp_path: Path) -> None:
    dry = run("workflow", "create", "--file", NIGHTLY, "--dry-run", url=migrated_url)
    assert " load (etl) " in dry.stdout
    assert shown(run, migrated_url, "list") == []
    made = run("workflow", "create", "--file", NIGHTLY, "--id", ID, "--metadata", '{"a": [1]}', url=migrated_url)
    assert (made.exit_code, made.stdout) == (0, f"{ID}\n")
    jobs = jobs_of(run, migrated_url, ID)
    extract, load, report = (jobs[queue] for queue in ("extract", "etl", "report"))
    assert (extract["depends_on"], extract["dependency_status"]) == ([], "none")
    assert (load["depends_on"], load["dependency_status"], load["max_attempts"]) == ([extract["id"]], "waiting", 5)
    assert {*report["depends_on"]} == {extract["id"], load["id"]}
    assert {job["workflow_name"] for job in jobs.values()} == {"nightly"}
    assert shown(run, migrated_url, "show", ID)["metadata"] == {"a": [1]}

    # The same in JSON, after the first job was archived or deleted.
    as_json = {"name": "nightly", "jobs": {"extract": {"payload": {"day": "2026-11-24"}}}}
    as_json["jobs"] |= {"load": {"queue": "etl", "after": ["extract"], "max_attempts": 5}}  # type: ignore[operator]
    as_json["jobs"] |= {"report": {"after": ["extract", "load"]}}  # type: ignore[operator]
    again = tmp_path / "again.json"
    again.write_text(json.dumps(as_json))
    repeated = run("workflow", "create", "-f", str(again), "--id", ID, url=migrated_url)
    assert (repeated.exit_code, repeated.stdout) == (0, f"{ID}\n")
    assert "left unchanged" in repeated.stderr
    before = run("workflow", "create", "-f", str(again), "--id", ID, "--dry-run", url=migrated_url)
    assert (before.exit_code, "Already exists; would be left unchanged" in before.stderr) == (0, True)
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps({"name": "nightly", "jobs": {"extract": as_json["jobs"]["extract"]}}))  # type: ignore[index]
    for words in ([], ["--dry-run"]):
        assert run("workflow", "create", "-f", str(fewer), "--id", ID, *words, url=migrated_url).exit_code == 6
    for words in (["--name", "other"], ["--failure-policy", "manual"]):
        assert run("workflow", "create", "-f", str(again), "--id", ID, *words, url=migrated_url).exit_code == 6
    again.write_text(json.dumps(as_json).replace("2026-11-24", "2026-11-25"))
    assert run("workflow", "create", "-f", str(again), "--id", ID, url=migrated_url).exit_code == 6
    assert len(jobs_of(run, migrated_url, ID)) == 3


@each_row(
    ("text", "said"),
    [
        ('name = "x"\n[jobs.a\n', "line 2"),
        ('{"name": "x",\n "jobs": }', "line 2"),
        ('{"name": "x", "jobs": {"a": {}, "a": {}}}', "has the key 'a' twice"),
        ('name = "x"\nretries = 3\n[jobs.a]', "'retries' is not a key of a workflow"),
        ('name = "x"\n[jobs.a]\nprio = 3', "jobs.a: 'prio' is not an option"),
        ('name = "x"\n[jobs.a]\nid = "x"', "jobs.a: 'id' is not an option"),
        ('name = "x"\n[jobs.a]\npriority = "odd"', "jobs.a: "),
        ('name = "x"\n[jobs.a]\npayload = 2026-11-24', "jobs.a: JSON cannot hold the payload"),
        ('name = "x"\n[jobs.a]\nafter = "b"', "jobs.a: after must be a list"),
        ('name = "x"\njobs = {a = 1}', "jobs.a: It has no options"),
        ('name = "x"\n[jobs.a]\nafter = ["b"]', "'a' waits for 'b', which is not a job"),
        ('name = "x"\n[jobs.d]\nafter = ["a"]\n[jobs.a]\nafter = ["b"]\n[jobs.b]\nafter = ["a"]', "a -> b -> a"),
        ('name = "x"\n[jobs.a]\nafter = ["a"]', "a -> a"),
        ('name = "x"', "has no jobs"),
        ("[jobs.a]", "The workflow has no name."),
        (f'name = "{256 * "x"}"\n[jobs.a]', "1 to 255 characters"),
        ('name = "x"\nfailure_policy = "sometimes"\n[jobs.a]', "'sometimes' is not a failure policy"),
        ('name = "x"\nmetadata = 3\n[jobs.a]', "metadata must be a JSON object"),
    ],
)
def test_mistakes_in_a_file_are_named_and_nothing_is_written(
    run: Run, sqlite_url: str, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "workflow"
    file.write_text(text)
    refused = run("workflow", "create", "--file", str(file), "--dry-run", url=sqlite_url)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_too_many_parents_are_refused(run: Run, sqlite_url: str, tmp_path: Path) -> None:
    jobs: dict[str, Any] = {f"a{number}": {} for number in range(1001)}
    file = tmp_path / "wide.json"
    file.write_text(json.dumps({"name": "wide", "jobs": {**jobs, "join": {"after": list(jobs)}}}))
    refused = run("workflow", "create", "--file", str(file), url=sqlite_url)
    assert refused.exit_code == 2
    assert "'join' waits for 1,001 jobs" in refused.stderr


@all_databases
def test_a_creation_that_breaks_off_leaves_nothing(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "notify", broken)
        assert run("workflow", "create", "--file", NIGHTLY, "--id", ID, url=migrated_url).exit_code != 0
    assert shown(run, migrated_url, "list") == []
    assert run("job", "list", "--format", "json", url=migrated_url).json == []
    assert run("workflow", "create", "--file", NIGHTLY, "--id", ID, url=migrated_url).exit_code == 0


@all_databases
def test_a_job_that_joins_a_workflow_opens_it_again_and_no_other(run: Run, migrated_url: str) -> None:
    run("workflow", "create", "--name", "empty", "--id", ID, url=migrated_url)
    other = run("workflow", "create", "--name", "other", url=migrated_url).stdout.strip()
    assert "running, empty" in run("workflow", "show", ID, url=migrated_url).stdout
    execute(migrated_url, "UPDATE hammerwork_workflows SET status = 'failed', failed_at = created_at")
    joined = run("job", "enqueue", "--queue", "a", "--payload", "{}", "--workflow", ID, url=migrated_url)
    assert joined.exit_code == 0, joined
    with contextlib.closing(connect(migrated_url)) as database:
        states = dict(database.query("SELECT id, status FROM hammerwork_workflows"))
    assert states == {ID: "running", other: "failed"}
    job = jobs_of(run, migrated_url, ID)["a"]
    assert (job["workflow_id"], job["workflow_name"]) == (ID, "empty")
    execute(migrated_url, "UPDATE hammerwork_workflows SET status = 'cancelled'")
    assert run("job", "enqueue", "-q", "a", "--payload", "{}", "--workflow", ID, url=migrated_url).exit_code == 6
    assert run("job", "enqueue", "--file", NIGHTLY, "--workflow", ID, url=migrated_url).exit_code == 2


@all_databases
def test_a_workflow_is_deleted_with_its_jobs_unless_one_runs(run: Run, migrated_url: str) -> None:
    made = run("workflow", "create", "--file", NIGHTLY, "--id", ID, "--on-success", "told", url=migrated_url)
    assert made.exit_code == 0, made
    wrong = run("job", "show", ID, url=migrated_url)
    assert (wrong.exit_code, f"hammerwork workflow show {ID}" in wrong.stderr) == (5, True)
    execute(migrated_url, "UPDATE hammerwork_jobs SET status = 'Running' WHERE queue_name = 'extract'")
    kept = run("workflow", "delete", ID, "--yes", url=migrated_url)
    assert (kept.exit_code, "1 of 3 jobs was skipped" in kept.stderr) == (1, True)
    assert jobs_of(run, migrated_url, ID).keys() == {"extract"}
    assert run("workflow", "delete", ID, "--force", "--dry-run", url=migrated_url).exit_code == 0
    assert len(shown(run, migrated_url, "list")) == 1
    assert run("workflow", "delete", ID, "--force", "--yes", url=migrated_url).exit_code == 0
    assert shown(run, migrated_url, "list") == []
    with contextlib.closing(connect(migrated_url)) as database:
        assert database.query("SELECT 1 FROM hammerwork_watches") == []


def test_a_workflow_without_jobs_can_be_cancelled_and_opened_again(run: Run, lite_url: str) -> None:
    job = ("job", "enqueue", "--queue", "late", "--payload", "{}", "--workflow", ID)
    assert run("workflow", "create", "--name", "late", "--id", ID, url=lite_url).exit_code == 0
    for _ in range(2):
        cancelled = run("workflow", "cancel", ID, "--yes", url=lite_url)
        assert (cancelled.exit_code, "no job can join it" in cancelled.stderr) == (0, True)
    refused = run(*job, url=lite_url)
    assert (refused.exit_code, f"job retry --workflow {ID} --cancelled" in refused.stderr) == (6, True)
    assert run("workflow", "retry", ID, "--cancelled", "--dry-run", url=lite_url).exit_code == 0
    assert run(*job, url=lite_url).exit_code == 6
    opened = run("workflow", "retry", ID, "--cancelled", url=lite_url)
    assert (opened.exit_code, "jobs can join it" in opened.stderr) == (0, True)
    assert run(*job, url=lite_url).exit_code == 0
    assert run("workflow", "cancel", ID, "--yes", url=lite_url).exit_code == 0
    again = run("workflow", "cancel", ID, "--yes", url=lite_url)
    assert again.exit_code == 0, "a script may be run again"
    # Its jobs were running, and completed all the same.
    execute(lite_url, "UPDATE hammerwork_jobs SET status = 'Completed', error_message = NULL")
    assert run(*job, url=lite_url).exit_code == 6
    assert run("workflow", "retry", ID, "--cancelled", url=lite_url).exit_code == 0
    assert run(*job, url=lite_url).exit_code == 0


def test_python_writes_workflows_whose_jobs_run_in_their_order(migrated_url: str) -> None:
    app, ran = Handlers(), []
    for key in ("extract", "load", "report"):
        app.register_job(key, lambda job: ran.append((job.queue, job.workflow_name)))
    nightly = Workflow("nightly", id=ID).add("extract", Job("extract"))
    nightly.add("load", Job("load"), after=["extract"]).add("report", Job("report"), after=("load", "extract"))
    with Queue(migrated_url) as queue:
        written = queue.enqueue_workflow(nightly)
        assert [*written] == ["extract", "load", "report"]
        assert all(job.created for job in written.values())
        assert queue.enqueue_workflow(nightly) == {}
        Worker(queue, app, drain=True).run()
        assert queue.get(written["report"].id).status == "Completed"  # type: ignore[union-attr]
        with pytest.raises(ConflictError):
            queue.enqueue_workflow(Workflow("other", id=ID).add("extract", Job("extract")))
        with pytest.raises(UsageError, match="a -> b -> a"):
            queue.enqueue_workflow(Workflow("x").add("a", Job("a"), after="b").add("b", Job("b"), after="a"))
    assert ran == [("extract", "nightly"), ("load", "nightly"), ("report", "nightly")]
    with pytest.raises(UsageError, match="already"):
        nightly.add("load", Job("load"))
    with pytest.raises(UsageError, match="must be a Job"):
        nightly.add("more", "job")  # type: ignore[arg-type]
