"""Finding jobs: one by its id, many by a filter, and everything about one."""

import re
import zlib
from typing import TYPE_CHECKING, Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import AmbiguousIdError, NotFoundError, UsageError
from hammerwork_cli.models import (
    Counts,
    Job,
    JobDetails,
    JobFilter,
    JobPage,
    JobPriority,
    TreeNode,
)
from hammerwork_cli.queries import cursors
from hammerwork_cli.queries.kinship import Kinship, packed_config

if TYPE_CHECKING:
    from hammerwork_cli.models.health import Hold

_HEX = re.compile(r"[0-9a-f]{4,32}")
SHOWN_CANDIDATES = 10
SHOWN_CHILDREN = 10
LIST_JOBS = "Ids are shown by: hammerwork job list"
UNPACKED_LIMIT = 1 << 26

_NODE = len(TreeNode._fields)
_FACTS = (
    "timeout_seconds",
    "timed_out_at",
    "cron_schedule",
    "timezone",
    "recurring",
    "next_run_at",
    "batch_id",
    "result_stored_at",
    "result_expires_at",
    "trace_id",
    "correlation_id",
    "parent_span_id",
    "span_context",
)
_ARCHIVAL = ("archival_reason", "archived_by")
_ENCRYPTION = (
    "is_encrypted",
    "encryption_key_id",
    "encryption_algorithm",
    "encrypted_bytes",
    "payload_hash",
    "retention_policy",
    "retention_delete_at",
    "encrypted_at",
)


def resolve(database: Database, text: str) -> str:
    """The full id of the one job that an id or a unique prefix of it names, archived jobs included.

    Raises:
        UsageError: not 4 to 32 hex digits.
        NotFoundError: no job has such an id.
        AmbiguousIdError: several have; the details list them.
    """
    digits = text.strip().lower().replace("-", "")
    if not _HEX.fullmatch(digits):
        raise UsageError(
            f"{text[:60]!r} is not a job id.", hint="Give a UUID, or at least 4 hex digits of its beginning."
        )
    bounds = {"low": _hyphenated(digits.ljust(32, "0")), "high": _hyphenated(digits.ljust(32, "f"))}
    rows = database.rows("jobs.by_prefix", **bounds, limit=SHOWN_CANDIDATES + 1)
    if not rows and "archive" in database.tags:
        rows = database.rows("jobs.archived_by_prefix", **bounds, limit=SHOWN_CANDIDATES + 1)
    if not rows:
        raise NotFoundError(f"No job has an id that begins with {text.strip()[:40]}.", hint=LIST_JOBS)
    if len(rows) > 1:
        candidates = [str(row[0]) for row in rows[:SHOWN_CANDIDATES]]
        more = " and more" if len(rows) > SHOWN_CANDIDATES else ""
        raise AmbiguousIdError(
            f"Several jobs have an id that begins with {text.strip()}: {', '.join(candidates)}{more}.",
            hint="Give more digits.",
            candidates=candidates,
        )
    return str(rows[0][0]).lower()


def _hyphenated(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


# Lists.


def chosen(wanted: JobFilter) -> dict[str, Any]:
    """The values that the statements' block ``chosen`` names."""
    return {
        "queue": wanted.queue,
        "statuses": tuple(spelling for status in wanted.statuses for spelling in status.spellings),
        "priorities": tuple(int(priority) for priority in wanted.priorities),
        # A number out of range reads as normal, as in the original.
        "normal": JobPriority.NORMAL in wanted.priorities,
        "since": wanted.since,
        "ended_before": wanted.ended_before,
        "unarchived": wanted.unarchived,
    }


def find(database: Database, wanted: JobFilter, *, limit: int, cursor: str | None = None) -> JobPage:
    """The newest jobs that a filter chooses.

    Args:
        database: where.
        wanted: which.
        limit: how many at most.
        cursor: ``CREATED_AT/ID`` of the last job seen; the page begins after it.

    Raises:
        UsageError: the cursor is none.
    """
    at, job = cursors.read(cursor) if cursor else (None, None)
    rows = database.rows("jobs.list", **chosen(wanted), limit=limit + 1, cursor_at=at, cursor_id=job)
    jobs = [_job(row) for row in rows[:limit]]
    more = len(rows) > limit
    return JobPage(jobs, cursors.after(jobs[-1].node) if more else None)


def _job(row: tuple[Any, ...]) -> Job:
    return Job(TreeNode._make(row[:_NODE]), *row[_NODE : _NODE + 3])


# One job.


def details(database: Database, job: str) -> JobDetails:
    """Everything about a job, out of the archive when it is nowhere else.

    Args:
        database: where.
        job: a full id.

    Raises:
        NotFoundError: there is no such job.
    """
    columns = database.jobs_columns()
    names: tuple[str, ...] = _FACTS
    if archival := "archival_reason" in columns:
        names += _ARCHIVAL
    if encryption := "is_encrypted" in columns:
        names += _ENCRYPTION
    row = database.row("jobs.details", id=job, archival=archival, encryption=encryption)
    if row is not None:
        return _details(database, row, names, in_archive=False)
    if "archive" in database.tags:
        encryption = "is_encrypted" in database.schema["hammerwork_jobs_archive"]
        names = _FACTS + _ARCHIVAL + (_ENCRYPTION if encryption else ())
        row = database.row("jobs.archived_details", id=job, encryption=encryption)
    if row is None:
        raise NotFoundError(f"There is no job {job}.", hint=LIST_JOBS)
    return _details(database, row, names, in_archive=True)


def _details(database: Database, row: tuple[Any, ...], names: tuple[str, ...], *, in_archive: bool) -> JobDetails:
    job = _job(row)
    error, payload, result, *facts = row[_NODE + 3 :]
    node = job.node._replace(error=error)
    if in_archive:
        payload = unpacked(payload)
        node = node._replace(stored_config=packed_config(payload))
    kin = Kinship(database)
    above = {parent.id: parent for parent in kin.jobs(dict.fromkeys(node.depends_on))}
    children = kin.child_counts([node.id]).get(node.id)
    return JobDetails(
        job=Job(node, job.scheduled_at, job.max_attempts, job.dependency_status),
        in_archive=in_archive,
        payload=payload,
        result=result,
        facts=dict(zip(names, facts, strict=True)),
        parents=tuple(above.values()),
        missing=tuple(parent for parent in node.depends_on if parent not in above),
        children=children.counts if children else Counts(),
        first_children=_first_children(kin, node.id),
        hold=_hold(database, node.id) if job.dependency_status == "waiting" else None,
        **_spawning(database, node.id),
    )


def _spawning(database: Database, job: str) -> dict[str, Any]:
    if "workers" not in database.tags:
        return {}
    from hammerwork_cli.queries import spawn_records, spawn_requests

    return {
        "spawns": tuple(spawn_records.of_jobs(database, [job]).get(job, ())),
        "requests": tuple(spawn_requests.of_job(database, job)),
    }


def _hold(database: Database, job: str) -> "Hold | None":
    from hammerwork_cli.queries.holds import holds

    return holds(database, [job]).get(job)


def _first_children(kin: Kinship, job: str) -> tuple[TreeNode, ...]:
    children = {child.id: child for child in kin.children([job], SHOWN_CHILDREN)}
    return tuple(children.values())[:SHOWN_CHILDREN]


def unpacked(payload: Any) -> str | None:
    """The JSON text of an archived payload, which may be gzipped; ``None`` when it cannot be read."""
    packed = payload.encode() if isinstance(payload, str) else bytes(payload)
    try:
        if packed[:2] == b"\x1f\x8b":
            packed = zlib.decompressobj(wbits=31).decompress(packed, UNPACKED_LIMIT)
        return packed.decode()
    except (ValueError, zlib.error):
        return None
