"""Tells faults of one job from those of the database, which pass."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from hammerwork_cli.database.retrying import is_away, lost_to_another
from hammerwork_cli.errors import ConfigError, DatabaseError
from hammerwork_cli.features.worker.models.counts import MOST_QUEUES, OTHERS, QueueCounts, Unwritten, written_counts
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt

_FAILURES = frozenset({AttemptEnd.RETRY, AttemptEnd.FAILED, AttemptEnd.TIMED_OUT})


class Progress:
    """Counts what a worker writes.

    Args:
        lease: of the worker, in seconds: how long an outcome may meet unknown errors.
        counted: called after each count, by the thread that counts.
        show: shows what was counted to somebody who watches.
    """

    def __init__(
        self,
        lease: float,
        counted: Callable[[], None] = lambda: None,
        show: Callable[[Collection[EndedAttempt]], None] = lambda _: None,
    ) -> None:
        self.lease = lease
        self._counted, self._show = counted, show
        self._lock = threading.Lock()
        # The thread that writes outcomes (the main thread, or the finisher's) and the slots write these under the lock;
        # each may be read without it.
        self.completed = self.failed = 0  # attempts; those that timed out have failed
        self._queues: dict[str, QueueCounts] = {}
        self.lost = 0  # outcomes that were not written when the worker stopped at once; the main thread writes it

    def count(self, outcomes: Collection[EndedAttempt]) -> None:
        """Counts the outcomes that a transaction wrote."""
        by_queue: dict[str, list[EndedAttempt]] = defaultdict(list)
        for outcome in outcomes:
            by_queue[outcome.job.queue_name].append(outcome)
        with self._lock:
            for queue, ended in by_queue.items():
                self._count(self._counts_of(queue), ended)
        self._counted()
        self._show(outcomes)

    def _count(self, counts: QueueCounts, ended: Sequence[EndedAttempt]) -> None:
        # Without a loop over those that completed, which nearly all do.
        took = [one.took for one in ended if one.took is not None]
        counts.timed += len(took)
        counts.seconds += sum(took)
        others = [one for one in ended if one.end is not AttemptEnd.COMPLETED]
        self.completed += len(ended) - len(others)
        counts.completed += len(ended) - len(others)
        for one in others:
            if one.end in _FAILURES:
                self.failed += 1
                timed_out = one.end is AttemptEnd.TIMED_OUT or one.timed_out
                counts.timed_out += timed_out
                counts.failed += not timed_out
                counts.dead += one.end is not AttemptEnd.RETRY and one.at is None

    def _counts_of(self, queue: str) -> QueueCounts:
        counts = self._queues.get(queue)
        if counts is None:
            if len(self._queues) >= MOST_QUEUES:
                queue = OTHERS
            counts = self._queues.setdefault(queue, QueueCounts())
        return counts

    def queue_counts(self, unwritten: Unwritten | None = None) -> str:
        """What was counted of each queue, and what cannot be written, as the worker's row has it."""
        with self._lock:
            return written_counts(self._queues, unwritten)


class Fault:
    """Judges the errors that one job, or one batch, meets when it is written again and again. One thread uses it."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._began: float | None = None

    def is_the_jobs(self, error: BaseException) -> bool:
        """Whether an error is the job's own: the database refuses its values, or its values cannot be sent.

        All other answers of a server pass: it may deny, lack or not know something for any time. But an unknown error
        that lasts for longer than a lease may be the job's. Whoever asks fails the job only if the database accepts
        that, since it would refuse this as well if the error were the server's.
        """
        if not is_of_the_database(error):
            return True
        if type(error) is not DatabaseError:
            return False
        now = time.monotonic()
        self._began = self._began or now
        return now - self._began > self._lease

    def passes(self, error: BaseException) -> bool:
        """Whether another try may succeed."""
        return not self.is_the_jobs(error)


def is_of_the_database(error: BaseException) -> bool:
    """Whether an error is about the database or the way to it, and not about the values to write."""
    return isinstance(error, (DatabaseError, ConfigError))


class Outage:
    """Judges the errors of one transaction that is about many jobs: only an outage for all of them is waited for.

    Args:
        patience: seconds for which a transaction may lose to others. One that loses for longer may do so because of one
            job, which must not hold up the rest.
    """

    def __init__(self, patience: float) -> None:
        self._until = time.monotonic() + patience

    def passes(self, error: BaseException) -> bool:
        """Whether to wait until it is over. A single job may meet a lock or a limit alone."""
        return is_away(error) or (lost_to_another(error) and time.monotonic() < self._until)
