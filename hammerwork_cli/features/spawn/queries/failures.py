"""Groups failures by error, over a queue or the whole database."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hammerwork_cli.core.values import ODDLY_FAILED, WAITING, Counts, JobStatus, id_list, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.models.why import ErrorGroup, FailedJob, Failures, path_of
from hammerwork_cli.features.spawn.queries.error_texts import headline, of_traceback, pattern
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.relatives import Relatives

ROWS = 5000
"""Rows to read at a time."""
MOST_KNOWN = 50_000
"""Most different errors to remember, so that others like them are not looked at again."""
MOST_ANCESTORS = 200_000
"""Most jobs to read in order to count trees."""
LEVELS = 1000


def failures(
    database: Database,
    *,
    limit: int,
    queues: Sequence[str] = (),
    since: datetime | None = None,
    batch: str | None = None,
    workflow: str | None = None,
) -> Failures:
    """Returns the jobs whose last attempt failed, by error, in one snapshot."""
    with database.snapshot():
        found = _Grouping()
        within = {"queues": queues, "since": since, "batch": batch, "workflow": workflow}
        values = {"oddly_failed": ODDLY_FAILED, **within}
        for rows in database.row_parts("spawn.failures.list", ROWS, **values):
            found.add(rows)
        if database.is_current:
            for rows in database.row_parts("spawn.failures.earlier", ROWS, **within):
                found.date(rows)
        archived = int(database.value("spawn.failures.archived", **values))
        groups = found.groups()
        listed = groups[:limit]
        _count_trees(database, found, listed)
        _find_examples(database, listed)
    counts = Counts()
    for group in groups:
        counts.merge(group.statuses)
    return Failures(
        tuple(queues), since, tuple(listed), len(groups) - len(listed), counts, found.consequences, archived
    )


class _Grouping:
    """Groups rows by the pattern of their error."""

    def __init__(self) -> None:
        self._groups: dict[str | None, ErrorGroup] = {}
        self._known: dict[tuple[str | None, str | None], tuple[str, ErrorGroup]] = {}
        self._places: dict[str | None, str | None] = {}
        self.roots: dict[str | None, set[str]] = {}  # pattern -> the known roots of the trees of its jobs
        # Pattern -> the first parents of the jobs whose root is to be found.
        self.parents: dict[str | None, set[str]] = {}
        self.consequences = 0  # rows of jobs that failed only because a job that they depend on failed

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        known = self._known
        for job, queue, stored, at, parents, ancestry, dependency_status, start, ending in rows:
            if dependency_status == "failed":
                self.consequences += 1
                continue
            line, group = known.get((start, ending)) or self._group(start, ending)
            status = status_of(stored)
            group.add(job, queue, JobStatus.RETRYING if status in WAITING else status, timestamp(at), line)
            self._place(group.pattern, job, parents, ancestry)

    def date(self, rows: Iterable[Sequence[Any]]) -> None:
        """Takes the times of earlier attempts with the same errors."""
        for start, ending, at in rows:
            _, group = self._known.get((start, ending)) or self._group(start, ending)
            group.begin(timestamp(at))

    def _group(self, start: str | None, ending: str | None) -> tuple[str, ErrorGroup]:
        """Returns the headline of an error, and its group."""
        error = start or "" if ending is None else of_traceback(ending)
        shape = pattern(error) or None
        if shape not in self._groups:
            self._groups[shape] = ErrorGroup(shape)
            self.roots[shape], self.parents[shape] = set(), set()
        found = headline(error), self._groups[shape]
        if len(self._known) < MOST_KNOWN:
            self._known[start, ending] = found
        return found

    def _place(self, shape: str | None, job: str, parents: object, ancestry: str | None) -> None:
        """Notes the tree that a job belongs to."""
        above = id_list(parents)
        root = self.root(ancestry) if above else job
        if root is None:
            self.parents[shape].add(above[0])
        else:
            self.roots[shape].add(root)

    def root(self, ancestry: str | None) -> str | None:
        """Returns the root that the row of a job names, if it names one."""
        if ancestry is None:
            return None
        if ancestry not in self._places:
            place = Ancestry.parse(ancestry)
            self._places[ancestry] = place.root if place else None
        return self._places[ancestry]

    def groups(self) -> list[ErrorGroup]:
        """Returns the groups, the largest first."""
        groups = (group for group in self._groups.values() if group.total)
        return sorted(groups, key=lambda group: (-group.total, group.pattern or ""))


def _count_trees(database: Database, found: _Grouping, groups: Sequence[ErrorGroup]) -> None:
    """Counts the trees of each group: from the first parents upward, a level at a time."""
    wanted = set[str]().union(*(found.parents[group.pattern] for group in groups))
    above = _parents_above(database, found, wanted)
    if above is None:
        return
    tops: dict[str, str] = {}
    for group in groups:
        roots = {_top(parent, above, tops) for parent in found.parents[group.pattern]}
        group.trees = len(roots | found.roots[group.pattern])


def _parents_above(database: Database, found: _Grouping, wanted: set[str]) -> dict[str, str | None] | None:
    """Returns job -> first parent or root, ``None`` for a root; ``None`` if there are too many jobs."""
    above: dict[str, str | None] = {}
    frontier = wanted
    for _ in range(LEVELS):
        if len(above) + len(frontier) > MOST_ANCESTORS:
            return None
        read = _read_parents(database, found, sorted(frontier))
        # A job that is gone is the top of what is left of its tree.
        above |= {job: read.get(job) for job in frontier}
        frontier = {parent for parent in read.values() if parent is not None} - above.keys()
        if not frontier:
            return above
    return None


def _read_parents(database: Database, found: _Grouping, jobs: Sequence[str]) -> dict[str, str | None]:
    read: dict[str, str | None] = {}
    statements = ["tree.failed.parents"] + ["tree.failed.archived_parents"] * ("archive" in database.tags)
    for statement in statements:
        missing = [job for job in jobs if job not in read]
        for job, parents, ancestry in database.rows_of(statement, missing):
            parent = next(iter(id_list(parents)), None)
            # The row of a job that a worker spawned names the root itself.
            read[str(job)] = parent and (found.root(ancestry) or parent)
    return read


def _top(job: str, above: dict[str, str | None], tops: dict[str, str]) -> str:
    """Returns the topmost ancestor; of a circle, the first job by id."""
    way: list[str] = []
    seen: set[str] = set()
    while job not in tops and job not in seen and (parent := above.get(job)) is not None:
        way.append(job)
        seen.add(job)
        job = parent
    top = tops.get(job) or (min(way[way.index(job) :]) if job in seen else job)
    tops.update(dict.fromkeys(way, top))
    return top


def _find_examples(database: Database, groups: Iterable[ErrorGroup]) -> None:
    """Reads the newest job of each group, and its path."""
    relatives = Relatives(database)
    nodes: dict[str, TreeNode] = {}
    frontier = {group.newest for group in groups}
    asked: set[str] = set()
    for _ in range(LEVELS):
        nodes.update((node.id, node) for node in relatives.jobs(sorted(frontier)))
        asked |= frontier
        frontier = {node.depends_on[0] for node in nodes.values() if node.depends_on} - asked
        if not frontier:
            break
    for group in groups:
        node = nodes.get(group.newest)
        group.example = FailedJob(node, path_of(node, nodes)) if node else None
