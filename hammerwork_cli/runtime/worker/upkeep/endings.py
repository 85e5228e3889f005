"""The thread that looks for the ends of joins, batches, trees and workflows, and does what follows from them."""

import logging
import math
import threading
import time
from collections.abc import Mapping
from datetime import timedelta

from hammerwork_cli.core.clock import is_due
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import is_away
from hammerwork_cli.errors import RetryableError
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.callbacks.model import Callback, CallbackEvent
from hammerwork_cli.features.job.queries.recounts import Recounts
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.features.workflow.queries import endings
from hammerwork_cli.runtime.worker.context import WorkerContext
from hammerwork_cli.runtime.worker.turns import Task, Turn
from hammerwork_cli.runtime.worker.upkeep.thread import AGAIN, LONGEST_PAUSE, UpkeepThread

WORKFLOWS_DUTY = "workflows"
HISTORY_DUTY = "callback history"
SOON = 1.0
"""Seconds after which a callback or a turn that lost to another transaction is tried again."""
MOST_CALLBACKS = 100
"""Most callbacks in a turn."""
log = logging.getLogger("hammerwork")


def log_look(callback: Callback, problem: Exception | None) -> None:
    """Logs that a callback was enqueued, and why, or that it failed, unless it only lost to another transaction."""
    if problem is not None:
        if not isinstance(problem, RetryableError):
            log.error("A callback of the %s %s failed: %s", callback.subject, callback.subject_id, problem)
        return
    has_failed = callback.event == CallbackEvent.FAILURE
    if callback.announced is not None:
        event = callback.announced["type"]
        log.info("The %s %s has ended: the event %s was written.", callback.subject, callback.subject_id, event)
        return
    why = "A job of the %s %s has failed" if has_failed else "The %s %s has ended"
    log.info(f"{why}: enqueued %s (%s).", callback.subject, callback.subject_id, callback.id, callback.event)


class Endings(UpkeepThread):
    """Enqueues callbacks, ends workflows, and counts for joins anew. It counts many jobs, so a turn may take long."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__("endings", context)
        self.woken = threading.Event()  # whoever has ended a job sets it
        # This thread alone uses the rest.
        self._look_in = 0.0
        self._next_workflows = 0.0  # by the monotonic clock
        self._recounts, self._next_joins = Recounts(), 0.0
        self._looked_at: set[str] = set()  # ids of callbacks that are aside although nothing is wrong with them

    def rest(self, seconds: float) -> None:
        """Waits until the next turn, or until callbacks are due: the turn then looks at all of them again."""
        if self.woken.wait(seconds):
            self.woken.clear()
            for one in self._looked_at:
                self._aside.pop(one, None)
            self._looked_at.clear()

    def end(self) -> None:
        super().end()
        self.woken.set()

    def tasks(self) -> Mapping[str, Task]:
        """Looks at callbacks, then at workflows, then tidies up. It tries once: the next turn comes soon."""
        return {
            "Looking at callbacks": self._look_once,
            "Comparing joins": lambda: self.connections.run(self._compare_joins, patience=0),
            "Looking at workflows": lambda: self.connections.run(self._end_workflows, patience=0),
            "Tidying up callbacks": lambda: self.connections.run(self._tidy, patience=0),
        }

    def pause(self) -> float:
        """Seconds until the next callback is due; more after a failure."""
        return {Turn.DONE: self._look_in, Turn.WAITED: SOON, Turn.FAILED: LONGEST_PAUSE}[self.turn]

    def _look_once(self) -> None:
        self._look_in = self.connections.run(self._look, patience=0)

    def _look(self, database: Database) -> float:
        """Looks at the callbacks of one batch, tree or workflow, and returns the seconds until the next one is due."""
        until = self.clock.now() + timedelta(seconds=LONGEST_PAUSE)
        found = callbacks.upcoming(database, until, MOST_CALLBACKS + self._count_aside())
        wanted = [one for one in found if one.id not in self._aside]
        began = time.monotonic()
        pause = max(0.0, min([LONGEST_PAUSE, *(self._aside.get(one.id, math.inf) - began for one in found)]))
        if not wanted:
            return pause
        now = self.clock.now()
        times = [timestamp(one.check_at) or now for one in wanted]
        due = [place for place, at in enumerate(times) if is_due(at, now, callbacks.RARELY)]
        if not due:
            return max(0.0, min(pause, (min(times) - now).total_seconds()))
        # Callbacks that a wrong clock put off come first: one of the others might always be due earlier.
        first = wanted[min(due, key=lambda place: (times[place] <= now, times[place]))]
        subject = first.subject, first.subject_id
        together = [one for one in wanted if (one.subject, one.subject_id) == subject]
        try:
            for one, problem in callbacks.look(database, together, self.clock.now):
                if problem is not None:
                    self._put_callbacks_aside([one], problem)
                else:
                    log_look(one, None)
        except Exception as error:
            if is_away(error):
                raise
            self._put_callbacks_aside(together, error)
        for one in together:  # whatever its row holds, one callback never keeps the thread from the others
            if one.id not in self._aside:
                self._aside[one.id] = time.monotonic() + SOON
                self._looked_at.add(one.id)
        return time.monotonic() - began  # leave others half of the time

    def _put_callbacks_aside(self, found: list[Callback], error: Exception) -> None:
        for one in found:
            self._aside[one.id] = time.monotonic() + (SOON if isinstance(error, RetryableError) else AGAIN)
        log_look(found[0], error)

    def _end_workflows(self, database: Database) -> None:
        """Updates workflow statuses if this worker gets the duty.

        The longer a run takes, the longer the pause after it.
        """
        began = time.monotonic()
        if began < self._next_workflows:
            return
        self._next_workflows = began + LONGEST_PAUSE
        if not self._takes(database, WORKFLOWS_DUTY, LONGEST_PAUSE, AGAIN):
            return
        for workflow, done in endings.bring_up_to_date(database, self.clock.now, self.stopped.is_set):
            if isinstance(done, RetryableError):  # it lost to another transaction, and the next turn comes soon
                log.debug("Workflow %s (%s) waits: %s", workflow.name, workflow.id, done.message)
            elif isinstance(done, Exception):
                log.error("Workflow %s (%s) could not be brought up to date: %s", workflow.name, workflow.id, done)
            else:
                log.info("Workflow %s (%s): %s.", workflow.name, workflow.id, done)
        pause = min(callbacks.COST * (time.monotonic() - began), AGAIN)
        if pause > LONGEST_PAUSE:
            self._next_workflows = time.monotonic() + pause
            until = self.clock.now() + timedelta(seconds=pause)
            duties.keep(database, WORKFLOWS_DUTY, self.worker, until=until)

    def _compare_joins(self, database: Database) -> None:
        """Corrects the counts of joins that other programs have made wrong, and releases or fails these joins."""
        began = time.monotonic()
        if began < self._next_joins:
            return
        for found, state in self._recounts.look(database, self.clock.now, SOON):
            known = found.counted
            if found.differs:
                before, after = f"{known.open:,} open, {known.failed:,} failed", f"{found.open:,}, {found.failed:,}"
                log.info("Corrected how many jobs %s waits for: %s; now %s.", known.join, before, after)
            if state != "waiting":
                log.info("The job %s waits for no other any more: %s.", known.join, state)
        pause = LONGEST_PAUSE if self._recounts.is_over else 0.0
        self._next_joins = time.monotonic() + max(pause, time.monotonic() - began)  # leave others half of the time

    def _tidy(self, database: Database) -> None:
        """Forgets old callbacks."""
        if (before := self._takes_history(database, HISTORY_DUTY)) is not None:
            callbacks.forget(database, before)
