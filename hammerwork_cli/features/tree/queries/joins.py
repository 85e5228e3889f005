"""Joins: jobs that wait until the other children of their parent, or all jobs below it, have ended.

The jobs that a join waits for are marked in their places (:class:`Ancestry`), so that whoever ends one knows the join
without asking, and jobs that no join waits for cost nothing. The row of a join counts them, in the same transactions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from hammerwork_cli.core.values import (
    FINISHED,
    UNSUCCESSFUL,
    WAITING,
    WAITING_SPELLINGS,
    JobStatus,
    Timestamp,
    status_of,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.batches import batched, chunks
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries.relatives import Relatives

CALLBACKS = "callbacks"
"""The scope of a counter for callbacks, which is no job."""
SUCCEEDED = frozenset({None, JobStatus.COMPLETED, JobStatus.ARCHIVED})
"""The statuses of a parent that has ended well, or that is gone or archived."""
IN_DOUBT = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of the next comparison of a join whose count would have been negative: nothing is released before it."""


class JoinCounts(NamedTuple):
    """The row of a join: the jobs that it counts."""

    join: str
    parent: str
    parent_ended: bool
    open: int
    failed: int
    on_failure: str = "fail"
    checked_at: Timestamp = None  # when it may next be compared with its jobs

    @property
    def state(self) -> str:
        """The ``dependency_status`` that follows from them."""
        waits = not self.parent_ended or self.open > 0 or self.is_in_doubt
        return "waiting" if waits else _state(self.failed, self.on_failure)

    @property
    def is_in_doubt(self) -> bool:
        """Whether it waits until a worker has counted its jobs anew."""
        at = timestamp(self.checked_at)
        return at is not None and at <= IN_DOUBT


def _state(failed: int, on_failure: str) -> str:
    """The ``dependency_status`` of a join that waits for nothing."""
    return "failed" if failed > 0 and on_failure == "fail" else "satisfied"


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
        values = {"open": open_jobs[join], "failed": (failed or {}).get(join, 0), "in_doubt": IN_DOUBT}
        database.run("tree.joins.count", id=join, **values)


def parents_ended(database: Database, joins: Sequence[str]) -> None:
    """Notes that the parent of joins has ended. Needs a transaction."""
    database.run_for("tree.joins.parent_ended", sorted(joins))


def note_parents(database: Database, joins: Sequence[str]) -> None:
    """Notes which parents of joins that are about to wait again have ended. Needs a transaction."""
    database.run_for("tree.joins.note_parents", sorted(joins))


def parents_again(database: Database, parents: Sequence[str]) -> list[str]:
    """Notes that jobs that had ended run again; returns the joins that wait for their ends. Needs a transaction."""
    found = sorted(str(row[0]) for row in database.rows_of("tree.joins.of_parents", parents, database.key_chunk))
    database.run_for("tree.joins.parent_again", found)
    return found


def counts(database: Database, joins: Iterable[str]) -> dict[str, JoinCounts]:
    """Reads what joins count, by the id of the join."""
    rows = database.rows_of("tree.joins.of_jobs", sorted(set(joins)), database.key_chunk)
    return {found.join: found for found in map(_counts, rows)}


def _counts(row: Row) -> JoinCounts:
    join, parent, parent_ended, *rest = row
    return JoinCounts(str(join), str(parent), bool(parent_ended), *rest)


class Ready(NamedTuple):
    """What waits for nothing any more."""

    joins: dict[str, str]  # join -> the state of its dependencies
    subjects: list[str]  # ids of batches, trees and workflows whose callbacks are due


def ready(database: Database, joins: Iterable[str]) -> Ready:
    """Locks and returns those of some joins that wait for nothing any more."""
    found = Ready({}, [])
    rows = database.rows_of("tree.joins.ready", sorted(set(joins)), database.key_chunk, in_doubt=IN_DOUBT)
    for join, on_failure, failed, scope, parent in rows:
        if scope == CALLBACKS:
            found.subjects.append(str(parent))
        else:
            found.joins[str(join)] = _state(failed, on_failure)
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


class Recount(NamedTuple):
    """What a join counts, and what it should, in one snapshot."""

    counted: JoinCounts
    parent: str | None  # the status of its parent; ``None`` if that is gone or archived
    parent_ended: bool
    open: int
    failed: int
    witness: str | None  # a job that it waits for

    @property
    def differs(self) -> bool:
        known = self.counted
        return (known.parent_ended, known.open, known.failed) != (self.parent_ended, self.open, self.failed)


def waiting(database: Database, after: str | None, limit: int) -> list[JoinCounts]:
    """Reads a page of the joins that wait, in the order of their ids."""
    values = {"after": after, "waiting": WAITING_SPELLINGS, "limit": limit}
    return [_counts(row) for row in database.rows("tree.joins.waiting", **values)]


def doubted(database: Database, limit: int) -> list[JoinCounts]:
    """Reads joins and counters that somebody found to be wrong."""
    return [_counts(row) for row in database.rows("tree.joins.doubted", in_doubt=IN_DOUBT, limit=limit)]


def ended_among(database: Database, jobs: Iterable[str]) -> set[str]:
    """Those of some jobs that have ended, or are gone or archived."""
    known = sorted(set(jobs))
    rows = database.rows_of("tree.joins.statuses", known, database.key_chunk)
    return set(known) - {str(job) for job, status in rows if status_of(status) not in FINISHED}


def recount(database: Database, known: JoinCounts) -> Recount | None:
    """Counts the jobs of a join anew, by one statement, which locks nothing; ``None`` if it is gone.

    Where that differs from the row, another statement looks among all jobs: a deleted one leads to none below it.
    """
    found = _recount(database, known, "tree.joins.recount")
    return _recount(database, known, "tree.joins.recount_all") if found and found.differs else found


def _recount(database: Database, known: JoinCounts, statement: str) -> Recount | None:
    # The key comes before the ids: see Ancestry.stored.
    rows = database.rows(statement, id=known.join, subject=known.parent, mark=f'%"join%"{known.join}"%')
    if not rows:
        return None
    scope, parent_ended, open_jobs, failed, checked_at, parent, *_ = rows[0]
    before = known._replace(parent_ended=bool(parent_ended), open=open_jobs, failed=failed, checked_at=checked_at)
    above = None if parent is None else status_of(parent)
    # The end of a run of a recurring parent is only noted here. With a parent that has failed, the join fails.
    has_ended = above in SUCCEEDED or (before.parent_ended and above not in WAITING | {JobStatus.RUNNING})
    by_status = [(status_of(status), int(jobs), str(job)) for *_, status, jobs, job in rows if status is not None]
    is_counter, is_open = scope == CALLBACKS, [job for status, _, job in by_status if status not in FINISHED]
    return Recount(
        before,
        None if is_counter else above,
        before.parent_ended if is_counter else has_ended,
        sum(jobs for status, jobs, _ in by_status if status not in FINISHED),
        sum(jobs for status, jobs, _ in by_status if status in UNSUCCESSFUL),
        max(is_open, default=None if has_ended else known.parent),
    )


def take(database: Database, known: JoinCounts, until: datetime) -> JoinCounts | None:
    """Takes the comparison of a join until a time, unless another worker has: then the result is ``None``."""
    seen = {"seen": _as_stored(known.checked_at)}
    return (
        known._replace(checked_at=until)
        if database.run("tree.joins.take", id=known.join, until=until, **seen)
        else None
    )


def correct(database: Database, found: Recount, until: datetime) -> bool:
    """Corrects the row of a join, unless somebody else has; returns whether it did. Needs a transaction.

    Args:
        until: when it may next be compared.
    """
    known = found.counted
    values: dict[str, Any] = {"open": found.open - known.open, "failed": found.failed - known.failed, "until": until}
    values |= {"ended": found.parent_ended, "ended_now": found.parent_ended != known.parent_ended or None}
    return bool(database.run("tree.joins.correct", id=known.join, seen=_as_stored(known.checked_at), **values))


def _as_stored(time: Timestamp) -> Timestamp:
    """A time to compare with: text of SQLite as it is, since other programs may write times in another form."""
    return time if isinstance(time, str) else timestamp(time)


class Miscounted(NamedTuple):
    """A join or a counter whose row is wrong."""

    counted: JoinCounts
    open: int
    failed: int
    queue: str | None  # ``None`` for a counter, which is no job
    status: str


def miscounted(database: Database) -> Iterator[Miscounted]:
    """Compares all joins and counters with all jobs, for people who ask; workers look at those that they doubt."""
    right: dict[str, list[int]] = {}
    with database.snapshot():
        for statement in ("tree.joins.places", "tree.joins.archived_places"):
            for ancestry, stored, jobs in database.rows(statement):
                status = status_of(stored)
                for join in marks(ancestry):
                    counted = right.setdefault(join, [0, 0])
                    counted[0] += int(jobs) * (status not in FINISHED)
                    counted[1] += int(jobs) * (status in UNSUCCESSFUL)
        for *row, scope, queue, status, state, parent in database.rows("tree.joins.all"):
            known = _counts(tuple(row))
            open_jobs, failed = right.get(known.join, (0, 0))
            waits = state == "waiting" and status_of(status) in WAITING
            overlooks = waits and not known.parent_ended and parent is not None and status_of(parent) in SUCCEEDED
            if known.is_in_doubt or overlooks or (known.open, known.failed) != (open_jobs, failed):
                yield Miscounted(known, open_jobs, failed, queue, scope if scope == CALLBACKS else status)
