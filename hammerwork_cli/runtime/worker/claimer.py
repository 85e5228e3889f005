"""Which jobs a worker takes, how many ahead, and when it looks for more."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from hammerwork_cli.database import Database
from hammerwork_cli.models import JobPriority
from hammerwork_cli.queries.worker import claim, finish
from hammerwork_cli.queries.worker.claim import Claimed
from hammerwork_cli.queries.worker.registry import Registration
from hammerwork_cli.render.formats.text import plural
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.slots import Slots

MOST_PREFETCHED = 500
PREFETCH_SECONDS = 0.2
"""Work that a worker keeps ready, by what its runs have taken lately: what it keeps, no other worker can do."""
MOST_HELD_UP = 100
"""So many ends that cannot be written, and no more jobs are taken."""
EAGER_SECONDS, EAGER_PAUSE = 0.3, 0.02
"""After it was woken, a worker that finds nothing looks again so long, so often."""
WEIGHTS = {
    JobPriority.BACKGROUND: 1,
    JobPriority.LOW: 2,
    JobPriority.NORMAL: 5,
    JobPriority.HIGH: 10,
    JobPriority.CRITICAL: 20,
}
log = logging.getLogger("hammerwork")


class Claimer:
    """Keeps a worker's slots in work: takes jobs by the hundred, and gives back what it should not have taken.

    Args:
        worker: who claims, from which queues, and how many jobs at once run there.
        connections: the worker's own.
        slots: what the jobs are for.
        lease: of the worker: without it nothing is claimed.
        clock: the server's.
        poll_interval: seconds between looks at queues that were empty.
        max_jobs: takes no more than so many.
        weighted: draws the next priority by weight.
    """

    def __init__(
        self,
        worker: Registration,
        connections: Connections,
        slots: Slots,
        lease: Lease,
        clock: ServerClock,
        *,
        poll_interval: float,
        max_jobs: int | None,
        weighted: bool,
    ) -> None:
        self.worker = worker
        self._connections, self._slots, self._lease, self._clock = connections, slots, lease, clock
        self.poll_interval, self.max_jobs, self.weighted = poll_interval, max_jobs, weighted
        self.full = False
        """Whether there was no room for more at the last look."""
        self._claimed = 0
        self._look_at = self._eager_until = 0.0
        self._no_prefetch_until = 0.0
        self._turn = self._heard = self._seen = 0
        self._compare_at = time.monotonic() + worker.lease / 2
        self.owes = False
        """Whether there may be jobs that it has given back and that others have locked, or that were not answered."""

    def wake(self) -> None:
        """There may be new jobs. Safe to call from anywhere."""
        # Counted: a claim that is under way may have looked before the job was there.
        self._heard += 1
        self._eager_until = time.monotonic() + EAGER_SECONDS

    def look_now(self) -> None:
        """Looks again at once: slots are free, or jobs were released."""
        self._look_at = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return max(0.0, self._look_at - time.monotonic())

    @property
    def done(self) -> bool:
        """Whether it has taken as many jobs as it may."""
        return self.max_jobs is not None and self._claimed >= self.max_jobs

    def fetch(self) -> bool:
        """Whether there is work, or there may be."""
        wanted = self._wanted() if self._lease.is_held(time.monotonic()) else 0
        self.full = wanted <= 0
        if self.full:
            return not self.done
        if self._seen == self._heard and time.monotonic() < self._look_at:
            return self._slots.running + self._slots.waiting > 0
        self._seen = self._heard
        got = self._claim(wanted)
        self._claimed += len(got)
        # What was not all that there is is asked for again at once; an empty queue after a while.
        hungry = len(got) >= wanted or (got and self._news(got))
        self._look_at = 0.0 if hungry else self._next_look()
        if got:
            self._slots.put(got)
        return bool(got) or not self._slots.empty

    def _next_look(self) -> float:
        now = time.monotonic()
        if now < self._eager_until:
            # A job that has just been written may be due in a moment, by a clock that goes a little before ours.
            return now + EAGER_PAUSE
        return now + self.poll_interval * random.uniform(0.8, 1.2)  # noqa: S311  jitter is no secret

    def _news(self, got: list[Claimed]) -> bool:
        """Whether there was a queue of which little was taken because nobody knew its jobs."""
        return any(job.queue_name not in self._slots.seconds for job in got)

    def _wanted(self) -> int:
        slots, ahead = self._slots, 0
        if slots.held_up >= MOST_HELD_UP:
            return 0
        if time.monotonic() >= self._no_prefetch_until:
            took = slots.slowest() or PREFETCH_SECONDS
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

    def _limit(self, queue: str, wanted: int, taken: int) -> int:
        """How many jobs to take from a queue. Nobody knows how long those of a new one take: each needs a free slot."""
        most = wanted - taken
        return most if queue in self._slots.seconds else min(most, self._free(taken))

    def _free(self, taken: int) -> int:
        """Slots that neither run nor have a job to run."""
        return max(0, self.worker.concurrency - self._slots.running - self._slots.waiting - taken)

    def _claim_from(
        self, queue: str, priority: int | None, limit: int, taken: int
    ) -> Callable[[Database], list[Claimed]]:
        free, tries = self._free(taken), 0

        def unit(database: Database) -> list[Claimed]:
            nonlocal tries
            tries += 1
            if tries > 1:
                # The first try may have taken jobs that this worker knows nothing of, or may yet take them.
                self._compare_at = 0.0
            return claim.claim(
                database,
                queue,
                worker=self.worker.id,
                now=self._clock.now(),
                limit=limit,
                slots=free,
                priority=priority,
            )

        return unit

    def compare(self) -> None:
        """Twice a lease: gives back what this worker has without knowing, forgets what it has no more.

        Only the thread that claims and writes may call it: nothing is on its way between its claims.
        """
        doubts = self._lease.doubts
        if time.monotonic() < self._compare_at and not self._lease.is_doubted:
            return
        self._compare_at = time.monotonic() + self.worker.lease / 2
        known = self._slots.ids()
        compared = self._connections.run(lambda database: finish.compare(database, self.worker.id, known))
        self.owes = compared.left > 0
        if self.owes:
            self._compare_soon()
        if compared.returned:
            log.warning("%s that this worker had without knowing may run again.", plural(compared.returned, "job"))
            self.look_now()
        if dropped := self._slots.drop(compared.not_ours):
            self._claimed -= dropped
            log.warning("%s taken from this worker before beginning.", plural(dropped, "job was", "jobs were"))
        if self._lease.settled != doubts:
            self._lease.settled = doubts
            self._slots.go_on()

    def give_back(self, jobs: list[Claimed]) -> None:
        """Returns jobs that have not begun, and takes none ahead for a while."""
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
    """Which priorities to ask for, one after the other; ``None`` for all of them, strictly in their order."""
    if not weighted:
        return (None,)
    # A random order in which each priority comes first as often as its weight says; last those that have no weight.
    drawn = sorted(WEIGHTS, key=lambda priority: random.random() ** (1 / WEIGHTS[priority]), reverse=True)  # noqa: S311
    return (*drawn, None)


def _from(queues: Sequence[str], turn: int) -> Iterator[str]:
    """All queues, each time beginning with another one."""
    for number in range(len(queues)):
        yield queues[(turn + number) % len(queues)]
