"""What an attempt leads to: completion, another attempt, the next due time of a recurring job, or the end."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.job.queries.cron import next_due
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.faults import is_of_the_database
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.runtime.outcomes.backoff import own_strategy, pause
from hammerwork_cli.runtime.outcomes.failures import STOPPED, Failed, raised_by_handler

log = logging.getLogger("hammerwork")


def _tell_nobody(error: BaseException) -> None:
    del error


def _timeout(failure: Failed) -> TimeoutError:
    return TimeoutError(failure.error.partition("\n")[0])


class OutcomePolicy:
    """Decides the outcome of attempts. It has no state; all threads share it.

    Args:
        handlers: may have retry strategies of their own.
        stopped_at_once: set once the worker stops at once.
        retry_at_once: whether the next attempt follows without a pause.
        told: called with the error of each failed attempt.
    """

    def __init__(
        self,
        handlers: Handlers,
        retry: RetryStrategy,
        clock: ServerClock,
        stopped_at_once: threading.Event,
        *,
        retry_at_once: bool = False,
        told: Callable[[BaseException], None] = _tell_nobody,
    ) -> None:
        self._handlers, self._retry, self._clock, self._stopped_at_once = handlers, retry, clock, stopped_at_once
        self._retry_at_once, self._told = retry_at_once, told

    def completed(self, claimed: Claimed, result: str | None) -> EndedAttempt:
        """The outcome of a job whose handler has returned."""
        return EndedAttempt(claimed, AttemptEnd.COMPLETED, result, at=self._next_due(claimed))

    def failed_by(self, claimed: Claimed, error: BaseException) -> EndedAttempt:
        """The outcome of an attempt that an error ended."""
        if self.is_of_the_stop(error):
            return self.stopped(claimed)
        failure, handler = Failed.by(error), self._handlers._job_handler(claimed.queue_name)
        raised = raised_by_handler(error)
        if handler is not None and raised is not None and handler.gives_up(raised):
            failure = replace(failure, retryable=False)
        return self.failed(claimed, failure)

    def is_of_the_stop(self, error: BaseException) -> bool:
        """Whether an error only says that this worker, which stops at once, no longer waits for the database."""
        return self._stopped_at_once.is_set() and is_of_the_database(error)

    def stopped(self, claimed: Claimed) -> EndedAttempt:
        """The outcome of a job that runs while its worker stops at once: it goes back with its attempt.

        A job that may be tried only once fails.
        """
        if claimed.max_attempts > 1:
            return EndedAttempt(claimed, AttemptEnd.STOPPED, at=timestamp(claimed.scheduled_at) or self._clock.now())
        error = f"{STOPPED} To run it again: hammerwork job retry {claimed.id}"
        return EndedAttempt(claimed, AttemptEnd.FAILED, error=error, at=self._next_due(claimed))

    def failed(self, claimed: Claimed, failure: Failed) -> EndedAttempt:
        """The outcome of a failed attempt.

        A failure that each further attempt would repeat is final. So is a timeout, unless its handler wants another
        attempt then, or version 3 of hammerwork (Rust) uses the database. A snoozed job runs again in any case: its
        attempt does not count.
        """
        timed_out = failure.end == AttemptEnd.TIMED_OUT
        if failure.end == AttemptEnd.SNOOZED:
            delay = failure.delay or timedelta(0)
            return EndedAttempt(claimed, AttemptEnd.SNOOZED, at=self._clock.now() + delay, pause=delay)
        if failure.end != AttemptEnd.CANCELLED:
            self._told(raised_by_handler(failure.cause) or failure.cause or _timeout(failure))
        if not claimed.last_attempt and failure.retryable and (not timed_out or self._retries_timeouts(claimed)):
            wait = self._pause(claimed, failure) if failure.delay is None else failure.delay
            wait = timedelta() if self._retry_at_once else wait
            at = self._clock.now() + wait
            return EndedAttempt(claimed, AttemptEnd.RETRY, None, failure.error, at, wait, timed_out, failure.cause)
        return EndedAttempt(claimed, failure.end, error=failure.error, at=self._next_due(claimed), cause=failure.cause)

    def _next_due(self, claimed: Claimed) -> datetime | None:
        if not claimed.recurring:  # as most jobs
            return None
        try:
            return next_due(
                claimed.id,
                recurring=claimed.recurring,
                cron_schedule=claimed.cron_schedule,
                timezone=claimed.timezone,
                last=claimed.next_run_at,
                now=self._clock.now(),
                catches_up=claimed.claim.rust_3,
            )
        except Exception:
            log.exception("The job does not recur: its schedule cannot be read.", extra=handled(claimed))
            return None

    def _retries_timeouts(self, claimed: Claimed) -> bool:
        handler = self._handlers._job_handler(claimed.queue_name)
        return claimed.claim.rust_3 or (handler is not None and handler.retry_timeouts)

    def asks_handler(self, claimed: Claimed) -> bool:
        """Whether a function of its handler may be asked for the pause before its next attempt, and take its time."""
        handler = self._handlers._job_handler(claimed.queue_name)
        return handler is not None and not isinstance(handler.retry, RetryStrategy | None)

    def _pause(self, claimed: Claimed, failure: Failed) -> timedelta:
        handler, own = self._handlers._job_handler(claimed.queue_name), own_strategy(claimed)
        error = raised_by_handler(failure.cause) or failure.cause or _timeout(failure)
        # Hammerwork (Rust) gives the strategy of a job the number of the coming attempt.
        number = claimed.attempts + 1 if own and claimed.claim.rust_3 else claimed.attempts
        return pause(own or (handler and handler.retry) or self._retry, claimed, number, error)
