"""Requests to spawn again, until a worker has fulfilled or refused them."""

import json
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, MissingTablesError, NotFoundError
from hammerwork_cli.models import JobStatus, SpawnConfig, SpawnRequest, new_id, status_phrase
from hammerwork_cli.queries.graph.relatives import Relatives
from hammerwork_cli.queries.graph.release import RECURRING
from hammerwork_cli.queries.job.dependencies import parent_statuses


def of_job(database: Database, job: str) -> list[SpawnRequest]:
    """All requests for a job, the newest first; nothing where our migration of them is missing."""
    return requests(database, job) if "workers" in database.tags else []


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
    return Relatives(database).job(job).spawn_config


def request(
    database: Database, job: str, *, handler: str | None, config: SpawnConfig | None, by: str, now: datetime
) -> SpawnRequest:
    """Asks the workers to spawn for a job that has completed.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: it has not completed, or such a request is open.
    """

    def work() -> str:
        statuses = parent_statuses(database, [job])
        row = database.row("job.spawn_requests.job", id=job)
        if job not in statuses or row is None:
            raise NotFoundError(f"There is no job {job} that could spawn.")
        if statuses[job] != JobStatus.COMPLETED:
            raise ConflictError(
                f"The job {job} is {_said(statuses[job])}: only a completed job spawns again.",
                hint=f"What it spawns comes when it completes: hammerwork job show {job}",
            )
        if database.row("job.spawn_requests.open", job=job):
            raise ConflictError(
                f"There is a request for job {job} that no worker has fulfilled yet.",
                hint=f"Its state: hammerwork job show {job}",
            )
        made = new_id()
        stored = None if config is None else json.dumps(config.stored())
        database.run(
            "job.spawn_requests.add", id=made, job=job, queue=row[1], handler=handler, config=stored, now=now, by=by
        )
        return made

    made = database.transaction(work)
    return SpawnRequest._make(database.rows("job.spawn_requests.by_id", id=made)[0])


def requests(database: Database, job: str) -> list[SpawnRequest]:
    """All requests for a job, the newest first."""
    return [SpawnRequest._make(row) for row in database.rows("job.spawn_requests.of_job", job=job)]


def _said(status: str) -> str:
    return status if status == RECURRING else status_phrase(status)
