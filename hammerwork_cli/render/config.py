"""Renders the answers of ``config``."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column


class ShownSetting(NamedTuple):
    """A setting with its value, as far as it may be shown.

    Attributes:
        source: ``option``, the name of a variable, ``file`` or ``default``.
    """

    name: str
    value: Any
    source: str
    default: Any
    variables: tuple[str, ...]
    purpose: str

    @property
    def text(self) -> str | None:
        """The value as the file spells it, without quotes."""
        return str(self.value).lower() if isinstance(self.value, bool) else self.value and str(self.value)


SETTINGS: Sequence[Column[ShownSetting]] = (
    Column("setting", lambda row: row.name),
    Column("value", lambda row: row.text),
    Column("source", lambda row: row.source),
    Column("description", lambda row: row.purpose, wraps=True),
)
SETTING_KEYS = ("key", "value", "source", "default", "environment", "description")


def setting_record(row: ShownSetting) -> Record:
    """A setting.

    Keys: ``key``; ``value``, null if it is not set; ``source``: ``option``, the name of a variable, ``file`` or
    ``default``; ``default``, the default value; ``environment``: the variables that set it; ``description``.
    """
    return {
        "key": row.name,
        "value": row.value,
        "source": row.source,
        "default": row.default,
        "environment": list(row.variables),
        "description": row.purpose,
    }
