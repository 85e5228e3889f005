"""Sizes of tables and indexes, and the work done on them: records for programs, columns and lines for people."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.maintenance import Done, Stored
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import count, duration, instant, plural, visible

SIZE_KEYS = ("name", "table", "kind", "rows", "bytes", "dead_rows", "valid", "vacuumed_at")
SIZE_COLUMNS: Sequence[Column[Stored]] = (
    Column("name", lambda one: f"  {one.name}" if one.is_index else one.name, cuts=True),
    Column("rows", lambda one: None if one.rows is None else count(one.rows), "right"),
    Column("bytes", lambda one: None if one.bytes is None else count(one.bytes), "right"),
    Column("dead rows", lambda one: None if one.dead_rows is None else count(one.dead_rows), "right", leaves=2),
    Column("vacuumed at (UTC)", lambda one: instant(one.vacuumed_at) if one.vacuumed_at else None, leaves=1),
    Column("note", lambda one: None if one.is_valid else "invalid", leaves=3),
)
DONE_KEYS = ("name", "work", "seconds")
_PAST = {
    "vacuum": "vacuumed",
    "analyze": "analyzed",
    "optimize": "copied",
    "reindex": "rebuilt",
    "drop": "dropped (left by an interrupted reindex)",
}


def size_record(one: Stored) -> Record:
    """A table or an index.

    Keys: ``name``, ``table``, ``kind`` (``table`` or ``index``), ``rows`` (an estimate, exact in SQLite; null for an
    index), ``bytes`` (of a table without its indexes), ``dead_rows``, ``valid``, ``vacuumed_at``. Null stands for what
    the server does not tell.
    """
    return {
        "name": one.name,
        "table": one.table,
        "kind": "index" if one.is_index else "table",
        "rows": one.rows,
        "bytes": one.bytes,
        "dead_rows": one.dead_rows,
        "valid": one.is_valid,
        "vacuumed_at": rfc3339(one.vacuumed_at),
    }


def done_record(done: Done) -> Record:
    """Work on a table or an index. Keys: ``name``, ``work`` (vacuum, analyze, optimize, reindex, drop), ``seconds``."""
    return {"name": done.name, "work": done.work, "seconds": round(done.seconds, 3)}


def done_text(done: Done) -> str:
    """The same in a sentence."""
    return f"{visible(done.name)}: {_PAST[done.work]} ({duration(timedelta(seconds=done.seconds))})"


def sizes_text(found: Sequence[Stored]) -> Iterator[str]:
    """Yields the sum of all."""
    known = [one.bytes for one in found if one.bytes is not None]
    indexes = sum(one.is_index for one in found)
    if known:
        yield f"{count(sum(known))} bytes in {plural(len(found) - indexes, 'table')}."
