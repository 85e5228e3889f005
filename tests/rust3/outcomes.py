"""Version 3 at the end of a run, and at an enqueue: ``finish_job_run`` with its cascades. Section 3, "Life of a job".

Each method names the facts that it plays. Where these leave something open, its docstring says what was chosen. On
SQLite, which the original does not know, it does what it does on MySQL.
"""

import contextlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from hammerwork_cli.core import cron
from hammerwork_cli.core.values import id_list, timestamp
from hammerwork_cli.database import Database, connect
from tests.rows import Rows
from tests.rust3.migrations import MIGRATIONS, Migrator
from tests.rust3.runs import CLAIM, CLOSE, LEASE, REAPED, STALE, STORE, UNLEASED, Run, Version3

LONGEST = timedelta(days=365)
FAILED = ("Failed", "Dead", "TimedOut")
"""The ends that are not Completed (section 3)."""
OPEN = ("Pending", "Retrying", "Running")
SOURCES = {
    "complete": ("Pending", "Running", "Retrying"),
    "fail": ("Pending", "Running", "Retrying"),
    "retry": ("Running", "Retrying", "Failed", "TimedOut"),
    "dead": ("Running", "Retrying", "Failed", "TimedOut", "Pending"),
    "time out": ("Running",),
    "retry dead": ("Dead", "TimedOut"),
}
"""From which statuses each manual transition is allowed (section 3, Manual transitions)."""
ENQUEUED = (
    *("id", "queue_name", "payload", "status", "priority", "attempts", "max_attempts", "timeout_seconds", "created_at"),
    *(
        "scheduled_at",
        "failed_at",
        "error_message",
        "cron_schedule",
        "next_run_at",
        "recurring",
        "timezone",
        "batch_id",
    ),
    *("result_storage_type", "depends_on", "dependents", "dependency_status", "workflow_id", "workflow_name"),
    *("retry_strategy", "is_encrypted"),
)
"""The columns of its insert that the tests need, of all those that it writes (section 3, Enqueue)."""


def use(database: Database) -> None:
    """Lets version 3 migrate the database (section 2). On SQLite, which it does not know, the records have to do."""
    if database.dialect == "sqlite":
        rows, now = Rows(database), database.now()
        for column in ("last_heartbeat_at", "lease_expires_at"):
            if column not in database.jobs_columns():
                rows.run(f"ALTER TABLE hammerwork_jobs ADD COLUMN {column} TEXT")
        for migration in MIGRATIONS:
            record = {"migration_id": migration, "executed_at": now, "execution_time_ms": 1}
            rows.insert("hammerwork_migrations", record)
    else:
        Migrator(database).run()
    database.forget_schema()


def migrate(url: str) -> None:
    """The same, given the URL of a database."""
    with contextlib.closing(connect(url)) as database:
        use(database)


class Outcomes(Version3):
    """Version 3 as it ends runs, with all that follows from an end, and enqueues jobs."""

    def _ask_locked(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._ask(sql if self.database.dialect == "sqlite" else f"{sql} FOR UPDATE", *values)

    def claim_job(self, job: str) -> Run:
        """Claims one job by its id, as the dequeue does: Running, both lease columns, one attempt more (section 3)."""
        now = self.now()
        assert self._send(CLAIM.format("%s AND status = 'Pending'"), now, now, now + self.lease, job) == 1
        run = self._run([(job,)], now)
        assert run is not None
        return run

    # The end of a run.

    def complete(self, run: Run, result: Any = None) -> bool:
        """Stores the result by the id only, and ends the run (section 3); whether the run was still this worker's."""
        if result is not None:
            self._send(STORE, json.dumps(result), self.now(), run.job)
        return self._finish(run, "Completed", None)

    def fail(
        self, run: Run, error: str = "no space", *, delay: timedelta = timedelta(), timed_out: bool = False
    ) -> bool:
        """Retry while attempts are left, max_attempts in all; after the last one Dead, or TimedOut (section 3)."""
        if run.attempts < run.max_attempts:
            return self._finish(run, "Pending", error, delay=delay, timed_out=timed_out)
        return self._finish(run, "TimedOut" if timed_out else "Dead", error)

    def _finish(
        self, run: Run, status: str, error: str | None, *, delay: timedelta = timedelta(), timed_out: bool = False
    ) -> bool:
        """Locks the row; valid only while Running with the same attempts and started_at, ±1 ms (section 3)."""

        def work() -> bool:
            found = self._ask_locked(
                "SELECT attempts, started_at FROM hammerwork_jobs WHERE id = %s AND status = 'Running'", run.job
            )
            started = timestamp(found[0][1]) if found else None
            if started is None or found[0][0] != run.attempts or abs(started - run.started_at) > CLOSE:
                return False
            if status == "Pending":
                self._try_again(run.job, error, delay, timed_out=timed_out)
            elif not self._recur(run.job, error):
                self._end(run.job, status, error)
            return True

        return self.database.transaction(work)

    def _try_again(self, job: str, error: str | None, delay: timedelta, *, timed_out: bool) -> None:
        """Pending, never Retrying; the times of section 3, finish_job_run, Retry. Nothing follows for other jobs."""
        now = self.now()
        also = ", timed_out_at = %s" if timed_out else ""
        self._send(
            "UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = %s, started_at = NULL, error_message = %s,"
            f" {UNLEASED}{also} WHERE id = %s",
            *(now + min(delay, LONGEST), error, *((now,) if timed_out else ()), job),
        )

    def _recur(self, job: str, error: str | None) -> bool:
        """Section 3 (1): Pending for the next slot after the run's own; missed ones become one run, due at once.

        The facts leave open which slot that one run has: here it is the present.
        """
        ((recurring, schedule, zone, slot),) = self._ask(
            "SELECT recurring, cron_schedule, timezone, next_run_at FROM hammerwork_jobs WHERE id = %s", job
        )
        if not recurring or not schedule:
            return False
        at = cron.next_run(schedule, zone, timestamp(slot) or self.now())
        if at is None:
            return False
        at = max(at, self.now())
        self._send(
            "UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = %s, next_run_at = %s,"
            f" started_at = NULL, completed_at = NULL, failed_at = NULL, timed_out_at = NULL, error_message = %s,"
            f" {UNLEASED} WHERE id = %s",
            *(at, at, error, job),
        )
        return True

    def _end(self, job: str, status: str, error: str | None) -> None:
        """Writes an end, and what follows: (2) to (6) of section 3, in that order."""
        column = {"Completed": "completed_at", "TimedOut": "timed_out_at"}.get(status, "failed_at")
        message = "" if status == "Completed" else ", error_message = %s"  # a success leaves the error of before
        self._send(
            f"UPDATE hammerwork_jobs SET status = %s, {column} = %s, {UNLEASED}{message} WHERE id = %s",
            *(status, self.now(), *(() if status == "Completed" else (error,)), job),
        )
        self._follow(job, succeeded=status == "Completed")

    def _follow(self, job: str, *, succeeded: bool) -> None:
        ((workflow, batch),) = self._ask("SELECT workflow_id, batch_id FROM hammerwork_jobs WHERE id = %s", job)
        policy = self._lock_workflow(workflow) if workflow else None
        if succeeded:
            self._satisfy(job)
        elif policy != "manual":
            rest = self._fail_workflow(str(workflow)) if policy == "fail_fast" else []
            self._fail_dependents([job, *rest])
        if workflow:
            self._count_workflow(str(workflow))
        if batch:
            self._count_batch(str(batch), succeeded=succeeded)

    def _lock_workflow(self, workflow: object) -> str | None:
        """(2) Lock the workflow row."""
        found = self._ask_locked("SELECT failure_policy FROM hammerwork_workflows WHERE id = %s", str(workflow))
        return str(found[0][0]) if found else None

    def _satisfy(self, job: str) -> None:
        """(3) Waiting dependents, in the order of their ids: satisfied if all they wait for is Completed."""
        waiting = "status = 'Pending' AND dependency_status = 'waiting'"
        for dependent, parents in self._lock_dependents(job, waiting):
            if self._completed(id_list(parents)):
                self._send("UPDATE hammerwork_jobs SET dependency_status = 'satisfied' WHERE id = %s", dependent)

    def _completed(self, parents: Sequence[str]) -> bool:
        return all(self._status(parent) == "Completed" for parent in parents)

    def _status(self, job: str) -> str | None:
        """In the table of jobs, else in the archive."""
        for table in ("hammerwork_jobs", "hammerwork_jobs_archive"):
            if found := self._ask(f"SELECT status FROM {table} WHERE id = %s", job):
                return str(found[0][0])
        return None

    def _lock_dependents(self, job: str, which: str) -> list[tuple[str, Any]]:
        """Jobs whose depends_on contains an id; ``dependents`` is not used."""
        contains = {
            "postgresql": "%s = ANY(depends_on)",
            "mysql": "JSON_CONTAINS(depends_on, JSON_QUOTE(%s))",
            "sqlite": "EXISTS (SELECT 1 FROM json_each(depends_on) WHERE value = %s)",
        }[self.database.dialect]
        sql = f"SELECT id, depends_on FROM hammerwork_jobs WHERE {which} AND {contains} ORDER BY id"
        return [(str(dependent), parents) for dependent, parents in self._ask_locked(sql, job)]

    def _fail_workflow(self, workflow: str) -> list[str]:
        """(4) fail_fast: all Pending and Retrying jobs of the workflow.

        The facts leave open what becomes of their dependency_status: here it is failed, as that of dependents.
        """
        return self._fail_waiting("workflow_id", workflow, "Another job of the workflow failed.")

    def _fail_waiting(self, column: str, group: str, error: str) -> list[str]:
        sql = f"SELECT id FROM hammerwork_jobs WHERE {column} = %s AND status IN ('Pending', 'Retrying') ORDER BY id"
        jobs = [str(job) for (job,) in self._ask_locked(sql, group)]
        self._fail(jobs, error)
        return jobs

    def _fail(self, jobs: Iterable[str], error: str) -> None:
        for job in jobs:
            self._send(
                "UPDATE hammerwork_jobs SET status = 'Failed', dependency_status = 'failed', failed_at = %s,"
                " error_message = %s WHERE id = %s",
                *(self.now(), error, job),
            )

    def _fail_dependents(self, jobs: Sequence[str]) -> None:
        """(4) Transitive dependents that are Pending, and waiting or satisfied, become Failed."""
        bound = "status = 'Pending' AND dependency_status IN ('waiting', 'satisfied')"
        parents = list(jobs)
        while parents:
            found = [job for job, _ in self._lock_dependents(parents.pop(), bound)]
            self._fail(found, "A dependency failed.")
            parents += found

    def _tally(self, column: str, group: str) -> dict[str, int]:
        """Jobs by status, from the table of jobs and the archive."""
        tally: dict[str, int] = {}
        for table in ("hammerwork_jobs", "hammerwork_jobs_archive"):
            if column not in self.database.schema[table]:
                continue
            own = "" if table == "hammerwork_jobs" else " AND id NOT IN (SELECT id FROM hammerwork_jobs)"
            sql = f"SELECT status, COUNT(*) FROM {table} WHERE {column} = %s{own} GROUP BY status"
            for status, jobs in self._ask(sql, group):
                tally[status] = tally.get(status, 0) + jobs
        return tally

    def _count_workflow(self, workflow: str) -> None:
        """(5) Counters and status.

        The facts leave open when it ends: here with its last job, failed if one of them was. A cancelled one stays so.
        """
        tally = self._tally("workflow_id", workflow)
        is_open = any(tally.get(status) for status in OPEN)
        failed = sum(tally.get(status, 0) for status in FAILED)
        status = "running" if is_open else "failed" if failed else "completed"
        times = {"completed": ("completed_at",), "failed": ("failed_at",)}.get(status, ())
        self._send(
            "UPDATE hammerwork_workflows SET status = %s, completed_jobs = %s, failed_jobs = %s"
            f"{''.join(f', {time} = %s' for time in times)} WHERE id = %s AND status <> 'cancelled'",
            *(status, tally.get("Completed", 0), failed, *(self.now() for _ in times), workflow),
        )

    def _count_batch(self, batch: str, *, succeeded: bool) -> None:
        """(6) FailFast fails the rest; the row is written when the batch ends, before that only Pending -> Processing.

        The facts leave open the words of the end: here Completed, Failed if none completed, else PartiallyFailed. They
        also leave open what depends on the rest: here it fails too.
        """
        ((status, mode),) = self._ask_locked("SELECT status, failure_mode FROM hammerwork_batches WHERE id = %s", batch)
        if not succeeded and mode.strip('"') == "FailFast":
            self._fail_dependents(self._fail_waiting("batch_id", batch, "Another job of the batch failed."))
        tally = self._tally("batch_id", batch)
        completed, failed = tally.get("Completed", 0), sum(tally.get(status, 0) for status in FAILED)
        if not any(tally.get(status) for status in OPEN):
            ended = "Completed" if not failed else "PartiallyFailed" if completed else "Failed"
            self._send(
                "UPDATE hammerwork_batches SET status = %s, completed_jobs = %s, failed_jobs = %s, pending_jobs = 0,"
                " completed_at = %s WHERE id = %s",
                *(ended, completed, failed, self.now(), batch),
            )
        elif status.strip('"') == "Pending":
            self._send("UPDATE hammerwork_batches SET status = 'Processing' WHERE id = %s", batch)

    # Other ends.

    def reap(self, older_than: timedelta = LEASE) -> dict[str, str]:
        """``requeue_stale_jobs`` (section 3): what it made of each job. After the last attempt everything follows."""

        def work() -> dict[str, str]:
            now = self.now()
            sql = f"SELECT id, attempts, max_attempts FROM hammerwork_jobs WHERE {STALE} ORDER BY id"
            made: dict[str, str] = {}
            for job, attempts, most in self._ask_locked(sql, now, now - older_than):
                made[str(job)] = "Pending"
                if attempts < most:
                    self._try_again(str(job), REAPED, timedelta(), timed_out=False)
                elif not self._recur(str(job), REAPED):
                    self._end(str(job), "Dead", REAPED)
                    made[str(job)] = "Dead"
            return made

        return self.database.transaction(work)

    def by_hand(self, action: str, job: str, error: str = "by hand") -> bool:
        """A manual transition, guarded by the status (section 3); it never lets a job recur. Whether it was allowed."""

        def work() -> bool:
            ((status,),) = self._ask_locked("SELECT status FROM hammerwork_jobs WHERE id = %s", job)
            if status not in SOURCES[action]:
                return False
            if action == "retry dead":
                sql = (
                    "UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = %s, started_at = NULL"
                )
                self._send(f"{sql}, failed_at = NULL, timed_out_at = NULL WHERE id = %s", self.now(), job)
            elif action == "retry":
                self._try_again(job, error, timedelta(), timed_out=False)
            else:
                ends = {"complete": "Completed", "fail": "Failed", "dead": "Dead", "time out": "TimedOut"}
                self._end(job, ends[action], error)
            return True

        return self.database.transaction(work)

    def enable(self, job: str) -> None:
        """Enable recomputes the next slot (section 3)."""
        ((schedule, zone),) = self._ask("SELECT cron_schedule, timezone FROM hammerwork_jobs WHERE id = %s", job)
        at = cron.next_run(schedule, zone, self.now())
        sql = "UPDATE hammerwork_jobs SET recurring = TRUE, next_run_at = %s, scheduled_at = %s WHERE id = %s"
        self._send(sql, at, at, job)

    # Enqueue.

    def enqueue(self, queue: str, *parents: str, **columns: Any) -> str:
        """Inserts a job whose dependencies are resolved (section 3, Enqueue); returns its id.

        It locks the stored ones FOR SHARE, which MariaDB does not know in the form of the original (section 2). All
        Completed: satisfied. One Failed, Dead or TimedOut: Failed and failed, except under the policy manual. Unknown
        ids keep it waiting.
        """

        def work() -> str:
            now = self.now()
            given: dict[str, Any] = {
                "id": str(uuid4()),
                "queue_name": queue,
                "payload": "{}",
                "status": "Pending",
                "priority": 2,
                "attempts": 0,
                "max_attempts": 3,
                "created_at": now,
                "scheduled_at": now,
                "recurring": False,
                "result_storage_type": "none",
                "dependency_status": "waiting" if parents else "none",
                "depends_on": self._rows.ids(parents),
                "dependents": self._rows.ids(()),
                "is_encrypted": False,
                **columns,
            }
            if given["dependency_status"] == "waiting":
                given |= self._resolved(parents, given.get("workflow_id"), now)
            self._rows.insert("hammerwork_jobs", {name: given.get(name) for name in ENQUEUED})
            return str(given["id"])

        return self.database.transaction(work)

    def _resolved(self, parents: Sequence[str], workflow: str | None, now: datetime) -> dict[str, Any]:
        share = {"postgresql": " FOR SHARE", "mysql": " LOCK IN SHARE MODE"}.get(self.database.dialect, "")
        for parent in sorted(parents):
            self._ask(f"SELECT id FROM hammerwork_jobs WHERE id = %s{share}", parent)
        statuses = {self._status(parent) for parent in parents}
        policy = self._lock_workflow(workflow) if workflow else None
        if statuses & set(FAILED) and policy != "manual":
            failed = {"status": "Failed", "dependency_status": "failed", "failed_at": now}
            return {**failed, "error_message": "A dependency failed."}
        return {"dependency_status": "satisfied"} if statuses == {"Completed"} else {}
