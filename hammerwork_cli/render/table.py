"""Rows as a table for people, or as CSV and TSV for programs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from hammerwork_cli.models import Counts
from hammerwork_cli.render.colour import paint, paint_status, status_colour
from hammerwork_cli.render.json import document
from hammerwork_cli.render.text import NOTHING, visible
from hammerwork_cli.render.text import cells as cell_count

Row = TypeVar("Row")

_GAP = 2
_BETWEEN = " · "
_WRAPPED = 14
"""A column that wraps is not made narrower than this."""

_FORMULA = re.compile(r"[=+\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column of a table.

    Attributes:
        header: its name.
        value: what it shows of a row; ``None`` and empty text show as ``-``.
        align: ``right`` for numbers.
        is_status: whether the value is a status, which has a colour.
        optional: whether the column may be left out on a terminal when no row fills it.
        wraps: whether a long value may go over several lines on a terminal.
        is_count: whether a zero goes without saying where rows flow.
    """

    header: str
    value: Callable[[Row], object]
    align: Literal["left", "right"] = "left"
    is_status: bool = False
    optional: bool = False
    wraps: bool = False
    is_count: bool = False


def table_text(
    rows: Iterable[Row],
    columns: Sequence[Column[Row]],
    *,
    terminal: bool,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """A table without a line end: fitted to a terminal, or with every value whole for a pipe.

    Args:
        rows: what it shows.
        columns: how.
        terminal: whether people look at it.
        width: of the terminal.
        colour: whether it may be coloured.
    """
    cells = [[_cell(column.value(row)) for column in columns] for row in rows]
    if not terminal:
        return _plain(cells, columns, colour)
    kept = [
        number
        for number, column in enumerate(columns)
        if not column.optional or any(line[number] != NOTHING for line in cells)
    ]
    return _fitted(
        [[line[number] for number in kept] for line in cells], [columns[n] for n in kept], width or 80, colour
    )


def _cell(value: object) -> str:
    if value is None or value == "":
        return NOTHING
    return visible(value if isinstance(value, str) else str(value))


def _plain(cells: list[list[str]], columns: Sequence[Column[Any]], colour: bool) -> str:
    from tabulate import tabulate

    text: str = tabulate(
        [
            [paint_status(cell, cell, colour and column.is_status) for cell, column in zip(line, columns, strict=True)]
            for line in cells
        ],
        headers=[paint(column.header, "bold", colour) for column in columns],
        tablefmt="plain",
        disable_numparse=True,
        colalign=[column.align for column in columns] if cells else None,
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _fitted(cells: list[list[str]], columns: Sequence[Column[Any]], width: int, colour: bool) -> str:
    if _least_width(cells, columns) > width:
        return "\n".join(_flowing(cells, columns, width, colour))
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(column.header), justify=column.align, no_wrap=not column.wraps, overflow="fold")
    for line in cells:
        table.add_row(
            *(
                Text(cell, style=(status_colour(cell) or "") if column.is_status else "")
                for cell, column in zip(line, columns, strict=True)
            )
        )
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").split("\n"))


def _least_width(cells: list[list[str]], columns: Sequence[Column[Any]]) -> int:
    """Terminal columns below which a table would be torn to pieces."""
    widths = [
        max([cell_count(column.header), *(cell_count(line[number]) for line in cells)])
        for number, column in enumerate(columns)
    ]
    bounded = [min(width, _WRAPPED) if column.wraps else width for width, column in zip(widths, columns, strict=True)]
    return sum(bounded) + _GAP * (len(columns) - 1)


def _flowing(cells: list[list[str]], columns: Sequence[Column[Any]], width: int, colour: bool) -> Iterator[str]:
    """A paragraph a row, for terminals that are too narrow for the columns."""
    indent = " " * (max((cell_count(line[0]) for line in cells), default=0) + _GAP)
    for line in cells:
        lead = paint(line[0], "bold", colour) + indent[cell_count(line[0]) :]
        for text in _packed(line[1:], columns[1:], max(width - len(indent), 1), colour) or [""]:
            yield (lead + text).rstrip()
            lead = indent


def _packed(line: list[str], columns: Sequence[Column[Any]], room: int, colour: bool) -> list[str]:
    """``header value`` pairs, as many a line as there is room for."""
    packed: list[str] = []
    left = 0
    for cell, column in zip(line, columns, strict=True):
        if cell == NOTHING or (column.is_count and cell == "0"):
            continue
        taken = cell_count(f"{column.header} {cell}")
        shown = f"{column.header} {paint_status(cell, cell, colour)}" if column.is_status else f"{column.header} {cell}"
        if taken + len(_BETWEEN) <= left:
            packed[-1] += _BETWEEN + shown
            left -= taken + len(_BETWEEN)
        elif taken <= room:
            packed.append(shown)
            left = room - taken
        else:
            packed += _broken(f"{column.header} {cell}", room)
            left = 0
    return packed


def _broken(text: str, width: int) -> list[str]:
    """Lines: broken between words, and within those that are wider than a line."""
    from textwrap import wrap

    from rich.cells import chop_cells

    lines = wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [part for line in lines for part in (chop_cells(line, width) if cell_count(line) > width else [line])]


def delimited(records: Iterable[Mapping[str, object]], kind: str, keys: Sequence[str]) -> str:
    """CSV or TSV with a header, each line with its end.

    Nested values become JSON, control characters are written out, so a record is one line. What a
    spreadsheet would run as a formula gets a leading apostrophe.

    Args:
        records: what :mod:`hammerwork_cli.render.json` makes of models.
        kind: ``csv`` or ``tsv``.
        keys: columns, given so that an empty list has its header too; ``a.b`` is ``b`` of the object ``a``.
    """
    import csv
    from io import StringIO

    out = StringIO()
    writer = csv.writer(out, delimiter="," if kind == "csv" else "\t", lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([_field(_member(record, key)) for key in keys] for record in records)
    return out.getvalue()


def _member(record: Mapping[str, object], key: str) -> object:
    value: object = record
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple, Counts)):
        return document(value)
    text = value if isinstance(value, str) else str(value)
    defused = f"'{text}" if _FORMULA.match(text.lstrip(" ")) and not _NUMBER.fullmatch(text) else text
    return visible(defused)
