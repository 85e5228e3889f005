"""A tree as JSON with children inside their parents."""

from typing import Any, NamedTuple

from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.json import IN_TREE, Placed
from hammerwork_cli.view import key
from hammerwork_cli.view.json import SCHEMA_VERSION, Record
from hammerwork_cli.view.shape import Key, Shape

DEEPEST_NESTED = 100
"""Levels; parsers refuse JSON that is nested much deeper."""


class Nested(NamedTuple):
    """A job and those below it."""

    placed: Placed
    repeated: bool
    below: "list[Nested]"


def _records(below: "list[Nested]") -> list[Record]:
    return [_NESTED_NODE.record(one) for one in below]


_BELOW = Key(key.list_of(Key({"type": "object", "description": "A node like this one"})).schema, _records, "below")
_NESTED_NODE = Shape[Nested](
    {
        **IN_TREE.within("placed"),
        "children": _BELOW,
        "children_total": key.count("All of them, shown or not").of("placed.children"),
        "repeated": key.flag("It also appears elsewhere, with its children"),
    }
)
NESTED = Shape[SpawnTree](
    {
        "schema_version": Key({"const": SCHEMA_VERSION}, get=lambda _: SCHEMA_VERSION),
        "target": key.job_id("The job that was asked for"),
        "truncated": key.flag("Whether a limit cut it short"),
        "total_nodes": key.count("Jobs in this answer").of(lambda tree: len(tree.nodes)),
        "roots": key.list_of(_NESTED_NODE, "The topmost ancestors").of(lambda tree: _nested(tree)),
    }
)


def _nested(tree: SpawnTree) -> list[Nested]:
    """Nests jobs in their parents. A job with several parents has its children in the first place only."""
    seen: set[str] = set()

    def nest(job: str, level: int) -> Nested:
        repeated = job in seen
        seen.add(job)
        below: Any = () if repeated or level == DEEPEST_NESTED else tree.children.get(job, ())
        return Nested(Placed(tree.nodes[job], tree), repeated, [nest(child, level + 1) for child in below])

    return [nest(root, 0) for root in tree.roots]
