"""Brings workflows up to date: fails the rest where a job has failed, and writes how they have ended.

The status is counted from the jobs whenever somebody looks; the stored one is for programs that read the table. What
has ended stays ended, unless a retry or a new job opens it again. Each step is guarded, so that two workers may do it.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import is_away
from hammerwork_cli.errors import LastingConflictError
from hammerwork_cli.models import WAITING, JobFilter, JobStatus, timestamp
from hammerwork_cli.models.workflow.workflows import FailurePolicy, Workflow, WorkflowStatus
from hammerwork_cli.queries.batch.watches import may_spawn
from hammerwork_cli.queries.job import changes, dependencies
from hammerwork_cli.queries.job.changes import Cancel, Change, Step
from hammerwork_cli.queries.job.dependencies import LockedJob
from hammerwork_cli.queries.job.selections import Chosen
from hammerwork_cli.queries.workflow import listing

FAILED = "another job of its workflow failed, and the failure policy is fail_fast"
"""The error of jobs that fail because of another one of their workflow."""
CANCELLED = "its workflow was cancelled"


class _FailRest(Cancel):
    """Fails jobs that have not started, because another job of their workflow has failed."""

    action = "fail"

    def __init__(self, now: datetime) -> None:
        Change.__init__(self, now)
        self.error = self.followers_error = FAILED

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: Step) -> None:
        dependencies.fail(database, [job.id for job in jobs], self.now, self.error)
        step.changed += len(jobs)


def settle(
    database: Database, clock: Callable[[], datetime], is_over: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Workflow, str | Exception]]:
    """Looks at the workflows that have not ended, and does what follows for each.

    Args:
        clock: returns the server's time.
        is_over: whether to stop before the next workflow.

    Returns:
        A workflow, and what was done or why that failed: one that fails does not stop the others.

    Raises:
        ConnectionLostError, UnreachableError: no server answers.
    """
    after: str | None = None
    while True:
        rows = database.rows("workflow.settling.open", after=after, limit=listing.PAGE)
        page = listing.counted(database, [listing.read(row) for row in rows])
        for workflow in page:
            if is_over():
                return
            try:
                done = _settle(database, workflow, clock())
            except Exception as error:
                if is_away(error):
                    raise
                yield workflow, error
            else:
                if done is not None:
                    yield workflow, done
        if len(page) < listing.PAGE:
            return
        after = page[-1].id


def _settle(database: Database, workflow: Workflow, now: datetime) -> str | None:
    """Does what follows for one workflow; returns what was done."""
    if workflow.counts.of(*WAITING):
        if workflow.stored_status == WorkflowStatus.CANCELLED:
            cancelled = _run(database, workflow, Cancel(now, by="workers", reason=CANCELLED), None)
            return f"{cancelled:,} more of its jobs cancelled" if cancelled else None
        if workflow.failure_policy == FailurePolicy.FAIL_FAST and workflow.counts.unsuccessful:
            since = timestamp(workflow.last_failure) or now
            failed = _run(database, workflow, _FailRest(now), (since, now))
            return f"{failed:,} of its jobs failed with another one" if failed else None
    if workflow.open or not workflow.counts.total:
        return None
    return _close(database, workflow, now)


def _run(database: Database, workflow: Workflow, change: Change, waited_from: tuple[datetime, datetime] | None) -> int:
    """Changes the jobs that have not started, in batches in the order of their ids; returns their number."""
    waiting = JobFilter(workflow=workflow.id, statuses=tuple(sorted(WAITING)), unarchived=True, waited_from=waited_from)
    outcome = changes.run(database, Chosen(waiting), change)
    return outcome.changed + outcome.followed


def _close(database: Database, workflow: Workflow, now: datetime) -> str | None:
    """Writes how a workflow has ended, if it still has; returns its status."""

    def work() -> str | None:
        seen = database.value("workflow.settling.lock", id=workflow.id)
        found = listing.counted(database, [workflow])[0]
        if seen != workflow.stored_status or found.open or not found.counts.total:
            return None
        if may_spawn(database, workflow.id, now):
            return None
        status, ended = found.status, found.last_end or now
        database.run(
            "workflow.settling.close",
            id=workflow.id,
            seen=seen,
            status=str(status),
            total=found.counts.total,
            completed=found.counts.of(JobStatus.COMPLETED),
            failed=found.counts.unsuccessful,
            completed_at=ended if status == WorkflowStatus.COMPLETED else None,
            failed_at=None if status == WorkflowStatus.COMPLETED else ended,
        )
        return str(status)

    return database.transaction(work)


def jobs_for(workflow: str, change: Change) -> Chosen:
    """The jobs of the workflow with this full id that a change takes, or tells of."""
    return Chosen(JobFilter(workflow=workflow, statuses=tuple(sorted(change.considered)), unarchived=True))


def cancellable(database: Database, workflow: str) -> Workflow:
    """The workflow with this full id, if it can be cancelled.

    Raises:
        NotFoundError: it does not exist.
        ConflictError: it has ended.
    """
    found = listing.one(database, workflow)
    if found.counts.total and not found.open:
        raise LastingConflictError(
            f"The workflow {found.id} has ended: {found.status}.", hint=f"See: hammerwork workflow show {found.id}"
        )
    return found


class CancelWorkflow(Cancel):
    """Cancels the jobs of a workflow, and marks it with the first of them: workers do the rest if this breaks off.

    Args:
        workflow: its full id.
        now: see :class:`Cancel`, as for the others.
    """

    @property
    def considered(self) -> Set[JobStatus]:
        """Running jobs too, so that the outcome tells of them: they can still spawn."""
        return self.in_trees

    def __init__(
        self, workflow: str, now: datetime, *, by: str, reason: str | None = None, force: bool = False
    ) -> None:
        super().__init__(now, by=by, reason=reason, force=force)
        self.workflow = workflow

    def step(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> Step:
        """Changes jobs: see :class:`Cancel`."""
        step = super().step(database, ids, wanted)
        cancel(database, self.workflow)
        return step


def cancel(database: Database, workflow: str) -> None:
    """Marks a workflow cancelled, so that workers cancel what its jobs still spawn."""
    database.transaction(lambda: database.run("workflow.settling.cancel", id=workflow))
