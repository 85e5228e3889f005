"""Jobs that have yet to spawn, and those that ended without it."""

from collections.abc import Sequence

from hammerwork_cli.core.values import ENDED_SPELLINGS, FAILED_SPELLINGS, FINISHED, Counts
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.models.pending import PendingSpawn
from hammerwork_cli.features.spawn.queries.operations import nodes
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.relatives import Relatives


def pending(database: Database, *, limit: int, queues: Sequence[str] = ()) -> list[PendingSpawn]:
    """Returns jobs with a spawn request, jobs that will or never did spawn, and waiting jobs: ``limit`` of each."""
    with database.snapshot():
        asked = _asked_again(database, limit=limit, queues=queues)
        spawners = nodes(database, "spawn.operations.pending", queues=queues, failed=FAILED_SPELLINGS, limit=limit)
        waiting = nodes(database, "spawn.operations.waiting", queues=queues, ended=ENDED_SPELLINGS, limit=limit)
        parents = Relatives(database).jobs(dict.fromkeys(parent for job in waiting for parent in job.depends_on))
    status = {parent.id: parent.status for parent in parents}
    again = {job.id for job in asked}
    ahead = [PendingSpawn(job, _spawn_reason(job), Counts()) for job in spawners if job.id not in again]
    return [
        *(PendingSpawn(job, "asked_again", Counts()) for job in asked),
        *ahead,
        *(_waiting(job, status) for job in waiting),
    ]


def _asked_again(database: Database, *, limit: int, queues: Sequence[str]) -> list[TreeNode]:
    if not database.is_current:
        return []
    rows = database.rows("spawn.operations.requested", limit=limit, queues=queues)
    return Relatives(database).jobs(dict.fromkeys(str(job) for job, *_ in rows))


def _spawn_reason(job: TreeNode) -> str:
    return "never_spawned" if job.status in FINISHED else "will_spawn"


def _waiting(job: TreeNode, statuses: dict[str, str]) -> PendingSpawn:
    counts = Counts()
    for parent in job.depends_on:
        counts.add(statuses.get(parent, "missing"))
    open_parents = counts.total - counts.of(*FINISHED, "missing")
    return PendingSpawn(job, "waiting" if open_parents else "stuck", counts)
