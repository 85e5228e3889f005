import re
import shutil
import subprocess
from collections.abc import Callable

import pytest

from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.dot import dot
from tests.conftest import unavailable
from tests.unit.views import trees
from tests.unit.views.trees import Growing

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|->|[\[\]{}=;,]|[A-Za-z]\w*|\d+')


def statements(text: str) -> list[list[str]]:
    """Tokens of each line; fails on what is outside Graphviz's grammar."""
    lines = []
    for line in text.splitlines():
        assert TOKEN.sub("", line).strip(" ") == ""
        lines.append(TOKEN.findall(line))
    return lines


@pytest.mark.parametrize(
    "make",
    [trees.video, trees.diamond, trees.hostile, lambda: trees.tangle(5)],
    ids=["video", "diamond", "hostile", "tangle"],
)
def test_every_job_and_every_edge_is_there_and_quoted_right(make: Callable[[], SpawnTree]) -> None:
    tree = make()
    read = statements("".join(dot(tree)))
    assert read[0] == ["digraph", "spawn", "{"]
    assert read[-1] == ["}"]
    edges = [(line[0], line[2]) for line in read if len(line) > 2 and line[1] == "->"]
    nodes = [line[0] for line in read if len(line) > 2 and line[0].startswith('"') and line[1] == "["]
    assert nodes == [f'"{job}"' for job in tree.nodes]
    assert sorted(edges) == sorted(
        (f'"{parent}"', f'"{child}"') for parent, children in tree.children.items() for child in children
    )


def test_graphviz_itself_draws_hostile_labels() -> None:
    program = shutil.which("dot")
    if program is None:
        unavailable("graphviz is not installed")
    text = "".join(dot(trees.hostile()))
    drawn = subprocess.run(
        [program, "-Tsvg"], input=text, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert drawn.stdout.count('class="node"') == len(trees.hostile().nodes)


def test_a_diamond_looks_as_expected(expected: Callable[[str, str], None]) -> None:
    expected("diamond.dot", "".join(dot(trees.diamond())))


def test_spawned_children_and_other_dependencies_look_different() -> None:
    growing = Growing()
    root = growing.job("a", stored_config="{}")
    child = growing.job("b", parents=[root])
    grandchild = growing.job("c", parents=[child])
    text = "".join(dot(growing.tree()))
    assert f'  "{root}" -> "{child}";\n' in text
    assert f'  "{child}" -> "{grandchild}" [style=dashed];\n' in text


def test_unread_jobs_are_counted() -> None:
    growing = Growing()
    root = growing.job("a")
    assert "42 more children, not read: 42 pending" in "".join(
        dot(growing.tree(child_counts={root: Counts({"Pending": 42})}))
    )
