"""Reads how far running jobs are."""

from collections.abc import Iterable, Mapping

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


def of_jobs(database: Database, nodes: Iterable[TreeNode]) -> Mapping[str, JobProgress]:
    """Job -> how far it is, for those that run and have reported it. No statement if none runs."""
    attempts = {node.id: node.attempts for node in nodes if node.stored_status == JobStatus.RUNNING}
    return {one.job: one for one in reported(database) if attempts.get(one.job) == one.attempt} if attempts else {}
