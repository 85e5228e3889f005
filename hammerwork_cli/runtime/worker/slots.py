"""The threads in which jobs run, and what waits for one of them."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from hammerwork_cli.models import SpawnRequest
from hammerwork_cli.queries.worker.claim import Claimed
from hammerwork_cli.queries.worker.finish import Ended

FULL = 100
"""Ended runs that are worth a transaction of their own."""


class ClaimedRequest(NamedTuple):
    """A request to spawn, and the job that is to."""

    request: SpawnRequest
    job: Claimed


class Attempt:
    """A job, or a wish, in a slot.

    Attributes:
        over: what became of it is decided: by its end, by its deadline, or by the worker's.
        deadline: by the monotonic clock.
        thread: the slot's.
        keys: of the children that it has spawned by key: queue, and a hash of the payload.
    """

    __slots__ = ("began", "deadline", "keys", "over", "thread", "work")

    def __init__(self, work: Claimed | ClaimedRequest) -> None:
        self.work = work
        self.began = time.monotonic()
        self.thread = threading.get_ident()
        self.deadline: float | None = None
        self.over = False
        self.keys: dict[str, tuple[str, int]] = {}

    @property
    def job(self) -> Claimed:
        """The job that runs or spawns."""
        return self.work.job if isinstance(self.work, ClaimedRequest) else self.work


class Slots:
    """A fixed number of threads that take work from one list.

    Args:
        count: how many.
        execute: runs a job, outside any lock; ``None`` says that what became of it is written already.
        wake: called when there is something to write or to fetch.
        may_begin: whether the jobs that wait are still this worker's; asked before each begins.
    """

    def __init__(
        self,
        count: int,
        execute: Callable[[Attempt], Ended | None],
        wake: Callable[[], None],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> None:
        self.count = count
        self._execute, self._wake, self._may_begin = execute, wake, may_begin
        self._work = threading.Condition()
        self._waiting: deque[tuple[Claimed | ClaimedRequest, float]] = deque()
        self._ended: list[Ended] = []
        self._first_ended = 0.0
        self._held_up: dict[str, Ended] = {}
        self._running: set[Attempt] = set()
        self._idle = 0
        self._closed = False
        self.seconds: dict[str, float] = {}
        """Queue -> seconds that a run of its jobs takes lately."""
        self._threads = [
            threading.Thread(target=self._serve, name=f"hammerwork-slot-{number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, work: Iterable[Claimed | ClaimedRequest]) -> None:
        """Work to be done, the most urgent first."""
        now = time.monotonic()
        with self._work:
            before = len(self._waiting)
            self._waiting.extend((item, now) for item in work)
            self._work.notify(min(len(self._waiting) - before, self._idle))

    def go_on(self) -> None:
        """Jobs may begin again."""
        with self._work:
            self._work.notify_all()

    def drop(self, ids: Collection[str]) -> int:
        """Forgets jobs that have not begun and are not this worker's any more; how many."""
        with self._work:
            kept = [item for item in self._waiting if isinstance(item[0], ClaimedRequest) or item[0].id not in ids]
            dropped = len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            return dropped

    def take_back(self, older_than: float = 0.0) -> list[Claimed]:
        """Jobs that have not begun, when the first of them has waited for so many seconds: they are ours no more."""
        with self._work:
            if not self._waiting or time.monotonic() - self._waiting[0][1] < older_than:
                return []
            back = [work for work, _ in self._waiting if isinstance(work, Claimed)]
            self._waiting = deque(item for item in self._waiting if isinstance(item[0], ClaimedRequest))
            return back

    def ids(self) -> set[str]:
        """Ids of all jobs that wait, run, or have ended and are yet to be written."""
        with self._work:
            waiting = {work.id for work, _ in self._waiting if isinstance(work, Claimed)}
            running = {attempt.job.id for attempt in self._running if not attempt.over}
            return waiting | running | {ended.job.id for ended in self._ended} | self._held_up.keys()

    def request_ids(self) -> set[str]:
        """Ids of the requests that wait here or are being fulfilled."""
        with self._work:
            works = [*(work for work, _ in self._waiting), *(attempt.work for attempt in self._running)]
        return {work.request.id for work in works if isinstance(work, ClaimedRequest)}

    def slowest(self) -> float | None:
        """Seconds that the slowest runs take, lately or by now; ``None`` when nobody knows yet."""
        now = time.monotonic()
        with self._work:
            known = [*self.seconds.values(), *(now - attempt.began for attempt in self._running if not attempt.over)]
        return max(known, default=None)

    def take_ended(self) -> list[Ended]:
        """Runs that ended since the last call."""
        with self._work:
            ended, self._ended = self._ended, []
            return ended

    def put_back(self, ended: Iterable[Ended]) -> None:
        """Runs that could not be written now; they are taken again."""
        with self._work:
            self._ended[:0] = ended
            self._first_ended = time.monotonic()

    def hold_up(self, ended: Iterable[Ended]) -> None:
        """Runs that cannot be written at present and that whoever writes keeps: their jobs are still this worker's."""
        with self._work:
            self._held_up.update((attempt.job.id, attempt) for attempt in ended)

    def let_go(self, ended: Iterable[Ended]) -> None:
        """Runs that are held up no longer."""
        if self._held_up:
            with self._work:
                for attempt in ended:
                    self._held_up.pop(attempt.job.id, None)

    @property
    def held_up(self) -> int:
        """Runs that have ended and cannot be written at present."""
        return len(self._held_up)

    def worth_writing(self, patience: float) -> float:
        """Seconds until the ended runs are to be written: at once when they are many, or when all slots wait."""
        with self._work:
            if len(self._ended) >= FULL or (self._ended and not self._waiting):
                return 0.0
            if not self._ended:
                return patience
            return max(0.0, self._first_ended + patience - time.monotonic())

    @property
    def has_ended(self) -> bool:
        """Whether there is something to write."""
        return bool(self._ended)

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Slots at work, those included whose job has timed out and does not return."""
        return len(self._running)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to run, to write or to wait for."""
        with self._work:
            unwritten = self._ended or self._held_up
            return not self._waiting and not unwritten and all(attempt.over for attempt in self._running)

    def expire(self, timed_out: Callable[[Attempt], Ended]) -> float | None:
        """Decides the runs whose time is up; when the next one is due, by the monotonic clock."""
        if not any(attempt.deadline for attempt in tuple(self._running)):
            return None
        with self._work:
            now = time.monotonic()
            late = [
                attempt
                for attempt in self._running
                if attempt.deadline and attempt.deadline <= now and not attempt.over
            ]
            self._decide(late, timed_out)
            return min(
                (attempt.deadline for attempt in self._running if attempt.deadline and not attempt.over), default=None
            )

    def abandon(self, ended: Callable[[Attempt], Ended]) -> None:
        """Decides all runs that are under way: the worker ends now."""
        with self._work:
            self._decide(
                [attempt for attempt in self._running if not attempt.over and isinstance(attempt.work, Claimed)], ended
            )

    def _decide(self, attempts: list[Attempt], ended: Callable[[Attempt], Ended]) -> None:
        for attempt in attempts:
            attempt.over = True
            self._add(ended(attempt))

    def decide(self, attempt: Attempt) -> bool:
        """A run is about to be written by itself: whether nothing has been decided about it yet."""
        with self._work:
            if attempt.over:
                return False
            attempt.deadline = None
            return True

    def _add(self, ended: Ended) -> None:
        if not self._ended:
            self._first_ended = time.monotonic()
        self._ended.append(ended)

    def close(self) -> None:
        """Lets the threads end once they have nothing to do."""
        with self._work:
            self._closed = True
            self._work.notify_all()

    def join(self, seconds: float) -> None:
        """Waits until the threads have ended, or for so long; to be closed before."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():  # one that could not be started is not
                thread.join(max(0.0, end - time.monotonic()))

    def _serve(self) -> None:
        attempt: Attempt | None = None
        ended: Ended | None = None
        while True:
            attempt = self._next(attempt, ended)
            if attempt is None:
                return
            ended = self._execute(attempt)

    def _next(self, done: Attempt | None, ended: Ended | None) -> Attempt | None:
        """Books one run and begins the next: one lock for both, since most jobs are short."""
        with self._work:
            if done is not None:
                self._book(done, ended)
            while not self._waiting or not self._may_begin():
                if self._closed:
                    return None
                self._idle += 1
                self._wake()
                self._work.wait()
                self._idle -= 1
            attempt = Attempt(self._waiting.popleft()[0])
            self._running.add(attempt)
            return attempt

    def _book(self, attempt: Attempt, ended: Ended | None) -> None:
        self._running.discard(attempt)
        took = time.monotonic() - attempt.began
        queue = attempt.job.queue_name
        self.seconds[queue] = 0.8 * self.seconds.get(queue, took) + 0.2 * took
        if ended is not None and not attempt.over:
            self._add(ended)
        attempt.over = True
        if len(self._ended) in (1, FULL):
            self._wake()
