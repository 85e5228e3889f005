"""Writing what came of runs that have ended, many at once."""

import logging
from collections.abc import Callable
from datetime import datetime

from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.queries import claims
from hammerwork_cli.queries.claims import Claimed, End, Ended
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.failures import Failed, cleaned
from hammerwork_cli.runtime.pulse import ServerClock
from hammerwork_cli.runtime.slots import Slots

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
        """Writes what has ended, once it is worth a transaction; whether it was."""
        if not self._slots.has_ended or self._slots.worth_writing(WRITE_SECONDS) > 0:
            return False
        ended = self._slots.take_ended()
        try:
            self.settle(ended)
        except RefusedValueError:
            for run in ended:
                self._settle_one(run)
        return True

    def _settle_one(self, run: Ended) -> None:
        try:
            self.settle([run])
        except RefusedValueError as error:
            # Its result, or a next run that the database cannot hold.
            failure = Failed(cleaned(f"The database refuses what the job returned. {error.message}"))
            self.settle([self._failed(run.job, failure)])

    def settle(self, ended: list[Ended]) -> None:
        """Writes these in one transaction.

        Raises:
            RefusedValueError: the database refuses a value; nothing is written.
        """
        settled = self._connections.run(lambda database: claims.settle(database, ended, self._now(ended)))
        for job in settled.lost:
            log.warning("Job %s is not this worker's any more: what it did is not written.", job)
        completed = sum(1 for run in ended if run.end == End.COMPLETED and run.job.id not in settled.lost)
        self._counted(completed, len(ended) - completed - len(settled.lost))

    def _now(self, ended: list[Ended]) -> datetime:
        # A job does not end before it has begun, even when the server's clock was put back.
        return max(self._clock.now(), *(run.job.claim.started_at for run in ended))
