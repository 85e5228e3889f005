"""Watches one tree until all of its jobs have ended."""

from datetime import UTC, datetime
from typing import NamedTuple

from hammerwork_cli.core.values import Counts
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.queries import wait
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.spawn_tree import SpawnTree


class WatchedTree(NamedTuple):
    """A tree at one refresh."""

    tree: SpawnTree  # the tree as far as it was read
    at: datetime  # time of the refresh
    finished: bool  # whether all jobs of the whole tree have ended and no others are coming
    counts: Counts  # all jobs of the whole tree by status
    stuck: int  # number of jobs that can never run unless an operator steps in


class TreePictures:
    """Reads the part of the tree that is drawn anew at each refresh, and checks the whole tree like ``spawn wait``.

    Args:
        whole: watch the whole tree of the job; otherwise the job and its descendants.
        depth: levels to read below the roots.
    """

    def __init__(
        self, database: Database, job: str, *, whole: bool, depth: int | None = None, max_jobs: int | None = None
    ) -> None:
        self._database = database
        self._job = job
        self._whole = whole
        self._depth = depth
        self._max_jobs = max_jobs
        self._waiting: wait.TreeWatch | None = None

    def connected(self, database: Database) -> None:
        """Continues with another connection."""
        self._database = database
        if self._waiting:
            self._waiting.connected(database)

    def refresh(self) -> WatchedTree:
        """Reads the tree again. Raises NotFoundError if the job does not exist."""
        over = self._tree_watch().refresh()
        tree = tree_queries.tree(
            self._database, self._job, whole=self._whole, depth=self._depth, max_jobs=self._max_jobs
        )
        watch = self._tree_watch()
        return WatchedTree(
            tree=tree,
            at=datetime.now(UTC),
            finished=over and not watch.stuck,
            counts=watch.counts,
            stuck=len(watch.stuck),
        )

    def _tree_watch(self) -> wait.TreeWatch:
        if self._waiting is None:
            whole = tree_queries.tree(self._database, self._job, whole=True, depth=0).roots
            watch = wait.TreeWatch(self._database, whole if self._whole else (self._job,), datetime.now(UTC))
            watch.read()
            watch.find_stuck()
            self._waiting = watch
        return self._waiting
