"""Retry, cancel, delete: each job is locked, looked at, and changed only if its state allows it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import FAILURES, WAITING, Counts, JobFilter, JobStatus, Outcome
from hammerwork_cli.models.values import WAITING_SPELLINGS
from hammerwork_cli.queries.graph import records
from hammerwork_cli.queries.job import dependencies, notifications
from hammerwork_cli.queries.job.dependencies import EVERY_JOB, Following, LockedJob, hold
from hammerwork_cli.queries.job.selections import BATCH, Selection, failed_below

GONE = "gone"
CHANGED_MEANWHILE = "changed_meanwhile"
ARCHIVED = "archived"
PARENT_FAILED = "parent_failed"
WAITED_FOR = "waited_for"
STILL_COMING = "still_coming"
"""Reasons for leaving a job as it is; where the status is the reason, its word is."""


@dataclass(slots=True)
class Step:
    """What one transaction did.

    Attributes:
        left: reason -> jobs that were not changed.
        later: id -> reason of jobs that another step of the same change may make changeable.
        following: dependents that were changed along, and those that are yet to be.
    """

    changed: int = 0
    left: Counts = field(default_factory=Counts)
    later: dict[str, str] = field(default_factory=dict)
    following: Following = field(default_factory=Following)


class Change:
    """What may be done to jobs. Subclasses say to which, and how.

    Args:
        now: the present.
        force: also what is refused otherwise.
    """

    takes_archived = False

    def __init__(self, now: datetime, *, force: bool = False) -> None:
        self.now = now
        self.force = force

    def accepts(self, status: str) -> bool:
        """Whether a job in this status is changed."""
        raise NotImplementedError

    def step(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> Step:
        """Changes some jobs, as far as they are still what was wanted, in a transaction that is open."""
        held = hold(database, ids, wanted)
        step = Step()
        if len(held) < len(ids):
            step.left.add(GONE if wanted == EVERY_JOB else CHANGED_MEANWHILE, len(ids) - len(held))
        free: list[LockedJob] = []
        for job in held:
            reason = self._refusal(job)
            if reason is None:
                free.append(job)
            else:
                step.left.add(reason)
        step.later = self._later(database, free)
        free = [job for job in free if job.id not in step.later]
        self._change(database, free, step)
        step.following = self.follow(database, Following(parents=[job.id for job in free if self._leads(job)]))
        return step

    def _leads(self, job: LockedJob) -> bool:
        """Whether dependents of a job that was changed are changed along."""
        del job
        return True

    def may_leave_some(self, database: Database, selection: Selection) -> bool:
        """Whether some of the jobs in acceptable statuses may be left all the same."""
        del database, selection
        return not self.force

    def mends_below(self, database: Database, job: str, outcome: Outcome) -> bool:
        """Whether the change, refused to a job, is one for jobs below it."""
        del database, job, outcome
        return False

    def follow(self, database: Database, begun: Following) -> Following:
        """Changes dependents along, as many as a transaction should hold."""
        del database, begun
        return Following()

    def _refusal(self, job: LockedJob) -> str | None:
        if not self.accepts(job.status):
            return job.status
        return ARCHIVED if job.archived_at is not None and not self.takes_archived else None

    def _later(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        """Those of the jobs that must wait for other changes: id -> reason."""
        del database, jobs
        return {}

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: Step) -> None:
        raise NotImplementedError


class Retry(Change):
    """A fresh attempt: Pending, no attempts used, due now; what failed only because of these jobs runs after them.

    Args:
        now: the present.
        force: also what runs or has completed, and what depends on a failed job.
        respawn: a job that has spawned spawns again when it completes again.
    """

    def __init__(self, now: datetime, *, force: bool = False, respawn: bool = False) -> None:
        super().__init__(now, force=force)
        self.respawn = respawn

    def accepts(self, status: str) -> bool:
        """Failures, and what runs or has completed with ``force``."""
        return status in FAILURES or (self.force and status in {JobStatus.RUNNING, JobStatus.COMPLETED})

    def may_leave_some(self, database: Database, selection: Selection) -> bool:
        """Only where one of the jobs depends on a failure that stays."""
        return not self.force and selection.has_failed_parents(database)

    def mends_below(self, database: Database, job: str, outcome: Outcome) -> bool:
        """Where the job has completed and others below it failed."""
        return JobStatus.COMPLETED in outcome.left.by_status and failed_below(database, job)

    def _later(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        states = self._states(database, jobs)
        return {} if self.force else {job: PARENT_FAILED for job, state in states.items() if state == "failed"}

    def _states(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        """``dependency_status`` by id, of the jobs whose dependencies had not been satisfied."""
        return dependencies.states_of(database, [job for job in jobs if job.dependency_status in {"waiting", "failed"}])

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: Step) -> None:
        states = self._states(database, jobs)
        by_state: dict[str | None, list[str]] = {}
        for job in jobs:
            state = states.get(job.id)
            by_state.setdefault("satisfied" if state == "failed" else state, []).append(job.id)
        for state, ids in by_state.items():
            step.changed += dependencies.renew(database, ids, _stored(jobs), self.now, state)
        if self.respawn and "workers" in database.tags:
            records.allow_again(database, [job.id for job in jobs])

    def _leads(self, job: LockedJob) -> bool:
        """A recurring one spawns anew; what it spawned in the run that was cancelled stays failed."""
        return not job.recurring

    def follow(self, database: Database, begun: Following) -> Following:
        """Re-arms what failed only because of the jobs."""
        return dependencies.rearm_next(database, begun, self.now)


class Cancel(Change):
    """Failed, with an error that says by whom; what waits for these jobs fails with them.

    Args:
        now: the present.
        by: who cancels, for the error.
        reason: why.
        force: also what runs.
    """

    def __init__(self, now: datetime, *, by: str, reason: str | None = None, force: bool = False) -> None:
        super().__init__(now, force=force)
        because = f": {reason}" if reason else ""
        self.error = f"cancelled by {by} through hammerwork{because}"
        self.followers_error = f"a job that it depends on was cancelled by {by} through hammerwork{because}"

    def accepts(self, status: str) -> bool:
        """What has not begun, and what runs with ``force``."""
        return status in WAITING or (self.force and status == JobStatus.RUNNING)

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: Step) -> None:
        for part in chunks([job.id for job in jobs], database.key_chunk):
            step.changed += database.run(
                "job.changes.cancel", ids=part, statuses=_stored(jobs), now=self.now, error=self.error
            )

    def follow(self, database: Database, begun: Following) -> Following:
        """Fails what waits for the jobs, and what they spawned before their end and has not begun."""
        following = dependencies.fail_next(database, begun, self.now, self.followers_error)
        notifications.notify(database, following.released)
        return following


class Delete(Change):
    """Gone for good, with what was recorded of its spawning, unless a worker has it or another job waits for it."""

    takes_archived = True

    def accepts(self, status: str) -> bool:
        """Everything but what runs, and that too with ``force``."""
        return self.force or status != JobStatus.RUNNING

    def _later(self, database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
        if self.force:
            return {}
        going = {job.id for job in jobs}
        pairs = dependencies.dependents(database, sorted(going), "waiting", WAITING_SPELLINGS)
        while kept := {parent for parent, job in pairs if parent in going and job not in going}:
            going -= kept
        return {job.id: WAITED_FOR for job in jobs if job.id not in going}

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: Step) -> None:
        for part in chunks([job.id for job in jobs], database.key_chunk):
            step.changed += database.run("job.changes.delete", ids=part, statuses=_stored(jobs))
        records.forget(database, [job.id for job in jobs])


def _stored(jobs: Collection[LockedJob]) -> tuple[str, ...]:
    return tuple(sorted({job.stored_status for job in jobs}))


def run(
    database: Database, selection: Selection, change: Change, on_progress: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Changes jobs in batches, each a transaction of its own; stopped in between, a second run does the rest.

    Dependents come along in the same transaction as far as there is room, and in further ones where they are many.

    Args:
        database: where.
        selection: which.
        change: what.
        on_progress: is told how many jobs have been looked at.

    Returns:
        What became of them.
    """
    progress = _Progress(database, change, selection.wanted)
    looked_at = 0
    for batch in selection.batches(database):
        progress.step(batch)
        looked_at += len(batch)
        on_progress(looked_at)
    if selection.archived:
        progress.outcome.left.add(ARCHIVED, selection.archived)
    if selection.unreached:
        progress.outcome.left.add(STILL_COMING, selection.unreached)
    return progress.finish()


class _Progress:
    """A change under way."""

    def __init__(self, database: Database, change: Change, wanted: JobFilter) -> None:
        self.database = database
        self.change = change
        self.wanted = wanted
        self.outcome = Outcome()
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
        """Changes the dependents along, in as many further transactions as it takes."""
        self.followed.update(following.changed)
        while following.goes_on:
            following = self.database.transaction(partial(self.change.follow, self.database, following))
            self.followed.update(following.changed)

    def finish(self) -> Outcome:
        """Tries the postponed jobs until that changes nothing more, and sums up."""
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
