"""The outcomes of attempts until they are written."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from hammerwork_cli.features.worker.models.counts import Unwritten
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import EndedAttempt

FULL = 100
"""Outcomes that are worth a transaction."""

MOST_UNWRITTEN_BYTES = 64 << 20
"""Bytes of payloads and results not yet written at which no further job starts."""
MOST_WRITTEN_BYTES = 16 << 20
"""Most bytes of payloads and results in one transaction, unless one outcome has more."""

REFUSED_SECONDS = 1.0
"""How long an outcome cannot be written before it is reported: finding the one that is to blame takes less."""


class UnwrittenOutcomes:
    """The outcomes that nobody has written yet: those to be written next, those being written, and postponed ones.

    The threads of the slots and of the event loop add outcomes, and so does the main thread. The finisher takes them.
    Properties read one field without the lock: they may be a moment late.

    Args:
        lock: guards all fields. The lock of the slots, which add an outcome and start the next attempt under it.
        wake: called when there are outcomes to write.
        has_room: called under the lock once they are no longer so large that no further job starts.

    Attributes:
        writing: held while a transaction writes outcomes.
        size: bytes of the payloads, results and errors of all of them. Written under the lock.
    """

    def __init__(
        self, lock: AbstractContextManager[Any], wake: Callable[[], None], has_room: Callable[[], None]
    ) -> None:
        self.writing = threading.Lock()
        self._lock, self._wake, self._has_room = lock, wake, has_room
        self._ended: list[EndedAttempt] = []
        self._writing: list[EndedAttempt] = []
        self.size = 0
        self._first_ended = 0.0
        self._postponed: dict[str, EndedAttempt] = {}
        self._postponed_since = self._writing_since = 0.0
        self._refusal: str | None = None  # the last error, until all is written

    def add(self, ended: EndedAttempt) -> None:
        """Adds an outcome. The caller holds the lock."""
        if not self._ended:
            self._first_ended = time.monotonic()
        self._ended.append(ended)
        self.size += ended.size
        if len(self._ended) in (1, FULL):
            self._wake()

    def hurry(self) -> None:
        """Lets the outcomes be written without waiting for others. The caller holds the lock."""
        if self._ended:
            self._wake()

    def jobs(self) -> list[Claimed]:
        """The jobs of all of them. The caller holds the lock."""
        return [ended.job for ended in (*self._ended, *self._writing, *self._postponed.values())]

    @property
    def is_empty(self) -> bool:
        """Whether all outcomes are written. The caller holds the lock."""
        return not (self._ended or self._writing or self._postponed)

    def pop_ended(self) -> list[EndedAttempt]:
        """Returns the outcomes since the last call, as many as fit into a transaction.

        They count as unwritten until :meth:`clear_writing`.
        """
        with self._lock:
            number = _fitting(self._ended) if self.size > MOST_WRITTEN_BYTES else len(self._ended)
            self._writing, self._ended = self._ended[:number], self._ended[number:]
            self._writing_since = time.monotonic()
            return self._writing

    def clear_writing(self) -> None:
        """Forgets the outcomes of the last :meth:`pop_ended`: they are written, postponed, or put back."""
        with self._lock:
            gone, self._writing = self._writing, []
            self._forget(gone)
            if not self._postponed:
                self._refusal = None

    def _forget(self, gone: Iterable[EndedAttempt]) -> None:
        was_clogged = self.is_clogged
        self.size -= _weight(gone)
        if was_clogged and not self.is_clogged:
            self._has_room()

    def put_back(self, ended: Iterable[EndedAttempt]) -> None:
        """Returns outcomes that could not be written, for the next :meth:`pop_ended`."""
        with self._lock:
            self._ended[:0] = ended = list(ended)
            self.size += _weight(ended)
            self._first_ended = time.monotonic()

    def postpone(self, ended: Iterable[EndedAttempt]) -> None:
        """Notes outcomes that the caller keeps to write them later: their jobs still belong to this worker."""
        with self._lock:
            if not self._postponed:
                self._postponed_since = self._writing_since or time.monotonic()
            for one in ended:
                if one.job.id not in self._postponed:
                    self.size += one.size
                    self._postponed[one.job.id] = one

    def clear_postponed(self, ended: Iterable[EndedAttempt]) -> None:
        """Takes back :meth:`postpone` for those of these outcomes that were postponed."""
        if self._postponed:
            with self._lock:
                gone = (self._postponed.pop(one.job.id, None) for one in ended)
                self._forget([one for one in gone if one is not None])

    def refuse(self, error: str) -> None:
        """Notes why outcomes could not be written."""
        with self._lock:
            self._refusal = error

    def refused(self, spawning: Sequence[tuple[float, str]]) -> Unwritten | None:
        """Reports those that could not be written so far, and those that wait for them; ``None`` without any.

        Args:
            spawning: since when attempts that spawn could not write their own outcomes, and the error. The caller holds
                the lock.
        """
        number, starts = len(spawning) + len(self._postponed), [since for since, _ in spawning]
        error = self._refusal or next((said for _, said in spawning), "")
        starts += [self._postponed_since] * bool(self._postponed)
        if self._refusal and self._writing:
            waiting = {one.job.id for one in (*self._writing, *self._ended)} - self._postponed.keys()
            number, starts = number + len(waiting), [*starts, self._writing_since]
        took = time.monotonic() - min(starts, default=math.inf)
        return Unwritten(number, round(took, 3), error) if took >= REFUSED_SECONDS else None

    def worth_writing(self, patience: float, *, alone: bool) -> float:
        """Seconds until the outcomes are worth a transaction.

        Args:
            patience: seconds to wait for others.
            alone: whether no other follows soon. The caller holds the lock.
        """
        if len(self._ended) >= FULL or (self._ended and alone):
            return 0.0
        if not self._ended:
            return patience
        return max(0.0, self._first_ended + patience - time.monotonic())

    @property
    def postponed(self) -> int:
        """Outcomes that cannot be written at present."""
        return len(self._postponed)

    @property
    def postponed_ids(self) -> list[str]:
        """Ids of the jobs whose outcomes are postponed. The caller holds the lock."""
        return list(self._postponed)

    @property
    def unwritten(self) -> int:
        """Outcomes that are to be written, without postponed ones."""
        return len(self._ended) + len(self._writing)

    @property
    def has_ended(self) -> bool:
        """Whether there are outcomes to write."""
        return bool(self._ended)

    @property
    def is_clogged(self) -> bool:
        """Whether the unwritten outcomes are so large that no further job starts."""
        return self.size >= MOST_UNWRITTEN_BYTES


def _weight(ended: Iterable[EndedAttempt]) -> int:
    return sum([one.size for one in ended])


def _fitting(ended: Sequence[EndedAttempt]) -> int:
    """How many outcomes go into a transaction."""
    weight = 0
    for number, one in enumerate(ended):
        weight += one.size
        if number and weight > MOST_WRITTEN_BYTES:
            return number
    return len(ended)
