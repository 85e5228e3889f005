"""Chooses the parts of a tree to draw: failures first, finished siblings folded, within limits.

Nothing here recurses, so that trees may be 100,000 levels deep, and only siblings that are drawn cost anything.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import chain

from hammerwork_cli.cached import cached
from hammerwork_cli.core.values import FAILURES, WAITING, Counts, JobStatus
from hammerwork_cli.features.tree.spawn_tree import Annotations, SpawnTree

Entry = str | list[str]
"""The id of a job drawn by name, or the ids of siblings folded into one line."""

MOST_OPEN = 40
"""Jobs that have not started, up to which a tree draws them by name."""
_WALK_BUDGET = 300_000
"""Jobs that may be visited to count the descendants of jobs with joins exactly."""


FEW_NODES = 6
"""Jobs of a tree that is drawn whole, since each of its lines fits on any screen."""


class Below:
    """Counts of descendants, each counted under the parent that leads to it first."""

    def __init__(self, tree: SpawnTree) -> None:
        self.tree = tree
        self.parent: dict[str, str] = {}  # job -> the parent that it counts under; roots are left out
        self.incomplete: set[str] = set()  # jobs with descendants that were not read
        self.shared: set[str] = set()  # jobs that also lead to jobs counted elsewhere, by joins or cycles
        self._counts: dict[str, Counts] = {}
        self._budget = _WALK_BUDGET
        order = self._spread()
        self._add_unread()
        self._sum_up(order)

    def _spread(self) -> list[str]:
        """Finds each job's first parent, breadth first; returns the jobs in that order."""
        children, parent = self.tree.children, self.parent
        order = list(self.tree.roots)
        seen = set(order)
        elsewhere: list[str] = []
        for job in order:
            for child in children.get(job, ()):
                if child in seen:
                    elsewhere.append(job)
                else:
                    seen.add(child)
                    parent[child] = job
                    order.append(child)
        for job in elsewhere:
            self._mark_upward(self.shared, job)
        return order

    def _mark_upward(self, marked: set[str], job: str | None) -> None:
        while job is not None and job not in marked:
            marked.add(job)
            job = self.parent.get(job)

    def _add_unread(self) -> None:
        for job in self.tree.child_counts:
            counts = unread_children(self.tree, job)
            if counts.total:
                self._counts[job] = counts
                self._mark_upward(self.incomplete, job)

    def _sum_up(self, order: list[str]) -> None:
        nodes, counts, parents = self.tree.nodes, self._counts, self.parent
        for job in reversed(order):
            parent = parents.get(job)
            if parent is None:
                continue
            sums = counts.get(parent)
            if sums is None:
                sums = counts[parent] = Counts()
            sums.add(nodes[job].status)
            if job in counts:
                sums.merge(counts[job])

    def counted_here(self, job: str) -> Counts:
        """Counts the descendants, without those that count under another parent."""
        return self._counts.get(job) or Counts()

    def of(self, job: str) -> tuple[Counts, bool]:
        """Counts all descendants, and says whether the count is complete."""
        if job not in self.shared:
            return self.counted_here(job), job not in self.incomplete
        counts = self._walk(job)
        if counts is None:
            return self.counted_here(job), False
        return counts, job not in self.incomplete and not (self.incomplete and self._leads_to_unread(job))

    def _descendants(self, job: str) -> Iterator[str]:
        children = self.tree.children
        seen = {job}
        queue = deque([job])
        while queue:
            for child in children.get(queue.popleft(), ()):
                if child not in seen:
                    seen.add(child)
                    queue.append(child)
                    yield child

    def _walk(self, job: str) -> Counts | None:
        counts = Counts()
        for child in self._descendants(job):
            self._budget -= 1
            if self._budget < 0:
                return None
            counts.add(self.tree.nodes[child].status)
        return counts

    def _leads_to_unread(self, job: str) -> bool:
        return any(child in self.incomplete for child in self._descendants(job))

    def has(self, job: str, statuses: Collection[str]) -> bool:
        """Whether a descendant that counts here has one of the statuses."""
        counts = self._counts.get(job)
        return counts is not None and any(status in statuses for status in counts.by_status)


def unread_children(tree: SpawnTree, job: str) -> Counts:
    """Counts the children of a job that exist and were not read."""
    exact = tree.child_counts.get(job)
    if exact is None:
        return Counts()
    read: dict[str, int] = {}
    for child in tree.children.get(job, ()):
        status = tree.nodes[child].status
        read[status] = read.get(status, 0) + 1
    # Statuses may change between two statements, so that a difference can be negative.
    left = {status: jobs - read.get(status, 0) for status, jobs in exact.by_status.items()}
    return Counts({status: jobs for status, jobs in left.items() if jobs > 0})


@dataclass(slots=True)
class Siblings:
    """The children of one job as they are drawn."""

    shown: list[Entry]
    rest: Counts = field(default_factory=Counts)  # the children that are left out, by status
    rest_below: Counts = field(default_factory=Counts)  # the known descendants of those
    rest_whole: bool = True  # whether all descendants of those are known


class Outline:
    """Chooses the parts of a tree to draw.

    Args:
        max_depth: levels below the roots; ``None`` for all.
        max_children: lines for the children of one job; ``None`` for all.
        max_nodes: lines in total; ``None`` for all.
        statuses: only jobs in these statuses, and the paths to them; ``None`` for all. None of them is folded.
        fold: whether quiet siblings become one line, in a tree of more than :data:`FEW_NODES` jobs.
        most_open: up to this number of jobs that have not started, they and the jobs above them are not folded.
        annotations: reasons why jobs do not start; only jobs with equal reasons are folded.
    """

    def __init__(
        self,
        tree: SpawnTree,
        *,
        max_depth: int | None = None,
        max_children: int | None = None,
        max_nodes: int | None = None,
        statuses: Collection[str] | None = None,
        fold: bool = True,
        most_open: int = MOST_OPEN,
        annotations: Annotations | None = None,
    ) -> None:
        self.tree = tree
        self.below = Below(tree)
        self._named = frozenset(statuses or ())
        if tree.counts.of(*WAITING) <= most_open:
            self._named |= WAITING
        self.max_depth = max_depth
        self.max_children = max_children
        self.statuses = statuses
        self.fold = fold and len(tree.nodes) > FEW_NODES
        self.annotations = annotations or Annotations()
        self._planned: dict[str | None, Siblings] | None = None
        if max_nodes is not None:
            self._plan(max_nodes)

    @cached
    def spine(self) -> dict[str, str]:
        """The path from a root to the target: each job on it -> the next one."""
        path: dict[str, str] = {}
        job = self.tree.target
        while (above := self.below.parent.get(job)) is not None:
            path[above] = job
            job = above
        return path

    @cached
    def orphans(self) -> frozenset[str]:
        """Jobs with a parent that does not exist; they are drawn by name."""
        missing = self.tree.missing
        if not missing:
            return frozenset()
        return frozenset(job for job, node in self.tree.nodes.items() if not missing.isdisjoint(node.depends_on))

    def siblings(self, job: str | None) -> Siblings | None:
        """The children of a job, or the roots for ``None``, as they are drawn.

        Returns ``None`` if the limit on all lines leaves no room for them.
        """
        if self._planned is not None:
            return self._planned.get(job)
        return self._choose(job, self.max_children)

    def is_loud(self, job: str) -> bool:
        """Whether a job or one of its descendants failed, runs or is retrying."""
        return self._leads_to(job, _LOUD)

    def _leads_to(self, job: str, statuses: Collection[str]) -> bool:
        """Whether a job or one of its descendants has one of the statuses."""
        return self.tree.nodes[job].status in statuses or self.below.has(job, statuses)

    def _plan(self, lines: int) -> None:
        """Spends the lines on the path to the target first, then on loud jobs, upper levels first."""
        planned: dict[str | None, Siblings] = {}
        self._planned = planned
        room = lines
        heap: list[tuple[int, int, int, str | None]] = [(0, -1, 0, None)]
        pushed: set[str] = set()
        while heap and room > 0:
            _, level, _, job = heappop(heap)
            limit = room if self.max_children is None else min(room, self.max_children)
            chosen = planned[job] = self._choose(job, limit)
            room -= len(chosen.shown)
            if self.max_depth is None or level + 1 < self.max_depth:
                self._push(heap, pushed, level + 1, chosen)
            if not heap and self.tree.target not in pushed:
                self._push(heap, pushed, (self.max_depth or 1) - 1, Siblings([self.tree.target]))

    def _push(
        self, heap: list[tuple[int, int, int, str | None]], pushed: set[str], level: int, chosen: Siblings
    ) -> None:
        for job in chosen.shown:
            if isinstance(job, str) and job not in pushed and self.tree.children.get(job):
                pushed.add(job)
                heappush(heap, (self._urgency(job), level, len(pushed), job))

    def _urgency(self, job: str) -> int:
        if job in self.spine or job == self.tree.target:
            return 0
        return 1 if self.is_loud(job) else 2 if self._leads_to(job, WAITING) else 3

    def _choose(self, job: str | None, limit: int | None) -> Siblings:
        entries = self._ordered(job)
        chosen = Siblings(entries)
        extra = self._unread(job)
        if limit is not None and len(entries) > limit:
            entries.sort(key=self._is_over)
            shown = entries[: max(limit, 1)]
            following = self._next_on_spine(job)
            if following is not None and following not in shown:
                shown[-1] = following
            chosen.shown = shown
            self._count_rest(chosen, entries)
        chosen.rest.merge(extra)
        return chosen

    def _is_over(self, entry: Entry) -> bool:
        """Whether an entry is of no interest: neither it nor a job below it failed or is open."""
        job = entry if isinstance(entry, str) else entry[0]
        return not (self.is_loud(job) or self._leads_to(job, WAITING))

    def _next_on_spine(self, job: str | None) -> str | None:
        if job is not None:
            return self.spine.get(job)
        top = self.tree.target
        while top in self.below.parent:
            top = self.below.parent[top]
        return top or None

    def _unread(self, job: str | None) -> Counts:
        counts = unread_children(self.tree, job) if job is not None else Counts()
        if self.statuses is None:
            return counts
        return Counts({status: jobs for status, jobs in counts.by_status.items() if status in self.statuses})

    def _count_rest(self, chosen: Siblings, entries: Iterable[Entry]) -> None:
        shown = {entry if isinstance(entry, str) else entry[0] for entry in chosen.shown}
        for entry in entries:
            if (entry if isinstance(entry, str) else entry[0]) not in shown:
                for job in [entry] if isinstance(entry, str) else entry:
                    chosen.rest.add(self.tree.nodes[job].status)
                    chosen.rest_below.merge(self.below.counted_here(job))
                    chosen.rest_whole = chosen.rest_whole and job not in self.below.incomplete

    def _ordered(self, job: str | None) -> list[Entry]:
        """Sorts children: failed, retrying, running, each before those with such jobs below; then the quiet ones.

        Quiet ones are folded by kind, unless they were asked for or have not started.
        """
        following = self._next_on_spine(job)
        loud: list[list[Entry]] = [[] for _ in _RANKS * 2]
        quiet: dict[object, list[str]] = {}
        for child in self._candidates(job):
            rank = self._rank(child)
            if rank is not None:
                loud[rank].append(child)
            elif not self.fold or child == following or child in self.orphans or self._leads_to(child, self._named):
                quiet[child] = [child]
            else:
                quiet.setdefault(self._kind(child, job), []).append(child)
        folded: list[Entry] = [group if len(group) > 1 else group[0] for group in quiet.values()]
        return [*chain.from_iterable(map(self._each_error_first, loud)), *folded]

    def _each_error_first(self, failed: list[Entry]) -> list[Entry]:
        """If there are too many jobs of a rank, puts one with each error before the second with any."""
        if self.max_children is None or len(failed) <= self.max_children:
            return failed
        first: dict[object, Entry] = {}
        for entry in failed:
            node = self.tree.nodes[entry if isinstance(entry, str) else entry[0]]
            first.setdefault((node.queue, node.status, node.error), entry)
        chosen = set(map(str, first.values()))
        return [*first.values(), *(entry for entry in failed if entry not in chosen)]

    def _candidates(self, job: str | None) -> Iterable[str]:
        children: Iterable[str] = self.tree.roots if job is None else self.tree.children.get(job, ())
        if self.statuses is None:
            return children
        wanted, nodes, spine, target = self.statuses, self.tree.nodes, self.spine, self.tree.target
        return [
            child
            for child in children
            if nodes[child].status in wanted or child == target or child in spine or self.below.has(child, wanted)
        ]

    def _rank(self, job: str) -> int | None:
        status = self.tree.nodes[job].status
        for rank, statuses in enumerate(_RANKS):
            if status in statuses:
                return 2 * rank
            if self.below.has(job, statuses):
                return 2 * rank + 1
        return None

    def _kind(self, child: str, parent: str | None) -> object:
        node = self.tree.nodes[child]
        counted_here = self.below.parent.get(child) == parent
        annotation = child in self.annotations.stuck, child in self.annotations.due
        return node.queue, node.status, node.stored_priority, node.archived_at is None, counted_here, annotation


_RANKS: tuple[Collection[str], ...] = (
    FAILURES,
    frozenset({JobStatus.RETRYING}),
    frozenset({JobStatus.RUNNING}),
)
_LOUD = frozenset().union(*_RANKS)
