"""Trees of jobs."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.cached import cached
from hammerwork_cli.core.values import Counts, timestamp
from hammerwork_cli.features.tree.model import JobDate, TreeNode, oldest_first
from hammerwork_cli.features.tree.progress import JobProgress


@dataclass(frozen=True)
class SpawnTree:
    """A tree, or the part of it that was read."""

    roots: tuple[str, ...]  # the topmost ancestors. A join has several; in a cycle, the oldest job counts as the root.
    target: str  # id of the job that the caller asked for; empty if it asked for no single one
    nodes: dict[str, TreeNode]  # id -> node, parents before children, in a stable order
    depths: dict[str, int]  # id -> levels below the nearest root
    children: dict[str, list[str]]  # id -> ids of the children that were read, in a stable order
    # Id -> exact counts of the children by status, for jobs with unread children.
    child_counts: dict[str, Counts] = field(default_factory=dict)
    # Ids of jobs none of whose children were read (because of a limit on depth or jobs).
    unread: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()  # ids of dependencies that do not exist in the database
    # Jobs that spawned without a spawn configuration: a worker found the spawn handler by their queue.
    recorded: frozenset[str] = frozenset()
    # Id -> counts of the jobs below those children that a limit of a drawing leaves out.
    below_omitted: Mapping[str, Counts] = field(default_factory=dict)
    # The dates of jobs that were not to start at their creation, if they were read.
    dates: Mapping[str, JobDate] = field(default_factory=dict)
    # How far jobs are that run, and have reported it.
    progress: Mapping[str, JobProgress] = field(default_factory=dict)

    def spawns(self, job: str) -> bool:
        """Whether the children of a job were spawned by it, and do not merely depend on it."""
        return self.nodes[job].stored_config is not None or job in self.recorded

    @property
    def truncated(self) -> bool:
        """Whether the tree has jobs that were not read."""
        return bool(self.child_counts)

    def child_total(self, job: str) -> int:
        """Number of children of a job in the database, read or not."""
        counted = self.child_counts.get(job)
        return counted.total if counted else len(self.children.get(job, ()))

    @property
    def wall_time(self) -> timedelta | None:
        """Time from the creation of the first job to the end of the last; ``None`` while a job is open or not read."""
        ends = [timestamp(node.completed_at or node.failed_at) for node in self.nodes.values()]
        starts = [start for node in self.nodes.values() if (start := timestamp(node.created_at))]
        if self.truncated or self.counts.open or not starts:
            return None
        known = [end for end in ends if end is not None]
        return max(max(known) - min(starts), timedelta()) if len(known) == len(ends) else None

    @cached
    def counts(self) -> Counts:
        """The jobs that were read, by status."""
        counts = Counts()
        for node in self.nodes.values():
            counts.add(node.status)
        return counts


def linked(nodes: Mapping[str, TreeNode]) -> SpawnTree:
    """The trees that some jobs form among themselves, without a target; other jobs are left out."""
    children: dict[str, list[str]] = {}
    for node in sorted(nodes.values(), key=oldest_first):
        for parent in dict.fromkeys(node.depends_on):
            if parent in nodes:
                children.setdefault(parent, []).append(node.id)
    roots = tuple(node.id for node in tops(nodes))
    depths, reached = dict.fromkeys(roots, 0), list(roots)
    for job in reached:
        fresh = [child for child in children.get(job, ()) if child not in depths]
        depths.update(dict.fromkeys(fresh, depths[job] + 1))
        reached += fresh
    order = parents_first(dict.fromkeys(reached), children)
    return SpawnTree(roots, "", {job: nodes[job] for job in order}, depths, children)


def tops(nodes: Mapping[str, TreeNode]) -> list[TreeNode]:
    """The jobs that depend on no other, the oldest first; of a cycle that nothing leads to, the oldest job."""
    above = {job: [parent for parent in node.depends_on if parent in nodes] for job, node in nodes.items()}
    found = sorted((nodes[job] for job, parents in above.items() if not parents), key=oldest_first)
    below: dict[str, list[str]] = {}
    for job, parents in above.items():
        for parent in parents:
            below.setdefault(parent, []).append(job)
    unreached = nodes.keys() - _reach([top.id for top in found], below)
    while unreached:
        top = _oldest_of_cycle(nodes, above, min((nodes[job] for job in unreached), key=oldest_first))
        found.append(top)
        unreached -= _reach([top.id], below)
    return found


def _oldest_of_cycle(nodes: Mapping[str, TreeNode], above: Mapping[str, list[str]], start: TreeNode) -> TreeNode:
    places: dict[str, int] = {}
    node = start
    while node.id not in places:
        places[node.id] = len(places)
        node = nodes[above[node.id][0]]
    cycle = list(places)[places[node.id] :]
    return min((nodes[job] for job in cycle), key=oldest_first)


def _reach(start: Iterable[str], below: Mapping[str, list[str]]) -> set[str]:
    seen = set(start)
    stack = list(seen)
    while stack:
        for job in below.get(stack.pop(), ()):
            if job not in seen:
                seen.add(job)
                stack.append(job)
    return seen


def parents_first(jobs: Collection[str], children: Mapping[str, list[str]]) -> list[str]:
    """Some jobs, each after all its parents if it is not in a cycle.

    Args:
        children: id -> ids of children among them.
    """
    waits = dict.fromkeys(jobs, 0)
    for below in children.values():
        for job in below:
            waits[job] += 1
    order: dict[str, None] = {}
    ready = deque(job for job in jobs if waits[job] == 0)
    rest = iter(jobs)
    while len(order) < len(jobs):
        # No job is ready: only cycles are left. Start at the job that was read first.
        job = ready.popleft() if ready else next(job for job in rest if job not in order)
        if job in order:
            continue
        order[job] = None
        for child in children.get(job, ()):
            waits[child] -= 1
            if waits[child] == 0:
                ready.append(child)
    return list(order)


class Lineage(NamedTuple):
    job: TreeNode
    # (distance upward, node), roots first; `None` if the caller did not ask for them.
    ancestors: tuple[tuple[int, TreeNode], ...] | None
    descendants: SpawnTree | None  # the tree below the job; `None` if the caller did not ask for it
    missing: frozenset[str] = frozenset()  # ids of parents that do not exist in the database
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations of jobs that have not started, for a drawn tree."""

    stuck: frozenset[str] = frozenset()  # jobs that wait although all of their dependencies have ended
    due: Mapping[str, datetime] = field(default_factory=dict)  # id -> due time, for jobs that are due later
