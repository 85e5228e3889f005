"""Spawning again what has spawned: ``job retry --respawn`` and ``spawn again``."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.features.schema.views import SCHEMAS
from tests.conftest import all_databases, eventually
from tests.forks import begin
from tests.jobs import execute, identity, job, rows, statuses, write

HANDLERS = r"""
from hammerwork_cli import Handlers, Job
app = Handlers()
app.register_job("leaf", lambda job: None)

@app.spawn("broken")
def broken(context):
    raise ValueError("no\nidea \x1b[31m")

@app.spawn("fan")
def fan(context):
    return [Job("leaf", {"number": number}) for number in range(context.config.metadata or 2)]
"""

Program = Callable[..., Any]
Start = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def work(tmp_path: Path, hammerwork: Program) -> Callable[[str], None]:
    """``work(url)``: a worker runs what there is to run."""
    (tmp_path / "handlers.py").write_text(HANDLERS)

    def run(url: str) -> None:
        done = hammerwork("worker", "start", "--handlers", "handlers:app", "--drain", url=url)
        assert done.exit_code == 0, done.stderr

    return run


@pytest.fixture
def start(work: Callable[[str], None], tmp_path: Path, clean_environment: dict[str, str]) -> Start:
    """``with start(url)``: a worker is there, with the same handlers."""

    @contextmanager
    def started(url: str) -> Iterator[None]:
        words = ("worker", "start", "--handlers", "handlers:app", "--lease", "2s")
        with begin(words, {**clean_environment, "HAMMERWORK_DATABASE_URL": url}, tmp_path) as worker:
            try:
                assert worker.stderr
                assert " serves " in worker.stderr.readline()
                yield
            finally:
                worker.kill()

    return started


def leaves(url: str) -> int:
    return len(rows(url, "id", "queue_name = 'leaf'"))


# job retry --respawn.


@all_databases
def test_a_completed_parent_that_is_retried_spawns_again_only_with_respawn(
    migrated_url: str, work: Callable[[str], None], run: Program
) -> None:
    write(migrated_url, job(1, queue="fan"))
    work(migrated_url)
    assert leaves(migrated_url) == 2
    if migrated_url.startswith("sqlite"):  # what tells a worker that a job has spawned is the same everywhere
        assert run("job", "retry", identity(1), "--force", url=migrated_url).exit_code == 0
        assert statuses(migrated_url)[1] == "Pending"
        work(migrated_url)
        assert (statuses(migrated_url)[1], leaves(migrated_url)) == ("Completed", 2)
    assert run("job", "retry", identity(1), "--force", "--respawn", url=migrated_url).exit_code == 0
    work(migrated_url)
    assert (statuses(migrated_url)[1], leaves(migrated_url)) == ("Completed", 4)


def test_respawn_is_no_reason_to_take_a_completed_job(migrated_url: str, run: Program) -> None:
    write(migrated_url, job(1, JobStatus.COMPLETED, queue="fan"))
    refused = run("job", "retry", identity(1), "--respawn", url=migrated_url)
    assert refused.exit_code == 6
    assert statuses(migrated_url)[1] == "Completed"


# spawn again.


def asked(run: Program, url: str, *words: str) -> Any:
    """What ``spawn again`` says of job 1."""
    done = run("spawn", "again", identity(1), *words, "--format", "json", url=url)
    Draft202012Validator(SCHEMAS["spawn-again"]).validate(done.json)
    return done


def test_a_worker_spawns_again_for_a_completed_job_once_for_each_request(
    migrated_url: str, work: Callable[[str], None], run: Program, start: Start
) -> None:
    write(migrated_url, job(1, queue="fan"))
    work(migrated_url)
    made = run("spawn", "again", identity(1), url=migrated_url)
    assert made.exit_code == 0
    assert "No running worker can take it" in made.stderr
    request = made.stdout.strip()
    assert leaves(migrated_url) == 2
    shown = run("job", "show", identity(1), url=migrated_url).stdout
    assert f"{request[:8]} · pending" in shown
    [ahead] = run("spawn", "pending", "--format", "json", url=migrated_url).json
    assert (ahead["id"], ahead["reason"]) == (identity(1), "asked_again")
    assert "asked to spawn again" in run("spawn", "pending", "--queue", "fan", url=migrated_url).stdout
    assert run("spawn", "pending", "--queue", "mail", url=migrated_url).stdout == ""
    refused = run("spawn", "again", identity(1), url=migrated_url)
    assert (refused.exit_code, refused.stdout) == (6, "")

    with start(migrated_url):
        eventually(lambda: leaves(migrated_url) == 4)
        details = eventually(lambda: _ended(run, migrated_url))
        assert [(one["id"], one["state"], one["children"]) for one in details["spawn_requests"]] == [
            (request, "done", 2)
        ]
        assert [(one["outcome"], one["request_id"]) for one in details["spawns"]] == [
            ("spawned", None),
            ("spawned", request),
        ]
        done = asked(run, migrated_url, "--spawn-config", '{"metadata": 5}', "--wait", "--timeout", "60s")
        assert (done.exit_code, done.json["state"], done.json["children"]) == (0, "done", 5)
        assert done.stderr == ""
    assert leaves(migrated_url) == 9
    assert statuses(migrated_url)[1] == "Completed"


def _ended(run: Program, url: str) -> Any:
    details = run("job", "show", identity(1), "--format", "json", url=url).json
    return details if not any(one["state"] in {"pending", "running"} for one in details["spawn_requests"]) else None


def test_a_handler_that_fails_ends_the_request_with_its_error(
    migrated_url: str, work: Callable[[str], None], run: Program, start: Start
) -> None:
    write(migrated_url, job(1, JobStatus.COMPLETED, queue="fan"))
    with start(migrated_url):
        done = asked(run, migrated_url, "--handler", "broken", "--wait", "--timeout", "60s")
        assert (done.exit_code, done.json["state"], done.json["handler"]) == (1, "failed", "broken")
        assert json.loads(done.stderr)["error"]["code"] == "no"
        limited = asked(run, migrated_url, "--max-spawn-count", "1", "--wait", "--timeout", "60s")
        assert (limited.exit_code, limited.json["spawn_config"]["max_spawn_count"]) == (1, 1)
    assert leaves(migrated_url) == 0
    shown = run("job", "show", identity(1), url=migrated_url).stdout
    assert shown.count(" · failed · ") == 2
    assert "max_spawn_count" in shown
    assert "\x1b" not in shown


def test_only_a_completed_job_can_be_asked_to_spawn_again(migrated_url: str, run: Program) -> None:
    write(migrated_url, job(1, JobStatus.DEAD), job(2), job(3, JobStatus.COMPLETED))
    codes = {
        (identity(1),): 6,
        (identity(2),): 6,
        ("ffffffff",): 5,
        (identity(3), "--timeout", "1s"): 2,
        (identity(3), "--handler", ""): 2,
        (identity(3), "--inherit", "everything"): 2,
        (identity(3), "--wait", "--timeout", "0.01s"): 124,
    }
    found = {words: run("spawn", "again", *words, url=migrated_url).exit_code for words in codes}
    assert found == codes


def test_options_go_over_the_configuration_of_the_job_and_leave_it_as_it_is(migrated_url: str, run: Program) -> None:
    payload = '{"_spawn_config": {"handler": "fan", "metadata": {"a": 1}, "max_spawn_count": 7}}'
    write(migrated_url, job(1, JobStatus.COMPLETED, payload=payload))
    words = ("--batch-size", "3", "--spawn-delay", "2s", "--operation-id", "again-1", "--inherit", "queue")
    config = asked(run, migrated_url, *words).json["spawn_config"]
    assert config == {
        "handler": "fan",
        "metadata": {"a": 1},
        "max_spawn_count": 7,
        "batch_size": 3,
        "spawn_delay_ms": 2000,
        "operation_id": "again-1",
        "inherit_queue": True,
        "inherit_priority": False,
        "inherit_retry_strategy": False,
        "inherit_timeout": False,
        "inherit_trace_context": False,
    }
    stored = run("job", "show", identity(1), "--format", "json", url=migrated_url).json["payload"]
    assert stored["_spawn_config"]["max_spawn_count"] == 7
    assert "operation_id" not in stored["_spawn_config"]


def test_without_our_tables_nobody_can_be_asked(migrated_url: str, run: Program) -> None:
    write(migrated_url, job(1, JobStatus.COMPLETED))
    execute(migrated_url, "DELETE FROM hammerwork_migrations WHERE migration_id > '015'")
    refused = run("spawn", "again", identity(1), url=migrated_url)
    assert refused.exit_code == 4
    assert "hammerwork migration run" in refused.stderr
    details = run("job", "show", identity(1), "--format", "json", url=migrated_url).json
    assert (details["spawns"], details["spawn_requests"]) == ([], [])
