"""Cursors: where the next page of a list begins."""

from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.errors import JobNotFoundError, UsageError
from hammerwork_cli.models import Timestamp, TreeNode, rfc3339, timestamp
from hammerwork_cli.models.reading import uuid_of


def after(node: TreeNode) -> str:
    """``CREATED_AT/ID`` of the last job of a page of jobs by their age."""
    return at(node.created_at, node.id)


def at(instant: Timestamp, job: str) -> str:
    """``INSTANT/ID`` of the last job of a page of jobs in the order of something else."""
    return f"{rfc3339(instant)}/{job}"


def read(database: Database, text: str) -> tuple[datetime, str]:
    """When the last job seen was created, and its id.

    Args:
        database: where.
        text: ``CREATED_AT/ID``, which outlives the job, or its id alone; a time that is none counts for nothing.

    Raises:
        UsageError: the text is no cursor.
        JobNotFoundError: it is the id of a job that is not there any more.
    """
    instant, job = split(text)
    return instant or _created_at(database, job), job


def split(text: str) -> tuple[datetime | None, str]:
    """The time in a cursor, where there is one, and the last job's id.

    Raises:
        UsageError: the text is no cursor.
    """
    at, _, last = text.rpartition("/")
    job = uuid_of(last)
    if job is None:
        raise UsageError(
            f"{text[:80]!r} is not a cursor.", hint="It is the last job's id, or its CREATED_AT/ID as a page says it."
        )
    return timestamp(at), job


def _created_at(database: Database, job: str) -> datetime:
    row = database.row("graph.cursors.created_at", id=job)
    instant = timestamp(row[0]) if row else None
    if instant is None:
        raise JobNotFoundError(job, "to go on after")
    return instant
