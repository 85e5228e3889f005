"""Finds trees that may grow without an end. It reads as much of a large table as of a small one."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.models.growth import GrowingTree
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.child_totals import ChildTotals, collect_totals
from hammerwork_cli.features.tree.queries.relatives import Relatives

WINDOW = timedelta(minutes=10)
"""What has spawned nothing in this time does not grow."""
MOST_READ = 10_000
"""Records of spawns that are read: the newest ones, and as many of each suspected tree."""
MOST_FOUND = 5
"""Handlers, and trees of each, that are looked at."""
GENERATIONS = 4
"""In fewer generations, a handler may repeat itself without a doubt."""
LEAST_SPAWNED, LEAST_EACH = 1000, 1.5
"""A handler that spawns less than this, or fewer children for each parent that has any, is no danger."""
MOST_PARENTS, MOST_CHILDREN = 50, 1000
"""Of these, one that is open shows that a tree has not ended."""


def growing(database: Database, now: datetime) -> list[GrowingTree]:
    """The trees that may grow without an end, those of the busiest handler first.

    A tree that never ends repeats one of its handlers again and again. One that does so and ends, such as a crawl, is
    found too while each page still leads to several new ones.
    """
    if not database.is_current:
        return []
    newest = {"since": now - WINDOW, "most": MOST_READ}
    by_handler: dict[str, list[Any]] = defaultdict(list)
    for handler, *row in database.rows("spawn.growth.spawning", **newest):
        by_handler[handler].append(row)
    busiest = sorted(by_handler.items(), key=lambda item: -sum(int(row[3]) for row in item[1]))
    found = (_growing(database, handler, rows, newest) for handler, rows in busiest[:MOST_FOUND] if _may_grow(rows))
    return [tree for tree in found if tree is not None]


def _may_grow(rows: list[Any]) -> bool:
    parents, children = sum(int(row[2]) for row in rows), sum(int(row[3]) for row in rows)
    return children >= max(LEAST_SPAWNED, LEAST_EACH * parents)


def _growing(database: Database, handler: str, rows: list[Any], newest: dict[str, Any]) -> GrowingTree | None:
    deep = sorted((row for row in rows if row[1] >= GENERATIONS - 1), key=lambda row: -int(row[3]))
    spawned = sum(int(row[3]) for row in deep)
    for root in (str(row[0]) for row in deep[:MOST_FOUND]):
        generations = int(database.value("spawn.growth.generations", root=root, handler=handler, most=MOST_READ))
        if generations < GENERATIONS:
            continue
        found = database.rows("spawn.growth.newest_parents", root=root, parents=MOST_PARENTS, **newest)
        parents = [str(parent) for (parent,) in found]
        nodes = {node.id: node for node in Relatives(database).jobs([root, *parents])}
        if _is_open(database, parents, nodes):
            top, spawning = nodes.get(root), next(nodes[one].queue for one in parents if one in nodes)
            queue, status = (top.queue, top.stored_status) if top else (None, "-")
            return GrowingTree(root, queue, status, handler, generations, spawned, len(deep), spawning)
    return None


def _is_open(database: Database, parents: list[str], nodes: dict[str, TreeNode]) -> bool:
    """Whether a child of these parents has not ended."""
    live = [one for one in parents if one in nodes]
    totals: dict[str, ChildTotals] = {}
    rows = database.rows("spawn.monitor.level_totals", ids=database.ids(live), limit=MOST_CHILDREN) if live else []
    collect_totals(totals, rows)
    return any(total.counts.open for total in totals.values())
