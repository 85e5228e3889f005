"""Figures of spawn operations."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hammerwork_cli.core.values import (
    COMPLETED_SPELLINGS,
    ENDED_SPELLINGS,
    FAILED_SPELLINGS,
    JobStatus,
    Timestamp,
    id_list,
    length_of,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.spawn.models.stats import SpawnGroup, SpawnStats
from hammerwork_cli.features.spawn.queries.operations import counted
from hammerwork_cli.features.tree.queries import records
from hammerwork_cli.features.tree.queries.child_totals import (
    ChildTotals,
    collect_totals,
    earliest,
    latest,
    no_collector,
)
from hammerwork_cli.features.tree.queries.relatives import Relatives

SLOWEST = 10
MOST_TIMED = 2_000
"""Completed children whose run times are all read; of more, a sample of about this size."""


class _Parents(NamedTuple):
    """Figures of one parent, or of several together, in the order of the statement's columns."""

    id: str | None  # `None` for several parents, as is everything else that a single job has
    depends_on: tuple[str, ...]
    operations: int
    recent: int
    empty: int
    children: int
    largest: int
    completed: int
    ended: int
    failed: int
    cancelled: int
    retrying: int
    first_created: Timestamp = None  # of the children; only with `:detailed`, as the rest
    last_ended: Timestamp = None
    queue: str | None = None
    handler: str | None = None

    def with_children(self, more: ChildTotals) -> "_Parents":
        """Adds further children of the one parent."""
        children, counts = self.children + more.counts.total, more.counts
        return self._replace(
            operations=1 if children else 0,
            recent=self.recent if children else 0,
            empty=0 if children else self.empty,
            children=children,
            largest=children,
            completed=self.completed + counts.of(JobStatus.COMPLETED),
            ended=self.ended + counts.ended,
            failed=self.failed + counts.failed,
            cancelled=self.cancelled + counts.cancelled,
            retrying=self.retrying + counts.retrying,
            first_created=earliest([self.first_created, more.first_created]),
            last_ended=latest([self.last_ended, more.last_ended]),
        )


@no_collector()
def stats(
    database: Database, *, since: datetime, recent: datetime, queues: Sequence[str] = (), detailed: bool = False
) -> SpawnStats:
    """Calculates figures of the operations whose parents were created since ``since``.

    Args:
        recent: operations created then or later count as recent.
        detailed: also by queue and by handler, and the slowest operations.
    """
    any_unconfigured = (
        database.is_current and database.rows("spawn.operations.count_unconfigured", since=since)[0][0] > 0
    )
    windows = [
        {"since": since, "queues": queues, "configured": not unconfigured, "unconfigured": unconfigured}
        for unconfigured in (False, True)[: 1 + any_unconfigured]
    ]
    more: dict[str, ChildTotals] = {}
    for name in _further_children(database):
        for window in windows:
            collect_totals(more, database.rows(name, **window))
    many = len(more) > database.read_chunk
    values = {
        "recent": recent,
        "completed": COMPLETED_SPELLINGS,
        "ended": ENDED_SPELLINGS,
        "failed": FAILED_SPELLINGS,
        "detailed": detailed,
        "all_alone": detailed or many,
        "ids": database.ids([*more]) if more and not many else None,
    }
    rows = [row for window in windows for row in database.rows("spawn.operations.window", **values, **window)]
    parents = [row.with_children(more[row.id]) if row.id in more else row for row in map(_parents, rows)]
    spawned = [row for row in parents if row.operations]
    overall = _group(None, spawned)
    p50, p95, timed = _run_times(
        database, overall.completed, {"since": since, "queues": queues, "unconfigured": any_unconfigured}
    )
    return SpawnStats(
        since=since,
        queues=tuple(queues),
        overall=overall,
        empty=sum(row.empty for row in parents if row.id is None or not row.children),
        recent=sum(row.recent for row in spawned),
        depth=_depth(database, parents, since=since, queues=queues),
        p50=length_of(p50),
        p95=length_of(p95),
        timed=timed,
        by_queue=_groups(spawned, "queue") if detailed else None,
        by_handler=_groups(spawned, "handler") if detailed else None,
        slowest=_slowest(database, spawned) if detailed else None,
    )


def _further_children(database: Database) -> Iterator[str]:
    """Yields the statements for children that ``spawn.operations.window`` does not count: joins and archived ones."""
    if database.is_current and database.row("tree.relatives.any_joins"):
        yield "spawn.operations.window_joined_totals"
    if Relatives(database).has_archive:
        yield "spawn.operations.window_archived_totals"


def _run_times(database: Database, completed: int, window: dict[str, Any]) -> tuple[Any, ...]:
    """The median and 95th percentile in the database's unit, and the number of children that they are of."""

    def ask(below: str | None) -> tuple[Any, ...]:
        values = {"completed": COMPLETED_SPELLINGS, "below": below, **window}
        return database.rows("spawn.operations.window_run_times", **values)[0]

    if completed > MOST_TIMED:
        first_digits = f"{(MOST_TIMED << 32) // completed:08x}"
        found = ask(f"{first_digits}-0000-0000-0000-000000000000")
        if MOST_TIMED // 2 < found[2] < MOST_TIMED * 2:
            return found
    return ask(None)  # few, or ids that are not random


def _parents(row: tuple[Any, ...]) -> _Parents:
    found = _Parents(*row)
    # Workers find the spawn handler by the name in the configuration, else by the queue.
    return found._replace(depends_on=id_list(found.depends_on), handler=found.handler or found.queue)


def _group(name: str | None, parents: Sequence[_Parents]) -> SpawnGroup:
    return SpawnGroup(
        name=name,
        operations=sum(row.operations for row in parents),
        children=sum(row.children for row in parents),
        largest=max((row.largest for row in parents), default=0),
        completed=sum(row.completed for row in parents),
        ended=sum(row.ended for row in parents),
        failed=sum(row.failed for row in parents),
        cancelled=sum(row.cancelled for row in parents),
        retrying=sum(row.retrying for row in parents),
    )


def _groups(parents: Iterable[_Parents], name: str) -> tuple[SpawnGroup, ...]:
    members: dict[str | None, list[_Parents]] = defaultdict(list)
    for row in parents:
        members[getattr(row, name)].append(row)
    groups = [_group(name, rows) for name, rows in members.items()]
    return tuple(sorted(groups, key=lambda group: (-group.operations, group.name or "")))


def _depth(database: Database, parents: Sequence[_Parents], *, since: datetime, queues: Sequence[str]) -> int:
    """Generations of spawns: 0 without spawns, 1 if no child has spawned."""
    above = {row.id: row.depends_on for row in parents if row.id is not None}
    spawned = [row for row in parents if row.operations]
    unknown = {job for row in spawned for job in row.depends_on} - above.keys()
    above |= dict.fromkeys(_members(database, unknown, since=since, queues=queues), ())
    depths = {job: 1 for job, depends_on in above.items() if not depends_on}
    for row in spawned:
        path: list[str] = []
        job = row.id
        while job is not None and job not in depths:
            depths[job] = 0
            path.append(job)
            job = next((parent for parent in above[job] if parent in above), None)
        level = depths.get(job, 0) if job is not None else 0
        for step in reversed(path):
            level += 1
            depths[step] = level
    return max((1 if row.id is None else depths[row.id] for row in spawned), default=0)


def _members(database: Database, ids: Iterable[str], *, since: datetime, queues: Sequence[str]) -> Iterable[str]:
    """The jobs among ``ids`` that belong to the window and spawned or may spawn."""
    unconfigured = []
    for job, configured in database.rows_of("spawn.operations.window_members", sorted(ids), since=since, queues=queues):
        if configured:
            yield job
        else:
            unconfigured.append(job)
    yield from records.parents(database, unconfigured)


def _slowest(database: Database, spawned: Iterable[_Parents]) -> tuple[SpawnOperation, ...]:
    timed = []
    for row in spawned:
        start, end = timestamp(row.first_created), timestamp(row.last_ended)
        if row.id and start and end and row.ended == row.children:
            timed.append((end - start, row.id))
    slowest = [job for _, job in sorted(timed, reverse=True)[:SLOWEST]]
    found = {one.parent.id: one for one in counted(database, Relatives(database).jobs(slowest))}
    return tuple(found[job] for job in slowest if job in found)
