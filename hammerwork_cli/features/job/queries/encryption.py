"""Reads and writes encrypted payloads, and tells which queues have them."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import LastingConflictError, RetryableError, UsageError
from hammerwork_cli.features.job.models.new_job import NewJob

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import EncryptedText

FIRST = 1_000
"""Encrypted jobs that a worker without a key looks at when it starts."""


def encrypted_text(payload: Any, sealed: Sequence[Any]) -> "EncryptedText":
    """What stands in place of the payload of an encrypted job.

    Args:
        payload: the placeholder.
        sealed: the columns of ``{sealed}``.
    """
    from hammerwork_cli.core.encryption import EncryptedText, Sealed

    return EncryptedText(Sealed(payload, *sealed))


def sealed_text(database: Database, job: str, *, archived: bool = False) -> "EncryptedText":
    """Reads it for one job."""
    if archived:
        from hammerwork_cli.core.payloads import unpacked

        row = database.row("job.encryption.of_archived", ids=[job])
        row = row and (row[0], unpacked(row[1]) or "null", *row[2:])
    else:
        row = database.row("job.encryption.of_jobs", ids=database.ids([job]))
    if row is None:
        raise RetryableError(f"The job {job} changed while it was read.", hint="Try again.")
    return encrypted_text(row[1], row[2:])


def opened(database: Database, job: str, queue: str, *, archived: bool = False) -> str | None:
    """The payload of an encrypted job as JSON text; ``None`` if no key here fits."""
    from hammerwork_cli.core.encryption import UndecryptableError

    if database.url.keys is None:
        return None
    try:
        return database.url.keys._opened(sealed_text(database, job, archived=archived).sealed, job, queue)
    except UndecryptableError:
        return None


def encoded_payload(database: Database, job: NewJob) -> str:
    """The payload of a job that is about to be written, as the codec of its queue stores it."""
    codecs = database.url.codecs
    return job.payload if codecs is None else codecs.encoded(job.payload, job.queue)


def decoded_payload(database: Database, stored: str | None) -> str | None:
    """The payload for a stored one; ``None`` if no codec here fits."""
    if stored is None or "_codec" not in stored:
        return stored
    from hammerwork_cli.core.codecs import CodecError, decoded

    try:
        return decoded(stored, database.url.codecs)
    except CodecError:
        return None


def sealed_columns(database: Database, job: NewJob) -> tuple[str, tuple[Any, ...]]:
    """Encrypts the payload of a job that is about to be written, if it is to be, after the codec of its queue.

    Returns the text for the column of the payload, and the values of the columns of encryption.
    """
    from hammerwork_cli.core.encryption import NOT_ENCRYPTED

    plain = encoded_payload(database, job)
    if job.encryption is None:
        return plain, NOT_ENCRYPTED
    if database.url.keys is None:
        raise UsageError(
            f"The job {job.id} is to be encrypted, but no key was given: nothing was written.",
            hint="Give one: --encryption-key env:NAME, or Queue(url, encryption=EncryptionKeys.read('env:NAME')).",
        )
    if plain is not job.payload and job.encryption.pii_fields:
        raise UsageError(
            f"The queue {job.queue!r:.100} has a codec, after which a payload has no fields to encrypt.",
            hint="Encrypt the whole payload: with_encryption().",
        )
    payload, columns = database.url.keys._sealed(plain, job.id, job.queue, job.encryption, job.created_at)
    fields = list(columns.pii_fields)
    stored = fields if database.dialect == "postgresql" else json.dumps(fields)
    return payload, tuple(columns._replace(pii_fields=stored))  # type: ignore[arg-type]  # as the database wants it


def refuse_plaintext(database: Database, jobs: Iterable[NewJob]) -> None:
    """Refuses jobs for queues that hold encrypted ones if nobody has said that plaintext is meant.

    What is written in plaintext cannot be unwritten. Every new job passes here, and so does what becomes one later:
    schedules and callbacks.

    Args:
        database: one of an application asks only if the application wants that: its code says which jobs it encrypts.
    """
    if not database.url.refuse_plaintext:
        return
    plain = dict.fromkeys(job.queue for job in jobs if job.encryption is None and not job.plaintext_meant)
    for queue in plain:
        if database.row("job.encryption.is_used", queue=queue) is not None:
            raise LastingConflictError(
                f"The queue {queue!r:.100} holds encrypted jobs, and a new one would be written in plaintext.",
                hint='Encrypt it, or ask for plaintext: --no-encrypt, or "encrypt": false in JSON.',
            )


def with_open_jobs(database: Database, queues: Sequence[str]) -> list[str]:
    """The queues among these that have an encrypted job to run. It looks at the first thousand such jobs."""
    rows = database.rows("job.encryption.with_open_jobs", queues=queues, limit=FIRST)
    return sorted(queue for queue, *_ in rows)


def is_encrypted(database: Database, job: str) -> bool:
    return "encryption" in database.tags and bool(database.rows("job.encryption.of_jobs", ids=database.ids([job])))
