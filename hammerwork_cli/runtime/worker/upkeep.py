"""The thread that enqueues the jobs of schedules when they are due, and callbacks when something has ended."""

import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from hammerwork_cli.database import Database, Timeouts
from hammerwork_cli.database.retrying import Backoff, is_away
from hammerwork_cli.errors import RetryableError
from hammerwork_cli.models import rfc3339, timestamp
from hammerwork_cli.models.batch.watches import Watch
from hammerwork_cli.models.cron.declared import Action, Declared
from hammerwork_cli.models.cron.schedule import Outcome, Schedule
from hammerwork_cli.queries.batch import watches
from hammerwork_cli.queries.cron import declaring, recurring, schedules, ticks
from hammerwork_cli.queries.cron.changes import Author
from hammerwork_cli.queries.worker import duties
from hammerwork_cli.queries.workflow import settling
from hammerwork_cli.render.formats.text import plural
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.worker.turns import Duty, Turn, TurnThread

UPKEEP_TIMEOUTS = Timeouts(lock=5.0)
LONGEST_PAUSE = 5.0
"""Seconds between two checks, unless a schedule is due earlier."""
MIGRATION_PAUSE = 60.0
"""Seconds between two checks for the tables of schedules."""
AGAIN = 60.0
"""Seconds after which a schedule is tried again whose job the database has refused."""
BUSY = Backoff(1.0, AGAIN, least=1.0)
"""Pauses after a check or a tick that lost to another transaction."""
BUSY_TRIES = 3
"""Failures in a row against other transactions before the error is recorded."""
WORKFLOWS_DUTY = "workflows"
HISTORY_DUTY, HISTORY_SECONDS = "schedule history", 3600.0
MOST_WATCHES = 100
"""Maximum number of callbacks per check."""
MOST_SCHEDULES = 100
"""Maximum number of schedules per check."""
KEPT = timedelta(days=90)
"""Time for which runs of schedules, and callbacks that are done, are kept."""
log = logging.getLogger("hammerwork")


class Upkeep(TurnThread):
    """Makes the jobs of schedules and watches. This may take long: heartbeats and rescues have threads of their own.

    Args:
        connections: used by this thread alone.
        worker: the id of the worker whose thread it is.
        clock: the server's.
        declared: the schedules of the application.
    """

    def __init__(self, connections: Connections, worker: str, clock: ServerClock, declared: Declared) -> None:
        super().__init__("upkeep", connections)
        self.worker, self.clock = worker, clock
        # This thread alone uses the rest.
        self._declared: Declared | None = declared if declared.schedules else None  # until they are written
        self._tries = 0  # to write them
        self._refused: dict[str, float] = {}  # schedule or watch -> when to try it again, by the monotonic clock
        self._failures: dict[str, int] = {}  # schedule -> ticks in a row that failed
        self._next_tidy = self._next_declaring = self._next_schema = 0.0
        self._check_in = self._watch_in = 0.0
        self._next_settling = 0.0  # by the monotonic clock

    def duties(self) -> Mapping[str, Duty]:
        """Looks for due schedules, then at callbacks and workflows, then tidies up. One try: the next comes soon."""
        return {
            "Looking for due schedules": self._check_once,
            "Looking at callbacks": self._watch_once,
            "Looking at workflows": lambda: self.connections.run(self._settle, patience=0),
            "Tidying up schedules": lambda: self.connections.run(self._tidy, patience=0),
        }

    def pause(self, began: float, turn: Turn) -> float:
        """Until the next schedule or callback is due; longer after a failure."""
        del began
        soon = min(self._check_in, self._watch_in)
        return {Turn.DONE: soon, Turn.WAITED: BUSY.first, Turn.FAILED: LONGEST_PAUSE}[turn]

    def _check_once(self) -> None:
        self._check_in = self.connections.run(self._check, patience=0)

    def _watch_once(self) -> None:
        self._watch_in = self.connections.run(self._watch, patience=0)

    def _check(self, database: Database) -> float:
        """Enqueues due jobs, and returns the seconds until the next check."""
        if not {"upkeep", "schedules"} <= database.tags:
            if self._declared is not None and not self._next_schema:
                source = self._declared.source
                log.warning("The schedules of %s wait for migration 022: hammerwork migration run", source)
            return self._wait_for_tables(database)
        if self._declared is not None and time.monotonic() >= self._next_declaring:
            self._declare(database, self._declared)
        now = self.clock.now()
        limit = MOST_SCHEDULES + self._count_refused()
        found = ticks.upcoming(database, now + timedelta(seconds=LONGEST_PAUSE), limit)
        wanted = [schedule for schedule in found if schedule.id not in self._refused]
        for schedule in wanted:
            if self.stopped.is_set():
                return 0
            if schedule.due is not None and schedule.due > self.clock.now():
                return max(0.0, (schedule.due - self.clock.now()).total_seconds())
            self._tick(database, schedule)
        return 0 if wanted else LONGEST_PAUSE

    def _count_refused(self) -> int:
        """Forgets the refusals whose time is over; returns the number of the others."""
        self._refused = {one: at for one, at in self._refused.items() if at > time.monotonic()}
        return len(self._refused)

    def _wait_for_tables(self, database: Database) -> float:
        """Lets the schema be read again once in a while; returns the seconds until the next check."""
        if time.monotonic() >= self._next_schema:
            self._next_schema = time.monotonic() + MIGRATION_PAUSE
            database.forget_schema()  # somebody may migrate while the worker runs
        return LONGEST_PAUSE

    def _declare(self, database: Database, declared: Declared) -> None:
        """Writes the schedules of the application, all or none, and leaves alone those of others."""
        now = self.clock.now()
        try:
            steps = declaring.plan(database, declared, now)
            others = [step.before for step in steps if step.taken_from is not None]
            steps = [step for step in steps if step.taken_from is None]
            declaring.carry_out(database, steps, Author(declared.source), now)
        except Exception as error:
            if is_away(error):
                raise
            self._tries += 1
            busy = self._tries < BUSY_TRIES  # another worker may declare the same at this moment
            self._next_declaring = time.monotonic() + (BUSY.pause(self._tries) if busy else AGAIN)
            level = logging.DEBUG if busy else logging.ERROR
            log.log(level, "The schedules of %s could not be written: %s", declared.source, error)
            database.forget_schema()  # somebody may migrate while the worker runs
            return
        self._declared = None
        for step in steps:
            if step.action is not Action.KEEP:
                log.info("The schedule %s was %sd as %s declares it.", step.name, step.action, declared.source)
            if step.by_hand:
                options = ", ".join(difference.option for difference in step.by_hand)
                log.warning("The schedule %s keeps what somebody changed by hand: %s.", step.name, options)
        for other in filter(None, others):
            log.warning(
                "The schedule %s belongs to %s, and not to %s. To take it over: hammerwork cron apply",
                *(other.name, other.source, declared.source),
            )

    def _watch(self, database: Database) -> float:
        """Looks at the watches of one batch or tree, and returns the seconds until the next one is due."""
        if "watches" not in database.tags:
            return self._wait_for_tables(database)
        until = self.clock.now() + timedelta(seconds=LONGEST_PAUSE)
        found = watches.upcoming(database, until, MOST_WATCHES + self._count_refused())
        wanted = [one for one in found if one.id not in self._refused]
        began = time.monotonic()
        pause = max(0.0, min([LONGEST_PAUSE, *(self._refused.get(one.id, math.inf) - began for one in found)]))
        if not wanted:
            return pause
        first = timestamp(wanted[0].check_at)
        if first is not None and first > self.clock.now():
            return max(0.0, min(pause, (first - self.clock.now()).total_seconds()))
        subject = wanted[0].subject, wanted[0].subject_id
        together = [one for one in wanted if (one.subject, one.subject_id) == subject]
        try:
            for one, problem in watches.look(database, together, self.clock.now):
                if problem is not None:
                    self._put_watches_aside([one], problem)
                else:
                    log.info("The %s %s has ended: enqueued %s (%s).", *subject, one.id, one.event)
        except Exception as error:
            if is_away(error):
                raise
            self._put_watches_aside(together, error)
        for one in together:  # whatever its row holds, one watch never keeps the thread from the others
            self._refused.setdefault(one.id, time.monotonic() + 1.0)
        return time.monotonic() - began  # leave others half of the time

    def _put_watches_aside(self, found: list[Watch], error: Exception) -> None:
        for one in found:
            self._refused[one.id] = time.monotonic() + (1.0 if isinstance(error, RetryableError) else AGAIN)
        if not isinstance(error, RetryableError):
            log.error("A watch of the %s %s failed: %s", found[0].subject, found[0].subject_id, error)

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
            level = logging.WARNING if due.outcome is Outcome.MISSED else logging.INFO
            more = f", and {len(done.without_job) - 1:,} earlier ones" if done.without_job[1:] else ""
            at = rfc3339(due.at)
            log.log(level, "Schedule %s %s the run due at %s%s: %s.", schedule.name, due.outcome, at, more, due.reason)

    def _put_aside(self, database: Database, schedule: Schedule, error: Exception) -> None:
        """Lets the other schedules go first: for some seconds if this one only lost to another transaction."""
        failures = self._failures.get(schedule.id, 0) + 1
        self._failures[schedule.id] = failures
        if isinstance(error, RetryableError) and failures < BUSY_TRIES:
            self._refused[schedule.id] = time.monotonic() + BUSY.pause(failures)
            log.debug("Schedule %s waits: %s", schedule.name, error.message)
            return
        self._refused[schedule.id] = time.monotonic() + AGAIN
        log.error("Schedule %s could not enqueue its job: %s", schedule.name, error)
        with suppress(RetryableError):
            ticks.fail(database, schedule, str(error))

    def _settle(self, database: Database) -> None:
        """Takes the duty to bring workflows up to date, and does it. The more that costs, the rarer."""
        began = time.monotonic()
        if began < self._next_settling or not {"upkeep", "workers"} <= database.tags:
            return
        self._next_settling = began + LONGEST_PAUSE
        if not self._takes(database, duties.times(database), WORKFLOWS_DUTY, LONGEST_PAUSE):
            return
        for workflow, done in settling.settle(database, self.clock.now, self.stopped.is_set):
            if isinstance(done, RetryableError):  # it lost to another transaction: the next turn comes soon
                log.debug("Workflow %s (%s) waits: %s", workflow.name, workflow.id, done.message)
            elif isinstance(done, Exception):
                log.error("Workflow %s (%s) could not be brought up to date: %s", workflow.name, workflow.id, done)
            else:
                log.info("Workflow %s (%s): %s.", workflow.name, workflow.id, done)
        pause = min(watches.COST * (time.monotonic() - began), AGAIN)
        if pause > LONGEST_PAUSE:
            self._next_settling = time.monotonic() + pause
            until = self.clock.now() + timedelta(seconds=pause)
            duties.keep(database, WORKFLOWS_DUTY, self.worker, until=until)

    def _tidy(self, database: Database) -> None:
        """Takes the duty that shows that some worker keeps schedules, and every hour forgets old runs and callbacks."""
        if time.monotonic() < self._next_tidy or not {"upkeep", "schedules"} <= database.tags:
            return
        self._next_tidy = time.monotonic() + schedules.DUTY_SECONDS
        times = duties.times(database)
        takes = self._takes(database, times, schedules.DUTY, schedules.DUTY_SECONDS)
        if takes and (back := recurring.unpark_enabled(database, self.clock.now())):
            log.info("%s recur again: another program has enabled them.", plural(back, "parked job"))
        if self._takes(database, times, HISTORY_DUTY, HISTORY_SECONDS):
            for schedule in schedules.all_schedules(database):
                if not self.stopped.is_set():
                    schedules.forget_runs(database, schedule, self.clock.now() - KEPT)
            watches.forget(database, self.clock.now() - KEPT)

    def _takes(self, database: Database, times: dict[str, datetime], duty: str, seconds: float) -> bool:
        length = timedelta(seconds=seconds)
        return duties.take_due(database, duty, self.worker, times, now=self.clock.now(), length=length)
