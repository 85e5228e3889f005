"""Workers as operators see them."""

import json
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.models.values import Timestamp, timestamp


class Worker(NamedTuple):
    """A worker: a row with a heartbeat, whose times are the server's.

    Attributes:
        queues: as JSON text; :attr:`queue_names` reads it.
        lease: seconds without a heartbeat after which it is silent, and others may take it for lost.
        request: ``stop`` or ``restart``, when somebody asked for it.
        running: jobs that run now.
        completed: runs that completed since the start.
        failed: runs that failed since the start.
        memory: bytes of its process and of those that run its handlers, where the system tells (Linux).
        silent_for: seconds since the last heartbeat.
    """

    id: str
    name: str
    host: str
    pid: int
    version: str
    queues: str
    handlers: str
    concurrency: int
    lease: float
    stored_state: str
    request: str | None
    requested_by: str | None
    started_at: Timestamp
    heartbeat_at: Timestamp
    ended_at: Timestamp
    running: int
    completed: int
    failed: int
    memory: int | None
    silent_for: float

    @property
    def state(self) -> str:
        """``running``, ``stopping``, ``stopped``, ``lost`` or ``silent``.

        Lost is one that another worker took for lost, which wrote it. Silent is one whose last heartbeat is older than
        its lease, and of which nobody has said so: it may be dead, or the server may have taken no writes.
        """
        return "silent" if self.ended_at is None and self.silent_for > self.lease else self.stored_state

    @property
    def is_alive(self) -> bool:
        """Whether its heart beats."""
        return self.ended_at is None and self.state not in {"lost", "silent"}

    @property
    def queue_names(self) -> tuple[str, ...]:
        """The queues it serves."""
        return _names(self.queues)

    @property
    def handler_names(self) -> tuple[str, ...]:
        """Its spawn handlers."""
        return _names(self.handlers)

    @property
    def up_time(self) -> timedelta | None:
        """From its start to its last heartbeat."""
        start, end = timestamp(self.started_at), timestamp(self.ended_at or self.heartbeat_at)
        return max(end - start, timedelta()) if start and end else None

    @property
    def rate(self) -> float | None:
        """Runs a minute since its start; ``None`` in its first second, which tells nothing."""
        up = self.up_time
        return (self.completed + self.failed) / up.total_seconds() * 60 if up and up >= timedelta(seconds=1) else None


def _names(text: str) -> tuple[str, ...]:
    try:
        names = json.loads(text)
    except ValueError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


class RunningJob(NamedTuple):
    """A job that a worker has claimed."""

    id: str
    queue: str
    started_at: Timestamp
    attempts: int

    def runs_for(self, now: datetime) -> timedelta | None:
        """Since it was claimed."""
        start = timestamp(self.started_at)
        return max(now - start, timedelta()) if start else None
