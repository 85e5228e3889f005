"""Which jobs a worker claims, how many ahead, and when it looks for more."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

from hammerwork_cli.database import Database
from hammerwork_cli.models import JobPriority
from hammerwork_cli.queries.worker import claim, finish
from hammerwork_cli.queries.worker.claim import Claimed
from hammerwork_cli.queries.worker.registry import Registration
from hammerwork_cli.render.formats.text import plural
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.worker.lease import Lease

MOST_PREFETCHED = 500
PREFETCH_SECONDS = 0.2
"""Work that a worker keeps ready, by the duration of recent attempts. No other worker can run these jobs."""
MOST_UNWRITTEN = 1000
"""With so many outcomes that are to be written, a worker claims nothing: they would become more and more."""
MOST_POSTPONED = 100
"""With so many outcomes that cannot be written, a worker claims nothing."""
EAGER_SECONDS, EAGER_PAUSE = 0.3, 0.02
"""For how long, and how often, a worker that heard of a job looks for it."""
PATIENCE_SECONDS = 0.5
"""How long a comparison waits for the thread that writes outcomes."""
WEIGHTS = {
    JobPriority.BACKGROUND: 1,
    JobPriority.LOW: 2,
    JobPriority.NORMAL: 5,
    JobPriority.HIGH: 10,
    JobPriority.CRITICAL: 20,
}
log = logging.getLogger("hammerwork")


class Claimer:
    """Keeps a worker's slots busy: claims jobs by the hundred, and gives back those that it cannot start soon.

    The main thread alone uses it, but for :meth:`hear` and :meth:`hear_written`.

    Args:
        worker: who claims, from which queues, and how many jobs run at once.
        connections: the main thread's.
        slots: run the jobs.
        lease: of the worker, which claims nothing without it.
        clock: the server's.
        wake: wakes the main thread.
        writing: held while another thread writes outcomes.
        poll_interval: seconds between claims from empty queues.
        max_jobs: claims this many jobs at most.
        weighted: draws the next priority by weight.

    Attributes:
        full: the last call of :meth:`fetch` found no room for another job.
        owes: there may be jobs that it gave back while others had locked them, or whose answer was lost.
    """

    def __init__(
        self,
        worker: Registration,
        connections: Connections,
        slots: Slots,
        lease: Lease,
        clock: ServerClock,
        *,
        wake: Callable[[], None] = lambda: None,
        writing: "threading.Lock | None" = None,
        poll_interval: float,
        max_jobs: int | None,
        weighted: bool,
    ) -> None:
        self.worker = worker
        self._connections, self._slots, self._lease, self._clock = connections, slots, lease, clock
        self._wake, self._writing = wake, writing or threading.Lock()
        self.poll_interval, self.max_jobs, self.weighted = poll_interval, max_jobs, weighted
        self.full = self.owes = False
        self._claimed = 0
        self._look_at = self._no_prefetch_until = 0.0
        self._turn = 0
        self._compare_at = time.monotonic() + worker.lease / 2
        self._number = count(1)
        # Any thread writes these two; the main thread reads them. Each call of hear() writes a number of its own, so
        # that the main thread sees a difference whichever of two threads writes last.
        self._heard = 0
        self._eager_until = 0.0
        self._seen = 0
        self._has_written = False  # the finisher's thread sets it, the main thread clears it

    def hear(self) -> None:
        """Notes that there may be new jobs. Any thread may call it."""
        # A claim that is under way may have looked before the job was there: hence a number, not a flag.
        self._eager_until = time.monotonic() + EAGER_SECONDS
        self._heard = next(self._number)
        # While jobs wait here there is time: the slot that finds none left wakes the main thread.
        if not self._slots.waiting:
            self._wake()

    def hear_written(self) -> None:
        """Makes the next :meth:`fetch` look at once, since outcomes are written. Any thread may call it."""
        self._has_written = True
        self._wake()

    def look_now(self) -> None:
        """Makes the next :meth:`fetch` look at once: slots are free, or jobs were released."""
        self._look_at = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return max(0.0, self._look_at - time.monotonic())

    @property
    def done(self) -> bool:
        """Whether it has claimed as many jobs as it may."""
        return self.max_jobs is not None and self._claimed >= self.max_jobs

    def fetch(self) -> bool:
        """Claims jobs if there is room for them; false when it claimed none, and when it may claim no more."""
        if self._has_written:
            self._has_written = False
            self.look_now()
        wanted = self._wanted() if self._lease.is_held(time.monotonic()) else 0
        self.full = wanted <= 0
        if self.full:
            return not self.done
        if self._seen == self._heard and time.monotonic() < self._look_at:
            return False
        self._seen = self._heard
        got = self._claim(wanted)
        self._claimed += len(got)
        # A queue that may have more jobs is asked again at once, an empty one later.
        hungry = len(got) >= wanted or (got and self._news(got))
        self._look_at = 0.0 if hungry else self._next_look()
        if got:
            self._slots.put(got)
        return bool(got)

    def _next_look(self) -> float:
        now = time.monotonic()
        if now < self._eager_until:
            # A job that has just been written may be due in a moment, by a clock that is a little ahead of this one.
            return now + EAGER_PAUSE
        return now + self.poll_interval * random.uniform(0.8, 1.2)  # noqa: S311  jitter is not a secret

    def _news(self, got: list[Claimed]) -> bool:
        """Whether it claimed few jobs of a queue because it did not know how long they take."""
        return any(job.queue_name not in self._slots.seconds for job in got)

    def _wanted(self) -> int:
        slots, ahead = self._slots, 0
        if slots.postponed >= MOST_POSTPONED or slots.unwritten >= MOST_UNWRITTEN:
            return 0
        if time.monotonic() >= self._no_prefetch_until:
            took = slots.slowest(PREFETCH_SECONDS) or PREFETCH_SECONDS
            ahead = min(MOST_PREFETCHED, int(self.worker.concurrency * PREFETCH_SECONDS / max(took, 1e-6)))
        room = self.worker.concurrency + ahead - slots.running - slots.waiting
        if slots.waiting and room < (self.worker.concurrency + ahead) // 2:
            return 0
        return room if self.max_jobs is None else min(room, self.max_jobs - self._claimed)

    def _claim(self, wanted: int) -> list[Claimed]:
        found: list[Claimed] = []
        self._turn += 1
        for queue in _from(self.worker.queues, self._turn):
            for priority in priorities(weighted=self.weighted):
                limit = self._limit(queue, wanted, len(found))
                if limit > 0:
                    found += self._connections.run(self._claim_from(queue, priority, limit, len(found)))
        return found

    def _limit(self, queue: str, wanted: int, claimed: int) -> int:
        """How many jobs to claim from a queue. Those of an unknown queue may take long: each needs a free slot."""
        most = wanted - claimed
        return most if queue in self._slots.seconds else min(most, self._free(claimed))

    def _free(self, claimed: int) -> int:
        """Slots that have no job, neither running nor waiting."""
        return max(0, self.worker.concurrency - self._slots.running - self._slots.waiting - claimed)

    def _claim_from(
        self, queue: str, priority: int | None, limit: int, claimed: int
    ) -> Callable[[Database], list[Claimed]]:
        free, tries = self._free(claimed), 0

        def unit(database: Database) -> list[Claimed]:
            nonlocal tries
            tries += 1
            if tries > 1:
                # The first try may have claimed jobs unknown to this worker, or may yet claim them.
                self._compare_at = 0.0
            return claim.claim(
                database,
                queue,
                worker=self.worker.id,
                now=self._clock.now(),
                limit=limit,
                slots=free,
                priority=priority,
                spawning=bool(self.worker.handlers),
            )

        return unit

    def compare(self) -> None:
        """Compares, twice a lease, the jobs in the slots with those that the database says this worker holds.

        It gives back the unknown ones, and forgets those that it holds no longer. Only the thread that claims may
        call it, and only while no other thread writes outcomes, so that nothing is under way. It waits a moment for
        that, and otherwise compares soon: a server that hangs holds the other thread for long.
        """
        doubts = self._lease.doubts
        if time.monotonic() < self._compare_at and not self._lease.is_doubted:
            return
        self._compare_at = time.monotonic() + self.worker.lease / 2
        if not self._writing.acquire(timeout=PATIENCE_SECONDS):
            self._compare_soon()
            return
        try:
            known = self._slots.ids()
            compared = self._connections.run(lambda database: finish.compare(database, self.worker.id, known))
        finally:
            self._writing.release()
        self.owes = compared.left > 0
        if self.owes:
            self._compare_soon()
        if compared.returned:
            log.warning(
                "Gave back %s that the database had assigned to this worker and that it did not know.",
                plural(compared.returned, "job"),
            )
            self.look_now()
        if dropped := self._slots.drop(compared.lost):
            self._claimed -= dropped
            log.warning("Other workers rescued %s that had not started here.", plural(dropped, "job"))
        if self._lease.compared != doubts:
            self._lease.compared = doubts
            self._slots.go_on()

    def give_back(self, jobs: list[Claimed]) -> None:
        """Gives back jobs that have not started, and claims none ahead for a while."""
        if jobs:
            self._claimed -= len(jobs)
            self._no_prefetch_until = time.monotonic() + self.poll_interval
            owed, self.owes, due = self.owes, True, self._compare_at
            self._compare_soon()
            if self._connections.run(lambda database: finish.give_back(database, jobs)) == len(jobs):
                self.owes, self._compare_at = owed, due

    def _compare_soon(self) -> None:
        self._compare_at = min(self._compare_at, time.monotonic() + self.poll_interval)


def priorities(*, weighted: bool) -> Iterable[int | None]:
    """The priorities to ask for, one after the other; ``None`` stands for all of them, strictly in their order."""
    if not weighted:
        return (None,)
    # A random order in which each priority comes first as often as its weight says; those without a weight come last.
    drawn = sorted(WEIGHTS, key=lambda priority: random.random() ** (1 / WEIGHTS[priority]), reverse=True)  # noqa: S311
    return (*drawn, None)


def _from(queues: Sequence[str], turn: int) -> Iterator[str]:
    """All queues, starting with another one in each turn."""
    for number in range(len(queues)):
        yield queues[(turn + number) % len(queues)]
