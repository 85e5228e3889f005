"""Decrypts and decodes the payloads of jobs, just before somebody reads them."""

from typing import TYPE_CHECKING

from hammerwork_cli.core.codecs import decoded
from hammerwork_cli.core.encryption import EncryptedText, UndecryptableError

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Keys
    from hammerwork_cli.database import DatabaseUrl
    from hammerwork_cli.features.worker.queries.claim import Claimed


def readable(job: "Claimed", url: "DatabaseUrl") -> "Claimed":
    """The row of a job with its payload decrypted and decoded.

    Args:
        job: a job, encrypted or not, encoded or not.
        url: has the keys and the codecs.

    Raises:
        UndecryptableError: none of the keys fits.
        CodecError: the codec is missing, or raised.
    """
    job = decrypted(job, url.keys)
    return job._replace(payload=decoded(job.payload, url.codecs)) if isinstance(job.payload, str) else job


def decrypted(job: "Claimed", keys: "Keys | None") -> "Claimed":
    """The row of a job with its payload in plaintext.

    Args:
        job: a job, encrypted or not.
        keys: ``None`` where there are none.

    Raises:
        UndecryptableError: none of the keys fits.
    """
    if not isinstance(job.payload, EncryptedText):
        return job
    sealed = job.payload.sealed
    if keys is None:
        raise unreadable(job.payload)
    return job._replace(payload=keys._opened(sealed, job.id, job.queue_name), encryption=sealed.encryption)


def unreadable(text: EncryptedText) -> UndecryptableError:
    """The error of whoever reads a payload without a key."""
    return UndecryptableError(
        f"The payload is encrypted ({text.sealed}), and no key that fits was given.",
        hint="Give one: --encryption-key env:NAME, or Queue(url, encryption=EncryptionKeys.read('env:NAME')).",
    )
