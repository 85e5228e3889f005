"""Archived jobs: their shapes, columns for people."""

from collections.abc import Sequence

from hammerwork_cli.core.values import priority_word
from hammerwork_cli.features.archive.models.lists import ArchivedJob, ArchivedSum
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column
from hammerwork_cli.view.text import count, instant, short_id

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
    Column("queue", lambda job: job.queue, cuts=True),
    Column("status", lambda job: job.status, is_status=True),
    Column("ended at (UTC)", lambda job: instant(job.ended_at), leaves=2),
    Column("archived at (UTC)", lambda job: instant(job.archived_at)),
    Column("reason", lambda job: job.reason, cuts=True, leaves=3),
    Column("by", lambda job: job.by, cuts=True, leaves=1),
    Column("bytes", lambda job: count(job.stored_bytes), "right", leaves=4),
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
    Column("queue", lambda row: row.queue, cuts=True),
    Column("reason", lambda row: row.reason, cuts=True),
    Column("jobs", lambda row: count(row.jobs), "right"),
    Column("bytes", lambda row: count(row.stored_bytes), "right"),
    Column("uncompressed", lambda row: count(row.payload_bytes), "right", leaves=1),
    Column("oldest (UTC)", lambda row: instant(row.oldest), leaves=2),
    Column("newest (UTC)", lambda row: instant(row.newest), leaves=3),
)
