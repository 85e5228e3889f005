"""Writing what came of runs that have ended, many at once."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.models import JobStatus
from hammerwork_cli.queries.worker import finish
from hammerwork_cli.queries.worker.claim import Claimed
from hammerwork_cli.queries.worker.finish import End, Ended
from hammerwork_cli.render.formats.text import duration, instant
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import LONGEST_PAUSE, Connections
from hammerwork_cli.runtime.faults import Fault, Progress, is_an_outage_for_all, is_of_the_database
from hammerwork_cli.runtime.outcomes.failures import Failed, in_ascii
from hammerwork_cli.runtime.worker.slots import Slots

WRITE_SECONDS = 0.005
"""How long the end of a job waits for others, to be written with them."""
FIRST_PAUSE, SHORTEST_PAUSE = 0.1, 1.0
"""Before a run that could not be written is tried again: at first, and at least when many of them fail for long."""
AGAIN_SECONDS = 0.1
"""How long it goes on with what could not be written before, while other duties wait."""
log = logging.getLogger("hammerwork")


@dataclass(slots=True, eq=False)
class Batch:
    """Runs that are written in one transaction.

    Attributes:
        now: when they ended. The same instant in every try: an earlier one is recognised by it.
        fault: judges what it met, once it is down to one run.
        tries: how often that failed.
    """

    outcomes: list[Ended]
    now: datetime | None = None
    fault: Fault | None = None
    tries: int = 0


class Finisher:
    """Writes the ends of runs. What cannot be written waits, and holds up nothing else.

    Args:
        connections: the worker's own.
        slots: where runs end.
        clock: the server's.
        progress: of the worker.
        failed: what a failed attempt leads to.
        counted: told how many runs completed and how many failed.
    """

    def __init__(
        self,
        connections: Connections,
        slots: Slots,
        clock: ServerClock,
        progress: Progress,
        failed: Callable[[Claimed, Failed], Ended],
        counted: Callable[[int, int], None],
    ) -> None:
        self._connections, self._slots, self._clock, self._progress = connections, slots, clock, progress
        self._failed, self._counted = failed, counted
        self._parts: deque[Batch] = deque()
        """Of batches that could not be written as a whole."""
        self._alone: deque[Batch] = deque()
        """Single runs that cannot be written at present."""
        self._again_at = self._again_in = 0.0

    @property
    def pause(self) -> float | None:
        """Seconds until there is something to write; ``None`` while there is nothing."""
        waits = [self._slots.worth_writing(WRITE_SECONDS)] if self._slots.has_ended else []
        if self._parts:
            waits.append(0.0)
        elif self._alone:
            waits.append(max(0.0, self._again_at - time.monotonic()))
        return min(waits, default=None)

    def write(self) -> bool:
        """Writes what has ended, once it is worth a transaction; whether anything was written.

        Raises:
            DatabaseError: everybody gave up; what is not written is kept.
        """
        wrote = False
        if self._slots.has_ended and self._slots.worth_writing(WRITE_SECONDS) <= 0:
            wrote = self._write(Batch(self._slots.take_ended()))
        began = time.monotonic()
        while (batch := self._next()) is not None:
            wrote = self._write(batch) or wrote
            if time.monotonic() - began > AGAIN_SECONDS:
                break
        return wrote

    def write_last(self, seconds: float) -> int:
        """Tries for so long to write all that has ended, each once more; how many runs are left.

        Raises:
            DatabaseError: no server answers.
        """
        end = time.monotonic() + seconds
        self._parts.extend(self._alone)
        self._alone.clear()
        if ended := self._slots.take_ended():
            self._parts.appendleft(Batch(ended))
        while self._parts and time.monotonic() < end:
            self._write(self._parts.popleft())
        return sum(len(batch.outcomes) for batch in (*self._parts, *self._alone))

    def _next(self) -> Batch | None:
        """What could not be written and is to be tried again now."""
        if self._parts:
            return self._parts.popleft()
        return self._alone.popleft() if self._alone and time.monotonic() >= self._again_at else None

    def _write(self, batch: Batch) -> bool:
        """Whether these are written; if not, they are kept, or what they come to is decided anew."""
        try:
            self._settle(batch)
        except Exception as error:
            if is_an_outage_for_all(error):
                self._slots.let_go(batch.outcomes)
                self._slots.put_back(batch.outcomes)
                raise
            self._not_written(batch, error)
            return False
        self._slots.let_go(batch.outcomes)
        if batch.tries:
            # What held it up may have held up others.
            self._again_at = self._again_in = 0.0
        return True

    def _not_written(self, batch: Batch, error: Exception) -> None:
        """By halves until it is known whose fault it is: so the neighbours are written."""
        half = len(batch.outcomes) // 2
        if half:
            self._slots.hold_up(batch.outcomes)
            self._parts.extend(
                Batch(outcomes, batch.now) for outcomes in (batch.outcomes[:half], batch.outcomes[half:])
            )
            return
        is_new, batch.fault = batch.fault is None, batch.fault or Fault(self._progress)
        if batch.fault.is_the_jobs(error):
            if is_new:
                # Once more, since an error of ours may have been one of a moment.
                self._slots.hold_up(batch.outcomes)
                self._parts.append(batch)
            else:
                self._bury(batch.outcomes[0], error)
        else:
            self._try_later(batch, error)

    def _try_later(self, batch: Batch, error: Exception) -> None:
        self._slots.hold_up(batch.outcomes)
        self._alone.append(batch)
        batch.tries += 1
        if batch.tries == 1 or batch.tries % 10 == 0:
            log.warning("What came of job %s cannot be written and waits: %s", batch.outcomes[0].job.id, _said(error))
        longest = max(SHORTEST_PAUSE, LONGEST_PAUSE / len(self._alone))
        self._again_in = min(longest, max(FIRST_PAUSE, 2 * self._again_in))
        self._again_at = time.monotonic() + self._again_in

    def _bury(self, outcome: Ended, error: Exception) -> None:
        """Ends a job with what every database can hold: the next attempt would come to the same."""
        log.warning("What came of job %s cannot be written: %s", outcome.job.id, _said(error))
        for end in self._other_ends(outcome, error):
            other = Batch([end], fault=Fault(self._progress))
            try:
                self._settle(other)
            except Exception as failure:
                if is_an_outage_for_all(failure):
                    self._slots.let_go([outcome])
                    self._slots.put_back([outcome])
                    raise
                if is_of_the_database(failure):
                    return self._try_later(other, failure)
                log.exception("The end of job %s cannot be written.", outcome.job.id)
            else:
                break
        # Without an end it stays Running and unknown to this worker, which gives it back when it compares.
        return self._slots.let_go([outcome])

    def _other_ends(self, outcome: Ended, error: Exception) -> Iterator[Ended]:
        """What to write in place of an end that cannot be written: as much of it as there is no doubt about."""
        if outcome.end == End.COMPLETED:
            held = "does not take what became of the job" if is_of_the_database(error) else None
            text = in_ascii(f"The database {held or 'cannot hold what the job returned'}. {_said(error)}")
            yield self._failed(outcome.job, Failed(text, retryable=False))
            yield Ended(outcome.job, End.FAILED, error=text)
            return
        # The same, with the text of its error in characters that every database has.
        text = in_ascii(outcome.error or "")
        yield replace(outcome, error=text)
        # A recurring job comes back, unless its next run is what the database cannot hold.
        yield Ended(outcome.job, End.FAILED if outcome.end == End.RETRY else outcome.end, error=text)

    def _settle(self, batch: Batch) -> None:
        ended = batch.outcomes
        now = batch.now = batch.now or self._now(ended)
        settled = self._connections.run(lambda database: finish.settle(database, ended, now))
        ours = [outcome for outcome in ended if outcome.job.id not in settled.lost]
        failed = [outcome for outcome in ours if outcome.end not in (End.COMPLETED, End.STOPPED)]
        self._counted(sum(1 for outcome in ours if outcome.end == End.COMPLETED), len(failed))
        # What a handler of the log raises is nobody's business here: what happened is written.
        with suppress(BaseException):
            _say_lost(outcome.job for outcome in ended if outcome.job.id in settled.lost)
            for outcome in failed:
                _say_failed(outcome, now)

    def _now(self, ended: list[Ended]) -> datetime:
        # A job does not end before it has begun, even when the server's clock was put back.
        return max(self._clock.now(), *(outcome.job.claim.started_at for outcome in ended))


def _say_lost(jobs: Iterable[Claimed]) -> None:
    for job in jobs:
        log.warning(
            "Job %s (%s) is another worker's now, or was changed by hand: what its run here came to is not written.",
            job.id,
            job.queue_name,
        )


def _say_failed(outcome: Ended, now: datetime) -> None:
    job = outcome.job
    if outcome.end == End.RETRY and outcome.at is not None:
        follows = f"and is tried again in {duration(max(outcome.at - now, timedelta(0)))}"
    elif outcome.at is not None:
        follows = f"and recurs at {instant(outcome.at)}"
    else:
        follows = f"and is {JobStatus.TIMED_OUT if outcome.end == End.TIMED_OUT else JobStatus.DEAD} for good"
    log.warning(
        "Job %s (%s) failed in attempt %d of %d %s: %s",
        job.id,
        job.queue_name,
        job.attempts,
        job.max_attempts,
        follows,
        (outcome.error or "").partition("\n")[0],
    )


def _said(error: Exception) -> str:
    return error.message if isinstance(error, HammerworkError) else f"{type(error).__name__}: {error}"
