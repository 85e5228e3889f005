"""Writes the outcomes of attempts, many in one transaction."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database.retrying import Backoff, is_away
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.worker.queries import finish
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import LONGEST_PAUSE, Connections
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.execution.slots import Slots
from hammerwork_cli.runtime.faults import Fault, Progress, is_of_the_database
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.runtime.host.secrets import masked
from hammerwork_cli.runtime.outcomes.failures import Failed, for_log, in_ascii, taken
from hammerwork_cli.view.text import duration, instant

WRITE_SECONDS = 0.005
"""How long an outcome waits for others, to be written with them."""
FIRST_PAUSE, SHORTEST_PAUSE = 0.1, 1.0
"""Pauses before the next try at a postponed outcome: the first one, and the least while many of them fail for long."""
NO_FAILURES = (AttemptEnd.COMPLETED, AttemptEnd.SNOOZED, AttemptEnd.STOPPED, AttemptEnd.CANCELLED)
AGAIN_SECONDS = 0.1
"""How long one call goes on with postponed outcomes while other work waits."""
log = logging.getLogger("hammerwork")


@dataclass(slots=True, eq=False)
class OutcomeBatch:
    """Outcomes that are written in one transaction."""

    outcomes: list[EndedAttempt]
    # When they ended. Each try has the same timestamp, by which an earlier one is recognised.
    now: datetime | None = None
    fault: Fault | None = None  # judges its errors once one outcome is left
    tries: int = 0  # how often that one failed


class Finisher:
    """Writes outcomes. One that cannot be written is postponed, and delays no other.

    One thread uses it at a time.

    Args:
        outcome_policy: decide the outcome of a job whose own one cannot be written.
        callbacks_due: called when somebody is to look at callbacks.
    """

    def __init__(
        self,
        connections: Connections,
        slots: Slots,
        clock: ServerClock,
        progress: Progress,
        outcome_policy: OutcomePolicy,
        callbacks_due: Callable[[], None] = lambda: None,
    ) -> None:
        self._connections, self._slots, self._outcomes, self._clock = connections, slots, slots.outcomes, clock
        self._progress, self._outcome_policy, self._callbacks_due = progress, outcome_policy, callbacks_due
        self._parts: deque[OutcomeBatch] = deque()
        """Parts of batches that could not be written as a whole."""
        self._alone: deque[OutcomeBatch] = deque()
        """Single outcomes that cannot be written at present."""
        self._again_at = 0.0
        self._delays = 0  # in a row

    @property
    def pause(self) -> float | None:
        """Seconds until there is something to write; ``None`` while there is nothing."""
        waits = [self._slots.worth_writing(WRITE_SECONDS)] if self._outcomes.has_ended else []
        if self._parts:
            waits.append(0.0)
        elif self._alone:
            waits.append(max(0.0, self._again_at - time.monotonic()))
        return min(waits, default=None)

    def write(self) -> bool:
        """Writes the outcomes, once they are worth a transaction; returns whether it wrote any.

        Raises:
            DatabaseError: no server answers, and the worker stops at once; what is not written is kept.
        """
        wrote = False
        if self._outcomes.has_ended and self._slots.worth_writing(WRITE_SECONDS) <= 0:
            wrote = self._write_ended()
        began = time.monotonic()
        while (batch := self._next()) is not None:
            wrote = self._write(batch) or wrote
            if time.monotonic() - began > AGAIN_SECONDS:
                break
        return wrote

    def write_last(self, seconds: float) -> int:
        """Retries each unwritten outcome once, for at most `seconds`. Returns how many are still unwritten.

        Raises:
            DatabaseError: no server answers.
        """
        end = time.monotonic() + seconds
        self._parts.extend(self._alone)
        self._alone.clear()
        self._write_ended()
        while self._parts and time.monotonic() < end:
            self._write(self._parts.popleft())
        return sum(len(batch.outcomes) for batch in (*self._parts, *self._alone))

    def _write_ended(self) -> bool:
        try:
            ended = self._outcomes.pop_ended()
            return bool(ended) and self._write(OutcomeBatch(ended))
        finally:
            self._outcomes.clear_writing()

    def _next(self) -> OutcomeBatch | None:
        if self._parts:
            return self._parts.popleft()
        return self._alone.popleft() if self._alone and time.monotonic() >= self._again_at else None

    def _write(self, batch: OutcomeBatch) -> bool:
        """Writes a batch, keeps it, or writes another outcome instead; returns whether it wrote one."""
        with self._outcomes.writing:
            return self._write_alone(batch)

    def _write_alone(self, batch: OutcomeBatch) -> bool:
        try:
            self._finish(batch)
        except Exception as error:
            if is_away(error):
                self._outcomes.clear_postponed(batch.outcomes)
                self._outcomes.put_back(batch.outcomes)
                raise
            return self._not_written(batch, error)
        self._outcomes.clear_postponed(batch.outcomes)
        if batch.tries:
            # The same fault may have delayed others.
            self._again_at, self._delays = 0.0, 0
        return True

    def _not_written(self, batch: OutcomeBatch, error: Exception) -> bool:
        """Keeps the outcomes, or writes another one instead; returns whether it wrote one."""
        self._note(error)
        # It halves the batch until the culprit is alone, so that its neighbours are written.
        half = len(batch.outcomes) // 2
        if half:
            self._outcomes.postpone(batch.outcomes)
            halves = (batch.outcomes[:half], batch.outcomes[half:])
            self._parts.extend(OutcomeBatch(outcomes, batch.now) for outcomes in halves)
            return False
        is_new, batch.fault = batch.fault is None, batch.fault or Fault(self._progress.lease)
        if batch.fault.is_the_jobs(error):
            if is_new:
                # It tries once more: an error of hammerwork itself may be transient.
                self._outcomes.postpone(batch.outcomes)
                self._parts.append(batch)
            else:
                return self._write_another(batch, error)
        else:
            self._try_later(batch, error)
        return False

    def _try_later(self, batch: OutcomeBatch, error: Exception) -> None:
        self._outcomes.postpone(batch.outcomes)
        self._alone.append(batch)
        batch.tries += 1
        if batch.tries == 1 or batch.tries % 10 == 0:
            log.warning(
                "The outcome of the job cannot be written yet: %s", _said(error), extra=handled(batch.outcomes[0].job)
            )
        longest = max(SHORTEST_PAUSE, LONGEST_PAUSE / len(self._alone))
        self._delays += 1
        self._again_at = time.monotonic() + Backoff(FIRST_PAUSE, longest, least=1.0).pause(self._delays)

    def _write_another(self, batch: OutcomeBatch, error: Exception) -> bool:
        """Ends a job with an outcome that every database can hold; returns whether it wrote one.

        The next attempt would have the same result. A database that does not accept this outcome either has a fault of
        its own: then the first one is kept.
        """
        (outcome,) = batch.outcomes
        wrote = False
        for other in self._other_outcomes(outcome, error):
            try:
                self._finish(OutcomeBatch([other]))
            except Exception as failure:
                if is_away(failure):
                    self._outcomes.clear_postponed([outcome])
                    self._outcomes.put_back([outcome])
                    raise
                if is_of_the_database(failure):
                    self._try_later(batch, error)
                    return False
                log.exception("The outcome of the job cannot be written.", extra=handled(outcome.job))
            else:
                wrote = True
                log.warning("The outcome of the job cannot be written: %s", _said(error), extra=handled(outcome.job))
                break
        # A job without an outcome stays Running and unknown to this worker, which gives it back when it compares.
        self._outcomes.clear_postponed([outcome])
        return wrote

    def _other_outcomes(self, outcome: EndedAttempt, error: Exception) -> Iterator[EndedAttempt]:
        """Replacements for an outcome that cannot be written, the most faithful first."""
        if outcome.end == AttemptEnd.COMPLETED:
            held = "refuses the outcome of the job" if is_of_the_database(error) else None
            text = in_ascii(f"The database {held or 'cannot hold the result of the job'}. {_said(error)}")
            yield self._outcome_policy.failed(outcome.job, Failed(text, retryable=False))
            yield EndedAttempt(outcome.job, AttemptEnd.FAILED, error=text)
            return
        # The same outcome, with its error in characters that every database has.
        text = in_ascii(outcome.error or "")
        yield replace(outcome, error=text)
        # A recurring job comes back, unless the database cannot hold its next due time.
        yield EndedAttempt(
            outcome.job, AttemptEnd.FAILED if outcome.end == AttemptEnd.RETRY else outcome.end, error=text
        )

    def _finish(self, batch: OutcomeBatch) -> None:
        outcomes, is_new = batch.outcomes, batch.now is None
        now = batch.now = batch.now or self._now(outcomes)
        # A batch that was tried before waits only for a server: the others are to be written meanwhile.
        report = self._connections.run(
            lambda database: finish.finish(database, outcomes, now),
            passes=None if is_new else is_away,
            told=self._note,
        )
        ours = [outcome for outcome in outcomes if outcome.job.id not in report.lost] if report.lost else outcomes
        failed = [outcome for outcome in ours if outcome.end not in NO_FAILURES]
        self._progress.count(ours)
        if report.callbacks or report.failed:
            self._callbacks_due()
        # The transaction is committed: an error of a log handler changes nothing.
        with suppress(BaseException):
            if report.lost:
                fates = self._connections.run(lambda database: finish.fates(database, sorted(report.lost)), patience=0)
                _log_lost((outcome.job for outcome in outcomes if outcome.job.id in report.lost), fates)
            for outcome in failed:
                if not getattr(outcome.cause, "_is_logged", False):
                    _log_failed(outcome)
            if log.isEnabledFor(logging.DEBUG):
                _log_others(outcome for outcome in ours if outcome.end in NO_FAILURES)

    def _note(self, error: Exception) -> None:
        self._outcomes.refuse(_said(error))

    def _now(self, outcomes: list[EndedAttempt]) -> datetime:
        # A job does not end before it starts, even when the server's clock was put back.
        return max(self._clock.now(), *(outcome.job.claim.started_at for outcome in outcomes))


def _log_lost(jobs: Iterable[Claimed], fates: Mapping[str, tuple[str, str]]) -> None:
    for job in jobs:
        said = "The job was taken from this worker: %s. Its outcome here is not written."
        log.warning(said, taken(fates.get(job.id)), extra=handled(job))


def _log_others(outcomes: Iterable[EndedAttempt]) -> None:
    for outcome in outcomes:
        job, until = outcome.job, f" until {instant(outcome.at)}" if outcome.end == AttemptEnd.SNOOZED else ""
        ended = "was cancelled" if outcome.end == AttemptEnd.CANCELLED else outcome.end
        log.debug("The job %s in attempt %d%s.", ended, job.attempts, until, extra=handled(job))


def _log_failed(outcome: EndedAttempt) -> None:
    job, level, word = outcome.job, logging.WARNING, "retry"
    if outcome.pause is not None:
        follows = f"and will be tried again in {duration(outcome.pause)}"
    elif outcome.at is not None:
        follows, word = f"and recurs at {instant(outcome.at)}", "recurs"
    else:
        is_late = outcome.end == AttemptEnd.TIMED_OUT
        follows, word = f"and is {JobStatus.TIMED_OUT if is_late else JobStatus.DEAD} now", "dead"
        level = logging.ERROR  # nothing follows by itself
    log.log(
        level,
        "The job failed in attempt %d of %d %s: %s",
        job.attempts,
        job.max_attempts,
        follows,
        (outcome.error or "").partition("\n")[0],
        exc_info=for_log(outcome.cause),
        extra=handled(job) | {"outcome": word},
    )


def _said(error: Exception) -> str:
    return masked(error.message if isinstance(error, HammerworkError) else f"{type(error).__name__}: {error}")
