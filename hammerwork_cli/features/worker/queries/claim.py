"""Claims of jobs: the claim guards every later change of a job, which may run again after a lost connection.

A change applies only if the job has the claim's token AND is Running AND has the start that the claim wrote. A worker
that has lost its claim thus changes nothing. The token stays on the row after the change: a worker that got no answer
to its commit can run the change again and recognize its own work.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.core.values import JobPriority, JobStatus, Timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.statements import Columns
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.queries.cron import occurrence_of
from hammerwork_cli.features.job.queries.encryption import encrypted_text, sealed_text
from hammerwork_cli.features.worker.models.worker import LEAST_JOB_LEASE
from hammerwork_cli.features.worker.queries import limits

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Encryption

LARGE = 65_536
"""A payload with more bytes is read by itself, once it is clear that it fits."""
NO_LIMIT = 1 << 62


class Claim(NamedTuple):
    """One claim of a worker on several jobs."""

    token: str  # a new id for each claim
    worker: str
    started_at: datetime  # the start that the claim wrote into each of the jobs
    # Whether version 3 of hammerwork (Rust) uses the database, so that attempts end as it ends them.
    rust_3: bool = False


class Claimed(NamedTuple):
    """A claimed job as its worker gets it; :attr:`attempts` counts the coming attempt.

    The fields before ``claim`` are columns.
    """

    id: str
    queue_name: str
    payload: Any  # JSON text; EncryptedText of an encrypted one, until its slot decrypts it
    priority: int
    attempts: int
    max_attempts: int
    timeout_seconds: int | None
    created_at: Timestamp
    scheduled_at: Timestamp
    depends_on: Any  # as the database returns it
    workflow_id: str | None
    workflow_name: str | None
    batch_id: str | None
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
    retry_strategy: str | None  # JSON text, or nothing
    claim_losses: int | None  # number of workers that were lost while they had the job
    ancestry: str | None  # JSON text of Ancestry, if a worker spawned the job
    claim: Claim
    has_spawned: bool  # this occurrence of the job has spawned: it had completed, and then an operator retried it
    encryption: "Encryption | None"  # how the payload was encrypted, once it is decrypted

    @property
    def status(self) -> str:
        """Always Running: the job is claimed."""
        return JobStatus.RUNNING

    @property
    def started_at(self) -> datetime:
        return self.claim.started_at

    @property
    def last_attempt(self) -> bool:
        """Whether a failure of the coming attempt is final."""
        return self.attempts >= self.max_attempts

    @property
    def occurrence(self) -> str:
        """Identifies the occurrence of a recurring job; all attempts at it share it. Empty for other jobs."""
        return occurrence_of(recurring=self.recurring, next_run_at=self.next_run_at)


class ClaimedBatch(list[Claimed]):
    """Claimed jobs.

    Attributes:
        is_cut: further jobs that may run now were left: their payloads would have been too large together, or they
            need a free slot.
        is_limited: the queue has a limit.
        no_room: why its limit left jobs that are due; nothing if it did not.
    """

    is_cut = is_limited = False
    no_room: limits.NoRoom | None = None


def claim(
    database: Database,
    queue: str,
    *,
    worker: str,
    now: datetime,
    limit: int,
    slots: int,
    room: int = NO_LIMIT,
    priority: int | None = None,
    spawning: bool = True,
    lease: int = LEAST_JOB_LEASE,
    behind: bool = True,
    left_webhooks: Sequence[str] = (),
) -> ClaimedBatch:
    """Claims due jobs of a queue, the most urgent first; none of a paused queue.

    A job whose worker was lost comes alone and only into a free slot: if it kills its worker again, it takes no other
    job along. Last attempts come first, and no more than ``slots`` of them, since a lost worker must not use up the
    last attempt of a job that it has not started.

    Args:
        slots: attempts that can start at once.
        room: most bytes of the payloads of further jobs, which have to wait.
        spawning: whether the worker has handlers that spawn; without them it does not look whether a job has spawned.
        lease: seconds for which hammerwork 3 (Rust) leaves the jobs alone.
        behind: see :func:`limits.claim`.
        left_webhooks: ids of webhooks whose deliveries it leaves to others.
    """

    def ready(limit: int, per: str | None = None, full: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        return [
            row
            for only in _one_by_one(database, priority)
            for row in database.rows(
                "worker.claim.ready",
                columns=CLAIMED_COLUMNS,
                queue=queue,
                now=now,
                priority=only,
                limit=limit,
                large=LARGE,
                spawning=spawning,
                per=per,
                full=full,
                left_webhooks=left_webhooks,
            )
        ][:limit]

    def work() -> ClaimedBatch:
        # The statement locks these rows, and skips rows that other transactions have locked. Rows that are not
        # chosen become free again when this transaction ends.
        rows = ready(limit)
        batch = ClaimedBatch()
        batch.is_limited = bool(rows) and rows[0][-1] is not None
        if batch.is_limited:
            chosen, batch.no_room, at = limits.claim(
                database, queue, rows, min(limit, slots), ready, lambda some: _choose(some, slots), behind=behind
            )
            batch.is_cut = batch.no_room is None and len(rows) > len(chosen)
        else:
            wanted = _choose(rows, slots)
            chosen = wanted[: _fitting(database, wanted, slots, room)]
            batch.is_cut, at = len(chosen) < len(rows), None
        if not chosen:
            return batch
        large = _of_large(database, "worker.claim.payloads", chosen)
        started = at or now
        token = Claim(new_id(), worker, started, "rust_3" in database.tags)
        spawned: set[tuple[str, str]] = set()
        for part in chunks([row[0] for row in chosen], database.key_chunk):
            ids = database.ids(part)
            database.run("worker.claim.claim", ids=ids, token=token.token, worker=worker, now=started, lease=lease)
            events.jobs(database, EventType.JOB_STARTED, part, started)
        if spawning and (again := [row[0] for row in chosen if row[_COLUMNS]]):
            for part in chunks(again, database.key_chunk):
                ids = database.ids(part)
                spawned.update((str(row[0]), row[1]) for row in database.rows("worker.claim.have_spawned", ids=ids))
        batch += [_claimed(row, token, spawned, large) for row in chosen]
        return batch

    return database.transaction(work, ordered=True)


def _one_by_one(database: Database, priority: int | None) -> Sequence[int | None]:
    """Splits a claim by priority on MariaDB before 10.8.

    It cannot read a descending index in order: it would sort, and lock, all due jobs.
    """
    return tuple(sorted(JobPriority, reverse=True)) if priority is None and database.sorts_to_claim else (priority,)


_COLUMNS = Claimed._fields.index("claim")
"""Number of columns that a ready row shares with :class:`Claimed`. The others say whether the job has spawned, which
value the limit goes by, and whether there is a limit."""
_payload_of = attrgetter("payload")
CLAIMED_NAMES = Claimed._fields[Claimed._fields.index("payload") + 1 : _COLUMNS]
"""The columns that follow the id, the queue and the payload."""
CLAIMED_COLUMNS = Columns(f"j.{name}" for name in CLAIMED_NAMES)
"""The same in statements."""
_PAYLOAD, _ATTEMPTS, _MAX_ATTEMPTS, _LOSSES = (
    Claimed._fields.index(name) for name in ("payload", "attempts", "max_attempts", "claim_losses")
)


def _choose(rows: list[tuple[Any, ...]], slots: int) -> list[tuple[Any, ...]]:
    if rows and rows[0][_LOSSES]:
        return rows[:1] if slots > 0 else []
    last = [row for row in rows if row[_ATTEMPTS] + 1 >= row[_MAX_ATTEMPTS] and not row[_LOSSES]][:slots]
    rest = [row for row in rows if row[_ATTEMPTS] + 1 < row[_MAX_ATTEMPTS] and not row[_LOSSES]]
    # When last attempts fill all free slots, the other jobs are left to workers that can start them sooner.
    return last + rest if len(last) < slots or not last else last


def _fitting(database: Database, rows: Sequence[tuple[Any, ...]], slots: int, room: int) -> int:
    """How many of these jobs to take: as many as can start at once, and of the others those whose payloads fit."""
    waiting = rows[slots:]
    payloads = [row[_PAYLOAD] for row in waiting]
    if None not in payloads and sum(map(len, payloads)) <= room:  # as mostly, at the speed of C
        return len(rows)
    sizes = _of_large(database, "worker.claim.sizes", waiting)
    for number, row in enumerate(waiting, slots):
        room -= len(row[_PAYLOAD]) if row[_PAYLOAD] is not None else sizes[str(row[0])]
        if room < 0:
            return number
    return len(rows)


def _of_large(database: Database, statement: str, rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """Job -> what a statement reads of its payload, for those whose payloads were left out because they are large."""
    ids = [str(row[0]) for row in rows if row[_PAYLOAD] is None]
    return {str(job): _read(*row) for job, *row in database.rows(statement, ids=database.ids(ids))} if ids else {}


def _read(value: Any, is_encrypted: object = False, *sealed: Any) -> Any:
    return encrypted_text(value, sealed) if is_encrypted else value


def _claimed(row: tuple[Any, ...], token: Claim, spawned: Set[tuple[str, str]], large: Mapping[str, Any]) -> Claimed:
    values = [*row[:_COLUMNS], token, False, None]
    if row[_PAYLOAD] is None:
        values[_PAYLOAD] = large[str(row[0])]
    values[_ATTEMPTS] += values[_ATTEMPTS] < LARGEST_INTEGER  # as the statement counts
    job = Claimed._make(values)
    return job._replace(has_spawned=True) if spawned and (job.id, job.occurrence) in spawned else job


def payload_size(jobs: Iterable[Claimed]) -> int:
    """The characters of the payloads of jobs, counted at the speed of C: this is done for every job."""
    return sum(map(len, filter(None, map(_payload_of, jobs))))


def claimed_row(database: Database, row: Sequence[Any], token: Claim, *, archived: bool = False) -> Claimed:
    """Makes a job of a row that is read by itself, as if it were claimed.

    Args:
        row: whether its payload is encrypted, its id, queue, payload, and :data:`CLAIMED_NAMES`.
    """
    is_encrypted, *columns = row
    job = Claimed._make((*columns, token, False, None))
    return job._replace(payload=sealed_text(database, job.id, archived=archived)) if is_encrypted else job


def with_jobs(
    database: Database,
    queues: Sequence[str],
    *,
    before: datetime | None = None,
    after: datetime | None = None,
    once: bool = False,
) -> list[str]:
    """Returns those of some queues that have a job to claim, in their order; one statement, whatever their number.

    Args:
        before: only jobs that are due then; paused queues are left out.
        after: only jobs that are due later.
        once: no recurring jobs, except for repeated attempts.
    """
    wanted = {"before": before, "after": after, "once": once, "unpaused": before is not None}

    def read() -> set[str]:
        return {name for (name,) in database.rows("worker.claim.with_jobs", queues=database.json(queues), **wanted)}

    # SQLite has no transaction that lets others write.
    found = database.transaction(read, ordered=True) if database.dialect == "postgresql" else read()
    if "narrow" in database.tags:
        # The statement compares the list in ASCII.
        others = (queue for queue in queues if not queue.isascii())
        found |= {queue for queue in others if database.row("worker.claim.has_jobs", queue=queue, **wanted)}
    return [queue for queue in queues if queue in found] if found else []


def drained(database: Database, queues: Sequence[str], soon: datetime) -> bool:
    """Whether no job of these queues is due before ``soon``, apart from paused queues and recurring jobs."""
    return not with_jobs(database, queues, before=soon, once=True)


def later(database: Database, queues: Sequence[str], now: datetime, limit: int) -> int:
    """Counts the jobs of these queues that are due later, up to ``limit``."""
    count = 0
    for queue in with_jobs(database, queues, after=now):
        count += database.value("worker.claim.scheduled", queue=queue, now=now, limit=limit)
        if count >= limit:
            break
    return count


def have_claimed(database: Database, queues: Sequence[str], workers: Sequence[str]) -> bool:
    """Whether one of these workers has claimed a job of these queues."""
    if not workers:
        return False
    found = database.rows("worker.claim.queues_of", ids=database.ids(sorted(workers)))
    return not {row[0] for row in found}.isdisjoint(queues)
