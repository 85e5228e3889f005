"""Batches: their shapes, columns and lines for people."""

from collections.abc import Iterator, Sequence
from operator import itemgetter

from hammerwork_cli.core.values import WAITING, Counts, JobStatus
from hammerwork_cli.features.batch.model import BatchDetails, BatchStatus, Contents, StoredBatch
from hammerwork_cli.features.callbacks.views import CALLBACK, callbacks_text
from hammerwork_cli.features.spawn.models.why import ErrorGroup
from hammerwork_cli.features.spawn.views.failures import NO_ERROR
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column, time_column
from hammerwork_cli.view.text import count, instant, plural, short_id, statuses, visible

COUNTS = Shape[Counts](
    {
        "completed": key.count().of(lambda counts: counts.of(JobStatus.COMPLETED)),
        "failed": key.count("Failed, Dead, TimedOut and Cancelled").of("unsuccessful"),
        "running": key.count().of(lambda counts: counts.of(JobStatus.RUNNING)),
        "pending": key.count("Pending and Retrying").of(lambda counts: counts.of(*WAITING)),
    }
)
"""How the jobs of a batch or a workflow are doing."""
BATCH = Shape[StoredBatch](
    {
        "id": key.uuid(),
        "name": key.text(),
        "status": key.text("", *BatchStatus),
        "jobs": key.count("Jobs that it was enqueued with").of("total"),
        **COUNTS.within("counts"),
        "gone": key.count("Deleted"),
        "failure_mode": key.text("ContinueOnError, FailFast or CollectErrors; other programs may write more"),
        "created_at": key.null_or(key.instant()),
    }
)
_QUEUE = Shape[tuple[str, Counts]](
    {"queue": key.text().of(itemgetter(0)), "by_status": key.counts("Jobs by status").of(itemgetter(1))}
)
_ERROR = Shape[ErrorGroup](
    {
        "error": key.null_or(key.text("Error of the newest job; null without one")),
        "pattern": key.null_or(key.text("The error with * for what varies")),
        "jobs": key.count().of("total"),
        "by_status": key.counts("Jobs by status", in_order=True).of("statuses"),
        "job_id": key.job_id("The newest job").of("newest"),
    }
)
CONTENTS = Shape[Contents](
    {
        "by_status": key.counts("Jobs by status, archived ones too").of(lambda found: _total(found)),
        "queues": key.list_of(_QUEUE).of(lambda found: _queues(found).items()),
        "errors": key.list_of(_ERROR, "The largest first").of("failures.groups"),
        "more_errors": key.count("Further errors").of("failures.more"),
        "consequences": key.count("Other jobs, which failed because a job that they depend on failed").of(
            "failures.consequences"
        ),
        "metadata": key.stored_json("Any JSON"),
        "callbacks": key.list_of(CALLBACK, "What is enqueued at its end"),
    }
)
"""What there is in a batch or a workflow."""
BATCH_DETAILS = Shape[BatchDetails]({**BATCH.within("batch"), **CONTENTS.parts})
COLUMNS: Sequence[Column[StoredBatch]] = (
    Column("batch", lambda row: short_id(row.id)),
    column(BATCH, "name", cuts=True),
    column(BATCH, "status", is_status=True),
    column(BATCH, "jobs"),
    column(BATCH, "completed"),
    column(BATCH, "failed"),
    column(BATCH, "running", drop_order=2),
    column(BATCH, "pending", drop_order=1),
    column(BATCH, "gone", optional=True, drop_order=3),
    time_column("created", lambda row: row.created_at, drop_order=4),
)


def status_text(batch: StoredBatch) -> str:
    """The status, and how many jobs are missing."""
    return f"{batch.status}, {count(batch.gone)} deleted" if batch.gone else batch.status


def outcome_text(batch: StoredBatch) -> str:
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


def _total(details: Contents) -> Counts:
    total = Counts()
    for counts in _queues(details).values():
        total.merge(counts)
    return total
