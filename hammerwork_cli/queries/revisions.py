"""What changed in the last moments, looked at again and again."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hammerwork_cli.database import Database
from hammerwork_cli.models import TreeNode
from hammerwork_cli.queries.queues import all_paused

OVERLAP = timedelta(seconds=3)
"""How far a look reaches back before the one before: clocks differ, and a commit takes its time."""
MOST_CHANGES = 2000
"""Jobs a look; where more have changed, those who watch are told to look themselves."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look found that the one before had not.

    Attributes:
        jobs: as they are now.
        pauses: whether queues were paused or resumed.
        too_many: more jobs changed than a look reads.
    """

    jobs: tuple[TreeNode, ...]
    pauses: bool
    too_many: bool

    def __bool__(self) -> bool:
        return bool(self.jobs) or self.pauses or self.too_many


class ChangeWatch:
    """Looks for changes: two statements a look, however many want to know. The first look finds none."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._known: dict[str, Hashable] = {}
        self._pauses: Hashable = None

    def look(self, database: Database) -> Changes:
        """What changed since the last look.

        Raises:
            DatabaseError: the database could not be asked. The next look catches up.
        """
        now = database.now()
        since = (self._since or now) - OVERLAP
        found = database.rows("revisions.jobs", since=since, until=now + OVERLAP, most=MOST_CHANGES)
        nodes = [TreeNode._make(row) for row in found]
        states = {node.id: _state(node) for node in nodes}
        pauses = tuple(all_paused(database))
        changes = Changes(
            tuple(node for node in nodes if self._known.get(node.id) != states[node.id]),
            pauses != self._pauses,
            len(nodes) >= MOST_CHANGES,
        )
        is_first, self._since, self._known, self._pauses = self._since is None, now, states, pauses
        return Changes((), False, False) if is_first else changes


def _state(node: TreeNode) -> Hashable:
    return node.stored_status, node.attempts, node.started_at, node.completed_at, node.failed_at, node.archived_at
