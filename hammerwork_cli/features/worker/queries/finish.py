"""Finishes jobs.

The claim guards every change, and every change may run again after a lost connection: see
:mod:`hammerwork_cli.features.worker.queries.claim`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.core.values import JobStatus, cancellation, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.job import AttemptOutcome, PastAttempt
from hammerwork_cli.features.job.queries import attempts, dependencies, groups, joins, limits, notifications
from hammerwork_cli.features.tree.queries import release
from hammerwork_cli.features.worker.queries.claim import Claim, Claimed

RESULTS_BATCH = 500
TAKEN = "The job was taken from its worker while it ran."
"""The error of an attempt that its worker lost."""
CLOSE_SECONDS = 0.001
"""Runs that take at most this much longer than the shortest share its start: one of each costs 5 % of short jobs."""
MOST_STARTS = 200
"""Most runs with a start of their own in one statement, which searches their list for each job."""


class AttemptEnd(StrEnum):
    COMPLETED = "completed"
    RETRY = "retry"
    SNOOZED = "snoozed"
    STOPPED = "stopped"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


OUTCOMES = {
    AttemptEnd.RETRY: AttemptOutcome.FAILED,
    AttemptEnd.STOPPED: AttemptOutcome.STOPPED,
    AttemptEnd.FAILED: AttemptOutcome.FAILED,
    AttemptEnd.TIMED_OUT: AttemptOutcome.TIMED_OUT,
}
"""What the history of attempts calls the ends that it records."""
FINAL = frozenset({AttemptEnd.FAILED, AttemptEnd.TIMED_OUT, AttemptEnd.CANCELLED})
"""Ends after which a job has failed, unless it recurs."""
_STATUSES = {AttemptEnd.TIMED_OUT: JobStatus.TIMED_OUT, AttemptEnd.CANCELLED: JobStatus.FAILED}
DEPENDS_ON_CANCELLED = f"a job that it depends on was {cancellation('its handler')}"


@dataclass(slots=True)
class EndedAttempt:
    job: Claimed
    end: AttemptEnd
    result: str | None = None  # the handler's result as JSON text
    error: str | None = None
    # Due time of the next attempt, also of a snoozed job, or of the next occurrence of a recurring job; for a job that
    # is given back, its old due time.
    at: datetime | None = None
    pause: timedelta | None = None  # before the next attempt: of its strategy, or as a handler wants it
    timed_out: bool = False  # the attempt took too long, and another one follows
    cause: BaseException | None = None  # what the handler raised, for the log
    took: float | None = None  # seconds for which the handler ran, if it has started
    size: int = field(init=False)  # bytes that a worker keeps until it is written

    def __post_init__(self) -> None:
        self.size = len(self.job.payload or "")
        if self.result or self.error:
            self.size += len(self.result or "") + len(self.error or "")

    @property
    def is_final(self) -> bool:
        """Whether the job has failed with it."""
        return self.end in FINAL and self.at is None


@dataclass(slots=True)
class FinishReport:
    """The effects of finishing attempts."""

    # Ids of jobs whose claims this worker had lost: nothing was written for them.
    lost: set[str] = field(default_factory=set)
    released: Counter[str] = field(default_factory=Counter)  # queue -> number of jobs that may run because of it
    failed: int = 0  # number of dependents that failed because these jobs did
    callbacks: int = 0  # number of callbacks at which a worker is to look now
    # Children that were not written -> the jobs that hold their unique keys.
    held: dict[str, str] = field(default_factory=dict)


def finish(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> FinishReport:
    """Writes the outcomes of attempts in one transaction. Jobs whose claims were lost are left out.

    Raises:
        RefusedValueError: the database refuses a value, such as a result; nothing is written.
    """
    completions: list[EndedAttempt] = []
    others: list[EndedAttempt] = []
    for one in ended:
        (completions if one.end == AttemptEnd.COMPLETED and one.at is None else others).append(one)

    def work() -> FinishReport:
        report = FinishReport()
        marks = joins.Marks()
        completed = _complete(database, completions, now, report, marks)
        dead, cancelled = _write_others(database, others, now, report, marks)
        grouped = {one.job.workflow_id or one.job.batch_id for one in ended} != {None}
        update_dependents(database, completed, dead, now, report, cancelled=cancelled, grouped=grouped, marks=marks)
        if report.lost:
            record_taken(database, [one.job for one in ended if one.job.id in report.lost], now)
        return report

    return database.transaction(work)


def update_dependents(
    database: Database,
    completed: Sequence[str],
    failed: Sequence[str],
    now: datetime,
    report: FinishReport,
    *,
    cancelled: Sequence[str] = (),
    grouped: bool = True,
    marks: joins.Marks | None = None,
) -> None:
    """Releases jobs that waited for completed ones, and spreads final failures to the dependents of failed ones.

    Args:
        database: an open transaction, which has ended the jobs.
        failed: ids of jobs that failed for good.
        now: when they ended.
        report: gets the effects.
        cancelled: ids of jobs that their handlers cancelled.
        grouped: whether one of the completed jobs may be part of a workflow or a batch.
        marks: the joins that wait for the jobs that this transaction has ended; by default, those of failed ones are
            read.
    """
    # All workflows are locked at once, in order: otherwise two such transactions could wait for each other.
    changed = [*completed, *failed, *cancelled]
    ends = groups.Groups.locked(database, changed) if completed and grouped else groups.Groups()
    awaiting: list[str] = []
    released = Counter(release.release(database, completed, awaiting))
    if marks is None:
        marks = joins.of_failed(database, [*failed, *cancelled])
    broken: Sequence[str] = ()
    if awaiting or marks.open:
        settled = joins.settle(database, marks, now, awaiting)
        released += settled.released
        report.callbacks += settled.callbacks
        broken = settled.failed
    for parents, said in ((failed, None), (cancelled, DEPENDS_ON_CANCELLED), (broken, joins.FAILED)):
        following = dependencies.Following(parents=parents)
        while following.unfinished:
            following = dependencies.fail_next(database, following, now, said)
            report.failed += len(following.changed)
            released.update(following.released)
    ends.settle(database, now)
    report.released += released
    notifications.notify(database, report.released)


def _complete(
    database: Database, ended: Sequence[EndedAttempt], now: datetime, report: FinishReport, marks: joins.Marks
) -> list[str]:
    by_claim: dict[Claim, list[EndedAttempt]] = defaultdict(list)
    for attempt in ended:
        by_claim[attempt.job.claim].append(attempt)
    completed: list[str] = []
    for token, together in by_claim.items():
        mine = _completed(database, token, together, now, report, marks)
        store_results(
            database,
            token,
            [attempt for attempt in together if attempt.result is not None and attempt.job.id in mine],
            now,
        )
        completed += mine
    return completed


def _completed(
    database: Database,
    token: Claim,
    ended: Sequence[EndedAttempt],
    now: datetime,
    report: FinishReport,
    marks: joins.Marks,
) -> Sequence[str]:
    """Completes jobs of one claim; returns those that are completed, also by an earlier try of this change."""
    ids = [attempt.job.id for attempt in ended]
    done, mine = set_completed(database, token, ended, now), set(ids)
    if done < len(ids):
        mine = _done_before(database, ended, now)
        report.lost.update(job for job in ids if job not in mine)
    if done:  # an earlier try has ended all of them or none, and has counted them
        for attempt in ended:
            if attempt.job.ancestry is not None and attempt.job.id in mine:
                marks.add(attempt.job.ancestry, JobStatus.RUNNING, JobStatus.COMPLETED, recurring=attempt.job.recurring)
        events.jobs(database, EventType.JOB_COMPLETED, [job for job in ids if job in mine], now)
    return ids if done == len(ids) else [job for job in ids if job in mine]


def set_completed(database: Database, claim: Claim, ended: Sequence[EndedAttempt], now: datetime) -> int:
    """Completes jobs of one claim; returns for how many it was still valid."""
    guard = _guard(claim)
    close = min([attempt.took or 0.0 for attempt in ended]) + CLOSE_SECONDS
    alike: list[EndedAttempt] = []
    others: list[EndedAttempt] = []
    for attempt in ended:
        (alike if (attempt.took or 0.0) <= close else others).append(attempt)
    ids = database.ids([attempt.job.id for attempt in alike])
    done = database.run("worker.finish.complete", ids=ids, start=_run_start(alike[0], now), **guard, now=now)
    for part in chunks(others, MOST_STARTS):
        starts = {attempt.job.id: _run_start(attempt, now) for attempt in part}
        ids = database.ids(list(starts))
        done += database.run("worker.finish.complete_each", ids=ids, starts=database.times(starts), **guard, now=now)
    return done


def _run_start(attempt: EndedAttempt, now: datetime) -> datetime:
    """When the handler would have begun if it had ended ``now``: the time between is then that for which it ran."""
    if attempt.took is None:
        return attempt.job.claim.started_at
    return max(now - timedelta(seconds=attempt.took), attempt.job.claim.started_at)


def _guard(claim: Claim) -> dict[str, Any]:
    return {"token": claim.token, "started": claim.started_at}


def store_results(database: Database, token: Claim, ended: Sequence[EndedAttempt], now: datetime) -> None:
    """Writes the results of jobs that this transaction completed."""
    results = [
        database.json({"id": attempt.job.id, "result": attempt.result, "expires": _expiry(database, attempt.job, now)})
        for attempt in ended
    ]
    # Where a statement has a limit, the texts are ASCII, and at most every second character is escaped.
    for part in database.parts(results, RESULTS_BATCH, lambda text: 2 * len(text) + 1):
        database.run("worker.finish.store_results", results=f"[{','.join(part)}]", token=token.token, now=now)


def _expiry(database: Database, job: Claimed, now: datetime) -> str | None:
    """Expiry of a result; ``None``, so that it never expires, if the database cannot store the time."""
    if job.result_ttl_seconds is None:
        return None
    try:
        end = now + timedelta(seconds=job.result_ttl_seconds)
        return database.json_timestamp(end) if limits.can_store(database, end) else None
    except (TypeError, OverflowError):
        return None


def _write_others(
    database: Database, ended: Sequence[EndedAttempt], now: datetime, report: FinishReport, marks: joins.Marks
) -> tuple[list[str], list[str]]:
    """Writes what did not simply complete; returns the jobs that failed for good, and those that are cancelled."""
    dead: list[str] = []
    cancelled: list[str] = []
    incomplete: list[PastAttempt] = []
    for attempt in ended:
        if write(database, attempt, now):
            # Otherwise an earlier try, which was committed, has recorded and counted it.
            if attempt.end in OUTCOMES:
                incomplete.append(_past(attempt, now))
            if attempt.is_final:
                marks.add(attempt.job.ancestry, JobStatus.RUNNING, JobStatus.DEAD, recurring=attempt.job.recurring)
            _write_event(database, attempt, now)
        elif not was_written(database, attempt, now):
            report.lost.add(attempt.job.id)
            continue
        if attempt.end == AttemptEnd.STOPPED:
            report.released[attempt.job.queue_name] += 1
        elif attempt.is_final:
            (cancelled if attempt.end == AttemptEnd.CANCELLED else dead).append(attempt.job.id)
    attempts.record(database, incomplete)
    return dead, cancelled


def _write_event(database: Database, attempt: EndedAttempt, now: datetime) -> None:
    """Writes the event of an attempt that did not simply complete."""
    job = attempt.job.id
    if attempt.end == AttemptEnd.RETRY:
        events.jobs(database, EventType.JOB_RETRIED, [job], now)
    elif attempt.end == AttemptEnd.COMPLETED:
        events.jobs(database, EventType.JOB_COMPLETED, [job], now)
    elif attempt.is_final:
        events.ended(database, [job], now)
    elif attempt.end in FINAL:
        due, queue = attempt.job.next_run_at, attempt.job.queue_name
        events.run_failed(database, job, now, due_at=due, reason=attempt.error, queue=queue)


def _past(attempt: EndedAttempt, now: datetime) -> PastAttempt:
    job = attempt.job
    outcome = AttemptOutcome.TIMED_OUT if attempt.timed_out else OUTCOMES[attempt.end]
    worker = job.claim.worker
    return PastAttempt(job.id, job.claim.started_at, now, job.attempts, outcome, worker, attempt.error)


def write(database: Database, attempt: EndedAttempt, now: datetime) -> bool:
    """Writes the outcome of one attempt that did not simply complete; returns whether the claim was still valid."""
    guard = _guard(attempt.job.claim)
    status, at = _outcome(attempt, now)
    if attempt.end == AttemptEnd.RETRY:
        done = database.run(
            "worker.finish.retry",
            id=attempt.job.id,
            at=at,
            timed_out_at=now if attempt.timed_out else None,
            error=database.message(attempt.error),
            **guard,
        )
    elif attempt.end == AttemptEnd.SNOOZED:
        done = database.run("worker.finish.snooze", id=attempt.job.id, at=at, **guard)
    elif attempt.end == AttemptEnd.STOPPED:
        done = database.run("worker.finish.give_back_running", id=attempt.job.id, **guard)
    elif attempt.at is not None:
        done = database.run(
            "worker.finish.schedule_next_run", id=attempt.job.id, at=at, error=database.message(attempt.error), **guard
        )
        if done and attempt.result is not None:
            store_results(database, attempt.job.claim, [attempt], now)
    else:
        timed_out = status == JobStatus.TIMED_OUT
        done = database.run(
            "worker.finish.discard",
            id=attempt.job.id,
            status=status.value,
            failed_at=None if timed_out else now,
            timed_out_at=now if timed_out else None,
            error=database.message(attempt.error),
            run_start=_run_start(attempt, now),
            **guard,
        )
    return done == 1


def _outcome(attempt: EndedAttempt, now: datetime) -> tuple[JobStatus, datetime]:
    """Returns the status that an attempt leads to, and the time to write with it: the next due time, or the end."""
    if attempt.pause is not None:
        # The pause counts from the end. Somebody may have set the clock since the attempt was judged.
        return JobStatus.PENDING, now + attempt.pause
    if attempt.at is not None:
        return JobStatus.PENDING, attempt.at
    if attempt.end == AttemptEnd.COMPLETED:
        return JobStatus.COMPLETED, now
    return _STATUSES.get(attempt.end, JobStatus.DEAD), now


def _done_before(database: Database, ended: Sequence[EndedAttempt], now: datetime) -> set[str]:
    """Returns the jobs that an earlier try of the same change, with the same ``now``, has written.

    Such a job carries the token, the status and the time of the change. The token alone proves nothing: it stays on the
    row when another program cancels, retries or completes the job. A reaper of hammerwork 3 (Rust) may even make a
    recurring job due at the same time, but leaves it with its worker.
    """
    by_id = {attempt.job.id: attempt for attempt in ended}
    mine = set()
    for job, status, token, owner, scheduled_at, ended_at in database.rows(
        "worker.finish.outcomes", ids=database.ids(sorted(by_id))
    ):
        attempt = by_id[str(job)]
        leads_to, at = _outcome(attempt, now)
        is_back = leads_to == JobStatus.PENDING
        written = timestamp(scheduled_at if is_back else ended_at)
        ours = token == attempt.job.claim.token and status == leads_to and not (is_back and owner)
        if ours and written == at:
            mine.add(str(job))
    return mine


def was_written(database: Database, attempt: EndedAttempt, now: datetime) -> bool:
    """Whether an earlier try of the same change, with the same ``now``, has written the outcome."""
    return bool(_done_before(database, [attempt], now))


def give_back(database: Database, jobs: Iterable[Claimed]) -> int:
    """Gives back claimed jobs that were not started, with their attempts; returns how many claims were still valid.

    Jobs whose rows another transaction has locked stay claimed: :func:`compare` gives them back later.
    """
    by_claim: dict[Claim, list[Claimed]] = defaultdict(list)
    for job in jobs:
        by_claim[job.claim].append(job)
    queues = {job.queue_name for jobs in by_claim.values() for job in jobs}

    def work() -> int:
        back = sum(
            database.run("worker.finish.give_back", ids=database.ids(part), **_guard(claim))
            for claim, jobs in by_claim.items()
            for part in unlocked(database, [job.id for job in jobs])
        )
        notifications.notify(database, queues)
        return back

    return database.transaction(work)


def unlocked(database: Database, ids: Sequence[str]) -> Iterator[list[str]]:
    """Locks the jobs that no other transaction has locked, and yields their ids in lists of one statement each."""
    for part in chunks(ids, database.key_chunk):
        if free := [str(one) for (one,) in database.rows("worker.finish.lock_free", ids=database.ids(part))]:
            yield free


class Owned(NamedTuple):
    """A job that a worker has, by the token of its claim: the worker may have lost it and claimed it again."""

    job: str
    token: str


class Compared(NamedTuple):
    """Differences between the jobs that a worker knows and those that it has according to the database."""

    returned: int  # number of jobs that it did not know and gave back
    left: int  # number of jobs that it does not know and whose rows another transaction has locked
    lost: frozenset[Owned]  # jobs that it knows, with the tokens of claims that it has lost


def compare(database: Database, worker: str, known: Collection[Owned]) -> Compared:
    """Compares a worker's jobs with its claims in the database, and gives back the jobs that it does not know.

    A worker does not know a job if the claim was committed and the answer got lost, or if the server forgot in a
    fail-over that the job had ended. While this function runs, no other thread may claim or finish jobs for the worker.

    Args:
        known: the worker's jobs that wait, run, or have an outcome to write.
    """

    def work() -> Compared:
        claimed = {
            Owned(str(job), str(token)) for job, token in database.rows("worker.finish.claimed_by", worker=worker)
        }
        unknown = sorted({owned.job for owned in claimed}.difference(owned.job for owned in known))
        free = list(unlocked(database, unknown))
        returned = sum(
            database.run("worker.finish.give_back_unknown", ids=database.ids(part), worker=worker) for part in free
        )
        return Compared(returned, len(unknown) - sum(map(len, free)), frozenset(known).difference(claimed))

    return database.transaction(work)


def fates(database: Database, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Returns job -> status and error, of jobs that a worker has lost. Deleted jobs are left out."""
    rows = database.rows("worker.finish.taken", ids=database.ids(ids))
    return {str(job): (status_of(status), error or "") for job, status, error in rows}


def record_taken(database: Database, jobs: Sequence[Claimed], now: datetime) -> dict[str, tuple[str, str]]:
    """Records attempts at jobs that were taken from this worker while it ran them, and returns their :func:`fates`.

    Whoever rescued a job of a lost worker has recorded the same; hammerwork (Rust) records nothing. An operator has
    ended a cancelled job, and its error names them.
    """
    found = fates(database, [job.id for job in jobs])
    lost = [
        PastAttempt(job.id, job.claim.started_at, now, job.attempts, AttemptOutcome.LOST, job.claim.worker, TAKEN)
        for job in jobs
        if job.id in found and found[job.id][0] != JobStatus.CANCELLED
    ]
    attempts.record(database, lost)
    return found
