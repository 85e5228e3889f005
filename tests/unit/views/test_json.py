import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.spawn.models.stats import SpawnGroup, SpawnStats
from hammerwork_cli.features.spawn.views import records, stats_records
from hammerwork_cli.features.tree.spawn_tree import Lineage, SpawnTree
from hammerwork_cli.features.tree.views import json as json_views
from hammerwork_cli.features.tree.views import lineage as lineage_views
from hammerwork_cli.features.tree.views import spawns
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat, picture
from hammerwork_cli.view import json as render
from hammerwork_cli.view.delimited import delimited
from tests.conftest import each_row
from tests.unit.views import trees
from tests.unit.views.trees import START, Growing, stored, uuid


def read(tree: SpawnTree) -> dict[str, list[dict[str, object]]]:
    text = "".join(json_views.tree_document(tree))
    assert text.isascii()
    assert text.endswith("}\n")
    document: dict[str, list[dict[str, object]]] = json.loads(text, parse_constant=pytest.fail)
    return document


@pytest.mark.parametrize(
    "make",
    [trees.video, trees.diamond, trees.hostile, lambda: trees.chain(1000), lambda: trees.tangle(3)],
    ids=["video", "diamond", "hostile", "chain", "tangle"],
)
def test_the_fast_way_says_what_the_records_say(make: Callable[[], SpawnTree]) -> None:
    tree = make()
    document = read(tree)
    assert tuple(document) == json_views.TREE.columns
    assert all(tuple(edge) == json_views.EDGE.columns for edge in document["edges"])
    assert document["nodes"] == json_views.IN_TREE.records(
        json_views.Placed(node, tree) for node in tree.nodes.values()
    )
    assert all(tuple(node) == json_views.IN_TREE.columns for node in document["nodes"])
    assert [json.loads(line) for line in json_views.tree_lines(tree)] == document["nodes"]


def test_edges_are_all_dependencies_inside_the_tree_each_once() -> None:
    growing = Growing()
    spawner = growing.job("a", stored_config="{}")
    plain = growing.job("b")
    join = growing.job("c", "Pending", [spawner, plain, spawner, uuid(99)])
    growing.depend(plain, plain)
    edges = read(growing.tree(roots=(spawner, plain)))["edges"]
    assert edges == [
        {"from": plain, "to": plain, "type": "dependency"},
        {"from": plain, "to": join, "type": "dependency"},
        {"from": spawner, "to": join, "type": "spawn"},
    ]


def test_an_empty_list_of_edges_is_valid() -> None:
    assert read(trees.fan_out(0))["edges"] == []


def test_children_are_the_exact_number_even_where_they_were_not_read() -> None:
    growing = Growing()
    root = growing.job("a")
    growing.job("b", parents=[root])
    tree = growing.tree(child_counts={root: Counts({"Completed": 40, "Dead": 2})})
    document = read(tree)
    assert document["nodes"][0]["children"] == 42
    assert document["truncated"] is True


@each_row(
    ("instant", "said"),
    [
        ("2026-11-24 14:18:25.393217+00", "2026-11-24T14:18:25.393217Z"),
        ("2026-11-24 14:18:25.5+00", "2026-11-24T14:18:25.500000Z"),
        ("2026-11-24 14:18:25+00", "2026-11-24T14:18:25.000000Z"),
        ("2026-11-24T14:18:25.393217Z", "2026-11-24T14:18:25.393217Z"),
        (datetime(2026, 11, 24, 14, 18, 25, 393217), "2026-11-24T14:18:25.393217Z"),
        ("infinity", None),
        ("10000-01-01 00:00:00+00", None),
        (None, None),
    ],
)
def test_every_spelling_of_an_instant_becomes_rfc_3339(instant: str | datetime | None, said: str | None) -> None:
    growing = Growing()
    growing.job("a", created_at=instant)
    tree = growing.tree()
    assert read(tree)["nodes"][0]["created_at"] == said
    assert json_views.NODE.record(next(iter(tree.nodes.values())))["created_at"] == said


@pytest.mark.parametrize("parents", [f"{{{uuid(0)}}}", f'["{uuid(0)}"]', [uuid(0)], f'["{uuid(0)}", 7]'])
def test_every_spelling_of_depends_on_becomes_a_list(parents: object) -> None:
    growing = Growing()
    growing.job("a")
    growing.job("b", stored_parents=parents)
    assert read(growing.tree(roots=(uuid(0),)))["nodes"][1]["depends_on"] == [uuid(0)]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"metadata": 1e999}', {"metadata": "inf"}),
        ("[" * 100_000, None),
        ("not json", None),
        ("[1]", None),
        ('{"handler": "\\ud800"}', {"handler": "\ud800"}),
    ],
)
def test_spawn_configurations_that_json_cannot_hold_do_not_break_the_document(config: str, said: object) -> None:
    growing = Growing()
    growing.job("a", stored_config=config)
    node = read(growing.tree())["nodes"][0]
    assert node["has_spawn_config"] is True
    assert node["spawn_config"] == said


def test_a_document_is_compact_for_pipes_and_indented_for_people() -> None:
    value = {"a": [1, {"b": timedelta(seconds=1.5)}], "t": datetime(2026, 1, 1, tzinfo=UTC)}
    assert render.document(value) == '{"a":[1,{"b":1.5}],"t":"2026-01-01T00:00:00.000000Z"}'
    assert render.document([], pretty=True) == "[]"
    assert json.loads(render.document(value, pretty=True)) == json.loads(render.document(value))
    assert list(render.lines([{"a": "é"}, {}])) == ['{"a":"\\u00e9"}', "{}"]


def operation() -> SpawnOperation:
    parent = next(iter(trees.video().nodes.values()))
    children = Counts({"Completed": 6, "Dead": 1, "TimedOut": 1, "Retrying": 2})
    return SpawnOperation(parent, children, stored(START), stored(START + timedelta(seconds=90)))


def test_an_operation_counts_its_children_in_an_object() -> None:
    record = records.OPERATION.record(operation())
    assert record["children"] == {
        "total": 10,
        "completed": 6,
        "failed": 2,
        "running": 0,
        "pending": 2,
        "retrying": 2,
        "cancelled": 0,
    }
    assert record["success_rate"] == 0.75
    assert record["wall_time_seconds"] == 90.0
    assert record["handler"] == "media"


def test_the_columns_of_csv_are_members_of_the_records() -> None:
    header, row = delimited([records.OPERATION.record(operation())], "csv", records.OPERATION.columns)
    assert dict(zip(header.split(","), row.split(","), strict=False))["children.failed"] == "2"


def test_a_lineage_is_ancestors_the_job_and_descendants() -> None:
    tree = trees.chain(3)
    nodes = list(tree.nodes.values())
    below = SpawnTree(
        (nodes[2].id,), nodes[2].id, dict(list(tree.nodes.items())[2:]), {nodes[2].id: 0, nodes[3].id: 1}, {}
    )
    lineage = Lineage(nodes[2], ((2, nodes[0]), (1, nodes[1])), below, frozenset({uuid(7)}))
    assert [(row.relation, row.distance) for row in lineage_views.related(lineage)] == [
        ("ancestor", 2),
        ("ancestor", 1),
        ("job", 0),
        ("descendant", 1),
    ]
    record = lineage_views.LINEAGE.record(lineage)
    assert [row["id"] for row in record["ancestors"]] == [nodes[0].id, nodes[1].id]
    assert [row["id"] for row in record["descendants"]["nodes"]] == [nodes[2].id, nodes[3].id]
    assert record["missing"] == [uuid(7)]
    assert lineage_views.LINEAGE.record(Lineage(nodes[2], None, None))["ancestors"] is None


def test_stats_are_flat_and_their_details_are_lists() -> None:
    group = SpawnGroup("video", 2, 10, 8, 6, 8)
    stats = SpawnStats(
        START, (), group, 1, 2, 3, timedelta(seconds=1.5), None, 6, by_queue=(group,), slowest=(operation(),)
    )
    record = stats_records.SPAWN_STATS.record(stats)
    assert (record["operations"], record["average"], record["success_rate"]) == (2, 5.0, 0.75)
    assert (record["p50_seconds"], record["p95_seconds"], record["timed"]) == (1.5, None, 6)
    assert record["by_queue"][0]["name"] == "video"
    assert record["by_handler"] is None
    assert record["slowest"][0]["children"]["total"] == 10
    json.loads(render.document(record))


def test_a_value_of_any_depth_is_written_as_the_encoder_writes_shallow_ones() -> None:
    flat = {"é": [1, 2.5, None, True, "\n", [], {}, (3,)], "b": {"c": Counts({"Dead": 1})}, "d": timedelta(seconds=1)}
    for pretty in (False, True):
        whole = render.document([1e999, flat], pretty=pretty)
        plain = render.document(["inf", flat], pretty=pretty)
        assert whole == plain
    deep: object = float("-inf")
    for _ in range(20_000):
        deep = [deep]
    text = render.document({"deep": deep})
    assert text == '{"deep":' + "[" * 20_000 + '"-inf"' + "]" * 20_000 + "}"
    assert render.document({"deep": deep}, pretty=True).replace(" ", "").replace("\n", "") == text


@pytest.mark.parametrize(("kind", "separator"), [("csv", ","), ("csv", ";"), ("tsv", "\t"), ("tsv", ";")])
def test_no_cell_is_a_formula_however_the_lines_are_taken_apart(kind: str, separator: str) -> None:
    spaces = ["", " ", "\t", "\r", "\n", "\u00a0", "\u3000", "\u2003", "\u2028", "\ufeff", "\u200b"]
    before = [*spaces, *(f"x;{space}" for space in spaces), 'x;"', "x ; \u00a0\t", ";;"]
    values = [f"{start}{sign}1+1" for start in before for sign in "=+-@\uff1d\uff0b\uff0d\uff20"]
    rows: list[dict[str, object]] = [{"a": value, "b": [value], "c": {"d": value}} for value in values]
    text = "".join(delimited(rows, kind, ("a", "b", "c", "c.d")))
    for line in csv.reader(text.splitlines(), delimiter=separator):
        for cell in line:
            assert not re.match(r"[\s\"]*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell), (line, cell)


def test_numbers_stay_numbers_and_json_stays_json() -> None:
    record = {"a": "-5", "b": 2.5, "c": ["x;=1", -1]}
    assert "".join(delimited([record], "csv", ("a", "b", "c"))) == 'a,b,c\n-5,2.5,"[""x;\'=1"",-1]"\n'


def test_a_word_that_is_not_of_the_list_is_unknown() -> None:
    assert [render.known(word, spawns.SPAWN_OUTCOMES) for word in ("spawned", "\x1b", None)] == [
        "spawned",
        "unknown",
        None,
    ]


@each_row("form", TreeFormat)
@pytest.mark.parametrize("limits", [Limits(children=1), Limits(nodes=4)], ids=["children", "nodes"])
def test_a_limit_keeps_the_way_to_a_failure_in_every_format(form: TreeFormat, limits: Limits) -> None:
    growing = Growing()
    root = growing.job("film")
    for _ in range(3):
        growing.job("segment", parents=[growing.job("healthy", parents=[root])])
    growing.job("broken", "Dead", parents=[growing.job("above", parents=[root])])
    drawn = "".join(picture(growing.tree(), form, limits).parts)
    assert "broken" in drawn
    assert "above" in drawn
    assert "segment" not in drawn
