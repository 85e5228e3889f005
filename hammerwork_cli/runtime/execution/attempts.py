"""Claimed work, and the attempt at it that a slot makes."""

import threading
import time
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from hammerwork_cli.models import SpawnRequest
from hammerwork_cli.queries.worker.claim import Claimed


class ClaimedRequest(NamedTuple):
    """A spawn request that this worker has claimed, and the job that is to spawn."""

    request: SpawnRequest
    job: Claimed


Work = Claimed | ClaimedRequest


class Attempt:
    """One attempt at a job, or at a spawn request, in a slot.

    Args:
        work: the job or request.
        lock: guards the decision about it; the lock of all slots.

    Attributes:
        began: by the monotonic clock. Its slot's thread writes it.
        thread: its slot's thread.
        deadline: by the monotonic clock. Its slot's thread writes it, the main thread reads it.
        over: the outcome is decided: the handler has ended, or the deadline or the end of the worker came first.
            Written under the lock, by the slot's thread or the main thread; anyone reads it.
        keys: of the children that it has spawned by key: queue, and a hash of the payload. The slot's thread and
            threads that its handler started write it, each by one atomic step.
    """

    __slots__ = ("_lock", "began", "deadline", "keys", "over", "thread", "work")

    def __init__(self, work: Work, lock: AbstractContextManager[Any]) -> None:
        self.work = work
        self.began = time.monotonic()
        self.thread = threading.get_ident()
        self.deadline: float | None = None
        self.over = False
        self.keys: dict[str, tuple[str, int]] = {}
        self._lock = lock

    @property
    def job(self) -> Claimed:
        """The job that runs or spawns."""
        return self.work.job if isinstance(self.work, ClaimedRequest) else self.work

    def decide(self) -> bool:
        """Claims the decision for the slot's thread, which is about to write the outcome itself.

        Returns:
            ``False`` when the deadline or the end of the worker came first.
        """
        with self._lock:
            if self.over:
                return False
            self.deadline = None
            return True
