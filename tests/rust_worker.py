"""A worker of the Rust original, and its library: the statements that they send, which know nothing of our columns.

On SQLite, which the original does not know, it does what it does on MySQL.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from hammerwork_cli.database import Database
from tests.rows import Rows

ENQUEUED = [
    "id",
    "queue_name",
    "payload",
    "status",
    "priority",
    "attempts",
    "max_attempts",
    "timeout_seconds",
    "created_at",
    "scheduled_at",
    "error_message",
    "cron_schedule",
    "next_run_at",
    "recurring",
    "timezone",
    "batch_id",
    "result_storage_type",
    "result_ttl_seconds",
    "result_max_size_bytes",
    "depends_on",
    "dependents",
    "dependency_status",
    "workflow_id",
    "workflow_name",
    "trace_id",
    "correlation_id",
    "parent_span_id",
    "span_context",
]
ENQUEUED_ON_MYSQL = [*ENQUEUED, "started_at", "completed_at", "failed_at", "timed_out_at"]
DEFAULTS: dict[str, Any] = {
    "payload": "{}",
    "status": "Pending",
    "priority": 2,
    "attempts": 0,
    "max_attempts": 3,
    "recurring": False,
    "result_storage_type": "none",
    "dependency_status": "none",
}
READY = "queue_name = %s AND status = 'Pending' AND scheduled_at <= %s"
UNHINDERED = "dependency_status IN ('none', 'satisfied')"
MOST_URGENT = "ORDER BY priority DESC, scheduled_at LIMIT"
TAKE = "UPDATE hammerwork_jobs SET status = 'Running', started_at = %s, attempts = attempts + 1 WHERE"
END = "UPDATE hammerwork_jobs SET status = %s, {} = %s, error_message = %s WHERE id = %s"
RESET = "started_at = NULL, completed_at = NULL, failed_at = NULL, timed_out_at = NULL, error_message = NULL"
MAX_RETRIES = 3
"""Attempts after which a worker gives up, whatever the job says."""


class RustWorker:
    """Takes and ends one job at a time, without asking what became of it meanwhile.

    Args:
        database: a connection of its own.
        clock: the present; by default the server's.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] | None = None) -> None:
        self.database = database
        self.rows = Rows(database)
        self.now = clock or database.now

    def send(self, sql: str, *values: Any) -> None:
        self.rows.run(self._spelt(sql), [self.rows.adapted(value) for value in values])

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.database.query(self._spelt(sql), [self.rows.adapted(value) for value in values])

    def _spelt(self, sql: str) -> str:
        return sql.replace("%s", self.database.placeholder)

    def enqueue(self, queue: str, *parents: str, **columns: Any) -> str:
        """Writes a job and returns its id; one with parents waits, as the original's builder has it."""
        now = self.now()
        lists = {"depends_on": self.rows.ids(parents), "dependents": self.rows.ids([])}
        given = {**DEFAULTS, "id": str(uuid4()), "queue_name": queue, "created_at": now, "scheduled_at": now, **lists}
        given |= {"dependency_status": "waiting"} if parents else {}
        given |= columns
        names = ENQUEUED if self.database.dialect == "postgresql" else ENQUEUED_ON_MYSQL
        self.rows.insert("hammerwork_jobs", {name: given.get(name) for name in names})
        return str(given["id"])

    def take(self, queue: str) -> str | None:
        """The most urgent job of a queue, which runs from now on."""
        if self.database.dialect == "postgresql":
            chosen = f"SELECT id FROM hammerwork_jobs WHERE {READY} AND {UNHINDERED} {MOST_URGENT} 1"
            now = self.now()
            return _id(self.ask(f"{TAKE} id = ({chosen} FOR UPDATE SKIP LOCKED) RETURNING id", now, queue, now))
        return self.database.transaction(lambda: self._take_in_two_steps(queue))

    def _take_in_two_steps(self, queue: str) -> str | None:
        lock = " FOR UPDATE" if self.database.dialect == "mysql" else ""
        now = self.now()
        chosen = self.ask(f"SELECT id FROM hammerwork_jobs WHERE {READY} {MOST_URGENT} 1{lock}", queue, now)
        if chosen:
            self.send(f"{TAKE} id = %s", now, chosen[0][0])
        return _id(chosen)

    def take_weighted(self, queue: str, priority: int) -> str | None:
        """The oldest of one priority among twenty, outside a transaction: another one may take it too."""
        sql = f"SELECT id, priority FROM hammerwork_jobs WHERE {READY} {MOST_URGENT} 20 FOR UPDATE SKIP LOCKED"
        chosen = [row for row in self.ask(sql, queue, self.now()) if row[1] == priority][:1]
        if chosen:
            self.send(f"{TAKE} id = %s", self.now(), chosen[0][0])
        return _id(chosen)

    def complete(self, job: str, result: Any = None) -> None:
        self.send("UPDATE hammerwork_jobs SET status = 'Completed', completed_at = %s WHERE id = %s", self.now(), job)
        if result is not None:
            sql = "UPDATE hammerwork_jobs SET result_data = %s, result_stored_at = %s WHERE id = %s"
            self.send(sql, json.dumps(result), self.now(), job)

    def fail(self, job: str, error: str = "no space", *, delay: float = 0) -> str:
        """Another attempt after ``delay`` seconds, while there are any; returns the new status."""
        ((attempts, max_attempts),) = self.ask("SELECT attempts, max_attempts FROM hammerwork_jobs WHERE id = %s", job)
        if attempts < MAX_RETRIES:
            self.try_again(job, delay=delay)
            return "Pending"
        status = "Dead" if attempts >= max_attempts else "Failed"
        self.end(job, status, error)
        return status

    def try_again(self, job: str, *, delay: float = 0) -> None:
        sql = "UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = %s, started_at = NULL WHERE id = %s"
        self.send(sql, self.now() + timedelta(seconds=delay), job)

    def end(self, job: str, status: str, error: str = "no space") -> None:
        """For good: ``Dead``, ``Failed`` or ``TimedOut``."""
        column = "timed_out_at" if status == "TimedOut" else "failed_at"
        self.send(END.format(column), status, self.now(), error, job)

    def recur(self, job: str, at: datetime) -> None:
        """The next run of a recurring job that has completed, on the same row."""
        sql = (
            f"UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = %s, next_run_at = %s, {RESET}"
        )
        self.send(f"{sql} WHERE id = %s", at, at, job)

    def retry_dead(self, job: str) -> None:
        sql = "UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = %s, started_at = NULL,"
        self.send(f"{sql} failed_at = NULL WHERE id = %s AND status = 'Dead'", self.now(), job)

    def cancel(self, job: str) -> None:
        """As its command line does: deletes it while it is pending."""
        self.send("DELETE FROM hammerwork_jobs WHERE id = %s AND status = 'Pending'", job)


def _id(rows: list[tuple[Any, ...]]) -> str | None:
    return str(rows[0][0]) if rows else None
