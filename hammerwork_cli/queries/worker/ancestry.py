"""Where a job stands in its tree, and the limits of trees: counted here, for all children, and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.models import Ancestry, SpawnConfig, TreeNode, id_list, timestamp
from hammerwork_cli.queries.graph.relatives import Relatives
from hammerwork_cli.queries.job.cron import occurrence_of
from hammerwork_cli.queries.worker.claim import Claimed

DEEPEST = 32
"""Generations below a root where no configuration says otherwise."""
MOST_LEVELS = 100
"""So far up a job that no worker of ours spawned is followed."""


class LimitError(ConflictError):
    """More children, generations or descendants than a limit allows."""

    code = "spawn_limit"

    def __init__(self, limit: str, value: int, attempted: int, root: str) -> None:
        super().__init__(f"{limit} is {value:,}, and this would be {attempted:,} (root {root}).")
        self.limit, self.value, self.attempted, self.root = limit, value, attempted, root


@dataclass(frozen=True, slots=True)
class Spawner:
    """A job that spawns: in its run, or again because of a request.

    Attributes:
        ancestry: its own, with its own limits.
        max_spawn_count: most children of this run, early and late ones together.
        request: id of the request that it spawns again for.
    """

    job: Claimed
    ancestry: Ancestry
    max_spawn_count: int | None = None
    request: str | None = None

    @classmethod
    def of(cls, job: Claimed, ancestry: Ancestry, config: SpawnConfig, request: str | None = None) -> "Spawner":
        """A job with this configuration."""
        return cls(job, ancestry.limited_by(config), config.max_spawn_count, request)

    @property
    def occurrence(self) -> str:
        """What its keys belong to: a request, a run of a recurring job, or the job."""
        return self.request or self.job.occurrence

    def check_depth(self) -> None:
        """Refuses a generation that is too deep.

        Raises:
            LimitError: it is.
        """
        most = self.ancestry.max_depth if self.ancestry.max_depth is not None else DEEPEST
        if self.ancestry.depth + 1 > most:
            raise LimitError("max_depth", most, self.ancestry.depth + 1, self.ancestry.root)


def of(database: Database, job: Claimed) -> Ancestry:
    """Where a job stands: as its row says, or, if no worker of ours spawned it, as what is above it says.

    It is followed upward by first parents, at most :data:`MOST_LEVELS` far, through archived ones too. A dependency
    counts as a generation where the parent spawns (it carries configuration, or a spawn of it is recorded) and had
    begun before the job was made; then another program spawned it. Any other is a plain dependency.
    """
    return known(job) or _upward(database, job)


def known(job: Claimed) -> Ancestry | None:
    """Where a job stands, as far as its own row says."""
    found = Ancestry.parse(job.ancestry)
    return found if found or id_list(job.depends_on) else Ancestry(job.id, job.occurrence)


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
        found = found.limited_by(SpawnConfig.parse(above.spawn_config) or _NO_LIMITS)
        ancestry = Ancestry.parse(stored)
        if ancestry is not None:
            return found.below(ancestry, depth)
        found = found.below(Ancestry(above.id, occurrence_of(recurring=recurring, next_run_at=next_run_at)), depth)
        parents, made = above.depends_on, timestamp(above.created_at)
    return found


_NO_LIMITS = SpawnConfig(max_spawn_count=None)


def _first(relatives: Relatives, ids: Sequence[str]) -> TreeNode | None:
    """The first of some jobs that exists."""
    nodes = {node.id: node for node in relatives.jobs(ids)} if ids else {}
    return next((nodes[job] for job in ids if job in nodes), None)


def _spawned(parent: TreeNode, made: datetime | None, *, recorded: bool) -> bool:
    began = timestamp(parent.started_at)
    return (recorded or parent.has_spawn_config) and (began is None or made is None or made >= began)


def counted_of(spawner: Spawner) -> dict[str, object]:
    """The values of a statement that returns the counters for :func:`count`."""
    return {
        "root": spawner.ancestry.root,
        "tree_occurrence": spawner.ancestry.occurrence,
        "parent": spawner.job.id,
        "keys": spawner.max_spawn_count is not None,
        "keys_of": spawner.occurrence,
    }


def count(database: Database, spawner: Spawner, children: int, *, late: int, counted: Row | None = None) -> None:
    """Counts children that this transaction has written, and refuses those that are too many.

    Last in the transaction: all spawns of a limited tree wait for the one row that counts its descendants.

    Args:
        database: where.
        spawner: whose children.
        children: how many are new.
        late: how many of them are no children by key.
        counted: the counters, if the statement before this returned them; they are read otherwise.

    Raises:
        LimitError: they are.
    """
    ancestry, most = spawner.ancestry, spawner.max_spawn_count
    descendants, *keys = counted or database.rows("worker.ancestry.counters", **counted_of(spawner))[0]
    if most is not None and sum(keys) + late > most:
        raise LimitError("max_spawn_count", most, sum(keys) + late, ancestry.root)
    if descendants is None and ancestry.max_descendants is None:
        return
    tree = {"root": ancestry.root, "occurrence": ancestry.occurrence}
    everybody = children if descendants is not None else max(children, _recorded(database, ancestry))
    database.run("worker.ancestry.add_descendants", children=children, everybody=everybody, **tree)
    if ancestry.max_descendants is not None:
        total = int(database.rows("worker.ancestry.descendants", **tree)[0][0])
        if total > ancestry.max_descendants:
            raise LimitError("max_descendants", ancestry.max_descendants, total, ancestry.root)


def _recorded(database: Database, ancestry: Ancestry) -> int:
    """How many descendants were spawned before their number was limited, this transaction's included."""
    since = timestamp(ancestry.occurrence) if ancestry.occurrence else None
    return int(database.rows("worker.ancestry.recorded_descendants", root=ancestry.root, since=since)[0][0])
