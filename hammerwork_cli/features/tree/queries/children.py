"""The children of one job in pages, the worst first, and the jobs below it."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.input.reading import UUID_PATTERN
from hammerwork_cli.core.values import (
    FAILED_SPELLINGS,
    FAILURES,
    RUNNING_SPELLINGS,
    WAITING,
    Counts,
    JobStatus,
    derived_words,
    spellings,
    status_of,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError, UsageError
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import failing
from hammerwork_cli.features.tree.queries.failing import Failing
from hammerwork_cli.features.tree.queries.relatives import ChildStatements, Relatives, packed_config

CURSOR_PATTERN = f"([0-3])/(-?[0-9]{{1,16}})/({UUID_PATTERN})"
"""Trouble of the last child on the page, its creation in microseconds since 1970, and its id."""
PAGE = ChildStatements("tree.children.page", "tree.children.joined_page", "tree.children.archived_page")
GROUPS = ChildStatements("tree.children.groups", "tree.children.joined_groups", "tree.children.archived_groups")
MOST_READ = 5000
"""Descendants that a page looks at. Where few fit the filter, the next page goes on after the last one."""
SIBLINGS = 100
"""Children that a walk reads at once."""
ANY_TROUBLE = 3
NO_SPELLING = ("",)
NOBODY = "00000000-0000-0000-0000-000000000000"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_NEVER = datetime.max.replace(tzinfo=UTC)


class SiblingPlace(NamedTuple):
    """The place of a child among its siblings."""

    trouble: int
    created_at: datetime | None
    id: str


class Child(NamedTuple):
    """A job below another one, the counts of its own children, and the failed jobs below it."""

    node: TreeNode
    children: Counts
    depth: int = 1
    failed_below: int = 0
    more_failed_below: bool = False


class ChildPage(NamedTuple):
    children: list[Child]
    cursor: str | None  # start of the next page; `None` on the last page


class ChildGroup(NamedTuple):
    """Children that share a queue and a status; those with failures below them are apart from the others."""

    queue: str
    status: str
    jobs: int
    failed_below: int  # failed jobs below those of the group
    more_failed_below: bool  # whether there may be more


def page(
    database: Database,
    job: str,
    *,
    limit: int,
    queues: Sequence[str] = (),
    statuses: Collection[JobStatus] | None = None,
    failed_below: bool | None = None,
    cursor: str | None = None,
) -> ChildPage:
    """Reads a page of the children of a job, archived ones included.

    A child whose status changes between two pages may be missing or come twice. Raises JobNotFoundError if there is no
    such job.

    Args:
        failed_below: only those with failures below them, or only the others.
    """
    after = _read(cursor) if cursor else None
    with database.snapshot():
        relatives = Relatives(database)
        below = failing.below(relatives, relatives.job(job))
        filters: dict[str, Any] = {
            "queues": queues,
            "statuses": spellings(statuses or ()),
            "derived": derived_words(statuses or ()),
            "only_failing": failed_below is True,
            "not_failing": failed_below is False,
        }
        first = _siblings(relatives, job, limit + 1, after, below, **filters)
        nodes = [one.node for one in first[:limit]]
        totals = relatives.child_counts([node.id for node in nodes])
    children = [
        Child(
            node,
            totals[node.id].counts if node.id in totals else Counts(),
            failed_below=below.jobs.get(node.id, 0),
            more_failed_below=below.more,
        )
        for node in nodes
    ]
    return ChildPage(children, _cursor(_place(first[limit - 1])) if len(first) > limit else None)


def descendants(
    database: Database,
    job: str,
    *,
    depth: int,
    limit: int,
    queues: Collection[str] = (),
    statuses: Collection[JobStatus] | None = None,
    cursor: str | None = None,
) -> ChildPage:
    """Reads a page of the jobs below a job, each followed by those below it, siblings from the oldest on.

    It reads no more of a tree than the page, and looks for the others below their first parent only. Raises
    JobNotFoundError if there is no such job, and NotFoundError if the last job of the page before is gone.
    """
    with database.snapshot():
        relatives = Relatives(database)
        relatives.job(job)
        last = None if cursor is None else _read(cursor).id
        walk = _Walk(relatives, job, depth, last)
        found: list[Child] = []
        for child in walk:
            if (statuses is None or child.node.status in statuses) and (not queues or child.node.queue in queues):
                if len(found) == limit:
                    return ChildPage(found, _cursor(SiblingPlace(ANY_TROUBLE, _EPOCH, found[-1].node.id)))
                found.append(child)
            if walk.read >= MOST_READ:
                return ChildPage(found, _cursor(SiblingPlace(ANY_TROUBLE, _EPOCH, child.node.id)))
        return ChildPage(found, None)


class _Walk:
    """The jobs below a job, down to a depth, in the order of :func:`descendants`.

    Args:
        last: id of the job to begin after; ``None`` to begin with the first child.
    """

    def __init__(self, relatives: Relatives, job: str, depth: int, last: str | None) -> None:
        self.read = 0  # jobs so far
        self._relatives = relatives
        self._depth = depth
        way = [] if last is None else self._way(job, last)
        self._path = [job, *(node.id for node in way)]  # the jobs whose children come next
        after = [*(_place(_Found(ANY_TROUBLE, node)) for node in way), None]
        self._families = list(map(self._family, self._path, after))[:depth]

    def _way(self, job: str, last: str) -> list[TreeNode]:
        """The jobs on the way down to one."""
        way: list[TreeNode] = []
        above = [last]
        while above != [job]:
            found = self._relatives.jobs(above)
            if not found or len(way) == self._depth:
                raise NotFoundError("The job of the cursor is no longer in this list.")
            way.insert(0, found[0])
            above = list(found[0].depends_on[:1])
        return way

    def __iter__(self) -> Iterator[Child]:
        while self._families:
            child = next(self._families[-1], None)
            del self._path[len(self._families) :]
            if child is None:
                self._families.pop()
            elif child.node.id not in self._path:
                yield child._replace(depth=len(self._families))
                if child.children.total and len(self._families) < self._depth:
                    self._path.append(child.node.id)
                    self._families.append(self._family(child.node.id, None))

    def _family(self, parent: str, after: SiblingPlace | None) -> Iterator[Child]:
        """The children whose first parent this is."""
        while True:
            found = _siblings(self._relatives, parent, SIBLINGS, after, Failing({}, False), by_age=True)
            self.read += len(found)
            own = [one.node for one in found if one.node.depends_on[:1] == (parent,)]
            totals = self._relatives.child_counts([node.id for node in own])
            for node in own:
                yield Child(node, totals[node.id].counts if node.id in totals else Counts())
            if len(found) < SIBLINGS:
                return
            after = _place(found[-1])


def groups(database: Database, job: str) -> list[ChildGroup]:
    """Counts the children of a job by queue, status and whether failures are below them, archived ones included.

    The worst come first. Raises JobNotFoundError if there is no such job.
    """
    counted: dict[tuple[str, str, bool], int] = {}
    failed: dict[tuple[str, str, bool], int] = {}
    with database.snapshot():
        relatives = Relatives(database)
        below = failing.below(relatives, relatives.job(job))
        for statement, ids in relatives.all_lookups(GROUPS, [job]):
            for queue, status, jobs in database.rows(statement, ids=ids):
                key = queue, status_of(status), False
                counted[key] = counted.get(key, 0) + jobs
        for node in relatives.jobs(below.jobs):
            key = node.queue, node.status, node.status not in FAILURES
            counted[key] = counted.get(key, 0) + 1
            counted[node.queue, node.status, False] = counted.get((node.queue, node.status, False), 0) - 1
            failed[key] = failed.get(key, 0) + below.jobs[node.id]
    found = [ChildGroup(*key[:2], jobs, failed.get(key, 0), below.more) for key, jobs in counted.items() if jobs]
    return sorted(found, key=lambda one: (_urgency(one), -one.jobs, one.queue, one.status))


def _urgency(group: ChildGroup) -> int:
    if group.status in FAILURES:
        return 0
    if group.failed_below:
        return 1
    return 2 if group.status == JobStatus.RUNNING else 3 if group.status in WAITING else 4


class _Found(NamedTuple):
    """A child as a statement of :data:`PAGE` finds it."""

    trouble: int
    node: TreeNode


def _siblings(
    relatives: Relatives,
    job: str,
    limit: int,
    after: SiblingPlace | None,
    below: Failing,
    *,
    by_age: bool = False,
    **filters: Any,
) -> list[_Found]:
    """The first children of a job after one of them; ``by_age`` ignores their statuses."""
    after = after or SiblingPlace(0, None, "")
    values = {
        "failed": NO_SPELLING if by_age else FAILED_SPELLINGS,
        "running": NO_SPELLING if by_age else RUNNING_SPELLINGS,
        "failing": relatives.database.ids([*below.jobs] or [NOBODY]),
        "cursor_trouble": after.trouble,
        "cursor_at": after.created_at,
        "cursor_id": after.id,
        "limit": limit,
        **dict.fromkeys(("queues", "statuses", "derived", "only_failing", "not_failing")),
        **filters,
    }
    found = {
        one.node.id: one
        for statement, ids in relatives.all_lookups(PAGE, [job])
        for one in _found(relatives, statement, ids, values)
    }
    return sorted(found.values(), key=_place)[:limit]


def _found(relatives: Relatives, statement: str, ids: Any, values: dict[str, Any]) -> Iterator[_Found]:
    for trouble, *columns in relatives.database.rows(statement, ids=ids, **values):
        node = TreeNode._make(columns)
        if statement == PAGE.archived:
            node = node._replace(stored_config=packed_config(node.stored_config))
        yield _Found(trouble, node)


def _place(found: _Found) -> SiblingPlace:
    return SiblingPlace(found.trouble, timestamp(found.node.created_at) or _NEVER, found.node.id)


def _cursor(place: SiblingPlace) -> str:
    assert place.created_at is not None
    return f"{place.trouble}/{(place.created_at - _EPOCH) // _MICROSECOND}/{place.id}"


def _read(text: str) -> SiblingPlace:
    found = re.fullmatch(CURSOR_PATTERN, text)
    if found is None:
        raise UsageError(f"{text[:80]!r} is not a cursor.", hint="Take it from the previous page.")
    return SiblingPlace(int(found[1]), _EPOCH + int(found[2]) * _MICROSECOND, found[3].lower())
