"""The main thread of a worker: it claims jobs, writes outcomes unless a thread does, and knows when to stop."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from hammerwork_cli.database import Database
from hammerwork_cli.errors import BrokenInstallationError, HammerworkError
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.clock import elapsed
from hammerwork_cli.runtime.connections import LONGEST_PAUSE
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.runtime.outages import OutageLog
from hammerwork_cli.runtime.outcomes.failures import Failed
from hammerwork_cli.runtime.outcomes.stacks import stack_of
from hammerwork_cli.runtime.worker.assembly import WorkerComponents
from hammerwork_cli.runtime.worker.deliveries import unsent
from hammerwork_cli.runtime.worker.upkeep.endings import log_look
from hammerwork_cli.view.text import instant, named, plural

STALE_SECONDS = 1.0
"""Age at which jobs that have not started go back to other workers."""
MOST_LATER = 1000
"""Most jobs due later that a worker counts once it has drained its queues."""
LAST_TRIES_SECONDS = 2 * LONGEST_PAUSE
"""Time after a lease of unknown errors, for the try by which they are judged to be a job's own."""
CANCEL_SECONDS = 1.0
"""Time to end, for coroutines that are cancelled because the worker stops at once."""
FINISHER_SECONDS = 2.0
"""Time for the last transaction of the thread that writes outcomes."""
LAST_SECONDS = 10.0
"""Time to give jobs back when the worker stops at once."""
log = logging.getLogger("hammerwork")


class MainLoop:
    """Does what the main thread does from the worker's start to its end."""

    def __init__(self, parts: WorkerComponents) -> None:
        context = parts.context
        self._worker, self._options, self._stop = context.registration, context.options, context.stop
        self._connections, self._clock, self._lease = context.connections.main, context.clock, context.lease
        self._isolation, self._progress = context.isolation, context.progress
        self._parts, self._slots, self._claimer = parts, parts.slots, parts.claimer
        self._finisher, self._finishing = parts.finisher, parts.finishing
        self._outage_log = OutageLog(context.connections.outages)
        self._said_why = False
        self._held_up_since: float | None = None

    def run(self) -> None:
        """Works until the worker has nothing left to do, or stops at once."""
        self._parts.rounds.begin()
        if self._finishing is None:
            has_finished = self._work()
            has_ended = True
        else:
            self._finishing.start()
            try:
                has_finished = self._work()
            finally:
                has_ended = self._finishing.stop(FINISHER_SECONDS)
        if not has_finished:
            self._leave_at_once(has_ended)

    def _work(self) -> bool:
        """Works; returns whether nothing is left to do; otherwise the worker stops at once."""
        while not self._stop.at_once.is_set():
            try:
                if self._turn():
                    return True
                self._outage_log.succeeded()
                if self._lease.is_held(elapsed()):
                    self._outage_log.recovered()
            except BrokenInstallationError:  # it has stopped the worker
                break
            except Exception as error:  # noqa: BLE001  it stops only when it is told to
                self._stop.at_once.wait(self._outage_log.caught(error))
        return False

    def _turn(self) -> bool:
        """Writes, claims, waits; returns whether nothing is left to do."""
        self._slots.expire(self._timed_out)  # also while the rest of every turn fails
        self._tell_overdue()
        if self._finishing is None and self._finisher.write():
            self._claimer.poll_now()
        self._claimer.compare()
        if self._stop.is_set:
            self._claimer.give_back(self._slots.withdraw())
            if self._slots.empty and not self._claimer.owes:
                return True
            self._say_why_it_waits()
        elif not self._claimer.fetch() and self._nothing_left():
            return True
        if self._is_past_waiting():
            self._stop.stop(now=True)
        self._wait()
        return False

    def _say_why_it_waits(self) -> None:
        if self._said_why or self._stop.at_once.is_set():
            return
        if not self._slots.unwritable and (not self._claimer.owes or self._slots.running):
            return
        self._said_why = True
        log.warning(
            "The worker cannot stop yet: the outcome of %s cannot be written, or jobs cannot be given back. "
            "It keeps trying for %g s; stop it again to stop it at once.",
            plural(len(self._slots.unwritable), "job"),
            self._longest_wait,
        )

    @property
    def _longest_wait(self) -> float:
        return self._worker.lease + LAST_TRIES_SECONDS

    def _is_past_waiting(self) -> bool:
        """Whether nothing is left to do but to write what the database has refused for more than a lease.

        While no server answers, the worker goes on, since heartbeats fail too.
        """
        now = elapsed()
        held_up = self._slots.unwritable or (self._stop.is_set and self._claimer.owes and self._slots.empty)
        if not held_up or not self._lease.is_held(now):
            self._held_up_since = None
            return False
        self._held_up_since = self._held_up_since or now
        return now - self._held_up_since > self._longest_wait and (
            self._stop.is_set
            or self._claimer.done
            or (self._options.drain and self._connections.run(self._due_ones_ran))
        )

    def _due_ones_ran(self, database: Database) -> bool:
        return claim.drained(database, list(self._worker.queues), self._soon())

    def _soon(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._options.drain_seconds)

    def _wait(self) -> None:
        due = self._slots.expire(self._timed_out)
        # A slot that becomes free wakes it.
        idle = self._stop.is_set or self._claimer.full
        pause = self._options.poll_interval if idle else self._claimer.pause
        if due is not None:
            pause = min(pause, max(0.0, due - time.monotonic()))
        if self._slots.waiting or self._slots.running:
            # A new attempt may have a deadline, and waiting jobs may have become stale.
            pause = min(pause, STALE_SECONDS)
        if self._finishing is None and (write_in := self._finisher.pause) is not None:
            pause = min(pause, write_in)
        self._parts.rounds.end()
        self._stop.woken.wait(pause)
        self._stop.woken.clear()
        self._parts.rounds.begin()
        self._claimer.give_back(self._slots.withdraw(STALE_SECONDS))

    def _nothing_left(self) -> bool:
        self._claimer.compare()
        if self._claimer.done:
            return self._claims_no_more_requests()
        if not self._options.drain or not self._slots.empty:
            return False
        if not self._connections.run(self._drained):
            return False
        if self._connections.run(self._options.when_drained or self._look_at_callbacks):
            self._claimer.notify()
            return False
        if not self._claims_no_more_requests():
            return False
        with suppress(HammerworkError):
            self._connections.run(self._log_left, patience=0)
        return True

    def _log_left(self, database: Database) -> None:
        if number := claim.later(database, self._worker.queues, self._clock.now(), MOST_LATER):
            most = "at least " if number >= MOST_LATER else ""
            are = "is" if number == 1 else "are"
            log.info("%s%s of these queues %s due later.", most, plural(number, "job"), are)
        is_test = self._options.when_drained is not None
        if not is_test and (waits := unsent(database, self._clock.now())):
            log.warning("No worker sends events, and %s. Start one with: hammerwork worker start --upkeep-only", waits)

    def _drained(self, database: Database) -> bool:
        self._parts.request_claimer.claim(database)
        return (
            self._slots.empty
            and not self._parts.keeper.releasing
            and not self._may_come_back(database)
            and self._due_ones_ran(database)
        )

    def _look_at_callbacks(self, database: Database) -> bool:
        """Looks at the callbacks that are due; returns whether one has fired."""
        has_fired = False
        for one, problem in callbacks.look_at_due(database, self._clock.now) if self._options.upkeep else ():
            has_fired |= problem is None
            log_look(one, problem)
        return has_fired

    def _may_come_back(self, database: Database) -> bool:
        """Whether workers that may be lost hold jobs of its queues: those jobs come back within a lease."""
        undecided = self._parts.keeper.undecided
        return undecided is None or claim.have_claimed(database, self._worker.queues, sorted(undecided))

    def _claims_no_more_requests(self) -> bool:
        """Whether the keeper has claimed no request meanwhile, and will not."""
        self._parts.request_claimer.close()
        return self._slots.empty

    def _timed_out(self, attempt: Attempt) -> Callable[[], EndedAttempt]:
        self._isolation.kill(attempt.thread, attempt)
        said = f"It did not end within {(attempt.deadline or 0) - attempt.began:g} s."
        in_thread = not self._isolation.can_kill
        attempt.holds_slot = in_thread and attempt.awaits is None
        stack = in_thread and stack_of(attempt.thread, attempt.awaits, self._parts.attempt_runner.loop.thread)
        failure = Failed(f"{said}\n\n{stack}" if stack else said, AttemptEnd.TIMED_OUT)
        return lambda: self._parts.outcome_policy.failed(attempt.job, failure)

    def _tell_overdue(self) -> None:
        for attempt in self._slots.pop_overdue():
            log.warning(
                "The job has timed out, but a thread cannot be killed: its handler has held its slot since %s.",
                instant(attempt.job.started_at),
                extra=handled(attempt.job),
            )

    def _leave_at_once(self, may_write: bool) -> None:
        """Gives all jobs back with their attempts, except for running ones that must not run twice.

        Args:
            may_write: whether no other thread writes outcomes any longer.
        """
        back = self._slots.withdraw()
        self._slots.abandon(lambda attempt: self._parts.outcome_policy.stopped(attempt.job))
        self._isolation.close()  # before others claim the jobs that run there
        self._parts.attempt_runner.loop.cancel(CANCEL_SECONDS)
        try:
            if back:
                self._connections.run(lambda database: finish.give_back(database, back), patience=LAST_SECONDS)
            unwritten = self._slots.outcomes.unwritten + self._slots.outcomes.postponed
            if left := self._finisher.write_last(LAST_SECONDS) if may_write else unwritten:
                self._progress.lost = left
                log.error(
                    "The outcome of %s is not written: other workers will take over after %g s: %s.",
                    plural(left, "job"),
                    self._worker.lease,
                    named(sorted(self._slots.ids())),
                )
        except HammerworkError as error:
            lease = self._worker.lease
            self._progress.lost = self._slots.outcomes.unwritten + self._slots.outcomes.postponed
            log.error("Jobs could not be given back; other workers will take over after %g s. %s", lease, error.message)
