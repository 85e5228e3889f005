import re
from collections.abc import Callable

import pytest

from hammerwork_cli.core.values import FAILURES, Counts
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.dot import dot
from hammerwork_cli.features.tree.views.mermaid import MAX_CHARACTERS, MAX_EDGES, mermaid
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat, picture
from hammerwork_cli.view.text import TIMES, visible
from tests.conftest import each_row
from tests.mermaid_parser import MermaidParser
from tests.unit.views import trees
from tests.unit.views.trees import HOSTILE, Growing

Expected = Callable[[str, str], None]


def jobs_in(diagram: str) -> int:
    """Jobs that the nodes of a diagram stand for."""
    total = 0
    for label in re.findall(r'^  n\d+\["(.*)"\]', diagram, re.MULTILINE):
        number = re.search(rf"<br/>{TIMES}([\d,]+)|^([\d,]+) more", label)
        total += int((number[1] or number[2]).replace(",", "")) if number else 1
    return total


def many_names(jobs: int) -> SpawnTree:
    """Siblings that cannot be folded, with names that need escapes."""
    growing = Growing()
    root = growing.job("root", stored_config="{}")
    for number in range(jobs):
        growing.job(f'"#{number}" <&> 👩‍🚀' * 4, "Dead", [root])
    return growing.tree()


def many_roots(jobs: int) -> SpawnTree:
    """Roots that share one join."""
    growing = Growing()
    roots = [growing.job(f"extract{number}") for number in range(jobs)]
    growing.job("merge", "Pending", roots)
    return growing.tree()


def deep_branches() -> SpawnTree:
    """120 branches, each a chain of 10 with a failure at its end."""
    growing = Growing()
    root = growing.job("root")
    for _ in range(120):
        job = root
        for level in range(10):
            job = growing.job(f"level{level}", "Failed" if level == 9 else "Completed", [job])
    return growing.tree()


LARGE: dict[str, Callable[[], SpawnTree]] = {
    "fan out": lambda: trees.fan_out(700, lambda number: "Dead" if number % 3 == 0 else "Completed"),
    "10,000 wide": lambda: trees.fan_out(10_000),
    "1,000 deep": lambda: trees.chain(1000, "Dead"),
    "11,011 jobs": lambda: trees.large(files=10),
    "names": lambda: many_names(1000),
    "few names": lambda: many_names(450),
    "roots": lambda: many_roots(2000),
    "deep branches": deep_branches,
    "tangle": lambda: trees.tangle(1, 400),
}


def test_a_small_tree_is_drawn_whole(parse_mermaid: MermaidParser, expected: Expected) -> None:
    text, notes = mermaid(trees.video())
    diagram = parse_mermaid(text)
    assert notes == []
    assert (diagram.ok, len(diagram.nodes), len(diagram.edges)) == (True, 41, 40)
    assert [node["classes"] for node in diagram.nodes if "target" in node["classes"]] == [["completed", "target"]]
    expected("video.mmd", text)


def test_the_real_parser_reads_every_hostile_label_as_it_is(parse_mermaid: MermaidParser) -> None:
    tree = trees.hostile()
    diagram = parse_mermaid(mermaid(tree)[0])
    assert diagram.error is None
    assert (len(diagram.nodes), len(diagram.edges)) == (len(tree.nodes), len(tree.nodes) - 1)
    shown = [label.split("\n")[0] for label in diagram.labels.values()]
    for text in HOSTILE:
        if len(visible(text)) <= 40:
            assert visible(text) in shown or visible(text).strip() in shown


@each_row("text", HOSTILE)
def test_each_hostile_label_stands_alone(parse_mermaid: MermaidParser, text: str) -> None:
    growing = Growing()
    growing.job(text, text)
    diagram = parse_mermaid(mermaid(growing.tree())[0])
    assert diagram.error is None
    assert len(diagram.nodes) == 1
    assert "<" not in re.sub("<br/>", "", mermaid(growing.tree())[0])


@pytest.mark.parametrize("name", LARGE)
def test_a_large_tree_stays_within_the_limits_and_loses_no_job(parse_mermaid: MermaidParser, name: str) -> None:
    tree = LARGE[name]()
    text, notes = mermaid(tree)
    diagram = parse_mermaid(text)
    assert diagram.error is None
    assert len(text.encode("utf-16-le")) // 2 <= MAX_CHARACTERS
    assert len(diagram.edges) <= MAX_EDGES
    assert jobs_in(text) == len(tree.nodes)
    assert notes
    assert any("target" in node["classes"] for node in diagram.nodes)
    assert len({node["id"] for node in diagram.nodes}) == len(diagram.nodes)


def test_failures_keep_their_names_while_there_is_room(parse_mermaid: MermaidParser) -> None:
    tree = trees.fan_out(2000, lambda number: "Dead" if number % 20 == 0 else "Completed")
    diagram = parse_mermaid(mermaid(tree)[0])
    labels = "\n".join(diagram.labels.values())
    failed = [job for job, node in tree.nodes.items() if node.status in FAILURES]
    assert len(failed) == 100
    assert all(job[:8] in labels for job in failed)
    assert f"{TIMES}1,900" in labels


def test_a_long_row_of_only_children_is_one_node(expected: Expected) -> None:
    expected("chain_1000.mmd", mermaid(trees.chain(1000, "Dead"))[0])


def test_spawned_children_and_other_dependencies_look_different(parse_mermaid: MermaidParser) -> None:
    growing = Growing()
    root = growing.job("a", stored_config="{}")
    middle = growing.job("b", parents=[root])
    growing.job("c", parents=[root, middle])
    diagram = parse_mermaid(mermaid(growing.tree())[0])
    assert sorted((edge["from"], edge["to"], edge["stroke"]) for edge in diagram.edges) == [
        ("n1", "n2", "normal"),
        ("n1", "n3", "normal"),
        ("n2", "n3", "dotted"),
    ]


@each_row("seed", range(4))
def test_joins_and_cycles_keep_all_their_edges(parse_mermaid: MermaidParser, seed: int) -> None:
    tree = trees.tangle(seed)
    diagram = parse_mermaid(mermaid(tree)[0])
    assert diagram.error is None
    assert len(diagram.nodes) == len(tree.nodes)
    assert len(diagram.edges) == sum(map(len, tree.children.values()))


def test_unread_jobs_are_a_counted_node(parse_mermaid: MermaidParser) -> None:
    growing = Growing()
    root = growing.job("a")
    growing.job("b", parents=[root])
    tree = growing.tree(child_counts={root: Counts({"Completed": 40, "Dead": 2})})
    assert "41 more jobs: 39 completed, 2 dead" in parse_mermaid(mermaid(tree)[0]).labels.values()
    for form in (TreeFormat.MERMAID, TreeFormat.DOT):
        said = picture(tree, form, Limits()).notes
        assert said == ["Only a part of the tree is drawn: missing children are counted, jobs below them are not."]


def test_a_limit_counts_what_is_below_the_jobs_that_it_leaves_out(parse_mermaid: MermaidParser) -> None:
    growing = Growing()
    root = growing.job("a")
    for _ in range(3):
        child = growing.job("b", parents=[root])
        growing.job("c", "Dead", parents=[child])
        growing.job("c", parents=[child])
    drawn = picture(growing.tree(), TreeFormat.MERMAID, Limits(children=1))
    diagram = parse_mermaid("".join(drawn.parts))
    styles = {node["label"]: node["classes"][0] for node in diagram.nodes}
    assert styles["2 more jobs: 2 completed · below: 2 completed, 2 dead"] == "dead"
    assert drawn.notes == ["Only a part of the tree is drawn: missing children are counted."]
    dots = picture(growing.tree(), TreeFormat.DOT, Limits(children=1))
    counted = next(part for part in dots.parts if "below: 2 completed, 2 dead" in part)
    assert 'fillcolor="#f2b8b5"' in counted
    assert dots.notes == drawn.notes


@pytest.mark.parametrize(
    ("counts", "style", "fill"),
    [
        ({"Completed": 40, "Failed": 1, "Dead": 2}, "dead", "#f2b8b5"),
        ({"Completed": 40, "TimedOut": 2, "Failed": 1}, "failed", "#ffd9d6"),
        ({"Pending": 3, "TimedOut": 1}, "timedout", "#ffdfe8"),
        ({"Completed": 42}, "other", "#f5f5f5"),
    ],
)
def test_a_node_that_counts_failures_has_the_colour_of_the_worst_one(
    parse_mermaid: MermaidParser, counts: dict[str, int], style: str, fill: str
) -> None:
    growing = Growing()
    root = growing.job("a")
    tree = growing.tree(child_counts={root: Counts(counts)})
    assert [node["classes"][0] for node in parse_mermaid(mermaid(tree)[0]).nodes[1:]] == [style]
    assert f'"unread 0" [label="{sum(counts.values())} more child' in "".join(dot(tree))
    assert f'fillcolor="{fill}"];' in "".join(dot(tree)).partition("unread 0")[2]


def test_every_status_has_its_own_class(parse_mermaid: MermaidParser) -> None:
    growing = Growing()
    root = growing.job("root")
    for status in [
        "Pending",
        "Running",
        "Completed",
        "Failed",
        "Dead",
        "TimedOut",
        "Retrying",
        "Archived",
        "target",
        "?",
    ]:
        growing.job("job", status, [root])
    diagram = parse_mermaid(mermaid(growing.tree(), max_edges=500)[0])
    assert [node["classes"][0] for node in diagram.nodes[1:]] == [
        "pending",
        "running",
        "completed",
        "failed",
        "dead",
        "timedout",
        "retrying",
        "archived",
        "other",
        "other",
    ]
    assert {node["classes"][0] for node in diagram.nodes} <= diagram.classes.keys()
