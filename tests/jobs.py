"""Jobs for tests of ``job``, written as the program writes them."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
IGNORING = '{"_failure_policy": "ignore_failures"}'
"""The metadata of a workflow whose stored policy is manual."""
CLOCK = {"HAMMERWORK_NOW": "2026-11-24T12:00:00Z"}


def job(number: int, status: JobStatus = JobStatus.PENDING, queue: str = "mail", **fields: Any) -> NewJob:
    """Job ``number``, created so many minutes before :data:`NOW`, with the times that its status has."""
    created = NOW - timedelta(minutes=number)
    times: dict[str, Any] = {}
    if status is not JobStatus.PENDING:
        times = {"started_at": created + timedelta(seconds=1), "attempts": 3}
    if status is JobStatus.COMPLETED:
        times["completed_at"] = created + timedelta(seconds=2)
    elif status in {JobStatus.FAILED, JobStatus.DEAD, JobStatus.TIMED_OUT}:
        times |= {"failed_at": created + timedelta(seconds=2), "error_message": f"broken {number}"}
    values = {"payload": "{}", "id": identity(number), "created_at": created, "scheduled_at": created}
    return NewJob(**{"queue": queue, "status": status, **values, **times, **fields})


def identity(number: int) -> str:
    """The id of job ``number``."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def write(url: str, *jobs: NewJob) -> None:
    """Inserts jobs."""
    with contextlib.closing(connect(url)) as database:
        enqueue.insert(database, jobs)


def rows(url: str, columns: str = "id, status", where: str = "1 = 1") -> list[tuple[Any, ...]]:
    """Columns of the jobs, in the order of their ids."""
    with contextlib.closing(connect(url)) as database:
        return database.query(f"SELECT {columns} FROM hammerwork_jobs WHERE {where} ORDER BY id")


def execute(url: str, sql: str) -> None:
    """Changes a database as another program might."""
    with contextlib.closing(connect(url)) as database:
        database.script(sql)


def statuses(url: str) -> dict[int, str]:
    """Job number -> status, as it is stored."""
    return {int(str(job)[:8], 16): status for job, status in rows(url)}


def move_to_archive(url: str, number: int | str, payload: bytes) -> None:
    """Leaves a job, by its number or its id, in the archive table only, with this payload."""
    job = identity(number) if isinstance(number, int) else number
    with contextlib.closing(connect(url)) as database:
        packed = {"postgresql": f"'\\x{payload.hex()}'", "mysql": f"0x{payload.hex()}", "sqlite": f"x'{payload.hex()}'"}
        truth = "1" if database.dialect == "sqlite" else "TRUE"
        database.script(
            "INSERT INTO hammerwork_jobs_archive (id, queue_name, payload, payload_compressed, status, created_at,"
            " scheduled_at, completed_at, archival_reason, archived_by)"
            f" SELECT id, queue_name, {packed[database.dialect]}, {truth}, status, created_at, scheduled_at,"
            f" completed_at, 'Manual', 'ada' FROM hammerwork_jobs WHERE id = '{job}'"
        )
        database.script(f"DELETE FROM hammerwork_jobs WHERE id = '{job}'")
