"""Spawn requests, as the workers that take and fulfil them write them."""

import json
import time
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import (
    NotFoundError,
)
from hammerwork_cli.models import SpawnRequest, new_id
from hammerwork_cli.queries.job import dependencies
from hammerwork_cli.queries.job.dependencies import lock_jobs
from hammerwork_cli.queries.worker import finish, registry
from hammerwork_cli.queries.worker.claim import Claim, Claimed
from hammerwork_cli.queries.worker.finish import Settled
from hammerwork_cli.queries.worker.registry import Registration
from hammerwork_cli.queries.worker.spawn import Batches, Operation, naming_doubles, write_children


def pending_requests(database: Database, worker: Registration, limit: int = 20) -> list[SpawnRequest]:
    """The oldest requests that no worker has taken and that this one serves.

    It serves those that name one of its spawn handlers, and those that name none, for jobs of its queues.
    """
    handlers, served = json.dumps(worker.handlers), json.dumps([*worker.handlers, *worker.queues])
    rows = database.rows("job.spawn_requests.pending", handlers=handlers, served=served, limit=limit)
    return [SpawnRequest._make(row) for row in rows]


def return_unknown_requests(database: Database, worker: str, known: Collection[str]) -> int:
    """Returns requests that the database says a worker has and that it does not know; how many.

    Args:
        database: where.
        worker: its id. Nobody takes requests for it meanwhile.
        known: ids of the requests that wait or are being fulfilled there.
    """
    unknown = {str(row[0]) for row in database.rows("worker.requests.claimed_by", worker=worker)}.difference(known)
    return database.run("worker.requests.give_back", worker=worker, ids=database.ids(sorted(unknown))) if unknown else 0


def take_request(database: Database, request: SpawnRequest, worker: str, now: datetime) -> Claimed | None:
    """Takes a request; the job that is to spawn, or ``None`` when another worker was faster or the job is gone."""
    token = new_id()

    def work() -> Claimed | None:
        if not database.run("worker.requests.claim", id=request.id, token=token, worker=worker):
            return None
        row = database.row("job.spawn_requests.job", id=request.job_id)
        if row is None:
            values = {"state": "failed", "now": now, "children": 0, "error": "The job is gone."}
            database.run("worker.requests.finish", id=request.id, token=token, **values)
            return None
        return Claimed._make((*row, Claim(token, worker, now)))

    return database.transaction(work)


def fulfil(
    database: Database,
    request: SpawnRequest,
    job: Claimed,
    operation: Operation,
    batches: Batches,
    *,
    external: Iterable[str] = (),
    now: datetime,
) -> Settled:
    """Inserts what a request asked for, once; the arguments and errors are those of :func:`complete`."""

    def work() -> Settled:
        settled = Settled()
        # Locked before its request, as whoever deletes the job does; who deleted it has taken the request along.
        lock_jobs(database, [job.id])
        if not _end_request(database, request, job, "done", now, operation.children, None):
            # Unless an earlier try of the same was committed and not answered.
            if database.row("worker.spawn.is_recorded", id=operation.id) is None:
                settled.lost.add(job.id)
            return settled
        write_children(database, operation, batches, external, now, settled)
        return settled

    return naming_doubles(database, batches, work)


def refuse(database: Database, request: SpawnRequest, job: Claimed, error: str, now: datetime) -> None:
    """Ends a request that could not be fulfilled; what was spawned for it early and has not begun fails."""

    def work() -> None:
        if _end_request(database, request, job, "failed", now, 0, error):
            early = [child for _, child in dependencies.spawned_early(database, [job.id], request=request.id)]
            dependencies.fail(database, early, now, "The request to spawn that it was spawned for failed.")
            finish.finish(database, [], early, now, Settled())

    database.transaction(work)


def _end_request(
    database: Database, request: SpawnRequest, job: Claimed, state: str, now: datetime, children: int, error: str | None
) -> bool:
    values: dict[str, Any] = {"state": state, "now": now, "children": children, "error": database.message(error)}
    return database.run("worker.requests.finish", id=request.id, token=job.claim.token, **values) == 1


LOOK = 0.2
"""Seconds between two looks at a request."""


def has_taker(database: Database, request: SpawnRequest) -> bool:
    """Whether a worker is alive that takes a request."""
    for worker in registry.listed(database, alive=True):
        knows = (request.handler or request.queue) in worker.handler_names
        if worker.is_alive and (knows or (request.handler is None and request.queue in worker.queue_names)):
            return True
    return False


def wait_for(database: Database, request: SpawnRequest, timeout: float | None) -> SpawnRequest:
    """Waits until a worker has fulfilled or refused a request; it is still open when ``timeout`` seconds passed."""
    give_up = None if timeout is None else time.monotonic() + timeout
    while True:
        rows = database.rows("job.spawn_requests.by_id", id=request.id)
        if not rows:
            raise NotFoundError(f"The request {request.id} is gone.")
        now = SpawnRequest._make(rows[0])
        if not now.is_open or (give_up is not None and time.monotonic() >= give_up):
            return now
        time.sleep(LOOK)
