"""Cursors: where the next page of a list begins."""

import re
from datetime import datetime

from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import Moment, TreeNode, moment, rfc3339

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def after(node: TreeNode) -> str:
    """``CREATED_AT/ID`` of the last job of a page of jobs by their age."""
    return at(node.created_at, node.id)


def at(instant: Moment, job: str) -> str:
    """``INSTANT/ID`` of the last job of a page of jobs in the order of something else."""
    return f"{rfc3339(instant)}/{job}"


def read(text: str) -> tuple[datetime, str]:
    """When the last job seen was created, and its id.

    Raises:
        UsageError: the text is no cursor.
    """
    at, _, job = text.partition("/")
    instant = moment(at)
    if instant is None or not _ID.fullmatch(job):
        raise UsageError(
            f"{text[:80]!r} is not a cursor.",
            hint="It is the last job's CREATED_AT/ID, as the note below a page says it.",
        )
    return instant, job
