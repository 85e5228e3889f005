"""Schedules that a file or an application declares, and what is to become of those in the database."""

import json
from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.features.cron.models.schedule import NewSchedule, Schedule

OPTIONS = tuple(field.name for field in fields(NewSchedule) if field.name not in {"name", "source"})
"""The attributes of :class:`NewSchedule` that a declaration sets."""


class DeclarationAction(StrEnum):
    """What is to become of a schedule."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    REMOVE = "remove"


class Declared(NamedTuple):
    """All schedules of a source: ``file:NAME`` or ``code:MODULE:ATTRIBUTE``."""

    source: str
    schedules: Sequence[NewSchedule]


class Difference(NamedTuple):
    """An option of a schedule, and two of its values."""

    option: str
    old: object
    new: object


class DeclarationStep(NamedTuple):
    """What is to become of a schedule."""

    action: DeclarationAction
    name: str
    before: Schedule | None  # as it is stored; `None` if it is new
    after: NewSchedule | None  # as it is to be; `None` if it is to be removed
    said: str | None = None  # what its source says of it, to be remembered
    changes: tuple[Difference, ...] = ()  # options that change, from the present to the next value
    # Options that somebody changed by hand and that stay, from what the source says to the present value.
    by_hand: tuple[Difference, ...] = ()

    @property
    def taken_from(self) -> str | None:
        """The source that had the schedule, if it gets another one."""
        if self.before is None or self.after is None or self.before.source == self.after.source:
            return None
        return self.before.source


def options_of(new: NewSchedule) -> dict[str, Any]:
    """The options of a schedule as JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps({name: getattr(new, name) for name in OPTIONS}, default=str))
    return found
