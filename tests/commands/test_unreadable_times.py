"""Instants that no calendar of Python's holds: PostgreSQL's infinity and far centuries, SQLite's any text."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

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
OF_ONE = ("spawn tree {child} --full", "spawn lineage {child}", "spawn why {root}", "job show {child}")
"""Of the first time of a database, all commands are asked; of the others, those that read one job in their own way."""
WITH_JSON = {command for command in READING if "--format" not in command and "monitor" not in command}


class Trees(NamedTuple):
    """Two trees with such a time: below ``root``, each time of a job is one; all of ``lost`` are."""

    stored: str
    root: str
    children: list[str]
    lost: str
    below: list[str]

    @classmethod
    def made(cls, rows: Rows, stored: str) -> Self:
        ended = {"started_at": START, "completed_at": START}
        root = rows.job(spawns=True, **ended)
        children = [rows.job(root, **{**ended, time: stored}) for time in TIMES for _ in range(2)]
        children += [rows.job(root, **dict.fromkeys(TIMES, stored)), rows.job(root, **ended)]
        lost = rows.job(spawns=True, **dict.fromkeys(TIMES, stored))
        waits = rows.job(lost, status="Pending", dependency_status="waiting", scheduled_at=stored)
        runs = rows.job(lost, status="Running", started_at=stored)
        fails = rows.job(lost, status="Failed", failed_at=stored, error_message="broken")
        return cls(stored, root, children, lost, [waits, runs, fails])

    def commands(self, *, others: bool) -> Iterator[tuple[str, bool]]:
        """Commands about these jobs, and those about all jobs; whether each has JSON."""
        for command in READING:
            if others or command in OF_ONE:
                yield command.format(root=self.root, child=self.children[4]), command in WITH_JSON
            if "{" in command and (others or command in OF_ONE):
                yield command.format(root=self.lost, child=self.below[-1]), command in WITH_JSON


@pytest.mark.parametrize("dialect", [pytest.param(dialect, marks=getattr(pytest.mark, dialect)) for dialect in STORED])
def test_times_that_cannot_be_read_hide_nothing(run: Run, new_database: Callable[..., str], dialect: str) -> None:
    url = new_database(dialect, migrated=True)
    with contextlib.closing(connect(url)) as database:
        found = [Trees.made(Rows(database), stored) for stored in STORED[dialect]]
    for trees in found:
        is_first = trees is found[0]
        for command, has_json in trees.commands(others=is_first):
            forms: list[list[str]] = [["--format", "json"]] if has_json else [[]]
            if has_json and is_first:  # whatever stands there, tables show nothing
                forms.append([])
            for form in forms:
                done = run(*command.split(), *form, url=url)
                assert done.exit_code in {0, 1, 124}, (trees.stored, command, done.stderr)
                assert "bug" not in done.stderr
        whole = run("spawn", "tree", trees.root, "--format", "json", url=url).json
        assert {node["id"] for node in whole["nodes"]} == {trees.root, *trees.children}
        rest = run("spawn", "tree", trees.below[-1], "--format", "json", url=url).json
        assert {node["id"] for node in rest["nodes"]} == {trees.lost, *trees.below}
        assert all(node["created_at"] is None for node in rest["nodes"] if node["id"] == trees.lost)
    listed = run("spawn", "list", "--format", "json", url=url).json
    totals = {row["parent_id"]: row["children"]["total"] for row in listed}
    assert totals == {trees.root: 12 for trees in found} | {trees.lost: 3 for trees in found}
    jobs = run("job", "list", "--limit", "1000", "--format", "json", url=url).json
    assert len(jobs) == 17 * len(found)
    figures = run("spawn", "stats", "--hours", "100000", "--format", "json", url=url).json
    assert figures["p50_seconds"] is not None
