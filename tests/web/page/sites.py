"""Servers for the browser and the client, and their databases."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.migration import queries as migrations
from tests import night as nights
from tests import surroundings
from tests.conftest import ROOT
from tests.forks import Fork
from tests.web.api.servers import started


@dataclass(frozen=True)
class Site:
    """A running server and its database, an SQLite file."""

    url: str
    database: Path
    process: "Fork | subprocess.Popen[str]"

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Reads or changes the database directly, as a worker does."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def forget(self) -> None:
        """Lets the server forget the answers that it shares for a second, by a change that changes nothing."""
        httpx.post(f"{self.url}/api/queues/nothing/resume", json={}, headers={"Origin": self.url}).raise_for_status()

    def status(self, job: str) -> str:
        return str(self.execute("SELECT status FROM hammerwork_jobs WHERE id = ?", job)[0][0])


@contextlib.contextmanager
def serving(database: Path, *options: str, port: int = 0) -> Iterator[Site]:
    """``hammerwork web serve`` on an SQLite file, until the context ends."""
    with _running(database, database.parent, "web", "serve", "--port", str(port), *options) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), f"the server did not start: {address!r}"
        yield Site(address, database, process)


@contextlib.contextmanager
def working(site: Site, folder: Path, *options: str) -> Iterator[None]:
    """``hammerwork worker start`` on a site's database, with handlers in a folder, until the context ends."""
    with _running(site.database, folder, "worker", "start", "--poll-interval", "0.2s", *options):
        yield


@contextlib.contextmanager
def _running(database: Path, folder: Path, *arguments: str) -> Iterator["Fork | subprocess.Popen[str]"]:
    environment = {**surroundings.passed_on(), "HOME": str(folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    process = started(arguments, environment | {"HAMMERWORK_DATABASE_URL": f"sqlite:///{database}"}, folder)
    assert process.stderr is not None
    with process, ThreadPoolExecutor(1) as reading:
        complaints = reading.submit(process.stderr.read)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=20)
            sys.stderr.write(complaints.result())


def fill(path: Path, jobs: list[NewJob]) -> Path:
    """An SQLite file with tables and jobs."""
    with contextlib.closing(connect(f"sqlite:///{path}")) as database:
        migrations.run(database)
        enqueue.insert(database, jobs)
    return path


@dataclass(frozen=True)
class Night:
    """The jobs of the demonstration, some of them by name."""

    jobs: list[NewJob]

    @classmethod
    def now(cls) -> "Night":
        return cls(nights.night(datetime.now(UTC)))

    @property
    def broken(self) -> NewJob:
        """The ingest with dead segments below."""
        root = nights.broken_root(self.jobs)
        return next(job for job in self.jobs if job.id == root)

    @property
    def dead(self) -> list[NewJob]:
        return [job for job in self.jobs if job.status == "Dead"]

    @property
    def running(self) -> NewJob:
        """The encode with a running and two pending segments."""
        segment = next(job for job in self.jobs if job.status == "Running")
        return next(job for job in self.jobs if job.id == segment.depends_on[0])

    def top_of(self, job: NewJob) -> NewJob:
        """The root of a job's tree."""
        while job.depends_on:
            job = next(one for one in self.jobs if one.id == job.depends_on[0])
        return job

    def children(self, parent: NewJob) -> list[NewJob]:
        return [job for job in self.jobs if parent.id in job.depends_on]


def plant_large_tree(database: Path, root: str, many: int) -> None:
    """So many children below one job: 12 dead, 3 running, 85 pending, the rest completed."""
    before = "strftime('%Y-%m-%dT%H:%M:%f000Z', :at,"
    statement = f"""
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :many)
        INSERT INTO hammerwork_jobs (id, queue_name, payload, status, priority, attempts, max_attempts,
            created_at, scheduled_at, started_at, completed_at, failed_at, error_message,
            depends_on, dependents, dependency_status)
        SELECT printf('%08x-0000-4000-8000-%012x', i + 16777216, i),
            CASE WHEN i % 2 THEN 'resize' ELSE 'crop' END, json_object('tile', i),
            CASE WHEN i < 12 THEN 'Dead' WHEN i < 15 THEN 'Running' WHEN i < 100 THEN 'Pending' ELSE 'Completed' END,
            2, CASE WHEN i < 12 THEN 3 ELSE 1 END, 3, {before} '-60 seconds'),
            {before} '-60 seconds'),
            CASE WHEN i < 15 OR i >= 100 THEN {before} '-40 seconds') END,
            CASE WHEN i >= 100 THEN {before} '-' || (i % 39) || '.5 seconds') END, CASE WHEN i < 12 THEN :at END,
            CASE WHEN i < 12 THEN 'Out of memory at tile ' || i END, json_array(:root), '[]', 'satisfied'
        FROM n
    """
    at = rfc3339(datetime.now(UTC))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement, {"many": many, "at": at, "root": root})
