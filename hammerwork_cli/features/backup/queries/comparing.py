"""Compares a database with its copy, record by record, with flat memory."""

import json
from collections.abc import Collection
from decimal import Decimal
from math import inf, isfinite
from typing import Any

from hammerwork_cli.core.values import RUNNING_SPELLINGS, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import batched
from hammerwork_cli.features.backup.models.plan import CopyComparison
from hammerwork_cli.features.backup.models.tables import CLAIM, TEXT_OF, ColumnKind, Record
from hammerwork_cli.features.backup.queries.rows import Rows

PART = 500
MOST_EXAMPLES = 10
_JSON = {"json", "jsonb"}
"""Types of which a database writes the text in its own way."""
MOST_DIGITS = 4000
"""Of a number: with more, neither side is a number to Python."""


def compare(source: Database, copy: Database, *, merged: bool = False, without: Collection[str] = ()) -> CopyComparison:
    """Compares all records of a database with those of its copy.

    Args:
        merged: the copy may have more records.
    """
    found = CopyComparison()
    with source.snapshot(), copy.snapshot():
        words = Rows.words(copy, copied=True)
        for word in Rows.words(source, copied=True):
            ours = Rows(source, word, without)
            theirs = Rows(copy, word, without) if word in words else None
            _compare(word, ours, theirs, found, merged=merged)
    return found


def _compare(word: str, ours: Rows, theirs: Rows | None, found: CopyComparison, *, merged: bool) -> None:
    compared = 0
    for part in batched(ours.all(), PART):
        compared += len(part)
        kept = _by_key(theirs, part) if theirs else {}
        for record in part:
            key = tuple(record.get(name) for name in ours.table.key)
            other = kept.get(key)
            if other is None:
                _count(found.missing, word, key, found)
            elif theirs and (names := _differing(ours, theirs, record, other)):
                _count(found.different, word, key, found)
                found.columns.setdefault(word, set()).update(names)
    if compared:
        found.compared[word] = compared
    more = (theirs.count() if theirs else 0) - compared + found.missing.get(word, 0)
    if more > 0 and not merged:
        found.more[word] = more


def _count(counts: dict[str, int], word: str, key: tuple[Any, ...], found: CopyComparison) -> None:
    counts[word] = counts.get(word, 0) + 1
    if len(found.examples) < MOST_EXAMPLES:
        found.examples.append(f"{word} {' '.join(map(str, key))}")


def _by_key(theirs: Rows, part: list[Record]) -> dict[tuple[Any, ...], Record]:
    key = theirs.table.key
    if theirs.kinds[key[0]] is ColumnKind.ID:
        records = theirs.of(key[0], sorted({record[key[0]] for record in part}))
    else:
        records = theirs.all()
    return {tuple(record.get(name) for name in key): record for record in records}


def _differing(ours: Rows, theirs: Rows, one: Record, other: Record) -> list[str]:
    left_out = CLAIM if ours.word == "jobs" and one.get("status") in RUNNING_SPELLINGS else ()
    names = [name for name in ours.kinds if (name in theirs.kinds or name in ours.others) and name not in left_out]
    return [name for name in names if not _is_equal(_value(name, ours, theirs, one), _value(name, ours, theirs, other))]


def _value(name: str, ours: Rows, theirs: Rows, record: Record) -> object:
    kind = ours.kinds[name]
    if kind is ColumnKind.JSON and name not in ours.others:
        text = record.get(f"{name}{TEXT_OF}")
        if text is None:
            return record.get(name)
        return _parsed(text)
    value = record.get(name)
    if (
        kind in {ColumnKind.TEXT, ColumnKind.JSON}
        and value is not None
        and _JSON & {ours.types.get(name), theirs.types.get(name)}
    ):
        return _parsed(value)
    if kind is ColumnKind.TIME and value is not None and (ours.is_of_seconds(name) or theirs.is_of_seconds(name)):
        instant = timestamp(value)
        return instant.replace(microsecond=0) if instant else value
    return value


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text, parse_float=_number)
    except (ValueError, RecursionError):
        return text
    return value


def _is_equal(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal, numbers by their value.

    PostgreSQL writes ``1e20`` with all digits, and ``-0.0`` as ``0.0``; not every database keeps all digits.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if float in {type(one), type(other)} and isinstance(one, int | float) and isinstance(other, int | float):
        return _double(one) == _double(other)
    return bool(one == other)


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def _number(digits: str) -> float | int:
    if isfinite(number := float(digits)):
        return number
    exact = Decimal(digits)
    return int(exact) if exact.adjusted() < MOST_DIGITS else number
