"""The place of a job in its tree, and the limits of trees: only this module counts children for them."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import id_list, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.job.queries.cron import occurrence_of
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.worker.queries.claim import Claimed

DEEPEST = 32
"""Most generations below a root that has no ``max_depth``."""
MOST_DESCENDANTS = 2_000_000
"""Most jobs below a root that has no ``max_descendants``, unless a worker has another number."""
LOOKS = 20
"""How often spawns are expected to count a tree without ``max_descendants`` before it is as large as it may be."""
MOST_LEVELS = 100
"""Most generations that are read above a job whose row does not say its place in the tree."""


class LimitError(ConflictError):
    """A spawn would exceed a limit of children, generations or descendants."""

    code = "spawn_limit"

    def __init__(self, limit: str, value: int, attempted: int, root: str, *, is_default: bool = False) -> None:
        super().__init__(f"{limit} is {value:,}, and this would be {attempted:,} (root {root}).")
        self.limit, self.value, self.attempted, self.root = limit, value, attempted, root
        self.is_default = is_default


class NewJoin(NamedTuple):
    """A job that waits for the other children of its parent, or for all jobs below it."""

    job: str
    scope: str


class Spawner(NamedTuple):
    """A job that spawns, in an attempt or because of a spawn request."""

    job: Claimed
    ancestry: Ancestry  # the job's place, under its own limits
    max_spawn_count: int | None = None  # most children of this attempt, early and late ones together
    request: str | None = None  # id of the spawn request, if there is one
    joins: tuple[NewJoin, ...] = ()  # the jobs of this attempt that wait for its other children
    most_descendants: int = MOST_DESCENDANTS  # most jobs below the root of a tree that sets no limit

    def place_of_child(self, *, early: bool = False, counts: bool = True) -> Ancestry:
        """The place of a child.

        Args:
            early: whether it may run before this job has ended.
            counts: whether the joins of this attempt wait for it.
        """
        place = self.ancestry.child(spawner=self.job.id if early else None)
        if not counts or not self.joins:
            return place
        return place._replace(
            joins=(*place.joins, *(join.job for join in self.joins if join.scope == "tree")),
            joined=tuple(join.job for join in self.joins if join.scope == "children"),
        )

    @classmethod
    def of(cls, job: Claimed, ancestry: Ancestry, config: SpawnConfig, request: str | None = None) -> "Spawner":
        """Makes the spawner of a job with a configuration."""
        return cls(job, ancestry.limited_by(config), config.max_spawn_count, request)

    @property
    def occurrence(self) -> str:
        """Identifies the request, or the occurrence of a recurring job, that the keys of children belong to."""
        return self.request or self.job.occurrence

    def check_depth(self) -> None:
        """Checks whether the next generation is within the limit.

        Raises:
            LimitError: it is too deep.
        """
        most = self.ancestry.max_depth if self.ancestry.max_depth is not None else DEEPEST
        if self.ancestry.depth + 1 > most:
            raise LimitError("max_depth", most, self.ancestry.depth + 1, self.ancestry.root)


def of(database: Database, job: Claimed) -> Ancestry:
    """Returns the place of a job in its tree: from its row if a worker spawned it, else from its ancestors.

    The search follows the first parents, archived ones too, for at most :data:`MOST_LEVELS` generations. A dependency
    counts as a generation if the parent spawns (it has a spawn configuration or a recorded spawn) and started before
    the job was created: then another program spawned the job. Any other is a plain dependency.
    """
    return known(job) or _upward(database, job)._replace(joins=Ancestry.unplaced(job.ancestry).joins)


def known(job: Claimed) -> Ancestry | None:
    """Returns the place of a job as far as its own row tells it."""
    found = Ancestry.unplaced(job.ancestry)
    if found.root:
        return found
    return None if id_list(job.depends_on) else found._replace(root=job.id, occurrence=job.occurrence)


def _upward(database: Database, job: Claimed) -> Ancestry:
    relatives, seen = Relatives(database), {job.id}
    found, depth = Ancestry(job.id, job.occurrence), 0
    parents, made = id_list(job.depends_on), timestamp(job.created_at)
    for _ in range(MOST_LEVELS):
        above = _first(relatives, [parent for parent in parents if parent not in seen])
        if above is None:
            break
        seen.add(above.id)
        row = database.row("worker.ancestry.of_job", id=above.id)
        stored, recurring, next_run_at, recorded = row or (None, False, None, None)
        depth += _spawned(above, made, recorded=bool(recorded))
        found = found.limited_by(SpawnConfig._parse(above.spawn_config) or _NO_LIMITS)
        ancestry = Ancestry.parse(stored)
        if ancestry is not None:
            return found.below(ancestry, depth)
        found = found.below(Ancestry(above.id, occurrence_of(recurring=recurring, next_run_at=next_run_at)), depth)
        parents, made = above.depends_on, timestamp(above.created_at)
    return found


_NO_LIMITS = SpawnConfig(max_spawn_count=None)


def _first(relatives: Relatives, ids: Sequence[str]) -> TreeNode | None:
    nodes = {node.id: node for node in relatives.jobs(ids)} if ids else {}
    return next((nodes[job] for job in ids if job in nodes), None)


def _spawned(parent: TreeNode, made: datetime | None, *, recorded: bool) -> bool:
    began = timestamp(parent.started_at)
    return (recorded or parent.has_spawn_config) and (began is None or made is None or made >= began)


def counted_of(spawner: Spawner) -> dict[str, object]:
    """Returns the parameters of a statement that returns the counters for :func:`count`."""
    return {
        "root": spawner.ancestry.root,
        "tree_occurrence": spawner.ancestry.occurrence,
        "parent": spawner.job.id,
        "keys": spawner.max_spawn_count is not None,
        "keys_of": spawner.occurrence,
    }


def count(
    database: Database, spawner: Spawner, children: int, *, late: int, counted: Sequence[Any] | None = None
) -> None:
    """Counts the children that this transaction has written, and checks the limits.

    Call it last in the transaction: all spawns of a limited tree wait for the one row that counts its descendants.

    Args:
        database: an open transaction.
        late: number of new children without a key.
        counted: the counters, if the previous statement has returned them; by default, they are read.

    Raises:
        LimitError: the children exceed a limit.
    """
    ancestry, most = spawner.ancestry, spawner.max_spawn_count
    descendants, *keys = counted or database.rows("worker.ancestry.counters", **counted_of(spawner))[0]
    if most is not None and sum(keys) + late > most:
        raise LimitError("max_spawn_count", most, sum(keys) + late, ancestry.root)
    is_default = ancestry.max_descendants is None
    allowed = spawner.most_descendants if ancestry.max_descendants is None else ancestry.max_descendants
    everybody = children
    if descendants is None:
        # Counting costs a statement, and a counter is a row that all spawns of the tree wait for. So a tree without a
        # limit of its own is counted now and then, and gets a counter once it is half as large as it may be.
        if is_default and random.random() * allowed >= LOOKS * children:  # noqa: S311  no secret
            return
        everybody = max(children, _recorded(database, ancestry))
        if is_default and 2 * everybody <= allowed:
            return
    tree = {"root": ancestry.root, "occurrence": ancestry.occurrence}
    database.run("worker.ancestry.add_descendants", children=children, everybody=everybody, **tree)
    total = int(database.value("worker.ancestry.descendants", **tree))
    if total > allowed:
        raise LimitError("max_descendants", allowed, total, ancestry.root, is_default=is_default)


def room(database: Database, spawner: Spawner) -> int | None:
    """Counts the children that a job may still have, those of earlier attempts included; ``None`` without a limit."""
    try:
        spawner.check_depth()
    except LimitError:
        return 0
    most, in_tree = spawner.max_spawn_count, spawner.ancestry.max_descendants
    left = []
    if most is not None:
        spawned, occurrence = spawner.job.id, spawner.occurrence
        left.append(most - int(database.value("worker.spawn.count_keys", parent=spawned, occurrence=occurrence)))
    if in_tree is not None:
        left.append(in_tree - descendants(database, spawner.ancestry))
    return max(min(left), 0) if left else None


def descendants(database: Database, ancestry: Ancestry) -> int:
    """Counts the jobs that were spawned below a root; 0 if the database keeps no records of spawns."""
    if not database.is_current:
        return 0
    counted = database.value("worker.ancestry.descendants", root=ancestry.root, occurrence=ancestry.occurrence)
    return _recorded(database, ancestry) if counted is None else int(counted)


def _recorded(database: Database, ancestry: Ancestry) -> int:
    """Counts the descendants that were spawned before the tree had a limit, including this transaction's."""
    values = {
        "root": ancestry.root,
        "since": timestamp(ancestry.occurrence) if ancestry.occurrence else None,
        "occurrence": ancestry.occurrence,
        "place": f'%"occurrence":"{ancestry.occurrence}"%',  # as Ancestry.stored writes it
    }
    return int(database.value("worker.ancestry.recorded_descendants", **values))
