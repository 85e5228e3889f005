import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from hammerwork_cli.core.values import Counts
from hammerwork_cli.view.fields import member
from hammerwork_cli.view.json import document
from hammerwork_cli.view.text import visible

_SIGNS = r"=+\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_FORMULA = re.compile(rf"[\t\r\n]|\s*[{_SIGNS}]")
_FORMULA_OF_A_PART = re.compile(rf"(;[\s\"]*)(?=[{_SIGNS}])")
"""In much of Europe, spreadsheets take semicolons as separators, and split a field there even within quotes.
"""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def delimited(records: Iterable[Mapping[str, object]], kind: str, keys: Sequence[str]) -> Iterator[str]:
    """Writes CSV or TSV, line by line, with a header and line ends.

    Nested values become JSON, and control characters become escapes, so that each record is one line. A value that a
    spreadsheet would run as a formula gets a leading apostrophe, also after a semicolon.

    Args:
        kind: ``csv`` or ``tsv``.
        keys: the columns, so that an empty list has a header too; ``a.b`` is the key ``b`` of the object ``a``.
    """
    import csv
    from io import StringIO

    out = StringIO()
    writer = csv.writer(out, delimiter="," if kind == "csv" else "\t", lineterminator="\n")

    def line(fields: Iterable[str]) -> str:
        out.seek(0)
        out.truncate()
        writer.writerow(fields)
        return out.getvalue()

    rows = iter(records)
    first = list(islice(rows, 1))  # where reading fails, not even the header is written
    yield line(keys)
    for record in chain(first, rows):
        yield line(_field(member(record, key)) for key in keys)


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple, Counts)):
        # JSON has escaped the text already, and has semicolons only within texts.
        return _FORMULA_OF_A_PART.sub(r"\1'", document(value))
    text = value if isinstance(value, str) else str(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return visible(_FORMULA_OF_A_PART.sub(r"\1'", text))
