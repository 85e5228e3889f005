"""Trees are read whole, whatever the rows look like."""

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.spawn.models.doctor import Damage
from hammerwork_cli.features.spawn.queries import operations
from hammerwork_cli.features.spawn.queries import pending as pending_queries
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from hammerwork_cli.features.spawn.queries.annotations import annotations
from hammerwork_cli.features.spawn.queries.doctor import Doctor
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.spawn_tree import Annotations
from tests.conftest import one_case_on_servers
from tests.database.conftest import current_only, params, readable_on_sqlite
from tests.rows import START, Rows


def test_every_member_leads_to_the_same_whole_tree(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True)
    encodes = [rows.job(root, spawns=True) for _ in range(3)]
    segments = [rows.job(encode, status=status) for encode in encodes for status in ("Completed", "Dead")]
    for member in (root, encodes[1], segments[3]):
        tree = tree_queries.tree(readable, member)
        assert tree.roots == (root,)
        assert tree.target == member
        assert list(tree.nodes) == [root, *encodes, *segments]
        assert tree.children[encodes[1]] == segments[2:4]
        assert tree.counts.by_status == {"Completed": 7, "Dead": 3}
        assert not tree.truncated


@pytest.mark.parametrize("readable", params("postgres"), indirect=True)
def test_who_may_not_read_the_workers_reads_trees_in_which_nothing_runs(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True)
    child = rows.job(root)
    reader = f"reader_{uuid4().hex}"
    readable.script(f"CREATE ROLE {reader}")
    try:
        readable.script(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
        readable.script(f"REVOKE ALL ON hammerwork_workers FROM {reader}")
        readable.script(f"SET ROLE {reader}")
        assert set(tree_queries.tree(readable, child).nodes) == {root, child}
        assert [one.parent.id for one in operations.operations(readable, limit=9)] == [root]
    finally:
        readable.script("RESET ROLE")
        readable.script(f"DROP OWNED BY {reader}")
        readable.script(f"DROP ROLE {reader}")


@readable_on_sqlite
def test_a_job_that_a_limit_left_out_has_the_depth_of_its_shortest_path(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True)
    child = rows.job(root)
    rows.job(child)
    grandchild = rows.job(child)
    target = rows.job(child, grandchild)
    tree = tree_queries.tree(readable, target, max_jobs=4)
    assert tree.depths[grandchild] == tree.depths[target] == 2


@readable_on_sqlite
def test_only_the_part_below_a_job_when_asked(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True)
    child, sibling = rows.job(root), rows.job(root)
    grandchild = rows.job(child)
    tree = tree_queries.tree(readable, child, whole=False)
    assert set(tree.nodes) == {child, grandchild}
    assert sibling not in tree.nodes


def test_a_job_with_two_parents_comes_once_after_both(readable: Database, rows: Rows) -> None:
    left, right = rows.job(), rows.job()
    middle = rows.job(right)
    join = rows.job(left, middle)
    for member in (left, right, join):
        tree = tree_queries.tree(readable, member)
        assert set(tree.nodes) >= {member, join}
        order = list(tree.nodes)
        assert order.count(join) == 1
        assert all(order.index(parent) < order.index(join) for parent in (left, middle) if parent in tree.nodes)
    assert set(tree_queries.tree(readable, join).roots) == {left, right}
    assert join in tree_queries.tree(readable, right).children[middle]


@readable_on_sqlite
def test_a_job_near_the_root_comes_after_a_parent_that_is_far_from_it(readable: Database, rows: Rows) -> None:
    top = rows.job()
    near, far = rows.job(top), rows.job(top)
    for _ in range(3):
        far = rows.job(far)
    join = rows.job(near, far)
    assert list(tree_queries.tree(readable, top).nodes)[-2:] == [far, join]


@readable_on_sqlite
def test_children_come_in_the_order_of_their_creation_whatever_else_they_depend_on(
    readable: Database, rows: Rows
) -> None:
    left, right = rows.job(), rows.job()
    children = [rows.job(*parents) for parents in ((left,), (left, right), (left,), (right, left), (left,))]
    assert tree_queries.tree(readable, children[1]).children == {left: children, right: [children[1], children[3]]}


def test_cycles_end(readable: Database, rows: Rows) -> None:
    one, other, tail = str(uuid4()), str(uuid4()), str(uuid4())
    rows.job(other, id=one)
    rows.job(one, id=other)
    rows.job(other, id=tail)
    itself = str(uuid4())
    rows.job(itself, id=itself)
    tree = tree_queries.tree(readable, tail)
    assert tree.roots == (one,)
    assert set(tree.nodes) == {one, other, tail}
    limited = tree_queries.tree(readable, tail, max_jobs=10)
    assert (limited.depths, limited.truncated) == (tree.depths, False)
    assert set(tree_queries.tree(readable, itself).nodes) == {itself}


@readable_on_sqlite
def test_a_missing_parent_is_named_and_hides_nobody(readable: Database, rows: Rows) -> None:
    gone = str(uuid4())
    orphan = rows.job(gone)
    child = rows.job(orphan)
    other_gone = str(uuid4())
    rows.job(orphan, other_gone)
    tree = tree_queries.tree(readable, child)
    assert tree.roots == (orphan,)
    assert len(tree.nodes) == 3
    assert tree.missing == {gone, other_gone}


def test_damaged_statuses_read_as_what_they_mean_and_unknown_ones_are_kept(readable: Database, rows: Rows) -> None:
    root = rows.job()
    meant = dict.fromkeys(('"Pending"', "pending", '"pending"', "PENDING"), "Pending")
    meant["Paused by <b>hand</b>"] = "Paused by <b>hand</b>"
    jobs = {stored: rows.job(root, status=stored) for stored in meant}
    nodes = tree_queries.tree(readable, root).nodes
    assert {stored: nodes[job].status for stored, job in jobs.items()} == meant


def test_rows_with_nothing_where_nothing_is_allowed_are_read(readable: Database, rows: Rows) -> None:
    parent = rows.job(depends_on=None, dependents=None, dependency_status=None, result_storage_type=None)
    child = rows.job(parent)
    tree = tree_queries.tree(readable, child)
    assert tree.roots == (parent,)
    assert tree.nodes[parent].depends_on == ()


CONFIGURATIONS: list[tuple[object, str | None]] = [
    ({"handler": "h", "max_spawn_count": 15, "operation_id": "op", "spawn_delay_ms": 200}, "op"),
    (
        {
            "max_spawn_count": 9,
            "inherit_priority": True,
            "inherit_retry_strategy": True,
            "inherit_timeout": False,
            "inherit_trace_context": True,
            "operation_id": None,
        },
        None,
    ),
    ("not an object", None),
    ([1, 2], None),
    (3, None),
    ({"operation_id": 12, "max_spawn_count": "many", "inherit_priority": "yes"}, None),
]


def test_every_form_of_configuration_is_seen_and_payloads_without_one_have_none(readable: Database, rows: Rows) -> None:
    payloads: list[object] = [[1, 2], 7, "text", None, True, [{"_spawn_config": {}}]]
    root = rows.job(
        payload={"encrypted": True},
        is_encrypted=True,
        encryption_key_id="k1",
        encryption_algorithm="AES256GCM",
        encrypted_payload=b"\x00\xff\x1b",
        encryption_nonce=b"\x00",
        encryption_tag=b"\x01",
    )
    without = [root, *(rows.job(root, payload=payload) for payload in payloads)]
    null = rows.job(root, payload={"_spawn_config": None})
    jobs = [(stored, operation, rows.job(root, spawns=stored)) for stored, operation in CONFIGURATIONS]
    nodes = tree_queries.tree(readable, null).nodes
    assert len(nodes) == len(without) + 1 + len(jobs)
    assert [job for job in without if nodes[job].has_spawn_config] == []
    assert nodes[null].has_spawn_config
    for stored, operation, job in jobs:
        node = nodes[job]
        assert (node.has_spawn_config, node.operation_id) == (True, operation), stored
        assert node.spawn_config == (stored if isinstance(stored, dict) else None)


def stored_ids(database: Database, *ids: str) -> str:
    return "{" + ",".join(ids) + "}" if database.dialect == "postgresql" else json.dumps(ids)


def archive(rows: Rows, *parents: str, spawns: bool = False, **columns: object) -> str:
    payload = {"_spawn_config": {"operation_id": "archived"}} if spawns else {"plain": 1}
    packed = gzip.compress(json.dumps(payload).encode())
    job = str(uuid4())
    database = rows.database
    row = {
        "id": job,
        "queue_name": "work",
        "payload": packed,
        "status": "Completed",
        "priority": "normal",
        "created_at": START,
        "scheduled_at": START,
        "archived_at": START,
        "depends_on": stored_ids(database, *parents),
        **columns,
    }
    rows.insert("hammerwork_jobs_archive", row)
    return job


def test_a_tree_goes_on_through_jobs_that_are_only_in_the_archive(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True)
    archived = archive(rows, root, spawns=True)
    archive(rows, str(uuid4()))  # of another tree
    leaf = rows.job(archived)
    for member in (root, archived, leaf):
        tree = tree_queries.tree(readable, member)
        assert tree.roots == (root,)
        assert list(tree.nodes) == [root, archived, leaf]
    node = tree.nodes[archived]
    assert node.archived_at is not None
    assert node.operation_id == "archived"
    assert tree.missing == frozenset()


def test_a_job_in_both_tables_comes_once(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True, archived_at=START)
    archive(rows, id=root)
    child = rows.job(root)
    archive(rows, root, id=child)
    assert list(tree_queries.tree(readable, root).nodes) == [root, child]


def test_children_that_are_only_in_the_archive_are_counted_where_a_limit_cuts_them(
    readable: Database, rows: Rows
) -> None:
    root = rows.job(spawns=True)
    archived = [archive(rows, root) for _ in range(3)]
    archive(rows, id=rows.job(root), depends_on=stored_ids(readable, root))
    below = rows.job(archived[0])
    for limit in ({"depth": 0}, {"max_jobs": 1}):
        tree = tree_queries.tree(readable, root, **limit)
        assert tree.truncated
        assert tree.child_total(root) == 4
    tree = tree_queries.tree(readable, root)
    assert len(tree.nodes) == 6
    assert below in tree.nodes
    assert not tree.truncated


def test_a_parent_of_archived_children_has_spawned(readable: Database, rows: Rows) -> None:
    root = rows.job(spawns=True)
    archive(rows, root)
    archive(rows, root, status="Dead", failed_at=START)
    (operation,) = operations.operations(readable, limit=10)
    assert operation.children.by_status == {"Completed": 1, "Dead": 1}
    stats = stats_queries.stats(readable, since=START, recent=START)
    assert (stats.overall.operations, stats.overall.children, stats.empty) == (1, 2, 0)
    assert pending_queries.pending(readable, limit=10) == []
    assert Damage.NEVER_SPAWNED not in {finding.kind for finding in Doctor(readable, now=START).examine()}


@readable_on_sqlite
def test_a_chain_of_a_thousand_is_read_from_either_end(readable: Database, rows: Rows) -> None:
    # A statement a level, the same on every one, which may read the whole table.
    levels = 1000 if readable.dialect == "sqlite" and readable.is_current else 100
    with rows.at_once():
        chain = [rows.job()]
        for _ in range(levels):
            chain.append(rows.job(chain[-1]))
    tree = tree_queries.tree(readable, chain[-1])
    assert list(tree.nodes) == chain
    assert tree.depths[chain[-1]] == levels


@readable_on_sqlite
def test_a_depth_limit_counts_what_it_cuts(readable: Database, rows: Rows) -> None:
    root = rows.job()
    child = rows.job(root)
    for status in ("Completed", "Completed", "Dead"):
        rows.job(child, status=status)
    tree = tree_queries.tree(readable, root, depth=1)
    assert list(tree.nodes) == [root, child]
    assert tree.truncated
    assert tree.child_counts[child].by_status == {"Completed": 2, "Dead": 1}
    assert tree.child_total(child) == 3
    assert not tree_queries.tree(readable, root, depth=2).truncated


def test_a_limit_of_jobs_keeps_the_failures_and_counts_the_rest(readable: Database, rows: Rows) -> None:
    root = rows.job()
    for _ in range(30):
        rows.job(root)
    failed = [rows.job(root, status=status) for status in ("Failed", '"Dead"', "timedout")]
    tree = tree_queries.tree(readable, root, max_jobs=10)
    assert len(tree.nodes) == 10
    assert set(failed) < set(tree.nodes)
    assert tree.unread == {*tree.nodes} - {root}
    assert tree.child_total(root) == 33
    assert tree.child_counts[root].failed == 3


@readable_on_sqlite
def test_lineage_goes_up_to_every_root_and_down(readable: Database, rows: Rows) -> None:
    grandparents = [rows.job(), rows.job()]
    parent = rows.job(*grandparents)
    job = rows.job(parent)
    child = rows.job(job)
    lineage = tree_queries.lineage(readable, job, ancestors=True, descendants=True, depth=10)
    assert lineage.ancestors is not None
    assert [(distance, node.id) for distance, node in lineage.ancestors] == [
        (2, grandparents[0]),
        (2, grandparents[1]),
        (1, parent),
    ]
    assert lineage.descendants is not None
    assert list(lineage.descendants.nodes) == [job, child]
    short = tree_queries.lineage(readable, job, ancestors=True, descendants=False, depth=1)
    assert short.truncated
    assert [node.id for _, node in short.ancestors or ()] == [parent]
    few = tree_queries.lineage(readable, job, ancestors=True, descendants=False, depth=9, max_jobs=2)
    assert few.truncated
    assert [node.id for _, node in few.ancestors or ()] == [parent]


@readable_on_sqlite
def test_an_unknown_job_is_not_found(readable: Database) -> None:
    with pytest.raises(NotFoundError):
        tree_queries.tree(readable, str(uuid4()))


@current_only
def test_a_tree_is_read_as_of_one_moment(readable: Database, rows: Rows) -> None:
    root = rows.job()
    child = rows.job(root)
    other = connect(readable.url)
    with readable.snapshot():
        assert len(tree_queries.tree(readable, root).nodes) == 2
        Rows(other).job(child)
        assert len(tree_queries.tree(readable, root).nodes) == 2
    other.close()
    assert len(tree_queries.tree(readable, root).nodes) == 3


def test_parents_in_capitals_are_the_same_jobs(readable: Database, rows: Rows, run: Callable[..., Any]) -> None:
    root, other = rows.job(spawns=True), rows.job()
    child = rows.job(depends_on=rows.ids([root.upper()]))
    join = rows.job(depends_on=rows.ids([other.upper(), root.upper()]))
    leaf = rows.job(child)
    url = readable.url.raw
    for job in (root, child, leaf, join):
        drawn = run("spawn", "tree", job, "--format", "json", url=url).json
        assert {node["id"] for node in drawn["nodes"]} == {root, child, leaf, join} | (
            {other} if job == join else set()
        )
        assert [edge["from"] for edge in drawn["edges"] if edge["to"] == child] == [root]
        if readable.dialect == "sqlite":  # the same tree as text
            assert f"{job[:8]} ◀ this job" in run("spawn", "tree", job, "--full", url=url).stdout
    above = run("spawn", "lineage", leaf, "--ancestors", "--format", "json", url=url).json["ancestors"]
    assert [ancestor["id"] for ancestor in above] == [root, child]
    assert run("spawn", "list", "--format", "json", url=url).json[0]["children"]["total"] == 2
    assert run("job", "show", root, "--format", "json", url=url).json["children"]["total"] == 2


LIMITS = [
    ("--max-nodes", "3"),
    ("--max-nodes", "1", "--status", "failed"),
    ("--depth", "0"),
    ("--depth", "1", "--max-children", "2"),
]


@one_case_on_servers
@pytest.mark.parametrize("limits", LIMITS, ids=" ".join)
def test_no_limit_hides_the_job_that_was_asked_for(
    database: Database, run: Callable[..., Any], limits: tuple[str, ...]
) -> None:
    rows = Rows(database)
    with rows.at_once():
        root = rows.job(spawns=True)
        children = [rows.job(root) for _ in range(600)]
        middle = rows.job(children[590])
        target = rows.job(middle)
        rows.job(target)
    url = database.url.raw
    for form in ("json", *(("jsonl", "dot", "mermaid", "text") if database.dialect == "sqlite" else ())):
        drawn = run("spawn", "tree", target, "--format", form, *limits, url=url)
        assert drawn.exit_code == 0, drawn.stderr
        assert target[:8] in drawn.stdout
    found = run("spawn", "tree", target, "--format", "json", *limits, url=url).json
    way = [root, children[590], middle, target]
    assert found["truncated"]
    assert [node["depth"] for node in found["nodes"] if node["id"] in way] == [0, 1, 2, 3]
    assert {(edge["from"], edge["to"]) for edge in found["edges"]} >= set(pairwise(way))
    children_of = {node["id"]: node["children"] for node in found["nodes"]}
    assert (children_of[root], children_of[target]) == (600, 1)


def test_the_reason_why_a_job_cannot_start_is_marked(readable: Database, rows: Rows) -> None:
    root = rows.job()
    running = rows.job(root, status="Running")
    stuck = rows.job(root, status="Pending", dependency_status="waiting")
    rows.job(running, status="Pending", dependency_status="waiting")
    rows.job(root, status="Pending")
    late = rows.job(root, status="Pending", scheduled_at=START + timedelta(days=1))
    found = annotations(readable, tree_queries.tree(readable, root), START + timedelta(hours=1))
    assert found == Annotations(frozenset({stuck}), {late: START + timedelta(days=1)})


@readable_on_sqlite
def test_a_tree_in_which_very_much_waits_is_not_asked_about_again(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = rows.job()
    for _ in range(3):
        rows.job(root, status="Pending", scheduled_at=START + timedelta(days=1))
    tree = tree_queries.tree(readable, root)
    for most, statements in ((3, 1), (2, 0)):
        monkeypatch.setattr("hammerwork_cli.features.spawn.queries.annotations.ANNOTATED", most)
        before = readable.executed
        assert len(annotations(readable, tree, START).due) == 3 * statements
        assert readable.executed - before == statements
