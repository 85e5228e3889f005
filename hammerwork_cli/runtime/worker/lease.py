"""Who owns the jobs: a worker while its heartbeats succeed, until an observer has seen it silent for a lease.

docs/explain/liveness.md has the model in words. No clock of a server or of another host decides anything here: times
are seconds of this process's clock that pass while the machine is suspended too, which the caller hands in.
"""

from collections.abc import Iterable

from hammerwork_cli.features.worker.queries.registry import Heartbeat


class Lease:
    """A worker's own claim to its jobs.

    Args:
        seconds: how long the worker may be silent.
        now: when it was registered.
    """

    def __init__(self, seconds: float, now: float) -> None:
        self.seconds = seconds
        # The heartbeat's thread writes these, without a lock: each is one number, and renew() writes them in an order
        # in which no reader believes too much. The main thread, the slots and the keeper read them.
        self.unbroken_since = self._answered = now  # heartbeats succeed since then, without a break of half a lease
        self._until = now + seconds
        self.doubts = 0  # how often the worker learned that others had rescued its jobs
        # The main thread writes this one: the doubts after which it has compared its jobs with the database.
        self.compared = 0

    def renew(self, sent: float, answered: float, *, was_lost: bool = False) -> None:
        """Counts the lease from when a heartbeat was sent.

        Args:
            was_lost: others had taken the worker for lost.
        """
        if was_lost:
            self.doubts += 1  # before the lease holds again
        if answered - self._answered > self.seconds / 2:
            self.unbroken_since = answered
        self._answered, self._until = answered, sent + self.seconds

    def is_held(self, now: float) -> bool:
        """Whether no other worker can have rescued its jobs: it may claim jobs and start them."""
        return now < self._until and self.compared == self.doubts

    @property
    def is_doubted(self) -> bool:
        """Whether others have rescued jobs of this worker, and it has yet to find out which."""
        return self.compared != self.doubts

    def is_fresh(self, now: float) -> bool:
        """Whether heartbeats succeed at present, so that a silent worker is silent alone."""
        return now - self._answered <= self.seconds / 2


class Observer:
    """Judges by its own clock which workers are lost. The keeper's thread alone uses it.

    A worker is lost once the observer itself has seen the same heartbeat unchanged for a whole lease, or for its own
    lease if that is longer, while its own heartbeats succeeded without a break. An outage, a pause of the observer, a
    database that takes no writes: each restarts the observation, so that none of them makes a worker look lost.

    Args:
        worker: id of the observer, which does not judge itself.
    """

    def __init__(self, worker: str, lease: Lease) -> None:
        self._worker, self._lease = worker, lease
        self._seen: dict[str, tuple[Heartbeat, float]] = {}
        self._changed: set[str] = set()

    def look(self, heartbeats: Iterable[Heartbeat], now: float) -> list[Heartbeat]:
        """Compares heartbeats with those that it saw before, and returns those of lost workers.

        Args:
            heartbeats: of all workers that may be lost; it forgets the others.
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
        """Restarts the observation of a worker."""
        self._seen.pop(worker, None)

    @property
    def undecided(self) -> list[str]:
        """Ids of the workers of which it has seen only one heartbeat: they may live or not."""
        return [worker for worker in self._seen if worker not in self._changed]
