"""Instants that no calendar of Python's holds: PostgreSQL's infinity and far centuries, SQLite's any text."""

from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli.database import connect
from tests.rows import START, Rows

Run = Callable[..., Any]
TIMES = ("created_at", "scheduled_at", "started_at", "completed_at", "failed_at")
STORED = {
    "postgres": ("infinity", "-infinity", "20000-01-01 00:00:00+00", "0044-03-15 00:00:00+00 BC"),
    "sqlite": ("infinity", "", "yesterday", "20000-01-01T00:00:00.000000Z"),
}
READING = (
    "spawn list",
    "spawn list --detailed --since 36500d",
    "spawn tree {root}",
    "spawn tree {child} --full",
    "spawn tree {root} --format mermaid",
    "spawn tree {root} --format dot",
    "spawn stats --hours 100000 --detailed",
    "spawn lineage {child}",
    "spawn pending",
    "spawn why {root}",
    "spawn wait {root} --timeout 0.1s",
    "spawn doctor --older-than 1h",
    "spawn monitor --count 1",
    "job list --limit 1000",
    "job list --since 36500d",
    "job show {root}",
    "job show {child}",
    "queue list",
    "queue stats --hours 100000 --detailed",
    "queue health",
)
WITH_JSON = {command for command in READING if "--format" not in command and "monitor" not in command}


@pytest.mark.parametrize(
    ("dialect", "stored"),
    [
        pytest.param(dialect, stored, marks=getattr(pytest.mark, dialect), id=f"{dialect}-{stored or 'empty'}")
        for dialect, values in STORED.items()
        for stored in values
    ],
)
def test_times_that_cannot_be_read_hide_nothing(
    run: Run, new_database: Callable[..., str], dialect: str, stored: str
) -> None:
    url = new_database(dialect, migrated=True)
    database = connect(url)
    rows = Rows(database)
    ended = {"started_at": START, "completed_at": START}
    root = rows.job(spawns=True, **ended)
    children = [rows.job(root, **{**ended, time: stored}) for time in TIMES for _ in range(2)]
    children += [rows.job(root, **dict.fromkeys(TIMES, stored)), rows.job(root, **ended)]
    lost = rows.job(spawns=True, **dict.fromkeys(TIMES, stored))
    waits = rows.job(lost, status="Pending", dependency_status="waiting", scheduled_at=stored)
    runs = rows.job(lost, status="Running", started_at=stored)
    fails = rows.job(lost, status="Failed", failed_at=stored, error_message="broken")
    database.close()
    for command in READING:
        for job in (root, lost):
            below = fails if job == lost else children[4]
            if job == lost and "{" not in command:
                continue  # it was asked before
            words = command.format(root=job, child=below).split()
            forms: list[list[str]] = [["--format", "json"]] if command in WITH_JSON else [[]]
            if command in WITH_JSON and stored == STORED[dialect][0]:  # whatever stands there, tables show nothing
                forms.append([])
            for form in forms:
                done = run(*words, *form, url=url)
                assert done.exit_code in {0, 1, 124}, (words, done.stderr)
                assert "bug" not in done.stderr
    whole = run("spawn", "tree", root, "--format", "json", url=url).json
    assert {node["id"] for node in whole["nodes"]} == {root, *children}
    rest = run("spawn", "tree", fails, "--format", "json", url=url).json
    assert {node["id"] for node in rest["nodes"]} == {lost, waits, runs, fails}
    assert all(node["created_at"] is None for node in rest["nodes"] if node["id"] == lost)
    listed = run("spawn", "list", "--format", "json", url=url).json
    assert {row["parent_id"]: row["children"]["total"] for row in listed} == {root: 12, lost: 3}
    jobs = run("job", "list", "--limit", "1000", "--format", "json", url=url).json
    assert len(jobs) == 17
    figures = run("spawn", "stats", "--hours", "100000", "--format", "json", url=url).json
    assert figures["p50_seconds"] is not None
