"""Finds the reasons why jobs without blockers have not ended, and why jobs never spawned."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.input.spawn_config import ignored_because
from hammerwork_cli.core.values import WAITING, JobStatus, Timestamp, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.job.models.job import AttemptOutcome, JobDetails, PastAttempt
from hammerwork_cli.features.job.queries import attempts
from hammerwork_cli.features.queue.queries import Services
from hammerwork_cli.features.spawn.models.why import Delay, DelayReason, LastAttempt, NeverSpawned, OpenJob
from hammerwork_cli.features.spawn.queries.error_texts import error_texts, headline, pattern
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import records
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.worker.models.worker import is_silent
from hammerwork_cli.features.worker.queries import limits
from hammerwork_cli.features.worker.queries.rescue import WAS_LOST

LONG = timedelta(hours=1)
"""A job that runs for longer, and that no running worker has claimed, may have lost its worker."""
_LOSSES = (WAS_LOST, "Job lease expired while Running")
"""What the error of a job whose worker was lost says: ours, and that of version 3 of hammerwork (Rust)."""
_NO_INSTANT = datetime.max.replace(tzinfo=UTC)
_ORDER = list(DelayReason)
WAITING_FOR_A_WORKER = frozenset({DelayReason.READY, DelayReason.RETRYING})


def delays(database: Database, nodes: Sequence[TreeNode], queues: Services, *, now: datetime) -> tuple[Delay, ...]:
    """Returns the reasons why jobs have not ended, by queue and error; the gravest first, then the largest.

    Args:
        nodes: jobs that run, or wait for no other job.
    """
    found: dict[tuple[Any, ...], Delay] = {}
    details = _details(database, [node.id for node in nodes])
    errors = error_texts(database, [node for node in nodes if node.status == JobStatus.RETRYING])
    recorded = attempts.last_of(database, [node.id for node in nodes if node.status in WAITING])
    limited, off = _limited(database, nodes, queues), _webhooks_off(database, nodes)
    for node in nodes:
        if node.id not in details:
            continue
        row = details[node.id]
        last = _last_attempt(node, errors.get(node.id), row, recorded.get(node.id))
        reason, job = _delay(node, row, last, now=now)
        webhook = off.get(node.id)
        if webhook is not None:
            reason = DelayReason.WEBHOOK_DISABLED
        error = errors.get(node.id) if reason == DelayReason.RETRYING else None
        is_due = reason in WAITING_FOR_A_WORKER and _is_due(job, now)
        limit = queues.limit_of(node.queue) if is_due and node.id in limited else None
        key = (reason, node.queue, is_due, last.outcome, pattern(error) if error else None, limit is not None, webhook)
        delay = found.get(key)
        if delay is None:
            told = headline(error) if error else None
            found[key] = Delay(reason, node.queue, told, 1, job, queues.of(node.queue), is_due, *last, limit, webhook)
        else:
            delay.jobs += 1
            if _instant(job) < _instant(delay.first):
                delay.first, delay.last_worker = job, last.worker
    return tuple(sorted(found.values(), key=_gravity))


def _limited(database: Database, nodes: Sequence[TreeNode], queues: Services) -> set[str]:
    """The waiting jobs that limits of their queues would not let start now."""
    waiting: dict[str, list[str]] = {}
    for node in nodes:
        if node.status in WAITING and queues.limit_of(node.queue) is not None:
            waiting.setdefault(node.queue, []).append(node.id)
    found = set()
    for queue, jobs in waiting.items():
        limit = queues.limit_of(queue)
        assert limit is not None
        found |= limits.without_room(database, limit, jobs, database.now())
    return found


def _webhooks_off(database: Database, nodes: Sequence[TreeNode]) -> dict[str, str]:
    """Delivery that waits -> name of its webhook, if that is disabled."""
    waiting = [node.id for node in nodes if node.queue == DELIVERIES and node.status in WAITING]
    if not waiting or not database.is_current:
        return {}
    names = {
        str(webhook): name.decode() if isinstance(name, (bytes, bytearray)) else name
        for webhook, name in database.rows("spawn.why.webhooks_off")
    }
    return {
        str(job): names[webhook]
        for job, webhook in database.rows_of("spawn.why.deliveries", waiting if names else [])
        if webhook in names
    }


def of_job(database: Database, details: JobDetails, *, now: datetime) -> Delay | None:
    """Returns the reason why a job waits, if it waits for no other job; else ``None``."""
    node = details.job.node
    if node.status not in WAITING or node.archived_at is not None or details.blocker is not None:
        return None
    found = delays(database, [node], Services(database), now=now)
    return found[0] if found else None


def _gravity(delay: Delay) -> tuple[Any, ...]:
    return _ORDER.index(delay.reason), not delay.is_due, delay.last_attempt or "", -delay.jobs, delay.queue


def _instant(job: OpenJob) -> datetime:
    return timestamp(job.at) or _NO_INSTANT


class _OpenJob(NamedTuple):
    """A row of ``spawn.why.open_jobs``, without the id."""

    scheduled_at: Timestamp
    max_attempts: int
    dependency_status: str | None
    worker: str | None
    silent_for: float | None
    lease: float | None
    heard_at: Timestamp
    leased_until: Timestamp
    is_enabled: bool

    def silence(self, now: datetime) -> tuple[float | None, float | None]:
        """For how long the worker has been silent, and for how long it may be; a Rust worker may keep a lease."""
        heard, until = timestamp(self.heard_at), timestamp(self.leased_until)
        if heard is None or until is None:
            return self.silent_for, self.lease
        return max((now - heard).total_seconds(), 0.0), (until - heard).total_seconds()


def _details(database: Database, ids: Sequence[str]) -> dict[str, _OpenJob]:
    return {job: _OpenJob._make(details) for job, *details in database.rows_of("spawn.why.open_jobs", ids)}


def _last_attempt(node: TreeNode, error: str | None, row: _OpenJob, recorded: PastAttempt | None) -> LastAttempt:
    """How the last attempt at a waiting job ended, as far as it is known.

    Workers in Rust write no history, so that the last recorded attempt may be older than the last one. Its number
    tells: a job that was given back has one attempt less, and is due as it was before.
    """
    if node.status not in WAITING:
        return LastAttempt()
    if recorded and recorded.outcome == AttemptOutcome.STOPPED:
        due, started = timestamp(row.scheduled_at), timestamp(recorded.started_at)
        if recorded.attempt == node.attempts + 1 and due and started and due <= started:
            return LastAttempt(AttemptOutcome.STOPPED, recorded.worker)
    elif recorded and recorded.attempt == node.attempts and recorded.outcome in set(AttemptOutcome):
        return LastAttempt(AttemptOutcome(recorded.outcome), recorded.worker)
    if not node.attempts or not error:
        return LastAttempt()
    is_lost = any(loss in headline(error) for loss in _LOSSES)
    return LastAttempt(AttemptOutcome.LOST if is_lost else AttemptOutcome.FAILED)


def _is_due(job: OpenJob, now: datetime) -> bool:
    return (timestamp(job.at) or now) <= now


def _delay(node: TreeNode, row: _OpenJob, last: LastAttempt, *, now: datetime) -> tuple[DelayReason, OpenJob]:
    if node.status == JobStatus.RUNNING:
        started = node.started_at or node.created_at
        job = OpenJob(node.id, node.status, node.attempts, row.max_attempts, started, row.worker, *row.silence(now))
        return _running(job, now - (timestamp(started) or now)), job
    job = OpenJob(node.id, node.status, node.attempts, row.max_attempts, row.scheduled_at, None)
    if node.stored_status not in WAITING:
        return DelayReason.MISSPELT_STATUS, job
    if row.dependency_status == "failed":
        return DelayReason.BARRED, job
    if not row.is_enabled:
        return DelayReason.DISABLED, job
    # Of an attempt that was given back, the error is that of the one before.
    if node.status == JobStatus.RETRYING and last.outcome != AttemptOutcome.STOPPED:
        return DelayReason.RETRYING, job
    if not _is_due(job, now) and last.outcome != AttemptOutcome.STOPPED:
        return DelayReason.SCHEDULED, job
    return DelayReason.READY, job


def _running(job: OpenJob, so_far: timedelta) -> DelayReason:
    if job.silent_for is None or job.lease is None:
        return DelayReason.LONG_RUNNING if so_far >= LONG else DelayReason.RUNNING
    # A Rust worker is heard of three times a lease.
    silent = is_silent(job.silent_for, job.lease) if job.worker else job.silent_for > job.lease
    return DelayReason.SILENT_WORKER if silent else DelayReason.RUNNING


def never_spawned(database: Database, tree: SpawnTree) -> tuple[NeverSpawned, ...]:
    """Returns the completed jobs of a tree that have a spawn configuration and no children, with the known reasons."""
    childless = [
        node
        for node in tree.nodes.values()
        if node.stored_config is not None
        and node.status == JobStatus.COMPLETED
        and node.archived_at is None
        and not tree.child_total(node.id)
    ]
    recorded = records.of_jobs(database, [node.id for node in childless])
    found = []
    for node in childless:
        spawns = [spawn for spawn in recorded.get(node.id, ()) if spawn.outcome != "repeated"]
        if not spawns:
            found.append(NeverSpawned(node.id, node.queue, ignored_because(node.stored_config)))
        elif spawns[-1].outcome == "failed":
            found.append(NeverSpawned(node.id, node.queue, spawns[-1].error))
    return tuple(found)
