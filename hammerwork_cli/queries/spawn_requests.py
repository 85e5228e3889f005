"""Requests to spawn again, until a worker has fulfilled or refused them."""

import time
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import MissingTablesError, NotFoundError
from hammerwork_cli.models import SpawnRequest
from hammerwork_cli.queries import spawning, workers
from hammerwork_cli.queries.kinship import Kinship

LOOK = 0.2
"""Seconds between two looks at a request."""


def of_job(database: Database, job: str) -> list[SpawnRequest]:
    """All requests for a job, the newest first; nothing where our migration of them is missing."""
    return spawning.requests(database, job) if "workers" in database.tags else []


def stored_config(database: Database, job: str) -> dict[str, Any] | None:
    """The spawn configuration that a job carries.

    Raises:
        JobNotFoundError: there is no such job.
        MissingTablesError: nobody could ask for anything here.
    """
    if "workers" not in database.tags:
        raise MissingTablesError(
            "The tables for requests to spawn (017) are missing.", hint="Run: hammerwork migration run"
        )
    return Kinship(database).job(job).spawn_config


def has_taker(database: Database, request: SpawnRequest) -> bool:
    """Whether a worker is alive that takes a request."""
    for worker in workers.listed(database, alive=True):
        knows = (request.handler or request.queue) in worker.handler_names
        if worker.is_alive and (knows or (request.handler is None and request.queue in worker.queue_names)):
            return True
    return False


def wait_for(database: Database, request: SpawnRequest, timeout: float | None) -> SpawnRequest:
    """Waits until a worker has fulfilled or refused a request; it is still open when ``timeout`` seconds passed."""
    give_up = None if timeout is None else time.monotonic() + timeout
    while True:
        rows = database.rows("spawning.request_by_id", id=request.id)
        if not rows:
            raise NotFoundError(f"The request {request.id} is gone.")
        now = SpawnRequest._make(rows[0])
        if not now.is_open or (give_up is not None and time.monotonic() >= give_up):
            return now
        time.sleep(LOOK)
