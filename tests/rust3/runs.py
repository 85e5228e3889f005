"""A worker and a reaper of version 3: how it claims, heartbeats, ends and takes back a run.

Section 3 of the facts, "Life of a job". On SQLite, which the original does not know, it does what it does on MySQL.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core import cron
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from tests.rows import Rows

LEASE = timedelta(seconds=300)
"""The default lease. A pool's reaper takes the longest one of its workers for the runs that have none."""
REAPED = "Job lease expired while Running; the job was requeued."
CLOSE = timedelta(milliseconds=1)
"""Two starts of a run that differ by no more are the same one."""
DUE = (
    "queue_name = %s AND status = 'Pending' AND scheduled_at <= %s AND dependency_status IN ('none', 'satisfied')"
    " AND (recurring = TRUE OR cron_schedule IS NULL)"
    " AND queue_name NOT IN (SELECT queue_name FROM hammerwork_queue_pause)"
)
"""What it may claim: no job without a dependency status, and no schedule that is disabled."""
CLAIM = (
    "UPDATE hammerwork_jobs SET status = 'Running', started_at = %s, last_heartbeat_at = %s, lease_expires_at = %s,"
    " attempts = attempts + 1 WHERE id = {}"
)
HELD = "id = %s AND status = 'Running' AND attempts = %s AND started_at BETWEEN %s AND %s"
"""Whether the run of a worker is still its own."""
HEARTBEAT = f"UPDATE hammerwork_jobs SET last_heartbeat_at = %s, lease_expires_at = %s WHERE {HELD}"
UNLEASED = "last_heartbeat_at = NULL, lease_expires_at = NULL"
COMPLETE = f"UPDATE hammerwork_jobs SET status = 'Completed', completed_at = %s, {UNLEASED} WHERE {HELD}"
RETRY = (
    "UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = %s, started_at = NULL, error_message = %s,"
    f" {UNLEASED} WHERE {HELD}"
)
DEAD = f"UPDATE hammerwork_jobs SET status = 'Dead', failed_at = %s, error_message = %s, {UNLEASED} WHERE {HELD}"
STORE = "UPDATE hammerwork_jobs SET result_data = %s, result_stored_at = %s WHERE id = %s"
"""By the id alone, and before the end of the run is written."""
STALE = (
    "status = 'Running' AND ("
    "(last_heartbeat_at IS NOT NULL AND last_heartbeat_at >= started_at AND lease_expires_at < %s) OR "
    "((last_heartbeat_at IS NULL OR lease_expires_at IS NULL OR last_heartbeat_at < started_at) AND started_at < %s))"
)
"""What the reaper takes: (a) runs whose lease has passed, (b) old ones without a lease."""
REQUEUE = (
    "UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = %s, started_at = NULL, error_message = %s,"
    f" {UNLEASED} WHERE id = %s"
)
RECUR = (
    "UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = %s, next_run_at = %s,"
    f" started_at = NULL, error_message = %s, {UNLEASED} WHERE id = %s"
)
BURY = f"UPDATE hammerwork_jobs SET status = 'Dead', failed_at = %s, error_message = %s, {UNLEASED} WHERE id = %s"


class Run(NamedTuple):
    """One run of a job, as its worker knows it."""

    job: str
    attempts: int
    max_attempts: int
    started_at: datetime
    payload: Any


class Version3:
    """A worker and a reaper of version 3.

    Args:
        database: a connection of its own.
        clock: the present; by default the server's.
        lease: of its runs.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime] | None = None, lease: timedelta = LEASE
    ) -> None:
        self.database, self.lease = database, lease
        self.now = clock or database.now
        self._rows = Rows(database)

    def _send(self, sql: str, *values: Any) -> int:
        adapted = [self._rows.adapted(value) for value in values]
        return int(self.database._execute(sql.replace("%s", self.database.placeholder), adapted).rowcount)

    def _ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        adapted = [self._rows.adapted(value) for value in values]
        return self.database.query(sql.replace("%s", self.database.placeholder), adapted)

    @property
    def _lock(self) -> str:
        return "" if self.database.dialect == "sqlite" else " FOR UPDATE SKIP LOCKED"

    def claim(self, queue: str) -> Run | None:
        """Claims the most urgent due job of a queue: one statement on PostgreSQL, a transaction elsewhere."""
        now = self.now()
        chosen = f"SELECT id FROM hammerwork_jobs WHERE {DUE} ORDER BY priority DESC, scheduled_at LIMIT 1{self._lock}"
        times = (now, now, now + self.lease)
        if self.database.dialect == "postgresql":
            sql = f"{CLAIM.format(f'({chosen})')} RETURNING id"
            return self._run(self._ask(sql, *times, queue, now), now)

        def work() -> list[tuple[Any, ...]]:
            rows = self._ask(chosen, queue, now)
            if rows:
                self._send(CLAIM.format("%s"), *times, rows[0][0])
            return rows

        return self._run(self.database.transaction(work), now)

    def _run(self, rows: list[tuple[Any, ...]], now: datetime) -> Run | None:
        if not rows:
            return None
        job = str(rows[0][0])
        ((attempts, most, payload),) = self._ask(
            "SELECT attempts, max_attempts, payload FROM hammerwork_jobs WHERE id = %s", job
        )
        return Run(job, attempts, most, now, payload)

    def _held(self, run: Run) -> tuple[Any, ...]:
        return run.job, run.attempts, run.started_at - CLOSE, run.started_at + CLOSE

    def heartbeat(self, run: Run) -> bool:
        """Renews the lease of a run, each third of it; whether it is still this worker's, whose handler goes on."""
        now = self.now()
        return self._send(HEARTBEAT, now, now + self.lease, *self._held(run)) == 1

    def complete(self, run: Run, result: Any = None) -> bool:
        """Stores the result, and ends the run if it is still this worker's; whether it was."""
        if result is not None:
            self._send(STORE, json.dumps(result), self.now(), run.job)
        return self._send(COMPLETE, self.now(), *self._held(run)) == 1

    def fail(self, run: Run, error: str = "no space", *, delay: timedelta = timedelta()) -> bool:
        """Ends a run that failed: the job runs again, or is Dead after its last attempt."""
        if run.attempts < run.max_attempts:
            return self._send(RETRY, self.now() + delay, error, *self._held(run)) == 1
        return self._send(DEAD, self.now(), error, *self._held(run)) == 1

    def disable(self, job: str) -> None:
        """Disables a recurring job, which stays Pending: its claim alone holds it from now on."""
        self._send("UPDATE hammerwork_jobs SET recurring = FALSE, next_run_at = NULL WHERE id = %s", job)

    def reap(self, older_than: timedelta = LEASE) -> dict[str, str]:
        """``requeue_stale_jobs``: takes back runs that it takes for abandoned; job -> what it made of it.

        Every pool does this once a minute, and at its start. What follows for dependents is in ``outcomes.py``.
        """

        def work() -> dict[str, str]:
            now, taken = self.now(), {}
            columns = "id, attempts, max_attempts, recurring, cron_schedule, timezone"
            stale = f"SELECT {columns} FROM hammerwork_jobs WHERE {STALE}{self._lock}"
            for job, attempts, most, recurring, schedule, timezone in self._ask(stale, now, now - older_than):
                due = cron.next_run(schedule, timezone, now) if recurring and schedule else None
                if attempts < most:
                    self._send(REQUEUE, now, REAPED, job)
                elif due is not None:
                    self._send(RECUR, due, due, REAPED, job)
                else:
                    self._send(BURY, now, REAPED, job)
                taken[str(job)] = "Dead" if attempts >= most and due is None else "Pending"
            return taken

        return self.database.transaction(work)

    def lease_of(self, job: str) -> tuple[datetime | None, datetime | None]:
        """When the lease of a job was renewed last, and when it ends."""
        ((at, until),) = self._ask("SELECT last_heartbeat_at, lease_expires_at FROM hammerwork_jobs WHERE id = %s", job)
        return timestamp(at), timestamp(until)
