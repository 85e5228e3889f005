"""Events as JSON, for those who get them, and what lists of receivers share."""

from collections.abc import Callable
from typing import TypeVar

from hammerwork_cli.features.event.shapes import EVENT
from hammerwork_cli.view.table import Column
from hammerwork_cli.view.text import shorten

__all__ = ["EVENT", "note_column"]
Receiver = TypeVar("Receiver")
LONGEST_NOTE, NOTE_WIDTH = 120, 32
"""Characters of a note in a table, and of its lines at least."""


def note_column(note: Callable[[Receiver], str | None]) -> Column[Receiver]:
    """What is wrong with a receiver: a list has to say that before all else."""
    return Column("note", lambda one: shorten(note(one) or "", LONGEST_NOTE), wraps=True, keeps=NOTE_WIDTH)
