"""Children and parents of many jobs at a time, by the lookup that is fastest on the database at hand."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

from hammerwork_cli.cached import cached
from hammerwork_cli.core.values import FAILED_SPELLINGS, RUNNING_SPELLINGS
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import GIN_CHUNK, chunks
from hammerwork_cli.errors import JobNotFoundError
from hammerwork_cli.features.tree.model import JobDate, TreeNode
from hammerwork_cli.features.tree.queries.child_totals import ChildTotals, collect_totals

GIN_LISTS, GIN_LIST = 20, 100
"""Lists of parents in a statement, and parents in a list, when all children are read. PostgreSQL finds children by
several short lists in one statement faster than by one long list or by many statements.
"""
FEW_PARENTS = 100
"""Up to this number of parents, the index on first parents finds all children at once: it keeps siblings together."""
LISTED_PARENTS = 10_000
PACKED_LIMIT = 1 << 20
KNOWN_PARENTS = 10_000

ALIKE = tuple(map(TreeNode._fields.index, ("queue", "stored_status", "stored_parents")))
"""Columns in which most jobs of a tree share a value with others."""
CREATED = TreeNode._fields.index("created_at")
SHARED_ROWS = 250
"""Rows that become nodes at once. More of them do not fit into the cache of a processor, and take longer."""


class ChildStatements(NamedTuple):
    """The statements that together find the children of jobs."""

    first: str  # finds children whose first parent is given; all children if there is no index on first parents
    joined: str  # finds children of which another parent than the first is given
    archived: str  # finds children in the archive


CHILDREN = ChildStatements(
    "tree.relatives.children", "tree.relatives.joined_children", "tree.relatives.archived_children"
)
CHILD_STATES = ChildStatements(
    "tree.relatives.child_states", "tree.relatives.joined_child_states", "tree.relatives.archived_child_states"
)
CHILD_TOTALS = ChildStatements(
    "tree.relatives.child_totals", "tree.relatives.joined_child_totals", "tree.relatives.archived_child_totals"
)


class Relatives:
    """Reads relatives by bounded lists of ids, never with one statement per job.

    It also finds jobs that are only in the archive. A job in both tables is read from the live one.

    Args:
        dates: is filled with the dates of the jobs that are read and were not to start at their creation; ``None`` to
            read no dates.
    """

    def __init__(self, database: Database, dates: dict[str, JobDate] | None = None) -> None:
        self.database = database
        self._dates = dates
        self._texts: dict[Any, Any] = {}

    @cached
    def _sizes(self) -> list[int]:
        """Most ids for the first of :class:`ChildStatements`, and for the joined one if the database needs it."""
        tags = self.database.tags
        if "by_scan" in tags:
            return [self.database.scan_chunk]
        if "by_gin" in tags:
            return [GIN_CHUNK]
        joined = GIN_CHUNK if self.database.dialect == "postgresql" else self.database.scan_chunk
        return [self.database.read_chunk, joined]

    @cached
    def _later_parents(self) -> frozenset[str] | None:
        """Ids that stand second or later in some ``depends_on``; ``None`` if there are too many to keep."""
        rows = self.database.rows("tree.relatives.later_parents", limit=KNOWN_PARENTS + 1)
        return frozenset(chain.from_iterable(rows)) if len(rows) <= KNOWN_PARENTS else None

    def lookups(self, statements: ChildStatements, parents: Sequence[str]) -> Iterator[tuple[str, Sequence[str] | str]]:
        """Pairs a statement with the ids to pass to it, for each list of ``parents``; live jobs only."""
        for statement, size in zip(statements, self._sizes, strict=False):
            asked = self._joinable(parents) if statement == statements.joined else parents
            for part in self._parts(asked, size):
                yield statement, part

    def all_lookups(
        self, statements: ChildStatements, parents: Sequence[str]
    ) -> Iterator[tuple[str, Sequence[str] | str]]:
        """Like :meth:`lookups`, with the archive last."""
        return chain(self.lookups(statements, parents), self.archive_lookups(statements, parents))

    def archive_lookups(
        self, statements: ChildStatements, parents: Sequence[str]
    ) -> Iterator[tuple[str, Sequence[str] | str]]:
        """Like :meth:`lookups`, for the archive only; nothing if the archive is empty."""
        if self.has_archive:
            most = self.database.read_chunk if self.database.is_current else self.database.scan_chunk
            for part in self._parts(parents, most):
                yield statements.archived, part

    def _joinable(self, parents: Sequence[str]) -> Sequence[str]:
        """Returns those of ``parents`` that may be a later parent of some job."""
        if self._fits_gin(parents):
            return parents
        later = self._later_parents
        return parents if later is None else [job for job in parents if job in later or job.lower() in later]

    def _fits_gin(self, parents: Sequence[str]) -> bool:
        """Whether the GIN index of PostgreSQL looks up these parents at once."""
        return self.database.dialect == "postgresql" and len(parents) <= min(GIN_CHUNK, self.database.scan_chunk)

    @cached
    def has_archive(self) -> bool:
        """Whether the archive holds any job."""
        return "archive" in self.database.tags and self.database.row("tree.relatives.any_archived") is not None

    def job(self, job: str) -> TreeNode:
        found = self.jobs([job])
        if not found:
            raise JobNotFoundError(job)
        return found[0]

    def jobs(self, ids: Iterable[str]) -> list[TreeNode]:
        wanted = list(ids)
        parts = self._parts(wanted, self.database.read_chunk)
        found = [node for part in parts for node in self._nodes("tree.relatives.jobs", ids=part)]
        if self.has_archive and len(found) < len(wanted):
            known = {node.id for node in found}
            rest = [job for job in wanted if job not in known]
            for part in self._parts(rest, self.database.read_chunk):
                found += self._archived("tree.relatives.archived_jobs", ids=part)
        return found

    def children(self, parents: Sequence[str], limit: int | None = None) -> Iterator[TreeNode]:
        """Reads the jobs that depend on one of ``parents``; a job may come twice.

        Args:
            limit: most jobs that the caller has room for. Each chunk then returns its failed jobs first.
        """
        bounds = {"limit": limit, "failed": FAILED_SPELLINGS, "running": RUNNING_SPELLINGS}
        if limit is None and "by_gin" in self.database.tags:
            # Sorted, so that a statement reads neighbouring pages of the index.
            lists = [(ids,) for ids in self._parts(sorted(parents), GIN_LIST)]
            for start in range(0, len(lists), GIN_LISTS):
                yield from self._nodes("tree.relatives.all_children", lists=lists[start : start + GIN_LISTS])
        elif limit is None and self._fits_gin(parents) and self.database.is_current:
            # Most levels are short: one statement for both kinds of children saves a way to the server and back.
            dated = self._dates is not None
            yield from self._nodes("tree.relatives.level", ids=self.database.ids(parents), joined=True, dated_too=dated)
        else:
            level = self._level(parents) if limit is None and self.database.is_current else None
            yield from level or ()
            for statement, part in self.lookups(CHILDREN, parents):
                if statement == CHILDREN.joined or level is None:
                    nodes = self._nodes(statement, ids=part, **bounds)
                    # A caller with a limit may stop early, and leave rows unread.
                    yield from nodes if limit is None else list(nodes)
        for statement, part in self.archive_lookups(CHILDREN, parents):
            yield from self._archived(statement, ids=part, **bounds)

    def _level(self, parents: Sequence[str]) -> Iterator[TreeNode] | None:
        """All jobs whose first parent is one of ``parents``, where the database has a faster way than lists of ids."""
        dialect = self.database.dialect
        if dialect == "mysql" and len(parents) > FEW_PARENTS:
            return self._children_by_key(parents)
        if dialect == "postgresql":
            parts = self._parts(parents, self.database.scan_chunk)
            return chain.from_iterable(
                self._nodes("tree.relatives.level", ids=part, joined=False, dated_too=False) for part in parts
            )
        return None

    def _children_by_key(self, parents: Sequence[str]) -> Iterator[TreeNode]:
        """Reads the jobs whose first parent is one of ``parents``, sorted by the primary key, as InnoDB stores rows.

        Sorted by parents, each job would cost a page of its own once the table exceeds the server's memory: 110,000 of
        a million jobs took nine seconds that way, and take four this way.
        """
        ids: list[str] = []
        for part in chunks(sorted(parents), LISTED_PARENTS):
            ids += chain.from_iterable(self.database.rows("tree.relatives.child_ids", parents=json.dumps(part)))
        ids.sort()
        for keys in self._parts(ids, self.database.read_chunk):
            yield from self._nodes("tree.relatives.jobs", ids=keys)

    def states(self, ids: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        """Reads rows of :class:`hammerwork_cli.features.spawn.queries.wait.JobState` for the jobs with these ids."""
        wanted = dict.fromkeys(ids)
        for part in self._parts(list(wanted), self.database.read_chunk):
            for row in self.database.rows("tree.relatives.states", ids=part):
                wanted.pop(row[0], None)
                yield row
        if wanted and self.has_archive:
            for part in self._parts(list(wanted), self.database.read_chunk):
                yield from self.database.rows("tree.relatives.archived_states", ids=part)

    def child_states(self, parents: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Reads such rows for the jobs that depend on one of ``parents``; some may come twice, archived ones last."""
        for statement, part in self.all_lookups(CHILD_STATES, parents):
            yield from self.database.rows(statement, ids=part)

    def child_counts(self, parents: Sequence[str]) -> dict[str, "ChildTotals"]:
        """Parent -> counts of its children, archived ones included, for the parents that have children."""
        totals: dict[str, ChildTotals] = {}
        for statement, part in self.all_lookups(CHILD_TOTALS, parents):
            collect_totals(totals, self.database.rows(statement, ids=part))
        return totals

    def _parts(self, ids: Sequence[str], size: int) -> Iterator[Sequence[str] | str]:
        return map(self.database.ids, chunks(ids, size))

    def _nodes(self, statement: str, **values: Any) -> Iterator[TreeNode]:
        """Makes nodes while the server sends further rows. Read all of them before you send another statement."""
        parts = self.database.row_parts(statement, SHARED_ROWS, dated=self._dates is not None, **values)
        return chain.from_iterable(map(self._shared, parts))

    def _shared(self, rows: list[tuple[Any, ...]]) -> Iterable[TreeNode]:
        """Makes nodes in which equal texts of :data:`ALIKE` are one object, which saves a fifth of the memory.

        It works by columns, since a call for each of 100,000 rows would be slow.
        """
        columns: list[Any] = list(zip(*rows, strict=True))
        if self._dates is not None:
            self._note_dates(self._dates, columns)
        for place in ALIKE:
            columns[place] = map(self._texts.setdefault, columns[place], columns[place])
        return map(tuple.__new__, repeat(TreeNode), zip(*columns, strict=True))

    def _note_dates(self, dates: dict[str, JobDate], columns: list[Any]) -> None:
        """Takes the columns of dates off, and keeps those of jobs that were not to start at their creation."""
        scheduled, blocked = columns.pop(0), columns.pop(0)
        for job, created, at, waits in zip(columns[0], columns[CREATED], scheduled, blocked, strict=True):
            if waits or at != created:
                dates.setdefault(job, JobDate(at, bool(waits)))

    def _archived(self, statement: str, **values: Any) -> list[TreeNode]:
        nodes = self._nodes(statement, **values)
        return [node._replace(stored_config=packed_config(node.stored_config)) for node in nodes]


def live_or_archived(database: Database, live: str, archived: str, ids: Sequence[str]) -> dict[str, Any]:
    """Returns the value that a statement finds for each job: in the live table, else in the archive."""
    found = {str(job): value for job, value in database.rows_of(live, ids, database.key_chunk)}
    missing = [job for job in ids if job not in found]
    if missing and "archive" in database.tags:
        found |= {str(job): value for job, value in database.rows_in(archived, missing)}
    return found


def packed_config(payload: Any) -> str | None:
    """JSON text of ``_spawn_config`` in an archived payload, which may be gzipped; ``None`` without one."""
    from hammerwork_cli.core.payloads import unpacked  # which lists start faster without

    text = None if payload is None else unpacked(payload, PACKED_LIMIT)
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or "_spawn_config" not in value:
        return None
    return json.dumps(value["_spawn_config"])
