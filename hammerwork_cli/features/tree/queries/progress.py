"""Reads how far running jobs are."""

from collections.abc import Mapping

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.features.tree import progress
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.progress import JobProgress


def reported(database: Database) -> list[JobProgress]:
    """Everything that handlers have reported of jobs that run, the furthest first."""
    if not database.is_current:
        return []
    found = [one for (column,) in database.rows("tree.progress.reported") for one in progress.parse(column)]
    return sorted(found, key=lambda one: -one.share)


def of_jobs(database: Database, nodes: Mapping[str, TreeNode]) -> Mapping[str, JobProgress]:
    """Job -> how far it is, for those of ``nodes`` that run and have reported it."""
    found = ((nodes.get(one.job), one) for one in reported(database))
    return {node.id: one for node, one in found if node and _is_about(one, node)}


def _is_about(one: JobProgress, node: TreeNode) -> bool:
    return node.stored_status == JobStatus.RUNNING and node.attempts == one.attempt
