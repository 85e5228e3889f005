"""The thread that enqueues the jobs of schedules when they are due."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import Backoff, is_away
from hammerwork_cli.errors import RetryableError
from hammerwork_cli.features.cron.model import DeclarationAction, Declared, RunOutcome, Schedule
from hammerwork_cli.features.cron.queries import ahead, declaring, recurring, schedules, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.queries import ahead as jobs_ahead
from hammerwork_cli.runtime.worker.context import WorkerContext
from hammerwork_cli.runtime.worker.turns import Task, Turn
from hammerwork_cli.runtime.worker.upkeep.thread import AGAIN, LONGEST_PAUSE, UpkeepThread
from hammerwork_cli.view.text import instant, plural

BUSY = Backoff(1.0, AGAIN, least=1.0)
"""The pauses after a check or a tick that lost to another transaction."""
BUSY_TRIES = 3
"""Failures in a row against other transactions before the error is recorded."""
COST = 20
"""The pause until the next search for times of a wrong clock, as a multiple of the time that the last one took."""
HISTORY_DUTY = "schedule history"
MOST_SCHEDULES = 100
"""Most schedules in a check."""
log = logging.getLogger("hammerwork")


class Scheduler(UpkeepThread):
    """Enqueues the jobs of schedules, and does nothing that may delay them."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__("scheduler", context)
        declared = Declared(context.handlers._source, tuple(context.handlers._schedules.values()))
        # This thread alone uses the rest.
        self._declared: Declared | None = declared if declared.schedules else None  # until they are written
        self._tries = 0  # to write them
        self._failures: dict[str, int] = {}  # schedule -> ticks in a row that failed
        self._next_tidy = self._next_declaring = 0.0  # by the monotonic clock
        self._check_in = 0.0

    def tasks(self) -> Mapping[str, Task]:
        """Looks for due schedules, then tidies up. It tries once: the next turn comes soon."""
        return {
            "Looking for due schedules": self._check_once,
            "Tidying up schedules": lambda: self.connections.run(self._tidy, patience=0),
        }

    def pause(self) -> float:
        """Seconds until the next schedule is due; more after a failure."""
        return {Turn.DONE: self._check_in, Turn.WAITED: BUSY.first, Turn.FAILED: LONGEST_PAUSE}[self.turn]

    def _check_once(self) -> None:
        self._check_in = self.connections.run(self._check, patience=0)

    def _check(self, database: Database) -> float:
        """Enqueues due jobs, and returns the seconds until the next check."""
        if self.clock.is_behind:
            return LONGEST_PAUSE
        if self._declared is not None and time.monotonic() >= self._next_declaring:
            self._declare(database, self._declared)
        now = self.clock.now()
        limit = MOST_SCHEDULES + self._count_aside()
        found = ticks.upcoming(database, now + timedelta(seconds=LONGEST_PAUSE), limit)
        wanted = [schedule for schedule in found if schedule.id not in self._aside]
        ticked = False
        for schedule in wanted:
            if self.stopped.is_set():
                return 0
            if schedule.due is not None and schedule.due > self.clock.now():
                # A schedule that was just ticked may be due again before this one: only another look says when.
                return 0 if ticked else max(0.0, (schedule.due - self.clock.now()).total_seconds())
            self._tick(database, schedule)
            ticked = True
        return 0 if ticked else LONGEST_PAUSE

    def _declare(self, database: Database, declared: Declared) -> None:
        """Writes the schedules of the application, all or none, and leaves those of others alone."""
        now = self.clock.now()
        try:
            steps = declaring.plan(database, declared, now)
            others = [step.before for step in steps if step.taken_from is not None]
            steps = [step for step in steps if step.taken_from is None]
            declaring.apply(database, steps, Author(declared.source), now)
            _log_undeclared(database, declared)
        except Exception as error:
            if is_away(error):
                raise
            self._tries += 1
            busy = self._tries < BUSY_TRIES  # another worker may declare the same at this moment
            self._next_declaring = time.monotonic() + (BUSY.pause(self._tries) if busy else AGAIN)
            level = logging.DEBUG if busy else logging.ERROR
            log.log(level, "The schedules of %s could not be written: %s", declared.source, error)
            return
        self._declared = None
        for step in steps:
            if step.action is not DeclarationAction.KEEP:
                log.info("The schedule %s was %sd as %s declares it.", step.name, step.action, declared.source)
            if step.by_hand:
                options = ", ".join(difference.option for difference in step.by_hand)
                log.warning("The schedule %s keeps what somebody changed by hand: %s.", step.name, options)
        for other in filter(None, others):
            log.warning(
                "The schedule %s belongs to %s, not to %s. To take it over: hammerwork cron apply",
                *(other.name, other.source, declared.source),
            )

    def _tick(self, database: Database, schedule: Schedule) -> None:
        try:
            done = ticks.tick(database, schedule, self.clock.now())
        except Exception as error:
            if is_away(error):
                raise
            # One schedule must not stop the others.
            self._put_aside(database, schedule, error)
            return
        self._failures.pop(schedule.id, None)
        if done is None:
            return
        for job in done.jobs:
            log.info("Schedule %s enqueued job %s.", schedule.name, job)
        for due in done.without_job[-1:]:
            level = logging.WARNING if due.outcome is RunOutcome.MISSED else logging.INFO
            earlier = len(done.without_job) - 1 + sum(one.missed or 0 for one in done.without_job)
            more = f", and {earlier:,} earlier ones" if earlier else ""
            at = rfc3339(due.at)
            log.log(level, "Schedule %s %s the run due at %s%s: %s.", schedule.name, due.outcome, at, more, due.reason)

    def _put_aside(self, database: Database, schedule: Schedule, error: Exception) -> None:
        """Lets the other schedules go first: for some seconds if this one only lost to another transaction."""
        failures = self._failures.get(schedule.id, 0) + 1
        self._failures[schedule.id] = failures
        if isinstance(error, RetryableError) and failures < BUSY_TRIES:
            self._aside[schedule.id] = time.monotonic() + BUSY.pause(failures)
            log.debug("Schedule %s waits: %s", schedule.name, error.message)
            return
        self._aside[schedule.id] = time.monotonic() + AGAIN
        log.error("Schedule %s could not enqueue its job: %s", schedule.name, error)
        with suppress(RetryableError):
            ticks.fail(database, schedule, str(error), self.clock.now())

    def _tidy(self, database: Database) -> None:
        """Takes the duty that shows that some worker enqueues jobs of schedules, and forgets old runs every hour."""
        if time.monotonic() < self._next_tidy:
            return
        began = time.monotonic()
        self._next_tidy = began + schedules.DUTY_SECONDS
        takes = self._takes(database, schedules.DUTY, schedules.DUTY_SECONDS)
        if takes and (back := recurring.unpark_enabled(database, self.clock.now())):
            log.info("%s recur again: another program has enabled them.", plural(back, "parked job"))
        if takes and (now := self.clock.trusted_now()) is not None:
            self._put_back(database, now)
            self._next_tidy = max(self._next_tidy, time.monotonic() + COST * (time.monotonic() - began))
        if (before := self._takes_history(database, HISTORY_DUTY)) is not None:
            for schedule in schedules.all_schedules(database):
                if not self.stopped.is_set():
                    schedules.forget_runs(database, schedule, before)

    def _put_back(self, database: Database, now: datetime) -> None:
        """Makes due what a clock that was ahead has put off: schedules, recurring jobs and other jobs."""
        for put_off in ahead.found(database, now):
            name, due = put_off.schedule.name, put_off.schedule.next_run_at
            if ahead.put_back(database, put_off, now):
                log.warning("%s was due on %s, by a clock that was ahead. It is due again.", name, instant(due))
        # Jobs come last: if this clock is behind, only their wait would be cut short.
        proven = self.clock.proven_now()
        if proven is not None and (back := jobs_ahead.put_back(database, proven)):
            log.warning("%s waited for times from a clock that was ahead. Corrected.", plural(back, "job"))
        if proven is not None and (back := jobs_ahead.put_ends_back(database, proven)):
            log.warning("%s had ended by a clock that was ahead. Corrected.", plural(back, "job"))


def _log_undeclared(database: Database, declared: Declared) -> None:
    """Names schedules whose declaration is gone, such as that of a function that has another name now."""
    named = declared.source.removeprefix("code:")
    if named == declared.source:  # applications that were not loaded by their names share a source
        return
    for schedule in declaring.undeclared(database, declared):
        if schedule.enabled:
            log.warning(
                "The schedule %s goes on, although %s no longer declares it. To delete it: hammerwork cron apply"
                " --handlers %s --prune",
                *(schedule.name, named, named),
            )
