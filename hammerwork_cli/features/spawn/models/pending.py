"""Jobs that have yet to spawn."""

from typing import NamedTuple

from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.tree.model import TreeNode


class PendingSpawn(NamedTuple):
    """A job that has not spawned yet, or that completed without a child."""

    job: TreeNode
    # `asked_again` (a spawn request is open), `will_spawn`, `never_spawned` (completed without a child), `waiting` (a
    # dependency has not ended) or `stuck` (waits although all of its dependencies have ended or no longer exist).
    reason: str
    waits_for: Counts  # its dependencies by status
