"""The children of one job in pages: failed jobs first, then running ones, then the others from the oldest on."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import FAILURES, Counts, JobGroup, JobStatus, TreeNode, status_of, timestamp
from hammerwork_cli.models.input.reading import UUID_PATTERN
from hammerwork_cli.models.values import FAILED_SPELLINGS, RUNNING_SPELLINGS, meant, spellings
from hammerwork_cli.queries.graph.relatives import ChildStatements, Relatives, packed_config

CURSOR_PATTERN = f"([012])/(-?[0-9]{{1,16}})/({UUID_PATTERN})"
"""Urgency of the last child on the page, its creation in microseconds since 1970, and its id."""
PAGE = ChildStatements("graph.children.page", "graph.children.joined_page", "graph.children.archived_page")
GROUPS = ChildStatements("graph.children.groups", "graph.children.joined_groups", "graph.children.archived_groups")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_CREATED_AT = 1 + TreeNode._fields.index("created_at")
_CONFIG = 1 + TreeNode._fields.index("stored_config")
_NEVER = datetime.max.replace(tzinfo=UTC)


class Place(NamedTuple):
    """The place of a child among its siblings."""

    urgency: int
    created_at: datetime | None
    id: str


@dataclass(frozen=True, slots=True)
class Child:
    """A child and the counts of its own children."""

    node: TreeNode
    children: Counts


@dataclass(frozen=True, slots=True)
class ChildPage:
    """A page of the children of a job.

    Attributes:
        cursor: start of the next page; ``None`` on the last page.
    """

    children: list[Child]
    cursor: str | None


def page(
    database: Database,
    job: str,
    *,
    limit: int,
    queue: str | None = None,
    statuses: Collection[JobStatus] | None = None,
    cursor: str | None = None,
) -> ChildPage:
    """Reads a page of the children of a job, archived ones included.

    A child whose status changes between two pages may be missing or come twice.

    Args:
        job: a full id.
        limit: most children on the page.
        queue: only children in this queue.
        statuses: only children in one of these statuses.
        cursor: the cursor of the previous page.

    Raises:
        JobNotFoundError: there is no such job.
        UsageError: the cursor is not valid.
    """
    after = _read(cursor) if cursor else Place(0, None, "")
    values = {
        "queue": queue,
        "statuses": spellings(statuses or ()),
        "meant": meant(statuses or ()),
        "failed": FAILED_SPELLINGS,
        "running": RUNNING_SPELLINGS,
        "cursor_urgency": after.urgency,
        "cursor_at": after.created_at,
        "cursor_id": after.id,
        "limit": limit + 1,
    }
    with database.snapshot():
        relatives = Relatives(database)
        relatives.job(job)
        found = {
            row[1]: row
            for statement, ids in relatives.all_lookups(PAGE, [job])
            for row in _rows(relatives, statement, ids, values)
        }
        rows = sorted(found.values(), key=_place)[: limit + 1]
        nodes = [TreeNode._make(row[1:]) for row in rows[:limit]]
        totals = relatives.child_counts([node.id for node in nodes])
    children = [Child(node, totals[node.id].counts if node.id in totals else Counts()) for node in nodes]
    return ChildPage(children, _cursor(rows[limit - 1]) if len(rows) > limit else None)


def groups(database: Database, job: str) -> list[JobGroup]:
    """Counts the children of a job by queue and status, archived ones included.

    Raises:
        JobNotFoundError: there is no such job.
    """
    counted: dict[tuple[str, str], int] = {}
    with database.snapshot():
        relatives = Relatives(database)
        relatives.job(job)
        for statement, ids in relatives.all_lookups(GROUPS, [job]):
            for queue, status, jobs in database.rows(statement, ids=ids):
                key = queue, status_of(status)
                counted[key] = counted.get(key, 0) + jobs
    found = [JobGroup(queue, status, jobs) for (queue, status), jobs in counted.items()]
    return sorted(found, key=lambda group: (group.status not in FAILURES, -group.jobs, group.queue, group.status))


def _rows(relatives: Relatives, statement: str, ids: Any, values: dict[str, Any]) -> list[Any]:
    rows = relatives.database.rows(statement, ids=ids, **values)
    if statement != PAGE.archived:
        return rows
    return [(*row[:_CONFIG], packed_config(row[_CONFIG]), *row[_CONFIG + 1 :]) for row in rows]


def _place(row: Any) -> Place:
    return Place(row[0], timestamp(row[_CREATED_AT]) or _NEVER, row[1])


def _cursor(row: Any) -> str:
    place = _place(row)
    assert place.created_at is not None
    return f"{place.urgency}/{(place.created_at - _EPOCH) // _MICROSECOND}/{place.id}"


def _read(text: str) -> Place:
    found = re.fullmatch(CURSOR_PATTERN, text)
    if found is None:
        raise UsageError(f"{text[:80]!r} is not a cursor.", hint="Take it from the previous page.")
    return Place(int(found[1]), _EPOCH + int(found[2]) * _MICROSECOND, found[3].lower())
