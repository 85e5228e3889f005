"""Looks at callbacks, and enqueues their jobs when what they wait for has happened.

A worker counts the jobs in one snapshot. In another transaction it closes the callback under a guard, and inserts the
job under the id of the callback: so the job is enqueued once, or not yet. What has ended stays so until somebody
retries a job, since children are born while their parent runs, or in the transaction that completes it. Such a retry
lets an event be written at the next end, too (``job/queries/ends.py``).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.clock import latest
from hammerwork_cli.core.values import FINISHED, Counts, JobStatus, Timestamp, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import is_away
from hammerwork_cli.errors import HammerworkError, LastingConflictError, NotFoundError, RetryableError
from hammerwork_cli.features.batch.queries import listing
from hammerwork_cli.features.callbacks.model import Callback, CallbackEvent, CallbackState, NewCallback, Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of, read_callback
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.event.shapes import Ended, data_of
from hammerwork_cli.features.job.options import wanted_job
from hammerwork_cli.features.job.queries import enqueue, groups, notifications
from hammerwork_cli.features.job.queries.dependencies import parent_statuses
from hammerwork_cli.features.spawn.models.spawn import QUIET_TIME
from hammerwork_cli.features.spawn.queries.wait import TreeWatch
from hammerwork_cli.features.tree.queries.joins import counter_of
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.tree.queries.release import RECURRING

LEASE = timedelta(minutes=1)
"""Time after which another worker goes on for one that died while it counted."""
COST = 20
"""The pause until the next count, as a multiple of the time that the last one took."""
PATIENCE = 60
"""The age of a callback divided by this is the pause until the next count."""
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(minutes=1)
RARELY = timedelta(hours=1)
MOST_FIRED = 100_000
"""Maximum number of callbacks that a test looks at."""
MOST_AT_ONCE = 1000
KEPT = timedelta(days=7)
"""How long a callback waits for a success after a failure."""


class Seen(NamedTuple):
    """The jobs of a batch, a tree or a workflow, as a worker read them in one snapshot."""

    counts: Counts  # its jobs by status; Retrying ones may be Pending, and Cancelled ones Failed
    has_ended: bool  # whether all jobs have ended, and no worker may still insert others
    last_end: datetime | None = None  # of the jobs of a tree


def upcoming(database: Database, until: datetime, limit: int) -> list[Callback]:
    """The open callbacks that are due first until a time, and those that a wrong clock put off."""
    rows = database.rows("batch.callbacks.upcoming", until=until, latest=latest(until, RARELY), limit=limit)
    return [read_callback(row) for row in rows]


def count_uncounted(database: Database) -> int:
    """Counts the callbacks whose jobs a worker has yet to count."""
    return int(database.rows("batch.callbacks.count_uncounted")[0][0])


def count_ahead(database: Database, now: datetime) -> int:
    """Counts the open callbacks that a clock that was ahead has put off."""
    return int(database.value("batch.callbacks.count_ahead", latest=latest(now, RARELY)))


def add(database: Database, top: str, new: Sequence[NewCallback], now: datetime) -> None:
    """Adds callbacks to a job and everything below it, except those that it has already and that are not over.

    Raises JobNotFoundError if the job does not exist. Raises ConflictError if it recurs, so that its tree has no end.
    Raises MissingTablesError or RefusedValueError: see :func:`enqueue.add_callbacks`.
    """

    def work() -> None:
        Relatives(database).job(top)
        if parent_statuses(database, [top]).get(top) == RECURRING:
            raise LastingConflictError(f"The job {top} recurs, so it never ends.")
        has = [one for one in callbacks_of(database, Subject.TREE, top) if one.state != CallbackState.OVER]
        missing = [one for one in new if not any(known.is_same(one) for known in has)]
        enqueue.add_callbacks(database, Subject.TREE, top, missing, now)

    database.transaction(work)


def clear(database: Database, top: str) -> int:
    """Deletes the open callbacks of a job and everything below it, and returns how many there were."""
    values = {"id": top, "subject": str(Subject.TREE), "state": str(CallbackState.OPEN)}

    def work() -> int:
        database.run("batch.callbacks.uncount", counter=counter_of(top))
        return database.run("batch.callbacks.delete", **values)

    return database.transaction(work)


def look(
    database: Database, callbacks: list[Callback], clock: Callable[[], datetime]
) -> Iterator[tuple[Callback, Exception | None]]:
    """Looks at what callbacks of one subject wait for; yields those that acted, and those that failed.

    Returns a callback, and why it failed: one that cannot be read does not stop the others. Raises ConnectionLostError
    or UnreachableError if no server answers. Raises RetryableError if their jobs could not be counted.
    """
    taken = [mine for one in callbacks if (mine := _taken(database, one, clock()))]
    if not taken:
        return
    began = time.monotonic()
    try:
        seen = see(database, taken, clock())
    except RetryableError:
        for callback in taken:
            _soon(database, callback, clock())
        raise
    cost = timedelta(seconds=COST * (time.monotonic() - began))
    for callback in taken:
        try:
            has_fired = _act_on(database, callback, seen, cost, clock())
        except Exception as error:
            if is_away(error):
                raise
            if isinstance(error, RetryableError):
                _soon(database, callback, clock())
            yield callback, error
        else:
            if has_fired:
                yield callback, None


def look_at_due(database: Database, clock: Callable[[], datetime]) -> Iterator[tuple[Callback, Exception | None]]:
    """Looks at each callback that is due; yields and raises as :func:`look` does."""
    now = clock()
    found = upcoming(database, now, MOST_AT_ONCE)
    for together in _by_subject(one for one in found if (timestamp(one.check_at) or now) <= now):
        yield from look(database, together, clock)


def _by_subject(callbacks: Iterable[Callback]) -> Iterable[list[Callback]]:
    subjects: dict[tuple[str, str], list[Callback]] = {}
    for callback in callbacks:
        subjects.setdefault((callback.subject, callback.subject_id), []).append(callback)
    return subjects.values()


def _act_on(database: Database, callback: Callback, seen: Seen | None, cost: timedelta, now: datetime) -> bool:
    """Fires, ends or postpones one callback; returns whether it has fired."""
    has_fired = _fire_or_end(database, callback, seen, now)
    if has_fired is None and seen is not None:
        _later(database, callback, seen, cost, now)
    return bool(has_fired)


def _fire_or_end(database: Database, callback: Callback, seen: Seen | None, now: datetime) -> bool | None:
    """Fires or ends a callback; returns whether it has fired, and ``None`` if it goes on."""
    state = None if seen is None else decide(callback, seen, now)
    if seen is not None and state is CallbackState.FIRED and not _succeeded(database, callback, seen):
        state = _given_up(callback, now)
    if seen is None or state is CallbackState.OVER:
        _close(database, callback, CallbackState.OVER, now)
        return False
    return fire(database, callback, seen.counts, now) if state is CallbackState.FIRED else None


def _succeeded(database: Database, callback: Callback, seen: Seen) -> bool:
    """False if it waits for a success after a failure, and nobody has mended that: the job that failed is gone."""
    ended = timestamp(callback.ended_at)
    if callback.event != CallbackEvent.SUCCESS or ended is None:
        return True
    if callback.subject == Subject.TREE:
        return seen.last_end is not None and seen.last_end > ended
    return groups.any_completed_since(database, ended, **{callback.subject: callback.subject_id})


def fire_ended(database: Database, now: datetime) -> int:
    """Fires the open callbacks whose jobs have ended, and returns how many did.

    It is for tests: it does not wait until other programs have inserted the jobs that they may still insert.
    """
    fired = 0
    for together in _by_subject(upcoming(database, now + 2 * RARELY, MOST_FIRED)):
        seen = see(database, together, now + 2 * QUIET_TIME)
        fired += sum(bool(_fire_or_end(database, callback, seen, now)) for callback in together)
    return fired


def see(database: Database, callbacks: Sequence[Callback], now: datetime) -> Seen | None:
    """Counts the jobs of the subject of callbacks; ``None`` if none is left."""
    subject_id = callbacks[0].subject_id
    try:
        if callbacks[0].subject == Subject.BATCH:
            return _batch(database, subject_id)
        if callbacks[0].subject == Subject.WORKFLOW:
            return _workflow(database, subject_id, now)
        return _tree(
            database, subject_id, now, early=any(callback.event == CallbackEvent.FAILURE for callback in callbacks)
        )
    except NotFoundError:
        return None


def _batch(database: Database, batch: str) -> Seen | None:
    with database.snapshot():
        found = listing.one(database, batch)
    return Seen(found.counts, not found.counts.open) if found.counts.total else None


def _workflow(database: Database, workflow: str, now: datetime) -> Seen | None:
    """Counts a workflow; ``None`` if it is gone, or all of its jobs are."""
    with database.snapshot():
        row = database.row("batch.callbacks.workflow", id=workflow)
        counts = groups.counted(database, workflow=workflow)
        if row is None or (row[0] and not counts.total):
            return None
        is_open = counts.open or not counts.total
        return Seen(counts, not is_open and not may_spawn(database, workflow, now))


def may_spawn(database: Database, workflow: str, now: datetime) -> bool:
    """Whether a job of a workflow that has ended may still have further children: see the statements."""
    if database.row("batch.callbacks.workflow_may_spawn", id=workflow, since=now - QUIET_TIME, latest=latest(now)):
        return True
    return database.row("batch.callbacks.workflow_requested", id=workflow) is not None


def _tree(database: Database, job: str, now: datetime, *, early: bool) -> Seen:
    """Reads a tree; before its top has ended only if ``early``, since a child may fail before."""
    tree = TreeWatch(database, [job], now)
    top = [status_of(status) for _, status, *_ in tree.relatives.states([job])]
    if top and top[0] not in FINISHED and not early:
        return Seen(Counts({top[0]: 1}), has_ended=False)  # nothing else needs to be read
    tree.read()
    has_ended = tree.refresh() and not tree.stuck
    ends = [end for state in tree.states.values() if (end := timestamp(state.ended_at)) is not None]
    return Seen(tree.counts, has_ended, max(ends, default=None))


def decide(callback: Callback, seen: Seen, now: datetime) -> CallbackState | None:
    """Whether a callback fires, or is over; ``None`` if it goes on."""
    has_failed = seen.counts.unsuccessful > 0
    if callback.event == CallbackEvent.FAILURE:
        return CallbackState.FIRED if has_failed else CallbackState.OVER if seen.has_ended else None
    if not seen.has_ended:
        return None
    if callback.event == CallbackEvent.COMPLETE or not has_failed:
        return CallbackState.FIRED
    return _given_up(callback, now)


def _given_up(callback: Callback, now: datetime) -> CallbackState | None:
    """``OVER`` if it has waited long enough for a success after a failure."""
    ended = timestamp(callback.ended_at)
    return CallbackState.OVER if ended is not None and now - ended > KEPT else None


def fire(database: Database, callback: Callback, counts: Counts, now: datetime) -> bool:
    """Enqueues the job of a callback, or writes its event, unless another worker has; returns whether it did.

    Raises RefusedValueError if the database refuses the job.
    """
    if callback.announced is not None:
        return database.transaction(lambda: _announce(database, callback, counts, now))
    job = wanted_job(callback.options(counts)).made(now)
    job.id, job.plaintext_meant = callback.id, True

    def work() -> bool:
        if not _closed(database, callback, CallbackState.FIRED, now):
            return False
        enqueue.insert(database, [job])
        notifications.notify(database, [job.queue])
        return True

    return database.transaction(work)


def _announce(database: Database, callback: Callback, counts: Counts, now: datetime) -> bool:
    """Writes the event of a callback, if it happened and somebody wants it, unless another worker has."""
    about = callback.announced or {}
    if callback.subject == Subject.WORKFLOW:
        # Its lock comes before its counter, as for a retry. Whoever adds a job under it leaves open callbacks alone.
        database.row("batch.callbacks.lock_workflow", id=callback.subject_id)
        counts = groups.counted(database, workflow=callback.subject_id)
        if counts.open or not counts.total:
            return False
    if not _closed(database, callback, CallbackState.FIRED, now):
        return False
    event, queue = about["type"], about["queue"]
    jobs = counts.total, counts.of(JobStatus.COMPLETED), counts.unsuccessful
    ended = Ended(callback.subject_id, queue, *jobs, about["name"])
    if event is EventType.TREE_FAILED and not ended.failed:
        return False
    data = data_of(event).record(ended)
    return events.happened(database, event, ended.id, now, data, queue=queue, priority=about["priority"])


def _taken(database: Database, callback: Callback, now: datetime) -> Callback | None:
    values = {"id": callback.id, "seen": _as_stored(callback.check_at), "until": now + LEASE}
    taken = database.transaction(lambda: database.run("batch.callbacks.take", **values))
    return callback._replace(check_at=now + LEASE) if taken else None


def _as_stored(time: Timestamp) -> Timestamp:
    """A time to compare with: text of SQLite as it is, since other programs may write times in another form."""
    return time if isinstance(time, str) else timestamp(time)


def _later(database: Database, callback: Callback, seen: Seen, cost: timedelta, now: datetime) -> None:
    ended = (timestamp(callback.ended_at) or now) if seen.has_ended else None
    if ended is not None:  # only somebody who retries a job can change anything
        pause = min(max(now - ended, LONGEST), RARELY)
    else:
        pause = min(max(cost, (now - (timestamp(callback.created_at) or now)) / PATIENCE, SHORTEST), LONGEST)
    _put_off(database, callback, now + pause, ended)


def _soon(database: Database, callback: Callback, now: datetime) -> None:
    """Postpones a callback that lost to another transaction by a second only, in place of its lease."""
    with suppress(HammerworkError):  # the lease ends by itself
        _put_off(database, callback, now + SHORTEST, timestamp(callback.ended_at))


def _put_off(database: Database, callback: Callback, until: datetime, ended: datetime | None) -> None:
    values = {"id": callback.id, "until": until, "ended": ended, "taken": callback.check_at}
    database.transaction(lambda: database.run("batch.callbacks.later", **values))


def _close(database: Database, callback: Callback, state: CallbackState, now: datetime) -> None:
    database.transaction(lambda: _closed(database, callback, state, now))


def _closed(database: Database, callback: Callback, state: CallbackState, now: datetime) -> bool:
    subject = callback.subject_id
    counter = counter_of(subject)
    # The counter comes first, as for whoever ends a job.
    is_counted = database.row("tree.joins.lock", id=counter) is not None
    # What ended may run again since its jobs were counted: it has another end then, which nobody has told yet.
    seen = _as_stored(callback.changed_at) if callback.announced is not None else None
    if not database.run("batch.callbacks.close", id=callback.id, state=str(state), now=now, seen=seen):
        return False  # whoever ends the jobs that run again needs the counter
    if is_counted:  # else a retry may be inserting one, and waits for the callback
        database.run("batch.callbacks.forget_count", counter=counter, id=subject)
    return True


def forget(database: Database, before: datetime) -> None:
    """Deletes the callbacks that fired, or were over, before a time."""
    database.transaction(lambda: database.run("batch.callbacks.forget", before=before))


def delete_with_callbacks(database: Database, statement: str, subject: Subject, subject_id: str) -> bool:
    """Deletes a batch or a workflow by a statement, and then its callbacks; returns whether it deleted the row."""

    def work() -> bool:
        deleted = bool(database.run(statement, id=subject_id))
        if deleted and database.is_current:
            database.run("batch.callbacks.uncount", counter=counter_of(subject_id))
        if deleted:
            database.run("batch.callbacks.delete", id=subject_id, subject=str(subject), state=None)
        return deleted

    return database.transaction(work)
