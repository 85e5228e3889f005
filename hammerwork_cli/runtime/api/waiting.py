"""Waiting for jobs from Python."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from hammerwork_cli.core.values import FINISHED, Counts
from hammerwork_cli.database import Database, DatabaseUrl, Timeouts, connect
from hammerwork_cli.database.waiting import Wait
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.spawn.queries.wait import Waiter
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.tree.wait import Blocker, WaitOutcome

INTERVAL = 0.2
"""Seconds between two looks."""


class JobWait:
    """A wait with a connection of its own, and another one after each restart of the server.

    Args:
        timeout: seconds after which to give up; ``None`` to wait without limit.
        stopped: asked whether to give up earlier.
    """

    def __init__(
        self, url: DatabaseUrl, timeouts: Timeouts, timeout: float | None, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._url, self._timeouts = url, timeouts
        self._limits: Any = {"interval": INTERVAL, "timeout": timeout, "stopped": stopped}
        self._database: Database | None = None

    def job(self, job: str) -> bool:
        """Waits until a job has ended; whether that came in time."""
        relatives = Relatives(self._connect())

        def has_ended() -> bool:
            return relatives.job(job).status in FINISHED

        def connected(database: Database) -> None:
            nonlocal relatives
            relatives = Relatives(database)

        return Wait(self._connect, self, **self._limits).until(has_ended, connected)

    def tree(self, job: str, now: datetime) -> bool:
        """Waits until a job and everything below it have ended, or never can; whether that came in time."""
        waiter = Waiter(self._connect, self, **self._limits, fail_stuck=True)
        return waiter.wait(self._connect(), job, whole=False, now=now).outcome != WaitOutcome.TIMEOUT

    def _connect(self) -> Database:
        self.close()
        self._database = connect(self._url, self._timeouts)
        return self._database

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    # Nobody is told of what happens meanwhile.

    def lost(self, error: HammerworkError) -> None:
        """The server is away."""

    def back(self) -> None:
        """The server answers again."""

    def reading(self, counts: Counts) -> None:
        """The tree was read."""

    def stuck(self, blockers: list[Blocker]) -> None:
        """Jobs can never run."""
