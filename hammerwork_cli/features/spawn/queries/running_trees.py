"""Counts the trees of running jobs by their topmost operations, as far as one refresh can afford."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.child_totals import ChildTotals, collect_totals

LEVELS_UP = 100
LEVELS_DOWN = 32
MOST_COUNTED = 10_000
"""Jobs that one refresh counts in all trees together."""
TRIES = 3
ASIDE = 60.0
"""Seconds for which a tree that was too large is left out of the counts."""
REMEMBERED = 10_000


class RunningTrees:
    """Finds and counts trees, refresh after refresh. A job belongs to the tree of its first parent.

    Args:
        most: most jobs that are counted in all trees together.
    """

    def __init__(self, database: Database, *, most: int | None = None) -> None:
        self.database = database
        self._most = most
        self._tops: dict[str, str | None] = {}
        self._aside: dict[str, float] = {}

    # Upward.

    def tops(self, jobs: dict[str, TreeNode]) -> dict[str, str]:
        """Job -> the topmost operation at or above it, if there is one. Known jobs are not read again."""
        if len(self._tops) > REMEMBERED:
            self._tops.clear()
        read = {job: node for job, node in jobs.items() if job not in self._tops}
        level: Iterable[TreeNode] = list(read.values())
        for _ in range(LEVELS_UP):
            above = {parent for node in level for parent in node.depends_on[:1]} - read.keys() - self._tops.keys()
            if not above:
                break
            level = self.jobs(sorted(above))
            read.update((node.id, node) for node in level)
        spawners = {job for job, node in read.items() if node.has_spawn_config}
        spawners |= self._recorded([job for job in read if job not in spawners])
        for job in read:
            self._climb(job, read, spawners)
        return {job: top for job in jobs if (top := self._tops[job])}

    def jobs(self, ids: Sequence[str]) -> list[TreeNode]:
        """Reads the jobs with these ids, live ones only: an archived job does not run."""
        parts = chunks(ids, self.database.read_chunk)
        rows = (self.database.rows("tree.relatives.jobs", ids=self.database.ids(part), dated=False) for part in parts)
        return [TreeNode._make(row) for row in chain.from_iterable(rows)]

    def _climb(self, job: str, read: dict[str, TreeNode], spawners: set[str]) -> None:
        path: list[str] = []
        while job in read and job not in self._tops and job not in path:
            path.append(job)
            job = next(iter(read[job].depends_on), "")
        cycle = path[path.index(job) :] if job in path else []
        top = min((one for one in cycle if one in spawners), default=self._tops.get(job))
        for step in reversed(path):
            top = top or (step if step in spawners else None)
            self._tops[step] = top

    def _recorded(self, jobs: Sequence[str]) -> set[str]:
        """Returns the jobs that have spawned, with a spawn configuration or without."""
        if not jobs or not self.database.is_current:
            return set()
        return {str(one) for (one,) in self.database.rows_in("spawn.monitor.recorded", jobs)}

    # Downward.

    def children(self, parents: Sequence[str]) -> dict[str, ChildTotals]:
        """Parent -> counts of the children that have it as their first parent, for parents with children."""
        totals: dict[str, ChildTotals] = {}
        collect_totals(totals, self.database.rows_of("tree.relatives.child_totals", parents))
        return totals

    def below(self, children: dict[str, ChildTotals]) -> dict[str, ChildTotals]:
        """Counts all descendants of the parents of these children, except in trees that are too large."""
        now = time.monotonic()
        self._aside = {top: until for top, until in self._aside.items() if until > now}
        whole: dict[str, ChildTotals] = {}
        left = MOST_COUNTED if self._most is None else self._most
        for top, total in sorted(children.items(), key=lambda item: item[1].counts.total):
            if top not in self._aside and total.counts.total <= left:
                left -= total.counts.total
                whole[top] = ChildTotals()
                whole[top].merge(total)
        self._descend(whole, left)
        return whole

    def _descend(self, whole: dict[str, ChildTotals], left: int) -> None:
        frontier = {top: top for top in whole}
        seen = set(frontier)
        for _ in range(LEVELS_DOWN):
            if not (frontier := self._parents_below(frontier, seen)):
                return
            seen.update(frontier)
            left = self._add_level(whole, frontier, left)
        self._put_aside(whole, frontier, frontier.values())

    def _parents_below(self, frontier: dict[str, str], seen: set[str]) -> dict[str, str]:
        """Job of the next level that has children -> the top of its tree."""
        rows = self.database.rows_of("spawn.monitor.parents_below", list(frontier))
        return {job: frontier[parent.lower()] for job, parent in rows if parent.lower() in frontier and job not in seen}

    def _add_level(self, whole: dict[str, ChildTotals], frontier: dict[str, str], left: int) -> int:
        """Adds the children of the frontier. If there are too many, puts the trees with the most of them aside."""
        for attempt in range(TRIES):
            # One job more than allowed, to tell a level that just fits from one that is too large.
            rows = self._level(frontier, left + 1)
            read = sum(int(jobs) for _, _, jobs, *_ in rows)
            if read <= left:
                for parent, total in _totals(rows).items():
                    whole[frontier[parent]].merge(total)
                return left - read
            sizes = Counter[str]()
            for parent, _, jobs, *_ in rows:
                sizes[frontier[parent.lower()]] += int(jobs)
            largest = [sizes.most_common(1)[0][0]] if attempt + 1 < TRIES else list(sizes | Counter(frontier.values()))
            self._put_aside(whole, frontier, largest)
        return left

    def _level(self, frontier: dict[str, str], limit: int) -> list[Row]:
        """Returns rows as ``collect_totals`` takes them, of about ``limit`` jobs at most."""
        rows: list[Row] = []
        for part in chunks(list(frontier), self.database.read_chunk):
            found = self.database.rows("spawn.monitor.level_totals", ids=self.database.ids(part), limit=limit)
            rows += found
            limit -= sum(int(jobs) for _, _, jobs, *_ in found)
            if limit <= 0:
                break
        return rows

    def _put_aside(self, whole: dict[str, ChildTotals], frontier: dict[str, str], tops: Iterable[str]) -> None:
        gone = set(tops)
        for top in gone:
            self._aside[top] = time.monotonic() + ASIDE
            whole.pop(top, None)
        for job in [job for job, top in frontier.items() if top in gone]:
            del frontier[job]


def _totals(rows: Iterable[Row]) -> dict[str, ChildTotals]:
    totals: dict[str, ChildTotals] = {}
    collect_totals(totals, rows)
    return totals
