"""The children of one job in pages: failed jobs first, then running ones, then the others from the oldest on."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.input.reading import UUID_PATTERN
from hammerwork_cli.core.values import (
    FAILED_SPELLINGS,
    FAILURES,
    RUNNING_SPELLINGS,
    Counts,
    JobStatus,
    derived_words,
    spellings,
    status_of,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.plan import JobGroup
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.relatives import ChildStatements, Relatives, packed_config

CURSOR_PATTERN = f"([012])/(-?[0-9]{{1,16}})/({UUID_PATTERN})"
"""Urgency of the last child on the page, its creation in microseconds since 1970, and its id."""
PAGE = ChildStatements("tree.children.page", "tree.children.joined_page", "tree.children.archived_page")
GROUPS = ChildStatements("tree.children.groups", "tree.children.joined_groups", "tree.children.archived_groups")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_NEVER = datetime.max.replace(tzinfo=UTC)


class SiblingPlace(NamedTuple):
    """The place of a child among its siblings."""

    urgency: int
    created_at: datetime | None
    id: str


class Child(NamedTuple):
    """A child and the counts of its own children."""

    node: TreeNode
    children: Counts


class ChildPage(NamedTuple):
    children: list[Child]
    cursor: str | None  # start of the next page; `None` on the last page


def page(
    database: Database,
    job: str,
    *,
    limit: int,
    queues: Sequence[str] = (),
    statuses: Collection[JobStatus] | None = None,
    cursor: str | None = None,
) -> ChildPage:
    """Reads a page of the children of a job, archived ones included.

    A child whose status changes between two pages may be missing or come twice. Raises JobNotFoundError if there is no
    such job.
    """
    after = _read(cursor) if cursor else SiblingPlace(0, None, "")
    values = {
        "queues": queues,
        "statuses": spellings(statuses or ()),
        "derived": derived_words(statuses or ()),
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
            one.node.id: one
            for statement, ids in relatives.all_lookups(PAGE, [job])
            for one in _found(relatives, statement, ids, values)
        }
        first = sorted(found.values(), key=_place)[: limit + 1]
        nodes = [one.node for one in first[:limit]]
        totals = relatives.child_counts([node.id for node in nodes])
    children = [Child(node, totals[node.id].counts if node.id in totals else Counts()) for node in nodes]
    return ChildPage(children, _cursor(first[limit - 1]) if len(first) > limit else None)


def groups(database: Database, job: str) -> list[JobGroup]:
    """Counts the children of a job by queue and status, archived ones included.

    Raises JobNotFoundError if there is no such job.
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


class _Found(NamedTuple):
    """A child as a statement of :data:`PAGE` finds it."""

    urgency: int
    node: TreeNode


def _found(relatives: Relatives, statement: str, ids: Any, values: dict[str, Any]) -> Iterator[_Found]:
    for urgency, *columns in relatives.database.rows(statement, ids=ids, **values):
        node = TreeNode._make(columns)
        if statement == PAGE.archived:
            node = node._replace(stored_config=packed_config(node.stored_config))
        yield _Found(urgency, node)


def _place(found: _Found) -> SiblingPlace:
    return SiblingPlace(found.urgency, timestamp(found.node.created_at) or _NEVER, found.node.id)


def _cursor(found: _Found) -> str:
    place = _place(found)
    assert place.created_at is not None
    return f"{place.urgency}/{(place.created_at - _EPOCH) // _MICROSECOND}/{place.id}"


def _read(text: str) -> SiblingPlace:
    found = re.fullmatch(CURSOR_PATTERN, text)
    if found is None:
        raise UsageError(f"{text[:80]!r} is not a cursor.", hint="Take it from the previous page.")
    return SiblingPlace(int(found[1]), _EPOCH + int(found[2]) * _MICROSECOND, found[3].lower())
