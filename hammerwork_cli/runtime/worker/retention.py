"""The thread that applies retention policies, and deletes encrypted jobs whose time is over and keys without jobs."""

import logging
import math
import time
from collections.abc import Mapping
from datetime import timedelta

from hammerwork_cli.database import Database
from hammerwork_cli.features.archive.models.policies import PolicyAction
from hammerwork_cli.features.archive.queries import expiry, policies, retention
from hammerwork_cli.features.archive.queries.retention import CarriedOut
from hammerwork_cli.features.job.queries import unique
from hammerwork_cli.features.queue.model import EVERY_QUEUE
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.runtime.worker.context import LOCK_SECONDS_OF_UPKEEP, WorkerContext
from hammerwork_cli.runtime.worker.turns import Task, TurnThread
from hammerwork_cli.view.text import plural

CHECK_SECONDS = 60.0
"""Seconds between two checks for due policies."""
WORK_SECONDS = 30.0
"""Most seconds of work after a check, so that others have the database for half of the time."""
PACE_SECONDS = 0.02
"""The pause after each transaction."""
REST = timedelta(minutes=10)
"""Time until the next run once no job is old enough."""
LEASE = timedelta(minutes=5)
"""Time after which another worker goes on for one that died. Each transaction renews it."""
KEYS_DUTY = "unique keys"
KEYS_REST = timedelta(hours=1)
"""Time between two looks at all unique keys."""
KEYS_AT_ONCE = 1000
log = logging.getLogger("hammerwork")


class Retention(TurnThread):
    """Applies retention policies, one worker at a time. It holds a connection only while it works."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__("retention", context.connections.for_thread(LOCK_SECONDS_OF_UPKEEP))
        self.worker, self.clock = context.registration.id, context.clock
        # This thread alone uses the rest.
        self._end = 0.0
        self._is_mine = True
        self._next_look = -math.inf  # at the unique keys
        self._last_key: str | None = None  # the last one that it has looked at

    def tasks(self) -> Mapping[str, Task]:
        """Looks for policies, only once in a turn: the next check comes soon."""
        return {
            "Retention": lambda: self.connections.run(self._check, patience=0),
            "Forgetting unique keys": lambda: self.connections.run(self._forget_keys, patience=0),
        }

    def pause(self) -> float:
        """Gives its connection back until the next check."""
        self.connections.close()
        return CHECK_SECONDS

    def _check(self, database: Database) -> None:
        if (now := self.clock.proven_now()) is None:  # a clock that is ahead would make all jobs old enough
            return
        wanted = policies.all_policies(database)
        has_expired = expiry.exist(database, now)
        if not has_expired and not any(policy.is_in_force(now) for policy in wanted):
            return
        times = duties.times(database)
        if not duties.take_due(database, retention.DUTY, self.worker, times, now=now, length=LEASE, longest=REST):
            return
        self._end, self._is_mine = time.monotonic() + WORK_SECONDS, True
        for done in retention.run_policies(database, wanted, now, lambda: self._is_over(database)):
            _log(done)
        if has_expired and not self._is_over(database):
            expired = expiry.purge(database, now, lambda: self._is_over(database))
            if deleted := expired.jobs.changed + expired.archived.changed:
                log.info("Deleted %s past retention_delete_at.", plural(deleted, "encrypted job"))
        is_finished = time.monotonic() < self._end and not self.stopped.is_set()
        duties.keep(
            database, retention.DUTY, self.worker, until=self.clock.now() + (REST if is_finished else timedelta())
        )

    def _forget_keys(self, database: Database) -> None:
        """Looks whether the jobs of unique keys are gone: another program may have deleted them."""
        if self._last_key is None:
            if time.monotonic() < self._next_look:
                return
            self._next_look = time.monotonic() + KEYS_REST.total_seconds()
            times, now = duties.times(database), self.clock.now()
            if not duties.take_due(database, KEYS_DUTY, self.worker, times, now=now, length=KEYS_REST):
                return
        end = time.monotonic() + WORK_SECONDS
        while (last := unique.forget(database, self._last_key, KEYS_AT_ONCE)) is not None:
            self._last_key = last
            if self.stopped.wait(PACE_SECONDS) or time.monotonic() >= end:
                return  # the next turn goes on
        self._last_key = None

    def _is_over(self, database: Database) -> bool:
        """Pauses after a transaction; returns whether to leave the rest to the next run, or to another worker."""
        if self.stopped.wait(PACE_SECONDS) or time.monotonic() >= self._end or not self._is_mine:
            return True
        self._is_mine = duties.keep(database, retention.DUTY, self.worker, until=self.clock.now() + LEASE)
        return not self._is_mine


def _log(done: CarriedOut) -> None:
    queue = "all other queues" if done.policy.queue == EVERY_QUEUE else done.policy.queue
    went = "Deleted" if done.policy.action == PolicyAction.DELETE else "Archived"
    if done.jobs:
        log.info("%s %s by the policy of %s.", went, plural(done.jobs, "job"), queue)
    if done.purged:
        log.info("Deleted %s by the policy of %s.", plural(done.purged, "archived job"), queue)
    if done.error is not None:
        log.warning("The policy of %s failed and will be tried again: %s", queue, done.error)
