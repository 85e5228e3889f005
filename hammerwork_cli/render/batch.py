"""Batches: records for programs, columns and lines for people."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.models import WAITING, Counts, JobStatus, rfc3339
from hammerwork_cli.models.batch.batches import Batch, BatchDetails, Contents
from hammerwork_cli.models.why import ErrorGroup
from hammerwork_cli.render.callbacks import callback_record, callbacks_text
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import (
    brief_instant,
    count,
    instant,
    plural,
    short_id,
    statuses,
    visible,
)
from hammerwork_cli.render.job.details import parsed
from hammerwork_cli.render.spawn.failures import NO_ERROR

KEYS = (
    "id",
    "name",
    "status",
    "jobs",
    "completed",
    "failed",
    "running",
    "pending",
    "gone",
    "failure_mode",
    "created_at",
)
COLUMNS: Sequence[Column[Batch]] = (
    Column("batch", lambda row: short_id(row.id)),
    Column("name", lambda row: row.name, cuts=True),
    Column("status", lambda row: row.status, is_status=True),
    Column("jobs", lambda row: count(row.total), "right", is_count=True),
    Column("completed", lambda row: count(row.counts.of(JobStatus.COMPLETED)), "right", is_count=True),
    Column("failed", lambda row: count(row.counts.unsuccessful), "right", is_count=True),
    Column("running", lambda row: count(row.counts.of(JobStatus.RUNNING)), "right", is_count=True, leaves=2),
    Column("pending", lambda row: count(row.counts.of(*WAITING)), "right", is_count=True, leaves=1),
    Column("gone", lambda row: count(row.gone), "right", optional=True, is_count=True, leaves=3),
    Column(
        "created at (UTC)",
        lambda row: instant(row.created_at),
        narrow=lambda row: brief_instant(row.created_at),
        narrow_header="created UTC",
        leaves=4,
    ),
)


def batch_record(batch: Batch) -> Record:
    """A batch of a list.

    Keys: ``id``, ``name``, ``status`` (``Pending``, ``Processing``, ``Completed``, ``PartiallyFailed``, ``Failed`` or
    ``Gone``), ``jobs`` (with which it was enqueued), ``completed``, ``failed`` (Failed, Dead, TimedOut and Cancelled),
    ``running``, ``pending`` (Pending and Retrying), ``gone`` (deleted), ``failure_mode``, ``created_at``.
    """
    return {
        "id": batch.id,
        "name": batch.name,
        "status": batch.status,
        "jobs": batch.total,
        **counts_record(batch.counts),
        "gone": batch.gone,
        "failure_mode": batch.failure_mode,
        "created_at": rfc3339(batch.created_at),
    }


def counts_record(counts: Counts) -> Record:
    """How the jobs of a batch or a workflow are doing: ``completed``, ``failed``, ``running``, ``pending``."""
    return {
        "completed": counts.of(JobStatus.COMPLETED),
        "failed": counts.unsuccessful,
        "running": counts.of(JobStatus.RUNNING),
        "pending": counts.of(*WAITING),
    }


def details_record(details: BatchDetails) -> Record:
    """Everything about a batch.

    Keys: those of :func:`batch_record`; ``by_status``; ``queues`` (list of ``queue``, ``by_status``); ``errors`` (list
    of :func:`error_record`, the largest first), ``more_errors`` (number of further ones), ``consequences`` (number of
    jobs that failed only because a job that they depend on failed); ``metadata`` (any JSON); ``callbacks`` (list of
    :func:`hammerwork_cli.render.callbacks.callback_record`).
    """
    return {**batch_record(details.batch), **contents_record(details)}


def contents_record(details: Contents) -> Record:
    """What there is in a batch or a workflow, with the further keys of :func:`details_record`."""
    queues = _queues(details)
    total = Counts()
    for counts in queues.values():
        total.merge(counts)
    return {
        "by_status": dict(total.by_status),
        "queues": [{"queue": queue, "by_status": dict(counts.by_status)} for queue, counts in queues.items()],
        "errors": [error_record(group) for group in details.failures.groups],
        "more_errors": details.failures.more,
        "consequences": details.failures.consequences,
        "metadata": parsed(details.metadata),
        "callbacks": [callback_record(one) for one in details.callbacks],
    }


def error_record(group: ErrorGroup) -> Record:
    """Jobs with the same error: ``error`` (of the newest), ``pattern``, ``jobs``, ``by_status``, ``job_id``."""
    return {
        "error": group.error,
        "pattern": group.pattern,
        "jobs": group.total,
        "by_status": dict(sorted(group.statuses.by_status.items())),
        "job_id": group.newest,
    }


def status_text(batch: Batch) -> str:
    """The status, and how many jobs are missing."""
    return f"{batch.status}, {count(batch.gone)} deleted" if batch.gone else batch.status


def outcome_text(batch: Batch) -> str:
    """A batch in a line."""
    counted = f", {statuses(batch.counts)}" if batch.counts.total else ""
    return f"{visible(batch.name)} {short_id(batch.id)}: {status_text(batch)}{counted}"


def details_text(details: BatchDetails, *, colour: bool = False) -> Iterator[str]:
    """A batch, a line a fact, then its queues and its errors."""
    batch = details.batch
    yield f"{paint(visible(batch.name), 'bold', colour)} {batch.id}"
    yield f"  status        {batch.status}"
    yield f"  jobs          {count(batch.total)}{f', {count(batch.gone)} deleted' if batch.gone else ''}"
    yield f"  failure mode  {visible(batch.failure_mode)}"
    yield f"  created       {instant(batch.created_at)} UTC"
    yield from contents_text(details, colour=colour)


def contents_text(details: Contents, *, colour: bool = False) -> Iterator[str]:
    """The callbacks of a batch or a workflow, its queues and its errors."""
    yield from callbacks_text(details.callbacks, colour)
    queues = _queues(details)
    if queues:
        yield ""
        yield "Jobs by queue"
    for queue, counts in queues.items():
        yield f"  {visible(queue)}: {statuses(counts)}"
    if details.failures.groups:
        yield ""
        yield "Errors"
    for group in details.failures.groups:
        error = visible((group.error if group.total == 1 else group.pattern) or NO_ERROR)
        yield paint(f"  {statuses(group.statuses)}: {error}", "red", colour)
        yield f"    hammerwork spawn why {short_id(group.newest)}"
    if details.failures.more:
        yield f"  {plural(details.failures.more, 'more error')}"
    if details.failures.consequences:
        yield f"  {plural(details.failures.consequences, 'more job')} failed because a dependency failed."


def _queues(details: Contents) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    for group in details.groups:
        found.setdefault(group.queue, Counts()).add(group.status, group.jobs)
    return found
