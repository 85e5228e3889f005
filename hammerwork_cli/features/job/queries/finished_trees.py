"""Deletes jobs that have ended; and whole trees all of whose jobs have ended, to be deleted or archived."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from hammerwork_cli.core.values import Counts, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import Reason
from hammerwork_cli.features.job.queries.changes import Delete
from hammerwork_cli.features.job.queries.dependencies import LockedJob, read_jobs
from hammerwork_cli.features.job.queries.listing import chosen
from hammerwork_cli.features.job.queries.selections import BATCH, ChangeBatch, Snapshot, groups_of
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.relatives import CHILD_STATES, Relatives

ROOTS = 200
"""Most trees that are read together."""
MOST_TOGETHER = 20_000
"""Jobs of trees that are read together; a larger tree is read by itself."""


class PurgeJobs(Delete):
    """Removes finished jobs by their age.

    It keeps jobs that others wait for, and those for which a worker has yet to spawn, or which it has yet to count.

    Args:
        whole: keep a job whose children stay, so that no tree loses its top or its middle.
    """

    action = "purge"
    refusals = Delete.refusals - {Reason.WAITED_FOR}

    def __init__(self, now: datetime, *, whole: bool = False) -> None:
        super().__init__(now)
        self.whole = whole

    def kept(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> int:
        """How many of these jobs :meth:`step` would keep. It locks nothing."""
        jobs = read_jobs(database, ids, wanted)
        free = [job for job in jobs if self._refusal(job) is None]
        return len(ids) - len(free) + len(self._later(database, free))

    def _later(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        kept = super()._later(database, jobs)
        ids = [job.id for job in jobs]
        for job, is_requested in database.rows_of("job.selections.reserved", ids, database.key_chunk):
            kept[str(job)] = Reason.SPAWN_REQUESTED if is_requested else Reason.AWAITED
        if not self.whole:
            below = _below_uncounted(database, [job for job in jobs if job.id not in kept])
            return kept | dict.fromkeys(below, Reason.AWAITED)
        going = {job.id: job for job in jobs if job.id not in kept}
        above = _parents_of_staying(database, going)
        while above := {parent for parent in above if parent in going}:
            kept |= dict.fromkeys(above, Reason.HAS_CHILDREN)
            above = {parent for job in above for parent in going.pop(job).depends_on}
        return kept


def _below_uncounted(database: Database, jobs: Sequence[LockedJob]) -> set[str]:
    """The jobs below one whose tree a worker has yet to count for a callback."""
    if database.row("job.selections.any_uncounted") is None:
        return set()
    relatives = Relatives(database)
    above = {job.id: job.depends_on for job in jobs}
    level = {parent for parents in above.values() for parent in parents} - above.keys()
    while level:
        above |= dict.fromkeys(level, ()) | {node.id: node.depends_on for node in relatives.jobs(sorted(level))}
        level = {parent for job in level for parent in above[job]} - above.keys()
    below: dict[str, list[str]] = {}
    for job, parents in above.items():
        for parent in parents:
            below.setdefault(parent, []).append(job)
    reached: set[str] = set()
    coming = [str(job) for (job,) in database.rows_of("job.selections.uncounted_trees", sorted(below))]
    while coming:
        more = [job for job in below.get(coming.pop(), ()) if job not in reached]
        reached.update(more)
        coming += more
    return reached & {job.id for job in jobs}


def _parents_of_staying(database: Database, going: Mapping[str, LockedJob]) -> set[str]:
    """The parents of the live children that are not among the jobs which go."""
    relatives = Relatives(database)
    children = {
        str(job)
        for statement, part in relatives.lookups(CHILD_STATES, sorted(going))
        for job, *_ in database.rows(statement, ids=part)
    }
    return {parent for node in relatives.jobs(sorted(children - going.keys())) for parent in node.depends_on}


class Finished(NamedTuple):
    """A tree that goes."""

    ids: Sequence[str]  # its live jobs, each after the jobs that depend on it
    counts: dict[str, Counts]  # queue -> its live jobs by status


class FinishedTrees:
    """Trees whose roots fit a filter, and all of whose jobs have ended as it says, in whatever queue.

    Jobs below several roots make one tree of them, which goes only if each of the roots fits. A root is a job without a
    parent in the table of jobs. The jobs of a tree come from the bottom up: after an interruption its root is still
    there, and a second run takes the rest. A tree stays while a worker has yet to spawn for one of its jobs, or to
    count it for a callback.

    Args:
        is_over: called before each level of the trees is read; returns whether to stop.
    """

    named: Sequence[str] = ()

    def __init__(
        self, wanted: JobFilter, *, batch: int | None = None, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._roots = wanted
        self._batch = batch or BATCH
        self._is_over = is_over
        self.wanted = wanted._replace(queues=(), but_queues=())

    def read(self, database: Database) -> Snapshot:
        found: dict[str, Counts] = {}
        for tree in self._trees(database):
            for queue, counts in tree.counts.items():
                found.setdefault(queue, Counts()).merge(counts)
        return Snapshot(groups_of(found))

    def batches(self, database: Database) -> Iterator[ChangeBatch]:
        ids: list[str] = []
        for tree in self._trees(database):
            for part in chunks(tree.ids, self._batch):
                ids += part
                if len(ids) >= self._batch:
                    yield ChangeBatch(ids[: self._batch])
                    del ids[: self._batch]
        if ids:
            yield ChangeBatch(ids)

    def has_failed_parents(self, database: Database, found: Snapshot) -> bool:
        """False: the dependencies of a job are in its tree."""
        del database, found
        return False

    has_dependents = has_failed_parents

    def _pages(self, database: Database) -> Iterator[list[str]]:
        """Yields the roots that may go, :data:`ROOTS` at a time."""
        after: str | None = None
        while True:
            rows = database.rows("job.selections.root_ids", **chosen(self._roots), after=after, limit=ROOTS)
            roots = [str(job) for (job,) in rows]
            if roots:
                yield roots
            if len(roots) < ROOTS:
                return
            after = roots[-1]

    def _trees(self, database: Database) -> Iterator[Finished]:
        """Yields each finished tree once."""
        seen: set[str] = set()  # the roots of the trees with several
        together = ROOTS
        for page in self._pages(database):
            roots = page
            while roots := [job for job in roots if job not in seen]:
                part = roots[:together]
                forest = self._read(database, part)
                if forest is None:
                    return
                if forest.frontier:
                    together = len(part) // 2
                    continue
                roots = roots[len(part) :]
                if len(forest.parents) < MOST_TOGETHER // 2:
                    together = min(2 * together, ROOTS)
                trees = [tree.live(database) for tree in forest.trees()]
                seen.update(chain.from_iterable(tree.roots for tree in trees if len(tree.roots) > 1))
                yield from self._finished(database, trees)

    def _read(self, database: Database, roots: Sequence[str]) -> "_Forest | None":
        """Returns the trees of some roots; only a part, with a frontier, if they are too large to be read together.

        ``None`` if the time is over. No snapshot lasts from level to level: jobs are looked at again under locks.
        """
        relatives = Relatives(database)
        most = MOST_TOGETHER if len(roots) > 1 else None
        forest = _Forest(relatives.jobs(roots))
        asked = 0
        while forest.frontier and not forest.passes(most):
            forest.grow(relatives, most)
            if len(forest.parents) - asked >= BATCH:
                asked = len(forest.parents)
                if self._is_over():
                    return None
        return forest

    def _finished(self, database: Database, trees: Sequence["_Live"]) -> Iterator[Finished]:
        """Yields the trees all of whose live jobs fit, and all of whose roots."""
        fits = _fitting(database, chain.from_iterable(tree.jobs for tree in trees), self.wanted)
        leading = fits
        if self._roots != self.wanted:
            leading = _fitting(database, chain.from_iterable(tree.roots for tree in trees), self._roots)
        for jobs, roots in trees:
            if jobs and all(job in leading for job in roots) and all(job in fits for job in jobs):
                counts: dict[str, Counts] = {}
                for (queue, status), number in Counter(fits[job] for job in jobs).items():
                    counts.setdefault(queue, Counts()).add(status_of(status), number)
                yield Finished(jobs, counts)


def _fitting(database: Database, jobs: Iterable[str], wanted: JobFilter) -> dict[str, tuple[str, str]]:
    """The queue and the status of those jobs that fit a filter."""
    return {
        str(job): (sys.intern(queue), sys.intern(status))
        for job, queue, status in database.rows_of("job.selections.fitting", list(jobs), **chosen(wanted))
    }


class _Live(NamedTuple):
    """The jobs of a tree that are not only in the archive."""

    jobs: list[str]  # from the bottom up: each after those that depend on it
    roots: list[str]  # those that depend on none of them. Jobs that depend on each other in a circle have none.


class _Links:
    """The jobs of some trees and their parents, and nothing else: a tree may have a million."""

    def __init__(self) -> None:
        self.parents: dict[str, tuple[str, ...]] = {}
        self.archived: set[str] = set()

    def live(self, database: Database) -> _Live:
        """The jobs that are not only in the archive."""
        archived = [job for job in self.parents if job in self.archived]
        marked = {str(job) for job, *_ in database.rows_of("tree.relatives.states", archived)}
        live = dict.fromkeys(job for job in self._upward() if job not in self.archived or job in marked)
        return _Live(list(live), [job for job in live if live.keys().isdisjoint(self.parents[job])])

    def _upward(self) -> Iterator[str]:
        children = dict.fromkeys(self.parents, 0)
        for parents in self.parents.values():
            for parent in parents:
                if parent in children:
                    children[parent] += 1
        ready = deque(job for job, number in children.items() if not number)
        while ready:
            job = ready.popleft()
            yield job
            del children[job]
            for parent in self.parents[job]:
                if parent in children:
                    children[parent] -= 1
                    if not children[parent]:
                        ready.append(parent)
        yield from children  # jobs that depend on each other in a circle


class _Forest(_Links):
    """Some roots, all of their descendants, and the other trees to which some of these belong too."""

    def __init__(self, roots: Iterable[TreeNode]) -> None:
        super().__init__()
        self._root: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._looked_for: set[str] = set()
        self.frontier = self._add(roots)  # the jobs whose children are to be read next; empty once the trees are whole

    def passes(self, most: int | None) -> bool:
        """Whether it has more jobs than that."""
        return most is not None and len(self.parents) > most

    def _add(self, nodes: Iterable[TreeNode], most: int | None = None) -> list[str]:
        """Keeps the new ones, until it has more than ``most``; returns their ids."""
        fresh: list[str] = []
        for node in nodes:
            if node.id not in self.parents:
                job = self._names.setdefault(node.id, node.id)
                self.parents[job] = tuple(self._names.setdefault(parent, parent) for parent in node.depends_on)
                if node.archived_at is not None:
                    self.archived.add(job)
                fresh.append(job)
                if self.passes(most):
                    break
        return fresh

    def grow(self, relatives: Relatives, most: int | None) -> None:
        """Reads the level below the frontier, and at the bottom the parents outside. Stops at more jobs than ``most``.

        A statement that has left jobs out has then returned more than ``most``.
        """
        self.frontier = self._add(relatives.children(self.frontier, most and most + 1), most)
        if not self.frontier:
            outside = {parent for parents in self.parents.values() for parent in parents}
            outside -= self.parents.keys() | self._looked_for
            self._looked_for |= outside  # some do not exist
            self.frontier = self._add(relatives.jobs(sorted(outside)))

    def trees(self) -> list[_Links]:
        """The trees of which it consists."""
        for job, parents in self.parents.items():
            for parent in parents:
                if parent in self.parents:
                    self._root[self._top(job)] = self._top(parent)
        found: dict[str, _Links] = {}
        for job, parents in self.parents.items():
            tree = found.setdefault(self._top(job), _Links())
            tree.parents[job] = parents
            if job in self.archived:
                tree.archived.add(job)
        return list(found.values())

    def _top(self, job: str) -> str:
        path = []
        while (above := self._root.setdefault(job, job)) != job:
            path.append(job)
            job = above
        for step in path:
            self._root[step] = job
        return job
