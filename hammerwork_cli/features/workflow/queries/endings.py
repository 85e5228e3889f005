"""Brings workflows up to date: fails what a failed job fails, and writes how they have ended.

The status is counted from the jobs whenever somebody looks; the stored one is for programs that read the table. What
has ended stays ended, unless a retry or a new job opens it again. Each step is guarded, so that two workers may do it.

A failure has its effect once: ``failed_jobs`` counts the failures that the policy has dealt with. A retry sets it to
the failures that there are, so that only later ones fail the retried jobs. Numbers are exact where times are not:
hosts have their own clocks, and MySQL keeps whole seconds here.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from hammerwork_cli.core.values import FAILED_SPELLINGS, WAITING, JobStatus, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import is_away
from hammerwork_cli.errors import LastingConflictError
from hammerwork_cli.features.batch.queries.callbacks import may_spawn
from hammerwork_cli.features.batch.queries.reader import PAGE
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import changes, dependencies, groups
from hammerwork_cli.features.job.queries.changes import CancelJobs, ChangeStep
from hammerwork_cli.features.job.queries.dependencies import Following, LockedJob
from hammerwork_cli.features.job.queries.selections import ByFilter
from hammerwork_cli.features.workflow.model import FailurePolicy, StoredWorkflow, WorkflowStatus
from hammerwork_cli.features.workflow.queries import listing

DEPENDENCY_FAILED = "a job that it depends on failed"
CANCELLED = "its workflow was cancelled"


class _SeenWorkflow(NamedTuple):
    """The row of a workflow when a worker read it."""

    status: str
    dealt_with: int  # the number of its failures that the policy has dealt with


class _OvertakenError(Exception):
    """Somebody has retried jobs of the workflow since a worker looked at it."""


class _CancelRest(CancelJobs):
    """Cancels the jobs of a cancelled workflow that have not started, unless somebody has let it run again."""

    def __init__(self, workflow: StoredWorkflow, now: datetime) -> None:
        super().__init__(now, by="workers", reason=CANCELLED)
        self.workflow = workflow

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        # The jobs are locked: a retry of one of them has committed by now, or comes later. So the workflow need not be.
        seen = _read(database, "workflow.endings.seen", self.workflow)
        if seen is None or not self._has_cause(database, seen):
            raise _OvertakenError
        self._end(database, jobs, step)

    def _has_cause(self, database: Database, seen: _SeenWorkflow) -> bool:
        del database
        return seen.status == WorkflowStatus.CANCELLED

    def _end(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        super()._change(database, jobs, step)


class _FailRest(_CancelRest):
    """Fails the jobs of a workflow that have not started because another one has failed, unless that was retried."""

    action = "fail"

    def __init__(self, workflow: StoredWorkflow, now: datetime) -> None:
        super().__init__(workflow, now)
        self.error = self.followers_error = groups.FAILED

    def _has_cause(self, database: Database, seen: _SeenWorkflow) -> bool:
        return _unsuccessful(database, self.workflow) > seen.dealt_with

    def _end(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        groups.fail(database, [job.id for job in jobs], self.now, self.error)
        step.changed += len(jobs)


def bring_up_to_date(
    database: Database, clock: Callable[[], datetime], is_over: Callable[[], bool] = lambda: False
) -> Iterator[tuple[StoredWorkflow, str | Exception]]:
    """Looks at the workflows that have not ended, and does what follows for each.

    Returns a workflow, and what was done or why that failed: one that fails does not stop the others. Raises
    ConnectionLostError or UnreachableError if no server answers.

    Args:
        clock: returns the server's time.
        is_over: whether to stop before the next workflow.
    """
    after: str | None = None
    while True:
        rows = database.rows("workflow.endings.open", after=after, limit=PAGE)
        page = listing.counted(database, [listing.read(row[:-1]) for row in rows])
        for workflow, (*_, dealt_with) in zip(page, rows, strict=True):
            if is_over():
                return
            try:
                done = _bring_up_to_date(database, workflow, _SeenWorkflow(workflow.stored_status, dealt_with), clock())
            except _OvertakenError:
                continue  # the next look sees what there is now
            except Exception as error:
                if is_away(error):
                    raise
                yield workflow, error
            else:
                if done is not None:
                    yield workflow, done
        if len(page) < PAGE:
            return
        after = page[-1].id


def _bring_up_to_date(database: Database, workflow: StoredWorkflow, seen: _SeenWorkflow, now: datetime) -> str | None:
    """Does what follows for one workflow; returns what was done."""
    if seen.status == WorkflowStatus.CANCELLED and workflow.counts.of(*WAITING):
        cancelled = _run(database, _CancelRest(workflow, now))
        return f"cancelled {cancelled:,} more of its jobs" if cancelled else None
    if not workflow.counts.open:
        return _close(database, workflow, now) if workflow.counts.total else None
    acts = workflow.failure_policy in {FailurePolicy.FAIL_FAST, FailurePolicy.CONTINUE}
    if not acts or workflow.counts.unsuccessful == seen.dealt_with:
        return None
    failed = 0
    if workflow.counts.unsuccessful > seen.dealt_with:
        if workflow.failure_policy == FailurePolicy.CONTINUE:
            failed = _fail_dependents(database, workflow, now)
        else:
            # Jobs that joined after the failure are not part of what it fails.
            failed = _run(database, _FailRest(workflow, now), until=timestamp(workflow.last_failure) or now)
    _deal(database, workflow, seen)
    return f"failed {failed:,} of its jobs because another one failed" if failed else None


def _run(database: Database, change: _CancelRest, until: datetime | None = None) -> int:
    """Changes the jobs that have not started, in batches in the order of their ids; returns their number."""
    waiting = JobFilter(workflows=(change.workflow.id,), statuses=tuple(sorted(WAITING)), unarchived=True, until=until)
    outcome = changes.run(database, ByFilter(waiting), change)
    return outcome.changed + outcome.followed


def _fail_dependents(database: Database, workflow: StoredWorkflow, now: datetime) -> int:
    """Fails what waits for the failed jobs of a workflow: workers of hammerwork (Rust) leave it waiting."""
    failed, values = 0, {"id": workflow.id, "failed": FAILED_SPELLINGS, "limit": PAGE}
    after: str | None = None
    while page := [str(job) for (job,) in database.rows("workflow.endings.failed", **values, after=after)]:
        following = Following(parents=page)
        while following.unfinished:
            following = database.transaction(
                partial(dependencies.fail_next, database, following, now, DEPENDENCY_FAILED)
            )
            failed += len(following.changed)
        after = page[-1]
    return failed


def _read(database: Database, statement: str, workflow: StoredWorkflow) -> _SeenWorkflow | None:
    row = database.row(statement, id=workflow.id)
    return None if row is None else _SeenWorkflow._make(row)


def _unsuccessful(database: Database, workflow: StoredWorkflow) -> int:
    return listing.counted(database, [workflow])[0].counts.unsuccessful


def _deal(database: Database, workflow: StoredWorkflow, seen: _SeenWorkflow) -> None:
    """Writes that the policy has dealt with the failures that there are, unless somebody has retried some meanwhile."""

    def work() -> None:
        if _read(database, "workflow.endings.lock", workflow) == seen:
            database.run("workflow.endings.deal", id=workflow.id, failed=_unsuccessful(database, workflow))

    database.transaction(work)


def _close(database: Database, workflow: StoredWorkflow, now: datetime) -> str | None:
    """Writes how a workflow has ended, if it still has; returns its status."""

    def work() -> str | None:
        locked = _read(database, "workflow.endings.lock", workflow)
        found = listing.counted(database, [workflow])[0]
        if locked is None or locked.status != workflow.stored_status or found.counts.open or not found.counts.total:
            return None
        if may_spawn(database, workflow.id, now):
            return None
        status, ended = found.status, found.last_end or now
        database.run(
            "workflow.endings.close",
            id=workflow.id,
            seen=locked.status,
            status=str(status),
            total=found.counts.total,
            completed=found.counts.of(JobStatus.COMPLETED),
            failed=found.counts.unsuccessful,
            completed_at=ended if status == WorkflowStatus.COMPLETED else None,
            failed_at=None if status == WorkflowStatus.COMPLETED else ended,
        )
        return str(status)

    return database.transaction(work)


def cancellable(database: Database, workflow: str) -> StoredWorkflow:
    """The workflow with this full id, if it can be cancelled, or is.

    Raises NotFoundError if it does not exist. Raises ConflictError if it has ended in another way.
    """
    found = listing.one(database, workflow)
    if found.counts.total and not found.counts.open and found.status != WorkflowStatus.CANCELLED:
        raise LastingConflictError(
            f"The workflow {found.id} has ended: {found.status}.", hint=f"See: hammerwork workflow show {found.id}"
        )
    return found


def reopen_without_failures(database: Database, workflow: str) -> bool:
    """Reopens a cancelled workflow that has no job to retry; returns whether it did.

    Raises NotFoundError if it does not exist.
    """
    found = listing.one(database, workflow)
    if found.counts.unsuccessful or found.stored_status != WorkflowStatus.CANCELLED:
        return False
    database.transaction(lambda: dependencies.rerun(database, [workflow]))
    return True


class CancelWorkflow(CancelJobs):
    """Cancels the jobs of a workflow, and marks it with the first of them: workers do the rest if this breaks off."""

    def __init__(
        self, workflow: str, now: datetime, *, by: str, reason: str | None = None, force: bool = False
    ) -> None:
        super().__init__(now, by=by, reason=reason, force=force)
        self.workflow = self.cancels_workflow = workflow

    def step(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> ChangeStep:
        """Changes jobs: see :class:`CancelJobs`."""
        step = super().step(database, ids, wanted)
        cancel(database, self.workflow)
        return step


def cancel(database: Database, workflow: str) -> None:
    """Marks a workflow cancelled, so that workers cancel what its jobs still spawn."""
    database.transaction(lambda: database.run("workflow.endings.cancel", id=workflow))
