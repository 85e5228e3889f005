"""Stored jobs, for programs that enqueued or spawned them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hammerwork_cli.core.codecs import CodecError, Codecs, decoded
from hammerwork_cli.core.encryption import EncryptedText, UndecryptableError
from hammerwork_cli.core.payloads import unpacked
from hammerwork_cli.core.values import JobPriority, priority_word, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.backup.models.tables import TABLES
from hammerwork_cli.features.job.queries import results
from hammerwork_cli.features.job.queries.details import terms
from hammerwork_cli.features.worker.queries.claim import CLAIMED_COLUMNS, CLAIMED_NAMES, Claim, Claimed, claimed_row
from hammerwork_cli.runtime.api.decryption import decrypted, readable
from hammerwork_cli.runtime.api.job import Job


class UnreadJob(Claimed):
    """A job whose payload or result cannot be decoded here: whoever reads it gets the error."""

    payload_error: CodecError | None = None
    result_error: CodecError | None = None


class _Stored(NamedTuple):
    """A job as its program gets it."""

    status: Any
    error: Any
    started_at: Any
    claimed: Claimed


def stored_jobs(database: Database, jobs: Sequence[str]) -> dict[str, Job]:
    """The jobs with these ids as they are now, with their results, in this order, from the archive too.

    Jobs that do not exist are left out.
    """
    stored, outcomes = _stored(database, jobs), results.texts(database, jobs)
    found: dict[str, Job] = {}
    for job in jobs:
        if row := stored.get(job):
            found[job] = one = Job._of(_decrypted(database, row.claimed))
            one.status, one.error, one.started_at = status_of(row.status), row.error, timestamp(row.started_at)
            try:
                one.result = result_of(outcomes.get(job), database.url.codecs)
            except CodecError as error:
                one._row = unread = _unread(one._row)  # type: ignore[misc]  # the base class has the slot
                unread.result_error = error
    return found


def stored_job(database: Database, job: str) -> Job | None:
    """The job with this id: see :func:`stored_jobs`; ``None`` when there is none."""
    return stored_jobs(database, [job]).get(job)


def stored_row(database: Database, job: str) -> Claimed | None:
    """The row of a job as a worker gets it before it decodes it, from the archive too; ``None`` when there is none.

    Raises:
        UndecryptableError: its payload is encrypted, and no key here fits.
    """
    row = _stored(database, [job]).get(job)
    return row and decrypted(row.claimed, database.url.keys)


def _decrypted(database: Database, claimed: Claimed) -> Claimed:
    """The job with its payload, if a key and a codec here fit; otherwise whoever reads the payload gets an error."""
    try:
        return readable(claimed, database.url)
    except UndecryptableError:
        return claimed
    except CodecError as error:
        unread = _unread(decrypted(claimed, database.url.keys))
        unread.payload_error = error
        return unread


def _unread(claimed: Claimed) -> UnreadJob:
    return claimed if isinstance(claimed, UnreadJob) else UnreadJob(*claimed)


def _stored(database: Database, jobs: Sequence[str]) -> dict[str, _Stored]:
    """The jobs by their ids, those of the archive included."""
    found: dict[str, _Stored] = {}
    columns = CLAIMED_COLUMNS if "current" in database.tags else terms(database.jobs_columns(), CLAIMED_NAMES)
    for row in database.rows_of("job.details.stored", jobs, database.key_chunk, columns=columns):
        claimed = claimed_row(database, row[3:], _nobody())
        found[claimed.id.lower()] = _Stored(row[0], row[1], row[2], claimed)
    missing = [job for job in jobs if job not in found]
    if missing and "archive" in database.tags:
        columns = terms(database.schema[TABLES["archive"].name], CLAIMED_NAMES)
        for row in database.rows_of("job.details.archived_stored", missing, database.key_chunk, columns=columns):
            claimed = _unarchived(claimed_row(database, row[3:], _nobody(), archived=True))
            found[claimed.id.lower()] = _Stored(row[0], row[1], row[2], claimed)
    return found


def _unarchived(claimed: Claimed) -> Claimed:
    priority = JobPriority[priority_word(claimed.priority).upper()]
    if isinstance(claimed.payload, EncryptedText):
        return claimed._replace(priority=priority)
    payload = unpacked(claimed.payload)
    return claimed._replace(payload=None if parsed(payload) is None else payload, priority=priority)


def _nobody() -> Claim:
    return Claim("", "", datetime.now(UTC))


def result_of(text: str | None, codecs: Codecs | None) -> Any:
    """The result for what is stored of it.

    Raises:
        CodecError: it cannot be decoded here.
    """
    return None if text is None else parsed(decoded(text, codecs))


def parsed(text: str | None) -> Any:
    """The value of JSON text; ``None`` without text, and for text of another program that is not JSON."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
