"""Reads trees: up to the topmost ancestors, then down a level at a time."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from operator import lt
from typing import Any

from hammerwork_cli.core.values import Counts, id_list
from hammerwork_cli.database import Database
from hammerwork_cli.features.tree.model import JobDate, TreeNode, oldest_first
from hammerwork_cli.features.tree.queries import progress, records
from hammerwork_cli.features.tree.queries.child_totals import no_collector
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.tree.spawn_tree import Lineage, SpawnTree, linked, parents_first, tops

_CREATED_AT = TreeNode._fields.index("created_at")


def tree(
    database: Database,
    job: str,
    *,
    whole: bool = True,
    depth: int | None = None,
    max_jobs: int | None = None,
    dated: bool = False,
) -> SpawnTree:
    """Reads the tree of a job in one snapshot.

    Raises JobNotFoundError if there is no such job.

    Args:
        whole: read from the topmost ancestors down; otherwise from the job down.
        depth: levels to read below the roots.
        max_jobs: stop after about this number of jobs; failed jobs are then read first.
    """
    dates: dict[str, JobDate] = {}
    with database.snapshot(), no_collector():
        relatives = Relatives(database, dates if dated else None)
        target = relatives.job(job)
        above = _Ascent(relatives, target, max_jobs)
        if whole:
            above.climb()
        descent = _Descent(relatives, above.roots(), depth, max_jobs)
        descent.walk()
        if target.id not in descent.nodes:
            descent.add(node for _, node in [*above.by_distance(), (0, target)])
        found = descent.tree(target.id)
        return replace(found, dates=dates, progress=progress.of_jobs(database, found.nodes.values()))


def lineage(
    database: Database, job: str, *, ancestors: bool, descendants: bool, depth: int, max_jobs: int | None = None
) -> Lineage:
    """Reads a job's ancestors up to ``depth`` levels above it and its descendants down to ``depth`` below.

    Raises JobNotFoundError if there is no such job.
    """
    with database.snapshot():
        relatives = Relatives(database)
        target = relatives.job(job)
        above = _Ascent(relatives, target, max_jobs)
        chain = None
        if ancestors:
            above.climb(depth)
            chain = tuple(above.by_distance())
        below = tree(database, job, whole=False, depth=depth, max_jobs=max_jobs) if descendants else None
        return Lineage(target, chain, below, frozenset(above.missing), above.truncated)


def among(database: Database, jobs: Iterable[str]) -> SpawnTree:
    """The trees that some jobs form among themselves, without a target and without other jobs."""
    with database.snapshot(), no_collector():
        relatives = Relatives(database)
        nodes = {node.id: node for node in relatives.jobs(jobs)}
        outside = {parent for node in nodes.values() for parent in node.depends_on} - nodes.keys()
        found = linked(nodes)
        return replace(
            found,
            missing=frozenset(outside) - {node.id for node in relatives.jobs(sorted(outside))},
            recorded=records.parents(database, list(found.children)),
        )


class _Ascent:
    def __init__(self, relatives: Relatives, target: TreeNode, max_jobs: int | None) -> None:
        self.relatives = relatives
        self.target = target
        self.nodes = {target.id: target}
        self.distances = {target.id: 0}
        self.missing: set[str] = set()
        self.max_jobs = max_jobs
        self.truncated = False

    def climb(self, levels: int | None = None) -> None:
        """Reads upward with one statement per level, to the top or until a limit is reached."""
        frontier = self._unknown_parents([self.target])
        distance = 0
        while frontier:
            if distance == levels or (self.max_jobs and len(self.nodes) >= self.max_jobs):
                self.truncated = True
                return
            distance += 1
            found = self.relatives.jobs(frontier)
            for node in found:
                self.nodes[node.id] = node
                self.distances[node.id] = distance
            self.missing.update(set(frontier) - self.nodes.keys())
            frontier = self._unknown_parents(found)

    def _unknown_parents(self, nodes: Iterable[TreeNode]) -> list[str]:
        known = self.nodes.keys() | self.missing
        return list(dict.fromkeys(parent for node in nodes for parent in node.depends_on if parent not in known))

    def by_distance(self) -> list[tuple[int, TreeNode]]:
        """(distance, ancestor), the farthest first."""
        above = [(self.distances[node.id], node) for node in self.nodes.values() if node.id != self.target.id]
        return sorted(above, key=lambda pair: (-pair[0], oldest_first(pair[1])))

    def roots(self) -> list[TreeNode]:
        return tops(self.nodes)


class _Descent:
    """The descendants of some roots, read a level at a time."""

    def __init__(self, relatives: Relatives, roots: list[TreeNode], depth: int | None, max_jobs: int | None) -> None:
        self.relatives = relatives
        self.roots = [root.id for root in roots]
        self.nodes = {root.id: root for root in roots}
        self.depths = dict.fromkeys(self.roots, 0)
        self.children: dict[str, list[str]] = {}
        self.depth = depth
        self.max_jobs = max_jobs
        self.has_joins = len(roots) > 1
        self.frontier = list(self.roots)
        self.cut: list[str] = []

    def walk(self) -> None:
        """Reads downward to the leaves or until a limit is reached."""
        level = 0
        while self.frontier:
            if level == self.depth or self._room() == 0:
                self.cut += self.frontier
                return
            level += 1
            self.frontier = self._level(level)

    def add(self, path: Iterable[TreeNode]) -> None:
        """Adds the target, if a limit left it out, and the path to it from the roots."""
        for node in path:
            if node.id not in self.nodes:
                above = [self.depths[parent] for parent in node.depends_on if parent in self.depths]
                self.nodes[node.id] = node
                self.depths[node.id] = min(above, default=-1) + 1
                self.cut.append(node.id)

    def _room(self) -> int | None:
        return None if self.max_jobs is None else max(self.max_jobs - len(self.nodes), 0)

    def _level(self, level: int) -> list[str]:
        room = self._room()
        found = self._children(room).values()
        created: list[Any] = [child[_CREATED_AT] for child in found]
        try:
            # Most databases return children by the order of their creation, which is that of their parents.
            in_order = all(map(lt, created, islice(created, 1, None)))
        except TypeError:  # there is a job without a time
            in_order = False
        fresh = found if in_order else sorted(found, key=oldest_first)
        ids = [child[0] for child in fresh]
        self.nodes.update(zip(ids, fresh, strict=True))
        self.depths.update(dict.fromkeys(ids, level))
        return ids

    def _children(self, room: int | None) -> dict[str, TreeNode]:
        """Returns the jobs below the frontier that are not in the tree yet, at most ``room`` of them."""
        nodes = self.nodes
        if room is None:
            return {child[0]: child for child in self.relatives.children(self.frontier) if child[0] not in nodes}
        found: dict[str, TreeNode] = {}
        for child in self.relatives.children(self.frontier, room + 1):
            job = child[0]
            if job in nodes:
                continue
            if len(found) >= room:
                self.cut += self.frontier
                break
            found[job] = child
        return found

    def tree(self, target: str) -> SpawnTree:
        """Returns the jobs that were read, in their final order."""
        outside = self._link()
        counts = self._cut_counts()
        unconfigured = [job for job in self.children if self.nodes[job].stored_config is None]
        return SpawnTree(
            roots=tuple(self.roots),
            target=target,
            nodes={job: self.nodes[job] for job in parents_first(self.nodes, self.children)}
            if self.has_joins
            else self.nodes,
            depths=self.depths,
            children=self.children,
            child_counts=counts,
            unread=frozenset(job for job in self.cut if job not in self.children),
            missing=frozenset(outside) - {node.id for node in self.relatives.jobs(outside)},
            recorded=records.parents(self.relatives.database, unconfigured),
        )

    def _link(self) -> list[str]:
        """Fills ``children``; returns the parents that are not in the tree."""
        siblings: dict[Any, list[str]] = {}
        for job, node in self.nodes.items():
            siblings.setdefault(node.stored_parents, []).append(job)
        outside: dict[str, None] = {}
        merged = set()
        for stored, jobs in siblings.items():
            # Jobs with the same parents are linked together: most jobs have siblings and one parent.
            parents = dict.fromkeys(id_list(stored))
            self.has_joins = self.has_joins or len(parents) > 1
            for parent in parents:
                if parent not in self.nodes:
                    outside[parent] = None
                elif parent in self.children:
                    self.children[parent] += jobs
                    merged.add(parent)
                else:
                    self.children[parent] = list(jobs)
        if merged:
            place = {job: number for number, job in enumerate(self.nodes)}
            for parent in merged:
                self.children[parent].sort(key=place.__getitem__)
        return list(outside)

    def _cut_counts(self) -> dict[str, Counts]:
        """Exact counts of children for the jobs whose children were not all read."""
        totals = self.relatives.child_counts(self.cut) if self.cut else {}
        return {
            parent: total.counts
            for parent, total in totals.items()
            if total.counts.total > len(self.children.get(parent, ()))
        }
