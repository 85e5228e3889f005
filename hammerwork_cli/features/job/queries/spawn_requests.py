"""Spawn requests: making and reading them. Workers fulfil or refuse them."""

import json
from datetime import datetime
from typing import Any

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobStatus, status_phrase
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, NotFoundError
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.job.queries import ends
from hammerwork_cli.features.job.queries.dependencies import parent_statuses
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.tree.queries.release import RECURRING


def of_job(database: Database, job: str) -> list[SpawnRequest]:
    """All requests for a job, the newest first."""
    return requests(database, job) if database.is_current else []


def stored_config(database: Database, job: str) -> dict[str, Any] | None:
    """The spawn configuration of a job. Raises JobNotFoundError if the job does not exist."""
    return Relatives(database).job(job).spawn_config


def request(
    database: Database, job: str, *, handler: str | None, config: SpawnConfig | None, by: str, now: datetime
) -> SpawnRequest:
    """Asks the workers to spawn again for a completed job."""

    def work() -> str:
        statuses = parent_statuses(database, [job])
        row = database.row("job.spawn_requests.job", id=job, columns=())
        if job not in statuses or row is None:
            raise NotFoundError(f"There is no job {job} to spawn again.")
        if statuses[job] != JobStatus.COMPLETED:
            raise ConflictError(
                f"The job {job} is {_said(statuses[job])}: only a completed job spawns again.",
                hint=f"It spawns when it completes: hammerwork job show {job}",
            )
        if database.row("job.spawn_requests.open", job=job):
            raise ConflictError(
                f"The job {job} has a spawn request that no worker has fulfilled yet.",
                hint=f"To see its state: hammerwork job show {job}",
            )
        is_encrypted, _, queue, payload = row
        if is_encrypted and config is not None and "_spawn_config" not in payload:
            raise ConflictError(
                f"The spawn configuration of the job {job} is encrypted: it cannot be changed for a request.",
                hint="Leave out the options: the worker has the key, and takes the configuration as it is.",
            )
        made = new_id()
        stored = None if config is None else json.dumps(config._stored())
        database.run(
            "job.spawn_requests.add", id=made, job=job, queue=queue, handler=handler, config=stored, now=now, by=by
        )
        # What ended ends again once it gets children: the request may be refused, or spawn nothing.
        ends.let_schedules_look(database, job)
        return made

    made = database.transaction(work)
    return SpawnRequest._make(database.rows("job.spawn_requests.by_id", id=made)[0])


def requests(database: Database, job: str) -> list[SpawnRequest]:
    """All requests for a job, the newest first."""
    return [SpawnRequest._make(row) for row in database.rows("job.spawn_requests.of_job", job=job)]


def _said(status: str) -> str:
    return status if status == RECURRING else status_phrase(status)
