"""Changes of jobs and pauses since the last refresh."""

from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.features.queue.queries import all_paused
from hammerwork_cli.features.tree.model import TreeNode

OVERLAP = timedelta(seconds=3)
"""Each refresh starts this long before the end of the previous one: clocks differ, and commits take time."""
LOOK_BACK_EVERY = 10
"""Refreshes of which one looks further back: a transaction may stay open for longer, and clocks may differ by more."""
LOOK_BACK = timedelta(minutes=5)
"""How far back it looks; less far where ``MOST_CHANGES`` jobs have changed since."""
MOST_CHANGES = 2000
"""Jobs in a refresh. If more have changed, the subscribers must read again for themselves."""
MOST_KNOWN = 20_000
"""Jobs whose states are remembered: more than a look back finds, and the refreshes until the next."""


class RevisionChanges(NamedTuple):
    """Changes that a refresh found."""

    jobs: tuple[TreeNode, ...]  # the changed jobs in their present state
    pauses: bool  # whether a queue was paused or resumed
    too_many: bool  # more jobs changed than a refresh reads

    def __bool__(self) -> bool:
        return bool(self.jobs) or self.pauses or self.too_many


class ChangeWatch:
    """Finds changes for any number of subscribers. The first refresh finds none.

    A refresh takes two statements, and one in ten a third, which looks back for changes that were committed late.
    """

    def __init__(self) -> None:
        # The thread that refreshes writes these; one refresh ends before the next begins.
        self._refreshes = 0
        self._since: datetime | None = None
        self._known_since = datetime.min.replace(tzinfo=UTC)
        # The states of all jobs that have changed since then, and of some that changed before. The last seen are last.
        self._known: dict[str, Hashable] = {}
        self._pauses: Hashable = None

    def refresh(self, database: Database) -> RevisionChanges:
        """Returns the changes since the last refresh.

        Raises DatabaseError if the query failed. The next refresh catches up.
        """
        now = database.now()
        since = (self._since or now) - OVERLAP
        known_since = min(since, max(self._known_since, now - LOOK_BACK))
        # This comes first, so that `latest` has what is committed between the two statements.
        earlier = _changed(database, known_since, now) if self._refreshes % LOOK_BACK_EVERY == 0 else {}
        latest = _changed(database, since, now)
        pauses = tuple(all_paused(database))
        late = earlier.keys() - latest.keys() - self._known.keys()
        is_cut = len(earlier) >= MOST_CHANGES
        found = earlier | latest
        changes = RevisionChanges(
            tuple(node for node, state in found.values() if self._known.get(node.id) != state),
            pauses != self._pauses,
            len(latest) >= MOST_CHANGES or (is_cut and bool(late)),
        )
        is_first, self._since, self._pauses = self._since is None, now, pauses
        self._refreshes += 1
        if is_cut:  # the next looks back half as far; the first does not know what it has left out
            known_since = since if is_first else known_since + (now - known_since) / 2
        self._known_since = known_since
        self._remember({job: state for job, (_, state) in found.items()})
        return RevisionChanges((), False, False) if is_first else changes

    def _remember(self, states: dict[str, Hashable]) -> None:
        for job in states:
            self._known.pop(job, None)
        self._known |= states
        for job in list(islice(self._known, max(len(self._known) - MOST_KNOWN, 0))):
            del self._known[job]


def _changed(database: Database, since: datetime, now: datetime) -> dict[str, tuple[TreeNode, Hashable]]:
    """Id -> the job and its state."""
    rows = database.rows("spawn.revisions.jobs", since=since, until=now + OVERLAP, most=MOST_CHANGES)
    found: dict[str, tuple[TreeNode, Hashable]] = {}
    for due, *columns in rows:
        node = TreeNode._make(columns)
        times = node.started_at, node.completed_at, node.failed_at, node.archived_at
        found[node.id] = node, (due, node.stored_status, node.attempts, *times)
    return found
