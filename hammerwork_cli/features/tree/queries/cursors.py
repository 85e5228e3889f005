"""Cursors: the start of the next page of a list."""

from datetime import datetime

from hammerwork_cli.core.input.reading import uuid_of
from hammerwork_cli.core.values import Timestamp, rfc3339, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import JobNotFoundError, UsageError
from hammerwork_cli.features.tree.model import TreeNode


def after(node: TreeNode) -> str:
    """``CREATED_AT/ID`` of the last job on a page that is sorted by creation."""
    return at(node.created_at, node.id)


def at(instant: Timestamp, job: str) -> str:
    """``INSTANT/ID`` of the last job on a page that is sorted by another timestamp."""
    return f"{rfc3339(instant)}/{job}"


def read(database: Database, text: str) -> tuple[datetime, str]:
    """Returns the creation time and the id of the last job that the user has seen.

    Args:
        text: ``CREATED_AT/ID``, which stays valid after the job is deleted, or the id alone. With an unreadable time,
            the time comes from the job.
    """
    instant, job = split(text)
    return instant or _created_at(database, job), job


def split(text: str) -> tuple[datetime | None, str]:
    """Splits a cursor into its time, if it has a readable one, and the id of the last job."""
    at, _, last = text.rpartition("/")
    job = uuid_of(last)
    if job is None:
        raise UsageError(
            f"{text[:80]!r} is not a cursor.",
            hint="Give the id of the last job, or the cursor that the previous page names.",
        )
    return timestamp(at), job


def _created_at(database: Database, job: str) -> datetime:
    instant = timestamp(database.value("tree.cursors.created_at", id=job))
    if instant is None:
        raise JobNotFoundError(job, "to continue after")
    return instant
