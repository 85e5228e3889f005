"""Tables for terminals and pipes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from hammerwork_cli.core.values import Timestamp
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import NOTHING, brief_instant, count, instant, shorten, visible
from hammerwork_cli.view.text import cells as cell_count

Row = TypeVar("Row")

_GAP = 2
_BETWEEN = " · "
_AT_EASE, _TIGHT, _LEAST = 24, 14, 10
"""Width that a long value keeps at least: with all columns, with fewer, and with the fewest."""


class Column(NamedTuple, Generic[Row]):
    header: str
    value: Callable[[Row], object]  # the column's value in a row; `None` and empty text become `-`
    align: Literal["left", "right"] = "left"  # `right` for numbers
    is_status: bool = False  # whether the value is a status, which has a colour
    optional: bool = False  # whether the column is left out if no row fills it
    wraps: bool = False  # whether a terminal may break a long value into several lines
    cuts: bool = False  # whether a terminal may cut a long value
    is_count: bool = False  # whether a narrow terminal may leave out zeros
    narrow: Callable[[Row], object] | None = None  # the value on a narrow terminal, if it differs
    narrow_header: str = ""  # the name on a narrow terminal, if it differs
    keeps: int = 0  # width that a long value keeps on any terminal that has columns; others are left out for it
    drop_order: int = 0  # order in which a narrow terminal leaves columns out, the lowest first; 0 to keep the column

    @property
    def narrowed(self) -> "Column[Row]":
        return self._replace(value=self.narrow or self.value, header=self.narrow_header or self.header)


def column(shape: Shape[Row], name: str, *, is_count: bool = True, **options: Any) -> Column[Row]:
    """The column that shows a key of a shape as it is: numbers with separators, on the right.

    Args:
        is_count: of a number: see :class:`Column`.
    """
    read, header = shape.reader(name), name.replace("_", " ")
    if shape.parts[name].schema.get("type") == "integer":
        return Column(header, lambda row: count(read(row)), "right", is_count=is_count, **options)
    return Column(header, read, **options)


def time_column(what: str, time: Callable[[Row], Timestamp], *, drop_order: int = 0) -> Column[Row]:
    """When something was ``what``, such as ``created``: to the minute on a narrow terminal."""
    return Column(
        f"{what} at (UTC)",
        lambda row: instant(time(row)),
        narrow=lambda row: brief_instant(time(row)),
        narrow_header=f"{what} UTC",
        drop_order=drop_order,
    )


class _Filled(NamedTuple):
    column: Column[Any]
    cells: list[str]

    @property
    def width(self) -> int:
        return max([cell_count(self.column.header), *map(cell_count, self.cells)])

    @property
    def has_values(self) -> bool:
        """Whether any row fills the column; a zero fills no column of counts."""
        return not {*self.cells} <= ({"0", NOTHING} if self.column.is_count else {NOTHING})

    @property
    def is_constant(self) -> bool:
        """Whether the column has the same value in all rows, or counts nothing in any."""
        if self.column.is_count:
            return not self.has_values
        values = {*self.cells}
        # A shortened time that is the same in all rows still tells something: keep the column.
        return bool(self.column.drop_order) and not self.column.narrow and len(values) == 1 < len(self.cells)

    def least(self, bound: int) -> int:
        """The width below which the column is unreadable."""
        if not (self.column.wraps or self.column.cuts):
            return self.width
        return min(self.width, max(bound, self.column.keeps, cell_count(self.column.header)))


def table_text(
    rows: Iterable[Row],
    columns: Sequence[Column[Row]],
    *,
    terminal: bool,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """Draws a table without a line end: fitted to a terminal, or with full values for a pipe.

    Neither has optional columns that no row fills.
    """
    listed = list(rows)
    if not terminal:
        filled = _fill(listed, columns)
        return _drawn(filled, [one.cells for one in filled], colour)
    width = width or 80
    for filled, bound in _layouts(listed, columns):
        if sum(one.least(bound) for one in filled) + _GAP * (len(filled) - 1) <= width:
            widths = _widths(filled, width, bound)
            return _drawn(filled, [_fitted(*one, own) for one, own in zip(filled, widths, strict=True)], colour)
    return "\n".join(_flowing(_fill(listed, columns), width, colour))


def _layouts(rows: list[Row], columns: Sequence[Column[Row]]) -> Iterator[tuple[list[_Filled], int]]:
    """Yields layouts from wide to narrow, each with its least width for long values.

    First all columns, then with narrow values, then without columns that say nothing, then with ever fewer.
    """
    filled = _fill(rows, columns)
    yield filled, _AT_EASE
    filled = _fill(rows, [one.column.narrowed for one in filled])
    yield filled, _AT_EASE
    filled = [filled[0], *(one for one in filled[1:] if not one.is_constant)]
    yield filled, _TIGHT
    for going in sorted((one for one in filled if one.column.drop_order), key=lambda one: one.column.drop_order):
        yield filled, _LEAST
        filled = [one for one in filled if one is not going]
    yield filled, _LEAST


def _fill(rows: list[Row], columns: Sequence[Column[Row]]) -> list[_Filled]:
    filled = [_Filled(column, [_cell(column.value(row)) for row in rows]) for column in columns]
    return [one for one in filled if one.has_values or not one.column.optional]


def _widths(filled: list[_Filled], width: int, bound: int) -> list[int]:
    """Fits the widths of columns to the terminal by taking from the widest one that may shrink."""
    widths = [one.width for one in filled]
    least = [one.least(bound) for one in filled]
    while sum(widths) + _GAP * (len(widths) - 1) > width:
        widest = max(
            (number for number in range(len(widths)) if widths[number] > least[number]), key=widths.__getitem__
        )
        widths[widest] -= 1
    return widths


def _cell(value: object) -> str:
    if value is None or value == "":
        return NOTHING
    return visible(value if isinstance(value, str) else str(value))


def _drawn(filled: list[_Filled], cells: list[list[str]], colour: bool) -> str:
    """Draws columns whose long cells are cut, or broken into lines, already."""
    from tabulate import tabulate

    columns = [
        [paint(column.header, "bold", colour), *(paint_status(cell, cell, colour and column.is_status) for cell in own)]
        for (column, _), own in zip(filled, cells, strict=True)
    ]
    text: str = tabulate(  # which would make room for more than a header
        list(zip(*columns, strict=True)),
        tablefmt="plain",
        disable_numparse=True,
        colalign=[one.column.align for one in filled],
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _fitted(column: Column[Any], cells: list[str], width: int) -> list[str]:
    if column.wraps:
        return [cell if cell_count(cell) <= width else "\n".join(_broken(cell, width)) for cell in cells]
    return [shorten(cell, width) for cell in cells] if column.cuts else cells


def _flowing(filled: list[_Filled], width: int, colour: bool) -> Iterator[str]:
    """Draws a paragraph for each row, on terminals too narrow for columns."""
    columns = [one.column for one in filled]
    cells = list(zip(*(one.cells for one in filled), strict=True))
    leads = [shorten(line[0], max(width // 3, _LEAST)) for line in cells]
    indent = " " * (max(map(cell_count, leads), default=0) + _GAP)
    for name, line in zip(leads, cells, strict=True):
        lead = paint(name, "bold", colour) + indent[cell_count(name) :]
        for text in _packed(line[1:], columns[1:], max(width - len(indent), 1), colour) or [""]:
            yield (lead + text).rstrip()
            lead = indent


def _packed(line: Sequence[str], columns: Sequence[Column[Any]], room: int, colour: bool) -> list[str]:
    """Packs pairs of header and value into as few lines as possible."""
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
    """Breaks a text between words, and words that are longer than a line."""
    from textwrap import wrap

    from rich.cells import chop_cells

    lines = wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [part for line in lines for part in (chop_cells(line, width) if cell_count(line) > width else [line])]
