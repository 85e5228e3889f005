"""Decides which jobs a worker claims, how many ahead, and when it looks for more."""

import logging
import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from hammerwork_cli.core.values import WEIGHTS
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.worker.models.worker import job_lease
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.features.worker.queries.claim import Claimed, ClaimedBatch, payload_size
from hammerwork_cli.runtime.clock import elapsed
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.runtime.outcomes.failures import taken
from hammerwork_cli.runtime.worker.context import WorkerContext
from hammerwork_cli.view.text import plural

MOST_PREFETCHED = 500
PREFETCH_SECONDS = 0.2
"""Work that a worker keeps ready for each slot, by the duration of recent attempts. No other one can run these jobs."""
MOST_AHEAD_BYTES = 64 << 20
"""Most bytes of payloads of jobs that are kept ready. Jobs for which a slot is free come whatever their size is."""
MOST_UNWRITTEN = 1000
"""Outcomes to write at which a worker claims nothing more: it runs jobs faster than it writes their outcomes."""
MOST_POSTPONED = 100
"""Outcomes that cannot be written at which a worker claims nothing more."""
EAGER_SECONDS, EAGER_PAUSE = 0.3, 0.02
"""How long a worker looks for a job of which it heard, and the pauses between its looks."""
CLAIM_SECONDS = 0.1
"""How long a worker claims from one queue after the other before outcomes, and a stop, have their turn."""
LOOK_SHARE = 10
"""A worker that looked which of its queues have jobs, or behind many jobs that may not start, waits this many times as
long before it looks again."""
PATIENCE_SECONDS = 0.5
"""How long a comparison waits for the thread that writes outcomes."""
log = logging.getLogger("hammerwork")


class _LeftAlone(NamedTuple):
    """Why a queue is left alone."""

    until: float  # by the monotonic clock
    jobs: int  # of the queue in this worker: when there are fewer, it is asked again
    by_rows: bool  # a job counts until its outcome is written


class Claimer:
    """Keeps a worker's slots busy: claims jobs by the hundred, and gives back those that it cannot start soon.

    The main thread alone uses it, except for :meth:`notify`, :meth:`outcomes_written` and :meth:`jobs_taken`.

    Args:
        end_handler: ends the handler of an attempt, if that is possible, and says what becomes of it.
    """

    def __init__(
        self, context: WorkerContext, slots: Slots, end_handler: Callable[[Attempt], str] = lambda _: ""
    ) -> None:
        self.worker, options = context.registration, context.options
        self.poll_interval, self.max_jobs, self.weighted = options.poll_interval, options.max_jobs, options.weighted
        self._connections, self._lease, self._clock = context.connections.main, context.lease, context.clock
        self._wake, self._slots, self._end_handler = context.stop.woken.set, slots, end_handler
        self.full = False  # the last `fetch` found no room for another job
        self.owes = False  # there may be jobs that it gave back while others had locked them, or whose answer was lost
        self._most_seconds = self.worker.concurrency * PREFETCH_SECONDS  # of work ahead, in all slots
        self._claimed = 0
        self._awaits_slot = False  # the first of several queues that may have jobs
        self._look_at = self._no_prefetch_until = 0.0
        self._due: OrderedDict[str, None] = OrderedDict()  # queues that may have jobs, the next one first
        self._poll_at = self._poll_not_before = 0.0  # looks for queues with jobs
        self._sizes: dict[str, float] = {}  # queue -> recent size of a payload
        self._most = context.options.most_of  # queue -> jobs that this worker runs at once
        self._left_webhooks = options.left_webhooks
        self._look_share = 0 if options.is_alone else LOOK_SHARE
        self._limited: set[str] = set()  # queues that have a limit, as their last claims told
        self._behind_at: dict[str, float] = {}  # when to look behind jobs of a queue that its limit leaves no room for
        self._held: dict[str, _LeftAlone] = {}  # queues that are left alone, since a limit leaves no room
        self._compare_at = time.monotonic() + self.worker.lease / 2
        # The lock guards these two, which any thread writes.
        self._news = threading.Lock()
        self._has_heard = False  # since the last look
        self._eager: dict[str | None, float] = {}  # queue, or None for any -> until when to look for its job
        self._suspects = False  # the heartbeat's thread sets it, the main thread clears it
        self._has_written = False  # the finisher's thread sets it, the main thread clears it

    def notify(self, queue: str | None = None) -> None:
        """Notes that there may be new jobs, in one queue or in any. Any thread may call it."""
        with self._news:
            self._has_heard = True
            self._eager[queue] = time.monotonic() + EAGER_SECONDS
        # While jobs wait here there is time: the slot that finds none left wakes the main thread.
        if not self._slots.waiting:
            self._wake()

    def jobs_taken(self) -> None:
        """Makes the next :meth:`compare` look at once, since a running job is no longer this worker's."""
        self._suspects = True
        self._wake()

    def outcomes_written(self) -> None:
        """Makes the next :meth:`fetch` look at once, since outcomes are written. Any thread may call it."""
        self._has_written = True
        self._wake()

    def poll_now(self) -> None:
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
        """Claims jobs if there is room for them; returns false if it found none, or may claim no more."""
        if self._held:
            self._end_holds()
        if self._has_written:
            self._has_written = False
            self.poll_now()
        wanted = self._wanted() if self._lease.is_held(elapsed()) else 0
        self.full = wanted <= 0
        if self.full:
            return not self.done
        has_heard, eager = self._listen()
        if not has_heard and time.monotonic() < self._look_at:
            return False
        self._find_queues(eager)
        got = self._claim(wanted)
        self._claimed += len(got)
        # A queue that may have more jobs is asked again at once, an empty one later.
        self._look_at = 0.0 if self._due else self._next_look()
        if got:
            self._slots.put(got)
        return bool(got) or self.full

    def _listen(self) -> tuple[bool, set[str | None]]:
        """Whether it heard of jobs since the last look, and the queues of which it heard lately."""
        now = time.monotonic()
        with self._news:
            has_heard, self._has_heard = self._has_heard, False
            if self._eager:
                self._eager = {queue: until for queue, until in self._eager.items() if now < until}
            return has_heard, set(self._eager)

    def _next_look(self) -> float:
        now = time.monotonic()
        with self._news:
            if self._eager:
                # A job that was just written may be due in a moment, if its clock is a little ahead of this one.
                return now + EAGER_PAUSE
        poll_at = max(now, self._poll_at, self._poll_not_before)
        return min([poll_at, *(held.until for held in self._held.values())]) if self._held else poll_at

    def _end_holds(self) -> None:
        """Asks queues again whose limits may leave room by now: it is time, or a job of theirs has ended here."""
        now = time.monotonic()
        for queue, held in [*self._held.items()]:
            if now >= held.until or self._slots.number(queue, unwritten=held.by_rows) < held.jobs:
                del self._held[queue]
                self._due[queue] = None
                self.poll_now()

    def _find_queues(self, eager: set[str | None]) -> None:
        """Notes which queues may have jobs: those that it heard of come first; once in a while it looks at all."""
        now, queues = time.monotonic(), self.worker.queues
        polls = now >= self._poll_at or len(queues) == 1
        if polls:
            self._poll_at = now + self.poll_interval * random.uniform(0.8, 1.2)  # noqa: S311  jitter is not a secret
        if len(queues) == 1:
            self._due[queues[0]] = None
            return
        for queue in eager - self._due.keys() - {None}:
            assert queue is not None
            self._due[queue] = None
            self._due.move_to_end(queue, last=False)
        if now >= self._poll_not_before and (polls or not self._due or None in eager):
            until = self._clock.now()

            def look(database: Database) -> list[str]:
                nonlocal now
                now = time.monotonic()  # a connection that was dead does not count for the pause
                return claim.with_jobs(database, queues, before=until)

            self._due.update(dict.fromkeys(self._connections.run(look)))  # those that are known keep their places
            ended = time.monotonic()
            self._poll_not_before = ended + self._look_share * (ended - now)
        elif None in eager:  # it must not forget what it heard, however long the last look took
            self._poll_at = min(self._poll_at, self._poll_not_before)

    def _wanted(self) -> int:
        slots, outcomes, most = self._slots, self._slots.outcomes, self.worker.concurrency
        if outcomes.postponed >= MOST_POSTPONED or outcomes.unwritten >= MOST_UNWRITTEN or outcomes.is_clogged:
            return 0
        if not self._awaits_slot and time.monotonic() >= self._no_prefetch_until:
            took = slots.longest()
            # A short attempt that waits for a lock is not a slow one.
            most += MOST_PREFETCHED if took < PREFETCH_SECONDS else min(MOST_PREFETCHED, int(self._most_seconds / took))
        room = most - slots.running - slots.waiting
        # To measure those that wait takes longer than to count them.
        if slots.waiting and (room < most // 2 or self._has_much_ahead()):
            room = min(room, self._free(0))
        return room if self.max_jobs is None else min(room, self.max_jobs - self._claimed)

    def _has_much_ahead(self) -> bool:
        ahead = self._slots.ahead()
        return ahead.size > MOST_AHEAD_BYTES / 2 or ahead.seconds > self._most_seconds / 2

    def _claim(self, wanted: int) -> list[Claimed]:
        """Claims from the queues that may have jobs, one after the other.

        Those that may have more come last next time. One whose jobs need a free slot comes first: until it has had one,
        no queue gets jobs ahead, with which a busy one would fill all slots for ever.
        """
        found: list[Claimed] = []
        self._awaits_slot = False
        until = time.monotonic() + CLAIM_SECONDS
        for _ in range(len(self._due)):
            queue, _ = self._due.popitem(last=False)
            if queue in self._held:
                continue
            before = len(found)
            if self._claim_queue(queue, wanted, found):
                self._due[queue] = None
                if len(found) == before:
                    self._due.move_to_end(queue, last=False)
                    # It needs a slot, unless the jobs found before took the room, which it will have next time.
                    self.full = not found
                    self._awaits_slot = self.full and len(self._due) > 1
                    break
            if len(found) >= wanted or time.monotonic() > until:
                break
        return found

    def _claim_queue(self, queue: str, wanted: int, found: list[Claimed]) -> bool:
        """Adds jobs of a queue to those that were found; returns whether it may have more."""
        may_have_more = False
        for priority in priorities(weighted=self.weighted):
            ahead = self._slots.ahead(found)
            room, seconds = MOST_AHEAD_BYTES - ahead.size, self._most_seconds - ahead.seconds
            limit = self._limit(queue, wanted - len(found), self._free(len(found)), room, seconds)
            if limit <= 0:
                return True
            if queue in self._most:
                here = self._number(queue, found)
                if here >= self._most[queue]:
                    self._held[queue] = _LeftAlone(math.inf, here, by_rows=False)
                    return False
                limit = min(limit, self._most[queue] - here)
            # This comes before the claim: what is written meanwhile leaves room that the claim may not have seen. It is
            # done for a limit that is known: with thousands of coroutines, it takes longer than a claim.
            is_known = queue in self._limited
            held = self._number(queue, found, unwritten=True) if is_known else 0
            got = self._connections.run(self._claim_from(queue, priority, limit, len(found), room))
            may_have_more |= got.is_cut
            if got.is_limited:
                self._limited.add(queue)
            elif got:  # a queue without due jobs does not say
                self._limited.discard(queue)
            if got.no_room is not None:
                found += got
                if got.no_room.looked:
                    self._behind_at[queue] = time.monotonic() + self._look_share * got.no_room.looked
                # A limit that was not known is asked again at once, with its jobs counted.
                self._hold(queue, got.no_room.seconds if is_known else 0.0, held + len(got))
                return False
            if got:
                size = payload_size(got) / len(got)
                self._sizes[queue] = (self._sizes.get(queue, size) + size) / 2
                # From an unknown queue, it may have taken a single job that had lost its worker.
                may_have_more |= len(got) >= limit or queue not in self._slots.seconds
                found += got
        return may_have_more

    def _limit(self, queue: str, most: int, free: int, room: int, seconds: float) -> int:
        """How many jobs to claim from a queue: those of free slots, and as many ahead as take little room and time.

        Jobs of an unknown queue may take long, or be large: each needs a free slot.
        """
        took = self._slots.seconds.get(queue)
        if took is None or queue in self._limited:
            return min(most, free)
        ahead = min(room / max(self._sizes.get(queue, 1.0), 1.0), seconds / max(took, 1e-6))
        return min(most, free + int(max(ahead, 0.0)))

    def _hold(self, queue: str, seconds: float | None, jobs: int) -> None:
        """Leaves a queue alone until its limit may leave room, but not for long: somebody may change the limit."""
        pause = self.poll_interval * random.uniform(0.8, 1.2)  # noqa: S311
        pause = pause if seconds is None else min(pause, seconds)
        self._held[queue] = _LeftAlone(time.monotonic() + pause, jobs, by_rows=True)

    def _number(self, queue: str, found: list[Claimed], *, unwritten: bool = False) -> int:
        """Jobs of a queue that this worker has, with those that it has just found."""
        return self._slots.number(queue, unwritten=unwritten) + sum(job.queue_name == queue for job in found)

    def _free(self, claimed: int) -> int:
        """Slots that have no job, neither running nor waiting."""
        return max(0, self.worker.concurrency - self._slots.running - self._slots.waiting - claimed)

    def _claim_from(
        self, queue: str, priority: int | None, limit: int, claimed: int, room: int
    ) -> Callable[[Database], ClaimedBatch]:
        free, tries = self._free(claimed), 0

        def unit(database: Database) -> ClaimedBatch:
            nonlocal tries
            tries += 1
            if tries > 1:
                # The first try may have claimed jobs unknown to this worker, or may yet claim them.
                self._compare_at = 0.0
            left_webhooks, began = self._left_webhooks(), time.monotonic()
            got = claim.claim(
                database,
                queue,
                worker=self.worker.id,
                now=self._clock.now(),
                limit=limit,
                slots=free,
                room=room,
                priority=priority,
                spawning=bool(self.worker.handlers),
                lease=job_lease(self.worker.lease),
                behind=time.monotonic() >= self._behind_at.get(queue, 0.0),
                left_webhooks=left_webhooks,
            )
            if left_webhooks:  # it may have read thousands of deliveries that it leaves to others
                ended = time.monotonic()
                self._poll_not_before = ended + self._look_share * (ended - began)
            return got

        return unit

    def compare(self) -> None:
        """Compares, twice a lease, the jobs in the slots with those that the database says this worker holds.

        It gives back unknown jobs, and forgets those that it no longer holds. Only the thread that claims may call it,
        and only while no other thread writes outcomes, so that nothing is under way. It waits a moment for that thread,
        and otherwise compares soon: a server that hangs holds the thread for long.
        """
        doubts = self._lease.doubts
        if time.monotonic() < self._compare_at and not self._lease.is_doubted and not self._suspects:
            return
        self._suspects = False
        self._compare_at = time.monotonic() + self.worker.lease / 2
        if not self._slots.outcomes.writing.acquire(timeout=PATIENCE_SECONDS):
            self._compare_soon()
            return
        try:
            known = self._slots.jobs()
            compared = self._connections.run(lambda database: finish.compare(database, self.worker.id, known))
        finally:
            self._slots.outcomes.writing.release()
        self.owes = compared.left > 0
        if self.owes:
            self._compare_soon()
        if compared.returned:
            log.warning(
                "Gave back %s that this worker did not know, although the database had assigned it.",
                plural(compared.returned, "job"),
            )
            self.poll_now()
        if dropped := self._slots.drop(compared.lost):
            self._claimed -= dropped
            log.warning("Other workers rescued %s that had not started here.", plural(dropped, "job"))
        if taken := self._slots.take_away(compared.lost):
            self._end(taken)
        if self._lease.compared != doubts:
            self._lease.compared = doubts
            self._slots.go_on()

    def _end(self, attempts: list[Attempt]) -> None:
        """Ends handlers whose jobs were taken from this worker, by a cancellation for example."""
        endings = [(attempt.job, self._end_handler(attempt)) for attempt in attempts]
        fates: dict[str, tuple[str, str]] = {}
        with suppress(HammerworkError):
            jobs, now = [job for job, _ in endings], self._clock.now()

            def record(database: Database) -> dict[str, tuple[str, str]]:
                return database.transaction(lambda: finish.record_taken(database, jobs, now))

            fates = self._connections.run(record, patience=0)
        for job, ending in endings:
            log.warning(
                "The job was taken from this worker while it ran: %s. %s",
                taken(fates.get(job.id)),
                ending,
                extra=handled(job),
            )

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
    """Returns the priorities to ask for, one after the other; ``None`` stands for all, strictly in their order."""
    if not weighted:
        return (None,)
    # A random order in which each priority comes first as often as its weight says; those without a weight come last.
    drawn = sorted(WEIGHTS, key=lambda priority: random.random() ** (1 / WEIGHTS[priority]), reverse=True)  # noqa: S311
    return (*drawn, None)
