"""Taking jobs and ending them: every change is guarded by the claim, and may be run again after a lost connection.

The guard of a claimed job is its token AND the status Running AND the start that the claim wrote. A worker that lost
its claim changes nothing. The token stays on the row, so that a change whose commit was not answered can be run again
and finds that it was its own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import JobPriority, JobStatus, Timestamp, new_id
from hammerwork_cli.queries.job.cron import occurrence_of


class Claim(NamedTuple):
    """What a worker wrote when it took some jobs at once.

    Attributes:
        token: of this claim alone.
        started_at: as written into each of the jobs.
    """

    token: str
    worker: str
    started_at: datetime


class Claimed(NamedTuple):
    """A job as its worker got it; :attr:`attempts` counts the coming run.

    Attributes:
        payload: JSON text.
        depends_on: as the database spells it.
        retry_strategy: JSON text, or nothing.
        claim_losses: how often a worker was lost that held it.
        ancestry: JSON text of models.Ancestry, if a worker spawned it.
    """

    id: str
    queue_name: str
    payload: Any
    priority: int
    attempts: int
    max_attempts: int
    timeout_seconds: int | None
    created_at: Timestamp
    scheduled_at: Timestamp
    depends_on: Any
    workflow_id: str | None
    workflow_name: str | None
    trace_id: str | None
    correlation_id: str | None
    parent_span_id: str | None
    span_context: str | None
    cron_schedule: str | None
    timezone: str | None
    recurring: bool
    next_run_at: Timestamp
    result_ttl_seconds: int | None
    result_max_size_bytes: int | None
    retry_strategy: str | None
    claim_losses: int | None
    ancestry: str | None
    claim: Claim

    @property
    def status(self) -> str:
        """Running: it is claimed."""
        return JobStatus.RUNNING

    @property
    def started_at(self) -> datetime:
        """When it was claimed."""
        return self.claim.started_at

    @property
    def last_attempt(self) -> bool:
        """Whether a failure of the coming run is final."""
        return self.attempts >= self.max_attempts

    @property
    def occurrence(self) -> str:
        """Which run of a recurring job this is: the same for every attempt at it; empty for other jobs."""
        return occurrence_of(recurring=self.recurring, next_run_at=self.next_run_at)


def claim(
    database: Database,
    queue: str,
    *,
    worker: str,
    now: datetime,
    limit: int,
    slots: int,
    priority: int | None = None,
) -> list[Claimed]:
    """Takes jobs of a queue that may run now, the most urgent first; a paused queue gives none.

    A job whose worker was lost comes alone and only into a free slot, so that it cannot take its neighbours along
    again. Of last attempts there are at most ``slots``: they must be started at once, and stand first.

    Args:
        database: where.
        queue: whose jobs.
        worker: the worker's id.
        now: the server's clock.
        limit: most jobs.
        slots: runs that can be started at once.
        priority: only jobs of this priority.
    """

    def work() -> list[Claimed]:
        rows = [
            row
            for only in _one_by_one(database, priority)
            for row in database.rows("worker.claim.ready", queue=queue, now=now, priority=only, limit=limit)
        ][:limit]
        chosen = _choose(rows, slots)
        if not chosen:
            return []
        token = Claim(new_id(), worker, now)
        for part in chunks([row[0] for row in chosen], database.key_chunk):
            database.run("worker.claim.claim", ids=database.ids(part), token=token.token, worker=worker, now=now)
        return [_claimed(row, token) for row in chosen]

    return database.transaction(work)


def _one_by_one(database: Database, priority: int | None) -> Sequence[int | None]:
    """MariaDB before 10.8 takes no order from a descending index, and would lock all that it sorts."""
    return tuple(sorted(JobPriority, reverse=True)) if priority is None and database.sorts_to_claim else (priority,)


_ATTEMPTS, _MAX_ATTEMPTS, _LOSSES = (
    Claimed._fields.index(name) for name in ("attempts", "max_attempts", "claim_losses")
)


def _choose(rows: list[tuple[Any, ...]], slots: int) -> list[tuple[Any, ...]]:
    if rows and rows[0][_LOSSES]:
        return rows[:1] if slots > 0 else []
    last = [row for row in rows if row[_ATTEMPTS] + 1 >= row[_MAX_ATTEMPTS] and not row[_LOSSES]][: max(slots, 0)]
    rest = [row for row in rows if row[_ATTEMPTS] + 1 < row[_MAX_ATTEMPTS] and not row[_LOSSES]]
    return last + rest if len(last) < slots or not last else last


def _claimed(row: tuple[Any, ...], token: Claim) -> Claimed:
    values = list(row)
    values[_ATTEMPTS] += 1
    return Claimed._make((*values, token))


def drained(database: Database, queues: Sequence[str], soon: datetime) -> bool:
    """Whether none of these queues has a job that may run until ``soon``; paused queues and recurring jobs aside."""
    return all(database.row("worker.claim.any_left", queue=queue, soon=soon) is None for queue in queues)


def later(database: Database, queues: Sequence[str], now: datetime, limit: int) -> int:
    """How many jobs of these queues wait for their time, counted up to ``limit`` in each."""
    return sum(database.rows("worker.claim.scheduled", queue=queue, now=now, limit=limit)[0][0] for queue in queues)


def are_held(database: Database, queues: Sequence[str], workers: Sequence[str]) -> bool:
    """Whether one of some workers has a job of these queues."""
    ids = database.ids(sorted(workers))
    return bool(workers) and any(database.row("worker.claim.any_running", queue=queue, ids=ids) for queue in queues)
