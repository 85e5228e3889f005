"""Finishing jobs: every change is guarded by the claim, and may run again after a lost connection."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import JobStatus, timestamp
from hammerwork_cli.queries.graph import release
from hammerwork_cli.queries.job import dependencies, limits, notifications
from hammerwork_cli.queries.worker.claim import Claim, Claimed

RESULTS_BATCH = 500


class End(StrEnum):
    """What a run of a job came to."""

    COMPLETED = "completed"
    RETRY = "retry"
    STOPPED = "stopped"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(slots=True)
class Ended:
    """A run that has ended.

    Attributes:
        result: JSON text of what the handler returned.
        error: why it failed.
        at: when the next attempt, or the next run of a recurring job, is due; of a job that goes back, when it was.
    """

    job: Claimed
    end: End
    result: str | None = None
    error: str | None = None
    at: datetime | None = None


@dataclass(slots=True)
class Settled:
    """What became of runs that had ended.

    Attributes:
        lost: ids of jobs that were not ours any more: nothing was written for them.
        released: queue -> jobs that may run now because of it.
        failed: how many dependents failed along with jobs that failed for good.
    """

    lost: set[str] = field(default_factory=set)
    released: dict[str, int] = field(default_factory=dict)
    failed: int = 0


def settle(database: Database, ended: Sequence[Ended], now: datetime) -> Settled:
    """Writes what became of runs, in one transaction: all of it, and for none whose claim was lost.

    Raises:
        RefusedValueError: the database refuses a value, such as a result; nothing is written.
    """

    def work() -> Settled:
        settled = Settled()
        completed = _complete(database, ended, now, settled)
        buried = _write_others(database, ended, now, settled)
        finish(database, completed, buried, now, settled)
        return settled

    return database.transaction(work)


def finish(
    database: Database, completed: Sequence[str], failed: Sequence[str], now: datetime, settled: Settled
) -> None:
    """Releases what waited for jobs that completed, and deals with what depends on jobs that failed for good."""
    released = Counter(release.release(database, completed))
    error = f"It depends on job {failed[0]}, which failed." if len(failed) == 1 else "A job it depends on failed."
    following = dependencies.Following(parents=failed)
    while following.goes_on:
        following = dependencies.fail_next(database, following, now, error)
        settled.failed += len(following.changed)
        released.update(following.released)
    for queue, jobs in released.items():
        settled.released[queue] = settled.released.get(queue, 0) + jobs
    notifications.notify(database, settled.released)


def _complete(database: Database, ended: Sequence[Ended], now: datetime, settled: Settled) -> list[str]:
    by_claim: dict[Claim, list[Ended]] = defaultdict(list)
    for run in ended:
        if run.end == End.COMPLETED and run.at is None:
            by_claim[run.job.claim].append(run)
    completed: list[str] = []
    for token, runs in by_claim.items():
        mine = _completed(database, token, runs, now, settled)
        store_results(database, token, [run for run in runs if run.result is not None and run.job.id in mine], now)
        completed += mine
    return completed


def _completed(
    database: Database, token: Claim, runs: Sequence[Ended], now: datetime, settled: Settled
) -> Sequence[str]:
    """The jobs of one claim that are completed now; an earlier try of the same change may have completed them."""
    ids = [run.job.id for run in runs]
    if database.run("worker.finish.complete", ids=database.ids(ids), **_held(token), now=now) == len(ids):
        return ids
    mine = _done_before(database, runs, now)
    settled.lost.update(job for job in ids if job not in mine)
    return [job for job in ids if job in mine]


def _held(claim: Claim) -> dict[str, Any]:
    return {"token": claim.token, "started": claim.started_at}


def store_results(database: Database, token: Claim, runs: Sequence[Ended], now: datetime) -> None:
    """Writes what handlers returned, for jobs that this transaction completed."""
    results = [
        json.dumps({"id": run.job.id, "result": run.result, "expires": _expiry(database, run.job, now)}) for run in runs
    ]
    # These are ASCII; a statement escapes every second sign of them at worst.
    for part in database.parts(results, RESULTS_BATCH, lambda text: 2 * len(text) + 1):
        database.run("worker.finish.store_results", results=f"[{','.join(part)}]", token=token.token, now=now)


def _expiry(database: Database, job: Claimed, now: datetime) -> str | None:
    """Until when a result counts; one that would count beyond what the database can say counts for ever."""
    if job.result_ttl_seconds is None:
        return None
    try:
        end = now + timedelta(seconds=job.result_ttl_seconds)
        return database.written_moment(end) if limits.can_store(database, end) else None
    except (TypeError, OverflowError):
        return None


def _write_others(database: Database, ended: Sequence[Ended], now: datetime, settled: Settled) -> list[str]:
    buried: list[str] = []
    for run in ended:
        if run.end == End.COMPLETED and run.at is None:
            continue
        if not write(database, run, now) and not was_ours(database, run, now):
            settled.lost.add(run.job.id)
        elif run.end == End.STOPPED:
            settled.released[run.job.queue_name] = settled.released.get(run.job.queue_name, 0) + 1
        elif run.end in (End.FAILED, End.TIMED_OUT) and run.at is None:
            buried.append(run.job.id)
    return buried


def write(database: Database, run: Ended, now: datetime) -> bool:
    """Writes one run that has ended otherwise than by completing once; whether the claim held."""
    held = _held(run.job.claim)
    status, at = _outcome(run, now)
    if run.end == End.RETRY:
        done = database.run("worker.finish.retry", id=run.job.id, at=at, error=database.message(run.error), **held)
    elif run.end == End.STOPPED:
        done = database.run("worker.finish.give_back_running", id=run.job.id, **held)
    elif run.at is not None:
        done = database.run(
            "worker.finish.schedule_next_run", id=run.job.id, at=at, error=database.message(run.error), **held
        )
        if done and run.result is not None:
            store_results(database, run.job.claim, [run], now)
    else:
        timed_out = status == JobStatus.TIMED_OUT
        done = database.run(
            "worker.finish.mark_dead",
            id=run.job.id,
            status=status.value,
            failed_at=None if timed_out else now,
            timed_out_at=now if timed_out else None,
            error=database.message(run.error),
            **held,
        )
    return done == 1


def _outcome(run: Ended, now: datetime) -> tuple[JobStatus, datetime]:
    """The status that a run leads to, and the time that its change writes: when it is due again, or when it ended."""
    if run.at is not None:
        return JobStatus.PENDING, run.at
    if run.end == End.COMPLETED:
        return JobStatus.COMPLETED, now
    return JobStatus.TIMED_OUT if run.end == End.TIMED_OUT else JobStatus.DEAD, now


def _done_before(database: Database, runs: Sequence[Ended], now: datetime) -> set[str]:
    """Those of some runs that an earlier try of the same change wrote, with the same ``now``.

    The job carries the token, the status and the time that the change writes. A token alone proves nothing: whoever
    cancels, retries or completes the job otherwise leaves it there.
    """
    by_id = {run.job.id: run for run in runs}
    mine = set()
    for job, status, token, scheduled_at, ended_at in database.rows(
        "worker.finish.outcomes", ids=database.ids(sorted(by_id))
    ):
        run = by_id[str(job)]
        leads_to, at = _outcome(run, now)
        written = timestamp(scheduled_at if leads_to == JobStatus.PENDING else ended_at)
        if token == run.job.claim.token and status == leads_to and written == at:
            mine.add(str(job))
    return mine


def was_ours(database: Database, run: Ended, now: datetime) -> bool:
    """Whether an earlier try of the same change, with the same ``now``, went through."""
    return bool(_done_before(database, [run], now))


def give_back(database: Database, jobs: Iterable[Claimed]) -> int:
    """Returns claimed jobs that were not started, with their attempt; how many were still ours.

    Those whose rows another transaction has locked stay: :func:`compare` returns them later.
    """
    by_claim: dict[Claim, list[Claimed]] = defaultdict(list)
    for job in jobs:
        by_claim[job.claim].append(job)
    queues = {job.queue_name for jobs in by_claim.values() for job in jobs}

    def work() -> int:
        back = sum(
            database.run("worker.finish.give_back", ids=database.ids(part), **_held(claim))
            for claim, jobs in by_claim.items()
            for part in _unlocked(database, [job.id for job in jobs])
        )
        notifications.notify(database, queues)
        return back

    return database.transaction(work)


def _unlocked(database: Database, ids: Sequence[str]) -> Iterator[list[str]]:
    """Those of some jobs that nobody else has locked, locked by us; in lists for a statement each."""
    for part in chunks(ids, database.key_chunk):
        if free := [str(row[0]) for row in database.rows("worker.finish.lock_free", ids=database.ids(part))]:
            yield free


class Compared(NamedTuple):
    """How the jobs that a worker has by its own book differ from those that it has by the database's.

    Attributes:
        returned: how many it did not know of; they may run again.
        left: how many more it does not know of, whose rows another transaction has locked.
        not_ours: ids of jobs that it knows and that are not its own any more.
    """

    returned: int
    left: int
    not_ours: frozenset[str]


def compare(database: Database, worker: str, known: Collection[str]) -> Compared:
    """Compares what the database says a worker has with what it knows, and gives back what it does not know.

    The worker does not know a job when its claim was committed and nobody answered, or when the server forgot, after a
    fail-over, that the job had ended. Nobody may claim or end jobs for the worker meanwhile.

    Args:
        database: where.
        worker: its id.
        known: ids of the jobs that wait, run or have yet to be written there.
    """

    def work() -> Compared:
        held = {str(row[0]) for row in database.rows("worker.finish.claimed_by", worker=worker)}
        unknown = sorted(held.difference(known))
        free = list(_unlocked(database, unknown))
        returned = sum(
            database.run("worker.finish.give_back_unknown", ids=database.ids(part), worker=worker) for part in free
        )
        return Compared(returned, len(unknown) - sum(map(len, free)), frozenset(known).difference(held))

    return database.transaction(work)
