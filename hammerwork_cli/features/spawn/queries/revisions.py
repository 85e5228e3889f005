"""Changes of jobs and pauses since the last refresh."""

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.features.queue.queries import all_paused
from hammerwork_cli.features.tree.model import TreeNode

OVERLAP = timedelta(seconds=3)
"""Each refresh starts this long before the end of the previous one: clocks differ, and commits take time."""
MOST_CHANGES = 2000
"""Jobs in a refresh. If more have changed, the subscribers must read again for themselves."""


class RevisionChanges(NamedTuple):
    """Changes that a refresh found."""

    jobs: tuple[TreeNode, ...]  # the changed jobs in their present state
    pauses: bool  # whether a queue was paused or resumed
    too_many: bool  # more jobs changed than a refresh reads

    def __bool__(self) -> bool:
        return bool(self.jobs) or self.pauses or self.too_many


class ChangeWatch:
    """Finds changes with two statements per refresh, for any number of subscribers. The first refresh finds none."""

    def __init__(self) -> None:
        # The thread that refreshes writes these; one refresh ends before the next begins.
        self._since: datetime | None = None
        self._known: dict[str, Hashable] = {}
        self._pauses: Hashable = None

    def refresh(self, database: Database) -> RevisionChanges:
        """Returns the changes since the last refresh.

        Raises DatabaseError if the query failed. The next refresh catches up.
        """
        now = database.now()
        since = (self._since or now) - OVERLAP
        found = database.rows("spawn.revisions.jobs", since=since, until=now + OVERLAP, most=MOST_CHANGES)
        nodes = [TreeNode._make(row) for row in found]
        states = {node.id: _state(node) for node in nodes}
        pauses = tuple(all_paused(database))
        changes = RevisionChanges(
            tuple(node for node in nodes if self._known.get(node.id) != states[node.id]),
            pauses != self._pauses,
            len(nodes) >= MOST_CHANGES,
        )
        is_first, self._since, self._known, self._pauses = self._since is None, now, states, pauses
        return RevisionChanges((), False, False) if is_first else changes


def _state(node: TreeNode) -> Hashable:
    return node.stored_status, node.attempts, node.started_at, node.completed_at, node.failed_at, node.archived_at
