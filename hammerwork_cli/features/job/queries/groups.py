"""The workflows and batches of jobs that end, where version 3 of hammerwork (Rust) uses the database.

Version 3 acts on a failure policy, and writes counters and statuses, in the transaction that ends a job; so does this
module. It locks in the same order: jobs, their workflows, their dependents, their batches. Elsewhere it does nothing:
workers look after workflows (``workflow/queries/endings.py``), and batches are counted by who looks.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Self

from hammerwork_cli.core.values import RUNNING_SPELLINGS, WAITING_SPELLINGS, Counts, JobStatus, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.batch.model import BatchStatus, StoredBatch
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.workflow.model import FailurePolicy, StoredWorkflow, WorkflowStatus

FAILED = "another job of its workflow failed, and the failure policy is fail_fast"
"""The error of jobs that fail because of another one of their workflow."""
OPEN_SPELLINGS = (*WAITING_SPELLINGS, *RUNNING_SPELLINGS)
BATCH_FAILED = "another job of its batch failed, and the failure mode is FailFast"


class Groups(NamedTuple):
    """Workflows, which are locked, and ids of batches."""

    workflows: Sequence[StoredWorkflow] = ()
    batches: Sequence[str] = ()

    @classmethod
    def locked(cls, database: Database, jobs: Collection[str]) -> Self:
        """The workflows and batches of some jobs; none unless version 3 uses the database. Needs a transaction."""
        if "rust_3" not in database.tags or not jobs:
            return cls()
        rows = list(database.rows_of("job.groups.of", sorted(jobs), database.key_chunk))
        workflows = {str(workflow) for workflow, _ in rows if workflow is not None}
        batches = {str(batch) for _, batch in rows if batch is not None}
        return cls(list(_locked_workflows(database, workflows)), sorted(batches))

    def fail_rest(self, database: Database, now: datetime, *, but: str | None = None) -> list[str]:
        """Fails the jobs of workflows with the policy ``fail_fast`` that have not started; returns their ids.

        Args:
            database: an open transaction, in which a job of each workflow has failed.
            but: a workflow that is being cancelled as a whole.
        """
        failed: list[str] = []
        for workflow in self.workflows:
            is_over = workflow.id == but or workflow.stored_status == WorkflowStatus.CANCELLED
            if workflow.failure_policy == FailurePolicy.FAIL_FAST and not is_over:
                failed += _fail_waiting(database, now, FAILED, workflow=workflow.id)
        return failed

    def fail_batches(self, database: Database, now: datetime) -> list[str]:
        """Fails the jobs of batches with the mode ``FailFast`` that have not started; returns their ids.

        Args:
            database: an open transaction, in which a job of each batch has failed.
        """
        failed: list[str] = []
        for batch, _ in _locked_batches(database, self.batches):
            if batch.failure_mode == "FailFast":
                failed += _fail_waiting(database, now, BATCH_FAILED, batch=batch.id)
        return failed

    def settle(self, database: Database, now: datetime) -> None:
        """Writes the counters and statuses of the workflows, and the statuses of the batches."""
        for workflow in self.workflows:
            if workflow.stored_status != WorkflowStatus.CANCELLED:
                _settle_workflow(database, workflow, now)
        for batch, stored_status in _locked_batches(database, self.batches):
            _settle_batch(database, batch, stored_status, now)


def fail(database: Database, jobs: Sequence[str], now: datetime, error: str) -> None:
    """Fails jobs that have not started, because of others."""
    for part in chunks(jobs, database.key_chunk):
        database.run("job.dependencies.fail", ids=part, statuses=WAITING_SPELLINGS, now=now, error=error)
        events.ended(database, part, now)


def _fail_waiting(database: Database, now: datetime, error: str, **of: str) -> list[str]:
    values = {"workflow": None, "batch": None, "statuses": WAITING_SPELLINGS, **of}
    waiting = [str(job) for (job,) in database.rows("job.groups.lock_waiting", **values)]
    fail(database, waiting, now, error)
    return waiting


def _locked_workflows(database: Database, ids: Iterable[str]) -> Iterator[StoredWorkflow]:
    for workflow, status, policy in database.rows_in("job.groups.lock_workflows", sorted(ids)):
        yield StoredWorkflow(str(workflow), "", status, policy, 0, None)


def _locked_batches(database: Database, ids: Sequence[str]) -> Iterator[tuple[StoredBatch, str]]:
    for batch, status, mode in database.rows_in("job.groups.lock_batches", ids):
        yield StoredBatch(str(batch), "", 0, mode.strip('"'), None), status.strip('"')


def _settle_workflow(database: Database, workflow: StoredWorkflow, now: datetime) -> None:
    counts = counted(database, workflow=workflow.id)
    status = replace(workflow, counts=counts).status
    database.run(
        "job.groups.write_workflow",
        id=workflow.id,
        status=str(status),
        completed=counts.of(JobStatus.COMPLETED),
        failed=counts.unsuccessful,
        completed_at=now if status == WorkflowStatus.COMPLETED else None,
        failed_at=now if status == WorkflowStatus.FAILED else None,
    )


def _settle_batch(database: Database, batch: StoredBatch, stored_status: str, now: datetime) -> None:
    if database.row("job.groups.has_open", batch=batch.id, statuses=OPEN_SPELLINGS):
        if stored_status == BatchStatus.PENDING:
            database.run("job.groups.begin_batch", id=batch.id)
        return
    counts = counted(database, batch=batch.id)
    found = replace(batch, counts=counts)
    if not found.counts.open:
        completed, failed = counts.of(JobStatus.COMPLETED), counts.unsuccessful
        values = {"id": batch.id, "status": str(found.status), "completed": completed, "failed": failed, "now": now}
        database.run("job.groups.end_batch", **values)


def archives_groups(database: Database, workflow: str | None) -> bool:
    """Whether archived jobs tell their group: not their workflow where hammerwork (Rust) alone has archived them."""
    return "archive" in database.tags if workflow is None else database.is_current


def any_completed_since(
    database: Database, since: datetime, *, workflow: str | None = None, batch: str | None = None
) -> bool:
    """Whether a job of a workflow or a batch has completed after a time."""
    archived = ("job.groups.any_archived_completed_since",) if archives_groups(database, workflow) else ()
    values = {"workflow": workflow, "batch": batch, "since": since}
    return any(
        database.row(statement, **values) is not None for statement in ("job.groups.any_completed_since", *archived)
    )


def counted(database: Database, *, workflow: str | None = None, batch: str | None = None) -> Counts:
    """Counts the jobs of a workflow or of a batch by the status that the rows hold, those in the archive too."""
    counts = Counts()
    archived = ("job.groups.archived_counts",) if archives_groups(database, workflow) else ()
    for statement in ("job.groups.counts", *archived):
        for status, jobs in database.rows(statement, workflow=workflow, batch=batch):
            counts.add(status_of(status), jobs)
    return counts
