"""Loads the named statements of the features and writes them as a driver wants them.

``worker.claim.ready`` is the statement ``ready`` in ``features/worker/sql/claim.sql``; ``queue.list`` is in the file
``queue.sql`` of its feature. A statement begins with ``-- name: NAME [TAG ...]`` and a comment that says what it does.

- Of several variants the loader takes the one with the most tags, all of which apply.
- ``:name`` is a value. A list becomes as many values, for ``IN (:ids)``; a list of tuples becomes as many rows, for
  ``VALUES :rows``. :class:`Names` become these names, and :class:`Assignments` become ``column = value``, for ``SET``.
- ``{name}`` is a fragment: a named block of the same file, else of the ``shared.sql`` of its feature, else of that of
  all features. ``{name one two}`` puts ``one`` and ``two`` in the places of its ``$1`` and ``$2``. A fragment
  may name fragments, which name none.
- ``/* if :name */`` at the start of a line leaves the line out when that value is ``None``, ``False`` or an empty list.
- Other comments have lines to themselves and are not sent.

``python -m hammerwork_cli.database.statements`` prints a statement as it is sent.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

# Not importlib.resources, which takes as long to import as the rest of this package.
FOLDER = Path(__file__).parents[2] / "features"
GROWN = {
    "archive": ("hammerwork_jobs", "archived_at"),
    "encryption": ("hammerwork_jobs", "is_encrypted"),
    "pause": ("hammerwork_queue_pause", "paused_at"),
    "leases": ("hammerwork_jobs", "lease_expires_at"),
    "strategies": ("hammerwork_jobs", "retry_strategy"),
}
"""Tags of what the tables of hammerwork (Rust) have gained -> the table and the column that tell."""
LEVELS = 3
"""How deep fragments may be nested, so that a reader soon sees the whole of a statement."""

# Without a ^ at its beginning, Python finds it several times faster, in files that each start reads.
NAME = re.compile(r"-- name: (?P<name>\w+)(?: \[(?P<tags>[\w ]+)\])?\s*$", re.MULTILINE)
TOKEN = re.compile(r"'(?:[^']|'')*'|\{(?P<block>\w+)(?P<arguments>(?: [\w.:]+)*)\}|(?<![:\w]):(?P<value>[a-z_]\w*)")
_CONDITION = re.compile(r"\s*/\* if :(?P<value>[a-z_]\w*) \*/ (?P<text>.*\S.*)")
_COMMENTS = ("--", "/*", "*/")

Part = tuple[str, str | None]
"""SQL text, and the value that follows it."""


class Names(tuple[str, ...]):
    """Names of tables or columns as a value: they are written into the statement. They come from lists in the code."""

    def __new__(cls, names: Iterable[str]) -> "Names":
        made = super().__new__(cls, names)
        if not all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in made):
            raise ValueError(f"not names: {made!r}")
        return made


class Columns(Names):
    """Columns by any name that a database gives them, as :meth:`Database.quoted` writes them, or terms of them."""

    def __new__(cls, terms: Iterable[str]) -> "Columns":
        return tuple.__new__(cls, terms)


class Assignments(list[Any]):
    """Values that an update writes, by column. The names of the columns come from lists in the code."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values.values())
        self.columns = Names(values)


class StatementLine(NamedTuple):
    condition: str | None  # the value without which the line is left out
    parts: tuple[Part, ...]  # the line, cut at its values


def file_of(subject: str) -> Path:
    """The file of a subject: ``worker.claim``, ``queue`` or ``shared``."""
    feature, _, name = subject.partition(".")
    return FOLDER / "shared.sql" if subject == "shared" else FOLDER / feature / "sql" / f"{name or feature}.sql"


@cache
def _bodies(subject: str) -> dict[str, list[tuple[frozenset[str], str]]]:
    file = file_of(subject)
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    found: dict[str, list[tuple[frozenset[str], str]]] = {}
    heads = list(NAME.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    for head, end in zip(heads, ends, strict=False):  # strict would refuse a file without statements
        tags = frozenset((head["tags"] or "").split())
        found.setdefault(head["name"], []).append((tags, text[head.end() : end]))
    return found


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("--"))


@cache
def blocks(subject: str) -> dict[str, list[tuple[frozenset[str], str]]]:
    """Name -> the variants of a block in the file of a subject: their tags, and their text without comments."""
    return {
        name: [(tags, _without_comments(body)) for tags, body in variants]
        for name, variants in _bodies(subject).items()
    }


def subject_of(subject: str, block: str) -> str:
    """The subject whose file has a block that a statement of ``subject`` names."""
    folder = subject.rpartition(".")[0]
    places = (subject, f"{folder}.shared" if folder else subject, "shared")
    return next((place for place in places if block in _bodies(place)), subject)


def _variant(subject: str, name: str, tags: frozenset[str]) -> str:
    place = subject_of(subject, name)
    fitting = [(len(wanted), sql) for wanted, sql in _bodies(place).get(name, ()) if wanted <= tags]
    if not fitting:
        raise LookupError(f"no statement {place}.{name} for {sorted(tags)}")
    most = max(count for count, _ in fitting)
    best = [sql for count, sql in fitting if count == most]
    if len(best) > 1:
        raise LookupError(f"several statements {place}.{name} for {sorted(tags)}")
    return _without_comments(best[0])


def _expand(subject: str, sql: str, tags: frozenset[str], level: int = 0) -> str:
    return "\n".join(_expand_line(subject, line, tags, level) for line in sql.split("\n"))


def _expand_line(subject: str, line: str, tags: frozenset[str], level: int) -> str:
    def block(token: re.Match[str]) -> str:
        if token["block"] is None:
            return token[0]
        if level == LEVELS:
            raise ValueError(f"fragments nested more than {LEVELS} deep in {subject}: {line.strip()}")
        sql = _variant(subject, token["block"], tags)
        for place, argument in enumerate(token["arguments"].split(), start=1):
            sql = sql.replace(f"${place}", argument)
        expanded = _expand(subject, sql, tags, level + 1)
        if token.string[token.end() :].strip() and _CONDITION.fullmatch(expanded.rpartition("\n")[2]):
            raise ValueError(f"text after a condition in {subject}: {line.strip()}")
        return expanded

    condition = _CONDITION.fullmatch(line)
    if condition is None:
        return TOKEN.sub(block, line)
    text = TOKEN.sub(block, condition["text"])
    if "/* if" in text:
        raise ValueError(f"a condition inside a condition in {subject}: {line.strip()}")
    # The condition of a line is that of the whole of a fragment, which may have several lines or none.
    return f"/* if :{condition['value']} */ " + text.replace("\n", " ") if text.strip() else ""


class Statement(tuple[StatementLine, ...]):
    """The lines of a statement, and its texts for plain values, which are made once."""

    def __init__(self, lines: Iterable[StatementLine]) -> None:
        del lines
        self.conditions = tuple([line.condition for line in self if line.condition is not None])
        self.named: tuple[str, ...] = ()  # the values that are Names, as far as it has been bound
        self.texts: dict[tuple[object, ...], tuple[str, tuple[str, ...]]] = {}

    @property
    def text(self) -> str:
        """All its lines, without their values."""
        return "".join(text for line in self for text, _ in line.parts)


@cache
def load(name: str, tags: frozenset[str]) -> Statement:
    """The statement ``subject.name`` in the variant for ``tags``, cut at its values."""
    subject, _, statement = name.rpartition(".")
    text = _expand(subject, _variant(subject, statement, tags), tags)
    return Statement([_line(name, line) for line in text.split("\n")])


def _line(name: str, text: str) -> StatementLine:
    condition = _CONDITION.fullmatch(text)
    if condition:
        text = condition["text"]
    # A formatter that moves a condition would change what a statement does; that must never pass in silence.
    if any(sign in text and sign in TOKEN.sub("", text) for sign in _COMMENTS):
        raise ValueError(f"a comment or a malformed condition in a line of {name}: {text.strip()}")
    parts: list[Part] = []
    start = 0
    for token in TOKEN.finditer(text):
        if token["value"]:
            parts.append((text[start : token.start()], token["value"]))
            start = token.end()
    parts.append((text[start:] + "\n", None))
    return StatementLine(condition["value"] if condition else None, tuple(parts))


def bind(
    statement: Statement, values: Mapping[str, Any], placeholder: str, percent: str = "%"
) -> tuple[str, list[Any]]:
    """The statement in a driver's spelling, and its values in order.

    Raises KeyError if the statement names a value that was not given.

    Args:
        placeholder: what the driver wants for a value (``%s`` or ``?``).
        percent: how the driver wants a literal percent sign beside values.
    """
    given = [_given(values[condition]) for condition in statement.conditions]
    key = (placeholder, percent, *given, *[values[name] for name in statement.named])
    if key not in statement.texts:
        used = {name for line in statement for _, name in line.parts if name is not None}
        statement.named = tuple(
            sorted(name for name in used if isinstance(values.get(name), Names) or name in statement.named)
        )
        key = (placeholder, percent, *given, *[values[name] for name in statement.named])
        statement.texts[key] = _plain(statement, values, iter(given), placeholder, percent)
    text, names = statement.texts[key]
    bound = [values[name] for name in names]
    for value in bound:
        if isinstance(value, (list, tuple)):
            return _spread(statement, values, iter(given), placeholder, percent)
    return text, bound


def _parts(statement: Statement, given: Iterator[bool]) -> Iterator[Part]:
    for condition, parts in statement:
        if condition is None or next(given):
            yield from parts


def _plain(
    statement: Statement, values: Mapping[str, Any], given: Iterator[bool], placeholder: str, percent: str
) -> tuple[str, tuple[str, ...]]:
    """The text with a placeholder for each value but Names, which it has, and the names of the others."""
    parts = list(_parts(statement, given))
    named = {name: ", ".join(values[name] or ()) for name in statement.named}
    names = tuple([name for _, name in parts if name is not None and name not in named])
    pieces = ((text, "" if name is None else named.get(name, placeholder)) for text, name in parts)
    return _written(pieces, percent if names else "%"), names


def _spread(
    statement: Statement, values: Mapping[str, Any], given: Iterator[bool], placeholder: str, percent: str
) -> tuple[str, list[Any]]:
    """The text with as many placeholders as the values have parts, and these."""
    parts = list(_parts(statement, given))
    bound = list(chain.from_iterable([_flat(values[name]) for _, name in parts if name is not None]))
    pieces = ((text, "" if name is None else _placeholders(values[name], placeholder)) for text, name in parts)
    return _written(pieces, percent if bound else "%"), bound


def _written(pieces: Iterable[tuple[str, str]], percent: str) -> str:
    # A driver looks for percent signs only where there are values to put in.
    return "".join(chain.from_iterable((text.replace("%", percent), values) for text, values in pieces))


def _placeholders(value: Any, placeholder: str) -> str:
    if isinstance(value, Names):
        return ", ".join(value)
    if not isinstance(value, (list, tuple)):
        return placeholder
    if not value:
        return "NULL"
    if isinstance(value[0], tuple):
        row = "(" + ",".join([placeholder] * len(value[0])) + ")"
        return ",".join([row] * len(value))
    if isinstance(value, Assignments):
        return ", ".join([f"{column} = {placeholder}" for column in value.columns])
    return ",".join([placeholder] * len(value))


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, Names):
        return ()
    if not isinstance(value, (list, tuple)):
        return (value,)
    return chain.from_iterable(value) if value and isinstance(value[0], tuple) else value


def _given(value: object) -> bool:
    return value is not None and value is not False and value != [] and value != ()
