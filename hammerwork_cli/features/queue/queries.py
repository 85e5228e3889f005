"""Reads figures of queues; pauses and resumes them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.values import (
    COMPLETED_SPELLINGS,
    FAILED_SPELLINGS,
    ODDLY_COMPLETED,
    RUNNING_SPELLINGS,
    WAITING,
    WAITING_SPELLINGS,
    JobStatus,
    Timestamp,
    length_of,
    priority_word,
    status_of,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.errors import ConflictError, NotFoundError, RefusedValueError
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.queue.model import (
    EVERY_QUEUE,
    EndedJobs,
    HealthLimits,
    PauseChange,
    Pauses,
    PriorityCount,
    QueueHealth,
    QueuePause,
    QueueState,
    QueueStats,
    Service,
    earliest,
)
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.features.worker.queries import limits
from hammerwork_cli.features.worker.queries.registry import listed, queue_counts

HEALTH_WINDOW = timedelta(hours=1)
SAMPLE = 5000
"""Newest jobs among whose queues a similar name is looked for."""
ROWS_TOGETHER = 500
"""Pauses that one statement writes or ends."""

MOST_TIMED_OUT = 10_000
"""Newest jobs that a Rust worker timed out among which those of the window are looked for."""

_READY = {"none", "satisfied", None}
_OPEN = WAITING_SPELLINGS + RUNNING_SPELLINGS


class _Row(NamedTuple):
    """Jobs of a queue that are alike, or a pause, which has no status."""

    queue: str
    status: str | None
    dependency_status: str | None
    jobs: int
    due: int
    due_since: Timestamp
    paused_at: Timestamp
    paused_by: str | None
    reason: str | None
    # With ages.
    started_at: Timestamp = None
    created_at: Timestamp = None
    # With priorities; the run times are those of all queues, alike in every row.
    priority: Any = None
    of_priority: int = 0
    p50: Any = None
    p95: Any = None


def states(
    database: Database, *, now: datetime, queues: Sequence[str] = (), window: timedelta | None = None
) -> list[QueueState]:
    """Reads every queue that has jobs or is paused, by name, with the workers that serve it.

    Args:
        window: also count the jobs that ended in this time before ``now``.
    """
    found = _states(_rows(database, now=now, queues=queues), now)
    _count_workers(database, found)
    known = {limit.queue: limit for limit in limits.listed(database)}
    for state in found:
        state.limit = known.get(state.name or "")
    if window:
        _count_ended(database, found, now - window, queues)
    return found


def open_states(
    database: Database, *, now: datetime, window: timedelta, limit: int, queues: Sequence[str] = ()
) -> list[QueueState]:
    """Reads every queue that has open jobs or is paused, as :func:`states` does, without the jobs that have ended.

    The cost grows with the open jobs and with those that ended in the window, not with the table.
    """
    rows = database.rows("queue.open", now=now, queues=queues, open=_OPEN, limit=limit, ages=False, priorities=False)
    found = _states([_Row(*row) for row in rows], now)
    _count_workers(database, found)
    _count_ended(database, found, now - window, queues)
    return found


def ended(
    database: Database, *, since: datetime, queues: Sequence[str] = (), limit: int | None = None
) -> dict[str, EndedJobs]:
    """Counts the jobs that ended since a time, by queue: every rate of failures is one of these.

    The cost grows with the jobs that ended since then, not with the table.

    Args:
        limit: most completed jobs to read, and most failed ones. If more completed, the rates are those of the time of
            which all completions are known.
    """
    chosen = {"queues": queues, "limit": limit}
    rows = database.rows("queue.completed", since=since, oddly_completed=ODDLY_COMPLETED, **chosen)
    completed = {name: (int(jobs), timestamp(first), timestamp(last)) for name, jobs, first, last in rows}
    from_then = since
    if limit is not None and sum(jobs for jobs, _, _ in completed.values()) >= limit:
        from_then = min((first for _, first, _ in completed.values() if first), default=since)
    failed = {
        name: (int(jobs), int(recent))
        for name, jobs, recent in database.rows(
            "queue.failed",
            failed=FAILED_SPELLINGS,
            since=since,
            recently=from_then,
            most_timed_out=MOST_TIMED_OUT,
            **chosen,
        )
    }
    found = {}
    for name in sorted(completed.keys() | failed.keys()):
        (jobs, first, last), (in_window, recent) = completed.get(name, (0, None, None)), failed.get(name, (0, 0))
        found[name] = EndedJobs(name, jobs, recent, in_window, from_then, first, last)
    return found


def _count_ended(database: Database, found: Sequence[QueueState], since: datetime, queues: Sequence[str]) -> None:
    counted = ended(database, since=since, queues=queues)
    for state in found:
        if jobs := counted.get(state.name or ""):
            state.completed, state.failed, state.first_completed = jobs.completed, jobs.failed, jobs.first


def serving_workers(database: Database) -> Counter[str] | None:
    """Queue -> workers that claim its jobs; ``None`` if the database does not record workers."""
    if not database.is_current:
        return None
    serving = [worker for worker in listed(database, alive=True) if worker.is_serving]
    return Counter(queue for worker in serving for queue in worker.queue_names)


class Services:
    """Who serves the queues, read at once."""

    def __init__(self, database: Database) -> None:
        self._pauses = pauses(database)
        self._workers = listed(database, alive=True) if database.is_current else None
        self._is_unfinished = self._workers is None and migrations.is_unfinished(database)
        self._limits = {limit.queue: limit for limit in limits.listed(database)}

    def of(self, queue: str) -> Service:
        pause = self._pauses.of(queue)
        if self._workers is None:
            return Service(pause, is_unfinished=self._is_unfinished)
        known = [worker for worker in self._workers if queue in worker.queue_names]
        serving = tuple(worker for worker in known if worker.is_serving)
        return Service(pause, serving, tuple(worker for worker in known if not worker.is_serving))

    def limit_of(self, queue: str) -> QueueLimit | None:
        return self._limits.get(queue)


def _count_workers(database: Database, found: Sequence[QueueState]) -> None:
    if not database.is_current:
        return
    workers = listed(database, alive=True)
    serving = Counter(queue for worker in workers if worker.is_serving for queue in worker.queue_names)
    others = [worker for worker in workers if not worker.is_serving]
    for state in found:
        state.workers = serving[state.name or ""]
        state.others = tuple(worker for worker in others if state.name in worker.queue_names)


def stats(
    database: Database, *, now: datetime, queue: str | None = None, window: timedelta | None = None
) -> QueueStats:
    """Reads the figures of one queue, or the sum of all queues.

    Raises NotFoundError if the queue has no jobs and is not paused.

    Args:
        window: also count jobs by priority, and the jobs that ended in this time before ``now``.
    """
    since = now - window if window else None
    rows = _rows(database, now=now, queues=_only(queue), since=since)
    if queue is not None and not _has_own(rows):
        raise _no_queue(database, queue)
    total = QueueState(queue, now)
    found = _states(rows, now)
    if since:
        _count_ended(database, found, since, _only(queue))
    for state in found:
        total.add(state)
    paused = tuple(
        state.pause if queue is not None else state.pause._replace(queue=state.name or "")
        for state in found
        if state.pause
    )
    total.pause = paused[0] if queue is not None and paused else None
    if window is None:
        return QueueStats(total, paused)
    p50, p95 = (rows[0].p50, rows[0].p95) if rows else (None, None)
    mean = _mean_run_time(database, queue, now)
    return QueueStats(total, paused, window, _by_priority(rows), length_of(p50), length_of(p95), mean)


def _mean_run_time(database: Database, queue: str | None, now: datetime) -> timedelta | None:
    counts = [
        one
        for worker in queue_counts(database, since=now - HEALTH_WINDOW)
        for name, one in worker.queues.items()
        if queue is None or name == queue
    ]
    timed = sum(one.timed for one in counts)
    return timedelta(seconds=sum(one.seconds for one in counts) / timed) if timed else None


def health(database: Database, most: HealthLimits, *, now: datetime, queue: str | None = None) -> list[QueueHealth]:
    """Reads the health of every queue, or of one. Raises NotFoundError if the queue has no jobs and is not paused."""
    found = _states(_rows(database, now=now, queues=_only(queue), ages=True), now)
    if queue is not None and not found:
        raise _no_queue(database, queue)
    _count_workers(database, found)
    _count_ended(database, found, now - HEALTH_WINDOW, _only(queue))
    return [QueueHealth.of(state, most) for state in found]


def _no_queue(database: Database, queue: str) -> NotFoundError:
    close = similar(database, queue)
    hint = "" if close is None else f"Did you mean {close!r}? "
    return NotFoundError(
        f"There is no queue {queue!r}: no job is in it.", hint=f"{hint}To list them: hammerwork queue list"
    )


def _only(queue: str | None) -> Sequence[str]:
    return () if queue is None else [queue]


def _rows(
    database: Database, *, now: datetime, queues: Sequence[str], since: datetime | None = None, ages: bool = False
) -> list[_Row]:
    """Reads the rows; with ``since`` also by priority, with the run times of the jobs that completed since."""
    rows = database.rows(
        "queue.states",
        now=now,
        queues=queues,
        every=not queues,
        since=since,
        ages=ages or since is not None,
        priorities=since is not None,
        completed=COMPLETED_SPELLINGS,
        running=RUNNING_SPELLINGS,
        pending=WAITING_SPELLINGS,
    )
    return [_Row(*row) for row in rows]


def _has_own(rows: Sequence[_Row]) -> bool:
    """Whether there is a row of a queue, besides the pause of all."""
    return any(row.status is not None or row.queue != EVERY_QUEUE for row in rows)


def _states(rows: Sequence[_Row], now: datetime) -> list[QueueState]:
    """Combines the rows of each queue."""
    found: dict[str, QueueState] = {}
    paused = []
    for row in rows:
        if row.status is None:
            paused.append(QueuePause(row.queue, row.paused_at, row.paused_by, row.reason))
        if row.status is not None or row.queue != EVERY_QUEUE:
            state = found.setdefault(row.queue, QueueState(row.queue, now))
        if row.status is not None:
            _count(state, status_of(row.status), row)
    known = Pauses(paused)
    for state in found.values():
        state.pause = known.of(state.name)
    return sorted(found.values(), key=lambda state: state.name or "")


def _count(state: QueueState, status: str, row: _Row) -> None:
    state.counts.add(status, row.jobs)
    if status in WAITING and row.dependency_status in _READY:
        due = int(row.due)
        state.ready += due
        state.scheduled += row.jobs - due
        if due:
            state.ready_since = earliest(state.ready_since, row.due_since)
    elif status in WAITING:
        state.waiting += row.jobs
        state.waiting_since = earliest(state.waiting_since, row.created_at)
    elif status == JobStatus.RUNNING:
        state.running_since = earliest(state.running_since, row.started_at)


def _by_priority(rows: Sequence[_Row]) -> tuple[PriorityCount, ...]:
    """Counts jobs by status and priority, since operators watch for failures of high priority."""
    counted: dict[tuple[str, int], int] = {}
    for row in rows:
        if row.status is not None and row.of_priority:
            key = status_of(row.status), row.priority
            counted[key] = counted.get(key, 0) + row.of_priority
    ordered = sorted(counted.items(), key=lambda item: (item[0][0], -item[0][1]))
    return tuple(PriorityCount(status, priority_word(priority), jobs) for (status, priority), jobs in ordered)


def has_jobs(database: Database, queue: str) -> bool:
    return database.row("queue.any_job", queue=queue) is not None


def similar(database: Database, queue: str) -> str | None:
    """Returns the queue of the newest jobs whose name is most like another name; ``None`` if none is like it."""
    from difflib import get_close_matches

    names = [str(name) for (name,) in database.rows("queue.names", sample=SAMPLE)]
    return next(iter(get_close_matches(queue, names, 1)), None)


# Pauses.


def pauses(database: Database) -> Pauses:
    return Pauses(all_paused(database))


def all_paused(database: Database, queue: str | None = None) -> list[QueuePause]:
    """Returns the pauses by the name of their queue, of which ``*`` stands for all; none without migration 014."""
    if "pause" not in database.tags:
        return []
    return [QueuePause(*row) for row in database.rows("queue.paused", queues=_only(queue))]


def pause(
    database: Database, queue: str, *, by: str, now: datetime, reason: str | None = None, keep: bool = False
) -> PauseChange:
    """Pauses a queue, with or without jobs in it. A paused queue stays paused and gets the new reason, if there is one.

    A queue that is paused with all others gets a pause of its own, which outlasts theirs.

    Args:
        keep: whether a paused queue keeps its reason.
    """
    _check(queue)

    def work() -> PauseChange:
        known = pauses(database)
        before = known.by_queue.get(queue)
        is_new = before is None or before.began_with(known.of_all)
        if before and is_new:
            database.run("queue.resume", queues=[queue])
        if is_new:
            at = _apart(now, by, [known.of_all] if known.of_all else [])
            database.run("queue.pause", queue=queue, now=at, by=by[:LONGEST_NAME], reason=reason)
            _write_event(database, queue, by, reason, at)
        elif reason is not None and not keep:
            database.run("queue.give_reason", queues=[queue], reason=reason)
        after = all_paused(database, queue)
        # The INSERT ignores duplicates, and MySQL's collation also finds names that this program tells apart.
        if not after:
            raise ConflictError(
                f"The queue {queue!r} cannot be paused: the table of pauses cannot tell its name from that of a paused"
                " queue.",
                hint="To list them: hammerwork queue list",
            )
        other = before is not None and not is_new and after[0].reason != before.reason
        return PauseChange(queue, after[0], is_new, has_jobs(database, queue), other)

    return database.transaction(work)


def _write_event(database: Database, queue: str, by: str, reason: str | None, at: datetime) -> None:
    data = {"queue": queue, "paused_by": by, "reason": reason}
    events.happened(database, EventType.QUEUE_PAUSED, queue, at, data, queue=None if queue == EVERY_QUEUE else queue)


def pause_all(database: Database, *, by: str, now: datetime, reason: str | None = None) -> list[PauseChange]:
    """Pauses all queues, also those to come. A queue that is paused keeps its pause.

    Pausing all again gives the pause of all the new reason, if there is one.

    Each queue that there is gets a row of its own, which workers of hammerwork (Rust) honour.
    """
    _check(EVERY_QUEUE, is_of_all=True)

    def work() -> list[PauseChange]:
        planned = foresee_all(database, now=now, paused=True)
        known = pauses(database)
        if known.of_all is None:
            at = _apart(now, by, known.by_queue.values())
            database.run("queue.pause", queue=EVERY_QUEUE, now=at, by=by[:LONGEST_NAME], reason=reason)
            _write_event(database, EVERY_QUEUE, by, reason, at)
        elif reason is not None:
            together = [one for one, pause in known.by_queue.items() if pause.began_with(known.of_all)]
            database.run("queue.give_reason", queues=[EVERY_QUEUE, *together], reason=reason)
        of_all = pauses(database).of_all
        assert of_all is not None
        began = timestamp(of_all.paused_at)
        rows = [
            (change.queue, began, of_all.paused_by, of_all.reason, now, now)
            for change in planned
            if change.queue not in known.by_queue and change.queue != EVERY_QUEUE
        ]
        for start in range(0, len(rows), ROWS_TOGETHER):
            database.insert("queue.pause_many", rows[start : start + ROWS_TOGETHER])
        after = pauses(database)
        return [_paused(change, after.of(change.queue)) for change in planned]

    return database.transaction(work)


def _paused(change: PauseChange, pause: QueuePause | None) -> PauseChange:
    """A change that was foreseen, with the pause that the queue has now."""
    other = bool(change.pause and pause and change.pause.reason != pause.reason)
    return change._replace(pause=pause, new_reason=other and not change.changed)


def resume(database: Database, queue: str) -> PauseChange:
    """Resumes a queue; does nothing if it is not paused."""
    _check(queue)

    def work() -> PauseChange:
        known = pauses(database)
        if known.of_all is not None:
            by = f" by {known.of_all.paused_by}" if known.of_all.paused_by else ""
            raise ConflictError(f"All queues are paused{by}.", hint="To resume them: hammerwork queue resume --all")
        before = known.of(queue)
        database.run("queue.resume", queues=[queue])
        return PauseChange(queue, before, before is not None, has_jobs(database, queue))

    return database.transaction(work)


def resume_all(database: Database, *, now: datetime) -> list[PauseChange]:
    """Ends the pause of all queues: queues that were paused before, or by themselves, stay paused.

    Without a pause of all queues, it resumes each paused queue.
    """

    def work() -> list[PauseChange]:
        planned = foresee_all(database, now=now, paused=False)
        for part in chunks([change.queue for change in planned if change.changed], ROWS_TOGETHER):
            database.run("queue.resume", queues=part)
        return planned

    return database.transaction(work)


def foresee(database: Database, queues: Sequence[str], *, paused: bool) -> list[PauseChange]:
    """Returns the changes that pausing or resuming queues would make now."""
    known = pauses(database)
    found = [(queue, known.by_queue.get(queue), has_jobs(database, queue)) for queue in queues]
    return [PauseChange(queue, pause, (pause is not None) != paused, filled) for queue, pause, filled in found]


def foresee_all(database: Database, *, now: datetime, paused: bool) -> list[PauseChange]:
    """Returns the changes that pausing or resuming all queues would make now, that of all queues first."""
    known = pauses(database)
    if paused:
        names = [str(state.name) for state in states(database, now=now)]
        of_all = PauseChange(EVERY_QUEUE, known.of_all, known.of_all is None, True)
        return [of_all, *(PauseChange(one, known.of(one), known.of(one) is None, True) for one in names)]
    if known.of_all is None:
        return [PauseChange(one, pause, True, True) for one, pause in known.by_queue.items()]
    own = [PauseChange(one, pause, pause.began_with(known.of_all), True) for one, pause in known.by_queue.items()]
    return [PauseChange(EVERY_QUEUE, known.of_all, True, True), *own]


def _apart(now: datetime, by: str, others: Iterable[QueuePause]) -> datetime:
    """The time of a new pause, by which :meth:`QueuePause.began_with` tells it from others. MySQL stores seconds."""
    taken = [at for pause in others if pause.paused_by == by[:LONGEST_NAME] and (at := timestamp(pause.paused_at))]
    while any(abs(now - at) <= timedelta(seconds=1) for at in taken):
        now += timedelta(seconds=1)
    return now


def _check(queue: str, *, is_of_all: bool = False) -> None:
    if not 0 < len(queue) <= LONGEST_NAME:
        raise RefusedValueError(f"A queue's name has 1 to {LONGEST_NAME} characters.")
    if queue == EVERY_QUEUE and not is_of_all:
        raise RefusedValueError(
            "A queue named * cannot be paused alone: in the table of pauses, * stands for all queues.",
            hint="To pause all: hammerwork queue pause --all. To keep workers from it: start none with --queue '*'.",
        )
