"""Texts of errors, and patterns that group equal ones."""

import re
from collections.abc import Sequence

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import TreeNode
from hammerwork_cli.models.input.reading import UUID_PATTERN

_TRACEBACK = "Traceback (most recent call last)"
_VARYING = re.compile(
    rf"\b{UUID_PATTERN}\b"
    r"|\b(?:0x[0-9a-f]+|(?=[a-f]*\d)[0-9a-f]{8,})\b"
    r"|\d+(?:[.,:]\d+)*"
    r"|(?<!\w)(?P<quote>['\"`])[^'\"`]+(?P=quote)(?!\w)",
    re.IGNORECASE,
)
"""Parts that differ between occurrences of the same error: ids, hexadecimal and other numbers, quoted words."""


def pattern(error: str) -> str:
    """The headline of an error with ``*`` for ids, numbers and quoted words.

    The filter of jobs by error understands it: :class:`hammerwork_cli.models.JobFilter`.
    """
    return _VARYING.sub(_star, headline(error))


def _star(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    return f"{quote}*{quote}"


def headline(error: str) -> str:
    """The line of an error that names it: the last one of a traceback, else the first."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1] if lines[0].startswith(_TRACEBACK) else lines[0]


def error_texts(database: Database, nodes: Sequence[TreeNode]) -> dict[str, str]:
    """Id -> error, for the jobs that have one; of a traceback only its end, which contains the headline."""
    errors = {node.id: node.error for node in nodes if node.error}
    cut = [job for job, error in errors.items() if error.startswith(_TRACEBACK)]
    for part in chunks(cut, database.key_chunk):
        for job, ending in database.rows("spawn.why.error_endings", ids=part):
            errors[job] = of_traceback(ending)
    return errors


def of_traceback(ending: str) -> str:
    """A traceback of which only the end was read."""
    return f"{_TRACEBACK}:\n{ending}"
