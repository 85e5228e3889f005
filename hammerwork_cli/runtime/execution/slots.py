"""The threads that run jobs, and the jobs that wait for one of them."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import timedelta
from itertools import repeat
from operator import attrgetter
from typing import NamedTuple

from hammerwork_cli.features.worker.models.counts import Unwritten
from hammerwork_cli.features.worker.queries.claim import Claimed, payload_size
from hammerwork_cli.features.worker.queries.finish import EndedAttempt, Owned
from hammerwork_cli.runtime.execution import unwritten_outcomes
from hammerwork_cli.runtime.execution.attempts import Attempt, ClaimedRequest, StillRunning, Work
from hammerwork_cli.runtime.execution.unwritten_outcomes import UnwrittenOutcomes
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.view.text import duration


class Ahead(NamedTuple):
    """Jobs that wait for a slot: the bytes of their payloads, and the seconds that they will take, by recent jobs."""

    size: int
    seconds: float


_queue_of = attrgetter("queue_name")
Run = Callable[[Attempt], EndedAttempt | StillRunning | None]
log = logging.getLogger("hammerwork")


class Slots:
    """Threads that work off one list. They become more while handlers keep them waiting.

    Args:
        count: attempts that run at once, coroutines included; also the most threads.
        wake: called when there may be room for jobs.
        may_start: whether the waiting jobs still belong to this worker; asked before each of them starts.
        wake_finisher: called when there are outcomes to write; ``wake`` by default.

    Attributes:
        outcomes: of attempts that have ended, until they are written.
    """

    def __init__(
        self,
        count: int,
        wake: Callable[[], None],
        may_start: Callable[[], bool] = lambda: True,
        wake_finisher: Callable[[], None] | None = None,
    ) -> None:
        self.count = count
        self._wake, self._may_start = wake, may_start
        # This lock guards all fields below, and the outcomes: one lock serves to book an attempt and to start the next.
        # The threads of the main loop, the finisher, the slots and the event loop write them; the keeper adds requests.
        # Properties that read one field do so without the lock: they may be a moment late.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self.outcomes = UnwrittenOutcomes(self._lock, wake_finisher or wake, self._call_thread)
        self._waiting: deque[tuple[Work, float]] = deque()
        self._half = 0
        self._running: set[Attempt] = set()
        self._resumed: deque[Attempt] = deque()
        self._overdue: list[Attempt] = []
        self._idle = 0
        self._ready = 0
        """Threads that are idle, or will ask for work without having to wait."""
        self._closed = False
        # Queue -> recent duration of an attempt at one of its jobs. The threads of the slots and of the event loop
        # write it under the lock; the main thread reads it.
        self.seconds: dict[str, float] = {}
        self._threads: list[threading.Thread] = []
        self._most_threads = 0  # until they are started
        self._has_warned = False
        # The main thread writes them once, before there are threads.
        self._run: Run = lambda _: None
        self._coroutines: frozenset[str] = frozenset()

    def start(self, run: Run, coroutines: frozenset[str] = frozenset()) -> None:
        """Starts the first thread.

        Args:
            run: makes an attempt, or does what is left to do of it, and returns its outcome; ``None`` when it has
                written that itself, ``STILL_RUNNING`` when :meth:`end` or :meth:`resume` follows. It raises nothing.
            coroutines: the queues for whose jobs a thread never has to wait.
        """
        self._run, self._coroutines = run, coroutines
        with self._lock:
            self._add_thread()
            self._most_threads = self.count

    def _add_thread(self) -> None:
        name = f"hammerwork-slot-{len(self._threads)}"
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
        self._ready += 1

    def _call_thread(self) -> None:
        """Makes sure that a thread takes what there is to do."""
        if not self._resumed and (not self._waiting or len(self._running) >= self.count):
            return
        if self._idle:
            self._changed.notify()
        elif not self._ready and len(self._threads) < self._most_threads:
            try:
                self._add_thread()
            except RuntimeError:
                self._most_threads = len(self._threads)
                if not self._has_warned:
                    self._has_warned = True
                    with suppress(Exception):  # a handler of the log may raise, and this thread has an attempt
                        log.warning("The system refuses another thread: %d run handlers.", self._most_threads)

    def put(self, work: Iterable[Work]) -> None:
        """Adds work, the most urgent first."""
        now = time.monotonic()
        with self._lock:
            self._waiting.extend([(item, now) for item in work])
            self._half = len(self._waiting) // 2
            self._call_thread()

    def end(self, attempt: Attempt, ended: EndedAttempt | None) -> None:
        """Books an attempt whose coroutine has ended, and starts the next one here if that is a coroutine too.

        The event loop thus need not wake a thread. Any thread may call this; it does not wait.
        """
        outcome: EndedAttempt | StillRunning | None = ended
        while not isinstance(outcome, StillRunning):
            with self._lock:
                self._book(attempt, outcome)
                here = not self._resumed and self._waiting and not self._blocks(self._waiting[0][0])
                following = self._take() if here else None
                if following is None:
                    self._call_thread()
                    self._wake_if_free()
                    return
            attempt = following
            outcome = self._run(attempt)

    def resume(self, attempt: Attempt, *, blocks: bool) -> None:
        """Lets a thread do what is left to do of an attempt. Any thread may call this; it does not wait.

        Args:
            attempt: its coroutine has ended.
            blocks: whether the thread may have to wait.
        """
        with self._lock:
            attempt.blocks = blocks
            self._resumed.append(attempt)
            self._call_thread()

    def go_on(self) -> None:
        """Lets an idle thread ask again whether a job may start, and asks the system again for refused threads."""
        with self._lock:
            if self._threads:
                self._most_threads = self.count
            self._call_thread()

    def drop(self, lost: Collection[Owned]) -> int:
        """Forgets waiting jobs that are no longer this worker's; returns their number."""
        with self._lock:
            kept = [
                item for item in self._waiting if isinstance(item[0], ClaimedRequest) or _owned(item[0]) not in lost
            ]
            dropped = len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            return dropped

    def ids(self) -> set[str]:
        return {owned.job for owned in self.jobs()}

    def under_way(self) -> list[Attempt]:
        """The attempts at jobs that run."""
        with self._lock:
            return [attempt for attempt in self._running if attempt.is_under_way]

    def take_away(self, lost: Collection[Owned]) -> list[Attempt]:
        """Decides and returns running attempts at jobs that are no longer this worker's: nothing is written of them."""
        with self._lock:
            taken = [one for one in self._running if one.is_under_way and _owned(one.job) in lost]
            for attempt in taken:
                attempt.over = True
            return taken

    def pop_overdue(self) -> list[Attempt]:
        """Returns the attempts whose deadline has passed since the last call, and whose handlers hold their slots."""
        if not self._overdue:
            return []
        with self._lock:
            overdue, self._overdue = self._overdue, []
            return [attempt for attempt in overdue if attempt.holds_slot and attempt in self._running]

    def withdraw(self, older_than: float = 0.0) -> list[Claimed]:
        """Removes and returns the waiting jobs, to be given back, if the first has waited longer than some seconds."""
        with self._lock:
            if not self._waiting or time.monotonic() - self._waiting[0][1] < older_than:
                return []
            back = [work for work, _ in self._waiting if isinstance(work, Claimed)]
            self._waiting = deque(item for item in self._waiting if isinstance(item[0], ClaimedRequest))
            return back

    def jobs(self) -> set[Owned]:
        """All jobs that wait, run, or have an outcome that is not written yet."""
        with self._lock:
            waiting = {_owned(work) for work, _ in self._waiting if isinstance(work, Claimed)}
            running = {_owned(attempt.job) for attempt in self._running if not attempt.over}
            return waiting | running | {_owned(job) for job in self.outcomes.jobs()}

    def number(self, queue: str, *, unwritten: bool = False) -> int:
        """Jobs of a queue that wait or run; with ``unwritten``, also those whose outcome is not written yet."""
        with self._lock:
            jobs = [work for work, _ in self._waiting if isinstance(work, Claimed)]
            jobs += [attempt.job for attempt in self._running if attempt.request is None]
            if unwritten:
                jobs += self.outcomes.jobs()
            return sum(job.queue_name == queue for job in jobs)

    def request_ids(self) -> set[str]:
        """Ids of the spawn requests that wait or are being fulfilled."""
        with self._lock:
            waiting = [work.request for work, _ in self._waiting if isinstance(work, ClaimedRequest)]
            running = [attempt.request for attempt in self._running if attempt.request]
        return {request.id for request in (*waiting, *running)}

    def longest(self) -> float:
        """Seconds for which the longest attempt has run."""
        with self._lock:
            began = min((attempt.began for attempt in self._running if not attempt.over), default=math.inf)
        return max(0.0, time.monotonic() - began)

    def ahead(self, others: Iterable[Claimed] = ()) -> Ahead:
        """Measures the jobs that wait, and others that will."""
        with self._lock:
            jobs = [work for work, _ in self._waiting if isinstance(work, Claimed)]
        jobs += others
        # At the speed of C, as payload_size().
        return Ahead(payload_size(jobs), sum(map(self.seconds.get, map(_queue_of, jobs), repeat(0.0))))

    def refused(self) -> Unwritten | None:
        """Reports the outcomes that could not be written so far, and those that wait for them; ``None`` without any."""
        with self._lock:
            spawning = [attempt.refusal for attempt in self._running if attempt.refusal and not attempt.over]
            return self.outcomes.refused(spawning)

    def worth_writing(self, patience: float) -> float:
        """Seconds until the outcomes are worth a transaction: none when there are many, or when no job waits."""
        with self._lock:
            return self.outcomes.worth_writing(patience, alone=not self._waiting)

    @property
    def waiting(self) -> int:
        """Jobs and requests that have not started."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Attempts that run, including those that have timed out and whose handler has not returned."""
        return len(self._running)

    @property
    def held(self) -> int:
        """Attempts that have timed out or were abandoned, and whose handler has not returned."""
        with self._lock:
            return sum(attempt.over for attempt in self._running)

    @property
    def empty(self) -> bool:
        """Whether nothing waits, runs, or has an outcome to write."""
        with self._lock:
            is_idle = not self._waiting and all(attempt.over for attempt in self._running)
            return is_idle and self.outcomes.is_empty

    @property
    def unwritable(self) -> list[str]:
        """Ids of the jobs whose outcomes cannot be written at present, if nothing else waits or runs; else none."""
        with self._lock:
            running = [attempt for attempt in self._running if not attempt.over]
            if self._waiting or self.outcomes.unwritten or not all(one.is_refused for one in running):
                return []
            return [*self.outcomes.postponed_ids, *(attempt.job.id for attempt in running)]

    def expire(self, timed_out: Callable[[Attempt], Callable[[], EndedAttempt]]) -> float | None:
        """Decides the attempts whose deadline has passed; returns the next deadline, by the monotonic clock.

        Args:
            timed_out: ends the handler of an attempt, and returns a function for its outcome, which is called without
                the lock, since it may call code of the application.
        """
        if not any(attempt.deadline for attempt in tuple(self._running)):
            return None
        with self._lock:
            now = time.monotonic()
            open_ones = [(one.deadline, one) for one in self._running if one.deadline and not one.over]
            late = [attempt for deadline, attempt in open_ones if deadline <= now]
            outcomes = [timed_out(attempt) for attempt in late]
            for attempt in late:
                attempt.over = True
            self._overdue += late
            following = min((deadline for deadline, attempt in open_ones if not attempt.over), default=None)
        for attempt, outcome in zip(late, outcomes, strict=True):
            ended = outcome()
            ended.took = now - attempt.began
            with self._lock:
                self.outcomes.add(ended)
        return following

    def abandon(self, outcome: Callable[[Attempt], EndedAttempt]) -> None:
        """Decides all running jobs, because the worker stops at once."""
        with self._lock:
            now = time.monotonic()
            for attempt in [one for one in self._running if not one.over and one.request is None]:
                attempt.over = True
                ended = outcome(attempt)
                ended.took = now - attempt.began
                self.outcomes.add(ended)

    def close(self) -> None:
        """Lets the threads end once nothing waits."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Waits until the threads have ended, after :meth:`close`, or until the time is up."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():  # one that could not be started is not
                thread.join(max(0.0, end - time.monotonic()))

    def _serve(self) -> None:
        attempt: Attempt | None = None
        ended: EndedAttempt | StillRunning | None = None
        blocked = False
        while (attempt := self._next(attempt, ended, blocked)) is not None:
            blocked = attempt.blocks  # resume() may change it
            ended = self._run(attempt)

    def _next(self, done: Attempt | None, ended: EndedAttempt | StillRunning | None, blocked: bool) -> Attempt | None:
        # One lock serves to book an attempt and to start the next, since most jobs are short.
        with self._lock:
            self._ready += blocked
            if done is not None and not isinstance(ended, StillRunning):
                self._book(done, ended)
            while (attempt := self._take()) is None:
                if self._closed:
                    self._ready -= 1
                    return None
                self._idle += 1
                self._wake_if_free()
                self._changed.wait()
                self._idle -= 1
            if attempt.blocks:
                self._ready -= 1
                self._call_thread()
            return attempt

    def _take(self) -> Attempt | None:
        """Returns the next attempt; ``None`` while none may start."""
        if self._resumed:
            return self._resumed.popleft()
        if not self._waiting or len(self._running) >= self.count:
            return None
        if self.outcomes.size >= unwritten_outcomes.MOST_UNWRITTEN_BYTES or not self._may_start():  # as is_clogged
            return None
        work = self._waiting.popleft()[0]
        attempt = Attempt(work, self._lock)
        if self._coroutines:
            attempt.blocks = self._blocks(work)
        if len(self._waiting) == self._half:
            self._wake()  # there is room for as many
        self._running.add(attempt)
        return attempt

    def _blocks(self, work: Work) -> bool:
        return isinstance(work, ClaimedRequest) or work.queue_name not in self._coroutines

    def _wake_if_free(self) -> None:
        if not self._waiting:
            self._wake()
            self.outcomes.hurry()

    def _book(self, attempt: Attempt, ended: EndedAttempt | None) -> None:
        self._running.discard(attempt)
        took = time.monotonic() - attempt.began
        queue = attempt.job.queue_name
        self.seconds[queue] = 0.8 * self.seconds.get(queue, took) + 0.2 * took
        if ended is not None and not attempt.over:
            ended.took = took
            self.outcomes.add(ended)
        if attempt.holds_slot:
            with suppress(Exception):  # whatever a handler of the log raises
                log.warning(
                    "The handler of the job has returned, after %s: its slot is free.",
                    duration(timedelta(seconds=took)),
                    extra=handled(attempt.job),
                )
        attempt.over = True


def _owned(job: Claimed) -> Owned:
    return Owned(job.id, job.claim.token)
