"""Chosen fields of records: what ``--fields id,status,spawn_config.handler`` shows, in every format."""

from collections.abc import Iterable, Mapping, Sequence

from hammerwork_cli.core.input.names import split
from hammerwork_cli.core.values import Counts
from hammerwork_cli.errors import UsageError
from hammerwork_cli.view.json import Record, document
from hammerwork_cli.view.table import Column


def chosen(texts: Iterable[str], keys: Sequence[str]) -> tuple[str, ...]:
    """The names in the texts of ``--fields``, each once, in their order.

    Args:
        texts: names with commas between them; ``a.b`` is the key ``b`` of the object ``a``.
    """
    outer = dict.fromkeys(key.partition(".")[0] for key in keys)
    names = tuple(dict.fromkeys(name.strip() for name in split(texts) if name.strip()))
    unknown = [name for name in names if name.partition(".")[0] not in outer]
    if unknown or not names:
        problem = f"{unknown[0][:40]!r} is not a field." if unknown else "No field was given."
        raise UsageError(problem, hint=f"Fields: {', '.join(outer)}.")
    return names


def member(record: Mapping[str, object], name: str) -> object:
    """The value of a field; ``None`` where an object on the way is missing."""
    if name in record:
        return record[name]
    value: object = record
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def only(record: Mapping[str, object], names: Sequence[str]) -> Record:
    return {name: member(record, name) for name in names}


def columns(names: Sequence[str]) -> Sequence[Column[Record]]:
    return [_column(name) for name in names]


def _column(name: str) -> Column[Record]:
    return Column(name, lambda record: _cell(member(record, name)), is_status=name == "status", cuts=name != "id")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return document(value) if isinstance(value, (dict, list, tuple, Counts)) else value
