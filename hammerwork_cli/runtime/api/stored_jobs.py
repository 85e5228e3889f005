"""Stored jobs, for programs that enqueued or spawned them."""

import json
from datetime import UTC, datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.models import JobPriority, priority_word, status_of, timestamp
from hammerwork_cli.models.payloads import unpacked
from hammerwork_cli.queries.job import results
from hammerwork_cli.queries.worker.claim import Claim, Claimed
from hammerwork_cli.runtime.api.job import Job


def stored_job(database: Database, job: str) -> Job | None:
    """The job with this id as it is now, with its result, from the archive too; ``None`` when there is none."""
    row = _stored(database, job)
    if row is None:
        return None
    status, error, started_at, *columns = row
    found = Job.of(_claimed(columns))
    found.status, found.error, found.started_at = status_of(status), error, timestamp(started_at)
    found.result = parsed(results.texts(database, [job]).get(job))
    return found


def stored_row(database: Database, job: str) -> Claimed | None:
    """The row of a job as a worker would get it, from the archive too; ``None`` when there is none."""
    row = _stored(database, job)
    return _claimed(list(row[3:])) if row is not None else None


def _stored(database: Database, job: str) -> tuple[Any, ...] | None:
    return database.row("job.details.stored", id=job) or _archived(database, job)


def _archived(database: Database, job: str) -> tuple[Any, ...] | None:
    if "archive" not in database.tags:
        return None
    row = database.row("job.details.archived_stored", id=job)
    if row is None:
        return None
    status, error, started_at, *columns = row
    claimed = _claimed(columns)
    payload = unpacked(claimed.payload)
    readable = claimed._replace(
        payload=None if parsed(payload) is None else payload,
        priority=JobPriority[priority_word(claimed.priority).upper()],
    )
    return status, error, started_at, *readable[: len(columns)]


def _claimed(columns: list[Any]) -> Claimed:
    return Claimed._make((*columns, Claim("", "", datetime.now(UTC)), False))


def parsed(text: str | None) -> Any:
    """The value of JSON text; ``None`` without text, and for text of another program that is not JSON."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
