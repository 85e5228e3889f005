"""Annotations of a drawn tree: the reasons why jobs have not started."""

from datetime import datetime

from hammerwork_cli.core.values import FINISHED, WAITING, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.tree.queries.blockers import blockers_of
from hammerwork_cli.features.tree.spawn_tree import Annotations, SpawnTree

ANNOTATED = 1000
"""Jobs that have not started. A tree with more of them gets no annotations."""


def annotations(database: Database, tree: SpawnTree, now: datetime) -> Annotations:
    """Returns the reasons why jobs have not started, as far as the tree itself does not show them.

    It runs a few statements at most, and none for a tree in which more than :data:`ANNOTATED` jobs have not started.
    """
    if not 0 < tree.counts.of(*WAITING) <= ANNOTATED:
        return Annotations()
    asked = [node.id for node in tree.nodes.values() if node.status in WAITING and node.archived_at is None]
    due: dict[str, datetime] = {}
    suspects: list[str] = []
    for job, scheduled_at, dependency_status in database.rows_of("spawn.why.late_jobs", asked, now=now):
        at = timestamp(scheduled_at)
        if at and at > now:
            due[job] = at
        if dependency_status == "waiting" and _parents_have_ended(tree, job):
            suspects.append(job)
    blockers = blockers_of(database, suspects) if suspects else {}
    return Annotations(frozenset(job for job, blocker in blockers.items() if blocker.is_stuck), due)


def _parents_have_ended(tree: SpawnTree, job: str) -> bool:
    """Whether all parents of a job that are in the tree have ended."""
    known = (tree.nodes[parent] for parent in tree.nodes[job].depends_on if parent in tree.nodes)
    return all(node.status in FINISHED for node in known)
