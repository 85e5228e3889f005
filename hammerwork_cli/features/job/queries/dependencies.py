"""Dependencies of jobs during a change, which reads everything under locks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import (
    FAILED_SPELLINGS,
    FAILURES,
    WAITING,
    WAITING_SPELLINGS,
    JobStatus,
    Timestamp,
    id_list,
    status_of,
)
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import GIN_CHUNK, chunks
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import ends, groups, joins, notifications
from hammerwork_cli.features.job.queries.cron import occurrence_of
from hammerwork_cli.features.job.queries.listing import chosen
from hammerwork_cli.features.tree.queries.joins import JoinCounts, Recount, correct, is_join, note_parents, recount
from hammerwork_cli.features.tree.queries.joins import counts as join_counts
from hammerwork_cli.features.tree.queries.release import DONE, RECURRING, awaited, is_shared, release, spawner_of

EVERY_JOB = JobFilter()
MOST_FOLLOWERS = 1000
"""Most dependents that a transaction changes."""


class LockedJob(NamedTuple):
    """A job whose row is locked until the transaction ends."""

    id: str
    queue: str
    stored_status: str
    stored_parents: object  # `depends_on` as the database spells it; use `depends_on`
    dependency_status: str | None
    archived_at: Timestamp
    recurring: bool
    ancestry: str | None
    shown_status: str  # the status with those that are derived; `status` is the one that the row holds
    workflow: str | None

    @property
    def status(self) -> str:
        return status_of(self.stored_status)

    @property
    def depends_on(self) -> tuple[str, ...]:
        return id_list(self.stored_parents)

    @property
    def again(self) -> joins.Again:
        """The job, which had ended, as it runs again."""
        return joins.Again(self.id, self.ancestry, self.shown_status, self.recurring, self.workflow)

    @property
    def awaited_status(self) -> str:
        """The status that counts for jobs that depend on this one."""
        return RECURRING if self.recurring and self.status != JobStatus.COMPLETED else self.status


def lock_jobs(database: Database, ids: Iterable[str], wanted: JobFilter = EVERY_JOB) -> list[LockedJob]:
    """Locks those of some jobs that exist and fit a filter; returns them as they are now. Needs a transaction."""
    return _jobs(database, ids, wanted, locks=True)


def read_jobs(database: Database, ids: Iterable[str], wanted: JobFilter = EVERY_JOB) -> list[LockedJob]:
    """Reads jobs as :func:`lock_jobs` does, for a plan, which locks nothing."""
    return _jobs(database, ids, wanted, locks=None)


def _jobs(database: Database, ids: Iterable[str], wanted: JobFilter, *, locks: bool | None) -> list[LockedJob]:
    known = sorted(set(ids))
    values = chosen(wanted)
    return [LockedJob._make(row) for row in database.rows_in("job.changes.lock", known, locks=locks, **values)]


def parent_statuses(database: Database, parents: Iterable[str]) -> dict[str, str]:
    """Locks jobs that others depend on, so that none ends before the transaction does; returns their statuses by id.

    The status of a recurring job is :data:`RECURRING`, that of an archived job is the one in which it ended. Missing
    jobs are left out.
    """
    wanted = set(parents)
    found = {job.id: job.awaited_status for job in lock_jobs(database, wanted)}
    rows = database.rows_in("tree.release.archived_statuses", sorted(wanted - found.keys()))
    return found | {job: status_of(status) for job, status in rows}


def state_of(parents: Iterable[str], statuses: Mapping[str, str], ancestry: str | None = None) -> str:
    """Returns the ``dependency_status`` that a job with these parents should have.

    ``failed`` if a parent failed or is missing, ``satisfied`` if all have completed, else ``waiting``. The parent of an
    early child, which its ``ancestry`` names, need not complete.
    """
    found = awaited(parents, statuses, ancestry)
    if found & FAILURES or None in found:
        return "failed"
    return "satisfied" if found <= DONE else "waiting"


def dependents(
    database: Database,
    parents: Sequence[str],
    states: Sequence[str],
    statuses: tuple[str, ...],
    *,
    failing: bool = False,
) -> list[tuple[str, str]]:
    """Returns (parent, dependent) for dependents of ``parents`` whose ``dependency_status`` is one of ``states``.

    Args:
        states: such as ``waiting`` and ``failed``.
        failing: leave out jobs of workflows whose policy is ``manual`` or ``ignore_failures``.
    """
    size = GIN_CHUNK if database.dialect == "postgresql" else database.key_chunk
    values = {"states": states, "statuses": statuses, "failing": failing}
    rows = database.rows_of("job.dependencies.dependents", parents, size, **values)
    return [(str(parent), str(job)) for parent, job in rows]


class Following(NamedTuple):
    """The progress of a change along the dependents of jobs."""

    changed: Sequence[str] = ()  # ids of the dependents that changed
    parents: Sequence[str] = ()  # jobs whose dependents it has yet to find
    jobs: Sequence[str] = ()  # dependents that it has yet to check
    released: Mapping[str, int] = {}  # queue -> jobs that may run now

    @property
    def unfinished(self) -> bool:
        """Whether another transaction must continue."""
        return bool(self.parents or self.jobs)


def _follow(
    following: Following, find: Callable[[Sequence[str]], Iterable[str]], change: Callable[[Sequence[str]], list[str]]
) -> Following:
    """Checks further dependents, level by level, at most as many as one transaction should."""
    changed: list[str] = []
    parents, jobs, room = list(following.parents), list(following.jobs), MOST_FOLLOWERS
    while room > 0 and (parents or jobs):
        if not jobs:
            jobs, parents = sorted(set(find(parents))), []
        part, jobs = jobs[:room], jobs[room:]
        room -= len(part)
        done = change(part)
        changed += done
        parents += done
    return Following(changed, parents, jobs)


def rearm_next(database: Database, following: Following, now: datetime, *, at_once: bool = False) -> Following:
    """Resets jobs that failed only because of ``following.parents``, and so on downward."""

    def find(parents: Sequence[str]) -> Iterable[str]:
        return (job for _, job in dependents(database, parents, ("failed",), FAILED_SPELLINGS))

    def change(jobs: Sequence[str]) -> list[str]:
        locked = [job for job in lock_jobs(database, jobs) if _failed_by_others(job)]
        states = states_of(database, locked)
        for state in ("waiting", "satisfied"):
            renew(
                database, [job for job in states if states[job] == state], FAILED_SPELLINGS, now, state, at_once=at_once
            )
        again = [job.again for job in locked if states[job.id] != "failed"]
        again += joins.reopened(database, again, now)
        rerun(database, (job.workflow for job in again))
        return [job.id for job in again]

    return _follow(following, find, change)


def fail_next(
    database: Database, following: Following, now: datetime, error: str | None, *, but: str | None = None
) -> Following:
    """Handles the dependents of ``following.parents``, which failed for good, and of all that fail with them.

    Jobs that wait for them fail, and so do their early children that have not started. Jobs of workflows with
    the policy ``manual`` stay waiting, and with ``ignore_failures`` they may run now. Where version 3 of hammerwork
    (Rust) uses the database, the rest of their workflows and batches fails too, as policies say.

    Args:
        database: an open transaction.
        error: the error of all of them; by default, that of each names the job that it depends on.
        but: a workflow that is being cancelled as a whole, whatever its policy is.
    """
    ends = groups.Groups.locked(database, following.parents)
    rest = ends.fail_rest(database, now, but=but)
    bound_states = ("waiting", "satisfied") if "rust_3" in database.tags else ("waiting",)
    early: set[tuple[str, str]] = set()
    above: dict[str, str] = {}
    released: Counter[str] = Counter()

    def find(parents: Sequence[str]) -> Iterable[str]:
        released.update(release(database, parents))
        spawned = spawned_early(database, parents)
        early.update(spawned)
        waiting = dependents(database, parents, bound_states, WAITING_SPELLINGS, failing=True)
        for parent, job in (*spawned, *waiting):
            above[job] = min(parent, above.get(job, parent))
        return list(above)

    def change(jobs: Sequence[str]) -> list[str]:
        locked = [job for job in lock_jobs(database, jobs) if job.status in WAITING]
        abandoned = {
            job.id
            for job in locked
            if any((parent, job.id) in early for parent in job.depends_on) and not is_shared(job.ancestry)
        }
        bound = [job for job in locked if job.dependency_status in bound_states or spawner_of(job.ancestry)]
        states = states_of(database, bound)
        failing = [job for job in locked if job.id in abandoned or states.get(job.id) == "failed"]
        failed = [job.id for job in failing]
        for said, ids in _by_error(database, failing, above, error).items():
            groups.fail(database, ids, now, said)
        counted = joins.Marks()
        for job in failing:
            counted.add(job.ancestry, job.status, JobStatus.FAILED, recurring=job.recurring)
        settled = joins.settle(database, counted, now)
        released.update(settled.released)
        return [*failed, *settled.failed]

    after = _follow(following._replace(parents=[*following.parents, *rest]), find, change)
    of_batches = ends.fail_batches(database, now)
    settled = joins.settle(database, joins.of_failed(database, [*rest, *of_batches]), now)
    released.update(settled.released)
    changed = [*rest, *after.changed, *of_batches]
    groups.Groups.locked(database, [*following.parents, *changed]).settle(database, now)
    return after._replace(changed=changed, parents=[*after.parents, *of_batches, *settled.failed], released=released)


def _by_error(
    database: Database, jobs: Sequence[LockedJob], above: Mapping[str, str], error: str | None
) -> dict[str, list[str]]:
    """Error -> the jobs that fail with it.

    Args:
        above: job -> the failed one that it depends on; an earlier transaction has found that of the others.
    """
    if error is not None:
        return {error: [job.id for job in jobs]}
    missing = {parent for job in jobs if job.id not in above for parent in job.depends_on}
    statuses = parent_statuses(database, missing) if missing else {}
    found: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        failed = (parent for parent in job.depends_on if statuses.get(parent) in FAILURES)
        parent = above.get(job.id) or min(failed, default=job.depends_on[0])
        found[f"It depends on job {parent}, which failed."].append(job.id)
    return found


class ComparedJoin(NamedTuple):
    """What the comparison of a join or a counter with its jobs has shown."""

    found: Recount
    state: str  # of the dependencies of a join afterwards


def compare_join(
    database: Database, known: JoinCounts, clock: Callable[[], datetime], rest: Callable[[], timedelta] = timedelta
) -> ComparedJoin | None:
    """Counts the jobs of a join anew, corrects its row, and releases or fails it if it waits for nothing.

    Returns ``None`` if somebody else has compared it meanwhile, or it is gone.

    Args:
        rest: how long nobody compares it again, asked when it has been counted.
    """
    found = recount(database, known)

    def work() -> ComparedJoin | None:
        now = clock()
        if found is None or not correct(database, found, now + rest()):
            return None
        settled = joins.settle(database, joins.Marks(Counter({known.join: 0})), now)
        failed, released = set(settled.failed), settled.released
        above = [known.parent] if found.parent in FAILURES else []
        for parents, error in ((above, None), (settled.failed, joins.FAILED)):
            following = Following(parents=parents)
            while following.unfinished:
                following = fail_next(database, following, now, error)
                failed.update(following.changed)
                released.update(following.released)
        notifications.notify(database, released)
        return ComparedJoin(found, "failed" if known.join in failed else "satisfied" if settled.released else "waiting")

    return database.transaction(work)


def spawned_early(database: Database, parents: Sequence[str], request: str | None = None) -> list[tuple[str, str]]:
    """Returns (parent, early child) for children that have not started and whose parents failed.

    Args:
        request: return the children of this spawn request instead, whether the parents failed or not.
    """
    found = []
    statement = "job.dependencies.spawned_early"
    rows = database.rows_of(statement, parents, database.key_chunk, statuses=WAITING_SPELLINGS)
    for parent, child, occurrence, status, recurring, next_run_at in rows:
        last = occurrence_of(recurring=recurring, next_run_at=next_run_at)
        if occurrence == request or (request is None and occurrence == last and status_of(status) in FAILURES):
            found.append((str(parent), str(child)))
    return found


def states_of(database: Database, jobs: Sequence[LockedJob]) -> dict[str, str]:
    """Returns the ``dependency_status`` that each job should have, by id."""
    statuses = parent_statuses(database, {parent for job in jobs for parent in job.depends_on})
    states = {job.id: state_of(job.depends_on, statuses, job.ancestry) for job in jobs}
    awaiting = [job.id for job in jobs if states[job.id] != "failed" and is_join(job.ancestry)]
    if awaiting:
        note_parents(database, awaiting)
        states |= {job: found.state for job, found in join_counts(database, awaiting).items()}
    return states


def _failed_by_others(job: LockedJob) -> bool:
    return job.dependency_status == "failed" and job.status in FAILURES and job.archived_at is None


def reopen(database: Database, workflows: Iterable[str | None]) -> None:
    """Lets ended workflows run again, since jobs join them. Needs a transaction.

    A worker that is about to write that one has ended waits for the transaction, and counts its jobs then.

    Args:
        workflows: ids; ``None`` for a job without a workflow.
    """
    for part in _parts(database, workflows):
        rows = database.rows("job.dependencies.join_workflows", ids=part)
        ended = [str(one) for one, status in rows if status in {"completed", "failed"}]
        if ended:
            database.run("job.dependencies.reopen_workflows", ids=ended)
            ends.of_workflows_to_come_again(database, ended)
        # The event of an end may be written while the row still says that the workflow runs.
        ends.of_workflows_to_come_again(database, [str(one) for one, _ in rows], done=True)


def rerun(database: Database, workflows: Iterable[str | None]) -> None:
    """Lets workflows run again, cancelled ones too, since jobs of them run again. Needs a transaction.

    Args:
        workflows: ids; ``None`` for a job without a workflow.
    """
    for part in _parts(database, workflows):
        database.run("job.dependencies.rerun_workflows", workflows=part, failed=FAILED_SPELLINGS)


def _parts(database: Database, workflows: Iterable[str | None]) -> Iterator[Sequence[str]]:
    return chunks(sorted({str(one) for one in workflows if one}), database.key_chunk)


def renew(
    database: Database,
    ids: Sequence[str],
    statuses: tuple[str, ...],
    now: datetime,
    state: str | None,
    *,
    at_once: bool,
) -> int:
    """Resets those jobs whose status is still one of ``statuses``; returns their number.

    A due time that is still to come stays, unless they are to run ``at_once``.
    """
    values = {"statuses": statuses, "now": now, "dependency_status": state, "at_once": int(at_once)}
    renewed = 0
    for part in chunks(ids, database.key_chunk):
        renewed += database.run("job.changes.retry", ids=part, **values)
        events.jobs(database, EventType.JOB_RETRIED, part, now)
    return renewed
