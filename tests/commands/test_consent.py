"""Whoever is asked may say no: until the answer, a command has changed nothing. And how a change ends without a job."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import connect
from tests.commands.test_contract import ENVIRONMENT, LEAVES, NOW
from tests.conftest import each_row
from tests.rows import Rows

Run = Callable[..., Any]
OTHER, EMPTIED = "00000000-0000-4000-8000-0000000c0de5", "00000000-0000-4000-8000-0000000c0de6"
"""A cancelled workflow with a cancelled job, and one without any."""

ASKED = {
    "archive purge": ["--older-than 1s"],
    "archive remove-policy": ["--queue segment"],
    "archive restore": ["{archived} --tree --run-again"],
    "archive run": ["--older-than 1s --no-tree"],
    "archive set-policy": ["--all --older-than 1d --purge-after 1d"],
    "backup copy": ["--to {target} --force"],
    "backup restore": ["-i {backup} -u {target}"],
    "batch cancel": ["{batch}"],
    "batch delete": ["{batch} --force"],
    "batch retry": ["{batch}"],
    "config reset": [""],
    "cron apply": ["{schedules} --source files --prune"],
    "cron backfill": ["{schedule} --since 30d"],
    "cron delete": ["{schedule}", "{recurring}"],
    "cron disable": ["--all"],
    "cron enable": ["--all"],
    "job cancel": ["--all", "--workflow {workflow}", "--workflow {emptied} --force", "{lonely} --tree"],
    "job delete": ["--all", "{done}", "--batch {batch}", "--workflow {workflow} --force"],
    "job purge": ["--all", "--all --tree"],
    "job requeue-stale": ["--older-than-secs 1"],
    "job retry": [
        "--all",
        "{root} --tree",
        "--workflow {emptied},{other} --cancelled",
        "--batch {batch} --cancelled",
    ],
    "maintenance check": ["--fix"],
    "maintenance cleanup": ["--keep-completed-days 0 --by job"],
    "maintenance dead-jobs": ["--stale-hours 0"],
    "maintenance purge-encrypted": [""],
    "maintenance reindex": [],  # asks on MySQL alone
    "maintenance vacuum": ["--force", "--keep-completed-days 0"],
    "migration run": ["--drop"],
    "queue clear": ["segment"],
    "queue pause": ["--all"],
    "queue resume": ["--all"],
    "spawn doctor": ["--fix --older-than 1m"],
    "streaming remove": ["{stream}"],
    "streaming replay": ["{stream} --since 1000h"],
    "webhook remove": ["{webhook}"],
    "webhook replay": ["{webhook} --since 1000h --all"],
    "worker restart": ["--all"],
    "worker stop": ["--all"],
    "workflow cancel": ["{workflow}"],
    "workflow delete": ["{workflow} --force"],
    "workflow retry": ["{workflow}", "{other} --cancelled"],
}
"""Verb -> lines that ask."""


@pytest.fixture(scope="module")
def filled(
    full_file: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("consent") / "jobs.db"
    shutil.copy(full_file[0], path)
    with contextlib.closing(connect(f"sqlite:///{path}")) as database:
        rows = Rows(database)
        for workflow in (OTHER, EMPTIED):
            facts = {"id": workflow, "name": "late", "status": "cancelled", "failure_policy": "manual"}
            rows.insert("hammerwork_workflows", {**facts, "created_at": NOW, "total_jobs": 0})
        rows.job(queue="mail", status="Cancelled", workflow_id=OTHER)
        rows.job(queue="mail", status="Completed", completed_at=NOW - timedelta(days=90))
        gone = {"retention_delete_at": NOW - timedelta(days=1), "completed_at": NOW - timedelta(days=2)}
        sealed: dict[str, Any] = dict.fromkeys(("encryption_nonce", "encryption_tag", "encrypted_payload"), b"x")
        sealed["encryption_key_id"] = "main"
        rows.job(queue="mail", status="Completed", is_encrypted=True, **gone, **sealed)
    return path, full_file[1] | {"other": OTHER, "emptied": EMPTIED}


def test_every_command_that_asks_is_asked() -> None:
    asks = {path for path, leaf in LEAVES.items() if any("--yes" in param.opts for param in leaf.params)}
    assert asks == ASKED.keys()


def everything(*files: Path) -> Iterator[bytes]:
    """What files hold: of a database all pages, which change with a transaction even if the rows do not."""
    for file in files:
        if file.suffix == ".db":
            with contextlib.closing(sqlite3.connect(file)) as database:
                yield database.serialize()
        else:
            yield file.read_bytes()


@pytest.fixture
def files(filled: tuple[Path, dict[str, str]], empty_file: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Copies of both databases, and the configuration."""
    (config := tmp_path / "home" / ".config" / "hammerwork" / "config.toml").parent.mkdir(parents=True)
    config.write_text('default_queue = "mail"\n')
    jobs, target = tmp_path / "jobs.db", tmp_path / "target.db"
    shutil.copy(filled[0], jobs)
    shutil.copy(empty_file, target)
    return jobs, target, config


@each_row(("path", "line"), [(path, line) for path, lines in ASKED.items() for line in lines])
def test_nothing_has_changed_before_the_answer(
    run: Run,
    filled: tuple[Path, dict[str, str]],
    files: tuple[Path, Path, Path],
    tmp_path: Path,
    path: str,
    line: str,
) -> None:
    jobs, target, _ = files
    url = f"sqlite:///{jobs}"
    (schedules := tmp_path / "schedules.toml").write_text('[one]\nevery = "1h"\n[two]\nevery = "1h"\n')
    beside = {"target": f"sqlite:///{target}", "schedules": str(schedules), "backup": str(tmp_path / "b.jsonl")}
    names = filled[1] | beside
    if path == "cron apply":
        assert run("cron", "apply", str(schedules), "--source", "files", url=url, env=ENVIRONMENT).exit_code == 0
        schedules.write_text('[one]\nevery = "2h"\n')
    if path == "cron enable":
        assert run("cron", "disable", names["schedule"], url=url, env=ENVIRONMENT).exit_code == 0
    if path == "backup restore":
        assert run("backup", "create", "-o", names["backup"], url=url, env=ENVIRONMENT).exit_code == 0
    if path in {"worker stop", "worker restart"}:
        with contextlib.closing(connect(url)) as database:
            rows = Rows(database)
            now = rows.adapted(database.now())
            rows.run("UPDATE hammerwork_workers SET heartbeat_at = ?, ended_at = NULL, state = 'running'", [now])
    before = [*everything(*files)]
    asked = run(*path.split(), *line.format(**names).split(), *([] if "-u" in line else ["-u", url]), env=ENVIRONMENT)
    assert (asked.exit_code, "Confirmation required" in asked.stderr) == (2, True), asked
    assert [*everything(*files)] == before


@pytest.fixture(scope="module")
def idle(empty_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Running job in a batch and a workflow, and jobs that others wait for."""
    path = tmp_path_factory.mktemp("idle") / "jobs.db"
    shutil.copy(empty_file, path)
    with contextlib.closing(connect(f"sqlite:///{path}")) as database:
        rows = Rows(database)
        facts = {"id": OTHER, "created_at": NOW, "total_jobs": 1}
        rows.insert("hammerwork_workflows", {**facts, "name": "a", "status": "running", "failure_policy": "manual"})
        facts |= {"batch_name": "a", "status": '"Pending"', "failure_mode": '"ContinueOnError"'}
        rows.insert("hammerwork_batches", facts)
        rows.job(queue="run", status="Running", started_at=NOW, batch_id=OTHER, workflow_id=OTHER)
        held = rows.job(queue="held", status="Completed", completed_at=NOW - timedelta(days=90))
        rows.job(held, queue="other", status="Pending", dependency_status="waiting")
    return path


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        (0, ["job delete --queue none", "queue clear none"]),
        (0, ["job retry --queue run", "job cancel --queue run", "job purge --all --queue run", "archive run -q run"]),
        (
            0,
            [
                "job retry --all",
                "job cancel --queue held",
                "job delete --status dead",
                "queue clear run --pending-only",
            ],
        ),
        (0, ["job retry --batch {it}", "batch retry {it}", "job retry --workflow {it}", "workflow retry {it}"]),
        (1, ["job delete --queue run", "queue clear run", "job delete --batch {it}", "batch delete {it}"]),
        (1, ["job delete --workflow {it}", "workflow delete {it}", "job cancel --batch {it}", "batch cancel {it}"]),
        (1, ["job delete --queue held", "queue clear held"]),
        (0, ["job purge --all --queue held", "job purge --all --tree --queue held", "maintenance cleanup --by job"]),
        (0, ["archive run -q held", "archive run -q held --no-tree", "archive purge --older-than 1d"]),
        (0, ["worker stop --all", "worker restart --all", "cron enable --all", "cron disable --all"]),
        (0, ["queue resume --all", "spawn doctor --fix", "job requeue-stale --queue none"]),
        (0, ["maintenance purge-encrypted", "maintenance dead-jobs"]),
    ],
)
def test_a_selection_without_a_job_is_success_and_a_job_that_is_skipped_is_not(
    run: Run, idle: Path, tmp_path: Path, code: int, lines: list[str]
) -> None:
    ends = {}
    for line in lines:
        url = f"sqlite:///{shutil.copy(idle, tmp_path / 'jobs.db')}"
        ends[line] = run(*line.format(it=OTHER).split(), "--yes", url=url, env={"HAMMERWORK_NOW": NOW.isoformat()})
    assert {line: done.exit_code for line, done in ends.items()} == dict.fromkeys(lines, code), ends
