"""Workers as the database knows them: each has a row, and records heartbeats in it by the server's clock."""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.reading import ids_from
from hammerwork_cli.core.values import RUNNING_SPELLINGS, Timestamp, rfc3339, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import AmbiguousIdError, ConflictError, NotFoundError
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.tree.progress import JobProgress, parse, stored
from hammerwork_cli.features.worker.models.counts import WorkerCounts, read_counts
from hammerwork_cli.features.worker.models.worker import LeasedJob, RegisteredWorker, RunningJob
from hammerwork_cli.features.worker.queries import finish
from hammerwork_cli.features.worker.queries import rescue as rescue_queries
from hammerwork_cli.features.worker.queries.claim import Claimed

LIST_WORKERS = "To list them: hammerwork worker list"
KEPT = timedelta(days=7)
"""Time for which the row of a worker that has ended is kept."""
WITNESS_EARLIEST, WITNESS_LATEST = timedelta(minutes=1), timedelta(days=1)
"""How long ago a worker must have started to show that the clock was not put ahead since."""
SHOWN_SILENT = timedelta(days=1)
"""Time for which a silent worker is listed among the running ones."""
MOST_FORGOTTEN = 1000
"""Rows of ended workers that are deleted at once."""
SHOWN_IDS = 5
SUCCESSOR_SECONDS = 60.0
"""Time in which a restarted worker is expected back."""
POLL_SECONDS = 0.2
"""Seconds between two reads of workers that were asked to stop or restart."""


class Registration(NamedTuple):
    """A worker's entry in the registry."""

    id: str
    name: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    handlers: tuple[str, ...]  # names of its spawn handlers
    concurrency: int
    lease: float  # seconds without a heartbeat after which other workers rescue its jobs


@dataclass(slots=True)
class HeartbeatReport:
    """A worker's figures, which it writes with each heartbeat."""

    state: str = "running"  # `running` or `stopping`
    running: int = 0
    completed: int = 0  # attempts that completed since the start
    failed: int = 0  # attempts that failed since the start
    memory: int | None = None  # bytes of the process and of its handlers' processes, if the system reports them
    held: int = 0  # slots whose handlers have not returned although their attempts have timed out or were cancelled
    main_stalled: float | None = None  # seconds for which the main loop has not gone round; `None` while it does
    # Seconds for which the thread that writes outcomes has not gone round; `None` while it does, and where the main
    # loop writes them.
    finisher_stalled: float | None = None
    queue_counts: str | None = None  # what it has counted of its queues, as QueueCounts.stored has it
    clock_ahead: float | None = None  # seconds by which the host's clock is ahead of the server's
    job_progress: str | None = None  # how far its jobs are, as tree.progress.stored has it


class HeartbeatAnswer(NamedTuple):
    request: str | None  # `stop`, `restart` or `None`
    was_lost: bool  # other workers had rescued this worker's jobs
    now: datetime
    owned: int = 0  # how many of the attempts that the heartbeat named are still the worker's
    # Seconds that running jobs have to finish, if whoever made the request has said so; 0 to stop at once.
    grace: float | None = None
    migrations: int = 0  # how many are applied


class Heartbeat(NamedTuple):
    """The last heartbeat of a worker, as an observer sees it."""

    id: str
    name: str  # the worker's name; its id if its row is gone
    beats: int | None  # number of heartbeats; `None` if its row is gone
    at: Timestamp  # time of the last heartbeat by the server's clock
    lease: float | None  # seconds; `None` if its row is gone


def register(database: Database, worker: Registration) -> None:
    """Registers a worker. It may run again after a lost connection."""
    queues, handlers = json.dumps(worker.queues), json.dumps(worker.handlers)

    def work() -> None:
        if database.row("worker.registry.asked", id=worker.id, ids=None) is None:
            database.run(
                "worker.registry.register",
                id=worker.id,
                name=worker.name,
                host=worker.host,
                pid=worker.pid,
                version=worker.version,
                queues=queues,
                handlers=handlers,
                concurrency=worker.concurrency,
                lease=worker.lease,
            )

    database.transaction(work)


def forget_ended(database: Database) -> None:
    """Deletes some rows of workers that ended long ago; not of workers that still have claimed jobs.

    A worker calls it at its start, before it has seen enough of the clock to know that it is not ahead. The starts of
    others tell: where workers start often enough to leave many rows, one of them is of the last day.

    A statement of its own reads the ids, so that the search locks nothing.
    """
    now = database.now()
    before, since, until = now - KEPT, now - WITNESS_LATEST, now - WITNESS_EARLIEST
    found = database.rows("worker.registry.long_ended", before=before, since=since, until=until, limit=MOST_FORGOTTEN)
    ids = [str(one) for (one,) in found]
    if ids:
        database.run("worker.registry.forget_reports_of", ids=database.ids(sorted(ids)))
        database.run("worker.registry.forget", ids=database.ids(sorted(ids)), before=before)


def record_heartbeat(
    database: Database, worker: str, report: HeartbeatReport, attempts: Sequence[Claimed] = ()
) -> HeartbeatAnswer:
    """Records a heartbeat. It revives a worker that other workers took for lost.

    Args:
        attempts: jobs that the worker runs, of which the answer counts those that are still its own.

    Raises:
        NotFoundError: the worker's row is gone.
    """
    values = {"id": worker, **asdict(report)}
    was_lost = not database.run("worker.registry.heartbeat", **values)
    if was_lost and not database.run("worker.registry.revive", **values):
        raise NotFoundError(f"The row of worker {worker} is gone.")
    named = attempts[: database.key_chunk]
    request, grace, now, migrations, *owned = database.rows(
        "worker.registry.asked",
        id=worker,
        worker=worker,
        ids=database.ids([job.id for job in named]) if named else None,
        tokens=sorted({job.claim.token for job in named}),
    )[0]
    still_owned = sum(owned, len(attempts) - len(named))
    at = database.moved(timestamp(now) or datetime.now(UTC))
    return HeartbeatAnswer(request, was_lost, at, still_owned, grace, int(migrations))


def report(database: Database, worker: str, progress: JobProgress) -> None:
    """Leaves a report of a job for the worker whose heartbeat writes it: the handler runs on a node."""
    database.run("worker.registry.report", worker=worker, job=progress.job, report=stored([progress]))


def take_reports(database: Database, worker: str, running: Collection[str]) -> list[JobProgress]:
    """Reads the reports that were left for a worker, and deletes those of jobs that run no longer."""
    rows = database.rows("worker.registry.reports", worker=worker)
    ended = sorted(str(job) for job, *_ in rows if str(job) not in running)
    database.run_for("worker.registry.forget_reports", ended)
    return [
        one._replace(reported_at=rfc3339(at) or "")
        for job, column, at in rows
        if str(job) in running
        for one in parse(column)
    ]


def renew_leases(database: Database, worker: str, lease: int) -> None:
    """Renews the leases of all jobs that a worker has, once a third of their time is over.

    A row that another transaction has locked keeps its lease until the next call: its job may be about to end.

    Args:
        lease: seconds.
    """
    due = [str(job) for (job,) in database.rows("worker.registry.renewable", worker=worker, lease=2 * lease // 3)]

    def work() -> None:
        for part in finish.unlocked(database, due):
            database.run("worker.registry.renew", ids=database.ids(part), worker=worker, lease=lease)

    if due:
        database.transaction(work)


def end(
    database: Database, worker: str, name: str, report: HeartbeatReport, now: datetime, *, restarts: bool = False
) -> None:
    """Ends a worker, and rescues the jobs that it could not give back itself.

    Args:
        restarts: another one starts in its place.
    """

    def work() -> None:
        rescue_queries.return_lost(database, worker, name, now)
        database.run("worker.requests.give_back", worker=worker, ids=None)
        database.run("worker.registry.forget_reports_of", ids=database.ids([worker]))
        database.run(
            "worker.registry.end",
            id=worker,
            state="stopped",
            completed=report.completed,
            failed=report.failed,
            queue_counts=report.queue_counts,
            request="restart" if restarts else "stop",
        )

    database.transaction(work)


def heartbeats(database: Database) -> list[Heartbeat]:
    return [_heartbeat(*row) for row in database.rows("worker.registry.heartbeats")]


def ended_with_jobs(database: Database) -> list[Heartbeat]:
    """Returns the last heartbeats of workers that have claimed jobs although they have ended or have no row.

    Such a worker was taken for lost and claimed again before it died, or another transaction had locked its jobs.
    """
    return [_heartbeat(*row) for row in database.rows("worker.registry.ended_with_jobs")]


def _heartbeat(worker: object, name: str | None, beats: int | None, at: Timestamp, lease: float | None) -> Heartbeat:
    return Heartbeat(str(worker), name or str(worker), beats, at, lease)


def rescue(database: Database, lost: Heartbeat, now: datetime) -> tuple[int, int] | None:
    """Rescues the jobs of a lost worker, unless the worker has recorded another heartbeat.

    Args:
        lost: the last heartbeat that the observer saw.

    Returns:
        Number of jobs that may run again, and number of Dead jobs; ``None`` if the worker lives.

    Raises:
        RetryableError: another transaction has locked the worker's row.
    """

    def work() -> tuple[int, int] | None:
        known = {"id": lost.id, "beats": lost.beats, "heartbeat": timestamp(lost.at)}
        # The UPDATE names the heartbeat that the observer saw. It thus spares a worker that has recorded another one
        # since, and lets one of several observers go on. A worker without a row has nothing to mark.
        if lost.beats is not None and not database.run("worker.registry.mark_lost", **known):
            return None
        job_counts = rescue_queries.return_lost(database, lost.id, lost.name, now)
        if lost.beats is not None:
            back, dead = job_counts
            data = {"id": lost.id, "name": lost.name, "jobs_retried": back, "jobs_dead": dead}
            events.happened(database, EventType.WORKER_LOST, lost.id, now, data)
        database.run("worker.requests.give_back", worker=lost.id, ids=None)
        database.run("worker.duties.give_up_streams", worker=lost.id)
        return job_counts

    return database.transaction(work)


def listed(
    database: Database,
    *,
    alive: bool = False,
    since: datetime | None = None,
    now: datetime | None = None,
    worker: str | None = None,
    name: str | None = None,
) -> list[RegisteredWorker]:
    """Reads workers, the newest first.

    Args:
        alive: only workers that have not ended.
        since: only workers that have not ended, or ended since. Those that have not ended must have recorded a
            heartbeat since, or within :data:`SHOWN_SILENT`.
        now: the server's time, if ``since`` is given.
        name: only workers with this name, one after another.
    """
    if not database.has_own_tables():
        return []
    heard_since = min(since, now - SHOWN_SILENT) if since and now else None
    wanted = {"alive": alive, "since": since, "heard_since": heard_since, "id": worker, "name": name}
    rows = database.rows("worker.registry.list", **wanted)
    return [RegisteredWorker._make((*row[:-1], float(row[-1] or 0))) for row in rows]


def stalled(database: Database) -> int:
    """Number of workers whose heartbeats say that one of their threads stands still."""
    return int(database.value("worker.registry.stalled") or 0) if database.is_current else 0


def queue_counts(database: Database, *, since: datetime) -> list[WorkerCounts]:
    """Reads what workers that were heard of ``since`` have counted of their queues."""
    if not database.is_current:
        return []
    rows = database.rows("worker.registry.queue_counts", since=since)
    return [WorkerCounts(str(worker), name, read_counts(stored)) for worker, name, stored in rows]


def resolve(database: Database, text: str) -> RegisteredWorker:
    """Finds the worker that has the name ``text``, or whose id begins with it.

    Several workers may have had the name: one that has not ended wins, else the last one.

    Raises:
        NotFoundError: there is no such worker.
        AmbiguousIdError: there are several.
    """
    workers = listed(database)
    named = [worker for worker in workers if worker.name == text]
    open_ones = [worker for worker in named if worker.ended_at is None]
    between = ids_from(text)
    by_id = [worker for worker in workers if between and between[0] <= worker.id <= between[1]]
    found = open_ones or named[:1] or by_id
    if not found:
        raise NotFoundError(f"There is no worker {text[:60]!r}.", hint=LIST_WORKERS)
    if len(found) > 1:
        raise AmbiguousIdError(
            f"{len(found)} workers match {text[:60]!r}.",
            hint=f"Give the id of one: {', '.join(worker.id[:8] for worker in found[:SHOWN_IDS])}. {LIST_WORKERS}",
            candidates=[worker.id for worker in found],
        )
    return found[0]


def running_jobs(database: Database, worker: str, limit: int = 50) -> list[RunningJob]:
    """Returns the jobs that a worker has claimed, the oldest claims first."""
    return [RunningJob._make(row) for row in database.rows("worker.registry.running_jobs", worker=worker, limit=limit)]


def with_jobs(
    database: Database, worker: RegisteredWorker, limit: int = 50
) -> tuple[RegisteredWorker, list[RunningJob]]:
    """Returns a worker and its claimed jobs, which are more recent than the worker's last heartbeat.

    The worker runs more jobs than it has claimed if an operator forced a job away from it whose handler still runs.
    """
    jobs = running_jobs(database, worker.id, limit)
    # The claimed jobs include those that wait in the worker for a free slot, and those whose outcomes it cannot write.
    claimed = len(jobs) - (worker.unwritten.outcomes if worker.unwritten else 0)
    return worker._replace(running=max(worker.running, min(claimed, worker.concurrency))), jobs


def leased_jobs(
    database: Database, *, queues: Sequence[str] = (), workers: Sequence[str] = (), limit: int
) -> list[LeasedJob]:
    """Returns the Running jobs, the longest first.

    Args:
        workers: ids; by default, any job that is Running, whoever runs it.
    """
    values = {"running": RUNNING_SPELLINGS, "queues": queues, "workers": workers, "limit": limit}
    return [LeasedJob(str(row[0]), *row[1:]) for row in database.rows("worker.registry.leased_jobs", **values)]


def unfinished(database: Database, worker: RegisteredWorker) -> int:
    """Number of jobs that a worker runs now and finishes before it stops: those that it has claimed, in its slots."""
    return len(running_jobs(database, worker.id, worker.concurrency))


def ask(database: Database, worker: RegisteredWorker, request: str, by: str, grace: float | None = None) -> None:
    """Asks a worker to ``stop`` or ``restart``, which it does at its next heartbeat.

    Args:
        grace: seconds that its running jobs have to finish; by default as the worker was started.

    Raises:
        ConflictError: the worker has ended, is lost, or has been silent for longer than its lease.
    """
    if worker.ended_at is None and not worker.is_alive:
        raise ConflictError(
            f"The worker {worker.name} has been silent for {worker.silent_for:,.0f} s; "
            f"its lease is {worker.lease:g} s.",
            hint="It cannot see the request. To see whether it comes back: hammerwork worker list",
        )
    if worker.state == "lost":
        raise ConflictError(f"The worker {worker.name} is lost and cannot see the request.")
    if not database.run("worker.registry.ask", id=worker.id, request=request, by=by[:LONGEST_NAME], grace=grace):
        raise ConflictError(f"The worker {worker.name} has stopped.", hint=LIST_WORKERS)


class WorkerEndWatch:
    """Watches workers until all have ended.

    Args:
        successors: also watch until another worker has taken the place of each, or none can be expected any more.
    """

    def __init__(self, database: Database, asked: Sequence[RegisteredWorker], *, successors: bool) -> None:
        # Id -> the worker after its end, or its successor. Workers that still run are left out. With `successors`, a
        # worker after its end means that no other has taken its place.
        self.done: dict[str, RegisteredWorker] = {}
        self._asked, self._successors = asked, successors
        self._ended: dict[str, float] = {}
        self.connected(database)

    def connected(self, database: Database) -> None:
        """Continues with another connection; workers that could not record a heartbeat get another lease."""
        self._database = database
        self._heartbeats = _Heartbeats()

    def refresh(self) -> bool:
        """Reads all workers; returns whether there is nothing more to wait for."""
        everybody = listed(self._database)
        for worker in self._asked:
            found = _ended(worker, everybody, self._heartbeats)
            if found and self._successors:
                found = _successor(worker, everybody) or (None if self._may_be_replaced(worker, found) else found)
            if found:
                self.done[worker.id] = found
        return len(self.done) == len(self._asked)

    def _may_be_replaced(self, worker: RegisteredWorker, ended: RegisteredWorker) -> bool:
        """Whether a successor can be expected: the worker ended a moment ago, and not for good as far as it knows."""
        if ended.request == "stop" or ended.state in {"silent", "lost"}:
            return False
        return time.monotonic() - self._ended.setdefault(worker.id, time.monotonic()) < SUCCESSOR_SECONDS


class _Heartbeats:
    """Tells living workers by this process's clock, since the server's clock may be set in the meantime."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Timestamp, float]] = {}

    def is_alive(self, worker: RegisteredWorker) -> bool:
        """Whether the last heartbeat has been seen for no longer than the lease."""
        now = time.monotonic()
        last, since = self._seen.get(worker.id, (None, now))
        self._seen[worker.id] = worker.heartbeat_at, since if last == worker.heartbeat_at else now
        return now - self._seen[worker.id][1] <= worker.lease


def _ended(
    worker: RegisteredWorker, everybody: Sequence[RegisteredWorker], heartbeats: _Heartbeats
) -> RegisteredWorker | None:
    current = next((other for other in everybody if other.id == worker.id), worker)
    if current.ended_at is not None:
        return current
    return None if heartbeats.is_alive(current) else current._replace(stored_state="silent")


def _successor(worker: RegisteredWorker, everybody: Sequence[RegisteredWorker]) -> RegisteredWorker | None:
    """Returns the worker that started after ``worker`` in the same process: a restart keeps the process."""
    before, place = timestamp(worker.started_at), (worker.host, worker.pid, worker.name)
    for other in everybody:
        began = timestamp(other.started_at)
        if (other.host, other.pid, other.name) == place and before and began and began > before:
            return other
    return None
