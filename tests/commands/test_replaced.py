"""A command that another one replaces, and the other one: both answer the same, and do the same."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.compat import REPLACED
from tests.commands.test_contract import ENVIRONMENT
from tests.conftest import each_row

Run = Callable[..., Any]

SAME = {
    "archive show {archived} --format json": "job show {archived} --format json",
    "batch cancel {batch} --yes --format json": "job cancel --batch {batch} --yes --format json",
    "batch cancel {batch} --status pending --yes": "job cancel --batch {batch} --status pending --yes",
    "batch delete {batch} --force --yes": "job delete --batch {batch} --force --yes",
    "batch delete {batch} --yes --format json": "job delete --batch {batch} --yes --format json",
    "batch export {batch}": "job export --batch {batch}",
    "batch retry {batch} --cancelled --yes --format json": "job retry --batch {batch} --cancelled --yes --format json",
    "batch retry {batch} --dry-run": "job retry --batch {batch} --dry-run",
    "batch wait {batch} --timeout 0": "spawn wait --batch {batch} --timeout 0",
    "maintenance check --format json": "spawn doctor --format json",
    "maintenance health --max-rows 1": "monitor health --tables --max-rows 1",
    "migration plan --format json": "migration run --dry-run --format json",
    "monitor dashboard --count 1": "spawn monitor --count 1",
    "queue clear mail --yes": "job delete --queue mail --yes",
    "queue clear segment --force --yes": "job delete --queue segment --force --yes",
    "streaming stats --format json": "streaming list --format json",
    "streaming toggle {stream} --disable": "streaming disable {stream}",
    "streaming toggle {disabled_stream} --enable": "streaming enable {disabled_stream}",
    "webhook toggle {webhook} --disable": "webhook disable {webhook}",
    "webhook toggle {disabled_webhook} --enable": "webhook enable {disabled_webhook}",
    "workflow cancel {workflow} --reason why --yes": "job cancel --workflow {workflow} --reason why --yes",
    "workflow cancel {workflow} --dry-run --format json": "job cancel --workflow {workflow} --dry-run --format json",
    "workflow delete {workflow} --force --yes": "job delete --workflow {workflow} --force --yes",
    "workflow dependencies {root} --format json": "spawn lineage {root} --format json",
    "workflow retry {workflow} --cancelled --yes": "job retry --workflow {workflow} --cancelled --yes",
    "workflow wait {workflow} --timeout 0 --format json": "spawn wait --workflow {workflow} --timeout 0 --format json",
}
OTHERWISE = {
    "archive get-policy": "one object instead of a list",
    "config path": "the file alone, for scripts",
    "config reset": "removes the file instead of all settings",
    "cron next": "the due times of all schedules",
    "job requeue-stale": "tests/commands/spawn/test_wait_why_doctor.py",
    "maintenance cleanup": "an age for each status",
    "maintenance dead-jobs": "asks in other words",
    "queue health": "a report for each queue instead of each check",
    "queue paused": "below",
    "streaming health": "tests/commands/streaming",
}


@pytest.fixture(scope="module")
def filled(
    full_file: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    path, names = full_file
    return Path(shutil.copy(path, tmp_path_factory.mktemp("replaced") / "jobs.db")), names


def test_each_replaced_command_is_compared_with_the_other_one_or_says_why_not() -> None:
    assert {" ".join(line.split()[:2]) for line in SAME} | OTHERWISE.keys() == REPLACED.keys()


def rows(path: Path) -> list[list[Any]]:
    """What a command may have changed, but for the time at which it did."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        jobs = "SELECT id, status, attempts, error_message, dependency_status, batch_id FROM hammerwork_jobs"
        tables = (jobs, "SELECT id, status FROM hammerwork_batches", "SELECT id, status FROM hammerwork_workflows")
        tables += ("SELECT id, enabled FROM hammerwork_webhooks", "SELECT id, enabled FROM hammerwork_streams")
        return [database.execute(f"{table} ORDER BY id").fetchall() for table in tables]


@each_row("old", SAME)
def test_a_replaced_command_and_the_other_one_answer_and_do_the_same(
    run: Run, filled: tuple[Path, dict[str, str]], tmp_path: Path, old: str
) -> None:
    path, names = filled
    done, left = {}, {}
    for line in (old, SAME[old]):
        url = f"sqlite:///{shutil.copy(path, tmp_path / 'jobs.db')}"
        done[line] = run(*line.format(**names).split(), url=url, env=ENVIRONMENT)
        left[line] = rows(tmp_path / "jobs.db")
    one, other = done.values()
    assert one.exit_code not in {2, 3, 5, 70}, one.stderr
    if "monitor" not in old:
        assert (one.exit_code, one.stdout) == (other.exit_code, other.stdout), other.stderr
    assert left[old] == left[SAME[old]]


def test_a_list_of_queues_can_be_that_of_the_paused_ones(run: Run, filled: tuple[Path, dict[str, str]]) -> None:
    url = f"sqlite:///{filled[0]}"
    paused = [row["queue"] for row in run("queue", "paused", "--format", "json", url=url).json]
    listed = run("queue", "list", "--paused", "--format", "json", url=url)
    assert [row["queue"] for row in listed.json] == paused != []
    assert all(row["paused_by"] for row in listed.json)
    shown = run("queue", "list", "--paused", url=url)
    assert "reason" in shown.stdout
    assert "Future queues" not in shown.stderr


def test_a_list_of_paused_queues_tells_a_pause_of_all(run: Run, lite_url: str) -> None:
    assert run("queue", "pause", "--all", "--reason", "repairs", "--yes", url=lite_url).exit_code == 0
    shown = run("queue", "list", "--paused", url=lite_url)
    assert "Future queues are paused, too, with all queues since" in shown.stderr
    assert "repairs" in shown.stderr


def test_health_can_be_that_of_some_queues(run: Run, filled: tuple[Path, dict[str, str]]) -> None:
    url = f"sqlite:///{filled[0]}"

    def about(*words: str) -> dict[str, list[str]]:
        done = run("monitor", "health", "--max-pending", "0", *words, "--format", "json", url=url, env=ENVIRONMENT)
        return {check["check"]: check["about"] for check in json.loads(done.stdout)["checks"]}

    everything = about()
    ours = about("--queue", "mail,segment")
    assert {"pending", "failure_rate"} <= ours.keys() < everything.keys()
    assert "workers" not in ours
    assert {queue for queues in ours.values() for queue in queues} <= {"mail", "segment"}
    assert {queue for name in ours for queue in everything[name]} - {"mail", "segment"}
    for words in (("--only", "workers"), ("--worker", "x"), ("--tables",)):
        assert run("monitor", "health", "--queue", "mail", *words, url=url).exit_code == 2


def test_a_mistake_in_the_options_of_a_retry_reopens_no_workflow(run: Run, lite_url: str) -> None:
    workflow = run("workflow", "create", "--name", "late", url=lite_url).stdout.strip()
    assert run("job", "cancel", "--workflow", workflow, "--yes", url=lite_url).exit_code == 0
    for words in (("--status", "running"), ("--priority", "odd"), (workflow,)):
        refused = run("job", "retry", "--workflow", workflow, "--cancelled", *words, "--yes", url=lite_url)
        assert refused.exit_code in {2, 5}, refused
        assert run("workflow", "show", workflow, "--format", "json", url=lite_url).json["status"] == "cancelled"
    assert run("job", "retry", "--workflow", workflow, "--cancelled", "--yes", url=lite_url).exit_code == 0
    assert run("workflow", "show", workflow, "--format", "json", url=lite_url).json["status"] != "cancelled"


def test_a_batch_or_a_workflow_as_a_whole_is_one(run: Run, filled: tuple[Path, dict[str, str]]) -> None:
    url, names = f"sqlite:///{filled[0]}", filled[1]
    for line in ("job delete --batch {batch},{batch}1", "job cancel --workflow {workflow} --workflow {workflow}1"):
        done = run(*line.format(**names).split(), "--yes", url=url)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Give one batch or workflow." in done.stderr
