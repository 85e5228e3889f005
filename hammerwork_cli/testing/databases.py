"""Lends a database to one test at a time, and empties it afterwards."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from shutil import copyfile

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database, DatabaseUrl, connect
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.view.text import plural

DUTY = "tests"
"""Its row is there while a test has the database: whatever is there without it, no test wrote."""
WAIT_SECONDS = 60.0
"""For the test of another process."""
POLL_SECONDS = 0.05
RECORDS = "hammerwork_migrations"
_own: set[str] = set()
"""URLs of files that are there for one test."""
_lent: list[str] = []
"""URLs that a test of this process has; a test in another thread may wait for one of them."""


class Files:
    """SQLite files with tables, each for one test. The tables are made once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count(1)
        self._migrated = folder / "migrated.db"
        self._migrated.touch()
        with closing(connect(DatabaseUrl.of_file(self._migrated))) as database:
            migrations.run(database)

    @contextmanager
    def lend(self) -> Iterator[DatabaseUrl]:
        """Lends a new file."""
        path = self._folder / f"jobs-{next(self._numbers)}.db"
        url = DatabaseUrl.of_file(path)
        copyfile(self._migrated, path)
        _own.add(url.raw)
        try:
            yield url
        finally:
            _own.discard(url.raw)
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def lend(url: DatabaseUrl) -> Iterator[None]:
    """Lends an empty database with tables. It waits for the test of another process.

    Raises:
        UsageError: it has something that no test wrote, or the other test has not ended within a minute.
    """
    if url.raw in _own:
        yield
        return
    if url.path is not None:
        url.path.touch()
    with closing(connect(url)) as database:
        _make_tables(database)
        _take(database)
    _lent.append(url.raw)
    try:
        yield
    finally:
        try:
            with closing(connect(url)) as database:
                _empty(database, _filled(database))
        finally:
            _lent.remove(url.raw)  # another thread may have appended it by now


def _make_tables(database: Database) -> None:
    if "hammerwork_jobs" in database.schema and database.is_current:
        return
    _refuse_strangers(database)
    migrations.run(database)
    database.forget_schema()


def _take(database: Database) -> None:
    """Waits until no other test has the database, and takes it."""
    mine, give_up, known = _holder(os.getpid()), 0.0, None
    while True:
        if duties.take(database, DUTY, mine, seen=None, until=database.now()):
            try:
                _refuse_strangers(database)
            except UsageError:
                duties.give_up(database, DUTY, mine)
                raise
            return
        row = database.row("worker.duties.holder", name=DUTY)
        if row is None:
            continue
        holder, since = str(row[0]), timestamp(row[1])
        if (holder, since) != known:
            give_up, known = time.monotonic() + WAIT_SECONDS, (holder, since)
        if not _is_alive(holder, database.url):
            _refuse_leftovers(database)
            if duties.take(database, DUTY, mine, seen=since, until=database.now()):
                return
        elif time.monotonic() > give_up:
            raise UsageError(
                f"Another test has used {database.url} for {WAIT_SECONDS:g} s.",
                hint="Give each process its own database. If no test runs, delete the rows of hammerwork_duties.",
            )
        time.sleep(POLL_SECONDS)


def _holder(process: int) -> str:
    """A process of this host, or of a container with its name, in the form of an id, which the column wants."""
    name = socket.gethostname()
    with suppress(OSError):  # only Linux has them
        name += str(Path("/proc/self/ns/pid").readlink())
    host = sha256(name.encode()).hexdigest()
    return f"{host[:8]}-{host[8:12]}-8{host[12:15]}-8{host[15:18]}-{process:012x}"


def _is_alive(holder: str, url: DatabaseUrl) -> bool:
    """Whether the process that took a database may still have it."""
    process = int(holder.rpartition("-")[2], 16)
    if holder.lower() != _holder(process):  # of another host
        return True
    if process == os.getpid():  # else an earlier process had the same number
        return url.raw in _lent
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def _refuse_strangers(database: Database) -> None:
    """Raises UsageError if there is anything that no test wrote."""
    for table in _filled(database):
        number = migrations.count_rows(database, table) - (table == "hammerwork_duties")
        if number > 0:
            raise UsageError(
                f"{database.url} is no database for tests: {table} has {plural(number, 'row')} that no test wrote.",
                hint="Give the tests their own database: they delete all jobs.",
            )


def _refuse_leftovers(database: Database) -> None:
    """Raises UsageError if there is anything after a test that was killed: others may have written it since."""
    for table in _filled(database):
        if table != "hammerwork_duties" or migrations.count_rows(database, table) > 1:
            raise UsageError(
                f"A test that was killed has left rows in {table} of {database.url}, or others have since.",
                hint="To delete everything in this database: hammerwork_cli.testing.clear(url).",
            )


def clear(url: str | DatabaseUrl) -> None:
    """Deletes everything in a database for tests, whoever wrote it, after a test that was killed.

    Args:
        url: of the database; its tables stay.

    Raises:
        UnreachableError, AccessDeniedError: the database does not answer.
    """
    with closing(connect(url)) as database:
        _empty(database, _filled(database))


def _filled(database: Database) -> list[str]:
    """The tables that have rows."""
    tables = sorted(database.schema.keys() - {RECORDS})
    if not tables:
        return []
    looks = ", ".join(f"EXISTS (SELECT 1 FROM {table})" for table in tables)  # noqa: S608  names of tables
    return [table for table, filled in zip(tables, database.query(f"SELECT {looks}")[0], strict=True) if filled]


def _empty(database: Database, tables: list[str]) -> None:
    def work() -> None:
        for table in tables:
            database.script(f"DELETE FROM {table}")  # noqa: S608  names of tables

    database.transaction(work)
