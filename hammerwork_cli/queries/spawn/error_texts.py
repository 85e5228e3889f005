"""Texts of errors, and patterns that group equal ones."""

import re
from collections.abc import Sequence

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import TreeNode
from hammerwork_cli.models.input.reading import UUID_PATTERN

_TRACEBACK = "Traceback (most recent call last)"
_VARYING = (
    (re.compile(rf"\b{UUID_PATTERN}\b"), "<id>"),
    (re.compile(r"\b(0x[0-9a-f]+|(?=[a-f]*\d)[0-9a-f]{8,})\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\d+([.,:]\d+)*"), "<n>"),
)
"""Parts that differ between occurrences of the same error, and their replacements."""


def pattern(error: str) -> str:
    """The headline of an error with placeholders for ids, hexadecimal and other numbers."""
    line = headline(error)
    for varying, word in _VARYING:
        line = varying.sub(word, line)
    return line


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
            errors[job] = f"{_TRACEBACK}:\n{ending}"
    return errors
