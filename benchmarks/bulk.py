"""In and out in bulk: the first line and the memory of long lists, and jobs from a file against bare inserts."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import mysql.connector
import psycopg

from benchmarks.measuring import Result, compare
from benchmarks.workload import NOW, Workload
from hammerwork_cli import Job, Queue
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, DatabaseUrl, connect
from hammerwork_cli.features.job.queries import enqueue_lines

COMMANDS = {
    "job list, jsonl": ("job", "list", "--limit", "1000000", "--format", "jsonl"),
    "job list, csv": ("job", "list", "--limit", "1000000", "--format", "csv"),
    "job export": ("job", "export"),
}
FIRST_LINE_SECONDS, MOST_MIB = 2, 200
LINES_A_LOOK = 20_000
MOST_ENQUEUED = 10_000
"""Jobs of a file: as many as one transaction takes, in a small table fewer."""
MOST_ENQUEUED_SINGLY = 500
COLUMNS = (
    "id, queue_name, payload, status, priority, created_at, scheduled_at, depends_on, dependents, dependency_status"
)


def measure(url: str, workload: Workload, runs: int) -> Iterator[Result]:
    """Long lists of a database with our migrations, and then a file of new jobs, which stay."""
    with closing(connect(url)) as database:
        if not database.is_current:
            return
        server = database.server
        for name, words in COMMANDS.items():
            first, whole, mib = _streamed(url, words)
            yield Result(
                f"{name}: first line", server, workload.size, first, "s", goal=workload.goal(FIRST_LINE_SECONDS)
            )
            yield Result(f"{name}: all lines", server, workload.size, whole, "s")
            yield Result(f"{name}: memory", server, workload.size, mib, "MiB", goal=workload.goal(MOST_MIB))
        yield _enqueue(database, workload, runs)
        yield _in_own_transactions(database, workload, runs)
        yield _unique(database, workload, runs)


def _streamed(url: str, words: tuple[str, ...]) -> tuple[float, float, float]:
    """Seconds to the first line, seconds to the last, and the most memory of the command, in MiB."""
    start, first, most = time.perf_counter(), 0.0, 0
    command = [sys.executable, "-m", "hammerwork_cli", *words]
    environment = {**os.environ, "HAMMERWORK_DATABASE_URL": url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for number, _ in enumerate(running.stdout):
            first = first or time.perf_counter() - start
            if number % LINES_A_LOOK == 0:
                most = max(most, _peak_kib(running.pid))
    return first, time.perf_counter() - start, most / 1024


def _peak_kib(process: int) -> int:
    status = Path(f"/proc/{process}/status")
    text = status.read_text() if status.exists() else ""
    return int(text.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in text else 0


def _enqueue(database: Database, workload: Workload, runs: int) -> Result:
    """Jobs of a file, checked, made and inserted, against the insert of such rows alone."""
    jobs = min(MOST_ENQUEUED, workload.size)
    return compare(
        lambda: _from_lines(database, jobs),
        _bare(database, jobs),
        runs,
        measure=f"job enqueue --file of {jobs:,} jobs",
        database=database.server,
        jobs=workload.size,
        against="the driver's fastest insert of the same columns in one transaction",
    )


def _in_own_transactions(database: Database, workload: Workload, runs: int) -> Result:
    """Jobs one by one through a connection of an application, against bare inserts through the same one."""
    jobs = min(MOST_ENQUEUED_SINGLY, workload.size)
    connection = _application(database.url)
    with closing(connection), Queue(database.url) as queue:
        cursor = connection.cursor()
        place = "?" if database.dialect == "sqlite" else "%s"
        insert = f"INSERT INTO hammerwork_jobs ({COLUMNS}) VALUES ({', '.join([place] * len(COLUMNS.split(',')))})"
        rest = _values(database)

        def ours() -> None:
            for number in range(jobs):
                queue.enqueue(Job("bulk", {"number": number}), connection=connection)
            connection.commit()

        def bare() -> None:
            for _ in range(jobs):
                cursor.execute(insert, (new_id(), *rest))
            connection.commit()

        return compare(
            ours,
            bare,
            runs,
            measure=f"Queue.enqueue(job, connection=...), {jobs:,} times",
            database=database.server,
            jobs=workload.size,
            against="INSERT of the same columns through the same connection",
        )


def _unique(database: Database, workload: Workload, runs: int) -> Result:
    """Jobs one by one, each with a unique key, against the same jobs without one."""
    jobs = min(MOST_ENQUEUED_SINGLY, workload.size)
    with Queue(database.url) as queue:

        def ours() -> None:
            for number in range(jobs):
                queue.enqueue(Job("bulk", {"number": number}).with_unique(new_id()))

        def bare() -> None:
            for number in range(jobs):
                queue.enqueue(Job("bulk", {"number": number}))

        return compare(
            ours,
            bare,
            runs,
            measure=f"Queue.enqueue(job.with_unique(...)), {jobs:,} times",
            database=database.server,
            jobs=workload.size,
            against="the same jobs without a key",
        )


def _application(url: DatabaseUrl) -> Any:
    if url.dialect == "postgresql":
        return psycopg.connect(url.raw)
    if url.dialect == "sqlite":
        return sqlite3.connect(str(url.path))
    host = url.hosts[0]
    where: dict[str, Any] = {"host": host.name, "port": host.port or 3306, "database": url.database}
    return mysql.connector.connect(**where, user=url.user, password=url.password or "")


def _from_lines(database: Database, jobs: int) -> None:
    lines = (json.dumps({"id": new_id(), "queue": "bulk", "payload": {"number": n}}) for n in range(jobs))
    file = BytesIO("\n".join(lines).encode())
    for _ in enqueue_lines.run(database, file, {}, NOW):
        pass


def _bare(database: Database, jobs: int) -> Callable[[], None]:
    """Inserts as many rows by the driver alone. All rows stay: deleting them would take longer than this."""
    values = _values(database)

    def insert() -> None:
        rows = [(new_id(), *values) for _ in range(jobs)]
        database.transaction(lambda: _insert(database, rows))

    return insert


def _values(database: Database) -> list[Any]:
    nobody = "{}" if database.dialect == "postgresql" else "[]"
    rest = ("bulk", '{"number":1}', "Pending", 2, NOW, NOW, nobody, nobody, "none")
    return [database._adapt(value) if isinstance(value, datetime) else value for value in rest]


def _insert(database: Database, rows: list[tuple[Any, ...]]) -> None:
    cursor = database._connection.cursor()
    if database.dialect == "postgresql":
        with cursor.copy(f"COPY hammerwork_jobs ({COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    # Both drivers make one statement of many rows, or send them without a round trip for each.
    places = ", ".join([database.placeholder] * len(rows[0]))
    cursor.executemany(f"INSERT INTO hammerwork_jobs ({COLUMNS}) VALUES ({places})", rows)
