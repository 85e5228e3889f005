"""Children and parents of many jobs at a time, whichever way the database offers."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

from hammerwork_cli.cached import cached
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import GIN_CHUNK, chunks
from hammerwork_cli.errors import JobNotFoundError
from hammerwork_cli.models import TreeNode
from hammerwork_cli.models.payloads import unpacked
from hammerwork_cli.models.values import FAILED_SPELLINGS, RUNNING_SPELLINGS
from hammerwork_cli.queries.graph.child_totals import ChildTotals, collect_totals

GIN_LISTS, GIN_LIST = 20, 100
"""Where all are read: short lists side by side in one statement cost less than a long one, or than many statements."""
FEW_PARENTS = 100
"""The children of so few are read at once, from the index on first parents, where a parent's lie together."""
LISTED_PARENTS = 10_000
PACKED_LIMIT = 1 << 20
KNOWN_PARENTS = 10_000

ALIKE = tuple(map(TreeNode._fields.index, ("queue", "stored_status", "stored_parents")))
"""What most jobs of a tree share with others."""
SHARED_ROWS = 2000


class ChildStatements(NamedTuple):
    """The statements that together find the children of jobs.

    Attributes:
        first: finds those whose first parent is given; all of them where no index of first parents exists.
        joined: finds those whose first parent is another job.
        archived: finds those in the archive.
    """

    first: str
    joined: str
    archived: str


CHILDREN = ChildStatements(
    "graph.relatives.children", "graph.relatives.joined_children", "graph.relatives.archived_children"
)
CHILD_STATES = ChildStatements(
    "graph.relatives.child_states", "graph.relatives.joined_child_states", "graph.relatives.archived_child_states"
)
CHILD_TOTALS = ChildStatements(
    "graph.relatives.child_totals", "graph.relatives.joined_child_totals", "graph.relatives.archived_child_totals"
)


class Relatives:
    """Asks for relatives in bounded lists of ids: never a statement a job.

    Jobs that are in the archive only are found too; a job in both tables is read from the main one.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._texts: dict[Any, Any] = {}

    @cached
    def _sizes(self) -> list[int]:
        """How many ids the first of :class:`ChildStatements` may be given, and the joined one where it is needed."""
        tags = self.database.tags
        if "by_scan" in tags:
            return [self.database.scan_chunk]
        if "by_gin" in tags:
            return [GIN_CHUNK]
        joined = GIN_CHUNK if self.database.dialect == "postgresql" else self.database.scan_chunk
        return [self.database.read_chunk, joined]

    @cached
    def _later_parents(self) -> frozenset[str] | None:
        """Jobs that are some job's parent and not its first; ``None`` when there are too many to be worth knowing."""
        rows = self.database.rows("graph.relatives.later_parents", limit=KNOWN_PARENTS + 1)
        return frozenset(chain.from_iterable(rows)) if len(rows) <= KNOWN_PARENTS else None

    def lookups(self, statements: ChildStatements, parents: Sequence[str]) -> Iterator[tuple[str, Sequence[str] | str]]:
        """A statement, and the ids to give it, for each list of ``parents``; without those for the archive."""
        for statement, size in zip(statements, self._sizes, strict=False):
            asked = self._joinable(parents) if statement == statements.joined else parents
            for part in self._parts(asked, size):
                yield statement, part

    def all_lookups(
        self, statements: ChildStatements, parents: Sequence[str]
    ) -> Iterator[tuple[str, Sequence[str] | str]]:
        """The same with those for the archive, which come last."""
        return chain(self.lookups(statements, parents), self.archive_lookups(statements, parents))

    def archive_lookups(
        self, statements: ChildStatements, parents: Sequence[str]
    ) -> Iterator[tuple[str, Sequence[str] | str]]:
        """Those for the archive alone, where it holds any job."""
        if self.has_archive:
            indexed = "by_first_parent" in self.database.tags
            for part in self._parts(parents, self.database.read_chunk if indexed else self.database.scan_chunk):
                yield statements.archived, part

    def _joinable(self, parents: Sequence[str]) -> Sequence[str]:
        """Those of ``parents`` that may be some job's parent and not its first."""
        if self.database.dialect == "postgresql" and len(parents) <= GIN_CHUNK:
            return parents
        later = self._later_parents
        return parents if later is None else [job for job in parents if job in later or job.lower() in later]

    @cached
    def has_archive(self) -> bool:
        """Whether there are archived jobs at all."""
        return "archive" in self.database.tags and self.database.row("graph.relatives.any_archived") is not None

    def job(self, job: str) -> TreeNode:
        """One job.

        Raises:
            JobNotFoundError: there is no such job.
        """
        found = self.jobs([job])
        if not found:
            raise JobNotFoundError(job)
        return found[0]

    def jobs(self, ids: Iterable[str]) -> list[TreeNode]:
        """The jobs with these ids that exist."""
        wanted = list(ids)
        parts = self._parts(wanted, self.database.read_chunk)
        found = [node for part in parts for node in self._nodes("graph.relatives.jobs", ids=part)]
        if self.has_archive and len(found) < len(wanted):
            known = {node.id for node in found}
            rest = [job for job in wanted if job not in known]
            for part in self._parts(rest, self.database.read_chunk):
                found += self._archived("graph.relatives.archived_jobs", ids=part)
        return found

    def children(self, parents: Sequence[str], limit: int | None = None) -> Iterator[TreeNode]:
        """Jobs that depend on one of ``parents``; some may come twice.

        Args:
            parents: ids.
            limit: the most jobs that the caller has room for; failures come first then, chunk by chunk.
        """
        bounds = {"limit": limit, "failed": FAILED_SPELLINGS, "running": RUNNING_SPELLINGS}
        tags = self.database.tags
        if limit is None and "by_gin" in tags:
            # In order, so that neighbours meet in the index.
            lists = [(ids,) for ids in self._parts(sorted(parents), GIN_LIST)]
            for start in range(0, len(lists), GIN_LISTS):
                yield from self._nodes("graph.relatives.all_children", lists=lists[start : start + GIN_LISTS])
        else:
            by_key = limit is None and {"mysql", "by_first_parent"} <= tags and len(parents) > FEW_PARENTS
            if by_key:
                yield from self._children_by_key(parents)
            for statement, part in self.lookups(CHILDREN, parents):
                if statement == CHILDREN.joined or not by_key:
                    yield from self._nodes(statement, ids=part, **bounds)
        for statement, part in self.archive_lookups(CHILDREN, parents):
            yield from self._archived(statement, ids=part, **bounds)

    def _children_by_key(self, parents: Sequence[str]) -> Iterator[TreeNode]:
        """The jobs of which one of ``parents`` is the first, in the order in which InnoDB keeps rows.

        In the order of their parents each would cost a page of its own, where the table is larger than the server's
        memory: nine seconds instead of four for 110,000 of a million jobs.
        """
        ids: list[str] = []
        for part in chunks(sorted(parents), LISTED_PARENTS):
            ids += chain.from_iterable(self.database.rows("graph.relatives.child_ids", parents=json.dumps(part)))
        ids.sort()
        for keys in self._parts(ids, self.database.read_chunk):
            yield from self._nodes("graph.relatives.jobs", ids=keys)

    def states(self, ids: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        """What the jobs with these ids are in: rows of :class:`hammerwork_cli.queries.spawn.wait.State`."""
        wanted = dict.fromkeys(ids)
        for part in self._parts(list(wanted), self.database.read_chunk):
            for row in self.database.rows("graph.relatives.states", ids=part):
                wanted.pop(row[0], None)
                yield row
        if wanted and self.has_archive:
            for part in self._parts(list(wanted), self.database.read_chunk):
                yield from self.database.rows("graph.relatives.archived_states", ids=part)

    def child_states(self, parents: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The same of the jobs that depend on one of ``parents``; some may come twice, archived ones last."""
        for statement, part in self.all_lookups(CHILD_STATES, parents):
            yield from self.database.rows(statement, ids=part)

    def child_counts(self, parents: Sequence[str]) -> dict[str, "ChildTotals"]:
        """Parent -> its children counted, archived ones included, for those that have any."""
        totals: dict[str, ChildTotals] = {}
        for statement, part in self.all_lookups(CHILD_TOTALS, parents):
            collect_totals(totals, self.database.rows(statement, ids=part))
        return totals

    def _parts(self, ids: Sequence[str], size: int) -> Iterator[Sequence[str] | str]:
        return map(self.database.ids, chunks(ids, size))

    def _nodes(self, statement: str, **values: Any) -> list[TreeNode]:
        nodes: list[TreeNode] = []
        for rows in self.database.row_parts(statement, SHARED_ROWS, **values):
            nodes += self._shared(rows)
        return nodes

    def _shared(self, rows: list[tuple[Any, ...]]) -> Iterable[TreeNode]:
        """The nodes of rows, in which equal texts of :data:`ALIKE` are one object: a fifth of their memory less.

        Column by column, without a call for each of 100,000 rows.
        """
        columns: list[Any] = list(zip(*rows, strict=True))
        for place in ALIKE:
            columns[place] = map(self._texts.setdefault, columns[place], columns[place])
        return map(tuple.__new__, repeat(TreeNode), zip(*columns, strict=True))

    def _archived(self, statement: str, **values: Any) -> list[TreeNode]:
        nodes = self._nodes(statement, **values)
        return [node._replace(stored_config=packed_config(node.stored_config)) for node in nodes]


def live_or_archived(database: Database, live: str, archived: str, ids: Sequence[str]) -> dict[str, Any]:
    """What two statements say of jobs, by id: of those that are nowhere else, the archive's."""
    found = {
        str(job): value
        for part in chunks(ids, database.key_chunk)
        for job, value in database.rows(live, ids=database.ids(part))
    }
    missing = [job for job in ids if job not in found]
    if missing and "archive" in database.tags:
        for part in chunks(missing, database.key_chunk):
            found |= {str(job): value for job, value in database.rows(archived, ids=part)}
    return found


def packed_config(payload: Any) -> str | None:
    """JSON text of ``_spawn_config`` in an archived payload, which may be gzipped; ``None`` without one."""
    text = None if payload is None else unpacked(payload, PACKED_LIMIT)
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or "_spawn_config" not in value:
        return None
    return json.dumps(value["_spawn_config"])
