"""One tree, looked at again and again until all of it has finished."""

from dataclasses import dataclass
from datetime import UTC, datetime

from hammerwork_cli.database import Database
from hammerwork_cli.models import Counts, SpawnTree
from hammerwork_cli.queries.graph import tree as tree_queries
from hammerwork_cli.queries.spawn import wait


@dataclass(frozen=True, slots=True)
class WatchedTree:
    """A look at a tree.

    Attributes:
        tree: as far as it was read.
        at: when, by the server's clock.
        finished: whether all jobs of the whole tree have ended, and no more are coming.
        counts: all jobs of the whole tree by status.
        stuck: jobs that can never run as it is.
    """

    tree: SpawnTree
    at: datetime
    finished: bool
    counts: Counts
    stuck: int


class TreePictures:
    """Reads what is drawn anew each time; whether the tree has finished is asked for as ``spawn wait`` does.

    Args:
        database: an open connection.
        job: a full id.
        whole: the whole tree that the job belongs to; otherwise the job and what is below.
        depth: levels to read below the roots.
        max_jobs: jobs to read at most.
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
        """Goes on with another connection."""
        self._database = database
        if self._waiting:
            self._waiting.connected(database)

    def look(self) -> WatchedTree:
        """One look.

        Raises:
            NotFoundError: the job is not there, or not any more.
        """
        over = self._look().look()
        tree = tree_queries.tree(
            self._database, self._job, whole=self._whole, depth=self._depth, max_jobs=self._max_jobs
        )
        watch = self._look()
        return WatchedTree(
            tree=tree,
            at=datetime.now(UTC),
            finished=over and not watch.stuck,
            counts=watch.counts,
            stuck=len(watch.stuck),
        )

    def _look(self) -> wait.TreeWatch:
        if self._waiting is None:
            whole = tree_queries.tree(self._database, self._job, whole=True, depth=0).roots
            watch = wait.TreeWatch(self._database, whole if self._whole else (self._job,), datetime.now(UTC))
            watch.read()
            watch.find_stuck()
            self._waiting = watch
        return self._waiting
