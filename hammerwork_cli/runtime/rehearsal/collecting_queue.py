"""The queue of a spawn handler that is rehearsed."""

from collections.abc import Callable, Iterable
from copy import copy
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from hammerwork_cli import app_path
from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.database.borrowing import Connection
from hammerwork_cli.features.batch.model import NewBatch
from hammerwork_cli.runtime.api.job import Job, checked
from hammerwork_cli.runtime.api.queue import PATIENCE, Batch, Queue
from hammerwork_cli.runtime.api.spawn import SpawnFailedError
from hammerwork_cli.runtime.api.workflow import Workflow
from hammerwork_cli.runtime.connections import Connections

Result = TypeVar("Result")
REFUSED = "A rehearsal writes nothing: use context.queue.enqueue, which it collects."


class CollectingQueue(Queue):
    """The queue of a handler that is rehearsed: it reads the database, and collects what would be enqueued."""

    def __init__(self, url: Callable[[], DatabaseUrl], now: datetime) -> None:
        self._find_url, self._now_is = url, now
        self._reading: Connections | None = None
        self.collected: list[Job] = []

    @property
    def url(self) -> DatabaseUrl:
        return self._find_url()

    @property
    def _connections(self) -> Connections:  # type: ignore[override]  # an attribute of other queues
        raise SpawnFailedError(REFUSED)

    def enqueue(self, job: Job, *, connection: Connection | None = None) -> Job:
        """Collects a job, after the checks that need no database."""
        del connection  # which nothing is written through
        checked(job)._new_job(self._now_is)
        self.collected.append(job)
        found = copy(job)
        found.created = True
        return found

    def enqueue_many(self, jobs: Iterable[Job], *, connection: Connection | None = None) -> list[Job]:
        del connection
        return [self.enqueue(job) for job in list(jobs)]

    def enqueue_batch(
        self,
        name: str,
        jobs: Iterable[Job],
        *,
        id: str | UUID | None = None,
        connection: Connection | None = None,
        **callbacks: Job | None,
    ) -> Batch:
        del connection
        for job in callbacks.values():
            if job is not None:
                job._new_job(self._now_is)
        batch = NewBatch.of(name, id)
        return Batch(batch.id, batch.name, created=True, jobs=tuple(self.enqueue_many(jobs)))

    def enqueue_workflow(self, workflow: Workflow, *, connection: Connection | None = None) -> dict[str, Job]:
        del connection
        workflow._new_jobs(self._now_is)
        return {key: self.enqueue(job) for key, job in workflow.jobs.items()}

    def _write(self, unit: Callable[[Database], Result]) -> Result:
        del unit
        raise SpawnFailedError(REFUSED)

    def _run(self, unit: Callable[[Database], Result]) -> Result:
        def read(database: Database) -> Result:
            with database.snapshot():
                return unit(database)

        with app_path.without():  # the driver is imported now
            if self._reading is None:
                self.url.check_file()
                self._reading = Connections(self.url, 4)
            return self._reading.run(read, patience=PATIENCE)

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None
