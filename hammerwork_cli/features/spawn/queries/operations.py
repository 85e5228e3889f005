"""Spawn operations: their parents and their children."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from hammerwork_cli.core.values import ENDED_SPELLINGS, JobStatus, derived_words, spellings, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.tree.model import RecordedSpawn, TreeNode
from hammerwork_cli.features.tree.queries import cursors, records
from hammerwork_cli.features.tree.queries.child_totals import ChildTotals
from hammerwork_cli.features.tree.queries.relatives import Relatives


def page(database: Database, *, limit: int, **wanted: Any) -> tuple[list[SpawnOperation], str | None]:
    """Returns a page of :func:`operations`, and the cursor of the next page if there is one."""
    found = operations(database, limit=limit + 1, **wanted)
    return found[:limit], cursors.after(found[limit - 1].parent) if len(found) > limit else None


def operations(database: Database, *, limit: int, **wanted: Any) -> list[SpawnOperation]:
    """Reads :func:`parents` in one snapshot, and counts their children."""
    with database.snapshot():
        return counted(database, parents(database, limit=limit, **wanted))


def parents(
    database: Database,
    *,
    limit: int,
    queues: Sequence[str] = (),
    statuses: Iterable[JobStatus] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    operations: Sequence[str] = (),
    roots: bool = False,
    cursor: str | None = None,
) -> list[TreeNode]:
    """Reads the newest parents that spawned, or that ended without a child.

    Raises UsageError if the cursor is not valid. Raises NotFoundError if the cursor is the id of a job that does not
    exist.

    Args:
        operations: operation ids in the parent's configuration or in a worker's record, or ids of the record.
        roots: only parents that depend on no other job.
    """
    at, job = cursors.read(database, cursor) if cursor else (None, None)
    wanted = {
        "queues": queues,
        "statuses": spellings(statuses or ()),
        "derived": derived_words(statuses or ()),
        "since": since,
        "until": until,
        "operations": operations,
        "roots": roots,
    }
    place = {"cursor_at": at, "cursor_id": job}
    found = nodes(database, "spawn.operations.list", ended=ENDED_SPELLINGS, limit=limit, **place, **wanted)
    if not records.are_there(database, since):
        return found
    more = nodes(database, "spawn.operations.list_recorded", limit=limit, **place, **wanted)
    if not operations:
        # An early child has a key, and its parent's operation id only from a configuration.
        more += nodes(database, "spawn.operations.list_early", limit=limit, **place, **wanted)
    return _newest([*found, *more])[:limit]


def counted(database: Database, parents: Sequence[TreeNode]) -> list[SpawnOperation]:
    """Counts the children of parents, and adds the recorded spawns."""
    ids = [parent.id for parent in parents]
    totals, recorded = Relatives(database).child_counts(ids), records.of_jobs(database, ids)
    return [_operation(parent, totals.get(parent.id) or ChildTotals(), recorded.get(parent.id)) for parent in parents]


def _newest(nodes: Iterable[TreeNode]) -> list[TreeNode]:
    """Returns each job once, the newest first."""

    def age(node: TreeNode) -> tuple[datetime, str]:
        return timestamp(node.created_at) or datetime.max.replace(tzinfo=UTC), node.id

    return sorted({node.id: node for node in nodes}.values(), key=age, reverse=True)


def operation(database: Database, parent: str) -> SpawnOperation:
    """Reads one operation with the counts of its children."""
    with database.snapshot():
        relatives = Relatives(database)
        found = relatives.jobs([parent])
        total = relatives.child_counts([parent]).get(parent)
        recorded = records.of_jobs(database, [parent]).get(parent)
    if not found or not (total or recorded or found[0].has_spawn_config):
        raise NotFoundError(f"Job {parent} has no spawn operation.", hint="See: hammerwork spawn list")
    return _operation(found[0], total or ChildTotals(), recorded)


def _operation(parent: TreeNode, total: ChildTotals, recorded: Sequence[RecordedSpawn] | None = None) -> SpawnOperation:
    end, last = None if total.counts.open else total.last_ended, recorded[-1] if recorded else None
    return SpawnOperation(parent, total.counts, total.first_created, end, last)


def nodes(database: Database, statement: str, **values: Any) -> list[TreeNode]:
    """The jobs that a statement reads."""
    return [TreeNode._make(row) for row in database.rows(statement, **values)]
