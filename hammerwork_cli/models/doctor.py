"""What is wrong with jobs."""

from dataclasses import dataclass
from enum import StrEnum

from hammerwork_cli.models.values import Timestamp


class Damage(StrEnum):
    """The kinds of damage that the doctor knows, in the order in which it mends and tells them."""

    MISSPELT_STATUS = "misspelt_status"
    NULL_LISTS = "null_lists"
    BARRED = "barred"
    LOST = "lost"
    LOST_LAST_ATTEMPT = "lost_last_attempt"
    NOT_RELEASED = "not_released"
    NOT_RELEASED_AFTER_FAILURE = "not_released_after_failure"
    PARENT_FAILED = "parent_failed"
    PARENT_FAILED_MANUAL = "parent_failed_manual"
    PARENT_MISSING = "parent_missing"
    CYCLE = "cycle"
    UNKNOWN_STATUS = "unknown_status"
    UNFINISHED_TABLES = "unfinished_tables"
    CRON_STOPPED = "cron_stopped"
    RAN_EARLY = "ran_early"
    NEVER_SPAWNED = "never_spawned"
    GONE_BUT_RECORDED = "gone_but_recorded"


FIXABLE = frozenset(
    {
        Damage.MISSPELT_STATUS,
        Damage.NULL_LISTS,
        Damage.BARRED,
        Damage.LOST,
        Damage.LOST_LAST_ATTEMPT,
        Damage.NOT_RELEASED,
        Damage.NOT_RELEASED_AFTER_FAILURE,
        Damage.PARENT_FAILED,
        Damage.GONE_BUT_RECORDED,
    }
)
"""What has one right end. The rest is told, with what a person can do."""
NOTES = frozenset({Damage.RAN_EARLY, Damage.NEVER_SPAWNED, Damage.GONE_BUT_RECORDED})
"""What has happened and holds no job: worth knowing. It is past mending, or only takes room."""


@dataclass(frozen=True, slots=True)
class FoundJob:
    """One job with damage.

    Attributes:
        queue: ``None`` of a job that is gone.
        status: as the row spells it.
        detail: what the damage is about: a parent's id, an instant, a handler.
    """

    id: str
    queue: str | None
    status: str
    detail: Timestamp = None


@dataclass(frozen=True, slots=True)
class Finding:
    """All jobs with one kind of damage.

    Attributes:
        jobs: how many were found.
        examples: the oldest of them.
        mended: how many were mended, also such as came to light on the way.
        left: how many there are now.
    """

    kind: Damage
    jobs: int
    examples: tuple[FoundJob, ...]
    left: int
    fixed: int = 0

    @property
    def fixable(self) -> bool:
        """Whether the doctor can mend it."""
        return self.kind in FIXABLE

    @property
    def is_note(self) -> bool:
        """Whether it only tells what has happened."""
        return self.kind in NOTES
