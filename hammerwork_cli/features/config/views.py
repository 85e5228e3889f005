"""Renders the answers of ``config``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Shape
from hammerwork_cli.view.table import Column, column


class ShownSetting(NamedTuple):
    """A setting with its value, as far as it may be shown."""

    name: str
    value: Any
    source: str  # `option`, the name of a variable, `file` or `default`
    default: Any
    variables: tuple[str, ...]
    purpose: str

    @property
    def text(self) -> str | None:
        """The value as the file spells it, without quotes."""
        return str(self.value).lower() if isinstance(self.value, bool) else self.value and str(self.value)


_VALUE = Key({"type": ["string", "integer", "boolean", "null"]})
SETTING = Shape[ShownSetting](
    {
        "key": key.text().of("name"),
        "value": _VALUE,
        "source": key.text("option, a variable's name, file or default"),
        "default": _VALUE,
        "environment": key.list_of(key.text(), "Variables that set it").of("variables"),
        "description": key.text().of("purpose"),
    }
)
SETTINGS: Sequence[Column[ShownSetting]] = (
    Column("setting", lambda row: row.name),
    Column("value", lambda row: row.text),
    column(SETTING, "source"),
    column(SETTING, "description", wraps=True),
)
CONFIG_PATH = Shape[Path]({"path": key.text().of(str), "exists": key.flag().of(lambda path: path.exists())})
