"""Reads figures of queues; pauses and resumes them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.errors import ConflictError, MissingTablesError, NotFoundError, RefusedValueError
from hammerwork_cli.models import WAITING, JobStatus, priority_word, status_of, timestamp
from hammerwork_cli.models.input.limits import LONGEST_NAME
from hammerwork_cli.models.queue import (
    EndedJobs,
    HealthLimits,
    PauseChange,
    PriorityCount,
    QueueHealth,
    QueuePause,
    QueueState,
    QueueStats,
    Service,
    earliest,
)
from hammerwork_cli.models.values import (
    COMPLETED_SPELLINGS,
    FAILED_SPELLINGS,
    ODDLY_COMPLETED,
    RUNNING_SPELLINGS,
    WAITING_SPELLINGS,
    Timestamp,
    length_of,
)
from hammerwork_cli.queries.worker.registry import listed

HEALTH_WINDOW = timedelta(hours=1)
SAMPLE = 5000
"""Newest jobs among whose queues a similar name is looked for."""

MOST_TIMED_OUT = 10_000
"""Newest jobs that a Rust worker timed out among which those of the window are looked for."""

_READY = {"none", "satisfied", None}


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
        queues: only these; without any, all.
        window: also count the jobs that ended in this time before ``now``.
    """
    found = _states(_rows(database, now=now, queues=queues), now)
    _count_workers(database, found)
    if window:
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
    rows = database.rows("queues.completed", since=since, oddly_completed=ODDLY_COMPLETED, **chosen)
    completed = {name: (int(jobs), timestamp(last)) for name, jobs, _, last in rows}
    from_then = since
    if limit is not None and sum(jobs for jobs, _ in completed.values()) >= limit:
        from_then = min((first for _, _, at, _ in rows if (first := timestamp(at))), default=since)
    failed = {
        name: (int(jobs), int(recent))
        for name, jobs, recent in database.rows(
            "queues.failed",
            failed=FAILED_SPELLINGS,
            since=since,
            recently=from_then,
            most_timed_out=MOST_TIMED_OUT,
            **chosen,
        )
    }
    found = {}
    for name in sorted(completed.keys() | failed.keys()):
        (jobs, last), (in_window, recent) = completed.get(name, (0, None)), failed.get(name, (0, 0))
        found[name] = EndedJobs(name, jobs, recent, in_window, from_then, last)
    return found


def _count_ended(database: Database, found: Sequence[QueueState], since: datetime, queues: Sequence[str]) -> None:
    counted = ended(database, since=since, queues=queues)
    for state in found:
        if jobs := counted.get(state.name or ""):
            state.completed, state.failed = jobs.completed, jobs.failed


def serving_workers(database: Database) -> Counter[str] | None:
    """Queue -> workers that claim its jobs; ``None`` if the database does not record workers."""
    if "workers" not in database.tags:
        return None
    serving = [worker for worker in listed(database, alive=True) if worker.is_serving]
    return Counter(queue for worker in serving for queue in worker.queue_names)


class Services:
    """Who serves the queues, read at once."""

    def __init__(self, database: Database) -> None:
        self._pauses = {pause.queue: pause for pause in all_paused(database)}
        self._workers = listed(database, alive=True) if "workers" in database.tags else None

    def of(self, queue: str) -> Service:
        pause = self._pauses.get(queue)
        if self._workers is None:
            return Service(pause)
        known = [worker for worker in self._workers if queue in worker.queue_names]
        serving = tuple(worker for worker in known if worker.is_serving)
        return Service(pause, serving, tuple(worker for worker in known if not worker.is_serving))


def _count_workers(database: Database, found: Sequence[QueueState]) -> None:
    if "workers" not in database.tags:
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

    Args:
        window: also count jobs by priority, and the jobs that ended in this time before ``now``.

    Raises:
        NotFoundError: the queue has no jobs and is not paused.
    """
    since = now - window if window else None
    rows = _rows(database, now=now, queues=_only(queue), since=since)
    if queue is not None and not rows:
        raise _no_queue(database, queue)
    total = QueueState(queue, now)
    found = _states(rows, now)
    if since:
        _count_ended(database, found, since, _only(queue))
    for state in found:
        total.add(state)
    paused = tuple(state.pause for state in found if state.pause)
    total.pause = paused[0] if queue is not None and paused else None
    if window is None:
        return QueueStats(total, paused)
    p50, p95 = (rows[0].p50, rows[0].p95) if rows else (None, None)
    return QueueStats(total, paused, window, _by_priority(rows), length_of(p50), length_of(p95))


def health(database: Database, limits: HealthLimits, *, now: datetime, queue: str | None = None) -> list[QueueHealth]:
    """Reads the health of every queue, or of one.

    Raises:
        NotFoundError: the queue has no jobs and is not paused.
    """
    found = _states(_rows(database, now=now, queues=_only(queue), ages=True), now)
    if queue is not None and not found:
        raise _no_queue(database, queue)
    _count_workers(database, found)
    _count_ended(database, found, now - HEALTH_WINDOW, _only(queue))
    return [QueueHealth.of(state, limits) for state in found]


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
        "queues.states",
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


def _states(rows: Sequence[_Row], now: datetime) -> list[QueueState]:
    """Combines the rows of each queue."""
    found: dict[str, QueueState] = {}
    for row in rows:
        state = found.setdefault(row.queue, QueueState(row.queue, now))
        if row.status is None:
            state.pause = QueuePause(row.queue, row.paused_at, row.paused_by, row.reason)
        else:
            _count(state, status_of(row.status), row)
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
    return database.row("queues.any_job", queue=queue) is not None


def similar(database: Database, queue: str) -> str | None:
    """Returns the queue of the newest jobs whose name is most like another name; ``None`` if none is like it."""
    from difflib import get_close_matches

    names = [str(name) for (name,) in database.rows("queues.names", sample=SAMPLE)]
    return next(iter(get_close_matches(queue, names, 1)), None)


# Pauses.


def all_paused(database: Database, queue: str | None = None) -> list[QueuePause]:
    """Returns the paused queues by name; none without migration 014."""
    if "pause" not in database.tags:
        return []
    return [QueuePause(*row) for row in database.rows("queues.paused", queues=_only(queue))]


def pause(database: Database, queue: str, *, by: str, now: datetime, reason: str | None = None) -> PauseChange:
    """Pauses a queue, with or without jobs in it. A paused queue stays paused and gets the new reason, if there is one.

    Raises:
        RefusedValueError: the name is empty or too long.
        MissingTablesError: the database has no table of pauses.
        ConflictError: MySQL's collation takes the name for that of another paused queue.
    """
    if not 0 < len(queue) <= LONGEST_NAME:
        raise RefusedValueError(f"A queue's name has 1 to {LONGEST_NAME} characters.")
    if "pause" not in database.tags:
        raise MissingTablesError("This database has no table of paused queues yet (migration 014).", hint=MIGRATE)

    def work() -> PauseChange:
        before = all_paused(database, queue)
        if not before:
            database.run("queues.pause", queue=queue, now=now, by=by[:LONGEST_NAME], reason=reason)
        elif reason is not None:
            database.run("queues.give_reason", queue=queue, reason=reason)
        after = all_paused(database, queue)
        # The INSERT ignores duplicates, and MySQL's collation also finds names that this program tells apart.
        if not after:
            raise ConflictError(
                f"The queue {queue!r} cannot be paused: the table of pauses takes its name for that of a paused queue.",
                hint="To list them: hammerwork queue list",
            )
        return PauseChange(queue, after[0], not before, has_jobs(database, queue))

    return database.transaction(work)


def resume(database: Database, queue: str) -> PauseChange:
    """Resumes a queue; does nothing if it is not paused."""
    if "pause" not in database.tags:
        return PauseChange(queue, None, False, has_jobs(database, queue))

    def work() -> PauseChange:
        before = all_paused(database, queue)
        database.run("queues.resume", queue=queue)
        return PauseChange(queue, before[0] if before else None, bool(before), has_jobs(database, queue))

    return database.transaction(work)


def foresee(database: Database, queues: Sequence[str], *, paused: bool) -> list[PauseChange]:
    """Returns the changes that pausing or resuming queues would make now."""
    found = [(queue, all_paused(database, queue), has_jobs(database, queue)) for queue in queues]
    return [
        PauseChange(queue, pauses[0] if pauses else None, bool(pauses) != paused, filled)
        for queue, pauses, filled in found
    ]
