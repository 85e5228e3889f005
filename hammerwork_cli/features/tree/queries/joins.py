"""Joins: jobs that wait until the other children of their parent, or all jobs below it, have ended.

The jobs that a join waits for are marked in their places (:class:`Ancestry`), so that whoever ends one knows the join
without asking, and jobs that no join waits for cost nothing. The row of a join counts them, in the same transactions.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from hammerwork_cli.core.values import FINISHED, UNSUCCESSFUL, WAITING_SPELLINGS, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import batched, chunks
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries.relatives import Relatives

CALLBACKS = "callbacks"
"""The scope of a counter for callbacks, which is no job."""


class JoinCounts(NamedTuple):
    """The jobs that a join counts."""

    parent_ended: bool
    open: int
    failed: int
    on_failure: str = "fail"

    @property
    def state(self) -> str:
        """The ``dependency_status`` that follows from them."""
        if not self.parent_ended or self.open > 0:
            return "waiting"
        return "failed" if self.failed > 0 and self.on_failure == "fail" else "satisfied"


def is_join(ancestry: str | None) -> bool:
    """Whether a job waits for other jobs than those in its list of dependencies."""
    return ancestry is not None and '"awaits"' in ancestry and Ancestry.unplaced(ancestry).awaits


def marks(ancestry: str | None) -> tuple[str, ...]:
    """The ids of the joins that wait for a job."""
    return () if ancestry is None or '"join' not in ancestry else _marks(ancestry)


@lru_cache(maxsize=32)
def _marks(ancestry: str) -> tuple[str, ...]:
    """Is cached because siblings have the same place: to parse it for each would cost 7 % of short jobs."""
    place = Ancestry.unplaced(ancestry)
    return place.joins + place.joined


def add(database: Database, join: str, parent: str, scope: str, on_failure: str, now: datetime) -> None:
    """Adds the row of a join whose parent runs. Needs a transaction."""
    values = {"id": join, "parent": parent, "scope": scope, "on_failure": on_failure, "now": now}
    database.run("tree.joins.add", ended=False, open=0, **values)


def counter_of(subject_id: str) -> str:
    """The id of the counter of the jobs that the callbacks of a batch, a tree or a workflow wait for."""
    return str(uuid5(UUID(subject_id), "callbacks"))


def add_counter(database: Database, subject_id: str, jobs: int, now: datetime) -> None:
    """Counts the jobs that callbacks wait for as a join counts its own, so that whoever ends the last one knows it."""
    values = {"id": counter_of(subject_id), "parent": subject_id, "scope": CALLBACKS, "on_failure": "run", "now": now}
    database.run("tree.joins.add", ended=True, open=jobs, **values)


def add_counters(database: Database, subjects: Sequence[str], others: Iterable[str], now: datetime) -> None:
    """Adds the counters of subjects that have ended, and so have no open job, where they are missing.

    Needs a transaction.

    Args:
        others: the joins that the transaction counts next.
    """
    rows = sorted((counter_of(one), one, CALLBACKS, "run", True, 0, 0, now) for one in subjects)
    if rows and database.dialect == "mysql":
        # The insertion locks existing counters, too. Whoever ends a job locks all that count it in the order of ids.
        for ids in chunks(sorted({*others, *(row[0] for row in rows)}), database.key_chunk):
            database.rows("tree.joins.lock_all", ids=database.ids(ids))
    for part in batched(rows, database.key_chunk):
        database.run("tree.joins.add_missing", rows=part)


def count(database: Database, open_jobs: Mapping[str, int], failed: Mapping[str, int] | None = None) -> None:
    """Adds to the counts of joins, in the order of their ids. Needs a transaction; call it late: others wait for it.

    Args:
        open_jobs: join -> further jobs that it waits for; less than 0 for jobs that have ended.
        failed: join -> those of them that have failed.
    """
    for join in sorted(open_jobs):
        database.run("tree.joins.count", id=join, open=open_jobs[join], failed=(failed or {}).get(join, 0))


def parents_ended(database: Database, joins: Sequence[str]) -> None:
    """Notes that the parent of joins has ended. Needs a transaction."""
    database.run_for("tree.joins.parent_ended", sorted(joins))


def counts(database: Database, joins: Iterable[str]) -> dict[str, JoinCounts]:
    """Reads what joins count, by the id of the join."""
    found: dict[str, JoinCounts] = {}
    for join, ended, *rest in database.rows_of("tree.joins.of_jobs", sorted(set(joins)), database.key_chunk):
        found[str(join)] = JoinCounts(bool(ended), *rest)
    return found


class Ready(NamedTuple):
    """What waits for nothing any more."""

    joins: dict[str, str]  # join -> the state of its dependencies
    subjects: list[str]  # ids of batches, trees and workflows whose callbacks are due


def ready(database: Database, joins: Iterable[str]) -> Ready:
    """Locks and returns those of some joins that wait for nothing any more."""
    found = Ready({}, [])
    rows = database.rows_of("tree.joins.ready", sorted(set(joins)), database.key_chunk)
    for join, on_failure, failed, scope, parent in rows:
        if scope == CALLBACKS:
            found.subjects.append(str(parent))
        else:
            found.joins[str(join)] = JoinCounts(True, 0, failed, on_failure).state
    return found


def failing(database: Database, joins: Iterable[str]) -> list[str]:
    """The batches, trees and workflows that some of these counters count for, and of which a job has failed."""
    rows = database.rows_of("tree.joins.failing", sorted(set(joins)), database.key_chunk, scope=CALLBACKS)
    return [str(row[0]) for row in rows]


def make_due(database: Database, ended: Sequence[str], failing: Sequence[str], now: datetime) -> int:
    """Lets a worker look at callbacks at once; returns how many. Needs a transaction.

    Args:
        ended: batches, trees and workflows whose jobs have all ended.
        failing: those of which a job has failed.
    """
    is_put_off: dict[str, bool] = {}
    for subjects, event in ((ended, None), (failing, "failure")):
        rows = database.rows_in("tree.joins.open_callbacks", sorted(set(subjects)), event=event, now=now)
        is_put_off.update((str(callback), put_off) for callback, put_off in rows)
    database.run_for("tree.joins.due", sorted(one for one, put_off in is_put_off.items() if put_off), now=now)
    return len(is_put_off)


def stale(database: Database, before: datetime, limit: int) -> list[str]:
    """Waiting joins whose counts nobody has compared with their jobs for a while."""
    rows = database.rows("tree.joins.stale", before=before, waiting=WAITING_SPELLINGS, limit=limit)
    return [str(job) for (job,) in rows]


def parents_of_joins(database: Database, ids: Sequence[str]) -> list[tuple[str, str]]:
    """(join, parent) of those of some joins that exist, in the order of their ids."""
    rows = database.rows_of("tree.joins.parents", sorted(ids), database.key_chunk)
    return sorted((str(join), str(parent)) for join, parent in rows)


def awaited(database: Database, join: str, parent: str) -> Iterator[tuple[str, str]]:
    """The jobs that a join waits for, and their statuses: those below its parent that have its mark."""
    relatives, level, seen = Relatives(database), [parent], {parent}
    while level:
        # The first parents alone do not lead to all: that of a child may be a job outside of the tree.
        children = sorted({str(row[0]) for row in relatives.child_states(level)} - seen)
        seen.update(children)
        level = []
        for part in chunks(children, database.key_chunk):
            rows = list(database.rows("tree.joins.marks", ids=database.ids(part)))
            if relatives.has_archive:
                rows += database.rows("tree.joins.archived_marks", ids=part)
            for job, ancestry, status, recurs in rows:
                if join in marks(ancestry):
                    level.append(str(job))
                    if not recurs:
                        yield str(job), status_of(status)


def recount(database: Database, join: str, parent: str, now: datetime) -> None:
    """Corrects the counts of a join: other programs end jobs without counting. Needs a transaction."""
    locked = database.row("tree.joins.lock", id=join)
    if locked is None:
        return
    status = database.row("tree.release.statuses", ids=database.ids([parent]))
    found = Counter(word for _, word in awaited(database, join, parent))
    ended = status is None or status_of(status[1]) in FINISHED or (bool(locked[0]) and status[1] == "recurring")
    counted: dict[str, Any] = {
        "ended": ended,
        "open": sum(jobs for word, jobs in found.items() if word not in FINISHED),
        "failed": sum(jobs for word, jobs in found.items() if word in UNSUCCESSFUL),
    }
    database.run("tree.joins.correct", id=join, now=now, **counted)
