"""Works for others: rescues jobs of lost workers, claims spawn requests, and releases waiting jobs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

from hammerwork_cli.database import Database
from hammerwork_cli.errors import RefusedValueError, RetryableError
from hammerwork_cli.features.spawn.queries.doctor import Doctor, FixedJobs
from hammerwork_cli.features.worker.models.worker import heartbeat_interval
from hammerwork_cli.features.worker.queries import duties, registry, rescue
from hammerwork_cli.runtime.clock import elapsed
from hammerwork_cli.runtime.worker.context import LOCK_SECONDS_OF_KEEPER, WorkerContext
from hammerwork_cli.runtime.worker.lease import Observer
from hammerwork_cli.runtime.worker.turns import Task, TurnThread
from hammerwork_cli.view.text import named, plural

IDLE_SWEEP = 0.1
"""Seconds after which a sweep pauses while it finds nothing. One that finds jobs goes on for a heartbeat's interval."""
RESCUE_DUTY, LEASES_DUTY = "rescue", "leases"
"""The duties to look for jobs of Rust workers: with the option, and without. A worker that looks for fewer jobs must
not keep one that looks for more from it."""
BETWEEN_LOOKS = timedelta(minutes=1)
"""Time between two looks for jobs that run for too long."""
COLLISIONS = 3
"""Sweeps in a row that locks of others may break off before a worker that drains its queues stops waiting."""
log = logging.getLogger("hammerwork")


class Keeper(TurnThread):
    """The thread for tasks that may wait for locks or read for long. The heartbeat has another thread.

    Args:
        claim_requests: claims open spawn requests.
        wake: called when there may be new jobs.
    """

    def __init__(
        self, context: WorkerContext, *, claim_requests: Callable[[Database], None], wake: Callable[[], None]
    ) -> None:
        super().__init__("keeper", context.connections.for_thread(LOCK_SECONDS_OF_KEEPER))
        self.worker, self.clock = context.registration, context.clock
        self._claim_requests, self.wake, self._sweeps = claim_requests, wake, context.options.sweep
        longest = context.options.rescue_older_than
        self._longest = None if longest is None else timedelta(seconds=longest)
        self.interval = heartbeat_interval(self.worker.lease)
        # Ids of workers of which it does not know whether they live; `None` before it first looked. This thread
        # replaces it as a whole; the main thread reads it.
        self.undecided: frozenset[str] | None = None
        # Whether its sweep has yet to look, or has found jobs and not reached the end. This thread writes it; the main
        # thread reads it.
        self.releasing = self._sweeps
        # This thread alone uses the rest.
        self._observer = Observer(self.worker.id, context.lease)
        self._sweep_after: str | None = None
        self._next_sweep = self._next_look = 0.0
        self._fixed = 0  # by the present sweep
        self._collisions = 0  # sweeps that locks broke off, since one went on

    def tasks(self) -> Mapping[str, Task]:
        """The sweep comes first: a worker that drains its queues waits for the first look at lost workers."""
        tasks: dict[str, Callable[[Database], None]] = {"Releasing waiting jobs": self._sweep} if self._sweeps else {}
        tasks |= {
            "Looking for lost workers": self._rescue,
            "Claiming spawn requests": self._claim_requests,
            "Rescuing jobs of Rust workers": self._rescue_from_rust,
        }
        # It tries once: the next turn comes soon, and other tasks wait.
        return {name: partial(self.connections.run, unit, patience=0) for name, unit in tasks.items()}

    def pause(self) -> float:
        return self.began + self.interval - time.monotonic()

    def _rescue(self, database: Database) -> None:
        heartbeats = [*registry.heartbeats(database), *registry.ended_with_jobs(database)]
        lost = self._observer.look(heartbeats, elapsed())
        for heartbeat in lost:
            try:
                self._rescue_from(database, heartbeat)
            except RetryableError as error:
                log.debug("The jobs of worker %s cannot be rescued yet: %s", heartbeat.name, error.message)
            except RefusedValueError as error:  # the other workers' jobs are not to wait for it
                log.error("The jobs of worker %s cannot be rescued: %s", heartbeat.name, error.message)
        is_first = self.undecided is None
        self.undecided = frozenset(self._observer.undecided)
        if is_first:
            self.wake()  # one that drains its queues waits for this look

    def _rescue_from(self, database: Database, lost: registry.Heartbeat) -> None:
        job_counts = registry.rescue(database, lost, self.clock.now())
        if job_counts is None:
            self._observer.forget(lost.id)
        elif any(job_counts):
            back, dead = job_counts
            are = "is" if dead == 1 else "are"
            log.warning("Worker %s is lost: %s may run again, %d %s dead.", lost.name, plural(back, "job"), dead, are)
            self.wake()

    def _rescue_from_rust(self, database: Database) -> None:
        """Gives back jobs of workers of hammerwork (Rust). One worker at a time looks for them.

        Their leases tell that they are gone. Versions before 3 keep none: with the option, the age of the run tells it.
        """
        if time.monotonic() < self._next_look or (now := self.clock.trusted_now()) is None:
            return
        if self._longest is None and "rust_3" not in database.tags:
            return
        self._next_look = time.monotonic() + BETWEEN_LOOKS.total_seconds()
        due = duties.times(database)
        duty = LEASES_DUTY if self._longest is None else RESCUE_DUTY
        if not duties.take_due(database, duty, self.worker.id, due, now=now, length=BETWEEN_LOOKS):
            return
        if "rust_3" in database.tags:
            rescue.put_leases_back(database, now)
        if self._longest is None and not rescue.some_abandoned(database, now):
            return
        lost_before = None if self._longest is None else now - self._longest
        rescued = Doctor(database, now=now, lost_before=lost_before).rescue()
        if rescued:
            or_long = "" if self._longest is None else f", or that had been Running for longer than {self._longest}"
            log.warning("Rescued %s of hammerwork (Rust) whose lease was over%s.", plural(rescued, "job"), or_long)
            self.wake()

    def _sweep(self, database: Database) -> None:
        """Releases, page by page, jobs that other programs left waiting although their dependencies have ended."""
        began = time.monotonic()
        if began < self._next_sweep:
            return
        doctor = Doctor(database, now=self.clock.now())
        found = False
        while not self.stopped.is_set():
            fixed = self._release_page(doctor)
            if any(fixed):
                found = True
                self._fixed += len(fixed.released) + len(fixed.failed)
                _log_fixed("Released", fixed.released, "whose dependencies had completed")
                _log_fixed("Failed", fixed.failed, "whose dependencies had failed or are missing")
                self.wake()
            if self._sweep_after is None:
                self._next_sweep = time.monotonic() + (0 if self._fixed else self.worker.lease / 2)
                self._fixed = 0
                self.releasing = False
                return
            if time.monotonic() - began > (self.interval if any(fixed) else IDLE_SWEEP):
                self.releasing = found
                return

    def _release_page(self, doctor: Doctor) -> FixedJobs:
        try:
            self._sweep_after, fixed = doctor.fix_waiting_page(self._sweep_after)
        except Exception as error:
            self._collisions += 1
            self.releasing = isinstance(error, RetryableError) and self._collisions < COLLISIONS
            raise
        self._collisions = 0
        return fixed


def _log_fixed(what: str, ids: Sequence[str], which: str) -> None:
    if ids:
        log.info("%s %s %s: %s.", what, plural(len(ids), "waiting job"), which, named(ids))
