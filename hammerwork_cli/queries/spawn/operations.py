"""Spawn operations: their parents, their children, and spawns that are still to come."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.models import (
    FINISHED,
    Counts,
    JobStatus,
    PendingSpawn,
    RecordedSpawn,
    SpawnGroup,
    SpawnOperation,
    SpawnStats,
    TreeNode,
    id_list,
    status_of,
    timestamp,
)
from hammerwork_cli.models.values import (
    COMPLETED_SPELLINGS,
    ENDED_SPELLINGS,
    FAILED_SPELLINGS,
    duration_of,
    meant,
    spellings,
)
from hammerwork_cli.queries.graph import cursors, records
from hammerwork_cli.queries.graph.child_totals import ChildTotals, collect_totals, no_collector
from hammerwork_cli.queries.graph.relatives import Relatives

SLOWEST = 10


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
    queue: str | None = None,
    statuses: Iterable[JobStatus] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    operation: str | None = None,
    roots: bool = False,
    cursor: str | None = None,
) -> list[TreeNode]:
    """Reads the newest parents that spawned, or that ended without a child.

    Args:
        database: an open connection.
        limit: most operations.
        queue: only parents in this queue.
        statuses: only parents in one of these statuses.
        since: only parents that were created then or later.
        until: only parents that were created before then.
        operation: operation id in the parent's configuration or in a worker's record, or id of the record.
        roots: only parents that depend on no other job.
        cursor: cursor of the last parent of the previous page: see :mod:`hammerwork_cli.queries.graph.cursors`.

    Raises:
        UsageError: the cursor is not valid.
        NotFoundError: the cursor is the id of a job that does not exist.
    """
    at, job = cursors.read(database, cursor) if cursor else (None, None)
    wanted = {
        "queue": queue,
        "statuses": spellings(statuses or ()),
        "meant": meant(statuses or ()),
        "since": since,
        "until": until,
        "operation": operation,
        "roots": roots,
    }
    place = {"cursor_at": at, "cursor_id": job}
    found = _nodes(database, "spawn.operations.list", ended=ENDED_SPELLINGS, limit=limit, **place, **wanted)
    if not records.are_there(database, since):
        return found
    more = _nodes(database, "spawn.operations.list_recorded", limit=limit, **place, **wanted)
    if operation is None:
        # An early child has a key, and its parent's operation id only from a configuration.
        more += _nodes(database, "spawn.operations.list_early", limit=limit, **place, **wanted)
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
    """Reads one operation with the counts of its children.

    Args:
        database: an open connection.
        parent: a full id.

    Raises:
        NotFoundError: there is no such job, or it has neither spawned nor a spawn configuration.
    """
    with database.snapshot():
        relatives = Relatives(database)
        found = relatives.jobs([parent])
        total = relatives.child_counts([parent]).get(parent)
        recorded = records.of_jobs(database, [parent]).get(parent)
    if not found or not (total or recorded or found[0].has_spawn_config):
        raise NotFoundError(f"Job {parent} has no spawn operation.", hint="See: hammerwork spawn list")
    return _operation(found[0], total or ChildTotals(), recorded)


def _operation(parent: TreeNode, total: ChildTotals, recorded: Sequence[RecordedSpawn] | None = None) -> SpawnOperation:
    ended = total.counts.of(*FINISHED) == total.counts.total
    last = recorded[-1] if recorded else None
    return SpawnOperation(parent, total.counts, total.first_created, total.last_ended if ended else None, last)


class _Parent(NamedTuple):
    queue: str
    handler: str
    status: str
    is_recent: int
    depends_on: tuple[str, ...]


@no_collector()
def stats(
    database: Database, *, since: datetime, recent: datetime, queue: str | None = None, detailed: bool = False
) -> SpawnStats:
    """Calculates figures of the operations whose parents were created since ``since``.

    Args:
        database: an open connection.
        since: start of the window.
        recent: operations created then or later count as recent.
        queue: only parents in this queue.
        detailed: also by queue and by handler, and the slowest operations.
    """
    recorded = records.are_there(database, since)
    window: dict[str, Any] = {"since": since, "queue": queue, "recorded": recorded, "configured": not recorded}
    parents = {
        # Workers find the spawn handler by the name in the configuration, else by the queue.
        row[0]: _Parent(row[1], row[2] or row[1], status_of(row[3]), row[4], id_list(row[5]))
        for row in database.rows("spawn.operations.window_parents", recent=recent, **window)
    }
    totals: dict[str, ChildTotals] = {}
    collect_totals(totals, database.rows("spawn.operations.window_totals", **window))
    if "by_first_parent" in database.tags and database.row("graph.relatives.any_joins"):
        collect_totals(totals, database.rows("spawn.operations.window_joined_totals", **window))
    if Relatives(database).has_archive:
        collect_totals(totals, database.rows("spawn.operations.window_archived_totals", **window))
    p50, p95 = database.rows("spawn.operations.window_run_times", completed=COMPLETED_SPELLINGS, **window)[0]
    # The statements read one after the other: leave out parents that were created in between.
    spawned = {job: totals[job] for job in parents if job in totals}
    return SpawnStats(
        since=since,
        queue=queue,
        overall=_group(None, spawned.values()),
        empty=sum(1 for job, parent in parents.items() if job not in totals and parent.status == JobStatus.COMPLETED),
        recent=sum(parents[job].is_recent for job in spawned),
        depth=_depth(parents, spawned.keys()),
        p50=duration_of(p50),
        p95=duration_of(p95),
        by_queue=_groups(spawned, {job: parents[job].queue for job in spawned}) if detailed else None,
        by_handler=_groups(spawned, {job: parents[job].handler for job in spawned}) if detailed else None,
        slowest=_slowest(database, spawned) if detailed else None,
    )


def _group(name: str | None, totals: Iterable[ChildTotals]) -> SpawnGroup:
    counts, sizes = Counts(), []
    for total in totals:
        counts.merge(total.counts)
        sizes.append(total.counts.total)
    return SpawnGroup(
        name=name,
        operations=len(sizes),
        children=sum(sizes),
        largest=max(sizes, default=0),
        completed=counts.of(JobStatus.COMPLETED),
        ended=counts.of(*FINISHED),
        failed=counts.failed,
        cancelled=counts.cancelled,
        retrying=counts.retrying,
    )


def _groups(spawned: dict[str, ChildTotals], names: dict[str, Any]) -> tuple[SpawnGroup, ...]:
    members: dict[str | None, list[ChildTotals]] = defaultdict(list)
    for job, total in spawned.items():
        members[names[job]].append(total)
    groups = [_group(name, totals) for name, totals in members.items()]
    return tuple(sorted(groups, key=lambda group: (-group.operations, group.name or "")))


def _depth(parents: dict[str, _Parent], spawned: Iterable[str]) -> int:
    """Generations of spawns: 0 without spawns, 1 if no child has spawned."""
    depths = {job: 1 for job in spawned if not parents[job].depends_on}
    for start in [job for job in spawned if job not in depths]:
        path: list[str] = []
        job: str | None = start
        while job is not None and job not in depths:
            depths[job] = 0
            path.append(job)
            job = next((parent for parent in parents[job].depends_on if parent in parents), None)
        above = depths.get(job, 0) if job is not None else 0
        for step in reversed(path):
            above += 1
            depths[step] = above
    return max((depths[job] for job in spawned), default=0)


def _slowest(database: Database, spawned: dict[str, ChildTotals]) -> tuple[SpawnOperation, ...]:
    timed = []
    for job, total in spawned.items():
        start, end = timestamp(total.first_created), timestamp(total.last_ended)
        if start and end and total.counts.of(*FINISHED) == total.counts.total:
            timed.append((end - start, job))
    slowest = [job for _, job in sorted(timed, reverse=True)[:SLOWEST]]
    nodes = {node.id: node for node in Relatives(database).jobs(slowest)}
    recorded = records.of_jobs(database, slowest)
    return tuple(_operation(nodes[job], spawned[job], recorded.get(job)) for job in slowest if job in nodes)


def pending(database: Database, *, limit: int, queue: str | None = None) -> list[PendingSpawn]:
    """Returns jobs with a spawn request, jobs that will or never did spawn, and waiting jobs: ``limit`` of each."""
    with database.snapshot():
        asked = _asked_again(database, limit=limit, queue=queue)
        spawners = _nodes(database, "spawn.operations.pending", queue=queue, failed=FAILED_SPELLINGS, limit=limit)
        waiting = _nodes(database, "spawn.operations.waiting", queue=queue, ended=ENDED_SPELLINGS, limit=limit)
        parents = Relatives(database).jobs(dict.fromkeys(parent for job in waiting for parent in job.depends_on))
    status = {parent.id: parent.status for parent in parents}
    again = {job.id for job in asked}
    ahead = [PendingSpawn(job, _spawn_reason(job), Counts()) for job in spawners if job.id not in again]
    return [
        *(PendingSpawn(job, "asked_again", Counts()) for job in asked),
        *ahead,
        *(_waiting(job, status) for job in waiting),
    ]


def _asked_again(database: Database, *, limit: int, queue: str | None) -> list[TreeNode]:
    if "workers" not in database.tags:
        return []
    rows = database.rows("spawn.operations.requested", limit=limit, queue=queue)
    return Relatives(database).jobs(dict.fromkeys(str(row[0]) for row in rows))


def _nodes(database: Database, statement: str, **values: Any) -> list[TreeNode]:
    return [TreeNode._make(row) for row in database.rows(statement, **values)]


def _spawn_reason(job: TreeNode) -> str:
    return "never_spawned" if job.status in FINISHED else "will_spawn"


def _waiting(job: TreeNode, statuses: dict[str, str]) -> PendingSpawn:
    counts = Counts()
    for parent in job.depends_on:
        counts.add(statuses.get(parent, "missing"))
    open_parents = counts.total - counts.of(*FINISHED, "missing")
    return PendingSpawn(job, "waiting" if open_parents else "stuck", counts)
