"""Databases full of jobs: made, filled as fast as each server allows, dropped."""

import contextlib
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path

from benchmarks.workload import BenchmarkJob, Workload
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.migration import queries as migrations
from tests.databases import Databases, MysqlDatabases, PostgresDatabases, SqliteDatabases
from tests.servers import server_url

DIALECTS = ("postgres", "mysql", "sqlite")
ROWS_A_STATEMENT = 1000
SORTED_ROWS = 250_000
COLUMNS = (
    "id, queue_name, payload, status, priority, attempts, created_at, scheduled_at, started_at, completed_at,"
    " failed_at, error_message, depends_on, dependency_status"
)
Value = str | int | None


@contextlib.contextmanager
def databases(dialect: str) -> Iterator[Databases]:
    """Makes and drops databases on a server with its default settings, which is started here unless one is named."""
    with ExitStack() as closing:
        if dialect == "sqlite":
            yield SqliteDatabases(Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="hammerwork-bench-"))))
            return
        server = closing.enter_context(server_url(dialect, tuned=False))
        maker = PostgresDatabases(server) if dialect == "postgres" else MysqlDatabases(server)
        closing.callback(maker.close)
        yield maker


@contextlib.contextmanager
def filled(maker: Databases, workload: Workload) -> Iterator[str]:
    """The URL of a database with the migrations of hammerwork (Rust) alone, and the jobs of ``workload``."""
    url = maker.empty()
    try:
        with contextlib.closing(connect(url)) as database, _rust_only():
            migrations.run(database)
            _FILL[database.dialect](database, workload.jobs())
        tidy(url)
        yield url
    finally:
        maker.drop(url)


def add_indexes(url: str) -> None:
    """Adds our own migrations."""
    with contextlib.closing(connect(url)) as database:
        migrations.run(database)
    tidy(url)


def server_of(url: str) -> str:
    """Product and version."""
    with contextlib.closing(connect(url)) as database:
        return database.server


def tidy(url: str) -> None:
    """What a server does for itself after a while: statistics, and lists that wait to be merged into an index."""
    with contextlib.closing(connect(url)) as database:
        if database.dialect == "mysql":
            database.query("ANALYZE TABLE hammerwork_jobs")
        else:
            database.script("VACUUM ANALYZE hammerwork_jobs" if database.dialect == "postgresql" else "ANALYZE")


@contextlib.contextmanager
def _rust_only() -> Iterator[None]:
    every = migrations.MIGRATIONS
    migrations.MIGRATIONS = tuple(migration for migration in every if migration.owner == "upstream")
    try:
        yield
    finally:
        migrations.MIGRATIONS = every


def _row(job: BenchmarkJob, instant: Callable[[datetime], str], ids: Callable[[tuple[str, ...]], str]) -> list[Value]:
    times = (job.created_at, job.created_at, job.started_at, job.completed_at, job.failed_at)
    return [
        *(job.id, job.queue, job.payload, job.status, job.priority, job.attempts),
        *(None if time is None else instant(time) for time in times),
        *(job.error, ids(job.depends_on), job.dependency_status),
    ]


def _json_ids(ids: tuple[str, ...]) -> str:
    return json.dumps(list(ids))


def _fill_postgres(database: Database, jobs: Iterable[BenchmarkJob]) -> None:
    import psycopg

    into = f"COPY hammerwork_jobs ({COLUMNS}) FROM STDIN"
    with psycopg.connect(database.url.raw) as connection, connection.cursor().copy(into) as copy:
        for job in jobs:
            row = _row(job, datetime.isoformat, lambda ids: "{" + ",".join(ids) + "}")
            copy.write("\t".join("\\N" if value is None else str(value) for value in row) + "\n")


def _fill_mysql(database: Database, jobs: Iterable[BenchmarkJob]) -> None:
    # The table is kept in the order of its ids, which are random: row by row with all its indexes, a million jobs
    # take half an hour.
    indexes = _mysql_indexes(database)
    database.script("ALTER TABLE hammerwork_jobs " + ", ".join(f"DROP KEY {name}" for name in indexes))
    rows = iter(jobs)
    while batch := sorted(islice(rows, SORTED_ROWS), key=attrgetter("id")):
        for start in range(0, len(batch), ROWS_A_STATEMENT):
            chunk = batch[start : start + ROWS_A_STATEMENT]
            values = ",\n".join(_literals(_row(job, _mysql_time, _json_ids)) for job in chunk)
            database.script(f"INSERT INTO hammerwork_jobs ({COLUMNS}) VALUES {values}")
    database.script("ALTER TABLE hammerwork_jobs " + ", ".join(f"ADD {key}" for key in indexes.values()))


def _mysql_indexes(database: Database) -> dict[str, str]:
    """Quoted name -> definition."""
    lines = str(database.query("SHOW CREATE TABLE hammerwork_jobs")[0][1]).splitlines()
    keys = [line.strip().rstrip(",") for line in lines if line.strip().startswith("KEY ")]
    return {key.split()[1]: key for key in keys}


def _mysql_time(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")


def _literals(row: list[Value]) -> str:
    # Nothing in the workload has a quote or a backslash.
    return "(" + ",".join("NULL" if value is None else f"'{value}'" for value in row) + ")"


def _fill_sqlite(database: Database, jobs: Iterable[BenchmarkJob]) -> None:
    from hammerwork_cli.database.drivers.sqlite import stored_timestamp

    assert database.url.path is not None
    places = ",".join("?" * len(COLUMNS.split(",")))
    with contextlib.closing(sqlite3.connect(database.url.path)) as connection, connection:
        rows = (_row(job, stored_timestamp, _json_ids) for job in jobs)
        connection.executemany(f"INSERT INTO hammerwork_jobs ({COLUMNS}) VALUES ({places})", rows)


_FILL = {"postgresql": _fill_postgres, "mysql": _fill_mysql, "sqlite": _fill_sqlite}
