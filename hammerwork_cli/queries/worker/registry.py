"""Workers as the database knows them: a row each, kept alive by a heartbeat on the server's clock."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.errors import AmbiguousIdError, ConflictError, NotFoundError
from hammerwork_cli.models import RunningJob, Timestamp, Worker, timestamp
from hammerwork_cli.queries.worker import rescue as rescue_queries

LIST_WORKERS = "Workers are shown by: hammerwork worker list"
KEPT = timedelta(days=7)
"""For so long a worker that has ended is remembered."""
SHOWN_SILENT = timedelta(days=1)
"""For so long a worker that fell silent is listed among those that live."""
MOST_FORGOTTEN = 1000
"""Workers that have ended long ago and are forgotten at once."""
SUCCESSOR_SECONDS = 60.0
"""For so long a worker that has ended may take to begin again."""
LOOK = 0.2
"""Seconds between two looks at workers that were asked for something."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a worker says of itself when it begins.

    Attributes:
        lease: seconds without a heartbeat after which it counts as lost.
        handlers: names of its spawn handlers.
    """

    id: str
    name: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    handlers: tuple[str, ...]
    concurrency: int
    lease: float


@dataclass(slots=True)
class HeartbeatReport:
    """What a worker says of itself with each heartbeat.

    Attributes:
        state: ``running`` or ``stopping``.
        running: jobs that run now.
        completed: runs that completed since the start.
        failed: runs that failed since the start.
        memory: bytes of the process and of those that run its handlers, where the system tells.
    """

    state: str = "running"
    running: int = 0
    completed: int = 0
    failed: int = 0
    memory: int | None = None


class Answer(NamedTuple):
    """The database's answer to a heartbeat.

    Attributes:
        request: ``stop``, ``restart`` or nothing.
        was_lost: others took this worker for lost, and its jobs from it.
        now: the server's clock.
    """

    request: str | None
    was_lost: bool
    now: datetime


class Heartbeat(NamedTuple):
    """The last heartbeat of a worker, as an observer sees it.

    Attributes:
        id: of the worker.
        name: of the worker; its id where nobody knows it any more.
        beats: how many there were; ``None`` where nobody knows it.
        at: when, by the server's clock.
        lease: seconds that the worker may be silent; ``None`` where nobody knows it.
    """

    id: str
    name: str
    beats: int | None
    at: Timestamp
    lease: float | None


def register(database: Database, worker: Registration) -> None:
    """Makes a worker known.

    Running it again after a lost connection changes nothing.
    """

    def work() -> None:
        if database.row("worker.registry.asked", id=worker.id) is None:
            database.run(
                "worker.registry.register",
                id=worker.id,
                name=worker.name,
                host=worker.host,
                pid=worker.pid,
                version=worker.version,
                queues=json.dumps(worker.queues),
                handlers=json.dumps(worker.handlers),
                concurrency=worker.concurrency,
                lease=worker.lease,
            )

    database.transaction(work)


def forget_ended(database: Database) -> None:
    """Forgets some workers that ended long ago. The rows of those that still hold jobs stay.

    It reads the ids first, so that it locks nothing while it looks.
    """
    before = database.now() - KEPT
    ids = [str(row[0]) for row in database.rows("worker.registry.long_ended", before=before, limit=MOST_FORGOTTEN)]
    if ids:
        database.run("worker.registry.forget", ids=database.ids(sorted(ids)), before=before)


def record_heartbeat(database: Database, worker: str, report: HeartbeatReport) -> Answer:
    """One heartbeat. A worker that was taken for lost is back with it.

    Raises:
        NotFoundError: the worker's row is gone.
    """
    values = {
        "id": worker,
        "state": report.state,
        "running": report.running,
        "completed": report.completed,
        "failed": report.failed,
        "memory": report.memory,
    }
    was_lost = not database.run("worker.registry.heartbeat", **values)
    if was_lost and not database.run("worker.registry.revive", **values):
        raise NotFoundError(f"The row of worker {worker} is gone.")
    request, now = database.rows("worker.registry.asked", id=worker)[0]
    return Answer(request, was_lost, timestamp(now) or datetime.now(UTC))


def end(database: Database, worker: str, name: str, report: HeartbeatReport, now: datetime) -> None:
    """A worker ends. What it holds all the same, as when it could not give it back, goes to others."""

    def work() -> None:
        rescue_queries.return_lost(database, worker, name, now)
        database.run("worker.requests.give_back", worker=worker, ids=None)
        database.run(
            "worker.registry.end", id=worker, state="stopped", completed=report.completed, failed=report.failed
        )

    database.transaction(work)


def heartbeats(database: Database) -> list[Heartbeat]:
    """The last heartbeats of all workers that have not ended."""
    return [_heartbeat(*row) for row in database.rows("worker.registry.heartbeats")]


def holders(database: Database) -> list[Heartbeat]:
    """The last heartbeats of workers that have ended, or that nobody knows, and that hold jobs all the same.

    They were taken for lost and claimed once more before they died, or another transaction had locked their jobs.
    """
    return [_heartbeat(*row) for row in database.rows("worker.registry.ended_with_jobs")]


def _heartbeat(worker: object, name: str | None, beats: int | None, at: Timestamp, lease: float | None) -> Heartbeat:
    return Heartbeat(str(worker), name or str(worker), beats, at, lease)


def rescue(database: Database, lost: Heartbeat, now: datetime) -> tuple[int, int] | None:
    """Takes its jobs from a worker that an observer found lost, unless it has beaten again.

    Args:
        database: where.
        lost: its last heartbeat, as the observer saw it.
        now: the server's clock.

    Returns:
        How many of its jobs may run again, and how many are Dead; ``None`` when it has beaten.

    Raises:
        RetryableError: another transaction holds its row.
    """

    def work() -> tuple[int, int] | None:
        known = {"id": lost.id, "beats": lost.beats, "heartbeat": timestamp(lost.at)}
        if lost.beats is not None and not database.run("worker.registry.mark_lost", **known):
            return None
        job_counts = rescue_queries.return_lost(database, lost.id, lost.name, now)
        database.run("worker.requests.give_back", worker=lost.id, ids=None)
        return job_counts

    return database.transaction(work)


def listed(
    database: Database,
    *,
    alive: bool = False,
    since: datetime | None = None,
    now: datetime | None = None,
    worker: str | None = None,
) -> list[Worker]:
    """Workers, the newest first; none where our migration of them is missing.

    Args:
        database: where.
        alive: only those that have not ended.
        since: only those that have not ended, or ended then or later; of the first only those that have been heard of
            since then, or for the last :data:`SHOWN_SILENT`.
        now: the server's clock; it goes with ``since``.
        worker: only the one with this id.
    """
    if "workers" not in database.tags:
        return []
    heard_since = min(since, now - SHOWN_SILENT) if since and now else None
    rows = database.rows("worker.registry.list", alive=alive, since=since, heard_since=heard_since, id=worker)
    return [Worker._make((*row[:-1], float(row[-1] or 0))) for row in rows]


def resolve(database: Database, text: str) -> Worker:
    """The worker whose name is ``text``, or whose id begins with it.

    Of several that had the name, it is the one that has not ended, else the last one.

    Raises:
        NotFoundError: there is none.
        AmbiguousIdError: there are several.
    """
    workers = listed(database)
    named = [worker for worker in workers if worker.name == text]
    open_ones = [worker for worker in named if worker.ended_at is None]
    digits = text.strip().lower()
    by_id = [worker for worker in workers if len(digits) >= 4 and worker.id.startswith(digits)]
    found = open_ones or named[:1] or by_id
    if not found:
        raise NotFoundError(f"There is no worker {text[:60]!r}.", hint=LIST_WORKERS)
    if len(found) > 1:
        raise AmbiguousIdError(
            f"{len(found)} workers fit {text[:60]!r}.", hint=LIST_WORKERS, candidates=[worker.id for worker in found]
        )
    return found[0]


def running_jobs(database: Database, worker: str, limit: int = 50) -> list[RunningJob]:
    """What a worker has claimed, the longest first."""
    return [RunningJob._make(row) for row in database.rows("worker.registry.running_jobs", worker=worker, limit=limit)]


def with_jobs(database: Database, worker: Worker, limit: int = 50) -> tuple[Worker, list[RunningJob]]:
    """A worker and what it has claimed; how much it runs is what these say, where its heartbeat is some seconds old.

    It runs more than that where somebody took a job from it, by force, whose handler goes on.
    """
    jobs = running_jobs(database, worker.id, limit)
    # What it took ahead is claimed as well.
    return worker._replace(running=max(worker.running, min(len(jobs), worker.concurrency))), jobs


def ask(database: Database, worker: Worker, request: str, by: str) -> None:
    """Asks a worker to ``stop`` or ``restart``; it looks with its next heartbeat.

    Raises:
        ConflictError: it has ended, was taken for lost, or has been silent for longer than its lease.
    """
    if worker.state == "silent":
        raise ConflictError(
            f"The worker {worker.name} has been silent for {worker.silent_for:,.0f} s; "
            f"its lease is {worker.lease:g} s.",
            hint="Nothing would hear the request. Whether it is heard of again: hammerwork worker list",
        )
    if worker.state == "lost":
        raise ConflictError(f"The worker {worker.name} is lost: nothing would hear the request.")
    if not database.run("worker.registry.ask", id=worker.id, request=request, by=by[:255]):
        raise ConflictError(f"The worker {worker.name} has ended.", hint=LIST_WORKERS)


def wait_for(
    database: Database, asked: Sequence[Worker], *, successors: bool, timeout: float | None
) -> dict[str, Worker]:
    """Waits until workers have ended.

    Args:
        database: where.
        asked: the workers.
        successors: wait, besides, until another worker runs in the place of each, or none can be expected any more.
        timeout: seconds after which to give up; ``None`` for never.

    Returns:
        Id -> the worker as it ended, or its successor; of those that are not so far, nothing. With ``successors``, a
        worker as it ended says that nobody took its place.
    """
    done: dict[str, Worker] = {}
    ended: dict[str, float] = {}
    give_up = None if timeout is None else time.monotonic() + timeout
    heartbeats = _Heartbeats()
    while True:
        everybody = listed(database)
        for worker in asked:
            found = _ended(worker, everybody, heartbeats)
            if (
                found
                and successors
                and time.monotonic() - ended.setdefault(worker.id, time.monotonic()) < SUCCESSOR_SECONDS
            ):
                found = _successor(worker, everybody)
            if found:
                done[worker.id] = found
        if len(done) == len(asked) or (give_up is not None and time.monotonic() >= give_up):
            return done
        time.sleep(LOOK)


class _Heartbeats:
    """Which workers beat, by this process's clock: that of the server may be set while they are waited for."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Timestamp, float]] = {}

    def is_alive(self, worker: Worker) -> bool:
        """Whether its last heartbeat has been seen for no longer than its lease."""
        now = time.monotonic()
        last, since = self._seen.get(worker.id, (None, now))
        self._seen[worker.id] = worker.heartbeat_at, since if last == worker.heartbeat_at else now
        return now - self._seen[worker.id][1] <= worker.lease


def _ended(worker: Worker, everybody: Sequence[Worker], heartbeats: _Heartbeats) -> Worker | None:
    now = next((other for other in everybody if other.id == worker.id), worker)
    if now.ended_at is not None:
        return now
    return None if heartbeats.is_alive(now) else now._replace(stored_state="silent")


def _successor(worker: Worker, everybody: Sequence[Worker]) -> Worker | None:
    """Who began in the same process, which has become another worker."""
    before, place = timestamp(worker.started_at), (worker.host, worker.pid, worker.name)
    for other in everybody:
        began = timestamp(other.started_at)
        if (other.host, other.pid, other.name) == place and before and began and began > before:
            return other
    return None
