"""The archive: the shapes, lines and columns of policies and of archived jobs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.core.values import ENDS, JobStatus, priority_word
from hammerwork_cli.features.archive.models.lists import ArchivedJob, ArchivedSum
from hammerwork_cli.features.archive.models.policies import By, Policy, PolicyAction
from hammerwork_cli.features.queue.model import EVERY_QUEUE
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import count, first_line, instant, plural, short_duration, short_id, visible


def _age_of(status: JobStatus) -> Callable[[Policy], timedelta | None]:
    return lambda policy: policy.ages.get(status)


def _age_column(status: JobStatus) -> Column[Policy]:
    title, age_of = status.name.lower().replace("_", " "), _age_of(status)
    return Column(title, lambda policy: _after(age_of(policy)), "right")


_AGE = key.null_or(
    key.seconds("Seconds since the end of a job; null: never")._replace(convert=lambda age: round(age.total_seconds()))
)
POLICY = Shape[Policy](
    {
        "queue": key.text("Queue of the root; * stands for queues without a policy"),
        "action": key.text("archive or delete; a later version may write more"),
        **{f"{status.name.lower()}_seconds": _AGE.of(_age_of(status)) for status in ENDS},
        "purge_seconds": _AGE.of("purge_after").about("Seconds in the archive; null: never"),
        "by": key.text("", *By).of(lambda policy: (By.TREE if policy.by_tree else By.JOB).value),
        "compression_level": key.null_or(key.count("Null: payloads are not compressed")).of("level"),
        "enabled": key.flag(),
        "updated_at": key.null_or(key.instant()),
        "updated_by": key.null_or(key.text()),
        "last_run_at": key.null_or(key.instant("Null before the first run")),
        "last_jobs": key.null_or(key.count("Jobs that the last run archived or deleted")),
        "last_error": key.null_or(key.text("Why the last run failed")),
    }
)
POLICY_COLUMNS: Sequence[Column[Policy]] = (
    column(POLICY, "queue", cuts=True),
    column(POLICY, "action"),
    *map(_age_column, ENDS),
    Column("purged", lambda one: _after(one.purge_after), "right", drop_order=2),
    Column("last run (UTC)", lambda one: instant(one.last_run_at) if one.last_run_at else None, drop_order=3),
    Column("note", lambda one: _note(one), cuts=True),
)


def policy_text(policy: Policy) -> Iterator[str]:
    """Yields what a policy does, and what became of it last."""
    yield f"{'Trees' if policy.by_tree else 'Jobs'} of {words(policy.queue)} are {_done(policy)}:"
    for status in ENDS:
        age = policy.ages.get(status)
        yield f"  {status:<11}{'never' if age is None else f'{short_duration(age)} after the end'}"
    if policy.action == PolicyAction.ARCHIVE or policy.purge_after is not None:
        after = "never" if policy.purge_after is None else f"{short_duration(policy.purge_after)} after that"
        yield f"  {'purged':<11}{after}"
    note = visible(_note(policy))
    yield f"{note[0].upper()}{note[1:]}."


def words(queue: str) -> str:
    """The queue of a policy in a sentence."""
    return "all other queues" if queue == EVERY_QUEUE else visible(queue)


def _note(policy: Policy) -> str:
    if not policy.enabled:
        return "disabled"
    if policy.last_error is not None:
        return f"failed: {first_line(policy.last_error).rstrip('.')}"
    if policy.last_run_at is None:
        return "not run yet"
    return f"{plural(policy.last_jobs or 0, 'job')} {_done(policy)} at {instant(policy.last_run_at)} UTC"


def _done(policy: Policy) -> str:
    return "deleted" if policy.action == PolicyAction.DELETE else "archived"


def _after(age: timedelta | None) -> str:
    return "never" if age is None else short_duration(age)


ARCHIVED = Shape[ArchivedJob](
    {
        "id": key.job_id().of(lambda job: str(job.id)),
        "queue": key.text(),
        "status": key.status(),
        "priority": key.priority().of(lambda job: priority_word(job.stored_priority)),
        "attempts": key.count(),
        "created_at": key.null_or(key.instant()),
        "ended_at": key.null_or(key.instant()),
        "archived_at": key.null_or(key.instant()),
        "archival_reason": key.text("Automatic, Manual, Compliance or Maintenance; other programs may write more").of(
            "reason"
        ),
        "archived_by": key.null_or(key.text()).of("by"),
        "stored_bytes": key.count("Bytes of its payload in the archive"),
        "payload_bytes": key.null_or(key.count("Bytes of its payload before it was archived; null if unknown")),
        "error": key.null_or(key.text("The first 500 characters of its error")),
    }
)
COLUMNS: Sequence[Column[ArchivedJob]] = (
    Column("job", lambda job: short_id(job.id)),
    column(ARCHIVED, "queue", cuts=True),
    column(ARCHIVED, "status", is_status=True),
    Column("ended at (UTC)", lambda job: instant(job.ended_at), drop_order=2),
    Column("archived at (UTC)", lambda job: instant(job.archived_at)),
    Column("reason", lambda job: job.reason, cuts=True, drop_order=3),
    Column("by", lambda job: job.by, cuts=True, drop_order=1),
    Column("bytes", lambda job: count(job.stored_bytes), "right", drop_order=4),
)


ARCHIVED_SUM = Shape[ArchivedSum](
    {
        "queue": key.text(),
        "archival_reason": key.text().of("reason"),
        "jobs": key.count(),
        "stored_bytes": key.count("Bytes of their payloads in the archive"),
        "payload_bytes": key.count("Bytes of their payloads before they were archived"),
        "oldest": key.null_or(key.instant("When the first of them was archived")),
        "newest": key.null_or(key.instant()),
    }
)
SUM_COLUMNS: Sequence[Column[ArchivedSum]] = (
    column(ARCHIVED_SUM, "queue", cuts=True),
    Column("reason", lambda row: row.reason, cuts=True),
    column(ARCHIVED_SUM, "jobs", is_count=False),
    Column("bytes", lambda row: count(row.stored_bytes), "right"),
    Column("uncompressed", lambda row: count(row.payload_bytes), "right", drop_order=1),
    Column("oldest (UTC)", lambda row: instant(row.oldest), drop_order=2),
    Column("newest (UTC)", lambda row: instant(row.newest), drop_order=3),
)
