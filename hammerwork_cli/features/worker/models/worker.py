"""Workers as they register in the database."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import NamedTuple

from hammerwork_cli.core.values import Timestamp, between, timestamp
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.worker.models.counts import Unwritten, read_unwritten

HEARTBEAT_SECONDS = 3.0
"""Most seconds between two heartbeats."""
MISSED = 3
"""Heartbeats that a silent worker has missed."""
LEAST_JOB_LEASE, JOB_LEASES = 300, 4
"""The lease of a running job: seconds at least, and in leases of its worker."""
LEAST_FOR_RATE = timedelta(seconds=10)
"""Time that a worker has to run before its attempts per minute mean anything."""

WRONG_CLOCK = timedelta(seconds=30)
"""How far the clock of a host may be from that of the server."""
MAIN_LOOP, FINISHER = "main loop", "finisher"


class RegisteredWorker(NamedTuple):
    """The row of a worker, whose times are by the server's clock."""

    id: str
    name: str
    host: str
    pid: int
    version: str
    queues: str  # JSON text; use `queue_names`
    handlers: str  # JSON text; use `handler_names`
    concurrency: int
    lease: float  # seconds without a heartbeat after which others may rescue its jobs
    stored_state: str  # the state as the worker, or the one that rescued its jobs, wrote it; use `state`
    request: str | None  # `stop` or `restart`, if an operator has requested it
    requested_by: str | None
    started_at: Timestamp
    heartbeat_at: Timestamp
    ended_at: Timestamp
    running: int  # jobs that it runs now
    completed: int  # attempts that completed since its start
    failed: int  # attempts that failed since its start
    memory: int | None  # bytes of its process and of those that run its handlers (only on Linux)
    # Seconds for which the main loop had not gone round at the last heartbeat; `None` if it did.
    main_stalled: float | None
    finisher_stalled: float | None  # the same of the thread that writes outcomes
    # Slots whose handlers have not returned although their attempts have timed out or were cancelled; `None` before
    # migration 026.
    held: int | None
    clock_ahead: float | None  # seconds by which the clock of its host is ahead of the server's; negative: behind it
    stored_unwritten: str | None  # JSON text; use `unwritten`
    stored_duties: str | None  # names with line breaks between them; use `duties`
    silent_for: float  # seconds since the last heartbeat

    @property
    def state(self) -> str:
        """``running``, ``stopping``, ``stopped``, ``lost``, ``silent`` or ``stalled``.

        ``lost`` is written by the worker that rescued its jobs. The other two are computed. ``silent``: the worker has
        missed :data:`MISSED` heartbeats. It may be dead, or the server may have refused its writes. ``stalled``: its
        heartbeats say that one of its threads does not go round.
        """
        return state_of(self.stored_state, self.ended_at, self.silent_for, self.lease, self.stalled)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, with a heartbeat within its lease: until then, no other worker takes its jobs."""
        return self.ended_at is None and self.stored_state != "lost" and self.silent_for <= self.lease

    @property
    def has_wrong_clock(self) -> bool:
        """Whether the clock of its host and that of the server are apart."""
        return abs(self.clock_ahead or 0.0) > WRONG_CLOCK.total_seconds()

    @property
    def is_serving(self) -> bool:
        """Whether it claims jobs: it neither stops nor stands still."""
        return self.is_alive and self.stored_state == "running" and not self.stalled

    @property
    def is_full(self) -> bool:
        """Whether jobs have all of its slots; those of attempts that are over, and whose handlers still run, too."""
        return max(self.running, self.held or 0) >= self.concurrency

    @property
    def stalled(self) -> dict[str, timedelta]:
        """Its threads that do not go round, and for how long; nothing once it has ended."""
        standing = {MAIN_LOOP: self.main_stalled, FINISHER: self.finisher_stalled}
        since = max(self.silent_for, 0.0)
        return {
            name: timedelta(seconds=took + since)
            for name, took in standing.items()
            if took is not None and self.ended_at is None
        }

    @property
    def unwritten(self) -> Unwritten | None:
        """The outcomes that it cannot write, and for how long until now; ``None`` once it has ended."""
        found = None if self.ended_at else read_unwritten(self.stored_unwritten)
        return found and found._replace(seconds=found.seconds + max(self.silent_for, 0.0))

    @property
    def queue_names(self) -> tuple[str, ...]:
        return _names(self.queues)

    @property
    def is_internal(self) -> bool:
        """Whether it only delivers to webhooks, beside a worker of the user."""
        return self.queue_names == (DELIVERIES,)

    def serves(self, queues: Collection[str]) -> bool:
        """Whether it serves one of some queues. Without any, every worker of the user does: one process counts once."""
        return any(name in queues for name in self.queue_names) if queues else not self.is_internal

    @property
    def handler_names(self) -> tuple[str, ...]:
        """Names of its spawn handlers."""
        return _names(self.handlers)

    @property
    def duties(self) -> tuple[str, ...]:
        """The duties that it was the last worker to take; none once it has ended."""
        names = "" if self.ended_at else self.stored_duties or ""
        return tuple(sorted(name for name in names.split("\n") if name and not name.endswith(" history")))

    @property
    def up_time(self) -> timedelta | None:
        """Time from its start until now, to its end, or to the last heartbeat if it is silent."""
        reported = self._reported_time
        if reported is None or self.ended_at or self.state == "silent":
            return reported
        return reported + timedelta(seconds=max(self.silent_for, 0.0))

    @property
    def _reported_time(self) -> timedelta | None:
        """Time from its start to its last heartbeat, with which its figures came, or to its end."""
        return between(self.started_at, self.ended_at or self.heartbeat_at)

    @property
    def rate(self) -> float | None:
        """Attempts per minute since its start; ``None`` in its first seconds, which are too few for a rate."""
        reported = self._reported_time
        if reported is None or reported < LEAST_FOR_RATE:
            return None
        return (self.completed + self.failed) / reported.total_seconds() * 60


def heartbeat_interval(lease: float) -> float:
    """Seconds between two heartbeats of a worker with this lease."""
    return min(lease / 6, HEARTBEAT_SECONDS)


def is_silent(silent_for: float, lease: float) -> bool:
    """Whether a worker has missed heartbeats, which it has before its lease is over."""
    return silent_for > MISSED * heartbeat_interval(lease)


def state_of(stored: str, ended_at: Timestamp, silent_for: float, lease: float, stalled: object) -> str:
    """The state of a worker for those who look at it: see :attr:`RegisteredWorker.state`."""
    if ended_at is not None:
        return stored
    if is_silent(silent_for, lease):
        return "silent"
    return "stalled" if stalled else stored


def _names(text: str) -> tuple[str, ...]:
    try:
        names = json.loads(text)
    except ValueError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


class RunningJob(NamedTuple):
    id: str
    queue: str
    started_at: Timestamp
    attempts: int

    def runs_for(self, now: datetime) -> timedelta | None:
        """Time since the claim."""
        return between(self.started_at, now)


class LeaseState(StrEnum):
    """Whether somebody says that a Running job is still run."""

    ACTIVE = "active"
    EXPIRED = "expired"
    NONE = "none"
    """A worker of hammerwork (Rust) 1.15.5 has no leases."""


class LeasedJob(NamedTuple):
    """A Running job, whoever runs it."""

    id: str
    queue: str
    started_at: Timestamp
    attempts: int
    worker: str | None  # name of its worker; `None` for a worker of hammerwork (Rust), which does not register
    silent_for: float | None  # seconds since that worker's last heartbeat
    worker_lease: float | None  # that worker's lease in seconds
    heartbeat_at: Timestamp  # the last heartbeat in the row of the job
    lease_until: Timestamp  # the end of the lease in the row of the job

    def runs_for(self, now: datetime) -> timedelta | None:
        """Time since the claim."""
        return between(self.started_at, now)

    def lease(self, now: datetime) -> LeaseState:
        """The state of its lease: its worker's if that registers, else the one in its row if it is of this run."""
        if self.silent_for is not None and self.worker_lease is not None:
            return LeaseState.ACTIVE if self.silent_for <= self.worker_lease else LeaseState.EXPIRED
        start, heard, until = map(timestamp, (self.started_at, self.heartbeat_at, self.lease_until))
        if start and heard and until and heard >= start:
            return LeaseState.ACTIVE if until >= now else LeaseState.EXPIRED
        return LeaseState.NONE


def job_lease(lease: float) -> int:
    """Seconds for which hammerwork 3 (Rust) leaves a job alone after its worker, with this lease, has claimed it.

    The worker renews it meanwhile. It is as long as the one that the original gives to its own jobs: our workers do not
    need it, since they rescue each other's jobs much sooner, by heartbeats.
    """
    return max(LEAST_JOB_LEASE, ceil(JOB_LEASES * lease))
