"""Names of things in one text: with commas between them, and a backslash before a comma that belongs to a name."""

import re
from collections.abc import Iterable

_COMMA = re.compile(r"(?<!\\),")


def split(texts: Iterable[str]) -> list[str]:
    r"""Returns the names in some texts, in their order. ``a,b`` has two names; ``a\,b`` is one."""
    return [part.replace("\\,", ",") for text in texts for part in _COMMA.split(text) if part]


def joined(names: Iterable[str]) -> str:
    """Returns a text that :func:`split` reads as these names."""
    return ",".join(name.replace(",", "\\,") for name in names)
