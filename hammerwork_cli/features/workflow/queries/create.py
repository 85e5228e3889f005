"""Creates workflows: a row and all of its jobs in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.errors import LastingConflictError, UsageError
from hammerwork_cli.features.batch.queries.callbacks import delete_with_callbacks
from hammerwork_cli.features.batch.queries.enqueue import compare_callbacks, compare_rows
from hammerwork_cli.features.callbacks.model import NewCallback, Subject
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.job import EnqueuedJob
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue as enqueueing
from hammerwork_cli.features.job.queries import limits, notifications
from hammerwork_cli.features.job.queries.stored import compare, stored
from hammerwork_cli.features.workflow.model import NewWorkflow


class Created(NamedTuple):
    """A workflow that was to be created."""

    created: bool  # whether it was inserted now; otherwise it existed
    jobs: dict[str, EnqueuedJob]  # id of a job -> the job as it is now; empty if the workflow existed


def create(
    database: Database,
    workflow: NewWorkflow,
    jobs: Sequence[NewJob],
    now: datetime,
    callbacks: Sequence[NewCallback] = (),
) -> Created:
    """Inserts a workflow with its jobs, all or none. The same one that exists stays unchanged.

    Raises NotFoundError if a job depends on one that does not exist. Raises ConflictError: see
    :func:`many` of job/queries/enqueue; or another workflow has the id. Raises RefusedValueError if the
    database cannot store a job, the name or the metadata.

    Args:
        jobs: as :meth:`NewWorkflow.linked` returns them; they may depend on other jobs too.
    """
    if callbacks and any(job.recurring for job in jobs):
        raise UsageError("A recurring job never ends, so its workflow cannot have callbacks.")
    limits.check_name(database, workflow.name)
    limits.check_json(database, workflow.metadata, "the metadata")

    def work() -> Created:
        row = {"id": workflow.id, "name": workflow.name, "policy": str(workflow.stored_policy), "now": now}
        if not database.run_once("workflow.create.insert", **row, total=len(jobs), metadata=workflow.metadata):
            exists(database, workflow, jobs, callbacks)
            return Created(created=False, jobs={})
        every = (*callbacks, *enqueueing.announced(database, EventType.WORKFLOW_ENDED, workflow.name, jobs))
        if every:
            enqueueing.count_for(database, workflow.id, jobs)
        placed = enqueueing.many(database, jobs)
        for job in placed.values():
            if not job.created:
                raise LastingConflictError(f"The job {job.id} already exists, outside of this workflow.")
        enqueueing.add_callbacks(database, Subject.WORKFLOW, workflow.id, every, now, jobs=len(jobs))
        notifications.notify(database, {job.queue for job in jobs})
        return Created(created=True, jobs=placed)

    return database.transaction(work)


def exists(
    database: Database, workflow: NewWorkflow, jobs: Sequence[NewJob], callbacks: Sequence[NewCallback] = ()
) -> bool:
    """Whether this workflow exists, with the same jobs and callbacks.

    Raises ConflictError if another workflow has the id.
    """
    rows = database.rows("workflow.create.stored", id=workflow.id) if database.has_table("hammerwork_workflows") else []
    if not rows:
        return False
    hint = f"See: hammerwork workflow show {workflow.id}"
    wanted = {"name": workflow.name, "failure policy": workflow.failure_policy, "number of jobs": len(jobs)}
    compare_rows(Subject.WORKFLOW, workflow.id, rows[0], wanted)
    known = stored(database, [job.id for job in jobs])
    for job in jobs:
        if job.id not in known:
            raise LastingConflictError(
                f"The workflow {workflow.id} already exists, without this job in {job.queue}.", hint=hint
            )
        compare(database, job, known[job.id])
    compare_callbacks(database, Subject.WORKFLOW, workflow.id, callbacks)
    return True


def delete_empty(database: Database, workflow: str) -> bool:
    """Deletes the row of a workflow unless it has jobs that are not archived; returns whether it did."""
    return delete_with_callbacks(database, "workflow.create.delete", Subject.WORKFLOW, workflow)
