"""Unique keys of new jobs."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Self, TypeVar
from uuid import UUID, uuid5

from hammerwork_cli.core.clock import is_due
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.values import FAILURES, WAITING, JobStatus
from hammerwork_cli.errors import UsageError

Word = TypeVar("Word", bound=str)

Holding = Literal["waiting", "running", "completed", "failed"]
Replaced = Literal["payload", "priority", "scheduled_at"]
HOLDING: dict[Holding, frozenset[JobStatus]] = {
    "waiting": WAITING,
    "running": frozenset({JobStatus.RUNNING}),
    "completed": frozenset({JobStatus.COMPLETED}),
    "failed": FAILURES,
}
"""Word -> the statuses in which a job holds its key. A cancelled job holds none."""
USUAL: tuple[Holding, ...] = ("waiting", "running")
REPLACED: tuple[Replaced, ...] = ("payload", "priority", "scheduled_at")
"""What a job may replace in the one that holds its key."""
_KEYS = UUID("6f0c1f9e-33a5-4d3b-9d8a-5b0a3a1f7c52")


class Unique(NamedTuple):
    """What makes a new job unique: its key, and when the job that holds the key keeps it from being written."""

    key: str
    within: timedelta | None = None  # since the enqueue of the holder; `None` for all time
    while_: tuple[Holding, ...] = USUAL
    replace: tuple[Replaced, ...] = ()

    @classmethod
    def of(cls, key: object, within: object = None, while_: object = USUAL, replace: object = ()) -> Self:
        """Checks the values that somebody gives."""
        text = fields.text(key, "A unique key")
        if not 0 < len(text) <= LONGEST_NAME:
            raise UsageError(f"A unique key has 1 to {LONGEST_NAME} characters, not {len(text):,}.")
        length = None if within is None else fields.duration(within, "within", positive=True)
        holding = _words(while_, "No job holds a unique key while", HOLDING)
        if not holding:
            raise UsageError(f"A unique job needs at least one of these: {', '.join(HOLDING)}.")
        return cls(text, length, holding, _words(replace, "A unique job cannot replace", REPLACED))

    def id_in(self, queue: str) -> str:
        return str(uuid5(_KEYS, f"{queue}\0{self.key}"))

    def is_held(self, status: str | None, created: datetime | None, now: datetime) -> bool:
        """Whether a holder with this status (``None`` for a deleted one) keeps a job of now from being written."""
        if not any(status in HOLDING[word] for word in self.while_):
            return False
        if self.within is None or created is None:
            return True
        # One that is ahead by less than that holds: by a clock that is behind, it would otherwise be free too early.
        return not is_due(created + self.within, now, 2 * self.within)


def _words(given: object, refusal: str, known: Collection[Word]) -> tuple[Word, ...]:
    words = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    for word in words:
        if not isinstance(word, str) or word not in known:
            raise UsageError(f"{refusal} {word!r:.40}.", hint=f"Known: {', '.join(known)}.")
    return tuple(word for word in known if word in words)
