"""A tree as JSON with children inside their parents."""

from hammerwork_cli.models import SpawnTree
from hammerwork_cli.render.formats import json
from hammerwork_cli.render.tree import json as json_views

DEEPEST_NESTED = 100
"""Levels; parsers refuse JSON that is nested much deeper."""


def nested(tree: SpawnTree) -> json.Record:
    """Nests jobs in their parents. A job with several parents has its children in the first place only."""
    seen: set[str] = set()
    return {
        "schema_version": json.SCHEMA_VERSION,
        "target": tree.target,
        "truncated": tree.truncated,
        "total_nodes": len(tree.nodes),
        "roots": [_record(tree, root, seen, 0) for root in tree.roots],
    }


def _record(tree: SpawnTree, job: str, seen: set[str], level: int) -> json.Record:
    repeated = job in seen
    seen.add(job)
    node = json_views.node_record(tree.nodes[job], tree)
    below = [] if repeated or level == DEEPEST_NESTED else tree.children.get(job, [])
    return {
        **node,
        "children_total": node["children"],
        "repeated": repeated,
        "children": [_record(tree, child, seen, level + 1) for child in below],
    }
