"""Spawn requests, as workers claim and fulfil them."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.job.queries import dependencies, groups
from hammerwork_cli.features.job.queries.dependencies import lock_jobs
from hammerwork_cli.features.worker.queries import finish, registry
from hammerwork_cli.features.worker.queries.claim import CLAIMED_COLUMNS, Claim, Claimed, claimed_row
from hammerwork_cli.features.worker.queries.finish import FinishReport
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.features.worker.queries.spawn import Batches, Operation, naming_duplicates, write_children


def pending_requests(database: Database, worker: Registration) -> list[SpawnRequest]:
    """Returns the oldest requests that no worker has claimed and that this worker serves.

    A worker serves requests that name one of its spawn handlers, and requests without a handler for jobs of its queues.
    """
    handlers, served = database.json(worker.handlers), database.json([*worker.handlers, *worker.queues])
    rows = database.rows("job.spawn_requests.pending", handlers=handlers, served=served, limit=20)
    return [SpawnRequest._make(row) for row in rows]


def return_unknown_requests(database: Database, worker: str, known: Collection[str]) -> int:
    """Gives back requests that a worker has claimed and does not know; returns their number.

    Args:
        worker: the worker's id. No other thread may claim requests for it meanwhile.
        known: ids of the requests that wait or are being fulfilled in the worker.
    """
    unknown = {str(one) for (one,) in database.rows("worker.requests.claimed_by", worker=worker)}.difference(known)
    return database.run("worker.requests.give_back", worker=worker, ids=database.ids(sorted(unknown))) if unknown else 0


def claim_request(database: Database, request: SpawnRequest, worker: str, now: datetime) -> Claimed | None:
    """Claims a request and returns its job; ``None`` if another worker was faster or the job does not exist."""
    token = new_id()

    def work() -> Claimed | None:
        if not database.run("worker.requests.claim", id=request.id, token=token, worker=worker):
            return None
        row = database.row("job.spawn_requests.job", id=request.job_id, columns=CLAIMED_COLUMNS)
        if row is None:
            values = {"state": "failed", "now": now, "children": 0, "error": "The job no longer exists."}
            database.run("worker.requests.finish", id=request.id, token=token, **values)
            return None
        return claimed_row(database, row, Claim(token, worker, now))

    return database.transaction(work)


def fulfil(
    database: Database,
    request: SpawnRequest,
    job: Claimed,
    operation: Operation,
    batches: Batches,
    *,
    external: Iterable[str] = (),
    are_unique: bool = False,
    now: datetime,
) -> FinishReport:
    """Inserts the children that a request asks for, once. See :func:`complete` for the arguments and errors."""

    def work() -> FinishReport:
        report = FinishReport()
        # It locks the job before its request, as the transactions that delete jobs do. A deleted job has no request
        # any more; an archived job still has its own.
        if not lock_jobs(database, [job.id]) or not _end_request(
            database, request, job, "done", now, operation.children, None
        ):
            # An earlier try of this change may have been committed without an answer.
            if database.row("worker.spawn.is_recorded", id=operation.id) is None:
                report.lost.add(job.id)
            return report
        write_children(database, operation, batches, external, now, report, are_unique=are_unique)
        if report.held:
            database.run("worker.requests.count", id=request.id, children=operation.children - len(report.held))
        return report

    return naming_duplicates(database, batches, work)


def refuse(database: Database, request: SpawnRequest, job: Claimed, error: str, now: datetime) -> None:
    """Ends a request that failed; its early children that have not started fail too."""

    def work() -> None:
        if _end_request(database, request, job, "failed", now, 0, error):
            early = [child for _, child in dependencies.spawned_early(database, [job.id], request=request.id)]
            groups.fail(database, early, now, "The spawn request of its parent failed.")
            finish.update_dependents(database, [], early, now, FinishReport())

    database.transaction(work)


def _end_request(
    database: Database, request: SpawnRequest, job: Claimed, state: str, now: datetime, children: int, error: str | None
) -> bool:
    values: dict[str, Any] = {"state": state, "now": now, "children": children, "error": database.message(error)}
    return database.run("worker.requests.finish", id=request.id, token=job.claim.token, **values) == 1


POLL_SECONDS = 0.2
"""Seconds between two reads of a request."""


def has_worker(database: Database, request: SpawnRequest) -> bool:
    """Whether a living worker serves a request."""
    for worker in registry.listed(database, alive=True):
        knows = (request.handler or request.queue) in worker.handler_names
        if worker.is_alive and (knows or (request.handler is None and request.queue in worker.queue_names)):
            return True
    return False


class RequestWatch:
    """Watches a request until a worker has fulfilled or refused it."""

    def __init__(self, database: Database, request: SpawnRequest) -> None:
        self.request = request  # as it was last read
        self.connected(database)

    def connected(self, database: Database) -> None:
        """Continues with another connection."""
        self._database = database

    def refresh(self) -> bool:
        """Reads the request; returns whether it has ended.

        Raises:
            NotFoundError: it does not exist any more.
        """
        row = self._database.row("job.spawn_requests.by_id", id=self.request.id)
        if row is None:
            raise NotFoundError(f"The spawn request {self.request.id} no longer exists.")
        self.request = SpawnRequest._make(row)
        return not self.request.is_open
