"""The threads that run jobs, and the jobs that wait for one of them."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable

from hammerwork_cli.queries.worker.claim import Claimed
from hammerwork_cli.queries.worker.finish import Ended
from hammerwork_cli.runtime.execution.attempts import Attempt, ClaimedRequest, Work

FULL = 100
"""Outcomes that are worth a transaction."""

Execute = Callable[[Attempt], Ended | None]


class Slots:
    """A fixed number of threads that work off one list.

    Args:
        count: number of threads.
        wake: called when there may be room for jobs.
        may_start: whether the waiting jobs still belong to this worker; asked before each of them starts.
        wake_finisher: called when there are outcomes to write; ``wake`` by default.

    Attributes:
        seconds: queue -> recent duration of an attempt at one of its jobs. The slots' threads write it under the lock;
            the main thread reads it.
    """

    def __init__(
        self,
        count: int,
        wake: Callable[[], None],
        may_start: Callable[[], bool] = lambda: True,
        wake_finisher: Callable[[], None] | None = None,
    ) -> None:
        self.count = count
        self._wake, self._may_start, self._wake_finisher = wake, may_start, wake_finisher or wake
        # The lock of this condition guards all fields below. The main thread, the finisher's and the slots' threads
        # write them; the keeper adds requests. Properties that read one field do so without the lock: they may be a
        # moment late.
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Work, float]] = deque()
        self._half = 0
        self._ended: list[Ended] = []
        self._writing: list[Ended] = []
        self._first_ended = 0.0
        self._postponed: dict[str, Ended] = {}
        self._running: set[Attempt] = set()
        self._idle = 0
        self._closed = False
        self.seconds: dict[str, float] = {}
        self._threads: list[threading.Thread] = []  # the main thread alone

    def start(self, execute: Execute) -> None:
        """Starts the threads.

        Args:
            execute: makes an attempt and returns its outcome, ``None`` when it has written that itself. Raises nothing.
        """
        self._threads = [
            threading.Thread(target=self._serve, args=(execute,), name=f"hammerwork-slot-{number}", daemon=True)
            for number in range(self.count)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, work: Iterable[Work]) -> None:
        """Adds work, the most urgent first."""
        now = time.monotonic()
        with self._changed:
            before = len(self._waiting)
            self._waiting.extend((item, now) for item in work)
            self._half = len(self._waiting) // 2
            self._changed.notify(min(len(self._waiting) - before, self._idle))

    def go_on(self) -> None:
        """Lets idle threads ask again whether a job may start."""
        with self._changed:
            self._changed.notify_all()

    def drop(self, ids: Collection[str]) -> int:
        """Forgets waiting jobs that belong to another worker now; how many."""
        with self._changed:
            kept = [item for item in self._waiting if isinstance(item[0], ClaimedRequest) or item[0].id not in ids]
            dropped = len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            return dropped

    def withdraw(self, older_than: float = 0.0) -> list[Claimed]:
        """Removes the waiting jobs, for the worker to give them back, if the first has waited for so many seconds."""
        with self._changed:
            if not self._waiting or time.monotonic() - self._waiting[0][1] < older_than:
                return []
            back = [work for work, _ in self._waiting if isinstance(work, Claimed)]
            self._waiting = deque(item for item in self._waiting if isinstance(item[0], ClaimedRequest))
            return back

    def ids(self) -> set[str]:
        """Ids of all jobs that wait, run, or have an outcome that is not written yet."""
        with self._changed:
            waiting = {work.id for work, _ in self._waiting if isinstance(work, Claimed)}
            running = {attempt.job.id for attempt in self._running if not attempt.over}
            ended = {ended.job.id for ended in (*self._ended, *self._writing)}
            return waiting | running | ended | self._postponed.keys()

    def request_ids(self) -> set[str]:
        """Ids of the spawn requests that wait or are being fulfilled."""
        with self._changed:
            works = [*(work for work, _ in self._waiting), *(attempt.work for attempt in self._running)]
        return {work.request.id for work in works if isinstance(work, ClaimedRequest)}

    def slowest(self, patience: float) -> float | None:
        """Seconds that the slowest recent attempts take, or running ones; ``None`` if neither is known.

        Args:
            patience: seconds until a running attempt counts. A short one that waits for a lock is no slow one.
        """
        now = time.monotonic()
        with self._changed:
            running = [now - attempt.began for attempt in self._running if not attempt.over]
            known = [*self.seconds.values(), *(took for took in running if took >= patience)]
        return max(known, default=None)

    def pop_ended(self) -> list[Ended]:
        """Outcomes since the last call; they count as unwritten until :meth:`clear_writing`."""
        with self._changed:
            self._writing, self._ended = self._ended, []
            return self._writing

    def clear_writing(self) -> None:
        """Forgets the outcomes of the last :meth:`pop_ended`: they are written, postponed, or put back."""
        with self._changed:
            self._writing = []

    def put_back(self, ended: Iterable[Ended]) -> None:
        """Returns outcomes that could not be written, for the next :meth:`pop_ended`."""
        with self._changed:
            self._ended[:0] = ended
            self._first_ended = time.monotonic()

    def postpone(self, ended: Iterable[Ended]) -> None:
        """Notes outcomes that the caller keeps to write them later: their jobs still belong to this worker."""
        with self._changed:
            self._postponed.update((one.job.id, one) for one in ended)

    def clear_postponed(self, ended: Iterable[Ended]) -> None:
        """Forgets notes by :meth:`postpone`, if there are any of these outcomes."""
        if self._postponed:
            with self._changed:
                for one in ended:
                    self._postponed.pop(one.job.id, None)

    @property
    def postponed(self) -> int:
        """Outcomes that cannot be written at present."""
        return len(self._postponed)

    def worth_writing(self, patience: float) -> float:
        """Seconds until the outcomes are worth a transaction: none when there are many, or when no job waits."""
        with self._changed:
            if len(self._ended) >= FULL or (self._ended and not self._waiting):
                return 0.0
            if not self._ended:
                return patience
            return max(0.0, self._first_ended + patience - time.monotonic())

    @property
    def unwritten(self) -> int:
        """Outcomes that are to be written, without postponed ones."""
        return len(self._ended) + len(self._writing)

    @property
    def has_ended(self) -> bool:
        """Whether there are outcomes to write."""
        return bool(self._ended)

    @property
    def waiting(self) -> int:
        """Jobs and requests that have not started."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Busy threads, including those whose job has timed out and whose handler has not returned."""
        return len(self._running)

    @property
    def empty(self) -> bool:
        """Whether nothing waits, runs, or has an outcome to write."""
        with self._changed:
            unwritten = self._ended or self._writing or self._postponed
            return not self._waiting and not unwritten and all(attempt.over for attempt in self._running)

    def expire(self, timed_out: Callable[[Attempt], Ended]) -> float | None:
        """Decides the attempts whose deadline has passed; the next deadline, by the monotonic clock."""
        if not any(attempt.deadline for attempt in tuple(self._running)):
            return None
        with self._changed:
            now = time.monotonic()
            open_ones = [(one.deadline, one) for one in self._running if one.deadline and not one.over]
            self._decide([attempt for deadline, attempt in open_ones if deadline <= now], timed_out)
            return min((deadline for deadline, attempt in open_ones if not attempt.over), default=None)

    def abandon(self, outcome: Callable[[Attempt], Ended]) -> None:
        """Decides all running jobs, because the worker stops at once."""
        with self._changed:
            self._decide([one for one in self._running if not one.over and isinstance(one.work, Claimed)], outcome)

    def _decide(self, attempts: list[Attempt], outcome: Callable[[Attempt], Ended]) -> None:
        for attempt in attempts:
            attempt.over = True
            self._add(outcome(attempt))

    def _add(self, ended: Ended) -> None:
        if not self._ended:
            self._first_ended = time.monotonic()
        self._ended.append(ended)
        if len(self._ended) in (1, FULL):
            self._wake_finisher()

    def close(self) -> None:
        """Lets the threads end once nothing waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Waits until the threads have ended, after :meth:`close`, or for so many seconds."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():  # one that could not be started is not
                thread.join(max(0.0, end - time.monotonic()))

    def _serve(self, execute: Execute) -> None:
        attempt: Attempt | None = None
        ended: Ended | None = None
        while True:
            attempt = self._next(attempt, ended)
            if attempt is None:
                return
            ended = execute(attempt)

    def _next(self, done: Attempt | None, ended: Ended | None) -> Attempt | None:
        # Books one attempt and starts the next under one lock, since most jobs are short.
        with self._changed:
            if done is not None:
                self._book(done, ended)
            while not self._waiting or not self._may_start():
                if self._closed:
                    return None
                self._idle += 1
                self._wake()
                if self._ended:  # they wait for no others
                    self._wake_finisher()
                self._changed.wait()
                self._idle -= 1
            attempt = Attempt(self._waiting.popleft()[0], self._changed)
            if len(self._waiting) == self._half:
                self._wake()  # there is room for as many
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
