"""Records as CSV or TSV for programs."""

import re
from collections.abc import Iterable, Mapping, Sequence

from hammerwork_cli.models import Counts
from hammerwork_cli.render.formats.json import document
from hammerwork_cli.render.formats.text import visible

_SIGNS = r"=+\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_FORMULA = re.compile(rf"[\t\r\n]|\s*[{_SIGNS}]")
_FORMULA_OF_A_PART = re.compile(rf"(;[\s\"]*)(?=[{_SIGNS}])")
"""Where the separator is a semicolon, as in much of Europe, quotes around the field do not keep its parts together."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def delimited(records: Iterable[Mapping[str, object]], kind: str, keys: Sequence[str]) -> str:
    """CSV or TSV with a header, each line with its end.

    Nested values become JSON, control characters are written out, so a record is one line. What a
    spreadsheet would run as a formula gets a leading apostrophe, also after a semicolon.

    Args:
        records: what :mod:`hammerwork_cli.render.formats.json` makes of models.
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
        # Escaped already, and a semicolon is always inside of a text.
        return _FORMULA_OF_A_PART.sub(r"\1'", document(value))
    text = value if isinstance(value, str) else str(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return visible(_FORMULA_OF_A_PART.sub(r"\1'", text))
