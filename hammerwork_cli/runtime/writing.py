"""Writing what came of runs that have ended, many at once."""

import logging
from collections.abc import Callable
from datetime import datetime

from hammerwork_cli.errors import (
    AccessDeniedError,
    ConnectionLostError,
    HammerworkError,
    MissingTablesError,
    RetryableError,
    UnreachableError,
)
from hammerwork_cli.queries import claims
from hammerwork_cli.queries.claims import Claimed, End, Ended
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.failures import Failed, cleaned
from hammerwork_cli.runtime.pulse import ServerClock
from hammerwork_cli.runtime.slots import Slots

NOT_THE_JOBS_FAULT = (
    AccessDeniedError,
    ConnectionLostError,
    MissingTablesError,
    RetryableError,
    UnreachableError,
)
"""Errors that every job would meet; any other one is of a job's own values, and costs that job alone."""
WRITE_SECONDS = 0.005
"""How long the end of a job waits for others, to be written with them."""
log = logging.getLogger("hammerwork")


class Writing:
    """Writes the ends of runs.

    Args:
        connections: the worker's own.
        slots: where runs end.
        clock: the server's.
        failed: what a failed attempt leads to.
        counted: told how many runs completed and how many failed.
    """

    def __init__(
        self,
        connections: Connections,
        slots: Slots,
        clock: ServerClock,
        failed: Callable[[Claimed, Failed], Ended],
        counted: Callable[[int, int], None],
    ) -> None:
        self._connections, self._slots, self._clock = connections, slots, clock
        self._failed, self._counted = failed, counted

    @property
    def pause(self) -> float | None:
        """Seconds until there is something to write; ``None`` while nothing has ended."""
        return self._slots.worth_writing(WRITE_SECONDS) if self._slots.has_ended else None

    def write(self) -> bool:
        """Writes what has ended, once it is worth a transaction; whether it was.

        Raises:
            DatabaseError: nothing can be written at present; what has ended is kept.
        """
        if not self._slots.has_ended or self._slots.worth_writing(WRITE_SECONDS) > 0:
            return False
        self.settle(self._slots.take_ended())
        return True

    def settle(self, ended: list[Ended]) -> None:
        """Writes these in one transaction; one by one when there are values among them that cannot be written.

        Raises:
            DatabaseError: nothing can be written at present; what is not written is kept.
        """
        left = list(ended)
        try:
            self._settle(left)
            left = []
        except NOT_THE_JOBS_FAULT:
            raise
        except Exception:  # noqa: BLE001  found out one by one
            while left:
                self._settle_one(left[0])
                left.pop(0)
        finally:
            self._slots.put_back(left)

    def _settle_one(self, run: Ended) -> None:
        try:
            self._settle([run])
        except NOT_THE_JOBS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  its result, its error, its next run: whatever it is fails this job
            log.warning("What came of job %s cannot be written: %s", run.job.id, _said(error))
            self._bury(run, error)

    def _bury(self, run: Ended, error: Exception) -> None:
        """Ends a job with what every database can hold: the next attempt would come to the same."""
        text = cleaned(f"The database cannot hold what the job returned. {_said(error)}")
        text = text.encode("ascii", "backslashreplace").decode()
        # A recurring job comes back, unless its next run is what the database cannot hold.
        for end in (self._failed(run.job, Failed(text, retryable=False)), Ended(run.job, End.FAILED, error=text)):
            try:
                return self._settle([end])
            except NOT_THE_JOBS_FAULT:
                raise
            except Exception:
                # It stays Running and unknown to this worker, which gives it back when it compares.
                log.exception("The end of job %s cannot be written.", run.job.id)
        return None

    def _settle(self, ended: list[Ended]) -> None:
        # The same instant in every try: an earlier one is recognised by it.
        now = self._now(ended)
        settled = self._connections.run(lambda database: claims.settle(database, ended, now))
        for job in settled.lost:
            log.warning("Job %s is not this worker's any more: what it did is not written.", job)
        completed = sum(1 for run in ended if run.end == End.COMPLETED and run.job.id not in settled.lost)
        self._counted(completed, len(ended) - completed - len(settled.lost))

    def _now(self, ended: list[Ended]) -> datetime:
        # A job does not end before it has begun, even when the server's clock was put back.
        return max(self._clock.now(), *(run.job.claim.started_at for run in ended))


def _said(error: Exception) -> str:
    return error.message if isinstance(error, HammerworkError) else f"{type(error).__name__}: {error}"
