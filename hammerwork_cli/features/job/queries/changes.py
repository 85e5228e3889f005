"""Plans and makes changes (retry, cancel, delete), and says why a change skipped the only job that was named.

Each job is locked, and changed only if its state allows it.
"""

from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from hammerwork_cli.core.values import (
    FAILURES,
    FINISHED,
    UNSUCCESSFUL,
    WAITING,
    WAITING_SPELLINGS,
    Counts,
    JobStatus,
    cancellation,
    status_of,
)
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import NOT_LATER, ChangeOutcome, ChangePlan, DueLater, Reason, Refusal
from hammerwork_cli.features.job.queries import dependencies, joins, notifications
from hammerwork_cli.features.job.queries.dependencies import EVERY_JOB, Following, LockedJob, lock_jobs
from hammerwork_cli.features.job.queries.selections import BATCH, Selection, Snapshot, due_later, failed_below
from hammerwork_cli.features.tree.queries import records


@dataclass(slots=True)
class ChangeStep:
    """The work of one transaction."""

    changed: int = 0
    left: Counts = field(default_factory=Counts)  # reason -> jobs that it skipped
    # Id -> reason of jobs that a later step of the same change may be able to change.
    later: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)  # joins that failed with its jobs
    again: list[str] = field(default_factory=list)  # joins that wait again for its jobs
    # The dependents that it changed too, and those that it has yet to change.
    following: Following = field(default_factory=Following)


class Change:
    """A kind of change. Subclasses define the jobs that it changes, and the change itself.

    Args:
        force: lifts the restrictions that protect running and dependent jobs.
    """

    action: str
    refusals: Set[str] = frozenset({JobStatus.RUNNING, Reason.STILL_COMING})
    """Reasons that leave the change incomplete. A filter may skip other jobs: they do not match any more."""
    accepted: Set[JobStatus]
    """Statuses of the jobs that it changes."""
    forced: Set[JobStatus] = frozenset({JobStatus.RUNNING})
    """Statuses that ``force`` adds."""
    in_trees: Set[JobStatus]
    """Statuses of the jobs of a tree that it selects by default."""

    @property
    def considered(self) -> Set[JobStatus]:
        """Statuses that a filter without statuses selects: those that it changes."""
        return self.accepted | self.forced if self.force else self.accepted

    takes_archived = False

    def __init__(self, now: datetime, *, force: bool = False) -> None:
        self.now = now
        self.force = force

    def filter(self, jobs: JobFilter) -> JobFilter:
        """Adds the default statuses to a filter that names none.

        In a batch or a workflow these include Running, so that the outcome reports jobs that can still spawn.
        """
        if self.takes_archived:
            return jobs
        statuses = self.in_trees if jobs.batches or jobs.workflows else self.considered
        return jobs._replace(statuses=jobs.statuses or tuple(sorted(statuses)), unarchived=True)

    def accepts(self, status: str) -> bool:
        """Whether it changes jobs in this status."""
        return status in self.accepted or (self.force and status in self.forced)

    def step(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> ChangeStep:
        """Changes those of the jobs that still match the filter. Needs a transaction."""
        locked = lock_jobs(database, ids, wanted)
        step = ChangeStep()
        if len(locked) < len(ids):
            step.left.add(Reason.GONE if wanted == EVERY_JOB else Reason.CHANGED_MEANWHILE, len(ids) - len(locked))
        free: list[LockedJob] = []
        for job in locked:
            reason = self._refusal(job)
            if reason is None:
                free.append(job)
            else:
                step.left.add(reason)
        step.later = self._later(database, free)
        free = [job for job in free if job.id not in step.later]
        self._change(database, free, step)
        parents = [job.id for job in free if self._changes_dependents(job)]
        following = self.follow(database, Following(parents=[*parents, *step.broken, *step.again]))
        step.following = following._replace(changed=[*following.changed, *step.again])
        return step

    def _changes_dependents(self, job: LockedJob) -> bool:
        del job
        return True

    def may_skip(self, database: Database, selection: Selection, found: Snapshot) -> bool:
        """Whether it may skip jobs although it accepts their statuses."""
        del database, selection, found
        return False

    def due_later(self, database: Database, selection: Selection, found: Snapshot) -> DueLater:
        """The jobs that it would leave due later."""
        del database, selection, found
        return NOT_LATER

    def would_change_descendants(self, database: Database, job: str, reason: str) -> bool:
        """Whether it skips a job for a reason, but would change descendants of it."""
        del database, job, reason
        return False

    def follow(self, database: Database, following: Following) -> Following:
        """Changes dependents too, at most as many as one transaction should."""
        del database, following
        return Following()

    def _refusal(self, job: LockedJob) -> str | None:
        shown = status_of(job.shown_status)
        if not self.accepts(shown):
            return shown
        return Reason.ARCHIVED if job.archived_at is not None and not self.takes_archived else None

    def _later(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        """Returns the jobs that must wait for other jobs of the same change: id -> reason."""
        del database, jobs
        return {}

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        raise NotImplementedError

    def _settle(self, database: Database, marks: joins.Marks, step: ChangeStep) -> None:
        """Releases or fails joins that wait for no others."""
        if marks.open:
            settled = joins.settle(database, marks, self.now)
            notifications.notify(database, settled.released)
            step.broken += settled.failed


class RetryJobs(Change):
    """Resets jobs to Pending with 0 attempts, due when they were, or now. Jobs that failed with them run after them.

    Args:
        force: also retry Running and Completed jobs, and jobs that depend on a failed one.
        respawn: lets a job that has spawned spawn again when it completes.
        cancelled: also retry Cancelled jobs.
        at_once: lets them be due now, also those that were cancelled before they were due.
    """

    action = "retry"
    refusals = Change.refusals | {JobStatus.COMPLETED, Reason.PARENT_FAILED}
    accepted = FAILURES
    forced = frozenset({JobStatus.RUNNING, JobStatus.COMPLETED})
    in_trees = UNSUCCESSFUL
    """It selects Cancelled jobs, and skips them unless they are asked for, so that the outcome tells of them."""

    @property
    def considered(self) -> Set[JobStatus]:
        return self.in_trees

    def __init__(
        self,
        now: datetime,
        *,
        force: bool = False,
        respawn: bool = False,
        cancelled: bool = False,
        at_once: bool = False,
    ) -> None:
        super().__init__(now, force=force)
        self.respawn, self.at_once = respawn, at_once
        if cancelled:
            self.accepted = UNSUCCESSFUL

    def may_skip(self, database: Database, selection: Selection, found: Snapshot) -> bool:
        """True if a job depends on one that stays failed."""
        return not self.force and selection.has_failed_parents(database, found)

    def due_later(self, database: Database, selection: Selection, found: Snapshot) -> DueLater:
        """The jobs whose due times are still to come."""
        if self.at_once:
            return NOT_LATER
        return due_later(database, selection, found, self.now, tuple(sorted(self.accepted)))

    def would_change_descendants(self, database: Database, job: str, reason: str) -> bool:
        """True if the job has completed and a descendant failed."""
        return reason == JobStatus.COMPLETED and failed_below(database, job)

    def _later(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        states = self._states(database, jobs)
        return {} if self.force else {job: Reason.PARENT_FAILED for job, state in states.items() if state == "failed"}

    def _states(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        """The right ``dependency_status`` by id, of the jobs whose dependencies were not satisfied."""
        return dependencies.states_of(database, [job for job in jobs if job.dependency_status in {"waiting", "failed"}])

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        states = self._states(database, jobs)
        by_state: dict[str | None, list[str]] = {}
        for job in jobs:
            state = states.get(job.id)
            by_state.setdefault("satisfied" if state == "failed" else state, []).append(job.id)
        for state, ids in by_state.items():
            step.changed += dependencies.renew(database, ids, _stored(jobs), self.now, state, at_once=self.at_once)
        again = joins.reopened(database, [job.again for job in jobs if job.status in FINISHED], self.now)
        step.again += [join.id for join in again]
        dependencies.rerun(database, [*(job.workflow for job in jobs), *(join.workflow for join in again)])
        if self.respawn:
            records.allow_again(database, [job.id for job in jobs])

    def _changes_dependents(self, job: LockedJob) -> bool:
        """False for a recurring job: it will spawn again, and the children of its cancelled occurrence stay failed."""
        return not job.recurring

    def follow(self, database: Database, following: Following) -> Following:
        """Resets jobs that failed only because of these."""
        return dependencies.rearm_next(database, following, self.now, at_once=self.at_once)


class CancelJobs(Change):
    """Marks jobs Failed, with an error that names the operator. Jobs that wait for them fail too."""

    action = "cancel"
    accepted = WAITING
    cancels_workflow: str | None = None
    """The workflow that it cancels as a whole."""
    in_trees = WAITING | {JobStatus.RUNNING}
    """It selects Running jobs, and then skips them, so that the outcome tells of them: they can still spawn."""

    def __init__(self, now: datetime, *, by: str, reason: str | None = None, force: bool = False) -> None:
        super().__init__(now, force=force)
        self.error = cancellation(by, reason)
        self.followers_error = f"a job that it depends on was {self.error}"

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        for part in chunks([job.id for job in jobs], database.key_chunk):
            step.changed += database.run(
                "job.changes.cancel", ids=part, statuses=_stored(jobs), now=self.now, error=self.error
            )
            events.ended(database, part, self.now)
        marks = joins.Marks()
        for job in jobs:
            marks.add(job.ancestry, job.status, JobStatus.FAILED, recurring=job.recurring)
        self._settle(database, marks, step)

    def follow(self, database: Database, following: Following) -> Following:
        """Fails jobs that wait for these, and their early children that have not started."""
        following = dependencies.fail_next(
            database, following, self.now, self.followers_error, but=self.cancels_workflow
        )
        notifications.notify(database, following.released)
        return following


class Delete(Change):
    """Removes jobs for good, with their recorded operations, unless a worker has them or another job waits for them."""

    action = "delete"
    refusals = Change.refusals | {Reason.WAITED_FOR}
    accepted = in_trees = frozenset(JobStatus) - {JobStatus.RUNNING}
    takes_archived = True

    def accepts(self, status: str) -> bool:
        """True for unknown statuses, too."""
        return self.force or status != JobStatus.RUNNING

    def may_skip(self, database: Database, selection: Selection, found: Snapshot) -> bool:
        """True if other jobs may wait for one of the jobs."""
        return not self.force and selection.has_dependents(database, found)

    def _later(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        if self.force:
            return {}
        going = {job.id for job in jobs}
        pairs = dependencies.dependents(database, sorted(going), ("waiting",), WAITING_SPELLINGS)
        while kept := {parent for parent, job in pairs if parent in going and job not in going}:
            going -= kept
        return {job.id: Reason.WAITED_FOR for job in jobs if job.id not in going}

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        for part in chunks([job.id for job in jobs], database.key_chunk):
            step.changed += database.run("job.changes.delete", ids=part, statuses=_stored(jobs))
        records.forget(database, [job.id for job in jobs])
        marks = joins.Marks()
        for job in jobs:
            if job.archived_at is None:  # otherwise its copy in the archive is counted in its place
                marks.add(job.ancestry, job.status, None, recurring=job.recurring)
        self._settle(database, marks, step)


def _stored(jobs: Collection[LockedJob]) -> tuple[str, ...]:
    return tuple(sorted({job.stored_status for job in jobs}))


def plan(database: Database, selection: Selection, change: Change) -> ChangePlan:
    found = selection.read(database)
    return ChangePlan.of(
        change.action,
        tuple(group._replace(changes=change.accepts(group.status)) for group in found.groups),
        {Reason.ARCHIVED: found.archived} if found.archived else {},
        cautious=bool(found.groups) and change.may_skip(database, selection, found),
        job=_only(selection),
        later=change.due_later(database, selection, found),
    )


def run(
    database: Database, selection: Selection, change: Change, on_progress: Callable[[int], None] = lambda _: None
) -> ChangeOutcome:
    """Changes jobs in batches of one transaction each. After an interruption, a second run does the rest.

    The transaction of a job also changes its dependents; many dependents take further transactions.

    Args:
        on_progress: called with the number of jobs so far.
    """
    progress = _Progress(database, change, selection.wanted)
    so_far = 0
    for batch in selection.batches(database):
        progress.outcome.left.merge(Counts({reason: jobs for reason, jobs in batch.left.items() if jobs}))
        if batch.ids:
            progress.step(batch.ids)
            so_far += len(batch.ids)
            on_progress(so_far)
    outcome = progress.finish()
    outcome.job = _only(selection)
    outcome.refused = outcome.left.total if selection.named else outcome.left.of(*change.refusals)
    return outcome


def refused(database: Database, change: Change, result: ChangePlan | ChangeOutcome) -> Refusal | None:
    """Returns the refusal if a plan or an outcome skips the only job that was named."""
    if result.job is None or result.changed:
        return None
    reason = next(iter(result.left.by_status), Reason.GONE)
    below = change.would_change_descendants(database, result.job, reason)
    return Refusal(change.action, result.job, reason, failed_below=below)


def _only(selection: Selection) -> str | None:
    return selection.named[0] if len(selection.named) == 1 else None


class _Progress:
    def __init__(self, database: Database, change: Change, wanted: JobFilter) -> None:
        self.database = database
        self.change = change
        self.wanted = wanted
        self.outcome = ChangeOutcome(change.action)
        self.followed: set[str] = set()
        self.later: dict[str, str] = {}

    def step(self, batch: Sequence[str]) -> None:
        """Changes a batch in one transaction."""
        ids = [job for job in batch if job not in self.followed]
        step = self.database.transaction(lambda: self.change.step(self.database, ids, self.wanted))
        self.outcome.changed += step.changed
        self.outcome.left.merge(step.left)
        self.later |= step.later
        self._follow(step.following)

    def _follow(self, following: Following) -> None:
        """Changes the dependents too, in as many further transactions as needed."""
        self.followed.update(following.changed)
        while following.unfinished:
            following = self.database.transaction(partial(self.change.follow, self.database, following))
            self.followed.update(following.changed)

    def finish(self) -> ChangeOutcome:
        """Tries the postponed jobs again until none of them changes; returns the sum."""
        before = -1
        while self.later and self.outcome.changed > before:
            before = self.outcome.changed
            ids = [job for job in self.later if job not in self.followed]
            self.later = {}
            for part in chunks(ids, BATCH):
                self.step(part)
        for reason in self.later.values():
            self.outcome.left.add(reason)
        self.outcome.followed = len(self.followed)
        return self.outcome
