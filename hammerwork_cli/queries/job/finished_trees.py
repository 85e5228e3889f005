"""Whole trees all of whose jobs have ended, to be deleted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import JobFilter, TreeNode, timestamp
from hammerwork_cli.queries.graph.relatives import Relatives
from hammerwork_cli.queries.job.listing import chosen
from hammerwork_cli.queries.job.selections import BATCH, Batch, Found, grouped

ROOTS = 200
"""Trees that are read together."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class FinishedTrees:
    """Trees whose root fits a filter, and all of whose jobs have its statuses and ended before its time.

    Jobs below several roots make one tree of them. The jobs of a tree come from the bottom up: after an interruption
    its root is still there, and a second run deletes the rest.
    """

    named: Sequence[str] = ()

    def __init__(self, wanted: JobFilter) -> None:
        self._roots = wanted
        self.wanted = replace(wanted, queue=None)

    def read(self, database: Database) -> Found:
        """See :class:`Selection`."""
        nodes = list(chain.from_iterable(self._trees(database)))
        return Found(grouped(nodes), nodes=nodes)

    def batches(self, database: Database) -> Iterator[Batch]:
        """See :class:`Selection`."""
        ids: list[str] = []
        for nodes in self._trees(database):
            ids += [node.id for node in nodes]
            while len(ids) >= BATCH:
                yield Batch(ids[:BATCH])
                del ids[:BATCH]
        if ids:
            yield Batch(ids)

    def has_failed_parents(self, database: Database, found: Found) -> bool:
        """See :class:`Selection`. False: the dependencies of a job are in its tree."""
        del database, found
        return False

    def _trees(self, database: Database) -> Iterator[list[TreeNode]]:
        """Yields the jobs of each finished tree once, the lowest level first."""
        after: str | None = None
        seen: set[str] = set()
        while True:
            rows = database.rows("job.selections.root_ids", **chosen(self._roots), after=after, limit=ROOTS)
            roots = [str(job) for (job,) in rows]
            for nodes in self._finished(database, roots):
                if seen.isdisjoint(node.id for node in nodes):
                    yield nodes
                    seen.update(node.id for node in nodes if not node.depends_on)
            if len(roots) < ROOTS:
                return
            after = roots[-1]

    def _finished(self, database: Database, roots: Sequence[str]) -> Iterator[list[TreeNode]]:
        with database.snapshot():
            relatives = Relatives(database)
            found = _Forest(relatives.jobs(roots))
            found.grow(relatives)
        for nodes in found.trees():
            live = _live(database, nodes)
            if all(map(self._fits, live)):
                yield list(reversed(live))

    def _fits(self, node: TreeNode) -> bool:
        ended = timestamp(node.completed_at or node.failed_at or node.created_at) or _LONG_AGO
        before = self.wanted.ended_before
        return node.status in self.wanted.statuses and (before is None or ended < before)


class _Forest:
    """Some roots, all of their descendants, and the other trees to which some of these belong too."""

    def __init__(self, roots: Iterable[TreeNode]) -> None:
        self.nodes = {node.id: node for node in roots}
        self._root: dict[str, str] = {}

    def grow(self, relatives: Relatives) -> None:
        """Reads downward a level at a time, and upward to parents outside, until nothing is left to read."""
        frontier = list(self.nodes)
        looked_for: set[str] = set()
        while frontier:
            fresh = {child.id: child for child in relatives.children(frontier) if child.id not in self.nodes}
            self.nodes |= fresh
            frontier = list(fresh)
            if not frontier:
                outside = {parent for node in self.nodes.values() for parent in node.depends_on}
                outside -= self.nodes.keys() | looked_for
                looked_for |= outside  # some do not exist
                found = relatives.jobs(sorted(outside))
                self.nodes |= {node.id: node for node in found}
                frontier = [node.id for node in found]

    def trees(self) -> list[list[TreeNode]]:
        """The jobs of each tree, those that were read first at the start."""
        for job, node in self.nodes.items():
            for parent in node.depends_on:
                if parent in self.nodes:
                    self._root[self._top(job)] = self._top(parent)
        members: dict[str, list[TreeNode]] = {}
        for job, node in self.nodes.items():
            members.setdefault(self._top(job), []).append(node)
        return list(members.values())

    def _top(self, job: str) -> str:
        path = []
        while (above := self._root.setdefault(job, job)) != job:
            path.append(job)
            job = above
        for step in path:
            self._root[step] = job
        return job


def _live(database: Database, nodes: Sequence[TreeNode]) -> list[TreeNode]:
    """Leaves out jobs that are only in the archive."""
    archived = [node.id for node in nodes if node.archived_at is not None]
    live = {
        str(row[0])
        for part in chunks(archived, database.read_chunk)
        for row in database.rows("graph.relatives.states", ids=database.ids(part))
    }
    return [node for node in nodes if node.archived_at is None or node.id in live]
