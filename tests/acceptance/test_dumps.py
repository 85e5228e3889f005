"""Every reading verb, in every format, on databases that hammerwork (Rust) wrote."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
FAILED = {"Failed", "Dead", "TimedOut"}
NAMES = ("media.postgresql", "media.mariadb", "damaged.mariadb", "stuck-at-010.mariadb")
LISTS = (
    ("spawn", "list", "--limit", "1000"),
    ("spawn", "list", "--detailed", "--queue", "video_ingest", "--status", "completed,dead"),
    ("spawn", "list", "--recent"),
    ("spawn", "list", "--failed", "--limit", "1000"),
    ("spawn", "list", "--failed", "--detailed", "--queue", "video_ingest", "--status", "completed"),
    ("spawn", "list", "--operation", "ingest_000"),
    ("spawn", "pending", "--show-config", "--limit", "1000"),
    ("spawn", "stats", "--detailed"),
    ("spawn", "stats", "--queue", "no such queue"),
)


DAMAGED = pytest.mark.parametrize("name", [pytest.param("damaged.mariadb", marks=pytest.mark.mysql)])
"""For the formats of what was read: every other dump has less that is unusual."""


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.postgres if "postgres" in name else pytest.mark.mysql) for name in NAMES
    ]
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(name: str, shared_restored: Callable[[str], str], run: Run) -> Run:
    """Runs a verb on the dump, a day and a half after it was written."""

    def ask(*words: str) -> Any:
        done = run(*words, url=shared_restored(name), env={"HAMMERWORK_NOW": "2026-11-24T15:00:00Z"})
        assert done.exit_code == 0, done.stderr
        return done

    return ask


@pytest.fixture
def counts(name: str, expected_counts: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return expected_counts(name)


def test_a_tree_of_each_shape_equals_the_independent_count(ask: Run, counts: dict[str, Any]) -> None:
    shapes = {(tree["edges"], tree["depth"], *sorted(tree["statuses"].items())): tree for tree in counts["trees"]}
    for expected in shapes.values():
        tree = ask("spawn", "tree", expected["root"][:8], "--format", "json").json
        statuses: dict[str, int] = {}
        for node in tree["nodes"]:
            # The count knows what is stored.
            stored = {"Cancelled": "Failed", "Retrying": "Pending"}.get(node["status"], node["status"])
            statuses[stored] = statuses.get(stored, 0) + 1
        assert tree["roots"] == [expected["root"]]
        assert not tree["truncated"]
        assert len(tree["nodes"]) == expected["nodes"]
        assert len(tree["edges"]) == expected["edges"]
        assert max(node["depth"] for node in tree["nodes"]) == expected["depth"]
        assert statuses == expected["statuses"]
        assert sum(node["children"] for node in tree["nodes"]) == expected["edges"]


@DAMAGED
def test_a_tree_is_the_same_in_every_form(
    ask: Run, counts: dict[str, Any], parse_mermaid: Callable[[str], Any]
) -> None:
    # The largest of each depth, with failures and without.
    shapes = {
        (tree["depth"], FAILED.isdisjoint(tree["statuses"])): tree["root"]
        for tree in sorted(counts["trees"], key=lambda tree: tree["nodes"])
    }
    assert len(shapes) > 6
    for root in shapes.values():
        nodes = ask("spawn", "tree", root, "--format", "json").json["nodes"]
        lines = ask("spawn", "tree", root, "--format", "jsonl").stdout.splitlines()
        assert [json.loads(line)["id"] for line in lines] == [node["id"] for node in nodes]
        dot = ask("spawn", "tree", root, "--format", "dot").stdout
        assert all(node["id"] in dot for node in nodes)
        assert parse_mermaid(ask("spawn", "tree", root, "--format", "mermaid").stdout).ok
        text = ask("spawn", "tree", root, "--charset", "ascii").stdout
        text.encode("ascii")
        failed = [node for node in nodes if node["status"] in FAILED]
        assert all(node["id"][:8] in text for node in failed)


@DAMAGED
@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_every_list_says_the_same_in_every_format(ask: Run, words: tuple[str, ...]) -> None:
    document = ask(*words, "--format", "json").json
    records = document if isinstance(document, list) else [document]
    assert [json.loads(line) for line in ask(*words, "--format", "jsonl").stdout.splitlines()] == records
    for form, delimiter in (("csv", ","), ("tsv", "\t")):
        table = list(csv.reader(io.StringIO(ask(*words, "--format", form).stdout), delimiter=delimiter))
        assert len(table) == len(records) + 1
        assert all(len(row) == len(table[0]) for row in table)
        if records:
            assert {head.partition(".")[0] for head in table[0]} <= set(records[0])
    text = ask(*words).stdout
    assert "\x1b" not in text
    assert "\x00" not in text


def test_the_operations_are_those_that_were_counted(ask: Run, counts: dict[str, Any]) -> None:
    operations = ask("spawn", "list", "--limit", "1000", "--format", "json").json
    with_children = [operation for operation in operations if operation["children"]["total"]]
    assert len(with_children) == counts["of_them_with_children"]
    figures = ask("spawn", "stats", "--hours", "24", "--format", "json").json
    assert figures["operations"] == counts["of_them_with_children"]
    assert figures["children"] == sum(operation["children"]["total"] for operation in operations)


def test_failures_anywhere_below_an_operation_are_those_of_its_tree(
    ask: Run, counts: dict[str, Any], name: str
) -> None:
    listed = ask("spawn", "list", "--failed", "--limit", "1000", "--format", "json").json
    found = {operation["parent_id"]: operation for operation in listed}
    every = {one["parent_id"] for one in ask("spawn", "list", "--limit", "1000", "--format", "json").json}
    assert found.keys() <= every
    broken = 0
    for tree in (tree for tree in counts["trees"] if tree["root"] in every):
        failed = sum(tree["statuses"].get(status, 0) for status in FAILED)
        operation = found.get(tree["root"])
        assert (operation is not None) == bool(failed), tree
        if operation:
            assert operation["failed_below"] + (operation["status"] in FAILED) == failed
            broken += operation["children"]["failed"] < operation["failed_below"]
    assert broken or "media" not in name  # in the others, no failure is hidden on a lower level
    assert not any(operation["more_failed_below"] for operation in listed)


def test_lineage_of_the_deepest_job_leads_to_its_root(ask: Run, counts: dict[str, Any], name: str) -> None:
    deepest = max(counts["trees"], key=lambda tree: tree["depth"])
    nodes = ask("spawn", "tree", deepest["root"], "--format", "json").json["nodes"]
    last = max(nodes, key=lambda node: node["depth"])
    lineage = ask("spawn", "lineage", last["id"], "--ancestors", "--depth", "50", "--format", "json").json
    assert len(lineage["ancestors"]) >= deepest["depth"]
    assert deepest["root"] in {ancestor["id"] for ancestor in lineage["ancestors"]}
    for form in ("table", "jsonl", "csv", "tsv") if name == "damaged.mariadb" else ():
        assert deepest["root"][:8] in ask("spawn", "lineage", last["id"], "--depth", "50", "--format", form).stdout
