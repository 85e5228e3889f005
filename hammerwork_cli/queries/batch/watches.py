"""Looks at watches, and enqueues their jobs when what they wait for has happened.

A worker counts the jobs in one snapshot. In another transaction it closes the watch under a guard, and inserts the job
under the id of the watch: so the job is enqueued once, or not yet. What has ended stays so until somebody retries a
job, since children are born while their parent runs, or in the transaction that completes it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import is_away
from hammerwork_cli.errors import HammerworkError, LastingConflictError, NotFoundError, RetryableError
from hammerwork_cli.models import FINISHED, Counts, status_of, timestamp
from hammerwork_cli.models.new_job import NewWatch
from hammerwork_cli.models.options.jobs import wanted_job
from hammerwork_cli.models.spawn import SETTLING
from hammerwork_cli.models.watches import Event, Subject, Watch, WatchState
from hammerwork_cli.queries.batch import listing
from hammerwork_cli.queries.graph.relatives import Relatives
from hammerwork_cli.queries.graph.release import RECURRING
from hammerwork_cli.queries.job import details, enqueue, notifications
from hammerwork_cli.queries.job.dependencies import parent_statuses
from hammerwork_cli.queries.spawn.wait import TreeWatch

LEASE = timedelta(minutes=1)
"""Time after which another worker goes on for one that died while it counted."""
COST = 20
"""How many times as long as it took to count the jobs pass until the next look."""
PATIENCE = 60
"""What part of the age of a watch passes until the next look."""
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(minutes=1)
RARELY = timedelta(hours=1)
KEPT = timedelta(days=7)
"""Time for which the success of what has failed is waited for."""


class Seen(NamedTuple):
    """What a worker has seen of a batch or a tree in one snapshot.

    Attributes:
        counts: its jobs by status; Retrying ones may be Pending, and Cancelled ones Failed.
        has_ended: whether all jobs have ended, and no worker may still insert others.
    """

    counts: Counts
    has_ended: bool


def upcoming(database: Database, until: datetime, limit: int) -> list[Watch]:
    """Open watches that a worker has to look at until a time, the first due one at first. Needs migration 025."""
    return [details.read_watch(row) for row in database.rows("batch.watches.upcoming", until=until, limit=limit)]


def awaited(database: Database) -> int:
    """Counts the watches for which a worker is still to count jobs."""
    return int(database.rows("batch.watches.awaited")[0][0]) if "watches" in database.tags else 0


def add(database: Database, top: str, new: Sequence[NewWatch], now: datetime) -> None:
    """Watches a job and everything below it, once for the same event and job unless that is over.

    Raises:
        JobNotFoundError: the job does not exist.
        ConflictError: it recurs, so that its tree has no end.
        MissingTablesError, RefusedValueError: see :func:`hammerwork_cli.queries.job.enqueue.watch`.
    """

    def work() -> None:
        Relatives(database).job(top)
        if parent_statuses(database, [top]).get(top) == RECURRING:
            raise LastingConflictError(f"The job {top} recurs, so it never ends.")
        known = details.watches_of(database, Subject.TREE, top)
        has = {(one.event, one.stored_job) for one in known if one.state != WatchState.OVER}
        enqueue.watch(database, Subject.TREE, top, [one for one in new if (one.event, one.job) not in has], now)

    database.transaction(work)


def clear(database: Database, top: str) -> int:
    """Deletes the open watches of a job and everything below it, and returns how many there were."""
    if "watches" not in database.tags:
        return 0
    values = {"id": top, "subject": str(Subject.TREE), "state": str(WatchState.OPEN)}
    return database.transaction(lambda: database.run("batch.watches.delete", **values))


def look(
    database: Database, watches: list[Watch], clock: Callable[[], datetime]
) -> Iterator[tuple[Watch, Exception | None]]:
    """Looks at what watches of one subject wait for; yields those that have fired, and those that failed.

    Args:
        watches: all of the same subject.
        clock: returns the server's time.

    Returns:
        A watch, and why it failed: one that cannot be read does not stop the others.

    Raises:
        ConnectionLostError, UnreachableError: no server answers.
        RetryableError: their jobs could not be counted.
    """
    taken = [one for one in watches if _take(database, one, clock())]
    if not taken:
        return
    began = time.monotonic()
    try:
        seen = see(database, taken, clock())
    except RetryableError:
        for watch in taken:
            _soon(database, watch, clock())
        raise
    cost = timedelta(seconds=COST * (time.monotonic() - began))
    for watch in taken:
        try:
            has_fired = _settle(database, watch, seen, cost, clock())
        except Exception as error:
            if is_away(error):
                raise
            if isinstance(error, RetryableError):
                _soon(database, watch, clock())
            yield watch, error
        else:
            if has_fired:
                yield watch, None


def _settle(database: Database, watch: Watch, seen: Seen | None, cost: timedelta, now: datetime) -> bool:
    """Does what follows for one watch from what was seen; returns whether it has fired."""
    state = None if seen is None else decide(watch, seen, now)
    if seen is None or state is WatchState.OVER:
        _close(database, watch, WatchState.OVER, now)
    elif state is WatchState.FIRED:
        return fire(database, watch, seen.counts, now)
    else:
        _later(database, watch, seen, cost, now)
    return False


def see(database: Database, watches: Sequence[Watch], now: datetime) -> Seen | None:
    """What there is of a batch or a tree; ``None`` if nothing is left of it."""
    of = watches[0].subject_id
    try:
        if watches[0].subject == Subject.BATCH:
            return _batch(database, of)
        if watches[0].subject == Subject.WORKFLOW:
            return _workflow(database, of, now)
        return _tree(database, of, now, early=any(watch.event == Event.FAILURE for watch in watches))
    except NotFoundError:
        return None


def _batch(database: Database, batch: str) -> Seen | None:
    with database.snapshot():
        found = listing.one(database, batch)
    return Seen(found.counts, found.open == 0) if found.counts.total else None


def _workflow(database: Database, workflow: str, now: datetime) -> Seen | None:
    """Counts a workflow; ``None`` if it is gone, or all of its jobs are."""
    counts = Counts()
    with database.snapshot():
        row = database.row("batch.watches.workflow", id=workflow)
        archived = {"archive", "retention"} <= database.tags
        statements = (
            "batch.watches.workflow_counts",
            *(("batch.watches.archived_workflow_counts",) if archived else ()),
        )
        for statement in statements:
            for status, jobs in database.rows(statement, id=workflow):
                counts.add(status_of(status), jobs)
        if row is None or (row[0] and not counts.total):
            return None
        is_open = counts.of(*FINISHED) < counts.total or not counts.total
        return Seen(counts, not is_open and not may_spawn(database, workflow, now))


def may_spawn(database: Database, workflow: str, now: datetime) -> bool:
    """Whether a job of a workflow that has ended may still have further children: see the statements."""
    if database.row("batch.watches.workflow_may_spawn", id=workflow, since=now - SETTLING):
        return True
    return "workers" in database.tags and database.row("batch.watches.workflow_requested", id=workflow) is not None


def _tree(database: Database, job: str, now: datetime, *, early: bool) -> Seen:
    """Reads a tree; before its top has ended only if ``early``, since a child may fail before."""
    tree = TreeWatch(database, [job], now)
    top = [status_of(status) for _, status, *_ in tree.relatives.states([job])]
    if top and top[0] not in FINISHED and not early:
        return Seen(Counts({top[0]: 1}), has_ended=False)  # nothing else needs to be read
    tree.read()
    has_ended = tree.refresh() and not tree.stuck
    return Seen(tree.counts, has_ended)


def decide(watch: Watch, seen: Seen, now: datetime) -> WatchState | None:
    """Whether a watch fires, or is over; ``None`` if it goes on."""
    has_failed = seen.counts.unsuccessful > 0
    if watch.event == Event.FAILURE:
        return WatchState.FIRED if has_failed else WatchState.OVER if seen.has_ended else None
    if not seen.has_ended:
        return None
    if watch.event == Event.COMPLETE or not has_failed:
        return WatchState.FIRED
    ended = timestamp(watch.ended_at)
    return WatchState.OVER if ended is not None and now - ended > KEPT else None


def fire(database: Database, watch: Watch, counts: Counts, now: datetime) -> bool:
    """Enqueues the job of a watch, unless another worker has; returns whether it did.

    Raises:
        RefusedValueError: the database refuses the job.
    """
    job = wanted_job(watch.options(counts)).made(now)
    job.id = watch.id

    def work() -> bool:
        if not _closed(database, watch, WatchState.FIRED, now):
            return False
        enqueue.insert(database, [job])
        notifications.notify(database, [job.queue])
        return True

    return database.transaction(work)


def _take(database: Database, watch: Watch, now: datetime) -> bool:
    # Text of SQLite is compared as it is: other programs may write times in another form.
    seen = watch.check_at if isinstance(watch.check_at, str) else timestamp(watch.check_at)
    values = {"id": watch.id, "seen": seen, "until": now + LEASE}
    return bool(database.transaction(lambda: database.run("batch.watches.take", **values)))


def _later(database: Database, watch: Watch, seen: Seen, cost: timedelta, now: datetime) -> None:
    ended = (timestamp(watch.ended_at) or now) if seen.has_ended else None
    if ended is not None:  # only somebody who retries a job can change anything
        pause = min(max(now - ended, LONGEST), RARELY)
    else:
        pause = min(max(cost, (now - (timestamp(watch.created_at) or now)) / PATIENCE, SHORTEST), LONGEST)
    _put_off(database, watch, now + pause, ended)


def _soon(database: Database, watch: Watch, now: datetime) -> None:
    """Gives the lease of a watch back that lost to another transaction."""
    with suppress(HammerworkError):  # the lease ends by itself
        _put_off(database, watch, now + SHORTEST, timestamp(watch.ended_at))


def _put_off(database: Database, watch: Watch, until: datetime, ended: datetime | None) -> None:
    values = {"id": watch.id, "until": until, "ended": ended}
    database.transaction(lambda: database.run("batch.watches.later", **values))


def _close(database: Database, watch: Watch, state: WatchState, now: datetime) -> None:
    database.transaction(lambda: _closed(database, watch, state, now))


def _closed(database: Database, watch: Watch, state: WatchState, now: datetime) -> bool:
    return bool(database.run("batch.watches.close", id=watch.id, state=str(state), now=now))


def forget(database: Database, before: datetime) -> None:
    """Deletes the watches that fired, or were over, before a time."""
    if "watches" in database.tags:
        database.transaction(lambda: database.run("batch.watches.forget", before=before))


def delete_with_watches(database: Database, statement: str, subject: Subject, of: str) -> bool:
    """Deletes a row with its watches, where a statement deletes the row; returns whether it did."""

    def work() -> bool:
        deleted = bool(database.run(statement, id=of))
        if deleted and "watches" in database.tags:
            database.run("batch.watches.delete", id=of, subject=str(subject), state=None)
        return deleted

    return database.transaction(work)
