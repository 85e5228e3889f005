"""Archived jobs: records for programs, columns for people."""

from collections.abc import Sequence

from hammerwork_cli.models import priority_word, rfc3339
from hammerwork_cli.models.archive.lists import ArchivedJob, ArchivedSum
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import count, instant, short_id

KEYS = (
    "id",
    "queue",
    "status",
    "priority",
    "attempts",
    "created_at",
    "ended_at",
    "archived_at",
    "archival_reason",
    "archived_by",
    "stored_bytes",
    "payload_bytes",
    "error",
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


def archived_record(job: ArchivedJob) -> Record:
    """An archived job of a list.

    Keys: ``id``, ``queue``, ``status``, ``priority``, ``attempts``, ``created_at``, ``ended_at``, ``archived_at``,
    ``archival_reason``, ``archived_by``, ``stored_bytes`` (of its payload in the archive), ``payload_bytes`` (before;
    null if nobody recorded it), ``error`` (the first 500 characters).
    """
    return {
        "id": str(job.id),
        "queue": job.queue,
        "status": job.status,
        "priority": priority_word(job.stored_priority),
        "attempts": job.attempts,
        "created_at": rfc3339(job.created_at),
        "ended_at": rfc3339(job.ended_at),
        "archived_at": rfc3339(job.archived_at),
        "archival_reason": job.reason,
        "archived_by": job.by,
        "stored_bytes": job.stored_bytes,
        "payload_bytes": job.payload_bytes,
        "error": job.error,
    }


SUM_KEYS = ("queue", "archival_reason", "jobs", "stored_bytes", "payload_bytes", "oldest", "newest")
SUM_COLUMNS: Sequence[Column[ArchivedSum]] = (
    Column("queue", lambda row: row.queue, cuts=True),
    Column("reason", lambda row: row.reason, cuts=True),
    Column("jobs", lambda row: count(row.jobs), "right"),
    Column("bytes", lambda row: count(row.stored_bytes), "right"),
    Column("uncompressed", lambda row: count(row.payload_bytes), "right", leaves=1),
    Column("oldest (UTC)", lambda row: instant(row.oldest), leaves=2),
    Column("newest (UTC)", lambda row: instant(row.newest), leaves=3),
)


def sum_record(row: ArchivedSum) -> Record:
    """The archived jobs of a queue that share a reason.

    Keys: ``queue``, ``archival_reason``, ``jobs``, ``stored_bytes``, ``payload_bytes`` (before packing), ``oldest``,
    ``newest`` (when they were archived).
    """
    return {
        "queue": row.queue,
        "archival_reason": row.reason,
        "jobs": row.jobs,
        "stored_bytes": row.stored_bytes,
        "payload_bytes": row.payload_bytes,
        "oldest": rfc3339(row.oldest),
        "newest": rfc3339(row.newest),
    }
