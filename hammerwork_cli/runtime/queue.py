"""Putting jobs into queues, from Python."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.models import NewJob, moment, status_of
from hammerwork_cli.queries import enqueue, limits, notices
from hammerwork_cli.queries.claims import Claim, Claimed
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.job import Job, full_id

PATIENCE = 30.0


class Queue:
    """The queues of one database. Threads may share it.

    Args:
        url: ``postgresql://``, ``mysql://``, ``mariadb://`` or ``sqlite:///path``.
        pool_size: most connections at once.
    """

    def __init__(self, url: str | DatabaseUrl, *, pool_size: int = 4) -> None:
        self.connections = Connections(url, pool_size)

    @property
    def url(self) -> DatabaseUrl:
        """Where it leads."""
        return self.connections.url

    def enqueue(self, job: Job) -> Job:
        """Writes a job. A job with the same id that is there already is left as it is.

        Returns:
            The job.

        Raises:
            UsageError: it has no queue, or a payload that JSON cannot hold.
            NotFoundError, ConflictError: it depends on a job that does not exist or failed, or another has its id.
            RefusedValueError: the database cannot hold it.
            UnreachableError: no server answered for 30 seconds.
        """

        def unit(database: Database) -> None:
            new = job.new_job(datetime.now(UTC))
            database.transaction(lambda: _write_one(database, new))

        self.connections.run(unit, patience=PATIENCE)
        return job

    def enqueue_many(self, jobs: Iterable[Job]) -> list[Job]:
        """Writes many jobs, all or none. They may depend on each other, and on jobs that are there.

        Raises:
            UsageError, NotFoundError, ConflictError, RefusedValueError: see :meth:`enqueue`.
        """
        many = list(jobs)

        def unit(database: Database) -> None:
            now = datetime.now(UTC)
            database.transaction(lambda: _write(database, [job.new_job(now) for job in many]))

        self.connections.run(unit, patience=PATIENCE)
        return many

    def get(self, job: Job | str) -> Job | None:
        """The job with this id as it is now; ``None`` when there is none.

        Raises:
            UsageError: that is no id.
        """
        wanted = job.id if isinstance(job, Job) else full_id(job)
        row = self.connections.run(lambda database: database.row("spawning.job_now", id=wanted), patience=PATIENCE)
        if row is None:
            return None
        status, error, started_at, *columns = row
        found = Job.of(Claimed._make((*columns, Claim("", "", datetime.now(UTC)))))
        found.status, found.error, found.started_at = status_of(status), error, moment(started_at)
        return found

    def close(self) -> None:
        """Ends its connections."""
        self.connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):
            self.close()


def _write_one(database: Database, job: NewJob) -> None:
    enqueue.once(database, job)
    notices.notify(database, [job.queue])


def _write(database: Database, jobs: list[NewJob]) -> None:
    ids = {job.id for job in jobs}
    external = {parent for job in jobs for parent in job.depends_on} - ids
    if enqueue.all_there(database, ids):
        return  # a second try of a commit that went through
    for job in jobs:
        limits.check(database, job)
    enqueue.settle(database, jobs, external)
    enqueue.insert(database, jobs)
    notices.notify(database, {job.queue for job in jobs})
