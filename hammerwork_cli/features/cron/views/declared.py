"""Renders what becomes of schedules that a file or an application declares."""

from collections.abc import Iterable, Sequence

from hammerwork_cli.core.values import priority_word
from hammerwork_cli.features.cron.model import DeclarationAction, DeclarationStep, Difference
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import NOTHING, visible

_CHANGED = Shape[Difference](
    {
        "option": key.text().of(lambda one: _option(one)),
        "old": key.anything().of(lambda one: _value(one, 1)),
        "new": key.anything().of(lambda one: _value(one, 2)),
    }
)
_KEPT = Shape[Difference](
    {
        "option": key.text().of(lambda one: _option(one)),
        "declared": key.anything().of(lambda one: _value(one, 1)),
        "value": key.anything().of(lambda one: _value(one, 2)),
    }
)
STEP = Shape[DeclarationStep](
    {
        "name": key.text(),
        "action": key.text("", *DeclarationAction),
        "changes": key.list_of(_CHANGED),
        "kept": key.list_of(_KEPT, "Options that somebody changed by hand").of("by_hand"),
        "taken_from": key.null_or(key.text("The source that had the schedule")),
    }
)
STEPS: Sequence[Column[DeclarationStep]] = (
    Column("schedule", lambda step: step.name, cuts=True),
    column(STEP, "action"),
    Column("changes", lambda step: _differences(step.changes), optional=True, cuts=True),
    Column("kept", lambda step: ", ".join(_option(one) for one in step.by_hand) or None, optional=True, cuts=True),
    column(STEP, "taken_from", optional=True, cuts=True, drop_order=1),
)
_MOST_NAMED = 8


def names_text(names: Sequence[str]) -> str:
    """The first names of a list."""
    more = f", and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(visible, names[:_MOST_NAMED])) + more


def _differences(found: Iterable[Difference]) -> str | None:
    return ", ".join(f"{_option(one)}: {_shown(one, 1)} -> {_shown(one, 2)}" for one in found) or None


def _option(difference: Difference) -> str:
    return {"expression": "schedule"}.get(difference.option, difference.option)


def _value(difference: Difference, place: int) -> object:
    value = difference[place]
    if difference.option == "priority" and isinstance(value, int):
        return priority_word(value)
    if isinstance(value, list):  # a schedule, its syntax and its zone
        return f"{value[0]} ({value[2]})"
    return value


def _shown(difference: Difference, place: int) -> str:
    value = _value(difference, place)
    return NOTHING if value is None else visible(str(value))
