"""What a worker may believe: of itself while its heartbeats succeed, and of others by its own clock.

docs/explain/liveness.md has the model in words. No clock of a server or of another host decides anything here: times
are this process's monotonic seconds, which the caller hands in.
"""

from collections.abc import Iterable

from hammerwork_cli.queries.worker.registry import Heartbeat


class Lease:
    """A worker's own claim to its jobs. The heartbeat's thread writes it, all threads read it.

    Args:
        seconds: how long the worker may be silent.
        now: when it was registered.

    Attributes:
        unbroken_since: since when its heartbeats have succeeded without a break of half a lease.
        doubts: how often it learned that others took its jobs.
        settled: up to which of these doubts it has compared what it knows with the database. The thread that compares
            writes it.
    """

    def __init__(self, seconds: float, now: float) -> None:
        self.seconds = seconds
        self.unbroken_since = self._answered = now
        self._until = now + seconds
        self.doubts = self.settled = 0

    def renew(self, sent: float, answered: float, *, was_lost: bool = False) -> None:
        """A heartbeat that was sent then was answered then, and perhaps that others took the worker for lost."""
        if was_lost:
            self.doubts += 1  # before the lease is there again
        if answered - self._answered > self.seconds / 2:
            self.unbroken_since = answered
        self._answered, self._until = answered, sent + self.seconds

    def is_held(self, now: float) -> bool:
        """Whether nobody can have taken its jobs from this worker: it may claim jobs and begin them."""
        return now < self._until and not self.is_doubted

    @property
    def is_doubted(self) -> bool:
        """Whether others took jobs from the worker, and it has yet to find out which."""
        return self.settled != self.doubts

    def is_fresh(self, now: float) -> bool:
        """Whether heartbeats succeed at present, so that one who is silent is so alone."""
        return now - self._answered <= self.seconds / 2


class Observer:
    """Judges by its own clock which workers are lost. One thread uses it.

    A worker is lost when the observer itself has seen the same heartbeat unchanged for a whole lease, its own lease if
    that is longer, while its own heartbeats succeeded without a break. An outage, a pause of the observer, a database
    that takes no writes: each begins the observation anew, so that it makes nobody look lost.

    Args:
        worker: id of the observer, which does not judge itself.
        lease: its own.
    """

    def __init__(self, worker: str, lease: Lease) -> None:
        self._worker, self._lease = worker, lease
        self._seen: dict[str, tuple[Heartbeat, float]] = {}
        self._changed: set[str] = set()

    def look(self, heartbeats: Iterable[Heartbeat], now: float) -> list[Heartbeat]:
        """Compares heartbeats, read just now, with those that it saw before; the ones that are lost.

        Args:
            heartbeats: of all workers that may be lost; whoever is not among them is forgotten.
            now: when they were read, by the monotonic clock.
        """
        before, self._seen = self._seen, {}
        for heartbeat in heartbeats:
            if heartbeat.id == self._worker:
                continue
            last, since = before.get(heartbeat.id, (None, now))
            if last is not None and last != heartbeat:
                self._changed.add(heartbeat.id)
            self._seen[heartbeat.id] = heartbeat, since if last == heartbeat else now
        self._changed &= self._seen.keys()
        return [heartbeat for heartbeat, since in self._seen.values() if self._is_lost(heartbeat, since, now)]

    def _is_lost(self, heartbeat: Heartbeat, since: float, now: float) -> bool:
        patience = max(self._lease.seconds, heartbeat.lease or 0.0)
        return self._lease.is_fresh(now) and now - max(since, self._lease.unbroken_since) >= patience

    def forget(self, worker: str) -> None:
        """Begins the observation of a worker anew."""
        self._seen.pop(worker, None)

    @property
    def undecided(self) -> list[str]:
        """Ids of the workers of which it does not know whether they live: it has not seen them beat yet."""
        return [worker for worker in self._seen if worker not in self._changed]
