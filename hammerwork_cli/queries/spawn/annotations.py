"""What keeps the jobs of a tree from starting, for its picture."""

from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import FINISHED, WAITING, SpawnTree, timestamp
from hammerwork_cli.models.why import Annotations
from hammerwork_cli.queries.graph.blockers import blockers_of

ANNOTATED = 1000
"""Jobs that have not started: of more in one tree it is not asked what keeps them."""


def annotations(database: Database, tree: SpawnTree, now: datetime) -> Annotations:
    """What keeps the jobs of a tree from starting, where the tree itself does not show it.

    A few statements at most: nothing is asked of a tree in which more than :data:`ANNOTATED` jobs have not started.
    """
    if not 0 < tree.counts.of(*WAITING) <= ANNOTATED:
        return Annotations()
    asked = [node.id for node in tree.nodes.values() if node.status in WAITING and node.archived_at is None]
    due: dict[str, datetime] = {}
    suspects: list[str] = []
    for part in chunks(asked, database.read_chunk):
        for job, scheduled_at, dependency_status in database.rows(
            "spawn.why.late_jobs", ids=database.ids(part), now=now
        ):
            at = timestamp(scheduled_at)
            if at and at > now:
                due[job] = at
            if dependency_status == "waiting" and _parents_have_ended(tree, job):
                suspects.append(job)
    held = blockers_of(database, suspects) if suspects else {}
    return Annotations(frozenset(job for job, hold in held.items() if hold.is_stuck), due)


def _parents_have_ended(tree: SpawnTree, job: str) -> bool:
    """Whether none of its parents that the tree knows is open."""
    known = (tree.nodes[parent] for parent in tree.nodes[job].depends_on if parent in tree.nodes)
    return all(node.status in FINISHED for node in known)
