"""Stored jobs, for programs that enqueued or spawned them."""

import json
from datetime import UTC, datetime
from typing import Any

from hammerwork_cli.core.encryption import EncryptedText, UndecryptableError
from hammerwork_cli.core.payloads import unpacked
from hammerwork_cli.core.values import JobPriority, priority_word, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.queries import results
from hammerwork_cli.features.worker.queries.claim import Claim, Claimed, claimed_row
from hammerwork_cli.runtime.api.decryption import decrypted
from hammerwork_cli.runtime.api.job import Job


def stored_job(database: Database, job: str) -> Job | None:
    """The job with this id as it is now, with its result, from the archive too; ``None`` when there is none."""
    row = _stored(database, job)
    if row is None:
        return None
    status, error, started_at, claimed = row
    found = Job.of(_decrypted(database, claimed))
    found.status, found.error, found.started_at = status_of(status), error, timestamp(started_at)
    found.result = parsed(results.texts(database, [job]).get(job))
    return found


def stored_row(database: Database, job: str) -> Claimed | None:
    """The row of a job as a worker would get it, from the archive too; ``None`` when there is none.

    Raises:
        UndecryptableError: its payload is encrypted, and no key here fits.
    """
    row = _stored(database, job)
    return row and decrypted(row[3], database.url.keys)


def _decrypted(database: Database, claimed: Claimed) -> Claimed:
    """The job with its payload, if a key here fits; otherwise whoever reads the payload gets an error."""
    try:
        return decrypted(claimed, database.url.keys)
    except UndecryptableError:
        return claimed


def _stored(database: Database, job: str) -> tuple[Any, Any, Any, Claimed] | None:
    row = database.row("job.details.stored", id=job)
    if row is not None:
        return *row[:3], claimed_row(database, row[3:], _nobody())
    return _archived(database, job)


def _archived(database: Database, job: str) -> tuple[Any, Any, Any, Claimed] | None:
    if "archive" not in database.tags:
        return None
    row = database.row("job.details.archived_stored", id=job)
    if row is None:
        return None
    claimed = claimed_row(database, row[3:], _nobody(), archived=True)
    priority = JobPriority[priority_word(claimed.priority).upper()]
    if isinstance(claimed.payload, EncryptedText):
        return *row[:3], claimed._replace(priority=priority)
    payload = unpacked(claimed.payload)
    return *row[:3], claimed._replace(payload=None if parsed(payload) is None else payload, priority=priority)


def _nobody() -> Claim:
    return Claim("", "", datetime.now(UTC))


def parsed(text: str | None) -> Any:
    """The value of JSON text; ``None`` without text, and for text of another program that is not JSON."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
