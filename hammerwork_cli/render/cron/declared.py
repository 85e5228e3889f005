"""Renders what becomes of schedules that a file or an application declares."""

from collections.abc import Iterable, Sequence

from hammerwork_cli.models import priority_word
from hammerwork_cli.models.cron.declared import DeclarationStep, Difference
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import NOTHING, visible

STEP_KEYS = ("name", "action", "changes", "kept", "taken_from")
STEPS: Sequence[Column[DeclarationStep]] = (
    Column("schedule", lambda step: step.name, cuts=True),
    Column("action", lambda step: step.action),
    Column("changes", lambda step: _differences(step.changes), optional=True, cuts=True),
    Column("kept", lambda step: ", ".join(_option(one) for one in step.by_hand) or None, optional=True, cuts=True),
    Column("taken from", lambda step: step.taken_from, optional=True, cuts=True, leaves=1),
)
_MOST_NAMED = 8


def step_record(step: DeclarationStep) -> Record:
    """What becomes of a schedule.

    Keys: ``name``, ``action`` (``create``, ``change``, ``keep`` or ``remove``), ``changes`` (options with ``old`` and
    ``new`` value), ``kept`` (options that somebody changed by hand, with the ``declared`` and the present value), and
    ``taken_from`` (the source that had the schedule; else null).
    """
    return {
        "name": step.name,
        "action": str(step.action),
        "changes": [{"option": _option(one), "old": _value(one, 1), "new": _value(one, 2)} for one in step.changes],
        "kept": [{"option": _option(one), "declared": _value(one, 1), "value": _value(one, 2)} for one in step.by_hand],
        "taken_from": step.taken_from,
    }


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
