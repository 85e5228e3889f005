"""Loads the named statements of ``sql/*.sql`` and turns one into what a driver wants.

A statement begins with ``-- name: NAME [TAG ...]`` and a comment that says what it does.

- The variant whose tags all apply, and of those the one with most tags, is taken.
- ``:name`` is a value; a list becomes as many values, for ``IN (:ids)``, and a list of tuples as many
  rows, for ``VALUES :rows``.
- ``{name}`` is another named block: of the same file, else of the ``shared.sql`` in its folder, else of the
  ``shared.sql`` above. ``{name one two}`` is the same with ``one`` and ``two`` in the places of its ``$1`` and ``$2``.
- A line that ends in ``-- when :name`` is left out when that value is ``None``, ``False`` or empty.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

# Not importlib.resources, which takes as long to import as the rest of this package.
FOLDER = Path(__file__).parents[2] / "sql"

_NAME = re.compile(r"^-- name: (?P<name>\w+)(?: \[(?P<tags>[\w ]+)\])?\s*$", re.MULTILINE)
_WHEN = re.compile(r"\s+-- when :(?P<value>\w+)\s*$")
_TOKEN = re.compile(r"'(?:[^']|'')*'|\{(?P<block>\w+)(?P<arguments>(?: [\w.:]+)*)\}|(?<![:\w]):(?P<value>[a-z_]\w*)")

Part = tuple[str, str | None]
"""SQL text, and the value that follows it."""
Line = tuple[str | None, tuple[Part, ...]]
"""The value that a line depends on, and the line's parts."""


@cache
def _blocks(subject: str) -> dict[str, list[tuple[frozenset[str], str]]]:
    file = FOLDER.joinpath(*subject.split(".")).with_suffix(".sql")
    if file.name == "shared.sql" and not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    blocks: dict[str, list[tuple[frozenset[str], str]]] = {}
    heads = list(_NAME.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    for head, end in zip(heads, ends, strict=False):  # strict would refuse a file without statements
        body = text[head.end() : end]
        lines = [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("--")]
        tags = frozenset((head["tags"] or "").split())
        blocks.setdefault(head["name"], []).append((tags, "\n".join(lines)))
    return blocks


def subject_of(subject: str, block: str) -> str:
    """The subject whose file has a block that a statement of ``subject`` names."""
    folder = subject.rpartition(".")[0]
    places = (subject, f"{folder}.shared" if folder else subject, "shared")
    return next((place for place in places if block in _blocks(place)), subject)


def _variant(subject: str, name: str, tags: frozenset[str]) -> str:
    place = subject_of(subject, name)
    fitting = [(len(wanted), sql) for wanted, sql in _blocks(place).get(name, ()) if wanted <= tags]
    if not fitting:
        raise LookupError(f"no statement {place}.{name} for {sorted(tags)}")
    most = max(count for count, _ in fitting)
    best = [sql for count, sql in fitting if count == most]
    if len(best) > 1:
        raise LookupError(f"several statements {place}.{name} for {sorted(tags)}")
    return best[0]


def _expand(subject: str, sql: str, tags: frozenset[str]) -> str:
    return "\n".join(_expand_line(subject, line, tags) for line in sql.split("\n"))


def _expand_line(subject: str, line: str, tags: frozenset[str]) -> str:
    def block(token: re.Match[str]) -> str:
        if token["block"] is None:
            return token[0]
        sql = _variant(subject, token["block"], tags)
        for place, argument in enumerate(token["arguments"].split(), start=1):
            sql = sql.replace(f"${place}", argument)
        return _expand(subject, sql, tags)

    expanded = _TOKEN.sub(block, line)
    if "\n" not in expanded or not _WHEN.search(line):
        return expanded
    # The condition of a line holds for the whole of a block of several lines.
    lines = expanded.split("\n")
    if any(_WHEN.search(inner) for inner in lines[:-1]):
        raise LookupError(f"a condition inside a condition in {subject}: {line.strip()}")
    return " ".join(lines)


@cache
def load(name: str, tags: frozenset[str]) -> tuple[Line, ...]:
    """The statement ``subject.name`` in the variant for ``tags``, cut at its values.

    Raises:
        LookupError: there is no such statement, no variant for the tags, or more than one.
    """
    subject, _, statement = name.rpartition(".")
    return tuple(_line(text) for text in _expand(subject, _variant(subject, statement, tags), tags).split("\n"))


def _line(text: str) -> Line:
    condition = _WHEN.search(text)
    if condition:
        text = text[: condition.start()]
    parts: list[Part] = []
    start = 0
    for token in _TOKEN.finditer(text):
        if token["value"]:
            parts.append((text[start : token.start()], token["value"]))
            start = token.end()
    parts.append((text[start:] + "\n", None))
    return (condition["value"] if condition else None), tuple(parts)


def bind(
    lines: Iterable[Line], values: Mapping[str, Any], placeholder: str, percent: str = "%"
) -> tuple[str, list[Any]]:
    """The statement in a driver's spelling, and its values in order.

    Args:
        lines: what :func:`load` returned.
        values: value by name.
        placeholder: what the driver wants for a value (``%s`` or ``?``).
        percent: how the driver wants a literal percent sign beside values.

    Raises:
        KeyError: the statement names a value that was not given.
    """
    texts: list[str] = []
    marks: list[str] = []
    bound: list[Any] = []
    for condition, parts in lines:
        if condition is not None and not _given(values[condition]):
            continue
        for text, name in parts:
            texts.append(text)
            marks.append("" if name is None else _placeholders(values[name], placeholder))
            if name is not None:
                bound.extend(_flat(values[name]))
    # A driver looks for percent signs only where there are values to put in.
    written = (text.replace("%", percent) for text in texts) if bound else texts
    return "".join(chain.from_iterable(zip(written, marks, strict=True))), bound


def _placeholders(value: Any, placeholder: str) -> str:
    if not isinstance(value, (list, tuple)):
        return placeholder
    if not value:
        return "NULL"
    if isinstance(value[0], tuple):
        row = "(" + ",".join([placeholder] * len(value[0])) + ")"
        return ",".join([row] * len(value))
    return ",".join([placeholder] * len(value))


def _flat(value: Any) -> Iterable[Any]:
    if not isinstance(value, (list, tuple)):
        return (value,)
    return chain.from_iterable(value) if value and isinstance(value[0], tuple) else value


def _given(value: object) -> bool:
    return value is not None and value is not False and value != [] and value != ()
