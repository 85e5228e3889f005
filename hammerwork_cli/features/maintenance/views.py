"""Sizes of tables and indexes, and the work done on them: their shapes, columns and lines for people."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from math import log
from typing import Any, NamedTuple

from hammerwork_cli.features.maintenance.model import Done, Stored
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column
from hammerwork_cli.view.text import count, duration, instant, plural, visible

SIZE = Shape[Stored](
    {
        "name": key.text("Name of the table or index"),
        "table": key.text(),
        "kind": key.text("", "table", "index").of(lambda one: "index" if one.is_index else "table"),
        "rows": key.null_or(key.count("An estimate, exact on SQLite; null for an index")),
        "bytes": key.null_or(
            key.count("Bytes of a table without its indexes; null where the server does not report them")
        ),
        "dead_rows": key.null_or(key.count("Null where the server does not count them")),
        "valid": key.flag("False for an index whose build was interrupted").of("is_valid"),
        "vacuumed_at": key.null_or(key.instant()),
    }
)
WORK = Shape[Done](
    {
        "name": key.text("Name of the table or index"),
        "work": key.text("", "vacuum", "analyze", "optimize", "reindex", "drop"),
        "seconds": key.seconds(digits=3),
    }
)
_UNITS = ("KiB", "MiB", "GiB", "TiB")
_PAST = {
    "vacuum": "vacuumed",
    "analyze": "analyzed",
    "optimize": "copied",
    "reindex": "rebuilt",
    "drop": "dropped (left by an interrupted reindex)",
}


class WholeTable(NamedTuple):
    table: Stored
    indexes: int | None
    is_valid: bool

    @property
    def bytes(self) -> int | None:
        return None if self.table.bytes is None else self.table.bytes + (self.indexes or 0)


def tables_of(found: Iterable[Stored]) -> list[WholeTable]:
    """The tables, in their order, each with the space of its indexes."""
    together: dict[str, list[Stored]] = {}
    for one in found:
        together.setdefault(one.table, []).append(one)
    return [
        WholeTable(
            next(one for one in all_ if not one.is_index),
            sum(one.bytes or 0 for one in all_ if one.is_index),
            all(one.is_valid for one in all_),
        )
        for all_ in together.values()
    ]


def size_columns(*, whole: bool, in_bytes: bool) -> Sequence[Column[Any]]:
    """The columns of tables with their indexes, or of tables and indexes one by one."""

    def table(one: Any) -> Stored:
        return one.table if whole else one  # type: ignore[no-any-return]

    def size(number: int | None) -> str | None:
        return None if number is None else _size(number, in_bytes=in_bytes)

    return (
        Column("name", lambda one: f"  {table(one).name}" if table(one).is_index else table(one).name, cuts=True),
        Column("rows", lambda one: None if table(one).rows is None else count(table(one).rows or 0), "right"),
        Column("bytes" if in_bytes else "size", lambda one: size(one.bytes), "right"),
        *((Column("indexes", lambda one: size(one.indexes), "right", drop_order=3),) if whole else ()),
        Column(
            "dead rows",
            lambda one: None if table(one).dead_rows is None else count(table(one).dead_rows or 0),
            "right",
            drop_order=2,
        ),
        Column(
            "vacuumed at (UTC)",
            lambda one: instant(table(one).vacuumed_at) if table(one).vacuumed_at else None,
            drop_order=1,
        ),
        Column("note", lambda one: None if one.is_valid else "invalid", drop_order=4),
    )


def _size(number: int, *, in_bytes: bool) -> str:
    if in_bytes or number < 1024:
        return f"{count(number)}{'' if in_bytes else ' B'}"
    power = min(int(log(number, 1024)), len(_UNITS))
    return f"{number / 1024**power:,.1f} {_UNITS[power - 1]}"


def done_text(done: Done) -> str:
    """The same in a sentence."""
    return f"{visible(done.name)}: {_PAST[done.work]} ({duration(timedelta(seconds=done.seconds))})"


def sizes_text(found: Sequence[Stored], *, in_bytes: bool) -> Iterator[str]:
    """Yields the sum of all."""
    known = [one.bytes for one in found if one.bytes is not None]
    indexes = sum(one.is_index for one in found)
    if known:
        total = f"{count(sum(known))} bytes" if in_bytes else _size(sum(known), in_bytes=False)
        yield f"{total} in {plural(len(found) - indexes, 'table')}."


# Encrypted jobs that their program keeps no longer.


class Purge(NamedTuple):
    """Encrypted jobs that were deleted, or would be."""

    jobs: int
    archived: int
    dry_run: bool


PURGED = Shape[Purge](
    {
        "action": key.text("purge-encrypted").of(lambda _: "purge-encrypted"),
        "dry_run": key.flag(),
        "jobs": key.count("Deleted jobs, or with --dry-run those that would be"),
        "archived_jobs": key.count("The same for archived ones").of("archived"),
    }
)


def purge_question(jobs: int, archived: int) -> str:
    """Asks whether to delete them."""
    return f"Delete {_encrypted(jobs, archived)} for good?"


def purge_text(jobs: int, archived: int, *, dry_run: bool) -> str:
    """What became of them, or would."""
    if not jobs and not archived:
        return "No encrypted job is past its retention_delete_at."
    return f"{'Would delete' if dry_run else 'Deleted'} {_encrypted(jobs, archived)}."


def _encrypted(jobs: int, archived: int) -> str:
    return f"{plural(jobs, 'encrypted job')} and {plural(archived, 'archived one')}"
