"""Changes of the SQL files: conditions, comparisons, what is set, and the order."""

import re
from collections.abc import Iterator

from mutants.changes import Change

_NAME = re.compile(r"^-- name: (?P<name>\w+)(?: \[(?P<tags>[\w ]+)\])?\s*$", re.MULTILINE)
_CONDITION = re.compile(
    r"\b(?:WHERE|AND|OR)\s+(?P<condition>[^()\n]*?(?:\([^()\n]*\)[^()\n]*?)*)"
    r"(?=\s(?:AND|OR|ORDER|LIMIT|UNION|OFFSET)\b|\)|\n|$)"
)
_SET = re.compile(
    r"(?<=[ ,\n])(?P<column>(?:\w\.)?\w+) = "
    r"(?P<value>NULL|'[^']*'|:\w+|\{server_now\}|\w+(?:\([^()]*\))? [+-] 1)"
)
FLIPS = {
    " <= ": (" < ", " > "),
    " < ": (" <= ", " >= "),
    " >= ": (" > ", " < "),
    " > ": (" >= ", " <= "),
    " <> ": (" = ",),
    " = ": (" <> ",),
    "IS NULL": ("IS NOT NULL",),
    "IS NOT NULL": ("IS NULL",),
    "NOT EXISTS": ("EXISTS",),
    " NOT IN ": (" IN ",),
    " IN ": (" NOT IN ",),
}


def changes(path: str, text: str) -> Iterator[Change]:
    """All changes of the statements of a file."""
    heads = list(_NAME.finditer(text))
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        tags = f" [{head['tags']}]" if head["tags"] else ""
        end = after.start() if after else len(text)
        for start, before, other in sorted(set(_edits(text, head.end(), end))):
            line = text.count("\n", 0, start) + 1
            yield Change(path, head["name"] + tags, len(text[:start].encode()), before, other, line)


Edit = tuple[int, str, str]
"""Where, what is there, and what takes its place."""


def _edits(text: str, start: int, end: int) -> Iterator[Edit]:
    for line in re.compile(r"^(?!--).+$", re.MULTILINE).finditer(text, start, end):
        for found in _CONDITION.finditer(text, line.start(), line.end()):
            yield from _conditions(found.start("condition"), found["condition"])
        for found in re.compile(r"(?<=\w )DESC\b|(?<=SELECT )DISTINCT ").finditer(text, line.start(), line.end()):
            yield found.start(), found[0], ""
    body = text[start:end]
    update = re.search(r"^(?:UPDATE|INSERT)\b", body, re.MULTILINE)
    if update:
        stop = re.compile(r"\bWHERE\b|\bFROM\b").search(text, start + update.start(), end)
        for found in _SET.finditer(text, start + update.start(), stop.start() if stop else end):
            yield found.start(), found[0], f"{found['column']} = {found['column']}"
            if found["value"].endswith("1"):
                other = found[0][:-3] + ("- 1" if found[0][-3] == "+" else "+ 1")
                yield found.start(), found[0], other


def _conditions(start: int, condition: str) -> Iterator[Edit]:
    if condition.strip() in {"", "TRUE"}:
        return
    yield start, condition, "TRUE"
    # Nobody can tell the very moment of a clock from the next one.
    timed = "_at" in condition or "{silent_for}" in condition
    for sign, others in FLIPS.items():
        if sign in condition:
            for other in others[int(timed and len(others) > 1) :]:
                yield start, condition, condition.replace(sign, other, 1)
            return
