"""Claimed work, and the attempt at it that a slot makes."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.worker.queries.ancestry import NewJoin
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import EndedAttempt
from hammerwork_cli.runtime.api.tracing import TraceColumns
from hammerwork_cli.runtime.outcomes.failures import message_of


class ClaimedRequest(NamedTuple):
    """A spawn request that this worker has claimed, and the job that is to spawn."""

    request: SpawnRequest
    job: Claimed


Work = Claimed | ClaimedRequest


class StillRunning:
    """Stands for an outcome: the attempt goes on as a coroutine, without a thread."""


STILL_RUNNING = StillRunning()


class Attempt:
    """One attempt at a job, or at a spawn request, in a slot.

    It begins in a thread. A coroutine goes on without it, and any thread of the slots does what is left to do after it.

    Args:
        lock: guards the decision about it; the lock of all slots.

    Attributes:
        job: the job that runs or spawns. The thread that began it decrypts it.
        request: the spawn request that it fulfils; ``None`` when it runs the job.
        began: by the monotonic clock. The thread that began it writes it.
        thread: the thread that runs it, or began it before it went on as a coroutine: a slot's, or the event loop's.
            That thread writes it.
        awaits: the coroutine or async generator as which it goes on. The thread that began it writes it.
        blocks: whether its thread may have to wait. The slots write it, under the lock.
        rest: what is left to do after its coroutine. The thread in which that ended writes it, before another one
            takes it on.
        deadline: by the monotonic clock. The thread that began it writes it, the main thread reads it.
        over: the outcome is decided: the handler has ended, or the deadline or the end of the worker came first.
            Written under the lock, by a slot's thread, the event loop's or the main thread; anyone reads it.
        writes: its thread writes the outcome itself, and nobody else decides it but the end of the worker. Written
            under the lock by that thread; anyone reads it.
        refusal: when the first try to write what it spawns failed, by the monotonic clock, and the error of the last
            one; ``None`` once it is written. The slot's thread writes it, and threads that its handler started.
        holds_slot: its outcome is decided, and its handler goes on in a thread that nobody can end. The main thread
            writes it.
        keys: of the children that it has spawned by key: queue, and a hash of the payload. The slot's thread and
            threads that its handler started write it, each by one atomic step.
        joins: the children that wait for the others. Written as the keys are.
        progress: the last that its handler reported. Written as the keys are; the heartbeat's thread reads it.
    """

    # Of the class, since most attempts never change them.
    request: SpawnRequest | None = None
    awaits: Any = None
    deadline: float | None = None
    blocks = True
    rest: Callable[[], EndedAttempt | None] | None = None
    over = writes = holds_slot = False
    refusal: tuple[float, str] | None = None
    joins: tuple[NewJoin, ...] = ()
    progress: JobProgress | None = None

    def __init__(self, work: Work, lock: AbstractContextManager[Any]) -> None:
        self.job: Claimed
        if isinstance(work, ClaimedRequest):
            self.request, self.job = work
        else:
            self.job = work
        self.began = time.monotonic()
        self.thread = threading.get_ident()
        self.keys: dict[str, tuple[str, int]] = {}
        self._lock = lock

    @property
    def is_under_way(self) -> bool:
        """Whether its handler runs, or produces children, and nobody has decided its outcome yet."""
        return not self.over and not self.writes and self.request is None

    @property
    def is_refused(self) -> bool:
        """Whether the last try to write its outcome failed. The first one may take its time: it has many children."""
        return self.writes and self.refusal is not None

    def refuse(self, error: HammerworkError | None) -> None:
        """Notes that a try to write what it spawns has failed, or with ``None`` that it is written."""
        began = self.refusal[0] if self.refusal else time.monotonic()
        self.refusal = None if error is None else (began, message_of(error))

    def hand_down(self, columns: TraceColumns) -> None:
        """Lets the children inherit the trace of this attempt instead of that of the job."""
        self.job = self.job._replace(**columns)

    def report(self, share: float, text: str, now: datetime) -> None:
        """Keeps the progress of the job for the next heartbeat."""
        job = self.job
        self.progress = JobProgress(job.id, job.queue_name, job.attempts, share, text, now.isoformat())

    def take_rest(self) -> Callable[[], EndedAttempt | None]:
        """Hands the present thread what is left to do after the attempt's coroutine."""
        rest = self.rest
        assert rest is not None
        self.rest, self.thread, self.awaits = None, threading.get_ident(), None
        return rest

    def decide(self) -> bool:
        """Claims the decision for the slot's thread, which is about to write the outcome itself.

        Returns:
            ``False`` when the deadline or the end of the worker came first.
        """
        with self._lock:
            if self.over:
                return False
            self.deadline, self.writes = None, True
            return True
