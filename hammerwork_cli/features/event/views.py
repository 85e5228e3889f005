"""Events as JSON, for those who get them, and what is shown of webhooks and streams alike."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from hammerwork_cli.features.event.shapes import EVENT
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key
from hammerwork_cli.view.table import Column
from hammerwork_cli.view.text import brief_age, first_line, instant, shorten, visible

__all__ = ["EVENT", "note_column"]
Receiver = TypeVar("Receiver")
LONGEST_NOTE, NOTE_WIDTH = 120, 32
"""Characters of a note in a table, and of its lines at least."""


def filter_keys(of: Callable[[Any], Any] = lambda one: one) -> Mapping[str, Key]:
    """The keys of the filters of a receiver.

    Args:
        of: the receiver of what the shape shows.
    """
    return {
        "events": key.list_of(key.text(), "Types of events").of(lambda one: [str(event) for event in of(one).events]),
        "queues": key.list_of(key.text(), "Events of these queues; empty: of all").of(lambda one: list(of(one).queues)),
        "priorities": key.list_of(key.text(), "Empty: events of jobs of all priorities").of(
            lambda one: list(of(one).priorities)
        ),
    }


def note(one: Any, now: datetime, last: str | None) -> str | None:
    """What is wrong with a receiver, with what it said last."""
    if not one.enabled:
        return f"disabled: {first_line(one.disabled_reason)}" if one.disabled_reason else "disabled"
    if one.failing_since is not None:
        return f"failing for {brief_age(one.failing_since, now)}: {first_line(last or '')}"
    return None


def lines(one: Any, rows: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    """Yields what rows say of a receiver, as far as there is anything, and its state."""
    state = "enabled" if one.enabled else f"disabled: {one.disabled_reason or 'by hand'}"
    changed = f"{instant(one.updated_at)} UTC by {one.updated_by}"
    for name, value in (*rows, ("state", state), ("changed", changed)):
        if value:
            yield f"{name:<15}{visible(value)}"


def note_column(note: Callable[[Receiver], str | None]) -> Column[Receiver]:
    """What is wrong with a receiver: a list has to say that before all else."""
    return Column("note", lambda one: shorten(note(one) or "", LONGEST_NOTE), wraps=True, keeps=NOTE_WIDTH)
