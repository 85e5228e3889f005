"""Operations at the tops of their trees, and counts of whole trees."""

from collections.abc import Sequence
from typing import Any

from hammerwork_cli.core.values import Counts, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation, TreeCounts
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from hammerwork_cli.features.spawn.queries.running_trees import RunningTrees
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import cursors
from hammerwork_cli.features.tree.queries.relatives import Relatives

PARENTS_AT_ONCE = 200
MOST_ROUNDS = 10
"""Lists of parents that a page looks through. Where none is a top, the next page goes on after the last one."""
MOST_COUNTED = 30_000
"""Jobs that are counted in all trees of a list together."""
LARGEST_TREE = 200_000
"""Jobs that are counted in one tree."""


def page(
    database: Database, *, limit: int, cursor: str | None = None, **wanted: Any
) -> tuple[list[SpawnOperation], str | None]:
    """Returns a page of the operations that no other operation stands above, and the cursor of the next page.

    Raises UsageError or NotFoundError if the cursor is not valid.
    """
    found: list[TreeNode] = []
    with database.snapshot():
        trees = RunningTrees(database)
        for _ in range(MOST_ROUNDS):
            parents = operations_queries.parents(database, limit=PARENTS_AT_ONCE, cursor=cursor, **wanted)
            tops = trees.tops({parent.id: parent for parent in parents})
            found += [parent for parent in parents if tops.get(parent.id, parent.id) == parent.id]
            cursor = cursors.after(parents[-1]) if len(parents) == PARENTS_AT_ONCE else None
            if len(found) > limit:
                cursor = cursors.after(found[limit - 1])
            if cursor is None or len(found) >= limit:
                break
        return operations_queries.counted(database, found[:limit]), cursor


def with_counts(database: Database, operations: Sequence[SpawnOperation]) -> list[SpawnOperation]:
    """Adds the counts of their whole trees to operations that do not stand below each other.

    Only where our indexes allow to count them.

    A job belongs to the tree of its first parent. In a tree that is too large, only the children are counted.
    """
    if not database.is_current or not operations:
        return list(operations)
    trees = RunningTrees(database, most=MOST_COUNTED)
    with database.snapshot():
        children = trees.children([operation.parent.id for operation in operations])
        whole = trees.below(children)
    counts = {
        top: TreeCounts(whole[top].counts, more=False) if top in whole else TreeCounts(total.counts, more=True)
        for top, total in children.items()
    }
    return [operation._replace(tree=counts.get(operation.parent.id)) for operation in operations]


def counts(database: Database, job: str) -> TreeCounts:
    """Counts all jobs below a job, each once, archived ones too."""
    relatives, found, seen, level = Relatives(database), Counts(), {job}, [job]
    with database.snapshot():
        while level:
            below = []
            for child, status, *_ in relatives.child_states(level):
                if child in seen:
                    continue
                if len(seen) > LARGEST_TREE:
                    return TreeCounts(found, more=True)
                seen.add(child)
                below.append(child)
                found.add(status_of(status))
            level = below
    return TreeCounts(found, more=False)
