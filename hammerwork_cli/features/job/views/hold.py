"""The reasons why a job waits, each a word and a sentence."""

from typing import NamedTuple


class Hold(NamedTuple):
    """The reason why a job waits."""

    word: str
    message: str


HOLDS = (
    "unfinished",
    "parent_failed",
    "parent_missing",
    "not_released",
    "stuck_above",
    "paused",
    "no_worker",
    "limited",
    "busy",
    "ready",
    "retrying",
    "scheduled",
    "misspelt_status",
    "barred",
    "disabled",
    "webhook_disabled",
)
